//! Factorisation of a symmetric positive definite HSS matrix, ULV with Cholesky in place of LQ: `A = U L L^T U^T`, in O(n r^2).
//!
//! J. Xia, S. Chandrasekaran, M. Gu & X. S. Li, "Fast algorithms for hierarchically semiseparable matrices", Numer. Linear Algebra
//! Appl. 17 (2010), section 4.1, for the telescopic form on any tree. At a node with bases `U` and `V` that span `k < m` dimensions together
//!
//! ```text
//! Q^T [U V] = [ U' V' ],   Q^T D Q = [ D_11  X^T L^T ],   D' = D_11 - X^T X
//!             [ 0  0  ]              [ L X   L L^T   ]
//! ```
//!
//! The last `m - k` unknowns are eliminated on both sides; the Schur complement `D'` stays inside the node, and is positive definite when the matrix
//! is. About half of the operations of [`HssUlv`](crate::HssUlv) when `U` and `V` are the same numbers. A matrix that was compressed block by
//! block is symmetric only to its tolerance: the caller says how much asymmetry is accepted, it is summed over the blocks
//! `D` in orthonormal bases (exact when those above the leaves have zero diagonal blocks), and the symmetric part `(A + A^T) / 2` is factored. Not for indefinite matrices: those are an error here, [`Hss::ulv`] takes them.

use std::sync::Arc;

use faer::Mat;

use super::Hss;
use super::orthonormal::{block_diagonal_product, norm_frobenius as norm_of_blocks, stack};
use super::passes::{downward, upward};
use super::ulv::{gathered, range_of, solve_lower, solve_upper, split_rows};
use crate::cluster_tree::ClusterTree;
use crate::dense_factor::DenseCholesky;
use crate::error::MatrixError;
use crate::householder::{HouseholderQr, Reflectors};
use crate::linalg::{add_product, norm_frobenius, product, svd};
use crate::log_determinant::LogDeterminant;
use crate::matrix::Matrix;
use crate::operator::check_rows;
use crate::scalar::Scalar;

const WHAT: &str = "HSS Cholesky factorisation";

/// A Cholesky-like factorisation. As a [`LinearOperator`](crate::LinearOperator) it acts as the inverse.
#[derive(Clone, Debug)]
pub struct HssCholesky<T> {
    tree: Arc<ClusterTree>,
    nodes: Vec<CholeskyNode<T>>,
    ln_abs: f64,
    asymmetry: f64,
}

#[derive(Clone, Debug)]
struct CholeskyNode<T> {
    /// `Q = Q_1 blkdiag(I, Q_2)`: the first makes room for `U`, the second for what `V` adds.
    q: [Reflectors<T>; 2],
    /// Where the second begins.
    of_u: usize,
    l: Mat<T>,
    x: Mat<T>,
}

struct Reduced<T> {
    d: Mat<T>,
    u: Mat<T>,
    v: Mat<T>,
    /// Square of the Frobenius norm of `A - A^T` inside the node.
    asymmetry: f64,
}

