//! `farfield eval`: the errors of a trained model on a file of pairs.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use farfield_data::{Dataset, OpenOptions};
use farfield_nn::{Model, evaluate};

use crate::failure::bad_input;
use crate::report::format_number;
use crate::results::SetErrors;
use crate::saved_run;

/// Evaluate a trained model.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield data generate poisson-1d --samples 200 --set test --out test.h5\n  \
    farfield eval runs/poisson-1d --data test.h5")]
pub struct EvalArgs {
    /// A run directory, or a model file.
    run: PathBuf,
    /// Pairs: an .npz or .h5 file.
    #[arg(long)]
    data: PathBuf,
    /// Name of the input array.
    #[arg(long, default_value = "x")]
    input: String,
    /// Name of the output array.
    #[arg(long, default_value = "y")]
    output: String,
    /// Samples at a time.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<()> {
    if args.batch == 0 {
        return Err(bad_input("--batch 0: at least one sample at a time"));
    }
    let saved = saved_run::open(&args.run)?;
    let dims = saved.model.input_shape().dims();
    let options = OpenOptions {
        dims: Some(dims),
        input: args.input.clone(),
        output: args.output.clone(),
        ..OpenOptions::default()
    };
    let dataset = Dataset::open(&args.data, &options)?;
    dataset.check_finite()?;
    let indices: Vec<usize> = (0..dataset.len()).collect();
    let errors = evaluate(&saved.model, &saved.normalizers, &dataset, &indices, args.batch, saved.precision)?;
    let test = SetErrors::new(&args.data.display().to_string(), &errors);
    if args.json {
        // What the run knows of itself, with the errors on this file in the place of those on its test set.
        let mut output = known_results(&args.run);
        output.insert("run".to_owned(), args.run.display().to_string().into());
        output.insert("model".to_owned(), saved.model.config().kind().into());
        output.insert("parameters".to_owned(), saved.model.num_parameters().into());
        output.insert("slopes".to_owned(), saved.model.slopes().into());
        output.insert("test".to_owned(), serde_json::to_value(&test)?);
        println!("{}", serde_json::Value::Object(output));
        return Ok(());
    }
    println!("{} samples of {}", test.samples, test.set);
    for (name, value) in [
        ("relative L2 (eq. 2)", test.relative_l2),
        ("  median", test.median),
        ("  90 %", test.q90),
        ("  largest", test.max),
        ("trajectory L2 (eq. 3, unweighted)", test.trajectory_l2),
        ("global L2", test.global_l2),
    ] {
        println!("{name:36} {:>9}", format_number(value));
    }
    Ok(())
}

/// The `results.json` of a run directory; empty for a model file alone.
fn known_results(run: &Path) -> serde_json::Map<String, serde_json::Value> {
    let text = std::fs::read_to_string(run.join("results.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
