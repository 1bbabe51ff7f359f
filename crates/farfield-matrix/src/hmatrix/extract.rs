//! Entries, sub-blocks, diagonal, trace and norm of an H-matrix.

use faer::{Mat, MatMut, MatRef};

use super::HMatrix;
use super::block::Block;
use crate::error::MatrixError;
use crate::linalg::product;
use crate::matrix::Matrix;
use crate::operator::check_indices;
use crate::scalar::Scalar;

impl<T: Scalar> HMatrix<T> {
    /// All entries, in the user's order.
    pub fn to_dense(&self) -> Matrix<T> {
        let inside = self.root.to_dense();
        let mut out = Matrix::zeros(self.nrows(), self.ncols());
        for (j, &col) in self.cols.order().iter().enumerate() {
            let to = out.col_mut(col);
            for (i, &row) in self.rows.order().iter().enumerate() {
                to[row] = inside[(i, j)];
            }
        }
        out
    }

    /// The entries at all pairs of `rows` and `cols`, which may repeat, in the user's order. Cost: O(k) an entry, and O(n) to find the places.
    ///
    /// # Errors
    /// [`MatrixError::Option`] for an index that is too large.
    pub fn block(&self, rows: &[usize], cols: &[usize]) -> Result<Matrix<T>, MatrixError> {
        check_indices("row", rows, self.nrows())?;
        check_indices("column", cols, self.ncols())?;
        let picks = |indices: &[usize], places: &[usize]| -> Vec<(usize, usize)> {
            indices.iter().enumerate().map(|(to, &i)| (to, places[i])).collect()
        };
        let mut out = Matrix::zeros(rows.len(), cols.len());
        let (row_places, col_places) = (self.rows.positions(), self.cols.positions());
        extract(&self.root, &picks(rows, &row_places), &picks(cols, &col_places), &mut out.as_mut());
        Ok(out)
    }

    /// Entry `(row, col)`, in the user's order. Cost: O(n); ask for many at once by [`HMatrix::block`].
    ///
    /// # Errors
    /// As [`HMatrix::block`].
    pub fn entry(&self, row: usize, col: usize) -> Result<T, MatrixError> {
        Ok(self.block(&[row], &[col])?[(0, 0)])
    }

    /// The entries `(i, i)` in the user's order, `min(nrows, ncols)` of them. Cost: O(n (k + depth)).
    pub fn diagonal(&self) -> Vec<T> {
        let (rows, cols) = (self.rows.positions(), self.cols.positions());
        rows.iter().zip(&cols).map(|(&row, &col)| entry_at(&self.root, row, col)).collect()
    }

    /// The sum of the diagonal.
    ///
    /// # Errors
    /// [`MatrixError::Shapes`] unless the matrix is square.
    pub fn trace(&self) -> Result<T, MatrixError> {
        if self.nrows() != self.ncols() {
            return Err(MatrixError::Shapes {
                operation: "trace",
                left_out: self.nrows(),
                left_in: self.ncols(),
                right_out: self.nrows(),
                right_in: self.ncols(),
                rule: "only a square matrix has a trace",
            });
        }
        Ok(T::from_f64(self.diagonal().iter().map(|x| x.to_f64()).sum()))
    }

    /// The Frobenius norm: squares of the norms of the leaves, those of low rank from their triangular factors. Exact but for rounding.
    pub fn norm_frobenius(&self) -> f64 {
        self.root.norm_squared().sqrt()
    }
}

/// `(place in the result, place in the block)` of each row or column wanted.
type Picks = [(usize, usize)];

fn extract<T: Scalar>(block: &Block<T>, rows: &Picks, cols: &Picks, out: &mut MatMut<T>) {
    if rows.is_empty() || cols.is_empty() {
        return;
    }
    match block {
        Block::Dense(a) => {
            for &(j, col) in cols {
                rows.iter().for_each(|&(i, row)| out[(i, j)] = a[(row, col)]);
            }
        }
        Block::LowRank(a) => {
            let picked =
                |from: MatRef<T>, picks: &Picks| Mat::from_fn(picks.len(), from.ncols(), |i, l| from[(picks[i].1, l)]);
            let (u, v) = (picked(a.u.as_ref(), rows), picked(a.v.as_ref(), cols));
            let values = product(u.as_ref(), v.as_ref().transpose());
            for (q, &(j, _)) in cols.iter().enumerate() {
                rows.iter().enumerate().for_each(|(p, &(i, _))| out[(i, j)] = values[(p, q)]);
            }
        }
        Block::Split(split) => {
            let within = |picks: &Picks, start: usize, len: usize| -> Vec<(usize, usize)> {
                let inside = picks.iter().filter(|(_, at)| (start..start + len).contains(at));
                inside.map(|&(to, at)| (to, at - start)).collect()
            };
            for (i, j, child) in split.grid() {
                extract(child, &within(rows, i, child.nrows()), &within(cols, j, child.ncols()), out);
            }
        }
    }
}

fn entry_at<T: Scalar>(block: &Block<T>, row: usize, col: usize) -> T {
    match block {
        Block::Dense(a) => a[(row, col)],
        Block::LowRank(a) => T::from_f64((0..a.rank()).map(|l| a.u[(row, l)].to_f64() * a.v[(col, l)].to_f64()).sum()),
        Block::Split(split) => {
            let part = |starts: &[usize], at: usize| starts.partition_point(|&start| start <= at) - 1;
            let (i, j) = (part(&split.rows, row), part(&split.cols, col));
            entry_at(split.child(i, j), row - split.rows[i], col - split.cols[j])
        }
    }
}
