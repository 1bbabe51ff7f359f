//! Where the parameters of one HSS matrix lie in a flat slice.
//!
//! An HSS matrix `A` of size `n_out x n_in`, depth `L` and rank `r` has the telescopic form
//! (Neural-HSS, definition 2.1; Casulli, Kressner & Robol 2024, definition 3.1)
//!
//! ```text
//! A = D(L) + U(L) A(L-1) V(L)^T,   A(L-1) = D(L-1) + U(L-1) A(L-2) V(L-1)^T,   ...,   A(0) = D(0)
//! ```
//!
//! with block-diagonal `D(l)`, `U(l)`, `V(l)` of `2^l` blocks:
//!
//! | level | `D` | `U` | `V` |
//! | --- | --- | --- | --- |
//! | `l = L` (leaves) | `m_out x m_in` | `m_out x r` | `m_in x r` |
//! | `0 < l < L` | `2r x 2r` | `2r x r` | `2r x r` |
//! | `l = 0` (root), `L > 0` | `2r x 2r` | | |
//! | `l = 0`, `L = 0` | `n_out x n_in` | | |
//!
//! Leaf `i` owns the indices `floor(i n / 2^L) .. floor((i + 1) n / 2^L)`, so leaf sizes differ by at
//! most one and may be zero when `n < 2^L`. `r = 0` is legal: a block-diagonal matrix.
//!
//! [`HssLayout::from_tree`] is the general case: any tree (leaves on any level, any number of children) and for every node its
//! own ranks, `U` with `row_rank` columns and `V` with `col_rank`; above the leaves the rows of `D` and `U` are the row ranks of
//! the children stacked, the rows of `V` and columns of `D` their column ranks.
//!
//! In the flat slice the deepest level comes first and the root last. Within a level all `D` blocks come
//! first, then all `U`, then all `V`; blocks of one kind are in the order of their nodes; every block is
//! row-major and there is no padding. For equal leaves each kind of a level is therefore one stacked
//! array `[2^l, rows, cols]`.

use std::ops::Range;

use crate::error::LayoutError;

/// Largest depth accepted: `2^24` leaves.
pub const MAX_LEVELS: usize = 24;

/// Position and shape of one row-major block in the flat parameter slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Index of the first entry.
    pub offset: usize,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
}

impl Block {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether the block has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The indices of the block in the flat slice.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// One node: its place in the tree and its blocks, `d` always, `u` and `v` except at the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// `D`: the part of the matrix that stays at this level.
    pub d: Block,
    /// `U`: basis of the rows (no columns at the root).
    pub u: Block,
    /// `V`: basis of the columns, multiplied as `V^T x` (no columns at the root).
    pub v: Block,
    /// First and end of its children, its rows and its columns.
    children: (usize, usize),
    rows: (usize, usize),
    cols: (usize, usize),
    /// Where its numbers begin among those of all nodes: the `row_rank` numbers that `U` multiplies, the `col_rank` numbers that
    /// `V^T` makes.
    pub(crate) row_coefficient: usize,
    pub(crate) col_coefficient: usize,
}

impl Node {
    /// Indices of its children among all nodes; empty for a leaf.
    pub fn children(&self) -> Range<usize> {
        self.children.0..self.children.1
    }

    /// Whether it has no children.
    pub fn is_leaf(&self) -> bool {
        self.children().is_empty()
    }

    /// Rows of the matrix that it owns.
    pub fn rows(&self) -> Range<usize> {
        self.rows.0..self.rows.1
    }

    /// Columns of the matrix that it owns.
    pub fn cols(&self) -> Range<usize> {
        self.cols.0..self.cols.1
    }
}

/// One node as [`HssLayout::from_tree`] takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeShape {
    /// Indices of its children in the list of nodes; empty for a leaf.
    pub children: Range<usize>,
    /// Number of rows of a leaf; ignored for other nodes.
    pub rows: usize,
    /// Number of columns of a leaf; ignored for other nodes.
    pub cols: usize,
    /// Columns of `U`; ignored at the root.
    pub row_rank: usize,
    /// Columns of `V`; ignored at the root.
    pub col_rank: usize,
}

/// Sizes, ranks and offsets of one HSS matrix. Cost of construction: O(number of nodes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HssLayout {
    n_out: usize,
    n_in: usize,
    rank: usize,
    /// Breadth first: the root, then level 1, ...; the children of a node are neighbours.
    nodes: Vec<Node>,
    /// First node of each level, and the number of nodes.
    levels: Vec<usize>,
    /// Numbers that all `V^T` make, and that all `U` take.
    col_coefficients: usize,
    row_coefficients: usize,
    len: usize,
}

