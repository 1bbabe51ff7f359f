//! An HSS matrix from one set of samples `Y = A Omega`, `Z = A^T Psi`: the recursion of Levitt & Martinsson.
//!
//! J. Levitt & P.-G. Martinsson, "Linear-complexity black-box randomized compression of rank-structured matrices", SIAM J. Sci. Comput. 46
//! (2024), section 4. At a node, with `P` a basis of the null space of `Omega` (its rows of the node),
//!
//! ```text
//! U = col(Y P),   V = col(Z Q)                    (Q: null space of Psi)
//! D = (I - U U^T) Y Omega^+ + U U^T ((I - V V^T) Z Psi^+)^T
//! Omega' = V^T Omega,   Y' = U^T (Y - D Omega),   Psi' = U^T Psi,   Z' = V^T (Z - D^T Psi)
//! ```
//!
//! `Omega P = 0` takes the diagonal block out of `Y P`, so its columns span those of the off-diagonal blocks. The primed samples of the children,
//! one below the other, are the samples of the parent; the root keeps `D = Y Omega^+`. Cost: `O(n s^2)` for `s` samples.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::orthonormal::stack;
use super::passes::upward;
use super::ulv::{range_of, solve_upper};
use super::{Hss, NodeBlocks};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::householder::HouseholderQr;
use crate::linalg::{add_product, beside, product, svd, truncation_rank};
use crate::matrix::Matrix;
use crate::scalar::Scalar;

/// Random vectors and their products, rows in tree order.
pub(super) struct Samples<T> {
    /// Multiplied by `A` they give `y`.
    pub omega: Matrix<T>,
    pub y: Matrix<T>,
    /// Multiplied by `A^T` they give `z`.
    pub psi: Matrix<T>,
    pub z: Matrix<T>,
}

/// How bases are cut.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Largest rank.
    pub rank: usize,
    /// What may be left of a block row or column, in the Frobenius norm, when its rank is below the largest.
    pub tolerance: f64,
    /// Samples that must be left when the rank and the block size are taken away.
    pub oversampling: usize,
    /// Smallest ratio of singular values of `Omega` and `Psi` at a node.
    pub smallest_ratio: f64,
}

/// Why no matrix was made.
pub(super) enum SketchError {
    /// The samples of this node have fewer independent rows than rows.
    Deficient {
        node: usize,
        rank: usize,
        of: usize,
    },
    Matrix(MatrixError),
}

impl From<MatrixError> for SketchError {
    fn from(error: MatrixError) -> Self {
        Self::Matrix(error)
    }
}

/// Samples that a tree needs at a rank, without oversampling: `max(leaf + r, 3 r)` for a binary tree of more than one level.
pub(super) fn samples_needed(rows: &ClusterTree, cols: &ClusterTree, rank: usize) -> usize {
    let clusters = rows.clusters().iter().zip(cols.clusters());
    let ranks: Vec<usize> = clusters.clone().map(|(row, col)| rank.min(row.len().max(col.len()))).collect();
    let needed = clusters.enumerate().map(|(i, (row, col))| {
        let size = match row.is_leaf() {
            true => row.len().max(col.len()),
            false => row.children.clone().map(|c| ranks[c]).sum(),
        };
        size + if i == 0 { 0 } else { ranks[i] }
    });
    needed.max().unwrap_or(0)
}

/// The samples of a node, on the way up.
struct Local<T> {
    omega: Mat<T>,
    y: Mat<T>,
    psi: Mat<T>,
    z: Mat<T>,
}

/// The matrix, and whether a rank was cut short by the cap or by the number of samples.
pub(super) fn from_samples<T: Scalar>(
    rows: &Arc<ClusterTree>,
    cols: &Arc<ClusterTree>,
    samples: &Samples<T>,
    cut: Cut,
) -> Result<(Hss<T>, bool), SketchError> {
    let count = samples.omega.ncols();
    // A node that fails keeps its place: the first in the order of the pass is reported.
    let (nodes, _) = upward(rows, |i, children: Vec<Local<T>>| {
        let root = i == 0;
        let local = if children.is_empty() {
            Local {
                omega: range_of(cols, i, &samples.omega).to_owned(),
                y: range_of(rows, i, &samples.y).to_owned(),
                psi: range_of(rows, i, &samples.psi).to_owned(),
                z: range_of(cols, i, &samples.z).to_owned(),
            }
        } else {
            let join = |part: fn(&Local<T>) -> MatRef<'_, T>| stack(children.iter().map(part), count);
            Local {
                omega: join(|c| c.omega.as_ref()),
                y: join(|c| c.y.as_ref()),
                psi: join(|c| c.psi.as_ref()),
                z: join(|c| c.z.as_ref()),
            }
        };
        let (blocks, passed, capped, deficient) = node(local, root, cut);
        Ok(((blocks, capped, deficient), passed))
    })?;
    if let Some((node, (rank, of))) = (nodes.iter().enumerate().rev()).find_map(|(i, n)| n.2.map(|d| (i, d))) {
        return Err(SketchError::Deficient { node, rank, of });
    }
    let capped = nodes.iter().any(|n| n.1);
    let blocks: Vec<NodeBlocks<T>> = nodes.into_iter().map(|n| n.0).collect();
    Ok((Hss::assemble(rows.clone(), cols.clone(), &blocks)?, capped))
}

