//! The command line.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::command::{bench, compress, data, eval, export, matrix, predict, recover, reproduce, train};
use crate::failure::bad_input;

/// Operators whose far field is low-rank: learn them from data, keep them, apply them.
#[derive(Parser, Debug)]
#[command(name = "farfield", version, propagate_version = true)]
#[command(after_help = "Example:\n  farfield train poisson-1d\n  farfield train --data mine.npz")]
pub struct Cli {
    /// Threads. Default: one a core. Results do not depend on it.
    #[arg(long, global = true)]
    threads: Option<usize>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Train a surrogate on a built-in problem or on your own arrays.
    Train(train::TrainArgs),
    /// Evaluate a trained run on a file of pairs.
    Eval(eval::EvalArgs),
    /// Apply a trained run to inputs.
    Predict(predict::PredictArgs),
    /// Write a trained model as npz, safetensors or ONNX for other programs.
    Export(export::ExportArgs),
    /// Generate data sets and look into files.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Hierarchical matrices: build, look into, apply, solve, draw.
    #[command(subcommand)]
    Matrix(matrix::MatrixCommand),
    /// Make a trained network smaller, with a certified error of every weight.
    Compress(compress::CompressArgs),
    /// Restore a dense file from a compressed one.
    Decompress(compress::DecompressArgs),
    /// Recover a linear operator from input/output pairs, without training.
    Recover(recover::RecoverArgs),
    /// Reproduce a table, figure or theorem of the papers.
    Reproduce(reproduce::ReproduceArgs),
    /// Measure training steps against the floor of their arithmetic.
    Bench(bench::BenchArgs),
}

impl Cli {
    /// Runs the command on a pool of its own, so that parallel work starts without delay.
    pub fn run(self) -> Result<()> {
        let mut pool = rayon::ThreadPoolBuilder::new();
        if let Some(threads) = self.threads {
            if threads == 0 {
                return Err(bad_input("--threads 0: at least one thread is needed"));
            }
            pool = pool.num_threads(threads);
        }
        let pool = pool.build().context("cannot start the threads")?;
        pool.install(|| match self.command {
            Command::Train(args) => train::run(&args),
            Command::Eval(args) => eval::run(&args),
            Command::Predict(args) => predict::run(&args),
            Command::Export(args) => export::run(&args),
            Command::Data(command) => data::run(&command),
            Command::Matrix(command) => matrix::run(&command),
            Command::Compress(args) => compress::run(&args),
            Command::Decompress(args) => compress::run_back(&args),
            Command::Recover(args) => recover::run(&args),
            Command::Reproduce(args) => reproduce::run(&args),
            Command::Bench(args) => bench::run(&args),
        })
    }
}
