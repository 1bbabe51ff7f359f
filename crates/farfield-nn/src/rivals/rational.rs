//! Rational activations (Boulle, Nakatsukasa & Townsend 2020): a quotient of a cubic and a quadratic polynomial with trainable coefficients.
//!
//! `r(x) = (p_3 x^3 + p_2 x^2 + p_1 x + p_0) / (q_2 x^2 + q_1 x + q_0)`, one set of seven numbers a layer, which starts as an approximation of the
//! ReLU, `(1.1915 x^3 + 1.5957 x^2 + 0.5 x + 0.0218) / (2.383 x^2 + 1)`. The denominator may get zeros while it is trained: a loss that
//! is not finite then stops the run.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Autodiff, Flex};
use burn::module::{Module, Param};
use burn::tensor::{Bytes, Tensor};
use farfield_kernels::{RationalCoefficients, rational, rational_backward};

use super::initial::Initial;
use crate::cpu_tensor::{Float, contiguous, primitive, tensor, values, with_float};

/// `p_3 .. p_0` of the start.
const NUMERATOR: [f64; 4] = [1.1915, 1.5957, 0.5, 0.0218];
/// `q_2 .. q_0` of the start.
const DENOMINATOR: [f64; 3] = [2.383, 0.0, 1.0];

/// The activation.
#[derive(Module, Debug)]
pub struct Rational {
    /// Highest power first.
    numerator: Param<Tensor<1>>,
    denominator: Param<Tensor<1>>,
}

impl Rational {
    pub(crate) fn new(initial: &Initial) -> Self {
        Self { numerator: initial.values([4], &NUMERATOR), denominator: initial.values([3], &DENOMINATOR) }
    }

    /// `r` of every number. On the CPU one pass forward and one back.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match on_cpu(&x, &self.numerator.val(), &self.denominator.val()) {
            Some(y) => y,
            None => self.by_tensor_ops(x),
        }
    }

    fn by_tensor_ops(&self, x: Tensor<3>) -> Tensor<3> {
        horner(self.numerator.val(), &x) / horner(self.denominator.val(), &x)
    }
}

/// Parents: input, numerator, denominator.
#[derive(Debug)]
struct OnCpu<T>(PhantomData<T>);

impl<T: Float> Backward<Flex, 3> for OnCpu<T> {
    type State = (FlexTensor, RationalCoefficients);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let (x, coefficients) = ops.state;
        let (dx, sums) =
            rational_backward::<T>(&coefficients, values(&x), values(&dy)).expect("the gradient of a value is as long");
        let coefficient_tensor = |sums: &[f64]| {
            let sums: Vec<T> = sums.iter().map(|&sum| T::from_f64(sum)).collect();
            let layout = Layout::contiguous(vec![sums.len()].into());
            FlexTensor::new(Bytes::from_elems(sums), layout, T::dtype())
        };
        let shape = x.layout().shape().to_vec();
        let gradients = [tensor(dx, &shape), coefficient_tensor(&sums[..4]), coefficient_tensor(&sums[4..])];
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

fn coefficients<T: Float>(numerator: &FlexTensor, denominator: &FlexTensor) -> Option<RationalCoefficients> {
    let both = values::<T>(numerator).iter().chain(values::<T>(denominator));
    both.map(|c| c.to_f64()).collect::<Vec<f64>>().try_into().ok()
}

/// The fused activation; `None` on another device or in another precision.
fn on_cpu(x: &Tensor<3>, numerator: &Tensor<1>, denominator: &Tensor<1>) -> Option<Tensor<3>> {
    let shape = x.dims();
    let differentiable = x.device().is_autodiff();
    if [numerator, denominator].iter().any(|c| c.device().is_autodiff() != differentiable) {
        return None;
    }
    if !differentiable {
        let (x, p, q) = (primitive(x.clone())?, primitive(numerator.clone())?, primitive(denominator.clone())?);
        return with_float!(x.dtype(), T => {
            let y = rational::<T>(&coefficients::<T>(&p, &q)?, values(&x));
            Tensor::from_primitive::<Flex>(tensor(y, &shape))
        });
    }
    let x = x.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
    let p = numerator.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
    let q = denominator.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
    let nodes = [x.node(), p.node(), q.node()];
    let x = contiguous(x.into_primitive());
    let (p, q) = (contiguous(p.into_primitive()), contiguous(q.into_primitive()));
    with_float!(x.dtype(), T => {
        let coefficients = coefficients::<T>(&p, &q)?;
        let y = tensor(rational::<T>(&coefficients, values(&x)), &shape);
        Tensor::from_primitive::<Autodiff<Flex>>(
            match OnCpu::<T>(PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish((x, coefficients), y),
                OpsKind::UnTracked(prepared) => prepared.finish(y),
            },
        )
    })
}

/// The polynomial with these coefficients, highest power first.
fn horner(coefficients: Tensor<1>, x: &Tensor<3>) -> Tensor<3> {
    let [count] = coefficients.dims();
    let coefficient = |i: usize| coefficients.clone().narrow(0, i, 1).reshape([1, 1, 1]);
    let first = x.clone() * coefficient(0) + coefficient(1);
    (2..count).fold(first, |sum, i| sum * x.clone() + coefficient(i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    #[test]
    fn it_starts_near_the_relu() {
        let device = Device::flex();
        let rational = Rational::new(&Initial::new(1, &device, DType::F64));
        let x = [-1.0f64, -0.5, 0.0, 0.3, 1.0];
        let tensor = Tensor::<3>::from_data(TensorData::new(x.to_vec(), [1, 1, 5]), (&device, DType::F64));
        let y = rational.forward(tensor).into_data().try_to_vec::<f64>().unwrap();
        for (x, y) in x.iter().zip(y) {
            let expected = (1.1915 * x.powi(3) + 1.5957 * x * x + 0.5 * x + 0.0218) / (2.383 * x * x + 1.0);
            assert!((y - expected).abs() < 1e-14);
            assert!((y - x.max(0.0)).abs() < 0.03);
        }
    }

    #[test]
    fn the_kernel_and_tensor_operations_agree() {
        let device = Device::flex().autodiff();
        let rational = Rational::new(&Initial::new(1, &device, DType::F64));
        let numbers: Vec<f64> = (0..60).map(|i| 3.0 * (i as f64 * 0.7).sin()).collect();
        let both = [Rational::forward, Rational::by_tensor_ops].map(|f| {
            let data = TensorData::new(numbers.clone(), [3, 4, 5]);
            let x = Tensor::<3>::from_data(data, (&device, DType::F64)).require_grad();
            let y = f(&rational, x.clone());
            let gradients = (y.clone() * y.clone()).sum().backward();
            let parts = [y.reshape([-1]), x.grad(&gradients).unwrap().reshape([-1]).autodiff()];
            let coefficients = [&rational.numerator, &rational.denominator].map(|p| p.val().grad(&gradients).unwrap());
            parts
                .into_iter()
                .chain(coefficients.map(Tensor::autodiff))
                .flat_map(|t: Tensor<1>| t.into_data().iter::<f64>().collect::<Vec<f64>>())
                .collect::<Vec<f64>>()
        });
        assert_eq!(both[0].len(), 60 + 60 + 7);
        for (a, b) in both[0].iter().zip(&both[1]) {
            assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} {b}");
        }
    }
}
