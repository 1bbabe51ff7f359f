//! HODLR form of a matrix that is known by its entries, without looking at most of them.
//!
//! Leaves are filled; every low-rank block is found by adaptive cross approximation with partial pivoting (Bebendorf & Rjasanow,
//! Computing 70 (2003)): a row of the residual, its largest entry, the column through it. It stops when a cross is small, and then looks
//! at rows and columns drawn at random: if their residual is above the tolerance the worst row is the next pivot. The first and the last row and column,
//! where the clusters of a block usually touch, are always looked at: a band that reaches into the corner of a block that is zero otherwise would be missed by chance.
//! Then entries at random places that had no part in the construction are compared ([`sampled_error`](crate::sampled_error)), from where it goes on if they miss the
//! tolerance. What it found is truncated. Cost: `O((m + n) r^2)` and `O((m + n) r)` entries a block.
//!
//! With `E_b` the error of the crosses of block `b`, measured at the places, and `T_b` that of its truncation, known, `||A - H||_F <= ||T||_F + ||E||_F`, both summed in squares over the blocks.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::from_dense::check_square;
use super::truncation::{Block, Candidates, cut};
use super::{Hodlr, Node, leaf_bytes, pairs, to_accuracy};
use crate::accuracy::Accuracy;
use crate::certificate::{Certificate, Confidence};
use crate::cluster_tree::ClusterTree;
use crate::cross_approximation::{Crosses, largest};
use crate::entries::{Entries, finite_block};
use crate::error::MatrixError;
use crate::linalg::sum_of_squares;
use crate::low_rank::LowRank;
use crate::sampled_error::{Effort, SquaredError, upper_bound};
use crate::scalar::Scalar;

impl<T: Scalar> Hodlr<T> {
    /// The HODLR matrix with `||A - H||_F` within the accuracy, from `O(n (r log n + m))` entries.
    ///
    /// The certificate is probabilistic, for blocks of more than a thousand entries: entries at random places stand for all of them, but for a probability of
    /// 1e-6, unless the error of a block hides in a few places to which nothing that was seen points. Single large entries in an otherwise small block can be missed.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] or [`MatrixError::Shapes`] when the matrix is not square of the order of the tree, [`MatrixError::Entry`] for an
    /// infinite or NaN entry met, [`MatrixError::Tolerance`] when the rank cap or rounding keeps the error above the tolerance,
    /// [`MatrixError::Memory`] beyond the budget of the accuracy.
    pub fn from_entries(
        a: &(impl Entries<T> + ?Sized),
        tree: impl Into<Arc<ClusterTree>>,
        accuracy: Accuracy,
        seed: u64,
    ) -> Result<(Self, Certificate), MatrixError> {
        let (tree, what) = (tree.into(), "HODLR matrix of entries");
        check_square(what, a.nrows(), a.ncols(), &tree)?;
        let of_leaves = leaf_bytes::<T>(&tree);
        accuracy.check_memory(what, of_leaves)?;
        let guess = sampled_norm(a, tree.order(), seed)?;
        let shares = Self::shares(&tree, |_| 1.0);
        let mut places = Vec::new();
        for cluster in tree.clusters() {
            let first = cluster.children.start;
            places.extend(pairs(cluster.children.len()).map(|(i, j)| (first + i, first + j)));
        }
        let count = places.len();
        to_accuracy(what, accuracy, 0.8 * guess, |tolerance| {
            let (mut blocks, mut errors) = (Vec::with_capacity(places.len()), Vec::new());
            let (mut mean, mut spread, mut all_known) = (0.0, 0.0, true);
            let mut bytes = of_leaves;
            // In parts, so that a budget is not exceeded by much.
            for (part, places) in places.chunks(PART).enumerate() {
                let made: Vec<_> = (places.par_iter().enumerate())
                    .map(|(i, &(row, col))| {
                        let at = part * PART + i;
                        let mut random = ChaCha8Rng::seed_from_u64(seed);
                        random.set_stream(1 + at as u64);
                        let (rows, cols) = (tree.indices(row), tree.indices(col));
                        let search = Search {
                            tolerance: tolerance * shares[at].sqrt(),
                            cap: accuracy.rank_cap(),
                            blocks: count,
                        };
                        search.compress(a, rows, cols, &mut random)
                    })
                    .collect();
                for block in made {
                    let (block, error, sampled) = block?;
                    bytes = bytes.saturating_add(block.stored() * size_of::<T>());
                    blocks.push(block);
                    errors.push(error);
                    if let Some(sampled) = sampled {
                        (mean, spread, all_known) = (mean + sampled.mean, f64::hypot(spread, sampled.spread), false);
                    }
                }
                accuracy.check_memory(what, bytes)?;
            }
            let leaves: Vec<_> = (tree.clusters().par_iter().enumerate())
                .map(|(c, cluster)| {
                    if cluster.is_leaf() {
                        finite_block(a, tree.indices(c), tree.indices(c)).map(Some)
                    } else {
                        Ok(None)
                    }
                })
                .collect();
            let mut blocks = blocks.into_iter();
            let mut nodes = Vec::with_capacity(leaves.len());
            for (leaf, cluster) in leaves.into_iter().zip(tree.clusters()) {
                let k = cluster.children.len();
                nodes.push(match leaf? {
                    Some(leaf) => Node::Leaf(leaf),
                    None => Node::Split(blocks.by_ref().take(k * (k - 1)).collect()),
                });
            }
            let hodlr = Self::assemble(tree.clone(), nodes)?;
            let confidence =
                if all_known { Confidence::Proven } else { Confidence::Probabilistic { failure: FAILURE } };
            let of_crosses = upper_bound(mean, spread, FAILURE_OF_ROUND).sqrt();
            let certificate = hodlr.certificate(&errors, of_crosses, confidence);
            Ok((hodlr, certificate))
        })
    }
}

