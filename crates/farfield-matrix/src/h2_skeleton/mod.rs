//! H2 skeletons: trees, sparsity templates and ranks of an H2-matrix, without any of its blocks.
//!
//! An H2 network (H2-NN, arXiv 2212.12899, section 2.2) needs from an H2-matrix nothing but the sizes of its parts. From sources and receivers, or a tensor grid when
//! there are no points, come the cluster trees; on each level two clusters are far when the distance of the centres of their boxes exceeds `separation` times the size of the
//! larger box (remark 2), and close otherwise; far pairs whose parents are close make the interaction lists (definition A.1), close pairs of leaves the near
//! field.
//!
//! The second and later layers of a network stay on the receivers. Their templates are those of the receivers with themselves, between clusters that hear of a source
//! at all; a cluster whose list would be empty sees itself. Where sources and receivers coincide they are the templates of the first layer.
//!
//! Cost: O(n log n) for the trees, O(clusters) pairs for points of moderate density.

mod arrays;
mod summary;

use std::collections::BTreeSet;
use std::sync::Arc;

use farfield_kernels::{H2Cluster, H2Layout, H2Shape, H2Spec, PointOrder};

use crate::block_tree::{Admissibility, BlockKind, BlockTree, Leaf};
use crate::cluster_tree::{Cluster, ClusterTree, Depth};
use crate::error::MatrixError;
use crate::h2::H2Matrix;
use crate::points::{BoundingBox, Points};
use crate::scalar::Scalar;
pub use arrays::H2SkeletonArrays;

/// Coefficients that stand for a cluster. A cluster never has more than there are numbers below it: its points, or the coefficients of its children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranks {
    /// The same on every level.
    Constant(usize),
    /// One number a level, that of the root first.
    PerLevel(Vec<usize>),
}

/// How to make a skeleton from points.
#[derive(Clone, Debug, PartialEq)]
pub struct H2SkeletonOptions {
    /// Where the division into cells ends; leaves of at most 10 points by default.
    pub depth: Depth,
    /// Two clusters are far when their centres are further apart than this times the longest side of the larger box. The default, 1.75, lies between the square
    /// root of 3 and 2: neighbours, those across corners included, are close in up to three dimensions, all other cells far.
    pub separation: f64,
    /// 10 by default.
    pub ranks: Ranks,
    /// The box that is divided; by default the smallest cube with the lower corner of the points, so that cells are cubes.
    pub bounds: Option<BoundingBox>,
}

impl Default for H2SkeletonOptions {
    fn default() -> Self {
        Self { depth: Depth::LeafSize(10), separation: 1.75, ranks: Ranks::Constant(10), bounds: None }
    }
}

/// Trees, pairs and ranks of an H2-matrix or an H2 network. Rows are receivers, columns sources.
#[derive(Clone, Debug, PartialEq)]
pub struct H2Skeleton {
    rows: Arc<ClusterTree>,
    cols: Arc<ClusterTree>,
    row_ranks: Vec<usize>,
    col_ranks: Vec<usize>,
    far: Vec<(usize, usize)>,
    far_hidden: Vec<(usize, usize)>,
    near: Vec<(usize, usize)>,
    near_hidden: Vec<(usize, usize)>,
}

/// Far and near pairs.
type Pairs = (Vec<(usize, usize)>, Vec<(usize, usize)>);

impl H2Skeleton {
    /// The skeleton of receivers (rows) and sources (columns), on cells of one box. Points may coincide.
    ///
    /// # Errors
    /// [`MatrixError::Points`] for sets of different dimension or a point outside the given box; [`MatrixError::Tree`] for an empty set;
    /// [`MatrixError::Option`] for a separation or rank that is not positive, or too few ranks.
    ///
    /// ```
    /// use farfield_matrix::{H2Skeleton, H2SkeletonOptions, Points};
    /// let sources = Points::new(1, (0..320).map(|i| f64::from(i) / 320.0).collect())?;
    /// let receivers = Points::new(1, (0..100).map(|i| f64::from(i) / 100.0).collect())?;
    /// let skeleton = H2Skeleton::from_points(&receivers, &sources, &H2SkeletonOptions::default())?;
    /// assert_eq!((skeleton.nrows(), skeleton.ncols()), (100, 320));
    /// # Ok::<(), farfield_matrix::MatrixError>(())
    /// ```
    pub fn from_points(rows: &Points, cols: &Points, options: &H2SkeletonOptions) -> Result<Self, MatrixError> {
        if rows.dim() != cols.dim() {
            let reason = format!("receivers have {} coordinates and sources {}", rows.dim(), cols.dim());
            return Err(MatrixError::Points { reason });
        }
        let bounds = match &options.bounds {
            Some(bounds) => bounds.clone(),
            None => cube(rows, cols),
        };
        let tree = |points: &Points| ClusterTree::cells(points, &bounds, options.depth).map(Arc::new);
        let row_tree = tree(rows)?;
        let col_tree = if rows == cols { row_tree.clone() } else { tree(cols)? };
        if !(options.separation > 0.0 && options.separation.is_finite()) {
            let value = options.separation.to_string();
            return Err(MatrixError::Option { name: "separation", value, rule: "must be positive" });
        }
        let far = |s: &Cluster, t: &Cluster| separated(s, t, options.separation);
        Self::from_trees(row_tree, col_tree, Admissibility::Custom(&far), &options.ranks)
    }

