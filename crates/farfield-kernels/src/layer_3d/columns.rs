//! Sizes of a 3D field in vectors, and its columns packed in cache for the product along the first axis.

use std::ops::Range;

use crate::parallel::Shared;
use crate::scalar::Scalar;
use crate::view::View;

/// Derived sizes. Padded numbers of points are multiples of the lanes.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub input: [usize; 3],
    pub output: [usize; 3],
    /// Vectors of one row of the last input axis.
    pub vectors3: usize,
    /// The last input axis, padded.
    pub padded3: usize,
    /// Vectors of one column of the second output axis, and that axis padded.
    pub vectors2: usize,
    pub padded2: usize,
    /// Elements from one plane of `x times_1 A_k` to the next, and of the whole.
    pub plane: usize,
    pub middle: usize,
}

/// Plane `slab` of term `k` of the middle: the second axis as rows.
pub(super) fn plane_view<T: Scalar>(s: &Sizes, middle: Shared<T>, k: usize, slab: usize) -> View<T> {
    View::new(middle.at(k * s.middle + slab * s.plane), s.padded3, T::LANES)
}

/// Stretches of the last axis inside a block of columns: `(vector of the block, plane offset of the field, length)`.
fn stretches<T: Scalar>(s: &Sizes, columns: Range<usize>) -> impl Iterator<Item = (usize, usize, usize)> {
    let whole = s.padded3 == s.input[2];
    let (n3, vectors3) = (s.input[2], s.vectors3);
    let pieces = if whole { 1 } else { columns.len() };
    let len = columns.len();
    (0..pieces).map(move |i| {
        if whole {
            (0, columns.start * T::LANES, len * T::LANES)
        } else {
            let q = columns.start + i;
            let (row, v) = (q / vectors3, q % vectors3);
            (i, row * n3 + v * T::LANES, T::LANES.min(n3 - v * T::LANES))
        }
    })
}

/// Columns of the field `x` as rows of vectors `[n1][columns]`, zero in the padding.
pub(super) fn pack_columns<T: Scalar>(s: &Sizes, x: &[T], columns: Range<usize>, packed: &mut [T]) {
    let width = columns.len() * T::LANES;
    if s.padded3 != s.input[2] {
        packed.fill(T::ZERO);
    }
    for i in 0..s.input[0] {
        for (v, from, len) in stretches::<T>(s, columns.clone()) {
            let from = i * s.input[1] * s.input[2] + from;
            let to = i * width + v * T::LANES;
            packed[to..to + len].copy_from_slice(&x[from..from + len]);
        }
    }
}

/// The inverse of [`pack_columns`].
pub(super) fn unpack_columns<T: Scalar>(s: &Sizes, packed: &[T], columns: Range<usize>, x: Shared<T>) {
    let width = columns.len() * T::LANES;
    for i in 0..s.input[0] {
        for (v, to, len) in stretches::<T>(s, columns.clone()) {
            let from = i * width + v * T::LANES;
            // SAFETY: these columns belong to the calling task, inside a field whose length was checked.
            let to = unsafe { x.slice(i * s.input[1] * s.input[2] + to, len) };
            to.copy_from_slice(&packed[from..from + len]);
        }
    }
}
