//! The residual network: `Conv` in `f32`; in `f64`, which onnxruntime does not convolve, one product with the stacked shifts of the field.

use farfield_data::FieldShape;

use super::dense::dense;
use super::gelu::gelu;
use super::graph::{Graph, Value};
use super::parameters::Parameters;
use super::shape::batched;
use crate::config::Precision;
use crate::error::NnError;
use crate::rivals::ResNetConfig;

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
            let inner = convolution(g, p, &format!("convolutions.{}", 2 * block), &shape.grid, &v)?;
            let inner = gelu(g, &inner)?;
            let inner = convolution(g, p, &format!("convolutions.{}", 2 * block + 1), &shape.grid, &inner)?;
            let sum = g.add(&v, &inner)?;
            gelu(g, &sum)
        })?;
    }
    dense(g, p, "project", &v)
}

fn convolution(g: &mut Graph, p: &Parameters, name: &str, grid: &[usize], v: &Value) -> Result<Value, NnError> {
    let channels = v.length(1)?;
    let points: usize = grid.iter().product();
    let field = g.reshape(v, &batched(&[&[channels], grid].concat()))?;
    if g.precision() == Precision::F64 {
        let stacked = stacked_shifts(g, grid, &field)?;
        let shifts = 3usize.pow(grid.len() as u32);
        let stacked = g.reshape(&stacked, &batched(&[channels * shifts, points]))?;
        return dense(g, p, &format!("{name}.kernel"), &stacked);
    }
    let (weight, bias) = (p.get(&format!("{name}.kernel.weight"))?, p.take(g, &format!("{name}.kernel.bias"))?);
    let out = bias.length(0)?;
    let kernel = kernel(&weight.iter::<f64>().collect::<Vec<_>>(), out, channels, grid.len());
    let shape = [vec![out, channels], vec![3; grid.len()]].concat();
    let kernel = g.constant(&format!("{name}.kernel"), &shape, &kernel)?;
    let y = g.convolution(&field, &kernel, &bias)?;
    g.reshape(&y, &batched(&[out, points]))
}

/// `[out, in, 3, ..]` from `[out, 3 .. in]`, where the shifts of the last axis are outermost.
fn kernel(weight: &[f64], out: usize, channels: usize, axes: usize) -> Vec<f64> {
    let shifts = 3usize.pow(axes as u32);
    // The digits of a shift in base 3, those of the first axis first here and last there.
    let reversed = |shift: usize| (0..axes).fold((0, shift), |(sum, rest), _| (3 * sum + rest % 3, rest / 3)).0;
    let index = |o: usize, c: usize, shift: usize| (o * shifts + reversed(shift)) * channels + c;
    let pairs = (0..out).flat_map(|o| (0..channels).map(move |c| (o, c)));
    pairs.flat_map(|(o, c)| (0..shifts).map(move |shift| weight[index(o, c, shift)])).collect()
}

/// The field shifted by -1, 0 and 1 along every axis, with zeros beyond the ends, as channels: the last axis outermost.
fn stacked_shifts(g: &mut Graph, grid: &[usize], field: &Value) -> Result<Value, NnError> {
    let mut v = field.clone();
    for (axis, &n) in grid.iter().enumerate() {
        let padded = g.pad(&v, &[(axis + 2, 1, 1)])?;
        let mut shifts = Vec::with_capacity(3);
        for shift in 0..3 {
            shifts.push(g.slice(&padded, &[(axis + 2, shift..shift + n)])?);
        }
        v = g.concat(&shifts.iter().collect::<Vec<_>>(), 1)?;
    }
    Ok(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_reordered() {
        // One channel, two axes: entry (di, dj) is at 3 dj + di in the stacked order.
        let weight: Vec<f64> = (0..9).map(f64::from).collect();
        assert_eq!(kernel(&weight, 1, 1, 2), [0.0, 3.0, 6.0, 1.0, 4.0, 7.0, 2.0, 5.0, 8.0]);
        assert_eq!(kernel(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 1, 2, 1), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    }
}
