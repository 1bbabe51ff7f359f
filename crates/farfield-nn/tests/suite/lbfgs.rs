//! L-BFGS on functions whose minimisers are known.

use std::convert::Infallible;

use farfield_nn::lbfgs::{Iteration, Lbfgs, LbfgsOptions, Minimum, StopReason, minimize};

fn run(x: Vec<f64>, options: LbfgsOptions, iterations: usize, mut f: impl FnMut(&[f64], &mut [f64]) -> f64) -> Minimum {
    minimize(x, options, iterations, |x, g| Ok::<f64, Infallible>(f(x, g))).unwrap()
}

/// `1/2 sum_i c_i (x_i - i)^2`, curvatures from 1 to `condition`.
fn quadratic(n: usize, condition: f64) -> impl Fn(&[f64], &mut [f64]) -> f64 {
    move |x, g| {
        let mut value = 0.0;
        for i in 0..n {
            let c = condition.powf(i as f64 / (n - 1) as f64);
            g[i] = c * (x[i] - i as f64);
            value += 0.5 * g[i] * (x[i] - i as f64);
        }
        value
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn rosenbrock(x: &[f64], g: &mut [f64]) -> f64 {
    g.fill(0.0);
    let mut value = 0.0;
    for i in 0..x.len() - 1 {
        let (a, b) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
        value += 100.0 * a * a + b * b;
        g[i] += -400.0 * x[i] * a - 2.0 * b;
        g[i + 1] += 200.0 * a;
    }
    value
}

fn distance(x: &[f64], exact: impl Fn(usize) -> f64) -> f64 {
    x.iter().enumerate().map(|(i, x)| (x - exact(i)).abs()).fold(0.0, f64::max)
}

#[test]
fn quadratics_of_condition_a_million() {
    for n in [2, 20, 100] {
        let options = LbfgsOptions { history: n, gradient_tolerance: 1e-6, ..LbfgsOptions::default() };
        let minimum = run(vec![0.0; n], options, 5000, quadratic(n, 1e6));
        println!("{n}: {} iterations, {} evaluations", minimum.iterations, minimum.evaluations);
        assert_eq!(minimum.reason, Some(StopReason::SmallGradient), "{n}: {} iterations", minimum.iterations);
        // The smallest curvature is 1: the error is at most the gradient.
        assert!(distance(&minimum.x, |i| i as f64) <= 1e-6);
    }
}

#[test]
fn a_history_as_long_as_the_space_needs_few_iterations() {
    // BFGS with exact searches ends after n steps; with these it needs a few more.
    let options = LbfgsOptions { gradient_tolerance: 1e-8, ..LbfgsOptions::default() };
    let long = run(vec![0.0; 12], options, 1000, quadratic(12, 1e4));
    let short = run(vec![0.0; 12], LbfgsOptions { history: 1, ..options }, 1000, quadratic(12, 1e4));
    assert_eq!(long.reason, Some(StopReason::SmallGradient));
    assert!(2 * long.iterations < short.iterations, "{} {}", long.iterations, short.iterations);
}

#[test]
fn the_valley_of_rosenbrock_in_2_and_100_dimensions() {
    for n in [2, 100] {
        let start = (0..n).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 }).collect();
        let options = LbfgsOptions { gradient_tolerance: 1e-9, ..LbfgsOptions::default() };
        let minimum = run(start, options, 2000, rosenbrock);
        assert_eq!(minimum.reason, Some(StopReason::SmallGradient), "{n}");
        assert!(distance(&minimum.x, |_| 1.0) < 1e-8, "{n}: {:?}", minimum.x);
        assert!(minimum.evaluations < 3 * minimum.iterations);
    }
}

#[test]
fn it_steps_back_from_where_the_function_has_no_value() {
    // x - log x has no value for x <= 0; from 30 the first steps go there. The minimum is at 1.
    let f = |x: &[f64], g: &mut [f64]| {
        let mut value = 0.0;
        for (x, g) in x.iter().zip(g) {
            value += 50.0 * (x - x.ln());
            *g = if *x > 0.0 { 50.0 * (1.0 - 1.0 / x) } else { f64::NAN };
        }
        value
    };
    let mut bad = 0;
    let options = LbfgsOptions { gradient_tolerance: 1e-9, ..LbfgsOptions::default() };
    let minimum = run(vec![30.0, 0.05, 2.0], options, 200, |x, g| {
        let value = f(x, g);
        bad += usize::from(!value.is_finite());
        value
    });
    assert!(bad > 0, "the test must go where there is no value");
    assert_eq!(minimum.reason, Some(StopReason::SmallGradient));
    assert!(distance(&minimum.x, |_| 1.0) < 1e-10);
}

