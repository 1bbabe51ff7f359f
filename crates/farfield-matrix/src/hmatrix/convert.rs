//! H2 to H, exactly, and H to H2, to a tolerance.
//!
//! A far block `U_s B_st V_t^T` with the bases written out is a block of low rank. The other way nested bases have to be found (Borm, *Efficient Numerical Methods for
//! Non-local Operators* (2010), section 6.5): with every block of low rank as `U diag(sigma) V^T`, the matrix of the `U diag(sigma)` of all blocks of
//! cluster `s` and of its ancestors, restricted to the rows of `s`, has the column space and the singular values of all that the basis of `s` must span. From
//! the leaves to the root its dominant left singular vectors are the basis, and its coefficients in that basis are what the parent sees of it. Columns the same.
//! What the steps drop is orthogonal to each other, so squares of errors add and the certificate is proven, as for
//! [`H2Matrix::recompress`].
//!
//! Cost: `O(n k^2)` for exact bases written out; `O(n k^2 c log n)` and `O(n k c log n)` numbers of coefficients the other way, for `c` blocks a cluster.

use std::collections::HashMap;
use std::sync::Arc;

use faer::Mat;
use rayon::prelude::*;

use super::HMatrix;
use super::block::{Block, Split};
use crate::accuracy::Accuracy;
use crate::certificate::Certificate;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::h2::{ClusterBasis, Form, H2Matrix, Placed};
use crate::hss::truncation::{Basis, Budget, dominant_basis};
use crate::linalg::{beside, product, qr, svd};
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

impl<T: Scalar> HMatrix<T> {
    /// The same matrix without nested bases, exact up to rounding; blocks that the H2-matrix recomputes are computed. Cost: `O(n k log n)` numbers.
    pub fn from_h2(a: &H2Matrix<T>) -> Self {
        let form = a.form().unmirrored();
        let (u, v) = (written_out(&form.rows), written_out(&form.cols));
        let index = |blocks: &[Placed<T>]| -> HashMap<(usize, usize), usize> {
            blocks.iter().enumerate().map(|(i, b)| ((b.row, b.col), i)).collect()
        };
        let (far, near) = (index(&form.far), index(&form.near));
        let (rows, cols) = (form.rows.tree.clone(), form.cols.tree.clone());
        let leaf = |s: usize, t: usize| {
            if let Some(&i) = far.get(&(s, t)) {
                let coupling = form.far[i].matrix.as_ref();
                let low = if coupling.nrows() <= coupling.ncols() {
                    LowRank { u: u[s].clone(), v: product(v[t].as_ref(), coupling.transpose()) }
                } else {
                    LowRank { u: product(u[s].as_ref(), coupling), v: v[t].clone() }
                };
                return Some(Block::LowRank(low));
            }
            near.get(&(s, t)).map(|&i| Block::Dense(form.near[i].matrix.clone()))
        };
        let root = grown(&rows, &cols, (0, 0), &leaf);
        Self::from_root(rows, cols, root)
    }

