//! Sets of trajectories: the states of a time-dependent problem, in files or in memory, read one by one.
//!
//! A set is `count` trajectories, each of the same `times`; a state is a field of shape (channel, grid). The scalar
//! parameters of each trajectory, the coordinates of the grid and, where the file says so, which axes are periodic and which
//! points are inside the domain come with it.
//!
//! Opened from The Well's HDF5 layout (which [`TrajectoryWriter`](crate::TrajectoryWriter) writes), PDEBench, the MAT and npz
//! files of FNO and DiffusionPDE, and arrays `u`, `t`; a folder of HDF5 files is one set. HDF5 sets above
//! [`OpenOptions::in_memory_limit`] stay on the disk, where a state costs one positioned read; from compressed chunks a
//! trajectory is decoded as a whole, and the last one kept. MATLAB files are loaded whole: there the samples of one trajectory lie
//! scattered over the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::array::{Array, checked_len};
use crate::container::Container;
use crate::dataset::OpenOptions;
use crate::error::DataError;
use crate::layout::{Layout, recognise};
use crate::mask::Mask;
use crate::real::{DType, Real};
use crate::shape::{FieldShape, interpret_shape, shape_text};
use crate::stored_array::StoredArray;
use crate::trajectory_pairs::Task;
use crate::well;

/// Trajectories of one problem. May be read from any number of threads at once.
pub struct Trajectories {
    pub(crate) origin: String,
    pub(crate) layout: &'static str,
    pub(crate) parts: Vec<Part>,
    pub(crate) count: usize,
    pub(crate) times: Vec<f64>,
    pub(crate) shape: FieldShape,
    pub(crate) field_names: Vec<String>,
    pub(crate) axis_names: Vec<String>,
    pub(crate) coordinates: Vec<Vec<f64>>,
    pub(crate) periodic: Option<Vec<bool>>,
    pub(crate) scalars: Vec<Scalar>,
    pub(crate) mask: Option<Mask>,
    pub(crate) skipped: Vec<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) usual_task: Task,
}

/// The trajectories of one file.
pub(crate) struct Part {
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// The state at the first time, (N, grid), if it is an array of its own.
    pub(crate) initial: Option<StoredArray>,
    pub(crate) components: Vec<Component>,
}

/// One array, holding one or more channels of all states.
pub(crate) struct Component {
    pub(crate) array: StoredArray,
    pub(crate) channels: usize,
    pub(crate) order: Order,
}

/// Axes of an array of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// (N, T, channel, grid).
    ChannelsFirst,
    /// (N, T, grid, channel).
    ChannelsLast,
    /// (N, grid, T), one channel.
    TimeLast,
}

/// A number for each trajectory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scalar {
    pub(crate) name: String,
    /// One for each trajectory.
    pub(crate) values: Vec<f64>,
}

