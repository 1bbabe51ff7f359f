//! Numbers stored for each unknown of an HSS matrix in one dimension while n grows: `1 / (|i - j| + 1)` and `log |x_i
//! - x_j|` on an equispaced grid, leaves of 64, tolerance 1e-6.
//!
//! `hss_growth [largest n = 1000000]` prints one JSON line a kernel and size.

use std::sync::Arc;
use std::time::Instant;

use farfield_matrix::{Accuracy, ClusterTree, EntryFn, Hss, SkeletonOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let largest = std::env::args().nth(1).map_or(Ok(1_000_000), |x| x.parse::<usize>())?;
    let reciprocal: fn(usize, usize) -> f64 = |i, j| 1.0 / (i.abs_diff(j) as f64 + 1.0);
    let logarithm: fn(usize, usize) -> f64 = |i, j| if i == j { 0.0 } else { (i.abs_diff(j) as f64).ln() };
    for (name, kernel) in [("reciprocal", reciprocal), ("logarithm", logarithm)] {
        for n in [10_000, 100_000, 1_000_000].into_iter().filter(|&n| n <= largest) {
            let start = Instant::now();
            let tree = Arc::new(ClusterTree::bisection(n, 64)?);
            let options = SkeletonOptions { symmetric: true, check_rows: 64, failure: 0.01, ..Default::default() };
            let entries = EntryFn::new(n, n, kernel);
            let (h, certificate) =
                Hss::<f64>::from_entries(&entries, &tree, &tree, Accuracy::relative(1e-6)?, &options)?;
            println!(
                "{{\"kernel\": \"{name}\", \"n\": {n}, \"numbers_per_unknown\": {:.1}, \"max_rank\": {}, \"bound_relative\": {:.2e}, \"seconds\": {:.2}}}",
                certificate.stored as f64 / n as f64,
                certificate.max_rank(),
                certificate.frobenius.value / certificate.norm,
                start.elapsed().as_secs_f64(),
            );
            assert_eq!(certificate.stored, h.layout().len());
        }
    }
    Ok(())
}
