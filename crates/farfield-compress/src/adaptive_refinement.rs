//! Algorithm 1 of Mango & Katende (arXiv 2409.07028, 2024), as it is printed: an initial partition, a low-rank approximation of each block, and as long
//! as the error of a block exceeds the tolerance, that block is split and its parts are approximated in turn.
//!
//! Every block has the same rank cap; a block that cannot be split further is kept dense, so the loop ends. The tolerance is one of each block, and the errors of
//! the `n_r` blocks add in squares: `||A - H||_F = sqrt(sum e_b^2) <= tau sqrt(n_r)` (definition 1 of the paper; theorem 1b forgets the root). For a
//! global tolerance each block gets its share by area instead, which is [`Sharing::ByArea`]; [`compress_matrix`](crate::compress_matrix) shares it out at least
//! cost, and does not split what would not become smaller. This algorithm is kept for comparison with the paper: the error of each pass is recorded, for the
//! claim of section 3.1 that it falls as `C / 2^p`.
//!
//! Cost: a singular value decomposition of every block that is looked at.

use farfield_matrix::bounds::{equal_blocks_error, global_error};
use farfield_matrix::{ClusterTree, Matrix, MatrixError};
use rayon::prelude::*;

use crate::compressed_matrix::{BlockContent, CompressedBlock, CompressedMatrix};
use crate::dense::{from_matrix, reordered, to_matrix};
use crate::error::CompressError;
use crate::number::NumberType;
use crate::residual::{Residual, upper_root_sum};

/// What each block may have of the error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sharing {
    /// Each block this much in the Frobenius norm, as printed.
    EachBlock(f64),
    /// All blocks together this much; each as much of the square as it has of the entries.
    ByArea(f64),
}

/// Options of [`adaptive_refinement`].
#[derive(Clone, Copy, Debug)]
pub struct RefinementOptions {
    /// The tolerance.
    pub sharing: Sharing,
    /// Rank of the approximations, at most.
    pub rank: usize,
    /// How often the matrix is split for the initial partition: `4^level` blocks.
    pub initial_level: usize,
}

/// One pass of the loop.
#[derive(Clone, Debug, PartialEq)]
pub struct RefinementPass {
    /// Blocks of the partition after the pass.
    pub blocks: usize,
    /// Blocks whose error exceeded the tolerance, which the next pass splits.
    pub missed: usize,
    /// Proven `||A - H||_F`.
    pub error: f64,
    /// Numbers stored.
    pub stored: usize,
}

/// The result of the algorithm.
#[derive(Clone, Debug)]
pub struct Refinement {
    /// The matrix.
    pub matrix: CompressedMatrix,
    /// The passes; the first is the initial partition.
    pub passes: Vec<RefinementPass>,
    /// Proven errors of the blocks of `matrix`.
    pub block_errors: Vec<f64>,
    /// Proven `||A - H||_F`: the root of the sum of their squares.
    pub error: f64,
}

impl Refinement {
    /// The bound of definition 1, `tau sqrt(n_r)`, with the largest error of a block for `tau`.
    pub fn equal_blocks_bound(&self) -> f64 {
        equal_blocks_error(self.block_errors.iter().copied().fold(0.0, f64::max), self.block_errors.len())
    }
}

struct Block {
    row: usize,
    col: usize,
    found: CompressedBlock,
    error: f64,
}

