//! The networks that Neural-HSS and H2-NN are compared with, each as its authors describe it.
//!
//! [`Fno`] (Li et al. 2021), [`ResNet`] (He et al. 2016, on grids), [`DeepOnet`] (Lu et al. 2021), [`GreenLearning`] (Boulle et al.
//! 2022), [`FactFormer`] (Li et al. 2023), [`MnnH`] and [`MnnH2`] (Fan et al. 2018, 2019) and the plain [`ConvNet`], by ordinary tensor operations on any device; on the CPU dense layers over few channels,
//! convolutions and activations are kernels of `farfield-kernels`. Fields are `[batch, channels,
//! points]`. Weights are drawn from ChaCha with the seed of the run: the same seed gives the same network on any device.

pub mod band;
pub mod boxes;
pub mod conv_net;
pub mod convolution;
pub mod deep_onet;
pub mod dense;
pub mod fact_former;
pub mod fno;
mod gelu;
pub mod green_learning;
mod grid_linear;
pub(crate) mod initial;
pub mod local_map;
pub mod mnn;
pub mod mnn_h;
pub mod mnn_h2;
pub mod rational;
pub mod resnet;
pub mod spectral;

pub use band::Activation;
pub use boxes::Padding;
pub use conv_net::{ConvNet, ConvNetConfig};
pub use deep_onet::{DeepOnet, DeepOnetConfig};
pub use fact_former::{FactFormer, FactFormerConfig};
pub use fno::{Fno, FnoConfig, Head, ModeConvention, Modes};
pub use green_learning::{GreenLearning, GreenLearningConfig};
pub use mnn::{Connection, MnnConfig};
pub use mnn_h::MnnH;
pub use mnn_h2::MnnH2;
pub use resnet::{ResNet, ResNetConfig};

use burn::tensor::Tensor;
use farfield_data::FieldShape;

use crate::error::NnError;

/// Most points along an axis of a field, and in all: what a network on a grid can be asked to hold.
const MOST_AN_AXIS: usize = 1 << 16;
const MOST_POINTS: usize = 1 << 24;

/// Checks the sizes of both grids.
fn check_grids(model: &str, input: &FieldShape, output: &FieldShape) -> Result<(), NnError> {
    for shape in [input, output] {
        let points = shape.grid.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        if shape.grid.iter().any(|&n| n > MOST_AN_AXIS) || points.is_none_or(|points| points > MOST_POINTS) {
            let rule =
                format!("a grid of {:?} points; at most {MOST_AN_AXIS} an axis and {MOST_POINTS} in all", shape.grid);
            return Err(NnError::config("model.kind", format!("{model:?}"), rule));
        }
    }
    Ok(())
}

/// The same, for models that work on one grid: input and output must be on it.
fn check_same_grid(model: &str, input: &FieldShape, output: &FieldShape) -> Result<(), NnError> {
    check_grids(model, input, output)?;
    if input.grid == output.grid {
        return Ok(());
    }
    let rule = format!("the input grid {:?} and the output grid {:?} must be the same", input.grid, output.grid);
    Err(NnError::config("model.kind", format!("{model:?}"), rule))
}

/// Checks that numbers of channels and layers are positive and not absurd.
fn check_counts(counts: &[(&'static str, usize)]) -> Result<(), NnError> {
    match counts.iter().find(|(_, value)| !(1..=1 << 16).contains(value)) {
        Some(&(field, value)) => Err(NnError::config(field, value, "must be between 1 and 65536")),
        None => Ok(()),
    }
}

/// The output for a batch without samples, which reshapes of tensors cannot carry.
fn no_samples(x: &Tensor<3>, output: &FieldShape) -> Option<Tensor<3>> {
    let zeros = || Tensor::zeros([0, output.channels, output.points()], (&x.device(), x.dtype()));
    (x.dims()[0] == 0).then(zeros)
}

/// Parameters of a [`dense::Dense`] layer.
fn dense_parameters(channels_in: usize, channels_out: usize) -> f64 {
    (channels_in as f64 + 1.0) * channels_out as f64
}
