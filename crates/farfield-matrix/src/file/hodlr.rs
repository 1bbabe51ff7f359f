//! HODLR matrices in files: tree `tree`; `ranks`, one a block, cluster after cluster, blocks of a cluster in the order of rows, then columns; `values`,
//! cluster after cluster: the dense block of a leaf, or `U` and `V` of each block, column by column.

use std::sync::Arc;

use faer::Mat;

use super::container::{Reader, Writer};
use super::{FileFormat, tree};
use crate::error::MatrixError;
use crate::hodlr::{Hodlr, Node, pairs};
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

/// Largest rank of a block that has no rows and no columns, and so no numbers to tell how large it is.
const LARGEST_EMPTY: usize = 1 << 20;

impl<T: Scalar> FileFormat for Hodlr<T> {
    const KIND: &'static str = "hodlr";
    const SCALAR: &'static str = if size_of::<T>() == 8 { "f64" } else { "f32" };

    fn write_to<'a>(&'a self, writer: &mut Writer<'a>) {
        tree::write(writer, "tree", self.tree());
        let ranks: Vec<u64> = self.blocks().map(|(_, block)| block.rank() as u64).collect();
        writer.integers("ranks", &[ranks.len()], ranks);
        writer.values(self.stored(), move || {
            self.nodes().iter().flat_map(|node| {
                let matrices: Vec<&Mat<T>> = match node {
                    Node::Leaf(d) => vec![d],
                    Node::Split(blocks) => blocks.iter().flat_map(|block| [&block.u, &block.v]).collect(),
                };
                matrices.into_iter().flat_map(|a| (0..a.ncols()).map(move |j| a.col_as_slice(j)))
            })
        });
    }

    fn read_from(reader: &Reader) -> Result<Self, MatrixError> {
        let tree = Arc::new(tree::read(reader, "tree")?);
        let (ranks, values) = (reader.integers("ranks", 1)?, reader.values::<T>()?);
        // All sizes first: nothing is allocated that the file does not fill.
        let (mut needed, mut next) = (0u128, 0);
        for cluster in tree.clusters() {
            if cluster.is_leaf() {
                needed += (cluster.len() as u128) * (cluster.len() as u128);
            }
            let size = |i: usize| tree.cluster(cluster.children.start + i).len();
            for (i, j) in pairs(cluster.children.len()) {
                let Some(&rank) = ranks.get(next) else {
                    return Err(reader.damaged("there are fewer ranks than blocks"));
                };
                let numbers = (size(i) + size(j)) as u128;
                if numbers == 0 && rank > LARGEST_EMPTY {
                    return Err(reader.damaged(format!("an empty block has rank {rank}")));
                }
                needed += rank as u128 * numbers;
                next += 1;
            }
        }
        if next != ranks.len() || needed != values.len() as u128 {
            let (got, ranks) = (values.len(), ranks.len());
            let reason = format!("{ranks} ranks and {got} values, the tree has {next} blocks of {needed} values");
            return Err(reader.damaged(reason));
        }
        let (mut ranks, mut rest) = (ranks.into_iter(), values.as_slice());
        let mut matrix = |m: usize, n: usize| {
            let (head, tail) = rest.split_at(m * n);
            rest = tail;
            Mat::from_fn(m, n, |i, j| head[i + j * m])
        };
        let mut nodes = Vec::with_capacity(tree.clusters().len());
        for cluster in tree.clusters() {
            if cluster.is_leaf() {
                nodes.push(Node::Leaf(matrix(cluster.len(), cluster.len())));
                continue;
            }
            let size = |i: usize| tree.cluster(cluster.children.start + i).len();
            let blocks = pairs(cluster.children.len()).map(|(i, j)| {
                let rank = ranks.next().unwrap_or(0);
                LowRank { u: matrix(size(i), rank), v: matrix(size(j), rank) }
            });
            nodes.push(Node::Split(blocks.collect()));
        }
        Self::assemble(tree, nodes)
    }
}
