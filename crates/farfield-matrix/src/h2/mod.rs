//! H2-matrices: strong admissibility and nested bases.
//!
//! ```text
//! A ~ sum over near blocks A(s, t) + sum over far blocks U_s B_st V_t^T,    U_s = diag(U_children) E_s
//! ```
//!
//! (Hackbusch, *Hierarchical Matrices* (2015), chapter 8; Borm, *Efficient Numerical Methods for Non-local Operators* (2010).) A block is far when the larger of the two
//! clusters is no wider than `eta` times their distance. Storage and product are O(n) for kernels whose far blocks have bounded rank.
//!
//! | bases ([`H2Basis`]) | works for | coupling `B_st` |
//! | --- | --- | --- |
//! | skeletons (Cheng et al. 2005; samples of the far field as in Cai, Huang, Chow & Xi 2022) | any entries | entries of the skeleton rows and columns |
//! | tensor Chebyshev interpolation | kernels | the kernel at the nodes |
//!
//! Coupling and near blocks are stored in full or single precision, or recomputed in every product ([`H2Storage`]). A symmetric kernel matrix keeps
//! one block of each pair.
//!
//! [`H2Matrix::add`], [`H2Matrix::add_low_rank`] and [`H2Matrix::recompress`] find the smallest bases that a tolerance allows and prove their error; [`H2Matrix::multiply`] measures it;
//! [`HMatrix::to_h2`](crate::HMatrix::to_h2) and [`HMatrix::from_h2`](crate::HMatrix::from_h2) convert. An H2-matrix has no factorisation of its own: solve, and
//! estimate condition numbers, with one of its H-matrix.
//!
//! [`H2Matrix::to_network`] and [`H2Matrix::from_network`] turn a matrix into the linear network of its [skeleton](crate::H2Skeleton) and back.
//!
//! Not for matrices without geometry, nor for small ones: below some thousand rows the dense product is faster.

mod apply;
mod arithmetic;
mod basis;
mod build;
mod chebyshev;
mod check;
mod extract;
mod form;
mod multiply;
mod network;
mod recompress;
mod skeleton;
mod storage;

use std::fmt;
use std::sync::Arc;

pub use build::{H2Basis, H2Options, H2Storage};

use crate::block_tree::Leaf;
use crate::certificate::{Bound, Certificate, LevelRanks};
use crate::cluster_tree::ClusterTree;
use crate::scalar::Scalar;
pub(crate) use basis::ClusterBasis;
pub(crate) use form::{Form, Placed};
use storage::{Blocks, Numbers};

/// An H2-matrix.
#[derive(Clone)]
pub struct H2Matrix<T> {
    rows: Arc<ClusterBasis<T>>,
    cols: Arc<ClusterBasis<T>>,
    /// Whether the blocks `(s, t)` with `s > t` are those with `s < t`, transposed, and not kept; the bases are then the same.
    mirrored: bool,
    /// Row and column cluster of every far block.
    far: Vec<(usize, usize)>,
    /// Row and column leaf of every near block.
    near: Vec<(usize, usize)>,
    blocks: Blocks<T>,
    /// A factor of the whole matrix.
    factor: T,
}

/// The parts of an H2-matrix with stored blocks: `values` block after block, far ones first, each column by column.
pub(crate) struct H2Parts<T> {
    pub rows: Arc<ClusterBasis<T>>,
    pub cols: Arc<ClusterBasis<T>>,
    pub mirrored: bool,
    pub far: Vec<(usize, usize)>,
    pub near: Vec<(usize, usize)>,
    pub values: Vec<T>,
    pub factor: T,
}

impl<T: Scalar> H2Matrix<T> {
    /// Number of rows.
    pub fn nrows(&self) -> usize {
        self.rows.tree.len()
    }

    /// Number of columns.
    pub fn ncols(&self) -> usize {
        self.cols.tree.len()
    }

    /// The tree of the rows.
    pub fn rows(&self) -> &Arc<ClusterTree> {
        &self.rows.tree
    }

    /// The tree of the columns.
    pub fn cols(&self) -> &Arc<ClusterTree> {
        &self.cols.tree
    }

    /// Ranks of the bases on each level, of rows and columns (once if they are the same).
    pub fn ranks(&self) -> Vec<LevelRanks> {
        let of = |basis: &ClusterBasis<T>| {
            let clusters = basis.tree.clusters().iter().enumerate();
            clusters.map(|(i, c)| (c.level, basis.rank(i))).filter(|&(_, k)| k > 0).collect::<Vec<_>>()
        };
        let mut ranks = of(&self.rows);
        if !self.mirrored {
            ranks.extend(of(&self.cols));
        }
        LevelRanks::of(ranks)
    }

