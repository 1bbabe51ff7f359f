//! One array of an HDF5 file: where its bytes are, and reading them row by row along the first axis.
//!
//! Where the bytes lie plainly in the file (contiguous, or unfiltered chunks that hold whole rows, as
//! our own writer makes them) the addresses are taken once and a row costs one read of that row at its
//! offset. Everything else (compressed, chunks split along inner axes) goes through the library, which
//! decodes every chunk that a row touches.
//!
//! What a header claims is held against the size of the file before anything is allocated, and an
//! array of which a part was never written is refused instead of read as zeros.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hdf5_pure::Layout;

use super::datatype::elements;
use crate::array::checked_len;
use crate::error::DataError;
use crate::number::{Elements, Number, NumberFormat};
use crate::positioned_file::PositionedFile;
use crate::shape::shape_text;

/// The best lossless filter in use, deflate, packs at most 1032 bytes into one.
const MAX_RATIO: u64 = 1100;

/// Bytes read at a time where they lie plainly in the file; a multiple of every element size.
const PIECE: usize = 256 << 10;

/// One array of a file, its storage already located.
pub(crate) struct Hdf5Array {
    bytes: Arc<PositionedFile>,
    name: String,
    shape: Vec<usize>,
    elements: Elements,
    row_bytes: usize,
    /// Axes in reverse: MATLAB's (N, X, Y) is stored as (Y, X, N).
    reversed: bool,
    storage: Storage,
    /// The row decoded last for [`Self::read_part`], with its number.
    decoded: Mutex<Option<(usize, Vec<u8>)>>,
}

enum Storage {
    /// All rows one after the other from this offset.
    Contiguous(u64),
    /// Rows in unfiltered chunks of `rows` whole rows each, chunk `k` at `offsets[k]`.
    Rows { rows: usize, offsets: Vec<u64> },
    /// Anything else, by way of the library.
    Library(hdf5_pure::Dataset),
}

impl Hdf5Array {
    /// `matlab`: the file says that MATLAB wrote it; otherwise the attribute `MATLAB_class` of the array does.
    pub(super) fn new(
        bytes: &Arc<PositionedFile>,
        name: &str,
        dataset: hdf5_pure::Dataset,
        matlab: bool,
    ) -> Result<Self, DataError> {
        let path = bytes.path();
        let failed = |e: hdf5_pure::Error| library_error(path, name, &e);
        let damaged = |what: String| DataError::damaged(path, name, what);
        let too_large = || damaged("its shape is too large for this machine".to_owned());

        let shape = dataset
            .shape()
            .map_err(failed)?
            .into_iter()
            .map(|axis| usize::try_from(axis).map_err(|_| too_large()))
            .collect::<Result<Vec<_>, _>>()?;
        let datatype = dataset.datatype().map_err(failed)?;
        let attributes = dataset.attrs().map_err(failed)?;
        let class = attributes.get("MATLAB_class").and_then(|value| value.as_str());
        let elements = match class {
            // Their numbers are characters, or references to other arrays.
            Some(class @ ("char" | "cell" | "struct" | "function_handle" | "string")) => {
                Elements::Other(class.to_owned())
            }
            Some(_) if attributes.get("MATLAB_empty").and_then(|v| v.as_i64()).is_some_and(|v| v != 0) => {
                Elements::Other("empty array".to_owned())
            }
            Some("logical") => match elements(&datatype) {
                Elements::Numbers(format) if format.size() == 1 => {
                    Elements::Numbers(NumberFormat { number: Number::Bool, ..format })
                }
                other => other,
            },
            _ => elements(&datatype),
        };
        // What is not numbers has size 0: it is listed and never read.
        let row_bytes = checked_len(shape.get(1..).unwrap_or(&[]))
            .and_then(|n| n.checked_mul(elements.size()))
            .ok_or_else(too_large)?;
        let total = shape.first().unwrap_or(&1).checked_mul(row_bytes).ok_or_else(too_large)?;

        let mut array = Self {
            bytes: Arc::clone(bytes),
            name: name.to_owned(),
            shape,
            elements,
            row_bytes,
            reversed: matlab || class.is_some(),
            storage: Storage::Contiguous(0),
            decoded: Mutex::new(None),
        };
        if total > 0 {
            array.storage = array.locate(dataset, total)?;
        }
        Ok(array)
    }

