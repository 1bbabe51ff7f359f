//! Finite-difference stencils for `-Laplace u = f` on a uniform grid, and their eigenvalues.
//!
//! All are sums of products of the second difference `d u_i = (u_{i-1} - 2 u_i + u_{i+1}) / h^2`
//! along the axes, with odd (Dirichlet) or even (Neumann) reflection at the ends, so sine or cosine
//! waves diagonalise them. With `mu = 4/h^2 sin^2(pi k h / 2)` the eigenvalue of `-d`:
//!
//! | stencil | operator | right-hand side |
//! | --- | --- | --- |
//! | second order, 2d + 1 points | `sum mu_i` | 1 |
//! | fourth order, wide cross, 4d + 1 points | `sum (mu_i + h^2/12 mu_i^2)` | 1 |
//! | fourth order, compact (Mehrstellen; 3, 9, 19 points) | `sum mu_i - h^2/6 sum_{i<j} mu_i mu_j` | `1 - h^2/12 sum mu_i` |
//!
//! The compact stencil corrects the right-hand side by `h^2/12 Laplace_h f` (Collatz, The Numerical
//! Treatment of Differential Equations, 1960). The correction nearly removes waves at the grid
//! scale, which only white noise contains.

use std::f64::consts::PI;

/// A discretisation of `-Laplace`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stencil {
    /// Three, five or seven points.
    SecondOrder,
    /// Five points along each axis: -1, 16, -30, 16, -1 over `12 h^2`.
    FourthOrderCross,
    /// Nearest neighbours only: 3, 9 or 19 points.
    FourthOrderCompact,
}

impl Stencil {
    /// Order of convergence for smooth solutions.
    pub fn order(self) -> u32 {
        match self {
            Stencil::SecondOrder => 2,
            Stencil::FourthOrderCross | Stencil::FourthOrderCompact => 4,
        }
    }

    /// The factors by which the operator and the right-hand side's correction multiply one wave,
    /// given the second difference's eigenvalue `mu` along each axis and the grid spacing `h`. A
    /// wave of f becomes `right / operator` of it in u.
    pub fn eigenvalues(self, mu: &[f64], h: f64) -> (f64, f64) {
        let sum: f64 = mu.iter().sum();
        let squares: f64 = mu.iter().map(|m| m * m).sum();
        match self {
            Stencil::SecondOrder => (sum, 1.0),
            Stencil::FourthOrderCross => (sum + h * h / 12.0 * squares, 1.0),
            Stencil::FourthOrderCompact => {
                let products = (sum * sum - squares) / 2.0;
                (sum - h * h / 6.0 * products, 1.0 - h * h / 12.0 * sum)
            }
        }
    }
}

/// Eigenvalue of minus the second difference for wave number k on n intervals of [0, 1].
pub fn second_difference_eigenvalue(k: usize, n: usize) -> f64 {
    let n = n as f64;
    let sine = (PI * k as f64 / (2.0 * n)).sin();
    4.0 * n * n * sine * sine
}
