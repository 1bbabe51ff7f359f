//! Building an H-matrix from entries: every admissible block is compressed on its own, in parallel.
//!
//! # How the tolerance is divided
//! Errors of disjoint blocks add in squares, `||A - H||_F^2 = sum_b ||A_b - H_b||_F^2`.
//!
//! * [`Division::Blockwise`]: `||A_b - H_b|| <= tol ||A_b||` in each admissible block, which gives `||A - H||_F <= tol ||A_far||_F <= tol ||A||_F`: also
//!   the part of the matrix away from a dominating diagonal is relatively accurate.
//! * [`Division::Global`]: block b may err by `E sqrt((m_b + n_b) / sum (m + n))`, with `E` the error allowed for the matrix. A further rank of block b costs `m_b + n_b`
//!   numbers and removes `s_k^2` of squared error, so least memory at a given error means to cut each block where `s_k^2 / (m_b + n_b)` falls below one common value; singular values that decay
//!   geometrically make the tails proportional to it. For a relative tolerance `E = tol ||A_dense||_F`, a lower bound on `tol ||A||_F` that the dense leaves, which are
//!   filled first, give without further entries.
//!
//! An absolute tolerance is always divided globally.
//!
//! # What is known about the error
//! With [`Compression::Svd`] and with [`Check::Exact`] the residual of each block is computed from all its entries, and rounding is added: proven.
//! With [`Check::Sampled`] that holds for small blocks; in larger ones it is estimated from entries at random places that had no part in the construction:
//! [`sampled_error`](crate::sampled_error) says how, and what is assumed. A block whose own estimate exceeds its tolerance is
//! compressed again from all entries, and the others are sampled anew, at new places; failures of the rounds add up to the one stated.
//!
//! # Symmetry
//! Where the entries say that they are symmetric and rows and columns are one tree, one of each two blocks that mirror each other is built, and the other is its
//! transpose; its error counts twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use faer::Mat;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::HMatrix;
use super::block::{Block, Split};
use super::error_of_factors::FAILURE;
use super::options::{Check, Compression, Division, HMatrixOptions};
use super::sketch::hash;
use crate::block_tree::{Admissibility, BlockKind, BlockTree};
use crate::certificate::{Bound, Certificate};
use crate::cluster_tree::ClusterTree;
use crate::cross_approximation::cross_approximation;
use crate::entries::{Entries, finite_block};
use crate::error::MatrixError;
use crate::linalg::{distance, norm_frobenius};
use crate::low_rank::LowRank;
use crate::sampled_error::{Effort, SquaredError, upper_bound};
use crate::scalar::Scalar;

/// Places sampled in a block, at least.
const PLACES: usize = 2048;

/// Blocks of at most so many entries are checked by all of them.
const SMALL: usize = 4 * PLACES;

/// Times that the blocks are sampled, at most.
const ROUNDS: usize = 3;

/// Part of the tolerance for blocks that leave room for a sampled bound.
const TIGHTER: f64 = 0.6;

/// Part of the tolerance that truncations may use: the rest is for rounding.
const MARGIN: f64 = 0.95;

/// Bytes that a block may take when it is compressed from all of its entries.
const MOST_OF_A_BLOCK: usize = 1 << 32;

/// Error allowed in a block.
#[derive(Clone, Copy)]
enum Allowed {
    /// Relative to its norm.
    Relative(f64),
    /// Times `sqrt(m + n)`.
    Absolute(f64),
}

impl Allowed {
    fn of(self, m: usize, n: usize, norm: f64) -> f64 {
        match self {
            Self::Relative(tolerance) => tolerance * norm,
            Self::Absolute(scale) => scale * ((m + n) as f64).sqrt(),
        }
    }
}

/// A compressed block.
struct Compressed<T> {
    block: Block<T>,
    /// Bound on its error; nothing when only sampling can tell.
    error: Option<f64>,
}

/// The leaves, by the numbers of their blocks.
type Leaves<T> = Vec<Option<Block<T>>>;

struct Builder<'a, T> {
    entries: &'a dyn Entries<T>,
    rows: &'a ClusterTree,
    cols: &'a ClusterTree,
    tree: BlockTree,
    options: &'a HMatrixOptions,
    bytes: AtomicUsize,
}

