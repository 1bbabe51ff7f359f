//! Fourier coefficients of real, doubly periodic fields, and pointwise products of fields that are
//! known by their coefficients (the pseudo-spectral method).
//!
//! A field lives on n x n points, the last axis fastest. Its coefficients are `c_k = n^-2 sum_x u(x)
//! exp(-2 pi i k.x)` with x in units of the period, so that `u(x) = sum_k c_k exp(2 pi i k.x)` and
//! c_0 is the mean. Only the wave numbers with `|k_0|, |k_1| <= K`, `3 K < n`, are kept: products of
//! two fields are then exact on the wave numbers kept (the 2/3 rule; Orszag, J. Atmos. Sci. 28, 1971).
//! Products of three are not, their wave numbers above 2 K fold back.
//!
//! A real field has `c_{-k} = conj(c_k)`, so the half with `k_1 >= 0` is stored: K + 1 lines of 2K +
//! 1 numbers, k_0 = 0, 1, .., K, -K, .., -1 along a line. Of the line k_1 = 0, which holds each pair
//! k, -k twice, only the part that belongs to a real field counts.
//!
//! Two real fields, or two rows of one, are the real and imaginary part of one complex transform. A
//! product of two fields takes 2 (K + 1) lines and n rows there and K + 1 lines and n/2 rows back:
//! about three quarters of two complex transforms of n^2 points. Nothing is allocated.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// Rows handled at once: the block stays in the first-level cache.
const ROWS: usize = 8;
/// Numbers between two lines, so that equal places of the lines do not fall on the same cache set.
const GAP: usize = 4;

/// Planned transforms of n x n real fields. Cloning shares the plans.
#[derive(Clone)]
pub struct Fourier2d {
    n: usize,
    cutoff: usize,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

/// Buffers that the transforms work in; one for each thread.
pub struct Fourier2dScratch {
    /// Lines along the first axis, one for each k_1, of each of two fields.
    lines: [Vec<Complex<f64>>; 2],
    /// A block of rows along the last axis.
    rows: Vec<Complex<f64>>,
    /// Pairs of these rows.
    pairs: Vec<Complex<f64>>,
    inner: Vec<Complex<f64>>,
}

impl Fourier2d {
    /// Plans the transforms.
    ///
    /// # Panics
    /// If `n` is odd or less than 4.
    pub fn new(n: usize) -> Self {
        assert!(n >= 4 && n.is_multiple_of(2), "n = {n} must be even and at least 4");
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(n), planner.plan_fft_inverse(n));
        Fourier2d { n, cutoff: (n - 1) / 3, forward, inverse }
    }

    /// Points an axis.
    pub fn n(&self) -> usize {
        self.n
    }

    /// K, the highest wave number kept along an axis.
    pub fn cutoff(&self) -> usize {
        self.cutoff
    }

    /// Numbers in a field, n^2.
    pub fn field_len(&self) -> usize {
        self.n * self.n
    }

    /// Numbers in a spectrum, (K + 1)(2K + 1).
    pub fn spectrum_len(&self) -> usize {
        (self.cutoff + 1) * self.line_len()
    }

    fn line_len(&self) -> usize {
        2 * self.cutoff + 1
    }

    /// The wave numbers (k_0, k_1) in the order of a spectrum.
    pub fn wave_numbers(&self) -> impl Iterator<Item = (i32, i32)> {
        let cutoff = self.cutoff as i32;
        (0..=cutoff).flat_map(move |k1| (0..=cutoff).chain(-cutoff..0).map(move |k0| (k0, k1)))
    }

    /// Place in a spectrum of the wave numbers (k_0, k_1), k_1 >= 0; `None` if they are not kept.
    pub fn place(&self, k0: i32, k1: i32) -> Option<usize> {
        let cutoff = self.cutoff as i32;
        let line = if k0 < 0 { k0 + 2 * cutoff + 1 } else { k0 };
        let kept = k0.abs() <= cutoff && (0..=cutoff).contains(&k1);
        kept.then(|| k1 as usize * self.line_len() + line as usize)
    }

    /// Buffers for the other methods.
    pub fn scratch(&self) -> Fourier2dScratch {
        let zeros = |len| vec![Complex::default(); len];
        let lines = (self.cutoff + 1) * (self.n + GAP);
        let inner = self.forward.get_inplace_scratch_len().max(self.inverse.get_inplace_scratch_len());
        Fourier2dScratch {
            lines: [zeros(lines), zeros(lines)],
            rows: zeros(ROWS * self.n),
            pairs: zeros(ROWS / 2 * self.n),
            inner: zeros(inner),
        }
    }

