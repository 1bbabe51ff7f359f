//! Products with vectors, extraction, sums, updates and products of two.

use farfield_matrix::*;

use super::systems::*;
use crate::cases::*;

#[test]
fn products_with_vectors_and_their_transposes() {
    let mut cases = square_cases(230);
    cases.extend(rectangular_cases());
    for case in &cases {
        let h = case.built(1e-6);
        let full = h.to_dense();
        for width in [0, 1, 3, 40] {
            let (x, y) = (random(h.ncols(), width, 8), random(h.nrows(), width, 9));
            assert_close(&h.apply(&x).unwrap(), &times(&full, &x), 1e-13, case.name);
            let transposed = times(&full.transpose(), &y);
            assert_close(&h.apply_transpose(&y).unwrap(), &transposed, 1e-13, case.name);
            assert_close(&h.transpose().apply(&y).unwrap(), &transposed, 1e-13, case.name);
        }
    }
}

#[test]
fn extraction_diagonal_trace_and_norm() {
    let mut cases = square_cases(180);
    cases.extend(rectangular_cases());
    for case in &cases {
        let h = case.built(1e-5);
        let full = h.to_dense();
        let scale = full.norm_frobenius();
        let rows: Vec<usize> = (0..60).map(|i| (i * 37) % h.nrows()).chain([0, 0]).collect();
        let cols: Vec<usize> = (0..50).map(|j| (j * 91) % h.ncols()).collect();
        let block = h.block(&rows, &cols).unwrap();
        for (i, &row) in rows.iter().enumerate() {
            for (j, &col) in cols.iter().enumerate() {
                assert!((block[(i, j)] - full[(row, col)]).abs() <= 1e-14 * scale);
            }
        }
        assert!((h.entry(3, 5).unwrap() - full[(3, 5)]).abs() <= 1e-14 * scale);
        let diagonal = h.diagonal();
        assert_eq!(diagonal.len(), h.nrows().min(h.ncols()));
        assert!(diagonal.iter().enumerate().all(|(i, &d)| (d - full[(i, i)]).abs() <= 1e-14 * scale));
        if h.nrows() == h.ncols() {
            assert!((h.trace().unwrap() - diagonal.iter().sum::<f64>()).abs() <= 1e-12 * scale);
        } else {
            assert!(matches!(h.trace(), Err(MatrixError::Shapes { .. })));
        }
        assert!((h.norm_frobenius() - scale).abs() <= 1e-13 * scale);
        assert!(h.entry(h.nrows(), 0).is_err() && h.block(&[0], &[h.ncols()]).is_err());
        assert_eq!(h.memory_bytes(), 8 * h.stored());
        let area: usize = h.leaves().iter().map(|leaf| leaf.rows.len() * leaf.cols.len()).sum();
        assert_eq!(area, h.nrows() * h.ncols());
    }
}

#[test]
fn sums_shifts_scales_and_updates() {
    let n = 200;
    for (case, other) in square_cases(n).iter().zip(square_cases(n).iter().map(|case| &case.a)) {
        let h = case.built(1e-13);
        let full = h.to_dense();
        let scaled = h.scale(-2.5).unwrap().to_dense();
        assert_close(&scaled, &Matrix::from_fn(n, n, |i, j| -2.5 * full[(i, j)]), 1e-15, case.name);
        let shifted = h.shift(0.75).unwrap().to_dense();
        let expected = Matrix::from_fn(n, n, |i, j| full[(i, j)] + if i == j { 0.75 } else { 0.0 });
        assert_close(&shifted, &expected, 1e-15, case.name);
        // The transpose of another matrix on the same trees, and with other blocks.
        let second = HMatrix::build(&other.transpose(), &case.rows, &case.cols, case.admissibility(), &options(1e-13))
            .unwrap()
            .0;
        let flat = HMatrix::build(other, &case.rows, &case.cols, Admissibility::Custom(&|_, _| false), &options(1e-2))
            .unwrap()
            .0;
        let all = HMatrix::build(other, &case.rows, &case.cols, Admissibility::Weak, &options(1e-13)).unwrap().0;
        let (u, v) = (random(n, 2, 30), random(n, 2, 31));
        let low = times(&u, &v.transpose());
        for tolerance in [1e-3, 1e-8, 1e-12] {
            let accuracy = relative(tolerance);
            for b in [&second, &flat, &all] {
                for (left, right) in [(&h, b), (b, &h)] {
                    let (sum, certificate) = left.add(right, accuracy).unwrap();
                    let b = right.to_dense();
                    let a = left.to_dense();
                    let exact = Matrix::from_fn(n, n, |i, j| a[(i, j)] + b[(i, j)]);
                    let error = minus(&sum.to_dense(), &exact).norm_frobenius();
                    let norm = exact.norm_frobenius();
                    assert!(error <= tolerance * norm, "{} sum {tolerance}: {:.2e}", case.name, error / norm);
                    assert!(error <= certificate.frobenius.value + 1e-14 * norm);
                }
            }
            let (updated, certificate) = h.add_low_rank(&u, &v, accuracy).unwrap();
            let exact = Matrix::from_fn(n, n, |i, j| full[(i, j)] + low[(i, j)]);
            let error = minus(&updated.to_dense(), &exact).norm_frobenius();
            assert!(
                error <= tolerance * exact.norm_frobenius()
                    && error <= certificate.frobenius.value + 1e-14 * exact.norm_frobenius()
            );
            let (smaller, certificate) = h.recompress(accuracy).unwrap();
            let error = minus(&smaller.to_dense(), &full).norm_frobenius();
            assert!(error <= certificate.frobenius.value + 1e-14 * full.norm_frobenius());
            assert!(error <= tolerance * full.norm_frobenius() && smaller.stored() <= h.stored(), "{}", case.name);
        }
        let difference =
            h.add(&h.scale(-1.0).unwrap(), Accuracy::absolute(1e-10 * full.norm_frobenius()).unwrap()).unwrap().0;
        assert!(difference.norm_frobenius() <= 1e-10 * full.norm_frobenius());
    }
}

#[test]
fn products_of_two_matrices() {
    for case in square_cases(210) {
        let h = case.built(1e-13);
        let full = h.to_dense();
        for tolerance in [1e-3, 1e-7, 1e-11] {
            let (square, certificate) =
                h.multiply(&h.transpose(), case.admissibility(), relative(tolerance), 5).unwrap();
            let exact = times(&full, &full.transpose());
            let error = minus(&square.to_dense(), &exact).norm_frobenius();
            assert!(error <= tolerance * exact.norm_frobenius(), "{} {tolerance}: {error:.2e}", case.name);
            assert!(error <= certificate.frobenius.value);
            assert!(
                matches!(certificate.frobenius.confidence, Confidence::Probabilistic { failure } if failure <= 1e-6)
            );
        }
    }
    for case in rectangular_cases() {
        let h = case.built(1e-12);
        let (gram, _) = h.transpose().multiply(&h, Admissibility::Strong { eta: 1.0 }, relative(1e-9), 5).unwrap();
        assert_close(&gram.to_dense(), &times(&case.a.transpose(), &case.a), 2e-9, case.name);
        assert!(matches!(h.multiply(&h, Admissibility::Weak, relative(0.1), 0), Err(MatrixError::Tree { .. })));
    }
}
