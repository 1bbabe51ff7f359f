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

/// `exp(-((r - R) / 0.1)^2) cos(4 theta)`, largest on the circle, where its normal derivative vanishes,
/// cut off before the outer boundary, and minus its Laplacian.
fn ring(radius: f64, x: f64, y: f64) -> (f64, f64) {
    let (dx, dy) = (x - 0.5, y - 0.5);
    let r = dx.hypot(dy);
    if r < radius {
        return (0.0, 0.0);
    }
    let (t, angle) = ((r - radius) / 0.1, (4.0 * dy.atan2(dx)).cos());
    let [eta, eta1, eta2] = cut_off(r, radius, 0.5);
    let bump = (-t * t).exp();
    let (bump1, bump2) = (-2.0 * t / 0.1 * bump, (4.0 * t * t - 2.0) / 0.01 * bump);
    let (w, w1, w2) = (eta * bump, eta1 * bump + eta * bump1, eta2 * bump + 2.0 * eta1 * bump1 + eta * bump2);
    (w * angle, -(w2 + w1 / r - 16.0 * w / (r * r)) * angle)
}

/// Relative L2 error and the largest errors, relative to the largest value: in the whole domain and
/// on the points nearest to the circle, in a band as wide as a cell's diagonal.
fn errors(n: usize, radius: f64, exact: impl Fn(f64, f64) -> (f64, f64)) -> [f64; 3] {
    let solver = DiskSolver::new(n, radius).unwrap();
    let points: Vec<(f64, f64)> = (0..n * n).map(|i| ((i / n) as f64 / n as f64, (i % n) as f64 / n as f64)).collect();
    let (mut u, f): (Vec<f64>, Vec<f64>) = points.iter().map(|&(x, y)| exact(x, y)).unzip();
    let mut solved = vec![f64::NAN; n * n];
    solver.solve(&f, &mut solved);
    solver.remove_mean(&mut u);
    let scale = largest(u.iter().copied());
    let error = |i: usize| (solved[i] - u[i]) / scale;
    let near = |i: &usize| (points[*i].0 - 0.5).hypot(points[*i].1 - 0.5) < radius + 1.5 / n as f64;
    [relative_error(&solved, &u), largest((0..n * n).map(error)), largest((0..n * n).filter(near).map(error))]
}

#[test]
fn order_is_two_in_the_mean_and_in_the_maximum() {
    for (m, radius) in [(0, 0.2), (3, 0.2), (2, 0.31)] {
        let errors = [64, 128, 256].map(|n| errors(n, radius, |x, y| exact(m, radius, x, y)));
        for (k, name) in ["mean", "maximum"].iter().enumerate() {
            assert_order(&format!("m = {m}, R = {radius}, {name}"), &errors.map(|e| e[k]), 2.0, 0.1);
        }
    }
}

#[test]
fn order_is_two_at_the_circle() {
    // How the circle cuts the cells changes from grid to grid, and the error with it: the order is
    // that of three halvings together.
    for radius in [0.2, 0.25] {
        let errors = [64, 128, 256, 512].map(|n| errors(n, radius, |x, y| ring(radius, x, y)));
        for (k, name) in ["mean", "maximum", "maximum at the circle"].iter().enumerate() {
            let errors = errors.map(|e| e[k]);
            let order = (errors[0] / errors[3]).log2() / 3.0;
            assert!((order - 2.0).abs() < 0.2, "R = {radius}, {name}: order {order:.3}, errors {errors:?}");
            assert!(errors.windows(2).all(|pair| pair[0] > 2.8 * pair[1]), "each halving, at least 1.5: {errors:?}");
        }
    }
}

#[test]
fn areas_and_faces_are_those_of_the_disk() {
    for (n, radius) in [(64, 0.2), (64, 0.25), (33, 0.31), (5, 0.2), (10, 0.4)] {
        let cells = DiskCells::new(n, radius);
        let total: f64 = cells.area.iter().sum();
        let exact = (n * n) as f64 * (1.0 - PI * radius * radius);
        assert!((total - exact).abs() < 1e-12 * exact, "n = {n}, R = {radius}: {total}, exact {exact}");
        let rho = radius * n as f64;
        for place in 0..n * n {
            let centre = |i: usize| i as f64 - 0.5 * n as f64;
            let (x, y) = (centre(place / n), centre(place % n));
            assert_eq!(cells.outside[place], x.hypot(y) >= rho * (1.0 - 1e-14));
            // Midpoint rule for the area and the faces: the part of a line beyond the circle.
            let beyond = |x: f64, y: f64| {
                let half = (rho * rho - x * x).max(0.0).sqrt();
                1.0 - ((y + 0.5).min(half) - (y - 0.5).max(-half)).max(0.0)
            };
            let lines = 1000;
            let sum: f64 = (0..lines).map(|l| beyond(x - 0.5 + (l as f64 + 0.5) / lines as f64, y)).sum();
            assert!((cells.area[place] - sum / lines as f64).abs() < 1e-4, "cell ({x}, {y})");
            assert!((cells.face_x[place] - beyond(x + 0.5, y)).abs() < 2e-9);
            assert!((cells.face_y[place] - beyond(y + 0.5, x)).abs() < 2e-9);
        }
    }
}

