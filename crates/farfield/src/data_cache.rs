//! Generated data sets on disk, made once and found again.
//!
//! A set is named by everything that decides its bits: problem, options, family, set, seed, samples and precision. A map between the ends of an evolution
//! and its inverse share a file of trajectories. It
//! lies in `$FARFIELD_CACHE`, else `$XDG_CACHE_HOME/farfield`, else `$HOME/.cache/farfield`, else `./.cache/farfield`. Files
//! appear whole or not at all; deleting them is always safe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use farfield_data::{
    Axis, Boundary, DType, Dataset, FieldShape, Mask, OpenOptions, Points, ScalarSpec, ScalarValues, Side, Task,
    TrajectorySpec, TrajectoryWriter, Writer,
};
use farfield_pde::{
    Direction, Evolution, Family, GenerateError, Problem, ProblemOptions, Stream, generate, generate_trajectories,
};

use crate::progress::Progress;

/// Changes with the generators: sets of another version are made anew.
const VERSION: &str = "v2";

/// One set of a problem.
#[derive(Clone, Copy, Debug)]
pub struct SetRequest<'a> {
    /// Grid and scheme.
    pub options: &'a ProblemOptions,
    /// Which right-hand sides.
    pub family: Family,
    /// Training, validation or test.
    pub stream: Stream,
    /// Seed of the data.
    pub seed: u64,
    /// Number of samples.
    pub samples: u64,
    /// Precision of the stored numbers.
    pub dtype: DType,
}

/// Where generated sets are kept.
pub fn cache_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("FARFIELD_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|p| p.join("farfield")))
        .or_else(|| set("HOME").map(|p| p.join(".cache").join("farfield")))
        .unwrap_or_else(|| PathBuf::from(".cache").join("farfield"))
}

fn file_name(problem: &str, grid: &[usize], request: &SetRequest) -> String {
    let grid = grid.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    // Every option that was given; the defaults belong to the version.
    let options: String = match serde_json::to_value(request.options) {
        Ok(serde_json::Value::Object(options)) => {
            let plain = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            options.into_iter().map(|(name, value)| format!("-{name}-{}", plain(value))).collect()
        }
        _ => String::new(),
    };
    let stream = match request.stream {
        Stream::Train => "train",
        Stream::Validation => "validation",
        Stream::Test => "test",
        Stream::OutOfDistribution => "ood",
    };
    let dtype = match request.dtype {
        DType::F32 => "f32",
        DType::F64 => "f64",
    };
    let (family, seed, samples) = (request.family, request.seed, request.samples);
    let name = format!("{VERSION}-{problem}-{grid}{options}-{family}-{stream}-seed{seed}-{samples}-{dtype}.h5");
    // Nothing that an option holds may lead out of the cache.
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.+".contains(c) { c } else { '_' }).collect()
}

/// The place of a set in the cache, whose folder is made.
fn cached_path(problem: &str, grid: &[usize], request: &SetRequest) -> Result<PathBuf> {
    let dir = cache_dir();
    std::fs::create_dir_all(&dir).with_context(|| format!("{}: cannot create the data cache", dir.display()))?;
    Ok(dir.join(file_name(problem, grid, request)))
}

/// The set, from the cache or generated into it.
pub fn cached_set(problem: &dyn Problem, request: &SetRequest, quiet: bool) -> Result<Dataset> {
    let options = OpenOptions { dims: Some(problem.grid().len()), ..OpenOptions::default() };
    if let Some((evolution, direction)) = problem.end_states() {
        let task = match direction {
            Direction::Forward => Task::FirstToLast,
            Direction::Inverse => Task::LastToFirst,
        };
        let options = OpenOptions { task: Some(task), scalars: Some(true), ..options };
        return cached_as(&format!("{}-ends", evolution.name()), evolution, request, &options, quiet);
    }
    let path = cached_path(problem.name(), &problem.grid(), request)?;
    if !path.exists() {
        write_set(problem, request, &path, false, quiet)?;
    }
    Ok(Dataset::open(&path, &options)?)
}

/// The trajectories of an evolution equation, from the cache or generated into it, opened as `options` say.
pub fn cached_trajectories(
    evolution: &dyn Evolution,
    request: &SetRequest,
    options: &OpenOptions,
    quiet: bool,
) -> Result<Dataset> {
    cached_as(evolution.name(), evolution, request, options, quiet)
}

