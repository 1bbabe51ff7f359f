//! Pairs of input and output fields, from a file or from memory, read by sample number.
//!
//! A set in memory keeps its values as stored (`f32` or `f64`); an HDF5 file above
//! [`OpenOptions::in_memory_limit`] stays on the disk, and a sample of a file written by
//! [`Writer`](crate::Writer) costs one positioned read. Reading converts to the type asked for.

use std::collections::BTreeMap;
use std::path::Path;

use crate::array::{Array, ArrayData, checked_len};
use crate::array_file::{load, rows_per_block};
use crate::error::DataError;
use crate::file_format::FileFormat;
use crate::hdf5::{Hdf5Array, Hdf5File};
use crate::npz::NpzFile;
use crate::number::NumberFormat;
use crate::real::{DType, Real};
use crate::shape::{FieldShape, interpret_shape, shape_text};

/// How arrays are found and understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// Dimension of the domain, where the shapes do not tell; see
    /// [`interpret_shape`](crate::interpret_shape). Default: `None`, by that rule.
    pub dims: Option<usize>,
    /// Name of the input array. Default `"x"`.
    pub input: String,
    /// Name of the output array. Default `"y"`.
    pub output: String,
    /// HDF5 sets of more bytes than this, input and output together, stay on the disk. Default 1 GiB.
    pub in_memory_limit: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { dims: None, input: "x".to_owned(), output: "y".to_owned(), in_memory_limit: 1 << 30 }
    }
}

/// The input or the output of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// `x`, what the operator is applied to.
    Input,
    /// `y`, what it gives.
    Output,
}

/// Pairs `x -> y` of fields. May be read from any number of threads at once.
pub struct Dataset {
    origin: String,
    samples: usize,
    input: Field,
    output: Field,
    attributes: BTreeMap<String, String>,
}

struct Field {
    name: String,
    shape: FieldShape,
    values: Values,
}

enum Values {
    Memory(ArrayData),
    Disk { array: Box<Hdf5Array>, format: NumberFormat },
}

/// An array before its shape is understood.
struct Source {
    name: String,
    shape: Vec<usize>,
    values: Values,
}

