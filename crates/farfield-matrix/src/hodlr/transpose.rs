//! The transpose of a HODLR matrix. No arithmetic.

use std::sync::Arc;

use super::{Hodlr, Node, pair, pairs};
use crate::scalar::Scalar;

impl<T: Scalar> Hodlr<T> {
    /// `A^T`, of the same ranks. Cost: one copy a number.
    pub fn transpose(&self) -> Self {
        let nodes = (self.nodes().iter().zip(self.tree.clusters()))
            .map(|(node, cluster)| match node {
                Node::Leaf(d) => Node::Leaf(d.transpose().to_owned()),
                Node::Split(blocks) => {
                    let k = cluster.children.len();
                    Node::Split(pairs(k).map(|(i, j)| blocks[pair(k, j, i)].transpose()).collect())
                }
            })
            .collect();
        Self { tree: self.tree.clone(), nodes: Arc::new(nodes), positions: self.positions.clone() }
    }
}
