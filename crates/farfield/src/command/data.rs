//! `farfield data generate` and `farfield data inspect`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use farfield_data::{DType, inspect};
use farfield_pde::{Family, ProblemOptions, Stream, problem};

use crate::data_cache::{SetRequest, write_set};
use crate::failure::bad_input;
use crate::report::format_number;

/// Data sets on disk.
#[derive(Subcommand, Debug)]
pub enum DataCommand {
    /// Generate input/output pairs of a built-in problem into an HDF5 file.
    Generate(GenerateArgs),
    /// Say what is in a file, and how farfield reads it.
    Inspect(InspectArgs),
}

/// Arguments of `data generate`.
#[derive(Args, Debug)]
#[command(after_help = "Problems: poisson-1d, poisson-1d-neumann, poisson-2d, poisson-3d\n\n\
    Example:\n  farfield data generate poisson-2d --samples 500 --family random-s1 --out train.h5")]
pub struct GenerateArgs {
    /// The problem.
    problem: String,
    /// Number of samples.
    #[arg(long)]
    samples: u64,
    /// File to write (.h5).
    #[arg(long)]
    out: PathBuf,
    /// Right-hand sides: paper, random-s0, random-s1, random-s2.
    #[arg(long, default_value = "paper")]
    family: String,
    /// Seed of the data.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Which of the independent sets of this seed.
    #[arg(long, value_enum, default_value_t = SetName::Train)]
    set: SetName,
    /// Points an axis of the stored grid. Default: the paper's.
    #[arg(long)]
    n: Option<usize>,
    /// Points an axis of the solver's grid (family paper).
    #[arg(long)]
    solver_n: Option<usize>,
    /// Discretisation. Default: see the documentation of the problem.
    #[arg(long)]
    scheme: Option<String>,
    /// Store 32-bit numbers. Default: 64-bit.
    #[arg(long)]
    f32: bool,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    /// No progress.
    #[arg(long)]
    quiet: bool,
}

/// The independent sets of one seed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SetName {
    Train,
    Validation,
    Test,
    Ood,
}

/// Arguments of `data inspect`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield data inspect mine.npz --json")]
pub struct InspectArgs {
    /// The file: .npz, .npy, .h5.
    file: PathBuf,
    /// Dimension of the grid, where the shapes leave it open.
    #[arg(long)]
    dims: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: &DataCommand) -> Result<()> {
    match command {
        DataCommand::Generate(args) => generate(args),
        DataCommand::Inspect(args) => look(args),
    }
}

fn generate(args: &GenerateArgs) -> Result<()> {
    if args.samples == 0 {
        return Err(bad_input("--samples 0: at least one sample is needed"));
    }
    let options =
        ProblemOptions { n: args.n, solver_n: args.solver_n, scheme: args.scheme.clone(), ..ProblemOptions::default() };
    let problem = problem(&args.problem, &options)?;
    let family: Family = args.family.parse()?;
    let stream = match args.set {
        SetName::Train => Stream::Train,
        SetName::Validation => Stream::Validation,
        SetName::Test => Stream::Test,
        SetName::Ood => Stream::OutOfDistribution,
    };
    let dtype = if args.f32 { DType::F32 } else { DType::F64 };
    let request = SetRequest { options: &options, family, stream, seed: args.seed, samples: args.samples, dtype };
    write_set(problem.as_ref(), &request, &args.out, args.force, args.quiet)?;
    let grid = problem.grid().iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    println!("{}: {} samples on {grid} points", args.out.display(), args.samples);
    Ok(())
}

fn look(args: &InspectArgs) -> Result<()> {
    let summary = inspect(&args.file, args.dims)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
        return Ok(());
    }
    println!("{}", args.file.display());
    for array in &summary.arrays {
        let shape = array.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), format_number);
        println!(
            "  {:12} {:20} {:5} min {:>9} max {:>9} mean {:>9}{}",
            array.name,
            shape,
            array.dtype,
            number(array.min),
            number(array.max),
            number(array.mean),
            if array.non_finite > 0 { format!("  {} NaN or infinite", array.non_finite) } else { String::new() }
        );
    }
    for (name, value) in &summary.attributes {
        println!("  {name}: {value}");
    }
    match (&summary.pairs, &summary.problem) {
        (Some(pairs), _) => {
            println!("  read as {} samples, input {}, output {}", pairs.samples, pairs.input, pairs.output);
        }
        (None, Some(problem)) => println!("  not a data set: {problem}"),
        (None, None) => println!("  no pair of arrays x and y"),
    }
    Ok(())
}
