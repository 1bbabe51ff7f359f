//! The Gaussian kernel `exp(-r^2)` plus `100 I` on sorted random points of (-1, 1) as a HODLR matrix: assemble, factor, solve, log-determinant.
//!
//! `cargo run --release -p farfield-matrix --example hodlr_gaussian -- [n] [leaf] [tolerance]` (100000, 100, 1e-12); one line of JSON. Seconds are those
//! of the user on all threads (`RAYON_NUM_THREADS=1` for one); elsewhere than on Linux those of the clock.

use std::time::Instant;

use farfield_matrix::{Accuracy, ClusterTree, Entries, Hodlr, LinearOperator, Matrix};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

struct Gaussian(Vec<f64>);

impl Entries<f64> for Gaussian {
    fn nrows(&self) -> usize {
        self.0.len()
    }

    fn ncols(&self) -> usize {
        self.0.len()
    }

    fn entry(&self, row: usize, col: usize) -> f64 {
        let r = self.0[row] - self.0[col];
        (-r * r).exp() + if row == col { 100.0 } else { 0.0 }
    }
}

/// User seconds of this process so far.
fn user_seconds(start: Instant) -> f64 {
    let ticks = std::fs::read_to_string("/proc/self/stat").ok().and_then(|text| {
        // After the name in parentheses: the twelfth field, in hundredths of a second.
        text.rsplit(')').next()?.split_whitespace().nth(11)?.parse::<f64>().ok()
    });
    ticks.map_or_else(|| start.elapsed().as_secs_f64(), |ticks| ticks / 100.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let n: usize = arguments.next().map_or(Ok(100_000), |a| a.parse())?;
    let leaf: usize = arguments.next().map_or(Ok(100), |a| a.parse())?;
    let tolerance: f64 = arguments.next().map_or(Ok(1e-12), |a| a.parse())?;
    let start = Instant::now();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut points: Vec<f64> = (0..n).map(|_| random.random_range(-1.0..1.0)).collect();
    points.sort_by(f64::total_cmp);
    let kernel = Gaussian(points);

    let mut last = user_seconds(start);
    let mut lap = || {
        let now = user_seconds(start);
        let seconds = now - last;
        last = now;
        seconds
    };
    lap();
    let tree = ClusterTree::bisection(n, leaf)?;
    let (matrix, certificate) = Hodlr::from_entries(&kernel, tree, Accuracy::relative(tolerance)?, 1)?;
    let assemble = lap();
    let factor = matrix.factor()?;
    let factorise = lap();
    let b = Matrix::from_fn(n, 1, |_, _| random.random_range(-1.0..1.0));
    lap();
    let x = factor.solve(&b)?;
    let solve = lap();
    let determinant = factor.log_determinant();
    let log_determinant = lap();
    let product = matrix.apply(&x)?;
    let apply = lap();
    let residual = Matrix::from_fn(n, 1, |i, _| product[(i, 0)] - b[(i, 0)]).norm_frobenius() / b.norm_frobenius();
    // Some rows of the kernel itself.
    let exact = (0..20).map(|k| {
        let row = k * (n - 1) / 19;
        (0..n).map(|j| kernel.entry(row, j) * x[(j, 0)]).sum::<f64>() - b[(row, 0)]
    });
    let worst = exact.fold(0.0f64, |worst, r| worst.max(r.abs()));
    println!(
        "{}",
        serde_json::json!({
            "n": n, "leaf": leaf, "tolerance": tolerance,
            "assemble_seconds": assemble, "factor_seconds": factorise, "solve_seconds": solve,
            "log_determinant_seconds": log_determinant, "apply_seconds": apply,
            "matrix_bytes": matrix.memory_bytes(), "factor_bytes": factor.memory_bytes(),
            "bytes_per_unknown": (matrix.memory_bytes() + factor.memory_bytes()) as f64 / n as f64,
            "max_rank": certificate.max_rank(), "relative_error_bound": certificate.frobenius.value / certificate.norm,
            "residual": residual, "residual_of_kernel_rows": worst,
            "log_determinant": determinant.ln_abs, "sign": determinant.sign,
        })
    );
    Ok(())
}
