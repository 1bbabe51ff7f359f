//! The problems of the H2-NN paper: radiative transfer, sums over all pairs of points, the nonlinear Schroedinger equation.

mod radiative_transfer_1d;
mod schrodinger;
mod sums;

use farfield_pde::{Family, PdeError, Problem, ProblemOptions, SampleKey, Stream, generate, problem, problems};

const NAMES: [&str; 8] = [
    "radiative-transfer-1d",
    "radiative-transfer-2d",
    "custom-operator-1d",
    "custom-operator-2d",
    "custom-operator-3d",
    "n-body-2d",
    "n-body-3d",
    "nonlinear-schrodinger-1d",
];

fn build(name: &str, change: impl FnOnce(&mut ProblemOptions)) -> Box<dyn Problem> {
    let mut options = ProblemOptions::default();
    change(&mut options);
    problem(name, &options).unwrap()
}

fn refusal(name: &str, change: impl FnOnce(&mut ProblemOptions)) -> String {
    let mut options = ProblemOptions::default();
    change(&mut options);
    let message = problem(name, &options).err().unwrap().to_string();
    assert!(!message.contains('\n'));
    message
}

/// A size that is quick.
fn small(name: &str) -> Box<dyn Problem> {
    build(name, |o| o.n = Some(if name.ends_with("1d") || name.starts_with("n-body") { 24 } else { 5 }))
}

fn draw(problem: &dyn Problem, family: Family, index: u64) -> (Vec<f64>, Vec<f64>) {
    let count = |grid: Vec<usize>| grid.iter().product();
    let (mut x, mut y) = (vec![f64::NAN; count(problem.grid())], vec![f64::NAN; count(problem.output_grid())]);
    let key = SampleKey { seed: 17, stream: Stream::Train, index };
    problem.sample(family, key, &mut x, &mut y).unwrap();
    (x, y)
}

#[test]
fn the_problems_are_listed_and_described() {
    for (name, grid) in [
        ("radiative-transfer-1d", vec![320]),
        ("radiative-transfer-2d", vec![40; 2]),
        ("custom-operator-1d", vec![320]),
        ("custom-operator-2d", vec![32; 2]),
        ("n-body-2d", vec![1024]),
        ("nonlinear-schrodinger-1d", vec![320]),
    ] {
        assert_eq!(build(name, |_| ()).grid(), grid, "{name}");
    }
    for name in NAMES {
        let problem = small(name);
        assert_eq!((problem.name(), problem.channels(), problem.mask()), (name, (1, 1), None));
        assert!(problems().contains(&(name, problem.title())));
        let facts = problem.facts();
        for key in ["equation", "boundary_condition", "grid", "scheme", "input", "output", "family_paper"] {
            assert_eq!(facts.iter().filter(|fact| fact.0 == key && !fact.1.is_empty()).count(), 1, "{name}: {key}");
        }
        let mut keys: Vec<&str> = facts.iter().map(|fact| fact.0).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), facts.len(), "keys are unique");
        let lengths: Vec<usize> = problem.coordinates().iter().map(Vec::len).collect();
        assert_eq!(lengths, problem.output_grid(), "{name}");
        assert_eq!(problem.points().is_some(), name.starts_with("n-body"));
    }
}

#[test]
fn bad_options_are_refused_in_one_line() {
    for name in NAMES {
        for n in 0..4 {
            assert_eq!(
                refusal(name, |o| o.n = Some(n)),
                format!("{name}: n = {n}: at least 4 points an axis are needed")
            );
        }
        assert!(refusal(name, |o| o.n = Some(usize::MAX)).starts_with(&format!("{name}: n = {}: ", usize::MAX)));
        assert!(
            refusal(name, |o| o.wave_number = Some(1.0))
                .starts_with(&format!("{name}: there is no option `wave_number`; it has n"))
        );
    }
    assert!(refusal("radiative-transfer-1d", |o| o.n = Some(8193)).contains("more than 8192 cells"));
    assert!(refusal("radiative-transfer-2d", |o| o.n = Some(97)).contains("more than 96 cells an axis"));
    assert!(refusal("custom-operator-2d", |o| o.n = Some(257)).contains("more than 65536 points"));
    for receivers in [0, 3, 65_537] {
        let message = refusal("n-body-3d", |o| o.receivers = Some(receivers));
        assert_eq!(message, format!("n-body-3d: receivers = {receivers}: between 4 and 65536 points are possible"));
    }
    assert!(refusal("n-body-2d", |o| o.n = Some(65_537)).contains("n = 65537: between 4 and 65536"));
    assert!(refusal("custom-operator-1d", |o| o.receivers = Some(9)).contains("no option `receivers`"));
    for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(refusal("nonlinear-schrodinger-1d", |o| o.beta = Some(beta)).contains("must be a positive number"));
    }
    let message = refusal("nonlinear-schrodinger-1d", |o| o.solver_n = Some(500));
    assert!(message.contains("solver_n must be a multiple of 320"), "{message}");
}

