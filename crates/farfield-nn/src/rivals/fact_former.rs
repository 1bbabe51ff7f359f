//! FactFormer (Li, Shu & Farimani 2023): attention that is factorised over the axes of the grid.
//!
//! In each block the field is averaged over all axes but one, which leaves a sequence of `n_j` vectors; from these come queries and keys and, without any
//! softmax, a kernel `A_j = Q_j K_j^T / (n_j sqrt(c))` for each head; the values of the field are multiplied by the kernel of each axis in turn,
//!
//! ```text
//! v <- v + F( A_1 x_1 ( A_2 x_2 ( ... (W_v norm(v)) ) ) )
//! ```
//!
//! with a normalisation of each head and two dense layers `F`. Positions enter the queries and keys by rotation (Su et al. 2021). Cost a
//! sample: `w^2` multiply-adds a point for the dense layers and `heads head_channels sum_j n_j` for the kernels.
//!
//! Where the paper leaves a choice open: channels of queries and keys are `kernel_multiplier` times those of a head, rotation frequencies `64^(-2 i / c)` times
//! 64 periods over the axis, lifting and projection are two dense layers each.

use burn::module::Module;
use burn::tensor::activation::gelu;
use burn::tensor::{DType, Device, Tensor};
use farfield_data::FieldShape;
use serde::{Deserialize, Serialize};

use super::dense::{Dense, exchanged};
use super::initial::{Initial, beside, constant, grid_coordinates};
use crate::error::NnError;
use crate::model::Model;

/// Highest number of periods over an axis, and base of the frequencies.
const PERIODS: f64 = 64.0;

/// Shape of a FactFormer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FactFormerConfig {
    /// Channels of the hidden field. Default 384.
    pub hidden_channels: usize,
    /// Blocks. Default 1.
    pub n_layers: usize,
    /// Heads. Default 1.
    pub heads: usize,
    /// Channels of the values of a head; even. Default 8.
    pub head_channels: usize,
    /// Channels of queries and keys over those of a head. Default 1.
    pub kernel_multiplier: usize,
}

impl Default for FactFormerConfig {
    fn default() -> Self {
        Self { hidden_channels: 384, n_layers: 1, heads: 1, head_channels: 8, kernel_multiplier: 1 }
    }
}

impl FactFormerConfig {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        super::check_counts(&[
            ("model.hidden_channels", self.hidden_channels),
            ("model.n_layers", self.n_layers),
            ("model.heads", self.heads),
            ("model.head_channels", self.head_channels),
            ("model.kernel_multiplier", self.kernel_multiplier),
        ])?;
        if !self.head_channels.is_multiple_of(2) {
            let rule = "must be even: pairs of channels are rotated";
            return Err(NnError::config("model.head_channels", self.head_channels, rule));
        }
        Ok(())
    }

    /// Number of trainable numbers.
    ///
    /// # Errors
    /// As [`FactFormer::new`].
    pub fn parameters(&self, input: &FieldShape, output: &FieldShape) -> Result<f64, NnError> {
        self.validate()?;
        super::check_same_grid("fact-former", input, output)?;
        let (w, axes) = (self.hidden_channels, input.grid.len());
        let values = self.heads * self.head_channels;
        let keys = values * self.kernel_multiplier;
        let dense = super::dense_parameters;
        let axis = 3.0 * dense(w, w) + 2.0 * dense(w, keys);
        let block = dense(w, values) + axes as f64 * axis + dense(values, w) + dense(w, w);
        let ends = dense(input.channels + axes, w) + 2.0 * dense(w, w) + dense(w, output.channels);
        Ok(ends + self.n_layers as f64 * block)
    }
}

/// What leads from the field to the kernel of one axis.
#[derive(Module, Debug)]
struct AxisKernel {
    reduce: Dense,
    mix: [Dense; 2],
    query: Dense,
    key: Dense,
    /// Cosines and sines of the rotation, `[1, c/2, n]` each.
    #[module(skip)]
    rotation: [Tensor<3>; 2],
}

#[derive(Module, Debug)]
struct Block {
    value: Dense,
    axes: Vec<AxisKernel>,
    out: [Dense; 2],
}

/// The network.
#[derive(Module, Debug)]
pub struct FactFormer {
    lift: [Dense; 2],
    blocks: Vec<Block>,
    project: [Dense; 2],
    /// Coordinates, `[axes, 1, points]`.
    #[module(skip)]
    coordinates: Tensor<3>,
    #[module(skip)]
    config: FactFormerConfig,
    #[module(skip)]
    input: FieldShape,
    #[module(skip)]
    output: FieldShape,
}

