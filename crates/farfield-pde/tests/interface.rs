//! Names, options, errors, and the order and bits of generated samples.

use std::ops::Range;

use farfield_pde::{
    Family, GenerateError, PdeError, Problem, ProblemOptions, SampleKey, Stream, generate, problem, problems,
};

fn options(n: Option<usize>, solver_n: Option<usize>, scheme: Option<&str>) -> ProblemOptions {
    ProblemOptions { n, solver_n, scheme: scheme.map(str::to_owned), ..ProblemOptions::default() }
}

fn refusal(name: &str, options: &ProblemOptions) -> String {
    let message = problem(name, options).err().unwrap().to_string();
    assert!(!message.contains('\n'));
    message
}

#[test]
fn defaults_are_the_papers_grids() {
    for (name, grid, solver) in [
        ("poisson-1d", vec![256], "i/1024, i = 0..1023;"),
        ("poisson-1d-neumann", vec![256], "i/1020, i = 0..1020;"),
        ("poisson-2d", vec![64, 64], "i/128, i = 0..127 on each axis;"),
        ("poisson-2d-l-shape", vec![64, 64], "i/128, i = 0..127 on each axis;"),
        ("poisson-2d-disk", vec![64, 64], "i/256, i = 0..255 on each axis;"),
        ("poisson-3d", vec![128; 3], "i/128, i = 0..127 on each axis;"),
        ("helmholtz-2d", vec![64, 64], "i/128, i = 0..127 on each axis;"),
    ] {
        let problem = problem(name, &ProblemOptions::default()).unwrap();
        assert_eq!((problem.name(), problem.grid()), (name, grid));
        assert_eq!(problem.channels(), (1, 1));
        assert_eq!(problem.families(), Family::ALL);
        assert!(problems().contains(&(name, problem.title())));
        let facts = problem.facts();
        let fact = |key: &str| facts.iter().find(|f| f.0 == key).unwrap().1.as_str();
        assert!(fact("solver_grid_paper").starts_with(solver), "{name}");
        for key in ["equation", "boundary_condition", "grid", "family_paper", "family_random"] {
            assert!(!fact(key).is_empty());
        }
        let mut keys: Vec<&str> = facts.iter().map(|f| f.0).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), facts.len(), "keys are unique");
    }
}

#[test]
fn bad_options_are_refused_in_one_line() {
    let known: Vec<&str> = problems().iter().map(|&(name, _)| name).collect();
    assert_eq!(
        refusal("poisson-4d", &ProblemOptions::default()),
        format!("unknown problem `poisson-4d`; known: {}", known.join(", "))
    );
    assert_eq!(
        refusal("poisson-1d", &options(None, None, Some("spectral"))),
        "poisson-1d: unknown scheme `spectral`; known: fourth-order, paper, paper-truncated, second-order"
    );
    assert_eq!(
        refusal("poisson-2d", &options(None, None, Some("paper"))),
        "poisson-2d: unknown scheme `paper`; known: fourth-order, second-order"
    );
    assert_eq!(
        refusal("poisson-3d", &options(Some(3), None, None)),
        "poisson-3d: n = 3: at least 4 points an axis are needed"
    );
    assert_eq!(
        refusal("poisson-1d", &options(Some(256), Some(1000), None)),
        "poisson-1d: solver_n = 1000: does not fit down-sampling to n = 256: solver_n must be a multiple of 256"
    );
    assert_eq!(
        refusal("poisson-1d-neumann", &options(Some(256), Some(1024), None)),
        "poisson-1d-neumann: solver_n = 1024: does not fit down-sampling to n = 256: solver_n - 1 must be a multiple of 255"
    );
    assert_eq!(
        refusal("poisson-2d", &options(Some(64), Some(32), None)),
        "poisson-2d: solver_n = 32: does not fit down-sampling to n = 64: solver_n must be a multiple of 64"
    );
    for n in [1000, usize::MAX] {
        assert_eq!(
            refusal("poisson-3d", &options(Some(n), None, None)),
            format!("poisson-3d: n = {n}: more than 268435456 points in 3 dimensions")
        );
    }
    assert_eq!(
        refusal("poisson-2d", &options(Some(10_000), None, None)),
        "poisson-2d: n = 10000: the solver grid, 2 times finer, is too large; set solver_n"
    );
    for &(name, _) in problems() {
        for n in [0, 1, 2, 3] {
            refusal(name, &options(Some(n), None, None));
            refusal(name, &options(None, Some(n), None));
        }
    }
}

