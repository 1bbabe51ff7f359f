//! MNN-H and MNN-H2: fields are `[batch, boxes, channels]`; a layer over a band gathers the boxes around each box, then is one product, batched over the boxes
//! where each has weights of its own.

use farfield_data::FieldShape;

use super::graph::{Graph, Value};
use super::parameters::Parameters;
use super::shape::{BATCH, batched};
use crate::error::NnError;
use crate::rivals::boxes::{BoxTree, inverse};
use crate::rivals::{Activation, MnnConfig, Padding};

/// The grid and its boxes.
struct Lowering<'a> {
    p: &'a Parameters,
    config: &'a MnnConfig,
    tree: BoxTree,
    /// Channels of the input and of the output.
    channels: (usize, usize),
}

/// MNN-H. `x` and the result are `[batch, channels, points]`.
///
/// # Errors
/// A parameter that is missing or does not fit.
pub(super) fn mnn_h(
    g: &mut Graph,
    p: &Parameters,
    config: &MnnConfig,
    shapes: (&FieldShape, &FieldShape),
    x: &Value,
) -> Result<Value, NnError> {
    let net = Lowering::new(p, config, shapes)?;
    let v = net.by_leaves(g, x)?;
    let mut sum = net.adjacent(g, &v)?;
    for (position, level) in net.tree.far_levels().enumerate() {
        let far = g.within(&format!("level{level}"), |g| {
            let boxes = net.tree.boxes(level);
            let points = g.reshape(&v, &batched(&[boxes, net.tree.points(level) * net.channels.0]))?;
            let z = net.map(g, &format!("restrictions.{position}"), &points)?;
            let w = net.kernel(g, position, level, z)?;
            net.map(g, &format!("interpolations.{position}"), &w)
        })?;
        let far = g.reshape(&far, sum.shape())?;
        sum = g.add(&sum, &far)?;
    }
    net.on_grid(g, &sum)
}

/// MNN-H2, the same way.
///
/// # Errors
/// As [`mnn_h`].
pub(super) fn mnn_h2(
    g: &mut Graph,
    p: &Parameters,
    config: &MnnConfig,
    shapes: (&FieldShape, &FieldShape),
    x: &Value,
) -> Result<Value, NnError> {
    let net = Lowering::new(p, config, shapes)?;
    let v = net.by_leaves(g, x)?;
    let near = net.adjacent(g, &v)?;
    let levels: Vec<usize> = net.tree.far_levels().collect();

    let mut z = Vec::with_capacity(levels.len());
    let mut below = v;
    for (position, &level) in levels.iter().enumerate().rev() {
        let boxes = net.tree.boxes(level);
        let channels = below.length(1)? / boxes * below.length(2)?;
        let stacked = g.reshape(&below, &batched(&[boxes, channels]))?;
        below = g.within(&format!("up{level}"), |g| net.map(g, &format!("restrictions.{position}"), &stacked))?;
        z.push(below.clone());
    }
    let mut above: Option<Value> = None;
    for ((position, &level), z) in levels.iter().enumerate().zip(z.into_iter().rev()) {
        above = Some(g.within(&format!("level{level}"), |g| {
            let mut sum = net.kernel(g, position, level, z)?;
            if let Some(above) = &above {
                let above = g.reshape(above, sum.shape())?;
                sum = g.add(&sum, &above)?;
            }
            net.map(g, &format!("interpolations.{position}"), &sum)
        })?);
    }
    let sum = match above {
        Some(far) => {
            let far = g.reshape(&far, near.shape())?;
            g.add(&near, &far)?
        }
        None => near,
    };
    net.on_grid(g, &sum)
}

/// The activation of every number.
pub(super) fn activated(g: &mut Graph, activation: Activation, x: &Value) -> Value {
    match activation {
        Activation::Relu => g.relu(x),
        Activation::None => x.clone(),
    }
}

impl<'a> Lowering<'a> {
    fn new(
        p: &'a Parameters,
        config: &'a MnnConfig,
        (input, output): (&FieldShape, &FieldShape),
    ) -> Result<Self, NnError> {
        let tree = BoxTree::new("mnn", input, config.levels)?;
        Ok(Self { p, config, tree, channels: (input.channels, output.channels) })
    }

    /// `[batch, channels, points]` to `[batch, leaves, points of a leaf times channels]`.
    fn by_leaves(&self, g: &mut Graph, x: &Value) -> Result<Value, NnError> {
        let level = self.tree.levels();
        let x = g.transpose(x, &[0, 2, 1])?;
        let x = self.ordered(g, &x, "points.by_leaves", &self.tree.point_order())?;
        g.reshape(&x, &batched(&[self.tree.boxes(level), self.tree.points(level) * self.channels.0]))
    }

    /// The way back, with the channels of the output.
    fn on_grid(&self, g: &mut Graph, y: &Value) -> Result<Value, NnError> {
        let back = inverse(&self.tree.point_order());
        let y = g.reshape(y, &batched(&[back.len(), self.channels.1]))?;
        let y = self.ordered(g, &y, "points.on_grid", &back)?;
        g.transpose(&y, &[0, 2, 1])
    }

    fn ordered(&self, g: &mut Graph, x: &Value, name: &str, order: &[usize]) -> Result<Value, NnError> {
        if order.iter().copied().eq(0..order.len()) { Ok(x.clone()) } else { g.gather(x, 1, name, order) }
    }

    /// A `LocalMap`: `[batch, boxes, channels_in]` to `[batch, boxes, channels_out]`.
    fn map(&self, g: &mut Graph, name: &str, x: &Value) -> Result<Value, NnError> {
        let weight = self.p.take_transposed(g, &format!("{name}.weight"))?;
        let bias = self.p.take(g, &format!("{name}.bias"))?;
        let product = if weight.length(0)? == 1 {
            g.matmul(x, &weight)?
        } else {
            let x = g.transpose(x, &[1, 0, 2])?;
            let y = g.matmul(&x, &weight)?;
            g.transpose(&y, &[1, 0, 2])?
        };
        g.add(&product, &bias)
    }

    /// Layers over a band.
    fn band(
        &self,
        g: &mut Graph,
        name: &str,
        (level, half_width): (usize, usize),
        activated_end: bool,
        x: Value,
    ) -> Result<Value, NnError> {
        let (boxes, taps) = (self.tree.boxes(level), self.tree.taps(half_width));
        let neighbours = self.tree.neighbours(level, half_width, self.config.padding);
        let mut x = x;
        for layer in 0..self.config.n_layers {
            let channels = x.length(2)?;
            if taps > 1 {
                if self.config.padding == Padding::Zero {
                    x = g.pad(&x, &[(1, 0, 1)])?;
                }
                x = g.gather(&x, 1, &format!("neighbours.level{level}.{half_width}"), &neighbours)?;
                x = g.reshape(&x, &[BATCH, boxes.into(), (taps * channels).into()])?;
            }
            x = self.map(g, &format!("{name}.layers.{layer}"), &x)?;
            if activated_end || layer + 1 < self.config.n_layers {
                x = activated(g, self.config.activation, &x);
            }
        }
        Ok(x)
    }

    fn kernel(&self, g: &mut Graph, position: usize, level: usize, z: Value) -> Result<Value, NnError> {
        self.band(g, &format!("kernels.{position}"), (level, self.config.half_width(level)), true, z)
    }

    fn adjacent(&self, g: &mut Graph, v: &Value) -> Result<Value, NnError> {
        let size = (self.tree.levels(), self.config.adjacent_band);
        g.within("adjacent", |g| self.band(g, "adjacent", size, false, v.clone()))
    }
}
