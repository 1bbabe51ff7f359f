//! Products with the block of a radial kernel function that never store it: in strips for functions with a pass of their own, in register tiles
//! for those as cheap as a root.

use super::Radial;
use super::functions::{Function, FunctionUser};
use super::values::{Common, Coordinates, STRIP, squared_distances, strip};
use crate::point_cloud::PointBlock;
use crate::scalar::Scalar;
use crate::simd::lanes::{lanes, partial, total};
use crate::simd::{VectorMath, VectorTask};

/// `to_x += K from_y`, and `to_y += K^T from_x` if `BOTH`; else `from_x` and `to_y` are empty. Vectors have the lengths of the blocks.
pub(super) struct Product<'a, T, const BOTH: bool> {
    pub radial: &'a Radial,
    pub x: PointBlock<'a, T>,
    pub from_x: &'a [T],
    pub to_x: &'a mut [T],
    pub y: PointBlock<'a, T>,
    pub from_y: &'a [T],
    pub to_y: &'a mut [T],
}

impl<T: Scalar, const BOTH: bool> VectorTask<T> for Product<'_, T, BOTH> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) {
        // SAFETY: the caller's.
        unsafe {
            let rest = if S::WIDE && self.x.dim() == 3 {
                self.radial.profile.hand_to::<S, _>(InTiles(self))
            } else {
                Some(self)
            };
            if let Some(Self { radial, x, from_x, to_x, y, from_y, to_y }) = rest {
                multiply_strips::<S, BOTH>(radial, x.into(), from_x, to_x, y.into(), from_y, to_y);
            }
        }
    }
}

/// A product in three dimensions that is done in register tiles if the function is cheap, and given back if not.
struct InTiles<'a, T, const BOTH: bool>(Product<'a, T, BOTH>);

impl<'a, S: VectorMath, const BOTH: bool> FunctionUser<S> for InTiles<'a, S::T, BOTH> {
    type Output = Option<Product<'a, S::T, BOTH>>;

    #[inline(always)]
    unsafe fn with<F: Function<S>>(self, f: F) -> Self::Output {
        if !F::CHEAP {
            return Some(self.0);
        }
        let Product { radial, x, from_x, to_x, y, from_y, to_y } = self.0;
        // SAFETY: the caller's; the points have three coordinates.
        unsafe { multiply_tiles::<S, F, 3, BOTH>(radial, f, x.into(), from_x, to_x, y.into(), from_y, to_y) };
        None
    }
}

/// `to_x += K from_y`, and `to_y += K^T from_x` if `BOTH`, the function taken in a pass of its own.
///
/// # Safety
/// As [`Product`].
#[inline(always)]
unsafe fn multiply_strips<S: VectorMath, const BOTH: bool>(
    radial: &Radial,
    x: Coordinates<S::T>,
    from_x: &[S::T],
    to_x: &mut [S::T],
    y: Coordinates<S::T>,
    from_y: &[S::T],
    to_y: &mut [S::T],
) {
    let width = S::T::LANES;
    // SAFETY: whole vectors of rows lie in the slices, the rest goes through arrays; clouds are padded by one vector.
    unsafe {
        let common = Common::new::<S>(radial);
        let (mut values, mut right, mut acc) = ([S::zero(); STRIP], [S::zero(); STRIP], [S::zero(); STRIP]);
        let mut first = 0;
        while first < x.len {
            let vectors = STRIP.min((x.len - first).div_ceil(width));
            let here = width * vectors.min((x.len - first) / width);
            let rest = (x.len - first - here).min(width * vectors - here);
            let (values, acc, right) = (&mut values[..vectors], &mut acc[..vectors], &mut right[..vectors]);
            acc.fill(S::zero());
            if BOTH {
                for (v, right) in right.iter_mut().enumerate() {
                    let row = first + v * width;
                    *right = if row + width <= x.len {
                        S::load(from_x.as_ptr().add(row))
                    } else {
                        partial::<S>(&from_x[row..])
                    };
                }
            }
            for col in 0..y.len {
                // Lanes beyond the block are other points, which may coincide with the column.
                strip::<S>(radial.profile, common, x, first, y, col, common.select || rest > 0, values);
                let q = S::splat(from_y[col]);
                for (acc, value) in acc.iter_mut().zip(values.iter()) {
                    *acc = S::mul_add(*value, q, *acc);
                }
                if BOTH {
                    let mut sum = S::zero();
                    for (right, value) in right.iter().zip(values.iter()) {
                        sum = S::mul_add(*value, *right, sum);
                    }
                    to_y[col] += total::<S>(S::mul(common.scale, sum));
                }
            }
            for (v, acc) in acc.iter().enumerate() {
                let row = first + v * width;
                if row + width <= x.len {
                    let to = to_x.as_mut_ptr().add(row);
                    S::store(to, S::mul_add(common.scale, *acc, S::load(to)));
                } else {
                    for (to, acc) in to_x[row..].iter_mut().zip(lanes::<S>(S::mul(common.scale, *acc))) {
                        *to += acc;
                    }
                }
            }
            first += STRIP * width;
        }
    }
}

