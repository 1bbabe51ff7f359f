//! What a file holds: every array with shape, type and statistics, the attributes, and how a data set
//! in it would be read. Streams: an array is never in memory as a whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::array_file::{for_each_block, open_npy};
use crate::container::Container;
use crate::dataset::{Dataset, OpenOptions, find_layout, pair_shapes};
use crate::error::{DataError, one_line};
use crate::file_format::{FileFormat, READ_EXTENSIONS};
use crate::hdf5::{Hdf5Array, Hdf5File, Hdf5Object};
use crate::layout::Layout;
use crate::mat5::{Mat5File, Variable};
use crate::normalizer::CompensatedSum;
use crate::npy::NpyReader;
use crate::npz::NpzFile;
use crate::number::{Elements, NumberFormat};
use crate::points::read_points;
use crate::shape::FieldShape;
use crate::trajectories::{Trajectories, read_mask};
use crate::trajectory_pairs::Task;

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
    /// The layout that was recognised; `None` if the arrays are none that are known.
    pub layout: Option<String>,
    /// The pairs that [`Dataset::open`] gives with nothing but `dims` asked for; `None` if it refuses.
    pub pairs: Option<PairSummary>,
    /// The trajectories that the pairs are cut from.
    pub trajectories: Option<TrajectorySummary>,
    /// The points inside the domain, if the file says.
    pub mask: Option<MaskSummary>,
    /// Points of fields without a grid, if the file has them.
    pub points: Option<PointsSummary>,
    /// Why a file of a known layout cannot be read as a data set.
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

/// What is known of trajectories.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrajectorySummary {
    /// Number of trajectories.
    pub trajectories: usize,
    /// Number of states of each.
    pub times: usize,
    /// Time of the first state.
    pub first_time: f64,
    /// Time of the last state.
    pub last_time: f64,
    /// Names of the channels of a state.
    pub fields: Vec<String>,
    /// Shape of a state.
    pub state: FieldShape,
    /// Names of the scalars that come with each trajectory.
    pub scalars: Vec<String>,
    /// Which axes are periodic, if the file says.
    pub periodic: Option<Vec<bool>>,
    /// The task that is taken where none is asked for.
    pub usual_task: Task,
    /// Fields and scalars that are not read.
    pub skipped: Vec<String>,
}

/// How many points are inside the domain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaskSummary {
    /// Points along each axis.
    pub grid: Vec<usize>,
    /// Points inside.
    pub inside: usize,
}

/// How many scattered points there are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PointsSummary {
    /// Coordinates a point.
    pub dims: usize,
    /// Points of the inputs.
    pub sources: usize,
    /// Points of the outputs.
    pub receivers: usize,
}

/// Summarises a `.npy`, `.npz`, `.h5`, `.hdf5` or `.mat` file. Reads every value once, in blocks; only trajectories in npz
/// or MAT are then loaded, to say how they are read. `dims` is as in
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
    let mut summary = Summary {
        file: path.display().to_string(),
        format: format.name().to_owned(),
        bytes,
        arrays,
        attributes,
        layout: None,
        pairs: None,
        trajectories: None,
        mask: None,
        points: None,
        problem: None,
    };
    if format != FileFormat::Npy {
        summary.read_as_set(path, dims);
    }
    Ok(summary)
}

impl Summary {
    /// Says how the file is read as a data set, or why it is not.
    fn read_as_set(&mut self, path: &Path, dims: Option<usize>) {
        let options = OpenOptions { dims, in_memory_limit: 0, ..OpenOptions::default() };
        if let Err(error) = self.recognise(path, &options) {
            self.problem = Some(one_line(&error.to_string()));
        }
    }

    fn recognise(&mut self, path: &Path, options: &OpenOptions) -> Result<(), DataError> {
        let mut file = Container::open(path, "one array only")?;
        let Some(layout) = find_layout(&mut file, options)? else {
            return Ok(());
        };
        self.layout = Some(layout.about().to_owned());
        let mask = if let Layout::Pairs { input, output, dims, .. } = &layout {
            // The shapes are enough: nothing is loaded.
            let find = |name: &str| self.arrays.iter().find(|array| array.name == name);
            let (Some(x), Some(y)) = (find(input), find(output)) else {
                return Ok(());
            };
            if let Some(problem) = x.problem.as_ref().or(y.problem.as_ref()) {
                self.problem = Some(problem.clone());
                return Ok(());
            }
            let points = read_points(&mut file, options)?;
            let dims = options.dims.or(*dims).or(points.as_ref().map(|_| 1));
            let (samples, input, output) = pair_shapes(&self.file, (&x.name, &x.shape), (&y.name, &y.shape), dims)?;
            if let Some(points) = points {
                let [sources, receivers] = points.of_fields(&self.file, &input, &output)?;
                let (dims, sources, receivers) = (sources.dims(), sources.len(), receivers.len());
                self.points = Some(PointsSummary { dims, sources, receivers });
            }
            let mask = read_mask(&mut file, options, &output.grid)?;
            self.pairs = Some(PairSummary { samples, input, output });
            mask
        } else {
            let set = Arc::new(Trajectories::of_file(file, &layout, options)?);
            self.trajectories = Some(TrajectorySummary {
                trajectories: set.len(),
                times: set.times().len(),
                first_time: set.times().first().copied().unwrap_or(0.0),
                last_time: set.times().last().copied().unwrap_or(0.0),
                fields: set.field_names().to_vec(),
                state: set.state_shape().clone(),
                scalars: set.scalar_names().into_iter().map(str::to_owned).collect(),
                periodic: set.periodic().map(<[bool]>::to_vec),
                usual_task: set.usual_task(),
                skipped: set.skipped().to_vec(),
            });
            let data = Dataset::from_trajectories(set, options)?;
            let (input, output) = (data.input_shape().clone(), data.output_shape().clone());
            self.pairs = Some(PairSummary { samples: data.len(), input, output });
            data.mask().cloned()
        };
        self.mask = mask.map(|mask| MaskSummary { grid: mask.grid().to_vec(), inside: mask.count() });
        Ok(())
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
