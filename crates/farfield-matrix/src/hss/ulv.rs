//! ULV factorisation of a square HSS matrix: `A = U L V^T` with orthogonal `U`, `V` and triangular blocks `L`, in O(n r^2).
//!
//! S. Chandrasekaran, M. Gu & T. Pals, "A fast ULV decomposition solver for hierarchically semiseparable representations", SIAM J.
//! Matrix Anal. Appl. 28 (2006), for the telescopic form on any tree with any ranks. At a node of `m` rows with basis `U` of `k < m` columns
//!
//! ```text
//! Q^T U = [ R ],   Q^T D P = [ E  D' ],   V^T P = [ V_z^T  V'^T ],   x = P [ z ]
//!         [ 0 ]              [ L  0  ]                                     [ w ]
//! ```
//!
//! where the last `m - k` rows no longer see the rest of the matrix and an LQ factorisation of them gives `L` and `P`. So `z` follows from
//! `L z = b_2`, and `k` rows and unknowns with the blocks `D'`, `R`, `V'` go to the parent, which joins those of its children. At the root `k = 0`.
//! A node with `k >= m` passes everything on. Only orthogonal transformations touch the matrix and every `L` is at least as well conditioned as
//! the matrix itself: the solution is backward stable. Cost: O(n (m + r)^2 / m) operations and O(n r) numbers; a solution takes each number
//! once or twice. Not for matrices that change by a low-rank term at every step: each factorisation starts afresh.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

use super::Hss;
use super::orthonormal::{block_diagonal_product, stack};
use super::passes::{downward, upward};
use crate::cluster_tree::ClusterTree;
use crate::condition::norm_1_estimate;
use crate::error::MatrixError;
use crate::householder::{HouseholderQr, Reflectors};
use crate::linalg::{add_product, norm_frobenius, product};
use crate::log_determinant::{LogDeterminant, is_odd};
use crate::matrix::Matrix;
use crate::operator::{LinearOperator, check_rows};
use crate::scalar::Scalar;

/// A ULV factorisation. As a [`LinearOperator`] it acts as the inverse: a direct solver, or a preconditioner.
#[derive(Clone, Debug)]
pub struct HssUlv<T> {
    rows: Arc<ClusterTree>,
    cols: Arc<ClusterTree>,
    nodes: Vec<UlvNode<T>>,
    determinant: LogDeterminant,
}

/// What one node keeps.
#[derive(Clone, Debug)]
struct UlvNode<T> {
    q: Reflectors<T>,
    p: Reflectors<T>,
    /// Eliminated rows, lower triangular.
    l: Mat<T>,
    /// What the eliminated unknowns give to the rows that are kept.
    e: Mat<T>,
    /// What they give to the rest of the matrix.
    v_z: Mat<T>,
    /// How the children couple: `blkdiag(R_c) D`. Empty at a leaf.
    coupling: Mat<T>,
    /// `V` of a node above the leaves.
    v: Mat<T>,
    /// Number of `V` coefficients.
    col_rank: usize,
}

/// What a node passes to its parent: rows and unknowns that are left.
struct Reduced<T> {
    d: Mat<T>,
    u: Mat<T>,
    v: Mat<T>,
}

impl<T: Scalar> UlvNode<T> {
    fn eliminated(&self) -> usize {
        self.l.nrows()
    }

    fn kept(&self) -> usize {
        self.e.nrows()
    }
}

