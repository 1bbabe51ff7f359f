//! Matrices that are known by their entries.

use crate::matrix::Matrix;
use crate::scalar::Scalar;

/// A matrix whose entries can be asked for one block at a time: a kernel on points, a dense matrix, a file.
pub trait Entries<T: Scalar>: Sync {
    /// Number of rows.
    fn nrows(&self) -> usize;

    /// Number of columns.
    fn ncols(&self) -> usize;

    /// Entry `(row, col)`, in the user's order.
    fn entry(&self, row: usize, col: usize) -> T;

    /// The block of `rows` and `cols`, column by column: `out[i + j * rows.len()]` is entry `(rows[i], cols[j])`. `out` has
    /// `rows.len() * cols.len()` elements. Builds spend their time here: a source that can fill a block faster than entry by
    /// entry should.
    fn block(&self, rows: &[usize], cols: &[usize], out: &mut [T]) {
        for (&col, out) in cols.iter().zip(out.chunks_exact_mut(rows.len().max(1))) {
            for (&row, out) in rows.iter().zip(out) {
                *out = self.entry(row, col);
            }
        }
    }
}

impl<T: Scalar> Entries<T> for Matrix<T> {
    fn nrows(&self) -> usize {
        Matrix::nrows(self)
    }

    fn ncols(&self) -> usize {
        Matrix::ncols(self)
    }

    fn entry(&self, row: usize, col: usize) -> T {
        self[(row, col)]
    }
}

/// Entries given by a function.
pub struct EntryFn<F> {
    nrows: usize,
    ncols: usize,
    entry: F,
}

impl<F> EntryFn<F> {
    /// The `nrows x ncols` matrix with entries `entry(row, col)`.
    pub fn new(nrows: usize, ncols: usize, entry: F) -> Self {
        Self { nrows, ncols, entry }
    }
}

impl<T: Scalar, F: Fn(usize, usize) -> T + Sync> Entries<T> for EntryFn<F> {
    fn nrows(&self) -> usize {
        self.nrows
    }

    fn ncols(&self) -> usize {
        self.ncols
    }

    fn entry(&self, row: usize, col: usize) -> T {
        (self.entry)(row, col)
    }
}
