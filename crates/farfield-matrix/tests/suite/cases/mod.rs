//! Structured matrices, trees, operators and dense oracles that tests share.

// Each test binary uses a part of them.
#![allow(dead_code, unused_imports)]

mod hss;
mod operators;
mod statistics;

pub use hss::*;
pub use operators::*;
pub use statistics::*;

use std::sync::Arc;

use farfield_matrix::{Accuracy, ClusterTree, LinearOperator, Matrix, Nested, Points, Splitting};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub fn gaussian(random: &mut ChaCha8Rng, nrows: usize, ncols: usize) -> Matrix<f64> {
    Matrix::from_fn(nrows, ncols, |_, _| random.sample(StandardNormal))
}

pub fn relative(tolerance: f64) -> Accuracy {
    Accuracy::relative(tolerance).unwrap()
}

/// Named `n x n` matrices whose off-diagonal blocks have low rank, some exactly.
pub fn cases(n: usize) -> Vec<(&'static str, Matrix<f64>)> {
    (0..10).map(|k| structured(k, n)).collect()
}

/// One of [`cases`].
pub fn structured(k: usize, n: usize) -> (&'static str, Matrix<f64>) {
    let x = |i: usize| (i as f64 + 0.5) / n as f64;
    let h = 1.0 / n as f64;
    let make = |f: &dyn Fn(usize, usize) -> f64| Matrix::from_fn(n, n, f);
    let wave = |i: usize, k: usize| ((k + 1) as f64 * (x(i) + 0.3)).sin();
    match k {
        0 => ("banded", make(&|i, j| if i.abs_diff(j) <= 2 { (1 + 3 * i + j) as f64 / n as f64 } else { 0.0 })),
        1 => {
            let waves: Vec<[f64; 4]> = (0..n).map(|i| [0, 1, 2, 3].map(|k| wave(i, k))).collect();
            let low = |i: usize, j: usize| (0..3).map(|k| waves[i][k] * waves[j][k + 1]).sum::<f64>();
            ("low rank plus diagonal", make(&|i, j| low(i, j) + if i == j { 2.0 + x(i) } else { 0.0 }))
        }
        2 => ("Cauchy", make(&|i, j| 1.0 / (x(i) - x(j) - 0.37 * h))),
        3 => ("Toeplitz", make(&|i, j| 1.0 / (1.0 + (2 * i) as f64 - (2 * j) as f64))),
        4 => ("Hilbert", make(&|i, j| 1.0 / (1 + i + j) as f64)),
        5 => ("logarithm", make(&|i, j| if i == j { h.ln() } else { (x(i) - x(j)).abs().ln() })),
        6 => ("exponential", make(&|i, j| (-3.0 * (x(i) - x(j)).abs()).exp())),
        7 => ("Gaussian, not symmetric", make(&|i, j| (-(x(i) - 1.1 * x(j)).powi(2) * 20.0).exp())),
        8 => ("inverse of tridiagonal", make(&|i, j| (1 + i.min(j)) as f64 * (n - i.max(j)) as f64 / (n + 1) as f64)),
        _ => ("zero", make(&|_, _| 0.0)),
    }
}

/// `||a - b||_F`.
pub fn distance(a: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    assert_eq!((a.nrows(), a.ncols()), (b.nrows(), b.ncols()));
    let columns = (0..a.ncols()).map(|j| a.col(j).iter().zip(b.col(j)).map(|(x, y)| x - y).collect::<Vec<f64>>());
    columns.map(|difference| Matrix::from_vector(&difference).norm_frobenius()).fold(0.0, f64::hypot)
}

/// `a + factor b`.
pub fn combine(a: &Matrix<f64>, factor: f64, b: &Matrix<f64>) -> Matrix<f64> {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] + factor * b[(i, j)])
}

/// `a b`.
pub fn times(a: &Matrix<f64>, b: &Matrix<f64>) -> Matrix<f64> {
    a.apply(b).unwrap()
}

/// `a + shift I`.
pub fn shifted(a: &Matrix<f64>, shift: f64) -> Matrix<f64> {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] + if i == j { shift } else { 0.0 })
}

/// `||A||_2` from below, by power iteration on `A^T A`.
pub fn norm_2(a: &dyn LinearOperator<f64>) -> f64 {
    let mut x = gaussian(&mut rng(99), a.ncols(), 1);
    let mut norm = 0.0;
    for _ in 0..20 {
        let scale = x.norm_frobenius().max(f64::MIN_POSITIVE);
        let unit = Matrix::from_fn(x.nrows(), 1, |i, _| x[(i, 0)] / scale);
        let y = a.apply(&unit).unwrap();
        norm = y.norm_frobenius();
        x = a.apply_transpose(&y).unwrap();
    }
    norm
}

