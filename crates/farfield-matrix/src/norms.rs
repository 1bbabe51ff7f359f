//! The 2-norm of an operator that is known by its products.
//!
//! Golub-Kahan-Lanczos bidiagonalisation with full reorthogonalisation (Golub & Van Loan, section 10.4.1): after `k`
//! steps `A P_k = Q_k B_k` with `B_k` bidiagonal, the largest singular value of `B_k` is a lower bound of that of
//! `A`, and a residual says how far it is from a singular value of `A`. From a random start the largest one is found:
//! after `k` steps the relative error of `||A||_2^2` exceeds `e` with a probability of at most `1.65 sqrt(n) exp(-(2
//! k - 1) sqrt(e))` (Kuczynski & Wozniakowski 1992, theorem 4.2).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::error::MatrixError;
use crate::linalg::left_singular;
use crate::matrix::Matrix;
use crate::operator::LinearOperator;
use crate::scalar::Scalar;

/// `||A||_2` to a relative accuracy of `accuracy` (at least `1e-12`; for `f32` at least `1e-5`), never above it but
/// for rounding. Stops when the residual of the Ritz value is below `accuracy` times it, or when the probability
/// stated above, for this accuracy, is below `1e-10`. The starting vector is made from `seed`. Cost: two products a
/// step, typically 10 to 50 steps; O(n k) memory for `k` steps.
///
/// ```
/// use farfield_matrix::{Matrix, norm_2};
/// let a = Matrix::from_fn(50, 50, |i, j| if i == j { 1.0 + i as f64 } else { 0.0 });
/// assert!((norm_2(&a, 1e-8, 0)? - 50.0).abs() < 1e-6);
/// # Ok::<(), farfield_matrix::MatrixError>(())
/// ```
///
/// # Errors
/// [`MatrixError::Option`] unless `accuracy` is between 0 and 1, [`MatrixError::NoConvergence`] after 1000 steps, and
/// the errors of the operator.
pub fn norm_2<T: Scalar>(a: &dyn LinearOperator<T>, accuracy: f64, seed: u64) -> Result<f64, MatrixError> {
    if !(accuracy > 0.0 && accuracy < 1.0) {
        let rule = "must be between 0 and 1";
        return Err(MatrixError::Option { name: "accuracy", value: accuracy.to_string(), rule });
    }
    let accuracy = accuracy.max(4500.0 * T::EPSILON).min(0.5);
    let (m, n) = (a.nrows(), a.ncols());
    if m == 0 || n == 0 {
        return Ok(0.0);
    }
    // The starting vector in the smaller space, which a basis exhausts the sooner.
    let wide = m < n;
    let forward = |x: &Matrix<T>| if wide { a.apply_transpose(x) } else { a.apply(x) };
    let backward = |x: &Matrix<T>| if wide { a.apply(x) } else { a.apply_transpose(x) };
    let n = m.min(n);
    let most = n.min(1000);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut p: Vec<f64> = (0..n).map(|_| rng.sample(StandardNormal)).collect();
    let size = norm(&p);
    p.iter_mut().for_each(|x| *x /= size);
    let (mut ps, mut qs): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (vec![p], Vec::new());
    let (mut alphas, mut betas): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let (mut value, mut residual) = (0.0, f64::INFINITY);
    for k in 0..most {
        let mut q = column(&forward(&vector(&ps[k]))?);
        orthogonalise(&mut q, &qs);
        let alpha = norm(&q);
        alphas.push(alpha);
        let mut next = if alpha > 0.0 {
            q.iter_mut().for_each(|x| *x /= alpha);
            column(&backward(&vector(&q))?)
        } else {
            vec![0.0; n]
        };
        qs.push(q);
        orthogonalise(&mut next, &ps);
        let beta = norm(&next);
        // Largest singular value of the bidiagonal matrix, and the last entry of its left vector.
        let b = faer::Mat::from_fn(k + 1, k + 1, |i, j| {
            if i == j {
                alphas[i]
            } else if i + 1 == j {
                betas[i]
            } else {
                0.0
            }
        });
        if k < 8 || k % 4 == 3 || k + 1 == most {
            let (u, s) = left_singular(b.as_ref());
            value = s[0];
            residual = beta * u[(k, 0)].abs();
        }
        if !value.is_finite() || !beta.is_finite() {
            break;
        }
        let unlikely = 1.65 * (n as f64).sqrt() * (-((2 * k + 1) as f64) * (2.0 * accuracy).sqrt()).exp() < 1e-10;
        // An early Ritz value may belong to a smaller singular value: at least four steps agree.
        if (k >= 4 && residual <= 0.1 * accuracy * value) || unlikely || beta <= f64::EPSILON * value || value == 0.0 {
            let (_, s) = left_singular(b.as_ref());
            return Ok(s[0]);
        }
        next.iter_mut().for_each(|x| *x /= beta);
        ps.push(next);
        betas.push(beta);
    }
    if most == n && value.is_finite() {
        return Ok(value);
    }
    Err(MatrixError::NoConvergence { what: "2-norm", iterations: alphas.len(), residual: residual / value })
}

fn vector<T: Scalar>(x: &[f64]) -> Matrix<T> {
    Matrix::from_fn(x.len(), 1, |i, _| T::from_f64(x[i]))
}

fn column<T: Scalar>(x: &Matrix<T>) -> Vec<f64> {
    x.col(0).iter().map(|x| x.to_f64()).collect()
}

fn norm(x: &[f64]) -> f64 {
    crate::linalg::norm_frobenius(faer::MatRef::from_column_major_slice(x, x.len(), 1))
}

/// Twice is enough.
fn orthogonalise(x: &mut [f64], basis: &[Vec<f64>]) {
    for _ in 0..2 {
        for q in basis {
            let c: f64 = q.iter().zip(&*x).map(|(q, x)| q * x).sum();
            x.iter_mut().zip(q).for_each(|(x, q)| *x -= c * q);
        }
    }
}
