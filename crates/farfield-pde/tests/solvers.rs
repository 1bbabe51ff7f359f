//! The fast solvers against a sparse LU factorisation of the stencils, assembled here point by
//! point, and against exact solutions.

use std::f64::consts::PI;

use faer::prelude::Solve;
use faer::sparse::{SparseColMat, Triplet};
use farfield_pde::{
    DirichletSolver, FiveDiagonal, NeumannSolver, SineTransform, Stencil, second_difference_eigenvalue,
};

/// Offsets and weights of a stencil for `-Laplace`, and of the correction of the right-hand side.
type Weights = Vec<(Vec<i64>, f64)>;

fn offsets(axes: usize) -> Vec<Vec<i64>> {
    (0..5_usize.pow(axes as u32))
        .map(|code| (0..axes).map(|axis| (code / 5_usize.pow(axis as u32) % 5) as i64 - 2).collect())
        .collect()
}

/// Tabulated stencils, written down from the literature rather than from their eigenvalues.
fn stencil(kind: Stencil, axes: usize, n: usize) -> (Weights, Weights) {
    let h = 1.0 / n as f64;
    let (mut operator, mut right) = (Weights::new(), Weights::new());
    for offset in offsets(axes) {
        let moved = offset.iter().filter(|&&o| o != 0).count();
        let longest = offset.iter().map(|o| o.abs()).max().unwrap_or(0);
        let d = axes as f64;
        let weight = match (kind, moved, longest) {
            (Stencil::SecondOrder, 0, _) => 2.0 * d,
            (Stencil::SecondOrder, 1, 1) => -1.0,
            (Stencil::FourthOrderCross, 0, _) => d * 30.0 / 12.0,
            (Stencil::FourthOrderCross, 1, 1) => -16.0 / 12.0,
            (Stencil::FourthOrderCross, 1, 2) => 1.0 / 12.0,
            (Stencil::FourthOrderCompact, moved, longest) if longest <= 1 => match (axes, moved) {
                (1, 0) => 2.0,
                (1, 1) => -1.0,
                (2, 0) => 20.0 / 6.0,
                (2, 1) => -4.0 / 6.0,
                (2, 2) => -1.0 / 6.0,
                (3, 0) => 24.0 / 6.0,
                (3, 1) => -2.0 / 6.0,
                (3, 2) => -1.0 / 6.0,
                _ => 0.0,
            },
            _ => 0.0,
        };
        if weight != 0.0 {
            operator.push((offset.clone(), weight / (h * h)));
        }
        let weight = match (kind, moved, longest) {
            (Stencil::FourthOrderCompact, 0, _) => 1.0 - 2.0 * d / 12.0,
            (Stencil::FourthOrderCompact, 1, 1) => 1.0 / 12.0,
            (_, 0, _) => 1.0,
            _ => 0.0,
        };
        if weight != 0.0 {
            right.push((offset, weight));
        }
    }
    (operator, right)
}

/// The entries (row, column, value) of a stencil on the interior points, with odd reflection at the
/// boundary.
fn assemble(weights: &Weights, axes: usize, n: usize) -> Vec<(usize, usize, f64)> {
    let interior = n - 1;
    let size = interior.pow(axes as u32);
    let mut entries = Vec::new();
    for row in 0..size {
        let mut rest = row;
        let mut point = vec![0i64; axes];
        for axis in (0..axes).rev() {
            point[axis] = (rest % interior + 1) as i64;
            rest /= interior;
        }
        'offsets: for (offset, weight) in weights {
            let (mut column, mut value) = (0, *weight);
            for (&p, &o) in point.iter().zip(offset) {
                let mut q = p + o;
                if q < 0 {
                    (q, value) = (-q, -value);
                }
                if q > n as i64 {
                    (q, value) = (2 * n as i64 - q, -value);
                }
                if q == 0 || q == n as i64 {
                    continue 'offsets;
                }
                column = column * interior + q as usize - 1;
            }
            entries.push((row, column, value));
        }
    }
    entries
}

fn multiply(entries: &[(usize, usize, f64)], x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for &(row, column, value) in entries {
        y[row] += value * x[column];
    }
    y
}

fn sparse_solve(entries: &[(usize, usize, f64)], right: &[f64]) -> Vec<f64> {
    let n = right.len();
    let triplets: Vec<_> = entries.iter().map(|&(row, column, value)| Triplet::new(row, column, value)).collect();
    let matrix = SparseColMat::<usize, f64>::try_new_from_triplets(n, n, &triplets).unwrap();
    let x = matrix.sp_lu().unwrap().solve(faer::Col::from_fn(n, |i| right[i]));
    (0..n).map(|i| x[i]).collect()
}

