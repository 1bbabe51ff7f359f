//! HSS form of a matrix that is known by its entries, without forming it.
//!
//! *Skeletons.* Each node has a few of its rows, from which all its rows are interpolated on the columns outside of it: `A(I, J) = U A(S, J)` for a leaf,
//! and above the leaves the same with the skeletons of the children in place of `I` (Ho & Greengard 2012, section 3; [`interpolative`](crate::interpolative)). Columns
//! likewise, and the coupling blocks are entries of the matrix at skeleton rows and columns.
//!
//! *Far fields.* An interpolation is computed on a few columns that stand for all columns outside of the node. They are found from the
//! root to the leaves: those of the parent and the column skeletons of the siblings, and a few at random, from which pivoted QR on the node's skeleton rows selects
//! (nested cross approximation: Bebendorf & Venn 2012, section 3; Cai, Huang, Chow & Xi 2022). Skeletons and far fields depend on each other: the first sweep starts from rows at
//! random, sweeps are repeated until the skeletons stop growing.
//!
//! *Recompression* then makes the bases orthonormal and the ranks those that the tolerance needs.
//!
//! *Certificate.* Rows of `A - H` are computed at random places. See [`Hss::from_entries`] for what that proves. When the check fails the
//! build is repeated with a smaller local tolerance and more columns at random.
//!
//! Cost: O(n r^2) work and O(n r) entries for ranks that do not grow with the level, and `check_rows n` entries for the check. Do not use it when
//! all entries are at hand and n is a few thousand: [`Hss::from_dense`] proves its error.

use std::sync::Arc;

use faer::Mat;
use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::from_dense::check_trees;
use super::{Hss, NodeBlocks};
use crate::accuracy::Accuracy;
use crate::certificate::{Bound, Certificate};
use crate::cluster_tree::ClusterTree;
use crate::entries::Entries;
use crate::error::MatrixError;
use crate::interpolative::{RowSkeleton, column_pivots, row_skeleton};
use crate::matrix::Matrix;
use crate::operator::LinearOperator;
use crate::scalar::Scalar;

/// How [`Hss::from_entries`] works and checks.
#[derive(Clone, Debug, PartialEq)]
pub struct SkeletonOptions {
    /// Of the random numbers. Default 0.
    pub seed: u64,
    /// Largest probability that the bound of the certificate does not hold. Default 0.001.
    pub failure: f64,
    /// Rows of `A - H` that are computed to check the result, more when their errors differ much. Default 256.
    pub check_rows: usize,
    /// The caller's word that `A(i, j) = A(j, i)`, bit for bit: rows and columns then share their bases, at half the cost. Needs equal row and column
    /// trees. Default false.
    pub symmetric: bool,
    /// How often the build may be repeated with a smaller local tolerance. Default 4.
    pub attempts: usize,
}

impl Default for SkeletonOptions {
    fn default() -> Self {
        Self { seed: 0, failure: 1e-3, check_rows: 256, symmetric: false, attempts: 4 }
    }
}

impl<T: Scalar> Hss<T> {
    /// The HSS form of `entries` on trees of its rows and columns of the same shape.
    ///
    /// The certificate rests on rows of `A - H` at uniformly random places. With `x` the squared norms of `s` such rows, `||A - H||_F^2 <= n mean(x) / (1 - t)` but for a
    /// probability of `exp(-s t^2 / (2 k))`, where `k` is the mean of the squares of the squared row errors over the square of their mean (a one-sided Bernstein inequality for
    /// numbers that are not negative; Maurer 2003). `k`, 1 for errors spread evenly over the rows and `n` for an error in one row, is not known; twice its value in the
    /// sample is taken. So a bound holds with the stated probability unless the error hides in very few rows, as no method that sees a part of the entries can rule out.
    /// When all rows are checked the bound is proven.
    ///
    /// # Errors
    /// [`MatrixError::Entry`] for an infinite or NaN entry among those looked at, [`MatrixError::Tree`] when the trees do not fit,
    /// [`MatrixError::Option`] for an option outside of its range, [`MatrixError::Tolerance`] when the rank cap or the number of attempts does not allow the tolerance.
    pub fn from_entries(
        entries: &dyn Entries<T>,
        rows: &Arc<ClusterTree>,
        cols: &Arc<ClusterTree>,
        accuracy: &Accuracy,
        options: &SkeletonOptions,
    ) -> Result<(Self, Certificate), MatrixError> {
        check_trees(entries.nrows(), entries.ncols(), rows, cols)?;
        options.check()?;
        if options.symmetric && rows != cols {
            let reason = "a symmetric matrix needs equal trees of its rows and columns".to_owned();
            return Err(MatrixError::Tree { reason });
        }
        let what = "HSS form of given entries";
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let build = Build { entries, rows, cols, options };
        let mut norm = build.norm_estimate(&mut rng)?;
        let (mut fraction, mut reached) = (0.5, f64::INFINITY);
        let mut explorers = 8;
        for _ in 0..options.attempts.max(1) {
            let tolerance = accuracy.absolute_for(norm);
            let raw = build.skeletonised(fraction * tolerance, explorers, rng.random())?;
            norm = raw.norm_frobenius();
            let tolerance = accuracy.absolute_for(norm);
            let small = Accuracy::absolute((0.5 * tolerance).max(f64::MIN_POSITIVE))?;
            let small = accuracy.rank_cap().map_or(small, |cap| small.max_rank(cap));
            let (out, _) = raw.recompress(&small)?;
            let bound = build.check(&out, rng.random())?;
            // ||A|| is at least ||H|| - ||A - H||.
            reached = bound.value;
            if reached <= accuracy.absolute_for((norm - reached).max(0.0)) {
                let certificate = out.certify(bound);
                return Ok((out, certificate));
            }
            fraction *= 0.3 * (tolerance / reached).clamp(1e-3, 1.0);
            explorers *= 2;
        }
        let limit = format!("{} attempts", options.attempts.max(1));
        Err(MatrixError::Tolerance { what, tolerance: accuracy.absolute_for(norm), reached, limit })
    }
}

