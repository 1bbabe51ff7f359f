//! The number types of matrices.

use std::fmt::Display;

mod sealed {
    /// What the dense factorisations underneath ask for. Private, so that no public signature names them.
    pub trait Field: faer::traits::RealField {}
    impl Field for f32 {}
    impl Field for f64 {}
}

/// Entry of a matrix: `f32` or `f64`. Sealed: no other type can implement it.
pub trait Scalar: sealed::Field + farfield_kernels::Scalar + Display {
    /// Distance from 1 to the next larger number.
    const EPSILON: f64;

    /// Whether the number is neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

impl Scalar for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;

    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl Scalar for f64 {
    const EPSILON: f64 = f64::EPSILON;

    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
}
