//! Sums, multiples and updates of HODLR matrices.
//!
//! The sum of two low-rank blocks has the sum of the ranks; both QR factorisations and the SVD of the core bring it back to what
//! the tolerance needs. Cost of each operation that truncates: `O(n r^2 log n)`.

use std::sync::Arc;

use faer::Mat;

use super::truncation::{Block, Candidates};
use super::{Hodlr, Node, root_sum_of_squares, tolerance_error};
use crate::accuracy::Accuracy;
use crate::certificate::{Certificate, Confidence};
use crate::error::MatrixError;
use crate::linalg::add_product;
use crate::low_rank::LowRank;
use crate::matrix::Matrix;
use crate::operator::check_rows;
use crate::scalar::Scalar;

impl<T: Scalar> Hodlr<T> {
    /// `A + B` within the accuracy; the certificate is proven. A relative tolerance is relative to `||A + B||_F`: it cannot be met when
    /// the sum cancels down to rounding errors.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] when the trees differ, [`MatrixError::Tolerance`], [`MatrixError::Memory`], [`MatrixError::NonFinite`] on overflow.
    pub fn add(&self, other: &Self, accuracy: Accuracy) -> Result<(Self, Certificate), MatrixError> {
        self.check_tree("sum", other)?;
        let nodes = (self.nodes().iter().zip(other.nodes()))
            .map(|(a, b)| match (a, b) {
                (Node::Leaf(a), Node::Leaf(b)) => Node::Leaf(a + b),
                (Node::Split(a), Node::Split(b)) => Node::Split(a.iter().zip(b).map(|(a, b)| a.plus(b)).collect()),
                _ => unreachable!("equal trees have equal leaves"),
            })
            .collect();
        Self::assemble(self.tree.clone(), nodes)?.truncated(
            "sum of HODLR matrices",
            accuracy,
            self.leaf_rounding(other),
        )
    }

    /// `A + U V^T` for `U` and `V` of `n` rows and equally many columns, within the accuracy; the certificate is proven.
    ///
    /// # Errors
    /// As [`Hodlr::add`], and [`MatrixError::Rows`] or [`MatrixError::Shapes`] when the sizes do not fit.
    pub fn add_low_rank(
        &self,
        u: &Matrix<T>,
        v: &Matrix<T>,
        accuracy: Accuracy,
    ) -> Result<(Self, Certificate), MatrixError> {
        check_rows("low-rank update, U", u, self.order())?;
        check_rows("low-rank update, V", v, self.order())?;
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
        let update = LowRank { u: self.tree.to_tree_order(u).0, v: self.tree.to_tree_order(v).0 };
        let nodes = (0..self.nodes().len())
            .map(|c| {
                let cluster = self.tree.cluster(c);
                match &self.nodes()[c] {
                    Node::Leaf(d) => {
                        let part = restrict(&update, cluster.range.clone(), cluster.range.clone());
                        let mut d = d.clone();
                        add_product(d.as_mut(), T::ONE, part.u.as_ref(), part.v.transpose());
                        Node::Leaf(d)
                    }
                    Node::Split(blocks) => {
                        let range = |i: usize| self.tree.cluster(cluster.children.start + i).range.clone();
                        let pairs = super::pairs(cluster.children.len());
                        let plus =
                            |(block, (i, j)): (&LowRank<T>, _)| block.plus(&restrict(&update, range(i), range(j)));
                        Node::Split(blocks.iter().zip(pairs).map(plus).collect())
                    }
                }
            })
            .collect();
        let k = u.ncols() as f64;
        let terms = update.u.norm_l2() * update.v.norm_l2();
        let updated = Self::assemble(self.tree.clone(), nodes)?;
        updated.truncated("low-rank update of a HODLR matrix", accuracy, T::EPSILON * (k + 1.0) * terms.to_f64())
    }

    /// The same matrix with ranks no larger than the accuracy needs; the certificate, on the distance to this matrix, is proven.
    ///
    /// # Errors
    /// [`MatrixError::Tolerance`], [`MatrixError::Memory`].
    pub fn recompress(&self, accuracy: Accuracy) -> Result<(Self, Certificate), MatrixError> {
        self.clone().truncated("recompressed HODLR matrix", accuracy, 0.0)
    }

