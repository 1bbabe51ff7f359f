//! Which exit status an error means: 2 for bad usage or bad input, 1 for a failure on the way.

use std::fmt;

use farfield_compress::CompressError;
use farfield_data::DataError;
use farfield_matrix::MatrixError;
use farfield_nn::NnError;
use farfield_pde::PdeError;

/// An error whose cause is what the user gave.
#[derive(Debug)]
pub struct BadInput(String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// An error with exit status 2. The message is one line: what was wrong, where, what to do.
pub fn bad_input(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(BadInput(message.into()))
}

/// The exit status of an error: 2 if its cause is bad input, else 1.
pub fn exit_status(error: &anyhow::Error) -> u8 {
    let bad = error.chain().any(|cause| {
        cause.is::<BadInput>()
            || cause.is::<PdeError>()
            || cause.downcast_ref::<DataError>().is_some_and(is_bad_data)
            || cause.downcast_ref::<MatrixError>().is_some_and(is_bad_matrix)
            || cause.downcast_ref::<CompressError>().is_some_and(CompressError::is_bad_input)
            || match cause.downcast_ref::<NnError>() {
                Some(NnError::Io { .. } | NnError::NonFinite { .. }) | None => false,
                Some(NnError::Data(data)) => is_bad_data(data),
                Some(_) => true,
            }
    });
    if bad { 2 } else { 1 }
}

/// A missing input file is bad input; a disk that is full or refuses is not.
fn is_bad_data(error: &DataError) -> bool {
    match error {
        DataError::Io { error, .. } => error.kind() == std::io::ErrorKind::NotFound,
        _ => true,
    }
}

/// A file that cannot be written, or an iteration that does not converge, is not bad input; everything else about a matrix is.
fn is_bad_matrix(error: &MatrixError) -> bool {
    match error {
        MatrixError::NoConvergence { .. } => false,
        MatrixError::File { reason, .. } => !["cannot write", "cannot create"].iter().any(|r| reason.starts_with(r)),
        _ => true,
    }
}

/// The error as one line.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if line.ends_with(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}
