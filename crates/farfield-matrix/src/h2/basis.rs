//! Nested cluster bases: `U_s` of a leaf is stored, `U_s = diag(U_children) E_s` above.

use std::sync::Arc;

use faer::{Mat, MatRef};
use rayon::prelude::*;

use crate::cluster_tree::ClusterTree;
use crate::linalg::{add_product, product, qr};
use crate::matrix::Matrix;
use crate::scalar::Scalar;

/// The bases of all clusters of one tree.
#[derive(Clone, Debug)]
pub(crate) struct ClusterBasis<T> {
    pub tree: Arc<ClusterTree>,
    /// For a leaf `U_s`, above it `E_s`, whose rows are the coefficients of all children one after the other.
    matrices: Vec<Mat<T>>,
    /// Where the coefficients of each cluster start among those of all; one more than clusters.
    starts: Vec<usize>,
}

impl<T: Scalar> ClusterBasis<T> {
    /// From one matrix a cluster, whose sizes the caller vouches for.
    pub fn new(tree: Arc<ClusterTree>, matrices: Vec<Mat<T>>) -> Self {
        let mut starts = vec![0];
        for m in &matrices {
            starts.push(starts[starts.len() - 1] + m.ncols());
        }
        Self { tree, matrices, starts }
    }

    /// The rank of a cluster.
    pub fn rank(&self, cluster: usize) -> usize {
        self.matrices[cluster].ncols()
    }

    pub fn matrix(&self, cluster: usize) -> MatRef<'_, T> {
        self.matrices[cluster].as_ref()
    }

    /// Where the coefficients of a cluster lie among those of all.
    pub fn coefficients(&self, cluster: usize) -> std::ops::Range<usize> {
        self.starts[cluster]..self.starts[cluster + 1]
    }

    /// Sum of all ranks.
    pub fn total(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        self.matrices.iter().map(|m| m.nrows() * m.ncols()).sum()
    }

    /// The rows that the matrix of a cluster acts on: indices of a leaf, or coefficients of the children.
    fn below(&self, cluster: usize) -> (bool, std::ops::Range<usize>) {
        let c = self.tree.cluster(cluster);
        if c.is_leaf() {
            (true, c.range.clone())
        } else {
            (false, self.starts[c.children.start]..self.starts[c.children.end])
        }
    }

    /// `U_s^T x` of every cluster, from the leaves up; `x` in tree order. Cost: the numbers stored a vector.
    pub fn forward(&self, x: &Matrix<T>) -> Matrix<T> {
        let mut out = Matrix::zeros(self.total(), x.ncols());
        for level in (0..=self.tree.depth()).rev() {
            let parts: Vec<(usize, Mat<T>)> = (self.tree.level(level).into_par_iter())
                .filter(|&s| self.rank(s) > 0)
                .map(|s| {
                    let (leaf, rows) = self.below(s);
                    let from = if leaf { x.as_ref() } else { out.as_ref() };
                    (s, product(self.matrix(s).transpose(), from.subrows(rows.start, rows.len())))
                })
                .collect();
            for (s, part) in parts {
                let at = self.coefficients(s);
                out.as_mut().subrows_mut(at.start, at.len()).copy_from(&part);
            }
        }
        out
    }

    /// `y += sum_s U_s c_s`, from the root down; `y` in tree order.
    pub fn backward(&self, mut c: Matrix<T>, y: &mut Matrix<T>) {
        for level in 0..=self.tree.depth() {
            let parts: Vec<(usize, Mat<T>)> = (self.tree.level(level).into_par_iter())
                .filter(|&s| self.rank(s) > 0)
                .map(|s| {
                    let at = self.coefficients(s);
                    (s, product(self.matrix(s), c.as_ref().subrows(at.start, at.len())))
                })
                .collect();
            for (s, part) in parts {
                let (leaf, rows) = self.below(s);
                let to = if leaf { y.as_mut() } else { c.as_mut() };
                let mut to = to.subrows_mut(rows.start, rows.len());
                for j in 0..part.ncols() {
                    for i in 0..part.nrows() {
                        to[(i, j)] += part[(i, j)];
                    }
                }
            }
        }
    }

    /// Triangular `R_s` with `||U_s X||_F = ||R_s X||_F` for every cluster.
    pub fn weights(&self) -> Vec<Mat<T>> {
        let mut weights = vec![Mat::zeros(0, 0); self.matrices.len()];
        for s in (0..self.matrices.len()).rev() {
            let c = self.tree.cluster(s);
            weights[s] = if c.is_leaf() {
                qr(self.matrix(s)).1
            } else {
                let rows = c.children.clone().map(|child| weights[child].nrows()).sum();
                let mut stack = Mat::zeros(rows, self.rank(s));
                let (mut row, mut from) = (0, 0);
                for child in c.children.clone() {
                    let (w, k) = (&weights[child], self.rank(child));
                    let to = stack.as_mut().subrows_mut(row, w.nrows());
                    add_product(to, T::ONE, w.as_ref(), self.matrix(s).subrows(from, k));
                    (row, from) = (row + w.nrows(), from + k);
                }
                qr(stack.as_ref()).1
            };
        }
        weights
    }

    /// Row `i` (tree order) of the basis of every cluster that holds it, from the leaf up.
    pub fn row(&self, leaf: usize, i: usize) -> Vec<(usize, Vec<T>)> {
        let mut cluster = leaf;
        let m = self.matrix(leaf);
        let at = i - self.tree.cluster(leaf).range.start;
        let mut row: Vec<T> = (0..m.ncols()).map(|k| m[(at, k)]).collect();
        let mut rows = vec![(leaf, row.clone())];
        while let Some(parent) = self.tree.cluster(cluster).parent {
            let first = self.starts[cluster] - self.starts[self.tree.cluster(parent).children.start];
            let m = self.matrix(parent);
            row = (0..m.ncols())
                .map(|k| row.iter().enumerate().fold(T::ZERO, |sum, (j, &x)| sum + x * m[(first + j, k)]))
                .collect();
            rows.push((parent, row.clone()));
            cluster = parent;
        }
        rows
    }
}
