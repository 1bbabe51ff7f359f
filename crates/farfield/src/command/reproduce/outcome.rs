//! The numbers of a table or figure: what `NAME.json` holds. Names are stable.

use std::collections::BTreeMap;

use serde::Serialize;

use super::experiment::{Metric, PaperResult, Point};

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

    /// With the median and its ratio to the paper's error.
    pub fn finish(mut self, paper: Option<&PaperResult>) -> Self {
        self.median = self.spread().map(|[_, median, _]| median).filter(|m| m.is_finite());
        self.ratio = self.median.zip(paper).map(|(median, paper)| median / paper.error);
        self
    }
}
