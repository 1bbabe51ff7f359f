//! Truncation of many blocks to one total error.
//!
//! Errors of disjoint blocks add in squares, so the singular values of all blocks compete: those that buy the least accuracy for
//! the numbers they cost, `s^2 / (m + n)`, go first, until the sum of the squares of what was dropped reaches the tolerance. The error
//! is not read off the singular values, which carry rounding errors of their own, but computed from what is stored: the residual
//! `||C - U V^T||_F` of every block (of its core after QR, for a block in factored form) and a bound on the rounding in it.

use faer::{Mat, MatRef};
use rayon::prelude::*;

use crate::linalg::{Svd, product, qr, svd};
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

/// A block to be truncated.
pub(super) enum Block<'a, T> {
    Dense(MatRef<'a, T>),
    Factored(LowRank<T>),
}

/// A block, or its core between two matrices with orthonormal columns, and its decomposition.
struct Candidate<T> {
    left: Option<Mat<T>>,
    right: Option<Mat<T>>,
    core: Mat<T>,
    svd: Svd<T>,
    /// Bound on the rounding errors made so far.
    rounding: f64,
    /// Numbers that a rank costs.
    numbers: usize,
}

/// Blocks with their singular values.
pub(super) struct Candidates<T>(Vec<Candidate<T>>);

impl<T: Scalar> Candidates<T> {
    /// Cost: an SVD a dense block, `O((m + n) k^2)` for one of rank `k`.
    pub fn new(blocks: Vec<Block<'_, T>>) -> Self {
        Self(blocks.into_par_iter().map(candidate).collect())
    }

    /// The Frobenius norm of every block.
    pub fn norms(&self) -> impl Iterator<Item = f64> + Clone {
        self.0.iter().map(|c| super::root_sum_of_squares(c.svd.s.iter().copied()))
    }

    /// The blocks with ranks of at most `cap`, and a bound on the error of each; together at most `tolerance` in the Frobenius norm, as
    /// far as the cap and rounding permit.
    pub fn truncate(&self, tolerance: f64, cap: Option<usize>) -> (Vec<LowRank<T>>, Vec<f64>) {
        // Room for rounding; the residuals tell whether it was enough.
        let floor = super::root_sum_of_squares(self.0.iter().map(|c| c.rounding));
        let mut target = 0.999_999 * tolerance - floor;
        let mut best = None;
        for _ in 0..3 {
            let ranks = self.ranks(target.max(0.0), cap);
            let (blocks, errors): (Vec<_>, Vec<_>) = self.0.par_iter().zip(ranks).map(|(c, k)| c.cut(k)).unzip();
            let reached = super::root_sum_of_squares(errors.iter().copied());
            let capped = cap.is_some_and(|cap| blocks.iter().any(|b: &LowRank<T>| b.rank() == cap));
            best = Some((blocks, errors));
            if reached <= tolerance || capped || target <= 0.0 {
                break;
            }
            target *= 0.5 * tolerance / reached;
        }
        best.unwrap_or_default()
    }

    fn ranks(&self, tolerance: f64, cap: Option<usize>) -> Vec<usize> {
        let mut ranks: Vec<usize> = self.0.iter().map(|c| c.svd.s.len()).collect();
        let mut left = tolerance * tolerance;
        for (rank, candidate) in ranks.iter_mut().zip(&self.0) {
            let s = &candidate.svd.s;
            while *rank > cap.unwrap_or(usize::MAX) || (*rank > 0 && s[*rank - 1] == 0.0) {
                *rank -= 1;
                left -= s[*rank] * s[*rank];
            }
        }
        let mut values: Vec<(f64, usize, usize)> = Vec::new();
        for (b, (candidate, &rank)) in self.0.iter().zip(&ranks).enumerate() {
            let numbers = candidate.numbers as f64;
            values.extend((0..rank).map(|k| (candidate.svd.s[k] / numbers.sqrt(), b, k)));
        }
        values.sort_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)).then(y.2.cmp(&x.2)));
        let mut open = vec![true; self.0.len()];
        for (_, b, k) in values {
            let square = self.0[b].svd.s[k] * self.0[b].svd.s[k];
            if !open[b] || square > left {
                // What is larger in this block stays too; smaller values of other blocks may still go.
                open[b] = false;
                continue;
            }
            left -= square;
            ranks[b] = k;
        }
        ranks
    }
}

