//! Named tensors and text in one safetensors file.
//!
//! Layout: the length of the header as 8 bytes little-endian, the header as JSON, the values. Written with
//! sorted keys and the header padded to 8 bytes, so the same contents give the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use farfield_data::replace_file;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use crate::error::NnError;
use crate::parameters::NamedTensor;

/// Contents of a file.
#[derive(Debug)]
pub(crate) struct Contents {
    /// The texts of `__metadata__`.
    pub(crate) metadata: BTreeMap<String, String>,
    /// The tensors, `f32` or `f64`, by name.
    pub(crate) tensors: BTreeMap<String, TensorData>,
}

/// Writes the file as a whole or not at all.
///
/// # Errors
/// What the operating system refused.
pub(crate) fn write(path: &Path, metadata: &BTreeMap<&str, String>, tensors: &[NamedTensor]) -> Result<(), NnError> {
    with_pieces(metadata, tensors, |pieces| replace_file(path, pieces)).map_err(NnError::io(path, "write"))
}

/// Hands over the bytes of a file in pieces, one after the other.
pub(crate) fn with_pieces<T>(
    metadata: &BTreeMap<&str, String>,
    tensors: &[NamedTensor],
    take: impl FnOnce(&[&[u8]]) -> T,
) -> T {
    let mut sorted: Vec<&NamedTensor> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut header = BTreeMap::from([("__metadata__".to_owned(), json!(metadata))]);
    let mut offset = 0;
    for tensor in &sorted {
        let end = offset + tensor.data.as_bytes().len();
        let dtype = if tensor.data.dtype() == DType::F64 { "F64" } else { "F32" };
        let entry = json!({"dtype": dtype, "shape": tensor.data.shape().as_slice(), "data_offsets": [offset, end]});
        header.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let mut header = Value::from_iter(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    let mut pieces: Vec<&[u8]> = vec![&length, &header];
    pieces.extend(sorted.iter().map(|tensor| tensor.data.as_bytes()));
    take(&pieces)
}

/// Reads a file. Memory is taken for the bytes that are there, whatever its header claims.
///
/// # Errors
/// A file that cannot be read, is no safetensors file or truncated, or has a tensor that is not `f32` or `f64`.
pub(crate) fn read(path: &Path) -> Result<Contents, NnError> {
    let bytes = std::fs::read(path).map_err(NnError::io(path, "read"))?;
    let damaged = |e| NnError::file(path, format!("damaged, or not a safetensors file: {e}"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let views = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in views.iter() {
        let shape = view.shape().to_vec();
        let data = match view.dtype() {
            Dtype::F32 => TensorData::new(numbers(view.data(), f32::from_le_bytes), shape),
            Dtype::F64 => TensorData::new(numbers(view.data(), f64::from_le_bytes), shape),
            other => {
                return Err(NnError::file(path, format!("tensor \"{name}\" has type {other:?}, expected F32 or F64")));
            }
        };
        tensors.insert(name.to_owned(), data);
    }
    Ok(Contents { metadata, tensors })
}

fn numbers<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| read(chunk)).collect()
}

impl Contents {
    /// The text of a key of the metadata.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn text(&self, path: &Path, key: &str) -> Result<&str, NnError> {
        let text = self.metadata.get(key);
        text.map(String::as_str).ok_or_else(|| NnError::file(path, format!("the metadata have no key \"{key}\"")))
    }

    /// Checks the keys `format` and `version`.
    ///
    /// # Errors
    /// When the file is of another kind or from a newer program.
    pub(crate) fn check_kind(&self, path: &Path, format: &str, version: &str) -> Result<(), NnError> {
        for (key, expected) in [("format", format), ("version", version)] {
            let found = self.text(path, key)?;
            if found != expected {
                return Err(NnError::file(path, format!("{key} is \"{found}\", expected \"{expected}\"")));
            }
        }
        Ok(())
    }
}
