//! A plain convolutional network: the one without scales that multiscale networks are compared with (tables 1 and 2 of the H2-NN paper, arXiv 2212.12899).
//!
//! ```text
//! v = relu( C_1 x );   v <- relu( C_k v );   y = C_n v
//! ```
//!
//! The paper says neither the width of the kernels nor the number of channels; the defaults here are ours. Parameters, with `t = kernel_size^d` and `n` layers
//! of `w` channels: `(t c + 1) w + (n - 2)(t w + 1) w + (t w + 1) c_out`. Cost a sample: as many multiply-adds a point, less the biases. An output sees only
//! `n (kernel_size - 1) / 2` points to each side, so operators whose far field matters are out of its reach.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use farfield_data::FieldShape;
use serde::{Deserialize, Serialize};

use super::band::Activation;
use super::boxes::Padding;
use super::convolution::Convolution;
use super::dense::exchanged;
use super::initial::Initial;
use crate::error::NnError;
use crate::model::Model;

/// Shape of a plain convolutional network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConvNetConfig {
    /// Channels `w` between the layers. Default 16.
    pub hidden_channels: usize,
    /// Layers. Default 3, as the paper.
    pub n_layers: usize,
    /// Points of a kernel along every axis, an odd number. Default 7.
    pub kernel_size: usize,
    /// What is beyond the grid: `"periodic"` (default) or `"zero"`.
    pub padding: Padding,
    /// After every layer but the last: `"relu"` (default) or `"none"`.
    pub activation: Activation,
}

impl Default for ConvNetConfig {
    fn default() -> Self {
        Self {
            hidden_channels: 16,
            n_layers: 3,
            kernel_size: 7,
            padding: Padding::Periodic,
            activation: Activation::Relu,
        }
    }
}

impl ConvNetConfig {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        super::check_counts(&[("model.hidden_channels", self.hidden_channels), ("model.n_layers", self.n_layers)])?;
        if self.kernel_size.is_multiple_of(2) || self.kernel_size > 1 << 12 {
            return Err(NnError::config("model.kernel_size", self.kernel_size, "must be odd and at most 4095"));
        }
        Ok(())
    }

    fn check(&self, input: &FieldShape, output: &FieldShape) -> Result<(), NnError> {
        self.validate()?;
        super::check_same_grid("conv", input, output)?;
        if let Some((axis, n)) = input.grid.iter().enumerate().find(|(_, n)| self.reach() >= **n) {
            let rule = format!("axis {axis} has {n} points: at most {}", 2 * n.max(&1) - 1);
            return Err(NnError::config("model.kernel_size", self.kernel_size, rule));
        }
        Ok(())
    }

    fn reach(&self) -> usize {
        self.kernel_size / 2
    }

    /// Channels between the layers, those of the fields at the ends.
    fn channels(&self, input: &FieldShape, output: &FieldShape) -> Vec<usize> {
        let mut channels = vec![self.hidden_channels; self.n_layers + 1];
        channels[0] = input.channels;
        channels[self.n_layers] = output.channels;
        channels
    }

    /// Number of trainable numbers.
    ///
    /// # Errors
    /// As [`ConvNet::new`].
    pub fn parameters(&self, input: &FieldShape, output: &FieldShape) -> Result<f64, NnError> {
        self.check(input, output)?;
        let taps = (self.kernel_size as f64).powi(input.grid.len() as i32);
        let layer = |pair: &[usize]| (taps * pair[0] as f64 + 1.0) * pair[1] as f64;
        Ok(self.channels(input, output).windows(2).map(layer).sum())
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct ConvNet {
    convolutions: Vec<Convolution>,
    #[module(skip)]
    config: ConvNetConfig,
    #[module(skip)]
    input: FieldShape,
    #[module(skip)]
    output: FieldShape,
}

impl ConvNet {
    /// A network with Glorot's uniform weights on `device` (an autodiff device to train).
    ///
    /// # Errors
    /// The field of the configuration that is wrong; grids that differ, or with fewer points along an axis than a kernel reaches.
    pub fn new(
        config: &ConvNetConfig,
        input: &FieldShape,
        output: &FieldShape,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, NnError> {
        config.check(input, output)?;
        let mut initial = Initial::new(seed, device, dtype);
        let ends = (config.reach(), config.padding == Padding::Periodic);
        let convolutions = (config.channels(input, output).windows(2))
            .map(|pair| Convolution::glorot(&input.grid, ends, (pair[0], pair[1]), &mut initial))
            .collect();
        Ok(Self { convolutions, config: config.clone(), input: input.clone(), output: output.clone() })
    }

    /// The configuration that the network was made from.
    pub fn config(&self) -> &ConvNetConfig {
        &self.config
    }
}

impl Model for ConvNet {
    fn input_shape(&self) -> &FieldShape {
        &self.input
    }

    fn output_shape(&self) -> &FieldShape {
        &self.output
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        if let Some(none) = super::no_samples(&x, &self.output) {
            return none;
        }
        let mut v = exchanged(x);
        for (k, convolution) in self.convolutions.iter().enumerate() {
            v = convolution.forward(v);
            if k + 1 < self.convolutions.len() {
                v = self.config.activation.of(v);
            }
        }
        exchanged(v)
    }
}
