//! The recursive structure of an H-matrix: a block is dense, of low rank, or split into blocks, and what every algorithm does with one:
//! products with dense matrices from both sides, transposition, norms.
//!
//! Blocks are shared (`Arc`) and never change: an operation makes the blocks it touches and shares the others.

use std::sync::Arc;

use faer::reborrow::ReborrowMut;
use faer::{Mat, MatMut, MatRef};

use crate::linalg::{add_product, norm_frobenius, product};
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

/// One block of an H-matrix.
#[derive(Clone, Debug)]
pub(crate) enum Block<T> {
    /// All entries.
    Dense(Mat<T>),
    /// `U V^T`.
    LowRank(LowRank<T>),
    /// A grid of blocks.
    Split(Split<T>),
}

/// A grid of blocks.
#[derive(Clone, Debug)]
pub(crate) struct Split<T> {
    /// Where the parts of the rows start, and the number of rows.
    pub rows: Vec<usize>,
    /// Where the parts of the columns start, and the number of columns.
    pub cols: Vec<usize>,
    /// Row of blocks by row of blocks.
    pub children: Vec<Arc<Block<T>>>,
}

impl<T> Split<T> {
    /// Rows of blocks.
    pub fn row_parts(&self) -> usize {
        self.rows.len() - 1
    }

    /// Columns of blocks.
    pub fn col_parts(&self) -> usize {
        self.cols.len() - 1
    }

    /// Block `(i, j)`.
    pub fn child(&self, i: usize, j: usize) -> &Arc<Block<T>> {
        &self.children[i * self.col_parts() + j]
    }

    /// Every block with its first row and column.
    pub fn grid(&self) -> impl Iterator<Item = (usize, usize, &Arc<Block<T>>)> {
        let q = self.col_parts();
        self.children.iter().enumerate().map(move |(k, child)| (self.rows[k / q], self.cols[k % q], child))
    }
}

impl<T: Scalar> Block<T> {
    pub fn nrows(&self) -> usize {
        match self {
            Self::Dense(a) => a.nrows(),
            Self::LowRank(a) => a.nrows(),
            Self::Split(split) => split.rows[split.row_parts()],
        }
    }

    pub fn ncols(&self) -> usize {
        match self {
            Self::Dense(a) => a.ncols(),
            Self::LowRank(a) => a.ncols(),
            Self::Split(split) => split.cols[split.col_parts()],
        }
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        match self {
            Self::Dense(a) => a.nrows() * a.ncols(),
            Self::LowRank(a) => a.stored(),
            Self::Split(split) => split.children.iter().map(|child| child.stored()).sum(),
        }
    }

    /// The squared Frobenius norm: blocks are disjoint, so the squares add.
    pub fn norm_squared(&self) -> f64 {
        match self {
            Self::Dense(a) => norm_frobenius(a.as_ref()).powi(2),
            Self::LowRank(a) => a.norm_frobenius().powi(2),
            Self::Split(split) => split.children.iter().map(|child| child.norm_squared()).sum(),
        }
    }

    /// The transpose.
    pub fn transpose(&self) -> Self {
        match self {
            Self::Dense(a) => Self::Dense(a.transpose().to_owned()),
            Self::LowRank(a) => Self::LowRank(a.transpose()),
            Self::Split(split) => {
                let (p, q) = (split.row_parts(), split.col_parts());
                let children = (0..p * q).map(|k| Arc::new(split.child(k % p, k / p).transpose())).collect();
                Self::Split(Split { rows: split.cols.clone(), cols: split.rows.clone(), children })
            }
        }
    }

    /// The same with every leaf replaced.
    pub fn map_leaves(&self, f: &mut impl FnMut(&Self) -> Self) -> Self {
        match self {
            Self::Split(split) => {
                let children = split.children.iter().map(|child| Arc::new(child.map_leaves(f))).collect();
                Self::Split(Split { rows: split.rows.clone(), cols: split.cols.clone(), children })
            }
            leaf => f(leaf),
        }
    }

    /// Calls `f` with the first row and column, the level and every leaf, in a fixed order.
    pub fn for_leaves<'a>(
        &'a self,
        row: usize,
        col: usize,
        level: usize,
        f: &mut impl FnMut(usize, usize, usize, &'a Self),
    ) {
        match self {
            Self::Split(split) => {
                split.grid().for_each(|(i, j, child)| child.for_leaves(row + i, col + j, level + 1, f));
            }
            leaf => f(row, col, level, leaf),
        }
    }

    /// `Y += alpha A X`.
    pub fn add_apply(&self, alpha: T, x: MatRef<T>, mut y: MatMut<T>) {
        match self {
            Self::Dense(a) => add_product(y, alpha, a.as_ref(), x),
            Self::LowRank(a) if a.rank() == 0 => {}
            Self::LowRank(a) => {
                add_product(y, alpha, a.u.as_ref(), product(a.v.as_ref().transpose(), x).as_ref());
            }
            Self::Split(split) => {
                for (i, j, child) in split.grid() {
                    child.add_apply(alpha, x.subrows(j, child.ncols()), y.rb_mut().subrows_mut(i, child.nrows()));
                }
            }
        }
    }

    /// `Y += alpha A^T X`.
    pub fn add_apply_transpose(&self, alpha: T, x: MatRef<T>, mut y: MatMut<T>) {
        match self {
            Self::Dense(a) => add_product(y, alpha, a.as_ref().transpose(), x),
            Self::LowRank(a) if a.rank() == 0 => {}
            Self::LowRank(a) => {
                add_product(y, alpha, a.v.as_ref(), product(a.u.as_ref().transpose(), x).as_ref());
            }
            Self::Split(split) => {
                for (i, j, child) in split.grid() {
                    let (x, y) = (x.subrows(i, child.nrows()), y.rb_mut().subrows_mut(j, child.ncols()));
                    child.add_apply_transpose(alpha, x, y);
                }
            }
        }
    }

