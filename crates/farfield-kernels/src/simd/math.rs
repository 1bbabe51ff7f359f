//! Roots, exponentials, logarithms and cosines of whole vectors.
//!
//! | function | method | error |
//! | --- | --- | --- |
//! | [`VectorMath::rsqrt`] | 14-bit estimate and one step of order four (AVX-512), root and division elsewhere | 2 units in the last place |
//! | [`exp_negative`] | `x = k log 2 + f`, Taylor polynomial in `f` | 2 units; 0 below the smallest normal number |
//! | [`log`] | `x = 2^k m`, series of `artanh((m - 1) / (m + 1))` | 3 units |
//! | [`cos`] | reduction by `pi` in three parts, Taylor polynomial of the sine | 3 units of 1, for arguments below 1e5 |
//!
//! Muller, *Elementary Functions* (2016), chapters 3 and 11, has the reductions.

use super::Simd;
use super::portable::Portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};
use crate::scalar::Scalar;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// What elementary functions need beyond [`Simd`].
///
/// # Safety
/// As for [`Simd`].
pub(crate) unsafe trait VectorMath: Simd {
    /// Adding and subtracting it rounds to the nearest integer, which then sits in the low bits of the sum.
    const ROUNDER: f64;

    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// `1 / sqrt(a)` of positive normal numbers.
    unsafe fn rsqrt(a: Self::V) -> Self::V;
    /// `if_zero` where `a` is zero, else `otherwise`.
    unsafe fn select_zero(a: Self::V, if_zero: Self::V, otherwise: Self::V) -> Self::V;
    /// `a 2^k` for the integer `k` in the low bits of `rounded = k + ROUNDER`; the result must be normal.
    unsafe fn times_power_of_two(a: Self::V, rounded: Self::V) -> Self::V;
    /// `(-1)^k a` with `k` as above.
    unsafe fn negated_if_odd(a: Self::V, rounded: Self::V) -> Self::V;
    /// `(k, m)` with `a = 2^k m`, `m` between `sqrt(1/2)` and `sqrt(2)`; `a` positive and normal.
    unsafe fn exponent_and_fraction(a: Self::V) -> (Self::V, Self::V);
    /// One vector of numbers that are stored in single precision.
    unsafe fn load_single(p: *const f32) -> Self::V;
}

/// Constants of one number type.
struct Constants {
    log2_high: f64,
    log2_low: f64,
    pi: [f64; 3],
    /// Terms of the polynomials of `exp`, `log`, `sin`.
    terms: (usize, usize, usize),
    /// Most negative argument of `exp` with a normal value.
    lowest: f64,
}

const DOUBLE: Constants = Constants {
    log2_high: f64::from_bits(0x3FE6_2E42_FEE0_0000),
    log2_low: 1.908_214_929_270_587_7e-10,
    pi: [
        f64::from_bits(0x4009_21FB_5440_0000),
        std::f64::consts::PI - f64::from_bits(0x4009_21FB_5440_0000),
        1.224_646_799_147_353_2e-16,
    ],
    terms: (14, 11, 11),
    lowest: -708.0,
};

const SINGLE: Constants = Constants {
    log2_high: 0.693_145_751_953_125,
    log2_low: 1.428_606_820_309_417_2e-6,
    pi: [3.140_625, 9.675_025_939_941_406e-4, 1.509_957_990_978_376_4e-7],
    terms: (8, 6, 7),
    lowest: -87.0,
};

#[inline(always)]
fn constants<T: Scalar>() -> &'static Constants {
    if T::LANES == 8 { &DOUBLE } else { &SINGLE }
}

/// `1/k!`, `k = 0..14`.
const INVERSE_FACTORIALS: [f64; 24] = {
    let mut table = [1.0; 24];
    let mut k = 1;
    while k < 24 {
        table[k] = table[k - 1] / k as f64;
        k += 1;
    }
    table
};

#[inline(always)]
unsafe fn splat<S: Simd>(x: f64) -> S::V {
    // SAFETY: the caller vouches for the instruction set.
    unsafe { S::splat(S::T::from_f64(x)) }
}