/// Numbers without pattern in (-1, 1).
fn noise(len: usize) -> Vec<f64> {
    (1..=len)
        .map(|i| (i as f64 * 0.754_877_666_246_692_7 + 0.31).fract() * 2.0 - 1.0)
        .map(|x| (7.3 * x).sin())
        .collect()
}

fn relative_error(x: &[f64], exact: &[f64]) -> f64 {
    let error: f64 = x.iter().zip(exact).map(|(a, b)| (a - b) * (a - b)).sum();
    let norm: f64 = exact.iter().map(|b| b * b).sum();
    (error / norm).sqrt()
}

/// Whether a point of a stored field lies inside: no index is zero.
fn inside(point: usize, axes: usize, n: usize) -> bool {
    (0..axes).all(|axis| !(point / n.pow(axis as u32)).is_multiple_of(n))
}

/// The interior of a stored field, and a stored field from its interior.
fn interior(field: &[f64], axes: usize, n: usize) -> Vec<f64> {
    (0..field.len()).filter(|&i| inside(i, axes, n)).map(|i| field[i]).collect()
}

fn stored(values: &[f64], axes: usize, n: usize) -> Vec<f64> {
    let mut values = values.iter();
    (0..n.pow(axes as u32)).map(|i| if inside(i, axes, n) { *values.next().unwrap() } else { 0.0 }).collect()
}

const STENCILS: [Stencil; 3] = [Stencil::SecondOrder, Stencil::FourthOrderCross, Stencil::FourthOrderCompact];

#[test]
fn dirichlet_solver_equals_sparse_lu() {
    for (axes, sizes) in [(1, &[2, 3, 4, 5, 9, 16, 31, 64][..]), (2, &[2, 3, 4, 7, 12, 16, 20]), (3, &[2, 3, 4, 6, 9])]
    {
        for &n in sizes {
            for kind in STENCILS {
                let (operator, right) = stencil(kind, axes, n);
                let f = noise((n - 1).pow(axes as u32));
                let corrected = multiply(&assemble(&right, axes, n), &f);
                let expected = sparse_solve(&assemble(&operator, axes, n), &corrected);
                let mut u = vec![f64::NAN; n.pow(axes as u32)];
                DirichletSolver::new(axes, n, kind).solve(&stored(&f, axes, n), &mut u);
                let error = relative_error(&interior(&u, axes, n), &expected);
                assert!(error < 1e-12, "{kind:?}, {axes}D, n = {n}: {error:e}");
                assert_eq!(u, stored(&interior(&u, axes, n), axes, n), "zero boundary");
            }
        }
    }
}

#[test]
fn values_of_f_on_the_boundary_do_not_count() {
    let n = 8;
    let solver = DirichletSolver::new(2, n, Stencil::FourthOrderCompact);
    let f = noise(n * n);
    let (mut u, mut clean) = (vec![0.0; n * n], vec![0.0; n * n]);
    solver.solve(&f, &mut u);
    solver.solve(&stored(&interior(&f, 2, n), 2, n), &mut clean);
    assert_eq!(u, clean);
}

#[test]
fn banded_solver_equals_sparse_lu() {
    for unknowns in [1, 2, 3, 4, 5, 10, 63, 64] {
        let h = 1.0 / (unknowns + 1) as f64;
        let mut entries = Vec::new();
        for row in 0..unknowns {
            for (offset, weight) in [(-2, 1.0), (-1, -16.0), (0, 30.0), (1, -16.0), (2, 1.0)] {
                let column = row as i64 + offset;
                if (0..unknowns as i64).contains(&column) {
                    entries.push((row, column as usize, weight / (12.0 * h * h)));
                }
            }
        }
        let f = noise(unknowns);
        let expected = sparse_solve(&entries, &f);
        let mut u = f.clone();
        FiveDiagonal::new(unknowns, h).solve(&mut u);
        let error = relative_error(&u, &expected);
        assert!(error < 1e-12, "{unknowns} unknowns: {error:e}");
    }
}

