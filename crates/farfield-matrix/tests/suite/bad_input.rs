//! Bad input, for every format: an error that says what is wrong, never a panic and never a wrong result in silence.

use std::sync::Arc;

use crate::cases::*;
use farfield_matrix::hss::ProductOptions;
use farfield_matrix::*;

const N: usize = 96;

type Outcome = Result<(), MatrixError>;

fn kernel_entry(i: usize, j: usize) -> f64 {
    1.0 / (1.0 + i.abs_diff(j) as f64) + if i == j { 2.0 } else { 0.0 }
}

/// `n` points in a square, some of them twice.
fn with_duplicates(n: usize) -> Points {
    let p = cloud(n, 2, 4);
    Points::new(2, (0..n).flat_map(|i| p.point(i - i % 3 % 2).to_vec()).collect()).unwrap()
}

/// Every constructor on a matrix that is given by its entries and on a tree with boxes.
fn constructors(a: &Matrix<f64>, tree: &Arc<ClusterTree>, accuracy: Accuracy) -> Vec<(&'static str, Outcome)> {
    let entries = EntryFn::new(a.nrows(), a.ncols(), |i, j| a[(i, j)]);
    let skeletons = SkeletonOptions { check_rows: 8, ..SkeletonOptions::default() };
    let h = |compression| {
        let options = HMatrixOptions { compression, ..HMatrixOptions::new(accuracy) };
        HMatrix::build(&entries, tree, tree, Admissibility::Strong { eta: 2.0 }, &options).map(|_| ())
    };
    let h2 = H2Options::new(accuracy);
    vec![
        ("HODLR, dense", Hodlr::from_dense(a, tree.clone(), accuracy).map(|_| ())),
        ("HODLR, entries", Hodlr::from_entries(&entries, tree.clone(), accuracy, 1).map(|_| ())),
        ("HODLR, products", Hodlr::from_products(a, tree.clone(), accuracy, 1).map(|_| ())),
        ("HSS, dense", Hss::from_dense_on(a, tree, tree, accuracy).map(|_| ())),
        ("HSS, entries", Hss::from_entries(&entries, tree, tree, accuracy, &skeletons).map(|_| ())),
        ("HSS, products", Hss::from_products(a, tree, tree, accuracy, &ProductOptions::default()).map(|_| ())),
        ("H, SVD", h(Compression::Svd)),
        ("H, all entries", h(Compression::CrossApproximation { check: Check::Exact })),
        ("H, some entries", h(Compression::CrossApproximation { check: Check::Sampled })),
        ("H2, entries", H2Matrix::from_entries(&entries, tree.clone(), tree.clone(), &h2).map(|_| ())),
    ]
}

fn boxed(n: usize, leaf: usize) -> Arc<ClusterTree> {
    geometric(&cloud(n, 2, 4), leaf, Splitting::Median)
}

#[test]
fn nan_and_infinite_entries() {
    let tree = boxed(N, 8);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        // One entry for those that look at all, a row for those that sample rows, all for those that sample entries.
        for (what, is_bad) in [
            ("one", (|i, j| (i, j) == (3, 3)) as fn(usize, usize) -> bool),
            ("a row", |i, _| i == 17),
            ("all", |_, _| true),
        ] {
            let a = Matrix::from_fn(N, N, |i, j| if is_bad(i, j) { bad } else { kernel_entry(i, j) });
            for (constructor, result) in constructors(&a, &tree, relative(1e-4)) {
                match result {
                    Err(MatrixError::Entry { value, row, col }) => {
                        assert!(!value.is_finite(), "{constructor}");
                        // A product is not finite somewhere in the row; a build from entries names the entry.
                        assert!(
                            constructor.contains("products") || is_bad(row, col),
                            "{constructor}, {what}: ({row}, {col})"
                        );
                    }
                    other => panic!("{constructor}, {what} {bad}: {other:?}"),
                }
            }
        }
    }
    assert!(matches!(Points::new(2, vec![0.0, f64::NAN]), Err(MatrixError::Points { .. })));
}

#[test]
fn tolerances_that_mean_nothing() {
    for bad in [0.0, -0.0, -1e-3, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for accuracy in [Accuracy::relative(bad), Accuracy::absolute(bad)] {
            assert!(matches!(accuracy, Err(MatrixError::Option { name: "tolerance", .. })), "{bad}");
        }
    }
    // Below what f64 can hold: an error, not a matrix that misses it. Points in no order, so that no block is of low rank exactly.
    let noise = gaussian(&mut rng(2), N, N);
    for (constructor, result) in constructors(&noise, &boxed(N, 8), relative(1e-18)) {
        // H- and H2-matrices may keep every block as it is.
        assert!(
            matches!(result, Err(MatrixError::Tolerance { .. })) || constructor.starts_with('H') && result.is_ok(),
            "{constructor}: {result:?}"
        );
    }
}