#[test]
fn weights_are_a_quadrature_on_the_points_of_the_domain() {
    for (n, radius) in [(64, 0.2), (32, 0.25), (33, 0.31), (5, 0.2), (10, 0.4)] {
        let solver = DiskSolver::new(n, radius).unwrap();
        let total: f64 = solver.weights().iter().sum();
        assert!((total - (n * n) as f64 * (1.0 - PI * radius * radius)).abs() < 1e-10 * total);
        for (i, (&weight, &inside)) in solver.weights().iter().zip(solver.mask()).enumerate() {
            let (x, y) = ((i / n) as f64 - 0.5 * n as f64, (i % n) as f64 - 0.5 * n as f64);
            if !inside {
                assert_eq!(weight, 0.0);
            } else if x.hypot(y) > radius * n as f64 + 1.5 {
                assert_eq!(weight, 1.0);
            } else {
                assert!((0.5 - 1e-12..2.0).contains(&weight), "({x}, {y}): {weight}");
            }
        }
    }
}

/// The scheme written out from the cells as a dense matrix, the value at one point not fixed.
#[test]
fn the_solver_solves_the_dense_equations() {
    for (n, radius) in [(12, 0.2), (11, 0.2), (10, 0.33), (8, 0.25)] {
        let solver = DiskSolver::new(n, radius).unwrap();
        let cells = solver.cells();
        let mut matrix = Mat::<f64>::zeros(n * n, n * n);
        for i in 0..n {
            for j in 0..n {
                let here = i * n + j;
                for (there, part) in
                    [((i + 1) % n * n + j, cells.face_x[here]), (i * n + (j + 1) % n, cells.face_y[here])]
                {
                    matrix[(here, here)] += part;
                    matrix[(there, there)] += part;
                    matrix[(here, there)] -= part;
                    matrix[(there, here)] -= part;
                }
            }
        }
        let open: Vec<bool> = (0..n * n).map(|i| matrix[(i, i)] > 0.0).collect();
        for i in 0..n * n {
            for j in 0..n * n {
                if open[i] && open[j] {
                    matrix[(i, j)] += 1.0;
                }
            }
            if !open[i] {
                matrix[(i, i)] = 1.0;
            }
        }
        let mut f: Vec<f64> = (0..n * n).map(|i| ((i * i) as f64).sin()).collect();
        let mut u = vec![f64::NAN; n * n];
        solver.solve(&f, &mut u);
        solver.remove_mean(&mut f);
        let square = 1.0 / (n * n) as f64;
        let right = faer::Col::from_fn(n * n, |i| square * solver.weights()[i] * f[i]);
        let solved = matrix.partial_piv_lu().solve(&right);
        let mut solved: Vec<f64> = solved.iter().copied().collect();
        solver.remove_mean(&mut solved);
        assert!(relative_error(&u, &solved) < 1e-11, "n = {n}, R = {radius}: {:e}", relative_error(&u, &solved));
    }
}

#[test]
fn pairs_have_zero_mean_and_solve_the_five_point_equation_away_from_the_circle() {
    let n = 64;
    let problem = build(NAME, |o| o.solver_n = Some(n));
    let solver = DiskSolver::new(n, 0.2).unwrap();
    for family in problem.families() {
        let (f, u) = draw(&*problem, family, 0);
        for field in [&f, &u] {
            let weights = solver.weights();
            let sum: f64 = weights.iter().zip(field).map(|(w, x)| w * x).sum();
            let scale: f64 = weights.iter().zip(field).map(|(w, x)| w * x.abs()).sum();
            assert!(sum.abs() < 1e-13 * scale, "{family}: {sum:e} of {scale:e}");
        }
        let mut solved = vec![0.0; n * n];
        solver.solve(&f, &mut solved);
        assert!(relative_error(&u, &solved) < 1e-13, "{family}");
        let whole = |place: usize| {
            let neighbours = solver.cells().neighbours(place);
            solver.mask()[place] && neighbours.iter().all(|&(other, part)| solver.mask()[other] && part == 1.0)
        };
        let residual = (0..n * n).filter(|&place| whole(place)).map(|place| {
            let sum: f64 = solver.cells().neighbours(place).iter().map(|&(other, _)| u[place] - u[other]).sum();
            sum * (n * n) as f64 - f[place]
        });
        // During the solve one value is zero, so u is larger by its mean: rounding of both.
        let bound = 4e-15 * 8.0 * (n * n) as f64 * largest(u.iter().copied()) + 1e-14 * largest(f.iter().copied());
        let residual = largest(residual);
        assert!(residual < 20.0 * bound, "{family}: {residual:e}, bound {bound:e}");
    }
}

