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
    let [from, to] = [(green.length(0)?, input.channels), (green.length(1)?, output.channels)].map(|(all, c)| all / c);
    let mut weighted = g.mul(x, &quadrature)?;
    if let Some(values) = model.restriction_values() {
        let restriction = g.parameter("restriction", &values.into_data())?;
        weighted = g.matmul(&weighted, &restriction)?;
    }
    let weighted = g.reshape(&weighted, &batched(&[input.channels * from]))?;
    let integral = g.matmul(&weighted, &green)?;
    let mut integral = g.reshape(&integral, &batched(&[output.channels, to]))?;
    if let Some(values) = model.prolongation_values() {
        let prolongation = g.parameter("prolongation", &values.into_data())?;
        integral = g.matmul(&integral, &prolongation)?;
    }
    match model.homogeneous_values() {
        None => Ok(integral),
        Some(values) => {
            let homogeneous = g.parameter("homogeneous", &values.into_data())?;
            g.add(&integral, &homogeneous)
        }
    }
}