#[test]
fn a_minimum_stays_and_a_start_without_value_does_not_move() {
    let minimum = run(vec![1.0; 5], LbfgsOptions::default(), 10, rosenbrock);
    assert_eq!((minimum.iterations, minimum.evaluations), (0, 1));
    assert_eq!(minimum.reason, Some(StopReason::SmallGradient));
    assert_eq!(minimum.x, [1.0; 5]);
    let nowhere = run(vec![1.0, 2.0], LbfgsOptions::default(), 10, |_, g| {
        g.fill(f64::NAN);
        f64::NAN
    });
    assert_eq!(nowhere.reason, Some(StopReason::NoProgress));
    assert_eq!((nowhere.iterations, nowhere.x), (0, vec![1.0, 2.0]));
}

#[test]
fn a_gradient_of_another_function_stops_with_the_reason() {
    let minimum = run(vec![1.0, 2.0], LbfgsOptions::default(), 10, |x, g| {
        g.copy_from_slice(&[-2.0 * x[0], -2.0 * x[1]]);
        x.iter().map(|x| x * x).sum()
    });
    assert_eq!((minimum.iterations, minimum.reason), (0, Some(StopReason::NoProgress)));
}

#[test]
fn the_smallest_decrease_stops() {
    let options = LbfgsOptions { decrease_tolerance: 1e-3, ..LbfgsOptions::default() };
    let f = |x: &[f64], g: &mut [f64]| 1.0 + quadratic(20, 1e3)(x, g);
    let minimum = run(vec![0.0; 20], options, 1000, f);
    assert_eq!(minimum.reason, Some(StopReason::SmallDecrease));
    assert!(minimum.value < 1.1 && minimum.value > 1.0);
}

#[test]
fn every_step_satisfies_the_strong_wolfe_conditions() {
    let mut objective = |x: &[f64], g: &mut [f64]| Ok::<f64, Infallible>(rosenbrock(x, g));
    let mut state = Lbfgs::new(vec![-1.2, 1.0, 0.3, -0.7], LbfgsOptions::default(), &mut objective).unwrap();
    for _ in 0..25 {
        let before = state.clone();
        let Iteration::Lower { step, .. } = state.iterate(&mut objective).unwrap() else { panic!("stopped") };
        let direction: Vec<f64> = state.x().iter().zip(before.x()).map(|(a, b)| (a - b) / step).collect();
        let (slope, end) = (dot(before.gradient(), &direction), dot(state.gradient(), &direction));
        assert!(state.value() <= before.value() + 1e-4 * step * slope);
        assert!(end.abs() <= 0.9 * slope.abs() * (1.0 + 1e-12));
    }
}

#[test]
fn an_exported_state_continues_to_the_same_bits_on_any_number_of_threads() {
    let n = (5 << 14) + 3;
    let objective = |x: &[f64], g: &mut [f64]| Ok::<f64, Infallible>(rosenbrock(x, g));
    let start: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
    let on = |threads: usize, again: bool| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let options = LbfgsOptions { history: 4, ..LbfgsOptions::default() };
            let mut state = Lbfgs::new(start.clone(), options, &mut objective.clone()).unwrap();
            for i in 0..12 {
                if again && i == 7 {
                    state = Lbfgs::import(state.export(), options).unwrap();
                }
                state.iterate(&mut objective.clone()).unwrap();
            }
            state
        })
    };
    let straight = on(1, false);
    assert_eq!(on(3, false), straight);
    assert_eq!(on(2, true), straight);
    let mut cut = straight.export();
    cut.y.pop();
    assert!(Lbfgs::import(cut, LbfgsOptions::default()).is_none());
    assert!(objective(&start, &mut vec![0.0; n]).is_ok());
}

#[test]
fn an_error_of_the_objective_leaves_the_state_as_it_was() {
    let mut objective = |x: &[f64], g: &mut [f64]| Ok::<f64, &str>(rosenbrock(x, g));
    let mut state = Lbfgs::new(vec![-1.2, 1.0], LbfgsOptions::default(), &mut objective).unwrap();
    state.iterate(&mut objective).unwrap();
    let before = state.clone();
    assert_eq!(state.iterate(&mut |_, _| Err("stop")), Err("stop"));
    assert_eq!(state, before);
}
