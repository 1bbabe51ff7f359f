//! Factorisations of HSS matrices: backward errors, determinants and condition numbers against dense ones.

use std::sync::Arc;

use crate::cases::*;
use farfield_matrix::hss::ProductOptions;
use farfield_matrix::{
    Accuracy, ClusterTree, Hss, LinearOperator, Matrix, MatrixError, Nested, condition_1_estimate, norm_1_estimate,
};
use rand::RngExt;

const BACKWARD: f64 = 1e-13;

/// Trees of all kinds, each with a matrix of random ranks (often above the block size).
fn cases() -> Vec<(String, Hss<f64>)> {
    let mut random = rng(1);
    let mut cases = Vec::new();
    for (n, leaf, rank) in
        [(1, 1, 0), (1, 4, 0), (2, 1, 1), (7, 1, 2), (33, 8, 3), (100, 7, 9), (150, 20, 5), (64, 100, 0)]
    {
        let tree = Arc::new(ClusterTree::bisection(n, leaf).unwrap());
        cases.push((
            format!("bisection {n} {leaf} {rank}"),
            random_hss(&mut random, &tree, &tree, |_| (rank, rank), 1.0),
        ));
    }
    for case in 0..40 {
        let n = random.random_range(1..90);
        let rows = wild_tree(&mut random, n);
        let largest = random.random_range(0..12);
        let ranks = move |random: &mut rand_chacha::ChaCha8Rng| {
            (random.random_range(0..=largest), random.random_range(0..=largest))
        };
        let rows = Arc::new(rows);
        cases.push((format!("wild {case}: n = {n}"), random_hss(&mut random, &rows, &rows, ranks, 2.0)));
    }
    cases
}

fn right_hand_sides(n: usize) -> Matrix<f64> {
    gaussian(&mut rng(7), n, 3)
}

#[test]
fn ulv_solutions_are_backward_stable_on_any_tree_and_rank() {
    for (name, a) in cases() {
        let ulv = a.ulv().unwrap_or_else(|e| panic!("{name}: {e}"));
        let b = right_hand_sides(a.nrows());
        let error = backward_error(&a, &ulv.solve(&b).unwrap(), &b);
        assert!(error <= BACKWARD, "{name}: {error:e}");
        let error = backward_error(&a.transpose(), &ulv.solve_transpose(&b).unwrap(), &b);
        assert!(error <= BACKWARD, "{name}, transposed: {error:e}");
        // The inverse as an operator.
        assert_eq!(ulv.apply(&b).unwrap(), ulv.solve(&b).unwrap());
        assert_eq!(ulv.apply_transpose(&b).unwrap(), ulv.solve_transpose(&b).unwrap());
        assert_eq!((ulv.nrows(), ulv.order()), (a.ncols(), a.ncols()));
        // No right-hand side at all.
        assert_eq!(ulv.solve(&Matrix::zeros(a.nrows(), 0)).unwrap().ncols(), 0);
    }
}

#[test]
fn determinants_are_those_of_the_dense_matrix() {
    for (name, a) in cases() {
        let (sign, log_abs) = dense_log_determinant(&a.to_dense());
        let found = a.ulv().unwrap().log_determinant();
        assert_eq!(found.sign, sign, "{name}");
        assert!((found.ln_abs - log_abs).abs() <= 1e-9 * log_abs.abs().max(1.0), "{name}: {found:?}, {log_abs}");
    }
}

