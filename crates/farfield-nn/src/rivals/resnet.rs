//! A residual network on the grid (He et al. 2016): lifting, blocks of two `3^d` convolutions, projection.
//!
//! ```text
//! v = L x;   v <- gelu( v + C_2 gelu( C_1 v ) );   y = P v
//! ```
//!
//! No normalisation layers; zeros beyond the grid. Parameters: `(c + 1) w + 2 N (3^d w^2 + w) + (w + 1) c_out` for `N` blocks of `w` channels. Cost a sample:
//! `2 N 3^d w^2` multiply-adds a point.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use farfield_data::FieldShape;
use serde::{Deserialize, Serialize};

use super::convolution::Convolution;
use super::dense::{Dense, exchanged};
use super::gelu::gelu;
use super::initial::Initial;
use crate::error::NnError;
use crate::model::Model;

/// Shape of a residual network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResNetConfig {
    /// Channels of the hidden fields. Default 64.
    pub hidden_channels: usize,
    /// Blocks `N` of two convolutions each: what the paper's tables call depth (12 blocks of 48 channels have the 165 K printed in 1D). Default 4.
    pub n_layers: usize,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self { hidden_channels: 64, n_layers: 4 }
    }
}

impl ResNetConfig {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        super::check_counts(&[("model.hidden_channels", self.hidden_channels), ("model.n_layers", self.n_layers)])
    }

    /// Number of trainable numbers.
    ///
    /// # Errors
    /// As [`ResNet::new`].
    pub fn parameters(&self, input: &FieldShape, output: &FieldShape) -> Result<f64, NnError> {
        self.validate()?;
        super::check_same_grid("resnet", input, output)?;
        let w = self.hidden_channels;
        let layer = 3f64.powi(input.grid.len() as i32) * (w as f64).powi(2) + w as f64;
        let ends = super::dense_parameters(input.channels, w) + super::dense_parameters(w, output.channels);
        Ok(ends + 2.0 * self.n_layers as f64 * layer)
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct ResNet {
    lift: Dense,
    convolutions: Vec<Convolution>,
    project: Dense,
    #[module(skip)]
    config: ResNetConfig,
    #[module(skip)]
    input: FieldShape,
    #[module(skip)]
    output: FieldShape,
}

impl ResNet {
    /// A network with random weights on `device` (an autodiff device to train).
    ///
    /// # Errors
    /// The field of the configuration that is wrong; grids that differ.
    pub fn new(
        config: &ResNetConfig,
        input: &FieldShape,
        output: &FieldShape,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, NnError> {
        config.validate()?;
        super::check_same_grid("resnet", input, output)?;
        let (w, convolutions) = (config.hidden_channels, 2 * config.n_layers);
        let mut initial = Initial::new(seed, device, dtype);
        Ok(Self {
            lift: Dense::new(input.channels, w, &mut initial),
            convolutions: (0..convolutions).map(|_| Convolution::new(&input.grid, w, w, &mut initial)).collect(),
            project: Dense::new(w, output.channels, &mut initial),
            config: config.clone(),
            input: input.clone(),
            output: output.clone(),
        })
    }

    /// The configuration that the network was made from.
    pub fn config(&self) -> &ResNetConfig {
        &self.config
    }
}

impl Model for ResNet {
    fn input_shape(&self) -> &FieldShape {
        &self.input
    }

    fn output_shape(&self) -> &FieldShape {
        &self.output
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let v = self.convolutions.chunks_exact(2).fold(self.lift.forward(exchanged(x)), |v, block| {
            let inner = block[1].forward(gelu(block[0].forward(v.clone())));
            gelu(v + inner)
        });
        exchanged(self.project.forward(v))
    }
}