impl<T: Scalar> Hss<T> {
    /// The ULV factorisation of a square matrix whose row and column clusters have equal sizes. Cost O(n r^2).
    ///
    /// ```
    /// use farfield_matrix::{Hss, HssLayout, LinearOperator, Matrix};
    /// let layout = HssLayout::new(4, 4, 1, 1)?;
    /// let second_difference =
    ///     vec![2., -1., -1., 2., 2., -1., -1., 2., 0., 1., 1., 0., 0., 1., 1., 0., 0., -1., -1., 0.];
    /// let a = Hss::from_parts(layout, second_difference)?;
    /// let ulv = a.ulv()?;
    /// let x = ulv.solve(&Matrix::from_vector(&[0.0, 0.0, 0.0, 5.0]))?;
    /// assert!((0..4).all(|i| (x[(i, 0)] - (i + 1) as f64).abs() < 1e-13));
    /// let determinant = ulv.log_determinant(); // det A = 5
    /// assert!(determinant.sign == 1 && (determinant.ln_abs - 5f64.ln()).abs() < 1e-13);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless row and column clusters have equal sizes, [`MatrixError::Singular`] when the smallest singular
    /// value of a triangular factor is about the rounding unit of its block. It is never below that of the matrix: no matrix with a condition number
    /// below `1 / (4 sqrt(m) eps)`, `m` the size of a block, is refused. Clusters of different scale are not mistaken for singular: as in the expert drivers of LAPACK, it is
    /// [`Factorization::condition_1_estimate`](crate::Factorization::condition_1_estimate) that measures the whole matrix.
    pub fn ulv(&self) -> Result<HssUlv<T>, MatrixError> {
        self.check_square("ULV factorisation")?;
        let blocks = self.orthonormal()?;
        let (nodes, _) = upward(&self.rows, |i, children: Vec<Reduced<T>>| {
            let block = &blocks[i];
            let (joined, coupling, v) = if self.layout.nodes()[i].is_leaf() {
                let joined = Reduced { d: block.d.clone(), u: block.u.clone(), v: block.v.clone() };
                (joined, Mat::zeros(0, 0), Mat::zeros(0, 0))
            } else {
                let (joined, coupling) = join(&children, block.d.as_ref(), block.u.as_ref(), block.v.as_ref());
                (joined, coupling, block.v.clone())
            };
            let (mut node, reduced) = eliminate(joined).map_err(|smallest| {
                let level = self.rows.cluster(i).level;
                let place = format!("smallest singular value about {smallest:.1e} in node {i}, on level {level}");
                MatrixError::Singular { what: "ULV factorisation", place }
            })?;
            (node.coupling, node.v) = (coupling, v);
            Ok((node, reduced))
        })?;
        let determinant = determinant(&nodes, &self.rows, &self.cols);
        Ok(HssUlv { rows: self.rows.clone(), cols: self.cols.clone(), nodes, determinant })
    }

    /// `Ok` for equal sizes of all row and column clusters.
    pub(super) fn check_square(&self, what: &'static str) -> Result<(), MatrixError> {
        let different =
            (0..self.rows.clusters().len()).find(|&i| self.rows.cluster(i).len() != self.cols.cluster(i).len());
        different.map_or(Ok(()), |i| {
            let (m, n) = (self.rows.cluster(i).len(), self.cols.cluster(i).len());
            let reason = format!("{what}: cluster {i} has {m} rows and {n} columns, they must be equally many");
            Err(MatrixError::Tree { reason })
        })
    }
}

/// The rows and unknowns that the children left, as one node, and the coupling of the children in terms of them.
fn join<T: Scalar>(children: &[Reduced<T>], d: MatRef<T>, u: MatRef<T>, v: MatRef<T>) -> (Reduced<T>, Mat<T>) {
    let (of_u, of_v): (Vec<_>, Vec<_>) = children.iter().map(|c| (c.u.clone(), c.v.clone())).unzip();
    let coupling = block_diagonal_product(&of_u, d);
    let mut joined = block_diagonal_product(&of_v, coupling.transpose()).transpose().to_owned();
    let mut at = (0, 0);
    for child in children {
        let (rows, cols) = (child.d.nrows(), child.d.ncols());
        let mut place = joined.as_mut().submatrix_mut(at.0, at.1, rows, cols);
        place += &child.d;
        at = (at.0 + rows, at.1 + cols);
    }
    (Reduced { d: joined, u: block_diagonal_product(&of_u, u), v: block_diagonal_product(&of_v, v) }, coupling)
}

