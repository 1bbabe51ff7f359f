//! Symmetric factorisation `A = W W^T` of a positive definite HODLR matrix.
//!
//! With `A_i = W_i W_i^T` for the children of a cluster and `D = diag(W_1, ..., W_k)`,
//!
//! ```text
//! A = D M D^T,   M_ii = I,   M_ij = W_i^{-1} A_ij W_j^{-T},   M = I + Q (S - I) Q^T,   S = L L^T,
//! W = D (I + Q (L - I) Q^T),   W^{-1} = (I + Q (L^{-1} - I) Q^T) D^{-1}
//! ```
//!
//! where `Q = diag(Q_1, ..., Q_k)` holds orthonormal bases of what `M` does off its diagonal and `S = Q^T M Q` has the order of
//! the sum of the ranks. Only the blocks above the diagonal and the lower triangles of the leaves are read. Cost: as
//! [`Hodlr::factor`], with half the factors. `W` turns white noise into samples with covariance `A`.
//!
//! Ambikasaran, O'Neil & Singh, arXiv 1405.0223 (2014).

use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Mat, MatMut, Par};
use rayon::prelude::*;

use super::apply::{child_rows, for_children};
use super::factor::{leaves_first, side_by_side};
use super::{Hodlr, Node, pair, root_sum_of_squares};
use crate::dense_factor::DenseCholesky;
use crate::error::MatrixError;
use crate::linalg::{add_product, norm_frobenius, product, qr};
use crate::log_determinant::LogDeterminant;
use crate::low_rank::LowRank;
use crate::matrix::Matrix;
use crate::operator::check_rows;
use crate::scalar::Scalar;

/// The factor `W` of a symmetric positive definite [`Hodlr`] matrix. As a [`LinearOperator`](crate::LinearOperator) it is the inverse of `W W^T`.
#[derive(Clone)]
pub struct HodlrCholesky<T> {
    hodlr: Hodlr<T>,
    nodes: Vec<Factor<T>>,
}

#[derive(Clone)]
enum Factor<T> {
    /// Lower triangular.
    Leaf(Mat<T>),
    /// `Q` of every child, and `L`.
    Split(Vec<Mat<T>>, Mat<T>),
}

/// The four ways to multiply by `W`.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    W,
    Transposed,
    Inverse,
    InverseTransposed,
}

/// How far from symmetric a matrix may be, relative to its norm.
const ASYMMETRY: f64 = 0.05;

impl<T: Scalar> Hodlr<T> {
    /// `A = W W^T` for a symmetric positive definite matrix.
    ///
    /// # Errors
    /// [`MatrixError::NotPositiveDefinite`] with the cluster whose diagonal block is not positive definite, or when the matrix is far
    /// from symmetric (more than one twentieth of its norm; the error of the approximation may make it slightly so).
    pub fn cholesky(&self) -> Result<HodlrCholesky<T>, MatrixError> {
        let what = "HODLR Cholesky factorisation";
        let (asymmetry, norm) = (self.asymmetry(), self.norm_frobenius());
        if asymmetry > ASYMMETRY * norm {
            let place = format!("it is not symmetric: ||A - A^T|| = {asymmetry:.3e}, ||A|| = {norm:.3e}");
            return Err(MatrixError::NotPositiveDefinite { what, place });
        }
        let nodes = leaves_first(&self.tree, |c, done| {
            let not = || MatrixError::NotPositiveDefinite { what, place: self.describe(c) };
            self.cholesky_cluster(c, done).ok_or_else(not)
        })?;
        Ok(HodlrCholesky { hodlr: self.clone(), nodes })
    }

