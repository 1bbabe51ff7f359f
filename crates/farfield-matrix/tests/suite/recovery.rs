//! Operators recovered from input/output pairs, and data from which none can be.

use std::sync::Arc;

use crate::cases::*;
use farfield_matrix::{ClusterTree, Hss, LinearOperator, Matrix, MatrixError, Nested, RecoverOptions};

/// The inverse of the fourth-order five-diagonal second difference `(1, -16, 30, -16, 1) / 12`, by Cholesky factorisation of the band.
struct FourthOrderPoisson {
    /// `L` by rows: entries `(i, i - 2)`, `(i, i - 1)`, `(i, i)`.
    factor: Vec<[f64; 3]>,
}

impl FourthOrderPoisson {
    fn new(n: usize) -> Self {
        let mut factor: Vec<[f64; 3]> = Vec::new();
        for i in 0..n {
            let before = |k: usize| if i >= k { factor[i - k] } else { [0.0, 0.0, 1.0] };
            let second = if i >= 2 { 1.0 / 12.0 / before(2)[2] } else { 0.0 };
            let first = if i >= 1 { (-16.0 / 12.0 - second * before(1)[1]) / before(1)[2] } else { 0.0 };
            factor.push([second, first, (30.0 / 12.0 - second * second - first * first).sqrt()]);
        }
        Self { factor }
    }
}

impl LinearOperator<f64> for FourthOrderPoisson {
    fn nrows(&self) -> usize {
        self.factor.len()
    }
    fn ncols(&self) -> usize {
        self.factor.len()
    }
    fn apply(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        let n = self.factor.len();
        let mut out = x.clone();
        for j in 0..x.ncols() {
            let u = out.col_mut(j);
            for i in 0..n {
                let [second, first, pivot] = self.factor[i];
                let known = if i >= 2 { second * u[i - 2] } else { 0.0 } + if i >= 1 { first * u[i - 1] } else { 0.0 };
                u[i] = (u[i] - known) / pivot;
            }
            for i in (0..n).rev() {
                let below = if i + 2 < n { self.factor[i + 2][0] * u[i + 2] } else { 0.0 };
                let next = if i + 1 < n { self.factor[i + 1][1] * u[i + 1] } else { 0.0 };
                u[i] = (u[i] - below - next) / self.factor[i][2];
            }
        }
        Ok(out)
    }
    fn apply_transpose(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        self.apply(x)
    }
}

fn white_noise_error(h: &Hss<f64>, a: &dyn LinearOperator<f64>) -> f64 {
    let x = gaussian(&mut rng(1234), a.ncols(), 20);
    let y = a.apply(&x).unwrap();
    distance(&y, &h.apply(&x).unwrap()) / y.norm_frobenius()
}

#[test]
fn the_five_diagonal_scheme_is_inverted_rightly() {
    let a = FourthOrderPoisson::new(50);
    let five = Matrix::from_fn(50, 50, |i, j| [30.0, -16.0, 1.0, 0.0][i.abs_diff(j).min(3)] / 12.0);
    let x = gaussian(&mut rng(1), 50, 2);
    assert!(distance(&five.apply(&a.apply(&x).unwrap()).unwrap(), &x) <= 1e-11 * x.norm_frobenius());
}

#[test]
fn the_poisson_solution_operator_to_1e_10_from_22_pairs() {
    for n in [256, 1024] {
        let a = FourthOrderPoisson::new(n);
        for seed in 1..=5 {
            let x = gaussian(&mut rng(seed), n, 22); // max(8 + 4, 3 * 4) + 10
            let y = a.apply(&x).unwrap();
            for options in [
                RecoverOptions::default(),
                RecoverOptions { leaf_size: Some(8), rank: Some(4), ..RecoverOptions::default() },
            ] {
                let recovered = Hss::recover(&x, &y, None, &options).unwrap();
                let error = white_noise_error(&recovered.matrix, &a);
                assert!(error <= 1e-10, "n = {n}, seed {seed}: {error:e}");
                assert!(recovered.held_out_error <= 1e-10 && recovered.held_out_error >= 0.01 * error);
                assert_eq!((recovered.samples, recovered.held_out), (20, 2));
                assert!(recovered.matrix.rank() <= 8 && recovered.asymmetry <= 1e-12);
                if n == 256 {
                    let identity = Matrix::identity(n);
                    let dense = recovered.matrix.apply(&identity).unwrap();
                    let true_error = distance(&a.apply(&identity).unwrap(), &dense);
                    assert!(true_error <= recovered.certificate.frobenius.value);
                }
            }
        }
    }
}