/// Decouples and eliminates as many rows as the rank of `U` leaves. The error is an estimate of the smallest singular value of a
/// triangular factor that has none to speak of.
fn eliminate<T: Scalar>(block: Reduced<T>) -> Result<(UlvNode<T>, Reduced<T>), f64> {
    let (m, k, col_rank) = (block.d.nrows(), block.u.ncols().min(block.d.nrows()), block.v.ncols());
    let empty = |rows, cols| Mat::zeros(rows, cols);
    if k == m {
        let (q, p) = (Reflectors::identity(m), Reflectors::identity(m));
        let (l, e, v_z) = (empty(0, 0), empty(m, 0), empty(0, col_rank));
        let node = UlvNode { q, p, l, e, v_z, coupling: empty(0, 0), v: empty(0, 0), col_rank };
        return Ok((node, block));
    }
    let Reduced { mut d, u, mut v } = block;
    let HouseholderQr { q, r: u } = HouseholderQr::new(u.as_ref());
    q.apply_transpose(d.as_mut());
    let HouseholderQr { q: p, r } = HouseholderQr::new(d.as_ref().subrows(k, m - k).transpose());
    let l = r.transpose().to_owned();
    if let Some(smallest) = singular_factor(l.as_ref(), d.transpose()) {
        return Err(smallest);
    }
    let mut top = d.as_ref().subrows(0, k).to_owned();
    p.apply_on_right(&mut top);
    p.apply_transpose(v.as_mut());
    let node = UlvNode {
        q,
        p,
        l,
        e: top.as_ref().subcols(0, m - k).to_owned(),
        v_z: v.as_ref().subrows(0, m - k).to_owned(),
        coupling: empty(0, 0),
        v: empty(0, 0),
        col_rank,
    };
    let left = Reduced { d: top.as_ref().subcols(m - k, k).to_owned(), u, v: v.as_ref().subrows(m - k, k).to_owned() };
    Ok((node, left))
}

/// `det A`: every factor is orthogonal, triangular or a permutation.
fn determinant<T: Scalar>(nodes: &[UlvNode<T>], rows: &ClusterTree, cols: &ClusterTree) -> LogDeterminant {
    let mut negative = is_odd(rows.order()) != is_odd(cols.order());
    let mut ln_abs = 0.0;
    for node in nodes {
        negative ^= node.q.negative_determinant() != node.p.negative_determinant();
        negative ^= node.eliminated() % 2 == 1 && node.kept() % 2 == 1;
        for j in 0..node.eliminated() {
            let pivot = node.l[(j, j)].to_f64();
            negative ^= pivot < 0.0;
            ln_abs += pivot.abs().ln();
        }
    }
    LogDeterminant { sign: if negative { -1 } else { 1 }, ln_abs }
}

impl<T: Scalar> HssUlv<T> {
    /// The order of the matrix.
    pub fn order(&self) -> usize {
        self.rows.len()
    }

    /// `X` with `A X = B`. Cost: about two multiply-adds a stored number and column.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] unless `B` has as many rows as the matrix.
    pub fn solve(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("ULV solution, B", b, self.order())?;
        let b = self.rows.to_tree_order(b);
        // Up: `z`, the reduced right-hand side, and what is known of `V^T x`.
        let (eliminated, _) = upward(&self.rows, |i, children: Vec<(Mat<T>, Mat<T>)>| {
            let node = &self.nodes[i];
            let (mut rhs, mut known) = if children.is_empty() {
                (range_of(&self.rows, i, &b).to_owned(), Mat::zeros(node.col_rank, b.ncols()))
            } else {
                let mut rhs = stack(children.iter().map(|(rhs, _)| rhs.as_ref()), b.ncols());
                let known = stack(children.iter().map(|(_, known)| known.as_ref()), b.ncols());
                add_product(rhs.as_mut(), T::ZERO - T::ONE, node.coupling.as_ref(), known.as_ref());
                (rhs, product(node.v.as_ref().transpose(), known.as_ref()))
            };
            node.q.apply_transpose(rhs.as_mut());
            let (kept, count) = (node.kept(), node.eliminated());
            let mut z = rhs.as_ref().subrows(kept, count).to_owned();
            solve_lower(node.l.as_ref(), &mut z);
            rhs.truncate(kept, b.ncols());
            add_product(rhs.as_mut(), T::ZERO - T::ONE, node.e.as_ref(), z.as_ref());
            add_product(known.as_mut(), T::ONE, node.v_z.as_ref().transpose(), z.as_ref());
            Ok((z, (rhs, known)))
        })?;
        // Down: `x = P [z; w]`, split among the children.
        let leaves = downward(&self.rows, Mat::zeros(0, b.ncols()), |i, w: Mat<T>| {
            let mut x = stack([eliminated[i].as_ref(), w.as_ref()].into_iter(), b.ncols());
            self.nodes[i].p.apply(x.as_mut());
            self.split(i, x, |node| node.kept())
        });
        Ok(self.cols.to_user_order(&gathered(&self.cols, leaves, b.ncols())))
    }

