//! What callers of this crate can get wrong.

use farfield_kernels::LayoutError;

/// Why a matrix could not be made, combined or applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MatrixError {
    /// The shape of the matrix, or of the result of an operation, cannot be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A slice whose length does not match the matrix.
    #[error("{what}: the slice has {got} entries, pass {expected}")]
    Length {
        /// The operation and its argument.
        what: &'static str,
        /// Length of the slice.
        got: usize,
        /// Length that the matrix asks for.
        expected: usize,
    },
    /// A parameter that is infinite or not a number.
    #[error(
        "{what}: entry ({row}, {col}) of {kind} of node {node} on level {level} is {value} \
         (parameter {index}), every parameter must be finite"
    )]
    NonFinite {
        /// The matrix that was being made.
        what: &'static str,
        /// Position in the flat slice of parameters.
        index: usize,
        /// The offending value.
        value: f64,
        /// Level of the block; 0 is the root.
        level: usize,
        /// Node on that level.
        node: usize,
        /// Kind of the block: `D`, `U` or `V`.
        kind: char,
        /// Row in the block.
        row: usize,
        /// Column in the block.
        col: usize,
    },
    /// A factor of [`Hss::scale`](crate::Hss::scale) that is infinite or not a number.
    #[error("scale: the factor is {value}, it must be finite")]
    Factor {
        /// The factor.
        value: f64,
    },
    /// Two matrices whose sizes do not fit each other.
    #[error("{operation}: a {left_out} x {left_in} and a {right_out} x {right_in} matrix do not fit, {rule}")]
    Shapes {
        /// The operation.
        operation: &'static str,
        /// Rows of the left matrix.
        left_out: usize,
        /// Columns of the left matrix.
        left_in: usize,
        /// Rows of the right matrix.
        right_out: usize,
        /// Columns of the right matrix.
        right_in: usize,
        /// What has to agree.
        rule: &'static str,
    },
    /// Two matrices whose trees differ in depth.
    #[error("{operation}: the left tree has {left} levels and the right one {right}, use equal depths")]
    Depths {
        /// The operation.
        operation: &'static str,
        /// Depth of the left tree.
        left: usize,
        /// Depth of the right tree.
        right: usize,
    },
}
