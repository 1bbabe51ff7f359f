//! HSS to HODLR, exactly, and HODLR to HSS, to a tolerance.
//!
//! The block between two children `i, j` of an HSS node is `U_i D_ij V_j^T` with the bases written out in terms of the indices of the children,
//! a low-rank block; `D_ii`, which the telescopic form allows, is handed down to child `i` first. The other way nested bases have to be found: on every node, from the leaves up, an orthonormal basis of the
//! columns of everything right and left of its diagonal block, which are the factors of its own blocks and of those of its ancestors,
//! restricted and expressed in the bases of its children; the same for its rows. Dropping singular values there makes errors that are orthogonal to each other:
//! those of the rows add in squares, so do those of the columns. Xia et al., Numer. Linear Algebra Appl. 17 (2010).

use std::sync::Arc;

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::{Hodlr, Node, pair, pairs, root_sum_of_squares, tolerance_error};
use crate::accuracy::Accuracy;
use crate::certificate::{Bound, Certificate, LevelRanks};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::hss::{Hss, NodeBlocks};
use crate::linalg::{add_product, distance, product, qr, svd, truncation_rank};
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

impl<T: Scalar> Hodlr<T> {
    /// The same matrix without nested bases, up to rounding. Cost: `O(n r^2 log n)`.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] when the rows and the columns have different trees, [`MatrixError::NonFinite`] on overflow.
    pub fn from_hss(a: &Hss<T>) -> Result<Self, MatrixError> {
        if a.rows() != a.cols() {
            let reason = "a HODLR matrix has one tree, this HSS matrix has two".to_owned();
            return Err(MatrixError::Tree { reason });
        }
        let tree = a.rows().clone();
        let (u, v) = (written_out(&tree, |c| a.u(c)), written_out(&tree, |c| a.v(c)));
        // The middle of every node: its D, and what the parent's middle does to it, U_c M_cc V_c^T.
        let mut middles: Vec<Mat<T>> = (0..tree.clusters().len()).map(|c| a.d(c).to_owned()).collect();
        let mut nodes = Vec::with_capacity(middles.len());
        for (c, cluster) in tree.clusters().iter().enumerate() {
            let middle = std::mem::replace(&mut middles[c], Mat::zeros(0, 0));
            if cluster.is_leaf() {
                nodes.push(Node::Leaf(middle));
                continue;
            }
            let first = cluster.children.start;
            let start = |basis: &[Mat<T>], i: usize| basis[first..first + i].iter().map(|b| b.ncols()).sum::<usize>();
            let part = |i: usize, j: usize| {
                let (rows, cols) = (u[first + i].ncols(), v[first + j].ncols());
                middle.as_ref().submatrix(start(&u, i), start(&v, j), rows, cols)
            };
            for (i, child) in cluster.children.clone().enumerate() {
                let left = product(a.u(child), part(i, i));
                add_product(middles[child].as_mut(), T::ONE, left.as_ref(), a.v(child).transpose());
            }
            let block = |(i, j): (usize, usize)| {
                let (u, v) = (&u[first + i], &v[first + j]);
                if u.ncols() <= v.ncols() {
                    LowRank { u: u.clone(), v: product(v.as_ref(), part(i, j).transpose()) }
                } else {
                    LowRank { u: product(u.as_ref(), part(i, j)), v: v.clone() }
                }
            };
            nodes.push(Node::Split(pairs(cluster.children.len()).map(block).collect()));
        }
        Self::assemble(tree, nodes)
    }

