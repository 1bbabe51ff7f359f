//! Writing a safetensors file as a stream: the header from what is known beforehand, then the numbers piece by piece.

use std::path::Path;

use farfield_data::replace_file_with;
use safetensors::Dtype;
use serde_json::Value;

use super::SafetensorsFile;
use super::header::{Metadata, TensorInfo};
use crate::error::CompressError;

/// Bytes that are copied at a time.
const CHUNK: usize = 1 << 20;

/// Where the numbers of a new tensor come from.
pub(crate) enum Contents<'a> {
    /// They are those of a tensor of another file.
    Copied(&'a SafetensorsFile, &'a TensorInfo),
    /// They are in memory.
    Bytes(&'a [u8]),
    /// They are made when their turn comes; the number of bytes is known.
    Made(usize, Box<dyn Fn() -> Result<Vec<u8>, CompressError> + 'a>),
}

impl Contents<'_> {
    fn bytes(&self) -> usize {
        match self {
            Self::Copied(_, tensor) => tensor.bytes(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Made(bytes, _) => *bytes,
        }
    }
}

/// One tensor of a file to be written.
pub(crate) struct NewTensor<'a> {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub contents: Contents<'a>,
}

/// A text as JSON.
pub(crate) fn json_text(text: &str) -> String {
    Value::from(text).to_string()
}

/// Bytes that the entry of a tensor may take in the header, with offsets of up to 15 digits.
pub(crate) fn tensor_entry_bytes(name: &str, shape: &[usize]) -> usize {
    let numbers: usize = shape.iter().map(|n| n.to_string().len() + 1).sum();
    json_text(name).len() + numbers + r#":{"dtype":"BF16","shape":[],"data_offsets":[,]},"#.len() + 2 * 15
}

/// Numbers of a large type first, so that each begins at a multiple of its size; else in the given order.
fn in_file_order<'a, 'b>(tensors: &'b [NewTensor<'a>]) -> Vec<&'b NewTensor<'a>> {
    let mut order: Vec<_> = tensors.iter().collect();
    order.sort_by_key(|tensor| std::cmp::Reverse(tensor.dtype.bitsize()));
    order
}

fn header(metadata: &Metadata, tensors: &[&NewTensor]) -> Result<Vec<u8>, CompressError> {
    let mut entries = Vec::with_capacity(tensors.len() + 1);
    if !metadata.is_empty() {
        let texts: Vec<String> = metadata.iter().map(|(k, t)| format!("{}:{}", json_text(k), json_text(t))).collect();
        entries.push(format!("\"__metadata__\":{{{}}}", texts.join(",")));
    }
    let mut at = 0u64;
    for tensor in tensors {
        let end = at + tensor.contents.bytes() as u64;
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        let (name, dtype, shape) = (json_text(&tensor.name), tensor.dtype, shape.join(","));
        let dtype = serde_json::to_string(&dtype).map_err(|e| CompressError::option("dtype", dtype, e.to_string()))?;
        entries.push(format!(r#"{name}:{{"dtype":{dtype},"shape":[{shape}],"data_offsets":[{at},{end}]}}"#));
        at = end;
    }
    let mut header = format!("{{{}}}", entries.join(",")).into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// Size of the file that [`write`] would write.
pub(crate) fn file_bytes(metadata: &Metadata, tensors: &[NewTensor]) -> Result<u64, CompressError> {
    let numbers: u64 = tensors.iter().map(|tensor| tensor.contents.bytes() as u64).sum();
    Ok(8 + header(metadata, &in_file_order(tensors))?.len() as u64 + numbers)
}

/// Writes the same bytes as those of a file. Returns their number.
///
/// # Errors
/// When either file cannot be read or written.
pub(crate) fn copy(file: &SafetensorsFile, target: &Path) -> Result<u64, CompressError> {
    let mut source = std::fs::File::open(file.path()).map_err(CompressError::io(file.path(), "open"))?;
    replace_file_with(target, |out| std::io::copy(&mut source, out).map(|_| ()))
        .map_err(CompressError::io(target, "write"))?;
    Ok(file.bytes())
}

/// Writes the file as a whole or not at all. Returns its size.
///
/// # Errors
/// When the file cannot be written, a copied one cannot be read, or a tensor cannot be made.
pub(crate) fn write(target: &Path, metadata: &Metadata, tensors: &[NewTensor]) -> Result<u64, CompressError> {
    let order = in_file_order(tensors);
    let header = header(metadata, &order)?;
    let mut bytes = 8 + header.len() as u64;
    // An error on the way that is not the disk's: it ends the writing, and comes out below.
    let mut failure = None;
    let stop = || std::io::Error::from(std::io::ErrorKind::Interrupted);
    let written = replace_file_with(target, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for tensor in &order {
            bytes += tensor.contents.bytes() as u64;
            match &tensor.contents {
                Contents::Bytes(bytes) => out.write_all(bytes)?,
                Contents::Made(expected, make) => {
                    let made = make().and_then(|made| match made.len() == *expected {
                        true => Ok(made),
                        false => Err(CompressError::shape("bytes of a tensor", made.len(), expected)),
                    });
                    match made {
                        Ok(made) => out.write_all(&made)?,
                        Err(error) => {
                            failure = Some(error);
                            return Err(stop());
                        }
                    }
                }
                Contents::Copied(file, tensor) => {
                    let mut buffer = vec![0; CHUNK.min(tensor.bytes())];
                    let mut done = 0;
                    while done < tensor.bytes() {
                        let part = &mut buffer[..CHUNK.min(tensor.bytes() - done)];
                        if let Err(error) = file.read_at(tensor, done as u64, part) {
                            failure = Some(error);
                            return Err(stop());
                        }
                        out.write_all(part)?;
                        done += part.len();
                    }
                }
            }
        }
        Ok(())
    });
    match (failure, written) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(CompressError::Io { path: target.to_path_buf(), action: "write", error }),
        (None, Ok(())) => Ok(bytes),
    }
}
