//! Gaussian random fields `f ~ N(0, (-Laplacian + 9)^(-s))` on a domain of any shape, by sparse
//! Cholesky.
//!
//! The discrete operator is `-Laplacian_h = W^-1 S`: S sparse and symmetric, W diagonal, the area that
//! belongs to each point in units of h^2. It is self-adjoint in the inner product of W, and there the
//! covariance is meant: `f = W^(-1/2) (W^(-1/2) S W^(-1/2) + 9)^(-s/2) xi` in distribution, xi
//! independent N(0, 1) numbers. With `K = S + 9 W = P^T L L^T P` no square root of a matrix is needed:
//!
//! | s | f | covariance |
//! | --- | --- | --- |
//! | 0 | `W^(-1/2) xi` | `W^-1` |
//! | 1 | `P^T L^-T xi` | `K^-1` |
//! | 2 | `K^-1 W^(1/2) xi` | `K^-1 W K^-1` |
//!
//! Unknowns without area (w = 0) take part in S but are not points: the rest of f has the covariance
//! that belongs to the Schur complement of S, where they are eliminated. The scale is that of the
//! fields in the sine basis: s = 0 is N(0, 1) noise where w = 1. Cost: one solve for each step of 2 in s.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::PdeError;
use crate::gaussian_field::SHIFT;
use crate::sparse_cholesky::{Entry, SparseCholesky};

/// A sampler on one grid.
pub(crate) struct SparseGaussianField {
    shifted: SparseCholesky,
    weights: Vec<f64>,
}

impl SparseGaussianField {
    /// Factors `S + 9 W` for the entries of S on and below the diagonal.
    pub(crate) fn new(problem: &'static str, mut stiffness: Vec<Entry>, weights: Vec<f64>) -> Result<Self, PdeError> {
        for (row, column, value) in &mut stiffness {
            if row == column {
                *value += SHIFT * weights[*row];
            }
        }
        let shifted = SparseCholesky::new(problem, weights.len(), &stiffness)?;
        Ok(SparseGaussianField { shifted, weights })
    }

    /// Draws one field; one normal number for each unknown, in order. Unknowns without area get
    /// values that are not part of it.
    pub(crate) fn draw(&self, smoothness: u32, rng: &mut impl Rng, f: &mut [f64]) {
        f.fill_with(|| StandardNormal.sample(rng));
        if smoothness.is_multiple_of(2) {
            for (f, w) in f.iter_mut().zip(&self.weights) {
                *f = if *w > 0.0 { *f / w.sqrt() } else { 0.0 };
            }
        } else {
            self.shifted.apply_inverse_root(f);
        }
        for _ in 0..smoothness / 2 {
            for (f, w) in f.iter_mut().zip(&self.weights) {
                *f *= w;
            }
            self.shifted.solve(f);
        }
    }
}
