//! DeepONet (Lu et al. 2021): a branch network of the input field and a trunk network of the coordinates, multiplied.
//!
//! ```text
//! y_c(p) = sum_k B_ck(x) T_k(p) + b_c
//! ```
//!
//! The branch ends with a linear layer, the trunk with an activation; GELU throughout. The output may lie on another grid than the input. Parameters, for width `w`,
//! `L` layers each, `n` numbers in and `c` channels out: `(n + 1) w + (L - 2)(w + 1) w + (w + 1) c w` and `(d + 1) w + (L - 1)(w + 1) w`, and `c`.

use burn::module::{Module, Param};
use burn::tensor::activation::gelu;
use burn::tensor::{DType, Device, Tensor};
use farfield_data::FieldShape;
use serde::{Deserialize, Serialize};

use super::dense::{Dense, exchanged};
use super::initial::{Initial, beside, constant, grid_coordinates};
use crate::error::NnError;
use crate::model::Model;

/// Shape of a DeepONet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeepOnetConfig {
    /// Width of all layers, and number of terms. Default 128.
    pub hidden_channels: usize,
    /// Layers of the branch, and of the trunk. Default 4.
    pub n_layers: usize,
}

impl Default for DeepOnetConfig {
    fn default() -> Self {
        Self { hidden_channels: 128, n_layers: 4 }
    }
}

impl DeepOnetConfig {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        super::check_counts(&[("model.hidden_channels", self.hidden_channels), ("model.n_layers", self.n_layers)])?;
        if self.n_layers < 2 {
            return Err(NnError::config("model.n_layers", self.n_layers, "must be at least 2"));
        }
        Ok(())
    }

    /// Number of trainable numbers.
    ///
    /// # Errors
    /// As [`DeepOnet::new`].
    pub fn parameters(&self, input: &FieldShape, output: &FieldShape) -> Result<f64, NnError> {
        self.validate()?;
        super::check_grids("deep-onet", input, output)?;
        let (w, layers) = (self.hidden_channels, self.n_layers as f64);
        let numbers = input.channels * input.points();
        let branch = super::dense_parameters(numbers, w)
            + (layers - 2.0) * super::dense_parameters(w, w)
            + super::dense_parameters(w, w * output.channels);
        let trunk = super::dense_parameters(output.grid.len(), w) + (layers - 1.0) * super::dense_parameters(w, w);
        Ok(branch + trunk + output.channels as f64)
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct DeepOnet {
    branch: Vec<Dense>,
    trunk: Vec<Dense>,
    /// One a channel of the output.
    bias: Param<Tensor<1>>,
    /// Coordinates of the output, `[axes, 1, points]`.
    #[module(skip)]
    coordinates: Tensor<3>,
    #[module(skip)]
    config: DeepOnetConfig,
    #[module(skip)]
    input: FieldShape,
    #[module(skip)]
    output: FieldShape,
}

impl DeepOnet {
    /// A network with random weights (Glorot) on `device` (an autodiff device to train).
    ///
    /// # Errors
    /// The field of the configuration that is wrong.
    pub fn new(
        config: &DeepOnetConfig,
        input: &FieldShape,
        output: &FieldShape,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, NnError> {
        config.validate()?;
        super::check_grids("deep-onet", input, output)?;
        let (w, layers) = (config.hidden_channels, config.n_layers);
        let (numbers, axes) = (input.channels * input.points(), output.grid.len());
        let mut initial = Initial::new(seed, device, dtype);
        let branch = (0..layers).map(|l| {
            let out = if l + 1 == layers { w * output.channels } else { w };
            Dense::glorot(if l == 0 { numbers } else { w }, out, &mut initial)
        });
        let branch = branch.collect();
        let trunk = (0..layers).map(|l| Dense::glorot(if l == 0 { axes } else { w }, w, &mut initial)).collect();
        let bias = initial.values([output.channels], &vec![0.0; output.channels]);
        let coordinates = constant([axes, 1, output.points()], grid_coordinates(&output.grid), device, dtype);
        let (config, input, output) = (config.clone(), input.clone(), output.clone());
        Ok(Self { branch, trunk, bias, coordinates, config, input, output })
    }

    /// The configuration that the network was made from.
    pub fn config(&self) -> &DeepOnetConfig {
        &self.config
    }

    /// Values of the trunk at the points of the output, `[width, points]`.
    pub(crate) fn trunk_values(&self) -> Tensor<2> {
        self.trunk(self.coordinates.clone())
    }

    /// The trunk at the coordinates `[axes, 1, points]`: `[width, points]`.
    fn trunk(&self, coordinates: Tensor<3>) -> Tensor<2> {
        self.trunk.iter().fold(coordinates, |z, layer| gelu(layer.forward(z))).squeeze_dim(1)
    }
}

impl Model for DeepOnet {
    fn input_shape(&self) -> &FieldShape {
        &self.input
    }

    fn output_shape(&self) -> &FieldShape {
        &self.output
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, channels, points] = x.dims();
        let (w, out) = (self.config.hidden_channels, self.output.channels);
        let trunk = self.trunk(beside(&self.coordinates, &x));
        let mut z = x.reshape([batch, channels * points]).swap_dims(0, 1).unsqueeze_dim::<3>(2);
        for (l, layer) in self.branch.iter().enumerate() {
            z = layer.forward(if l == 0 { z } else { gelu(z) });
        }
        let terms = z.reshape([w, out * batch]).swap_dims(0, 1);
        let product = terms.matmul(trunk);
        exchanged(product.reshape([out, batch, self.output.points()])) + self.bias.val().reshape([1, out, 1])
    }
}
