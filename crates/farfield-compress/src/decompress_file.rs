//! `decompress`: the dense file back. Tensors that were copied come back bit for bit, compressed weights as their factors multiplied out and rounded to
//! their type, under their names and shapes; the metadata lose the record of the compression. The order of the numbers in the file may change.
//!
//! A few bytes can claim a large matrix (rank 0 takes no numbers): what a file restores to is held against a limit before memory is taken.

use std::path::Path;

use farfield_matrix::Matrix;
use serde::Serialize;

use crate::compressed_matrix::CompressedMatrix;
use crate::error::CompressError;
use crate::layout::{self, Description, KEY, Record, VERSION};
use crate::number::NumberType;
use crate::safetensors_file::{Contents, NewTensor, SafetensorsFile, TensorInfo, write};

/// Bytes that a file may restore to, unless the caller says otherwise: a hundred times its size, or 1 GiB.
pub fn default_limit(file_bytes: u64) -> u64 {
    file_bytes.saturating_mul(100).max(1 << 30)
}

/// What was restored.
#[derive(Clone, Debug, Serialize)]
pub struct DecompressReport {
    /// Size of the input.
    pub input_bytes: u64,
    /// Size of the output.
    pub output_bytes: u64,
    /// The weights that were compressed.
    pub weights: Vec<Record>,
    /// Tensors that were copied.
    pub copied_tensors: usize,
}

/// A compressed file, for reading its weights one by one.
#[derive(Debug)]
pub struct CompressedFile {
    file: SafetensorsFile,
    description: Description,
}

impl CompressedFile {
    /// Opens a file that `compress` wrote. One in which nothing paid has no compressed weights.
    ///
    /// # Errors
    /// Those of [`SafetensorsFile::open`]; a record of the compression that is unreadable or of another version.
    pub fn open(path: &Path) -> Result<Self, CompressError> {
        let file = SafetensorsFile::open(path)?;
        let Some(text) = file.text(KEY) else {
            let description = Description { version: VERSION, norm: layout::ErrorNorm::Frobenius, tensors: Vec::new() };
            return Ok(Self { file, description });
        };
        let description: Description = serde_json::from_str(text)
            .map_err(|e| CompressError::file(path, format!("metadata key {KEY:?} is unreadable: {e}")))?;
        if description.version != VERSION {
            let found = description.version;
            return Err(CompressError::file(
                path,
                format!("version {found} of the layout, this program knows {VERSION}"),
            ));
        }
        Ok(Self { file, description })
    }

    /// The file underneath.
    pub fn file(&self) -> &SafetensorsFile {
        &self.file
    }

    /// The compressed weights.
    pub fn records(&self) -> &[Record] {
        &self.description.tensors
    }

    /// The tensors that were copied.
    pub fn copied(&self) -> Vec<&TensorInfo> {
        let parts: std::collections::HashSet<String> =
            self.records().iter().flat_map(|record| layout::part_names(&record.name)).collect();
        self.file.tensors().iter().filter(|tensor| !parts.contains(tensor.name())).collect()
    }

    /// The factors of a compressed weight.
    ///
    /// # Errors
    /// A part that is missing or does not fit the others.
    pub fn factors(&self, record: &Record) -> Result<CompressedMatrix, CompressError> {
        layout::read(&self.file, record)
    }

    /// Type of the numbers of a compressed weight.
    fn number(&self, record: &Record) -> Result<NumberType, CompressError> {
        let parts = layout::part_names(&record.name);
        let [u, _, _, values, ..] = &parts;
        let tensor = self.file.tensors().iter().find(|tensor| tensor.name() == u || tensor.name() == values);
        let number = tensor.and_then(|tensor| NumberType::of(tensor.dtype()));
        let what = || format!("compressed tensor {:?}: its numbers are missing or not floating-point", record.name);
        number.ok_or_else(|| CompressError::file(self.file.path(), what()))
    }
}

/// Reads a compressed file and writes the dense one. It may take `limit` bytes; default: [`default_limit`].
///
/// # Errors
/// An input that cannot be read, is damaged or restores to more than the limit, an output that cannot be written. Nothing is written then.
pub fn decompress_file(input: &Path, output: &Path, limit: Option<u64>) -> Result<DecompressReport, CompressError> {
    let compressed = CompressedFile::open(input)?;
    let file = compressed.file();
    let limit = limit.unwrap_or_else(|| default_limit(file.bytes()));
    let copied = compressed.copied();
    let mut names: std::collections::HashSet<&str> = copied.iter().map(|tensor| tensor.name()).collect();
    let mut bytes: u64 = copied.iter().map(|tensor| tensor.bytes() as u64).sum();
    let mut tensors: Vec<NewTensor> = Vec::new();
    for record in compressed.records() {
        let name = &record.name;
        let bad = |what: &str| CompressError::file(input, format!("compressed tensor {name:?}: {what}"));
        if !names.insert(name) {
            return Err(bad("a tensor of this name exists"));
        }
        let number = compressed.number(record)?;
        let (m, n) = layout::matrix_shape(&record.shape).ok_or_else(|| bad("its shape is not that of a weight"))?;
        let own = m.checked_mul(n).and_then(|count| count.checked_mul(number.size()));
        let own = own.ok_or_else(|| bad("its shape is too large"))?;
        bytes = bytes.saturating_add(own as u64);
        if bytes > limit {
            let what = format!("restores to {bytes} bytes or more, {limit} are allowed: pass --max-bytes");
            return Err(CompressError::file(input, what));
        }
        let make = || dense_bytes(&compressed.factors(record)?);
        tensors.push(NewTensor {
            name: name.clone(),
            dtype: number.dtype(),
            shape: record.shape.clone(),
            contents: Contents::Made(own, Box::new(make)),
        });
    }
    let copied_tensors = copied.len();
    tensors.extend(copied.into_iter().map(|tensor| NewTensor {
        name: tensor.name().to_owned(),
        dtype: tensor.dtype(),
        shape: tensor.shape().to_vec(),
        contents: Contents::Copied(file, tensor),
    }));
    let metadata: Vec<(String, String)> = file.metadata().iter().filter(|(key, _)| key != KEY).cloned().collect();
    let output_bytes = write(output, &metadata, &tensors)?;
    drop(tensors);
    Ok(DecompressReport {
        input_bytes: file.bytes(),
        output_bytes,
        weights: compressed.records().to_vec(),
        copied_tensors,
    })
}

/// The entries, row-major, rounded to their type.
fn dense_bytes(matrix: &CompressedMatrix) -> Result<Vec<u8>, CompressError> {
    let dense: Matrix<f64> = matrix.to_dense();
    let mut out = Vec::with_capacity(dense.nrows() * dense.ncols() * matrix.number().size());
    for i in 0..dense.nrows() {
        matrix.number().encode((0..dense.ncols()).map(|j| dense[(i, j)]), &mut out);
    }
    Ok(out)
}
