//! Sums, updates, shifts, recompression and extraction of H2-matrices, against dense ones.

use std::sync::Arc;

use farfield_matrix::{
    Accuracy, Admissibility, AtZero, Confidence, Entries, H2Basis, H2Matrix, H2Options, H2Storage, Kernel,
    KernelMatrix, LinearOperator, Matrix, MatrixError, Points, Scalar, Splitting,
};

fn random(n: usize, seed: usize) -> impl Iterator<Item = f64> {
    (1..=n).map(move |i| ((i * i % 7919 + i) as f64 * 0.618_033_988_749_895 + seed as f64 * 0.37).fract())
}

fn cloud(dim: usize, n: usize, seed: usize) -> Arc<Points> {
    Arc::new(Points::new(dim, random(dim * n, seed).collect()).unwrap())
}

fn matrix(m: usize, n: usize, seed: usize) -> Matrix<f64> {
    Matrix::from_column_major(m, n, &random(m * n, seed).map(|x| 2.0 * x - 1.0).collect::<Vec<_>>()).unwrap()
}

fn kernel<T: Scalar>(name: &str, rows: &Arc<Points>, cols: &Arc<Points>) -> KernelMatrix<T> {
    let kernel: Kernel = name.parse().unwrap();
    let at_zero = if kernel.is_singular() { AtZero::Value(3.0) } else { AtZero::Formula };
    KernelMatrix::new(kernel, rows.clone(), cols.clone(), at_zero).unwrap()
}

fn relative(tolerance: f64) -> Accuracy {
    Accuracy::relative(tolerance).unwrap()
}

fn options(tolerance: f64) -> H2Options {
    H2Options { leaf_size: 20, ..H2Options::new(relative(tolerance)) }
}

fn build<T: Scalar>(name: &str, rows: &Arc<Points>, cols: &Arc<Points>, options: &H2Options) -> H2Matrix<T> {
    H2Matrix::from_kernel(&kernel(name, rows, cols), options).unwrap().0
}

fn distance<T: Scalar>(a: &Matrix<T>, b: &Matrix<T>) -> f64 {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)]).norm_frobenius()
}

fn plus(a: &Matrix<f64>, b: &Matrix<f64>, factor: f64) -> Matrix<f64> {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] + factor * b[(i, j)])
}

/// Pairs of clouds: a symmetric matrix, kept as its half, and rectangular ones, in one to three dimensions.
fn clouds() -> Vec<(Arc<Points>, Arc<Points>)> {
    let (line, plane, space) = (cloud(1, 400, 0), cloud(2, 450, 1), cloud(3, 500, 2));
    vec![(line.clone(), line), (plane.clone(), cloud(2, 330, 5)), (space.clone(), space)]
}

const STORAGES: [H2Storage; 3] = [H2Storage::Stored, H2Storage::StoredSingle, H2Storage::Recomputed];

#[test]
fn recompression_meets_its_tolerance_and_finds_small_ranks() {
    for (rows, cols) in clouds() {
        for (basis, built) in [(H2Basis::Skeleton, 1e-5), (H2Basis::Chebyshev, 1e-2)] {
            for storage in STORAGES {
                let h: H2Matrix<f64> = build("inverse", &rows, &cols, &H2Options { basis, storage, ..options(built) });
                let full = h.to_dense();
                let mut stored = usize::MAX;
                for tolerance in [1e-12, 1e-6, 1e-3, 1e-1] {
                    let (small, certificate) = h.recompress(relative(tolerance)).unwrap();
                    let error = distance(&small.to_dense(), &full);
                    let context = format!("{} x {}, {basis:?}, {storage:?}, {tolerance}", rows.len(), cols.len());
                    assert_eq!(certificate.frobenius.confidence, Confidence::Proven);
                    let bound = certificate.frobenius.value;
                    assert!(error <= bound && bound <= tolerance * full.norm_frobenius(), "{context}: {error:e}");
                    let rounding = 1e-13 * full.norm_frobenius();
                    assert!(bound <= 3.0 * error + rounding, "{context}: not sharp, {error:e} {bound:e}");
                    assert!(small.stored() <= stored, "{context}");
                    assert_eq!((certificate.stored, certificate.ranks.clone()), (small.stored(), small.ranks()));
                    assert!((certificate.norm - small.norm_frobenius()).abs() <= 1e-13 * certificate.norm, "{context}");
                    stored = small.stored();
                }
            }
        }
    }
}

