//! Factorisation of a HODLR matrix: solves, inverse, log-determinant.
//!
//! A cluster with children `1 .. k` is a block-diagonal matrix plus a low-rank one, `A = D + U Z` with `D = diag(A_1, ..., A_k)`,
//! `U = diag(U_1, ..., U_k)`, `U_i` the factors `U_ij` of all its blocks side by side, and rows `(i, j)` of `Z` equal to `V_ij^T` in the
//! columns of child `j`. With `W = D^{-1} U`, computed by the factors of the children,
//!
//! ```text
//! A = D (I + W Z),   A^{-1} = (I - W K^{-1} Z) D^{-1},   K = I + Z W,   det A = det A_1 ... det A_k det K
//! ```
//!
//! (Woodbury). `K` has the order of the sum of the ranks and gets a pivoted LU, as do the leaves. Cost: `O(n m^2 + n (r log n)^2)`; a
//! solve `O(n (m + r log n))` a vector.
//!
//! Every diagonal block of the tree must be invertible, not only `A`: that of `[0 1; 1 0]` with leaves of one index is not, and is reported
//! as singular. Where they are much worse conditioned than `A`, the first solution is poor; [`HodlrFactorization::solve`]
//! therefore looks at its residual and refines.
//!
//! Ambikasaran & Darve, J. Sci. Comput. 57 (2013), section 4.

use faer::{Mat, MatMut};
use rayon::prelude::*;

use super::apply::{child_rows, for_children};
use super::{Hodlr, Node, pair, pairs};
use crate::dense_factor::{DenseLu, rounding_floors};
use crate::error::MatrixError;
use crate::linalg::add_product;
use crate::log_determinant::LogDeterminant;
use crate::matrix::Matrix;
use crate::operator::{LinearOperator, check_rows};
use crate::scalar::Scalar;

/// The factors of a [`Hodlr`] matrix. As a [`LinearOperator`] it is the inverse, without refinement: a preconditioner.
#[derive(Clone)]
pub struct HodlrFactorization<T> {
    hodlr: Hodlr<T>,
    nodes: Vec<Factor<T>>,
    norm: f64,
}

#[derive(Clone)]
enum Factor<T> {
    Leaf(DenseLu<T>),
    /// `W` of every child, and the factors of `K`.
    Split(Vec<Mat<T>>, DenseLu<T>),
}

/// Steps of iterative refinement at most.
const REFINEMENTS: usize = 4;

impl<T: Scalar> Hodlr<T> {
    /// The factors of `A`. They share the numbers of `A`; [`HodlrFactorization::memory_bytes`] counts what they take beside it.
    ///
    /// # Errors
    /// [`MatrixError::Singular`] with the cluster whose diagonal block is singular to working precision.
    pub fn factor(&self) -> Result<HodlrFactorization<T>, MatrixError> {
        let tree = &self.tree;
        let mut nodes: Vec<Option<Factor<T>>> = (0..tree.clusters().len()).map(|_| None).collect();
        for level in (0..=tree.depth()).rev() {
            let level = tree.level(level);
            let done = &nodes;
            let factors: Vec<_> = level.clone().into_par_iter().map(|c| self.factor_cluster(c, done)).collect();
            for (c, factor) in level.zip(factors) {
                nodes[c] = Some(factor?);
            }
        }
        let nodes = nodes.into_iter().flatten().collect();
        Ok(HodlrFactorization { hodlr: self.clone(), nodes, norm: self.norm_frobenius() })
    }

    fn factor_cluster(&self, c: usize, done: &[Option<Factor<T>>]) -> Result<Factor<T>, MatrixError> {
        let cluster = self.tree.cluster(c);
        let singular = |what: &str, column: usize| MatrixError::Singular {
            what: "HODLR factorisation",
            place: format!("{what} {column} of {}", self.describe(c)),
        };
        let blocks = match &self.nodes[c] {
            Node::Leaf(d) => {
                return pivoted(d.clone()).map(Factor::Leaf).map_err(|column| singular("column", column));
            }
            Node::Split(blocks) => blocks,
        };
        let k = cluster.children.len();
        let w: Vec<Mat<T>> = (0..k)
            .into_par_iter()
            .map(|i| {
                let factors: Vec<_> = (0..k).filter(|&j| j != i).map(|j| &blocks[pair(k, i, j)].u).collect();
                let rows = self.tree.cluster(cluster.children.start + i).len();
                let mut w = side_by_side(rows, &factors);
                solve_cluster(self, &|c| done[c].as_ref(), cluster.children.start + i, w.as_mut(), false);
                w
            })
            .collect();
        // Row (i, j) of K meets, through V_ij, what W_j has for all pairs (j, l).
        let starts = starts(blocks);
        let mut small = Mat::<T>::identity(starts[blocks.len()], starts[blocks.len()]);
        for (b, (_, j)) in pairs(k).enumerate() {
            let col = if k > 1 { starts[j * (k - 1)] } else { 0 };
            let out = small.as_mut().submatrix_mut(starts[b], col, blocks[b].rank(), w[j].ncols());
            add_product(out, T::ONE, blocks[b].v.transpose(), w[j].as_ref());
        }
        Ok(Factor::Split(w, pivoted(small).map_err(|column| singular("coupling", column))?))
    }

