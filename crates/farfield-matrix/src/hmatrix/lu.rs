//! The LU factorisation of an H-matrix, `H = L U` to a tolerance.
//!
//! Recursively over the blocks of the diagonal: `L_kk U_kk = H_kk - sum L_kj U_jk`, then `L_kk U_kj = H_kj - ...` to the right of it and
//! `L_ik U_kk = H_ik - ...` below, then the products `L_ik U_kj` are left to the accumulators of what remains. Rows are exchanged within
//! the dense leaves of the diagonal only. Hackbusch, *Hierarchical Matrices* (2015), section 7.6; updates are gathered as in
//! Boerm (2019, arXiv 1703.09085).
//!
//! Every leaf of low rank is truncated to the tolerance relative to its own norm. The error `||H - L U||_F` of the whole is then measured by
//! products with Gaussian vectors; when it exceeds the tolerance the factorisation is repeated with a smaller one.
//!
//! Cost: O(k^2 n log^2 n) operations for ranks of k; a solve is O(k n log n). A matrix that needs pivots from other leaves than the diagonal one
//! (a saddle point problem with a zero block, say) is reported as singular or has a large measured error: not for these.

use std::sync::Arc;

use faer::reborrow::ReborrowMut;
use faer::{Mat, MatMut, MatRef};
use rayon::prelude::*;

use super::HMatrix;
use super::accumulator::{Accumulator, Truncation};
use super::block::Block;
use super::error_of_factors::factor_to_tolerance;
use super::sketch::Gaussians;
use super::triangular::{Lower, Side, head_and_part, part_and_tail, solve_block};
use crate::accuracy::Accuracy;
use crate::certificate::Certificate;
use crate::cluster_tree::ClusterTree;
use crate::dense_factor::DenseLu;
use crate::error::MatrixError;
use crate::linalg::max_abs;
use crate::log_determinant::{LogDeterminant, is_odd};
use crate::matrix::Matrix;
use crate::operator::check_rows;
use crate::scalar::Scalar;

/// `L` and `U` of a block on the diagonal.
#[derive(Clone, Debug)]
pub(crate) enum LuFactor<T> {
    Leaf(DenseLu<T>),
    Split {
        /// Where the parts start, and the order.
        starts: Vec<usize>,
        diagonal: Vec<LuFactor<T>>,
        /// Blocks of `L` below the diagonal and of `U` above it, row by row without the diagonal.
        others: Vec<Arc<Block<T>>>,
    },
}

