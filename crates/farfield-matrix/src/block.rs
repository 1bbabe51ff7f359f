//! Products with the small dense blocks that hierarchical matrices are made of.
//!
//! Every sum runs over its index in ascending order, one term after the other, so results are the same
//! bits whatever runs around them. Meant for blocks of at most a few hundred rows; no cache blocking.

use crate::scalar::Scalar;

/// A row-major dense block that lies in someone else's slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a, T> {
    pub rows: usize,
    pub cols: usize,
    pub data: &'a [T],
}

/// A row-major dense block that owns its entries.
#[derive(Clone, Debug)]
pub(crate) struct Matrix<T> {
    pub rows: usize,
    pub cols: usize,
    pub data: Vec<T>,
}

impl<T: Scalar> Matrix<T> {
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self { rows, cols, data: vec![T::ZERO; rows * cols] }
    }

    pub fn view(&self) -> View<'_, T> {
        View { rows: self.rows, cols: self.cols, data: &self.data }
    }

    /// `blkdiag(a, b)`.
    pub fn block_diagonal(a: &Self, b: &Self) -> Self {
        let mut out = Self::zeros(a.rows + b.rows, a.cols + b.cols);
        let cols = out.cols;
        a.view().scatter(&mut out.data, cols, |i| i, |j| j);
        b.view().scatter(&mut out.data, cols, |i| a.rows + i, |j| a.cols + j);
        out
    }
}

impl<'a, T: Scalar> View<'a, T> {
    pub fn row(&self, i: usize) -> &'a [T] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// `y += self x`.
    pub fn add_apply(&self, x: &[T], y: &mut [T]) {
        for (i, y) in y[..self.rows].iter_mut().enumerate() {
            let mut sum = T::ZERO;
            for (&a, &x) in self.row(i).iter().zip(x) {
                sum += a * x;
            }
            *y += sum;
        }
    }

    /// `y += self^T x`.
    pub fn add_apply_transpose(&self, x: &[T], y: &mut [T]) {
        for (i, &x) in x[..self.rows].iter().enumerate() {
            for (y, &a) in y.iter_mut().zip(self.row(i)) {
                *y += a * x;
            }
        }
    }

    /// `self other`.
    pub fn times(&self, other: View<'_, T>) -> Matrix<T> {
        let mut out = Matrix::zeros(self.rows, other.cols);
        for i in 0..self.rows {
            let out_row = &mut out.data[i * other.cols..(i + 1) * other.cols];
            other.add_apply_transpose(self.row(i), out_row);
        }
        out
    }

    /// `self^T other`.
    pub fn transpose_times(&self, other: View<'_, T>) -> Matrix<T> {
        let mut out = Matrix::zeros(self.cols, other.cols);
        for k in 0..self.rows {
            let other_row = other.row(k);
            for (i, &a) in self.row(k).iter().enumerate() {
                let out_row = &mut out.data[i * other.cols..(i + 1) * other.cols];
                for (y, &b) in out_row.iter_mut().zip(other_row) {
                    *y += a * b;
                }
            }
        }
        out
    }

    /// `self^T`.
    pub fn transpose(&self) -> Matrix<T> {
        let mut out = Matrix::zeros(self.cols, self.rows);
        for i in 0..self.rows {
            for (j, &a) in self.row(i).iter().enumerate() {
                out.data[j * self.rows + i] = a;
            }
        }
        out
    }

    /// Adds entry `(i, j)` to entry `(row(i), col(j))` of a row-major block of `cols` columns.
    pub fn scatter(&self, out: &mut [T], cols: usize, row: impl Fn(usize) -> usize, col: impl Fn(usize) -> usize) {
        for i in 0..self.rows {
            let out_row = &mut out[row(i) * cols..(row(i) + 1) * cols];
            for (j, &a) in self.row(i).iter().enumerate() {
                out_row[col(j)] += a;
            }
        }
    }
}
