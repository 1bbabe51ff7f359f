//! `farfield train`: from nothing, or from the user's arrays, to a trained, evaluated, saved surrogate.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use farfield_nn::config::{DeviceKind, MapKind, OptimizerKind, Precision};
use farfield_nn::lbfgs::StopReason;
use farfield_nn::model_file::save_with;
use farfield_nn::{
    AnyModel, AnyModelConfig, DataFacts, Ending, EpochMetrics, Evaluation, MODEL_KINDS, Model, Normalizers, Rollout,
    Trainer, UnrolledSamples, evaluate, fit_normalizers, rollout,
};

use crate::baselines;
use crate::failure::bad_input;
use crate::memory::peak_mib;
use crate::progress::Progress;
use crate::report::format_number;
use crate::results::{COMPLEX_NOTE, Comparator, Results, SetErrors, parameters_complex, parameters_text};
use crate::rollout_table::{print_rollout, rolled_trajectories};
use crate::run_config::{Request, RunConfig};
use crate::run_dir::RunDir;
use crate::run_report;
use crate::sets::{Part, Sets};

/// Samples of an evaluation at a time, at most.
const EVALUATION_BATCH: usize = 256;

/// Train a surrogate.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  farfield train poisson-1d\n  farfield train poisson-2d --family random-s1 --seed 3\n  \
    farfield train --data mine.npz --set train.epochs=200\n  farfield train --config run.toml --out runs/first\n  \
    farfield train --resume runs/first"
)]
pub struct TrainArgs {
    /// A built-in problem; `farfield data problems` lists them.
    problem: Option<String>,
    /// Your own pairs: an .npz or .h5 file with arrays x and y of shape (samples, [channel,] n[, n[, n]]).
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// A TOML file with tables [problem], [data], [model], [train].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change one key, such as train.epochs=100 (again for more).
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Continue an interrupted run, to the same bits as if it had not been.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["problem", "data", "config", "set", "out"])]
    resume: Option<PathBuf>,
    /// Kind of model; keys of [model] by --set, as model.hidden_channels=16.
    #[arg(long, value_parser = PossibleValuesParser::new(MODEL_KINDS))]
    model: Option<String>,
    /// Family of the training set: paper, random-s0, random-s1, random-s2.
    #[arg(long)]
    family: Option<String>,
    /// Training samples of a built-in problem.
    #[arg(long)]
    samples: Option<u64>,
    /// Passes over the training set.
    #[arg(long, conflicts_with = "steps")]
    epochs: Option<usize>,
    /// Optimiser steps, instead of epochs.
    #[arg(long)]
    steps: Option<u64>,
    /// Seed of the weights and of the order of samples.
    #[arg(long)]
    seed: Option<u64>,
    /// Float type.
    #[arg(long, value_enum)]
    precision: Option<PrecisionName>,
    /// Where to compute.
    #[arg(long, value_enum)]
    device: Option<DeviceName>,
    /// Run directory. Default: the first free of runs/NAME, runs/NAME-2, ...
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the run in --out.
    #[arg(long)]
    force: bool,
    /// Other kinds of models to train beside it, or none. Default: block-diagonal,dense in 1D, none otherwise.
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(MODEL_KINDS.into_iter().chain(["none"])))]
    compare: Option<Vec<String>>,
    /// Print one JSON object with the results.
    #[arg(long)]
    json: bool,
    /// No progress, no table.
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PrecisionName {
    F32,
    F64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DeviceName {
    Cpu,
    Cuda,
    Wgpu,
}

/// Runs the command.
pub fn run(args: &TrainArgs) -> Result<()> {
    let stop = stop_on_interrupt()?;
    let quiet = args.quiet || args.json;
    let (config, dir) = match &args.resume {
        Some(run) => {
            let dir = RunDir::open(run)?;
            refuse_changes(args)?;
            (dir.config()?, Some(dir))
        }
        None => (configuration(args)?, None),
    };
    if let Some(out) = &args.out {
        RunDir::check(out, args.force)?;
    }
    // The data and the model come before the directory: what is refused must not leave an empty run behind.
    let sets = Sets::open(&config, quiet)?;
    let resume = dir.is_some();
    let dir = match dir {
        Some(dir) => dir,
        None => {
            build_model(&config, &config.model, &sets)?;
            UnrolledSamples::new(sets.train.samples(), config.train.unroll)?;
            let dir = RunDir::create(args.out.as_deref(), &run_name(&config), args.force)?;
            dir.write("config.toml", config.to_toml()?.as_bytes())?;
            dir
        }
    };
    let results = train(&config, &dir, &sets, resume, &compared(args, &config)?, &stop, quiet)?;
    if args.json {
        println!("{}", serde_json::to_string(&results)?);
    } else if !args.quiet {
        print_table(&results);
    }
    Ok(())
}

/// A resumed run continues as it was begun.
fn refuse_changes(args: &TrainArgs) -> Result<()> {
    let given = [
        ("--model", args.model.is_some()),
        ("--family", args.family.is_some()),
        ("--samples", args.samples.is_some()),
        ("--epochs", args.epochs.is_some()),
        ("--steps", args.steps.is_some()),
        ("--seed", args.seed.is_some()),
        ("--precision", args.precision.is_some()),
        ("--device", args.device.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((flag, _)) => {
            Err(bad_input(format!("{flag} cannot be changed with --resume: the run continues as it was begun")))
        }
        None => Ok(()),
    }
}

/// The configuration that the arguments describe.
fn configuration(args: &TrainArgs) -> Result<RunConfig> {
    let mut set = args.set.clone();
    if args.family.is_some() || args.samples.is_some() {
        if args.data.is_some() {
            return Err(bad_input("--family and --samples belong to built-in problems, not to --data"));
        }
        set.extend(args.family.iter().map(|family| format!("problem.family=\"{family}\"")));
        set.extend(args.samples.iter().map(|samples| format!("problem.samples={samples}")));
    }
    set.extend(args.model.iter().map(|kind| format!("model.kind=\"{kind}\"")));
    set.extend(args.epochs.iter().map(|epochs| format!("train.epochs={epochs}")));
    set.extend(args.steps.iter().map(|steps| format!("train.steps={steps}")));
    set.extend(args.seed.iter().map(|seed| format!("train.seed={seed}")));
    let request = Request { problem: args.problem.clone(), data: args.data.clone(), config: args.config.clone(), set };
    let mut config = RunConfig::resolve(&request)?;
    if args.epochs.is_some() {
        config.train.steps = None;
    }
    if let Some(precision) = args.precision {
        config.train.precision = match precision {
            PrecisionName::F32 => Precision::F32,
            PrecisionName::F64 => Precision::F64,
        };
    }
    if let Some(device) = args.device {
        config.train.device = match device {
            DeviceName::Cpu => DeviceKind::Cpu,
            DeviceName::Cuda => DeviceKind::Cuda,
            DeviceName::Wgpu => DeviceKind::Wgpu,
        };
    }
    config.train.validate()?;
    config.train.device.open()?;
    Ok(config)
}

/// The name of the run directory.
fn run_name(config: &RunConfig) -> String {
    match (&config.problem, &config.data.path) {
        (Some(problem), _) => problem.name.clone(),
        (None, Some(path)) => path.file_stem().map_or("run".to_owned(), |s| s.to_string_lossy().into_owned()),
        (None, None) => "run".to_owned(),
    }
}

/// The models to train beside the model.
fn compared(args: &TrainArgs, config: &RunConfig) -> Result<Vec<AnyModelConfig>> {
    let one_dimensional = config.problem.as_ref().is_some_and(|p| p.name.contains("1d"));
    let chosen: Vec<&str> = match &args.compare {
        Some(names) => names.iter().map(String::as_str).collect(),
        None if one_dimensional && config.model.neural_hss().is_some() => vec!["block-diagonal", "dense"],
        None => Vec::new(),
    };
    let kinds = chosen.into_iter().filter(|&kind| kind != "none" && kind != config.model.kind());
    kinds.map(|kind| config.other_model(kind)).collect()
}

/// A flag that Ctrl-C raises. A second Ctrl-C ends the process.
pub fn stop_on_interrupt() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(stop)
}

/// A model for these sets.
pub fn build_model(config: &RunConfig, model: &AnyModelConfig, sets: &Sets) -> Result<AnyModel> {
    let (input, output) = (sets.train.dataset.input_shape(), sets.train.dataset.output_shape());
    let mut model = model.clone();
    // The user's fields may have channels or different grids: then only a tensor map, or a map between grids, fits.
    if let AnyModelConfig::NeuralHss(model) = &mut model
        && config.problem.is_none()
        && model.lift == MapKind::None
        && model.project == MapKind::None
    {
        let channels = input.channels > 1 || output.channels > 1;
        if channels {
            model.lift = MapKind::Tensor;
            model.project = MapKind::Tensor;
        } else if input.grid != output.grid && input.dims() == output.dims() {
            model.project = MapKind::Hss;
        }
    }
    let device = config.train.device.open()?.autodiff();
    Ok(model.build(input, output, config.train.seed, &device, config.train.precision.dtype())?)
}

/// What training gave.
pub struct Trained {
    /// The model at its end.
    pub model: AnyModel,
    /// Scalings of the data.
    pub normalizers: Normalizers,
    /// Seconds of training.
    pub seconds: f64,
    /// Steps taken.
    pub steps: u64,
    /// Whether early stopping ended it.
    pub stopped_early: bool,
    /// Why L-BFGS ended before its last iteration, if it did.
    pub lbfgs_stopped: Option<StopReason>,
    /// Method of training.
    pub optimizer: OptimizerKind,
    /// What `train.optimizer = "auto"` chose and why.
    pub choice: Option<String>,
}

/// Trains a model of a configuration; in `dir` if there is one.
pub fn fit(
    config: &RunConfig,
    model: &AnyModelConfig,
    sets: &Sets,
    dir: Option<(&RunDir, bool)>,
    stop: &AtomicBool,
    quiet: bool,
) -> Result<Trained> {
    let network = build_model(config, model, sets)?;
    let normalizers = fit_normalizers(&config.train, sets.train.samples())?;
    let train = config.train.clone();
    let mut trainer = match dir {
        Some((dir, true)) => Trainer::resume(network, normalizers, train, dir.path())?,
        Some((dir, false)) => Trainer::new(network, normalizers, train)?.in_directory(dir.path()),
        None => Trainer::new(network, normalizers, train)?,
    };
    let (optimizer, choice) = (trainer.config().optimizer, trainer.choice().map(str::to_owned));
    if let (Some(choice), false) = (&choice, quiet) {
        eprintln!("optimizer: {choice}");
    }
    let unrolled = UnrolledSamples::new(sets.train.samples(), config.train.unroll)?;
    let total = config.train.total_steps(unrolled.samples().indices.len());
    let what = if dir.is_some() { "training".to_owned() } else { format!("training {}", model.kind()) };
    let progress = Progress::new(total, &what, quiet);
    let ending =
        trainer.fit(sets.train.samples(), sets.validation.as_ref().map(|v| v.samples()), stop, &mut |now| {
            progress.at(now.step, || format!("epoch {} of {}, loss {:.3e}", now.epoch, now.epochs, now.loss));
        })?;
    progress.done();
    let (seconds, steps) = (trainer.position().seconds, trainer.position().step);
    if ending == Ending::Interrupted {
        let advice = match dir {
            Some((dir, _)) => format!("continue with: farfield train --resume {}", dir.path().display()),
            None => "it was trained for comparison, and nothing of it is kept; the run itself is, farfield train --resume continues".to_owned(),
        };
        anyhow::bail!("interrupted at step {steps} of {total}: {advice}");
    }
    let normalizers = trainer.normalizers().clone();
    let (stopped_early, lbfgs_stopped) = (ending == Ending::EarlyStop, trainer.stop_reason());
    let model = trainer.into_model();
    Ok(Trained { model, normalizers, seconds, steps, stopped_early, lbfgs_stopped, optimizer, choice })
}

impl Trained {
    /// Errors on a set.
    pub fn evaluate(&self, config: &RunConfig, part: &Part) -> Result<Evaluation> {
        let (batch, precision) = (config.train.batch_size.min(EVALUATION_BATCH), config.train.precision);
        Ok(evaluate(&self.model, &self.normalizers, &part.dataset, &part.indices, batch, precision)?)
    }

    /// The model rolled out over the trajectories of a set, if it is one of single steps.
    pub fn rollout(&self, config: &RunConfig, part: &Part) -> Result<Option<Rollout>> {
        let Some(indices) = rolled_trajectories(part.samples()) else { return Ok(None) };
        let (batch, precision) = (config.train.batch_size.min(EVALUATION_BATCH), config.train.precision);
        Ok(Some(rollout(&self.model, &self.normalizers, &part.dataset, &indices, batch, precision)?))
    }
}

/// A trained model measured on the test sets.
pub struct Assessment {
    /// What `results.json` holds, without other predictors.
    pub results: Results,
    /// Errors on the test set.
    pub test: Evaluation,
    /// Errors out of distribution.
    pub ood: Option<Evaluation>,
}

/// Saves the model of a run and measures it on the test sets.
pub fn assess(config: &RunConfig, dir: &RunDir, sets: &Sets, trained: &Trained) -> Result<Assessment> {
    let train = &config.train;
    let facts = DataFacts::of(&sets.train.dataset);
    save_with(&dir.model_file(), &trained.model, &trained.normalizers, train.precision, &facts)?;
    let test = trained.evaluate(config, &sets.test)?;
    let ood = sets.ood.as_ref().map(|part| trained.evaluate(config, part)).transpose()?;
    let mut notes = sets.notes.clone();
    notes.extend(trained.choice.iter().map(|choice| format!("train.optimizer = \"auto\" chose {choice}.")));
    if trained.stopped_early {
        notes.push(format!(
            "Training stopped early at step {}: the parameters are those of the best validation.",
            trained.steps
        ));
    }
    if let Some(reason) = trained.lbfgs_stopped {
        notes.push(format!("L-BFGS ended at step {}, before its last iteration: {reason}.", trained.steps));
    }
    let results = Results {
        run: dir.path().display().to_string(),
        model: config.model.kind().to_owned(),
        parameters: trained.model.num_parameters(),
        parameters_complex: parameters_complex(&trained.model),
        samples: sets.train.indices.len(),
        seconds: trained.seconds,
        optimizer: trained.optimizer,
        steps: trained.steps,
        seed: train.seed,
        precision: if train.precision == Precision::F64 { "f64" } else { "f32" }.to_owned(),
        slopes: trained.model.slopes(),
        peak_mib: peak_mib(),
        test: SetErrors::new(&sets.test.name, &test),
        ood: ood.as_ref().zip(sets.ood.as_ref()).map(|(e, part)| SetErrors::new(&part.name, e)),
        rollout: trained.rollout(config, &sets.test)?,
        baselines: BTreeMap::new(),
        notes,
    };
    Ok(Assessment { results, test, ood })
}

/// The whole run: train, evaluate, compare, save, report.
pub fn train(
    config: &RunConfig,
    dir: &RunDir,
    sets: &Sets,
    resume: bool,
    compare: &[AnyModelConfig],
    stop: &AtomicBool,
    quiet: bool,
) -> Result<Results> {
    if !quiet {
        eprintln!("run {}", dir.path().display());
    }
    let trained = fit(config, &config.model, sets, Some((dir, resume)), stop, quiet)?;
    let Assessment { mut results, test, ood } = assess(config, dir, sets, &trained)?;
    let mut comparators: BTreeMap<String, Comparator> = baselines::all(config, sets)?;
    for model in compare {
        let kind = model.kind();
        let name = match kind {
            "dense" => "dense network of the same depth, trained alike".to_owned(),
            "block-diagonal" => "block-diagonal network (rank 0), trained alike".to_owned(),
            _ => format!("{kind}, trained alike"),
        };
        let key = format!("network_{}", kind.replace('-', "_"));
        let start = Instant::now();
        let other = fit(config, model, sets, None, stop, quiet)?;
        let seconds = start.elapsed().as_secs_f64();
        comparators.insert(
            key,
            Comparator {
                name,
                parameters: Some(other.model.num_parameters()),
                parameters_complex: parameters_complex(&other.model),
                relative_l2: other.evaluate(config, &sets.test)?.relative_l2,
                ood_relative_l2: sets
                    .ood
                    .as_ref()
                    .map(|part| other.evaluate(config, part))
                    .transpose()?
                    .map(|e| e.relative_l2),
                rollout: other.rollout(config, &sets.test)?.map(|rollout| rollout.model),
                seconds,
            },
        );
    }

    results.baselines = comparators;
    dir.write("results.json", &serde_json::to_vec_pretty(&results)?)?;
    let metrics: Vec<EpochMetrics> = farfield_nn::trainer::read_metrics(dir.path())?;
    let report = run_report::Inputs { config, sets, trained: &trained, results: &results, metrics: &metrics };
    run_report::write(&report, &test, ood.as_ref(), dir)?;
    Ok(results)
}

/// The results as a table on standard output.
fn print_table(results: &Results) {
    let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), format_number);
    println!();
    println!("{:52} {:>18} {:>9} {:>9} {:>8}", "relative L2 error", "parameters", "test", "ood", "seconds");
    let row = |name: &str, parameters: Option<String>, test: f64, ood: Option<f64>, seconds: f64| {
        let parameters = parameters.unwrap_or_else(|| "-".to_owned());
        println!("{name:52} {parameters:>18} {:>9} {:>9} {seconds:>8.2}", format_number(test), number(ood));
    };
    let ood = results.ood.as_ref().map(|o| o.relative_l2);
    let own = parameters_text(results.parameters, results.parameters_complex);
    row(&results.model, Some(own), results.test.relative_l2, ood, results.seconds);
    for other in results.baselines.values() {
        let parameters = other.parameters.map(|parameters| parameters_text(parameters, other.parameters_complex));
        row(&other.name, parameters, other.relative_l2, other.ood_relative_l2, other.seconds);
    }
    let complex = results.baselines.values().map(|other| other.parameters_complex);
    if complex.chain([results.parameters_complex]).any(|c| c.is_some()) {
        println!("{COMPLEX_NOTE}");
    }
    if let Some(rollout) = &results.rollout {
        let others =
            results.baselines.values().filter_map(|other| Some((other.name.as_str(), other.rollout.as_ref()?)));
        print_rollout(&results.model, rollout, others);
    }
    println!();
    println!("test set: {}, {} samples", results.test.set, results.test.samples);
    let [vrmse, nrmse] = [results.test.vrmse, results.test.nrmse].map(format_number);
    println!("on it: VRMSE {vrmse}, nRMSE {nrmse}, global L2 {}", format_number(results.test.global_l2));
    if let Some(ood) = &results.ood {
        println!("ood set:  {}, {} samples", ood.set, ood.samples);
    }
    if !results.slopes.is_empty() {
        let slopes: Vec<String> = results.slopes.iter().map(|s| format!("{s:.4}")).collect();
        println!("slopes of the activations: {}", slopes.join(", "));
    }
    if let Some(peak) = results.peak_mib {
        println!("{} steps, peak memory {peak:.0} MiB", results.steps);
    }
    for note in &results.notes {
        println!("note: {note}");
    }
    println!("report: {}/report.html", results.run);
}
