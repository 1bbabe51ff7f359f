//! 2-norms and condition numbers of every format and factorisation, against dense singular values.

use std::sync::Arc;

use farfield_matrix::{
    Accuracy, Admissibility, ClusterTree, EntryFn, H2Matrix, H2Options, HMatrix, HMatrixOptions, Hodlr, Hss,
    LinearOperator, Matrix, MatrixError, Points, SkeletonOptions, Splitting, condition_2, norm_2,
};

/// Largest and smallest singular value.
fn extreme_singular_values(a: &Matrix<f64>) -> (f64, f64) {
    let dense = faer::Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)]);
    let values = dense.singular_values().unwrap();
    (values[0], values[values.len() - 1])
}

fn relative(tolerance: f64) -> Accuracy {
    Accuracy::relative(tolerance).unwrap()
}

fn tree(n: usize) -> Arc<ClusterTree> {
    let points = Points::new(1, (0..n).map(|i| i as f64 / n as f64).collect()).unwrap();
    Arc::new(ClusterTree::geometric(&points, 20, Splitting::Median).unwrap())
}

fn entries(n: usize, diagonal: f64) -> EntryFn<impl Fn(usize, usize) -> f64 + Sync> {
    let entry = move |i: usize, j: usize| (-8.0 * i.abs_diff(j) as f64 / n as f64).exp();
    EntryFn::new(n, n, move |i, j| entry(i, j) + if i == j { diagonal } else { 0.0 })
}

#[test]
fn two_norms_of_every_format() {
    for n in [60, 333] {
        let (a, tree) = (entries(n, 0.1), tree(n));
        let accuracy = relative(1e-6);
        let hodlr = Hodlr::from_entries(&a, tree.clone(), accuracy, 0).unwrap().0;
        let hss = Hss::from_entries(&a, &tree, &tree, accuracy, &SkeletonOptions::default()).unwrap().0;
        let strong = Admissibility::Strong { eta: 2.0 };
        let h = HMatrix::build(&a, &tree, &tree, strong, &HMatrixOptions::new(accuracy)).unwrap().0;
        let h2 = H2Matrix::from_entries(&a, tree.clone(), tree.clone(), &H2Options::new(accuracy)).unwrap().0;
        let found = [
            (hodlr.norm_2(1e-8, 1).unwrap(), hodlr.to_dense()),
            (hss.norm_2(1e-8, 1).unwrap(), hss.to_dense()),
            (h.norm_2(1e-8, 1).unwrap(), h.to_dense()),
            (h2.norm_2(1e-8, 1).unwrap(), h2.to_dense()),
        ];
        for (k, (norm, dense)) in found.iter().enumerate() {
            let (exact, _) = extreme_singular_values(dense);
            assert!((norm - exact).abs() <= 1e-8 * exact, "format {k} of order {n}: {norm} {exact}");
        }
        // The difference of two formats, as an operator of its own.
        let operators: [&dyn LinearOperator<f64>; 4] = [&hodlr, &hss, &h, &h2];
        for a in operators {
            assert!((norm_2(a, 1e-6, 0).unwrap() - found[0].0).abs() <= 4e-6 * hodlr.norm_frobenius());
        }
    }
}

#[test]
fn condition_numbers_from_every_factorisation() {
    let n = 160;
    for diagonal in [1.0, 1e-2, 1e-4] {
        let (a, tree) = (entries(n, diagonal), tree(n));
        let accuracy = relative(1e-11);
        let hodlr = Hodlr::from_entries(&a, tree.clone(), accuracy, 0).unwrap().0;
        let hss = Hss::from_entries(&a, &tree, &tree, accuracy, &SkeletonOptions::default()).unwrap().0;
        let strong = Admissibility::Strong { eta: 2.0 };
        let h = HMatrix::build(&a, &tree, &tree, strong, &HMatrixOptions::new(accuracy)).unwrap().0;
        let (largest, smallest) = extreme_singular_values(&hodlr.to_dense());
        let exact = largest / smallest;
        let found = [
            condition_2(&hodlr, &hodlr.factor().unwrap(), 1e-8, 0).unwrap(),
            condition_2(&hss, &hss.ulv().unwrap(), 1e-8, 0).unwrap(),
            condition_2(&hss, &hss.cholesky(1e-8).unwrap(), 1e-8, 0).unwrap(),
            condition_2(&h, &h.lu(relative(1e-11), 0).unwrap().0, 1e-8, 0).unwrap(),
        ];
        for (k, condition) in found.into_iter().enumerate() {
            assert!((condition - exact).abs() <= 1e-5 * exact, "factorisation {k}: {condition:e} {exact:e}");
        }
        let inverse = hodlr.factor().unwrap().norm_2(1e-8, 3).unwrap();
        assert!((inverse * smallest - 1.0).abs() <= 1e-5, "{inverse} {smallest}");
    }
    let one = Matrix::<f64>::identity(3);
    assert!(matches!(condition_2(&one, &one, 2.0, 0), Err(MatrixError::Option { .. })));
    assert!(matches!(one.norm_2(0.0, 0), Err(MatrixError::Option { .. })));
}
