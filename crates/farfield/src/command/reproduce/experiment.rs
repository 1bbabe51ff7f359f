//! The description of a table or figure: rows (problems, or points of a sweep) times kinds of models, and what each budget spends.
//!
//! A cell of the grid is a training run like any other: the preset of the problem and kind, under the `run` tables of the experiment, its row and the budget,
//! from the general to the particular, each of them followed by its `kinds` for one kind of model.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use farfield_nn::MODEL_KINDS;
use serde::{Deserialize, Serialize};

use super::{Budget, Budgets};
use crate::failure::bad_input;
use crate::results::Results;
use crate::run_config::{RunConfig, apply_change, merge};

/// A table or figure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What it is.
    pub title: String,
    /// Where the paper has it.
    pub source: String,
    /// Kinds of models, the columns.
    pub models: Vec<String>,
    /// What a reader must know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Changes of every run.
    #[serde(default)]
    run: toml::Table,
    /// Changes of every run of a kind of model.
    #[serde(default)]
    kinds: BTreeMap<String, toml::Table>,
    /// What each budget spends; rows may change it.
    pub budget: Budgets<Effort>,
    /// The rows.
    #[serde(default)]
    pub rows: Vec<Row>,
    /// Rows that are the points of a sweep, instead.
    #[serde(default)]
    pub sweep: Option<Sweep>,
}

/// One row.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name in `--rows` and on disk.
    pub name: String,
    /// For people.
    pub title: String,
    /// The error that is compared.
    #[serde(default)]
    pub metric: Metric,
    /// Kinds of models, if not all of the experiment.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// What the paper prints.
    #[serde(default)]
    pub paper: BTreeMap<String, PaperResult>,
    /// What a reader must know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Changes of the runs of this row.
    #[serde(default)]
    run: toml::Table,
    /// Changes of the runs of a kind of model in this row.
    #[serde(default)]
    kinds: BTreeMap<String, toml::Table>,
    /// Changes of what a budget spends.
    #[serde(default)]
    pub budget: BTreeMap<Budget, Effort>,
    /// The place in a sweep.
    #[serde(skip)]
    pub point: Option<Point>,
}

/// A row's place in a sweep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Abscissa.
    pub x: f64,
    /// What makes the curve, beside the model; may be empty.
    pub series: String,
    /// What makes the figure; may be empty.
    pub figure: String,
}

/// The Cartesian product of one to three axes: abscissa, curve, figure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    axes: Vec<SweepAxis>,
    #[serde(default)]
    metric: Metric,
}

/// One key and its values.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepAxis {
    key: String,
    label: String,
    short: String,
    values: Vec<f64>,
    /// Values at the budgets that cannot afford all.
    #[serde(default)]
    budget: BTreeMap<Budget, Vec<f64>>,
}

/// What a budget spends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effort {
    /// Seeds of the training.
    pub seeds: Option<Vec<u64>>,
    /// Seconds of training of the comparison at equal seconds; none without.
    pub seconds: Option<f64>,
    /// A run at equal epochs that would take longer is not begun, and said to be missing.
    pub most_seconds: Option<f64>,
    /// What a reader must know.
    #[serde(default)]
    pub notes: Vec<String>,
    #[serde(default)]
    run: toml::Table,
    #[serde(default)]
    kinds: BTreeMap<String, toml::Table>,
}

/// A cell of the paper.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PaperResult {
    /// Test error.
    pub error: f64,
    /// Parameters as printed, such as "45 K".
    pub parameters: String,
}

/// The error that a row compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean over samples of `||e|| / ||y||` (eq. 2).
    #[default]
    RelativeL2,
    /// Mean over trajectories of the norm of the error over all steps and points, without weights (eq. 3).
    RolloutTrajectoryL2,
}

impl Metric {
    /// Its value for a run; infinite when there is none or it is not a number, as after a rollout that grew beyond all bounds.
    pub fn of(self, results: &Results) -> f64 {
        let value = match self {
            Metric::RelativeL2 => results.test.relative_l2,
            Metric::RolloutTrajectoryL2 => results.rollout.as_ref().map_or(f64::NAN, |r| r.model.trajectory_l2),
        };
        if value.is_finite() { value } else { f64::INFINITY }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Metric::RelativeL2 => "relative L2 error",
            Metric::RolloutTrajectoryL2 => "L2 error of trajectories (eq. 3)",
        }
    }
}

