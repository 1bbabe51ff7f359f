//! Symmetric linear quantisation to 8 or 4 bits with one scale a channel (Krishnamoorthi 2018): `w ~ s q` with whole `|q| <= 2^(bits - 1) - 1` and
//! `s = max |w| / (2^(bits - 1) - 1)` over the channel, rounded to `f32`. Two numbers of 4 bits share a byte; a scale takes 4 bytes.

use farfield_matrix::Matrix;

use super::Rival;
use crate::error::CompressError;

/// What shares a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// A row: an output of the layer.
    Rows,
    /// The whole weight.
    Whole,
}

/// The weight in whole numbers of `bits` bits.
///
/// # Errors
/// [`CompressError::Option`] unless `bits` is between 2 and 16.
pub fn quantise(a: &Matrix<f64>, bits: u32, channels: Channels) -> Result<Rival, CompressError> {
    if !(2..=16).contains(&bits) {
        return Err(CompressError::option("bits", bits, "between 2 and 16"));
    }
    let (m, n) = (a.nrows(), a.ncols());
    let levels = f64::from((1u32 << (bits - 1)) - 1);
    let largest = |rows: std::ops::Range<usize>| {
        rows.flat_map(|i| (0..n).map(move |j| (i, j))).map(|at| a[at].abs()).fold(0.0, f64::max)
    };
    let scale = |largest: f64| f64::from((largest / levels) as f32);
    let scales: Vec<f64> = match channels {
        Channels::Rows => (0..m).map(|i| scale(largest(i..i + 1))).collect(),
        Channels::Whole => vec![scale(largest(0..m)); m],
    };
    let dense = Matrix::from_fn(m, n, |i, j| match scales[i] {
        s if s > 0.0 => s * (a[(i, j)] / s).round().clamp(-levels, levels),
        _ => 0.0,
    });
    let scale_bytes = if channels == Channels::Rows { 4 * m } else { 4 };
    Ok(Rival::new(a, dense, (m * n * bits as usize).div_ceil(8) + scale_bytes))
}
