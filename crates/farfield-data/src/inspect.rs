//! What a file holds: every array with shape, type and statistics, the attributes, and how a data set
//! in it would be read. Streams: an array is never in memory as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::array_file::{for_each_block, open_npy};
use crate::error::{DataError, one_line};
use crate::file_format::{FileFormat, READ_EXTENSIONS};
use crate::hdf5::{Hdf5Array, Hdf5File, Hdf5Object};
use crate::mat5::{Mat5File, Variable};
use crate::normalizer::CompensatedSum;
use crate::npy::NpyReader;
use crate::npz::NpzFile;
use crate::number::{Elements, NumberFormat};
use crate::shape::{FieldShape, interpret_shape, shape_text};

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The file, as named.
    pub file: String,
    /// `npy`, `npz` or `HDF5`.
    pub format: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Every array, by name.
    pub arrays: Vec<ArraySummary>,
    /// Root attributes of an HDF5 file as text.
    pub attributes: BTreeMap<String, String>,
    /// How `x` and `y` are read as a data set; `None` if the file has not both.
    pub pairs: Option<PairSummary>,
    /// Why `x` and `y` cannot be read as a data set although both are there.
    pub problem: Option<String>,
}

/// One array of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArraySummary {
    /// Name, with the groups it is in.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Element type as stored.
    pub dtype: String,
    /// Smallest finite value; `None` without one.
    pub min: Option<f64>,
    /// Largest finite value; `None` without one.
    pub max: Option<f64>,
    /// Mean of the finite values; `None` without one.
    pub mean: Option<f64>,
    /// How many values are NaN or infinite.
    pub non_finite: u64,
    /// Why the values could not be read.
    pub problem: Option<String>,
}

/// How a pair of arrays is read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairSummary {
    /// Number of samples.
    pub samples: usize,
    /// Shape of one input.
    pub input: FieldShape,
    /// Shape of one output.
    pub output: FieldShape,
}

/// Summarises a `.npy`, `.npz`, `.h5` or `.hdf5` file. Reads every value once; an HDF5 file or an
/// `.npz` of any size needs a few MiB of memory. `dims` is as in
/// [`OpenOptions`](crate::OpenOptions).
///
/// An array that cannot be read is listed with its problem; the others are still summarised.
///
/// # Errors
/// A missing file, a wrong extension, a file damaged as a whole.
pub fn inspect(path: &Path, dims: Option<usize>) -> Result<Summary, DataError> {
    let format = FileFormat::detect(path, READ_EXTENSIONS)?;
    let bytes = std::fs::metadata(path).map_err(|e| DataError::io(path, "look at", e))?.len();
    let mut attributes = BTreeMap::new();
    let arrays = match format {
        FileFormat::Npy => {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            vec![npy_summary(&name, open_npy(path)?)]
        }
        FileFormat::Npz => {
            let mut file = NpzFile::open(path)?;
            let names = file.names().to_vec();
            names
                .iter()
                .map(|name| match file.array(name) {
                    Ok(reader) => npy_summary(name, reader),
                    Err(error) => ArraySummary::unreadable(name, error),
                })
                .collect()
        }
        FileFormat::Mat5 => {
            let file = Mat5File::open(path)?;
            file.variables().iter().map(|variable| mat5_summary(&file, variable)).collect()
        }
        FileFormat::Hdf5 => {
            let file = Hdf5File::open(path)?;
            attributes = file.attributes()?;
            file.objects()?
                .into_iter()
                .map(|object| match object {
                    Hdf5Object::Array(array) => hdf5_summary(&array),
                    Hdf5Object::Unreadable(name, error) => ArraySummary::unreadable(&name, error),
                })
                .collect()
        }
    };
    let (pairs, problem) = pairs(&arrays, dims);
    Ok(Summary {
        file: path.display().to_string(),
        format: format.name().to_owned(),
        bytes,
        arrays,
        attributes,
        pairs,
        problem,
    })
}

