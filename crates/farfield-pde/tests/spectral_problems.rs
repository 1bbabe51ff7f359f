//! What the Gray-Scott and Navier-Stokes problems have in common: options, refusals, threads, bits.

use farfield_pde::{Family, ProblemOptions, SampleKey, Stream, evolution, evolutions, generate, problem, problems};
use rayon::prelude::*;

const EVOLUTIONS: [&str; 2] = ["gray-scott", "navier-stokes"];
const MAPS: [&str; 4] = ["gray-scott-forward", "gray-scott-inverse", "navier-stokes-forward", "navier-stokes-inverse"];

fn refusal(name: &str, options: &ProblemOptions) -> String {
    let message = if EVOLUTIONS.contains(&name) {
        evolution(name, options).err().expect(name).to_string()
    } else {
        problem(name, options).err().expect(name).to_string()
    };
    assert!(!message.contains('\n'));
    message
}

/// A quick version of a problem.
fn small(name: &str) -> ProblemOptions {
    let horizon = if name.starts_with("gray") { 20.0 } else { 0.2 };
    ProblemOptions { n: Some(16), horizon: Some(horizon), ..ProblemOptions::default() }
}

#[test]
fn the_problems_are_listed_and_built_by_name() {
    let defaults = ProblemOptions::default();
    for name in EVOLUTIONS {
        let built = evolution(name, &defaults).unwrap();
        assert!(evolutions().contains(&(name, built.title())) && built.name() == name);
        assert_eq!((built.grid(), built.periodic()), (vec![128, 128], vec![true, true]));
        assert_eq!((built.families(), built.is_linear()), (vec![Family::Paper], false));
        assert_eq!(built.coordinates().iter().map(Vec::len).collect::<Vec<_>>(), [128, 128]);
    }
    for name in MAPS {
        let built = problem(name, &defaults).unwrap();
        assert!(problems().contains(&(name, built.title())) && built.name() == name);
        assert_eq!((built.grid(), built.mask()), (vec![128, 128], None));
        let facts = built.facts();
        for key in ["equation", "boundary_condition", "grid", "scheme", "order", "solver_step", "input", "output"] {
            assert_eq!(facts.iter().filter(|fact| fact.0 == key && !fact.1.is_empty()).count(), 1, "{name}: {key}");
        }
    }
    let times = evolution("gray-scott", &defaults).unwrap().times();
    assert_eq!((times.len(), times[1], times[1000]), (1001, 10.0, 10_000.0));
    let facts = problem("gray-scott-inverse", &defaults).unwrap().facts();
    let fact = |name: &str| facts.iter().find(|fact| fact.0 == name).unwrap().1.clone();
    assert_eq!(fact("input"), "A(10000), B(10000), F (constant), k (constant)");
    assert_eq!(fact("output"), "A(0), B(0)");
    let known = refusal("gray-scot", &defaults);
    assert!(known.contains("gray-scott-forward") && known.contains("navier-stokes-inverse"), "{known}");
}

