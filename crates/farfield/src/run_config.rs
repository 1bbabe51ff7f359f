//! The configuration of a run: one TOML file, or a preset with changes.
//!
//! Tables `[problem]`, `[data]`, `[model]`, `[train]`; every key has a default, an unknown key is an error. A run on the
//! user's own arrays has `data.path` and no `[problem]`. The merged configuration is written into the run directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use farfield_data::Task;
use farfield_nn::presets::{self, PaperTable};
use farfield_nn::{AnyModelConfig, ModelConfig, TrainConfig};
use farfield_pde::{Family, ProblemOptions};
use serde::{Deserialize, Serialize};

use crate::failure::bad_input;

/// Everything a run is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// A built-in problem whose data are generated; absent for the user's own data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemConfig>,
    /// Where data come from and how they are split.
    pub data: DataConfig,
    /// The model.
    pub model: AnyModelConfig,
    /// The training.
    pub train: TrainConfig,
}

/// A built-in problem and how much of it to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProblemConfig {
    /// Name, see `farfield data generate --help`.
    pub name: String,
    /// Family of the training set: `paper` (default), `random-s0`, `random-s1`, `random-s2`.
    pub family: Family,
    /// Family of the test set. Default: that of the training set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_family: Option<Family>,
    /// Family of the out-of-distribution test set. Default: `random-s1` for a run trained on `paper`, `paper` otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ood_family: Option<Family>,
    /// Training samples. Default: the paper's, see [`preset`]; of trajectories for evolutions.
    pub samples: u64,
    /// Validation samples, for early stopping. Default 0.
    pub validation_samples: u64,
    /// Test samples. Default: the paper's.
    pub test_samples: u64,
    /// Out-of-distribution test samples. Default: as many as test samples, 20 in 3D.
    pub ood_samples: u64,
    /// Seed of the data. The same for all training seeds, unless set. Default 0.
    pub seed: u64,
    /// Grid and scheme, see [`ProblemOptions`].
    pub options: ProblemOptions,
}

impl Default for ProblemConfig {
    fn default() -> Self {
        Self {
            name: "poisson-1d".to_owned(),
            family: Family::Paper,
            test_family: None,
            ood_family: None,
            samples: 1000,
            validation_samples: 0,
            test_samples: 1000,
            ood_samples: 1000,
            seed: 0,
            options: ProblemOptions::default(),
        }
    }
}

impl ProblemConfig {
    /// The family of the test set.
    pub fn test_family(&self) -> Family {
        self.test_family.unwrap_or(self.family)
    }

    /// The family of the out-of-distribution set.
    pub fn ood_family(&self) -> Family {
        self.ood_family.unwrap_or(match self.family {
            Family::Paper => Family::Random { smoothness: 1 },
            Family::Random { .. } => Family::Paper,
        })
    }
}

/// The user's own data, and splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// File of pairs: `.npz`, `.h5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// A separate file of test pairs. Default: `test_fraction` of `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_path: Option<PathBuf>,
    /// Name of the input array. Default `x`.
    pub input: String,
    /// Name of the output array. Default `y`.
    pub output: String,
    /// Dimension of the grid (1, 2 or 3), where the shapes leave it open. Default: told from the shapes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dims: Option<usize>,
    /// Trajectories: what is learned, `one-step`, `first-to-last` or `last-to-first`. Default: told from the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Trajectories: states from an input to its output. Default 1.
    pub time_stride: usize,
    /// Trajectories: whether outputs are the change of the state. Default false; true in the presets of evolution equations.
    pub residual: bool,
    /// Trajectories: whether their scalars are channels of the input. Default: those that differ between trajectories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scalars: Option<bool>,
    /// Share of `path` kept for validation. Default 0.
    pub validation_fraction: f64,
    /// Share of `path` kept for testing, if there is no `test_path`. Default 0.2.
    pub test_fraction: f64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            path: None,
            test_path: None,
            input: "x".to_owned(),
            output: "y".to_owned(),
            dims: None,
            task: None,
            time_stride: 1,
            residual: false,
            scalars: None,
            validation_fraction: 0.0,
            test_fraction: 0.2,
        }
    }
}

