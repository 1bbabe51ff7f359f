//! HSS matrices built from dense ones and from entries, against the dense matrix, in units of the tolerance asked for.

use std::sync::Arc;

use crate::cases::{cases, distance, uneven_tree};
use farfield_matrix::{
    Accuracy, ClusterTree, Confidence, EntryFn, Hss, Matrix, MatrixError, Points, SkeletonOptions, Splitting,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn a_dense_matrix_to_any_tolerance() {
    for n in [1, 7, 64, 150, 256] {
        for (name, a) in cases(n) {
            for tolerance in [1e-2, 1e-5, 1e-9, 1e-12] {
                let (h, certificate) = Hss::from_dense(&a, 16, Accuracy::relative(tolerance).unwrap()).unwrap();
                let error = distance(&h.to_dense(), &a);
                let bound = certificate.frobenius.value;
                assert!(
                    error <= bound,
                    "{name}, n = {n}, tolerance {tolerance}: error {error} above the bound {bound}"
                );
                assert!(bound <= tolerance * a.norm_frobenius(), "{name}, n = {n}: bound {bound}");
                assert_eq!(certificate.frobenius.confidence, Confidence::Proven);
                assert!((certificate.norm - h.to_dense().norm_frobenius()).abs() <= 1e-13 * certificate.norm);
            }
        }
    }
}

#[test]
fn a_thousand_rows() {
    for (name, a) in cases(1000).into_iter().filter(|(name, _)| ["Cauchy", "Hilbert", "banded"].contains(name)) {
        for tolerance in [1e-5, 1e-12] {
            let (h, certificate) = Hss::from_dense(&a, 64, Accuracy::relative(tolerance).unwrap()).unwrap();
            let (error, bound) = (distance(&h.to_dense(), &a), certificate.frobenius.value);
            assert!(error <= bound && bound <= tolerance * a.norm_frobenius(), "{name}, {tolerance}: {error}, {bound}");
        }
    }
}

#[test]
fn uneven_trees_and_rectangular_matrices() {
    let tree = Arc::new(uneven_tree(101));
    for (name, a) in cases(101) {
        let (h, certificate) = Hss::from_dense_on(&a, &tree, &tree, Accuracy::relative(1e-8).unwrap()).unwrap();
        let error = distance(&h.to_dense(), &a);
        assert!(error <= certificate.frobenius.value && error <= 1e-8 * a.norm_frobenius(), "{name}: {error}");
    }
    for (m, n) in [(90, 33), (3, 70), (1, 64)] {
        let a = Matrix::from_fn(m, n, |i, j| 1.0 / (1.0 + (i as f64 / m as f64 - j as f64 / n as f64).abs()));
        let (h, certificate) = Hss::from_dense(&a, 8, Accuracy::relative(1e-7).unwrap()).unwrap();
        let error = distance(&h.to_dense(), &a);
        assert!(error <= certificate.frobenius.value && error <= 1e-7 * a.norm_frobenius(), "{m} x {n}: {error}");
    }
}

#[test]
fn the_rank_is_that_of_the_matrix() {
    let find = |wanted: &str| cases(256).into_iter().find(|(name, _)| *name == wanted).unwrap().1;
    let rank = |a: &Matrix<f64>| Hss::from_dense(a, 16, Accuracy::relative(1e-12).unwrap()).unwrap().0.rank();
    assert_eq!(rank(&find("banded")), 4);
    assert_eq!(rank(&find("low rank plus diagonal")), 3);
    assert_eq!(rank(&find("zero")), 0);
    assert_eq!(rank(&find("inverse of tridiagonal")), 2);
}

#[test]
fn single_precision() {
    for (name, a) in cases(128) {
        let single = Matrix::from_fn(128, 128, |i, j| a[(i, j)] as f32);
        let (h, certificate) = Hss::from_dense(&single, 16, Accuracy::relative(1e-5).unwrap()).unwrap();
        let dense = h.to_dense();
        let error = distance(
            &Matrix::from_fn(128, 128, |i, j| f64::from(dense[(i, j)])),
            &Matrix::from_fn(128, 128, |i, j| f64::from(single[(i, j)])),
        );
        // The dense form is itself rounded.
        let rounding = 1e-6 * certificate.norm;
        assert!(error <= certificate.frobenius.value + rounding, "{name}: {error}");
        assert!(certificate.frobenius.value <= 1e-5 * single.norm_frobenius(), "{name}");
    }
}

#[test]
fn what_cannot_be_built_is_an_error() {
    let accuracy = Accuracy::relative(1e-8).unwrap();
    let mut a = Matrix::from_fn(40, 40, |i, j| 1.0 / (1.0 + i as f64 + j as f64));
    let capped = Hss::from_dense(&a, 8, Accuracy::relative(1e-8).unwrap().max_rank(2));
    assert!(matches!(capped, Err(MatrixError::Tolerance { .. })), "{capped:?}");
    assert!(Hss::from_dense(&a, 8, Accuracy::relative(1e-1).unwrap().max_rank(2)).is_ok());
    let below_rounding = Hss::from_dense(&a, 8, Accuracy::relative(1e-18).unwrap());
    assert!(matches!(below_rounding, Err(MatrixError::Tolerance { .. })), "{below_rounding:?}");
    let (rows, cols) = (ClusterTree::bisection(40, 8).unwrap(), ClusterTree::bisection(40, 16).unwrap());
    let apart = Hss::from_dense_on(&a, &Arc::new(rows), &Arc::new(cols), accuracy);
    assert!(matches!(apart, Err(MatrixError::Tree { .. })));
    assert!(matches!(Hss::from_dense(&a, 0, accuracy), Err(MatrixError::Tree { .. })));
    assert!(matches!(Hss::from_dense(&Matrix::<f64>::zeros(0, 3), 8, accuracy), Err(MatrixError::Tree { .. })));
    a[(3, 5)] = f64::NAN;
    assert!(matches!(Hss::from_dense(&a, 8, accuracy), Err(MatrixError::Entry { row: 3, col: 5, .. })));
}

/// Points of a line, a square and a cloud with duplicates; the kernel `f` of their distance.
fn kernel_case(dim: usize, n: usize, f: fn(f64) -> f64, seed: u64) -> (Points, Matrix<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut coordinates: Vec<f64> = (0..dim * n).map(|_| rng.random()).collect();
    if n > 20 {
        // Every tenth point is the one before it.
        for i in (10..n).step_by(10) {
            for k in 0..dim {
                coordinates[i * dim + k] = coordinates[(i - 1) * dim + k];
            }
        }
    }
    let points = Points::new(dim, coordinates).unwrap();
    let distance = |i: usize, j: usize| {
        let terms = points.point(i).iter().zip(points.point(j)).map(|(x, y)| (x - y) * (x - y));
        terms.sum::<f64>().sqrt()
    };
    let a = Matrix::from_fn(n, n, |i, j| f(distance(i, j)));
    (points, a)
}

/// A matrix that hides that it is one, so that only entries are used.
fn entries(a: &Matrix<f64>) -> EntryFn<impl Fn(usize, usize) -> f64 + Sync + '_> {
    EntryFn::new(a.nrows(), a.ncols(), |i, j| a[(i, j)])
}