    /// The HSS form within the accuracy, with orthonormal bases; the certificate, on the distance to this matrix, is proven.
    /// Cost: `O(n (r log n)^2)`.
    ///
    /// # Errors
    /// [`MatrixError::Tolerance`] when the rank cap or rounding keeps the error above the tolerance.
    pub fn to_hss(&self, accuracy: Accuracy) -> Result<(Hss<T>, Certificate), MatrixError> {
        let norm = self.norm_frobenius();
        let tolerance = accuracy.absolute_for(norm);
        let rounding = T::EPSILON * (10 + 4 * self.tree.depth() + self.rank()) as f64 * norm;
        let half = (0.5 * (tolerance - rounding)).max(0.0);
        let blocks: Vec<Vec<Orthogonal<T>>> = (self.nodes().par_iter())
            .map(|node| match node {
                Node::Leaf(_) => Vec::new(),
                Node::Split(blocks) => blocks.iter().map(Orthogonal::new).collect(),
            })
            .collect();
        let cap = accuracy.rank_cap();
        let rows = Nested::new(&self.tree, &blocks, |b| &b.u, pair, half, cap);
        let cols = Nested::new(&self.tree, &blocks, |b| &b.v, |k, i, j| pair(k, j, i), half, cap);
        let made: Vec<NodeBlocks<T>> = (0..blocks.len())
            .map(|c| {
                let cluster = self.tree.cluster(c);
                let d = match &self.nodes()[c] {
                    Node::Leaf(d) => d.clone(),
                    Node::Split(_) => {
                        let children = cluster.children.clone();
                        let size = |nested: &Nested<T>| nested.basis[children.clone()].iter().map(|b| b.ncols()).sum();
                        let (m, n): (usize, usize) = (size(&rows), size(&cols));
                        let mut d = Mat::zeros(m, n);
                        let start = |nested: &Nested<T>, i: usize| -> usize {
                            nested.basis[children.start..children.start + i].iter().map(|b| b.ncols()).sum()
                        };
                        for (at, (i, j)) in pairs(children.len()).enumerate() {
                            let (x, y) = (&rows.inside[c][at], &cols.inside[c][at]);
                            let s = &blocks[c][at].s;
                            let scaled = Mat::from_fn(x.nrows(), s.len(), |i, k| x[(i, k)] * T::from_f64(s[k]));
                            let out = d.as_mut().submatrix_mut(start(&rows, i), start(&cols, j), x.nrows(), y.nrows());
                            add_product(out, T::ONE, scaled.as_ref(), y.transpose());
                        }
                        d
                    }
                };
                NodeBlocks { d, u: rows.basis[c].clone(), v: cols.basis[c].clone() }
            })
            .collect();
        // All bases are orthonormal: the norm is that of the D.
        let result_norm = root_sum_of_squares(made.iter().map(|b| crate::linalg::norm_frobenius(b.d.as_ref())));
        let hss = Hss::assemble(self.tree.clone(), self.tree.clone(), &made)?;
        let value = rows.error + cols.error + rounding;
        let ranks = made.iter().zip(self.tree.clusters()).skip(1);
        let certificate = Certificate {
            frobenius: Bound::proven(value),
            spectral: Bound::proven(value),
            norm: result_norm,
            ranks: LevelRanks::of(ranks.map(|(b, cluster)| (cluster.level, b.u.ncols().max(b.v.ncols())))),
            stored: hss.data().len(),
            dense: self.order() * self.order(),
        };
        if value > tolerance {
            let what = "HSS form of a HODLR matrix";
            return Err(tolerance_error(what, accuracy, tolerance, value, hss.rank()));
        }
        Ok((hss, certificate))
    }
}

/// Bases in terms of the indices of their clusters: those of the children times that of the parent.
fn written_out<'a, T: Scalar + 'a>(tree: &ClusterTree, basis: impl Fn(usize) -> MatRef<'a, T>) -> Vec<Mat<T>> {
    let mut out: Vec<Mat<T>> = vec![Mat::zeros(0, 0); tree.clusters().len()];
    for (c, cluster) in tree.clusters().iter().enumerate().rev() {
        let own = basis(c);
        if cluster.is_leaf() {
            out[c] = own.to_owned();
            continue;
        }
        let mut long = Mat::zeros(cluster.len(), own.ncols());
        let (mut row, mut at) = (0, 0);
        for child in cluster.children.clone() {
            let below = &out[child];
            let target = long.as_mut().subrows_mut(row, below.nrows());
            add_product(target, T::ONE, below.as_ref(), own.subrows(at, below.ncols()));
            (row, at) = (row + below.nrows(), at + below.ncols());
        }
        out[c] = long;
    }
    out
}

/// `U diag(s) V^T` with orthonormal columns.
struct Orthogonal<T> {
    u: Mat<T>,
    s: Vec<f64>,
    v: Mat<T>,
}

impl<T: Scalar> Orthogonal<T> {
    fn new(block: &LowRank<T>) -> Self {
        let ((qu, ru), (qv, rv)) = (qr(block.u.as_ref()), qr(block.v.as_ref()));
        let small = svd(product(ru.as_ref(), rv.as_ref().transpose()).as_ref());
        Self { u: product(qu.as_ref(), small.u.as_ref()), s: small.s, v: product(qv.as_ref(), small.v.as_ref()) }
    }
}

/// Nested orthonormal bases of one side.
struct Nested<T> {
    /// One a cluster: in terms of its indices at a leaf, of the bases of its children above.
    basis: Vec<Mat<T>>,
    /// For every block of every cluster the factor of this side, in the basis of the child that it touches.
    inside: Vec<Vec<Mat<T>>>,
    error: f64,
}

