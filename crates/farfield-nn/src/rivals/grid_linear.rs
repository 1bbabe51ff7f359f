//! Affine maps of channels at every point, and convolutions, as one differentiable operation on the CPU.
//!
//! The kernels are those of [`farfield_kernels::GridMap`]. [`Dense`](super::dense::Dense) and [`Convolution`](super::convolution::Convolution) fall back to tensor
//! operations where [`on_cpu`] has no answer.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Bytes, Tensor};
use farfield_kernels::GridMap;

use crate::cpu_tensor::{Float, contiguous, primitive, tensor, values, with_float};

/// What the way back needs.
#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    weights: FlexTensor,
    grid: Vec<usize>,
    reach: usize,
    need_x: bool,
}

/// Parents: input, weights, bias.
#[derive(Debug)]
struct GridLinear<T>(PhantomData<T>);

fn map<'a>(x: &FlexTensor, weights: &FlexTensor, grid: &'a [usize], reach: usize) -> GridMap<'a> {
    let (x, weights) = (x.layout().shape().to_vec(), weights.layout().shape().to_vec());
    GridMap { grid, batch: x[1], channels_in: x[0], channels_out: weights[0], reach }
}

const SHAPES: &str = "shapes that were made to fit";

impl<T: Float> Backward<Flex, 3> for GridLinear<T> {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let State { x, weights, grid, reach, need_x } = ops.state;
        let map = map(&x, &weights, &grid, reach);
        let back = map.backward::<T>(values(&x), values(&weights), values(&dy), need_x).expect(SHAPES);
        let shape = |of: &FlexTensor| of.layout().shape().to_vec();
        let bias: Vec<T> = back.bias.iter().map(|&sum| T::from_f64(sum)).collect();
        let channels = bias.len();
        let bias = FlexTensor::new(
            Bytes::from_elems(bias),
            burn::backend::flex::Layout::contiguous(vec![channels].into()),
            T::dtype(),
        );
        let gradients =
            [back.x.map(|dx| tensor(dx, &shape(&x))), Some(tensor(back.weights, &shape(&weights))), Some(bias)];
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// `[channels_in, batch, points]` to `[channels_out, batch, points]` by weights `[channels_out, (2 reach + 1)^d channels_in]`, with so many
/// neighbours on `grid`, plus the bias; `None` on another device, in another precision, or without points.
pub(crate) fn on_cpu(
    x: &Tensor<3>,
    weights: &Tensor<2>,
    bias: &Tensor<1>,
    grid: &[usize],
    reach: usize,
) -> Option<Tensor<3>> {
    let [_, batch, points] = x.dims();
    let [out, _] = weights.dims();
    let differentiable = x.device().is_autodiff();
    if batch * points == 0
        || weights.device().is_autodiff() != differentiable
        || bias.device().is_autodiff() != differentiable
    {
        return None;
    }
    let shape = [out, batch, points];
    if !differentiable {
        let (x, weights, bias) = (primitive(x.clone())?, primitive(weights.clone())?, primitive(bias.clone())?);
        return with_float!(x.dtype(), T => {
            let map = map(&x, &weights, grid, reach);
            let y = map.forward::<T>(values(&x), values(&weights), values(&bias)).expect(SHAPES);
            Tensor::from_primitive::<Flex>(tensor(y, &shape))
        });
    }
    let x = x.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
    let weights = weights.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
    let bias = bias.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
    let nodes = [x.node(), weights.node(), bias.node()];
    let need_x = x.is_tracked();
    let (x, weights) = (contiguous(x.into_primitive()), contiguous(weights.into_primitive()));
    let bias = contiguous(bias.into_primitive());
    with_float!(x.dtype(), T => {
        let map = map(&x, &weights, grid, reach);
        let y = map.forward::<T>(values(&x), values(&weights), values(&bias)).expect(SHAPES);
        let y = tensor(y, &shape);
        let state = State { x, weights, grid: grid.to_vec(), reach, need_x };
        Tensor::from_primitive::<Autodiff<Flex>>(
            match GridLinear::<T>(PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(state, y),
                OpsKind::UnTracked(prepared) => prepared.finish(y),
            },
        )
    })
}
