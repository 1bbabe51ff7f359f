//! An affine map of channels, the same at every point, and networks of them.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::initial::Initial;

/// `y[b, :, p] = W x[b, :, p] + b`: a dense layer over channels, or a convolution of width one.
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

    /// `[batch, channels_in, points]` to `[batch, channels_out, points]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [out, _] = self.weight.dims();
        let bias = self.bias.val().reshape([1, out, 1]);
        if x.dims()[2] == 1 {
            // One point: the batch takes the place of the points, one product in all.
            let [batch, channels, _] = x.dims();
            let y = x.reshape([batch, channels]).matmul(self.weight.val().swap_dims(0, 1));
            return y.reshape([batch, out, 1]) + bias;
        }
        self.weight.val().unsqueeze_dim::<3>(0).matmul(x) + bias
    }
}
