//! `helmholtz-2d`.

use std::f64::consts::PI;

use farfield_pde::{Family, HelmholtzScheme, HelmholtzSolver, SineTransform};

use crate::{assert_covariance, assert_order, assert_span, build, draw, largest, refusal, relative_error};

const NAME: &str = "helmholtz-2d";

/// Relative error for `u = exp(sin(2 pi x) + cos(2 pi y))` on n x n points.
fn error(n: usize, kappa: f64, scheme: HelmholtzScheme) -> f64 {
    let a = 2.0 * PI;
    let (u, f): (Vec<f64>, Vec<f64>) = (0..n * n)
        .map(|i| {
            let (sx, cx) = (a * (i / n) as f64 / n as f64).sin_cos();
            let (sy, cy) = (a * (i % n) as f64 / n as f64).sin_cos();
            let u = (sx + cy).exp();
            let laplacian = a * a * (cx * cx - sx + sy * sy - cy) * u;
            (u, -laplacian - kappa * kappa * u)
        })
        .unzip();
    let mut solved = vec![f64::NAN; n * n];
    HelmholtzSolver::new(n, kappa, scheme).unwrap().solve(&f, &mut solved);
    relative_error(&solved, &u)
}

#[test]
fn orders_on_a_solution_that_is_no_eigenfunction() {
    for kappa in [3.0, 70.0] {
        let errors = [32, 64, 128, 256].map(|n| error(n, kappa, HelmholtzScheme::FourthOrder));
        assert_order(&format!("fourth-order, kappa = {kappa}"), &errors, 4.0, 0.15);
        let error = error(48, kappa, HelmholtzScheme::Spectral);
        assert!(error < 1e-12, "spectral, kappa = {kappa}: {error:e}");
    }
}

#[test]
fn the_resonant_wave_has_order_four_and_the_stated_error() {
    // sin(10 pi x) sin(20 pi y): eigenvalue 4 pi^2 125, gap 34.80.
    let errors = [128, 256, 512].map(|n| {
        let f: Vec<f64> = (0..n * n)
            .map(|i| {
                let (x, y) = ((i / n) as f64 / n as f64, (i % n) as f64 / n as f64);
                (10.0 * PI * x).sin() * (20.0 * PI * y).sin()
            })
            .collect();
        let exact: Vec<f64> = f.iter().map(|f| f / (500.0 * PI * PI - 4900.0)).collect();
        let mut u = vec![0.0; n * n];
        HelmholtzSolver::new(n, 70.0, HelmholtzScheme::FourthOrder).unwrap().solve(&f, &mut u);
        relative_error(&u, &exact)
    });
    assert_order("resonant wave", &errors, 4.0, 0.15);
    assert!((0.013..0.015).contains(&errors[0]), "1.4 % at 128 points: {errors:?}");
}

#[test]
fn nearest_eigenvalues_are_the_stated_ones() {
    for (n, scheme, stated) in [
        (64, HelmholtzScheme::Spectral, 34.8022),
        (128, HelmholtzScheme::FourthOrder, 33.1873),
        (64, HelmholtzScheme::FourthOrder, 8.1153),
    ] {
        let (wave, gap) = HelmholtzSolver::new(n, 70.0, scheme).unwrap().nearest_eigenvalue();
        assert_eq!(wave, (2, 11));
        assert!((gap - stated).abs() < 1e-4, "{gap}");
    }
    let facts = build(NAME, |_| ()).facts();
    let fact = |key: &str| facts.iter().find(|f| f.0 == key).unwrap().1.as_str();
    assert_eq!(fact("nearest_eigenvalue_paper"), "wave vector (2, 11): eigenvalue of -Laplace minus kappa^2 = 33.1873");
    assert!(fact("scheme_paper").starts_with("fourth-order") && fact("scheme_random").starts_with("spectral"));
}

/// f and u of family `paper` against the printed series; `error` is the relative error of u.
fn error_on_paper_data(scheme: &str) -> f64 {
    let (n, problem) = (64, build(NAME, |o| o.scheme = Some(scheme.to_owned())));
    let transform = SineTransform::new(2, n);
    let (mut all, mut exact) = (Vec::new(), Vec::new());
    for index in 0..10 {
        let (f, u) = draw(&*problem, Family::Paper, index);
        let mut waves = f.clone();
        transform.apply(&mut waves);
        transform.for_each_mode(&mut waves, |k, value| {
            let coefficient = *value * transform.inverse_factor();
            if k.iter().all(|k| k % 2 == 0 && *k <= 20) {
                assert!((-1e-12..1.0).contains(&coefficient));
            } else {
                assert!(coefficient.abs() < 1e-12, "{k:?}");
            }
            let squares = (k[0] * k[0] + k[1] * k[1]) as f64;
            *value = coefficient / (PI * PI * squares - 4900.0);
        });
        transform.apply(&mut waves);
        for field in [&f, &u] {
            let mean = field.iter().sum::<f64>() / (n * n) as f64;
            assert!(mean.abs() < 1e-14 * largest(field.iter().copied()), "zero mean: {mean:e}");
        }
        all.extend(u);
        exact.extend(waves);
    }
    relative_error(&all, &exact)
}

