//! Truncated singular value decompositions of a given rank (Eckart & Young 1936), each factor with the root of the singular values, rounded to the type of
//! the weight. Cost: O(m n min(m, n)).

use farfield_matrix::{LinearOperator, Matrix};

use super::Rival;
use crate::error::CompressError;
use crate::number::NumberType;

/// The largest rank of an `m x n` weight that takes at most this many bytes.
pub fn rank_for_bytes(m: usize, n: usize, number: NumberType, bytes: usize) -> usize {
    (bytes / number.size()).checked_div(m + n).unwrap_or(0).min(m.min(n))
}

/// The weight at rank `rank` (at most the smaller dimension counts).
///
/// # Errors
/// [`CompressError::Matrix`] for an entry that is not finite.
pub fn truncate(a: &Matrix<f64>, rank: usize, number: NumberType) -> Result<Rival, CompressError> {
    let svd = a.svd()?;
    let rank = rank.min(svd.s.len());
    let root: Vec<f64> = svd.s.iter().map(|s| s.sqrt()).collect();
    let u = Matrix::from_fn(a.nrows(), rank, |i, j| number.round(svd.u[(i, j)] * root[j]));
    let v = Matrix::from_fn(rank, a.ncols(), |i, j| number.round(svd.v[(j, i)] * root[i]));
    let bytes = rank * (a.nrows() + a.ncols()) * number.size();
    Ok(Rival::new(a, u.apply(&v)?, bytes))
}