/// `exp(x)` of `x <= 0`.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(crate) unsafe fn exp_negative<S: VectorMath>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let c = constants::<S::T>();
        let lowest = splat::<S>(c.lowest);
        let bounded = S::max(x, lowest);
        let rounder = splat::<S>(S::ROUNDER);
        let rounded = S::mul_add(bounded, splat::<S>(std::f64::consts::LOG2_E), rounder);
        let k = S::sub(rounded, rounder);
        let f = S::mul_add(k, splat::<S>(-c.log2_high), bounded);
        let f = S::mul_add(k, splat::<S>(-c.log2_low), f);
        let terms = c.terms.0;
        let mut p = splat::<S>(INVERSE_FACTORIALS[terms - 1]);
        for k in (0..terms - 1).rev() {
            p = S::mul_add(p, f, splat::<S>(INVERSE_FACTORIALS[k]));
        }
        let value = S::times_power_of_two(p, rounded);
        // What was clamped is zero.
        S::select_zero(S::sub(bounded, lowest), S::zero(), value)
    }
}

/// Natural logarithm of positive normal numbers.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(crate) unsafe fn log<S: VectorMath>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let c = constants::<S::T>();
        let one = splat::<S>(1.0);
        let (k, m) = S::exponent_and_fraction(x);
        let s = S::div(S::sub(m, one), S::add(m, one));
        let s2 = S::mul(s, s);
        let terms = c.terms.1;
        let mut p = splat::<S>(2.0 / (2 * terms - 1) as f64);
        for k in (1..terms - 1).rev() {
            p = S::mul_add(p, s2, splat::<S>(2.0 / (2 * k + 1) as f64));
        }
        // 2 s + s^3 (2/3 + ...): the small terms first.
        let series = S::mul_add(S::mul(s, s2), p, S::add(s, s));
        let low = S::mul_add(k, splat::<S>(c.log2_low), series);
        S::mul_add(k, splat::<S>(c.log2_high), low)
    }
}

/// Cosine of `0 <= x < 1e5`.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(crate) unsafe fn cos<S: VectorMath>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let c = constants::<S::T>();
        let rounder = splat::<S>(S::ROUNDER);
        // x = (j + 1/2) pi + y, cos x = -(-1)^j sin y.
        let shifted = S::mul_add(x, splat::<S>(std::f64::consts::FRAC_1_PI), splat::<S>(-0.5));
        let rounded = S::add(shifted, rounder);
        let half = S::add(S::sub(rounded, rounder), splat::<S>(0.5));
        let y = S::mul_add(half, splat::<S>(-c.pi[0]), x);
        let y = S::mul_add(half, splat::<S>(-c.pi[1]), y);
        let y = S::mul_add(half, splat::<S>(-c.pi[2]), y);
        let y2 = S::mul(y, y);
        let terms = c.terms.2;
        let sign = |k: usize| if k.is_multiple_of(2) { -1.0 } else { 1.0 };
        let coefficient = |k: usize| sign(k) * INVERSE_FACTORIALS[2 * k + 1];
        let mut p = splat::<S>(coefficient(terms - 1));
        for k in (0..terms - 1).rev() {
            p = S::mul_add(p, y2, splat::<S>(coefficient(k)));
        }
        S::negated_if_odd(S::mul(p, y), rounded)
    }
}

macro_rules! portable_math {
    ($t:ty, $bits:ty, $shift:literal, $rounder:expr, $root_half:literal, $one:literal) => {
        // SAFETY: plain code runs everywhere.
        unsafe impl VectorMath for Portable<$t> {
            const ROUNDER: f64 = $rounder;

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
                std::array::from_fn(|i| <$t>::from_bits(a[i].to_bits().wrapping_add(rounded[i].to_bits() << $shift)))
            }
            #[inline(always)]
            unsafe fn negated_if_odd(a: Self::V, rounded: Self::V) -> Self::V {
                std::array::from_fn(|i| <$t>::from_bits(a[i].to_bits() ^ (rounded[i].to_bits() << (<$bits>::BITS - 1))))
            }
            #[inline(always)]
            unsafe fn load_single(p: *const f32) -> Self::V {
                // SAFETY: the caller vouches for one vector behind `p`.
                std::array::from_fn(|i| <$t>::from(unsafe { *p.add(i) }))
            }
            #[inline(always)]
            unsafe fn exponent_and_fraction(a: Self::V) -> (Self::V, Self::V) {
                let moved: [$bits; Self::T::LANES] =
                    std::array::from_fn(|i| a[i].to_bits().wrapping_add($one - $root_half));
                let bias = ($one as $bits >> $shift) as $t;
                (
                    std::array::from_fn(|i| (moved[i] >> $shift) as $t - bias),
                    std::array::from_fn(|i| <$t>::from_bits((moved[i] & ((1 << $shift) - 1)) + $root_half)),
                )
            }
        }
    };
}

