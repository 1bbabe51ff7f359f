//! Arithmetic of HSS matrices against dense matrices.

use std::sync::Arc;

use crate::cases::{cases, distance, uneven_tree};
use farfield_matrix::{Accuracy, ClusterTree, Confidence, Hss, HssLayout, LinearOperator, Matrix, MatrixError, norm_2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn normal(rng: &mut ChaCha8Rng, rows: usize, cols: usize) -> Matrix<f64> {
    Matrix::from_fn(rows, cols, |_, _| rng.sample(StandardNormal))
}

/// All cases on two bisected trees and an uneven one, to 1e-12.
fn built() -> Vec<(String, Hss<f64>, Matrix<f64>)> {
    let accuracy = Accuracy::relative(1e-12).unwrap();
    let trees = [
        Arc::new(ClusterTree::bisection(100, 8).unwrap()),
        Arc::new(ClusterTree::bisection(129, 30).unwrap()),
        Arc::new(uneven_tree(101)),
        Arc::new(ClusterTree::bisection(1, 4).unwrap()),
    ];
    let mut out = Vec::new();
    for (k, tree) in trees.iter().enumerate() {
        for (name, a) in cases(tree.len()) {
            let (h, _) = Hss::from_dense_on(&a, tree, tree, accuracy).unwrap();
            out.push((format!("{name} on tree {k}"), h, a));
        }
    }
    out
}

fn product(a: &Matrix<f64>, b: &Matrix<f64>) -> Matrix<f64> {
    a.apply(b).unwrap()
}

#[test]
fn random_parameters_keep_their_norm_and_diagonal() {
    // Bases that are not orthonormal, inner D with diagonal blocks, ranks above the leaf size.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (m, n, levels, rank) in
        [(1, 1, 0, 0), (40, 40, 3, 2), (33, 33, 2, 12), (20, 50, 2, 3), (7, 7, 3, 2), (64, 64, 4, 0)]
    {
        let layout = HssLayout::new(m, n, levels, rank).unwrap();
        let data: Vec<f64> = (0..layout.len()).map(|_| rng.sample(StandardNormal)).collect();
        let h = Hss::from_parts(layout, data).unwrap();
        let dense = h.to_dense();
        let size = dense.norm_frobenius();
        assert!((h.norm_frobenius() - size).abs() <= 1e-12 * size, "{m} x {n}");
        let (small, certificate) = h.recompress(Accuracy::relative(1e-12).unwrap()).unwrap();
        assert!(distance(&small.to_dense(), &dense) <= certificate.frobenius.value, "{m} x {n}");
        assert!(certificate.frobenius.value <= 1e-12 * size);
        assert!(small.rank() <= m.div_ceil(1 << levels).max(n.div_ceil(1 << levels)).max(rank));
        if m == n {
            let diagonal = h.diagonal().unwrap();
            assert!((0..n).all(|i| (diagonal[i] - dense[(i, i)]).abs() <= 1e-12 * size));
            let trace: f64 = (0..n).map(|i| dense[(i, i)]).sum();
            assert!((h.trace().unwrap() - trace).abs() <= 1e-12 * size * n as f64);
        } else {
            assert!(matches!(h.diagonal(), Err(MatrixError::Shapes { .. })));
        }
        let rows: Vec<usize> = (0..2 * m).map(|i| (7 * i + 3) % m).collect();
        let cols: Vec<usize> = (0..n / 3).map(|j| (5 * j + 1) % n).collect();
        let block = h.block(&rows, &cols).unwrap();
        let expected = Matrix::from_fn(rows.len(), cols.len(), |i, j| dense[(rows[i], cols[j])]);
        assert!(distance(&block, &expected) <= 1e-12 * size * 2.0);
        assert!((h.entry(m - 1, n / 2).unwrap() - dense[(m - 1, n / 2)]).abs() <= 1e-12 * size);
        assert!(h.block(&[m], &[0]).is_err() && h.entry(0, n).is_err());
    }
}

#[test]
fn recompression_of_sums_finds_the_ranks_again() {
    for (name, h, a) in built() {
        let sum = h.add(&h.scale(0.5).unwrap()).unwrap();
        for tolerance in [1e-2, 1e-6, 1e-11] {
            let (small, certificate) = sum.recompress(Accuracy::relative(tolerance).unwrap()).unwrap();
            let exact = sum.to_dense();
            let (error, bound) = (distance(&small.to_dense(), &exact), certificate.frobenius.value);
            assert!(error <= bound, "{name}, {tolerance}: {error} above {bound}");
            assert!(bound <= tolerance * exact.norm_frobenius().max(f64::MIN_POSITIVE), "{name}, {tolerance}: {bound}");
            assert_eq!(certificate.frobenius.confidence, Confidence::Proven);
            assert!(small.rank() <= h.rank(), "{name}, {tolerance}: {} against {}", small.rank(), h.rank());
            assert_eq!(certificate.stored, small.layout().len());
        }
        let _ = a;
    }
}

#[test]
fn proven_bounds_of_recompression_are_sharp() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut ratios = Vec::new();
    for trial in 0..200 {
        let n = rng.random_range(8..80);
        let all = cases(n);
        let a = &all[trial % all.len()].1;
        let (h, _) = Hss::from_dense(a, rng.random_range(2..16), Accuracy::relative(1e-13).unwrap()).unwrap();
        let tolerance = 10f64.powf(-rng.random_range(1.0..10.0));
        let (small, certificate) = h.recompress(Accuracy::relative(tolerance).unwrap()).unwrap();
        let error = distance(&small.to_dense(), &h.to_dense());
        assert!(error <= certificate.frobenius.value, "trial {trial}");
        if error > 1e-13 * a.norm_frobenius() {
            ratios.push(certificate.frobenius.value / error);
        }
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios.len() > 60 && ratios[ratios.len() / 2] <= 10.0, "{ratios:?}");
}

