//! Heat and Burgers in 1D: exact solutions, orders, errors in units of the tolerance, scaling laws.

use std::f64::consts::PI;

use farfield_pde::{
    Evolution, Family, ProblemOptions, SampleKey, SineTransform, Stream, evolution, second_difference_eigenvalue,
};
use rand::RngExt;

const SMOOTH: Family = Family::Random { smoothness: 2 };
const ROUGH: Family = Family::Random { smoothness: 1 };

fn key(index: u64) -> SampleKey {
    SampleKey { seed: 3, stream: Stream::Train, index }
}

fn build(name: &str, options: &ProblemOptions) -> Box<dyn Evolution> {
    evolution(name, options).unwrap()
}

fn draw(evolution: &dyn Evolution, family: Family, index: u64) -> Vec<f64> {
    let mut states = vec![f64::NAN; evolution.times().len() * evolution.grid()[0]];
    evolution.trajectory(family, key(index), &mut [], &mut states).unwrap();
    states
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn assert_order_2(what: &str, errors: &[f64]) {
    for pair in errors.windows(2) {
        let order = (pair[0] / pair[1]).log2();
        assert!((order - 2.0).abs() < 0.15, "{what}: order {order:.3}; errors {errors:?}");
    }
}

/// A sum of sine waves.
struct Series {
    wave_numbers: Vec<usize>,
    coefficients: Vec<f64>,
}

impl Series {
    /// The initial state of family `paper`, whose largest value is taken from the stored points.
    fn paper(name: &str, index: u64, x: &[f64], stored: &[f64]) -> Series {
        let mut rng = key(index).rng();
        let mut uniform = || rng.random::<f64>();
        let mut series = match name {
            "heat-1d" => {
                Series { wave_numbers: (1..=10).collect(), coefficients: (0..10).map(|_| 2.0 * uniform()).collect() }
            }
            _ => Series {
                wave_numbers: (1..=10).map(|k| 2 * (k + 1)).collect(),
                coefficients: (0..10).map(|_| 2.0 * uniform() - 1.0).collect(),
            },
        };
        let highest = (0..x.len()).max_by(|&i, &j| stored[i].abs().total_cmp(&stored[j].abs())).unwrap();
        let scale = stored[highest] / series.at(x[highest]);
        series.coefficients.iter_mut().for_each(|c| *c *= scale);
        series
    }

    fn at(&self, x: f64) -> f64 {
        self.wave_numbers.iter().zip(&self.coefficients).map(|(&k, c)| c * (k as f64 * PI * x).sin()).sum()
    }

    /// The integral from 0.
    fn integral(&self, x: f64) -> f64 {
        let waves = self.wave_numbers.iter().map(|&k| k as f64 * PI);
        waves.zip(&self.coefficients).map(|(k, c)| c * (1.0 - (k * x).cos()) / k).sum()
    }

    /// Burgers by Cole and Hopf: the mean of u_0 with the weights `exp(-(beta int_0^y u_0 + (x -
    /// y)^2 / 2t) / 2 nu)`, by the trapezoidal rule where they are not negligible.
    fn burgers(&self, viscosity: f64, beta: f64, t: f64, x: f64) -> f64 {
        let reach = beta.abs() * t + 10.0 * (2.0 * viscosity * t).sqrt();
        let points = (reach / 4e-4).ceil() as i64;
        let terms: Vec<(f64, f64)> = (-points..=points)
            .map(|j| {
                let y = x + reach * j as f64 / points as f64;
                let exponent = -(beta * self.integral(y) + (x - y).powi(2) / (2.0 * t)) / (2.0 * viscosity);
                (exponent, self.at(y))
            })
            .collect();
        let top = terms.iter().map(|t| t.0).fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut weights) = (0.0, 0.0);
        for (exponent, u) in terms {
            let weight = (exponent - top).exp();
            sum += weight * u;
            weights += weight;
        }
        sum / weights
    }
}

#[test]
fn heat_has_order_2_against_the_decaying_series() {
    let errors: Vec<f64> = [2, 4, 8]
        .iter()
        .map(|ratio| {
            let options = ProblemOptions {
                n: Some(16),
                solver_n: Some(16 * ratio),
                tolerance: Some(1e-9),
                ..ProblemOptions::default()
            };
            let heat = build("heat-1d", &options);
            let x = heat.coordinates().remove(0);
            let states = draw(&*heat, Family::Paper, 0);
            let mut series = Series::paper("heat-1d", 0, &x, &states[..16]);
            let start = series.coefficients.clone();
            let mut error = 0.0_f64;
            for (t, state) in heat.times().iter().zip(states.chunks(16)) {
                for ((c, c0), &k) in series.coefficients.iter_mut().zip(&start).zip(&series.wave_numbers) {
                    *c = c0 * (-2e-4 * (k as f64 * PI).powi(2) * t).exp();
                }
                let exact: Vec<f64> = x.iter().map(|&x| series.at(x)).collect();
                error = error.max(distance(state, &exact));
            }
            error
        })
        .collect();
    assert_order_2("heat", &errors);
}