#[test]
fn a_rank_that_is_too_small_is_refused_with_the_error_reached() {
    let a = FourthOrderPoisson::new(256);
    let x = gaussian(&mut rng(2), 256, 40);
    let y = a.apply(&x).unwrap();
    let options = RecoverOptions { leaf_size: Some(8), rank: Some(2), ..RecoverOptions::default() };
    let error = Hss::recover(&x, &y, None, &options).unwrap_err().to_string();
    assert!(error.contains("held-out") && error.contains("rank 2"), "{error}");
    let loose = RecoverOptions { tolerance: 0.1, ..options };
    let recovered = Hss::recover(&x, &y, None, &loose).unwrap();
    assert!(recovered.held_out_error > 1e-7 && white_noise_error(&recovered.matrix, &a) < 0.1);
}

#[test]
fn a_few_sine_modes_are_refused() {
    let n = 256;
    let a = FourthOrderPoisson::new(n);
    for modes in [1, 3, 5] {
        let coefficients = gaussian(&mut rng(3), modes, 60);
        let sine = |i: usize, k: usize| (std::f64::consts::PI * (k + 1) as f64 * (i + 1) as f64 / (n + 1) as f64).sin();
        let x = Matrix::from_fn(n, 60, |i, j| (0..modes).map(|k| coefficients[(k, j)] * sine(i, k)).sum());
        let y = a.apply(&x).unwrap();
        for leaf_size in [None, Some(8)] {
            let options = RecoverOptions { leaf_size, ..RecoverOptions::default() };
            match Hss::recover(&x, &y, None, &options) {
                Err(MatrixError::Recovery { reason }) => {
                    assert!(reason.contains("dependent on leaf") || reason.contains("span only"), "{reason}");
                    if leaf_size.is_some() {
                        // So smooth are they that five modes have less than rank five on eight points.
                        assert!(
                            (1..=modes).any(|r| reason.contains(&format!("rank {r} of 8, deficiency {}", 8 - r))),
                            "{reason}"
                        );
                    }
                    assert_eq!(reason.lines().count(), 1);
                }
                other => panic!("{modes} modes: {other:?}"),
            }
        }
    }
}

#[test]
fn too_few_pairs_are_refused_with_the_number_needed() {
    let a = FourthOrderPoisson::new(128);
    let options = RecoverOptions { leaf_size: Some(8), rank: Some(4), oversampling: 10, ..RecoverOptions::default() };
    let x = gaussian(&mut rng(4), 128, 23);
    let y = a.apply(&x).unwrap();
    let reason = Hss::recover(&x, &y, None, &options).unwrap_err().to_string();
    assert!(reason.contains("23 pairs are too few") && reason.contains("make 24"), "{reason}");
    let x = gaussian(&mut rng(4), 128, 24);
    assert!(Hss::recover(&x, &a.apply(&x).unwrap(), None, &options).is_ok());
    for pairs in [0, 1, 2, 3] {
        let x = gaussian(&mut rng(4), 128, pairs);
        let y = a.apply(&x).unwrap();
        let error = Hss::recover(&x, &y, None, &RecoverOptions::default()).unwrap_err();
        assert!(matches!(error, MatrixError::Recovery { .. }), "{error}");
    }
}

#[test]
fn asymmetry_is_detected() {
    let mut random = rng(5);
    let tree = Arc::new(ClusterTree::bisection(128, 8).unwrap());
    let symmetric = random_spd(&mut random, &tree, 1, 1.0);
    let skew = random_hss(&mut random, &tree, &tree, |_| (1, 1), 0.0);
    let x = gaussian(&mut random, 128, 40);
    let recovered = Hss::recover(&x, &symmetric.apply(&x).unwrap(), Some(&tree), &RecoverOptions::default()).unwrap();
    assert!(white_noise_error(&recovered.matrix, &symmetric) < 1e-10);
    for factor in [1.0, 1e-3, 1e-6] {
        let a = symmetric.add(&skew.scale(factor).unwrap()).unwrap();
        let error = Hss::recover(&x, &a.apply(&x).unwrap(), Some(&tree), &RecoverOptions::default()).unwrap_err();
        assert!(matches!(&error, MatrixError::Recovery { reason } if reason.contains("not symmetric")), "{error}");
    }
}

