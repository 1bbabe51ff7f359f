//! H- and H2-matrices in files: the same matrix back, and errors for files that are not what they should be.

use std::sync::Arc;

use farfield_matrix::file::{self, FileFormat};
use farfield_matrix::{
    Accuracy, Admissibility, AtZero, ClusterTree, H2Matrix, H2Options, H2Storage, HMatrix, HMatrixOptions, Kernel,
    KernelMatrix, LinearOperator, Matrix, MatrixError, Points, Splitting,
};

fn cloud(n: usize, step: f64) -> Arc<Points> {
    Arc::new(Points::new(2, (0..2 * n).map(|i| (i as f64 * step).fract()).collect()).unwrap())
}

fn kernel(rows: &Arc<Points>, cols: &Arc<Points>) -> KernelMatrix<f64> {
    KernelMatrix::new(Kernel::InverseMultiquadric { length: 0.3 }, rows.clone(), cols.clone(), AtZero::Formula).unwrap()
}

fn accuracy() -> Accuracy {
    Accuracy::relative(1e-5).unwrap()
}

fn h(rows: &Arc<Points>, cols: &Arc<Points>) -> HMatrix<f64> {
    let tree = |points: &Points| Arc::new(ClusterTree::geometric(points, 12, Splitting::Midpoint).unwrap());
    let options = HMatrixOptions::new(accuracy());
    let far = Admissibility::Strong { eta: 1.5 };
    HMatrix::build(&kernel(rows, cols), &tree(rows), &tree(cols), far, &options).unwrap().0
}

fn h2(rows: &Arc<Points>, cols: &Arc<Points>, storage: H2Storage) -> H2Matrix<f64> {
    let options = H2Options { leaf_size: 12, storage, ..H2Options::new(accuracy()) };
    H2Matrix::from_kernel(&kernel(rows, cols), &options).unwrap().0
}

/// The file of a matrix, after a round trip that gives the same products and the same bytes.
fn round_trip<M: FileFormat + LinearOperator<f64>>(matrix: &M, same_bits: bool) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("a.ffm"), folder.path().join("b.ffm"));
    file::save(&path, matrix, None).unwrap();
    let (loaded, _) = file::load::<M>(&path).unwrap();
    let x = Matrix::from_fn(matrix.ncols(), 3, |i, j| ((i * (j + 2)) as f64).sin());
    let (y, z) = (matrix.apply(&x).unwrap(), loaded.apply(&x).unwrap());
    let distance = Matrix::from_fn(y.nrows(), y.ncols(), |i, j| y[(i, j)] - z[(i, j)]).norm_frobenius();
    assert!(distance <= if same_bits { 0.0 } else { 1e-13 * y.norm_frobenius() }, "{distance:e}");
    file::save(&again, &loaded, None).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes == std::fs::read(&again).unwrap(), "the same bytes");
    bytes
}

#[test]
fn round_trips() {
    let (a, b) = (cloud(300, 0.754_877_666), cloud(170, 0.569_840_29));
    for (rows, cols) in [(&a, &a), (&a, &b)] {
        round_trip(&h(rows, cols), true);
        round_trip(&h2(rows, cols, H2Storage::Stored), true);
        round_trip(&h2(rows, cols, H2Storage::Stored).scale(-2.0).unwrap(), true);
        // Recomputed blocks come back as stored ones: the same numbers, summed in another order.
        round_trip(&h2(rows, cols, H2Storage::Recomputed), false);
    }
    let one = cloud(1, 0.5);
    round_trip(&h(&one, &one), true);
    round_trip(&h2(&one, &one, H2Storage::Stored), true);
}

/// Loads a changed file: an error that names it, or numbers that differ; never a panic.
fn tolerated<M: FileFormat>(bytes: &[u8], what: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.ffm");
    std::fs::write(&path, bytes).unwrap();
    match file::load::<M>(&path) {
        Ok(_) => true,
        Err(MatrixError::File { path: named, reason }) => {
            assert!(named.ends_with("changed.ffm") && !reason.contains('\n'), "{what}: {reason}");
            false
        }
        Err(other) => panic!("{what}: {other}"),
    }
}

fn damage<M: FileFormat>(bytes: &[u8]) {
    for end in (0..bytes.len()).step_by(bytes.len() / 37 + 1) {
        assert!(!tolerated::<M>(&bytes[..end], "cut short"));
    }
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for at in (8..header).step_by(7) {
        let mut changed = bytes.to_vec();
        changed[at] = changed[at].wrapping_add(1);
        tolerated::<M>(&changed, "header");
    }
    // Codes, ranks, pairs and trees are whole numbers: make some of them wrong.
    for at in (header..bytes.len()).step_by((bytes.len() - header) / 211 + 1) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 0x15;
        tolerated::<M>(&changed, "numbers");
    }
}

#[test]
fn damaged_files_are_errors() {
    let (a, b) = (cloud(60, 0.754_877_666), cloud(40, 0.569_840_29));
    let of_h = round_trip(&h(&a, &b), true);
    damage::<HMatrix<f64>>(&of_h);
    assert!(!tolerated::<H2Matrix<f64>>(&of_h, "another kind"));
    damage::<H2Matrix<f64>>(&round_trip(&h2(&a, &a, H2Storage::Stored), true));
    damage::<H2Matrix<f64>>(&round_trip(&h2(&a, &b, H2Storage::Stored), true));
}
