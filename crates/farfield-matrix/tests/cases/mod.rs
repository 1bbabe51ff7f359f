//! Structured matrices that tests share.

// Each test binary uses a part of them.
#![allow(dead_code)]

use farfield_matrix::{ClusterTree, Matrix, Nested};

/// Named `n x n` matrices whose off-diagonal blocks have low rank, some exactly.
pub fn cases(n: usize) -> Vec<(&'static str, Matrix<f64>)> {
    let x = |i: usize| (i as f64 + 0.5) / n as f64;
    let h = 1.0 / n as f64;
    let make = |f: &dyn Fn(usize, usize) -> f64| Matrix::from_fn(n, n, f);
    let wave = |i: usize, k: usize| ((k + 1) as f64 * (x(i) + 0.3)).sin();
    vec![
        ("banded", make(&|i, j| if i.abs_diff(j) <= 2 { (1 + 3 * i + j) as f64 / n as f64 } else { 0.0 })),
        (
            "low rank plus diagonal",
            make(&|i, j| {
                let diagonal = if i == j { 2.0 + x(i) } else { 0.0 };
                diagonal + (0..3).map(|k| wave(i, k) * wave(j, k + 1)).sum::<f64>()
            }),
        ),
        ("Cauchy", make(&|i, j| 1.0 / (x(i) - x(j) - 0.37 * h))),
        ("Toeplitz", make(&|i, j| 1.0 / (1.0 + (2 * i) as f64 - (2 * j) as f64))),
        ("Hilbert", make(&|i, j| 1.0 / (1 + i + j) as f64)),
        ("logarithm", make(&|i, j| if i == j { h.ln() } else { (x(i) - x(j)).abs().ln() })),
        ("exponential", make(&|i, j| (-3.0 * (x(i) - x(j)).abs()).exp())),
        ("Gaussian, not symmetric", make(&|i, j| (-(x(i) - 1.1 * x(j)).powi(2) * 20.0).exp())),
        ("inverse of tridiagonal", make(&|i, j| (1 + i.min(j)) as f64 * (n - i.max(j)) as f64 / (n + 1) as f64)),
        ("zero", make(&|_, _| 0.0)),
    ]
}

/// `||a - b||_F`.
pub fn distance(a: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    assert_eq!((a.nrows(), a.ncols()), (b.nrows(), b.ncols()));
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)]).norm_frobenius()
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