#[test]
fn rows_and_columns_in_different_orders_change_the_sign_rightly() {
    for swapped in [[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [4, 0, 1, 2, 3], [2, 0, 1, 4, 3]] {
        let split = |p: [usize; 5]| Nested::Split(vec![Nested::Leaf(p[..2].to_vec()), Nested::Leaf(p[2..].to_vec())]);
        let rows = Arc::new(ClusterTree::from_nested(&split([0, 1, 2, 3, 4])).unwrap());
        let cols = Arc::new(ClusterTree::from_nested(&split(swapped)).unwrap());
        let a = random_hss(&mut rng(3), &rows, &cols, |_| (1, 1), 1.0);
        let (sign, log_abs) = dense_log_determinant(&a.to_dense());
        let ulv = a.ulv().unwrap();
        assert_eq!(ulv.log_determinant().sign, sign, "{swapped:?}");
        assert!((ulv.log_determinant().ln_abs - log_abs).abs() < 1e-12);
        let b = right_hand_sides(5);
        assert!(backward_error(&a, &ulv.solve(&b).unwrap(), &b) <= BACKWARD);
        assert!(backward_error(&a.transpose(), &ulv.solve_transpose(&b).unwrap(), &b) <= BACKWARD);
    }
}

/// `R_1 G R_2` with a graded diagonal `G`: singular values over `1 / smallest`.
fn ill_conditioned(n: usize, smallest: f64) -> Hss<f64> {
    let mut random = rng(5);
    let tree = Arc::new(ClusterTree::bisection(n, 32).unwrap());
    let graded = diagonal(&tree, |i| smallest.powf(i as f64 / (n - 1) as f64));
    let mut factor = || random_hss(&mut random, &tree, &tree, |_| (3, 2), 1e4).scale(1e-4).unwrap();
    factor().multiply(&graded).unwrap().multiply(&factor()).unwrap()
}

#[test]
fn determinants_and_solutions_of_ill_conditioned_matrices() {
    for smallest in [1e-3, 1e-6, 1e-9] {
        let a = ill_conditioned(400, smallest);
        let ulv = a.ulv().unwrap();
        let condition = condition_1_estimate(&a, &ulv).unwrap();
        assert!((0.1 / smallest..=1e10).contains(&condition), "{condition:e}");
        let (sign, log_abs) = dense_log_determinant(&a.to_dense());
        let found = ulv.log_determinant();
        assert_eq!(found.sign, sign);
        let error = (found.ln_abs - log_abs).abs() / log_abs.abs();
        assert!(error <= 1e-9, "smallest {smallest:e}: {error:e}");
        let b = right_hand_sides(a.nrows());
        let error = backward_error(&a, &ulv.solve(&b).unwrap(), &b);
        assert!(error <= BACKWARD, "smallest {smallest:e}: {error:e}");
    }
}

#[test]
fn determinants_of_kernel_matrices() {
    let n = 300;
    let tree = Arc::new(ClusterTree::bisection(n, 25).unwrap());
    for (name, kernel) in [
        ("Gaussian", (|x: f64, y: f64| (-(x - y).powi(2)).exp()) as fn(f64, f64) -> f64),
        ("Cauchy", |x, y| (x + 2.0 * y + 0.3).recip()),
        ("Green", |x, y| x.min(y) * (1.0 - x.max(y))),
    ] {
        let at = |i: usize| (i as f64 + 0.5) / n as f64;
        let a = Matrix::from_fn(n, n, |i, j| kernel(at(i), at(j)) + if i == j { 1e-6 } else { 0.0 });
        let accuracy = Accuracy::relative(1e-9).unwrap();
        let h = Hss::from_products(&a, &tree, &tree, accuracy, &ProductOptions::default()).unwrap().matrix;
        let ulv = h.ulv().unwrap();
        let condition = condition_1_estimate(&h, &ulv).unwrap();
        assert!((1e4..=1e10).contains(&condition), "{name}: {condition:e}");
        let (sign, log_abs) = dense_log_determinant(&h.to_dense());
        let found = ulv.log_determinant();
        let error = (found.ln_abs - log_abs).abs() / log_abs.abs();
        assert!(found.sign == sign && error <= 1e-9, "{name}, condition {condition:e}: {error:e}");
        let b = right_hand_sides(n);
        assert!(backward_error(&h, &ulv.solve(&b).unwrap(), &b) <= BACKWARD, "{name}");
        assert!(backward_error(&h.transpose(), &ulv.solve_transpose(&b).unwrap(), &b) <= BACKWARD, "{name}");
        if name != "Cauchy" {
            let cholesky = h.cholesky(1e-8).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(backward_error(&a, &cholesky.solve(&b).unwrap(), &b) <= 1e-8, "{name}");
        }
    }
}

#[test]
fn badly_scaled_bases_do_not_spoil_the_backward_error() {
    let mut random = rng(6);
    let tree = Arc::new(ClusterTree::bisection(120, 10).unwrap());
    let a = random_hss(&mut random, &tree, &tree, |_| (4, 4), 5.0);
    // U times 1e8 and V times 1e-8 on every level: the same matrix.
    let mut data = a.data().to_vec();
    for node in a.layout().nodes() {
        data[node.u.range()].iter_mut().for_each(|x| *x *= 1e8);
        data[node.v.range()].iter_mut().for_each(|x| *x *= 1e-8);
    }
    let scaled = Hss::on_trees(tree.clone(), tree, a.layout().clone(), data).unwrap();
    let b = right_hand_sides(120);
    let error = backward_error(&a, &scaled.ulv().unwrap().solve(&b).unwrap(), &b);
    assert!(error <= BACKWARD, "{error:e}");
}

#[test]
fn singular_matrices_name_the_node() {
    let tree = Arc::new(ClusterTree::bisection(64, 8).unwrap());
    // A zero on the diagonal of a leaf; all zeros; two equal rows.
    let with_zero = diagonal(&tree, |i| if i == 20 { 0.0 } else { 1.0 });
    let zero = diagonal(&tree, |_| 0.0);
    for a in [with_zero, zero] {
        match a.ulv() {
            Err(MatrixError::Singular { place, .. }) => assert!(place.contains("node"), "{place}"),
            other => panic!("{other:?}"),
        }
    }
    let mut random = rng(8);
    let a = random_hss(&mut random, &tree, &tree, |_| (3, 3), 3.0);
    let projector = diagonal(&tree, |i| f64::from(u8::from(i != 5)));
    for singular in [a.multiply(&projector).unwrap(), projector.multiply(&a).unwrap()] {
        assert!(matches!(singular.ulv(), Err(MatrixError::Singular { .. })));
    }
    let one = Arc::new(ClusterTree::bisection(1, 1).unwrap());
    assert!(matches!(diagonal(&one, |_| 0.0).ulv(), Err(MatrixError::Singular { .. })));
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let rows = Arc::new(ClusterTree::with_levels(20, 2).unwrap());
    let cols = Arc::new(ClusterTree::with_levels(16, 2).unwrap());
    let a = random_hss(&mut rng(9), &rows, &cols, |_| (2, 2), 0.0);
    assert!(matches!(a.ulv(), Err(MatrixError::Tree { .. })));
    assert!(matches!(a.cholesky(1e-12), Err(MatrixError::Tree { .. })));
    let ulv = diagonal(&rows, |_| 1.0).ulv().unwrap();
    assert!(matches!(ulv.solve(&Matrix::zeros(19, 1)), Err(MatrixError::Rows { .. })));
    assert!(matches!(ulv.solve_transpose(&Matrix::zeros(21, 1)), Err(MatrixError::Rows { .. })));
    let least_squares = a.least_squares().unwrap();
    assert!(matches!(least_squares.solve(&Matrix::zeros(19, 1)), Err(MatrixError::Rows { .. })));
}

#[test]
fn condition_numbers_within_a_factor_of_three() {
    for smallest in [1e-2, 1e-6] {
        let a = ill_conditioned(160, smallest);
        let ulv = a.ulv().unwrap();
        let norm_1 =
            |m: &Matrix<f64>| (0..m.ncols()).map(|j| m.col(j).iter().map(|x| x.abs()).sum::<f64>()).fold(0.0, f64::max);
        let inverse = ulv.solve(&Matrix::identity(160)).unwrap();
        let exact = norm_1(&a.to_dense()) * norm_1(&inverse);
        let estimate = condition_1_estimate(&a, &ulv).unwrap();
        assert!(estimate <= exact * (1.0 + 1e-6) && estimate >= exact / 3.0, "{estimate:e} {exact:e}");
        assert!(norm_1_estimate(&a).unwrap() <= norm_1(&a.to_dense()) * (1.0 + 1e-12));
    }
}

#[test]
fn cholesky_of_positive_definite_matrices() {
    let mut random = rng(10);
    for case in 0..25 {
        let n = [1, 2, 9, 40, 77, 130][case % 6];
        let tree = Arc::new(if case < 12 { ClusterTree::bisection(n, 9).unwrap() } else { wild_tree(&mut random, n) });
        let a = random_spd(&mut random, &tree, case % 5, 0.5);
        let cholesky = a.cholesky(1e-12).unwrap_or_else(|e| panic!("case {case}, n = {n}: {e}"));
        assert!(cholesky.asymmetry() <= 1e-14);
        let b = right_hand_sides(n);
        let x = cholesky.solve(&b).unwrap();
        let error = backward_error(&a, &x, &b);
        assert!(error <= BACKWARD, "case {case}, n = {n}: {error:e}");
        assert_eq!(cholesky.apply_transpose(&b).unwrap(), x);
        let (sign, log_abs) = dense_log_determinant(&a.to_dense());
        let found = cholesky.log_determinant();
        assert_eq!((found.sign, sign), (1, 1));
        assert!((found.ln_abs - log_abs).abs() <= 1e-9 * log_abs.abs().max(1.0), "case {case}");
    }
}

#[test]
fn cholesky_with_the_same_numbers_in_both_bases() {
    let mut random = rng(16);
    for rank in [0, 2, 7, 30] {
        let tree = Arc::new(ClusterTree::bisection(140, 12).unwrap());
        let a = random_hss(&mut random, &tree, &tree, |_| (rank, rank), 0.0);
        let mut data = a.data().to_vec();
        for node in a.layout().nodes() {
            let u = data[node.u.range()].iter().map(|x| 0.2 * x).collect::<Vec<_>>();
            data[node.u.range()].copy_from_slice(&u);
            data[node.v.range()].copy_from_slice(&u);
            let (offset, n) = (node.d.offset, node.d.rows);
            for i in 0..n {
                for j in 0..i {
                    data[offset + i * n + j] = data[offset + j * n + i];
                }
                if node.is_leaf() {
                    data[offset + i * n + i] += 400.0;
                }
            }
        }
        let a = Hss::on_trees(tree.clone(), tree, a.layout().clone(), data).unwrap();
        let cholesky = a.cholesky(1e-13).unwrap();
        let b = right_hand_sides(140);
        assert!(backward_error(&a, &cholesky.solve(&b).unwrap(), &b) <= BACKWARD, "rank {rank}");
        let (_, log_abs) = dense_log_determinant(&a.to_dense());
        assert!((cholesky.log_determinant().ln_abs - log_abs).abs() <= 1e-12 * log_abs, "rank {rank}");
        assert!(cholesky.memory_bytes() <= a.ulv().unwrap().memory_bytes());
    }
}

#[test]
fn cholesky_refuses_what_is_not_symmetric_or_not_definite() {
    let mut random = rng(11);
    let tree = Arc::new(ClusterTree::bisection(60, 8).unwrap());
    let symmetric = random_spd(&mut random, &tree, 2, 1.0);
    let indefinite = symmetric.add(&diagonal(&tree, |i| if i == 33 { -1e6 } else { 0.0 })).unwrap();
    let error = indefinite.cholesky(1e-10).unwrap_err();
    assert!(matches!(&error, MatrixError::NotPositiveDefinite { place, .. } if place.contains("node")), "{error}");
    let skew = random_hss(&mut random, &tree, &tree, |_| (2, 2), 0.0).scale(1e-6).unwrap();
    let perturbed = symmetric.add(&skew).unwrap();
    let error = perturbed.cholesky(1e-12).unwrap_err();
    assert!(matches!(&error, MatrixError::NotPositiveDefinite { place, .. } if place.contains("A^T")), "{error}");
    // Accepted when the caller allows it: the symmetric part is factored.
    let cholesky = perturbed.cholesky(1e-4).unwrap();
    let (a, half) = (perturbed.to_dense(), 0.5);
    let part = Matrix::from_fn(60, 60, |i, j| half * (a[(i, j)] + a[(j, i)]));
    let b = right_hand_sides(60);
    assert!(backward_error(&part, &cholesky.solve(&b).unwrap(), &b) <= BACKWARD);
}

/// Dense least squares by modified Gram-Schmidt on the matrix beside the right-hand side, columns orthogonalised twice.
fn dense_least_squares(a: &Matrix<f64>, b: &Matrix<f64>) -> Matrix<f64> {
    let (n, k) = (a.ncols(), b.ncols());
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let (mut q, mut r, mut rhs) = (a.clone(), Matrix::zeros(n, n), b.clone());
    for j in 0..n {
        let mut column = q.col(j).to_vec();
        for _ in 0..2 {
            for i in 0..j {
                let c = dot(q.col(i), &column);
                r[(i, j)] += c;
                column.iter_mut().zip(q.col(i)).for_each(|(x, q)| *x -= c * q);
            }
        }
        r[(j, j)] = dot(&column, &column).sqrt();
        column.iter_mut().for_each(|x| *x /= r[(j, j)]);
        q.col_mut(j).copy_from_slice(&column);
    }
    let mut x = Matrix::zeros(n, k);
    for l in 0..k {
        let mut c = Vec::new();
        for j in 0..n {
            let component = dot(q.col(j), rhs.col(l));
            let column = q.col(j).to_vec();
            rhs.col_mut(l).iter_mut().zip(&column).for_each(|(y, q)| *y -= component * q);
            c.push(component);
        }
        for j in (0..n).rev() {
            let known: f64 = (j + 1..n).map(|i| r[(j, i)] * x[(i, l)]).sum();
            x[(j, l)] = (c[j] - known) / r[(j, j)];
        }
    }
    x
}

#[test]
fn least_squares_are_those_of_the_dense_matrix() {
    let mut random = rng(12);
    for (m, n, levels, rank) in
        [(1, 1, 0, 0), (9, 4, 0, 0), (50, 50, 2, 3), (80, 50, 3, 2), (200, 40, 2, 5), (150, 90, 4, 3), (121, 30, 3, 6)]
    {
        let rows = Arc::new(ClusterTree::with_levels(m, levels).unwrap());
        let cols = Arc::new(ClusterTree::with_levels(n, levels).unwrap());
        let a = random_hss(&mut random, &rows, &cols, |_| (rank, rank), 4.0);
        let b = right_hand_sides(m);
        let solution = a.least_squares().unwrap().solve(&b).unwrap();
        let dense = a.to_dense();
        let expected = dense_least_squares(&dense, &b);
        let error = distance(&solution.x, &expected) / expected.norm_frobenius();
        assert!(error <= 1e-10, "{m} x {n}: {error:e}");
        // The residual is orthogonal to the columns, and has the length that was reported.
        let y = a.apply(&solution.x).unwrap();
        let residual = Matrix::from_fn(m, 3, |i, j| b[(i, j)] - y[(i, j)]);
        let scale = norm_2(&a) * (residual.norm_frobenius() + norm_2(&a) * solution.x.norm_frobenius());
        let normal = a.apply_transpose(&residual).unwrap().norm_frobenius();
        assert!(normal <= BACKWARD * scale, "{m} x {n}: {:e}", normal / scale);
        for j in 0..3 {
            let length = Matrix::from_vector(residual.col(j)).norm_frobenius();
            assert!((solution.residuals[j] - length).abs() <= 1e-12 * b.norm_frobenius(), "{m} x {n}");
        }
    }
}

#[test]
fn least_squares_of_unbalanced_trees_and_dependent_columns() {
    let mut random = rng(13);
    for _ in 0..15 {
        let cols = Arc::new(wild_tree(&mut random, 40));
        // Three rows for every column, in a tree of the same shape.
        let shape: Vec<usize> = cols.order().iter().flat_map(|&i| [3 * i, 3 * i + 1, 3 * i + 2]).collect();
        fn nest(tree: &ClusterTree, i: usize, order: &[usize]) -> Nested {
            let c = tree.cluster(i);
            if c.is_leaf() {
                return Nested::Leaf(order[3 * c.range.start..3 * c.range.end].to_vec());
            }
            Nested::Split(c.children.clone().map(|k| nest(tree, k, order)).collect())
        }
        let rows = Arc::new(ClusterTree::from_nested(&nest(&cols, 0, &shape)).unwrap());
        let a = random_hss(&mut random, &rows, &cols, |r| (r.random_range(0..5), r.random_range(0..5)), 3.0);
        let b = right_hand_sides(120);
        let x = a.least_squares().unwrap().solve(&b).unwrap().x;
        let expected = dense_least_squares(&a.to_dense(), &b);
        assert!(distance(&x, &expected) <= 1e-10 * expected.norm_frobenius());
        let projector = diagonal(&cols, |i| f64::from(u8::from(i != 11)));
        let dependent = a.multiply(&projector).unwrap().least_squares();
        assert!(matches!(dependent, Err(MatrixError::Singular { .. })));
        assert!(matches!(a.transpose().least_squares(), Err(MatrixError::Singular { .. })));
    }
}

#[test]
fn single_precision() {
    let tree = Arc::new(ClusterTree::bisection(150, 16).unwrap());
    let mut random = rng(14);
    let a = random_spd(&mut random, &tree, 2, 3.0);
    let a32 = narrow(&a);
    let b = Matrix::<f32>::from_fn(150, 2, |i, j| ((i + 3 * j) as f32).sin());
    let wide = |m: &Matrix<f32>| Matrix::from_fn(m.nrows(), m.ncols(), |i, j| f64::from(m[(i, j)]));
    let solutions = [
        a32.ulv().unwrap().solve(&b).unwrap(),
        a32.cholesky(1e-4).unwrap().solve(&b).unwrap(),
        a32.least_squares().unwrap().solve(&b).unwrap().x,
    ];
    for x in solutions {
        let error = backward_error(&a, &wide(&x), &wide(&b));
        assert!(error <= 2e-6, "{error:e}");
    }
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let tree = Arc::new(ClusterTree::bisection(300, 16).unwrap());
    let a = random_spd(&mut rng(15), &tree, 3, 1.0);
    let b = right_hand_sides(300);
    let run = |threads| {
        on_threads(threads, || {
            let ulv = a.ulv().unwrap();
            (
                ulv.solve(&b).unwrap(),
                ulv.solve_transpose(&b).unwrap(),
                ulv.log_determinant(),
                a.cholesky(1e-10).unwrap().solve(&b).unwrap(),
                a.least_squares().unwrap().solve(&b).unwrap().x,
            )
        })
    };
    assert_eq!(run(1), run(2));
}
