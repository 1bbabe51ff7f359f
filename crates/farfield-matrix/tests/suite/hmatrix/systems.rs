//! Matrices with the trees and admissibility that suit them.

use std::sync::Arc;

use farfield_matrix::*;

use crate::cases::*;

/// A matrix with the tree and admissibility that suit it.
pub struct Case {
    pub name: &'static str,
    pub a: Matrix<f64>,
    pub rows: Arc<ClusterTree>,
    pub cols: Arc<ClusterTree>,
    pub eta: Option<f64>,
}

impl Case {
    pub fn admissibility(&self) -> Admissibility<'static> {
        self.eta.map_or(Admissibility::Weak, |eta| Admissibility::Strong { eta })
    }

    pub fn build(&self, options: &HMatrixOptions) -> Result<(HMatrix<f64>, Certificate), MatrixError> {
        HMatrix::build(&self.a, &self.rows, &self.cols, self.admissibility(), options)
    }

    pub fn built(&self, tolerance: f64) -> HMatrix<f64> {
        self.build(&options(tolerance)).unwrap().0
    }
}

/// Square matrices of order `n`, all of full rank.
pub fn square_cases(n: usize) -> Vec<Case> {
    let line = Arc::new(ClusterTree::bisection(n, 17).unwrap());
    let weak = |name, a| Case { name, a, rows: Arc::clone(&line), cols: Arc::clone(&line), eta: None };
    let (u, v) = (random(n, 3, 1), random(n, 3, 2));
    let low = u.apply(&v.transpose()).unwrap();
    let (p1, p2) = (cloud(n, 1, 3), cloud(n, 2, 4));
    let (t1, t2) = (geometric(&p1, 20, Splitting::Midpoint), geometric(&p2, 23, Splitting::Median));
    let kernel = |name, p: &Points, tree: &Arc<ClusterTree>, f: &dyn Fn(f64) -> f64, diagonal: f64| Case {
        name,
        a: Matrix::from_fn(n, n, |i, j| if i == j { diagonal } else { f(gap(p, i, p, j)) }),
        rows: Arc::clone(tree),
        cols: Arc::clone(tree),
        eta: Some(2.0),
    };
    let index = |i: usize, j: usize| i as f64 - j as f64;
    vec![
        weak(
            "banded",
            Matrix::from_fn(n, n, |i, j| {
                if i == j {
                    4.0
                } else if i.abs_diff(j) < 3 {
                    -0.7
                } else {
                    0.0
                }
            }),
        ),
        weak("low rank plus diagonal", Matrix::from_fn(n, n, |i, j| low[(i, j)] + if i == j { 30.0 } else { 0.0 })),
        weak("Cauchy", Matrix::from_fn(n, n, |i, j| 1.0 / (index(i, j) + 0.4))),
        weak("Toeplitz", Matrix::from_fn(n, n, |i, j| 1.0 / (1.0 + index(i, j).abs()).powi(2))),
        weak(
            "Hilbert plus diagonal",
            Matrix::from_fn(n, n, |i, j| 1.0 / (i + j + 1) as f64 + f64::from(u8::from(i == j))),
        ),
        kernel("exponential in 1D", &p1, &t1, &|r| (-3.0 * r).exp(), 1.5),
        kernel("logarithm in 2D", &p2, &t2, &|r| -r.ln(), 40.0),
        kernel("1 / r in 2D", &p2, &t2, &|r| 1.0 / (r + 0.01), 300.0),
        kernel("Matern in 2D", &p2, &t2, &|r| (1.0 + 5.0 * r) * (-5.0 * r).exp(), 1.01),
    ]
}

/// Rectangular ones, with different trees of rows and columns.
pub fn rectangular_cases() -> Vec<Case> {
    let (a, b) = (cloud(310, 2, 5), cloud(190, 2, 6));
    let kernel = |i: usize, j: usize| 1.0 / (0.05 + gap(&a, i, &b, j));
    let case = |name, leaf, splitting: [Splitting; 2]| Case {
        name,
        a: Matrix::from_fn(310, 190, kernel),
        rows: geometric(&a, leaf, splitting[0]),
        cols: geometric(&b, 13, splitting[1]),
        eta: Some(1.5),
    };
    vec![
        case("boxes and midpoints", 19, [Splitting::Boxes, Splitting::Midpoint]),
        case("medians and principal components", 31, [Splitting::Median, Splitting::PrincipalComponent]),
        case("one leaf of all rows", 400, [Splitting::Median, Splitting::Median]),
    ]
}

pub fn options(tolerance: f64) -> HMatrixOptions {
    HMatrixOptions::new(Accuracy::relative(tolerance).unwrap())
}

pub fn random(m: usize, n: usize, seed: u64) -> Matrix<f64> {
    gaussian(&mut rng(seed), m, n)
}

pub fn minus(a: &Matrix<f64>, b: &Matrix<f64>) -> Matrix<f64> {
    assert_eq!((a.nrows(), a.ncols()), (b.nrows(), b.ncols()));
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)])
}

#[track_caller]
pub fn assert_close(a: &Matrix<f64>, b: &Matrix<f64>, tolerance: f64, what: &str) {
    let (error, norm) = (minus(a, b).norm_frobenius(), b.norm_frobenius());
    assert!(error <= tolerance * norm, "{what}: {:.2e} against {tolerance:.2e}", error / norm);
}
