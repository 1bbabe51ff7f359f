//! `log |det H|` and its sign against a dense LU of `full(H)`, for condition numbers of 1e2, 1e6 and 1e10.

use farfield_matrix::*;
use rand::RngExt;

use super::double_double::exact_log_determinant;
use crate::cases::*;

/// Matrices of order `n` with condition numbers of about `condition`; whether they are positive definite.
fn conditioned(n: usize, condition: f64) -> Vec<(&'static str, Matrix<f64>, bool)> {
    let mut random = rng(17);
    let mut x: Vec<f64> = (0..n).map(|_| random.random::<f64>()).collect();
    x.sort_by(f64::total_cmp);
    // Symmetric matrices of norm near one, plus 1 / condition.
    let shift = |a: Matrix<f64>| {
        let norm = crate::cases::norm_2(&a);
        Matrix::from_fn(n, n, |i, j| a[(i, j)] / norm + if i == j { 1.0 / condition } else { 0.0 })
    };
    let gaussian = shift(Matrix::from_fn(n, n, |i, j| (-40.0 * (x[i] - x[j]).powi(2)).exp()));
    let hilbert = shift(Matrix::from_fn(n, n, |i, j| 1.0 / (1 + i + j) as f64));
    let matern = shift(Matrix::from_fn(n, n, |i, j| {
        let r = 6.0 * (x[i] - x[j]).abs();
        (1.0 + r) * (-r).exp()
    }));
    // Every third row negated, columns weighted: not symmetric, with sign.
    let turned = Matrix::from_fn(n, n, |i, j| gaussian[(i, j)] * if i % 3 == 0 { -1.0 } else { 1.0 } * (1.0 + x[j]));
    let well = |i: usize, j: usize| (-3.0 * (x[i] - x[j]).abs()).exp() + if i == j { 1.0 } else { 0.0 };
    let grade = |i: usize| condition.powf(-0.5 * i as f64 / n as f64);
    let graded = Matrix::from_fn(n, n, |i, j| grade(i) * well(i, j) * grade(j) * if j % 5 == 2 { -1.0 } else { 1.0 });
    vec![
        ("Gaussian", gaussian, true),
        ("Hilbert", hilbert, true),
        ("Matern", matern, true),
        ("turned Gaussian", turned, false),
        ("graded", graded, false),
    ]
}

/// Log-determinants by each factorisation, and the dense matrix that it stands for.
fn by_all_factorisations(a: &Matrix<f64>, definite: bool) -> Vec<(&'static str, LogDeterminant, Matrix<f64>)> {
    let (n, tight) = (a.nrows(), relative(1e-13));
    let tree = bisection(n, 40);
    let hodlr = Hodlr::from_dense(a, tree.clone(), tight).unwrap().0;
    let hss = Hss::from_dense_on(a, &tree, &tree, tight).unwrap().0;
    let options = HMatrixOptions { compression: Compression::Svd, ..HMatrixOptions::new(tight) };
    let h = HMatrix::build(a, &tree, &tree, Admissibility::Weak, &options).unwrap().0;
    let mut found = vec![
        ("HODLR LU", hodlr.factor().unwrap().log_determinant(), hodlr.to_dense()),
        ("HSS ULV", hss.ulv().unwrap().log_determinant(), hss.to_dense()),
        ("H-LU", h.lu(relative(1e-14), 1).unwrap().0.log_determinant(), h.to_dense()),
    ];
    if definite {
        let symmetric = |full: Matrix<f64>| Matrix::from_fn(n, n, |i, j| 0.5 * (full[(i, j)] + full[(j, i)]));
        found.push(("HODLR Cholesky", hodlr.cholesky().unwrap().log_determinant(), symmetric(hodlr.to_dense())));
        found.push(("HSS Cholesky", hss.cholesky(1e-9).unwrap().log_determinant(), symmetric(hss.to_dense())));
        let h = h.symmetrised().unwrap();
        found.push(("H-Cholesky", h.cholesky(relative(1e-14), 1).unwrap().0.log_determinant(), h.to_dense()));
    }
    found
}

fn check(condition: f64) {
    for (name, a, definite) in conditioned(320, condition) {
        for (factorisation, ours, full) in by_all_factorisations(&a, definite) {
            let (sign, ln) = dense_log_determinant(&full);
            assert_eq!(ours.sign, sign, "{name}, {condition:e}, {factorisation}");
            let error = (ours.ln_abs - ln).abs() / ln.abs();
            assert!(error <= 1e-9, "{name}, {condition:e}, {factorisation}: {error:.1e}");
        }
    }
}

#[test]
fn conditions_of_1e2_and_1e6() {
    check(1e2);
    check(1e6);
}

#[test]
fn a_condition_of_1e10() {
    check(1e10);
}

/// The hardest case seen: most singular values are the smallest, so that rounding the entries alone moves the logarithm. Ours is within a few times of what dense LU loses
/// against the logarithm in 106 bits, or within 1e-9.
#[test]
fn shifted_hilbert_matrices_against_106_bits() {
    let n = 90;
    for shift in [1e-8, 2e-10] {
        let hilbert = shifted(&Matrix::from_fn(n, n, |i, j| 1.0 / (i + j + 1) as f64), shift);
        for (factorisation, ours, full) in by_all_factorisations(&hilbert, true) {
            let (sign, exact) = exact_log_determinant(&full);
            let dense = (dense_log_determinant(&full).1 - exact).abs();
            let error = (ours.ln_abs - exact).abs();
            assert_eq!((ours.sign, sign), (1, 1), "{factorisation}");
            let met = error <= (2.0 * dense).max(1e-9 * exact.abs());
            assert!(met, "{factorisation}, {shift:e}: {error:.1e}, dense {dense:.1e}");
        }
    }
}
