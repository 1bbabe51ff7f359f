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

    /// Sets to zero what lies outside, in `fields`, one after the other, each on the grid of the mask.
    pub fn clear_outside<T: Real>(&self, fields: &mut [T]) {
        self.fill_outside(fields, T::default());
    }

    /// Sets to `value` what lies outside, in `fields`, one after the other, each on the grid of the mask.
    pub fn fill_outside<T: Real>(&self, fields: &mut [T], value: T) {
        for field in fields.chunks_mut(self.inside.len()) {
            for (field, _) in field.iter_mut().zip(&self.inside).filter(|(_, inside)| !**inside) {
                *field = value;
            }
        }
    }

    /// The values inside, of `fields` one after the other, each on the grid of the mask: [`Self::count`] of each.
    pub fn select_inside<T: Real>(&self, fields: &[T]) -> Vec<T> {
        let inside = self.inside.iter().cycle();
        fields.iter().zip(inside).filter_map(|(&value, &inside)| inside.then_some(value)).collect()
    }

    /// Lengths of the runs of points outside and inside, in turn, row-major; the first, outside, may be 0.
    pub fn runs(&self) -> Vec<usize> {
        let mut runs = vec![0];
        let mut current = false;
        for &inside in &self.inside {
            if inside != current {
                runs.push(0);
                current = inside;
            }
            if let Some(last) = runs.last_mut() {
                *last += 1;
            }
        }
        runs
    }

    /// The mask of [`Self::runs`].
    ///
    /// # Errors
    /// As [`Self::new`]; runs whose sum is not the number of points.
    pub fn from_runs(grid: &[usize], runs: &[usize]) -> Result<Self, DataError> {
        let points = grid.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
        let total = runs.iter().try_fold(0usize, |n, &run| n.checked_add(run));
        if points.is_none() || points != total {
            let shown = total.map_or("too many".to_owned(), |n| n.to_string());
            return Err(DataError::parameter("mask", shape_text(grid), format!("its runs have {shown} points")));
        }
        let inside: Vec<bool> =
            runs.iter().enumerate().flat_map(|(i, &run)| std::iter::repeat_n(i % 2 == 1, run)).collect();
        Self::new(grid, &inside)
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
        let mut fields: Vec<f64> = (1..=12).map(f64::from).collect();
        mask.clear_outside(&mut fields);
        assert_eq!(fields, [1.0, 0.0, 3.0, 4.0, 0.0, 0.0, 7.0, 0.0, 9.0, 10.0, 0.0, 0.0]);
        assert_eq!(mask.select_inside(&[1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]), [1.0, 3.0, 4.0, 7.0]);
        mask.fill_outside(&mut fields[..6], -1.0);
        assert_eq!(fields[..6], [1.0, -1.0, 3.0, 4.0, -1.0, -1.0]);
        assert_eq!(mask.runs(), [0, 1, 1, 2, 2]);
        assert_eq!(Mask::from_runs(&[2, 3], &mask.runs()).unwrap(), mask);
        for (grid, runs, part) in [
            (&[2, 3][..], &[1, 4][..], "its runs have 5 points"),
            (&[2, 3], &[6], "no point is inside"),
            (&[2, 3], &[usize::MAX, 7], "too many"),
            (&[usize::MAX, 2], &[1, 1], "2 points"),
        ] {
            let error = Mask::from_runs(grid, runs).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
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
