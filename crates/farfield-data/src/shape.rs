//! Shapes of fields, and how the shape of a user's array is read as samples of a field.
//!
//! Arrays are `(samples, [channel,] n[, n[, n]])`, row-major. Whether the second axis is a channel
//! or the first axis of the grid cannot be seen from every shape; [`interpret_shape`] holds the rule.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// Shape of one sample of a field: `(channel, x[, y[, z]])`, row-major.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldShape {
    /// Number of channels, at least 1.
    pub channels: usize,
    /// Points along each axis: one, two or three numbers, each at least 1.
    pub grid: Vec<usize>,
}

impl FieldShape {
    /// A shape with `channels` channels on `grid`.
    pub fn new(channels: usize, grid: &[usize]) -> Self {
        Self { channels, grid: grid.to_vec() }
    }

    /// Grid points, over all axes. Saturates instead of overflowing.
    pub fn points(&self) -> usize {
        self.grid.iter().fold(1, |n, &g| n.saturating_mul(g))
    }

    /// Values of one sample: channels times points.
    pub fn len(&self) -> usize {
        self.channels.saturating_mul(self.points())
    }

    /// Whether a sample holds no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Dimension of the domain: 1, 2 or 3.
    pub fn dims(&self) -> usize {
        self.grid.len()
    }

    /// The shape of `samples` samples as an array, channel axis always present.
    pub fn with_samples(&self, samples: usize) -> Vec<usize> {
        let mut shape = vec![samples, self.channels];
        shape.extend_from_slice(&self.grid);
        shape
    }

    /// Checks 1 to 3 axes, nothing empty, and that a sample's size in bytes fits the machine.
    pub(crate) fn check(&self, name: &'static str) -> Result<(), DataError> {
        if !(1..=3).contains(&self.grid.len()) {
            return Err(DataError::parameter(name, self, "a grid has one, two or three axes"));
        }
        if self.is_empty() {
            return Err(DataError::parameter(name, self, "channels and every axis of the grid must be at least 1"));
        }
        if self.len() > isize::MAX as usize / 8 {
            return Err(DataError::parameter(name, self, "too large for this machine"));
        }
        Ok(())
    }
}

impl fmt::Display for FieldShape {
    /// `1 x 64 x 64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.channels)?;
        self.grid.iter().try_for_each(|n| write!(f, " x {n}"))
    }
}

/// `(100, 64, 64)`, as NumPy prints a shape.
pub(crate) fn shape_text(shape: &[usize]) -> String {
    let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
    match axes.as_slice() {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    }
}