    /// The H2-matrix on the same trees and blocks, within the accuracy, with orthonormal bases. The certificate bounds the distance from this matrix and is
    /// proven; a relative tolerance refers to the norm of this matrix. Dense leaves of clusters with children are divided down to the leaves of the trees.
    ///
    /// # Errors
    /// [`MatrixError::Tolerance`] when the rank cap or rounding errors do not allow the tolerance.
    pub fn to_h2(&self, accuracy: &Accuracy) -> Result<(H2Matrix<T>, Certificate), MatrixError> {
        let mut places = Places { far: Vec::new(), near: Vec::new() };
        places.collect(&self.root, (&self.rows, 0), (&self.cols, 0));
        let far: Vec<Decomposed<T>> =
            places.far.par_iter().map(|&(row, col, a)| Decomposed::new(row, col, a)).collect();
        let mut rows = Nesting::new(&self.rows, &far, false);
        let mut cols = Nesting::new(&self.cols, &far, true);
        let norm = self.norm_frobenius();
        let levels = self.rows.depth().max(self.cols.depth());
        let nodes = (rows.bases() + cols.bases()).div_ceil(2);
        let mut budget = Budget::new::<T>(accuracy, norm, nodes, levels);
        for level in (0..=levels).rev() {
            let (share, cap) = (budget.share(), budget.cap());
            for side in [&mut rows, &mut cols] {
                side.level(level, &far, share, cap).into_iter().for_each(|error| budget.charge(error));
            }
        }
        let coupled = |(i, block): (usize, &Decomposed<T>)| {
            let x = &rows.inside[i];
            let scaled = Mat::from_fn(x.nrows(), x.ncols(), |p, k| x[(p, k)] * T::from_f64(block.s[k]));
            let matrix = product(scaled.as_ref(), cols.inside[i].as_ref().transpose());
            Placed { row: block.row, col: block.col, matrix }
        };
        let mut couplings: Vec<Placed<T>> = far.par_iter().enumerate().map(coupled).collect();
        couplings.sort_by_key(|b| (b.row, b.col));
        let mut near = places.near;
        near.sort_by_key(|b| (b.row, b.col));
        let form = Form {
            rows: Arc::new(ClusterBasis::new(self.rows.clone(), rows.basis)),
            cols: Arc::new(ClusterBasis::new(self.cols.clone(), cols.basis)),
            mirrored: false,
            far: couplings,
            near: Arc::new(near),
        };
        let small = form.norm_of_orthogonal();
        let what = "H2 form of an H-matrix";
        let bound = budget.bound(what, || Ok(distance(&places.far, &form) + 4.0 * T::EPSILON * norm))?;
        let h = form.assemble();
        accuracy.check_memory(what, h.memory_bytes())?;
        let certificate = h.certify(bound, small);
        Ok((h, certificate))
    }
}

/// `U_s` of every cluster.
fn written_out<T: Scalar>(basis: &ClusterBasis<T>) -> Vec<Mat<T>> {
    let tree = &basis.tree;
    let mut out: Vec<Mat<T>> = vec![Mat::zeros(0, 0); tree.clusters().len()];
    for s in (0..out.len()).rev() {
        let (cluster, matrix) = (tree.cluster(s), basis.matrix(s));
        if cluster.is_leaf() {
            out[s] = matrix.to_owned();
            continue;
        }
        let mut long = Mat::zeros(cluster.len(), matrix.ncols());
        let (mut row, mut from) = (0, 0);
        for child in &out[cluster.children.clone()] {
            let part = product(child.as_ref(), matrix.subrows(from, child.ncols()));
            long.as_mut().subrows_mut(row, part.nrows()).copy_from(&part);
            (row, from) = (row + child.nrows(), from + child.ncols());
        }
        out[s] = long;
    }
    out
}

/// The block of two clusters, divided as they are until `leaf` has it.
fn grown<T: Scalar>(
    rows: &ClusterTree,
    cols: &ClusterTree,
    (s, t): (usize, usize),
    leaf: &impl Fn(usize, usize) -> Option<Block<T>>,
) -> Block<T> {
    if let Some(block) = leaf(s, t) {
        return block;
    }
    let (row, col) = (rows.cluster(s), cols.cluster(t));
    if row.is_empty() || col.is_empty() || (row.is_leaf() && col.is_leaf()) {
        return Block::Dense(Mat::zeros(row.len(), col.len()));
    }
    let (of_rows, of_cols) = (parts(rows, s), parts(cols, t));
    let starts = |tree: &ClusterTree, whole: usize, parts: &std::ops::Range<usize>| -> Vec<usize> {
        let first = tree.cluster(whole).range.start;
        std::iter::once(0).chain(parts.clone().map(|c| tree.cluster(c).range.end - first)).collect()
    };
    let child = |i: usize| of_cols.clone().map(move |j| (i, j));
    let children = of_rows.clone().flat_map(child).map(|pair| Arc::new(grown(rows, cols, pair, leaf))).collect();
    Block::Split(Split { rows: starts(rows, s, &of_rows), cols: starts(cols, t, &of_cols), children })
}

/// The children of a cluster; of a leaf, itself.
fn parts(tree: &ClusterTree, cluster: usize) -> std::ops::Range<usize> {
    let c = tree.cluster(cluster);
    if c.is_leaf() { cluster..cluster + 1 } else { c.children.clone() }
}

