//! Far and near blocks of an H2-matrix: stored, or recomputed from points.

use std::sync::Arc;

use faer::Mat;
use farfield_kernels::{PointBlock, PointCloud, Stored};

use super::H2Matrix;
use crate::kernel_matrix::Evaluator;
use crate::scalar::Scalar;

/// Numbers of many blocks, one after the other, each column by column.
#[derive(Clone, Debug)]
pub(super) enum Numbers<T> {
    Full(Vec<T>),
    Single(Vec<f32>),
}

/// All blocks: far ones first, then near ones.
#[derive(Clone, Debug)]
pub(super) enum Blocks<T> {
    /// Where each block starts, one more than blocks.
    Stored { starts: Arc<Vec<usize>>, numbers: Arc<Numbers<T>> },
    /// A kernel, its points in tree order, and the skeleton points (or nodes) of all clusters in the order of their coefficients.
    Recomputed(Arc<Recomputed<T>>),
}

#[derive(Clone, Debug)]
pub(super) struct Recomputed<T> {
    pub evaluator: Evaluator,
    pub row_points: PointCloud<T>,
    pub col_points: PointCloud<T>,
    pub row_skeletons: PointCloud<T>,
    pub col_skeletons: PointCloud<T>,
}

impl<T: Scalar> Blocks<T> {
    pub fn stored(&self) -> usize {
        match self {
            Self::Stored { starts, .. } => starts[starts.len() - 1],
            Self::Recomputed(_) => 0,
        }
    }

    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Stored { numbers, .. } => match &**numbers {
                Numbers::Full(x) => size_of_val(x.as_slice()),
                Numbers::Single(x) => size_of_val(x.as_slice()),
            },
            Self::Recomputed(r) => [&r.row_points, &r.col_points, &r.row_skeletons, &r.col_skeletons]
                .iter()
                .map(|c| c.memory_bytes())
                .sum(),
        }
    }
}

impl<T> H2Matrix<T> {
    /// Whether blocks are stored in single precision.
    pub(super) fn is_single(&self) -> bool {
        matches!(&self.blocks, Blocks::Stored { numbers, .. } if matches!(**numbers, Numbers::Single(_)))
    }
}

/// One block as products need it.
pub(super) enum Block<'a, T> {
    Stored(Stored<'a, T>),
    Points(&'a Evaluator, bool, PointBlock<'a, T>, PointBlock<'a, T>),
}

impl<T: Scalar> H2Matrix<T> {
    /// Size of block `i`, far ones first.
    pub(super) fn size(&self, i: usize) -> (usize, usize) {
        match self.far.get(i) {
            Some(&(s, t)) => (self.rows.rank(s), self.cols.rank(t)),
            None => {
                let (s, t) = self.near[i - self.far.len()];
                (self.rows.tree.cluster(s).len(), self.cols.tree.cluster(t).len())
            }
        }
    }

    /// Row and column cluster of block `i`.
    pub(super) fn pair(&self, i: usize) -> (usize, usize) {
        self.far.get(i).copied().unwrap_or_else(|| self.near[i - self.far.len()])
    }

    /// Block `i`, without the factor of the matrix.
    pub(super) fn view(&self, i: usize) -> Block<'_, T> {
        match &self.blocks {
            Blocks::Stored { starts, numbers } => {
                let range = starts[i]..starts[i + 1];
                Block::Stored(match &**numbers {
                    Numbers::Full(x) => Stored::Full(&x[range]),
                    Numbers::Single(x) => Stored::Single(&x[range]),
                })
            }
            Blocks::Recomputed(r) => {
                let (s, t) = self.pair(i);
                if i < self.far.len() {
                    let (x, y) = (self.rows.coefficients(s), self.cols.coefficients(t));
                    // Points far apart in f64 may still coincide in f32.
                    let distinct = T::EPSILON < 1e-10;
                    Block::Points(&r.evaluator, distinct, r.row_skeletons.range(x), r.col_skeletons.range(y))
                } else {
                    let (x, y) = (self.rows.tree.cluster(s).range.clone(), self.cols.tree.cluster(t).range.clone());
                    Block::Points(&r.evaluator, false, r.row_points.range(x), r.col_points.range(y))
                }
            }
        }
    }

    /// The numbers of block `i`, column by column, without the factor.
    pub(crate) fn numbers(&self, i: usize, out: &mut Vec<T>) {
        let (m, n) = self.size(i);
        out.clear();
        match self.view(i) {
            Block::Stored(Stored::Full(x)) => out.extend_from_slice(x),
            Block::Stored(Stored::Single(x)) => out.extend(x.iter().map(|&x| T::from_f64(f64::from(x)))),
            Block::Points(evaluator, _, x, y) => {
                out.resize(m * n, T::ZERO);
                evaluator.block(x, y, out);
            }
        }
    }

    /// Block `i` as a matrix, without the factor.
    pub(super) fn dense_block(&self, i: usize) -> Mat<T> {
        let (m, n) = self.size(i);
        let mut numbers = Vec::new();
        self.numbers(i, &mut numbers);
        Mat::from_fn(m, n, |r, c| numbers[r + c * m])
    }
}
