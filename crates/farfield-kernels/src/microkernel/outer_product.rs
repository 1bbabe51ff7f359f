//! Sums of outer products over all vectors and lanes, `C (+)= X Y^T`: the gradient by coefficients; and transposes.
//!
//! Small blocks use register tiles of dot products, large ones an ordinary product with pieces of `Y` that are transposed in cache. The order
//! of the sums depends on the shapes alone.

use super::block_product::multiply;
use crate::scalar::Scalar;
use crate::simd::Simd;
use crate::view::{Coefficients, Term, View};

/// One register tile of `C (+)= X Y^T`: `R x K` entries, `R K <= 16`.
///
/// # Safety
/// As [`outer`], for `R` rows and `K` columns.
#[inline(always)]
unsafe fn outer_tile<S: Simd, const R: usize, const K: usize>(
    x: View<S::T>,
    y: View<S::T>,
    vectors: usize,
    c: *mut S::T,
    stride: usize,
    accumulate: bool,
) {
    // SAFETY: the caller vouches for `R` rows of `x`, `K` rows of `y` and the entries of `c`.
    unsafe {
        let mut sum = [S::acc_zero(); 16];
        let (mut x_at, mut y_at) = (x.p.cast_const(), y.p.cast_const());
        for _ in 0..vectors {
            let mut right = [S::zero(); K];
            for (k, right) in right.iter_mut().enumerate() {
                *right = S::load(y_at.wrapping_add(k * y.row));
            }
            for i in 0..R {
                let left = S::load(x_at.wrapping_add(i * x.row));
                for (k, right) in right.iter().enumerate() {
                    sum[i * K + k] = S::dot(left, *right, sum[i * K + k]);
                }
            }
            x_at = x_at.wrapping_add(x.vector);
            y_at = y_at.wrapping_add(y.vector);
        }
        let totals = S::totals(&sum);
        for i in 0..R {
            for k in 0..K {
                let entry = c.wrapping_add(i * stride + k);
                *entry = if accumulate { *entry + totals[i * K + k] } else { totals[i * K + k] };
            }
        }
    }
}

/// `C[rows x columns] (+)= X Y^T` by register tiles of dot products.
///
/// # Safety
/// As [`outer`].
#[inline(always)]
unsafe fn outer_by_dots<S: Simd>(
    x: View<S::T>,
    y: View<S::T>,
    rows: usize,
    columns: usize,
    vectors: usize,
    c: *mut S::T,
    stride: usize,
    accumulate: bool,
) {
    let mut column = 0;
    while column < columns {
        let wide = if columns - column >= 4 && S::WIDE {
            4
        } else if columns - column >= 2 {
            2
        } else {
            1
        };
        let right = y.at_row(column);
        let mut row = 0;
        while row < rows {
            let left = x.at_row(row);
            let to = c.wrapping_add(row * stride + column);
            // SAFETY: the tile lies inside `rows x columns`, for which the caller vouches.
            row += unsafe {
                match (rows - row, wide) {
                    (4.., 4) => {
                        outer_tile::<S, 4, 4>(left, right, vectors, to, stride, accumulate);
                        4
                    }
                    (2.., 4) => {
                        outer_tile::<S, 2, 4>(left, right, vectors, to, stride, accumulate);
                        2
                    }
                    (_, 4) => {
                        outer_tile::<S, 1, 4>(left, right, vectors, to, stride, accumulate);
                        1
                    }
                    (8.., 2) if S::WIDE => {
                        outer_tile::<S, 8, 2>(left, right, vectors, to, stride, accumulate);
                        8
                    }
                    (4.., 2) => {
                        outer_tile::<S, 4, 2>(left, right, vectors, to, stride, accumulate);
                        4
                    }
                    (2.., 2) => {
                        outer_tile::<S, 2, 2>(left, right, vectors, to, stride, accumulate);
                        2
                    }
                    (_, 2) => {
                        outer_tile::<S, 1, 2>(left, right, vectors, to, stride, accumulate);
                        1
                    }
                    (8.., _) => {
                        outer_tile::<S, 8, 1>(left, right, vectors, to, stride, accumulate);
                        8
                    }
                    _ => {
                        outer_tile::<S, 1, 1>(left, right, vectors, to, stride, accumulate);
                        1
                    }
                }
            };
        }
        column += wide;
    }
}