type NodeResult<T> = (NodeBlocks<T>, Local<T>, bool, Option<(usize, usize)>);

/// One node: its blocks, what it passes up, whether a rank was capped, and the rank of its samples when that is too small.
fn node<T: Scalar>(local: Local<T>, root: bool, cut: Cut) -> NodeResult<T> {
    let Local { omega, y, psi, z } = local;
    let of_omega = Side::new(&omega, &y, root, cut);
    let minus = T::ZERO - T::ONE;
    if root {
        let d = of_omega.quotient;
        let blocks = NodeBlocks { u: Mat::zeros(d.nrows(), 0), v: Mat::zeros(d.ncols(), 0), d };
        let empty = || Mat::zeros(0, omega.ncols());
        let passed = Local { omega: empty(), y: empty(), psi: empty(), z: empty() };
        return (blocks, passed, false, of_omega.deficient);
    }
    let of_psi = Side::new(&psi, &z, root, cut);
    let (u, v) = (of_omega.basis, of_psi.basis);
    // D = X - U U^T X + U (W^T U)^T with X = Y Omega^+ and W = (I - V V^T) Z Psi^+.
    let mut w = of_psi.quotient;
    let inside = product(v.as_ref().transpose(), w.as_ref());
    add_product(w.as_mut(), minus, v.as_ref(), inside.as_ref());
    let mut d = of_omega.quotient;
    let mut core = product(u.as_ref().transpose(), w.as_ref().transpose());
    core -= product(u.as_ref().transpose(), d.as_ref());
    add_product(d.as_mut(), T::ONE, u.as_ref(), core.as_ref());

    let (mut rest_y, mut rest_z) = (y, z);
    add_product(rest_y.as_mut(), minus, d.as_ref(), omega.as_ref());
    add_product(rest_z.as_mut(), minus, d.as_ref().transpose(), psi.as_ref());
    let passed = Local {
        omega: product(v.as_ref().transpose(), omega.as_ref()),
        y: product(u.as_ref().transpose(), rest_y.as_ref()),
        psi: product(u.as_ref().transpose(), psi.as_ref()),
        z: product(v.as_ref().transpose(), rest_z.as_ref()),
    };
    let capped = of_omega.capped || of_psi.capped;
    (NodeBlocks { d, u, v }, passed, capped, of_omega.deficient.or(of_psi.deficient))
}

/// What the samples of one side say.
struct Side<T> {
    /// `Y Omega^+`.
    quotient: Mat<T>,
    /// Orthonormal columns that span those of `Y P`.
    basis: Mat<T>,
    capped: bool,
    deficient: Option<(usize, usize)>,
}

impl<T: Scalar> Side<T> {
    /// `Omega^T = Q [R; 0]` gives both: the last columns of `Y Q` are `Y P`, the first times `R^-T` are `Y Omega^+`.
    fn new(omega: &Mat<T>, y: &Mat<T>, root: bool, cut: Cut) -> Self {
        let (n, s) = (omega.nrows(), omega.ncols());
        let m = y.nrows();
        let qr = HouseholderQr::new(omega.as_ref().transpose());
        let deficient = deficiency(&qr.r, n, cut.smallest_ratio);
        if deficient.is_some() {
            let (quotient, basis) = (Mat::zeros(m, n), Mat::zeros(m, 0));
            return Self { quotient, basis, capped: false, deficient };
        }
        let mut turned = y.transpose().to_owned();
        qr.q.apply_transpose(turned.as_mut());
        let mut quotient = turned.as_ref().subrows(0, n).to_owned();
        solve_upper(qr.r.as_ref(), &mut quotient);
        let quotient = quotient.transpose().to_owned();
        if root {
            return Self { quotient, basis: Mat::zeros(m, 0), capped: false, deficient };
        }
        let free = s - n;
        let outside = turned.as_ref().subrows(n, free).transpose();
        let svd = svd(outside);
        // A column of `Y P` has the square norm of the block in the mean.
        let (wanted, _) = truncation_rank(&svd.s, cut.tolerance * (free as f64).sqrt());
        let most = cut.rank.min(free.saturating_sub(cut.oversampling)).max(usize::from(free > 0)).min(m);
        let rank = wanted.min(most);
        let basis = svd.u.as_ref().subcols(0, rank).to_owned();
        Self { quotient, basis, capped: wanted > most, deficient }
    }
}

/// The rank of a triangular factor of order `n` when it is less: its singular values below `ratio` times the largest do not count.
fn deficiency<T: Scalar>(r: &Mat<T>, n: usize, ratio: f64) -> Option<(usize, usize)> {
    if n == 0 {
        return None;
    }
    if r.nrows() < n {
        return Some((r.nrows(), n));
    }
    if ratio == 0.0 {
        return None;
    }
    let svd = svd(r.as_ref());
    let rank = svd.s.iter().filter(|s| **s > ratio * svd.s[0]).count();
    (rank < n).then_some((rank, n))
}

/// `[a, b]` of dense matrices.
pub(super) fn joined<T: Scalar>(a: &Matrix<T>, b: &Matrix<T>) -> Matrix<T> {
    Matrix(beside(a.as_ref(), b.as_ref()))
}
