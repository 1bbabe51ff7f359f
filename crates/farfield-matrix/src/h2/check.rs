//! The error of an H2-matrix, from rows of the true matrix.
//!
//! Rows are drawn at random without replacement and compared whole. With squared row errors `e_i`, `n mean(e)` estimates `||A - H||_F^2`; the bound adds the deviation
//! of the mean by the empirical Bernstein inequality (Maurer & Pontil 2009, theorem 4) for row errors between 0 and twice the largest one seen.
//! That range is the one assumption behind the stated failure probability: an error that sits in a few rows only, none of which was drawn, is not seen. When all
//! rows are compared the bound is proven.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::H2Matrix;
use crate::certificate::Bound;
use crate::entries::Entries;
use crate::error::MatrixError;
use crate::matrix::Matrix;
use crate::scalar::Scalar;

/// Rows compared; all of them in a matrix of at most this many.
const ROWS: usize = 64;

/// Rows of the true matrix.
pub(super) struct RowSample<T> {
    rows: Vec<usize>,
    /// Row `rows[j]` as column `j`.
    exact: Matrix<T>,
    nrows: usize,
}

impl<T: Scalar> RowSample<T> {
    /// # Errors
    /// [`MatrixError::Entry`] for an entry that is not finite.
    pub fn new(entries: &dyn Entries<T>, seed: u64) -> Result<Self, MatrixError> {
        let (m, n) = (entries.nrows(), entries.ncols());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows = if m <= ROWS { (0..m).collect() } else { rand::seq::index::sample(&mut rng, m, ROWS).into_vec() };
        let all: Vec<usize> = (0..n).collect();
        let mut block = vec![T::ZERO; n * rows.len()];
        entries.block(&rows, &all, &mut block);
        let exact = Matrix::from_fn(n, rows.len(), |i, j| block[j + i * rows.len()]);
        if let Some((col, j)) = exact.first_non_finite() {
            return Err(MatrixError::Entry { row: rows[j], col, value: exact[(col, j)].to_f64() });
        }
        Ok(Self { rows, exact, nrows: m })
    }

    /// Estimate of `||A||_F`; exact when all rows are here.
    pub fn norm(&self) -> f64 {
        self.exact.norm_frobenius() * (self.nrows as f64 / self.rows.len() as f64).sqrt()
    }

    /// A bound on `||A - H||_F` that fails with at most the stated probability, and the estimate itself.
    pub fn bound(&self, h: &H2Matrix<T>, failure: f64) -> (Bound, f64) {
        let approximation = h.rows_at(&self.rows);
        let errors: Vec<f64> = (0..self.rows.len())
            .map(|j| {
                let pairs = self.exact.col(j).iter().zip(approximation.col(j));
                pairs.map(|(a, b)| (a.to_f64() - b.to_f64()).powi(2)).sum()
            })
            .collect();
        let count = errors.len() as f64;
        let mean = errors.iter().sum::<f64>() / count;
        let estimate = (mean * self.nrows as f64).sqrt();
        // Products with H sum up to n terms; rounding of the comparison itself.
        let rounding = 4.0 * T::EPSILON * self.norm();
        if self.rows.len() == self.nrows {
            return (Bound::proven(estimate + rounding), estimate);
        }
        let variance = errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let range = 2.0 * errors.iter().copied().fold(0.0, f64::max);
        let log = (2.0 / failure).ln();
        let high = mean + (2.0 * variance * log / count).sqrt() + 7.0 * range * log / (3.0 * (count - 1.0));
        (Bound::probabilistic((high * self.nrows as f64).sqrt() + rounding, failure), estimate)
    }
}