/// What one row spends at a budget.
#[derive(Clone, Debug)]
pub struct Spending {
    /// Seeds of the training.
    pub seeds: Vec<u64>,
    /// Seconds of the comparison at equal seconds.
    pub seconds: Option<f64>,
    /// Seconds that a run at equal epochs may take.
    pub most_seconds: Option<f64>,
    /// What a reader must know of the row at this budget.
    pub notes: Vec<String>,
}

impl Experiment {
    /// Reads the TOML text of an experiment and lays out its rows for a budget.
    pub fn read(text: &str, budget: Budget) -> Result<Self> {
        let mut experiment: Self = toml::from_str(text)?;
        if let Some(sweep) = experiment.sweep.take() {
            experiment.rows = sweep.rows(budget)?;
            experiment.sweep = Some(sweep);
        }
        let named = experiment.models.iter().chain(experiment.rows.iter().filter_map(|r| r.models.as_ref()).flatten());
        for kind in named.chain(experiment.kinds.keys()) {
            anyhow::ensure!(MODEL_KINDS.contains(&kind.as_str()), "there is no model \"{kind}\"");
        }
        Ok(experiment)
    }

    /// The kinds of a row.
    pub fn models_of<'a>(&'a self, row: &'a Row) -> &'a [String] {
        row.models.as_deref().unwrap_or(&self.models)
    }

    /// What a row spends.
    pub fn spending(&self, row: &Row, budget: Budget) -> Spending {
        let (common, own) = (self.budget.of(budget), row.budget.get(&budget));
        let number = |pick: fn(&Effort) -> Option<f64>| own.and_then(pick).or_else(|| pick(common));
        let seeds = own.and_then(|e| e.seeds.clone()).or_else(|| common.seeds.clone());
        Spending {
            seeds: seeds.unwrap_or_else(|| vec![1]),
            seconds: number(|e| e.seconds),
            most_seconds: number(|e| e.most_seconds),
            notes: row.notes.iter().chain(own.iter().flat_map(|e| &e.notes)).cloned().collect(),
        }
    }

    /// The run of a cell.
    pub fn config(&self, row: &Row, kind: &str, seed: u64, budget: Budget, set: &[String]) -> Result<RunConfig> {
        let mut document = toml::Table::new();
        let efforts = [Some(self.budget.of(budget)), row.budget.get(&budget)];
        let changes = [(&self.run, &self.kinds), (&row.run, &row.kinds)];
        for (run, kinds) in changes.into_iter().chain(efforts.into_iter().flatten().map(|e| (&e.run, &e.kinds))) {
            merge(&mut document, run.clone());
            if let Some(own) = kinds.get(kind) {
                merge(&mut document, own.clone());
            }
        }
        for change in set {
            apply_change(&mut document, change, "--set")?;
        }
        for change in [format!("model.kind=\"{kind}\""), format!("train.seed={seed}")] {
            apply_change(&mut document, &change, "the experiment")?;
        }
        RunConfig::from_document(document, &format!("row {}", row.name))
    }
}

impl Sweep {
    /// The axis that is the abscissa.
    pub fn x_label(&self) -> &str {
        self.axes.first().map_or("", |axis| &axis.label)
    }

    fn rows(&self, budget: Budget) -> Result<Vec<Row>> {
        anyhow::ensure!((1..=3).contains(&self.axes.len()), "a sweep has one to three axes");
        let mut rows = vec![Row { metric: self.metric, ..Row::default() }];
        for (i, axis) in self.axes.iter().enumerate() {
            let values = axis.budget.get(&budget).unwrap_or(&axis.values);
            anyhow::ensure!(!values.is_empty(), "{}: no values", axis.key);
            let mut longer = Vec::with_capacity(rows.len() * values.len());
            for row in &rows {
                for &value in values {
                    let mut row = row.clone();
                    let join = |text: &str, part: String, by: &str| match text.is_empty() {
                        true => part,
                        false => format!("{text}{by}{part}"),
                    };
                    row.name = join(&row.name, format!("{}{value}", axis.short), "-");
                    row.title = join(&row.title, format!("{} {value}", axis.label), ", ");
                    // Whole numbers are written as such: most keys are counts.
                    apply_change(&mut row.run, &format!("{}={value}", axis.key), "the sweep")?;
                    let mut point =
                        row.point.unwrap_or(Point { x: value, series: String::new(), figure: String::new() });
                    match i {
                        0 => point.x = value,
                        1 => point.series = format!("{} {value}", axis.label),
                        _ => point.figure = format!("{} {value}", axis.label),
                    }
                    row.point = Some(point);
                    longer.push(row);
                }
            }
            rows = longer;
        }
        Ok(rows)
    }
}