#[test]
fn paper_samples_are_the_printed_series_and_its_solution() {
    let error = error_on_paper_data("spectral");
    assert!(error < 1e-12, "spectral: {error:e}");
    let error = error_on_paper_data("fourth-order");
    assert!((0.009..0.02).contains(&error), "fourth-order, 1.3e-2 stated: {error:e}");
}

#[test]
fn random_pairs_solve_the_compact_equation_to_rounding() {
    let (n, square) = (32, 4900.0);
    let problem = build(NAME, |o| (o.n, o.scheme) = (Some(n), Some("fourth-order".to_owned())));
    for smoothness in 0..3 {
        let (f, u) = draw(&*problem, Family::Random { smoothness }, 0);
        let residual = (0..n * n).map(|place| {
            let at = |field: &[f64], di: usize, dj: usize| field[(place / n + di) % n * n + (place % n + dj) % n];
            let last = n - 1;
            let edges = |field: &[f64]| at(field, 1, 0) + at(field, last, 0) + at(field, 0, 1) + at(field, 0, last);
            let corners = at(&u, 1, 1) + at(&u, 1, last) + at(&u, last, 1) + at(&u, last, last);
            let laplace = (20.0 * u[place] - 4.0 * edges(&u) - corners) / 6.0 * (n * n) as f64;
            laplace - square * (8.0 * u[place] + edges(&u)) / 12.0 - (8.0 * f[place] + edges(&f)) / 12.0
        });
        let residual = largest(residual);
        let bound = 1e-15 * 8.0 * (n * n) as f64 * largest(u.iter().copied()) + 1e-14 * largest(f.iter().copied());
        assert!(residual < 20.0 * bound, "s{smoothness}: {residual:e}, bound {bound:e}");
    }
}

#[test]
fn families_span_what_is_stated() {
    for n in [21, 24] {
        assert_span(&*build(NAME, |o| o.n = Some(n)), Family::Paper);
    }
    for n in [7, 8] {
        let problem = build(NAME, |o| o.n = Some(n));
        assert_eq!(problem.random_dimensions(Family::Random { smoothness: 0 }), n * n);
        for smoothness in 0..3 {
            assert_span(&*problem, Family::Random { smoothness });
        }
    }
}

#[test]
fn covariance_is_that_of_the_periodic_laplacian() {
    let kappa = 1.5;
    for n in [7, 8] {
        let problem = build(NAME, |o| (o.n, o.wave_number) = (Some(n), Some(kappa)));
        let solver = HelmholtzSolver::new(n, kappa, HelmholtzScheme::Spectral).unwrap();
        assert_covariance(&*problem, &vec![1.0; n * n], kappa * kappa, |f, u| solver.solve(f, u));
    }
}

#[test]
fn resonances_and_bad_wave_numbers_are_refused() {
    // 2 pi 5 = 2 pi |(3, 4)| = 2 pi |(0, 5)|.
    let message = refusal(NAME, |o| (o.wave_number, o.scheme) = (Some(10.0 * PI), Some("spectral".to_owned())));
    assert!(message.starts_with("helmholtz-2d: wave_number = 31.41592653589793: resonance: kappa^2 is within "));
    assert!(message.contains("eigenvalue of wave vector (0, 5) on 128 x 128 points"), "{message}");
    // The fourth-order operator resonates elsewhere, on each grid.
    for (n, grid) in [(64, 128), (32, 64)] {
        let (_, gap) = HelmholtzSolver::new(grid, 70.0, HelmholtzScheme::FourthOrder).unwrap().nearest_eigenvalue();
        let kappa = (4900.0 + gap).sqrt();
        assert!(HelmholtzSolver::new(grid, kappa, HelmholtzScheme::Spectral).is_ok());
        let message = refusal(NAME, |o| (o.n, o.wave_number) = (Some(n), Some(kappa)));
        assert!(message.contains(&format!("wave vector (2, 11) on {grid} x {grid} points")), "{message}");
    }
    for kappa in [-70.0, 0.0, f64::NAN, f64::INFINITY] {
        let message = refusal(NAME, |o| o.wave_number = Some(kappa));
        assert!(message.ends_with("must be a positive number"), "{message}");
    }
    // Not a resonance, only near one.
    assert!(build(NAME, |o| o.wave_number = Some(10.0 * PI + 0.01)).mask().is_none());
}
