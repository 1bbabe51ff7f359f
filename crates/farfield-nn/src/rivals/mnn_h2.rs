//! MNN-H2 (Fan, Feliu-Faba, Lin, Ying, Zepeda-Nunez 2019, arXiv 1808.02376): the network on the structure of an H2 matrix.
//!
//! ```text
//! u = A_ad v + I_L w_L,    w_l = M_l z_l + I_(l-1) w_(l-1)  (l > 2),    w_2 = M_2 z_2,    z_L = R_L v,    z_l = R_l z_(l+1)
//! ```
//!
//! As [MNN-H](super::mnn_h), but the restriction `R_l` takes the channels of the `2^d` children of a box, and the interpolation `I_l` gives to them: the bases
//! are nested. With one layer and no activation it is an H2 matrix of rank `alpha`, plus a constant.
//!
//! Parameters on one axis, all layers convolutions: `(m + 1) alpha + (L - 2)(2 alpha^2 + alpha) + K sum_l ((2 n_l + 1) alpha^2 + alpha)
//! + (L - 2)(alpha + 1) 2 alpha + (alpha + 1) m + K (3 m^2 + m)`. Cost: `O(N)` multiply-adds a sample.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use farfield_data::FieldShape;

use super::band::BandStack;
use super::boxes::COARSEST;
use super::initial::Initial;
use super::local_map::LocalMap;
use super::mnn::{MnnConfig, PointOrder};
use crate::error::NnError;
use crate::model::Model;

const KIND: &str = "mnn-h2";

/// The network.
#[derive(Module, Debug)]
pub struct MnnH2 {
    /// From level 2 on, as are kernels and interpolations. The last restriction is from the points, the last interpolation to them.
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

impl MnnH2 {
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
            let finest = level == plan.tree.levels();
            let (up, down) = match finest {
                true => (plan.restriction(level), plan.interpolation(level)),
                false => (plan.up(level), plan.down(level)),
            };
            restrictions.push(LocalMap::new(up, &mut initial));
            kernels.push(plan.kernel_stack(level, &mut initial));
            interpolations.push(LocalMap::new(down, &mut initial));
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
    /// As [`MnnH2::new`].
    pub fn parameters_of(config: &MnnConfig, input: &FieldShape, output: &FieldShape) -> Result<f64, NnError> {
        let plan = config.plan(KIND, input, output)?;
        let finest = plan.tree.levels();
        let nested = |level| plan.up(level).parameters() + plan.down(level).parameters();
        let ends = plan.restriction(finest).parameters() + plan.interpolation(finest).parameters();
        Ok((COARSEST..finest).map(nested).sum::<f64>() + ends + plan.band_parameters())
    }

    /// The configuration that the network was made from.
    pub fn config(&self) -> &MnnConfig {
        &self.config
    }
}

impl Model for MnnH2 {
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
        let leaves = self.boxes.last().copied().unwrap_or(1);
        let v = self.order.by_leaves(x).reshape([leaves, points / leaves * self.input.channels, batch]);
        let flat = |u: Tensor<3>| u.reshape([points, self.output.channels * batch]);
        let near = flat(self.adjacent.forward(v.clone()));

        // Up: z of every level, from the finest.
        let alpha = self.config.hidden_channels;
        let mut z = Vec::with_capacity(self.boxes.len());
        let mut below = v;
        for (restriction, &boxes) in self.restrictions.iter().zip(&self.boxes).rev() {
            let [finer, channels, _] = below.dims();
            below = restriction.forward(below.reshape([boxes, finer / boxes * channels, batch]));
            z.push(below.clone());
        }
        // Down: what comes from above, and the kernels of each level.
        let mut above: Option<Tensor<3>> = None;
        for (level, z) in z.into_iter().rev().enumerate() {
            let own = self.kernels[level].forward(z);
            let sum = match above {
                Some(above) => own + above.reshape([self.boxes[level], alpha, batch]),
                None => own,
            };
            above = Some(self.interpolations[level].forward(sum));
        }
        let sum = match above {
            Some(far) => near + flat(far),
            None => near,
        };
        self.order.on_grid(sum, self.output.channels, batch)
    }
}
