//! What the two multiscale networks on hierarchical matrices share: configuration, sizes of the layers, near field.
//!
//! MNN-H (Fan, Lin, Ying, Zepeda-Nunez 2018, *A multiscale neural network based on hierarchical matrices*, arXiv 1807.01883) and MNN-H2 (Fan, Feliu-Faba, Lin,
//! Ying, Zepeda-Nunez 2019, *A multiscale neural network based on hierarchical nested bases*, arXiv 1808.02376) replace the coupling matrices of a hierarchical
//! matrix on a uniform tree by stacks of band layers with a nonlinearity. A grid of `2^L m` points an axis has boxes of `m` points on the finest level `L`;
//! levels 2 to `L` have a far field of `alpha` channels a box; boxes next to each other interact through the adjacent part. One and two dimensions.

use burn::tensor::{Int, Tensor, TensorData};
use farfield_data::FieldShape;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::band::{Activation, Band, BandStack};
use super::boxes::{BoxTree, COARSEST, Padding, inverse};
use super::initial::Initial;
use super::local_map::MapSize;
use crate::error::NnError;

/// Which layers have weights of their own for every box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// None: all are convolutions over the boxes. For operators that commute with translations.
    #[default]
    Conv,
    /// All (locally connected, LC).
    Lc,
    /// Restriction, interpolation and, on one axis, the last adjacent layer (Mix). On two axes all adjacent layers are convolutions, as in the authors' program.
    Mix,
}

/// Shape of an MNN-H or MNN-H2 network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MnnConfig {
    /// Levels `L` of the tree: `2^L` boxes along every axis, which must divide its points. At least 2. Default: the most with 4 points along every axis of a box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<usize>,
    /// Channels `alpha` of a box. Default 6.
    pub hidden_channels: usize,
    /// Layers `K` of a level, and of the adjacent part. Default 5, as the authors; the H2-NN paper has 3.
    pub n_layers: usize,
    /// `"conv"` (default), `"lc"` or `"mix"`.
    pub connection: Connection,
    /// What is beyond the grid: `"periodic"` (default) or `"zero"`.
    pub padding: Padding,
    /// Half-width, in boxes, of the band of the adjacent part. Default 1.
    pub adjacent_band: usize,
    /// Half-width of the band of level 2. Default 2.
    pub coarsest_band: usize,
    /// Half-width of the bands of levels 3 to `L`. Default 3.
    pub band: usize,
    /// After every layer of a band but the last adjacent one: `"relu"` (default) or `"none"`, which makes the network an affine map.
    pub activation: Activation,
}

impl Default for MnnConfig {
    fn default() -> Self {
        Self {
            levels: None,
            hidden_channels: 6,
            n_layers: 5,
            connection: Connection::Conv,
            padding: Padding::Periodic,
            adjacent_band: 1,
            coarsest_band: 2,
            band: 3,
            activation: Activation::Relu,
        }
    }
}

impl MnnConfig {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        super::check_counts(&[("model.hidden_channels", self.hidden_channels), ("model.n_layers", self.n_layers)])?;
        if let Some(levels) = self.levels.filter(|levels| !(COARSEST..=16).contains(levels)) {
            return Err(NnError::config("model.levels", levels, format!("must be between {COARSEST} and 16")));
        }
        if self.coarsest_band >= 1 << COARSEST {
            let rule = "level 2 has 4 boxes along an axis: at most 3";
            return Err(NnError::config("model.coarsest_band", self.coarsest_band, rule));
        }
        Ok(())
    }

    /// Half-width of the band of a level.
    pub(crate) fn half_width(&self, level: usize) -> usize {
        if level == COARSEST { self.coarsest_band } else { self.band }
    }

    /// All sizes, for data of these shapes.
    pub(crate) fn plan(&self, model: &'static str, input: &FieldShape, output: &FieldShape) -> Result<Plan, NnError> {
        self.validate()?;
        super::check_same_grid(model, input, output)?;
        let tree = BoxTree::new(model, input, self.levels)?;
        let too_wide = |field, value, level: usize| {
            let rule = format!("level {level} has {} boxes along an axis: at most {}", 1 << level, (1 << level) - 1);
            Err(NnError::config(field, value, rule))
        };
        if tree.levels() > COARSEST && self.band >= 1 << (COARSEST + 1) {
            return too_wide("model.band", self.band, COARSEST + 1);
        }
        if self.adjacent_band >= 1 << tree.levels() {
            return too_wide("model.adjacent_band", self.adjacent_band, tree.levels());
        }
        Ok(Plan { config: self.clone(), tree, axes: input.grid.len(), channels: (input.channels, output.channels) })
    }
}

/// Sizes of all layers of a network on a grid.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    config: MnnConfig,
    pub tree: BoxTree,
    axes: usize,
    /// Of the input and of the output.
    channels: (usize, usize),
}

impl Plan {
    fn maps(&self, own: bool, level: usize) -> usize {
        if own { self.tree.boxes(level) } else { 1 }
    }

    /// From the points of the boxes of a level to their channels.
    pub fn restriction(&self, level: usize) -> MapSize {
        let (taps, alpha) = (self.tree.points(level), self.config.hidden_channels);
        let maps = self.maps(self.config.connection != Connection::Conv, level);
        MapSize { maps, taps, channels_in: self.channels.0, channels_out: alpha }
    }

