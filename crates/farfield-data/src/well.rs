//! The HDF5 layout of The Well (Ohana et al. 2024, arXiv 2412.00568; "Data format" of its documentation).
//!
//! Fields that vary with sample, time and all axes make up the state: scalars in `t0_fields` (N, T, grid), vectors in
//! `t1_fields` (N, T, grid, D), tensors in `t2_fields` (N, T, grid, D, D), in the order of `field_names`. A field `mask` of `t0_fields` that
//! varies with neither sample nor time is the mask of the domain. Other fields, and scalars that vary with time, are left out
//! and named in [`Trajectories::skipped`]. Grids and times that differ between trajectories are refused.

use std::collections::BTreeMap;
use std::path::Path;

use crate::array_file::load;
use crate::dataset::OpenOptions;
use crate::error::DataError;
use crate::hdf5::{Hdf5Array, Hdf5Attribute, Hdf5File};
use crate::mask::Mask;
use crate::shape::{FieldShape, shape_text};
use crate::stored_array::StoredArray;
use crate::trajectories::{Component, Order, Part, Scalar, Trajectories, check_coordinates, check_times};
use crate::trajectory_pairs::Task;

type Attributes = BTreeMap<String, Hdf5Attribute>;

/// Opens a file that has the group `t0_fields`.
pub(crate) fn open(file: &Hdf5File, path: &Path, options: &OpenOptions) -> Result<Trajectories, DataError> {
    let reader = Reader { file, path, origin: path.display().to_string() };
    let dimensions = reader.group("dimensions")?;
    let axis_names = reader.texts(&dimensions, "dimensions", "spatial_dims")?;
    if !(1..=3).contains(&axis_names.len()) {
        return Err(reader.damaged("dimensions", format!("spatial_dims names {} axes, not 1 to 3", axis_names.len())));
    }
    let coordinates = axis_names
        .iter()
        .map(|axis| {
            let name = format!("dimensions/{axis}");
            let array = reader.small(&name)?;
            if array.shape.len() != 1 {
                return Err(reader.shape(&name, &array.shape, "only a grid that is the same for all states is read"));
            }
            let values = array.data.to_vec::<f64>();
            check_coordinates(&reader.origin, &name, &values, array.shape[0])?;
            Ok(values)
        })
        .collect::<Result<Vec<_>, DataError>>()?;
    let grid: Vec<usize> = coordinates.iter().map(Vec::len).collect();
    let times = reader.times()?;

    let mut found = Fields::default();
    for order in 0..3 {
        reader.fields(order, &axis_names, &grid, times.len(), &mut found)?;
    }
    let Fields { arrays, field_names, count, mask, mut skipped } = found;
    let Some(count) = count else {
        return Err(
            reader.damaged("t0_fields", "no field of the file varies with sample, time and all axes".to_owned())
        );
    };
    if count == 0 {
        return Err(reader.damaged("t0_fields", "there is no trajectory".to_owned()));
    }
    let said = file.group("")?.and_then(|root| root.get("n_trajectories")?.numbers()?.first().copied());
    if let Some(said) = said
        && said != count as f64
    {
        let what = format!("the attribute n_trajectories says {said} trajectories, the fields have {count}");
        return Err(reader.damaged("t0_fields", what));
    }
    let bytes = arrays.iter().map(|(a, _)| a.rows() as u64 * a.row_bytes() as u64).fold(0, u64::saturating_add);
    let components = arrays
        .into_iter()
        .map(|(array, channels)| {
            let stored = if bytes <= options.in_memory_limit {
                let name = array.name().to_owned();
                StoredArray::memory(&name, load(&array)?)
            } else {
                StoredArray::disk(array)?
            };
            Ok(Component { array: stored, channels, order: Order::ChannelsLast })
        })
        .collect::<Result<Vec<_>, DataError>>()?;
    let scalars = reader.scalars(count, &mut skipped)?;
    let periodic = reader.periodic(&axis_names)?;
    Ok(Trajectories {
        shape: FieldShape::new(field_names.len(), &grid),
        parts: vec![Part { first: 0, count, initial: None, components }],
        layout: "The Well",
        usual_task: Task::OneStep,
        attributes: BTreeMap::new(),
        origin: reader.origin,
        count,
        times,
        field_names,
        axis_names,
        coordinates,
        periodic,
        scalars,
        mask,
        skipped,
    })
}

