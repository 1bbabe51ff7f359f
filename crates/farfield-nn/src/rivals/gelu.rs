//! The activation GELU, `x Phi(x)` with the distribution function of the normal law (Hendrycks & Gimpel 2016).
//!
//! On the CPU one pass gives value and derivative ([`farfield_kernels::gelu`]). Elsewhere it is made of ordinary tensor operations, and not of Burn's
//! own activation, whose gradient on some devices is that of another function, the approximation by a hyperbolic tangent.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;

use crate::cpu_tensor::{Float, contiguous, give_back, primitive, tensor, values, values_mut, with_float};

/// GELU of every number.
pub(crate) fn gelu(x: Tensor<3>) -> Tensor<3> {
    match on_cpu(&x) {
        Some(y) => y,
        None => by_tensor_ops(x),
    }
}

fn by_tensor_ops(x: Tensor<3>) -> Tensor<3> {
    let normal = x.clone().mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf().add_scalar(1.0).mul_scalar(0.5);
    x * normal
}

/// Multiplies by the stored derivative.
#[derive(Debug)]
struct Gelu<T>(PhantomData<T>);

impl<T: Float> Backward<Flex, 1> for Gelu<T> {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let slope = ops.state;
        values_mut::<T>(&mut gradient).iter_mut().zip(values::<T>(&slope)).for_each(|(g, s)| *g *= *s);
        give_back::<T>(slope);
        if let [Some(parent)] = ops.parents {
            grads.register::<Flex>(parent.id, gradient);
        }
    }
}

fn on_cpu(x: &Tensor<3>) -> Option<Tensor<3>> {
    let shape = x.dims();
    if !x.device().is_autodiff() {
        let x = primitive(x.clone())?;
        return with_float!(x.dtype(), T => {
            Tensor::from_primitive::<Flex>(tensor(farfield_kernels::gelu::<T>(values(&x), false).0, &shape))
        });
    }
    let x = x.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
    let node = x.node();
    let x = contiguous(x.into_primitive());
    with_float!(x.dtype(), T => {
        let (y, slope) = farfield_kernels::gelu::<T>(values(&x), true);
        let y = tensor(y, &shape);
        let prepared = Gelu::<T>(PhantomData).prepare::<NoCheckpointing>([node]).compute_bound().stateful();
        Tensor::from_primitive::<Autodiff<Flex>>(match (prepared, slope) {
            (OpsKind::Tracked(prepared), Some(slope)) => prepared.finish(tensor(slope, &shape), y),
            (OpsKind::Tracked(_), None) => unreachable!("the derivative was asked for"),
            (OpsKind::UnTracked(prepared), _) => prepared.finish(y),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    #[test]
    fn the_kernel_and_tensor_operations_agree() {
        let values: Vec<f64> = (0..60).map(|i| 5.0 * (i as f64 * 0.7).sin()).collect();
        let device = Device::flex().autodiff();
        let x = || {
            let data = TensorData::new(values.clone(), [3, 4, 5]);
            Tensor::<3>::from_data(data, (&device, DType::F64)).require_grad()
        };
        let both = [gelu, by_tensor_ops].map(|f| {
            let x = x();
            let y = f(x.clone());
            let loss = (y.clone() * y.clone()).sum();
            let gradient = x.grad(&loss.backward()).unwrap();
            (y.into_data().try_to_vec::<f64>().unwrap(), gradient.into_data().try_to_vec::<f64>().unwrap())
        });
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-13);
        assert!(near(&both[0].0, &both[1].0) && near(&both[0].1, &both[1].1));
        let plain = Tensor::<3>::from_data(TensorData::new(values.clone(), [3, 4, 5]), (&Device::flex(), DType::F64));
        assert!(near(&gelu(plain).into_data().try_to_vec::<f64>().unwrap(), &both[1].0));
    }
}
