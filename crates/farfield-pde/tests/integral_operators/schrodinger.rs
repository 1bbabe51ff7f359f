//! Ground states on a ring: exact solutions, residuals, order, positivity.

use std::f64::consts::PI;

use farfield_pde::{Family, PdeError, RingGroundState};

use super::{build, draw};

/// `u = exp(a cos 2 pi x + b sin 4 pi x)`, scaled to a mean square of 1, is positive; it is the ground state in the potential
/// `V = E + u''/u - beta u^2`.
fn exact(n: usize, beta: f64, eigenvalue: f64) -> (Vec<f64>, Vec<f64>) {
    let (a, b) = (1.1, 0.4);
    let phase = |x: f64| a * (2.0 * PI * x).cos() + b * (4.0 * PI * x).sin();
    // The trapezoidal rule is exact to rounding here.
    let square = (0..256).map(|i| (2.0 * phase(f64::from(i) / 256.0)).exp()).sum::<f64>() / 256.0;
    (0..n)
        .map(|i| {
            let x = i as f64 / n as f64;
            let first = 2.0 * PI * (-a * (2.0 * PI * x).sin() + 2.0 * b * (4.0 * PI * x).cos());
            let second = 4.0 * PI * PI * (-a * (2.0 * PI * x).cos() - 4.0 * b * (4.0 * PI * x).sin());
            let u = phase(x).exp() / square.sqrt();
            (eigenvalue + second + first * first - beta * u * u, u)
        })
        .unzip()
}

#[test]
fn the_order_is_two() {
    for beta in [0.0, 10.0, 300.0] {
        let errors: Vec<[f64; 2]> = [40, 80, 160]
            .iter()
            .map(|&n| {
                let (potential, u) = exact(n, beta, -3.0);
                let ground = RingGroundState::new(&potential, beta).unwrap();
                let worst = ground.state.iter().zip(&u).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                [worst, (ground.eigenvalue + 3.0).abs()]
            })
            .collect();
        for pair in errors.windows(2) {
            for k in [0, 1] {
                let order = (pair[0][k] / pair[1][k]).log2();
                assert!((order - 2.0).abs() < 0.1, "beta = {beta}: {errors:?}, order {order}");
            }
        }
    }
}

#[test]
fn a_constant_potential_has_a_constant_state() {
    let ground = RingGroundState::new(&[7.0; 30], 10.0).unwrap();
    assert!(ground.state.iter().all(|u| (u - 1.0).abs() < 1e-14));
    assert!((ground.eigenvalue - 17.0).abs() < 1e-12);
}

/// Without the cubic term the eigenvalue of the three-point stencil is known for a potential on one point of a coarse ring.
#[test]
fn the_linear_case_is_an_eigenvalue_problem() {
    // (2/h^2 + V) u_0 - 2/h^2 u_1 = E u_0, 2/h^2 (u_1 - u_0) - ... on 4 points: eigenvalues of [[2s + v, -2s, 0], [-s, 2s, -s], [0, -2s, 2s]].
    let (s, v) = (16.0, -5.0);
    let ground = RingGroundState::new(&[v, 0.0, 0.0, 0.0], 0.0).unwrap();
    let e = ground.eigenvalue;
    let d = 2.0 * s - e;
    let determinant = (d + v) * (d * d - 2.0 * s * s) - 2.0 * s * s * d;
    assert!(determinant.abs() < 1e-9 * s.powi(3), "{determinant}");
    assert!(e < -5.0 / 4.0 && e > -5.0, "below the mean of the potential, by Rayleigh's quotient: {e}");
}

fn assert_ground_state(potential: &[f64], u: &[f64], beta: f64) {
    let n = u.len();
    let s = (n * n) as f64;
    assert!(u.iter().all(|&u| u > 0.0));
    assert!((u.iter().map(|u| u * u).sum::<f64>() / n as f64 - 1.0).abs() < 1e-12);
    let action: Vec<f64> = (0..n)
        .map(|i| {
            let curvature = s * (2.0 * u[i] - u[(i + 1) % n] - u[(i + n - 1) % n]);
            curvature + (potential[i] + beta * u[i] * u[i]) * u[i]
        })
        .collect();
    let eigenvalue = action.iter().zip(u).map(|(a, u)| a * u).sum::<f64>() / n as f64;
    let highest = u.iter().copied().fold(0.0, f64::max);
    for (a, u) in action.iter().zip(u) {
        // Rounding of the second difference: 1e-16 times 4 n^2 times u.
        assert!((a - eigenvalue * u).abs() < 1e-14 * s * highest, "{a} against {}", eigenvalue * u);
    }
}

#[test]
fn samples_are_ground_states() {
    let problem = build("nonlinear-schrodinger-1d", |_| ());
    for index in 0..200 {
        let (potential, u) = draw(&*problem, Family::Paper, index);
        let lowest = potential.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = potential.iter().copied().fold(0.0, f64::max);
        assert!((lowest - 1.0).abs() < 1e-12 && (50.0..800.0).contains(&highest), "{lowest} to {highest}");
        assert_ground_state(&potential, &u, 10.0);
    }
}

#[test]
fn a_finer_grid_is_down_sampled() {
    let [coarse, fine, finest] =
        [1, 4, 16].map(|ratio| build("nonlinear-schrodinger-1d", |o| o.solver_n = Some(320 * ratio)));
    let (mut first, mut second) = (0.0f64, 0.0f64);
    for index in 0..10 {
        let [(_, a), (_, b), (_, c)] = [&coarse, &fine, &finest].map(|p| draw(&**p, Family::Paper, index));
        let scale = c.iter().copied().fold(0.0, f64::max);
        let worst = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max) / scale;
        first = first.max(worst(&a, &b));
        second = second.max(worst(&b, &c));
    }
    println!("relative difference from 320 to 1280: {first:.1e}, to 5120: {second:.1e}");
    assert!((8.0..24.0).contains(&(first / second)), "order 2 gives 16: {first:e} {second:e}");
}

/// Two wells that nearly balance: the flow alone needs thousands of steps.
#[test]
fn nearly_symmetric_wells_converge() {
    let n = 320;
    let well = |x: f64, c: f64, depth: f64| -depth * (-(x - c) * (x - c) / 6e-3).exp();
    for tilt in [0.0, 1e-9, 1e-6, 1e-3, 0.1, 1.0] {
        for beta in [1e-3, 10.0] {
            let potential: Vec<f64> = (0..n)
                .map(|i| i as f64 / n as f64)
                .map(|x| well(x, 0.25, 500.0 + tilt) + well(x, 0.75, 500.0))
                .collect();
            let ground = RingGroundState::new(&potential, beta).unwrap();
            assert_ground_state(&potential, &ground.state, beta);
            assert!(ground.state[80] >= ground.state[240] * (1.0 - 1e-6), "the deeper well holds more");
        }
    }
}

#[test]
fn bad_potentials_are_refused() {
    let refused = |potential: &[f64], beta| RingGroundState::new(potential, beta).unwrap_err();
    assert!(matches!(refused(&[1.0, 2.0], 1.0), PdeError::Size { value: 2, .. }));
    assert!(matches!(refused(&[1.0, f64::NAN, 2.0], 1.0), PdeError::Value { field: "potential", .. }));
    for beta in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(refused(&[1.0; 5], beta), PdeError::Value { field: "beta", .. }));
    }
}
