//! Exponentials, logarithms and cosines of whole vectors.
//!
//! | function | method | error |
//! | --- | --- | --- |
//! | [`VectorMath::rsqrt`](super::VectorMath::rsqrt) | 14-bit estimate and one step of order four (AVX-512), root and division elsewhere | 2 units in the last place |
//! | [`exp_negative`] | `x = k log 2 + f`, Taylor polynomial in `f` | 2 units; 0 below the smallest normal number |
//! | [`log`] | `x = 2^k m`, series of `artanh((m - 1) / (m + 1))` | 3 units |
//! | [`cos`] | reduction by `pi` in three parts, Taylor polynomial of the sine | 3 units of 1, for arguments below 1e5 |
//!
//! Muller, *Elementary Functions* (2016), chapters 3 and 11, has the reductions.

use super::{VectorMath, splat};
use crate::scalar::Scalar;

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
