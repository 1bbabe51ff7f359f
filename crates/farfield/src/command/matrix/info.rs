//! `farfield matrix info`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use farfield_matrix::{Certificate, Confidence};
use serde::Serialize;

use super::any_matrix::AnyMatrix;
use crate::report::{format_count, format_number};

/// What a matrix file holds.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield matrix info k.ffm")]
pub struct InfoArgs {
    /// The matrix file.
    matrix: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A matrix as `build` and `info` print it. Names are stable.
#[derive(Serialize)]
pub struct MatrixSummary {
    /// The file.
    pub file: String,
    /// `hodlr`, `hss`, `h` or `h2`.
    pub format: String,
    /// Number of rows.
    pub nrows: usize,
    /// Number of columns.
    pub ncols: usize,
    /// MiB that the stored numbers take.
    pub mib: f64,
    /// MiB of the dense matrix.
    pub dense_mib: f64,
    /// What the build knew about its error; `null` if it was not saved.
    pub certificate: Option<Certificate>,
    /// Seconds of the build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl MatrixSummary {
    /// The summary of a matrix in a file.
    pub fn new(file: &Path, matrix: &AnyMatrix, certificate: Option<Certificate>) -> Self {
        let (nrows, ncols) = (matrix.operator().nrows(), matrix.operator().ncols());
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        Self {
            file: file.display().to_string(),
            format: matrix.format().to_owned(),
            nrows,
            ncols,
            mib: mib(matrix.memory_bytes() as f64),
            dense_mib: mib(8.0 * nrows as f64 * ncols as f64),
            certificate,
            seconds: None,
        }
    }

    /// For people.
    pub fn print(&self) {
        println!("{}: {} matrix, {} x {}", self.file, self.format, self.nrows, self.ncols);
        println!(
            "memory       {:.1} MiB, dense {:.1} MiB ({:.2} %)",
            self.mib,
            self.dense_mib,
            100.0 * self.mib / self.dense_mib
        );
        if let Some(seconds) = self.seconds {
            println!("build        {seconds:.2} s");
        }
        let Some(certificate) = &self.certificate else {
            println!("certificate  none in the file");
            return;
        };
        for (name, bound) in [("Frobenius norm", certificate.frobenius), ("2-norm", certificate.spectral)] {
            let standing = match bound.confidence {
                Confidence::Proven => "proven".to_owned(),
                Confidence::Probabilistic { failure } => format!("fails with probability {}", format_number(failure)),
            };
            let relative = bound.value / certificate.norm;
            println!(
                "error        {} in the {name}, {} relative ({standing})",
                format_number(bound.value),
                format_number(relative)
            );
        }
        for level in &certificate.ranks {
            println!(
                "level {:>2}     {:>8} bases or blocks, ranks {} to {}, mean {:.1}",
                level.level,
                format_count(level.blocks as u64),
                level.min,
                level.max,
                level.total as f64 / level.blocks.max(1) as f64
            );
        }
    }
}

/// Runs the command.
pub fn run(args: &InfoArgs) -> Result<()> {
    let (matrix, certificate) = AnyMatrix::load(&args.matrix)?;
    let summary = MatrixSummary::new(&args.matrix, &matrix, certificate);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        summary.print();
    }
    Ok(())
}
