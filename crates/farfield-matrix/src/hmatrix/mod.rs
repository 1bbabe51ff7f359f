//! H-matrices: dense leaves near the diagonal, leaves of low rank away from it.
//!
//! A [`BlockTree`](crate::BlockTree) tiles the matrix; admissible blocks are stored as `U V^T`, the others by their entries. Unlike in the formats with
//! nested bases every block has factors of its own, so that a matrix known by its entries is compressed block by block, and products,
//! sums and factorisations are recursions over the blocks. Hackbusch, *Hierarchical Matrices* (2015).
//!
//! Cost: O(k n log n) numbers and operations a product for ranks of k; LU and Cholesky factorisation O(k^2 n log^2 n). Where memory counts and only products are needed,
//! nested bases take less.

mod accumulator;
mod apply;
mod arithmetic;
mod block;
mod build;
mod cholesky;
mod convert;
mod error_of_factors;
mod extract;
mod lu;
mod multiply;
mod options;
mod sketch;
mod triangular;

use std::sync::Arc;

use crate::block_tree::Leaf;
use crate::certificate::LevelRanks;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::scalar::Scalar;

pub(crate) use block::{Block, Split};
pub use cholesky::HCholesky;
pub use lu::HLu;
pub use options::{Check, Compression, Division, HMatrixOptions};

/// A hierarchical matrix with dense leaves and leaves of low rank.
///
/// ```
/// use std::sync::Arc;
/// use farfield_matrix::*;
///
/// let n = 500;
/// let points = Points::new(1, (0..n).map(|i| i as f64 / n as f64).collect())?;
/// let tree = Arc::new(ClusterTree::geometric(&points, 20, Splitting::Median)?);
/// let kernel = EntryFn::new(n, n, |i, j| {
///     let r = (i as f64 - j as f64).abs() / n as f64;
///     if i == j { 10.0 } else { 0.01 / r }
/// });
/// let options = HMatrixOptions::new(Accuracy::relative(1e-8)?);
/// let (h, certificate) = HMatrix::build(&kernel, &tree, &tree, Admissibility::Strong { eta: 2.0 }, &options)?;
/// assert!(certificate.frobenius.value <= 1e-8 * certificate.norm && certificate.compression() < 0.5);
///
/// let (lu, _) = h.lu(&Accuracy::relative(1e-10)?, 1)?;
/// let b = Matrix::from_fn(n, 1, |i, _| (i % 7) as f64);
/// let x = lu.solve(&b)?;
/// let residual = h.apply(&x)?;
/// assert!((0..n).all(|i| (residual[(i, 0)] - b[(i, 0)]).abs() < 1e-7));
/// # Ok::<(), MatrixError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HMatrix<T> {
    rows: Arc<ClusterTree>,
    cols: Arc<ClusterTree>,
    root: Arc<Block<T>>,
}

impl<T: Scalar> HMatrix<T> {
    /// Number of rows.
    pub fn nrows(&self) -> usize {
        self.rows.len()
    }

    /// Number of columns.
    pub fn ncols(&self) -> usize {
        self.cols.len()
    }

    /// The clusters of the rows.
    pub fn rows(&self) -> &Arc<ClusterTree> {
        &self.rows
    }

    /// The clusters of the columns.
    pub fn cols(&self) -> &Arc<ClusterTree> {
        &self.cols
    }

    pub(crate) fn root(&self) -> &Block<T> {
        &self.root
    }

    /// The matrix with this root block, whose splits are those of the trees. The caller vouches for it.
    pub(crate) fn from_root(rows: Arc<ClusterTree>, cols: Arc<ClusterTree>, root: Block<T>) -> Self {
        Self { rows, cols, root: Arc::new(root) }
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        self.root.stored()
    }

    /// Multiply-adds of a product with one vector: one a number.
    pub fn multiply_adds(&self) -> usize {
        self.stored()
    }

    /// Bytes of the stored numbers.
    pub fn memory_bytes(&self) -> usize {
        self.stored() * size_of::<T>()
    }

    /// The leaves, in the order of the recursion.
    pub fn leaves(&self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        self.root.for_leaves(0, 0, 0, &mut |row, col, level, leaf| {
            let (rows, cols) = (row..row + leaf.nrows(), col..col + leaf.ncols());
            let rank = if let Block::LowRank(a) = leaf { Some(a.rank()) } else { None };
            leaves.push(Leaf { rows, cols, level, rank });
        });
        leaves
    }

    /// The ranks of the leaves of low rank on each level of the block tree.
    pub fn ranks(&self) -> Vec<LevelRanks> {
        LevelRanks::of(self.leaves().into_iter().filter_map(|leaf| Some((leaf.level, leaf.rank?))))
    }

    /// `Ok` for a square matrix whose rows and columns have the same clusters.
    fn check_square(&self, what: &'static str) -> Result<(), MatrixError> {
        if same_clusters(&self.rows, &self.cols) {
            return Ok(());
        }
        let reason =
            format!("{what}: needs the same clusters of rows and columns ({} x {})", self.nrows(), self.ncols());
        Err(MatrixError::Tree { reason })
    }

    /// `Ok` for a matrix whose entry `(i, i)` in tree order is one `(i, i)` in the user's.
    fn check_same_order(&self, what: &'static str) -> Result<(), MatrixError> {
        self.check_square(what)?;
        if self.rows.order() == self.cols.order() {
            return Ok(());
        }
        Err(MatrixError::Tree { reason: format!("{what}: rows and columns are in different orders") })
    }

    fn with_root(&self, root: Block<T>) -> Self {
        Self { rows: Arc::clone(&self.rows), cols: Arc::clone(&self.cols), root: Arc::new(root) }
    }
}

/// Whether two trees have the same clusters over their tree orders.
fn same_clusters(a: &Arc<ClusterTree>, b: &Arc<ClusterTree>) -> bool {
    let same = |(a, b): (&crate::Cluster, &crate::Cluster)| a.range == b.range && a.children == b.children;
    Arc::ptr_eq(a, b) || (a.clusters().len() == b.clusters().len() && a.clusters().iter().zip(b.clusters()).all(same))
}

/// Whether two trees have the same clusters over the same indices of the user.
pub(crate) fn same_tree(a: &Arc<ClusterTree>, b: &Arc<ClusterTree>) -> bool {
    same_clusters(a, b) && a.order() == b.order()
}
