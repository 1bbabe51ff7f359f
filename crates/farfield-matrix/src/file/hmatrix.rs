//! H-matrices in files: trees `rows` and `cols`; `blocks`, one number a block of the block tree in the order of the recursion (children row by row): 0
//! dense, 1 split, `2 + k` of rank `k`; `values`, block after block in the same order: all entries of a dense block, `U` and `V` of one of low rank,
//! column by column. A split block has the children of its clusters as parts; a cluster without children is one part.

use std::sync::Arc;

use faer::Mat;

use super::container::{Reader, Writer};
use super::{FileFormat, tree};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::hmatrix::{Block, HMatrix, Split};
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

impl<T: Scalar> FileFormat for HMatrix<T> {
    const KIND: &'static str = "h";
    const SCALAR: &'static str = if size_of::<T>() == 8 { "f64" } else { "f32" };

    fn write_to<'a>(&'a self, writer: &mut Writer<'a>) {
        tree::write(writer, "rows", self.rows());
        tree::write(writer, "cols", self.cols());
        let (mut codes, mut matrices) = (Vec::new(), Vec::new());
        list(self.root(), &mut codes, &mut matrices);
        writer.integers("blocks", &[codes.len()], codes);
        writer.values(self.stored(), move || {
            matrices.clone().into_iter().flat_map(|a: &Mat<T>| (0..a.ncols()).map(move |j| a.col_as_slice(j)))
        });
    }

    fn read_from(reader: &Reader) -> Result<Self, MatrixError> {
        let (rows, cols) = (Arc::new(tree::read(reader, "rows")?), Arc::new(tree::read(reader, "cols")?));
        let (codes, values) = (reader.integers("blocks", 1)?, reader.values::<T>()?);
        let mut parts = Parts { reader, rows: &rows, cols: &cols, codes: &codes, values: &values };
        let root = parts.block(0, 0)?;
        if !parts.codes.is_empty() || !parts.values.is_empty() {
            let (blocks, values) = (parts.codes.len(), parts.values.len());
            return Err(reader.damaged(format!("{blocks} blocks and {values} values are left over")));
        }
        Ok(Self::from_root(rows, cols, root))
    }
}

/// Codes and matrices of a block and all below it.
fn list<'a, T: Scalar>(block: &'a Block<T>, codes: &mut Vec<u64>, matrices: &mut Vec<&'a Mat<T>>) {
    match block {
        Block::Dense(a) => {
            codes.push(0);
            matrices.push(a);
        }
        Block::LowRank(a) => {
            codes.push(2 + a.rank() as u64);
            matrices.extend([&a.u, &a.v]);
        }
        Block::Split(split) => {
            codes.push(1);
            split.children.iter().for_each(|child| list(child, codes, matrices));
        }
    }
}

/// What is left of a file.
struct Parts<'a, T> {
    reader: &'a Reader,
    rows: &'a ClusterTree,
    cols: &'a ClusterTree,
    codes: &'a [usize],
    values: &'a [T],
}

impl<T: Scalar> Parts<'_, T> {
    fn block(&mut self, s: usize, t: usize) -> Result<Block<T>, MatrixError> {
        let Some((&code, rest)) = self.codes.split_first() else {
            return Err(self.reader.damaged("there are fewer blocks than the trees ask for"));
        };
        self.codes = rest;
        let (row, col) = (self.rows.cluster(s), self.cols.cluster(t));
        let (m, n) = (row.len(), col.len());
        match code {
            0 => Ok(Block::Dense(self.matrix(m, n)?)),
            1 => {
                if row.is_leaf() && col.is_leaf() {
                    return Err(self.reader.damaged(format!("the block of leaves {s} and {t} is split")));
                }
                let parts = |tree: &ClusterTree, i: usize| {
                    let cluster = tree.cluster(i);
                    if cluster.is_leaf() { i..i + 1 } else { cluster.children.clone() }
                };
                let starts = |tree: &ClusterTree, i: usize| {
                    let first = tree.cluster(i).range.start;
                    let ends = parts(tree, i).map(|c| tree.cluster(c).range.end - first);
                    std::iter::once(0).chain(ends).collect::<Vec<_>>()
                };
                let mut children = Vec::new();
                for i in parts(self.rows, s) {
                    for j in parts(self.cols, t) {
                        children.push(Arc::new(self.block(i, j)?));
                    }
                }
                Ok(Block::Split(Split { rows: starts(self.rows, s), cols: starts(self.cols, t), children }))
            }
            _ => {
                let rank = code - 2;
                if m + n == 0 && rank > 0 {
                    return Err(self.reader.damaged(format!("an empty block has rank {rank}")));
                }
                Ok(Block::LowRank(LowRank { u: self.matrix(m, rank)?, v: self.matrix(n, rank)? }))
            }
        }
    }

    fn matrix(&mut self, m: usize, n: usize) -> Result<Mat<T>, MatrixError> {
        let Some(count) = m.checked_mul(n).filter(|count| *count <= self.values.len()) else {
            return Err(self.reader.damaged("there are fewer values than the blocks ask for"));
        };
        let (head, rest) = self.values.split_at(count);
        self.values = rest;
        Ok(Mat::from_fn(m, n, |i, j| head[i + j * m]))
    }
}
