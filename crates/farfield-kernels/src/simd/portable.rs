//! Vectors as arrays: for machines without AVX2, and for reading.

use super::{FloatFormat, Simd, VectorMath};
use crate::scalar::Scalar;

#[derive(Clone, Copy)]
pub struct Portable<T>(std::marker::PhantomData<T>);

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

macro_rules! portable_math {
    ($t:ty) => {
        // SAFETY: plain code runs everywhere.
        unsafe impl VectorMath for Portable<$t> {
            const ROUNDER: f64 = <$t as FloatFormat>::ROUNDER;

            #[inline(always)]
            unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i] - b[i])
            }
            #[inline(always)]
            unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i] * b[i])
            }
            #[inline(always)]
            unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i] / b[i])
            }
            #[inline(always)]
            unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
            }
            #[inline(always)]
            unsafe fn sqrt(a: Self::V) -> Self::V {
                a.map(<$t>::sqrt)
            }
            #[inline(always)]
            unsafe fn rsqrt(a: Self::V) -> Self::V {
                a.map(|x| 1.0 / x.sqrt())
            }
            #[inline(always)]
            unsafe fn select_zero(a: Self::V, if_zero: Self::V, otherwise: Self::V) -> Self::V {
                std::array::from_fn(|i| if a[i] == 0.0 { if_zero[i] } else { otherwise[i] })
            }
            #[inline(always)]
            unsafe fn times_power_of_two(a: Self::V, rounded: Self::V) -> Self::V {
                std::array::from_fn(|i| {
                    <$t>::from_bits(a[i].to_bits().wrapping_add(rounded[i].to_bits() << <$t as FloatFormat>::FRACTION))
                })
            }
            #[inline(always)]
            unsafe fn negated_if_odd(a: Self::V, rounded: Self::V) -> Self::V {
                std::array::from_fn(|i| {
                    <$t>::from_bits(a[i].to_bits() ^ (rounded[i].to_bits() << <$t as FloatFormat>::SIGN))
                })
            }
            #[inline(always)]
            unsafe fn load_single(p: *const f32) -> Self::V {
                // SAFETY: the caller vouches for one vector behind `p`.
                std::array::from_fn(|i| <$t>::from(unsafe { *p.add(i) }))
            }
            #[inline(always)]
            unsafe fn exponent_and_fraction(a: Self::V) -> (Self::V, Self::V) {
                let moved: [<$t as FloatFormat>::Bits; Self::T::LANES] = std::array::from_fn(|i| {
                    a[i].to_bits().wrapping_add(<$t as FloatFormat>::ONE - <$t as FloatFormat>::ROOT_HALF)
                });
                let bias = (<$t as FloatFormat>::ONE >> <$t as FloatFormat>::FRACTION) as $t;
                (
                    std::array::from_fn(|i| (moved[i] >> <$t as FloatFormat>::FRACTION) as $t - bias),
                    std::array::from_fn(|i| {
                        <$t>::from_bits(
                            (moved[i] & ((1 << <$t as FloatFormat>::FRACTION) - 1)) + <$t as FloatFormat>::ROOT_HALF,
                        )
                    }),
                )
            }
        }
    };
}

portable_math!(f32);
portable_math!(f64);
