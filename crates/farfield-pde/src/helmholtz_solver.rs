//! Fast direct solver for the Helmholtz equation `-Laplace u - kappa^2 u = f` on the periodic unit
//! square.
//!
//! Waves `exp(2 pi i (a x + b y))` diagonalise both schemes. A wave of f becomes `1 / (lambda -
//! kappa^2)` of it in u, where lambda is the eigenvalue of `-Laplace`:
//!
//! | scheme | lambda |
//! | --- | --- |
//! | spectral | `4 pi^2 (a^2 + b^2)`, exact for fields without waves beyond the grid's |
//! | fourth order, compact nine points | `operator / right` of [`Stencil::FourthOrderCompact`](crate::Stencil), `mu = 4 n^2 sin^2(pi a / n)` |
//!
//! The second is the Mehrstellen scheme for the whole equation: `-Laplace_9 u - kappa^2 (1 + h^2/12
//! Laplace_h) u = (1 + h^2/12 Laplace_h) f`.
//!
//! The operator is indefinite, and singular if kappa^2 is an eigenvalue. The relative error of a wave is
//! that of its eigenvalue over the gap, `(lambda_h - lambda) / (lambda_h - kappa^2)`, so near a resonance
//! the fourth-order scheme needs a much finer grid than for Poisson's equation. Cost O(n^2 log n).

use std::f64::consts::PI;

use crate::fourier_multiplier::{FourierMultiplier, wave_number};
use crate::options::positive;
use crate::stencil::{Stencil, second_difference_eigenvalue};
use crate::{Helmholtz2d, PdeError};

/// A gap below this part of kappa^2 is a resonance.
const SMALLEST_GAP: f64 = 1e-6;

/// How `-Laplace` is discretised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelmholtzScheme {
    /// The exact eigenvalues.
    Spectral,
    /// Compact nine-point stencil.
    FourthOrder,
}

/// A planned solver on the points i/n, i = 0..n-1 of each axis.
pub struct HelmholtzSolver {
    fourier: FourierMultiplier,
    symbol: Vec<f64>,
    nearest: ((usize, usize), f64),
}

impl HelmholtzSolver {
    /// Plans a solver for fields of n x n numbers and kappa = `wave_number`.
    ///
    /// # Errors
    /// A kappa that is not positive; kappa^2 within 1e-6 kappa^2 of an eigenvalue of the discrete operator: the message names the
    /// wave and the gap.
    pub fn new(n: usize, kappa: f64, scheme: HelmholtzScheme) -> Result<Self, PdeError> {
        let kappa = positive(Helmholtz2d::NAME, "wave_number", Some(kappa), kappa)?;
        let square = kappa * kappa;
        let mut symbol = Vec::with_capacity(n * n);
        let mut nearest = ((0, 0), f64::INFINITY);
        for a in 0..n {
            for b in 0..n {
                let wave = (wave_number(a, n), wave_number(b, n));
                let gap = eigenvalue(wave, n, scheme) - square;
                if gap.abs() < nearest.1.abs() {
                    nearest = (wave, gap);
                }
                symbol.push(1.0 / gap);
            }
        }
        let ((a, b), gap) = nearest;
        if gap.abs() > SMALLEST_GAP * square {
            return Ok(HelmholtzSolver { fourier: FourierMultiplier::new(n), symbol, nearest });
        }
        Err(PdeError::Value {
            problem: Helmholtz2d::NAME,
            field: "wave_number",
            value: kappa,
            reason: format!(
                "resonance: kappa^2 is within {:.1e} of the eigenvalue of wave vector ({a}, {b}) on {n} x {n} points, \
                 closer than {SMALLEST_GAP:e} kappa^2; take another wave number",
                gap.abs()
            ),
        })
    }

    /// The wave numbers (a <= b) whose eigenvalue is nearest to kappa^2, and the eigenvalue minus
    /// kappa^2.
    pub fn nearest_eigenvalue(&self) -> ((usize, usize), f64) {
        self.nearest
    }

    /// Solves for u.
    ///
    /// # Panics
    /// If a field does not have n x n numbers.
    pub fn solve(&self, f: &[f64], u: &mut [f64]) {
        assert_eq!((f.len(), u.len()), (self.symbol.len(), self.symbol.len()), "lengths of the fields");
        u.copy_from_slice(f);
        self.fourier.apply(&self.symbol, u);
    }
}

/// Eigenvalue of `-Laplace` for the wave numbers `wave`.
fn eigenvalue((a, b): (usize, usize), n: usize, scheme: HelmholtzScheme) -> f64 {
    match scheme {
        HelmholtzScheme::Spectral => 4.0 * PI * PI * (a * a + b * b) as f64,
        HelmholtzScheme::FourthOrder => {
            // Wave number a of the periodic grid is 2a in units of pi.
            let mu = [a, b].map(|k| second_difference_eigenvalue(2 * k, n));
            let (operator, right) = Stencil::FourthOrderCompact.eigenvalues(&mu, 1.0 / n as f64);
            operator / right
        }
    }
}
