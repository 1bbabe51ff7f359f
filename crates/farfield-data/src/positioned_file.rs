//! A file read at given offsets: no shared cursor, so any number of threads may read at once.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::DataError;

/// An open file whose length was taken once.
#[derive(Debug)]
pub(crate) struct PositionedFile {
    file: File,
    path: PathBuf,
    len: u64,
}

impl PositionedFile {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|e| DataError::io(path, "open", e))?;
        let metadata = file.metadata().map_err(|e| DataError::io(path, "look at", e))?;
        if metadata.is_dir() {
            return Err(DataError::NotAnArray {
                path: path.to_path_buf(),
                array: path.file_name().unwrap_or_default().display().to_string(),
                kind: "folder",
            });
        }
        Ok(Self { file, path: path.to_path_buf(), len: metadata.len() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether `[offset, offset + len)` lies inside the file.
    pub(crate) fn contains(&self, offset: u64, len: u64) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }

    /// Fills `buffer` from `offset`.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileExt;
            self.file.read_exact_at(buffer, offset)
        }
        #[cfg(windows)]
        {
            use std::os::windows::fs::FileExt;
            let (mut buffer, mut offset) = (buffer, offset);
            while !buffer.is_empty() {
                match self.file.seek_read(buffer, offset) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(n) => {
                        buffer = &mut buffer[n..];
                        offset += n as u64;
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(())
        }
    }

    /// The first `count` bytes of the file, fewer if it is shorter.
    pub(crate) fn head(&self, count: u64) -> Result<Vec<u8>, DataError> {
        let mut head = vec![0; self.len.min(count) as usize];
        self.read_at(0, &mut head).map_err(|e| DataError::io(&self.path, "read", e))?;
        Ok(head)
    }
}
