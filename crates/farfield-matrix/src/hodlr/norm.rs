//! Norms of a HODLR matrix.

use rayon::prelude::*;

use super::{Hodlr, Node, root_sum_of_squares};
use crate::scalar::Scalar;

impl<T: Scalar> Hodlr<T> {
    /// The Frobenius norm, exact up to rounding: the blocks are disjoint, so their squares add. Cost: `O(n r^2 log n)`.
    pub fn norm_frobenius(&self) -> f64 {
        let norms: Vec<f64> = (self.nodes().par_iter())
            .map(|node| match node {
                Node::Leaf(d) => crate::linalg::norm_frobenius(d.as_ref()),
                Node::Split(blocks) => root_sum_of_squares(blocks.iter().map(|block| block.norm_frobenius())),
            })
            .collect();
        root_sum_of_squares(norms.iter().copied())
    }
}
