//! A self-adjoint operator from pairs of inputs and outputs, without training.
//!
//! Theorem 2.3 of Neural-HSS taken at its word: its proof recovers an HSS matrix from Gaussian samples by the recursion of
//! [`sketch`](super::sketch) (Levitt & Martinsson, SISC 2024). For a self-adjoint operator the pairs `Y = A X` serve as products with `A` and with
//! `A^T`. `max(leaf + r, 3 r) + p` pairs are enough, `p` about 10, whatever the size of the matrix. Cost O(n s^2) for `s` pairs and each rank
//! that is tried.
//!
//! Points that are zero in all pairs, as those of a boundary that is stored with a field, say nothing about the operator. On request
//! ([`RecoverOptions::zero_points`]) they stay where they are: the operator is recovered on the others, and has zero rows and columns there.
//!
//! What cannot work is refused: inputs that do not vary freely on every leaf (a few sine modes span too little there), too few pairs, an operator
//! that is not symmetric. The result is checked on pairs that it was not made from.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::from_products::certificate;
use super::orthonormal::norm_frobenius as norm_of_blocks;
use super::sketch::{Cut, Samples, SketchError, from_samples, samples_needed};
use super::{Hss, NodeBlocks};
use crate::certificate::{Bound, Certificate};
use crate::chi_squared::lower_share;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::householder::HouseholderQr;
use crate::linalg::{distance, norm_frobenius, product, svd};
use crate::matrix::Matrix;
use crate::operator::{LinearOperator, check_rows};
use crate::scalar::Scalar;

/// Leaf sizes that are tried when none is given.
const LEAVES: [usize; 5] = [4, 8, 16, 32, 64];
/// Ranks that are tried when none is given.
const RANKS: [usize; 16] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96];

/// How to recover an operator from data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecoverOptions {
    /// Leaf size of the tree when none is given. Default: 4 to 64 are tried.
    pub leaf_size: Option<usize>,
    /// Largest rank. Default: 1 to 96 are tried, as far as the samples reach.
    pub rank: Option<usize>,
    /// Samples beyond `max(leaf + r, 3 r)` that must be there. Default 4.
    pub oversampling: usize,
    /// Pairs kept for the check, the last ones. Default: a tenth, at least 2.
    pub held_out: Option<usize>,
    /// Largest relative error on them. Default `1e-6`.
    pub tolerance: f64,
    /// Largest `||S - S^T||_F / ||S||_F` for `S = X^T Y`. Default `1e-8` (f32: `1e-3`).
    pub asymmetry: Option<f64>,
    /// Least ratio of the singular values of the inputs on a leaf; below it they count as dependent. Default `1e-8` (f32: `1e-4`).
    pub independence: Option<f64>,
    /// Probability that the bound of the certificate may fail. Default 0.01.
    pub failure: f64,
    /// Whether points that are zero in all inputs and all outputs are kept in place, with zero rows and columns of the matrix. Default false: such inputs
    /// are refused. A point that is zero in the inputs only is always refused.
    pub zero_points: bool,
}

impl Default for RecoverOptions {
    fn default() -> Self {
        Self {
            leaf_size: None,
            rank: None,
            oversampling: 4,
            held_out: None,
            tolerance: 1e-6,
            asymmetry: None,
            independence: None,
            failure: 0.01,
            zero_points: false,
        }
    }
}

/// An operator recovered from data.
#[derive(Clone, Debug)]
pub struct Recovered<T: Scalar> {
    /// The operator.
    pub matrix: Hss<T>,
    /// A bound on its error that holds if the inputs that were held out have independent normal entries of equal variance. With few of them it is
    /// far above the true error.
    pub certificate: Certificate,
    /// Largest number of indices of a leaf.
    pub leaf_size: usize,
    /// Largest rank allowed.
    pub rank: usize,
    /// Pairs that the matrix was made from.
    pub samples: usize,
    /// Pairs that it was checked on.
    pub held_out: usize,
    /// `||Y - H X||_F / ||Y||_F` on them.
    pub held_out_error: f64,
    /// `||S - S^T||_F / ||S||_F`, `S = X^T Y` over all pairs.
    pub asymmetry: f64,
    /// Points that are zero in all pairs and have zero rows and columns in the matrix, in ascending order. The certificate speaks of the others.
    pub zero_points: Vec<usize>,
}

