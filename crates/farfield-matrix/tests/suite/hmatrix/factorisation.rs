//! LU and Cholesky factorisations: backward errors, log-determinants, trees and blocks of any shape.

use std::sync::Arc;

use farfield_matrix::*;

use super::systems::*;
use crate::cases::*;

/// `||B - H X|| / (||H|| ||X|| + ||B||)`, Frobenius norms.
fn relative_residual(h: &HMatrix<f64>, x: &Matrix<f64>, b: &Matrix<f64>, transposed: bool) -> f64 {
    let hx = if transposed { h.apply_transpose(x) } else { h.apply(x) }.unwrap();
    minus(b, &hx).norm_frobenius() / (h.norm_frobenius() * x.norm_frobenius() + b.norm_frobenius())
}

#[test]
fn lu_solves_backward_stably() {
    for n in [150, 571] {
        for case in square_cases(n) {
            let h = case.built(1e-12);
            let (lu, certificate) = h.lu(relative(1e-13), 3).unwrap();
            assert!(certificate.frobenius.value <= 1e-13 * h.norm_frobenius(), "{}", case.name);
            let b = random(n, 35, 11);
            let errors = [
                relative_residual(&h, &lu.solve(&b).unwrap(), &b, false),
                relative_residual(&h, &lu.solve_transpose(&b).unwrap(), &b, true),
            ];
            assert!(errors.iter().all(|&e| e <= 1e-13), "{} {n}: {errors:?}", case.name);
            let inverse = lu.apply(&b).unwrap();
            assert_eq!(inverse, lu.solve(&b).unwrap());
        }
    }
}

#[test]
fn cholesky_solves_backward_stably() {
    let mut factored = 0;
    for case in square_cases(260) {
        let h = case.built(1e-12);
        if case.a != case.a.transpose()
            || !["banded", "exponential in 1D", "Matern in 2D", "Toeplitz", "Hilbert plus diagonal", "1 / r in 2D"]
                .contains(&case.name)
        {
            continue;
        }
        factored += 1;
        // Cross approximations are symmetric to their tolerance only.
        let h = h.symmetrised().unwrap();
        assert_eq!(h.to_dense(), h.to_dense().transpose());
        assert_close(&h.to_dense(), &case.a, 1e-12, case.name);
        let (cholesky, certificate) = h.cholesky(relative(1e-13), 3).unwrap();
        assert!(certificate.frobenius.value <= 1e-13 * h.norm_frobenius(), "{}", case.name);
        let b = random(260, 3, 12);
        let x = cholesky.solve(&b).unwrap();
        let error = relative_residual(&h, &x, &b, false);
        assert!(error <= 1e-13, "{}: {error:.2e}", case.name);
        let (sign, log) = dense_log_determinant(&h.to_dense());
        assert!(
            sign > 0 && (cholesky.log_determinant().ln_abs - log).abs() <= 1e-9 * log.abs().max(1.0),
            "{}",
            case.name
        );
        // L L^T is the matrix.
        let l = cholesky.apply_factor(&Matrix::identity(260)).unwrap();
        assert_close(&times(&l, &l.transpose()), &h.to_dense(), 1e-12, case.name);
    }
    assert!(factored >= 5);
}

#[test]
fn cholesky_of_an_exactly_symmetric_matrix_to_rounding() {
    let tree = Arc::new(ClusterTree::bisection(300, 16).unwrap());
    let a = EntryFn::new(300, 300, |i: usize, j: usize| {
        if i == j {
            2.0
        } else if i.abs_diff(j) == 1 {
            -1.0
        } else {
            0.0
        }
    });
    let svd = HMatrixOptions { compression: Compression::Svd, ..options(1e-13) };
    let h = HMatrix::build(&a, &tree, &tree, Admissibility::Weak, &svd).unwrap().0;
    let (cholesky, _) = h.cholesky(relative(1e-13), 3).unwrap();
    let b = random(300, 4, 12);
    assert!(relative_residual(&h, &cholesky.solve(&b).unwrap(), &b, false) <= 1e-13);
    // The determinant of the second-difference matrix is n + 1.
    assert!((cholesky.log_determinant().ln_abs - 301f64.ln()).abs() <= 1e-9);
    assert!(cholesky.stored() < h.lu(relative(1e-13), 3).unwrap().0.stored());
}

