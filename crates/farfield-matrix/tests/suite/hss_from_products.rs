//! HSS matrices from products alone, against the dense matrices behind them.

use std::sync::Arc;

use crate::cases::*;
use farfield_matrix::hss::ProductOptions;
use farfield_matrix::{Accuracy, ClusterTree, Confidence, Hss, LinearOperator, Matrix, MatrixError};

fn cauchy(m: usize, n: usize) -> Matrix<f64> {
    Matrix::from_fn(m, n, |i, j| 1.0 / ((i as f64 + 0.5) / m as f64 - (j as f64 + 0.21) / n as f64))
}

fn structured(n: usize) -> Vec<(&'static str, Matrix<f64>)> {
    vec![
        ("Cauchy", cauchy(n, n)),
        ("banded", Matrix::from_fn(n, n, |i, j| if i.abs_diff(j) <= 2 { 1.0 + (i * j % 7) as f64 } else { 0.0 })),
        (
            "rank one and diagonal",
            Matrix::from_fn(n, n, |i, j| (i as f64).cos() * (1.0 + j as f64).recip() + if i == j { 3.0 } else { 0.0 }),
        ),
        ("Toeplitz", Matrix::from_fn(n, n, |i, j| if i > j { 1.0 / (i - j) as f64 } else { 0.2 / (1 + j - i) as f64 })),
        ("Hilbert", Matrix::from_fn(n, n, |i, j| 1.0 / (i + j + 1) as f64)),
        ("kernel", Matrix::from_fn(n, n, |i, j| (1.0 + (i as f64 - j as f64).powi(2)).sqrt().recip())),
    ]
}

#[test]
fn every_tolerance_is_met_and_the_certificate_holds() {
    let n = 190;
    let tree = Arc::new(ClusterTree::bisection(n, 16).unwrap());
    for (name, a) in structured(n) {
        for tolerance in [1e-2, 1e-5, 1e-8, 1e-11] {
            let counted = Counted::new(&a);
            let accuracy = Accuracy::relative(tolerance).unwrap();
            let built = Hss::from_products(&counted, &tree, &tree, accuracy, &ProductOptions::default())
                .unwrap_or_else(|e| panic!("{name} {tolerance:e}: {e}"));
            let error = distance(&built.matrix.to_dense(), &a);
            let bound = built.certificate.frobenius;
            assert!(error <= tolerance * a.norm_frobenius(), "{name} {tolerance:e}: {error:e}");
            assert!(error <= bound.value, "{name} {tolerance:e}: {error:e} above {:e}", bound.value);
            assert!(bound.value <= tolerance * a.norm_frobenius());
            assert!(matches!(bound.confidence, Confidence::Probabilistic { failure } if failure == 1e-6));
            assert_eq!(counted.counts(), (built.products, built.transposed_products));
            let norm = built.matrix.to_dense().norm_frobenius();
            assert!((built.certificate.norm - norm).abs() <= 1e-12 * norm);
        }
    }
}

#[test]
fn an_hss_matrix_comes_back_to_rounding_from_its_minimal_samples() {
    let mut random = rng(1);
    for (n, leaf, rank) in [(200, 16, 3), (333, 20, 5), (64, 64, 1), (1, 1, 1), (5, 1, 1)] {
        let tree = Arc::new(ClusterTree::bisection(n, leaf).unwrap());
        let a = random_hss(&mut random, &tree, &tree, |_| (rank, rank), 1.0);
        let options = ProductOptions { rank: Some(rank), seed: 5, ..ProductOptions::default() };
        let accuracy = Accuracy::relative(1e-10).unwrap();
        let built = Hss::from_products(&a, &tree, &tree, accuracy, &options).unwrap();
        let largest_leaf = tree.leaves().map(|i| tree.cluster(i).len()).max().unwrap();
        let minimal = (largest_leaf + rank).max(3 * rank) + options.oversampling;
        assert!(built.samples <= minimal, "{} {minimal}", built.samples);
        assert_eq!(built.products, built.samples + options.probes);
        assert!(built.matrix.rank() <= rank);
        assert!(distance(&built.matrix.to_dense(), &a.to_dense()) <= 1e-11 * a.to_dense().norm_frobenius());
    }
}

#[test]
fn rectangular_matrices_on_unbalanced_trees() {
    let mut random = rng(2);
    for _ in 0..6 {
        let tree = Arc::new(wild_tree(&mut random, 90));
        let a = random_hss(&mut random, &tree, &tree, |_| (2, 3), 1.0).to_dense();
        let accuracy = Accuracy::relative(1e-9).unwrap();
        let built = Hss::from_products(&a, &tree, &tree, accuracy, &ProductOptions::default()).unwrap();
        assert!(distance(&built.matrix.to_dense(), &a) <= 1e-9 * a.norm_frobenius());
    }
    let rows = Arc::new(ClusterTree::with_levels(150, 3).unwrap());
    let cols = Arc::new(ClusterTree::with_levels(97, 3).unwrap());
    let a = cauchy(150, 97);
    let accuracy = Accuracy::relative(1e-7).unwrap();
    let built = Hss::from_products(&a, &rows, &cols, accuracy, &ProductOptions::default()).unwrap();
    assert!(distance(&built.matrix.to_dense(), &a) <= 1e-7 * a.norm_frobenius());
}

