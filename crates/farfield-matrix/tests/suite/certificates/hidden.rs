//! Matrices made to deceive builds that look at a part of the entries.
//!
//! What the certificates of such builds assume, and what no method can do without: that an error does not sit in a few places to which nothing that was looked
//! at points. Blocks of zero rows, block-diagonal blocks and thin bands are within that; a single large entry in a smooth block is not.

use std::sync::Arc;

use farfield_matrix::hss::ProductOptions;
use farfield_matrix::*;

use crate::cases::*;

const N: usize = 192;

fn smooth(i: usize, j: usize) -> f64 {
    1.0 / (1.0 + 0.02 * i as f64 + 0.03 * j as f64)
}

fn deceptive() -> Vec<(&'static str, Matrix<f64>)> {
    let make = |f: &dyn Fn(usize, usize) -> f64| Matrix::from_fn(N, N, f);
    let near = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
    vec![
        ("every second row zero", make(&|i, j| if i % 2 == 0 { near(i, j) } else { smooth(i, j) })),
        ("every third column zero", make(&|i, j| if j % 3 == 0 { near(i, j) } else { smooth(i, j) })),
        ("a quarter of the rows zero", make(&|i, j| if i % 96 < 24 { near(i, j) } else { smooth(i, j) })),
        (
            "diagonal blocks inside of blocks",
            make(&|i, j| if (i / 12) % 4 == (j / 12) % 4 { smooth(i, j) } else { near(i, j) }),
        ),
        (
            "two clumps of a short kernel",
            make(&|i, j| (-(((i * 7) % N) as f64 - ((j * 7) % N) as f64).powi(2) / 50.0).exp()),
        ),
        ("a thin band", make(&|i, j| if i.abs_diff(j) <= 1 { 1.0 + smooth(i, j) } else { 0.0 })),
        ("a band far from the diagonal", make(&|i, j| near(i, j) + if i.abs_diff(j) == N / 2 { 0.5 } else { 0.0 })),
        (
            "a small block beside a large one",
            make(&|i, j| if i % 96 < 20 && j % 96 < 20 { 1e-3 * smooth(i, j).powi(2) } else { 10.0 * smooth(j, i) }),
        ),
        ("zero but for the last rows", make(&|i, j| if i + 16 > N { smooth(i, j) } else { near(i, j) })),
    ]
}

/// Points on a line with the order of the indices, for the formats that want boxes.
fn line() -> Points {
    Points::new(1, (0..N).map(|i| i as f64 / N as f64).collect()).unwrap()
}

/// The dense form of a build, and its certificate.
type Built = Result<(Matrix<f64>, Certificate), MatrixError>;

/// Every build that does not look at all entries.
fn builds(a: &Matrix<f64>, tolerance: f64, seed: u64) -> Vec<(&'static str, Built)> {
    let tree = geometric(&line(), 24, Splitting::Median);
    let accuracy = relative(tolerance);
    // A matrix known by its entries alone.
    let entries = EntryFn::new(N, N, |i, j| a[(i, j)]);
    let skeletons = SkeletonOptions { seed, check_rows: 48, ..SkeletonOptions::default() };
    let h = |admissibility| {
        let options = HMatrixOptions { seed, ..HMatrixOptions::new(accuracy) };
        HMatrix::build(&entries, &tree, &tree, admissibility, &options).map(|(h, c)| (h.to_dense(), c))
    };
    let h2 = H2Options { seed, ..H2Options::new(accuracy) };
    vec![
        ("HODLR", Hodlr::from_entries(&entries, tree.clone(), accuracy, seed).map(|(h, c)| (h.to_dense(), c))),
        ("HSS", Hss::from_entries(&entries, &tree, &tree, accuracy, &skeletons).map(|(h, c)| (h.to_dense(), c))),
        ("H, weak", h(Admissibility::Weak)),
        ("H, strong", h(Admissibility::Strong { eta: 1.0 })),
        ("H2", H2Matrix::from_entries(&entries, tree.clone(), tree.clone(), &h2).map(|(h, c)| (h.to_dense(), c))),
    ]
}

#[test]
fn zero_rows_and_hidden_blocks_are_seen_or_reported() {
    let mut met = 0;
    for (name, a) in deceptive() {
        for tolerance in [1e-2, 1e-6] {
            for seed in 0..3 {
                for (format, result) in builds(&a, tolerance, seed) {
                    match result {
                        Ok((full, certificate)) => {
                            let (error, bound) = (distance(&full, &a), certificate.frobenius.value);
                            let rounding = 4.0 * f64::EPSILON * a.norm_frobenius();
                            assert!(
                                error <= bound + rounding,
                                "{format}, {name}, {tolerance:e}, {seed}: {error:e} {bound:e}"
                            );
                            assert!(error <= tolerance * a.norm_frobenius(), "{format}, {name}, {tolerance:e}");
                            met += 1;
                        }
                        Err(MatrixError::Tolerance { tolerance, reached, .. }) => {
                            assert!(reached > tolerance, "{format}, {name}")
                        }
                        Err(error) => panic!("{format}, {name}: {error}"),
                    }
                }
            }
        }
    }
    println!("{met} builds of {}", deceptive().len() * 2 * 3 * 5);
    assert!(met >= deceptive().len() * 2 * 3 * 5 * 9 / 10, "{met} builds met their tolerance");
}

