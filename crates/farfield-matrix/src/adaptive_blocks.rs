//! Adaptive partition of a dense matrix into dense and low-rank blocks (Mango & Katende 2024, algorithm 1: truncate
//! the singular values of a block, split the blocks that miss the tolerance).
//!
//! Each block gets the part of the squared tolerance that its entries are of all entries, so that errors of disjoint
//! blocks, which add in squares, stay within the tolerance: `||A - H||_F^2 = sum_b e_b^2 <= sum_b tolerance^2 |b| /
//! |A| = tolerance^2`. The error of each block is the norm of its residual, computed, so the bound is proven. A block
//! becomes a low-rank leaf, a dense leaf, or is split into the blocks of its clusters' children, whichever stores the
//! fewest numbers; with a rank cap, blocks of larger rank are split, as the algorithm is printed, until dense leaves
//! are reached. No admissibility is asked for: the matrix itself decides, so the rows and columns may be in any
//! order, but only a good one compresses.
//!
//! Cost: an SVD of every block of the block tree, O(n^3): for matrices of at most a few thousand rows, such as the
//! weights of a network.

use std::ops::Range;
use std::sync::Arc;

use faer::Mat;
use rayon::prelude::*;

use crate::accuracy::Accuracy;
use crate::certificate::{Bound, Certificate, LevelRanks};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::linalg::{add_product, distance, norm_frobenius, product};
use crate::low_rank::LowRank;
use crate::matrix::Matrix;
use crate::operator::{LinearOperator, check_rows};
use crate::scalar::Scalar;

/// A matrix as dense and low-rank blocks on adaptively chosen pairs of clusters.
#[derive(Clone, Debug)]
pub struct AdaptiveBlocks<T> {
    rows: Arc<ClusterTree>,
    cols: Arc<ClusterTree>,
    leaves: Vec<AdaptiveLeaf<T>>,
}

/// One block of [`AdaptiveBlocks`].
#[derive(Clone, Debug)]
pub struct AdaptiveLeaf<T> {
    row: usize,
    col: usize,
    level: usize,
    error: f64,
    content: Content<T>,
}

#[derive(Clone, Debug)]
enum Content<T> {
    Dense(Mat<T>),
    LowRank(LowRank<T>),
}

impl<T: Scalar> AdaptiveLeaf<T> {
    /// Cluster of its rows in the row tree.
    pub fn row(&self) -> usize {
        self.row
    }

    /// Cluster of its columns in the column tree.
    pub fn col(&self) -> usize {
        self.col
    }

    /// How often the matrix was split to make it; 0 is the whole matrix.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Frobenius norm of its residual and a bound on the rounding errors in it; 0 for a dense block.
    pub fn error(&self) -> f64 {
        self.error
    }

    /// Its rank, if it is a low-rank block.
    pub fn rank(&self) -> Option<usize> {
        match &self.content {
            Content::Dense(_) => None,
            Content::LowRank(low) => Some(low.rank()),
        }
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        match &self.content {
            Content::Dense(d) => d.nrows() * d.ncols(),
            Content::LowRank(low) => low.stored(),
        }
    }
}

impl<T: Scalar> AdaptiveBlocks<T> {
    /// The partition of `a` on the given trees that stores the fewest numbers.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] when the trees do not fit the matrix, [`MatrixError::Entry`] for an infinite or NaN
    /// entry. The tolerance can always be met, by dense leaves.
    pub fn from_dense(
        a: &Matrix<T>,
        rows: &Arc<ClusterTree>,
        cols: &Arc<ClusterTree>,
        accuracy: Accuracy,
    ) -> Result<(Self, Certificate), MatrixError> {
        if (rows.len(), cols.len()) != (a.nrows(), a.ncols()) {
            let (m, n) = (a.nrows(), a.ncols());
            let reason = format!("trees of {} and {} indices for a {m} x {n} matrix", rows.len(), cols.len());
            return Err(MatrixError::Tree { reason });
        }
        if let Some((row, col)) = a.first_non_finite() {
            return Err(MatrixError::Entry { row, col, value: a[(row, col)].to_f64() });
        }
        let (row_order, col_order) = (rows.order(), cols.order());
        let inside = Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(row_order[i], col_order[j])]);
        // A block may exceed its share by a hundredth.
        let tolerance = 0.99 * accuracy.absolute_for(norm_frobenius(inside.as_ref()));
        let count = (a.nrows() as f64) * (a.ncols() as f64);
        let partition =
            Partition { matrix: &inside, rows, cols, density: tolerance / count.sqrt(), cap: accuracy.rank_cap() };
        let (_, leaves) = partition.best(0, 0, 0);
        let out = Self { rows: rows.clone(), cols: cols.clone(), leaves };
        // Each sum rounds.
        let rounding = 1.0 + f64::EPSILON * (out.leaves.len() + 4) as f64;
        let spent = rounding * out.leaves.iter().map(|leaf| leaf.error).fold(0.0, f64::hypot);
        let norm = out.leaves.iter().map(AdaptiveLeaf::norm).fold(0.0, f64::hypot);
        let bound = Bound::proven(spent);
        let certificate = Certificate {
            frobenius: bound,
            spectral: bound,
            norm,
            ranks: LevelRanks::of(out.leaves.iter().filter_map(|leaf| Some((leaf.level, leaf.rank()?)))),
            stored: out.stored(),
            dense: a.nrows() * a.ncols(),
        };
        Ok((out, certificate))
    }

    /// The blocks, which tile the matrix.
    pub fn leaves(&self) -> &[AdaptiveLeaf<T>] {
        &self.leaves
    }

    /// The tree of the rows.
    pub fn rows(&self) -> &Arc<ClusterTree> {
        &self.rows
    }

    /// The tree of the columns.
    pub fn cols(&self) -> &Arc<ClusterTree> {
        &self.cols
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        self.leaves.iter().map(AdaptiveLeaf::stored).sum()
    }

    /// All entries, in the user's order.
    pub fn to_dense(&self) -> Matrix<T> {
        let mut out = Matrix::zeros(self.rows.len(), self.cols.len());
        for leaf in &self.leaves {
            let block = leaf.to_dense();
            for (j, &col) in self.cols.indices(leaf.col).iter().enumerate() {
                for (i, &row) in self.rows.indices(leaf.row).iter().enumerate() {
                    out[(row, col)] = block[(i, j)];
                }
            }
        }
        out
    }

    fn times(&self, x: &Matrix<T>, transposed: bool) -> Matrix<T> {
        let (from, to) = if transposed { (&self.rows, &self.cols) } else { (&self.cols, &self.rows) };
        let x = from.to_tree_order(x);
        let mut y = Matrix::zeros(to.len(), x.ncols());
        for leaf in &self.leaves {
            let (rows, cols) = leaf.places(&self.rows, &self.cols);
            let (out, part) = if transposed { (cols, rows) } else { (rows, cols) };
            let part = x.as_ref().subrows(part.start, part.len());
            let target = y.as_mut().subrows_mut(out.start, out.len());
            match &leaf.content {
                Content::Dense(d) if transposed => add_product(target, T::ONE, d.as_ref().transpose(), part),
                Content::Dense(d) => add_product(target, T::ONE, d.as_ref(), part),
                Content::LowRank(LowRank { u, v }) => {
                    let (left, right) = if transposed { (v, u) } else { (u, v) };
                    add_product(target, T::ONE, left.as_ref(), product(right.as_ref().transpose(), part).as_ref());
                }
            }
        }
        to.to_user_order(&y)
    }
}

