//! Iterative solutions of `A x = b` by products with `A` alone, preconditioned by any operator that acts about as `A^-1`.
//!
//! | method | for | products an iteration |
//! | --- | --- | --- |
//! | [`conjugate_gradients`] | symmetric positive definite `A` and preconditioner | 1 |
//! | [`gmres`] | any `A`; smallest residual, stores `restart` vectors | 1 |
//! | [`bicgstab`] | any `A`; short recurrence, may break down | 2 |
//!
//! Y. Saad, *Iterative Methods for Sparse Linear Systems* (2003), algorithms 9.1, 6.11 with 9.3.2, and 7.7. Preconditioners of nonsymmetric methods
//! stand on the right, so that all residuals are those of `A x = b`. When a recurrence says that it has converged, the residual
//! `b - A x` is computed itself, and the iteration goes on from there if it is too large.

mod bicgstab;
mod conjugate_gradients;
mod gmres;

pub use bicgstab::bicgstab;
pub use conjugate_gradients::conjugate_gradients;
pub use gmres::gmres;

use crate::error::MatrixError;
use crate::matrix::Matrix;
use crate::operator::LinearOperator;
use crate::scalar::Scalar;

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KrylovOptions {
    /// Residual to reach, `||b - A x|| <= tolerance ||b||`. Default `1e-10`.
    pub tolerance: f64,
    /// Most iterations. Default 1000.
    pub max_iterations: usize,
    /// Vectors that GMRES keeps before it starts again. Default 50.
    pub restart: usize,
}

impl Default for KrylovOptions {
    fn default() -> Self {
        Self { tolerance: 1e-10, max_iterations: 1000, restart: 50 }
    }
}

/// What an iteration found.
#[derive(Clone, Debug, PartialEq)]
pub struct KrylovSolution<T> {
    /// The solution.
    pub x: Vec<T>,
    /// Iterations made.
    pub iterations: usize,
    /// `||b - A x|| / ||b||` before the first iteration and after each, by the recurrence; the last is computed from `x`.
    pub residuals: Vec<f64>,
}

/// A system and its preconditioner, checked.
struct System<'a, T: Scalar> {
    what: &'static str,
    a: &'a dyn LinearOperator<T>,
    preconditioner: Option<&'a dyn LinearOperator<T>>,
    b: &'a [T],
    norm_b: f64,
    options: KrylovOptions,
}

impl<'a, T: Scalar> System<'a, T> {
    fn new(
        what: &'static str,
        a: &'a dyn LinearOperator<T>,
        b: &'a [T],
        preconditioner: Option<&'a dyn LinearOperator<T>>,
        options: &KrylovOptions,
    ) -> Result<Self, MatrixError> {
        let n = a.nrows();
        let square = |what: &'static str, op: &dyn LinearOperator<T>| {
            let rule = "a square operator of the order of the system is needed";
            let (left_out, left_in) = (op.nrows(), op.ncols());
            let error = MatrixError::Shapes { operation: what, left_out, left_in, right_out: n, right_in: 1, rule };
            if (left_out, left_in) == (n, n) { Ok(()) } else { Err(error) }
        };
        square(what, a)?;
        if let Some(m) = preconditioner {
            square("preconditioner", m)?;
        }
        if b.len() != n {
            return Err(MatrixError::Length { what, got: b.len(), expected: n });
        }
        if !(options.tolerance > 0.0 && options.tolerance.is_finite()) {
            let rule = "a tolerance must be a positive finite number";
            return Err(MatrixError::Option { name: "tolerance", value: options.tolerance.to_string(), rule });
        }
        if options.restart == 0 {
            let rule = "GMRES keeps at least one vector";
            return Err(MatrixError::Option { name: "restart", value: "0".to_owned(), rule });
        }
        if let Some(row) = b.iter().position(|x| !Scalar::is_finite(*x)) {
            return Err(MatrixError::Entry { row, col: 0, value: b[row].to_f64() });
        }
        Ok(Self { what, a, preconditioner, b, norm_b: norm(b), options: *options })
    }

    fn product(&self, x: &[T]) -> Result<Vec<T>, MatrixError> {
        Ok(self.a.apply(&Matrix::from_vector(x))?.col(0).to_vec())
    }

    fn precondition(&self, x: &[T]) -> Result<Vec<T>, MatrixError> {
        match self.preconditioner {
            Some(m) => Ok(m.apply(&Matrix::from_vector(x))?.col(0).to_vec()),
            None => Ok(x.to_vec()),
        }
    }

    /// `b - A x`.
    fn residual(&self, x: &[T]) -> Result<Vec<T>, MatrixError> {
        let mut r = self.product(x)?;
        for (r, &b) in r.iter_mut().zip(self.b) {
            *r = b - *r;
        }
        Ok(r)
    }

    /// Whether a residual of this norm is small enough.
    fn converged(&self, norm: f64) -> bool {
        norm <= self.options.tolerance * self.norm_b
    }

    fn relative(&self, norm: f64) -> f64 {
        if self.norm_b > 0.0 { norm / self.norm_b } else { norm }
    }

    /// The result, or the error when the residual `norm` of `x` is too large.
    fn finish(&self, x: Vec<T>, norm: f64, mut residuals: Vec<f64>) -> Result<KrylovSolution<T>, MatrixError> {
        let (iterations, residual) = (residuals.len() - 1, self.relative(norm));
        if !self.converged(norm) {
            return Err(MatrixError::NoConvergence { what: self.what, iterations, residual });
        }
        residuals[iterations] = residual;
        Ok(KrylovSolution { x, iterations, residuals })
    }
}

/// Inner product, summed in f64.
fn inner<T: Scalar>(a: &[T], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()).sum()
}

fn norm<T: Scalar>(a: &[T]) -> f64 {
    inner(a, a).sqrt()
}

/// `y += alpha x`.
fn add<T: Scalar>(y: &mut [T], alpha: f64, x: &[T]) {
    let alpha = T::from_f64(alpha);
    for (y, &x) in y.iter_mut().zip(x) {
        *y += alpha * x;
    }
}
