//! `farfield reproduce`: tables, figures and theorems of the papers, one TOML each under `experiments/`.

mod theorem_2_2;
mod theorem_2_3;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::failure::bad_input;

/// Reproduce a result of the papers.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield reproduce theorem-2.3 --budget quick")]
pub struct ReproduceArgs {
    /// What to reproduce.
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// List what can be reproduced.
    #[arg(long)]
    list: bool,
    /// How much to spend.
    #[arg(long, value_enum, default_value_t = Budget::Quick)]
    budget: Budget,
    /// Directory for the results. Default: results/NAME.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Budget {
    /// Minutes.
    Quick,
    /// As long as it takes.
    Paper,
}

/// What an experiment spends at each [`Budget`], as its TOML says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Budgets<Effort> {
    quick: Effort,
    paper: Effort,
}

impl<Effort> Budgets<Effort> {
    fn of(&self, budget: Budget) -> &Effort {
        match budget {
            Budget::Quick => &self.quick,
            Budget::Paper => &self.paper,
        }
    }
}

const EXPERIMENTS: [(&str, &str); 2] = [
    (
        "theorem-2.2",
        "Neural-HSS: rank against tolerance for smooth kernels in one, two and three dimensions, and for convolutions",
    ),
    ("theorem-2.3", "Neural-HSS: error of training against the number of white-noise samples, beside least squares"),
];

/// Runs the command.
pub fn run(args: &ReproduceArgs) -> Result<()> {
    if args.list {
        for (name, what) in EXPERIMENTS {
            println!("{name:16} {what}");
        }
        return Ok(());
    }
    match args.name.as_deref() {
        Some("theorem-2.2") => theorem_2_2::run(args),
        Some("theorem-2.3") => theorem_2_3::run(args),
        name => {
            let known = EXPERIMENTS.map(|(name, _)| name).join(", ");
            Err(bad_input(format!("cannot reproduce \"{}\": known are {known}", name.unwrap_or_default())))
        }
    }
}
