//! What else makes weights smaller, with honest byte counts: truncated singular values, magnitude pruning, quantisation.
//!
//! Each rival returns the dense matrix that it stands for, the bytes that its numbers, scales and indices take (headers of files not
//! counted), and its error. None has a tolerance: they are dialled by rank, fraction or bits, and compared at equal bytes or at equal error.

mod pruning;
mod quantisation;
mod truncated_svd;

use farfield_matrix::Matrix;

pub use pruning::{IndexStorage, prune, prune_together, pruned_bytes};
pub use quantisation::{Channels, quantise};
pub use truncated_svd::{rank_for_bytes, truncate};

use crate::dense::{from_matrix, square_norm};

/// A weight as a rival stores it.
#[derive(Clone, Debug)]
pub struct Rival {
    /// The dense matrix that it stands for.
    pub dense: Matrix<f64>,
    /// Bytes of its numbers, scales and indices.
    pub bytes: usize,
    /// `||W - dense||_F`, computed.
    pub error: f64,
}

impl Rival {
    fn new(a: &Matrix<f64>, dense: Matrix<f64>, bytes: usize) -> Self {
        let difference = Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - dense[(i, j)]);
        let error = square_norm(from_matrix(&difference).as_ref()).sqrt();
        Self { dense, bytes, error }
    }
}
