//! Krylov solvers on systems with known solutions, plain and preconditioned by factorisations of HSS approximations.

use std::sync::Arc;

use crate::cases::*;
use farfield_matrix::hss::ProductOptions;
use farfield_matrix::krylov::{KrylovOptions, KrylovSolution, bicgstab, conjugate_gradients, gmres};
use farfield_matrix::{Accuracy, ClusterTree, Hss, LinearOperator, Matrix, MatrixError};

type Solver = fn(
    &dyn LinearOperator<f64>,
    &[f64],
    Option<&dyn LinearOperator<f64>>,
    &KrylovOptions,
) -> Result<KrylovSolution<f64>, MatrixError>;

const SOLVERS: [(&str, Solver); 3] = [("CG", conjugate_gradients), ("GMRES", gmres), ("BiCGStab", bicgstab)];

fn relative_residual(a: &dyn LinearOperator<f64>, x: &[f64], b: &[f64]) -> f64 {
    let b = Matrix::from_vector(b);
    distance(&b, &a.apply(&Matrix::from_vector(x)).unwrap()) / b.norm_frobenius()
}

/// exp(-|i - j| / length) + shift: symmetric positive definite, condition number about 2 length / shift.
fn exponential(n: usize, length: f64, shift: f64) -> Matrix<f64> {
    Matrix::from_fn(n, n, |i, j| (-(i.abs_diff(j) as f64) / length).exp() + if i == j { shift } else { 0.0 })
}

#[test]
fn all_solve_a_well_conditioned_definite_system() {
    let a = exponential(120, 3.0, 1.0);
    let b = gaussian(&mut rng(1), 120, 1);
    for (name, solve) in SOLVERS {
        let solution = solve(&a, b.col(0), None, &KrylovOptions::default()).unwrap();
        assert!(relative_residual(&a, &solution.x, b.col(0)) <= 1e-10, "{name}");
        assert_eq!(solution.residuals.len(), solution.iterations + 1);
        assert_eq!(solution.residuals[0], 1.0);
        assert!(*solution.residuals.last().unwrap() <= 1e-10 && solution.iterations < 60, "{name}");
    }
}

