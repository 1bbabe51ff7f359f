//! Dense matrices: what goes into hierarchical ones and comes out of them.

use std::fmt;
use std::ops::{Index, IndexMut};

use faer::{Mat, MatMut, MatRef};

use crate::error::MatrixError;
use crate::scalar::Scalar;

/// A dense matrix, stored column by column: the columns are vectors for [`LinearOperator::apply`](crate::LinearOperator::apply).
///
/// ```
/// use farfield_matrix::Matrix;
/// let a = Matrix::from_fn(2, 3, |i, j| (10 * i + j) as f64);
/// assert_eq!(a[(1, 2)], 12.0);
/// assert_eq!(a.col(1), [1.0, 11.0]);
/// assert_eq!(a.to_row_major(), [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
/// ```
#[derive(Clone)]
pub struct Matrix<T>(pub(crate) Mat<T>);

impl<T: Scalar> Matrix<T> {
    /// All zeros.
    pub fn zeros(nrows: usize, ncols: usize) -> Self {
        Self(Mat::zeros(nrows, ncols))
    }

    /// The identity of order `n`.
    pub fn identity(n: usize) -> Self {
        Self::from_fn(n, n, |i, j| if i == j { T::ONE } else { T::ZERO })
    }

    /// Entry `(i, j)` is `f(i, j)`.
    pub fn from_fn(nrows: usize, ncols: usize, f: impl FnMut(usize, usize) -> T) -> Self {
        Self(Mat::from_fn(nrows, ncols, f))
    }

    /// From entries row by row, as NumPy stores them.
    ///
    /// # Errors
    /// [`MatrixError::Length`] unless there are `nrows * ncols` entries.
    pub fn from_row_major(nrows: usize, ncols: usize, entries: &[T]) -> Result<Self, MatrixError> {
        check_count("entries of a dense matrix", entries, nrows, ncols)?;
        Ok(Self::from_fn(nrows, ncols, |i, j| entries[i * ncols + j]))
    }

    /// From entries column by column.
    ///
    /// # Errors
    /// As [`Matrix::from_row_major`].
    pub fn from_column_major(nrows: usize, ncols: usize, entries: &[T]) -> Result<Self, MatrixError> {
        check_count("entries of a dense matrix", entries, nrows, ncols)?;
        Ok(Self::from_fn(nrows, ncols, |i, j| entries[i + j * nrows]))
    }

    /// One column.
    pub fn from_vector(x: &[T]) -> Self {
        Self::from_fn(x.len(), 1, |i, _| x[i])
    }

    /// Number of rows.
    pub fn nrows(&self) -> usize {
        self.0.nrows()
    }

    /// Number of columns.
    pub fn ncols(&self) -> usize {
        self.0.ncols()
    }

    /// Column `j`.
    ///
    /// # Panics
    /// When there is no such column, as for a slice.
    pub fn col(&self, j: usize) -> &[T] {
        self.0.col_as_slice(j)
    }

    /// Column `j`, to write to.
    ///
    /// # Panics
    /// As [`Matrix::col`].
    pub fn col_mut(&mut self, j: usize) -> &mut [T] {
        self.0.col_as_slice_mut(j)
    }

    /// The entries row by row.
    pub fn to_row_major(&self) -> Vec<T> {
        let (m, n) = (self.nrows(), self.ncols());
        (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|at| self[at]).collect()
    }

    /// The transpose.
    pub fn transpose(&self) -> Self {
        Self::from_fn(self.ncols(), self.nrows(), |i, j| self[(j, i)])
    }

    /// Frobenius norm, summed in f64.
    pub fn norm_frobenius(&self) -> f64 {
        crate::linalg::norm_frobenius(self.as_ref())
    }

    /// The position of the first entry (column by column) that is infinite or NaN.
    pub fn first_non_finite(&self) -> Option<(usize, usize)> {
        (0..self.ncols()).find_map(|j| self.col(j).iter().position(|x| !Scalar::is_finite(*x)).map(|i| (i, j)))
    }

    pub(crate) fn as_ref(&self) -> MatRef<'_, T> {
        self.0.as_ref()
    }

    pub(crate) fn as_mut(&mut self) -> MatMut<'_, T> {
        self.0.as_mut()
    }
}

impl<T: Scalar> PartialEq for Matrix<T> {
    fn eq(&self, other: &Self) -> bool {
        // The comparison of faer panics on different shapes.
        self.0.shape() == other.0.shape() && self.0 == other.0
    }
}

impl<T: Scalar> Index<(usize, usize)> for Matrix<T> {
    type Output = T;

    fn index(&self, (i, j): (usize, usize)) -> &T {
        &self.0[(i, j)]
    }
}

impl<T: Scalar> IndexMut<(usize, usize)> for Matrix<T> {
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut T {
        &mut self.0[(i, j)]
    }
}

impl<T: Scalar> fmt::Debug for Matrix<T> {
    /// The size, not the entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matrix({} x {})", self.nrows(), self.ncols())
    }
}

fn check_count<T>(what: &'static str, entries: &[T], nrows: usize, ncols: usize) -> Result<(), MatrixError> {
    let expected = nrows.saturating_mul(ncols);
    if entries.len() == expected { Ok(()) } else { Err(MatrixError::Length { what, got: entries.len(), expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_and_back() {
        let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let a = Matrix::from_row_major(2, 3, &rows).unwrap();
        assert_eq!(a.to_row_major(), rows);
        assert_eq!(Matrix::from_column_major(3, 2, &rows).unwrap(), a.transpose());
        assert!(Matrix::from_row_major(2, 2, &rows).is_err());
        assert!(Matrix::<f32>::zeros(0, 3).to_row_major().is_empty());
    }

    #[test]
    fn matrices_of_different_shapes_differ() {
        assert!(Matrix::<f64>::zeros(2, 3) != Matrix::zeros(3, 2) && Matrix::<f64>::zeros(2, 3) == Matrix::zeros(2, 3));
    }

    #[test]
    fn norms_and_non_finite_entries() {
        let mut a = Matrix::from_fn(2, 2, |i, j| (3 * i + j) as f64);
        assert_eq!(a.norm_frobenius(), 26.0f64.sqrt());
        assert_eq!(a.first_non_finite(), None);
        a[(1, 0)] = f64::NAN;
        assert_eq!(a.first_non_finite(), Some((1, 0)));
    }
}
