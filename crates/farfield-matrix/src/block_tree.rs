//! Block trees: which blocks of a matrix have low rank.
//!
//! The root is the whole matrix. A block whose two clusters are admissible is a low-rank leaf; one that is not is split into the
//! blocks of its clusters' children until one cluster of it cannot be split, and is then a dense leaf. Row and column trees may differ.
//!
//! Hackbusch, *Hierarchical Matrices* (2015), section 5.5. Cost: O(number of blocks), which is O(n / leaf_size) for the usual
//! admissibilities.

use std::ops::Range;

use crate::cluster_tree::{Cluster, ClusterTree};
use crate::error::MatrixError;

/// Which blocks are approximated by low rank.
#[derive(Clone, Copy)]
pub enum Admissibility<'a> {
    /// Every block off the diagonal: two clusters that share no indices. For HODLR and HSS. Needs equal row and column indices.
    Weak,
    /// Clusters far from each other: `min(diam s, diam t) <= eta dist(s, t)`, with a positive distance. Needs points.
    Strong {
        /// Larger is more admissible; 1 to 3 is usual.
        eta: f64,
    },
    /// Clusters each of which is far from the other: `max(diam s, diam t) <= eta dist(s, t)`, with a positive distance, as H2-matrices are built. Needs points.
    StrongMax {
        /// As for [`Admissibility::Strong`].
        eta: f64,
    },
    /// As the function of row and column cluster says.
    Custom(&'a (dyn Fn(&Cluster, &Cluster) -> bool + Sync)),
}

/// What becomes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// A leaf of low rank.
    LowRank,
    /// A dense leaf.
    Dense,
    /// Split into its children.
    Split,
}

/// One block: a pair of clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockCluster {
    /// Cluster of its rows in the row tree.
    pub row: usize,
    /// Cluster of its columns in the column tree.
    pub col: usize,
    /// What becomes of it.
    pub kind: BlockKind,
    /// Its children among the blocks, those of the first row cluster first; empty for a leaf.
    pub children: Range<usize>,
    /// The number of row clusters among the children: child `(i, j)` is `children.start + i * columns + j`.
    pub child_rows: usize,
    /// 0 for the root.
    pub level: usize,
}

impl BlockCluster {
    /// The number of column clusters among the children.
    pub fn child_cols(&self) -> usize {
        self.children.len().checked_div(self.child_rows).unwrap_or(0)
    }
}

/// The blocks of a matrix, breadth first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockTree {
    blocks: Vec<BlockCluster>,
}

impl BlockTree {
    /// The block tree of a row and a column tree. When only one cluster of a block can be split, that one is.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] for strong admissibility without points, weak admissibility of trees of different size;
    /// [`MatrixError::Option`] unless `eta` is positive.
    pub fn new(rows: &ClusterTree, cols: &ClusterTree, admissibility: Admissibility) -> Result<Self, MatrixError> {
        match admissibility {
            Admissibility::Weak if rows.len() != cols.len() => {
                let reason = format!("weak admissibility of {} rows and {} columns", rows.len(), cols.len());
                return Err(MatrixError::Tree { reason });
            }
            Admissibility::Strong { eta } | Admissibility::StrongMax { eta } => {
                if !(eta > 0.0 && eta.is_finite()) {
                    return Err(MatrixError::Option { name: "eta", value: eta.to_string(), rule: "must be positive" });
                }
                if [rows, cols].iter().any(|tree| tree.cluster(0).bounding_box.is_none()) {
                    let reason = "admissibility by distance needs a tree built from points".to_owned();
                    return Err(MatrixError::Tree { reason });
                }
            }
            _ => {}
        }
        let admissible = |s: &Cluster, t: &Cluster| match admissibility {
            Admissibility::Weak => s.range.end <= t.range.start || t.range.end <= s.range.start,
            Admissibility::Strong { eta } => far(s, t, eta, f64::min),
            Admissibility::StrongMax { eta } => far(s, t, eta, f64::max),
            Admissibility::Custom(function) => function(s, t),
        };
        let leaf =
            |row, col, level| BlockCluster { row, col, kind: BlockKind::Dense, children: 0..0, child_rows: 0, level };
        let mut blocks = vec![leaf(0, 0, 0)];
        let mut next = 0;
        while next < blocks.len() {
            let BlockCluster { row, col, level, .. } = blocks[next];
            let (s, t) = (rows.cluster(row), cols.cluster(col));
            if !s.is_empty() && !t.is_empty() {
                if admissible(s, t) {
                    blocks[next].kind = BlockKind::LowRank;
                } else if !s.is_leaf() || !t.is_leaf() {
                    let parts = |cluster: &Cluster, i: usize| {
                        if cluster.is_leaf() { i..i + 1 } else { cluster.children.clone() }
                    };
                    let first = blocks.len();
                    for i in parts(s, row) {
                        for j in parts(t, col) {
                            blocks.push(leaf(i, j, level + 1));
                        }
                    }
                    blocks[next].kind = BlockKind::Split;
                    blocks[next].children = first..blocks.len();
                    blocks[next].child_rows = parts(s, row).len();
                }
            }
            next += 1;
        }
        Ok(Self { blocks })
    }