impl Trajectories {
    /// Opens a set from a file, or from all `.h5` and `.hdf5` files of a folder, in the order of their names.
    ///
    /// Which layouts are known: see the module. Values are not looked at: see [`Self::check_finite`].
    ///
    /// # Errors
    /// A missing, truncated or damaged file; a file of pairs, or of no known layout; arrays that do not fit together, each
    /// named with its shape; files of a folder that differ in fields, grid or times.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, DataError> {
        if path.is_dir() {
            return Self::open_folder(path, options);
        }
        let mut file = Container::open(path, "one array only; trajectories need their times too")?;
        let origin = path.display().to_string();
        let well = file.hdf5().is_some_and(|hdf5| matches!(hdf5.group("t0_fields"), Ok(Some(_))));
        let entries = if well { Vec::new() } else { file.entries()? };
        match recognise(&origin, &entries, well)? {
            Some(layout @ (Layout::Well | Layout::TimeLast { .. } | Layout::TimeSecond { .. })) => {
                Self::of_file(file, &layout, options)
            }
            Some(Layout::Pairs { about, .. }) => Err(no_trajectories(path, about)),
            None if file.has(&options.input) && file.has(&options.output) => Err(no_trajectories(path, "pairs")),
            None => Err(file.no_such_array("u")),
        }
    }

    /// The set in a file whose layout is known to be one of trajectories.
    pub(crate) fn of_file(mut file: Container, layout: &Layout, options: &OpenOptions) -> Result<Self, DataError> {
        let mut set = match layout {
            Layout::Well => match file.hdf5() {
                Some(hdf5) => well::open(hdf5, file.path(), options)?,
                None => return Err(no_trajectories(file.path(), "not HDF5")),
            },
            Layout::TimeLast { initial, states, times } => {
                time_last(&mut file, initial.as_deref(), states, times.as_deref(), options)?
            }
            Layout::TimeSecond { fields, times, axes, channels, .. } => {
                time_second(&mut file, fields, times.as_deref(), axes, *channels, options)?
            }
            Layout::Pairs { about, .. } => return Err(no_trajectories(file.path(), about)),
        };
        set.layout = layout.about();
        set.attributes = file.attributes()?;
        if set.mask.is_none() {
            set.mask = read_mask(&mut file, options, &set.shape.grid)?;
        }
        Ok(set)
    }

    fn open_folder(folder: &Path, options: &OpenOptions) -> Result<Self, DataError> {
        let listed = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut files: Vec<PathBuf> = listed
            .map_err(|e| DataError::io(folder, "look into", e))?
            .into_iter()
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                !name.starts_with('.') && (name.ends_with(".h5") || name.ends_with(".hdf5"))
            })
            .collect();
        files.sort();
        let limit = options.in_memory_limit / files.len().max(1) as u64;
        let options = OpenOptions { in_memory_limit: limit, ..options.clone() };
        let mut sets = files.iter().map(|file| Self::open(file, &options));
        let mut all = sets.next().ok_or_else(|| DataError::NoSuchArray {
            path: folder.to_path_buf(),
            array: "u".to_owned(),
            available: "no .h5 or .hdf5 files".to_owned(),
        })??;
        for set in sets {
            all.join(set?)?;
        }
        all.origin = folder.display().to_string();
        Ok(all)
    }

    /// Appends the trajectories of another file of the same problem.
    fn join(&mut self, other: Self) -> Result<(), DataError> {
        let names = |set: &Self| set.scalars.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
        let differs = if self.shape != other.shape || self.field_names != other.field_names {
            Some("their fields or grids differ")
        } else if self.times != other.times {
            Some("their times differ")
        } else if names(self) != names(&other) {
            Some("their scalars differ")
        } else if self.mask != other.mask {
            Some("their masks differ")
        } else {
            None
        };
        if let Some(reason) = differs {
            let about = |set: &Self| format!("{} ({}, {} times)", set.origin, set.shape, set.times.len());
            return Err(DataError::Pair {
                origin: "folder".to_owned(),
                input: about(self),
                output: about(&other),
                reason: reason.to_owned(),
            });
        }
        for (scalar, more) in self.scalars.iter_mut().zip(other.scalars) {
            scalar.values.extend(more.values);
        }
        for mut part in other.parts {
            part.first += self.count;
            self.parts.push(part);
        }
        self.count += other.count;
        // Attributes that are not the same for all are no attributes of the whole.
        self.attributes.retain(|name, value| other.attributes.get(name) == Some(value));
        Ok(())
    }

    /// A set in memory: `states` of shape (N, T, channel, grid), row-major; `times` of length T, increasing; scalars with
    /// one value for each trajectory.
    ///
    /// # Errors
    /// A shape, a number of times or of scalars that does not fit; times that do not increase.
    pub fn from_arrays<R: Real>(
        name: &str,
        states: Vec<R>,
        shape: &[usize],
        times: &[f64],
        scalars: &[(&str, &[f64])],
    ) -> Result<Self, DataError> {
        if checked_len(shape) != Some(states.len()) {
            return Err(DataError::length(
                format!("{name}: states of shape {}", shape_text(shape)),
                states.len(),
                checked_len(shape).map_or("fewer axes or shorter ones".to_owned(), |n| n.to_string()),
            ));
        }
        let refused = |reason: String| DataError::Shape {
            origin: name.to_owned(),
            array: "u".to_owned(),
            shape: shape_text(shape),
            reason,
        };
        if !(4..=6).contains(&shape.len()) {
            return Err(refused("expected (trajectories, times, channels, n[, n[, n]])".to_owned()));
        }
        let field = FieldShape::new(shape[2], &shape[3..]);
        if states.is_empty() {
            return Err(refused("an axis has length 0".to_owned()));
        }
        check_times(name, times, shape[1])?;
        let array = StoredArray::memory("u", Array { shape: shape.to_vec(), data: R::into_data(states) });
        let component = Component { array, channels: field.channels, order: Order::ChannelsFirst };
        let names = (0..field.channels).map(|c| format!("u{c}")).collect();
        let mut set = Self::plain(name.to_owned(), shape[0], times.to_vec(), field, names, None, vec![component]);
        for (scalar, values) in scalars {
            if values.len() != set.count {
                let what = format!("{name}: scalar \"{scalar}\"");
                return Err(DataError::length(what, values.len(), set.count));
            }
            set.scalars.push(Scalar { name: (*scalar).to_owned(), values: values.to_vec() });
        }
        Ok(set)
    }

    /// A set of which no more than the states is known.
    fn plain(
        origin: String,
        count: usize,
        times: Vec<f64>,
        shape: FieldShape,
        field_names: Vec<String>,
        initial: Option<StoredArray>,
        components: Vec<Component>,
    ) -> Self {
        Self {
            origin,
            layout: "memory",
            parts: vec![Part { first: 0, count, initial, components }],
            count,
            times,
            axis_names: ["x", "y", "z"].iter().take(shape.dims()).map(|&n| n.to_owned()).collect(),
            coordinates: shape.grid.iter().map(|&n| (0..n).map(|i| i as f64).collect()).collect(),
            shape,
            field_names,
            periodic: None,
            scalars: Vec::new(),
            mask: None,
            skipped: Vec::new(),
            attributes: BTreeMap::new(),
            usual_task: Task::OneStep,
        }
    }

    /// Number of trajectories, at least 1.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Never: an empty set is refused where it is opened.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The times of the states, increasing; the same for all trajectories.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Shape of one state: channels and grid.
    pub fn state_shape(&self) -> &FieldShape {
        &self.shape
    }

    /// Names of the channels of a state.
    pub fn field_names(&self) -> &[String] {
        &self.field_names
    }

    /// Names of the axes of the grid.
    pub fn axis_names(&self) -> &[String] {
        &self.axis_names
    }

    /// Coordinates along each axis of the grid; 0, 1, 2, ... where the file has none.
    pub fn coordinates(&self) -> &[Vec<f64>] {
        &self.coordinates
    }

    /// For each axis whether it is periodic; `None` where the file does not say.
    pub fn periodic(&self) -> Option<&[bool]> {
        self.periodic.as_deref()
    }

    /// Names of the scalars.
    pub fn scalar_names(&self) -> Vec<&str> {
        self.scalars.iter().map(|scalar| scalar.name.as_str()).collect()
    }

    /// The scalars of one trajectory, in the order of [`Self::scalar_names`]; `None` if it does not exist.
    pub fn scalars(&self, trajectory: usize) -> Option<Vec<f64>> {
        self.scalars.iter().map(|scalar| scalar.values.get(trajectory).copied()).collect()
    }

    /// Which points are inside the domain; `None` for all.
    pub fn mask(&self) -> Option<&Mask> {
        self.mask.as_ref()
    }

    /// Root attributes of an HDF5 file as text.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// File or folder name, or the name given to [`Self::from_arrays`].
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The layout that was recognised, for people.
    pub fn layout(&self) -> &str {
        self.layout
    }

    /// Fields of the file that are not part of the states (constant in time, or not on the whole grid).
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// The task that such a set is usually given for.
    pub fn usual_task(&self) -> Task {
        self.usual_task
    }

    /// The type that keeps all stored values.
    pub fn dtype(&self) -> DType {
        let wide = |array: &StoredArray| array.dtype() == DType::F64;
        let any = self
            .parts
            .iter()
            .any(|part| part.initial.as_ref().is_some_and(wide) || part.components.iter().any(|c| wide(&c.array)));
        if any { DType::F64 } else { DType::F32 }
    }

    /// Whether states are read from the disk when asked for.
    pub fn is_on_disk(&self) -> bool {
        self.parts.iter().any(|part| part.components.iter().any(|c| c.array.is_on_disk()))
    }

    /// Copies state `step` of trajectory `trajectory` to `target`, (channel, grid), converted to `R`.
    ///
    /// # Errors
    /// [`DataError::SampleOutOfRange`]; [`DataError::Parameter`] for a step that does not exist; [`DataError::Length`];
    /// errors of the disk.
    pub fn read_state<R: Real>(&self, trajectory: usize, step: usize, target: &mut [R]) -> Result<(), DataError> {
        if target.len() != self.shape.len() {
            return Err(DataError::length(format!("{}: a state", self.origin), target.len(), self.shape.len()));
        }
        if step >= self.times.len() {
            return Err(DataError::parameter(
                "step",
                step,
                format!("{}: a trajectory has {} states", self.origin, self.times.len()),
            ));
        }
        let part =
            self.parts.iter().find(|part| (part.first..part.first + part.count).contains(&trajectory)).ok_or_else(
                || DataError::SampleOutOfRange { origin: self.origin.clone(), index: trajectory, samples: self.count },
            )?;
        part.read_state(trajectory - part.first, step, &self.shape, target)
    }

    /// Copies trajectory `trajectory` to `target`, (time, channel, grid).
    ///
    /// # Errors
    /// As [`Self::read_state`].
    pub fn read_trajectory<R: Real>(&self, trajectory: usize, target: &mut [R]) -> Result<(), DataError> {
        let len = self.shape.len();
        if self.times.len().checked_mul(len) != Some(target.len()) {
            let what = format!("{}: a trajectory", self.origin);
            return Err(DataError::length(what, target.len(), format!("{} x {len}", self.times.len())));
        }
        target.chunks_exact_mut(len).enumerate().try_for_each(|(step, state)| self.read_state(trajectory, step, state))
    }

    /// Whether every value is finite after conversion to `R`. Streams, one state at a time.
    ///
    /// # Errors
    /// [`DataError::NonFinite`] names the field, the trajectory as `sample` and, as `index`, the place of the first such value
    /// among the trajectory's (time, channel, grid) values; errors of the disk.
    pub fn check_finite_as<R: Real>(&self) -> Result<(), DataError> {
        let len = self.shape.len();
        let mut state = vec![R::default(); len];
        for trajectory in 0..self.count {
            for step in 0..self.times.len() {
                self.read_state(trajectory, step, &mut state)?;
                if let Some(at) = state.iter().position(|v| !v.is_finite()) {
                    let field = self.field_names.get(at / self.shape.points());
                    return Err(DataError::NonFinite {
                        origin: self.origin.clone(),
                        array: field.cloned().unwrap_or_default(),
                        sample: trajectory,
                        index: step * len + at,
                        value: state[at].to_f64(),
                    });
                }
            }
        }
        Ok(())
    }

    /// As [`Self::check_finite_as`] for the values as stored.
    ///
    /// # Errors
    /// As [`Self::check_finite_as`].
    pub fn check_finite(&self) -> Result<(), DataError> {
        self.check_finite_as::<f64>()
    }
}

