//! Theorem 2.2 of Neural-HSS: numerical rank against tolerance for kernels on well-separated boxes in one, two and three dimensions, and the HODLR
//! and HSS ranks of convolutions. `cargo run --release -p farfield-matrix --example theorem_2_2`.

use farfield_matrix::rank_growth::{convolution_ranks, rank_growth};

type Kernel = (&'static str, fn(f64) -> f64);

const KERNELS: [Kernel; 4] = [
    ("log r", f64::ln),
    ("1/r", |r| 1.0 / r),
    ("exp(-r)/r", |r| (-r).exp() / r),
    ("1/sqrt(1+r^2)", |r| 1.0 / (1.0 + r * r).sqrt()),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tolerances: Vec<f64> = (1..=12).map(|k| 10f64.powi(-k)).collect();
    for (name, kernel) in KERNELS {
        for (dimension, side) in [(1, 200), (2, 28), (3, 11)] {
            let growth = rank_growth(dimension, side, 1.0, &tolerances, kernel)?;
            let ranks: Vec<usize> = growth.ranks.iter().map(|r| r.rank).collect();
            let exponent = growth.exponent().unwrap_or(f64::NAN);
            println!(
                "{name:>14}, D = {dimension}, {} points a box: {ranks:?}, log(1/eps)^{exponent:.2}",
                growth.points
            );
        }
    }
    println!(
        "\nconvolutions on 1024 cells, leaves of 32: tolerance, HODLR rank, HSS rank, numbers of each, proven error"
    );
    for (name, kernel) in KERNELS {
        for row in convolution_ranks(1024, 32, &[1e-2, 1e-4, 1e-6, 1e-8, 1e-10], kernel)? {
            println!(
                "{name:>14} {:.0e} {:>4} {:>4} {:>8} {:>8} {:.1e}",
                row.tolerance, row.hodlr_rank, row.hss_rank, row.hodlr_stored, row.hss_stored, row.hss_error
            );
        }
    }
    Ok(())
}
