//! H-matrices from H2-matrices and the other way, against dense ones.

use std::sync::Arc;

use farfield_matrix::{
    Accuracy, Admissibility, AtZero, ClusterTree, Confidence, EntryFn, H2Basis, H2Matrix, H2Options, H2Storage,
    HMatrix, HMatrixOptions, Kernel, KernelMatrix, LinearOperator, Matrix, MatrixError, Points, Splitting,
};

fn cloud(dim: usize, n: usize, seed: usize) -> Arc<Points> {
    let random = |i: usize| ((i * i % 7919 + i) as f64 * 0.618_033_988_749_895 + seed as f64 * 0.37).fract();
    Arc::new(Points::new(dim, (1..=dim * n).map(random).collect()).unwrap())
}

fn distance(a: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)]).norm_frobenius()
}

fn kernel(name: &str, rows: &Arc<Points>, cols: &Arc<Points>) -> KernelMatrix<f64> {
    let kernel: Kernel = name.parse().unwrap();
    let at_zero = if kernel.is_singular() { AtZero::Value(3.0) } else { AtZero::Formula };
    KernelMatrix::new(kernel, rows.clone(), cols.clone(), at_zero).unwrap()
}

fn relative(tolerance: f64) -> Accuracy {
    Accuracy::relative(tolerance).unwrap()
}

#[test]
fn h2_to_h_is_exact() {
    for (rows, cols) in [(cloud(2, 400, 0), cloud(2, 300, 1)), (cloud(3, 350, 0), cloud(3, 350, 0))] {
        let cols = if rows.len() == cols.len() { rows.clone() } else { cols };
        for basis in [H2Basis::Skeleton, H2Basis::Chebyshev] {
            for storage in [H2Storage::Stored, H2Storage::StoredSingle, H2Storage::Recomputed] {
                let options = H2Options { leaf_size: 20, basis, storage, ..H2Options::new(relative(1e-3)) };
                let (h2, _) = H2Matrix::from_kernel(&kernel("inverse", &rows, &cols), &options).unwrap();
                let h2 = h2.scale(-2.0).unwrap();
                let h = HMatrix::from_h2(&h2);
                assert!(distance(&h.to_dense(), &h2.to_dense()) <= 1e-13 * h.norm_frobenius());
                let kinds = |far: bool| h.leaves().iter().filter(|l| l.rank.is_some() == far).count();
                let of_h2 = h2.leaves();
                assert_eq!(kinds(true) + kinds(false), of_h2.len());
                assert_eq!(kinds(true), of_h2.iter().filter(|l| l.rank.is_some()).count());
            }
        }
    }
}

#[test]
fn a_converted_matrix_can_be_factored() {
    let points = cloud(2, 500, 3);
    let options = H2Options { leaf_size: 25, ..H2Options::new(relative(1e-8)) };
    let (h2, _) = H2Matrix::from_kernel(&kernel("exponential:0.2", &points, &points), &options).unwrap();
    let h2 = h2.shift(1.0).unwrap();
    let (lu, _) = HMatrix::from_h2(&h2).lu(relative(1e-10), 0).unwrap();
    let b = Matrix::from_fn(500, 1, |i, _| (i % 5) as f64);
    let back = h2.apply(&lu.solve(&b).unwrap()).unwrap();
    assert!(distance(&back, &b) <= 1e-7 * b.norm_frobenius());
}

#[test]
fn h_to_h2_within_the_tolerance() {
    for (dim, admissibility) in [
        (1, Admissibility::Strong { eta: 1.0 }),
        (2, Admissibility::Strong { eta: 2.0 }),
        (3, Admissibility::Strong { eta: 1.5 }),
        (1, Admissibility::Weak),
    ] {
        let points = cloud(dim, 420, dim);
        let cols = if dim == 2 { cloud(2, 350, 9) } else { points.clone() };
        let tree = |p: &Points| Arc::new(ClusterTree::geometric(p, 20, Splitting::Median).unwrap());
        let (rows, cols_tree) = (tree(&points), tree(&cols));
        let entries = kernel("log", &points, &cols);
        let options = HMatrixOptions::new(relative(1e-9));
        let (h, _) = HMatrix::build(&entries, &rows, &cols_tree, admissibility, &options).unwrap();
        let full = h.to_dense();
        for tolerance in [1e-11, 1e-6, 1e-3] {
            let (h2, certificate) = h.to_h2(relative(tolerance)).unwrap();
            let error = distance(&h2.to_dense(), &full);
            let bound = certificate.frobenius.value;
            assert!(error <= bound && bound <= tolerance * full.norm_frobenius(), "{dim}, {tolerance}: {error:e}");
            assert!(tolerance < 1e-10 || bound <= 3.0 * error, "{dim}, {tolerance}: {error:e} {bound:e}");
            assert_eq!(certificate.frobenius.confidence, Confidence::Proven);
            assert!((certificate.norm - h2.norm_frobenius()).abs() <= 1e-12 * certificate.norm);
            let x = Matrix::from_fn(h.ncols(), 2, |i, j| ((3 * i + j) as f64).sin());
            let gap = distance(&h2.apply(&x).unwrap(), &h2.to_dense().apply(&x).unwrap());
            assert!(gap <= 1e-12 * full.norm_frobenius() * x.norm_frobenius());
            // There and back.
            assert!(distance(&HMatrix::from_h2(&h2).to_dense(), &h2.to_dense()) <= 1e-13 * full.norm_frobenius());
        }
        assert!(matches!(h.to_h2(relative(1e-6).max_rank(1)), Err(MatrixError::Tolerance { .. })));
        assert!(matches!(h.to_h2(relative(1e-18)), Err(MatrixError::Tolerance { .. })));
    }
}

#[test]
fn nested_bases_take_less_memory() {
    let n = 4000;
    let points = Arc::new(Points::new(1, (0..n).map(|i| i as f64 / n as f64).collect()).unwrap());
    let tree = Arc::new(ClusterTree::geometric(&points, 30, Splitting::Median).unwrap());
    let options = HMatrixOptions::new(relative(1e-8));
    let strong = Admissibility::Strong { eta: 1.0 };
    let (h, _) = HMatrix::build(&kernel("log", &points, &points), &tree, &tree, strong, &options).unwrap();
    let (h2, _) = h.to_h2(relative(1e-7)).unwrap();
    assert!(10 * h2.stored() < 8 * h.stored(), "{} and {}", h2.stored(), h.stored());
}

#[test]
fn zero_tiny_and_dense_matrices() {
    let points = cloud(1, 90, 0);
    let tree = Arc::new(ClusterTree::geometric(&points, 10, Splitting::Median).unwrap());
    let options = HMatrixOptions::new(Accuracy::absolute(1e-9).unwrap());
    for scale in [0.0, 1.0f64] {
        let entries = EntryFn::new(90, 90, |i: usize, j: usize| scale / (1.0 + i.abs_diff(j) as f64));
        for admissibility in [Admissibility::Custom(&|_, _| false), Admissibility::Strong { eta: 2.0 }] {
            let (h, _) = HMatrix::build(&entries, &tree, &tree, admissibility, &options).unwrap();
            let (h2, _) = h.to_h2(Accuracy::absolute(1e-9).unwrap()).unwrap();
            assert!(distance(&h2.to_dense(), &h.to_dense()) <= 1e-9);
        }
    }
}