#[test]
fn neumann_solver_equals_sparse_lu_with_the_mean_as_constraint() {
    for points in [3, 4, 5, 9, 16, 33, 64] {
        let last = points as i64 - 1;
        let h = 1.0 / last as f64;
        for (kind, weights) in [
            (Stencil::SecondOrder, &[(-1, -1.0), (0, 2.0), (1, -1.0)][..]),
            (
                Stencil::FourthOrderCross,
                &[(-2, 1.0 / 12.0), (-1, -16.0 / 12.0), (0, 30.0 / 12.0), (1, -16.0 / 12.0), (2, 1.0 / 12.0)],
            ),
        ] {
            let mut entries = Vec::new();
            for row in 0..=last {
                for &(offset, weight) in weights {
                    let column = (row + offset).abs();
                    let column = if column > last { 2 * last - column } else { column };
                    entries.push((row as usize, column as usize, weight / (h * h)));
                }
                // A multiplier takes up the mean of f; the last equation sets the mean of u.
                let trapezoid = if row == 0 || row == last { 0.5 } else { 1.0 };
                entries.push((row as usize, points, 1.0));
                entries.push((points, row as usize, trapezoid));
            }
            let mut f = noise(points);
            let mut right = f.clone();
            right.push(0.0);
            let mut expected = sparse_solve(&entries, &right);
            let multiplier = expected.pop().unwrap();
            let solver = NeumannSolver::new(points, kind);
            let mut u = vec![f64::NAN; points];
            solver.solve(&f, &mut u);
            let error = relative_error(&u, &expected);
            assert!(error < 1e-12, "{kind:?}, {points} points: {error:e}");

            let before = f[0];
            solver.remove_mean(&mut f);
            assert!((before - f[0] - multiplier).abs() < 1e-12 * (1.0 + multiplier.abs()));
        }
    }
}

#[test]
fn sine_waves_are_eigenvectors_with_the_stated_eigenvalues() {
    for (axes, n) in [(1, 13), (2, 9), (3, 6)] {
        for kind in STENCILS {
            let (operator, right) = stencil(kind, axes, n);
            let (operator, right) = (assemble(&operator, axes, n), assemble(&right, axes, n));
            for k in [vec![1, 1, 1], vec![2, 5, 3], vec![n - 1, 1, n - 1], vec![n - 1; 3]] {
                let k = &k[..axes];
                let wave: Vec<f64> = (0..n.pow(axes as u32))
                    .map(|i| {
                        (0..axes)
                            .map(|axis| {
                                let x = (i / n.pow((axes - 1 - axis) as u32) % n) as f64;
                                (PI * k[axis] as f64 * x / n as f64).sin()
                            })
                            .product()
                    })
                    .collect();
                let wave = interior(&wave, axes, n);
                let mu: Vec<f64> = k.iter().map(|&k| second_difference_eigenvalue(k, n)).collect();
                let (left_value, right_value) = kind.eigenvalues(&mu, 1.0 / n as f64);
                let scale = (n * n) as f64;
                for (entries, value) in [(&operator, left_value), (&right, right_value * scale)] {
                    let factor = if std::ptr::eq(entries, &right) { scale } else { 1.0 };
                    for (y, w) in multiply(entries, &wave).iter().zip(&wave) {
                        let difference = (y * factor - value * w).abs();
                        assert!(difference < 1e-12 * 40.0 * scale, "{kind:?} {k:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn sine_transform_is_the_sum_of_sines_and_its_own_inverse() {
    for (axes, n) in [(1, 2), (1, 3), (1, 17), (1, 40), (2, 5), (2, 13), (2, 30), (2, 48), (3, 4), (3, 11), (3, 26)] {
        let transform = SineTransform::new(axes, n);
        let len = n.pow(axes as u32);
        let field = stored(&noise((n - 1).pow(axes as u32)), axes, n);
        let mut waves = field.clone();
        transform.apply(&mut waves);
        let index = |i: usize, axis: usize| i / n.pow(axis as u32) % n;
        for k in (0..len).step_by(1 + len / 40) {
            let sum: f64 = (0..len)
                .map(|i| {
                    let sines = (0..axes).map(|a| (PI * (index(k, a) * index(i, a)) as f64 / n as f64).sin());
                    field[i] * sines.product::<f64>()
                })
                .sum();
            assert!((sum - waves[k]).abs() < 1e-12 * len as f64, "{axes}D n = {n}");
        }
        transform.apply(&mut waves);
        for (w, f) in waves.iter().zip(&field) {
            assert!((w * transform.inverse_factor() - f).abs() < 1e-13);
        }
    }
}
