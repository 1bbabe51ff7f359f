//! `farfield compress` and `farfield decompress`.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Result;
use clap::{Args, ValueEnum};
use farfield_compress::{
    CompressOptions, CompressReport, ErrorNorm, Form, Goal, WeightReport, compress_file, decompress_file,
};

use crate::failure::bad_input;
use crate::progress::Progress;

/// Make a trained network smaller, with a certified error of every weight.
#[derive(Args, Debug)]
#[command(
    after_help = "Every weight becomes the cheapest of: dense, truncated SVD, blocks of low rank in reordered rows and columns. Errors are\n\
    proven, rounding included. When nothing pays, the output is the input, and the report says why.\n\n\
    Example:\n  farfield compress model.safetensors --tol 1e-2 --out small.safetensors\n  \
    farfield compress model.safetensors --ratio 4 --skip '*embed*' --layer head.weight=1e-3 --out small.safetensors"
)]
pub struct CompressArgs {
    /// A safetensors file of any framework.
    input: PathBuf,
    /// Relative error that every weight may have; 0 copies every bit.
    #[arg(long, allow_negative_numbers = true, required_unless_present_any = ["ratio", "bytes"], conflicts_with_all = ["ratio", "bytes"])]
    tol: Option<f64>,
    /// In place of a tolerance: size of the input over that of the output. The total squared relative error is made least.
    #[arg(long, conflicts_with = "bytes", allow_negative_numbers = true)]
    ratio: Option<f64>,
    /// In place of a tolerance: size of the output in bytes.
    #[arg(long)]
    bytes: Option<u64>,
    /// Norm of errors.
    #[arg(long, value_enum, default_value_t = Norm::Frobenius)]
    norm: Norm,
    /// Compress only weights whose name fits this pattern (* and ?). May be repeated.
    #[arg(long)]
    select: Vec<String>,
    /// Copy weights whose name fits this pattern. May be repeated.
    #[arg(long)]
    skip: Vec<String>,
    /// Tolerance of single weights, as NAME=TOL; NAME may be a pattern. May be repeated, the last that fits counts.
    #[arg(long, value_parser = layer)]
    layer: Vec<(String, f64)>,
    /// Rows and columns of the smallest blocks, at most.
    #[arg(long, default_value_t = 16)]
    leaf: usize,
    /// Leave rows and columns in their order.
    #[arg(long)]
    no_reorder: bool,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// No progress.
    #[arg(long)]
    quiet: bool,
}

/// Norms of errors.
#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
enum Norm {
    /// Square root of the sum of squares.
    Frobenius,
    /// Largest singular value.
    Spectral,
}

fn layer(text: &str) -> Result<(String, f64), String> {
    let wrong = || format!("{text:?} is not NAME=TOL");
    let (name, tolerance) = text.rsplit_once('=').ok_or_else(wrong)?;
    Ok((name.to_owned(), tolerance.parse().map_err(|_| wrong())?))
}

/// Restore a dense file from a compressed one.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield decompress small.safetensors --out dense.safetensors")]
pub struct DecompressArgs {
    /// A file written by `farfield compress`.
    input: PathBuf,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
    /// Bytes that the dense file may take. Default: 1 GiB, or a hundred times the input.
    #[arg(long)]
    max_bytes: Option<u64>,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn check_output(input: &Path, out: &Path, force: bool) -> Result<()> {
    if let (Ok(from), Ok(to)) = (input.canonicalize(), out.canonicalize())
        && from == to
    {
        return Err(bad_input(format!("{}: is the input itself: choose another --out", out.display())));
    }
    if !force && out.symlink_metadata().is_ok() {
        return Err(bad_input(format!("{}: exists, pass --force to replace it", out.display())));
    }
    Ok(())
}

/// Runs `farfield compress`.
pub fn run(args: &CompressArgs) -> Result<()> {
    check_output(&args.input, &args.out, args.force)?;
    let goal = match (args.tol, args.ratio, args.bytes) {
        (Some(t), None, None) => Goal::Tolerance(t),
        (None, Some(r), None) => Goal::Ratio(r),
        (None, None, Some(b)) => Goal::Bytes(b),
        _ => return Err(bad_input("pass one of --tol, --ratio and --bytes")),
    };
    let options = CompressOptions {
        norm: if args.norm == Norm::Spectral { ErrorNorm::Spectral } else { ErrorNorm::Frobenius },
        select: args.select.clone(),
        skip: args.skip.clone(),
        layers: args.layer.clone(),
        leaf_size: args.leaf,
        reorder: !args.no_reorder,
        ..CompressOptions::new(goal)
    };
    let progress = Mutex::new(Progress::new(1, "compressing weights", args.quiet || args.json));
    let report = compress_file(&args.input, &args.out, &options, &|done, total| {
        if let Ok(mut progress) = progress.lock() {
            progress.resize(total as u64);
            progress.at(done as u64, String::new);
        }
    })?;
    if let Ok(progress) = progress.lock() {
        progress.done();
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else if !args.quiet {
        print(&report, &args.out);
    }
    Ok(())
}

/// Runs `farfield decompress`.
pub fn run_back(args: &DecompressArgs) -> Result<()> {
    check_output(&args.input, &args.out, args.force)?;
    let report = decompress_file(&args.input, &args.out, args.max_bytes)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        let (weights, copied) = (report.weights.len(), report.copied_tensors);
        println!(
            "{}: {} bytes, {weights} weights restored, {copied} tensors copied",
            args.out.display(),
            report.output_bytes
        );
    }
    Ok(())
}

fn print(report: &CompressReport, out: &Path) {
    let width = report.weights.iter().map(|w| w.name.chars().count()).max().unwrap_or(0).clamp(6, 60);
    println!(
        "{:width$}  {:>16}  {:11}  {:>11}  {:>11}  {:>9}  why",
        "weight", "shape", "form", "before", "after", "error"
    );
    for weight in &report.weights {
        let shape = weight.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        println!(
            "{:width$}  {shape:>16}  {:11}  {:>11}  {:>11}  {:>9.2e}  {}",
            weight.name,
            form(weight),
            weight.bytes_before,
            weight.bytes,
            weight.error,
            weight.reason
        );
    }
    let norm = match report.norm {
        ErrorNorm::Frobenius => "Frobenius",
        ErrorNorm::Spectral => "spectral",
    };
    println!(
        "{} other tensors copied ({} bytes). Errors are relative, {norm}, proven.",
        report.other_tensors, report.other_bytes
    );
    let (before, after) = (report.input_bytes, report.output_bytes);
    if report.copied {
        println!("Nothing pays: {} is a copy of the input, {after} bytes.", out.display());
    } else {
        println!("{}: {before} -> {after} bytes, {:.2} times smaller.", out.display(), before as f64 / after as f64);
    }
}

fn form(weight: &WeightReport) -> String {
    let blocks = weight.blocks.map_or(0, |[dense, low]| dense + low);
    match weight.form {
        Form::Dense => "dense".to_owned(),
        Form::Svd => format!("svd {}", weight.max_rank.unwrap_or(0)),
        Form::H => format!("h {blocks}"),
        Form::HReordered => format!("h* {blocks}"),
    }
}
