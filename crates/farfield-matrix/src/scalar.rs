//! The number types of matrices.

use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Mul};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// Entry of a matrix: `f32` or `f64`. Sealed: no other type can implement it.
pub trait Scalar:
    sealed::Sealed
    + Copy
    + Debug
    + Display
    + PartialEq
    + Add<Output = Self>
    + Mul<Output = Self>
    + AddAssign
    + Send
    + Sync
    + 'static
{
    /// The number 0.
    const ZERO: Self;

    /// Whether the number is neither infinite nor NaN.
    fn is_finite(self) -> bool;

    /// The same number in double precision.
    fn to_f64(self) -> f64;
}

impl Scalar for f32 {
    const ZERO: Self = 0.0;

    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }

    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Scalar for f64 {
    const ZERO: Self = 0.0;

    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }

    fn to_f64(self) -> f64 {
        self
    }
}