/// The Frobenius norm as a few rows tell it.
fn sampled_norm<T: Scalar>(a: &(impl Entries<T> + ?Sized), order: &[usize], seed: u64) -> Result<f64, MatrixError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let n = order.len();
    let rows: Vec<usize> = (0..8.min(n)).map(|_| order[random.random_range(0..n)]).collect();
    let sample = finite_block(a, &rows, order)?;
    Ok((n as f64 / rows.len() as f64).sqrt() * crate::linalg::norm_frobenius(sample.as_ref()))
}

/// Probability that a certificate does not hold.
const FAILURE: f64 = 1e-6;

/// Times that a block is sampled at most, in each of the four builds of [`to_accuracy`].
const ROUNDS: usize = 4;

const FAILURE_OF_ROUND: f64 = FAILURE / (4 * ROUNDS) as f64;

/// Blocks that are compressed before their memory is added up.
const PART: usize = 1024;

/// Blocks of at most so many entries are looked at in full.
const SMALL: usize = 1024;

/// Part of the tolerance that crosses may leave, and part above which a block is gone on with.
const CROSSES: [f64; 2] = [0.2, 0.3];

/// What is asked of one block.
struct Search {
    tolerance: f64,
    cap: Option<usize>,
    /// Blocks of the matrix.
    blocks: usize,
}

/// A block, the error that is known of it, and what samples say of the rest.
type Found<T> = (LowRank<T>, f64, Option<SquaredError>);

impl Search {
    fn compress<T: Scalar>(
        &self,
        a: &(impl Entries<T> + ?Sized),
        rows: &[usize],
        cols: &[usize],
        random: &mut ChaCha8Rng,
    ) -> Result<Found<T>, MatrixError> {
        let (tolerance, cap) = (self.tolerance, self.cap);
        let (m, n) = (rows.len(), cols.len());
        let by_all_entries = || {
            let block = finite_block(a, rows, cols)?;
            let (mut blocks, errors) = Candidates::new(vec![Block::Dense(block.as_ref())]).truncate(tolerance, cap);
            Ok((blocks.swap_remove(0), errors[0], None))
        };
        if m * n <= SMALL {
            return by_all_entries();
        }
        let mut cross =
            Cross { crosses: Crosses::new(a.block_of(rows, cols), rows, cols), used: vec![false; m], columns: n };
        let places = ((1 << 16) / self.blocks.max(1)).clamp(512, 2048);
        let mut start = m / 2;
        let mut round = 1;
        loop {
            let largest = cross.run(start, CROSSES[0] * tolerance, random)?;
            if cross.crosses.rank() >= cross.most() {
                return by_all_entries();
            }
            let low = cross.crosses.low_rank();
            let rounding = 4.0 * T::EPSILON * ((low.rank() + 1) as f64).sqrt() * largest;
            let (failure, blocks) = (FAILURE_OF_ROUND, self.blocks);
            let matters = (0.02 * tolerance).max(rounding);
            let effort = Effort { places, failure, blocks, matters };
            let mut found = SquaredError::sampled(&*cross.crosses.block, (rows, cols), &low, effort, random)?;
            let missed = found.mean.sqrt() > (CROSSES[1] * tolerance).max(rounding);
            if missed && round < ROUNDS {
                round += 1;
                start = if cross.used[found.worst] { furthest_unused(&cross.used) } else { found.worst };
                continue;
            }
            let of_crosses = found.mean.sqrt();
            let (low, lost) = cut(low, (tolerance - 1.5 * of_crosses).max(0.5 * tolerance), cap);
            if found.spread == 0.0 && found.mean > 0.0 {
                return Ok((low, lost + of_crosses + rounding, None));
            }
            // Nothing is estimated below what was looked for.
            found.mean += matters * matters;
            return Ok((low, lost, Some(found)));
        }
    }
}

