//! `farfield data generate` and `farfield data inspect`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use farfield_data::{DType, inspect};
use farfield_pde::{Family, PdeError, ProblemOptions, Stream, evolution, evolutions, problem, problems};

use crate::data_cache::{SetRequest, write_set, write_trajectories};
use crate::failure::bad_input;
use crate::report::format_number;
use crate::run_config::{apply_change, one_line};

/// Data sets on disk.
#[derive(Subcommand, Debug)]
pub enum DataCommand {
    /// Generate input/output pairs of a built-in problem into an HDF5 file.
    Generate(GenerateArgs),
    /// List the built-in problems.
    Problems,
    /// Say what is in a file, and how farfield reads it.
    Inspect(InspectArgs),
}

/// Arguments of `data generate`.
#[derive(Args, Debug)]
#[command(after_help = "Problems: see `farfield data problems`\n\n\
    Examples:\n  farfield data generate poisson-2d --samples 500 --family random-s1 --out train.h5\n  \
    farfield data generate burgers-1d --samples 100 --set-option beta=0.01 --out burgers.h5")]
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
    /// An option of the problem, such as beta=0.01 (again for more).
    #[arg(long, value_name = "KEY=VALUE")]
    set_option: Vec<String>,
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
    /// The file: .npz, .npy, .h5, .hdf5, .mat, or a folder of HDF5 files of trajectories.
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
        DataCommand::Problems => {
            list();
            Ok(())
        }
        DataCommand::Inspect(args) => look(args),
    }
}

fn generate(args: &GenerateArgs) -> Result<()> {
    if args.samples == 0 {
        return Err(bad_input("--samples 0: at least one sample is needed"));
    }
    let options = options(args)?;
    let family: Family = args.family.parse()?;
    let stream = match args.set {
        SetName::Train => Stream::Train,
        SetName::Validation => Stream::Validation,
        SetName::Test => Stream::Test,
        SetName::Ood => Stream::OutOfDistribution,
    };
    let dtype = if args.f32 { DType::F32 } else { DType::F64 };
    let request = SetRequest { options: &options, family, stream, seed: args.seed, samples: args.samples, dtype };
    let points = |grid: Vec<usize>| grid.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    if evolutions().iter().any(|(name, _)| *name == args.problem) {
        let evolution = evolution(&args.problem, &options)?;
        write_trajectories(evolution.as_ref(), &request, &args.out, args.force, args.quiet)?;
        let (states, grid) = (evolution.times().len(), points(evolution.grid()));
        println!("{}: {} trajectories of {states} states on {grid} points", args.out.display(), args.samples);
    } else {
        let problem = problem(&args.problem, &options).map_err(|error| match error {
            PdeError::UnknownProblem { .. } => {
                bad_input(format!("unknown problem `{}`: `farfield data problems` lists them", args.problem))
            }
            error => error.into(),
        })?;
        write_set(problem.as_ref(), &request, &args.out, args.force, args.quiet)?;
        println!("{}: {} samples on {} points", args.out.display(), args.samples, points(problem.grid()));
    }
    Ok(())
}

/// The options of the problem from the arguments.
fn options(args: &GenerateArgs) -> Result<ProblemOptions> {
    let mut table = toml::Table::new();
    for change in &args.set_option {
        apply_change(&mut table, change, "--set-option")?;
    }
    let mut options: ProblemOptions = toml::Value::Table(table)
        .try_into()
        .map_err(|e: toml::de::Error| bad_input(format!("--set-option: {}", one_line(&e.to_string()))))?;
    options.n = args.n.or(options.n);
    options.solver_n = args.solver_n.or(options.solver_n);
    options.scheme = args.scheme.clone().or(options.scheme);
    Ok(options)
}

/// Lists the problems.
fn list() {
    println!("maps from one field to another:");
    for (name, title) in problems() {
        println!("  {name:24} {title}");
    }
    println!("evolution equations:");
    for (name, title) in evolutions() {
        println!("  {name:24} {title}");
    }
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
    if let Some(layout) = &summary.layout {
        println!("  layout: {layout}");
    }
    if let Some(set) = &summary.trajectories {
        println!(
            "  {} trajectories of {} states, time {} to {}, fields {} on {}, task {}",
            set.trajectories,
            set.times,
            set.first_time,
            set.last_time,
            set.fields.join(", "),
            set.state,
            set.usual_task
        );
        for (what, names) in [("scalars", &set.scalars), ("not read", &set.skipped)] {
            if !names.is_empty() {
                println!("  {what}: {}", names.join(", "));
            }
        }
    }
    if let Some(mask) = &summary.mask {
        println!("  mask: {} of {} points inside", mask.inside, mask.grid.iter().product::<usize>());
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
