//! Determinants, which overflow where their logarithms do not.

/// A determinant, as its sign and the logarithm of its absolute value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogDeterminant {
    /// `1` or `-1`.
    pub sign: i32,
    /// Natural logarithm of the absolute value.
    pub ln_abs: f64,
}

impl LogDeterminant {
    /// Of one number.
    pub(crate) fn of(x: f64) -> Self {
        Self { sign: if x < 0.0 { -1 } else { 1 }, ln_abs: x.abs().ln() }
    }

    /// `-1` or `1`.
    pub(crate) fn signed(negative: bool) -> Self {
        Self { sign: if negative { -1 } else { 1 }, ln_abs: 0.0 }
    }

    /// The determinant of a product.
    pub(crate) fn times(self, other: Self) -> Self {
        Self { sign: self.sign * other.sign, ln_abs: self.ln_abs + other.ln_abs }
    }
}

/// Whether a permutation is odd: its length minus its number of cycles is.
pub(crate) fn is_odd(order: &[usize]) -> bool {
    let mut seen = vec![false; order.len()];
    let mut cycles = 0;
    for start in 0..order.len() {
        let mut i = start;
        cycles += usize::from(!seen[start]);
        while !std::mem::replace(&mut seen[i], true) {
            i = order[i];
        }
    }
    (order.len() - cycles) % 2 == 1
}
