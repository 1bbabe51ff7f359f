//! Values of a radial kernel function: squared distances of a strip of points, the function in a pass of its own, and whole blocks.

use super::functions::{Function, FunctionUser};
use super::{Profile, Radial};
use crate::point_cloud::PointBlock;
use crate::scalar::Scalar;
use crate::simd::lanes::lanes;
use crate::simd::{Simd, VectorMath, VectorTask};

/// Points as the bodies see them.
#[derive(Clone, Copy)]
pub(super) struct Coordinates<T> {
    pub p: *const T,
    pub stride: usize,
    pub dim: usize,
    pub len: usize,
}

impl<T: Scalar> From<PointBlock<'_, T>> for Coordinates<T> {
    fn from(block: PointBlock<'_, T>) -> Self {
        Self { p: block.pointer(), stride: block.stride(), dim: block.dim(), len: block.len() }
    }
}

/// Constants of a kernel beside its profile.
#[derive(Clone, Copy)]
pub(super) struct Common<V> {
    pub softening: V,
    pub scale: V,
    /// Over the scale.
    pub at_zero: V,
    /// Whether the value at zero is stated.
    pub select: bool,
}

impl<V: Copy> Common<V> {
    #[inline(always)]
    pub unsafe fn new<S: Simd<V = V>>(radial: &Radial) -> Self {
        let at_zero = match radial.at_zero {
            Some(_) if radial.scale == 0.0 => 0.0,
            Some(value) => value / radial.scale,
            None => radial.profile.limit(),
        };
        // SAFETY: the caller vouches for the instruction set.
        let splat = |x: f64| unsafe { S::splat(S::T::from_f64(x)) };
        let (softening, scale) = (splat(radial.softening), splat(radial.scale));
        Self { softening, scale, at_zero: splat(at_zero), select: radial.at_zero.is_some() }
    }
}

/// Squared distances of the vectors of rows from `row` on to column `col`.
///
/// # Safety
/// As for [`Simd`]; a vector of rows may be read at each place. `D` is the dimension, or 0.
#[inline(always)]
pub(super) unsafe fn squared_distances<S: VectorMath, const D: usize>(
    softening: S::V,
    x: Coordinates<S::T>,
    row: usize,
    y: Coordinates<S::T>,
    col: usize,
    out: &mut [S::V],
) {
    // SAFETY: the caller vouches for the points and the instruction set.
    unsafe {
        if D == 0 {
            out.fill(softening);
            for k in 0..x.dim {
                let center = S::splat(*y.p.add(k * y.stride + col));
                for (v, s) in out.iter_mut().enumerate() {
                    let d = S::sub(S::load(x.p.add(k * x.stride + row + v * S::T::LANES)), center);
                    *s = S::mul_add(d, d, *s);
                }
            }
            return;
        }
        let mut center = [S::zero(); D];
        for (k, center) in center.iter_mut().enumerate() {
            *center = S::splat(*y.p.add(k * y.stride + col));
        }
        for (v, out) in out.iter_mut().enumerate() {
            let mut s = softening;
            for (k, center) in center.iter().enumerate() {
                let d = S::sub(S::load(x.p.add(k * x.stride + row + v * S::T::LANES)), *center);
                s = S::mul_add(d, d, s);
            }
            *out = s;
        }
    }
}

/// Vectors of rows that are treated together when the function is taken in a pass of its own.
pub(super) const STRIP: usize = 32;

/// Values, not yet scaled, of the vectors of rows from `row` on and column `col`; zeros are caught.
///
/// # Safety
/// As [`squared_distances`].
#[inline(always)]
pub(super) unsafe fn strip<S: VectorMath>(
    profile: Profile,
    common: Common<S::V>,
    x: Coordinates<S::T>,
    row: usize,
    y: Coordinates<S::T>,
    col: usize,
    catch: bool,
    out: &mut [S::V],
) {
    // SAFETY: the caller's.
    unsafe {
        let mut squares = [S::zero(); STRIP];
        let squares = &mut squares[..out.len()];
        match x.dim {
            1 => squared_distances::<S, 1>(common.softening, x, row, y, col, squares),
            2 => squared_distances::<S, 2>(common.softening, x, row, y, col, squares),
            3 => squared_distances::<S, 3>(common.softening, x, row, y, col, squares),
            _ => squared_distances::<S, 0>(common.softening, x, row, y, col, squares),
        }
        profile.hand_to::<S, _>(Take { from: squares, to: out });
        if catch {
            for (out, s) in out.iter_mut().zip(squares) {
                *out = S::select_zero(*s, common.at_zero, *out);
            }
        }
    }
}

/// `to = f(from)`.
struct Take<'a, V> {
    from: &'a [V],
    to: &'a mut [V],
}

impl<S: VectorMath> FunctionUser<S> for Take<'_, S::V> {
    type Output = ();

    #[inline(always)]
    unsafe fn with<F: Function<S>>(self, f: F) {
        for (to, from) in self.to.iter_mut().zip(self.from) {
            // SAFETY: the caller's.
            *to = unsafe { f.at(*from) };
        }
    }
}

/// The block of rows `x` and columns `y`, column by column: `out` has one entry for each.
pub(super) struct Block<'a, T> {
    pub radial: &'a Radial,
    pub x: PointBlock<'a, T>,
    pub y: PointBlock<'a, T>,
    pub out: &'a mut [T],
}

impl<T: Scalar> VectorTask<T> for Block<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) {
        let Self { radial, out, .. } = self;
        let (x, y): (Coordinates<T>, Coordinates<T>) = (self.x.into(), self.y.into());
        let width = T::LANES;
        // SAFETY: rows are stored where whole vectors of them lie in the column, the rest through an array.
        unsafe {
            let common = Common::new::<S>(radial);
            let mut values = [S::zero(); STRIP];
            for col in 0..y.len {
                let out = &mut out[col * x.len..(col + 1) * x.len];
                let mut first = 0;
                while first < x.len {
                    let values = &mut values[..STRIP.min((x.len - first).div_ceil(width))];
                    strip::<S>(radial.profile, common, x, first, y, col, common.select, values);
                    for (v, value) in values.iter().enumerate() {
                        let (row, value) = (first + v * width, S::mul(common.scale, *value));
                        if row + width <= x.len {
                            S::store(out.as_mut_ptr().add(row), value);
                        } else {
                            let rest = x.len - row;
                            out[row..].copy_from_slice(&lanes::<S>(value)[..rest]);
                        }
                    }
                    first += STRIP * width;
                }
            }
        }
    }
}
