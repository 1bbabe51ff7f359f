//! The orthogonal factor of a small square matrix, by Householder reflections.
//!
//! `A = Q R` with `H_(n-2) ... H_0 A = R` and `Q = H_0 ... H_(n-2)`, `H_j = I - v_j v_j^T`, `|v_j|^2 = 2` (Golub & Van Loan, algorithm 5.2.1
//! and section 5.1.6). `Q` is orthogonal to rounding whatever the rank of `A`; a column that is zero from the diagonal on takes no reflection.
//! Rows are whole vectors, padded with zeros, so that all work is multiples of rows added to rows. Cost: `4/3 n^3` multiply-adds.
//! Not for matrices beyond cache: nothing is blocked.

use crate::scalar::Scalar;
use crate::simd::{VectorMath, VectorTask, dispatch};

/// Replaces `a` (`n` rows of `stride` numbers, `stride` a multiple of the lanes, zero from column `n` on) by its factor `Q`.
/// `work` has the size of `a`, with any contents.
///
/// # Panics
/// When a slice is too short.
pub(crate) fn orthogonal_factor<T: Scalar>(a: &mut [T], n: usize, stride: usize, work: &mut [T]) {
    assert!(stride.is_multiple_of(T::LANES) && stride >= n && a.len() >= n * stride && work.len() >= n * stride);
    // SAFETY: the assertion is what the task asks for.
    unsafe { dispatch(Orthogonalise { a, n, stride, reflectors: work }) }
}

struct Orthogonalise<'a, T> {
    a: &'a mut [T],
    n: usize,
    stride: usize,
    reflectors: &'a mut [T],
}

impl<T: Scalar> VectorTask<T> for Orthogonalise<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) {
        let Self { a, n, stride, reflectors } = self;
        for j in 0..n.saturating_sub(1) {
            let v = &mut reflectors[j * stride..j * stride + n];
            let mut below = 0.0;
            for i in j..n {
                v[i] = a[i * stride + j];
                let x = v[i].to_f64();
                below += if i > j { x * x } else { 0.0 };
            }
            let first = v[j].to_f64();
            let norm = (first * first + below).sqrt();
            let scale = if below > 0.0 && norm.is_finite() {
                let head = first + norm.copysign(first);
                // Scaled to the root of two.
                let length = (0.5 * (head * head + below)).sqrt();
                v[j] = T::from_f64(head / length);
                1.0 / length
            } else {
                v[j] = T::ZERO;
                0.0
            };
            let scale = T::from_f64(scale);
            v[j + 1..].iter_mut().for_each(|v| *v *= scale);
            // SAFETY: rows j..n and vectors up to the stride are in bounds.
            unsafe { reflect::<S>(a.as_mut_ptr(), stride, &reflectors[j * stride..j * stride + n], j) };
        }
        a[..n * stride].fill(T::ZERO);
        for i in 0..n {
            a[i * stride + i] = T::ONE;
        }
        for j in (0..n.saturating_sub(1)).rev() {
            // SAFETY: as above.
            unsafe { reflect::<S>(a.as_mut_ptr(), stride, &reflectors[j * stride..j * stride + n], j) };
        }
    }
}

/// `A -= v (v^T A)` in the rows from `from` on, in the vectors of columns that hold column `from` and those behind it.
///
/// # Safety
/// `a` has `v.len()` rows of `stride` numbers, a multiple of the lanes; the instruction set of `S` is there.
#[inline(always)]
unsafe fn reflect<S: VectorMath>(a: *mut S::T, stride: usize, v: &[S::T], from: usize) {
    let vectors = v.len().div_ceil(S::T::LANES);
    let mut at = from / S::T::LANES;
    // SAFETY: the strips cover the vectors up to the size of the matrix.
    unsafe {
        while at + 4 <= vectors {
            strip::<S, 4>(a, stride, v, from, at);
            at += 4;
        }
        while at + 2 <= vectors {
            strip::<S, 2>(a, stride, v, from, at);
            at += 2;
        }
        if at < vectors {
            strip::<S, 1>(a, stride, v, from, at);
        }
    }
}

/// [`reflect`] in `N` vectors of columns.
///
/// # Safety
/// As [`reflect`], for vectors `vector..vector + N`.
#[inline(always)]
unsafe fn strip<S: VectorMath, const N: usize>(a: *mut S::T, stride: usize, v: &[S::T], from: usize, vector: usize) {
    // SAFETY: the caller vouches for the rows and vectors.
    unsafe {
        let at = |i: usize, k: usize| a.wrapping_add(i * stride + (vector + k) * S::T::LANES);
        let mut sums = [S::zero(); N];
        for (i, &v) in v.iter().enumerate().skip(from) {
            let v = S::splat(v);
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum = S::mul_add(v, S::load(at(i, k)), *sum);
            }
        }
        for (i, &v) in v.iter().enumerate().skip(from) {
            let v = S::splat(S::T::ZERO - v);
            for (k, sum) in sums.iter().enumerate() {
                S::store(at(i, k), S::mul_add(v, *sum, S::load(at(i, k))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(i: usize, j: usize) -> f64 {
        (((i + 1) * 7 + j * 3) as f64 * 0.7 + (i * j) as f64 * 0.9).sin()
    }

    fn factor<T: Scalar>(n: usize, entry: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
        let stride = n.next_multiple_of(T::LANES);
        let mut a = vec![T::ZERO; n * stride];
        for i in 0..n {
            for j in 0..n {
                a[i * stride + j] = T::from_f64(entry(i, j));
            }
        }
        let mut work = vec![T::from_f64(f64::NAN); n * stride];
        orthogonal_factor(&mut a, n, stride, &mut work);
        let rows = a.chunks(stride);
        rows.map(|row| {
            assert!(row[n..].iter().all(|&v| v == T::ZERO));
            row[..n].iter().map(|v| v.to_f64()).collect()
        })
        .collect()
    }

    /// `Q^T Q = I` and `Q^T A` is upper triangular.
    fn check<T: Scalar>(n: usize, entry: impl Fn(usize, usize) -> f64 + Copy, tolerance: f64) {
        let q = factor::<T>(n, entry);
        for i in 0..n {
            for j in 0..n {
                let dot: f64 = (0..n).map(|k| q[k][i] * q[k][j]).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < tolerance, "{n}: Q^T Q at {i}, {j} is {dot}");
                let below: f64 = (0..n).map(|k| q[k][i] * entry(k, j)).sum();
                assert!(i <= j || below.abs() < tolerance * n as f64, "{n}: R at {i}, {j} is {below}");
            }
        }
    }

    #[test]
    fn orthogonal_and_triangular_at_every_size() {
        for n in [1, 2, 3, 4, 7, 8, 15, 16, 17, 32, 33, 50, 64, 100] {
            check::<f64>(n, wave, 1e-13);
            check::<f32>(n, wave, 1e-5);
        }
    }

    #[test]
    fn orthogonal_whatever_the_rank() {
        for n in [2, 5, 32] {
            check::<f64>(n, |_, _| 0.0, 1e-14);
            check::<f64>(n, |i, j| wave(i, 0) * wave(j, 1), 1e-13);
            check::<f64>(n, |i, j| if i == j { 10f64.powi(-(i as i32)) } else { 0.0 }, 1e-14);
            check::<f32>(n, |i, j| if j < n / 2 { wave(i, j) } else { 0.0 }, 1e-5);
        }
    }
}
