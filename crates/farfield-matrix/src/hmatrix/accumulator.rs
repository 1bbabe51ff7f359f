//! Accumulators: the updates of one block, gathered and truncated once.
//!
//! Formatted arithmetic adds many products `A_i B_i` to each block. An [`Accumulator`] keeps those with a factor of low rank as
//! low-rank terms and the others as pairs of factors; it is divided among the children when the block is split, and evaluated where it
//! reaches a leaf: densely in a dense leaf, by one [`compress`] of leaf and updates together in a leaf of low rank. Terms are
//! truncated once on each level on their way down. Boerm, *Hierarchical matrix arithmetic with accumulated updates* (2019, arXiv 1703.09085),
//! has the same accumulators with deterministic truncation.
//!
//! Cost: each low-rank product is made once, on the level of its block; each block truncates once.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::block::{Block, Operand, add_block_product};
use super::sketch::{Gaussians, Implicit, compress, hash};
use crate::error::MatrixError;
use crate::linalg::{add_product, norm_frobenius, product};
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

/// Terms of more columns than this are truncated before they are divided.
const LOOSE_COLUMNS: usize = 24;

/// What the truncations of one computation share.
pub(crate) struct Truncation<T> {
    /// The computation, for messages.
    pub what: &'static str,
    /// Error allowed in a block, relative to its norm.
    pub tolerance: f64,
    /// Cap on ranks.
    pub max_rank: Option<usize>,
    pub gaussians: Gaussians<T>,
}

/// `u[row..row + m] v[col..col + n]^T`, a part of a shared product.
#[derive(Clone, Debug)]
struct Term<T> {
    u: Arc<Mat<T>>,
    row: usize,
    v: Arc<Mat<T>>,
    col: usize,
}

/// Updates of a block of `nrows x ncols`.
#[derive(Clone, Debug)]
pub(crate) struct Accumulator<T> {
    nrows: usize,
    ncols: usize,
    terms: Vec<Term<T>>,
    products: Vec<(Operand<T>, Operand<T>)>,
    /// Where in the matrix it is, for the random numbers.
    place: u64,
}

impl<T: Scalar> Accumulator<T> {
    /// No updates.
    pub fn new(nrows: usize, ncols: usize, place: u64) -> Self {
        Self { nrows, ncols, terms: Vec::new(), products: Vec::new(), place }
    }

    /// Adds `A B`.
    pub fn push(&mut self, a: Operand<T>, b: Operand<T>) {
        if a.ncols() == 0 || self.nrows == 0 || self.ncols == 0 {
            return;
        }
        let ranks = (a.factors().map(|(u, _)| u.ncols()), b.factors().map(|(u, _)| u.ncols()));
        match ranks {
            (Some(0), _) | (_, Some(0)) => {}
            (Some(p), q) if q.is_none_or(|q| p <= q) => {
                if let Some((u, v)) = a.factors() {
                    self.push_term(u.clone(), b.apply_transpose(v.as_ref()));
                }
            }
            (_, Some(_)) => {
                if let Some((u, v)) = b.factors() {
                    self.push_term(a.apply(u.as_ref()), v.clone());
                }
            }
            _ => self.products.push((a, b)),
        }
    }

    /// Adds `U V^T`.
    pub fn push_term(&mut self, u: Mat<T>, v: Mat<T>) {
        if u.ncols() > 0 {
            self.terms.push(Term { u: Arc::new(u), row: 0, v: Arc::new(v), col: 0 });
        }
    }

    fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.products.is_empty()
    }

    fn columns(&self) -> usize {
        self.terms.iter().map(|term| term.u.ncols()).sum()
    }

    fn factors(&self) -> impl Iterator<Item = (MatRef<'_, T>, MatRef<'_, T>)> {
        let (m, n) = (self.nrows, self.ncols);
        self.terms.iter().map(move |t| (t.u.as_ref().subrows(t.row, m), t.v.as_ref().subrows(t.col, n)))
    }

    /// All terms as one.
    fn joined(&self) -> LowRank<T> {
        let k = self.columns();
        let (mut u, mut v) = (Mat::zeros(self.nrows, k), Mat::zeros(self.ncols, k));
        let mut first = 0;
        for (from_u, from_v) in self.factors() {
            let width = from_u.ncols();
            u.as_mut().subcols_mut(first, width).copy_from(from_u);
            v.as_mut().subcols_mut(first, width).copy_from(from_v);
            first += width;
        }
        LowRank { u, v }
    }

    /// The updates of the children of a block whose parts start at `rows` and `cols`, row of blocks by row of blocks. `wanted` says which
    /// children have any use for theirs.
    pub fn divide(
        mut self,
        rows: &[usize],
        cols: &[usize],
        wanted: impl Fn(usize, usize) -> bool,
        truncation: &Truncation<T>,
    ) -> Vec<Self> {
        self.truncate_terms(truncation);
        let mut parts = Vec::new();
        for i in 0..rows.len() - 1 {
            for j in 0..cols.len() - 1 {
                let place = hash(self.place, (i * 4096 + j) as u64);
                let mut part = Self::new(rows[i + 1] - rows[i], cols[j + 1] - cols[j], place);
                if wanted(i, j) {
                    part.terms = self.terms.clone();
                    for term in &mut part.terms {
                        term.row += rows[i];
                        term.col += cols[j];
                    }
                    for (a, b) in &self.products {
                        let inner = (a.parts().1.len() - 1).max(b.parts().0.len() - 1);
                        (0..inner).for_each(|k| part.push(a.part(i, k), b.part(k, j)));
                    }
                }
                parts.push(part);
            }
        }
        parts
    }

    fn truncate_terms(&mut self, truncation: &Truncation<T>) {
        if self.terms.len() < 2 || self.columns() <= LOOSE_COLUMNS {
            return;
        }
        let joined = self.joined();
        let guess = self.terms.iter().map(|t| t.u.ncols()).max().unwrap_or(0);
        let relative = |norm: f64| 0.5 * truncation.tolerance * norm;
        let (low, _) = truncate(&joined, relative, guess, truncation, hash(self.place, u64::MAX));
        self.terms.clear();
        self.push_term(low.u, low.v);
    }

    /// `D + alpha (sum of all updates)` for a dense leaf.
    pub fn added_to_dense(&self, alpha: T, mut d: Mat<T>) -> Mat<T> {
        for (u, v) in self.factors() {
            add_product(d.as_mut(), alpha, u, v.transpose());
        }
        for (a, b) in &self.products {
            add_block_product(d.as_mut(), alpha, a, b);
        }
        d
    }

    /// `A + alpha (sum of all updates)` for a leaf of low rank, truncated, and the error.
    pub fn added_to_low_rank(&self, alpha: T, leaf: &LowRank<T>, truncation: &Truncation<T>) -> (LowRank<T>, f64) {
        if self.is_empty() {
            return (leaf.clone(), 0.0);
        }
        let relative = |norm: f64| truncation.tolerance * norm;
        if self.products.is_empty() {
            let mut all = self.joined();
            for j in 0..all.u.ncols() {
                all.u.col_as_slice_mut(j).iter_mut().for_each(|x| *x *= alpha);
            }
            let all = if leaf.rank() == 0 { all } else { leaf.plus(&all) };
            return truncate(&all, relative, leaf.rank(), truncation, self.place);
        }
        let loose = self.joined();
        let sum = |x: MatRef<T>, transposed: bool| {
            let (m, n) = if transposed { (self.ncols, self.nrows) } else { (self.nrows, self.ncols) };
            debug_assert_eq!(x.nrows(), n);
            let mut y = Mat::zeros(m, x.ncols());
            for (a, scale) in [(leaf, T::ONE), (&loose, alpha)] {
                let (u, v) = if transposed { (&a.v, &a.u) } else { (&a.u, &a.v) };
                if u.ncols() > 0 {
                    add_product(y.as_mut(), scale, u.as_ref(), product(v.as_ref().transpose(), x).as_ref());
                }
            }
            for (a, b) in &self.products {
                if transposed {
                    b.add_apply_transpose(alpha, a.apply_transpose(x).as_ref(), y.as_mut());
                } else {
                    a.add_apply(alpha, b.apply(x).as_ref(), y.as_mut());
                }
            }
            y
        };
        let implicit = Implicit {
            nrows: self.nrows,
            ncols: self.ncols,
            apply: &|x| sum(x, false),
            apply_transpose: &|x| sum(x, true),
        };
        compress(&implicit, relative, leaf.rank(), &truncation.gaussians, self.place)
    }
}

/// `U V^T` truncated: by QR factorisations when the rank is small, else by products with random vectors.
pub(crate) fn truncate<T: Scalar>(
    all: &LowRank<T>,
    tolerance: impl Fn(f64) -> f64,
    guess: usize,
    truncation: &Truncation<T>,
    place: u64,
) -> (LowRank<T>, f64) {
    if all.rank() <= 2 * guess + 16 || 2 * all.rank() >= all.nrows().min(all.ncols()) {
        return all.truncated_by(tolerance);
    }
    let implicit = Implicit {
        nrows: all.nrows(),
        ncols: all.ncols(),
        apply: &|x| product(all.u.as_ref(), product(all.v.as_ref().transpose(), x).as_ref()),
        apply_transpose: &|x| product(all.v.as_ref(), product(all.u.as_ref().transpose(), x).as_ref()),
    };
    compress(&implicit, tolerance, guess, &truncation.gaussians, place)
}

/// A leaf and `alpha` times its updates.
///
/// # Errors
/// [`MatrixError::Tolerance`] when the rank cap does not allow the tolerance.
pub(crate) fn updated_leaf<T: Scalar>(
    leaf: &Block<T>,
    updates: &Accumulator<T>,
    alpha: T,
    truncation: &Truncation<T>,
) -> Result<Block<T>, MatrixError> {
    match leaf {
        Block::LowRank(a) => {
            let low = updates.added_to_low_rank(alpha, a, truncation).0;
            check_rank(&low, truncation)?;
            Ok(Block::LowRank(low))
        }
        Block::Dense(d) => Ok(Block::Dense(updates.added_to_dense(alpha, d.clone()))),
        Block::Split(_) => Ok(Block::Dense(updates.added_to_dense(alpha, leaf.to_dense()))),
    }
}

/// `Ok` when a truncated block, whose `V` has orthonormal columns, is within the cap.
fn check_rank<T: Scalar>(low: &LowRank<T>, truncation: &Truncation<T>) -> Result<(), MatrixError> {
    match truncation.max_rank {
        Some(cap) if low.rank() > cap => Err(MatrixError::Tolerance {
            what: truncation.what,
            tolerance: truncation.tolerance * norm_frobenius(low.u.as_ref()),
            reached: norm_frobenius(low.u.as_ref().subcols(cap, low.rank() - cap)),
            limit: format!("rank cap {cap}, a block of {} x {} needs rank {}", low.nrows(), low.ncols(), low.rank()),
        }),
        _ => Ok(()),
    }
}