/// An unused row, if there is one.
fn furthest_unused(used: &[bool]) -> usize {
    used.iter().position(|used| !used).unwrap_or(0)
}

/// Crosses of a block that look for more by themselves.
struct Cross<'a, T> {
    crosses: Crosses<'a, T>,
    /// Rows that crosses went through.
    used: Vec<bool>,
    columns: usize,
}

impl<T: Scalar> Cross<'_, T> {
    /// The rank from which on the dense block is smaller.
    fn most(&self) -> usize {
        let (m, n) = (self.used.len(), self.columns);
        (m * n).div_ceil(m + n)
    }

    /// Adds crosses, the first through row `start`, until they, and the residual in random rows and columns, are below the tolerance. Returns the norm of the
    /// largest cross.
    fn run(&mut self, start: usize, tolerance: f64, random: &mut ChaCha8Rng) -> Result<f64, MatrixError> {
        let before = self.crosses.pairs().map(|(u, v)| norm(u) * norm(v));
        let (mut pivot, mut most) = (start, before.fold(0.0f64, f64::max));
        while self.crosses.rank() < self.most() {
            let size = self.cross(pivot)?;
            most = most.max(size);
            if size > tolerance.max(4.0 * T::EPSILON * most) {
                let last = self.crosses.pairs().last();
                pivot = last.and_then(|(u, _)| largest(u, |i| !self.used[i])).unwrap_or(0);
                continue;
            }
            let (residual, worst) = self.sample(random)?;
            let floor = 4.0 * T::EPSILON * most;
            match worst {
                Some(worst) if residual > tolerance.max(floor) => pivot = worst,
                _ => return Ok(most),
            }
        }
        Ok(most)
    }

    /// One cross through the row; its Frobenius norm, or zero when the residual of the row is zero.
    fn cross(&mut self, row: usize) -> Result<f64, MatrixError> {
        self.used[row] = true;
        let v = self.crosses.residual_row(row)?;
        let Some(col) = largest(&v, |_| true) else { return Ok(0.0) };
        let top = v[col];
        if top == T::ZERO {
            return Ok(0.0);
        }
        let mut u = self.crosses.residual_col(col)?;
        u.iter_mut().for_each(|x| *x /= top);
        let size = norm(&u) * norm(&v);
        if !size.is_finite() {
            return Ok(0.0);
        }
        self.crosses.push(u, v);
        Ok(size)
    }

    /// An estimate of the Frobenius norm of the residual, from random rows and columns and the outermost ones, and the unused row where
    /// it is worst.
    fn sample(&self, random: &mut ChaCha8Rng) -> Result<(f64, Option<usize>), MatrixError> {
        let (m, n) = (self.used.len(), self.columns);
        let count = if m.max(n) > 4096 { 2 } else { 4 };
        let (mut worst, mut found) = (0.0, None);
        let (mut by_rows, mut by_cols, mut at_edges) = (0.0, 0.0, 0.0f64);
        for k in 0..count + 2 {
            let row = [0, m - 1].get(k).copied().unwrap_or_else(|| random.random_range(0..m));
            let size = norm(&self.crosses.residual_row(row)?);
            if k < 2 {
                at_edges = at_edges.max(size);
            } else {
                by_rows += size * size * m as f64 / count as f64;
            }
            if size > worst && !self.used[row] {
                (worst, found) = (size, Some(row));
            }
        }
        for k in 0..count + 2 {
            let col = [0, n - 1].get(k).copied().unwrap_or_else(|| random.random_range(0..n));
            let residual = self.crosses.residual_col(col)?;
            let size = norm(&residual);
            if k < 2 {
                at_edges = at_edges.max(size);
            } else {
                by_cols += size * size * n as f64 / count as f64;
            }
            if size > worst
                && let Some(row) = largest(&residual, |i| !self.used[i])
            {
                (worst, found) = (size, Some(row));
            }
        }
        Ok((by_rows.max(by_cols).sqrt().max(at_edges), found))
    }
}

fn norm<T: Scalar>(x: &[T]) -> f64 {
    sum_of_squares(x).sqrt()
}