#[test]
fn ill_conditioned_systems_need_the_preconditioner() {
    let n = 512;
    let a = exponential(n, 400.0, 1e-6);
    let tree = Arc::new(ClusterTree::bisection(n, 32).unwrap());
    let accuracy = Accuracy::absolute(3e-7).unwrap();
    let built = Hss::from_products(&a, &tree, &tree, accuracy, &ProductOptions::default()).unwrap();
    let ulv = built.matrix.ulv().unwrap();
    let b = gaussian(&mut rng(2), n, 1);
    let options = KrylovOptions { tolerance: 1e-9, max_iterations: 60, restart: 30 };
    for (name, solve) in SOLVERS {
        match solve(&a, b.col(0), None, &options) {
            Err(MatrixError::NoConvergence { iterations, residual, .. }) => {
                assert!(iterations <= 60 && residual > 1e-9, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        let solution = solve(&a, b.col(0), Some(&ulv), &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(solution.iterations <= 12, "{name}: {}", solution.iterations);
        assert!(relative_residual(&a, &solution.x, b.col(0)) <= 1e-9, "{name}");
    }
}

#[test]
fn nonsymmetric_systems() {
    let n = 200;
    let a = Matrix::from_fn(n, n, |i, j| {
        let local = [3.0, -1.9, 0.4][i.abs_diff(j).min(2)];
        if i.abs_diff(j) > 2 {
            0.0
        } else if j > i {
            0.3 * local
        } else {
            local
        }
    });
    let b = gaussian(&mut rng(3), n, 1);
    for (name, solve) in [SOLVERS[1], SOLVERS[2]] {
        let solution = solve(&a, b.col(0), None, &KrylovOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(relative_residual(&a, &solution.x, b.col(0)) <= 1e-10, "{name}");
    }
    // GMRES: residuals never rise within a cycle, and n steps are enough.
    let short = KrylovOptions { restart: n, ..KrylovOptions::default() };
    let solution = gmres(&a, b.col(0), None, &short).unwrap();
    assert!(solution.residuals.windows(2).all(|w| w[1] <= w[0] * (1.0 + 1e-12)) && solution.iterations <= n);
    // A rotation, on which restarted GMRES stalls, is an error and does not run for ever.
    let rotation = Matrix::from_fn(8, 8, |i, j| f64::from(u8::from((i + 1) % 8 == j)));
    let unit: Vec<f64> = (0..8).map(|i| f64::from(u8::from(i == 0))).collect();
    let stalled = gmres(&rotation, &unit, None, &KrylovOptions { restart: 3, ..KrylovOptions::default() });
    assert!(matches!(stalled, Err(MatrixError::NoConvergence { .. })));
    assert!(gmres(&rotation, &unit, None, &KrylovOptions { restart: 8, ..KrylovOptions::default() }).is_ok());
}

#[test]
fn bad_systems_are_errors() {
    let options = KrylovOptions::default();
    let indefinite = Matrix::from_fn(6, 6, |i, j| if i == j { 1.0 - 2.0 * (i % 2) as f64 } else { 0.0 });
    let error = conjugate_gradients(&indefinite, &[1.0; 6], None, &options).unwrap_err();
    assert!(matches!(error, MatrixError::NotPositiveDefinite { .. }), "{error}");
    for (name, solve) in SOLVERS {
        let a = exponential(6, 1.0, 1.0);
        assert!(matches!(solve(&a, &[1.0; 5], None, &options), Err(MatrixError::Length { .. })), "{name}");
        assert!(matches!(solve(&Matrix::zeros(6, 5), &[1.0; 6], None, &options), Err(MatrixError::Shapes { .. })));
        let wrong = Matrix::identity(7);
        assert!(matches!(solve(&a, &[1.0; 6], Some(&wrong), &options), Err(MatrixError::Shapes { .. })));
        let mut b = [1.0; 6];
        b[2] = f64::NAN;
        assert!(matches!(solve(&a, &b, None, &options), Err(MatrixError::Entry { row: 2, .. })));
        let zero = KrylovOptions { tolerance: 0.0, ..options };
        assert!(matches!(solve(&a, &[1.0; 6], None, &zero), Err(MatrixError::Option { .. })));
        // Below the rounding level: no convergence, and no endless loop.
        let tiny = KrylovOptions { tolerance: 1e-30, ..options };
        assert!(solve(&a, &[1.0; 6], None, &tiny).map_or(true, |s| relative_residual(&a, &s.x, &[1.0; 6]) == 0.0));
        // A zero right-hand side has the zero solution, without an iteration.
        let solution = solve(&a, &[0.0; 6], None, &options).unwrap();
        assert_eq!((solution.iterations, solution.x), (0, vec![0.0; 6]));
        let one = solve(&Matrix::from_vector(&[4.0]), &[2.0], None, &options).unwrap();
        assert!((one.x[0] - 0.5).abs() < 1e-14, "{name}");
    }
}

#[test]
fn single_precision() {
    let a = Matrix::<f32>::from_fn(50, 50, |i, j| if i == j { 3.0 } else { 1.0 / (1 + i.abs_diff(j)).pow(2) as f32 });
    let b = vec![1.0f32; 50];
    let options = KrylovOptions { tolerance: 1e-5, ..KrylovOptions::default() };
    for x in [
        conjugate_gradients(&a, &b, None, &options).unwrap().x,
        gmres(&a, &b, None, &options).unwrap().x,
        bicgstab(&a, &b, None, &options).unwrap().x,
    ] {
        let y = a.apply(&Matrix::from_vector(&x)).unwrap();
        assert!(y.col(0).iter().all(|y| (y - 1.0).abs() < 1e-3));
    }
}
