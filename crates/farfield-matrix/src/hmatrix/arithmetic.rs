//! Scaling, transposition, shifts, sums and recompression of H-matrices.
//!
//! Formatted sums keep the structure of the left matrix: its leaves of low rank take the sum of both, truncated by QR factorisations and the singular values of
//! the small product (Hackbusch, *Hierarchical Matrices* (2015), section 7.3). The error of each leaf is the norm of the singular values left out, and leaves add in
//! squares: the certificate is proven. Cost: O(k^2 n log n).

use std::cmp::Ordering;
use std::sync::Arc;

use faer::Mat;

use super::block::{Block, Split};
use super::{HMatrix, same_tree};
use crate::accuracy::Accuracy;
use crate::certificate::{Bound, Certificate};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::linalg::{beside, norm_frobenius};
use crate::low_rank::LowRank;
use crate::matrix::Matrix;
use crate::scalar::Scalar;

/// A truncation within a sum: what it may leave out, and what it did.
struct Budget {
    what: &'static str,
    accuracy: Accuracy,
    /// Sum of rows and columns of all leaves of low rank, over which an absolute tolerance is divided.
    sides: usize,
    /// Squares of the errors made.
    squares: f64,
}

impl Budget {
    fn new<T: Scalar>(what: &'static str, accuracy: &Accuracy, structure: &HMatrix<T>) -> Self {
        let mut sides = 0;
        structure.root.for_leaves(0, 0, 0, &mut |_, _, _, leaf| {
            if let Block::LowRank(a) = leaf {
                sides += a.nrows() + a.ncols();
            }
        });
        Self { what, accuracy: *accuracy, sides, squares: 0.0 }
    }

    /// Truncates a leaf to a part of what is allowed for it.
    fn truncate<T: Scalar>(&mut self, a: &LowRank<T>, part: f64) -> Result<LowRank<T>, MatrixError> {
        let allowed = |norm: f64| {
            let sides = (a.nrows() + a.ncols()) as f64 / self.sides.max(1) as f64;
            let accuracy = &self.accuracy;
            0.95 * part
                * if accuracy.is_relative() { accuracy.tolerance() * norm } else { accuracy.tolerance() * sides.sqrt() }
        };
        let (low, error) = a.truncated_by(allowed);
        let norm = norm_frobenius(low.u.as_ref());
        let inputs = norm_frobenius(a.u.as_ref()) * norm_frobenius(a.v.as_ref());
        let rounding = 4.0 * T::EPSILON * ((a.rank() + 1) as f64).sqrt() * inputs;
        self.squares += (error + rounding).powi(2);
        match self.accuracy.rank_cap() {
            Some(cap) if low.rank() > cap => Err(MatrixError::Tolerance {
                what: self.what,
                tolerance: allowed(norm),
                reached: norm_frobenius(low.u.as_ref().subcols(cap, low.rank() - cap)).hypot(error),
                limit: format!("rank cap {cap}, a block needs rank {}", low.rank()),
            }),
            _ => Ok(low),
        }
    }

    /// The certificate of the result.
    fn certify<T: Scalar>(&self, h: &HMatrix<T>) -> Result<Certificate, MatrixError> {
        let bound = Bound::proven(self.squares.sqrt());
        let certificate = h.certificate(bound, h.norm_frobenius());
        self.accuracy.check_memory(self.what, h.memory_bytes())?;
        let allowed = self.accuracy.absolute_for((certificate.norm - bound.value).max(0.0));
        if bound.value > allowed {
            let limit = "the rounding errors of the truncation".to_owned();
            return Err(MatrixError::Tolerance { what: self.what, tolerance: allowed, reached: bound.value, limit });
        }
        Ok(certificate)
    }
}

