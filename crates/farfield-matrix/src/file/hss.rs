//! HSS matrices in files: trees `rows` and `cols`; `ranks`, one row a cluster: columns of `U`, columns of `V`; `values`: the parameters in the order
//! of [`HssLayout`](farfield_kernels::HssLayout).

use std::sync::Arc;

use farfield_kernels::{HssLayout, NodeShape};

use super::container::{Reader, Writer};
use super::{FileFormat, tree};
use crate::error::MatrixError;
use crate::hss::Hss;
use crate::scalar::Scalar;

/// Largest rank of a node.
const LARGEST_RANK: usize = 1 << 30;

impl<T: Scalar> FileFormat for Hss<T> {
    const KIND: &'static str = "hss";
    const SCALAR: &'static str = if size_of::<T>() == 8 { "f64" } else { "f32" };

    fn write_to<'a>(&'a self, writer: &mut Writer<'a>) {
        tree::write(writer, "rows", self.rows());
        tree::write(writer, "cols", self.cols());
        let nodes = self.layout().nodes();
        let ranks = nodes.iter().flat_map(|node| [node.u.cols as u64, node.v.cols as u64]).collect();
        writer.integers("ranks", &[nodes.len(), 2], ranks);
        writer.values(self.data().len(), move || std::iter::once(self.data()));
    }

    fn read_from(reader: &Reader) -> Result<Self, MatrixError> {
        let (rows, cols) = (tree::read(reader, "rows")?, tree::read(reader, "cols")?);
        let (ranks, values) = (reader.integers("ranks", 2)?, reader.values::<T>()?);
        let (ranks, _) = ranks.as_chunks::<2>();
        if !rows.same_shape(&cols) || ranks.len() != rows.clusters().len() {
            return Err(
                reader.damaged("the row tree, the column tree and the ranks have different numbers of clusters")
            );
        }
        if let Some([u, v]) = ranks.iter().find(|[u, v]| *u.max(v) > LARGEST_RANK) {
            return Err(reader.damaged(format!("a cluster has ranks {u} and {v}")));
        }
        // The number of parameters before anything is made of them.
        let mut needed = 0u128;
        for (c, (row, col)) in rows.clusters().iter().zip(cols.clusters()).enumerate() {
            let below = |side: usize| ranks[row.children.clone()].iter().map(|r| r[side] as u128).sum();
            let (m, n): (u128, u128) =
                if row.is_leaf() { (row.len() as u128, col.len() as u128) } else { (below(0), below(1)) };
            let [u, v] = if c == 0 { [0, 0] } else { ranks[c].map(|r| r as u128) };
            needed += m * n + m * u + n * v;
        }
        if needed != values.len() as u128 {
            let got = values.len();
            return Err(reader.damaged(format!("{got} values, the trees and ranks ask for {needed}")));
        }
        let shapes: Vec<NodeShape> = (rows.clusters().iter().zip(cols.clusters()).zip(ranks))
            .map(|((row, col), &[row_rank, col_rank])| NodeShape {
                children: row.children.clone(),
                rows: row.len(),
                cols: col.len(),
                row_rank,
                col_rank,
            })
            .collect();
        Self::on_trees(Arc::new(rows), Arc::new(cols), HssLayout::from_tree(&shapes)?, values)
    }
}
