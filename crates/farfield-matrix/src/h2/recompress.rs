//! Recompression: the same matrix with the smallest ranks that a tolerance allows.
//!
//! With orthonormal bases, all far blocks of cluster `s` and of its ancestors, on the rows of `s`, are `U_s W_s` times orthonormal columns, where
//!
//! ```text
//! W_s = [ B_st for all far t,  E_s W_parent ]      (E_s: the rows of s in the transfer matrix of its parent)
//! ```
//!
//! reduced to at most as many columns as rows by an orthogonal factorisation, from the root to the leaves (the total weights of Borm, *Efficient
//! Numerical Methods for Non-local Operators* (2010), section 6.6). From the leaves to the root the dominant left singular vectors of `(U_s in the
//! bases of its children) W_s` are the truncated basis. Columns the same with transposed couplings.
//!
//! *Error.* Every step projects the far blocks of `s` and of its ancestors orthogonally, on the rows of `s`. What a step removes is orthogonal to what its descendants
//! removed (it lies in the range of their projections), and to what other clusters do (other rows); what the columns remove lies in the row bases. So
//! squares of errors add: the certificate is proven and sharp. (The columns are truncated with the weights of the rows before, which are the larger ones.)
//!
//! Cost: `O(n k^2)` for ranks and leaves of `O(k)`.

use std::sync::Arc;

use faer::Mat;
use rayon::prelude::*;

use super::H2Matrix;
use super::basis::ClusterBasis;
use super::form::{Form, lifted};
use crate::accuracy::Accuracy;
use crate::certificate::Certificate;
use crate::error::MatrixError;
use crate::hss::truncation::{Basis, Budget, dominant_basis};
use crate::linalg::{product, r_factor};
use crate::scalar::Scalar;

impl<T: Scalar> H2Matrix<T> {
    /// The same matrix with orthonormal bases, ranks at most the number of indices, and stored blocks. Exact up to rounding.
    pub fn orthogonalised(&self) -> Self {
        self.form().orthogonalised().assemble()
    }

    /// The same matrix but for `accuracy`, with orthonormal bases of the smallest ranks and stored blocks. The certificate bounds the distance from this matrix
    /// and is proven; a relative tolerance refers to the norm of this matrix.
    ///
    /// # Errors
    /// [`MatrixError::Tolerance`] when the rank cap or rounding errors do not allow the tolerance, [`MatrixError::Memory`] beyond the budget.
    pub fn recompress(&self, accuracy: &Accuracy) -> Result<(Self, Certificate), MatrixError> {
        self.form().truncated("recompression of an H2-matrix", accuracy, 0.0)
    }
}

impl<T: Scalar> Form<T> {
    /// The matrix of these parts with truncated bases. `size` is the norm that rounding errors are relative to, if larger than that of the matrix.
    pub fn truncated(
        self,
        what: &'static str,
        accuracy: &Accuracy,
        size: f64,
    ) -> Result<(H2Matrix<T>, Certificate), MatrixError> {
        let original = self;
        let mut form = original.clone().orthogonalised();
        let norm = form.norm_of_orthogonal();
        let bases = |basis: &ClusterBasis<T>| (0..basis.tree.clusters().len()).filter(|&s| basis.rank(s) > 0).count();
        let levels = form.rows.tree.depth().max(form.cols.tree.depth());
        let nodes = (bases(&form.rows) + bases(&form.cols)).div_ceil(2);
        let mut budget = Budget::new::<T>(accuracy, norm, nodes, levels).with_rounding_of::<T>(size, levels);
        let mut rows = Truncation::new(&form, false);
        let mut cols = (!form.mirrored).then(|| Truncation::new(&form, true));
        for level in (0..=levels).rev() {
            let (share, cap) = (budget.share(), budget.cap());
            let mut errors = rows.level(level, share, cap);
            match &mut cols {
                Some(cols) => errors.extend(cols.level(level, share, cap)),
                // Every error occurs in the mirror image too.
                None => errors.extend_from_within(..),
            }
            errors.into_iter().for_each(|error| budget.charge(error));
        }
        let (basis, left) = rows.finish();
        let (col_basis, right) = cols.map(Truncation::finish).unzip();
        form.rows = Arc::new(basis);
        form.cols = col_basis.map_or_else(|| form.rows.clone(), Arc::new);
        form.change_couplings(&left, right.as_deref().unwrap_or(&left));
        let norm = form.norm_of_orthogonal();
        let bound = budget.bound(what, || {
            let rounding = 4.0 * (levels + 1) as f64 * f64::EPSILON * (norm + size);
            Ok(original.distance(&form)? + rounding)
        })?;
        let h = form.assemble();
        accuracy.check_memory(what, h.memory_bytes())?;
        let certificate = h.certify(bound, norm);
        Ok((h, certificate))
    }
}

