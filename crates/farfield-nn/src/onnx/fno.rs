//! The Fourier neural operator, with the transforms as products with their matrices.
//!
//! Complex numbers are pairs of reals on an axis of length 2: along every axis but the last a transform is the real matrix `[[C, S], [-S, C]]` on the pair, and the
//! product over channels of a mode is one with `[[A, B], [-B, A]]`, `A + iB` its parameters.

use farfield_data::FieldShape;

use super::dense::{dense, dense_with_coordinates};
use super::gelu::gelu;
use super::graph::{Graph, Value};
use super::parameters::Parameters;
use super::shape::{BATCH, Dim, batched};
use crate::error::NnError;
use crate::rivals::FnoConfig;
use crate::rivals::initial::grid_coordinates;
use crate::rivals::spectral::TransformMatrices;

/// `x` and the result are `[batch, channels, points]`.
///
/// # Errors
/// A parameter that is missing or does not fit.
pub(super) fn fno(
    g: &mut Graph,
    p: &Parameters,
    config: &FnoConfig,
    shape: &FieldShape,
    x: &Value,
) -> Result<Value, NnError> {
    let (grid, w, padding) = (&shape.grid, config.hidden_channels, config.padding);
    let lifted = if config.grid {
        let coordinates = g.constant("coordinates", &[grid.len(), shape.points()], &grid_coordinates(grid))?;
        dense_with_coordinates(g, p, "lift", x, &coordinates)?
    } else {
        dense(g, p, "lift", x)?
    };
    let padded = config.padded(grid);
    let points = padded.iter().product();
    let with_grid = |grid: &[usize]| batched(&[&[w], grid].concat());
    let mut v = lifted;
    if padding > 0 {
        let ends: Vec<_> = (0..grid.len()).map(|axis| (axis + 2, 0, padding)).collect();
        v = g.reshape(&v, &with_grid(grid))?;
        v = g.pad(&v, &ends)?;
        v = g.reshape(&v, &batched(&[w, points]))?;
    }
    let transforms = TransformMatrices::new(&padded, &config.frequencies(&padded)?);
    for l in 0..config.n_layers {
        v = g.within(&format!("layer.{l}"), |g| {
            let spectral = spectral(g, p, &format!("spectral.{l}"), &transforms, &v)?;
            let local = dense(g, p, &format!("dense.{l}"), &v)?;
            let sum = g.add(&spectral, &local)?;
            if l + 1 < config.n_layers { gelu(g, &sum) } else { Ok(sum) }
        })?;
    }
    if padding > 0 {
        let parts: Vec<_> = grid.iter().enumerate().map(|(axis, &n)| (axis + 2, 0..n)).collect();
        v = g.reshape(&v, &with_grid(&padded))?;
        v = g.slice(&v, &parts)?;
        v = g.reshape(&v, &batched(&[w, shape.points()]))?;
    }
    let mut y = dense(g, p, "head.0", &v)?;
    if p.has("head.1.weight") {
        y = gelu(g, &y)?;
        y = dense(g, p, "head.1", &y)?;
    }
    Ok(y)
}

/// `F^-1( W_k (F v)_k )` for `v` `[batch, channels, points]`.
fn spectral(g: &mut Graph, p: &Parameters, name: &str, t: &TransformMatrices, v: &Value) -> Result<Value, NnError> {
    let w = v.length(1)?;
    let last = t.grid.len() - 1;
    let (n, k) = (t.grid[last], t.modes[last]);
    let modes: usize = t.modes.iter().product();

    // Forth: the last axis from the right, then the others from the left.
    let mut before = w * t.grid[..last].iter().product::<usize>();
    let mut z = g.reshape(v, &[Dim::batch(before), n.into()])?;
    let matrix = g.constant("transforms.last", &[n, 2 * k], &t.analysis_last)?;
    z = g.matmul(&z, &matrix)?;
    let mut after = k;
    for axis in (0..last).rev() {
        let (n, k) = (t.grid[axis], t.modes[axis]);
        before /= n;
        z = g.reshape(&z, &[Dim::batch(before), n.into(), 2.into(), after.into()])?;
        z = g.transpose(&z, &[0, 2, 1, 3])?;
        z = g.reshape(&z, &[Dim::batch(before), (2 * n).into(), after.into()])?;
        let pair = pair(&t.analysis[axis], (k, n), Sign::Forth);
        let matrix = g.constant(&format!("transforms.axis{axis}"), &[2 * k, 2 * n], &pair)?;
        z = g.matmul(&matrix, &z)?;
        after *= k;
    }

    // A product over channels for each mode.
    let [real, imaginary] = ["real", "imaginary"].map(|part| p.take(g, &format!("{name}.{part}")));
    let (real, imaginary) = (real?, imaginary?);
    let out = real.length(2)?;
    z = g.reshape(&z, &[BATCH, w.into(), 2.into(), modes.into()])?;
    z = g.transpose(&z, &[3, 0, 2, 1])?;
    z = g.reshape(&z, &[modes.into(), BATCH, (2 * w).into()])?;
    let minus = g.neg(&imaginary);
    let upper = g.concat(&[&real, &imaginary], 2)?;
    let lower = g.concat(&[&minus, &real], 2)?;
    let weights = g.concat(&[&upper, &lower], 1)?;
    z = g.matmul(&z, &weights)?;
    z = g.reshape(&z, &[modes.into(), BATCH, 2.into(), out.into()])?;
    z = g.transpose(&z, &[1, 3, 2, 0])?;

    // Back.
    let (mut before, mut after) = (out, modes);
    for axis in 0..last {
        let (n, k) = (t.grid[axis], t.modes[axis]);
        after /= k;
        z = g.reshape(&z, &[Dim::batch(before), (2 * k).into(), after.into()])?;
        let pair = pair(&t.synthesis[axis], (n, k), Sign::Back);
        let matrix = g.constant(&format!("transforms.axis{axis}.inverse"), &[2 * n, 2 * k], &pair)?;
        z = g.matmul(&matrix, &z)?;
        z = g.reshape(&z, &[Dim::batch(before), 2.into(), n.into(), after.into()])?;
        z = g.transpose(&z, &[0, 2, 1, 3])?;
        before *= n;
    }
    z = g.reshape(&z, &[Dim::batch(before), (2 * after).into()])?;
    let matrix = g.constant("transforms.last.inverse", &[2 * k, n], &t.synthesis_last)?;
    z = g.matmul(&z, &matrix)?;
    g.reshape(&z, &batched(&[out, t.grid.iter().product()]))
}

/// Direction of a transform.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Forth,
    Back,
}

/// `[[C, S], [-S, C]]` (forth) or `[[C, -S], [S, C]]` (back) from `C` over `S`, each `rows x cols`.
fn pair(stacked: &[f64], (rows, cols): (usize, usize), sign: Sign) -> Vec<f64> {
    let (c, s) = stacked.split_at(rows * cols);
    let (upper, lower) = if sign == Sign::Forth { (1.0, -1.0) } else { (-1.0, 1.0) };
    let beside = |left: &[f64], a: f64, right: &[f64], b: f64| -> Vec<f64> {
        let rows = left.chunks_exact(cols).zip(right.chunks_exact(cols));
        rows.flat_map(|(l, r)| l.iter().map(move |v| a * v).chain(r.iter().map(move |v| b * v))).collect()
    };
    [beside(c, 1.0, s, upper), beside(s, lower, c, 1.0)].concat()
}
