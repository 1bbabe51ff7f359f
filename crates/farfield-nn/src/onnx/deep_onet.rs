//! DeepONet: the branch as it is; the trunk does not depend on the input, and its values at the points of the output are stored.

use super::gelu::gelu;
use super::graph::{Graph, Value};
use super::parameters::Parameters;
use super::shape::{BATCH, batched};
use crate::error::NnError;
use crate::model::Model;
use crate::rivals::DeepOnet;

/// `x` and the result are `[batch, channels, points]`.
///
/// # Errors
/// A parameter that is missing or does not fit.
pub(super) fn deep_onet(g: &mut Graph, p: &Parameters, model: &DeepOnet, x: &Value) -> Result<Value, NnError> {
    let (w, input, output) = (model.config().hidden_channels, model.input_shape(), model.output_shape());
    let mut z = g.reshape(x, &batched(&[input.len()]))?;
    for layer in 0..model.config().n_layers {
        z = g.within(&format!("branch.{layer}"), |g| {
            let z = if layer > 0 { gelu(g, &z)? } else { z };
            let weight = p.take(g, &format!("branch.{layer}.weight"))?;
            let bias = p.take(g, &format!("branch.{layer}.bias"))?;
            g.affine(&z, &weight, &bias)
        })?;
    }
    let terms = g.reshape(&z, &[BATCH, w.into(), output.channels.into()])?;
    let terms = g.transpose(&terms, &[0, 2, 1])?;
    let trunk = g.parameter("trunk", &model.trunk_values().into_data())?;
    let product = g.matmul(&terms, &trunk)?;
    let bias = p.take(g, "bias")?;
    let bias = g.reshape(&bias, &[output.channels.into(), 1.into()])?;
    g.add(&product, &bias)
}