impl FactFormer {
    /// A network with random weights on `device` (an autodiff device to train).
    ///
    /// # Errors
    /// The field of the configuration that is wrong; grids that differ.
    pub fn new(
        config: &FactFormerConfig,
        input: &FieldShape,
        output: &FieldShape,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, NnError> {
        config.validate()?;
        super::check_same_grid("fact-former", input, output)?;
        let (w, axes) = (config.hidden_channels, input.grid.len());
        let (values, keys) = (config.heads * config.head_channels, config.head_channels * config.kernel_multiplier);
        let mut initial = Initial::new(seed, device, dtype);
        let lift = [Dense::new(input.channels + axes, w, &mut initial), Dense::new(w, w, &mut initial)];
        let blocks = (0..config.n_layers)
            .map(|_| Block {
                value: Dense::new(w, values, &mut initial),
                axes: (input.grid.iter())
                    .map(|&n| AxisKernel {
                        reduce: Dense::new(w, w, &mut initial),
                        mix: [Dense::new(w, w, &mut initial), Dense::new(w, w, &mut initial)],
                        query: Dense::new(w, config.heads * keys, &mut initial),
                        key: Dense::new(w, config.heads * keys, &mut initial),
                        rotation: rotation(n, keys, device, dtype),
                    })
                    .collect(),
                out: [Dense::new(values, w, &mut initial), Dense::new(w, w, &mut initial)],
            })
            .collect();
        let project = [Dense::new(w, w, &mut initial), Dense::new(w, output.channels, &mut initial)];
        let coordinates = constant([axes, 1, input.points()], grid_coordinates(&input.grid), device, dtype);
        let (config, input, output) = (config.clone(), input.clone(), output.clone());
        Ok(Self { lift, blocks, project, coordinates, config, input, output })
    }

    /// The configuration that the network was made from.
    pub fn config(&self) -> &FactFormerConfig {
        &self.config
    }
}

/// Cosines and sines for `c / 2` pairs of channels at `n` places from 0 to 1, `[c/2, n]`.
pub(crate) fn rotation_values(n: usize, c: usize) -> [Vec<f64>; 2] {
    let pairs = c / 2;
    let angle = |k: usize| {
        let (pair, i) = (k / n, k % n);
        let place = i as f64 / (n.max(2) - 1) as f64;
        place * std::f64::consts::TAU * PERIODS.powf(1.0 - 2.0 * pair as f64 / c as f64)
    };
    [f64::cos, f64::sin].map(|f| (0..pairs * n).map(|k| f(angle(k))).collect())
}

/// The same as tensors `[1, c/2, n]`.
fn rotation(n: usize, c: usize, device: &Device, dtype: DType) -> [Tensor<3>; 2] {
    rotation_values(n, c).map(|values| constant([1, c / 2, n], values, device, dtype))
}

/// What is added to variances before they divide.
pub(crate) const VARIANCE_FLOOR: f64 = 1e-5;

/// Mean 0 and variance 1 over the channels of each group, at every point.
fn normalized(x: Tensor<3>, groups: usize) -> Tensor<3> {
    let [channels, batch, points] = x.dims();
    let x = x.reshape([groups, channels / groups, batch * points]);
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    (centred / (variance + VARIANCE_FLOOR).sqrt()).reshape([channels, batch, points])
}

impl AxisKernel {
    /// The kernel of axis `axis`, `[heads batch, n, n]`, from the normalised field.
    fn forward(&self, v: &Tensor<3>, grid: &[usize], axis: usize, heads: usize) -> Tensor<3> {
        let [w, batch, _] = v.dims();
        let n = grid[axis];
        let (before, after) = (grid[..axis].iter().product::<usize>(), grid[axis + 1..].iter().product::<usize>());
        let z = self.reduce.forward(v.clone()).reshape([w * batch, before, n, after]);
        let z = z.mean_dim(3).mean_dim(1).reshape([w, batch, n]);
        let z = self.mix[1].forward(gelu(self.mix[0].forward(normalized(z, 1))));
        let [query, key] = [&self.query, &self.key].map(|layer| {
            let q = layer.forward(z.clone());
            let c = q.dims()[0] / heads;
            let q = q.reshape([heads, c, batch, n]).swap_dims(1, 2);
            self.rotated(q.reshape([heads * batch, c, n]))
        });
        let c = query.dims()[1];
        query.swap_dims(1, 2).matmul(key).mul_scalar(1.0 / (n as f64 * (c as f64).sqrt()))
    }

    fn rotated(&self, q: Tensor<3>) -> Tensor<3> {
        let pairs = q.dims()[1] / 2;
        let [cos, sin] = self.rotation.each_ref().map(|r| beside(r, &q));
        let (a, b) = (q.clone().narrow(1, 0, pairs), q.narrow(1, pairs, pairs));
        let first = a.clone() * cos.clone() - b.clone() * sin.clone();
        Tensor::cat(vec![first, a * sin + b * cos], 1)
    }
}

impl Block {
    fn forward(&self, v: Tensor<3>, grid: &[usize], heads: usize) -> Tensor<3> {
        let [_, batch, points] = v.dims();
        let u = normalized(v.clone(), 1);
        let z = self.value.forward(u.clone());
        let [values, ..] = z.dims();
        let c = values / heads;
        // [heads batch, channels before, n, after] for every axis, the kernel from the left.
        let mut z = z.reshape([heads, c, batch, points]).swap_dims(1, 2);
        for (axis, layer) in self.axes.iter().enumerate() {
            let n = grid[axis];
            let after: usize = grid[axis + 1..].iter().product();
            let kernel = layer.forward(&u, grid, axis, heads).unsqueeze_dim::<4>(1);
            z = kernel.matmul(z.reshape([heads * batch, c * points / (n * after), n, after]));
        }
        let z = z.reshape([heads, batch, c, points]).swap_dims(1, 2).reshape([values, batch, points]);
        let out = self.out[1].forward(gelu(self.out[0].forward(normalized(z, heads))));
        v + out
    }
}

impl Model for FactFormer {
    fn input_shape(&self) -> &FieldShape {
        &self.input
    }

    fn output_shape(&self) -> &FieldShape {
        &self.output
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, points] = x.dims();
        let [axes, ..] = self.coordinates.dims();
        let x = exchanged(x);
        let coordinates = beside(&self.coordinates, &x).expand([axes, batch, points]);
        let both = |layers: &[Dense; 2], z| layers[1].forward(gelu(layers[0].forward(z)));
        let v = both(&self.lift, Tensor::cat(vec![x, coordinates], 0));
        let v = self.blocks.iter().fold(v, |v, block| block.forward(v, &self.input.grid, self.config.heads));
        exchanged(both(&self.project, normalized(v, 1)))
    }
}
