//! Cluster trees: indices ordered so that every cluster of the hierarchy is a range.
//!
//! The root holds all indices; the children of a cluster split it; leaves hold at most `leaf_size` indices. The tree keeps the
//! permutation from its own order to the user's: vectors go in and come out in the user's order, everything inside works in *tree order*.
//! Clusters are stored breadth first, so that each level and the children of each cluster are ranges. Any number of children is
//! allowed, and leaves may lie on any level.
//!
//! Hackbusch, *Hierarchical Matrices* (2015), section 5.3.

mod cells;
mod geometric;
mod given;

use std::ops::Range;

use crate::error::MatrixError;
use crate::matrix::Matrix;
use crate::points::{BoundingBox, Points};
use crate::scalar::Scalar;

pub use cells::Depth;
pub use geometric::Splitting;
pub use given::Nested;

/// One cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its indices, in tree order.
    pub range: Range<usize>,
    /// Its children among the clusters of the tree; empty for a leaf.
    pub children: Range<usize>,
    /// The cluster it is a part of.
    pub parent: Option<usize>,
    /// 0 for the root.
    pub level: usize,
    /// The box around its points, if the tree was built from points.
    pub bounding_box: Option<BoundingBox>,
}

impl Cluster {
    /// Number of indices.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether it has no indices.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Whether it has no children.
    pub fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }
}

/// A hierarchy of clusters over the indices `0..n`.
///
/// ```
/// use farfield_matrix::{ClusterTree, Points, Splitting};
/// let tree = ClusterTree::bisection(1000, 32)?;
/// assert_eq!((tree.depth(), tree.leaves().count()), (5, 32));
/// let points = Points::new(1, (0..1000).map(|i| (i as f64 * 0.618) % 1.0).collect())?;
/// let tree = ClusterTree::geometric(&points, 32, Splitting::Median)?;
/// assert!(tree.leaves().all(|leaf| tree.cluster(leaf).len() <= 32));
/// # Ok::<(), farfield_matrix::MatrixError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterTree {
    clusters: Vec<Cluster>,
    /// First cluster of each level, and the number of clusters.
    levels: Vec<usize>,
    /// Index of the user at each place of the tree order.
    order: Vec<usize>,
}

impl ClusterTree {
    /// `0..n` halved until at most `leaf_size` indices are left; all leaves on one level, sizes that differ by at most one.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] for `n = 0` or `leaf_size = 0`.
    pub fn bisection(n: usize, leaf_size: usize) -> Result<Self, MatrixError> {
        check(n, leaf_size)?;
        let mut levels = 0;
        while n.div_ceil(1 << levels) > leaf_size {
            levels += 1;
        }
        Self::with_levels(n, levels)
    }

    /// `2^levels` leaves of `0..n`, leaf `i` from `floor(i n / 2^levels)`: the tree of
    /// [`HssLayout::new`](farfield_kernels::HssLayout::new).
    ///
    /// # Errors
    /// [`MatrixError::Tree`] for `n = 0` or more than `2^24` leaves.
    pub fn with_levels(n: usize, levels: usize) -> Result<Self, MatrixError> {
        check(n, 1)?;
        if levels > farfield_kernels::MAX_LEVELS {
            return Err(MatrixError::Tree { reason: format!("{levels} levels") });
        }
        let mut clusters = Vec::new();
        let mut starts = vec![0];
        for level in 0..=levels {
            for i in 0..1usize << level {
                let shift = levels - level;
                let bound = |i: usize| ((i << shift) * n) >> levels;
                let this = clusters.len();
                clusters.push(Cluster {
                    range: bound(i)..bound(i + 1),
                    children: if level < levels { 2 * this + 1..2 * this + 3 } else { 0..0 },
                    parent: this.checked_sub(1).map(|k| k / 2),
                    level,
                    bounding_box: None,
                });
            }
            starts.push(clusters.len());
        }
        Ok(Self { clusters, levels: starts, order: (0..n).collect() })
    }

    /// A tree for points, split as `splitting` says. Coinciding points are split by their number.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] for no points or `leaf_size = 0`.
    pub fn geometric(points: &Points, leaf_size: usize, splitting: Splitting) -> Result<Self, MatrixError> {
        check(points.len(), leaf_size)?;
        let mut order: Vec<usize> = (0..points.len()).collect();
        let tree = Self::breadth_first(points.len(), |range, _| {
            if range.len() <= leaf_size {
                return Vec::new();
            }
            geometric::split(points, &mut order[range.clone()], splitting)
        });
        Ok(Self { order, ..tree }.with_boxes(points))
    }

    /// The same clusters without the indices that are not `kept`; the others are numbered in their order. Clusters may become empty. `None` when no index
    /// is kept.
    pub(crate) fn restricted(&self, kept: &[bool]) -> Option<Self> {
        let mut number = vec![0; self.len()];
        let places = (0..self.len()).filter(|&i| kept[i]);
        places.enumerate().for_each(|(next, i)| number[i] = next);
        let count = |c: &Cluster| self.order[c.range.clone()].iter().filter(|&&i| kept[i]).count();
        let sizes: Vec<[usize; 2]> = self.clusters.iter().map(|c| [count(c), c.children.len()]).collect();
        let order = self.order.iter().filter(|&&i| kept[i]).map(|&i| number[i]).collect();
        Self::from_sizes(&sizes, order, None).ok()
    }