impl HssLayout {
    /// The layout of an `n_out x n_in` matrix with `2^levels` leaves and rank `rank`.
    ///
    /// # Errors
    /// When a dimension is zero, `levels` exceeds [`MAX_LEVELS`], or the number of parameters
    /// overflows `usize`.
    pub fn new(n_out: usize, n_in: usize, levels: usize, rank: usize) -> Result<Self, LayoutError> {
        if n_out == 0 || n_in == 0 {
            return Err(LayoutError::EmptyMatrix { n_out, n_in });
        }
        if levels > MAX_LEVELS {
            return Err(LayoutError::TooManyLevels { levels, max: MAX_LEVELS });
        }
        let leaves = 1usize << levels;
        // Estimated in floating point, where it cannot overflow.
        let side = |n: usize| n.div_ceil(leaves).max(rank.saturating_mul(2)) as f64;
        let estimate = 4.0 * leaves as f64 * (side(n_out) + 1.0) * (side(n_in) + 1.0);
        if estimate > (1u64 << 48) as f64 || leaves.max(n_out).max(n_in) > 1 << 38 {
            return Err(LayoutError::TooLarge { n_out, n_in, levels, rank });
        }
        let size = |n: usize, i: usize| ((i + 1) * n) / leaves - (i * n) / leaves;
        let inner = leaves - 1;
        let shape = |i: usize| {
            let leaf = i.wrapping_sub(inner);
            let (rows, cols) = if i < inner { (0, 0) } else { (size(n_out, leaf), size(n_in, leaf)) };
            let children = if i < inner { 2 * i + 1..2 * i + 3 } else { 0..0 };
            NodeShape { children, rows, cols, row_rank: rank, col_rank: rank }
        };
        let shapes: Vec<NodeShape> = (0..2 * leaves - 1).map(shape).collect();
        Ok(Self { rank, ..Self::from_tree(&shapes)? })
    }

    /// The layout of a matrix on any tree, with ranks of its own at every node. The nodes are in breadth-first order: the root
    /// first, each level after the one above, the children of a node next to each other and in the order of the nodes.
    ///
    /// # Errors
    /// [`LayoutError::Tree`] when the children are not in that order, [`LayoutError::EmptyMatrix`] for a matrix without rows or
    /// columns.
    pub fn from_tree(shapes: &[NodeShape]) -> Result<Self, LayoutError> {
        // Breadth first means: reading the nodes in order, their children follow one another from node 1 to the end.
        let mut next = 1;
        for (node, shape) in shapes.iter().enumerate() {
            if !shape.children.is_empty() {
                if shape.children.start != next || shape.children.start <= node || shape.children.end > shapes.len() {
                    return Err(LayoutError::Tree { node });
                }
                next = shape.children.end;
            }
        }
        if shapes.is_empty() || next != shapes.len() {
            return Err(LayoutError::Tree { node: next.min(shapes.len()) });
        }
        let mut levels = vec![0, 1];
        while levels[levels.len() - 1] < shapes.len() {
            let last = &shapes[levels[levels.len() - 2]..levels[levels.len() - 1]];
            let end = last.iter().map(|shape| shape.children.end).max().unwrap_or(0);
            levels.push(end);
        }

        let blank = Block { offset: 0, rows: 0, cols: 0 };
        let mut nodes: Vec<Node> = Vec::with_capacity(shapes.len());
        let (mut row_coefficients, mut col_coefficients) = (0, 0);
        for (i, shape) in shapes.iter().enumerate() {
            nodes.push(Node {
                d: blank,
                u: blank,
                v: blank,
                children: (shape.children.start, shape.children.end),
                rows: (0, 0),
                cols: (0, 0),
                row_coefficient: row_coefficients,
                col_coefficient: col_coefficients,
            });
            if i > 0 {
                row_coefficients += shape.row_rank;
                col_coefficients += shape.col_rank;
            }
        }
        let sizes = |i: usize| {
            let shape = &shapes[i];
            if shape.children.is_empty() {
                (shape.rows, shape.cols)
            } else {
                let children = &shapes[shape.children.clone()];
                (children.iter().map(|c| c.row_rank).sum(), children.iter().map(|c| c.col_rank).sum())
            }
        };
        let mut offset = 0;
        let mut place = |rows: usize, cols: usize| {
            let block = Block { offset, rows, cols };
            offset += rows * cols;
            block
        };
        for level in (0..levels.len() - 1).rev() {
            let range = levels[level]..levels[level + 1];
            for i in range.clone() {
                let (rows, cols) = sizes(i);
                nodes[i].d = place(rows, cols);
            }
            for i in range.clone() {
                nodes[i].u = place(sizes(i).0, if i == 0 { 0 } else { shapes[i].row_rank });
            }
            for i in range {
                nodes[i].v = place(sizes(i).1, if i == 0 { 0 } else { shapes[i].col_rank });
            }
        }
        // Numbers of rows and columns from below, then their places from above.
        let mut extents = vec![(0, 0); nodes.len()];
        for i in (0..nodes.len()).rev() {
            extents[i] = if nodes[i].is_leaf() {
                (shapes[i].rows, shapes[i].cols)
            } else {
                nodes[i].children().fold((0, 0), |sum, c| (sum.0 + extents[c].0, sum.1 + extents[c].1))
            };
        }
        let (n_out, n_in) = extents[0];
        if n_out == 0 || n_in == 0 {
            return Err(LayoutError::EmptyMatrix { n_out, n_in });
        }
        (nodes[0].rows, nodes[0].cols) = ((0, n_out), (0, n_in));
        for i in 0..nodes.len() {
            let (mut row, mut col) = (nodes[i].rows.0, nodes[i].cols.0);
            for child in nodes[i].children() {
                nodes[child].rows = (row, row + extents[child].0);
                nodes[child].cols = (col, col + extents[child].1);
                (row, col) = (nodes[child].rows.1, nodes[child].cols.1);
            }
        }
        let rank = shapes.iter().skip(1).map(|s| s.row_rank.max(s.col_rank)).max().unwrap_or(0);
        Ok(Self { n_out, n_in, rank, nodes, levels, col_coefficients, row_coefficients, len: offset })
    }

