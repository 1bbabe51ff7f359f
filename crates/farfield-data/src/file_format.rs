//! Which format a file has: its extension promises one, its first bytes must agree.

use std::path::Path;

use crate::error::DataError;
use crate::hdf5;
use crate::mat5;
use crate::npy;
use crate::positioned_file::PositionedFile;

/// The formats that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFormat {
    Npy,
    Npz,
    Hdf5,
    /// MATLAB, version 5. Version 7.3 is HDF5.
    Mat5,
}

/// For messages: what can be written, and what can be read.
pub(crate) const WRITE_EXTENSIONS: &str = ".npy, .npz, .h5 or .hdf5";
pub(crate) const READ_EXTENSIONS: &str = ".npy, .npz, .h5, .hdf5 or .mat";

impl FileFormat {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Npz => "npz",
            Self::Hdf5 => "HDF5",
            Self::Mat5 => "MAT (version 5)",
        }
    }

    /// By extension, upper or lower case.
    pub(crate) fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "npy" => Some(Self::Npy),
            "npz" => Some(Self::Npz),
            "h5" | "hdf5" => Some(Self::Hdf5),
            "mat" => Some(Self::Mat5),
            _ => None,
        }
    }

    /// By the first bytes. HDF5 may begin at 512, 1024, 2048, ... behind a user block.
    fn of_contents(file: &PositionedFile) -> Result<Option<Self>, DataError> {
        let head = file.head(128)?;
        if head.starts_with(npy::MAGIC) {
            return Ok(Some(Self::Npy));
        }
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return Ok(Some(Self::Npz));
        }
        if head.starts_with(hdf5::MAGIC) {
            return Ok(Some(Self::Hdf5));
        }
        if mat5::big_endian(&head).is_some() {
            return Ok(Some(Self::Mat5));
        }
        let mut offset = 512u64;
        let mut signature = [0u8; hdf5::MAGIC.len()];
        while file.contains(offset, signature.len() as u64) {
            file.read_at(offset, &mut signature).map_err(|e| DataError::io(file.path(), "read", e))?;
            if signature == hdf5::MAGIC {
                return Ok(Some(Self::Hdf5));
            }
            offset *= 2;
        }
        Ok(None)
    }

    /// The format of an existing file: extension and contents must agree.
    pub(crate) fn detect(path: &Path, expected: &'static str) -> Result<Self, DataError> {
        let file = PositionedFile::open(path)?;
        let Some(named) = Self::of_name(path) else {
            return Err(DataError::UnknownExtension { path: path.to_path_buf(), expected });
        };
        let contents = Self::of_contents(&file)?;
        match contents {
            Some(found) if found == named || (named, found) == (Self::Mat5, Self::Hdf5) => return Ok(found),
            _ => {}
        }
        Err(DataError::WrongFormat {
            path: path.to_path_buf(),
            expected: if named == Self::Mat5 { "MAT" } else { named.name() },
            found: match contents {
                Some(other) => format!("its contents are {}: rename it", other.name()),
                None if file.len() == 0 => "it is empty".to_owned(),
                None if named == Self::Mat5 => {
                    "its first bytes are not those of version 5 or 7.3: save it again with -v7".to_owned()
                }
                None => "its first bytes are of no known format".to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extension_and_contents_must_agree() {
        let folder = tempfile::tempdir().unwrap();
        let detect = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            FileFormat::detect(&path, READ_EXTENSIONS).map_err(|e| e.to_string())
        };
        let mut behind_user_block = vec![0u8; 2048];
        behind_user_block[1024..1032].copy_from_slice(hdf5::MAGIC);
        assert_eq!(detect("a.h5", hdf5::MAGIC), Ok(FileFormat::Hdf5));
        assert_eq!(detect("a.HDF5", &behind_user_block), Ok(FileFormat::Hdf5));
        assert_eq!(detect("a.npy", b"\x93NUMPY\x01\0"), Ok(FileFormat::Npy));
        let mut mat = vec![b' '; 128];
        mat[124..].copy_from_slice(b"\x01\0MI");
        assert_eq!(detect("a.mat", &mat), Ok(FileFormat::Mat5));
        mat[124..].copy_from_slice(b"\0\x01IM");
        assert_eq!(detect("a.mat", &mat), Ok(FileFormat::Mat5));
        assert_eq!(detect("a.mat", &behind_user_block), Ok(FileFormat::Hdf5));
        assert_eq!(detect("a.npz", b"PK\x03\x04...."), Ok(FileFormat::Npz));
        for (name, bytes, part) in [
            ("a.h5", &b""[..], "not a valid HDF5 file: it is empty"),
            ("a.h5", b"text", "of no known format"),
            ("a.npz", hdf5::MAGIC, "its contents are HDF5: rename it"),
            ("a.npy", b"PK\x03\x04", "its contents are npz"),
            ("a.mat", b"\0\0\0\0 version 4", "save it again with -v7"),
            ("a.mat", b"PK\x03\x04", "not a valid MAT file: its contents are npz"),
            ("a.h5", &mat, "its contents are MAT (version 5): rename it"),
            ("a.csv", b"1,2", "expected .npy, .npz, .h5, .hdf5 or .mat"),
            ("plain", b"1,2", "unknown file extension"),
        ] {
            let error = detect(name, bytes).unwrap_err();
            assert!(error.contains(part) && error.contains(name), "{error}");
        }
        let missing = FileFormat::detect(&folder.path().join("no.h5"), "").unwrap_err();
        assert!(missing.to_string().contains("no.h5: cannot open"), "{missing}");
        let folder_error = FileFormat::detect(folder.path(), "").unwrap_err();
        assert!(folder_error.to_string().contains("folder"), "{folder_error}");
    }
}
