//! Builds and operations whose errors are measured by products with Gaussian vectors.

use std::sync::Arc;

use farfield_matrix::hss::ProductOptions;
use farfield_matrix::*;
use rand::RngExt;

use super::draws::{any, log_uniform};
use crate::cases::*;

fn thousand(name: &str, mut trial: impl FnMut(u64) -> Option<(Certificate, f64)>) {
    let mut trials = Trials::default();
    for seed in 0..1000 {
        if let Some((certificate, error)) = trial(seed) {
            if error > certificate.frobenius.value {
                println!("{name}, trial {seed}: {error:e} above {:e}", certificate.frobenius.value);
            }
            trials.push(&certificate, error);
        }
    }
    trials.check(name, 950);
}

#[test]
fn hss_of_products() {
    for (probes, failure) in [(16, 1e-6), (8, 0.5), (4, 0.1)] {
        thousand(&format!("HSS, products, {probes} probes"), |seed| {
            let mut random = rng(seed);
            let n = random.random_range(24..72);
            let draw = any(&mut random, n);
            let tol = log_uniform(&mut random, 1e-9, 0.1);
            let options = ProductOptions { probes, failure, seed, ..ProductOptions::default() };
            match Hss::from_products(&draw.a, &draw.tree, &draw.tree, relative(tol), &options) {
                Ok(built) => {
                    assert!(built.certificate.frobenius.value <= tol * draw.a.norm_frobenius());
                    Some((built.certificate, distance(&built.matrix.to_dense(), &draw.a)))
                }
                Err(MatrixError::Tolerance { .. }) => None,
                Err(error) => panic!("{}: {error}", draw.name),
            }
        });
    }
}

#[test]
fn hodlr_by_peeling() {
    thousand("HODLR, peeling", |seed| {
        let mut random = rng(seed);
        let n = random.random_range(24..72);
        let draw = any(&mut random, n);
        let tol = log_uniform(&mut random, 1e-9, 0.1);
        match Hodlr::from_products(&draw.a, draw.tree.clone(), relative(tol), seed) {
            Ok((h, c)) => {
                assert!(c.frobenius.value <= tol * draw.a.norm_frobenius());
                Some((c, distance(&h.to_dense(), &draw.a)))
            }
            Err(MatrixError::Tolerance { .. }) => None,
            Err(error) => panic!("{}: {error}", draw.name),
        }
    });
}

/// An H-matrix on a random tree, weakly admissible.
fn random_hmatrix(seed: u64) -> Option<(HMatrix<f64>, Arc<ClusterTree>, f64)> {
    let mut random = rng(seed);
    let n = random.random_range(24..64);
    let draw = any(&mut random, n);
    let tol = log_uniform(&mut random, 1e-8, 0.1);
    let svd = HMatrixOptions { compression: Compression::Svd, ..HMatrixOptions::new(relative(1e-12)) };
    let h = HMatrix::build(&draw.a, &draw.tree, &draw.tree, Admissibility::Weak, &svd).ok()?.0;
    Some((h, draw.tree, tol))
}

#[test]
fn products_of_hmatrices() {
    thousand("H, products", |seed| {
        let (h, _, tol) = random_hmatrix(seed)?;
        let full = h.to_dense();
        match h.multiply(&h, Admissibility::Weak, relative(tol), seed) {
            Ok((c, certificate)) => Some((certificate, distance(&c.to_dense(), &times(&full, &full)))),
            Err(MatrixError::Tolerance { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn factors_of_hmatrices() {
    thousand("H, LU", |seed| {
        let (h, tree, tol) = random_hmatrix(seed)?;
        let n = tree.len();
        // Diagonally dominant, so that no pivots are wanted from outside of the leaves.
        let full = h.to_dense();
        let rows = (0..n).map(|i| (0..n).map(|j| full[(i, j)].abs()).sum::<f64>()).fold(0.0, f64::max);
        let h = h.shift(1.5 * rows.max(1e-3)).unwrap();
        match h.lu(relative(tol), seed) {
            // L U = H (LU)^-1 ... from the inverse: H - L U = H - (inverse of the inverse), by one dense solve.
            Ok((lu, certificate)) => {
                let inverse = lu.solve(&Matrix::identity(n)).unwrap();
                let dense = faer::Mat::from_fn(n, n, |i, j| inverse[(i, j)]);
                use faer::linalg::solvers::DenseSolveCore;
                let product = dense.partial_piv_lu().inverse();
                let full = h.to_dense();
                let error = distance(&Matrix::from_fn(n, n, |i, j| product[(i, j)]), &full);
                Some((certificate, (error - 1e-13 * full.norm_frobenius()).max(0.0)))
            }
            Err(MatrixError::Tolerance { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    });
}
