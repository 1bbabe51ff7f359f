//! Exponential time differencing: its functions, what it solves exactly, and its order.

use std::f64::consts::PI;

use farfield_pde::{Etdrk4, phi_functions};
use rustfft::num_complex::Complex;

/// phi_1, phi_2, phi_3 as means over a circle around z (Kassam and Trefethen), where their quotients
/// do not cancel.
fn phi_by_contour(z: f64) -> [f64; 3] {
    let points = 64;
    let mut sums = [0.0; 3];
    for j in 0..points {
        let w = z + Complex::from_polar(2.0, 2.0 * PI * (f64::from(j) + 0.5) / f64::from(points));
        let phi_1 = (w.exp() - 1.0) / w;
        let phi_2 = (phi_1 - 1.0) / w;
        let phi_3 = (phi_2 - 0.5) / w;
        for (sum, phi) in sums.iter_mut().zip([phi_1, phi_2, phi_3]) {
            *sum += phi.re / f64::from(points);
        }
    }
    sums
}

#[test]
fn phi_functions_agree_with_contour_integrals() {
    let magnitudes = [0.0, 1e-300, 1e-12, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999_999, 1.0, 1.000_001, 1.5, 2.0, 5.0];
    for z in magnitudes.into_iter().flat_map(|m| [m, -m]).chain([-30.0, -1e3, -1e6]) {
        for (k, (phi, expected)) in phi_functions(z).into_iter().zip(phi_by_contour(z)).enumerate() {
            let error = (phi - expected).abs() / expected;
            assert!(error < 2e-14, "phi_{} of {z}: {error:e}", k + 1);
        }
    }
    assert_eq!(phi_functions(0.0), [1.0, 0.5, 1.0 / 6.0]);
}

#[test]
fn linear_equations_with_a_constant_term_are_solved_exactly() {
    let rates = [-1e4, -30.0, -1.0, -1e-3, -1e-9, 0.0, 1e-9, 0.5, 3.0];
    let scheme = Etdrk4::new(0.7, &rates);
    let mut stages = scheme.stages();
    let (start, constant) = (2.0, -1.5);
    let mut state = [start; 9];
    for step in 1..=3 {
        scheme.advance(0.0, &mut state, &mut stages, |_, _, out| out.fill(constant));
        let t = 0.7 * f64::from(step);
        for (&u, &rate) in state.iter().zip(&rates) {
            let exact = start * (rate * t).exp() + constant * t * phi_functions(rate * t)[0];
            assert!((u - exact).abs() < 1e-14 * exact.abs().max(1.0), "rate {rate}, step {step}: {u} not {exact}");
        }
    }
}

#[test]
fn without_a_linear_part_it_is_the_classical_runge_kutta_method() {
    let f = |t: f64, u: f64| (t + u).sin() - 0.3 * u * u;
    let h = 0.4;
    let scheme = Etdrk4::new(h, &[0.0]);
    let mut state = [0.8];
    scheme.advance(0.25, &mut state, &mut scheme.stages(), |t, u, out| out[0] = f(t, u[0]));
    let (t, u) = (0.25, 0.8);
    let k1 = f(t, u);
    let k2 = f(t + h / 2.0, u + h / 2.0 * k1);
    let k3 = f(t + h / 2.0, u + h / 2.0 * k2);
    let k4 = f(t + h, u + h * k3);
    let expected = u + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
    assert!((state[0] - expected).abs() < 1e-15);
}

/// Largest error at time 2 for complex components `u' = rate u + N(t, u)` with the solution `z(t) = exp(i t) / (1 + t)`:
/// `N = z' - rate z + (u^2 - z^2)`.
fn error_with_steps(steps: usize, rates: &[f64]) -> f64 {
    let exact = |t: f64| Complex::from_polar(1.0 / (1.0 + t), t);
    let h = 2.0 / steps as f64;
    let scheme = Etdrk4::new(h, rates);
    let mut stages = scheme.stages();
    let mut state = vec![exact(0.0); rates.len()];
    for step in 0..steps {
        scheme.advance(step as f64 * h, &mut state, &mut stages, |t, u, out| {
            let z = exact(t);
            let derivative = z * Complex::new(-1.0 / (1.0 + t), 1.0);
            for ((out, u), rate) in out.iter_mut().zip(u).zip(rates) {
                *out = derivative - z * *rate + u * u - z * z;
            }
        });
    }
    state.iter().map(|u| (u - exact(2.0)).norm()).fold(0.0, f64::max)
}

#[test]
fn the_order_is_four() {
    for rates in [&[0.0][..], &[-1.0], &[-5.0], &[-0.3, -2.0]] {
        let errors = [40, 80, 160].map(|steps| error_with_steps(steps, rates));
        for pair in errors.windows(2) {
            let order = (pair[0] / pair[1]).log2();
            assert!((order - 4.0).abs() < 0.2, "rates {rates:?}: order {order:.3}, errors {errors:?}");
        }
        assert!(errors[2] < 1e-7, "rates {rates:?}: {errors:?}");
    }
}

/// The step is 4000 times the time of the fastest component; the order falls, the error is small.
#[test]
fn stiff_components_do_not_limit_the_step() {
    let errors = [50, 100].map(|steps| error_with_steps(steps, &[-1.0, -1e3, -1e5]));
    assert!(errors[0] < 1e-7 && errors[1] < errors[0], "{errors:?}");
}
