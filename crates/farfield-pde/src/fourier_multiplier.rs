//! Multiplication of a periodic field in the plane by a symbol: transform, multiply, transform back.
//!
//! Points i/n, i = 0..n-1 of each axis; waves `exp(2 pi i (a x + b y))`. Cost O(n^2 log n).

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// Planned transforms for fields of n x n numbers.
pub(crate) struct FourierMultiplier {
    n: usize,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

impl FourierMultiplier {
    pub(crate) fn new(n: usize) -> Self {
        let mut planner = FftPlanner::new();
        FourierMultiplier { n, forward: planner.plan_fft_forward(n), inverse: planner.plan_fft_inverse(n) }
    }

    /// Multiplies the wave with wave numbers (a, b), or minus them, by `symbol[a n + b]`; the symbol
    /// is real, and the same for (a, b) as for (n - a, b), (a, n - b) and (b, a).
    pub(crate) fn apply(&self, symbol: &[f64], field: &mut [f64]) {
        let mut waves: Vec<Complex<f64>> = field.iter().map(|&value| Complex::new(value, 0.0)).collect();
        let mut scratch = vec![Complex::default(); self.forward.get_inplace_scratch_len()];
        self.forward.process_with_scratch(&mut waves, &mut scratch);
        self.transpose(&mut waves);
        self.forward.process_with_scratch(&mut waves, &mut scratch);
        let factor = 1.0 / (self.n * self.n) as f64;
        for (wave, symbol) in waves.iter_mut().zip(symbol) {
            *wave *= factor * symbol;
        }
        scratch.resize(self.inverse.get_inplace_scratch_len(), Complex::default());
        self.inverse.process_with_scratch(&mut waves, &mut scratch);
        self.transpose(&mut waves);
        self.inverse.process_with_scratch(&mut waves, &mut scratch);
        for (value, wave) in field.iter_mut().zip(&waves) {
            *value = wave.re;
        }
    }

    fn transpose(&self, waves: &mut [Complex<f64>]) {
        for i in 0..self.n {
            for j in 0..i {
                waves.swap(i * self.n + j, j * self.n + i);
            }
        }
    }
}

/// The absolute value of the wave number that index `i` of n stands for.
pub(crate) fn wave_number(i: usize, n: usize) -> usize {
    i.min(n - i)
}
