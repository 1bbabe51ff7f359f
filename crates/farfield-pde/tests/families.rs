//! What the families promise: spans, covariances, zero boundaries and means, coordinates, and that
//! every pair solves its discrete equation.

use std::f64::consts::PI;

use farfield_pde::{
    DirichletSolver, Family, NeumannSolver, Problem, ProblemOptions, SampleKey, SineTransform, Stencil, Stream,
    problem, problems,
};

fn build(name: &str, n: usize) -> Box<dyn Problem> {
    let options = ProblemOptions { n: Some(n), ..ProblemOptions::default() };
    problem(name, &options).unwrap()
}

fn key(index: u64) -> SampleKey {
    SampleKey { seed: 11, stream: Stream::Train, index }
}

fn draw(problem: &dyn Problem, family: Family, index: u64) -> (Vec<f64>, Vec<f64>) {
    let points = problem.grid().iter().product();
    let (mut f, mut u) = (vec![f64::NAN; points], vec![f64::NAN; points]);
    problem.sample(family, key(index), &mut f, &mut u).unwrap();
    (f, u)
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let scale = b.iter().fold(0.0, |m: f64, b| m.max(b.abs()));
    let error = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    error.fold(0.0, f64::max) / scale
}

/// Sine coefficients of a field of a Dirichlet problem.
fn sine_coefficients(axes: usize, n: usize, field: &[f64]) -> Vec<f64> {
    let transform = SineTransform::new(axes, n);
    let mut waves = field.to_vec();
    transform.apply(&mut waves);
    waves.iter_mut().for_each(|w| *w *= transform.inverse_factor());
    waves
}

#[test]
fn paper_1d_is_the_printed_series_and_its_solution() {
    let (n, problem) = (32, build("poisson-1d", 32));
    let mut mean = 0.0;
    for index in 0..20 {
        let (f, u) = draw(&*problem, Family::Paper, index);
        let (c, v) = (sine_coefficients(1, n, &f), sine_coefficients(1, n, &u));
        for k in 1..n {
            if k % 2 == 0 && k <= 20 {
                assert!((0.0..1.0).contains(&c[k]));
                mean += c[k] / 200.0;
                // Fourth order at 128 points: off by (pi k h)^4 / 90 of the exact solution.
                let exact = c[k] / (PI * k as f64).powi(2);
                let bound = (PI * k as f64 / 128.0).powi(4) / 80.0 + 1e-11;
                assert!((v[k] - exact).abs() < bound * exact, "mode {k}");
            } else {
                assert!(c[k].abs() < 1e-14 && v[k].abs() < 1e-14, "mode {k}");
            }
        }
    }
    // The mean of 200 uniform numbers, five standard deviations.
    assert!((mean - 0.5).abs() < 5.0 / (12.0_f64 * 200.0).sqrt());
}

#[test]
fn paper_2d_is_the_printed_series_and_its_solution() {
    let (n, problem) = (32, build("poisson-2d", 32));
    let (f, u) = draw(&*problem, Family::Paper, 3);
    let (c, v) = (sine_coefficients(2, n, &f), sine_coefficients(2, n, &u));
    for (i, (&c, &v)) in c.iter().zip(&v).enumerate() {
        let (a, b) = (i / n, i % n);
        if [a, b].iter().all(|&k| k > 0 && k % 2 == 0 && k <= 20) {
            assert!((0.0..1.0).contains(&c));
            let exact = c / (PI * PI * (a * a + b * b) as f64);
            assert!((v - exact).abs() < 0.02 * exact, "mode {a}, {b}");
        } else {
            assert!(c.abs() < 1e-14 && v.abs() < 1e-14, "mode {a}, {b}");
        }
    }
}