impl<T: Scalar> HMatrix<T> {
    /// `factor A`.
    ///
    /// # Errors
    /// [`MatrixError::Factor`] unless the factor is finite.
    pub fn scale(&self, factor: T) -> Result<Self, MatrixError> {
        if !Scalar::is_finite(factor) {
            return Err(MatrixError::Factor { value: factor.to_f64() });
        }
        Ok(self.with_root(scaled(&self.root, factor)))
    }

    /// `A^T`.
    pub fn transpose(&self) -> Self {
        Self { rows: Arc::clone(&self.cols), cols: Arc::clone(&self.rows), root: Arc::new(self.root.transpose()) }
    }

    /// The symmetric matrix with the entries of this one on and below the diagonal (in tree order). Cross approximations of a symmetric
    /// matrix are symmetric to their tolerance only; this makes them so exactly, as [`HMatrix::cholesky`] wants to have it.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless rows and columns have the same tree.
    pub fn symmetrised(&self) -> Result<Self, MatrixError> {
        self.check_same_order("symmetric H-matrix")?;
        Ok(self.with_root(mirrored(&self.root_with_dense_diagonal())))
    }

    /// `A + s I`, exactly.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless rows and columns have the same tree; [`MatrixError::Factor`] unless `s` is finite.
    pub fn shift(&self, s: T) -> Result<Self, MatrixError> {
        self.check_same_order("shift of an H-matrix")?;
        if !Scalar::is_finite(s) {
            return Err(MatrixError::Factor { value: s.to_f64() });
        }
        Ok(self.with_root(shifted(&self.root, s, &self.rows, 0)))
    }

    /// The root with dense leaves only on its diagonal, for the factorisations of a matrix with the same clusters of rows and columns.
    pub(super) fn root_with_dense_diagonal(&self) -> Arc<Block<T>> {
        if has_low_rank_diagonal(&self.root) {
            Arc::new(shifted(&self.root, T::ZERO, &self.rows, 0))
        } else {
            Arc::clone(&self.root)
        }
    }

    /// Every leaf of low rank truncated; relative to the norm of each for a relative tolerance, divided as for
    /// [`Division::Global`](super::Division::Global) for an absolute one. The certificate bounds the distance from this matrix.
    ///
    /// # Errors
    /// [`MatrixError::Tolerance`] when the rank cap or rounding does not allow the tolerance.
    pub fn recompress(&self, accuracy: &Accuracy) -> Result<(Self, Certificate), MatrixError> {
        let mut budget = Budget::new("recompression of an H-matrix", accuracy, self);
        let mut failure = None;
        let root = self.root.map_leaves(&mut |leaf| match leaf {
            Block::LowRank(a) => match budget.truncate(a, 1.0) {
                Ok(low) => Block::LowRank(low),
                Err(error) => {
                    failure.get_or_insert(error);
                    leaf.clone()
                }
            },
            other => other.clone(),
        });
        if let Some(error) = failure {
            return Err(error);
        }
        let h = self.with_root(root);
        let certificate = budget.certify(&h)?;
        Ok((h, certificate))
    }

    /// `A + B` with the structure of `A`; truncated as by [`HMatrix::recompress`]. The certificate bounds the distance from the sum. Best when
    /// both have the same structure: where `A` has a leaf of low rank and `B` a finer block, that is taken with the sum of its ranks.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless both have the same trees; [`MatrixError::Tolerance`] when the rank cap or rounding does not allow the tolerance.
    pub fn add(&self, other: &Self, accuracy: &Accuracy) -> Result<(Self, Certificate), MatrixError> {
        if !same_tree(&self.rows, &other.rows) || !same_tree(&self.cols, &other.cols) {
            return Err(MatrixError::Tree { reason: "sum of H-matrices: the trees are different".to_owned() });
        }
        self.plus_block(&other.root, accuracy, "sum of H-matrices")
    }

