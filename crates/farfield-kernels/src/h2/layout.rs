//! Where the parameters of an H2 network layer lie in a flat slice.
//!
//! ```text
//! w = G_0[q] + sum over levels l of (U_L ... U_l) G_l[(V_l ... V_L) q]
//! ```
//!
//! (H2-NN, arXiv 2212.12899, eq. 2 with the indices of eqs. 17-18.) `V` and `U` are block-diagonal and linear, along the trees of sources and receivers. Every `G` is a
//! sequence of block-sparse layers ([`BlockPattern`]): the first takes the coefficients of sources to those of receivers, with a block for every pair of
//! the interaction lists (for `G_0`, numbers of leaves and near pairs); the others stay on the receivers, whose own template they have. The level of a block is that of its
//! receiver; all levels together are one sparse layer. With one linear layer each this is an H2-matrix.
//!
//! Parts, in their order:
//!
//! | name | blocks |
//! | --- | --- |
//! | `restriction.leaves` | `rank x numbers`, one a source leaf of positive rank |
//! | `restriction.level{l}`, from the deepest up | `rank x sum of the ranks of the children`, one a cluster that is no leaf |
//! | `far.{i}.level{l}.W`, `.b` ... | blocks of layer `i` of `G_l` |
//! | `near.{i}.W`, `.b` ... | blocks of layer `i` of `G_0` |
//! | `interpolation.level{l}`, from the root down | `sum of the ranks of the children x rank` |
//! | `interpolation.leaves` | `numbers x rank` |

use std::ops::Range;

use super::activation::Activation;
use super::pattern::{BlockLayerSpec, BlockPattern, Part, Places, Slot, Template};
use crate::error::LayoutError;
use crate::layout::Block;

/// One cluster of a tree of sources or receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H2Cluster {
    /// Its children in the list of clusters; empty for a leaf.
    pub children: Range<usize>,
    /// Numbers of a leaf: points times channels; ignored for other clusters.
    pub len: usize,
    /// Coefficients that stand for it on its level; 0 if nothing is far from it and its ancestors.
    pub rank: usize,
}

/// Trees and sparsity templates. Clusters are in breadth-first order, the root first, the children of a cluster next to each other.
#[derive(Clone, Copy, Debug)]
pub struct H2Shape<'a> {
    /// Tree of the receivers: of the output.
    pub rows: &'a [H2Cluster],
    /// Tree of the sources: of the input.
    pub cols: &'a [H2Cluster],
    /// Far pairs, receiver and source: the interaction lists of all levels.
    pub far: &'a [(usize, usize)],
    /// Far pairs of receivers, for the second and later layers.
    pub far_hidden: &'a [(usize, usize)],
    /// Near pairs of leaves.
    pub near: &'a [(usize, usize)],
    /// Near pairs of receivers' leaves, for the second and later layers.
    pub near_hidden: &'a [(usize, usize)],
}

/// What the layers of `G_l` and `G_0` do; at least one each.
#[derive(Clone, Debug, PartialEq)]
pub struct H2Spec {
    /// Of every `G_l`, `l >= 1`.
    pub far: Vec<BlockLayerSpec>,
    /// Of `G_0`.
    pub near: Vec<BlockLayerSpec>,
}

impl H2Spec {
    /// One linear layer each: an H2-matrix.
    pub fn linear() -> Self {
        Self { far: vec![BlockLayerSpec::linear()], near: vec![BlockLayerSpec::linear()] }
    }

    /// `layers` layers each with this activation outside, except behind the last layer of `G_0`, which would confine the output to its range.
    pub fn network(layers: usize, activation: Activation) -> Self {
        let of = |last: Activation| {
            let outside = move |i| if i + 1 == layers { last } else { activation };
            (0..layers).map(|i| BlockLayerSpec { outside: outside(i), ..BlockLayerSpec::default() }).collect()
        };
        Self { far: of(activation), near: of(Activation::Identity) }
    }

