//! Backward errors `||B - H X|| / (||H|| ||X|| + ||B||) <= 1e-13` of every factorisation, with `H` and with its transpose.

use std::sync::Arc;

use farfield_matrix::*;

use crate::cases::*;

const BACKWARD: f64 = 1e-13;

/// A regular matrix by its entries, on a line.
struct System {
    name: &'static str,
    entry: Box<dyn Fn(usize, usize) -> f64 + Sync>,
    definite: bool,
    n: usize,
    tree: Arc<ClusterTree>,
}

impl Entries<f64> for System {
    fn nrows(&self) -> usize {
        self.n
    }

    fn ncols(&self) -> usize {
        self.n
    }

    fn entry(&self, row: usize, col: usize) -> f64 {
        (self.entry)(row, col)
    }

    fn is_symmetric(&self) -> bool {
        self.definite
    }
}

const SYSTEMS: usize = 11;

fn system(k: usize, n: usize) -> System {
    let x = move |i: usize| (i as f64 + 0.5) / n as f64;
    let line = Points::new(1, (0..n).map(x).collect()).unwrap();
    let mut tree = geometric(&line, 48, Splitting::Median);
    let one = |i: usize, j: usize| f64::from(u8::from(i == j));
    type Entry = Box<dyn Fn(usize, usize) -> f64 + Sync>;
    let (name, definite, entry): (_, _, Entry) = match k {
        0 => ("banded", true, Box::new(|i, j| [6.0, -4.0, 1.0].get(i.abs_diff(j)).copied().unwrap_or(0.0))),
        1 => (
            "low rank plus diagonal",
            false,
            Box::new(move |i, j| (7.0 * x(i)).sin() * x(j) - x(i) * x(j).cos() + one(i, j) * (3.0 + x(i))),
        ),
        2 => ("Cauchy", false, Box::new(|i, j| 1.0 / (i as f64 - j as f64 + 0.4))),
        3 => ("Toeplitz", false, Box::new(|i, j| 1.0 / (1.0 + 2.0 * i as f64 - 2.0 * j as f64))),
        4 => ("Hilbert, shifted", true, Box::new(move |i, j| 1.0 / (1 + i + j) as f64 + 1e-8 * one(i, j))),
        5 => ("logarithm", false, Box::new(move |i, j| (x(i) - x(j)).abs().max(0.1 / n as f64).ln())),
        6 => ("exponential", true, Box::new(move |i, j| (-3.0 * (x(i) - x(j)).abs()).exp())),
        7 => (
            "Gaussian, not symmetric",
            false,
            Box::new(move |i, j| (-(x(i) - 1.1 * x(j)).powi(2) * 20.0).exp() + 0.01 * one(i, j)),
        ),
        8 => (
            "inverse of tridiagonal",
            true,
            Box::new(move |i, j| (1 + i.min(j)) as f64 * (n - i.max(j)) as f64 / (n + 1) as f64),
        ),
        9 => {
            let noise = gaussian(&mut rng(5), n, n);
            ("random", false, Box::new(move |i, j| noise[(i, j)] + 3.0 * (n as f64).sqrt() * one(i, j)))
        }
        _ => {
            let p = cloud(n, 2, 3);
            tree = geometric(&p, 48, Splitting::Median);
            let entry = move |i, j| {
                let r = gap(&p, i, &p, j);
                (1.0 + 5.0 * r) * (-5.0 * r).exp() + 0.01 * one(i, j)
            };
            ("Matern in 2D", true, Box::new(entry))
        }
    };
    System { name, entry, definite, n, tree }
}

/// `(H + H^T) / 2`: what a Cholesky factorisation of a matrix that is symmetric but for rounding stands for.
struct SymmetricPart<'a>(&'a dyn LinearOperator<f64>);

