//! HODLR matrices (hierarchically off-diagonal low rank): the blocks between siblings of a cluster tree have low rank, the
//! diagonal blocks of its leaves are dense.
//!
//! ```text
//! A = [ A_1          U_12 V_12^T ]      A_1, A_2: HODLR again, dense at the leaves
//!     [ U_21 V_21^T  A_2         ]
//! ```
//!
//! A cluster with `k` children has `k (k - 1)` low-rank blocks. Bases of different blocks have nothing in common, which makes every
//! operation simple and costs a factor `log n` over [`Hss`](crate::Hss). Rows and columns have the same tree.
//!
//! | operation | cost for ranks `r`, leaves of `m` | error |
//! | --- | --- | --- |
//! | [`Hodlr::from_dense`] | `O(n^3)` | proven |
//! | [`Hodlr::from_entries`] | `O(n r^2 log n)`, `O(n (r log n + m))` entries | probabilistic |
//! | [`Hodlr::from_products`] | `O(r log n + m)` products | probabilistic |
//! | apply, entry, diagonal, norm | `O(n (r log n + m))`; an entry `O(r + log n)` | rounding |
//! | [`Hodlr::add`], [`Hodlr::recompress`], [`Hodlr::add_low_rank`] | `O(n r^2 log n)` | proven |
//! | [`Hodlr::multiply`] | `O(n r^2 log^2 n)` | proven |
//! | [`Hodlr::factor`] | `O(n (r log n)^2 + n m^2)` | rounding |
//!
//! Do not use it for points in two or more dimensions when the tolerance is small: the ranks of blocks that touch grow with `n`.
//! Blocks are treated in parallel, sums are formed in a fixed order: the same bits on any number of threads.
//!
//! Ambikasaran & Darve, J. Sci. Comput. 57 (2013); Hackbusch, *Hierarchical Matrices* (2015), section 3.

mod add;
mod apply;
mod cholesky;
mod convert;
mod dense;
mod factor;
mod from_dense;
mod from_entries;
mod multiply;
mod norm;
mod peeling;
mod transpose;
mod truncation;
mod two_sided;
mod woodbury;

use std::fmt;
use std::sync::{Arc, OnceLock};

use faer::Mat;

use crate::accuracy::Accuracy;
use crate::block_tree::Leaf;
use crate::certificate::{Bound, Certificate, Confidence, LevelRanks};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::low_rank::LowRank;
use crate::scalar::Scalar;

pub use cholesky::HodlrCholesky;
pub use factor::HodlrFactorization;

/// A square HODLR matrix, all of whose numbers are finite. A clone shares its numbers.
#[derive(Clone)]
pub struct Hodlr<T> {
    tree: Arc<ClusterTree>,
    /// One a cluster.
    nodes: Arc<Vec<Node<T>>>,
    positions: Arc<OnceLock<Vec<usize>>>,
}

/// What a cluster holds.
#[derive(Clone, Debug)]
pub(crate) enum Node<T> {
    /// The dense diagonal block of a leaf.
    Leaf(Mat<T>),
    /// The blocks between `k` children: `(i, j)`, `i != j`, at [`pair`].
    Split(Vec<LowRank<T>>),
}

impl<T: Scalar> PartialEq for Node<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Leaf(a), Self::Leaf(b)) => a.shape() == b.shape() && a == b,
            (Self::Split(a), Self::Split(b)) => a == b,
            _ => false,
        }
    }
}

/// The place of block `(i, j)` between `k` children.
pub(crate) fn pair(k: usize, i: usize, j: usize) -> usize {
    i * (k - 1) + j - usize::from(j > i)
}

/// The pairs `(i, j)` of `k` children in the order of [`pair`].
pub(crate) fn pairs(k: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..k).flat_map(move |i| (0..k).filter(move |&j| j != i).map(move |j| (i, j)))
}

impl<T: Scalar> Hodlr<T> {
    /// The matrix with these blocks, one [`Node`] a cluster, of the sizes that the tree gives.
    pub(crate) fn assemble(tree: Arc<ClusterTree>, nodes: Vec<Node<T>>) -> Result<Self, MatrixError> {
        for (index, node) in nodes.iter().enumerate() {
            let level = tree.cluster(index).level;
            let bad = |kind, block: &Mat<T>| {
                let (row, col, value) = first_non_finite(block)?;
                let what = "block of a HODLR matrix";
                Some(MatrixError::NonFinite { what, index: 0, value, level, node: index, kind, row, col })
            };
            let found = match node {
                Node::Leaf(d) => bad('D', d),
                Node::Split(blocks) => blocks.iter().find_map(|b| bad('U', &b.u).or_else(|| bad('V', &b.v))),
            };
            if let Some(error) = found {
                return Err(error);
            }
        }
        Ok(Self { tree, nodes: Arc::new(nodes), positions: Arc::default() })
    }

