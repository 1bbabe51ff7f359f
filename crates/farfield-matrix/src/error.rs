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
    /// A matrix with the wrong number of rows.
    #[error("{what}: the matrix has {got} rows, pass {expected}")]
    Rows {
        /// The operation and its argument.
        what: &'static str,
        /// Rows of the argument.
        got: usize,
        /// Rows that the operation asks for.
        expected: usize,
    },
    /// A point set that cannot be used.
    #[error("points: {reason}")]
    Points {
        /// What is wrong.
        reason: String,
    },
    /// A cluster tree that cannot be built, or two that do not fit each other.
    #[error("cluster tree: {reason}")]
    Tree {
        /// What is wrong.
        reason: String,
    },
    /// An option outside its range.
    #[error("{name} = {value}: {rule}")]
    Option {
        /// Name of the option.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// An entry of the matrix to be approximated that is infinite or NaN.
    #[error("entry ({row}, {col}) of the matrix is {value}: every entry must be finite")]
    Entry {
        /// Row, in the user's order.
        row: usize,
        /// Column, in the user's order.
        col: usize,
        /// The entry.
        value: f64,
    },
    /// A tolerance that was not reached.
    #[error("{what}: the tolerance {tolerance:.3e} was not met, the error is {reached:.3e} with {limit}")]
    Tolerance {
        /// What was built.
        what: &'static str,
        /// Absolute error allowed.
        tolerance: f64,
        /// Absolute error reached, proven or estimated.
        reached: f64,
        /// What stood in the way, as "rank cap 8".
        limit: String,
    },
    /// A matrix that cannot be inverted.
    #[error("{what}: the matrix is singular to working precision ({place})")]
    Singular {
        /// The factorisation.
        what: &'static str,
        /// Where it broke down.
        place: String,
    },
    /// A Cholesky factorisation of a matrix that is not positive definite.
    #[error("{what}: the matrix is not positive definite ({place})")]
    NotPositiveDefinite {
        /// The factorisation.
        what: &'static str,
        /// Where it broke down.
        place: String,
    },
    /// An operator that has no transposed product.
    #[error("{what}: this operator has no transposed product")]
    NoTranspose {
        /// The operation that needs one.
        what: &'static str,
    },
    /// More memory than the caller allows.
    #[error("{what}: needs about {needed} bytes, the budget is {budget}")]
    Memory {
        /// What was to be built.
        what: &'static str,
        /// Bytes needed, as far as known.
        needed: usize,
        /// Bytes allowed.
        budget: usize,
    },
    /// An iteration that did not converge.
    #[error("{what}: no convergence in {iterations} iterations, the relative residual is {residual:.3e}")]
    NoConvergence {
        /// The iteration.
        what: &'static str,
        /// Iterations made.
        iterations: usize,
        /// Residual reached, relative to the right-hand side.
        residual: f64,
    },
    /// Data from which an operator cannot be recovered.
    #[error("recovery: {reason}")]
    Recovery {
        /// Why.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}
