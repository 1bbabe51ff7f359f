//! HSS form of a matrix that is known by its entries, without forming it.
//!
//! *Skeletons.* Each node has a few of its rows, from which all its rows are interpolated on the columns outside of
//! it: `A(I, J) = U A(S, J)` for a leaf, and above the leaves the same with the skeletons of the children in place of
//! `I` (Ho & Greengard 2012, section 3; [`interpolative`](crate::interpolative)). Columns likewise, and the coupling
//! blocks are entries of the matrix at skeleton rows and columns.
//!
//! *Far fields.* The interpolation of a node is computed on columns that stand for all columns outside of it: all
//! candidates of the column skeletons of near clusters (boxes closer than a quarter of their diameter; neighbours in
//! tree order when the tree has no points), and columns at random from clusters further away, fewer the further,
//! weighted so that norms are kept in the mean; all candidates where there are few. The part of a kernel matrix that
//! is far from a box is smooth and has a low rank, which a few columns find; what is near is taken whole (the near
//! field takes the place of the dense inner proxy surfaces of Xing & Chow 2020). A product with random signs makes as
//! many columns as there are candidates from them.
//!
//! *Recompression* then makes the bases orthonormal and the ranks those that the tolerance needs.
//!
//! *Certificate.* Rows of `A - H` are computed at random places. See [`Hss::from_entries`] for what that proves. When
//! the check fails the build is repeated with a smaller local tolerance and more columns at random.
//!
//! Cost: O(n r^2) work and O(n r) entries for ranks that do not grow with the level, and `check_rows n` entries for
//! the check. Do not use it when all entries are at hand and n is a few thousand: [`Hss::from_dense`] proves its
//! error.

use std::ops::Range;
use std::sync::Arc;

use faer::Mat;
use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::from_dense::check_trees;
use super::{Hss, NodeBlocks, leaf_bytes};
use crate::accuracy::Accuracy;
use crate::certificate::{Bound, Certificate};
use crate::cluster_tree::ClusterTree;
use crate::entries::{Entries, finite_block};
use crate::error::MatrixError;
use crate::interpolative::interpolative;
use crate::linalg::product;
use crate::matrix::Matrix;
use crate::operator::LinearOperator;
use crate::random::signs;
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
    /// How often the build may be repeated with a smaller local tolerance. Default 4.
    pub attempts: usize,
}

impl Default for SkeletonOptions {
    fn default() -> Self {
        Self { seed: 0, failure: 1e-3, check_rows: 256, attempts: 4 }
    }
}

