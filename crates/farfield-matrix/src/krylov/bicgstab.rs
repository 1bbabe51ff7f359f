//! BiCGStab with a preconditioner on the right (van der Vorst 1992; Saad, algorithm 7.7).

use super::{KrylovOptions, KrylovSolution, System, add, inner, norm};
use crate::error::MatrixError;
use crate::operator::LinearOperator;
use crate::scalar::Scalar;

/// Solves `A x = b` with two products and two preconditionings an iteration and a fixed number of vectors. After a breakdown it starts again from
/// where it is; residuals are not monotone.
///
/// # Errors
/// [`MatrixError::NoConvergence`], and those of wrong sizes or options.
pub fn bicgstab<T: Scalar>(
    a: &dyn LinearOperator<T>,
    b: &[T],
    preconditioner: Option<&dyn LinearOperator<T>>,
    options: &KrylovOptions,
) -> Result<KrylovSolution<T>, MatrixError> {
    let system = System::new("BiCGStab", a, b, preconditioner, options)?;
    let mut x = vec![T::ZERO; b.len()];
    let mut r = b.to_vec();
    let mut norm_r = system.norm_b;
    let mut residuals = vec![system.relative(norm_r)];
    let mut restarts = 0;
    while !system.converged(norm_r) && residuals.len() <= options.max_iterations && restarts < 20 {
        restarts += 1;
        let shadow = r.clone();
        let mut p = r.clone();
        let mut rho = inner(&shadow, &r);
        while !system.converged(norm_r) && residuals.len() <= options.max_iterations {
            let p_hat = system.precondition(&p)?;
            let v = system.product(&p_hat)?;
            let alpha = rho / inner(&shadow, &v);
            if !alpha.is_finite() {
                break;
            }
            add(&mut x, alpha, &p_hat);
            add(&mut r, -alpha, &v);
            let s_hat = system.precondition(&r)?;
            let t = system.product(&s_hat)?;
            let omega = inner(&t, &r) / inner(&t, &t);
            if omega.is_finite() {
                add(&mut x, omega, &s_hat);
                add(&mut r, -omega, &t);
            }
            norm_r = norm(&r);
            residuals.push(system.relative(norm_r));
            let next = inner(&shadow, &r);
            let beta = next / rho * (alpha / omega);
            // Nearly orthogonal to the shadow: another shadow is needed.
            if !beta.is_finite() || next.abs() <= T::EPSILON * norm(&shadow) * norm_r {
                break;
            }
            rho = next;
            for ((p, &r), &v) in p.iter_mut().zip(&r).zip(&v) {
                *p = r + T::from_f64(beta) * (*p - T::from_f64(omega) * v);
            }
        }
        r = system.residual(&x)?;
        norm_r = norm(&r);
        if !norm_r.is_finite() {
            break;
        }
    }
    system.finish(x, norm_r, residuals)
}
