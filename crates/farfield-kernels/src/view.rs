//! Rows of vectors: how the kernels see any array.

use crate::scalar::Scalar;

/// Rows of 64-byte vectors in memory: lane `l` of vector `v` of row `i` is at `p + i * row + v * vector + l`.
///
/// Choosing the two strides makes the same kernel work along any axis: the batch in the lanes and one
/// tensor axis as rows, another as vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<T> {
    pub p: *mut T,
    pub row: usize,
    pub vector: usize,
}

// SAFETY: a `View` is an address with strides; whoever dereferences it vouches for exclusive or shared access.
unsafe impl<T: Scalar> Send for View<T> {}
// SAFETY: as above.
unsafe impl<T: Scalar> Sync for View<T> {}

impl<T: Scalar> View<T> {
    pub fn new(p: *mut T, row: usize, vector: usize) -> Self {
        Self { p, row, vector }
    }

    /// Vector after vector, each with all its rows: `[vectors][rows][LANES]`.
    pub fn panels(p: *mut T, rows: usize) -> Self {
        Self::new(p, T::LANES, T::LANES * rows)
    }

    /// The view that starts at row `i`.
    #[inline(always)]
    pub fn at_row(self, i: usize) -> Self {
        Self { p: self.p.wrapping_add(i * self.row), ..self }
    }

    /// The view that starts at vector `v`.
    #[inline(always)]
    pub fn at_vector(self, v: usize) -> Self {
        Self { p: self.p.wrapping_add(v * self.vector), ..self }
    }
}

/// A small matrix of coefficients in memory, any strides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coefficients<T> {
    pub p: *const T,
    pub row: usize,
    pub column: usize,
}

impl<T> Coefficients<T> {
    /// A row-major matrix with `columns` columns.
    #[inline(always)]
    pub fn row_major(p: *const T, columns: usize) -> Self {
        Self { p, row: columns, column: 1 }
    }

    /// The transpose of a row-major matrix with `columns` columns.
    #[inline(always)]
    pub fn transposed(p: *const T, columns: usize) -> Self {
        Self { p, row: 1, column: columns }
    }
}

/// One term `A X` of a sum of products, with `A` of `inner` columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term<T> {
    pub inner: usize,
    pub a: Coefficients<T>,
    pub x: View<T>,
}
