//! The helix cylinder: `N` points on a cylinder of radius 1, on a helix whose turns are as far apart as the points on it.
//!
//! Point i is `(cos(h i), sin(h i), h^2 i / (2 pi))` with `h = 1.75 pi / sqrt(N)`: neighbours are `h` apart along the helix, turns are `h` apart along the axis, and the
//! cylinder is 4.8 high for any N. Kernels: `inverse`: `1 / (4 pi (r + 1e-8))`, whose diagonal is 8e6; `softened`: `1 / (4 pi sqrt(r^2 + h^2))`, shifted for the
//! LU by `--shift`.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo run --release -p farfield-matrix --example helix_cylinder -- --n 50000 --leaf 200 --tol 1e-4 --kernel inverse
//! ```
//!
//! Prints one line of JSON: seconds of CPU time of assembly, product, LU and solve; bytes; the error of the entries off the diagonal in 1 000
//! sampled rows, relative to them; the relative residual of the solve.

use std::f64::consts::PI;
use std::sync::Arc;

use farfield_matrix::{
    Accuracy, Admissibility, AtZero, ClusterTree, Entries, HMatrix, HMatrixOptions, Kernel, KernelMatrix,
    LinearOperator, Matrix, MatrixError, Points, Splitting,
};

fn spacing(n: usize) -> f64 {
    1.75 * PI / (n as f64).sqrt()
}

/// The kernel matrix on the helix.
fn helix(n: usize, kernel: &str) -> Result<KernelMatrix<f64>, MatrixError> {
    let h = spacing(n);
    let point = |i: usize| {
        let angle = h * i as f64;
        [angle.cos(), angle.sin(), h * angle / (2.0 * PI)]
    };
    let points = Arc::new(Points::new(3, (0..n).flat_map(point).collect())?);
    let (kernel, at_zero) = match kernel {
        "softened" => (Kernel::Laplace3d, AtZero::Softened(h)),
        _ => (Kernel::ShiftedLaplace3d { shift: 1e-8 }, AtZero::Formula),
    };
    KernelMatrix::new(kernel, points.clone(), points, at_zero)
}

/// Seconds of CPU time of this process so far (Linux).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    fields.get(11).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(f64::NAN) / 100.0
}

fn option(name: &str, default: &str) -> String {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name);
    at.and_then(|i| arguments.get(i + 1)).cloned().unwrap_or_else(|| default.to_owned())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let n: usize = option("--n", "50000").parse()?;
    let leaf: usize = option("--leaf", "200").parse()?;
    let tolerance: f64 = option("--tol", "1e-4").parse()?;
    let lu_tolerance: f64 = option("--lu-tol", &tolerance.to_string()).parse()?;
    let eta: f64 = option("--eta", "3").parse()?;
    let shift: f64 = option("--shift", "0").parse()?;
    let kernel = option("--kernel", "inverse");
    let helix = helix(n, &kernel)?;

    let start = cpu_seconds();
    let tree = Arc::new(ClusterTree::geometric(helix.row_points(), leaf, Splitting::Median)?);
    let accuracy = match option("--absolute", "").parse::<f64>() {
        Ok(absolute) => Accuracy::absolute(absolute)?,
        Err(_) => Accuracy::relative(tolerance)?,
    };
    let options = HMatrixOptions::new(accuracy);
    let (h, certificate) = HMatrix::build(&helix, &tree, &tree, Admissibility::Strong { eta }, &options)?;
    let assemble = cpu_seconds() - start;

    if option("--only", "") == "assemble" {
        println!("{{\"assemble\": {assemble:.2}, \"mib\": {:.0}}}", h.memory_bytes() as f64 / 1048576.0);
        return Ok(());
    }

    let b = Matrix::from_fn(n, 1, |i, _| (0.37 * i as f64).sin());
    let start = cpu_seconds();
    for _ in 0..20 {
        h.apply(&b)?;
    }
    let apply = (cpu_seconds() - start) / 20.0;

    if option("--only", "") == "apply" {
        println!("{{\"assemble\": {assemble:.2}, \"apply\": {apply:.4}}}");
        return Ok(());
    }

    // Rows of the matrix against its entries.
    let (mut error, mut norm) = (0.0, 0.0);
    let sampled: Vec<usize> = (0..1000.min(n)).map(|i| i * (n / 1000.min(n))).collect();
    let all: Vec<usize> = (0..n).collect();
    let mut exact = vec![0.0; n];
    for rows in sampled.chunks(50) {
        let approximate = h.block(rows, &all)?;
        for (i, &row) in rows.iter().enumerate() {
            helix.block(&[row], &all, &mut exact);
            for j in (0..n).filter(|&j| j != row) {
                error += (exact[j] - approximate[(i, j)]).powi(2);
                norm += exact[j].powi(2);
            }
        }
    }

    let shifted = h.shift(shift)?;
    let start = cpu_seconds();
    let (lu, lu_certificate) = shifted.lu(&Accuracy::relative(lu_tolerance)?, 1)?;
    let factor = cpu_seconds() - start;
    let start = cpu_seconds();
    let mut x = b.clone();
    for _ in 0..5 {
        x = lu.solve(&b)?;
    }
    let solve = (cpu_seconds() - start) / 5.0;
    let ax = shifted.apply(&x)?;
    let residual = ax.col(0).iter().zip(b.col(0)).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt();
    let determinant = lu.log_determinant();
    println!(
        "{{\"n\": {n}, \"off_diagonal_norm\": {:.4e}, \"leaf\": {leaf}, \"eta\": {eta}, \"tolerance\": {tolerance}, \"kernel\": \"{kernel}\", \"assemble\": {assemble:.2}, \
         \"apply\": {apply:.4}, \"lu\": {factor:.2}, \"solve\": {solve:.3}, \"mib\": {:.0}, \"lu_mib\": {:.0}, \
         \"off_diagonal_error\": {:.2e}, \"certificate\": {:.2e}, \"lu_certificate\": {:.2e}, \"residual\": {:.2e}, \
         \"max_rank\": {}, \"log_determinant\": {:.10}}}",
        (norm * n as f64 / sampled.len() as f64).sqrt(),
        h.memory_bytes() as f64 / 1048576.0,
        lu.stored() as f64 * 8.0 / 1048576.0,
        (error / norm).sqrt(),
        certificate.frobenius.value / certificate.norm,
        lu_certificate.frobenius.value / lu_certificate.norm,
        residual / b.norm_frobenius(),
        certificate.max_rank(),
        determinant.ln_abs,
    );
    Ok(())
}
