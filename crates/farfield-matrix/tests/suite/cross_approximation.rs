//! Cross approximation where it is known to fail: blocks that a few rows and columns do not show.

use std::sync::Arc;

use farfield_matrix::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The whole matrix as one block of low rank.
fn approximate(
    a: &dyn Entries<f64>,
    accuracy: Accuracy,
    check: Check,
    seed: u64,
) -> Result<(HMatrix<f64>, Certificate), MatrixError> {
    let rows = Arc::new(ClusterTree::bisection(a.nrows(), a.nrows()).unwrap());
    let cols = Arc::new(ClusterTree::bisection(a.ncols(), a.ncols()).unwrap());
    let compression = Compression::CrossApproximation { check };
    let options = HMatrixOptions { compression, seed, ..HMatrixOptions::new(accuracy) };
    HMatrix::build(a, &rows, &cols, Admissibility::Custom(&|_, _| true), &options)
}

fn relative(tolerance: f64) -> Accuracy {
    Accuracy::relative(tolerance).unwrap()
}

/// `||A - H|| / ||A||`.
fn error(h: &HMatrix<f64>, a: &dyn Entries<f64>) -> f64 {
    let full = h.to_dense();
    let (mut error, mut norm) = (0.0, 0.0);
    for i in 0..a.nrows() {
        for j in 0..a.ncols() {
            error += (full[(i, j)] - a.entry(i, j)).powi(2);
            norm += a.entry(i, j).powi(2);
        }
    }
    if norm > 0.0 { (error / norm).sqrt() } else { error.sqrt() }
}

fn smooth(i: usize, j: usize) -> f64 {
    1.0 / (1.0 + 0.02 * i as f64 + 0.03 * j as f64)
}

/// `m x n` matrices of low rank that are hard to see.
fn hard_cases(m: usize, n: usize) -> Vec<(&'static str, Matrix<f64>)> {
    let from = |f: &dyn Fn(usize, usize) -> f64| Matrix::from_fn(m, n, f);
    vec![
        ("smooth", from(&smooth)),
        ("every second row zero", from(&|i, j| if i % 2 == 0 { 0.0 } else { smooth(i, j) })),
        ("first half of the rows zero", from(&|i, j| if i < m / 2 { 0.0 } else { smooth(i, j) })),
        ("last rows only", from(&|i, j| if i < m - m / 6 { 0.0 } else { smooth(i, j) })),
        ("first half of the columns zero", from(&|i, j| if j < n / 2 { 0.0 } else { smooth(i, j) })),
        ("two diagonal blocks", from(&|i, j| if (i < m / 2) == (j < n / 2) { smooth(i, j) } else { 0.0 })),
        (
            "two diagonal blocks, one small",
            from(&|i, j| match (i < m / 4, j < n / 4) {
                (true, true) => smooth(i, j),
                (false, false) => 30.0 * smooth(j, i),
                _ => 0.0,
            }),
        ),
        ("four diagonal blocks", from(&|i, j| if 4 * i / m == 4 * j / n { smooth(i, j) } else { 0.0 })),
        ("off-diagonal blocks", from(&|i, j| if (i < m / 2) == (j < n / 2) { 0.0 } else { smooth(i, j) })),
        (
            "double layer on planes",
            from(&|i, j| {
                // Two planes seen from two others: the normal derivative vanishes for coplanar pairs.
                let (p, q) = (i % 2, j % 2);
                if p == q { 0.0 } else { smooth(i, j).powi(3) }
            }),
        ),
        ("rank one", from(&|i, j| (i + 1) as f64 * (j as f64 - 3.5))),
        ("zero", from(&|_, _| 0.0)),
        ("tiny", from(&|i, j| 1e-200 * smooth(i, j))),
        ("huge", from(&|i, j| 1e150 * smooth(i, j))),
    ]
}

#[test]
fn hard_blocks_are_seen() {
    for (m, n) in [(120, 90), (64, 150)] {
        for (name, a) in hard_cases(m, n) {
            for tolerance in [1e-2, 1e-5, 1e-9, 1e-12] {
                for seed in 0..4 {
                    for check in [Check::Sampled, Check::Exact] {
                        let (h, certificate) = approximate(&a, relative(tolerance), check, seed).unwrap();
                        let error = error(&h, &a);
                        assert!(error <= tolerance, "{name}, {tolerance:e}, seed {seed}: {error:.2e}");
                        let dense = a.norm_frobenius();
                        assert!(error * dense <= certificate.frobenius.value + 1e-15 * dense, "{name}, {tolerance:e}");
                    }
                }
            }
        }
    }
}

#[test]
fn ranks_are_near_the_best() {
    for (name, a) in hard_cases(120, 90) {
        for tolerance in [1e-3, 1e-7] {
            let rows = Arc::new(ClusterTree::bisection(120, 120).unwrap());
            let cols = Arc::new(ClusterTree::bisection(90, 90).unwrap());
            let svd = HMatrixOptions { compression: Compression::Svd, ..HMatrixOptions::new(relative(tolerance)) };
            let best =
                HMatrix::build(&a, &rows, &cols, Admissibility::Custom(&|_, _| true), &svd).unwrap().1.max_rank();
            let ours = approximate(&a, relative(tolerance), Check::Sampled, 0).unwrap().1.max_rank();
            assert!(ours <= best + 1, "{name}, {tolerance:e}: {ours}, the best is {best}");
        }
    }
}

#[test]
fn a_block_of_full_rank_stays_dense() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let a = Matrix::from_fn(60, 50, |_, _| rng.random_range(-1.0..1.0));
    for check in [Check::Sampled, Check::Exact] {
        let (h, certificate) = approximate(&a, relative(1e-10), check, 0).unwrap();
        assert_eq!((h.to_dense(), h.stored()), (a.clone(), 3000));
        assert_eq!(certificate.frobenius, Bound::proven(0.0));
    }
}

#[test]
fn few_entries_are_asked_for() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let a = EntryFn::new(3000, 2000, |i, j| {
        asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        smooth(i, j)
    });
    let (h, _) = approximate(&a, relative(1e-6), Check::Sampled, 0).unwrap();
    assert!(h.leaves()[0].rank.is_some_and(|rank| rank < 15));
    let asked = asked.into_inner();
    assert!(asked < 3000 * 2000 / 40, "{asked} entries");
}

#[test]
fn caps_and_bad_entries_are_errors() {
    let a = Matrix::from_fn(80, 80, smooth);
    let error = approximate(&a, relative(1e-9).max_rank(2), Check::Sampled, 0).unwrap_err();
    assert!(matches!(error, MatrixError::Tolerance { .. }), "{error}");
    assert!(approximate(&a, relative(1e-9).max_rank(30), Check::Sampled, 0).is_ok());
    let bad_row = EntryFn::new(80, 80, |i, j| if i == 0 { f64::INFINITY } else { smooth(i, j) });
    let error = approximate(&bad_row, relative(1e-3), Check::Sampled, 0).unwrap_err();
    assert!(matches!(error, MatrixError::Entry { row: 0, .. }), "{error}");
    let bad_col = EntryFn::new(80, 80, |i, j| if j == 79 { f64::NAN } else { smooth(i, j) });
    let error = approximate(&bad_col, relative(1e-3), Check::Sampled, 0).unwrap_err();
    assert!(matches!(error, MatrixError::Entry { col: 79, .. }), "{error}");
}
