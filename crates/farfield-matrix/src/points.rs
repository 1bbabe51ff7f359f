//! Point sets and the boxes around them.

use std::ops::Range;

use crate::error::MatrixError;

/// Points in `d` dimensions, one after the other.
///
/// ```
/// use farfield_matrix::Points;
/// let square = Points::new(2, vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0])?;
/// assert_eq!((square.len(), square.dim(), square.point(2)), (4, 2, &[0.0, 1.0][..]));
/// # Ok::<(), farfield_matrix::MatrixError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    dim: usize,
    coordinates: Vec<f64>,
}

impl Points {
    /// Points of `dim` coordinates each, from `[x_0, y_0, ..., x_1, y_1, ...]`.
    ///
    /// # Errors
    /// [`MatrixError::Points`] when `dim` is zero, the coordinates are not a whole number of points, or one is not finite.
    pub fn new(dim: usize, coordinates: Vec<f64>) -> Result<Self, MatrixError> {
        if dim == 0 || !coordinates.len().is_multiple_of(dim) {
            let reason = format!("{} coordinates are not points of {dim} dimensions", coordinates.len());
            return Err(MatrixError::Points { reason });
        }
        if let Some(i) = coordinates.iter().position(|x| !x.is_finite()) {
            let reason = format!("coordinate {} of point {} is {}", i % dim, i / dim, coordinates[i]);
            return Err(MatrixError::Points { reason });
        }
        Ok(Self { dim, coordinates })
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.coordinates.len() / self.dim
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.coordinates.is_empty()
    }

    /// Coordinates of a point.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Point `i`.
    ///
    /// # Panics
    /// When there is no such point, as for a slice.
    pub fn point(&self, i: usize) -> &[f64] {
        &self.coordinates[i * self.dim..(i + 1) * self.dim]
    }

    /// All coordinates.
    pub fn coordinates(&self) -> &[f64] {
        &self.coordinates
    }

    /// The points `order[0], order[1], ...`.
    pub(crate) fn selected(&self, order: &[usize]) -> Self {
        let coordinates = order.iter().flat_map(|&i| self.point(i)).copied().collect();
        Self { dim: self.dim, coordinates }
    }

    /// The box around points `range`, all of whose sides are empty if there are none.
    pub(crate) fn bounding_box(&self, range: Range<usize>) -> BoundingBox {
        let mut low = vec![f64::INFINITY; self.dim];
        let mut high = vec![f64::NEG_INFINITY; self.dim];
        for i in range {
            for (k, &x) in self.point(i).iter().enumerate() {
                low[k] = low[k].min(x);
                high[k] = high[k].max(x);
            }
        }
        BoundingBox { low, high }
    }
}

/// An axis-parallel box.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundingBox {
    /// Smallest coordinate in each dimension.
    pub low: Vec<f64>,
    /// Largest coordinate in each dimension.
    pub high: Vec<f64>,
}

impl BoundingBox {
    /// Length of the diagonal; 0 for an empty box.
    pub fn diameter(&self) -> f64 {
        self.sides().map(|side| side * side).sum::<f64>().sqrt()
    }

    /// Distance to another box; 0 when they touch.
    pub fn distance(&self, other: &Self) -> f64 {
        let gap = |k: usize| (self.low[k] - other.high[k]).max(other.low[k] - self.high[k]).max(0.0);
        (0..self.low.len()).map(|k| gap(k) * gap(k)).sum::<f64>().sqrt()
    }

    /// The middle.
    pub fn center(&self) -> Vec<f64> {
        self.low.iter().zip(&self.high).map(|(low, high)| 0.5 * (low + high)).collect()
    }

    /// Dimension of the longest side, the first among equals.
    pub fn longest_side(&self) -> usize {
        let sides: Vec<f64> = self.sides().collect();
        (0..sides.len()).fold(0, |best, k| if sides[k] > sides[best] { k } else { best })
    }

    fn sides(&self) -> impl Iterator<Item = f64> {
        self.low.iter().zip(&self.high).map(|(low, high)| (high - low).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes() {
        let points = Points::new(2, vec![0.0, 0.0, 3.0, 4.0, 6.0, 4.0]).unwrap();
        let (a, b) = (points.bounding_box(0..2), points.bounding_box(2..3));
        assert_eq!((a.diameter(), a.distance(&b), a.longest_side(), a.center()), (5.0, 3.0, 1, vec![1.5, 2.0]));
        assert_eq!((a.distance(&a), points.bounding_box(0..0).diameter()), (0.0, 0.0));
    }

    #[test]
    fn bad_coordinates_are_errors() {
        assert!(Points::new(0, vec![]).is_err());
        assert!(Points::new(2, vec![1.0]).is_err());
        let error = Points::new(2, vec![1.0, 2.0, 3.0, f64::NAN]).unwrap_err().to_string();
        assert_eq!(error, "points: coordinate 1 of point 1 is NaN");
        assert!(Points::new(3, vec![]).unwrap().is_empty());
    }
}