#[test]
fn log_determinants_for_condition_numbers_up_to_1e10() {
    // exp(-r^2 / 2 s^2) + mu I: the smallest eigenvalue is about mu, the largest about n s.
    let n = 240;
    let points = cloud(n, 1, 40);
    let tree = geometric(&points, 16, Splitting::Median);
    for condition in [1e2, 1e5, 1e8, 1e10] {
        let entries = EntryFn::new(n, n, |i, j| {
            let r = gap(&points, i, &points, j);
            (-20.0 * r * r).exp() + if i == j { 100.0 / condition } else { 0.0 }
        });
        let h = HMatrix::build(
            &entries,
            &tree,
            &tree,
            Admissibility::Strong { eta: 2.0 },
            &HMatrixOptions { compression: Compression::Svd, ..options(1e-14) },
        );
        let h = h
            .or_else(|_| {
                HMatrix::build(
                    &entries,
                    &tree,
                    &tree,
                    Admissibility::Strong { eta: 2.0 },
                    &HMatrixOptions { compression: Compression::Svd, ..options(1e-13) },
                )
            })
            .unwrap()
            .0;
        let (sign, log) = dense_log_determinant(&h.to_dense());
        let (lu, _) = h.lu(relative(1e-14), 1).unwrap();
        let ours = lu.log_determinant();
        assert!(
            ours.sign == sign && (ours.ln_abs - log).abs() <= 1e-9 * log.abs(),
            "{condition:e}: {ours:?} against {log}"
        );
    }
    // Signs: a permuted and a negated matrix.
    let case = &square_cases(121)[2];
    let h = case.built(1e-12).scale(-1.0).unwrap();
    let (sign, log) = dense_log_determinant(&h.to_dense());
    let ours = h.lu(relative(1e-12), 1).unwrap().0.log_determinant();
    assert!(ours.sign == sign && (ours.ln_abs - log).abs() <= 1e-9 * log.abs());
}

#[test]
fn the_determinant_knows_different_orders_of_rows_and_columns() {
    let n = 24;
    let reversed = Nested::Split(vec![Nested::Leaf((12..24).rev().collect()), Nested::Leaf((0..12).collect())]);
    let rows = Arc::new(ClusterTree::from_nested(&reversed).unwrap());
    let cols = Arc::new(ClusterTree::bisection(n, 12).unwrap());
    let a = Matrix::from_fn(n, n, |i, j| if (i + 12) % n == j { 5.0 } else { 0.0 } + ((i * j) as f64).sin());
    let h = HMatrix::build(&a, &rows, &cols, Admissibility::Custom(&|_, _| false), &options(1e-3)).unwrap().0;
    let (lu, _) = h.lu(relative(1e-12), 0).unwrap();
    let ((sign, log), ours) = (dense_log_determinant(&a), lu.log_determinant());
    assert!(ours.sign == sign && (ours.ln_abs - log).abs() < 1e-12 * log.abs());
    let b = random(n, 2, 1);
    assert!(relative_residual(&h, &lu.solve(&b).unwrap(), &b, false) < 1e-14);
    assert!(relative_residual(&h, &lu.solve_transpose(&b).unwrap(), &b, true) < 1e-14);
    assert!(matches!(h.shift(1.0), Err(MatrixError::Tree { .. })));
    assert!(matches!(h.cholesky(relative(1e-3), 0), Err(MatrixError::Tree { .. })));
}

#[test]
fn admissible_blocks_on_the_diagonal() {
    // Low rank everywhere but in the last quarter, with finer blocks beside coarse ones.
    let n = 128;
    let tree = Arc::new(ClusterTree::bisection(n, 8).unwrap());
    let a = EntryFn::new(n, n, |i: usize, j: usize| {
        1.0 / (1.0 + i as f64 + 0.5 * j as f64) + if i == j && i >= 96 { 1.0 } else { 0.0 }
    });
    let coarse = |s: &Cluster, t: &Cluster| {
        s.range.end <= 64 && t.range.end <= 64 || s.len() <= 32 && s.range.end <= 96 || t.len() < 16 && s != t
    };
    let h = HMatrix::build(&a, &tree, &tree, Admissibility::Custom(&coarse), &options(1e-13)).unwrap().0;
    assert!(matches!(h.lu(relative(1e-12), 0), Err(MatrixError::Singular { .. })));
    assert!(h.cholesky(relative(1e-12), 0).is_err());
    let symmetric = h.symmetrised().unwrap().to_dense();
    assert_eq!(symmetric, symmetric.transpose());
    let full = Matrix::from_fn(n, n, |i, j| a.entry(i, j) + if i == j { 2.0 } else { 0.0 });
    let h = h.shift(2.0).unwrap();
    assert_close(&h.to_dense(), &full, 1e-13, "shifted");
    let b = random(n, 2, 7);
    let (lu, _) = h.lu(relative(1e-13), 0).unwrap();
    assert!(relative_residual(&h, &lu.solve(&b).unwrap(), &b, false) <= 1e-13);
    let square = h.multiply(&h, Admissibility::Custom(&coarse), relative(1e-11), 0).unwrap().0;
    assert_close(&square.to_dense(), &times(&full, &full), 1e-11, "square");
}

