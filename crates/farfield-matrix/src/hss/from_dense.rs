//! HSS form of a dense matrix, by singular value decompositions of block rows and columns.
//!
//! From the leaves to the root: at each node the dominant left singular vectors of its off-diagonal block row are its
//! `U` (in terms of the bases of its children above the leaves), its rows are replaced by their coefficients in that
//! basis, and the same for columns, so that the matrix shrinks to the ranks. What is left of the diagonal block of a
//! node is its `D` (Xia, Chandrasekaran, Gu & Li 2010, section 3; Chandrasekaran, Gu & Pals 2006). Ranks adapt to a
//! budget of squared errors that all steps share; the error is the root of the sum of squares of the errors of the
//! steps exactly, so the certificate is proven and sharp: [`truncation`](super::truncation).
//!
//! Cost O(n^2 (m + r)) for leaves of `m`, memory O(n^2). Do not use it when the matrix has entries that can be asked
//! for: [`Hss::from_entries`] never forms it.

use std::ops::Range;
use std::sync::Arc;

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::truncation::{Basis, Budget, dominant_basis};
use super::{Hss, NodeBlocks, leaf_bytes};
use crate::accuracy::Accuracy;
use crate::certificate::Certificate;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::linalg::{add_product, norm_frobenius};
use crate::matrix::Matrix;
use crate::scalar::Scalar;

const WHAT: &str = "HSS form of a dense matrix";

impl<T: Scalar> Hss<T> {
    /// The HSS form of `a` on bisected index trees (leaves of at most `leaf_size` rows; for a rectangular matrix the
    /// column tree has the same shape).
    ///
    /// ```
    /// use farfield_matrix::{Accuracy, Hss, Matrix};
    /// let a = Matrix::from_fn(300, 300, |i, j| 1.0 / (1.0 + (i as f64 - j as f64).abs()));
    /// let (h, certificate) = Hss::from_dense(&a, 32, &Accuracy::relative(1e-6)?)?;
    /// assert!(certificate.frobenius.value <= 1e-6 * a.norm_frobenius());
    /// assert!(h.memory_bytes() < 8 * 300 * 300 / 2);
    /// # Ok::<(), farfield_matrix::MatrixError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Hss::from_dense_on`], and [`MatrixError::Tree`] for a matrix without rows or columns or `leaf_size = 0`.
    pub fn from_dense(
        a: &Matrix<T>,
        leaf_size: usize,
        accuracy: &Accuracy,
    ) -> Result<(Self, Certificate), MatrixError> {
        let (rows, cols) = bisected(a.nrows(), a.ncols(), leaf_size)?;
        Self::from_dense_on(a, &rows, &cols, accuracy)
    }

    /// The HSS form of `a` on the given trees of its rows and columns, which must have the same shape.
    ///
    /// # Errors
    /// [`MatrixError::Entry`] for an infinite or NaN entry, [`MatrixError::Tree`] when the trees do not fit the
    /// matrix or each other, [`MatrixError::Tolerance`] when the rank cap or rounding errors do not allow the
    /// tolerance, [`MatrixError::Memory`] beyond the budget of the accuracy.
    pub fn from_dense_on(
        a: &Matrix<T>,
        rows: &Arc<ClusterTree>,
        cols: &Arc<ClusterTree>,
        accuracy: &Accuracy,
    ) -> Result<(Self, Certificate), MatrixError> {
        check_trees(a.nrows(), a.ncols(), rows, cols)?;
        accuracy.check_memory(WHAT, leaf_bytes::<T>(rows, cols))?;
        if let Some((row, col)) = a.first_non_finite() {
            return Err(MatrixError::Entry { row, col, value: a[(row, col)].to_f64() });
        }
        let (row_order, col_order) = (rows.order(), cols.order());
        let inside = Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(row_order[i], col_order[j])]);
        let nodes = rows.clusters().len();
        let mut budget = Budget::new::<T>(accuracy, norm_frobenius(inside.as_ref()), nodes - 1, rows.depth());
        let blocks = Shrinking::new(inside, rows, cols).blocks(&mut budget);
        let of_node = |b: &NodeBlocks<T>| [&b.d, &b.u, &b.v].map(|m| m.nrows() * m.ncols()).iter().sum::<usize>();
        accuracy.check_memory(WHAT, blocks.iter().map(of_node).sum::<usize>() * size_of::<T>())?;
        let out = Self::assemble(rows.clone(), cols.clone(), &blocks)?;
        let bound = budget.bound(WHAT, || Ok(out.residual(a)))?;
        let certificate = out.certify(bound);
        Ok((out, certificate))
    }

    /// A bound on `||a - self||_F`, entry by entry in f64.
    fn residual(&self, a: &Matrix<T>) -> f64 {
        let h = self.to_f64().to_dense();
        let difference = Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)].to_f64() - h[(i, j)]);
        difference.norm_frobenius() + 4.0 * (self.levels() + 1) as f64 * f64::EPSILON * a.norm_frobenius()
    }
}

