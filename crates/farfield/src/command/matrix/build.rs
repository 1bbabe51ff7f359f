//! `farfield matrix build`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};
use farfield_data::read_array;
use farfield_matrix::{
    Accuracy, Admissibility, AtZero, BlockEntries, Certificate, ClusterTree, Entries, H2Matrix, H2Options, HMatrix,
    HMatrixOptions, Hodlr, Hss, Kernel, KernelMatrix, Matrix, Points, SkeletonOptions, Splitting,
};

use super::any_matrix::AnyMatrix;
use super::info::MatrixSummary;
use crate::failure::bad_input;
use crate::progress::Progress;

/// Build a hierarchical matrix.
#[derive(Args, Debug)]
#[command(
    after_help = "Kernels: laplace3d, laplace2d, inverse, log, helmholtz3d:K, gaussian:L, exponential:L, matern32:L, matern52:L, \
    inverse-multiquadric:L, multiquadric:L\n\n\
    Example:\n  farfield matrix build --kernel laplace3d --points p.npy --at-zero 0 --tol 1e-6 --format h2 --out k.ffm"
)]
pub struct BuildArgs {
    /// Kernel function; needs --points.
    #[arg(long, requires = "points", conflicts_with = "dense", required_unless_present = "dense")]
    kernel: Option<String>,
    /// Points of shape (n, d): .npy, .npz or .h5.
    #[arg(long)]
    points: Option<PathBuf>,
    /// A dense matrix of shape (m, n), in place of a kernel. HODLR and HSS split its indices in their order.
    #[arg(long)]
    dense: Option<PathBuf>,
    /// Value of the kernel at distance 0, where its formula has none.
    #[arg(long, allow_negative_numbers = true)]
    at_zero: Option<f64>,
    /// Added to the diagonal.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    shift: f64,
    /// Format.
    #[arg(long, value_enum, default_value_t = Format::H)]
    format: Format,
    /// Error allowed, relative to the Frobenius norm.
    #[arg(long, default_value_t = 1e-6, allow_negative_numbers = true)]
    tol: f64,
    /// The tolerance is absolute.
    #[arg(long)]
    absolute: bool,
    /// Largest rank; an error if the tolerance needs more.
    #[arg(long)]
    max_rank: Option<usize>,
    /// Indices of a leaf, at most.
    #[arg(long, default_value_t = 64)]
    leaf: usize,
    /// Admissibility of H and H2: min(diam) <= eta distance.
    #[arg(long, default_value_t = 1.5)]
    eta: f64,
    /// Memory that the matrix may take, in MiB.
    #[arg(long)]
    memory: Option<usize>,
    /// Seed of the random numbers of the checks.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// File to write (.ffm).
    #[arg(long)]
    out: PathBuf,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// No progress.
    #[arg(long)]
    quiet: bool,
}

/// Formats of matrices.
#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
enum Format {
    /// Off-diagonal blocks of low rank.
    Hodlr,
    /// HODLR with nested bases.
    Hss,
    /// Low rank away from the diagonal.
    H,
    /// H with nested bases.
    H2,
}

/// Entries with a number added to the diagonal.
struct Shifted<'a> {
    entries: &'a dyn Entries<f64>,
    shift: f64,
}

impl Entries<f64> for Shifted<'_> {
    fn nrows(&self) -> usize {
        self.entries.nrows()
    }

    fn ncols(&self) -> usize {
        self.entries.ncols()
    }

    fn entry(&self, row: usize, col: usize) -> f64 {
        self.entries.entry(row, col) + if row == col { self.shift } else { 0.0 }
    }

    fn block(&self, rows: &[usize], cols: &[usize], out: &mut [f64]) {
        self.entries.block(rows, cols, out);
        for (j, col) in cols.iter().enumerate() {
            for (i, row) in rows.iter().enumerate() {
                if row == col {
                    out[i + j * rows.len()] += self.shift;
                }
            }
        }
    }

    fn is_symmetric(&self) -> bool {
        self.entries.is_symmetric()
    }

    fn block_of<'b>(&'b self, rows: &'b [usize], cols: &'b [usize]) -> Box<dyn BlockEntries<f64> + 'b> {
        Box::new(ShiftedBlock { block: self.entries.block_of(rows, cols), rows, cols, shift: self.shift })
    }
}

/// One block of it.
struct ShiftedBlock<'a> {
    block: Box<dyn BlockEntries<f64> + 'a>,
    rows: &'a [usize],
    cols: &'a [usize],
    shift: f64,
}

impl BlockEntries<f64> for ShiftedBlock<'_> {
    fn row(&self, i: usize, out: &mut [f64]) {
        self.block.row(i, out);
        for (out, _) in out.iter_mut().zip(self.cols).filter(|(_, col)| **col == self.rows[i]) {
            *out += self.shift;
        }
    }

    fn col(&self, j: usize, out: &mut [f64]) {
        self.block.col(j, out);
        for (out, _) in out.iter_mut().zip(self.rows).filter(|(_, row)| **row == self.cols[j]) {
            *out += self.shift;
        }
    }

    fn places(&self, rows: &[usize], cols: &[usize], out: &mut [f64]) {
        self.block.places(rows, cols, out);
        for ((out, &i), &j) in out.iter_mut().zip(rows).zip(cols) {
            *out += if self.rows[i] == self.cols[j] { self.shift } else { 0.0 };
        }
    }
}

