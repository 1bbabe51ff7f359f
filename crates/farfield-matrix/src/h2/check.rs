//! The error of an H2-matrix, from rows of the true matrix.
//!
//! Only rows with a far field can have an error but for rounding. Of these `n` rows some are drawn at random without replacement and compared whole: were
//! they drawn from all rows, those few that have a far field in a small or narrow matrix could all be missed. With squared row errors `e_i`, `n mean(e)` estimates
//! `||A - H||_F^2`; the bound adds the deviation of the mean by the empirical Bernstein inequality (Maurer & Pontil 2009, theorem 4) for squared row errors between 0
//! and four times the largest one seen. That range is the one assumption behind the stated failure probability: an error that sits in a few of these rows only,
//! none of which was drawn, is not seen. When all of them are compared the bound is proven.

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

/// Entries of the true matrix that are held at a time, if that is at least eight rows.
const HELD: usize = 1 << 22;

/// Rows of the true matrix.
pub(super) struct RowSample<'a, T> {
    entries: &'a dyn Entries<T>,
    /// Rows to compare.
    rows: Vec<usize>,
    /// Number of rows with a far field.
    far: usize,
    norm: f64,
    /// Rows that are held at a time.
    held: usize,
}

impl<'a, T: Scalar> RowSample<'a, T> {
    /// `far`: the rows with a far field.
    ///
    /// # Errors
    /// [`MatrixError::Entry`] for an entry that is not finite.
    pub fn new(entries: &'a dyn Entries<T>, far: &[usize], seed: u64) -> Result<Self, MatrixError> {
        let m = entries.nrows();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn = |count: usize| match count <= ROWS {
            true => (0..count).collect(),
            false => rand::seq::index::sample(&mut rng, count, ROWS).into_vec(),
        };
        let of_norm = drawn(m);
        let rows = match far.len() == m {
            true => of_norm.clone(),
            false => drawn(far.len()).into_iter().map(|i| far[i]).collect(),
        };
        let held = (HELD / entries.ncols().max(1)).clamp(8, ROWS);
        let mut sample = Self { entries, rows, far: far.len(), norm: 0.0, held };
        let mut norms = Vec::new();
        for rows in of_norm.chunks(sample.held) {
            let exact = sample.exact(rows);
            if let Some((j, col)) = exact.first_non_finite() {
                return Err(MatrixError::Entry { row: rows[j], col, value: exact[(j, col)].to_f64() });
            }
            norms.push(exact.norm_frobenius());
        }
        let sampled = norms.iter().fold(0.0, |sum: f64, x| sum.hypot(*x));
        sample.norm = sampled * (m as f64 / of_norm.len() as f64).sqrt();
        Ok(sample)
    }

    /// Estimate of `||A||_F`; exact when all rows are here.
    pub fn norm(&self) -> f64 {
        self.norm
    }

    /// These rows of the true matrix.
    fn exact(&self, rows: &[usize]) -> Matrix<T> {
        let all: Vec<usize> = (0..self.entries.ncols()).collect();
        let mut block = vec![T::ZERO; rows.len() * all.len()];
        self.entries.block(rows, &all, &mut block);
        Matrix::from_fn(rows.len(), all.len(), |i, j| block[i + j * rows.len()])
    }

    /// A bound on `||A - H||_F` that fails with at most the stated probability.
    pub fn bound(&self, h: &H2Matrix<T>, failure: f64) -> Bound {
        let mut errors = Vec::with_capacity(self.rows.len());
        for rows in self.rows.chunks(self.held) {
            let (exact, approximation) = (self.exact(rows), h.lines_at(rows, false));
            for i in 0..rows.len() {
                let pairs = approximation.col(i).iter().enumerate();
                errors.push(pairs.map(|(j, b)| (exact[(i, j)].to_f64() - b.to_f64()).powi(2)).sum::<f64>());
            }
        }
        // Products with H sum up to n terms; rounding of the comparison itself, and of near blocks in single precision.
        let unit = if h.is_single() { T::EPSILON.max(f64::from(f32::EPSILON) / 8.0) } else { T::EPSILON };
        let rounding = 4.0 * unit * self.norm;
        let (count, far) = (errors.len() as f64, self.far as f64);
        if errors.len() == self.far {
            return Bound::proven(errors.iter().sum::<f64>().sqrt() + rounding);
        }
        let mean = errors.iter().sum::<f64>() / count;
        let variance = errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let range = 4.0 * errors.iter().copied().fold(0.0, f64::max);
        let log = (2.0 / failure).ln();
        let high = mean + (2.0 * variance * log / count).sqrt() + 7.0 * range * log / (3.0 * (count - 1.0));
        Bound::probabilistic((high * far).sqrt() + rounding, failure)
    }
}