/// Reads an array's shape as `(samples, field)`, or says what is wrong with it.
///
/// With `dims = Some(d)` the array has `d + 1` axes (no channel axis: one channel) or `d + 2` (the
/// second axis is the channel). Without it:
///
/// | axes | read as |
/// | --- | --- |
/// | 2 | 1D, one channel |
/// | 3 | 2D, one channel; but 1D with channels if the second axis is at most 4 and the last at least 8 |
/// | 4 | 3D, one channel; but 2D with channels if the second axis is at most 4 and the last at least 8 |
/// | 5 | 3D with channels |
///
/// # Errors
/// The reason as text, without file or array name: wrong number of axes, `dims` not 1, 2 or 3, no
/// samples, an empty axis, or a size that does not fit the machine.
pub fn interpret_shape(shape: &[usize], dims: Option<usize>) -> Result<(usize, FieldShape), String> {
    const EXPECTED: &str = "expected (samples, [channel,] n[, n[, n]]): one sample axis, one to three grid axes";
    let dims = match (dims, shape) {
        (Some(d), _) if !(1..=3).contains(&d) => {
            return Err(format!("dims = {d}: must be 1, 2 or 3"));
        }
        (Some(d), _) if shape.len() != d + 1 && shape.len() != d + 2 => {
            return Err(format!(
                "dims = {d} needs {} axes, or {} with a channel axis, not {}",
                d + 1,
                d + 2,
                shape.len()
            ));
        }
        (Some(d), _) => d,
        (None, [_, _]) => 1,
        (None, [_, second, last] | [_, second, _, last]) if *second <= 4 && *last >= 8 => shape.len() - 2,
        (None, [_, _, _] | [_, _, _, _]) => shape.len() - 1,
        (None, [_, _, _, _, _]) => 3,
        _ => return Err(EXPECTED.to_owned()),
    };
    let Some((&samples, rest)) = shape.split_first() else {
        return Err(EXPECTED.to_owned());
    };
    let (channels, grid) = match rest.split_first() {
        Some((&channels, grid)) if rest.len() == dims + 1 => (channels, grid),
        _ => (1, rest),
    };
    if samples == 0 {
        return Err("the set is empty: at least one sample is needed".to_owned());
    }
    let field = FieldShape::new(channels, grid);
    if field.is_empty() {
        return Err("an axis has length 0".to_owned());
    }
    if field.len().saturating_mul(samples) > isize::MAX as usize / 8 {
        return Err("too large for this machine".to_owned());
    }
    Ok((samples, field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shape: &[usize], dims: Option<usize>) -> (usize, usize, Vec<usize>) {
        let (samples, field) = interpret_shape(shape, dims).unwrap();
        (samples, field.channels, field.grid)
    }

    #[test]
    fn the_rule_without_dims() {
        assert_eq!(read(&[10, 256], None), (10, 1, vec![256]));
        assert_eq!(read(&[10, 2], None), (10, 1, vec![2]));
        assert_eq!(read(&[10, 64, 64], None), (10, 1, vec![64, 64]));
        assert_eq!(read(&[10, 4, 8], None), (10, 4, vec![8]));
        assert_eq!(read(&[10, 5, 8], None), (10, 1, vec![5, 8]));
        assert_eq!(read(&[10, 4, 7], None), (10, 1, vec![4, 7]));
        assert_eq!(read(&[10, 2, 64, 64], None), (10, 2, vec![64, 64]));
        assert_eq!(read(&[10, 16, 16, 16], None), (10, 1, vec![16, 16, 16]));
        assert_eq!(read(&[10, 4, 4, 4], None), (10, 1, vec![4, 4, 4]));
        assert_eq!(read(&[1, 2, 8, 8, 8], None), (1, 2, vec![8, 8, 8]));
    }

    #[test]
    fn dims_decides() {
        assert_eq!(read(&[10, 2, 64], Some(2)), (10, 1, vec![2, 64]));
        assert_eq!(read(&[10, 2, 64], Some(1)), (10, 2, vec![64]));
        assert_eq!(read(&[10, 64, 64], Some(1)), (10, 64, vec![64]));
        assert_eq!(read(&[10, 3, 8, 8], Some(3)), (10, 1, vec![3, 8, 8]));
        assert_eq!(read(&[10, 8, 8, 8], Some(2)), (10, 8, vec![8, 8]));
        assert_eq!(read(&[10, 1, 8, 8, 8], Some(3)), (10, 1, vec![8, 8, 8]));
    }

    #[test]
    fn unreadable_shapes_say_why() {
        for (shape, dims, part) in [
            (vec![], None, "expected (samples"),
            (vec![5], None, "expected (samples"),
            (vec![1; 6], None, "expected (samples"),
            (vec![0, 8], None, "empty"),
            (vec![3, 0], None, "length 0"),
            (vec![3, 0, 9], Some(1), "length 0"),
            (vec![3, 8], Some(2), "needs 3 axes"),
            (vec![3, 8], Some(0), "1, 2 or 3"),
            (vec![3, 8], Some(4), "1, 2 or 3"),
            (vec![1 << 40, 1 << 40], None, "too large"),
        ] {
            let error = interpret_shape(&shape, dims).unwrap_err();
            assert!(error.contains(part), "{shape:?}: {error}");
        }
    }

    #[test]
    fn sizes_and_text() {
        let shape = FieldShape::new(2, &[3, 4]);
        assert_eq!((shape.points(), shape.len(), shape.dims()), (12, 24, 2));
        assert_eq!(shape.to_string(), "2 x 3 x 4");
        assert_eq!(shape.with_samples(5), [5, 2, 3, 4]);
        assert_eq!(shape_text(&[3]), "(3,)");
        assert_eq!(shape_text(&[3, 4]), "(3, 4)");
        assert_eq!(shape_text(&[]), "()");
        assert!(FieldShape::new(1, &[]).check("input").is_err());
        assert!(FieldShape::new(0, &[3]).check("input").is_err());
        assert!(FieldShape::new(usize::MAX, &[3]).check("input").is_err());
        assert!(shape.check("input").is_ok());
    }
}