#[test]
fn interpolation_has_larger_ranks_than_needed() {
    let points = cloud(2, 900, 1);
    let chebyshev = H2Options { basis: H2Basis::Chebyshev, ..options(1e-5) };
    let h: H2Matrix<f64> = build("log", &points, &points, &chebyshev);
    let (small, _) = h.recompress(relative(1e-5)).unwrap();
    let most = |h: &H2Matrix<f64>| h.ranks().iter().map(|l| l.max).max().unwrap();
    assert!(2 * most(&small) < most(&h), "{} of {}", most(&small), most(&h));
}

#[test]
fn orthogonalised_matrices_are_the_same() {
    for (rows, cols) in clouds() {
        for storage in STORAGES {
            let h: H2Matrix<f64> = build("log", &rows, &cols, &H2Options { storage, ..options(1e-4) });
            let h = h.scale(-0.5).unwrap();
            let (full, same) = (h.to_dense(), h.orthogonalised());
            assert!(distance(&same.to_dense(), &full) <= 1e-13 * full.norm_frobenius());
            assert!((same.norm_frobenius() - full.norm_frobenius()).abs() <= 1e-13 * full.norm_frobenius());
        }
    }
}

#[test]
fn sums_keep_their_tolerance() {
    for (rows, cols) in clouds() {
        for (left, right) in [(0, 0), (0, 2), (1, 2)] {
            let build = |name: &str, storage: usize| {
                build::<f64>(name, &rows, &cols, &H2Options { storage: STORAGES[storage], ..options(1e-6) })
            };
            let (a, b) = (build("inverse", left), build("exponential:0.3", right).scale(2.0).unwrap());
            let exact = plus(&a.to_dense(), &b.to_dense(), 1.0);
            for tolerance in [1e-10, 1e-5, 1e-2] {
                let (sum, certificate) = a.add(&b, relative(tolerance)).unwrap();
                let error = distance(&sum.to_dense(), &exact);
                let bound = certificate.frobenius.value;
                assert!(
                    error <= bound && bound <= tolerance * exact.norm_frobenius(),
                    "{tolerance}: {error:e} {bound:e}"
                );
            }
        }
    }
}

#[test]
fn a_symmetric_sum_stays_a_half_and_an_unsymmetric_one_does_not() {
    let points = cloud(2, 400, 1);
    let h: H2Matrix<f64> = build("inverse", &points, &points, &options(1e-6));
    let (u, v) = (matrix(400, 3, 1), matrix(400, 3, 2));
    let product = |u: &Matrix<f64>, v: &Matrix<f64>| u.apply(&v.transpose()).unwrap();
    for (left, right) in [(&u, &u), (&u, &v)] {
        let (updated, certificate) = h.add_low_rank(left, right, relative(1e-9)).unwrap();
        let exact = plus(&h.to_dense(), &product(left, right), 1.0);
        let error = distance(&updated.to_dense(), &exact);
        assert!(error <= certificate.frobenius.value && error <= 1e-9 * exact.norm_frobenius());
        let half = updated.block_counts() == h.block_counts();
        assert_eq!(half, left == right);
        // Half and whole together.
        let (again, _) = updated.add(&h, relative(1e-9)).unwrap();
        let exact = plus(&exact, &h.to_dense(), 1.0);
        assert!(distance(&again.to_dense(), &exact) <= 2e-9 * exact.norm_frobenius());
    }
}

#[test]
fn low_rank_updates_of_rectangular_matrices() {
    let (rows, cols) = (cloud(2, 300, 0), cloud(2, 410, 3));
    let h: H2Matrix<f64> = build("log", &rows, &cols, &H2Options { storage: H2Storage::Recomputed, ..options(1e-6) });
    for k in [0, 1, 4] {
        let (u, v) = (matrix(300, k, 1), matrix(410, k, 2));
        let (updated, certificate) = h.add_low_rank(&u, &v, relative(1e-10)).unwrap();
        let exact = plus(&h.to_dense(), &u.apply(&v.transpose()).unwrap(), 1.0);
        let error = distance(&updated.to_dense(), &exact);
        assert!(error <= certificate.frobenius.value && error <= 1e-10 * exact.norm_frobenius(), "{error:e}");
    }
    let accuracy = relative(1e-3);
    assert!(matches!(h.add_low_rank(&matrix(299, 1, 0), &matrix(410, 1, 0), accuracy), Err(MatrixError::Rows { .. })));
    let uneven = h.add_low_rank(&matrix(300, 1, 0), &matrix(410, 2, 0), accuracy);
    assert!(matches!(uneven, Err(MatrixError::Shapes { .. })));
    let mut nan = matrix(300, 1, 0);
    nan[(7, 0)] = f64::NAN;
    assert!(matches!(h.add_low_rank(&nan, &matrix(410, 1, 0), accuracy), Err(MatrixError::Entry { row: 7, .. })));
}