/// Bisected trees of the same shape for rows and columns, leaves of at most `leaf_size` of the more numerous.
pub(super) fn bisected(
    nrows: usize,
    ncols: usize,
    leaf_size: usize,
) -> Result<(Arc<ClusterTree>, Arc<ClusterTree>), MatrixError> {
    let levels = ClusterTree::bisection(nrows.max(ncols), leaf_size)?.depth();
    let rows = Arc::new(ClusterTree::with_levels(nrows, levels)?);
    let cols = if nrows == ncols { rows.clone() } else { Arc::new(ClusterTree::with_levels(ncols, levels)?) };
    Ok((rows, cols))
}

/// Whether the trees fit the matrix and each other.
pub(super) fn check_trees(
    nrows: usize,
    ncols: usize,
    rows: &ClusterTree,
    cols: &ClusterTree,
) -> Result<(), MatrixError> {
    if rows.len() != nrows || cols.len() != ncols {
        let reason = format!("trees of {} and {} indices for a {nrows} x {ncols} matrix", rows.len(), cols.len());
        return Err(MatrixError::Tree { reason });
    }
    if !rows.same_shape(cols) {
        let reason = "the row tree and the column tree of an HSS matrix differ in shape".to_owned();
        return Err(MatrixError::Tree { reason });
    }
    Ok(())
}

/// The matrix while it shrinks: the rows and columns of each active node (those of the level worked on, and leaves
/// above it), the diagonal blocks taken out.
struct Shrinking<'a, T> {
    matrix: Mat<T>,
    active: Vec<Active>,
    tree: &'a ClusterTree,
}

struct Active {
    node: usize,
    rows: Range<usize>,
    cols: Range<usize>,
}

impl<'a, T: Scalar> Shrinking<'a, T> {
    /// All leaves active, from left to right.
    fn new(matrix: Mat<T>, rows: &'a ClusterTree, cols: &'a ClusterTree) -> Self {
        let (mut active, mut stack) = (Vec::new(), vec![0]);
        while let Some(node) = stack.pop() {
            let cluster = rows.cluster(node);
            stack.extend(cluster.children.clone().rev());
            if cluster.is_leaf() {
                active.push(Active { node, rows: cluster.range.clone(), cols: cols.cluster(node).range.clone() });
            }
        }
        Self { matrix, active, tree: rows }
    }

