//! The spectral convolution of the Fourier neural operator (Li et al. 2021, section 4): a complex matrix over channels for each of a few Fourier modes.
//!
//! ```text
//! y = F^-1( W_k (F x)_k for the modes k that are kept, 0 for the others )
//! ```
//!
//! Few modes are kept, so the transforms are products with the `K x n` matrices of the discrete Fourier transform along each axis: any length, any
//! device, differentiable. The last axis has modes `0 .. `, the others also negative ones. Real fields have conjugate-symmetric transforms: the modes
//! of the last axis are counted twice on the way back, but for 0 and (`n` even) `n/2`.
//!
//! Parameters: `K w_in w_out` complex numbers, `K` modes in all. Cost a sample: `2 w n^d K_1` for the first transform (fewer for the next),
//! `4 K w_in w_out` for the channels.

use std::f64::consts::TAU;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};

use super::initial::{Initial, beside, constant};

/// One layer, without bias.
#[derive(Module, Debug)]
pub struct SpectralConvolution {
    /// Real parts, `[modes, channels_in, channels_out]`.
    real: Param<Tensor<3>>,
    /// Imaginary parts.
    imaginary: Param<Tensor<3>>,
    #[module(skip)]
    transforms: Transforms,
}

/// Matrices of the transforms of one grid.
#[derive(Clone, Debug)]
pub(crate) struct Transforms {
    grid: Vec<usize>,
    /// Modes kept along each axis.
    modes: Vec<usize>,
    /// Last axis: `[n, 2 K]`, cosines and negative sines.
    analysis_last: Tensor<2>,
    /// Last axis: `[2 K, n]`.
    synthesis_last: Tensor<2>,
    /// The other axes: `[2 K, n]`, cosines over sines.
    analysis: Vec<Tensor<2>>,
    /// The other axes: `[2 n, K]`, cosines over sines, over `n`.
    synthesis: Vec<Tensor<2>>,
}

/// Entries of the matrices of the transforms of one grid, row-major, in the shapes of [`Transforms`].
pub(crate) struct TransformMatrices {
    pub(crate) grid: Vec<usize>,
    /// Modes kept along each axis.
    pub(crate) modes: Vec<usize>,
    pub(crate) analysis_last: Vec<f64>,
    pub(crate) synthesis_last: Vec<f64>,
    pub(crate) analysis: Vec<Vec<f64>>,
    pub(crate) synthesis: Vec<Vec<f64>>,
}

impl TransformMatrices {
    /// For the frequencies `modes[axis]`; those of the last axis are not negative.
    pub(crate) fn new(grid: &[usize], modes: &[Vec<i64>]) -> Self {
        let last = grid.len() - 1;
        let (n, kept) = (grid[last], &modes[last]);
        let angle = |n: usize, k: i64, x: usize| {
            // Exact reduction before the multiplication keeps large products accurate.
            TAU * (k * x as i64).rem_euclid(n as i64) as f64 / n as f64
        };
        let k = kept.len();
        let mut analysis_last = vec![0.0; n * 2 * k];
        let mut synthesis_last = vec![0.0; 2 * k * n];
        for x in 0..n {
            for (m, &frequency) in kept.iter().enumerate() {
                let (sin, cos) = angle(n, frequency, x).sin_cos();
                (analysis_last[x * 2 * k + m], analysis_last[x * 2 * k + k + m]) = (cos, -sin);
                let once = frequency == 0 || 2 * frequency == n as i64;
                let weight = if once { 1.0 } else { 2.0 } / n as f64;
                synthesis_last[m * n + x] = weight * cos;
                // The imaginary parts at 0 and n/2 do not count, as in any transform to real numbers.
                synthesis_last[(k + m) * n + x] = if once { 0.0 } else { -weight * sin };
            }
        }
        let (mut analysis, mut synthesis) = (Vec::new(), Vec::new());
        for (&n, kept) in grid[..last].iter().zip(modes) {
            let k = kept.len();
            let (mut a, mut s) = (vec![0.0; 2 * k * n], vec![0.0; 2 * n * k]);
            for x in 0..n {
                for (m, &frequency) in kept.iter().enumerate() {
                    let (sin, cos) = angle(n, frequency, x).sin_cos();
                    (a[m * n + x], a[(k + m) * n + x]) = (cos, sin);
                    (s[x * k + m], s[(n + x) * k + m]) = (cos / n as f64, sin / n as f64);
                }
            }
            analysis.push(a);
            synthesis.push(s);
        }
        let modes = modes.iter().map(Vec::len).collect();
        Self { grid: grid.to_vec(), modes, analysis_last, synthesis_last, analysis, synthesis }
    }
}

