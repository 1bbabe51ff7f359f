//! A file of several named arrays, whatever its format: npz, HDF5 (MATLAB 7.3 included) or MAT version 5.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::array::Array;
use crate::array_file::load;
use crate::error::DataError;
use crate::file_format::{FileFormat, READ_EXTENSIONS};
use crate::hdf5::{Hdf5File, Hdf5Object};
use crate::mat5::Mat5File;
use crate::npz::NpzFile;
use crate::number::Elements;
use crate::stored_array::StoredArray;

/// An open file.
pub(crate) struct Container {
    path: PathBuf,
    file: File,
}

enum File {
    Npz(NpzFile),
    Hdf5(Hdf5File),
    Mat5(Mat5File),
}

/// What is known of an array before its values are read.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

impl Container {
    /// Opens a file; a lone `.npy` is refused with `what_is_missing`.
    pub(crate) fn open(path: &Path, what_is_missing: &str) -> Result<Self, DataError> {
        let file = match FileFormat::detect(path, READ_EXTENSIONS)? {
            FileFormat::Npy => {
                return Err(DataError::WrongFormat {
                    path: path.to_path_buf(),
                    expected: "npz, HDF5 or MAT",
                    found: what_is_missing.to_owned(),
                });
            }
            FileFormat::Npz => File::Npz(NpzFile::open(path)?),
            FileFormat::Hdf5 => File::Hdf5(Hdf5File::open(path)?),
            FileFormat::Mat5 => File::Mat5(Mat5File::open(path)?),
        };
        Ok(Self { path: path.to_path_buf(), file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file as HDF5, if it is that.
    pub(crate) fn hdf5(&self) -> Option<&Hdf5File> {
        match &self.file {
            File::Hdf5(file) => Some(file),
            _ => None,
        }
    }

    /// Whether there is an array `name`, readable or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        match &self.file {
            File::Npz(file) => file.names().iter().any(|n| n == name),
            File::Hdf5(file) => file.has_array(name),
            File::Mat5(file) => file.variable(name).is_ok(),
        }
    }

    /// The error that there is no array `name`.
    pub(crate) fn no_such_array(&mut self, name: &str) -> DataError {
        match &mut self.file {
            File::Npz(file) => file.array(name).err(),
            File::Hdf5(file) => file.array(name).err(),
            File::Mat5(file) => file.variable(name).err(),
        }
        .unwrap_or_else(|| DataError::damaged(&self.path, name, "it is there, but not the other one of the pair"))
    }

    /// Every array of numbers that can be read, its axes as they will be read.
    pub(crate) fn entries(&mut self) -> Result<Vec<Entry>, DataError> {
        Ok(match &mut self.file {
            File::Npz(file) => {
                let names = file.names().to_vec();
                let mut entries = Vec::new();
                for name in names {
                    if let Ok(reader) = file.array(&name)
                        && matches!(reader.info.elements, Elements::Numbers(_))
                    {
                        entries.push(Entry { shape: reader.info.shape.clone(), name });
                    }
                }
                entries
            }
            File::Hdf5(file) => file
                .objects()?
                .into_iter()
                .filter_map(|object| match object {
                    Hdf5Object::Array(array) if matches!(array.elements(), Elements::Numbers(_)) => {
                        Some(Entry { name: array.name().to_owned(), shape: array.meant_shape() })
                    }
                    _ => None,
                })
                .collect(),
            File::Mat5(file) => file
                .variables()
                .iter()
                .filter(|v| matches!(v.elements, Elements::Numbers(_)))
                .map(|v| Entry { name: v.name.clone(), shape: v.shape.clone() })
                .collect(),
        })
    }

    /// A whole array in memory.
    pub(crate) fn read(&mut self, name: &str) -> Result<Array, DataError> {
        match &mut self.file {
            File::Npz(file) => file.array(name)?.read(),
            File::Hdf5(file) => load(&file.array(name)?),
            File::Mat5(file) => file.read(name),
        }
    }

    /// Arrays to be read row by row. HDF5 arrays of together more than `limit` bytes stay on the disk, but for
    /// MATLAB's, whose samples are scattered over the file.
    pub(crate) fn stored(&mut self, names: &[&str], limit: u64) -> Result<Vec<StoredArray>, DataError> {
        // All headers before any data, so that a missing array is found at once.
        match &mut self.file {
            File::Npz(file) => {
                for name in names {
                    file.array(name)?;
                }
                names.iter().map(|name| Ok(StoredArray::memory(name, file.array(name)?.read()?))).collect()
            }
            File::Hdf5(file) => {
                let arrays = names.iter().map(|name| file.array(name)).collect::<Result<Vec<_>, _>>()?;
                let bytes = arrays.iter().map(|a| a.rows() as u64 * a.row_bytes() as u64).fold(0, u64::saturating_add);
                let store = |array: crate::hdf5::Hdf5Array| {
                    if bytes <= limit || array.is_reversed() {
                        let name = array.name().to_owned();
                        return Ok(StoredArray::memory(&name, load(&array)?));
                    }
                    StoredArray::disk(array)
                };
                arrays.into_iter().map(store).collect()
            }
            File::Mat5(file) => {
                for name in names {
                    file.variable(name)?;
                }
                names.iter().map(|name| Ok(StoredArray::memory(name, file.read(name)?))).collect()
            }
        }
    }

    /// The root attributes of an HDF5 file as text; empty for other formats.
    pub(crate) fn attributes(&self) -> Result<BTreeMap<String, String>, DataError> {
        match &self.file {
            File::Hdf5(file) => file.attributes(),
            _ => Ok(BTreeMap::new()),
        }
    }
}
