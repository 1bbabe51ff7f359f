//! The plain convolutional network.

use farfield_data::FieldShape;

use super::convolution::convolution;
use super::graph::{Graph, Value};
use super::mnn::activated;
use super::parameters::Parameters;
use crate::error::NnError;
use crate::rivals::ConvNetConfig;

/// `x` and the result are `[batch, channels, points]`.
///
/// # Errors
/// A parameter that is missing or does not fit.
pub(super) fn conv_net(
    g: &mut Graph,
    p: &Parameters,
    config: &ConvNetConfig,
    shape: &FieldShape,
    x: &Value,
) -> Result<Value, NnError> {
    let mut v = x.clone();
    for layer in 0..config.n_layers {
        let name = format!("convolutions.{layer}");
        v = g.within(&name, |g| convolution(g, p, &name, &shape.grid, (config.kernel_size / 2, config.padding), &v))?;
        if layer + 1 < config.n_layers {
            v = activated(g, config.activation, &v);
        }
    }
    Ok(v)
}
