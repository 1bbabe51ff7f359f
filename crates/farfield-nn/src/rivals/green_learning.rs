//! Green Learning (Boulle, Earls & Townsend 2022): a network for the Green's function and one for the homogeneous solution of a linear equation.
//!
//! ```text
//! u(x) = sum_j w_j G(x, y_j) f(y_j) + N(x)
//! ```
//!
//! `G` and `N` are networks of dense layers with [rational activations](super::rational); `w` are the weights of the trapezoidal rule on the unit interval along each axis.
//! Parameters of `G`, for `L` hidden layers of width `w` in `d` dimensions and one channel: `(2 d + 1) w + (L - 1)(w + 1) w + (w + 1)` and `7 L`; of `N` the same with
//! `d + 1` in place of `2 d + 1`. Cost: `G` is evaluated at all pairs of points in every step, whatever the batch: `n^2 L w^2` multiply-adds in 1D, and
//! `n^4` in 2D: 16.8 million evaluations on 64 x 64 points.
//!
//! With [`GreenLearningConfig::green_points`], `m < n` points an axis, `G` is evaluated at the pairs of a coarser grid and (bi-, tri-)linear between them:
//! `u = P G_c P^T W f` with the interpolation `P` from the coarse grid and the weights `W` of the fine one. What `G` does between the points of the coarse grid is
//! lost: the error of the solution cannot fall below that of interpolating it.

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
    /// Points along each axis at which the Green's function is evaluated, linear between them. Default: those of the grids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub green_points: Option<usize>,
}

impl Default for GreenLearningConfig {
    fn default() -> Self {
        Self { hidden_channels: 50, n_layers: 4, homogeneous: true, green_points: None }
    }
}

