//! Figures 7 to 9 of Neural-HSS (and the right half of figure 3): time of a forward pass and of a training step for every model at the paper's sizes.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::experiment::chosen;
use super::{Budgets, ReproduceArgs, out_directory, write_results};
use crate::progress::Progress;
use crate::report::{DotPlot, DotSeries, Figure, Report, Table, format_count, format_number};
use crate::run_config::preset;
use crate::sets::shapes_of;
use crate::speed::{ModelSpeed, Patience, measure};

const EXPERIMENT: &str = include_str!("../../../../../experiments/timing.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Experiment {
    title: String,
    source: String,
    notes: Vec<String>,
    budget: Budgets<Effort>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Effort {
    /// Seconds of measuring, at least, for each number.
    seconds: f64,
    /// Repetitions, at least.
    runs: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    problem: String,
    figures: String,
    models: Vec<String>,
}

/// One model on one problem.
#[derive(Serialize)]
struct Measured {
    row: String,
    problem: String,
    figures: String,
    model: String,
    parameters: usize,
    batch: usize,
    input: String,
    /// Milliseconds of a forward pass.
    forward_ms: f64,
    /// Milliseconds of a training step.
    train_ms: f64,
    /// The same over those of the first model of the row.
    forward_ratio: f64,
    train_ratio: f64,
}

#[derive(Serialize)]
struct Output {
    experiment: &'static str,
    budget: &'static str,
    threads: usize,
    seconds: f64,
    measured: Vec<Measured>,
}

/// Runs the measurements and writes them.
pub fn run(args: &ReproduceArgs) -> Result<()> {
    let quiet = args.quiet || args.json;
    let experiment: Experiment = toml::from_str(EXPERIMENT).context("experiments/timing.toml")?;
    let effort = *experiment.budget.of(args.budget);
    let names: Vec<&str> = experiment.rows.iter().map(|r| r.name.as_str()).collect();
    let rows = chosen("--rows", args.rows.as_deref(), &names)?;
    let rows: Vec<&Row> = experiment.rows.iter().filter(|row| rows.contains(&row.name.as_str())).collect();
    let mut kinds: Vec<&str> = experiment.rows.iter().flat_map(|r| &r.models).map(String::as_str).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let kinds = chosen("--models", args.models.as_deref(), &kinds)?;
    let start = std::time::Instant::now();
    let is_chosen = |kind: &&String| kinds.contains(&kind.as_str());
    let count = rows.iter().flat_map(|row| &row.models).filter(is_chosen).count();
    let progress = Progress::new(count as u64, "timing", quiet);
    let mut measured: Vec<Measured> = Vec::new();
    for row in &rows {
        let first = measured.len();
        for kind in row.models.iter().filter(is_chosen) {
            progress.at(measured.len() as u64, || format!("{}, {kind}", row.name));
            let config = preset(&row.problem, kind)?;
            let problem = config.problem.context("presets have a problem")?;
            let (input, output) = shapes_of(&problem)?;
            let (batch, train) = (config.train.batch_size, config.train);
            let time = Duration::from_secs_f64(effort.seconds);
            let patience = Patience { time, runs: effort.runs, warm_up: 1 };
            let build = |device: &_| config.model.build(&input, &output, 1, device, train.precision.dtype());
            let ModelSpeed { parameters, train_ms, forward_ms } = measure(build, &train, batch, [patience; 2])?;
            let base = measured.get(first).map_or((forward_ms, train_ms), |m| (m.forward_ms, m.train_ms));
            measured.push(Measured {
                row: row.name.clone(),
                problem: row.problem.clone(),
                figures: row.figures.clone(),
                model: kind.clone(),
                parameters,
                batch,
                input: input.to_string(),
                forward_ms,
                train_ms,
                forward_ratio: forward_ms / base.0,
                train_ratio: train_ms / base.1,
            });
        }
    }
    progress.done();
    let output = Output {
        experiment: "timing",
        budget: args.budget.name(),
        threads: rayon::current_num_threads(),
        seconds: start.elapsed().as_secs_f64(),
        measured,
    };
    let report = write_results(
        args,
        "timing",
        &out_directory(args).join("timing"),
        &output,
        &report(&experiment, &rows, &output),
    )?;
    if !quiet {
        println!(
            "{:14} {:16} {:>11} {:>6} {:>12} {:>7} {:>13} {:>7}",
            "problem", "model", "parameters", "batch", "forward ms", "ratio", "training ms", "ratio"
        );
        for m in &output.measured {
            println!(
                "{:14} {:16} {:>11} {:>6} {:>12} {:>7.2} {:>13} {:>7.2}",
                m.row,
                m.model,
                format_count(m.parameters as u64),
                m.batch,
                format_number(m.forward_ms),
                m.forward_ratio,
                format_number(m.train_ms),
                m.train_ratio
            );
        }
        for note in &experiment.notes {
            println!("note: {note}");
        }
        println!("report: {}", report.display());
    }
    Ok(())
}

fn report(experiment: &Experiment, rows: &[&Row], output: &Output) -> Report {
    let mut models: Vec<&str> = Vec::new();
    for m in &output.measured {
        if !models.contains(&m.model.as_str()) {
            models.push(&m.model);
        }
    }
    let figure = |name: &str, title: &str, pick: fn(&Measured) -> f64| {
        let of = |row: &Row, model: &str| {
            let found = output.measured.iter().find(|m| m.row == row.name && m.model == model)?;
            Some([pick(found); 3])
        };
        let series = models.iter().map(|&model| DotSeries {
            name: model.to_owned(),
            ours: rows.iter().map(|row| of(row, model)).collect(),
            theirs: Vec::new(),
        });
        let plot = DotPlot {
            title: title.to_owned(),
            subtitle: format!("batches and sizes of the paper, {} threads", output.threads),
            x_label: "milliseconds".to_owned(),
            rows: rows.iter().map(|row| row.name.clone()).collect(),
            series: series.collect(),
        };
        Figure::new(name, format!("{title}: median milliseconds."), plot)
    };
    let table_rows = output.measured.iter().map(|m| {
        vec![
            m.row.as_str().into(),
            m.figures.as_str().into(),
            m.model.as_str().into(),
            m.parameters.into(),
            m.batch.into(),
            m.input.as_str().into(),
            m.forward_ms.into(),
            m.forward_ratio.into(),
            m.train_ms.into(),
            m.train_ratio.into(),
        ]
    });
    let header = [
        "problem",
        "figures",
        "model",
        "parameters",
        "batch",
        "input",
        "forward ms",
        "ratio",
        "training step ms",
        "ratio",
    ];
    Report {
        title: experiment.title.clone(),
        subtitle: format!("{}; budget {}, {} threads", experiment.source, output.budget, output.threads),
        facts: Vec::new(),
        tables: vec![Table {
            caption: "Time of a forward pass and of a training step".to_owned(),
            header: header.iter().map(|h| (*h).to_owned()).collect(),
            rows: table_rows.collect(),
            notes: vec!["Ratios are to the first model of the problem.".to_owned()],
        }],
        figures: vec![
            figure("forward", "Forward pass", |m| m.forward_ms),
            figure("training", "Training step", |m| m.train_ms),
        ],
        notes: experiment.notes.clone(),
        config_toml: EXPERIMENT.to_owned(),
    }
}