impl std::fmt::Debug for Trajectories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trajectories")
            .field("origin", &self.origin)
            .field("layout", &self.layout)
            .field("count", &self.count)
            .field("times", &self.times.len())
            .field("state", &self.shape)
            .field("dtype", &self.dtype())
            .field("on_disk", &self.is_on_disk())
            .finish()
    }
}

impl Part {
    fn read_state<R: Real>(
        &self,
        row: usize,
        step: usize,
        shape: &FieldShape,
        target: &mut [R],
    ) -> Result<(), DataError> {
        let step = match (&self.initial, step) {
            (Some(initial), 0) => return initial.read_part(row, 0, target),
            (Some(_), step) => step - 1,
            (None, step) => step,
        };
        let points = shape.points();
        let mut rest = target;
        for component in &self.components {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(component.channels * points);
            component.read_state(row, step, points, now)?;
            rest = later;
        }
        Ok(())
    }
}

impl Component {
    fn read_state<R: Real>(&self, row: usize, step: usize, points: usize, target: &mut [R]) -> Result<(), DataError> {
        let start = step * target.len();
        match self.order {
            Order::ChannelsFirst => self.array.read_part(row, start, target),
            Order::ChannelsLast if self.channels == 1 => self.array.read_part(row, start, target),
            Order::ChannelsLast => {
                let mut mixed = vec![R::default(); target.len()];
                self.array.read_part(row, start, &mut mixed)?;
                for (channel, values) in target.chunks_exact_mut(points).enumerate() {
                    for (value, point) in values.iter_mut().zip(mixed.chunks_exact(self.channels)) {
                        *value = point[channel];
                    }
                }
                Ok(())
            }
            Order::TimeLast => {
                let steps = self.array.shape().last().copied().unwrap_or(1);
                self.array.read_strided(row, step, steps, target)
            }
        }
    }
}