impl Dataset {
    /// Opens a set: two arrays of shape `(samples, [channel,] n[, n[, n]])` in an `.npz`, `.h5` or
    /// `.hdf5` file. Integers, booleans (npz) and `f16` are converted: up to 16 bits to `f32`, wider
    /// to `f64`. Values are not looked at: see [`Self::check_finite`].
    ///
    /// # Errors
    /// A missing, truncated or damaged file, an extension that is unknown or disagrees with the
    /// contents, a missing array, an element type that is not a number, shapes that cannot be read as
    /// samples of a field or do not fit together; each names the file and the array.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, DataError> {
        let origin = path.display().to_string();
        match FileFormat::detect(path, ".npz, .h5 or .hdf5")? {
            FileFormat::Npy => Err(DataError::WrongFormat {
                path: path.to_path_buf(),
                expected: "npz or HDF5",
                found: format!(
                    "one array only; a data set needs two, \"{}\" and \"{}\" (numpy.savez)",
                    options.input, options.output
                ),
            }),
            FileFormat::Npz => {
                let mut file = NpzFile::open(path)?;
                // Both names before any data, so that a missing one is found at once.
                file.array(&options.output)?;
                let mut source = |name: &str| -> Result<Source, DataError> {
                    let array = file.array(name)?.read()?;
                    Ok(Source::memory(name, array))
                };
                let (x, y) = (source(&options.input)?, source(&options.output)?);
                Self::pair(origin, x, y, options, BTreeMap::new())
            }
            FileFormat::Hdf5 => {
                let file = Hdf5File::open(path)?;
                let x = file.array(&options.input)?;
                let y = file.array(&options.output)?;
                let bytes =
                    [&x, &y].iter().map(|a| a.rows() as u64 * a.row_bytes() as u64).fold(0, u64::saturating_add);
                let in_memory = bytes <= options.in_memory_limit;
                let source = |array: Hdf5Array| -> Result<Source, DataError> {
                    if in_memory {
                        let name = array.name().to_owned();
                        return Ok(Source::memory(&name, load(&array)?));
                    }
                    Source::disk(array)
                };
                Self::pair(origin, source(x)?, source(y)?, options, file.attributes()?)
            }
        }
    }

    /// A set from arrays in memory, row-major; `name` is used in messages.
    ///
    /// # Errors
    /// Shapes that cannot be read as samples of a field, do not fit together, or disagree with the
    /// number of values.
    pub fn from_arrays<T: Real>(
        name: &str,
        x: Vec<T>,
        x_shape: &[usize],
        y: Vec<T>,
        y_shape: &[usize],
        options: &OpenOptions,
    ) -> Result<Self, DataError> {
        let source = |array: &str, values: Vec<T>, shape: &[usize]| -> Result<Source, DataError> {
            if checked_len(shape) != Some(values.len()) {
                return Err(DataError::length(
                    format!("{name}: array \"{array}\" of shape {}", shape_text(shape)),
                    values.len(),
                    checked_len(shape).map_or("fewer axes or shorter ones".to_owned(), |n| n.to_string()),
                ));
            }
            let array_data = Array { shape: shape.to_vec(), data: T::into_data(values) };
            Ok(Source::memory(array, array_data))
        };
        Self::pair(
            name.to_owned(),
            source(&options.input, x, x_shape)?,
            source(&options.output, y, y_shape)?,
            options,
            BTreeMap::new(),
        )
    }

    fn pair(
        origin: String,
        x: Source,
        y: Source,
        options: &OpenOptions,
        attributes: BTreeMap<String, String>,
    ) -> Result<Self, DataError> {
        let read = |source: &Source| {
            interpret_shape(&source.shape, options.dims).map_err(|reason| DataError::Shape {
                origin: origin.clone(),
                array: source.name.clone(),
                shape: shape_text(&source.shape),
                reason,
            })
        };
        let (samples, input) = read(&x)?;
        let (output_samples, output) = read(&y)?;
        let disagree = |reason: String| DataError::Pair {
            origin: origin.clone(),
            input: format!("\"{}\" of shape {}", x.name, shape_text(&x.shape)),
            output: format!("\"{}\" of shape {}", y.name, shape_text(&y.shape)),
            reason,
        };
        if samples != output_samples {
            return Err(disagree(format!("{samples} samples against {output_samples}")));
        }
        if input.dims() != output.dims() {
            return Err(disagree(format!(
                "read as {}D and {}D; say the dimension of the domain (dims)",
                input.dims(),
                output.dims()
            )));
        }
        Ok(Self {
            origin,
            samples,
            input: Field { name: x.name, shape: input, values: x.values },
            output: Field { name: y.name, shape: output, values: y.values },
            attributes,
        })
    }

    /// Number of samples, at least 1.
    pub fn len(&self) -> usize {
        self.samples
    }

    /// Never: an empty set is refused where it is opened.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// Shape of one input.
    pub fn input_shape(&self) -> &FieldShape {
        &self.input.shape
    }

    /// Shape of one output.
    pub fn output_shape(&self) -> &FieldShape {
        &self.output.shape
    }

    /// Shape of one side of a pair.
    pub fn shape(&self, side: Side) -> &FieldShape {
        &self.field(side).shape
    }

    /// The type that keeps all stored values: `f64` if either side is kept as `f64`.
    pub fn dtype(&self) -> DType {
        match (self.input.dtype(), self.output.dtype()) {
            (DType::F32, DType::F32) => DType::F32,
            _ => DType::F64,
        }
    }

    /// Whether samples are read from the disk when asked for.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.input.values, Values::Disk { .. })
    }

    /// The root attributes of an HDF5 file as text; empty for other sources.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// File name, or the name given to [`Self::from_arrays`].
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Copies the samples `indices`, in that order, to `x` and `y`: sample after sample, each
    /// `channels * points` values.
    ///
    /// # Errors
    /// [`DataError::SampleOutOfRange`]; [`DataError::Length`] if a slice has not `indices.len()` times
    /// the length of a sample; [`DataError::Io`] or [`DataError::Damaged`] from the disk.
    pub fn read<T: Real>(&self, indices: &[usize], x: &mut [T], y: &mut [T]) -> Result<(), DataError> {
        self.read_side(Side::Input, indices, x)?;
        self.read_side(Side::Output, indices, y)
    }

    /// The inputs alone, as [`Self::read`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_inputs<T: Real>(&self, indices: &[usize], x: &mut [T]) -> Result<(), DataError> {
        self.read_side(Side::Input, indices, x)
    }

    /// The outputs alone, as [`Self::read`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_outputs<T: Real>(&self, indices: &[usize], y: &mut [T]) -> Result<(), DataError> {
        self.read_side(Side::Output, indices, y)
    }

    /// One side of the samples `indices`, as [`Self::read`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_side<T: Real>(&self, side: Side, indices: &[usize], target: &mut [T]) -> Result<(), DataError> {
        let field = self.field(side);
        let len = field.shape.len();
        if indices.len().checked_mul(len) != Some(target.len()) {
            return Err(DataError::length(
                format!("{}: samples of \"{}\"", self.origin, field.name),
                target.len(),
                format!("{} x {len}", indices.len()),
            ));
        }
        for (&index, sample) in indices.iter().zip(target.chunks_exact_mut(len)) {
            if index >= self.samples {
                return Err(DataError::SampleOutOfRange { origin: self.origin.clone(), index, samples: self.samples });
            }
            field.read(index, 1, sample)?;
        }
        Ok(())
    }

    /// Whether every value is finite as stored. Streams: a set on the disk is not loaded.
    ///
    /// # Errors
    /// [`DataError::NonFinite`] names array, sample and flat index within the sample of the first
    /// value that is not; errors of the disk.
    pub fn check_finite(&self) -> Result<(), DataError> {
        self.check_finite_as::<f64>()
    }

    /// As [`Self::check_finite`], after conversion to `T`: a stored `f64` beyond the range of `f32`
    /// is infinite as `f32`.
    ///
    /// # Errors
    /// As [`Self::check_finite`].
    pub fn check_finite_as<T: Real>(&self) -> Result<(), DataError> {
        for side in [Side::Input, Side::Output] {
            let field = self.field(side);
            let len = field.shape.len();
            field.for_each_block(self.samples, |first, block: &[T]| {
                match block.iter().position(|v| !v.is_finite()) {
                    None => Ok(()),
                    Some(at) => Err(DataError::NonFinite {
                        origin: self.origin.clone(),
                        array: field.name.clone(),
                        sample: first + at / len,
                        index: at % len,
                        value: block[at].to_f64(),
                    }),
                }
            })?;
        }
        Ok(())
    }

    /// Name of the array of one side.
    pub(crate) fn array_name(&self, side: Side) -> &str {
        &self.field(side).name
    }

    fn field(&self, side: Side) -> &Field {
        match side {
            Side::Input => &self.input,
            Side::Output => &self.output,
        }
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset")
            .field("origin", &self.origin)
            .field("samples", &self.samples)
            .field("input", &self.input.shape)
            .field("output", &self.output.shape)
            .field("dtype", &self.dtype())
            .field("on_disk", &self.is_on_disk())
            .finish()
    }
}

