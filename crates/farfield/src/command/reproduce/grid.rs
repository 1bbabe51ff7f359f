//! Runs a table or figure: every row, kind of model and seed, at equal epochs and at equal seconds of training.
//!
//! On disk, under the output directory: `NAME.json` with the numbers of the last call; `NAME/BUDGET/NAME.json` and `report.html`; `NAME/BUDGET/ROW/KIND-seedS-epochs` and,
//! for 20 seconds, `...-20s`, one run directory a cell; `NAME/BUDGET/ROW/baselines.json`. The command can be stopped at any time and given again: what is done is read, what
//! was begun goes on. The numbers are those of all finished cells of the budget, also of earlier calls with other `--rows`, `--models` or `--seeds`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use farfield_nn::{NnError, UnrolledSamples};
use serde::{Deserialize, Serialize};

use super::cell::{self, State};
use super::experiment::{Experiment, Metric, Row, Spending, chosen};
use super::outcome::{CellOutcome, Grid, RowOutcome, RunOutcome, Runs};
use super::paper_sizes::{differences, is_linear, paper_steps};
use super::place::{Place, Rule, write_in_new_folder};
use super::{ReproduceArgs, grid_report, out_directory, write_results};
use crate::baselines;
use crate::command::train::stop_on_interrupt;
use crate::report::format_number;
use crate::results::{Comparator, Results};
use crate::run_config::RunConfig;
use crate::sets::Sets;

/// What the sets of a run depend on.
fn key_of_sets(config: &RunConfig) -> Result<String> {
    let parts = (&config.problem, &config.data, config.train.precision);
    serde_json::to_string(&parts).context("the configuration cannot be written")
}

/// The sets that the last cell used: cells of one row mostly share them.
#[derive(Default)]
struct SetsInUse(Option<(String, Sets)>);

impl SetsInUse {
    fn of(&mut self, config: &RunConfig, quiet: bool) -> Result<&Sets> {
        let key = key_of_sets(config)?;
        if self.0.as_ref().is_none_or(|(own, _)| *own != key) {
            // The old sets go before the new ones come.
            self.0 = None;
            self.0 = Some((key, Sets::open(config, quiet)?));
        }
        self.0.as_ref().map(|(_, sets)| sets).context("sets were just opened")
    }
}

/// The trivial predictors of a row, and the sets that they belong to.
#[derive(Serialize, Deserialize)]
struct RowBaselines {
    sets: String,
    baselines: BTreeMap<String, Comparator>,
}

/// Everything that a call works with.
struct Runner<'a> {
    args: &'a ReproduceArgs,
    experiment: &'a Experiment,
    directory: &'a Path,
    stop: &'a AtomicBool,
    quiet: bool,
    sets: SetsInUse,
}