#[test]
fn the_smallest_grids_work() {
    let elliptic = |name: &str| name.starts_with("poisson") || name.starts_with("helmholtz");
    for &(name, _) in problems().iter().filter(|(name, _)| elliptic(name)) {
        for n in [4, 5, 6] {
            // The re-entrant corner must be a grid point, the disk must be resolved.
            if (name == "poisson-2d-l-shape" && n == 5) || (name == "poisson-2d-disk" && n == 4) {
                refusal(name, &options(Some(n), None, None));
                continue;
            }
            let problem = problem(name, &options(Some(n), None, None)).unwrap();
            assert_eq!(problem.families().len(), 3, "without `paper`");
            let pairs = collect(&*problem, Family::Random { smoothness: 1 }, 0..2);
            let finite = |(f, u): &(Vec<f64>, Vec<f64>)| f.iter().chain(u).all(|x| x.is_finite());
            assert!(pairs.iter().all(finite), "{name}");
        }
    }
}

#[test]
fn bad_calls_are_refused() {
    let key = SampleKey { seed: 0, stream: Stream::Test, index: 0 };
    let coarse = problem("poisson-3d", &options(Some(16), None, None)).unwrap();
    let (mut f, mut u) = (vec![0.0; 4096], vec![0.0; 4096]);
    let error = coarse.sample(Family::Paper, key, &mut f, &mut u);
    assert_eq!(
        error.unwrap_err().to_string(),
        "poisson-3d: no family `paper` on 16 points an axis; here: random-s0, random-s1, random-s2 (`paper` needs more than 23 points)"
    );
    let rough = Family::Random { smoothness: 0 };
    let error = coarse.sample(rough, key, &mut f[1..], &mut u);
    assert_eq!(error.unwrap_err().to_string(), "poisson-3d: input holds 4095 numbers, channels and grid need 4096");
    let error = coarse.sample(rough, key, &mut f, &mut u[..7]);
    assert!(error.unwrap_err().to_string().contains("output holds 7"));
    let error = coarse.sample(Family::Random { smoothness: 3 }, key, &mut f, &mut u);
    assert!(matches!(error, Err(PdeError::Family { .. })));
}