    /// The second variant: each block is a network of `depth` products with this activation between them, and nothing outside.
    pub fn units(depth: usize, activation: Activation) -> Self {
        let layer = BlockLayerSpec { unit_depth: depth, unit_activation: activation, ..BlockLayerSpec::linear() };
        Self { far: vec![layer], near: vec![layer] }
    }

    /// The same with or without biases in all layers.
    #[must_use]
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.far.iter_mut().chain(&mut self.near).for_each(|layer| layer.bias = bias);
        self
    }
}

/// Sizes and places of one tree.
#[derive(Clone, Debug, PartialEq)]
struct Side {
    clusters: Vec<H2Cluster>,
    /// First cluster of each level, and the number of clusters.
    levels: Vec<usize>,
    /// Coefficients of each cluster among those of all.
    coefficients: Vec<Slot>,
    /// Numbers of each leaf, in their order, and its cluster.
    leaves: Vec<(Slot, usize)>,
    /// For each cluster its leaf.
    leaf_of: Vec<Option<usize>>,
    numbers: usize,
    total: usize,
}

impl Side {
    fn new(clusters: &[H2Cluster]) -> Result<Self, LayoutError> {
        let mut next = 1;
        for (node, cluster) in clusters.iter().enumerate() {
            if !cluster.children.is_empty() {
                if cluster.children.start != next || next <= node || cluster.children.end > clusters.len() {
                    return Err(LayoutError::Tree { node });
                }
                next = cluster.children.end;
            }
        }
        if clusters.is_empty() || next != clusters.len() {
            return Err(LayoutError::Tree { node: next.min(clusters.len()) });
        }
        let mut levels = vec![0, 1];
        while levels[levels.len() - 1] < clusters.len() {
            let last = &clusters[levels[levels.len() - 2]..levels[levels.len() - 1]];
            levels.push(last.iter().map(|c| c.children.end).max().unwrap_or(0));
        }
        let what = "H2 layer";
        let add = |sum: usize, len: usize| {
            let reason = || LayoutError::Pattern { what, reason: "it has too many numbers".to_owned() };
            sum.checked_add(len).filter(|&sum| sum < 1 << 44).ok_or_else(reason)
        };
        let mut extents = vec![0; clusters.len()];
        for (i, cluster) in clusters.iter().enumerate().rev() {
            extents[i] = if cluster.children.is_empty() {
                cluster.len
            } else {
                extents[cluster.children.clone()].iter().try_fold(0, |sum, &len| add(sum, len))?
            };
        }
        if extents[0] == 0 {
            return Err(LayoutError::Pattern { what, reason: "a tree has no numbers".to_owned() });
        }
        let mut starts = vec![0; clusters.len()];
        let mut leaves = Vec::new();
        let (mut coefficients, mut total) = (Vec::with_capacity(clusters.len()), 0);
        for (i, cluster) in clusters.iter().enumerate() {
            let mut start = starts[i];
            for child in cluster.children.clone() {
                starts[child] = start;
                start += extents[child];
            }
            if cluster.children.is_empty() {
                leaves.push((Slot { start: starts[i], len: extents[i] }, i));
            }
            coefficients.push(Slot { start: total, len: cluster.rank });
            total = add(total, cluster.rank)?;
        }
        leaves.sort_by_key(|(slot, cluster)| (slot.start, *cluster));
        let mut leaf_of = vec![None; clusters.len()];
        leaves.iter().enumerate().for_each(|(leaf, &(_, cluster))| leaf_of[cluster] = Some(leaf));
        Ok(Self { clusters: clusters.to_vec(), levels, coefficients, leaves, leaf_of, numbers: extents[0], total })
    }

    fn leaf_slots(&self) -> Vec<Slot> {
        self.leaves.iter().map(|leaf| leaf.0).collect()
    }

