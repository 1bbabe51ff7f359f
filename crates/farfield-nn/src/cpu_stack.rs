//! A stack of HSS layers on the CPU: the kernels of `farfield-kernels` as differentiable operations.
//!
//! 1D and 2D fields are brought into panels once at the entry and back once at the exit; 3D fields stay as they are. Each
//! layer is one operation: product and activation forward; backward, from the stored pre-activation, the gradients by input,
//! weights and slope at once. [`crate::tensor_ops`] computes the same by ordinary tensor operations.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward as BackwardOp, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;
use farfield_kernels::{Backward, Forward, Layer1d, Layer2d, Layer3d, PanelShape};

use crate::cpu_tensor::{Float, contiguous, give_back, primitive, scalar, tensor, values, values_mut, with_float};
use crate::hss_layer::HssLayer;
use crate::layer_spec::LayerSpec;

/// The output of the layers, `[batch, points]`; `None` where the kernels do not apply: another device, another precision, an
/// empty batch, no layers.
pub(crate) fn forward(layers: &[HssLayer], x: &Tensor<2>) -> Option<Tensor<2>> {
    let (first, last) = (layers.first()?, layers.last()?);
    let [batch, points] = x.dims();
    if batch == 0 || points != first.spec().points_in() {
        return None;
    }
    let differentiable = x.device().is_autodiff();
    if layers.iter().any(|layer| layer.weights().device().is_autodiff() != differentiable) {
        return None;
    }
    let x = x.clone();
    let dtype = x.dtype();
    let (entry, exit) = (first.spec().input_panels(batch), last.spec().output_panels(batch));
    let out = [batch, last.spec().points_out()];
    if differentiable {
        x.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
        with_float!(dtype, T => {
            let mut y = match entry {
                Some(shape) => enter_differentiable::<T>(x, shape),
                None => x.flatten(0, 1),
            };
            for (i, layer) in layers.iter().enumerate() {
                y = layer_differentiable::<T>(layer, batch, y, i > 0 || entry.is_some());
            }
            match exit {
                Some(shape) => leave_differentiable::<T>(y, shape, out),
                None => y.reshape(out),
            }
        })
    } else {
        let x = primitive(x)?;
        with_float!(dtype, T => {
            let mut y = match entry {
                Some(shape) => pack::<T>(&x, shape),
                None => x,
            };
            let mut own = entry.is_some();
            for layer in layers {
                let weights = primitive(layer.weights())?;
                let slope = match layer.slope() {
                    Some(slope) => Some(values::<T>(&primitive(slope)?)[0]),
                    None => None,
                };
                let next = apply::<T>(layer.spec(), batch, values(&y), values(&weights), slope, false);
                let input = std::mem::replace(&mut y, tensor(next.y, &[layer.spec().output_len::<T>(batch)]));
                if std::mem::replace(&mut own, true) {
                    give_back::<T>(input);
                }
            }
            let y = match exit {
                Some(shape) => {
                    let fields = unpack::<T>(&y, shape);
                    give_back::<T>(y);
                    fields
                }
                None => y.reshape(out.to_vec().into()),
            };
            Tensor::from_primitive::<Flex>(y)
        })
    }
}

impl LayerSpec {
    /// The layout in which a stack of such layers takes its input: panels in 1D and 2D.
    fn input_panels(&self, batch: usize) -> Option<PanelShape> {
        panels(&self.grid_in(), batch)
    }

    fn output_panels(&self, batch: usize) -> Option<PanelShape> {
        panels(&self.grid_out(), batch)
    }

    /// Elements of the output, padding included.
    fn output_len<T: Float>(&self, batch: usize) -> usize {
        self.output_panels(batch).map_or(batch * self.points_out(), |p| p.elements::<T>())
    }

    fn input_len<T: Float>(&self, batch: usize) -> usize {
        self.input_panels(batch).map_or(batch * self.points_in(), |p| p.elements::<T>())
    }
}

fn panels(grid: &[usize], batch: usize) -> Option<PanelShape> {
    match *grid {
        [n] => Some(PanelShape::new_1d(batch, n)),
        [rows, columns] => Some(PanelShape::new_2d(batch, rows, columns)),
        _ => None,
    }
}

const SHAPES: &str = "shapes that were checked when the stack was entered";

