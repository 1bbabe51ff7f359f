//! The low-rank linear tensor map of appendix E of the Neural-HSS paper: lifting and projection for
//! systems of equations, with any number of channels and different grids on both sides.
//!
//! ```text
//! phi(Z) = sum_{i=1}^r c_i  u_i^(1) x ... x u_i^(m)  < v_i^(1) x ... x v_i^(M), Z >
//! ```
//!
//! The first index on either side is the channel. Parameters: `r (1 + sum_j d_j + sum_j D_j)`. The image has
//! at most `r` dimensions, so a map with few terms forgets detail; between grids of one channel a
//! full-rank or HSS map keeps it. Multiply-adds a sample: `r` times the points of input and output;
//! memory: `r` times the points of the output.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

use crate::hss_layer::random_stream;

/// A low-rank linear map between tensors.
#[derive(Module, Debug)]
pub struct TensorMap {
    /// Weights of the terms, `[r]`.
    c: Param<Tensor<1>>,
    /// Factors of the output, `[r, d_j]`, channel first.
    u: Vec<Param<Tensor<2>>>,
    /// Factors of the input, `[r, D_j]`, channel first.
    v: Vec<Param<Tensor<2>>>,
}

/// Entries of a [`TensorMap`], row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorMapParts {
    /// Weights of the `r` terms.
    pub c: Vec<f64>,
    /// Output factors as `(d_j, entries)`, `r` rows of `d_j` numbers.
    pub u: Vec<(usize, Vec<f64>)>,
    /// Input factors as `(D_j, entries)`, `r` rows of `D_j` numbers.
    pub v: Vec<(usize, Vec<f64>)>,
}

impl TensorMap {
    /// A random map from tensors of shape `input` to tensors of shape `output` (channel first).
    ///
    /// Independent Gaussian entries of mean 0 and variances `1/r` for `c`, 1 for `u`, `1/D_j` for `v_j`, which keep
    /// the variance of white noise. Drawn from ChaCha8 with key `seed` and stream `stream`: `c`, every `u`, every `v`.
    pub fn new(
        input: &[usize],
        output: &[usize],
        terms: usize,
        seed: u64,
        stream: u64,
        device: &Device,
        dtype: DType,
    ) -> Self {
        let mut rng = random_stream(seed, stream);
        let mut draw = |n: usize, variance: f64| -> Vec<f64> {
            let scale = variance.sqrt();
            (0..n).map(|_| scale * Distribution::<f64>::sample(&StandardNormal, &mut rng)).collect()
        };
        let c = draw(terms, 1.0 / terms as f64);
        let u = output.iter().map(|&d| (d, draw(terms * d, 1.0))).collect();
        let v = input.iter().map(|&d| (d, draw(terms * d, 1.0 / d as f64))).collect();
        Self::from_parts(TensorMapParts { c, u, v }, device, dtype)
    }

    /// The map with the given entries.
    ///
    /// # Panics
    /// When a factor has not `r` rows.
    pub fn from_parts(parts: TensorMapParts, device: &Device, dtype: DType) -> Self {
        let terms = parts.c.len();
        let factors = |list: Vec<(usize, Vec<f64>)>| {
            let one = |(d, entries)| {
                Param::from_tensor(Tensor::from_data(TensorData::new(entries, [terms, d]), (device, dtype)))
            };
            list.into_iter().map(one).collect()
        };
        let c = Param::from_tensor(Tensor::from_data(TensorData::new(parts.c, [terms]), (device, dtype)));
        Self { c, u: factors(parts.u), v: factors(parts.v) }
    }

    /// The weights `[r]`, the output factors `[r, d_j]` and the input factors `[r, D_j]`.
    pub fn factors(&self) -> (Tensor<1>, Vec<Tensor<2>>, Vec<Tensor<2>>) {
        let read = |list: &[Param<Tensor<2>>]| list.iter().map(Param::val).collect();
        (self.c.val(), read(&self.u), read(&self.v))
    }

    /// Applies the map: `[batch, channels x points]` of the input to the same of the output.
    ///
    /// # Panics
    /// When the size of `x` does not fit.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [batch, mut size] = x.dims();
        let [terms] = self.c.dims();
        // Contract the input index by index, the batch last: [terms or 1, D_j, D_(j+1) .. D_M batch].
        let mut z = x.swap_dims(0, 1).unsqueeze_dim::<3>(0);
        for (j, v) in self.v.iter().enumerate() {
            let v = v.val();
            let [_, d] = v.dims();
            let terms_z = if j == 0 { 1 } else { terms };
            size /= d;
            z = v.unsqueeze_dim::<3>(1).matmul(z.reshape([terms_z, d, size * batch]));
        }
        let coefficients = z.reshape([terms, batch]) * self.c.val().unsqueeze_dim::<2>(1);

        let mut product = Tensor::ones([terms, 1, 1], (&coefficients.device(), coefficients.dtype()));
        let mut points = 1;
        for u in &self.u {
            let u = u.val();
            let [_, d] = u.dims();
            product = product.matmul(u.unsqueeze_dim::<3>(1));
            points *= d;
            product = product.reshape([terms, points, 1]);
        }
        coefficients.swap_dims(0, 1).matmul(product.reshape([terms, points]))
    }

    /// Shape of the input, channel first.
    pub fn shape_in(&self) -> Vec<usize> {
        self.v.iter().map(|v| v.dims()[1]).collect()
    }

    /// Shape of the output, channel first.
    pub fn shape_out(&self) -> Vec<usize> {
        self.u.iter().map(|u| u.dims()[1]).collect()
    }
}
