//! The discrete sine transform of type I along every axis of a box.
//!
//! Fields live on the points i/n, i = 0..n-1, of each axis; index 0 is the boundary, where they
//! vanish, and x = 1 is not stored. Along an axis: `X_k = sum_{i=1}^{n-1} x_i sin(pi i k / n)`, k =
//! 1..n-1, without normalisation, so that twice the transform is n/2 times the field per axis. Cost
//! O(n^d log n), a few lines of scratch.
//!
//! Two lines a and b are the real and imaginary part of one complex Fourier transform of length 2n,
//! after odd extension: `F_k = 2 B_k - 2i A_k`. That takes half the time of one transform a line.
//! (rustdct's DST-I does one a line, and in 0.7.1 it reads two entries of its scratch that it never
//! sets; with scratch that is used again, an error there grows from call to call.)

use std::ops::Range;
use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// Lines gathered at once: one cache line of f64 where the lines lie side by side.
const LINES: usize = 8;

/// A planned sine transform for fields of n^d numbers. Cloning shares the plan.
#[derive(Clone)]
pub struct SineTransform {
    axes: usize,
    n: usize,
    fourier: Arc<dyn Fft<f64>>,
}

/// Lines to transform: point i of line l is at `base + l * across + i * along`.
struct Lines {
    base: usize,
    lines: Range<usize>,
    across: usize,
    along: usize,
}

impl SineTransform {
    /// Plans the transform of fields with `axes` >= 1 axes of `n` >= 2 points each.
    pub fn new(axes: usize, n: usize) -> Self {
        let fourier = FftPlanner::new().plan_fft_forward(2 * n);
        SineTransform { axes, n, fourier }
    }

    /// Number of axes.
    pub fn axes(&self) -> usize {
        self.axes
    }

    /// Points an axis.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Numbers in a field, n^d.
    pub fn field_len(&self) -> usize {
        self.n.pow(self.axes as u32)
    }

    /// The factor `(2/n)^d` that makes the transform its own inverse.
    pub fn inverse_factor(&self) -> f64 {
        (2.0 / self.n as f64).powi(self.axes as i32)
    }

    /// Transforms the interior of a field in place; the boundary (index 0 along any axis) is
    /// neither read nor written.
    ///
    /// # Panics
    /// If the field does not have n^d numbers.
    pub fn apply(&self, field: &mut [f64]) {
        assert_eq!(field.len(), self.field_len(), "length of the field");
        let last = self.axes - 1;
        let stride = |axis: usize| self.n.pow((last - axis) as u32);
        let mut waves = vec![Complex::default(); LINES / 2 * 2 * self.n];
        let mut scratch = vec![Complex::default(); self.fourier.get_inplace_scratch_len()];
        for axis in 0..self.axes {
            // Blocks of lines lie along the last axis, or the one before it where the lines
            // themselves do.
            let block_axis = if axis < last { Some(last) } else { last.checked_sub(1) };
            let mut bases = vec![0];
            for other in (0..self.axes).filter(|&a| a != axis && Some(a) != block_axis) {
                let step = stride(other);
                bases = bases.iter().flat_map(|base| (1..self.n).map(move |i| base + i * step)).collect();
            }
            let (all, across) = match block_axis {
                Some(axis) => (1..self.n, stride(axis)),
                None => (0..1, 0),
            };
            for base in bases {
                for first in all.clone().step_by(LINES) {
                    let lines = Lines { base, lines: first..all.end.min(first + LINES), across, along: stride(axis) };
                    self.apply_to_lines(field, lines, &mut waves, &mut scratch);
                }
            }
        }
    }

    fn apply_to_lines(&self, field: &mut [f64], at: Lines, waves: &mut [Complex<f64>], scratch: &mut [Complex<f64>]) {
        let period = 2 * self.n;
        let pairs = at.lines.len().div_ceil(2);
        let waves = &mut waves[..pairs * period];
        for wave in waves.chunks_exact_mut(period) {
            (wave[0], wave[self.n]) = (Complex::default(), Complex::default());
        }
        for i in 1..self.n {
            let point = at.base + i * at.along;
            let mut lines = at.lines.clone();
            for wave in waves.chunks_exact_mut(period) {
                let mut next = || lines.next().map_or(0.0, |l| field[point + l * at.across]);
                let value = Complex::new(next(), next());
                wave[i] = value;
                wave[period - i] = -value;
            }
        }
        self.fourier.process_with_scratch(waves, scratch);
        for i in 1..self.n {
            let point = at.base + i * at.along;
            let mut lines = at.lines.clone();
            for wave in waves.chunks_exact(period) {
                for value in [-0.5 * wave[i].im, 0.5 * wave[i].re] {
                    if let Some(l) = lines.next() {
                        field[point + l * at.across] = value;
                    }
                }
            }
        }
    }

    /// Calls `visit(wave numbers, value)` for every interior entry of a field, in storage order,
    /// and sets the boundary to zero.
    ///
    /// # Panics
    /// If the field does not have n^d numbers.
    pub fn for_each_mode(&self, field: &mut [f64], mut visit: impl FnMut(&[usize], &mut f64)) {
        assert_eq!(field.len(), self.field_len(), "length of the field");
        let n = self.n;
        let last = self.axes - 1;
        let mut k = vec![0; self.axes];
        for (row, line) in field.chunks_exact_mut(n).enumerate() {
            let mut rest = row;
            for axis in (0..last).rev() {
                k[axis] = rest % n;
                rest /= n;
            }
            if k[..last].contains(&0) {
                line.fill(0.0);
                continue;
            }
            line[0] = 0.0;
            for (i, value) in line.iter_mut().enumerate().skip(1) {
                k[last] = i;
                visit(&k, value);
            }
        }
    }
}