fn pack<T: Float>(x: &FlexTensor, shape: PanelShape) -> FlexTensor {
    tensor(shape.pack(values::<T>(x)).expect(SHAPES), &[shape.elements::<T>()])
}

fn unpack<T: Float>(panels: &FlexTensor, shape: PanelShape) -> FlexTensor {
    tensor(shape.unpack(values::<T>(panels)).expect(SHAPES), &[shape.batch, shape.points()])
}

/// One layer forward, on the layout of the stack.
fn apply<T: Float>(spec: &LayerSpec, batch: usize, x: &[T], weights: &[T], slope: Option<T>, keep: bool) -> Forward<T> {
    let outer_rank = spec.outer_rank();
    match spec.modes() {
        [a] if outer_rank == 1 => Layer1d { layout: a, batch }.forward(x, weights, slope, keep),
        [a, b] => Layer2d { first: a, second: b, outer_rank, batch }.forward(x, weights, slope, keep),
        [a, b, c] => Layer3d { modes: [a, b, c], outer_rank, batch }.forward(x, weights, slope, keep),
        modes => unreachable!("a layer on {} axes with outer rank {outer_rank}", modes.len()),
    }
    .expect(SHAPES)
}

/// One layer backward.
fn differentiate<T: Float>(state: &LayerState, dy: &mut [T], need_dx: bool) -> Backward<T> {
    let LayerState { spec, batch, .. } = state;
    let (batch, outer_rank) = (*batch, spec.outer_rank());
    let (x, weights, saved) = (values(&state.x), values(&state.weights), values(&state.saved));
    let slope = state.slope.as_ref().map(|slope| values::<T>(slope)[0]);
    match spec.modes() {
        [a] => Layer1d { layout: a, batch }.backward(x, weights, slope, saved, dy, need_dx),
        [a, b] => Layer2d { first: a, second: b, outer_rank, batch }.backward(x, weights, slope, saved, dy, need_dx),
        [a, b, c] => Layer3d { modes: [a, b, c], outer_rank, batch }.backward(x, weights, slope, saved, dy, need_dx),
        _ => unreachable!("a layer on one, two or three axes"),
    }
    .expect(SHAPES)
}

/// What a layer remembers for its backward pass.
#[derive(Clone, Debug)]
struct LayerState {
    spec: Arc<LayerSpec>,
    batch: usize,
    x: FlexTensor,
    weights: FlexTensor,
    slope: Option<FlexTensor>,
    saved: FlexTensor,
    need_dx: bool,
    /// Whether the kernels made `x`: only what they made goes back to them, or they would collect every batch ever read.
    own_x: bool,
}

/// A layer with activation: parents input, weights, slope.
#[derive(Debug)]
struct ActivatedLayer<T>(PhantomData<T>);

/// A linear layer: parents input, weights.
#[derive(Debug)]
struct LinearLayer<T>(PhantomData<T>);

/// The gradients by input, weights and slope as tensors; work arrays go back to the kernels.
fn layer_gradients<T: Float>(state: LayerState, dy: FlexTensor) -> (Option<FlexTensor>, FlexTensor, FlexTensor) {
    let mut dy = contiguous(dy);
    let back = differentiate::<T>(&state, values_mut(&mut dy), state.need_dx);
    let input_len = state.spec.input_len::<T>(state.batch);
    let gradients = (
        back.dx.map(|dx| tensor(dx, &[input_len])),
        tensor(back.parameters, &[state.spec.len()]),
        scalar::<T>(back.slope),
    );
    for used in [dy, state.saved].into_iter().chain(state.own_x.then_some(state.x)) {
        give_back::<T>(used);
    }
    gradients
}

impl<T: Float> BackwardOp<Flex, 3> for ActivatedLayer<T> {
    type State = LayerState;

