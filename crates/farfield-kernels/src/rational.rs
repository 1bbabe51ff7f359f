//! A quotient of a cubic and a quadratic polynomial of every number, and its way back, in one pass each.
//!
//! `r(x) = P(x) / Q(x)`, `P = p_3 x^3 + p_2 x^2 + p_1 x + p_0`, `Q = q_2 x^2 + q_1 x + q_0`. With `a = dy / Q` and `b = -a r`, the gradient by `x` is
//! `a P' + b Q'`, that by `p_i` the sum of `a x^i`, that by `q_i` the sum of `b x^i`. Cost: one division and 7 multiply-adds a number forward, 25 back.

use crate::aligned::{AlignedVec, Room};
use crate::error::{LayoutError, check_len};
use crate::parallel::{Shared, for_each};
use crate::scalar::Scalar;
use crate::simd::{VectorMath, VectorTask, dispatch};

/// Elements of one task, whose sums are in the precision of the numbers: a multiple of any number of lanes.
const CHUNK: usize = 1 << 12;

/// `p_3 .. p_0, q_2 .. q_0`.
pub type RationalCoefficients = [f64; 7];

/// `r` of every number.
pub fn rational<T: Scalar>(coefficients: &RationalCoefficients, x: &[T]) -> AlignedVec<T> {
    let n = x.len();
    let mut y = Room::<T>::new(n);
    let y_at = y.shared();
    for_each(n.div_ceil(CHUNK), 16 * n, |t| {
        let (start, len) = (t * CHUNK, CHUNK.min(n - t * CHUNK));
        // SAFETY: each task has its own chunk of arrays of `n` elements.
        unsafe { dispatch(Value { coefficients, x: x[start..].as_ptr(), y: y_at.at(start), len }) };
    });
    // SAFETY: the tasks wrote every chunk.
    unsafe { y.finish() }
}

/// The gradients by `x` and by the coefficients for the gradient `dy` of the values. Partial sums have a fixed size, so the result
/// does not depend on threads.
///
/// # Errors
/// When the slices differ in length.
pub fn rational_backward<T: Scalar>(
    coefficients: &RationalCoefficients,
    x: &[T],
    dy: &[T],
) -> Result<(AlignedVec<T>, RationalCoefficients), LayoutError> {
    let n = x.len();
    check_len("the gradient", dy.len(), n)?;
    let chunks = n.div_ceil(CHUNK);
    let mut sums = vec![[0.0f64; 7]; chunks];
    let mut dx = Room::<T>::new(n);
    let (sums_at, dx_at) = (Shared(sums.as_mut_ptr()), dx.shared());
    for_each(chunks, 32 * n, |t| {
        let (start, len) = (t * CHUNK, CHUNK.min(n - t * CHUNK));
        let (x, dy) = (x[start..].as_ptr(), dy[start..].as_ptr());
        // SAFETY: each task has its own chunk and its own sums.
        unsafe { *sums_at.at(t) = dispatch(Back { coefficients, x, dy, dx: dx_at.at(start), len }) };
    });
    let mut total = [0.0; 7];
    for sums in &sums {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
    // SAFETY: the tasks wrote every chunk.
    Ok((unsafe { dx.finish() }, total))
}

struct Value<'a, T> {
    coefficients: &'a RationalCoefficients,
    x: *const T,
    y: *mut T,
    len: usize,
}

impl<T: Scalar> VectorTask<T> for Value<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) {
        let whole = self.len / T::LANES * T::LANES;
        // SAFETY: the caller vouches for `len` elements; the rest goes through arrays of one vector.
        unsafe {
            let c = self.coefficients.map(|c| S::splat(T::from_f64(c)));
            let value = |x: S::V| {
                let (p, q) = polynomials::<S>(&c, x);
                S::div(p, q)
            };
            for i in (0..whole).step_by(T::LANES) {
                S::store(self.y.wrapping_add(i), value(S::load(self.x.wrapping_add(i))));
            }
            let rest = self.len - whole;
            if rest > 0 {
                let (mut x, mut y) = ([T::ZERO; 16], [T::ZERO; 16]);
                std::ptr::copy_nonoverlapping(self.x.wrapping_add(whole), x.as_mut_ptr(), rest);
                S::store(y.as_mut_ptr(), value(S::load(x.as_ptr())));
                std::ptr::copy_nonoverlapping(y.as_ptr(), self.y.wrapping_add(whole), rest);
            }
        }
    }
}

struct Back<'a, T> {
    coefficients: &'a RationalCoefficients,
    x: *const T,
    dy: *const T,
    dx: *mut T,
    len: usize,
}

