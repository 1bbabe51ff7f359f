//! Random fields at given points of the unit box: the inputs of the problems on scattered points.
//!
//! Family `paper`: two Gaussian bumps (`gaussian_bumps.rs`), as the inputs of the H2-NN paper's section 3.2, in as many dimensions as
//! there are. Family `random-s0`: independent N(0, 1) at every point. Families `random-s1`, `random-s2`: `f = sum_k c_k
//! 2^{d/2} prod_a sin(pi k_a x_a)`, k_a = 1, ..., K, c_k normal with variance `(pi^2 |k|^2 + 9)^(-s)`, which is `N(0, (-Laplacian +
//! 9)^(-s))` with Dirichlet conditions, cut off at K waves an axis; K^d is about the number of points. Cost: O(points x K^d).

use std::f64::consts::{PI, SQRT_2};

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::Family;
use crate::gaussian_bumps::GaussianBumps;
use crate::gaussian_field::deviation;
use crate::kernel_sum::Point;

/// Masses of the bumps and range of their centres, as for the scattering coefficient in a slab.
const MASSES: [f64; 2] = [0.1, 0.3];
const PLACE: [f64; 2] = [0.2, 0.8];

/// Draws fields at fixed points.
pub(crate) struct PointFields {
    dims: usize,
    waves: usize,
}

impl PointFields {
    /// For `points` points in 1 to 3 dimensions.
    pub(crate) fn new(dims: usize, points: usize) -> Self {
        let mut waves = 1usize;
        while waves.pow(dims as u32) < points {
            waves += 1;
        }
        PointFields { dims, waves }
    }

    /// Dimension of the span of a family, for this many points.
    pub(crate) fn span(&self, family: Family, points: usize) -> usize {
        match family {
            Family::Random { smoothness: 1.. } => self.waves.pow(self.dims as u32).min(points),
            _ => points,
        }
    }

    /// What a reader must know of the families.
    pub(crate) fn facts(&self) -> [(&'static str, String); 2] {
        let d = self.dims;
        [
            (
                "family_paper",
                format!(
                    "two bumps rho/(2 pi T)^({d}/2) exp(-|x - c|^2/(2 T)), rho uniform on (0.1, 0.3), one T uniform on (2e-3, 4e-3), \
                     coordinates of the centres uniform on (0.2, 0.8), at least 0.05 apart"
                ),
            ),
            (
                "family_random",
                format!(
                    "s = 0: N(0, 1) at every point; s > 0: sines with {} waves an axis, variance (pi^2 |k|^2 + 9)^(-s)",
                    self.waves
                ),
            ),
        ]
    }

    /// Draws one field.
    pub(crate) fn draw(&self, family: Family, rng: &mut impl Rng, points: &[Point], field: &mut [f64]) {
        match (family, self.dims) {
            (Family::Random { smoothness: 0 }, _) => field.fill_with(|| StandardNormal.sample(rng)),
            (Family::Random { smoothness }, _) => self.sines(smoothness, rng, points, field),
            (Family::Paper, 1) => bumps::<1>(rng, points, field),
            (Family::Paper, 2) => bumps::<2>(rng, points, field),
            (Family::Paper, _) => bumps::<3>(rng, points, field),
        }
    }

    fn sines(&self, smoothness: u32, rng: &mut impl Rng, points: &[Point], field: &mut [f64]) {
        let (dims, waves) = (self.dims, self.waves);
        let scale = SQRT_2.powi(dims as i32);
        let coefficients: Vec<f64> = (0..waves.pow(dims as u32))
            .map(|flat| {
                let squares = (0..dims as u32).map(|axis| (flat / waves.pow(axis) % waves + 1).pow(2)).sum();
                let normal: f64 = StandardNormal.sample(rng);
                scale * deviation(squares, smoothness) * normal
            })
            .collect();
        let mut sums = vec![0.0; coefficients.len()];
        let mut sines = vec![0.0; waves];
        for (x, value) in points.iter().zip(field) {
            // One axis after the other is summed away, the fastest first.
            let mut left = coefficients.len();
            for (axis, x) in x[..dims].iter().enumerate() {
                sines.iter_mut().zip(1u32..).for_each(|(s, k)| *s = (PI * f64::from(k) * x).sin());
                for i in 0..left / waves {
                    let lines = if axis == 0 { &coefficients } else { &sums };
                    let line = &lines[i * waves..(i + 1) * waves];
                    sums[i] = line.iter().zip(&sines).map(|(c, s)| c * s).sum();
                }
                left /= waves;
            }
            *value = sums[0];
        }
    }
}

fn bumps<const D: usize>(rng: &mut impl Rng, points: &[Point], field: &mut [f64]) {
    let bumps = GaussianBumps::<D>::draw(rng, MASSES, PLACE, false);
    for (x, value) in points.iter().zip(field) {
        *value = bumps.at(std::array::from_fn(|axis| x[axis]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SampleKey, Stream};

    #[test]
    fn sines_are_summed_as_written() {
        for dims in 1..=3 {
            let points: Vec<Point> = (0..10)
                .map(|i| std::array::from_fn(|a| if a < dims { (0.37 * (i + 3 * a) as f64).fract() } else { 0.0 }))
                .collect();
            let fields = PointFields::new(dims, 20);
            let rng = || SampleKey { seed: 1, stream: Stream::Test, index: dims as u64 }.rng();
            let mut field = vec![0.0; 10];
            fields.draw(Family::Random { smoothness: 1 }, &mut rng(), &points, &mut field);
            let (waves, mut rng) = (fields.waves, rng());
            let mut expected = vec![0.0; 10];
            for flat in 0..waves.pow(dims as u32) {
                let normal: f64 = StandardNormal.sample(&mut rng);
                let k: Vec<f64> = (0..dims as u32).map(|a| (flat / waves.pow(a) % waves + 1) as f64).collect();
                let variance = 1.0 / (PI * PI * k.iter().map(|k| k * k).sum::<f64>() + 9.0);
                for (x, value) in points.iter().zip(&mut expected) {
                    let wave: f64 = k.iter().zip(x).map(|(k, x)| SQRT_2 * (PI * k * x).sin()).product();
                    *value += normal * variance.sqrt() * wave;
                }
            }
            assert!(field.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-13), "{field:?} {expected:?}");
        }
    }

    #[test]
    fn waves_fill_the_points() {
        assert_eq!([1, 2, 3].map(|d| PointFields::new(d, 4096).waves), [4096, 64, 16]);
        let fields = PointFields::new(3, 4097);
        assert_eq!((fields.waves, fields.span(Family::Random { smoothness: 2 }, 4097)), (17, 4097));
    }
}
