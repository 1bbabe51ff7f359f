//! What callers of the kernels can get wrong.

/// A shape that cannot be, or slices that do not match it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A matrix without rows or columns.
    #[error("an HSS matrix needs at least one row and one column, got {n_out} x {n_in}")]
    EmptyMatrix {
        /// Number of rows.
        n_out: usize,
        /// Number of columns.
        n_in: usize,
    },
    /// A tree deeper than supported.
    #[error("{levels} levels exceed the maximum of {max}")]
    TooManyLevels {
        /// The depth asked for.
        levels: usize,
        /// The largest depth accepted.
        max: usize,
    },
    /// Nodes of a tree that are not in breadth-first order.
    #[error("node {node} of the tree: the nodes must come level by level, the children of a node next to each other")]
    Tree {
        /// The first node that is out of order.
        node: usize,
    },
    /// More parameters than can be addressed.
    #[error("an HSS matrix of {n_out} x {n_in}, {levels} levels and rank {rank} is too large")]
    TooLarge {
        /// Number of rows.
        n_out: usize,
        /// Number of columns.
        n_in: usize,
        /// Depth of the tree.
        levels: usize,
        /// Rank.
        rank: usize,
    },
    /// A slice whose length does not match the shapes.
    #[error("{what} has {got} entries, {expected} are needed")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length that the shapes ask for.
        expected: usize,
    },
    /// An axis that the array does not have.
    #[error("axis {axis} of an array of {axes} axes")]
    Axis {
        /// The axis asked for.
        axis: usize,
        /// Number of axes.
        axes: usize,
    },
    /// Strides that put two entries of a result in one place.
    #[error("the strides of the result make entries overlap")]
    Overlap,
    /// Slots, pairs or clusters of a block-sparse layer that do not fit each other.
    #[error("{what}: {reason}")]
    Pattern {
        /// Which layer.
        what: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// A slope of a LeakyReLU that is not positive and finite.
    #[error("the slope of a LeakyReLU is {slope}, it must be positive")]
    Slope {
        /// The slope.
        slope: String,
    },
}

/// `Ok` when a slice has the length that the shapes ask for.
pub(crate) fn check_len(what: &'static str, got: usize, expected: usize) -> Result<(), LayoutError> {
    if got == expected { Ok(()) } else { Err(LayoutError::Length { what, got, expected }) }
}