    /// The coefficients of all children of a cluster, which are neighbours.
    fn below(&self, cluster: usize) -> Slot {
        let children = &self.coefficients[self.clusters[cluster].children.clone()];
        let start = children.first().map_or(0, |slot| slot.start);
        Slot { start, len: children.iter().map(|slot| slot.len).sum() }
    }

    /// Leaves with coefficients: number of the leaf, and cluster.
    fn ranked_leaves(&self) -> Vec<(usize, usize)> {
        let leaves = self.leaves.iter().enumerate().map(|(leaf, &(_, cluster))| (leaf, cluster));
        leaves.filter(|&(_, cluster)| self.clusters[cluster].rank > 0).collect()
    }

    /// Clusters of a level that have children and coefficients.
    fn ranked_parents(&self, level: usize) -> Vec<usize> {
        let clusters = self.levels[level]..self.levels[level + 1];
        clusters.filter(|&c| !self.clusters[c].children.is_empty() && self.clusters[c].rank > 0).collect()
    }

    fn depth(&self) -> usize {
        self.levels.len() - 2
    }

    /// Names and clusters of the levels.
    fn level_groups(&self, prefix: &str) -> Vec<(String, Range<usize>)> {
        let of = |level: usize| (format!("{prefix}.level{level}"), self.levels[level]..self.levels[level + 1]);
        (0..=self.depth()).map(of).collect()
    }
}

/// Sizes, templates and offsets of an H2 network layer. Cost of construction: O(clusters + pairs log pairs).
#[derive(Clone, Debug, PartialEq)]
pub struct H2Layout {
    pub(super) restrict_leaves: BlockPattern,
    /// From the deepest level up.
    pub(super) restrict_levels: Vec<BlockPattern>,
    pub(super) far: Vec<BlockPattern>,
    pub(super) near: Vec<BlockPattern>,
    /// From the root down.
    pub(super) interpolate_levels: Vec<BlockPattern>,
    pub(super) interpolate_leaves: BlockPattern,
    rows: Side,
    cols: Side,
    parts: Vec<Part>,
    len: usize,
}

