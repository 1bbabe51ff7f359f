//! Generated data sets on disk, made once and found again.
//!
//! A set is named by everything that decides its bits: problem, options, family, set, seed, samples and precision. It
//! lies in `$FARFIELD_CACHE`, else `$XDG_CACHE_HOME/farfield`, else `$HOME/.cache/farfield`, else `./.cache/farfield`. Files
//! appear whole or not at all; deleting them is always safe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use farfield_data::{DType, Dataset, FieldShape, OpenOptions, Writer};
use farfield_pde::{Family, GenerateError, Problem, ProblemOptions, Stream, generate};

use crate::progress::Progress;

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

fn file_name(problem: &dyn Problem, request: &SetRequest) -> String {
    let grid = problem.grid().iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    let solver = request.options.solver_n.map_or(String::new(), |n| format!("-from-{n}"));
    let scheme = request.options.scheme.as_ref().map_or(String::new(), |s| format!("-{s}"));
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
    // The version changes with the generator.
    format!(
        "v1-{}-{grid}{solver}{scheme}-{}-{stream}-seed{}-{}-{dtype}.h5",
        problem.name(),
        request.family,
        request.seed,
        request.samples
    )
}

/// The set, from the cache or generated into it.
pub fn cached_set(problem: &dyn Problem, request: &SetRequest, quiet: bool) -> Result<Dataset> {
    let dir = cache_dir();
    let path = dir.join(file_name(problem, request));
    if !path.exists() {
        std::fs::create_dir_all(&dir).with_context(|| format!("{}: cannot create the data cache", dir.display()))?;
        write_set(problem, request, &path, false, quiet)?;
    }
    let dims = Some(problem.grid().len());
    Ok(Dataset::open(&path, &OpenOptions { dims, ..OpenOptions::default() })?)
}

/// Generates a set into a file, sample by sample.
pub fn write_set(problem: &dyn Problem, request: &SetRequest, path: &Path, overwrite: bool, quiet: bool) -> Result<()> {
    let (channels_in, channels_out) = problem.channels();
    let grid = problem.grid();
    let shape = |channels| FieldShape::new(channels, &grid);
    let mut attributes: BTreeMap<String, String> =
        problem.facts().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    attributes.insert("problem".to_owned(), problem.name().to_owned());
    attributes.insert("family".to_owned(), request.family.to_string());
    attributes.insert("seed".to_owned(), request.seed.to_string());
    let (input, output) = (shape(channels_in), shape(channels_out));
    let mut writer = Writer::create(path, &input, &output, request.dtype, &attributes, overwrite)?;
    let what = format!("generating {} samples of {} ({})", request.samples, problem.name(), request.family);
    let progress = Progress::new(request.samples, &what, quiet);
    let result = generate(problem, request.family, request.seed, request.stream, 0..request.samples, |i, x, y| {
        progress.at(i + 1, String::new);
        writer.append(x, y)
    });
    match result {
        Ok(()) => {}
        Err(GenerateError::Sample { source, .. }) => return Err(source.into()),
        Err(GenerateError::Sink { source, .. }) => return Err(source.into()),
    }
    writer.finish()?;
    progress.done();
    Ok(())
}
