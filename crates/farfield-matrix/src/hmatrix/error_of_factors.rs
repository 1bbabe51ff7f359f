//! The error of a product, measured by Gaussian vectors, with a proven probability
//! ([`chi_squared`](crate::chi_squared)). Cost: one product with 32 vectors a measurement.

use faer::{Mat, MatRef};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::HMatrix;
use super::sketch::hash;
use crate::accuracy::Accuracy;
use crate::certificate::{Bound, Certificate, LevelRanks};
use crate::chi_squared::lower_share;
use crate::error::MatrixError;
use crate::linalg::{distance, norm_frobenius};
use crate::random::gaussian;
use crate::scalar::Scalar;

/// Vectors of a measurement.
const VECTORS: usize = 32;

/// Probability that a certificate does not hold.
pub(crate) const FAILURE: f64 = 1e-6;

/// Factorisations or products tried.
const ATTEMPTS: u64 = 4;

/// A measured error.
pub(crate) struct Measured {
    pub bound: Bound,
    /// Frobenius norm of what was approximated.
    pub norm: f64,
}

impl Measured {
    /// The certificate of factors with these ranks (level and rank of each block), of a matrix of order `n`.
    pub fn certificate(&self, ranks: Vec<(usize, usize)>, stored: usize, n: usize) -> Certificate {
        let Self { bound, norm } = *self;
        Certificate { frobenius: bound, spectral: bound, norm, ranks: LevelRanks::of(ranks), stored, dense: n * n }
    }
}

/// A bound on `||A - B||_F` for matrices of `n` columns that are known by their products; it holds but for a probability of `failure`.
pub(crate) fn measure<T: Scalar>(
    n: usize,
    seed: u64,
    failure: f64,
    a: impl Fn(MatRef<T>) -> Mat<T>,
    b: impl Fn(MatRef<T>) -> Mat<T>,
) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let w = gaussian(n, VECTORS, &mut rng);
    let (aw, bw) = (a(w.as_ref()), b(w.as_ref()));
    let rounding = T::EPSILON * norm_frobenius(aw.as_ref());
    let difference = distance(aw.as_ref(), bw.as_ref()) + rounding;
    difference / (lower_share(VECTORS, failure) * VECTORS as f64).sqrt()
}

/// Factors `h` with smaller and smaller tolerances of the truncations until the measured error is within `accuracy`.
pub(crate) fn factor_to_tolerance<T: Scalar, F>(
    h: &HMatrix<T>,
    what: &'static str,
    accuracy: &Accuracy,
    seed: u64,
    attempt: impl Fn(f64, u64) -> Result<F, MatrixError>,
    apply: impl Fn(&F, MatRef<T>) -> Mat<T>,
) -> Result<(F, Measured), MatrixError> {
    let norm = h.norm_frobenius();
    let exact = |x: MatRef<T>| h.multiply_tree_order(x, false);
    let (factor, bound) =
        to_tolerance(what, accuracy.absolute_for(norm), norm, h.ncols(), seed, attempt, exact, apply)?;
    Ok((factor, Measured { bound, norm }))
}

/// Repeats `attempt` with smaller and smaller relative tolerances until the measured distance of its result from `exact` is at most `allowed`.
#[expect(clippy::too_many_arguments, reason = "two callers, each argument a different kind of thing")]
pub(crate) fn to_tolerance<T: Scalar, F>(
    what: &'static str,
    allowed: f64,
    norm: f64,
    ncols: usize,
    seed: u64,
    attempt: impl Fn(f64, u64) -> Result<F, MatrixError>,
    exact: impl Fn(MatRef<T>) -> Mat<T>,
    apply: impl Fn(&F, MatRef<T>) -> Mat<T>,
) -> Result<(F, Bound), MatrixError> {
    let mut tolerance = if norm > 0.0 { (0.5 * allowed / norm).min(0.5) } else { 0.5 };
    let mut reached = f64::INFINITY;
    for round in 0..ATTEMPTS {
        let result = attempt(tolerance, hash(seed, 2 * round))?;
        let failure = FAILURE / ATTEMPTS as f64;
        reached = measure(ncols, hash(seed, 2 * round + 1), failure, &exact, |x| apply(&result, x));
        if reached <= allowed {
            return Ok((result, Bound::probabilistic(reached, FAILURE)));
        }
        tolerance *= (0.3 * allowed / reached).clamp(1e-3, 0.3);
    }
    let limit = format!("truncations to {tolerance:.1e}");
    Err(MatrixError::Tolerance { what, tolerance: allowed, reached, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_for_rank_one_and_for_flat_errors() {
        for (name, e) in [
            ("rank one", Mat::from_fn(60, 40, |i, j| if i == 3 && j == 7 { 2.0 } else { 0.0 })),
            ("flat", Mat::from_fn(60, 40, |i, j| if i == j { 0.5 } else { 0.0 })),
        ] {
            let norm = norm_frobenius(e.as_ref());
            let exceeded = (0..300)
                .filter(|&seed| {
                    let bound = measure(40, seed, 1e-2, |x| &e * x, |x| Mat::zeros(60, x.ncols()));
                    assert!(bound < 4.0 * norm, "{name}: {bound}");
                    bound < norm
                })
                .count();
            assert!(exceeded <= 8, "{name}: {exceeded} of 300 with a stated rate of 1e-2");
        }
    }
}