/// A factor that passes through a cluster: whose it is, its part in this cluster, and its weights.
struct Passing<T> {
    owner: usize,
    at: usize,
    part: Mat<T>,
}

impl<T: Scalar> Nested<T> {
    /// `factor` picks the side of a block, `place(k, i, j)` the block between `k` children that touches child `i` on this side.
    fn new(
        tree: &Arc<ClusterTree>,
        blocks: &[Vec<Orthogonal<T>>],
        factor: impl Fn(&Orthogonal<T>) -> &Mat<T>,
        place: impl Fn(usize, usize, usize) -> usize,
        tolerance: f64,
        cap: Option<usize>,
    ) -> Self {
        let count = tree.clusters().len();
        let mut basis: Vec<Mat<T>> = vec![Mat::zeros(0, 0); count];
        let mut inside: Vec<Vec<Mat<T>>> =
            blocks.iter().map(|b| b.iter().map(|_| Mat::zeros(0, 0)).collect()).collect();
        let mut waiting: Vec<Vec<Passing<T>>> = (0..count).map(|_| Vec::new()).collect();
        let mut errors = Vec::new();
        for c in (0..count).rev() {
            let cluster = tree.cluster(c);
            let mut passing = if cluster.is_leaf() {
                // Everything that its ancestors, and its parent, have in these rows.
                let mut all = Vec::new();
                let mut at = c;
                while let Some(parent) = tree.cluster(at).parent {
                    let (children, i) = (tree.cluster(parent).children.clone(), at);
                    let (k, i) = (children.len(), i - children.start);
                    let first = tree.cluster(at).range.start;
                    for j in (0..k).filter(|&j| j != i) {
                        let block = place(k, i, j);
                        let long = factor(&blocks[parent][block]);
                        let part = long.as_ref().subrows(cluster.range.start - first, cluster.len()).to_owned();
                        all.push(Passing { owner: parent, at: block, part });
                    }
                    at = parent;
                }
                all
            } else {
                std::mem::take(&mut waiting[c])
            };
            if c == 0 {
                let rows = if cluster.is_leaf() { cluster.len() } else { child_ranks(&basis, tree, 0) };
                basis[0] = Mat::zeros(rows, 0);
                break;
            }
            let rows = if cluster.is_leaf() { cluster.len() } else { child_ranks(&basis, tree, c) };
            let width = passing.iter().map(|p| p.part.ncols()).sum();
            let mut weighted = Mat::zeros(rows, width);
            let mut col = 0;
            for p in &passing {
                let s = &blocks[p.owner][p.at].s;
                for (k, &s) in s.iter().enumerate() {
                    for i in 0..rows {
                        weighted[(i, col + k)] = p.part[(i, k)] * T::from_f64(s);
                    }
                }
                col += s.len();
            }
            let share = (cluster.len() as f64 / (tree.len() * tree.depth().max(1)) as f64).sqrt();
            let decomposed = svd(weighted.as_ref());
            let rank = truncation_rank(&decomposed.s, 0.99 * tolerance * share).0.min(cap.unwrap_or(usize::MAX));
            let q = qr(decomposed.u.as_ref().subcols(0, rank)).0;
            let projected = product(q.transpose(), weighted.as_ref());
            errors.push(distance(product(q.as_ref(), projected.as_ref()).as_ref(), weighted.as_ref()));
            for p in &mut passing {
                p.part = product(q.transpose(), p.part.as_ref());
            }
            basis[c] = q;
            // Blocks of the parent end here; the others wait for the parent, under the parts of the cluster's siblings.
            let parent = cluster.parent.unwrap_or(0);
            let siblings = tree.cluster(parent).children.clone();
            for p in passing {
                if p.owner == parent {
                    inside[parent][p.at] = p.part;
                    continue;
                }
                let found = waiting[parent].iter_mut().find(|w| (w.owner, w.at) == (p.owner, p.at));
                match found {
                    // Children are met last to first.
                    Some(w) => w.part = crate::linalg::stacked(p.part.as_ref(), w.part.as_ref()),
                    None => waiting[parent].push(p),
                }
            }
            debug_assert!(siblings.contains(&c));
        }
        Self { basis, inside, error: root_sum_of_squares(errors.iter().copied()) }
    }
}

fn child_ranks<T: Scalar>(basis: &[Mat<T>], tree: &ClusterTree, c: usize) -> usize {
    basis[tree.cluster(c).children.clone()].iter().map(|b| b.ncols()).sum()
}