#[test]
fn families_and_options_are_read_from_text() {
    for family in Family::ALL {
        assert_eq!(family.to_string().parse(), Ok(family));
        let json = serde_json::to_string(&family).unwrap();
        assert_eq!(json, format!("\"{family}\""));
        assert_eq!(serde_json::from_str::<Family>(&json).unwrap(), family);
    }
    for name in ["", "random", "random-s3", "random-s01", "random-s-1", "Paper"] {
        let message = name.parse::<Family>().unwrap_err().to_string();
        assert!(message.ends_with("known: paper, random-s0, random-s1, random-s2"));
        assert!(serde_json::from_str::<Family>(&format!("{name:?}")).is_err());
    }
    let read = |text| serde_json::from_str::<ProblemOptions>(text);
    assert_eq!(read("{}").unwrap(), ProblemOptions::default());
    assert_eq!(read(r#"{"n": 32, "scheme": "paper"}"#).unwrap(), options(Some(32), None, Some("paper")));
    let message = read(r#"{"grid": 32}"#).unwrap_err().to_string();
    assert!(message.contains("unknown field `grid`"), "{message}");
    assert!(read(r#"{"n": -1}"#).is_err());
    assert_eq!(serde_json::to_string(&Stream::OutOfDistribution).unwrap(), "\"out-of-distribution\"");
}

fn collect(problem: &dyn Problem, family: Family, range: Range<u64>) -> Vec<(Vec<f64>, Vec<f64>)> {
    let mut pairs = Vec::new();
    let mut next = range.start;
    generate(problem, family, 3, Stream::Train, range, |index, f, u| {
        assert_eq!(index, next);
        next += 1;
        pairs.push((f.to_vec(), u.to_vec()));
        Ok::<(), std::convert::Infallible>(())
    })
    .unwrap();
    pairs
}

#[test]
fn generated_samples_have_the_same_bits_for_any_threads_and_range() {
    for (name, n, count) in [
        ("poisson-1d", 32, 150),
        ("poisson-1d-neumann", 32, 150),
        ("poisson-2d", 24, 20),
        ("poisson-2d-l-shape", 24, 20),
        ("poisson-2d-disk", 24, 20),
        ("poisson-3d", 24, 5),
        ("helmholtz-2d", 24, 20),
    ] {
        let problem = problem(name, &options(Some(n), None, None)).unwrap();
        for family in problem.families() {
            let run = |threads, range| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                pool.build().unwrap().install(|| collect(&*problem, family, range))
            };
            let one = run(1, 0..count);
            assert_eq!(one.len() as u64, count);
            assert_eq!(one, run(4, 0..count), "{name} {family}");
            assert_eq!(one[3..], run(2, 3..count), "{name} {family}");
            for (index, (f, u)) in one.iter().enumerate() {
                let key = SampleKey { seed: 3, stream: Stream::Train, index: index as u64 };
                let (mut input, mut output) = (vec![9.0; f.len()], vec![9.0; u.len()]);
                problem.sample(family, key, &mut input, &mut output).unwrap();
                assert_eq!((&input, &output), (f, u), "{name} {family}");
            }
        }
    }
}

#[test]
fn seeds_streams_and_indices_differ() {
    let problem = problem("poisson-1d", &ProblemOptions::default()).unwrap();
    let mut seen = Vec::new();
    for seed in [0, 1] {
        for stream in [Stream::Train, Stream::Validation, Stream::Test, Stream::OutOfDistribution] {
            for index in [0, 1] {
                let key = SampleKey { seed, stream, index };
                let (mut f, mut u) = (vec![0.0; 256], vec![0.0; 256]);
                problem.sample(Family::Paper, key, &mut f, &mut u).unwrap();
                assert!(!seen.contains(&f));
                seen.push(f);
            }
        }
    }
}

#[test]
fn a_sink_error_stops_at_once_and_names_the_sample() {
    let problem = problem("poisson-1d", &options(Some(32), None, None)).unwrap();
    let mut seen = Vec::new();
    let result = generate(&*problem, Family::Paper, 0, Stream::Test, 5..500, |i, _, _| {
        seen.push(i);
        if i == 8 { Err(std::fmt::Error) } else { Ok(()) }
    });
    assert!(matches!(result, Err(GenerateError::Sink { index: 8, .. })));
    assert_eq!(seen, [5, 6, 7, 8]);

    let empty = generate(&*problem, Family::Paper, 0, Stream::Test, 5..5, |_, _, _| Err("called"));
    assert!(empty.is_ok());
}

#[test]
fn a_family_that_does_not_exist_stops_before_the_sink() {
    let problem = problem("poisson-3d", &options(Some(8), None, None)).unwrap();
    let result = generate(&*problem, Family::Paper, 0, Stream::Test, 2..4, |_, _, _| Err("called"));
    match result {
        Err(error @ GenerateError::Sample { index: 2, .. }) => {
            assert!(error.to_string().starts_with("sample 2: poisson-3d: no family"));
        }
        other => panic!("{other:?}"),
    }
}

/// Data sets are cached by name, options and seed: a change of these numbers is a change of the data
/// and belongs in the change log.
#[test]
fn samples_are_the_same_as_in_earlier_versions() {
    let mut changed = Vec::new();
    for (name, n, family, f_pinned, u_pinned) in [
        ("poisson-1d", 32, "paper", -3.298255310824e-1, -1.319847527222e-2),
        ("poisson-1d", 32, "random-s1", 6.926518148140e-2, 4.633533233320e-3),
        ("poisson-1d-neumann", 32, "paper", -9.874852360779e-1, -1.163199341052e-2),
        ("poisson-1d-neumann", 32, "random-s1", 4.756542910120e-2, -9.597893633666e-4),
        ("poisson-2d", 24, "paper", -8.317413346048e-1, -4.320956067083e-3),
        ("poisson-2d", 24, "random-s1", -1.783840292560e-3, 3.097366571865e-4),
        ("poisson-3d", 24, "paper", -8.367575853856e0, -5.048581605094e-3),
        ("poisson-3d", 24, "random-s1", -2.801415948085e-6, -3.162108268657e-5),
        ("poisson-2d-l-shape", 24, "paper", -1.069781067919e0, 2.877820170186e-3),
        ("poisson-2d-l-shape", 24, "random-s1", 5.366067407735e-2, 3.227778239077e-4),
        ("poisson-2d-disk", 24, "paper", -1.069781067919e0, 3.031467987971e-3),
        ("poisson-2d-disk", 24, "random-s1", -4.804819561445e-2, -1.751736711138e-4),
        ("helmholtz-2d", 24, "paper", -8.317413346048e-1, 8.688736321282e-2),
        ("helmholtz-2d", 24, "random-s1", 3.846295869200e-2, -2.731057020581e-5),
    ] {
        let problem = problem(name, &options(Some(n), None, None)).unwrap();
        let len = problem.grid().iter().product();
        let (mut f, mut u) = (vec![0.0; len], vec![0.0; len]);
        let key = SampleKey { seed: 1, stream: Stream::Test, index: 7 };
        problem.sample(family.parse().unwrap(), key, &mut f, &mut u).unwrap();
        // A point inside the domain.
        let point = if problem.mask().is_some() { len / 7 } else { len / 2 + len / 7 };
        let same = |value: f64, pinned: f64| (value - pinned).abs() < 1e-10 * value.abs();
        if !same(f[point], f_pinned) || !same(u[point], u_pinned) {
            changed.push(format!("{name} {family}: {:.12e}, {:.12e}", f[point], u[point]));
        }
    }
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn an_option_that_the_problem_does_not_have_is_refused() {
    for name in ["poisson-1d", "poisson-1d-neumann", "poisson-2d", "poisson-3d"] {
        let options = ProblemOptions { beta: Some(1.0), ..ProblemOptions::default() };
        let message = problem(name, &options).err().expect("beta belongs to the Burgers equation").to_string();
        assert_eq!(message, format!("{name}: there is no option `beta`; it has n, solver_n, scheme"));
    }
}
