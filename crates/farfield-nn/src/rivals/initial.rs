//! Random initial values of parameters.

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::hss_layer::random_stream;

/// Random stream of the rivals: apart from those of HSS layers.
const STREAM: u64 = 3 << 32;

/// Draws parameters one after the other.
pub(crate) struct Initial {
    rng: ChaCha8Rng,
    device: Device,
    dtype: DType,
}

impl Initial {
    pub fn new(seed: u64, device: &Device, dtype: DType) -> Self {
        Self { rng: random_stream(seed, STREAM), device: device.clone(), dtype }
    }

    fn parameter<const D: usize>(&self, shape: [usize; D], values: Vec<f64>) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), (&self.device, self.dtype)))
    }

    /// Uniform in `low..high`.
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D], low: f64, high: f64) -> Param<Tensor<D>> {
        let values = (0..shape.iter().product()).map(|_| low + (high - low) * self.rng.random::<f64>()).collect();
        self.parameter(shape, values)
    }

    /// Gaussian of mean zero.
    pub fn gaussian<const D: usize>(&mut self, shape: [usize; D], deviation: f64) -> Param<Tensor<D>> {
        let draw = |_| deviation * Distribution::<f64>::sample(&StandardNormal, &mut self.rng);
        let values = (0..shape.iter().product()).map(draw).collect();
        self.parameter(shape, values)
    }

    /// These values.
    pub fn values<const D: usize>(&self, shape: [usize; D], values: &[f64]) -> Param<Tensor<D>> {
        self.parameter(shape, values.to_vec())
    }
}

/// A tensor that is not trained, in the float type of a model but without autodiff, so that it serves training and evaluation alike.
pub(crate) fn constant<const D: usize>(
    shape: [usize; D],
    values: Vec<f64>,
    device: &Device,
    dtype: DType,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (&device.clone().without_autodiff(), dtype))
}

/// The constant where `like` lives.
pub(crate) fn beside<const D: usize, const E: usize>(constant: &Tensor<D>, like: &Tensor<E>) -> Tensor<D> {
    if like.device().is_autodiff() { constant.clone().autodiff() } else { constant.clone() }
}

/// Coordinates of the points of a grid, axis by axis, each from 0 to 1 with both ends (`n` points at `i / (n - 1)`), `[axes, points]`.
pub(crate) fn grid_coordinates(grid: &[usize]) -> Vec<f64> {
    let points: usize = grid.iter().product();
    let mut out = Vec::with_capacity(grid.len() * points);
    let mut stride = points;
    for &n in grid {
        stride /= n;
        out.extend((0..points).map(|p| (p / stride % n) as f64 / (n.max(2) - 1) as f64));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_run_along_their_axes() {
        assert_eq!(grid_coordinates(&[2, 3]), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.5, 1.0, 0.0, 0.5, 1.0]);
        assert_eq!(grid_coordinates(&[1]), [0.0]);
    }
}