    /// `X` with `A^T X = B`. Cost as [`HssUlv::solve`].
    ///
    /// # Errors
    /// As [`HssUlv::solve`].
    pub fn solve_transpose(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed ULV solution, B", b, self.order())?;
        let b = self.cols.to_tree_order(b);
        // Up: the right-hand sides of the eliminated unknowns and of those that are left; no unknown is needed for it.
        let (first, _) = upward(&self.rows, |i, children: Vec<Mat<T>>| {
            let node = &self.nodes[i];
            let mut rhs = if children.is_empty() {
                range_of(&self.cols, i, &b).to_owned()
            } else {
                stack(children.iter().map(|rhs| rhs.as_ref()), b.ncols())
            };
            node.p.apply_transpose(rhs.as_mut());
            let (kept, count) = (node.kept(), node.eliminated());
            Ok((rhs.as_ref().subrows(0, count).to_owned(), rhs.as_ref().subrows(count, kept).to_owned()))
        })?;
        // Down: `L^T q = c_1 - E^T p - V_z g` with `p` from the parent and `g` what the rest of the matrix gives.
        let root = (Mat::zeros(0, b.ncols()), Mat::zeros(0, b.ncols()));
        let leaves = downward(&self.rows, root, |i, (p, g): (Mat<T>, Mat<T>)| {
            let node = &self.nodes[i];
            let mut q = first[i].clone();
            add_product(q.as_mut(), T::ZERO - T::ONE, node.e.as_ref().transpose(), p.as_ref());
            add_product(q.as_mut(), T::ZERO - T::ONE, node.v_z.as_ref(), g.as_ref());
            solve_upper(node.l.as_ref().transpose(), &mut q);
            let mut y = stack([p.as_ref(), q.as_ref()].into_iter(), b.ncols());
            node.q.apply(y.as_mut());
            if self.rows.cluster(i).is_leaf() {
                return (Some(y), Vec::new());
            }
            let mut inner = product(node.coupling.as_ref().transpose(), y.as_ref());
            add_product(inner.as_mut(), T::ONE, node.v.as_ref(), g.as_ref());
            let (_, unknowns) = self.split(i, y, |node| node.kept());
            let (_, inner) = self.split(i, inner, |node| node.col_rank);
            (None, unknowns.into_iter().zip(inner).collect())
        });
        Ok(self.rows.to_user_order(&gathered(&self.rows, leaves, b.ncols())))
    }

    /// `ln |det A|` and the sign of `det A`, from the factorisation, at no cost.
    pub fn log_determinant(&self) -> LogDeterminant {
        self.determinant
    }

    /// Bytes that the factors take.
    pub fn memory_bytes(&self) -> usize {
        let size = |m: &Mat<T>| m.nrows() * m.ncols();
        let numbers = self.nodes.iter().map(|n| {
            n.q.stored() + n.p.stored() + size(&n.l) + size(&n.e) + size(&n.v_z) + size(&n.coupling) + size(&n.v)
        });
        numbers.sum::<usize>() * size_of::<T>()
    }

