//! An H2-matrix taken apart for arithmetic: bases, and every block as a matrix of its own.
//!
//! Sums put the bases of both matrices side by side, `[U_A, U_B]` on a leaf and `blkdiag(E_A, E_B)` above, with couplings `blkdiag(B_A, B_B)`.
//! Orthogonalisation is QR from the leaves up: `U_s = Q_s R_s`, and above the leaves of `blkdiag(R_children) E_s`; couplings become
//! `R_s B_st R_t^T`. Borm, *Efficient Numerical Methods for Non-local Operators* (2010), section 5.4. Cost: `O(n k^2)` each.

use std::collections::HashMap;
use std::sync::Arc;

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::basis::ClusterBasis;
use super::{H2Matrix, H2Parts};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::hmatrix::same_tree;
use crate::linalg::{add_product, beside, norm_frobenius, product, qr};
use crate::scalar::Scalar;

/// A block of a row and a column cluster.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    pub row: usize,
    pub col: usize,
    pub matrix: Mat<T>,
}

/// The parts of an H2-matrix.
#[derive(Clone, Debug)]
pub(crate) struct Form<T> {
    pub rows: Arc<ClusterBasis<T>>,
    pub cols: Arc<ClusterBasis<T>>,
    /// Whether blocks `(s, t)` stand for `(t, s)` too; the bases are then the same.
    pub mirrored: bool,
    /// Couplings.
    pub far: Vec<Placed<T>>,
    /// Shared by copies: only shifts change them.
    pub near: Arc<Vec<Placed<T>>>,
}

impl<T: Scalar> H2Matrix<T> {
    /// The parts, with the factor of the matrix in the blocks. Blocks that are recomputed in products are computed.
    pub(crate) fn form(&self) -> Form<T> {
        let block = |i: usize| {
            let (row, col) = self.pair(i);
            let mut matrix = self.dense_block(i);
            if self.factor != T::ONE {
                for j in 0..matrix.ncols() {
                    matrix.col_as_slice_mut(j).iter_mut().for_each(|x| *x *= self.factor);
                }
            }
            Placed { row, col, matrix }
        };
        let count = self.far.len() + self.near.len();
        Form {
            rows: self.rows.clone(),
            cols: self.cols.clone(),
            mirrored: self.mirrored,
            far: (0..self.far.len()).into_par_iter().map(block).collect(),
            near: Arc::new((self.far.len()..count).into_par_iter().map(block).collect()),
        }
    }
}

impl<T: Scalar> Form<T> {
    /// The matrix of these parts, its blocks stored.
    pub fn assemble(self) -> H2Matrix<T> {
        let pairs = |blocks: &[Placed<T>]| blocks.iter().map(|b| (b.row, b.col)).collect();
        let (far, near) = (pairs(&self.far), pairs(&self.near));
        let mut values = Vec::with_capacity(self.numbers());
        for block in self.far.iter().chain(self.near.iter()) {
            (0..block.matrix.ncols()).for_each(|j| values.extend_from_slice(block.matrix.col_as_slice(j)));
        }
        let Self { rows, cols, mirrored, .. } = self;
        H2Matrix::from_parts(H2Parts { rows, cols, mirrored, far, near, values, factor: T::ONE })
    }

    /// Numbers in the blocks.
    fn numbers(&self) -> usize {
        self.far.iter().chain(self.near.iter()).map(|b| b.matrix.nrows() * b.matrix.ncols()).sum()
    }

    /// For every row (or column) cluster its couplings: their numbers, and whether they are to be transposed.
    pub fn partners(&self, of_cols: bool) -> Vec<Vec<(usize, bool)>> {
        let tree = if of_cols { &self.cols.tree } else { &self.rows.tree };
        let mut of = vec![Vec::new(); tree.clusters().len()];
        for (i, block) in self.far.iter().enumerate() {
            of[if of_cols { block.col } else { block.row }].push((i, of_cols));
            if self.mirrored && block.row != block.col {
                of[if of_cols { block.row } else { block.col }].push((i, !of_cols));
            }
        }
        of
    }

    /// The same matrix with orthonormal bases.
    pub fn orthogonalised(mut self) -> Self {
        let (rows, left) = orthogonal(&self.rows);
        let (cols, right) = if self.mirrored { (None, None) } else { Some(orthogonal(&self.cols)).unzip() };
        self.rows = Arc::new(rows);
        self.cols = cols.map_or_else(|| self.rows.clone(), Arc::new);
        self.change_couplings(&left, right.as_deref().unwrap_or(&left));
        self
    }

    /// Every coupling `B_st` becomes `L_s B_st R_t^T`.
    pub fn change_couplings(&mut self, left: &[Mat<T>], right: &[Mat<T>]) {
        self.far.par_iter_mut().for_each(|b| {
            let half = product(left[b.row].as_ref(), b.matrix.as_ref());
            b.matrix = product(half.as_ref(), right[b.col].as_ref().transpose());
        });
    }

