//! The blocks of an HSS matrix taken apart, and the two normal forms that its algorithms start from.
//!
//! *Orthonormal*: every `U` and `V` has orthonormal columns. From the leaves to the root, `U_i = Q R`: `Q` takes the
//! place of `U_i` and `R` goes into the parent. *Pushed down*: the diagonal blocks of every inner `D` are zero. From
//! the root to the leaves, block `(c, c)` of the parent's `D` goes into child `c` as `D_c += U_c D_cc V_c^T`. In both
//! forms at once the matrix is a sum of mutually orthogonal terms, `||A||_F^2 = sum_i ||D_i||_F^2`, and the singular
//! values of an off-diagonal block row are those of a small matrix (Xia, Chandrasekaran, Gu & Li 2010, section 3;
//! derivation in [`truncation`](super::truncation)).
//!
//! Cost O(n (m + r) r) for leaves of `m`.

use std::ops::Range;
use std::sync::Arc;

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::{Hss, NodeBlocks};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::linalg::{add_product, norm_frobenius, product, qr};
use crate::scalar::Scalar;

/// All blocks of an HSS matrix.
#[derive(Clone)]
pub(super) struct Telescope<T> {
    pub rows: Arc<ClusterTree>,
    pub cols: Arc<ClusterTree>,
    pub blocks: Vec<NodeBlocks<T>>,
    /// Whether `U = V` and `D = D^T` everywhere, bit for bit at the start and but for rounding later: then the work
    /// is done for the rows alone.
    pub symmetric: bool,
}

/// What a sweep from the leaves to the root makes of a node: its blocks with other bases, and the old bases in terms
/// of the new ones (`U_old = U_new left` on what is kept).
pub(super) struct Rebased<T> {
    pub blocks: NodeBlocks<T>,
    pub left: Mat<T>,
    pub right: Mat<T>,
}

/// For every node the old bases of its rows and columns in terms of the new ones.
pub(super) type Factors<T> = Vec<(Mat<T>, Mat<T>)>;

impl<T: Scalar> Telescope<T> {
    pub fn of(a: &Hss<T>) -> Self {
        let blocks = (0..a.layout.nodes().len())
            .map(|i| NodeBlocks { d: a.d(i).to_owned(), u: a.u(i).to_owned(), v: a.v(i).to_owned() })
            .collect::<Vec<_>>();
        let same = |block: &NodeBlocks<T>| {
            let (d, n) = (&block.d, block.d.ncols());
            // The comparison of faer panics on different shapes.
            block.u.shape() == block.v.shape()
                && block.u == block.v
                && (0..n).all(|j| (0..j).all(|i| d[(i, j)] == d[(j, i)]))
        };
        let symmetric = a.rows == a.cols && blocks.iter().all(same);
        Self { rows: a.rows.clone(), cols: a.cols.clone(), blocks, symmetric }
    }

    pub fn assemble(self) -> Result<Hss<T>, MatrixError> {
        Hss::assemble(self.rows, self.cols, &self.blocks)
    }

    /// With orthonormal bases, the diagonal blocks pushed down.
    pub fn normal_form(mut self) -> Self {
        self.orthonormalise();
        self.push_down();
        self
    }

    pub fn is_leaf(&self, node: usize) -> bool {
        self.rows.cluster(node).is_leaf()
    }

    pub fn children(&self, node: usize) -> Range<usize> {
        self.rows.cluster(node).children.clone()
    }

    /// The children of a node with the places of their numbers among the rows and columns of its `D`.
    pub fn child_places(&self, node: usize) -> Vec<(usize, Range<usize>, Range<usize>)> {
        let (mut row, mut col) = (0, 0);
        let place = |child: usize| {
            let block = &self.blocks[child];
            let places = (child, row..row + block.u.ncols(), col..col + block.v.ncols());
            (row, col) = (places.1.end, places.2.end);
            places
        };
        self.children(node).map(place).collect()
    }

    /// The factors that [`Telescope::rebase_level`] starts from.
    pub fn no_factors(&self) -> Factors<T> {
        vec![(Mat::zeros(0, 0), Mat::zeros(0, 0)); self.blocks.len()]
    }

