//! Least squares with a tall HSS matrix, `min ||A x - b||_2`, by a URV factorisation: orthogonal transformations alone, in O((m + n) r^2).
//!
//! After Y. Xi, J. Xia, S. Cauley & V. Balakrishnan, "Superfast and stable structured solvers for Toeplitz least squares via randomized
//! sampling", SIAM J. Matrix Anal. Appl. 35 (2014), with the elimination on the side of `V`, where it is exact. At a node of `n` unknowns whose `V` has `k < n` columns
//!
//! ```text
//! V^T P = [ V'^T  0 ],   Q^T D P = [ F  R ],   Q^T U = [ G  ],   x = P [ x_1 ]
//!                                  [ D' 0 ]            [ U' ]          [ x_2 ]
//! ```
//!
//! `x_2` occurs in no other node, and its `n - k` rows `R x_2 = c - F x_1 - G g` can be met whatever the others are: they leave the least
//! squares problem. What is left, `D'` and `U'`, is shortened by another QR factorisation to as many rows as it has columns; the rows dropped
//! make up the residual. No normal equations: the forward error grows as that of a dense QR solution. The matrix must have full column rank.

use std::sync::Arc;

use faer::Mat;

use super::Hss;
use super::orthonormal::{block_diagonal_product, stack};
use super::passes::{downward, upward};
use super::ulv::{gathered, range_of, singular_factor, solve_upper, split_rows};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::householder::{HouseholderQr, Reflectors};
use crate::linalg::{add_product, beside, norm_frobenius, product};
use crate::matrix::Matrix;
use crate::operator::check_rows;
use crate::scalar::Scalar;

/// A URV factorisation of a matrix with at least as many rows as columns.
#[derive(Clone, Debug)]
pub struct HssLeastSquares<T> {
    rows: Arc<ClusterTree>,
    cols: Arc<ClusterTree>,
    nodes: Vec<UrvNode<T>>,
}

#[derive(Clone, Debug)]
struct UrvNode<T> {
    p: Reflectors<T>,
    q: Reflectors<T>,
    r: Mat<T>,
    f: Mat<T>,
    g: Mat<T>,
    /// Shortens what is left.
    shorten: Reflectors<T>,
    /// Rows that go to the parent.
    rows: usize,
    /// `V'`, to the parent's coefficients.
    v: Mat<T>,
    /// `D blkdiag(V'_c)^T` and `U` of a node above the leaves.
    coupling: Mat<T>,
    u: Mat<T>,
    row_rank: usize,
}

struct Reduced<T> {
    d: Mat<T>,
    u: Mat<T>,
    v: Mat<T>,
}

/// The solution of a least squares problem.
#[derive(Clone, Debug)]
pub struct LeastSquaresSolution<T: Scalar> {
    /// One column for each right-hand side.
    pub x: Matrix<T>,
    /// `||A x - b||_2` of each, as the factorisation gives it.
    pub residuals: Vec<f64>,
}

impl<T: Scalar> Hss<T> {
    /// The factorisation for least squares. Row and column clusters may have any sizes.
    ///
    /// # Errors
    /// [`MatrixError::Singular`] when the columns are linearly dependent to working precision, as always with more columns than rows.
    pub fn least_squares(&self) -> Result<HssLeastSquares<T>, MatrixError> {
        let blocks = self.orthonormal()?;
        let (nodes, _) = upward(&self.rows, |i, children: Vec<Reduced<T>>| {
            let block = &blocks[i];
            let (joined, coupling, u) = if self.layout.nodes()[i].is_leaf() {
                let joined = Reduced { d: block.d.clone(), u: block.u.clone(), v: block.v.clone() };
                (joined, Mat::zeros(0, 0), Mat::zeros(0, 0))
            } else {
                let (of_u, of_v): (Vec<_>, Vec<_>) = children.iter().map(|c| (c.u.clone(), c.v.clone())).unzip();
                let coupling = block_diagonal_product(&of_v, block.d.as_ref().transpose()).transpose().to_owned();
                let mut d = block_diagonal_product(&of_u, coupling.as_ref());
                let mut at = (0, 0);
                for child in &children {
                    let (rows, cols) = (child.d.nrows(), child.d.ncols());
                    let mut place = d.as_mut().submatrix_mut(at.0, at.1, rows, cols);
                    place += &child.d;
                    at = (at.0 + rows, at.1 + cols);
                }
                let (u, v) = (block.u.as_ref(), block.v.as_ref());
                let joined = Reduced { d, u: block_diagonal_product(&of_u, u), v: block_diagonal_product(&of_v, v) };
                (joined, coupling, block.u.clone())
            };
            let (mut node, reduced) = eliminate(joined).map_err(|reason| {
                let level = self.rows.cluster(i).level;
                let place = format!("{reason} in node {i}, on level {level}");
                MatrixError::Singular { what: "HSS least squares", place }
            })?;
            (node.coupling, node.u) = (coupling, u);
            Ok((node, reduced))
        })?;
        Ok(HssLeastSquares { rows: self.rows.clone(), cols: self.cols.clone(), nodes })
    }
}