    /// The zero matrix.
    pub fn zeros(tree: impl Into<Arc<ClusterTree>>) -> Self {
        let tree = tree.into();
        let nodes = (tree.clusters().iter())
            .map(|cluster| {
                if cluster.is_leaf() {
                    return Node::Leaf(Mat::zeros(cluster.len(), cluster.len()));
                }
                let size = |c: usize| tree.cluster(cluster.children.start + c).len();
                let blocks = pairs(cluster.children.len()).map(|(i, j)| LowRank::zero(size(i), size(j)));
                Node::Split(blocks.collect())
            })
            .collect();
        Self { tree, nodes: Arc::new(nodes), positions: Arc::default() }
    }

    /// The identity.
    pub fn identity(tree: impl Into<Arc<ClusterTree>>) -> Self {
        let mut one = Self::zeros(tree);
        for node in Arc::make_mut(&mut one.nodes) {
            if let Node::Leaf(d) = node {
                (0..d.nrows()).for_each(|i| d[(i, i)] = T::ONE);
            }
        }
        one
    }

    /// The share of each block, in the order of [`Hodlr::blocks`], in the square of an error: levels as `weight` tells, within a level in
    /// proportion to the number of entries. Shares add up to one.
    pub(crate) fn shares(tree: &ClusterTree, weight: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut areas = vec![0.0; tree.depth() + 1];
        let mut blocks = Vec::new();
        for cluster in tree.clusters() {
            let size = |c: usize| tree.cluster(cluster.children.start + c).len() as f64;
            for (i, j) in pairs(cluster.children.len()) {
                areas[cluster.level] += size(i) * size(j);
                blocks.push((cluster.level, size(i) * size(j)));
            }
        }
        let level = |l: usize| if areas[l] > 0.0 { weight(l) } else { 0.0 };
        let total: f64 = (0..areas.len()).map(level).sum();
        blocks
            .into_iter()
            .map(|(l, area)| if area > 0.0 { level(l) * area / (areas[l] * total) } else { 0.0 })
            .collect()
    }

    /// The tree of rows and columns.
    pub fn tree(&self) -> &Arc<ClusterTree> {
        &self.tree
    }

    /// Number of rows and of columns.
    pub fn order(&self) -> usize {
        self.tree.len()
    }

    /// Ranks on each level: the blocks between clusters of that level.
    pub fn ranks(&self) -> Vec<LevelRanks> {
        let of_node = |(index, node): (usize, &Node<T>)| {
            let level = self.tree.cluster(index).level + 1;
            let ranks: Vec<_> = match node {
                Node::Leaf(_) => Vec::new(),
                Node::Split(blocks) => blocks.iter().map(|block| (level, block.rank())).collect(),
            };
            ranks
        };
        LevelRanks::of(self.nodes.iter().enumerate().flat_map(of_node))
    }

    /// The largest rank.
    pub fn rank(&self) -> usize {
        self.blocks().map(|(_, block)| block.rank()).max().unwrap_or(0)
    }

    /// The leaves, cluster by cluster.
    pub fn leaves(&self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        for (cluster, node) in self.tree.clusters().iter().zip(self.nodes.iter()) {
            let (rows, level) = (cluster.range.clone(), cluster.level);
            match node {
                Node::Leaf(_) => leaves.push(Leaf { rows: rows.clone(), cols: rows, level, rank: None }),
                Node::Split(blocks) => {
                    let child = |i: usize| self.tree.cluster(cluster.children.start + i).range.clone();
                    let places = pairs(cluster.children.len()).zip(blocks);
                    leaves.extend(places.map(|((i, j), block)| Leaf {
                        rows: child(i),
                        cols: child(j),
                        level: level + 1,
                        rank: Some(block.rank()),
                    }));
                }
            }
        }
        leaves
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        let of_node = |node: &Node<T>| match node {
            Node::Leaf(d) => d.nrows() * d.ncols(),
            Node::Split(blocks) => blocks.iter().map(LowRank::stored).sum(),
        };
        self.nodes.iter().map(of_node).sum()
    }

    /// Multiply-adds of a product with one vector: one a number.
    pub fn multiply_adds(&self) -> usize {
        self.stored()
    }

    /// Bytes that the numbers take; the tree, which matrices share, is not counted.
    pub fn memory_bytes(&self) -> usize {
        self.stored() * size_of::<T>()
    }

    pub(crate) fn nodes(&self) -> &[Node<T>] {
        &self.nodes
    }