impl<T: Scalar> AdaptiveLeaf<T> {
    fn to_dense(&self) -> Mat<T> {
        match &self.content {
            Content::Dense(d) => d.clone(),
            Content::LowRank(low) => low.to_dense(),
        }
    }

    fn norm(&self) -> f64 {
        match &self.content {
            Content::Dense(d) => norm_frobenius(d.as_ref()),
            Content::LowRank(low) => low.norm_frobenius(),
        }
    }

    fn places(&self, rows: &ClusterTree, cols: &ClusterTree) -> (Range<usize>, Range<usize>) {
        (rows.cluster(self.row).range.clone(), cols.cluster(self.col).range.clone())
    }
}

impl<T: Scalar> LinearOperator<T> for AdaptiveBlocks<T> {
    fn nrows(&self) -> usize {
        self.rows.len()
    }

    fn ncols(&self) -> usize {
        self.cols.len()
    }

    fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("product of adaptive blocks, X", x, self.cols.len())?;
        Ok(self.times(x, false))
    }

    fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed product of adaptive blocks, X", x, self.rows.len())?;
        Ok(self.times(x, true))
    }
}

struct Partition<'a, T> {
    matrix: &'a Mat<T>,
    rows: &'a ClusterTree,
    cols: &'a ClusterTree,
    /// Error allowed per square root of an entry.
    density: f64,
    cap: Option<usize>,
}

impl<T: Scalar> Partition<'_, T> {
    /// The leaves of a block that store the fewest numbers, and how many.
    fn best(&self, row: usize, col: usize, level: usize) -> (usize, Vec<AdaptiveLeaf<T>>) {
        let (s, t) = (self.rows.cluster(row), self.cols.cluster(col));
        let entries = s.len() * t.len();
        if entries == 0 {
            return (0, Vec::new());
        }
        let block = self.matrix.as_ref().submatrix(s.range.start, t.range.start, s.len(), t.len());
        let tolerance = self.density * (entries as f64).sqrt();
        let whole = if norm_frobenius(block) <= tolerance {
            (LowRank::zero(s.len(), t.len()), norm_frobenius(block))
        } else {
            let (low, _) = LowRank::from_dense(block, tolerance);
            // With the rounding errors of the residual: those of a product of this rank, and of the sum of its squares.
            let rounding = T::EPSILON
                * (4.0 * ((low.rank() + 1) as f64).sqrt() * norm_frobenius(block) + entries as f64 * tolerance);
            let error = distance(low.to_dense().as_ref(), block) + rounding;
            (low, error)
        };
        let (low, error) = whole;
        // A residual may be a little over what the singular values say.
        let fits = self.cap.is_none_or(|cap| low.rank() <= cap) && error <= 1.01 * tolerance;
        let leaf = |content, error| AdaptiveLeaf { row, col, level, error, content };
        let (mut stored, mut leaves) = (entries, None);
        if fits && low.stored() < entries {
            (stored, leaves) = (low.stored(), Some(vec![leaf(Content::LowRank(low), error)]));
        }
        // Nothing is cheaper than rank 0.
        if stored > 0 && !(s.is_leaf() && t.is_leaf()) {
            let parts = |cluster: &crate::cluster_tree::Cluster, i: usize| {
                if cluster.is_leaf() { i..i + 1 } else { cluster.children.clone() }
            };
            let pairs: Vec<(usize, usize)> = parts(s, row).flat_map(|i| parts(t, col).map(move |j| (i, j))).collect();
            let found: Vec<_> = pairs.into_par_iter().map(|(i, j)| self.best(i, j, level + 1)).collect();
            let total: usize = found.iter().map(|(stored, _)| stored).sum();
            if total < stored {
                return (total, found.into_iter().flat_map(|(_, leaves)| leaves).collect());
            }
        }
        (stored, leaves.unwrap_or_else(|| vec![leaf(Content::Dense(block.to_owned()), 0.0)]))
    }
}