/// Runs an experiment and writes its numbers and its report.
pub fn run(args: &ReproduceArgs, name: &str, experiment: &Experiment, text: &str) -> Result<()> {
    let quiet = args.quiet || args.json;
    let row_names: Vec<&str> = experiment.rows.iter().map(|r| r.name.as_str()).collect();
    let rows = chosen("--rows", args.rows.as_deref(), &row_names)?;
    let kinds: Vec<&str> = experiment.models.iter().map(String::as_str).collect();
    let kinds = chosen("--models", args.models.as_deref(), &kinds)?;
    let directory = out_directory(args).join(name).join(args.budget.name());
    let stop = stop_on_interrupt()?;
    let mut runner = Runner { args, experiment, directory: &directory, stop: &stop, quiet, sets: SetsInUse::default() };
    for row in experiment.rows.iter().filter(|row| rows.contains(&row.name.as_str())) {
        runner.row(row, &kinds)?;
    }
    drop(runner.sets.0.take());
    let grid = runner.gather(name)?;
    write_in_new_folder(&directory.join(format!("{name}.json")), &grid)?;
    let report = grid_report::report(&grid, experiment.sweep.as_ref().map(super::experiment::Sweep::x_label), text);
    let report = write_results(args, name, &directory, &grid, &report)?;
    if !quiet {
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

    fn place<'r>(&self, row: &'r Row, kind: &'r str, seed: u64) -> Place<'r>
    where
        'a: 'r,
    {
        Place { row, kind, seed, directory: self.directory }
    }

    fn row(&mut self, row: &Row, kinds: &[&str]) -> Result<()> {
        let spending = self.spending(row);
        for kind in self.experiment.models_of(row).iter().filter(|kind| kinds.contains(&kind.as_str())) {
            for &seed in &spending.seeds {
                let config = self.config(row, kind, seed)?;
                self.baselines(row, &config)?;
                let place = self.place(row, kind, seed);
                let epochs = self.at_equal_epochs(&place, &config, &spending)?;
                if let Some(seconds) = spending.seconds {
                    self.at_equal_seconds(&place, &config, seconds, epochs)?;
                }
            }
        }
        Ok(())
    }

    /// The trivial predictors of a row, once for its sets.
    fn baselines(&mut self, row: &Row, config: &RunConfig) -> Result<()> {
        let key = key_of_sets(config)?;
        if self.baselines_on_disk(row)?.is_some_and(|found| found.sets == key) {
            return Ok(());
        }
        let baselines = baselines::all(config, self.sets.of(config, self.quiet)?)?;
        write_in_new_folder(&self.baselines_file(row), &RowBaselines { sets: key, baselines })
    }

    fn baselines_file(&self, row: &Row) -> PathBuf {
        self.directory.join(&row.name).join("baselines.json")
    }

    fn baselines_on_disk(&self, row: &Row) -> Result<Option<RowBaselines>> {
        let file = self.baselines_file(row);
        match std::fs::read(&file) {
            Ok(text) => Ok(serde_json::from_slice(&text).with_context(|| format!("{}: damaged", file.display()))?),
            Err(_) => Ok(None),
        }
    }

    fn at_equal_epochs(
        &mut self,
        place: &Place<'_>,
        config: &RunConfig,
        spending: &Spending,
    ) -> Result<Option<Results>> {
        let rule = Rule::Epochs;
        match cell::look(&place.cell(rule), config, false)? {
            State::Done(results) => return Ok(Some(*results)),
            _ if place.missing(rule, spending.most_seconds).is_some() => return Ok(None),
            State::Begun(_) => {}
            State::Missing => {
                if let Some(most) = spending.most_seconds {
                    let batches = cell::batches(&config.train, self.samples(config)?);
                    let Some(a_batch) = self.trial(place, rule, config)? else { return Ok(None) };
                    let predicted = batches as f64 * a_batch;
                    if predicted > most {
                        let reason =
                            format!("{batches} batches would take {predicted:.0} s here, more than {most:.0} s");
                        self.say(place, rule, &format!("not run: {reason}"));
                        place.set_missing(rule, reason, Some(most))?;
                        return Ok(None);
                    }
                }
            }
        }
        self.train(place, rule, config)
    }

    fn at_equal_seconds(
        &mut self,
        place: &Place<'_>,
        config: &RunConfig,
        seconds: f64,
        epochs: Option<Results>,
    ) -> Result<()> {
        let rule = Rule::Seconds(seconds);
        let config = match cell::look(&place.cell(rule), config, true)? {
            State::Done(_) => return Ok(()),
            _ if place.missing(rule, None).is_some() => return Ok(()),
            State::Begun(found) => *found,
            State::Missing => {
                let samples = self.samples(config)?;
                let whole = match epochs {
                    Some(done) => done.seconds,
                    None => match self.trial(place, rule, config)? {
                        Some(a_batch) => cell::batches(&config.train, samples) as f64 * a_batch,
                        None => return Ok(()),
                    },
                };
                // AdamW and L-BFGS keep their shares.
                let share = |steps: u64| (steps as f64 * seconds / whole) as u64;
                let mut config = config.clone();
                config.train.steps = Some(share(config.train.first_order_steps(samples)).max(1));
                config.train.polish = share(config.train.polish as u64) as usize;
                config
            }
        };
        self.train(place, rule, &config).map(|_| ())
    }

    /// Samples of an epoch.
    fn samples(&mut self, config: &RunConfig) -> Result<usize> {
        let sets = self.sets.of(config, self.quiet)?;
        Ok(UnrolledSamples::new(sets.train.samples(), config.train.unroll)?.samples().indices.len())
    }

    /// Seconds of a batch; none when the loss was not finite, which is said.
    fn trial(&mut self, place: &Place<'_>, rule: Rule, config: &RunConfig) -> Result<Option<f64>> {
        let sets = self.sets.of(config, self.quiet)?;
        let tried = cell::seconds_per_batch(config, sets);
        self.unless_diverged(place, rule, tried)
    }

    /// Trains a cell; none when the loss was not finite, which is said.
    fn train(&mut self, place: &Place<'_>, rule: Rule, config: &RunConfig) -> Result<Option<Results>> {
        let interrupted = "interrupted: the same command continues";
        if self.stop.load(Ordering::Relaxed) {
            anyhow::bail!(interrupted);
        }
        let dir = place.cell(rule);
        let sets = self.sets.of(config, self.quiet)?;
        let trained = cell::train(&dir, config, sets, self.stop, self.quiet);
        let trained = match trained {
            Err(_) if self.stop.load(Ordering::Relaxed) => anyhow::bail!(interrupted),
            other => other.with_context(|| dir.display().to_string()),
        };
        let Some(results) = self.unless_diverged(place, rule, trained)? else { return Ok(None) };
        let (error, steps) = (place.row.metric.of(&results), results.steps);
        let paper = place.row.paper.get(place.kind).map_or_else(String::new, |p| format!(" (paper {:.1e})", p.error));
        self.say(place, rule, &format!("{}{paper}, {steps} steps, {:.0} s", format_number(error), results.seconds));
        Ok(Some(results))
    }

    /// A loss that is not finite is a result of a cell, not a failure of the table.
    fn unless_diverged<T>(&self, place: &Place<'_>, rule: Rule, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => match error.downcast_ref::<NnError>() {
                Some(cause @ NnError::NonFinite { .. }) => {
                    let reason = format!("diverged: {cause}");
                    self.say(place, rule, &reason);
                    place.set_missing(rule, reason, None)?;
                    Ok(None)
                }
                _ => Err(error),
            },
        }
    }

    fn say(&self, place: &Place<'_>, rule: Rule, text: &str) {
        if !self.quiet {
            eprintln!("{}, {}, seed {}, {}: {text}", place.row.name, place.kind, place.seed, rule.title());
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
            threads: rayon::current_num_threads(),
            rows,
            notes: experiment.notes.clone(),
        })
    }

    fn gather_row(&self, row: &Row) -> Result<RowOutcome> {
        let spending = self.spending(row);
        let mut baselines = BTreeMap::new();
        for (key, found) in self.baselines_on_disk(row)?.map(|found| found.baselines).unwrap_or_default() {
            let error = match row.metric {
                Metric::RelativeL2 => Some(found.relative_l2),
                Metric::RolloutTrajectoryL2 => found.rollout.map(|r| r.trajectory_l2),
            };
            baselines.extend(error.filter(|e| e.is_finite()).map(|e| (key, e)));
        }
        let mut cells = Vec::new();
        let (mut differs, mut linear) = (Vec::new(), false);
        for kind in self.experiment.models_of(row) {
            let config = self.config(row, kind, 1)?;
            let paper = row.paper.get(kind);
            let (epochs, first) = self.runs(row, kind, Rule::Epochs, &spending);
            let (seconds, second) = match spending.seconds {
                Some(seconds) => self.runs(row, kind, Rule::Seconds(seconds), &spending),
                None => Default::default(),
            };
            for results in first.iter().chain(&second) {
                if let Some(rollout) = results.rollout.as_ref().filter(|_| row.metric == Metric::RolloutTrajectoryL2) {
                    baselines.insert("no_change".to_owned(), rollout.no_change.trajectory_l2);
                }
            }
            cells.push(CellOutcome {
                model: kind.clone(),
                parameters: first.iter().chain(&second).map(|r| r.parameters).next(),
                paper: paper.cloned(),
                paper_steps: paper_steps(&config)?,
                epochs: epochs.finish(paper),
                seconds: seconds.finish(paper),
            });
            if differs.is_empty() {
                differs = differences(&config)?;
            }
            linear = is_linear(&config)?;
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

    /// What is known of a cell, and the results of its finished seeds.
    fn runs(&self, row: &Row, kind: &str, rule: Rule, spending: &Spending) -> (Runs, Vec<Results>) {
        let (mut runs, mut finished) = (Runs::default(), Vec::new());
        for seed in Place::seeds_on_disk(self.directory, row, kind, rule) {
            let place = self.place(row, kind, seed);
            let state = self
                .config(row, kind, seed)
                .and_then(|config| cell::look(&place.cell(rule), &config, rule != Rule::Epochs));
            let missing = place.missing(rule, spending.most_seconds).map(|m| format!("seed {seed}: {}", m.reason));
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
                Ok(State::Begun(_)) => {
                    runs.missing.push(missing.unwrap_or_else(|| format!("seed {seed}: not finished")));
                }
                Ok(State::Missing) => runs.missing.extend(missing),
                Err(reason) => runs.missing.push(format!("seed {seed}: {reason:#}")),
            }
        }
        (runs, finished)
    }
}
