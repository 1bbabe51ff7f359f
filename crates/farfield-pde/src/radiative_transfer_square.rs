//! Steady radiative transfer in the unit square with isotropic scattering, as an integral equation (Fan et al., arXiv
//! 1808.02376): for absorption mu_a, scattering mu_s, mu_t = mu_a + mu_s and the source 1 the mean intensity solves
//!
//! `u(x) = int k(x, y) (mu_s(y) u(y) + 1) dy`, `k = exp(-tau(x, y)) / (2 pi |x - y|)`, `tau(x, y) = int mu_t` along the line from x to y,
//!
//! with directions in the plane and nothing coming in from outside. Here mu_s is a sum of two Gaussian bumps, and tau is exact:
//! along a line a Gaussian is a Gaussian, with error functions as integrals.
//!
//! Scheme: collocation at the centres of n x n cells, coefficients and u constant on each cell. The singular part of the
//! kernel is integrated exactly, the bounded rest by the midpoint rule:
//!
//! `2 pi K_ij = int_{cell j} 1/|x_i - y| dy + h^2 (exp(-tau_ij) - 1) / |x_i - x_j|`, the last term `-h^2 mu_t,i` on the diagonal.
//!
//! Order 2 in h: observed 2.1 without scattering and 1.84 with it, at all centres, once a bump is wider than two cells. (The published generator takes the midpoint rule for the whole kernel off the diagonal, which is of
//! order 1: the punctured sum of 1/r misses `h (3.900 - 3.525)` of each cell; five Gauss points for tau however long the line; and
//! scales rows of K by mu_s where the equation scales columns.)
//!
//! Cost: n^4 / 2 entries, 50 ns each, in 4 n^4 bytes (K is symmetric), and 10 to 20 products with the matrix: 0.1 s and 10 MB a sample at n
//! = 40, 1.5 s and 164 MB at n = 80.

use std::f64::consts::PI;

use crate::PdeError;
use crate::gaussian_bumps::{BUMPS, GaussianBumps};
use crate::gmres::{dot, gmres};

/// Most steps of the iteration.
const STEPS: usize = 500;
/// Residual over right-hand side.
const TOLERANCE: f64 = 1e-13;
/// A bump whose axis of symmetry across a line lies below this many T (in squares) adds less than 1e-16.
const REACH: f64 = 80.0;

/// The integral over unit cells of 1/r: entry (a, b) for the cell centred at (a, b).
pub(crate) fn inverse_distance_cells(n: usize) -> Vec<f64> {
    let antiderivative = |x: f64, y: f64| x * (y / x.abs()).asinh() + y * (x / y.abs()).asinh();
    let mut cells = vec![0.0; n * n];
    for a in 0..n {
        for b in 0..=a {
            let ends = |k: usize| (k as f64 - 0.5, k as f64 + 0.5);
            let ((left, right), (low, high)) = (ends(a), ends(b));
            let upper = antiderivative(right, high) - antiderivative(left, high);
            let value = upper - (antiderivative(right, low) - antiderivative(left, low));
            (cells[a * n + b], cells[b * n + a]) = (value, value);
        }
    }
    cells
}

/// The optical depth of a line: `mu_a` and two bumps.
pub(crate) struct LineDepth<'a> {
    absorption: f64,
    bumps: &'a GaussianBumps<2>,
    factors: [f64; BUMPS],
    inverse_width: f64,
}

impl<'a> LineDepth<'a> {
    pub(crate) fn new(absorption: f64, bumps: &'a GaussianBumps<2>) -> Self {
        let width = (2.0 * bumps.variance).sqrt();
        let factors = std::array::from_fn(|bump| bumps.height(bump) * width * 0.5 * PI.sqrt());
        LineDepth { absorption, bumps, factors, inverse_width: 1.0 / width }
    }

