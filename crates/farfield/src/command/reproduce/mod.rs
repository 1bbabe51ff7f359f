//! `farfield reproduce`: tables, figures and theorems of the papers, one TOML each under `experiments/`.

mod cell;
mod experiment;
mod grid;
mod grid_report;
mod outcome;
mod paper_sizes;
mod place;
mod theorem_2_2;
mod theorem_2_3;
mod timing;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::failure::bad_input;
use crate::report::Report;
use crate::run_config::one_line;
use crate::run_dir::write_file;

use experiment::Experiment;

/// Reproduce a result of the papers.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  farfield reproduce table1 --budget quick\n  farfield reproduce table2 --rows poisson-2d,helmholtz-2d --models neural-hss,fno --seeds 1,2,3\n  \
    farfield reproduce theorem-2.3\n  farfield reproduce --config mine.toml"
)]
pub struct ReproduceArgs {
    /// What to reproduce.
    #[arg(required_unless_present_any = ["list", "config"], conflicts_with = "config")]
    name: Option<String>,
    /// A table of your own: a TOML file like those of the built-in ones (docs/reproduce.md).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// List what can be reproduced.
    #[arg(long)]
    list: bool,
    /// How much to spend.
    #[arg(long, value_enum, default_value_t = Budget::Quick)]
    budget: Budget,
    /// Only these rows of a table.
    #[arg(long, value_delimiter = ',', value_name = "ROW")]
    rows: Option<Vec<String>>,
    /// Only these kinds of models.
    #[arg(long, value_delimiter = ',', value_name = "KIND")]
    models: Option<Vec<String>>,
    /// These seeds instead of the budget's.
    #[arg(long, value_delimiter = ',', value_name = "SEED")]
    seeds: Option<Vec<u64>>,
    /// Seconds of training of the comparison at equal seconds, instead of the budget's; 0 for none.
    #[arg(long)]
    seconds: Option<f64>,
    /// Change one key of every run of a table, such as train.precision=f64 (again for more).
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Directory for the results: NAME.json, and NAME/ with report and runs. Default: results.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
    /// No progress, no table.
    #[arg(long)]
    quiet: bool,
}

/// How much to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Budget {
    /// A table in half an hour on two cores: smaller grids, fewer samples and steps, as the output says.
    Quick,
    /// Hours.
    Standard,
    /// The paper's own sizes, as long as it takes.
    Paper,
}

impl Budget {
    fn name(self) -> &'static str {
        match self {
            Budget::Quick => "quick",
            Budget::Standard => "standard",
            Budget::Paper => "paper",
        }
    }
}

/// What an experiment spends at each [`Budget`], as its TOML says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budgets<Effort> {
    quick: Effort,
    standard: Effort,
    paper: Effort,
}

impl<Effort> Budgets<Effort> {
    fn of(&self, budget: Budget) -> &Effort {
        match budget {
            Budget::Quick => &self.quick,
            Budget::Standard => &self.standard,
            Budget::Paper => &self.paper,
        }
    }
}

/// Name, what it is, and the TOML of tables and figures that are grids of training runs.
const EXPERIMENTS: [(&str, &str, Option<&str>); 9] = [
    (
        "table1",
        "Neural-HSS: heat, Poisson with Neumann conditions, Burgers; five models",
        Some(include_str!("../../../../../experiments/table1.toml")),
    ),
    (
        "table2",
        "Neural-HSS: 2D problems, forward and inverse; six models",
        Some(include_str!("../../../../../experiments/table2.toml")),
    ),
    (
        "figure2",
        "Neural-HSS: error against the number of samples, 1D Poisson",
        Some(include_str!("../../../../../experiments/figure2.toml")),
    ),
    (
        "figure3",
        "Neural-HSS: error against the number of samples, 3D Poisson (figure 4 too)",
        Some(include_str!("../../../../../experiments/figure3.toml")),
    ),
    (
        "figure5",
        "Neural-HSS: error against rank, outer rank and levels, Gray-Scott",
        Some(include_str!("../../../../../experiments/figure5.toml")),
    ),
    (
        "figure6",
        "Neural-HSS: Burgers' equation with less and less advection",
        Some(include_str!("../../../../../experiments/figure6.toml")),
    ),
    ("timing", "Neural-HSS, figures 7 to 9: time of forward passes and training steps", None),
    (
        "theorem-2.2",
        "Neural-HSS: rank against tolerance for smooth kernels in one, two and three dimensions, and for convolutions",
        None,
    ),
    (
        "theorem-2.3",
        "Neural-HSS: error of training against the number of white-noise samples, beside least squares",
        None,
    ),
];

/// Runs the command.
pub fn run(args: &ReproduceArgs) -> Result<()> {
    if args.list {
        for (name, what, _) in EXPERIMENTS {
            println!("{name:16} {what}");
        }
        return Ok(());
    }
    if let Some(seconds) = args.seconds.filter(|s| !(0.0..=1e9).contains(s)) {
        return Err(bad_input(format!("--seconds {seconds}: must be between 0 and 1e9")));
    }
    if let Some(file) = &args.config {
        return of_file(args, file);
    }
    let name = args.name.as_deref().unwrap_or_default();
    let Some((name, _, text)) = EXPERIMENTS.iter().find(|(known, ..)| *known == name) else {
        let known = EXPERIMENTS.map(|(name, ..)| name).join(", ");
        return Err(bad_input(format!("cannot reproduce \"{name}\": known are {known}")));
    };
    if let Some(text) = text {
        let experiment = Experiment::read(text, args.budget).with_context(|| format!("experiments/{name}.toml"))?;
        return grid::run(args, name, &experiment, text);
    }
    let timing = *name == "timing";
    let of_tables = [
        ("--rows", args.rows.is_some() && !timing),
        ("--models", args.models.is_some() && !timing),
        ("--seeds", args.seeds.is_some()),
        ("--seconds", args.seconds.is_some()),
        ("--set", !args.set.is_empty()),
    ];
    if let Some((flag, _)) = of_tables.into_iter().find(|(_, given)| *given) {
        return Err(bad_input(format!("{flag} belongs to tables and figures, not to {name}")));
    }
    match *name {
        "timing" => timing::run(args),
        "theorem-2.2" => theorem_2_2::run(args),
        _ => theorem_2_3::run(args),
    }
}

/// Runs the table that a file describes.
fn of_file(args: &ReproduceArgs, file: &Path) -> Result<()> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| bad_input(format!("{shown}: cannot read: {e}")))?;
    let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("table");
    let experiment = Experiment::read(&text, args.budget)
        .map_err(|e| bad_input(format!("{shown}: {}", one_line(&format!("{e:#}")))))?;
    grid::run(args, name, &experiment, &text)
}

/// Where results go.
fn out_directory(args: &ReproduceArgs) -> PathBuf {
    args.out.clone().unwrap_or_else(|| PathBuf::from("results"))
}

/// Writes the numbers to `OUT/NAME.json` and the report to `folder`, and prints the numbers if `--json` asks for it; returns the path of the report.
fn write_results(
    args: &ReproduceArgs,
    name: &str,
    folder: &Path,
    output: &impl Serialize,
    report: &Report,
) -> Result<PathBuf> {
    let json = serde_json::to_vec_pretty(output)?;
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot create", folder.display()))?;
    write_file(&out_directory(args).join(format!("{name}.json")), &json)?;
    let report = report.write(folder)?;
    if args.json {
        println!("{}", String::from_utf8_lossy(&json));
    }
    Ok(report)
}