/// Columns whose partial sums are kept on the stack.
const COLUMNS: usize = 128;

/// One tile of `N` vectors of rows against columns `first..first + sums.len()`, everything in registers.
///
/// # Safety
/// As [`squared_distances`]; `from` has an entry for each column.
#[inline(always)]
unsafe fn tile<S: VectorMath, F: Function<S>, const D: usize, const N: usize, const BOTH: bool>(
    f: F,
    common: Common<S::V>,
    catch: bool,
    x: Coordinates<S::T>,
    row: usize,
    from_x: [S::V; N],
    y: Coordinates<S::T>,
    first: usize,
    from: &[S::T],
    sums: &mut [S::V],
) -> [S::V; N] {
    // SAFETY: the caller's.
    unsafe {
        let mut acc = [S::zero(); N];
        for (j, sum) in sums.iter_mut().enumerate() {
            let mut s = [S::zero(); N];
            squared_distances::<S, D>(common.softening, x, row, y, first + j, &mut s);
            let q = S::splat(*from.get_unchecked(first + j));
            let mut total = *sum;
            for v in 0..N {
                let mut value = f.at(s[v]);
                if catch {
                    value = S::select_zero(s[v], common.at_zero, value);
                }
                acc[v] = S::mul_add(value, q, acc[v]);
                if BOTH {
                    total = S::mul_add(value, from_x[v], total);
                }
            }
            if BOTH {
                *sum = total;
            }
        }
        acc
    }
}

/// As [`multiply_strips`] in one pass: for functions as cheap as a root.
///
/// # Safety
/// As [`Product`].
#[inline(always)]
unsafe fn multiply_tiles<S: VectorMath, F: Function<S>, const D: usize, const BOTH: bool>(
    radial: &Radial,
    f: F,
    x: Coordinates<S::T>,
    from_x: &[S::T],
    to_x: &mut [S::T],
    y: Coordinates<S::T>,
    from_y: &[S::T],
    to_y: &mut [S::T],
) {
    let width = S::T::LANES;
    // SAFETY: as in `multiply_strips`.
    unsafe {
        let common = Common::new::<S>(radial);
        let mut first = 0;
        while first < y.len {
            let columns = COLUMNS.min(y.len - first);
            let mut sums = [S::zero(); COLUMNS];
            let sums = &mut sums[..columns];
            let mut row = 0;
            while row + 4 * width <= x.len {
                let mut from = [S::zero(); 4];
                if BOTH {
                    for (v, from) in from.iter_mut().enumerate() {
                        *from = S::load(from_x.as_ptr().add(row + v * width));
                    }
                }
                let acc = if common.select {
                    tile::<S, F, D, 4, BOTH>(f, common, true, x, row, from, y, first, from_y, sums)
                } else {
                    tile::<S, F, D, 4, BOTH>(f, common, false, x, row, from, y, first, from_y, sums)
                };
                for (v, acc) in acc.into_iter().enumerate() {
                    let to = to_x.as_mut_ptr().add(row + v * width);
                    S::store(to, S::mul_add(common.scale, acc, S::load(to)));
                }
                row += 4 * width;
            }
            while row < x.len {
                // Lanes beyond the block are other points, which may coincide with a column: zeros are always caught.
                let to = &mut to_x[row..x.len.min(row + width)];
                let from = [if BOTH { partial::<S>(&from_x[row..row + to.len()]) } else { S::zero() }];
                let [acc] = tile::<S, F, D, 1, BOTH>(f, common, true, x, row, from, y, first, from_y, sums);
                for (to, acc) in to.iter_mut().zip(lanes::<S>(S::mul(common.scale, acc))) {
                    *to += acc;
                }
                row += width;
            }
            if BOTH {
                for (to, sum) in to_y[first..].iter_mut().zip(sums) {
                    *to += total::<S>(S::mul(common.scale, *sum));
                }
            }
            first += columns;
        }
    }
}
