//! Products of an HSS matrix, or its transpose, with vectors.
//!
//! Neural-HSS, algorithm 1, by the kernels of [`farfield_kernels`]: all vectors together, many in one pass through the blocks. Cost:
//! one multiply-add a parameter and vector. One or two vectors go through [`one_vector`](super::one_vector).

use farfield_kernels::{Strided, adjoint_along_axis, apply_along_axis};

use super::Hss;
use crate::error::MatrixError;
use crate::matrix::Matrix;
use crate::operator::{LinearOperator, check_rows};
use crate::scalar::Scalar;

/// Vectors that a product takes one by one: a panel of the kernels, however few of its lanes are used, costs as much as two or three.
const FEW: usize = 2;

impl<T: Scalar> LinearOperator<T> for Hss<T> {
    fn nrows(&self) -> usize {
        Hss::nrows(self)
    }

    fn ncols(&self) -> usize {
        Hss::ncols(self)
    }

    fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("HSS product, X", x, self.ncols())?;
        if x.ncols() <= FEW {
            return self.one_by_one(x, false);
        }
        let (from, to) = (side_by_side(x.ncols(), self.ncols()), side_by_side(x.ncols(), self.nrows()));
        let (x, mut y) = (gathered(x, self.cols.order()), vec![T::ZERO; x.ncols() * self.nrows()]);
        apply_along_axis(&self.layout, &self.data, &x, &from, &mut y, &to, 1)?;
        Ok(scattered(&y, self.rows.order()))
    }

    fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed HSS product, X", x, self.nrows())?;
        if x.ncols() <= FEW {
            return self.one_by_one(x, true);
        }
        let (from, to) = (side_by_side(x.ncols(), self.nrows()), side_by_side(x.ncols(), self.ncols()));
        let (x, mut y) = (gathered(x, self.rows.order()), vec![T::ZERO; x.ncols() * self.ncols()]);
        adjoint_along_axis(&self.layout, &self.data, &x, &from, &mut y, &to, 1)?;
        Ok(scattered(&y, self.cols.order()))
    }
}

impl<T: Scalar> Hss<T> {
    /// The product with each column of `x` on its own.
    fn one_by_one(&self, x: &Matrix<T>, transposed: bool) -> Result<Matrix<T>, MatrixError> {
        let (from, to) = if transposed { (&self.rows, &self.cols) } else { (&self.cols, &self.rows) };
        let n = from.len().max(1);
        let mut y = Vec::with_capacity(x.ncols() * to.len());
        for x in gathered(x, from.order()).chunks_exact(n) {
            y.extend(self.multiply_one(x, transposed)?);
        }
        Ok(scattered(&y, to.order()))
    }
}

fn side_by_side(vectors: usize, n: usize) -> Strided {
    Strided::contiguous(&[vectors, n])
}

/// The columns of `x` one after the other, in tree order.
fn gathered<T: Scalar>(x: &Matrix<T>, order: &[usize]) -> Vec<T> {
    (0..x.ncols()).flat_map(|j| order.iter().map(move |&i| x.col(j)[i])).collect()
}

/// The inverse of [`gathered`].
fn scattered<T: Scalar>(y: &[T], order: &[usize]) -> Matrix<T> {
    let n = order.len();
    let mut out = Matrix::zeros(n, y.len() / n);
    for (j, y) in y.chunks_exact(n).enumerate() {
        let out = out.col_mut(j);
        for (&value, &i) in y.iter().zip(order) {
            out[i] = value;
        }
    }
    out
}
