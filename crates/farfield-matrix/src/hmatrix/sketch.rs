//! Truncation of a sum that is known by its products: the randomised range finder with a stopping rule.
//!
//! For a Gaussian matrix `W` of `p` columns, `E ||R W||_F^2 = p ||R||_F^2` for every `R`. With `Q` an orthonormal basis of `M W_0` and `W_1`
//! drawn independently, `||(I - Q Q^T) M W_1||_F / sqrt(p)` estimates the error of the range `Q`; it is read off the trailing block of the `R`
//! factor of `[M W_0, M W_1]`. When it is small enough the sum is projected, `M ~ Q (M^T Q)^T`, and truncated by the singular values of the
//! small factor; the two errors are orthogonal, so their squares add. Halko, Martinsson & Tropp (SIAM Review 2011), section 4.4, and
//! Martinsson & Voronin (SISC 2016) for the blocked stopping rule.
//!
//! Cost: two products of `M` with `rank + 8` vectors and O((m + n) rank^2). The random numbers are taken from one table by positions hashed
//! from the place of the block, so the result does not depend on the order of work. Not for matrices whose entries are at hand
//! and small: those are decomposed directly.

use faer::{Mat, MatRef};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::linalg::{beside, norm_frobenius, product, qr, svd, truncation_rank};
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

/// Columns that test the range.
const PROBES: usize = 8;

/// Places where a random column can start.
const STARTS: usize = 1 << 16;

/// Shared Gaussian numbers.
pub(crate) struct Gaussians<T> {
    numbers: Vec<T>,
}

impl<T: Scalar> Gaussians<T> {
    /// For vectors of up to `n` entries.
    pub fn new(n: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let draw = |_| T::from_f64(StandardNormal.sample(&mut rng));
        Self { numbers: (0..n + STARTS).map(draw).collect() }
    }

    /// `n x k` numbers for the block that is called `place`, from column `first` of its stream.
    fn columns(&self, n: usize, first: usize, k: usize, place: u64) -> Mat<T> {
        let mut out = Mat::zeros(n, k);
        for j in 0..k {
            let start = (hash(place, (first + j) as u64) % STARTS as u64) as usize;
            out.col_as_slice_mut(j).copy_from_slice(&self.numbers[start..start + n]);
        }
        out
    }
}

/// A number for the place `part` within `place` (splitmix64).
pub(crate) fn hash(place: u64, part: u64) -> u64 {
    let mut x = place
        .wrapping_mul(0xd134_2543_de82_ef95)
        .wrapping_add(part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A matrix that is known by its products.
pub(crate) struct Implicit<'a, T> {
    pub nrows: usize,
    pub ncols: usize,
    /// `M X`.
    pub apply: &'a dyn Fn(MatRef<T>) -> Mat<T>,
    /// `M^T X`.
    pub apply_transpose: &'a dyn Fn(MatRef<T>) -> Mat<T>,
}

/// `M` truncated to an error of about `tolerance(||M||_F)` in the Frobenius norm, and that error as far as known. `guess` is the expected rank.
pub(crate) fn compress<T: Scalar>(
    m: &Implicit<T>,
    tolerance: impl Fn(f64) -> f64,
    guess: usize,
    gaussians: &Gaussians<T>,
    place: u64,
) -> (LowRank<T>, f64) {
    let least = m.nrows.min(m.ncols);
    let mut y = Mat::<T>::zeros(m.nrows, 0);
    let mut width = guess + PROBES;
    loop {
        let k = y.ncols();
        if 2 * (k + width) >= least {
            return compress_entries(m, tolerance);
        }
        let fresh = (m.apply)(gaussians.columns(m.ncols, k, width, place).as_ref());
        y = if k == 0 { fresh } else { beside(y.as_ref(), fresh.as_ref()) };
        let k = k + width;
        let norm = norm_frobenius(y.as_ref()) / (k as f64).sqrt();
        let (q, r) = qr(y.as_ref());
        let test = r.as_ref().submatrix(k - PROBES, k - PROBES, PROBES, PROBES);
        let missed = norm_frobenius(test) / (PROBES as f64).sqrt();
        if missed <= 0.4 * tolerance(norm) {
            let b = (m.apply_transpose)(q.as_ref());
            let (qb, rb) = qr(b.as_ref());
            let small = svd(rb.as_ref());
            let norm = small.s.iter().map(|s| s * s).sum::<f64>().sqrt();
            let (rank, tail) = truncation_rank(&small.s, 0.9 * tolerance(norm));
            // M ~ Q (Qb Rb)^T = Q V_s S U_s^T Qb^T.
            let scaled = Mat::from_fn(k, rank, |i, j| small.v[(i, j)] * T::from_f64(small.s[j]));
            let u = product(q.as_ref(), scaled.as_ref());
            let v = product(qb.as_ref(), small.u.as_ref().subcols(0, rank));
            return (LowRank { u, v }, tail.hypot(missed));
        }
        width = 8 + k / 4 + PROBES;
    }
}

/// By all entries.
fn compress_entries<T: Scalar>(m: &Implicit<T>, tolerance: impl Fn(f64) -> f64) -> (LowRank<T>, f64) {
    let identity = |n: usize| Mat::from_fn(n, n, |i, j| if i == j { T::ONE } else { T::ZERO });
    let entries = if m.ncols <= m.nrows {
        (m.apply)(identity(m.ncols).as_ref())
    } else {
        (m.apply_transpose)(identity(m.nrows).as_ref()).transpose().to_owned()
    };
    let norm = norm_frobenius(entries.as_ref());
    LowRank::from_dense(entries.as_ref(), tolerance(norm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::distance;

    #[test]
    fn the_error_is_within_the_tolerance_and_the_rank_near_the_best() {
        let gaussians = Gaussians::<f64>::new(300, 1);
        for (m, n) in [(300, 200), (120, 290), (20, 15), (1, 7)] {
            let a = Mat::from_fn(m, n, |i, j| 1.0 / (1.0 + i as f64 + 0.7 * j as f64));
            let implicit = Implicit {
                nrows: m,
                ncols: n,
                apply: &|x| product(a.as_ref(), x),
                apply_transpose: &|x| product(a.as_ref().transpose(), x),
            };
            for tolerance in [1e-2, 1e-5, 1e-8, 1e-12] {
                for guess in [0, 5, 40] {
                    let (low, error) = compress(&implicit, |norm| tolerance * norm, guess, &gaussians, 7);
                    let true_error = distance(low.to_dense().as_ref(), a.as_ref());
                    let allowed = tolerance * norm_frobenius(a.as_ref());
                    assert!(true_error <= 1.05 * allowed + 1e-14, "{m} x {n}, {tolerance}: {true_error} > {allowed}");
                    assert!(error <= allowed);
                    let best = LowRank::from_dense(a.as_ref(), allowed).0.rank();
                    assert!(low.rank() <= best + 1, "{} against {best}", low.rank());
                }
            }
        }
    }

    #[test]
    fn a_zero_matrix_has_rank_zero() {
        let gaussians = Gaussians::<f64>::new(100, 1);
        let zero = |n: usize| move |x: MatRef<f64>| Mat::zeros(n, x.ncols());
        let implicit = Implicit { nrows: 100, ncols: 80, apply: &zero(100), apply_transpose: &zero(80) };
        assert_eq!(compress(&implicit, |norm| 0.1 * norm, 3, &gaussians, 0).0.rank(), 0);
    }
}
