//! An HDF5 file opened for reading: its arrays and attributes, found through `hdf5-pure`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use hdf5_pure::{AttrValue, ChunkCacheConfig, FileAccessProperties, FormatError, MetadataCacheConfig};

use super::array::{Hdf5Array, library_error};
use crate::error::{DataError, list_names};
use crate::positioned_file::PositionedFile;

/// Groups nested deeper than this are not walked (a group may contain itself).
const MAX_DEPTH: usize = 5;

/// Objects listed at most.
const MAX_OBJECTS: usize = 1000;

/// Decoded chunks kept for arrays that are read through the library.
const CHUNK_CACHE: usize = 16 << 20;

/// An open HDF5 file. Any number of threads may read its arrays at once.
pub(crate) struct Hdf5File {
    file: hdf5_pure::File,
    bytes: Arc<PositionedFile>,
    /// Whether the block before the HDF5 data says that MATLAB wrote them (version 7.3).
    matlab: bool,
}

/// An attribute: text, or numbers (booleans are 0 and 1); one or many.
pub(crate) enum Hdf5Attribute {
    Text(Vec<String>),
    Numbers(Vec<f64>),
}

/// Something found in a file.
pub(crate) enum Hdf5Object {
    /// An array, with its full path.
    Array(Box<Hdf5Array>),
    /// A data set that cannot be read: its path and why.
    Unreadable(String, DataError),
}

/// The file as the library sees it. Every read is checked against the length first, so that the
/// library never allocates for bytes that do not exist.
struct Source(Arc<PositionedFile>);

impl hdf5_pure::Source for Source {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FormatError> {
        if !self.0.contains(offset, buf.len() as u64) {
            return Err(FormatError::UnexpectedEof {
                expected: usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(buf.len()),
                available: usize::try_from(self.0.len()).unwrap_or(usize::MAX),
            });
        }
        self.0.read_at(offset, buf).map_err(|e| FormatError::Source(e.to_string()))
    }
}

