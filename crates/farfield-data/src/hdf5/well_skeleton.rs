//! A file in The Well's layout with everything in it but the states: groups, attributes, coordinates, space for the fields.
//!
//! Every array is contiguous and has its place in the file when the file is closed, so states can then be written
//! at known offsets without the library. Booleans are enumerations and names UTF-8 strings, as h5py reads them.

use std::path::Path;

use rust_hdf5::types::HBool;
use rust_hdf5::{H5Dataset, H5File, H5Group, H5Type};

use super::writer::write_error;
use crate::error::DataError;
use crate::real::DType;
use crate::trajectory_spec::{ScalarValues, TrajectorySpec};

/// Writes the file `path`, which a message calls `name`.
pub(crate) fn write_skeleton(path: &Path, name: &Path, spec: &TrajectorySpec) -> Result<(), DataError> {
    let file = H5File::options().best_effort_locking().create(path).map_err(|e| write_error(name, &e))?;
    let filled = match spec.dtype {
        DType::F32 => fill(&file, spec, |v| v as f32),
        DType::F64 => fill(&file, spec, |v| v),
    };
    filled.and_then(|()| file.close()).map_err(|e| write_error(name, &e))
}

fn fill<T: H5Type>(file: &H5File, spec: &TrajectorySpec, round: impl Fn(f64) -> T) -> rust_hdf5::Result<()> {
    let axes: Vec<&str> = spec.axes.iter().map(|axis| axis.name.as_str()).collect();
    let numbers = |values: &[f64]| -> Vec<T> { values.iter().map(|&v| round(v)).collect() };
    let shared: Vec<(&str, f64)> = spec
        .scalars
        .iter()
        .filter_map(|scalar| match scalar.values {
            ScalarValues::Shared(value) => Some((scalar.name.as_str(), value)),
            ScalarValues::PerTrajectory => None,
        })
        .collect();

    for (name, value) in &spec.attributes {
        file.set_attr_string(name, value)?;
    }
    file.set_attr_string("dataset_name", &spec.dataset_name)?;
    file.set_attr_string("grid_type", "cartesian")?;
    file.set_attr_numeric("n_spatial_dims", &(axes.len() as i64))?;
    file.set_attr_numeric("n_trajectories", &(spec.trajectories as i64))?;
    for (name, value) in &shared {
        file.set_attr_numeric(name, value)?;
    }
    let root = file.root_group();
    names(&root, "simulation_parameters", &shared.iter().map(|(name, _)| *name).collect::<Vec<_>>())?;

    let dimensions = file.create_group("dimensions")?;
    names(&dimensions, "spatial_dims", &axes)?;
    let time = array(&dimensions, "time", &[spec.times.len()], &numbers(&spec.times))?;
    flag(&time, "sample_varying", false)?;
    for axis in &spec.axes {
        let points = array(&dimensions, &axis.name, &[axis.coordinates.len()], &numbers(&axis.coordinates))?;
        flag(&points, "sample_varying", false)?;
        flag(&points, "time_varying", false)?;
    }

    let conditions = file.create_group("boundary_conditions")?;
    for axis in &spec.axes {
        let kind = axis.boundary.name();
        let group = conditions.create_group(&format!("{}_{}", axis.name, kind.to_lowercase()))?;
        names(&group, "associated_dims", &[&axis.name])?;
        names(&group, "associated_fields", &[])?;
        group.set_attr_string("bc_type", kind)?;
        group.set_attr_numeric("sample_varying", &HBool::from(false))?;
        group.set_attr_numeric("time_varying", &HBool::from(false))?;
        let last = axis.coordinates.len() - 1;
        let ends: Vec<HBool> = (0..=last).map(|at| HBool::from(at == 0 || at == last)).collect();
        array(&group, "mask", &[ends.len()], &ends)?;
    }

    let scalars = file.create_group("scalars")?;
    names(&scalars, "field_names", &spec.scalars.iter().map(|s| s.name.as_str()).collect::<Vec<_>>())?;
    for scalar in &spec.scalars {
        let dataset = match scalar.values {
            ScalarValues::Shared(value) => array(&scalars, &scalar.name, &[], &[round(value)])?,
            ScalarValues::PerTrajectory => {
                scalars.new_dataset::<T>().shape([spec.trajectories]).create(&scalar.name)?
            }
        };
        flag(&dataset, "sample_varying", matches!(scalar.values, ScalarValues::PerTrajectory))?;
        flag(&dataset, "time_varying", false)?;
    }

    let grid: Vec<usize> = spec.axes.iter().map(|axis| axis.coordinates.len()).collect();
    let everywhere = vec![HBool::from(true); grid.len()];
    let fields = file.create_group("t0_fields")?;
    let mask_name = spec.mask.as_ref().map(|_| "mask");
    names(&fields, "field_names", &spec.fields.iter().map(String::as_str).chain(mask_name).collect::<Vec<_>>())?;
    let shape: Vec<usize> = [spec.trajectories, spec.times.len()].iter().chain(&grid).copied().collect();
    for name in &spec.fields {
        let field = fields.new_dataset::<T>().shape(&shape).create(name)?;
        field_flags(&field, true, &everywhere)?;
    }
    if let Some(mask) = &spec.mask {
        let values: Vec<T> = mask.weights::<f64>().into_iter().map(&round).collect();
        field_flags(&array(&fields, "mask", &grid, &values)?, false, &everywhere)?;
    }
    for group in ["t1_fields", "t2_fields"] {
        names(&file.create_group(group)?, "field_names", &[])?;
    }
    Ok(())
}

fn field_flags(field: &H5Dataset, varying: bool, everywhere: &[HBool]) -> rust_hdf5::Result<()> {
    field.new_attr::<HBool>().shape([everywhere.len()]).create("dim_varying")?.write_array(everywhere)?;
    flag(field, "sample_varying", varying)?;
    flag(field, "time_varying", varying)
}

fn flag(dataset: &H5Dataset, name: &str, value: bool) -> rust_hdf5::Result<()> {
    dataset.new_attr::<HBool>().shape(()).create(name)?.write_numeric(&HBool::from(value))
}

fn names(group: &H5Group, name: &str, values: &[&str]) -> rust_hdf5::Result<()> {
    group.set_attr_string_array(name, values)
}

fn array<T: H5Type>(group: &H5Group, name: &str, shape: &[usize], values: &[T]) -> rust_hdf5::Result<H5Dataset> {
    let builder = group.new_dataset::<T>();
    let builder = if shape.is_empty() { builder.scalar() } else { builder.shape(shape) };
    let dataset = builder.create(name)?;
    dataset.write_raw(values)?;
    Ok(dataset)
}
