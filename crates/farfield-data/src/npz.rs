//! Several named arrays in NumPy's `.npz` format: a zip of `.npy` entries, stored or deflated.
//!
//! Before an entry is unpacked, its claimed size is held against what its compressed bytes can hold
//! at most and those against the size of the file, so a damaged directory cannot ask for memory that
//! the file does not justify. Encrypted archives are refused by the zip reader.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use npyz::npz::{array_name_from_file_name, file_name_from_array_name};
use npyz::zip::{self, CompressionMethod, ZipArchive, ZipWriter, write::FileOptions};

use crate::array::Array;
use crate::beside::write_beside;
use crate::error::{DataError, list_names};
use crate::npy::{self, NpyReader};
use crate::positioned_file::PositionedFile;

/// Deflate packs at most 1032 bytes into one.
pub(crate) const MAX_RATIO: u64 = 1100;

/// An open archive.
pub(crate) struct NpzFile {
    archive: ZipArchive<BufReader<File>>,
    path: PathBuf,
    len: u64,
    names: Vec<String>,
}

impl NpzFile {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        // For the length and the check that it is no folder.
        let len = PositionedFile::open(path)?.len();
        let file = File::open(path).map_err(|e| DataError::io(path, "open", e))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|e| zip_error(path, "", e))?;
        let mut names: Vec<String> =
            archive.file_names().filter_map(array_name_from_file_name).map(str::to_owned).collect();
        names.sort();
        Ok(Self { archive, path: path.to_path_buf(), len, names })
    }

    /// The names of the arrays, sorted.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// A reader of the array `name`, header already read.
    pub(crate) fn array(&mut self, name: &str) -> Result<NpyReader<zip::read::ZipFile<'_>>, DataError> {
        if !self.names.iter().any(|n| n == name) {
            return Err(DataError::NoSuchArray {
                path: self.path.clone(),
                array: name.to_owned(),
                available: list_names(self.names.iter().map(String::as_str)),
            });
        }
        let entry =
            self.archive.by_name(&file_name_from_array_name(name)).map_err(|e| zip_error(&self.path, name, e))?;
        let available = entry.size();
        if entry.compressed_size() > self.len || available > entry.compressed_size().saturating_mul(MAX_RATIO) {
            return Err(DataError::damaged(
                &self.path,
                name,
                format!(
                    "truncated or damaged: the archive claims {available} bytes from {} in a file of {}",
                    entry.compressed_size(),
                    self.len
                ),
            ));
        }
        NpyReader::new(entry, available, &self.path, name)
    }
}

fn zip_error(path: &Path, array: &str, error: zip::result::ZipError) -> DataError {
    match error {
        zip::result::ZipError::Io(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => DataError::io(path, "read", e),
        e => DataError::damaged(path, array, format!("truncated or damaged archive: {e}")),
    }
}

/// Writes a `.npz` with the arrays in the order given, uncompressed as `numpy.savez` does. The same
/// arrays give the same bytes at any time.
///
/// # Errors
/// [`DataError::Exists`] without `overwrite`; [`DataError::Length`] if an array's shape and data
/// disagree; [`DataError::Parameter`] for an empty or repeated name; [`DataError::Io`] for a full
/// disk, a missing folder or permission, in which case nothing is left behind.
pub fn save_npz(path: &Path, arrays: &[(&str, &Array)], overwrite: bool) -> Result<(), DataError> {
    save_npz_with_texts(path, arrays, &[], overwrite)
}

/// The same with texts after the arrays, each an array of one Unicode string: in NumPy `str(np.load(path)["name"])`.
///
/// # Errors
/// As [`save_npz`].
pub fn save_npz_with_texts(
    path: &Path,
    arrays: &[(&str, &Array)],
    texts: &[(&str, &str)],
    overwrite: bool,
) -> Result<(), DataError> {
    for (_, array) in arrays {
        array.check()?;
    }
    let names: Vec<&str> = arrays.iter().map(|(name, _)| *name).chain(texts.iter().map(|(name, _)| *name)).collect();
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() || name.contains('\0') {
            return Err(DataError::parameter("array name", format!("{name:?}"), "must not be empty"));
        }
        if names[..i].contains(name) {
            return Err(DataError::parameter("array name", name, "given twice"));
        }
    }
    let options = |bytes: u64| {
        FileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(bytes > u64::from(u32::MAX / 2))
    };
    write_beside(path, overwrite, |writer| {
        let mut zip = ZipWriter::new(writer);
        for (name, array) in arrays {
            let bytes = array.len() as u64 * array.data.dtype().size() as u64;
            zip.start_file(file_name_from_array_name(name), options(bytes))?;
            // The zip writer works through a checksum and a match at every call.
            let mut buffered = BufWriter::with_capacity(1 << 16, &mut zip);
            npy::write(&mut buffered, array)?;
            buffered.into_inner().map_err(|e| e.into_error())?;
        }
        for (name, text) in texts {
            let bytes = npy::text(text);
            zip.start_file(file_name_from_array_name(name), options(bytes.len() as u64))?;
            zip.write_all(&bytes)?;
        }
        zip.finish()?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Array, Array) {
        let x = Array::new(&[3, 4], &(0..12).map(|i| i as f32).collect::<Vec<_>>()).unwrap();
        let y = Array::new(&[3, 2], &[0.5f64; 6]).unwrap();
        (x, y)
    }

    #[test]
    fn round_trip_and_same_bytes_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.npz"), folder.path().join("b.npz"));
        let (x, y) = sample();
        save_npz(&a, &[("x", &x), ("y", &y)], false).unwrap();
        save_npz(&b, &[("x", &x), ("y", &y)], false).unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        let mut file = NpzFile::open(&a).unwrap();
        assert_eq!(file.names(), ["x", "y"]);
        assert_eq!(file.array("x").unwrap().read().unwrap(), x);
        assert_eq!(file.array("y").unwrap().read().unwrap(), y);
        let error = file.array("z").err().unwrap().to_string();
        assert!(error.contains("no array \"z\"; the file has \"x\", \"y\""), "{error}");
    }

    #[test]
    fn bad_names_and_lengths_write_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let (x, y) = sample();
        assert!(save_npz(&path, &[("x", &x), ("x", &y)], false).is_err());
        assert!(save_npz(&path, &[("", &x)], false).is_err());
        assert!(save_npz_with_texts(&path, &[("x", &x)], &[("x", "text")], false).is_err());
        let mut broken = x.clone();
        broken.shape = vec![5];
        assert!(save_npz(&path, &[("x", &broken)], false).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn truncations_and_flipped_bytes_never_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let (x, y) = sample();
        save_npz(&path, &[("x", &x), ("y", &y)], false).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let read = |bytes: &[u8]| -> Result<(Array, Array), DataError> {
            let path = folder.path().join("cut.npz");
            // Removed first: some file systems flush a file that is truncated and written again.
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, bytes).unwrap();
            let mut file = NpzFile::open(&path)?;
            let x = file.array("x")?.read()?;
            let y = file.array("y")?.read()?;
            Ok((x, y))
        };
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len]).is_err(), "{len}");
        }
        for at in 0..bytes.len() {
            for flip in [0x01u8, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                if let Ok((cx, cy)) = read(&changed) {
                    assert_eq!((cx, cy), (x.clone(), y.clone()), "byte {at}");
                }
            }
        }
    }
}
