//! Green Learning: the networks do not depend on the input, and the Green's function and the homogeneous solution are stored by their values on the grid.

use super::graph::{Graph, Value};
use super::shape::batched;
use crate::error::NnError;
use crate::model::Model;
use crate::rivals::GreenLearning;

/// `x` and the result are `[batch, channels, points]`.
///
/// # Errors
/// When the shapes do not fit.
pub(super) fn green_learning(g: &mut Graph, model: &GreenLearning, x: &Value) -> Result<Value, NnError> {
    let (input, output) = (model.input_shape(), model.output_shape());
    let quadrature = g.constant("quadrature", &[input.points()], &model.quadrature_weights())?;
    let green = g.parameter("green", &model.green_values().into_data())?;
    let weighted = g.mul(x, &quadrature)?;
    let weighted = g.reshape(&weighted, &batched(&[input.len()]))?;
    let integral = g.matmul(&weighted, &green)?;
    let integral = g.reshape(&integral, &batched(&[output.channels, output.points()]))?;
    match model.homogeneous_values() {
        None => Ok(integral),
        Some(values) => {
            let homogeneous = g.parameter("homogeneous", &values.into_data())?;
            g.add(&integral, &homogeneous)
        }
    }
}
