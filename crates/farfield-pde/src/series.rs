//! Sums of products of waves, `f(x, y, z) = sum c_{abc} s_a(x) s_b(y) s_c(z)`, evaluated one axis
//! at a time.
//!
//! With m waves and n points an axis this costs O(m n^d) instead of O(m^d n^d).

use std::f64::consts::PI;

/// Entries accumulated at once, so that a row of the m partial sums stays in the first-level cache.
const CHUNK: usize = 128;

/// Sines of the multiples of pi/n, exactly zero at the boundary.
pub(crate) struct SineTable {
    sines: Vec<f64>,
}

impl SineTable {
    pub(crate) fn new(n: usize) -> Self {
        let half: Vec<f64> = (0..n).map(|i| (PI * i as f64 / n as f64).sin()).collect();
        let sines = half.iter().copied().chain(half.iter().map(|s| 0.0 - s));
        SineTable { sines: sines.collect() }
    }

    /// `sin(pi k i / n)` at the points i = 0..n-1 for each wave number k: (n, waves).
    pub(crate) fn basis(&self, wave_numbers: &[usize]) -> Vec<f64> {
        let period = self.sines.len();
        (0..period / 2).flat_map(|i| wave_numbers.iter().map(move |&k| self.sines[k * i % period])).collect()
    }
}

/// `cos(pi k i / intervals)` at the points i = 0..=intervals for each wave number: (points, waves).
pub(crate) fn cosine_basis(intervals: usize, wave_numbers: &[usize]) -> Vec<f64> {
    (0..=intervals)
        .flat_map(|i| {
            wave_numbers.iter().map(move |&k| (PI * (k * i % (2 * intervals)) as f64 / intervals as f64).cos())
        })
        .collect()
}

/// Evaluates the sum: `coefficients` (m, ..., m), one basis (n, m) per axis, `field` (n, ..., n).
pub(crate) fn evaluate(coefficients: &[f64], bases: &[&[f64]], waves: usize, field: &mut [f64]) {
    let mut current = coefficients.to_vec();
    let mut inner = 1;
    for (axis, basis) in bases.iter().enumerate().rev() {
        let points = basis.len() / waves;
        let outer = waves.pow(axis as u32);
        let mut expanded = Vec::new();
        let target: &mut [f64] = if axis == 0 {
            &mut *field
        } else {
            expanded.resize(outer * points * inner, 0.0);
            &mut expanded
        };
        for (from, to) in current.chunks_exact(waves * inner).zip(target.chunks_exact_mut(points * inner)) {
            expand_axis(from, basis, waves, inner, to);
        }
        current = expanded;
        inner *= points;
    }
}

/// `to[i, j] = sum_k basis[i, k] from[k, j]`, j < inner.
fn expand_axis(from: &[f64], basis: &[f64], waves: usize, inner: usize, to: &mut [f64]) {
    for start in (0..inner).step_by(CHUNK) {
        let end = inner.min(start + CHUNK);
        for (row, weights) in to.chunks_exact_mut(inner).zip(basis.chunks_exact(waves)) {
            let row = &mut row[start..end];
            row.fill(0.0);
            for (source, &weight) in from.chunks_exact(inner).zip(weights) {
                for (value, &s) in row.iter_mut().zip(&source[start..end]) {
                    *value += weight * s;
                }
            }
        }
    }
}

/// Keeps every `ratio`-th point of each axis, from the first on: `fine` has n * ratio points an
/// axis (or (n - 1) ratio + 1), `coarse` n.
pub(crate) fn down_sample(fine: &[f64], fine_n: usize, ratio: usize, axes: usize, coarse: &mut [f64]) {
    let rows = fine_n.pow(axes as u32 - 1);
    let kept = (0..rows).filter(|row| {
        let mut rest = *row;
        (1..axes).all(|_| {
            let keep = (rest % fine_n).is_multiple_of(ratio);
            rest /= fine_n;
            keep
        })
    });
    let values = kept.flat_map(|row| fine[row * fine_n..][..fine_n].iter().step_by(ratio));
    for (value, &source) in coarse.iter_mut().zip(values) {
        *value = source;
    }
}