/// The chosen ones of `all`, or all if nothing was chosen.
///
/// # Errors
/// A choice that there is not.
pub fn chosen<'a>(flag: &str, choice: Option<&[String]>, all: &[&'a str]) -> Result<Vec<&'a str>> {
    let Some(choice) = choice else { return Ok(all.to_vec()) };
    let find = |name: &String| {
        let found = all.iter().copied().find(|known| known == name);
        found.with_context(|| format!("{flag} {name}: there are {}", all.join(", ")))
    };
    choice.iter().map(|name| find(name).map_err(|e| bad_input(format!("{e:#}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        title = "t"
        source = "s"
        models = ["neural-hss", "fno"]
        [run.train]
        batch_size = 10
        [kinds.fno.model]
        hidden_channels = 5
        [budget.quick]
        seeds = [1, 2]
        seconds = 3
        [budget.quick.run.train]
        epochs = 4
        [budget.standard]
        [budget.paper]
        seeds = [7]
        [[rows]]
        name = "a"
        title = "A"
        run.problem.name = "poisson-1d"
        paper.fno = { error = 1e-3, parameters = "1 K" }
        [rows.budget.quick]
        seeds = [3]
        run.problem.samples = 20
    "#;

    #[test]
    fn the_particular_goes_over_the_general() {
        let experiment = Experiment::read(TEXT, Budget::Quick).unwrap();
        let row = &experiment.rows[0];
        let config = experiment.config(row, "fno", 3, Budget::Quick, &["train.batch_size=7".to_owned()]).unwrap();
        assert_eq!((config.train.batch_size, config.train.epochs, config.train.seed), (7, 4, 3));
        assert_eq!(config.problem.unwrap().samples, 20);
        let farfield_nn::AnyModelConfig::Fno(fno) = config.model else { panic!("not an FNO") };
        assert_eq!(fno.hidden_channels, 5);
        let quick = experiment.spending(row, Budget::Quick);
        assert_eq!((quick.seeds, quick.seconds), (vec![3], Some(3.0)));
        let paper = experiment.spending(row, Budget::Paper);
        assert_eq!((paper.seeds, paper.seconds), (vec![7], None));
        assert_eq!(experiment.config(row, "fno", 1, Budget::Paper, &[]).unwrap().problem.unwrap().samples, 1000);
    }

    #[test]
    fn a_sweep_is_the_product_of_its_axes() {
        let text = TEXT[..TEXT.find("[[rows]]").unwrap()].to_owned()
            + r#"
            [run.problem]
            name = "poisson-2d"
            [[sweep.axes]]
            key = "problem.samples"
            label = "samples"
            short = "n"
            values = [10, 20, 40]
            budget.quick = [10, 20]
            [[sweep.axes]]
            key = "model.rank"
            label = "rank"
            short = "r"
            values = [2, 4]
        "#;
        let quick = Experiment::read(&text, Budget::Quick).unwrap();
        let names: Vec<&str> = quick.rows.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["n10-r2", "n10-r4", "n20-r2", "n20-r4"]);
        let point = quick.rows[3].point.clone().unwrap();
        assert_eq!((point.x, point.series.as_str(), point.figure.as_str()), (20.0, "rank 4", ""));
        let config = quick.config(&quick.rows[3], "neural-hss", 1, Budget::Quick, &[]).unwrap();
        assert_eq!((config.problem.unwrap().samples, config.model.neural_hss().unwrap().rank), (20, 4));
        assert_eq!(Experiment::read(&text, Budget::Paper).unwrap().rows.len(), 6);
    }

    #[test]
    fn choices_that_there_are_not_are_named() {
        let choice = ["b".to_owned()];
        let error = chosen("--rows", Some(&choice), &["a", "c"]).unwrap_err().to_string();
        assert!(error.contains("--rows b") && error.contains("a, c"), "{error}");
        assert_eq!(chosen("--rows", None, &["a"]).unwrap(), ["a"]);
    }
}