    /// The skeleton of a tensor grid with so many points along each axis, in row-major order (the last axis fastest); sources and receivers are the same. Points are one
    /// apart, in the middle of unit cells, and without [`H2SkeletonOptions::bounds`] the divided cube starts at the origin: a cluster is a box of the grid, and the
    /// sizes of clusters differ by one point an axis where the number of points is no multiple of a power of two.
    ///
    /// # Errors
    /// [`MatrixError::Points`] for no axis, an axis without points or too many points; else as [`H2Skeleton::from_points`].
    pub fn from_grid(shape: &[usize], options: &H2SkeletonOptions) -> Result<Self, MatrixError> {
        let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n)).filter(|&count| count < 1 << 32);
        let (Some(count), Some(&longest)) = (count.filter(|&count| count > 0), shape.iter().max()) else {
            return Err(MatrixError::Points { reason: format!("a grid of {shape:?} points") });
        };
        let mut coordinates = Vec::with_capacity(count * shape.len());
        for i in 0..count {
            let mut rest = i;
            let at = coordinates.len();
            for &n in shape.iter().rev() {
                coordinates.push((rest % n) as f64 + 0.5);
                rest /= n;
            }
            coordinates[at..].reverse();
        }
        let points = Points::new(shape.len(), coordinates)?;
        let cube = BoundingBox { low: vec![0.0; shape.len()], high: vec![longest as f64; shape.len()] };
        let bounds = Some(options.bounds.clone().unwrap_or(cube));
        Self::from_points(&points, &points, &H2SkeletonOptions { bounds, ..options.clone() })
    }

    /// The skeleton on any trees and for any admissibility.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] or [`MatrixError::Option`] for an admissibility that does not fit the trees, ranks that are not positive or too few.
    pub fn from_trees(
        rows: Arc<ClusterTree>,
        cols: Arc<ClusterTree>,
        admissibility: Admissibility,
        ranks: &Ranks,
    ) -> Result<Self, MatrixError> {
        let (far, near) = pairs(&rows, &cols, admissibility)?;
        let among = if rows == cols { (far.clone(), near.clone()) } else { pairs(&rows, &rows, admissibility)? };
        let needed = |of: fn(&(usize, usize)) -> usize| far.iter().map(of).collect::<BTreeSet<usize>>();
        let row_ranks = ranks_of(&rows, &needed(|pair| pair.0), ranks)?;
        let col_ranks = ranks_of(&cols, &needed(|pair| pair.1), ranks)?;
        let (far_hidden, near_hidden) = (hidden(&far, &among.0), hidden(&near, &among.1));
        Ok(Self { rows, cols, row_ranks, col_ranks, far, far_hidden, near, near_hidden })
    }

    /// The skeleton of an H2-matrix, ranks and all; a matrix that keeps one block of each pair gives both. The templates between receivers are those of the matrix when
    /// rows and columns share a tree, else by distance as [`H2SkeletonOptions`] has it, or the diagonal when the tree has no boxes.
    pub fn of<T: Scalar>(matrix: &H2Matrix<T>) -> Self {
        let (rows, cols) = (matrix.rows().clone(), matrix.cols().clone());
        let both = |pairs: &[(usize, usize)]| {
            let mirror = |&(s, t): &(usize, usize)| (matrix.is_mirrored() && s != t).then_some((t, s));
            let mut all: Vec<_> = pairs.iter().copied().chain(pairs.iter().filter_map(mirror)).collect();
            all.sort_unstable();
            all
        };
        let (far, near) = (both(matrix.far_pairs()), both(matrix.near_pairs()));
        let among = if rows == cols {
            (far.clone(), near.clone())
        } else {
            let separation = H2SkeletonOptions::default().separation;
            let test = |s: &Cluster, t: &Cluster| separated(s, t, separation);
            pairs(&rows, &rows, Admissibility::Custom(&test)).unwrap_or_default()
        };
        let ranks = |tree: &ClusterTree, rank: &dyn Fn(usize) -> usize| (0..tree.clusters().len()).map(rank).collect();
        let row_ranks = ranks(&rows, &|c| matrix.row_basis().rank(c));
        let col_ranks = ranks(&cols, &|c| matrix.col_basis().rank(c));
        let (far_hidden, near_hidden) = (hidden(&far, &among.0), hidden(&near, &among.1));
        Self { rows, cols, row_ranks, col_ranks, far, far_hidden, near, near_hidden }
    }

    /// Number of receivers.
    pub fn nrows(&self) -> usize {
        self.rows.len()
    }

    /// Number of sources.
    pub fn ncols(&self) -> usize {
        self.cols.len()
    }

    /// The tree of the receivers.
    pub fn rows(&self) -> &Arc<ClusterTree> {
        &self.rows
    }

    /// The tree of the sources.
    pub fn cols(&self) -> &Arc<ClusterTree> {
        &self.cols
    }

    /// The rank of each cluster of the receivers.
    pub fn row_ranks(&self) -> &[usize] {
        &self.row_ranks
    }

    /// The rank of each cluster of the sources.
    pub fn col_ranks(&self) -> &[usize] {
        &self.col_ranks
    }

    /// Far pairs, receiver and source: the interaction lists of all levels. May be empty: then everything is near.
    pub fn far(&self) -> &[(usize, usize)] {
        &self.far
    }

    /// Far pairs of receivers, for the second and later layers of a network.
    pub fn far_hidden(&self) -> &[(usize, usize)] {
        &self.far_hidden
    }

    /// Near pairs of leaves. May be empty: then everything is far.
    pub fn near(&self) -> &[(usize, usize)] {
        &self.near
    }

    /// Near pairs of receivers' leaves, for the second and later layers of a network.
    pub fn near_hidden(&self) -> &[(usize, usize)] {
        &self.near_hidden
    }

    /// The blocks of the matrix, far ones first.
    pub fn leaves(&self) -> Vec<Leaf> {
        let leaf = |&(s, t): &(usize, usize), far: bool| Leaf {
            rows: self.rows.cluster(s).range.clone(),
            cols: self.cols.cluster(t).range.clone(),
            level: self.rows.cluster(s).level.max(self.cols.cluster(t).level),
            rank: far.then(|| self.row_ranks[s].min(self.col_ranks[t])),
        };
        self.far.iter().map(|pair| leaf(pair, true)).chain(self.near.iter().map(|pair| leaf(pair, false))).collect()
    }

    /// The layout of a network on this skeleton, for functions with so many channels at each source and receiver.
    ///
    /// # Errors
    /// [`MatrixError::Layout`] for layers that cannot be, no channels, or too many parameters.
    pub fn layout(&self, spec: &H2Spec, channels_in: usize, channels_out: usize) -> Result<H2Layout, MatrixError> {
        let clusters = |tree: &ClusterTree, ranks: &[usize], channels: usize| {
            let of = |(c, &rank): (&Cluster, &usize)| H2Cluster {
                children: c.children.clone(),
                len: c.len().saturating_mul(channels),
                rank,
            };
            tree.clusters().iter().zip(ranks).map(of).collect::<Vec<_>>()
        };
        let rows = clusters(&self.rows, &self.row_ranks, channels_out);
        let cols = clusters(&self.cols, &self.col_ranks, channels_in);
        let (far, near) = (&self.far[..], &self.near[..]);
        let (far_hidden, near_hidden) = (&self.far_hidden[..], &self.near_hidden[..]);
        Ok(H2Layout::new(&H2Shape { rows: &rows, cols: &cols, far, far_hidden, near, near_hidden }, spec)?)
    }

    /// How functions on the sources (with channels, `[channel][point]` in the user's order) get into the order of the tree.
    ///
    /// # Errors
    /// [`MatrixError::Layout`] for no channels.
    pub fn col_order(&self, channels: usize) -> Result<PointOrder, MatrixError> {
        Ok(PointOrder::new(self.cols.order(), channels)?)
    }

    /// How functions on the receivers get from the order of the tree to the user's, as [`H2Skeleton::col_order`].
    ///
    /// # Errors
    /// As [`H2Skeleton::col_order`].
    pub fn row_order(&self, channels: usize) -> Result<PointOrder, MatrixError> {
        Ok(PointOrder::new(self.rows.order(), channels)?)
    }
}