impl Hdf5File {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = Arc::new(PositionedFile::open(path)?);
        let properties = FileAccessProperties::new()
            .with_metadata_cache(MetadataCacheConfig::new(4 << 20))
            .with_chunk_cache(ChunkCacheConfig::new().with_max_bytes(CHUNK_CACHE).with_max_slots(256));
        let file = hdf5_pure::File::from_source_with_options(Source(Arc::clone(&bytes)), properties)
            .map_err(|e| library_error(path, "", &e))?;
        let expected = file.superblock().eof_address;
        if expected != u64::MAX && expected > bytes.len() {
            return Err(DataError::damaged(
                path,
                "",
                format!("truncated: {expected} bytes were written, {} are there", bytes.len()),
            ));
        }
        let head = bytes.head(19)?;
        Ok(Self { file, bytes, matlab: head == b"MATLAB 7.3 MAT-file" })
    }

    /// The attributes of the group `name` (empty: the root), or `None` if there is no such group.
    /// Attributes that are neither text nor numbers are left out.
    pub(crate) fn group(&self, name: &str) -> Result<Option<BTreeMap<String, Hdf5Attribute>>, DataError> {
        let group = if name.is_empty() { Ok(self.file.root()) } else { self.file.group(name) };
        let group = match group {
            Ok(group) => group,
            Err(hdf5_pure::Error::Format(FormatError::PathNotFound(_)) | hdf5_pure::Error::NotAGroup(_)) => {
                return Ok(None);
            }
            Err(e) => return Err(library_error(self.path(), name, &e)),
        };
        let attributes = group.attrs().map_err(|e| library_error(self.path(), name, &e))?;
        Ok(Some(known_attributes(attributes)))
    }

    /// The attributes of the array `name`, as [`Self::group`].
    pub(crate) fn array_attributes(&self, name: &str) -> Result<BTreeMap<String, Hdf5Attribute>, DataError> {
        let attributes = self.file.dataset(name).and_then(|dataset| dataset.attrs());
        Ok(known_attributes(attributes.map_err(|e| library_error(self.path(), name, &e))?))
    }

    /// The names of the groups in the group `name`, sorted.
    pub(crate) fn groups_in(&self, name: &str) -> Result<Vec<String>, DataError> {
        let failed = |e: hdf5_pure::Error| library_error(self.path(), name, &e);
        let group = self.file.group(name).map_err(failed)?;
        let mut names: Vec<String> =
            group.iter_groups().map_err(failed)?.take(MAX_OBJECTS).map(|(name, _)| name).collect();
        names.sort();
        Ok(names)
    }

    fn path(&self) -> &Path {
        self.bytes.path()
    }

    /// The attributes of the root group as text: strings as they are, numbers printed.
    pub(crate) fn attributes(&self) -> Result<BTreeMap<String, String>, DataError> {
        let attributes = self.file.root().attrs().map_err(|e| library_error(self.path(), "", &e))?;
        Ok(attributes.into_iter().map(|(name, value)| (name, attribute_text(&value))).collect())
    }

    /// Whether there is an array at `name`.
    pub(crate) fn has_array(&self, name: &str) -> bool {
        self.file.dataset(name).is_ok()
    }

    /// The array at `name`, a path such as `x` or `train/x`.
    pub(crate) fn array(&self, name: &str) -> Result<Hdf5Array, DataError> {
        let dataset = self.file.dataset(name).map_err(|e| match e {
            hdf5_pure::Error::Format(FormatError::PathNotFound(_)) | hdf5_pure::Error::NotAGroup(_) => {
                DataError::NoSuchArray {
                    path: self.path().to_path_buf(),
                    array: name.to_owned(),
                    available: match self.objects() {
                        Ok(objects) => list_names(objects.iter().map(Hdf5Object::name)),
                        Err(_) => "nothing readable".to_owned(),
                    },
                }
            }
            hdf5_pure::Error::NotADataset(_) => {
                DataError::NotAnArray { path: self.path().to_path_buf(), array: name.to_owned(), kind: "group" }
            }
            e => library_error(self.path(), name, &e),
        })?;
        Hdf5Array::new(&self.bytes, name, dataset, self.matlab)
    }

    /// Every data set of the file, groups walked to a depth of 5, at most 1000 of them; the outer
    /// ones first.
    pub(crate) fn objects(&self) -> Result<Vec<Hdf5Object>, DataError> {
        let failed = |e: hdf5_pure::Error| library_error(self.path(), "", &e);
        let mut objects = Vec::new();
        let mut groups = vec![(String::new(), 0usize, self.file.root())];
        let mut visited = 0usize;
        while let Some((prefix, depth, group)) = groups.pop() {
            for (name, dataset) in group.iter_datasets().map_err(failed)? {
                if objects.len() >= MAX_OBJECTS {
                    return Ok(objects);
                }
                let name = format!("{prefix}{name}");
                objects.push(match Hdf5Array::new(&self.bytes, &name, dataset, self.matlab) {
                    Ok(array) => Hdf5Object::Array(Box::new(array)),
                    Err(error) => Hdf5Object::Unreadable(name, error),
                });
            }
            if depth < MAX_DEPTH {
                for (name, group) in group.iter_groups().map_err(failed)? {
                    // Where MATLAB keeps the contents of cells and objects.
                    if depth == 0 && name.starts_with('#') {
                        continue;
                    }
                    visited += 1;
                    if visited > MAX_OBJECTS {
                        return Ok(objects);
                    }
                    groups.push((format!("{prefix}{name}/"), depth + 1, group));
                }
            }
        }
        objects.sort_by_key(|object| {
            let name = object.name();
            (name.matches('/').count(), name.to_owned())
        });
        Ok(objects)
    }
}

impl Hdf5Object {
    /// Path from the root group.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Array(array) => array.name(),
            Self::Unreadable(name, _) => name,
        }
    }
}

fn attribute_text(value: &AttrValue) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

fn known_attributes(attributes: HashMap<String, AttrValue>) -> BTreeMap<String, Hdf5Attribute> {
    let known = attributes.into_iter().filter_map(|(name, value)| {
        let value = if let Some(text) = value.as_strings() {
            Hdf5Attribute::Text(text.to_vec())
        } else if let Some(numbers) = value.to_f64s() {
            Hdf5Attribute::Numbers(numbers)
        } else {
            Hdf5Attribute::Numbers(value.to_i64s()?.into_iter().map(|v| v as f64).collect())
        };
        Some((name, value))
    });
    known.collect()
}

impl Hdf5Attribute {
    /// The texts, if it is text.
    pub(crate) fn texts(&self) -> Option<&[String]> {
        match self {
            Self::Text(texts) => Some(texts),
            Self::Numbers(_) => None,
        }
    }

    /// The numbers, if it is numbers.
    pub(crate) fn numbers(&self) -> Option<&[f64]> {
        match self {
            Self::Numbers(numbers) => Some(numbers),
            Self::Text(_) => None,
        }
    }
}