#[test]
fn kernels_from_their_entries_to_any_tolerance() {
    let kernels: [fn(f64) -> f64; 3] =
        [|r| 1.0 / (r + 0.01), |r| (-r * r * 4.0).exp(), |r| if r == 0.0 { 8.0 } else { r.ln() }];
    for (dim, n) in [(1, 700), (2, 500), (3, 130), (1, 1), (2, 9)] {
        for (k, kernel) in kernels.into_iter().enumerate() {
            let (points, a) = kernel_case(dim, n, kernel, k as u64);
            let tree = Arc::new(ClusterTree::geometric(&points, 32, Splitting::Median).unwrap());
            for (tolerance, symmetric) in [(1e-2, false), (1e-5, true), (1e-9, false), (1e-12, true)] {
                let entry = |i, j| a[(i, j)];
                let entries = if symmetric { EntryFn::symmetric(n, entry) } else { EntryFn::new(n, n, entry) };
                let options = SkeletonOptions { check_rows: 64, ..SkeletonOptions::default() };
                let accuracy = Accuracy::relative(tolerance).unwrap();
                let (h, certificate) = Hss::from_entries(&entries, &tree, &tree, accuracy, &options).unwrap();
                let error = distance(&h.to_dense(), &a);
                let context = format!("dimension {dim}, n = {n}, kernel {k}, tolerance {tolerance}: error {error}");
                assert!(error <= certificate.frobenius.value, "{context} above {:?}", certificate.frobenius);
                assert!(certificate.frobenius.value <= tolerance * a.norm_frobenius(), "{context}");
            }
        }
    }
}

