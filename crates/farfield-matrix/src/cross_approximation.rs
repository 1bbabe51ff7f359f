//! Low-rank approximation of a block from a few of its rows and columns: adaptive cross approximation with partial pivoting.
//!
//! Step k takes row `i` of the residual `R_k = A - U V^T`, the column `j` of its largest entry, and adds the cross
//! `R_k[:, j] R_k[i, :] / R_k[i, j]`; the next row is where the column was largest. It stops when a cross is small beside the sum. Bebendorf
//! (Numerische Mathematik 2000); Hackbusch, *Hierarchical Matrices* (2015), section 9.4. Cost: O(k^2 (m + n)) operations and
//! O(k (m + n)) entries for rank k.
//!
//! # What can go wrong, and the check
//! The stopping rule sees only the rows and columns that were visited. A row that is zero says nothing about the others; a block
//! `diag(A_1, A_2)` is done when `A_1` is; a block that vanishes on the rows visited looks like zero. So, whenever the rule says stop, entries
//! at random places (`max(m, n)` of them, 64 to 512, no matter where the pivots were), two rows and two columns are compared with
//! the approximation. When the error they show is above the tolerance the iteration starts again in the worst row seen, and is checked again with
//! other places. Where the rank is 3 or less the check takes four times as many places, and the first and last row and column, where neighbouring clusters
//! of a sparse matrix meet. A part of the block with a share `f` of its rows and of its columns that was missed is found but for a probability of
//! `(1 - f^2)^64` or less a check. An approximation whose rank comes to where the dense block is smaller is given up, and the caller
//! takes the block as it is.
//!
//! [`Hodlr::from_entries`](crate::Hodlr::from_entries) has a search of its own over the same [`Crosses`]: its tolerance is absolute, its check is the sample that its certificate is made
//! of, and the crosses go on where that sample shows an error. Here the tolerance is a part of the norm of the block itself, which is known only as far as the crosses
//! go, and a search that becomes too expensive is given up.
//!
//! Not for a block with single large entries in a sea of small ones: no method that looks at few entries finds them.

use faer::Mat;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::entries::{BlockEntries, Entries, check_finite};
use crate::error::MatrixError;
use crate::linalg::{dot, subtract_multiple, sum_of_squares};
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

/// Consecutive rows without an entry after which the block is checked.
const ZERO_ROWS: usize = 3;

/// Rank up to which the check looks harder.
const THIN: usize = 3;

/// Part of the tolerance at which a cross is small.
const STOP: f64 = 0.3;

/// Part of the tolerance that the check allows.
const CHECK: f64 = 0.5;

/// Part of the tolerance that is left to recompression.
const RECOMPRESS: f64 = 0.8;

/// The approximation of the block of `rows` and `cols` (in the user's order) to an error of about `tolerance(||A||_F)`, recompressed by singular
/// values; nothing when its rank reaches `most`.
///
/// # Errors
/// [`MatrixError::Entry`] when an entry that was asked for is infinite or NaN.
pub(crate) fn cross_approximation<T: Scalar>(
    entries: &dyn Entries<T>,
    rows: &[usize],
    cols: &[usize],
    tolerance: &dyn Fn(f64) -> f64,
    most: usize,
    seed: u64,
) -> Result<Option<LowRank<T>>, MatrixError> {
    let mut search = Search::new(entries, rows, cols, seed);
    let mut next = Some(0);
    while let Some(row) = next {
        if !search.run(row, tolerance, most)? {
            return Ok(None);
        }
        next = search.worst_row(tolerance)?;
    }
    Ok(Some(search.crosses.low_rank().truncated_by(|norm| RECOMPRESS * tolerance(norm)).0))
}

/// Places of a block.
pub(crate) struct Places {
    pub rows: Vec<usize>,
    pub cols: Vec<usize>,
}

impl Places {
    /// So many places, as `draw` gives them.
    pub fn drawn(count: usize, mut draw: impl FnMut() -> (usize, usize)) -> Self {
        let (rows, cols) = (0..count).map(|_| draw()).unzip();
        Self { rows, cols }
    }

    /// The entries there, of a block with these rows and columns in the user's order.
    pub fn entries<T: Scalar>(
        &self,
        block: &dyn BlockEntries<T>,
        rows: &[usize],
        cols: &[usize],
    ) -> Result<Vec<T>, MatrixError> {
        let mut values = vec![T::ZERO; self.rows.len()];
        block.places(&self.rows, &self.cols, &mut values);
        match values.iter().position(|x| !Scalar::is_finite(*x)) {
            None => Ok(values),
            Some(p) => {
                let (row, col) = (rows[self.rows[p]], cols[self.cols[p]]);
                Err(MatrixError::Entry { row, col, value: values[p].to_f64() })
            }
        }
    }