#[test]
fn heat_damps_every_wave_of_the_grid_to_the_tolerance() {
    let intervals = 64;
    for tolerance in [1e-3, 1e-4, 1e-6, 1e-8] {
        let n = intervals + 1;
        let options =
            ProblemOptions { n: Some(n), solver_n: Some(n), tolerance: Some(tolerance), ..ProblemOptions::default() };
        let heat = build("heat-1d", &options);
        let transform = SineTransform::new(1, intervals);
        for family in heat.families() {
            let states = draw(&*heat, family, 1);
            let mut error = 0.0_f64;
            for (t, state) in heat.times().iter().zip(states.chunks(n)) {
                let mut exact = states[..intervals].to_vec();
                transform.apply(&mut exact);
                transform.for_each_mode(&mut exact, |k, value| {
                    let eigenvalue = second_difference_eigenvalue(k[0], intervals);
                    *value *= transform.inverse_factor() * (-2e-4 * eigenvalue * t).exp();
                });
                transform.apply(&mut exact);
                assert_eq!((state[0], state[intervals]), (0.0, 0.0), "the ends");
                error = error.max(distance(&state[..intervals], &exact));
            }
            assert!(error < tolerance, "{family}: error {error:e} at tolerance {tolerance:e}");
        }
    }
}

/// Largest error against Cole and Hopf at time 0.2, over the stored points.
fn error_of_burgers(n: usize, solver_n: usize, viscosity: f64, beta: f64, tolerance: f64) -> f64 {
    let options = ProblemOptions {
        n: Some(n),
        solver_n: Some(solver_n),
        horizon: Some(0.2),
        viscosity: Some(viscosity),
        beta: Some(beta),
        tolerance: Some(tolerance),
        ..ProblemOptions::default()
    };
    let burgers = build("burgers-1d", &options);
    let x = burgers.coordinates().remove(0);
    let states = draw(&*burgers, Family::Paper, 0);
    let (start, end) = states.split_at(n);
    let series = Series::paper("burgers-1d", 0, &x, start);
    let exact: Vec<f64> = x.iter().map(|&x| series.burgers(viscosity, beta, 0.2, x)).collect();
    distance(end, &exact)
}

#[test]
fn burgers_has_order_2_against_cole_hopf() {
    for (viscosity, beta) in [(1e-2, 1.0), (1e-2, -1.0), (1e-3, 1e-2)] {
        let error = |n| error_of_burgers(32, n, viscosity, beta, 1e-9);
        assert_order_2(&format!("viscosity {viscosity}, beta {beta}"), &[128, 256, 512].map(error));
    }
}

#[test]
fn at_the_papers_size_the_grid_error_of_burgers_is_about_1e_3_whatever_the_tolerance() {
    let [loose, tight] = [1e-4, 1e-8].map(|tolerance| error_of_burgers(64, 1024, 1e-3, 1.0, tolerance));
    assert!((3e-4..3e-3).contains(&tight), "{tight:e}");
    assert!((loose / tight - 1.0).abs() < 0.2, "{loose:e} against {tight:e}");
    let fine = error_of_burgers(64, 2048, 1e-3, 1.0, 1e-8);
    assert_order_2("viscosity 1e-3", &[tight, fine]);
}

#[test]
fn errors_in_time_follow_the_tolerance() {
    let run = |name: &str, family: Family, tolerance: f64| {
        let (n, horizon) = (Some(128), Some(1.0));
        let options = ProblemOptions { n, horizon, tolerance: Some(tolerance), ..ProblemOptions::default() };
        draw(&*build(name, &options), family, 2)
    };
    // The largest error of a trajectory, in units of the tolerance: shocks of the random states,
    // whose waves are longer and steepen further, cost a factor.
    for (name, family, factor) in [
        ("heat-1d", Family::Paper, 1.0),
        ("heat-1d", ROUGH, 1.0),
        ("burgers-1d", Family::Paper, 10.0),
        ("burgers-1d", ROUGH, 40.0),
        ("burgers-1d", SMOOTH, 100.0),
    ] {
        let exact = run(name, family, 1e-10);
        for tolerance in [1e-3, 1e-4, 1e-6] {
            let error = distance(&run(name, family, tolerance), &exact);
            assert!(error > 0.0 && error < factor * tolerance, "{name}, {family}: {error:e} at {tolerance:e}");
        }
    }
}

