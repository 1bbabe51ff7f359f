//! Radial kernel functions on blocks of points: `K_ij = scale f(|x_i - y_j|)`, as a block or as a product that never stores it.
//!
//! Vectors run over the points of the rows; a register tile of them stays in registers while the columns pass by. The product with
//! a block and its transpose together evaluates the kernel once. Cost: for `1/r` in three dimensions 17 vector operations for
//! 8 (`f64`) or 16 (`f32`) entries, for the others those of a root, an exponential, a logarithm or a cosine more. Sums run in an order that the
//! sizes of the block determine.
//!
//! Not for kernels that depend on more than the distance.

use crate::error::{LayoutError, check_len};
use crate::point_cloud::PointBlock;
use crate::scalar::Scalar;
use crate::simd::math::{VectorMath, cos, exp_negative, log};
use crate::simd::{InstructionSet, Simd};

/// A function of the squared distance `s = r^2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Profile {
    /// `1 / r`.
    Inverse,
    /// `1 / (r + shift)`.
    ShiftedInverse {
        /// Positive.
        shift: f64,
    },
    /// `log r`.
    Logarithm,
    /// `cos(k r) / r`, for `k r < 1e5`.
    CosineOverDistance {
        /// Wave number, not negative.
        wave_number: f64,
    },
    /// `exp(-a r^2)`.
    Gaussian {
        /// Positive.
        a: f64,
    },
    /// `exp(-a r)`.
    Exponential {
        /// Positive.
        a: f64,
    },
    /// `(1 + a r) exp(-a r)`.
    Matern32 {
        /// Positive.
        a: f64,
    },
    /// `(1 + a r + (a r)^2 / 3) exp(-a r)`.
    Matern52 {
        /// Positive.
        a: f64,
    },
    /// `(1 + a r^2)^(-1/2)`.
    InverseMultiquadric {
        /// Positive.
        a: f64,
    },
    /// `(1 + a r^2)^(1/2)`.
    Multiquadric {
        /// Positive.
        a: f64,
    },
}

impl Profile {
    /// The value at distance zero, or 0 where it is not finite: what lanes beyond a block may take.
    fn limit(self) -> f64 {
        match self {
            Self::Inverse | Self::Logarithm | Self::CosineOverDistance { .. } => 0.0,
            Self::ShiftedInverse { shift } => 1.0 / shift,
            _ => 1.0,
        }
    }
}

/// A radial kernel function and what it is at distance zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Radial {
    /// The function of the distance.
    pub profile: Profile,
    /// A factor of all values.
    pub scale: f64,
    /// `h^2`: the distance is `sqrt(|x - y|^2 + h^2)`.
    pub softening: f64,
    /// The value (scale included) for distance zero. `None` takes what the formula gives, which is not finite for singular profiles.
    pub at_zero: Option<f64>,
}

impl Radial {
    /// The block of rows `x` and columns `y`, column by column.
    ///
    /// # Errors
    /// [`LayoutError::Length`] when `out` has not `x.len() * y.len()` elements or the points differ in dimension.
    pub fn block<T: Scalar>(&self, x: PointBlock<T>, y: PointBlock<T>, out: &mut [T]) -> Result<(), LayoutError> {
        check_len("coordinates of the columns", y.dim(), x.dim())?;
        check_len("block of a kernel function", out.len(), x.len() * y.len())?;
        // SAFETY: the table fits the machine; sizes were checked, point blocks vouch for their padding.
        unsafe { (T::radial_kernels().block)(self, x, y, out) };
        Ok(())
    }

    /// `to += K from` for rows `x` and columns `y`. The transposed product has `x` and `y` exchanged.
    ///
    /// # Errors
    /// As [`Radial::block`].
    pub fn add_product<T: Scalar>(
        &self,
        x: PointBlock<T>,
        y: PointBlock<T>,
        from: &[T],
        to: &mut [T],
    ) -> Result<(), LayoutError> {
        check_len("coordinates of the columns", y.dim(), x.dim())?;
        check_len("vector of a kernel product", from.len(), y.len())?;
        check_len("result of a kernel product", to.len(), x.len())?;
        // SAFETY: as above.
        unsafe { (T::radial_kernels().product)(self, x, y, from, to) };
        Ok(())
    }