#[test]
fn paper_3d_uses_wave_numbers_3_to_23_and_other_ones_for_each_sample() {
    let (n, problem) = (24, build("poisson-3d", 24));
    let mut masks = Vec::new();
    for index in 0..3 {
        let (f, u) = draw(&*problem, Family::Paper, index);
        let c = sine_coefficients(3, n, &f);
        let mut used = [[false; 24]; 3];
        for (i, &c) in c.iter().enumerate() {
            let k = [i / n / n, i / n % n, i % n];
            if c.abs() > 1e-12 {
                assert!(c > 0.0 && k.iter().all(|k| (3..=23).contains(k)), "{k:?}");
                (0..3).for_each(|axis| used[axis][k[axis]] = true);
            }
        }
        // 8000 uniform numbers in all, whatever the wave numbers; five standard deviations.
        let total: f64 = c.iter().sum();
        assert!((total - 4000.0).abs() < 5.0 * (8000.0_f64 / 12.0).sqrt());
        // With replacement: about 21 (1 - (20/21)^20) = 13 different ones an axis.
        for axis in used {
            let different = axis.iter().filter(|&&used| used).count();
            assert!((8..=20).contains(&different), "{different} wave numbers");
        }
        masks.push(used);
        let mut solved = vec![0.0; f.len()];
        DirichletSolver::new(3, n, Stencil::FourthOrderCompact).solve(&f, &mut solved);
        assert_eq!(u, solved);
    }
    assert!(masks[0] != masks[1] && masks[1] != masks[2] && masks[0][0] != masks[0][1]);
}

#[test]
fn paper_neumann_is_a_cosine_series_of_zero_mean() {
    let (n, problem) = (52, build("poisson-1d-neumann", 52));
    let intervals = (n - 1) as f64;
    let (f, u) = draw(&*problem, Family::Paper, 0);
    let solver = NeumannSolver::new(n, Stencil::FourthOrderCross);
    let coefficients = |field: &[f64]| {
        let mut c = field.to_vec();
        solver.cosine_transform(&mut c);
        c.iter_mut().for_each(|c| *c *= 2.0 / intervals);
        c
    };
    let (c, v) = (coefficients(&f), coefficients(&u));
    for k in 0..n {
        if k > 0 && k % 2 == 0 && k <= 20 {
            assert!((0.0..1.0).contains(&c[k]));
            let exact = c[k] / (PI * k as f64).powi(2);
            let bound = (PI * k as f64 / (4.0 * intervals)).powi(4) / 80.0 + 1e-11;
            assert!((v[k] - exact).abs() < bound * exact, "mode {k}");
        } else {
            assert!(c[k].abs() < 1e-13 && v[k].abs() < 1e-14, "mode {k}");
        }
    }
}

#[test]
fn neumann_fields_have_zero_trapezoidal_mean() {
    let problem = build("poisson-1d-neumann", 40);
    for family in problem.families() {
        for index in 0..5 {
            let (f, u) = draw(&*problem, family, index);
            for field in [f, u] {
                let ends = (field[0] + field[39]) / 2.0;
                let mean = (field.iter().sum::<f64>() - ends) / 39.0;
                let largest = field.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
                assert!(mean.abs() < 1e-14 * largest, "{family}: {mean:e}");
            }
        }
    }
}

#[test]
fn random_pairs_solve_the_discrete_equation_on_the_stored_grid() {
    for smoothness in 0..3 {
        let family = Family::Random { smoothness };
        for (name, axes, n) in [("poisson-1d", 1, 50), ("poisson-2d", 2, 12), ("poisson-3d", 3, 8)] {
            let stencil = if axes == 1 { Stencil::SecondOrder } else { Stencil::FourthOrderCompact };
            let (f, u) = draw(&*build(name, n), family, 2);
            let mut solved = vec![0.0; f.len()];
            DirichletSolver::new(axes, n, stencil).solve(&f, &mut solved);
            assert_eq!(u, solved, "{name}");
        }
        let (f, u) = draw(&*build("poisson-1d-neumann", 50), family, 2);
        let mut solved = vec![0.0; 50];
        NeumannSolver::new(50, Stencil::SecondOrder).solve(&f, &mut solved);
        assert_eq!(u, solved);
    }
    // In 1D, minus the second difference of u is f.
    let (f, u) = draw(&*build("poisson-1d", 50), Family::Random { smoothness: 0 }, 0);
    for i in 1..50 {
        let right = u.get(i + 1).copied().unwrap_or(0.0);
        let residual = (2.0 * u[i] - u[i - 1] - right) * 2500.0 - f[i];
        assert!(residual.abs() < 1e-10);
    }
}

