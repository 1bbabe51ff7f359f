//! Rational activations (Boulle, Nakatsukasa & Townsend 2020): a quotient of a cubic and a quadratic polynomial with trainable coefficients.
//!
//! `r(x) = (p_3 x^3 + p_2 x^2 + p_1 x + p_0) / (q_2 x^2 + q_1 x + q_0)`, one set of seven numbers a layer, which starts as an approximation of the
//! ReLU, `(1.1915 x^3 + 1.5957 x^2 + 0.5 x + 0.0218) / (2.383 x^2 + 1)`. The denominator may get zeros while it is trained: a loss that
//! is not finite then stops the run.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::initial::Initial;

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

    /// `r` of every number.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        horner(self.numerator.val(), &x) / horner(self.denominator.val(), &x)
    }
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
}
