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
            let pairs: [__m512; 8] = std::array::from_fn(|i| {
                _mm512_add_ps(
                    _mm512_unpacklo_ps(acc[2 * i], acc[2 * i + 1]),
                    _mm512_unpackhi_ps(acc[2 * i], acc[2 * i + 1]),
                )
            });
            let quads: [__m512; 4] = std::array::from_fn(|i| {
                let a = _mm512_castps_pd(pairs[2 * i]);
                let b = _mm512_castps_pd(pairs[2 * i + 1]);
                _mm512_add_ps(
                    _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                    _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)),
                )
            });
            let fold = |a: __m512, b: __m512| {
                _mm512_add_ps(
                    _mm512_shuffle_f32x4::<0x88>(a, b),
                    _mm512_shuffle_f32x4::<0xdd>(a, b),
                )
            };
            let sums = fold(fold(quads[0], quads[1]), fold(quads[2], quads[3]));
            _mm512_storeu_ps(out.as_mut_ptr(), sums);
        }
        out
    }

    /// Four rounds of interleaving: 32-bit pairs, 64-bit pairs, then 128-bit lanes twice.
    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_stride: usize, dst: *mut f32, dst_stride: usize) {
        // SAFETY: AVX-512F, see above; the caller vouches for both squares.
        unsafe {
            let rows: [__m512; 16] = std::array::from_fn(|i| _mm512_loadu_ps(src.add(i * src_stride)));
            let pairs: [__m512; 16] = std::array::from_fn(|i| {
                let (a, b) = (rows[i / 2 * 2], rows[i / 2 * 2 + 1]);
                if i % 2 == 0 { _mm512_unpacklo_ps(a, b) } else { _mm512_unpackhi_ps(a, b) }
            });
            // `quads[4 g + c]` holds, in its lane `q`, rows `4 g .. 4 g + 4` of column `4 q + c`.
            let quads: [__m512; 16] = std::array::from_fn(|i| {
                let (group, column) = (i / 4, i % 4);
                let a = _mm512_castps_pd(pairs[4 * group + column / 2]);
                let b = _mm512_castps_pd(pairs[4 * group + 2 + column / 2]);
                _mm512_castpd_ps(if column % 2 == 0 {
                    _mm512_unpacklo_pd(a, b)
                } else {
                    _mm512_unpackhi_pd(a, b)
                })
            });
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
        unsafe { std::array::from_fn(|i| _mm512_reduce_add_pd(acc[i])) }
    }
}
