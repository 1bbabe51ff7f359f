//! Navier-Stokes equations: exact and manufactured solutions, invariants, the random field, errors.

use std::f64::consts::PI;

use farfield_pde::{
    Evolution, Family, Fourier2d, NavierStokes2d, PdeError, Problem, ProblemOptions, SampleKey, Stream,
    VorticitySolver, evolution, problem,
};
use rustfft::num_complex::Complex;

const TURN: f64 = 2.0 * PI;

fn options(n: usize) -> ProblemOptions {
    ProblemOptions { n: Some(n), ..ProblemOptions::default() }
}

fn key(index: u64) -> SampleKey {
    SampleKey { seed: 5, stream: Stream::Train, index }
}

fn points(n: usize) -> impl Iterator<Item = (f64, f64)> {
    (0..n * n).map(move |i| ((i / n) as f64 / n as f64, (i % n) as f64 / n as f64))
}

fn spectrum_of(fourier: &Fourier2d, field: &[f64]) -> Vec<Complex<f64>> {
    let mut spectrum = vec![Complex::default(); fourier.spectrum_len()];
    fourier.forward(field, &mut spectrum, &mut fourier.scratch());
    spectrum
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    rms(&difference) / rms(b)
}

fn assert_order(what: &str, errors: &[f64], least: f64, most: f64) {
    for pair in errors.windows(2) {
        let order = (pair[0] / pair[1]).log2();
        assert!((least..most).contains(&order), "{what}: order {order:.2}, errors {errors:?}");
    }
}

/// Integrates in one interval from the first field of `states` to the second.
fn run(
    solver: &VorticitySolver,
    steps: usize,
    states: &mut [f64],
    forcing: impl FnMut(f64, &mut [Complex<f64>]),
) -> Result<(), PdeError> {
    let (first, last) = states.split_at_mut(solver.fourier().field_len());
    solver.integrate(first, 1, steps, forcing, |_, w| last.copy_from_slice(w))
}

/// A wave `amplitude(t) cos(2 pi (k.x) + phase)`; in a vorticity, and in its stream function.
struct Wave {
    k: (f64, f64),
    phase: f64,
    amplitude: fn(f64) -> (f64, f64),
}

const WAVES: [Wave; 3] = [
    Wave { k: (1.0, 0.0), phase: 0.3, amplitude: |t| (6.0 + 2.0 * (3.0 * t).sin(), 6.0 * (3.0 * t).cos()) },
    Wave { k: (1.0, 2.0), phase: 1.1, amplitude: |t| (8.0 * (2.0 * t).cos(), -16.0 * (2.0 * t).sin()) },
    Wave { k: (-2.0, 1.0), phase: 0.0, amplitude: |t| (5.0 * (-t).exp(), -5.0 * (-t).exp()) },
];

/// The vorticity, and the forcing that makes it a solution.
fn manufactured(viscosity: f64, t: f64, (x, y): (f64, f64)) -> (f64, f64) {
    let [mut w, mut w_t, mut w_x, mut w_y, mut laplacian, mut u, mut v] = [0.0; 7];
    for wave in &WAVES {
        let (kx, ky) = (TURN * wave.k.0, TURN * wave.k.1);
        let square = kx * kx + ky * ky;
        let (sin, cos) = (kx * x + ky * y + wave.phase).sin_cos();
        let (a, a_t) = (wave.amplitude)(t);
        w += a * cos;
        w_t += a_t * cos;
        w_x -= a * kx * sin;
        w_y -= a * ky * sin;
        laplacian -= a * square * cos;
        // psi = a cos / square; u = psi_y, v = -psi_x.
        u -= a * ky / square * sin;
        v += a * kx / square * sin;
    }
    (w, w_t + u * w_x + v * w_y - viscosity * laplacian)
}

