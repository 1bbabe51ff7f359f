//! The residual network.

use farfield_data::FieldShape;

use super::convolution::convolution;
use super::dense::dense;
use super::gelu::gelu;
use super::graph::{Graph, Value};
use super::parameters::Parameters;
use crate::error::NnError;
use crate::rivals::{Padding, ResNetConfig};

/// `x` and the result are `[batch, channels, points]`.
///
/// # Errors
/// A parameter that is missing or does not fit.
pub(super) fn resnet(
    g: &mut Graph,
    p: &Parameters,
    config: &ResNetConfig,
    shape: &FieldShape,
    x: &Value,
) -> Result<Value, NnError> {
    let mut v = dense(g, p, "lift", x)?;
    for block in 0..config.n_layers {
        v = g.within(&format!("block.{block}"), |g| {
            let ends = (1, Padding::Zero);
            let inner = convolution(g, p, &format!("convolutions.{}", 2 * block), &shape.grid, ends, &v)?;
            let inner = gelu(g, &inner)?;
            let inner = convolution(g, p, &format!("convolutions.{}", 2 * block + 1), &shape.grid, ends, &inner)?;
            let sum = g.add(&v, &inner)?;
            gelu(g, &sum)
        })?;
    }
    dense(g, p, "project", &v)
}