    /// A cluster as an error message names it.
    pub(super) fn describe(&self, c: usize) -> String {
        let cluster = self.tree.cluster(c);
        let (level, size) = (cluster.level, cluster.len());
        format!("cluster {c} on level {level}, {size} indices from place {}", cluster.range.start)
    }
}

impl<T: Scalar> HodlrFactorization<T> {
    /// The matrix.
    pub fn matrix(&self) -> &Hodlr<T> {
        &self.hodlr
    }

    /// `X` with `A X = B`. The residual is computed, and the solution refined while it shrinks and is above rounding: the backward error
    /// `||B - A X|| / (||A|| ||X|| + ||B||)` is at the level of rounding unless the diagonal blocks are far worse conditioned
    /// than `A`. Cost: a solve and a product, for each refinement the same again.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when the sizes do not fit, [`MatrixError::Singular`] when the solution overflows.
    pub fn solve(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("HODLR solve, B", b, self.hodlr.order())?;
        self.refined(b, false)
    }

    /// `X` with `A^T X = B`, as [`HodlrFactorization::solve`].
    ///
    /// # Errors
    /// As [`HodlrFactorization::solve`].
    pub fn solve_transpose(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed HODLR solve, B", b, self.hodlr.order())?;
        self.refined(b, true)
    }

    /// `log |det A|` and the sign, as the sum over the pivots of all factors. Rounding errors grow with `||W||` of the module comment: at a condition
    /// number of 1e10 it may lose three digits more than a dense LU. [`Hodlr::cholesky`] and [`HssUlv`](crate::HssUlv) do not.
    pub fn log_determinant(&self) -> LogDeterminant {
        let of_node = |node: &Factor<T>| {
            let (Factor::Leaf(lu) | Factor::Split(_, lu)) = node;
            lu.log_determinant()
        };
        self.nodes.iter().map(of_node).fold(LogDeterminant::signed(false), LogDeterminant::times)
    }

    /// Bytes of the factors, the matrix itself not counted.
    pub fn memory_bytes(&self) -> usize {
        let numbers = |node: &Factor<T>| match node {
            Factor::Leaf(lu) => lu.stored(),
            Factor::Split(w, lu) => lu.stored() + w.iter().map(|w| w.nrows() * w.ncols()).sum::<usize>(),
        };
        self.nodes.iter().map(numbers).sum::<usize>() * size_of::<T>()
    }

    fn refined(&self, b: &Matrix<T>, transposed: bool) -> Result<Matrix<T>, MatrixError> {
        let tree = &self.hodlr.tree;
        let b = tree.to_tree_order(b);
        let solved = |b: &Matrix<T>| {
            let mut x = b.clone();
            self.solve_inside(x.as_mut(), transposed);
            x
        };
        let minus = |a: &Matrix<T>, b: &Matrix<T>| Matrix(&a.0 - &b.0);
        let mut x = solved(&b);
        if x.first_non_finite().is_some() {
            let place = "the solution overflows".to_owned();
            return Err(MatrixError::Singular { what: "HODLR solve", place });
        }
        let size = b.norm_frobenius();
        let mut r = minus(&b, &self.hodlr.multiplied(&x, transposed));
        let mut left = r.norm_frobenius();
        for _ in 0..REFINEMENTS {
            if left <= T::EPSILON * (size + 0.01 * self.norm * x.norm_frobenius()) {
                break;
            }
            let next = Matrix(&x.0 + &solved(&r).0);
            let residual = minus(&b, &self.hodlr.multiplied(&next, transposed));
            let now = residual.norm_frobenius();
            if now.is_nan() || now >= left {
                break;
            }
            let stalled = now > 0.5 * left;
            (x, r, left) = (next, residual, now);
            if stalled {
                break;
            }
        }
        Ok(tree.to_user_order(&x))
    }

    fn solve_inside(&self, b: MatMut<T>, transposed: bool) {
        solve_cluster(&self.hodlr, &|c| self.nodes.get(c), 0, b, transposed);
    }
}

impl<T: Scalar> std::fmt::Debug for HodlrFactorization<T> {
    /// The sizes, not the numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HodlrFactorization").field("hodlr", &self.hodlr).field("bytes", &self.memory_bytes()).finish()
    }
}

