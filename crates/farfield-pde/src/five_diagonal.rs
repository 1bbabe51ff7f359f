//! Banded direct solver for the five-diagonal fourth-order matrix whose stencil is cut off at the
//! ends.
//!
//! Rows -1, 16, -30, 16, -1 over `12 h^2` for `-u''`, with the entries that fall outside the matrix
//! dropped: symmetric, positive definite, not diagonal in the sine basis. Factored once as `L D
//! L^T`, then O(n) a solve.
//!
//! Dropping the entries means u = 0 at the outer ghost point, where odd reflection would put -u_1.
//! That error is of size u'(0)/(12 h) in one equation, so the scheme has only first order: use it
//! to see what a literal reading of the paper gives, not to solve the equation.

/// The factored matrix.
pub struct FiveDiagonal {
    /// D.
    diagonal: Vec<f64>,
    /// First and second diagonal below the main one of L, by row.
    lower: Vec<(f64, f64)>,
}

impl FiveDiagonal {
    /// Factors the matrix of `unknowns` rows for grid spacing `h`.
    pub fn new(unknowns: usize, h: f64) -> Self {
        let scale = 1.0 / (12.0 * h * h);
        let (main, first, second) = (30.0 * scale, -16.0 * scale, scale);
        let mut diagonal: Vec<f64> = Vec::with_capacity(unknowns);
        let mut lower: Vec<(f64, f64)> = Vec::with_capacity(unknowns);
        for i in 0..unknowns {
            let l2 = if i >= 2 { second / diagonal[i - 2] } else { 0.0 };
            let l1 = match i {
                0 => 0.0,
                1 => first / diagonal[0],
                _ => (first - l2 * diagonal[i - 2] * lower[i - 1].0) / diagonal[i - 1],
            };
            let mut d = main;
            if i >= 1 {
                d -= l1 * l1 * diagonal[i - 1];
            }
            if i >= 2 {
                d -= l2 * l2 * diagonal[i - 2];
            }
            diagonal.push(d);
            lower.push((l1, l2));
        }
        FiveDiagonal { diagonal, lower }
    }

    /// Solves in place.
    ///
    /// # Panics
    /// If `x` does not have one number for each unknown.
    pub fn solve(&self, x: &mut [f64]) {
        let n = self.diagonal.len();
        assert_eq!(x.len(), n, "length of the vector");
        for i in 1..n {
            let (l1, l2) = self.lower[i];
            let before = if i >= 2 { x[i - 2] } else { 0.0 };
            x[i] -= l1 * x[i - 1] + l2 * before;
        }
        for (x, d) in x.iter_mut().zip(&self.diagonal) {
            *x /= d;
        }
        for i in (0..n.saturating_sub(1)).rev() {
            let after = if i + 2 < n { self.lower[i + 2].1 * x[i + 2] } else { 0.0 };
            x[i] -= self.lower[i + 1].0 * x[i + 1] + after;
        }
    }
}