    fn backward(self, ops: Ops<LayerState, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let (dx, weights, slope) = layer_gradients::<T>(ops.state, dy);
        let [x_parent, weights_parent, slope_parent] = ops.parents;
        for (parent, gradient) in [(x_parent, dx), (weights_parent, Some(weights)), (slope_parent, Some(slope))] {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

impl<T: Float> BackwardOp<Flex, 2> for LinearLayer<T> {
    type State = LayerState;

    fn backward(self, ops: Ops<LayerState, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let (dx, weights, _) = layer_gradients::<T>(ops.state, dy);
        let [x_parent, weights_parent] = ops.parents;
        for (parent, gradient) in [(x_parent, dx), (weights_parent, Some(weights))] {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

const DEVICE: &str = "a tensor of the device that was checked when the stack was entered";

fn layer_differentiable<T: Float>(layer: &HssLayer, batch: usize, x: Tensor<1>, own_x: bool) -> Tensor<1> {
    let x = x.try_into_primitive::<Autodiff<Flex>>().expect(DEVICE);
    let weights = layer.weights().try_into_primitive::<Autodiff<Flex>>().expect(DEVICE);
    let slope = layer.slope().map(|slope| slope.try_into_primitive::<Autodiff<Flex>>().expect(DEVICE));
    let need_dx = x.is_tracked();
    let (x_node, weights_node) = (x.node(), weights.node());
    let slope_node = slope.as_ref().map(|slope| slope.node());
    let spec = Arc::clone(layer.spec());
    let x = contiguous(x.into_primitive());
    let weights = contiguous(weights.into_primitive());
    let slope = slope.map(|slope| contiguous(slope.into_primitive()));
    let alpha = slope.as_ref().map(|slope| values::<T>(slope)[0]);
    let Forward { y, saved } = apply::<T>(&spec, batch, values(&x), values(&weights), alpha, true);
    let saved = saved.expect("the forward pass was asked to keep it");
    let saved_len = saved.len();
    let saved = tensor(saved, &[saved_len]);
    let y = tensor(y, &[spec.output_len::<T>(batch)]);
    let state = LayerState { spec, batch, x, weights, slope, saved, need_dx, own_x };
    Tensor::from_primitive::<Autodiff<Flex>>(match slope_node {
        Some(slope_node) => {
            let op = ActivatedLayer::<T>(PhantomData);
            let prepared = op.prepare::<NoCheckpointing>([x_node, weights_node, slope_node]);
            match prepared.compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(state, y),
                OpsKind::UnTracked(prepared) => prepared.finish(y),
            }
        }
        None => {
            let op = LinearLayer::<T>(PhantomData);
            match op.prepare::<NoCheckpointing>([x_node, weights_node]).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(state, y),
                OpsKind::UnTracked(prepared) => prepared.finish(y),
            }
        }
    })
}

/// Fields to panels.
#[derive(Debug)]
struct Enter<T>(PhantomData<T>);

impl<T: Float> BackwardOp<Flex, 1> for Enter<T> {
    type State = PanelShape;

    fn backward(self, ops: Ops<PanelShape, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let fields = unpack::<T>(&gradient, ops.state);
        give_back::<T>(gradient);
        if let [Some(parent)] = ops.parents {
            grads.register::<Flex>(parent.id, fields);
        }
    }
}

/// Panels to fields.
#[derive(Debug)]
struct Leave<T>(PhantomData<T>);

impl<T: Float> BackwardOp<Flex, 1> for Leave<T> {
    type State = PanelShape;

    fn backward(self, ops: Ops<PanelShape, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let panels = pack::<T>(&gradient, ops.state);
        give_back::<T>(gradient);
        if let [Some(parent)] = ops.parents {
            grads.register::<Flex>(parent.id, panels);
        }
    }
}

fn enter_differentiable<T: Float>(x: Tensor<2>, shape: PanelShape) -> Tensor<1> {
    let x = x.try_into_primitive::<Autodiff<Flex>>().expect(DEVICE);
    let node = x.node();
    let y = pack::<T>(&contiguous(x.into_primitive()), shape);
    Tensor::from_primitive::<Autodiff<Flex>>(
        match Enter::<T>(PhantomData).prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(shape, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        },
    )
}

fn leave_differentiable<T: Float>(y: Tensor<1>, shape: PanelShape, out: [usize; 2]) -> Tensor<2> {
    let y = y.try_into_primitive::<Autodiff<Flex>>().expect(DEVICE);
    let node = y.node();
    let panels = y.into_primitive();
    let fields = unpack::<T>(&panels, shape);
    give_back::<T>(panels);
    debug_assert_eq!([shape.batch, shape.points()], out);
    Tensor::from_primitive::<Autodiff<Flex>>(
        match Leave::<T>(PhantomData).prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(shape, fields),
            OpsKind::UnTracked(prepared) => prepared.finish(fields),
        },
    )
}
