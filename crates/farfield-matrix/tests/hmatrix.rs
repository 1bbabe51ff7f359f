//! H-matrices against dense ones, in units of the tolerance asked for.

use std::sync::Arc;

use farfield_matrix::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A matrix with the tree and admissibility that suit it.
struct Case {
    name: &'static str,
    a: Matrix<f64>,
    rows: Arc<ClusterTree>,
    cols: Arc<ClusterTree>,
    eta: Option<f64>,
}

impl Case {
    fn admissibility(&self) -> Admissibility<'static> {
        self.eta.map_or(Admissibility::Weak, |eta| Admissibility::Strong { eta })
    }

    fn build(&self, options: &HMatrixOptions) -> Result<(HMatrix<f64>, Certificate), MatrixError> {
        HMatrix::build(&self.a, &self.rows, &self.cols, self.admissibility(), options)
    }

    fn built(&self, tolerance: f64) -> HMatrix<f64> {
        self.build(&options(tolerance)).unwrap().0
    }
}

fn cloud(n: usize, dim: usize, seed: u64) -> Points {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Points::new(dim, (0..n * dim).map(|_| rng.random::<f64>()).collect()).unwrap()
}

fn random(m: usize, n: usize, seed: u64) -> Matrix<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Matrix::from_fn(m, n, |_, _| rng.sample(StandardNormal))
}

fn distance(a: &Points, i: usize, b: &Points, j: usize) -> f64 {
    a.point(i).iter().zip(b.point(j)).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
}

fn geometric(points: &Points, leaf: usize, splitting: Splitting) -> Arc<ClusterTree> {
    Arc::new(ClusterTree::geometric(points, leaf, splitting).unwrap())
}

/// Square matrices of order `n`, all of full rank.
fn square_cases(n: usize) -> Vec<Case> {
    let line = Arc::new(ClusterTree::bisection(n, 17).unwrap());
    let weak = |name, a| Case { name, a, rows: Arc::clone(&line), cols: Arc::clone(&line), eta: None };
    let (u, v) = (random(n, 3, 1), random(n, 3, 2));
    let low = u.apply(&v.transpose()).unwrap();
    let (p1, p2) = (cloud(n, 1, 3), cloud(n, 2, 4));
    let (t1, t2) = (geometric(&p1, 20, Splitting::Midpoint), geometric(&p2, 23, Splitting::Median));
    let kernel = |name, p: &Points, tree: &Arc<ClusterTree>, f: &dyn Fn(f64) -> f64, diagonal: f64| Case {
        name,
        a: Matrix::from_fn(n, n, |i, j| if i == j { diagonal } else { f(distance(p, i, p, j)) }),
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
fn rectangular_cases() -> Vec<Case> {
    let (a, b) = (cloud(310, 2, 5), cloud(190, 2, 6));
    let kernel = |i: usize, j: usize| 1.0 / (0.05 + distance(&a, i, &b, j));
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

fn options(tolerance: f64) -> HMatrixOptions {
    HMatrixOptions::new(Accuracy::relative(tolerance).unwrap())
}

fn relative(tolerance: f64) -> Accuracy {
    Accuracy::relative(tolerance).unwrap()
}

fn minus(a: &Matrix<f64>, b: &Matrix<f64>) -> Matrix<f64> {
    assert_eq!((a.nrows(), a.ncols()), (b.nrows(), b.ncols()));
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)])
}

fn times(a: &Matrix<f64>, b: &Matrix<f64>) -> Matrix<f64> {
    a.apply(b).unwrap()
}

#[track_caller]
fn assert_close(a: &Matrix<f64>, b: &Matrix<f64>, tolerance: f64, what: &str) {
    let (error, norm) = (minus(a, b).norm_frobenius(), b.norm_frobenius());
    assert!(error <= tolerance * norm, "{what}: {:.2e} against {tolerance:.2e}", error / norm);
}

/// Gaussian elimination with partial pivoting: the dense oracle of the log-determinant.
fn dense_log_determinant(a: &Matrix<f64>) -> (i32, f64) {
    let n = a.nrows();
    let mut a: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| a[(i, j)]).collect()).collect();
    let (mut sign, mut log) = (1, 0.0);
    for k in 0..n {
        let pivot = (k..n).max_by(|&p, &q| a[p][k].abs().total_cmp(&a[q][k].abs())).unwrap();
        if pivot != k {
            a.swap(k, pivot);
            sign = -sign;
        }
        let row = a[k].clone();
        sign *= row[k].signum() as i32;
        log += row[k].abs().ln();
        for other in &mut a[k + 1..] {
            let factor = other[k] / row[k];
            for (x, y) in other[k..].iter_mut().zip(&row[k..]) {
                *x -= factor * y;
            }
        }
    }
    (sign, log)
}

