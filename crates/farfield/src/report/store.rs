//! Durable, all-or-nothing file writing for reports.
//!
//! The bytes go to a temporary file in the target's folder, which is flushed to the device and then renamed over the
//! target. A reader sees the old file or the new one, never a part.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::ReportError;

/// Creates `folder` and its parents.
pub(super) fn create_folder(folder: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(folder).map_err(|source| ReportError::CreateFolder { path: folder.to_path_buf(), source })
}

/// Writes `bytes` to `path` completely or not at all. The folder must exist.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    write_beside_and_rename(path, bytes).map_err(|source| ReportError::Write { path: path.to_path_buf(), source })
}

/// Folder of `path`, `.` where it names none.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// As [`write_whole`], with the system's own error.
pub(crate) fn write_beside_and_rename(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".farfield-").suffix(".part");
    // Temporary files are private by default; a report gets the permissions of any new file (the umask applies).
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::PermissionsExt;
        fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    builder.permissions(permissions);
    let mut file = builder.tempfile_in(&folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The rename itself is durable only once the folder is flushed; not every file system can do that.
    if let Ok(handle) = fs::File::open(&folder) {
        let _ = handle.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.txt");
        write_whole(&path, b"old").expect("first write");
        write_whole(&path, b"new").expect("second write");
        assert_eq!(fs::read(&path).expect("read back"), b"new");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn the_error_names_the_file() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("missing").join("a.txt");
        let message = write_whole(&path, b"x").expect_err("no such folder").to_string();
        assert!(message.contains("a.txt"), "{message}");
        assert!(!message.contains('\n'));
    }

    #[cfg(unix)]
    #[test]
    fn a_report_is_as_readable_as_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("temporary folder");
        let ordinary = folder.path().join("ordinary");
        fs::write(&ordinary, b"x").expect("ordinary file");
        let ours = folder.path().join("ours");
        write_whole(&ours, b"x").expect("our file");
        let mode = |p: &Path| fs::metadata(p).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode(&ours), mode(&ordinary));
    }
}
