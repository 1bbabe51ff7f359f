//! `farfield matrix info`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use farfield_matrix::{Certificate, Confidence, norm_2};
use serde::Serialize;

use super::any_matrix::AnyMatrix;
use crate::report::{format_count, format_number};

/// What a matrix file holds.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield matrix info k.ffm")]
pub struct InfoArgs {
    /// The matrix file.
    matrix: PathBuf,
    /// Also compute the 2-norm and, where the matrix is square and can be factored (not H2), its condition number: a factorisation and
    /// some hundred products and solves.
    #[arg(long)]
    condition: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Relative accuracy of the norms, and of the H-LU behind the condition number of an H-matrix.
const NORM_ACCURACY: f64 = 1e-3;
const LU_TOLERANCE: f64 = 1e-8;

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
    /// 2-norm, from below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_2: Option<f64>,
    /// Condition number in the 2-norm, from below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition_2: Option<f64>,
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
            norm_2: None,
            condition_2: None,
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
        if let Some(norm) = self.norm_2 {
            println!("2-norm       {}", format_number(norm));
        }
        if let Some(condition) = self.condition_2 {
            println!("condition    {} in the 2-norm", format_number(condition));
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
    let mut summary = MatrixSummary::new(&args.matrix, &matrix, certificate);
    if args.condition {
        let a = matrix.operator();
        let norm = norm_2(a, NORM_ACCURACY, 0)?;
        summary.norm_2 = Some(norm);
        let factors = if a.nrows() == a.ncols() { matrix.factored(LU_TOLERANCE)? } else { None };
        summary.condition_2 = match factors {
            Some(factors) => Some(norm * norm_2(factors.inverse(), NORM_ACCURACY, 0)?),
            None => None,
        };
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        summary.print();
    }
    Ok(())
}
