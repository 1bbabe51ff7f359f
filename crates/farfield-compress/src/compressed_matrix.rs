//! A compressed weight: dense and low-rank blocks that tile a matrix, on its rows and columns in an order of their own.
//!
//! A truncated singular value decomposition is the case of one block. The numbers are those of the file, held as `f64`: `U` and `V` of a low-rank block
//! share the singular values evenly, `W_b ~ U V^T`.

use std::ops::Range;

use faer::Mat;
use farfield_matrix::{LinearOperator, Matrix, MatrixError};

use crate::dense::{add_product, from_matrix, product, square_norm};
use crate::number::NumberType;

/// One block.
#[derive(Clone, Debug)]
pub struct CompressedBlock {
    pub(crate) rows: Range<usize>,
    pub(crate) cols: Range<usize>,
    pub(crate) content: BlockContent,
}

#[derive(Clone, Debug)]
pub(crate) enum BlockContent {
    Dense(Mat<f64>),
    LowRank { u: Mat<f64>, v: Mat<f64> },
}

impl CompressedBlock {
    /// Its rows, in the order of the compressed matrix.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Its columns, in the order of the compressed matrix.
    pub fn cols(&self) -> Range<usize> {
        self.cols.clone()
    }

    /// Its rank; `None` if it is dense.
    pub fn rank(&self) -> Option<usize> {
        match &self.content {
            BlockContent::Dense(_) => None,
            BlockContent::LowRank { u, .. } => Some(u.ncols()),
        }
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        self.rank().map_or(self.rows.len() * self.cols.len(), |r| r * (self.rows.len() + self.cols.len()))
    }

    /// Its entries.
    pub fn to_dense(&self) -> Matrix<f64> {
        crate::dense::to_matrix(self.dense().as_ref())
    }

    pub(crate) fn dense(&self) -> Mat<f64> {
        match &self.content {
            BlockContent::Dense(d) => d.clone(),
            BlockContent::LowRank { u, v } => product(u.as_ref(), v.as_ref().transpose()),
        }
    }
}

/// A matrix of blocks.
#[derive(Clone, Debug)]
pub struct CompressedMatrix {
    pub(crate) nrows: usize,
    pub(crate) ncols: usize,
    pub(crate) number: NumberType,
    /// Row of the weight at each place; `None` for their own order.
    pub(crate) row_order: Option<Vec<usize>>,
    /// Column of the weight at each place.
    pub(crate) col_order: Option<Vec<usize>>,
    pub(crate) blocks: Vec<CompressedBlock>,
}

impl CompressedMatrix {
    /// Type of the stored numbers.
    pub fn number(&self) -> NumberType {
        self.number
    }

    /// The blocks, which tile the matrix.
    pub fn blocks(&self) -> &[CompressedBlock] {
        &self.blocks
    }

    /// Row of the weight at each place of the block structure; `None` if rows keep their order.
    pub fn row_order(&self) -> Option<&[usize]> {
        self.row_order.as_deref()
    }

    /// Column of the weight at each place of the block structure; `None` if columns keep their order.
    pub fn col_order(&self) -> Option<&[usize]> {
        self.col_order.as_deref()
    }

    /// Whether it is one low-rank block: a truncated singular value decomposition.
    pub fn is_low_rank(&self) -> bool {
        self.row_order.is_none()
            && self.col_order.is_none()
            && self.blocks.len() == 1
            && self.blocks[0].rank().is_some()
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        self.blocks.iter().map(CompressedBlock::stored).sum()
    }

    /// The largest rank of a low-rank block; 0 if there is none.
    pub fn max_rank(&self) -> usize {
        self.blocks.iter().filter_map(CompressedBlock::rank).max().unwrap_or(0)
    }

    /// A bound on what [`to_dense`](Self::to_dense) rounds, in the Frobenius norm: an inner product of `k` terms is wrong by at most `k u / (1 - k u)` times that of the
    /// absolute values (Higham, Accuracy and Stability of Numerical Algorithms, section 3.5).
    pub(crate) fn product_rounding(&self) -> f64 {
        let of_block = |block: &CompressedBlock| match &block.content {
            BlockContent::Dense(_) => 0.0,
            BlockContent::LowRank { u, v } => {
                let k = u.ncols() as f64 * 0.5 * f64::EPSILON;
                1.01 * k / (1.0 - k) * (square_norm(u.as_ref()) * square_norm(v.as_ref())).sqrt()
            }
        };
        self.blocks.iter().map(|block| of_block(block).powi(2)).sum::<f64>().sqrt()
    }

