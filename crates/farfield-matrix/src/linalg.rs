//! Dense linear algebra under the hierarchical matrices: the few factorisations that they use, by `faer`, on the
//! calling thread. The methods of `faer`'s matrices are not used: they run on all threads where another crate turns on
//! its feature `rayon`, and their bits then depend on how many there are.
//!
//! Everything here takes and returns `faer` matrices; nothing public names them.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder as reflections;
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch, recommended_block_size};
use faer::linalg::svd as faer_svd;
use faer::{Accum, Conj, Mat, MatMut, MatRef, Par};

use crate::scalar::Scalar;

/// `A B`.
pub(crate) fn product<T: Scalar>(a: MatRef<T>, b: MatRef<T>) -> Mat<T> {
    let mut c = Mat::zeros(a.nrows(), b.ncols());
    matmul(c.as_mut(), Accum::Replace, a, b, T::ONE, Par::Seq);
    c
}

/// `C += alpha A B`.
pub(crate) fn add_product<T: Scalar>(c: MatMut<T>, alpha: T, a: MatRef<T>, b: MatRef<T>) {
    matmul(c, Accum::Add, a, b, alpha, Par::Seq);
}

/// Frobenius norm, summed in f64; over scaled entries where overflow or underflow would spoil it.
pub(crate) fn norm_frobenius<T: Scalar>(a: MatRef<T>) -> f64 {
    let square: f64 = (0..a.ncols())
        .map(|j| match a.col(j).try_as_col_major() {
            Some(column) => sum_of_squares(column.as_slice()),
            None => (0..a.nrows()).map(|i| a[(i, j)].to_f64().powi(2)).sum(),
        })
        .sum();
    // Squares below this have lost digits; those above may be too large to add.
    if (1e-280..1e300).contains(&square) {
        return square.sqrt();
    }
    let largest = max_abs(a);
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let mut sum = 0.0;
    for j in 0..a.ncols() {
        for i in 0..a.nrows() {
            let x = a[(i, j)].to_f64() / largest;
            sum += x * x;
        }
    }
    largest * sum.sqrt()
}

/// `x . x` in f64, in eight sums side by side.
pub(crate) fn sum_of_squares<T: Scalar>(x: &[T]) -> f64 {
    let mut sums = [0.0f64; 8];
    let chunks = x.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|x| x.to_f64() * x.to_f64()).sum();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x.to_f64() * x.to_f64();
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// `x . y`, in eight sums side by side.
pub(crate) fn dot<T: Scalar>(x: &[T], y: &[T]) -> T {
    let mut sums = [T::ZERO; 8];
    let (x_blocks, y_blocks) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest = x_blocks.remainder().iter().zip(y_blocks.remainder()).fold(T::ZERO, |sum, (&x, &y)| sum + x * y);
    for (x, y) in x_blocks.zip(y_blocks) {
        for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    sums.iter().fold(rest, |total, &sum| total + sum)
}

/// `x -= factor y`.
pub(crate) fn subtract_multiple<T: Scalar>(x: &mut [T], factor: T, y: &[T]) {
    for (x, &y) in x.iter_mut().zip(y) {
        *x -= factor * y;
    }
}

/// Largest absolute value; NaN if there is one.
pub(crate) fn max_abs<T: Scalar>(a: MatRef<T>) -> f64 {
    let mut largest = 0.0f64;
    for j in 0..a.ncols() {
        for i in 0..a.nrows() {
            let x = a[(i, j)].to_f64().abs();
            if x.is_nan() {
                return x;
            }
            largest = largest.max(x);
        }
    }
    largest
}

/// `A - B` in the Frobenius norm.
pub(crate) fn distance<T: Scalar>(a: MatRef<T>, b: MatRef<T>) -> f64 {
    norm_frobenius(Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)]).as_ref())
}

/// A thin singular value decomposition `A = U diag(s) V^T`.
pub(crate) struct Svd<T> {
    pub u: Mat<T>,
    /// Descending.
    pub s: Vec<f64>,
    pub v: Mat<T>,
}

/// The thin SVD. Entries must be finite. `faer`'s bidiagonal iteration sometimes does not converge; one-sided Jacobi
/// rotations, which always do, then take its place.
pub(crate) fn svd<T: Scalar>(a: MatRef<T>) -> Svd<T> {
    if a.nrows() == 0 || a.ncols() == 0 {
        return Svd { u: Mat::zeros(a.nrows(), 0), s: Vec::new(), v: Mat::zeros(a.ncols(), 0) };
    }
    let mut v = Mat::zeros(a.ncols(), a.nrows().min(a.ncols()));
    match bidiagonal_svd(a, Some(v.as_mut())) {
        Some((u, s)) => Svd { u, s, v },
        None => jacobi_svd(a),
    }
}

