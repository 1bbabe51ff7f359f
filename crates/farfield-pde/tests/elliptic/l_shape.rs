//! `poisson-2d-l-shape`.

use std::f64::consts::PI;

use farfield_pde::{Family, LShapeSolver, Stencil};

use crate::{
    assert_covariance, assert_masked, assert_order, assert_span, build, cut_off, draw, largest, refusal, relative_error,
};

const NAME: &str = "poisson-2d-l-shape";

/// `g sin(2 pi x) sin(2 pi y)` with `g = exp(cos(2 pi x) - cos(4 pi y) / 2)` and minus its Laplacian; both
/// vanish on the boundary of the L-shape.
fn waves(x: f64, y: f64) -> (f64, f64) {
    let (a, b) = (2.0 * PI, 4.0 * PI);
    let ((sx, cx), (sy, cy), (sb, cb)) = ((a * x).sin_cos(), (a * y).sin_cos(), (b * y).sin_cos());
    let (p, q) = (cx.exp(), (-cb / 2.0).exp());
    // (p sin)'' with p' = -a sin p, and (q sin)'' with q' = (b/2) sin(4 pi y) q.
    let (p1, p2) = (-a * sx * p, (a * a * sx * sx - a * a * cx) * p);
    let (q1, q2) = (b / 2.0 * sb * q, (b * b / 4.0 * sb * sb + b * b / 2.0 * cb) * q);
    let (x0, x2) = (p * sx, p2 * sx + 2.0 * a * p1 * cx - a * a * p * sx);
    let (y0, y2) = (q * sy, q2 * sy + 2.0 * a * q1 * cy - a * a * q * sy);
    (x0 * y0, -x2 * y0 - x0 * y2)
}

/// `r^alpha sin(alpha theta)` at the re-entrant corner, cut off before the outer boundary, and minus
/// its Laplacian. theta runs from one edge to the other, 0 to 3 pi / 2; alpha is a multiple of 2/3.
fn corner(alpha: f64, x: f64, y: f64) -> (f64, f64) {
    let (dx, dy) = (x - 0.5, y - 0.5);
    let r = dx.hypot(dy);
    if r == 0.0 {
        return (0.0, 0.0);
    }
    let theta = (dy.atan2(dx) - PI / 2.0).rem_euclid(2.0 * PI);
    let s = r.powf(alpha) * (alpha * theta).sin();
    let [eta, first, second] = cut_off(r, 0.05, 0.5);
    (eta * s, -(second + first / r) * s - 2.0 * first * alpha * s / r)
}

/// Relative L2 error on n x n points.
fn error(n: usize, stencil: Stencil, exact: impl Fn(f64, f64) -> (f64, f64)) -> f64 {
    let solver = LShapeSolver::new(n, stencil).unwrap();
    let mask = solver.mask();
    let (mut u, mut f) = (vec![0.0; n * n], vec![0.0; n * n]);
    for place in (0..n * n).filter(|&place| mask[place]) {
        (u[place], f[place]) = exact((place / n) as f64 / n as f64, (place % n) as f64 / n as f64);
    }
    let mut solved = vec![f64::NAN; n * n];
    solver.solve(&f, &mut solved);
    relative_error(&solved, &u)
}

#[test]
fn order_for_smooth_solutions_is_that_of_the_stencil() {
    for (stencil, expected) in [(Stencil::FourthOrderCompact, 4.0), (Stencil::SecondOrder, 2.0)] {
        let errors = [32, 64, 128].map(|n| error(n, stencil, waves));
        assert_order(&format!("waves, {stencil:?}"), &errors, expected, 0.1);
        // Not a reflection of anything: r^(20/3) exists on the three quarters only.
        let errors = [64, 128, 256].map(|n| error(n, stencil, |x, y| corner(20.0 / 3.0, x, y)));
        assert_order(&format!("r^(20/3), {stencil:?}"), &errors, expected, 0.15);
    }
}

#[test]
fn order_for_the_corner_singularity_is_four_thirds() {
    for stencil in [Stencil::FourthOrderCompact, Stencil::SecondOrder] {
        let errors = [64, 128, 256].map(|n| error(n, stencil, |x, y| corner(2.0 / 3.0, x, y)));
        assert_order(&format!("r^(2/3), {stencil:?}"), &errors, 4.0 / 3.0, 0.1);
    }
}