impl SkeletonOptions {
    fn check(&self) -> Result<(), MatrixError> {
        if !(self.failure > 0.0 && self.failure < 1.0) {
            let rule = "a probability between 0 and 1, neither of them";
            return Err(MatrixError::Option { name: "failure", value: self.failure.to_string(), rule });
        }
        if self.check_rows == 0 {
            return Err(MatrixError::Option { name: "check_rows", value: "0".to_owned(), rule: "must be positive" });
        }
        Ok(())
    }
}

struct Build<'a, T> {
    entries: &'a dyn Entries<T>,
    rows: &'a Arc<ClusterTree>,
    cols: &'a Arc<ClusterTree>,
    options: &'a SkeletonOptions,
}

/// The bases of one side: for every node the interpolation from its skeleton, and the skeleton as indices of the user.
struct Side<T> {
    bases: Vec<Mat<T>>,
    skeletons: Vec<Vec<usize>>,
}

/// The matrix, or its transpose.
#[derive(Clone, Copy)]
struct Oriented<'a, T> {
    entries: &'a dyn Entries<T>,
    transposed: bool,
}

impl<T: Scalar> Oriented<'_, T> {
    /// Entries of the matrix as this side sees it.
    fn block(&self, rows: &[usize], cols: &[usize]) -> Result<Mat<T>, MatrixError> {
        if self.transposed {
            Ok(finite_block(self.entries, cols, rows)?.transpose().to_owned())
        } else {
            finite_block(self.entries, rows, cols)
        }
    }
}

/// A block of entries, all of them finite.
fn finite_block<T: Scalar>(entries: &dyn Entries<T>, rows: &[usize], cols: &[usize]) -> Result<Mat<T>, MatrixError> {
    let mut values = vec![T::ZERO; rows.len() * cols.len()];
    entries.block(rows, cols, &mut values);
    if let Some(k) = values.iter().position(|x| !Scalar::is_finite(*x)) {
        let (row, col) = (rows[k % rows.len()], cols[k / rows.len()]);
        return Err(MatrixError::Entry { row, col, value: values[k].to_f64() });
    }
    Ok(Mat::from_fn(rows.len(), cols.len(), |i, j| values[i + j * rows.len()]))
}

