//! `farfield matrix solve`.
//!
//! HODLR and HSS matrices are factored and solved directly, H-matrices by an H-LU of lower accuracy that preconditions GMRES; H2-matrices
//! have no factorisation here and go through GMRES alone. The residual printed is that of the matrix in the file.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use farfield_matrix::Matrix;
use farfield_matrix::krylov::{KrylovOptions, gmres};
use serde::Serialize;

use super::any_matrix::AnyMatrix;
use super::{read_vectors, save_vectors};
use crate::failure::bad_input;
use crate::report::format_number;

/// Solve linear systems with a matrix.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield matrix solve k.ffm --input b.npy --output x.npy --log-determinant")]
pub struct SolveArgs {
    /// The matrix file.
    matrix: PathBuf,
    /// Right-hand sides of shape (n,) or (n, vectors): .npy, .npz or .h5.
    #[arg(long)]
    input: PathBuf,
    /// Name of the array in the input. Default: the only one, or x.
    #[arg(long)]
    name: Option<String>,
    /// Where to write the solutions (array x).
    #[arg(long)]
    output: PathBuf,
    /// Relative residual to reach where GMRES is used.
    #[arg(long, default_value_t = 1e-10)]
    tol: f64,
    /// Accuracy of the H-LU that preconditions GMRES.
    #[arg(long, default_value_t = 1e-4)]
    lu_tol: f64,
    /// Also print the sign and logarithm of the determinant (from the factorisation; for H to the accuracy of the H-LU).
    #[arg(long)]
    log_determinant: bool,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What `solve` prints. Names are stable.
#[derive(Serialize)]
struct SolveSummary {
    /// How it was solved.
    method: &'static str,
    /// Seconds of the factorisation.
    factor_seconds: f64,
    /// Seconds of the solution.
    solve_seconds: f64,
    /// Largest `||b - A x|| / ||b||`.
    relative_residual: f64,
    /// Iterations of GMRES, all right-hand sides together.
    iterations: usize,
    /// Sign and natural logarithm of the determinant.
    log_determinant: Option<(i32, f64)>,
}

/// Runs the command.
pub fn run(args: &SolveArgs) -> Result<()> {
    let (matrix, _) = AnyMatrix::load(&args.matrix)?;
    let operator = matrix.operator();
    if operator.nrows() != operator.ncols() {
        let (m, n) = (operator.nrows(), operator.ncols());
        return Err(bad_input(format!("{}: a {m} x {n} matrix has no inverse", args.matrix.display())));
    }
    if !args.force && args.output.exists() {
        return Err(bad_input(format!("{}: exists, pass --force to replace it", args.output.display())));
    }
    let (b, single) = read_vectors(&args.input, args.name.as_deref(), operator.nrows())?;
    let start = Instant::now();
    let factored = matrix.factored(args.lu_tol)?;
    let method = match &matrix {
        AnyMatrix::Hodlr(_) => "HODLR factorisation",
        AnyMatrix::Hss(_) => "HSS ULV factorisation",
        AnyMatrix::H(_) => "GMRES preconditioned by H-LU",
        AnyMatrix::H2(_) => "GMRES",
    };
    let factor_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let (x, iterations) = match (&factored, &matrix) {
        (Some(factors), AnyMatrix::Hodlr(_) | AnyMatrix::Hss(_)) => (factors.solve(&b)?, 0),
        _ => {
            let options = KrylovOptions { tolerance: args.tol, ..KrylovOptions::default() };
            let preconditioner = factored.as_ref().map(|factors| factors.inverse());
            let mut x = Matrix::zeros(b.nrows(), b.ncols());
            let mut iterations = 0;
            for j in 0..b.ncols() {
                let solution = gmres(operator, b.col(j), preconditioner, &options)?;
                iterations += solution.iterations;
                x.col_mut(j).copy_from_slice(&solution.x);
            }
            (x, iterations)
        }
    };
    let solve_seconds = start.elapsed().as_secs_f64();
    let product = operator.apply(&x)?;
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
    let relative_residual = (0..b.ncols())
        .map(|j| {
            let difference = norm(&mut b.col(j).iter().zip(product.col(j)).map(|(b, p)| b - p));
            let size = norm(&mut b.col(j).iter().copied());
            if size > 0.0 { difference / size } else { difference }
        })
        .fold(0.0, f64::max);
    let determinant = factored.as_ref().filter(|_| args.log_determinant).map(|factors| {
        let determinant = factors.log_determinant();
        (determinant.sign, determinant.ln_abs)
    });
    if args.log_determinant && determinant.is_none() {
        return Err(bad_input(
            "--log-determinant: an H2-matrix is not factored here, build the matrix as H, HSS or HODLR",
        ));
    }
    let summary = SolveSummary {
        method,
        factor_seconds,
        solve_seconds,
        relative_residual,
        iterations,
        log_determinant: determinant,
    };
    save_vectors(&args.output, "x", &x, single, args.force)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
        return Ok(());
    }
    println!("{}: {} right-hand sides by {}", args.output.display(), b.ncols(), summary.method);
    println!("factor {factor_seconds:.2} s, solve {solve_seconds:.3} s, {iterations} iterations");
    println!("relative residual {}", format_number(relative_residual));
    if let Some((sign, ln_abs)) = determinant {
        println!("determinant: sign {sign}, logarithm of the absolute value {ln_abs:.12e}");
    }
    Ok(())
}