fn candidate<T: Scalar>(block: Block<'_, T>) -> Candidate<T> {
    match block {
        Block::Dense(a) => {
            let svd = svd(a);
            let (numbers, core) = (a.nrows() + a.ncols(), a.to_owned());
            Candidate { left: None, right: None, core, svd, rounding: 0.0, numbers: numbers.max(1) }
        }
        Block::Factored(low) => {
            let (numbers, k) = (low.nrows() + low.ncols(), low.rank());
            let rounding = T::EPSILON * (10 + 2 * k) as f64 * column_products(low.u.as_ref(), low.v.as_ref());
            let ((qu, ru), (qv, rv)) = (qr(low.u.as_ref()), qr(low.v.as_ref()));
            let core = product(ru.as_ref(), rv.as_ref().transpose());
            let svd = svd(core.as_ref());
            Candidate { left: Some(qu), right: Some(qv), core, svd, rounding, numbers: numbers.max(1) }
        }
    }
}

impl<T: Scalar> Candidate<T> {
    /// The block with this rank, and a bound on its error.
    fn cut(&self, rank: usize) -> (LowRank<T>, f64) {
        // The singular vectors may be off by more than rounding when values cluster at zero: made orthonormal again, and the other
        // factor is the projection.
        let v = qr(self.svd.v.as_ref().subcols(0, rank)).0;
        let u = product(self.core.as_ref(), v.as_ref());
        let mut error = residual(self.core.as_ref(), u.as_ref(), v.as_ref()) + self.rounding;
        if self.left.is_some() {
            error += 4.0 * T::EPSILON * (rank as f64).sqrt() * column_products(u.as_ref(), v.as_ref());
        }
        let long = |q: &Option<Mat<T>>, x: Mat<T>| match q {
            Some(q) => product(q.as_ref(), x.as_ref()),
            None => x,
        };
        (LowRank { u: long(&self.left, u), v: long(&self.right, v) }, error)
    }
}

/// One factored block truncated, and a bound on the error. Cost: `O((m + n) k^2)`.
pub(super) fn cut<T: Scalar>(a: LowRank<T>, tolerance: f64, cap: Option<usize>) -> (LowRank<T>, f64) {
    let (mut blocks, errors) = Candidates::new(vec![Block::Factored(a)]).truncate(tolerance, cap);
    (blocks.swap_remove(0), errors[0])
}

/// `sum_k ||u_k|| ||v_k||`: what rounding errors of `U V^T` are relative to.
fn column_products<T: Scalar>(u: MatRef<T>, v: MatRef<T>) -> f64 {
    let norm = |a: MatRef<T>, k: usize| crate::linalg::norm_frobenius(a.subcols(k, 1));
    (0..u.ncols()).map(|k| norm(u, k) * norm(v, k)).sum()
}

/// A bound on `||A - U V^T||_F`, computed in f64 with the rounding of the computation included.
pub(super) fn residual<T: Scalar>(a: MatRef<T>, u: MatRef<T>, v: MatRef<T>) -> f64 {
    let wide = |a: MatRef<T>| Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)].to_f64());
    let (mut r, wide_u, wide_v) = (wide(a), wide(u), wide(v));
    crate::linalg::add_product(r.as_mut(), -1.0, wide_u.as_ref(), wide_v.as_ref().transpose());
    let norm = crate::linalg::norm_frobenius(r.as_ref());
    let (count, k) = ((a.nrows() * a.ncols()) as f64, u.ncols() as f64);
    // A dot product of k terms and a difference: k + 1 roundings of half a unit each.
    let rounding = 0.5 * f64::EPSILON * (k + 2.0) * (column_products(u, v) + norm);
    norm * (1.0 + f64::EPSILON * count) + if k > 0.0 { rounding } else { 0.0 }
}
