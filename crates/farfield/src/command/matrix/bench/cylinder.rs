//! `N` points on a cylinder of radius 1, on a helix whose turns are as far apart as the points on it.
//!
//! Point i is `(cos(h i), sin(h i), h^2 i / (2 pi))` with `h = 1.75 pi / sqrt(N)`: neighbours are `h` apart along the helix, turns are `h` apart
//! along the axis, and the cylinder is 4.8 high for any N. Kernel `1 / (4 pi (r + 1e-8))`, whose diagonal is 8e6, or softened,
//! `1 / (4 pi sqrt(r^2 + h^2))`, plus the identity for the LU. The error is that of the entries off the diagonal in 1000 rows,
//! relative to them: the diagonal alone would pass a careless tolerance.

use std::f64::consts::PI;
use std::sync::Arc;

use anyhow::Result;
use farfield_matrix::{
    Accuracy, Admissibility, AtZero, ClusterTree, Entries, HMatrix, HMatrixOptions, Kernel, KernelMatrix,
    LinearOperator, Points, Splitting,
};

use super::{FactorLine, Line, Sizes, mib, relative_distance, test_vector, timed, timed_often};

const ETA: f64 = 3.0;

pub(super) fn measure(name: &str, sizes: Sizes, threads: usize) -> Result<Line> {
    let n = sizes.n;
    let h = 1.75 * PI / (n as f64).sqrt();
    let point = |i: usize| {
        let angle = h * i as f64;
        [angle.cos(), angle.sin(), h * angle / (2.0 * PI)]
    };
    let points = Arc::new(Points::new(3, (0..n).flat_map(point).collect())?);
    let (kernel, at_zero, shift) = match name {
        "cylinder-softened" => (Kernel::Laplace3d, AtZero::Softened(h), 1.0),
        _ => (Kernel::ShiftedLaplace3d { shift: 1e-8 }, AtZero::Formula, 0.0),
    };
    let kernel = KernelMatrix::<f64>::new(kernel, points.clone(), points.clone(), at_zero)?;

    let accuracy = Accuracy::relative(sizes.tolerance)?;
    let ((matrix, certificate), build_s) = timed(|| {
        let tree = Arc::new(ClusterTree::geometric(&points, sizes.leaf, Splitting::Median)?);
        HMatrix::build(&kernel, &tree, &tree, Admissibility::Strong { eta: ETA }, &HMatrixOptions::new(accuracy))
    })?;
    let b = test_vector(n);
    let (_, apply_s) = timed_often(|| matrix.apply(&b))?;
    let error = off_diagonal_error(&kernel, &matrix)?;

    let matrix = matrix.shift(shift)?;
    let ((lu, _), factor_s) = timed(|| matrix.lu(accuracy, 1))?;
    let (x, solve_s) = timed_often(|| lu.solve(&b))?;
    let residual = relative_distance(matrix.apply(&x)?.col(0), b.col(0));
    let again = lu.solve(&matrix.apply(&b)?)?;
    let factors = FactorLine {
        factor_s,
        solve_s,
        factor_mib: mib(8 * lu.stored()),
        residual,
        solution_error: relative_distance(again.col(0), b.col(0)),
        ..FactorLine::new("LU", lu.log_determinant())
    };
    Ok(Line {
        build_s,
        apply_s,
        mib: mib(matrix.memory_bytes()),
        error,
        error_of: "entries off the diagonal",
        factors: Some(factors),
        ..Line::new(name, sizes, threads, &certificate)
    })
}

/// In 1000 rows, relative to the entries there.
fn off_diagonal_error(kernel: &KernelMatrix<f64>, matrix: &HMatrix<f64>) -> Result<f64> {
    let n = kernel.nrows();
    let count = n.min(1000);
    let sampled: Vec<usize> = (0..count).map(|i| i * (n / count)).collect();
    let all: Vec<usize> = (0..n).collect();
    let (mut error, mut norm) = (0.0, 0.0);
    let mut exact = vec![0.0; n];
    for rows in sampled.chunks(50) {
        let approximate = matrix.block(rows, &all)?;
        for (i, &row) in rows.iter().enumerate() {
            kernel.block(&[row], &all, &mut exact);
            for j in (0..n).filter(|&j| j != row) {
                error += (exact[j] - approximate[(i, j)]).powi(2);
                norm += exact[j].powi(2);
            }
        }
    }
    Ok((error / norm).sqrt())
}
