//! One vector of 64 bytes on every instruction set.
//!
//! A [`Simd`] vector holds [`Scalar::LANES`] numbers (16 `f32` or 8 `f64`), whatever the machine: AVX-512 keeps it
//! in one register, AVX2 in two, the portable version in an array. The data layout of the kernels therefore
//! does not depend on the instruction set, and one generic body serves all of them.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
mod dispatch;
mod elementary;
pub(crate) mod lanes;
pub(crate) mod portable;

use std::sync::atomic::{AtomicU8, Ordering};

use crate::scalar::Scalar;

pub(crate) use dispatch::{VectorTask, dispatch};
pub(crate) use elementary::{cos, exp_negative, log};

/// Operations on 64-byte vectors of `T`.
///
/// # Safety
/// Every method may only run on a machine that has the instruction set of the implementation, inside a
/// function compiled for it. Pointers must be valid for one vector; alignment is not needed.
pub unsafe trait Simd: Copy + 'static {
    /// The element.
    type T: Scalar;
    /// One vector of `T::LANES` elements.
    type V: Copy;
    /// Accumulator of a dot product over lanes: any number of partial sums.
    type Acc: Copy;
    /// Whether 32 vector registers of 64 bytes exist: it decides the shapes of the register tiles.
    const WIDE: bool;

    unsafe fn zero() -> Self::V;
    unsafe fn splat(x: Self::T) -> Self::V;
    unsafe fn load(p: *const Self::T) -> Self::V;
    unsafe fn store(p: *mut Self::T, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a b + c`, fused where the machine can.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    unsafe fn acc_zero() -> Self::Acc;
    /// Adds the products of all lanes to the partial sums.
    unsafe fn dot(a: Self::V, b: Self::V, acc: Self::Acc) -> Self::Acc;
    /// The total of the partial sums of each accumulator, in a fixed order.
    unsafe fn totals(acc: &[Self::Acc; 16]) -> [Self::T; 16];
    /// `dst[j * dst_stride + i] = src[i * src_stride + j]` for `i, j < T::LANES`.
    #[inline(always)]
    unsafe fn transpose(src: *const Self::T, src_stride: usize, dst: *mut Self::T, dst_stride: usize) {
        for i in 0..Self::T::LANES {
            for j in 0..Self::T::LANES {
                // SAFETY: the caller vouches for both squares.
                unsafe { *dst.add(j * dst_stride + i) = *src.add(i * src_stride + j) };
            }
        }
    }
}

/// What elementary functions need beyond [`Simd`].
///
/// # Safety
/// As for [`Simd`].
pub unsafe trait VectorMath: Simd {
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

/// How numbers of one type are coded, for functions that take exponents apart.
pub(crate) trait FloatFormat {
    /// Integer of the same size.
    type Bits;
    /// Bits of the fraction.
    const FRACTION: u32;
    /// All bits but the sign.
    const SIGN: u32;
    /// Code of `sqrt(1/2)`.
    const ROOT_HALF: Self::Bits;
    /// Code of 1.
    const ONE: Self::Bits;
    /// Code of `2^FRACTION`, whose low bits count units.
    const TWO_TO_FRACTION: Self::Bits;
    /// `1.5 2^FRACTION`: [`VectorMath::ROUNDER`].
    const ROUNDER: f64;
}

impl FloatFormat for f32 {
    type Bits = u32;
    const FRACTION: u32 = 23;
    const SIGN: u32 = 31;
    const ROOT_HALF: u32 = 0x3f35_04f3;
    const ONE: u32 = 0x3f80_0000;
    const TWO_TO_FRACTION: u32 = 0x4b00_0000;
    const ROUNDER: f64 = 12_582_912.0;
}

impl FloatFormat for f64 {
    type Bits = u64;
    const FRACTION: u32 = 52;
    const SIGN: u32 = 63;
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const TWO_TO_FRACTION: u64 = 0x4330_0000_0000_0000;
    const ROUNDER: f64 = 6_755_399_441_055_744.0;
}

#[inline(always)]
pub(crate) unsafe fn splat<S: Simd>(x: f64) -> S::V {
    // SAFETY: the caller vouches for the instruction set.
    unsafe { S::splat(S::T::from_f64(x)) }
}

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// Plain code, whatever the compiler makes of it.
    Portable,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512F.
    Avx512,
}

impl InstructionSet {
    /// Short name: `portable`, `avx2`, `avx512`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f") && Self::Avx2.is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The best one that this machine has.
    pub fn best() -> Self {
        [Self::Avx512, Self::Avx2].into_iter().find(|i| i.is_available()).unwrap_or(Self::Portable)
    }

    /// The one in use: the best, unless [`InstructionSet::select`] chose another.
    #[inline]
    pub fn current() -> Self {
        match CURRENT.load(Ordering::Relaxed) {
            1 => Self::Portable,
            2 => Self::Avx2,
            3 => Self::Avx512,
            _ => Self::choose(),
        }
    }

    #[cold]
    fn choose() -> Self {
        let best = Self::best();
        best.store();
        best
    }

    /// Uses this instruction set from now on, in the whole process. Returns `false`, and changes nothing, when the
    /// machine lacks it. Meant for tests and benchmarks: results of different instruction sets differ by rounding.
    pub fn select(self) -> bool {
        let ok = self.is_available();
        if ok {
            self.store();
        }
        ok
    }

    fn store(self) {
        CURRENT.store(self as u8 + 1, Ordering::Relaxed);
    }
}

static CURRENT: AtomicU8 = AtomicU8::new(0);
