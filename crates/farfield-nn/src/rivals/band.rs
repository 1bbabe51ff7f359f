//! Layers in which a box sees the boxes near it: convolutions over the boxes of a level, or their locally connected counterparts.
//!
//! ```text
//! y_i = f( b_i + sum_{|j - i| <= n_b} W_{i, j - i} x_j )
//! ```
//!
//! `n_b` is the half-width of the band, in every axis; with shared weights `W` and `b` do not depend on `i`. The boxes around each box are gathered once (a copy
//! of `(2 n_b + 1)^d` fields), then all is one batched product ([`LocalMap`]).

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData, activation};
use serde::{Deserialize, Serialize};

use super::boxes::{BoxTree, Padding};
use super::initial::Initial;
use super::local_map::{LocalMap, MapSize};

/// Function applied to every number after a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// None: the network is an affine map.
    None,
}

impl Activation {
    /// Of every number. The derivative of `relu` at 0 is 0.
    pub(crate) fn of(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Relu => activation::relu(x),
            Self::None => x,
        }
    }
}

/// Which boxes the boxes of a level take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Band {
    neighbours: Vec<i64>,
    boxes: usize,
    taps: usize,
}

impl Band {
    /// Boxes at most `half_width` away on a level of the tree.
    pub fn new(tree: &BoxTree, level: usize, half_width: usize, padding: Padding) -> Arc<Self> {
        let neighbours = tree.neighbours(level, half_width, padding).into_iter().map(|i| i as i64).collect();
        Arc::new(Self { neighbours, boxes: tree.boxes(level), taps: tree.taps(half_width) })
    }

    /// Stacks the channels of the neighbours: `[boxes, channels, batch]` to `[boxes, taps channels, batch]`, the channel fastest.
    pub fn gather(&self, x: Tensor<3>) -> Tensor<3> {
        let [boxes, channels, batch] = x.dims();
        if self.taps == 1 {
            return x;
        }
        let device = x.device();
        let mut rows = x.reshape([boxes, channels * batch]);
        if self.neighbours.contains(&(boxes as i64)) {
            let zeros = Tensor::zeros([1, channels * batch], (&device, rows.dtype()));
            rows = Tensor::cat(vec![rows, zeros], 0);
        }
        let indices = TensorData::new(self.neighbours.clone(), [self.neighbours.len()]);
        let indices = Tensor::<1, Int>::from_data(indices, &device);
        rows.select(0, indices).reshape([boxes, self.taps * channels, batch])
    }
}

/// Layers over one band, one after the other, each followed by an activation.
#[derive(Module, Debug)]
pub struct BandStack {
    layers: Vec<LocalMap>,
    #[module(skip)]
    band: Arc<Band>,
    #[module(skip)]
    activation: Activation,
    /// Whether the last layer has the activation too.
    #[module(skip)]
    activated_end: bool,
}

impl BandStack {
    /// Layers of the given sizes, whose taps are those of the band.
    pub(crate) fn new(
        band: Arc<Band>,
        sizes: &[MapSize],
        activation: Activation,
        activated_end: bool,
        initial: &mut Initial,
    ) -> Self {
        let layers = sizes.iter().map(|&size| LocalMap::new(size, initial)).collect();
        Self { layers, band, activation, activated_end }
    }

    /// `[boxes, channels_in, batch]` to `[boxes, channels_out, batch]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let mut x = x;
        for (k, layer) in self.layers.iter().enumerate() {
            x = layer.forward(self.band.gather(x));
            if self.activated_end || k + 1 < self.layers.len() {
                x = self.activation.of(x);
            }
        }
        x
    }
}
