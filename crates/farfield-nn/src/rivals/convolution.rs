//! Convolutions with `3^d` kernels on grids of one, two and three dimensions.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::{conv1d, conv2d, conv3d};
use burn::tensor::ops::ConvOptions;

use super::initial::Initial;

/// Points a kernel has along each axis.
const WIDTH: usize = 3;

/// The kernel, by dimension of the grid.
#[derive(Module, Debug)]
enum Kernel {
    One(Param<Tensor<3>>),
    Two(Param<Tensor<4>>),
    Three(Param<Tensor<5>>),
}

/// A convolution that keeps the grid, with zeros beyond its ends, and bias.
#[derive(Module, Debug)]
pub struct Convolution {
    kernel: Kernel,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    grid: Vec<usize>,
}

impl Convolution {
    /// Kernel and bias uniform in `+-1/sqrt(channels_in 3^d)`. The grid has one, two or three axes.
    pub(crate) fn new(grid: &[usize], channels_in: usize, channels_out: usize, initial: &mut Initial) -> Self {
        let bound = 1.0 / ((channels_in * WIDTH.pow(grid.len() as u32)) as f64).sqrt();
        let kernel = match grid.len() {
            1 => Kernel::One(initial.uniform([channels_out, channels_in, WIDTH], -bound, bound)),
            2 => Kernel::Two(initial.uniform([channels_out, channels_in, WIDTH, WIDTH], -bound, bound)),
            _ => Kernel::Three(initial.uniform([channels_out, channels_in, WIDTH, WIDTH, WIDTH], -bound, bound)),
        };
        let bias = initial.uniform([channels_out], -bound, bound);
        Self { kernel, bias, grid: grid.to_vec() }
    }

    /// `[batch, channels_in, points]` to `[batch, channels_out, points]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, channels, points] = x.dims();
        let bias = Some(self.bias.val());
        let out = self.bias.dims()[0];
        match (&self.kernel, &self.grid[..]) {
            (Kernel::One(kernel), _) => conv1d(x, kernel.val(), bias, ConvOptions::new([1], [WIDTH / 2], [1], 1)),
            (Kernel::Two(kernel), &[n, m]) => {
                let options = ConvOptions::new([1; 2], [WIDTH / 2; 2], [1; 2], 1);
                let y = conv2d(x.reshape([batch, channels, n, m]), kernel.val(), bias, options);
                y.reshape([batch, out, points])
            }
            (Kernel::Three(kernel), &[n, m, l]) => {
                let options = ConvOptions::new([1; 3], [WIDTH / 2; 3], [1; 3], 1);
                let y = conv3d(x.reshape([batch, channels, n, m, l]), kernel.val(), bias, options);
                y.reshape([batch, out, points])
            }
            _ => unreachable!("the kernel was made for this grid"),
        }
    }
}