impl<T: Scalar> Build<'_, T> {
    /// Frobenius norm from a few rows.
    fn norm_estimate(&self, rng: &mut ChaCha8Rng) -> Result<f64, MatrixError> {
        let n = self.rows.len();
        let count = n.min(8);
        let chosen = sample(rng, n, count).into_vec();
        let block = finite_block(self.entries, &chosen, self.cols.order())?;
        Ok(crate::linalg::norm_frobenius(block.as_ref()) * (n as f64 / count as f64).sqrt())
    }

    /// The matrix from skeletons, with an error of about `tolerance`.
    fn skeletonised(&self, tolerance: f64, explorers: usize, seed: u64) -> Result<Hss<T>, MatrixError> {
        let of_rows = Oriented { entries: self.entries, transposed: false };
        let of_cols = Oriented { entries: self.entries, transposed: true };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut row_marks = representatives(self.rows, &mut rng);
        let mut col_marks =
            if self.options.symmetric { row_marks.clone() } else { representatives(self.cols, &mut rng) };
        let size = |marks: &[Vec<usize>]| marks.iter().map(Vec::len).sum::<usize>();
        let (mut rows, mut cols);
        let mut before = 0;
        let mut sweeps = 0;
        loop {
            let seed = rng.random();
            rows = sweep(of_rows, self.rows, self.cols, (&row_marks, &col_marks), tolerance, explorers, seed)?;
            row_marks.clone_from(&rows.skeletons);
            if self.options.symmetric {
                cols = None;
                col_marks.clone_from(&row_marks);
            } else {
                let side =
                    sweep(of_cols, self.cols, self.rows, (&col_marks, &row_marks), tolerance, explorers, seed)?;
                col_marks.clone_from(&side.skeletons);
                cols = Some(side);
            }
            let after = size(&row_marks) + size(&col_marks);
            sweeps += 1;
            if sweeps >= 2 && (after as f64 <= 1.03 * before as f64 || sweeps == 6) {
                break;
            }
            before = after;
        }
        let cols = cols.as_ref().unwrap_or(&rows);
        let blocks: Result<Vec<NodeBlocks<T>>, MatrixError> = (0..self.rows.clusters().len())
            .into_par_iter()
            .map(|i| {
                let cluster = self.rows.cluster(i);
                let d = if cluster.is_leaf() {
                    finite_block(self.entries, self.rows.indices(i), self.cols.indices(i))?
                } else {
                    let children = cluster.children.clone();
                    self.coupling(&rows.skeletons[children.clone()], &cols.skeletons[children])?
                };
                let (u, v) = if i == 0 {
                    (Mat::zeros(d.nrows(), 0), Mat::zeros(d.ncols(), 0))
                } else {
                    (rows.bases[i].clone(), cols.bases[i].clone())
                };
                Ok(NodeBlocks { d, u, v })
            })
            .collect();
        Hss::assemble(self.rows.clone(), self.cols.clone(), &blocks?)
    }

    /// `D` of a node above the leaves: entries at the skeletons of different children.
    fn coupling(&self, rows: &[Vec<usize>], cols: &[Vec<usize>]) -> Result<Mat<T>, MatrixError> {
        let count = |of: &[Vec<usize>]| of.iter().map(Vec::len).sum();
        let mut d = Mat::zeros(count(rows), count(cols));
        let mut row = 0;
        for (a, rows) in rows.iter().enumerate() {
            let mut col = 0;
            for (b, cols) in cols.iter().enumerate() {
                if a != b {
                    let block = finite_block(self.entries, rows, cols)?;
                    d.as_mut().submatrix_mut(row, col, rows.len(), cols.len()).copy_from(&block);
                }
                col += cols.len();
            }
            row += rows.len();
        }
        Ok(d)
    }

    /// The bound of [`Hss::from_entries`].
    fn check(&self, h: &Hss<T>, seed: u64) -> Result<Bound, MatrixError> {
        let n = self.rows.len();
        let mut order = sample(&mut ChaCha8Rng::seed_from_u64(seed), n, n.min(1 << 14)).into_vec();
        let failure = self.options.failure / self.options.attempts.max(1) as f64;
        let mut squares: Vec<f64> = Vec::new();
        let mut wanted = self.options.check_rows;
        loop {
            let next: Vec<usize> = order.drain(..(wanted.saturating_sub(squares.len())).min(order.len())).collect();
            for rows in next.chunks(32) {
                squares.extend(self.row_errors(h, rows)?);
            }
            let s = squares.len() as f64;
            let sum: f64 = squares.iter().sum();
            let rounding = 4.0 * (h.levels() + 1) as f64 * T::EPSILON * h.norm_frobenius();
            if squares.len() == n {
                return Ok(Bound::proven(sum.sqrt() + rounding));
            }
            let fourth: f64 = squares.iter().map(|x| x * x).sum();
            let concentration = if sum > 0.0 { 2.0 * s * fourth / (sum * sum) } else { 2.0 };
            let t = (2.0 * concentration * (1.0 / failure).ln() / s).sqrt();
            if t <= 0.7 || (order.is_empty() && t < 1.0) {
                let value = (n as f64 * sum / s / (1.0 - t)).sqrt() + rounding;
                return Ok(Bound::probabilistic(value, self.options.failure));
            }
            if order.is_empty() {
                return Ok(Bound::probabilistic(f64::INFINITY, self.options.failure));
            }
            wanted *= 2;
        }
    }

    /// Squared norms of rows of `A - H`.
    fn row_errors(&self, h: &Hss<T>, rows: &[usize]) -> Result<Vec<f64>, MatrixError> {
        let mut units = Matrix::zeros(h.nrows(), rows.len());
        for (j, &row) in rows.iter().enumerate() {
            units[(row, j)] = T::ONE;
        }
        let approximate = h.apply_transpose(&units)?;
        let all: Vec<usize> = (0..h.ncols()).collect();
        let exact = finite_block(self.entries, rows, &all)?;
        let error = |i: usize| {
            let terms = approximate.col(i).iter().enumerate().map(|(j, &x)| (exact[(i, j)] - x).to_f64());
            terms.map(|x| x * x).sum()
        };
        Ok((0..rows.len()).map(error).collect())
    }
}

