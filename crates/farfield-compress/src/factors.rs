//! From a plan to factors: the singular vectors of the blocks that were chosen, rounded to the type of the weight, and what that costs in accuracy.
//!
//! The error is measured on the numbers that will be in the file: each block's residual is computed from its rounded factors (see
//! [`residual`](crate::residual)), so the certificate holds whatever the spectra said.

use faer::{Mat, MatRef};
use farfield_matrix::{Bound, Certificate, LevelRanks};
use rayon::prelude::*;

use crate::block_spectra::BlockSpectra;
use crate::compressed_matrix::{BlockContent, CompressedBlock, CompressedMatrix};
use crate::dense::to_matrix;
use crate::number::NumberType;
use crate::residual::{Residual, upper_norm, upper_root_sum, upper_spectral};
use crate::water_filling::Plan;

/// The order of rows and columns that a plan is for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    pub rows: Option<Vec<usize>>,
    pub cols: Option<Vec<usize>>,
}

/// The factors of a plan for `a`, which is in the order of the plan; `None` when a factor overflows its type or has no decomposition.
/// With `spectral` the 2-norm of the error is certified for itself, else it is bounded by the Frobenius norm.
pub(crate) fn factors(
    a: MatRef<f64>,
    spectra: &BlockSpectra,
    plan: &Plan,
    orders: Orders,
    number: NumberType,
    spectral: bool,
) -> Option<(CompressedMatrix, Certificate)> {
    let parts: Vec<Option<(CompressedBlock, Residual, usize)>> = plan
        .blocks
        .par_iter()
        .map(|planned| {
            let node = &spectra.nodes[planned.node];
            let (rows, cols) = (node.rows.clone(), node.cols.clone());
            let block = a.submatrix(rows.start, cols.start, rows.len(), cols.len());
            let (content, residual) = match planned.rank {
                None => {
                    let entries = Mat::from_fn(rows.len(), cols.len(), |i, j| number.round(block[(i, j)]));
                    let residual = Residual::of_rounding(block, entries.as_ref());
                    (BlockContent::Dense(entries), residual)
                }
                Some(rank) => {
                    let (u, v) = low_rank(block, rank, number)?;
                    let residual = Residual::new(block, u.as_ref(), v.as_ref());
                    (BlockContent::LowRank { u, v }, residual)
                }
            };
            Some((CompressedBlock { rows, cols, content }, residual, node.level))
        })
        .collect();
    let parts: Vec<_> = parts.into_iter().collect::<Option<_>>()?;
    let frobenius = upper_root_sum(parts.iter().map(|(_, residual, _)| residual.frobenius()));
    if !frobenius.is_finite() {
        return None;
    }
    let spectral = if spectral {
        let mut error = Mat::<f64>::zeros(a.nrows(), a.ncols());
        for (block, residual, _) in &parts {
            let (rows, cols) = (&block.rows, &block.cols);
            let target = error.as_mut().submatrix_mut(rows.start, cols.start, rows.len(), cols.len());
            let mut target = target;
            target.copy_from(&residual.matrix);
        }
        let rounding = upper_root_sum(parts.iter().map(|(_, residual, _)| residual.rounding));
        (upper_spectral(error.as_ref()) + rounding).min(frobenius)
    } else {
        frobenius
    };
    let ranks = parts.iter().filter_map(|(block, _, level)| Some((*level, block.rank()?)));
    let ranks = LevelRanks::of(ranks);
    let norm = upper_root_sum(parts.iter().map(|(block, _, _)| upper_norm(block.dense().as_ref())));
    let blocks: Vec<CompressedBlock> = parts.into_iter().map(|(block, _, _)| block).collect();
    let stored = blocks.iter().map(CompressedBlock::stored).sum();
    let certificate = Certificate {
        frobenius: Bound::proven(frobenius),
        spectral: Bound::proven(spectral),
        norm,
        ranks,
        stored,
        dense: a.nrows() * a.ncols(),
    };
    let Orders { rows: row_order, cols: col_order } = orders;
    let matrix = CompressedMatrix { nrows: a.nrows(), ncols: a.ncols(), number, row_order, col_order, blocks };
    Some((matrix, certificate))
}

/// The best factors of a rank, each with the square root of the singular values, rounded.
fn low_rank(a: MatRef<f64>, rank: usize, number: NumberType) -> Option<(Mat<f64>, Mat<f64>)> {
    let (m, n) = (a.nrows(), a.ncols());
    if rank == 0 {
        return Some((Mat::zeros(m, 0), Mat::zeros(n, 0)));
    }
    let svd = to_matrix(a).svd().ok()?;
    let rank = rank.min(svd.s.len());
    let root: Vec<f64> = svd.s[..rank].iter().map(|s| s.sqrt()).collect();
    let u = Mat::from_fn(m, rank, |i, j| number.round(svd.u[(i, j)] * root[j]));
    let v = Mat::from_fn(n, rank, |i, j| number.round(svd.v[(i, j)] * root[j]));
    let finite = |x: &Mat<f64>| (0..x.ncols()).all(|j| (0..x.nrows()).all(|i| x[(i, j)].is_finite()));
    (finite(&u) && finite(&v)).then_some((u, v))
}
