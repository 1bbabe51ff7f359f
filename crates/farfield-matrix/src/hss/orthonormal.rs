//! An HSS matrix with orthonormal bases: the same matrix, its parameters no larger than its blocks.
//!
//! From the leaves up, `U = W R` by QR; `W` stays, `R` goes into the parent: `D(i) <- blkdiag(R) D(i) blkdiag(S)^T` and
//! `U(i) <- blkdiag(R) U(i)`, with `S` from `V` alike. Exact up to rounding, ranks at most the number of rows of a block. Factorisations start
//! here, so that badly scaled bases cannot spoil their backward error. Cost: `O(n r)` a level of ranks `r`.

use faer::{Mat, MatRef};

use super::Hss;
use super::passes::{downward, upward};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::householder::HouseholderQr;
use crate::linalg::{add_product, product};
use crate::scalar::Scalar;

/// The blocks of one node. `d` of a leaf is that of the matrix; `u` and `v` have orthonormal columns.
pub(super) struct OrthonormalNode<T> {
    pub d: Mat<T>,
    pub u: Mat<T>,
    pub v: Mat<T>,
}

impl<T: Scalar> Hss<T> {
    /// The blocks of every node, with orthonormal bases.
    pub(super) fn orthonormal(&self) -> Result<Vec<OrthonormalNode<T>>, MatrixError> {
        let (nodes, _) = upward(&self.rows, |i, children: Vec<(Mat<T>, Mat<T>)>| {
            let leaf = self.layout.nodes()[i].is_leaf();
            let (of_u, of_v): (Vec<_>, Vec<_>) = children.into_iter().unzip();
            let lift = |factors: &[Mat<T>], block: MatRef<T>| {
                if leaf { block.to_owned() } else { block_diagonal_product(factors, block) }
            };
            let d = lift(&of_v, lift(&of_u, self.d(i)).transpose()).transpose().to_owned();
            let (u, r) = factored(lift(&of_u, self.u(i)));
            let (v, s) = factored(lift(&of_v, self.v(i)));
            Ok((OrthonormalNode { d, u, v }, (r, s)))
        })?;
        Ok(nodes)
    }
}

fn factored<T: Scalar>(basis: Mat<T>) -> (Mat<T>, Mat<T>) {
    let qr = HouseholderQr::new(basis.as_ref());
    (qr.q.thin(), qr.r)
}

/// `blkdiag(factors) B`.
pub(super) fn block_diagonal_product<T: Scalar>(factors: &[Mat<T>], b: MatRef<T>) -> Mat<T> {
    let mut out = Mat::zeros(factors.iter().map(|f| f.nrows()).sum(), b.ncols());
    let (mut row, mut col) = (0, 0);
    for f in factors {
        let part = product(f.as_ref(), b.subrows(col, f.ncols()));
        out.as_mut().subrows_mut(row, f.nrows()).copy_from(&part);
        (row, col) = (row + f.nrows(), col + f.ncols());
    }
    out
}

/// The blocks one below the other.
pub(super) fn stack<'a, T: Scalar>(blocks: impl Iterator<Item = MatRef<'a, T>> + Clone, ncols: usize) -> Mat<T> {
    let mut out = Mat::zeros(blocks.clone().map(|b| b.nrows()).sum(), ncols);
    let mut row = 0;
    for b in blocks {
        out.as_mut().subrows_mut(row, b.nrows()).copy_from(b);
        row += b.nrows();
    }
    out
}

/// The Frobenius norm of the matrix with these blocks, exact up to rounding: what the levels above put on the diagonal of a node is carried down,
/// and with orthonormal bases the norm of every other block is that of its core.
pub(super) fn norm_frobenius<T: Scalar>(tree: &ClusterTree, nodes: &[OrthonormalNode<T>]) -> f64 {
    let of_root = &nodes[0];
    let root = Mat::zeros(of_root.u.ncols(), of_root.v.ncols());
    let squares = downward(tree, root, |i, above: Mat<T>| {
        let node = &nodes[i];
        let mut block = node.d.clone();
        add_product(
            block.as_mut(),
            T::ONE,
            product(node.u.as_ref(), above.as_ref()).as_ref(),
            node.v.as_ref().transpose(),
        );
        let mut square = crate::linalg::norm_frobenius(block.as_ref()).powi(2);
        let mut at = (0, 0);
        let mut passed = Vec::new();
        for child in tree.cluster(i).children.clone() {
            let (rows, cols) = (nodes[child].u.ncols(), nodes[child].v.ncols());
            let diagonal = block.as_ref().submatrix(at.0, at.1, rows, cols).to_owned();
            square -= crate::linalg::norm_frobenius(diagonal.as_ref()).powi(2);
            passed.push(diagonal);
            at = (at.0 + rows, at.1 + cols);
        }
        (square.max(0.0), passed)
    });
    squares.iter().sum::<f64>().sqrt()
}