#[test]
fn a_black_box_solver_needs_as_many_products_at_any_size() {
    for n in [500, 4000] {
        let tree = Arc::new(ClusterTree::bisection(n, 16).unwrap());
        let accuracy = Accuracy::relative(1e-8).unwrap();
        let built = Hss::from_products(&Poisson(n), &tree, &tree, accuracy, &ProductOptions::default()).unwrap();
        assert_eq!(built.products, 24 + 10 + 16);
        assert!(built.matrix.rank() <= 3, "{}", built.matrix.rank());
        let x = gaussian(&mut rng(3), n, 2);
        let y = Poisson(n).apply(&x).unwrap();
        assert!(distance(&y, &built.matrix.apply(&x).unwrap()) <= 1e-7 * y.norm_frobenius());
    }
}

#[test]
fn a_rank_that_is_too_small_is_an_error() {
    let a = cauchy(160, 160);
    let tree = Arc::new(ClusterTree::bisection(160, 20).unwrap());
    let fixed = ProductOptions { rank: Some(2), ..ProductOptions::default() };
    let accuracy = Accuracy::relative(1e-9).unwrap();
    for (accuracy, options) in [(accuracy, fixed), (accuracy.max_rank(3), ProductOptions::default())] {
        match Hss::from_products(&a, &tree, &tree, accuracy, &options) {
            Err(MatrixError::Tolerance { tolerance, reached, .. }) => assert!(reached > tolerance),
            other => panic!("{other:?}"),
        }
    }
    // Random: no rank below full helps, and full rank does.
    let noise = gaussian(&mut rng(4), 60, 60);
    let tree = Arc::new(ClusterTree::bisection(60, 15).unwrap());
    let loose = Accuracy::relative(1e-6).unwrap();
    assert!(Hss::from_products(&noise, &tree, &tree, loose.max_rank(5), &ProductOptions::default()).is_err());
    let full = Hss::from_products(&noise, &tree, &tree, loose, &ProductOptions::default()).unwrap();
    assert!(distance(&full.matrix.to_dense(), &noise) <= 1e-6 * noise.norm_frobenius());
}

struct OneWay(Matrix<f64>, f64);

impl LinearOperator<f64> for OneWay {
    fn nrows(&self) -> usize {
        self.0.nrows()
    }
    fn ncols(&self) -> usize {
        self.0.ncols()
    }
    fn apply(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        let y = self.0.apply(x)?;
        Ok(Matrix::from_fn(y.nrows(), y.ncols(), |i, j| y[(i, j)] * self.1))
    }
    fn apply_transpose(&self, _: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        Err(MatrixError::NoTranspose { what: "one way" })
    }
}

#[test]
fn bad_operators_and_options_are_errors() {
    let tree = Arc::new(ClusterTree::bisection(20, 4).unwrap());
    let accuracy = Accuracy::relative(1e-3).unwrap();
    let default = ProductOptions::default();
    let a = cauchy(20, 20);
    let one_way = OneWay(a.clone(), 1.0);
    let error = Hss::from_products(&one_way, &tree, &tree, accuracy, &default).unwrap_err();
    assert!(matches!(error, MatrixError::NoTranspose { .. }));
    let error = Hss::from_products(&OneWay(a.clone(), f64::NAN), &tree, &tree, accuracy, &default).unwrap_err();
    assert!(matches!(error, MatrixError::Entry { .. }));
    let error = Hss::from_products(&cauchy(20, 21), &tree, &tree, accuracy, &default).unwrap_err();
    assert!(matches!(error, MatrixError::Shapes { .. }));
    let other = Arc::new(ClusterTree::bisection(20, 10).unwrap());
    assert!(matches!(Hss::from_products(&a, &tree, &other, accuracy, &default), Err(MatrixError::Tree { .. })));
    for bad in [
        ProductOptions { rank: Some(0), ..default },
        ProductOptions { probes: 0, ..default },
        ProductOptions { failure: 0.0, ..default },
        ProductOptions { failure: f64::NAN, ..default },
    ] {
        assert!(matches!(Hss::from_products(&a, &tree, &tree, accuracy, &bad), Err(MatrixError::Option { .. })));
    }
}

#[test]
fn the_zero_matrix_and_single_precision() {
    let tree = Arc::new(ClusterTree::bisection(70, 8).unwrap());
    let accuracy = Accuracy::absolute(1e-3).unwrap();
    let zero = Hss::from_products(&Matrix::<f64>::zeros(70, 70), &tree, &tree, accuracy, &ProductOptions::default());
    assert_eq!(zero.unwrap().matrix.to_dense().norm_frobenius(), 0.0);
    let a = Matrix::<f32>::from_fn(70, 70, |i, j| 1.0 / (1.0 + i.abs_diff(j) as f32));
    let accuracy = Accuracy::relative(1e-3).unwrap();
    let built = Hss::from_products(&a, &tree, &tree, accuracy, &ProductOptions::default()).unwrap();
    let dense = built.matrix.to_dense();
    let error = Matrix::from_fn(70, 70, |i, j| a[(i, j)] - dense[(i, j)]).norm_frobenius();
    assert!(error <= 1e-3 * a.norm_frobenius() && error <= built.certificate.frobenius.value);
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let a = cauchy(120, 120);
    let tree = Arc::new(ClusterTree::bisection(120, 10).unwrap());
    let accuracy = Accuracy::relative(1e-6).unwrap();
    let build = |seed, threads| {
        let options = ProductOptions { seed, ..ProductOptions::default() };
        on_threads(threads, || Hss::from_products(&a, &tree, &tree, accuracy, &options).unwrap().matrix)
    };
    assert_eq!(build(1, 1), build(1, 2));
    assert_ne!(build(1, 1).data(), build(2, 1).data());
}