#[test]
fn builds_meet_every_tolerance() {
    let mut cases = square_cases(250);
    cases.extend(rectangular_cases());
    for case in &cases {
        for tolerance in [1e-2, 1e-4, 1e-7, 1e-10, 1e-12] {
            for compression in [
                Compression::Svd,
                Compression::CrossApproximation { check: Check::Exact },
                Compression::CrossApproximation { check: Check::Sampled },
            ] {
                let (h, certificate) = case.build(&HMatrixOptions { compression, ..options(tolerance) }).unwrap();
                let what = format!("{}, {tolerance:.0e}, {compression:?}", case.name);
                let (full, norm) = (h.to_dense(), case.a.norm_frobenius());
                let error = minus(&full, &case.a).norm_frobenius();
                assert!(error <= tolerance * norm, "{what}: {:.2e}", error / norm);
                assert!(error <= certificate.frobenius.value + 1e-15 * norm, "{what}: {error:.2e}, {certificate:?}");
                assert!(certificate.frobenius.value <= tolerance * norm);
                assert!((certificate.norm - full.norm_frobenius()).abs() <= 1e-12 * norm, "{what}");
                let proven = certificate.frobenius.confidence == Confidence::Proven;
                let sampled = compression == Compression::CrossApproximation { check: Check::Sampled };
                assert!(proven || sampled, "{what}");
                assert!(!(proven && sampled && case.name == "1 / r in 2D" && tolerance >= 1e-4), "{what}");
                assert_eq!(certificate.stored, h.stored());
            }
        }
    }
}

#[test]
fn larger_matrices() {
    let n = 1000;
    for k in [2, 4, 6] {
        let case = square_cases(n).swap_remove(k);
        for tolerance in [1e-2, 1e-5, 1e-8, 1e-12] {
            let (h, certificate) = case.build(&options(tolerance)).unwrap();
            assert_close(&h.to_dense(), &case.a, tolerance, case.name);
            assert!(certificate.frobenius.value <= tolerance * case.a.norm_frobenius());
            assert!(certificate.compression() < 0.8, "{}, {tolerance}: {}", case.name, certificate.compression());
        }
    }
}

#[test]
fn absolute_tolerances_and_global_division() {
    for case in square_cases(220) {
        for tolerance in [1e-2, 1e-6, 1e-10] {
            for compression in [Compression::Svd, Compression::CrossApproximation { check: Check::Sampled }] {
                let accuracy = Accuracy::absolute(tolerance).unwrap();
                let (h, _) = case.build(&HMatrixOptions { compression, ..HMatrixOptions::new(accuracy) }).unwrap();
                let error = minus(&h.to_dense(), &case.a).norm_frobenius();
                assert!(error <= tolerance, "{} {tolerance}: {error}", case.name);
                let global = HMatrixOptions { compression, division: Division::Global, ..options(tolerance) };
                let (h, certificate) = case.build(&global).unwrap();
                assert_close(&h.to_dense(), &case.a, tolerance, case.name);
                assert!(certificate.frobenius.value <= tolerance * case.a.norm_frobenius());
            }
        }
    }
}

#[test]
fn global_division_takes_less_memory_than_blockwise() {
    let case = &square_cases(400)[7];
    let global = HMatrixOptions { division: Division::Global, ..options(1e-4) };
    assert!(case.build(&global).unwrap().0.stored() < case.built(1e-4).stored());
}

#[test]
fn products_with_vectors_and_their_transposes() {
    let mut cases = square_cases(230);
    cases.extend(rectangular_cases());
    for case in &cases {
        let h = case.built(1e-6);
        let full = h.to_dense();
        for width in [0, 1, 3, 40] {
            let (x, y) = (random(h.ncols(), width, 8), random(h.nrows(), width, 9));
            assert_close(&h.apply(&x).unwrap(), &times(&full, &x), 1e-13, case.name);
            let transposed = times(&full.transpose(), &y);
            assert_close(&h.apply_transpose(&y).unwrap(), &transposed, 1e-13, case.name);
            assert_close(&h.transpose().apply(&y).unwrap(), &transposed, 1e-13, case.name);
        }
    }
}

#[test]
fn extraction_diagonal_trace_and_norm() {
    let mut cases = square_cases(180);
    cases.extend(rectangular_cases());
    for case in &cases {
        let h = case.built(1e-5);
        let full = h.to_dense();
        let scale = full.norm_frobenius();
        let rows: Vec<usize> = (0..60).map(|i| (i * 37) % h.nrows()).chain([0, 0]).collect();
        let cols: Vec<usize> = (0..50).map(|j| (j * 91) % h.ncols()).collect();
        let block = h.block(&rows, &cols).unwrap();
        for (i, &row) in rows.iter().enumerate() {
            for (j, &col) in cols.iter().enumerate() {
                assert!((block[(i, j)] - full[(row, col)]).abs() <= 1e-14 * scale);
            }
        }
        assert!((h.entry(3, 5).unwrap() - full[(3, 5)]).abs() <= 1e-14 * scale);
        let diagonal = h.diagonal();
        assert_eq!(diagonal.len(), h.nrows().min(h.ncols()));
        assert!(diagonal.iter().enumerate().all(|(i, &d)| (d - full[(i, i)]).abs() <= 1e-14 * scale));
        if h.nrows() == h.ncols() {
            assert!((h.trace().unwrap() - diagonal.iter().sum::<f64>()).abs() <= 1e-12 * scale);
        } else {
            assert!(matches!(h.trace(), Err(MatrixError::Shapes { .. })));
        }
        assert!((h.norm_frobenius() - scale).abs() <= 1e-13 * scale);
        assert!(h.entry(h.nrows(), 0).is_err() && h.block(&[0], &[h.ncols()]).is_err());
        assert_eq!(h.memory_bytes(), 8 * h.stored());
        let area: usize = h.leaves().iter().map(|leaf| leaf.rows.len() * leaf.cols.len()).sum();
        assert_eq!(area, h.nrows() * h.ncols());
    }
}