impl H2Layout {
    /// The layout of these trees, templates and layers.
    ///
    /// # Errors
    /// [`LayoutError::Tree`] for clusters out of order; [`LayoutError::Pattern`] for trees without numbers, near pairs that are not of leaves, pairs that name no
    /// cluster or occur twice, no layers, too many parameters; [`LayoutError::Slope`] for a slope that is not positive.
    pub fn new(shape: &H2Shape, spec: &H2Spec) -> Result<Self, LayoutError> {
        let (rows, cols) = (Side::new(shape.rows)?, Side::new(shape.cols)?);
        if spec.far.is_empty() || spec.near.is_empty() {
            let reason = "the near and the far field need at least one layer each".to_owned();
            return Err(LayoutError::Pattern { what: "H2 layer", reason });
        }
        let mut places = Places::default();
        let diagonal = |n: usize| (0..n).map(|i| (i, i)).collect::<Vec<_>>();
        let linear = BlockLayerSpec::linear();

        let ranked = cols.ranked_leaves();
        let pairs: Vec<_> = ranked.iter().enumerate().map(|(i, &(leaf, _))| (i, leaf)).collect();
        let restrict_leaves = BlockPattern::build(
            Template {
                what: "restriction",
                outputs: ranked.iter().map(|&(_, cluster)| cols.coefficients[cluster]).collect(),
                inputs: cols.leaf_slots(),
                sizes: (cols.total, cols.numbers),
                pairs: &pairs,
                groups: vec![("restriction.leaves".to_owned(), 0..ranked.len())],
                spec: linear,
            },
            &mut places,
        )?;
        let mut restrict_levels = Vec::new();
        for level in (0..cols.depth()).rev() {
            let parents = cols.ranked_parents(level);
            if !parents.is_empty() {
                let template = Template {
                    what: "restriction",
                    outputs: parents.iter().map(|&c| cols.coefficients[c]).collect(),
                    inputs: parents.iter().map(|&c| cols.below(c)).collect(),
                    sizes: (cols.total, cols.total),
                    pairs: &diagonal(parents.len()),
                    groups: vec![(format!("restriction.level{level}"), 0..parents.len())],
                    spec: linear,
                };
                restrict_levels.push(BlockPattern::build(template, &mut places)?);
            }
        }
        let mut far = Vec::new();
        for (i, &spec) in spec.far.iter().enumerate() {
            let from = if i == 0 { &cols } else { &rows };
            let template = Template {
                what: "far field",
                outputs: rows.coefficients.clone(),
                inputs: from.coefficients.clone(),
                sizes: (rows.total, from.total),
                pairs: if i == 0 { shape.far } else { shape.far_hidden },
                groups: rows.level_groups(&format!("far.{i}")),
                spec,
            };
            far.push(BlockPattern::build(template, &mut places)?);
        }
        let mut near = Vec::new();
        for (i, &spec) in spec.near.iter().enumerate() {
            let from = if i == 0 { &cols } else { &rows };
            let leaf = |&(s, t): &(usize, usize)| {
                let of = |side: &Side, c: usize| side.leaf_of.get(c).copied().flatten();
                of(&rows, s).zip(of(from, t)).ok_or_else(|| LayoutError::Pattern {
                    what: "near field",
                    reason: format!("the pair ({s}, {t}) is not one of leaves"),
                })
            };
            let pairs = if i == 0 { shape.near } else { shape.near_hidden };
            let template = Template {
                what: "near field",
                outputs: rows.leaf_slots(),
                inputs: from.leaf_slots(),
                sizes: (rows.numbers, from.numbers),
                pairs: &pairs.iter().map(leaf).collect::<Result<Vec<_>, _>>()?,
                groups: vec![(format!("near.{i}"), 0..rows.leaves.len())],
                spec,
            };
            near.push(BlockPattern::build(template, &mut places)?);
        }
        let mut interpolate_levels = Vec::new();
        for level in 0..rows.depth() {
            let parents = rows.ranked_parents(level);
            if !parents.is_empty() {
                let template = Template {
                    what: "interpolation",
                    outputs: parents.iter().map(|&c| rows.below(c)).collect(),
                    inputs: parents.iter().map(|&c| rows.coefficients[c]).collect(),
                    sizes: (rows.total, rows.total),
                    pairs: &diagonal(parents.len()),
                    groups: vec![(format!("interpolation.level{level}"), 0..parents.len())],
                    spec: linear,
                };
                interpolate_levels.push(BlockPattern::build(template, &mut places)?);
            }
        }
        let ranked = rows.ranked_leaves();
        let pairs: Vec<_> = ranked.iter().enumerate().map(|(i, &(leaf, _))| (leaf, i)).collect();
        let interpolate_leaves = BlockPattern::build(
            Template {
                what: "interpolation",
                outputs: rows.leaf_slots(),
                inputs: ranked.iter().map(|&(_, cluster)| rows.coefficients[cluster]).collect(),
                sizes: (rows.numbers, rows.total),
                pairs: &pairs,
                groups: vec![("interpolation.leaves".to_owned(), 0..rows.leaves.len())],
                spec: linear,
            },
            &mut places,
        )?;
        Ok(Self {
            restrict_leaves,
            restrict_levels,
            far,
            near,
            interpolate_levels,
            interpolate_leaves,
            rows,
            cols,
            parts: rename_linear(places.parts),
            len: places.len,
        })
    }

    /// Numbers of an output vector.
    pub fn n_out(&self) -> usize {
        self.rows.numbers
    }

    /// Numbers of an input vector.
    pub fn n_in(&self) -> usize {
        self.cols.numbers
    }

    /// Coefficients of all clusters of the receivers.
    pub fn row_coefficients(&self) -> usize {
        self.rows.total
    }