#[test]
fn rank_caps_that_are_hit() {
    let p = cloud(N, 2, 4);
    let a = Matrix::from_fn(N, N, |i, j| 1.0 / (0.05 + gap(&p, i, &p, j)));
    let tree = boxed(N, 8);
    for (constructor, result) in constructors(&a, &tree, relative(1e-9).max_rank(2)) {
        match result {
            Err(MatrixError::Tolerance { limit, .. }) => {
                assert!(limit.contains("cap") || limit.contains("rank"), "{constructor}: {limit}");
            }
            other => panic!("{constructor}: {other:?}"),
        }
    }
    for (constructor, result) in constructors(&a, &tree, relative(1e-9).max_rank(N)) {
        assert!(result.is_ok(), "{constructor}: {result:?}");
    }
    let p = Arc::new(p);
    let kernel: Kernel = "exponential".parse().unwrap();
    let kernel = KernelMatrix::<f64>::new(kernel, p.clone(), p, AtZero::Formula).unwrap();
    for basis in [H2Basis::Skeleton, H2Basis::Chebyshev] {
        let options = H2Options { basis, leaf_size: 8, ..H2Options::new(relative(1e-9).max_rank(2)) };
        let result = H2Matrix::from_kernel(&kernel, &options);
        assert!(matches!(result, Err(MatrixError::Tolerance { .. })), "{result:?}");
    }
    // Operations too.
    let h = Hodlr::from_dense(&a, tree.clone(), relative(1e-9)).unwrap().0;
    let capped = relative(1e-9).max_rank(2);
    assert!(matches!(h.add(&h, capped), Err(MatrixError::Tolerance { .. })));
    assert!(matches!(h.multiply(&h, capped), Err(MatrixError::Tolerance { .. })));
    let hss = Hss::from_dense_on(&a, &tree, &tree, relative(1e-9)).unwrap().0;
    assert!(matches!(hss.recompress(capped), Err(MatrixError::Tolerance { .. })));
}

#[test]
fn singular_matrices() {
    let tree = bisection(N, 12);
    let ones = Matrix::from_fn(N, N, |_, _| 1.0);
    let zero_row = Matrix::from_fn(N, N, |i, j| if i == 40 { 0.0 } else { kernel_entry(i, j) });
    for (name, a) in [("ones", ones), ("a zero row", zero_row), ("zero", Matrix::zeros(N, N))] {
        let tight = relative(1e-12);
        let singular = |result: Outcome, what: &str| {
            assert!(matches!(result, Err(MatrixError::Singular { .. })), "{what}, {name}: {result:?}");
        };
        let indefinite = |result: Outcome, what: &str| {
            assert!(matches!(result, Err(MatrixError::NotPositiveDefinite { .. })), "{what}, {name}: {result:?}");
        };
        let hodlr = Hodlr::from_dense(&a, tree.clone(), tight).unwrap().0;
        let hss = Hss::from_dense_on(&a, &tree, &tree, tight).unwrap().0;
        // Orthonormal bases leave rounding errors in a row of zeros: taken out, so that it is singular and not nearly so.
        let projector = diagonal(&tree, |i| f64::from(u8::from(i != 40)));
        let hss = if name == "a zero row" { projector.multiply(&hss).unwrap() } else { hss };
        let svd = HMatrixOptions { compression: Compression::Svd, ..HMatrixOptions::new(tight) };
        let h = HMatrix::build(&a, &tree, &tree, Admissibility::Weak, &svd).unwrap().0;
        singular(hodlr.factor().map(|_| ()), "HODLR");
        singular(hss.ulv().map(|_| ()), "HSS");
        singular(hss.least_squares().map(|_| ()), "HSS least squares");
        singular(h.lu(tight, 0).map(|_| ()), "H");
        indefinite(hodlr.cholesky().map(|_| ()), "HODLR");
        indefinite(hss.cholesky(1e-10).map(|_| ()), "HSS");
        if name != "a zero row" {
            indefinite(h.cholesky(tight, 0).map(|_| ()), "H");
        }
    }
}

