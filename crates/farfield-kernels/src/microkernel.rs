//! The two products that everything is made of, in registers.
//!
//! [`Kernels::multiply`] is `Y (+)= sum_s A_s X_s` with small coefficient matrices `A_s` and rows of vectors `X_s`;
//! [`Kernels::outer`] is `C (+)= X Y^T`, a sum over all vectors and lanes: the gradient by coefficients.
//! Both accumulate one register tile over the whole inner dimension, so every entry of the result is summed in
//! an order that depends on the shapes alone, never on threads.
//!
//! The bodies are generic over [`Simd`]; [`Kernels`] is the table of their compiled versions for one
//! instruction set, chosen at run time.

use crate::scalar::Scalar;
use crate::simd::{InstructionSet, Simd};
use crate::view::{Coefficients, Term, View};

/// The kernels compiled for one instruction set. All are `unsafe` because that set must be there, the first three
/// because they work on addresses; [`Kernels::current`] hands out a table that the machine can run.
pub(crate) struct Kernels<T: 'static> {
    /// `(terms, rows, vectors, y, accumulate)`: `Y (+)= sum A X`.
    pub multiply: unsafe fn(&[Term<T>], usize, usize, View<T>, bool),
    /// `(x, y, rows, columns, vectors, c, row stride of c, accumulate, scratch)`: `C (+)= X Y^T`.
    pub outer: unsafe fn(View<T>, View<T>, usize, usize, usize, *mut T, usize, bool, &mut [T]),
    /// `(src, its stride, dst, its stride, rows, columns)`: `dst = src^T`.
    pub transpose: unsafe fn(*const T, usize, *mut T, usize, usize, usize),
    /// `(pre, out, slope)`: LeakyReLU.
    pub leaky: unsafe fn(&[T], &mut [T], T),
    /// `(values, slope)`: LeakyReLU in place.
    pub leaky_in_place: unsafe fn(&mut [T], T),
    /// `(pre, gradient in place, slope)`: back through LeakyReLU; returns the gradient by the slope.
    pub leaky_backward: unsafe fn(&[T], &mut [T], T) -> f64,
    /// `(scale, value, target, gradient)`: `gradient = 2 scale (value - target)`; returns `sum (value - target)^2`.
    pub squared_error: unsafe fn(T, &[T], &[T], &mut [T]) -> f64,
    /// Decoupled-weight-decay Adam on one chunk.
    pub adamw: unsafe fn(&AdamwConstants<T>, &mut [T], &[T], &mut [T], &mut [T]),
}

/// Constants of one AdamW step, bias corrections included.
#[derive(Clone, Copy)]
pub(crate) struct AdamwConstants<T> {
    pub gradient_scale: T,
    pub beta1: T,
    pub beta2: T,
    /// `1 - learning_rate * weight_decay`.
    pub decay: T,
    /// `learning_rate / (1 - beta1^t)`.
    pub rate: T,
    /// `1 / (1 - beta2^t)`.
    pub correction2: T,
    pub epsilon: T,
}

/// One register tile: `R` rows by `N` vectors of `Y (+)= sum A X`.
///
/// # Safety
/// As [`multiply`], for rows `row..row + R` and vectors `vector..vector + N`.
#[inline(always)]
unsafe fn multiply_tile<S: Simd, const R: usize, const N: usize>(
    terms: &[Term<S::T>],
    row: usize,
    vector: usize,
    y: View<S::T>,
    accumulate: bool,
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
        let y = y.at_row(row).at_vector(vector);
        for (i, sum) in sum.iter().enumerate() {
            for (v, sum) in sum.iter().enumerate() {
                let p = y.at_row(i).at_vector(v).p;
                let value = if accumulate { S::add(*sum, S::load(p)) } else { *sum };
                S::store(p, value);
            }
        }
    }
}

/// All rows of `N` vectors, in tiles of the heights listed.
macro_rules! row_tiles {
    ($n:literal, [$($r:literal),*], $terms:expr, $rows:expr, $vector:expr, $y:expr, $accumulate:expr) => {{
        let mut row = 0;
        $(while $rows - row >= $r {
            multiply_tile::<S, $r, $n>($terms, row, $vector, $y, $accumulate);
            row += $r;
        })*
        debug_assert_eq!(row, $rows);
    }};
}

