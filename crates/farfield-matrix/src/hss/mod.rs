//! HSS matrices (hierarchically semiseparable) in telescopic form.
//!
//! ```text
//! A = D(L) + U(L) A(L-1) V(L)^T,   A(L-1) = D(L-1) + U(L-1) A(L-2) V(L-1)^T,   ...,   A(0) = D(0)
//! ```
//!
//! with block-diagonal `D(l)`, `U(l)`, `V(l)`, one block a node of the tree (Neural-HSS, definition 2.1; Casulli,
//! Kressner & Robol 2024, definition 3.1). Every node has ranks of its own, one for `U` and one for `V`; the tree may
//! have any shape, leaves on any level included. The bases need not be orthonormal, so any parameters give an HSS
//! matrix and the same matrix has many parameters. [`HssLayout`] says where each block lies.
//!
//! | operation | cost in multiply-adds | result |
//! | --- | --- | --- |
//! | [`apply`](crate::LinearOperator::apply), [`apply_transpose`](crate::LinearOperator::apply_transpose) | number of parameters a vector, about `n (m + 6 r)` for leaves of `m >= r` | vectors |
//! | [`Hss::transpose`], [`Hss::scale`], [`Hss::add`] | none, or one a parameter | same ranks; `add`: their sums |
//! | [`Hss::multiply`] | `O(n (m + r)^2 / m)` | exact, sums of ranks |
//! | [`Hss::shift`], [`Hss::add_low_rank`] | one a parameter | same ranks; larger by those of the update |
//! | [`Hss::recompress`], [`Hss::norm_frobenius`] | `O(n (m + r) r)` | smallest ranks for a tolerance, proven; exact norm |
//! | [`Hss::block`], [`Hss::entry`], [`Hss::diagonal`], [`Hss::trace`] | no more than the norm | exact |
//! | [`Hss::exp`], [`Hss::square_roots`] | tens of products and recompressions | to a tolerance |
//! | [`Hss::to_dense`] | `O(n^2 r)` | dense |
//! | [`Hss::ulv`], [`Hss::cholesky`], [`Hss::least_squares`] | `O(n r^2)` for leaves of `m = O(r)` | factors; then `O(n r)` a solution |
//! | [`Hss::from_products`], [`Hss::recover`] | `O(n s^2)` for `s` samples | HSS matrix, certificate |
//!
//! Built from a dense matrix by [`Hss::from_dense`] (proven error), from entries by [`Hss::from_entries`] (never
//! formed), from factors by [`Hss::low_rank`].
//!
//! Every operation adds its terms in a fixed order: the same input gives the same bits on any number of threads.

mod add;
mod apply;
mod certify;
mod dense;
mod extract;
mod from_dense;
mod from_entries;
mod from_products;
mod functions;
mod least_squares;
mod low_rank;
mod multiply;
mod one_vector;
mod orthonormal;
mod passes;
mod recompress;
mod recover;
mod sketch;
mod telescope;
mod transpose;
pub(crate) mod truncation;
mod ulv;
mod ulv_cholesky;
mod uniform;

pub use from_entries::SkeletonOptions;
pub use from_products::{FromProducts, ProductOptions};
pub use functions::SquareRoots;
pub use least_squares::{HssLeastSquares, LeastSquaresSolution};
pub use recover::{RecoverOptions, Recovered};
pub use ulv::HssUlv;
pub use ulv_cholesky::HssCholesky;

use std::fmt;
use std::sync::Arc;

use faer::{Mat, MatMut, MatRef};
use farfield_kernels::{Block, HssLayout, NodeShape};

use crate::block_tree::Leaf;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::scalar::Scalar;

/// An HSS matrix: a tree of its rows and one of its columns, a layout and its parameters, all of them finite.
#[derive(Clone, PartialEq)]
pub struct Hss<T> {
    /// Node `i` of the layout is cluster `i` of both trees.
    rows: Arc<ClusterTree>,
    cols: Arc<ClusterTree>,
    layout: Arc<HssLayout>,
    data: Vec<T>,
    /// For each node whether its `D` couples no child with itself: what products with one vector need not read.
    hollow: Arc<[bool]>,
}

/// The blocks of one node, as the algorithms make them. `u` and `v` of the root have no columns.
#[derive(Clone, Debug)]
pub(crate) struct NodeBlocks<T> {
    pub d: Mat<T>,
    pub u: Mat<T>,
    pub v: Mat<T>,
}