    /// New bases for the nodes of a level, whose children have theirs: `step` gets each node with the blocks that the
    /// new bases of its children give.
    pub fn rebase_level<E: Send>(
        &mut self,
        level: usize,
        factors: &mut Factors<T>,
        step: impl Fn(usize, NodeBlocks<T>) -> (Rebased<T>, E) + Sync,
    ) -> Vec<E> {
        let nodes = self.rows.level(level);
        let done: Vec<(Rebased<T>, E)> =
            nodes.clone().into_par_iter().map(|i| step(i, self.rebased_by_children(i, factors))).collect();
        let mut extras = Vec::with_capacity(done.len());
        for (i, (rebased, extra)) in nodes.zip(done) {
            self.blocks[i] = rebased.blocks;
            factors[i] = (rebased.left, rebased.right);
            extras.push(extra);
        }
        extras
    }

    /// The root, when all other nodes have their new bases.
    pub fn rebase_root(&mut self, factors: &Factors<T>) {
        self.blocks[0] = self.rebased_by_children(0, factors);
    }

    /// The blocks of a node when the bases of its children have been replaced: `factors` of each child are old bases
    /// in terms of new.
    fn rebased_by_children(&self, node: usize, factors: &Factors<T>) -> NodeBlocks<T> {
        let old = &self.blocks[node];
        if self.is_leaf(node) {
            return old.clone();
        }
        let of_children = &factors[self.children(node)];
        let left: Vec<MatRef<T>> = of_children.iter().map(|(left, _)| left.as_ref()).collect();
        let right: Vec<MatRef<T>> = of_children.iter().map(|(_, right)| right.as_ref()).collect();
        let half = blocks_times(&left, old.d.as_ref());
        let d = blocks_times(&right, half.as_ref().transpose());
        let u = blocks_times(&left, old.u.as_ref());
        if self.symmetric {
            // Symmetric to the last bit again.
            let half = T::from_f64(0.5);
            let d = Mat::from_fn(d.nrows(), d.ncols(), |i, j| half * (d[(i, j)] + d[(j, i)]));
            return NodeBlocks { d, v: u.clone(), u };
        }
        NodeBlocks { d: d.transpose().to_owned(), u, v: blocks_times(&right, old.v.as_ref()) }
    }

    fn orthonormalise(&mut self) {
        let symmetric = self.symmetric;
        let mut factors = self.no_factors();
        for level in (1..=self.rows.depth()).rev() {
            self.rebase_level(level, &mut factors, |_, NodeBlocks { d, u, v }| {
                let (u, left) = qr(u.as_ref());
                let (v, right) = if symmetric { (u.clone(), left.clone()) } else { qr(v.as_ref()) };
                (Rebased { blocks: NodeBlocks { d, u, v }, left, right }, ())
            });
        }
        self.rebase_root(&factors);
    }

    /// Moves the diagonal blocks of every inner `D` into the children.
    pub fn push_down(&mut self) {
        for node in 0..self.blocks.len() {
            for (child, rows, cols) in self.child_places(node) {
                let mut block =
                    self.blocks[node].d.as_mut().submatrix_mut(rows.start, cols.start, rows.len(), cols.len());
                let moved = block.as_ref().to_owned();
                block.fill(T::ZERO);
                let NodeBlocks { d, u, v } = &mut self.blocks[child];
                let half = product(u.as_ref(), moved.as_ref());
                add_product(d.as_mut(), T::ONE, half.as_ref(), v.as_ref().transpose());
            }
        }
    }

    /// Frobenius norm of a matrix in normal form.
    pub fn norm_frobenius(&self) -> f64 {
        self.blocks.iter().map(|block| norm_frobenius(block.d.as_ref())).fold(0.0, f64::hypot)
    }
}

/// `blkdiag(factors) B`.
fn blocks_times<T: Scalar>(factors: &[MatRef<T>], b: MatRef<T>) -> Mat<T> {
    let mut out = Mat::zeros(factors.iter().map(|f| f.nrows()).sum(), b.ncols());
    let (mut from, mut to) = (0, 0);
    for factor in factors {
        let target = out.as_mut().submatrix_mut(to, 0, factor.nrows(), b.ncols());
        add_product(target, T::ONE, *factor, b.submatrix(from, 0, factor.ncols(), b.ncols()));
        (from, to) = (from + factor.ncols(), to + factor.nrows());
    }
    out
}
