//! The data sets of a run: generated for a built-in problem, or split off the user's file.

use anyhow::Result;
use farfield_data::{DType, Dataset, FieldShape, OpenOptions, Split};
use farfield_nn::Samples;
use farfield_nn::config::Precision;
use farfield_pde::{Family, Problem, Stream, evolution, evolutions, problem};

use crate::data_cache::{SetRequest, cached_set, cached_trajectories};
use crate::failure::bad_input;
use crate::run_config::{ProblemConfig, RunConfig};

/// Some samples of a set.
pub struct Part {
    /// The set.
    pub dataset: std::sync::Arc<Dataset>,
    /// Which samples of it.
    pub indices: Vec<usize>,
    /// What they are, for people.
    pub name: String,
}

impl Part {
    fn whole(dataset: Dataset, name: String) -> Self {
        let indices = (0..dataset.len()).collect();
        Self { dataset: dataset.into(), indices, name }
    }

    /// As the trainer takes them.
    pub fn samples(&self) -> Samples<'_> {
        Samples { dataset: &self.dataset, indices: &self.indices }
    }
}

/// Everything a run trains and is tested on.
pub struct Sets {
    /// Training samples.
    pub train: Part,
    /// Validation samples, if asked for.
    pub validation: Option<Part>,
    /// Test samples like the training samples.
    pub test: Part,
    /// Test samples of another family (built-in problems).
    pub ood: Option<Part>,
    /// Coordinates along every axis of the output.
    pub coordinates: Vec<Vec<f64>>,
    /// What is known of the data.
    pub facts: Vec<(String, String)>,
    /// What a reader of the results must know.
    pub notes: Vec<String>,
}

impl Sets {
    /// Opens or generates the sets of a run.
    pub fn open(config: &RunConfig, quiet: bool) -> Result<Self> {
        match &config.problem {
            Some(request) => Self::of_problem(request, config, quiet),
            None => Self::of_file(config),
        }
    }

    fn of_problem(request: &ProblemConfig, config: &RunConfig, quiet: bool) -> Result<Self> {
        if is_evolution(request) {
            return Self::of_evolution(request, config, quiet);
        }
        let problem = problem(&request.name, &request.options)?;
        let problem: &dyn Problem = problem.as_ref();
        // 3D sets are large; others are kept in double precision, so that one file serves both.
        let dtype = match (problem.grid().len(), config.train.precision) {
            (3, Precision::F32) => DType::F32,
            _ => DType::F64,
        };
        let set = |family: Family, stream, samples, name: &str| -> Result<Part> {
            let options = &request.options;
            let request = SetRequest { options, family, stream, seed: request.seed, samples, dtype };
            Ok(Part::whole(cached_set(problem, &request, quiet)?, format!("{name} ({family})")))
        };
        let facts = stated(problem.title(), problem.facts());
        let notes = family_notes(problem, request);
        Self::drawn(request, &problem.families(), set, problem.coordinates(), facts, notes)
    }

    /// Trajectories, cut into pairs as `[data]` says.
    fn of_evolution(request: &ProblemConfig, config: &RunConfig, quiet: bool) -> Result<Self> {
        let evolution = evolution(&request.name, &request.options)?;
        let evolution = evolution.as_ref();
        let options = OpenOptions { dims: Some(evolution.grid().len()), ..config.data.open_options() };
        let set = |family: Family, stream, samples, name: &str| -> Result<Part> {
            let dtype = DType::F32;
            let request = SetRequest { options: &request.options, family, stream, seed: request.seed, samples, dtype };
            Ok(Part::whole(cached_trajectories(evolution, &request, &options, quiet)?, format!("{name} ({family})")))
        };
        let facts = stated(evolution.title(), evolution.facts());
        let families = evolution.families();
        let mut sets = Self::drawn(request, &families, set, evolution.coordinates(), facts, Vec::new())?;
        if let Some(pairs) = sets.train.dataset.trajectory_pairs() {
            let target = if pairs.residual() { "the change of the state" } else { "the state" };
            let text = format!("{}, stride {}, output {target}", pairs.task(), pairs.time_stride());
            sets.facts.push(("task".to_owned(), text));
        }
        Ok(sets)
    }

    /// The sets of a built-in problem, each drawn by `set` from a family, a stream, a number of samples and a name.
    fn drawn(
        request: &ProblemConfig,
        families: &[Family],
        set: impl Fn(Family, Stream, u64, &str) -> Result<Part>,
        coordinates: Vec<Vec<f64>>,
        facts: Vec<(String, String)>,
        notes: Vec<String>,
    ) -> Result<Self> {
        let train = set(request.family, Stream::Train, request.samples, "training")?;
        let validation = (request.validation_samples > 0)
            .then(|| set(request.family, Stream::Validation, request.validation_samples, "validation"))
            .transpose()?;
        let test = set(request.test_family(), Stream::Test, request.test_samples, "test")?;
        // A grid too coarse for the paper's waves has no such family.
        let ood = (request.ood_samples > 0 && families.contains(&request.ood_family()))
            .then(|| set(request.ood_family(), Stream::OutOfDistribution, request.ood_samples, "out of distribution"))
            .transpose()?;
        Ok(Self { train, validation, test, ood, coordinates, facts, notes })
    }

