//! HSS matrices built from dense ones and from entries, against the dense matrix, in units of the tolerance asked for.

mod cases;

use std::sync::Arc;

use cases::{cases, distance, uneven_tree};
use farfield_matrix::{Accuracy, ClusterTree, Confidence, Hss, Matrix, MatrixError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn a_dense_matrix_to_any_tolerance() {
    for n in [1, 7, 64, 150, 256] {
        for (name, a) in cases(n) {
            for tolerance in [1e-2, 1e-5, 1e-9, 1e-12] {
                let (h, certificate) = Hss::from_dense(&a, 16, &Accuracy::relative(tolerance).unwrap()).unwrap();
                let error = distance(&h.to_dense(), &a);
                let bound = certificate.frobenius.value;
                assert!(error <= bound, "{name}, n = {n}, tolerance {tolerance}: error {error} above the bound {bound}");
                assert!(bound <= tolerance * a.norm_frobenius(), "{name}, n = {n}: bound {bound}");
                assert_eq!(certificate.frobenius.confidence, Confidence::Proven);
                assert!((certificate.norm - h.to_dense().norm_frobenius()).abs() <= 1e-13 * certificate.norm);
            }
        }
    }
}

#[test]
fn uneven_trees_and_rectangular_matrices() {
    let tree = Arc::new(uneven_tree(101));
    for (name, a) in cases(101) {
        let (h, certificate) = Hss::from_dense_on(&a, &tree, &tree, &Accuracy::relative(1e-8).unwrap()).unwrap();
        let error = distance(&h.to_dense(), &a);
        assert!(error <= certificate.frobenius.value && error <= 1e-8 * a.norm_frobenius(), "{name}: {error}");
    }
    for (m, n) in [(90, 33), (3, 70), (1, 64)] {
        let a = Matrix::from_fn(m, n, |i, j| 1.0 / (1.0 + (i as f64 / m as f64 - j as f64 / n as f64).abs()));
        let (h, certificate) = Hss::from_dense(&a, 8, &Accuracy::relative(1e-7).unwrap()).unwrap();
        let error = distance(&h.to_dense(), &a);
        assert!(error <= certificate.frobenius.value && error <= 1e-7 * a.norm_frobenius(), "{m} x {n}: {error}");
    }
}

#[test]
fn the_rank_is_that_of_the_matrix() {
    let find = |wanted: &str| cases(256).into_iter().find(|(name, _)| *name == wanted).unwrap().1;
    let rank = |a: &Matrix<f64>| Hss::from_dense(a, 16, &Accuracy::relative(1e-12).unwrap()).unwrap().0.rank();
    assert_eq!(rank(&find("banded")), 4);
    assert_eq!(rank(&find("low rank plus diagonal")), 3);
    assert_eq!(rank(&find("zero")), 0);
    assert_eq!(rank(&find("inverse of tridiagonal")), 2);
}

#[test]
fn proven_bounds_of_a_thousand_random_trials_hold_and_are_sharp() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut ratios = Vec::new();
    for trial in 0..1000 {
        let n = rng.random_range(1..60);
        let all = cases(n);
        let (name, a) = &all[trial % all.len()];
        let tolerance = 10f64.powf(-rng.random_range(1.0..12.0));
        let leaf = rng.random_range(1..20);
        let (h, certificate) = Hss::from_dense(a, leaf, &Accuracy::relative(tolerance).unwrap()).unwrap();
        let (error, bound) = (distance(&h.to_dense(), a), certificate.frobenius.value);
        assert!(error <= bound, "trial {trial}, {name}, n = {n}, tolerance {tolerance}: {error} above {bound}");
        assert!(bound <= tolerance * a.norm_frobenius());
        // Where nothing was truncated there is only rounding, and no error to compare with.
        if error > 1e-13 * a.norm_frobenius() {
            ratios.push(bound / error);
        }
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios.len() > 300, "{}", ratios.len());
    assert!(ratios[ratios.len() / 2] <= 10.0, "median {}", ratios[ratios.len() / 2]);
    println!("bound over error: median {:.2}, largest {:.2}", ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
}

#[test]
fn single_precision() {
    for (name, a) in cases(128) {
        let single = Matrix::from_fn(128, 128, |i, j| a[(i, j)] as f32);
        let (h, certificate) = Hss::from_dense(&single, 16, &Accuracy::relative(1e-5).unwrap()).unwrap();
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
    let capped = Hss::from_dense(&a, 8, &Accuracy::relative(1e-8).unwrap().max_rank(2));
    assert!(matches!(capped, Err(MatrixError::Tolerance { .. })), "{capped:?}");
    assert!(Hss::from_dense(&a, 8, &Accuracy::relative(1e-1).unwrap().max_rank(2)).is_ok());
    let below_rounding = Hss::from_dense(&a, 8, &Accuracy::relative(1e-18).unwrap());
    assert!(matches!(below_rounding, Err(MatrixError::Tolerance { .. })), "{below_rounding:?}");
    let (rows, cols) = (ClusterTree::bisection(40, 8).unwrap(), ClusterTree::bisection(40, 16).unwrap());
    let apart = Hss::from_dense_on(&a, &Arc::new(rows), &Arc::new(cols), &accuracy);
    assert!(matches!(apart, Err(MatrixError::Tree { .. })));
    assert!(matches!(Hss::from_dense(&a, 0, &accuracy), Err(MatrixError::Tree { .. })));
    assert!(matches!(Hss::from_dense(&Matrix::<f64>::zeros(0, 3), 8, &accuracy), Err(MatrixError::Tree { .. })));
    a[(3, 5)] = f64::NAN;
    assert!(matches!(Hss::from_dense(&a, 8, &accuracy), Err(MatrixError::Entry { row: 3, col: 5, .. })));
}
