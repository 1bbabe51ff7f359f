//! `farfield matrix`: hierarchical matrices on the command line.

mod any_matrix;
mod apply;
mod bench;
mod build;
mod info;
mod plot;
mod solve;

use std::path::Path;

use anyhow::Result;
use clap::Subcommand;
use farfield_data::{Array, ArrayData, read_array, save_array};
use farfield_matrix::Matrix;

pub use any_matrix::AnyMatrix;

use crate::failure::bad_input;

/// Hierarchical matrices: build, look into, apply, solve, draw.
#[derive(Subcommand, Debug)]
pub enum MatrixCommand {
    /// Build a hierarchical matrix from a kernel and points, or from a dense matrix.
    Build(build::BuildArgs),
    /// Say what is in a matrix file: format, ranks, memory, certificate.
    Info(info::InfoArgs),
    /// Multiply vectors by a matrix.
    Apply(apply::ApplyArgs),
    /// Solve linear systems with a matrix.
    Solve(solve::SolveArgs),
    /// Draw the block structure, coloured by rank.
    Plot(plot::PlotArgs),
    /// Time the matrices on which hierarchical libraries are compared.
    Bench(bench::BenchArgs),
}

/// Runs the command.
pub fn run(command: &MatrixCommand) -> Result<()> {
    match command {
        MatrixCommand::Build(args) => build::run(args),
        MatrixCommand::Info(args) => info::run(args),
        MatrixCommand::Apply(args) => apply::run(args),
        MatrixCommand::Solve(args) => solve::run(args),
        MatrixCommand::Plot(args) => plot::run(args),
        MatrixCommand::Bench(args) => bench::run(args),
    }
}

/// Vectors from a file: an array of shape (n,) or (n, vectors), one vector a column. Returns whether it was a single vector.
fn read_vectors(path: &Path, name: Option<&str>, rows: usize) -> Result<(Matrix<f64>, bool)> {
    let array = read_array(path, name)?;
    let (n, count, single) = match array.shape[..] {
        [n] => (n, 1, true),
        [n, count] => (n, count, false),
        _ => {
            let shape = &array.shape;
            return Err(bad_input(format!("{}: shape {shape:?}, pass (n,) or (n, vectors)", path.display())));
        }
    };
    if n != rows {
        return Err(bad_input(format!("{}: vectors of {n} entries, the matrix asks for {rows}", path.display())));
    }
    let values: Vec<f64> = array.data.to_vec();
    if let Some(i) = values.iter().position(|v| !v.is_finite()) {
        let (row, col) = (i / count, i % count);
        return Err(bad_input(format!("{}: entry ({row}, {col}) is {}", path.display(), values[i])));
    }
    Ok((Matrix::from_row_major(n, count, &values)?, single))
}

/// The inverse of [`read_vectors`].
fn save_vectors(path: &Path, name: &str, x: &Matrix<f64>, single: bool, force: bool) -> Result<()> {
    let shape = if single { vec![x.nrows()] } else { vec![x.nrows(), x.ncols()] };
    save_array(path, name, &Array { shape, data: ArrayData::F64(x.to_row_major()) }, force)?;
    Ok(())
}