    fn blocks(mut self, budget: &mut Budget) -> Vec<NodeBlocks<T>> {
        let empty = || NodeBlocks { d: Mat::zeros(0, 0), u: Mat::zeros(0, 0), v: Mat::zeros(0, 0) };
        let mut blocks: Vec<NodeBlocks<T>> = (0..self.tree.clusters().len()).map(|_| empty()).collect();
        for level in (0..=self.tree.depth()).rev() {
            if level < self.tree.depth() {
                self.merge(level);
            }
            for at in 0..self.active.len() {
                let Active { node, rows, cols } = &self.active[at];
                if self.tree.cluster(*node).level == level {
                    let mut d = self.matrix.as_mut().submatrix_mut(rows.start, cols.start, rows.len(), cols.len());
                    blocks[*node].d = d.as_ref().to_owned();
                    d.fill(T::ZERO);
                }
            }
            if level == 0 {
                let d = &blocks[0].d;
                (blocks[0].u, blocks[0].v) = (Mat::zeros(d.nrows(), 0), Mat::zeros(d.ncols(), 0));
                break;
            }
            // Rows first, then columns on what they leave.
            let rows: Vec<Range<usize>> = self.active.iter().map(|a| a.rows.clone()).collect();
            let (bases, places, matrix) = self.compressed(self.matrix.as_ref(), rows, level, budget);
            for (active, (basis, rows)) in self.active.iter_mut().zip(bases.into_iter().zip(places)) {
                active.rows = rows;
                if let Some(basis) = basis {
                    blocks[active.node].u = basis;
                }
            }
            let cols: Vec<Range<usize>> = self.active.iter().map(|a| a.cols.clone()).collect();
            let (bases, places, transposed) = self.compressed(matrix.as_ref().transpose(), cols, level, budget);
            for (active, (basis, cols)) in self.active.iter_mut().zip(bases.into_iter().zip(places)) {
                active.cols = cols;
                if let Some(basis) = basis {
                    blocks[active.node].v = basis;
                }
            }
            self.matrix = transposed.as_ref().transpose().to_owned();
        }
        blocks
    }

    /// Bases for the block rows `places` of the nodes on `level`, the new places and the matrix of coefficients.
    #[allow(clippy::type_complexity)]
    fn compressed(
        &self,
        matrix: MatRef<T>,
        places: Vec<Range<usize>>,
        level: usize,
        budget: &mut Budget,
    ) -> (Vec<Option<Mat<T>>>, Vec<Range<usize>>, Mat<T>) {
        let (share, cap) = (budget.share(), budget.cap());
        let bases: Vec<Option<Basis<T>>> = (self.active.par_iter().zip(&places))
            .map(|(active, place)| {
                let here = self.tree.cluster(active.node).level == level;
                here.then(|| dominant_basis(matrix.subrows(place.start, place.len()), share, cap))
            })
            .collect();
        bases.iter().flatten().for_each(|basis| budget.charge(basis.error));
        let bases: Vec<Option<Mat<T>>> = bases.into_iter().map(|basis| basis.map(|b| b.basis)).collect();
        let mut next = 0;
        let new: Vec<Range<usize>> = (bases.iter().zip(&places))
            .map(|(basis, place)| {
                next += basis.as_ref().map_or(place.len(), |b| b.ncols());
                next - basis.as_ref().map_or(place.len(), |b| b.ncols())..next
            })
            .collect();
        let mut out = Mat::zeros(next, matrix.ncols());
        for ((basis, from), to) in bases.iter().zip(&places).zip(&new) {
            let mut target = out.as_mut().subrows_mut(to.start, to.len());
            let rows = matrix.subrows(from.start, from.len());
            match basis {
                Some(basis) => add_product(target, T::ONE, basis.as_ref().transpose(), rows),
                None => target.copy_from(rows),
            }
        }
        (bases, new, out)
    }

    /// The nodes of `level` take the place of their children.
    fn merge(&mut self, level: usize) {
        let mut merged: Vec<Active> = Vec::new();
        for active in self.active.drain(..) {
            let cluster = self.tree.cluster(active.node);
            let node = if cluster.level > level { cluster.parent.unwrap_or(0) } else { active.node };
            match merged.last_mut() {
                Some(last) if last.node == node => {
                    (last.rows.end, last.cols.end) = (active.rows.end, active.cols.end);
                }
                _ => merged.push(Active { node, ..active }),
            }
        }
        self.active = merged;
    }
}
