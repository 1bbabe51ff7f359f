//! Random initial states of the Gray-Scott model.
//!
//! The Well names two kinds, "random Fourier series" and "randomly placed Gaussians" (Neural-HSS paper,
//! appendix F.6), without their parameters. Here:
//!
//! * Gaussians: `G(x) = sum_g a_g exp(-w_g |x - x_g|^2)`, periodic, with 10 to 100 terms, a_g uniform on
//!   (1, 3), w_g on (150, 300), x_g on the torus. A is `1 - G` and B another G, each mapped onto [0, 1] by
//!   a shift and a factor.
//! * Fourier series: `E(x) = exp(g(x) / s)`, g a Fourier series with independent normal coefficients at
//!   the wave numbers |k_0|, |k_1| <= 8 (period 2) and s its standard deviation. A is `1 - E` and B another
//!   E, mapped onto [0, 1] in the same way. (Where B is of the size of A everywhere, as when g itself is
//!   mapped onto [0, 1], B uses up A and dies out within a few hundred seconds, for five of the six patterns.)
//!
//! All fields are restricted to the wave numbers that the solver keeps before they are mapped.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use rustfft::num_complex::Complex;

use crate::fourier_2d::Fourier2d;

/// Highest wave number of the Fourier series.
const HIGHEST: i32 = 8;

/// The kinds of initial states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InitialState {
    Gaussians,
    FourierSeries,
}

impl InitialState {
    /// Draws A and B, n x n points each.
    pub fn draw(self, fourier: &Fourier2d, rng: &mut impl Rng, a: &mut [f64], b: &mut [f64]) {
        let mut scratch = fourier.scratch();
        let mut spectrum = vec![Complex::default(); fourier.spectrum_len()];
        for (sign, field) in [(-1.0, a), (1.0, b)] {
            match self {
                InitialState::Gaussians => {
                    gaussians(fourier.n(), rng, field);
                    fourier.forward(field, &mut spectrum, &mut scratch);
                }
                InitialState::FourierSeries => {
                    series(fourier, rng, &mut spectrum);
                    fourier.inverse_one(&spectrum, field, &mut scratch);
                    exponential(field);
                    fourier.forward(field, &mut spectrum, &mut scratch);
                }
            }
            fourier.inverse_one(&spectrum, field, &mut scratch);
            onto_unit_interval(sign, field);
        }
    }
}

/// A sum of Gaussians at random places.
fn gaussians(n: usize, rng: &mut impl Rng, field: &mut [f64]) {
    field.fill(0.0);
    let count = rng.random_range(10..=100);
    for _ in 0..count {
        let amplitude = rng.random_range(1.0..3.0);
        let width: f64 = rng.random_range(150.0..300.0);
        let [along_x, along_y] = [(); 2].map(|()| {
            let centre: f64 = rng.random_range(-1.0..1.0);
            (0..n).map(move |i| {
                let x = -1.0 + 2.0 * i as f64 / n as f64 - centre;
                // The nearest image; the next is at least 1 away, where exp(-150) vanishes.
                let distance = x - 2.0 * (0.5 * x).round();
                (-width * distance * distance).exp()
            })
        });
        let along_y: Vec<f64> = along_y.collect();
        for (row, x) in field.chunks_exact_mut(n).zip(along_x) {
            for (value, y) in row.iter_mut().zip(&along_y) {
                *value += amplitude * x * y;
            }
        }
    }
}

/// Independent normal coefficients up to the highest wave number, without the mean.
fn series(fourier: &Fourier2d, rng: &mut impl Rng, spectrum: &mut [Complex<f64>]) {
    spectrum.fill(Complex::default());
    for k1 in 0..=HIGHEST {
        for k0 in -HIGHEST..=HIGHEST {
            let (re, im) = (StandardNormal.sample(rng), StandardNormal.sample(rng));
            if let Some(place) = fourier.place(k0, k1) {
                spectrum[place] = Complex::new(re, im);
            }
        }
    }
    spectrum[0] = Complex::default();
}

/// `exp(g / s)` of a field g of mean 0 and standard deviation s.
fn exponential(field: &mut [f64]) {
    let variance = field.iter().map(|value| value * value).sum::<f64>() / field.len() as f64;
    let deviation = variance.sqrt().max(f64::MIN_POSITIVE);
    field.iter_mut().for_each(|value| *value = (*value / deviation).exp());
}

/// Maps a field, or its negative, onto [0, 1].
fn onto_unit_interval(sign: f64, field: &mut [f64]) {
    field.iter_mut().for_each(|value| *value *= sign);
    let (least, most) = field.iter().fold((f64::MAX, f64::MIN), |(l, m), &v| (l.min(v), m.max(v)));
    let range = (most - least).max(f64::MIN_POSITIVE);
    field.iter_mut().for_each(|value| *value = (*value - least) / range);
}