portable_math!(f32, u32, 23, 12_582_912.0, 0x3f35_04f3, 0x3f80_0000);
portable_math!(f64, u64, 52, 6_755_399_441_055_744.0, 0x3fe6_a09e_667f_3bcd, 0x3ff0_0000_0000_0000);

#[cfg(target_arch = "x86_64")]
macro_rules! avx512_math {
    (
        $t:ty, $bits:ty, $shift:literal, $rounder:expr, $root_half:literal, $one:literal, $two:literal, $sub:ident, $mul:ident, $div:ident,
        $max:ident, $sqrt:ident, $equal:ident, $blend:ident, $set:ident, $add_bits:ident, $left:ident, $right:ident,
        $to_bits:ident, $from_bits:ident, $zero:ident, $flip:literal, |$p:ident| $load_single:expr, |$x:ident| $rsqrt:expr
    ) => {
        // SAFETY: every intrinsic below is AVX-512F, which the caller vouches for.
        unsafe impl VectorMath for Avx512<$t> {
            const ROUNDER: f64 = $rounder;

            #[inline(always)]
            unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: AVX-512F, see above.
                unsafe { $sub(a, b) }
            }
            #[inline(always)]
            unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: AVX-512F, see above.
                unsafe { $mul(a, b) }
            }
            #[inline(always)]
            unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: AVX-512F, see above.
                unsafe { $div(a, b) }
            }
            #[inline(always)]
            unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: AVX-512F, see above.
                unsafe { $max(a, b) }
            }
            #[inline(always)]
            unsafe fn sqrt(a: Self::V) -> Self::V {
                // SAFETY: AVX-512F, see above.
                unsafe { $sqrt(a) }
            }
            #[inline(always)]
            unsafe fn load_single($p: *const f32) -> Self::V {
                // SAFETY: AVX-512F, see above; one vector behind `p`.
                unsafe { $load_single }
            }
            #[inline(always)]
            unsafe fn rsqrt($x: Self::V) -> Self::V {
                // SAFETY: AVX-512F, see above.
                unsafe { $rsqrt }
            }
            #[inline(always)]
            unsafe fn select_zero(a: Self::V, if_zero: Self::V, otherwise: Self::V) -> Self::V {
                // SAFETY: AVX-512F, see above.
                unsafe { $blend($equal::<_CMP_EQ_OQ>(a, $zero()), otherwise, if_zero) }
            }
            #[inline(always)]
            unsafe fn times_power_of_two(a: Self::V, rounded: Self::V) -> Self::V {
                // SAFETY: AVX-512F, see above.
                unsafe { $from_bits($add_bits($to_bits(a), $left::<$shift>($to_bits(rounded)))) }
            }
            #[inline(always)]
            unsafe fn negated_if_odd(a: Self::V, rounded: Self::V) -> Self::V {
                // SAFETY: AVX-512F, see above.
                unsafe { $from_bits(_mm512_xor_si512($to_bits(a), $left::<$flip>($to_bits(rounded)))) }
            }
            #[inline(always)]
            unsafe fn exponent_and_fraction(a: Self::V) -> (Self::V, Self::V) {
                // SAFETY: AVX-512F, see above.
                unsafe {
                    let moved = $add_bits($to_bits(a), $set($one - $root_half));
                    let two = <$t>::from_bits($two);
                    let bias = ($one as $bits >> $shift) as $t;
                    let k = $from_bits(_mm512_or_si512($right::<$shift>(moved), $set($two)));
                    let m = _mm512_and_si512(moved, $set((1 << $shift) - 1));
                    ($sub(k, Self::splat(two + bias)), $from_bits($add_bits(m, $set($root_half))))
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
avx512_math!(
    f64,
    u64,
    52,
    6_755_399_441_055_744.0,
    0x3fe6_a09e_667f_3bcd,
    0x3ff0_0000_0000_0000,
    0x4330_0000_0000_0000,
    _mm512_sub_pd,
    _mm512_mul_pd,
    _mm512_div_pd,
    _mm512_max_pd,
    _mm512_sqrt_pd,
    _mm512_cmp_pd_mask,
    _mm512_mask_blend_pd,
    _mm512_set1_epi64,
    _mm512_add_epi64,
    _mm512_slli_epi64,
    _mm512_srli_epi64,
    _mm512_castpd_si512,
    _mm512_castsi512_pd,
    _mm512_setzero_pd,
    63,
    |p| _mm512_cvtps_pd(_mm256_loadu_ps(p)),
    |x| {
        // With y = (1 + d) / sqrt(x), e = 1 - x y^2: 1 / sqrt(x) = y (1 + e/2 + 3 e^2/8 + 5 e^3/16 + ...), |e| <= 2^-13.
        let y = _mm512_rsqrt14_pd(x);
        let e = _mm512_fnmadd_pd(_mm512_mul_pd(x, y), y, _mm512_set1_pd(1.0));
        let p = _mm512_fmadd_pd(e, _mm512_set1_pd(0.3125), _mm512_set1_pd(0.375));
        let p = _mm512_fmadd_pd(p, e, _mm512_set1_pd(0.5));
        _mm512_fmadd_pd(_mm512_mul_pd(y, e), p, y)
    }
);
#[cfg(target_arch = "x86_64")]
avx512_math!(
    f32,
    u32,
    23,
    12_582_912.0,
    0x3f35_04f3,
    0x3f80_0000,
    0x4b00_0000,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_div_ps,
    _mm512_max_ps,
    _mm512_sqrt_ps,
    _mm512_cmp_ps_mask,
    _mm512_mask_blend_ps,
    _mm512_set1_epi32,
    _mm512_add_epi32,
    _mm512_slli_epi32,
    _mm512_srli_epi32,
    _mm512_castps_si512,
    _mm512_castsi512_ps,
    _mm512_setzero_ps,
    31,
    |p| _mm512_loadu_ps(p),
    |x| {
        let y = _mm512_rsqrt14_ps(x);
        let e = _mm512_fnmadd_ps(_mm512_mul_ps(x, y), y, _mm512_set1_ps(1.0));
        let p = _mm512_fmadd_ps(e, _mm512_set1_ps(0.375), _mm512_set1_ps(0.5));
        _mm512_fmadd_ps(_mm512_mul_ps(y, e), p, y)
    }
);

#[cfg(target_arch = "x86_64")]
macro_rules! avx2_math {
    (
        $t:ty, $bits:ty, $shift:literal, $rounder:expr, $root_half:literal, $one:literal, $two:literal, $sub:ident, $mul:ident, $div:ident,
        $max:ident, $sqrt:ident, $equal:ident, $blend:ident, $set:ident, $add_bits:ident, $left:ident, $right:ident,
        $to_bits:ident, $from_bits:ident, $zero:ident, $splat:ident, $flip:literal, |$p:ident| $load_single:expr
    ) => {
        // SAFETY: every intrinsic below is AVX2, which the caller vouches for.
        unsafe impl VectorMath for Avx2<$t> {
            const ROUNDER: f64 = $rounder;

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
                unsafe { [0, 1].map(|i| $from_bits($add_bits($to_bits(a[i]), $left::<$shift>($to_bits(rounded[i]))))) }
            }
            #[inline(always)]
            unsafe fn negated_if_odd(a: Self::V, rounded: Self::V) -> Self::V {
                // SAFETY: AVX2, see above.
                unsafe {
                    [0, 1].map(|i| $from_bits(_mm256_xor_si256($to_bits(a[i]), $left::<$flip>($to_bits(rounded[i])))))
                }
            }
            #[inline(always)]
            unsafe fn exponent_and_fraction(a: Self::V) -> (Self::V, Self::V) {
                // SAFETY: AVX2, see above.
                unsafe {
                    let two = <$t>::from_bits($two);
                    let bias = ($one as $bits >> $shift) as $t;
                    let moved = [0, 1].map(|i| $add_bits($to_bits(a[i]), $set($one - $root_half)));
                    let k = moved.map(|x| $from_bits(_mm256_or_si256($right::<$shift>(x), $set($two))));
                    let m = moved.map(|x| _mm256_and_si256(x, $set((1 << $shift) - 1)));
                    (k.map(|k| $sub(k, $splat(two + bias))), m.map(|m| $from_bits($add_bits(m, $set($root_half)))))
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
avx2_math!(
    f64,
    u64,
    52,
    6_755_399_441_055_744.0,
    0x3fe6_a09e_667f_3bcd,
    0x3ff0_0000_0000_0000,
    0x4330_0000_0000_0000,
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
    63,
    |p| [_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p.add(4)))]
);
#[cfg(target_arch = "x86_64")]
avx2_math!(
    f32,
    u32,
    23,
    12_582_912.0,
    0x3f35_04f3,
    0x3f80_0000,
    0x4b00_0000,
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
    31,
    |p| [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))]
);
