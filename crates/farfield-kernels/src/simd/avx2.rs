//! AVX2 with FMA: a 64-byte vector in two registers.

use std::arch::x86_64::*;

use super::{FloatFormat, Simd, VectorMath};

#[derive(Clone, Copy)]
pub struct Avx2<T>(std::marker::PhantomData<T>);

macro_rules! avx2 {
    ($t:ty, $half:literal, $reg:ty, $zero:ident, $splat:ident, $load:ident, $store:ident, $add:ident, $fma:ident) => {
        // SAFETY: every intrinsic below is AVX2 or FMA, which the caller vouches for; pointers are the caller's.
        unsafe impl Simd for Avx2<$t> {
            type T = $t;
            type V = [$reg; 2];
            type Acc = $reg;
            const WIDE: bool = false;

            #[inline(always)]
            unsafe fn zero() -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe { [$zero(); 2] }
            }
            #[inline(always)]
            unsafe fn splat(x: $t) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe { [$splat(x); 2] }
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self::V {
                // SAFETY: one vector behind `p`.
                unsafe { [$load(p), $load(p.add($half))] }
            }
            #[inline(always)]
            unsafe fn store(p: *mut $t, v: Self::V) {
                // SAFETY: one vector behind `p`.
                unsafe {
                    $store(p, v[0]);
                    $store(p.add($half), v[1]);
                }
            }
            #[inline(always)]
            unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe { [$add(a[0], b[0]), $add(a[1], b[1])] }
            }
            #[inline(always)]
            unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                // SAFETY: FMA, see above.
                unsafe { [$fma(a[0], b[0], c[0]), $fma(a[1], b[1], c[1])] }
            }
            #[inline(always)]
            unsafe fn acc_zero() -> Self::Acc {
                // SAFETY: AVX2, see above.
                unsafe { $zero() }
            }
            #[inline(always)]
            unsafe fn dot(a: Self::V, b: Self::V, acc: Self::Acc) -> Self::Acc {
                // SAFETY: FMA, see above.
                unsafe { $fma(a[1], b[1], $fma(a[0], b[0], acc)) }
            }
            #[inline(always)]
            unsafe fn totals(acc: &[Self::Acc; 16]) -> [$t; 16] {
                let mut totals = [0.0; 16];
                for (total, acc) in totals.iter_mut().zip(acc) {
                    let mut parts = [0.0; $half];
                    // SAFETY: `parts` holds one register.
                    unsafe { $store(parts.as_mut_ptr(), *acc) };
                    let mut width = $half / 2;
                    while width > 0 {
                        for i in 0..width {
                            parts[i] += parts[i + width];
                        }
                        width /= 2;
                    }
                    *total = parts[0];
                }
                totals
            }
        }
    };
}

avx2!(
    f32,
    8,
    __m256,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_fmadd_ps
);
avx2!(
    f64,
    4,
    __m256d,
    _mm256_setzero_pd,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_add_pd,
    _mm256_fmadd_pd
);

