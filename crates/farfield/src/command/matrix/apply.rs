//! `farfield matrix apply`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use super::any_matrix::AnyMatrix;
use super::{read_vectors, save_vectors};

/// Multiply vectors by a matrix.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield matrix apply k.ffm --input x.npy --output y.npy")]
pub struct ApplyArgs {
    /// The matrix file.
    matrix: PathBuf,
    /// Vectors of shape (n,) or (n, vectors): .npy, .npz or .h5.
    #[arg(long)]
    input: PathBuf,
    /// Name of the array in the input. Default: the only one, or x.
    #[arg(long)]
    name: Option<String>,
    /// Where to write the products (array y).
    #[arg(long)]
    output: PathBuf,
    /// Multiply by the transpose.
    #[arg(long)]
    transpose: bool,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub fn run(args: &ApplyArgs) -> Result<()> {
    let (matrix, _) = AnyMatrix::load(&args.matrix)?;
    let operator = matrix.operator();
    let rows = if args.transpose { operator.nrows() } else { operator.ncols() };
    let (x, single) = read_vectors(&args.input, args.name.as_deref(), rows)?;
    let start = Instant::now();
    let y = if args.transpose { operator.apply_transpose(&x)? } else { operator.apply(&x)? };
    let seconds = start.elapsed().as_secs_f64();
    save_vectors(&args.output, "y", &y, single, args.force)?;
    println!("{}: {} vectors in {seconds:.3} s", args.output.display(), y.ncols());
    Ok(())
}
