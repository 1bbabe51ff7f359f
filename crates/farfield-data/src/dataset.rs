//! Pairs of input and output fields, from a file or from memory, read by sample number.
//!
//! A set in memory keeps its values as stored (`f32` or `f64`); an HDF5 file above
//! [`OpenOptions::in_memory_limit`] stays on the disk, and a sample of a file written by
//! [`Writer`](crate::Writer) costs one positioned read. Reading converts to the type asked for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::array::{Array, checked_len};
use crate::container::Container;
use crate::error::DataError;
use crate::layout::{Layout, recognise};
use crate::mask::Mask;
use crate::points::{Points, read_points};
use crate::real::{DType, Real};
use crate::shape::{FieldShape, interpret_shape, shape_text};
use crate::stored_array::StoredArray;
use crate::trajectories::{Trajectories, check_coordinates, no_trajectories, read_mask, read_vector};
use crate::trajectory_pairs::{Task, TrajectoryPairs};

/// How arrays are found and understood.
///
/// `task` and what follows it are for sets of trajectories and ignored where a file holds pairs, but for `task` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// Dimension of the domain, where the shapes do not tell; see
    /// [`interpret_shape`](crate::interpret_shape). Default: `None`, by that rule.
    pub dims: Option<usize>,
    /// Name of the input array. Default `"x"`; a file without it may be of a known layout.
    pub input: String,
    /// Name of the output array. Default `"y"`.
    pub output: String,
    /// HDF5 sets of more bytes than this, input and output together, stay on the disk. Default 1 GiB.
    pub in_memory_limit: u64,
    /// Name of the array that says which points are inside the domain. Default `mask`, if there is one; `None`: no mask.
    pub mask: Option<String>,
    /// Whether the arrays `points`, `source_points` and `receiver_points` of a file of pairs are coordinates; see
    /// [`Points`]. Default `true`.
    pub points: bool,
    /// What is to be learned from trajectories; a file of pairs is refused where it is given. Default `None`: one-step, or
    /// first-to-last where the initial states are an array of their own.
    pub task: Option<Task>,
    /// One-step: states from an input to its output. Default 1.
    pub time_stride: usize,
    /// One-step: states in an output, as channels one after the other. Default 1.
    pub unroll: usize,
    /// Outputs are changes from the state before instead of states. Default `false`.
    pub residual: bool,
    /// Whether the scalars of a trajectory are channels of the input. Default `None`: those that are not the same for all.
    pub scalars: Option<bool>,
}

impl OpenOptions {
    pub(crate) const DEFAULT_MASK: &'static str = "mask";
    const DEFAULT_INPUT: &'static str = "x";
    const DEFAULT_OUTPUT: &'static str = "y";

    /// Whether no names of arrays were asked for.
    fn default_names(&self) -> bool {
        self.input == Self::DEFAULT_INPUT && self.output == Self::DEFAULT_OUTPUT
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            dims: None,
            input: Self::DEFAULT_INPUT.to_owned(),
            output: Self::DEFAULT_OUTPUT.to_owned(),
            in_memory_limit: 1 << 30,
            mask: Some(Self::DEFAULT_MASK.to_owned()),
            points: true,
            task: None,
            time_stride: 1,
            unroll: 1,
            residual: false,
            scalars: None,
        }
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
    layout: &'static str,
    samples: usize,
    fields: Fields,
    mask: Option<Mask>,
    coordinates: Option<Vec<Vec<f64>>>,
    /// Of the inputs and of the outputs.
    points: Option<(Points, Points)>,
    attributes: BTreeMap<String, String>,
}

enum Fields {
    /// Two arrays.
    Arrays { input: Field, output: Field },
    /// Cut from trajectories.
    Trajectories(TrajectoryPairs),
}

struct Field {
    shape: FieldShape,
    array: StoredArray,
}

