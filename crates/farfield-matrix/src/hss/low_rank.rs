//! Low-rank matrices in HSS form, low-rank updates and shifts.
//!
//! `U V^T` of `k` columns is an HSS matrix of rank `k` on any tree: the rows of `U` and `V` are the bases of the
//! leaves, those above are stacked identities, the coupling blocks are identities and a leaf keeps its own part `U_i
//! V_i^T` in `D`.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::{Hss, NodeBlocks};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::linalg::product;
use crate::matrix::Matrix;
use crate::operator::check_rows;
use crate::scalar::Scalar;

impl<T: Scalar> Hss<T> {
    /// `U V^T` on the given trees, for `u` of `n x k` and `v` of `m x k`, exact. Cost O((n + m) k + n m' k) for
    /// leaves of `m'`.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when the rows do not fit the trees, [`MatrixError::Shapes`] when `u` and `v` have
    /// different numbers of columns, [`MatrixError::Tree`] when the trees differ in shape, [`MatrixError::NonFinite`]
    /// for entries that are not finite.
    pub fn low_rank(
        rows: &Arc<ClusterTree>,
        cols: &Arc<ClusterTree>,
        u: &Matrix<T>,
        v: &Matrix<T>,
    ) -> Result<Self, MatrixError> {
        check_rows("low-rank matrix, U", u, rows.len())?;
        check_rows("low-rank matrix, V", v, cols.len())?;
        if u.ncols() != v.ncols() {
            return Err(MatrixError::Shapes {
                operation: "U V^T",
                left_out: u.nrows(),
                left_in: u.ncols(),
                right_out: v.nrows(),
                right_in: v.ncols(),
                rule: "both must have the same number of columns",
            });
        }
        let k = u.ncols();
        let (u, v) = (rows.to_tree_order(u), cols.to_tree_order(v));
        let blocks: Vec<NodeBlocks<T>> = (rows.clusters().iter().zip(cols.clusters()).enumerate())
            .map(|(i, (row, col))| {
                let rank = if i == 0 { 0 } else { k };
                if row.is_leaf() {
                    let part =
                        |of: MatRef<T>, range: &std::ops::Range<usize>| of.subrows(range.start, range.len()).to_owned();
                    let (u, v) = (part(u.as_ref(), &row.range), part(v.as_ref(), &col.range));
                    let d = product(u.as_ref(), v.as_ref().transpose());
                    let basis = |b: Mat<T>| b.as_ref().subcols(0, rank).to_owned();
                    return NodeBlocks { d, u: basis(u), v: basis(v) };
                }
                let size = k * row.children.len();
                let one = |same: bool| if same { T::ONE } else { T::ZERO };
                let stacked = Mat::from_fn(size, rank, |i, j| one(i % k == j));
                // Nothing within a child: its own blocks hold that.
                let d = Mat::from_fn(size, size, |i, j| one(i % k == j % k && i / k != j / k));
                NodeBlocks { d, u: stacked.clone(), v: stacked }
            })
            .collect();
        Self::assemble(rows.clone(), cols.clone(), &blocks)
    }

    /// `A + U V^T`, exact, of ranks larger by the columns of `U`; [`Hss::recompress`] makes them smaller where they
    /// can be.
    ///
    /// # Errors
    /// As [`Hss::low_rank`].
    pub fn add_low_rank(&self, u: &Matrix<T>, v: &Matrix<T>) -> Result<Self, MatrixError> {
        self.add(&Self::low_rank(&self.rows, &self.cols, u, v)?)
    }

    /// `A + s I`, of the same ranks. Cost: one copy.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless rows and columns have equal trees, [`MatrixError::Factor`] for an infinite or NaN
    /// `s`, [`MatrixError::NonFinite`] on overflow.
    pub fn shift(&self, s: T) -> Result<Self, MatrixError> {
        if self.rows != self.cols {
            let reason = "a shift needs equal trees of rows and columns".to_owned();
            return Err(MatrixError::Tree { reason });
        }
        if !Scalar::is_finite(s) {
            return Err(MatrixError::Factor { value: s.to_f64() });
        }
        let mut data = self.data.clone();
        for node in self.layout.nodes().iter().filter(|node| node.is_leaf()) {
            for i in 0..node.d.rows {
                data[node.d.offset + i * node.d.cols + i] += s;
            }
        }
        self.with_data(data, "shifted HSS matrix")
    }
}
