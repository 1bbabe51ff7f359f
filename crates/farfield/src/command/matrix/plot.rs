//! `farfield matrix plot`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::any_matrix::AnyMatrix;
use super::info::MatrixSummary;
use crate::failure::bad_input;
use crate::report::BlockStructure;

/// Draw the block structure of a matrix, coloured by rank.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield matrix plot k.ffm --out blocks")]
pub struct PlotArgs {
    /// The matrix file.
    matrix: PathBuf,
    /// Where to draw: OUT.png and OUT.svg.
    #[arg(long)]
    out: PathBuf,
    /// Replace existing files.
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub fn run(args: &PlotArgs) -> Result<()> {
    for extension in ["png", "svg"] {
        let file = args.out.with_extension(extension);
        if !args.force && file.exists() {
            return Err(bad_input(format!("{}: exists, pass --force to replace it", file.display())));
        }
    }
    let (matrix, certificate) = AnyMatrix::load(&args.matrix)?;
    let summary = MatrixSummary::new(&args.matrix, &matrix, certificate);
    let structure = BlockStructure {
        title: format!("{} matrix", matrix.format().to_uppercase()),
        nrows: summary.nrows,
        ncols: summary.ncols,
        blocks: matrix.blocks(),
        lines: vec![
            format!("{:.1} MiB", summary.mib),
            format!("{:.2} % of the dense matrix", 100.0 * summary.mib / summary.dense_mib),
        ],
    };
    let picture = structure.draw();
    for file in picture.write(&args.out.with_extension(""))? {
        println!("{}", file.display());
    }
    for note in picture.notes() {
        println!("note: {note}");
    }
    Ok(())
}
