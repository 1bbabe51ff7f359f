//! Recompression: the same matrix with the smallest ranks that a tolerance allows.
//!
//! In normal form (orthonormal bases, zero diagonal blocks above the leaves; [`Telescope`]) the off-diagonal block
//! row of node `i` with parent `p` is `U_i W_i` times orthonormal columns, where
//!
//! ```text
//! W_i = [ D_p(i, j), j != i,  U_p(i, :) W_p ],
//! ```
//!
//! reduced to `r_i` columns by an orthogonal factorisation, from the root to the leaves. From the leaves to the root
//! the dominant left singular vectors of `(U_i in the new bases of its children) W_i` are then the new basis. Columns
//! the same with the transpose. The error is the root of the sum of squares of the errors of all steps; see
//! [`truncation`](super::truncation). (Columns that have been truncated before make `W_i` smaller, not larger, so the
//! residual with the first `W_i` is an upper bound.)
//!
//! Cost O(n (m + r) r) for leaves of `m`.

use faer::Mat;

use super::telescope::{Rebased, Telescope};
use super::truncation::{Budget, dominant_basis};
use super::{Hss, NodeBlocks};
use crate::accuracy::Accuracy;
use crate::certificate::Certificate;
use crate::error::MatrixError;
use crate::linalg::{beside, product, r_factor};
use crate::scalar::Scalar;

impl<T: Scalar> Hss<T> {
    /// The same matrix but for `accuracy`, with orthonormal bases of the smallest ranks. The certificate is proven; a
    /// relative tolerance refers to the norm of this matrix.
    ///
    /// # Errors
    /// [`MatrixError::Tolerance`] when the rank cap or the rounding errors of `T` do not allow the tolerance, [`MatrixError::Memory`] beyond the budget of the
    /// accuracy.
    pub fn recompress(&self, accuracy: &Accuracy) -> Result<(Self, Certificate), MatrixError> {
        let mut form = Telescope::of(self).normal_form();
        let norm = form.norm_frobenius();
        let mut budget = Budget::new::<T>(accuracy, norm, form.blocks.len() - 1, self.levels());
        let symmetric = form.symmetric;
        let weights = weights(&form);
        let mut factors = form.no_factors();
        for level in (1..=self.levels()).rev() {
            let (share, cap) = (budget.share(), budget.cap());
            let errors = form.rebase_level(level, &mut factors, |i, NodeBlocks { d, u, v }| {
                let (of_rows, of_cols) = &weights[i];
                let rows = dominant_basis(product(u.as_ref(), of_rows.as_ref()).as_ref(), share, cap);
                let left = product(rows.basis.as_ref().transpose(), u.as_ref());
                if symmetric {
                    let errors = [rows.error; 2];
                    let blocks = NodeBlocks { d, u: rows.basis.clone(), v: rows.basis };
                    return (Rebased { blocks, right: left.clone(), left }, errors);
                }
                let cols = dominant_basis(product(v.as_ref(), of_cols.as_ref()).as_ref(), share, cap);
                let right = product(cols.basis.as_ref().transpose(), v.as_ref());
                let blocks = NodeBlocks { d, u: rows.basis, v: cols.basis };
                (Rebased { blocks, left, right }, [rows.error, cols.error])
            });
            errors.into_iter().flatten().for_each(|error| budget.charge(error));
        }
        form.rebase_root(&factors);
        // Still in normal form: the blocks that were zero are.
        let norm = form.norm_frobenius();
        let out = form.assemble()?;
        accuracy.check_memory("recompression", out.memory_bytes())?;
        let bound = budget.bound("recompression", || out.to_f64().distance(&self.to_f64()))?;
        let certificate = out.certify_with_norm(bound, norm);
        Ok((out, certificate))
    }

    /// A bound on `||self - other||_F`: the norm of the difference, and its rounding errors.
    fn distance(&self, other: &Self) -> Result<f64, MatrixError> {
        let difference = self.add(&other.scale(T::ZERO - T::ONE)?)?;
        let size = self.norm_frobenius() + other.norm_frobenius();
        Ok(difference.norm_frobenius() + 4.0 * (self.levels() + 1) as f64 * T::EPSILON * size)
    }
}

/// `W_i` of the rows and of the columns of every node of a matrix in normal form; empty for the root, and for the
/// columns of a symmetric matrix.
fn weights<T: Scalar>(form: &Telescope<T>) -> Vec<(Mat<T>, Mat<T>)> {
    let mut weights = vec![(Mat::zeros(0, 0), Mat::zeros(0, 0)); form.blocks.len()];
    for node in 0..form.blocks.len() {
        let NodeBlocks { d, u, v } = &form.blocks[node];
        for (child, rows, cols) in form.child_places(node) {
            // The diagonal block among these is zero.
            let of_parent = product(u.as_ref().subrows(rows.start, rows.len()), weights[node].0.as_ref());
            let of_rows = beside(d.as_ref().subrows(rows.start, rows.len()), of_parent.as_ref());
            if form.symmetric {
                weights[child] = (narrowed(of_rows), Mat::zeros(0, 0));
                continue;
            }
            let of_parent = product(v.as_ref().subrows(cols.start, cols.len()), weights[node].1.as_ref());
            let of_cols = beside(d.as_ref().subcols(cols.start, cols.len()).transpose(), of_parent.as_ref());
            weights[child] = (narrowed(of_rows), narrowed(of_cols));
        }
    }
    weights
}

/// A matrix of at most as many columns as rows with the same `M M^T`.
fn narrowed<T: Scalar>(m: Mat<T>) -> Mat<T> {
    if m.ncols() <= m.nrows() { m } else { r_factor(m.as_ref().transpose()).as_ref().transpose().to_owned() }
}
