//! An affine map of channels, the same at every point.
//!
//! Inside the rivals fields are `[channels, batch, points]`, so that such a map of a whole batch is one matrix product.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::grid_linear;
use super::initial::Initial;

/// Weights up to which the fused kernel is used, and not an ordinary matrix product.
const FUSED: usize = 128 * 128;

/// `y[:, b, p] = W x[:, b, p] + b`: a dense layer over channels, or a convolution of width one.
#[derive(Module, Debug)]
pub struct Dense {
    /// `[channels_out, channels_in]`.
    weight: Param<Tensor<2>>,
    /// `[channels_out]`.
    bias: Param<Tensor<1>>,
}

impl Dense {
    /// Weights and bias uniform in `+-1/sqrt(channels_in)`.
    pub(crate) fn new(channels_in: usize, channels_out: usize, initial: &mut Initial) -> Self {
        let bound = 1.0 / (channels_in as f64).sqrt();
        let weight = initial.uniform([channels_out, channels_in], -bound, bound);
        let bias = initial.uniform([channels_out], -bound, bound);
        Self { weight, bias }
    }

    /// Glorot: weights of variance `2 / (channels_in + channels_out)`, no bias at the start.
    pub(crate) fn glorot(channels_in: usize, channels_out: usize, initial: &mut Initial) -> Self {
        let deviation = (2.0 / (channels_in + channels_out) as f64).sqrt();
        let weight = initial.gaussian([channels_out, channels_in], deviation);
        let bias = initial.values([channels_out], &vec![0.0; channels_out]);
        Self { weight, bias }
    }

    /// Glorot's uniform weights of a convolution of `taps` points, `[channels_out, taps channels_in]`, no bias at the start.
    pub(crate) fn glorot_taps(channels_in: usize, channels_out: usize, taps: usize, initial: &mut Initial) -> Self {
        let bound = (6.0 / ((channels_in + channels_out) as f64 * taps as f64)).sqrt();
        let weight = initial.uniform([channels_out, taps * channels_in], -bound, bound);
        let bias = initial.values([channels_out], &vec![0.0; channels_out]);
        Self { weight, bias }
    }

    /// Glorot's uniform weights times `gain`, no bias at the start.
    pub(crate) fn glorot_scaled(channels_in: usize, channels_out: usize, gain: f64, initial: &mut Initial) -> Self {
        let bound = gain * (6.0 / (channels_in + channels_out) as f64).sqrt();
        let weight = initial.uniform([channels_out, channels_in], -bound, bound);
        let bias = initial.values([channels_out], &vec![0.0; channels_out]);
        Self { weight, bias }
    }

    /// Weights and bias.
    pub(crate) fn parameters(&self) -> (Tensor<2>, Tensor<1>) {
        (self.weight.val(), self.bias.val())
    }

    /// Weights, row by row, and bias.
    #[cfg(test)]
    pub(crate) fn weights(&self) -> (Vec<f64>, Vec<f64>) {
        (self.weight.val().into_data().iter().collect(), self.bias.val().into_data().iter().collect())
    }

    /// `[channels_in, batch, points]` to `[channels_out, batch, points]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [channels, batch, points] = x.dims();
        let [out, _] = self.weight.dims();
        // Few channels: a matrix product would spend its time on copies and a pass for the bias.
        if channels * out <= FUSED
            && let Some(y) = grid_linear::on_cpu(&x, &self.weight.val(), &self.bias.val(), &[points], 0)
        {
            return y;
        }
        let y = self.weight.val().matmul(x.reshape([channels, batch * points])) + self.bias.val().reshape([out, 1]);
        y.reshape([out, batch, points])
    }
}

/// Batch and channels exchanged: from the order of data to that of the rivals, and back.
pub(crate) fn exchanged(x: Tensor<3>) -> Tensor<3> {
    x.swap_dims(0, 1)
}
