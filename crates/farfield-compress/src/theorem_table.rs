//! Theorems 1a to 1e and 3 of Mango & Katende (arXiv 2409.07028, 2024) on a matrix and its approximation: the bound, the quantity, and whether it holds, in the form
//! that can be proven (see [`farfield_matrix::bounds`]) and as printed.
//!
//! Perturbations are the worst of their size: `delta (u_1 v_1^T - u_n v_n^T) / sqrt(2)` with the outer singular vectors moves the condition number most. Part 1f (training error at
//! most `tau T`) says nothing about a matrix and is not in the table.

use farfield_matrix::bounds::{condition_number, equal_blocks_error, global_error, perturbed_error};
use farfield_matrix::{DenseSvd, Matrix};
use serde::Serialize;

use crate::adaptive_refinement::Refinement;
use crate::error::CompressError;

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TheoremRow {
    /// Part of the theorem, as `1a`.
    pub part: &'static str,
    /// What is bounded.
    pub quantity: &'static str,
    /// Its value.
    pub measured: f64,
    /// The corrected bound; `None` where it makes no statement (an error above the smallest singular value).
    pub bound: Option<f64>,
    /// Whether the corrected bound holds.
    pub holds: bool,
    /// The bound as printed.
    pub printed: f64,
    /// Whether that holds.
    pub printed_holds: bool,
}

impl TheoremRow {
    fn new(part: &'static str, quantity: &'static str, measured: f64, bound: Option<f64>, printed: f64) -> Self {
        // Singular values and norms round.
        let holds = |bound: f64| measured <= bound * (1.0 + 1e-10);
        Self { part, quantity, measured, bound, holds: bound.is_none_or(holds), printed, printed_holds: holds(printed) }
    }
}

/// The table for a square matrix, its approximation by [`adaptive_refinement`](crate::adaptive_refinement()), and perturbations of Frobenius norm `delta`.
///
/// # Errors
/// [`CompressError::Shape`] for a matrix that is not square or does not fit, [`CompressError::Option`] for a negative `delta`.
pub fn theorem_table(a: &Matrix<f64>, found: &Refinement, delta: f64) -> Result<Vec<TheoremRow>, CompressError> {
    let n = a.nrows();
    let h = found.matrix.to_dense();
    if a.ncols() != n || n < 2 || (h.nrows(), h.ncols()) != (n, n) {
        let got = format!("{n} x {} and {} x {}", a.ncols(), h.nrows(), h.ncols());
        return Err(CompressError::shape(
            "matrix and its approximation",
            got,
            "square of the same size, at least 2 x 2",
        ));
    }
    if !(delta >= 0.0 && delta.is_finite()) {
        return Err(CompressError::option("delta", delta, "must be a finite number of at least 0"));
    }
    let (of_a, of_h) = (a.svd()?, h.svd()?);
    let kappa = |svd: &DenseSvd<f64>| svd.s[0] / svd.s[n - 1];
    let difference = |x: &Matrix<f64>, y: &Matrix<f64>| Matrix::from_fn(n, n, |i, j| x[(i, j)] - y[(i, j)]);
    let error = difference(a, &h);
    let (measured, t) = (error.norm_frobenius(), error.svd()?.s[0]);
    let errors = &found.block_errors;
    let tau = errors.iter().copied().fold(0.0, f64::max);
    let mut rows =
        vec![TheoremRow::new("1a", "||A - H||_F", measured, Some(global_error(errors)), errors.iter().sum::<f64>())];

    // A moves away from H along their difference.
    let moved = if measured > 0.0 { measured + delta } else { delta };
    let bound = perturbed_error(equal_blocks_error(tau, errors.len()), delta);
    rows.push(TheoremRow::new("1b", "||A' - H||_F", moved, Some(bound), tau + delta));

    let (s1, smin) = (of_a.s[0], of_a.s[n - 1]);
    let printed = if t < smin { kappa(&of_a) * (1.0 + t / (smin - t)) } else { f64::INFINITY };
    rows.push(TheoremRow::new("1c", "kappa(H)", kappa(&of_h), condition_number(s1, smin, t), printed));

    let step = delta / 2f64.sqrt();
    let worst = Matrix::from_fn(n, n, |i, j| {
        let of = |k: usize| of_h.u[(i, k)] * of_h.v[(j, k)];
        h[(i, j)] + step * (of(0) - of(n - 1))
    });
    let (h1, hmin) = (of_h.s[0], of_h.s[n - 1]);
    let bound = condition_number(h1, hmin, step * (1.0 + 1e-12));
    let printed = kappa(&of_h) * (1.0 + delta / hmin);
    rows.push(TheoremRow::new("1d, 1e", "kappa(H')", kappa(&worst.svd()?), bound, printed));

    let printed = kappa(&of_a) * (1.0 + t / hmin);
    rows.push(TheoremRow::new("3", "kappa(H)", kappa(&of_h), condition_number(s1, smin, t), printed));
    Ok(rows)
}