#[test]
fn bad_calls_are_refused() {
    let key = SampleKey { seed: 0, stream: Stream::Test, index: 0 };
    for name in NAMES {
        let problem = small(name);
        let points: usize = problem.grid().iter().product();
        let (mut x, mut y) = (vec![0.0; points], vec![0.0; points]);
        let error = problem.sample(Family::Paper, key, &mut x[1..], &mut y).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{name}: input holds {} numbers, channels and grid need {points}", points - 1)
        );
        assert!(
            problem.sample(Family::Paper, key, &mut x, &mut y[..2]).unwrap_err().to_string().contains("output holds 2")
        );
        let family = Family::Random { smoothness: 3 };
        let error = problem.sample(family, key, &mut x, &mut y).unwrap_err();
        assert!(matches!(error, PdeError::UnknownFamily { .. }), "{error}");
        if !problem.is_linear() {
            let error = problem.sample(Family::Random { smoothness: 1 }, key, &mut x, &mut y).unwrap_err();
            assert_eq!(error.to_string(), "unknown data family `random-s1`; known: paper");
        }
    }
    let separate = build("n-body-2d", |o| (o.n, o.receivers) = (Some(9), Some(7)));
    let error = separate.sample(Family::Paper, key, &mut [0.0; 9], &mut [0.0; 9]).unwrap_err();
    assert_eq!(error.to_string(), "n-body-2d: output holds 9 numbers, channels and grid need 7");
}

#[test]
fn samples_have_the_same_bits_for_any_threads_and_range() {
    for name in NAMES {
        let problem = small(name);
        for family in problem.families() {
            let run = |threads, range| {
                let mut pairs = Vec::new();
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    generate(&*problem, family, 3, Stream::Train, range, |_, x, y| {
                        pairs.push((x.to_vec(), y.to_vec()));
                        Ok::<(), std::convert::Infallible>(())
                    })
                    .unwrap();
                });
                pairs
            };
            let one = run(1, 0..40);
            assert!(one.iter().flat_map(|(x, y)| x.iter().chain(y)).all(|v| v.is_finite()));
            assert_eq!(one, run(4, 0..40), "{name} {family}");
            assert_eq!(one[3..], run(2, 3..40), "{name} {family}");
            assert!(one[0].0 != one[1].0 && one[0].1 != one[1].1);
        }
    }
}

/// Data sets are cached by name, options and seed: a change of these numbers is a change of the data and belongs in the change log.
#[test]
fn samples_are_the_same_as_in_earlier_versions() {
    let mut changed = Vec::new();
    for (name, family, x_pinned, y_pinned) in PINNED {
        let problem = small(name);
        let (x, y) = draw(&*problem, family.parse().unwrap(), 7);
        let place = x.len() / 2 + x.len() / 7;
        let same = |value: f64, pinned: f64| (value - pinned).abs() < 1e-10 * value.abs();
        if !same(x[place], x_pinned) || !same(y[place], y_pinned) {
            changed.push(format!("(\"{name}\", \"{family}\", {:.12e}, {:.12e}),", x[place], y[place]));
        }
    }
    assert!(changed.is_empty(), "{changed:#?}");
}

const PINNED: [(&str, &str, f64, f64); 10] = [
    ("radiative-transfer-1d", "paper", 4.873919560131e-7, 1.359451762452e0),
    ("radiative-transfer-2d", "paper", 3.381371983246e-19, 4.264472439511e-1),
    ("custom-operator-1d", "paper", 4.873919560131e-7, 2.804181566711e-6),
    ("custom-operator-1d", "random-s0", -1.440866384182e0, -2.341088841988e-5),
    ("custom-operator-2d", "random-s1", -3.795641089688e-1, -1.052188454955e-2),
    ("custom-operator-3d", "random-s2", -3.978956961371e-2, -1.179077226625e-2),
    ("n-body-2d", "paper", 6.425574230929e0, 4.549766604116e1),
    ("n-body-2d", "random-s1", -8.884518076305e-1, -4.525318253580e1),
    ("n-body-3d", "random-s0", -1.440866384182e0, -2.924774965150e1),
    ("nonlinear-schrodinger-1d", "paper", 1.564040668605e2, 4.354785921950e-1),
];
