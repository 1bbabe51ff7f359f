//! HODLR form of a matrix that is known by its entries, without looking at most of them.
//!
//! Leaves are filled; every low-rank block is found by adaptive cross approximation with partial pivoting (Bebendorf & Rjasanow,
//! Computing 70 (2003)): a row of the residual, its largest entry, the column through it. It stops when a cross is small, and then looks
//! at rows and columns drawn at random: if their residual is above the tolerance the worst row is the next pivot. What it found is
//! truncated. The first and the last row and column, where the clusters of a block usually touch, are always looked at: a band that
//! reaches into the corner of a block that is zero otherwise would be missed by chance. Cost: `O((m + n) r^2)` and `O((m + n) r)` entries a block.

use std::sync::Arc;

use faer::Mat;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::from_dense::check_square;
use super::truncation::{Block, Candidates, cut};
use super::{Hodlr, Node, leaf_bytes, pairs, to_accuracy};
use crate::accuracy::Accuracy;
use crate::certificate::{Certificate, Confidence};
use crate::cluster_tree::ClusterTree;
use crate::entries::Entries;
use crate::error::MatrixError;
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

impl<T: Scalar> Hodlr<T> {
    /// The HODLR matrix with `||A - H||_F` within the accuracy, from `O(n (r log n + m))` entries.
    ///
    /// The certificate is probabilistic: rows and columns of the residual of every block, drawn at random, stand for all of them. That is
    /// sound for kernels that are smooth off the diagonal; single large entries in an otherwise small block can be missed.
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
        to_accuracy(what, accuracy, 0.8 * guess, |tolerance| {
            let (mut blocks, mut errors, mut failure) = (Vec::with_capacity(places.len()), Vec::new(), 0.0);
            let mut bytes = of_leaves;
            // In parts, so that a budget is not exceeded by much.
            for (part, places) in places.chunks(PART).enumerate() {
                let made: Vec<_> = (places.par_iter().enumerate())
                    .map(|(i, &(row, col))| {
                        let at = part * PART + i;
                        let mut random = ChaCha8Rng::seed_from_u64(seed);
                        random.set_stream(1 + at as u64);
                        let (rows, cols) = (tree.indices(row), tree.indices(col));
                        compress(a, rows, cols, tolerance * shares[at].sqrt(), accuracy.rank_cap(), &mut random)
                    })
                    .collect();
                for block in made {
                    let (block, error, confidence) = block?;
                    bytes = bytes.saturating_add(block.stored() * size_of::<T>());
                    blocks.push(block);
                    errors.push(error);
                    if let Confidence::Probabilistic { failure: of_block } = confidence {
                        failure += of_block;
                    }
                }
                accuracy.check_memory(what, bytes)?;
            }
            let leaves: Vec<_> = (tree.clusters().par_iter().enumerate())
                .map(|(c, cluster)| {
                    if cluster.is_leaf() {
                        dense_block(a, tree.indices(c), tree.indices(c)).map(Some)
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
            let confidence = match failure {
                0.0 => Confidence::Proven,
                failure => Confidence::Probabilistic { failure: failure.min(1.0) },
            };
            let certificate = hodlr.certificate(&errors, 0.0, confidence);
            Ok((hodlr, certificate))
        })
    }
}

/// The Frobenius norm as a few rows tell it.
fn sampled_norm<T: Scalar>(a: &(impl Entries<T> + ?Sized), order: &[usize], seed: u64) -> Result<f64, MatrixError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let n = order.len();
    let rows: Vec<usize> = (0..8.min(n)).map(|_| order[random.random_range(0..n)]).collect();
    let sample = dense_block(a, &rows, order)?;
    Ok((n as f64 / rows.len() as f64).sqrt() * crate::linalg::norm_frobenius(sample.as_ref()))
}

fn dense_block<T: Scalar>(
    a: &(impl Entries<T> + ?Sized),
    rows: &[usize],
    cols: &[usize],
) -> Result<Mat<T>, MatrixError> {
    let mut entries = vec![T::ZERO; rows.len() * cols.len()];
    a.block(rows, cols, &mut entries);
    if let Some(at) = entries.iter().position(|x| !Scalar::is_finite(*x)) {
        let (row, col) = (rows[at % rows.len()], cols[at / rows.len()]);
        return Err(MatrixError::Entry { row, col, value: entries[at].to_f64() });
    }
    Ok(Mat::from_fn(rows.len(), cols.len(), |i, j| entries[i + j * rows.len()]))
}

/// The chance that is stated for one block whose sampled residual is below the tolerance while the whole is not.
const FAILURE: f64 = 1e-8;

/// Blocks that are compressed before their memory is added up.
const PART: usize = 1024;

/// Blocks of at most so many entries are looked at in full.
const SMALL: usize = 1024;

/// A block within the tolerance, a bound on its error, and the standing of that bound.
fn compress<T: Scalar>(
    a: &(impl Entries<T> + ?Sized),
    rows: &[usize],
    cols: &[usize],
    tolerance: f64,
    cap: Option<usize>,
    random: &mut ChaCha8Rng,
) -> Result<(LowRank<T>, f64, Confidence), MatrixError> {
    if rows.len() * cols.len() <= SMALL {
        let block = dense_block(a, rows, cols)?;
        let (mut blocks, errors) = Candidates::new(vec![Block::Dense(block.as_ref())]).truncate(tolerance, cap);
        return Ok((blocks.swap_remove(0), errors[0], Confidence::Proven));
    }
    let mut cross = Cross { a, rows, cols, u: Vec::new(), v: Vec::new(), used: vec![false; rows.len()] };
    let sampled = cross.run(0.2 * tolerance, random)?;
    let (m, n) = (rows.len(), cols.len());
    let low = LowRank {
        u: Mat::from_fn(m, cross.rank(), |i, k| cross.u[k * m + i]),
        v: Mat::from_fn(n, cross.rank(), |j, k| cross.v[k * n + j]),
    };
    drop(cross);
    let (low, lost) = cut(low, (tolerance - 2.0 * sampled).max(0.5 * tolerance), cap);
    Ok((low, lost + 2.0 * sampled, Confidence::Probabilistic { failure: FAILURE }))
}

/// A cross approximation under construction: `sum_k u_k v_k^T`, the vectors one after the other.
struct Cross<'a, T, E: ?Sized> {
    a: &'a E,
    rows: &'a [usize],
    cols: &'a [usize],
    u: Vec<T>,
    v: Vec<T>,
    used: Vec<bool>,
}

