//! Products of a HODLR matrix, or its transpose, with vectors.
//!
//! From the leaves up: every child multiplies its own part of the vectors, then its siblings' parts are added through the low-rank
//! blocks. Cost: two flops a stored number and vector.

use faer::{Mat, MatMut, MatRef};
use rayon::prelude::*;

use super::{Hodlr, Node, pair};
use crate::cluster_tree::{Cluster, ClusterTree};
use crate::error::MatrixError;
use crate::linalg::add_product;
use crate::matrix::Matrix;
use crate::operator::{LinearOperator, check_rows};
use crate::scalar::Scalar;

impl<T: Scalar> LinearOperator<T> for Hodlr<T> {
    fn nrows(&self) -> usize {
        self.order()
    }

    fn ncols(&self) -> usize {
        self.order()
    }

    fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("HODLR product, X", x, self.order())?;
        Ok(self.tree.to_user_order(&self.multiplied(&self.tree.to_tree_order(x), false)))
    }

    fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed HODLR product, X", x, self.order())?;
        Ok(self.tree.to_user_order(&self.multiplied(&self.tree.to_tree_order(x), true)))
    }
}

impl<T: Scalar> Hodlr<T> {
    /// `A X`, or `A^T X`, in tree order.
    pub(crate) fn multiplied(&self, x: &Matrix<T>, transposed: bool) -> Matrix<T> {
        let mut y = Matrix::zeros(x.nrows(), x.ncols());
        self.multiply_cluster(0, x.as_ref(), y.as_mut(), transposed);
        y
    }

    /// `y += A_cc x` for the diagonal block of cluster `c`, or with its transpose.
    pub(crate) fn multiply_cluster(&self, c: usize, x: MatRef<T>, y: MatMut<T>, transposed: bool) {
        match &self.nodes[c] {
            Node::Leaf(d) => add_product(y, T::ONE, if transposed { d.transpose() } else { d.as_ref() }, x),
            Node::Split(blocks) => {
                let cluster = self.tree.cluster(c);
                let k = cluster.children.len();
                let parts: Vec<MatRef<T>> = (0..k).map(|i| child_rows(&self.tree, cluster, i, x)).collect();
                for_children(&self.tree, cluster, y, |i, mut y| {
                    self.multiply_cluster(cluster.children.start + i, parts[i], y.as_mut(), transposed);
                    for j in (0..k).filter(|&j| j != i) {
                        let (u, v) = if transposed {
                            let block = &blocks[pair(k, j, i)];
                            (&block.v, &block.u)
                        } else {
                            let block = &blocks[pair(k, i, j)];
                            (&block.u, &block.v)
                        };
                        let mut small = Mat::zeros(v.ncols(), x.ncols());
                        add_product(small.as_mut(), T::ONE, v.transpose(), parts[j]);
                        add_product(y.as_mut(), T::ONE, u.as_ref(), small.as_ref());
                    }
                });
            }
        }
    }
}

/// The rows of child `i`.
pub(super) fn child_rows<'a, T>(tree: &ClusterTree, cluster: &Cluster, i: usize, x: MatRef<'a, T>) -> MatRef<'a, T> {
    let child = &tree.cluster(cluster.children.start + i).range;
    x.subrows(child.start - cluster.range.start, child.len())
}

/// Calls `f` with every child and its rows of `y`, in parallel when there are many.
pub(super) fn for_children<'a, T: Scalar>(
    tree: &ClusterTree,
    cluster: &Cluster,
    y: MatMut<'a, T>,
    f: impl Fn(usize, MatMut<'a, T>) + Sync,
) {
    let mut parts = Vec::with_capacity(cluster.children.len());
    let mut rest = y;
    for (i, child) in cluster.children.clone().enumerate() {
        let (part, after) = rest.split_at_row_mut(tree.cluster(child).len());
        parts.push((i, part));
        rest = after;
    }
    if cluster.len() >= 1024 {
        parts.into_par_iter().for_each(|(i, part)| f(i, part));
    } else {
        parts.into_iter().for_each(|(i, part)| f(i, part));
    }
}