    /// Numbers stored: bases, and blocks that are not recomputed.
    pub fn stored(&self) -> usize {
        let cols = if self.mirrored { 0 } else { self.cols.stored() };
        self.rows.stored() + cols + self.blocks.stored()
    }

    /// Multiply-adds of a product with one vector: one a number of the bases (two where rows and columns share them) and of every block, the mirror images
    /// that are not kept included. Blocks that are recomputed cost as many, and the kernel.
    pub fn multiply_adds(&self) -> usize {
        let of_block = |i: usize| {
            let ((m, n), (s, t)) = (self.size(i), self.pair(i));
            m * n * if self.mirrored && s != t { 2 } else { 1 }
        };
        let of_blocks: usize = (0..self.far.len() + self.near.len()).map(of_block).sum();
        self.rows.stored() + self.cols.stored() + of_blocks
    }

    /// Bytes of bases, blocks and coordinates (trees not counted).
    pub fn memory_bytes(&self) -> usize {
        let cols = if self.mirrored { 0 } else { self.cols.stored() };
        (self.rows.stored() + cols) * size_of::<T>() + self.blocks.memory_bytes()
    }

    /// Far blocks and near blocks; of a symmetric kernel matrix those that are kept.
    pub fn block_counts(&self) -> (usize, usize) {
        (self.far.len(), self.near.len())
    }

    /// The blocks, far ones first; of a symmetric kernel matrix both halves.
    pub fn leaves(&self) -> Vec<Leaf> {
        let (rows, cols) = (&self.rows.tree, &self.cols.tree);
        let leaf = |s: usize, t: usize, rank: Option<usize>| Leaf {
            rows: rows.cluster(s).range.clone(),
            cols: cols.cluster(t).range.clone(),
            level: rows.cluster(s).level.max(cols.cluster(t).level),
            rank,
        };
        let far = self.far.iter().map(|&(s, t)| (s, t, Some(self.rows.rank(s).min(self.cols.rank(t)))));
        let blocks = far.chain(self.near.iter().map(|&(s, t)| (s, t, None)));
        let both =
            |(s, t, rank)| std::iter::once((s, t, rank)).chain((self.mirrored && s != t).then_some((t, s, rank)));
        blocks.flat_map(both).map(|(s, t, rank)| leaf(s, t, rank)).collect()
    }

    /// The certificate of this matrix, of the given Frobenius norm, with a bound on its error.
    pub(crate) fn certify(&self, bound: Bound, norm: f64) -> Certificate {
        Certificate {
            frobenius: bound,
            spectral: bound,
            norm,
            ranks: self.ranks(),
            stored: self.stored(),
            dense: self.nrows() * self.ncols(),
        }
    }

    pub(crate) fn row_basis(&self) -> &ClusterBasis<T> {
        &self.rows
    }

    pub(crate) fn col_basis(&self) -> &ClusterBasis<T> {
        &self.cols
    }

    pub(crate) fn is_mirrored(&self) -> bool {
        self.mirrored
    }

    pub(crate) fn far_pairs(&self) -> &[(usize, usize)] {
        &self.far
    }

    pub(crate) fn near_pairs(&self) -> &[(usize, usize)] {
        &self.near
    }

    pub(crate) fn factor(&self) -> T {
        self.factor
    }

    /// The matrix with these parts, blocks stored. The caller vouches for their sizes.
    pub(crate) fn from_parts(parts: H2Parts<T>) -> Self {
        let H2Parts { rows, cols, mirrored, far, near, values, factor } = parts;
        let far_sizes = far.iter().map(|&(s, t)| rows.rank(s) * cols.rank(t));
        let near_sizes = near.iter().map(|&(s, t)| rows.tree.cluster(s).len() * cols.tree.cluster(t).len());
        let mut starts = vec![0];
        for size in far_sizes.chain(near_sizes) {
            starts.push(starts[starts.len() - 1] + size);
        }
        let blocks = Blocks::Stored { starts: Arc::new(starts), numbers: Arc::new(Numbers::Full(values)) };
        Self { rows, cols, mirrored, far, near, blocks, factor }
    }
}

impl<T: Scalar> fmt::Debug for H2Matrix<T> {
    /// The sizes, not the entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2Matrix")
            .field("nrows", &self.nrows())
            .field("ncols", &self.ncols())
            .field("far_blocks", &self.far.len())
            .field("near_blocks", &self.near.len())
            .field("stored", &self.stored())
            .finish()
    }
}