#[test]
fn sums_shifts_scales_and_updates() {
    let n = 200;
    for (case, other) in square_cases(n).iter().zip(square_cases(n).iter().map(|case| &case.a)) {
        let h = case.built(1e-13);
        let full = h.to_dense();
        let scaled = h.scale(-2.5).unwrap().to_dense();
        assert_close(&scaled, &Matrix::from_fn(n, n, |i, j| -2.5 * full[(i, j)]), 1e-15, case.name);
        let shifted = h.shift(0.75).unwrap().to_dense();
        let expected = Matrix::from_fn(n, n, |i, j| full[(i, j)] + if i == j { 0.75 } else { 0.0 });
        assert_close(&shifted, &expected, 1e-15, case.name);
        // The transpose of another matrix on the same trees, and with other blocks.
        let second = HMatrix::build(&other.transpose(), &case.rows, &case.cols, case.admissibility(), &options(1e-13))
            .unwrap()
            .0;
        let flat = HMatrix::build(other, &case.rows, &case.cols, Admissibility::Custom(&|_, _| false), &options(1e-2))
            .unwrap()
            .0;
        let all = HMatrix::build(other, &case.rows, &case.cols, Admissibility::Weak, &options(1e-13)).unwrap().0;
        let (u, v) = (random(n, 2, 30), random(n, 2, 31));
        let low = times(&u, &v.transpose());
        for tolerance in [1e-3, 1e-8, 1e-12] {
            let accuracy = relative(tolerance);
            for b in [&second, &flat, &all] {
                for (left, right) in [(&h, b), (b, &h)] {
                    let (sum, certificate) = left.add(right, accuracy).unwrap();
                    let b = right.to_dense();
                    let a = left.to_dense();
                    let exact = Matrix::from_fn(n, n, |i, j| a[(i, j)] + b[(i, j)]);
                    let error = minus(&sum.to_dense(), &exact).norm_frobenius();
                    let norm = exact.norm_frobenius();
                    assert!(error <= tolerance * norm, "{} sum {tolerance}: {:.2e}", case.name, error / norm);
                    assert!(error <= certificate.frobenius.value + 1e-14 * norm);
                }
            }
            let (updated, certificate) = h.add_low_rank(&u, &v, accuracy).unwrap();
            let exact = Matrix::from_fn(n, n, |i, j| full[(i, j)] + low[(i, j)]);
            let error = minus(&updated.to_dense(), &exact).norm_frobenius();
            assert!(
                error <= tolerance * exact.norm_frobenius()
                    && error <= certificate.frobenius.value + 1e-14 * exact.norm_frobenius()
            );
            let (smaller, certificate) = h.recompress(accuracy).unwrap();
            let error = minus(&smaller.to_dense(), &full).norm_frobenius();
            assert!(error <= certificate.frobenius.value + 1e-14 * full.norm_frobenius());
            assert!(error <= tolerance * full.norm_frobenius() && smaller.stored() <= h.stored(), "{}", case.name);
        }
        let difference =
            h.add(&h.scale(-1.0).unwrap(), Accuracy::absolute(1e-10 * full.norm_frobenius()).unwrap()).unwrap().0;
        assert!(difference.norm_frobenius() <= 1e-10 * full.norm_frobenius());
    }
}

#[test]
fn products_of_two_matrices() {
    for case in square_cases(210) {
        let h = case.built(1e-13);
        let full = h.to_dense();
        for tolerance in [1e-3, 1e-7, 1e-11] {
            let (square, certificate) =
                h.multiply(&h.transpose(), case.admissibility(), relative(tolerance), 5).unwrap();
            let exact = times(&full, &full.transpose());
            let error = minus(&square.to_dense(), &exact).norm_frobenius();
            assert!(error <= tolerance * exact.norm_frobenius(), "{} {tolerance}: {error:.2e}", case.name);
            assert!(error <= certificate.frobenius.value);
            assert!(
                matches!(certificate.frobenius.confidence, Confidence::Probabilistic { failure } if failure <= 1e-6)
            );
        }
    }
    for case in rectangular_cases() {
        let h = case.built(1e-12);
        let (gram, _) = h.transpose().multiply(&h, Admissibility::Strong { eta: 1.0 }, relative(1e-9), 5).unwrap();
        assert_close(&gram.to_dense(), &times(&case.a.transpose(), &case.a), 2e-9, case.name);
        assert!(matches!(h.multiply(&h, Admissibility::Weak, relative(0.1), 0), Err(MatrixError::Tree { .. })));
    }
}

/// `||B - H X|| / (||H|| ||X|| + ||B||)`.
fn backward_error(h: &HMatrix<f64>, x: &Matrix<f64>, b: &Matrix<f64>, transposed: bool) -> f64 {
    let hx = if transposed { h.apply_transpose(x) } else { h.apply(x) }.unwrap();
    minus(b, &hx).norm_frobenius() / (h.norm_frobenius() * x.norm_frobenius() + b.norm_frobenius())
}

