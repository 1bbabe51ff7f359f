//! `farfield predict`: a trained model applied to inputs in a file.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use farfield_data::{Array, ArrayData, read_array, save_array};
use farfield_nn::Model;
use farfield_nn::config::Precision;

use crate::failure::bad_input;
use crate::saved_run;

/// Apply a trained model.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield predict runs/poisson-1d --input f.npy --output u.npy")]
pub struct PredictArgs {
    /// A run directory, or a model file.
    run: PathBuf,
    /// Inputs of shape (samples, [channel,] n[, n[, n]]), or one sample: .npy, .npz or .h5.
    #[arg(long)]
    input: PathBuf,
    /// Name of the array in the input. Default: the only one, or x.
    #[arg(long)]
    name: Option<String>,
    /// Where to write the outputs (array y): .npy, .npz or .h5.
    #[arg(long)]
    output: PathBuf,
    /// Samples at a time.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// What stands at points outside of the domain, for a model that was trained with a mask.
    #[arg(long, value_enum, default_value_t = Outside::Nan)]
    outside: Outside,
    /// Replace an existing output file.
    #[arg(long)]
    force: bool,
}

/// What is written for points where the model predicts nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Outside {
    /// Not a number: nothing is mistaken for a prediction.
    Nan,
    /// Zero, as in the data of the built-in problems.
    Zero,
}

/// Runs the command.
pub fn run(args: &PredictArgs) -> Result<()> {
    if args.batch == 0 {
        return Err(bad_input("--batch 0: at least one sample at a time"));
    }
    let saved = saved_run::open(&args.run)?;
    let array = read_array(&args.input, args.name.as_deref())?;
    let (input, output) = (saved.model.input_shape(), saved.model.output_shape());
    let with_channels: Vec<usize> = std::iter::once(input.channels).chain(input.grid.iter().copied()).collect();
    let shape = &array.shape[..];
    let (samples, channels, batched) = if shape == input.grid && input.channels == 1 {
        (1, false, false)
    } else if shape == with_channels {
        (1, true, false)
    } else if shape.len() > 1 && shape[1..] == input.grid && input.channels == 1 {
        (shape[0], false, true)
    } else if shape.len() > 1 && shape[1..] == with_channels {
        (shape[0], true, true)
    } else {
        return Err(bad_input(format!(
            "{}: array of shape {shape:?} does not fit the model, whose inputs are {input} (channels x grid)",
            args.input.display()
        )));
    };
    if samples == 0 {
        return Err(bad_input(format!("{}: the array is empty", args.input.display())));
    }
    let x: Vec<f64> = array.data.to_vec();
    if let Some(i) = x.iter().position(|v| !v.is_finite()) {
        let (sample, index) = (i / input.len(), i % input.len());
        return Err(bad_input(format!(
            "{}: sample {sample}, flat index {index}: the value is {}",
            args.input.display(),
            x[i]
        )));
    }
    let mut y = saved_run::apply(&saved, &x, args.batch)?;
    if let Some(mask) = &saved.facts.mask {
        mask.fill_outside(&mut y, if args.outside == Outside::Nan { f64::NAN } else { 0.0 });
    }
    let mut shape: Vec<usize> = Vec::new();
    if batched {
        shape.push(samples);
    }
    if channels || output.channels > 1 {
        shape.push(output.channels);
    }
    shape.extend(&output.grid);
    let data = match saved.precision {
        Precision::F32 => ArrayData::F32(y.iter().map(|&v| v as f32).collect()),
        Precision::F64 => ArrayData::F64(y),
    };
    save_array(&args.output, "y", &Array { shape, data }, args.force)?;
    println!("{}: {samples} samples", args.output.display());
    if saved.facts.evolution.as_ref().is_some_and(|evolution| evolution.residual) {
        println!("outputs are changes of the state: add them to the inputs");
    }
    Ok(())
}