impl<T: Scalar> Hss<T> {
    /// The self-adjoint operator that maps the columns of `inputs` to those of `outputs`. Without a tree, the indices are halved in
    /// their own order.
    ///
    /// ```
    /// use farfield_matrix::{Hss, Matrix, RecoverOptions};
    /// // The solution operator of -u'' = f by second differences, and white noise.
    /// let n = 64;
    /// let a = Matrix::from_fn(n, n, |i, j| (i.min(j) + 1) as f64 * (n - i.max(j)) as f64 / (n + 1) as f64);
    /// let noise = |i: usize, j: usize| (((i * 131 + j * 7919 + 17) as f64).sin() * 43758.5453).fract();
    /// let inputs = Matrix::from_fn(n, 20, noise);
    /// let outputs = farfield_matrix::LinearOperator::apply(&a, &inputs)?;
    /// let recovered = Hss::recover(&inputs, &outputs, None, &RecoverOptions::default())?;
    /// assert!(recovered.held_out_error < 1e-10);
    /// # Ok::<(), farfield_matrix::MatrixError>(())
    /// ```
    ///
    /// # Errors
    /// [`MatrixError::Recovery`] with the reason: inputs that are dependent on a leaf, too few pairs (and how many are needed), asymmetry, or an error
    /// on the held-out pairs above the tolerance. [`MatrixError::Rows`] or [`MatrixError::Shapes`] for sizes that do not fit, [`MatrixError::Entry`] for
    /// an entry that is not finite, [`MatrixError::Option`].
    pub fn recover(
        inputs: &Matrix<T>,
        outputs: &Matrix<T>,
        tree: Option<&Arc<ClusterTree>>,
        options: &RecoverOptions,
    ) -> Result<Recovered<T>, MatrixError> {
        let data = Data::new(inputs, outputs, options)?;
        let zero = |x: &Matrix<T>, i: usize| (0..x.ncols()).all(|j| x[(i, j)] == T::ZERO);
        let kept: Vec<bool> = (0..inputs.nrows()).map(|i| !(zero(inputs, i) && zero(outputs, i))).collect();
        let zero_points = kept.iter().filter(|kept| !**kept).count();
        if zero_points == kept.len() {
            return refuse("all pairs are zero".to_owned());
        }
        let trees = match tree {
            Some(tree) => {
                check_rows("recovery, inputs for this tree", inputs, tree.len())?;
                vec![tree.clone()]
            }
            None => trees(inputs.nrows(), options.leaf_size)?,
        };
        if zero_points == 0 {
            return recovered(&data, &trees, inputs.ncols(), options);
        }
        if !options.zero_points {
            return refuse(format!(
                "{zero_points} of {} points are zero in all pairs, which say nothing about the operator there: leave them out, or keep them \
                 with zero rows and columns by the option zero_points",
                kept.len()
            ));
        }
        let others: Vec<Arc<ClusterTree>> =
            trees.iter().filter_map(|tree| tree.restricted(&kept)).map(Arc::new).collect();
        let found = recovered(&data.on(&kept), &others, inputs.ncols(), options)?;
        let tree = others.iter().position(|tree| tree == found.matrix.rows()).map_or(&trees[0], |i| &trees[i]);
        let matrix = found.matrix.with_zeros(tree, &kept)?;
        Ok(Recovered {
            certificate: certificate(&matrix, found.certificate.norm, found.certificate.frobenius),
            leaf_size: largest_leaf(tree),
            zero_points: (0..kept.len()).filter(|&i| !kept[i]).collect(),
            matrix,
            ..found
        })
    }

    /// The matrix on a tree of more indices, of which this one has those that are kept, with zero rows and columns at the others.
    fn with_zeros(&self, tree: &Arc<ClusterTree>, kept: &[bool]) -> Result<Self, MatrixError> {
        let blocks: Vec<NodeBlocks<T>> = (tree.clusters().iter().enumerate())
            .map(|(i, cluster)| {
                let (d, u, v) = (self.d(i), self.u(i), self.v(i));
                if !cluster.is_leaf() {
                    return NodeBlocks { d: d.to_owned(), u: u.to_owned(), v: v.to_owned() };
                }
                // Of every row of the leaf its row in this matrix.
                let mut next = 0;
                let place: Vec<Option<usize>> = (tree.indices(i).iter())
                    .map(|&index| {
                        next += usize::from(kept[index]);
                        kept[index].then(|| next - 1)
                    })
                    .collect();
                let n = place.len();
                let rows =
                    |a: MatRef<T>| Mat::from_fn(n, a.ncols(), |i, j| place[i].map_or(T::ZERO, |row| a[(row, j)]));
                let d = Mat::from_fn(n, n, |i, j| match (place[i], place[j]) {
                    (Some(row), Some(col)) => d[(row, col)],
                    _ => T::ZERO,
                });
                NodeBlocks { d, u: rows(u), v: rows(v) }
            })
            .collect();
        Self::assemble(tree.clone(), tree.clone(), &blocks)
    }
}