fn manufactured_error(steps: usize) -> f64 {
    let (n, viscosity, end) = (20, 0.02, 0.5);
    let solver = VorticitySolver::new("test", n, viscosity, end / steps as f64);
    let mut states = vec![0.0; 2 * n * n];
    for (value, at) in states.iter_mut().zip(points(n)) {
        *value = manufactured(viscosity, 0.0, at).0;
    }
    let forcing = |t: f64, out: &mut [Complex<f64>]| {
        let forcing: Vec<f64> = points(n).map(|at| manufactured(viscosity, t, at).1).collect();
        for (out, q) in out.iter_mut().zip(spectrum_of(solver.fourier(), &forcing)) {
            *out += q;
        }
    };
    run(&solver, steps, &mut states, forcing).unwrap();
    let exact: Vec<f64> = points(n).map(|at| manufactured(viscosity, end, at).0).collect();
    distance(&states[n * n..], &exact)
}

#[test]
fn a_manufactured_solution_with_advection_is_met_to_order_four() {
    let errors = [20, 40, 80].map(manufactured_error);
    assert_order("manufactured", &errors, 3.8, 4.4);
    assert!(errors[2] < 1e-6, "{errors:?}");
    // Without the advection the forcing is another one: the solution is far from a sum of decaying waves.
    let advection: Vec<f64> = points(20)
        .map(|at| {
            manufactured(0.0, 0.0, at).1 - WAVES.iter().map(|w| (w.amplitude)(0.0).1 * wave_at(w, at)).sum::<f64>()
        })
        .collect();
    assert!(rms(&advection) > 1.0);
}

fn wave_at(wave: &Wave, (x, y): (f64, f64)) -> f64 {
    (TURN * (wave.k.0 * x + wave.k.1 * y) + wave.phase).cos()
}

/// Energy |velocity|^2/2 and enstrophy w^2/2, means over the torus.
fn invariants(fourier: &Fourier2d, w: &[f64]) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for ((k0, k1), c) in fourier.wave_numbers().zip(spectrum_of(fourier, w)) {
        let square = TURN * TURN * f64::from(k0 * k0 + k1 * k1);
        let weight = if k1 == 0 { 0.5 } else { 1.0 };
        if square > 0.0 {
            sums.0 += weight * c.norm_sqr() / square;
        }
        sums.1 += weight * c.norm_sqr();
    }
    sums
}

#[test]
fn energy_and_enstrophy_are_conserved_up_to_the_error_in_time() {
    let n = 32;
    let scale = ProblemOptions { horizon: Some(1e-3), time_step: Some(1e-3), solver_step: Some(1e-3), ..options(n) };
    let (mut energies, mut enstrophies, mut moved) = (Vec::new(), Vec::new(), 0.0);
    for steps in [50, 100, 200] {
        let solver = VorticitySolver::new("test", n, 0.0, 1.0 / steps as f64);
        let mut start = vec![0.0; 2 * n * n];
        NavierStokes2d::new(&scale).unwrap().trajectory(Family::Paper, key(0), &mut [], &mut start).unwrap();
        let mut states = start[..n * n].iter().map(|w| 100.0 * w).chain(vec![0.0; n * n]).collect::<Vec<f64>>();
        run(&solver, steps, &mut states, |_, _| ()).unwrap();
        let (first, last) = states.split_at(n * n);
        let (before, after) = (invariants(solver.fourier(), first), invariants(solver.fourier(), last));
        energies.push((after.0 / before.0 - 1.0).abs());
        enstrophies.push((after.1 / before.1 - 1.0).abs());
        moved = distance(last, first);
    }
    assert!(moved > 0.5, "the flow must do something: {moved}");
    // Runge-Kutta 4 loses quadratic invariants at order 5.
    assert_order("energy", &energies, 3.8, 5.6);
    assert_order("enstrophy", &enstrophies, 3.8, 5.6);
    assert!(energies[2] < 1e-5 && enstrophies[2] < 1e-4, "{energies:?} {enstrophies:?}");
}

#[test]
fn a_single_wave_decays_at_its_rate() {
    let (n, viscosity) = (12, 0.01);
    let solver = VorticitySolver::new("test", n, viscosity, 0.1);
    let wave = Wave { k: (2.0, -1.0), phase: 0.7, amplitude: |_| (1.0, 0.0) };
    let first: Vec<f64> = points(n).map(|at| wave_at(&wave, at)).collect();
    let mut states = first.iter().copied().chain(vec![0.0; n * n]).collect::<Vec<f64>>();
    run(&solver, 10, &mut states, |_, _| ()).unwrap();
    let decay = (-viscosity * TURN * TURN * 5.0).exp();
    for (last, first) in states[n * n..].iter().zip(&first) {
        assert!((last - decay * first).abs() < 1e-14);
    }
}

