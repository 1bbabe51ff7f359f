//! Products of small coefficient matrices with rows of vectors, in registers: `Y (+)= sum_s A_s X_s`, and with LeakyReLU behind the sum.
//!
//! One register tile is accumulated over the whole inner dimension, so every entry of the result is summed in an order that depends on the
//! shapes alone, never on threads. Cost: one multiply-add an entry of `A_s` and vector of `X_s`; no operand is repacked.

use crate::simd::{Simd, VectorMath};
use crate::view::{Term, View};

use super::finish::{Finish, Leaky};

/// One register tile: `R` rows by `N` vectors of `sum A X`, handed to `finish`.
///
/// # Safety
/// As [`multiply_leaky`], for rows `row..row + R` and vectors `vector..vector + N`.
#[inline(always)]
unsafe fn multiply_tile<S: Simd, F: Finish<S>, const R: usize, const N: usize>(
    terms: &[Term<S::T>],
    row: usize,
    vector: usize,
    y: View<S::T>,
    finish: F,
) {
    // SAFETY: the caller vouches for all rows and vectors of the tile.
    unsafe {
        let mut sum = [[S::zero(); N]; R];
        for term in terms {
            let mut a = term.a.p.wrapping_add(row * term.a.row);
            let mut x = term.x.at_vector(vector).p.cast_const();
            for _ in 0..term.inner {
                let mut right = [S::zero(); N];
                for (v, right) in right.iter_mut().enumerate() {
                    *right = S::load(x.wrapping_add(v * term.x.vector));
                }
                for (i, sum) in sum.iter_mut().enumerate() {
                    let left = S::splat(*a.wrapping_add(i * term.a.row));
                    for (sum, right) in sum.iter_mut().zip(right) {
                        *sum = S::mul_add(left, right, *sum);
                    }
                }
                a = a.wrapping_add(term.a.column);
                x = x.wrapping_add(term.x.row);
            }
        }
        finish.tile(&sum, y.at_row(row).at_vector(vector));
    }
}

/// All rows of `N` vectors, in tiles of the heights listed.
macro_rules! row_tiles {
    ($n:literal, [$($r:literal),*], $terms:expr, $rows:expr, $vector:expr, $y:expr, $finish:expr) => {{
        let mut row = 0;
        $(while $rows - row >= $r {
            multiply_tile::<S, F, $r, $n>($terms, row, $vector, $y, $finish);
            row += $r;
        })*
        debug_assert_eq!(row, $rows);
    }};
}

/// `Y = leaky(sum_s A_s X_s)` with `rows` rows and `vectors` vectors.
///
/// # Safety
/// All rows and vectors of `y`, `inner` rows of each `x` and all coefficients must be in bounds; `y` must not overlap
/// an `x`; the instruction set of `S` must be there.
#[inline(always)]
pub(super) unsafe fn multiply_leaky<S: VectorMath>(
    terms: &[Term<S::T>],
    rows: usize,
    vectors: usize,
    y: View<S::T>,
    slope: S::T,
) {
    // SAFETY: the caller's.
    unsafe { tiles::<S, _>(terms, rows, vectors, y, Leaky(slope)) }
}

/// `Y (+)= sum_s A_s X_s` with `rows` rows and `vectors` vectors.
///
/// # Safety
/// As [`multiply_leaky`].
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(
    terms: &[Term<S::T>],
    rows: usize,
    vectors: usize,
    y: View<S::T>,
    accumulate: bool,
) {
    // SAFETY: the caller's.
    unsafe { tiles::<S, _>(terms, rows, vectors, y, accumulate) }
}

/// # Safety
/// As [`multiply_leaky`].
#[inline(always)]
unsafe fn tiles<S: Simd, F: Finish<S>>(terms: &[Term<S::T>], rows: usize, vectors: usize, y: View<S::T>, finish: F) {
    let mut v = 0;
    // Tile shapes keep all accumulators, one row of vectors and one coefficient in registers; with few rows,
    // more vectors hide the latency of the multiply-adds.
    // SAFETY: the caller vouches for everything the tiles touch.
    unsafe {
        if S::WIDE {
            if rows < 4 {
                while v + 8 <= vectors {
                    row_tiles!(8, [2, 1], terms, rows, v, y, finish);
                    v += 8;
                }
            }
            if rows < 8 {
                while v + 4 <= vectors {
                    row_tiles!(4, [4, 2, 1], terms, rows, v, y, finish);
                    v += 4;
                }
            }
            // Tiles of 8 would leave a thin one.
            if rows == 10 {
                while v + 2 <= vectors {
                    row_tiles!(2, [10], terms, rows, v, y, finish);
                    v += 2;
                }
            }
            while v + 3 <= vectors && vectors - v != 4 {
                row_tiles!(3, [8, 4, 2, 1], terms, rows, v, y, finish);
                v += 3;
            }
            while v + 2 <= vectors {
                row_tiles!(2, [8, 4, 2, 1], terms, rows, v, y, finish);
                v += 2;
            }
            while v < vectors {
                row_tiles!(1, [8, 4, 2, 1], terms, rows, v, y, finish);
                v += 1;
            }
        } else {
            if rows < 4 {
                while v + 2 <= vectors {
                    row_tiles!(2, [2, 1], terms, rows, v, y, finish);
                    v += 2;
                }
            }
            while v < vectors {
                row_tiles!(1, [6, 4, 2, 1], terms, rows, v, y, finish);
                v += 1;
            }
        }
    }
}