impl<T: Scalar> Hss<T> {
    /// The matrix with the given parameters, in the order that [`HssLayout`] states, on indices in their natural order.
    ///
    /// # Errors
    /// [`MatrixError::Length`] when `data` has not `layout.len()` entries, [`MatrixError::NonFinite`]
    /// for an infinite or NaN entry.
    pub fn from_parts(layout: impl Into<Arc<HssLayout>>, data: Vec<T>) -> Result<Self, MatrixError> {
        let layout = layout.into();
        let nodes = layout.nodes().iter();
        let rows = ClusterTree::from_ranges(nodes.clone().map(|node| (node.rows(), node.children())).collect());
        let cols = ClusterTree::from_ranges(nodes.map(|node| (node.cols(), node.children())).collect());
        Self::on_trees(Arc::new(rows), Arc::new(cols), layout, data)
    }

    /// The matrix with the given parameters on a row and a column tree, which must have the same nodes as the layout.
    ///
    /// # Errors
    /// As [`Hss::from_parts`], and [`MatrixError::Tree`] when trees and layout differ.
    pub fn on_trees(
        rows: Arc<ClusterTree>,
        cols: Arc<ClusterTree>,
        layout: impl Into<Arc<HssLayout>>,
        data: Vec<T>,
    ) -> Result<Self, MatrixError> {
        let layout = layout.into();
        check_length("parameters of an HSS matrix", data.len(), layout.len())?;
        let same = |tree: &ClusterTree, range: fn(&farfield_kernels::Node) -> std::ops::Range<usize>| {
            let clusters = tree.clusters().iter().map(|c| (c.range.clone(), c.children.clone()));
            clusters.eq(layout.nodes().iter().map(|node| (range(node), node.children())))
        };
        if !same(&rows, |node| node.rows()) || !same(&cols, |node| node.cols()) {
            let reason = "the row tree, the column tree and the layout of an HSS matrix differ".to_owned();
            return Err(MatrixError::Tree { reason });
        }
        Self::checked(rows, cols, layout, data, "parameters of an HSS matrix")
    }

    /// The matrix with these blocks, one a cluster. The number of columns of `u` and `v` are the ranks; blocks above
    /// the leaves have the ranks of the children as sizes.
    pub(crate) fn assemble(
        rows: Arc<ClusterTree>,
        cols: Arc<ClusterTree>,
        blocks: &[NodeBlocks<T>],
    ) -> Result<Self, MatrixError> {
        if !rows.same_shape(&cols) {
            let reason = "the row tree and the column tree of an HSS matrix differ in shape".to_owned();
            return Err(MatrixError::Tree { reason });
        }
        let shapes: Vec<NodeShape> = (rows.clusters().iter().zip(cols.clusters()).zip(blocks))
            .map(|((row, col), node)| NodeShape {
                children: row.children.clone(),
                rows: row.len(),
                cols: col.len(),
                row_rank: node.u.ncols(),
                col_rank: node.v.ncols(),
            })
            .collect();
        let layout = HssLayout::from_tree(&shapes)?;
        let mut data = vec![T::ZERO; layout.len()];
        for (node, blocks) in layout.nodes().iter().zip(blocks) {
            for (block, values) in [(node.d, &blocks.d), (node.u, &blocks.u), (node.v, &blocks.v)] {
                debug_assert_eq!((block.rows, block.cols), (values.nrows(), values.ncols()));
                if !block.is_empty() {
                    let target = &mut data[block.range()];
                    MatMut::from_row_major_slice_mut(target, block.rows, block.cols).copy_from(values);
                }
            }
        }
        Self::checked(rows, cols, Arc::new(layout), data, "blocks of an HSS matrix")
    }

    /// The zero matrix.
    pub fn zeros(layout: impl Into<Arc<HssLayout>>) -> Self {
        let layout = layout.into();
        let data = vec![T::ZERO; layout.len()];
        Self::from_parts(layout, data).expect("zeros are finite, and as many as the layout says")
    }

    /// Sizes, ranks and positions of the blocks.
    pub fn layout(&self) -> &Arc<HssLayout> {
        &self.layout
    }

    /// The tree of the rows.
    pub fn rows(&self) -> &Arc<ClusterTree> {
        &self.rows
    }

    /// The tree of the columns.
    pub fn cols(&self) -> &Arc<ClusterTree> {
        &self.cols
    }

    /// The parameters, `layout().len()` of them.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The layout and the parameters.
    pub fn into_parts(self) -> (Arc<HssLayout>, Vec<T>) {
        (self.layout, self.data)
    }

    /// Number of rows.
    pub fn nrows(&self) -> usize {
        self.layout.n_out()
    }

    /// Number of columns.
    pub fn ncols(&self) -> usize {
        self.layout.n_in()
    }

    /// Depth `L` of the tree, 0 for a dense matrix.
    pub fn levels(&self) -> usize {
        self.layout.levels()
    }