    fn cholesky_cluster(&self, c: usize, done: &[Option<Factor<T>>]) -> Option<Factor<T>> {
        let blocks = match &self.nodes[c] {
            Node::Leaf(d) => return lower(d).map(Factor::Leaf),
            Node::Split(blocks) => blocks,
        };
        let cluster = self.tree.cluster(c);
        let k = cluster.children.len();
        // The factor of the block between i and j on the side of i; blocks below the diagonal are the transposes of those above.
        let side = |i: usize, j: usize| if i < j { &blocks[pair(k, i, j)].u } else { &blocks[pair(k, j, i)].v };
        let bases: Vec<(Mat<T>, Mat<T>)> = (0..k)
            .into_par_iter()
            .map(|i| {
                let child = cluster.children.start + i;
                let factors: Vec<_> = (0..k).filter(|&j| j != i).map(|j| side(i, j)).collect();
                let mut p = side_by_side(self.tree.cluster(child).len(), &factors);
                along(self, &|c| done[c].as_ref(), child, p.as_mut(), Way::Inverse);
                qr(p.as_ref())
            })
            .collect();
        let mut starts = vec![0];
        bases.iter().for_each(|(q, _)| starts.push(starts[starts.len() - 1] + q.ncols()));
        let mut small = Mat::<T>::identity(starts[k], starts[k]);
        // The columns of R_i that belong to the block with j.
        let part = |i: usize, j: usize| {
            let before = (0..j).filter(|&l| l != i).map(|l| side(i, l).ncols()).sum();
            bases[i].1.as_ref().subcols(before, side(i, j).ncols())
        };
        for i in 0..k {
            for j in 0..i {
                let block = product(part(i, j), part(j, i).transpose());
                small.as_mut().submatrix_mut(starts[i], starts[j], block.nrows(), block.ncols()).copy_from(&block);
            }
        }
        Some(Factor::Split(bases.into_iter().map(|(q, _)| q).collect(), lower(&small)?))
    }

    /// `||A - A^T||_F`.
    fn asymmetry(&self) -> f64 {
        let of_node = |(node, cluster): (&Node<T>, &crate::Cluster)| match node {
            Node::Leaf(d) => norm_frobenius((d - d.transpose()).as_ref()),
            Node::Split(blocks) => {
                let k = cluster.children.len();
                let above = (0..k).flat_map(|i| (i + 1..k).map(move |j| (i, j)));
                let norms: Vec<f64> = above
                    .map(|(i, j)| {
                        let (a, b) = (&blocks[pair(k, i, j)], &blocks[pair(k, j, i)]);
                        let minus = LowRank { u: -&b.v, v: b.u.clone() };
                        std::f64::consts::SQRT_2 * a.plus(&minus).norm_frobenius()
                    })
                    .collect();
                root_sum_of_squares(norms.iter().copied())
            }
        };
        let norms: Vec<f64> = self.nodes.par_iter().zip(self.tree.clusters()).map(of_node).collect();
        root_sum_of_squares(norms.iter().copied())
    }
}

impl<T: Scalar> HodlrCholesky<T> {
    /// Order of the matrix.
    pub fn order(&self) -> usize {
        self.hodlr.order()
    }

    /// `X` with `W W^T X = B`. Cost: two passes through the factors.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when the sizes do not fit.
    pub fn solve(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("HODLR Cholesky solve, B", b, self.hodlr.order())?;
        Ok(self.through(b, &[Way::Inverse, Way::InverseTransposed]))
    }

    /// `W X`: for independent standard normal `X`, samples with covariance `A`.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when the sizes do not fit.
    pub fn apply_factor(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("HODLR Cholesky factor, X", x, self.hodlr.order())?;
        Ok(self.through(x, &[Way::W]))
    }