fn cached_as(
    name: &str,
    evolution: &dyn Evolution,
    request: &SetRequest,
    options: &OpenOptions,
    quiet: bool,
) -> Result<Dataset> {
    let path = cached_path(name, &evolution.grid(), request)?;
    if !path.exists() {
        write_trajectories(evolution, request, &path, false, quiet)?;
    }
    Ok(Dataset::open(&path, options)?)
}

/// Generates trajectories into a file in the layout of The Well. A file that a killed process left unfinished is continued.
pub fn write_trajectories(
    evolution: &dyn Evolution,
    request: &SetRequest,
    path: &Path,
    overwrite: bool,
    quiet: bool,
) -> Result<()> {
    let mut attributes: BTreeMap<String, String> =
        evolution.facts().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    attributes.insert("problem".to_owned(), evolution.name().to_owned());
    attributes.insert("family".to_owned(), request.family.to_string());
    attributes.insert("seed".to_owned(), request.seed.to_string());
    attributes.insert("set".to_owned(), format!("{:?}", request.stream));
    attributes.insert("generator".to_owned(), VERSION.to_owned());
    let axes = ["x", "y", "z"].iter().zip(evolution.coordinates()).zip(evolution.periodic());
    let spec = TrajectorySpec {
        dataset_name: evolution.name().to_owned(),
        trajectories: usize::try_from(request.samples).context("too many trajectories for this machine")?,
        times: evolution.times(),
        fields: evolution.fields().into_iter().map(str::to_owned).collect(),
        axes: axes
            .map(|((name, coordinates), periodic)| Axis {
                name: (*name).to_owned(),
                coordinates,
                boundary: if periodic { Boundary::Periodic } else { Boundary::Wall },
            })
            .collect(),
        scalars: (evolution.scalars().into_iter())
            .map(|name| ScalarSpec { name: name.to_owned(), values: ScalarValues::PerTrajectory })
            .collect(),
        mask: None,
        dtype: request.dtype,
        attributes,
    };
    let mut writer = TrajectoryWriter::create(path, &spec, overwrite)?;
    let what = format!("generating {} trajectories of {} ({})", request.samples, evolution.name(), request.family);
    let progress = Progress::new(request.samples, &what, quiet);
    let left = writer.done() as u64..request.samples;
    let result =
        generate_trajectories(evolution, request.family, request.seed, request.stream, left, |i, scalars, u| {
            progress.at(i + 1, String::new);
            writer.append(u, scalars)
        });
    finished(result)?;
    writer.finish()?;
    progress.done();
    Ok(())
}

/// The error of a sample or of the file.
fn finished(result: Result<(), GenerateError<farfield_data::DataError>>) -> Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(GenerateError::Sample { source, .. }) => Err(source.into()),
        Err(GenerateError::Sink { source, .. }) => Err(source.into()),
    }
}

/// Generates a set into a file, sample by sample.
pub fn write_set(problem: &dyn Problem, request: &SetRequest, path: &Path, overwrite: bool, quiet: bool) -> Result<()> {
    let (channels_in, channels_out) = problem.channels();
    let grid = problem.output_grid();
    let mut attributes: BTreeMap<String, String> =
        problem.facts().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    attributes.insert("problem".to_owned(), problem.name().to_owned());
    attributes.insert("family".to_owned(), request.family.to_string());
    attributes.insert("seed".to_owned(), request.seed.to_string());
    let (input, output) = (FieldShape::new(channels_in, &problem.grid()), FieldShape::new(channels_out, &grid));
    let mut writer = Writer::create(path, &input, &output, request.dtype, &attributes, overwrite)?;
    if let Some(inside) = problem.mask() {
        writer.mask(&Mask::new(&grid, &inside)?)?;
    }
    if let Some(points) = problem.points() {
        writer.points(Side::Input, &Points::new(points.dims, &points.sources)?)?;
        writer.points(Side::Output, &Points::new(points.dims, &points.receivers)?)?;
    }
    let what = format!("generating {} samples of {} ({})", request.samples, problem.name(), request.family);
    let progress = Progress::new(request.samples, &what, quiet);
    let result = generate(problem, request.family, request.seed, request.stream, 0..request.samples, |i, x, y| {
        progress.at(i + 1, String::new);
        writer.append(x, y)
    });
    finished(result)?;
    writer.finish()?;
    progress.done();
    Ok(())
}