#[test]
fn shifts_are_exact() {
    let points = cloud(3, 350, 0);
    for storage in STORAGES {
        let h: H2Matrix<f64> = build("inverse", &points, &points, &H2Options { storage, ..options(1e-4) });
        let h = h.scale(-3.0).unwrap();
        let shifted = h.shift(2.5).unwrap();
        assert!(distance(&shifted.to_dense(), &plus(&h.to_dense(), &Matrix::identity(350), 2.5)) <= 1e-12);
        assert!((shifted.trace().unwrap() - h.trace().unwrap() - 2.5 * 350.0).abs() <= 1e-9);
        assert!(matches!(h.shift(f64::NAN), Err(MatrixError::Factor { .. })));
        assert!(matches!(h.scale(f64::INFINITY), Err(MatrixError::Factor { .. })));
    }
    let h: H2Matrix<f64> = build("inverse", &points, &cloud(3, 350, 1), &options(1e-4));
    assert!(matches!(h.shift(1.0), Err(MatrixError::Tree { .. })));
}

#[test]
fn blocks_rows_and_columns_of_every_storage() {
    for (rows, cols) in clouds() {
        for storage in STORAGES {
            let h: H2Matrix<f64> = build("inverse", &rows, &cols, &H2Options { storage, ..options(1e-5) });
            let h = h.scale(1.5).unwrap();
            let full = h.to_dense();
            let slack = 1e-13 * full.norm_frobenius();
            let (m, n) = (h.nrows(), h.ncols());
            let some_rows: Vec<usize> = (0..40).map(|i| (i * 37 + 11) % m).chain([5, 5]).collect();
            let some_cols: Vec<usize> = (0..60).map(|i| (i * 53 + 7) % n).chain([7, 0]).collect();
            for (rows, cols) in [(&some_rows[..], &some_cols[..]), (&[m - 1], &[0]), (&[], &[1, 2]), (&[3], &[])] {
                let exact = Matrix::from_fn(rows.len(), cols.len(), |i, j| full[(rows[i], cols[j])]);
                assert!(distance(&h.block(rows, cols).unwrap(), &exact) <= slack, "{storage:?}");
            }
            let (by_row, by_col) = (h.extract_rows(&some_rows).unwrap(), h.extract_columns(&some_cols).unwrap());
            assert!(distance(&by_row, &Matrix::from_fn(n, 42, |j, i| full[(some_rows[i], j)])) <= slack);
            assert!(distance(&by_col, &Matrix::from_fn(m, 62, |i, j| full[(i, some_cols[j])])) <= slack);
            assert!((h.entry(m / 2, n / 3).unwrap() - full[(m / 2, n / 3)]).abs() <= slack);
            let all: (Vec<usize>, Vec<usize>) = ((0..m).collect(), (0..n).collect());
            assert!(distance(&h.block(&all.0, &all.1).unwrap(), &full) <= slack);
            assert!(h.block(&[m], &[0]).is_err() && h.block(&[0], &[n]).is_err() && h.entry(0, n).is_err());
            assert!(h.extract_rows(&[m]).is_err() && h.extract_columns(&[n]).is_err());
        }
    }
}