    /// All blocks, breadth first; 0 is the root.
    pub fn blocks(&self) -> &[BlockCluster] {
        &self.blocks
    }

    /// The leaves, breadth first.
    pub fn leaves(&self) -> impl Iterator<Item = (usize, &BlockCluster)> {
        self.blocks.iter().enumerate().filter(|(_, block)| block.kind != BlockKind::Split)
    }
}

/// Whether the smaller (or larger) diameter of two clusters is at most `eta` times their distance.
fn far(s: &Cluster, t: &Cluster, eta: f64, of_both: fn(f64, f64) -> f64) -> bool {
    match (&s.bounding_box, &t.bounding_box) {
        (Some(a), Some(b)) => {
            let distance = a.distance(b);
            distance > 0.0 && of_both(a.diameter(), b.diameter()) <= eta * distance
        }
        _ => false,
    }
}

/// A leaf of a hierarchical matrix, as a drawing or a report needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its rows, in tree order.
    pub rows: Range<usize>,
    /// Its columns, in tree order.
    pub cols: Range<usize>,
    /// 0 for the root.
    pub level: usize,
    /// The rank of a leaf of low rank; `None` for a dense one.
    pub rank: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_tree::Splitting;
    use crate::points::Points;

    /// Every entry lies in exactly one leaf.
    fn check_tiling(rows: &ClusterTree, cols: &ClusterTree, tree: &BlockTree) {
        let mut covered = vec![0u8; rows.len() * cols.len()];
        for (_, block) in tree.leaves() {
            for i in rows.cluster(block.row).range.clone() {
                for j in cols.cluster(block.col).range.clone() {
                    covered[i * cols.len() + j] += 1;
                }
            }
        }
        assert!(covered.iter().all(|&c| c == 1));
    }

    #[test]
    fn the_leaves_tile_the_matrix() {
        let cloud = |n: usize, s: f64| Points::new(2, (0..2 * n).map(|i| (i as f64 * s).fract()).collect()).unwrap();
        let (a, b) = (cloud(150, 0.7548776662), cloud(90, 0.5698402910));
        let rows = ClusterTree::geometric(&a, 8, Splitting::Midpoint).unwrap();
        let cols = ClusterTree::geometric(&b, 11, Splitting::Boxes).unwrap();
        let low_rank = |tree: &BlockTree| tree.leaves().filter(|(_, b)| b.kind == BlockKind::LowRank).count();
        for eta in [0.5, 1.0, 3.0] {
            for admissibility in [Admissibility::Strong { eta }, Admissibility::StrongMax { eta }] {
                let tree = BlockTree::new(&rows, &cols, admissibility).unwrap();
                check_tiling(&rows, &cols, &tree);
                assert!(low_rank(&tree) > 0);
            }
        }
        let far = |s: &Cluster, t: &Cluster| s.range.start.abs_diff(t.range.start) > 40;
        check_tiling(&rows, &cols, &BlockTree::new(&rows, &cols, Admissibility::Custom(&far)).unwrap());
    }

    #[test]
    fn weak_admissibility_of_a_halving_is_the_hodlr_partition() {
        let tree = ClusterTree::bisection(64, 8).unwrap();
        let blocks = BlockTree::new(&tree, &tree, Admissibility::Weak).unwrap();
        check_tiling(&tree, &tree, &blocks);
        let low = |level| blocks.leaves().filter(|(_, b)| b.kind == BlockKind::LowRank && b.level == level).count();
        assert_eq!([low(1), low(2), low(3)], [2, 4, 8]);
        assert_eq!(blocks.leaves().filter(|(_, b)| b.kind == BlockKind::Dense).count(), 8);
        let split = &blocks.blocks()[0];
        assert_eq!((split.child_rows, split.child_cols()), (2, 2));
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let (a, b) = (ClusterTree::bisection(10, 2).unwrap(), ClusterTree::bisection(11, 2).unwrap());
        assert!(BlockTree::new(&a, &b, Admissibility::Weak).is_err());
        assert!(BlockTree::new(&a, &a, Admissibility::Strong { eta: 1.0 }).is_err());
        let points = Points::new(1, (0..10).map(f64::from).collect()).unwrap();
        let a = a.with_points(&points).unwrap();
        assert!(BlockTree::new(&a, &a, Admissibility::Strong { eta: 0.0 }).is_err());
        assert!(BlockTree::new(&a, &a, Admissibility::StrongMax { eta: f64::NAN }).is_err());
        assert!(BlockTree::new(&a, &a, Admissibility::Strong { eta: 1.0 }).is_ok());
    }
}