/// `Y (+)= sum_s A_s X_s` with `rows` rows and `vectors` vectors.
///
/// # Safety
/// All rows and vectors of `y`, `inner` rows of each `x` and all coefficients must be in bounds; `y` must not overlap
/// an `x`; the instruction set of `S` must be there.
#[inline(always)]
unsafe fn multiply<S: Simd>(terms: &[Term<S::T>], rows: usize, vectors: usize, y: View<S::T>, accumulate: bool) {
    let mut v = 0;
    // Tile shapes keep all accumulators, one row of vectors and one coefficient in registers; with few rows,
    // more vectors hide the latency of the multiply-adds.
    // SAFETY: the caller vouches for everything the tiles touch.
    unsafe {
        if S::WIDE {
            if rows < 4 {
                while v + 8 <= vectors {
                    row_tiles!(8, [2, 1], terms, rows, v, y, accumulate);
                    v += 8;
                }
            }
            if rows < 8 {
                while v + 4 <= vectors {
                    row_tiles!(4, [4, 2, 1], terms, rows, v, y, accumulate);
                    v += 4;
                }
            }
            while v + 3 <= vectors && vectors - v != 4 {
                row_tiles!(3, [8, 4, 2, 1], terms, rows, v, y, accumulate);
                v += 3;
            }
            while v + 2 <= vectors {
                row_tiles!(2, [8, 4, 2, 1], terms, rows, v, y, accumulate);
                v += 2;
            }
            while v < vectors {
                row_tiles!(1, [8, 4, 2, 1], terms, rows, v, y, accumulate);
                v += 1;
            }
        } else {
            if rows < 4 {
                while v + 2 <= vectors {
                    row_tiles!(2, [2, 1], terms, rows, v, y, accumulate);
                    v += 2;
                }
            }
            while v < vectors {
                row_tiles!(1, [6, 4, 2, 1], terms, rows, v, y, accumulate);
                v += 1;
            }
        }
    }
}

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

