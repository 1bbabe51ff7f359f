//! `farfield export`: a trained model as a file for other programs.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use farfield_data::DataError;
use farfield_nn::export::{ExportFormat, export, meaning};
use farfield_nn::{Model, NnError};

use crate::failure::bad_input;
use crate::saved_run;

/// Write a trained model for other programs.
#[derive(Args, Debug)]
#[command(after_help = "Formats:\n  \
    npz          parameters, scaling and configuration, for NumPy\n  \
    safetensors  the same, for PyTorch and others\n  \
    onnx         the whole computation, for onnxruntime and others: x [batch, channels, grid] to y, in physical units\n\n\
    Example:\n  farfield export runs/poisson-1d --format onnx --out poisson.onnx")]
pub struct ExportArgs {
    /// A run directory, or a model file.
    run: PathBuf,
    /// npz, safetensors or onnx.
    #[arg(long)]
    format: String,
    /// File to write. Default: export.FORMAT in the run directory, or beside the model file.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    /// Print what was written as a JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &ExportArgs) -> Result<()> {
    let format: ExportFormat = args
        .format
        .parse()
        .map_err(|_| bad_input(format!("--format {:?}: the formats are {}", args.format, formats())))?;
    let saved = saved_run::open(&args.run)?;
    let source = saved_run::model_file(&args.run);
    let out = args.out.clone().unwrap_or_else(|| source.with_file_name(format!("export.{format}")));
    if let (Ok(from), Ok(to)) = (source.canonicalize(), out.canonicalize())
        && from == to
    {
        return Err(bad_input(format!("{}: is the model itself: choose another --out", out.display())));
    }
    export(&saved, format, &out, args.force).map_err(|error| match error {
        // A place where no file can be is the wrong --out; a disk that is full is not.
        NnError::Data(DataError::Io { action: "create", error: ref cause, .. })
            if cause.kind() != std::io::ErrorKind::StorageFull =>
        {
            bad_input(error.to_string())
        }
        other => other.into(),
    })?;
    let bytes = std::fs::metadata(&out).map_or(0, |m| m.len());
    let (kind, parameters) = (saved.model.config().kind(), saved.model.num_parameters());
    if args.json {
        let written = serde_json::json!({
            "path": out, "format": format.name(), "model": kind, "parameters": parameters, "bytes": bytes,
            "output": meaning(&saved),
        });
        println!("{written}");
        return Ok(());
    }
    println!("{}: {kind}, {parameters} parameters, {bytes} bytes; y is {}", out.display(), meaning(&saved));
    Ok(())
}

fn formats() -> String {
    ExportFormat::ALL.map(ExportFormat::name).join(", ")
}