    /// `int mu_t` from x to y, which are `length` > 0 apart.
    #[inline]
    pub(crate) fn between(&self, x: [f64; 2], y: [f64; 2], length: f64) -> f64 {
        let mut depth = self.absorption * length;
        let direction = [(y[0] - x[0]) / length, (y[1] - x[1]) / length];
        for (centre, factor) in self.bumps.centres.iter().zip(self.factors) {
            let to = [centre[0] - x[0], centre[1] - x[1]];
            let across = (to[0] * direction[1] - to[1] * direction[0]) * self.inverse_width;
            let square = across * across;
            if 2.0 * square < REACH {
                let along = to[0] * direction[0] + to[1] * direction[1];
                let (from, end) = (-along * self.inverse_width, (length - along) * self.inverse_width);
                depth += factor * (-square).exp() * (libm::erf(end) - libm::erf(from));
            }
        }
        depth
    }
}

/// The discrete integral operator for one scattering coefficient.
pub(crate) struct RadiativeTransferSquare {
    scattering: Vec<f64>,
    /// The triangle of K up to the diagonal, row after row.
    triangle: Vec<f64>,
}

impl RadiativeTransferSquare {
    /// For n x n cells, with `cells` = [`inverse_distance_cells`]`(n)`.
    pub(crate) fn new(n: usize, cells: &[f64], absorption: f64, bumps: &GaussianBumps<2>) -> Self {
        let h = 1.0 / n as f64;
        let centre = |flat: usize| [(flat / n) as f64 * h + 0.5 * h, (flat % n) as f64 * h + 0.5 * h];
        let scattering: Vec<f64> = (0..n * n).map(|flat| bumps.at(centre(flat))).collect();
        let depth = LineDepth::new(absorption, bumps);
        let points = n * n;
        let mut triangle = Vec::with_capacity(points * (points + 1) / 2);
        let scale = 0.5 / PI;
        for (i, mu) in scattering.iter().enumerate() {
            let x = centre(i);
            for j in 0..i {
                let (a, b) = ((i / n).abs_diff(j / n), (i % n).abs_diff(j % n));
                let length = h * ((a * a + b * b) as f64).sqrt();
                let rest = h * h * (-depth.between(x, centre(j), length)).exp_m1() / length;
                triangle.push(scale * (h * cells[a * n + b] + rest));
            }
            triangle.push(scale * (h * cells[0] - h * h * (absorption + mu)));
        }
        RadiativeTransferSquare { scattering, triangle }
    }

    /// mu_s at the centres, the last axis fastest.
    pub(crate) fn scattering(&self) -> &[f64] {
        &self.scattering
    }

    /// `out = K v`.
    fn product(&self, v: &[f64], out: &mut [f64]) {
        let mut rest = self.triangle.as_slice();
        for i in 0..v.len() {
            let (row, below) = rest.split_at(i + 1);
            rest = below;
            out[i] = dot(row, &v[..=i]);
            let v_i = v[i];
            out[..i].iter_mut().zip(row).for_each(|(out, k)| *out += k * v_i);
        }
    }

