//! The L-shape, the square without a disk and the Helmholtz equation: observed orders on exact
//! solutions, discrete equations, spans and covariances of the families, masks, refusals.

mod disk;
mod helmholtz;
mod l_shape;

use faer::{Mat, Side};
use farfield_pde::{Family, PdeError, Problem, ProblemOptions, SampleKey, Stream, problem};

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

fn draw(problem: &dyn Problem, family: Family, index: u64) -> (Vec<f64>, Vec<f64>) {
    let points = problem.grid().iter().product();
    let (mut f, mut u) = (vec![f64::NAN; points], vec![f64::NAN; points]);
    let key = SampleKey { seed: 17, stream: Stream::Train, index };
    problem.sample(family, key, &mut f, &mut u).unwrap();
    (f, u)
}

fn relative_error(x: &[f64], exact: &[f64]) -> f64 {
    let error: f64 = x.iter().zip(exact).map(|(a, b)| (a - b) * (a - b)).sum();
    let norm: f64 = exact.iter().map(|b| b * b).sum();
    (error / norm).sqrt()
}

fn largest(x: impl IntoIterator<Item = f64>) -> f64 {
    x.into_iter().fold(0.0, |m: f64, x| m.max(x.abs()))
}

/// Checks that the errors, each on a grid twice as fine, fall with this order.
fn assert_order(what: &str, errors: &[f64], expected: f64, allowed: f64) {
    let orders: Vec<f64> = errors.windows(2).map(|pair| (pair[0] / pair[1]).log2()).collect();
    for order in &orders {
        assert!((order - expected).abs() < allowed, "{what}: orders {orders:.3?}, expected {expected}; {errors:?}");
    }
}

/// A smooth step from 1 at r <= `from` to 0 at r >= `to`, four times differentiable, and its first two
/// derivatives.
fn cut_off(r: f64, from: f64, to: f64) -> [f64; 3] {
    let width = to - from;
    let t = ((r - from) / width).clamp(0.0, 1.0);
    let step = t.powi(5) * (126.0 + t * (-420.0 + t * (540.0 + t * (-315.0 + t * 70.0))));
    let first = 630.0 * (t * (1.0 - t)).powi(4);
    let second = 2520.0 * (t * (1.0 - t)).powi(3) * (1.0 - 2.0 * t);
    [1.0 - step, -first / width, -second / (width * width)]
}

/// Checks by its singular values that the family spans as many dimensions as the problem says.
fn assert_span(problem: &dyn Problem, family: Family) {
    let dimensions = problem.random_dimensions(family);
    let samples = dimensions + 5;
    let points: usize = problem.grid().iter().product();
    let fields: Vec<Vec<f64>> = (0..samples as u64).map(|i| draw(problem, family, i).0).collect();
    let matrix = Mat::from_fn(samples, points, |i, j| fields[i][j]);
    let values = matrix.singular_values().unwrap();
    let rank = values.iter().filter(|&&s| s > 1e-12 * values[0]).count();
    assert_eq!(rank, dimensions, "{} {family} on {:?} points", problem.name(), problem.grid());
    if let Some(&next) = values.get(dimensions) {
        assert!(values[dimensions - 1] > 100.0 * next, "a gap behind the last one");
    }
}

