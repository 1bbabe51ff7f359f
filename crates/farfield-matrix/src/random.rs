//! Random matrices of sketches and probes. The same generator gives the same bits on any number of threads.

use faer::Mat;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::matrix::Matrix;
use crate::scalar::Scalar;

/// Independent standard normal entries, drawn column by column in f64.
pub(crate) fn gaussian<T: Scalar>(nrows: usize, ncols: usize, random: &mut ChaCha8Rng) -> Matrix<T> {
    Matrix::from_fn(nrows, ncols, |_, _| T::from_f64(random.sample::<f64, _>(StandardNormal)))
}

/// Random signs over `sqrt(nrows)`: a product with them from the left keeps Frobenius norms in the mean.
pub(crate) fn signs<T: Scalar>(nrows: usize, ncols: usize, rng: &mut ChaCha8Rng) -> Mat<T> {
    let size = T::from_f64(1.0 / (nrows as f64).sqrt());
    let mut out = Mat::zeros(nrows, ncols);
    for j in 0..ncols {
        for chunk in out.col_as_slice_mut(j).chunks_mut(64) {
            let bits: u64 = rng.random();
            for (k, x) in chunk.iter_mut().enumerate() {
                *x = if bits >> k & 1 == 1 { size } else { T::ZERO - size };
            }
        }
    }
    out
}