impl Dataset {
    /// Opens a set: two arrays of shape `(samples, [channel,] n[, n[, n]])` in an `.npz`, `.h5`, `.hdf5` or `.mat`
    /// file, or a file of a known layout (FNO, PDEBench, DiffusionPDE, The Well: the table in `docs/data-files.md`), or a
    /// folder of HDF5 files of trajectories. Integers, booleans and `f16` are converted: up to 16 bits to `f32`,
    /// wider to `f64`. Values are not looked at: see [`Self::check_finite`].
    ///
    /// # Errors
    /// A missing, truncated or damaged file, an extension that is unknown or disagrees with the
    /// contents, a missing array, an element type that is not a number, shapes that cannot be read as
    /// samples of a field or do not fit together; each names the file and the array.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, DataError> {
        if path.is_dir() {
            return Self::from_trajectories(Arc::new(Trajectories::open(path, options)?), options);
        }
        let mut file = Container::open(
            path,
            &format!(
                "one array only; a data set needs two, \"{}\" and \"{}\" (numpy.savez)",
                options.input, options.output
            ),
        )?;
        match find_layout(&mut file, options)? {
            Some(Layout::Pairs { input, output, dims, axes, about }) => {
                if let Some(task) = options.task {
                    return Err(no_trajectories(path, &format!("{about}, so the task {task} has no meaning")));
                }
                let options = OpenOptions { dims: options.dims.or(dims), ..options.clone() };
                Self::of_pairs(file, &input, &output, &axes, about, &options)
            }
            Some(layout) => Self::from_trajectories(Arc::new(Trajectories::of_file(file, &layout, options)?), options),
            None => {
                let missing = if file.has(&options.output) { &options.input } else { &options.output };
                // As long as neither is there, the input is the one to name.
                let missing = if file.has(&options.input) { missing } else { &options.input };
                Err(file.no_such_array(missing))
            }
        }
    }

    /// The two arrays of a file.
    fn of_pairs(
        mut file: Container,
        input: &str,
        output: &str,
        axes: &[String],
        about: &'static str,
        options: &OpenOptions,
    ) -> Result<Self, DataError> {
        let origin = file.path().display().to_string();
        let points = read_points(&mut file, options)?;
        // Fields on points have one axis.
        let options = &OpenOptions { dims: options.dims.or(points.as_ref().map(|_| 1)), ..options.clone() };
        let mut arrays = file.stored(&[input, output], options.in_memory_limit)?;
        let (Some(y), Some(x)) = (arrays.pop(), arrays.pop()) else {
            return Err(file.no_such_array(output));
        };
        let mut set = Self::pair(origin, x, y, options, file.attributes()?)?;
        set.layout = about;
        let grid = set.output_shape().grid.clone();
        set.mask = read_mask(&mut file, options, &grid)?;
        if let Some(points) = points {
            let [sources, receivers] = points.of_fields(&set.origin, set.input_shape(), set.output_shape())?;
            set.points = Some((sources, receivers));
        }
        if axes.len() == grid.len() {
            let mut coordinates = Vec::new();
            for (name, &points) in axes.iter().zip(&grid) {
                let values = read_vector(&mut file, name)?;
                check_coordinates(&set.origin, name, &values, points)?;
                coordinates.push(values);
            }
            set.coordinates = Some(coordinates);
        }
        Ok(set)
    }

    /// Pairs cut from trajectories, by the task and the other options for trajectories.
    ///
    /// # Errors
    /// [`DataError::Parameter`] for a stride or a number of steps that does not fit the trajectories.
    pub fn from_trajectories(trajectories: Arc<Trajectories>, options: &OpenOptions) -> Result<Self, DataError> {
        let pairs = TrajectoryPairs::new(Arc::clone(&trajectories), options)?;
        Ok(Self {
            origin: trajectories.origin.clone(),
            layout: trajectories.layout,
            samples: pairs.len(),
            fields: Fields::Trajectories(pairs),
            mask: trajectories.mask.clone(),
            coordinates: Some(trajectories.coordinates.clone()),
            points: None,
            attributes: trajectories.attributes.clone(),
        })
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
        let source = |array: &str, values: Vec<T>, shape: &[usize]| -> Result<StoredArray, DataError> {
            if checked_len(shape) != Some(values.len()) {
                return Err(DataError::length(
                    format!("{name}: array \"{array}\" of shape {}", shape_text(shape)),
                    values.len(),
                    checked_len(shape).map_or("fewer axes or shorter ones".to_owned(), |n| n.to_string()),
                ));
            }
            let array_data = Array { shape: shape.to_vec(), data: T::into_data(values) };
            Ok(StoredArray::memory(array, array_data))
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
        x: StoredArray,
        y: StoredArray,
        options: &OpenOptions,
        attributes: BTreeMap<String, String>,
    ) -> Result<Self, DataError> {
        let (samples, input, output) =
            pair_shapes(&origin, (x.name(), x.shape()), (y.name(), y.shape()), options.dims)?;
        Ok(Self {
            origin,
            samples,
            layout: "pairs",
            fields: Fields::Arrays {
                input: Field { shape: input, array: x },
                output: Field { shape: output, array: y },
            },
            mask: None,
            coordinates: None,
            points: None,
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
        self.shape(Side::Input)
    }

    /// Shape of one output.
    pub fn output_shape(&self) -> &FieldShape {
        self.shape(Side::Output)
    }

    /// Shape of one side of a pair.
    pub fn shape(&self, side: Side) -> &FieldShape {
        match (&self.fields, side) {
            (Fields::Arrays { input, .. }, Side::Input) => &input.shape,
            (Fields::Arrays { output, .. }, Side::Output) => &output.shape,
            (Fields::Trajectories(pairs), side) => pairs.shape(side),
        }
    }

    /// The type that keeps all stored values: `f64` if either side is kept as `f64`.
    pub fn dtype(&self) -> DType {
        match &self.fields {
            Fields::Arrays { input, output } => match (input.array.dtype(), output.array.dtype()) {
                (DType::F32, DType::F32) => DType::F32,
                _ => DType::F64,
            },
            Fields::Trajectories(pairs) => pairs.trajectories().dtype(),
        }
    }

    /// Whether samples are read from the disk when asked for.
    pub fn is_on_disk(&self) -> bool {
        match &self.fields {
            Fields::Arrays { input, .. } => input.array.is_on_disk(),
            Fields::Trajectories(pairs) => pairs.trajectories().is_on_disk(),
        }
    }

    /// The layout that was recognised, for people.
    pub fn layout(&self) -> &str {
        self.layout
    }

    /// How the samples were cut from trajectories; `None` for plain pairs.
    pub fn trajectory_pairs(&self) -> Option<&TrajectoryPairs> {
        match &self.fields {
            Fields::Trajectories(pairs) => Some(pairs),
            Fields::Arrays { .. } => None,
        }
    }

    /// A set of one-step pairs whose outputs are `unroll` states, one after the other as channels, in the place of one. Samples keep
    /// their order; those too close to the end of their trajectory are gone. States are shared, not copied.
    ///
    /// # Errors
    /// [`DataError::Parameter`] for pairs that are not cut from trajectories, and as [`TrajectoryPairs::unrolled`].
    pub fn unrolled(&self, unroll: usize) -> Result<Self, DataError> {
        let Some(pairs) = self.trajectory_pairs() else {
            let reason = format!("{}: holds pairs, only trajectories have further steps", self.origin);
            return Err(DataError::parameter("unroll", unroll, reason));
        };
        let pairs = pairs.unrolled(unroll)?;
        Ok(Self {
            origin: self.origin.clone(),
            layout: self.layout,
            samples: pairs.len(),
            fields: Fields::Trajectories(pairs),
            mask: self.mask.clone(),
            coordinates: self.coordinates.clone(),
            points: self.points.clone(),
            attributes: self.attributes.clone(),
        })
    }

    /// Which points of the output's grid are inside the domain; `None` for all.
    pub fn mask(&self) -> Option<&Mask> {
        self.mask.as_ref()
    }

    /// The same set with a mask, or without one.
    ///
    /// # Errors
    /// [`DataError::Parameter`] if the mask is not on the grid of the output.
    pub fn with_mask(mut self, mask: Option<Mask>) -> Result<Self, DataError> {
        if let Some(mask) = &mask
            && mask.grid() != self.output_shape().grid
        {
            return Err(DataError::parameter(
                "mask",
                shape_text(mask.grid()),
                format!("{}: the grid is {}", self.origin, shape_text(&self.output_shape().grid)),
            ));
        }
        self.mask = mask;
        Ok(self)
    }

    /// Coordinates along each axis of the output's grid, where the file has them.
    pub fn coordinates(&self) -> Option<&[Vec<f64>]> {
        self.coordinates.as_deref()
    }

    /// Where the values of one side of a pair lie, for fields on scattered points.
    pub fn points(&self, side: Side) -> Option<&Points> {
        self.points.as_ref().map(|(sources, receivers)| match side {
            Side::Input => sources,
            Side::Output => receivers,
        })
    }

    /// The same set with points of the inputs and of the outputs, or without.
    ///
    /// # Errors
    /// [`DataError::Parameter`] if the fields have more than one axis or another number of points, or the two sets lie in spaces of
    /// different dimensions.
    pub fn with_points(mut self, points: Option<(Points, Points)>) -> Result<Self, DataError> {
        if let Some((sources, receivers)) = &points {
            sources.check(&self.origin, Side::Input, self.input_shape())?;
            receivers.check(&self.origin, Side::Output, self.output_shape())?;
            if sources.dims() != receivers.dims() {
                let dims = format!("{} and {}", sources.dims(), receivers.dims());
                let reason = format!("{}: both sets of points must have the same dimension", self.origin);
                return Err(DataError::parameter("points", dims, reason));
            }
        }
        self.points = points;
        Ok(self)
    }

    /// Number of independent groups of samples: the samples of one trajectory are one group, of pairs each is its own. Training
    /// and test sets are split by groups: neighbours in time are nearly equal.
    pub fn groups(&self) -> usize {
        self.trajectory_pairs().map_or(self.samples, |pairs| pairs.trajectories().len())
    }

    /// The samples of `groups`, group after group in the order given.
    pub fn samples_of(&self, groups: &[usize]) -> Vec<usize> {
        let each = self.trajectory_pairs().map_or(1, TrajectoryPairs::per_trajectory);
        groups
            .iter()
            .flat_map(|&group| group.saturating_mul(each)..group.saturating_add(1).saturating_mul(each))
            .collect()
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
        let len = self.shape(side).len();
        if indices.len().checked_mul(len) != Some(target.len()) {
            return Err(DataError::length(
                format!("{}: samples of \"{}\"", self.origin, self.array_name(side)),
                target.len(),
                format!("{} x {len}", indices.len()),
            ));
        }
        for (&index, sample) in indices.iter().zip(target.chunks_exact_mut(len)) {
            if index >= self.samples {
                return Err(DataError::SampleOutOfRange { origin: self.origin.clone(), index, samples: self.samples });
            }
            match (&self.fields, side) {
                (Fields::Arrays { input, .. }, Side::Input) => input.array.read_rows(index, 1, sample)?,
                (Fields::Arrays { output, .. }, Side::Output) => output.array.read_rows(index, 1, sample)?,
                (Fields::Trajectories(pairs), side) => pairs.read(side, index, sample)?,
            }
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
        let (input, output) = match &self.fields {
            Fields::Arrays { input, output } => (input, output),
            // Every state once, instead of once for each pair it is in.
            Fields::Trajectories(pairs) => return pairs.trajectories().check_finite_as::<T>(),
        };
        for field in [input, output] {
            let len = field.shape.len();
            field.for_each_block(self.samples, |first, block: &[T]| {
                match block.iter().position(|v| !v.is_finite()) {
                    None => Ok(()),
                    Some(at) => Err(DataError::NonFinite {
                        origin: self.origin.clone(),
                        array: field.array.name().to_owned(),
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
        match (&self.fields, side) {
            (Fields::Arrays { input, .. }, Side::Input) => input.array.name(),
            (Fields::Arrays { output, .. }, Side::Output) => output.array.name(),
            (Fields::Trajectories(_), Side::Input) => "input states",
            (Fields::Trajectories(_), Side::Output) => "output states",
        }
    }
}

/// Number of samples and shapes of one input and one output of two arrays, each given by name and shape.
pub(crate) fn pair_shapes(
    origin: &str,
    x: (&str, &[usize]),
    y: (&str, &[usize]),
    dims: Option<usize>,
) -> Result<(usize, FieldShape, FieldShape), DataError> {
    let read = |(name, shape): (&str, &[usize])| {
        interpret_shape(shape, dims).map_err(|reason| DataError::Shape {
            origin: origin.to_owned(),
            array: name.to_owned(),
            shape: shape_text(shape),
            reason,
        })
    };
    let (samples, input) = read(x)?;
    let (output_samples, output) = read(y)?;
    let disagree = |reason: String| DataError::Pair {
        origin: origin.to_owned(),
        input: format!("\"{}\" of shape {}", x.0, shape_text(x.1)),
        output: format!("\"{}\" of shape {}", y.0, shape_text(y.1)),
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
    Ok((samples, input, output))
}

/// The layout of a file: the two arrays asked for if they are there, else a known layout unless others were asked for.
pub(crate) fn find_layout(file: &mut Container, options: &OpenOptions) -> Result<Option<Layout>, DataError> {
    if file.has(&options.input) && file.has(&options.output) {
        let (input, output) = (options.input.clone(), options.output.clone());
        return Ok(Some(Layout::Pairs { input, output, dims: None, axes: Vec::new(), about: "pairs" }));
    }
    if !options.default_names() {
        return Ok(None);
    }
    let well = file.hdf5().is_some_and(|hdf5| matches!(hdf5.group("t0_fields"), Ok(Some(_))));
    let entries = if well { Vec::new() } else { file.entries()? };
    recognise(&file.path().display().to_string(), &entries, well)
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset")
            .field("origin", &self.origin)
            .field("samples", &self.samples)
            .field("layout", &self.layout)
            .field("input", self.input_shape())
            .field("output", self.output_shape())
            .field("dtype", &self.dtype())
            .field("on_disk", &self.is_on_disk())
            .finish()
    }
}

impl Field {
    /// All samples in order, in blocks of about 4 MiB: number of the first, values.
    fn for_each_block<T: Real>(
        &self,
        samples: usize,
        mut take: impl FnMut(usize, &[T]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let len = self.shape.len();
        let per_block = self.array.rows_per_block();
        let mut values = vec![T::default(); per_block.min(samples) * len];
        let mut first = 0;
        while first < samples {
            let count = per_block.min(samples - first);
            let block = &mut values[..count * len];
            self.array.read_rows(first, count, block)?;
            take(first, block)?;
            first += count;
        }
        Ok(())
    }
}