#[test]
fn inputs_in_any_order_with_the_tree_of_the_user() {
    let mut random = rng(6);
    let tree = Arc::new(wild_tree(&mut random, 100));
    let largest = tree.leaves().map(|i| tree.cluster(i).len()).max().unwrap();
    let a = random_spd(&mut random, &tree, 1, 2.0);
    let x = gaussian(&mut random, 100, largest.max(10) + 30);
    let options = RecoverOptions { rank: Some(2), ..RecoverOptions::default() };
    let recovered = Hss::recover(&x, &a.apply(&x).unwrap(), Some(&tree), &options).unwrap();
    assert!(white_noise_error(&recovered.matrix, &a) < 1e-9);
}

#[test]
fn one_unknown_and_single_precision() {
    let x = gaussian(&mut rng(7), 1, 12);
    let y = Matrix::from_fn(1, 12, |_, j| 2.5 * x[(0, j)]);
    let recovered = Hss::recover(&x, &y, None, &RecoverOptions::default()).unwrap();
    assert!((recovered.matrix.to_dense()[(0, 0)] - 2.5).abs() < 1e-14);

    let wide = gaussian(&mut rng(8), 64, 40);
    let x = Matrix::<f32>::from_fn(64, 40, |i, j| wide[(i, j)] as f32);
    let a = Matrix::<f32>::from_fn(64, 64, |i, j| (i.min(j) + 1) as f32 * (64 - i.max(j)) as f32 / 65.0);
    let options = RecoverOptions { tolerance: 1e-3, ..RecoverOptions::default() };
    let recovered = Hss::recover(&x, &a.apply(&x).unwrap(), None, &options).unwrap();
    let dense = recovered.matrix.to_dense();
    let error = Matrix::from_fn(64, 64, |i, j| a[(i, j)] - dense[(i, j)]).norm_frobenius();
    assert!(error <= 1e-3 * a.norm_frobenius());
}

#[test]
fn data_that_do_not_fit_are_errors() {
    let options = RecoverOptions::default();
    let x = gaussian(&mut rng(9), 32, 30);
    assert!(matches!(Hss::recover(&x, &gaussian(&mut rng(9), 31, 30), None, &options), Err(MatrixError::Rows { .. })));
    assert!(matches!(
        Hss::recover(&x, &gaussian(&mut rng(9), 32, 29), None, &options),
        Err(MatrixError::Shapes { .. })
    ));
    let tree = Arc::new(ClusterTree::bisection(33, 8).unwrap());
    assert!(matches!(Hss::recover(&x, &x, Some(&tree), &options), Err(MatrixError::Rows { .. })));
    let mut bad = x.clone();
    bad[(4, 5)] = f64::INFINITY;
    for (x, y) in [(&x, &bad), (&bad, &x)] {
        assert!(matches!(Hss::recover(x, y, None, &options), Err(MatrixError::Entry { row: 4, col: 5, .. })));
    }
    for bad in [
        RecoverOptions { tolerance: 0.0, ..options },
        RecoverOptions { failure: 1.0, ..options },
        RecoverOptions { rank: Some(0), ..options },
        RecoverOptions { leaf_size: Some(0), ..options },
    ] {
        assert!(matches!(Hss::recover(&x, &x, None, &bad), Err(MatrixError::Option { .. })), "{bad:?}");
    }
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let a = FourthOrderPoisson::new(200);
    let x = gaussian(&mut rng(10), 200, 30);
    let y = a.apply(&x).unwrap();
    let run = |threads| on_threads(threads, || Hss::recover(&x, &y, None, &RecoverOptions::default()).unwrap().matrix);
    assert_eq!(run(1), run(2));
}

/// The operator on the points that are not zero, between zeros.
struct Padded {
    inner: FourthOrderPoisson,
    zero: Vec<bool>,
}

impl LinearOperator<f64> for Padded {
    fn nrows(&self) -> usize {
        self.zero.len()
    }
    fn ncols(&self) -> usize {
        self.zero.len()
    }
    fn apply(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        let places: Vec<usize> = (0..self.zero.len()).filter(|&i| !self.zero[i]).collect();
        let inside = Matrix::from_fn(places.len(), x.ncols(), |i, j| x[(places[i], j)]);
        let y = self.inner.apply(&inside)?;
        let mut out = Matrix::zeros(self.zero.len(), x.ncols());
        for (i, &place) in places.iter().enumerate() {
            (0..x.ncols()).for_each(|j| out[(place, j)] = y[(i, j)]);
        }
        Ok(out)
    }
    fn apply_transpose(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        self.apply(x)
    }
}

