//! Products of an HSS matrix, or its transpose, with vectors.
//!
//! Neural-HSS, algorithm 1. Going up, every node condenses its input to `r` numbers; the root
//! couples its two children; going down, every node hands each child `r` numbers and adds its own
//! part:
//!
//! ```text
//! z(L) = V(L)^T x,    z(l) = V(l)^T z(l+1)                  up,   l = L-1 .. 1
//! w(1) = D(0) z(1),   w(l+1) = D(l) z(l+1) + U(l) w(l)      down, l = 1 .. L-1
//! y    = D(L) x + U(L) w(L)
//! ```
//!
//! The transpose swaps `U` with `V` and transposes every `D`. Cost: one multiply-add a parameter and
//! vector, `2 (2^(L+1) - 2) r` numbers of scratch. The vectors are taken one after the other on the
//! calling thread.

use farfield_kernels::Block;

use super::{Hss, check_length};
use crate::error::MatrixError;
use crate::scalar::Scalar;

/// Which of `A` and `A^T` multiplies.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Plain,
    Transposed,
}

impl<T: Scalar> Hss<T> {
    /// `y = A x`, for `x` of `n_in` and `y` of `n_out` entries. Non-finite entries of `x` go through to `y`.
    ///
    /// # Errors
    /// [`MatrixError::Length`] for slices of another length; `y` is then untouched.
    pub fn apply(&self, x: &[T], y: &mut [T]) -> Result<(), MatrixError> {
        check_length("apply, input x", x.len(), self.n_in())?;
        check_length("apply, output y", y.len(), self.n_out())?;
        self.product(Side::Plain, 1, x, y);
        Ok(())
    }

    /// `y = A^T x`, for `x` of `n_out` and `y` of `n_in` entries.
    ///
    /// # Errors
    /// [`MatrixError::Length`] for slices of another length; `y` is then untouched.
    pub fn apply_transpose(&self, x: &[T], y: &mut [T]) -> Result<(), MatrixError> {
        check_length("apply_transpose, input x", x.len(), self.n_out())?;
        check_length("apply_transpose, output y", y.len(), self.n_in())?;
        self.product(Side::Transposed, 1, x, y);
        Ok(())
    }

    /// `A` times many vectors: `x` is `[columns, n_in]` and `y` is `[columns, n_out]`, row-major, one
    /// vector a row. The same bits as [`Hss::apply`] on each row.
    ///
    /// # Errors
    /// [`MatrixError::Length`] for slices of another length; `y` is then untouched.
    pub fn apply_many(&self, columns: usize, x: &[T], y: &mut [T]) -> Result<(), MatrixError> {
        // A saturated product exceeds the length of every slice.
        let length = |n: usize| columns.saturating_mul(n);
        check_length("apply_many, input x", x.len(), length(self.n_in()))?;
        check_length("apply_many, output y", y.len(), length(self.n_out()))?;
        self.product(Side::Plain, columns, x, y);
        Ok(())
    }

    /// `A^T` times many vectors: `x` is `[columns, n_out]` and `y` is `[columns, n_in]`, row-major, one
    /// vector a row. The same bits as [`Hss::apply_transpose`] on each row.
    ///
    /// # Errors
    /// [`MatrixError::Length`] for slices of another length; `y` is then untouched.
    pub fn apply_transpose_many(&self, columns: usize, x: &[T], y: &mut [T]) -> Result<(), MatrixError> {
        let length = |n: usize| columns.saturating_mul(n);
        check_length("apply_transpose_many, input x", x.len(), length(self.n_out()))?;
        check_length("apply_transpose_many, output y", y.len(), length(self.n_in()))?;
        self.product(Side::Transposed, columns, x, y);
        Ok(())
    }

    fn product(&self, side: Side, columns: usize, x: &[T], y: &mut [T]) {
        let (n_x, n_y) = match side {
            Side::Plain => (self.n_in(), self.n_out()),
            Side::Transposed => (self.n_out(), self.n_in()),
        };
        // Levels 1 to L, `2^l r` numbers each; level `l` starts at `(2^l - 2) r`.
        let size = ((2usize << self.levels()) - 2) * self.rank();
        let (mut z, mut w) = (vec![T::ZERO; size], vec![T::ZERO; size]);
        for column in 0..columns {
            z.fill(T::ZERO);
            w.fill(T::ZERO);
            let x = &x[column * n_x..(column + 1) * n_x];
            let y = &mut y[column * n_y..(column + 1) * n_y];
            y.fill(T::ZERO);
            self.upward(side, x, &mut z);
            self.downward(side, x, &z, &mut w, y);
        }
    }

    /// Fills `z` from `x`, leaves first.
    fn upward(&self, side: Side, x: &[T], z: &mut [T]) {
        let rank = self.rank();
        for level in (1..=self.levels()).rev() {
            let (coarse, fine) = z.split_at_mut(level_start(level + 1, rank));
            let coarse = &mut coarse[level_start(level, rank)..];
            for (i, node) in self.layout.level(level).iter().enumerate() {
                let input = if level == self.levels() {
                    &x[self.leaf_input(side, i)]
                } else {
                    &fine[2 * i * rank..2 * (i + 1) * rank]
                };
                let basis = match side {
                    Side::Plain => node.v,
                    Side::Transposed => node.u,
                };
                let output = &mut coarse[i * rank..(i + 1) * rank];
                self.view(basis).add_apply_transpose(input, output);
            }
        }
    }

    /// Adds the product to `y` and fills `w`, root first.
    fn downward(&self, side: Side, x: &[T], z: &[T], w: &mut [T], y: &mut [T]) {
        let rank = self.rank();
        for level in 0..=self.levels() {
            let leaf = level == self.levels();
            let (coarse, fine) = w.split_at_mut(level_start(level + 1, rank));
            for (i, node) in self.layout.level(level).iter().enumerate() {
                let children = 2 * i * rank..2 * (i + 1) * rank;
                let (input, output) = if leaf {
                    (&x[self.leaf_input(side, i)], &mut y[self.leaf_output(side, i)])
                } else {
                    let z = &z[level_start(level + 1, rank)..];
                    (&z[children.clone()], &mut fine[children])
                };
                self.add_diagonal(side, node.d, input, output);
                if level > 0 {
                    let basis = match side {
                        Side::Plain => node.u,
                        Side::Transposed => node.v,
                    };
                    let start = level_start(level, rank) + i * rank;
                    let parent = &coarse[start..start + rank];
                    self.view(basis).add_apply(parent, output);
                }
            }
        }
    }

    fn add_diagonal(&self, side: Side, d: Block, input: &[T], output: &mut [T]) {
        match side {
            Side::Plain => self.view(d).add_apply(input, output),
            Side::Transposed => self.view(d).add_apply_transpose(input, output),
        }
    }

    fn leaf_input(&self, side: Side, i: usize) -> std::ops::Range<usize> {
        match side {
            Side::Plain => self.layout.leaf_in(i),
            Side::Transposed => self.layout.leaf_out(i),
        }
    }

    fn leaf_output(&self, side: Side, i: usize) -> std::ops::Range<usize> {
        match side {
            Side::Plain => self.layout.leaf_out(i),
            Side::Transposed => self.layout.leaf_in(i),
        }
    }
}

/// Where level `level >= 1` starts in the scratch of the passes.
fn level_start(level: usize, rank: usize) -> usize {
    ((1 << level) - 2) * rank
}