    /// `A + U V^T` with `U` of `nrows x k` and `V` of `ncols x k`, as [`HMatrix::add`].
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when the sizes do not fit; those of [`HMatrix::add`].
    pub fn add_low_rank(
        &self,
        u: &Matrix<T>,
        v: &Matrix<T>,
        accuracy: &Accuracy,
    ) -> Result<(Self, Certificate), MatrixError> {
        crate::operator::check_rows("low-rank update, U", u, self.nrows())?;
        crate::operator::check_rows("low-rank update, V", v, self.ncols())?;
        if u.ncols() != v.ncols() {
            let what = "low-rank update, V^T";
            return Err(MatrixError::Rows { what, got: v.ncols(), expected: u.ncols() });
        }
        let update = LowRank { u: self.rows.to_tree_order(u).0, v: self.cols.to_tree_order(v).0 };
        self.plus_block(&Block::LowRank(update), accuracy, "low-rank update of an H-matrix")
    }

    fn plus_block(
        &self,
        other: &Block<T>,
        accuracy: &Accuracy,
        what: &'static str,
    ) -> Result<(Self, Certificate), MatrixError> {
        let mut budget = Budget::new(what, accuracy, self);
        let h = self.with_root(sum(&self.root, other, &mut budget)?);
        let certificate = budget.certify(&h)?;
        Ok((h, certificate))
    }
}

fn scaled<T: Scalar>(block: &Block<T>, factor: T) -> Block<T> {
    let times = |a: &Mat<T>| Mat::from_fn(a.nrows(), a.ncols(), |i, j| factor * a[(i, j)]);
    block.map_leaves(&mut |leaf| match leaf {
        Block::LowRank(a) => Block::LowRank(LowRank { u: times(&a.u), v: a.v.clone() }),
        Block::Dense(a) => Block::Dense(times(a)),
        Block::Split(_) => leaf.clone(),
    })
}

/// `A + s I` for the block of `cluster` with itself. A leaf of low rank is split as its cluster is: dense leaves belong to clusters without
/// children, which the factorisations and products rely on.
fn shifted<T: Scalar>(block: &Block<T>, s: T, tree: &ClusterTree, cluster: usize) -> Block<T> {
    let this = tree.cluster(cluster);
    let grid = |child: &dyn Fn(usize, usize) -> Arc<Block<T>>, starts: Vec<usize>| {
        let p = starts.len() - 1;
        let children = (0..p * p)
            .map(|k| match (k / p, k % p) {
                (i, j) if i == j => Arc::new(shifted(&child(i, i), s, tree, this.children.start + i)),
                (i, j) => child(i, j),
            })
            .collect();
        Block::Split(Split { rows: starts.clone(), cols: starts, children })
    };
    match block {
        Block::Split(split) => grid(&|i, j| Arc::clone(split.child(i, j)), split.rows.clone()),
        Block::LowRank(_) if !this.is_leaf() => {
            let ends = this.children.clone().map(|c| tree.cluster(c).range.end - this.range.start);
            let starts: Vec<usize> = std::iter::once(0).chain(ends).collect();
            let part = |i: usize, j: usize| {
                let (m, n) = (starts[i + 1] - starts[i], starts[j + 1] - starts[j]);
                Arc::new(restricted(block, starts[i], starts[j], m, n))
            };
            grid(&part, starts.clone())
        }
        leaf => {
            let mut a = leaf.to_dense();
            (0..a.nrows()).for_each(|i| a[(i, i)] += s);
            Block::Dense(a)
        }
    }
}

/// Whether a block on the diagonal has low rank.
fn has_low_rank_diagonal<T: Scalar>(block: &Block<T>) -> bool {
    match block {
        Block::LowRank(_) => true,
        Block::Dense(_) => false,
        Block::Split(split) => (0..split.row_parts()).any(|i| has_low_rank_diagonal(split.child(i, i))),
    }
}

