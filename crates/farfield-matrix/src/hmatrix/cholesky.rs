//! The Cholesky factorisation of a symmetric positive definite H-matrix, `H = L L^T` to a tolerance.
//!
//! As the [LU factorisation](super::lu), with half the work: only the blocks on and below the diagonal are read and made. A matrix that is not
//! symmetric is found out by the measured error. Hackbusch, *Hierarchical Matrices* (2015), section 7.6.

use std::sync::Arc;

use faer::reborrow::ReborrowMut;
use faer::{Mat, MatMut, MatRef};
use rayon::prelude::*;

use super::HMatrix;
use super::accumulator::{Accumulator, Truncation};
use super::block::{Block, Operand};
use super::error_of_factors::factor_to_tolerance;
use super::lu::in_panels;
use super::sketch::Gaussians;
use super::triangular::{Lower, Side, head_and_part, part_and_tail, solve_block};
use crate::accuracy::Accuracy;
use crate::certificate::Certificate;
use crate::cluster_tree::ClusterTree;
use crate::dense_factor::DenseCholesky;
use crate::error::MatrixError;
use crate::log_determinant::LogDeterminant;
use crate::matrix::Matrix;
use crate::operator::check_rows;
use crate::scalar::Scalar;

/// `L` of a block on the diagonal.
#[derive(Clone, Debug)]
pub(crate) enum CholeskyFactor<T> {
    Leaf(DenseCholesky<T>),
    Split {
        /// Where the parts start, and the order.
        starts: Vec<usize>,
        diagonal: Vec<CholeskyFactor<T>>,
        /// Blocks below the diagonal, row by row: (1, 0), (2, 0), (2, 1), ...
        lower: Vec<Arc<Block<T>>>,
    },
}

