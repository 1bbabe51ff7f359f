//! HSS matrix of `(1 + r^2)^(-1/2)` on random points in a square of side `sqrt(N)`, and the ULV factors of it plus the identity. The error is that of a product,
//! on all rows, against the direct sum.

use std::sync::Arc;

use anyhow::Result;
use farfield_matrix::{
    Accuracy, AtZero, ClusterTree, Hss, Kernel, KernelMatrix, LinearOperator, Points, SkeletonOptions, Splitting,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{FactorLine, Line, Sizes, direct_sum, mib, relative_distance, test_vector, timed, timed_often};

pub(super) fn measure(sizes: Sizes, threads: usize) -> Result<Line> {
    let n = sizes.n;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let side = (n as f64).sqrt();
    let points = Arc::new(Points::new(2, (0..2 * n).map(|_| side * random.random::<f64>()).collect())?);
    let kernel = Kernel::InverseMultiquadric { length: 1.0 };
    let kernel = KernelMatrix::<f64>::new(kernel, points.clone(), points.clone(), AtZero::Formula)?;

    let accuracy = Accuracy::relative(sizes.tolerance)?;
    let options = SkeletonOptions::default();
    let ((matrix, certificate), build_s) = timed(|| {
        let tree = Arc::new(ClusterTree::geometric(&points, sizes.leaf, Splitting::Median)?);
        Hss::from_entries(&kernel, &tree, &tree, accuracy, &options)
    })?;
    let b = test_vector(n);
    let (y, apply_s) = timed_often(|| matrix.apply(&b))?;
    let error = relative_distance(y.col(0), &direct_sum(&kernel, b.col(0)));

    let shifted = matrix.shift(1.0)?;
    let (ulv, factor_s) = timed(|| shifted.ulv())?;
    let (x, solve_s) = timed_often(|| ulv.solve(&b))?;
    let residual = relative_distance(shifted.apply(&x)?.col(0), b.col(0));
    let again = ulv.solve(&shifted.apply(&b)?)?;
    let factors = FactorLine {
        factor_s,
        solve_s,
        factor_mib: mib(ulv.memory_bytes()),
        residual,
        solution_error: relative_distance(again.col(0), b.col(0)),
        ..FactorLine::new("ULV", ulv.log_determinant())
    };
    Ok(Line {
        build_s,
        apply_s,
        mib: mib(matrix.memory_bytes()),
        error,
        error_of: "a product",
        factors: Some(factors),
        ..Line::new("square", sizes, threads, &certificate)
    })
}
