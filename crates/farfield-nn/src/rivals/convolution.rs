//! Convolutions with `3^d` kernels on grids of one, two and three dimensions.
//!
//! On the CPU a kernel ([`farfield_kernels::GridMap`]). Elsewhere one matrix product: the field and its `3^d - 1` shifts, with zeros beyond the ends of the
//! grid, are stacked as channels, which takes room for `3^d` copies of the field. Cost: `3^d w_in w_out` multiply-adds a point.

use burn::module::Module;
use burn::tensor::Tensor;

use super::dense::Dense;
use super::grid_linear;
use super::initial::Initial;

/// A convolution that keeps the grid, with bias.
#[derive(Module, Debug)]
pub struct Convolution {
    /// Acts on the stacked shifts, each axis by -1, 0 and 1, the last axis outermost.
    kernel: Dense,
    #[module(skip)]
    grid: Vec<usize>,
}

impl Convolution {
    /// Kernel and bias uniform in `+-1/sqrt(channels_in 3^d)`.
    pub(crate) fn new(grid: &[usize], channels_in: usize, channels_out: usize, initial: &mut Initial) -> Self {
        let stacked = channels_in * 3usize.pow(grid.len() as u32);
        Self { kernel: Dense::new(stacked, channels_out, initial), grid: grid.to_vec() }
    }

    /// `[channels_in, batch, points]` to `[channels_out, batch, points]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (weight, bias) = self.kernel.parameters();
        match grid_linear::on_cpu(&x, &weight, &bias, &self.grid, true) {
            Some(y) => y,
            None => self.by_tensor_ops(x),
        }
    }

    fn by_tensor_ops(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, batch, points] = x.dims();
        let mut x = x;
        let mut after = points;
        for &n in &self.grid {
            after /= n;
            let [channels, ..] = x.dims();
            let z = x.reshape([channels * batch * points / (n * after), n, after]);
            let zero = Tensor::zeros([z.dims()[0], 1, after], (&z.device(), z.dtype()));
            let down = Tensor::cat(vec![zero.clone(), z.clone().narrow(1, 0, n - 1)], 1);
            let up = Tensor::cat(vec![z.clone().narrow(1, 1, n - 1), zero], 1);
            let shifts = [down, z, up].map(|z| z.reshape([channels, batch, points]));
            x = Tensor::cat(shifts.to_vec(), 0);
        }
        self.kernel.forward(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    #[test]
    fn it_is_a_sum_over_neighbours() {
        let device = Device::flex();
        let grid = [3, 4];
        let convolution = Convolution::new(&grid, 2, 1, &mut Initial::new(1, &device, DType::F64));
        let values: Vec<f64> = (0..2 * 12).map(|i| (0.8 * i as f64).cos()).collect();
        let x = Tensor::<3>::from_data(TensorData::new(values.clone(), [2, 1, 12]), (&device, DType::F64));
        let y = convolution.forward(x.clone()).into_data().try_to_vec::<f64>().unwrap();
        let stacked = convolution.by_tensor_ops(x).into_data().try_to_vec::<f64>().unwrap();
        let parameters = convolution.kernel.weights();
        for (i, j) in (0..3i64).flat_map(|i| (0..4i64).map(move |j| (i, j))) {
            let mut sum = parameters.1[0];
            for (di, dj) in (-1..=1i64).flat_map(|di| (-1..=1i64).map(move |dj| (di, dj))) {
                let (k, l) = (i + di, j + dj);
                if (0..3).contains(&k) && (0..4).contains(&l) {
                    for channel in 0..2 {
                        // Stacked: the shift of the last axis is the slowest, then that of the first, then the channel.
                        let at = ((dj + 1) * 3 + (di + 1)) * 2 + channel;
                        sum += parameters.0[at as usize] * values[(channel * 12 + k * 4 + l) as usize];
                    }
                }
            }
            assert!((y[(i * 4 + j) as usize] - sum).abs() < 1e-14);
            assert!((stacked[(i * 4 + j) as usize] - sum).abs() < 1e-14);
        }
    }
}