impl<T: Scalar> CholeskyFactor<T> {
    fn factor(
        block: &Block<T>,
        updates: Accumulator<T>,
        first: usize,
        truncation: &Truncation<T>,
    ) -> Result<Self, MatrixError> {
        let Block::Split(split) = block else {
            return Self::factor_leaf(block, &updates, first, truncation);
        };
        let p = split.row_parts();
        let mut updates: Vec<Option<Accumulator<T>>> =
            updates.divide(&split.rows, &split.cols, |i, j| i >= j, truncation).into_iter().map(Some).collect();
        let mut diagonal = Vec::with_capacity(p);
        let mut columns: Vec<Vec<Arc<Block<T>>>> = Vec::with_capacity(p);
        for k in 0..p {
            let mut take = |i: usize| updates[i * p + k].take().unwrap_or_else(|| Accumulator::new(0, 0, 0));
            let factor = Self::factor(split.child(k, k), take(k), first + split.rows[k], truncation)?;
            let jobs: Vec<(usize, Accumulator<T>)> = (k + 1..p).map(|i| (i, take(i))).collect();
            let column: Result<Vec<Arc<Block<T>>>, MatrixError> = jobs
                .into_par_iter()
                .map(|(i, updates)| {
                    let t = Lower::Cholesky(&factor);
                    Ok(Arc::new(solve_block(&t, Side::Right, split.child(i, k), updates, truncation)?))
                })
                .collect();
            let column = column?;
            for i in k + 1..p {
                for j in k + 1..=i {
                    if let Some(updates) = &mut updates[i * p + j] {
                        updates.push(Operand::plain(&column[i - k - 1]), Operand::transposed(&column[j - k - 1]));
                    }
                }
            }
            columns.push(column);
            diagonal.push(factor);
        }
        let lower = (0..p).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| Arc::clone(&columns[j][i - j - 1]));
        Ok(Self::Split { starts: split.rows.clone(), diagonal, lower: lower.collect() })
    }

    fn factor_leaf(
        block: &Block<T>,
        updates: &Accumulator<T>,
        first: usize,
        truncation: &Truncation<T>,
    ) -> Result<Self, MatrixError> {
        let entries = block.to_dense();
        let before: Vec<f64> = (0..entries.ncols()).map(|j| entries[(j, j)].to_f64().abs()).collect();
        let entries = updates.added_to_dense(T::ZERO - T::ONE, entries);
        let rounding = 4.0 * T::EPSILON * (entries.nrows() as f64).sqrt();
        match DenseCholesky::new(entries, |j| rounding * before[j]) {
            Ok(factor) => Ok(Self::Leaf(factor)),
            Err(i) => Err(MatrixError::NotPositiveDefinite {
                what: truncation.what,
                place: format!("pivot {} in tree order is not positive", first + i),
            }),
        }
    }

    /// Block `i` of the diagonal; itself for a leaf.
    pub fn diagonal(&self, i: usize) -> &Self {
        match self {
            Self::Leaf(_) => self,
            Self::Split { diagonal, .. } => &diagonal[i],
        }
    }

    /// Block `(i, j)`, `i > j`, of a split factor.
    pub fn below(&self, i: usize, j: usize) -> &Arc<Block<T>> {
        match self {
            Self::Leaf(_) => unreachable!("a leaf has no blocks off its diagonal"),
            Self::Split { lower, .. } => &lower[i * (i - 1) / 2 + j],
        }
    }

    fn stored(&self) -> usize {
        match self {
            Self::Leaf(factor) => factor.stored(),
            Self::Split { diagonal, lower, .. } => {
                diagonal.iter().map(Self::stored).sum::<usize>() + lower.iter().map(|b| b.stored()).sum::<usize>()
            }
        }
    }

    fn ranks(&self, level: usize, out: &mut Vec<(usize, usize)>) {
        if let Self::Split { diagonal, lower, .. } = self {
            diagonal.iter().for_each(|factor| factor.ranks(level + 1, out));
            for block in lower {
                block.for_leaves(0, 0, level + 1, &mut |_, _, level, leaf| {
                    if let Block::LowRank(a) = leaf {
                        out.push((level, a.rank()));
                    }
                });
            }
        }
    }

    fn log_determinant(&self) -> LogDeterminant {
        match self {
            Self::Leaf(factor) => factor.log_determinant(),
            Self::Split { diagonal, .. } => {
                (diagonal.iter().map(Self::log_determinant)).fold(LogDeterminant::signed(false), LogDeterminant::times)
            }
        }
    }

    /// `X <- L^-1 X`.
    pub fn solve(&self, mut x: MatMut<T>) {
        match self {
            Self::Leaf(factor) => factor.solve(x),
            Self::Split { starts, diagonal, .. } => {
                for (i, factor) in diagonal.iter().enumerate() {
                    let (head, mut part) = head_and_part(&mut x, starts, i);
                    for j in 0..i {
                        let solved = head.subrows(starts[j], starts[j + 1] - starts[j]);
                        self.below(i, j).add_apply(T::ZERO - T::ONE, solved, part.rb_mut());
                    }
                    factor.solve(part);
                }
            }
        }
    }

    /// `X <- L^-T X`.
    fn solve_transpose(&self, mut x: MatMut<T>) {
        match self {
            Self::Leaf(factor) => factor.solve_transpose(x),
            Self::Split { starts, diagonal, .. } => {
                for (i, factor) in diagonal.iter().enumerate().rev() {
                    let (mut part, tail) = part_and_tail(&mut x, starts, i);
                    for j in i + 1..diagonal.len() {
                        let solved = tail.subrows(starts[j] - starts[i + 1], starts[j + 1] - starts[j]);
                        self.below(j, i).add_apply_transpose(T::ZERO - T::ONE, solved, part.rb_mut());
                    }
                    factor.solve_transpose(part);
                }
            }
        }
    }

    /// `Y += L X` or `Y += L^T X`.
    fn add_product(&self, transposed: bool, x: MatRef<T>, mut y: MatMut<T>) {
        match self {
            Self::Leaf(factor) => {
                let l = if transposed { factor.lower().transpose() } else { factor.lower() };
                crate::linalg::add_product(y, T::ONE, l, x);
            }
            Self::Split { starts, diagonal, .. } => {
                let size = |i: usize| starts[i + 1] - starts[i];
                for (i, factor) in diagonal.iter().enumerate() {
                    let part = y.rb_mut().subrows_mut(starts[i], size(i));
                    factor.add_product(transposed, x.subrows(starts[i], size(i)), part);
                    for j in 0..i {
                        let block = self.below(i, j);
                        if transposed {
                            let part = y.rb_mut().subrows_mut(starts[j], size(j));
                            block.add_apply_transpose(T::ONE, x.subrows(starts[i], size(i)), part);
                        } else {
                            let part = y.rb_mut().subrows_mut(starts[i], size(i));
                            block.add_apply(T::ONE, x.subrows(starts[j], size(j)), part);
                        }
                    }
                }
            }
        }
    }
}

