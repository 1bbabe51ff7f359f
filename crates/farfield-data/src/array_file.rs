//! Single arrays in files: what `predict` takes and gives.

use std::path::Path;

use crate::array::{Array, ArrayData};
use crate::beside::write_beside;
use crate::column_major::ColumnMajor;
use crate::error::{DataError, list_names};
use crate::file_format::{FileFormat, READ_EXTENSIONS, WRITE_EXTENSIONS};
use crate::hdf5::{Hdf5Array, Hdf5File, Hdf5Object, Hdf5Output};
use crate::mat5::Mat5File;
use crate::npy::{self, NpyReader};
use crate::npz::{NpzFile, save_npz};
use crate::number::Elements;

/// Bytes read and converted at a time.
const BLOCK: usize = 4 << 20;

/// The name looked for first where none is given.
const DEFAULT_NAME: &str = "x";

/// Reads one array from a `.npy`, `.npz`, `.h5`, `.hdf5` or `.mat` file (MATLAB 5 or 7.3; axes as MATLAB shows
/// them, values row-major).
///
/// `name` is ignored for `.npy`. Without it, an `.npz` or HDF5 file must hold exactly one array, or
/// one named `x`. Integers, booleans and `f16` are converted: up to 16 bits to `f32`, wider to `f64`.
///
/// # Errors
/// A missing, truncated or damaged file, a wrong extension, no such array, a group, an element type
/// that is not a number; each names the file and the array.
pub fn read_array(path: &Path, name: Option<&str>) -> Result<Array, DataError> {
    match FileFormat::detect(path, READ_EXTENSIONS)? {
        FileFormat::Npy => open_npy(path)?.read(),
        FileFormat::Npz => {
            let mut file = NpzFile::open(path)?;
            let names: Vec<&str> = file.names().iter().map(String::as_str).collect();
            let name = choose(path, &names, name)?.to_owned();
            file.array(&name)?.read()
        }
        FileFormat::Hdf5 => {
            let file = Hdf5File::open(path)?;
            let array = match name {
                Some(name) => file.array(name)?,
                None => {
                    let objects = file.objects()?;
                    let names: Vec<&str> = objects.iter().map(Hdf5Object::name).collect();
                    file.array(choose(path, &names, None)?)?
                }
            };
            load(&array)
        }
        FileFormat::Mat5 => {
            let file = Mat5File::open(path)?;
            let numeric = file.variables().iter().filter(|v| matches!(v.elements, Elements::Numbers(_)));
            let names: Vec<&str> = numeric.map(|v| v.name.as_str()).collect();
            file.read(choose(path, &names, name)?)
        }
    }
}

/// Writes one array by the extension of `path`: `.npy`, `.npz`, `.h5` or `.hdf5`; `name` is unused
/// for `.npy`. The file appears whole or not at all.
///
/// # Errors
/// [`DataError::Exists`] without `overwrite`; [`DataError::UnknownExtension`]; [`DataError::Length`]
/// if shape and data disagree; [`DataError::Parameter`] for an empty array in HDF5;
/// [`DataError::Io`] for a full disk, a missing folder or permission.
pub fn save_array(path: &Path, name: &str, array: &Array, overwrite: bool) -> Result<(), DataError> {
    array.check()?;
    match FileFormat::of_name(path) {
        Some(FileFormat::Npy) => save_npy(path, array, overwrite),
        Some(FileFormat::Npz) => save_npz(path, &[(name, array)], overwrite),
        Some(FileFormat::Hdf5) => {
            if array.is_empty() {
                return Err(DataError::parameter("array", name, "an empty array cannot be written to HDF5"));
            }
            if name.is_empty() || name.contains(['/', '\0']) {
                return Err(DataError::parameter(
                    "array name",
                    format!("{name:?}"),
                    "must be one plain name, without a slash",
                ));
            }
            let output = Hdf5Output::create(path, overwrite)?;
            output.array(name, array)?;
            output.finish()
        }
        Some(FileFormat::Mat5) | None => {
            Err(DataError::UnknownExtension { path: path.to_path_buf(), expected: WRITE_EXTENSIONS })
        }
    }
}

/// Writes one array as `.npy` (version 1, little-endian, row-major).
///
/// # Errors
/// [`DataError::Exists`] without `overwrite`; [`DataError::Length`] if shape and data disagree;
/// [`DataError::Io`] for a full disk, a missing folder or permission.
pub fn save_npy(path: &Path, array: &Array, overwrite: bool) -> Result<(), DataError> {
    array.check()?;
    write_beside(path, overwrite, |writer| npy::write(writer, array))
}

/// A reader of a lone `.npy` file.
pub(crate) fn open_npy(path: &Path) -> Result<NpyReader<std::io::BufReader<std::fs::File>>, DataError> {
    let file = std::fs::File::open(path).map_err(|e| DataError::io(path, "open", e))?;
    let len = file.metadata().map_err(|e| DataError::io(path, "look at", e))?.len();
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    NpyReader::new(std::io::BufReader::new(file), len, path, &name)
}

/// Rows of `array` read at a time, so that a block is about 4 MiB.
pub(crate) fn rows_per_block(array: &Hdf5Array) -> usize {
    (BLOCK / array.row_bytes().max(1)).max(1)
}

/// A whole HDF5 array, its axes as the writer of the file meant them.
pub(crate) fn load(array: &Hdf5Array) -> Result<Array, DataError> {
    let format = array.elements().format(array.path(), array.name(), array.shape())?;
    let len = array.rows() * array.row_bytes() / format.size();
    if array.is_reversed() {
        let mut turned = ColumnMajor::new(&array.meant_shape(), format.dtype());
        for_each_block(array, &mut |bytes| turned.take(format, bytes))?;
        return turned
            .finish()
            .ok_or_else(|| DataError::damaged(array.path(), array.name(), "damaged: values are missing"));
    }
    let mut data = ArrayData::with_capacity(format.dtype(), len);
    for_each_block(array, &mut |bytes| format.append(bytes, &mut data))?;
    Ok(Array { shape: array.shape().to_vec(), data })
}

/// All bytes of an HDF5 array in order of storage, in blocks of whole numbers.
pub(crate) fn for_each_block(array: &Hdf5Array, take: &mut dyn FnMut(&[u8])) -> Result<(), DataError> {
    let mut row = 0;
    while row < array.rows() && array.row_bytes() > 0 {
        let count = rows_per_block(array).min(array.rows() - row);
        array.read_rows(row, count, take)?;
        row += count;
    }
    Ok(())
}

fn choose<'a>(path: &Path, names: &[&'a str], wanted: Option<&'a str>) -> Result<&'a str, DataError> {
    match (wanted, names) {
        (Some(name), _) => Ok(name),
        (None, [only]) => Ok(only),
        (None, names) if names.contains(&DEFAULT_NAME) => Ok(DEFAULT_NAME),
        (None, names) => Err(DataError::NoSuchArray {
            path: path.to_path_buf(),
            array: DEFAULT_NAME.to_owned(),
            available: format!("{}: say which one to read", list_names(names.iter().copied())),
        }),
    }
}