impl<T: Scalar, E: Entries<T> + ?Sized> Cross<'_, T, E> {
    fn rank(&self) -> usize {
        self.v.len() / self.cols.len()
    }

    /// Adds crosses until they, and the residual in random rows and columns, are below the tolerance. Returns an estimate of the residual.
    fn run(&mut self, tolerance: f64, random: &mut ChaCha8Rng) -> Result<f64, MatrixError> {
        let (m, n) = (self.rows.len(), self.cols.len());
        let (mut pivot, mut largest) = (m / 2, 0.0f64);
        while self.rank() < m.min(n) {
            let size = self.cross(pivot)?;
            largest = largest.max(size);
            if size > tolerance.max(4.0 * T::EPSILON * largest) {
                let last = &self.u[self.u.len() - m..];
                pivot = furthest(last, |i| !self.used[i]).unwrap_or(0);
                continue;
            }
            let (residual, worst) = self.sample(random)?;
            let floor = 4.0 * T::EPSILON * largest;
            match worst {
                Some(worst) if residual > tolerance.max(floor) => pivot = worst,
                _ => return Ok(residual.max(size)),
            }
        }
        Ok(self.sample(random)?.0)
    }

    /// One cross through the row; its Frobenius norm, or zero when the residual of the row is zero.
    fn cross(&mut self, row: usize) -> Result<f64, MatrixError> {
        self.used[row] = true;
        let v = self.residual_row(row)?;
        let Some(col) = furthest(&v, |_| true) else { return Ok(0.0) };
        let top = v[col];
        if top == T::ZERO {
            return Ok(0.0);
        }
        let mut u = self.residual_col(col)?;
        u.iter_mut().for_each(|x| *x /= top);
        let size = norm(&u) * norm(&v);
        if !size.is_finite() {
            return Ok(0.0);
        }
        self.u.extend(u);
        self.v.extend(v);
        Ok(size)
    }

    /// An estimate of the Frobenius norm of the residual, from random rows and columns and the outermost ones, and the unused row where
    /// it is worst.
    fn sample(&self, random: &mut ChaCha8Rng) -> Result<(f64, Option<usize>), MatrixError> {
        let (m, n) = (self.rows.len(), self.cols.len());
        let count = if m.max(n) > 4096 { 2 } else { 4 };
        let (mut worst, mut found) = (0.0, None);
        let (mut by_rows, mut by_cols, mut at_edges) = (0.0, 0.0, 0.0f64);
        for k in 0..count + 2 {
            let row = [0, m - 1].get(k).copied().unwrap_or_else(|| random.random_range(0..m));
            let size = norm(&self.residual_row(row)?);
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
            let residual = self.residual_col(col)?;
            let size = norm(&residual);
            if k < 2 {
                at_edges = at_edges.max(size);
            } else {
                by_cols += size * size * n as f64 / count as f64;
            }
            if size > worst
                && let Some(row) = furthest(&residual, |i| !self.used[i])
            {
                (worst, found) = (size, Some(row));
            }
        }
        Ok((by_rows.max(by_cols).sqrt().max(at_edges), found))
    }

    fn residual_row(&self, row: usize) -> Result<Vec<T>, MatrixError> {
        let (m, n) = (self.rows.len(), self.cols.len());
        let mut out = vec![T::ZERO; n];
        self.a.block(&self.rows[row..row + 1], self.cols, &mut out);
        if let Some(at) = out.iter().position(|x| !Scalar::is_finite(*x)) {
            return Err(MatrixError::Entry { row: self.rows[row], col: self.cols[at], value: out[at].to_f64() });
        }
        for (k, v) in self.v.chunks_exact(n).enumerate() {
            subtract(&mut out, self.u[k * m + row], v);
        }
        Ok(out)
    }

    fn residual_col(&self, col: usize) -> Result<Vec<T>, MatrixError> {
        let (m, n) = (self.rows.len(), self.cols.len());
        let mut out = vec![T::ZERO; m];
        self.a.block(self.rows, &self.cols[col..col + 1], &mut out);
        if let Some(at) = out.iter().position(|x| !Scalar::is_finite(*x)) {
            return Err(MatrixError::Entry { row: self.rows[at], col: self.cols[col], value: out[at].to_f64() });
        }
        for (k, u) in self.u.chunks_exact(m).enumerate() {
            subtract(&mut out, self.v[k * n + col], u);
        }
        Ok(out)
    }
}

fn subtract<T: Scalar>(x: &mut [T], factor: T, y: &[T]) {
    x.iter_mut().zip(y).for_each(|(x, &y)| *x -= factor * y);
}

fn norm<T: Scalar>(x: &[T]) -> f64 {
    x.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>().sqrt()
}

/// The first place of largest absolute value among those that qualify.
fn furthest<T: Scalar>(x: &[T], qualifies: impl Fn(usize) -> bool) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (i, x) in x.iter().enumerate().filter(|(i, _)| qualifies(*i)) {
        let size = x.to_f64().abs();
        if best.is_none_or(|(_, top)| size > top) {
            best = Some((i, size));
        }
    }
    best.map(|(i, _)| i)
}
