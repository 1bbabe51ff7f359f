//! H2-matrices against dense ones.

use std::sync::Arc;

use farfield_matrix::{
    Accuracy, AtZero, ClusterTree, Confidence, Entries, EntryFn, H2Basis, H2Matrix, H2Options, H2Storage, Kernel,
    KernelMatrix, LinearOperator, Matrix, MatrixError, Nested, Points, Scalar, Splitting,
};

fn random(n: usize, seed: usize) -> impl Iterator<Item = f64> {
    (1..=n).map(move |i| ((i * i % 7919 + i) as f64 * 0.618_033_988_749_895 + seed as f64 * 0.37).fract())
}

fn cloud(dim: usize, n: usize, seed: usize) -> Arc<Points> {
    Arc::new(Points::new(dim, random(dim * n, seed).collect()).unwrap())
}

fn relative(tolerance: f64) -> H2Options {
    H2Options { leaf_size: 24, ..H2Options::new(Accuracy::relative(tolerance).unwrap()) }
}

fn kernel_matrix<T: Scalar>(name: &str, rows: &Arc<Points>, cols: &Arc<Points>) -> KernelMatrix<T> {
    let kernel: Kernel = name.parse().unwrap();
    let at_zero = if kernel.is_singular() { AtZero::Value(3.0) } else { AtZero::Formula };
    KernelMatrix::new(kernel, rows.clone(), cols.clone(), at_zero).unwrap()
}

fn dense<T: Scalar>(entries: &impl Entries<T>) -> Matrix<T> {
    Matrix::from_fn(entries.nrows(), entries.ncols(), |i, j| entries.entry(i, j))
}

fn distance<T: Scalar>(a: &Matrix<T>, b: &Matrix<T>) -> f64 {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)]).norm_frobenius()
}

/// Every way to read the matrix agrees with the dense one: the error is within the certificate and the tolerance.
fn check(a: &Matrix<f64>, h: &H2Matrix<f64>, bound: f64, tolerance: f64, context: &str) {
    let full = h.to_dense();
    let error = distance(a, &full);
    let norm = a.norm_frobenius();
    assert!(error <= bound && bound <= tolerance, "{context}: error {error:e}, bound {bound:e}, allowed {tolerance:e}");
    let slack = 1e-12 * norm;
    for columns in [1, 3] {
        let x =
            Matrix::from_column_major(a.ncols(), columns, &random(columns * a.ncols(), 2).collect::<Vec<_>>()).unwrap();
        let z =
            Matrix::from_column_major(a.nrows(), columns, &random(columns * a.nrows(), 3).collect::<Vec<_>>()).unwrap();
        let size = x.norm_frobenius().max(z.norm_frobenius());
        assert!(distance(&h.apply(&x).unwrap(), &full.apply(&x).unwrap()) <= slack * size, "{context}: product");
        let (got, want) = (h.apply_transpose(&z).unwrap(), full.apply_transpose(&z).unwrap());
        assert!(distance(&got, &want) <= slack * size, "{context}: transposed product");
    }
    for (i, j) in [(0, 0), (a.nrows() - 1, 0), (a.nrows() / 2, a.ncols() / 3), (0, a.ncols() - 1)] {
        assert!((h.entry(i, j).unwrap() - full[(i, j)]).abs() <= slack, "{context}: entry ({i}, {j})");
    }
}

#[test]
fn every_kernel_in_three_dimensions() {
    let points = cloud(3, 700, 0);
    for name in [
        "laplace3d",
        "laplace2d",
        "inverse",
        "log",
        "helmholtz3d:4",
        "gaussian:0.8",
        "exponential:0.5",
        "matern32",
        "matern52",
        "inverse-multiquadric",
        "multiquadric",
        "shifted-laplace3d:0.01",
    ] {
        let kernel = kernel_matrix::<f64>(name, &points, &points);
        let a = dense(&kernel);
        for tolerance in [1e-2, 1e-5] {
            let (h, certificate) = H2Matrix::from_kernel(&kernel, &relative(tolerance)).unwrap();
            check(&a, &h, certificate.frobenius.value, 1.2 * tolerance * a.norm_frobenius(), name);
        }
    }
}

/// Every storage, in one and two dimensions.
fn check_tolerances(basis: H2Basis, tolerances: &[f64]) {
    for (dim, n, name) in [(1, 700, "log"), (2, 600, "laplace2d"), (2, 500, "exponential:0.3")] {
        let points = cloud(dim, n, 1);
        let kernel = kernel_matrix::<f64>(name, &points, &points);
        let a = dense(&kernel);
        for &tolerance in tolerances {
            for storage in [H2Storage::Stored, H2Storage::StoredSingle, H2Storage::Recomputed] {
                if storage == H2Storage::StoredSingle && tolerance < 1e-6 {
                    continue;
                }
                let options = H2Options { basis, storage, ..relative(tolerance) };
                let (h, certificate) = H2Matrix::from_kernel(&kernel, &options).unwrap();
                let context = format!("{name}, {options:?}");
                check(&a, &h, certificate.frobenius.value, 1.2 * tolerance * a.norm_frobenius(), &context);
            }
        }
    }
}

