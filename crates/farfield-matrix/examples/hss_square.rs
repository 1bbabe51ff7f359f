//! HSS form of a kernel matrix on random points in a square: `(1 + r^2)^(-1/2)`, N points uniform in a square of side
//! sqrt(N).
//!
//! `hss_square [N = 20000] [tolerance = 1e-6] [leaf = 200]` prints one JSON line: seconds of the build (one thread)
//! and of a product (fastest of 20), its error relative to `||A x||` on all rows for random `x`, the certificate,
//! bytes and ranks.

use std::sync::Arc;
use std::time::Instant;

use farfield_matrix::{
    Accuracy, ClusterTree, Entries, Hss, LinearOperator, Matrix, Points, SkeletonOptions, Splitting,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `(1 + r^2)^(-1/2)` on points.
struct Kernel {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Entries<f64> for Kernel {
    fn nrows(&self) -> usize {
        self.x.len()
    }

    fn ncols(&self) -> usize {
        self.x.len()
    }

    fn entry(&self, row: usize, col: usize) -> f64 {
        let (x, y) = (self.x[row] - self.x[col], self.y[row] - self.y[col]);
        1.0 / (1.0 + x * x + y * y).sqrt()
    }

    fn block(&self, rows: &[usize], cols: &[usize], out: &mut [f64]) {
        // Coordinates side by side, for the processor's vector instructions.
        let (x, y): (Vec<f64>, Vec<f64>) = rows.iter().map(|&i| (self.x[i], self.y[i])).unzip();
        for (&col, out) in cols.iter().zip(out.chunks_exact_mut(rows.len().max(1))) {
            let (u, v) = (self.x[col], self.y[col]);
            for ((out, &x), &y) in out.iter_mut().zip(&x).zip(&y) {
                *out = 1.0 / (1.0 + (x - u) * (x - u) + (y - v) * (y - v)).sqrt();
            }
        }
    }
}

/// Processor time of this process so far, in seconds, as Linux counts it: what a build takes on a machine that is busy.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // User and system time in hundredths of a second, fields 14 and 15 of all.
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|x| x.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: f64| arguments.get(i).map_or(Ok(default), |x| x.parse::<f64>());
    let (n, tolerance, leaf) = (number(0, 20_000.0)? as usize, number(1, 1e-6)?, number(2, 200.0)? as usize);
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;

    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let side = (n as f64).sqrt();
    let coordinates: Vec<f64> = (0..2 * n).map(|_| side * rng.random::<f64>()).collect();
    let points = Points::new(2, coordinates)?;
    let entries = Kernel {
        x: points.coordinates().iter().step_by(2).copied().collect(),
        y: points.coordinates().iter().skip(1).step_by(2).copied().collect(),
    };

    let (start, busy) = (Instant::now(), processor_seconds());
    let tree = Arc::new(ClusterTree::geometric(&points, leaf, Splitting::Median)?);
    let options = SkeletonOptions { symmetric: true, ..SkeletonOptions::default() };
    let accuracy = Accuracy::relative(tolerance)?;
    let (h, certificate) = Hss::from_entries(&entries, &tree, &tree, &accuracy, &options)?;
    let (build, busy) = (start.elapsed().as_secs_f64(), processor_seconds() - busy);

    let x = Matrix::from_fn(n, 1, |_, _| rng.random::<f64>() - 0.5);
    let mut apply = f64::INFINITY;
    for _ in 0..20 {
        let start = Instant::now();
        h.apply(&x)?;
        apply = apply.min(start.elapsed().as_secs_f64());
    }
    let y = h.apply(&x)?;
    let (mut error, mut norm) = (0.0, 0.0);
    for i in 0..n {
        let exact: f64 = (0..n).map(|j| entries.entry(i, j) * x[(j, 0)]).sum();
        error += (exact - y[(i, 0)]).powi(2);
        norm += exact * exact;
    }
    println!(
        "{{\"n\": {n}, \"tolerance\": {tolerance:e}, \"leaf\": {leaf}, \"build_s\": {build:.3}, \"build_processor_s\": {busy:.2}, \"apply_s\": {apply:.5}, \
         \"product_error\": {:.3e}, \"bound_relative\": {:.3e}, \"bytes\": {}, \"max_rank\": {}}}",
        (error / norm).sqrt(),
        certificate.frobenius.value / certificate.norm,
        h.memory_bytes(),
        certificate.max_rank(),
    );
    Ok(())
}
