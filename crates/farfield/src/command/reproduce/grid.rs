//! Runs a table or figure: every row, kind of model and seed, at equal epochs and at equal seconds of training.
//!
//! On disk, under the output directory: `NAME.json` with the numbers; `NAME/BUDGET/report.html`; `NAME/BUDGET/ROW/KIND-seedS-epochs` and `...-seconds`, one run
//! directory a cell; `NAME/BUDGET/ROW/baselines.json`. The command can be stopped at any time and given again: what is done is read, what was begun goes on. The
//! numbers that it prints are those of all finished cells of the budget, also of earlier calls with other `--rows`, `--models` or `--seeds`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use farfield_nn::NnError;
use serde::{Deserialize, Serialize};

use super::cell::{self, State};
use super::experiment::{Experiment, Metric, PaperResult, Point, Row, Spending, chosen};
use super::{ReproduceArgs, grid_report};
use crate::baselines;
use crate::command::train::stop_on_interrupt;
use crate::report::format_number;
use crate::results::{Comparator, Results};
use crate::run_config::{ProblemConfig, RunConfig, preset};
use crate::run_dir::write_file;
use crate::sets::{Sets, is_evolution, shapes_of};

/// The numbers of a table or figure.
#[derive(Serialize)]
pub struct Grid {
    /// Name of the experiment.
    pub experiment: String,
    /// What it is.
    pub title: String,
    /// Where the paper has it.
    pub source: String,
    /// What was spent: quick, standard or paper.
    pub budget: String,
    /// Threads of the machine.
    pub threads: usize,
    /// The rows.
    pub rows: Vec<RowOutcome>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// One row.
#[derive(Serialize)]
pub struct RowOutcome {
    /// Its name.
    pub name: String,
    /// For people.
    pub title: String,
    /// The error that is compared.
    pub metric: Metric,
    /// Its place in a sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<Point>,
    /// Where the data differ from the paper's sizes.
    pub differs: Vec<String>,
    /// Seconds of training of the comparison at equal seconds.
    pub equal_seconds: Option<f64>,
    /// Errors of the trivial predictors, of the same kind.
    pub baselines: BTreeMap<String, f64>,
    /// Whether the operator is linear.
    pub linear: bool,
    /// The models.
    pub cells: Vec<CellOutcome>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// One model in one row.
#[derive(Serialize)]
pub struct CellOutcome {
    /// Kind of model.
    pub model: String,
    /// Trainable numbers.
    pub parameters: Option<usize>,
    /// What the paper prints.
    pub paper: Option<PaperResult>,
    /// Steps of training at the paper's budget.
    pub paper_steps: Option<u64>,
    /// Training for the epochs of the budget.
    pub epochs: Runs,
    /// Training for the same seconds as the others.
    pub seconds: Runs,
}

/// The seeds of a cell.
#[derive(Default, Serialize)]
pub struct Runs {
    /// What was run.
    pub runs: Vec<RunOutcome>,
    /// Why seeds are missing.
    pub missing: Vec<String>,
    /// Median error over the seeds.
    pub median: Option<f64>,
    /// The median over the paper's error: below 1 is better than the paper.
    pub ratio: Option<f64>,
}

/// One training.
#[derive(Serialize)]
pub struct RunOutcome {
    /// Seed.
    pub seed: u64,
    /// The error that the row compares.
    pub error: Option<f64>,
    /// Optimiser steps.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Mean of `||e|| / ||y||` over the samples.
    pub relative_l2: f64,
    /// Mean of `||e||` over the samples.
    pub trajectory_l2: f64,
    /// Rolled out: root mean square, and relative to the trajectory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_rms: Option<f64>,
    /// Rolled out: relative to the trajectory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_relative_l2: Option<f64>,
}

impl Runs {
    /// Lowest, median and highest error of the seeds; none without any.
    pub fn spread(&self) -> Option<[f64; 3]> {
        let mut errors: Vec<f64> = self.runs.iter().map(|r| r.error.unwrap_or(f64::INFINITY)).collect();
        errors.sort_by(f64::total_cmp);
        Some([*errors.first()?, errors[errors.len() / 2], *errors.last()?])
    }

    fn finish(mut self, paper: Option<&PaperResult>) -> Self {
        self.median = self.spread().map(|[_, median, _]| median).filter(|m| m.is_finite());
        self.ratio = self.median.zip(paper).map(|(median, paper)| median / paper.error);
        self
    }
}

/// How long a cell trains.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Epochs,
    Seconds,
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Rule::Epochs => "epochs",
            Rule::Seconds => "seconds",
        }
    }
}