/// The operator on the best of these trees.
fn recovered<T: Scalar>(
    data: &Data<T>,
    trees: &[Arc<ClusterTree>],
    pairs: usize,
    options: &RecoverOptions,
) -> Result<Recovered<T>, MatrixError> {
    let candidates = candidates(trees, options);
    let enough = |(tree, rank): &(&Arc<ClusterTree>, usize)| {
        samples_needed(tree, tree, *rank) + options.oversampling <= data.train.omega.ncols()
    };
    let Some(first) = candidates.first() else {
        return refuse("there is no leaf size or rank to try".to_owned());
    };
    if !candidates.iter().any(enough) {
        let needed = candidates.iter().map(|(tree, rank)| samples_needed(tree, tree, *rank)).min().unwrap_or(0);
        let (leaf, rank) = (largest_leaf(first.0), first.1);
        return refuse(format!(
            "{pairs} pairs are too few: max(leaf + r, 3 r) + {} for leaf {leaf} and rank {rank}, and {} to check, make {}",
            options.oversampling,
            data.held_out,
            needed + options.oversampling + data.held_out
        ));
    }
    data.search(&candidates.into_iter().filter(enough).collect::<Vec<_>>(), options)
}

/// The pairs, checked.
struct Data<T> {
    /// Those that the matrix is made from, in the user's order.
    train: Samples<T>,
    inputs: Matrix<T>,
    outputs: Matrix<T>,
    held_out: usize,
    asymmetry: f64,
    independence: f64,
}

impl<T: Scalar> Data<T> {
    fn new(inputs: &Matrix<T>, outputs: &Matrix<T>, options: &RecoverOptions) -> Result<Self, MatrixError> {
        let (n, pairs) = (inputs.nrows(), inputs.ncols());
        check_rows("recovery, outputs", outputs, n)?;
        if outputs.ncols() != pairs {
            return Err(MatrixError::Shapes {
                operation: "recovery",
                left_out: n,
                left_in: pairs,
                right_out: n,
                right_in: outputs.ncols(),
                rule: "inputs and outputs come in pairs",
            });
        }
        for x in [inputs, outputs] {
            if let Some((row, col)) = x.first_non_finite() {
                return Err(MatrixError::Entry { row, col, value: x[(row, col)].to_f64() });
            }
        }
        for (name, value) in [("tolerance", options.tolerance), ("failure", options.failure)] {
            if !(value > 0.0 && value.is_finite()) || (name == "failure" && value >= 1.0) {
                let rule = "a tolerance must be positive, a probability between 0 and 1";
                return Err(MatrixError::Option { name, value: value.to_string(), rule });
            }
        }
        if options.rank == Some(0) || options.leaf_size == Some(0) {
            let rule = "rank and leaf size must be at least 1";
            return Err(MatrixError::Option { name: "rank or leaf_size", value: "0".to_owned(), rule });
        }
        let held_out = options.held_out.unwrap_or((pairs / 10).max(2));
        if n == 0 || held_out == 0 || held_out >= pairs {
            return refuse(format!("{pairs} pairs of length {n} with {held_out} held out for the check leave nothing"));
        }
        let single = T::EPSILON > 1e-10;
        let default =
            |option: Option<f64>, narrow: f64, wide: f64| option.unwrap_or(if single { narrow } else { wide });
        let asymmetry = asymmetry(inputs, outputs);
        let allowed = default(options.asymmetry, 1e-3, 1e-8);
        if asymmetry.is_nan() || asymmetry > allowed {
            return refuse(format!(
                "the operator is not symmetric: ||X^T Y - Y^T X||_F is {asymmetry:.3e} ||X^T Y||_F, {allowed:.1e} is allowed"
            ));
        }
        let train = pairs - held_out;
        let part = |x: &Matrix<T>, start: usize, count: usize| Matrix(x.as_ref().subcols(start, count).to_owned());
        let (x, y) = (part(inputs, 0, train), part(outputs, 0, train));
        Ok(Self {
            train: Samples { omega: x.clone(), y: y.clone(), psi: x, z: y },
            inputs: part(inputs, train, held_out),
            outputs: part(outputs, train, held_out),
            held_out,
            asymmetry,
            independence: default(options.independence, 1e-4, 1e-8),
        })
    }