#[test]
fn paper_samples_are_odd_about_the_centre() {
    let (n, problem) = (64, build(NAME, |_| ()));
    let (f, u) = draw(&*problem, Family::Paper, 2);
    for field in [&f, &u] {
        let scale = largest(field.iter().copied());
        for i in 0..n {
            for j in 0..n {
                let (x, y) = ((n - i) % n, (n - j) % n);
                assert!((field[i * n + j] + field[x * n + j]).abs() < 1e-11 * scale, "x");
                assert!((field[i * n + j] + field[i * n + y]).abs() < 1e-11 * scale, "y");
            }
        }
    }
}

#[test]
fn paper_samples_have_the_stated_accuracy() {
    let at = |m: usize| -> Vec<f64> {
        let problem = build(NAME, |o| o.solver_n = Some(m));
        (0..6).flat_map(|index| draw(&*problem, Family::Paper, index).1).collect()
    };
    let (coarse, default, fine) = (at(128), at(256), at(512));
    // The exact solution by extrapolation in h^2.
    let exact: Vec<f64> = fine.iter().zip(&default).map(|(fine, coarse)| fine + (fine - coarse) / 3.0).collect();
    let near_circle = |i: usize| {
        let (x, y) = ((i / 64 % 64) as f64 / 64.0 - 0.5, (i % 64) as f64 / 64.0 - 0.5);
        x.hypot(y) < 0.25
    };
    let scale = largest(exact.iter().copied());
    for (u, mean, maximum) in [(&coarse, 2e-3, 2e-3), (&default, 5e-4, 4e-4)] {
        let error = relative_error(u, &exact);
        let circle = largest((0..u.len()).filter(|&i| near_circle(i)).map(|i| u[i] - exact[i])) / scale;
        let all = largest((0..u.len()).map(|i| u[i] - exact[i])) / scale;
        assert!((0.7..1.4).contains(&(error / mean)), "{error:e}, stated {mean:e}");
        assert!((0.7..1.4).contains(&(circle / maximum)), "{circle:e}, stated {maximum:e}");
        assert!(circle < all, "not worse than elsewhere: {circle:e}, {all:e}");
    }
}

#[test]
fn the_mask_is_outside_the_disk() {
    let problem = build(NAME, |o| o.radius = Some(0.25));
    let (mask, axes) = (problem.mask().unwrap(), problem.coordinates());
    for (place, &inside) in mask.iter().enumerate() {
        // 16/64 = 0.25: the four points on the circle belong to the domain.
        assert_eq!(inside, (axes[0][place / 64] - 0.5).hypot(axes[1][place % 64] - 0.5) >= 0.25);
    }
    assert_masked(&*problem);
    assert_masked(&*build(NAME, |_| ()));
}

#[test]
fn families_span_what_is_stated() {
    for (n, dimensions) in [(21, 87), (22, 89), (24, 94), (27, 99), (32, 100)] {
        let problem = build(NAME, |o| o.n = Some(n));
        assert_eq!(problem.random_dimensions(Family::Paper), dimensions, "n = {n}");
        assert_span(&*problem, Family::Paper);
    }
    for n in [8, 9] {
        let problem = build(NAME, |o| o.n = Some(n));
        for smoothness in 0..3 {
            assert_span(&*problem, Family::Random { smoothness });
        }
    }
}

#[test]
fn covariance_is_that_of_the_cut_cell_laplacian() {
    let problem = build(NAME, |o| o.n = Some(8));
    let solver = DiskSolver::new(8, 0.2).unwrap();
    assert_covariance(&*problem, solver.weights(), 0.0, |f, u| solver.solve(f, u));
}

#[test]
fn disks_that_do_not_fit_are_refused() {
    assert_eq!(
        refusal(NAME, |o| o.radius = Some(0.6)),
        "poisson-2d-disk: radius = 0.6: the disk must lie inside the unit square: above 0, below 0.5"
    );
    for radius in [0.5, 0.0, -0.2, f64::INFINITY, f64::NAN] {
        assert!(refusal(NAME, |o| o.radius = Some(radius)).ends_with("square: above 0, below 0.5"));
    }
    assert_eq!(
        refusal(NAME, |o| o.radius = Some(0.01)),
        "poisson-2d-disk: radius = 0.01: must be at least the grid spacing 1/64; take a finer grid or a larger disk"
    );
    assert_eq!(
        refusal(NAME, |o| o.radius = Some(0.49)),
        "poisson-2d-disk: radius = 0.49: must be at most 1/2 - 1/64 on this grid; take a finer grid or a smaller disk"
    );
    assert!(refusal(NAME, |o| o.n = Some(4)).starts_with("poisson-2d-disk: radius = 0.2: must be at least the grid"));
    assert!(DiskSolver::new(64, f64::NAN).is_err());
}