    /// The Frobenius norm of a matrix with orthonormal bases.
    pub fn norm_of_orthogonal(&self) -> f64 {
        let square = |b: &Placed<T>| {
            let twice = if self.mirrored && b.row != b.col { 2.0 } else { 1.0 };
            twice * norm_frobenius(b.matrix.as_ref()).powi(2)
        };
        self.far.iter().chain(self.near.iter()).map(square).sum::<f64>().sqrt()
    }

    /// The same matrix with all blocks kept.
    pub fn unmirrored(mut self) -> Self {
        if !self.mirrored {
            return self;
        }
        self.mirrored = false;
        for blocks in [&mut self.far, Arc::make_mut(&mut self.near)] {
            let flipped = |b: &Placed<T>| Placed { row: b.col, col: b.row, matrix: b.matrix.transpose().to_owned() };
            let others: Vec<_> = blocks.iter().filter(|b| b.row != b.col).map(flipped).collect();
            blocks.extend(others);
            blocks.sort_by_key(|b| (b.row, b.col));
        }
        self
    }

    /// `A + B`, of the sums of the ranks, without an error but that of adding near blocks.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless both have the same trees and the same blocks.
    pub fn plus(self, other: Self) -> Result<Self, MatrixError> {
        let (a, b) =
            if self.mirrored == other.mirrored { (self, other) } else { (self.unmirrored(), other.unmirrored()) };
        if !same_tree(&a.rows.tree, &b.rows.tree) || !same_tree(&a.cols.tree, &b.cols.tree) {
            return Err(MatrixError::Tree { reason: "sum of H2-matrices: the trees are different".to_owned() });
        }
        let rows = Arc::new(side_by_side(&a.rows, &b.rows));
        let cols = if a.mirrored { rows.clone() } else { Arc::new(side_by_side(&a.cols, &b.cols)) };
        let far = paired(&a.far, &b.far, |a, b| {
            let (m, n) = a.shape();
            let mut sum = Mat::zeros(m + b.nrows(), n + b.ncols());
            sum.as_mut().submatrix_mut(0, 0, m, n).copy_from(a);
            sum.as_mut().submatrix_mut(m, n, b.nrows(), b.ncols()).copy_from(b);
            sum
        })?;
        let near = paired(&a.near, &b.near, |a, b| a + b)?;
        Ok(Self { rows, cols, mirrored: a.mirrored, far, near: Arc::new(near) })
    }

    /// `U V^T` (rows in tree order) in the blocks of this matrix; kept as its half if `mirrored`, which the caller vouches for.
    pub fn low_rank(&self, u: MatRef<T>, v: MatRef<T>, mirrored: bool) -> Self {
        let like = if self.mirrored && !mirrored { self.clone().unmirrored() } else { self.clone() };
        let k = u.ncols();
        let rows = Arc::new(restrictions(&like.rows.tree, &like.partners(false), u));
        let cols =
            if mirrored { rows.clone() } else { Arc::new(restrictions(&like.cols.tree, &like.partners(true), v)) };
        let one = Mat::from_fn(k, k, |i, j| if i == j { T::ONE } else { T::ZERO });
        let far = like.far.iter().map(|b| Placed { row: b.row, col: b.col, matrix: one.clone() }).collect();
        let part = |tree: &ClusterTree, c: usize| tree.cluster(c).range.clone();
        let near = (like.near.iter())
            .map(|b| {
                let (s, t) = (part(&rows.tree, b.row), part(&cols.tree, b.col));
                let matrix = product(u.subrows(s.start, s.len()), v.subrows(t.start, t.len()).transpose());
                Placed { row: b.row, col: b.col, matrix }
            })
            .collect();
        Self { rows, cols, mirrored, far, near: Arc::new(near) }
    }

    /// The same numbers, times a factor, in f64.
    fn to_f64(&self, factor: f64) -> Form<f64> {
        let wide = |a: MatRef<T>, factor: f64| Mat::from_fn(a.nrows(), a.ncols(), |i, j| factor * a[(i, j)].to_f64());
        let basis = |b: &ClusterBasis<T>| {
            let matrices = (0..b.tree.clusters().len()).map(|s| wide(b.matrix(s), 1.0)).collect();
            Arc::new(ClusterBasis::new(b.tree.clone(), matrices))
        };
        let blocks = |blocks: &[Placed<T>]| {
            let place = |b: &Placed<T>| Placed { row: b.row, col: b.col, matrix: wide(b.matrix.as_ref(), factor) };
            blocks.iter().map(place).collect()
        };
        let rows = basis(&self.rows);
        let cols = if self.mirrored { rows.clone() } else { basis(&self.cols) };
        Form { rows, cols, mirrored: self.mirrored, far: blocks(&self.far), near: Arc::new(blocks(&self.near)) }
    }

    /// `||A - B||_F`, computed in f64 from the bases of both side by side.
    ///
    /// # Errors
    /// As [`Form::plus`].
    pub fn distance(&self, other: &Self) -> Result<f64, MatrixError> {
        Ok(self.to_f64(1.0).plus(other.to_f64(-1.0))?.orthogonalised().norm_of_orthogonal())
    }
}