/// Eliminates the unknowns that occur in this node alone. The error says why not.
fn eliminate<T: Scalar>(block: Reduced<T>) -> Result<(UrvNode<T>, Reduced<T>), String> {
    let Reduced { mut d, mut u, mut v } = block;
    let (m, n, row_rank) = (d.nrows(), d.ncols(), u.ncols());
    let kept = v.ncols().min(n);
    let own = n - kept;
    if m < own {
        return Err(format!("{own} unknowns but {m} rows"));
    }
    let (mut p, mut q) = (Reflectors::identity(n), Reflectors::identity(m));
    let (mut r, mut f, mut g) = (Mat::zeros(0, 0), Mat::zeros(0, kept), Mat::zeros(0, row_rank));
    if own > 0 {
        let of_v = HouseholderQr::new(v.as_ref());
        (p, v) = (of_v.q, of_v.r);
        p.apply_on_right(&mut d);
        let of_d = HouseholderQr::new(d.as_ref().subcols(kept, own));
        (q, r) = (of_d.q, of_d.r);
        if let Some(smallest) = singular_factor(r.transpose(), d.as_ref()) {
            return Err(format!("smallest singular value about {smallest:.1e}"));
        }
        let mut first = d.as_ref().subcols(0, kept).to_owned();
        q.apply_transpose(first.as_mut());
        q.apply_transpose(u.as_mut());
        f = first.as_ref().subrows(0, own).to_owned();
        g = u.as_ref().subrows(0, own).to_owned();
        d = first.as_ref().subrows(own, m - own).to_owned();
        u = u.as_ref().subrows(own, m - own).to_owned();
    }
    let mut shorten = Reflectors::identity(m - own);
    let mut rows = m - own;
    if rows > kept + row_rank {
        let qr = HouseholderQr::new(beside(u.as_ref(), d.as_ref()).as_ref());
        (shorten, rows) = (qr.q, kept + row_rank);
        u = qr.r.as_ref().subcols(0, row_rank).to_owned();
        d = qr.r.as_ref().subcols(row_rank, kept).to_owned();
    }
    let empty = || Mat::zeros(0, 0);
    let node = UrvNode { p, q, r, f, g, shorten, rows, v: v.clone(), coupling: empty(), u: empty(), row_rank };
    Ok((node, Reduced { d, u, v }))
}

impl<T: Scalar> HssLeastSquares<T> {
    /// The minimiser for every column of `B`, and the norms of the residuals.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] unless `B` has as many rows as the matrix.
    pub fn solve(&self, b: &Matrix<T>) -> Result<LeastSquaresSolution<T>, MatrixError> {
        check_rows("HSS least squares, B", b, self.rows.len())?;
        let b = self.rows.to_tree_order(b);
        let (kept, _) = upward(&self.rows, |i, children: Vec<Mat<T>>| {
            let node = &self.nodes[i];
            let mut rhs = if children.is_empty() {
                range_of(&self.rows, i, &b).to_owned()
            } else {
                stack(children.iter().map(|c| c.as_ref()), b.ncols())
            };
            node.q.apply_transpose(rhs.as_mut());
            let own = node.r.nrows();
            let c = rhs.as_ref().subrows(0, own).to_owned();
            let mut left = rhs.as_ref().subrows(own, rhs.nrows() - own).to_owned();
            node.shorten.apply_transpose(left.as_mut());
            let dropped = left.as_ref().subrows(node.rows, left.nrows() - node.rows);
            let squares: Vec<f64> = (0..b.ncols()).map(|j| norm_frobenius(dropped.subcols(j, 1)).powi(2)).collect();
            let up = left.as_ref().subrows(0, node.rows).to_owned();
            Ok(((c, squares), up))
        })?;
        let root = (Mat::zeros(0, b.ncols()), Mat::zeros(0, b.ncols()));
        let leaves = downward(&self.rows, root, |i, (first, outside): (Mat<T>, Mat<T>)| {
            let node = &self.nodes[i];
            let mut second = kept[i].0.clone();
            add_product(second.as_mut(), T::ZERO - T::ONE, node.f.as_ref(), first.as_ref());
            add_product(second.as_mut(), T::ZERO - T::ONE, node.g.as_ref(), outside.as_ref());
            solve_upper(node.r.as_ref(), &mut second);
            let mut x = stack([first.as_ref(), second.as_ref()].into_iter(), b.ncols());
            node.p.apply(x.as_mut());
            let children = self.rows.cluster(i).children.clone();
            if children.is_empty() {
                return (Some(x), Vec::new());
            }
            let mut inside = product(node.coupling.as_ref(), x.as_ref());
            add_product(inside.as_mut(), T::ONE, node.u.as_ref(), outside.as_ref());
            let children = &self.nodes[children];
            let unknowns = split_rows(&x, children.iter().map(|c| c.v.nrows()));
            let inside = split_rows(&inside, children.iter().map(|c| c.row_rank));
            (None, unknowns.into_iter().zip(inside).collect())
        });
        let x = self.cols.to_user_order(&gathered(&self.cols, leaves, b.ncols()));
        let residuals =
            (0..b.ncols()).map(|j| kept.iter().map(|(_, squares)| squares[j]).sum::<f64>().sqrt()).collect();
        Ok(LeastSquaresSolution { x, residuals })
    }
}