impl GreenLearningConfig {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        super::check_counts(&[("model.hidden_channels", self.hidden_channels), ("model.n_layers", self.n_layers)])?;
        match self.green_points {
            Some(points @ (0 | 1)) => Err(NnError::config("model.green_points", points, "must be at least 2")),
            _ => Ok(()),
        }
    }

    /// The grid on which the Green's function is evaluated, for one of the fields.
    fn green_grid(&self, grid: &[usize]) -> Vec<usize> {
        grid.iter().map(|&n| self.green_points.map_or(n, |m| m.min(n))).collect()
    }

    /// Checks the configuration and the number of pairs of points.
    fn check_shapes(&self, input: &FieldShape, output: &FieldShape) -> Result<(), NnError> {
        self.validate()?;
        super::check_grids("green-learning", input, output)?;
        let [from, to] = [input, output].map(|shape| self.green_grid(&shape.grid).iter().product::<usize>());
        let width = self.hidden_channels.max(input.channels.saturating_mul(output.channels)).max(16);
        let numbers = from.saturating_mul(to).saturating_mul(width);
        if numbers > MOST {
            let rule = format!(
                "the Green's function is evaluated at all pairs of points, {from} x {to} here, {numbers} numbers a layer of at most {MOST}: \
                 set model.green_points to fewer points an axis, or use a smaller grid or model.hidden_channels"
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
    /// Coordinates of all pairs of points of the grids of `G`, `[2 axes, 1, green_out green_in]`.
    #[module(skip)]
    pairs: Tensor<3>,
    /// Interpolation from a coarser grid of `G` to that of the input, transposed, `[points_in, green_in]`.
    #[module(skip)]
    restriction: Option<Tensor<2>>,
    /// Interpolation from a coarser grid of `G` to that of the output, `[green_out, points_out]`.
    #[module(skip)]
    prolongation: Option<Tensor<2>>,
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
        let green_grids = [input, output].map(|shape| config.green_grid(&shape.grid));
        let [from, to] = green_grids.each_ref().map(|grid| grid.iter().product::<usize>());
        let kernels = input.channels * output.channels;
        let (axes_in, axes_out) = (input.grid.len(), output.grid.len());
        let mut initial = Initial::new(seed, device, dtype);
        let green = RationalNetwork::new(axes_in + axes_out, config, kernels, &mut initial);
        let homogeneous =
            config.homogeneous.then(|| RationalNetwork::new(axes_out, config, output.channels, &mut initial));
        let [y, x] = green_grids.each_ref().map(|grid| grid_coordinates(grid));
        let mut pairs = Vec::with_capacity((axes_in + axes_out) * from * to);
        for axis in x.chunks_exact(to) {
            pairs.extend(axis.iter().flat_map(|&x| std::iter::repeat_n(x, from)));
        }
        for axis in y.chunks_exact(from) {
            (0..to).for_each(|_| pairs.extend(axis));
        }
        let [fine_in, fine_out] = [input, output].map(|shape| shape.points());
        let restriction = (green_grids[0] != input.grid).then(|| {
            let interpolation = interpolation(&green_grids[0], &input.grid);
            constant([fine_in, from], interpolation, device, dtype)
        });
        let prolongation = (green_grids[1] != output.grid).then(|| {
            let interpolation = interpolation(&green_grids[1], &output.grid);
            let transposed = constant([fine_out, to], interpolation, device, dtype).swap_dims(0, 1);
            // Its own memory: it is multiplied by in every step.
            Tensor::cat(vec![transposed], 0)
        });
        Ok(Self {
            green,
            homogeneous,
            pairs: constant([axes_in + axes_out, 1, from * to], pairs, device, dtype),
            restriction,
            prolongation,
            coordinates: constant([axes_out, 1, fine_out], grid_coordinates(&output.grid), device, dtype),
            quadrature: constant([1, 1, fine_in], trapezoid(&input.grid), device, dtype),
            config: config.clone(),
            input: input.clone(),
            output: output.clone(),
        })
    }

    /// The configuration that the model was made from.
    pub fn config(&self) -> &GreenLearningConfig {
        &self.config
    }

    /// Values of the Green's function on its grids, `[channels_in green_in, channels_out green_out]`.
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

    /// Transposed interpolation from a coarser grid of the Green's function to that of the input, `[points_in, green_in]`, if there is one.
    pub(crate) fn restriction_values(&self) -> Option<Tensor<2>> {
        self.restriction.clone()
    }

    /// Interpolation from a coarser grid of the Green's function to that of the output, `[green_out, points_out]`, if there is one.
    pub(crate) fn prolongation_values(&self) -> Option<Tensor<2>> {
        self.prolongation.clone()
    }

    /// The Green's function at all pairs of points of its grids: `[channels_in green_in, channels_out green_out]`.
    fn matrix(&self, pairs: Tensor<3>) -> Tensor<2> {
        let (channels, out) = (self.input.channels, self.output.channels);
        let from = self.restriction.as_ref().map_or(self.input.points(), |r| r.dims()[1]);
        let to = self.pairs.dims()[2] / from;
        let green = self.green.forward(pairs).reshape([out, channels, to, from]);
        green.permute([1, 3, 0, 2]).reshape([channels * from, out * to])
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

/// Values of the linear (bilinear, trilinear) basis functions of a coarse grid at the points of a fine one, `[fine, coarse]`, row by row.
fn interpolation(coarse: &[usize], fine: &[usize]) -> Vec<f64> {
    // Axis by axis: the Kronecker product of what each gives.
    let (mut matrix, mut rows, mut columns) = (vec![1.0], 1, 1);
    for (&m, &n) in coarse.iter().zip(fine) {
        let mut next = vec![0.0; matrix.len() * n * m];
        for i in 0..n {
            let place = i as f64 / (n.max(2) - 1) as f64 * (m - 1) as f64;
            let left = (place as usize).min(m.saturating_sub(2));
            for (k, weight) in [(left, 1.0 - (place - left as f64)), (left + 1, place - left as f64)] {
                if weight == 0.0 {
                    continue;
                }
                for row in 0..rows {
                    for column in 0..columns {
                        let at = (row * n + i) * columns * m + column * m + k;
                        next[at] = weight * matrix[row * columns + column];
                    }
                }
            }
        }
        (matrix, rows, columns) = (next, rows * n, columns * m);
    }
    matrix
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
        let out = self.output.channels;
        let mut weighted = x.clone() * beside(&self.quadrature, &x);
        if let Some(restriction) = &self.restriction {
            let [_, from] = restriction.dims();
            let coarse = weighted.reshape([batch * channels, points]).matmul(beside(restriction, &x));
            weighted = coarse.reshape([batch, channels, from]);
        }
        let [_, _, from] = weighted.dims();
        let matrix = self.matrix(beside(&self.pairs, &x));
        let to = matrix.dims()[1] / out;
        let mut integral = weighted.reshape([batch, channels * from]).matmul(matrix).reshape([batch, out, to]);
        if let Some(prolongation) = &self.prolongation {
            let [_, fine] = prolongation.dims();
            let product = integral.reshape([batch * out, to]).matmul(beside(prolongation, &x));
            integral = product.reshape([batch, out, fine]);
        }
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
    fn linear_functions_are_interpolated_exactly() {
        for (coarse, fine) in [(vec![4], vec![11]), (vec![3, 5], vec![7, 9]), (vec![2, 2, 3], vec![4, 2, 5])] {
            let matrix = interpolation(&coarse, &fine);
            let [from, to] = [&coarse, &fine].map(|grid| grid.iter().product::<usize>());
            let [x, y] = [(&coarse, from), (&fine, to)].map(|(grid, points)| {
                let coordinates = grid_coordinates(grid);
                let value = |p: usize| (0..grid.len()).map(|a| (a + 1) as f64 * coordinates[a * points + p]).sum();
                (0..points).map(value).collect::<Vec<f64>>()
            });
            for (row, y) in matrix.chunks_exact(from).zip(&y) {
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-14);
                assert!((row.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>() - y).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn a_coarser_grid_has_the_same_network_and_the_full_one_is_no_detour() {
        use burn::tensor::TensorData;
        let (device, shape) = (Device::flex(), FieldShape::new(1, &[8, 6]));
        let model = |green_points| {
            let config = GreenLearningConfig { hidden_channels: 6, n_layers: 2, green_points, ..Default::default() };
            GreenLearning::new(&config, &shape, &shape, 3, &device, DType::F64).unwrap()
        };
        let values: Vec<f64> = (0..48).map(|i| (i as f64 * 0.3).sin()).collect();
        let x = Tensor::<3>::from_data(TensorData::new(values, [1, 1, 48]), (&device, DType::F64));
        let output = |points| model(points).forward(x.clone()).into_data().try_to_vec::<f64>().unwrap();
        let full = output(None);
        assert_eq!(output(Some(100)), full);
        let distance = |points| {
            let difference = output(Some(points)).iter().zip(&full).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            (difference / full.iter().map(|v| v * v).sum::<f64>()).sqrt()
        };
        // The untrained network is smooth: interpolating it between 7 points is better than between 3.
        assert!(distance(7) < 0.5 * distance(3) && distance(7) > 0.0, "{} {}", distance(7), distance(3));
        let one = GreenLearningConfig { green_points: Some(1), ..Default::default() };
        assert!(one.validate().unwrap_err().to_string().starts_with("model.green_points = 1"));
    }

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
