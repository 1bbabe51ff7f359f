//! Named tensors and texts in one safetensors file: the length of the header (8 bytes, little-endian), the header as JSON with sorted keys,
//! the values.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use super::{FileInfo, file_error};
use crate::error::MatrixError;
use crate::scalar::Scalar;

const FORMAT: &str = "farfield-matrix";
const VERSION: &str = "1";

/// What a file will hold.
pub struct Writer<'a> {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Tensor<'a>>,
}

/// Writes values piece by piece.
type Values<'a> = Box<dyn Fn(&mut dyn Write) -> std::io::Result<()> + 'a>;

struct Tensor<'a> {
    dtype: &'static str,
    bytes: usize,
    shape: Vec<usize>,
    write: Values<'a>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(kind: &str, scalar: &str) -> Self {
        let texts = [("format", FORMAT), ("version", VERSION), ("kind", kind), ("scalar", scalar)];
        let metadata = texts.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        Self { metadata, tensors: BTreeMap::new() }
    }

    pub(super) fn metadata(&mut self, key: &str, text: String) {
        self.metadata.insert(key.to_owned(), text);
    }

    /// Whole numbers.
    pub(super) fn integers(&mut self, name: &str, shape: &[usize], values: Vec<u64>) {
        let write = move |out: &mut dyn Write| values.iter().try_for_each(|x| out.write_all(&x.to_le_bytes()));
        self.tensor(name, "U64", 8, shape, Box::new(write));
    }

    /// Numbers of f64.
    pub(super) fn doubles(&mut self, name: &str, shape: &[usize], values: Vec<f64>) {
        let write = move |out: &mut dyn Write| values.iter().try_for_each(|x| out.write_all(&x.to_le_bytes()));
        self.tensor(name, "F64", 8, shape, Box::new(write));
    }

    /// The numbers of the matrix, in pieces that follow one another.
    pub(super) fn values<T: Scalar, I: Iterator<Item = &'a [T]>>(&mut self, count: usize, pieces: impl Fn() -> I + 'a) {
        let write = move |out: &mut dyn Write| {
            pieces().try_for_each(|piece| piece.iter().try_for_each(|&x| write_number(out, x)))
        };
        let (dtype, size) = if size_of::<T>() == 8 { ("F64", 8) } else { ("F32", 4) };
        self.tensor("values", dtype, size, &[count], Box::new(write));
    }

    /// The numbers of the matrix, all at once.
    pub(super) fn owned_values<T: Scalar>(&mut self, values: Vec<T>) {
        let (dtype, size) = if size_of::<T>() == 8 { ("F64", 8) } else { ("F32", 4) };
        let count = values.len();
        let write = move |out: &mut dyn Write| values.iter().try_for_each(|&x| write_number(out, x));
        self.tensor("values", dtype, size, &[count], Box::new(write));
    }

    fn tensor(&mut self, name: &str, dtype: &'static str, size: usize, shape: &[usize], write: Values<'a>) {
        let bytes = size * shape.iter().product::<usize>();
        self.tensors.insert(name.to_owned(), Tensor { dtype, bytes, shape: shape.to_vec(), write });
    }

    pub(super) fn finish(self, path: &Path) -> Result<(), MatrixError> {
        let mut header = BTreeMap::from([("__metadata__".to_owned(), json!(self.metadata))]);
        let mut offset = 0;
        for (name, tensor) in &self.tensors {
            let end = offset + tensor.bytes;
            let entry = json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end]});
            header.insert(name.clone(), entry);
            offset = end;
        }
        let mut header = Value::from_iter(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let failed = |what: &'static str| move |e: std::io::Error| file_error(path, format!("cannot {what}: {e}"));

        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".").suffix(".partial");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).map_err(failed("create"))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let write = |out: &mut dyn Write| {
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            self.tensors.values().try_for_each(|tensor| (tensor.write)(&mut *out))
        };
        write(&mut out).map_err(failed("write"))?;
        let file = out.into_inner().map_err(|e| failed("write")(e.into_error()))?;
        file.as_file().sync_all().map_err(failed("write"))?;
        file.persist(path).map_err(|e| failed("write")(e.error))?;
        // The rename itself lasts once the folder is on disk; not every system can sync a folder.
        #[cfg(unix)]
        if let Ok(folder) = std::fs::File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