#[test]
fn rough_factorisations_are_preconditioners() {
    let case = &square_cases(300)[6];
    let h = case.built(1e-10);
    let b = random(300, 1, 2);
    for tolerance in [1e-2, 1e-4, 1e-6] {
        let (lu, certificate) = h.lu(relative(tolerance), 1).unwrap();
        assert!(certificate.frobenius.value <= tolerance * h.norm_frobenius());
        let dense = h.to_dense();
        // ||H - L U|| measured by the identity: H (L U)^-1 - I applied to b is small.
        let residual = minus(&b, &times(&dense, &lu.solve(&b).unwrap())).norm_frobenius() / b.norm_frobenius();
        assert!(residual <= 50.0 * tolerance, "{tolerance}: {residual}");
    }
}

#[test]
fn trees_of_any_shape() {
    let kernel = |n: usize| {
        EntryFn::new(n, n, move |i: usize, j: usize| if i == j { 3.0 } else { 1.0 / (1.0 + i.abs_diff(j) as f64) })
    };
    for n in [1, 2, 3, 7, 20, 63] {
        for leaf in [1, 2, 5, 100] {
            let tree = Arc::new(ClusterTree::bisection(n, leaf).unwrap());
            let (h, _) = HMatrix::build(&kernel(n), &tree, &tree, Admissibility::Weak, &options(1e-11)).unwrap();
            let exact = Matrix::from_fn(n, n, |i, j| kernel(n).entry(i, j));
            assert_close(&h.to_dense(), &exact, 1e-11, "any shape");
            let b = random(n, 2, 1);
            let (lu, _) = h.lu(relative(1e-12), 0).unwrap();
            assert!(relative_residual(&h, &lu.solve(&b).unwrap(), &b, false) <= 1e-12);
            let product = h.multiply(&h, Admissibility::Weak, relative(1e-10), 0).unwrap().0;
            assert_close(&product.to_dense(), &times(&exact, &exact), 1e-9, "square");
        }
    }
    // Leaves on many levels, three children, an empty cluster.
    let nested = Nested::Split(vec![
        Nested::Leaf((0..9).collect()),
        Nested::Split(vec![Nested::Leaf((9..14).collect()), Nested::Leaf(vec![]), Nested::Leaf((14..30).collect())]),
        Nested::Split(vec![
            Nested::Leaf((30..31).collect()),
            Nested::Split(vec![Nested::Leaf((31..50).collect()), Nested::Leaf((50..64).collect())]),
        ]),
    ]);
    let tree = Arc::new(ClusterTree::from_nested(&nested).unwrap());
    let far = |s: &Cluster, t: &Cluster| s.range.end + 3 <= t.range.start || t.range.end + 3 <= s.range.start;
    for admissibility in [Admissibility::Weak, Admissibility::Custom(&far), Admissibility::Custom(&|_, _| false)] {
        let (h, _) = HMatrix::build(&kernel(64), &tree, &tree, admissibility, &options(1e-11)).unwrap();
        let exact = Matrix::from_fn(64, 64, |i, j| kernel(64).entry(i, j));
        assert_close(&h.to_dense(), &exact, 1e-11, "uneven");
        let b = random(64, 2, 1);
        let (lu, _) = h.lu(relative(1e-12), 0).unwrap();
        assert!(relative_residual(&h, &lu.solve(&b).unwrap(), &b, false) <= 1e-12);
        let product = h.multiply(&h, admissibility, relative(1e-10), 0).unwrap().0;
        assert_close(&product.to_dense(), &times(&exact, &exact), 1e-9, "square");
        assert_close(
            &h.add(&h, relative(1e-10)).unwrap().0.to_dense(),
            &h.scale(2.0).unwrap().to_dense(),
            1e-10,
            "sum",
        );
    }
}
