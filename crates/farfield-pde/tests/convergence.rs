//! Observed orders of convergence on exact solutions that are no eigenfunctions.

use std::f64::consts::PI;

use farfield_pde::{
    DirichletSolver, Family, NeumannSolver, ProblemOptions, SampleKey, SineTransform, Stencil, Stream, problem,
};

/// `x^2 (3 - 2x) sin(2 pi x)` and its second derivative; both vanish at the ends.
fn bent_wave(x: f64) -> (f64, f64) {
    let (s, c) = (2.0 * PI * x).sin_cos();
    let (q, q1, q2) = (x * x * (3.0 - 2.0 * x), 6.0 * x * (1.0 - x), 6.0 - 12.0 * x);
    (q * s, q2 * s + 4.0 * PI * q1 * c - 4.0 * PI * PI * q * s)
}

/// `x - 2x^3 + x^4` and its second derivative; both vanish at the ends.
fn beam(x: f64) -> (f64, f64) {
    (x - 2.0 * x.powi(3) + x.powi(4), 12.0 * x * (x - 1.0))
}

/// `bent_wave(x_0) beam(x_1) ... + 3 beam(x_0) ... beam(x_d)` and minus its Laplacian at the stored
/// points.
fn exact(axes: usize, n: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut u, mut f) = (Vec::new(), Vec::new());
    for i in 0..n.pow(axes as u32) {
        let x: Vec<f64> = (0..axes).map(|axis| (i / n.pow(axis as u32) % n) as f64 / n as f64).collect();
        let (mut value, mut minus_laplacian) = (0.0, 0.0);
        for (weight, bent) in [(1.0, true), (3.0, false)] {
            let factors: Vec<(f64, f64)> =
                x.iter().enumerate().map(|(axis, &x)| if bent && axis == 0 { bent_wave(x) } else { beam(x) }).collect();
            value += weight * factors.iter().map(|p| p.0).product::<f64>();
            for derived in 0..axes {
                let product: f64 =
                    factors.iter().enumerate().map(|(axis, p)| if axis == derived { p.1 } else { p.0 }).product();
                minus_laplacian -= weight * product;
            }
        }
        u.push(value);
        f.push(minus_laplacian);
    }
    (u, f)
}

fn relative_error(x: &[f64], exact: &[f64]) -> f64 {
    let error: f64 = x.iter().zip(exact).map(|(a, b)| (a - b) * (a - b)).sum();
    let norm: f64 = exact.iter().map(|b| b * b).sum();
    (error / norm).sqrt()
}

fn assert_order(what: &str, errors: &[f64], expected: f64) {
    for pair in errors.windows(2) {
        let order = (pair[0] / pair[1]).log2();
        assert!((order - expected).abs() < 0.15, "{what}: order {order:.3}, expected {expected}; errors {errors:?}");
    }
}

#[test]
fn dirichlet_solver_has_the_order_of_its_stencil() {
    for (axes, sizes) in [(1, &[32, 64, 128, 256][..]), (2, &[16, 32, 64, 128]), (3, &[16, 32, 64])] {
        for stencil in [Stencil::SecondOrder, Stencil::FourthOrderCross, Stencil::FourthOrderCompact] {
            let errors: Vec<f64> = sizes
                .iter()
                .map(|&n| {
                    let (u, f) = exact(axes, n);
                    let mut solved = vec![0.0; u.len()];
                    DirichletSolver::new(axes, n, stencil).solve(&f, &mut solved);
                    relative_error(&solved, &u)
                })
                .collect();
            let what = format!("{stencil:?} in {axes}D");
            assert_order(&what, &errors, f64::from(stencil.order()));
        }
    }
}

#[test]
fn neumann_solver_has_the_order_of_its_stencil() {
    for stencil in [Stencil::SecondOrder, Stencil::FourthOrderCross] {
        let errors: Vec<f64> = [32, 64, 128, 256]
            .iter()
            .map(|&intervals| {
                let solver = NeumannSolver::new(intervals + 1, stencil);
                let (mut u, f): (Vec<f64>, Vec<f64>) = (0..=intervals)
                    .map(|i| {
                        // u = p(x) cos(2 pi x) with p' = beam: u', u''' and f' vanish at the ends.
                        let x = i as f64 / intervals as f64;
                        let p = x * x / 2.0 - x.powi(4) / 2.0 + x.powi(5) / 5.0;
                        let (p1, _) = beam(x);
                        let p2 = 1.0 - 6.0 * x * x + 4.0 * x.powi(3);
                        let (s, c) = (2.0 * PI * x).sin_cos();
                        let second = p2 * c - 4.0 * PI * p1 * s - 4.0 * PI * PI * p * c;
                        (p * c, -second)
                    })
                    .unzip();
                let mut solved = vec![0.0; u.len()];
                solver.solve(&f, &mut solved);
                solver.remove_mean(&mut u);
                relative_error(&solved, &u)
            })
            .collect();
        let what = format!("Neumann, {stencil:?}");
        assert_order(&what, &errors, f64::from(stencil.order()));
    }
}

/// Root mean square over samples of the relative error of u against the exact series, family
/// `paper` in 1D, at `solver_n` points.
fn error_of_scheme(scheme: &str, solver_n: usize) -> f64 {
    let n = 64;
    let options = |scheme: &str| ProblemOptions {
        n: Some(n),
        solver_n: Some(solver_n),
        scheme: Some(scheme.to_owned()),
        ..ProblemOptions::default()
    };
    let tested = problem("poisson-1d", &options(scheme)).unwrap();
    let reference = problem("poisson-1d", &options("fourth-order")).unwrap();
    let transform = SineTransform::new(1, n);
    let samples = 8;
    let mut squares = 0.0;
    for index in 0..samples {
        let key = SampleKey { seed: 5, stream: Stream::Test, index };
        let (mut f, mut u) = (vec![0.0; n], vec![0.0; n]);
        tested.sample(Family::Paper, key, &mut f, &mut u).unwrap();
        // The same key in another scheme has the same coefficients; read them off f, which that
        // scheme leaves as it is.
        let mut exact = vec![0.0; n];
        let mut unused = vec![0.0; n];
        reference.sample(Family::Paper, key, &mut exact, &mut unused).unwrap();
        transform.apply(&mut exact);
        transform.for_each_mode(&mut exact, |k, value| {
            *value *= transform.inverse_factor() / (PI * k[0] as f64).powi(2);
        });
        transform.apply(&mut exact);
        squares += relative_error(&u, &exact).powi(2);
    }
    (squares / samples as f64).sqrt()
}

#[test]
fn orders_of_the_schemes_in_1d_on_the_papers_data() {
    for (scheme, order, at_1024) in [
        ("fourth-order", 4.0, 4e-9),
        ("paper", 3.0, 1.5e-5),
        ("paper-truncated", 1.0, 2e-3),
        ("second-order", 2.0, 2e-5),
    ] {
        let errors = [512, 1024, 2048].map(|n| error_of_scheme(scheme, n));
        assert_order(scheme, &errors, order);
        let ratio = errors[1] / at_1024;
        assert!((0.6..1.6).contains(&ratio), "{scheme} at n = 1024: {:e}, documented {at_1024:e}", errors[1]);
    }
}
