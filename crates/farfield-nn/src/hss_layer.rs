//! One HSS layer as a Burn module: flat weights, an optional learnable slope, and its shape.
//!
//! `H(Z) = LeakyReLU_slope( sum_k Z x_1 W_1^(k) ... x_m W_m^(k) )` (Neural-HSS, section 2.1 and eq. 1). No
//! bias. Without a slope the layer is linear (lifting, projection).

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use farfield_kernels::HssLayout;
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
    /// [`NnError::Unsupported`] unless the matrix has the layout of [`HssLayout::new`] (`2^L` leaves, one rank) and its indices are in
    /// their natural order: what all layers have.
    pub fn from_matrix(matrix: &Hss<f64>, slope: Option<f64>, device: &Device, dtype: DType) -> Result<Self, NnError> {
        let layout = matrix.layout();
        let balanced = HssLayout::new(layout.n_out(), layout.n_in(), layout.levels(), layout.rank());
        let natural = [matrix.rows(), matrix.cols()].iter().all(|tree| tree.order().iter().copied().eq(0..tree.len()));
        if balanced.as_ref() != Ok(&**layout) || !natural {
            return Err(NnError::Unsupported {
                operation: "matrix to layer",
                reason: "a layer needs 2^L leaves, one rank for all nodes, and indices in their natural order"
                    .to_owned(),
            });
        }
        let spec = LayerSpec::new(vec![Arc::clone(layout)], 1)?;
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

/// Random weights: every entry an independent Gaussian of mean 0 and variance `1/(3 fan_in)`.
///
/// The fan-in of `D` and `U` is their number of columns, that of `V`, which acts as `V^T`, its number of rows. That is the variance
/// of uniform numbers in `+-1/sqrt(fan_in)`, the customary choice for dense layers. Variances that keep white noise
/// at its size, near part and far part one half each, are 1.5 to 3 times larger; measured on 1D Poisson (table 9, medians of five seeds),
/// they end training with 1.2 (family `paper`) to 1.7 times (`random-s1`) the error, and much smaller ones do worse from
/// few samples. With `m` modes the factor `1/3` becomes `3^(-1/m)`, so that a layer shrinks its input alike in any dimension,
/// and the sum of `r_out` products of `m` matrices is normalised by `r_out^(-1/(2m))` on the leaf blocks `D` and `U`.
///
/// The numbers come from ChaCha8 with key `seed` and stream `stream`, drawn in double precision in the order of the flat
/// vector: they do not depend on device, precision or threads.
pub fn initial_weights(spec: &LayerSpec, seed: u64, stream: u64) -> Vec<f64> {
    let mut rng = random_stream(seed, stream);
    let mut weights: Vec<f64> = (0..spec.len()).map(|_| StandardNormal.sample(&mut rng)).collect();
    let root = |variance: f64| variance.powf(0.5 / spec.dims() as f64);
    let (gain, terms) = (root(1.0 / 3.0), root(1.0 / spec.outer_rank() as f64));
    for term in 0..spec.outer_rank() {
        for (mode, layout) in spec.modes().iter().enumerate() {
            let offset = spec.offset(term, mode);
            let weights = &mut weights[offset..offset + layout.len()];
            for level in 0..=layout.levels() {
                let outer = if level == layout.levels() { terms } else { 1.0 };
                for node in layout.level(level) {
                    let scale = |fan_in: usize| gain / (fan_in.max(1) as f64).sqrt();
                    for (block, scale) in [
                        (node.d, outer * scale(node.d.cols)),
                        (node.u, outer * scale(node.u.cols)),
                        (node.v, scale(node.v.rows)),
                    ] {
                        weights[block.range()].iter_mut().for_each(|w| *w *= scale);
                    }
                }
            }
        }
    }
    weights
}
