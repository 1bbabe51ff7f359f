//! Conjugate gradients (Saad, algorithm 9.1).

use super::{KrylovOptions, KrylovSolution, System, add, inner, norm};
use crate::error::MatrixError;
use crate::operator::LinearOperator;
use crate::scalar::Scalar;

/// Solves `A x = b` for a symmetric positive definite `A`; so must the preconditioner be. The error in the `A`-norm falls at least by
/// `(sqrt(k) - 1) / (sqrt(k) + 1)` an iteration, `k` the condition number of the preconditioned matrix.
///
/// ```
/// use farfield_matrix::{Matrix, krylov::{KrylovOptions, conjugate_gradients}};
/// let a = Matrix::from_fn(3, 3, |i, j| if i == j { 2.0f64 } else if i.abs_diff(j) == 1 { -1.0 } else { 0.0 });
/// let solution = conjugate_gradients(&a, &[0.0, 0.0, 4.0], None, &KrylovOptions::default())?;
/// assert!((solution.x[2] - 3.0).abs() < 1e-9 && solution.iterations <= 3);
/// # Ok::<(), farfield_matrix::MatrixError>(())
/// ```
///
/// # Errors
/// [`MatrixError::NotPositiveDefinite`] when `p^T A p <= 0` for a direction `p`, or `r^T M r <= 0` for a residual, [`MatrixError::NoConvergence`], and
/// those of wrong sizes or options.
pub fn conjugate_gradients<T: Scalar>(
    a: &dyn LinearOperator<T>,
    b: &[T],
    preconditioner: Option<&dyn LinearOperator<T>>,
    options: &KrylovOptions,
) -> Result<KrylovSolution<T>, MatrixError> {
    let what = "conjugate gradients";
    let system = System::new(what, a, b, preconditioner, options)?;
    let mut x = vec![T::ZERO; b.len()];
    let mut r = b.to_vec();
    let mut norm_r = system.norm_b;
    let mut residuals = vec![system.relative(norm_r)];
    // A start again from the true residual that gains nothing ends the iteration: the rounding level is reached.
    let mut best = f64::INFINITY;
    while !system.converged(norm_r) && norm_r < 0.5 * best && residuals.len() <= options.max_iterations {
        best = norm_r;
        let mut z = system.precondition(&r)?;
        let mut p = z.clone();
        let mut rz = inner(&r, &z);
        while !system.converged(norm_r) && residuals.len() <= options.max_iterations {
            let ap = system.product(&p)?;
            let curvature = inner(&p, &ap);
            if !(curvature > 0.0 && rz > 0.0) {
                let place = format!("p^T A p = {curvature:.3e}, r^T M r = {rz:.3e} in iteration {}", residuals.len());
                return Err(MatrixError::NotPositiveDefinite { what, place });
            }
            let alpha = rz / curvature;
            add(&mut x, alpha, &p);
            add(&mut r, -alpha, &ap);
            norm_r = norm(&r);
            residuals.push(system.relative(norm_r));
            z = system.precondition(&r)?;
            let next = inner(&r, &z);
            let beta = next / rz;
            rz = next;
            for (p, &z) in p.iter_mut().zip(&z) {
                *p = z + T::from_f64(beta) * *p;
            }
        }
        r = system.residual(&x)?;
        norm_r = norm(&r);
    }
    system.finish(x, norm_r, residuals)
}