    /// The entries there of the sum of the outer products of `crosses`.
    pub fn products<'a, T: Scalar>(&self, crosses: impl Iterator<Item = (&'a [T], &'a [T])>) -> Vec<f64> {
        let mut sums = vec![0.0; self.rows.len()];
        for (u, v) in crosses {
            for ((sum, &i), &j) in sums.iter_mut().zip(&self.rows).zip(&self.cols) {
                *sum += u[i].to_f64() * v[j].to_f64();
            }
        }
        sums
    }
}

/// A cross approximation `U V^T` of a block under construction.
pub(crate) struct Crosses<'a, T> {
    pub block: Box<dyn BlockEntries<T> + 'a>,
    rows: &'a [usize],
    cols: &'a [usize],
    rank: usize,
    /// Columns of `U` one after the other.
    u: Vec<T>,
    v: Vec<T>,
}

impl<'a, T: Scalar> Crosses<'a, T> {
    /// No cross yet.
    pub fn new(block: Box<dyn BlockEntries<T> + 'a>, rows: &'a [usize], cols: &'a [usize]) -> Self {
        Self { block, rows, cols, rank: 0, u: Vec::new(), v: Vec::new() }
    }

    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The columns of `U` and `V`. Not for an empty block.
    pub fn pairs(&self) -> impl Iterator<Item = (&[T], &[T])> {
        self.u.chunks_exact(self.rows.len()).zip(self.v.chunks_exact(self.cols.len()))
    }

    /// Adds `u v^T`.
    pub fn push(&mut self, u: Vec<T>, v: Vec<T>) {
        self.u.extend(u);
        self.v.extend(v);
        self.rank += 1;
    }

    /// `U V^T`.
    pub fn low_rank(&self) -> LowRank<T> {
        let (m, n) = (self.rows.len(), self.cols.len());
        LowRank {
            u: Mat::from_fn(m, self.rank, |i, k| self.u[k * m + i]),
            v: Mat::from_fn(n, self.rank, |j, k| self.v[k * n + j]),
        }
    }

    /// Row `i` of the residual.
    pub fn residual_row(&self, i: usize) -> Result<Vec<T>, MatrixError> {
        let mut r = vec![T::ZERO; self.cols.len()];
        self.block.row(i, &mut r);
        check_finite(&r, &self.rows[i..=i], self.cols)?;
        self.pairs().for_each(|(u, v)| subtract_multiple(&mut r, u[i], v));
        Ok(r)
    }

    /// Column `j` of the residual.
    pub fn residual_col(&self, j: usize) -> Result<Vec<T>, MatrixError> {
        let mut r = vec![T::ZERO; self.rows.len()];
        self.block.col(j, &mut r);
        check_finite(&r, self.rows, &self.cols[j..=j])?;
        self.pairs().for_each(|(u, v)| subtract_multiple(&mut r, v[j], u));
        Ok(r)
    }
}

/// Crosses, and what decides on the next one.
struct Search<'a, T> {
    crosses: Crosses<'a, T>,
    /// `||U V^T||_F^2`.
    norm_squared: f64,
    used_rows: Vec<bool>,
    used_cols: Vec<bool>,
    rng: ChaCha8Rng,
}