/// The mask of a set on `grid`, if its file has one.
pub(crate) fn read_mask(
    file: &mut Container,
    options: &OpenOptions,
    grid: &[usize],
) -> Result<Option<Mask>, DataError> {
    match &options.mask {
        Some(name) if file.has(name) || name != OpenOptions::DEFAULT_MASK => {
            let array = file.read(name)?;
            Mask::from_array(&file.path().display().to_string(), name, &array, grid).map(Some)
        }
        _ => Ok(None),
    }
}

/// The error that a file holds no trajectories.
pub(crate) fn no_trajectories(path: &Path, found: &str) -> DataError {
    DataError::WrongFormat {
        path: path.to_path_buf(),
        expected: "set of trajectories",
        found: format!("{found}; tasks in time need states over time"),
    }
}

/// Times must be finite, increase and be as many as there are states.
pub(crate) fn check_times(origin: &str, times: &[f64], steps: usize) -> Result<(), DataError> {
    let refused = |reason: String| DataError::Shape {
        origin: origin.to_owned(),
        array: "times".to_owned(),
        shape: shape_text(&[times.len()]),
        reason,
    };
    if times.len() != steps {
        return Err(refused(format!("there are {steps} states along the time axis")));
    }
    if let Some(at) = times.iter().position(|t| !t.is_finite()) {
        return Err(refused(format!("time {at} is {}", times[at])));
    }
    if let Some(at) = times.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Err(refused(format!("times must increase: time {at} is {}, the next {}", times[at], times[at + 1])));
    }
    Ok(())
}