#[test]
fn lu_solves_backward_stably() {
    for n in [150, 571] {
        for case in square_cases(n) {
            let h = case.built(1e-12);
            let (lu, certificate) = h.lu(relative(1e-13), 3).unwrap();
            assert!(certificate.frobenius.value <= 1e-13 * h.norm_frobenius(), "{}", case.name);
            let b = random(n, 35, 11);
            let errors = [
                backward_error(&h, &lu.solve(&b).unwrap(), &b, false),
                backward_error(&h, &lu.solve_transpose(&b).unwrap(), &b, true),
            ];
            assert!(errors.iter().all(|&e| e <= 1e-13), "{} {n}: {errors:?}", case.name);
            let inverse = lu.apply(&b).unwrap();
            assert_eq!(inverse, lu.solve(&b).unwrap());
        }
    }
}

#[test]
fn cholesky_solves_backward_stably() {
    let mut factored = 0;
    for case in square_cases(260) {
        let h = case.built(1e-12);
        if case.a != case.a.transpose()
            || !["banded", "exponential in 1D", "Matern in 2D", "Toeplitz", "Hilbert plus diagonal", "1 / r in 2D"]
                .contains(&case.name)
        {
            continue;
        }
        factored += 1;
        // Cross approximations are symmetric to their tolerance only.
        let h = h.symmetrised().unwrap();
        assert_eq!(h.to_dense(), h.to_dense().transpose());
        assert_close(&h.to_dense(), &case.a, 1e-12, case.name);
        let (cholesky, certificate) = h.cholesky(relative(1e-13), 3).unwrap();
        assert!(certificate.frobenius.value <= 1e-13 * h.norm_frobenius(), "{}", case.name);
        let b = random(260, 3, 12);
        let x = cholesky.solve(&b).unwrap();
        let error = backward_error(&h, &x, &b, false);
        assert!(error <= 1e-13, "{}: {error:.2e}", case.name);
        let (sign, log) = dense_log_determinant(&h.to_dense());
        assert!(
            sign > 0 && (cholesky.log_determinant().ln_abs - log).abs() <= 1e-9 * log.abs().max(1.0),
            "{}",
            case.name
        );
        // L L^T is the matrix.
        let l = cholesky.apply_factor(&Matrix::identity(260)).unwrap();
        assert_close(&times(&l, &l.transpose()), &h.to_dense(), 1e-12, case.name);
    }
    assert!(factored >= 5);
}

#[test]
fn cholesky_of_an_exactly_symmetric_matrix_to_rounding() {
    let tree = Arc::new(ClusterTree::bisection(300, 16).unwrap());
    let a = EntryFn::new(300, 300, |i: usize, j: usize| {
        if i == j {
            2.0
        } else if i.abs_diff(j) == 1 {
            -1.0
        } else {
            0.0
        }
    });
    let svd = HMatrixOptions { compression: Compression::Svd, ..options(1e-13) };
    let h = HMatrix::build(&a, &tree, &tree, Admissibility::Weak, &svd).unwrap().0;
    let (cholesky, _) = h.cholesky(relative(1e-13), 3).unwrap();
    let b = random(300, 4, 12);
    assert!(backward_error(&h, &cholesky.solve(&b).unwrap(), &b, false) <= 1e-13);
    // The determinant of the second-difference matrix is n + 1.
    assert!((cholesky.log_determinant().ln_abs - 301f64.ln()).abs() <= 1e-9);
    assert!(cholesky.stored() < h.lu(relative(1e-13), 3).unwrap().0.stored());
}

#[test]
fn log_determinants_for_condition_numbers_up_to_1e10() {
    // exp(-r^2 / 2 s^2) + mu I: the smallest eigenvalue is about mu, the largest about n s.
    let n = 240;
    let points = cloud(n, 1, 40);
    let tree = geometric(&points, 16, Splitting::Median);
    for condition in [1e2, 1e5, 1e8, 1e10] {
        let entries = EntryFn::new(n, n, |i, j| {
            let r = distance(&points, i, &points, j);
            (-20.0 * r * r).exp() + if i == j { 100.0 / condition } else { 0.0 }
        });
        let h = HMatrix::build(
            &entries,
            &tree,
            &tree,
            Admissibility::Strong { eta: 2.0 },
            &HMatrixOptions { compression: Compression::Svd, ..options(1e-14) },
        );
        let h = h
            .or_else(|_| {
                HMatrix::build(
                    &entries,
                    &tree,
                    &tree,
                    Admissibility::Strong { eta: 2.0 },
                    &HMatrixOptions { compression: Compression::Svd, ..options(1e-13) },
                )
            })
            .unwrap()
            .0;
        let (sign, log) = dense_log_determinant(&h.to_dense());
        let (lu, _) = h.lu(relative(1e-14), 1).unwrap();
        let ours = lu.log_determinant();
        assert!(
            ours.sign == sign && (ours.ln_abs - log).abs() <= 1e-9 * log.abs(),
            "{condition:e}: {ours:?} against {log}"
        );
    }
    // Signs: a permuted and a negated matrix.
    let case = &square_cases(121)[2];
    let h = case.built(1e-12).scale(-1.0).unwrap();
    let (sign, log) = dense_log_determinant(&h.to_dense());
    let ours = h.lu(relative(1e-12), 1).unwrap().0.log_determinant();
    assert!(ours.sign == sign && (ours.ln_abs - log).abs() <= 1e-9 * log.abs());
}

