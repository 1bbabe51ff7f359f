//! AVX-512F: a 64-byte vector in one register, 32 of them.

use std::arch::x86_64::*;

use super::{FloatFormat, Simd, VectorMath};

#[derive(Clone, Copy)]
pub struct Avx512<T>(std::marker::PhantomData<T>);

macro_rules! avx512 {
    ($t:ty, $reg:ty, $zero:ident, $splat:ident, $load:ident, $store:ident, $add:ident, $fma:ident, $($rest:item)*) => {
        // SAFETY: every intrinsic below is AVX-512F, which the caller vouches for; pointers are the caller's.
        unsafe impl Simd for Avx512<$t> {
            type T = $t;
            type V = $reg;
            type Acc = $reg;
            const WIDE: bool = true;

            #[inline(always)]
            unsafe fn zero() -> $reg {
                // SAFETY: AVX-512F, see above.
                unsafe { $zero() }
            }
            #[inline(always)]
            unsafe fn splat(x: $t) -> $reg {
                // SAFETY: AVX-512F, see above.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> $reg {
                // SAFETY: one vector behind `p`.
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn store(p: *mut $t, v: $reg) {
                // SAFETY: one vector behind `p`.
                unsafe { $store(p, v) }
            }
            #[inline(always)]
            unsafe fn add(a: $reg, b: $reg) -> $reg {
                // SAFETY: AVX-512F, see above.
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            unsafe fn mul_add(a: $reg, b: $reg, c: $reg) -> $reg {
                // SAFETY: AVX-512F, see above.
                unsafe { $fma(a, b, c) }
            }
            #[inline(always)]
            unsafe fn acc_zero() -> $reg {
                // SAFETY: AVX-512F, see above.
                unsafe { $zero() }
            }
            #[inline(always)]
            unsafe fn dot(a: $reg, b: $reg, acc: $reg) -> $reg {
                // SAFETY: AVX-512F, see above.
                unsafe { $fma(a, b, acc) }
            }
            $($rest)*
        }
    };
}

avx512! {
    f32, __m512, _mm512_setzero_ps, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps,

    /// Sixteen sums at once: three rounds of pairwise adds inside 128-bit lanes and across registers,
    /// then the four lanes of the registers that are left.
    #[inline(always)]
    unsafe fn totals(acc: &[__m512; 16]) -> [f32; 16] {
        let mut out = [0.0; 16];
        // SAFETY: AVX-512F, see above; `out` holds one register.
        unsafe {
            let mut pairs = [_mm512_setzero_ps(); 8];
            for i in 0..8 {
                let (a, b) = (acc[2 * i], acc[2 * i + 1]);
                pairs[i] = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            }
            let mut quads = [_mm512_setzero_ps(); 4];
            for i in 0..4 {
                let (a, b) = (_mm512_castps_pd(pairs[2 * i]), _mm512_castps_pd(pairs[2 * i + 1]));
                quads[i] = _mm512_add_ps(
                    _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                    _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)),
                );
            }
            // Lanes (0, 2) and (1, 3) of two registers, added; twice.
            let (a, b) = (quads[0], quads[1]);
            let low = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let (a, b) = (quads[2], quads[3]);
            let high = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let sums =
                _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(low, high), _mm512_shuffle_f32x4::<0xdd>(low, high));
            _mm512_storeu_ps(out.as_mut_ptr(), sums);
        }
        out
    }

    /// Four rounds of interleaving: 32-bit pairs, 64-bit pairs, then 128-bit lanes twice.
    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_stride: usize, dst: *mut f32, dst_stride: usize) {
        // SAFETY: AVX-512F, see above; the caller vouches for both squares.
        unsafe {
            let mut rows = [_mm512_setzero_ps(); 16];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_ps(src.add(i * src_stride));
            }
            let mut pairs = rows;
            for i in 0..8 {
                let (a, b) = (rows[2 * i], rows[2 * i + 1]);
                pairs[2 * i] = _mm512_unpacklo_ps(a, b);
                pairs[2 * i + 1] = _mm512_unpackhi_ps(a, b);
            }
            // `quads[4 g + c]` holds, in its lane `q`, rows `4 g .. 4 g + 4` of column `4 q + c`.
            let mut quads = rows;
            for i in 0..8 {
                let (group, half) = (i / 2, i % 2);
                let a = _mm512_castps_pd(pairs[4 * group + half]);
                let b = _mm512_castps_pd(pairs[4 * group + 2 + half]);
                quads[4 * group + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                quads[4 * group + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
            }
            for c in 0..4 {
                let low_even = _mm512_shuffle_f32x4::<0x88>(quads[c], quads[4 + c]);
                let low_odd = _mm512_shuffle_f32x4::<0xdd>(quads[c], quads[4 + c]);
                let high_even = _mm512_shuffle_f32x4::<0x88>(quads[8 + c], quads[12 + c]);
                let high_odd = _mm512_shuffle_f32x4::<0xdd>(quads[8 + c], quads[12 + c]);
                let columns = [
                    _mm512_shuffle_f32x4::<0x88>(low_even, high_even),
                    _mm512_shuffle_f32x4::<0x88>(low_odd, high_odd),
                    _mm512_shuffle_f32x4::<0xdd>(low_even, high_even),
                    _mm512_shuffle_f32x4::<0xdd>(low_odd, high_odd),
                ];
                for (q, column) in columns.into_iter().enumerate() {
                    _mm512_storeu_ps(dst.add((4 * q + c) * dst_stride), column);
                }
            }
        }
    }
}