macro_rules! avx2_math {
    (
        $t:ty, $signed:ty, $sub:ident, $mul:ident, $div:ident,
        $max:ident, $sqrt:ident, $equal:ident, $blend:ident, $set:ident, $add_bits:ident, $left:ident, $right:ident,
        $to_bits:ident, $from_bits:ident, $zero:ident, $splat:ident, |$p:ident| $load_single:expr
    ) => {
        // SAFETY: every intrinsic below is AVX2, which the caller vouches for.
        unsafe impl VectorMath for Avx2<$t> {
            const ROUNDER: f64 = <$t as FloatFormat>::ROUNDER;

            #[inline(always)]
            unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe { [$sub(a[0], b[0]), $sub(a[1], b[1])] }
            }
            #[inline(always)]
            unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe { [$mul(a[0], b[0]), $mul(a[1], b[1])] }
            }
            #[inline(always)]
            unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe { [$div(a[0], b[0]), $div(a[1], b[1])] }
            }
            #[inline(always)]
            unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe { [$max(a[0], b[0]), $max(a[1], b[1])] }
            }
            #[inline(always)]
            unsafe fn load_single($p: *const f32) -> Self::V {
                // SAFETY: AVX2, see above; one vector behind `p`.
                unsafe { $load_single }
            }
            #[inline(always)]
            unsafe fn sqrt(a: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe { [$sqrt(a[0]), $sqrt(a[1])] }
            }
            #[inline(always)]
            unsafe fn rsqrt(a: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe { [$div($splat(1.0), $sqrt(a[0])), $div($splat(1.0), $sqrt(a[1]))] }
            }
            #[inline(always)]
            unsafe fn select_zero(a: Self::V, if_zero: Self::V, otherwise: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe { [0, 1].map(|i| $blend(otherwise[i], if_zero[i], $equal::<_CMP_EQ_OQ>(a[i], $zero()))) }
            }
            #[inline(always)]
            unsafe fn times_power_of_two(a: Self::V, rounded: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe {
                    [0, 1].map(|i| {
                        $from_bits($add_bits(
                            $to_bits(a[i]),
                            $left::<{ <$t as FloatFormat>::FRACTION as i32 }>($to_bits(rounded[i])),
                        ))
                    })
                }
            }
            #[inline(always)]
            unsafe fn negated_if_odd(a: Self::V, rounded: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe {
                    [0, 1].map(|i| {
                        $from_bits(_mm256_xor_si256(
                            $to_bits(a[i]),
                            $left::<{ <$t as FloatFormat>::SIGN as i32 }>($to_bits(rounded[i])),
                        ))
                    })
                }
            }
            #[inline(always)]
            unsafe fn exponent_and_fraction(a: Self::V) -> (Self::V, Self::V) {
                // SAFETY: AVX2, see above.
                unsafe {
                    let two = <$t>::from_bits(<$t as FloatFormat>::TWO_TO_FRACTION);
                    let bias = (<$t as FloatFormat>::ONE >> <$t as FloatFormat>::FRACTION) as $t;
                    let moved = [0, 1].map(|i| {
                        $add_bits(
                            $to_bits(a[i]),
                            $set((<$t as FloatFormat>::ONE - <$t as FloatFormat>::ROOT_HALF) as $signed),
                        )
                    });
                    let k = moved.map(|x| {
                        $from_bits(_mm256_or_si256(
                            $right::<{ <$t as FloatFormat>::FRACTION as i32 }>(x),
                            $set(<$t as FloatFormat>::TWO_TO_FRACTION as $signed),
                        ))
                    });
                    let m = moved.map(|x| _mm256_and_si256(x, $set((1 << <$t as FloatFormat>::FRACTION) - 1)));
                    (
                        k.map(|k| $sub(k, $splat(two + bias))),
                        m.map(|m| $from_bits($add_bits(m, $set(<$t as FloatFormat>::ROOT_HALF as $signed)))),
                    )
                }
            }
        }
    };
}

avx2_math!(
    f64,
    i64,
    _mm256_sub_pd,
    _mm256_mul_pd,
    _mm256_div_pd,
    _mm256_max_pd,
    _mm256_sqrt_pd,
    _mm256_cmp_pd,
    _mm256_blendv_pd,
    _mm256_set1_epi64x,
    _mm256_add_epi64,
    _mm256_slli_epi64,
    _mm256_srli_epi64,
    _mm256_castpd_si256,
    _mm256_castsi256_pd,
    _mm256_setzero_pd,
    _mm256_set1_pd,
    |p| [_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p.add(4)))]
);
avx2_math!(
    f32,
    i32,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_div_ps,
    _mm256_max_ps,
    _mm256_sqrt_ps,
    _mm256_cmp_ps,
    _mm256_blendv_ps,
    _mm256_set1_epi32,
    _mm256_add_epi32,
    _mm256_slli_epi32,
    _mm256_srli_epi32,
    _mm256_castps_si256,
    _mm256_castsi256_ps,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    |p| [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))]
);
