//! Theorem 2.2 of Neural-HSS: how the rank grows with the accuracy, for smooth kernels on well-separated boxes, and the HSS form of
//! convolutions.

use anyhow::{Context, Result};
use farfield_matrix::Kernel;
use farfield_matrix::rank_growth::{convolution_ranks, rank_growth};
use serde::{Deserialize, Serialize};

use super::{Budgets, ReproduceArgs, out_directory, write_results};
use crate::progress::Progress;
use crate::report::{Cell, Figure, Report, Series, Table, XyPlot, format_number};

const EXPERIMENT: &str = include_str!("../../../../../experiments/theorem-2.2.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Experiment {
    title: String,
    digits: Vec<i32>,
    kernels: Vec<String>,
    gap: f64,
    convolution_digits: Vec<i32>,
    leaf: usize,
    budget: Budgets<Effort>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Effort {
    sides: [usize; 3],
    cells: usize,
}

/// Ranks of one kernel in one dimension.
#[derive(Clone, Debug, Serialize)]
struct Growth {
    kernel: String,
    dimension: usize,
    points: usize,
    tolerances: Vec<f64>,
    ranks: Vec<usize>,
    /// `p` of the fit `rank ~ log(1/eps)^p`; the theorem bounds it by the dimension.
    exponent: Option<f64>,
}

/// A convolution in HODLR and HSS form.
#[derive(Clone, Debug, Serialize)]
struct Convolution {
    kernel: String,
    cells: usize,
    tolerance: f64,
    hodlr_rank: usize,
    hss_rank: usize,
    hodlr_stored: usize,
    hss_stored: usize,
    /// Proven, relative.
    hss_error: f64,
}

#[derive(Serialize)]
struct Output {
    experiment: &'static str,
    seconds: f64,
    growth: Vec<Growth>,
    convolutions: Vec<Convolution>,
}

/// Runs the experiment and writes its numbers and `report.html`.
pub fn run(args: &ReproduceArgs) -> Result<()> {
    let quiet = args.quiet || args.json;
    let experiment: Experiment = toml::from_str(EXPERIMENT).context("experiments/theorem-2.2.toml")?;
    let effort = experiment.budget.of(args.budget);
    let start = std::time::Instant::now();
    let tolerances = |digits: &[i32]| digits.iter().map(|&k| 10f64.powi(-k)).collect::<Vec<f64>>();
    let progress = Progress::new(4 * experiment.kernels.len() as u64, "theorem 2.2", quiet);
    let (mut growth, mut convolutions) = (Vec::new(), Vec::new());
    for name in &experiment.kernels {
        let kernel: Kernel = name.parse()?;
        for (dimension, &side) in (1..).zip(&effort.sides) {
            let found =
                rank_growth(dimension, side, experiment.gap, &tolerances(&experiment.digits), |r| kernel.at(r))?;
            growth.push(Growth {
                kernel: name.clone(),
                dimension,
                points: found.points,
                tolerances: found.ranks.iter().map(|r| r.tolerance).collect(),
                ranks: found.ranks.iter().map(|r| r.rank).collect(),
                exponent: found.exponent(),
            });
            progress.at((growth.len() + growth.len() / 3) as u64, || format!("{name}, D = {dimension}"));
        }
        let digits = tolerances(&experiment.convolution_digits);
        for row in convolution_ranks(effort.cells, experiment.leaf, &digits, |r| kernel.at(r))? {
            convolutions.push(Convolution {
                kernel: name.clone(),
                cells: effort.cells,
                tolerance: row.tolerance,
                hodlr_rank: row.hodlr_rank,
                hss_rank: row.hss_rank,
                hodlr_stored: row.hodlr_stored,
                hss_stored: row.hss_stored,
                hss_error: row.hss_error,
            });
        }
    }
    progress.done();
    let output = Output { experiment: "theorem-2.2", seconds: start.elapsed().as_secs_f64(), growth, convolutions };
    let report = write_results(
        args,
        "theorem-2.2",
        &out_directory(args).join("theorem-2.2"),
        &output,
        &report(&experiment, &output),
    )?;
    if !quiet {
        for g in &output.growth {
            let exponent = g.exponent.map_or("-".to_owned(), |p| format!("{p:.2}"));
            println!(
                "{:24} D = {}  {} points a box  log(1/eps)^{exponent}  ranks {:?}",
                g.kernel, g.dimension, g.points, g.ranks
            );
        }
        for c in &output.convolutions {
            println!(
                "{:24} convolution, {} cells, {}: HODLR rank {}, HSS rank {}, proven error {}",
                c.kernel,
                c.cells,
                format_number(c.tolerance),
                c.hodlr_rank,
                c.hss_rank,
                format_number(c.hss_error)
            );
        }
        println!("{:.0} s; report: {}", output.seconds, report.display());
    }
    Ok(())
}

fn report(experiment: &Experiment, output: &Output) -> Report {
    let figure = |dimension: usize| {
        let mut plot = XyPlot::log_log(format!("D = {dimension}"), "log(1/eps)", "rank");
        let of_dimension = output.growth.iter().filter(|g| g.dimension == dimension);
        plot.series = of_dimension
            .map(|g| Series {
                name: g.kernel.clone(),
                x: g.tolerances.iter().map(|t| (1.0 / t).ln()).collect(),
                y: g.ranks.iter().map(|&r| r as f64).collect(),
                ..Series::default()
            })
            .collect();
        let caption = format!(
            "Numerical rank of kernel matrices on two boxes in dimension {dimension}; the theorem bounds the slope by {dimension}."
        );
        Figure::new(format!("rank-{dimension}d"), caption, plot)
    };
    let growth_rows = output.growth.iter().map(|g| {
        let ranks: Vec<String> = g.ranks.iter().map(usize::to_string).collect();
        let exponent: Cell = g.exponent.map_or_else(|| "-".into(), Cell::from);
        vec![
            g.kernel.as_str().into(),
            (g.dimension as u64).into(),
            (g.points as u64).into(),
            exponent,
            ranks.join(", ").into(),
        ]
    });
    let convolution_rows = output.convolutions.iter().map(|c| {
        vec![
            c.kernel.as_str().into(),
            c.tolerance.into(),
            (c.hodlr_rank as u64).into(),
            (c.hss_rank as u64).into(),
            (c.hodlr_stored as u64).into(),
            (c.hss_stored as u64).into(),
            c.hss_error.into(),
        ]
    });
    let table = |caption: &str, header: &[&str], rows: Vec<Vec<Cell>>, notes: Vec<String>| Table {
        caption: caption.to_owned(),
        header: header.iter().map(|h| (*h).to_owned()).collect(),
        rows,
        notes,
    };
    Report {
        title: experiment.title.clone(),
        subtitle: format!("{:.0} s", output.seconds),
        facts: Vec::new(),
        tables: vec![
            table(
                "Rank against tolerance, boxes one box apart",
                &["kernel", "D", "points a box", "fitted exponent", "ranks at 1e-1, 1e-2, ..."],
                growth_rows.collect(),
                vec!["Fits over these tolerances are not yet the limit that the theorem speaks of.".to_owned()],
            ),
            table(
                "Convolutions on the unit interval",
                &[
                    "kernel",
                    "tolerance",
                    "HODLR rank",
                    "HSS rank",
                    "numbers, HODLR",
                    "numbers, HSS",
                    "proven error, HSS",
                ],
                convolution_rows.collect(),
                Vec::new(),
            ),
        ],
        figures: (1..=3).map(figure).collect(),
        notes: Vec::new(),
        config_toml: EXPERIMENT.to_owned(),
    }
}