/// What is above the diagonal replaced by the transpose of what is below.
fn mirrored<T: Scalar>(block: &Block<T>) -> Block<T> {
    match block {
        Block::Split(split) => {
            let p = split.row_parts();
            let child = |i: usize, j: usize| match i.cmp(&j) {
                Ordering::Less => Arc::new(split.child(j, i).transpose()),
                Ordering::Equal => Arc::new(mirrored(split.child(i, i))),
                Ordering::Greater => Arc::clone(split.child(i, j)),
            };
            let children = (0..p * p).map(|k| child(k / p, k % p)).collect();
            Block::Split(Split { rows: split.rows.clone(), cols: split.cols.clone(), children })
        }
        leaf => {
            let a = leaf.to_dense();
            Block::Dense(Mat::from_fn(a.nrows(), a.ncols(), |i, j| if i < j { a[(j, i)] } else { a[(i, j)] }))
        }
    }
}

/// The rows and columns of a block from `(row, col)` on.
fn restricted<T: Scalar>(block: &Block<T>, row: usize, col: usize, m: usize, n: usize) -> Block<T> {
    match block {
        Block::Dense(a) => Block::Dense(a.as_ref().submatrix(row, col, m, n).to_owned()),
        Block::LowRank(a) => Block::LowRank(LowRank {
            u: a.u.as_ref().subrows(row, m).to_owned(),
            v: a.v.as_ref().subrows(col, n).to_owned(),
        }),
        Block::Split(_) => Block::Dense(block.to_dense().as_ref().submatrix(row, col, m, n).to_owned()),
    }
}

/// `A + B` with the structure of `A`.
fn sum<T: Scalar>(a: &Block<T>, b: &Block<T>, budget: &mut Budget) -> Result<Block<T>, MatrixError> {
    match (a, b) {
        (Block::Dense(d), _) => {
            let mut d = d.clone();
            b.add_to(T::ONE, d.as_mut());
            Ok(Block::Dense(d))
        }
        (Block::LowRank(low), Block::LowRank(b)) => Ok(Block::LowRank(budget.truncate(&low.plus(b), 1.0)?)),
        (Block::LowRank(low), _) => {
            let b = exact_low_rank(b);
            Ok(Block::LowRank(budget.truncate(&low.plus(&b), 1.0)?))
        }
        (Block::Split(split), _) => {
            let mut children = Vec::with_capacity(split.children.len());
            for (k, (i, j, child)) in split.grid().enumerate() {
                let part = match b {
                    Block::Split(b) if b.rows == split.rows && b.cols == split.cols => {
                        sum(child, &b.children[k], budget)
                    }
                    _ => sum(child, &restricted(b, i, j, child.nrows(), child.ncols()), budget),
                };
                children.push(Arc::new(part?));
            }
            Ok(Block::Split(Split { rows: split.rows.clone(), cols: split.cols.clone(), children }))
        }
    }
}

/// Any block as one product, without an error: the factors of its leaves side by side.
fn exact_low_rank<T: Scalar>(block: &Block<T>) -> LowRank<T> {
    let (m, n) = (block.nrows(), block.ncols());
    let identity = |n: usize| Mat::from_fn(n, n, |i, j| if i == j { T::ONE } else { T::ZERO });
    match block {
        Block::LowRank(a) => a.clone(),
        Block::Dense(a) if n <= m => LowRank { u: a.clone(), v: identity(n) },
        Block::Dense(a) => LowRank { u: identity(m), v: a.transpose().to_owned() },
        Block::Split(split) => {
            let mut all = LowRank::zero(m, n);
            for (i, j, child) in split.grid() {
                let part = exact_low_rank(child);
                let mut placed = LowRank { u: Mat::zeros(m, part.rank()), v: Mat::zeros(n, part.rank()) };
                placed.u.as_mut().subrows_mut(i, part.nrows()).copy_from(&part.u);
                placed.v.as_mut().subrows_mut(j, part.ncols()).copy_from(&part.v);
                all = LowRank {
                    u: beside(all.u.as_ref(), placed.u.as_ref()),
                    v: beside(all.v.as_ref(), placed.v.as_ref()),
                };
            }
            all
        }
    }
}
