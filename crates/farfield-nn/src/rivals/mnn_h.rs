//! MNN-H (Fan, Lin, Ying, Zepeda-Nunez 2018, arXiv 1807.01883): the network on the structure of an H matrix.
//!
//! ```text
//! u = A_ad v + sum_{l=2}^{L} I_l M_l R_l v
//! ```
//!
//! `R_l` maps the points of each box of level `l` to `alpha` channels, linearly; `M_l` is `K` layers over the boxes in a band, each with a nonlinearity; `I_l`
//! maps the channels of each box back to its points, linearly; `A_ad` is `K` layers over the boxes of level `L` next to each other, nonlinear but for the last.
//! With one layer and no activation it is an H matrix whose blocks have rank `alpha`, plus a constant.
//!
//! Parameters on one axis, all layers convolutions, `n_l` the half-width of the band of level `l` and `w_l = 2^(L - l) m` the points of a box:
//! `sum_l [ (w_l + 1) alpha + K ((2 n_l + 1) alpha^2 + alpha) + (alpha + 1) w_l ] + K (3 m^2 + m)`. Cost: `O(N log N)` multiply-adds a sample.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use farfield_data::FieldShape;

use super::band::BandStack;
use super::initial::Initial;
use super::local_map::LocalMap;
use super::mnn::{MnnConfig, PointOrder};
use crate::error::NnError;
use crate::model::Model;

const KIND: &str = "mnn-h";

/// The network.
#[derive(Module, Debug)]
pub struct MnnH {
    /// From level 2 on, as are kernels and interpolations.
    restrictions: Vec<LocalMap>,
    kernels: Vec<BandStack>,
    interpolations: Vec<LocalMap>,
    adjacent: BandStack,
    #[module(skip)]
    order: Arc<PointOrder>,
    /// Boxes of the levels from level 2 on.
    #[module(skip)]
    boxes: Vec<usize>,
    #[module(skip)]
    config: MnnConfig,
    #[module(skip)]
    input: FieldShape,
    #[module(skip)]
    output: FieldShape,
}

impl MnnH {
    /// A network with Glorot's uniform weights on `device` (an autodiff device to train).
    ///
    /// # Errors
    /// The field of the configuration that is wrong; grids that differ, have three axes or are not divided by the boxes.
    pub fn new(
        config: &MnnConfig,
        input: &FieldShape,
        output: &FieldShape,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, NnError> {
        let plan = config.plan(KIND, input, output)?;
        let mut initial = Initial::new(seed, device, dtype);
        let (mut restrictions, mut kernels, mut interpolations) = (Vec::new(), Vec::new(), Vec::new());
        for level in plan.tree.far_levels() {
            restrictions.push(LocalMap::new(plan.restriction(level), &mut initial));
            kernels.push(plan.kernel_stack(level, &mut initial));
            interpolations.push(LocalMap::new(plan.interpolation(level), &mut initial));
        }
        let adjacent = plan.adjacent_stack(&mut initial);
        let boxes = plan.tree.far_levels().map(|level| plan.tree.boxes(level)).collect();
        let (config, input, output) = (config.clone(), input.clone(), output.clone());
        let order = PointOrder::new(&plan.tree);
        Ok(Self { restrictions, kernels, interpolations, adjacent, order, boxes, config, input, output })
    }

    /// Number of trainable numbers.
    ///
    /// # Errors
    /// As [`MnnH::new`].
    pub fn parameters_of(config: &MnnConfig, input: &FieldShape, output: &FieldShape) -> Result<f64, NnError> {
        let plan = config.plan(KIND, input, output)?;
        let maps = |level| plan.restriction(level).parameters() + plan.interpolation(level).parameters();
        Ok(plan.tree.far_levels().map(maps).sum::<f64>() + plan.band_parameters())
    }

    /// The configuration that the network was made from.
    pub fn config(&self) -> &MnnConfig {
        &self.config
    }
}

impl Model for MnnH {
    fn input_shape(&self) -> &FieldShape {
        &self.input
    }

    fn output_shape(&self) -> &FieldShape {
        &self.output
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        if let Some(none) = super::no_samples(&x, &self.output) {
            return none;
        }
        let [batch, _, points] = x.dims();
        let v = self.order.by_leaves(x);
        let in_boxes = |boxes: usize| v.clone().reshape([boxes, points / boxes * self.input.channels, batch]);
        let flat = |u: Tensor<3>| u.reshape([points, self.output.channels * batch]);
        let leaves = self.boxes.last().copied().unwrap_or(1);
        let mut sum = flat(self.adjacent.forward(in_boxes(leaves)));
        for (level, &boxes) in self.boxes.iter().enumerate() {
            let channels = self.kernels[level].forward(self.restrictions[level].forward(in_boxes(boxes)));
            sum = sum + flat(self.interpolations[level].forward(channels));
        }
        self.order.on_grid(sum, self.output.channels, batch)
    }
}
