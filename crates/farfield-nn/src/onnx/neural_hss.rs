//! Neural-HSS, block-diagonal and dense networks: lifting, HSS layers with LeakyReLU, projection.
//!
//! Fields have their samples last, `[points, batch]`, between the first and the last node.

use farfield_data::FieldShape;

use super::graph::{Graph, Value};
use super::hss_layer::{hss_layer, mode_products};
use super::parameters::Parameters;
use super::shape::{Dim, batched};
use crate::config::{MapKind, ModelConfig};
use crate::error::NnError;
use crate::layer_spec::LayerSpec;
use crate::neural_hss::{StackSpecs, one_channel, tensor_shape};

/// `x` and the result are `[batch, channels, points]`.
///
/// # Errors
/// A parameter that is missing or does not fit.
pub(super) fn neural_hss(
    g: &mut Graph,
    p: &Parameters,
    config: &ModelConfig,
    (input, output): (&FieldShape, &FieldShape),
    x: &Value,
) -> Result<Value, NnError> {
    let specs = StackSpecs::new(config, input, output)?;
    let inner = config.inner_grid(input);
    let z = g.reshape(x, &batched(&[input.len()]))?;
    let z = g.transpose(&z, &[1, 0])?;
    let mut z = match config.lift {
        MapKind::Tensor => {
            map(g, p, "lift", config, (&tensor_shape(input), &one_channel(&inner)), specs.lift.as_deref(), &z)?
        }
        _ => map(g, p, "lift", config, (&input.grid, &inner), specs.lift.as_deref(), &z)?,
    };
    for i in 0..config.depth {
        let name = format!("layers.{i}");
        z = g.within(&name, |g| {
            let h = hss_layer(g, p, &name, &specs.inner, &z)?;
            let slope = p.take(g, &format!("{name}.alpha"))?;
            g.leaky_relu(&h, &slope)
        })?;
    }
    let z = match config.project {
        MapKind::Tensor => {
            map(g, p, "project", config, (&one_channel(&inner), &tensor_shape(output)), specs.project.as_deref(), &z)?
        }
        _ => map(g, p, "project", config, (&inner, &output.grid), specs.project.as_deref(), &z)?,
    };
    let y = g.transpose(&z, &[1, 0])?;
    g.reshape(&y, &batched(&[output.channels, output.points()]))
}

/// The lifting or projection `name` between grids, whatever it is.
fn map(
    g: &mut Graph,
    p: &Parameters,
    name: &str,
    config: &ModelConfig,
    grids: (&[usize], &[usize]),
    spec: Option<&LayerSpec>,
    x: &Value,
) -> Result<Value, NnError> {
    let kind = if name == "lift" { config.lift } else { config.project };
    g.within(name, |g| match (kind, spec) {
        (MapKind::Hss, Some(spec)) => hss_layer(g, p, name, spec, x),
        (MapKind::None | MapKind::Hss, _) => Ok(x.clone()),
        (MapKind::Full, _) => mode_products(g, x, grids, 1, |g, mode, z| {
            let weight = p.take(g, &format!("{name}.mode{mode}.W"))?;
            g.matmul(&weight, z)
        }),
        (MapKind::Tensor, _) => tensor_map(g, p, name, grids, x),
    })
}

/// Appendix E: `sum_i c_i u_i^(1) x u_i^(2) .. < v_i^(1) x v_i^(2) .., x >`.
fn tensor_map(
    g: &mut Graph,
    p: &Parameters,
    name: &str,
    (from, to): (&[usize], &[usize]),
    x: &Value,
) -> Result<Value, NnError> {
    let c = p.take(g, &format!("{name}.c"))?;
    let terms = c.length(0)?;
    let mut rest: usize = from.iter().product();
    let mut z = x.clone();
    for (j, &d) in from.iter().enumerate() {
        rest /= d;
        let terms_z = if j == 0 { 1 } else { terms };
        z = g.reshape(&z, &[terms_z.into(), d.into(), Dim::batch(rest)])?;
        let v = p.take(g, &format!("{name}.v{j}"))?;
        let v = g.reshape(&v, &[terms.into(), 1.into(), d.into()])?;
        z = g.matmul(&v, &z)?;
    }
    let z = g.reshape(&z, &[terms.into(), Dim::batch(1)])?;
    let c = g.reshape(&c, &[terms.into(), 1.into()])?;
    let coefficients = g.mul(&z, &c)?;
    // u_1 x u_2 x .. for each term: [terms, points].
    let mut points = 1;
    let mut product = None;
    for (j, &d) in to.iter().enumerate() {
        let u = p.take(g, &format!("{name}.u{j}"))?;
        points *= d;
        product = Some(match product {
            None => u,
            Some(before) => {
                let before = g.reshape(&before, &[terms.into(), (points / d).into(), 1.into()])?;
                let u = g.reshape(&u, &[terms.into(), 1.into(), d.into()])?;
                let next = g.mul(&before, &u)?;
                g.reshape(&next, &[terms.into(), points.into()])?
            }
        });
    }
    let product = product.ok_or_else(|| NnError::shape("axes of a tensor map", 0, "at least one"))?;
    let product = g.transpose(&product, &[1, 0])?;
    g.matmul(&product, &coefficients)
}