#[test]
fn rank_caps_of_recompression_are_errors() {
    let (_, h, _) = built().into_iter().find(|(name, ..)| name == "Hilbert on tree 0").unwrap();
    let capped = h.recompress(Accuracy::relative(1e-10).unwrap().max_rank(2));
    assert!(matches!(capped, Err(MatrixError::Tolerance { .. })), "{capped:?}");
    assert!(h.recompress(Accuracy::relative(1e-1).unwrap().max_rank(2)).unwrap().0.rank() <= 2);
}

#[test]
fn shifts_and_low_rank_updates() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (name, h, a) in built() {
        let n = a.nrows();
        let size = 1.0 + a.norm_frobenius();
        let shifted = h.shift(0.75).unwrap().to_dense();
        let expected = Matrix::from_fn(n, n, |i, j| a[(i, j)] + if i == j { 0.75 } else { 0.0 });
        assert!(distance(&shifted, &expected) <= 2e-12 * size, "{name}");
        for k in [0, 1, 4] {
            let (u, v) = (normal(&mut rng, n, k), normal(&mut rng, n, k));
            let updated = h.add_low_rank(&u, &v).unwrap();
            let outer = product(&u, &v.transpose());
            let expected = Matrix::from_fn(n, n, |i, j| a[(i, j)] + outer[(i, j)]);
            assert!(distance(&updated.to_dense(), &expected) <= 2e-12 * (size + outer.norm_frobenius()), "{name}, {k}");
            assert!(updated.rank() <= h.rank() + k);
        }
        assert!(matches!(h.shift(f64::NAN), Err(MatrixError::Factor { .. })));
    }
    let (_, h, _) = built().remove(0);
    let (u, v) = (normal(&mut rng, 100, 2), normal(&mut rng, 100, 3));
    assert!(matches!(h.add_low_rank(&u, &v), Err(MatrixError::Shapes { .. })));
    assert!(matches!(h.add_low_rank(&u, &normal(&mut rng, 99, 2)), Err(MatrixError::Rows { .. })));
}

