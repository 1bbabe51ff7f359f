//! Skeletons as plain arrays, for files.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::H2Skeleton;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::points::BoundingBox;

/// A skeleton in arrays of numbers. Clusters are breadth first, the root first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct H2SkeletonArrays {
    /// Number of receivers and of children of each cluster, `[clusters][2]`.
    pub row_sizes: Vec<u64>,
    /// The user's number of the receiver at every place of the tree.
    pub row_order: Vec<u64>,
    /// Lower and upper corner of the box of each cluster, `[clusters][2][dimensions]`; empty for a tree without boxes.
    pub row_boxes: Vec<f64>,
    /// Rank of each cluster.
    pub row_ranks: Vec<u64>,
    /// As `row_sizes`, of the sources.
    pub col_sizes: Vec<u64>,
    /// As `row_order`, of the sources.
    pub col_order: Vec<u64>,
    /// As `row_boxes`, of the sources.
    pub col_boxes: Vec<f64>,
    /// As `row_ranks`, of the sources.
    pub col_ranks: Vec<u64>,
    /// Receiver and source cluster of each far pair, `[pairs][2]`.
    pub far: Vec<u64>,
    /// Far pairs of receivers for later layers.
    pub far_hidden: Vec<u64>,
    /// Near pairs of leaves.
    pub near: Vec<u64>,
    /// Near pairs of receivers for later layers.
    pub near_hidden: Vec<u64>,
}

fn wide(numbers: &[usize]) -> Vec<u64> {
    numbers.iter().map(|&n| n as u64).collect()
}

fn flat(pairs: &[(usize, usize)]) -> Vec<u64> {
    pairs.iter().flat_map(|&(s, t)| [s as u64, t as u64]).collect()
}

fn tree_arrays(tree: &ClusterTree) -> (Vec<u64>, Vec<u64>, Vec<f64>) {
    let sizes = tree.clusters().iter().flat_map(|c| [c.len() as u64, c.children.len() as u64]).collect();
    let boxes: Option<Vec<&BoundingBox>> = tree.clusters().iter().map(|c| c.bounding_box.as_ref()).collect();
    let corners = boxes.unwrap_or_default().into_iter().flat_map(|b| b.low.iter().chain(&b.high)).copied().collect();
    (sizes, wide(tree.order()), corners)
}

fn bad(reason: String) -> MatrixError {
    MatrixError::Tree { reason: format!("H2 skeleton: {reason}") }
}

fn narrow(name: &str, numbers: &[u64]) -> Result<Vec<usize>, MatrixError> {
    let narrow = |&n: &u64| usize::try_from(n).map_err(|_| bad(format!("{n} in {name} is too large")));
    numbers.iter().map(narrow).collect()
}

fn read_tree(name: &str, sizes: &[u64], order: &[u64], boxes: &[f64]) -> Result<ClusterTree, MatrixError> {
    let sizes = narrow(name, sizes)?;
    let (sizes, rest) = sizes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(bad(format!("the sizes of the {name} are not pairs")));
    }
    let boxes = if boxes.is_empty() {
        None
    } else {
        let columns = boxes.len() / sizes.len().max(1);
        if columns == 0 || columns % 2 == 1 || columns * sizes.len() != boxes.len() {
            return Err(bad(format!("{} corners for {} clusters of {name}", boxes.len(), sizes.len())));
        }
        if let Some(x) = boxes.iter().find(|x| !x.is_finite()) {
            return Err(bad(format!("a corner of the {name} is {x}")));
        }
        let split = |row: &[f64]| {
            let (low, high) = row.split_at(columns / 2);
            BoundingBox { low: low.to_vec(), high: high.to_vec() }
        };
        Some(boxes.chunks_exact(columns).map(split).collect())
    };
    ClusterTree::from_sizes(sizes, narrow(name, order)?, boxes)
}

fn read_pairs(
    name: &str,
    numbers: &[u64],
    rows: &ClusterTree,
    cols: &ClusterTree,
    leaves: bool,
) -> Result<Vec<(usize, usize)>, MatrixError> {
    let numbers = narrow(name, numbers)?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(bad(format!("{name} is not pairs")));
    }
    let allowed = |tree: &ClusterTree, c: usize| tree.clusters().get(c).is_some_and(|c| c.is_leaf() || !leaves);
    if let Some([s, t]) = pairs.iter().find(|[s, t]| !allowed(rows, *s) || !allowed(cols, *t)) {
        let what = if leaves { "leaves" } else { "clusters" };
        return Err(bad(format!("the pair ({s}, {t}) of {name} is not one of {what}")));
    }
    let mut pairs: Vec<(usize, usize)> = pairs.iter().map(|&[s, t]| (s, t)).collect();
    pairs.sort_unstable();
    if let Some(twice) = pairs.windows(2).find(|w| w[0] == w[1]) {
        return Err(bad(format!("the pair {:?} of {name} occurs twice", twice[0])));
    }
    Ok(pairs)
}

fn read_ranks(name: &str, numbers: &[u64], tree: &ClusterTree) -> Result<Vec<usize>, MatrixError> {
    let ranks = narrow(name, numbers)?;
    if ranks.len() != tree.clusters().len() {
        return Err(bad(format!("{} ranks for {} clusters of {name}", ranks.len(), tree.clusters().len())));
    }
    if let Some(c) = (0..ranks.len()).find(|&c| ranks[c] > 0 && tree.cluster(c).is_empty()) {
        return Err(bad(format!("cluster {c} of {name} is empty and has rank {}", ranks[c])));
    }
    Ok(ranks)
}

impl H2Skeleton {
    /// The arrays.
    pub fn to_arrays(&self) -> H2SkeletonArrays {
        let (row_sizes, row_order, row_boxes) = tree_arrays(&self.rows);
        let (col_sizes, col_order, col_boxes) = tree_arrays(&self.cols);
        H2SkeletonArrays {
            row_sizes,
            row_order,
            row_boxes,
            row_ranks: wide(&self.row_ranks),
            col_sizes,
            col_order,
            col_boxes,
            col_ranks: wide(&self.col_ranks),
            far: flat(&self.far),
            far_hidden: flat(&self.far_hidden),
            near: flat(&self.near),
            near_hidden: flat(&self.near_hidden),
        }
    }

    /// The skeleton of these arrays, checked.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] for arrays that are no skeleton.
    pub fn from_arrays(arrays: &H2SkeletonArrays) -> Result<Self, MatrixError> {
        let a = arrays;
        let rows = Arc::new(read_tree("receivers", &a.row_sizes, &a.row_order, &a.row_boxes)?);
        let cols = Arc::new(read_tree("sources", &a.col_sizes, &a.col_order, &a.col_boxes)?);
        let cols = if rows == cols { rows.clone() } else { cols };
        Ok(Self {
            row_ranks: read_ranks("receivers", &a.row_ranks, &rows)?,
            col_ranks: read_ranks("sources", &a.col_ranks, &cols)?,
            far: read_pairs("far", &a.far, &rows, &cols, false)?,
            far_hidden: read_pairs("far_hidden", &a.far_hidden, &rows, &rows, false)?,
            near: read_pairs("near", &a.near, &rows, &cols, true)?,
            near_hidden: read_pairs("near_hidden", &a.near_hidden, &rows, &rows, true)?,
            rows,
            cols,
        })
    }
}
