//! FactFormer: attention with a kernel an axis.

use farfield_data::FieldShape;

use super::dense::{dense, dense_with_coordinates, normalized};
use super::gelu::gelu;
use super::graph::{Graph, Value};
use super::parameters::Parameters;
use super::shape::{BATCH, Dim, batched};
use crate::error::NnError;
use crate::rivals::FactFormerConfig;
use crate::rivals::fact_former::rotation_values;
use crate::rivals::initial::grid_coordinates;

/// `x` and the result are `[batch, channels, points]`.
///
/// # Errors
/// A parameter that is missing or does not fit.
pub(super) fn fact_former(
    g: &mut Graph,
    p: &Parameters,
    config: &FactFormerConfig,
    shape: &FieldShape,
    x: &Value,
) -> Result<Value, NnError> {
    let grid = &shape.grid;
    let coordinates = g.constant("coordinates", &[grid.len(), shape.points()], &grid_coordinates(grid))?;
    let v = dense_with_coordinates(g, p, "lift.0", x, &coordinates)?;
    let v = gelu(g, &v)?;
    let mut v = dense(g, p, "lift.1", &v)?;
    for i in 0..config.n_layers {
        let name = format!("blocks.{i}");
        v = g.within(&name, |g| block(g, p, &name, config, grid, &v))?;
    }
    let v = normalized(g, &v, 1)?;
    two(g, p, "project", &v)
}

/// Two dense layers with GELU between them.
fn two(g: &mut Graph, p: &Parameters, name: &str, v: &Value) -> Result<Value, NnError> {
    let v = dense(g, p, &format!("{name}.0"), v)?;
    let v = gelu(g, &v)?;
    dense(g, p, &format!("{name}.1"), &v)
}

fn block(
    g: &mut Graph,
    p: &Parameters,
    name: &str,
    config: &FactFormerConfig,
    grid: &[usize],
    v: &Value,
) -> Result<Value, NnError> {
    let (heads, c) = (config.heads, config.head_channels);
    let points: usize = grid.iter().product();
    let u = normalized(g, v, 1)?;
    let mut z = dense(g, p, &format!("{name}.value"), &u)?;
    for (axis, &n) in grid.iter().enumerate() {
        let after: usize = grid[axis + 1..].iter().product();
        let rows = c * points / (n * after);
        let part = format!("{name}.axes.{axis}");
        z = g.within(&format!("axis.{axis}"), |g| {
            let (query, key) = query_and_key(g, p, &part, config, (grid, axis), &u)?;
            if after == 1 {
                // The kernel from the right, transposed: one product for all rows.
                let key = g.transpose(&key, &[0, 1, 3, 2])?;
                let kernel = g.matmul(&key, &query)?;
                let z = g.reshape(&z, &batched(&[heads, rows, n]))?;
                return g.matmul(&z, &kernel);
            }
            let query = g.transpose(&query, &[0, 1, 3, 2])?;
            let kernel = g.matmul(&query, &key)?;
            let kernel = g.reshape(&kernel, &batched(&[heads, 1, n, n]))?;
            let z = g.reshape(&z, &batched(&[heads, rows, n, after]))?;
            g.matmul(&kernel, &z)
        })?;
    }
    let z = g.reshape(&z, &batched(&[heads, c, points]))?;
    let z = normalized(g, &z, 2)?;
    let z = g.reshape(&z, &batched(&[heads * c, points]))?;
    let out = two(g, p, &format!("{name}.out"), &z)?;
    g.add(v, &out)
}

/// Queries and keys of one axis, `[batch, heads, channels, n]` each, from the normalised field. The factor of the kernel is in the queries: as a factor of
/// the product onnxruntime would round it to single precision, also in a graph of double precision.
fn query_and_key(
    g: &mut Graph,
    p: &Parameters,
    name: &str,
    config: &FactFormerConfig,
    (grid, axis): (&[usize], usize),
    u: &Value,
) -> Result<(Value, Value), NnError> {
    let (n, w) = (grid[axis], config.hidden_channels);
    let (before, after): (usize, usize) = (grid[..axis].iter().product(), grid[axis + 1..].iter().product());
    let z = dense(g, p, &format!("{name}.reduce"), u)?;
    let z = g.reshape(&z, &[Dim::batch(w), before.into(), n.into(), after.into()])?;
    let z = g.mean(&z, &[1, 3])?;
    let z = g.reshape(&z, &batched(&[w, n]))?;
    let z = normalized(g, &z, 1)?;
    let z = two(g, p, &format!("{name}.mix"), &z)?;
    let c = config.head_channels * config.kernel_multiplier;
    let mut rotated = |part: &str, factor: f64| {
        let q = dense(g, p, &format!("{name}.{part}"), &z)?;
        let q = g.reshape(&q, &[BATCH, config.heads.into(), c.into(), n.into()])?;
        rotate(g, part, factor, &q)
    };
    Ok((rotated("query", 1.0 / (n as f64 * (c as f64).sqrt()))?, rotated("key", 1.0)?))
}

/// The rotation of pairs of channels by the place along the axis, times a factor.
fn rotate(g: &mut Graph, part: &str, factor: f64, q: &Value) -> Result<Value, NnError> {
    let (c, n) = (q.length(2)?, q.length(3)?);
    let pairs = c / 2;
    let [cos, sin] = rotation_values(n, c).map(|values| values.iter().map(|v| factor * v).collect::<Vec<_>>());
    let cos = g.constant(&format!("rotation/{n}.{part}.cos"), &[pairs, n], &cos)?;
    let sin = g.constant(&format!("rotation/{n}.{part}.sin"), &[pairs, n], &sin)?;
    let (a, b) = (g.slice(q, &[(2, 0..pairs)])?, g.slice(q, &[(2, pairs..c)])?);
    let (a_cos, b_sin) = (g.mul(&a, &cos)?, g.mul(&b, &sin)?);
    let (a_sin, b_cos) = (g.mul(&a, &sin)?, g.mul(&b, &cos)?);
    let (first, second) = (g.sub(&a_cos, &b_sin)?, g.add(&a_sin, &b_cos)?);
    g.concat(&[&first, &second], 2)
}