impl<'a, T: Scalar> Search<'a, T> {
    fn new(entries: &'a dyn Entries<T>, rows: &'a [usize], cols: &'a [usize], seed: u64) -> Self {
        Self {
            crosses: Crosses::new(entries.block_of(rows, cols), rows, cols),
            norm_squared: 0.0,
            used_rows: vec![false; rows.len()],
            used_cols: vec![false; cols.len()],
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn norm(&self) -> f64 {
        self.norm_squared.max(0.0).sqrt()
    }

    /// Crosses from row `start` on until one is small. False when the rank reaches `most`.
    fn run(&mut self, start: usize, tolerance: &dyn Fn(f64) -> f64, most: usize) -> Result<bool, MatrixError> {
        let (m, n) = (self.used_rows.len(), self.used_cols.len());
        let mut row = Some(start);
        let mut zero_rows = 0;
        while let Some(i) = row {
            if self.crosses.rank() >= m.min(n) {
                return Ok(true);
            }
            if self.crosses.rank() >= most {
                return Ok(false);
            }
            let r = self.crosses.residual_row(i)?;
            self.used_rows[i] = true;
            let pivot = largest(&r, |j| !self.used_cols[j]);
            let zero = 0.1 * T::EPSILON * self.norm() / ((m * n) as f64).sqrt();
            let Some(j) = pivot.filter(|&j| r[j].to_f64().abs() > zero) else {
                zero_rows += 1;
                row = if zero_rows < ZERO_ROWS { self.unused_row() } else { None };
                continue;
            };
            zero_rows = 0;
            let c = self.crosses.residual_col(j)?;
            self.used_cols[j] = true;
            let scale = r[j];
            let v: Vec<T> = r.iter().map(|&x| x / scale).collect();
            let cross = sum_of_squares(&c).sqrt() * sum_of_squares(&v).sqrt();
            for (u_old, v_old) in self.crosses.pairs() {
                self.norm_squared += 2.0 * dot(u_old, &c).to_f64() * dot(v_old, &v).to_f64();
            }
            self.norm_squared += cross * cross;
            row = largest(&c, |i| !self.used_rows[i]);
            self.crosses.push(c, v);
            if cross <= STOP * tolerance(self.norm()) {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// The row to go on with when the check fails: the one with the largest error seen.
    fn worst_row(&mut self, tolerance: &dyn Fn(f64) -> f64) -> Result<Option<usize>, MatrixError> {
        let (m, n) = (self.used_rows.len(), self.used_cols.len());
        if self.used_rows.iter().all(|&used| used) || self.crosses.rank() >= m.min(n) {
            return Ok(None);
        }
        // A block that looks nearly zero is looked at harder, and at its edges, where neighbouring clusters meet.
        let thin = self.crosses.rank() <= THIN;
        let places = m.max(n).clamp(64, 512) * if thin { 4 } else { 1 };
        let (mut check_rows, mut check_cols) = (vec![], vec![]);
        for _ in 0..2 {
            check_rows.push(self.rng.random_range(0..m));
            check_cols.push(self.rng.random_range(0..n));
        }
        // Mean squares of the errors at random places, in random rows and in random columns, and the worst error with its row.
        let mut estimates = [0.0f64; 3];
        let mut worst = (0.0f64, 0);
        let sample = Places::drawn(places, || (self.rng.random_range(0..m), self.rng.random_range(0..n)));
        let exact = sample.entries(&*self.crosses.block, self.crosses.rows, self.crosses.cols)?;
        let sums = sample.products(self.crosses.pairs());
        for ((&i, exact), sum) in sample.rows.iter().zip(exact).zip(sums) {
            let error = (exact.to_f64() - sum).abs();
            estimates[0] += error * error / places as f64;
            if error > worst.0 && !self.used_rows[i] {
                worst = (error, i);
            }
        }
        let edges = if thin { 2 } else { 0 };
        for (k, &i) in check_rows.iter().chain([0, m - 1].iter().take(edges)).enumerate() {
            let r = self.crosses.residual_row(i)?;
            let square = sum_of_squares(&r);
            // An edge counts by itself, not for all rows like it.
            let weight = if k < 2 { 0.5 } else { 1.0 / m as f64 };
            estimates[1] += weight * square / n as f64;
            let error = r.iter().fold(0.0, |most, x| x.to_f64().abs().max(most));
            if error > worst.0 && !self.used_rows[i] {
                worst = (error, i);
            }
        }
        for (k, &j) in check_cols.iter().chain([0, n - 1].iter().take(edges)).enumerate() {
            let r = self.crosses.residual_col(j)?;
            let weight = if k < 2 { 0.5 } else { 1.0 / n as f64 };
            estimates[2] += weight * sum_of_squares(&r) / m as f64;
            if let Some(i) = largest(&r, |i| !self.used_rows[i]).filter(|&i| r[i].to_f64().abs() > worst.0) {
                worst = (r[i].to_f64().abs(), i);
            }
        }
        let most = estimates.iter().fold(0.0f64, |most, &x| most.max(x * (m * n) as f64));
        let allowed = CHECK * tolerance(self.norm().max(most.sqrt()));
        let rounding = 4.0 * T::EPSILON * (self.crosses.rank() as f64 + 1.0) * self.norm();
        Ok((most.sqrt() > allowed.max(rounding) && worst.0 > 0.0).then_some(worst.1))
    }

    fn unused_row(&mut self) -> Option<usize> {
        let left = self.used_rows.iter().filter(|&&used| !used).count();
        let pick = if left > 0 { self.rng.random_range(0..left) } else { 0 };
        (0..self.used_rows.len()).filter(|&i| !self.used_rows[i]).nth(pick)
    }
}

/// The first place of largest absolute value among those that qualify.
pub(crate) fn largest<T: Scalar>(x: &[T], qualifies: impl Fn(usize) -> bool) -> Option<usize> {
    let mut best = None;
    let mut most = T::ZERO - T::ONE;
    for (i, &x) in x.iter().enumerate() {
        let size = if x < T::ZERO { T::ZERO - x } else { x };
        if size > most && qualifies(i) {
            (most, best) = (size, Some(i));
        }
    }
    best
}
