//! The Neural-HSS model (section 2.1): lifting, a stack of HSS layers with LeakyReLU, projection.
//!
//! ```text
//! N(Z) = P( H_depth ( ... H_1( L(Z) ) ) ),   H_i(Z) = LeakyReLU_slope_i( sum_k Z x_1 W_1^(k) ... x_m W_m^(k) )
//! ```
//!
//! `L` and `P` are linear, each absent, an HSS layer, a full matrix a mode, or the tensor map of appendix E. The
//! block-diagonal (rank 0) and dense (0 levels) comparators are the same model. Parameters of the stack: those
//! of [`LayerSpec::len`] plus one slope a layer.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use farfield_data::FieldShape;
use farfield_kernels::Block;
use farfield_matrix::Hss;

use crate::config::{MapKind, ModelConfig};
use crate::error::NnError;
use crate::full_rank::FullRank;
use crate::hss_layer::HssLayer;
use crate::hss_stack::HssStack;
use crate::layer_spec::LayerSpec;
use crate::model::Model;
use crate::tensor_map::TensorMap;

/// Random stream of the lifting; inner layer `i` has stream `i`.
const LIFT_STREAM: u64 = 1 << 32;
/// Random stream of the projection.
const PROJECT_STREAM: u64 = 2 << 32;

/// A lifting or projection that is not an HSS layer.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum LinearMap {
    /// One full matrix a mode.
    Full(FullRank),
    /// The low-rank tensor map.
    Tensor(TensorMap),
}

impl LinearMap {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Full(map) => map.forward(x),
            Self::Tensor(map) => map.forward(x),
        }
    }
}

/// The model. HSS lifting and projection are the first and last layers of the stack.
#[derive(Module, Debug)]
pub struct NeuralHss {
    lift: Option<LinearMap>,
    stack: HssStack,
    project: Option<LinearMap>,
    #[module(skip)]
    config: ModelConfig,
    #[module(skip)]
    input: FieldShape,
    #[module(skip)]
    output: FieldShape,
}

impl NeuralHss {
    /// A model with random weights, a function of `seed` alone, on `device` (an autodiff device to train) in
    /// `dtype`.
    ///
    /// # Errors
    /// The field of the configuration that is wrong or does not fit the shapes.
    pub fn new(
        config: &ModelConfig,
        input: &FieldShape,
        output: &FieldShape,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, NnError> {
        let specs = StackSpecs::new(config, input, output)?;
        let inner = config.inner_grid(input);
        let layer =
            |spec: &Arc<LayerSpec>, slope, stream| HssLayer::new(Arc::clone(spec), slope, seed, stream, device, dtype);
        let mut layers = Vec::with_capacity(config.depth + 2);
        layers.extend(specs.lift.as_ref().map(|spec| layer(spec, None, LIFT_STREAM)));
        layers.extend((0..config.depth).map(|i| layer(&specs.inner, Some(config.slope_init), i as u64)));
        layers.extend(specs.project.as_ref().map(|spec| layer(spec, None, PROJECT_STREAM)));

        let map = |kind, from: Vec<usize>, to: Vec<usize>, stream| -> Result<Option<LinearMap>, NnError> {
            Ok(match kind {
                MapKind::None | MapKind::Hss => None,
                MapKind::Full => Some(LinearMap::Full(FullRank::new(&from, &to, seed, stream, device, dtype)?)),
                MapKind::Tensor => {
                    Some(LinearMap::Tensor(TensorMap::new(&from, &to, config.lift_rank, seed, stream, device, dtype)))
                }
            })
        };
        let lift = match config.lift {
            MapKind::Tensor => map(config.lift, tensor_shape(input), one_channel(&inner), LIFT_STREAM)?,
            kind => map(kind, input.grid.clone(), inner.clone(), LIFT_STREAM)?,
        };
        let project = match config.project {
            MapKind::Tensor => map(config.project, one_channel(&inner), tensor_shape(output), PROJECT_STREAM)?,
            kind => map(kind, inner.clone(), output.grid.clone(), PROJECT_STREAM)?,
        };
        Ok(Self::from_modules(config, input, output, lift, HssStack::new(layers), project))
    }

    /// Puts a model together from parts that [`StackSpecs`] describes.
    pub(crate) fn from_modules(
        config: &ModelConfig,
        input: &FieldShape,
        output: &FieldShape,
        lift: Option<LinearMap>,
        stack: HssStack,
        project: Option<LinearMap>,
    ) -> Self {
        Self { lift, stack, project, config: config.clone(), input: input.clone(), output: output.clone() }
    }

    /// The configuration that the model was made from.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The HSS layers: lifting if it is HSS, inner layers, projection if it is HSS.
    pub fn stack(&self) -> &HssStack {
        &self.stack
    }

    /// The lifting, unless it is absent or part of the stack.
    pub fn lift(&self) -> Option<&LinearMap> {
        self.lift.as_ref()
    }

    /// The projection, unless it is absent or part of the stack.
    pub fn project(&self) -> Option<&LinearMap> {
        self.project.as_ref()
    }

    /// The product of all layers as one HSS matrix. Ranks add up: its rank is the sum of the layers'.
    ///
    /// # Errors
    /// When the model is not one-dimensional with outer rank 1, a slope is not exactly 1, or lifting or
    /// projection is full-rank or a tensor map.
    pub fn to_matrix(&self) -> Result<Hss<f64>, NnError> {
        let unsupported = |reason: String| NnError::Unsupported { operation: "network to matrix", reason };
        if self.lift.is_some() || self.project.is_some() {
            return Err(unsupported("model.lift and model.project must be \"none\" or \"hss\"".into()));
        }
        if let Some((i, slope)) = self.slopes().into_iter().enumerate().find(|(_, slope)| *slope != 1.0) {
            return Err(unsupported(format!(
                "the slope of layer {i} is {slope}, only a network with all slopes exactly 1 is linear"
            )));
        }
        let mut product: Option<Hss<f64>> = None;
        for layer in self.stack.layers() {
            let matrix = layer.to_matrix()?;
            product = Some(match product {
                None => matrix,
                Some(before) => matrix.multiply(&before)?,
            });
        }
        product.ok_or_else(|| unsupported("the network has no layer".into()))
    }
}

impl Model for NeuralHss {
    fn input_shape(&self) -> &FieldShape {
        &self.input
    }