impl<T: Scalar> HMatrix<T> {
    /// The H-matrix of `entries` on the block tree of `rows` and `cols`.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when a tree does not have one index a row or column; those of [`BlockTree::new`]; [`MatrixError::Entry`] for an entry that is
    /// infinite or NaN, as far as it was looked at; [`MatrixError::Memory`] when the budget of the accuracy is exceeded, or a block of more than 4 GiB had to be compressed from all of its entries; [`MatrixError::Tolerance`] when the rank
    /// cap or rounding does not allow the tolerance.
    pub fn build(
        entries: &dyn Entries<T>,
        rows: &Arc<ClusterTree>,
        cols: &Arc<ClusterTree>,
        admissibility: Admissibility,
        options: &HMatrixOptions,
    ) -> Result<(Self, Certificate), MatrixError> {
        Self::build_with_progress(entries, rows, cols, admissibility, options, &|_, _| {})
    }

    /// As [`HMatrix::build`]; calls `progress` with the number of blocks done and of all blocks, from any thread.
    ///
    /// # Errors
    /// As [`HMatrix::build`].
    pub fn build_with_progress(
        entries: &dyn Entries<T>,
        rows: &Arc<ClusterTree>,
        cols: &Arc<ClusterTree>,
        admissibility: Admissibility,
        options: &HMatrixOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Self, Certificate), MatrixError> {
        for (what, got, expected) in [
            ("H-matrix, rows of the entries", entries.nrows(), rows.len()),
            ("H-matrix, columns of the entries", entries.ncols(), cols.len()),
        ] {
            if got != expected {
                return Err(MatrixError::Rows { what, got, expected });
            }
        }
        let tree = BlockTree::new(rows, cols, admissibility)?;
        let bytes = AtomicUsize::new(0);
        let builder = Builder { entries, rows, cols, tree, options, bytes };
        let (blocks, bound, norm) = builder.blocks(progress)?;
        let root = builder.assemble(blocks);
        let h = Self { rows: Arc::clone(rows), cols: Arc::clone(cols), root: Arc::new(root) };
        let allowed = options.accuracy.absolute_for((norm - bound.value).max(0.0));
        if bound.value > allowed && bound.value > 0.0 {
            let limit = "the rounding errors of the entries".to_owned();
            return Err(MatrixError::Tolerance { what: "H-matrix", tolerance: allowed, reached: bound.value, limit });
        }
        let certificate = h.certificate(bound, norm);
        Ok((h, certificate))
    }

    /// What is known when the error has this bound and the matrix this norm.
    pub(super) fn certificate(&self, bound: Bound, norm: f64) -> Certificate {
        Certificate {
            frobenius: bound,
            spectral: bound,
            norm,
            ranks: self.ranks(),
            stored: self.stored(),
            dense: self.nrows() * self.ncols(),
        }
    }
}

