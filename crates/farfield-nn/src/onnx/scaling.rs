//! The scaling of fields, one shift and one scale a channel.
//!
//! `predict` scales in `f64`. Here all is in the float type of the graph: of a shift in `f32` what its rounding loses is subtracted in a second step, so that
//! inputs which lie close to a large shift lose no digits.

use farfield_data::{FieldShape, Normalizer};

use super::graph::{Graph, Value};
use crate::config::Precision;
use crate::error::NnError;

/// `(x - shift) / scale`.
///
/// # Errors
/// When the channels differ.
pub(super) fn scaled(g: &mut Graph, normalizer: &Normalizer, field: &FieldShape, x: &Value) -> Result<Value, NnError> {
    let lost: Vec<f64> = normalizer.shift().iter().map(|&v| v - stored(g, v)).collect();
    let mut z = x.clone();
    for (name, shift) in [("input.shift", normalizer.shift()), ("input.shift.rest", &lost)] {
        if shift.iter().any(|&v| stored(g, v) != 0.0) {
            let shift = channels(g, name, field, shift)?;
            z = g.sub(&z, &shift)?;
        }
    }
    if normalizer.scale().iter().any(|&v| v != 1.0) {
        let scale = channels(g, "input.scale", field, normalizer.scale())?;
        z = g.div(&z, &scale)?;
    }
    Ok(z)
}

/// `y scale + shift`.
///
/// # Errors
/// When the channels differ.
pub(super) fn unscaled(
    g: &mut Graph,
    normalizer: &Normalizer,
    field: &FieldShape,
    y: &Value,
) -> Result<Value, NnError> {
    let mut z = y.clone();
    if normalizer.scale().iter().any(|&v| v != 1.0) {
        let scale = channels(g, "output.scale", field, normalizer.scale())?;
        z = g.mul(&z, &scale)?;
    }
    if normalizer.shift().iter().any(|&v| v != 0.0) {
        let shift = channels(g, "output.shift", field, normalizer.shift())?;
        z = g.add(&z, &shift)?;
    }
    Ok(z)
}

/// A number as the graph holds it.
fn stored(g: &Graph, value: f64) -> f64 {
    if g.precision() == Precision::F32 { f64::from(value as f32) } else { value }
}

/// Numbers of the channels, to be repeated over the grid.
///
/// In `f64` they are repeated along the longest axis here: a factor of one number beside a matrix product onnxruntime makes the factor of that product, which it
/// holds in single precision.
fn channels(g: &mut Graph, name: &str, field: &FieldShape, values: &[f64]) -> Result<Value, NnError> {
    let mut shape = [vec![field.channels], vec![1; field.grid.len()]].concat();
    let longest = field.grid.iter().enumerate().max_by_key(|(_, n)| **n);
    match longest {
        Some((axis, &n)) if g.precision() == Precision::F64 => {
            shape[axis + 1] = n;
            let repeated: Vec<f64> = values.iter().flat_map(|&v| std::iter::repeat_n(v, n)).collect();
            g.constant(name, &shape, &repeated)
        }
        _ => g.constant(name, &shape, values),
    }
}