/// Runs the algorithm on the blocks of two trees.
///
/// # Errors
/// [`CompressError::Shape`] when the trees do not fit the matrix, [`CompressError::Option`] for a tolerance that is not positive, [`CompressError::Matrix`] for an
/// entry that is not finite.
pub fn adaptive_refinement(
    a: &Matrix<f64>,
    rows: &ClusterTree,
    cols: &ClusterTree,
    options: RefinementOptions,
) -> Result<Refinement, CompressError> {
    let (m, n) = (a.nrows(), a.ncols());
    if (rows.len(), cols.len()) != (m, n) {
        let got = format!("{} and {} indices", rows.len(), cols.len());
        return Err(CompressError::shape("cluster trees", got, format!("{m} and {n}")));
    }
    let (Sharing::EachBlock(tolerance) | Sharing::ByArea(tolerance)) = options.sharing;
    if !(tolerance > 0.0 && tolerance.is_finite()) {
        return Err(CompressError::option("tolerance", tolerance, "must be a positive finite number"));
    }
    if let Some((row, col)) = a.first_non_finite() {
        return Err(MatrixError::Entry { row, col, value: a[(row, col)] }.into());
    }
    let inside = reordered(from_matrix(a).as_ref(), rows.order(), cols.order());
    let allowed = |block: &Block| match options.sharing {
        Sharing::EachBlock(t) => t,
        Sharing::ByArea(t) => t * ((block.found.rows.len() * block.found.cols.len()) as f64 / (m * n) as f64).sqrt(),
    };
    let approximate = |&(row, col): &(usize, usize)| -> Result<Block, CompressError> {
        let (rows, cols) = (rows.cluster(row).range.clone(), cols.cluster(col).range.clone());
        let part = inside.as_ref().submatrix(rows.start, cols.start, rows.len(), cols.len());
        let svd = to_matrix(part).svd()?;
        // The smallest rank that will do, up to the cap.
        let allowed = match options.sharing {
            Sharing::EachBlock(t) => t,
            Sharing::ByArea(t) => t * ((rows.len() * cols.len()) as f64 / (m * n) as f64).sqrt(),
        };
        let mut rank = svd.s.len();
        let mut tail = 0.0;
        while rank > 0 && tail + svd.s[rank - 1].powi(2) <= 0.999 * allowed * allowed {
            tail += svd.s[rank - 1].powi(2);
            rank -= 1;
        }
        let rank = rank.min(options.rank);
        let root: Vec<f64> = svd.s[..rank].iter().map(|s| s.sqrt()).collect();
        let u = faer::Mat::from_fn(rows.len(), rank, |i, j| svd.u[(i, j)] * root[j]);
        let v = faer::Mat::from_fn(cols.len(), rank, |i, j| svd.v[(i, j)] * root[j]);
        let error = Residual::new(part, u.as_ref(), v.as_ref()).frobenius();
        Ok(Block { row, col, found: CompressedBlock { rows, cols, content: BlockContent::LowRank { u, v } }, error })
    };
    let split = |row: usize, col: usize| -> Vec<(usize, usize)> {
        let parts = |tree: &ClusterTree, i: usize| {
            if tree.cluster(i).is_leaf() { i..i + 1 } else { tree.cluster(i).children.clone() }
        };
        parts(rows, row).flat_map(|i| parts(cols, col).map(move |j| (i, j))).collect()
    };
    let mut pending = vec![(0, 0)];
    for _ in 0..options.initial_level {
        pending = pending.into_iter().flat_map(|(row, col)| split(row, col)).collect();
    }
    let mut done: Vec<Block> = Vec::new();
    let mut passes = Vec::new();
    loop {
        let found: Vec<Result<Block, CompressError>> = pending.par_iter().map(approximate).collect();
        pending.clear();
        for block in found {
            let mut block = block?;
            if block.error > allowed(&block) {
                let parts = split(block.row, block.col);
                if parts.len() == 1 {
                    let (rows, cols) = (&block.found.rows, &block.found.cols);
                    let part = inside.as_ref().submatrix(rows.start, cols.start, rows.len(), cols.len());
                    block.found.content = BlockContent::Dense(part.to_owned());
                    block.error = 0.0;
                } else {
                    pending.extend(parts);
                }
            }
            done.push(block);
        }
        let missed = done.iter().filter(|block| block.error > allowed(block)).count();
        passes.push(RefinementPass {
            blocks: done.len(),
            missed,
            error: upper_root_sum(done.iter().map(|block| block.error)),
            stored: done.iter().map(|block| block.found.stored()).sum(),
        });
        if pending.is_empty() {
            break;
        }
        done.retain(|block| block.error <= allowed(block));
    }
    let block_errors: Vec<f64> = done.iter().map(|block| block.error).collect();
    let error = upper_root_sum(block_errors.iter().copied()).max(global_error(&block_errors));
    let own = |tree: &ClusterTree| tree.order().iter().enumerate().all(|(i, &j)| i == j);
    let plain = own(rows) && own(cols);
    let order = |tree: &ClusterTree| (!plain).then(|| tree.order().to_vec());
    let matrix = CompressedMatrix {
        nrows: m,
        ncols: n,
        number: NumberType::F64,
        row_order: order(rows),
        col_order: order(cols),
        blocks: done.into_iter().map(|block| block.found).collect(),
    };
    Ok(Refinement { matrix, passes, block_errors, error })
}