/// `||B - A X|| / (||A|| ||X|| + ||B||)`, with a lower bound on the 2-norm of `A`: the strictest form.
pub fn backward_error(a: &dyn LinearOperator<f64>, x: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    let residual = distance(b, &a.apply(x).unwrap());
    residual / (norm_2(a) * x.norm_frobenius() + b.norm_frobenius())
}

/// The same for `A^T`.
pub fn backward_error_transposed(a: &dyn LinearOperator<f64>, x: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    let residual = distance(b, &a.apply_transpose(x).unwrap());
    residual / (norm_2(a) * x.norm_frobenius() + b.norm_frobenius())
}

/// Sign and logarithm of the determinant of a dense matrix, by LU with partial pivoting.
pub fn dense_log_determinant(a: &Matrix<f64>) -> (i32, f64) {
    let n = a.nrows();
    let lu = faer::Mat::from_fn(n, n, |i, j| a[(i, j)]).partial_piv_lu();
    let order = lu.P().arrays().0;
    let inversions = (0..n).map(|i| (i + 1..n).filter(|&j| order[i] > order[j]).count()).sum::<usize>();
    let (mut sign, mut log_abs) = (if inversions % 2 == 1 { -1 } else { 1 }, 0.0);
    for i in 0..n {
        let pivot = lu.U()[(i, i)];
        sign *= if pivot < 0.0 { -1 } else { 1 };
        log_abs += pivot.abs().ln();
    }
    (sign, log_abs)
}

/// `n` points in the unit cube of dimension `dim`.
pub fn cloud(n: usize, dim: usize, seed: u64) -> Points {
    let mut random = rng(seed);
    Points::new(dim, (0..n * dim).map(|_| random.random::<f64>()).collect()).unwrap()
}

/// Euclidean distance of point `i` of `a` and point `j` of `b`.
pub fn gap(a: &Points, i: usize, b: &Points, j: usize) -> f64 {
    a.point(i).iter().zip(b.point(j)).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
}

pub fn bisection(n: usize, leaf_size: usize) -> Arc<ClusterTree> {
    Arc::new(ClusterTree::bisection(n, leaf_size).unwrap())
}

pub fn geometric(points: &Points, leaf_size: usize, splitting: Splitting) -> Arc<ClusterTree> {
    Arc::new(ClusterTree::geometric(points, leaf_size, splitting).unwrap())
}

/// A tree of three, one, two and no children, leaves on all levels, one of them empty, indices out of order; `n >= 20`.
pub fn uneven_tree(n: usize) -> ClusterTree {
    let leaf = |range: std::ops::Range<usize>| Nested::Leaf(range.rev().collect());
    let nested = Nested::Split(vec![
        leaf(12..n / 2),
        Nested::Split(vec![
            Nested::Split(vec![leaf(0..5), leaf(5..6), leaf(6..9)]),
            Nested::Leaf(vec![]),
            leaf(9..12),
            Nested::Split(vec![Nested::Split(vec![leaf(n / 2..n / 2 + 7)])]),
        ]),
        Nested::Split(vec![leaf(n / 2 + 7..n)]),
    ]);
    ClusterTree::from_nested(&nested).unwrap()
}

/// A tree of `n` indices in random order with 1 to 4 children a node, leaves on any level, some of them empty.
pub fn wild_tree(random: &mut ChaCha8Rng, n: usize) -> ClusterTree {
    fn grow(random: &mut ChaCha8Rng, indices: &[usize], depth: usize) -> Nested {
        if depth == 0 || indices.len() < 3 || random.random_range(0..5) == 0 {
            return Nested::Leaf(indices.to_vec());
        }
        let parts = random.random_range(1..=4);
        let mut cuts: Vec<usize> = (1..parts).map(|_| random.random_range(0..=indices.len())).collect();
        cuts.extend([0, indices.len()]);
        cuts.sort_unstable();
        Nested::Split(cuts.windows(2).map(|c| grow(random, &indices[c[0]..c[1]], depth - 1)).collect())
    }
    let mut indices: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        indices.swap(i, random.random_range(0..=i));
    }
    ClusterTree::from_nested(&grow(random, &indices, 4)).unwrap()
}

/// Runs `f` on a pool of so many threads.
pub fn on_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}
