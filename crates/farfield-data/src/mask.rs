//! Which points of a grid belong to the domain: domains with holes, domains that are no box.
//!
//! A mask is an array `mask` of the grid's shape in the file of a set, 1 (true) inside. Fields keep values at all
//! points; losses and metrics count the points inside.

use crate::array::Array;
use crate::error::DataError;
use crate::real::Real;
use crate::shape::shape_text;

/// Points of a grid, inside or outside the domain; at least one is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    grid: Vec<usize>,
    inside: Vec<bool>,
}

impl Mask {
    /// A mask of `grid` (one to three axes), row-major, `true` inside.
    ///
    /// # Errors
    /// [`DataError::Parameter`] if the number of points is not that of the grid, or no point is inside.
    pub fn new(grid: &[usize], inside: &[bool]) -> Result<Self, DataError> {
        let points = grid.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
        let refused = |reason: String| DataError::parameter("mask", shape_text(grid), reason);
        if !(1..=3).contains(&grid.len()) {
            return Err(refused("a grid has one, two or three axes".to_owned()));
        }
        if points != Some(inside.len()) {
            return Err(refused(format!("{} values were given for its points", inside.len())));
        }
        if !inside.contains(&true) {
            return Err(refused("no point is inside the domain".to_owned()));
        }
        Ok(Self { grid: grid.to_vec(), inside: inside.to_vec() })
    }

    /// Reads a mask for `grid` from an array of zeros and ones.
    pub(crate) fn from_array(origin: &str, name: &str, array: &Array, grid: &[usize]) -> Result<Self, DataError> {
        let refused = |reason: String| DataError::Shape {
            origin: origin.to_owned(),
            array: name.to_owned(),
            shape: shape_text(&array.shape),
            reason,
        };
        if array.shape != grid {
            return Err(refused(format!("a mask has the shape of the grid, {}", shape_text(grid))));
        }
        let values = array.data.to_vec::<f64>();
        if let Some(at) = values.iter().position(|&v| v != 0.0 && v != 1.0) {
            return Err(refused(format!(
                "a mask holds 0 (outside) and 1 (inside), not {} (flat index {at})",
                values[at]
            )));
        }
        let inside: Vec<bool> = values.iter().map(|&v| v == 1.0).collect();
        Self::new(grid, &inside).map_err(|_| refused("the mask is zero everywhere: no point is inside".to_owned()))
    }

    /// Points along each axis.
    pub fn grid(&self) -> &[usize] {
        &self.grid
    }

    /// For each point, row-major, whether it is inside.
    pub fn inside(&self) -> &[bool] {
        &self.inside
    }

    /// Number of points inside, at least 1.
    pub fn count(&self) -> usize {
        self.inside.iter().filter(|&&inside| inside).count()
    }

    /// 1 inside and 0 outside, for products with fields.
    pub fn weights<T: Real>(&self) -> Vec<T> {
        self.inside.iter().map(|&inside| T::from_f64(if inside { 1.0 } else { 0.0 })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_checked() {
        let mask = Mask::new(&[2, 3], &[true, false, true, true, false, false]).unwrap();
        assert_eq!((mask.count(), mask.grid()), (3, &[2, 3][..]));
        assert_eq!(mask.weights::<f32>(), [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        for (grid, inside, part) in [
            (&[2, 3][..], &[true; 5][..], "5 values"),
            (&[2, 2], &[false; 4], "no point is inside"),
            (&[], &[true], "one, two or three axes"),
            (&[usize::MAX, 2], &[true; 2], "2 values"),
        ] {
            let error = Mask::new(grid, inside).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let array = |values: &[f32]| Array::new(&[2, 2], values).unwrap();
        let read =
            |array: &Array, grid: &[usize]| Mask::from_array("f.h5", "mask", array, grid).map_err(|e| e.to_string());
        assert_eq!(read(&array(&[0.0, 1.0, 1.0, 0.0]), &[2, 2]).unwrap().inside(), [false, true, true, false]);
        for (values, grid, part) in [
            ([0.0f32; 4], &[2, 2][..], "no point is inside"),
            ([1.0; 4], &[4], "(4,)"),
            ([1.0, 0.5, 0.0, 0.0], &[2, 2], "not 0.5 (flat index 1)"),
            ([1.0, f32::NAN, 0.0, 0.0], &[2, 2], "not NaN"),
        ] {
            let error = read(&array(&values), grid).unwrap_err();
            assert!(error.starts_with("f.h5: array \"mask\" of shape (2, 2)") && error.contains(part), "{error}");
        }
    }
}
