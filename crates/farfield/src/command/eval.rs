//! `farfield eval`: the errors of a trained model on a file of pairs.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use farfield_data::OpenOptions;
use farfield_nn::{Model, Samples, SavedModel, evaluate, rollout};

use crate::failure::bad_input;
use crate::report::format_number;
use crate::results::{COMPLEX_NOTE, SetErrors, parameters_complex, parameters_text};
use crate::rollout_table::{print_rollout, rolled_trajectories};
use crate::saved_run;

/// Evaluate a trained model.
///
/// Trajectories are cut into pairs as those that the model was trained on, and a one-step model is also rolled out over them. Where the
/// file has no mask, the model's own holds.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield data generate poisson-1d --samples 200 --set test --out test.h5\n  \
    farfield eval runs/poisson-1d --data test.h5")]
pub struct EvalArgs {
    /// A run directory, or a model file.
    run: PathBuf,
    /// Pairs or trajectories: an .npz, .h5 or .mat file, or a folder of .h5 files.
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
    let dataset = saved.facts.open(&args.data, &options)?;
    dataset.check_finite()?;
    let indices: Vec<usize> = (0..dataset.len()).collect();
    let SavedModel { model, normalizers, precision, .. } = &saved;
    let errors = evaluate(model, normalizers, &dataset, &indices, args.batch, *precision)?;
    let test = SetErrors::new(&args.data.display().to_string(), &errors);
    let rolled = rolled_trajectories(Samples { dataset: &dataset, indices: &indices })
        .map(|trajectories| rollout(model, normalizers, &dataset, &trajectories, args.batch, *precision))
        .transpose()?;
    let complex = parameters_complex(model);
    if args.json {
        // What the run knows of itself, with the errors on this file in the place of those on its test set.
        let mut output = known_results(&args.run)?;
        output.insert("run".to_owned(), args.run.display().to_string().into());
        output.insert("model".to_owned(), saved.model.config().kind().into());
        output.insert("parameters".to_owned(), saved.model.num_parameters().into());
        if let Some(complex) = complex {
            output.insert("parameters_complex".to_owned(), complex.into());
        }
        output.insert("slopes".to_owned(), saved.model.slopes().into());
        output.insert("test".to_owned(), serde_json::to_value(&test)?);
        output.remove("rollout");
        if let Some(rolled) = &rolled {
            output.insert("rollout".to_owned(), serde_json::to_value(rolled)?);
        }
        println!("{}", serde_json::Value::Object(output));
        return Ok(());
    }
    let kind = saved.model.config().kind();
    println!("{kind}, {} parameters", parameters_text(saved.model.num_parameters(), complex));
    if complex.is_some() {
        println!("{COMPLEX_NOTE}");
    }
    println!("{} samples of {}", test.samples, test.set);
    if let Some(mask) = dataset.mask() {
        println!("errors count the {} of {} points inside of the domain", mask.count(), mask.inside().len());
    }
    for (name, value) in [
        ("relative L2 (eq. 2)", test.relative_l2),
        ("  median", test.median),
        ("  90 %", test.q90),
        ("  largest", test.max),
        ("trajectory L2 (eq. 3, unweighted)", test.trajectory_l2),
        ("global L2", test.global_l2),
        ("VRMSE (The Well)", test.vrmse),
        ("nRMSE (PDEBench)", test.nrmse),
    ] {
        println!("{name:36} {:>9}", format_number(value));
    }
    if let Some(rolled) = &rolled {
        print_rollout(kind, rolled, std::iter::empty());
    }
    Ok(())
}

/// The `results.json` of a run directory; empty for a model file alone, and for a run that has not been evaluated yet.
fn known_results(run: &Path) -> Result<serde_json::Map<String, serde_json::Value>> {
    let path = run.join("results.json");
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .map_err(|error| bad_input(format!("{}: not the results of a run: {error}", path.display()))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(serde_json::Map::new())
        }
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}