impl<T: Scalar> Hss<T> {
    /// The HSS form of `entries` on trees of its rows and columns of the same shape. Rows and columns of entries that say that they are symmetric
    /// ([`Entries::is_symmetric`]) share their bases on equal trees, at half the cost.
    ///
    /// The certificate rests on rows of `A - H` at uniformly random places. With `x` the squared norms of `s` such
    /// rows, `||A - H||_F^2 <= n mean(x) / (1 - t)` but for a probability of `exp(-s t^2 / (2 k))`, where `k` is the
    /// mean of the squares of the squared row errors over the square of their mean (a one-sided Bernstein inequality
    /// for numbers that are not negative; Maurer 2003). `k`, 1 for errors spread evenly over the rows and `n` for an
    /// error in one row, is not known; twice its value in the sample is taken. So a bound holds with the stated
    /// probability unless the error hides in very few rows, as no method that sees a part of the entries can rule
    /// out. When all rows are checked the bound is proven.
    ///
    /// # Errors
    /// [`MatrixError::Entry`] for an infinite or NaN entry among those looked at, [`MatrixError::Tree`] when the
    /// trees do not fit, [`MatrixError::Option`] for an option outside of its range, [`MatrixError::Tolerance`] when
    /// the rank cap or the number of attempts does not allow the tolerance, [`MatrixError::Memory`] beyond the budget of the accuracy.
    pub fn from_entries(
        entries: &dyn Entries<T>,
        rows: &Arc<ClusterTree>,
        cols: &Arc<ClusterTree>,
        accuracy: Accuracy,
        options: &SkeletonOptions,
    ) -> Result<(Self, Certificate), MatrixError> {
        check_trees(entries.nrows(), entries.ncols(), rows, cols)?;
        options.check()?;
        let what = "HSS form of given entries";
        accuracy.check_memory(what, leaf_bytes::<T>(rows, cols))?;
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let symmetric = entries.is_symmetric() && rows == cols;
        let build = Build { entries, rows, cols, options, symmetric };
        let mut norm = build.norm_estimate(&mut rng)?;
        let (mut fraction, mut reached) = (0.07, f64::INFINITY);
        let mut samples = 16;
        for _ in 0..options.attempts.max(1) {
            let tolerance = accuracy.absolute_for(norm);
            let raw = build.skeletonised(fraction * tolerance, samples, rng.random())?;
            // Half of the tolerance is for the skeletons, more for the ranks when a cap asks for it.
            let (out, small) = match raw.recompress(accuracy.scaled(0.5)) {
                Err(MatrixError::Tolerance { .. }) if accuracy.rank_cap().is_some() => {
                    raw.recompress(accuracy.scaled(0.9))?
                }
                done => done?,
            };
            norm = small.norm;
            let tolerance = accuracy.absolute_for(norm);
            let bound = build.check(&out, norm, rng.random())?;
            // ||A|| is at least ||H|| - ||A - H||.
            reached = bound.value;
            if reached <= accuracy.absolute_for((norm - reached).max(0.0)) {
                let certificate = Certificate { frobenius: bound, spectral: bound, ..small };
                return Ok((out, certificate));
            }
            fraction *= 0.3 * (tolerance / reached).clamp(1e-3, 1.0);
            samples *= 2;
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
    symmetric: bool,
}

/// One side of the matrix: for every node the indices that its skeleton is chosen from (all of a leaf, the skeletons
/// of the children above), the skeleton, and the interpolation from it. Indices are those of the user.
struct Side<T> {
    candidates: Vec<Vec<usize>>,
    skeletons: Vec<Vec<usize>>,
    bases: Vec<Mat<T>>,
}

impl<T: Scalar> Side<T> {
    /// With the candidates of the leaves.
    fn new(tree: &ClusterTree) -> Self {
        let count = tree.clusters().len();
        let leaf = |i: usize| if tree.cluster(i).is_leaf() { tree.indices(i).to_vec() } else { Vec::new() };
        Self {
            candidates: (0..count).map(leaf).collect(),
            skeletons: vec![Vec::new(); count],
            bases: vec![Mat::zeros(0, 0); count],
        }
    }

    /// The candidates of the nodes of a level from the skeletons of their children.
    fn gather(&mut self, tree: &ClusterTree, nodes: Range<usize>) {
        for i in nodes.filter(|&i| !tree.cluster(i).is_leaf()) {
            let children = tree.cluster(i).children.clone();
            self.candidates[i] = children.flat_map(|c| self.skeletons[c].iter().copied()).collect();
        }
    }

    fn keep(&mut self, nodes: Range<usize>, found: Found<T>) {
        for (i, (basis, skeleton)) in nodes.zip(found) {
            (self.bases[i], self.skeletons[i]) = (basis, skeleton);
        }
    }
}

/// The matrix, or its transpose.
#[derive(Clone, Copy)]
struct Oriented<'a, T> {
    entries: &'a dyn Entries<T>,
    transposed: bool,
}

impl<T: Scalar> Oriented<'_, T> {
    /// The transpose of the block of entries as this side sees it.
    fn transposed_block(&self, rows: &[usize], cols: &[usize]) -> Result<Mat<T>, MatrixError> {
        if self.transposed {
            finite_block(self.entries, cols, rows)
        } else {
            Ok(finite_block(self.entries, rows, cols)?.transpose().to_owned())
        }
    }
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
    fn skeletonised(&self, tolerance: f64, samples: usize, seed: u64) -> Result<Hss<T>, MatrixError> {
        let of_rows = Oriented { entries: self.entries, transposed: false };
        let of_cols = Oriented { entries: self.entries, transposed: true };
        let count = self.rows.clusters().len();
        let neighbours = Neighbours::new(self.rows, self.cols);
        // Equal shares of the square for every basis.
        let share = tolerance / (2.0 * count as f64).sqrt();
        let (mut rows, mut cols) = (Side::new(self.rows), Side::new(self.cols));
        for level in (1..=self.rows.depth()).rev() {
            let nodes = self.rows.level(level);
            rows.gather(self.rows, nodes.clone());
            cols.gather(self.cols, nodes.clone());
            let mut all: Vec<usize> = nodes.clone().collect();
            all.extend((0..nodes.start).filter(|&i| self.rows.cluster(i).is_leaf()));
            let size = |side: &Side<T>| all.iter().map(|&i| side.candidates[i].len()).sum::<usize>();
            let few = size(&rows).max(size(&cols)) <= 64 * samples;
            let far = FarFields { neighbours: &neighbours, samples, all: few.then_some(all), seed };
            let found = far.skeletons(of_rows, &rows, (&cols, self.cols), nodes.clone(), share)?;
            let of_cols = if self.symmetric {
                found.clone()
            } else {
                far.skeletons(of_cols, &cols, (&rows, self.rows), nodes.clone(), share)?
            };
            rows.keep(nodes.clone(), found);
            cols.keep(nodes, of_cols);
        }
        let blocks: Result<Vec<NodeBlocks<T>>, MatrixError> = (0..count)
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
    fn check(&self, h: &Hss<T>, norm: f64, seed: u64) -> Result<Bound, MatrixError> {
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
            let rounding = 4.0 * (h.levels() + 1) as f64 * T::EPSILON * norm;
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

/// Which clusters are near each other, on the two trees.
struct Neighbours {
    /// For each node the nodes of its level, and leaves of levels above, that are near it; itself among them.
    near: Vec<Vec<usize>>,
    /// For each node those that are near its parent, or their children, but not near the node.
    far: Vec<Vec<usize>>,
}

impl Neighbours {
    fn new(rows: &ClusterTree, cols: &ClusterTree) -> Self {
        let count = rows.clusters().len();
        let mut out = Self { near: vec![Vec::new(); count], far: vec![Vec::new(); count] };
        out.near[0] = vec![0];
        for i in 1..count {
            let Some(parent) = rows.cluster(i).parent else { continue };
            let around = out.near[parent].iter().flat_map(|&j| {
                let children = cols.cluster(j).children.clone();
                if children.is_empty() { j..j + 1 } else { children }
            });
            let (near, far) = around.partition(|&j| i == j || are_near(rows, cols, i, j));
            (out.near[i], out.far[i]) = (near, far);
        }
        out
    }
}

/// Whether two different nodes are near each other, as rows and columns or as columns and rows.
fn are_near(rows: &ClusterTree, cols: &ClusterTree, i: usize, j: usize) -> bool {
    let boxes = |a: &ClusterTree, i: usize, b: &ClusterTree, j: usize| {
        let (a, b) = (a.cluster(i).bounding_box.as_ref()?, b.cluster(j).bounding_box.as_ref()?);
        Some(a.distance(b) <= 0.25 * a.diameter().min(b.diameter()))
    };
    match (boxes(rows, i, cols, j), boxes(rows, j, cols, i)) {
        (Some(a), Some(b)) => a || b,
        _ => [rows, cols].iter().any(|tree| {
            let (a, b) = (&tree.cluster(i).range, &tree.cluster(j).range);
            a.end == b.start || b.end == a.start
        }),
    }
}

/// How the columns are chosen on which interpolations are computed.
struct FarFields<'a> {
    neighbours: &'a Neighbours,
    /// Columns from each of the nearest clusters of the far field.
    samples: usize,
    /// All clusters of the level, and leaves above it, when they are so few that all are near.
    all: Option<Vec<usize>>,
    seed: u64,
}

type Found<T> = Vec<(Mat<T>, Vec<usize>)>;

impl FarFields<'_> {
    /// Interpolations and skeletons of the rows of `nodes`, all of one level.
    fn skeletons<T: Scalar>(
        &self,
        a: Oriented<T>,
        rows: &Side<T>,
        (cols, tree): (&Side<T>, &ClusterTree),
        nodes: Range<usize>,
        tolerance: f64,
    ) -> Result<Found<T>, MatrixError> {
        let of_node = |i: usize| {
            let candidates = &rows.candidates[i];
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(2 * i as u64 + u64::from(a.transposed));
            let (seen, weights) = self.columns(cols, tree, i, &mut rng);
            let mut far = a.transposed_block(candidates, &seen)?;
            for j in 0..candidates.len() {
                let column = far.col_as_slice_mut(j).iter_mut();
                column.zip(&weights).for_each(|(x, &weight)| *x *= T::from_f64(weight));
            }
            let enough = candidates.len() + 16;
            if far.nrows() > enough + enough / 4 {
                far = product(signs(enough, far.nrows(), &mut rng).as_ref(), far.as_ref());
            }
            let (m, n) = (far.nrows(), far.ncols());
            let columns = (0..n).flat_map(|j| far.col_as_slice(j)).copied().collect();
            let id = interpolative(columns, m, n, |_| tolerance, usize::MAX);
            Ok((id.coefficients, id.skeleton.into_iter().map(|k| candidates[k]).collect()))
        };
        nodes.into_par_iter().map(of_node).collect()
    }

    /// Columns that stand for all columns outside of node `i`, and their weights.
    fn columns<T>(&self, cols: &Side<T>, tree: &ClusterTree, i: usize, rng: &mut ChaCha8Rng) -> (Vec<usize>, Vec<f64>) {
        let (mut seen, mut weights) = (Vec::new(), Vec::new());
        let whole = self.all.as_deref().unwrap_or(&self.neighbours.near[i]);
        for &j in whole.iter().filter(|&&j| j != i) {
            let candidates = &cols.candidates[j];
            seen.extend(candidates);
            let weight = tree.cluster(j).len() as f64 / candidates.len().max(1) as f64;
            weights.resize(seen.len(), weight.sqrt());
        }
        let (mut ancestor, mut samples) = (self.all.is_none().then_some(i), self.samples);
        while let Some(node) = ancestor {
            for &j in &self.neighbours.far[node] {
                let all = tree.indices(j);
                let count = samples.min(all.len());
                seen.extend(sample(rng, all.len(), count).iter().map(|k| all[k]));
                weights.resize(seen.len(), (all.len() as f64 / count.max(1) as f64).sqrt());
            }
            samples = (samples / 2).max(self.samples.min(3));
            ancestor = tree.cluster(node).parent;
        }
        (seen, weights)
    }
}