    /// `to_x += K from_y` and `to_y += K^T from_x` in one pass.
    ///
    /// # Errors
    /// As [`Radial::block`].
    pub fn add_both_products<T: Scalar>(
        &self,
        (x, from_x, to_x): (PointBlock<T>, &[T], &mut [T]),
        (y, from_y, to_y): (PointBlock<T>, &[T], &mut [T]),
    ) -> Result<(), LayoutError> {
        check_len("coordinates of the columns", y.dim(), x.dim())?;
        check_len("vector of a transposed kernel product", from_x.len(), x.len())?;
        check_len("result of a kernel product", to_x.len(), x.len())?;
        check_len("vector of a kernel product", from_y.len(), y.len())?;
        check_len("result of a transposed kernel product", to_y.len(), y.len())?;
        // SAFETY: as above.
        unsafe { (T::radial_kernels().both)(self, x, from_x, to_x, y, from_y, to_y) };
        Ok(())
    }
}

/// A dense block, column by column, whose products with vectors read it once. Memory-bound: half the time in single precision.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a, T> {
    /// In the precision of the vectors.
    Full(&'a [T]),
    /// In single precision; sums are in that of the vectors.
    Single(&'a [f32]),
}

impl<T: Scalar> Stored<'_, T> {
    /// `to_rows += B from_cols` and `to_cols += B^T from_rows`; the numbers of rows and columns are the lengths of the vectors. Either product is
    /// left out when its vectors are `None`.
    ///
    /// # Errors
    /// [`LayoutError::Length`] when lengths do not fit.
    pub fn add_products(
        &self,
        (nrows, ncols): (usize, usize),
        forward: Option<(&[T], &mut [T])>,
        transposed: Option<(&[T], &mut [T])>,
    ) -> Result<(), LayoutError> {
        let len = match self {
            Stored::Full(b) => b.len(),
            Stored::Single(b) => b.len(),
        };
        check_len("stored block", len, nrows * ncols)?;
        if let Some((from, to)) = &forward {
            check_len("vector of a block product", from.len(), ncols)?;
            check_len("result of a block product", to.len(), nrows)?;
        }
        if let Some((from, to)) = &transposed {
            check_len("vector of a transposed block product", from.len(), nrows)?;
            check_len("result of a transposed block product", to.len(), ncols)?;
        }
        let table = T::radial_kernels();
        // SAFETY: the table fits the machine, the lengths were checked.
        unsafe {
            match self {
                Stored::Full(b) => (table.stored)(b, nrows, ncols, forward, transposed),
                Stored::Single(b) => (table.stored_single)(b, nrows, ncols, forward, transposed),
            }
        }
        Ok(())
    }
}

/// The functions compiled for one instruction set; `unsafe` because that set must be there, and because lengths are not checked.
pub(crate) struct RadialKernels<T: 'static> {
    block: unsafe fn(&Radial, PointBlock<T>, PointBlock<T>, &mut [T]),
    product: unsafe fn(&Radial, PointBlock<T>, PointBlock<T>, &[T], &mut [T]),
    both: unsafe fn(&Radial, PointBlock<T>, &[T], &mut [T], PointBlock<T>, &[T], &mut [T]),
    stored: unsafe fn(&[T], usize, usize, Option<(&[T], &mut [T])>, Option<(&[T], &mut [T])>),
    stored_single: unsafe fn(&[f32], usize, usize, Option<(&[T], &mut [T])>, Option<(&[T], &mut [T])>),
}

/// A profile with its constants in registers.
trait Function<S: VectorMath>: Copy {
    /// The value at squared distance `s`.
    ///
    /// # Safety
    /// As for [`Simd`].
    unsafe fn at(self, s: S::V) -> S::V;
}

macro_rules! functions {
    ($($name:ident { $($constant:ident),* }, |$s:ident| $value:expr;)*) => {$(
        #[derive(Clone, Copy)]
        struct $name<V: Copy> {
            $($constant: V,)*
        }

        impl<S: VectorMath> Function<S> for $name<S::V> {
            #[inline(always)]
            #[allow(unused_variables)]
            unsafe fn at(self, $s: S::V) -> S::V {
                let Self { $($constant,)* } = self;
                // SAFETY: the caller vouches for the instruction set.
                unsafe { $value }
            }
        }
    )*};
}

