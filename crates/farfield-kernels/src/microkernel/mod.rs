//! The two products that everything is made of, in registers.
//!
//! [`Kernels::multiply`] is `Y (+)= sum_s A_s X_s` with small coefficient matrices `A_s` and rows of vectors `X_s`;
//! [`Kernels::outer`] is `C (+)= X Y^T`, a sum over all vectors and lanes: the gradient by coefficients.
//! Both accumulate one register tile over the whole inner dimension, so every entry of the result is summed in
//! an order that depends on the shapes alone, never on threads.
//!
//! The bodies are generic over [`Simd`](crate::simd::Simd); [`Kernels`] is the table of their compiled versions for one
//! instruction set, chosen at run time. A table and not [`dispatch`](crate::simd::dispatch), because the products of a tree are small:
//! choosing the instruction set anew for each costs a 1D layer a tenth of its time.

mod block_product;
mod finish;
mod loops;
mod outer_product;

use crate::simd::InstructionSet;
use crate::view::{Term, View};
pub(crate) use finish::tanh;
pub(crate) use loops::AdamwConstants;
pub(crate) use outer_product::outer_scratch_len;

/// The kernels compiled for one instruction set. All are `unsafe` because that set must be there, the first four
/// because they work on addresses; [`Kernels::current`] hands out a table that the machine can run.
pub(crate) struct Kernels<T: 'static> {
    /// `(terms, rows, vectors, y, accumulate)`: `Y (+)= sum A X`.
    pub multiply: unsafe fn(&[Term<T>], usize, usize, View<T>, bool),
    /// `(terms, rows, vectors, y, slope)`: `Y = leaky(sum A X)`.
    pub multiply_leaky: unsafe fn(&[Term<T>], usize, usize, View<T>, T),
    /// `(x, y, rows, columns, vectors, c, row stride of c, accumulate, scratch)`: `C (+)= X Y^T`.
    pub outer: unsafe fn(View<T>, View<T>, usize, usize, usize, *mut T, usize, bool, &mut [T]),
    /// `(src, its stride, dst, its stride, rows, columns)`: `dst = src^T`.
    pub transpose: unsafe fn(*const T, usize, *mut T, usize, usize, usize),
    /// `(pre, out, slope)`: LeakyReLU.
    pub leaky: unsafe fn(&[T], &mut [T], T),
    /// `(values, slope)`: LeakyReLU in place.
    pub leaky_in_place: unsafe fn(&mut [T], T),
    /// `(pre, gradient in place, slope)`: back through LeakyReLU; returns the gradient by the slope.
    pub leaky_backward: unsafe fn(&[T], &mut [T], T) -> f64,
    /// `(scale, value, target, gradient)`: `gradient = 2 scale (value - target)`; returns `sum (value - target)^2`.
    pub squared_error: unsafe fn(T, &[T], &[T], &mut [T]) -> f64,
    /// Decoupled-weight-decay Adam on one chunk.
    pub adamw: unsafe fn(&AdamwConstants<T>, &mut [T], &[T], &mut [T], &mut [T]),
}

/// The table of one instruction set: each entry is a generic body compiled with its features.
macro_rules! table {
    ($name:ident, $simd:ty, $t:ty $(, $features:literal)?) => {
        mod $name {
            use super::*;

            type S = $simd;

            $(#[target_feature(enable = $features)])?
            unsafe fn multiply(terms: &[Term<$t>], rows: usize, vectors: usize, y: View<$t>, accumulate: bool) {
                // SAFETY: the caller vouches for the arguments, the table for the instruction set.
                unsafe { super::block_product::multiply::<S>(terms, rows, vectors, y, accumulate) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn multiply_leaky(terms: &[Term<$t>], rows: usize, vectors: usize, y: View<$t>, slope: $t) {
                // SAFETY: as above.
                unsafe { super::block_product::multiply_leaky::<S>(terms, rows, vectors, y, slope) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn outer(
                x: View<$t>,
                y: View<$t>,
                rows: usize,
                columns: usize,
                vectors: usize,
                c: *mut $t,
                stride: usize,
                accumulate: bool,
                scratch: &mut [$t],
            ) {
                // SAFETY: as above.
                unsafe { super::outer_product::outer::<S>(x, y, rows, columns, vectors, c, stride, accumulate, scratch) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn transpose(src: *const $t, src_stride: usize, dst: *mut $t, dst_stride: usize, rows: usize, columns: usize) {
                // SAFETY: as above.
                unsafe { super::outer_product::transpose::<S>(src, src_stride, dst, dst_stride, rows, columns) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn leaky(pre: &[$t], out: &mut [$t], slope: $t) {
                super::loops::leaky(pre, out, slope)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn leaky_in_place(values: &mut [$t], slope: $t) {
                super::loops::leaky_in_place(values, slope)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn leaky_backward(pre: &[$t], gradient: &mut [$t], slope: $t) -> f64 {
                super::loops::leaky_backward(pre, gradient, slope)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn squared_error(scale: $t, value: &[$t], target: &[$t], gradient: &mut [$t]) -> f64 {
                super::loops::squared_error(scale, value, target, gradient)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn adamw(k: &AdamwConstants<$t>, parameters: &mut [$t], gradient: &[$t], first: &mut [$t], second: &mut [$t]) {
                super::loops::adamw(k, parameters, gradient, first, second)
            }

            pub(super) static TABLE: Kernels<$t> = Kernels {
                multiply,
                multiply_leaky,
                outer,
                transpose,
                leaky,
                leaky_in_place,
                leaky_backward,
                squared_error,
                adamw,
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
table!(avx512_f32, crate::simd::avx512::Avx512<f32>, f32, "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
table!(avx512_f64, crate::simd::avx512::Avx512<f64>, f64, "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
table!(avx2_f32, crate::simd::avx2::Avx2<f32>, f32, "avx2,fma");
#[cfg(target_arch = "x86_64")]
table!(avx2_f64, crate::simd::avx2::Avx2<f64>, f64, "avx2,fma");
table!(portable_f32, crate::simd::portable::Portable<f32>, f32);
table!(portable_f64, crate::simd::portable::Portable<f64>, f64);

macro_rules! current {
    ($t:ty, $avx512:ident, $avx2:ident, $portable:ident) => {
        impl Kernels<$t> {
            /// The table of [`InstructionSet::current`].
            pub(crate) fn current() -> &'static Self {
                match InstructionSet::current() {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => &$avx512::TABLE,
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => &$avx2::TABLE,
                    _ => &$portable::TABLE,
                }
            }
        }
    };
}

current!(f32, avx512_f32, avx2_f32, portable_f32);
current!(f64, avx512_f64, avx2_f64, portable_f64);
