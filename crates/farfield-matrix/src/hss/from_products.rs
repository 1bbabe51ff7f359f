//! HSS matrices of black boxes: from `O(r)` products with `A` and `A^T` alone.
//!
//! Gaussian `Omega` and `Psi` of `s >= max(leaf + r, 3 r) + p` columns, `Y = A Omega`, `Z = A^T Psi`, and the recursion of [`sketch`](super::sketch) (Levitt &
//! Martinsson, SISC 2024). Without a given rank, it doubles until a check by other Gaussian vectors finds the tolerance met; all
//! products are kept. The check: for `k` standard Gaussian columns `G`, `||(A - H) G||_F^2 = sum_i sigma_i^2 chi_k^2(i)`, and for every `x < 1`
//!
//! ```text
//! P[ ||(A - H) G||_F^2 / k < x ||A - H||_F^2 ] <= (x e^(1 - x))^(k / 2)
//! ```
//!
//! by Chernoff's bound, because `prod (1 + 2 t sigma_i^2) >= 1 + 2 t sum sigma_i^2` (compare Gratton & Titley-Peloquin, SIAM J. Matrix Anal. Appl. 39,
//! 2018). So `||(A - H) G||_F / sqrt(k x)` bounds the error, but for that probability, shared among all checks of a build. Cost: the products,
//! and O(n s^2). Not for a matrix whose entries are cheap: builds from entries need no products and prove their error.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::orthonormal::norm_frobenius as norm_of_blocks;
use super::sketch::{Cut, Samples, SketchError, from_samples, joined, samples_needed};
use super::{Hss, leaf_bytes};
use crate::accuracy::Accuracy;
use crate::certificate::{Bound, Certificate, LevelRanks};
use crate::chi_squared::lower_share;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::linalg::distance;
use crate::matrix::Matrix;
use crate::operator::LinearOperator;
use crate::random::gaussian;
use crate::scalar::Scalar;

const WHAT: &str = "HSS matrix from products";

/// Most checks of one build.
const CHECKS: usize = 24;

/// How to sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProductOptions {
    /// The rank of all bases. Default: found, from 8 by doubling; the cap of the accuracy is then the largest.
    pub rank: Option<usize>,
    /// Samples beyond those that the rank needs. Default 10.
    pub oversampling: usize,
    /// Gaussian vectors of the check. Default 16.
    pub probes: usize,
    /// Largest probability that the error bound does not hold. Default `1e-6`.
    pub failure: f64,
    /// Seed of all random numbers. Default 0.
    pub seed: u64,
}

impl Default for ProductOptions {
    fn default() -> Self {
        Self { rank: None, oversampling: 10, probes: 16, failure: 1e-6, seed: 0 }
    }
}

/// A matrix made from products.
#[derive(Clone, Debug)]
pub struct FromProducts<T: Scalar> {
    /// The matrix.
    pub matrix: Hss<T>,
    /// Its error; probabilistic.
    pub certificate: Certificate,
    /// Vectors that `A` multiplied, those of the check included.
    pub products: usize,
    /// Vectors that `A^T` multiplied.
    pub transposed_products: usize,
    /// Columns of `Omega` and `Psi`.
    pub samples: usize,
}

