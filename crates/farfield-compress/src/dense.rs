//! The dense linear algebra of this crate, in double precision and on the calling thread: parallel work is over blocks and weights.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use farfield_matrix::Matrix;

/// `A B`.
pub(crate) fn product(a: MatRef<f64>, b: MatRef<f64>) -> Mat<f64> {
    let mut c = Mat::zeros(a.nrows(), b.ncols());
    matmul(c.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    c
}

/// `C += A B`.
pub(crate) fn add_product(c: MatMut<f64>, a: MatRef<f64>, b: MatRef<f64>) {
    matmul(c, Accum::Add, a, b, 1.0, Par::Seq);
}

/// `C -= A B`.
pub(crate) fn subtract_product(c: MatMut<f64>, a: MatRef<f64>, b: MatRef<f64>) {
    matmul(c, Accum::Add, a, b, -1.0, Par::Seq);
}

/// `A A^T` or `A^T A`, whichever is smaller.
pub(crate) fn gram(a: MatRef<f64>) -> Mat<f64> {
    if a.nrows() <= a.ncols() { product(a, a.transpose()) } else { product(a.transpose(), a) }
}

/// Sum of the squares of the entries.
pub(crate) fn square_norm(a: MatRef<f64>) -> f64 {
    (0..a.ncols()).map(|j| (0..a.nrows()).map(|i| a[(i, j)] * a[(i, j)]).sum::<f64>()).sum()
}

/// The eigenvalues of a symmetric matrix, descending; `None` where the iteration does not converge.
pub(crate) fn symmetric_eigenvalues(a: MatRef<f64>) -> Option<Vec<f64>> {
    let n = a.nrows();
    let mut values = faer::diag::Diag::zeros(n);
    let no = ComputeEigenvectors::No;
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<f64>(n, no, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    self_adjoint_evd(a, values.as_mut(), None, Par::Seq, stack, Default::default()).ok()?;
    let mut values: Vec<f64> = (0..n).map(|i| values[i]).collect();
    values.reverse();
    values.iter().all(|x| x.is_finite()).then_some(values)
}

/// A Cholesky factorisation `A = L L^T`.
pub(crate) struct Cholesky(Mat<f64>);

impl Cholesky {
    /// `None` when a pivot is not positive.
    pub fn new(mut a: Mat<f64>) -> Option<Self> {
        let n = a.nrows();
        let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()));
        let stack = MemStack::new(&mut memory);
        cholesky_in_place(a.as_mut(), Default::default(), Par::Seq, stack, Default::default()).ok()?;
        (0..n).all(|i| a[(i, i)].is_finite() && a[(i, i)] > 0.0).then_some(Self(a))
    }

    /// `X <- A^-1 X`.
    pub fn solve(&self, mut x: MatMut<f64>) {
        solve_lower_triangular_in_place(self.0.as_ref(), x.as_mut(), Par::Seq);
        solve_upper_triangular_in_place(self.0.as_ref().transpose(), x, Par::Seq);
    }
}

/// The matrix in the form of the algebra underneath.
pub(crate) fn from_matrix(a: &Matrix<f64>) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)])
}

/// The matrix in the form of the library.
pub(crate) fn to_matrix(a: MatRef<f64>) -> Matrix<f64> {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)])
}

/// `a` with rows and columns in the given order.
pub(crate) fn reordered(a: MatRef<f64>, rows: &[usize], cols: &[usize]) -> Mat<f64> {
    Mat::from_fn(rows.len(), cols.len(), |i, j| a[(rows[i], cols[j])])
}