    /// The largest rank, an upper bound on the rank of every off-diagonal block of the tree.
    pub fn rank(&self) -> usize {
        self.layout.rank()
    }

    /// Numbers stored: the parameters.
    pub fn stored(&self) -> usize {
        self.data.len()
    }

    /// Multiply-adds of a product with one vector: one a parameter.
    pub fn multiply_adds(&self) -> usize {
        self.stored()
    }

    /// Bytes that the parameters take (trees and layout, which matrices share, not counted).
    pub fn memory_bytes(&self) -> usize {
        size_of_val(self.data.as_slice())
    }

    /// The dense diagonal blocks of the leaves, and the blocks between siblings, whose rank is at most the smaller one of the two bases.
    pub fn leaves(&self) -> Vec<Leaf> {
        let nodes = self.layout.nodes();
        let mut leaves = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let level = self.rows.cluster(i).level;
            if node.is_leaf() {
                leaves.push(Leaf { rows: node.rows(), cols: node.cols(), level, rank: None });
            }
            for s in node.children() {
                for t in node.children().filter(|t| *t != s) {
                    let rank = Some(nodes[s].u.cols.min(nodes[t].v.cols));
                    leaves.push(Leaf { rows: nodes[s].rows(), cols: nodes[t].cols(), level: level + 1, rank });
                }
            }
        }
        leaves
    }

    /// `D` of a node.
    pub(crate) fn d(&self, node: usize) -> MatRef<'_, T> {
        self.view(self.layout.nodes()[node].d)
    }

    /// `U` of a node; no columns at the root.
    pub(crate) fn u(&self, node: usize) -> MatRef<'_, T> {
        self.view(self.layout.nodes()[node].u)
    }

    /// `V` of a node; no columns at the root.
    pub(crate) fn v(&self, node: usize) -> MatRef<'_, T> {
        self.view(self.layout.nodes()[node].v)
    }

    fn view(&self, block: Block) -> MatRef<'_, T> {
        MatRef::from_row_major_slice(&self.data[block.range()], block.rows, block.cols)
    }

    /// The matrix with the same trees and layout and other parameters, when all of them are finite.
    fn with_data(&self, data: Vec<T>, what: &'static str) -> Result<Self, MatrixError> {
        Self::checked(self.rows.clone(), self.cols.clone(), self.layout.clone(), data, what)
    }

    /// The matrix when all of its parameters are finite. Trees, layout and number of parameters fit each other.
    fn checked(
        rows: Arc<ClusterTree>,
        cols: Arc<ClusterTree>,
        layout: Arc<HssLayout>,
        data: Vec<T>,
        what: &'static str,
    ) -> Result<Self, MatrixError> {
        if let Some(index) = data.iter().position(|x| !Scalar::is_finite(*x)) {
            return Err(non_finite(what, &layout, index, data[index].to_f64()));
        }
        let hollow = one_vector::hollow_nodes(&layout, &data).into();
        Ok(Self { rows, cols, layout, data, hollow })
    }
}

impl<T: Scalar> fmt::Debug for Hss<T> {
    /// The sizes, not the entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hss")
            .field("nrows", &self.nrows())
            .field("ncols", &self.ncols())
            .field("levels", &self.levels())
            .field("rank", &self.rank())
            .field("parameters", &self.data.len())
            .finish()
    }
}

/// Bytes of the dense blocks of the leaves of a row and a column tree of the same shape.
fn leaf_bytes<T: Scalar>(rows: &ClusterTree, cols: &ClusterTree) -> usize {
    let numbers = rows.leaves().map(|i| rows.cluster(i).len().saturating_mul(cols.cluster(i).len()));
    numbers.fold(0usize, |sum, x| sum.saturating_add(x)).saturating_mul(size_of::<T>())
}

fn check_length(what: &'static str, got: usize, expected: usize) -> Result<(), MatrixError> {
    if got == expected { Ok(()) } else { Err(MatrixError::Length { what, got, expected }) }
}

/// The error that names the block in which parameter `index` lies.
fn non_finite(what: &'static str, layout: &HssLayout, index: usize, value: f64) -> MatrixError {
    let blocks = (0..=layout.levels()).flat_map(|level| {
        let nodes = layout.level(level).iter().enumerate();
        nodes.flat_map(move |(node, blocks)| {
            [('D', blocks.d), ('U', blocks.u), ('V', blocks.v)].map(|(kind, block)| (level, node, kind, block))
        })
    });
    let (level, node, kind, block) = blocks
        .into_iter()
        .find(|(.., block)| block.range().contains(&index))
        .expect("the blocks of a layout tile its parameters");
    let within = index - block.offset;
    MatrixError::NonFinite { what, index, value, level, node, kind, row: within / block.cols, col: within % block.cols }
}
