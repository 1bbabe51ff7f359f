//! 1-norms and condition numbers of operators that are known by their products.
//!
//! The estimate of Hager (1984) in the form of Higham (ACM TOMS 14, 1988, algorithm 4.1; *Accuracy and Stability of Numerical
//! Algorithms*, algorithm 15.1): a gradient ascent of `||A x||_1` over the unit ball, and one vector of alternating signs against its known
//! failures. At most 11 products; a lower bound, in practice within a factor of 3. Not a bound from above: for one, use the
//! Frobenius norm.
//!
//! In the 2-norm, [`condition_2`] is sharp: both norms by Lanczos bidiagonalisation, [`norm_2`].

use crate::error::MatrixError;
use crate::matrix::Matrix;
use crate::norms::norm_2;
use crate::operator::LinearOperator;
use crate::scalar::Scalar;

/// A lower estimate of `||A||_1`, the largest absolute column sum.
///
/// # Errors
/// Those of the operator; [`MatrixError::NoTranspose`] when it has no transposed product.
pub fn norm_1_estimate<T: Scalar>(a: &dyn LinearOperator<T>) -> Result<f64, MatrixError> {
    let n = a.ncols();
    if n == 0 || a.nrows() == 0 {
        return Ok(0.0);
    }
    let product = |x: Vec<f64>| -> Result<Vec<f64>, MatrixError> { Ok(column(&a.apply(&from(&x))?)) };
    let mut y = product(vec![1.0 / n as f64; n])?;
    let mut estimate = sum(&y);
    if n > 1 {
        let mut last = None;
        for _ in 0..4 {
            let signs: Vec<f64> = y.iter().map(|&y| if y < 0.0 { -1.0 } else { 1.0 }).collect();
            let gradient = column(&a.apply_transpose(&from(&signs))?);
            let steepest = (0..n).fold(0, |k, j| if gradient[j].abs() > gradient[k].abs() { j } else { k });
            if last == Some(steepest) {
                break;
            }
            last = Some(steepest);
            y = product((0..n).map(|j| f64::from(u8::from(j == steepest))).collect())?;
            if sum(&y) <= estimate {
                break;
            }
            estimate = sum(&y);
        }
        let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let alternating = product((0..n).map(|i| sign(i) * (1.0 + i as f64 / (n - 1) as f64)).collect())?;
        estimate = estimate.max(2.0 * sum(&alternating) / (3.0 * n as f64));
    }
    Ok(estimate)
}

/// A lower estimate of the condition number `||A||_1 ||A^-1||_1`. `inverse` acts as `A^-1`: any factorisation does.
///
/// ```
/// use farfield_matrix::{Matrix, condition_1_estimate};
/// let a = Matrix::from_fn(2, 2, |i, j| if i == j { [1.0, 1e-3][i] } else { 0.0 });
/// let inverse = Matrix::from_fn(2, 2, |i, j| if i == j { [1.0, 1e3][i] } else { 0.0 });
/// assert!((condition_1_estimate(&a, &inverse)? - 1e3).abs() < 1e-9);
/// # Ok::<(), farfield_matrix::MatrixError>(())
/// ```
///
/// # Errors
/// Those of the operators.
pub fn condition_1_estimate<T: Scalar>(
    a: &dyn LinearOperator<T>,
    inverse: &dyn LinearOperator<T>,
) -> Result<f64, MatrixError> {
    Ok(norm_1_estimate(a)? * norm_1_estimate(inverse)?)
}

/// The condition number `||A||_2 ||A^-1||_2`; both norms to a relative accuracy of `accuracy`, from below ([`norm_2`]). `inverse` acts as `A^-1`:
/// any factorisation does, and its own error then counts too. Cost: 20 to 100 products and solves.
///
/// ```
/// use farfield_matrix::{Matrix, condition_2};
/// let a = Matrix::from_fn(2, 2, |i, j| if i == j { [1.0, 1e-3][i] } else { 0.0 });
/// let inverse = Matrix::from_fn(2, 2, |i, j| if i == j { [1.0, 1e3][i] } else { 0.0 });
/// assert!((condition_2(&a, &inverse, 1e-6, 0)? - 1e3).abs() < 1e-2);
/// # Ok::<(), farfield_matrix::MatrixError>(())
/// ```
///
/// # Errors
/// Those of [`norm_2`].
pub fn condition_2<T: Scalar>(
    a: &dyn LinearOperator<T>,
    inverse: &dyn LinearOperator<T>,
    accuracy: f64,
    seed: u64,
) -> Result<f64, MatrixError> {
    Ok(norm_2(a, accuracy, seed)? * norm_2(inverse, accuracy, seed)?)
}

fn from<T: Scalar>(x: &[f64]) -> Matrix<T> {
    Matrix::from_fn(x.len(), 1, |i, _| T::from_f64(x[i]))
}

fn column<T: Scalar>(x: &Matrix<T>) -> Vec<f64> {
    x.col(0).iter().map(|x| x.to_f64()).collect()
}

fn sum(x: &[f64]) -> f64 {
    x.iter().map(|x| x.abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_a_factor_of_three_and_never_above() {
        for n in [1, 2, 3, 17, 60] {
            for seed in 0..20 {
                let a = Matrix::<f64>::from_fn(n, n, |i, j| ((i * 31 + j * 17 + i * j * 3 + seed * 101) as f64).sin());
                let exact = (0..n).map(|j| a.col(j).iter().map(|x| x.abs()).sum()).fold(0.0, f64::max);
                let estimate = norm_1_estimate(&a).unwrap();
                assert!(estimate <= exact * (1.0 + 1e-12) && estimate >= exact / 3.0, "{n} {seed}");
            }
        }
        assert_eq!(norm_1_estimate(&Matrix::<f64>::zeros(0, 0)).unwrap(), 0.0);
    }
}
