//! What can go wrong while a report is written.

use std::io;
use std::path::PathBuf;

/// Failure to draw or to store a report. Bad numbers are never an error: they are left out and noted in the figure.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder of the report or of its pictures could not be made.
    #[error(
        "cannot create the folder {}: {source}; check the path and its permissions",
        path.display()
    )]
    CreateFolder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file could not be written; nothing of it is left behind.
    #[error(
        "cannot write {}: {source}; check free space and permissions",
        path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The path given for a picture has no file name.
    #[error("the picture path {} has no file name; give a path such as plots/error.png", path.display())]
    NoFileName {
        /// The path as given.
        path: PathBuf,
    },
    /// A figure's name cannot be a file name.
    #[error("figure name {name:?} cannot name a file; use letters, digits, '-' and '_', at most 80 of them")]
    FigureName {
        /// The name as given.
        name: String,
    },
    /// Two figures of one report have the same name and would overwrite each other.
    #[error("two figures of the report are named {name:?}; give each its own name")]
    DuplicateFigure {
        /// The repeated name.
        name: String,
    },
    /// The picture could not be turned into PNG bytes.
    #[error("cannot encode a picture of {width} x {height} pixels as PNG: {message}")]
    Encode {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The encoder's reason.
        message: String,
    },
}
