//! Folders and files of reports, with errors that name them. Files appear whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::ReportError;

/// Creates `folder` and its parents.
pub(super) fn create_folder(folder: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(folder).map_err(|source| ReportError::CreateFolder { path: folder.to_path_buf(), source })
}

/// Writes `bytes` to `path` completely or not at all. The folder must exist.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let wrap = |source| ReportError::Write { path: path.to_path_buf(), source };
    farfield_data::replace_file(path, &[bytes]).map_err(wrap)
}

/// Folder of `path`, `.` where it names none.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_file() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("missing").join("a.txt");
        let message = write_whole(&path, b"x").expect_err("no such folder").to_string();
        assert!(message.contains("a.txt"), "{message}");
        assert!(!message.contains('\n'));
    }
}