/// Why a cell has no results, as its file says.
#[derive(Serialize, Deserialize)]
struct Missing {
    reason: String,
    /// The limit that was in force, if a limit is the reason.
    most_seconds: Option<f64>,
}

/// A cell and where it lives.
struct Place<'a> {
    row: &'a Row,
    kind: &'a str,
    seed: u64,
    directory: PathBuf,
}

impl Place<'_> {
    fn cell(&self, rule: Rule) -> PathBuf {
        self.directory.join(&self.row.name).join(format!("{}-seed{}-{}", self.kind, self.seed, rule.name()))
    }

    fn missing_file(&self, rule: Rule) -> PathBuf {
        self.cell(rule).with_extension("missing.json")
    }

    fn missing(&self, rule: Rule) -> Option<Missing> {
        serde_json::from_slice(&std::fs::read(self.missing_file(rule)).ok()?).ok()
    }

    fn set_missing(&self, rule: Rule, reason: String, most_seconds: Option<f64>) -> Result<()> {
        let file = self.missing_file(rule);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("{}: cannot create", parent.display()))?;
        }
        write_file(&file, &serde_json::to_vec_pretty(&Missing { reason, most_seconds })?)
    }
}

/// The sets that the last cell used: cells of one row mostly share them.
#[derive(Default)]
struct SetsInUse(Option<(String, Sets)>);

impl SetsInUse {
    fn of(&mut self, config: &RunConfig, quiet: bool) -> Result<&Sets> {
        let parts = (&config.problem, &config.data, config.train.precision);
        let key = serde_json::to_string(&parts).context("the configuration cannot be written")?;
        if self.0.as_ref().is_none_or(|(own, _)| *own != key) {
            // The old sets go before the new ones come.
            self.0 = None;
            self.0 = Some((key, Sets::open(config, quiet)?));
        }
        self.0.as_ref().map(|(_, sets)| sets).context("sets were just opened")
    }
}

/// Everything that a call works with.
struct Runner<'a> {
    args: &'a ReproduceArgs,
    experiment: &'a Experiment,
    directory: PathBuf,
    stop: &'a AtomicBool,
    quiet: bool,
    sets: SetsInUse,
}

/// Runs an experiment and writes its numbers and its report.
pub fn run(args: &ReproduceArgs, name: &str, text: &str) -> Result<()> {
    let quiet = args.quiet || args.json;
    let experiment = Experiment::read(text, args.budget).with_context(|| format!("experiments/{name}.toml"))?;
    let row_names: Vec<&str> = experiment.rows.iter().map(|r| r.name.as_str()).collect();
    let rows = chosen("--rows", args.rows.as_deref(), &row_names)?;
    let kinds: Vec<&str> = experiment.models.iter().map(String::as_str).collect();
    let kinds = chosen("--models", args.models.as_deref(), &kinds)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("results"));
    let directory = out.join(name).join(args.budget.name());
    let stop = stop_on_interrupt()?;
    let mut runner = Runner {
        args,
        experiment: &experiment,
        directory: directory.clone(),
        stop: &stop,
        quiet,
        sets: SetsInUse::default(),
    };
    for row in experiment.rows.iter().filter(|row| rows.contains(&row.name.as_str())) {
        runner.row(row, &kinds)?;
    }
    drop(runner.sets.0.take());
    let grid = runner.gather(name)?;
    let json = serde_json::to_vec_pretty(&grid)?;
    std::fs::create_dir_all(&directory).with_context(|| format!("{}: cannot create", directory.display()))?;
    write_file(&out.join(format!("{name}.json")), &json)?;
    let report = grid_report::report(&grid, experiment.sweep.as_ref().map(super::experiment::Sweep::x_label), text);
    let report = report.write(&directory)?;
    if args.json {
        println!("{}", String::from_utf8_lossy(&json));
    } else if !args.quiet {
        grid_report::print(&grid);
        println!("report: {}", report.display());
    }
    Ok(())
}

impl<'a> Runner<'a> {
    fn spending(&self, row: &Row) -> Spending {
        let mut spending = self.experiment.spending(row, self.args.budget);
        if let Some(seeds) = &self.args.seeds {
            spending.seeds.clone_from(seeds);
        }
        if let Some(seconds) = self.args.seconds {
            spending.seconds = Some(seconds).filter(|s| *s > 0.0);
        }
        spending
    }