impl<T: Scalar> LuFactor<T> {
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
            updates.divide(&split.rows, &split.cols, |_, _| true, truncation).into_iter().map(Some).collect();
        let mut diagonal = Vec::with_capacity(p);
        let mut others: Vec<Option<Arc<Block<T>>>> = vec![None; p * p];
        for k in 0..p {
            let mut take = |i: usize, j: usize| updates[i * p + j].take().unwrap_or_else(|| Accumulator::new(0, 0, 0));
            let factor = Self::factor(split.child(k, k), take(k, k), first + split.rows[k], truncation)?;
            let jobs: Vec<(usize, usize, Accumulator<T>)> =
                (k + 1..p).flat_map(|i| [(k, i), (i, k)]).map(|(i, j)| (i, j, take(i, j))).collect();
            let solved: Result<Vec<(usize, usize, Block<T>)>, MatrixError> = jobs
                .into_par_iter()
                .map(|(i, j, updates)| {
                    let (t, side) =
                        if i == k { (Lower::Lu(&factor), Side::Left) } else { (Lower::LuUpper(&factor), Side::Right) };
                    Ok((i, j, solve_block(&t, side, split.child(i, j), updates, truncation)?))
                })
                .collect();
            for (i, j, block) in solved? {
                others[i * p + j] = Some(Arc::new(block));
            }
            for i in k + 1..p {
                for j in k + 1..p {
                    if let (Some(updates), Some(l), Some(u)) =
                        (&mut updates[i * p + j], &others[i * p + k], &others[k * p + j])
                    {
                        updates.push(super::block::Operand::plain(l), super::block::Operand::plain(u));
                    }
                }
            }
            diagonal.push(factor);
        }
        Ok(Self::Split { starts: split.rows.clone(), diagonal, others: others.into_iter().flatten().collect() })
    }

    fn factor_leaf(
        block: &Block<T>,
        updates: &Accumulator<T>,
        first: usize,
        truncation: &Truncation<T>,
    ) -> Result<Self, MatrixError> {
        let entries = block.to_dense();
        let columns: Vec<f64> = (0..entries.ncols()).map(|j| max_abs(entries.as_ref().subcols(j, 1))).collect();
        let entries = updates.added_to_dense(T::ZERO - T::ONE, entries);
        let rounding = 4.0 * T::EPSILON * (entries.nrows() as f64).sqrt();
        let largest: Vec<f64> =
            (0..entries.ncols()).map(|j| columns[j].max(max_abs(entries.as_ref().subcols(j, 1)))).collect();
        match DenseLu::new(entries, |j| rounding * largest[j]) {
            Ok(lu) => Ok(Self::Leaf(lu)),
            Err((i, pivot)) => Err(MatrixError::Singular {
                what: truncation.what,
                place: format!("pivot {} in tree order is {pivot:.3e}", first + i),
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

    /// Block `(i, j)`, `i != j`, of a split factor.
    pub fn off_diagonal(&self, i: usize, j: usize) -> &Arc<Block<T>> {
        match self {
            Self::Leaf(_) => unreachable!("a leaf has no blocks off its diagonal"),
            Self::Split { diagonal, others, .. } => &others[i * (diagonal.len() - 1) + if j < i { j } else { j - 1 }],
        }
    }

    fn stored(&self) -> usize {
        match self {
            Self::Leaf(lu) => lu.stored(),
            Self::Split { diagonal, others, .. } => {
                diagonal.iter().map(Self::stored).sum::<usize>() + others.iter().map(|b| b.stored()).sum::<usize>()
            }
        }
    }

    fn ranks(&self, level: usize, out: &mut Vec<(usize, usize)>) {
        if let Self::Split { diagonal, others, .. } = self {
            diagonal.iter().for_each(|factor| factor.ranks(level + 1, out));
            for block in others {
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
            Self::Leaf(lu) => lu.log_determinant(),
            Self::Split { diagonal, .. } => {
                (diagonal.iter().map(Self::log_determinant)).fold(LogDeterminant::signed(false), LogDeterminant::times)
            }
        }
    }

    /// `X <- (P^T L)^-1 X`.
    pub fn solve_lower(&self, mut x: MatMut<T>) {
        match self {
            Self::Leaf(lu) => lu.solve_lower(x),
            Self::Split { starts, diagonal, .. } => {
                for (i, factor) in diagonal.iter().enumerate() {
                    let (head, mut part) = head_and_part(&mut x, starts, i);
                    for j in 0..i {
                        let solved = head.subrows(starts[j], starts[j + 1] - starts[j]);
                        self.off_diagonal(i, j).add_apply(T::ZERO - T::ONE, solved, part.rb_mut());
                    }
                    factor.solve_lower(part);
                }
            }
        }
    }

    /// `X <- (P^T L)^-T X`.
    pub fn solve_lower_transpose(&self, mut x: MatMut<T>) {
        match self {
            Self::Leaf(lu) => lu.solve_lower_transpose(x),
            Self::Split { starts, diagonal, .. } => {
                for (i, factor) in diagonal.iter().enumerate().rev() {
                    let (mut part, tail) = part_and_tail(&mut x, starts, i);
                    for j in i + 1..diagonal.len() {
                        let solved = tail.subrows(starts[j] - starts[i + 1], starts[j + 1] - starts[j]);
                        self.off_diagonal(j, i).add_apply_transpose(T::ZERO - T::ONE, solved, part.rb_mut());
                    }
                    factor.solve_lower_transpose(part);
                }
            }
        }
    }

    /// `X <- U^-1 X`.
    pub fn solve_upper(&self, mut x: MatMut<T>) {
        match self {
            Self::Leaf(lu) => lu.solve_upper(x),
            Self::Split { starts, diagonal, .. } => {
                for (i, factor) in diagonal.iter().enumerate().rev() {
                    let (mut part, tail) = part_and_tail(&mut x, starts, i);
                    for j in i + 1..diagonal.len() {
                        let solved = tail.subrows(starts[j] - starts[i + 1], starts[j + 1] - starts[j]);
                        self.off_diagonal(i, j).add_apply(T::ZERO - T::ONE, solved, part.rb_mut());
                    }
                    factor.solve_upper(part);
                }
            }
        }
    }

    /// `X <- U^-T X`.
    pub fn solve_upper_transpose(&self, mut x: MatMut<T>) {
        match self {
            Self::Leaf(lu) => lu.solve_upper_transpose(x),
            Self::Split { starts, diagonal, .. } => {
                for (i, factor) in diagonal.iter().enumerate() {
                    let (head, mut part) = head_and_part(&mut x, starts, i);
                    for j in 0..i {
                        let solved = head.subrows(starts[j], starts[j + 1] - starts[j]);
                        self.off_diagonal(j, i).add_apply_transpose(T::ZERO - T::ONE, solved, part.rb_mut());
                    }
                    factor.solve_upper_transpose(part);
                }
            }
        }
    }

    /// `P^T L X`.
    fn apply_lower(&self, x: MatRef<T>) -> Mat<T> {
        self.apply_half(x, |lu, x| lu.apply_lower(x), |i, j| j < i, Self::apply_lower)
    }

    /// `U X`.
    fn apply_upper(&self, x: MatRef<T>) -> Mat<T> {
        self.apply_half(x, |lu, x| lu.apply_upper(x), |i, j| j > i, Self::apply_upper)
    }

    fn apply_half(
        &self,
        x: MatRef<T>,
        leaf: impl Fn(&DenseLu<T>, MatRef<T>) -> Mat<T>,
        has: impl Fn(usize, usize) -> bool,
        again: impl Fn(&Self, MatRef<T>) -> Mat<T>,
    ) -> Mat<T> {
        match self {
            Self::Leaf(lu) => leaf(lu, x),
            Self::Split { starts, diagonal, .. } => {
                let mut y = Mat::zeros(x.nrows(), x.ncols());
                let part = |j: usize| x.subrows(starts[j], starts[j + 1] - starts[j]);
                for (i, factor) in diagonal.iter().enumerate() {
                    let mut out = again(factor, part(i));
                    for j in (0..diagonal.len()).filter(|&j| has(i, j)) {
                        self.off_diagonal(i, j).add_apply(T::ONE, part(j), out.as_mut());
                    }
                    y.as_mut().subrows_mut(starts[i], out.nrows()).copy_from(&out);
                }
                y
            }
        }
    }
}

/// An H-matrix in factors, `H = L U` to a tolerance: solves, inverse products, determinant.
///
/// As a [`LinearOperator`](crate::LinearOperator) it is the inverse: `apply` solves, `apply_transpose` solves with the transpose.
#[derive(Clone, Debug)]
pub struct HLu<T> {
    rows: Arc<ClusterTree>,
    cols: Arc<ClusterTree>,
    factor: LuFactor<T>,
}

impl<T: Scalar> HMatrix<T> {
    /// The LU factorisation with `||H - L U||_F` within `accuracy`, as far as products with Gaussian vectors show (the certificate gives the
    /// bound and the probability that it does not hold). Leaves of low rank keep their place and are truncated to the tolerance.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless the matrix is square with the same clusters of rows and columns; [`MatrixError::Singular`] when a pivot
    /// vanishes to rounding; [`MatrixError::Tolerance`] when the rank cap is hit or the tolerance cannot be reached.
    pub fn lu(&self, accuracy: &Accuracy, seed: u64) -> Result<(HLu<T>, Certificate), MatrixError> {
        let what = "LU factorisation of an H-matrix";
        self.check_square(what)?;
        let root = self.root_with_dense_diagonal();
        let attempt = |tolerance: f64, seed: u64| {
            let gaussians = Gaussians::new(self.nrows(), seed);
            let truncation = Truncation { what, tolerance, max_rank: accuracy.rank_cap(), gaussians };
            let updates = Accumulator::new(self.nrows(), self.nrows(), seed);
            LuFactor::factor(&root, updates, 0, &truncation)
        };
        let apply = |factor: &LuFactor<T>, x: MatRef<T>| factor.apply_lower(factor.apply_upper(x).as_ref());
        let (factor, measured) = factor_to_tolerance(self, what, accuracy, seed, attempt, apply)?;
        let mut ranks = Vec::new();
        factor.ranks(0, &mut ranks);
        let certificate = measured.certificate(ranks, factor.stored(), self.nrows());
        Ok((HLu { rows: Arc::clone(&self.rows), cols: Arc::clone(&self.cols), factor }, certificate))
    }
}

impl<T: Scalar> HLu<T> {
    /// Order of the matrix.
    pub fn order(&self) -> usize {
        self.rows.len()
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
        check_rows("solve with an LU factorisation, B", b, self.order())?;
        let mut x = self.rows.to_tree_order(b);
        in_panels(x.as_mut(), |mut x| {
            self.factor.solve_lower(x.rb_mut());
            self.factor.solve_upper(x);
        });
        Ok(self.cols.to_user_order(&x))
    }

    /// `X` of `H^T X = B`.
    ///
    /// # Errors
    /// As [`HLu::solve`].
    pub fn solve_transpose(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed solve with an LU factorisation, B", b, self.order())?;
        let mut x = self.cols.to_tree_order(b);
        in_panels(x.as_mut(), |mut x| {
            self.factor.solve_upper_transpose(x.rb_mut());
            self.factor.solve_lower_transpose(x);
        });
        Ok(self.rows.to_user_order(&x))
    }

    /// Sign and logarithm of the absolute value of the determinant.
    pub fn log_determinant(&self) -> LogDeterminant {
        let negative = is_odd(self.rows.order()) != is_odd(self.cols.order());
        LogDeterminant::signed(negative).times(self.factor.log_determinant())
    }
}

/// Panels of columns of a fixed width, in parallel.
pub(crate) fn in_panels<T: Scalar>(x: MatMut<T>, f: impl Fn(MatMut<T>) + Sync + Send) {
    const PANEL: usize = 32;
    let mut panels = Vec::new();
    let mut rest = x;
    while rest.ncols() > PANEL {
        let (panel, tail) = rest.split_at_col_mut(PANEL);
        panels.push(panel);
        rest = tail;
    }
    panels.push(rest);
    panels.into_par_iter().for_each(f);
}