/// The truncation of the bases of rows or of columns.
struct Truncation<T> {
    old: Arc<ClusterBasis<T>>,
    /// `W_s` of every cluster.
    weights: Vec<Mat<T>>,
    new: Vec<Mat<T>>,
    /// `C_s` with `U_s` replaced by `U'_s C_s`.
    changes: Vec<Mat<T>>,
}

impl<T: Scalar> Truncation<T> {
    /// Of the rows (or columns) of a matrix with orthonormal bases.
    fn new(form: &Form<T>, of_cols: bool) -> Self {
        let old = if of_cols { form.cols.clone() } else { form.rows.clone() };
        let tree = &old.tree;
        let partners = form.partners(of_cols);
        let mut weights = vec![Mat::zeros(0, 0); partners.len()];
        for level in 0..=tree.depth() {
            let found: Vec<Mat<T>> = tree
                .level(level)
                .into_par_iter()
                .map(|s| {
                    let mut pieces = Vec::new();
                    if let Some(parent) = tree.cluster(s).parent {
                        let first = old.coefficients(tree.cluster(parent).children.start).start;
                        let at = old.coefficients(s);
                        let transfer = old.matrix(parent).subrows(at.start - first, at.len());
                        pieces.push(product(transfer, weights[parent].as_ref()));
                    }
                    for &(i, flipped) in &partners[s] {
                        let block = form.far[i].matrix.as_ref();
                        pieces.push(if flipped { block.transpose().to_owned() } else { block.to_owned() });
                    }
                    narrowed(old.rank(s), &pieces)
                })
                .collect();
            for (s, w) in tree.level(level).zip(found) {
                weights[s] = w;
            }
        }
        let empty = vec![Mat::zeros(0, 0); partners.len()];
        Self { old, weights, new: empty.clone(), changes: empty }
    }

    /// Truncates the bases of one level; what each loses.
    fn level(&mut self, level: usize, tolerance: f64, cap: Option<usize>) -> Vec<f64> {
        let tree = self.old.tree.clone();
        if level > tree.depth() {
            return Vec::new();
        }
        let found: Vec<(Basis<T>, Mat<T>)> = tree
            .level(level)
            .into_par_iter()
            .map(|s| {
                let old = lifted(&self.old, s, &self.changes);
                let seen = product(old.as_ref(), self.weights[s].as_ref());
                let truncated = dominant_basis(seen.as_ref(), tolerance, cap);
                let change = product(truncated.basis.as_ref().transpose(), old.as_ref());
                (truncated, change)
            })
            .collect();
        let mut errors = Vec::new();
        for (s, (truncated, change)) in tree.level(level).zip(found) {
            if self.old.rank(s) > 0 {
                errors.push(truncated.error);
            }
            (self.new[s], self.changes[s]) = (truncated.basis, change);
        }
        errors
    }

    /// The bases, and the `C_s`.
    fn finish(self) -> (ClusterBasis<T>, Vec<Mat<T>>) {
        (ClusterBasis::new(self.old.tree.clone(), self.new), self.changes)
    }
}

/// A matrix of at most as many columns as rows with the same `M M^T` as the pieces, of `rows` rows, side by side.
fn narrowed<T: Scalar>(rows: usize, pieces: &[Mat<T>]) -> Mat<T> {
    let mut all = Mat::zeros(rows, pieces.iter().map(|p| p.ncols()).sum());
    let mut at = 0;
    for piece in pieces {
        all.as_mut().subcols_mut(at, piece.ncols()).copy_from(piece);
        at += piece.ncols();
    }
    if all.ncols() <= rows { all } else { r_factor(all.as_ref().transpose()).as_ref().transpose().to_owned() }
}