    /// The mean intensity at the centres for the source 1, to a relative residual of 1e-13.
    pub(crate) fn solve(&self, problem: &'static str) -> Result<Vec<f64>, PdeError> {
        let points = self.scattering.len();
        let mut right = vec![0.0; points];
        self.product(&vec![1.0; points], &mut right);
        let mut scattered = vec![0.0; points];
        let apply = |u: &[f64], out: &mut [f64]| {
            for ((s, mu), u) in scattered.iter_mut().zip(&self.scattering).zip(u) {
                *s = mu * u;
            }
            self.product(&scattered, out);
            out.iter_mut().zip(u).for_each(|(out, u)| *out = u - *out);
        };
        gmres(apply, &right, TOLERANCE, STEPS).map(|(u, _)| u).map_err(|e| PdeError::Iteration {
            problem,
            steps: e.steps,
            residual: e.residual,
            reason: format!("{TOLERANCE:e} of the right-hand side was asked for; cells are too thick for this grid"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::SQRT_2;

    use super::*;

    const BUMPS_OF_TEST: GaussianBumps<2> =
        GaussianBumps { masses: [0.12, 0.2], variance: 0.02, centres: [[0.3, 0.4], [0.55, 0.7]] };

    /// Gauss's rule of two points on many intervals, with one step of extrapolation.
    fn quadrature(f: impl Fn(f64) -> f64, a: f64, b: f64, intervals: usize) -> f64 {
        let rule = |intervals: usize| -> f64 {
            let h = (b - a) / intervals as f64;
            let offset = 0.5 * h / 3f64.sqrt();
            let middle = |i: usize| a + (i as f64 + 0.5) * h;
            (0..intervals).map(|i| 0.5 * h * (f(middle(i) - offset) + f(middle(i) + offset))).sum()
        };
        rule(2 * intervals) + (rule(2 * intervals) - rule(intervals)) / 15.0
    }

    #[test]
    fn depths_of_lines_agree_with_quadrature() {
        // Wide bumps, and those of the data.
        for bumps in [BUMPS_OF_TEST, GaussianBumps { variance: 2e-3, ..BUMPS_OF_TEST }] {
            let depth = LineDepth::new(0.2, &bumps);
            for (x, y) in [
                ([0.01, 0.02], [0.99, 0.98]),
                ([0.3, 0.1], [0.3, 0.9]),
                ([0.9, 0.1], [0.2, 0.15]),
                ([0.4, 0.4], [0.41, 0.4]),
            ] {
                let length = f64::hypot(y[0] - x[0], y[1] - x[1]);
                let mu = |s: f64| 0.2 + bumps.at([x[0] + s * (y[0] - x[0]), x[1] + s * (y[1] - x[1])]);
                let expected = length * quadrature(mu, 0.0, 1.0, 1500);
                let value = depth.between(x, y, length);
                assert!((value - expected).abs() < 1e-12 * expected, "{x:?} {y:?}: {value} against {expected}");
                assert!((depth.between(y, x, length) - value).abs() < 1e-14 * value);
            }
        }
    }

    #[test]
    fn cells_agree_with_quadrature() {
        let cells = inverse_distance_cells(90);
        assert!((cells[0] - 4.0 * (1.0 + SQRT_2).ln()).abs() < 1e-14);
        for (a, b) in [(0, 1), (1, 1), (3, 2), (0, 40), (89, 89)] {
            let line = |x: f64| quadrature(|y| 1.0 / f64::hypot(x, y), b as f64 - 0.5, b as f64 + 0.5, 60);
            let expected = quadrature(line, a as f64 - 0.5, a as f64 + 0.5, 60);
            for cell in [cells[a * 90 + b], cells[b * 90 + a]] {
                assert!((cell / expected - 1.0).abs() < 1e-10, "({a}, {b}): {cell} against {expected}");
            }
        }
    }

    fn solve(n: usize, absorption: f64, bumps: &GaussianBumps<2>) -> Vec<f64> {
        RadiativeTransferSquare::new(n, &inverse_distance_cells(n), absorption, bumps).solve("test").unwrap()
    }

    /// Largest and mean square difference at the centres that two grids share.
    fn distances(coarse: &[f64], fine: &[f64], n: usize, finer: usize) -> [f64; 2] {
        let shared = |flat: usize| {
            let place = |i: usize| i * finer + finer / 2;
            fine[place(flat / n) * n * finer + place(flat % n)]
        };
        let differences: Vec<f64> = (0..n * n).map(|flat| (coarse[flat] - shared(flat)).abs()).collect();
        let square: f64 = differences.iter().map(|d| d * d).sum();
        [differences.iter().copied().fold(0.0, f64::max), (square / differences.len() as f64).sqrt()]
    }

    #[test]
    fn without_scattering_the_solution_is_a_line_integral() {
        // u(x) = int_0^{2 pi} (1 - exp(-mu R)) / (2 pi mu), R the distance to the boundary in each direction.
        let mu = 1.5;
        let nothing = GaussianBumps { masses: [0.0; 2], ..BUMPS_OF_TEST };
        let exact = |x: [f64; 2]| {
            // Between the directions of the corners R is smooth.
            let angles: Vec<f64> =
                [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]].map(|c| f64::atan2(c[1] - x[1], c[0] - x[0])).to_vec();
            let end = |k: usize| if k == 4 { angles[0] + 2.0 * PI } else { (angles[k] + 2.0 * PI) % (2.0 * PI) };
            let ends = [angles[0], end(1), end(2), end(3), end(4)];
            let distance = |t: f64| {
                let side = |x: f64, e: f64| if e > 0.0 { (1.0 - x) / e } else { -x / e };
                side(x[0], t.cos()).min(side(x[1], t.sin()))
            };
            let f = |t: f64| (1.0 - (-mu * distance(t)).exp()) / (2.0 * PI * mu);
            ends.windows(2).map(|e| quadrature(f, e[0], e[1], 400)).sum::<f64>()
        };
        let errors: Vec<f64> = [9usize, 18, 36]
            .iter()
            .map(|&n| {
                let u = solve(n, mu, &nothing);
                let centre = |i: usize| (i as f64 + 0.5) / n as f64;
                (0..n * n).map(|k| (u[k] - exact([centre(k / n), centre(k % n)])).abs()).fold(0.0, f64::max)
            })
            .collect();
        let orders: Vec<f64> = errors.windows(2).map(|e| (e[0] / e[1]).log2()).collect();
        println!("errors {errors:?}, orders {orders:?}");
        assert!(orders.iter().all(|order| (1.7..2.3).contains(order)), "{errors:?}: {orders:?}");
    }

    #[test]
    fn with_scattering_the_order_is_two() {
        // Resolved by the coarsest grid.
        let wide = GaussianBumps { masses: [0.3, 0.4], variance: 0.06, ..BUMPS_OF_TEST };
        let [coarse, middle, fine] = [8, 24, 72].map(|n| solve(n, 0.2, &wide));
        let (first, second) = (distances(&coarse, &middle, 8, 3), distances(&middle, &fine, 24, 3));
        let orders = [0, 1].map(|k| (first[k] / second[k]).log(3.0));
        println!("differences {first:?} {second:?}, orders {orders:?}");
        assert!(orders.iter().all(|order| (1.7..2.4).contains(order)), "{first:?} {second:?}: {orders:?}");
    }

    /// The narrowest, strongest and closest bumps of the data.
    #[test]
    fn the_data_are_resolved() {
        let bumps = GaussianBumps { masses: [0.03; 2], variance: 2e-3, centres: [[0.5, 0.45], [0.55, 0.5]] };
        let [coarse, middle, fine] = [6, 18, 54].map(|n| solve(n, 0.2, &bumps));
        let scale = fine.iter().copied().fold(0.0, f64::max);
        let [unresolved, _] = distances(&coarse, &middle, 6, 3);
        let [worst, mean] = distances(&middle, &fine, 18, 3);
        println!("u up to {scale:.3}; from 6 to 18 cells {unresolved:.1e}; from 18 to 54 {worst:.1e}, mean {mean:.1e}");
        assert!(worst < 0.02 * scale && mean < 0.003 * scale && unresolved > 2.0 * worst);
    }

    #[test]
    fn the_product_is_that_of_a_symmetric_matrix() {
        let n = 5;
        let operator = RadiativeTransferSquare::new(n, &inverse_distance_cells(n), 0.2, &BUMPS_OF_TEST);
        let entry = |i: usize, j: usize| {
            let (i, j) = (i.max(j), i.min(j));
            operator.triangle[i * (i + 1) / 2 + j]
        };
        let v: Vec<f64> = (0..25).map(|i| f64::from(i).sin()).collect();
        let mut out = vec![9.0; 25];
        operator.product(&v, &mut out);
        for (i, out) in out.iter().enumerate() {
            let expected: f64 = (0..25).map(|j| entry(i, j) * v[j]).sum();
            assert!((out - expected).abs() < 1e-15);
        }
        let u = operator.solve("test").unwrap();
        for i in 0..25 {
            let right: f64 = (0..25).map(|j| entry(i, j) * (operator.scattering()[j] * u[j] + 1.0)).sum();
            assert!((u[i] - right).abs() < 1e-12 * u[i]);
        }
    }
}
