//! Training objectives: squared error summed or averaged over the grid, and the term of theorem 2.3.

use burn::tensor::Tensor;

use crate::config::LossKind;
use crate::cpu_loss;
use crate::model::Model;

/// Squared error between two tensors `[batch, channel, points]`, as one number `[1]`.
///
/// [`LossKind::Sum`]: `1/batch sum_b ||prediction_b - target_b||_2^2` (appendix G). [`LossKind::Mean`]: the mean over
/// everything, that is the former divided by `channels x points`.
pub fn squared_error(kind: LossKind, prediction: Tensor<3>, target: Tensor<3>) -> Tensor<1> {
    let [batch, channels, points] = prediction.dims();
    let terms = match kind {
        LossKind::Sum => batch,
        LossKind::Mean => batch * channels * points,
    };
    let scale = 1.0 / terms as f64;
    if let Some(loss) = cpu_loss::forward(&prediction, &target, scale) {
        return loss;
    }
    (prediction - target).square().sum().mul_scalar(scale)
}

/// `lambda/2 sum_i (slope_i - 1)^2` over the model's slopes (theorem 2.3); `None` if `lambda` is 0 or there are
/// no slopes.
pub fn slope_penalty<M: Model>(lambda: f64, model: &M) -> Option<Tensor<1>> {
    if lambda == 0.0 {
        return None;
    }
    let term = |slope: Tensor<1>| slope.sub_scalar(1.0).square().mul_scalar(0.5 * lambda);
    model.slope_parameters().into_iter().map(term).reduce(|a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    #[test]
    fn sum_and_mean_of_a_worked_example() {
        let device = Device::flex();
        let tensor = |v: Vec<f64>| Tensor::<3>::from_data(TensorData::new(v, [2, 1, 3]), (&device, DType::F64));
        let x = tensor(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let y = tensor(vec![1.0, 0.0, 3.0, 4.0, 5.0, 3.0]);
        let value = |kind| squared_error(kind, x.clone(), y.clone()).into_scalar::<f64>();
        assert_eq!(value(LossKind::Sum), 6.5);
        assert!((value(LossKind::Mean) - 13.0 / 6.0).abs() < 1e-15);
    }
}
