//! What can go wrong when a problem is built or sampled.

use thiserror::Error;

/// A bad name, a bad option or a buffer of the wrong length. Each message is one line.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PdeError {
    /// No problem has this name.
    #[error("unknown problem `{name}`; known: {known}")]
    UnknownProblem {
        /// The name asked for.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// No family has this name.
    #[error("unknown data family `{name}`; known: {known}")]
    UnknownFamily {
        /// The name asked for.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// The problem has no scheme of this name.
    #[error("{problem}: unknown scheme `{scheme}`; known: {known}")]
    UnknownScheme {
        /// The problem.
        problem: &'static str,
        /// The scheme asked for.
        scheme: String,
        /// The schemes of this problem, separated by commas.
        known: String,
    },
    /// A grid size is out of range or does not fit another one.
    #[error("{problem}: {field} = {value}: {reason}")]
    Size {
        /// The problem.
        problem: &'static str,
        /// The option at fault.
        field: &'static str,
        /// Its value.
        value: usize,
        /// What is wrong with it and what would do.
        reason: String,
    },
    /// An option is set that the problem does not have.
    #[error("{problem}: there is no option `{option}`; it has {known}")]
    NoOption {
        /// The problem.
        problem: &'static str,
        /// The option that was set.
        option: &'static str,
        /// The options of this problem, separated by commas.
        known: String,
    },
    /// A real option is out of range.
    #[error("{problem}: {field} = {value}: {reason}")]
    Value {
        /// The problem.
        problem: &'static str,
        /// The option at fault.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What is wrong with it and what would do.
        reason: String,
    },
    /// The sparse matrix of the problem could not be factored.
    #[error("{problem}: the sparse factorisation of {unknowns} unknowns failed: {reason}")]
    Factorisation {
        /// The problem.
        problem: &'static str,
        /// Rows of the matrix.
        unknowns: usize,
        /// Why.
        reason: String,
    },
    /// The time integration failed.
    #[error("{problem}: the integration failed at time {time}: {reason}")]
    Integration {
        /// The problem.
        problem: &'static str,
        /// Where it stopped.
        time: f64,
        /// Why, and what would do.
        reason: String,
    },
    /// The problem cannot draw from this family on its grid.
    #[error(
        "{problem}: no family `{family}` on {n} points an axis; here: {known} \
         (`paper` needs more than {highest} points)"
    )]
    Family {
        /// The problem.
        problem: &'static str,
        /// The family asked for.
        family: String,
        /// Points an axis of the stored grid.
        n: usize,
        /// The families this grid supports, separated by commas.
        known: String,
        /// The highest wave number of the family `paper`.
        highest: usize,
    },
    /// A buffer does not have the length that channels and grid ask for.
    #[error("{problem}: {buffer} holds {got} numbers, channels and grid need {expected}")]
    Length {
        /// The problem.
        problem: &'static str,
        /// `input` or `output`.
        buffer: &'static str,
        /// Its length.
        got: usize,
        /// The length it must have.
        expected: usize,
    },
    /// The problem has no pattern of this name.
    #[error("{problem}: unknown pattern `{pattern}`; known: {known}")]
    UnknownPattern {
        /// The problem.
        problem: &'static str,
        /// The pattern asked for.
        pattern: String,
        /// The patterns that exist, separated by commas.
        known: String,
    },
    /// An iteration did not converge.
    #[error("{problem}: no convergence: residual {residual:e} after {steps} steps: {reason}")]
    Iteration {
        /// The problem.
        problem: &'static str,
        /// Steps made.
        steps: usize,
        /// The last residual.
        residual: f64,
        /// What was asked for, and what would do.
        reason: String,
    },
}

/// Why [`generate`](crate::generate) stopped. `E` is the error of the caller's sink.
#[derive(Debug, Error)]
pub enum GenerateError<E> {
    /// A sample could not be computed; all samples before it have been handed over.
    #[error("sample {index}: {source}")]
    Sample {
        /// Index of the sample.
        index: u64,
        /// What was wrong.
        source: PdeError,
    },
    /// The sink refused a sample; no later one has been handed over.
    #[error("sample {index}: {source}")]
    Sink {
        /// Index of the sample.
        index: u64,
        /// The sink's error.
        source: E,
    },
}
