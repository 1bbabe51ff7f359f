//! Operators that are known by their products alone.

use std::sync::atomic::{AtomicUsize, Ordering};

use farfield_matrix::{LinearOperator, Matrix, MatrixError};

/// Counts the vectors that it multiplies.
pub struct Counted<'a> {
    a: &'a dyn LinearOperator<f64>,
    /// Vectors multiplied by the operator.
    pub products: AtomicUsize,
    /// Vectors multiplied by its transpose.
    pub transposed: AtomicUsize,
}

impl<'a> Counted<'a> {
    pub fn new(a: &'a dyn LinearOperator<f64>) -> Self {
        Self { a, products: AtomicUsize::new(0), transposed: AtomicUsize::new(0) }
    }

    /// Both counts.
    pub fn counts(&self) -> (usize, usize) {
        (self.products.load(Ordering::Relaxed), self.transposed.load(Ordering::Relaxed))
    }
}

impl LinearOperator<f64> for Counted<'_> {
    fn nrows(&self) -> usize {
        self.a.nrows()
    }

    fn ncols(&self) -> usize {
        self.a.ncols()
    }

    fn apply(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        self.products.fetch_add(x.ncols(), Ordering::Relaxed);
        self.a.apply(x)
    }

    fn apply_transpose(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        self.transposed.fetch_add(x.ncols(), Ordering::Relaxed);
        self.a.apply_transpose(x)
    }
}

/// The solution operator of `-u'' = f` with zero ends on `n` inner points, by the Thomas algorithm: a black box.
pub struct Poisson(pub usize);

impl LinearOperator<f64> for Poisson {
    fn nrows(&self) -> usize {
        self.0
    }

    fn ncols(&self) -> usize {
        self.0
    }

    fn apply(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        let n = self.0;
        let h2 = 1.0 / ((n + 1) as f64).powi(2);
        let mut y = x.clone();
        for j in 0..x.ncols() {
            let y = y.col_mut(j);
            let mut factors = vec![0.5; n];
            y[0] *= 0.5 * h2;
            for i in 1..n {
                factors[i] = 1.0 / (2.0 - factors[i - 1]);
                y[i] = (h2 * y[i] + y[i - 1]) * factors[i];
            }
            for i in (0..n - 1).rev() {
                y[i] += factors[i] * y[i + 1];
            }
        }
        Ok(y)
    }

    fn apply_transpose(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        self.apply(x)
    }
}
