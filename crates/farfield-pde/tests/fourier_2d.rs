//! Fourier transforms in the plane against sums over all points and all wave numbers.

use std::f64::consts::PI;

use farfield_pde::{Fourier2d, SampleKey, Stream};
use rand::RngExt;
use rustfft::num_complex::Complex;

type Spectrum = Vec<Complex<f64>>;

fn random_field(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = SampleKey { seed, stream: Stream::Test, index: 0 }.rng();
    (0..n * n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn wave(n: usize, k: (i32, i32), point: usize) -> Complex<f64> {
    let turns = (k.0 * (point / n) as i32 + k.1 * (point % n) as i32).rem_euclid(n as i32);
    Complex::from_polar(1.0, 2.0 * PI * f64::from(turns) / n as f64)
}

fn coefficient(n: usize, field: &[f64], k: (i32, i32)) -> Complex<f64> {
    let sum: Complex<f64> = field.iter().enumerate().map(|(point, value)| wave(n, k, point).conj() * *value).sum();
    sum / (n * n) as f64
}

fn spectrum_of(fourier: &Fourier2d, field: &[f64]) -> Spectrum {
    let mut spectrum = vec![Complex::new(9.0, 9.0); fourier.spectrum_len()];
    fourier.forward(field, &mut spectrum, &mut fourier.scratch());
    spectrum
}

/// A field without the wave numbers that are not kept.
fn kept(fourier: &Fourier2d, field: &[f64]) -> Vec<f64> {
    let spectrum = spectrum_of(fourier, field);
    let mut out = vec![9.0; field.len()];
    fourier.inverse_one(&spectrum, &mut out, &mut fourier.scratch());
    out
}

fn assert_close(what: &str, a: &[Complex<f64>], b: &[Complex<f64>]) {
    let distance = a.iter().zip(b).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
    assert!(a.len() == b.len() && distance < 1e-14, "{what}: {distance:e}");
}

#[test]
fn wave_numbers_are_those_below_a_third_and_know_their_place() {
    for (n, cutoff) in [(4, 1), (8, 2), (10, 3), (12, 3), (16, 5), (128, 42)] {
        let fourier = Fourier2d::new(n);
        assert_eq!((fourier.n(), fourier.cutoff(), fourier.field_len()), (n, cutoff, n * n));
        assert!(3 * cutoff < n && 3 * (cutoff + 1) >= n);
        let all: Vec<(i32, i32)> = fourier.wave_numbers().collect();
        assert_eq!(all.len(), fourier.spectrum_len());
        for (i, &(k0, k1)) in all.iter().enumerate() {
            assert_eq!(fourier.place(k0, k1), Some(i));
        }
        let outside = cutoff as i32 + 1;
        for k in [(0, -1), (0, outside), (outside, 0), (-outside, 1)] {
            assert_eq!(fourier.place(k.0, k.1), None);
        }
    }
}

#[test]
fn coefficients_are_the_sums_over_the_points() {
    // Rows come in blocks of eight: 4 and 8 are one block, 10 and 18 leave a rest.
    for n in [4, 8, 10, 18] {
        let fourier = Fourier2d::new(n);
        let field = random_field(n, 1);
        let expected: Spectrum = fourier.wave_numbers().map(|k| coefficient(n, &field, k)).collect();
        assert_close(&format!("n = {n}"), &spectrum_of(&fourier, &field), &expected);
    }
}

#[test]
fn fields_are_the_sums_over_the_wave_numbers() {
    for n in [4, 8, 10, 18] {
        let fourier = Fourier2d::new(n);
        let spectra = [2, 3].map(|seed| spectrum_of(&fourier, &random_field(n, seed)));
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * n]);
        fourier.inverse([&spectra[0], &spectra[1]], [&mut a, &mut b], &mut fourier.scratch());
        for (spectrum, field) in spectra.iter().zip([&a, &b]) {
            for (point, value) in field.iter().enumerate() {
                let sum: f64 = fourier
                    .wave_numbers()
                    .zip(spectrum)
                    .map(|(k, c)| (c * wave(n, k, point)).re * if k.1 == 0 { 1.0 } else { 2.0 })
                    .sum();
                assert!((sum - value).abs() < 1e-14, "n = {n}, point {point}");
            }
            let mut alone = vec![0.0; n * n];
            fourier.inverse_one(spectrum, &mut alone, &mut fourier.scratch());
            assert!(alone.iter().zip(field).all(|(a, b)| (a - b).abs() < 1e-14));
            assert_close("there and back", &spectrum_of(&fourier, field), spectrum);
        }
    }
}

/// All coefficients of a product on a grid so fine that nothing folds back.
#[test]
fn products_of_two_fields_are_exact_convolutions() {
    for n in [8, 10, 16] {
        let fourier = Fourier2d::new(n);
        let fields = [4, 5].map(|seed| kept(&fourier, &random_field(n, seed)));
        let spectra = [0, 1].map(|i| spectrum_of(&fourier, &fields[i]));
        let at = |i: usize, k: (i32, i32)| {
            let place = |k: (i32, i32)| fourier.place(k.0, k.1).map(|place| spectra[i][place]);
            if k.1 < 0 { place((-k.0, -k.1)).map(|c| c.conj()) } else { place(k) }.unwrap_or_default()
        };
        let range = fourier.cutoff() as i32;
        let convolution: Spectrum = fourier
            .wave_numbers()
            .map(|(k0, k1)| {
                let pairs = (-range..=range).flat_map(|m0| (-range..=range).map(move |m1| (m0, m1)));
                pairs.map(|m| at(0, m) * at(1, (k0 - m.0, k1 - m.1))).sum()
            })
            .collect();
        let mut scratch = fourier.scratch();
        let mut one = vec![Complex::default(); fourier.spectrum_len()];
        fourier.product([&spectra[0], &spectra[1]], &mut one, &mut scratch, |a, b| a * b);
        assert_close(&format!("n = {n}"), &one, &convolution);

        let (mut p, mut q) = (one.clone(), one.clone());
        fourier.two_products([&spectra[0], &spectra[1]], [&mut p, &mut q], &mut scratch, |a, b| (a * b, a - 3.0 * b));
        assert_close("first of two", &p, &convolution);
        let difference: Spectrum = spectra[0].iter().zip(&spectra[1]).map(|(a, b)| a - b * 3.0).collect();
        assert_close("second of two", &q, &difference);
    }
}

#[test]
fn functions_are_called_for_the_points_in_order() {
    let n = 10;
    let fourier = Fourier2d::new(n);
    let field = kept(&fourier, &random_field(n, 6));
    let spectrum = spectrum_of(&fourier, &field);
    let mut scratch = fourier.scratch();
    let (mut p, mut q) = (spectrum.clone(), spectrum.clone());
    let mut seen = Vec::new();
    fourier.product([&spectrum, &spectrum], &mut p, &mut scratch, |a, _| {
        seen.push(a);
        a
    });
    fourier.two_products([&spectrum, &spectrum], [&mut p, &mut q], &mut scratch, |a, b| {
        seen.push(a);
        (a, b)
    });
    assert_eq!(seen.len(), 2 * n * n);
    assert!(seen.chunks(n * n).all(|pass| pass.iter().zip(&field).all(|(a, b)| (a - b).abs() < 1e-14)));
}
