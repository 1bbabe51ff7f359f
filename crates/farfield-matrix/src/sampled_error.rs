//! The error of a low-rank block from some of its entries, and a bound on the error of many such blocks.
//!
//! A place `(i, j)` of an `m x n` block is drawn with probability `p_ij = r_i c_j`, half uniform and half by leverage: `r_i = 1 / (2 m) + l_i / 2`, with `l_i` the mean of
//! the squared entries in row `i` of the normalised columns of `U`; `c_j` the same from `V`. Where the columns kept are large, those that were dropped mostly are too: at the ends where
//! clusters touch. With the residual `E = A - U V^T` the number `x = E_ij^2 / p_ij` has mean `||E||_F^2`. Let `X_b` be the mean of `q_b` such numbers of block `b`,
//! `S_b` the mean of their squares, and `M = sum_b ||E_b||_F^2`. Independent nonnegative numbers have light lower tails (`exp(-x) <= 1 - x + x^2 / 2`; Maurer 2003):
//!
//! ```text
//! P( sum_b X_b <= M - s ) <= exp( -s^2 / (2 sum_b S_b / q_b) ).
//! ```
//!
//! `S_b` is not known; twice its value in the sample is taken. A block whose few largest numbers decide gets more places, in the end all entries. What remains is the price of not looking at
//! all entries: an error that sits in a share `f` of the places, where nothing that was seen points to it, goes unseen with probability `(1 - f / 4)^q` or less.
//! No bound from few entries holds for a residual that is zero but for one of them.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::cross_approximation::Places;
use crate::entries::BlockEntries;
use crate::error::MatrixError;
use crate::linalg::norm_frobenius;
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

/// The squared error of one block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SquaredError {
    /// Estimate of `||E||_F^2`; its value when all entries were looked at.
    pub mean: f64,
    /// Estimate of `sqrt(S_b / q_b)`, a number of the size of the mean; zero when all entries were looked at.
    pub spread: f64,
    /// The row, in the block, of the largest error seen.
    pub worst: usize,
}

/// How hard to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Places to begin with.
    pub places: usize,
    /// Probability that the bound on all blocks may fail.
    pub failure: f64,
    /// Blocks that are looked at: the more, the less each of them weighs.
    pub blocks: usize,
    /// Errors below this are not worth more places.
    pub matters: f64,
}

/// A part of all entries from which on all are looked at: blocks of entries are cheaper than places.
const ALL: usize = 4;

impl SquaredError {
    /// That of the approximation `low` of the block of `rows` and `cols` of the user.
    ///
    /// # Errors
    /// [`MatrixError::Entry`] for an entry that is infinite or NaN among those looked at.
    pub fn sampled<T: Scalar>(
        block: &dyn BlockEntries<T>,
        (rows, cols): (&[usize], &[usize]),
        low: &LowRank<T>,
        effort: Effort,
        random: &mut ChaCha8Rng,
    ) -> Result<Self, MatrixError> {
        let (m, n) = (rows.len(), cols.len());
        let (by_rows, by_cols) = (Draws::new(m, &low.u), Draws::new(n, &low.v));
        let crosses = || (0..low.rank()).map(|k| (low.u.col_as_slice(k), low.v.col_as_slice(k)));
        let (mut count, mut more) = (0usize, effort.places);
        let (mut sum, mut squares, mut worst) = (0.0f64, 0.0f64, (0.0f64, 0));
        // Fourth powers of errors stay in range when the errors are relative to the block.
        let norm = norm_frobenius(low.u.as_ref()) * norm_frobenius(low.v.as_ref());
        let scale = if norm > 0.0 && norm.is_finite() { norm } else { 1.0 };
        while (count + more).saturating_mul(ALL) < m * n {
            let places = Places::drawn(more, || (by_rows.draw(random), by_cols.draw(random)));
            let exact = places.entries(block, rows, cols)?;
            for (k, (x, y)) in exact.iter().zip(places.products(crosses())).enumerate() {
                let (i, j) = (places.rows[k], places.cols[k]);
                let error = (x.to_f64() - y).abs() / scale;
                let square = error * error / (by_rows.chance[i] * by_cols.chance[j]);
                (sum, squares) = (sum + square, squares + square * square);
                if error > worst.0 {
                    worst = (error, i);
                }
            }
            count += more;
            more = count;
            let (mean, spread) = (sum / count as f64, squares.sqrt() / count as f64);
            // The largest `t` of a single block, with twice the second moment.
            let t = spread * (4.0 * (1.0 / effort.failure).ln()).sqrt();
            let enough = 0.5 * (effort.blocks.clamp(1, 16) as f64).sqrt();
            if scale * mean.sqrt() <= effort.matters || t <= enough * mean {
                let square = scale * scale;
                return Ok(Self { mean: square * mean, spread: square * spread, worst: worst.1 });
            }
        }
        Self::of_all_entries(block, (rows, cols), low)
    }