    /// `C += alpha A` for a dense `C`.
    pub fn add_to(&self, alpha: T, mut c: MatMut<T>) {
        match self {
            Self::Dense(a) => {
                for j in 0..a.ncols() {
                    for i in 0..a.nrows() {
                        c[(i, j)] += alpha * a[(i, j)];
                    }
                }
            }
            Self::LowRank(a) => add_product(c, alpha, a.u.as_ref(), a.v.as_ref().transpose()),
            Self::Split(split) => {
                for (i, j, child) in split.grid() {
                    child.add_to(alpha, c.rb_mut().submatrix_mut(i, j, child.nrows(), child.ncols()));
                }
            }
        }
    }

    /// All entries.
    pub fn to_dense(&self) -> Mat<T> {
        let mut out = Mat::zeros(self.nrows(), self.ncols());
        self.add_to(T::ONE, out.as_mut());
        out
    }
}

/// A block or its transpose, as a factor of a product.
#[derive(Clone, Debug)]
pub(crate) struct Operand<T> {
    pub block: Arc<Block<T>>,
    pub transposed: bool,
}

impl<T: Scalar> Operand<T> {
    pub fn plain(block: &Arc<Block<T>>) -> Self {
        Self { block: Arc::clone(block), transposed: false }
    }

    pub fn transposed(block: &Arc<Block<T>>) -> Self {
        Self { block: Arc::clone(block), transposed: true }
    }

    /// The transpose.
    pub fn flipped(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    pub fn nrows(&self) -> usize {
        if self.transposed { self.block.ncols() } else { self.block.nrows() }
    }

    pub fn ncols(&self) -> usize {
        if self.transposed { self.block.nrows() } else { self.block.ncols() }
    }

    /// The factors `(U, V)` of a block of low rank.
    pub fn factors(&self) -> Option<(&Mat<T>, &Mat<T>)> {
        match &*self.block {
            Block::LowRank(a) if self.transposed => Some((&a.v, &a.u)),
            Block::LowRank(a) => Some((&a.u, &a.v)),
            _ => None,
        }
    }

    /// The entries of a dense block.
    pub fn dense(&self) -> Option<MatRef<'_, T>> {
        match &*self.block {
            Block::Dense(a) if self.transposed => Some(a.as_ref().transpose()),
            Block::Dense(a) => Some(a.as_ref()),
            _ => None,
        }
    }

    /// Where its parts start, by rows and by columns; one part each for a leaf.
    pub fn parts(&self) -> (Vec<usize>, Vec<usize>) {
        match &*self.block {
            Block::Split(split) if self.transposed => (split.cols.clone(), split.rows.clone()),
            Block::Split(split) => (split.rows.clone(), split.cols.clone()),
            _ => (vec![0, self.nrows()], vec![0, self.ncols()]),
        }
    }

    /// Part `(i, j)`: a child, or the leaf itself.
    pub fn part(&self, i: usize, j: usize) -> Self {
        match &*self.block {
            Block::Split(split) => {
                let child = if self.transposed { split.child(j, i) } else { split.child(i, j) };
                Self { block: Arc::clone(child), transposed: self.transposed }
            }
            _ => self.clone(),
        }
    }

    /// `Y += alpha A X`.
    pub fn add_apply(&self, alpha: T, x: MatRef<T>, y: MatMut<T>) {
        if self.transposed { self.block.add_apply_transpose(alpha, x, y) } else { self.block.add_apply(alpha, x, y) }
    }

    /// `Y += alpha A^T X`.
    pub fn add_apply_transpose(&self, alpha: T, x: MatRef<T>, y: MatMut<T>) {
        if self.transposed { self.block.add_apply(alpha, x, y) } else { self.block.add_apply_transpose(alpha, x, y) }
    }

    /// `A^T X`.
    pub fn apply_transpose(&self, x: MatRef<T>) -> Mat<T> {
        let mut y = Mat::zeros(self.ncols(), x.ncols());
        self.add_apply_transpose(T::ONE, x, y.as_mut());
        y
    }

    /// `A X`.
    pub fn apply(&self, x: MatRef<T>) -> Mat<T> {
        let mut y = Mat::zeros(self.nrows(), x.ncols());
        self.add_apply(T::ONE, x, y.as_mut());
        y
    }
}

/// `C += alpha A B` for a dense `C`.
pub(crate) fn add_block_product<T: Scalar>(mut c: MatMut<T>, alpha: T, a: &Operand<T>, b: &Operand<T>) {
    if let Some(b) = b.dense() {
        a.add_apply(alpha, b, c);
    } else if let Some(a) = a.dense() {
        b.add_apply_transpose(alpha, a.transpose(), c.transpose_mut());
    } else if let Some((u, v)) = b.factors() {
        add_product(c, alpha, a.apply(u.as_ref()).as_ref(), v.as_ref().transpose());
    } else if let Some((u, v)) = a.factors() {
        add_product(c, alpha, u.as_ref(), b.apply_transpose(v.as_ref()).as_ref().transpose());
    } else {
        let ((rows, inner), (_, cols)) = (a.parts(), b.parts());
        for i in 0..rows.len() - 1 {
            for j in 0..cols.len() - 1 {
                let (m, n) = (rows[i + 1] - rows[i], cols[j + 1] - cols[j]);
                for k in 0..inner.len() - 1 {
                    let c = c.rb_mut().submatrix_mut(rows[i], cols[j], m, n);
                    add_block_product(c, alpha, &a.part(i, k), &b.part(k, j));
                }
            }
        }
    }
}
