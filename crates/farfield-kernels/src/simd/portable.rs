//! Vectors as arrays: for machines without AVX2, and for reading.

use super::Simd;
use crate::scalar::Scalar;

#[derive(Clone, Copy)]
pub(crate) struct Portable<T>(std::marker::PhantomData<T>);

macro_rules! portable {
    ($t:ty, $n:literal) => {
        // SAFETY: plain code runs everywhere.
        unsafe impl Simd for Portable<$t> {
            type T = $t;
            type V = [$t; $n];
            type Acc = [$t; $n];
            const WIDE: bool = false;

            #[inline(always)]
            unsafe fn zero() -> Self::V {
                [0.0; $n]
            }
            #[inline(always)]
            unsafe fn splat(x: $t) -> Self::V {
                [x; $n]
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self::V {
                // SAFETY: the caller vouches for one vector behind `p`.
                unsafe { p.cast::<Self::V>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn store(p: *mut $t, v: Self::V) {
                // SAFETY: the caller vouches for one vector behind `p`.
                unsafe { p.cast::<Self::V>().write_unaligned(v) }
            }
            #[inline(always)]
            unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i] + b[i])
            }
            #[inline(always)]
            unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i] * b[i] + c[i])
            }
            #[inline(always)]
            unsafe fn acc_zero() -> Self::Acc {
                [0.0; $n]
            }
            #[inline(always)]
            unsafe fn dot(a: Self::V, b: Self::V, acc: Self::Acc) -> Self::Acc {
                std::array::from_fn(|i| a[i] * b[i] + acc[i])
            }
            #[inline(always)]
            unsafe fn totals(acc: &[Self::Acc; 16]) -> [$t; 16] {
                std::array::from_fn(|i| acc[i].iter().sum())
            }
        }
        const _: () = assert!(<$t as Scalar>::LANES == $n);
    };
}

portable!(f32, 16);
portable!(f64, 8);
