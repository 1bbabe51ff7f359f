//! What every format offers under one name, against the dense matrix.

use std::sync::Arc;

use farfield_matrix::{
    Accuracy, Admissibility, ClusterTree, EntryFn, H2Matrix, H2Options, HMatrix, HMatrixOptions, Hodlr, Hss,
    LinearOperator, Matrix, MatrixError, Points, SkeletonOptions, Splitting,
};

const N: usize = 300;

fn distance(a: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)]).norm_frobenius()
}

fn accuracy() -> Accuracy {
    Accuracy::relative(1e-8).unwrap()
}

/// Not symmetric, on points in a shuffled order.
fn entries() -> EntryFn<impl Fn(usize, usize) -> f64 + Sync> {
    let x = |i: usize| ((i * 7) % N) as f64 / N as f64;
    EntryFn::new(N, N, move |i, j| 1.0 / (1.5 / N as f64 + (x(i) - 1.1 * x(j)).abs()))
}

fn tree() -> Arc<ClusterTree> {
    let points = Points::new(1, (0..N).map(|i| ((i * 7) % N) as f64 / N as f64).collect()).unwrap();
    Arc::new(ClusterTree::geometric(&points, 20, Splitting::Median).unwrap())
}

/// The checks that read alike for every format. `$updated` is `A + U V^T`, `$small` a recompressed matrix with its certificate.
macro_rules! check {
    ($a:expr, $updated:expr, $small:expr, $diagonal:expr, $trace:expr) => {{
        let a = $a;
        let full = a.to_dense();
        let size = full.norm_frobenius();
        let slack = 1e-12 * size;
        let (rows, cols) = ([299, 0, 17, 17], [5, 150, 0]);
        let block = a.block(&rows, &cols).unwrap();
        assert!(distance(&block, &Matrix::from_fn(4, 3, |i, j| full[(rows[i], cols[j])])) <= slack);
        assert!((a.entry(123, 45).unwrap() - full[(123, 45)]).abs() <= slack);
        assert!(matches!(a.entry(N, 0), Err(MatrixError::Option { .. })));
        assert!(matches!(a.block(&[0], &[N]), Err(MatrixError::Option { .. })));
        let diagonal: Vec<f64> = $diagonal;
        assert!((0..N).all(|i| (diagonal[i] - full[(i, i)]).abs() <= slack));
        let trace: f64 = $trace;
        assert!((trace - diagonal.iter().sum::<f64>()).abs() <= slack);
        assert!((a.norm_frobenius() - size).abs() <= slack);
        assert!(distance(&a.transpose().to_dense(), &full.transpose()) <= slack);
        let scaled = a.scale(-2.5).unwrap().to_dense();
        assert!(distance(&scaled, &Matrix::from_fn(N, N, |i, j| -2.5 * full[(i, j)])) <= slack);
        let shifted = a.shift(3.0).unwrap().to_dense();
        let exact = Matrix::from_fn(N, N, |i, j| full[(i, j)] + if i == j { 3.0 } else { 0.0 });
        assert!(distance(&shifted, &exact) <= slack);
        assert!(matches!(a.scale(f64::NAN), Err(MatrixError::Factor { .. })));
        assert!(matches!(a.shift(f64::NAN), Err(MatrixError::Factor { .. })));
        let updated: Matrix<f64> = $updated;
        let exact = Matrix::from_fn(N, N, |i, j| full[(i, j)] + u()[(i, 0)] * v()[(j, 0)]);
        assert!(distance(&updated, &exact) <= 1e-8 * exact.norm_frobenius());
        let (small, certificate) = $small;
        let error = distance(&small.to_dense(), &full);
        assert!(error <= certificate.frobenius.value && certificate.frobenius.value <= 1e-3 * size);
        assert!(small.stored() < a.stored() && small.memory_bytes() == 8 * small.stored());
        assert!(small.multiply_adds() == small.stored() && certificate.stored == small.stored());
        assert!(!a.ranks().is_empty() && !a.leaves().is_empty());
        let largest = a.norm_2(1e-6, 0).unwrap();
        assert!(largest <= size && largest * (N as f64).sqrt() >= size);
    }};
}

fn u() -> Matrix<f64> {
    Matrix::from_fn(N, 1, |i, _| (i as f64 * 0.3).sin())
}

fn v() -> Matrix<f64> {
    Matrix::from_fn(N, 1, |i, _| 1.0 + (i as f64 * 0.1).cos())
}

#[test]
fn hodlr() {
    let a = Hodlr::from_entries(&entries(), tree(), accuracy(), 0).unwrap().0;
    let coarse = Accuracy::relative(1e-3).unwrap();
    let updated = a.add_low_rank(&u(), &v(), accuracy()).unwrap().0.to_dense();
    check!(&a, updated, a.recompress(coarse).unwrap(), a.diagonal(), a.trace());
}

#[test]
fn hss() {
    let a = Hss::from_entries(&entries(), &tree(), &tree(), accuracy(), &SkeletonOptions::default()).unwrap().0;
    let coarse = Accuracy::relative(1e-3).unwrap();
    let updated = a.add_low_rank(&u(), &v()).unwrap().to_dense();
    check!(&a, updated, a.recompress(coarse).unwrap(), a.diagonal().unwrap(), a.trace().unwrap());
}

#[test]
fn h() {
    let strong = Admissibility::Strong { eta: 2.0 };
    let a = HMatrix::build(&entries(), &tree(), &tree(), strong, &HMatrixOptions::new(accuracy())).unwrap().0;
    let coarse = Accuracy::relative(1e-3).unwrap();
    let updated = a.add_low_rank(&u(), &v(), accuracy()).unwrap().0.to_dense();
    check!(&a, updated, a.recompress(coarse).unwrap(), a.diagonal(), a.trace().unwrap());
}

#[test]
fn h2() {
    let a = H2Matrix::from_entries(&entries(), tree(), tree(), &H2Options::new(accuracy())).unwrap().0;
    let coarse = Accuracy::relative(1e-3).unwrap();
    let updated = a.add_low_rank(&u(), &v(), accuracy()).unwrap().0.to_dense();
    check!(&a, updated, a.recompress(coarse).unwrap(), a.diagonal().unwrap(), a.trace().unwrap());
}
