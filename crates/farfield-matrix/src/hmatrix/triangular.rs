//! Triangular solves with blocks: `T X = B` and `X T^T = B` for a hierarchical lower triangular `T` and a hierarchical `B`.
//!
//! `T` is the factor `P^T L` or `U^T` of an LU factorisation, or the factor of a Cholesky factorisation. Block row by block row,
//! `T_ii X_i = B_i - sum_{j < i} T_ij X_j`; the sums are gathered in accumulators and evaluated where they reach a leaf. The columns of
//! blocks are independent and run in parallel. Hackbusch, *Hierarchical Matrices* (2015), section 7.6.
//!
//! Cost: O(k^2 n log^2 n) for ranks of k.

use std::sync::Arc;

use faer::MatMut;
use faer::reborrow::{IntoConst, ReborrowMut};
use rayon::prelude::*;

use super::accumulator::{Accumulator, Truncation, updated_leaf};
use super::block::{Block, Operand, Split};
use super::cholesky::CholeskyFactor;
use super::lu::LuFactor;
use crate::error::MatrixError;
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

/// A hierarchical lower triangular matrix.
pub(crate) enum Lower<'a, T> {
    /// `P^T L`.
    Lu(&'a LuFactor<T>),
    /// `U^T`.
    LuUpper(&'a LuFactor<T>),
    /// `L`.
    Cholesky(&'a CholeskyFactor<T>),
}

/// On which side of the unknown the matrix stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// `T X = B`.
    Left,
    /// `X T^T = B`.
    Right,
}

impl<T: Scalar> Lower<'_, T> {
    /// `X <- T^-1 X`.
    pub fn solve(&self, x: MatMut<T>) {
        match self {
            Self::Lu(factor) => factor.solve_lower(x),
            Self::LuUpper(factor) => factor.solve_upper_transpose(x),
            Self::Cholesky(factor) => factor.solve(x),
        }
    }

    /// Block `i` of the diagonal; itself for a leaf.
    fn diagonal(&self, i: usize) -> Lower<'_, T> {
        match self {
            Self::Lu(factor) => Lower::Lu(factor.diagonal(i)),
            Self::LuUpper(factor) => Lower::LuUpper(factor.diagonal(i)),
            Self::Cholesky(factor) => Lower::Cholesky(factor.diagonal(i)),
        }
    }

    /// Block `(i, j)` below the diagonal.
    fn below(&self, i: usize, j: usize) -> Operand<T> {
        match self {
            Self::Lu(factor) => Operand::plain(factor.off_diagonal(i, j)),
            Self::LuUpper(factor) => Operand::transposed(factor.off_diagonal(j, i)),
            Self::Cholesky(factor) => Operand::plain(factor.below(i, j)),
        }
    }
}

/// `X` of `T X = B - updates` or `X T^T = B - updates`, with the structure of `B`.
///
/// # Errors
/// [`MatrixError::Tolerance`] when the rank cap is hit.
pub(crate) fn solve_block<T: Scalar>(
    t: &Lower<T>,
    side: Side,
    b: &Block<T>,
    updates: Accumulator<T>,
    truncation: &Truncation<T>,
) -> Result<Block<T>, MatrixError> {
    let Block::Split(split) = b else {
        return Ok(match updated_leaf(b, &updates, T::ZERO - T::ONE, truncation)? {
            Block::LowRank(LowRank { mut u, mut v }) => {
                t.solve(if side == Side::Left { u.as_mut() } else { v.as_mut() });
                Block::LowRank(LowRank { u, v })
            }
            Block::Dense(mut d) => {
                t.solve(if side == Side::Left { d.as_mut() } else { d.as_mut().transpose_mut() });
                Block::Dense(d)
            }
            other => other,
        });
    };
    let (p, q) = (split.row_parts(), split.col_parts());
    let mut updates: Vec<Option<Accumulator<T>>> =
        updates.divide(&split.rows, &split.cols, |_, _| true, truncation).into_iter().map(Some).collect();
    // `along` runs over the blocks of T, `across` over the independent systems.
    let (along, across) = if side == Side::Left { (p, q) } else { (q, p) };
    let at = |i: usize, j: usize| if side == Side::Left { i * q + j } else { j * q + i };
    let systems: Vec<Vec<Accumulator<T>>> =
        (0..across).map(|j| (0..along).filter_map(|i| updates[at(i, j)].take()).collect()).collect();
    let solved: Result<Vec<Vec<Arc<Block<T>>>>, MatrixError> = systems
        .into_par_iter()
        .enumerate()
        .map(|(j, system)| {
            let mut x: Vec<Arc<Block<T>>> = Vec::with_capacity(along);
            for (i, mut updates) in system.into_iter().enumerate() {
                for (k, x) in x.iter().enumerate() {
                    match side {
                        Side::Left => updates.push(t.below(i, k), Operand::plain(x)),
                        Side::Right => updates.push(Operand::plain(x), t.below(i, k).flipped()),
                    }
                }
                let b = &split.children[at(i, j)];
                x.push(Arc::new(solve_block(&t.diagonal(i), side, b, updates, truncation)?));
            }
            Ok(x)
        })
        .collect();
    let solved = solved?;
    let children = (0..p * q).map(|k| match side {
        Side::Left => Arc::clone(&solved[k % q][k / q]),
        Side::Right => Arc::clone(&solved[k / q][k % q]),
    });
    Ok(Block::Split(Split { rows: split.rows.clone(), cols: split.cols.clone(), children: children.collect() }))
}

/// The parts `0..i` and part `i` of `x`, split at `starts[i]` and cut at `starts[i + 1]`.
pub(crate) fn head_and_part<'a, T: Scalar>(
    x: &'a mut MatMut<'_, T>,
    starts: &[usize],
    i: usize,
) -> (faer::MatRef<'a, T>, MatMut<'a, T>) {
    let (head, tail) = x.rb_mut().split_at_row_mut(starts[i]);
    (head.into_const(), tail.subrows_mut(0, starts[i + 1] - starts[i]))
}

/// Part `i` of `x` and the parts after it.
pub(crate) fn part_and_tail<'a, T: Scalar>(
    x: &'a mut MatMut<'_, T>,
    starts: &[usize],
    i: usize,
) -> (MatMut<'a, T>, faer::MatRef<'a, T>) {
    let (head, tail) = x.rb_mut().split_at_row_mut(starts[i + 1]);
    (head.subrows_mut(starts[i], starts[i + 1] - starts[i]), tail.into_const())
}
