//! Green Learning (Boulle, Earls & Townsend 2022): a network for the Green's function and one for the homogeneous solution of a linear equation.
//!
//! ```text
//! u(x) = sum_j w_j G(x, y_j) f(y_j) + N(x)
//! ```
//!
//! `G` and `N` are networks of dense layers with [rational activations](super::rational); `w` are the weights of the trapezoidal rule on the unit interval along each axis.
//! Parameters of `G`, for `L` hidden layers of width `w` in `d` dimensions and one channel: `(2 d + 1) w + (L - 1)(w + 1) w + (w + 1)` and `7 L`; of `N` the same with
//! `d + 1` in place of `2 d + 1`. Cost: `G` is evaluated at all pairs of points in every step, whatever the batch: `n^2 L w^2` multiply-adds in 1D, and
//! `n^4` in 2D, which is why the grids it is used on are small.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use farfield_data::FieldShape;
use serde::{Deserialize, Serialize};

use super::dense::{Dense, exchanged};
use super::initial::{Initial, beside, constant, grid_coordinates};
use super::rational::Rational;
use crate::error::NnError;
use crate::model::Model;

/// Most numbers that one layer of `G` may hold: 1 GiB of f32, a dozen times that with all that is kept for the gradient.
const MOST: usize = 1 << 28;

/// Shape of the networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GreenLearningConfig {
    /// Width of the hidden layers of both networks. Default 50.
    pub hidden_channels: usize,
    /// Hidden layers of each network. Default 4.
    pub n_layers: usize,
    /// Whether there is a network for the homogeneous solution. Default true.
    pub homogeneous: bool,
}

impl Default for GreenLearningConfig {
    fn default() -> Self {
        Self { hidden_channels: 50, n_layers: 4, homogeneous: true }
    }
}

impl GreenLearningConfig {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        super::check_counts(&[("model.hidden_channels", self.hidden_channels), ("model.n_layers", self.n_layers)])
    }

    /// Checks the configuration and the number of pairs of points.
    fn check_shapes(&self, input: &FieldShape, output: &FieldShape) -> Result<(), NnError> {
        self.validate()?;
        super::check_grids("green-learning", input, output)?;
        let (from, to) = (input.points(), output.points());
        let width = self.hidden_channels.max(input.channels.saturating_mul(output.channels)).max(16);
        let numbers = from.saturating_mul(to).saturating_mul(width);
        if numbers > MOST {
            let rule = format!(
                "the Green's function is evaluated at all pairs of points, {from} x {to} here, {numbers} numbers a layer of at most {MOST}: \
                 use a smaller grid or model.hidden_channels"
            );
            return Err(NnError::config("model.kind", "\"green-learning\"", rule));
        }
        Ok(())
    }

    /// Number of trainable numbers.
    ///
    /// # Errors
    /// As [`GreenLearning::new`].
    pub fn parameters(&self, input: &FieldShape, output: &FieldShape) -> Result<f64, NnError> {
        self.check_shapes(input, output)?;
        let (w, layers) = (self.hidden_channels, self.n_layers as f64);
        let network = |from: usize, to: usize| {
            let hidden = (layers - 1.0) * super::dense_parameters(w, w);
            super::dense_parameters(from, w) + hidden + super::dense_parameters(w, to) + 7.0 * layers
        };
        let axes = output.grid.len();
        let green = network(input.grid.len() + axes, input.channels * output.channels);
        Ok(green + if self.homogeneous { network(axes, output.channels) } else { 0.0 })
    }
}

/// Dense layers with rational activations between them.
#[derive(Module, Debug)]
struct RationalNetwork {
    layers: Vec<Dense>,
    activations: Vec<Rational>,
}

impl RationalNetwork {
    fn new(from: usize, config: &GreenLearningConfig, to: usize, initial: &mut Initial) -> Self {
        let (w, hidden) = (config.hidden_channels, config.n_layers);
        let size = |l: usize, end: usize| if l == end { None } else { Some(w) };
        let layers = (0..=hidden)
            .map(|l| Dense::glorot(size(l, 0).unwrap_or(from), size(l, hidden).unwrap_or(to), initial))
            .collect();
        Self { layers, activations: (0..hidden).map(|_| Rational::new(initial)).collect() }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = self.layers.iter().zip(&self.activations);
        let z = hidden.fold(x, |z, (layer, activation)| activation.forward(layer.forward(z)));
        self.layers.last().map_or(z.clone(), |last| last.forward(z))
    }
}

/// The model.
#[derive(Module, Debug)]
pub struct GreenLearning {
    green: RationalNetwork,
    homogeneous: Option<RationalNetwork>,
    /// Coordinates of all pairs, `[2 axes, 1, points_out points_in]`.
    #[module(skip)]
    pairs: Tensor<3>,
    /// Coordinates of the output, `[axes, 1, points_out]`.
    #[module(skip)]
    coordinates: Tensor<3>,
    /// Weights of the quadrature, `[1, 1, points_in]`.
    #[module(skip)]
    quadrature: Tensor<3>,
    #[module(skip)]
    config: GreenLearningConfig,
    #[module(skip)]
    input: FieldShape,
    #[module(skip)]
    output: FieldShape,
}