    /// Whether two trees have the same clusters but for their sizes.
    pub fn same_shape(&self, other: &Self) -> bool {
        let children = |tree: &Self| tree.clusters.iter().map(|c| c.children.clone()).collect::<Vec<_>>();
        children(self) == children(other)
    }

    /// The same tree with the boxes around the points of its clusters, as admissibility by distance needs them.
    ///
    /// # Errors
    /// [`MatrixError::Points`] unless there is one point an index.
    pub fn with_points(self, points: &Points) -> Result<Self, MatrixError> {
        if points.len() != self.len() {
            let reason = format!("{} points for a tree of {} indices", points.len(), self.len());
            return Err(MatrixError::Points { reason });
        }
        Ok(self.with_boxes(points))
    }

    /// Breadth-first construction: `split` gives the sizes of the parts of a range, none for a leaf.
    fn breadth_first(n: usize, mut split: impl FnMut(Range<usize>, usize) -> Vec<usize>) -> Self {
        let root = Cluster { range: 0..n, children: 0..0, parent: None, level: 0, bounding_box: None };
        let mut clusters = vec![root];
        let mut levels = vec![0];
        let mut next = 0;
        while next < clusters.len() {
            let (range, level) = (clusters[next].range.clone(), clusters[next].level);
            if level == levels.len() {
                levels.push(next);
            }
            let first = clusters.len();
            let mut start = range.start;
            for size in split(range, level) {
                clusters.push(Cluster {
                    range: start..start + size,
                    children: 0..0,
                    parent: Some(next),
                    level: level + 1,
                    bounding_box: None,
                });
                start += size;
            }
            if clusters.len() > first {
                clusters[next].children = first..clusters.len();
            }
            next += 1;
        }
        levels.push(clusters.len());
        Self { clusters, levels, order: (0..n).collect() }
    }

    fn with_boxes(mut self, points: &Points) -> Self {
        let ordered = points.selected(&self.order);
        for cluster in &mut self.clusters {
            cluster.bounding_box = Some(ordered.bounding_box(cluster.range.clone()));
        }
        self
    }

    /// Number of indices.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Never: a tree has at least one index.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// All clusters, breadth first; 0 is the root.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// Cluster `i`.
    ///
    /// # Panics
    /// When there is no such cluster, as for a slice.
    pub fn cluster(&self, i: usize) -> &Cluster {
        &self.clusters[i]
    }

    /// The number of the deepest level; 0 when the root is a leaf.
    pub fn depth(&self) -> usize {
        self.levels.len() - 2
    }

    /// The clusters of a level.
    ///
    /// # Panics
    /// When `level > self.depth()`.
    pub fn level(&self, level: usize) -> Range<usize> {
        self.levels[level]..self.levels[level + 1]
    }

    /// The clusters without children, breadth first.
    pub fn leaves(&self) -> impl Iterator<Item = usize> {
        (0..self.clusters.len()).filter(|&i| self.clusters[i].is_leaf())
    }

    /// The user's index at every place of the tree order.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The user's indices of a cluster.
    pub fn indices(&self, cluster: usize) -> &[usize] {
        &self.order[self.clusters[cluster].range.clone()]
    }

    /// Rows from the user's order to tree order.
    pub(crate) fn to_tree_order<T: Scalar>(&self, x: &Matrix<T>) -> Matrix<T> {
        Matrix::from_fn(x.nrows(), x.ncols(), |i, j| x[(self.order[i], j)])
    }

    /// Rows from tree order to the user's.
    pub(crate) fn to_user_order<T: Scalar>(&self, x: &Matrix<T>) -> Matrix<T> {
        let mut out = Matrix::zeros(x.nrows(), x.ncols());
        for j in 0..x.ncols() {
            let (from, to) = (x.col(j), out.col_mut(j));
            for (&value, &i) in from.iter().zip(&self.order) {
                to[i] = value;
            }
        }
        out
    }

    /// For every index of the user its place in tree order.
    pub fn positions(&self) -> Vec<usize> {
        let mut positions = vec![0; self.len()];
        for (place, &i) in self.order.iter().enumerate() {
            positions[i] = place;
        }
        positions
    }
}

