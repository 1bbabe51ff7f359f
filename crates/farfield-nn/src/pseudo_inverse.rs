//! The pseudo-inverse of a dense matrix by a complete orthogonal decomposition.
//!
//! `X P = Q R` with column pivoting shows the rank `k`: the diagonal of `R` down to a tolerance. With `Q_1` the first `k` columns of
//! `Q`, `M = Q_1^T X` has full row rank, and from `M^T = Q_2 T` follows `X^+ = Q_2 T^-T Q_1^T` (Golub & Van Loan, section 5.4).
//! Two QR factorisations instead of an SVD: they cannot fail to converge, and repeated singular values at rounding level
//! cost no accuracy. Cost: `O(rows columns min(rows, columns))`.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatRef, Par};

/// `X^+` (`columns x rows`) and the rank. Pivots of at most `tolerance` times the first count as zero.
pub(crate) fn pseudo_inverse(x: MatRef<'_, f64>, tolerance: f64) -> (Mat<f64>, usize) {
    let qr = x.col_piv_qr();
    let r = qr.thin_R();
    let pivots: Vec<f64> = (0..r.nrows().min(r.ncols())).map(|i| r[(i, i)].abs()).collect();
    let limit = tolerance * pivots.first().copied().unwrap_or(0.0);
    let rank = pivots.iter().take_while(|&&p| p > limit).count();
    if rank == 0 {
        return (Mat::zeros(x.ncols(), x.nrows()), 0);
    }
    let q = qr.compute_thin_Q();
    let q = q.as_ref().subcols(0, rank);
    let m = product(q.transpose(), x);
    let second = m.transpose().qr();
    let mut z = q.transpose().to_owned();
    solve_lower_triangular_in_place(second.thin_R().transpose(), z.as_mut(), Par::Seq);
    (product(second.compute_thin_Q().as_ref(), z.as_ref()), rank)
}

/// `A B`, on one thread.
pub(crate) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut c = Mat::zeros(a.nrows(), b.ncols());
    matmul(c.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The four conditions of Penrose, for matrices of every shape and rank.
    #[test]
    fn penrose_conditions() {
        for (rows, columns, rank) in [(30, 12, 12), (30, 12, 5), (9, 30, 7), (200, 64, 10), (1, 5, 1), (4, 4, 0)] {
            let wave = |i: usize, j: usize, s: f64| (((i + 1) * 7 + j * 3) as f64 * s + (i * j) as f64 * 0.9).sin();
            let left = Mat::from_fn(rows, rank, |i, j| wave(i, j, 0.7));
            let right = Mat::from_fn(rank, columns, |i, j| wave(i, j, 1.3));
            let x = product(left.as_ref(), right.as_ref());
            let (inverse, found) = pseudo_inverse(x.as_ref(), 1e-13);
            assert_eq!(found, rank);
            let (a, b) = (product(x.as_ref(), inverse.as_ref()), product(inverse.as_ref(), x.as_ref()));
            let close = |p: &Mat<f64>, q: MatRef<'_, f64>| {
                let scale = q.norm_max().max(1e-300);
                assert!((p - q).norm_max() < 1e-10 * scale.max(1.0), "{rows} x {columns}, rank {rank}");
            };
            close(&product(a.as_ref(), x.as_ref()), x.as_ref());
            close(&product(b.as_ref(), inverse.as_ref()), inverse.as_ref());
            close(&a, a.transpose());
            close(&b, b.transpose());
        }
    }
}
