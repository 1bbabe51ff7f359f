//! Magnitude pruning (Han et al. 2015): the entries with the largest absolute values are kept, per weight or over all weights together.
//!
//! Unstructured zeros are only worth what their places cost. A kept entry takes its number, and the places take either a bitmap (`m n / 8` bytes) or
//! compressed sparse rows (`m + 1` row starts and one column a kept entry, each in 2 or 4 bytes), whichever is smaller.

use farfield_matrix::Matrix;

use super::Rival;
use crate::error::CompressError;
use crate::number::NumberType;

/// How the places of kept entries are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexStorage {
    /// One bit an entry.
    Bitmap,
    /// Row starts, and a column for each kept entry.
    SparseRows,
    /// All entries are kept: none.
    None,
}

/// Bytes of an `m x n` weight with `kept` entries, and how their places are stored.
pub fn pruned_bytes(m: usize, n: usize, kept: usize, number: NumberType) -> (usize, IndexStorage) {
    let numbers = kept * number.size();
    if kept == m * n {
        return (numbers, IndexStorage::None);
    }
    let bitmap = (m * n).div_ceil(8);
    let width = |largest: usize| if largest <= u16::MAX as usize { 2 } else { 4 };
    let rows = (m + 1) * width(kept) + kept * width(n.saturating_sub(1));
    if bitmap <= rows { (numbers + bitmap, IndexStorage::Bitmap) } else { (numbers + rows, IndexStorage::SparseRows) }
}

/// The `kept` largest entries of a weight; of equal ones the first, row by row.
///
/// # Errors
/// [`CompressError::Option`] for more entries than there are.
pub fn prune(a: &Matrix<f64>, kept: usize, number: NumberType) -> Result<Rival, CompressError> {
    let mut all = prune_together(std::slice::from_ref(a), kept, number)?;
    all.pop().ok_or_else(|| CompressError::shape("weights to prune", 0, 1))
}

/// The `kept` largest entries of all weights together: layers with small entries lose more.
///
/// # Errors
/// [`CompressError::Option`] for more entries than there are.
pub fn prune_together(weights: &[Matrix<f64>], kept: usize, number: NumberType) -> Result<Vec<Rival>, CompressError> {
    let total: usize = weights.iter().map(|a| a.nrows() * a.ncols()).sum();
    if kept > total {
        return Err(CompressError::option("kept", kept, format!("there are {total} entries")));
    }
    let mut entries: Vec<(f64, usize, usize, usize)> = Vec::with_capacity(total);
    for (k, a) in weights.iter().enumerate() {
        entries.extend((0..a.nrows()).flat_map(|i| (0..a.ncols()).map(move |j| (a[(i, j)].abs(), k, i, j))));
    }
    let larger = |a: &(f64, usize, usize, usize), b: &(f64, usize, usize, usize)| {
        b.0.total_cmp(&a.0).then((a.1, a.2, a.3).cmp(&(b.1, b.2, b.3)))
    };
    if kept < total {
        entries.select_nth_unstable_by(kept, larger);
        entries.truncate(kept);
    }
    let mut dense: Vec<Matrix<f64>> = weights.iter().map(|a| Matrix::zeros(a.nrows(), a.ncols())).collect();
    let mut counts = vec![0; weights.len()];
    for &(_, k, i, j) in &entries {
        dense[k][(i, j)] = number.round(weights[k][(i, j)]);
        counts[k] += 1;
    }
    let rivals = weights.iter().zip(dense).zip(counts);
    Ok(rivals
        .map(|((a, dense), count)| Rival::new(a, dense, pruned_bytes(a.nrows(), a.ncols(), count, number).0))
        .collect())
}