#[test]
fn skeletons_at_every_tolerance() {
    check_tolerances(H2Basis::Skeleton, &[1e-2, 1e-4, 1e-7, 1e-10]);
}

#[test]
fn interpolation_at_every_tolerance() {
    check_tolerances(H2Basis::Chebyshev, &[1e-2, 1e-4, 1e-6]);
}

#[test]
fn rectangular_matrices_and_their_transposes() {
    let (x, y) = (cloud(2, 530, 0), cloud(2, 377, 1));
    let kernel = kernel_matrix::<f64>("inverse", &x, &y);
    let a = dense(&kernel);
    for basis in [H2Basis::Skeleton, H2Basis::Chebyshev] {
        for storage in [H2Storage::Stored, H2Storage::StoredSingle, H2Storage::Recomputed] {
            let options = H2Options { basis, storage, ..relative(1e-4) };
            let (h, certificate) = H2Matrix::from_kernel(&kernel, &options).unwrap();
            let bound = certificate.frobenius.value;
            check(&a, &h, bound, 1.2e-4 * a.norm_frobenius(), "rectangular");
            check(&a.transpose(), &h.transpose(), bound, 1.2e-4 * a.norm_frobenius(), "transposed");
            assert!(h.diagonal().is_err());
        }
    }
}

#[test]
fn entries_without_a_kernel() {
    let points = cloud(2, 800, 0);
    let tree = Arc::new(ClusterTree::geometric(&points, 20, Splitting::Median).unwrap());
    // Not a function of the distance, not symmetric.
    let entry = |i: usize, j: usize| {
        let (x, y) = (points.point(i), points.point(j));
        let r = ((x[0] - y[0]).powi(2) + 3.0 * (x[1] - y[1]).powi(2)).sqrt();
        (1.0 + x[0]) / (0.02 + r) + (y[1] - x[0]).cos()
    };
    let a = EntryFn::new(800, 800, entry);
    let full = dense(&a);
    for tolerance in [1e-2, 1e-6] {
        for storage in [H2Storage::Stored, H2Storage::StoredSingle] {
            let options = H2Options { storage, ..relative(tolerance) };
            if storage == H2Storage::StoredSingle && tolerance < 1e-5 {
                continue;
            }
            let (h, certificate) = H2Matrix::from_entries(&a, tree.clone(), tree.clone(), &options).unwrap();
            check(&full, &h, certificate.frobenius.value, 1.2 * tolerance * full.norm_frobenius(), "entries");
        }
    }
    let symmetric = EntryFn::symmetric(800, |i, j| entry(i, j) + entry(j, i));
    let options = relative(1e-5);
    let (h, certificate) = H2Matrix::from_entries(&symmetric, tree.clone(), tree.clone(), &options).unwrap();
    let full = dense(&symmetric);
    check(&full, &h, certificate.frobenius.value, 1.2e-5 * full.norm_frobenius(), "symmetric entries");
    for options in
        [H2Options { basis: H2Basis::Chebyshev, ..options }, H2Options { storage: H2Storage::Recomputed, ..options }]
    {
        assert!(matches!(
            H2Matrix::from_entries(&a, tree.clone(), tree.clone(), &options),
            Err(MatrixError::Option { .. })
        ));
    }
}

#[test]
fn lines_surfaces_and_points_in_one_place() {
    let line: Vec<f64> = random(600, 0).flat_map(|t| [t, 2.0 * t, -t]).collect();
    let sphere: Vec<f64> = random(600, 0)
        .zip(random(600, 1))
        .flat_map(|(u, v)| {
            let (z, angle) = (2.0 * u - 1.0, std::f64::consts::TAU * v);
            let r = (1.0 - z * z).sqrt();
            [r * angle.cos(), r * angle.sin(), z]
        })
        .collect();
    let repeated: Vec<f64> = (0..500).flat_map(|i| [f64::from(i % 50), f64::from(i % 7), 0.5]).collect();
    let one_place = vec![0.25; 3 * 120];
    for (name, x) in [("line", line), ("sphere", sphere), ("repeated", repeated), ("one place", one_place)] {
        let points = Arc::new(Points::new(3, x).unwrap());
        for basis in [H2Basis::Skeleton, H2Basis::Chebyshev] {
            for splitting in [Splitting::Boxes, Splitting::Median, Splitting::PrincipalComponent] {
                let kernel = kernel_matrix::<f64>("laplace3d", &points, &points);
                let a = dense(&kernel);
                let options = H2Options { basis, splitting, storage: H2Storage::Recomputed, ..relative(1e-3) };
                let (h, certificate) = H2Matrix::from_kernel(&kernel, &options).unwrap();
                check(&a, &h, certificate.frobenius.value, 1.2e-3 * a.norm_frobenius(), name);
            }
        }
    }
}