impl DataConfig {
    /// How files of pairs are opened.
    pub fn open_options(&self) -> farfield_data::OpenOptions {
        farfield_data::OpenOptions {
            dims: self.dims,
            input: self.input.clone(),
            output: self.output.clone(),
            task: self.task,
            time_stride: self.time_stride,
            residual: self.residual,
            scalars: self.scalars,
            ..farfield_data::OpenOptions::default()
        }
    }
}

/// The configurations that the paper's tables give, by problem name and kind of model.
pub fn preset(problem: &str, kind: &str) -> Result<RunConfig> {
    let (table, samples): (PaperTable, [u64; 3]) = match problem {
        "poisson-1d" => (PaperTable::Table9, [1000, 1000, 1000]),
        // The paper gives no number of samples; its section 3.2 speaks of about ten thousand.
        "poisson-1d-neumann" => (PaperTable::Table3, [10_000, 1000, 1000]),
        "poisson-2d" => (PaperTable::Table5, [4200, 800, 800]),
        "poisson-3d" => (PaperTable::Table8, [256, 200, 20]),
        "poisson-2d-l-shape" | "poisson-2d-disk" => (PaperTable::Table5, [2250, 250, 250]),
        "helmholtz-2d" => (PaperTable::Table6, [2250, 250, 250]),
        "heat-1d" => (PaperTable::Table3, [1800, 200, 200]),
        "burgers-1d" => (PaperTable::Table4, [1800, 200, 200]),
        "gray-scott-forward" | "gray-scott-inverse" | "navier-stokes-forward" | "navier-stokes-inverse" => {
            (PaperTable::Table7, [1000, 200, 200])
        }
        _ => {
            let lists = farfield_pde::problems().iter().chain(farfield_pde::evolutions());
            let known: Vec<&str> = lists.map(|(name, _)| *name).collect();
            if known.contains(&problem) {
                return Err(bad_input(format!(
                    "{problem} has no settings for training of its own: write data by \"farfield data generate {problem} --samples N --out F.h5\", then \
                     \"farfield train --data F.h5 --model KIND\""
                )));
            }
            return Err(bad_input(format!("unknown problem \"{problem}\": the problems are {}", known.join(", "))));
        }
    };
    let tables = presets::preset(table, kind)?;
    let [samples, test_samples, ood_samples] = samples;
    Ok(RunConfig {
        problem: Some(ProblemConfig {
            name: problem.to_owned(),
            samples,
            test_samples,
            ood_samples,
            ..ProblemConfig::default()
        }),
        data: match farfield_pde::evolutions().iter().any(|(name, _)| *name == problem) {
            true => DataConfig { residual: true, ..DataConfig::default() },
            false => DataConfig::default(),
        },
        model: tables.0,
        train: tables.1,
    })
}

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A built-in problem.
    pub problem: Option<String>,
    /// The user's file of pairs.
    pub data: Option<PathBuf>,
    /// A TOML file.
    pub config: Option<PathBuf>,
    /// `key=value` changes, such as `train.epochs=100`.
    pub set: Vec<String>,
}

impl RunConfig {
    /// A model of another kind for the same problem: that of the paper's table, or the same sizes where the kinds share their keys.
    ///
    /// # Errors
    /// A kind that there is not.
    pub fn other_model(&self, kind: &str) -> Result<AnyModelConfig> {
        let other = match &self.problem {
            Some(problem) => preset(&problem.name, kind)?.model,
            None => AnyModelConfig::of_kind(kind)?,
        };
        Ok(match (&self.model, other) {
            (AnyModelConfig::NeuralHss(own), AnyModelConfig::NeuralHss(other)) => {
                AnyModelConfig::NeuralHss(ModelConfig { kind: other.kind, ..own.clone() })
            }
            (_, other) => other,
        })
    }