/// The leaves of an H-matrix on their clusters.
struct Places<'a, T> {
    far: Vec<(usize, usize, &'a LowRank<T>)>,
    near: Vec<Placed<T>>,
}

impl<'a, T: Scalar> Places<'a, T> {
    fn collect(&mut self, block: &'a Block<T>, (rows, s): (&ClusterTree, usize), (cols, t): (&ClusterTree, usize)) {
        match block {
            Block::LowRank(a) => self.far.push((s, t, a)),
            Block::Dense(a) => self.divide(a, (rows, s, 0), (cols, t, 0)),
            Block::Split(split) => {
                let (of_rows, of_cols) = (parts(rows, s), parts(cols, t));
                for (i, s) in of_rows.enumerate() {
                    for (j, t) in of_cols.clone().enumerate() {
                        self.collect(split.child(i, j), (rows, s), (cols, t));
                    }
                }
            }
        }
    }

    /// A dense block from row and column `at` of `a` on.
    fn divide(
        &mut self,
        a: &Mat<T>,
        (rows, s, row_at): (&ClusterTree, usize, usize),
        (cols, t, col_at): (&ClusterTree, usize, usize),
    ) {
        let (row, col) = (rows.cluster(s), cols.cluster(t));
        if row.is_empty() || col.is_empty() {
            return;
        }
        if row.is_leaf() && col.is_leaf() {
            let matrix = a.as_ref().submatrix(row_at, col_at, row.len(), col.len()).to_owned();
            self.near.push(Placed { row: s, col: t, matrix });
            return;
        }
        for i in parts(rows, s) {
            let row_at = row_at + rows.cluster(i).range.start - row.range.start;
            for j in parts(cols, t) {
                let col_at = col_at + cols.cluster(j).range.start - col.range.start;
                self.divide(a, (rows, i, row_at), (cols, j, col_at));
            }
        }
    }
}

/// A block of low rank as `U diag(s) V^T` with orthonormal `U` and `V`.
struct Decomposed<T> {
    row: usize,
    col: usize,
    u: Mat<T>,
    s: Vec<f64>,
    v: Mat<T>,
}

impl<T: Scalar> Decomposed<T> {
    fn new(row: usize, col: usize, a: &LowRank<T>) -> Self {
        let ((qu, ru), (qv, rv)) = (qr(a.u.as_ref()), qr(a.v.as_ref()));
        let core = svd(product(ru.as_ref(), rv.as_ref().transpose()).as_ref());
        let (u, v) = (product(qu.as_ref(), core.u.as_ref()), product(qv.as_ref(), core.v.as_ref()));
        Self { row, col, u, s: core.s, v }
    }
}

/// The nested bases of rows or of columns while they are made, from the leaves up.
struct Nesting<'a, T> {
    tree: &'a ClusterTree,
    of_cols: bool,
    /// Blocks of every cluster.
    blocks: Vec<Vec<usize>>,
    basis: Vec<Mat<T>>,
    /// Coefficients, in the basis of a cluster, of the blocks of its strict ancestors, the parent's first.
    passed: Vec<Mat<T>>,
    /// Of every block: the coefficients of its `U` (or `V`) in the basis of its cluster.
    inside: Vec<Mat<T>>,
}

impl<'a, T: Scalar> Nesting<'a, T> {
    fn new(tree: &'a ClusterTree, far: &[Decomposed<T>], of_cols: bool) -> Self {
        let count = tree.clusters().len();
        let mut blocks = vec![Vec::new(); count];
        for (i, block) in far.iter().enumerate() {
            blocks[if of_cols { block.col } else { block.row }].push(i);
        }
        let empty = vec![Mat::zeros(0, 0); count];
        Self { tree, of_cols, blocks, basis: empty.clone(), passed: empty, inside: vec![Mat::zeros(0, 0); far.len()] }
    }

    /// Clusters that have a block, or whose ancestors have.
    fn bases(&self) -> usize {
        let mut has = vec![false; self.blocks.len()];
        for s in 0..has.len() {
            has[s] = !self.blocks[s].is_empty() || self.tree.cluster(s).parent.is_some_and(|p| has[p]);
        }
        has.iter().filter(|&&has| has).count()
    }