impl<T: Scalar> Hss<T> {
    /// The Cholesky-like factorisation of the symmetric part. `max_asymmetry` bounds `||A - A^T||_F / ||A||_F`; for a matrix with `U = V` that is
    /// symmetric but for rounding, `1e-12` in f64. Cost O(n r^2).
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless row and column tree are the same, [`MatrixError::NotPositiveDefinite`] when the matrix is not symmetric to
    /// `max_asymmetry`, or not positive definite.
    pub fn cholesky(&self, max_asymmetry: f64) -> Result<HssCholesky<T>, MatrixError> {
        self.check_square(WHAT)?;
        if self.rows.order() != self.cols.order() {
            return Err(MatrixError::Tree { reason: format!("{WHAT}: rows and columns are in different orders") });
        }
        let blocks = self.orthonormal()?;
        let norm = norm_of_blocks(&self.rows, &blocks);
        let (nodes, root) = upward(&self.rows, |i, children: Vec<Reduced<T>>| {
            let block = &blocks[i];
            let joined = if self.layout.nodes()[i].is_leaf() {
                let (d, asymmetry) = symmetric_part(&block.d);
                // The same numbers in U and V give the same bits in their orthonormal forms.
                Reduced { d, u: block.u.clone(), v: block.v.clone(), asymmetry }
            } else {
                let asymmetry: f64 = children.iter().map(|c| c.asymmetry).sum();
                let (of_u, of_v): (Vec<_>, Vec<_>) = children.iter().map(|c| (c.u.clone(), c.v.clone())).unzip();
                let half = block_diagonal_product(&of_u, block.d.as_ref());
                let coupling = block_diagonal_product(&of_v, half.transpose()).transpose().to_owned();
                let (mut d, own) = symmetric_part(&coupling);
                let mut at = 0;
                for child in &children {
                    let n = child.d.nrows();
                    let mut place = d.as_mut().submatrix_mut(at, at, n, n);
                    place += &child.d;
                    at += n;
                }
                let u = block_diagonal_product(&of_u, block.u.as_ref());
                let v = block_diagonal_product(&of_v, block.v.as_ref());
                Reduced { d, u, v, asymmetry: asymmetry + own }
            };
            eliminate(joined).map_err(|pivot| {
                let level = self.rows.cluster(i).level;
                let place = format!("pivot {pivot} of node {i}, on level {level}");
                MatrixError::NotPositiveDefinite { what: WHAT, place }
            })
        })?;
        let asymmetry = if norm > 0.0 { root.asymmetry.sqrt() / norm } else { 0.0 };
        if asymmetry.is_nan() || max_asymmetry.is_nan() || asymmetry > max_asymmetry {
            let place = format!("||A - A^T||_F is {asymmetry:.3e} ||A||_F, {max_asymmetry:.3e} is allowed");
            return Err(MatrixError::NotPositiveDefinite { what: WHAT, place });
        }
        let logs = nodes.iter().map(|n| (0..n.l.nrows()).map(|j| n.l[(j, j)].to_f64().ln()).sum::<f64>());
        let ln_abs = 2.0 * logs.sum::<f64>();
        Ok(HssCholesky { tree: self.rows.clone(), nodes, ln_abs, asymmetry })
    }
}

/// `(D + D^T) / 2`, and `||D - D^T||_F^2`.
fn symmetric_part<T: Scalar>(d: &Mat<T>) -> (Mat<T>, f64) {
    let half = T::from_f64(0.5);
    let n = d.nrows();
    let sum = Mat::from_fn(n, n, |i, j| half * (d[(i, j)] + d[(j, i)]));
    let difference = Mat::from_fn(n, n, |i, j| d[(i, j)] - d[(j, i)]);
    (sum, norm_frobenius(difference.as_ref()).powi(2))
}

/// Directions of `V` below the rows that `U` needs: `rest = Q [R; 0]` but for rounding, with as few rows of `R` as that allows.
fn directions<T: Scalar>(rest: &Mat<T>) -> (Reflectors<T>, usize) {
    let tolerance = 32.0 * T::EPSILON;
    if norm_frobenius(rest.as_ref()) <= tolerance {
        return (Reflectors::identity(rest.nrows()), 0);
    }
    let svd = svd(rest.as_ref());
    let rank = svd.s.iter().filter(|s| **s > tolerance).count();
    let q = HouseholderQr::new(svd.u.as_ref().subcols(0, rank)).q;
    let mut turned = rest.clone();
    q.apply_transpose(turned.as_mut());
    if norm_frobenius(turned.as_ref().subrows(rank, rest.nrows() - rank)) <= 4.0 * tolerance {
        return (q, rank);
    }
    // The singular vectors were not accurate enough: all columns.
    (HouseholderQr::new(rest.as_ref()).q, rest.nrows().min(rest.ncols()))
}

/// Eliminates what no other node sees. The error is the number of the pivot that is not positive.
fn eliminate<T: Scalar>(block: Reduced<T>) -> Result<(CholeskyNode<T>, Reduced<T>), usize> {
    let m = block.d.nrows();
    let Reduced { d, mut u, mut v, asymmetry } = block;
    let of_u = u.ncols().min(m);
    let (mut first, mut second, mut k) = (Reflectors::identity(m), Reflectors::identity(m - of_u), of_u);
    if of_u < m {
        // The comparison of faer panics on different shapes.
        let same = u.shape() == v.shape() && u == v;
        let qr = HouseholderQr::new(u.as_ref());
        first = qr.q;
        if !same {
            first.apply_transpose(v.as_mut());
            let rest = v.as_ref().subrows(of_u, m - of_u).to_owned();
            let (q, extra) = directions(&rest);
            (second, k) = (q, of_u + extra);
            second.apply_transpose(v.as_mut().subrows_mut(of_u, m - of_u));
            v = v.as_ref().subrows(0, k).to_owned();
        }
        u = stack([qr.r.as_ref(), Mat::zeros(k - of_u, u.ncols()).as_ref()].into_iter(), u.ncols());
        if same {
            v = u.clone();
        }
    }
    let node = CholeskyNode { q: [first, second], of_u, l: Mat::zeros(0, 0), x: Mat::zeros(0, k) };
    let mut turned = d;
    node.turn(&mut turned);
    let mut turned = turned.transpose().to_owned();
    node.turn(&mut turned);
    let trailing = turned.as_ref().submatrix(k, k, m - k, m - k);
    let (mut l, mut x) = (Mat::zeros(0, 0), Mat::zeros(0, k));
    let mut left = turned.as_ref().submatrix(0, 0, k, k).to_owned();
    if m > k {
        l = DenseCholesky::new(trailing.to_owned(), |_| 0.0)?.into_lower();
        x = turned.as_ref().submatrix(k, 0, m - k, k).to_owned();
        solve_lower(l.as_ref(), &mut x);
        add_product(left.as_mut(), T::ZERO - T::ONE, x.as_ref().transpose(), x.as_ref());
    }
    Ok((CholeskyNode { l, x, ..node }, Reduced { d: left, u, v, asymmetry }))
}