    /// The same pairs on the points that are kept.
    fn on(&self, kept: &[bool]) -> Self {
        let places: Vec<usize> = (0..kept.len()).filter(|&i| kept[i]).collect();
        let part = |x: &Matrix<T>| Matrix::from_fn(places.len(), x.ncols(), |i, j| x[(places[i], j)]);
        let (x, y) = (part(&self.train.omega), part(&self.train.y));
        Self {
            train: Samples { omega: x.clone(), y: y.clone(), psi: x, z: y },
            inputs: part(&self.inputs),
            outputs: part(&self.outputs),
            ..*self
        }
    }

    /// The first candidate whose error is within a factor of 3 of the best. A candidate at the rounding level ends the search.
    fn search(
        &self,
        candidates: &[(&Arc<ClusterTree>, usize)],
        options: &RecoverOptions,
    ) -> Result<Recovered<T>, MatrixError> {
        self.check_independence(candidates, options)?;
        let mut found: Vec<(f64, Hss<T>, usize)> = Vec::new();
        let mut refused = None;
        for &(tree, rank) in candidates {
            match self.build(tree, rank) {
                Ok(matrix) => {
                    let error = self.error(&matrix)?;
                    found.push((error, matrix, rank));
                    if error <= 100.0 * T::EPSILON {
                        break;
                    }
                }
                Err(SketchError::Matrix(error)) => return Err(error),
                Err(SketchError::Deficient { node, rank, of }) => {
                    refused = refused.or(Some(dependent(tree, node, rank, of)));
                }
            }
        }
        let best = found.iter().map(|f| f.0).fold(f64::INFINITY, f64::min);
        let tried = found.len();
        let Some((error, matrix, rank)) = found.into_iter().find(|f| f.0 <= 3.0 * best) else {
            return refuse(
                refused.unwrap_or_else(|| "the outputs leave no finite error on the held-out pairs".to_owned()),
            );
        };
        let leaf_size = largest_leaf(matrix.rows());
        if error.is_nan() || error > options.tolerance {
            return refuse(format!(
                "the relative error on {} held-out pairs is {error:.3e}, {:.1e} is allowed; leaf {leaf_size} and rank {rank} were \
                 the best of {tried}, a larger rank needs more pairs",
                self.held_out, options.tolerance
            ));
        }
        let norm = norm_of_blocks(matrix.rows(), &matrix.orthonormal()?);
        // Inputs of variance v: the mean square of (A - H) x is v ||A - H||_F^2. Every candidate was checked on the same pairs.
        let deviation = self.inputs.norm_frobenius() / ((self.inputs.nrows() * self.held_out) as f64).sqrt();
        let fraction = lower_share(self.held_out, options.failure / tried as f64);
        let difference = error * self.outputs.norm_frobenius();
        let bound =
            if deviation > 0.0 { difference / deviation / (self.held_out as f64 * fraction).sqrt() } else { 0.0 };
        let bound = Bound::probabilistic(bound + 16.0 * T::EPSILON * norm, options.failure);
        Ok(Recovered {
            certificate: certificate(&matrix, norm, bound),
            leaf_size,
            rank,
            samples: self.train.omega.ncols(),
            held_out: self.held_out,
            held_out_error: error,
            asymmetry: self.asymmetry,
            zero_points: Vec::new(),
            matrix,
        })
    }

    fn build(&self, tree: &Arc<ClusterTree>, rank: usize) -> Result<Hss<T>, SketchError> {
        let (x, y) = (tree.to_tree_order(&self.train.omega), tree.to_tree_order(&self.train.y));
        let samples = Samples { omega: x.clone(), y: y.clone(), psi: x, z: y };
        let tolerance = T::EPSILON * samples.y.norm_frobenius() / samples.y.ncols() as f64;
        let cut = Cut { rank, tolerance, oversampling: 0, smallest_ratio: self.independence };
        Ok(from_samples(tree, tree, &samples, cut)?.0)
    }

    /// `||Y - H X||_F / ||Y||_F` on the held-out pairs.
    fn error(&self, matrix: &Hss<T>) -> Result<f64, MatrixError> {
        let difference = distance(self.outputs.as_ref(), matrix.apply(&self.inputs)?.as_ref());
        let norm = self.outputs.norm_frobenius();
        Ok(if norm > 0.0 { difference / norm } else { difference })
    }

