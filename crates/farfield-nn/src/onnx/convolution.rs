//! Convolutions on grids: `Conv` in `f32`; in `f64`, which onnxruntime does not convolve, one product with the stacked shifts of the field.

use super::dense::dense;
use super::graph::{Graph, Value};
use super::parameters::Parameters;
use super::shape::batched;
use crate::config::Precision;
use crate::error::NnError;
use crate::rivals::Padding;

/// The [`Convolution`](crate::rivals::convolution::Convolution) of this name with `2 reach + 1` points along every axis. `v` and the result are `[batch, channels,
/// points]`.
///
/// # Errors
/// A parameter that is missing or does not fit.
pub(super) fn convolution(
    g: &mut Graph,
    p: &Parameters,
    name: &str,
    grid: &[usize],
    (reach, padding): (usize, Padding),
    v: &Value,
) -> Result<Value, NnError> {
    let channels = v.length(1)?;
    let points: usize = grid.iter().product();
    let field = g.reshape(v, &batched(&[&[channels], grid].concat()))?;
    if g.precision() == Precision::F64 {
        let stacked = stacked_shifts(g, grid, (reach, padding), &field)?;
        let shifts = (2 * reach + 1).pow(grid.len() as u32);
        let stacked = g.reshape(&stacked, &batched(&[channels * shifts, points]))?;
        return dense(g, p, &format!("{name}.kernel"), &stacked);
    }
    let (weight, bias) = (p.get(&format!("{name}.kernel.weight"))?, p.take(g, &format!("{name}.kernel.bias"))?);
    let out = bias.length(0)?;
    let kernel = kernel(&weight.iter::<f64>().collect::<Vec<_>>(), out, channels, (2 * reach + 1, grid.len()));
    let shape = [vec![out, channels], vec![2 * reach + 1; grid.len()]].concat();
    let kernel = g.constant(&format!("{name}.kernel"), &shape, &kernel)?;
    let y = match padding {
        Padding::Zero => g.convolution(&field, &kernel, &bias, reach)?,
        Padding::Periodic => {
            let mut field = field;
            for axis in 0..grid.len() {
                field = wrapped(g, axis + 2, reach, &field)?;
            }
            g.convolution(&field, &kernel, &bias, 0)?
        }
    };
    g.reshape(&y, &batched(&[out, points]))
}

/// `[out, in, width, ..]` from `[out, width .. in]`, where the shifts of the last axis are outermost.
fn kernel(weight: &[f64], out: usize, channels: usize, (width, axes): (usize, usize)) -> Vec<f64> {
    let shifts = width.pow(axes as u32);
    // The digits of a shift in base `width`, those of the first axis first here and last there.
    let reversed =
        |shift: usize| (0..axes).fold((0, shift), |(sum, rest), _| (width * sum + rest % width, rest / width)).0;
    let index = |o: usize, c: usize, shift: usize| (o * shifts + reversed(shift)) * channels + c;
    let pairs = (0..out).flat_map(|o| (0..channels).map(move |c| (o, c)));
    pairs.flat_map(|(o, c)| (0..shifts).map(move |shift| weight[index(o, c, shift)])).collect()
}

/// The field shifted by `-reach .. reach` along every axis as channels: the last axis outermost.
fn stacked_shifts(
    g: &mut Graph,
    grid: &[usize],
    (reach, padding): (usize, Padding),
    field: &Value,
) -> Result<Value, NnError> {
    let mut v = field.clone();
    for (axis, &n) in grid.iter().enumerate() {
        let padded = match padding {
            Padding::Zero => g.pad(&v, &[(axis + 2, reach, reach)])?,
            Padding::Periodic => wrapped(g, axis + 2, reach, &v)?,
        };
        let mut shifts = Vec::with_capacity(2 * reach + 1);
        for shift in 0..=2 * reach {
            shifts.push(g.slice(&padded, &[(axis + 2, shift..shift + n)])?);
        }
        v = g.concat(&shifts.iter().collect::<Vec<_>>(), 1)?;
    }
    Ok(v)
}

/// An axis continued periodically by `reach` points on both sides.
fn wrapped(g: &mut Graph, axis: usize, reach: usize, v: &Value) -> Result<Value, NnError> {
    if reach == 0 {
        return Ok(v.clone());
    }
    let n = v.length(axis)?;
    let before = g.slice(v, &[(axis, n - reach.min(n)..n)])?;
    let after = g.slice(v, &[(axis, 0..reach)])?;
    g.concat(&[&before, v, &after], axis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_reordered() {
        // One channel, two axes: entry (di, dj) is at 3 dj + di in the stacked order.
        let weight: Vec<f64> = (0..9).map(f64::from).collect();
        assert_eq!(kernel(&weight, 1, 1, (3, 2)), [0.0, 3.0, 6.0, 1.0, 4.0, 7.0, 2.0, 5.0, 8.0]);
        assert_eq!(kernel(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 1, 2, (3, 1)), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        let weight: Vec<f64> = (0..25).map(f64::from).collect();
        assert_eq!(kernel(&weight, 1, 1, (5, 2))[..6], [0.0, 5.0, 10.0, 15.0, 20.0, 1.0]);
    }
}