impl Transforms {
    /// For the frequencies `modes[axis]`; those of the last axis are not negative.
    pub fn new(grid: &[usize], modes: &[Vec<i64>], device: &Device, dtype: DType) -> Self {
        let TransformMatrices { grid, modes, analysis_last, synthesis_last, analysis, synthesis } =
            TransformMatrices::new(grid, modes);
        let last = grid.len() - 1;
        let (n, k) = (grid[last], modes[last]);
        let matrix = |shape, entries| constant(shape, entries, device, dtype);
        let axes = || grid.iter().zip(&modes);
        Self {
            analysis_last: matrix([n, 2 * k], analysis_last),
            synthesis_last: matrix([2 * k, n], synthesis_last),
            analysis: axes().zip(analysis).map(|((&n, &k), entries)| matrix([2 * k, n], entries)).collect(),
            synthesis: axes().zip(synthesis).map(|((&n, &k), entries)| matrix([2 * n, k], entries)).collect(),
            grid,
            modes,
        }
    }

    fn modes_in_all(&self) -> usize {
        self.modes.iter().product()
    }

    /// Real and imaginary parts of the modes of `[rows, points]`, each `[rows, modes]`.
    fn forward(&self, x: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let [rows, points] = x.dims();
        let last = self.grid.len() - 1;
        let (n, k) = (self.grid[last], self.modes[last]);
        let z = x.clone().reshape([rows * points / n, n]).matmul(beside(&self.analysis_last, &x));
        let (mut real, mut imaginary) = (z.clone().narrow(1, 0, k), z.narrow(1, k, k));
        let mut after = k;
        for axis in (0..last).rev() {
            let (n, k) = (self.grid[axis], self.modes[axis]);
            let before = rows * self.grid[..axis].iter().product::<usize>();
            let matrix = beside(&self.analysis[axis], &real).unsqueeze_dim::<3>(0);
            // (a + ib)(cos - i sin) = (a cos + b sin) + i (b cos - a sin).
            let [a, b] = [real, imaginary].map(|z| matrix.clone().matmul(z.reshape([before, n, after])));
            let (cos, sin) = (|z: &Tensor<3>| z.clone().narrow(1, 0, k), |z: &Tensor<3>| z.clone().narrow(1, k, k));
            let next = (cos(&a) + sin(&b), cos(&b) - sin(&a));
            after *= k;
            (real, imaginary) = (next.0.reshape([before, after]), next.1.reshape([before, after]));
        }
        let modes = self.modes_in_all();
        (real.reshape([rows, modes]), imaginary.reshape([rows, modes]))
    }

    /// The real field of `[rows, modes]`.
    fn inverse(&self, real: Tensor<2>, imaginary: Tensor<2>) -> Tensor<2> {
        let [rows, modes] = real.dims();
        let last = self.grid.len() - 1;
        let (mut real, mut imaginary) = (real, imaginary);
        let mut after = modes;
        let mut before = rows;
        for axis in 0..last {
            let (n, k) = (self.grid[axis], self.modes[axis]);
            after /= k;
            let matrix = beside(&self.synthesis[axis], &real).unsqueeze_dim::<3>(0);
            let [a, b] = [real, imaginary].map(|z| matrix.clone().matmul(z.reshape([before, k, after])));
            let (cos, sin) = (|z: &Tensor<3>| z.clone().narrow(1, 0, n), |z: &Tensor<3>| z.clone().narrow(1, n, n));
            let next = (cos(&a) - sin(&b), cos(&b) + sin(&a));
            before *= n;
            (real, imaginary) = (next.0.reshape([before, after]), next.1.reshape([before, after]));
        }
        let matrix = beside(&self.synthesis_last, &real);
        let y = Tensor::cat(vec![real.reshape([before, after]), imaginary.reshape([before, after])], 1).matmul(matrix);
        y.reshape([rows, self.grid.iter().product()])
    }
}