    /// Refuses inputs that span too little altogether: the smallest candidate needs as many independent ones as samples.
    fn check_independence(
        &self,
        candidates: &[(&Arc<ClusterTree>, usize)],
        options: &RecoverOptions,
    ) -> Result<(), MatrixError> {
        let x = self.train.omega.as_ref();
        let mut checked: Vec<&Arc<ClusterTree>> = Vec::new();
        for &(tree, _) in candidates {
            if checked.iter().any(|t| Arc::ptr_eq(t, tree)) {
                continue;
            }
            checked.push(tree);
            // On every leaf the inputs must span all of it.
            for i in tree.leaves() {
                let rows = tree.indices(i);
                let local = Matrix::from_fn(rows.len(), x.ncols(), |row, j| x[(rows[row], j)]);
                let rank = numerical_rank(&local, self.independence);
                if rank < rows.len() {
                    return refuse(dependent(tree, i, rank, rows.len()));
                }
            }
        }
        let needed = candidates.iter().map(|(tree, rank)| samples_needed(tree, tree, *rank)).min().unwrap_or(0);
        let needed = (needed + options.oversampling).min(self.train.omega.nrows());
        let rank = numerical_rank(&self.train.omega, self.independence);
        if rank < needed {
            return refuse(format!(
                "the {} inputs span only {rank} dimensions, {needed} are needed: they must be as random as white noise",
                self.train.omega.ncols()
            ));
        }
        Ok(())
    }
}

/// Singular values above `ratio` times the largest.
fn numerical_rank<T: Scalar>(x: &Matrix<T>, ratio: f64) -> usize {
    let r = match x.nrows() > x.ncols() {
        true => HouseholderQr::new(x.as_ref()).r,
        false => HouseholderQr::new(x.as_ref().transpose()).r,
    };
    let s = svd(r.as_ref()).s;
    let largest = s.first().copied().unwrap_or(0.0);
    s.iter().filter(|value| **value > ratio * largest).count()
}

/// `||S - S^T||_F / ||S||_F` for `S = X^T Y`, zero for a symmetric operator. Each column is taken to length one first.
fn asymmetry<T: Scalar>(x: &Matrix<T>, y: &Matrix<T>) -> f64 {
    let lengths: Vec<f64> = (0..x.ncols()).map(|j| norm_frobenius(x.as_ref().subcols(j, 1))).collect();
    let s = product(x.as_ref().transpose(), y.as_ref());
    let scaled = Matrix::from_fn(x.ncols(), x.ncols(), |i, j| {
        let scale = lengths[i] * lengths[j];
        T::from_f64(if scale > 0.0 { s[(i, j)].to_f64() / scale } else { 0.0 })
    });
    let norm = scaled.norm_frobenius();
    if norm > 0.0 { distance(scaled.as_ref(), scaled.as_ref().transpose()) / norm } else { 0.0 }
}

fn dependent(tree: &ClusterTree, node: usize, rank: usize, of: usize) -> String {
    let cluster = tree.cluster(node);
    let kind = if cluster.is_leaf() { "leaf" } else { "node" };
    format!(
        "the inputs are dependent on {kind} {node} (places {} to {}): rank {rank} of {of}, deficiency {}; they must be as random as \
         white noise",
        cluster.range.start,
        cluster.range.end,
        of - rank
    )
}

fn refuse<R>(reason: String) -> Result<R, MatrixError> {
    Err(MatrixError::Recovery { reason })
}

fn trees(n: usize, leaf_size: Option<usize>) -> Result<Vec<Arc<ClusterTree>>, MatrixError> {
    let sizes: Vec<usize> = match leaf_size {
        Some(size) => vec![size],
        None => LEAVES.iter().copied().filter(|&size| size == LEAVES[0] || size < 2 * n).collect(),
    };
    sizes.iter().map(|&size| Ok(Arc::new(ClusterTree::bisection(n, size)?))).collect()
}

fn candidates<'a>(trees: &'a [Arc<ClusterTree>], options: &RecoverOptions) -> Vec<(&'a Arc<ClusterTree>, usize)> {
    let ranks: &[usize] = options.rank.as_ref().map_or(&RANKS, std::slice::from_ref);
    let mut all: Vec<_> = trees.iter().flat_map(|tree| ranks.iter().map(move |&rank| (tree, rank))).collect();
    // Those that need the fewest samples first.
    all.sort_by_key(|(tree, rank)| (samples_needed(tree, tree, *rank), *rank));
    all
}

fn largest_leaf(tree: &ClusterTree) -> usize {
    tree.leaves().map(|i| tree.cluster(i).len()).max().unwrap_or(0)
}
