//! Products with dense blocks that are read once for the block and its transpose.
//!
//! Four columns at a time; sums in the precision of the vectors. Cost: bound by memory, so half the time for entries in single precision.
//! Not for many vectors at once: that is a matrix product.

use crate::error::{LayoutError, check_len};
use crate::scalar::Scalar;
use crate::simd::lanes::total;
use crate::simd::{VectorMath, VectorTask, dispatch};

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
        // SAFETY: the lengths were checked.
        unsafe {
            match self {
                Stored::Full(b) => {
                    dispatch(Products { b: b.as_ptr().cast::<Own<T>>(), nrows, ncols, forward, transposed });
                }
                Stored::Single(b) => {
                    dispatch(Products { b: b.as_ptr().cast::<Half>(), nrows, ncols, forward, transposed });
                }
            }
        }
        Ok(())
    }
}

/// Entries that are read as vectors of `T`.
trait Source<T: Scalar>: Copy {
    /// # Safety
    /// As for [`Simd`](crate::simd::Simd); one vector behind `p`.
    unsafe fn vector<S: VectorMath<T = T>>(p: *const Self) -> S::V;
    fn number(self) -> T;
}

/// The precision of the vectors, whatever it is.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Own<T>(T);

impl<T: Scalar> Source<T> for Own<T> {
    #[inline(always)]
    unsafe fn vector<S: VectorMath<T = T>>(p: *const Self) -> S::V {
        // SAFETY: the caller's; the wrapper is transparent.
        unsafe { S::load(p.cast()) }
    }
    #[inline(always)]
    fn number(self) -> T {
        self.0
    }
}

/// Single precision.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Half(f32);

impl<T: Scalar> Source<T> for Half {
    #[inline(always)]
    unsafe fn vector<S: VectorMath<T = T>>(p: *const Self) -> S::V {
        // SAFETY: the caller's; the wrapper is transparent.
        unsafe { S::load_single(p.cast()) }
    }
    #[inline(always)]
    fn number(self) -> T {
        T::from_f64(f64::from(self.0))
    }
}

/// `N` columns of a stored block at once.
///
/// # Safety
/// `b` points to `N * nrows` entries; the vectors have the lengths of the block.
#[inline(always)]
unsafe fn stored_columns<S: VectorMath, P: Source<S::T>, const N: usize>(
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
                        let value = P::vector::<S>(b.add(j * nrows + row));
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
                        acc = S::mul_add(P::vector::<S>(b.add(j * nrows + row)), *q, acc);
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
                        *sum = S::mul_add(P::vector::<S>(b.add(j * nrows + row)), right, *sum);
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

/// The products with the block at `b`, whose vectors have been checked.
struct Products<'a, T, P> {
    b: *const P,
    nrows: usize,
    ncols: usize,
    forward: Option<(&'a [T], &'a mut [T])>,
    transposed: Option<(&'a [T], &'a mut [T])>,
}

impl<T: Scalar, P: Source<T>> VectorTask<T> for Products<'_, T, P> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) {
        let Self { b, nrows, ncols, mut forward, mut transposed } = self;
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
}
