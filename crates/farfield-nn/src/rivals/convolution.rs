//! Convolutions with `(2 r + 1)^d` kernels on grids of one, two and three dimensions.
//!
//! On the CPU a kernel ([`farfield_kernels::GridMap`]). Elsewhere one matrix product: the field and its `(2 r + 1)^d - 1` shifts are stacked as channels,
//! which takes room for as many copies of the field. Beyond the ends of the grid are zeros, or the other end. Cost: `(2 r + 1)^d w_in w_out` multiply-adds a
//! point.

use burn::module::Module;
use burn::tensor::Tensor;

use super::dense::Dense;
use super::grid_linear;
use super::initial::Initial;

/// A convolution that keeps the grid, with bias.
#[derive(Module, Debug)]
pub struct Convolution {
    /// Acts on the stacked shifts, each axis from -r to r, the last axis outermost.
    kernel: Dense,
    #[module(skip)]
    grid: Vec<usize>,
    #[module(skip)]
    reach: usize,
    #[module(skip)]
    periodic: bool,
}

impl Convolution {
    /// Three points along every axis, zeros beyond the grid. Kernel and bias uniform in `+-1/sqrt(channels_in 3^d)`.
    pub(crate) fn new(grid: &[usize], channels_in: usize, channels_out: usize, initial: &mut Initial) -> Self {
        let stacked = channels_in * 3usize.pow(grid.len() as u32);
        Self { kernel: Dense::new(stacked, channels_out, initial), grid: grid.to_vec(), reach: 1, periodic: false }
    }

    /// `2 reach + 1` points along every axis. Glorot's uniform kernel, no bias at the start.
    pub(crate) fn glorot(
        grid: &[usize],
        (reach, periodic): (usize, bool),
        (channels_in, channels_out): (usize, usize),
        initial: &mut Initial,
    ) -> Self {
        let taps = (2 * reach + 1).pow(grid.len() as u32);
        let kernel = Dense::glorot_taps(channels_in, channels_out, taps, initial);
        Self { kernel, grid: grid.to_vec(), reach, periodic }
    }

    /// `[channels_in, batch, points]` to `[channels_out, batch, points]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        if !self.periodic || self.reach == 0 {
            return self.on_grid(x, &self.grid);
        }
        // The grid continued on all sides; of the result the middle.
        let mut grid = self.grid.clone();
        let mut z = x;
        for axis in 0..grid.len() {
            let n = grid[axis];
            z = along(z, &grid, axis, |z| {
                let ends = [z.clone().narrow(1, n - self.reach, self.reach), z.clone().narrow(1, 0, self.reach)];
                let [before, after] = ends;
                Tensor::cat(vec![before, z, after], 1)
            });
            grid[axis] += 2 * self.reach;
        }
        z = self.on_grid(z, &grid);
        for axis in 0..grid.len() {
            let n = self.grid[axis];
            z = along(z, &grid, axis, |z| z.narrow(1, self.reach, n));
            grid[axis] = n;
        }
        z
    }

    /// With zeros beyond the grid.
    fn on_grid(&self, x: Tensor<3>, grid: &[usize]) -> Tensor<3> {
        let (weight, bias) = self.kernel.parameters();
        match grid_linear::on_cpu(&x, &weight, &bias, grid, self.reach) {
            Some(y) => y,
            None => self.by_tensor_ops(x, grid),
        }
    }

    fn by_tensor_ops(&self, x: Tensor<3>, grid: &[usize]) -> Tensor<3> {
        let mut x = x;
        for (axis, &n) in grid.iter().enumerate() {
            let shifted = |first: usize| {
                along(x.clone(), grid, axis, |z| {
                    let [before, _, after] = z.dims();
                    let zeros = Tensor::zeros([before, self.reach, after], (&z.device(), z.dtype()));
                    Tensor::cat(vec![zeros.clone(), z, zeros], 1).narrow(1, first, n)
                })
            };
            x = Tensor::cat((0..=2 * self.reach).map(shifted).collect(), 0);
        }
        self.kernel.forward(x)
    }
}

/// `act` on the field with `axis` of its grid as the middle one of three axes.
fn along(x: Tensor<3>, grid: &[usize], axis: usize, act: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
    let [channels, batch, _] = x.dims();
    let before = channels * batch * grid[..axis].iter().product::<usize>();
    let after: usize = grid[axis + 1..].iter().product();
    let z = act(x.reshape([before, grid[axis], after]));
    let points = grid[..axis].iter().product::<usize>() * z.dims()[1] * after;
    z.reshape([channels, batch, points])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    #[test]
    fn it_is_a_sum_over_neighbours() {
        let device = Device::flex();
        for (grid, reach, periodic) in
            [([3, 4], 1, false), ([3, 4], 1, true), ([3, 4], 2, false), ([5, 4], 3, true), ([1, 6], 0, true)]
        {
            let initial = &mut Initial::new(1, &device, DType::F64);
            let convolution = match (reach, periodic) {
                (1, false) => Convolution::new(&grid, 2, 1, initial),
                _ => Convolution::glorot(&grid, (reach, periodic), (2, 1), initial),
            };
            let points = grid[0] * grid[1];
            let values: Vec<f64> = (0..2 * 3 * points).map(|i| (0.8 * i as f64).cos()).collect();
            let x = Tensor::<3>::from_data(TensorData::new(values.clone(), [2, 3, points]), (&device, DType::F64));
            let y = convolution.forward(x.clone()).into_data().try_to_vec::<f64>().unwrap();
            let parameters = convolution.kernel.weights();
            let (n, r) = (grid.map(|n| n as i64), reach as i64);
            let width = 2 * r + 1;
            for (b, i, j) in (0..3).flat_map(|b| (0..n[0]).flat_map(move |i| (0..n[1]).map(move |j| (b, i, j)))) {
                let mut sum = parameters.1[0];
                for (di, dj) in (-r..=r).flat_map(|di| (-r..=r).map(move |dj| (di, dj))) {
                    let (mut k, mut l) = (i + di, j + dj);
                    if periodic {
                        (k, l) = (k.rem_euclid(n[0]), l.rem_euclid(n[1]));
                    }
                    if (0..n[0]).contains(&k) && (0..n[1]).contains(&l) {
                        for channel in 0..2 {
                            // Stacked: the shift of the last axis is the slowest, then that of the first, then the channel.
                            let at = ((dj + r) * width + (di + r)) * 2 + channel;
                            let value = values[((channel * 3 + b) * n[0] * n[1] + k * n[1] + l) as usize];
                            sum += parameters.0[at as usize] * value;
                        }
                    }
                }
                assert!((y[((b * n[0] + i) * n[1] + j) as usize] - sum).abs() < 1e-14);
            }
            if !periodic {
                let stacked = convolution.by_tensor_ops(x, &grid).into_data().try_to_vec::<f64>().unwrap();
                assert!(y.iter().zip(stacked).all(|(a, b)| (a - b).abs() < 1e-14));
            }
        }
    }
}