    /// Finds the bytes and checks that the file can hold them.
    fn locate(&self, dataset: hdf5_pure::Dataset, total: usize) -> Result<Storage, DataError> {
        let path = self.bytes.path();
        let len = self.bytes.len();
        let failed = |e: hdf5_pure::Error| library_error(path, &self.name, &e);
        let damaged = |what: String| DataError::damaged(path, &self.name, what);
        let claims_too_much = || {
            damaged(format!(
                "truncated, damaged or never wholly written: its shape {} claims {total} bytes, the file has {len}",
                shape_text(&self.shape)
            ))
        };

        match dataset.layout().map_err(failed)? {
            Layout::Contiguous { address: None, .. } => Err(damaged("it was created but never written".to_owned())),
            Layout::Contiguous { address: Some(address), size } => {
                if !self.bytes.contains(address, total as u64) || size < total as u64 {
                    return Err(claims_too_much());
                }
                // Data in other files has no address here and was refused above.
                Ok(Storage::Contiguous(address))
            }
            Layout::Compact { size } => {
                if size < total as u64 {
                    return Err(claims_too_much());
                }
                Ok(Storage::Library(dataset))
            }
            Layout::Chunked { chunk_shape, .. } => self.locate_chunks(dataset, &chunk_shape, total),
            _ => Err(damaged(
                "its layout (virtual or newer) is not supported: rewrite it as an ordinary array".to_owned(),
            )),
        }
    }

