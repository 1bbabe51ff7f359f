//! H2-matrices of uniform random points in a cube of side `N^(1/3)`: `1 / r` with the coupling blocks stored or recomputed in each product, and
//! `(1 + r^2)^(-1/2)` recomputed. The error is that of a product, on all rows, against the direct sum.

use std::sync::Arc;

use anyhow::Result;
use farfield_matrix::{Accuracy, AtZero, H2Matrix, H2Options, H2Storage, Kernel, KernelMatrix, LinearOperator, Points};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Line, Sizes, direct_sum, mib, relative_distance, test_vector, timed, timed_often};

const ETA: f64 = 1.8;

pub(super) fn measure(name: &str, sizes: Sizes, threads: usize) -> Result<Line> {
    let n = sizes.n;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let side = (n as f64).cbrt();
    let points = Arc::new(Points::new(3, (0..3 * n).map(|_| side * random.random::<f64>()).collect())?);
    let (kernel, at_zero) = match name {
        "cube-multiquadric" => (Kernel::InverseMultiquadric { length: 1.0 }, AtZero::Value(1.0)),
        _ => (Kernel::InverseDistance, AtZero::Value(0.0)),
    };
    let kernel = KernelMatrix::<f64>::new(kernel, points.clone(), points, at_zero)?;
    let options = H2Options {
        storage: if name == "cube-stored" { H2Storage::Stored } else { H2Storage::Recomputed },
        leaf_size: sizes.leaf,
        eta: ETA,
        ..H2Options::new(Accuracy::relative(sizes.tolerance)?)
    };
    let ((matrix, certificate), build_s) = timed(|| H2Matrix::from_kernel(&kernel, &options))?;
    let x = test_vector(n);
    let (y, apply_s) = timed_often(|| matrix.apply(&x))?;
    let exact = direct_sum(&kernel, x.col(0));
    Ok(Line {
        build_s,
        apply_s,
        mib: mib(matrix.memory_bytes()),
        error: relative_distance(y.col(0), &exact),
        error_of: "a product",
        ..Line::new(name, sizes, threads, &certificate)
    })
}