    /// `W^T X`.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when the sizes do not fit.
    pub fn apply_factor_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed HODLR Cholesky factor, X", x, self.hodlr.order())?;
        Ok(self.through(x, &[Way::Transposed]))
    }

    /// `W^{-1} B`: samples with covariance `A` become white noise.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when the sizes do not fit.
    pub fn solve_factor(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("HODLR Cholesky factor solve, B", b, self.hodlr.order())?;
        Ok(self.through(b, &[Way::Inverse]))
    }

    /// `log det A`.
    pub fn log_determinant(&self) -> LogDeterminant {
        let of_node = |node: &Factor<T>| {
            let (Factor::Leaf(l) | Factor::Split(_, l)) = node;
            2.0 * (0..l.nrows()).map(|j| l[(j, j)].to_f64().ln()).sum::<f64>()
        };
        LogDeterminant { sign: 1, ln_abs: self.nodes.iter().map(of_node).sum() }
    }

    /// Bytes of the factor, the matrix itself not counted.
    pub fn memory_bytes(&self) -> usize {
        let size = |a: &Mat<T>| a.nrows() * a.ncols();
        let numbers = |node: &Factor<T>| match node {
            Factor::Leaf(l) => size(l),
            Factor::Split(q, l) => size(l) + q.iter().map(size).sum::<usize>(),
        };
        self.nodes.iter().map(numbers).sum::<usize>() * size_of::<T>()
    }

    fn through(&self, x: &Matrix<T>, ways: &[Way]) -> Matrix<T> {
        let mut y = self.hodlr.tree.to_tree_order(x);
        for &way in ways {
            along(&self.hodlr, &|c| self.nodes.get(c), 0, y.as_mut(), way);
        }
        self.hodlr.tree.to_user_order(&y)
    }
}

impl<T: Scalar> std::fmt::Debug for HodlrCholesky<T> {
    /// The sizes, not the numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HodlrCholesky").field("hodlr", &self.hodlr).field("bytes", &self.memory_bytes()).finish()
    }
}

/// `b` becomes `W_c b` for the factor of a cluster, or one of its relatives.
fn along<'a, T: Scalar + 'a>(
    hodlr: &Hodlr<T>,
    factors: &(impl Fn(usize) -> Option<&'a Factor<T>> + Sync),
    c: usize,
    mut b: MatMut<T>,
    way: Way,
) {
    match factors(c) {
        Some(Factor::Leaf(l)) => triangular(l, b, way),
        Some(Factor::Split(q, l)) => {
            let cluster = hodlr.tree.cluster(c);
            let children = |b: MatMut<T>| {
                for_children(&hodlr.tree, cluster, b, |i, part| {
                    along(hodlr, factors, cluster.children.start + i, part, way);
                });
            };
            if way == Way::Inverse || way == Way::Transposed {
                children(b.as_mut());
            }
            // b += Q (F - I) Q^T b, F one of L, L^T and their inverses.
            let mut z = Mat::zeros(l.nrows(), b.ncols());
            let mut at = 0;
            for (i, q) in q.iter().enumerate() {
                let rows = z.as_mut().subrows_mut(at, q.ncols());
                add_product(rows, T::ONE, q.transpose(), child_rows(&hodlr.tree, cluster, i, b.as_ref()));
                at += q.ncols();
            }
            let mut change = z.clone();
            triangular(l, change.as_mut(), way);
            change -= &z;
            let starts: Vec<usize> = q.iter().scan(0, |at, q| Some(std::mem::replace(at, *at + q.ncols()))).collect();
            for_children(&hodlr.tree, cluster, b.as_mut(), |i, part| {
                add_product(part, T::ONE, q[i].as_ref(), change.as_ref().subrows(starts[i], q[i].ncols()));
            });
            if way == Way::W || way == Way::InverseTransposed {
                children(b);
            }
        }
        None => unreachable!("a cluster is factored after its children"),
    }
}

fn triangular<T: Scalar>(l: &Mat<T>, mut b: MatMut<T>, way: Way) {
    match way {
        Way::W => {
            let y = product(l.as_ref(), b.as_ref());
            b.copy_from(y);
        }
        Way::Transposed => {
            let y = product(l.transpose(), b.as_ref());
            b.copy_from(y);
        }
        Way::Inverse => solve_lower_triangular_in_place(l.as_ref(), b, Par::Seq),
        Way::InverseTransposed => solve_upper_triangular_in_place(l.transpose(), b, Par::Seq),
    }
}

/// The Cholesky factor, from the lower triangle; `None` when the matrix is not positive definite.
fn lower<T: Scalar>(a: &Mat<T>) -> Option<Mat<T>> {
    DenseCholesky::new(a.clone(), |_| 0.0).ok().map(DenseCholesky::into_lower)
}