    fn locate_chunks(
        &self,
        dataset: hdf5_pure::Dataset,
        chunk_shape: &[u64],
        total: usize,
    ) -> Result<Storage, DataError> {
        let path = self.bytes.path();
        let len = self.bytes.len();
        let damaged = |what: String| DataError::damaged(path, &self.name, what);

        let element = self.elements.size() as u64;
        let chunk_bytes = chunk_shape.iter().try_fold(element, |n, &axis| n.checked_mul(axis));
        let filtered = !dataset.filters().is_empty();
        let most = len.saturating_mul(if filtered { MAX_RATIO } else { 1 });
        let (Some(chunk_bytes), true) = (chunk_bytes, chunk_shape.len() == self.shape.len()) else {
            return Err(damaged("damaged: its chunks make no sense".to_owned()));
        };
        if chunk_bytes == 0 || chunk_bytes > most || total as u64 > most {
            return Err(damaged(format!(
                "truncated, damaged or never wholly written: its shape {} in chunks of {chunk_bytes} bytes claims {total} bytes, the file has {len}",
                shape_text(&self.shape)
            )));
        }
        // At most as many as there are elements, so no overflow.
        let expected: usize =
            self.shape.iter().zip(chunk_shape).map(|(&n, &c)| (n as u64).div_ceil(c) as usize).product();
        if expected as u64 > len {
            return Err(damaged("damaged: it has more chunks than the file has bytes".to_owned()));
        }
        let chunks = dataset.chunks().map_err(|e| library_error(path, &self.name, &e))?;
        let in_range = chunks
            .iter()
            .filter(|chunk| {
                chunk.offset.len() == self.shape.len()
                    && chunk.offset.iter().zip(&self.shape).all(|(&o, &n)| o < n as u64)
            })
            .count();
        if in_range != expected {
            return Err(damaged(format!("{in_range} of its {expected} chunks were written")));
        }
        if let Some(lost) = chunks.iter().find(|chunk| !self.bytes.contains(chunk.address, chunk.storage_size)) {
            return Err(damaged(format!(
                "truncated: a chunk of {} bytes at {} lies beyond the end of the file ({len} bytes)",
                lost.storage_size, lost.address
            )));
        }

        let whole_rows = chunk_shape.iter().zip(&self.shape).skip(1).all(|(&c, &n)| c == n as u64);
        if filtered || !whole_rows {
            return Ok(Storage::Library(dataset));
        }
        let rows = chunk_shape.first().map_or(1, |&c| c);
        let mut offsets = vec![None; expected];
        for chunk in &chunks {
            let row = chunk.offset.first().copied().unwrap_or(0);
            let slot = usize::try_from(row / rows).ok().and_then(|k| offsets.get_mut(k));
            // `chunk_bytes` also where the last chunk hangs over the end.
            if let (0, Some(slot)) = (row % rows, slot)
                && chunk.storage_size == chunk_bytes
            {
                *slot = Some(chunk.address);
            }
        }
        match offsets.into_iter().collect::<Option<Vec<u64>>>() {
            Some(offsets) => Ok(Storage::Rows { rows: usize::try_from(rows).unwrap_or(usize::MAX), offsets }),
            None => Err(damaged("damaged: its index of chunks is inconsistent".to_owned())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.bytes.path()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// As stored; see [`Self::is_reversed`].
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether the axes are to be read in reverse, as MATLAB stores them.
    pub(crate) fn is_reversed(&self) -> bool {
        self.reversed && self.shape.len() > 1
    }

    /// The axes as the writer of the file meant them.
    pub(crate) fn meant_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.is_reversed() {
            shape.reverse();
        }
        shape
    }

    /// Offset in the file of all values one after the other, if they lie so.
    pub(crate) fn contiguous_offset(&self) -> Option<u64> {
        match self.storage {
            Storage::Contiguous(offset) => Some(offset),
            _ => None,
        }
    }

    pub(crate) fn elements(&self) -> &Elements {
        &self.elements
    }

    /// Rows along the first axis; a single number is one row.
    pub(crate) fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Bytes of one row.
    pub(crate) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Hands over the stored bytes of `count` rows from `start`, which must exist, in order and in
    /// pieces of whole numbers: small enough to stay in the cache until they are converted.
    pub(crate) fn read_rows(&self, start: usize, count: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), DataError> {
        match &self.storage {
            Storage::Contiguous(offset) => self.read_run(
                offset + start as u64 * self.row_bytes as u64,
                // The whole array was checked to fit the machine and the file.
                count * self.row_bytes,
                take,
            ),
            Storage::Rows { rows, offsets } => {
                let chunk_bytes = *rows as u64 * self.row_bytes as u64;
                let mut row = start;
                let end = start + count;
                while row < end {
                    // The rest of this chunk, and the chunks that follow it without a gap.
                    let (first, within) = (row / rows, row % rows);
                    let mut chunk = first;
                    while (chunk + 1) * rows < end
                        && offsets[chunk].checked_add(chunk_bytes) == Some(offsets[chunk + 1])
                    {
                        chunk += 1;
                    }
                    let next = ((chunk + 1) * rows).min(end);
                    self.read_run(
                        offsets[first] + within as u64 * self.row_bytes as u64,
                        (next - row) * self.row_bytes,
                        take,
                    )?;
                    row = next;
                }
                Ok(())
            }
            Storage::Library(dataset) => {
                let bytes = dataset
                    .read_raw_rows(start as u64, count as u64)
                    .map_err(|e| library_error(self.path(), &self.name, &e))?;
                if bytes.len() != count * self.row_bytes {
                    return Err(DataError::damaged(
                        self.path(),
                        &self.name,
                        format!("rows {start} to {} are incomplete", start + count),
                    ));
                }
                take(&bytes);
                Ok(())
            }
        }
    }

    /// Hands over `count` elements of row `row` from element `start` of it, all of which must exist, as
    /// [`Self::read_rows`]. Costs one read where the bytes lie plainly in the file; otherwise a whole row is
    /// decoded, and kept until another one is asked for.
    pub(crate) fn read_part(
        &self,
        row: usize,
        start: usize,
        count: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), DataError> {
        let size = self.elements.size();
        let (first, len) = (start * size, count * size);
        let offset = match &self.storage {
            Storage::Contiguous(offset) => offset + row as u64 * self.row_bytes as u64,
            Storage::Rows { rows, offsets } => offsets[row / rows] + (row % rows) as u64 * self.row_bytes as u64,
            Storage::Library(_) => {
                let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
                if decoded.as_ref().is_none_or(|(number, _)| *number != row) {
                    let mut bytes = Vec::with_capacity(self.row_bytes);
                    self.read_rows(row, 1, &mut |part| bytes.extend_from_slice(part))?;
                    *decoded = Some((row, bytes));
                }
                if let Some(part) = decoded.as_ref().and_then(|(_, bytes)| bytes.get(first..first + len)) {
                    take(part);
                }
                return Ok(());
            }
        };
        self.read_run(offset + first as u64, len, take)
    }

    fn read_run(&self, mut offset: u64, len: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), DataError> {
        let mut buffer = vec![0u8; len.min(PIECE)];
        let mut left = len;
        while left > 0 {
            let piece = &mut buffer[..left.min(PIECE)];
            self.bytes.read_at(offset, piece).map_err(|e| {
                if e.kind() == std::io::ErrorKind::UnexpectedEof {
                    DataError::damaged(self.path(), &self.name, "the file became shorter while in use")
                } else {
                    DataError::io(self.path(), "read", e)
                }
            })?;
            take(piece);
            offset += piece.len() as u64;
            left -= piece.len();
        }
        Ok(())
    }
}

pub(super) fn library_error(path: &Path, array: &str, error: &hdf5_pure::Error) -> DataError {
    DataError::damaged(path, array, error)
}
