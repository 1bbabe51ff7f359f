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
//! In the flat slice the leaves come first and the root last. Within a level all `D` blocks come
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

/// The blocks of one node: `d` always, `u` and `v` except at the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// `D`: the part of the matrix that stays at this level.
    pub d: Block,
    /// `U`: basis of the rows (empty at the root).
    pub u: Block,
    /// `V`: basis of the columns, multiplied as `V^T x` (empty at the root).
    pub v: Block,
}

/// Sizes, ranks and offsets of one HSS matrix. Cost of construction: O(number of nodes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HssLayout {
    n_out: usize,
    n_in: usize,
    levels: usize,
    rank: usize,
    /// Nodes of level 0, then of level 1, ...: node `i` of level `l` is at `2^l - 1 + i`.
    nodes: Vec<Node>,
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

        let empty = Block { offset: 0, rows: 0, cols: 0 };
        let mut nodes = vec![Node { d: empty, u: empty, v: empty }; 2 * leaves - 1];
        let mut offset = 0;
        let mut place = |rows: usize, cols: usize| {
            let block = Block { offset, rows, cols };
            offset += rows * cols;
            block
        };
        for level in (0..=levels).rev() {
            let count = 1usize << level;
            let first = count - 1;
            let size = |n: usize, i: usize| {
                if level == levels { ((i + 1) * n) / count - (i * n) / count } else { 2 * rank }
            };
            for i in 0..count {
                nodes[first + i].d = place(size(n_out, i), size(n_in, i));
            }
            if level > 0 {
                for i in 0..count {
                    nodes[first + i].u = place(size(n_out, i), rank);
                }
                for i in 0..count {
                    nodes[first + i].v = place(size(n_in, i), rank);
                }
            }
        }
        Ok(Self { n_out, n_in, levels, rank, nodes, len: offset })
    }

    /// Number of rows of the matrix.
    pub fn n_out(&self) -> usize {
        self.n_out
    }

    /// Number of columns of the matrix.
    pub fn n_in(&self) -> usize {
        self.n_in
    }

    /// Depth `L` of the cluster tree; `2^L` leaves.
    pub fn levels(&self) -> usize {
        self.levels
    }

    /// Rank `r` of the off-diagonal coupling.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of parameters: `sum_leaves (m_out m_in + (m_out + m_in) r) + sum_{l=1}^{L-1} 2^l 8 r^2 + 4 r^2`.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no parameters (never: a layout has at least one row and one column).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The nodes of a level, `2^level` of them; level 0 is the root, level [`Self::levels`] the leaves.
    ///
    /// # Panics
    /// When `level > self.levels()`.
    pub fn level(&self, level: usize) -> &[Node] {
        assert!(level <= self.levels, "level {level} of a tree of depth {}", self.levels);
        &self.nodes[(1 << level) - 1..(1 << (level + 1)) - 1]
    }

    /// Output indices of leaf `i`.
    pub fn leaf_out(&self, i: usize) -> Range<usize> {
        leaf(self.n_out, self.levels, i)
    }

    /// Input indices of leaf `i`.
    pub fn leaf_in(&self, i: usize) -> Range<usize> {
        leaf(self.n_in, self.levels, i)
    }

    /// Multiply-adds of one product with a vector: one per parameter.
    pub fn multiply_adds(&self) -> usize {
        self.len
    }
}

fn leaf(n: usize, levels: usize, i: usize) -> Range<usize> {
    (i * n) >> levels..((i + 1) * n) >> levels
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

    #[test]
    fn impossible_layouts_are_errors() {
        assert!(matches!(HssLayout::new(0, 4, 1, 1), Err(LayoutError::EmptyMatrix { .. })));
        assert!(matches!(HssLayout::new(4, 4, 60, 1), Err(LayoutError::TooManyLevels { .. })));
        assert!(matches!(HssLayout::new(4, 4, 2, usize::MAX / 2), Err(LayoutError::TooLarge { .. })));
        assert!(matches!(HssLayout::new(usize::MAX, usize::MAX, 0, 1), Err(LayoutError::TooLarge { .. })));
    }
}