/// Checks that uncorrelated numbers with the given variances are what they should be: a variance
/// from M samples has relative standard deviation sqrt(2/M), a correlation 1/sqrt(M); five of them
/// are allowed.
fn assert_independent(what: &str, samples: &[Vec<f64>], variances: &[f64]) {
    let count = samples.len() as f64;
    for (k, &variance) in variances.iter().enumerate() {
        let estimate = samples.iter().map(|s| s[k] * s[k]).sum::<f64>() / count;
        let deviations = (estimate / variance - 1.0) / (2.0 / count).sqrt();
        assert!(deviations.abs() < 5.0, "{what}: variance {k} off by {deviations:.1} sigma");
        let mean = samples.iter().map(|s| s[k]).sum::<f64>() / (count * variance).sqrt();
        assert!(mean.abs() < 5.0, "{what}: mean {k} off by {mean:.1} sigma");
        let other = (k + 1) % variances.len();
        if other != k {
            let scale = (variance * variances[other] * count).sqrt();
            let correlation = samples.iter().map(|s| s[k] * s[other]).sum::<f64>() / scale;
            assert!(correlation.abs() < 5.0, "{what}: {k}, {other} correlated: {correlation:.1}");
        }
    }
}

#[test]
fn covariance_of_random_fields_is_the_stated_one() {
    for (name, axes, n, count) in [("poisson-1d", 1, 16, 8000), ("poisson-2d", 2, 7, 4000), ("poisson-3d", 3, 4, 4000)]
    {
        let problem = build(name, n);
        for smoothness in 0..3 {
            let family = Family::Random { smoothness };
            let fields: Vec<Vec<f64>> = (0..count).map(|i| draw(&*problem, family, i).0).collect();
            // Orthonormal sine waves, summed directly.
            let modes: Vec<usize> = (0..n.pow(axes)).filter(|k| (0..axes).all(|a| k / n.pow(a) % n != 0)).collect();
            let wave = |k: usize, i: usize| -> f64 {
                let axis = |a: u32| {
                    let product = (k / n.pow(a) % n) * (i / n.pow(a) % n);
                    (2.0 / n as f64).sqrt() * (PI * product as f64 / n as f64).sin()
                };
                (0..axes).map(axis).product()
            };
            let table: Vec<Vec<f64>> = modes.iter().map(|&k| (0..n.pow(axes)).map(|i| wave(k, i)).collect()).collect();
            let coefficients: Vec<Vec<f64>> = fields
                .iter()
                .map(|f| {
                    let project = |w: &Vec<f64>| w.iter().zip(f).map(|(w, f)| w * f).sum();
                    table.iter().map(project).collect()
                })
                .collect();
            let variances: Vec<f64> = modes
                .iter()
                .map(|&k| {
                    let squares: usize = (0..axes).map(|a| (k / n.pow(a) % n).pow(2)).sum();
                    (PI * PI * squares as f64 + 9.0).powi(-(smoothness as i32))
                })
                .collect();
            assert_independent(&format!("{name} {family}"), &coefficients, &variances);
            if smoothness == 0 {
                // White noise: N(0, 1) at every interior point, zero on the boundary.
                let interior: Vec<Vec<f64>> = fields.iter().map(|f| modes.iter().map(|&i| f[i]).collect()).collect();
                assert_independent(name, &interior, &vec![1.0; modes.len()]);
            }
        }
    }
}

#[test]
fn covariance_of_neumann_fields_is_the_stated_one() {
    let n = 12;
    let problem = build("poisson-1d-neumann", n);
    let intervals = (n - 1) as f64;
    for smoothness in 0..3 {
        let family = Family::Random { smoothness };
        let fields: Vec<Vec<f64>> = (0..8000).map(|i| draw(&*problem, family, i).0).collect();
        let coefficients: Vec<Vec<f64>> = fields
            .iter()
            .map(|f| {
                (1..n)
                    .map(|k| {
                        let norm = if k == n - 1 { intervals } else { intervals / 2.0 };
                        let sum: f64 = f
                            .iter()
                            .enumerate()
                            .map(|(i, f)| {
                                let weight = if i == 0 || i == n - 1 { 0.5 } else { 1.0 };
                                weight * f * (PI * (k * i) as f64 / intervals).cos()
                            })
                            .sum();
                        sum / norm.sqrt()
                    })
                    .collect()
            })
            .collect();
        let variances: Vec<f64> = (1..n).map(|k| (PI * PI * (k * k) as f64 + 9.0).powi(-(smoothness as i32))).collect();
        assert_independent(&format!("Neumann {family}"), &coefficients, &variances);
        if smoothness == 0 {
            for (i, expected) in [(0, 2.0), (5, 1.0), (n - 1, 2.0)] {
                let count = fields.len() as f64;
                let estimate = fields.iter().map(|f| f[i] * f[i]).sum::<f64>() / count;
                let expected = expected - 1.0 / intervals;
                assert!((estimate / expected - 1.0).abs() < 5.0 * (2.0 / count).sqrt());
            }
        }
    }
}