/// One number in its own precision, little-endian.
fn write_number<T: Scalar>(out: &mut dyn Write, x: T) -> std::io::Result<()> {
    // Exact either way: T is f32 or f64.
    let x = x.to_f64();
    if size_of::<T>() == 8 { out.write_all(&x.to_le_bytes()) } else { out.write_all(&(x as f32).to_le_bytes()) }
}

/// A file that was read.
pub struct Reader {
    path: PathBuf,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, std::ops::Range<usize>)>,
    bytes: Vec<u8>,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, MatrixError> {
        let bytes = std::fs::read(path).map_err(|e| file_error(path, format!("cannot read: {e}")))?;
        let damaged = |e| file_error(path, format!("damaged, or not a safetensors file: {e}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let views = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let start = bytes.as_ptr() as usize;
        let mut tensors = BTreeMap::new();
        for (name, view) in views.iter() {
            let at = view.data().as_ptr() as usize - start;
            let place = at..at + view.data().len();
            tensors.insert(name.to_owned(), (view.dtype(), view.shape().to_vec(), place));
        }
        Ok(Self { path: path.to_owned(), metadata, tensors, bytes })
    }

    pub(super) fn info(&self) -> Result<FileInfo, MatrixError> {
        for (key, expected) in [("format", FORMAT), ("version", VERSION)] {
            let found = self.text(key)?;
            if found != expected {
                return Err(self.damaged(format!("its {key} is {found:?}, expected {expected:?}")));
            }
        }
        let certificate = match self.metadata.get("certificate") {
            Some(text) => Some(
                serde_json::from_str(text).map_err(|e| self.damaged(format!("its certificate is unreadable: {e}")))?,
            ),
            None => None,
        };
        Ok(FileInfo { kind: self.text("kind")?.to_owned(), scalar: self.text("scalar")?.to_owned(), certificate })
    }

    /// The error of this file.
    pub(super) fn damaged(&self, reason: impl Into<String>) -> MatrixError {
        file_error(&self.path, reason)
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Whole numbers in rows of `columns`.
    pub(super) fn integers(&self, name: &str, columns: usize) -> Result<Vec<usize>, MatrixError> {
        let bytes = self.tensor(name, Dtype::U64, Some(columns))?;
        let (chunks, _) = bytes.as_chunks::<8>();
        let number = |chunk: &[u8; 8]| usize::try_from(u64::from_le_bytes(*chunk));
        let numbers: Result<Vec<usize>, _> = chunks.iter().map(number).collect();
        numbers.map_err(|_| self.damaged(format!("tensor {name:?} has numbers beyond the address space")))
    }

    /// Numbers of f64, and how many columns they have.
    pub(super) fn doubles(&self, name: &str) -> Result<(Vec<f64>, usize), MatrixError> {
        let bytes = self.tensor(name, Dtype::F64, None)?;
        let columns = self.tensors.get(name).and_then(|(_, shape, _)| shape.last().copied()).unwrap_or(0);
        let (chunks, _) = bytes.as_chunks::<8>();
        Ok((chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect(), columns))
    }

    /// The numbers of the matrix.
    pub(super) fn values<T: Scalar>(&self) -> Result<Vec<T>, MatrixError> {
        if size_of::<T>() == 8 {
            let (chunks, _) = self.tensor("values", Dtype::F64, Some(1))?.as_chunks::<8>();
            return Ok(chunks.iter().map(|chunk| T::from_f64(f64::from_le_bytes(*chunk))).collect());
        }
        let (chunks, _) = self.tensor("values", Dtype::F32, Some(1))?.as_chunks::<4>();
        Ok(chunks.iter().map(|chunk| T::from_f64(f64::from(f32::from_le_bytes(*chunk)))).collect())
    }

    fn tensor(&self, name: &str, dtype: Dtype, columns: Option<usize>) -> Result<&[u8], MatrixError> {
        let Some((found, shape, place)) = self.tensors.get(name) else {
            return Err(self.damaged(format!("tensor {name:?} is missing")));
        };
        let fits = match columns {
            Some(1) => shape.len() == 1,
            Some(columns) => shape.len() == 2 && shape[1] == columns,
            None => shape.len() == 2,
        };
        if *found != dtype || !fits {
            return Err(self.damaged(format!("tensor {name:?} is {found:?} of shape {shape:?}, expected {dtype:?}")));
        }
        Ok(&self.bytes[place.clone()])
    }

    fn text(&self, key: &str) -> Result<&str, MatrixError> {
        let text = self.metadata.get(key).map(String::as_str);
        text.ok_or_else(|| self.damaged(format!("not a matrix file: its metadata have no key {key:?}")))
    }
}
