//! What becomes of the sums of a product, while they are in registers.

use crate::simd::{Simd, VectorMath, exp_negative, splat};
use crate::view::View;

/// A loop over a tile. No closure: what it calls must be compiled for the instruction set of the function that it stands in.
macro_rules! each {
    ($rows:ident, $vectors:ident, |$i:ident, $v:ident| $body:expr) => {
        for $i in 0..$rows {
            for $v in 0..$vectors {
                $body;
            }
        }
    };
}

/// Takes tiles of sums.
pub(super) trait Finish<S: Simd>: Copy {
    /// The sums of rows `row..row + R` and vectors `vector..vector + N`; `y` is the view that starts at the first.
    ///
    /// # Safety
    /// The tile of `y` must be in bounds, the instruction set of `S` there.
    unsafe fn tile<const R: usize, const N: usize>(
        self,
        sum: &[[S::V; N]; R],
        y: View<S::T>,
        row: usize,
        vector: usize,
    );
}

/// Stored, or added to what is there.
impl<S: Simd> Finish<S> for bool {
    #[inline(always)]
    unsafe fn tile<const R: usize, const N: usize>(self, sum: &[[S::V; N]; R], y: View<S::T>, _: usize, _: usize) {
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

/// A function whose derivative follows from its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function<T> {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, else `slope x`.
    Leaky(T),
    /// Hyperbolic tangent.
    Tanh,
}

/// What is made of the function `f` of a sum.
#[derive(Clone, Copy)]
pub(crate) enum Target<T> {
    /// `y = f(sum)`.
    Set,
    /// `y += f(sum)`.
    Add,
    /// `y = f'(sum) g` for the gradient `g` with the rows and vectors of `y`.
    Back(View<T>),
}

/// A function of the sums, and what is made of it.
#[derive(Clone, Copy)]
pub(crate) struct Then<T> {
    pub function: Function<T>,
    pub target: Target<T>,
}

impl<S: VectorMath> Finish<S> for Then<S::T> {
    #[inline(always)]
    unsafe fn tile<const R: usize, const N: usize>(
        self,
        sum: &[[S::V; N]; R],
        y: View<S::T>,
        row: usize,
        vector: usize,
    ) {
        // SAFETY: the caller's; the gradient has the rows and vectors of `y`.
        unsafe {
            let (zero, one) = (S::zero(), splat::<S>(1.0));
            // One choice a tile, then straight code that needs few registers beside the sums.
            if let Target::Back(g) = self.target {
                let g = g.at_row(row).at_vector(vector);
                match self.function {
                    Function::Identity => each!(R, N, |i, v| put::<S>(y, i, v, take::<S>(g, i, v))),
                    Function::Relu => each!(R, N, |i, v| {
                        let slope = S::select_zero(S::max(zero, sum[i][v]), zero, one);
                        put::<S>(y, i, v, S::mul(slope, take::<S>(g, i, v)));
                    }),
                    Function::Leaky(factor) => each!(R, N, |i, v| {
                        let slope = S::select_zero(S::max(zero, sum[i][v]), S::splat(factor), one);
                        put::<S>(y, i, v, S::mul(slope, take::<S>(g, i, v)));
                    }),
                    Function::Tanh => each!(R, N, |i, v| {
                        let value = tanh::<S>(sum[i][v]);
                        let slope = S::sub(one, S::mul(value, value));
                        put::<S>(y, i, v, S::mul(slope, take::<S>(g, i, v)));
                    }),
                }
                return;
            }
            let mut value = *sum;
            match self.function {
                Function::Identity => {}
                Function::Relu => each!(R, N, |i, v| value[i][v] = S::max(zero, value[i][v])),
                Function::Leaky(factor) => each!(R, N, |i, v| {
                    let slope = S::select_zero(S::max(zero, value[i][v]), S::splat(factor), one);
                    value[i][v] = S::mul(value[i][v], slope);
                }),
                Function::Tanh => each!(R, N, |i, v| value[i][v] = tanh::<S>(value[i][v])),
            }
            if matches!(self.target, Target::Add) {
                each!(R, N, |i, v| value[i][v] = S::add(value[i][v], take::<S>(y, i, v)));
            }
            each!(R, N, |i, v| put::<S>(y, i, v, value[i][v]));
        }
    }
}

/// # Safety
/// The vector must be in bounds, the instruction set of `S` there.
#[inline(always)]
unsafe fn take<S: Simd>(from: View<S::T>, row: usize, vector: usize) -> S::V {
    // SAFETY: the caller's.
    unsafe { S::load(from.at_row(row).at_vector(vector).p) }
}

/// # Safety
/// As [`take`].
#[inline(always)]
unsafe fn put<S: Simd>(to: View<S::T>, row: usize, vector: usize, value: S::V) {
    // SAFETY: the caller's.
    unsafe { S::store(to.at_row(row).at_vector(vector).p, value) }
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