fn check(n: usize, leaf_size: usize) -> Result<(), MatrixError> {
    if n == 0 {
        return Err(MatrixError::Tree { reason: "there are no indices".to_owned() });
    }
    if leaf_size == 0 {
        return Err(MatrixError::Tree { reason: "leaf_size is 0, it must be at least 1".to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every property that the rest of the crate relies on.
    fn check_tree(tree: &ClusterTree, n: usize) {
        assert_eq!(tree.cluster(0).range, 0..n);
        let mut sorted = tree.order().to_vec();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..n));
        let mut next_child = 1;
        for (i, cluster) in tree.clusters().iter().enumerate() {
            assert!(tree.level(cluster.level).contains(&i));
            if !cluster.is_leaf() {
                assert_eq!(cluster.children.start, next_child);
                next_child = cluster.children.end;
                let mut start = cluster.range.start;
                for child in cluster.children.clone() {
                    let child = tree.cluster(child);
                    assert_eq!((child.parent, child.level, child.range.start), (Some(i), cluster.level + 1, start));
                    start = child.range.end;
                }
                assert_eq!(start, cluster.range.end);
            }
        }
        assert_eq!(next_child, tree.clusters().len());
        assert_eq!(tree.level(tree.depth()).end, tree.clusters().len());
        let places = tree.positions();
        assert!((0..n).all(|i| tree.order()[places[i]] == i));
    }

    #[test]
    fn bisection_of_any_size() {
        for n in 1..70 {
            for leaf_size in 1..12 {
                let tree = ClusterTree::bisection(n, leaf_size).unwrap();
                check_tree(&tree, n);
                let sizes: Vec<usize> = tree.leaves().map(|leaf| tree.cluster(leaf).len()).collect();
                let (least, most) = (*sizes.iter().min().unwrap(), *sizes.iter().max().unwrap());
                assert!(most <= leaf_size && most - least <= 1, "n = {n}, leaf size {leaf_size}: {sizes:?}");
            }
        }
        check_tree(&ClusterTree::with_levels(3, 4).unwrap(), 3);
        assert!(ClusterTree::bisection(0, 1).is_err() && ClusterTree::bisection(1, 0).is_err());
        assert!(ClusterTree::with_levels(1, 60).is_err());
    }

    #[test]
    fn geometric_trees_of_any_points() {
        let cloud: Vec<f64> = (0..3 * 211).map(|i| (i as f64 * 0.7548776662).fract()).collect();
        let line: Vec<f64> = (0..100).flat_map(|i| [i as f64, 2.0 * i as f64]).collect();
        let sets = [
            Points::new(3, cloud).unwrap(),
            Points::new(2, line).unwrap(),
            Points::new(2, vec![0.5; 2 * 77]).unwrap(), // all in one place
            Points::new(1, vec![1.0]).unwrap(),
            Points::new(1, (0..40).map(|i| if i < 39 { 0.0 } else { 1.0 }).collect()).unwrap(),
        ];
        for points in &sets {
            for splitting in [Splitting::Median, Splitting::Midpoint, Splitting::PrincipalComponent, Splitting::Boxes] {
                for leaf_size in [1, 4, 30] {
                    let tree = ClusterTree::geometric(points, leaf_size, splitting).unwrap();
                    check_tree(&tree, points.len());
                    assert!(tree.leaves().all(|leaf| (1..=leaf_size).contains(&tree.cluster(leaf).len())));
                    for cluster in tree.clusters() {
                        let bounds = cluster.bounding_box.as_ref().unwrap();
                        for place in cluster.range.clone() {
                            let point = points.point(tree.order()[place]);
                            assert!((0..points.dim()).all(|k| bounds.low[k] <= point[k] && point[k] <= bounds.high[k]));
                        }
                    }
                }
            }
        }
        assert!(ClusterTree::geometric(&Points::new(2, vec![]).unwrap(), 4, Splitting::Median).is_err());
    }

    #[test]
    fn hierarchies_of_the_user() {
        let nested = Nested::Split(vec![
            Nested::Leaf(vec![4, 0]),
            Nested::Split(vec![Nested::Leaf(vec![3]), Nested::Leaf(vec![]), Nested::Leaf(vec![1, 5])]),
            Nested::Leaf(vec![2]),
        ]);
        let tree = ClusterTree::from_nested(&nested).unwrap();
        check_tree(&tree, 6);
        assert_eq!(tree.order(), [4, 0, 3, 1, 5, 2]);
        assert_eq!((tree.depth(), tree.cluster(2).range.clone(), tree.indices(6)), (2, 2..5, &[1, 5][..]));
        for bad in [
            Nested::Leaf(vec![0, 0]),
            Nested::Leaf(vec![1]),
            Nested::Leaf(vec![]),
            Nested::Split(vec![]),
            Nested::Split(vec![Nested::Leaf(vec![0]), Nested::Split(vec![])]),
        ] {
            assert!(ClusterTree::from_nested(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn vectors_go_to_tree_order_and_back() {
        let nested = Nested::Split(vec![Nested::Leaf(vec![2, 0]), Nested::Leaf(vec![1])]);
        let tree = ClusterTree::from_nested(&nested).unwrap();
        let x = Matrix::from_fn(3, 2, |i, j| (10 * j + i) as f64);
        let inside = tree.to_tree_order(&x);
        assert_eq!(inside.col(1), [12.0, 10.0, 11.0]);
        assert_eq!(tree.to_user_order(&inside), x);
    }
}
