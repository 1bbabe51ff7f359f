//! Evolution equations: names, options, errors, and the order and bits of generated trajectories.

use std::ops::Range;

use farfield_pde::{
    Evolution, Family, GenerateError, PdeError, ProblemOptions, SampleKey, Stream, evolution, evolutions,
    generate_trajectories,
};

const ROUGH: Family = Family::Random { smoothness: 1 };
const LINES: [&str; 2] = ["heat-1d", "burgers-1d"];

fn small(name: &str) -> Box<dyn Evolution> {
    let options = ProblemOptions {
        n: Some(32),
        solver_n: Some(128),
        horizon: Some(0.6),
        viscosity: Some(1e-2),
        ..ProblemOptions::default()
    };
    evolution(name, &options).unwrap()
}

fn refusal(name: &str, set: impl Fn(&mut ProblemOptions)) -> String {
    let mut options = ProblemOptions::default();
    set(&mut options);
    let message = evolution(name, &options).err().unwrap().to_string();
    assert!(!message.contains('\n'));
    message
}

#[test]
fn defaults_are_the_papers() {
    for (name, states, grid) in [("heat-1d", 41, "4 i/1023, i = 0..255;"), ("burgers-1d", 76, "4 i/1024, i = 0..255;")]
    {
        let evolution = evolution(name, &ProblemOptions::default()).unwrap();
        assert_eq!((evolution.name(), evolution.grid(), evolution.fields()), (name, vec![256], vec!["u"]));
        assert!(evolutions().contains(&(name, evolution.title())));
        assert_eq!(evolution.families(), [Family::Paper, ROUGH, Family::Random { smoothness: 2 }]);
        assert_eq!((evolution.periodic(), evolution.scalars().len()), (vec![false], 0));
        assert_eq!(evolution.is_linear(), name == "heat-1d");
        let times = evolution.times();
        assert_eq!((times.len(), times[0], times[1]), (states, 0.0, 0.2));
        assert_eq!(times.last(), Some(if name == "heat-1d" { &8.0 } else { &15.0 }));
        let x = evolution.coordinates().remove(0);
        let intervals = if name == "heat-1d" { 1023.0 } else { 1024.0 };
        assert_eq!((x.len(), x[0], x[255]), (256, 0.0, 1020.0 / intervals));
        let facts = evolution.facts();
        let fact = |key: &str| facts.iter().find(|f| f.0 == key).unwrap().1.as_str();
        assert!(fact("grid").starts_with(grid), "{}", fact("grid"));
        assert!(fact("time_integrator").ends_with("relative tolerance 1e-4, absolute 1e-6"));
        for key in ["equation", "boundary_condition", "scheme", "order", "solver_grid", "family_paper", "family_random"]
        {
            assert!(!fact(key).is_empty());
        }
        let mut keys: Vec<&str> = facts.iter().map(|f| f.0).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), facts.len(), "keys are unique");
    }
}

#[test]
fn heat_stores_both_ends_where_the_grids_agree() {
    let options = ProblemOptions { n: Some(32), solver_n: Some(32), ..ProblemOptions::default() };
    let heat = evolution("heat-1d", &options).unwrap();
    assert_eq!(heat.coordinates()[0][31], 1.0);
    assert!(heat.facts().contains(&("grid", "1 i/31, i = 0..31; both ends are stored".to_owned())));
}

#[test]
fn bad_options_are_refused_in_one_line() {
    let unknown = evolution("heat-2d", &ProblemOptions::default()).err().unwrap().to_string();
    assert!(unknown.starts_with("unknown problem `heat-2d`; known: heat-1d, burgers-1d"), "{unknown}");
    for name in LINES {
        let value = |set: fn(&mut ProblemOptions)| refusal(name, set);
        for (message, set) in [
            ("n = 3: at least 4 points an axis are needed", (|o| o.n = Some(3)) as fn(&mut ProblemOptions)),
            ("solver_n = 0: at least 4 points an axis are needed", |o| o.solver_n = Some(0)),
            ("solver_n = 1000: does not fit down-sampling to n = 256: solver_n must be a multiple of 256", |o| {
                o.solver_n = Some(1000)
            }),
            ("solver_n = 8388608: the integration needs more than 2 GiB", |o| o.solver_n = Some(1 << 23)),
            ("viscosity = -0.001: must be a positive number", |o| o.viscosity = Some(-1e-3)),
            ("viscosity = 0: must be a positive number", |o| o.viscosity = Some(0.0)),
            ("viscosity = NaN: must be a positive number", |o| o.viscosity = Some(f64::NAN)),
            ("tolerance = 0: must lie between 1e-10 and 0.01", |o| o.tolerance = Some(0.0)),
            ("tolerance = 0.5: must lie between 1e-10 and 0.01", |o| o.tolerance = Some(0.5)),
            ("tolerance = NaN: must lie between 1e-10 and 0.01", |o| o.tolerance = Some(f64::NAN)),
            ("horizon = -1: must be a positive number", |o| o.horizon = Some(-1.0)),
            ("horizon = inf: must be a positive number", |o| o.horizon = Some(f64::INFINITY)),
            ("horizon = 1: must be a multiple of time_step = 0.3", |o| {
                (o.horizon, o.time_step) = (Some(1.0), Some(0.3));
            }),
            ("horizon = 0.1: must be a multiple of time_step = 0.2", |o| o.horizon = Some(0.1)),
            ("time_step = 0: must be a positive number", |o| o.time_step = Some(0.0)),
            ("time_step = 0.000001: 2000001 states of 256 numbers are more than 2 GiB a trajectory", |o| {
                (o.horizon, o.time_step) = (Some(2.0), Some(1e-6));
            }),
        ] {
            assert_eq!(value(set), format!("{name}: {message}"));
        }
        let message = value(|o| o.horizon = Some(1e300));
        assert!(message.ends_with("are more than 2 GiB a trajectory"), "{message}");
    }
    assert_eq!(
        refusal("heat-1d", |o| o.beta = Some(1.0)),
        "heat-1d: there is no option `beta`; it has n, solver_n, horizon, time_step, viscosity, tolerance"
    );
    assert_eq!(
        refusal("burgers-1d", |o| o.solver_step = Some(1e-3)),
        "burgers-1d: there is no option `solver_step`; it has n, solver_n, horizon, time_step, viscosity, beta, tolerance"
    );
    assert_eq!(
        refusal("burgers-1d", |o| o.beta = Some(f64::INFINITY)),
        "burgers-1d: beta = inf: must be a finite number"
    );
    assert_eq!(
        refusal("burgers-1d", |o| o.viscosity = Some(1e-4)),
        "burgers-1d: viscosity = 0.0001: shocks would oscillate on the spacing 1/1024: |beta| h / viscosity = 9.766 is above 2; \
         solver_n must be at least 5120"
    );
    let resolved = ProblemOptions { viscosity: Some(1e-4), solver_n: Some(5120), ..ProblemOptions::default() };
    assert!(evolution("burgers-1d", &resolved).is_ok());
}

