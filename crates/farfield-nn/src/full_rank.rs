//! One full matrix a mode: `Z x_1 W_1 x_2 W_2 ... x_m W_m`, from one grid to another.
//!
//! The full-rank lifting and projection of the Neural-HSS paper (section 3.2, table 4). Linear, no bias, one
//! channel. Parameters: `sum_j n_out,j n_in,j`; multiply-adds a sample: each matrix times the points of
//! all other axes. Do not use it on long axes where an HSS map would do: the cost is quadratic in `n`.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

use crate::error::NnError;
use crate::hss_layer::random_stream;

/// A dense matrix for every mode.
#[derive(Module, Debug)]
pub struct FullRank {
    /// Matrix of each mode, `[n_out, n_in]`.
    weights: Vec<Param<Tensor<2>>>,
}

impl FullRank {
    /// Random matrices with independent Gaussian entries of variance `1/n_in`, which keep the variance of
    /// white noise. Drawn from ChaCha8 with key `seed` and stream `stream`, mode after mode, row-major.
    ///
    /// # Errors
    /// When the grids differ in dimension.
    pub fn new(
        grid_in: &[usize],
        grid_out: &[usize],
        seed: u64,
        stream: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, NnError> {
        if grid_in.len() != grid_out.len() {
            return Err(NnError::shape(
                "grid of a full-rank map's output",
                format!("{grid_out:?}"),
                format!("as many axes as {grid_in:?}"),
            ));
        }
        let mut rng = random_stream(seed, stream);
        let matrices = grid_in.iter().zip(grid_out).map(|(&n_in, &n_out)| {
            let scale = (1.0 / n_in as f64).sqrt();
            let draw = |_| scale * Distribution::<f64>::sample(&StandardNormal, &mut rng);
            ([n_out, n_in], (0..n_out * n_in).map(draw).collect())
        });
        Ok(Self::from_matrices(matrices.collect(), device, dtype))
    }

    /// The map with the given row-major matrices, one `([n_out, n_in], entries)` a mode.
    ///
    /// # Panics
    /// When a matrix has not `n_out n_in` entries.
    pub fn from_matrices(matrices: Vec<([usize; 2], Vec<f64>)>, device: &Device, dtype: DType) -> Self {
        let weights = matrices.into_iter().map(|(shape, entries)| {
            Param::from_tensor(Tensor::from_data(TensorData::new(entries, shape), (device, dtype)))
        });
        Self { weights: weights.collect() }
    }

    /// Applies the map: `[batch, points_in]` to `[batch, points_out]`.
    ///
    /// # Panics
    /// When the points of `x` do not fit.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [batch, mut points] = x.dims();
        // Axes rotate: before mode j the tensor is [n_j, n_(j+1) .. n_m, batch, o_1 .. o_(j-1)].
        let mut z = x.swap_dims(0, 1);
        for weight in &self.weights {
            let weight = weight.val();
            let [n_out, n_in] = weight.dims();
            let others = batch * points / n_in;
            z = weight.matmul(z.reshape([n_in, others])).swap_dims(0, 1);
            points = points / n_in * n_out;
        }
        z.reshape([batch, points])
    }

    /// Points along every axis of the input.
    pub fn grid_in(&self) -> Vec<usize> {
        self.weights.iter().map(|w| w.dims()[1]).collect()
    }

    /// Points along every axis of the output.
    pub fn grid_out(&self) -> Vec<usize> {
        self.weights.iter().map(|w| w.dims()[0]).collect()
    }

    /// The matrices, one a mode, `[n_out, n_in]`.
    pub fn matrices(&self) -> Vec<Tensor<2>> {
        self.weights.iter().map(Param::val).collect()
    }
}