avx512! {
    f64, __m512d, _mm512_setzero_pd, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_add_pd, _mm512_fmadd_pd,

    /// Eight sums at once, twice: pairwise adds inside 128-bit lanes, then two rounds across them.
    #[inline(always)]
    unsafe fn totals(acc: &[__m512d; 16]) -> [f64; 16] {
        let mut out = [0.0; 16];
        // SAFETY: AVX-512F, see above; `out` holds two registers.
        unsafe {
            for half in 0..2 {
                let mut pairs = [_mm512_setzero_pd(); 4];
                for i in 0..4 {
                    let (a, b) = (acc[8 * half + 2 * i], acc[8 * half + 2 * i + 1]);
                    pairs[i] = _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
                }
                let (a, b) = (pairs[0], pairs[1]);
                let low = _mm512_add_pd(_mm512_shuffle_f64x2::<0x88>(a, b), _mm512_shuffle_f64x2::<0xdd>(a, b));
                let (a, b) = (pairs[2], pairs[3]);
                let high = _mm512_add_pd(_mm512_shuffle_f64x2::<0x88>(a, b), _mm512_shuffle_f64x2::<0xdd>(a, b));
                let sums =
                    _mm512_add_pd(_mm512_shuffle_f64x2::<0x88>(low, high), _mm512_shuffle_f64x2::<0xdd>(low, high));
                _mm512_storeu_pd(out.as_mut_ptr().add(8 * half), sums);
            }
        }
        out
    }
}

macro_rules! avx512_math {
    (
        $t:ty, $signed:ty, $sub:ident, $mul:ident, $div:ident,
        $max:ident, $sqrt:ident, $equal:ident, $blend:ident, $set:ident, $add_bits:ident, $left:ident, $right:ident,
        $to_bits:ident, $from_bits:ident, $zero:ident, |$p:ident| $load_single:expr, |$x:ident| $rsqrt:expr
    ) => {
        // SAFETY: every intrinsic below is AVX-512F, which the caller vouches for.
        unsafe impl VectorMath for Avx512<$t> {
            const ROUNDER: f64 = <$t as FloatFormat>::ROUNDER;

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
                unsafe {
                    $from_bits($add_bits($to_bits(a), $left::<{ <$t as FloatFormat>::FRACTION }>($to_bits(rounded))))
                }
            }
            #[inline(always)]
            unsafe fn negated_if_odd(a: Self::V, rounded: Self::V) -> Self::V {
                // SAFETY: AVX-512F, see above.
                unsafe {
                    $from_bits(_mm512_xor_si512($to_bits(a), $left::<{ <$t as FloatFormat>::SIGN }>($to_bits(rounded))))
                }
            }
            #[inline(always)]
            unsafe fn exponent_and_fraction(a: Self::V) -> (Self::V, Self::V) {
                // SAFETY: AVX-512F, see above.
                unsafe {
                    let moved = $add_bits(
                        $to_bits(a),
                        $set((<$t as FloatFormat>::ONE - <$t as FloatFormat>::ROOT_HALF) as $signed),
                    );
                    let two = <$t>::from_bits(<$t as FloatFormat>::TWO_TO_FRACTION);
                    let bias = (<$t as FloatFormat>::ONE >> <$t as FloatFormat>::FRACTION) as $t;
                    let k = $from_bits(_mm512_or_si512(
                        $right::<{ <$t as FloatFormat>::FRACTION }>(moved),
                        $set(<$t as FloatFormat>::TWO_TO_FRACTION as $signed),
                    ));
                    let m = _mm512_and_si512(moved, $set((1 << <$t as FloatFormat>::FRACTION) - 1));
                    (
                        $sub(k, Self::splat(two + bias)),
                        $from_bits($add_bits(m, $set(<$t as FloatFormat>::ROOT_HALF as $signed))),
                    )
                }
            }
        }
    };
}

avx512_math!(
    f64,
    i64,
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
avx512_math!(
    f32,
    i32,
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
    |p| _mm512_loadu_ps(p),
    |x| {
        let y = _mm512_rsqrt14_ps(x);
        let e = _mm512_fnmadd_ps(_mm512_mul_ps(x, y), y, _mm512_set1_ps(1.0));
        let p = _mm512_fmadd_ps(e, _mm512_set1_ps(0.375), _mm512_set1_ps(0.5));
        _mm512_fmadd_ps(_mm512_mul_ps(y, e), p, y)
    }
);
