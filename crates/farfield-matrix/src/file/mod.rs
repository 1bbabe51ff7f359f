//! Matrices in files (`.ffm`): safetensors with metadata.
//!
//! | metadata | |
//! | --- | --- |
//! | `format` | `farfield-matrix` |
//! | `version` | `1` |
//! | `kind` | `hodlr`, `hss`, `h`, `h2` |
//! | `scalar` | `f32`, `f64` |
//! | `certificate` | that of the build, as JSON; may be missing |
//!
//! Trees are tensors `NAME.sizes` (u64, one row a cluster, breadth first: number of indices, number of children), `NAME.order` (u64, the user's index
//! at every place), and, for trees of points, `NAME.boxes` (f64, one row a cluster: the low corner, the high corner). `ranks` (u64) and `values` are
//! described by each kind. A file is written beside its place and renamed, so it is never seen half-written. A file that is
//! damaged, cut short or of another kind is one error, [`MatrixError::File`]; memory is taken for what is there, not for what a header claims.
//!
//! A kind of matrix is added by implementing [`FileFormat`].

mod container;
mod h2;
mod hmatrix;
mod hodlr;
mod hss;
mod tree;

use std::path::Path;

use crate::certificate::Certificate;
use crate::error::MatrixError;

use container::{Reader, Writer};

/// A kind of matrix that can be written to a file and read back. Sealed by its hidden methods.
pub trait FileFormat: Sized {
    /// Its name in the metadata.
    const KIND: &'static str;
    /// The type of its numbers in the metadata.
    const SCALAR: &'static str;

    #[doc(hidden)]
    fn write_to<'a>(&'a self, writer: &mut Writer<'a>);

    #[doc(hidden)]
    fn read_from(reader: &Reader) -> Result<Self, MatrixError>;
}

/// What a file holds, without its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct FileInfo {
    /// `hodlr`, `hss`, ...
    pub kind: String,
    /// `f32` or `f64`.
    pub scalar: String,
    /// The certificate of the build, if it was saved.
    pub certificate: Option<Certificate>,
}

/// Writes a matrix, and the certificate of its build if there is one. On failure the file is as it was.
///
/// ```
/// use farfield_matrix::{Accuracy, ClusterTree, Hodlr, Matrix, file};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let a = Matrix::from_fn(64, 64, |i, j| 1.0 / (1.0 + i.abs_diff(j) as f64));
/// let (h, certificate) = Hodlr::from_dense(&a, ClusterTree::bisection(64, 8)?, Accuracy::relative(1e-6)?)?;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.ffm");
/// file::save(&path, &h, Some(&certificate))?;
/// let (again, saved) = file::load::<Hodlr<f64>>(&path)?;
/// assert_eq!((again, saved), (h, Some(certificate)));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`MatrixError::File`] with what the system refused.
pub fn save<M: FileFormat>(
    path: impl AsRef<Path>,
    matrix: &M,
    certificate: Option<&Certificate>,
) -> Result<(), MatrixError> {
    let path = path.as_ref();
    let mut writer = Writer::new(M::KIND, M::SCALAR);
    if let Some(certificate) = certificate {
        let text = serde_json::to_string(certificate).map_err(|e| file_error(path, format!("certificate: {e}")))?;
        writer.metadata("certificate", text);
    }
    matrix.write_to(&mut writer);
    writer.finish(path)
}

/// Reads a matrix and, if it was saved, its certificate. The numbers are those that were written, to the bit.
///
/// # Errors
/// [`MatrixError::File`] when the file cannot be read, is no matrix file, is damaged, or holds another kind of matrix or of numbers.
pub fn load<M: FileFormat>(path: impl AsRef<Path>) -> Result<(M, Option<Certificate>), MatrixError> {
    let path = path.as_ref();
    let reader = Reader::open(path)?;
    let info = reader.info()?;
    for (what, found, expected) in [("kind", &info.kind, M::KIND), ("scalar", &info.scalar, M::SCALAR)] {
        if found != expected {
            return Err(reader.damaged(format!("its {what} is {found:?}, expected {expected:?}")));
        }
    }
    let matrix = M::read_from(&reader).map_err(|e| match e {
        MatrixError::File { .. } => e,
        other => reader.damaged(other.to_string()),
    })?;
    Ok((matrix, info.certificate))
}

/// The kind of matrix in a file, and its certificate.
///
/// # Errors
/// As [`load`].
pub fn info(path: impl AsRef<Path>) -> Result<FileInfo, MatrixError> {
    Reader::open(path.as_ref())?.info()
}

fn file_error(path: &Path, reason: impl Into<String>) -> MatrixError {
    MatrixError::File { path: path.display().to_string(), reason: reason.into() }
}
