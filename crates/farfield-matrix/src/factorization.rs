//! What all direct solvers of hierarchical matrices have in common.
//!
//! | factorisation | of | backward error |
//! | --- | --- | --- |
//! | [`HodlrFactorization`] | [`Hodlr`](crate::Hodlr), any | rounding, by refinement |
//! | [`HodlrCholesky`] | [`Hodlr`](crate::Hodlr), symmetric positive definite | rounding |
//! | [`HssUlv`] | [`Hss`](crate::Hss), any | rounding |
//! | [`HssCholesky`] | [`Hss`](crate::Hss), symmetric positive definite | rounding |
//! | [`HLu`] | [`HMatrix`](crate::HMatrix), any | the accuracy of the factors |
//! | [`HCholesky`] | [`HMatrix`](crate::HMatrix), symmetric positive definite | the accuracy of the factors |
//!
//! A factorisation is a [`LinearOperator`], the inverse: a preconditioner of the [`krylov`](crate::krylov) methods, or the second argument of
//! [`condition_1_estimate`](crate::condition_1_estimate).

use crate::condition::condition_1_estimate;
use crate::error::MatrixError;
use crate::hmatrix::{HCholesky, HLu};
use crate::hodlr::{HodlrCholesky, HodlrFactorization};
use crate::hss::{HssCholesky, HssUlv};
use crate::log_determinant::LogDeterminant;
use crate::matrix::Matrix;
use crate::operator::LinearOperator;
use crate::scalar::Scalar;

/// A factorisation of a square matrix `A`. As a [`LinearOperator`] it is `A^-1`, at the cost of one solve a product.
///
/// ```
/// use farfield_matrix::{Accuracy, ClusterTree, Factorization, Hodlr, Hss, LinearOperator, Matrix};
/// # fn main() -> Result<(), farfield_matrix::MatrixError> {
/// let a = Matrix::from_fn(64, 64, |i, j| if i == j { 9.0 } else { 1.0 / (1.0 + i.abs_diff(j) as f64) });
/// let accuracy = Accuracy::relative(1e-12)?;
/// let hodlr = Hodlr::from_dense(&a, ClusterTree::bisection(64, 8)?, accuracy)?.0;
/// let hss = Hss::from_dense(&a, 8, &accuracy)?.0;
/// let b = Matrix::from_fn(64, 1, |i, _| i as f64);
/// let solvers: [Box<dyn Factorization<f64>>; 2] = [Box::new(hodlr.factor()?), Box::new(hss.ulv()?)];
/// for solver in &solvers {
///     let x = solver.solve(&b)?;
///     assert!((a.apply(&x)?[(63, 0)] - 63.0).abs() < 1e-9 && solver.log_determinant().sign == 1);
///     assert!(solver.condition_1_estimate(&a)? > 1.0);
/// }
/// # Ok(())
/// # }
/// ```
pub trait Factorization<T: Scalar>: LinearOperator<T> {
    /// Order of the matrix.
    fn order(&self) -> usize {
        self.nrows()
    }

    /// `X` of `A X = B`.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when `b` has the wrong number of rows, and those of the factorisation.
    fn solve(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        self.apply(b)
    }

    /// `X` of `A^T X = B`.
    ///
    /// # Errors
    /// As [`Factorization::solve`].
    fn solve_transpose(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        self.apply_transpose(b)
    }

    /// Sign and logarithm of the absolute value of `det A`, at no cost.
    fn log_determinant(&self) -> LogDeterminant;

    /// This factorisation as the operator `A^-1`.
    fn inverse(&self) -> &dyn LinearOperator<T>;

    /// A lower estimate of the condition number `||A||_1 ||A^-1||_1` for the matrix `a` that was factored. Cost: at most 11 products and 11 solves.
    ///
    /// # Errors
    /// Those of the operators.
    fn condition_1_estimate(&self, a: &dyn LinearOperator<T>) -> Result<f64, MatrixError> {
        condition_1_estimate(a, self.inverse())
    }
}

/// `$name` as the operator `A^-1` by its solves.
macro_rules! inverse {
    ($($name:ident: $solve:ident, $solve_transpose:ident;)*) => {$(
        impl<T: Scalar> LinearOperator<T> for $name<T> {
            fn nrows(&self) -> usize {
                self.order()
            }

            fn ncols(&self) -> usize {
                self.order()
            }

            /// `A^-1 X`.
            fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
                self.$solve(x)
            }

            /// `A^-T X`.
            fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
                self.$solve_transpose(x)
            }
        }

        impl<T: Scalar> Factorization<T> for $name<T> {
            fn log_determinant(&self) -> LogDeterminant {
                $name::log_determinant(self)
            }

            fn inverse(&self) -> &dyn LinearOperator<T> {
                self
            }
        }
    )*};
}

inverse! {
    HodlrCholesky: solve, solve;
    HssUlv: solve, solve_transpose;
    HssCholesky: solve, solve;
    HLu: solve, solve_transpose;
    HCholesky: solve, solve;
}

/// As an operator without the refinement of its solves.
impl<T: Scalar> Factorization<T> for HodlrFactorization<T> {
    fn solve(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        HodlrFactorization::solve(self, b)
    }

    fn solve_transpose(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        HodlrFactorization::solve_transpose(self, b)
    }

    fn log_determinant(&self) -> LogDeterminant {
        HodlrFactorization::log_determinant(self)
    }

    fn inverse(&self) -> &dyn LinearOperator<T> {
        self
    }
}