/// The numbers of a one-dimensional array (or one with axes of length 1 beside).
pub(crate) fn read_vector(file: &mut Container, name: &str) -> Result<Vec<f64>, DataError> {
    let array = file.read(name)?;
    if array.shape.iter().filter(|&&n| n != 1).count() > 1 {
        return Err(DataError::Shape {
            origin: file.path().display().to_string(),
            array: name.to_owned(),
            shape: shape_text(&array.shape),
            reason: "expected one axis".to_owned(),
        });
    }
    Ok(array.data.to_vec())
}

fn wrong_shape(file: &Container, array: &StoredArray, reason: String) -> DataError {
    DataError::Shape {
        origin: file.path().display().to_string(),
        array: array.name().to_owned(),
        shape: shape_text(array.shape()),
        reason,
    }
}

/// (N, grid, T), with (N, grid) for the initial state where that is an array of its own.
fn time_last(
    file: &mut Container,
    initial: Option<&str>,
    states: &str,
    times: Option<&str>,
    options: &OpenOptions,
) -> Result<Trajectories, DataError> {
    let origin = file.path().display().to_string();
    let given = times.map(|name| read_vector(file, name)).transpose()?;
    let names: Vec<&str> = initial.into_iter().chain([states]).collect();
    let mut arrays = file.stored(&names, options.in_memory_limit)?;
    let Some(array) = arrays.pop() else {
        return Err(file.no_such_array(states));
    };
    let mut initial = arrays.pop();
    let Some((&steps, rest)) = array.shape().split_last() else {
        return Err(wrong_shape(file, &array, "expected (samples, grid, time)".to_owned()));
    };
    // The last axis is time, so there is no channel axis.
    let dims = rest.len().saturating_sub(1);
    let (count, shape) = interpret_shape(rest, Some(dims)).map_err(|reason| wrong_shape(file, &array, reason))?;
    if steps == 0 {
        return Err(wrong_shape(file, &array, "there is no state".to_owned()));
    }
    let mut times = given.unwrap_or_else(|| {
        let first = usize::from(initial.is_some());
        (first..first + steps).map(|t| t as f64).collect()
    });
    check_times(&origin, &times, steps)?;
    if times[0] > 0.0 {
        if initial.is_some() {
            times.insert(0, 0.0);
        }
    } else {
        // The states begin at the time of the initial state themselves.
        initial = None;
    }
    let component = Component { array, channels: 1, order: Order::TimeLast };
    let names = vec![states.to_owned()];
    let mut set = Trajectories::plain(origin, count, times, shape, names, initial, vec![component]);
    if set.parts.iter().any(|part| part.initial.is_some()) {
        set.usual_task = Task::FirstToLast;
    }
    set.scalars = scalars_beside(file, count, &[])?;
    Ok(set)
}

