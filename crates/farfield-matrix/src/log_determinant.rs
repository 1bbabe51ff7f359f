//! Determinants, which overflow where their logarithms do not.

/// A determinant, as its sign and the logarithm of its absolute value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogDeterminant {
    /// `1` or `-1`.
    pub sign: i32,
    /// Natural logarithm of the absolute value.
    pub ln_abs: f64,
}
