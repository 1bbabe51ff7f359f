//! An array of a file, in memory or on the disk, read by rows along its first axis.

use crate::array::{Array, ArrayData};
use crate::array_file::rows_per_block;
use crate::error::DataError;
use crate::hdf5::Hdf5Array;
use crate::number::NumberFormat;
use crate::real::{DType, Real};

/// An array whose values are read when asked for.
pub(crate) struct StoredArray {
    name: String,
    shape: Vec<usize>,
    values: Values,
}

enum Values {
    Memory(ArrayData),
    Disk { array: Box<Hdf5Array>, format: NumberFormat },
}

impl StoredArray {
    /// An array in memory.
    pub(crate) fn memory(name: &str, array: Array) -> Self {
        Self { name: name.to_owned(), shape: array.shape, values: Values::Memory(array.data) }
    }

    /// An array that stays in its file; not one with reversed axes.
    pub(crate) fn disk(array: Hdf5Array) -> Result<Self, DataError> {
        let format = array.elements().format(array.path(), array.name(), array.shape())?;
        Ok(Self {
            name: array.name().to_owned(),
            shape: array.shape().to_vec(),
            values: Values::Disk { array: Box::new(array), format },
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn dtype(&self) -> DType {
        match &self.values {
            Values::Memory(data) => data.dtype(),
            Values::Disk { format, .. } => format.dtype(),
        }
    }

    pub(crate) fn is_on_disk(&self) -> bool {
        matches!(self.values, Values::Disk { .. })
    }

    /// Values of one row.
    fn row_len(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Rows to read at a time, so that a block is about 4 MiB.
    pub(crate) fn rows_per_block(&self) -> usize {
        match &self.values {
            Values::Disk { array, .. } => rows_per_block(array),
            Values::Memory(_) => ((4 << 20) / (8 * self.row_len().max(1))).max(1),
        }
    }

    /// Rows that exist, `count` from `first`, to `target` of that length.
    pub(crate) fn read_rows<T: Real>(&self, first: usize, count: usize, target: &mut [T]) -> Result<(), DataError> {
        match &self.values {
            Values::Memory(data) => self.copy(data, first * self.row_len(), target),
            Values::Disk { array, format } => {
                let mut rest = target;
                array.read_rows(first, count, &mut |bytes| rest = decode(*format, bytes, std::mem::take(&mut rest)))
            }
        }
    }

    /// The values from `start` on of row `row`, which must exist, as many as `target` has.
    pub(crate) fn read_part<T: Real>(&self, row: usize, start: usize, target: &mut [T]) -> Result<(), DataError> {
        match &self.values {
            Values::Memory(data) => self.copy(data, row * self.row_len() + start, target),
            Values::Disk { array, format } => {
                let count = target.len();
                let mut rest = target;
                array.read_part(row, start, count, &mut |bytes| {
                    rest = decode(*format, bytes, std::mem::take(&mut rest));
                })
            }
        }
    }

    /// Every `step`-th value of row `row` from `start` on, as many as `target` has. Reads the whole row if it is
    /// on the disk.
    pub(crate) fn read_strided<T: Real>(
        &self,
        row: usize,
        start: usize,
        step: usize,
        target: &mut [T],
    ) -> Result<(), DataError> {
        match &self.values {
            Values::Memory(data) => {
                let first = row * self.row_len() + start;
                match data {
                    ArrayData::F32(values) => {
                        for (t, v) in target.iter_mut().zip(values.get(first..).unwrap_or(&[]).iter().step_by(step)) {
                            *t = T::from_f32(*v);
                        }
                    }
                    ArrayData::F64(values) => {
                        for (t, v) in target.iter_mut().zip(values.get(first..).unwrap_or(&[]).iter().step_by(step)) {
                            *t = T::from_f64(*v);
                        }
                    }
                }
                Ok(())
            }
            Values::Disk { .. } => {
                let mut whole = vec![T::default(); self.row_len()];
                self.read_part(row, 0, &mut whole)?;
                for (t, v) in target.iter_mut().zip(whole.iter().skip(start).step_by(step)) {
                    *t = *v;
                }
                Ok(())
            }
        }
    }

    fn copy<T: Real>(&self, data: &ArrayData, start: usize, target: &mut [T]) -> Result<(), DataError> {
        // The length of the data was checked against the shape.
        data.copy_range(start, target)
            .ok_or_else(|| DataError::length(format!("array \"{}\"", self.name), data.len(), "more"))
    }
}

/// Converts `bytes` to the front of `target` and returns what is left of it.
fn decode<'a, T: Real>(format: NumberFormat, bytes: &[u8], target: &'a mut [T]) -> &'a mut [T] {
    let filled = (bytes.len() / format.size()).min(target.len());
    let (now, later) = target.split_at_mut(filled);
    format.decode(bytes, now);
    later
}