#[test]
fn the_determinant_knows_different_orders_of_rows_and_columns() {
    let n = 24;
    let reversed = Nested::Split(vec![Nested::Leaf((12..24).rev().collect()), Nested::Leaf((0..12).collect())]);
    let rows = Arc::new(ClusterTree::from_nested(&reversed).unwrap());
    let cols = Arc::new(ClusterTree::bisection(n, 12).unwrap());
    let a = Matrix::from_fn(n, n, |i, j| if (i + 12) % n == j { 5.0 } else { 0.0 } + ((i * j) as f64).sin());
    let h = HMatrix::build(&a, &rows, &cols, Admissibility::Custom(&|_, _| false), &options(1e-3)).unwrap().0;
    let (lu, _) = h.lu(relative(1e-12), 0).unwrap();
    let ((sign, log), ours) = (dense_log_determinant(&a), lu.log_determinant());
    assert!(ours.sign == sign && (ours.ln_abs - log).abs() < 1e-12 * log.abs());
    let b = random(n, 2, 1);
    assert!(backward_error(&h, &lu.solve(&b).unwrap(), &b, false) < 1e-14);
    assert!(backward_error(&h, &lu.solve_transpose(&b).unwrap(), &b, true) < 1e-14);
    assert!(matches!(h.shift(1.0), Err(MatrixError::Tree { .. })));
    assert!(matches!(h.cholesky(relative(1e-3), 0), Err(MatrixError::Tree { .. })));
}

#[test]
fn admissible_blocks_on_the_diagonal() {
    // Low rank everywhere but in the last quarter, with finer blocks beside coarse ones.
    let n = 128;
    let tree = Arc::new(ClusterTree::bisection(n, 8).unwrap());
    let a = EntryFn::new(n, n, |i: usize, j: usize| {
        1.0 / (1.0 + i as f64 + 0.5 * j as f64) + if i == j && i >= 96 { 1.0 } else { 0.0 }
    });
    let coarse = |s: &Cluster, t: &Cluster| {
        s.range.end <= 64 && t.range.end <= 64 || s.len() <= 32 && s.range.end <= 96 || t.len() < 16 && s != t
    };
    let h = HMatrix::build(&a, &tree, &tree, Admissibility::Custom(&coarse), &options(1e-13)).unwrap().0;
    assert!(matches!(h.lu(relative(1e-12), 0), Err(MatrixError::Singular { .. })));
    assert!(h.cholesky(relative(1e-12), 0).is_err());
    let symmetric = h.symmetrised().unwrap().to_dense();
    assert_eq!(symmetric, symmetric.transpose());
    let full = Matrix::from_fn(n, n, |i, j| a.entry(i, j) + if i == j { 2.0 } else { 0.0 });
    let h = h.shift(2.0).unwrap();
    assert_close(&h.to_dense(), &full, 1e-13, "shifted");
    let b = random(n, 2, 7);
    let (lu, _) = h.lu(relative(1e-13), 0).unwrap();
    assert!(backward_error(&h, &lu.solve(&b).unwrap(), &b, false) <= 1e-13);
    let square = h.multiply(&h, Admissibility::Custom(&coarse), relative(1e-11), 0).unwrap().0;
    assert_close(&square.to_dense(), &times(&full, &full), 1e-11, "square");
}

#[test]
fn memory_grows_like_n_log_n() {
    let per_unknown = [1000, 4000, 16_000].map(|n| {
        let points = Points::new(1, (0..n).map(|i| i as f64 / n as f64).collect()).unwrap();
        let tree = geometric(&points, 25, Splitting::Median);
        let kernel = EntryFn::new(n, n, move |i: usize, j: usize| n as f64 / (1.0 + i.abs_diff(j) as f64));
        let (h, _) = HMatrix::build(&kernel, &tree, &tree, Admissibility::Strong { eta: 1.0 }, &options(1e-5)).unwrap();
        h.stored() as f64 / n as f64 / (n as f64).ln()
    });
    assert!(per_unknown[2] <= 1.2 * per_unknown[0] && per_unknown[2] <= 1.1 * per_unknown[1], "{per_unknown:?}");
}

#[test]
fn rough_factorisations_are_preconditioners() {
    let case = &square_cases(300)[6];
    let h = case.built(1e-10);
    let b = random(300, 1, 2);
    for tolerance in [1e-2, 1e-4, 1e-6] {
        let (lu, certificate) = h.lu(relative(tolerance), 1).unwrap();
        assert!(certificate.frobenius.value <= tolerance * h.norm_frobenius());
        let dense = h.to_dense();
        // ||H - L U|| measured by the identity: H (L U)^-1 - I applied to b is small.
        let residual = minus(&b, &times(&dense, &lu.solve(&b).unwrap())).norm_frobenius() / b.norm_frobenius();
        assert!(residual <= 50.0 * tolerance, "{tolerance}: {residual}");
    }
}