impl<T: Scalar> Hss<T> {
    /// The HSS approximation of an operator on a row and a column tree of the same shape, to `accuracy`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use farfield_matrix::{Accuracy, ClusterTree, Hss, Matrix, hss::ProductOptions};
    /// let inverse_of_second_difference =
    ///     Matrix::from_fn(64, 64, |i, j| (i.min(j) + 1) as f64 * (64 - i.max(j)) as f64 / 65.0);
    /// let tree = Arc::new(ClusterTree::bisection(64, 8)?);
    /// let accuracy = Accuracy::relative(1e-8)?;
    /// let built = Hss::from_products(&inverse_of_second_difference, &tree, &tree, &accuracy, &ProductOptions::default())?;
    /// assert!(built.certificate.max_rank() <= 2 && built.products < 64);
    /// # Ok::<(), farfield_matrix::MatrixError>(())
    /// ```
    ///
    /// # Errors
    /// [`MatrixError::Tolerance`] when the rank given, or the largest rank allowed, does not reach the accuracy; [`MatrixError::Tree`] or
    /// [`MatrixError::Shapes`] when trees and operator do not fit; [`MatrixError::Option`]; [`MatrixError::Entry`] for a product that is not finite;
    /// [`MatrixError::Memory`] beyond the budget of the accuracy (the samples do not count); those of the operator, [`MatrixError::NoTranspose`] among them.
    pub fn from_products(
        a: &dyn LinearOperator<T>,
        rows: &Arc<ClusterTree>,
        cols: &Arc<ClusterTree>,
        accuracy: &Accuracy,
        options: &ProductOptions,
    ) -> Result<FromProducts<T>, MatrixError> {
        check(a, rows, cols, options)?;
        accuracy.check_memory(WHAT, leaf_bytes::<T>(rows, cols))?;
        let mut source = Source::new(a, rows, cols, options)?;
        let largest = accuracy.rank_cap().unwrap_or(usize::MAX).min(rows.len().max(cols.len()));
        let mut rank = options.rank.unwrap_or(8).min(largest);
        let fraction = lower_share(options.probes, options.failure / CHECKS as f64);
        let nodes = rows.clusters().len() as f64;
        let mut share = 0.1;
        let mut best = f64::INFINITY;
        for _ in 0..CHECKS {
            source.extend_to(samples_needed(rows, cols, rank) + options.oversampling)?;
            let allowed = accuracy.absolute_for(source.norm_estimate());
            let floor = 4.0 * T::EPSILON * source.norm_estimate() / nodes.sqrt();
            let tolerance = (share * allowed / nodes.sqrt()).max(floor);
            let cut = Cut { rank, tolerance, oversampling: options.oversampling.min(4), smallest_ratio: 0.0 };
            let (matrix, capped) =
                from_samples(rows, cols, &source.samples, cut).map_err(|error| sampling_failed(error, rows))?;
            accuracy.check_memory(WHAT, matrix.memory_bytes())?;
            let norm = norm_of_blocks(rows, &matrix.orthonormal()?);
            let difference = distance(source.checks.as_ref(), matrix.apply(&source.probes)?.as_ref());
            let rounding = 16.0 * T::EPSILON * norm;
            let bound = difference / (options.probes as f64 * fraction).sqrt() + rounding;
            best = best.min(bound);
            // The norm of A from below, so that a relative tolerance is met for A itself.
            if bound <= accuracy.absolute_for((norm - bound).max(0.0)) {
                return Ok(source.finish(matrix, norm, bound, options));
            }
            let at_floor = tolerance <= floor;
            if !capped && !at_floor {
                share *= 0.1;
            } else if options.rank.is_none() && rank < largest {
                rank = (2 * rank).min(largest);
            } else {
                break;
            }
        }
        let tolerance = accuracy.absolute_for(source.norm_estimate());
        let limit = format!("rank {rank}, {} samples", source.samples.omega.ncols());
        Err(MatrixError::Tolerance { what: WHAT, tolerance, reached: best, limit })
    }
}

fn check<T: Scalar>(
    a: &dyn LinearOperator<T>,
    rows: &ClusterTree,
    cols: &ClusterTree,
    options: &ProductOptions,
) -> Result<(), MatrixError> {
    if (a.nrows(), a.ncols()) != (rows.len(), cols.len()) {
        return Err(MatrixError::Shapes {
            operation: WHAT,
            left_out: a.nrows(),
            left_in: a.ncols(),
            right_out: rows.len(),
            right_in: cols.len(),
            rule: "the trees must have as many indices as the operator rows and columns",
        });
    }
    if !rows.same_shape(cols) {
        let reason = "the row tree and the column tree of an HSS matrix differ in shape".to_owned();
        return Err(MatrixError::Tree { reason });
    }
    let option = |name, value: String, rule| Err(MatrixError::Option { name, value, rule });
    if options.rank == Some(0) {
        return option("rank", "0".to_owned(), "it must be at least 1");
    }
    if options.probes == 0 {
        return option("probes", "0".to_owned(), "the check needs at least one vector");
    }
    if !(options.failure > 0.0 && options.failure < 1.0) {
        return option("failure", options.failure.to_string(), "a probability must lie between 0 and 1");
    }
    Ok(())
}