/// The smallest cube around all points that shares their lower corner.
fn cube(rows: &Points, cols: &Points) -> BoundingBox {
    let (a, b) = (rows.bounding_box(0..rows.len()), cols.bounding_box(0..cols.len()));
    let low: Vec<f64> = a.low.iter().zip(&b.low).map(|(a, b)| a.min(*b)).collect();
    let high: Vec<f64> = a.high.iter().zip(&b.high).map(|(a, b)| a.max(*b)).collect();
    let side = low.iter().zip(&high).map(|(low, high)| high - low).fold(0.0, f64::max);
    let high = low.iter().zip(&high).map(|(low, high)| high.max(low + side)).collect();
    BoundingBox { low, high }
}

/// Remark 2: the centres are further apart than `separation` times the longest side of the larger box. Clusters with a common centre never are.
fn separated(s: &Cluster, t: &Cluster, separation: f64) -> bool {
    let (Some(a), Some(b)) = (&s.bounding_box, &t.bounding_box) else { return false };
    let distance = a.center().iter().zip(b.center()).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    let size = |of: &BoundingBox| of.high[of.longest_side()] - of.low[of.longest_side()];
    distance > 0.0 && distance > separation * size(a).max(size(b))
}

/// Far and near pairs of clusters that are not empty, sorted.
fn pairs(rows: &ClusterTree, cols: &ClusterTree, admissibility: Admissibility) -> Result<Pairs, MatrixError> {
    let tree = BlockTree::new(rows, cols, admissibility)?;
    let (mut far, mut near) = (Vec::new(), Vec::new());
    for (_, block) in tree.leaves() {
        if !rows.cluster(block.row).is_empty() && !cols.cluster(block.col).is_empty() {
            let list = if block.kind == BlockKind::LowRank { &mut far } else { &mut near };
            list.push((block.row, block.col));
        }
    }
    far.sort_unstable();
    near.sort_unstable();
    Ok((far, near))
}

