//! Weights of many kinds.

use farfield_matrix::Matrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// `n` shuffled.
pub fn permutation(n: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, random.random_range(0..=i));
    }
    order
}

/// The Green's function of `-u'' = f` on the unit interval at `n` inner points, rows and columns in the given orders.
pub fn green(rows: &[usize], cols: &[usize]) -> Matrix<f64> {
    let x = |i: usize, n: usize| (i + 1) as f64 / (n + 1) as f64;
    Matrix::from_fn(rows.len(), cols.len(), |i, j| {
        let (x, y) = (x(rows[i], rows.len()), x(cols[j], cols.len()));
        x.min(y) * (1.0 - x.max(y))
    })
}

/// A matrix of independent normal numbers.
pub fn gaussian(m: usize, n: usize, random: &mut ChaCha8Rng) -> Matrix<f64> {
    Matrix::from_fn(m, n, |_, _| random.sample::<f64, _>(StandardNormal))
}

/// The matrix number `seed` of a family of random and structured ones, of at most `largest` rows and columns.
pub fn weight(seed: u64, largest: usize) -> Matrix<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (m, n) = (random.random_range(1..=largest), random.random_range(1..=largest));
    let a = gaussian(m, n, &mut random);
    let scale = 10f64.powi(random.random_range(-6..=6));
    let kind = seed % 10;
    let (rows, cols) = (permutation(m, &mut random), permutation(n, &mut random));
    let entry = |i: usize, j: usize| match kind {
        0 => a[(i, j)],
        // Singular values that fall.
        1 => (0..3).map(|k| a[(i, k % n)] * a[(k % m, j)] * 0.1f64.powi(k as i32)).sum::<f64>() + 1e-4 * a[(i, j)],
        2 => 1.0 / (1.0 + (i + j) as f64),
        3 => 0.0,
        4 => f64::from(u8::from(i == j)),
        // Blocks of rank one in shuffled rows and columns.
        5 => {
            let (p, q) = (rows[i] * 3 / m, cols[j] * 3 / n);
            (1 + p * 3 + q) as f64 * a[(i, q % n)] * a[(p % m, j)]
        }
        6 => (-((rows[i] as f64 / m as f64 - cols[j] as f64 / n as f64).powi(2)) * 40.0).exp(),
        // One large entry.
        7 => {
            if i == m / 2 && j == n / 2 {
                1e6
            } else {
                a[(i, j)]
            }
        }
        8 if a[(i, j)].abs() > 1.5 => a[(i, j)],
        _ => 0.0,
    };
    let out = if kind == 9 { green(&rows, &cols) } else { Matrix::from_fn(m, n, entry) };
    Matrix::from_fn(m, n, |i, j| scale * out[(i, j)])
}
