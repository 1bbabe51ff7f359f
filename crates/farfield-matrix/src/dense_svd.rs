//! Singular value decompositions of dense matrices, for callers who choose what to keep themselves.

use crate::error::MatrixError;
use crate::linalg;
use crate::matrix::Matrix;
use crate::scalar::Scalar;

/// `A = U diag(s) V^T` with `k = min(m, n)` columns in `U` and `V`.
#[derive(Clone)]
pub struct DenseSvd<T> {
    /// Left singular vectors, `m x k`.
    pub u: Matrix<T>,
    /// Singular values, descending.
    pub s: Vec<f64>,
    /// Right singular vectors, `n x k`.
    pub v: Matrix<T>,
}

impl<T: Scalar> Matrix<T> {
    /// The thin singular value decomposition. Cost: O(m n min(m, n)), on the calling thread.
    ///
    /// ```
    /// use farfield_matrix::Matrix;
    /// let a = Matrix::from_row_major(2, 3, &[3.0, 0.0, 0.0, 0.0, 0.0, -4.0])?;
    /// let svd = a.svd()?;
    /// assert!((svd.s[0] - 4.0).abs() < 1e-14 && (svd.s[1] - 3.0).abs() < 1e-14);
    /// assert_eq!((svd.u.nrows(), svd.v.nrows(), svd.v.ncols()), (2, 3, 2));
    /// # Ok::<(), farfield_matrix::MatrixError>(())
    /// ```
    ///
    /// # Errors
    /// [`MatrixError::Entry`] for an entry that is infinite or NaN.
    pub fn svd(&self) -> Result<DenseSvd<T>, MatrixError> {
        if let Some((row, col)) = self.first_non_finite() {
            return Err(MatrixError::Entry { row, col, value: self[(row, col)].to_f64() });
        }
        let linalg::Svd { u, s, v } = linalg::svd(self.as_ref());
        Ok(DenseSvd { u: Matrix(u), s, v: Matrix(v) })
    }
}
