//! The adaptive partition of a dense matrix: its error, its size, its products.

use std::sync::Arc;

use crate::cases::{cases, distance, uneven_tree};
use farfield_matrix::{Accuracy, AdaptiveBlocks, ClusterTree, LinearOperator, Matrix, MatrixError};

#[test]
fn errors_stay_below_proven_bounds_that_are_sharp() {
    let mut ratios = Vec::new();
    for tree in [
        ClusterTree::bisection(100, 8).unwrap(),
        uneven_tree(61),
        ClusterTree::bisection(1, 1).unwrap(),
        ClusterTree::bisection(30, 64).unwrap(),
    ] {
        let tree = Arc::new(tree);
        for (name, a) in cases(tree.len()) {
            for tolerance in [1e-2, 1e-5, 1e-9, 1e-12, 1e-16] {
                let accuracy = Accuracy::relative(tolerance).unwrap();
                let (h, certificate) = AdaptiveBlocks::from_dense(&a, &tree, &tree, accuracy).unwrap();
                let (error, bound) = (distance(&h.to_dense(), &a), certificate.frobenius.value);
                assert!(error <= bound, "{name}, {tolerance}: {error} above {bound}");
                assert!(bound <= tolerance * a.norm_frobenius(), "{name}, {tolerance}: {bound}");
                assert!(certificate.stored <= certificate.dense);
                assert!((certificate.norm - h.to_dense().norm_frobenius()).abs() <= 1e-13 * certificate.norm);
                if error > 1e-13 * a.norm_frobenius() {
                    ratios.push(bound / error);
                }
            }
        }
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[ratios.len() / 2] <= 1.01, "{}", ratios[ratios.len() / 2]);
}

#[test]
fn kernels_compress_and_noise_stays_dense() {
    let tree = Arc::new(ClusterTree::bisection(256, 16).unwrap());
    let accuracy = Accuracy::relative(1e-4).unwrap();
    let kernel = Matrix::from_fn(256, 256, |i, j| 1.0 / (1.0 + i.abs_diff(j) as f64));
    let (h, certificate) = AdaptiveBlocks::from_dense(&kernel, &tree, &tree, accuracy).unwrap();
    assert!(certificate.compression() < 0.4, "{}", certificate.compression());
    assert!(h.leaves().iter().any(|leaf| leaf.rank().is_none()) && h.leaves().iter().any(|leaf| leaf.rank().is_some()));
    assert_eq!(h.leaves().iter().map(|leaf| leaf.stored()).sum::<usize>(), h.stored());
    let noise = Matrix::from_fn(64, 64, |i, j| ((i * 7919 + j * 104_729 + i * i * j) as f64).sin());
    let tree = Arc::new(ClusterTree::bisection(64, 8).unwrap());
    let (h, certificate) = AdaptiveBlocks::from_dense(&noise, &tree, &tree, accuracy).unwrap();
    assert_eq!((h.stored(), certificate.frobenius.value, h.leaves().len()), (64 * 64, 0.0, 1));
    // One block for a matrix of rank one.
    let one = Matrix::from_fn(64, 64, |i, j| (1 + i) as f64 * (2 + j) as f64);
    let (h, _) = AdaptiveBlocks::from_dense(&one, &tree, &tree, accuracy).unwrap();
    assert_eq!((h.leaves().len(), h.leaves()[0].rank(), h.stored()), (1, Some(1), 128));
}

#[test]
fn blocks_above_the_rank_cap_are_split() {
    let tree = Arc::new(ClusterTree::bisection(128, 8).unwrap());
    let a = &cases(128).into_iter().find(|(name, _)| *name == "logarithm").unwrap().1;
    for cap in [0, 1, 3] {
        let accuracy = Accuracy::relative(1e-6).unwrap().max_rank(cap);
        let (h, certificate) = AdaptiveBlocks::from_dense(a, &tree, &tree, accuracy).unwrap();
        assert!(h.leaves().iter().all(|leaf| leaf.rank().unwrap_or(0) <= cap));
        assert!(distance(&h.to_dense(), a) <= certificate.frobenius.value);
        assert!(certificate.frobenius.value <= 1e-6 * a.norm_frobenius());
    }
}

#[test]
fn products_and_rectangular_matrices() {
    let a = Matrix::from_fn(70, 33, |i, j| 1.0 / (1.0 + (i as f64 * 0.47 - j as f64).abs()));
    let rows = Arc::new(ClusterTree::bisection(70, 6).unwrap());
    let cols = Arc::new(ClusterTree::bisection(33, 10).unwrap());
    let (h, _) = AdaptiveBlocks::from_dense(&a, &rows, &cols, Accuracy::relative(1e-9).unwrap()).unwrap();
    let (x, y) = (
        Matrix::from_fn(33, 3, |i, j| ((i + 2 * j) as f64).sin()),
        Matrix::from_fn(70, 2, |i, j| ((3 * i + j) as f64).cos()),
    );
    let dense = h.to_dense();
    assert!(distance(&h.apply(&x).unwrap(), &dense.apply(&x).unwrap()) < 1e-12);
    assert!(distance(&h.apply_transpose(&y).unwrap(), &dense.apply_transpose(&y).unwrap()) < 1e-12);
    assert!(h.apply(&y).is_err());
    assert!(matches!(
        AdaptiveBlocks::from_dense(&a, &cols, &rows, Accuracy::relative(0.1).unwrap()),
        Err(MatrixError::Tree { .. })
    ));
    let mut bad = a.clone();
    bad[(5, 6)] = f64::NAN;
    let error = AdaptiveBlocks::from_dense(&bad, &rows, &cols, Accuracy::relative(0.1).unwrap());
    assert!(matches!(error, Err(MatrixError::Entry { row: 5, col: 6, .. })));
}
