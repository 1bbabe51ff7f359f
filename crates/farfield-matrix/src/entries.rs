//! Matrices that are known by their entries.

use faer::{Mat, MatRef};

use crate::error::MatrixError;
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

    /// Whether the matrix equals its transpose but for rounding. A build on equal trees may then look at one half and mirror it.
    fn is_symmetric(&self) -> bool {
        false
    }

    /// The block of `rows` and `cols`, to be asked for in pieces. By default each piece is asked for from the whole; a source that has to prepare
    /// its rows and columns (a kernel gathers points) can do so once.
    fn block_of<'a>(&'a self, rows: &'a [usize], cols: &'a [usize]) -> Box<dyn BlockEntries<T> + 'a> {
        Box::new(Pieces { entries: self, rows, cols })
    }
}

/// `Ok` when a block, column by column, is finite. `rows` and `cols` are its places in the user's order.
pub(crate) fn check_finite<T: Scalar>(values: &[T], rows: &[usize], cols: &[usize]) -> Result<(), MatrixError> {
    match values.iter().position(|x| !Scalar::is_finite(*x)) {
        None => Ok(()),
        Some(k) => {
            Err(MatrixError::Entry { row: rows[k % rows.len()], col: cols[k / rows.len()], value: values[k].to_f64() })
        }
    }
}

/// A block of entries, all of them finite.
pub(crate) fn finite_block<T: Scalar>(
    entries: &(impl Entries<T> + ?Sized),
    rows: &[usize],
    cols: &[usize],
) -> Result<Mat<T>, MatrixError> {
    let mut values = vec![T::ZERO; rows.len() * cols.len()];
    entries.block(rows, cols, &mut values);
    check_finite(&values, rows, cols)?;
    Ok(MatRef::from_column_major_slice(&values, rows.len(), cols.len()).to_owned())
}

/// One block of a matrix, asked for in pieces. Rows and columns count from the first of the block.
pub trait BlockEntries<T: Scalar> {
    /// All entries of row `i`.
    fn row(&self, i: usize, out: &mut [T]);

    /// All entries of column `j`.
    fn col(&self, j: usize, out: &mut [T]);

    /// The entries `(rows[k], cols[k])`.
    fn places(&self, rows: &[usize], cols: &[usize], out: &mut [T]);
}

/// The pieces of a block, each asked for from the whole matrix.
struct Pieces<'a, E: ?Sized> {
    entries: &'a E,
    rows: &'a [usize],
    cols: &'a [usize],
}

impl<T: Scalar, E: Entries<T> + ?Sized> BlockEntries<T> for Pieces<'_, E> {
    fn row(&self, i: usize, out: &mut [T]) {
        self.entries.block(&self.rows[i..=i], self.cols, out);
    }

    fn col(&self, j: usize, out: &mut [T]) {
        self.entries.block(self.rows, &self.cols[j..=j], out);
    }

    fn places(&self, rows: &[usize], cols: &[usize], out: &mut [T]) {
        for ((&i, &j), out) in rows.iter().zip(cols).zip(out) {
            *out = self.entries.entry(self.rows[i], self.cols[j]);
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
    symmetric: bool,
}

impl<F> EntryFn<F> {
    /// The `nrows x ncols` matrix with entries `entry(row, col)`.
    pub fn new(nrows: usize, ncols: usize, entry: F) -> Self {
        Self { nrows, ncols, entry, symmetric: false }
    }

    /// The matrix of order `n` with entries `entry(row, col) = entry(col, row)`, which the caller vouches for.
    pub fn symmetric(n: usize, entry: F) -> Self {
        Self { nrows: n, ncols: n, entry, symmetric: true }
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

    fn is_symmetric(&self) -> bool {
        self.symmetric
    }
}
