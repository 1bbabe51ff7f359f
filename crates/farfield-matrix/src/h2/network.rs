//! H2-matrices as networks and back.
//!
//! An H2 network with one linear layer near and far is an H2-matrix (H2-NN, arXiv 2212.12899, eq. 19): restrictions are the transposed column bases, interpolations
//! the row bases, blocks the blocks. So a network can start from an operator, and a trained one be read back, applied, recompressed and certified. The way to a network
//! writes out blocks that are recomputed or kept once for a symmetric pair, and multiplies the factor of the matrix into the blocks; with factor 1 both ways are exact.
//! Cost: one pass over the numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use faer::Mat;
use farfield_kernels::{H2Layout, H2Spec};

use super::basis::ClusterBasis;
use super::{H2Matrix, H2Parts};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::h2_skeleton::H2Skeleton;
use crate::scalar::Scalar;

impl<T: Scalar> H2Matrix<T> {
    /// The skeleton of the matrix and the parameters of the linear network on it, as `skeleton.layout(&H2Spec::linear(), 1, 1)` places them.
    ///
    /// # Errors
    /// [`MatrixError::Layout`] for more parameters than can be addressed.
    pub fn to_network(&self) -> Result<(H2Skeleton, Vec<T>), MatrixError> {
        let skeleton = H2Skeleton::of(self);
        let layout = skeleton.layout(&H2Spec::linear(), 1, 1)?;
        let mut parameters = vec![T::ZERO; layout.len()];
        for (cluster, block) in layout.restrictions().into_iter().enumerate() {
            if let Some(block) = block {
                let v = self.col_basis().matrix(cluster);
                put(&mut parameters[block.range()], block.cols, |i, j| v[(j, i)]);
            }
        }
        for (cluster, block) in layout.interpolations().into_iter().enumerate() {
            if let Some(block) = block {
                let u = self.row_basis().matrix(cluster);
                put(&mut parameters[block.range()], block.cols, |i, j| u[(i, j)]);
            }
        }
        // Where the numbers of each pair come from, and whether transposed.
        let (far, near) = (self.far_pairs(), self.near_pairs());
        let mut numbers = Vec::new();
        for (pairs, first, places) in [(far, 0, far_places(&layout)), (near, far.len(), near_places(&layout))] {
            for (i, &(s, t)) in pairs.iter().enumerate() {
                self.numbers(first + i, &mut numbers);
                let rows = self.size(first + i).0;
                if let Some(block) = places.get(&(s, t)) {
                    put(&mut parameters[block.range()], block.cols, |i, j| self.factor() * numbers[i + j * rows]);
                }
                if self.is_mirrored()
                    && s != t
                    && let Some(block) = places.get(&(t, s))
                {
                    put(&mut parameters[block.range()], block.cols, |i, j| self.factor() * numbers[j + i * rows]);
                }
            }
        }
        Ok((skeleton, parameters))
    }

    /// The matrix of the linear network with these parameters, placed as by `skeleton.layout(&H2Spec::linear(), 1, 1)`.
    ///
    /// # Errors
    /// [`MatrixError::Length`] for a wrong number of parameters, [`MatrixError::Option`] for one that is not finite, [`MatrixError::Layout`] for a skeleton with
    /// blocks that cannot be.
    pub fn from_network(skeleton: &H2Skeleton, parameters: &[T]) -> Result<Self, MatrixError> {
        let layout = skeleton.layout(&H2Spec::linear(), 1, 1)?;
        if parameters.len() != layout.len() {
            let (got, expected) = (parameters.len(), layout.len());
            return Err(MatrixError::Length { what: "H2-matrix of a network", got, expected });
        }
        if let Some(i) = parameters.iter().position(|x| !x.is_finite()) {
            let value = format!("{} (number {i})", parameters[i]);
            return Err(MatrixError::Option { name: "parameter", value, rule: "must be finite" });
        }
        // A cluster without rank has an empty basis on the numbers below it.
        let below = |tree: &ClusterTree, ranks: &[usize], c: usize| {
            let cluster = tree.cluster(c);
            if cluster.is_leaf() { cluster.len() } else { ranks[cluster.children.clone()].iter().sum() }
        };
        let (row_tree, col_tree) = (skeleton.rows(), skeleton.cols());
        let row = |(c, block): (usize, Option<farfield_kernels::Block>)| match block {
            Some(b) => Mat::from_fn(b.rows, b.cols, |i, j| parameters[b.offset + i * b.cols + j]),
            None => Mat::zeros(below(row_tree, skeleton.row_ranks(), c), 0),
        };
        let col = |(c, block): (usize, Option<farfield_kernels::Block>)| match block {
            Some(b) => Mat::from_fn(b.cols, b.rows, |i, j| parameters[b.offset + j * b.cols + i]),
            None => Mat::zeros(below(col_tree, skeleton.col_ranks(), c), 0),
        };
        let row_matrices = layout.interpolations().into_iter().enumerate().map(row).collect();
        let col_matrices = layout.restrictions().into_iter().enumerate().map(col).collect();
        let (far_places, near_places) = (far_places(&layout), near_places(&layout));
        let mut values = Vec::new();
        for block in far_places.values().chain(near_places.values()) {
            for j in 0..block.cols {
                values.extend((0..block.rows).map(|i| parameters[block.offset + i * block.cols + j]));
            }
        }
        Ok(Self::from_parts(H2Parts {
            rows: Arc::new(ClusterBasis::new(row_tree.clone(), row_matrices)),
            cols: Arc::new(ClusterBasis::new(col_tree.clone(), col_matrices)),
            mirrored: false,
            far: far_places.into_keys().collect(),
            near: near_places.into_keys().collect(),
            values,
            factor: T::ONE,
        }))
    }
}

/// A block of each pair of clusters.
type PairBlocks = BTreeMap<(usize, usize), farfield_kernels::Block>;

fn far_places(layout: &H2Layout) -> PairBlocks {
    let far = &layout.far()[0];
    far.pairs().enumerate().map(|(p, pair)| (pair, far.block(p, 0))).collect()
}

fn near_places(layout: &H2Layout) -> PairBlocks {
    let near = &layout.near()[0];
    let (rows, cols): (Vec<usize>, Vec<usize>) = (layout.row_leaves().collect(), layout.col_leaves().collect());
    near.pairs().enumerate().map(|(p, (k, l))| ((rows[k], cols[l]), near.block(p, 0))).collect()
}

/// Writes a row-major block.
fn put<T>(to: &mut [T], cols: usize, entry: impl Fn(usize, usize) -> T) {
    for (at, to) in to.iter_mut().enumerate() {
        *to = entry(at / cols, at % cols);
    }
}
