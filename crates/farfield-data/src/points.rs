//! Where the values of fields on scattered points lie: fields without a grid.
//!
//! Such fields have one axis, `(samples, [channel,] points)`, and their file has an array of coordinates `(points, dimension)`, one to
//! three a point, in the order of that axis: `points` for inputs and outputs alike, or `source_points` for the inputs and
//! `receiver_points` for the outputs, of which there may be other numbers. Read for pairs; trajectories are on grids.

use crate::array::Array;
use crate::container::Container;
use crate::dataset::{OpenOptions, Side};
use crate::error::DataError;
use crate::shape::{FieldShape, shape_text};

/// Names of the arrays: of both sides, of the inputs, of the outputs.
pub(crate) const BOTH: &str = "points";
pub(crate) const SOURCES: &str = "source_points";
pub(crate) const RECEIVERS: &str = "receiver_points";

/// Points in one to three dimensions, at least one, with finite coordinates. Two may be equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    dims: usize,
    coordinates: Vec<f64>,
}

impl Points {
    /// Points with `dims` coordinates each, point after point.
    ///
    /// # Errors
    /// [`DataError::Parameter`] for another dimension than 1, 2 or 3, no point, part of a point, or a coordinate that is not
    /// finite.
    pub fn new(dims: usize, coordinates: &[f64]) -> Result<Self, DataError> {
        if !(1..=3).contains(&dims) {
            return Err(DataError::parameter("points", dims, "points have one, two or three coordinates"));
        }
        if coordinates.is_empty() || !coordinates.len().is_multiple_of(dims) {
            let reason = format!("not one or more points of {dims} coordinates");
            return Err(DataError::parameter("points", format!("{} numbers", coordinates.len()), reason));
        }
        if let Some(at) = coordinates.iter().position(|v| !v.is_finite()) {
            let reason = format!("coordinate {} of point {} must be finite", at % dims, at / dims);
            return Err(DataError::parameter("points", coordinates[at], reason));
        }
        Ok(Self { dims, coordinates: coordinates.to_vec() })
    }

    /// Reads the points of a field of shape `field` from an array (points, dimension), or (points,) on a line.
    fn from_array(origin: &str, name: &str, array: &Array, field: &FieldShape) -> Result<Self, DataError> {
        let refused = |reason: String| DataError::Shape {
            origin: origin.to_owned(),
            array: name.to_owned(),
            shape: shape_text(&array.shape),
            reason,
        };
        let (count, dims) = match array.shape[..] {
            [count] => (count, 1),
            [count, dims] if (1..=3).contains(&dims) => (count, dims),
            _ => return Err(refused("expected (points, dimension), one to three coordinates a point".to_owned())),
        };
        let &[expected] = field.grid.as_slice() else {
            let reason = format!("fields on points have one axis, (samples, [channel,] points), not {field}");
            return Err(refused(reason));
        };
        if count != expected {
            return Err(refused(format!("the field has {expected} points")));
        }
        let coordinates = array.data.to_vec::<f64>();
        if let Some(at) = coordinates.iter().position(|v| !v.is_finite()) {
            let (value, point) = (coordinates[at], at / dims);
            return Err(refused(format!("coordinate {} of point {point} is {value}", at % dims)));
        }
        Self::new(dims, &coordinates)
    }

    /// Number of points, at least 1.
    pub fn len(&self) -> usize {
        self.coordinates.len() / self.dims
    }

    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.coordinates.is_empty()
    }

    /// Dimension of the space: 1, 2 or 3.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// All coordinates, point after point.
    pub fn coordinates(&self) -> &[f64] {
        &self.coordinates
    }

    /// The coordinates of point `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&[f64]> {
        self.coordinates.chunks_exact(self.dims).nth(index)
    }

    /// Checks that a field of one side of a pair lies on these points.
    pub(crate) fn check(&self, origin: &str, side: Side, field: &FieldShape) -> Result<(), DataError> {
        if field.grid == [self.len()] {
            return Ok(());
        }
        let side = match side {
            Side::Input => "inputs",
            Side::Output => "outputs",
        };
        let reason = format!("{origin}: {side} are {field} (channels x points)");
        Err(DataError::parameter("points", format!("{} points", self.len()), reason))
    }
}

/// The arrays of points of a file, before the shapes of the fields are known: of inputs and of outputs.
pub(crate) struct PointArrays([(&'static str, Array); 2]);

/// Reads the arrays of points of a file, if it has them and they are asked for.
///
/// # Errors
/// One side without the other, or both ways of naming them.
pub(crate) fn read_points(file: &mut Container, options: &OpenOptions) -> Result<Option<PointArrays>, DataError> {
    let own = |name: &str| name != options.input && name != options.output;
    let [both, sources, receivers] = [BOTH, SOURCES, RECEIVERS].map(|name| own(name) && file.has(name));
    if !options.points || !(both || sources || receivers) {
        return Ok(None);
    }
    if both && (sources || receivers) {
        let other = if sources { SOURCES } else { RECEIVERS };
        let what = format!("\"{other}\" is there as well: which points are meant?");
        return Err(DataError::damaged(file.path(), BOTH, what));
    }
    if both {
        let array = file.read(BOTH)?;
        return Ok(Some(PointArrays([(BOTH, array.clone()), (BOTH, array)])));
    }
    Ok(Some(PointArrays([(SOURCES, file.read(SOURCES)?), (RECEIVERS, file.read(RECEIVERS)?)])))
}

impl PointArrays {
    /// The points of inputs and outputs of these shapes.
    ///
    /// # Errors
    /// Arrays that are no points, not as many as the fields have, or of spaces of different dimensions.
    pub(crate) fn of_fields(
        &self,
        origin: &str,
        input: &FieldShape,
        output: &FieldShape,
    ) -> Result<[Points; 2], DataError> {
        let [(source_name, sources), (receiver_name, receivers)] = &self.0;
        let sources = Points::from_array(origin, source_name, sources, input)?;
        let points = Points::from_array(origin, receiver_name, receivers, output)?;
        if sources.dims != points.dims {
            return Err(DataError::Shape {
                origin: origin.to_owned(),
                array: (*receiver_name).to_owned(),
                shape: shape_text(&receivers.shape),
                reason: format!("\"{source_name}\" has {} coordinates a point", sources.dims),
            });
        }
        Ok([sources, points])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_whole_finite_and_of_one_to_three_dimensions() {
        let points = Points::new(2, &[0.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((points.len(), points.dims(), points.is_empty()), (2, 2, false));
        assert_eq!((points.get(1), points.get(2)), (Some(&[2.0, 3.0][..]), None));
        for (dims, numbers, part) in [
            (0, &[1.0][..], "one, two or three"),
            (4, &[1.0; 4], "one, two or three"),
            (2, &[], "0 numbers"),
            (2, &[1.0; 3], "3 numbers: not one or more points of 2 coordinates"),
            (2, &[1.0, 2.0, 3.0, f64::NAN], "coordinate 1 of point 1"),
        ] {
            let error = Points::new(dims, numbers).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
