//! Gray-Scott model: exact solutions of its parts, order in time, balances, initial states, errors.

use std::f64::consts::PI;

use farfield_pde::{
    Evolution, Family, GrayScott2d, GrayScottSolver, PdeError, Problem, ProblemOptions, SampleKey, Stream, evolution,
    problem,
};

const FEED: f64 = 0.029;
const KILL: f64 = 0.057;

fn key(index: u64) -> SampleKey {
    SampleKey { seed: 5, stream: Stream::Train, index }
}

fn short(n: usize, horizon: f64, pattern: &str) -> ProblemOptions {
    ProblemOptions {
        n: Some(n),
        horizon: Some(horizon),
        pattern: Some(pattern.to_owned()),
        ..ProblemOptions::default()
    }
}

fn coordinates(n: usize) -> impl Iterator<Item = (f64, f64)> {
    let at = move |i: usize| -1.0 + 2.0 * i as f64 / n as f64;
    (0..n * n).map(move |i| (at(i / n), at(i % n)))
}

/// A state, followed by `later` empty ones.
fn states(n: usize, later: usize, f: impl Fn(f64, f64) -> (f64, f64)) -> Vec<f64> {
    let (a, b): (Vec<f64>, Vec<f64>) = coordinates(n).map(|(x, y)| f(x, y)).unzip();
    let mut states = [a, b].concat();
    states.resize((1 + later) * 2 * n * n, 0.0);
    states
}

/// Fills in the states after the first.
fn run(solver: &GrayScottSolver, steps_per_interval: usize, states: &mut [f64]) -> Result<(), PdeError> {
    let size = 2 * solver.fourier().field_len();
    let (first, later) = states.split_at_mut(size);
    let intervals = later.len() / size;
    solver.integrate(first, intervals, steps_per_interval, |i, state| {
        later[i * size..(i + 1) * size].copy_from_slice(state);
    })
}

