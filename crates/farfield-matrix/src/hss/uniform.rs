//! The same matrix on the balanced binary layout of one rank, the layout of neural-network layers.

use farfield_kernels::HssLayout;

use super::Hss;
use super::telescope::Telescope;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::scalar::Scalar;

impl<T: Scalar> Hss<T> {
    /// The same matrix on [`HssLayout::new`] with `levels` levels and rank `rank` at every node, bases filled up with
    /// zeros. The parameters of the result act on vectors in tree order.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless the trees split `0..n` in halves as [`ClusterTree::with_levels`] does, `levels`
    /// times; [`MatrixError::Option`] when `rank` is smaller than the largest rank of the matrix;
    /// [`MatrixError::Layout`] when the layout is too large.
    pub fn uniform(&self, levels: usize, rank: usize) -> Result<Self, MatrixError> {
        let fits = |tree: &ClusterTree| {
            let ranges = |t: &ClusterTree| t.clusters().iter().map(|c| c.range.clone()).collect::<Vec<_>>();
            let balanced = ClusterTree::with_levels(tree.len(), levels)?;
            Ok::<bool, MatrixError>(tree.same_shape(&balanced) && ranges(tree) == ranges(&balanced))
        };
        if !fits(&self.rows)? || !fits(&self.cols)? {
            let reason = format!("not the balanced binary tree of {levels} levels that a uniform layout needs");
            return Err(MatrixError::Tree { reason });
        }
        if rank < self.rank() {
            let rule = "must be at least the largest rank of the matrix";
            return Err(MatrixError::Option { name: "rank", value: rank.to_string(), rule });
        }
        let layout = HssLayout::new(self.nrows(), self.ncols(), levels, rank)?;
        let mut data = vec![T::ZERO; layout.len()];
        let form = Telescope::of(self);
        for (i, (node, blocks)) in layout.nodes().iter().zip(&form.blocks).enumerate() {
            // Places of the numbers of the children, filled up to `rank` each; those of a leaf stay.
            let (rows, cols): (Vec<usize>, Vec<usize>) = if node.is_leaf() {
                ((0..node.d.rows).collect(), (0..node.d.cols).collect())
            } else {
                let children = form.children(i).enumerate();
                let places = |size: usize, k: usize| k * rank..k * rank + size;
                (
                    children.clone().flat_map(|(k, c)| places(form.blocks[c].u.ncols(), k)).collect(),
                    children.flat_map(|(k, c)| places(form.blocks[c].v.ncols(), k)).collect(),
                )
            };
            let own = |count: usize| (0..count).collect::<Vec<usize>>();
            let parts = [
                (node.d, &blocks.d, &rows, &cols),
                (node.u, &blocks.u, &rows, &own(blocks.u.ncols())),
                (node.v, &blocks.v, &cols, &own(blocks.v.ncols())),
            ];
            for (block, values, rows, cols) in parts {
                for (a, &row) in rows.iter().enumerate() {
                    for (b, &col) in cols.iter().enumerate() {
                        data[block.offset + row * block.cols + col] = values[(a, b)];
                    }
                }
            }
        }
        Self::on_trees(self.rows.clone(), self.cols.clone(), layout, data)
    }
}
