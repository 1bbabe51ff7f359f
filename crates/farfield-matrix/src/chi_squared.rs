//! The Frobenius norm of a matrix from its products with Gaussian vectors, as a bound that fails with a stated probability.
//!
//! For `E` with singular values `s_i` and `q` independent standard normal vectors `g`, `X = sum ||E g||^2` is `sum_i s_i^2 chi_i`, each `chi_i`
//! chi-squared with `q` degrees of freedom. For `t > 0`, `E exp(-t X) = prod (1 + 2 t s_i^2)^{-q/2} <= (1 + 2 t ||E||_F^2)^{-q/2}`, so by
//! Chernoff's inequality with the best `t`, whatever the singular values,
//!
//! ```text
//! P( X / q <= x ||E||_F^2 ) <= (x e^{1 - x})^{q/2},   0 < x < 1.
//! ```
//!
//! So `||E||_F <= sqrt(X / (x q))` but for that probability. Cost: one product with `q` vectors.

/// The `x` of the module comment for `q` vectors and a probability of `failure`: the share of its mean below which the measured square lies
/// with at most that probability.
pub(crate) fn lower_share(q: usize, failure: f64) -> f64 {
    let target = 2.0 / q as f64 * failure.ln();
    // ln x + 1 - x rises from minus infinity to 0 on (0, 1); bisection in ln x.
    let (mut low, mut high) = (target - 1.0, 0.0f64);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle + 1.0 - middle.exp() < target { low = middle } else { high = middle }
    }
    low.exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::gaussian;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_share_belongs_to_its_probability() {
        for (q, failure) in [(1, 1e-3), (8, 1e-2), (10, 1e-6), (10, 0.5), (16, 1e-2), (32, 1e-6), (100, 0.5)] {
            let x = lower_share(q, failure);
            assert!(x > 0.0 && x < 1.0);
            let probability = (x * (1.0 - x).exp()).powf(q as f64 / 2.0);
            assert!((probability / failure - 1.0).abs() < 1e-6, "{q} {failure} {x} {probability}");
        }
    }

    #[test]
    fn the_bound_fails_no_more_often_than_stated() {
        // The worst case, one singular value: X is chi-squared.
        let (q, failure, trials) = (6, 0.05, 4000);
        let share = lower_share(q, failure);
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let missed = (0..trials)
            .filter(|_| {
                let g = gaussian::<f64>(q, 1, &mut random);
                g.norm_frobenius().powi(2) / (share * q as f64) < 1.0
            })
            .count();
        assert!((missed as f64) <= failure * f64::from(trials), "{missed} of {trials}");
        assert!(missed > 0, "a bound that never fails is not tight");
        assert!(lower_share(20, 1e-6) > 0.1 && lower_share(200, 1e-6) > 0.5);
    }
}
