//! safetensors files of any framework, read tensor by tensor and written as a stream.
//!
//! The format: the length of the header (8 bytes, little-endian), the header as JSON (`name -> {dtype, shape, data_offsets}`, and texts under
//! `__metadata__`), the numbers, row-major and little-endian, without gaps. Nothing is believed that the header claims: its length is held
//! against the size of the file before it is read, every shape against its byte range, and the ranges must tile the rest of the file. Memory
//! is taken for bytes that are there, one tensor at a time, so files of many times the memory can be copied.

mod header;
mod writer;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub(crate) use header::Metadata;
pub use header::TensorInfo;
pub(crate) use writer::{Contents, NewTensor, copy, file_bytes, json_text, tensor_entry_bytes, write};

use crate::error::CompressError;

/// Longest header that is read: that of the reference implementation.
const MAX_HEADER: u64 = 100_000_000;

/// An open file whose header was found sound.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    file: Mutex<File>,
    /// Position of the first number.
    start: u64,
    bytes: u64,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
}

impl SafetensorsFile {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    /// A file that cannot be opened or read, or that is no sound safetensors file: too short, a header that is longer than the file or
    /// no JSON, a name twice, an unknown type, a shape that does not fit its bytes, bytes that overlap, leave a gap or are missing.
    pub fn open(path: &Path) -> Result<Self, CompressError> {
        let mut file = File::open(path).map_err(CompressError::io(path, "open"))?;
        let metadata = file.metadata().map_err(CompressError::io(path, "read"))?;
        if !metadata.is_file() {
            return Err(CompressError::file(path, "not a regular file"));
        }
        let bytes = metadata.len();
        let damaged = |what: String| CompressError::file(path, format!("damaged, or not a safetensors file: {what}"));
        if bytes < 8 {
            return Err(damaged(format!("it has {bytes} bytes, the length of the header alone takes 8")));
        }
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(CompressError::io(path, "read"))?;
        let length = u64::from_le_bytes(length);
        if length > bytes - 8 || length > MAX_HEADER {
            let rest = bytes - 8;
            return Err(damaged(format!(
                "its header claims {length} bytes, the file has {rest} more and {MAX_HEADER} are allowed"
            )));
        }
        // At most the size of the file.
        let mut text = vec![0; usize::try_from(length).map_err(|_| damaged("its header is too long".to_owned()))?];
        file.read_exact(&mut text).map_err(CompressError::io(path, "read"))?;
        let (metadata, tensors) = header::parse(&text, bytes - 8 - length).map_err(damaged)?;
        Ok(Self { path: path.to_path_buf(), file: Mutex::new(file), start: 8 + length, bytes, metadata, tensors })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The tensors, in the order of their numbers in the file.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The texts of `__metadata__`, in the order of the file.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// The text of a key of the metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(k, _)| k == key).map(|(_, text)| text.as_str())
    }

    /// The bytes of a tensor of this file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self, tensor: &TensorInfo) -> Result<Vec<u8>, CompressError> {
        let mut out = vec![0; tensor.bytes()];
        self.read_at(tensor, 0, &mut out)?;
        Ok(out)
    }

    /// Fills `out` with bytes of a tensor, from byte `offset` of it.
    pub(crate) fn read_at(&self, tensor: &TensorInfo, offset: u64, out: &mut [u8]) -> Result<(), CompressError> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let place = self.start + tensor.begin() + offset;
        let read = file.seek(SeekFrom::Start(place)).and_then(|_| file.read_exact(out));
        read.map_err(CompressError::io(&self.path, "read"))
    }
}