#[test]
fn bad_options_are_refused_in_one_line() {
    let defaults = ProblemOptions::default();
    for name in EVOLUTIONS.into_iter().chain(MAPS) {
        for n in [0, 1, 3, 4, 6, 7] {
            let message = refusal(name, &ProblemOptions { n: Some(n), ..defaults.clone() });
            assert!(message.starts_with(&format!("{name}: n = {n}: at least ")), "{message}");
        }
        let odd = refusal(name, &ProblemOptions { n: Some(127), ..defaults.clone() });
        assert_eq!(odd, format!("{name}: n = 127: must be even"));
        let coarse = refusal(name, &ProblemOptions { solver_n: Some(192), ..defaults.clone() });
        let reason = "does not fit down-sampling to n = 128: solver_n must be a multiple of 128";
        assert_eq!(coarse, format!("{name}: solver_n = 192: {reason}"));
        let large = refusal(name, &ProblemOptions { n: Some(usize::MAX), ..defaults.clone() });
        assert!(large.ends_with("more than 268435456 points in 2 dimensions"), "{large}");
        let scheme = refusal(name, &ProblemOptions { scheme: Some("spectral".to_owned()), ..defaults.clone() });
        assert!(
            scheme.starts_with(&format!("{name}: there is no option `scheme`; it has n, solver_n, horizon, ")),
            "{scheme}"
        );
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let message = refusal(name, &ProblemOptions { horizon: Some(value), ..defaults.clone() });
            assert_eq!(message, format!("{name}: horizon = {value}: must be a positive number"));
            let message = refusal(name, &ProblemOptions { solver_step: Some(value), ..defaults.clone() });
            assert_eq!(message, format!("{name}: solver_step = {value}: must be a positive number"));
        }
        let message = refusal(name, &ProblemOptions { solver_step: Some(1e-12), ..defaults.clone() });
        assert!(message.contains("solver_step = 0.000000000001: more than 1e9 steps to time "), "{message}");
    }
    let with = |time_step, solver_step| ProblemOptions { time_step, solver_step, ..defaults.clone() };
    assert_eq!(
        refusal("gray-scott", &with(None, Some(3.0))),
        "gray-scott: solver_step = 3: does not divide time_step = 10; the nearest that does is 3.3333333333333335"
    );
    assert_eq!(
        refusal("gray-scott", &with(Some(3000.0), None)),
        "gray-scott: time_step = 3000: does not divide horizon = 10000; the nearest that does is 3333.3333333333335"
    );
    assert_eq!(
        refusal("navier-stokes", &with(Some(4.0), None)),
        "navier-stokes: time_step = 4: does not divide horizon = 1; the nearest that does is 1"
    );
    assert_eq!(
        refusal("navier-stokes-forward", &with(None, Some(0.3))),
        "navier-stokes-forward: solver_step = 0.3: does not divide time_step = 1; the nearest that does is 0.3333333333333333"
    );
    assert_eq!(
        refusal("gray-scott", &ProblemOptions { n: Some(1024), ..defaults.clone() }),
        "gray-scott: time_step = 10: more than 268435456 numbers in a trajectory to time 10000"
    );
    assert!(problem("gray-scott-forward", &ProblemOptions { n: Some(256), ..defaults.clone() }).is_ok());
    for name in ["gray-scott-forward", "navier-stokes-inverse"] {
        let message = refusal(name, &with(Some(1.0), None));
        assert!(message.starts_with(&format!("{name}: there is no option `time_step`; it has n, ")), "{message}");
    }
    let pattern = ProblemOptions { pattern: Some("stripes".to_owned()), ..defaults.clone() };
    for name in ["gray-scott", "gray-scott-inverse"] {
        assert_eq!(
            refusal(name, &pattern),
            format!("{name}: unknown pattern `stripes`; known: gliders, bubbles, maze, worms, spirals, spots, all")
        );
    }
    assert!(refusal("navier-stokes", &pattern).contains("there is no option `pattern`"));
    assert!(refusal("gray-scott", &ProblemOptions { viscosity: Some(1.0), ..defaults.clone() }).contains("viscosity"));
    for (field, options) in [
        ("viscosity", ProblemOptions { viscosity: Some(-1.0), ..defaults.clone() }),
        ("initial_scale", ProblemOptions { initial_scale: Some(0.0), ..defaults.clone() }),
    ] {
        let message = refusal("navier-stokes-forward", &options);
        assert!(message.starts_with(&format!("navier-stokes-forward: {field} = ")), "{message}");
    }
}

