//! The product of two HODLR matrices, truncated to a tolerance.
//!
//! For the children `i, j` of a cluster, `C_ij = A_ii B_ij + A_ij B_jj + sum_{l != i, j} A_il B_lj`: products of a HODLR matrix with the
//! factors of a low-rank one, and products of low-rank matrices. On the diagonal `C_ii = A_ii B_ii + sum_{l != i} A_il B_li`, where the sum is
//! handed down as a low-rank update, truncated on each level so that its rank does not grow. What these truncations lose is
//! counted: the errors of one level are disjoint and add in squares, those of different levels overlap and add. The blocks of the
//! product are truncated together in the end.
//!
//! Cost: `O(n r^2 log^2 n)`.

use rayon::prelude::*;

use super::add::restrict;
use super::truncation::{Block, Candidates, cut};
use super::{Hodlr, Node, pair, pairs, root_sum_of_squares, to_accuracy};
use crate::accuracy::Accuracy;
use crate::certificate::{Certificate, Confidence};
use crate::error::MatrixError;
use crate::linalg::{add_product, product};
use crate::low_rank::LowRank;
use crate::matrix::Matrix;
use crate::scalar::Scalar;

/// One cluster of the product before truncation.
struct Made<T> {
    node: Node<T>,
    /// The updates of its children.
    updates: Vec<LowRank<T>>,
    /// Error of the update that it got.
    lost: f64,
}

impl<T: Scalar> Hodlr<T> {
    /// `A B` for `self = A` and `other = B` within the accuracy; the certificate is proven. A relative tolerance is relative to
    /// `||A B||_F` and cannot be below the rounding errors of the product, which are relative to `||A||_F ||B||_F`.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] when the trees differ, [`MatrixError::Tolerance`], [`MatrixError::NonFinite`] on overflow.
    pub fn multiply(&self, other: &Self, accuracy: Accuracy) -> Result<(Self, Certificate), MatrixError> {
        self.check_tree("product", other)?;
        // A fixed matrix of signs estimates the norm of the product well enough to start from.
        let signs = Matrix::from_fn(self.order(), 4, |i, j| {
            let hash = (i as u64 * 4 + j as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            if (hash ^ (hash >> 29)).count_ones().is_multiple_of(2) { T::ONE } else { T::ZERO - T::ONE }
        });
        let guess = 0.5 * self.multiplied(&other.multiplied(&signs, false), false).norm_frobenius();
        let rounding = T::EPSILON * (8.0 + (self.order() as f64).sqrt().min(64.0));
        let rounding = rounding * self.norm_frobenius() * other.norm_frobenius();
        to_accuracy("product of HODLR matrices", accuracy, guess, |tolerance| {
            self.multiplied_to(other, tolerance, accuracy.rank_cap(), rounding)
        })
    }

    fn multiplied_to(
        &self,
        other: &Self,
        tolerance: f64,
        cap: Option<usize>,
        rounding: f64,
    ) -> Result<(Self, Certificate), MatrixError> {
        let tree = &self.tree;
        let count = tree.clusters().len();
        let mut nodes: Vec<Node<T>> = Vec::with_capacity(count);
        let mut updates: Vec<LowRank<T>> = vec![LowRank::zero(tree.len(), tree.len())];
        let mut lost = 0.0;
        for level in 0..=tree.depth() {
            let range = tree.level(level);
            let share = 0.4 * tolerance / tree.depth().max(1) as f64;
            let made: Vec<Made<T>> = (range.clone().into_par_iter().zip(updates))
                .map(|(c, update)| {
                    let part = (tree.cluster(c).len() as f64 / tree.len() as f64).sqrt();
                    self.multiplied_cluster(other, c, &update, share * part)
                })
                .collect();
            lost += root_sum_of_squares(made.iter().map(|m| m.lost));
            updates = Vec::new();
            for m in made {
                nodes.push(m.node);
                updates.extend(m.updates);
            }
        }
        let made = Self::assemble(tree.clone(), nodes)?;
        let blocks = made.blocks().map(|(_, block)| Block::Factored(block.clone())).collect();
        let (blocks, errors) = Candidates::new(blocks).truncate(0.5 * tolerance, cap);
        let product = made.with_blocks(blocks);
        let certificate = product.certificate(&errors, lost + rounding, Confidence::Proven);
        Ok((product, certificate))
    }

    fn multiplied_cluster(&self, other: &Self, c: usize, update: &LowRank<T>, tolerance: f64) -> Made<T> {
        let (update, lost) =
            if update.rank() == 0 { (update.clone(), 0.0) } else { cut(update.clone(), tolerance, None) };
        match (&self.nodes[c], &other.nodes[c]) {
            (Node::Leaf(a), Node::Leaf(b)) => {
                let mut d = product(a.as_ref(), b.as_ref());
                add_product(d.as_mut(), T::ONE, update.u.as_ref(), update.v.transpose());
                Made { node: Node::Leaf(d), updates: Vec::new(), lost }
            }
            (Node::Split(a), Node::Split(b)) => {
                let cluster = self.tree.cluster(c);
                let children = cluster.children.clone();
                let k = children.len();
                let range = |i: usize| {
                    let range = &self.tree.cluster(children.start + i).range;
                    range.start - cluster.range.start..range.end - cluster.range.start
                };
                let through = |i: usize, j: usize, mut sum: LowRank<T>| {
                    for l in (0..k).filter(|&l| l != i && l != j) {
                        let (left, right) = (&a[pair(k, i, l)], &b[pair(k, l, j)]);
                        let middle = product(left.v.transpose(), right.u.as_ref());
                        sum = sum.plus(&LowRank { u: product(left.u.as_ref(), middle.as_ref()), v: right.v.clone() });
                    }
                    sum
                };
                let blocks = pairs(k)
                    .map(|(i, j)| {
                        let (left, right) = (&a[pair(k, i, j)], &b[pair(k, i, j)]);
                        let mut sum = restrict(&update, range(i), range(j));
                        let mut u = Matrix::zeros(right.nrows(), right.rank());
                        self.multiply_cluster(children.start + i, right.u.as_ref(), u.as_mut(), false);
                        sum = sum.plus(&LowRank { u: u.0, v: right.v.clone() });
                        let mut v = Matrix::zeros(left.ncols(), left.rank());
                        other.multiply_cluster(children.start + j, left.v.as_ref(), v.as_mut(), true);
                        sum = sum.plus(&LowRank { u: left.u.clone(), v: v.0 });
                        through(i, j, sum)
                    })
                    .collect();
                let updates = (0..k).map(|i| through(i, i, restrict(&update, range(i), range(i)))).collect();
                Made { node: Node::Split(blocks), updates, lost }
            }
            _ => unreachable!("equal trees have equal leaves"),
        }
    }
}
