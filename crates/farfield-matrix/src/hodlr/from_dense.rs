//! HODLR form of a dense matrix by truncated singular value decompositions.

use std::sync::Arc;

use faer::Mat;

use super::truncation::{Block, Candidates};
use super::{Hodlr, Node, leaf_bytes, pairs, tolerance_error};
use crate::accuracy::Accuracy;
use crate::certificate::{Certificate, Confidence};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::low_rank::LowRank;
use crate::matrix::Matrix;
use crate::scalar::Scalar;

const WHAT: &str = "HODLR matrix of a dense one";

impl<T: Scalar> Hodlr<T> {
    /// The HODLR matrix of fewest numbers (up to the order in which singular values are dropped) with `||A - H||_F` within the
    /// accuracy. The certificate is proven: residuals of the blocks, added in squares. Cost: `O(n^3)`.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] or [`MatrixError::Shapes`] when `a` is not square of the order of the tree, [`MatrixError::Entry`] for an
    /// infinite or NaN entry, [`MatrixError::Tolerance`] when the rank cap or rounding keeps the error above the tolerance,
    /// [`MatrixError::Memory`] beyond the budget of the accuracy.
    pub fn from_dense(
        a: &Matrix<T>,
        tree: impl Into<Arc<ClusterTree>>,
        accuracy: Accuracy,
    ) -> Result<(Self, Certificate), MatrixError> {
        let tree = tree.into();
        check_square(WHAT, a.nrows(), a.ncols(), &tree)?;
        if let Some((row, col)) = a.first_non_finite() {
            return Err(MatrixError::Entry { row, col, value: a[(row, col)].to_f64() });
        }
        accuracy.check_memory(WHAT, leaf_bytes::<T>(&tree))?;
        let order = tree.order();
        let inside = Mat::from_fn(order.len(), order.len(), |i, j| a[(order[i], order[j])]);
        let tolerance = accuracy.absolute_for(a.norm_frobenius());
        let mut blocks = Vec::new();
        for cluster in tree.clusters() {
            let children: Vec<_> = cluster.children.clone().map(|c| tree.cluster(c).range.clone()).collect();
            for (i, j) in pairs(children.len()) {
                let (rows, cols) = (&children[i], &children[j]);
                let block = inside.as_ref().submatrix(rows.start, cols.start, rows.len(), cols.len());
                blocks.push(Block::Dense(block));
            }
        }
        let (blocks, errors) = Candidates::new(blocks).truncate(tolerance, accuracy.rank_cap());
        let of_blocks: usize = blocks.iter().map(LowRank::stored).sum();
        accuracy.check_memory(WHAT, leaf_bytes::<T>(&tree).saturating_add(of_blocks * size_of::<T>()))?;
        let mut blocks = blocks.into_iter();
        let nodes = (tree.clusters().iter())
            .map(|cluster| {
                if cluster.is_leaf() {
                    let (at, n) = (cluster.range.start, cluster.len());
                    return Node::Leaf(inside.as_ref().submatrix(at, at, n, n).to_owned());
                }
                let k = cluster.children.len();
                Node::Split(blocks.by_ref().take(k * (k - 1)).collect())
            })
            .collect();
        let hodlr = Self::assemble(tree, nodes)?;
        let certificate = hodlr.certificate(&errors, 0.0, Confidence::Proven);
        let reached = certificate.frobenius.value;
        if reached > tolerance {
            return Err(tolerance_error(WHAT, accuracy, tolerance, reached, hodlr.rank()));
        }
        Ok((hodlr, certificate))
    }
}

/// `Ok` when a matrix of these sizes is square and has the order of the tree.
pub(super) fn check_square(
    what: &'static str,
    nrows: usize,
    ncols: usize,
    tree: &ClusterTree,
) -> Result<(), MatrixError> {
    if nrows != ncols {
        let (n, rule) = (tree.len(), "a HODLR matrix is square");
        let sizes =
            MatrixError::Shapes { operation: what, left_out: n, left_in: n, right_out: nrows, right_in: ncols, rule };
        return Err(sizes);
    }
    if nrows == tree.len() { Ok(()) } else { Err(MatrixError::Rows { what, got: nrows, expected: tree.len() }) }
}
