//! Memory budgets: every build, sum and recompression keeps to its own, or is an error that says what it needs.

use std::sync::Arc;

use farfield_matrix::hss::ProductOptions;
use farfield_matrix::{
    Accuracy, Admissibility, ClusterTree, EntryFn, H2Matrix, H2Options, H2Storage, HMatrix, HMatrixOptions, Hodlr, Hss,
    Matrix, MatrixError, Points, SkeletonOptions, Splitting,
};

const N: usize = 512;

fn tree() -> Arc<ClusterTree> {
    let points = Points::new(1, (0..N).map(|i| i as f64 / N as f64).collect()).unwrap();
    Arc::new(ClusterTree::geometric(&points, 16, Splitting::Median).unwrap())
}

fn entries() -> EntryFn<impl Fn(usize, usize) -> f64 + Sync> {
    EntryFn::new(N, N, |i: usize, j: usize| 1.0 / (1.0 + i.abs_diff(j) as f64))
}

fn dense() -> Matrix<f64> {
    Matrix::from_fn(N, N, |i, j| 1.0 / (1.0 + i.abs_diff(j) as f64))
}

type Build = (&'static str, Box<dyn Fn(Accuracy) -> Result<usize, MatrixError>>);

/// Every build, with the bytes of its result.
fn builds() -> Vec<Build> {
    let strong = || Admissibility::Strong { eta: 2.0 };
    let h2 = |storage| {
        move |accuracy: Accuracy| {
            let options = H2Options { storage, ..H2Options::new(accuracy) };
            Ok(H2Matrix::<f64>::from_entries(&entries(), tree(), tree(), &options)?.0.memory_bytes())
        }
    };
    let (skeletons, sketch) = (SkeletonOptions::default(), ProductOptions::default());
    vec![
        ("HODLR of a dense matrix", Box::new(|a| Ok(Hodlr::from_dense(&dense(), tree(), a)?.0.memory_bytes()))),
        ("HODLR of entries", Box::new(|a| Ok(Hodlr::from_entries(&entries(), tree(), a, 1)?.0.memory_bytes()))),
        ("HODLR of products", Box::new(|a| Ok(Hodlr::from_products(&dense(), tree(), a, 1)?.0.memory_bytes()))),
        (
            "HSS of a dense matrix",
            Box::new(|a| Ok(Hss::from_dense_on(&dense(), &tree(), &tree(), a)?.0.memory_bytes())),
        ),
        (
            "HSS of entries",
            Box::new(move |a| Ok(Hss::from_entries(&entries(), &tree(), &tree(), a, &skeletons)?.0.memory_bytes())),
        ),
        (
            "HSS of products",
            Box::new(move |a| Ok(Hss::from_products(&dense(), &tree(), &tree(), a, &sketch)?.matrix.memory_bytes())),
        ),
        (
            "H",
            Box::new(move |a| {
                let options = HMatrixOptions::new(a);
                Ok(HMatrix::build(&entries(), &tree(), &tree(), strong(), &options)?.0.memory_bytes())
            }),
        ),
        ("H2", Box::new(h2(H2Storage::Stored))),
        ("H2 in single precision", Box::new(h2(H2Storage::StoredSingle))),
    ]
}

#[test]
fn builds_keep_to_their_budget() {
    let accuracy = Accuracy::relative(1e-4).unwrap();
    for (name, build) in builds() {
        let bytes = build(accuracy).unwrap();
        assert!(bytes < 8 * N * N / 2, "{name}");
        assert_eq!(build(accuracy.memory_budget(bytes)).unwrap(), bytes, "{name}: the budget is what it needs");
        // One number too few; nothing but the leaves; less than the leaves.
        for budget in [bytes - 8, 8 * N * 16 + 8, 1000, 0] {
            match build(accuracy.memory_budget(budget)) {
                Err(MatrixError::Memory { needed, budget: stated, .. }) => {
                    assert!(stated == budget && needed > budget && needed <= bytes, "{name}: {needed} of {bytes}");
                }
                other => panic!("{name} with {budget} bytes: {other:?}"),
            }
        }
    }
}

#[test]
fn nothing_is_asked_for_when_the_leaves_alone_are_too_large() {
    let never = EntryFn::new(N, N, |_, _| -> f64 { panic!("an entry was asked for") });
    let accuracy = Accuracy::relative(1e-4).unwrap().memory_budget(8 * N);
    assert!(matches!(Hodlr::from_entries(&never, tree(), accuracy, 0), Err(MatrixError::Memory { .. })));
    let hss = Hss::from_entries(&never, &tree(), &tree(), accuracy, &SkeletonOptions::default());
    assert!(matches!(hss, Err(MatrixError::Memory { .. })));
    let h2 = H2Matrix::from_entries(&never, tree(), tree(), &H2Options::new(accuracy));
    assert!(matches!(h2, Err(MatrixError::Memory { .. })));
}

#[test]
fn recompressions_sums_and_conversions_keep_to_it_too() {
    let (exact, coarse) = (Accuracy::relative(1e-10).unwrap(), Accuracy::relative(1e-3).unwrap());
    let hodlr = Hodlr::from_dense(&dense(), tree(), exact).unwrap().0;
    let hss = Hss::from_dense_on(&dense(), &tree(), &tree(), exact).unwrap().0;
    let strong = Admissibility::Strong { eta: 2.0 };
    let h = HMatrix::build(&entries(), &tree(), &tree(), strong, &HMatrixOptions::new(exact)).unwrap().0;
    let h2 = h.to_h2(exact).unwrap().0;
    let operations: Vec<Build> = vec![
        (
            "HODLR",
            Box::new({
                let a = hodlr.clone();
                move |x| Ok(a.recompress(x)?.0.memory_bytes())
            }),
        ),
        ("HODLR sum", Box::new(move |x| Ok(hodlr.add(&hodlr, x)?.0.memory_bytes()))),
        ("HSS", Box::new(move |x| Ok(hss.recompress(x)?.0.memory_bytes()))),
        (
            "H",
            Box::new({
                let a = h.clone();
                move |x| Ok(a.recompress(x)?.0.memory_bytes())
            }),
        ),
        (
            "H sum",
            Box::new({
                let a = h.clone();
                move |x| Ok(a.add(&a, x)?.0.memory_bytes())
            }),
        ),
        ("H to H2", Box::new(move |x| Ok(h.to_h2(x)?.0.memory_bytes()))),
        (
            "H2",
            Box::new({
                let a = h2.clone();
                move |x| Ok(a.recompress(x)?.0.memory_bytes())
            }),
        ),
        ("H2 sum", Box::new(move |x| Ok(h2.add(&h2, x)?.0.memory_bytes()))),
    ];
    for (name, operation) in operations {
        let bytes = operation(coarse).unwrap();
        assert_eq!(operation(coarse.memory_budget(bytes)).unwrap(), bytes, "{name}");
        match operation(coarse.memory_budget(bytes - 8)) {
            Err(MatrixError::Memory { needed, budget, .. }) => {
                assert_eq!((needed, budget), (bytes, bytes - 8), "{name}")
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}
