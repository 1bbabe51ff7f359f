//! Theorem 2.3 of Neural-HSS as training: error on new white-noise inputs against the number of training samples.
//!
//! The theorem says that every global minimiser of the loss (squared errors plus `lambda/2 sum (slope - 1)^2`) is the exact
//! solution operator once the samples outnumber a constant times the ranks. Training finds minimisers only as well as its
//! optimiser does; linear least squares, beside it, is exact from as many samples as there are unknowns.

use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use farfield_nn::{Model, evaluate};
use serde::{Deserialize, Serialize};

use super::{Budgets, ReproduceArgs, out_directory, write_results};
use crate::baselines;
use crate::command::train::fit;
use crate::progress::Progress;
use crate::report::{Cell, Figure, Report, Series, Table, XyPlot, format_number};
use crate::run_config::RunConfig;
use crate::sets::Sets;

const EXPERIMENT: &str = include_str!("../../../../../experiments/theorem-2.3.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Experiment {
    title: String,
    samples: Vec<u64>,
    budget: Budgets<Effort>,
    run: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Effort {
    steps: u64,
    seeds: Vec<u64>,
}

/// Errors at one number of samples.
#[derive(Clone, Debug, Serialize)]
struct Point {
    samples: u64,
    /// Relative L2 error on the test set for each seed.
    network: Vec<f64>,
    least_squares: f64,
    block_diagonal: f64,
    /// Slopes at the end, first seed.
    slopes: Vec<f64>,
}

#[derive(Serialize)]
struct Output<'a> {
    experiment: &'static str,
    steps: u64,
    seeds: &'a [u64],
    parameters: usize,
    seconds: f64,
    points: &'a [Point],
}

/// Runs the experiment and writes its numbers and `report.html`.
pub fn run(args: &ReproduceArgs) -> Result<()> {
    let quiet = args.quiet || args.json;
    let experiment: Experiment = toml::from_str(EXPERIMENT).context("experiments/theorem-2.3.toml")?;
    let effort = experiment.budget.of(args.budget);
    let start = std::time::Instant::now();
    let progress = Progress::new((experiment.samples.len() * effort.seeds.len()) as u64, "theorem 2.3", quiet);
    let mut points = Vec::new();
    let mut parameters = 0;
    let mut done = 0;
    let mut last_config = None;
    for &samples in &experiment.samples {
        let mut config = RunConfig::from_document(experiment.run.clone(), "experiments/theorem-2.3.toml")?;
        if let Some(problem) = &mut config.problem {
            problem.samples = samples;
        }
        config.train.steps = Some(effort.steps);
        let sets = Sets::open(&config, true)?;
        let trivial = baselines::all(&config, &sets)?;
        let error = |key: &str| trivial.get(key).map_or(f64::NAN, |c| c.relative_l2);
        let mut point = Point {
            samples,
            network: Vec::new(),
            least_squares: error("linear"),
            block_diagonal: error("block_diagonal"),
            slopes: Vec::new(),
        };
        for &seed in &effort.seeds {
            config.train.seed = seed;
            let trained = fit(&config, &config.model, &sets, None, &AtomicBool::new(false), true)?;
            let (test, precision) = (&sets.test, config.train.precision);
            let errors = evaluate(&trained.model, &trained.normalizers, &test.dataset, &test.indices, 256, precision)?;
            if point.slopes.is_empty() {
                point.slopes = trained.model.slopes();
            }
            parameters = trained.model.num_parameters();
            point.network.push(errors.relative_l2);
            done += 1;
            progress.at(done, || format!("{samples} samples, error {}", format_number(errors.relative_l2)));
        }
        points.push(point);
        last_config = Some(config);
    }
    progress.done();
    let seconds = start.elapsed().as_secs_f64();
    let output = Output {
        experiment: "theorem-2.3",
        steps: effort.steps,
        seeds: &effort.seeds,
        parameters,
        seconds,
        points: &points,
    };
    let config = last_config.context("the experiment has no sample counts")?;
    let report = report(&experiment.title, &points, effort, parameters, seconds, &config)?;
    let report = write_results(args, "theorem-2.3", &out_directory(args).join("theorem-2.3"), &output, &report)?;
    if !quiet {
        println!(
            "{:>8} {:>10} {:>21} {:>14} {:>15}",
            "samples", "network", "(lowest, highest)", "least squares", "block-diagonal"
        );
        for p in &points {
            let [low, median, high] = spread(&p.network);
            let [low, median, high] = [low, median, high].map(format_number);
            println!(
                "{:>8} {median:>10} {:>21} {:>14} {:>15}",
                p.samples,
                format!("({low}, {high})"),
                format_number(p.least_squares),
                format_number(p.block_diagonal)
            );
        }
        println!("{seconds:.0} s; report: {}", report.display());
    }
    Ok(())
}

/// Lowest, median, highest.
fn spread(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]]
}

fn report(
    title: &str,
    points: &[Point],
    effort: &Effort,
    parameters: usize,
    seconds: f64,
    config: &RunConfig,
) -> Result<Report> {
    let x: Vec<f64> = points.iter().map(|p| p.samples as f64).collect();
    let pick = |i: usize| points.iter().map(|p| spread(&p.network)[i]).collect::<Vec<f64>>();
    let line =
        |name: &str, y: Vec<f64>| Series { name: name.to_owned(), x: x.clone(), y, low: Vec::new(), high: Vec::new() };
    let mut plot = XyPlot::log_log(title, "training samples", "relative L2 error, new white noise");
    plot.series = vec![
        Series {
            name: format!("HSS network, AdamW (median of {})", effort.seeds.len()),
            low: pick(0),
            high: pick(2),
            ..line("", pick(1))
        },
        line("linear least squares", points.iter().map(|p| p.least_squares).collect()),
        line("block-diagonal least squares", points.iter().map(|p| p.block_diagonal).collect()),
    ];
    let rows = points.iter().map(|p| {
        let [low, median, high] = spread(&p.network);
        let slopes: Vec<String> = p.slopes.iter().map(|s| format!("{s:.4}")).collect();
        vec![
            p.samples.into(),
            Cell::Spread { median, low, high },
            p.least_squares.into(),
            p.block_diagonal.into(),
            slopes.join(", ").into(),
        ]
    });
    let header = ["samples", "HSS network", "least squares", "block-diagonal", "slopes (first seed)"];
    Ok(Report {
        title: title.to_owned(),
        subtitle: format!("{parameters} parameters, {} steps a run, {seconds:.0} s", effort.steps),
        facts: Vec::new(),
        tables: vec![Table {
            caption: "Relative L2 error on 1000 new white-noise inputs".to_owned(),
            header: header.iter().map(|h| (*h).to_owned()).collect(),
            rows: rows.collect(),
            notes: vec![format!("Seeds {:?}; median (lowest, highest).", effort.seeds)],
        }],
        figures: vec![Figure::new("samples", "Error against the number of training samples.", plot)],
        notes: vec![
            "The theorem speaks of global minimisers. AdamW does not reach them: the curve shows what training finds, not \
             what the loss determines."
                .to_owned(),
        ],
        config_toml: config.to_toml()?,
    })
}
