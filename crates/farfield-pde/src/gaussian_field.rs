//! Gaussian random fields `f ~ N(0, (-Laplacian + 9)^(-s))` on the grid of a sine transform
//! (Dirichlet).
//!
//! The basis are the sine waves, orthonormal on the n - 1 interior points an axis; the eigenvalues
//! are those of the continuous Laplacian, `lambda_k = pi^2 |k|^2`. The coefficient of wave k is
//! normal with standard deviation `(lambda_k + 9)^(-s/2)`, so s = 0 is exactly independent N(0, 1)
//! noise at every interior point. Relative errors do not depend on the scale, so none is fitted for
//! s > 0.

use std::f64::consts::PI;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::sine_transform::SineTransform;

/// The shift of the Laplacian in the covariance.
pub(crate) const SHIFT: f64 = 9.0;

/// Standard deviation of the coefficient of a wave, for `squares` = |k|^2.
pub(crate) fn deviation(squares: usize, smoothness: u32) -> f64 {
    (PI * PI * squares as f64 + SHIFT).powf(-0.5 * f64::from(smoothness))
}

/// Draws one field; one normal number per interior point, in storage order.
pub(crate) fn gaussian_field(transform: &SineTransform, smoothness: u32, rng: &mut impl Rng, field: &mut [f64]) {
    let orthonormal = transform.inverse_factor().sqrt();
    transform.for_each_mode(field, |k, value| {
        let squares = k.iter().map(|k| k * k).sum();
        let normal: f64 = StandardNormal.sample(rng);
        *value = orthonormal * deviation(squares, smoothness) * normal;
    });
    transform.apply(field);
}