/// One entry that is a thousand times the others, in a block of low rank: builds that look at all entries, and those that multiply, see it; for those that sample the
/// documentation excludes it, and what they promise of all other entries holds.
#[test]
fn a_single_large_entry_is_seen_by_all_but_samples() {
    let (row, col, tolerance) = (150, 23, 1e-4);
    let plain = Matrix::from_fn(N, N, |i, j| smooth(i, j) + if i == j { 1.0 } else { 0.0 });
    let a = Matrix::from_fn(N, N, |i, j| plain[(i, j)] + if (i, j) == (row, col) { 1e3 } else { 0.0 });
    let tree = geometric(&line(), 24, Splitting::Median);
    let accuracy = relative(tolerance);
    let by_h = |compression| {
        let options = HMatrixOptions { compression, ..HMatrixOptions::new(accuracy) };
        let (h, c) = HMatrix::build(&a, &tree, &tree, Admissibility::Weak, &options).unwrap();
        (h.to_dense(), c)
    };
    let hss = Hss::from_products(&a, &tree, &tree, accuracy, &ProductOptions::default()).unwrap();
    let pair = |(h, c): (Hodlr<f64>, Certificate)| (h.to_dense(), c);
    let dense = Hss::from_dense_on(&a, &tree, &tree, accuracy).unwrap();
    for (name, (full, certificate)) in [
        ("HODLR, dense", pair(Hodlr::from_dense(&a, tree.clone(), accuracy).unwrap())),
        ("HODLR, products", pair(Hodlr::from_products(&a, tree.clone(), accuracy, 1).unwrap())),
        ("HSS, dense", (dense.0.to_dense(), dense.1)),
        ("HSS, products", (hss.matrix.to_dense(), hss.certificate)),
        ("H, SVD", by_h(Compression::Svd)),
        ("H, all entries", by_h(Compression::CrossApproximation { check: Check::Exact })),
    ] {
        assert!(distance(&full, &a) <= certificate.frobenius.value, "{name}");
        assert!(certificate.frobenius.value <= tolerance * a.norm_frobenius(), "{name}");
    }
    for (name, result) in builds(&a, tolerance, 3) {
        // Seen or not: an error, or a matrix that is right wherever the assumption holds.
        let Ok((full, certificate)) = result else { continue };
        let missed = (full[(row, col)] - a[(row, col)]).abs() > tolerance * a.norm_frobenius();
        let others = Matrix::from_fn(N, N, |i, j| if (i, j) == (row, col) { a[(i, j)] } else { full[(i, j)] });
        let bound = certificate.frobenius.value;
        assert!(distance(&others, &a) <= bound, "{name}: {:e} {bound:e}", distance(&others, &a));
        if missed {
            assert!(
                matches!(certificate.frobenius.confidence, Confidence::Probabilistic { .. }),
                "{name}: proven, and wrong"
            );
        }
    }
}

/// What the statement of the sampled certificates calls a share of the places: a part of a block with a share of one in a hundred is found.
#[test]
fn an_error_in_a_hundredth_of_a_block_is_found() {
    let tree: Arc<ClusterTree> = bisection(N, N / 2);
    for seed in 0..40 {
        let (row, col) = (N / 2 + (7 * seed as usize) % 80, (11 * seed as usize) % 80);
        let patch = |i: usize, j: usize| (row..row + 10).contains(&i) && (col..col + 10).contains(&j);
        let a = Matrix::from_fn(N, N, |i, j| {
            smooth(i, j) + if patch(i, j) { 0.1 * (i as f64).sin() * (j as f64).cos() } else { 0.0 }
        });
        let (h, c) = Hodlr::from_entries(&a, tree.clone(), relative(1e-5), seed).unwrap();
        assert!(distance(&h.to_dense(), &a) <= c.frobenius.value, "HODLR, seed {seed}");
        let options = HMatrixOptions { seed, ..HMatrixOptions::new(relative(1e-5)) };
        let (h, c) = HMatrix::build(&a, &tree, &tree, Admissibility::Weak, &options).unwrap();
        assert!(distance(&h.to_dense(), &a) <= c.frobenius.value, "H, seed {seed}");
    }
}
