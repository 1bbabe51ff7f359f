//! Factors of a HODLR matrix by the Woodbury formula, from one side: cheap, and stable where no intermediate result is large.
//!
//! A cluster with children `1 .. k` is a block-diagonal matrix plus a low-rank one, `A = D + U Z` with `D = diag(A_1, ..., A_k)`,
//! `U = diag(U_1, ..., U_k)`, `U_i` the factors `U_ij` of all its blocks side by side, and rows `(i, j)` of `Z` equal to `V_ij^T` in the
//! columns of child `j`. With `W = D^{-1} U`, computed by the factors of the children,
//!
//! ```text
//! A = D (I + W Z),   A^{-1} = (I - W K^{-1} Z) D^{-1},   K = I + Z W,   det A = det A_1 ... det A_k det K
//! ```
//!
//! `K` has the order of the sum of the ranks and gets a pivoted LU, as do the leaves. Cost: `O(n m^2 + n (r log n)^2)`; a
//! solve `O(n (m + r log n))` a vector.
//!
//! Rounding errors of `W` come back multiplied by `D`: relative to those of a dense factorisation they are larger by the norm of `W Z`. Where
//! that is more than [`GROWTH`], there are no such factors and [`two_sided`](super::two_sided) ones are to be used.
//!
//! Ambikasaran & Darve, J. Sci. Comput. 57 (2013), section 4.

use faer::{Mat, MatMut, MatRef};
use rayon::prelude::*;

use super::apply::{child_rows, for_children};
use super::factor::side_by_side;
use super::{Hodlr, Node, pair, pairs};
use crate::dense_factor::{DenseLu, rounding_floors};
use crate::error::MatrixError;
use crate::linalg::{add_product, norm_frobenius};
use crate::log_determinant::LogDeterminant;
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

/// Limit of [`growth`] for each block: rounding errors up to about so many times those of a dense factorisation, in practice a few times.
const GROWTH: f64 = 32.0;

/// What a cluster keeps.
#[derive(Clone)]
pub(super) enum Factor<T> {
    Leaf(DenseLu<T>),
    /// `W` of every child, and the factors of `K`.
    Split(Vec<Mat<T>>, DenseLu<T>),
}

/// Why there are no factors.
pub(super) enum Failure {
    /// A diagonal block is singular.
    Singular(MatrixError),
    /// Intermediate results would be too large.
    Growth,
}

impl<T: Scalar> Factor<T> {
    /// The share of the determinant.
    pub fn log_determinant(&self) -> LogDeterminant {
        let (Self::Leaf(lu) | Self::Split(_, lu)) = self;
        lu.log_determinant()
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        match self {
            Self::Leaf(lu) => lu.stored(),
            Self::Split(w, lu) => lu.stored() + w.iter().map(|w| w.nrows() * w.ncols()).sum::<usize>(),
        }
    }
}

impl<T: Scalar> Hodlr<T> {
    /// The factors of a cluster after those of its children.
    pub(super) fn factor_woodbury(&self, c: usize, done: &[Option<Factor<T>>]) -> Result<Factor<T>, Failure> {
        let cluster = self.tree.cluster(c);
        let singular = |what: &str, column: usize| Failure::Singular(self.singular(c, what, column));
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
        let too_large = |((i, j), block): ((usize, usize), &LowRank<T>)| {
            let before = (0..j).filter(|&l| l != i).map(|l| blocks[pair(k, i, l)].rank()).sum();
            let growth = growth(w[i].as_ref().subcols(before, block.rank()), block);
            growth.is_nan() || growth > GROWTH
        };
        if pairs(k).zip(blocks).any(too_large) {
            return Err(Failure::Growth);
        }
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
}

/// A bound on `||W V^T||`, column by column.
fn growth<T: Scalar>(w: MatRef<T>, block: &LowRank<T>) -> f64 {
    (0..block.rank()).map(|l| norm_frobenius(w.subcols(l, 1)) * norm_frobenius(block.v.as_ref().subcols(l, 1))).sum()
}

/// The factors, or the column whose pivot is zero to working precision.
fn pivoted<T: Scalar>(a: Mat<T>) -> Result<DenseLu<T>, usize> {
    let floors = rounding_floors(a.as_ref());
    DenseLu::new(a, |j| floors[j]).map_err(|(column, _)| column)
}

/// `b` becomes `A_cc^{-1} b` for the diagonal block of a cluster, or with the transposes.
pub(super) fn solve_cluster<'a, T: Scalar + 'a>(
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
fn starts<T: Scalar>(blocks: &[LowRank<T>]) -> Vec<usize> {
    let mut starts = vec![0];
    for block in blocks {
        starts.push(starts[starts.len() - 1] + block.rank());
    }
    starts
}