/// Vectors that are transposed together in [`outer`].
const TRANSPOSED_VECTORS: usize = 16;

/// Rows and columns from which transposing `Y` in cache pays (measured: 192 against 123 GFLOP/s at 128 x 128).
const TRANSPOSE_FROM: usize = 32;

/// Elements of scratch that [`Kernels::outer`](super::Kernels::outer) needs for up to `columns` columns.
pub(crate) fn outer_scratch_len<T: Scalar>(columns: usize) -> usize {
    TRANSPOSED_VECTORS * T::LANES * columns
}

/// `C[rows x columns] (+)= X Y^T`, summed over all vectors and lanes; `c` is row-major with the given stride.
///
/// Large blocks transpose `Y` piece by piece in cache, which turns the sum over lanes into an ordinary product
/// ([`multiply`]) without horizontal sums; small ones use dot products.
///
/// # Safety
/// All rows and vectors of `x` and `y` and all entries of `c` must be in bounds; `c` must not overlap the others; the
/// instruction set of `S` must be there.
#[inline(always)]
pub(super) unsafe fn outer<S: Simd>(
    x: View<S::T>,
    y: View<S::T>,
    rows: usize,
    columns: usize,
    vectors: usize,
    c: *mut S::T,
    stride: usize,
    accumulate: bool,
    scratch: &mut [S::T],
) {
    let lanes = S::T::LANES;
    let whole =
        if rows >= TRANSPOSE_FROM && columns >= TRANSPOSE_FROM && vectors > 0 { columns / lanes * lanes } else { 0 };
    // SAFETY: the columns before and after `whole` are disjoint parts of what the caller vouches for.
    unsafe {
        if whole > 0 {
            let buffer = scratch[..TRANSPOSED_VECTORS * lanes * whole].as_mut_ptr();
            let blank = Term {
                inner: lanes,
                a: Coefficients::row_major(x.p.cast_const(), x.row),
                x: View::new(buffer, whole, lanes),
            };
            let mut first = 0;
            while first < vectors {
                let count = TRANSPOSED_VECTORS.min(vectors - first);
                let mut terms = [blank; TRANSPOSED_VECTORS];
                for (v, term) in terms[..count].iter_mut().enumerate() {
                    let to = buffer.add(v * lanes * whole);
                    let from = y.at_vector(first + v);
                    for j in (0..whole).step_by(lanes) {
                        S::transpose(from.at_row(j).p, from.row, to.add(j), whole);
                    }
                    term.a.p = x.at_vector(first + v).p;
                    term.x.p = to;
                }
                let to = View::new(c, stride, lanes);
                multiply::<S>(&terms[..count], rows, whole / lanes, to, accumulate || first > 0);
                first += count;
            }
        }
        if whole < columns {
            let (y, c) = (y.at_row(whole), c.wrapping_add(whole));
            outer_by_dots::<S>(x, y, rows, columns - whole, vectors, c, stride, accumulate);
        }
    }
}

/// `dst[j * dst_stride + i] = src[i * src_stride + j]` for `i < rows`, `j < columns`.
///
/// # Safety
/// Both rectangles must be in bounds and disjoint; the instruction set of `S` must be there.
#[inline(always)]
pub(super) unsafe fn transpose<S: Simd>(
    src: *const S::T,
    src_stride: usize,
    dst: *mut S::T,
    dst_stride: usize,
    rows: usize,
    columns: usize,
) {
    let lanes = S::T::LANES;
    let (whole_rows, whole_columns) = (rows / lanes * lanes, columns / lanes * lanes);
    // SAFETY: every index below is inside the rectangles that the caller vouches for.
    unsafe {
        for i in (0..whole_rows).step_by(lanes) {
            for j in (0..whole_columns).step_by(lanes) {
                S::transpose(src.add(i * src_stride + j), src_stride, dst.add(j * dst_stride + i), dst_stride);
            }
        }
        for i in 0..rows {
            let from = if i < whole_rows { whole_columns } else { 0 };
            for j in from..columns {
                *dst.add(j * dst_stride + i) = *src.add(i * src_stride + j);
            }
        }
    }
}
