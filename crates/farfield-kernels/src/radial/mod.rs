//! Radial kernel functions on blocks of points: `K_ij = scale f(|x_i - y_j|)`, as a block or as a product that never stores it.
//!
//! Vectors run over the points of the rows; a register tile of them stays in registers while the columns pass by. The product with
//! a block and its transpose together evaluates the kernel once. Cost: for `1/r` in three dimensions 17 vector operations for
//! 8 (`f64`) or 16 (`f32`) entries, for the others those of a root, an exponential, a logarithm or a cosine more. Sums run in an order that the
//! sizes of the block determine.
//!
//! Not for kernels that depend on more than the distance.

mod functions;
mod products;
mod values;

use crate::error::{LayoutError, check_len};
use crate::point_cloud::PointBlock;
use crate::scalar::Scalar;
use crate::simd::dispatch;
use products::Product;
use values::Block;

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
        // SAFETY: sizes were checked, point blocks vouch for their padding.
        unsafe { dispatch(Block { radial: self, x, y, out }) };
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
        unsafe {
            dispatch(Product::<_, false> { radial: self, x, from_x: &[], to_x: to, y, from_y: from, to_y: &mut [] })
        };
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
        unsafe { dispatch(Product::<_, true> { radial: self, x, from_x, to_x, y, from_y, to_y }) };
        Ok(())
    }
}