impl LinearOperator<f64> for SymmetricPart<'_> {
    fn nrows(&self) -> usize {
        self.0.nrows()
    }

    fn ncols(&self) -> usize {
        self.0.ncols()
    }

    fn apply(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        let sum = combine(&self.0.apply(x)?, 1.0, &self.0.apply_transpose(x)?);
        Ok(Matrix::from_fn(sum.nrows(), sum.ncols(), |i, j| 0.5 * sum[(i, j)]))
    }

    fn apply_transpose(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        self.apply(x)
    }
}

type Solve<'a> = &'a dyn Fn(&Matrix<f64>) -> Result<Matrix<f64>, MatrixError>;

#[track_caller]
fn check(what: &str, system: &System, h: &dyn LinearOperator<f64>, solve: Solve, transposed: Option<Solve>) {
    let b = gaussian(&mut rng(7), system.n, 3);
    let error = backward_error(h, &solve(&b).unwrap(), &b);
    assert!(error <= BACKWARD, "{what}, {}, {}: {error:e}", system.name, system.n);
    if let Some(solve) = transposed {
        let error = backward_error_transposed(h, &solve(&b).unwrap(), &b);
        assert!(error <= BACKWARD, "{what}, {}, {}, transposed: {error:e}", system.name, system.n);
    }
}

fn hodlr(s: &System, tolerance: f64) {
    let h = Hodlr::from_entries(s, s.tree.clone(), relative(tolerance), 1).unwrap().0;
    let lu = h.factor().unwrap();
    check("HODLR LU", s, &h, &|b| lu.solve(b), Some(&|b| lu.solve_transpose(b)));
    if s.definite {
        let h = Hodlr::from_entries(s, s.tree.clone(), relative(3e-14), 1).unwrap().0;
        let cholesky = h.cholesky().unwrap();
        check("HODLR Cholesky", s, &SymmetricPart(&h), &|b| cholesky.solve(b), None);
    }
}

fn hss(s: &System, tolerance: f64) {
    let options = SkeletonOptions { check_rows: 32, failure: 0.1, ..SkeletonOptions::default() };
    let h = Hss::from_entries(s, &s.tree, &s.tree, relative(tolerance), &options).unwrap().0;
    let ulv = h.ulv().unwrap();
    check("HSS ULV", s, &h, &|b| ulv.solve(b), Some(&|b| ulv.solve_transpose(b)));
    if s.definite {
        let cholesky = h.cholesky(1e-8).unwrap();
        check("HSS Cholesky", s, &SymmetricPart(&h), &|b| cholesky.solve(b), None);
    }
}

fn hmatrix(s: &System, tolerance: f64) {
    let options = HMatrixOptions::new(relative(tolerance));
    let h = HMatrix::build(s, &s.tree, &s.tree, Admissibility::Strong { eta: 2.0 }, &options).unwrap().0;
    let lu = h.lu(relative(1e-13), 3).unwrap().0;
    check("H-LU", s, &h, &|b| lu.solve(b), Some(&|b| lu.solve_transpose(b)));
    if s.definite {
        let h = h.symmetrised().unwrap();
        let cholesky = h.cholesky(relative(1e-13), 3).unwrap().0;
        check("H-Cholesky", s, &h, &|b| cholesky.solve(b), None);
    }
}

#[test]
fn every_factorisation_and_system_at_512() {
    for k in 0..SYSTEMS {
        let s = system(k, 512);
        for tolerance in [1e-4, 1e-10] {
            // A rough approximation of a matrix with small eigenvalues may be singular or indefinite.
            if tolerance == 1e-10 || [0, 1, 2, 3, 9].contains(&k) {
                hodlr(&s, tolerance);
                hss(&s, tolerance);
                hmatrix(&s, tolerance);
            }
        }
    }
}

#[test]
fn every_factorisation_up_to_4096() {
    for (n, chosen) in [(1000, [2, 6, 4]), (2048, [0, 8, 6]), (4096, [6, 6, 6])] {
        hodlr(&system(chosen[0], n), 1e-10);
        hss(&system(chosen[1], n), 1e-10);
        hmatrix(&system(chosen[2], n), 1e-10);
    }
}