    fn config(&self, row: &Row, kind: &str, seed: u64) -> Result<RunConfig> {
        self.experiment.config(row, kind, seed, self.args.budget, &self.args.set)
    }

    fn place<'r>(&self, row: &'r Row, kind: &'r str, seed: u64) -> Place<'r> {
        Place { row, kind, seed, directory: self.directory.clone() }
    }

    fn row(&mut self, row: &Row, kinds: &[&str]) -> Result<()> {
        let spending = self.spending(row);
        for kind in self.experiment.models_of(row).iter().filter(|kind| kinds.contains(&kind.as_str())) {
            for &seed in &spending.seeds {
                let config = self.config(row, kind, seed)?;
                self.baselines(row, &config)?;
                let place = self.place(row, kind, seed);
                let epochs = self.at_equal_epochs(&place, &config, &spending)?;
                self.at_equal_seconds(&place, &config, &spending, epochs)?;
            }
        }
        Ok(())
    }

    /// The trivial predictors of a row, once.
    fn baselines(&mut self, row: &Row, config: &RunConfig) -> Result<()> {
        let file = self.directory.join(&row.name).join("baselines.json");
        if file.is_file() {
            return Ok(());
        }
        let sets = self.sets.of(config, self.quiet)?;
        let found = baselines::all(config, sets)?;
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("{}: cannot create", parent.display()))?;
        }
        write_file(&file, &serde_json::to_vec_pretty(&found)?)
    }

    fn at_equal_epochs(
        &mut self,
        place: &Place<'_>,
        config: &RunConfig,
        spending: &Spending,
    ) -> Result<Option<Results>> {
        let dir = place.cell(Rule::Epochs);
        match cell::look(&dir, config, false)? {
            State::Done(results) => return Ok(Some(*results)),
            State::Begun(_) => {}
            State::Missing => {
                if place.missing(Rule::Epochs).is_some_and(|m| m.most_seconds == spending.most_seconds) {
                    return Ok(None);
                }
                if let Some(most) = spending.most_seconds {
                    let sets = self.sets.of(config, self.quiet)?;
                    let batches = cell::batches(&config.train, sets.train.indices.len());
                    let predicted = batches as f64 * cell::seconds_per_batch(config, sets)?;
                    if predicted > most {
                        let reason =
                            format!("{batches} batches would take {predicted:.0} s here, more than {most:.0} s");
                        self.say(place, Rule::Epochs, &format!("not run: {reason}"));
                        place.set_missing(Rule::Epochs, reason, spending.most_seconds)?;
                        return Ok(None);
                    }
                }
            }
        }
        self.train(place, Rule::Epochs, config)
    }

    fn at_equal_seconds(
        &mut self,
        place: &Place<'_>,
        config: &RunConfig,
        spending: &Spending,
        epochs: Option<Results>,
    ) -> Result<()> {
        let Some(seconds) = spending.seconds else { return Ok(()) };
        let dir = place.cell(Rule::Seconds);
        let config = match cell::look(&dir, config, true)? {
            State::Done(_) => return Ok(()),
            State::Begun(found) => *found,
            State::Missing if place.missing(Rule::Seconds).is_some() => return Ok(()),
            State::Missing => {
                let sets = self.sets.of(config, self.quiet)?;
                let samples = sets.train.indices.len();
                let batches = cell::batches(&config.train, samples) as f64;
                let whole = match epochs {
                    Some(done) => done.seconds,
                    None => batches * cell::seconds_per_batch(config, sets)?,
                };
                // AdamW and L-BFGS keep their shares.
                let share = |steps: u64| (steps as f64 * seconds / whole) as u64;
                let mut config = config.clone();
                config.train.steps = Some(share(config.train.adamw_steps(samples)).max(1));
                config.train.polish = share(config.train.polish as u64) as usize;
                config
            }
        };
        self.train(place, Rule::Seconds, &config).map(|_| ())
    }

    /// Trains a cell. A loss that is not finite is a result, not a failure of the table.
    fn train(&mut self, place: &Place<'_>, rule: Rule, config: &RunConfig) -> Result<Option<Results>> {
        if self.stop.load(Ordering::Relaxed) {
            anyhow::bail!("interrupted: the same command continues");
        }
        let sets = self.sets.of(config, self.quiet)?;
        match cell::train(&place.cell(rule), config, sets, self.stop, self.quiet) {
            Ok(results) => {
                let (error, steps) = (place.row.metric.of(&results), results.steps);
                let paper =
                    place.row.paper.get(place.kind).map_or_else(String::new, |p| format!(" (paper {:.1e})", p.error));
                let text = format!("{}{paper}, {steps} steps, {:.0} s", format_number(error), results.seconds);
                self.say(place, rule, &text);
                Ok(Some(results))
            }
            Err(error) => match error.downcast_ref::<NnError>() {
                Some(NnError::NonFinite { .. }) => {
                    self.say(place, rule, &format!("diverged: {error}"));
                    place.set_missing(rule, format!("diverged: {error}"), None)?;
                    Ok(None)
                }
                _ if self.stop.load(Ordering::Relaxed) => anyhow::bail!("interrupted: the same command continues"),
                _ => Err(error.context(place.cell(rule).display().to_string())),
            },
        }
    }

    fn say(&self, place: &Place<'_>, rule: Rule, text: &str) {
        if !self.quiet {
            eprintln!("{}, {}, seed {}, equal {}: {text}", place.row.name, place.kind, place.seed, rule.name());
        }
    }

    /// The numbers of all finished cells of the budget.
    fn gather(&self, name: &str) -> Result<Grid> {
        let experiment = self.experiment;
        let rows = experiment.rows.iter().map(|row| self.gather_row(row)).collect::<Result<_>>()?;
        Ok(Grid {
            experiment: name.to_owned(),
            title: experiment.title.clone(),
            source: experiment.source.clone(),
            budget: self.args.budget.name().to_owned(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            rows,
            notes: experiment.notes.clone(),
        })
    }

    fn gather_row(&self, row: &Row) -> Result<RowOutcome> {
        let spending = self.spending(row);
        let mut baselines = BTreeMap::new();
        let file = self.directory.join(&row.name).join("baselines.json");
        if let Ok(text) = std::fs::read(&file) {
            let found: BTreeMap<String, Comparator> =
                serde_json::from_slice(&text).with_context(|| format!("{}: damaged", file.display()))?;
            for (key, found) in found {
                let error = match row.metric {
                    Metric::RelativeL2 => Some(found.relative_l2),
                    Metric::RolloutTrajectoryL2 => found.rollout.map(|r| r.trajectory_l2),
                };
                baselines.extend(error.filter(|e| e.is_finite()).map(|e| (key, e)));
            }
        }
        let mut cells = Vec::new();
        let (mut differs, mut linear) = (Vec::new(), false);
        for kind in self.experiment.models_of(row) {
            let config = self.config(row, kind, 1)?;
            let paper = row.paper.get(kind);
            let [(epochs, first), (seconds, second)] = [Rule::Epochs, Rule::Seconds].map(|r| self.runs(row, kind, r));
            for results in first.iter().chain(&second) {
                if let Some(rollout) = results.rollout.as_ref().filter(|_| row.metric == Metric::RolloutTrajectoryL2) {
                    baselines.insert("no_change".to_owned(), rollout.no_change.trajectory_l2);
                }
            }
            let cell = CellOutcome {
                model: kind.clone(),
                parameters: first.iter().chain(&second).map(|r| r.parameters).next(),
                paper: paper.cloned(),
                paper_steps: paper_steps(&config)?,
                epochs: epochs.finish(paper),
                seconds: seconds.finish(paper),
            };
            if differs.is_empty() {
                differs = differences(&config)?;
            }
            linear = is_linear(&config)?;
            cells.push(cell);
        }
        Ok(RowOutcome {
            name: row.name.clone(),
            title: row.title.clone(),
            metric: row.metric,
            point: row.point.clone(),
            differs,
            equal_seconds: spending.seconds,
            baselines,
            linear,
            cells,
            notes: spending.notes,
        })
    }

    /// Seeds of a cell that have a run directory or a reason why not.
    fn seeds_on_disk(&self, row: &Row, kind: &str, rule: Rule) -> Vec<u64> {
        let prefix = format!("{kind}-seed");
        let Ok(entries) = std::fs::read_dir(self.directory.join(&row.name)) else { return Vec::new() };
        let mut seeds: Vec<u64> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (seed, rest) = name.strip_prefix(&prefix)?.split_once('-')?;
                (rest == rule.name() || rest == format!("{}.missing.json", rule.name())).then(|| seed.parse().ok())?
            })
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds
    }

    /// What is known of a cell, and the results of its finished seeds.
    fn runs(&self, row: &Row, kind: &str, rule: Rule) -> (Runs, Vec<Results>) {
        let (mut runs, mut finished) = (Runs::default(), Vec::new());
        for seed in self.seeds_on_disk(row, kind, rule) {
            let place = self.place(row, kind, seed);
            let state = self
                .config(row, kind, seed)
                .and_then(|config| cell::look(&place.cell(rule), &config, rule == Rule::Seconds));
            match state {
                Ok(State::Done(results)) => {
                    let rollout = results.rollout.as_ref().map(|r| &r.model);
                    runs.runs.push(RunOutcome {
                        seed,
                        error: Some(row.metric.of(&results)).filter(|e| e.is_finite()),
                        steps: results.steps,
                        seconds: results.seconds,
                        relative_l2: results.test.relative_l2,
                        trajectory_l2: results.test.trajectory_l2,
                        rollout_rms: rollout.map(|r| r.rms),
                        rollout_relative_l2: rollout.map(|r| r.relative_l2),
                    });
                    finished.push(*results);
                }
                Ok(State::Begun(_)) => runs.missing.push(format!("seed {seed}: not finished")),
                Ok(State::Missing) => {
                    runs.missing.extend(place.missing(rule).map(|m| format!("seed {seed}: {}", m.reason)));
                }
                Err(reason) => runs.missing.push(format!("seed {seed}: {reason:#}")),
            }
        }
        (runs, finished)
    }
}