#[test]
fn zero_one_and_few_points() {
    let none = Arc::new(Points::new(3, vec![]).unwrap());
    let kernel = kernel_matrix::<f64>("gaussian", &none, &none);
    assert!(matches!(H2Matrix::from_kernel(&kernel, &relative(1e-3)), Err(MatrixError::Tree { .. })));
    for n in [1, 2, 5, 25, 64] {
        let points = cloud(3, n, 0);
        let kernel = kernel_matrix::<f64>("inverse", &points, &points);
        let a = dense(&kernel);
        let (h, certificate) = H2Matrix::from_kernel(&kernel, &H2Options { leaf_size: 1, ..relative(1e-6) }).unwrap();
        assert_eq!(certificate.frobenius.confidence, Confidence::Proven);
        check(&a, &h, certificate.frobenius.value, 1e-6 * a.norm_frobenius(), "few points");
    }
}

#[test]
fn norm_diagonal_trace_rows_and_scaling() {
    let points = cloud(2, 500, 0);
    for (cols, storage) in [(points.clone(), H2Storage::Recomputed), (cloud(2, 500, 5), H2Storage::Stored)] {
        let kernel = kernel_matrix::<f64>("exponential:0.4", &points, &cols);
        let (h, _) = H2Matrix::from_kernel(&kernel, &H2Options { storage, ..relative(1e-4) }).unwrap();
        let h = h.scale(-2.0).unwrap();
        let full = h.to_dense();
        assert!((h.norm_frobenius() - full.norm_frobenius()).abs() <= 1e-12 * full.norm_frobenius());
        let diagonal = h.diagonal().unwrap();
        assert!((0..500).all(|i| (diagonal[i] - full[(i, i)]).abs() < 1e-12));
        assert!((h.trace().unwrap() - diagonal.iter().sum::<f64>()).abs() < 1e-10);
        let rows = h.extract_rows(&[499, 3]).unwrap();
        assert!(
            (0..500)
                .all(|j| (rows[(j, 0)] - full[(499, j)]).abs() < 1e-12 && (rows[(j, 1)] - full[(3, j)]).abs() < 1e-12)
        );
        assert!(h.extract_rows(&[500]).is_err() && h.entry(0, 500).is_err());
        assert!(h.apply(&Matrix::zeros(499, 1)).is_err() && h.apply_transpose(&Matrix::zeros(501, 1)).is_err());
        assert!((full[(3, 4)] + 2.0 * kernel.entry(3, 4)).abs() < 1e-3);
    }
}

#[test]
fn single_precision() {
    let points = cloud(3, 800, 0);
    let kernel = kernel_matrix::<f32>("laplace3d", &points, &points);
    let a = dense(&kernel);
    for storage in [H2Storage::Stored, H2Storage::Recomputed] {
        let (h, certificate) = H2Matrix::from_kernel(&kernel, &H2Options { storage, ..relative(1e-3) }).unwrap();
        let error = distance(&a, &h.to_dense());
        assert!(error <= certificate.frobenius.value && error <= 1e-3 * a.norm_frobenius());
        let x = Matrix::from_fn(800, 2, |i, j| ((i + j) as f32).sin());
        let gap = distance(&h.apply(&x).unwrap(), &h.to_dense().apply(&x).unwrap());
        assert!(gap <= 1e-5 * a.norm_frobenius() * x.norm_frobenius());
    }
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let points = cloud(3, 1500, 0);
    let run = |threads: usize, columns: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let kernel = kernel_matrix::<f64>("inverse", &points, &points);
            let (h, certificate) =
                H2Matrix::from_kernel(&kernel, &H2Options { storage: H2Storage::Recomputed, ..relative(1e-4) })
                    .unwrap();
            let x = Matrix::from_fn(1500, columns, |i, j| ((i + j) as f64).sin());
            (h.apply(&x).unwrap().to_row_major(), certificate)
        })
    };
    for columns in [1, 4] {
        assert!(run(1, columns) == run(3, columns));
    }
}