    /// The coefficients of a field; wave numbers above K are dropped.
    ///
    /// # Panics
    /// If a buffer has not the length of a field or spectrum.
    pub fn forward(&self, field: &[f64], spectrum: &mut [Complex<f64>], scratch: &mut Fourier2dScratch) {
        assert_eq!(field.len(), self.field_len(), "length of the field");
        let Fourier2dScratch { lines: [lines, _], pairs, inner, .. } = scratch;
        for (block, field) in field.chunks(ROWS * self.n).enumerate() {
            let pairs = &mut pairs[..field.len() / 2];
            for (pair, two) in pairs.chunks_exact_mut(self.n).zip(field.chunks_exact(2 * self.n)) {
                let (even, odd) = two.split_at(self.n);
                for ((value, &a), &b) in pair.iter_mut().zip(even).zip(odd) {
                    *value = Complex::new(a, b);
                }
            }
            self.forward.process_with_scratch(pairs, inner);
            self.scatter_pairs(pairs, block * ROWS, lines);
        }
        self.lines_to_spectrum(lines, spectrum, inner);
    }

    /// The two fields with these coefficients.
    ///
    /// # Panics
    /// If a buffer has not the length of a field or spectrum.
    pub fn inverse(&self, spectra: [&[Complex<f64>]; 2], fields: [&mut [f64]; 2], scratch: &mut Fourier2dScratch) {
        let [a, b] = fields;
        assert_eq!([a.len(), b.len()], [self.field_len(); 2], "length of the fields");
        self.spectra_to_lines(spectra, scratch);
        let Fourier2dScratch { lines, rows, inner, .. } = scratch;
        let size = ROWS * self.n;
        for (block, (a, b)) in a.chunks_mut(size).zip(b.chunks_mut(size)).enumerate() {
            let rows = &mut rows[..a.len()];
            self.gather(lines, block * ROWS, rows);
            self.inverse.process_with_scratch(rows, inner);
            for ((value, a), b) in rows.iter().zip(a).zip(b) {
                (*a, *b) = (value.re, value.im);
            }
        }
    }

    /// The field with these coefficients.
    ///
    /// # Panics
    /// If a buffer has not the length of a field or spectrum.
    pub fn inverse_one(&self, spectrum: &[Complex<f64>], field: &mut [f64], scratch: &mut Fourier2dScratch) {
        assert_eq!(field.len(), self.field_len(), "length of the field");
        self.spectra_to_lines([spectrum, spectrum], scratch);
        let Fourier2dScratch { lines, rows, inner, .. } = scratch;
        for (block, field) in field.chunks_mut(ROWS * self.n).enumerate() {
            let rows = &mut rows[..field.len()];
            self.gather(lines, block * ROWS, rows);
            self.inverse.process_with_scratch(rows, inner);
            for (value, field) in rows.iter().zip(field) {
                *field = value.re;
            }
        }
    }

    /// The coefficients of `f(a(x), b(x))` for the two fields a, b with coefficients `spectra`.
    /// `f` is called for the points in storage order.
    ///
    /// # Panics
    /// If a buffer has not the length of a spectrum.
    pub fn product(
        &self,
        spectra: [&[Complex<f64>]; 2],
        out: &mut [Complex<f64>],
        scratch: &mut Fourier2dScratch,
        mut f: impl FnMut(f64, f64) -> f64,
    ) {
        self.spectra_to_lines(spectra, scratch);
        let Fourier2dScratch { lines, rows, pairs, inner } = scratch;
        for first in (0..self.n).step_by(ROWS) {
            let rows = &mut rows[..ROWS.min(self.n - first) * self.n];
            let pairs = &mut pairs[..rows.len() / 2];
            self.gather(lines, first, rows);
            self.inverse.process_with_scratch(rows, inner);
            for (pair, two) in pairs.chunks_exact_mut(self.n).zip(rows.chunks_exact(2 * self.n)) {
                let (even, odd) = two.split_at(self.n);
                for (value, at) in pair.iter_mut().zip(even) {
                    value.re = f(at.re, at.im);
                }
                for (value, at) in pair.iter_mut().zip(odd) {
                    value.im = f(at.re, at.im);
                }
            }
            self.forward.process_with_scratch(pairs, inner);
            // The lines of this block have been read, so the result may take their place.
            self.scatter_pairs(pairs, first, &mut lines[0]);
        }
        self.lines_to_spectrum(&mut lines[0], out, inner);
    }

    /// The coefficients of both results of `f(a(x), b(x))` for the two fields a, b with coefficients
    /// `spectra`. `f` is called for the points in storage order.
    ///
    /// # Panics
    /// If a buffer has not the length of a spectrum.
    pub fn two_products(
        &self,
        spectra: [&[Complex<f64>]; 2],
        out: [&mut [Complex<f64>]; 2],
        scratch: &mut Fourier2dScratch,
        mut f: impl FnMut(f64, f64) -> (f64, f64),
    ) {
        self.spectra_to_lines(spectra, scratch);
        let Fourier2dScratch { lines, rows, inner, .. } = scratch;
        for first in (0..self.n).step_by(ROWS) {
            let rows = &mut rows[..ROWS.min(self.n - first) * self.n];
            self.gather(lines, first, rows);
            self.inverse.process_with_scratch(rows, inner);
            for value in rows.iter_mut() {
                let (p, q) = f(value.re, value.im);
                *value = Complex::new(p, q);
            }
            self.forward.process_with_scratch(rows, inner);
            self.scatter(rows, first, lines);
        }
        for (lines, out) in lines.iter_mut().zip(out) {
            self.lines_to_spectrum(lines, out, inner);
        }
    }

