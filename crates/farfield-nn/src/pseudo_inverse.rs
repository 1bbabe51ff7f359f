//! The pseudo-inverse of a dense matrix by a complete orthogonal decomposition.
//!
//! Gram-Schmidt with column pivoting finds an orthonormal basis `Q_1` of the columns of `X`, as many as stand out of
//! the rounding, then a basis `Q_2` of the rows of `M = Q_1^T X`. With `T = M Q_2`, square and regular, `X^+ = Q_2 T^-1 Q_1^T`
//! (Golub & Van Loan, section 5.4). Inputs of a data set have singular values down to the rounding level, where it matters which
//! of them count; the pivots here are norms computed afresh at every step, not updated, and each new basis vector is
//! orthogonalised twice. Cost: `O(rows columns rank)`.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_unit_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatRef, Par};

/// `X^+` (`columns x rows`) and the rank. Pivots of at most `tolerance` times the first count as zero.
pub(crate) fn pseudo_inverse(x: MatRef<'_, f64>, tolerance: f64) -> (Mat<f64>, usize) {
    let q1 = column_basis(x, tolerance);
    let rank = q1.ncols();
    if rank == 0 {
        return (Mat::zeros(x.ncols(), x.nrows()), 0);
    }
    let m = product(q1.transpose(), x);
    let q2 = column_basis(m.transpose(), 0.0);
    let t = product(m.as_ref(), q2.as_ref());
    let mut z = q1.transpose().to_owned();
    solve_in_place(t, &mut z);
    (product(q2.as_ref(), z.as_ref()), rank)
}

/// `T^-1 Z` in place of `Z`, by LU with partial pivoting on the calling thread, whatever the setting of the process.
fn solve_in_place(mut t: Mat<f64>, z: &mut Mat<f64>) {
    let n = t.nrows();
    let (mut order, mut inverse) = (vec![0usize; n], vec![0usize; n]);
    let mut memory = MemBuffer::new(lu_in_place_scratch::<usize, f64>(n, n, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    lu_in_place(t.as_mut(), &mut order, &mut inverse, Par::Seq, stack, Default::default());
    *z = Mat::from_fn(n, z.ncols(), |i, j| z[(order[i], j)]);
    solve_unit_lower_triangular_in_place(t.as_ref(), z.as_mut(), Par::Seq);
    solve_upper_triangular_in_place(t.as_ref(), z.as_mut(), Par::Seq);
}

/// An orthonormal basis of the columns of `x`, in the order of the pivots.
fn column_basis(x: MatRef<'_, f64>, tolerance: f64) -> Mat<f64> {
    let rows = x.nrows();
    let mut rest: Vec<Vec<f64>> = (0..x.ncols()).map(|j| x.col(j).iter().copied().collect()).collect();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut limit = 0.0;
    while basis.len() < rows {
        let norms = rest.iter().map(|c| dot(c, c).sqrt());
        let Some((pivot, norm)) = norms.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        if basis.is_empty() {
            limit = tolerance * norm;
        }
        if norm <= limit || norm == 0.0 {
            break;
        }
        let mut q = rest.swap_remove(pivot);
        for known in &basis {
            let along = dot(known, &q);
            subtract(&mut q, along, known);
        }
        let length = dot(&q, &q).sqrt();
        // What is left of a column after the second pass is nothing but rounding.
        if length <= 0.5 * norm {
            continue;
        }
        q.iter_mut().for_each(|v| *v /= length);
        for column in &mut rest {
            let along = dot(&q, column);
            subtract(column, along, &q);
        }
        basis.push(q);
    }
    Mat::from_fn(rows, basis.len(), |i, j| basis[j][i])
}

/// In eight interleaved partial sums, so that the compiler may vectorise it.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    rest + sums.iter().sum::<f64>()
}

fn subtract(a: &mut [f64], factor: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a -= factor * b);
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
