//! Layers over the channels of fields `[batch, channels, points]`, which several models have.

use super::graph::{Graph, Value};
use super::parameters::Parameters;
use crate::error::NnError;
use crate::rivals::fact_former::VARIANCE_FLOOR;

/// `W v + b` at every point: `W` is `[channels_out, channels_in]`.
///
/// # Errors
/// A parameter that is missing or does not fit.
pub(super) fn dense(g: &mut Graph, p: &Parameters, name: &str, v: &Value) -> Result<Value, NnError> {
    let weight = p.take(g, &format!("{name}.weight"))?;
    let bias = bias(g, p, name)?;
    let product = g.matmul(&weight, v)?;
    g.add(&product, &bias)
}

/// `W [v, coordinates] + b`: the part of the coordinates does not depend on the samples, and is a value of its own, `[channels_out, points]`.
///
/// # Errors
/// As [`dense`].
pub(super) fn dense_with_coordinates(
    g: &mut Graph,
    p: &Parameters,
    name: &str,
    v: &Value,
    coordinates: &Value,
) -> Result<Value, NnError> {
    let (channels, axes) = (v.length(1)?, coordinates.length(0)?);
    let weight = p.take(g, &format!("{name}.weight"))?;
    let of_field = g.slice(&weight, &[(1, 0..channels)])?;
    let of_grid = g.slice(&weight, &[(1, channels..channels + axes)])?;
    let bias = bias(g, p, name)?;
    let constant = g.matmul(&of_grid, coordinates)?;
    let constant = g.add(&constant, &bias)?;
    let product = g.matmul(&of_field, v)?;
    g.add(&product, &constant)
}

/// `[channels, 1]`.
fn bias(g: &mut Graph, p: &Parameters, name: &str) -> Result<Value, NnError> {
    let bias = p.take(g, &format!("{name}.bias"))?;
    let channels = bias.length(0)?;
    g.reshape(&bias, &[channels.into(), 1.into()])
}

/// Mean 0 and variance 1 along an axis.
///
/// # Errors
/// When there is no such axis.
pub(super) fn normalized(g: &mut Graph, v: &Value, axis: usize) -> Result<Value, NnError> {
    let mean = g.mean(v, &[axis])?;
    let centred = g.sub(v, &mean)?;
    let squares = g.mul(&centred, &centred)?;
    let variance = g.mean(&squares, &[axis])?;
    let floor = g.scalar(VARIANCE_FLOOR)?;
    let sum = g.add(&variance, &floor)?;
    let deviation = g.sqrt(&sum);
    g.div(&centred, &deviation)
}
