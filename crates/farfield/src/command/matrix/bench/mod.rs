//! `farfield matrix bench`: the matrices on which libraries of hierarchical matrices are compared, timed on this machine.
//!
//! | case | matrix | library it is compared with |
//! | --- | --- | --- |
//! | `cylinder`, `cylinder-80`, `cylinder-softened` | H-matrix of `1 / (4 pi r)` on a helix around a cylinder; LU | hmat-oss (`benches/peers`) |
//! | `gaussian` | HODLR of `exp(-r^2) + 100 I` on sorted random points of (-1, 1); factors | HODLRlib |
//! | `cube-stored`, `cube-recomputed`, `cube-multiquadric` | H2 of random points in a cube of side `N^(1/3)` | H2Pack |
//! | `square` | HSS of `(1 + r^2)^(-1/2)` on random points in a square of side `sqrt(N)`; ULV of it plus the identity | H2Pack |
//!
//! Seconds are those of the processor, of the user and of the system together and over all threads, where the system tells them (Linux), else those of the
//! clock; on one thread of a quiet machine they are the same. A product, and a solve, is the mean over as many as take half a second.

mod cube;
mod cylinder;
mod gaussian;
mod square;

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use farfield_matrix::{Certificate, Entries, KernelMatrix, LogDeterminant, Matrix};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::failure::bad_input;
use crate::report::format_number;

/// Time the matrices on which hierarchical libraries are compared.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  farfield matrix bench cube-recomputed\n  farfield matrix bench gaussian --n 1000000"
)]
pub struct BenchArgs {
    /// Cases; all when none is named.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    names: Vec<String>,
    /// Points, in place of those of the case.
    #[arg(long)]
    n: Option<usize>,
    /// Relative tolerance, in place of that of the case.
    #[arg(long)]
    tol: Option<f64>,
    /// Most points in a leaf, in place of those of the case.
    #[arg(long)]
    leaf: Option<usize>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Print a list of JSON objects.
    #[arg(long)]
    json: bool,
}

const NAMES: [&str; 8] = [
    "cylinder",
    "cylinder-80",
    "cylinder-softened",
    "gaussian",
    "cube-stored",
    "cube-recomputed",
    "cube-multiquadric",
    "square",
];

/// Sizes of a case, its own or those asked for.
#[derive(Clone, Copy)]
struct Sizes {
    n: usize,
    tolerance: f64,
    leaf: usize,
}

impl BenchArgs {
    fn sizes(&self, n: usize, tolerance: f64, leaf: usize) -> Sizes {
        Sizes { n: self.n.unwrap_or(n), tolerance: self.tol.unwrap_or(tolerance), leaf: self.leaf.unwrap_or(leaf) }
    }
}

/// What was measured of a case. Names are stable; what a case does not have is absent.
#[derive(Clone, Debug, Default, Serialize)]
struct Line {
    case: String,
    n: usize,
    tolerance: f64,
    leaf: usize,
    threads: usize,
    /// Seconds of the build.
    build_s: f64,
    /// Seconds of a product with one vector.
    apply_s: f64,
    /// MiB of the matrix.
    mib: f64,
    /// Largest rank.
    max_rank: usize,
    /// Measured error; `error_of` says of what.
    error: f64,
    error_of: &'static str,
    /// Bound on the relative error that the build states.
    certificate: f64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    factors: Option<FactorLine>,
}

/// What was measured of a factorisation.
#[derive(Clone, Debug, Default, Serialize)]
struct FactorLine {
    /// What kind.
    factorisation: &'static str,
    /// Seconds.
    factor_s: f64,
    /// Seconds of a solve with one right-hand side.
    solve_s: f64,
    /// MiB of the factors.
    factor_mib: f64,
    /// `||b - H x|| / ||b||`.
    residual: f64,
    /// Distance of the solution of `H x = H b` from `b`, relative to `b`.
    solution_error: f64,
    log_determinant: f64,
    sign: i32,
}

