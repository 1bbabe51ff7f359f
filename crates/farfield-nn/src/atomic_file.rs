//! Writing a file so that it is never seen half-written: beside, fsync, rename.

use std::io::Write;
use std::path::Path;

use crate::error::NnError;

/// Writes `pieces`, one after the other, to a temporary file in the folder of `path` and renames it to `path`,
/// replacing what was there. On any failure `path` is as it was.
///
/// # Errors
/// What the operating system refused.
pub(crate) fn write(path: &Path, pieces: &[&[u8]]) -> Result<(), NnError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".partial");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(NnError::io(path, "create"))?;
    for piece in pieces {
        file.write_all(piece).map_err(NnError::io(path, "write"))?;
    }
    file.as_file().sync_all().map_err(NnError::io(path, "write"))?;
    file.persist(path).map_err(|e| NnError::io(path, "write")(e.error))?;
    // The rename itself lasts once the folder is on disk; not every system can sync a folder.
    #[cfg(unix)]
    if let Ok(folder) = std::fs::File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}