#[test]
fn cancellation_rank_caps_and_different_blocks_are_errors() {
    let points = cloud(2, 400, 1);
    let h: H2Matrix<f64> = build("inverse", &points, &points, &options(1e-6));
    let minus = h.scale(-1.0).unwrap();
    assert!(matches!(h.add(&minus, relative(1e-6)), Err(MatrixError::Tolerance { .. })));
    let (zero, certificate) = h.add(&minus, Accuracy::absolute(1e-9 * h.norm_frobenius()).unwrap()).unwrap();
    assert!(zero.to_dense().norm_frobenius() <= certificate.frobenius.value + 1e-9 * h.norm_frobenius());
    assert!(zero.ranks().is_empty());
    let capped = h.recompress(relative(1e-8).max_rank(2)).unwrap_err();
    assert!(matches!(capped, MatrixError::Tolerance { .. }) && capped.to_string().contains("rank cap 2"));
    // Below rounding.
    assert!(matches!(h.recompress(relative(1e-17)), Err(MatrixError::Tolerance { .. })));
    let other: H2Matrix<f64> = build("inverse", &points, &points, &H2Options { eta: 0.9, ..options(1e-4) });
    assert!(matches!(h.add(&other, relative(1e-3)), Err(MatrixError::Tree { .. })));
    let median = H2Options { splitting: Splitting::Median, ..options(1e-4) };
    assert!(matches!(h.add(&build("log", &points, &points, &median), relative(1e-3)), Err(MatrixError::Tree { .. })));
}

#[test]
fn few_points_and_single_precision() {
    for n in [1, 2, 7, 30] {
        let points = cloud(3, n, 0);
        let h: H2Matrix<f64> = build("inverse", &points, &points, &H2Options { leaf_size: 1, ..options(1e-6) });
        let (sum, _) = h.add(&h, relative(1e-8)).unwrap();
        assert!(distance(&sum.to_dense(), &h.scale(2.0).unwrap().to_dense()) <= 2e-8 * h.norm_frobenius());
    }
    let points = cloud(2, 400, 1);
    let h: H2Matrix<f32> = build("log", &points, &points, &options(1e-3));
    let full = h.to_dense();
    for tolerance in [1e-2, 1e-4] {
        let (small, certificate) = h.recompress(relative(tolerance)).unwrap();
        let error = distance(&small.to_dense(), &full);
        assert!(error <= certificate.frobenius.value && error <= tolerance * full.norm_frobenius(), "{error:e}");
    }
}

#[test]
fn proven_certificates_are_never_exceeded_and_are_sharp() {
    let mut ratios = Vec::new();
    for seed in 0..100 {
        let dim = 1 + seed % 3;
        let points = cloud(dim, 150, seed);
        let cols = if seed % 2 == 0 { points.clone() } else { cloud(dim, 110, seed + 1) };
        let name = ["inverse", "log", "exponential:0.3", "matern52:0.5"][seed % 4];
        let h: H2Matrix<f64> = build(name, &points, &cols, &H2Options { leaf_size: 8, ..options(1e-4) });
        let (u, v) = (matrix(points.len(), 2, seed), matrix(cols.len(), 2, seed + 7));
        let accuracy = relative([1e-2, 1e-4, 1e-7][seed / 4 % 3]);
        let (made, certificate) = h.add_low_rank(&u, &v, accuracy).unwrap();
        let exact = plus(&h.to_dense(), &u.apply(&v.transpose()).unwrap(), 1.0);
        let error = distance(&made.to_dense(), &exact);
        assert!(error <= certificate.frobenius.value, "seed {seed}: {error:e} {:e}", certificate.frobenius.value);
        if error > 1e-12 * exact.norm_frobenius() {
            ratios.push(certificate.frobenius.value / error);
        }
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios.len() > 60 && ratios[ratios.len() / 2] < 2.0, "{ratios:?}");
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let points = cloud(2, 600, 1);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let h: H2Matrix<f64> = build("inverse", &points, &points, &options(1e-5));
            let (sum, certificate) = h.add(&h, relative(1e-6)).unwrap();
            (sum.apply(&matrix(600, 1, 1)).unwrap(), certificate)
        })
    };
    assert!(run(1) == run(3));
    assert!(Entries::nrows(&kernel::<f64>("log", &points, &points)) == 600);
}

