//! The kernel functions, as functions of vectors of squared distances.

use super::Profile;
use crate::simd::{VectorMath, cos, exp_negative, log, splat};

/// A profile with its constants in registers.
pub(super) trait Function<S: VectorMath>: Copy {
    /// Whether it is as cheap as a root: taken in the registers that hold the distances, not in a pass of its own.
    const CHEAP: bool = false;

    /// The value at squared distance `s`.
    ///
    /// # Safety
    /// As for [`Simd`](crate::simd::Simd).
    unsafe fn at(self, s: S::V) -> S::V;
}

/// What is to be done with the function of a profile.
pub(super) trait FunctionUser<S: VectorMath> {
    /// What comes of it.
    type Output;

    /// Does it; inlined always.
    ///
    /// # Safety
    /// As for [`Simd`](crate::simd::Simd), and what the user asks of its arguments.
    unsafe fn with<F: Function<S>>(self, f: F) -> Self::Output;
}

macro_rules! functions {
    ($($name:ident { $($constant:ident),* }, $cheap:literal, |$s:ident| $value:expr;)*) => {$(
        #[derive(Clone, Copy)]
        struct $name<V: Copy> {
            $($constant: V,)*
        }

        impl<S: VectorMath> Function<S> for $name<S::V> {
            const CHEAP: bool = $cheap;

            #[inline(always)]
            unsafe fn at(self, $s: S::V) -> S::V {
                let Self { $($constant,)* } = self;
                // SAFETY: the caller vouches for the instruction set.
                unsafe { $value }
            }
        }
    )*};
}

functions! {
    ShiftedInverse { a, one }, false, |s| S::div(one, S::add(S::sqrt(s), a));
    Logarithm { half }, false, |s| S::mul(half, log::<S>(s));
    CosineOverDistance { a }, false, |s| {
        let inverse = S::rsqrt(s);
        S::mul(cos::<S>(S::mul(a, S::mul(s, inverse))), inverse)
    };
    Gaussian { minus_a }, false, |s| exp_negative::<S>(S::mul(minus_a, s));
    Exponential { minus_a }, false, |s| exp_negative::<S>(S::mul(minus_a, S::sqrt(s)));
    Matern32 { minus_a, one }, false, |s| {
        let x = S::mul(minus_a, S::sqrt(s));
        S::mul(S::sub(one, x), exp_negative::<S>(x))
    };
    Matern52 { minus_a, third, one }, false, |s| {
        let x = S::mul(minus_a, S::sqrt(s));
        S::mul(S::mul_add(S::mul(third, x), x, S::sub(one, x)), exp_negative::<S>(x))
    };
    InverseMultiquadric { a, one }, true, |s| S::rsqrt(S::mul_add(a, s, one));
    Multiquadric { a, one }, false, |s| S::sqrt(S::mul_add(a, s, one));
}

#[derive(Clone, Copy)]
struct Inverse;

impl<S: VectorMath> Function<S> for Inverse {
    const CHEAP: bool = true;

    #[inline(always)]
    unsafe fn at(self, s: S::V) -> S::V {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { S::rsqrt(s) }
    }
}

impl Profile {
    /// The value at distance zero, or 0 where it is not finite: what lanes beyond a block may take.
    pub(super) fn limit(self) -> f64 {
        match self {
            Self::Inverse | Self::Logarithm | Self::CosineOverDistance { .. } => 0.0,
            Self::ShiftedInverse { shift } => 1.0 / shift,
            _ => 1.0,
        }
    }

    /// Hands the function of this profile to `user`.
    ///
    /// # Safety
    /// As [`FunctionUser::with`].
    #[inline(always)]
    pub(super) unsafe fn hand_to<S: VectorMath, U: FunctionUser<S>>(self, user: U) -> U::Output {
        // SAFETY: the caller's.
        unsafe {
            let one = splat::<S>(1.0);
            match self {
                Self::Inverse => user.with(Inverse),
                Self::ShiftedInverse { shift } => user.with(ShiftedInverse { a: splat::<S>(shift), one }),
                Self::Logarithm => user.with(Logarithm { half: splat::<S>(0.5) }),
                Self::CosineOverDistance { wave_number } => {
                    user.with(CosineOverDistance { a: splat::<S>(wave_number) })
                }
                Self::Gaussian { a } => user.with(Gaussian { minus_a: splat::<S>(-a) }),
                Self::Exponential { a } => user.with(Exponential { minus_a: splat::<S>(-a) }),
                Self::Matern32 { a } => user.with(Matern32 { minus_a: splat::<S>(-a), one }),
                Self::Matern52 { a } => {
                    user.with(Matern52 { minus_a: splat::<S>(-a), third: splat::<S>(1.0 / 3.0), one })
                }
                Self::InverseMultiquadric { a } => user.with(InverseMultiquadric { a: splat::<S>(a), one }),
                Self::Multiquadric { a } => user.with(Multiquadric { a: splat::<S>(a), one }),
            }
        }
    }
}