    /// From the channels of the boxes of a level to their points.
    pub fn interpolation(&self, level: usize) -> MapSize {
        let (points, alpha) = (self.tree.points(level), self.config.hidden_channels);
        let maps = self.maps(self.config.connection != Connection::Conv, level);
        MapSize { maps, taps: 1, channels_in: alpha, channels_out: points * self.channels.1 }
    }

    /// From the channels of the children to those of the boxes of a level.
    pub fn up(&self, level: usize) -> MapSize {
        let alpha = self.config.hidden_channels;
        let maps = self.maps(self.config.connection != Connection::Conv, level);
        MapSize { maps, taps: self.tree.children(), channels_in: alpha, channels_out: alpha }
    }

    /// From the channels of the boxes of a level to those of their children.
    pub fn down(&self, level: usize) -> MapSize {
        let alpha = self.config.hidden_channels;
        let maps = self.maps(self.config.connection != Connection::Conv, level);
        MapSize { maps, taps: 1, channels_in: alpha, channels_out: alpha * self.tree.children() }
    }

    /// One layer of the band of a level.
    pub fn kernel(&self, level: usize) -> MapSize {
        let (alpha, half_width) = (self.config.hidden_channels, self.config.half_width(level));
        let maps = self.maps(self.config.connection == Connection::Lc, level);
        MapSize { maps, taps: self.tree.taps(half_width), channels_in: alpha, channels_out: alpha }
    }

    /// A layer of the adjacent part. Between the layers a box has as many numbers as points, times the channels of the input or of the output, whichever are more.
    pub fn adjacent(&self, layer: usize) -> MapSize {
        let (level, last) = (self.tree.levels(), self.config.n_layers - 1);
        let points = self.tree.points(level);
        let (first_in, last_out) = (points * self.channels.0, points * self.channels.1);
        let inner = first_in.max(last_out);
        let own = match self.config.connection {
            Connection::Conv => false,
            Connection::Lc => true,
            Connection::Mix => layer == last && self.axes == 1,
        };
        MapSize {
            maps: self.maps(own, level),
            taps: self.tree.taps(self.config.adjacent_band),
            channels_in: if layer == 0 { first_in } else { inner },
            channels_out: if layer == last { last_out } else { inner },
        }
    }

    /// Trainable numbers of the bands of all levels and of the adjacent part.
    pub fn band_parameters(&self) -> f64 {
        let layers = self.config.n_layers;
        let kernel = |level| layers as f64 * self.kernel(level).parameters();
        // The inner adjacent layers are all alike.
        let inner = if layers > 2 { (layers - 2) as f64 * self.adjacent(1).parameters() } else { 0.0 };
        let ends = if layers > 1 { self.adjacent(0).parameters() } else { 0.0 };
        self.tree.far_levels().map(kernel).sum::<f64>() + ends + inner + self.adjacent(layers - 1).parameters()
    }

    /// The layers of the band of a level.
    pub fn kernel_stack(&self, level: usize, initial: &mut Initial) -> BandStack {
        let config = &self.config;
        let band = Band::new(&self.tree, level, config.half_width(level), config.padding);
        let sizes = vec![self.kernel(level); config.n_layers];
        BandStack::new(band, &sizes, config.activation, true, initial)
    }

    /// The layers of the adjacent part.
    pub fn adjacent_stack(&self, initial: &mut Initial) -> BandStack {
        let config = &self.config;
        let band = Band::new(&self.tree, self.tree.levels(), config.adjacent_band, config.padding);
        let sizes: Vec<MapSize> = (0..config.n_layers).map(|layer| self.adjacent(layer)).collect();
        BandStack::new(band, &sizes, config.activation, false, initial)
    }
}

/// The points of a grid in the order of the leaves, there and back.
#[derive(Debug)]
pub(crate) struct PointOrder {
    /// Nothing where the order is that of the grid.
    there: Option<Vec<i64>>,
    back: Option<Vec<i64>>,
}

impl PointOrder {
    pub fn new(tree: &BoxTree) -> Arc<Self> {
        let there = tree.point_order();
        if there.iter().copied().eq(0..there.len()) {
            return Arc::new(Self { there: None, back: None });
        }
        let rows = |order: Vec<usize>| Some(order.into_iter().map(|p| p as i64).collect());
        Arc::new(Self { back: rows(inverse(&there)), there: rows(there) })
    }

    /// `[batch, channels, points]` to `[points, channels batch]`, leaf by leaf.
    pub fn by_leaves(&self, x: Tensor<3>) -> Tensor<2> {
        let [batch, channels, points] = x.dims();
        selected(x.permute([2, 1, 0]).reshape([points, channels * batch]), self.there.as_deref())
    }

    /// The inverse of [`PointOrder::by_leaves`], for so many channels.
    pub fn on_grid(&self, y: Tensor<2>, channels: usize, batch: usize) -> Tensor<3> {
        let [points, _] = y.dims();
        selected(y, self.back.as_deref()).reshape([points, channels, batch]).permute([2, 1, 0])
    }
}

fn selected(x: Tensor<2>, rows: Option<&[i64]>) -> Tensor<2> {
    let Some(rows) = rows else { return x };
    let device = x.device();
    x.select(0, Tensor::<1, Int>::from_data(TensorData::new(rows.to_vec(), [rows.len()]), &device))
}
