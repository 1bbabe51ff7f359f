//! Certified norms of residuals `E = W - U V^T`.
//!
//! `U`, `V` and `W` are exact (numbers of the file); the residual is computed in double precision, and what that rounds is added. With `k` the
//! rank and `u = 2^-53`, each entry of the computed residual is off by at most `(k + 2) u (|W| + |U| |V|^T)` (Higham, *Accuracy and Stability of
//! Numerical Algorithms*, 2nd ed., (3.13)), so its Frobenius norm by at most `(k + 2) u (||W||_F + ||U||_F ||V||_F)`.
//!
//! The 2-norm of a computed `E` is bounded by a test: if a Cholesky factorisation of `mu^2 I - E^T E - c I` runs to its end in floating
//! point, with `c` above all rounding errors of it and of the product, then `||E||_2 <= mu` (Rump, *Verification of positive definiteness*, BIT
//! 46, 2006). `mu` starts at an estimate from below and grows until the test succeeds. Cost: a product and a Cholesky factorisation or two of
//! the smaller dimension.

use faer::{Mat, MatRef};
use farfield_matrix::norm_2;

use crate::dense::{Cholesky, gram, square_norm, subtract_product, to_matrix};

const U: f64 = f64::EPSILON / 2.0;

/// The residual of a low-rank block, and a bound on the Frobenius norm of the rounding errors in it.
pub(crate) struct Residual {
    pub matrix: Mat<f64>,
    pub rounding: f64,
}

impl Residual {
    /// `w - u v^T`.
    pub fn new(w: MatRef<f64>, u: MatRef<f64>, v: MatRef<f64>) -> Self {
        let mut matrix = w.to_owned();
        subtract_product(matrix.as_mut(), u, v.transpose());
        let sizes = upper_norm(w) + upper_norm(u) * upper_norm(v);
        Self { matrix, rounding: (u.ncols() + 2) as f64 * 1.01 * U * sizes }
    }

    /// `w - d` for the entries `d` of `w`, rounded; nothing if they need no rounding.
    pub fn of_rounding(w: MatRef<f64>, d: MatRef<f64>) -> Self {
        let matrix = Mat::from_fn(w.nrows(), w.ncols(), |i, j| w[(i, j)] - d[(i, j)]);
        let rounding = U * upper_norm(matrix.as_ref());
        Self { matrix, rounding }
    }

    /// An upper bound on the Frobenius norm of the exact residual.
    pub fn frobenius(&self) -> f64 {
        upper_norm(self.matrix.as_ref()) + self.rounding
    }
}

/// An upper bound on the Frobenius norm of these very numbers. Each of `k` sums of squares rounds; squares that underflow count as the
/// smallest normal number.
pub(crate) fn upper_norm(a: MatRef<f64>) -> f64 {
    let square = square_norm(a);
    if square == 0.0 && (0..a.ncols()).all(|j| (0..a.nrows()).all(|i| a[(i, j)] == 0.0)) {
        return 0.0;
    }
    let entries = (a.nrows() * a.ncols()) as f64;
    let rounding = 1.0 + 2.0 * (a.nrows() + a.ncols() + 4) as f64 * U;
    let lost = entries * f64::MIN_POSITIVE;
    ((square + lost) * rounding).sqrt()
}

/// An upper bound on `sqrt(sum x^2)`.
pub(crate) fn upper_root_sum(norms: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 4.0);
    for x in norms {
        sum += x * x;
        count += 1.0;
    }
    if sum == 0.0 { 0.0 } else { (sum * (1.0 + 2.0 * count * U)).sqrt() * (1.0 + 2.0 * U) }
}

/// A proven bound on `||a||_2`, usually within a thousandth; never above that on the Frobenius norm.
pub(crate) fn upper_spectral(a: MatRef<f64>) -> f64 {
    let frobenius = upper_norm(a);
    let n = a.nrows().min(a.ncols());
    if n == 0 || frobenius == 0.0 || !frobenius.is_finite() || n == 1 {
        return frobenius;
    }
    let Ok(estimate) = norm_2(&to_matrix(a), 1e-4, 0) else { return frobenius };
    let square = gram(a);
    let longer = a.nrows().max(a.ncols()) as f64;
    // Rounding of the Gram matrix (in the 2-norm at most ||a||_F^2 (longer + 1) u), of the shift, and of the factorisation: (n + 2) u times
    // the trace of what is factored, n mu^2 at most.
    let mut mu = estimate * 1.001;
    while mu < frobenius {
        let shift = 1.1 * U * ((longer + 2.0) * frobenius * frobenius + (n as f64 + 3.0) * n as f64 * mu * mu);
        let diagonal = mu * mu - shift;
        let test = Mat::from_fn(n, n, |i, j| if i == j { diagonal - square[(i, j)] } else { -square[(i, j)] });
        if diagonal > 0.0 && Cholesky::new(test).is_some() {
            return mu * (1.0 + 4.0 * U);
        }
        mu *= 1.02;
    }
    frobenius
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::product;

    #[test]
    fn bounds_hold_and_are_sharp() {
        for (m, n) in [(30, 20), (20, 30), (1, 7), (40, 40)] {
            let a = Mat::from_fn(m, n, |i, j| ((3 * i + 5 * j) as f64).sin() + if i == j { 2.0 } else { 0.0 });
            let s = to_matrix(a.as_ref()).svd().unwrap().s;
            let frobenius = s.iter().map(|s| s * s).sum::<f64>().sqrt();
            let (spectral, upper) = (upper_spectral(a.as_ref()), upper_norm(a.as_ref()));
            assert!(spectral >= s[0] && spectral <= 1.003 * s[0], "{spectral} {}", s[0]);
            assert!(upper >= frobenius * (1.0 - 1e-14) && upper <= frobenius * (1.0 + 1e-12));
        }
        assert_eq!(upper_spectral(Mat::<f64>::zeros(3, 0).as_ref()), 0.0);
        assert_eq!(upper_spectral(Mat::<f64>::zeros(3, 3).as_ref()), 0.0);
    }

    #[test]
    fn the_residual_of_exact_factors_is_nothing_but_rounding() {
        let u = Mat::from_fn(20, 3, |i, j| ((i + 7 * j) as f64).cos());
        let v = Mat::from_fn(15, 3, |i, j| ((2 * i + j) as f64).sin());
        let w = product(u.as_ref(), v.as_ref().transpose());
        let bound = Residual::new(w.as_ref(), u.as_ref(), v.as_ref()).frobenius();
        assert!(bound > 0.0 && bound < 1e-12, "{bound}");
    }
}
