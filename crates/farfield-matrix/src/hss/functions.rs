//! Exponential, square root and inverse square root of HSS matrices, by products and recompression alone.
//!
//! *Exponential*: scaling and squaring, `exp(A) = p(A / 2^s)^(2^s)` with a Taylor polynomial `p` of a matrix of norm
//! at most 1/2 (Higham, *Functions of Matrices*, section 10.3). Cost: about 14 + log2 ||A|| products.
//!
//! *Square roots* of a symmetric positive definite matrix: the coupled Newton-Schulz iteration (Higham, eq. 6.35) on
//! `A / c`, `c` above the largest eigenvalue,
//!
//! ```text
//! Y <- Y (3 I - Z Y) / 2,    Z <- (3 I - Z Y) Z / 2,    Y_0 = A / c,  Z_0 = I,    Y -> (A/c)^(1/2),  Z -> (A/c)^(-1/2),
//! ```
//!
//! which needs no inverses: about `log(condition number) / log(9/4)` steps and 5 more, three products each. Every
//! product is recompressed to a part of the tolerance. Residuals are computed at the end, exactly but for rounding.
//!
//! Do not use them when the function has no low-rank off-diagonal blocks (an exponential of a strongly non-normal
//! matrix), or for condition numbers near `tolerance / 1e-14`, where the truncation errors of the small eigenvalues
//! take over.

use super::Hss;
use crate::accuracy::Accuracy;
use crate::error::MatrixError;
use crate::matrix::Matrix;
use crate::norms::norm_2;
use crate::scalar::Scalar;

/// The square root and the inverse square root of a matrix.
#[derive(Clone, Debug)]
pub struct SquareRoots<T: Scalar> {
    /// `X` with `X X = A`.
    pub root: Hss<T>,
    /// `Z` with `Z A Z = I`.
    pub inverse_root: Hss<T>,
    /// `||X X - A||_F / ||A||_F`.
    pub residual: f64,
    /// `||Z A Z - I||_F / ||I||_F`.
    pub inverse_residual: f64,
}

impl<T: Scalar> Hss<T> {
    /// `exp(A)`, with truncations to a relative error of `tolerance` in all as far as errors of products of commuting
    /// matrices add up (exact for normal matrices; the condition number of the exponential of other matrices can be
    /// larger). There is no certificate.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless rows and columns have equal trees, [`MatrixError::Option`] for a bad tolerance,
    /// [`MatrixError::Tolerance`] when rounding errors do not allow it, [`MatrixError::NonFinite`] on overflow.
    pub fn exp(&self, tolerance: f64) -> Result<Self, MatrixError> {
        Accuracy::relative(tolerance)?;
        let norm = 1.1 * norm_2(self, 0.05, 0)?;
        let squarings = if norm > 0.5 { (2.0 * norm).log2().ceil() as i32 } else { 0 };
        // The remainder of degree q is below (1/2)^(q + 1) / (q + 1)!, times 1.2.
        let wanted = tolerance * 0.25 * 0.5f64.powi(squarings);
        let (mut degree, mut term) = (1, 0.5);
        while term > wanted.max(1e-17) {
            degree += 1;
            term *= 0.5 / f64::from(degree);
        }
        let each = Accuracy::relative(wanted / f64::from(degree + squarings + 1))?;
        let scaled = self.scale(T::from_f64(0.5f64.powi(squarings)))?;
        let mut sum = self.identity()?;
        for k in (1..=degree).rev() {
            let next = scaled.scale(T::from_f64(1.0 / f64::from(k)))?.multiply(&sum)?;
            sum = next.recompress(each)?.0.shift(T::ONE)?;
        }
        for _ in 0..squarings {
            sum = sum.multiply(&sum)?.recompress(each)?.0;
        }
        Ok(sum)
    }

    /// The square root and the inverse square root of a symmetric positive definite matrix, both residuals at most
    /// `tolerance`.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless rows and columns have equal trees, [`MatrixError::Option`] for a bad tolerance,
    /// [`MatrixError::NoConvergence`] when the matrix is not positive definite or too ill conditioned for the
    /// tolerance, [`MatrixError::Tolerance`] when rounding errors do not allow the tolerance.
    pub fn square_roots(&self, tolerance: f64) -> Result<SquareRoots<T>, MatrixError> {
        Accuracy::relative(tolerance)?;
        let floor = 40.0 * (self.levels() + 2) as f64 * T::EPSILON;
        let each = Accuracy::relative((1e-3 * tolerance).max(floor))?;
        let times = |a: &Self, b: &Self| Ok::<Self, MatrixError>(a.multiply(b)?.recompress(each)?.0);
        let one = self.identity()?;
        let size = (self.nrows() as f64).sqrt();
        let c = 1.1 * norm_2(self, 0.05, 0)?;
        let fail = |iterations, residual| MatrixError::NoConvergence { what: "square roots", iterations, residual };
        if c == 0.0 {
            return Err(fail(0, 1.0));
        }
        let half = T::from_f64(0.5);
        let (mut y, mut z) = (self.scale(T::from_f64(1.0 / c))?, one.clone());
        const MOST: usize = 60;
        let mut best = f64::INFINITY;
        for step in 0..MOST {
            let product = times(&z, &y)?;
            let left = product.shift(T::ZERO - T::ONE)?.norm_frobenius() / size;
            // Converged when it is small and no longer gets smaller.
            if !left.is_finite() || (left <= 0.1 * tolerance && left > 0.3 * best) || (step > 5 && left > 100.0 * best)
            {
                break;
            }
            best = best.min(left);
            let factor = product.scale(T::ZERO - half)?.shift(T::from_f64(1.5))?;
            (y, z) = (times(&y, &factor)?, times(&factor, &z)?);
            if left <= 1e-7 && left * left <= 1e-3 * tolerance {
                break;
            }
        }
        let root = y.scale(T::from_f64(c.sqrt()))?;
        let inverse_root = z.scale(T::from_f64(1.0 / c.sqrt()))?;
        let minus = T::ZERO - T::ONE;
        let residual = root.multiply(&root)?.add(&self.scale(minus)?)?.norm_frobenius() / self.norm_frobenius();
        let inside = self.multiply(&inverse_root)?.recompress(Accuracy::relative(floor)?)?.0;
        let inverse_residual = inverse_root.multiply(&inside)?.shift(minus)?.norm_frobenius() / size;
        // Not <=: a NaN is no success.
        if residual <= tolerance && inverse_residual <= tolerance {
            Ok(SquareRoots { root, inverse_root, residual, inverse_residual })
        } else {
            Err(fail(MOST, residual.max(inverse_residual)))
        }
    }

    /// The identity on the trees of this matrix, of rank 0.
    fn identity(&self) -> Result<Self, MatrixError> {
        let (u, v) = (Matrix::zeros(self.nrows(), 0), Matrix::zeros(self.ncols(), 0));
        Self::low_rank(&self.rows, &self.cols, &u, &v)?.shift(T::ONE)
    }
}
