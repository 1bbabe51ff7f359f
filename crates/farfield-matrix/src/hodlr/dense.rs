//! Entries, blocks and the dense form of a HODLR matrix, in the user's order.

use faer::{Mat, MatMut};

use super::{Hodlr, Node, pair, pairs};
use crate::entries::Entries;
use crate::error::MatrixError;
use crate::matrix::Matrix;
use crate::operator::check_indices;
use crate::scalar::Scalar;

impl<T: Scalar> Hodlr<T> {
    /// All entries. For tests and small matrices. Cost: `O(n^2 r)`.
    pub fn to_dense(&self) -> Matrix<T> {
        let n = self.order();
        let mut inside = Mat::zeros(n, n);
        self.expand(0, inside.as_mut());
        let positions = self.positions();
        Matrix::from_fn(n, n, |i, j| inside[(positions[i], positions[j])])
    }

    fn expand(&self, c: usize, mut out: MatMut<T>) {
        match &self.nodes[c] {
            Node::Leaf(d) => out.copy_from(d),
            Node::Split(blocks) => {
                let cluster = self.tree.cluster(c);
                let children = cluster.children.clone();
                let place = |i: usize| {
                    let range = &self.tree.cluster(children.start + i).range;
                    (range.start - cluster.range.start, range.len())
                };
                for (i, j) in pairs(children.len()) {
                    let ((row, m), (col, n)) = (place(i), place(j));
                    let block = blocks[pair(children.len(), i, j)].to_dense();
                    out.as_mut().submatrix_mut(row, col, m, n).copy_from(block);
                }
                for (i, child) in children.clone().enumerate() {
                    let (at, m) = place(i);
                    self.expand(child, out.as_mut().submatrix_mut(at, at, m, m));
                }
            }
        }
    }

    /// The entries at `rows x cols`, in the user's order; indices may be repeated. Cost: `O(r + log n)` an entry.
    ///
    /// # Errors
    /// [`MatrixError::Option`] for an index that is not below the order.
    pub fn block(&self, rows: &[usize], cols: &[usize]) -> Result<Matrix<T>, MatrixError> {
        check_indices("row", rows, self.order())?;
        check_indices("column", cols, self.order())?;
        Ok(Matrix::from_fn(rows.len(), cols.len(), |i, j| Entries::entry(self, rows[i], cols[j])))
    }

    /// Entry `(row, col)`, in the user's order. Cost: `O(r + log n)`.
    ///
    /// # Errors
    /// As [`Hodlr::block`].
    pub fn entry(&self, row: usize, col: usize) -> Result<T, MatrixError> {
        Ok(self.block(&[row], &[col])?[(0, 0)])
    }

    /// The diagonal. Cost: O(n).
    pub fn diagonal(&self) -> Vec<T> {
        let mut out = vec![T::ZERO; self.order()];
        for (cluster, node) in self.tree.clusters().iter().zip(self.nodes()) {
            let Node::Leaf(d) = node else { continue };
            for (i, &index) in self.tree.order()[cluster.range.clone()].iter().enumerate() {
                out[index] = d[(i, i)];
            }
        }
        out
    }

    /// The sum of the diagonal, added in f64 in the order of the indices.
    pub fn trace(&self) -> f64 {
        self.diagonal().into_iter().map(|x| x.to_f64()).sum()
    }
}

impl<T: Scalar> Entries<T> for Hodlr<T> {
    fn nrows(&self) -> usize {
        self.order()
    }

    fn ncols(&self) -> usize {
        self.order()
    }

    /// Entry `(row, col)`. Cost: `O(r + log n)`.
    ///
    /// # Panics
    /// When there is no such entry, as for a slice.
    fn entry(&self, row: usize, col: usize) -> T {
        let positions = self.positions();
        let (row, col) = (positions[row], positions[col]);
        let mut c = 0;
        loop {
            match &self.nodes[c] {
                Node::Leaf(d) => {
                    let at = self.tree.cluster(c).range.start;
                    return d[(row - at, col - at)];
                }
                Node::Split(blocks) => {
                    let children = self.tree.cluster(c).children.clone();
                    let holds = |place: usize| {
                        children.clone().position(|child| self.tree.cluster(child).range.contains(&place)).unwrap_or(0)
                    };
                    let (i, j) = (holds(row), holds(col));
                    if i != j {
                        let block = &blocks[pair(children.len(), i, j)];
                        let row = row - self.tree.cluster(children.start + i).range.start;
                        let col = col - self.tree.cluster(children.start + j).range.start;
                        return (0..block.rank()).fold(T::ZERO, |sum, k| sum + block.u[(row, k)] * block.v[(col, k)]);
                    }
                    c = children.start + i;
                }
            }
        }
    }
}