/// Indices that stand for each cluster in the first sweep: all of a leaf, a part of those of the children above.
fn representatives(tree: &ClusterTree, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    const MOST: usize = 100;
    let mut marks: Vec<Vec<usize>> = vec![Vec::new(); tree.clusters().len()];
    for i in (0..marks.len()).rev() {
        let cluster = tree.cluster(i);
        marks[i] = if cluster.is_leaf() {
            tree.indices(i).to_vec()
        } else {
            let all: Vec<usize> = cluster.children.clone().flat_map(|c| marks[c].iter().copied()).collect();
            sample(rng, all.len(), all.len().min(MOST)).into_iter().map(|k| all[k]).collect()
        };
    }
    marks
}

/// One sweep for the rows: far fields from the root to the leaves, then skeletons from the leaves to the root. `marks` are the indices that stand
/// for the rows and the columns of each cluster.
fn sweep<T: Scalar>(
    a: Oriented<T>,
    rows: &ClusterTree,
    cols: &ClusterTree,
    marks: (&[Vec<usize>], &[Vec<usize>]),
    tolerance: f64,
    explorers: usize,
    seed: u64,
) -> Result<Side<T>, MatrixError> {
    let count = rows.clusters().len();
    let steps = (2 * count.saturating_sub(1)).max(1) as f64;
    // Equal shares of the squares; columns that are looked at stand for all columns outside.
    let share = |node: usize, seen: usize| {
        let outside = cols.len() - cols.cluster(node).len();
        tolerance / (steps * (outside as f64 / seen.max(1) as f64).max(1.0)).sqrt()
    };
    let mut far: Vec<Vec<usize>> = vec![Vec::new(); count];
    for level in 1..=rows.depth() {
        let found: Result<Vec<Vec<usize>>, MatrixError> = rows
            .level(level)
            .into_par_iter()
            .map(|i| {
                let Some(parent) = rows.cluster(i).parent else { return Ok(Vec::new()) };
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(i as u64);
                let mut seen = far[parent].clone();
                for sibling in rows.cluster(parent).children.clone().filter(|&j| j != i) {
                    seen.extend(&marks.1[sibling]);
                    let inside = cols.indices(sibling);
                    seen.extend(sample(&mut rng, inside.len(), explorers.min(inside.len())).iter().map(|k| inside[k]));
                }
                seen.sort_unstable();
                seen.dedup();
                let here = if rows.cluster(i).is_leaf() { rows.indices(i) } else { &marks.0[i] };
                let pivots = column_pivots(a.block(here, &seen)?, 0.3 * share(i, seen.len()));
                Ok(pivots.into_iter().map(|k| seen[k]).collect())
            })
            .collect();
        for (i, found) in rows.level(level).zip(found?) {
            far[i] = found;
        }
    }
    let mut side = Side { bases: vec![Mat::zeros(0, 0); count], skeletons: vec![Vec::new(); count] };
    for level in (1..=rows.depth()).rev() {
        let found: Result<Vec<(Mat<T>, Vec<usize>)>, MatrixError> = rows
            .level(level)
            .into_par_iter()
            .map(|i| {
                let cluster = rows.cluster(i);
                let candidates: Vec<usize> = if cluster.is_leaf() {
                    rows.indices(i).to_vec()
                } else {
                    cluster.children.clone().flat_map(|c| side.skeletons[c].iter().copied()).collect()
                };
                let seen = a.block(&candidates, &far[i])?;
                let RowSkeleton { rows, interpolation } = row_skeleton(seen.as_ref(), share(i, far[i].len()));
                Ok((interpolation, rows.into_iter().map(|k| candidates[k]).collect()))
            })
            .collect();
        for (i, (basis, skeleton)) in rows.level(level).zip(found?) {
            (side.bases[i], side.skeletons[i]) = (basis, skeleton);
        }
    }
    Ok(side)
}