#[test]
fn what_cannot_be_is_an_error() {
    let points = cloud(2, 400, 0);
    let kernel = kernel_matrix::<f64>("exponential", &points, &points);
    let accuracy = Accuracy::relative(1e-8).unwrap().max_rank(2);
    for basis in [H2Basis::Skeleton, H2Basis::Chebyshev] {
        let error = H2Matrix::from_kernel(&kernel, &H2Options { accuracy, basis, ..relative(1e-8) }).unwrap_err();
        assert!(matches!(error, MatrixError::Tolerance { .. }), "{error}");
    }
    let budget = H2Options { accuracy: relative(1e-3).accuracy.memory_budget(10_000), ..relative(1e-3) };
    assert!(matches!(H2Matrix::from_kernel(&kernel, &budget), Err(MatrixError::Memory { budget: 10_000, .. })));
    let below_rounding = H2Options { storage: H2Storage::StoredSingle, ..relative(1e-9) };
    assert!(matches!(H2Matrix::from_kernel(&kernel, &below_rounding), Err(MatrixError::Tolerance { .. })));
    for bad in [H2Options { eta: 0.0, ..relative(1e-3) }, H2Options { failure: 1.0, ..relative(1e-3) }] {
        assert!(matches!(H2Matrix::from_kernel(&kernel, &bad), Err(MatrixError::Option { .. })));
    }
    let tree = Arc::new(ClusterTree::geometric(&points, 20, Splitting::Median).unwrap());
    let no_boxes = Arc::new(ClusterTree::bisection(400, 20).unwrap());
    let nan = EntryFn::new(400, 400, |_, j| if j == 17 { f64::NAN } else { 1.0 });
    let build = |tree: &Arc<ClusterTree>, a: &dyn Entries<f64>| {
        H2Matrix::from_entries(a, tree.clone(), tree.clone(), &relative(1e-3))
    };
    assert!(matches!(build(&tree, &nan), Err(MatrixError::Entry { col: 17, .. })));
    // One entry of a near block: found whether its row is among those that the check draws or not.
    for at in [0, 123, 250, 399] {
        let one = EntryFn::new(400, 400, |i, j| if (i, j) == (at, at) { f64::INFINITY } else { kernel.entry(i, j) });
        let found = build(&tree, &one).unwrap_err();
        assert!(matches!(found, MatrixError::Entry { row, col, .. } if (row, col) == (at, at)), "{found}");
    }
    assert!(matches!(build(&no_boxes, &nan), Err(MatrixError::Tree { .. })));
    assert!(matches!(build(&tree, &EntryFn::new(401, 400, |_, _| 1.0)), Err(MatrixError::Tree { .. })));
}

#[test]
fn stored_numbers_grow_linearly_in_one_dimension() {
    let per_unknown = |n: usize| {
        let points = Arc::new(Points::new(1, (0..n).map(|i| i as f64 / n as f64).collect()).unwrap());
        let kernel = kernel_matrix::<f64>("log", &points, &points);
        let (h, _) = H2Matrix::from_kernel(&kernel, &H2Options { leaf_size: 50, ..relative(1e-5) }).unwrap();
        h.stored() as f64 / n as f64
    };
    let (small, large) = (per_unknown(10_000), per_unknown(100_000));
    assert!(large / small < 1.5 && small / large < 1.5, "{small} numbers an unknown, then {large}");
}

#[test]
fn the_error_of_the_few_rows_with_a_far_field_is_bounded() {
    // Five points at either end, far from each other; a leaf of 400 between them, near to everything.
    let place = |i: usize| match i {
        0..5 => 0.004 * i as f64,
        5..405 => 0.05 + 0.9 * (i - 5) as f64 / 400.0,
        _ => 0.98 + 0.004 * (i - 405) as f64,
    };
    let points = Arc::new(Points::new(1, (0..410).map(place).collect()).unwrap());
    let leaves = [0..5, 5..405, 405..410].map(|range| Nested::Leaf(range.collect()));
    let tree = ClusterTree::from_nested(&Nested::Split(leaves.into())).unwrap().with_points(&points).unwrap();
    let tree = Arc::new(tree);
    let kernel = kernel_matrix::<f64>("gaussian:0.5", &points, &points);
    let full = dense(&kernel);
    for seed in 0..20 {
        // The far blocks are a small part of the norm: they may have a visible error.
        let options = H2Options { seed, ..relative(1e-2) };
        let (h, c) = H2Matrix::from_entries(&kernel, tree.clone(), tree.clone(), &options).unwrap();
        let error = distance(&h.to_dense(), &full);
        assert!(error > 1e-8 * full.norm_frobenius(), "nothing to be missed: {error:e}");
        assert!(error <= c.frobenius.value, "seed {seed}: {error:e} above {:e}", c.frobenius.value);
    }
}