    /// Number of rows of the matrix.
    pub fn n_out(&self) -> usize {
        self.n_out
    }

    /// Number of columns of the matrix.
    pub fn n_in(&self) -> usize {
        self.n_in
    }

    /// Depth `L` of the cluster tree; 0 for one dense block.
    pub fn levels(&self) -> usize {
        self.levels.len() - 2
    }

    /// Rank `r` of the off-diagonal coupling; on a general tree the largest.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of parameters; on a balanced tree of one rank
    /// `sum_leaves (m_out m_in + (m_out + m_in) r) + sum_{l=1}^{L-1} 2^l 8 r^2 + 4 r^2`.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All nodes, breadth first: the root, the nodes of level 1, ...
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes of a level; level 0 is the root, level [`Self::levels`] the deepest leaves. On the tree of [`HssLayout::new`]
    /// they are `2^level`.
    ///
    /// # Panics
    /// When `level > self.levels()`.
    pub fn level(&self, level: usize) -> &[Node] {
        &self.nodes[self.level_range(level)]
    }

    /// The indices of the nodes of a level.
    ///
    /// # Panics
    /// When `level > self.levels()`.
    pub fn level_range(&self, level: usize) -> Range<usize> {
        assert!(level <= self.levels(), "level {level} of a tree of depth {}", self.levels());
        self.levels[level]..self.levels[level + 1]
    }

    /// Output indices of node `i` of the deepest level: of leaf `i` on the tree of [`HssLayout::new`].
    pub fn leaf_out(&self, i: usize) -> Range<usize> {
        self.level(self.levels())[i].rows()
    }

    /// Input indices of node `i` of the deepest level: of leaf `i` on the tree of [`HssLayout::new`].
    pub fn leaf_in(&self, i: usize) -> Range<usize> {
        self.level(self.levels())[i].cols()
    }

    /// Multiply-adds of one product with a vector: one per parameter.
    pub fn multiply_adds(&self) -> usize {
        self.len
    }