#[test]
fn stored_points_lie_at_their_coordinates() {
    for &(name, _) in problems().iter().filter(|(name, _)| name.starts_with("poisson-")) {
        let problem = build(name, 30);
        let last = if name.ends_with("neumann") { 29.0 } else { 30.0 };
        assert_eq!(problem.coordinates().len(), problem.grid().len());
        for (axis, &points) in problem.coordinates().iter().zip(&problem.grid()) {
            assert_eq!(axis.len(), points);
            for (i, &x) in axis.iter().enumerate() {
                assert_eq!(x, i as f64 / last);
            }
        }
    }
}

#[test]
fn down_sampling_keeps_the_same_points() {
    for (name, n, fine, step) in [
        ("poisson-1d", 32, 128, 4),
        ("poisson-1d", 32, 96, 3),
        ("poisson-1d-neumann", 26, 101, 4),
        ("poisson-2d", 24, 48, 2),
        ("poisson-3d", 24, 48, 2),
    ] {
        let with = |n, solver_n| {
            let options =
                ProblemOptions { n: Some(n), solver_n: Some(solver_n), scheme: None, ..ProblemOptions::default() };
            problem(name, &options).unwrap()
        };
        let (coarse, full) = (with(n, fine), with(fine, fine));
        let (f, u) = draw(&*coarse, Family::Paper, 1);
        let (f_full, u_full) = draw(&*full, Family::Paper, 1);
        for i in 0..f.len() {
            let mut target = 0;
            for axis in (0..coarse.grid().len()).rev() {
                target = target * fine + i / n.pow(axis as u32) % n * step;
            }
            assert_eq!((f[i], u[i]), (f_full[target], u_full[target]), "{name} {i}");
        }
        let (a, b) = (coarse.coordinates(), full.coordinates());
        for (i, &x) in a[0].iter().enumerate() {
            assert!((x - b[0][i * step]).abs() < 1e-15);
        }
    }
}

#[test]
fn boundaries_are_exactly_zero() {
    for (name, n) in [("poisson-1d", 32), ("poisson-2d", 24), ("poisson-3d", 24)] {
        let problem = build(name, n);
        for family in problem.families() {
            let (f, u) = draw(&*problem, family, 0);
            for i in 0..f.len() {
                if (0..problem.grid().len()).any(|a| i / n.pow(a as u32) % n == 0) {
                    assert_eq!((f[i], u[i]), (0.0, 0.0), "{name} {family}");
                } else {
                    assert!(f[i].is_finite() && u[i].is_finite());
                }
            }
        }
    }
}

#[test]
fn scheme_paper_sets_f_to_zero_near_the_ends() {
    for scheme in ["paper", "paper-truncated"] {
        let options = ProblemOptions {
            n: Some(64),
            solver_n: Some(64),
            scheme: Some(scheme.to_owned()),
            ..ProblemOptions::default()
        };
        let zeroed = problem("poisson-1d", &options).unwrap();
        let plain = build("poisson-1d", 64);
        for family in zeroed.families() {
            let (f, _) = draw(&*zeroed, family, 0);
            let (whole, _) = draw(&*plain, family, 0);
            assert_eq!([f[0], f[1], f[63]], [0.0; 3]);
            assert!(distance(&f[2..63], &whole[2..63]) < 1e-14);
        }
    }
}

#[test]
fn random_dimensions_count_the_span() {
    for (name, n, paper, random) in [
        ("poisson-1d", 32, 10, 31),
        ("poisson-1d-neumann", 32, 10, 31),
        ("poisson-2d", 24, 100, 529),
        ("poisson-3d", 24, 9261, 12167),
    ] {
        let problem = build(name, n);
        assert_eq!(problem.random_dimensions(Family::Paper), paper);
        assert_eq!(problem.random_dimensions(Family::Random { smoothness: 1 }), random);
    }
}