functions! {
    Inverse { one }, |s| S::rsqrt(s);
    ShiftedInverse { a, one }, |s| S::div(one, S::add(S::sqrt(s), a));
    Logarithm { half }, |s| S::mul(half, log::<S>(s));
    CosineOverDistance { a }, |s| {
        let inverse = S::rsqrt(s);
        S::mul(cos::<S>(S::mul(a, S::mul(s, inverse))), inverse)
    };
    Gaussian { minus_a }, |s| exp_negative::<S>(S::mul(minus_a, s));
    Exponential { minus_a }, |s| exp_negative::<S>(S::mul(minus_a, S::sqrt(s)));
    Matern32 { minus_a, one }, |s| {
        let x = S::mul(minus_a, S::sqrt(s));
        S::mul(S::sub(one, x), exp_negative::<S>(x))
    };
    Matern52 { minus_a, third, one }, |s| {
        let x = S::mul(minus_a, S::sqrt(s));
        S::mul(S::mul_add(S::mul(third, x), x, S::sub(one, x)), exp_negative::<S>(x))
    };
    InverseMultiquadric { a, one }, |s| S::rsqrt(S::mul_add(a, s, one));
    Multiquadric { a, one }, |s| S::sqrt(S::mul_add(a, s, one));
}

/// Points as the bodies see them.
#[derive(Clone, Copy)]
struct Coordinates<T> {
    p: *const T,
    stride: usize,
    dim: usize,
    len: usize,
}

impl<T: Scalar> From<PointBlock<'_, T>> for Coordinates<T> {
    fn from(block: PointBlock<'_, T>) -> Self {
        Self { p: block.pointer(), stride: block.stride(), dim: block.dim(), len: block.len() }
    }
}

/// Constants of a kernel beside its profile.
#[derive(Clone, Copy)]
struct Common<V> {
    softening: V,
    scale: V,
    /// Over the scale.
    at_zero: V,
    /// Whether the value at zero is stated.
    select: bool,
}

