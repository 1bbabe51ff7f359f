//! AVX2 with FMA: a 64-byte vector in two registers.

use std::arch::x86_64::*;

use super::Simd;

#[derive(Clone, Copy)]
pub(crate) struct Avx2<T>(std::marker::PhantomData<T>);

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
