//! What factorisations and condition numbers say of matrices that are nearly singular.

use farfield_matrix::*;
use rand::RngExt;

use crate::cases::*;

fn dense(a: &Matrix<f64>) -> faer::Mat<f64> {
    faer::Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)])
}

fn norm_1(a: &faer::Mat<f64>) -> f64 {
    (0..a.ncols()).map(|j| (0..a.nrows()).map(|i| a[(i, j)].abs()).sum()).fold(0.0, f64::max)
}

#[test]
fn condition_numbers_through_hodlr_factors_of_both_kinds() {
    let n = 160;
    let mut random = rng(4);
    let mut x: Vec<f64> = (0..n).map(|_| random.random::<f64>()).collect();
    x.sort_by(f64::total_cmp);
    // Condition numbers from 1e2, by the Woodbury formula, to 1e10, by two-sided factors.
    for shift in [1.0, 1e-4, 1e-8] {
        let kernel = Matrix::from_fn(n, n, |i, j| (-20.0 * (x[i] - x[j]).powi(2)).exp() * (1.0 + x[j]));
        let a = Matrix::from_fn(n, n, |i, j| kernel[(i, j)] + if i == j { shift } else { 0.0 });
        let h = Hodlr::from_dense(&a, bisection(n, 20), relative(1e-13)).unwrap().0;
        let full = dense(&h.to_dense());
        let s = full.singular_values().unwrap();
        let exact = s[0] / s[n - 1];
        let factors = h.factor().unwrap();
        let found = condition_2(&h, &factors, 1e-3, 1).unwrap();
        assert!((found - exact).abs() <= 0.01 * exact, "{shift:e}: {found:e} {exact:e}");
        let inverse = faer::linalg::solvers::DenseSolveCore::inverse(&full.partial_piv_lu());
        let exact = norm_1(&full) * norm_1(&inverse);
        let found = factors.condition_1_estimate(&h).unwrap();
        assert!(found <= 1.001 * exact && found >= exact / 3.0, "{shift:e}: {found:e} {exact:e}");
    }
}

/// As the drivers of LAPACK: a solver may refuse a matrix that is singular to working precision, and where it does not, the condition estimate tells. It does not refuse one that is not.
#[test]
fn one_row_that_is_small_beside_the_others() {
    let n = 100;
    for leaf in [12, 25] {
        for scale in [1e-17, 1e-12] {
            let row = |i: usize| if i == 40 { scale } else { 1.0 };
            let a = Matrix::from_fn(n, n, |i, j| row(i) / (1.0 + i.abs_diff(j) as f64));
            let (tree, tight) = (bisection(n, leaf), relative(1e-12));
            let hss = Hss::from_dense_on(&a, &tree, &tree, tight).unwrap().0;
            let hodlr = Hodlr::from_dense(&a, tree.clone(), tight).unwrap().0;
            let options = HMatrixOptions { compression: Compression::Svd, ..HMatrixOptions::new(tight) };
            let h = HMatrix::build(&a, &tree, &tree, Admissibility::Weak, &options).unwrap().0;
            type Factors = Result<Box<dyn Factorization<f64>>, MatrixError>;
            let found: [(&str, Factors); 3] = [
                ("ULV", hss.ulv().map(|factors| Box::new(factors) as _)),
                ("HODLR LU", hodlr.factor().map(|factors| Box::new(factors) as _)),
                ("H-LU", h.lu(tight, 0).map(|factors| Box::new(factors.0) as _)),
            ];
            for (what, factors) in found {
                match factors {
                    Ok(factors) => {
                        let condition = factors.condition_1_estimate(&a).unwrap();
                        assert!((1.0..100.0).contains(&(scale * condition)), "{what}, {scale:e}: {condition:e}");
                        assert!(scale == 1e-12 || what != "ULV", "the smallest singular value of a block is looked at");
                    }
                    Err(error) => {
                        assert!(matches!(error, MatrixError::Singular { .. }) && scale == 1e-17, "{what}: {error}");
                    }
                }
            }
        }
    }
}