impl Source {
    fn memory(name: &str, array: Array) -> Self {
        Self { name: name.to_owned(), shape: array.shape, values: Values::Memory(array.data) }
    }

    fn disk(array: Hdf5Array) -> Result<Self, DataError> {
        let format = array.elements().format(array.path(), array.name(), array.shape())?;
        Ok(Self {
            name: array.name().to_owned(),
            shape: array.shape().to_vec(),
            values: Values::Disk { array: Box::new(array), format },
        })
    }
}

impl Field {
    fn dtype(&self) -> DType {
        match &self.values {
            Values::Memory(data) => data.dtype(),
            Values::Disk { format, .. } => format.dtype(),
        }
    }

    /// Samples that exist, `count` from `first`, to `target` of that length.
    fn read<T: Real>(&self, first: usize, count: usize, target: &mut [T]) -> Result<(), DataError> {
        match &self.values {
            Values::Memory(data) => {
                // The length of the data was checked against the shape.
                data.copy_range(first * self.shape.len(), target)
                    .ok_or_else(|| DataError::length(format!("array \"{}\"", self.name), data.len(), "more"))
            }
            Values::Disk { array, format } => {
                let mut rest = target;
                array.read_rows(first, count, &mut |bytes| {
                    let filled = bytes.len() / format.size();
                    let (now, later) = std::mem::take(&mut rest).split_at_mut(filled);
                    format.decode(bytes, now);
                    rest = later;
                })
            }
        }
    }

    /// All samples in order, in blocks of about 4 MiB: number of the first, values.
    fn for_each_block<T: Real>(
        &self,
        samples: usize,
        mut take: impl FnMut(usize, &[T]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let len = self.shape.len();
        let per_block = match &self.values {
            Values::Disk { array, .. } => rows_per_block(array),
            Values::Memory(_) => ((4 << 20) / (8 * len)).max(1),
        };
        let mut values = vec![T::default(); per_block.min(samples) * len];
        let mut first = 0;
        while first < samples {
            let count = per_block.min(samples - first);
            let block = &mut values[..count * len];
            self.read(first, count, block)?;
            take(first, block)?;
            first += count;
        }
        Ok(())
    }
}