fn pairs(arrays: &[ArraySummary], dims: Option<usize>) -> (Option<PairSummary>, Option<String>) {
    let find = |name: &str| arrays.iter().find(|array| array.name == name);
    let (Some(x), Some(y)) = (find("x"), find("y")) else {
        return (None, None);
    };
    let read = |array: &ArraySummary| {
        if let Some(problem) = &array.problem {
            return Err(format!("\"{}\": {problem}", array.name));
        }
        interpret_shape(&array.shape, dims)
            .map_err(|e| format!("\"{}\" of shape {}: {e}", array.name, shape_text(&array.shape)))
    };
    match (read(x), read(y)) {
        (Err(problem), _) | (_, Err(problem)) => (None, Some(problem)),
        (Ok((samples, _)), Ok((others, _))) if samples != others => {
            (None, Some(format!("\"x\" has {samples} samples, \"y\" has {others}")))
        }
        (Ok((_, input)), Ok((_, output))) if input.dims() != output.dims() => (
            None,
            Some(format!(
                "\"x\" is read as {}D and \"y\" as {}D: say the dimension of the domain (dims)",
                input.dims(),
                output.dims()
            )),
        ),
        (Ok((samples, input)), Ok((_, output))) => (Some(PairSummary { samples, input, output }), None),
    }
}

/// Running statistics of one array.
#[derive(Default)]
struct Statistics {
    range: Option<(f64, f64)>,
    sum: CompensatedSum,
    finite: u64,
    non_finite: u64,
    values: Vec<f64>,
}

impl Statistics {
    fn take(&mut self, format: NumberFormat, bytes: &[u8]) {
        self.values.resize(bytes.len() / format.size(), 0.0);
        format.decode(bytes, &mut self.values);
        for &v in &self.values {
            if v.is_finite() {
                let (min, max) = self.range.unwrap_or((v, v));
                self.range = Some((min.min(v), max.max(v)));
                self.sum.add(v);
                self.finite += 1;
            } else {
                self.non_finite += 1;
            }
        }
    }

    fn into_summary(
        self,
        name: &str,
        shape: Vec<usize>,
        elements: &Elements,
        outcome: Result<(), DataError>,
    ) -> ArraySummary {
        let mut summary = ArraySummary {
            name: name.to_owned(),
            shape,
            dtype: elements.to_string(),
            min: None,
            max: None,
            mean: None,
            non_finite: self.non_finite,
            problem: None,
        };
        match outcome {
            Ok(()) => {
                summary.min = self.range.map(|r| r.0);
                summary.max = self.range.map(|r| r.1);
                summary.mean = self.range.map(|_| self.sum.value() / self.finite as f64);
            }
            Err(error) => {
                summary.non_finite = 0;
                summary.problem = Some(one_line(&error.to_string()));
            }
        }
        summary
    }
}

impl ArraySummary {
    fn unreadable(name: &str, error: DataError) -> Self {
        Self {
            name: name.to_owned(),
            shape: Vec::new(),
            dtype: "unknown".to_owned(),
            min: None,
            max: None,
            mean: None,
            non_finite: 0,
            problem: Some(one_line(&error.to_string())),
        }
    }
}

fn npy_summary<R: std::io::Read>(name: &str, reader: NpyReader<R>) -> ArraySummary {
    let info = reader.info.clone();
    let mut statistics = Statistics::default();
    let outcome = reader.for_each_block(|format, bytes| {
        statistics.take(format, bytes);
        Ok(())
    });
    statistics.into_summary(name, info.shape, &info.elements, outcome)
}

fn hdf5_summary(array: &Hdf5Array) -> ArraySummary {
    let mut statistics = Statistics::default();
    let shape = array.meant_shape();
    let outcome = array
        .elements()
        .format(array.path(), array.name(), &shape)
        .and_then(|format| for_each_block(array, &mut |bytes| statistics.take(format, bytes)));
    statistics.into_summary(array.name(), shape, array.elements(), outcome)
}

fn mat5_summary(file: &Mat5File, variable: &Variable) -> ArraySummary {
    let mut statistics = Statistics::default();
    let outcome = file.for_each_block(&variable.name, |format, bytes| statistics.take(format, bytes));
    statistics.into_summary(&variable.name, variable.shape.clone(), &variable.elements, outcome)
}