/// Orthonormal bases, and the `R_s` with `U_s = Q_s R_s`.
fn orthogonal<T: Scalar>(basis: &ClusterBasis<T>) -> (ClusterBasis<T>, Vec<Mat<T>>) {
    let tree = &basis.tree;
    let mut q = vec![Mat::zeros(0, 0); tree.clusters().len()];
    let mut r = q.clone();
    for level in (0..=tree.depth()).rev() {
        let found: Vec<_> = tree.level(level).into_par_iter().map(|s| qr(lifted(basis, s, &r).as_ref())).collect();
        for (s, factors) in tree.level(level).zip(found) {
            (q[s], r[s]) = factors;
        }
    }
    (ClusterBasis::new(tree.clone(), q), r)
}

/// `U_s` of a leaf; above, `blkdiag(C_children) E_s`.
pub(super) fn lifted<T: Scalar>(basis: &ClusterBasis<T>, s: usize, changes: &[Mat<T>]) -> Mat<T> {
    let (cluster, matrix) = (basis.tree.cluster(s), basis.matrix(s));
    if cluster.is_leaf() {
        return matrix.to_owned();
    }
    let changes = &changes[cluster.children.clone()];
    let mut out = Mat::zeros(changes.iter().map(|c| c.nrows()).sum(), matrix.ncols());
    let (mut row, mut from) = (0, 0);
    for c in changes {
        let to = out.as_mut().subrows_mut(row, c.nrows());
        add_product(to, T::ONE, c.as_ref(), matrix.subrows(from, c.ncols()));
        (row, from) = (row + c.nrows(), from + c.ncols());
    }
    out
}

/// `[U_A, U_B]`.
fn side_by_side<T: Scalar>(a: &ClusterBasis<T>, b: &ClusterBasis<T>) -> ClusterBasis<T> {
    let of_cluster = |s: usize| {
        let (cluster, x, y) = (a.tree.cluster(s), a.matrix(s), b.matrix(s));
        if cluster.is_leaf() {
            return beside(x, y);
        }
        let mut both = Mat::zeros(x.nrows() + y.nrows(), x.ncols() + y.ncols());
        let (mut of_a, mut of_b) = (0, 0);
        for child in cluster.children.clone() {
            let (m, n) = (a.rank(child), b.rank(child));
            both.as_mut().submatrix_mut(of_a + of_b, 0, m, x.ncols()).copy_from(x.subrows(of_a, m));
            both.as_mut().submatrix_mut(of_a + m + of_b, x.ncols(), n, y.ncols()).copy_from(y.subrows(of_b, n));
            (of_a, of_b) = (of_a + m, of_b + n);
        }
        both
    };
    ClusterBasis::new(a.tree.clone(), (0..a.tree.clusters().len()).map(of_cluster).collect())
}

/// Bases of the rows of `u` on every cluster that has a far block, or whose ancestors have.
fn restrictions<T: Scalar>(tree: &Arc<ClusterTree>, partners: &[Vec<(usize, bool)>], u: MatRef<T>) -> ClusterBasis<T> {
    let k = u.ncols();
    let mut ranks = Vec::with_capacity(partners.len());
    for (s, of) in partners.iter().enumerate() {
        let above = tree.cluster(s).parent.is_some_and(|p| ranks[p] == k);
        ranks.push(if above || !of.is_empty() { k } else { 0 });
    }
    let matrices = (0..partners.len())
        .map(|s| {
            let cluster = tree.cluster(s);
            if cluster.is_leaf() {
                return u.submatrix(cluster.range.start, 0, cluster.len(), ranks[s]).to_owned();
            }
            let rows = ranks[cluster.children.clone()].iter().sum();
            // All children have the rank of a cluster that has one.
            Mat::from_fn(rows, ranks[s], |i, j| if i % k == j { T::ONE } else { T::ZERO })
        })
        .collect();
    ClusterBasis::new(tree.clone(), matrices)
}

/// Blocks of the same places taken together.
fn paired<T: Scalar>(
    a: &[Placed<T>],
    b: &[Placed<T>],
    join: impl Fn(&Mat<T>, &Mat<T>) -> Mat<T> + Sync,
) -> Result<Vec<Placed<T>>, MatrixError> {
    let places: HashMap<(usize, usize), usize> = b.iter().enumerate().map(|(i, b)| ((b.row, b.col), i)).collect();
    let partner = |block: &Placed<T>| places.get(&(block.row, block.col)).copied();
    if a.len() != b.len() || a.iter().any(|block| partner(block).is_none()) {
        let reason = "sum of H2-matrices: the blocks are different".to_owned();
        return Err(MatrixError::Tree { reason });
    }
    let sum = |x: &Placed<T>| match partner(x) {
        Some(i) => Placed { row: x.row, col: x.col, matrix: join(&x.matrix, &b[i].matrix) },
        None => x.clone(),
    };
    Ok(a.par_iter().map(sum).collect())
}