/// The left singular vectors, and the singular values, descending: as [`svd`], at less cost.
pub(crate) fn left_singular<T: Scalar>(a: MatRef<T>) -> (Mat<T>, Vec<f64>) {
    if a.nrows() > 0
        && a.ncols() > 0
        && let Some(found) = bidiagonal_svd(a, None)
    {
        return found;
    }
    let Svd { u, s, .. } = svd(a);
    (u, s)
}

/// Left singular vectors and singular values of a matrix that is not empty, and right singular vectors where there is
/// room for them; `None` where the iteration does not converge.
fn bidiagonal_svd<T: Scalar>(a: MatRef<T>, v: Option<MatMut<T>>) -> Option<(Mat<T>, Vec<f64>)> {
    let (m, n) = (a.nrows(), a.ncols());
    let size = m.min(n);
    let (thin, none) = (faer_svd::ComputeSvdVectors::Thin, faer_svd::ComputeSvdVectors::No);
    let right = if v.is_some() { thin } else { none };
    let (mut u, mut s) = (Mat::zeros(m, size), faer::diag::Diag::zeros(size));
    let mut memory = MemBuffer::new(faer_svd::svd_scratch::<T>(m, n, thin, right, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    faer_svd::svd(a, s.as_mut(), Some(u.as_mut()), v, Par::Seq, stack, Default::default()).ok()?;
    let s: Vec<f64> = (0..size).map(|i| s[i].to_f64()).collect();
    s.iter().all(|s| s.is_finite()).then_some((u, s))
}

/// One-sided Jacobi (Golub & Van Loan, section 8.6.3) on the thinner side.
fn jacobi_svd<T: Scalar>(a: MatRef<T>) -> Svd<T> {
    if a.nrows() < a.ncols() {
        let Svd { u, s, v } = jacobi_svd(a.transpose());
        return Svd { u: v, s, v: u };
    }
    let n = a.ncols();
    let mut w = Mat::from_fn(a.nrows(), n, |i, j| a[(i, j)].to_f64());
    let mut v = Mat::from_fn(n, n, |i, j| f64::from(u8::from(i == j)));
    for _ in 0..60 {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let (mut pp, mut qq, mut pq) = (0.0, 0.0, 0.0);
                for i in 0..w.nrows() {
                    pp += w[(i, p)] * w[(i, p)];
                    qq += w[(i, q)] * w[(i, q)];
                    pq += w[(i, p)] * w[(i, q)];
                }
                if pq.abs() <= 1e-15 * (pp * qq).sqrt() || pq == 0.0 {
                    continue;
                }
                rotated = true;
                let zeta = (qq - pp) / (2.0 * pq);
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let c = 1.0 / (1.0 + t * t).sqrt();
                let s = c * t;
                for m in [&mut w, &mut v] {
                    for i in 0..m.nrows() {
                        let (x, y) = (m[(i, p)], m[(i, q)]);
                        (m[(i, p)], m[(i, q)]) = (c * x - s * y, s * x + c * y);
                    }
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let norms: Vec<f64> = (0..n).map(|j| norm_frobenius(w.as_ref().subcols(j, 1))).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| norms[j].total_cmp(&norms[i]));
    let s: Vec<f64> = order.iter().map(|&j| norms[j]).collect();
    let column = |i: usize, j: usize| if s[j] > 0.0 { w[(i, order[j])] / s[j] } else { 0.0 };
    Svd {
        u: Mat::from_fn(w.nrows(), n, |i, j| T::from_f64(column(i, j))),
        v: Mat::from_fn(n, n, |i, j| T::from_f64(v[(i, order[j])])),
        s,
    }
}

/// Thin QR: `Q` with orthonormal columns (`m x min(m, n)`) and `R` (`min(m, n) x n`) upper triangular.
pub(crate) fn qr<T: Scalar>(a: MatRef<T>) -> (Mat<T>, Mat<T>) {
    let k = a.nrows().min(a.ncols());
    if k == 0 {
        return (Mat::zeros(a.nrows(), 0), Mat::zeros(0, a.ncols()));
    }
    let (factors, coefficients) = householder(a);
    let mut q = Mat::identity(a.nrows(), k);
    let scratch = reflections::apply_block_householder_sequence_on_the_left_in_place_scratch::<T>;
    let mut memory = MemBuffer::new(scratch(a.nrows(), coefficients.nrows(), k));
    reflections::apply_block_householder_sequence_on_the_left_in_place_with_conj(
        factors.as_ref().subcols(0, k),
        coefficients.as_ref(),
        Conj::No,
        q.as_mut(),
        Par::Seq,
        MemStack::new(&mut memory),
    );
    (q, upper_trapezoid(factors.as_ref(), k))
}

/// `R` of [`qr`] alone, at half the cost.
pub(crate) fn r_factor<T: Scalar>(a: MatRef<T>) -> Mat<T> {
    let k = a.nrows().min(a.ncols());
    if k == 0 { Mat::zeros(0, a.ncols()) } else { upper_trapezoid(householder(a).0.as_ref(), k) }
}

/// QR of a matrix that is not empty: R with the reflections below its diagonal, and the coefficients of their blocks.
fn householder<T: Scalar>(a: MatRef<T>) -> (Mat<T>, Mat<T>) {
    let (m, n) = (a.nrows(), a.ncols());
    let block = recommended_block_size::<T>(m, n);
    let (mut factors, mut coefficients) = (a.to_owned(), Mat::zeros(block, m.min(n)));
    let mut memory = MemBuffer::new(qr_in_place_scratch::<T>(m, n, block, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    qr_in_place(factors.as_mut(), coefficients.as_mut(), Par::Seq, stack, Default::default());
    (factors, coefficients)
}

/// The first `k` rows without what lies below the diagonal.
fn upper_trapezoid<T: Scalar>(a: MatRef<T>, k: usize) -> Mat<T> {
    Mat::from_fn(k, a.ncols(), |i, j| if i <= j { a[(i, j)] } else { T::ZERO })
}

/// How many singular values to keep so that the Frobenius norm of the rest is at most `tolerance`, and that norm.
pub(crate) fn truncation_rank(s: &[f64], tolerance: f64) -> (usize, f64) {
    let mut tail = 0.0;
    let mut rank = s.len();
    while rank > 0 {
        let next = tail + s[rank - 1] * s[rank - 1];
        if next.sqrt() > tolerance {
            break;
        }
        tail = next;
        rank -= 1;
    }
    (rank, tail.sqrt())
}

/// `[a, b]`.
pub(crate) fn beside<T: Scalar>(a: MatRef<T>, b: MatRef<T>) -> Mat<T> {
    let k = a.ncols();
    Mat::from_fn(a.nrows(), k + b.ncols(), |i, j| if j < k { a[(i, j)] } else { b[(i, j - k)] })
}

/// `[a; b]`.
pub(crate) fn stacked<T: Scalar>(a: MatRef<T>, b: MatRef<T>) -> Mat<T> {
    let k = a.nrows();
    Mat::from_fn(k + b.nrows(), a.ncols(), |i, j| if i < k { a[(i, j)] } else { b[(i - k, j)] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hilbert(m: usize, n: usize) -> Mat<f64> {
        Mat::from_fn(m, n, |i, j| 1.0 / (i + j + 1) as f64)
    }

    fn reconstruct(svd: &Svd<f64>) -> Mat<f64> {
        let scaled = Mat::from_fn(svd.u.nrows(), svd.s.len(), |i, j| svd.u[(i, j)] * svd.s[j]);
        product(scaled.as_ref(), svd.v.as_ref().transpose())
    }

    #[test]
    fn both_decompositions_of_wide_tall_and_rank_deficient_matrices() {
        for a in [hilbert(9, 6), hilbert(5, 12), Mat::zeros(4, 3), Mat::from_fn(6, 6, |i, _| i as f64)] {
            for svd in [svd(a.as_ref()), jacobi_svd(a.as_ref())] {
                assert!(distance(reconstruct(&svd).as_ref(), a.as_ref()) < 1e-13);
                assert!(svd.s.windows(2).all(|w| w[0] >= w[1]));
            }
            let ((u, s), full) = (left_singular(a.as_ref()), svd(a.as_ref()));
            assert!(s.iter().zip(&full.s).all(|(x, y)| (x - y).abs() < 1e-13));
            let projected = product(u.as_ref(), product(u.as_ref().transpose(), a.as_ref()).as_ref());
            assert!(distance(projected.as_ref(), a.as_ref()) < 1e-13);
            let (_, r) = qr(a.as_ref());
            assert_eq!(r_factor(a.as_ref()), r);
            let (q, r) = qr(a.as_ref());
            assert!(distance(product(q.as_ref(), r.as_ref()).as_ref(), a.as_ref()) < 1e-13);
        }
    }

    #[test]
    fn the_tail_decides_the_rank() {
        assert_eq!(truncation_rank(&[4.0, 3.0, 4.0, 3.0], 5.0), (2, 5.0));
        assert_eq!(truncation_rank(&[1.0, 1e-9], 0.0), (2, 0.0));
        assert_eq!(truncation_rank(&[1.0, 0.0], 0.0).0, 1);
        assert_eq!(truncation_rank(&[], 1.0), (0, 0.0));
    }
}