    /// `factor A`, of the same ranks.
    ///
    /// # Errors
    /// [`MatrixError::Factor`] for an infinite or NaN factor, [`MatrixError::NonFinite`] on overflow.
    pub fn scale(&self, factor: T) -> Result<Self, MatrixError> {
        if !Scalar::is_finite(factor) {
            return Err(MatrixError::Factor { value: factor.to_f64() });
        }
        let times = |a: &Mat<T>| Mat::from_fn(a.nrows(), a.ncols(), |i, j| factor * a[(i, j)]);
        let nodes = (self.nodes().iter())
            .map(|node| match node {
                Node::Leaf(d) => Node::Leaf(times(d)),
                Node::Split(blocks) => {
                    Node::Split(blocks.iter().map(|b| LowRank { u: times(&b.u), v: b.v.clone() }).collect())
                }
            })
            .collect();
        Self::assemble(self.tree.clone(), nodes)
    }

    /// `A + sigma I`.
    ///
    /// # Errors
    /// [`MatrixError::Factor`] for an infinite or NaN `sigma`, [`MatrixError::NonFinite`] on overflow.
    pub fn shift(&self, sigma: T) -> Result<Self, MatrixError> {
        if !Scalar::is_finite(sigma) {
            return Err(MatrixError::Factor { value: sigma.to_f64() });
        }
        let mut nodes = Vec::clone(&self.nodes);
        for node in &mut nodes {
            if let Node::Leaf(d) = node {
                (0..d.nrows()).for_each(|i| d[(i, i)] += sigma);
            }
        }
        Self::assemble(self.tree.clone(), nodes)
    }

    /// What one addition loses in the leaves.
    fn leaf_rounding(&self, other: &Self) -> f64 {
        let leaves = self.nodes().iter().chain(other.nodes()).map(|node| match node {
            Node::Leaf(d) => crate::linalg::norm_frobenius(d.as_ref()),
            Node::Split(_) => 0.0,
        });
        T::EPSILON * root_sum_of_squares(leaves)
    }

    /// Truncated; `rounding` bounds the errors made in the leaves before.
    fn truncated(
        self,
        what: &'static str,
        accuracy: Accuracy,
        rounding: f64,
    ) -> Result<(Self, Certificate), MatrixError> {
        let blocks: Vec<_> = self.blocks().map(|(_, block)| Block::Factored(block.clone())).collect();
        let candidates = Candidates::new(blocks);
        let leaves = self.nodes().iter().map(|node| match node {
            Node::Leaf(d) => crate::linalg::norm_frobenius(d.as_ref()),
            Node::Split(_) => 0.0,
        });
        let leaves = root_sum_of_squares(leaves);
        let norm = leaves.hypot(root_sum_of_squares(candidates.norms()));
        let tolerance = accuracy.absolute_for(norm);
        let (blocks, errors) = candidates.truncate((tolerance - rounding).max(0.0), accuracy.rank_cap());
        let hodlr = self.with_blocks(blocks);
        accuracy.check_memory(what, hodlr.memory_bytes())?;
        let certificate = hodlr.certificate(&errors, rounding, Confidence::Proven);
        let reached = certificate.frobenius.value;
        if reached > tolerance {
            return Err(tolerance_error(what, accuracy, tolerance, reached, hodlr.rank()));
        }
        Ok((hodlr, certificate))
    }

    /// The same leaves with other low-rank blocks, in the order of [`Hodlr::blocks`].
    pub(super) fn with_blocks(self, blocks: Vec<LowRank<T>>) -> Self {
        let mut next = blocks.into_iter();
        let nodes = Arc::try_unwrap(self.nodes).unwrap_or_else(|shared| Vec::clone(&shared));
        let nodes = (nodes.into_iter())
            .map(|node| match node {
                Node::Split(blocks) => Node::Split(next.by_ref().take(blocks.len()).collect()),
                leaf => leaf,
            })
            .collect();
        Self { tree: self.tree, nodes: Arc::new(nodes), positions: self.positions }
    }
}

/// Rows and columns of a low-rank matrix.
pub(super) fn restrict<T: Scalar>(
    a: &LowRank<T>,
    rows: std::ops::Range<usize>,
    cols: std::ops::Range<usize>,
) -> LowRank<T> {
    LowRank {
        u: a.u.as_ref().subrows(rows.start, rows.len()).to_owned(),
        v: a.v.as_ref().subrows(cols.start, cols.len()).to_owned(),
    }
}