#[test]
fn trees_of_any_shape() {
    let kernel = |n: usize| {
        EntryFn::new(n, n, move |i: usize, j: usize| if i == j { 3.0 } else { 1.0 / (1.0 + i.abs_diff(j) as f64) })
    };
    for n in [1, 2, 3, 7, 20, 63] {
        for leaf in [1, 2, 5, 100] {
            let tree = Arc::new(ClusterTree::bisection(n, leaf).unwrap());
            let (h, _) = HMatrix::build(&kernel(n), &tree, &tree, Admissibility::Weak, &options(1e-11)).unwrap();
            let exact = Matrix::from_fn(n, n, |i, j| kernel(n).entry(i, j));
            assert_close(&h.to_dense(), &exact, 1e-11, "any shape");
            let b = random(n, 2, 1);
            let (lu, _) = h.lu(relative(1e-12), 0).unwrap();
            assert!(backward_error(&h, &lu.solve(&b).unwrap(), &b, false) <= 1e-12);
            let product = h.multiply(&h, Admissibility::Weak, relative(1e-10), 0).unwrap().0;
            assert_close(&product.to_dense(), &times(&exact, &exact), 1e-9, "square");
        }
    }
    // Leaves on many levels, three children, an empty cluster.
    let nested = Nested::Split(vec![
        Nested::Leaf((0..9).collect()),
        Nested::Split(vec![Nested::Leaf((9..14).collect()), Nested::Leaf(vec![]), Nested::Leaf((14..30).collect())]),
        Nested::Split(vec![
            Nested::Leaf((30..31).collect()),
            Nested::Split(vec![Nested::Leaf((31..50).collect()), Nested::Leaf((50..64).collect())]),
        ]),
    ]);
    let tree = Arc::new(ClusterTree::from_nested(&nested).unwrap());
    let far = |s: &Cluster, t: &Cluster| s.range.end + 3 <= t.range.start || t.range.end + 3 <= s.range.start;
    for admissibility in [Admissibility::Weak, Admissibility::Custom(&far), Admissibility::Custom(&|_, _| false)] {
        let (h, _) = HMatrix::build(&kernel(64), &tree, &tree, admissibility, &options(1e-11)).unwrap();
        let exact = Matrix::from_fn(64, 64, |i, j| kernel(64).entry(i, j));
        assert_close(&h.to_dense(), &exact, 1e-11, "uneven");
        let b = random(64, 2, 1);
        let (lu, _) = h.lu(relative(1e-12), 0).unwrap();
        assert!(backward_error(&h, &lu.solve(&b).unwrap(), &b, false) <= 1e-12);
        let product = h.multiply(&h, admissibility, relative(1e-10), 0).unwrap().0;
        assert_close(&product.to_dense(), &times(&exact, &exact), 1e-9, "square");
        assert_close(
            &h.add(&h, relative(1e-10)).unwrap().0.to_dense(),
            &h.scale(2.0).unwrap().to_dense(),
            1e-10,
            "sum",
        );
    }
}

#[test]
fn single_precision() {
    let points = cloud(300, 2, 9);
    let tree = geometric(&points, 20, Splitting::Median);
    let entries =
        EntryFn::new(
            300,
            300,
            |i, j| if i == j { 60.0f32 } else { 1.0 / (0.05 + distance(&points, i, &points, j) as f32) },
        );
    for compression in [Compression::Svd, Compression::CrossApproximation { check: Check::Sampled }] {
        let accuracy = options(1e-4);
        let (h, certificate) = HMatrix::<f32>::build(
            &entries,
            &tree,
            &tree,
            Admissibility::Strong { eta: 2.0 },
            &HMatrixOptions { compression, ..accuracy },
        )
        .unwrap();
        let full = h.to_dense();
        let error: f64 =
            (0..300 * 300).map(|k| f64::from(full[(k / 300, k % 300)] - entries.entry(k / 300, k % 300)).powi(2)).sum();
        assert!(
            error.sqrt() <= certificate.frobenius.value + 1e-6 * certificate.norm
                && certificate.frobenius.value <= 1e-4 * certificate.norm
        );
        let b = Matrix::from_fn(300, 1, |i, _| (i as f32).sin());
        let x = h.lu(relative(1e-5), 1).unwrap().0.solve(&b).unwrap();
        let residual = h.apply(&x).unwrap();
        assert!((0..300).all(|i| (residual[(i, 0)] - b[(i, 0)]).abs() < 1e-4));
    }
}

