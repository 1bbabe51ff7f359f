//! Numbers stored and multiply-adds of a product, for each unknown, of every format in one dimension while n grows: `log |x_i - x_j|` on an equispaced
//! grid, leaves of 64, tolerance 1e-3.
//!
//! `cargo run --release -p farfield-matrix --example growth -- [largest n] [format]` (1000000, all of hss, h2, hodlr, h) prints one JSON line a format and size.
//! It fails when the counts of HSS or H2 grow by more than a factor of 1.5 from the smallest n to the largest, or those of HODLR or H faster
//! than log n.

use std::sync::Arc;
use std::time::Instant;

use farfield_matrix::{
    Accuracy, Admissibility, AtZero, Certificate, ClusterTree, H2Matrix, H2Options, H2Storage, HMatrix, HMatrixOptions,
    Hodlr, Hss, Kernel, KernelMatrix, MatrixError, Points, SkeletonOptions, Splitting,
};

/// Numbers stored, multiply-adds, certificate.
fn counted(format: &str, n: usize) -> Result<(usize, usize, Certificate), MatrixError> {
    let points = Arc::new(Points::new(1, (0..n).map(|i| i as f64 / n as f64).collect())?);
    let entries = KernelMatrix::<f64>::new(Kernel::Logarithm, points.clone(), points.clone(), AtZero::Value(0.0))?;
    let accuracy = Accuracy::relative(1e-3)?;
    let tree = Arc::new(ClusterTree::geometric(&points, 64, Splitting::Median)?);
    Ok(match format {
        "hss" => {
            let options = SkeletonOptions { check_rows: 64, failure: 0.01, ..Default::default() };
            let (h, certificate) = Hss::from_entries(&entries, &tree, &tree, accuracy, &options)?;
            (h.stored(), h.multiply_adds(), certificate)
        }
        "h2" => {
            // What a recomputed matrix would store, without the memory.
            let options = H2Options { leaf_size: 64, storage: H2Storage::Recomputed, ..H2Options::new(accuracy) };
            let (h, certificate) = H2Matrix::from_kernel(&entries, &options)?;
            (h.multiply_adds(), h.multiply_adds(), certificate)
        }
        "hodlr" => {
            let (h, certificate) = Hodlr::from_entries(&entries, tree, accuracy, 0)?;
            (h.stored(), h.multiply_adds(), certificate)
        }
        _ => {
            let strong = Admissibility::Strong { eta: 2.0 };
            let (h, certificate) = HMatrix::build(&entries, &tree, &tree, strong, &HMatrixOptions::new(accuracy))?;
            (h.stored(), h.multiply_adds(), certificate)
        }
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let largest = std::env::args().nth(1).map_or(Ok(1_000_000), |x| x.parse::<usize>())?;
    let only = std::env::args().nth(2);
    for format in ["hss", "h2", "hodlr", "h"].into_iter().filter(|f| only.as_ref().is_none_or(|only| only == f)) {
        let mut found: Vec<(f64, f64)> = Vec::new();
        for n in [10_000, 100_000, 1_000_000].into_iter().filter(|&n| n <= largest) {
            let start = Instant::now();
            let (stored, operations, certificate) = counted(format, n)?;
            let per = |count: usize| count as f64 / n as f64;
            println!(
                "{{\"format\": \"{format}\", \"n\": {n}, \"numbers_per_unknown\": {:.1}, \"multiply_adds_per_unknown\": {:.1}, \"max_rank\": {}, \
                 \"bound_relative\": {:.2e}, \"seconds\": {:.2}}}",
                per(stored),
                per(operations),
                certificate.max_rank(),
                certificate.frobenius.value / certificate.norm,
                start.elapsed().as_secs_f64(),
            );
            found.push(((n as f64).ln(), per(operations).max(per(stored))));
        }
        let (Some(first), Some(last)) = (found.first(), found.last()) else { continue };
        let logarithmic = matches!(format, "hodlr" | "h");
        let allowed = if logarithmic { last.0 / first.0 * 1.2 } else { 1.5 };
        let growth = last.1 / first.1;
        println!("{{\"format\": \"{format}\", \"growth\": {growth:.3}, \"allowed\": {allowed:.3}}}");
        if growth > allowed {
            return Err(
                format!("{format}: {growth:.3} times the numbers for each unknown, {allowed:.3} are allowed").into()
            );
        }
    }
    Ok(())
}