#[test]
fn sizes_that_do_not_match() {
    let tree = boxed(N, 8);
    for (rows, cols) in [(N + 1, N + 1), (N - 1, N - 1), (N, N - 5), (1, 1), (0, 0)] {
        let a = Matrix::from_fn(rows, cols, kernel_entry);
        for (constructor, result) in constructors(&a, &tree, relative(1e-3)) {
            assert!(
                matches!(result, Err(MatrixError::Rows { .. } | MatrixError::Shapes { .. } | MatrixError::Tree { .. })),
                "{constructor}, {rows} x {cols}: {result:?}"
            );
        }
    }
    let a = Matrix::from_fn(N, N, kernel_entry);
    let accuracy = relative(1e-8);
    let hodlr = Hodlr::from_dense(&a, tree.clone(), accuracy).unwrap().0;
    let hss = Hss::from_dense_on(&a, &tree, &tree, accuracy).unwrap().0;
    let h = HMatrix::build(&a, &tree, &tree, Admissibility::Weak, &HMatrixOptions::new(accuracy)).unwrap().0;
    let h2 = H2Matrix::from_entries(&a, tree.clone(), tree.clone(), &H2Options::new(accuracy)).unwrap().0;
    let (hodlr_lu, hodlr_cholesky) = (hodlr.factor().unwrap(), hodlr.cholesky().unwrap());
    let (ulv, hss_cholesky) = (hss.ulv().unwrap(), hss.cholesky(1e-6).unwrap());
    let (lu, cholesky) = (h.lu(accuracy, 0).unwrap().0, h.symmetrised().unwrap().cholesky(accuracy, 0).unwrap().0);
    let operators: [(&str, &dyn LinearOperator<f64>); 10] = [
        ("HODLR", &hodlr),
        ("HSS", &hss),
        ("H", &h),
        ("H2", &h2),
        ("HODLR LU", &hodlr_lu),
        ("HODLR Cholesky", &hodlr_cholesky),
        ("HSS ULV", &ulv),
        ("HSS Cholesky", &hss_cholesky),
        ("H-LU", &lu),
        ("H-Cholesky", &cholesky),
    ];
    for (name, operator) in operators {
        for rows in [0, 1, N - 1, N + 1] {
            let x = Matrix::zeros(rows, 2);
            for result in [operator.apply(&x), operator.apply_transpose(&x)] {
                assert!(
                    matches!(result, Err(MatrixError::Rows { got, expected: N, .. }) if got == rows),
                    "{name}, {rows}"
                );
            }
        }
    }
    // Two matrices on different trees.
    let other = bisection(N, 16);
    let hodlr_other = Hodlr::from_dense(&a, other.clone(), accuracy).unwrap().0;
    assert!(matches!(hodlr.add(&hodlr_other, accuracy), Err(MatrixError::Tree { .. })));
    let hss_other = Hss::from_dense_on(&a, &other, &other, accuracy).unwrap().0;
    assert!(matches!(hss.add(&hss_other), Err(MatrixError::Tree { .. })));
    let h_other = HMatrix::build(&a, &other, &other, Admissibility::Weak, &HMatrixOptions::new(accuracy)).unwrap().0;
    assert!(matches!(h.add(&h_other, accuracy), Err(MatrixError::Tree { .. })));
}

#[test]
fn duplicated_points_are_fine_or_named() {
    let n = 90;
    let points = with_duplicates(n);
    let same = Points::new(2, vec![0.5; 2 * n]).unwrap();
    for (name, p) in [("pairs", points), ("all in one place", same)] {
        let a = Matrix::from_fn(n, n, |i, j| 1.0 / (0.1 + gap(&p, i, &p, j)) + if i == j { 5.0 } else { 0.0 });
        for splitting in [Splitting::Median, Splitting::Midpoint, Splitting::Boxes, Splitting::PrincipalComponent] {
            let tree = geometric(&p, 8, splitting);
            for (constructor, result) in constructors(&a, &tree, relative(1e-6)) {
                assert!(result.is_ok(), "{constructor}, {name}, {splitting:?}: {result:?}");
            }
        }
        // A kernel that is singular there must be told what to do.
        let p = Arc::new(p);
        let formula = KernelMatrix::<f64>::new(Kernel::InverseDistance, p.clone(), p.clone(), AtZero::Formula);
        assert!(matches!(formula, Err(MatrixError::Points { .. })));
        for at_zero in [AtZero::Value(1.0), AtZero::Softened(0.01)] {
            let kernel = KernelMatrix::<f64>::new(Kernel::InverseDistance, p.clone(), p.clone(), at_zero).unwrap();
            let (h, certificate) = H2Matrix::from_kernel(&kernel, &H2Options::new(relative(1e-4))).unwrap();
            let exact = Matrix::from_fn(n, n, |i, j| kernel.entry(i, j));
            assert!(distance(&h.to_dense(), &exact) <= certificate.frobenius.value + 1e-12 * exact.norm_frobenius());
        }
    }
}