/// The equation as `facts` state it, evaluated in the convective form that the solver does not use.
#[test]
fn trajectories_solve_the_stated_equation() {
    let (n, h, viscosity) = (32, 1e-3, 4e-3);
    let small = ProblemOptions {
        horizon: Some(2.0 * h),
        time_step: Some(h),
        solver_step: Some(h),
        viscosity: Some(viscosity),
        initial_scale: Some(50.0),
        ..options(n)
    };
    let flow = NavierStokes2d::new(&small).unwrap();
    assert!(flow.facts().iter().any(|(name, fact)| *name == "equation" && fact.contains("0.004 Laplace w")));
    let mut states = vec![0.0; 3 * n * n];
    flow.trajectory(Family::Paper, key(1), &mut [], &mut states).unwrap();
    let fourier = Fourier2d::new(n);
    let w = spectrum_of(&fourier, &states[n * n..2 * n * n]);
    let field = |factor: &dyn Fn(f64, f64) -> Complex<f64>| {
        let spectrum: Vec<_> = fourier
            .wave_numbers()
            .zip(&w)
            .map(|((k0, k1), w)| factor(TURN * f64::from(k0), TURN * f64::from(k1)) * w)
            .collect();
        let mut field = vec![0.0; n * n];
        fourier.inverse_one(&spectrum, &mut field, &mut fourier.scratch());
        field
    };
    let inverse = |x: f64, y: f64| if x == 0.0 && y == 0.0 { 0.0 } else { 1.0 / (x * x + y * y) };
    let (w_x, w_y) = (field(&|x, _| Complex::new(0.0, x)), field(&|_, y| Complex::new(0.0, y)));
    let u = field(&|x, y| Complex::new(0.0, y * inverse(x, y)));
    let v = field(&|x, y| Complex::new(0.0, -x * inverse(x, y)));
    let laplacian = field(&|x, y| Complex::new(-x * x - y * y, 0.0));
    let advection: Vec<f64> = (0..n * n).map(|i| u[i] * w_x[i] + v[i] * w_y[i]).collect();
    let mut kept = vec![0.0; n * n];
    fourier.inverse_one(&spectrum_of(&fourier, &advection), &mut kept, &mut fourier.scratch());
    let (mut derivative, mut expected) = (Vec::new(), Vec::new());
    for (i, (x, y)) in points(n).enumerate() {
        let q = 0.1 * ((TURN * (x + y)).sin() + (TURN * (x + y)).cos());
        expected.push(viscosity * laplacian[i] - kept[i] + q);
        derivative.push((states[2 * n * n + i] - states[i]) / (2.0 * h));
    }
    let error = distance(&derivative, &expected);
    assert!(error < 2e-4, "{error:e}");
    assert!(rms(&kept) > 0.05 && rms(&laplacian) * viscosity > 0.05, "every term counts");
}

#[test]
fn the_random_field_has_the_stated_covariance() {
    let (n, count) = (16, 600);
    let fourier = Fourier2d::new(n);
    for scale in [1.0, 6.086] {
        let small =
            ProblemOptions { horizon: Some(0.01), time_step: Some(0.01), initial_scale: Some(scale), ..options(n) };
        let flow = NavierStokes2d::new(&small).unwrap();
        let mut ratios = vec![0.0; fourier.spectrum_len()];
        let mut real_parts = vec![0.0; fourier.spectrum_len()];
        let mut states = vec![0.0; 2 * n * n];
        for index in 0..count {
            flow.trajectory(Family::Paper, key(index), &mut [], &mut states).unwrap();
            let spectrum = spectrum_of(&fourier, &states[..n * n]);
            for (i, ((k0, k1), c)) in fourier.wave_numbers().zip(spectrum).enumerate() {
                let square = TURN * TURN * f64::from(k0 * k0 + k1 * k1);
                let variance = scale * scale * 7_f64.powf(1.5) * (square + 49.0).powf(-2.5);
                ratios[i] += c.norm_sqr() / variance / count as f64;
                real_parts[i] += 2.0 * c.re * c.re / variance / count as f64;
            }
        }
        // |c|^2 over its mean is exponentially distributed, 2 Re(c)^2 over it chi-squared.
        let deviation = 1.0 / (count as f64).sqrt();
        assert!(ratios[0] < 1e-20, "no mean");
        for (i, (ratio, real)) in ratios.iter().zip(&real_parts).enumerate().skip(1) {
            assert!((ratio - 1.0).abs() < 5.0 * deviation, "place {i}: {ratio}");
            assert!((real - 1.0).abs() < 5.0 * 2.0_f64.sqrt() * deviation, "place {i}: {real}");
        }
        let independent = ratios.len() - 1;
        let mean: f64 = ratios[1..].iter().sum::<f64>() / independent as f64;
        // The line k_1 = 0 holds pairs k, -k with the same value.
        let bound = 4.0 * deviation * (1.2 / independent as f64).sqrt();
        assert!((mean - 1.0).abs() < bound, "mean {mean}, bound {bound}");
    }
}