    /// The configuration that a request describes: the preset of the problem (or defaults), under the TOML file, under the
    /// `key=value` changes.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, a value of the wrong type: one line that names the file or the key.
    pub fn resolve(request: &Request) -> Result<Self> {
        let mut document = toml::Table::new();
        let mut origin = "the command line".to_owned();
        if let Some(path) = &request.config {
            origin = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|e| bad_input(format!("{origin}: cannot read: {e}")))?;
            document = parse(&text, &origin)?;
        }
        for change in &request.set {
            apply_change(&mut document, change, "--set")?;
        }
        let config = Self::from_document_for(request, document, &origin)?;
        config.validate()?;
        Ok(config)
    }

    /// The preset of the problem that a document names, changed by the document.
    ///
    /// # Errors
    /// As [`RunConfig::resolve`].
    pub fn from_document(document: toml::Table, origin: &str) -> Result<Self> {
        let config = Self::from_document_for(&Request::default(), document, origin)?;
        config.validate()?;
        Ok(config)
    }

    fn from_document_for(request: &Request, document: toml::Table, origin: &str) -> Result<Self> {
        let named_data = document.get("data").and_then(|d| d.get("path")).and_then(|p| p.as_str()).map(PathBuf::from);
        if let (Some(given), Some(named)) = (&request.data, &named_data)
            && given != named
        {
            let (given, named) = (given.display(), named.display());
            return Err(bad_input(format!(
                "--data {given}, but {origin} has data.path = \"{named}\": give one of them"
            )));
        }
        let named = document.get("problem").and_then(|p| p.get("name")).and_then(|n| n.as_str()).map(str::to_owned);
        if let (Some(given), Some(named)) = (&request.problem, &named)
            && given != named
        {
            return Err(bad_input(format!(
                "problem {given}, but {origin} has problem.name = \"{named}\": give one of them"
            )));
        }
        let kind = match document.get("model").and_then(|m| m.get("kind")) {
            None => AnyModelConfig::default().kind().to_owned(),
            Some(toml::Value::String(kind)) => kind.clone(),
            Some(other) => return Err(bad_input(format!("model.kind = {other}: must be a string"))),
        };
        let mut base = match request.problem.as_ref().or(named.as_ref()) {
            Some(name) => preset(name, &kind)?,
            None => Self { model: AnyModelConfig::of_kind(&kind)?, ..Self::default() },
        };
        if let Some(path) = &request.data {
            if base.problem.is_some() {
                return Err(bad_input("give a problem or --data, not both".to_owned()));
            }
            base.data.path = Some(path.clone());
        }
        let mut merged = to_table(&base)?;
        merge(&mut merged, document);
        Self::from_table(merged).map_err(|e| bad_input(format!("{origin}: {e}")))
    }

    /// Reads the `config.toml` of a run.
    pub fn load(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| bad_input(format!("{origin}: cannot read: {e}")))?;
        Self::from_table(parse(&text, &origin)?).map_err(|e| bad_input(format!("{origin}: {e}")))
    }

    /// The configuration as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).context("the configuration cannot be written as TOML")
    }

    fn from_table(table: toml::Table) -> std::result::Result<Self, String> {
        toml::Value::Table(table).try_into().map_err(|e: toml::de::Error| one_line(&e.to_string()))
    }

    fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.train.validate()?;
        let data = &self.data;
        for (key, value) in
            [("data.validation_fraction", data.validation_fraction), ("data.test_fraction", data.test_fraction)]
        {
            if !(0.0..1.0).contains(&value) {
                return Err(bad_input(format!("{key} = {value}: must be in [0, 1)")));
            }
        }
        if let Some(dims) = data.dims
            && !(1..=3).contains(&dims)
        {
            return Err(bad_input(format!("data.dims = {dims}: must be 1, 2 or 3")));
        }
        match (&self.problem, &data.path) {
            (None, None) => {
                Err(bad_input("nothing to train on: name a problem, or give --data FILE or data.path".to_owned()))
            }
            (Some(_), Some(path)) => {
                Err(bad_input(format!("both a problem and data.path = {}: remove one of them", path.display())))
            }
            (Some(problem), None) if problem.samples == 0 || problem.test_samples == 0 => {
                Err(bad_input("problem.samples and problem.test_samples must be at least 1".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

fn to_table(config: &RunConfig) -> Result<toml::Table> {
    match toml::Value::try_from(config).context("the preset cannot be written as TOML")? {
        toml::Value::Table(table) => Ok(table),
        other => bail!("the preset became {other:?} instead of a table"),
    }
}

fn parse(text: &str, origin: &str) -> Result<toml::Table> {
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let line = e.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map_or(String::new(), |line| format!(", line {line}"));
        bad_input(format!("{origin}{place}: {}", one_line(e.message())))
    })
}

/// `over` replaces what `base` has, table by table.
pub fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// `table.key=value`, the value as TOML or, failing that, as a string.
pub fn apply_change(document: &mut toml::Table, change: &str, flag: &str) -> Result<()> {
    let Some((key, value)) = change.split_once('=') else {
        return Err(bad_input(format!("{flag} {change}: expected key=value, for instance train.epochs=100")));
    };
    let value = value.trim();
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut table = document;
    let parts: Vec<&str> = key.trim().split('.').collect();
    let (last, tables) = match parts.split_last() {
        Some((last, tables)) if parts.iter().all(|p| !p.is_empty()) => (last, tables),
        _ => return Err(bad_input(format!("{flag} {change}: \"{key}\" is not a key"))),
    };
    for part in tables {
        let entry = table.entry((*part).to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        table = match entry {
            toml::Value::Table(table) => table,
            _ => return Err(bad_input(format!("{flag} {change}: \"{part}\" is not a table"))),
        };
    }
    table.insert((*last).to_owned(), parsed);
    Ok(())
}

/// Text without line breaks.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(problem: &str, set: &[&str]) -> Request {
        Request {
            problem: Some(problem.to_owned()),
            set: set.iter().map(|s| (*s).to_owned()).collect(),
            ..Request::default()
        }
    }

    #[test]
    fn changes_go_over_the_preset_and_survive_a_round_trip() {
        let request = request("poisson-2d", &["train.epochs=7", "problem.family=random-s1", "model.levels = 0"]);
        let config = RunConfig::resolve(&request).unwrap();
        assert_eq!(config.train.epochs, 7);
        let model = config.model.neural_hss().unwrap();
        assert_eq!((model.levels, model.outer_rank), (0, 8));
        assert_eq!(config.problem.as_ref().unwrap().family, Family::Random { smoothness: 1 });
        let table = parse(&config.to_toml().unwrap(), "again").unwrap();
        assert_eq!(RunConfig::from_table(table).unwrap(), config);
    }

    #[test]
    fn another_kind_has_the_papers_table_and_its_own_keys() {
        let config = RunConfig::resolve(&request("poisson-2d", &["model.kind=fno", "model.padding=3"])).unwrap();
        let AnyModelConfig::Fno(fno) = &config.model else { panic!("not an FNO") };
        assert_eq!((fno.hidden_channels, fno.n_layers, fno.padding), (16, 4, 3));
        let table = parse(&config.to_toml().unwrap(), "again").unwrap();
        assert_eq!(RunConfig::from_table(table).unwrap(), config);
        assert_eq!(config.other_model("resnet").unwrap().kind(), "resnet");
        for (set, part) in [(["model.kind=fno", "model.rank=2"], "rank"), (["model.kind=mlp", "model.rank=2"], "mlp")] {
            let text = format!("{:#}", RunConfig::resolve(&request("poisson-2d", &set)).unwrap_err());
            assert!(text.contains(part) && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn wrong_keys_and_values_name_the_key() {
        for (set, part) in [
            ("train.epoch=7", "epoch"),
            ("model.rank=-1", "rank"),
            ("train.precision=f16", "f16"),
            ("problem.options.scheme=3", "scheme"),
            ("data.test_fraction=2", "data.test_fraction"),
            ("nonsense", "key=value"),
            ("train..epochs=2", "not a key"),
            ("train.epochs.x=2", "epochs"),
        ] {
            let error = RunConfig::resolve(&request("poisson-1d", &[set])).unwrap_err();
            let text = format!("{error:#}");
            assert!(text.contains(part), "{set}: {text}");
            assert!(!text.contains('\n'), "{set}: {text}");
        }
        let error = RunConfig::resolve(&request("poisson-9d", &[])).unwrap_err();
        assert!(error.to_string().contains("poisson-2d"));
        assert!(RunConfig::resolve(&Request::default()).is_err());
    }
}
