//! One HSS layer as a Burn module: flat weights, an optional learnable slope, and its shape.
//!
//! `H(Z) = LeakyReLU_slope( sum_k Z x_1 W_1^(k) ... x_m W_m^(k) )` (Neural-HSS, section 2.1 and eq. 1). No
//! bias. Without a slope the layer is linear (lifting, projection).

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use farfield_matrix::Hss;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::activation::leaky_relu;
use crate::error::NnError;
use crate::layer_spec::LayerSpec;
use crate::tensor_ops;

/// An m-dimensional HSS layer.
#[derive(Module, Debug)]
pub struct HssLayer {
    /// The parameters of all matrices, flat, in the order of [`LayerSpec`].
    weights: Param<Tensor<1>>,
    /// Slope of the activation, shape `[1]`; `None` for a linear layer.
    slope: Option<Param<Tensor<1>>>,
    #[module(skip)]
    spec: Arc<LayerSpec>,
}

impl HssLayer {
    /// A layer with random weights, drawn by [`initial_weights`] from `(seed, stream)`, and, if
    /// `slope` is given, an activation that starts at that slope.
    ///
    /// Parameters are created on `device` in `dtype`; on an autodiff device they are trainable.
    pub fn new(
        spec: Arc<LayerSpec>,
        slope: Option<f64>,
        seed: u64,
        stream: u64,
        device: &Device,
        dtype: DType,
    ) -> Self {
        let weights = initial_weights(&spec, seed, stream);
        Self::from_weights(spec, weights, slope, device, dtype)
    }

    /// A layer with the given weights, in the order of [`LayerSpec`].
    ///
    /// # Panics
    /// When `weights` has not [`LayerSpec::len`] entries.
    pub fn from_weights(
        spec: Arc<LayerSpec>,
        weights: Vec<f64>,
        slope: Option<f64>,
        device: &Device,
        dtype: DType,
    ) -> Self {
        assert_eq!(weights.len(), spec.len(), "weights of the layer");
        Self {
            weights: parameter(weights, device, dtype),
            slope: slope.map(|s| parameter(vec![s], device, dtype)),
            spec,
        }
    }

    /// The linear layer that multiplies by `matrix`.
    ///
    /// # Errors
    /// Never for a valid matrix; the layout is checked again as in [`LayerSpec::new`].
    pub fn from_matrix(matrix: &Hss<f64>, slope: Option<f64>, device: &Device, dtype: DType) -> Result<Self, NnError> {
        let spec = LayerSpec::new(vec![Arc::clone(matrix.layout())], 1)?;
        Ok(Self::from_weights(Arc::new(spec), matrix.data().to_vec(), slope, device, dtype))
    }

    /// The matrix of a one-dimensional layer of outer rank 1, without the activation.
    ///
    /// # Errors
    /// When the layer has several modes or terms, or a parameter that is not finite.
    pub fn to_matrix(&self) -> Result<Hss<f64>, NnError> {
        let [layout] = self.spec.modes() else {
            return Err(NnError::Unsupported {
                operation: "layer to matrix",
                reason: format!(
                    "the layer acts on {} axes, only a layer on one axis is one HSS matrix",
                    self.spec.dims()
                ),
            });
        };
        if self.spec.outer_rank() != 1 {
            return Err(NnError::Unsupported {
                operation: "layer to matrix",
                reason: format!(
                    "the layer is a sum of {} matrices, only outer rank 1 is one HSS matrix",
                    self.spec.outer_rank()
                ),
            });
        }
        let weights = self.weights.val().to_data().iter::<f64>().collect();
        Ok(Hss::from_parts(Arc::clone(layout), weights)?)
    }

    /// Applies the layer and its activation: `[batch, points_in]` to `[batch, points_out]`, by ordinary
    /// tensor operations.
    ///
    /// # Panics
    /// When the points of `x` do not fit.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = tensor_ops::layer_forward(&self.spec, self.weights.val(), x);
        match &self.slope {
            Some(slope) => leaky_relu(y, slope.val()),
            None => y,
        }
    }

    /// Shape of the layer.
    pub fn spec(&self) -> &Arc<LayerSpec> {
        &self.spec
    }

    /// The flat weights.
    pub fn weights(&self) -> Tensor<1> {
        self.weights.val()
    }

    /// The slope of the activation, shape `[1]`; `None` for a linear layer.
    pub fn slope(&self) -> Option<Tensor<1>> {
        self.slope.as_ref().map(Param::val)
    }
}

/// A trainable tensor of one axis.
pub(crate) fn parameter(values: Vec<f64>, device: &Device, dtype: DType) -> Param<Tensor<1>> {
    let n = values.len();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, [n]), (device, dtype)))
}

/// The random numbers of one part of a model: ChaCha8 with key `seed` and stream `stream`.
pub(crate) fn random_stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// Random weights, somewhat smaller than those that keep the variance of white noise.
///
/// Every entry is an independent Gaussian of mean 0. With `c` columns (rows for `V`) the variances are, in one dimension,
///
/// ```text
/// D of leaves  1/(20c)     other D  1/(6c), at the root 1/(3c)     U  1/(6r)     V  1/(3c)
/// ```
///
/// (`1/(10c)` for `D` of leaves at rank 0). Variances of `1/(2c)`, `1/(2c)` and `1/c`, `1/(2r)`, `1/c` would keep the variance, near part `D x` and
/// far part `U w` with one half each; measured on 1D Poisson (table 9), the smaller ones end training with half the error,
/// on either data family, because the spectrum of a solution operator decays. With `m` modes every standard
/// deviation is the variance-keeping one times the `m`-th root of the reduction, so that a whole layer shrinks its input alike
/// in any dimension. The sum of `r_out` products of `m` matrices is normalised by a factor `r_out^(-1/(2m))` on the leaf blocks
/// `D` and `U` of every matrix.
///
/// The numbers come from ChaCha8 with key `seed` and stream `stream`, drawn in double precision in the order of the flat
/// vector: they do not depend on device, precision or threads.
pub fn initial_weights(spec: &LayerSpec, seed: u64, stream: u64) -> Vec<f64> {
    let mut rng = random_stream(seed, stream);
    let mut weights: Vec<f64> = (0..spec.len()).map(|_| StandardNormal.sample(&mut rng)).collect();
    let root = |variance: f64| variance.powf(0.5 / spec.dims() as f64);
    let terms = root(1.0 / spec.outer_rank() as f64);
    let (near, rest) = (root(0.1), root(1.0 / 3.0));
    for term in 0..spec.outer_rank() {
        for (mode, layout) in spec.modes().iter().enumerate() {
            let offset = spec.offset(term, mode);
            let weights = &mut weights[offset..offset + layout.len()];
            for level in 0..=layout.levels() {
                let leaves = level == layout.levels();
                let share: f64 = if layout.rank() > 0 && level > 0 { 0.5 } else { 1.0 };
                let outer = if leaves { terms } else { 1.0 };
                let reduction = if leaves && level > 0 { near } else { rest };
                for node in layout.level(level) {
                    let d = reduction * outer * (share / node.d.cols.max(1) as f64).sqrt();
                    let u = rest * outer * (share / node.u.cols.max(1) as f64).sqrt();
                    let v = rest * (1.0 / node.v.rows.max(1) as f64).sqrt();
                    for (block, scale) in [(node.d, d), (node.u, u), (node.v, v)] {
                        weights[block.range()].iter_mut().for_each(|w| *w *= scale);
                    }
                }
            }
        }
    }
    weights
}