#[test]
fn what_is_wrong_is_an_error() {
    let n = 120;
    let points = cloud(n, 2, 1);
    let tree = geometric(&points, 10, Splitting::Median);
    let strong = Admissibility::Strong { eta: 2.0 };
    let kernel =
        Matrix::from_fn(n, n, |i, j| if i == j { 50.0 } else { 1.0 / (0.01 + distance(&points, i, &points, j)) });
    for bad in [f64::NAN, f64::INFINITY] {
        for (row, col) in [(7, 7), (0, 100)] {
            let mut a = kernel.clone();
            a[(row, col)] = bad;
            let svd = HMatrixOptions { compression: Compression::Svd, ..options(1e-3) };
            let error = HMatrix::build(&a, &tree, &tree, strong, &svd).unwrap_err();
            assert!(matches!(error, MatrixError::Entry { row: r, col: c, .. } if (r, c) == (row, col)), "{error}");
        }
    }
    let all_bad = EntryFn::new(n, n, |_, _| f64::NAN);
    assert!(matches!(HMatrix::build(&all_bad, &tree, &tree, strong, &options(1e-3)), Err(MatrixError::Entry { .. })));
    let small = random(n - 1, n, 1);
    assert!(matches!(
        HMatrix::build(&small, &tree, &tree, strong, &options(1e-3)),
        Err(MatrixError::Rows { got: 119, expected: 120, .. })
    ));
    let budget = HMatrixOptions { memory: Some(10_000), ..options(1e-3) };
    let error = HMatrix::build(&kernel, &tree, &tree, strong, &budget).unwrap_err();
    assert!(matches!(error, MatrixError::Memory { needed, budget: 10_000, .. } if needed > 10_000), "{error}");
    let enough = HMatrixOptions { memory: Some(8 * n * n), ..options(1e-3) };
    assert!(HMatrix::build(&kernel, &tree, &tree, strong, &enough).is_ok());
    for compression in [
        Compression::Svd,
        Compression::CrossApproximation { check: Check::Exact },
        Compression::CrossApproximation { check: Check::Sampled },
    ] {
        let capped = HMatrixOptions { compression, ..HMatrixOptions::new(relative(1e-8).max_rank(2)) };
        let error = HMatrix::build(&kernel, &tree, &tree, strong, &capped).unwrap_err();
        assert!(
            matches!(&error, MatrixError::Tolerance { tolerance, reached, .. } if reached > tolerance || compression != Compression::Svd),
            "{error}"
        );
    }
    let impossible = HMatrix::build(&kernel, &tree, &tree, strong, &options(1e-17));
    assert!(matches!(impossible, Err(MatrixError::Tolerance { .. })));
    assert!(matches!(
        HMatrix::build(&kernel, &tree, &tree, Admissibility::Strong { eta: -1.0 }, &options(1e-2)),
        Err(MatrixError::Option { .. })
    ));

    let h = HMatrix::build(&kernel, &tree, &tree, strong, &options(1e-10)).unwrap().0;
    assert!(matches!(h.apply(&random(n + 1, 1, 0)), Err(MatrixError::Rows { .. })));
    assert!(matches!(h.apply_transpose(&random(n - 1, 1, 0)), Err(MatrixError::Rows { .. })));
    assert!(
        matches!(h.scale(f64::NAN), Err(MatrixError::Factor { .. }))
            && matches!(h.shift(f64::INFINITY), Err(MatrixError::Factor { .. }))
    );
    assert!(matches!(h.lu(relative(1e-9).max_rank(1), 0), Err(MatrixError::Tolerance { .. })));
    assert!(matches!(h.recompress(relative(1e-9).max_rank(1)), Err(MatrixError::Tolerance { .. })));
    assert!(matches!(h.multiply(&h, strong, relative(1e-9).max_rank(1), 0), Err(MatrixError::Tolerance { .. })));
    assert!(matches!(h.lu(relative(1e-18), 0), Err(MatrixError::Tolerance { .. })));
    assert!(matches!(h.add_low_rank(&random(n, 2, 0), &random(n, 3, 0), relative(0.1)), Err(MatrixError::Rows { .. })));
    let lu = h.lu(relative(1e-9), 0).unwrap().0;
    assert!(matches!(lu.solve(&random(n + 1, 1, 0)), Err(MatrixError::Rows { .. })));
    let other = geometric(&cloud(n, 2, 2), 10, Splitting::Median);
    let elsewhere = HMatrix::build(&kernel, &other, &other, strong, &options(1e-3)).unwrap().0;
    assert!(matches!(h.add(&elsewhere, relative(1e-3)), Err(MatrixError::Tree { .. })));
    assert!(matches!(rectangular_cases()[0].built(1e-3).lu(relative(1e-3), 0), Err(MatrixError::Tree { .. })));
    assert!(matches!(rectangular_cases()[0].built(1e-3).shift(1.0), Err(MatrixError::Tree { .. })));
}

