//! `poisson-2d-disk`.

use std::f64::consts::PI;

use faer::Mat;
use faer::prelude::Solve;
use farfield_pde::{DiskCells, DiskSolver, Family};

use crate::{
    assert_covariance, assert_masked, assert_order, assert_span, build, cut_off, draw, largest, refusal, relative_error,
};

const NAME: &str = "poisson-2d-disk";

/// `(r^m + R^(2m) r^-m) cos(m theta + 1)` near the circle, whose normal derivative vanishes there, cut
/// off before the outer boundary, and minus its Laplacian, with R = `radius`.
fn exact(m: i32, radius: f64, x: f64, y: f64) -> (f64, f64) {
    let (dx, dy) = (x - 0.5, y - 0.5);
    let r = dx.hypot(dy);
    if r < radius {
        return (0.0, 0.0);
    }
    let (q, angle) = (r / radius, (f64::from(m) * dy.atan2(dx) + 1.0).cos());
    let s = (q.powi(m) + q.powi(-m)) * angle;
    let s1 = f64::from(m) * (q.powi(m) - q.powi(-m)) / r * angle;
    let [eta, first, second] = cut_off(r, radius + 0.02, 0.5);
    (eta * s, -(second + first / r) * s - 2.0 * first * s1)
}

/// Relative L2 error and the largest errors, relative to the largest value, in the whole domain and
/// beyond a tenth from the circle.
fn errors(m: i32, n: usize, radius: f64) -> [f64; 3] {
    let solver = DiskSolver::new(n, radius).unwrap();
    let points: Vec<(f64, f64)> = (0..n * n).map(|i| ((i / n) as f64 / n as f64, (i % n) as f64 / n as f64)).collect();
    let (mut u, f): (Vec<f64>, Vec<f64>) = points.iter().map(|&(x, y)| exact(m, radius, x, y)).unzip();
    let mut solved = vec![f64::NAN; n * n];
    solver.solve(&f, &mut solved);
    solver.remove_mean(&mut u);
    let scale = largest(u.iter().copied());
    let error = |i: usize| (solved[i] - u[i]) / scale;
    let far = |i: &usize| (points[*i].0 - 0.5).hypot(points[*i].1 - 0.5) > radius + 0.1;
    [relative_error(&solved, &u), largest((0..n * n).map(error)), largest((0..n * n).filter(far).map(error))]
}

#[test]
fn order_is_two_in_the_mean_and_in_the_maximum() {
    for (m, radius) in [(0, 0.2), (3, 0.2), (2, 0.31)] {
        let errors = [64, 128, 256].map(|n| errors(m, n, radius));
        let names = ["mean", "maximum", "maximum away from the circle"];
        for (k, name) in names.iter().enumerate() {
            let errors: Vec<f64> = errors.iter().map(|e| e[k]).collect();
            assert_order(&format!("m = {m}, R = {radius}, {name}"), &errors, 2.0, 0.25);
        }
    }
}