fn sampling_failed(error: SketchError, rows: &ClusterTree) -> MatrixError {
    match error {
        SketchError::Matrix(error) => error,
        SketchError::Deficient { node, rank, of } => {
            let level = rows.cluster(node).level;
            let reason = format!("node {node} on level {level}: the samples have rank {rank}, {of} are needed");
            MatrixError::Recovery { reason }
        }
    }
}

/// The operator and the products taken so far.
struct Source<'a, T> {
    a: &'a dyn LinearOperator<T>,
    rows: &'a ClusterTree,
    cols: &'a ClusterTree,
    random: [ChaCha8Rng; 2],
    samples: Samples<T>,
    /// Vectors of the check and their products, in the user's order.
    probes: Matrix<T>,
    checks: Matrix<T>,
}

impl<'a, T: Scalar> Source<'a, T> {
    fn new(
        a: &'a dyn LinearOperator<T>,
        rows: &'a ClusterTree,
        cols: &'a ClusterTree,
        options: &ProductOptions,
    ) -> Result<Self, MatrixError> {
        let stream = |number| {
            let mut random = ChaCha8Rng::seed_from_u64(options.seed);
            random.set_stream(number);
            random
        };
        let (of_rows, of_cols) = (Matrix::zeros(rows.len(), 0), Matrix::zeros(cols.len(), 0));
        let samples = Samples { omega: of_cols.clone(), y: of_rows.clone(), psi: of_rows, z: of_cols };
        let probes = gaussian(cols.len(), options.probes, &mut stream(2));
        let checks = finite(a.apply(&probes)?)?;
        Ok(Self { a, rows, cols, random: [stream(0), stream(1)], samples, probes, checks })
    }

    /// Takes products until there are `count` samples.
    fn extend_to(&mut self, count: usize) -> Result<(), MatrixError> {
        let more = count.saturating_sub(self.samples.omega.ncols());
        if more == 0 {
            return Ok(());
        }
        let (omega, psi) = (
            gaussian(self.cols.len(), more, &mut self.random[0]),
            gaussian(self.rows.len(), more, &mut self.random[1]),
        );
        let (y, z) = (finite(self.a.apply(&omega)?)?, finite(self.a.apply_transpose(&psi)?)?);
        let samples = &mut self.samples;
        samples.omega = joined(&samples.omega, &self.cols.to_tree_order(&omega));
        samples.y = joined(&samples.y, &self.rows.to_tree_order(&y));
        samples.psi = joined(&samples.psi, &self.rows.to_tree_order(&psi));
        samples.z = joined(&samples.z, &self.cols.to_tree_order(&z));
        Ok(())
    }

    /// `||A||_F`, from the mean square of the products.
    fn norm_estimate(&self) -> f64 {
        self.samples.y.norm_frobenius() / (self.samples.y.ncols().max(1) as f64).sqrt()
    }

    fn finish(self, matrix: Hss<T>, norm: f64, bound: f64, options: &ProductOptions) -> FromProducts<T> {
        let bound = Bound::probabilistic(bound, options.failure);
        let samples = self.samples.omega.ncols();
        FromProducts {
            certificate: certificate(&matrix, norm, bound),
            matrix,
            products: samples + options.probes,
            transposed_products: samples,
            samples,
        }
    }
}

/// The certificate of an HSS matrix whose error in the Frobenius norm is known.
pub(super) fn certificate<T: Scalar>(matrix: &Hss<T>, norm: f64, bound: Bound) -> Certificate {
    let clusters = matrix.rows().clusters().iter().enumerate().skip(1);
    let ranks = clusters.map(|(i, c)| (c.level, matrix.u(i).ncols().max(matrix.v(i).ncols())));
    Certificate {
        frobenius: bound,
        spectral: bound,
        norm,
        ranks: LevelRanks::of(ranks),
        stored: matrix.data().len(),
        dense: matrix.nrows() * matrix.ncols(),
    }
}

fn finite<T: Scalar>(product: Matrix<T>) -> Result<Matrix<T>, MatrixError> {
    match product.first_non_finite() {
        None => Ok(product),
        Some((row, col)) => Err(MatrixError::Entry { row, col, value: product[(row, col)].to_f64() }),
    }
}
