//! The dense form of an HSS matrix.

use faer::Mat;

use super::Hss;
use crate::linalg::{add_product, product};
use crate::matrix::Matrix;
use crate::scalar::Scalar;

impl<T: Scalar> Hss<T> {
    /// All entries, in the user's order. For tests and small matrices.
    ///
    /// From the root to the leaves: `A_ii = D_i + U_i A'_ii V_i^T` for node `i`, where `A'` is the block that the parent holds for its
    /// children. Cost O(n^2 r).
    pub fn to_dense(&self) -> Matrix<T> {
        let inside = self.expand(0);
        let mut out = Matrix::zeros(self.nrows(), self.ncols());
        for (j, &col) in self.cols.order().iter().enumerate() {
            for (i, &row) in self.rows.order().iter().enumerate() {
                out[(row, col)] = inside[(i, j)];
            }
        }
        out
    }

    /// The diagonal block of a node's indices, without what comes from above.
    fn expand(&self, node: usize) -> Mat<T> {
        let place = self.layout.nodes()[node];
        if place.is_leaf() {
            return self.d(node).to_owned();
        }
        let rows = self.long_basis(node, Self::u, |n| n.rows());
        let cols = self.long_basis(node, Self::v, |n| n.cols());
        let mut out = product(product(rows.as_ref(), self.d(node)).as_ref(), cols.as_ref().transpose());
        for child in place.children() {
            let block = self.expand(child);
            let inner = self.layout.nodes()[child];
            let at = (inner.rows().start - place.rows().start, inner.cols().start - place.cols().start);
            let mut target = out.as_mut().submatrix_mut(at.0, at.1, block.nrows(), block.ncols());
            target += &block;
        }
        out
    }

    /// The bases of the children of a node in terms of its indices: block-diagonal, each child's basis multiplied down the tree.
    fn long_basis(
        &self,
        node: usize,
        basis: fn(&Self, usize) -> faer::MatRef<'_, T>,
        range: fn(&farfield_kernels::Node) -> std::ops::Range<usize>,
    ) -> Mat<T> {
        let place = self.layout.nodes()[node];
        if place.is_leaf() {
            return Mat::identity(range(&place).len(), range(&place).len());
        }
        let cols: usize = place.children().map(|child| basis(self, child).ncols()).sum();
        let mut out = Mat::zeros(range(&place).len(), cols);
        let mut col = 0;
        for child in place.children() {
            let below = self.long_basis(child, basis, range);
            let own = basis(self, child);
            let at = range(&self.layout.nodes()[child]).start - range(&place).start;
            let target = out.as_mut().submatrix_mut(at, col, below.nrows(), own.ncols());
            add_product(target, T::ONE, below.as_ref(), own);
            col += own.ncols();
        }
        out
    }
}
