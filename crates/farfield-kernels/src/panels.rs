//! Batch-major fields to panels and back.
//!
//! A *panel* holds [`Scalar::LANES`] samples side by side: entry `(i, j)` of all of them in one 64-byte vector. A batch of
//! `rows x columns` fields becomes `[panels][rows][columns + pad][LANES]`; missing samples of the last panel
//! are zero. With more than one row the columns are padded by one vector, since rows a power of two apart would share cache
//! sets. (1D fields have one row.) Cost: one pass over the data.

use crate::aligned::{AlignedVec, Room};
use crate::error::{LayoutError, check_len};
use crate::parallel::for_each;
use crate::scalar::Scalar;

/// Multiply-adds that moving one number costs.
const TRANSPOSE_COST: usize = 8;

/// Shape of a batch of 1D or 2D fields in panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanelShape {
    /// Number of samples.
    pub batch: usize,
    /// Rows of a field: 1 in 1D.
    pub rows: usize,
    /// Columns of a field: the number of points in 1D.
    pub columns: usize,
}

impl PanelShape {
    /// A batch of 1D fields.
    pub fn new_1d(batch: usize, points: usize) -> Self {
        Self { batch, rows: 1, columns: points }
    }

    /// A batch of 2D fields, row-major.
    pub fn new_2d(batch: usize, rows: usize, columns: usize) -> Self {
        Self { batch, rows, columns }
    }

    /// Number of panels.
    pub fn panels<T: Scalar>(&self) -> usize {
        self.batch.div_ceil(T::LANES)
    }

    /// Vectors from one row to the next.
    pub fn row_vectors(&self) -> usize {
        self.columns + usize::from(self.rows > 1)
    }

    /// Elements of one panel.
    pub fn panel_len<T: Scalar>(&self) -> usize {
        self.rows * self.row_vectors() * T::LANES
    }

    /// Elements of all panels.
    pub fn elements<T: Scalar>(&self) -> usize {
        self.panels::<T>() * self.panel_len::<T>()
    }

    /// Points of one sample.
    pub fn points(&self) -> usize {
        self.rows * self.columns
    }

    /// The fields `x` (`batch * points` elements, sample after sample) in panels.
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn pack<T: Scalar>(&self, x: &[T]) -> Result<AlignedVec<T>, LayoutError> {
        check_len("the fields", x.len(), self.batch * self.points())?;
        let (kernels, lanes) = (T::kernels(), T::LANES);
        let mut panels = Room::<T>::new(self.elements::<T>());
        let to = panels.shared();
        for_each(self.panels::<T>(), TRANSPOSE_COST * self.elements::<T>(), |p| {
            let samples = lanes.min(self.batch - p * lanes);
            for row in 0..self.rows {
                let from = &x[p * lanes * self.points() + row * self.columns..];
                let start = p * self.panel_len::<T>() + row * self.row_vectors() * lanes;
                // SAFETY: this row of this panel, which only this task touches.
                let to = unsafe { to.slice(start, self.row_vectors() * lanes) };
                if samples < lanes {
                    to.fill(T::ZERO);
                } else {
                    to[self.columns * lanes..].fill(T::ZERO);
                }
                // SAFETY: `samples` rows of `columns` entries, `points` apart, lie inside `x` (checked above); `to` holds
                // `columns` rows of `lanes`.
                unsafe {
                    (kernels.transpose)(from.as_ptr(), self.points(), to.as_mut_ptr(), lanes, samples, self.columns);
                }
            }
        });
        // SAFETY: the tasks wrote every row of every panel.
        Ok(unsafe { panels.finish() })
    }

    /// The inverse of [`PanelShape::pack`].
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn unpack<T: Scalar>(&self, panels: &[T]) -> Result<AlignedVec<T>, LayoutError> {
        check_len("the panels", panels.len(), self.elements::<T>())?;
        let (kernels, lanes) = (T::kernels(), T::LANES);
        let mut x = Room::<T>::new(self.batch * self.points());
        let to = x.shared();
        for_each(self.panels::<T>(), TRANSPOSE_COST * self.elements::<T>(), |p| {
            let samples = lanes.min(self.batch - p * lanes);
            for row in 0..self.rows {
                let from = &panels[p * self.panel_len::<T>() + row * self.row_vectors() * lanes..];
                let to = to.at(p * lanes * self.points() + row * self.columns);
                // SAFETY: as in `pack`, with the roles exchanged; only this task writes these samples.
                unsafe { (kernels.transpose)(from.as_ptr(), lanes, to, self.points(), self.columns, samples) };
            }
        });
        // SAFETY: the tasks wrote every row of every sample.
        Ok(unsafe { x.finish() })
    }
}