#[test]
fn products_with_recompression() {
    for (name, h, a) in built() {
        let exact = product(&a, &a);
        let size = a.norm_frobenius();
        let (square, _) = h.multiply(&h).unwrap().recompress(Accuracy::relative(1e-10).unwrap()).unwrap();
        let error = distance(&square.to_dense(), &exact);
        assert!(error <= 1e-10 * exact.norm_frobenius() + 4e-12 * size * size, "{name}: {error}");
    }
}

#[test]
fn entries_diagonals_and_norms_of_structured_matrices() {
    for (name, h, a) in built() {
        let (n, size) = (a.nrows(), a.norm_frobenius());
        assert!((h.norm_frobenius() - size).abs() <= 2e-12 * size, "{name}");
        let all: Vec<usize> = (0..n).rev().collect();
        let block = h.block(&all, &all[..n / 2]).unwrap();
        let expected = Matrix::from_fn(n, n / 2, |i, j| a[(n - 1 - i, n - 1 - j)]);
        assert!(distance(&block, &expected) <= 2e-12 * size, "{name}");
        let diagonal = h.diagonal().unwrap();
        assert!((0..n).all(|i| (diagonal[i] - a[(i, i)]).abs() <= 2e-12 * size), "{name}");
        let exact = norm_2(&a, 1e-10, 1).unwrap();
        assert!((norm_2(&h, 1e-8, 0).unwrap() - exact).abs() <= 1e-8 * exact + 2e-12 * size, "{name}");
    }
}

#[test]
fn two_norms_of_known_matrices() {
    // Eigenvalues of the second difference are 2 - 2 cos(k pi / (n + 1)).
    let n = 300;
    let second = Matrix::from_fn(n, n, |i, j| [2.0, -1.0, 0.0][i.abs_diff(j).min(2)]);
    let exact = 2.0 + 2.0 * (std::f64::consts::PI / (n + 1) as f64).cos();
    for accuracy in [1e-2, 1e-4, 1e-8] {
        let norm = norm_2(&second, accuracy, 3).unwrap();
        assert!((norm - exact).abs() <= accuracy * exact && norm <= exact * (1.0 + 1e-13), "{accuracy}: {norm}");
    }
    assert_eq!(norm_2(&Matrix::<f64>::zeros(5, 3), 1e-3, 0).unwrap(), 0.0);
    assert_eq!(norm_2(&Matrix::<f64>::zeros(0, 3), 1e-3, 0).unwrap(), 0.0);
    let one = Matrix::from_fn(1, 6, |_, j| j as f32);
    assert!((norm_2(&one, 1e-4, 0).unwrap() - 55f64.sqrt()).abs() < 1e-3);
    assert!(norm_2(&one, 0.0, 0).is_err());
}

#[test]
fn the_uniform_layout_holds_the_same_matrix() {
    for (name, a) in cases(90) {
        let (h, _) = Hss::from_dense(&a, 12, Accuracy::relative(1e-7).unwrap()).unwrap();
        let rank = h.rank() + 2;
        let uniform = h.uniform(3, rank).unwrap();
        assert_eq!(**uniform.layout(), HssLayout::new(90, 90, 3, rank).unwrap());
        assert!(distance(&uniform.to_dense(), &h.to_dense()) <= 1e-14 * h.norm_frobenius(), "{name}");
        // The parameters alone are the matrix: what a layer stores.
        let again = Hss::from_parts(uniform.layout().clone(), uniform.data().to_vec()).unwrap();
        assert_eq!(again.to_dense(), uniform.to_dense());
        assert!(h.rank() == 0 || matches!(h.uniform(3, h.rank() - 1), Err(MatrixError::Option { .. })));
        assert!(matches!(h.uniform(2, rank), Err(MatrixError::Tree { .. })));
    }
    let tree = Arc::new(uneven_tree(40));
    let (h, _) = Hss::from_dense_on(&cases(40)[0].1, &tree, &tree, Accuracy::relative(1e-7).unwrap()).unwrap();
    assert!(matches!(h.uniform(3, 40), Err(MatrixError::Tree { .. })));
}
