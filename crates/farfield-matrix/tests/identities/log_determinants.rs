//! `log |det H|` and its sign against a dense LU of `full(H)`, for condition numbers of 1e2, 1e6 and 1e10.

use farfield_matrix::*;
use rand::RngExt;

use super::cases::*;
use super::double_double::exact_log_determinant;

/// Matrices of order `n` with condition numbers of about `condition`; whether they are positive definite.
fn conditioned(n: usize, condition: f64) -> Vec<(&'static str, Matrix<f64>, bool)> {
    let mut random = rng(17);
    let mut x: Vec<f64> = (0..n).map(|_| random.random::<f64>()).collect();
    x.sort_by(f64::total_cmp);
    // Symmetric matrices of norm near one, plus 1 / condition.
    let shift = |a: Matrix<f64>| {
        let norm = super::cases::norm_2(&a);
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

fn log_determinant_errors(n: usize, condition: f64) {
    let tree = bisection(n, 40);
    let tight = relative(1e-13);
    for (name, a, definite) in conditioned(n, condition) {
        let hodlr = Hodlr::from_dense(&a, tree.clone(), tight).unwrap().0;
        let hss = Hss::from_dense_on(&a, &tree, &tree, &tight).unwrap().0;
        let options = HMatrixOptions { compression: Compression::Svd, ..HMatrixOptions::new(tight) };
        let h = HMatrix::build(&a, &tree, &tree, Admissibility::Weak, &options).unwrap().0;
        let mut found = vec![
            ("HODLR LU", hodlr.factor().unwrap().log_determinant(), hodlr.to_dense()),
            ("HSS ULV", hss.ulv().unwrap().log_determinant(), hss.to_dense()),
        ];
        match h.lu(&relative(1e-14), 1) {
            Ok((lu, _)) => found.push(("H-LU", lu.log_determinant(), h.to_dense())),
            Err(e) => println!("{name} {condition:e} H-LU {e}"),
        }
        if definite {
            let symmetric = |full: Matrix<f64>| Matrix::from_fn(n, n, |i, j| 0.5 * (full[(i, j)] + full[(j, i)]));
            found.push(("HODLR Cholesky", hodlr.cholesky().unwrap().log_determinant(), symmetric(hodlr.to_dense())));
            found.push(("HSS Cholesky", hss.cholesky(1e-9).unwrap().log_determinant(), symmetric(hss.to_dense())));
            let h = h.symmetrised().unwrap();
            match h.cholesky(&relative(1e-14), 1) {
                Ok((l, _)) => found.push(("H-Cholesky", l.log_determinant(), h.to_dense())),
                Err(e) => println!("{name} {condition:e} H-Cholesky {e}"),
            }
        }
        for (factorisation, ours, full) in found {
            let (sign, ln) = dense_log_determinant(&full);
            let error = (ours.ln_abs - ln).abs() / ln.abs();
            println!("{name}, {condition:e}, {factorisation}: {error:.1e} {}", if error > 1e-9 { "*" } else { "" });
            if error > 1e-9 {
                let exact = exact_log_determinant(&full).1;
                println!("     dense {:.1e} ours {:.1e} of {exact}", (ln - exact) / ln, (ours.ln_abs - exact) / ln);
            }
            assert_eq!(ours.sign, sign, "{name}, {condition:e}, {factorisation}");
        }
    }
}

#[test]
fn conditions_from_1e2_to_1e10() {
    for condition in [1e2, 1e6, 1e10] {
        log_determinant_errors(320, condition);
    }
}