    /// Coefficients of all clusters of the sources.
    pub fn col_coefficients(&self) -> usize {
        self.cols.total
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The named parts of the flat slice: in order, without gaps.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The layers of all `G_l`, `l >= 1`; slots are clusters.
    pub fn far(&self) -> &[BlockPattern] {
        &self.far
    }

    /// The layers of `G_0`; slots are leaves, in the order of their numbers.
    pub fn near(&self) -> &[BlockPattern] {
        &self.near
    }

    /// The clusters of the receivers' leaves, in the order of their numbers.
    pub fn row_leaves(&self) -> impl ExactSizeIterator<Item = usize> {
        self.rows.leaves.iter().map(|leaf| leaf.1)
    }

    /// The clusters of the sources' leaves, in the order of their numbers.
    pub fn col_leaves(&self) -> impl ExactSizeIterator<Item = usize> {
        self.cols.leaves.iter().map(|leaf| leaf.1)
    }

    /// For each source cluster its block `V`, `rank x numbers` of a leaf or `rank x coefficients of the children`; `None` for rank 0.
    pub fn restrictions(&self) -> Vec<Option<Block>> {
        let mut blocks = vec![None; self.cols.clusters.len()];
        let patterns = std::iter::once(&self.restrict_leaves).chain(&self.restrict_levels);
        let of_level = |level: usize| self.cols.ranked_parents(level);
        let leaves = self.cols.ranked_leaves().into_iter().map(|(_, cluster)| cluster).collect();
        let levels = (0..self.cols.depth()).rev().map(of_level).filter(|parents| !parents.is_empty());
        // The outputs of each pattern are clusters with one block each.
        for (pattern, clusters) in patterns.zip(std::iter::once(leaves).chain(levels)) {
            for (k, cluster) in clusters.into_iter().enumerate() {
                blocks[cluster] = Some(pattern.links[pattern.by_output[k]].weights);
            }
        }
        blocks
    }

    /// For each receiver cluster its block `U`, `numbers of a leaf x rank` or `coefficients of the children x rank`; `None` for rank 0.
    pub fn interpolations(&self) -> Vec<Option<Block>> {
        let mut blocks = vec![None; self.rows.clusters.len()];
        let patterns = std::iter::once(&self.interpolate_leaves).chain(&self.interpolate_levels);
        let leaves = self.rows.ranked_leaves().into_iter().map(|(_, cluster)| cluster).collect();
        let of_level = |level: usize| self.rows.ranked_parents(level);
        let levels = (0..self.rows.depth()).map(of_level).filter(|parents| !parents.is_empty());
        // The inputs of each pattern are clusters with one block each.
        for (pattern, clusters) in patterns.zip(std::iter::once(leaves).chain(levels)) {
            for (l, cluster) in clusters.into_iter().enumerate() {
                blocks[cluster] = Some(pattern.links[pattern.pairs_by_input[pattern.by_input[l]]].weights);
            }
        }
        blocks
    }

    /// Multiply-adds of a product with one vector.
    pub fn multiply_adds(&self) -> usize {
        self.patterns().map(BlockPattern::multiply_adds).sum()
    }

    fn patterns(&self) -> impl Iterator<Item = &BlockPattern> {
        let up = std::iter::once(&self.restrict_leaves).chain(&self.restrict_levels);
        let down = self.interpolate_levels.iter().chain(std::iter::once(&self.interpolate_leaves));
        up.chain(&self.far).chain(&self.near).chain(down)
    }
}

/// Restriction and interpolation have one kind of block: their names need no letter.
fn rename_linear(mut parts: Vec<Part>) -> Vec<Part> {
    for part in &mut parts {
        if (part.name.starts_with("restriction.") || part.name.starts_with("interpolation."))
            && let Some(name) = part.name.strip_suffix(".W")
        {
            part.name = name.to_owned();
        }
    }
    parts
}
