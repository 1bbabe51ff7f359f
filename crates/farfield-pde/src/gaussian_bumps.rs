//! Two Gaussian bumps at random places: the scattering coefficients and the potentials of the MNN papers (Fan et al. 2018 and
//! 2019, arXiv 1807.01883 and 1808.02376), by the distributions in the generators published with them.
//!
//! `rho / (2 pi T)^{d/2} exp(-|x - c|^2 / (2 T))`, rho and T uniform, T the same for both bumps; along every axis the two
//! coordinates of the centres are uniform on an interval, drawn again together until they are 0.05 apart.

use std::f64::consts::PI;

use rand::{Rng, RngExt};

/// Bumps a field.
pub(crate) const BUMPS: usize = 2;
/// Least distance of the centres along every axis.
const GAP: f64 = 0.05;
/// Range of T.
const SPREAD: [f64; 2] = [2e-3, 4e-3];

/// Two bumps in d dimensions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GaussianBumps<const D: usize> {
    /// Masses rho.
    pub(crate) masses: [f64; BUMPS],
    /// The common variance T along each axis.
    pub(crate) variance: f64,
    /// Centres c; along the first axis, the first bump is the left one.
    pub(crate) centres: [[f64; D]; BUMPS],
}

impl<const D: usize> GaussianBumps<D> {
    /// Draws masses from `masses` and centres from `place` along every axis; on a `ring`, the distance is that around it.
    pub(crate) fn draw(rng: &mut impl Rng, masses: [f64; 2], place: [f64; 2], ring: bool) -> Self {
        let mut uniform = |[low, high]: [f64; 2]| low + (high - low) * rng.random::<f64>();
        let masses = std::array::from_fn(|_| uniform(masses));
        let pairs: [(f64, f64); D] = std::array::from_fn(|axis| {
            // Each try succeeds with a probability of more than 4/5.
            loop {
                let (a, b) = (uniform(place), uniform(place));
                let distance = (a - b).abs();
                if distance >= GAP && (!ring || 1.0 - distance >= GAP) {
                    return if axis == 0 { (a.min(b), a.max(b)) } else { (a, b) };
                }
            }
        });
        GaussianBumps {
            masses,
            variance: uniform(SPREAD),
            centres: [pairs.map(|pair| pair.0), pairs.map(|pair| pair.1)],
        }
    }

    /// The height of a bump, `rho / (2 pi T)^{d/2}`.
    pub(crate) fn height(&self, bump: usize) -> f64 {
        self.masses[bump] / (2.0 * PI * self.variance).powf(0.5 * D as f64)
    }

    /// The field at a point.
    pub(crate) fn at(&self, x: [f64; D]) -> f64 {
        (0..BUMPS)
            .map(|bump| {
                let square: f64 = x.iter().zip(&self.centres[bump]).map(|(x, c)| (x - c) * (x - c)).sum();
                self.height(bump) * (-square / (2.0 * self.variance)).exp()
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SampleKey, Stream};

    #[test]
    fn drawn_numbers_fill_their_ranges() {
        let (mut least, mut most) = ([f64::INFINITY; 4], [f64::NEG_INFINITY; 4]);
        for index in 0..4000 {
            let mut rng = SampleKey { seed: 0, stream: Stream::Train, index }.rng();
            let bumps = GaussianBumps::<2>::draw(&mut rng, [0.1, 0.3], [0.2, 0.8], false);
            let [[ax, ay], [bx, by]] = bumps.centres;
            assert!(bx - ax >= GAP && (ay - by).abs() >= GAP);
            for (k, value) in [bumps.masses[0], bumps.variance, ax, by].into_iter().enumerate() {
                least[k] = least[k].min(value);
                most[k] = most[k].max(value);
            }
        }
        let close = |values: [f64; 4], ends: [f64; 4]| values.iter().zip(ends).all(|(v, e)| (v / e - 1.0).abs() < 0.02);
        assert!(close(least, [0.1, 2e-3, 0.2, 0.2]) && close(most, [0.3, 4e-3, 0.75, 0.8]), "{least:?} {most:?}");
    }

    #[test]
    fn the_integral_of_a_bump_is_its_mass() {
        let bumps = GaussianBumps { masses: [0.2, 0.1], variance: 3e-3, centres: [[0.4, 0.5], [0.6, 0.45]] };
        let n = 100;
        let centre = |i: usize| (i as f64 + 0.5) / n as f64;
        let sum: f64 = (0..n * n).map(|k| bumps.at([centre(k / n), centre(k % n)])).sum();
        assert!((sum / (n * n) as f64 - 0.3).abs() < 1e-12);
    }
}
