//! Sums, low-rank updates, shifts and multiples of H2-matrices.
//!
//! A sum has the bases of both matrices side by side and is [recompressed](H2Matrix::recompress); `U V^T` is an H2-matrix whose bases are the
//! rows of `U` and `V`. Both matrices must have the same trees and the same far and near blocks, as builds with equal trees and `eta` make them.
//! Results have stored blocks in the precision of `T`.

use std::sync::Arc;

use super::H2Matrix;
use crate::accuracy::Accuracy;
use crate::certificate::Certificate;
use crate::error::MatrixError;
use crate::hmatrix::same_tree;
use crate::linalg::norm_frobenius;
use crate::matrix::Matrix;
use crate::operator::check_rows;
use crate::scalar::Scalar;

impl<T: Scalar> H2Matrix<T> {
    /// `A + B` within the accuracy. The certificate bounds the distance from the sum and is proven. A relative tolerance is relative to `||A + B||_F`: it
    /// cannot be met when the sum cancels down to rounding errors. Cost: `O(n k^2)` for ranks that add up to `k`.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless both have the same trees and blocks; [`MatrixError::Tolerance`] when the rank cap or rounding errors do not allow the tolerance.
    pub fn add(&self, other: &Self, accuracy: &Accuracy) -> Result<(Self, Certificate), MatrixError> {
        let size = self.norm_frobenius() + other.norm_frobenius();
        self.form().plus(other.form())?.truncated("sum of H2-matrices", accuracy, size)
    }

    /// `A + U V^T` with `U` of `nrows x k` and `V` of `ncols x k`, as [`H2Matrix::add`]. A symmetric kernel matrix that is kept as its half remains so
    /// for `U = V`.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] or [`MatrixError::Shapes`] when the sizes do not fit, [`MatrixError::Entry`] for an entry of `U` or `V` that is not finite;
    /// [`MatrixError::Tolerance`] as [`H2Matrix::add`].
    pub fn add_low_rank(
        &self,
        u: &Matrix<T>,
        v: &Matrix<T>,
        accuracy: &Accuracy,
    ) -> Result<(Self, Certificate), MatrixError> {
        check_rows("low-rank update, U", u, self.nrows())?;
        check_rows("low-rank update, V", v, self.ncols())?;
        if u.ncols() != v.ncols() {
            return Err(MatrixError::Shapes {
                operation: "low-rank update",
                left_out: u.nrows(),
                left_in: u.ncols(),
                right_out: v.nrows(),
                right_in: v.ncols(),
                rule: "U and V must have equally many columns",
            });
        }
        for x in [u, v] {
            if let Some((row, col)) = x.first_non_finite() {
                return Err(MatrixError::Entry { row, col, value: x[(row, col)].to_f64() });
            }
        }
        let size = self.norm_frobenius() + norm_frobenius(u.as_ref()) * norm_frobenius(v.as_ref());
        let form = self.form();
        let (left, right) = (self.rows.tree.to_tree_order(u), self.cols.tree.to_tree_order(v));
        let update = form.low_rank(left.as_ref(), right.as_ref(), self.mirrored && u == v);
        form.plus(update)?.truncated("low-rank update of an H2-matrix", accuracy, size)
    }

    /// `A + s I`, exactly, of the same bases; the blocks are stored.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless rows and columns have the same tree and its leaves near blocks on the diagonal, [`MatrixError::Factor`] unless `s` is
    /// finite.
    pub fn shift(&self, s: T) -> Result<Self, MatrixError> {
        if !Scalar::is_finite(s) {
            return Err(MatrixError::Factor { value: s.to_f64() });
        }
        let tree = &self.rows.tree;
        if !same_tree(tree, &self.cols.tree) {
            let reason = "shift of an H2-matrix: rows and columns have different trees".to_owned();
            return Err(MatrixError::Tree { reason });
        }
        let mut form = self.form();
        let mut shifted = 0;
        for block in Arc::make_mut(&mut form.near).iter_mut().filter(|b| b.row == b.col) {
            (0..block.matrix.nrows()).for_each(|i| block.matrix[(i, i)] += s);
            shifted += block.matrix.nrows();
        }
        if shifted != tree.len() {
            let reason =
                format!("shift of an H2-matrix: {shifted} of {} diagonal entries lie in near blocks", tree.len());
            return Err(MatrixError::Tree { reason });
        }
        Ok(form.assemble())
    }

    /// `factor A`, of the same blocks, stored or recomputed. Cost: none.
    ///
    /// # Errors
    /// [`MatrixError::Factor`] unless the factor is finite.
    pub fn scale(&self, factor: T) -> Result<Self, MatrixError> {
        if !Scalar::is_finite(factor) {
            return Err(MatrixError::Factor { value: factor.to_f64() });
        }
        Ok(Self { factor: self.factor * factor, ..self.clone() })
    }
}