#[test]
fn structured_matrices_from_their_entries() {
    let accuracy = Accuracy::relative(1e-8).unwrap();
    for n in [1, 33, 512] {
        for (name, a) in cases(n) {
            let tree = Arc::new(ClusterTree::bisection(n, 24).unwrap());
            let built = Hss::from_entries(&entries(&a), &tree, &tree, accuracy, &SkeletonOptions::default());
            let (h, certificate) = built.unwrap_or_else(|error| panic!("{name}, n = {n}: {error}"));
            let error = distance(&h.to_dense(), &a);
            assert!(error <= certificate.frobenius.value, "{name}, n = {n}: {error}, {:?}", certificate.frobenius);
            assert!(certificate.frobenius.value <= 1e-8 * a.norm_frobenius(), "{name}, n = {n}");
        }
    }
    let tree = Arc::new(uneven_tree(101));
    for (name, a) in cases(101) {
        let (h, _) = Hss::from_entries(&entries(&a), &tree, &tree, accuracy, &SkeletonOptions::default()).unwrap();
        assert!(distance(&h.to_dense(), &a) <= 1e-8 * a.norm_frobenius(), "{name}");
    }
}

#[test]
fn builds_from_entries_repeat_to_the_bit_on_any_number_of_threads() {
    let (points, a) = kernel_case(2, 400, |r| 1.0 / (r + 0.1), 3);
    let tree = Arc::new(ClusterTree::geometric(&points, 20, Splitting::Median).unwrap());
    let build = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let accuracy = Accuracy::relative(1e-6).unwrap();
        let run = || Hss::from_entries(&entries(&a), &tree, &tree, accuracy, &SkeletonOptions::default()).unwrap();
        pool.install(run)
    };
    let (one, two) = (build(1), build(2));
    assert_eq!((one.0.data(), one.1), (two.0.data(), two.1));
}

#[test]
fn entries_that_cannot_be_approximated_are_errors() {
    let tree = Arc::new(ClusterTree::bisection(64, 8).unwrap());
    let (accuracy, options) = (Accuracy::relative(1e-8).unwrap(), SkeletonOptions::default());
    let bad = EntryFn::new(64, 64, |i, j| if (i, j) == (3, 5) { f64::INFINITY } else { 1.0 });
    let error = Hss::<f64>::from_entries(&bad, &tree, &tree, accuracy, &options);
    assert!(matches!(error, Err(MatrixError::Entry { row: 3, col: 5, .. })), "{error:?}");
    let hilbert = EntryFn::new(64, 64, |i, j| 1.0 / (1.0 + i as f64 + j as f64));
    let error = Hss::<f64>::from_entries(&hilbert, &tree, &tree, accuracy.max_rank(2), &options);
    assert!(matches!(error, Err(MatrixError::Tolerance { .. })), "{error:?}");
    let none = SkeletonOptions { failure: 0.0, ..SkeletonOptions::default() };
    assert!(matches!(
        Hss::<f64>::from_entries(&hilbert, &tree, &tree, accuracy, &none),
        Err(MatrixError::Option { .. })
    ));
    let other = Arc::new(ClusterTree::bisection(65, 8).unwrap());
    assert!(matches!(
        Hss::<f64>::from_entries(&hilbert, &other, &other, accuracy, &options),
        Err(MatrixError::Tree { .. })
    ));
}

#[test]
fn numbers_per_unknown_stay_while_n_grows() {
    let per_unknown = |n: usize| {
        let entries = EntryFn::symmetric(n, move |i: usize, j: usize| 1.0 / (1.0 + i.abs_diff(j) as f64));
        let tree = Arc::new(ClusterTree::bisection(n, 64).unwrap());
        let options = SkeletonOptions { check_rows: 16, failure: 0.3, ..SkeletonOptions::default() };
        let accuracy = Accuracy::relative(1e-6).unwrap();
        let (h, _) = Hss::<f64>::from_entries(&entries, &tree, &tree, accuracy, &options).unwrap();
        h.layout().len() as f64 / n as f64
    };
    let (small, large) = (per_unknown(1 << 11), per_unknown(1 << 14));
    assert!(large <= 1.5 * small && small <= 1.5 * large, "{small} numbers an unknown, then {large}");
}