    /// From all entries.
    ///
    /// # Errors
    /// As [`SquaredError::sampled`].
    pub fn of_all_entries<T: Scalar>(
        block: &dyn BlockEntries<T>,
        (rows, cols): (&[usize], &[usize]),
        low: &LowRank<T>,
    ) -> Result<Self, MatrixError> {
        let m = rows.len();
        let mut column = vec![T::ZERO; m];
        let mut difference = vec![0.0f64; m];
        let (mut sum, mut worst) = (0.0f64, (0.0f64, 0));
        for j in 0..cols.len() {
            block.col(j, &mut column);
            crate::entries::check_finite(&column, rows, &cols[j..=j])?;
            difference.iter_mut().zip(&column).for_each(|(d, x)| *d = x.to_f64());
            for k in 0..low.rank() {
                let v = low.v[(j, k)].to_f64();
                difference.iter_mut().zip(low.u.col_as_slice(k)).for_each(|(d, u)| *d -= u.to_f64() * v);
            }
            for (i, d) in difference.iter().enumerate() {
                sum += d * d;
                if d.abs() > worst.0 {
                    worst = (d.abs(), i);
                }
            }
        }
        Ok(Self { mean: sum, spread: 0.0, worst: worst.1 })
    }
}

/// A bound on `M` of the module comment, which fails with a probability of at most `failure`, from `mean = sum_b X_b` and `spread`, the root of `sum_b S_b / q_b`.
pub(crate) fn upper_bound(mean: f64, spread: f64, failure: f64) -> f64 {
    if mean <= 0.0 {
        return mean;
    }
    // s = t M, with S_b relative to the squared mean: M <= mean / (1 - t). For larger t the additive form.
    let t = (4.0 * (1.0 / failure).ln()).sqrt() * spread / mean;
    if t <= 0.75 { mean / (1.0 - t) } else { mean * (1.0 + t).max(4.0) }
}

/// Indices drawn with the probabilities `r_i`, rounded to multiples of `1 / (2 m)`.
struct Draws {
    slots: Vec<usize>,
    chance: Vec<f64>,
}

impl Draws {
    /// One slot for every index, and as many again by leverage.
    fn new<T: Scalar>(m: usize, factor: &faer::Mat<T>) -> Self {
        let mut leverage = vec![0.0f64; m];
        for k in 0..factor.ncols() {
            let column = factor.col_as_slice(k);
            let norm: f64 = column.iter().map(|x| x.to_f64() * x.to_f64()).sum();
            if norm > 0.0 && norm.is_finite() {
                leverage.iter_mut().zip(column).for_each(|(l, x)| *l += x.to_f64() * x.to_f64() / norm);
            }
        }
        let total: f64 = leverage.iter().sum();
        let mut slots: Vec<usize> = (0..m).collect();
        let (mut at, mut below) = (0, leverage.first().copied().unwrap_or(0.0));
        for slot in 0..m {
            if total == 0.0 {
                slots.push(slot);
                continue;
            }
            let target = (slot as f64 + 0.5) / m as f64 * total;
            while below < target && at + 1 < m {
                at += 1;
                below += leverage[at];
            }
            slots.push(at);
        }
        let mut chance = vec![0.0; m];
        slots.iter().for_each(|&i| chance[i] += 1.0 / (2 * m) as f64);
        Self { slots, chance }
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> usize {
        self.slots[random.random_range(0..self.slots.len())]
    }
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use rand::SeedableRng;

    use super::*;
    use crate::entries::Entries;
    use crate::linalg::distance;
    use crate::matrix::Matrix;

    #[test]
    fn estimates_are_unbiased_and_bounds_hold() {
        let (m, n) = (90, 120);
        // An error in a corner, on top of a factor that is large there.
        let low = LowRank {
            u: Mat::from_fn(m, 1, |i, _| 1.0 / (1.0 + i as f64)),
            v: Mat::from_fn(n, 1, |j, _| 1.0 / (1.0 + j as f64)),
        };
        let a = Matrix::from_fn(m, n, |i, j| low.u[(i, 0)] * low.v[(j, 0)] + 1e-3 / ((1 + i) * (1 + j)) as f64);
        let (rows, cols): (Vec<usize>, Vec<usize>) = ((0..m).collect(), (0..n).collect());
        let block = Entries::block_of(&a, &rows, &cols);
        let square = distance(a.as_ref(), low.to_dense().as_ref()).powi(2);
        let all = SquaredError::of_all_entries(&*block, (&rows, &cols), &low).unwrap();
        assert!((all.mean - square).abs() <= 1e-12 * square && all.spread == 0.0);
        let effort = Effort { places: 512, failure: 1e-3, blocks: 1, matters: 0.0 };
        let mut mean = 0.0;
        for seed in 0..200 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let found = SquaredError::sampled(&*block, (&rows, &cols), &low, effort, &mut random).unwrap();
            mean += found.mean / 200.0;
            assert!(upper_bound(found.mean, found.spread, effort.failure) >= square, "seed {seed}");
        }
        assert!((mean - square).abs() <= 0.05 * square, "{mean} {square}");
    }

    #[test]
    fn chances_add_up_to_one_and_none_is_zero() {
        for factor in [Mat::zeros(17, 0), Mat::zeros(17, 2), Mat::from_fn(17, 2, |i, _| 1e-3f64.powi(i as i32))] {
            let draws = Draws::new(17, &factor);
            assert!((draws.chance.iter().sum::<f64>() - 1.0).abs() < 1e-12 && draws.slots.len() == 34);
            assert!(draws.chance.iter().all(|&p| p >= 1.0 / 34.0));
        }
    }
}
