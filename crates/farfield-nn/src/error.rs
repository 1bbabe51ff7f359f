//! What can go wrong in configuring, training, saving and loading models.

use std::io;
use std::path::{Path, PathBuf};

use farfield_data::DataError;
use farfield_kernels::LayoutError;
use farfield_matrix::MatrixError;

/// The one error type of the crate. Every message is a single line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// A field of the configuration that cannot be.
    #[error("{field} = {value}: {reason}")]
    Config {
        /// The field, as `table.key`.
        field: &'static str,
        /// Its value as text.
        value: String,
        /// What is wrong and what would do.
        reason: String,
    },
    /// An HSS matrix that cannot be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// An operation on HSS matrices that cannot be.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// A data set that cannot be read or does not fit.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Shapes that do not fit each other.
    #[error("{what}: got {got}, expected {expected}")]
    Shape {
        /// What was being matched.
        what: &'static str,
        /// The shape at hand.
        got: String,
        /// The shape that is needed.
        expected: String,
    },
    /// An operation that this model or layer does not have.
    #[error("{operation}: {reason}")]
    Unsupported {
        /// The operation asked for.
        operation: &'static str,
        /// Why it cannot be, and what could be done instead.
        reason: String,
    },
    /// The loss or a gradient is NaN or infinite.
    #[error(
        "{what} is {value} at epoch {epoch}, step {step}: lower train.learning_rate (with SOAP train.soap_learning_rate), set train.clip_norm, or check the data"
    )]
    NonFinite {
        /// The loss, or the norm of the gradient.
        what: &'static str,
        /// The value found.
        value: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Optimiser step, from 1.
        step: u64,
    },
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or directory that the caller named.
        path: PathBuf,
        /// What was being done, as a verb phrase.
        action: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A model file or checkpoint that is damaged or belongs to something else.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found (names the tensor or key) and what was expected.
        what: String,
    },
    /// An empty list of samples.
    #[error("{what}: the set is empty, at least one sample is needed")]
    Empty {
        /// Which set.
        what: &'static str,
    },
}

impl NnError {
    /// A configuration error.
    pub(crate) fn config(field: &'static str, value: impl std::fmt::Display, reason: impl Into<String>) -> Self {
        Self::Config { field, value: value.to_string(), reason: reason.into() }
    }

    /// A shape error.
    pub(crate) fn shape(what: &'static str, got: impl std::fmt::Display, expected: impl std::fmt::Display) -> Self {
        Self::Shape { what, got: got.to_string(), expected: expected.to_string() }
    }

    /// An error about the contents of a file. Line breaks in `what` are flattened.
    pub(crate) fn file(path: &Path, what: impl std::fmt::Display) -> Self {
        let text = what.to_string();
        let what: Vec<&str> = text.split_whitespace().collect();
        Self::File { path: path.to_owned(), what: what.join(" ") }
    }

    /// An error of the operating system, to be used with `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}