impl<T: Scalar> LinearOperator<T> for HodlrFactorization<T> {
    fn nrows(&self) -> usize {
        self.hodlr.order()
    }

    fn ncols(&self) -> usize {
        self.hodlr.order()
    }

    fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("inverse of a HODLR matrix, X", x, self.hodlr.order())?;
        let mut y = self.hodlr.tree.to_tree_order(x);
        self.solve_inside(y.as_mut(), false);
        Ok(self.hodlr.tree.to_user_order(&y))
    }

    fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed inverse of a HODLR matrix, X", x, self.hodlr.order())?;
        let mut y = self.hodlr.tree.to_tree_order(x);
        self.solve_inside(y.as_mut(), true);
        Ok(self.hodlr.tree.to_user_order(&y))
    }
}

/// The factors, or the column whose pivot is zero to working precision.
fn pivoted<T: Scalar>(a: Mat<T>) -> Result<DenseLu<T>, usize> {
    let floors = rounding_floors(a.as_ref());
    DenseLu::new(a, |j| floors[j]).map_err(|(column, _)| column)
}

/// `b` becomes `A_cc^{-1} b` for the diagonal block of a cluster, or with the transposes.
fn solve_cluster<'a, T: Scalar + 'a>(
    hodlr: &Hodlr<T>,
    factors: &(impl Fn(usize) -> Option<&'a Factor<T>> + Sync),
    c: usize,
    mut b: MatMut<T>,
    transposed: bool,
) {
    match (factors(c), &hodlr.nodes[c]) {
        (Some(Factor::Leaf(lu)), _) if transposed => lu.solve_transpose(b),
        (Some(Factor::Leaf(lu)), _) => lu.solve(b),
        (Some(Factor::Split(w, lu)), Node::Split(blocks)) => {
            let cluster = hodlr.tree.cluster(c);
            let (k, starts) = (cluster.children.len(), starts(blocks));
            let mut z = Mat::zeros(starts[blocks.len()], b.ncols());
            let children = |b: MatMut<T>| {
                for_children(&hodlr.tree, cluster, b, |i, part| {
                    solve_cluster(hodlr, factors, cluster.children.start + i, part, transposed);
                });
            };
            let minus_one = T::ZERO - T::ONE;
            if transposed {
                // A^{-T} = D^{-T} (I - Z^T K^{-T} W^T).
                for j in (0..k).filter(|_| k > 1) {
                    let rows = z.as_mut().subrows_mut(starts[j * (k - 1)], w[j].ncols());
                    add_product(rows, T::ONE, w[j].transpose(), child_rows(&hodlr.tree, cluster, j, b.as_ref()));
                }
                lu.solve_transpose(z.as_mut());
                for_children(&hodlr.tree, cluster, b.as_mut(), |j, mut part| {
                    for i in (0..k).filter(|&i| i != j) {
                        let at = pair(k, i, j);
                        let z = z.as_ref().subrows(starts[at], blocks[at].rank());
                        add_product(part.as_mut(), minus_one, blocks[at].v.as_ref(), z);
                    }
                });
                children(b);
            } else {
                children(b.as_mut());
                for (at, (_, j)) in pairs(k).enumerate() {
                    let rows = z.as_mut().subrows_mut(starts[at], blocks[at].rank());
                    add_product(
                        rows,
                        T::ONE,
                        blocks[at].v.transpose(),
                        child_rows(&hodlr.tree, cluster, j, b.as_ref()),
                    );
                }
                lu.solve(z.as_mut());
                for_children(&hodlr.tree, cluster, b, |i, part| {
                    if k > 1 {
                        let z = z.as_ref().subrows(starts[i * (k - 1)], w[i].ncols());
                        add_product(part, minus_one, w[i].as_ref(), z);
                    }
                });
            }
        }
        _ => unreachable!("a cluster is factored after its children"),
    }
}

/// Where the coefficients of each block begin among those of all blocks of a cluster, and their number.
fn starts<T: Scalar>(blocks: &[crate::low_rank::LowRank<T>]) -> Vec<usize> {
    let mut starts = vec![0];
    for block in blocks {
        starts.push(starts[starts.len() - 1] + block.rank());
    }
    starts
}

/// `[a, b, ...]`.
pub(super) fn side_by_side<T: Scalar>(rows: usize, parts: &[&Mat<T>]) -> Mat<T> {
    let mut out = Mat::zeros(rows, parts.iter().map(|a| a.ncols()).sum());
    let mut col = 0;
    for part in parts {
        out.as_mut().subcols_mut(col, part.ncols()).copy_from(part);
        col += part.ncols();
    }
    out
}