/// Elements of scratch that [`Kernels::outer`] needs for up to `columns` columns.
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
unsafe fn outer<S: Simd>(
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
unsafe fn transpose<S: Simd>(
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

// The loops below are plain; the compiler vectorises them for the instruction set of the caller. Sums run in
// 32 interleaved partial sums per block of 4096 and the blocks in f64, so their order is fixed.

const BLOCK: usize = 4096;
const PARTS: usize = 32;

#[inline(always)]
fn leaky<T: Scalar>(pre: &[T], out: &mut [T], slope: T) {
    for (out, &x) in out.iter_mut().zip(pre) {
        *out = if x > T::ZERO { x } else { slope * x };
    }
}

#[inline(always)]
fn leaky_in_place<T: Scalar>(values: &mut [T], slope: T) {
    for x in values {
        *x = if *x > T::ZERO { *x } else { slope * *x };
    }
}

#[inline(always)]
fn leaky_backward<T: Scalar>(pre: &[T], gradient: &mut [T], slope: T) -> f64 {
    let mut total = 0.0;
    for (pre, gradient) in pre.chunks(BLOCK).zip(gradient.chunks_mut(BLOCK)) {
        let mut parts = [T::ZERO; PARTS];
        let (mut pres, mut gradients) = (pre.chunks_exact(PARTS), gradient.chunks_exact_mut(PARTS));
        for (pre, gradient) in (&mut pres).zip(&mut gradients) {
            for i in 0..PARTS {
                let (x, g) = (pre[i], gradient[i]);
                let negative = x <= T::ZERO;
                parts[i] += if negative { x * g } else { T::ZERO };
                gradient[i] = if negative { slope * g } else { g };
            }
        }
        for (&x, g) in pres.remainder().iter().zip(gradients.into_remainder()) {
            if x <= T::ZERO {
                parts[0] += x * *g;
                *g = slope * *g;
            }
        }
        total += parts.iter().map(|p| p.to_f64()).sum::<f64>();
    }
    total
}

#[inline(always)]
fn squared_error<T: Scalar>(scale: T, value: &[T], target: &[T], gradient: &mut [T]) -> f64 {
    let twice = scale + scale;
    let mut total = 0.0;
    for ((value, target), gradient) in value.chunks(BLOCK).zip(target.chunks(BLOCK)).zip(gradient.chunks_mut(BLOCK)) {
        let mut parts = [T::ZERO; PARTS];
        let (mut values, mut targets) = (value.chunks_exact(PARTS), target.chunks_exact(PARTS));
        let mut gradients = gradient.chunks_exact_mut(PARTS);
        for ((value, target), gradient) in (&mut values).zip(&mut targets).zip(&mut gradients) {
            for i in 0..PARTS {
                let error = value[i] - target[i];
                parts[i] += error * error;
                gradient[i] = twice * error;
            }
        }
        let rest = values.remainder().iter().zip(targets.remainder());
        for ((&value, &target), gradient) in rest.zip(gradients.into_remainder()) {
            let error = value - target;
            parts[0] += error * error;
            *gradient = twice * error;
        }
        total += parts.iter().map(|p| p.to_f64()).sum::<f64>();
    }
    total
}

#[inline(always)]
fn adamw<T: Scalar>(k: &AdamwConstants<T>, parameters: &mut [T], gradient: &[T], first: &mut [T], second: &mut [T]) {
    let n = parameters.len();
    let (gradient, first, second) = (&gradient[..n], &mut first[..n], &mut second[..n]);
    for i in 0..n {
        let g = gradient[i] * k.gradient_scale;
        first[i] = k.beta1 * first[i] + (T::ONE - k.beta1) * g;
        second[i] = k.beta2 * second[i] + (T::ONE - k.beta2) * g * g;
        let step = k.rate * first[i] / ((second[i] * k.correction2).sqrt() + k.epsilon);
        parameters[i] = parameters[i] * k.decay - step;
    }
}

/// The table of one instruction set: each entry is a generic body compiled with its features.
macro_rules! table {
    ($name:ident, $simd:ty, $t:ty $(, $features:literal)?) => {
        mod $name {
            use super::*;

            type S = $simd;

            $(#[target_feature(enable = $features)])?
            unsafe fn multiply(terms: &[Term<$t>], rows: usize, vectors: usize, y: View<$t>, accumulate: bool) {
                // SAFETY: the caller vouches for the arguments, the table for the instruction set.
                unsafe { super::multiply::<S>(terms, rows, vectors, y, accumulate) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn outer(
                x: View<$t>,
                y: View<$t>,
                rows: usize,
                columns: usize,
                vectors: usize,
                c: *mut $t,
                stride: usize,
                accumulate: bool,
                scratch: &mut [$t],
            ) {
                // SAFETY: as above.
                unsafe { super::outer::<S>(x, y, rows, columns, vectors, c, stride, accumulate, scratch) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn transpose(src: *const $t, src_stride: usize, dst: *mut $t, dst_stride: usize, rows: usize, columns: usize) {
                // SAFETY: as above.
                unsafe { super::transpose::<S>(src, src_stride, dst, dst_stride, rows, columns) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn leaky(pre: &[$t], out: &mut [$t], slope: $t) {
                super::leaky(pre, out, slope)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn leaky_in_place(values: &mut [$t], slope: $t) {
                super::leaky_in_place(values, slope)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn leaky_backward(pre: &[$t], gradient: &mut [$t], slope: $t) -> f64 {
                super::leaky_backward(pre, gradient, slope)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn squared_error(scale: $t, value: &[$t], target: &[$t], gradient: &mut [$t]) -> f64 {
                super::squared_error(scale, value, target, gradient)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn adamw(k: &AdamwConstants<$t>, parameters: &mut [$t], gradient: &[$t], first: &mut [$t], second: &mut [$t]) {
                super::adamw(k, parameters, gradient, first, second)
            }

            pub(super) static TABLE: Kernels<$t> = Kernels {
                multiply,
                outer,
                transpose,
                leaky,
                leaky_in_place,
                leaky_backward,
                squared_error,
                adamw,
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
table!(avx512_f32, crate::simd::avx512::Avx512<f32>, f32, "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
table!(avx512_f64, crate::simd::avx512::Avx512<f64>, f64, "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
table!(avx2_f32, crate::simd::avx2::Avx2<f32>, f32, "avx2,fma");
#[cfg(target_arch = "x86_64")]
table!(avx2_f64, crate::simd::avx2::Avx2<f64>, f64, "avx2,fma");
table!(portable_f32, crate::simd::portable::Portable<f32>, f32);
table!(portable_f64, crate::simd::portable::Portable<f64>, f64);

macro_rules! current {
    ($t:ty, $avx512:ident, $avx2:ident, $portable:ident) => {
        impl Kernels<$t> {
            /// The table of [`InstructionSet::current`].
            pub(crate) fn current() -> &'static Self {
                match InstructionSet::current() {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => &$avx512::TABLE,
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => &$avx2::TABLE,
                    _ => &$portable::TABLE,
                }
            }
        }
    };
}

current!(f32, avx512_f32, avx2_f32, portable_f32);
current!(f64, avx512_f64, avx2_f64, portable_f64);
