//! `farfield recover`: a self-adjoint operator from input/output pairs, as an HSS matrix, by a direct algorithm.
//!
//! The proof of theorem 2.3 of Neural-HSS recovers an HSS matrix of rank `r` from `max(leaf + r, 3 r) + p` Gaussian inputs and their outputs; this
//! is that algorithm. It needs inputs that are independent on every leaf: white noise, not sums of a few sine waves. Points where all inputs and all
//! outputs are zero (a boundary that is stored) say nothing about the operator and are left out; the matrix acts on the others.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use farfield_data::{Dataset, OpenOptions};
use farfield_matrix::{Hss, LinearOperator, Matrix, RecoverOptions};
use farfield_nn::{LinearLeastSquares, Samples};
use serde::Serialize;

use super::matrix::AnyMatrix;
use crate::failure::bad_input;
use crate::report::format_number;

/// Recover a linear operator from data.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  farfield data generate poisson-1d --family random-s0 --samples 40 --out pairs.h5\n  \
    farfield recover --data pairs.h5 --samples 20 --out operator.ffm"
)]
pub struct RecoverArgs {
    /// Pairs: an .npz or .h5 file with arrays x and y of shape (samples, [1,] n).
    #[arg(long)]
    data: PathBuf,
    /// Use the first pairs only; the others are a test. Default: all, without a test.
    #[arg(long)]
    samples: Option<usize>,
    /// Leaf size. Default: 4 to 64 are tried.
    #[arg(long)]
    leaf: Option<usize>,
    /// Rank. Default: 1 to 96 are tried, as far as the samples reach.
    #[arg(long)]
    rank: Option<usize>,
    /// Largest relative error on the pairs that are held out.
    #[arg(long, default_value_t = 1e-6, allow_negative_numbers = true)]
    tol: f64,
    /// File for the operator (.ffm).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What `recover` prints. Names are stable.
#[derive(Serialize)]
struct RecoverSummary {
    /// Points of a field that the operator acts on.
    points: usize,
    /// Points that are zero in all pairs, left out.
    zero_points: usize,
    /// Pairs that the operator was made from.
    samples: usize,
    /// Pairs that it was chosen by.
    held_out: usize,
    /// Leaf size and rank.
    leaf_size: usize,
    rank: usize,
    /// Relative error on the held-out pairs.
    held_out_error: f64,
    /// `||S - S^T|| / ||S||`, `S = X^T Y`.
    asymmetry: f64,
    /// Relative error on the pairs beyond `--samples`.
    test_error: Option<f64>,
    /// The same of linear least squares with the smallest norm, from the same pairs.
    least_squares_test_error: Option<f64>,
    /// Seconds of the recovery.
    seconds: f64,
}

/// Runs the command.
pub fn run(args: &RecoverArgs) -> Result<()> {
    if let Some(out) = &args.out
        && !args.force
        && out.exists()
    {
        return Err(bad_input(format!("{}: exists, pass --force to replace it", out.display())));
    }
    let dataset = Dataset::open(&args.data, &OpenOptions { dims: Some(1), ..OpenOptions::default() })?;
    let (input, output) = (dataset.input_shape(), dataset.output_shape());
    if input.channels != 1 || input != output {
        return Err(bad_input(format!(
            "{}: inputs {input} and outputs {output}; recovery needs one channel and equal grids",
            args.data.display()
        )));
    }
    let n = input.points();
    let count = args.samples.unwrap_or(dataset.len());
    if count == 0 || count > dataset.len() {
        return Err(bad_input(format!("--samples {count}: the file has {} pairs", dataset.len())));
    }
    let all: Vec<usize> = (0..dataset.len()).collect();
    let (mut inputs, mut outputs) = (vec![0.0; all.len() * n], vec![0.0; all.len() * n]);
    dataset.read(&all, &mut inputs, &mut outputs)?;
    let columns = |values: &[f64], range: std::ops::Range<usize>| {
        Matrix::from_fn(n, range.len(), |i, j| values[(range.start + j) * n + i])
    };
    let (x, y) = (columns(&inputs, 0..count), columns(&outputs, 0..count));
    let options =
        // Boundary points are zero in all pairs: they stay in place, with zero rows and columns.
        RecoverOptions {
            leaf_size: args.leaf,
            rank: args.rank,
            tolerance: args.tol,
            zero_points: true,
            ..RecoverOptions::default()
        };
    let start = Instant::now();
    let recovered = Hss::recover(&x, &y, None, &options)?;
    let seconds = start.elapsed().as_secs_f64();
    let (test_error, least_squares_test_error) = if count < dataset.len() {
        let (new, truth) = (columns(&inputs, count..dataset.len()), columns(&outputs, count..dataset.len()));
        let part = |indices| Samples { dataset: &dataset, indices };
        let least = LinearLeastSquares::fit(part(&all[..count]))?.evaluate(part(&all[count..]))?;
        (Some(relative(&recovered.matrix.apply(&new)?, &truth)), Some(least.global_l2))
    } else {
        (None, None)
    };
    let summary = RecoverSummary {
        points: n,
        zero_points: recovered.zero_points.len(),
        samples: recovered.samples,
        held_out: recovered.held_out,
        leaf_size: recovered.leaf_size,
        rank: recovered.rank,
        held_out_error: recovered.held_out_error,
        asymmetry: recovered.asymmetry,
        test_error,
        least_squares_test_error,
        seconds,
    };
    if let Some(out) = &args.out {
        AnyMatrix::Hss(recovered.matrix).save(out, &recovered.certificate)?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
        return Ok(());
    }
    println!(
        "recovered a {0} x {0} HSS matrix of rank {1} (leaves of {2}) from {3} pairs in {seconds:.3} s",
        summary.points, summary.rank, summary.leaf_size, summary.samples
    );
    if summary.zero_points > 0 {
        println!("{} points are zero in all pairs: their rows and columns are zero", summary.zero_points);
    }
    println!("relative error on {} held-out pairs  {}", summary.held_out, format_number(summary.held_out_error));
    if let (Some(test), Some(least)) = (test_error, least_squares_test_error) {
        println!("relative error on {} test pairs      {}", dataset.len() - count, format_number(test));
        println!("the same of linear least squares     {}", format_number(least));
    }
    if let Some(out) = &args.out {
        println!("operator: {}", out.display());
    }
    Ok(())
}

/// `||A - B||_F / ||B||_F`.
fn relative(a: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)]).norm_frobenius() / b.norm_frobenius()
}