    /// Transforms along the first axis, k_0 to x_0.
    fn spectra_to_lines(&self, spectra: [&[Complex<f64>]; 2], scratch: &mut Fourier2dScratch) {
        let kept = self.cutoff + 1;
        for (spectrum, lines) in spectra.iter().zip(&mut scratch.lines) {
            assert_eq!(spectrum.len(), self.spectrum_len(), "length of the spectrum");
            for (line, modes) in lines.chunks_exact_mut(self.n + GAP).zip(spectrum.chunks_exact(self.line_len())) {
                let line = &mut line[..self.n];
                let (low, high) = modes.split_at(kept);
                line[..kept].copy_from_slice(low);
                line[kept..self.n - self.cutoff].fill(Complex::default());
                line[self.n - self.cutoff..].copy_from_slice(high);
                self.inverse.process_with_scratch(line, &mut scratch.inner);
            }
        }
    }

    /// Transforms along the first axis, x_0 to k_0.
    fn lines_to_spectrum(&self, lines: &mut [Complex<f64>], spectrum: &mut [Complex<f64>], inner: &mut [Complex<f64>]) {
        assert_eq!(spectrum.len(), self.spectrum_len(), "length of the spectrum");
        let kept = self.cutoff + 1;
        for (line, modes) in lines.chunks_exact_mut(self.n + GAP).zip(spectrum.chunks_exact_mut(self.line_len())) {
            let line = &mut line[..self.n];
            self.forward.process_with_scratch(line, inner);
            let (low, high) = modes.split_at_mut(kept);
            low.copy_from_slice(&line[..kept]);
            high.copy_from_slice(&line[self.n - self.cutoff..]);
        }
    }

    /// Rows `first`, `first + 1`, ... of a + i b along k_1, from the halves with k_1 >= 0.
    fn gather(&self, lines: &[Vec<Complex<f64>>; 2], first: usize, rows: &mut [Complex<f64>]) {
        let (n, [a, b]) = (self.n, lines);
        let count = rows.len() / n;
        for (r, row) in rows.chunks_exact_mut(n).enumerate() {
            row[0] = Complex::new(a[first + r].re, b[first + r].re);
            row[self.cutoff + 1..n - self.cutoff].fill(Complex::default());
        }
        for k in 1..=self.cutoff {
            let start = k * (n + GAP) + first;
            let halves = a[start..start + count].iter().zip(&b[start..start + count]);
            for (row, (a, b)) in rows.chunks_exact_mut(n).zip(halves) {
                row[k] = Complex::new(a.re - b.im, a.im + b.re);
                row[n - k] = Complex::new(a.re + b.im, b.re - a.im);
            }
        }
    }

    /// Splits the transforms of p + i q: each row into a row of each field.
    fn scatter(&self, rows: &[Complex<f64>], first: usize, lines: &mut [Vec<Complex<f64>>; 2]) {
        let [p, q] = lines;
        let count = rows.len() / self.n;
        for k in 0..=self.cutoff {
            let start = k * (self.n + GAP) + first;
            let places = p[start..start + count].iter_mut().zip(&mut q[start..start + count]);
            for (row, (p, q)) in rows.chunks_exact(self.n).zip(places) {
                (*p, *q) = self.split(row, k);
            }
        }
    }

    /// Splits the transforms of p + i q: each row into two rows of one field.
    fn scatter_pairs(&self, pairs: &[Complex<f64>], first: usize, lines: &mut [Complex<f64>]) {
        let count = 2 * (pairs.len() / self.n);
        for k in 0..=self.cutoff {
            let start = k * (self.n + GAP) + first;
            for (row, two) in pairs.chunks_exact(self.n).zip(lines[start..start + count].chunks_exact_mut(2)) {
                (two[0], two[1]) = self.split(row, k);
            }
        }
    }

    /// Coefficient k of p and of q, from the transform of p + i q; divided by n^2.
    fn split(&self, row: &[Complex<f64>], k: usize) -> (Complex<f64>, Complex<f64>) {
        let half = 0.5 / (self.n * self.n) as f64;
        let (x, y) = (row[k], row[if k == 0 { 0 } else { self.n - k }]);
        (
            Complex::new(half * (x.re + y.re), half * (x.im - y.im)),
            Complex::new(half * (x.im + y.im), half * (y.re - x.re)),
        )
    }
}