impl SpectralConvolution {
    /// Uniform in `0 .. 1 / (channels_in channels_out)`, real and imaginary parts, as the authors start.
    pub(crate) fn new(transforms: Transforms, channels_in: usize, channels_out: usize, initial: &mut Initial) -> Self {
        let shape = [transforms.modes_in_all(), channels_in, channels_out];
        let scale = 1.0 / (channels_in * channels_out) as f64;
        let real = initial.uniform(shape, 0.0, scale);
        let imaginary = initial.uniform(shape, 0.0, scale);
        Self { real, imaginary, transforms }
    }

    /// `[channels_in, batch, points]` to `[channels_out, batch, points]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [channels, batch, points] = x.dims();
        let [modes, _, out] = self.real.dims();
        let (a, b) = self.transforms.forward(x.reshape([batch * channels, points]));
        // A product for each mode: [modes, batch, channels].
        let by_mode = |z: Tensor<2>| z.reshape([channels, batch, modes]).permute([2, 1, 0]);
        let (a, b) = (by_mode(a), by_mode(b));
        let (c, d) = (self.real.val(), self.imaginary.val());
        let real = a.clone().matmul(c.clone()) - b.clone().matmul(d.clone());
        let imaginary = a.matmul(d) + b.matmul(c);
        let back = |z: Tensor<3>| z.permute([2, 1, 0]).reshape([out * batch, modes]);
        self.transforms.inverse(back(real), back(imaginary)).reshape([out, batch, points])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    /// All modes of a grid, as the axes need them.
    fn all_modes(grid: &[usize]) -> Vec<Vec<i64>> {
        let last = grid.len() - 1;
        let full = |n: usize| (0..n as i64).map(|k| if 2 * k >= n as i64 { k - n as i64 } else { k }).collect();
        let mut modes: Vec<Vec<i64>> = grid[..last].iter().map(|&n| full(n)).collect();
        modes.push((0..=grid[last] as i64 / 2).collect());
        modes
    }

    fn field(rows: usize, points: usize, device: &Device) -> Tensor<2> {
        let values: Vec<f64> = (0..rows * points).map(|i| (i as f64 * 0.7).sin() + 0.1 * (i % 3) as f64).collect();
        Tensor::from_data(TensorData::new(values, [rows, points]), (device, DType::F64))
    }

    #[test]
    fn all_modes_there_and_back_are_the_identity() {
        let device = Device::flex();
        for grid in [vec![8], vec![7], vec![6, 5], vec![4, 6], vec![3, 4, 5], vec![2, 2, 2]] {
            let transforms = Transforms::new(&grid, &all_modes(&grid), &device, DType::F64);
            let x = field(3, grid.iter().product(), &device);
            let (real, imaginary) = transforms.forward(x.clone());
            let error = (transforms.inverse(real, imaginary) - x).abs().max().into_scalar::<f64>();
            assert!(error < 1e-13, "{grid:?}: {error}");
        }
    }

    #[test]
    fn a_mode_is_the_sum_over_points() {
        let device = Device::flex();
        let (grid, modes) = (vec![5, 6], vec![vec![0, 1, -2], vec![0, 2]]);
        let transforms = Transforms::new(&grid, &modes, &device, DType::F64);
        let x = field(1, 30, &device);
        let values = x.to_data().try_to_vec::<f64>().unwrap();
        let (real, imaginary) = transforms.forward(x);
        let (real, imaginary) =
            (real.to_data().try_to_vec::<f64>().unwrap(), imaginary.to_data().try_to_vec::<f64>().unwrap());
        for (i, k) in modes[0].iter().enumerate() {
            for (j, l) in modes[1].iter().enumerate() {
                let mut sum = (0.0, 0.0);
                for (p, value) in values.iter().enumerate() {
                    let angle = TAU * (*k as f64 * (p / 6) as f64 / 5.0 + *l as f64 * (p % 6) as f64 / 6.0);
                    sum = (sum.0 + value * angle.cos(), sum.1 - value * angle.sin());
                }
                let at = i * 2 + j;
                assert!((real[at] - sum.0).abs() + (imaginary[at] - sum.1).abs() < 1e-12);
            }
        }
    }
}