/// A smooth state that reacts everywhere.
fn smooth(x: f64, y: f64) -> (f64, f64) {
    let wave = |k: f64, l: f64, phase: f64| (PI * (k * x + l * y) + phase).cos();
    (
        0.6 + 0.2 * wave(1.0, 0.0, 0.2) + 0.1 * wave(1.0, -2.0, 0.0),
        0.4 + 0.15 * wave(0.0, 1.0, 1.0) + 0.1 * wave(2.0, 1.0, 0.5),
    )
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn mean(field: &[f64]) -> f64 {
    field.iter().sum::<f64>() / field.len() as f64
}

fn assert_order_four(what: &str, errors: &[f64]) {
    for pair in errors.windows(2) {
        let order = (pair[0] / pair[1]).log2();
        assert!((order - 4.0).abs() < 0.25, "{what}: order {order:.2}, errors {errors:?}");
    }
}

#[test]
fn the_order_in_time_is_four() {
    let (n, end) = (24, 40.0);
    let last = |steps: usize| {
        let solver = GrayScottSolver::new("test", n, end / steps as f64, FEED, KILL);
        let mut states = states(n, 1, smooth);
        run(&solver, steps, &mut states).unwrap();
        states[2 * n * n..].to_vec()
    };
    let reference = last(2560);
    let steps = [80, 160, 320, 640];
    let solutions = steps.map(last);
    let errors: Vec<f64> = solutions.iter().map(|solution| distance(solution, &reference)).collect();
    assert_order_four("against a step of 1/64", &errors);
    let changes: Vec<f64> = solutions.windows(2).map(|pair| distance(&pair[0], &pair[1])).collect();
    assert_order_four("between steps 1/2, 1/4, 1/8 and 1/16", &changes);
    let default = distance(&last(40), &reference);
    assert!(default < 1e-4, "with the default step of 1: {default:e}");
}

/// The reaction alone: `A' = -A B^2 + F (1 - A)`, `B' = A B^2 - (F + k) B`, by Runge-Kutta 4.
fn reaction(end: f64, steps: usize, start: (f64, f64)) -> (f64, f64) {
    let f = |(a, b): (f64, f64)| (-a * b * b + FEED * (1.0 - a), a * b * b - (FEED + KILL) * b);
    let h = end / steps as f64;
    let plus = |u: (f64, f64), c: f64, v: (f64, f64)| (u.0 + c * v.0, u.1 + c * v.1);
    (0..steps).fold(start, |u, _| {
        let k1 = f(u);
        let k2 = f(plus(u, h / 2.0, k1));
        let k3 = f(plus(u, h / 2.0, k2));
        let k4 = f(plus(u, h, k3));
        [(1.0, k1), (2.0, k2), (2.0, k3), (1.0, k4)].iter().fold(u, |u, &(weight, k)| plus(u, h / 6.0 * weight, k))
    })
}

#[test]
fn uniform_states_follow_the_reaction_alone() {
    let n = 8;
    let exact = reaction(30.0, 30_000, (0.7, 0.5));
    let errors = [30, 60, 120].map(|steps| {
        let solver = GrayScottSolver::new("test", n, 30.0 / steps as f64, FEED, KILL);
        let mut states = states(n, 1, |_, _| (0.7, 0.5));
        run(&solver, steps, &mut states).unwrap();
        let (a, b) = states[2 * n * n..].split_at(n * n);
        assert!(a.iter().all(|v| (v - a[0]).abs() < 1e-14) && b.iter().all(|v| (v - b[0]).abs() < 1e-14));
        (a[0] - exact.0).abs().max((b[0] - exact.1).abs())
    });
    assert_order_four("uniform", &errors);
    assert!(errors[2] < 1e-7 && (exact.0 - 0.7).abs() > 0.1, "{errors:?}");
}

#[test]
fn without_b_each_wave_of_a_decays_at_its_rate() {
    let n = 16;
    let solver = GrayScottSolver::new("test", n, 5.0, FEED, KILL);
    let wave = |x: f64, y: f64| (PI * (3.0 * x - 4.0 * y) + 0.4).cos();
    let mut states = states(n, 1, |x, y| (0.2 + 0.1 * wave(x, y), 0.0));
    run(&solver, 20, &mut states).unwrap();
    let (mean, decay) = ((-100.0 * FEED).exp(), (-100.0 * (FEED + 2e-5 * PI * PI * 25.0)).exp());
    for (a, (x, y)) in states[2 * n * n..].iter().zip(coordinates(n)) {
        assert!((a - (1.0 - 0.8 * mean + 0.1 * decay * wave(x, y))).abs() < 1e-14);
    }
    assert!(states[3 * n * n..].iter().all(|b| b.abs() < 1e-15));
}

#[test]
fn small_b_decays_at_its_rate() {
    let n = 16;
    let solver = GrayScottSolver::new("test", n, 5.0, FEED, KILL);
    let wave = |x: f64, y: f64| (PI * (4.0 * x + y) - 1.0).cos();
    // A B^2 is below 1e-24.
    let mut states = states(n, 1, |x, y| (1.0, 1e-12 * wave(x, y)));
    run(&solver, 4, &mut states).unwrap();
    let decay = (-20.0 * (FEED + KILL + 1e-5 * PI * PI * 17.0)).exp();
    for (b, (x, y)) in states[3 * n * n..].iter().zip(coordinates(n)) {
        assert!((b - 1e-12 * decay * wave(x, y)).abs() < 1e-23);
    }
}

/// The whole right-hand side at every point, from the exact derivatives of a state of a few waves.
#[test]
fn the_first_step_is_the_stated_equation() {
    let (n, h) = (32, 1e-3);
    let solver = GrayScottSolver::new("test", n, h, FEED, KILL);
    let mut states = states(n, 2, smooth);
    run(&solver, 1, &mut states).unwrap();
    let size = 2 * n * n;
    for (i, (x, y)) in coordinates(n).enumerate() {
        let (a, b) = smooth(x, y);
        let wave = |k: f64, l: f64, phase: f64| (PI * (k * x + l * y) + phase).cos();
        let laplace_a = -PI * PI * (0.2 * wave(1.0, 0.0, 0.2) + 0.5 * wave(1.0, -2.0, 0.0));
        let laplace_b = -PI * PI * (0.15 * wave(0.0, 1.0, 1.0) + 0.5 * wave(2.0, 1.0, 0.5));
        let rates = [2e-5 * laplace_a - a * b * b + FEED * (1.0 - a), 1e-5 * laplace_b + a * b * b - (FEED + KILL) * b];
        for (field, rate) in [i, n * n + i].into_iter().zip(rates) {
            // One-sided difference of second order.
            let [u0, u1, u2] = [0, 1, 2].map(|step| states[step * size + field]);
            let difference = (-1.5 * u0 + 2.0 * u1 - 0.5 * u2) / h;
            assert!((difference - rate).abs() < 1e-7, "point {x}, {y}: {difference} not {rate}");
        }
    }
}

/// `d/dt mean(A + B) = F (1 - mean A) - (F + k) mean B`, whatever the pattern: the reaction moves mass
/// from A to B, and diffusion none.
#[test]
fn mass_is_balanced_by_feed_and_kill() {
    let (n, end) = (32, 16.0);
    let size = 2 * n * n;
    let residuals = [32, 64, 128].map(|steps| {
        let solver = GrayScottSolver::new("test", n, end / steps as f64, FEED, KILL);
        let mut states = states(n, steps, smooth);
        run(&solver, 1, &mut states).unwrap();
        let means: Vec<(f64, f64)> =
            states.chunks_exact(size).map(|s| (mean(&s[..n * n]), mean(&s[n * n..]))).collect();
        // Simpson's rule, order 4 as the integrator.
        let flow: f64 = means
            .iter()
            .enumerate()
            .map(|(i, (a, b))| {
                let weight = if i == 0 || i == steps { 1.0 } else { 2.0 + 2.0 * (i % 2) as f64 };
                weight * (FEED * (1.0 - a) - (FEED + KILL) * b)
            })
            .sum();
        let change = means[steps].0 + means[steps].1 - means[0].0 - means[0].1;
        assert!(change.abs() > 0.1, "{change}");
        (change - flow * end / steps as f64 / 3.0).abs()
    });
    assert!(residuals[0] < 2e-6 && residuals[2] < 4e-9, "{residuals:?}");
    assert!(residuals.windows(2).all(|pair| pair[0] / pair[1] > 12.0), "{residuals:?}");
}

#[test]
fn patterns_and_kinds_of_initial_states_take_turns() {
    let n = 16;
    let all = GrayScott2d::new(&ProblemOptions { time_step: Some(1.0), ..short(n, 1.0, "all") }).unwrap();
    let single = GrayScott2d::new(&ProblemOptions { time_step: Some(1.0), ..short(n, 1.0, "worms") }).unwrap();
    let mut states = vec![0.0; 4 * n * n];
    let mut scalars = [0.0; 2];
    let mut kinds = Vec::new();
    for index in 0..24 {
        all.trajectory(Family::Paper, key(index), &mut scalars, &mut states).unwrap();
        let pattern = GrayScott2d::PATTERNS[index as usize % 6];
        assert_eq!(scalars, [pattern.feed, pattern.kill]);
        for field in states[..2 * n * n].chunks_exact(n * n) {
            let least = field.iter().copied().fold(f64::MAX, f64::min);
            let most = field.iter().copied().fold(f64::MIN, f64::max);
            assert_eq!((least, most), (0.0, 1.0), "both fields fill [0, 1]");
        }
        // The same key has the same random numbers: equal states mean equal kinds.
        let first = states.clone();
        single
            .trajectory(
                Family::Paper,
                SampleKey { index: index / 6 * 6 + index % 2, ..key(0) },
                &mut scalars,
                &mut states,
            )
            .unwrap();
        assert_eq!(scalars, [0.058, 0.065]);
        if index % 6 == index % 2 {
            kinds.push(first[..2 * n * n] == states[..2 * n * n]);
        }
    }
    // Indices 0, 1, 6, 7, ..: with all patterns G G F F G G F F, with one G F G F.
    assert_eq!(kinds, [true, false, false, true, true, false, false, true]);
}

/// At the resolution of the data set: a hundred steps leave every pattern alive and within its bounds.
#[test]
fn fields_stay_physical_and_alive() {
    let n = 128;
    let model = GrayScott2d::new(&ProblemOptions { time_step: Some(100.0), ..short(n, 100.0, "all") }).unwrap();
    let mut states = vec![0.0; 4 * n * n];
    for index in [0, 7, 2, 9, 4, 11] {
        model.trajectory(Family::Paper, key(index), &mut [0.0; 2], &mut states).unwrap();
        let (a, b) = states[2 * n * n..].split_at(n * n);
        // The fronts are about two points wide, so that the series overshoots by some 1e-2.
        assert!(a.iter().chain(b).all(|v| (-0.02..1.02).contains(v)), "sample {index}");
        let deviation = (b.iter().map(|v| v * v).sum::<f64>() / (n * n) as f64 - mean(b).powi(2)).sqrt();
        assert!(deviation > 0.02, "sample {index}: {deviation}");
    }
}

#[test]
fn an_unstable_step_is_an_error_that_names_the_time() {
    let long = ProblemOptions { solver_step: Some(40.0), time_step: Some(40.0), ..short(32, 2000.0, "spirals") };
    let model = GrayScott2d::new(&long).unwrap();
    let mut states = vec![0.0; 51 * 2 * 32 * 32];
    let error = model.trajectory(Family::Paper, key(0), &mut [0.0; 2], &mut states).unwrap_err();
    let message = error.to_string();
    match error {
        PdeError::Integration { problem: "gray-scott", time, .. } => {
            assert!((0.0..2000.0).contains(&time) && (time / 40.0).fract() == 0.0, "{message}");
            assert!(message.starts_with(&format!("gray-scott: the integration failed at time {time}: ")));
        }
        other => panic!("{other:?}"),
    }
    assert!(message.contains("a step of 40 is unstable: A B^2 reached "), "{message}");
    assert!(message.ends_with("; set solver_step to at most 1") && !message.contains('\n'), "{message}");

    let solver = GrayScottSolver::new("test", 8, 1.0, FEED, KILL);
    let error = run(&solver, 1, &mut [f64::INFINITY; 256]).unwrap_err().to_string();
    assert_eq!(error, "test: the integration failed at time 0: the initial state is not finite");
}

#[test]
fn maps_are_the_ends_of_the_trajectory_with_the_parameters() {
    let n = 16;
    let size = 2 * n * n;
    let model = evolution("gray-scott", &short(n, 40.0, "all")).unwrap();
    assert_eq!((model.fields(), model.scalars(), model.grid()), (vec!["A", "B"], vec!["F", "k"], vec![n, n]));
    assert_eq!(model.times(), [0.0, 10.0, 20.0, 30.0, 40.0]);
    assert_eq!(model.coordinates()[1][..2], [-1.0, -0.875]);
    for index in [1, 9] {
        let (mut scalars, mut states) = ([0.0; 2], vec![0.0; 5 * size]);
        model.trajectory(Family::Paper, key(index), &mut scalars, &mut states).unwrap();
        let ends = [&states[..size], &states[4 * size..]];
        for (name, given) in [("gray-scott-forward", 0), ("gray-scott-inverse", 1)] {
            let map: Box<dyn Problem> = problem(name, &short(n, 40.0, "all")).unwrap();
            assert_eq!((map.name(), map.channels(), map.is_linear()), (name, (4, 2), false));
            let (mut input, mut output) = (vec![9.0; 2 * size], vec![9.0; size]);
            map.sample(Family::Paper, key(index), &mut input, &mut output).unwrap();
            assert!(input[..size] == *ends[given] && output == ends[1 - given], "{name}");
            assert!(input[size..size + n * n].iter().all(|v| *v == scalars[0]));
            assert!(input[size + n * n..].iter().all(|v| *v == scalars[1]));
        }
    }
    // Wave numbers up to 5 in both fields; (F, k) spans a plane, or a line with one pattern.
    for (pattern, dimensions) in [("all", 244), ("maze", 243)] {
        let map = problem("gray-scott-forward", &short(n, 40.0, pattern)).unwrap();
        assert_eq!(map.random_dimensions(Family::Paper), dimensions);
    }
}

#[test]
fn a_finer_solver_grid_is_stored_at_every_few_points() {
    let n = 16;
    let options = ProblemOptions { solver_n: Some(32), ..short(n, 30.0, "all") };
    let (stored, fine) = (GrayScott2d::new(&options).unwrap(), GrayScott2d::new(&short(32, 30.0, "all")).unwrap());
    assert_eq!(stored.grid(), [n, n]);
    let (mut coarse_states, mut fine_states) = (vec![0.0; 4 * 2 * n * n], vec![0.0; 4 * 2 * 32 * 32]);
    for index in [0, 6] {
        stored.trajectory(Family::Paper, key(index), &mut [0.0; 2], &mut coarse_states).unwrap();
        fine.trajectory(Family::Paper, key(index), &mut [0.0; 2], &mut fine_states).unwrap();
        for (coarse, fine) in coarse_states.chunks_exact(n * n).zip(fine_states.chunks_exact(32 * 32)) {
            assert!((0..n * n).all(|i| coarse[i] == fine[i / n * 2 * 32 + i % n * 2]));
        }
    }
}

/// Four seconds from a smooth state, before steep fronts form.
#[test]
fn the_error_in_space_falls_faster_than_any_power() {
    let last = |n: usize| {
        let solver = GrayScottSolver::new("test", n, 0.5, FEED, KILL);
        let mut states = states(n, 1, smooth);
        run(&solver, 8, &mut states).unwrap();
        let stride = n / 8;
        let every: Vec<f64> = (0..64)
            .flat_map(|i| [0, n * n].map(|field| states[2 * n * n + field + i / 8 * stride * n + i % 8 * stride]))
            .collect();
        every
    };
    let reference = last(128);
    let errors = [32, 48, 64].map(|n| distance(&last(n), &reference));
    let orders = [(errors[0] / errors[1]).ln() / 1.5_f64.ln(), (errors[1] / errors[2]).ln() / (4.0_f64 / 3.0).ln()];
    assert!(orders[0] > 5.0 && orders[1] > orders[0] + 1.0, "orders {orders:?}, errors {errors:?}");
}
