//! The product of two H-matrices, `C = A B` to a tolerance.
//!
//! The product goes into one [accumulator](super::accumulator) for the whole of `C`, which is divided down the blocks of `C`: where a factor has low rank it
//! becomes a low-rank term at once, elsewhere it is divided further, and each leaf of `C` is truncated once. The error is measured by Gaussian vectors, as for the factorisations.
//! Boerm (2019, arXiv 1703.09085). Cost: O(k^2 n log^2 n).

use std::sync::Arc;

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::accumulator::{Accumulator, Truncation, updated_leaf};
use super::block::{Block, Operand, Split};
use super::error_of_factors::{measure, to_tolerance};
use super::sketch::{Gaussians, hash};
use super::{HMatrix, same_tree};
use crate::accuracy::Accuracy;
use crate::block_tree::{Admissibility, BlockKind, BlockTree};
use crate::certificate::Certificate;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

impl<T: Scalar> HMatrix<T> {
    /// `A B` on the block tree of the rows of `A` and the columns of `B`; `||A B - C||_F` is within `accuracy`, relative to `||C||_F`, as far as
    /// products with Gaussian vectors show.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless the columns of `A` and the rows of `B` have the same tree; those of [`BlockTree::new`];
    /// [`MatrixError::Tolerance`] when the rank cap is hit or the tolerance cannot be reached.
    pub fn multiply(
        &self,
        other: &Self,
        admissibility: Admissibility,
        accuracy: Accuracy,
        seed: u64,
    ) -> Result<(Self, Certificate), MatrixError> {
        let what = "product of H-matrices";
        if !same_tree(&self.cols, &other.rows) {
            let reason = format!(
                "{what}: the columns of the left ({}) and the rows of the right ({}) have different trees",
                self.ncols(),
                other.nrows()
            );
            return Err(MatrixError::Tree { reason });
        }
        let tree = BlockTree::new(&self.rows, &other.cols, admissibility)?;
        let empty = empty_block(&tree, 0, &self.rows, &other.cols);
        let exact = |x: MatRef<T>| self.multiply_tree_order(other.multiply_tree_order(x, false).as_ref(), false);
        let apply = |c: &Self, x: MatRef<T>| c.multiply_tree_order(x, false);
        let attempt = |tolerance: f64, seed: u64| {
            let gaussians = Gaussians::new(self.nrows().max(other.ncols()), seed);
            let truncation = Truncation { what, tolerance, max_rank: accuracy.rank_cap(), gaussians };
            let mut product = Accumulator::new(self.nrows(), other.ncols(), seed);
            product.push(Operand::plain(&self.root), Operand::plain(&other.root));
            let root = Arc::new(evaluate(&empty, product, &truncation)?);
            Ok(Self { rows: Arc::clone(&self.rows), cols: Arc::clone(&other.cols), root })
        };
        // The norm of the product from a measurement: within a factor of three, which only chooses the first tolerance.
        let zero = |x: MatRef<T>| Mat::zeros(self.nrows(), x.ncols());
        let norm = measure(other.ncols(), hash(seed, 99), 0.5, exact, zero);
        let allowed = accuracy.absolute_for(0.7 * norm);
        let (c, bound) = to_tolerance(what, allowed, norm, other.ncols(), seed, attempt, exact, apply)?;
        let certificate = c.certificate(bound, c.norm_frobenius());
        if bound.value > accuracy.absolute_for(certificate.norm) {
            let limit = "the rounding errors of the product".to_owned();
            let tolerance = accuracy.absolute_for(certificate.norm);
            return Err(MatrixError::Tolerance { what, tolerance, reached: bound.value, limit });
        }
        Ok((c, certificate))
    }
}

/// The zero matrix on a block tree.
fn empty_block<T: Scalar>(tree: &BlockTree, block: usize, rows: &ClusterTree, cols: &ClusterTree) -> Block<T> {
    let b = &tree.blocks()[block];
    let (s, t) = (rows.cluster(b.row), cols.cluster(b.col));
    match b.kind {
        BlockKind::LowRank => Block::LowRank(LowRank::zero(s.len(), t.len())),
        BlockKind::Dense => Block::Dense(Mat::zeros(s.len(), t.len())),
        BlockKind::Split => {
            let children: Vec<Arc<Block<T>>> =
                b.children.clone().map(|child| Arc::new(empty_block(tree, child, rows, cols))).collect();
            let q = b.child_cols();
            let starts = |sizes: &mut dyn Iterator<Item = usize>| {
                let mut starts = vec![0];
                sizes.for_each(|size| starts.push(starts[starts.len() - 1] + size));
                starts
            };
            let rows = starts(&mut (0..b.child_rows).map(|i| children[i * q].nrows()));
            let cols = starts(&mut (0..q).map(|j| children[j].ncols()));
            Block::Split(Split { rows, cols, children })
        }
    }
}

/// The updates of a zero block, in its structure.
fn evaluate<T: Scalar>(
    block: &Block<T>,
    updates: Accumulator<T>,
    truncation: &Truncation<T>,
) -> Result<Block<T>, MatrixError> {
    let Block::Split(split) = block else {
        return updated_leaf(block, &updates, T::ONE, truncation);
    };
    let parts = updates.divide(&split.rows, &split.cols, |_, _| true, truncation);
    let children: Result<Vec<Arc<Block<T>>>, MatrixError> = parts
        .into_par_iter()
        .zip(&split.children)
        .map(|(part, child)| Ok(Arc::new(evaluate(child, part, truncation)?)))
        .collect();
    Ok(Block::Split(Split { rows: split.rows.clone(), cols: split.cols.clone(), children: children? }))
}
