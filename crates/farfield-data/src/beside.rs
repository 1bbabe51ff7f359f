//! Writing a file so that it is never seen half-written: a temporary file in the same folder,
//! fsynced, then renamed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::DataError;

/// A temporary file beside its target. Dropped without [`Beside::publish`], it is removed and the
/// target is as it was.
#[derive(Debug)]
pub(crate) struct Beside {
    temporary: NamedTempFile,
    target: PathBuf,
    overwrite: bool,
}

impl Beside {
    /// Creates the temporary file, with the permissions an ordinary new file would have.
    pub(crate) fn create(target: &Path, overwrite: bool) -> Result<Self, DataError> {
        let Some(name) = target.file_name() else {
            return Err(DataError::io(
                target,
                "create",
                io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"),
            ));
        };
        if target.is_dir() {
            return Err(DataError::io(target, "create", io::ErrorKind::IsADirectory.into()));
        }
        // symlink_metadata: a dangling link is an existing name too.
        if !overwrite && target.symlink_metadata().is_ok() {
            return Err(DataError::Exists { path: target.to_path_buf() });
        }
        let temporary =
            temporary_for(target, name).map_err(|e| DataError::io(target, "create", without_temporary_name(e)))?;
        Ok(Self { temporary, target: target.to_path_buf(), overwrite })
    }

    /// Where the bytes are to be written.
    pub(crate) fn temporary_path(&self) -> &Path {
        self.temporary.path()
    }

    /// The file that will appear, for messages.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the space on the disk back at once.
    pub(crate) fn discard_contents(&self) -> io::Result<()> {
        self.temporary.as_file().set_len(0)
    }

    /// Fsync, rename over the target, fsync of the folder.
    pub(crate) fn publish(self) -> Result<(), DataError> {
        let Self { temporary, target, overwrite } = self;
        put_in_place(temporary, &target, overwrite).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => DataError::Exists { path: target.clone() },
            _ => DataError::io(&target, "write", e),
        })
    }
}

/// Replaces the file `target`, or creates it, with `pieces` one after the other: written beside it, flushed to the device, renamed.
/// A reader sees the old file or the whole new one; on any failure the old one stays. The folder must exist.
///
/// # Errors
/// What the operating system refused.
pub fn replace_file(target: &Path, pieces: &[&[u8]]) -> io::Result<()> {
    replace_file_with(target, |out| pieces.iter().try_for_each(|piece| out.write_all(piece)))
}

/// As [`replace_file`], with the bytes that `fill` produces, which need not fit into memory.
///
/// # Errors
/// What the operating system refused, or `fill`.
pub fn replace_file_with(target: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let nameless = || io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
    let temporary = temporary_for(target, target.file_name().ok_or_else(nameless)?).map_err(without_temporary_name)?;
    let mut writer = BufWriter::with_capacity(1 << 18, temporary.as_file());
    fill(&mut writer).and_then(|()| writer.flush()).map_err(without_temporary_name)?;
    drop(writer);
    put_in_place(temporary, target, true)
}

/// Writes a new file `target` with `pieces` one after the other, whole or not at all. With `overwrite` it may replace an old one.
///
/// # Errors
/// [`DataError::Exists`] without `overwrite`; [`DataError::Io`] for a missing folder, permission or a full disk: nothing is left behind then.
pub fn create_file(target: &Path, pieces: &[&[u8]], overwrite: bool) -> Result<(), DataError> {
    write_beside(target, overwrite, |writer| pieces.iter().try_for_each(|piece| writer.write_all(piece)))
}

/// A temporary file in the folder of `target`, with the permissions of any new file (temporary ones are private by default).
fn temporary_for(target: &Path, name: &std::ffi::OsStr) -> io::Result<NamedTempFile> {
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".partial");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder(target))
}

/// Fsync, rename to the target, fsync of the folder.
fn put_in_place(temporary: NamedTempFile, target: &Path, overwrite: bool) -> io::Result<()> {
    temporary.as_file().sync_all()?;
    let renamed = if overwrite { temporary.persist(target) } else { temporary.persist_noclobber(target) };
    renamed.map_err(|e| without_temporary_name(e.error))?;
    // The rename itself is durable once the folder is. Not every system can sync a folder.
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder(target)) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Writes a whole file through a buffer; `fill` produces the bytes.
pub(crate) fn write_beside(
    target: &Path,
    overwrite: bool,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), DataError> {
    let beside = Beside::create(target, overwrite)?;
    let mut writer = BufWriter::with_capacity(1 << 18, beside.temporary.as_file());
    fill(&mut writer).and_then(|()| writer.flush()).map_err(|e| DataError::io(target, "write", e))?;
    drop(writer);
    beside.publish()
}

fn folder(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The system's error alone: the wrapped text names the temporary file, which helps nobody.
fn without_temporary_name(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::from(error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_seen_before_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.bin");
        let error = write_beside(&target, false, |w| {
            w.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err()
        .to_string();
        assert!(error.contains("a.bin: cannot write"), "{error}");
        assert!(error.contains("free some space"), "{error}");
        assert!(names(folder.path()).is_empty());

        write_beside(&target, false, |w| w.write_all(b"one")).unwrap();
        assert_eq!(names(folder.path()), ["a.bin"]);
        let error = write_beside(&target, false, |w| w.write_all(b"two")).unwrap_err();
        assert!(matches!(error, DataError::Exists { .. }));
        assert_eq!(std::fs::read(&target).unwrap(), b"one");
        write_beside(&target, true, |w| w.write_all(b"two")).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn replacing_leaves_the_old_file_or_the_whole_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.bin");
        replace_file(&target, &[b"o", b"ne"]).unwrap();
        replace_file(&target, &[b"two"]).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.bin"]);
        let error = replace_file(&folder.path().join("missing/a.bin"), &[]).unwrap_err().to_string();
        assert!(!error.contains("partial"), "{error}");
        assert!(replace_file(Path::new(".."), &[]).is_err());
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.bin");
        let beside = Beside::create(&target, false).unwrap();
        std::fs::write(&target, b"theirs").unwrap();
        assert!(matches!(beside.publish(), Err(DataError::Exists { .. })));
        assert_eq!(std::fs::read(&target).unwrap(), b"theirs");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn folders_and_missing_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Beside::create(folder.path(), true).unwrap_err().to_string();
        assert!(error.contains("cannot create"), "{error}");
        let missing = folder.path().join("no/such/a.bin");
        let error = Beside::create(&missing, true).unwrap_err().to_string();
        assert!(error.contains("no/such/a.bin: cannot create"), "{error}");
        assert!(!error.contains("partial"), "{error}");
        assert!(Beside::create(Path::new(".."), true).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn ordinary_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("a"), folder.path().join("b"));
        write_beside(&ours, false, |w| w.write_all(b"x")).unwrap();
        std::fs::write(&plain, b"x").unwrap();
        let mode = |p: &Path| p.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