#[test]
fn no_points_and_one_point() {
    assert!(matches!(ClusterTree::bisection(0, 4), Err(MatrixError::Tree { .. })));
    assert!(matches!(ClusterTree::bisection(4, 0), Err(MatrixError::Tree { .. })));
    let none = Points::new(2, vec![]).unwrap();
    assert!(matches!(ClusterTree::geometric(&none, 4, Splitting::Median), Err(MatrixError::Tree { .. })));
    assert!(matches!(Points::new(0, vec![]), Err(MatrixError::Points { .. })));
    let none = Arc::new(none);
    let kernel: Kernel = "gaussian".parse().unwrap();
    let empty = KernelMatrix::<f64>::new(kernel.clone(), none.clone(), none, AtZero::Formula).unwrap();
    let built = H2Matrix::from_kernel(&empty, &H2Options::new(relative(1e-3)));
    assert!(matches!(built, Err(MatrixError::Tree { .. })));
    assert!(matches!(Hss::from_dense(&Matrix::<f64>::zeros(0, 0), 4, relative(1e-3)), Err(MatrixError::Tree { .. })));

    let tree = geometric(&cloud(1, 2, 1), 4, Splitting::Median);
    let three = Matrix::from_fn(1, 1, |_, _| 3.0);
    for (constructor, result) in constructors(&three, &tree, relative(1e-3)) {
        assert!(result.is_ok(), "{constructor}: {result:?}");
    }
    let accuracy = relative(1e-3);
    let six = Matrix::from_vector(&[6.0]);
    let hodlr = Hodlr::from_dense(&three, tree.clone(), accuracy).unwrap().0;
    let hss = Hss::from_dense_on(&three, &tree, &tree, accuracy).unwrap().0;
    let h = HMatrix::build(&three, &tree, &tree, Admissibility::Weak, &HMatrixOptions::new(accuracy)).unwrap().0;
    let h2 = H2Matrix::from_entries(&three, tree.clone(), tree.clone(), &H2Options::new(accuracy)).unwrap().0;
    assert_eq!(h2.to_dense(), three);
    for x in [
        hodlr.factor().unwrap().solve(&six),
        hodlr.cholesky().unwrap().solve(&six),
        hss.ulv().unwrap().solve(&six),
        hss.cholesky(0.0).unwrap().solve(&six),
        h.lu(accuracy, 0).unwrap().0.solve(&six),
        h.cholesky(accuracy, 0).unwrap().0.solve(&six),
    ] {
        assert!((x.unwrap()[(0, 0)] - 2.0).abs() <= 1e-14);
    }
    assert!((hodlr.factor().unwrap().log_determinant().ln_abs - 3f64.ln()).abs() <= f64::EPSILON);
}

#[test]
fn memory_beyond_a_budget() {
    let n = 200;
    let p = Arc::new(cloud(n, 2, 3));
    let kernel: Kernel = "exponential".parse().unwrap();
    let kernel = KernelMatrix::<f64>::new(kernel, p.clone(), p.clone(), AtZero::Formula).unwrap();
    let tree = geometric(&p, 10, Splitting::Median);
    let options = |memory| HMatrixOptions::new(relative(1e-4).memory_budget(memory));
    let strong = Admissibility::Strong { eta: 2.0 };
    let (h, _) = HMatrix::build(&kernel, &tree, &tree, strong, &options(8 * n * n)).unwrap();
    for memory in [0, 1000, h.memory_bytes() / 2] {
        let result = HMatrix::build(&kernel, &tree, &tree, strong, &options(memory));
        assert!(
            matches!(result, Err(MatrixError::Memory { needed, budget, .. }) if needed > budget && budget == memory)
        );
    }
    let options = |budget| H2Options { leaf_size: 10, ..H2Options::new(relative(1e-4).memory_budget(budget)) };
    let (h2, _) = H2Matrix::from_kernel(&kernel, &options(8 * n * n)).unwrap();
    for memory in [0, 1000, h2.memory_bytes() / 4] {
        let result = H2Matrix::from_kernel(&kernel, &options(memory));
        assert!(
            matches!(result, Err(MatrixError::Memory { needed, budget, .. }) if needed > budget && budget == memory)
        );
    }
}
