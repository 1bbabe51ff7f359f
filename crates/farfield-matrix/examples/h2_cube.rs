//! H2-matrices of uniform random points in a cube of side n^(1/3): build and product, one thread, one JSON line a case.
//!
//! `cargo run --release --example h2_cube [-- CASE ...]` with cases `inverse-stored`, `inverse-single`, `inverse-recomputed`, `multiquadric`. Times are user seconds of this
//! process; `N`, `LEAF`, `ETA`, `TOL` and `MEDIAN` in the environment override a case. The error is that of the product with a random vector, on all rows, against the direct sum.

use std::error::Error;
use std::sync::Arc;

use farfield_matrix::{
    Accuracy, AtZero, H2Matrix, H2Options, H2Storage, Kernel, KernelMatrix, LinearOperator, Matrix, Points, Splitting,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// User seconds of this process so far, from `/proc/self/stat` in ticks of 1/100 s.
fn user_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().nth(11).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(f64::NAN) / 100.0
}

struct Case {
    name: &'static str,
    n: usize,
    kernel: &'static str,
    tolerance: f64,
    leaf_size: usize,
    eta: f64,
    storage: H2Storage,
}

fn main() -> Result<(), Box<dyn Error>> {
    use H2Storage::{Recomputed, Stored, StoredSingle};
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<f64>().ok());
    let case = |name, storage| Case {
        name,
        n: 40_000,
        kernel: "inverse",
        tolerance: 2.5e-7,
        leaf_size: 100,
        eta: 1.8,
        storage,
    };
    let cases = [
        case("inverse-stored", Stored),
        case("inverse-single", StoredSingle),
        case("inverse-recomputed", Recomputed),
        Case {
            name: "multiquadric",
            n: 80_000,
            kernel: "inverse-multiquadric:1",
            tolerance: 1e-3,
            leaf_size: 250,
            ..case("", Recomputed)
        },
    ];
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    for case in cases.iter().filter(|c| wanted.is_empty() || wanted.iter().any(|w| w == c.name)) {
        let n = number("N").map_or(case.n, |n| n as usize);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let side = (n as f64).cbrt();
        let points = Arc::new(Points::new(3, (0..3 * n).map(|_| side * rng.random::<f64>()).collect())?);
        let kernel = KernelMatrix::<f64>::new(
            case.kernel.parse::<Kernel>()?,
            points.clone(),
            points,
            AtZero::Value(if case.kernel == "inverse" { 0.0 } else { 1.0 }),
        )?;
        let options = H2Options {
            storage: case.storage,
            leaf_size: number("LEAF").map_or(case.leaf_size, |x| x as usize),
            eta: number("ETA").unwrap_or(case.eta),
            splitting: if number("MEDIAN").is_some() { Splitting::Median } else { Splitting::Boxes },
            ..H2Options::new(Accuracy::relative(number("TOL").unwrap_or(case.tolerance))?)
        };
        let start = user_seconds();
        let (h, certificate) = H2Matrix::from_kernel(&kernel, &options)?;
        let build = user_seconds() - start;
        let q = Matrix::from_fn(n, 1, |_, _| rng.random::<f64>() - 0.5);
        let repetitions = 10;
        let start = user_seconds();
        let mut y = h.apply(&q)?;
        for _ in 1..repetitions {
            y = h.apply(&q)?;
        }
        let apply = (user_seconds() - start) / f64::from(repetitions);
        let start = user_seconds();
        let exact = direct_sum(&kernel, q.col(0));
        let direct = user_seconds() - start;
        let squares = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>();
        let error = squares(&mut y.col(0).iter().zip(&exact).map(|(a, b)| a - b)) / squares(&mut exact.iter().copied());
        let line = serde_json::json!({
            "case": case.name, "n": n, "kernel": case.kernel, "tolerance": options.accuracy.tolerance(),
            "leaf_size": options.leaf_size, "eta": options.eta, "build_s": build, "apply_s": apply, "error": error.sqrt(),
            "bytes": h.memory_bytes(), "bound": certificate.frobenius.value / certificate.norm,
            "blocks": h.block_counts(), "ranks": certificate.ranks, "direct_sum_s": direct,
        });
        println!("{line}");
    }
    Ok(())
}

/// `A q` entry by entry, in blocks of rows.
fn direct_sum(kernel: &KernelMatrix<f64>, q: &[f64]) -> Vec<f64> {
    let radial = {
        let (profile, softening) = match kernel.kernel() {
            Kernel::InverseDistance => (farfield_kernels::Profile::Inverse, 0.0),
            _ => (farfield_kernels::Profile::InverseMultiquadric { a: 1.0 }, 0.0),
        };
        let at_zero = if let AtZero::Value(value) = kernel.at_zero() { Some(value) } else { None };
        farfield_kernels::Radial { profile, scale: 1.0, softening, at_zero }
    };
    let points = kernel.row_points();
    let cloud = farfield_kernels::PointCloud::new(3, points.len(), |i, k| points.point(i)[k]);
    let mut y = vec![0.0; points.len()];
    for (i, y) in y.chunks_mut(1000).enumerate() {
        let rows = cloud.range(1000 * i..1000 * i + y.len());
        radial.add_product(rows, cloud.all(), q, y).expect("the sizes fit");
    }
    y
}