impl<T: Scalar> VectorTask<T> for Back<'_, T> {
    type Output = [f64; 7];

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) -> [f64; 7] {
        let whole = self.len / T::LANES * T::LANES;
        // SAFETY: the caller vouches for `len` elements; the rest goes through arrays of one vector. There `dy` is zero beyond
        // the end, and the denominator is that of a number of the array, so nothing is added.
        unsafe {
            let c = self.coefficients.map(|c| S::splat(T::from_f64(c)));
            let mut sums = [S::zero(); 7];
            for i in (0..whole).step_by(T::LANES) {
                let (x, dy) = (S::load(self.x.wrapping_add(i)), S::load(self.dy.wrapping_add(i)));
                S::store(self.dx.wrapping_add(i), back::<S>(&c, x, dy, &mut sums));
            }
            let rest = self.len - whole;
            if rest > 0 {
                let (mut x, mut dy, mut dx) = ([*self.x.wrapping_add(whole); 16], [T::ZERO; 16], [T::ZERO; 16]);
                std::ptr::copy_nonoverlapping(self.x.wrapping_add(whole), x.as_mut_ptr(), rest);
                std::ptr::copy_nonoverlapping(self.dy.wrapping_add(whole), dy.as_mut_ptr(), rest);
                S::store(dx.as_mut_ptr(), back::<S>(&c, S::load(x.as_ptr()), S::load(dy.as_ptr()), &mut sums));
                std::ptr::copy_nonoverlapping(dx.as_ptr(), self.dx.wrapping_add(whole), rest);
            }
            sums.map(|sum| {
                let mut lanes = [T::ZERO; 16];
                S::store(lanes.as_mut_ptr(), sum);
                lanes[..T::LANES].iter().map(|lane| lane.to_f64()).sum()
            })
        }
    }
}

/// Numerator and denominator.
///
/// # Safety
/// As for [`VectorMath`].
#[inline(always)]
unsafe fn polynomials<S: VectorMath>(c: &[S::V; 7], x: S::V) -> (S::V, S::V) {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let p = S::mul_add(S::mul_add(S::mul_add(c[0], x, c[1]), x, c[2]), x, c[3]);
        let q = S::mul_add(S::mul_add(c[4], x, c[5]), x, c[6]);
        (p, q)
    }
}

/// The gradient by `x`; adds those by the coefficients to `sums`.
///
/// # Safety
/// As for [`VectorMath`].
#[inline(always)]
unsafe fn back<S: VectorMath>(c: &[S::V; 7], x: S::V, dy: S::V, sums: &mut [S::V; 7]) -> S::V {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let (p, q) = polynomials::<S>(c, x);
        let a = S::div(dy, q);
        let b = S::sub(S::zero(), S::mul(a, S::div(p, q)));
        let x2 = S::mul(x, x);
        sums[0] = S::mul_add(a, S::mul(x2, x), sums[0]);
        sums[1] = S::mul_add(a, x2, sums[1]);
        sums[2] = S::mul_add(a, x, sums[2]);
        sums[3] = S::add(sums[3], a);
        sums[4] = S::mul_add(b, x2, sums[4]);
        sums[5] = S::mul_add(b, x, sums[5]);
        sums[6] = S::add(sums[6], b);
        // P' = 3 p_3 x^2 + 2 p_2 x + p_1, Q' = 2 q_2 x + q_1.
        let three = S::splat(S::T::from_f64(3.0));
        let dp = S::mul_add(S::mul_add(S::mul(three, c[0]), x, S::add(c[1], c[1])), x, c[2]);
        let dq = S::mul_add(S::add(c[4], c[4]), x, c[5]);
        S::mul_add(a, dp, S::mul(b, dq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: RationalCoefficients = [1.1915, 1.5957, 0.5, 0.0218, 2.383, 0.1, 1.0];

    fn scalar(c: &RationalCoefficients, x: f64) -> f64 {
        (((c[0] * x + c[1]) * x + c[2]) * x + c[3]) / ((c[4] * x + c[5]) * x + c[6])
    }

    #[test]
    fn values_and_gradients_at_any_length() {
        for n in [0, 1, 7, 16, 37, 2 * CHUNK + 3] {
            let x: Vec<f64> = (0..n).map(|i| 2.0 * (i as f64 * 0.7).sin()).collect();
            let dy: Vec<f64> = (0..n).map(|i| (i as f64 * 1.3).cos()).collect();
            let y = rational(&START, &x);
            for i in 0..n {
                assert!((y[i] - scalar(&START, x[i])).abs() < 1e-14);
            }
            let (dx, sums) = rational_backward(&START, &x, &dy).unwrap();
            for i in 0..n {
                let slope = (scalar(&START, x[i] + 1e-5) - scalar(&START, x[i] - 1e-5)) / 2e-5;
                assert!((dx[i] - dy[i] * slope).abs() < 1e-8);
            }
            for (k, sum) in sums.iter().enumerate() {
                let at = |h: f64| -> f64 {
                    let mut moved = START;
                    moved[k] += h;
                    x.iter().zip(&dy).map(|(&x, dy)| dy * scalar(&moved, x)).sum()
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((sum - slope).abs() < 1e-7 * (1.0 + slope.abs()), "{n} {k}: {sum} {slope}");
            }
        }
        assert!(rational_backward(&START, &[1.0f32], &[]).is_err());
    }
}