/// The pairs of receivers between clusters that occur in `pairs`; a cluster without any sees itself.
fn hidden(pairs: &[(usize, usize)], among: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let active: BTreeSet<usize> = pairs.iter().map(|pair| pair.0).collect();
    let mut all: BTreeSet<(usize, usize)> =
        among.iter().copied().filter(|(k, l)| active.contains(k) && active.contains(l)).collect();
    let seeing: BTreeSet<usize> = all.iter().map(|pair| pair.0).collect();
    all.extend(active.difference(&seeing).map(|&k| (k, k)));
    all.into_iter().collect()
}

/// Ranks of the clusters that are far from something, and of all clusters below them.
fn ranks_of(tree: &ClusterTree, far: &BTreeSet<usize>, ranks: &Ranks) -> Result<Vec<usize>, MatrixError> {
    let clusters = tree.clusters();
    let mut needed = vec![false; clusters.len()];
    for (i, c) in clusters.iter().enumerate() {
        needed[i] = !c.is_empty() && (far.contains(&i) || c.parent.is_some_and(|parent| needed[parent]));
    }
    let mut out = vec![0; clusters.len()];
    for (i, c) in clusters.iter().enumerate().rev().filter(|(i, _)| needed[*i]) {
        let rank = match ranks {
            Ranks::Constant(rank) => Some(*rank),
            Ranks::PerLevel(list) => list.get(c.level).copied(),
        };
        let rule = "every level with far clusters needs a rank of at least 1";
        let value = || match rank {
            Some(rank) => format!("{rank} on level {}", c.level),
            None => format!("none on level {}", c.level),
        };
        let Some(rank) = rank.filter(|&rank| rank > 0) else {
            return Err(MatrixError::Option { name: "ranks", value: value(), rule });
        };
        let below = if c.is_leaf() { c.len() } else { out[c.children.clone()].iter().sum() };
        out[i] = rank.min(below);
    }
    Ok(out)
}
