//! Anything that multiplies vectors.

use crate::error::MatrixError;
use crate::matrix::Matrix;
use crate::scalar::Scalar;

/// A linear map that is known by its products alone: every hierarchical matrix, a factorisation, a PDE solver.
///
/// Vectors are the columns of a [`Matrix`], in the order of the user's indices.
pub trait LinearOperator<T: Scalar>: Sync {
    /// Number of rows: length of a product.
    fn nrows(&self) -> usize;

    /// Number of columns: length of what is multiplied.
    fn ncols(&self) -> usize;

    /// `A X`, for `X` of `ncols` rows.
    ///
    /// # Errors
    /// When the sizes do not fit, or when the operator fails.
    fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError>;

    /// `A^T X`, for `X` of `nrows` rows.
    ///
    /// # Errors
    /// When the sizes do not fit, when the operator fails, or [`MatrixError::NoTranspose`] when it cannot be transposed.
    fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError>;

    /// `||A||_2` to a relative accuracy, by [`norm_2`](crate::norm_2()): of a matrix in any format, or of the inverse that a factorisation stands for.
    ///
    /// # Errors
    /// Those of [`norm_2`](crate::norm_2()).
    fn norm_2(&self, accuracy: f64, seed: u64) -> Result<f64, MatrixError>
    where
        Self: Sized,
    {
        crate::norms::norm_2(self, accuracy, seed)
    }
}

impl<T: Scalar> LinearOperator<T> for Matrix<T> {
    fn nrows(&self) -> usize {
        Matrix::nrows(self)
    }

    fn ncols(&self) -> usize {
        Matrix::ncols(self)
    }

    fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("dense product, X", x, self.ncols())?;
        Ok(Matrix(crate::linalg::product(self.as_ref(), x.as_ref())))
    }

    fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed dense product, X", x, self.nrows())?;
        Ok(Matrix(crate::linalg::product(self.as_ref().transpose(), x.as_ref())))
    }
}

/// `Ok` when `x` has `expected` rows.
pub(crate) fn check_rows<T: Scalar>(what: &'static str, x: &Matrix<T>, expected: usize) -> Result<(), MatrixError> {
    if x.nrows() == expected { Ok(()) } else { Err(MatrixError::Rows { what, got: x.nrows(), expected }) }
}

/// `Ok` when all indices are below `end`.
pub(crate) fn check_indices(name: &'static str, indices: &[usize], end: usize) -> Result<(), MatrixError> {
    match indices.iter().find(|&&i| i >= end) {
        None => Ok(()),
        Some(index) => {
            let rule = "an index must be below the size of the matrix";
            Err(MatrixError::Option { name, value: index.to_string(), rule })
        }
    }
}
