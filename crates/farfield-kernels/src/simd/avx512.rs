//! AVX-512F: a 64-byte vector in one register, 32 of them.

use std::arch::x86_64::*;

use super::Simd;

#[derive(Clone, Copy)]
pub(crate) struct Avx512<T>(std::marker::PhantomData<T>);

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

    #[inline(always)]
    unsafe fn totals(acc: &[__m512d; 16]) -> [f64; 16] {
        // SAFETY: AVX-512F, see above.
        unsafe {
            let mut totals = [0.0; 16];
            for (total, acc) in totals.iter_mut().zip(acc) {
                *total = _mm512_reduce_add_pd(*acc);
            }
            totals
        }
    }
}
