//! The squared error on the CPU: value and gradient in one pass.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;
use farfield_kernels::squared_error;

use crate::cpu_tensor::{Float, contiguous, give_back, primitive, scalar, tensor, values, values_mut, with_float};

/// Hands the stored gradient on, times the gradient by the loss (1 when the loss is what is differentiated).
#[derive(Debug)]
struct SquaredError<T>(PhantomData<T>);

impl<T: Float> Backward<Flex, 1> for SquaredError<T> {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let factor = values::<T>(&contiguous(grads.consume::<Flex>(&ops.node)))[0];
        let mut gradient = ops.state;
        if factor != T::ONE {
            values_mut::<T>(&mut gradient).iter_mut().for_each(|g| *g *= factor);
        }
        if let [Some(parent)] = ops.parents {
            grads.register::<Flex>(parent.id, gradient);
        }
    }
}

/// `scale * sum (value - target)^2` as a tensor of shape `[1]`, differentiable by `value`; `None` where the kernels do not
/// apply: another device, another precision, no gradients asked for.
pub(crate) fn forward<const D: usize>(value: &Tensor<D>, target: &Tensor<D>, scale: f64) -> Option<Tensor<1>> {
    if !value.device().is_autodiff() || value.dims() != target.dims() || value.dtype() != target.dtype() {
        return None;
    }
    let target = if target.device().is_autodiff() { target.clone().inner() } else { target.clone() };
    let target = primitive(target)?;
    let value = value.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
    let node = value.node();
    let value = contiguous(value.into_primitive());
    with_float!(value.dtype(), T => {
        let shape = value.layout().shape().to_vec();
        let (loss, gradient) =
            squared_error::<T>(scale, values(&value), values(&target)).expect("equal shapes, checked above");
        let gradient = tensor(gradient, &shape);
        give_back::<T>(value);
        let loss = scalar::<T>(loss);
        Tensor::from_primitive::<Autodiff<Flex>>(
            match SquaredError::<T>(PhantomData).prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(gradient, loss),
                OpsKind::UnTracked(prepared) => prepared.finish(loss),
            },
        )
    })
}
