//! Matrices of low rank, `A = U V^T`, and their truncation.

use faer::{Mat, MatRef};

use crate::linalg::{Svd, beside, distance, norm_frobenius, product, qr, svd, truncation_rank};
use crate::scalar::Scalar;

/// `U V^T` with `U` of `m x k` and `V` of `n x k`.
#[derive(Clone, Debug)]
pub(crate) struct LowRank<T> {
    pub u: Mat<T>,
    pub v: Mat<T>,
}

impl<T: Scalar> PartialEq for LowRank<T> {
    /// The same factors.
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Mat<T>, b: &Mat<T>| a.shape() == b.shape() && a == b;
        same(&self.u, &other.u) && same(&self.v, &other.v)
    }
}

impl<T: Scalar> LowRank<T> {
    /// The zero matrix, of rank 0.
    pub fn zero(nrows: usize, ncols: usize) -> Self {
        Self { u: Mat::zeros(nrows, 0), v: Mat::zeros(ncols, 0) }
    }

    pub fn nrows(&self) -> usize {
        self.u.nrows()
    }

    pub fn ncols(&self) -> usize {
        self.v.nrows()
    }

    pub fn rank(&self) -> usize {
        self.u.ncols()
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        self.rank() * (self.nrows() + self.ncols())
    }

    /// The best approximation of `a` whose Frobenius error is at most `tolerance`, and that error as the singular values tell it.
    /// Cost: an SVD.
    pub fn from_dense(a: MatRef<T>, tolerance: f64) -> (Self, f64) {
        Self::from_svd(svd(a), tolerance)
    }

    /// Truncated in the Frobenius norm to the tolerance that `tolerance` makes of the norm; `V` gets orthonormal columns. Returns the error, computed from the
    /// triangular factors and not taken from the singular values. Cost: O((m + n) k^2).
    pub fn truncated_by(&self, tolerance: impl Fn(f64) -> f64) -> (Self, f64) {
        let (qu, ru) = qr(self.u.as_ref());
        let (qv, rv) = qr(self.v.as_ref());
        let core = product(ru.as_ref(), rv.as_ref().transpose());
        let (small, _) = Self::from_dense(core.as_ref(), tolerance(norm_frobenius(core.as_ref())));
        let error = distance(core.as_ref(), small.to_dense().as_ref());
        (Self { u: product(qu.as_ref(), small.u.as_ref()), v: product(qv.as_ref(), small.v.as_ref()) }, error)
    }

    /// `self + other`, of the sum of the ranks.
    pub fn plus(&self, other: &Self) -> Self {
        Self { u: beside(self.u.as_ref(), other.u.as_ref()), v: beside(self.v.as_ref(), other.v.as_ref()) }
    }

    /// All entries.
    pub fn to_dense(&self) -> Mat<T> {
        product(self.u.as_ref(), self.v.as_ref().transpose())
    }

    /// `V U^T`.
    pub fn transpose(&self) -> Self {
        Self { u: self.v.clone(), v: self.u.clone() }
    }

    /// Frobenius norm, from the triangular factors of `U` and `V`.
    pub fn norm_frobenius(&self) -> f64 {
        let (ru, rv) = (qr(self.u.as_ref()).1, qr(self.v.as_ref()).1);
        norm_frobenius(product(ru.as_ref(), rv.as_ref().transpose()).as_ref())
    }

    fn from_svd(svd: Svd<T>, tolerance: f64) -> (Self, f64) {
        let (rank, error) = truncation_rank(&svd.s, tolerance);
        let u = Mat::from_fn(svd.u.nrows(), rank, |i, j| svd.u[(i, j)] * T::from_f64(svd.s[j]));
        (Self { u, v: svd.v.as_ref().subcols(0, rank).to_owned() }, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_reports_its_error() {
        let a = Mat::from_fn(30, 20, |i, j| 1.0 / (1.0 + i as f64 + j as f64));
        for tolerance in [1e-1, 1e-4, 1e-8] {
            let (low, error) = LowRank::from_dense(a.as_ref(), tolerance);
            let true_error = distance(low.to_dense().as_ref(), a.as_ref());
            assert!(error <= tolerance && (true_error - error).abs() < 1e-13);
            let sum = low.plus(&low);
            let (half, again) = sum.truncated_by(|_| 1e-13);
            assert_eq!((half.rank(), sum.rank()), (low.rank(), 2 * low.rank()));
            assert!(again <= 1e-13 && (half.norm_frobenius() - 2.0 * low.norm_frobenius()).abs() < 1e-12);
        }
    }

    #[test]
    fn rank_zero_and_transposes() {
        let zero = LowRank::<f64>::zero(3, 2);
        assert_eq!((zero.norm_frobenius(), zero.truncated_by(|_| 0.1).0.rank(), zero.stored()), (0.0, 0, 0));
        assert_eq!(zero.transpose().to_dense(), Mat::<f64>::zeros(2, 3));
    }
}