#[test]
fn beta_is_a_change_of_the_time_scale() {
    // u(x, t) with (nu, beta) is u(x, beta t) with (nu / beta, 1).
    for beta in [0.5, 1e-2] {
        let options = |viscosity, beta, horizon, time_step| ProblemOptions {
            n: Some(64),
            solver_n: Some(512),
            viscosity: Some(viscosity),
            beta: Some(beta),
            horizon: Some(horizon),
            time_step: Some(time_step),
            tolerance: Some(1e-8),
            ..ProblemOptions::default()
        };
        let modified = build("burgers-1d", &options(1e-3, beta, 2.0, 0.5));
        let burgers = build("burgers-1d", &options(1e-3 / beta, 1.0, 2.0 * beta, 0.5 * beta));
        for family in modified.families() {
            let error = distance(&draw(&*modified, family, 4), &draw(&*burgers, family, 4));
            assert!(error < 1e-7, "beta {beta}, {family}: {error:e}");
        }
    }
}

#[test]
fn burgers_without_advection_is_the_heat_equation() {
    let options = |n, beta| ProblemOptions {
        n: Some(n),
        solver_n: Some(n),
        viscosity: Some(2e-3),
        beta,
        horizon: Some(1.0),
        ..ProblemOptions::default()
    };
    let (heat, burgers) = (build("heat-1d", &options(65, None)), build("burgers-1d", &options(64, Some(0.0))));
    assert!(heat.is_linear() && burgers.is_linear());
    let (heat, burgers) = (draw(&*heat, SMOOTH, 5), draw(&*burgers, SMOOTH, 5));
    let without_end: Vec<f64> = heat.chunks(65).flat_map(|state| state[..64].to_vec()).collect();
    assert_eq!(without_end, burgers);
}

#[test]
fn energy_does_not_grow_and_values_stay_below_1() {
    for (name, n) in [("heat-1d", 256), ("burgers-1d", 512)] {
        let options = ProblemOptions { n: Some(n), solver_n: Some(n), horizon: Some(4.0), ..ProblemOptions::default() };
        let evolution = build(name, &options);
        for (family, index) in evolution.families().into_iter().flat_map(|family| [(family, 0), (family, 1)]) {
            let states = draw(&*evolution, family, index);
            let largest = |state: &[f64]| state.iter().fold(0.0, |m: f64, u| m.max(u.abs()));
            assert_eq!(largest(&states[..n]), 1.0);
            assert!(largest(&states) < 1.0 + 2e-3, "{name}, {family}: {}", largest(&states));
            let energies: Vec<f64> = states.chunks(n).map(|u| u.iter().map(|u| u * u).sum()).collect();
            assert!(energies.windows(2).all(|e| e[1] < e[0] * (1.0 + 1e-4)), "{name}, {family}: {energies:?}");
            assert!(states.chunks(n).all(|state| state[0] == 0.0));
        }
    }
}

#[test]
fn the_initial_state_does_not_depend_on_the_solver_grid() {
    for name in ["heat-1d", "burgers-1d"] {
        for family in [Family::Paper, ROUGH, SMOOTH] {
            let start = |ratio: usize| {
                let options = ProblemOptions {
                    n: Some(32),
                    solver_n: Some(32 * ratio),
                    horizon: Some(0.2),
                    viscosity: Some(1e-2),
                    ..ProblemOptions::default()
                };
                let evolution = build(name, &options);
                let x = evolution.coordinates().remove(0);
                (x, draw(&*evolution, family, 6)[..32].to_vec())
            };
            let ((x, coarse), (y, fine)) = (start(8), start(16));
            if name == "burgers-1d" {
                // The two grids may see the largest value differently.
                assert_eq!(x, y);
                assert!(distance(&coarse, &fine) < 0.02, "{family}");
                let scale = coarse[9] / fine[9];
                let scaled: Vec<f64> = fine.iter().map(|u| scale * u).collect();
                assert!(distance(&coarse, &scaled) < 1e-13, "{family}");
            } else {
                // The stored points are 8 i/255 and 16 i/511.
                assert!(distance(&x, &y) < 0.005 && distance(&coarse, &fine) < 0.1, "{family}");
            }
        }
    }
}
