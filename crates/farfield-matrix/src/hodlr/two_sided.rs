//! Factors of a HODLR matrix from both sides, as stable as those of a dense matrix.
//!
//! With `A_i = L_i R_i` for the children of a cluster and `D_L = diag(L_1, ..., L_k)`, `D_R = diag(R_1, ..., R_k)`,
//!
//! ```text
//! A = D_L M D_R,   M_ii = I,   M_ij = L_i^{-1} A_ij R_j^{-1},   M = I + B (S - I) B^T,   S = S_L S_R,
//! L = D_L (I + B (S_L - I) B^T),   R = (I + B (S_R - I) B^T) D_R,   det A = det A_1 ... det A_k det S
//! ```
//!
//! where the columns of `B = diag(B_1, ..., B_k)` are orthonormal bases of the columns of all `M_ij` and of the rows of all `M_ji`, and `S` has the
//! order of at most twice the sum of the ranks. Leaves and `S` are factored with complete pivoting and balanced pivots ([`BalancedLu`]): `M` is then
//! about as large as the best pair `L`, `R` allows, below 1 for positive definite matrices, where the `D^{-1} A_ij` of [`woodbury`](super::woodbury) grow
//! like the square root of the condition number. Basis vectors of which `M` contains less than rounding errors are left out: half of them
//! for a symmetric matrix.
//!
//! Cost: two to four times that of [`woodbury`](super::woodbury) for the factors, twice for a solution. The construction is that of Ambikasaran, O'Neil & Singh
//! (arXiv 1405.0223) with two different sides.

use faer::{Mat, MatMut};
use rayon::prelude::*;

use super::apply::{child_rows, for_children};
use super::{Hodlr, Node, pair};
use crate::balanced_lu::BalancedLu;
use crate::dense_factor::rounding_floors;
use crate::error::MatrixError;
use crate::householder::HouseholderQr;
use crate::linalg::{add_product, norm_frobenius, product};
use crate::log_determinant::LogDeterminant;
use crate::scalar::Scalar;

/// What a cluster keeps.
#[derive(Clone)]
pub(super) enum Factor<T> {
    Leaf(BalancedLu<T>),
    /// `B` of every child, and the factors of `S`.
    Split(Vec<Mat<T>>, BalancedLu<T>),
}

impl<T: Scalar> Factor<T> {
    fn lu(&self) -> &BalancedLu<T> {
        let (Self::Leaf(lu) | Self::Split(_, lu)) = self;
        lu
    }

    /// The share of the determinant.
    pub fn log_determinant(&self) -> LogDeterminant {
        self.lu().log_determinant()
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        let bases = match self {
            Self::Leaf(_) => 0,
            Self::Split(bases, _) => bases.iter().map(|b| b.nrows() * b.ncols()).sum(),
        };
        self.lu().stored() + bases
    }
}

/// `[L_i^{-1} U, R_i^{-T} V] = B [X, Y]` of one child, `U` and `V` from its blocks with all others.
struct Side<T> {
    qr: HouseholderQr<T>,
    rows: usize,
}

impl<T: Scalar> Hodlr<T> {
    /// The factors of a cluster after those of its children.
    pub(super) fn factor_two_sided(&self, c: usize, done: &[Option<Factor<T>>]) -> Result<Factor<T>, MatrixError> {
        let singular = |what: &str, column: usize| self.singular(c, what, column);
        let blocks = match &self.nodes[c] {
            Node::Leaf(d) => {
                return pivoted(d.clone()).map(Factor::Leaf).map_err(|column| singular("column", column));
            }
            Node::Split(blocks) => blocks,
        };
        let cluster = self.tree.cluster(c);
        let k = cluster.children.len();
        let rank = |i: usize, j: usize| blocks[pair(k, i, j)].rank();
        let others = |i: usize| (0..k).filter(move |&j| j != i);
        let sides: Vec<Side<T>> = (0..k)
            .into_par_iter()
            .map(|i| {
                let child = cluster.children.start + i;
                let columns = others(i).map(|j| &blocks[pair(k, i, j)].u);
                let rows = others(i).map(|j| &blocks[pair(k, j, i)].v);
                let all: Vec<_> = columns.chain(rows).collect();
                let mut both = super::factor::side_by_side(self.tree.cluster(child).len(), &all);
                let (x, y) = both.as_mut().split_at_col_mut(others(i).map(|j| rank(i, j)).sum());
                let factors = |c: usize| done[c].as_ref();
                half_solve(self, &factors, child, x, Half::Left);
                half_solve(self, &factors, child, y, Half::RightTransposed);
                Side { rows: both.nrows(), qr: HouseholderQr::new(both.as_ref()) }
            })
            .collect();
        // The columns of X_i and Y_j that belong to block (i, j).
        let of_columns = |i: usize, j: usize| {
            let before: usize = others(i).filter(|&l| l < j).map(|l| rank(i, l)).sum();
            sides[i].qr.r.as_ref().subcols(before, rank(i, j))
        };
        let of_rows = |i: usize, j: usize| {
            let columns: usize = others(j).map(|l| rank(j, l)).sum();
            let before: usize = others(j).filter(|&l| l < i).map(|l| rank(l, j)).sum();
            sides[j].qr.r.as_ref().subcols(columns + before, rank(i, j))
        };
        // S - I, and how much of it each basis vector carries, against its rounding errors.
        let mut carried: Vec<Vec<f64>> = sides.iter().map(|side| vec![0.0; side.qr.r.nrows()]).collect();
        let mut rounding = vec![1.0; k];
        let mut couplings = Vec::with_capacity(blocks.len());
        for i in 0..k {
            for j in others(i) {
                let (x, y) = (of_columns(i, j), of_rows(i, j));
                let size: f64 =
                    (0..rank(i, j)).map(|l| norm_frobenius(x.subcols(l, 1)) * norm_frobenius(y.subcols(l, 1))).sum();
                let block = product(x, y.transpose());
                for q in 0..block.ncols() {
                    for p in 0..block.nrows() {
                        let entry = block[(p, q)].to_f64().abs();
                        carried[i][p] = maximum(carried[i][p], entry);
                        carried[j][q] = maximum(carried[j][q], entry);
                    }
                }
                rounding[i] = maximum(rounding[i], size);
                rounding[j] = maximum(rounding[j], size);
                couplings.push(block);
            }
        }
        let kept: Vec<Vec<usize>> = (0..k)
            .map(|i| {
                let negligible = |p: usize| carried[i][p] <= T::EPSILON * rounding[i];
                (0..carried[i].len()).filter(|&p| !negligible(p)).collect()
            })
            .collect();
        let starts: Vec<usize> =
            kept.iter().scan(0, |at, kept| Some(std::mem::replace(at, *at + kept.len()))).collect();
        let order = kept.iter().map(Vec::len).sum();
        let mut small = Mat::<T>::identity(order, order);
        for i in 0..k {
            for j in others(i) {
                let block = &couplings[pair(k, i, j)];
                for (q, &col) in kept[j].iter().enumerate() {
                    for (p, &row) in kept[i].iter().enumerate() {
                        small[(starts[i] + p, starts[j] + q)] = block[(row, col)];
                    }
                }
            }
        }
        let basis = |(side, kept): (&Side<T>, &Vec<usize>)| {
            let mut b = Mat::zeros(side.rows, kept.len());
            kept.iter().enumerate().for_each(|(col, &p)| b[(p, col)] = T::ONE);
            side.qr.q.apply(b.as_mut());
            b
        };
        let bases = sides.par_iter().zip(&kept).map(basis).collect();
        Ok(Factor::Split(bases, pivoted(small).map_err(|column| singular("coupling", column))?))
    }
}