impl GreenLearning {
    /// A model with random weights (Glorot) on `device` (an autodiff device to train).
    ///
    /// # Errors
    /// The field of the configuration that is wrong; grids whose pairs of points are too many.
    pub fn new(
        config: &GreenLearningConfig,
        input: &FieldShape,
        output: &FieldShape,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, NnError> {
        config.check_shapes(input, output)?;
        let (from, to) = (input.points(), output.points());
        let kernels = input.channels * output.channels;
        let (axes_in, axes_out) = (input.grid.len(), output.grid.len());
        let mut initial = Initial::new(seed, device, dtype);
        let green = RationalNetwork::new(axes_in + axes_out, config, kernels, &mut initial);
        let homogeneous =
            config.homogeneous.then(|| RationalNetwork::new(axes_out, config, output.channels, &mut initial));
        let (x, y) = (grid_coordinates(&output.grid), grid_coordinates(&input.grid));
        let mut pairs = Vec::with_capacity((axes_in + axes_out) * from * to);
        for axis in x.chunks_exact(to) {
            pairs.extend(axis.iter().flat_map(|&x| std::iter::repeat_n(x, from)));
        }
        for axis in y.chunks_exact(from) {
            (0..to).for_each(|_| pairs.extend(axis));
        }
        Ok(Self {
            green,
            homogeneous,
            pairs: constant([axes_in + axes_out, 1, from * to], pairs, device, dtype),
            coordinates: constant([axes_out, 1, to], x, device, dtype),
            quadrature: constant([1, 1, from], trapezoid(&input.grid), device, dtype),
            config: config.clone(),
            input: input.clone(),
            output: output.clone(),
        })
    }

    /// The configuration that the model was made from.
    pub fn config(&self) -> &GreenLearningConfig {
        &self.config
    }

    /// Values of the Green's function on the grids, `[channels_in points_in, channels_out points_out]`.
    pub(crate) fn green_values(&self) -> Tensor<2> {
        self.matrix(self.pairs.clone())
    }

    /// Values of the homogeneous solution, `[channels_out, points_out]`, if there is one.
    pub(crate) fn homogeneous_values(&self) -> Option<Tensor<2>> {
        let network = self.homogeneous.as_ref()?;
        Some(network.forward(self.coordinates.clone()).squeeze_dim(1))
    }

    /// Weights of the quadrature at the points of the input.
    pub(crate) fn quadrature_weights(&self) -> Vec<f64> {
        trapezoid(&self.input.grid)
    }

    /// The Green's function at all pairs of points: `[channels_in points_in, channels_out points_out]`.
    fn matrix(&self, pairs: Tensor<3>) -> Tensor<2> {
        let (channels, points) = (self.input.channels, self.input.points());
        let (out, to) = (self.output.channels, self.output.points());
        let green = self.green.forward(pairs).reshape([out, channels, to, points]);
        green.permute([1, 3, 0, 2]).reshape([channels * points, out * to])
    }
}

/// Weights of the trapezoidal rule on the unit cube.
fn trapezoid(grid: &[usize]) -> Vec<f64> {
    let mut weights = vec![1.0];
    for &n in grid {
        let h = 1.0 / (n.max(2) - 1) as f64;
        let axis = (0..n).map(|i| if n > 1 && (i == 0 || i + 1 == n) { h / 2.0 } else { h });
        weights = weights.iter().flat_map(|w| axis.clone().map(move |a| w * a)).collect();
    }
    weights
}

impl Model for GreenLearning {
    fn input_shape(&self) -> &FieldShape {
        &self.input
    }

    fn output_shape(&self) -> &FieldShape {
        &self.output
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, channels, points] = x.dims();
        let (out, to) = (self.output.channels, self.output.points());
        let matrix = self.matrix(beside(&self.pairs, &x));
        let weighted = x.clone() * beside(&self.quadrature, &x);
        let integral = weighted.reshape([batch, channels * points]).matmul(matrix).reshape([batch, out, to]);
        match &self.homogeneous {
            None => integral,
            Some(network) => integral + exchanged(network.forward(beside(&self.coordinates, &x))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trapezoidal_rule_is_exact_for_linear_functions() {
        let grid = [5, 4];
        let coordinates = grid_coordinates(&grid);
        let weights = trapezoid(&grid);
        let integral = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
            (0..20).map(|p| weights[p] * f(coordinates[p], coordinates[20 + p])).sum()
        };
        assert!((integral(&|_, _| 1.0) - 1.0).abs() < 1e-15);
        assert!((integral(&|x, y| 2.0 * x - 3.0 * y) + 0.5).abs() < 1e-15);
    }
}
