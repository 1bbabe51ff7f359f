//! The Frobenius norm of a matrix from its products with Gaussian vectors, as a bound that fails with a stated probability.
//!
//! For `E` with singular values `s_i` and `q` independent standard normal vectors `g`, `X = sum ||E g||^2` is `sum_i s_i^2 chi_i`, each `chi_i`
//! chi-squared with `q` degrees of freedom. For `t > 0`, `E exp(-t X) = prod (1 + 2 t s_i^2)^{-q/2} <= (1 + 2 t ||E||_F^2)^{-q/2}`, so by
//! Chernoff's inequality, whatever the singular values,
//!
//! ```text
//! P( X / q <= theta ||E||_F^2 ) <= (theta e^{1 - theta})^{q/2},   0 < theta < 1.
//! ```

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::matrix::Matrix;
use crate::scalar::Scalar;

/// Independent standard normal entries.
pub(super) fn gaussian<T: Scalar>(nrows: usize, ncols: usize, random: &mut ChaCha8Rng) -> Matrix<T> {
    Matrix::from_fn(nrows, ncols, |_, _| T::from_f64(random.sample::<f64, _>(StandardNormal)))
}

/// What the mean of `||E g||^2` over `q` vectors is multiplied by to bound `||E||_F^2` but for a probability of `failure`.
pub(super) fn inflation(q: usize, failure: f64) -> f64 {
    let log_failure = |theta: f64| 0.5 * q as f64 * (theta.ln() + 1.0 - theta);
    let (mut low, mut high) = (f64::MIN_POSITIVE, 1.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if log_failure(middle) <= failure.ln() { low = middle } else { high = middle }
    }
    1.0 / low
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_bound_fails_no_more_often_than_stated() {
        // The worst case, one singular value: X is chi-squared.
        let (q, failure, trials) = (6, 0.05, 4000);
        let factor = inflation(q, failure);
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let missed = (0..trials)
            .filter(|_| {
                let g = gaussian::<f64>(q, 1, &mut random);
                factor * g.norm_frobenius().powi(2) / (q as f64) < 1.0
            })
            .count();
        assert!((missed as f64) <= failure * f64::from(trials), "{missed} of {trials}");
        assert!(missed > 0, "a bound that never fails is not tight");
        assert!(inflation(20, 1e-6) < 10.0 && inflation(200, 1e-6) < 2.0);
    }
}