/// The larger one; NaN if there is one.
fn maximum(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// The factors, or the column whose pivot is zero to working precision.
fn pivoted<T: Scalar>(a: Mat<T>) -> Result<BalancedLu<T>, usize> {
    let floors = rounding_floors(a.as_ref());
    BalancedLu::new(a, |j| floors[j]).map_err(|(column, _)| column)
}

/// The four inverses of half a matrix.
#[derive(Clone, Copy, PartialEq)]
enum Half {
    Left,
    LeftTransposed,
    Right,
    RightTransposed,
}

/// `b` becomes `A^{-1} b`, or `A^{-T} b`, for the diagonal block of a cluster.
pub(super) fn solve<'a, T: Scalar + 'a>(
    hodlr: &Hodlr<T>,
    factors: &(impl Fn(usize) -> Option<&'a Factor<T>> + Sync),
    c: usize,
    mut b: MatMut<T>,
    transposed: bool,
) {
    let (first, second) =
        if transposed { (Half::RightTransposed, Half::LeftTransposed) } else { (Half::Left, Half::Right) };
    half_solve(hodlr, factors, c, b.as_mut(), first);
    half_solve(hodlr, factors, c, b, second);
}

fn half_solve<'a, T: Scalar + 'a>(
    hodlr: &Hodlr<T>,
    factors: &(impl Fn(usize) -> Option<&'a Factor<T>> + Sync),
    c: usize,
    mut b: MatMut<T>,
    half: Half,
) {
    match factors(c) {
        Some(Factor::Leaf(lu)) => of_small(lu, b, half),
        Some(Factor::Split(bases, lu)) => {
            let cluster = hodlr.tree.cluster(c);
            let children = |b: MatMut<T>| {
                for_children(&hodlr.tree, cluster, b, |i, part| {
                    half_solve(hodlr, factors, cluster.children.start + i, part, half);
                });
            };
            let upward = half == Half::Left || half == Half::RightTransposed;
            if upward {
                children(b.as_mut());
            }
            // b += B (S^{-1} - I) B^T b, with half of S.
            let starts: Vec<usize> =
                bases.iter().scan(0, |at, b| Some(std::mem::replace(at, *at + b.ncols()))).collect();
            let mut z = Mat::zeros(lu.len(), b.ncols());
            for (i, basis) in bases.iter().enumerate() {
                let rows = z.as_mut().subrows_mut(starts[i], basis.ncols());
                add_product(rows, T::ONE, basis.transpose(), child_rows(&hodlr.tree, cluster, i, b.as_ref()));
            }
            let mut change = z.clone();
            of_small(lu, change.as_mut(), half);
            change -= &z;
            for_children(&hodlr.tree, cluster, b.as_mut(), |i, part| {
                let change = change.as_ref().subrows(starts[i], bases[i].ncols());
                add_product(part, T::ONE, bases[i].as_ref(), change);
            });
            if !upward {
                children(b);
            }
        }
        None => unreachable!("a cluster is factored after its children"),
    }
}

fn of_small<T: Scalar>(lu: &BalancedLu<T>, b: MatMut<T>, half: Half) {
    match half {
        Half::Left => lu.solve_left(b),
        Half::LeftTransposed => lu.solve_left_transpose(b),
        Half::Right => lu.solve_right(b),
        Half::RightTransposed => lu.solve_right_transpose(b),
    }
}
