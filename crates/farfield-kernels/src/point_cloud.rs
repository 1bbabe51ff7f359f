//! Points, coordinate by coordinate, as vectors want them.

use std::ops::Range;

use crate::scalar::Scalar;

/// Points stored as one array a dimension, each followed by room for one vector: reading a whole vector from any point on is safe.
#[derive(Clone, Debug)]
pub struct PointCloud<T> {
    dim: usize,
    len: usize,
    /// From one coordinate array to the next: at least `len + T::LANES`.
    stride: usize,
    data: Vec<T>,
}

impl<T: Scalar> PointCloud<T> {
    /// `len` points whose coordinate `k` of point `i` is `coordinate(i, k)`.
    pub fn new(dim: usize, len: usize, coordinate: impl Fn(usize, usize) -> T) -> Self {
        let stride = len + T::LANES;
        let mut data = vec![T::ZERO; dim * stride];
        for (k, data) in data.chunks_exact_mut(stride.max(1)).enumerate() {
            for (i, x) in data[..len].iter_mut().enumerate() {
                *x = coordinate(i, k);
            }
        }
        Self { dim, len, stride, data }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Coordinates of a point.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Coordinate `k` of point `i`.
    ///
    /// # Panics
    /// When there is none, as for a slice.
    pub fn coordinate(&self, i: usize, k: usize) -> T {
        assert!(i < self.len);
        self.data[k * self.stride + i]
    }

    /// The points `indices[0], indices[1], ...`.
    ///
    /// # Panics
    /// When there is no such point.
    pub fn gather(&self, indices: &[usize]) -> Self {
        Self::new(self.dim, indices.len(), |i, k| self.coordinate(indices[i], k))
    }

    /// All points.
    pub fn all(&self) -> PointBlock<'_, T> {
        self.range(0..self.len)
    }

    /// The points of a range.
    ///
    /// # Panics
    /// When it does not lie in `0..len`.
    pub fn range(&self, range: Range<usize>) -> PointBlock<'_, T> {
        assert!(range.start <= range.end && range.end <= self.len, "points {range:?} of {}", self.len);
        PointBlock { cloud: self, first: range.start, len: range.len() }
    }

    /// Bytes of the coordinates.
    pub fn memory_bytes(&self) -> usize {
        size_of_val(self.data.as_slice())
    }
}

/// Consecutive points of a [`PointCloud`].
#[derive(Clone, Copy, Debug)]
pub struct PointBlock<'a, T> {
    cloud: &'a PointCloud<T>,
    first: usize,
    len: usize,
}

impl<T: Scalar> PointBlock<'_, T> {
    /// Number of points.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Coordinates of a point.
    pub fn dim(&self) -> usize {
        self.cloud.dim
    }

    /// Coordinate `k` of point `i`.
    ///
    /// # Panics
    /// When there is none, as for a slice.
    pub fn coordinate(&self, i: usize, k: usize) -> T {
        assert!(i < self.len);
        self.cloud.coordinate(self.first + i, k)
    }

    pub(crate) fn stride(&self) -> usize {
        self.cloud.stride
    }

    /// Address of the first coordinate of the first point; one vector may be read from that of every point.
    pub(crate) fn pointer(&self) -> *const T {
        // In bounds: `first <= len <= stride`; for dimension 0 nothing is read.
        self.cloud.data.as_ptr().wrapping_add(self.first)
    }
}