    fn of_file(config: &RunConfig) -> Result<Self> {
        let data = &config.data;
        let path = data.path.as_ref().ok_or_else(|| bad_input("data.path is missing"))?;
        let dataset = std::sync::Arc::new(Dataset::open(path, &data.open_options())?);
        dataset.check_finite()?;
        let separate_test = data.test_path.is_some();
        let test_fraction = if separate_test { 0.0 } else { data.test_fraction };
        // Samples of one trajectory are nearly equal: sets are split by trajectory.
        let split = Split::new(dataset.groups(), data.validation_fraction, test_fraction, config.train.seed)?;
        let part = |groups: Vec<usize>, name: &str| {
            let indices = dataset.samples_of(&groups);
            let name = format!("{name} ({} of {} samples)", indices.len(), dataset.len());
            Part { dataset: dataset.clone(), name, indices }
        };
        let test = match &data.test_path {
            Some(path) => {
                let test = Dataset::open(path, &data.open_options())?;
                test.check_finite()?;
                Part::whole(test, format!("test ({})", path.display()))
            }
            None if split.test.is_empty() => {
                return Err(bad_input("data.test_fraction = 0: keep some samples for testing, or give data.test_path"));
            }
            None => part(split.test, "test"),
        };
        let facts = vec![
            ("data".to_owned(), path.display().to_string()),
            (
                "read as".to_owned(),
                format!(
                    "{}: {} samples, input {}, output {} (channels x grid)",
                    dataset.layout(),
                    dataset.len(),
                    dataset.input_shape(),
                    dataset.output_shape()
                ),
            ),
        ];
        let unit = |n: usize| (0..n).map(|i| i as f64).collect();
        let coordinates = match dataset.coordinates() {
            Some(coordinates) => coordinates.to_vec(),
            None => dataset.output_shape().grid.iter().map(|&n| unit(n)).collect(),
        };
        Ok(Self {
            validation: (!split.validation.is_empty()).then(|| part(split.validation, "validation")),
            train: part(split.train, "training"),
            test,
            ood: None,
            coordinates,
            facts,
            notes: Vec::new(),
        })
    }
}

/// Whether a problem is an evolution equation: its samples are trajectories.
pub fn is_evolution(config: &ProblemConfig) -> bool {
    evolutions().iter().any(|(name, _)| *name == config.name)
}

/// Shapes of the inputs and outputs of a built-in problem, as a model sees them.
///
/// # Errors
/// A problem that there is not, or options that it cannot have.
pub fn shapes_of(config: &ProblemConfig) -> Result<(FieldShape, FieldShape)> {
    let (channels, grid, output_grid) = match is_evolution(config) {
        true => {
            let evolution = evolution(&config.name, &config.options)?;
            let fields = evolution.fields().len();
            ((fields + evolution.scalars().len(), fields), evolution.grid(), evolution.grid())
        }
        false => {
            let problem = problem(&config.name, &config.options)?;
            (problem.channels(), problem.grid(), problem.output_grid())
        }
    };
    Ok((FieldShape::new(channels.0, &grid), FieldShape::new(channels.1, &output_grid)))
}

/// Title and facts of a problem, for people.
fn stated(title: &str, facts: Vec<(&'static str, String)>) -> Vec<(String, String)> {
    let facts = facts.into_iter().map(|(name, value)| (name.replace('_', " "), value));
    std::iter::once(("problem".to_owned(), title.to_owned())).chain(facts).collect()
}

/// What the family of the training set can and cannot show.
fn family_notes(problem: &dyn Problem, request: &ProblemConfig) -> Vec<String> {
    let points: usize = problem.grid().iter().product();
    let span = problem.random_dimensions(request.family);
    let mut notes = Vec::new();
    if span < points {
        notes.push(format!(
            "Family {}: the right-hand sides span {span} dimensions of {points}. Linear least squares is exact from {span} \
             samples, and nothing is learned about inputs outside that span: an out-of-distribution error near 1 is the data's \
             doing, not the model's.",
            request.family
        ));
    }
    if problem.grid().len() == 1 && request.family == Family::Paper && span < points {
        notes.push(
            "A block-diagonal matrix, without any far field, fits this family: it does not test the far field. The families \
             random-s0, random-s1, random-s2 do."
                .to_owned(),
        );
    }
    notes
}
