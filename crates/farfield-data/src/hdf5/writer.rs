//! Writing arrays to an HDF5 file that appears under its name only when it is whole.
//!
//! Arrays grow by rows; a row is one unfiltered chunk, so that reading one back is one read of the
//! disk. `flush` of the library is not durable, so nothing is promised before [`Hdf5Output::finish`].

use std::io;
use std::path::Path;

use rust_hdf5::types::HBool;
use rust_hdf5::{H5Dataset, H5File};

use crate::array::{Array, ArrayData};
use crate::beside::Beside;
use crate::error::{DataError, one_line};
use crate::real::DType;

/// An HDF5 file being written.
pub(crate) struct Hdf5Output {
    /// `None` only while being dropped or finished.
    open: Option<(H5File, Beside)>,
}

/// An array that grows by rows.
pub(crate) struct GrowingArray {
    dataset: H5Dataset,
}

impl Hdf5Output {
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<Self, DataError> {
        let beside = Beside::create(path, overwrite)?;
        let file = H5File::options()
            .best_effort_locking()
            .create(beside.temporary_path())
            .map_err(|e| write_error(path, &e))?;
        Ok(Self { open: Some((file, beside)) })
    }

    fn parts(&self) -> Result<(&H5File, &Path), DataError> {
        match &self.open {
            Some((file, beside)) => Ok((file, beside.target())),
            None => Err(DataError::io(Path::new(""), "write", io::Error::other("the file was closed already"))),
        }
    }

    /// A string attribute of the root group.
    pub(crate) fn attribute(&self, name: &str, value: &str) -> Result<(), DataError> {
        let (file, path) = self.parts()?;
        file.set_attr_string(name, value).map_err(|e| write_error(path, &e))
    }

    /// A new array of zero rows of shape `row`.
    pub(crate) fn growing(&self, name: &str, dtype: DType, row: &[usize]) -> Result<GrowingArray, DataError> {
        let (file, path) = self.parts()?;
        let mut shape = vec![0];
        shape.extend_from_slice(row);
        let mut chunk = shape.clone();
        chunk[0] = 1;
        let mut most: Vec<Option<usize>> = shape.iter().map(|&n| Some(n)).collect();
        most[0] = None;
        let dataset = match dtype {
            DType::F32 => file.new_dataset::<f32>().shape(&shape).chunk(&chunk).max_shape(&most).create(name),
            DType::F64 => file.new_dataset::<f64>().shape(&shape).chunk(&chunk).max_shape(&most).create(name),
        };
        Ok(GrowingArray { dataset: dataset.map_err(|e| write_error(path, &e))? })
    }

    /// Adds whole rows; `rows` has the type the array was made with.
    pub(crate) fn append(&self, array: &GrowingArray, rows: &ArrayData) -> Result<(), DataError> {
        let (_, path) = self.parts()?;
        match rows {
            ArrayData::F32(values) => array.dataset.append(values),
            ArrayData::F64(values) => array.dataset.append(values),
        }
        .map_err(|e| write_error(path, &e))
    }

    /// A whole array (already checked, not empty), contiguous.
    pub(crate) fn array(&self, name: &str, array: &Array) -> Result<(), DataError> {
        fn write<T: rust_hdf5::H5Type>(
            file: &H5File,
            name: &str,
            shape: &[usize],
            values: &[T],
        ) -> rust_hdf5::Result<()> {
            let builder = file.new_dataset::<T>();
            let builder = if shape.is_empty() { builder.scalar() } else { builder.shape(shape) };
            builder.create(name)?.write_raw(values)
        }
        let (file, path) = self.parts()?;
        match &array.data {
            ArrayData::F32(values) => write(file, name, &array.shape, values),
            ArrayData::F64(values) => write(file, name, &array.shape, values),
        }
        .map_err(|e| write_error(path, &e))
    }

    /// An array of booleans, as h5py stores them.
    pub(crate) fn flags(&self, name: &str, shape: &[usize], flags: &[bool]) -> Result<(), DataError> {
        let (file, path) = self.parts()?;
        let values: Vec<HBool> = flags.iter().map(|&flag| HBool::from(flag)).collect();
        file.new_dataset::<HBool>()
            .shape(shape)
            .create(name)
            .and_then(|dataset| dataset.write_raw(&values))
            .map_err(|e| write_error(path, &e))
    }

    /// Writes the metadata, makes everything durable and gives the file its name.
    pub(crate) fn finish(mut self) -> Result<(), DataError> {
        let Some((file, beside)) = self.open.take() else {
            return Ok(());
        };
        let closed = file.close();
        match closed {
            Ok(()) => beside.publish(),
            Err(e) => Err(write_error(beside.target(), &e)),
        }
    }
}

impl Drop for Hdf5Output {
    /// Abandons the file. Left to itself the library would finish it, and complain on the terminal
    /// where the disk is full; so its space is given back first and its errors are of no interest.
    fn drop(&mut self) {
        if let Some((file, beside)) = self.open.take() {
            let _ = beside.discard_contents();
            let _ = file.close_no_sync();
        }
    }
}

/// The library hides the system's error inside its text: it is recovered, so that a full disk is
/// told from a bug.
pub(super) fn write_error(path: &Path, error: &rust_hdf5::Hdf5Error) -> DataError {
    let text = error.to_string();
    let code = text
        .rsplit_once("(os error ")
        .and_then(|(_, rest)| rest.split(')').next())
        .and_then(|digits| digits.parse().ok());
    let source = match code {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::other(one_line(&text)),
    };
    DataError::io(path, "write", source)
}
