//! Exponential and square roots of HSS matrices, against eigenvalues that are known and against identities.

use crate::cases::distance;
use farfield_matrix::{Accuracy, Hss, LinearOperator, Matrix, MatrixError};

/// `f` of the second-difference matrix times `scale`, from its sine eigenvectors.
fn of_second_difference(n: usize, scale: f64, f: impl Fn(f64) -> f64) -> Matrix<f64> {
    let angle = std::f64::consts::PI / (n + 1) as f64;
    let q = Matrix::from_fn(n, n, |i, k| (2.0 / (n + 1) as f64).sqrt() * (angle * ((i + 1) * (k + 1)) as f64).sin());
    let scaled = Matrix::from_fn(n, n, |i, k| q[(i, k)] * f(scale * (2.0 - 2.0 * (angle * (k + 1) as f64).cos())));
    scaled.apply(&q.transpose()).unwrap()
}

fn hss(a: &Matrix<f64>) -> Hss<f64> {
    Hss::from_dense(a, 12, Accuracy::relative(1e-13).unwrap()).unwrap().0
}

#[test]
fn exponentials_of_the_second_difference() {
    for n in [1, 30, 128] {
        for scale in [-0.01, -1.0, -40.0, 2.0] {
            let a = hss(&of_second_difference(n, scale, |x| x));
            let exact = of_second_difference(n, scale, f64::exp);
            for tolerance in [1e-3, 1e-8] {
                let error = distance(&a.exp(tolerance).unwrap().to_dense(), &exact);
                assert!(error <= tolerance * exact.norm_frobenius(), "n = {n}, scale {scale}, {tolerance}: {error}");
            }
        }
    }
    // Not symmetric: a nilpotent matrix.
    let shift = Matrix::from_fn(40, 40, |i, j| if j == i + 1 { 1.0 } else { 0.0 });
    let exact =
        Matrix::from_fn(40, 40, |i, j| if j >= i { (1..=j - i).map(|k| 1.0 / k as f64).product() } else { 0.0 });
    let error = distance(&hss(&shift).exp(1e-9).unwrap().to_dense(), &exact);
    assert!(error <= 1e-9 * exact.norm_frobenius(), "{error}");
    assert!(matches!(hss(&shift).exp(0.0), Err(MatrixError::Option { .. })));
}

#[test]
fn square_roots_of_positive_definite_matrices() {
    for (n, shift) in [(1, 0.1), (60, 0.01), (128, 1e-4)] {
        let a = hss(&of_second_difference(n, 1.0, |x| x + shift));
        for tolerance in [1e-4, 1e-9] {
            let roots = a.square_roots(tolerance).unwrap();
            let root = of_second_difference(n, 1.0, |x| (x + shift).sqrt());
            let inverse = of_second_difference(n, 1.0, |x| 1.0 / (x + shift).sqrt());
            assert!(roots.residual <= tolerance && roots.inverse_residual <= tolerance);
            // The condition numbers of the roots are at most the smallest eigenvalues say.
            let error = distance(&roots.root.to_dense(), &root) / root.norm_frobenius();
            let inverse_error = distance(&roots.inverse_root.to_dense(), &inverse) / inverse.norm_frobenius();
            assert!(error <= 100.0 * tolerance && inverse_error <= 100.0 * tolerance, "{n}: {error}, {inverse_error}");
        }
    }
    let indefinite = hss(&of_second_difference(50, 1.0, |x| x - 1.0));
    assert!(matches!(indefinite.square_roots(1e-6), Err(MatrixError::NoConvergence { .. })));
    assert!(hss(&Matrix::zeros(9, 9)).square_roots(1e-6).is_err());
}