    /// Rows of an array that holds the coefficients of all nodes but the root, of either kind.
    pub(crate) fn coefficient_rows(&self) -> usize {
        self.col_coefficients.max(self.row_coefficients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paper_counts_9424_parameters_in_a_heat_layer() {
        assert_eq!(HssLayout::new(256, 256, 3, 2).unwrap().len(), 9424);
    }

    #[test]
    fn blocks_tile_the_slice_and_leaves_tile_the_indices() {
        for (n_out, n_in, levels, rank) in
            [(1, 1, 0, 0), (1, 1, 1, 2), (5, 9, 2, 3), (256, 256, 3, 2), (17, 4, 3, 0), (100, 64, 4, 40)]
        {
            let layout = HssLayout::new(n_out, n_in, levels, rank).unwrap();
            let mut covered = vec![0u8; layout.len()];
            for level in 0..=levels {
                for node in layout.level(level) {
                    for block in [node.d, node.u, node.v] {
                        covered[block.range()].iter_mut().for_each(|c| *c += 1);
                    }
                }
            }
            assert!(covered.iter().all(|&c| c == 1));
            let mut next = (0, 0);
            let sizes: Vec<usize> = (0..1 << levels).map(|i| layout.leaf_out(i).len()).collect();
            for (i, node) in layout.level(levels).iter().enumerate() {
                let (out, inp) = (layout.leaf_out(i), layout.leaf_in(i));
                assert_eq!((out.start, inp.start), next);
                assert_eq!((node.d.rows, node.d.cols), (out.len(), inp.len()));
                next = (out.end, inp.end);
            }
            assert_eq!(next, (n_out, n_in));
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn depth_zero_is_one_dense_block_and_rank_zero_is_block_diagonal() {
        let dense = HssLayout::new(7, 5, 0, 3).unwrap();
        assert_eq!(dense.len(), 35);
        assert_eq!(dense.level(0)[0].d, Block { offset: 0, rows: 7, cols: 5 });
        assert_eq!(HssLayout::new(16, 16, 2, 0).unwrap().len(), 64);
    }

    fn leaf(rows: usize, cols: usize, row_rank: usize, col_rank: usize) -> NodeShape {
        NodeShape { children: 0..0, rows, cols, row_rank, col_rank }
    }

    #[test]
    fn a_tree_with_three_children_and_leaves_on_two_levels() {
        let inner = |children, row_rank, col_rank| NodeShape { children, rows: 0, cols: 0, row_rank, col_rank };
        let shapes = [
            inner(1..4, 0, 0),
            leaf(5, 4, 2, 1),
            inner(4..6, 1, 2),
            leaf(3, 3, 0, 3),
            leaf(2, 6, 2, 1),
            leaf(4, 1, 1, 1),
        ];
        let layout = HssLayout::from_tree(&shapes).unwrap();
        assert_eq!((layout.n_out(), layout.n_in(), layout.levels(), layout.rank()), (14, 14, 2, 3));
        let nodes = layout.nodes();
        assert_eq!((nodes[0].d.rows, nodes[0].d.cols), (3, 6));
        assert_eq!((nodes[2].u.rows, nodes[2].u.cols, nodes[2].v.rows, nodes[2].v.cols), (3, 1, 2, 2));
        assert_eq!(
            (nodes[2].rows(), nodes[2].cols(), nodes[3].rows(), nodes[5].cols()),
            (5..11, 4..11, 11..14, 10..11)
        );
        let blocks = nodes.iter().flat_map(|n| [n.d, n.u, n.v]);
        assert_eq!(blocks.map(|b| b.len()).sum::<usize>(), layout.len());
        assert_eq!((layout.row_coefficients, layout.col_coefficients), (6, 8));
    }

    #[test]
    fn nodes_out_of_order_are_errors() {
        let inner = |children| NodeShape { children, rows: 0, cols: 0, row_rank: 1, col_rank: 1 };
        assert_eq!(HssLayout::from_tree(&[]), Err(LayoutError::Tree { node: 0 }));
        assert_eq!(HssLayout::from_tree(&[inner(2..3), leaf(1, 1, 1, 1)]), Err(LayoutError::Tree { node: 0 }));
        assert_eq!(HssLayout::from_tree(&[inner(0..1)]), Err(LayoutError::Tree { node: 0 }));
        assert_eq!(
            HssLayout::from_tree(&[inner(1..2), inner(2..9), leaf(1, 1, 1, 1)]),
            Err(LayoutError::Tree { node: 1 })
        );
        let orphan = [inner(1..2), leaf(1, 1, 1, 1), leaf(1, 1, 1, 1)];
        assert_eq!(HssLayout::from_tree(&orphan), Err(LayoutError::Tree { node: 2 }));
    }

    #[test]
    fn impossible_layouts_are_errors() {
        assert!(matches!(HssLayout::new(0, 4, 1, 1), Err(LayoutError::EmptyMatrix { .. })));
        assert!(matches!(HssLayout::new(4, 4, 60, 1), Err(LayoutError::TooManyLevels { .. })));
        assert!(matches!(HssLayout::new(4, 4, 2, usize::MAX / 2), Err(LayoutError::TooLarge { .. })));
        assert!(matches!(HssLayout::new(usize::MAX, usize::MAX, 0, 1), Err(LayoutError::TooLarge { .. })));
    }
}