/// Checks that f has the covariance `(-Laplacian_h + 9)^(-s)`, where `solve` is the inverse of
/// `-Laplacian_h - square`, self-adjoint in the inner product with these weights (zero: no point).
/// Constants, if `solve` does not see them, are left out. Five standard deviations are allowed.
fn assert_covariance(problem: &dyn Problem, weights: &[f64], square: f64, solve: impl Fn(&[f64], &mut [f64])) {
    let places: Vec<usize> = (0..weights.len()).filter(|&i| weights[i] > 0.0).collect();
    let (mut f, mut u) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
    let mut inverse = Mat::<f64>::zeros(places.len(), places.len());
    for (column, &place) in places.iter().enumerate() {
        f.fill(0.0);
        f[place] = 1.0;
        solve(&f, &mut u);
        for (row, &other) in places.iter().enumerate() {
            inverse[(row, column)] = u[other] * (weights[other] / weights[place]).sqrt();
        }
    }
    let scale = largest(inverse.col_iter().flat_map(|c| c.iter().copied().collect::<Vec<f64>>()));
    for i in 0..places.len() {
        for j in 0..i {
            assert!((inverse[(i, j)] - inverse[(j, i)]).abs() < 1e-13 * scale, "self-adjoint");
        }
    }
    let eigen = inverse.self_adjoint_eigen(Side::Lower).unwrap();
    let samples = 4000;
    for smoothness in 0..3 {
        let family = Family::Random { smoothness };
        let mut sums = vec![0.0; places.len()];
        let mut products = vec![0.0; places.len()];
        for index in 0..samples {
            let (f, _) = draw(problem, family, index);
            let scaled: Vec<f64> = places.iter().map(|&i| f[i] * weights[i].sqrt()).collect();
            let project = |k: usize| -> f64 { eigen.U().col(k).iter().zip(&scaled).map(|(w, f)| w * f).sum() };
            let coefficients: Vec<f64> = (0..places.len()).map(project).collect();
            for (k, c) in coefficients.iter().enumerate() {
                sums[k] += c * c;
                products[k] += c * coefficients[(k + 1) % places.len()];
            }
        }
        let count = samples as f64;
        let variance = |k: usize| -> Option<f64> {
            let inverse = eigen.S()[k];
            (inverse.abs() > 1e-10 * scale).then(|| (1.0 / inverse + square + 9.0).powi(-(smoothness as i32)))
        };
        for k in 0..places.len() {
            let Some(expected) = variance(k) else {
                assert!(sums[k] < 1e-20 * count, "{family}: constants have no part");
                continue;
            };
            let deviations = (sums[k] / count / expected - 1.0) / (2.0 / count).sqrt();
            assert!(deviations.abs() < 5.0, "{family}: variance of mode {k} off by {deviations:.1} sigma");
            if let Some(other) = variance((k + 1) % places.len()) {
                let correlation = products[k] / (expected * other * count).sqrt();
                assert!(correlation.abs() < 5.0, "{family}: {k} correlated with the next: {correlation:.1} sigma");
            }
        }
    }
}

/// Fields are zero where the mask is false and finite, mostly different from zero, where it is true.
fn assert_masked(problem: &dyn Problem) {
    let mask = problem.mask().unwrap();
    assert_eq!(mask.len(), problem.grid().iter().product::<usize>());
    for family in problem.families() {
        let (f, u) = draw(problem, family, 3);
        let mut zeros = 0;
        for (i, &inside) in mask.iter().enumerate() {
            if inside {
                assert!(f[i].is_finite() && u[i].is_finite());
                zeros += usize::from(u[i] == 0.0);
            } else {
                assert_eq!((f[i], u[i]), (0.0, 0.0), "{} {family}", problem.name());
            }
        }
        assert!(zeros * 4 < mask.len(), "{zeros} zeros inside");
    }
}

#[test]
fn options_of_other_problems_are_refused() {
    for name in ["poisson-2d-l-shape", "poisson-2d-disk", "helmholtz-2d"] {
        let message = refusal(name, |o| o.viscosity = Some(1.0));
        assert!(message.starts_with(&format!("{name}: there is no option `viscosity`; it has n, solver_n, scheme")));
        let message = refusal(name, |o| o.scheme = Some("sixth-order".to_owned()));
        assert!(message.starts_with(&format!("{name}: unknown scheme `sixth-order`; known: ")));
        assert!(refusal(name, |o| o.n = Some(3)).contains("n = 3: at least 4 points"));
    }
    assert!(refusal("helmholtz-2d", |o| o.radius = Some(0.2)).contains("no option `radius`"));
    assert!(refusal("poisson-2d-disk", |o| o.wave_number = Some(7.0)).contains("no option `wave_number`"));
    assert_eq!(
        refusal("poisson-2d-disk", |o| o.n = Some(1024)),
        "poisson-2d-disk: n = 1024: the solver grid, 4 times finer, has more than the 2048 points an axis that the sparse \
         factorisation allows; set solver_n"
    );
    assert_eq!(
        refusal("poisson-2d-l-shape", |o| o.solver_n = Some(4096)),
        "poisson-2d-l-shape: solver_n = 4096: more than 2048 points an axis are too many for the sparse factorisation"
    );
}

#[test]
fn a_call_with_a_wrong_buffer_or_family_is_refused() {
    for name in ["poisson-2d-l-shape", "poisson-2d-disk", "helmholtz-2d"] {
        let coarse = build(name, |o| o.n = Some(20));
        let key = SampleKey { seed: 0, stream: Stream::Test, index: 0 };
        let (mut f, mut u) = (vec![0.0; 400], vec![0.0; 400]);
        let error = coarse.sample(Family::Paper, key, &mut f, &mut u).unwrap_err();
        assert!(matches!(error, PdeError::Family { highest: 20, n: 20, .. }), "{error}");
        let error = coarse.sample(Family::Random { smoothness: 1 }, key, &mut f[1..], &mut u).unwrap_err();
        assert_eq!(error.to_string(), format!("{name}: input holds 399 numbers, channels and grid need 400"));
    }
}
