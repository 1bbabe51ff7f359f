//! Affine maps of the numbers of every box: one map for all boxes (a convolution whose kernel is its stride, or of width one) or one map for each (a locally
//! connected layer).
//!
//! Fields are `[boxes, channels, batch]`, so that the maps of all boxes are one batched matrix product and a gather of boxes copies long runs. Cost:
//! `channels_in channels_out` multiply-adds a box.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::initial::Initial;

/// `y[i] = W_i x[i] + b_i`, or `y[i] = W x[i] + b`.
#[derive(Module, Debug)]
pub struct LocalMap {
    /// `[boxes or 1, channels_out, channels_in]`.
    weight: Param<Tensor<3>>,
    /// `[boxes or 1, channels_out]`.
    bias: Param<Tensor<2>>,
}

/// Sizes of a [`LocalMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapSize {
    /// Maps: as many as boxes, or 1.
    pub maps: usize,
    /// Boxes, or points of a box, whose channels stand one after the other in `x[i]`.
    pub taps: usize,
    /// Channels of each of them.
    pub channels_in: usize,
    /// Numbers of `y[i]`.
    pub channels_out: usize,
}

impl MapSize {
    /// Trainable numbers.
    pub fn parameters(&self) -> f64 {
        (self.taps as f64 * self.channels_in as f64 + 1.0) * self.channels_out as f64 * self.maps as f64
    }
}

impl LocalMap {
    /// Glorot's uniform weights, with the fans of a convolution of `taps` points for every map (those of a locally connected layer do not shrink with the number
    /// of boxes); no bias at the start.
    pub(crate) fn new(size: MapSize, initial: &mut Initial) -> Self {
        let MapSize { maps, taps, channels_in, channels_out } = size;
        let bound = (6.0 / ((channels_in + channels_out) as f64 * taps as f64)).sqrt();
        let weight = initial.uniform([maps, channels_out, taps * channels_in], -bound, bound);
        let bias = initial.values([maps, channels_out], &vec![0.0; maps * channels_out]);
        Self { weight, bias }
    }

    /// `[boxes, channels_in, batch]` to `[boxes, channels_out, batch]`, with the channels of all taps in `channels_in`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.weight.val().matmul(x) + self.bias.val().unsqueeze_dim(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    #[test]
    fn maps_are_shared_or_own() {
        let device = Device::flex();
        let (boxes, taps, channels_in, channels_out, batch) = (4, 3, 2, 5, 3);
        for maps in [1, boxes] {
            let size = MapSize { maps, taps, channels_in, channels_out };
            let mut map = LocalMap::new(size, &mut Initial::new(3, &device, DType::F64));
            assert_eq!(map.num_params() as f64, size.parameters());
            let bias: Vec<f64> = (0..maps * channels_out).map(|i| (0.9 * i as f64).cos()).collect();
            let data = TensorData::new(bias.clone(), [maps, channels_out]);
            map.bias = Param::from_tensor(Tensor::from_data(data, (&device, DType::F64)));
            let inputs = taps * channels_in;
            let values: Vec<f64> = (0..boxes * inputs * batch).map(|i| (0.7 * i as f64).sin()).collect();
            let x = Tensor::from_data(TensorData::new(values.clone(), [boxes, inputs, batch]), (&device, DType::F64));
            let y = map.forward(x).into_data().try_to_vec::<f64>().unwrap();
            let weight: Vec<f64> = map.weight.val().into_data().iter().collect();
            let bound = (6.0 / (taps * (channels_in + channels_out)) as f64).sqrt();
            assert!(weight.iter().all(|w| w.abs() <= bound));
            for (i, o, b) in
                (0..boxes).flat_map(|i| (0..channels_out).flat_map(move |o| (0..batch).map(move |b| (i, o, b))))
            {
                let own = if maps == 1 { 0 } else { i };
                let row = own * channels_out + o;
                let sum: f64 =
                    (0..inputs).map(|k| weight[row * inputs + k] * values[(i * inputs + k) * batch + b]).sum();
                assert!((y[(i * channels_out + o) * batch + b] - sum - bias[row]).abs() < 1e-14);
            }
        }
    }
}
