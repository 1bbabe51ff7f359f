//! HSS matrices (hierarchically semiseparable) in telescopic form, of one rank on a balanced binary tree.
//!
//! ```text
//! A = D(L) + U(L) A(L-1) V(L)^T,   A(L-1) = D(L-1) + U(L-1) A(L-2) V(L-1)^T,   ...,   A(0) = D(0)
//! ```
//!
//! with block-diagonal `D(l)`, `U(l)`, `V(l)` of `2^l` blocks (Neural-HSS, definition 2.1; Casulli,
//! Kressner & Robol 2024, definition 3.1). The bases need not be orthonormal, so any parameters give
//! an HSS matrix and the same matrix has many parameters. [`HssLayout`] says where each block lies.
//!
//! | operation | cost in multiply-adds | result |
//! | --- | --- | --- |
//! | [`Hss::apply`], [`Hss::apply_transpose`] | number of parameters, about `n (m + 6 r)` for leaves of `m >= r` | vector |
//! | [`Hss::transpose`], [`Hss::scale`], [`Hss::add`] | none, or one a parameter | same rank; `add`: `r_a + r_b` |
//! | [`Hss::multiply`] | `O(2^L (m^2 (m + r) + r^3))` | exact, rank `r_a + r_b` |
//! | [`Hss::to_dense`] | `O(n_out n_in r)` | dense, row-major |
//!
//! Every operation adds its terms in a fixed order: the same input gives the same bits.

mod add;
mod apply;
mod dense;
mod multiply;
mod transpose;

use std::fmt;
use std::sync::Arc;

use farfield_kernels::{Block, HssLayout};

use crate::block::View;
use crate::error::MatrixError;
use crate::scalar::Scalar;

/// An `n_out x n_in` HSS matrix: a layout and its parameters, all of them finite.
#[derive(Clone, PartialEq)]
pub struct Hss<T> {
    layout: Arc<HssLayout>,
    data: Vec<T>,
}

impl<T: Scalar> Hss<T> {
    /// The matrix with the given parameters, in the order that [`HssLayout`] states.
    ///
    /// # Errors
    /// [`MatrixError::Length`] when `data` has not `layout.len()` entries, [`MatrixError::NonFinite`]
    /// for an infinite or NaN entry.
    pub fn from_parts(layout: impl Into<Arc<HssLayout>>, data: Vec<T>) -> Result<Self, MatrixError> {
        let layout = layout.into();
        check_length("parameters of an HSS matrix", data.len(), layout.len())?;
        Self { layout, data }.checked("parameters of an HSS matrix")
    }

    /// The zero matrix.
    pub fn zeros(layout: impl Into<Arc<HssLayout>>) -> Self {
        let layout = layout.into();
        let data = vec![T::ZERO; layout.len()];
        Self { layout, data }
    }

    /// Sizes, rank and positions of the blocks.
    pub fn layout(&self) -> &Arc<HssLayout> {
        &self.layout
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
    pub fn n_out(&self) -> usize {
        self.layout.n_out()
    }

    /// Number of columns.
    pub fn n_in(&self) -> usize {
        self.layout.n_in()
    }

    /// Depth `L` of the tree; `2^L` leaves, 0 for a dense matrix.
    pub fn levels(&self) -> usize {
        self.layout.levels()
    }

    /// Rank `r` of the nested bases, an upper bound on the rank of every off-diagonal block of the tree.
    pub fn rank(&self) -> usize {
        self.layout.rank()
    }

    /// Bytes that the parameters take (the layout, which matrices share, not counted).
    pub fn memory_bytes(&self) -> usize {
        size_of_val(self.data.as_slice())
    }

    fn view(&self, block: Block) -> View<'_, T> {
        View { rows: block.rows, cols: block.cols, data: &self.data[block.range()] }
    }

    /// The same matrix when all of its parameters are finite.
    fn checked(self, what: &'static str) -> Result<Self, MatrixError> {
        match self.data.iter().position(|x| !x.is_finite()) {
            None => Ok(self),
            Some(index) => Err(non_finite(what, &self.layout, index, self.data[index].to_f64())),
        }
    }
}

impl<T: Scalar> fmt::Debug for Hss<T> {
    /// The sizes, not the entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hss")
            .field("n_out", &self.n_out())
            .field("n_in", &self.n_in())
            .field("levels", &self.levels())
            .field("rank", &self.rank())
            .field("parameters", &self.data.len())
            .finish()
    }
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