/// Halves of halves, the upper one first, indices descending in the leaves.
fn backwards(range: std::ops::Range<usize>) -> Nested {
    if range.len() <= 8 {
        return Nested::Leaf(range.rev().collect());
    }
    let middle = range.start + range.len() / 2;
    Nested::Split(vec![backwards(middle..range.end), backwards(range.start..middle)])
}

#[test]
fn zero_points_stay_in_place() {
    let n = 258;
    // A boundary; a boundary and a hole that is wider than a leaf; every other point of a part.
    let masks: [fn(usize) -> bool; 3] = [
        |i| i == 0 || i == 257,
        |i| i == 0 || i == 257 || (100..140).contains(&i),
        |i| (64..128).contains(&i) && i % 2 == 0,
    ];
    for mask in masks {
        let zero: Vec<bool> = (0..n).map(mask).collect();
        let count = zero.iter().filter(|z| !**z).count();
        let a = Padded { inner: FourthOrderPoisson::new(count), zero: zero.clone() };
        let noise = gaussian(&mut rng(11), n, 34);
        let x = Matrix::from_fn(n, 34, |i, j| if zero[i] { 0.0 } else { noise[(i, j)] });
        let y = a.apply(&x).unwrap();
        let refused = Hss::recover(&x, &y, None, &RecoverOptions::default()).unwrap_err().to_string();
        assert!(refused.contains(&format!("{} of 258 points are zero", n - count)), "{refused}");
        let keep = RecoverOptions { zero_points: true, ..RecoverOptions::default() };
        let backwards = Arc::new(ClusterTree::from_nested(&backwards(0..n)).unwrap());
        let fixed = RecoverOptions { leaf_size: Some(8), rank: Some(4), ..keep };
        for (tree, options) in [(None, keep), (None, fixed), (Some(&backwards), keep)] {
            let recovered = Hss::recover(&x, &y, tree, &options).unwrap();
            let h = &recovered.matrix;
            assert_eq!((h.nrows(), h.ncols(), recovered.zero_points.len()), (n, n, n - count));
            assert!(recovered.zero_points.iter().all(|&i| zero[i]));
            assert!(recovered.held_out_error <= 1e-10 && white_noise_error(h, &a) <= 1e-10);
            let (dense, exact) = (h.to_dense(), a.apply(&Matrix::identity(n)).unwrap());
            let gap = distance(&dense, &exact);
            assert!(gap <= recovered.certificate.frobenius.value && gap <= 1e-9 * exact.norm_frobenius());
            for i in (0..n).filter(|&i| zero[i]) {
                assert!((0..n).all(|j| dense[(i, j)] == 0.0 && dense[(j, i)] == 0.0), "point {i}");
            }
            assert_eq!(recovered.certificate.dense, n * n);
            assert!((recovered.certificate.norm - h.norm_frobenius()).abs() <= 1e-12 * h.norm_frobenius());
        }
    }
}

#[test]
fn zero_points_that_are_not_zero_everywhere_are_refused() {
    let n = 128;
    let a = FourthOrderPoisson::new(n);
    let noise = gaussian(&mut rng(14), n, 40);
    let x = Matrix::from_fn(n, 40, |i, j| if i == 17 { 0.0 } else { noise[(i, j)] });
    let y = a.apply(&x).unwrap();
    let keep = RecoverOptions { zero_points: true, ..RecoverOptions::default() };
    let refused = Hss::recover(&x, &y, None, &keep).unwrap_err().to_string();
    assert!(refused.contains("dependent on leaf"), "{refused}");
    let nothing = Matrix::<f64>::zeros(n, 40);
    let refused = Hss::recover(&nothing, &nothing, None, &keep).unwrap_err().to_string();
    assert!(refused.contains("all pairs are zero"), "{refused}");
    // An operator that is zero is no point that is zero.
    let zero = Hss::recover(&noise, &nothing, None, &keep).unwrap();
    assert!(zero.zero_points.is_empty() && zero.matrix.norm_frobenius() == 0.0);
}