    /// The blocks of a cluster, then those of its parent, and so on.
    fn seen(&self, s: usize) -> impl Iterator<Item = usize> {
        let chain = std::iter::successors(Some(s), |&c| self.tree.cluster(c).parent);
        chain.flat_map(|c| self.blocks[c].iter().copied())
    }

    /// The bases of one level; what each does not span.
    fn level(&mut self, level: usize, far: &[Decomposed<T>], tolerance: f64, cap: Option<usize>) -> Vec<f64> {
        if level > self.tree.depth() {
            return Vec::new();
        }
        let found: Vec<(Basis<T>, Mat<T>)> = (self.tree.level(level).into_par_iter())
            .map(|s| {
                let (all, weights) = self.rows_of(s, far);
                let weighted = Mat::from_fn(all.nrows(), all.ncols(), |i, k| all[(i, k)] * T::from_f64(weights[k]));
                let basis = dominant_basis(weighted.as_ref(), tolerance, cap);
                let coefficients = product(basis.basis.as_ref().transpose(), all.as_ref());
                (basis, coefficients)
            })
            .collect();
        let mut errors = Vec::new();
        for (s, (basis, coefficients)) in self.tree.level(level).zip(found) {
            if coefficients.ncols() > 0 {
                errors.push(basis.error);
            }
            self.basis[s] = basis.basis;
            let mut at = 0;
            for &i in &self.blocks[s] {
                let k = far[i].s.len();
                self.inside[i] = coefficients.as_ref().subcols(at, k).to_owned();
                at += k;
            }
            self.passed[s] = coefficients.as_ref().subcols(at, coefficients.ncols() - at).to_owned();
            for child in self.tree.cluster(s).children.clone() {
                self.passed[child] = Mat::zeros(0, 0);
            }
        }
        errors
    }

    /// What a cluster sees of its blocks and of those of its ancestors: the rows of a leaf, the coefficients in the children's bases above; with the
    /// singular values.
    fn rows_of(&self, s: usize, far: &[Decomposed<T>]) -> (Mat<T>, Vec<f64>) {
        let cluster = self.tree.cluster(s);
        let weights: Vec<f64> = self.seen(s).flat_map(|i| far[i].s.iter().copied()).collect();
        if !cluster.is_leaf() {
            let children = &self.passed[cluster.children.clone()];
            let mut all = Mat::zeros(children.iter().map(|c| c.nrows()).sum(), weights.len());
            let mut row = 0;
            for child in children {
                all.as_mut().subrows_mut(row, child.nrows()).copy_from(child);
                row += child.nrows();
            }
            return (all, weights);
        }
        let mut all = Mat::zeros(cluster.len(), weights.len());
        let mut at = 0;
        for i in self.seen(s) {
            let block = &far[i];
            let (basis, owner) = if self.of_cols { (&block.v, block.col) } else { (&block.u, block.row) };
            let first = cluster.range.start - self.tree.cluster(owner).range.start;
            let rows = basis.as_ref().subrows(first, cluster.len());
            all.as_mut().subcols_mut(at, basis.ncols()).copy_from(rows);
            at += basis.ncols();
        }
        (all, weights)
    }
}

/// The distance of the blocks of low rank from the far blocks of an H2-matrix, block by block.
fn distance<T: Scalar>(far: &[(usize, usize, &LowRank<T>)], form: &Form<T>) -> f64 {
    let (u, v) = (written_out(&form.rows), written_out(&form.cols));
    let couplings: HashMap<(usize, usize), &Placed<T>> = form.far.iter().map(|b| ((b.row, b.col), b)).collect();
    let squares = far.iter().map(|(s, t, a)| {
        let Some(coupling) = couplings.get(&(*s, *t)) else { return a.norm_frobenius().powi(2) };
        let left = product(u[*s].as_ref(), coupling.matrix.as_ref());
        let minus = Mat::from_fn(left.nrows(), left.ncols(), |i, j| T::ZERO - left[(i, j)]);
        let both = LowRank { u: beside(a.u.as_ref(), minus.as_ref()), v: beside(a.v.as_ref(), v[*t].as_ref()) };
        both.norm_frobenius().powi(2)
    });
    squares.sum::<f64>().sqrt()
}