#[test]
fn a_step_above_the_cfl_limit_is_an_error_that_says_what_would_do() {
    let fast = ProblemOptions { initial_scale: Some(2000.0), solver_step: Some(0.1), ..options(32) };
    let flow = NavierStokes2d::new(&fast).unwrap();
    let mut states = vec![0.0; 11 * 32 * 32];
    let error = flow.trajectory(Family::Paper, key(0), &mut [], &mut states).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, PdeError::Integration { problem: "navier-stokes", time: 0.0, .. }), "{message}");
    let start = "navier-stokes: the integration failed at time 0: a step of 0.1 is unstable at the velocity ";
    assert!(message.starts_with(start) && !message.contains('\n'), "{message}");
    let advice: f64 = message.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((1e-5..1e-1).contains(&advice), "{message}");
    // A later time is named, and what would do at the start is enough for a decaying flow.
    let spin_up = VorticitySolver::new("test", 32, 1e-3, 0.1);
    let mut states = vec![0.0; 2 * 32 * 32];
    let forced = |_: f64, out: &mut [Complex<f64>]| out[1] += 1.0;
    match run(&spin_up, 50, &mut states, forced) {
        Err(PdeError::Integration { time, .. }) => assert!((0.05..4.9).contains(&time), "{time}"),
        other => panic!("{other:?}"),
    }
    let steps = (0.1 / advice).ceil();
    let finer = ProblemOptions { solver_step: Some(0.1 / steps), horizon: Some(0.1), ..fast };
    let mut states = vec![0.0; 2 * 32 * 32];
    NavierStokes2d::new(&finer).unwrap().trajectory(Family::Paper, key(0), &mut [], &mut states).unwrap();
    assert!(states.iter().all(|w| w.is_finite()) && rms(&states[1024..]) < rms(&states[..1024]));
    let error = run(&spin_up, 1, &mut [f64::NAN; 2 * 1024], |_, _| ()).unwrap_err().to_string();
    assert_eq!(error, "test: the integration failed at time 0: the initial vorticity is not finite");
}

#[test]
fn maps_are_the_ends_of_the_trajectory() {
    let n = 16;
    let flow = evolution("navier-stokes", &options(n)).unwrap();
    assert_eq!((flow.fields(), flow.scalars().len(), flow.grid()), (vec!["w"], 0, vec![n, n]));
    assert_eq!(flow.times(), (0..=10).map(|i| f64::from(i) / 10.0).collect::<Vec<_>>());
    let mut states = vec![0.0; 11 * n * n];
    flow.trajectory(Family::Paper, key(2), &mut [], &mut states).unwrap();
    let ends = [&states[..n * n], &states[10 * n * n..]];
    for (name, given) in [("navier-stokes-forward", 0), ("navier-stokes-inverse", 1)] {
        let map: Box<dyn Problem> = problem(name, &options(n)).unwrap();
        assert_eq!((map.name(), map.channels(), map.is_linear()), (name, (1, 1), false));
        assert_eq!(map.random_dimensions(Family::Paper), 120);
        let (mut input, mut output) = (vec![9.0; n * n], vec![9.0; n * n]);
        map.sample(Family::Paper, key(2), &mut input, &mut output).unwrap();
        assert!(input == ends[given] && output == ends[1 - given], "{name}");
    }
}
