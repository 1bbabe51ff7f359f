//! Error on new white noise against the number of input/output pairs, for the solution operator of `-u'' = f` by the five-diagonal scheme of
//! fourth order: recovered as an HSS matrix (leaf 8, rank 4), and by least squares with the smallest norm.

use farfield_matrix::krylov::{KrylovOptions, conjugate_gradients};
use farfield_matrix::{Hss, LinearOperator, Matrix, MatrixError, RecoverOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn main() -> Result<(), MatrixError> {
    println!("{:>6} {:>6} {:>12} {:>12} {:>14}", "n", "pairs", "recovered", "held out", "least squares");
    for n in [256, 1024] {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut noise = |columns| Matrix::from_fn(n, columns, |_, _| random.sample(StandardNormal));
        let new = noise(10);
        let truth = poisson(&new);
        for pairs in [14, 15, 16, 18, 22, 30, 60, 120] {
            let x = noise(pairs);
            let y = poisson(&x);
            let options = RecoverOptions {
                leaf_size: Some(8),
                rank: Some(4),
                oversampling: 0,
                tolerance: 1.0,
                ..RecoverOptions::default()
            };
            let recovered = Hss::recover(&x, &y, None, &options)?;
            let error = relative(&recovered.matrix.apply(&new)?, &truth);
            let held_out = recovered.held_out_error;
            let plain = relative(&least_squares(&x, &y, &new)?, &truth);
            println!("{n:>6} {pairs:>6} {error:>12.1e} {held_out:>12.1e} {plain:>14.1e}");
        }
    }
    Ok(())
}

fn relative(a: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)]).norm_frobenius() / b.norm_frobenius()
}

/// `Y X^+` times the columns of `new`.
fn least_squares(x: &Matrix<f64>, y: &Matrix<f64>, new: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
    let gram = x.apply_transpose(x)?;
    let rhs = x.apply_transpose(new)?;
    let mut coefficients = Matrix::zeros(x.ncols(), new.ncols());
    for j in 0..new.ncols() {
        let solution = conjugate_gradients(&gram, rhs.col(j), None, &KrylovOptions::default())?;
        coefficients.col_mut(j).copy_from_slice(&solution.x);
    }
    y.apply(&coefficients)
}

/// Solves with `(1, -16, 30, -16, 1) / 12` for every column, by the Cholesky factorisation of the band.
fn poisson(f: &Matrix<f64>) -> Matrix<f64> {
    let n = f.nrows();
    let mut l: Vec<[f64; 3]> = Vec::new();
    for i in 0..n {
        let row = |k: usize| if i >= k { l[i - k] } else { [0.0, 0.0, f64::INFINITY] };
        let second = 1.0 / 12.0 / row(2)[2];
        let first = (-16.0 / 12.0 - second * row(1)[1]) / row(1)[2];
        l.push([second, first, (30.0 / 12.0 - second * second - first * first).sqrt()]);
    }
    let mut out = f.clone();
    for j in 0..f.ncols() {
        let u = out.col_mut(j);
        for i in 0..n {
            let before = |k: usize| if i >= k { u[i - k] } else { 0.0 };
            u[i] = (u[i] - l[i][0] * before(2) - l[i][1] * before(1)) / l[i][2];
        }
        for i in (0..n).rev() {
            let after = |k: usize| if i + k < n { l[i + k][2 - k] * u[i + k] } else { 0.0 };
            u[i] = (u[i] - after(1) - after(2)) / l[i][2];
        }
    }
    out
}