/// Runs the command.
pub fn run(args: &BuildArgs) -> Result<()> {
    if !args.force && args.out.exists() {
        return Err(bad_input(format!("{}: exists, pass --force to replace it", args.out.display())));
    }
    let accuracy = if args.absolute { Accuracy::absolute(args.tol)? } else { Accuracy::relative(args.tol)? };
    let accuracy = args.max_rank.map_or(accuracy, |rank| accuracy.max_rank(rank));
    let accuracy = args.memory.map_or(accuracy, |mib| accuracy.memory_budget(mib.saturating_mul(1 << 20)));
    let (matrix, certificate, seconds) = match (&args.kernel, &args.points, &args.dense) {
        (Some(kernel), Some(points), None) => of_kernel(args, kernel, points, accuracy)?,
        (None, None, Some(dense)) => of_dense(args, dense, accuracy)?,
        _ => return Err(bad_input("pass --kernel with --points, or --dense")),
    };
    matrix.save(&args.out, &certificate)?;
    let mut summary = MatrixSummary::new(&args.out, &matrix, Some(certificate));
    summary.seconds = Some(seconds);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        summary.print();
    }
    Ok(())
}

fn of_kernel(
    args: &BuildArgs,
    kernel: &str,
    points: &Path,
    accuracy: Accuracy,
) -> Result<(AnyMatrix, Certificate, f64)> {
    let kernel: Kernel = kernel.parse()?;
    let points = Arc::new(read_points(points)?);
    let at_zero = args.at_zero.map_or(AtZero::Formula, AtZero::Value);
    let kernel_matrix = KernelMatrix::<f64>::new(kernel, points.clone(), points.clone(), at_zero)?;
    let entries = Shifted { entries: &kernel_matrix, shift: args.shift };
    let start = Instant::now();
    let splitting =
        if args.format == Format::Hodlr || args.format == Format::Hss { Splitting::Median } else { Splitting::Boxes };
    let tree = Arc::new(ClusterTree::geometric(&points, args.leaf, splitting)?);
    let (matrix, certificate) = match args.format {
        Format::Hodlr => {
            let (m, c) = Hodlr::from_entries(&entries, tree, accuracy, args.seed)?;
            (AnyMatrix::Hodlr(m), c)
        }
        Format::Hss => {
            let options = SkeletonOptions { seed: args.seed, ..SkeletonOptions::default() };
            let (m, c) = Hss::from_entries(&entries, &tree, &tree, accuracy, &options)?;
            (AnyMatrix::Hss(m), c)
        }
        Format::H => {
            let admissibility = Admissibility::Strong { eta: args.eta };
            let options = HMatrixOptions { seed: args.seed, ..HMatrixOptions::new(accuracy) };
            let progress = std::sync::Mutex::new(Progress::new(1, "building blocks", args.quiet));
            let (m, c) =
                HMatrix::build_with_progress(&entries, &tree, &tree, admissibility, &options, &|done, total| {
                    if let Ok(mut progress) = progress.lock() {
                        progress.resize(total as u64);
                        progress.at(done as u64, String::new);
                    }
                })?;
            (AnyMatrix::H(m), c)
        }
        Format::H2 => {
            let options = H2Options { eta: args.eta, seed: args.seed, ..H2Options::new(accuracy) };
            let (m, c) = H2Matrix::from_entries(&entries, tree.clone(), tree, &options)?;
            (AnyMatrix::H2(m), c)
        }
    };
    Ok((matrix, certificate, start.elapsed().as_secs_f64()))
}

fn of_dense(args: &BuildArgs, path: &Path, accuracy: Accuracy) -> Result<(AnyMatrix, Certificate, f64)> {
    let array = read_array(path, None)?;
    let [m, n] = array.shape[..] else {
        return Err(bad_input(format!("{}: shape {:?}, pass a matrix of shape (m, n)", path.display(), array.shape)));
    };
    let mut a = Matrix::from_row_major(m, n, &array.data.to_vec::<f64>())?;
    for i in 0..m.min(n) {
        a[(i, i)] += args.shift;
    }
    let start = Instant::now();
    let (matrix, certificate) = match args.format {
        Format::Hodlr => {
            let (h, c) = Hodlr::from_dense(&a, ClusterTree::bisection(n, args.leaf)?, accuracy)?;
            (AnyMatrix::Hodlr(h), c)
        }
        Format::Hss => {
            let (h, c) = Hss::from_dense(&a, args.leaf, accuracy)?;
            (AnyMatrix::Hss(h), c)
        }
        Format::H | Format::H2 => {
            let what = "H and H2 need to know what is near: pass --kernel and --points, or --format hodlr or hss";
            return Err(bad_input(what));
        }
    };
    Ok((matrix, certificate, start.elapsed().as_secs_f64()))
}

/// Points of shape (n, d), or (n,) on a line.
fn read_points(path: &Path) -> Result<Points> {
    let array = read_array(path, None)?;
    let dim = match array.shape[..] {
        [_] => 1,
        [_, dim] => dim,
        _ => {
            return Err(bad_input(format!("{}: shape {:?}, pass points of shape (n, d)", path.display(), array.shape)));
        }
    };
    Ok(Points::new(dim, array.data.to_vec())?)
}