    fn output_shape(&self) -> &FieldShape {
        &self.output
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, channels, points] = x.dims();
        assert_eq!((channels, points), (self.input.channels, self.input.points()), "shape of the input");
        let x = x.reshape([batch, channels * points]);
        let x = self.lift.iter().fold(x, |z, map| map.forward(z));
        let x = self.stack.forward(x);
        let x = self.project.iter().fold(x, |z, map| map.forward(z));
        x.reshape([batch, self.output.channels, self.output.points()])
    }

    fn matrix_blocks(&self, path: &str) -> Option<Vec<Block>> {
        let mut parts = path.rsplit('.');
        let (last, index, list) = (parts.next()?, parts.next()?, parts.next()?);
        let layer = self.stack.layers().get(index.parse::<usize>().ok()?)?;
        (last == "weights" && list == "layers").then(|| layer.spec().blocks())
    }

    fn slope_parameters(&self) -> Vec<Tensor<1>> {
        self.stack.layers().iter().filter_map(HssLayer::slope).collect()
    }
}

/// Shapes of the HSS layers of a model.
pub(crate) struct StackSpecs {
    /// The lifting, if it is HSS.
    pub(crate) lift: Option<Arc<LayerSpec>>,
    /// Every inner layer.
    pub(crate) inner: Arc<LayerSpec>,
    /// The projection, if it is HSS.
    pub(crate) project: Option<Arc<LayerSpec>>,
}

impl StackSpecs {
    /// The shapes for a configuration, which is checked against the shapes of the fields.
    pub(crate) fn new(config: &ModelConfig, input: &FieldShape, output: &FieldShape) -> Result<Self, NnError> {
        config.check_shapes(input, output)?;
        let inner = config.inner_grid(input);
        let spec = |from: &[usize], to: &[usize]| {
            let (levels, rank) = (config.effective_levels(), config.effective_rank());
            LayerSpec::uniform(from, to, levels, rank, config.outer_rank).map(Arc::new)
        };
        let hss = |kind, from: &[usize], to: &[usize]| (kind == MapKind::Hss).then(|| spec(from, to)).transpose();
        Ok(Self {
            lift: hss(config.lift, &input.grid, &inner)?,
            inner: spec(&inner, &inner)?,
            project: hss(config.project, &inner, &output.grid)?,
        })
    }
}

/// Channel and grid as one shape.
pub(crate) fn tensor_shape(field: &FieldShape) -> Vec<usize> {
    std::iter::once(field.channels).chain(field.grid.iter().copied()).collect()
}

/// A grid with one channel as a shape.
pub(crate) fn one_channel(grid: &[usize]) -> Vec<usize> {
    std::iter::once(1).chain(grid.iter().copied()).collect()
}