impl<T: Scalar> Builder<'_, T> {
    /// The user's rows and columns of a block.
    fn indices(&self, block: usize) -> (&[usize], &[usize]) {
        let block = &self.tree.blocks()[block];
        (self.rows.indices(block.row), self.cols.indices(block.col))
    }

    /// For each block of the tree the one that is its transpose, when the matrix is symmetric and that block comes earlier.
    fn mirrors(&self) -> Vec<Option<usize>> {
        let blocks = self.tree.blocks();
        if !self.entries.is_symmetric() || !std::ptr::eq(self.rows, self.cols) {
            return vec![None; blocks.len()];
        }
        let number: HashMap<(usize, usize), usize> =
            blocks.iter().enumerate().map(|(i, block)| ((block.row, block.col), i)).collect();
        let mirror = |i: usize| {
            let other = *number.get(&(blocks[i].col, blocks[i].row))?;
            (other < i && blocks[other].kind == blocks[i].kind).then_some(other)
        };
        (0..blocks.len()).map(mirror).collect()
    }

    /// All leaves, a bound on the error, and the norm of the result.
    fn blocks(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<(Leaves<T>, Bound, f64), MatrixError> {
        let mirrors = self.mirrors();
        let sources: HashSet<usize> = mirrors.iter().flatten().copied().collect();
        let times = |blocks: &[usize]| blocks.iter().map(|i| 1 + usize::from(sources.contains(i))).collect();
        // What is computed: one of each two that mirror each other.
        let of = |kind: BlockKind| -> Vec<usize> {
            let leaves = self.tree.leaves().filter(|(i, block)| block.kind == kind && mirrors[*i].is_none());
            leaves.map(|(i, _)| i).collect()
        };
        let (near, far) = (of(BlockKind::Dense), of(BlockKind::LowRank));
        let (near_times, far_times): (Vec<usize>, Vec<usize>) = (times(&near), times(&far));
        let size = |&i: &usize| self.indices(i).0.len() * self.indices(i).1.len();
        self.spend(near.iter().zip(&near_times).map(|(i, times)| times * size(i)).sum())?;
        let (done, total) = (AtomicUsize::new(0), near.len() + far.len());
        let tick = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        let dense: Result<Vec<Mat<T>>, MatrixError> = near
            .par_iter()
            .map(|&i| {
                let a = self.fill(i)?;
                tick();
                Ok(a)
            })
            .collect();
        let dense = dense?;
        let near_squares: f64 =
            dense.iter().zip(&near_times).map(|(a, &times)| times as f64 * norm_frobenius(a.as_ref()).powi(2)).sum();
        let allowed = self.allowed(near_squares.sqrt(), &far, &far_times);
        let mut blocks: Leaves<T> = Vec::new();
        blocks.resize_with(self.tree.blocks().len(), || None);
        for (&i, a) in near.iter().zip(dense) {
            blocks[i] = Some(Block::Dense(a));
        }
        let compressed: Result<Vec<Compressed<T>>, MatrixError> = far
            .par_iter()
            .zip(&far_times)
            .map(|(&i, times)| {
                let compressed = self.compress(i, allowed, 1.0)?;
                self.spend(times * compressed.block.stored())?;
                tick();
                Ok(compressed)
            })
            .collect();
        let mut compressed = compressed?;
        let mut bound = self.bound(&far, &far_times, &mut compressed, allowed, 0)?;
        // The V of a compressed block has orthonormal columns.
        let norm = |far: &[Compressed<T>]| {
            let squares = far.iter().zip(&far_times).map(|(c, &times)| {
                times as f64
                    * match &c.block {
                        Block::LowRank(low) => norm_frobenius(low.u.as_ref()).powi(2),
                        other => other.norm_squared(),
                    }
            });
            (near_squares + squares.sum::<f64>()).sqrt()
        };
        if bound.value > self.options.accuracy.absolute_for((norm(&compressed) - bound.value).max(0.0)) {
            // Few blocks, whose errors are near what is allowed, do not leave the room that a sampled bound needs.
            let tighter: Result<Vec<Compressed<T>>, MatrixError> = far
                .par_iter()
                .zip(compressed)
                .map(|(&i, c)| if c.error.is_none() { self.compress(i, allowed, TIGHTER) } else { Ok(c) })
                .collect();
            compressed = tighter?;
            bound = self.bound(&far, &far_times, &mut compressed, allowed, ROUNDS)?;
        }
        let norm = norm(&compressed);
        for (&i, compressed) in far.iter().zip(compressed) {
            blocks[i] = Some(compressed.block);
        }
        let copies: Leaves<T> = mirrors
            .par_iter()
            .map(|source| source.and_then(|source| blocks[source].as_ref()).map(Block::transpose))
            .collect();
        for (block, copy) in blocks.iter_mut().zip(copies) {
            if copy.is_some() {
                *block = copy;
            }
        }
        Ok((blocks, bound, norm))
    }

    fn allowed(&self, near: f64, far: &[usize], times: &[usize]) -> Allowed {
        let accuracy = &self.options.accuracy;
        let sides: usize =
            far.iter().zip(times).map(|(&i, times)| times * (self.indices(i).0.len() + self.indices(i).1.len())).sum();
        if !accuracy.is_relative() {
            Allowed::Absolute(accuracy.tolerance() / (sides as f64).sqrt())
        } else if self.options.division == Division::Global && near > 0.0 {
            Allowed::Absolute(accuracy.tolerance() * near / (sides as f64).sqrt())
        } else {
            Allowed::Relative(accuracy.tolerance())
        }
    }

    /// Counts the bytes of `numbers` more.
    fn spend(&self, numbers: usize) -> Result<(), MatrixError> {
        let bytes = numbers.saturating_mul(size_of::<T>());
        let needed = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.options.accuracy.check_memory("H-matrix", needed)
    }

    /// All entries of a block.
    fn fill(&self, block: usize) -> Result<Mat<T>, MatrixError> {
        let (rows, cols) = self.indices(block);
        finite_block(self.entries, rows, cols)
    }

    /// Compresses a block to `part` of what it is allowed.
    fn compress(&self, block: usize, allowed: Allowed, part: f64) -> Result<Compressed<T>, MatrixError> {
        let (rows, cols) = self.indices(block);
        let (m, n) = (rows.len(), cols.len());
        let Compression::CrossApproximation { check } = self.options.compression else {
            return self.by_all_entries(block, allowed);
        };
        let most = (m * n).div_ceil(m + n).max(1);
        let tolerance = |norm: f64| part * MARGIN * allowed.of(m, n, norm);
        let seed = hash(self.options.seed, block as u64);
        match cross_approximation(self.entries, rows, cols, &tolerance, most, seed)? {
            None => self.by_all_entries(block, allowed),
            Some(low) if check == Check::Exact || m * n <= SMALL => {
                let (error, norm) = self.exact_error(block, &low)?;
                if error > allowed.of(m, n, norm) {
                    return self.by_all_entries(block, allowed);
                }
                self.check_rank(&low, error)?;
                Ok(Compressed { block: Block::LowRank(low), error: Some(error) })
            }
            Some(low) => {
                self.check_rank(&low, 0.0)?;
                Ok(Compressed { block: Block::LowRank(low), error: None })
            }
        }
    }

    /// By the singular values of the whole block; dense where that is smaller and the clusters have no children.
    fn by_all_entries(&self, block: usize, allowed: Allowed) -> Result<Compressed<T>, MatrixError> {
        let (m, n) = (self.indices(block).0.len(), self.indices(block).1.len());
        let (needed, budget) = (m.saturating_mul(n).saturating_mul(size_of::<T>()), MOST_OF_A_BLOCK);
        if needed > budget {
            let what = "all entries of a block whose cross approximation misses the tolerance";
            return Err(MatrixError::Memory { what, needed, budget });
        }
        let a = self.fill(block)?;
        let norm = norm_frobenius(a.as_ref());
        let tolerance = allowed.of(m, n, norm);
        let (low, _) = LowRank::from_dense(a.as_ref(), MARGIN * tolerance);
        let error = distance(a.as_ref(), low.to_dense().as_ref()) + rounding::<T>(low.rank(), norm);
        let cluster = &self.tree.blocks()[block];
        let can_be_dense = self.rows.cluster(cluster.row).is_leaf() && self.cols.cluster(cluster.col).is_leaf();
        let capped = self.options.accuracy.rank_cap().is_some_and(|cap| low.rank() > cap);
        if can_be_dense && !capped && low.stored() >= m * n {
            return Ok(Compressed { block: Block::Dense(a), error: Some(0.0) });
        }
        self.check_rank(&low, error)?;
        Ok(Compressed { block: Block::LowRank(low), error: Some(error) })
    }

    fn check_rank(&self, low: &LowRank<T>, error: f64) -> Result<(), MatrixError> {
        match self.options.accuracy.rank_cap() {
            Some(cap) if low.rank() > cap => {
                let (m, n, k) = (low.nrows(), low.ncols(), low.rank());
                Err(MatrixError::Tolerance {
                    what: "H-matrix",
                    tolerance: self.options.accuracy.absolute_for(low.norm_frobenius()),
                    // The columns of U are orthogonal, in descending order.
                    reached: norm_frobenius(low.u.as_ref().subcols(cap, k - cap)).hypot(error),
                    limit: format!("rank cap {cap}, a block of {m} x {n} needs rank {k}"),
                })
            }
            _ => Ok(()),
        }
    }

    /// A bound on the error of a block and its norm, from all its entries, some columns at a time.
    fn exact_error(&self, block: usize, low: &LowRank<T>) -> Result<(f64, f64), MatrixError> {
        const PANEL: usize = 64;
        let (rows, cols) = self.indices(block);
        let (mut error, mut norm) = (0.0f64, 0.0f64);
        for (p, panel) in cols.chunks(PANEL).enumerate() {
            let a = finite_block(self.entries, rows, panel)?;
            let v = low.v.as_ref().subrows(p * PANEL, panel.len());
            let approximate = crate::linalg::product(low.u.as_ref(), v.transpose());
            error = error.hypot(distance(a.as_ref(), approximate.as_ref()));
            norm = norm.hypot(norm_frobenius(a.as_ref()));
        }
        Ok((error + rounding::<T>(low.rank(), norm), norm))
    }

    /// A bound on the error of all far blocks: the sum of those known, and a sampled one for the others.
    fn bound(
        &self,
        far: &[usize],
        times: &[usize],
        compressed: &mut [Compressed<T>],
        allowed: Allowed,
        first_round: usize,
    ) -> Result<Bound, MatrixError> {
        let failure = FAILURE / (2 * ROUNDS) as f64;
        let blocks = compressed.iter().filter(|c| c.error.is_none()).count();
        for round in 0..ROUNDS {
            let estimates: Result<Vec<(f64, f64, bool)>, MatrixError> = far
                .par_iter()
                .zip(&*compressed)
                .map(|(&i, c)| match (&c.block, c.error) {
                    (Block::LowRank(low), None) => {
                        let (rows, cols) = self.indices(i);
                        let (m, n) = (rows.len(), cols.len());
                        let seed = hash(hash(self.options.seed, (first_round + round) as u64), i as u64);
                        let mut rng = ChaCha8Rng::seed_from_u64(!seed);
                        // Nothing is estimated below the rounding of the comparison itself.
                        let norm = norm_frobenius(low.u.as_ref());
                        let (allowed, rounding) = (allowed.of(m, n, norm), rounding::<T>(low.rank(), norm));
                        let effort =
                            Effort { places: PLACES, failure, blocks, matters: (0.05 * allowed).max(rounding) };
                        let block = self.entries.block_of(rows, cols);
                        let found = SquaredError::sampled(&*block, (rows, cols), low, effort, &mut rng)?;
                        let missed = found.mean.sqrt() > allowed.max(rounding);
                        // A fifth of what is allowed goes unnoticed.
                        let floor = (0.2 * allowed).max(rounding);
                        Ok((found.mean + floor * floor, found.spread, missed))
                    }
                    (_, error) => Ok((error.unwrap_or(0.0).powi(2), 0.0, false)),
                })
                .collect();
            let estimates = estimates?;
            let sampled = compressed.iter().any(|c| c.error.is_none());
            if !sampled {
                let sum: f64 = estimates.iter().zip(times).map(|(e, &times)| times as f64 * e.0).sum();
                return Ok(Bound::proven(sum.sqrt()));
            }
            if round + 1 == ROUNDS || estimates.iter().all(|(_, _, missed)| !missed) {
                let (mut known, mut estimated, mut spread) = (0.0f64, 0.0f64, 0.0f64);
                for ((c, (square, of_block, _)), &times) in compressed.iter().zip(&estimates).zip(times) {
                    *(if c.error.is_some() { &mut known } else { &mut estimated }) += times as f64 * square;
                    spread = spread.hypot(times as f64 * of_block);
                }
                let squares = known + upper_bound(estimated, spread, failure);
                return Ok(Bound::probabilistic(squares.sqrt(), FAILURE));
            }
            for ((&i, c), (_, _, missed)) in far.iter().zip(&mut *compressed).zip(estimates) {
                if missed {
                    *c = self.by_all_entries(i, allowed)?;
                }
            }
        }
        Ok(Bound::proven(0.0))
    }

    fn assemble(&self, mut blocks: Leaves<T>) -> Block<T> {
        // Children come after their parents.
        for (i, block) in self.tree.blocks().iter().enumerate().rev() {
            if block.kind == BlockKind::Split {
                let starts = |tree: &ClusterTree, clusters: Vec<usize>| {
                    let first = tree.cluster(clusters[0]).range.start;
                    let mut starts = vec![0];
                    starts.extend(clusters.iter().map(|&c| tree.cluster(c).range.end - first));
                    starts
                };
                let q = block.child_cols();
                let grid = &self.tree.blocks()[block.children.clone()];
                let rows = starts(self.rows, (0..block.child_rows).map(|r| grid[r * q].row).collect());
                let cols = starts(self.cols, (0..q).map(|c| grid[c].col).collect());
                let children = block.children.clone().map(|k| match blocks[k].take() {
                    Some(child) => Arc::new(child),
                    None => Arc::new(Block::Dense(Mat::zeros(0, 0))),
                });
                blocks[i] = Some(Block::Split(Split { rows, cols, children: children.collect() }));
            }
        }
        blocks.swap_remove(0).unwrap_or_else(|| Block::Dense(Mat::zeros(0, 0)))
    }
}

/// Rounding errors of a residual with a product of rank `k`, of a matrix of this norm.
fn rounding<T: Scalar>(k: usize, norm: f64) -> f64 {
    4.0 * T::EPSILON * ((k + 1) as f64).sqrt() * norm
}