impl<T: Scalar> CholeskyNode<T> {
    fn kept(&self) -> usize {
        self.x.ncols()
    }

    /// `C <- Q^T C`.
    fn turn(&self, c: &mut Mat<T>) {
        self.q[0].apply_transpose(c.as_mut());
        let rows = c.nrows() - self.of_u;
        self.q[1].apply_transpose(c.as_mut().subrows_mut(self.of_u, rows));
    }

    /// `C <- Q C`.
    fn turn_back(&self, c: &mut Mat<T>) {
        let rows = c.nrows() - self.of_u;
        self.q[1].apply(c.as_mut().subrows_mut(self.of_u, rows));
        self.q[0].apply(c.as_mut());
    }
}

impl<T: Scalar> HssCholesky<T> {
    /// The order of the matrix.
    pub fn order(&self) -> usize {
        self.tree.len()
    }

    /// `||A - A^T||_F / ||A||_F` of the matrix that was factored.
    pub fn asymmetry(&self) -> f64 {
        self.asymmetry
    }

    /// `X` with `A X = B`. Cost: two multiply-adds a stored number and column.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] unless `B` has as many rows as the matrix.
    pub fn solve(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("HSS Cholesky solution, B", b, self.order())?;
        let b = self.tree.to_tree_order(b);
        let (eliminated, _) = upward(&self.tree, |i, children: Vec<Mat<T>>| {
            let node = &self.nodes[i];
            let mut rhs = if children.is_empty() {
                range_of(&self.tree, i, &b).to_owned()
            } else {
                stack(children.iter().map(|c| c.as_ref()), b.ncols())
            };
            node.turn(&mut rhs);
            let k = node.kept();
            let mut y = rhs.as_ref().subrows(k, rhs.nrows() - k).to_owned();
            solve_lower(node.l.as_ref(), &mut y);
            rhs.truncate(k, b.ncols());
            add_product(rhs.as_mut(), T::ZERO - T::ONE, node.x.as_ref().transpose(), y.as_ref());
            Ok((y, rhs))
        })?;
        let leaves = downward(&self.tree, Mat::zeros(0, b.ncols()), |i, kept: Mat<T>| {
            let node = &self.nodes[i];
            let mut z = eliminated[i].clone();
            let known = product(node.x.as_ref(), kept.as_ref());
            z -= &known;
            solve_upper(node.l.as_ref().transpose(), &mut z);
            let mut x = stack([kept.as_ref(), z.as_ref()].into_iter(), b.ncols());
            node.turn_back(&mut x);
            let children = self.tree.cluster(i).children.clone();
            if children.is_empty() {
                return (Some(x), Vec::new());
            }
            (None, split_rows(&x, self.nodes[children].iter().map(CholeskyNode::kept)))
        });
        Ok(self.tree.to_user_order(&gathered(&self.tree, leaves, b.ncols())))
    }

    /// `ln det A`, with sign 1.
    pub fn log_determinant(&self) -> LogDeterminant {
        LogDeterminant { sign: 1, ln_abs: self.ln_abs }
    }

    /// Bytes that the factors take.
    pub fn memory_bytes(&self) -> usize {
        let size = |m: &Mat<T>| m.nrows() * m.ncols();
        let numbers = self.nodes.iter().map(|n| n.q[0].stored() + n.q[1].stored() + size(&n.l) + size(&n.x));
        numbers.sum::<usize>() * size_of::<T>()
    }
}
