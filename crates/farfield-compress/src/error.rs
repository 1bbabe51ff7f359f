//! What can go wrong when weights are compressed.

use std::path::{Path, PathBuf};

use farfield_matrix::MatrixError;

/// Why a file could not be compressed, restored, read or written. Every message is one line.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// A file that the system does not let us read or write.
    #[error("{}: cannot {action}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: `open`, `read`, `write`.
        action: &'static str,
        /// The system's error.
        error: std::io::Error,
    },
    /// A file that is no safetensors file, is damaged, or has contents that cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A weight with an entry that is infinite or not a number.
    #[error(
        "{}: tensor {name:?} holds {value} at index {index:?}: every number of a weight must be finite (or pass --skip {name:?})",
        path.display()
    )]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Place of the first such number.
        index: Vec<usize>,
        /// The number.
        value: f64,
    },
    /// An option outside its range, or options that do not go together.
    #[error("{name} {value}: {rule}")]
    Option {
        /// Name of the option.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: String,
    },
    /// Arguments of a library function that do not fit each other.
    #[error("{what}: {got}, expected {expected}")]
    Shape {
        /// What was passed.
        what: &'static str,
        /// Its size.
        got: String,
        /// The size that fits.
        expected: String,
    },
    /// A budget that cannot be met.
    #[error(
        "a budget of {budget} bytes cannot be met: {least} bytes are needed at least, {copied} of them for tensors that are copied"
    )]
    Budget {
        /// Bytes allowed.
        budget: u64,
        /// Bytes of the smallest file.
        least: u64,
        /// Bytes of tensors that are not weights, and of the header.
        copied: u64,
    },
    /// An operation on matrices that failed.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
}

impl CompressError {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Io { path, action, error }
    }

    pub(crate) fn file(path: &Path, reason: impl Into<String>) -> Self {
        Self::File { path: path.to_path_buf(), reason: reason.into() }
    }

    pub(crate) fn option(name: &'static str, value: impl ToString, rule: impl Into<String>) -> Self {
        Self::Option { name, value: value.to_string(), rule: rule.into() }
    }

    pub(crate) fn shape(what: &'static str, got: impl ToString, expected: impl ToString) -> Self {
        Self::Shape { what, got: got.to_string(), expected: expected.to_string() }
    }

    /// Whether the cause is what the user gave, and not the disk.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Io { error, .. } => error.kind() == std::io::ErrorKind::NotFound,
            Self::Matrix(MatrixError::NoConvergence { .. }) => false,
            _ => true,
        }
    }
}