#[test]
fn singular_and_indefinite_matrices_are_errors() {
    let n = 100;
    let tree = Arc::new(ClusterTree::bisection(n, 12).unwrap());
    let build = |f: &(dyn Fn(usize, usize) -> f64 + Sync)| {
        let svd = HMatrixOptions { compression: Compression::Svd, ..options(1e-13) };
        HMatrix::build(&EntryFn::new(n, n, f), &tree, &tree, Admissibility::Weak, &svd).unwrap().0
    };
    // Constants are in the null space: the second difference with natural ends.
    let neumann = build(&|i, j| {
        let ends = f64::from(u8::from(i == 0) + u8::from(i == n - 1));
        if i == j {
            2.0 - ends
        } else if i.abs_diff(j) == 1 {
            -1.0
        } else {
            0.0
        }
    });
    let zero_row = build(&|i, j| if i == 57 { 0.0 } else { 1.0 / (1.0 + i.abs_diff(j) as f64) });
    let low_rank = build(&|i, j| ((i + 1) * (j + 2)) as f64);
    for (name, h) in
        [("natural ends", &neumann), ("a zero row", &zero_row), ("low rank", &low_rank), ("zero", &build(&|_, _| 0.0))]
    {
        let error = h.lu(relative(1e-12), 0).unwrap_err();
        assert!(matches!(error, MatrixError::Singular { .. }), "{name}: {error}");
    }
    let indefinite = build(&|i, j| if i == j { 1.0 - 2.0 * f64::from(u8::from(i == 60)) } else { 1e-3 });
    for h in [&neumann, &indefinite, &low_rank, &build(&|_, _| 0.0)] {
        let error = h.cholesky(relative(1e-12), 0).unwrap_err();
        assert!(matches!(error, MatrixError::NotPositiveDefinite { .. }), "{error}");
    }
    // Not symmetric: the lower triangle alone would pass.
    let lower = build(&|i, j| {
        if i == j {
            4.0
        } else if i > j {
            0.01
        } else {
            0.0
        }
    });
    assert!(matches!(lower.cholesky(relative(1e-6), 0), Err(MatrixError::Tolerance { .. })));
    assert!(lower.lu(relative(1e-12), 0).is_ok());
    // A singular leaf on the diagonal of a regular matrix needs pivots from elsewhere.
    let saddle = build(&|i, j| if i + j == n - 1 { 1.0 } else { 0.0 });
    assert!(matches!(saddle.lu(relative(1e-12), 0), Err(MatrixError::Singular { .. })));
}

#[test]
fn coinciding_points_are_fine() {
    let points = Points::new(2, vec![0.25; 2 * 90]).unwrap();
    let tree = geometric(&points, 8, Splitting::Median);
    let ones = EntryFn::new(90, 90, |i, j| 1.0 + f64::from(u8::from(i == j)));
    let (h, _) = HMatrix::build(&ones, &tree, &tree, Admissibility::Strong { eta: 1.0 }, &options(1e-10)).unwrap();
    assert_eq!(h.to_dense(), Matrix::from_fn(90, 90, |i, j| ones.entry(i, j)));
    let log = h.lu(relative(1e-12), 0).unwrap().0.log_determinant().ln_abs;
    assert!((log - 91f64.ln()).abs() < 1e-12);
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let case = &square_cases(350)[7];
    let b = random(350, 2, 3);
    let run = || {
        let (h, certificate) = case.build(&options(1e-6)).unwrap();
        let (lu, of_lu) = h.lu(relative(1e-6), 4).unwrap();
        let (cholesky, _) = h.cholesky(relative(1e-4), 4).unwrap();
        let (square, of_square) = h.multiply(&h, case.admissibility(), relative(1e-6), 4).unwrap();
        let vectors = [h.apply(&b), h.apply_transpose(&b), lu.solve(&b), lu.solve_transpose(&b), cholesky.solve(&b)];
        (h.to_dense(), square.to_dense(), vectors.map(Result::unwrap), certificate, of_lu, of_square)
    };
    let pools = [1, 2, 5].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    let results = pools.map(|pool| pool.install(run));
    assert!(results[0] == results[1] && results[1] == results[2]);
}

#[test]
fn progress_counts_every_block() {
    let case = &square_cases(150)[7];
    let calls = std::sync::Mutex::new(Vec::new());
    let progress = |done: usize, total: usize| calls.lock().unwrap().push((done, total));
    let (h, _) =
        HMatrix::build_with_progress(&case.a, &case.rows, &case.cols, case.admissibility(), &options(1e-3), &progress)
            .unwrap();
    let mut calls = calls.into_inner().unwrap();
    calls.sort_unstable();
    let total = h.leaves().len();
    assert_eq!(calls, (1..=total).map(|done| (done, total)).collect::<Vec<_>>());
}

#[test]
fn proven_certificates_are_never_exceeded_and_sharp() {
    let mut ratios = Vec::new();
    for trial in 0..1000u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(trial);
        let n = rng.random_range(20..90);
        let points = cloud(n, 1 + (trial % 3) as usize, trial);
        let tree = geometric(&points, rng.random_range(4..12), Splitting::Median);
        let (scale, tolerance) = (10f64.powf(rng.random_range(-3.0..3.0)), 10f64.powf(rng.random_range(-12.0..-1.0)));
        let a = Matrix::from_fn(n, n, |i, j| scale / (0.1 + distance(&points, i, &points, j)));
        let compression =
            [Compression::Svd, Compression::CrossApproximation { check: Check::Exact }][(trial % 2) as usize];
        let o = HMatrixOptions { compression, seed: trial, ..options(tolerance) };
        let (h, certificate) = HMatrix::build(&a, &tree, &tree, Admissibility::Strong { eta: 2.0 }, &o).unwrap();
        let error = minus(&h.to_dense(), &a).norm_frobenius();
        assert!(error <= certificate.frobenius.value, "trial {trial}: {error} > {:?}", certificate.frobenius);
        if error > 0.0 {
            ratios.push(certificate.frobenius.value / error);
        }
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios.len() > 100 && ratios[ratios.len() / 2] < 2.0, "median {}", ratios[ratios.len() / 2]);
}
