//! Nothing asks `faer` for its process-wide number of threads: with another crate's feature `rayon` that is all of them,
//! and the bits of a factorisation depend on how many there are. A file of its own, since the setting is the process's.

use std::sync::Arc;

use farfield_matrix::hss::ProductOptions;
use farfield_matrix::{
    Accuracy, AdaptiveBlocks, Admissibility, AtZero, ClusterTree, EntryFn, H2Matrix, H2Options, HMatrix,
    HMatrixOptions, Hodlr, Hss, Kernel, KernelMatrix, Matrix, Points, SkeletonOptions, Splitting,
};

#[test]
fn builds_and_factors_never_ask_faer_for_its_threads() {
    faer::disable_global_parallelism();
    let n = 160;
    let coordinate = |i: usize| (i as f64 + 0.5) / n as f64;
    let a = Matrix::from_fn(n, n, |i, j| {
        let distance = coordinate(i) - coordinate(j);
        1.0 / (1.0 + 9.0 * distance * distance) + if i == j { 1.0 } else { 0.0 }
    });
    let tree = Arc::new(ClusterTree::bisection(n, 20).unwrap());
    let accuracy = Accuracy::relative(1e-8).unwrap();

    let (hss, _) = Hss::from_dense_on(&a, &tree, &tree, accuracy).unwrap();
    hss.ulv().unwrap();
    Hss::from_products(&a, &tree, &tree, accuracy, &ProductOptions::default()).unwrap();
    let symmetric = EntryFn::symmetric(n, |i: usize, j: usize| a[(i, j)]);
    Hss::from_entries(&symmetric, &tree, &tree, accuracy, &SkeletonOptions::default())
        .unwrap()
        .0
        .cholesky(1e-12)
        .unwrap();

    let (hodlr, _) = Hodlr::from_dense(&a, tree.clone(), accuracy).unwrap();
    hodlr.factor().unwrap();
    hodlr.cholesky().unwrap();

    let points = Arc::new(Points::new(1, (0..n).map(coordinate).collect()).unwrap());
    let boxes = Arc::new(ClusterTree::geometric(&points, 20, Splitting::Median).unwrap());
    let options = HMatrixOptions::new(accuracy);
    let (h, _) = HMatrix::build(&a, &boxes, &boxes, Admissibility::Strong { eta: 1.0 }, &options).unwrap();
    h.lu(accuracy, 0).unwrap();
    h.cholesky(accuracy, 0).unwrap();

    let kernel: Kernel = "exponential:0.3".parse().unwrap();
    let kernel = KernelMatrix::<f64>::new(kernel, points.clone(), points, AtZero::Formula).unwrap();
    H2Matrix::from_kernel(&kernel, &H2Options { leaf_size: 20, ..H2Options::new(accuracy) }).unwrap();
    AdaptiveBlocks::from_dense(&a, &tree, &tree, accuracy).unwrap();
}
