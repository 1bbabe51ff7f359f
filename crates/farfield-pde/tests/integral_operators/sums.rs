//! Sums over all pairs against their definition, and the points they run over.

use farfield_pde::{Family, Problem};

use super::{build, draw};

fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
}

/// The points of a grid problem, in the order of its fields.
fn grid_points(problem: &dyn Problem) -> Vec<Vec<f64>> {
    let mut points = vec![Vec::new()];
    for axis in problem.coordinates() {
        points = points
            .iter()
            .flat_map(|p| axis.iter().map(|&x| p.iter().copied().chain([x]).collect::<Vec<f64>>()).collect::<Vec<_>>())
            .collect();
    }
    points
}

fn assert_sum(
    problem: &dyn Problem,
    sources: &[Vec<f64>],
    receivers: &[Vec<f64>],
    kernel: impl Fn(&[f64], &[f64]) -> f64,
) {
    for family in problem.families() {
        let (q, w) = draw(problem, family, 5);
        let scale = w.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
        assert!(scale > 0.0);
        for (y, w) in receivers.iter().zip(&w) {
            // From the smallest term to the largest.
            let mut terms: Vec<f64> = sources.iter().zip(&q).map(|(x, q)| kernel(y, x) * q).collect();
            terms.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
            let expected: f64 = terms.iter().sum();
            assert!((w - expected).abs() < 1e-12 * scale, "{} {family}: {w} against {expected}", problem.name());
        }
    }
}

#[test]
fn the_custom_operator_is_equation_nine() {
    for (name, n) in [("custom-operator-1d", 50), ("custom-operator-2d", 9), ("custom-operator-3d", 5)] {
        let problem = build(name, |o| o.n = Some(n));
        let points = grid_points(&*problem);
        assert_eq!(points[0], vec![0.5 / n as f64; problem.grid().len()]);
        assert_sum(&*problem, &points, &points, |y, x| {
            let sum: f64 = y.iter().zip(x).map(|(y, x)| (y + x) * (y + x)).sum();
            let r = distance(x, y);
            if r == 0.0 { 0.0 } else { sum / (n as f64).powi(5) / r }
        });
        assert!(problem.is_linear());
    }
    // The size that the paper's data have.
    let (_, w) = draw(&*build("custom-operator-1d", |_| ()), Family::Paper, 0);
    let highest = w.iter().copied().fold(0.0, f64::max);
    assert!((1e-11..1e-8).contains(&highest), "{highest:e}");
}

#[test]
fn paper_inputs_on_an_interval_are_those_of_radiative_transfer() {
    let (sum, slab) = (build("custom-operator-1d", |_| ()), build("radiative-transfer-1d", |_| ()));
    assert_eq!(draw(&*sum, Family::Paper, 3).0, draw(&*slab, Family::Paper, 3).0);
}

fn split(flat: &[f64], dims: usize) -> Vec<Vec<f64>> {
    flat.chunks_exact(dims).map(<[f64]>::to_vec).collect()
}

#[test]
fn n_body_sums_run_over_all_pairs_of_their_points() {
    for (name, dims) in [("n-body-2d", 2), ("n-body-3d", 3)] {
        for receivers in [None, Some(31)] {
            let problem = build(name, |o| (o.n, o.receivers) = (Some(40), receivers));
            let points = problem.points().unwrap();
            assert_eq!(points.dims, dims);
            let (sources, targets) = (split(&points.sources, dims), split(&points.receivers, dims));
            assert_eq!((problem.grid(), problem.output_grid()), (vec![sources.len()], vec![targets.len()]));
            assert_eq!((sources.len(), targets.len()), (40, receivers.unwrap_or(40)));
            assert_eq!(sources == targets, receivers.is_none());
            assert!(points.sources.iter().chain(&points.receivers).all(|x| (0.0..1.0).contains(x)));
            assert_sum(&*problem, &sources, &targets, |y, x| {
                let r = distance(x, y);
                if r == 0.0 { 0.0 } else { 1.0 / r }
            });
        }
    }
}

#[test]
fn points_follow_from_their_own_seed() {
    let points = |seed, n, receivers| {
        let problem = build("n-body-3d", |o| (o.n, o.points_seed, o.receivers) = (Some(n), seed, receivers));
        problem.points().unwrap()
    };
    assert_eq!(points(None, 30, Some(20)), points(Some(0), 30, Some(20)));
    assert_ne!(points(Some(1), 30, None).sources, points(None, 30, None).sources);
    // Sources do not depend on how many receivers follow, nor the first ones on how many there are.
    assert_eq!(points(None, 30, Some(20)).sources, points(None, 30, None).sources);
    assert_eq!(points(None, 60, None).sources[..90], points(None, 30, None).sources);
    // Uniform: the mean of 3000 coordinates has a standard deviation of 0.0053.
    let many = points(None, 1000, None).sources;
    assert!((many.iter().sum::<f64>() / 3000.0 - 0.5).abs() < 0.03);
}

#[test]
fn white_noise_has_variance_one() {
    let problem = build("n-body-2d", |o| o.n = Some(500));
    let (mut sum, mut square) = (0.0, 0.0);
    for index in 0..20 {
        for q in draw(&*problem, Family::Random { smoothness: 0 }, index).0 {
            sum += q;
            square += q * q;
        }
    }
    // Five standard deviations of 10 000 numbers.
    assert!((sum / 1e4).abs() < 0.05 && (square / 1e4 - 1.0).abs() < 0.07);
}

#[test]
fn spans_of_the_families() {
    let problem = build("n-body-3d", |o| o.n = Some(100));
    assert_eq!(problem.random_dimensions(Family::Random { smoothness: 0 }), 100);
    // Five waves an axis are 125 functions on 100 points.
    assert_eq!(problem.random_dimensions(Family::Random { smoothness: 2 }), 100);
    assert_eq!(problem.random_dimensions(Family::Paper), 100);
}