/// A symmetric positive definite H-matrix in factors, `H = L L^T` to a tolerance.
///
/// As a [`LinearOperator`](crate::LinearOperator) it is the inverse.
#[derive(Clone, Debug)]
pub struct HCholesky<T> {
    tree: Arc<ClusterTree>,
    factor: CholeskyFactor<T>,
}

impl<T: Scalar> HMatrix<T> {
    /// The Cholesky factorisation with `||H - L L^T||_F` within `accuracy`, as [`HMatrix::lu`]. Only the blocks on and below the diagonal
    /// are read, but the error is that from the whole matrix: use [`HMatrix::symmetrised`] first for one that is symmetric to a larger tolerance only.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless rows and columns have the same tree; [`MatrixError::NotPositiveDefinite`];
    /// [`MatrixError::Tolerance`] when the rank cap is hit, the tolerance cannot be reached or the matrix is not symmetric.
    pub fn cholesky(&self, accuracy: &Accuracy, seed: u64) -> Result<(HCholesky<T>, Certificate), MatrixError> {
        let what = "Cholesky factorisation of an H-matrix";
        self.check_square(what)?;
        if self.rows.order() != self.cols.order() {
            let reason = format!("{what}: rows and columns are in different orders");
            return Err(MatrixError::Tree { reason });
        }
        let root = self.root_with_dense_diagonal();
        let attempt = |tolerance: f64, seed: u64| {
            let gaussians = Gaussians::new(self.nrows(), seed);
            let truncation = Truncation { what, tolerance, max_rank: accuracy.rank_cap(), gaussians };
            let updates = Accumulator::new(self.nrows(), self.nrows(), seed);
            CholeskyFactor::factor(&root, updates, 0, &truncation)
        };
        let apply = |factor: &CholeskyFactor<T>, x: MatRef<T>| {
            let (mut half, mut y) = (Mat::zeros(x.nrows(), x.ncols()), Mat::zeros(x.nrows(), x.ncols()));
            factor.add_product(true, x, half.as_mut());
            factor.add_product(false, half.as_ref(), y.as_mut());
            y
        };
        let (factor, measured) = factor_to_tolerance(self, what, accuracy, seed, attempt, apply)?;
        let mut ranks = Vec::new();
        factor.ranks(0, &mut ranks);
        let certificate = measured.certificate(ranks, factor.stored(), self.nrows());
        Ok((HCholesky { tree: Arc::clone(&self.rows), factor }, certificate))
    }
}

impl<T: Scalar> HCholesky<T> {
    /// Order of the matrix.
    pub fn order(&self) -> usize {
        self.tree.len()
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        self.factor.stored()
    }

    /// `X` of `H X = B`. Cost: O(k n log n) a column.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when `b` has the wrong number of rows.
    pub fn solve(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("solve with a Cholesky factorisation, B", b, self.order())?;
        let mut x = self.tree.to_tree_order(b);
        in_panels(x.as_mut(), |mut x| {
            self.factor.solve(x.rb_mut());
            self.factor.solve_transpose(x);
        });
        Ok(self.tree.to_user_order(&x))
    }

    /// `L W`: for white noise `W`, samples of the Gaussian process with covariance `H`.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when `w` has the wrong number of rows.
    pub fn apply_factor(&self, w: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("product with a Cholesky factor, W", w, self.order())?;
        let inside = self.tree.to_tree_order(w);
        let mut y = Matrix::zeros(self.order(), w.ncols());
        self.factor.add_product(false, inside.as_ref(), y.as_mut());
        Ok(self.tree.to_user_order(&y))
    }

    /// The determinant, which is positive.
    pub fn log_determinant(&self) -> LogDeterminant {
        self.factor.log_determinant()
    }
}