/// Products in one, two and three dimensions, of 512 and 2048 points and of rectangular matrices, against the dense product.
#[test]
fn products_keep_their_tolerance() {
    let cases = [(1, 512, 512), (1, 2048, 2048), (2, 512, 512), (2, 2048, 2048), (2, 700, 450), (3, 512, 512)];
    for (dim, n, m) in cases {
        let (points, other) = (cloud(dim, n, 1), cloud(dim, m, 4));
        let other = if n == m { points.clone() } else { other };
        let options = H2Options { eta: 2.0, leaf_size: 32, ..options(1e-7) };
        let a: H2Matrix<f64> = build("inverse", &points, &other, &options);
        let b: H2Matrix<f64> = build("exponential:0.3", &other, &points, &options);
        let exact = a.to_dense().apply(&b.to_dense()).unwrap();
        for tolerance in if n < 2048 { vec![1e-2, 1e-6] } else { vec![1e-4] } {
            let eta = Admissibility::StrongMax { eta: 2.0 };
            let (c, certificate) = a.multiply(&b, eta, relative(tolerance), 1).unwrap();
            let (error, bound) = (distance(&c.to_dense(), &exact), certificate.frobenius.value);
            let norm = c.norm_frobenius();
            assert!(error <= bound && bound <= tolerance * norm, "{dim} {n}: {error:e} {bound:e} {norm:e}");
            assert!(
                matches!(certificate.frobenius.confidence, Confidence::Probabilistic { failure } if failure < 1e-3)
            );
            assert!((certificate.norm - norm).abs() <= 1e-9 * norm);
            // Of the blocks of a build with the same eta: it can be added to one.
            let square: H2Matrix<f64> = build("inverse", &points, &points, &options);
            let (sum, _) = c.add(&square, relative(1e-9)).unwrap();
            assert!(
                distance(&sum.to_dense(), &plus(&c.to_dense(), &square.to_dense(), 1.0)) <= 2e-9 * sum.norm_frobenius()
            );
            if n == 2048 {
                assert!(2 * certificate.stored < certificate.dense, "{dim} {n}: {}", certificate.compression());
            }
        }
    }
}

#[test]
fn products_that_cannot_be_are_errors_and_small_ones_are_right() {
    let eta = || Admissibility::StrongMax { eta: 1.8 };
    let (points, fewer) = (cloud(2, 400, 1), cloud(2, 390, 1));
    let h: H2Matrix<f64> = build("inverse", &points, &points, &options(1e-6));
    let other: H2Matrix<f64> = build("inverse", &fewer, &fewer, &options(1e-6));
    let refused = h.multiply(&other, eta(), relative(1e-4), 0).err().unwrap();
    assert!(refused.to_string().contains("the columns of the left (400) and the rows of the right (390)"), "{refused}");
    let median = build::<f64>("log", &points, &points, &H2Options { splitting: Splitting::Median, ..options(1e-4) });
    assert!(matches!(h.multiply(&median, eta(), relative(1e-4), 0), Err(MatrixError::Tree { .. })));
    let negative = Admissibility::StrongMax { eta: -1.0 };
    assert!(matches!(h.multiply(&h, negative, relative(1e-4), 0), Err(MatrixError::Option { .. })));
    let capped = h.multiply(&h, eta(), relative(1e-8).max_rank(2), 0);
    assert!(matches!(capped, Err(MatrixError::Tolerance { .. })));
    assert!(matches!(h.multiply(&h, eta(), relative(1e-17), 0), Err(MatrixError::Tolerance { .. })));
    let budget = h.multiply(&h, eta(), relative(1e-4).memory_budget(1000), 0);
    assert!(matches!(budget, Err(MatrixError::Memory { budget: 1000, .. })));
    // The zero matrix, few points, half of a symmetric matrix with blocks computed again, single precision.
    let zero = h.scale(0.0).unwrap();
    assert_eq!(zero.multiply(&h, eta(), relative(1e-4), 0).unwrap().0.norm_frobenius(), 0.0);
    for n in [1, 2, 7, 30] {
        let few = cloud(3, n, 0);
        let a: H2Matrix<f64> = build("inverse", &few, &few, &H2Options { leaf_size: 1, ..options(1e-6) });
        let exact = a.to_dense().apply(&a.to_dense()).unwrap();
        let product = a.multiply(&a, eta(), relative(1e-8), 3).unwrap().0;
        assert!(distance(&product.to_dense(), &exact) <= 1e-8 * exact.norm_frobenius());
    }
    for storage in STORAGES {
        let a: H2Matrix<f32> = build("log", &points, &points, &H2Options { storage, ..options(1e-3) });
        let exact = a.to_dense().apply(&a.to_dense()).unwrap();
        let (product, certificate) = a.multiply(&a, eta(), relative(1e-3), 0).unwrap();
        let error = distance(&product.to_dense(), &exact);
        assert!(error <= certificate.frobenius.value && error <= 1e-3 * exact.norm_frobenius(), "{error:e}");
    }
}