impl<V: Copy> Common<V> {
    #[inline(always)]
    unsafe fn new<S: Simd<V = V>>(radial: &Radial) -> Self {
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
unsafe fn squared_distances<S: VectorMath, const D: usize>(
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
const STRIP: usize = 32;

/// Values, not yet scaled, of the vectors of rows from `row` on and column `col`; zeros are caught.
///
/// # Safety
/// As [`squared_distances`].
#[inline(always)]
unsafe fn strip<S: VectorMath>(
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
        take::<S>(profile, squares, out);
        if catch {
            for (out, s) in out.iter_mut().zip(squares) {
                *out = S::select_zero(*s, common.at_zero, *out);
            }
        }
    }
}

/// `to = f(from)`.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
unsafe fn take<S: VectorMath>(profile: Profile, from: &[S::V], to: &mut [S::V]) {
    #[inline(always)]
    unsafe fn each<S: VectorMath, F: Function<S>>(f: F, from: &[S::V], to: &mut [S::V]) {
        for (to, from) in to.iter_mut().zip(from) {
            // SAFETY: the caller's.
            *to = unsafe { f.at(*from) };
        }
    }
    // SAFETY: the caller's.
    unsafe {
        let splat = |x: f64| S::splat(S::T::from_f64(x));
        let one = splat(1.0);
        match profile {
            Profile::Inverse => each::<S, _>(Inverse { one }, from, to),
            Profile::ShiftedInverse { shift } => each::<S, _>(ShiftedInverse { a: splat(shift), one }, from, to),
            Profile::Logarithm => each::<S, _>(Logarithm { half: splat(0.5) }, from, to),
            Profile::CosineOverDistance { wave_number } => {
                each::<S, _>(CosineOverDistance { a: splat(wave_number) }, from, to);
            }
            Profile::Gaussian { a } => each::<S, _>(Gaussian { minus_a: splat(-a) }, from, to),
            Profile::Exponential { a } => each::<S, _>(Exponential { minus_a: splat(-a) }, from, to),
            Profile::Matern32 { a } => each::<S, _>(Matern32 { minus_a: splat(-a), one }, from, to),
            Profile::Matern52 { a } => {
                each::<S, _>(Matern52 { minus_a: splat(-a), third: splat(1.0 / 3.0), one }, from, to);
            }
            Profile::InverseMultiquadric { a } => each::<S, _>(InverseMultiquadric { a: splat(a), one }, from, to),
            Profile::Multiquadric { a } => each::<S, _>(Multiquadric { a: splat(a), one }, from, to),
        }
    }
}

/// A part of a vector in an array of whole ones.
#[inline(always)]
unsafe fn partial<S: Simd>(from: &[S::T]) -> S::V {
    let mut lanes = [S::T::ZERO; 16];
    lanes[..from.len()].copy_from_slice(from);
    // SAFETY: one vector has at most 16 lanes.
    unsafe { S::load(lanes.as_ptr()) }
}

#[inline(always)]
unsafe fn lanes<S: Simd>(v: S::V) -> [S::T; 16] {
    let mut lanes = [S::T::ZERO; 16];
    // SAFETY: one vector has at most 16 lanes.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    lanes
}

/// The sum of the lanes, pairwise.
#[inline(always)]
unsafe fn total<S: Simd>(v: S::V) -> S::T {
    // SAFETY: the caller vouches for the instruction set.
    let mut parts = unsafe { lanes::<S>(v) };
    let mut width = S::T::LANES / 2;
    while width > 0 {
        for i in 0..width {
            parts[i] += parts[i + width];
        }
        width /= 2;
    }
    parts[0]
}

/// # Safety
/// As [`RadialKernels::block`].
#[inline(always)]
unsafe fn block_body<S: VectorMath>(radial: &Radial, x: Coordinates<S::T>, y: Coordinates<S::T>, out: &mut [S::T]) {
    let width = S::T::LANES;
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

/// `to_x += K from_y`, and `to_y += K^T from_x` if `BOTH`, the function taken in a pass of its own.
///
/// # Safety
/// As [`RadialKernels::both`].
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
/// As [`RadialKernels::both`].
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

/// # Safety
/// As [`RadialKernels::both`]; without `BOTH` the vectors `from_x` and `to_y` are not used.
#[inline(always)]
unsafe fn multiply<S: VectorMath, const BOTH: bool>(
    radial: &Radial,
    x: Coordinates<S::T>,
    from_x: &[S::T],
    to_x: &mut [S::T],
    y: Coordinates<S::T>,
    from_y: &[S::T],
    to_y: &mut [S::T],
) {
    // SAFETY: the caller's.
    unsafe {
        let splat = |x: f64| S::splat(S::T::from_f64(x));
        let one = splat(1.0);
        match (radial.profile, x.dim) {
            (Profile::Inverse, 3) if S::WIDE => {
                multiply_tiles::<S, _, 3, BOTH>(radial, Inverse { one }, x, from_x, to_x, y, from_y, to_y);
            }
            (Profile::InverseMultiquadric { a }, 3) if S::WIDE => {
                let f = InverseMultiquadric { a: splat(a), one };
                multiply_tiles::<S, _, 3, BOTH>(radial, f, x, from_x, to_x, y, from_y, to_y);
            }
            _ => multiply_strips::<S, BOTH>(radial, x, from_x, to_x, y, from_y, to_y),
        }
    }
}

/// Entries that are read as vectors of `S`.
trait Source<S: VectorMath>: Copy {
    /// # Safety
    /// As for [`Simd`]; one vector behind `p`.
    unsafe fn vector(p: *const Self) -> S::V;
    fn number(self) -> S::T;
}

/// The precision of the vectors, whatever it is.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Own<T>(T);

impl<S: VectorMath> Source<S> for Own<S::T> {
    #[inline(always)]
    unsafe fn vector(p: *const Self) -> S::V {
        // SAFETY: the caller's; the wrapper is transparent.
        unsafe { S::load(p.cast()) }
    }
    #[inline(always)]
    fn number(self) -> S::T {
        self.0
    }
}

/// Single precision.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Half(f32);

impl<S: VectorMath> Source<S> for Half {
    #[inline(always)]
    unsafe fn vector(p: *const Self) -> S::V {
        // SAFETY: the caller's; the wrapper is transparent.
        unsafe { S::load_single(p.cast()) }
    }
    #[inline(always)]
    fn number(self) -> S::T {
        S::T::from_f64(f64::from(self.0))
    }
}

/// `N` columns of a stored block at once.
///
/// # Safety
/// `b` points to `N * nrows` entries; the vectors have the lengths of the block.
#[inline(always)]
unsafe fn stored_columns<S: VectorMath, P: Source<S>, const N: usize>(
    b: *const P,
    nrows: usize,
    first: usize,
    forward: &mut Option<(&[S::T], &mut [S::T])>,
    transposed: &mut Option<(&[S::T], &mut [S::T])>,
) {
    let width = S::T::LANES;
    // SAFETY: the caller's; whole vectors only where they fit.
    unsafe {
        let mut sums = [S::zero(); N];
        let mut rest = [S::T::ZERO; N];
        let whole = nrows / width * width;
        let mut q = [S::zero(); N];
        let mut scalars = [S::T::ZERO; N];
        if let Some((from, _)) = forward {
            for j in 0..N {
                scalars[j] = from[first + j];
                q[j] = S::splat(scalars[j]);
            }
        }
        let x = transposed.as_ref().map(|(from, _)| from.as_ptr());
        let y = forward.as_mut().map(|(_, to)| to.as_mut_ptr());
        match (x, y) {
            (Some(x), Some(y)) => {
                let mut row = 0;
                while row < whole {
                    let right = S::load(x.add(row));
                    let mut acc = S::load(y.add(row));
                    for j in 0..N {
                        let value = P::vector(b.add(j * nrows + row));
                        acc = S::mul_add(value, q[j], acc);
                        sums[j] = S::mul_add(value, right, sums[j]);
                    }
                    S::store(y.add(row), acc);
                    row += width;
                }
            }
            (None, Some(y)) => {
                let mut row = 0;
                while row < whole {
                    let mut acc = S::load(y.add(row));
                    for (j, q) in q.iter().enumerate() {
                        acc = S::mul_add(P::vector(b.add(j * nrows + row)), *q, acc);
                    }
                    S::store(y.add(row), acc);
                    row += width;
                }
            }
            (Some(x), None) => {
                let mut row = 0;
                while row < whole {
                    let right = S::load(x.add(row));
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = S::mul_add(P::vector(b.add(j * nrows + row)), right, *sum);
                    }
                    row += width;
                }
            }
            (None, None) => {}
        }
        for row in whole..nrows {
            for j in 0..N {
                let value = (*b.add(j * nrows + row)).number();
                if let Some(y) = y {
                    *y.add(row) += value * scalars[j];
                }
                if let Some(x) = x {
                    rest[j] += value * *x.add(row);
                }
            }
        }
        if let Some((_, to)) = transposed {
            for j in 0..N {
                to[first + j] += total::<S>(sums[j]) + rest[j];
            }
        }
    }
}

/// # Safety
/// As [`RadialKernels::stored`].
#[inline(always)]
unsafe fn stored_body<S: VectorMath, P: Source<S>>(
    b: *const P,
    nrows: usize,
    ncols: usize,
    mut forward: Option<(&[S::T], &mut [S::T])>,
    mut transposed: Option<(&[S::T], &mut [S::T])>,
) {
    let mut col = 0;
    // SAFETY: the caller's.
    unsafe {
        while col + 4 <= ncols {
            stored_columns::<S, P, 4>(b.add(col * nrows), nrows, col, &mut forward, &mut transposed);
            col += 4;
        }
        while col < ncols {
            stored_columns::<S, P, 1>(b.add(col * nrows), nrows, col, &mut forward, &mut transposed);
            col += 1;
        }
    }
}

/// The table of one instruction set.
macro_rules! table {
    ($name:ident, $simd:ty, $t:ty $(, $features:literal)?) => {
        mod $name {
            use super::*;

            type S = $simd;
            type Products<'a> = Option<(&'a [$t], &'a mut [$t])>;

            $(#[target_feature(enable = $features)])?
            unsafe fn block(radial: &Radial, x: PointBlock<$t>, y: PointBlock<$t>, out: &mut [$t]) {
                // SAFETY: the caller vouches for the arguments, the table for the instruction set.
                unsafe { block_body::<S>(radial, x.into(), y.into(), out) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn product(radial: &Radial, x: PointBlock<$t>, y: PointBlock<$t>, from: &[$t], to: &mut [$t]) {
                // SAFETY: as above.
                unsafe { multiply::<S, false>(radial, x.into(), &[], to, y.into(), from, &mut []) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn both(
                radial: &Radial,
                x: PointBlock<$t>,
                from_x: &[$t],
                to_x: &mut [$t],
                y: PointBlock<$t>,
                from_y: &[$t],
                to_y: &mut [$t],
            ) {
                // SAFETY: as above.
                unsafe { multiply::<S, true>(radial, x.into(), from_x, to_x, y.into(), from_y, to_y) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn stored(b: &[$t], nrows: usize, ncols: usize, forward: Products, transposed: Products) {
                // SAFETY: as above.
                unsafe { stored_body::<S, Own<$t>>(b.as_ptr().cast(), nrows, ncols, forward, transposed) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn stored_single(b: &[f32], nrows: usize, ncols: usize, forward: Products, transposed: Products) {
                // SAFETY: as above.
                unsafe { stored_body::<S, Half>(b.as_ptr().cast(), nrows, ncols, forward, transposed) }
            }

            pub(super) static TABLE: RadialKernels<$t> = RadialKernels { block, product, both, stored, stored_single };
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
        impl RadialKernels<$t> {
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