    /// All low-rank blocks with the cluster that holds them.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (usize, &LowRank<T>)> {
        self.nodes.iter().enumerate().flat_map(|(index, node)| {
            let blocks = match node {
                Node::Leaf(_) => &[][..],
                Node::Split(blocks) => blocks,
            };
            blocks.iter().map(move |block| (index, block))
        })
    }

    /// The place of each index of the user in tree order.
    pub(crate) fn positions(&self) -> &[usize] {
        self.positions.get_or_init(|| self.tree.positions())
    }

    /// `Ok` when `other` has the same tree.
    pub(crate) fn check_tree(&self, operation: &str, other: &Self) -> Result<(), MatrixError> {
        if Arc::ptr_eq(&self.tree, &other.tree) || self.tree == other.tree {
            return Ok(());
        }
        let (a, b) = (self.order(), other.order());
        let reason = format!("{operation} of HODLR matrices of orders {a} and {b} on different trees");
        Err(MatrixError::Tree { reason })
    }

    /// The certificate of an approximation whose blocks have errors of at most these Frobenius norms (in the order of
    /// [`Hodlr::blocks`]), with errors elsewhere of at most `elsewhere` in total.
    ///
    /// Errors of disjoint blocks add in squares. In the 2-norm those of one level of a binary tree do not add at all, so the sum over
    /// the levels of the largest block error is a second bound.
    pub(crate) fn certificate(&self, errors: &[f64], elsewhere: f64, confidence: Confidence) -> Certificate {
        let frobenius = root_sum_of_squares(errors.iter().copied());
        let mut levels = vec![0.0f64; self.tree.depth() + 1];
        let mut next = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            let Node::Split(blocks) = node else { continue };
            let errors = &errors[next..next + blocks.len()];
            next += blocks.len();
            let largest = errors.iter().fold(0.0f64, |a, &b| a.max(b));
            let node = if blocks.len() <= 2 { largest } else { root_sum_of_squares(errors.iter().copied()) };
            let level = &mut levels[self.tree.cluster(index).level];
            *level = level.max(node);
        }
        let spectral = frobenius.min(levels.iter().sum());
        // The sums above are rounded: n additions lose at most n units.
        let rounding = 1.0 + f64::EPSILON * (4 + errors.len()) as f64;
        Certificate {
            frobenius: Bound { value: frobenius * rounding + elsewhere, confidence },
            spectral: Bound { value: spectral * rounding + elsewhere, confidence },
            norm: self.norm_frobenius(),
            ranks: self.ranks(),
            stored: self.stored(),
            dense: self.order() * self.order(),
        }
    }
}

impl<T: Scalar> PartialEq for Hodlr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.tree == other.tree && self.nodes == other.nodes
    }
}

impl<T: Scalar> fmt::Debug for Hodlr<T> {
    /// The sizes, not the entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hodlr")
            .field("order", &self.order())
            .field("levels", &self.tree.depth())
            .field("rank", &self.rank())
            .field("stored", &self.stored())
            .finish()
    }
}

/// Builds with smaller and smaller tolerances until the certificate is within the accuracy asked for. `guess` is about the norm of
/// the matrix; a relative tolerance counts against what is certain of that norm afterwards.
pub(crate) fn to_accuracy<T: Scalar>(
    what: &'static str,
    accuracy: Accuracy,
    guess: f64,
    mut build: impl FnMut(f64) -> Result<(Hodlr<T>, Certificate), MatrixError>,
) -> Result<(Hodlr<T>, Certificate), MatrixError> {
    let mut tolerance = accuracy.absolute_for(guess);
    let mut rounds = 0;
    loop {
        let (hodlr, certificate) = build(tolerance)?;
        let reached = certificate.frobenius.value;
        let allowed = accuracy.absolute_for((certificate.norm - reached).max(0.0));
        if reached <= allowed {
            return Ok((hodlr, certificate));
        }
        rounds += 1;
        // A bound that did not follow the tolerance down will not do so further below.
        if rounds == 4 || reached > 1e3 * tolerance.max(allowed) {
            return Err(tolerance_error(what, accuracy, allowed, reached, hodlr.rank()));
        }
        tolerance *= if allowed > 0.0 { 0.5 * (allowed / reached) } else { 0.1 };
    }
}

/// Bytes of the dense blocks of the leaves of a tree.
pub(crate) fn leaf_bytes<T: Scalar>(tree: &ClusterTree) -> usize {
    let numbers = tree.leaves().map(|leaf| tree.cluster(leaf).len().saturating_pow(2));
    numbers.fold(0usize, |sum, x| sum.saturating_add(x)).saturating_mul(size_of::<T>())
}

/// The error of a build that missed its tolerance with a largest rank of `rank`.
pub(crate) fn tolerance_error(
    what: &'static str,
    accuracy: Accuracy,
    tolerance: f64,
    reached: f64,
    rank: usize,
) -> MatrixError {
    let limit = match accuracy.rank_cap() {
        Some(cap) if rank >= cap => format!("rank cap {cap}"),
        _ => "rounding errors of the arithmetic".to_owned(),
    };
    MatrixError::Tolerance { what, tolerance, reached, limit }
}

/// `sqrt(sum x^2)` without overflow or underflow, added in order.
pub(crate) fn root_sum_of_squares(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = x.clone().fold(0.0f64, |a, b| a.max(b.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * x.map(|x| (x / largest) * (x / largest)).sum::<f64>().sqrt()
}

fn first_non_finite<T: Scalar>(a: &Mat<T>) -> Option<(usize, usize, f64)> {
    (0..a.ncols()).find_map(|j| {
        let row = a.col_as_slice(j).iter().position(|x| !Scalar::is_finite(*x))?;
        Some((row, j, a[(row, j)].to_f64()))
    })
}
