//! What cannot be built, combined or factored.

use std::sync::Arc;

use farfield_matrix::*;

use super::systems::*;
use crate::cases::*;

#[test]
fn what_is_wrong_is_an_error() {
    let n = 120;
    let points = cloud(n, 2, 1);
    let tree = geometric(&points, 10, Splitting::Median);
    let strong = Admissibility::Strong { eta: 2.0 };
    let kernel = Matrix::from_fn(n, n, |i, j| if i == j { 50.0 } else { 1.0 / (0.01 + gap(&points, i, &points, j)) });
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
    let budget = HMatrixOptions { accuracy: options(1e-3).accuracy.memory_budget(10_000), ..options(1e-3) };
    let error = HMatrix::build(&kernel, &tree, &tree, strong, &budget).unwrap_err();
    assert!(matches!(error, MatrixError::Memory { needed, budget: 10_000, .. } if needed > 10_000), "{error}");
    let enough = HMatrixOptions { accuracy: options(1e-3).accuracy.memory_budget(8 * n * n), ..options(1e-3) };
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
