//! Restarted GMRES with a preconditioner on the right (Saad, algorithms 6.9 and 9.5).

use super::{KrylovOptions, KrylovSolution, System, add, inner, norm};
use crate::error::MatrixError;
use crate::operator::LinearOperator;
use crate::scalar::Scalar;

/// Solves `A x = b` with the smallest residual over the Krylov space, from zero again after every `restart` vectors. The basis is orthogonalised
/// twice, so that it stays orthogonal for ill-conditioned systems.
///
/// # Errors
/// [`MatrixError::NoConvergence`], and those of wrong sizes or options.
pub fn gmres<T: Scalar>(
    a: &dyn LinearOperator<T>,
    b: &[T],
    preconditioner: Option<&dyn LinearOperator<T>>,
    options: &KrylovOptions,
) -> Result<KrylovSolution<T>, MatrixError> {
    let system = System::new("GMRES", a, b, preconditioner, options)?;
    let mut x = vec![T::ZERO; b.len()];
    let mut r = b.to_vec();
    let mut norm_r = system.norm_b;
    let mut residuals = vec![system.relative(norm_r)];
    while !system.converged(norm_r) && residuals.len() <= options.max_iterations {
        let before = norm_r;
        let steps = options.restart.min(options.max_iterations + 1 - residuals.len());
        let correction = cycle(&system, &r, norm_r, steps, &mut residuals)?;
        add(&mut x, 1.0, &system.precondition(&correction)?);
        r = system.residual(&x)?;
        norm_r = norm(&r);
        if norm_r.is_nan() || norm_r >= before * (1.0 - 1e-6) {
            break; // A whole cycle gained nothing: the same would follow.
        }
    }
    system.finish(x, norm_r, residuals)
}

/// Up to `steps` steps from the residual `r`: the combination of basis vectors whose preconditioned image is the correction.
fn cycle<T: Scalar>(
    system: &System<T>,
    r: &[T],
    norm_r: f64,
    steps: usize,
    residuals: &mut Vec<f64>,
) -> Result<Vec<T>, MatrixError> {
    let scaled = |v: &[T], factor: f64| v.iter().map(|&v| v * T::from_f64(factor)).collect::<Vec<T>>();
    let mut basis = vec![scaled(r, 1.0 / norm_r)];
    // Columns of the triangular factor, the rotations that made it, and the rotated right-hand side.
    let (mut columns, mut rotations) = (Vec::<Vec<f64>>::new(), Vec::<(f64, f64)>::new());
    let mut rhs = vec![norm_r];
    for k in 0..steps {
        let mut w = system.product(&system.precondition(&basis[k])?)?;
        let size = norm(&w);
        let mut h = vec![0.0; k + 1];
        for _ in 0..2 {
            for (h, v) in h.iter_mut().zip(&basis) {
                let component = inner(v, &w);
                *h += component;
                add(&mut w, -component, v);
            }
        }
        let below = norm(&w);
        for (i, &(c, s)) in rotations.iter().enumerate() {
            (h[i], h[i + 1]) = (c * h[i] + s * h[i + 1], c * h[i + 1] - s * h[i]);
        }
        let length = h[k].hypot(below);
        if !(length > 0.0 && length.is_finite()) {
            break;
        }
        let (c, s) = (h[k] / length, below / length);
        h[k] = length;
        columns.push(h);
        rotations.push((c, s));
        let last = rhs[k];
        rhs[k] = c * last;
        rhs.push(-s * last);
        residuals.push(system.relative((s * last).abs()));
        // The space is exhausted when nothing but rounding is left of the product.
        if system.converged((s * last).abs()) || below <= T::EPSILON * size {
            break;
        }
        basis.push(scaled(&w, 1.0 / below));
    }
    let mut y = vec![0.0; columns.len()];
    for i in (0..columns.len()).rev() {
        let known: f64 = (i + 1..columns.len()).map(|j| columns[j][i] * y[j]).sum();
        y[i] = (rhs[i] - known) / columns[i][i];
    }
    let mut correction = vec![T::ZERO; r.len()];
    for (y, v) in y.iter().zip(&basis) {
        add(&mut correction, *y, v);
    }
    Ok(correction)
}