#[test]
fn paper_samples_are_those_of_the_square_inside() {
    let (square, l_shape) = (build("poisson-2d", |_| ()), build(NAME, |_| ()));
    let mask = l_shape.mask().unwrap();
    for index in 0..2 {
        let (f, u) = draw(&*l_shape, Family::Paper, index);
        let (mut whole_f, mut whole_u) = draw(&*square, Family::Paper, index);
        for (place, &inside) in mask.iter().enumerate() {
            if !inside {
                // The square's solution vanishes on the re-entrant edges by itself.
                let (i, j) = (place / 64, place % 64);
                if (i == 32 && j >= 32) || (j == 32 && i >= 32) {
                    assert!(whole_f[place].abs() < 1e-12 && whole_u[place].abs() < 1e-14);
                }
                (whole_f[place], whole_u[place]) = (0.0, 0.0);
            }
        }
        assert_eq!(f, whole_f);
        assert!(relative_error(&u, &whole_u) < 1e-11);
    }
}

#[test]
fn random_pairs_solve_the_stencil_to_rounding() {
    let n = 64;
    for scheme in ["fourth-order", "second-order"] {
        let problem = build(NAME, |o| o.scheme = Some(scheme.to_owned()));
        let mask = problem.mask().unwrap();
        for smoothness in 0..3 {
            let (f, u) = draw(&*problem, Family::Random { smoothness }, 0);
            let residual = (0..n * n).filter(|&place| mask[place]).map(|place| {
                let at = |field: &[f64], di: i64, dj: i64| {
                    let (i, j) = ((place / n) as i64 + di, (place % n) as i64 + dj);
                    if i == n as i64 || j == n as i64 { 0.0 } else { field[i as usize * n + j as usize] }
                };
                let edges = |field: &[f64]| at(field, 1, 0) + at(field, -1, 0) + at(field, 0, 1) + at(field, 0, -1);
                let corners = at(&u, 1, 1) + at(&u, 1, -1) + at(&u, -1, 1) + at(&u, -1, -1);
                let square = (n * n) as f64;
                match scheme {
                    "second-order" => (4.0 * u[place] - edges(&u)) * square - f[place],
                    _ => {
                        (20.0 * u[place] - 4.0 * edges(&u) - corners) / 6.0 * square
                            - (8.0 * f[place] + edges(&f)) / 12.0
                    }
                }
            });
            let residual = largest(residual);
            // Rounding of u times the operator's norm, 8 n^2.
            let bound = 1e-15 * 8.0 * (n * n) as f64 * largest(u.iter().copied()) + 1e-14 * largest(f.iter().copied());
            assert!(residual < 20.0 * bound, "{scheme} s{smoothness}: {residual:e}, bound {bound:e}");
        }
    }
}

#[test]
fn the_mask_is_the_open_l_shape() {
    let problem = build(NAME, |_| ());
    let (mask, axes) = (problem.mask().unwrap(), problem.coordinates());
    for (place, &inside) in mask.iter().enumerate() {
        let (x, y) = (axes[0][place / 64], axes[1][place % 64]);
        assert_eq!(inside, x > 0.0 && y > 0.0 && (x < 0.5 || y < 0.5), "({x}, {y})");
    }
    assert_eq!(mask.iter().filter(|&&inside| inside).count(), 63 * 63 - 32 * 32);
    assert_masked(&*problem);
}

#[test]
fn families_span_what_is_stated() {
    assert_span(&*build(NAME, |o| o.n = Some(22)), Family::Paper);
    for n in [8, 12] {
        let problem = build(NAME, |o| o.n = Some(n));
        for smoothness in 0..3 {
            assert_span(&*problem, Family::Random { smoothness });
        }
    }
}

#[test]
fn covariance_is_that_of_the_five_point_laplacian() {
    let problem = build(NAME, |o| o.n = Some(10));
    let solver = LShapeSolver::new(10, Stencil::SecondOrder).unwrap();
    let weights: Vec<f64> = solver.mask().iter().map(|&inside| f64::from(u8::from(inside))).collect();
    assert_covariance(&*problem, &weights, 0.0, |f, u| solver.solve(f, u));
}

#[test]
fn odd_sizes_and_wide_stencils_are_refused() {
    assert_eq!(
        refusal(NAME, |o| o.n = Some(33)),
        "poisson-2d-l-shape: n = 33: must be even and at least 4: the corner (1/2, 1/2) must be a grid point"
    );
    assert_eq!(
        refusal(NAME, |o| o.solver_n = Some(100)),
        "poisson-2d-l-shape: solver_n = 100: does not fit down-sampling to n = 64: solver_n must be a multiple of 64"
    );
    assert!(LShapeSolver::new(16, Stencil::FourthOrderCross).is_err());
    assert!(LShapeSolver::new(2, Stencil::SecondOrder).is_err());
}