    /// All entries, not rounded to the type of the numbers, in the order of the weight.
    pub fn to_dense(&self) -> Matrix<f64> {
        let mut out = Matrix::zeros(self.nrows, self.ncols);
        let place = |order: &Option<Vec<usize>>, i: usize| order.as_ref().map_or(i, |order| order[i]);
        for block in &self.blocks {
            let entries = block.dense();
            for (j, col) in block.cols.clone().enumerate() {
                let column = out.col_mut(place(&self.col_order, col));
                for (i, row) in block.rows.clone().enumerate() {
                    column[place(&self.row_order, row)] = entries[(i, j)];
                }
            }
        }
        out
    }

    fn times(&self, x: &Matrix<f64>, transposed: bool) -> Matrix<f64> {
        let (from, to) =
            if transposed { (&self.row_order, &self.col_order) } else { (&self.col_order, &self.row_order) };
        let rows = if transposed { self.ncols } else { self.nrows };
        let inside = match from {
            Some(order) => Mat::from_fn(order.len(), x.ncols(), |i, j| x[(order[i], j)]),
            None => from_matrix(x),
        };
        let mut y = Mat::<f64>::zeros(rows, x.ncols());
        for block in &self.blocks {
            let (out, part) = if transposed { (&block.cols, &block.rows) } else { (&block.rows, &block.cols) };
            let part = inside.as_ref().subrows(part.start, part.len());
            let target = y.as_mut().subrows_mut(out.start, out.len());
            match &block.content {
                BlockContent::Dense(d) if transposed => add_product(target, d.as_ref().transpose(), part),
                BlockContent::Dense(d) => add_product(target, d.as_ref(), part),
                BlockContent::LowRank { u, v } => {
                    let (left, right) = if transposed { (v, u) } else { (u, v) };
                    add_product(target, left.as_ref(), product(right.as_ref().transpose(), part).as_ref());
                }
            }
        }
        let mut out = Matrix::zeros(rows, x.ncols());
        for j in 0..x.ncols() {
            let column = out.col_mut(j);
            for i in 0..rows {
                column[to.as_ref().map_or(i, |order| order[i])] = y[(i, j)];
            }
        }
        out
    }
}

impl LinearOperator<f64> for CompressedMatrix {
    fn nrows(&self) -> usize {
        self.nrows
    }

    fn ncols(&self) -> usize {
        self.ncols
    }

    fn apply(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        check_rows("product of a compressed matrix, X", x, self.ncols)?;
        Ok(self.times(x, false))
    }

    fn apply_transpose(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        check_rows("transposed product of a compressed matrix, X", x, self.nrows)?;
        Ok(self.times(x, true))
    }
}

fn check_rows(what: &'static str, x: &Matrix<f64>, expected: usize) -> Result<(), MatrixError> {
    if x.nrows() == expected { Ok(()) } else { Err(MatrixError::Rows { what, got: x.nrows(), expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_products_round_is_bounded() {
        // Whole numbers of 30 bits: their sums of products are exact in 128 bits, and rounded in 53.
        let (rows, cols, rank) = (9, 7, 6);
        let number =
            |i: usize, j: usize| (((i * 7919 + j * 104_729 + 13) * 2_654_435_761) % (1 << 30)) as i128 - (1 << 29);
        let u = Mat::from_fn(rows, rank, |i, k| number(i, k) as f64);
        let v = Mat::from_fn(cols, rank, |j, k| number(j + 50, k + 9) as f64);
        let block = CompressedBlock { rows: 0..rows, cols: 0..cols, content: BlockContent::LowRank { u, v } };
        let (row_order, col_order, blocks) = (None, None, vec![block]);
        let matrix =
            CompressedMatrix { nrows: rows, ncols: cols, number: NumberType::F64, row_order, col_order, blocks };
        let dense = matrix.to_dense();
        let mut square = 0.0;
        for i in 0..rows {
            for j in 0..cols {
                let exact: i128 = (0..rank).map(|k| number(i, k) * number(j + 50, k + 9)).sum();
                square += ((dense[(i, j)] as i128 - exact) as f64).powi(2);
            }
        }
        let bound = matrix.product_rounding();
        assert!(square > 0.0 && square.sqrt() <= bound, "{} {bound}", square.sqrt());
        assert!(bound <= 100.0 * square.sqrt(), "{} {bound}", square.sqrt());
    }
}