/// The problem of a run and the paper's preset for it.
fn with_preset(config: &RunConfig) -> Result<Option<(&ProblemConfig, RunConfig)>> {
    let Some(problem) = &config.problem else { return Ok(None) };
    Ok(Some((problem, preset(&problem.name, config.model.kind())?)))
}

/// Steps of the paper's training, where samples are samples (of trajectories only the data know the number of pairs).
fn paper_steps(config: &RunConfig) -> Result<Option<u64>> {
    let Some((problem, paper)) = with_preset(config)? else { return Ok(None) };
    let samples = paper.problem.map_or(0, |p| p.samples);
    Ok((!is_evolution(problem) && samples > 0).then(|| paper.train.total_steps(samples as usize)))
}

/// Whether the operator of a run is linear, so that least squares is a rival to take seriously.
fn is_linear(config: &RunConfig) -> Result<bool> {
    let Some(problem) = &config.problem else { return Ok(false) };
    Ok(match is_evolution(problem) {
        true => farfield_pde::evolution(&problem.name, &problem.options)?.is_linear(),
        false => farfield_pde::problem(&problem.name, &problem.options)?.is_linear(),
    })
}

/// Where the data of a run are smaller than the paper's, for people.
fn differences(config: &RunConfig) -> Result<Vec<String>> {
    let Some((problem, paper)) = with_preset(config)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let Some(papers) = paper.problem else { return Ok(found) };
    for (what, own, papers) in [
        ("training samples", problem.samples, papers.samples),
        ("test samples", problem.test_samples, papers.test_samples),
    ] {
        if own != papers {
            found.push(format!("{own} {what} instead of {papers}"));
        }
    }
    let (own, papers) = (shapes_of(problem)?.1.grid, shapes_of(&papers)?.1.grid);
    if own != papers {
        let text = |grid: &[usize]| grid.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        found.push(format!("grid {} instead of {}", text(&own), text(&papers)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::command::reproduce::{Budget, EXPERIMENTS};

    #[test]
    fn every_cell_of_every_experiment_can_be_built() {
        for (name, _, text) in EXPERIMENTS {
            let Some(text) = text else { continue };
            for budget in [Budget::Quick, Budget::Standard, Budget::Paper] {
                let experiment = Experiment::read(text, budget).unwrap_or_else(|e| panic!("{name}: {e:#}"));
                for row in &experiment.rows {
                    for kind in experiment.models_of(row) {
                        let config = experiment.config(row, kind, 1, budget, &[]).unwrap();
                        assert_eq!(config.model.kind(), kind);
                        let (input, output) = shapes_of(config.problem.as_ref().unwrap()).unwrap();
                        differences(&config).unwrap();
                        is_linear(&config).unwrap();
                        // The sizes of the models are the same at every budget, but for what the grid allows.
                        if budget == Budget::Quick {
                            let dtype = config.train.precision.dtype();
                            let built = config.model.build(&input, &output, 1, &Device::flex(), dtype);
                            assert!(built.is_ok(), "{name}, {}, {kind}: {:?}", row.name, built.err());
                        }
                    }
                }
            }
        }
    }
}