/// (N, T, [channel,] grid), one array or several.
fn time_second(
    file: &mut Container,
    fields: &[String],
    times: Option<&str>,
    axes: &[String],
    channel_axis: bool,
    options: &OpenOptions,
) -> Result<Trajectories, DataError> {
    let origin = file.path().display().to_string();
    let given = times.map(|name| read_vector(file, name)).transpose()?;
    let names: Vec<&str> = fields.iter().map(String::as_str).collect();
    let arrays = file.stored(&names, options.in_memory_limit)?;
    let mut known: Option<(Vec<usize>, usize, usize, FieldShape)> = None;
    let mut components = Vec::new();
    let mut field_names = Vec::new();
    for array in arrays {
        let shape = array.shape().to_vec();
        if let Some((first, ..)) = &known {
            if first != &shape {
                return Err(wrong_shape(
                    file,
                    &array,
                    format!("\"{}\" has shape {}; all fields must have the same", names[0], shape_text(first)),
                ));
            }
        } else {
            let (Some(&count), Some(&steps), Some(grid)) = (shape.first(), shape.get(1), shape.get(2..)) else {
                return Err(wrong_shape(file, &array, "expected (samples, time, grid)".to_owned()));
            };
            if steps == 0 {
                return Err(wrong_shape(file, &array, "there is no state".to_owned()));
            }
            let samples: Vec<usize> = [count].iter().chain(grid).copied().collect();
            let dims = if channel_axis { options.dims } else { Some(grid.len()) };
            let (_, field) = interpret_shape(&samples, dims).map_err(|reason| wrong_shape(file, &array, reason))?;
            known = Some((shape, count, steps, field));
        }
        let channels = known.as_ref().map_or(1, |(.., field)| field.channels);
        let name = array.name().to_owned();
        if channels == 1 {
            field_names.push(name);
        } else {
            field_names.extend((0..channels).map(|channel| format!("{name}{channel}")));
        }
        components.push(Component { array, channels, order: Order::ChannelsFirst });
    }
    let Some((_, count, steps, mut shape)) = known else {
        return Err(file.no_such_array("u"));
    };
    shape.channels = field_names.len();
    let mut times = given.unwrap_or_else(|| (0..steps).map(|t| t as f64).collect());
    if times.len() == steps + 1 {
        // PDEBench stores one time more than states.
        times.truncate(steps);
    }
    check_times(&origin, &times, steps)?;
    let mut set = Trajectories::plain(origin, count, times, shape, field_names, None, components);
    set.read_axes(file, axes)?;
    set.scalars = scalars_beside(file, count, fields)?;
    Ok(set)
}

impl Trajectories {
    /// Takes the coordinates of the grid from arrays, one an axis.
    fn read_axes(&mut self, file: &mut Container, axes: &[String]) -> Result<(), DataError> {
        for (axis, name) in axes.iter().enumerate().take(self.shape.dims()) {
            let coordinates = read_vector(file, name)?;
            check_coordinates(&self.origin, name, &coordinates, self.shape.grid[axis])?;
            self.coordinates[axis] = coordinates;
        }
        Ok(())
    }
}

/// Coordinates must be finite and as many as there are points along their axis.
pub(crate) fn check_coordinates(origin: &str, name: &str, coordinates: &[f64], points: usize) -> Result<(), DataError> {
    let refused = |reason: String| DataError::Shape {
        origin: origin.to_owned(),
        array: name.to_owned(),
        shape: shape_text(&[coordinates.len()]),
        reason,
    };
    if points == 0 {
        return Err(refused("the axis has no point".to_owned()));
    }
    if coordinates.len() != points {
        return Err(refused(format!("the grid has {points} points along this axis")));
    }
    match coordinates.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(refused(format!("coordinate {at} is {}", coordinates[at]))),
        None => Ok(()),
    }
}

/// Arrays of one number a trajectory that stand beside the states, but for coordinates.
fn scalars_beside(file: &mut Container, count: usize, fields: &[String]) -> Result<Vec<Scalar>, DataError> {
    const COORDINATES: [&str; 6] = ["t", "x", "y", "z", "time", OpenOptions::DEFAULT_MASK];
    let mut scalars = Vec::new();
    for entry in file.entries()? {
        let coordinate = COORDINATES.contains(&entry.name.as_str()) || entry.name.ends_with("-coordinate");
        let one_each = entry.shape == [count] || (entry.shape == [count, 1] && count > 1);
        if one_each && !coordinate && !entry.name.contains('/') && !fields.contains(&entry.name) {
            let values = file.read(&entry.name)?.data.to_vec::<f64>();
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                return Err(DataError::NonFinite {
                    origin: file.path().display().to_string(),
                    array: entry.name,
                    sample: at,
                    index: 0,
                    value: values[at],
                });
            }
            scalars.push(Scalar { name: entry.name, values });
        }
    }
    Ok(scalars)
}