#[derive(Default)]
struct Fields {
    /// Arrays with their numbers of channels.
    arrays: Vec<(Hdf5Array, usize)>,
    field_names: Vec<String>,
    count: Option<usize>,
    mask: Option<Mask>,
    skipped: Vec<String>,
}

struct Reader<'a> {
    file: &'a Hdf5File,
    path: &'a Path,
    origin: String,
}

impl Reader<'_> {
    fn damaged(&self, array: &str, what: String) -> DataError {
        DataError::damaged(self.path, array, what)
    }

    fn shape(&self, array: &str, shape: &[usize], reason: impl Into<String>) -> DataError {
        DataError::Shape {
            origin: self.origin.clone(),
            array: array.to_owned(),
            shape: shape_text(shape),
            reason: reason.into(),
        }
    }

    fn group(&self, name: &str) -> Result<Attributes, DataError> {
        self.file.group(name)?.ok_or_else(|| DataError::NoSuchArray {
            path: self.path.to_path_buf(),
            array: name.to_owned(),
            available: "t0_fields, as files of The Well have, but not this group".to_owned(),
        })
    }

    fn texts(&self, attributes: &Attributes, group: &str, name: &str) -> Result<Vec<String>, DataError> {
        match attributes.get(name) {
            // An empty list is stored as no numbers by h5py.
            Some(Hdf5Attribute::Numbers(none)) if none.is_empty() => Some(Vec::new()),
            Some(value) => value.texts().map(<[String]>::to_vec),
            None => None,
        }
        .ok_or_else(|| self.damaged(group, format!("the attribute {name} with a list of names is missing")))
    }

    fn flags(&self, attributes: &Attributes, array: &str, name: &str) -> Result<Vec<bool>, DataError> {
        attributes
            .get(name)
            .and_then(Hdf5Attribute::numbers)
            .map(|values| values.iter().map(|&v| v != 0.0).collect())
            .ok_or_else(|| self.damaged(array, format!("the attribute {name} is missing")))
    }

    fn flag(&self, attributes: &Attributes, array: &str, name: &str) -> Result<bool, DataError> {
        match self.flags(attributes, array, name)?.as_slice() {
            [flag] => Ok(*flag),
            many => Err(self.damaged(array, format!("the attribute {name} has {} values, not one", many.len()))),
        }
    }

    /// An array of at most a few MiB: coordinates, times, scalars.
    fn small(&self, name: &str) -> Result<crate::array::Array, DataError> {
        load(&self.file.array(name)?)
    }

    fn times(&self) -> Result<Vec<f64>, DataError> {
        const NAME: &str = "dimensions/time";
        let array = self.small(NAME)?;
        let values = array.data.to_vec::<f64>();
        let times = match array.shape.as_slice() {
            [_] => values,
            [_, steps] if *steps > 0 => {
                let (first, rest) = values.split_at(*steps.min(&values.len()));
                if rest.chunks(*steps).any(|row| row != first) {
                    return Err(self.shape(NAME, &array.shape, "the times differ between trajectories"));
                }
                first.to_vec()
            }
            _ => return Err(self.shape(NAME, &array.shape, "expected (times,)")),
        };
        if times.is_empty() {
            return Err(self.shape(NAME, &array.shape, "there is no time"));
        }
        check_times(&self.origin, &times, times.len())?;
        Ok(times)
    }

    /// The fields of tensor order 0, 1 or 2.
    fn fields(
        &self,
        order: usize,
        axes: &[String],
        grid: &[usize],
        steps: usize,
        found: &mut Fields,
    ) -> Result<(), DataError> {
        let group = format!("t{order}_fields");
        let attributes = self.group(&group)?;
        let mut components = vec![String::new()];
        for _ in 0..order {
            components = components.iter().flat_map(|c| axes.iter().map(move |axis| format!("{c}{axis}"))).collect();
        }
        for field in self.texts(&attributes, &group, "field_names")? {
            let name = format!("{group}/{field}");
            let array = self.file.array(&name)?;
            let attributes = self.file.array_attributes(&name)?;
            let by_sample = self.flag(&attributes, &name, "sample_varying")?;
            let by_time = self.flag(&attributes, &name, "time_varying")?;
            let by_axis = self.flags(&attributes, &name, "dim_varying")?;
            let everywhere = by_axis.len() == grid.len() && by_axis.iter().all(|&varies| varies);
            if order == 0 && field == OpenOptions::DEFAULT_MASK && !by_sample && !by_time && everywhere {
                found.mask = Some(Mask::from_array(&self.origin, &name, &load(&array)?, grid)?);
                continue;
            }
            if !(by_sample && by_time && everywhere) {
                found.skipped.push(name);
                continue;
            }
            array.elements().format(self.path, &name, array.shape())?;
            let count = array.rows();
            let mut expected = vec![count, steps];
            expected.extend_from_slice(grid);
            expected.extend(std::iter::repeat_n(axes.len(), order));
            if array.shape() != expected {
                return Err(self.shape(
                    &name,
                    array.shape(),
                    format!("its attributes and the group dimensions ask for {}", shape_text(&expected)),
                ));
            }
            if found.count.is_some_and(|other| other != count) {
                return Err(self.shape(&name, array.shape(), "other fields have another number of trajectories"));
            }
            found.count = Some(count);
            for component in &components {
                let separator = if component.is_empty() { "" } else { "_" };
                found.field_names.push(format!("{field}{separator}{component}"));
            }
            found.arrays.push((array, components.len()));
        }
        Ok(())
    }

    fn scalars(&self, count: usize, skipped: &mut Vec<String>) -> Result<Vec<Scalar>, DataError> {
        let Some(attributes) = self.file.group("scalars")? else {
            return Ok(Vec::new());
        };
        let mut scalars = Vec::new();
        for scalar in self.texts(&attributes, "scalars", "field_names")? {
            let name = format!("scalars/{scalar}");
            let attributes = self.file.array_attributes(&name)?;
            if self.flag(&attributes, &name, "time_varying")? {
                skipped.push(name);
                continue;
            }
            let by_sample = self.flag(&attributes, &name, "sample_varying")?;
            let array = self.small(&name)?;
            let expected = if by_sample { count } else { 1 };
            let mut values = array.data.to_vec::<f64>();
            if values.len() != expected {
                return Err(self.shape(&name, &array.shape, format!("expected {expected} values")));
            }
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                return Err(DataError::NonFinite {
                    origin: self.origin.clone(),
                    array: name,
                    sample: at,
                    index: 0,
                    value: values[at],
                });
            }
            if !by_sample {
                values = vec![values[0]; count];
            }
            scalars.push(Scalar { name: scalar, values });
        }
        Ok(scalars)
    }

    /// Which axes have a boundary condition of the type periodic.
    fn periodic(&self, axes: &[String]) -> Result<Option<Vec<bool>>, DataError> {
        if self.file.group("boundary_conditions")?.is_none() {
            return Ok(None);
        }
        let mut periodic = vec![false; axes.len()];
        for condition in self.file.groups_in("boundary_conditions")? {
            let Some(attributes) = self.file.group(&format!("boundary_conditions/{condition}"))? else {
                continue;
            };
            let texts = |name: &str| attributes.get(name).and_then(Hdf5Attribute::texts).unwrap_or(&[]);
            if texts("bc_type").iter().any(|kind| kind.eq_ignore_ascii_case("periodic")) {
                for (axis, periodic) in axes.iter().zip(&mut periodic) {
                    *periodic |= texts("associated_dims").contains(axis);
                }
            }
        }
        Ok(Some(periodic))
    }
}
