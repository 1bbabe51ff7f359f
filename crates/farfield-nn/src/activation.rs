//! LeakyReLU with a learnable slope (Neural-HSS, section 2.1): `x` where `x > 0`, `slope x` elsewhere.
//!
//! The slope is one number a layer, a tensor of shape `[1]`. At slope 1 the activation is the identity,
//! so a network can become exactly linear. The derivative by `x` at 0 is taken as the slope's side.
//! Cost: a few passes over the values.

use burn::tensor::Tensor;

/// `max(x, 0) + slope min(x, 0)`, entrywise. `slope` has shape `[1]`.
///
/// Gradients: by `x`, 1 where `x > 0` and the slope elsewhere; by the slope, the sum of `x` times the
/// incoming gradient where `x <= 0`.
pub fn leaky_relu<const D: usize>(x: Tensor<D>, slope: Tensor<1>) -> Tensor<D> {
    let negative = x.clone().lower_equal_scalar(0.0);
    let scaled = x.clone() * slope.reshape([1; D]);
    x.mask_where(negative, scaled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    #[test]
    fn values_and_gradients_by_hand() {
        let device = Device::flex().autodiff();
        let options = (&device, DType::F64);
        let x = Tensor::<2>::from_data(TensorData::new(vec![1.0, -2.0, 0.0, -0.5], [2, 2]), options).require_grad();
        let slope = Tensor::<1>::from_data(TensorData::new(vec![0.25], [1]), options).require_grad();
        let y = leaky_relu(x.clone(), slope.clone());
        assert_eq!(y.to_data().iter::<f64>().collect::<Vec<_>>(), [1.0, -0.5, 0.0, -0.125]);
        let grads = y.sum().backward();
        let dx = x.grad(&grads).unwrap().to_data();
        assert_eq!(dx.iter::<f64>().collect::<Vec<_>>(), [1.0, 0.25, 0.25, 0.25]);
        let ds = slope.grad(&grads).unwrap().to_data();
        assert_eq!(ds.iter::<f64>().collect::<Vec<_>>(), [-2.5]);
    }
}