    /// The rows of `x` for the children of node `i`; those of a leaf stay.
    fn split(&self, i: usize, x: Mat<T>, rows: fn(&UlvNode<T>) -> usize) -> (Option<Mat<T>>, Vec<Mat<T>>) {
        let children = self.rows.cluster(i).children.clone();
        if children.is_empty() {
            return (Some(x), Vec::new());
        }
        let sizes = self.nodes[children].iter().map(rows);
        (None, split_rows(&x, sizes))
    }
}

/// Consecutive rows of `x`, as many as `sizes` says.
pub(super) fn split_rows<T: Scalar>(x: &Mat<T>, sizes: impl Iterator<Item = usize>) -> Vec<Mat<T>> {
    let mut row = 0;
    let part = |size| {
        row += size;
        x.as_ref().subrows(row - size, size).to_owned()
    };
    sizes.map(part).collect()
}

/// The rows of a cluster, in tree order.
pub(super) fn range_of<'a, T: Scalar>(tree: &ClusterTree, i: usize, x: &'a Matrix<T>) -> MatRef<'a, T> {
    let range = tree.cluster(i).range.clone();
    x.as_ref().subrows(range.start, range.len())
}

/// The blocks of the leaves in one matrix, in tree order.
pub(super) fn gathered<T: Scalar>(tree: &ClusterTree, blocks: Vec<Option<Mat<T>>>, ncols: usize) -> Matrix<T> {
    let mut out = Matrix::zeros(tree.len(), ncols);
    for (cluster, block) in tree.clusters().iter().zip(&blocks) {
        if let Some(block) = block {
            out.as_mut().subrows_mut(cluster.range.start, cluster.len()).copy_from(block);
        }
    }
    out
}

/// A triangular block that cannot be inverted: `1 / ||L^-1||_1`, by estimate, when it is at most 4 rounding units of the longest column of `a`,
/// the block that `L` is a factor of.
pub(super) fn singular_factor<T: Scalar>(l: MatRef<T>, a: MatRef<T>) -> Option<f64> {
    let longest = (0..a.ncols()).map(|j| norm_frobenius(a.subcols(j, 1))).fold(0.0, f64::max);
    let pivots = (0..l.nrows()).map(|j| l[(j, j)].to_f64().abs());
    if pivots.clone().any(|pivot| pivot.is_nan() || pivot == 0.0) {
        return Some(0.0);
    }
    let inverse = norm_1_estimate(&LowerInverse(l)).unwrap_or(f64::INFINITY);
    let reciprocal = if inverse.is_finite() { 1.0 / inverse } else { 0.0 };
    (l.nrows() > 0 && reciprocal <= 4.0 * T::EPSILON * longest).then_some(reciprocal)
}

/// The inverse of a lower triangular matrix.
struct LowerInverse<'a, T>(MatRef<'a, T>);

impl<T: Scalar> LinearOperator<T> for LowerInverse<'_, T> {
    fn nrows(&self) -> usize {
        self.0.nrows()
    }

    fn ncols(&self) -> usize {
        self.0.nrows()
    }

    fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        let mut x = x.clone();
        solve_lower(self.0, &mut x.0);
        Ok(x)
    }

    fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        let mut x = x.clone();
        solve_upper(self.0.transpose(), &mut x.0);
        Ok(x)
    }
}

/// `X <- L^-1 X`.
pub(super) fn solve_lower<T: Scalar>(l: MatRef<T>, x: &mut Mat<T>) {
    if l.nrows() > 0 && x.ncols() > 0 {
        faer::linalg::triangular_solve::solve_lower_triangular_in_place(l, x.as_mut(), Par::Seq);
    }
}

/// `X <- R^-1 X`.
pub(super) fn solve_upper<T: Scalar>(r: MatRef<T>, x: &mut Mat<T>) {
    if r.nrows() > 0 && x.ncols() > 0 {
        faer::linalg::triangular_solve::solve_upper_triangular_in_place(r, x.as_mut(), Par::Seq);
    }
}
