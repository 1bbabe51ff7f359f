//! The Gaussian kernel `exp(-r^2)` plus `100 I` on sorted random points of (-1, 1), as a HODLR matrix. The error is `||A x - b|| / ||b||` on twenty rows
//! of the kernel itself, with `x` from the factors.

use std::sync::Arc;

use anyhow::Result;
use farfield_matrix::{Accuracy, AtZero, ClusterTree, Entries, Hodlr, Kernel, KernelMatrix, LinearOperator, Points};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{FactorLine, Line, Sizes, mib, relative_distance, test_vector, timed, timed_often};

pub(super) fn measure(sizes: Sizes, threads: usize) -> Result<Line> {
    let n = sizes.n;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut points: Vec<f64> = (0..n).map(|_| random.random_range(-1.0..1.0)).collect();
    points.sort_by(f64::total_cmp);
    let points = Arc::new(Points::new(1, points)?);
    let kernel = Kernel::Gaussian { length: 1.0 };
    let kernel = KernelMatrix::<f64>::new(kernel, points.clone(), points, AtZero::Value(101.0))?;

    let accuracy = Accuracy::relative(sizes.tolerance)?;
    let ((matrix, certificate), build_s) =
        timed(|| Hodlr::from_entries(&kernel, ClusterTree::bisection(n, sizes.leaf)?, accuracy, 1))?;
    let b = test_vector(n);
    let (_, apply_s) = timed_often(|| matrix.apply(&b))?;
    let (factor, factor_s) = timed(|| matrix.factor())?;
    let (x, solve_s) = timed_often(|| factor.solve(&b))?;
    let residual = relative_distance(matrix.apply(&x)?.col(0), b.col(0));
    let again = factor.solve(&matrix.apply(&b)?)?;
    let (exact, expected): (Vec<f64>, Vec<f64>) = (0..20)
        .map(|k| {
            let row = k * (n - 1) / 19;
            ((0..n).map(|j| kernel.entry(row, j) * x[(j, 0)]).sum::<f64>(), b[(row, 0)])
        })
        .unzip();
    let factors = FactorLine {
        factor_s,
        solve_s,
        factor_mib: mib(factor.memory_bytes()),
        residual,
        solution_error: relative_distance(again.col(0), b.col(0)),
        ..FactorLine::new("HODLR factors", factor.log_determinant())
    };
    Ok(Line {
        build_s,
        apply_s,
        mib: mib(matrix.memory_bytes()),
        error: relative_distance(&exact, &expected),
        error_of: "the solution in the exact kernel",
        factors: Some(factors),
        ..Line::new("gaussian", sizes, threads, &certificate)
    })
}
