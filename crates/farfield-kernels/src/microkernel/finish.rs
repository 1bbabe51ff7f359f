//! What becomes of the sums of a product, while they are in registers.

use crate::simd::{Simd, VectorMath, exp_negative, splat};
use crate::view::View;

/// Takes tiles of sums.
pub(super) trait Finish<S: Simd>: Copy {
    /// The sums of `R` rows and `N` vectors of `y`.
    ///
    /// # Safety
    /// The tile must be in bounds, the instruction set of `S` there.
    unsafe fn tile<const R: usize, const N: usize>(self, sum: &[[S::V; N]; R], y: View<S::T>);
}

/// Stored, or added to what is there.
impl<S: Simd> Finish<S> for bool {
    #[inline(always)]
    unsafe fn tile<const R: usize, const N: usize>(self, sum: &[[S::V; N]; R], y: View<S::T>) {
        for (i, sum) in sum.iter().enumerate() {
            for (v, sum) in sum.iter().enumerate() {
                let p = y.at_row(i).at_vector(v).p;
                // SAFETY: the caller's.
                unsafe {
                    let value = if self { S::add(*sum, S::load(p)) } else { *sum };
                    S::store(p, value);
                }
            }
        }
    }
}

/// LeakyReLU and stored; the slope may be 0. Longer functions than this one push the sums out of the registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaky<T>(pub T);

impl<S: VectorMath> Finish<S> for Leaky<S::T> {
    #[inline(always)]
    unsafe fn tile<const R: usize, const N: usize>(self, sum: &[[S::V; N]; R], y: View<S::T>) {
        // SAFETY: the caller's.
        unsafe {
            let (zero, slope) = (S::zero(), S::splat(self.0));
            for (i, sum) in sum.iter().enumerate() {
                for (v, sum) in sum.iter().enumerate() {
                    // The part above zero plus the slope times that below; both of NaN are NaN.
                    let below = S::sub(*sum, S::max(zero, *sum));
                    let value = S::mul_add(slope, below, S::max(zero, *sum));
                    S::store(y.at_row(i).at_vector(v).p, value);
                }
            }
        }
    }
}

/// `x (1 - e) / (|x| (1 + e))` with `e = exp(-2 |x|)`.
///
/// # Safety
/// The instruction set of `S` must be there.
#[inline(always)]
pub(crate) unsafe fn tanh<S: VectorMath>(x: S::V) -> S::V {
    // SAFETY: the caller's.
    unsafe {
        let one = splat::<S>(1.0);
        let size = S::max(S::sub(S::zero(), x), x);
        let e = exp_negative::<S>(S::mul(size, splat::<S>(-2.0)));
        let slope = S::div(S::sub(one, e), S::mul(size, S::add(one, e)));
        S::mul(x, S::select_zero(size, one, slope))
    }
}