impl Line {
    fn new(case: &str, sizes: Sizes, threads: usize, certificate: &Certificate) -> Self {
        let Sizes { n, tolerance, leaf } = sizes;
        let bound = certificate.frobenius.value / certificate.norm;
        let max_rank = certificate.max_rank();
        Self { case: case.to_owned(), n, tolerance, leaf, threads, certificate: bound, max_rank, ..Self::default() }
    }
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<()> {
    let threads = args.threads;
    if threads == 0 {
        return Err(bad_input("--threads 0: at least one"));
    }
    if args.n.is_some_and(|n| n < 2) {
        return Err(bad_input("--n: at least 2 points"));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let names: Vec<&str> = match args.names.is_empty() {
        true => NAMES.to_vec(),
        false => args.names.iter().map(String::as_str).collect(),
    };
    let mut lines = Vec::new();
    for name in names {
        let line = pool.install(|| match name {
            "gaussian" => gaussian::measure(args.sizes(100_000, 1e-12, 100), threads),
            "square" => square::measure(args.sizes(20_000, 8e-6, 200), threads),
            name if name.starts_with("cube") => {
                let sizes = if name == "cube-multiquadric" { (80_000, 2e-4, 250) } else { (40_000, 4e-7, 100) };
                cube::measure(name, args.sizes(sizes.0, sizes.1, sizes.2), threads)
            }
            name => {
                cylinder::measure(name, args.sizes(50_000, 4e-4, if name == "cylinder-80" { 80 } else { 200 }), threads)
            }
        })?;
        if !args.json {
            line.print();
        }
        lines.push(line);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    }
    Ok(())
}

impl Line {
    fn print(&self) {
        let Self { case, n, tolerance, leaf, threads, .. } = self;
        let threads = if *threads == 1 { "one thread".to_owned() } else { format!("{threads} threads") };
        println!("{case}: {n} points, tolerance {}, leaf {leaf}, {threads}", format_number(*tolerance));
        println!(
            "  build {:.3} s, product {:.4} s, {:.1} MiB, ranks up to {}",
            self.build_s, self.apply_s, self.mib, self.max_rank
        );
        println!(
            "  error of {} {}, stated bound {}",
            self.error_of,
            format_number(self.error),
            format_number(self.certificate)
        );
        if let Some(f) = &self.factors {
            println!(
                "  {} {:.3} s, solve {:.4} s, {:.1} MiB, residual {}, error of a solution {}, log-determinant {:.10} (sign {})",
                f.factorisation,
                f.factor_s,
                f.solve_s,
                f.factor_mib,
                format_number(f.residual),
                format_number(f.solution_error),
                f.log_determinant,
                f.sign
            );
        }
    }
}

impl FactorLine {
    fn new(factorisation: &'static str, determinant: LogDeterminant) -> Self {
        let LogDeterminant { sign, ln_abs } = determinant;
        Self { factorisation, log_determinant: ln_abs, sign, ..Self::default() }
    }
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Seconds that the processor has spent on this process, from `/proc/self/stat` in hundredths; nothing on other systems.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name in parentheses: fields 12 and 13 are those of the user and of the system.
    let mut ticks = stat.rsplit(')').next()?.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((ticks.next()?.ok()? + ticks.next()?.ok()?) / 100.0)
}

/// A value and the seconds that it took.
fn timed<R, E>(f: impl FnOnce() -> Result<R, E>) -> Result<(R, f64), E> {
    let (clock, busy) = (Instant::now(), processor_seconds());
    let result = f()?;
    let seconds = match (busy, processor_seconds()) {
        (Some(before), Some(after)) => after - before,
        _ => clock.elapsed().as_secs_f64(),
    };
    Ok((result, seconds))
}

/// The value and the mean seconds of a short computation, over half a second of them.
fn timed_often<R, E>(mut f: impl FnMut() -> Result<R, E>) -> Result<(R, f64), E> {
    let mut result = f()?;
    let (mut total, mut count) = (0.0, 0);
    while total < 0.5 {
        let (last, seconds) = timed(|| {
            let mut last = f()?;
            for _ in 0..9 {
                last = f()?;
            }
            Ok(last)
        })?;
        // A computation of no time at all ends as well.
        (result, total, count) = (last, total + seconds.max(1e-3), count + 10);
    }
    Ok((result, total / f64::from(count)))
}

/// `||a - b|| / ||b||`.
fn relative_distance(a: &[f64], b: &[f64]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum();
    (squares / b.iter().map(|y| y * y).sum::<f64>()).sqrt()
}

/// A vector of random numbers between -1/2 and 1/2.
fn test_vector(n: usize) -> Matrix<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    Matrix::from_fn(n, 1, |_, _| random.random::<f64>() - 0.5)
}

/// `A x`, entry by entry, for the symmetric matrix of a kernel.
fn direct_sum(kernel: &KernelMatrix<f64>, x: &[f64]) -> Vec<f64> {
    let n = x.len();
    let all: Vec<usize> = (0..n).collect();
    let mut y = Vec::with_capacity(n);
    for cols in all.chunks(32) {
        let mut block = vec![0.0; n * cols.len()];
        kernel.block(&all, cols, &mut block);
        y.extend(block.chunks_exact(n).map(|column| column.iter().zip(x).map(|(a, x)| a * x).sum::<f64>()));
    }
    y
}