#[test]
fn bad_calls_are_refused() {
    let key = SampleKey { seed: 0, stream: Stream::Test, index: 0 };
    let model = evolution("gray-scott", &small("gray-scott")).unwrap();
    let mut states = vec![0.0; 3 * 2 * 256];
    let call = |family, scalars: &mut [f64], states: &mut [f64]| {
        model.trajectory(family, key, scalars, states).unwrap_err().to_string()
    };
    let message = call(Family::Random { smoothness: 1 }, &mut [0.0; 2], &mut states);
    assert_eq!(message, "unknown data family `random-s1`; known: paper");
    let message = call(Family::Paper, &mut [0.0; 1], &mut states);
    assert_eq!(message, "gray-scott: scalars holds 1 numbers, channels and grid need 2");
    let message = call(Family::Paper, &mut [0.0; 2], &mut states[1..]);
    assert_eq!(message, "gray-scott: states holds 1535 numbers, channels and grid need 1536");
    let map = problem("navier-stokes-forward", &small("navier-stokes")).unwrap();
    let error = map.sample(Family::Paper, key, &mut [0.0; 256], &mut [0.0; 255]).unwrap_err();
    assert_eq!(error.to_string(), "navier-stokes-forward: output holds 255 numbers, channels and grid need 256");
    let rough = Family::Random { smoothness: 0 };
    let error = map.sample(rough, key, &mut [0.0; 256], &mut [0.0; 256]).unwrap_err();
    assert_eq!(error.to_string(), "unknown data family `random-s0`; known: paper");
}

fn with_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[test]
fn samples_have_the_same_bits_for_any_threads() {
    for name in EVOLUTIONS {
        let model = evolution(name, &small(name)).unwrap();
        let numbers = model.times().len() * model.fields().len() * 256;
        let run = |threads| {
            with_threads(threads, || {
                let draw = |index| {
                    let key = SampleKey { seed: 3, stream: Stream::Train, index };
                    let (mut scalars, mut states) = (vec![0.0; model.scalars().len()], vec![9.0; numbers]);
                    model.trajectory(Family::Paper, key, &mut scalars, &mut states).unwrap();
                    states
                };
                (0..14_u64).into_par_iter().map(draw).collect::<Vec<_>>()
            })
        };
        let one = run(1);
        assert!(one.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(run(2) == one && run(3) == one, "{name}");
    }
    for name in MAPS {
        let map = problem(name, &small(name)).unwrap();
        let run = |threads| {
            with_threads(threads, || {
                let mut pairs = Vec::new();
                generate(&*map, Family::Paper, 3, Stream::Train, 0..14, |_, input, output| {
                    pairs.push((input.to_vec(), output.to_vec()));
                    Ok::<(), std::convert::Infallible>(())
                })
                .unwrap();
                pairs
            })
        };
        let one = run(1);
        assert!(run(2) == one && run(3) == one, "{name}");
    }
}

/// Data sets are cached by name, options and seed: a change of these numbers is a change of the data
/// and belongs in the change log.
#[test]
fn samples_are_the_same_as_in_earlier_versions() {
    let key = |index| SampleKey { seed: 1, stream: Stream::Test, index };
    for (name, index, first_pinned, last_pinned) in [
        ("gray-scott", 0, 2.591672654314e-1, 3.851021899181e-1),
        ("gray-scott", 7, 2.637217945767e-1, 4.493657378128e-1),
        ("navier-stokes", 0, 3.748656164980e-2, 4.778254611701e-2),
    ] {
        let model = evolution(name, &small(name)).unwrap();
        let numbers = model.fields().len() * 256;
        let mut states = vec![0.0; model.times().len() * numbers];
        let mut scalars = vec![0.0; model.scalars().len()];
        model.trajectory(Family::Paper, key(index), &mut scalars, &mut states).unwrap();
        let last = states.len() - numbers;
        for (value, pinned) in [(states[numbers - 91], first_pinned), (states[last + numbers - 91], last_pinned)] {
            let error: f64 = value - pinned;
            assert!(error.abs() < 1e-10 * value.abs(), "{name} {index}: {value:.12e}");
        }
    }
}