#[test]
fn bad_calls_are_refused() {
    let key = SampleKey { seed: 0, stream: Stream::Test, index: 0 };
    let burgers = small("burgers-1d");
    let mut states = vec![0.0; 4 * 32];
    let error = burgers.trajectory(Family::Random { smoothness: 0 }, key, &mut [], &mut states).unwrap_err();
    assert_eq!(
        error.to_string(),
        "burgers-1d: no family `random-s0` on 32 points an axis; here: paper, random-s1, random-s2 (`paper` needs more than 22 points)"
    );
    let error = burgers.trajectory(ROUGH, key, &mut [], &mut states[1..]).unwrap_err();
    assert_eq!(error.to_string(), "burgers-1d: states holds 127 numbers, channels and grid need 128");
    let error = burgers.trajectory(ROUGH, key, &mut [0.0], &mut states).unwrap_err();
    assert_eq!(error.to_string(), "burgers-1d: scalars holds 1 numbers, channels and grid need 0");
    let options = ProblemOptions { n: Some(10), ..ProblemOptions::default() };
    let coarse = evolution("heat-1d", &options).unwrap();
    assert_eq!(coarse.families(), [ROUGH, Family::Random { smoothness: 2 }], "ten waves need eleven points");
}

#[test]
fn extreme_options_end_in_numbers_or_in_an_error() {
    let key = SampleKey { seed: 0, stream: Stream::Test, index: 0 };
    for name in LINES {
        for (horizon, viscosity) in [(0.2, 1e300), (0.2, 1e12), (1e300, 1e-2), (1e-300, 1e-2), (1e9, 1.0), (0.2, 1e-2)]
        {
            for tolerance in [1e-10, 1e-2] {
                let options = ProblemOptions {
                    n: Some(4),
                    solver_n: Some(64),
                    viscosity: Some(viscosity),
                    horizon: Some(horizon),
                    time_step: Some(horizon),
                    tolerance: Some(tolerance),
                    ..ProblemOptions::default()
                };
                let mut states = [f64::NAN; 8];
                match evolution(name, &options).unwrap().trajectory(ROUGH, key, &mut [], &mut states) {
                    Ok(()) => assert!(states.iter().all(|u| u.abs() <= 1.0), "{horizon} {viscosity} {states:?}"),
                    Err(error) => {
                        assert!(matches!(error, PdeError::Integration { .. }) && viscosity > 1.0, "{error}");
                        assert!(!error.to_string().contains('\n'));
                    }
                }
            }
        }
    }
}

fn collect(evolution: &dyn Evolution, family: Family, samples: Range<u64>) -> Vec<Vec<f64>> {
    let mut all = Vec::new();
    let mut next = samples.start;
    generate_trajectories(evolution, family, 9, Stream::Train, samples, |index, scalars, states| {
        assert_eq!((index, scalars.len()), (next, 0));
        next += 1;
        all.push(states.to_vec());
        Ok::<(), std::convert::Infallible>(())
    })
    .unwrap();
    all
}

#[test]
fn any_number_of_threads_gives_the_same_bits_in_order() {
    for name in LINES {
        let evolution = small(name);
        for family in evolution.families() {
            let runs: Vec<Vec<Vec<f64>>> = [1, 2, 3]
                .iter()
                .map(|&threads| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    pool.install(|| collect(&*evolution, family, 0..70))
                })
                .collect();
            assert_eq!(runs[0].len(), 70);
            assert_eq!(runs[0], runs[1]);
            assert_eq!(runs[0], runs[2]);
            assert_eq!(runs[0][60..62], collect(&*evolution, family, 60..62));
            assert!(runs[0][0] != runs[0][1]);
        }
    }
}

#[test]
fn an_error_of_the_sink_or_of_a_trajectory_stops_the_generation() {
    let heat = small("heat-1d");
    let mut calls = 0;
    let result = generate_trajectories(&*heat, ROUGH, 0, Stream::Train, 3..9, |index, _, _| {
        calls += 1;
        if index == 5 { Err("disk full") } else { Ok(()) }
    });
    assert_eq!((calls, result.unwrap_err().to_string()), (3, "sample 5: disk full".to_owned()));
    let noise = Family::Random { smoothness: 0 };
    let result = generate_trajectories(&*heat, noise, 0, Stream::Train, 3..9, |_, _, _| Ok::<(), PdeError>(()));
    assert!(matches!(result, Err(GenerateError::Sample { index: 3, source: PdeError::Family { .. } })));
}
