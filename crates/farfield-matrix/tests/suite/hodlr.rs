//! HODLR matrices against dense ones: builds, certificates, arithmetic, factorisations, in units of the tolerance asked for.

use std::sync::Arc;

use farfield_matrix::{
    Accuracy, ClusterTree, Confidence, Entries, EntryFn, Hodlr, Hss, HssLayout, LinearOperator, Matrix, MatrixError,
    Nested, Points, Splitting,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const TOLERANCES: [f64; 4] = [1e-2, 1e-5, 1e-8, 1e-12];

fn relative(tolerance: f64) -> Accuracy {
    Accuracy::relative(tolerance).unwrap()
}

fn random(m: usize, n: usize, seed: u64) -> Matrix<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Matrix::from_fn(m, n, |_, _| rng.sample(StandardNormal))
}

fn combine(a: &Matrix<f64>, factor: f64, b: &Matrix<f64>) -> Matrix<f64> {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] + factor * b[(i, j)])
}

fn distance(a: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    combine(a, -1.0, b).norm_frobenius()
}

fn times(a: &Matrix<f64>, b: &Matrix<f64>) -> Matrix<f64> {
    a.apply(b).unwrap()
}

/// The structured cases: name and entries.
fn cases(n: usize) -> Vec<(&'static str, Matrix<f64>)> {
    let x = |i: usize| (i as f64 + 0.5) / n as f64;
    let wave = |i: usize| (7.0 * x(i)).sin();
    let make = |f: &dyn Fn(usize, usize) -> f64| Matrix::from_fn(n, n, f);
    vec![
        ("banded", make(&|i, j| [6.0, -4.0, 1.0].get(i.abs_diff(j)).copied().unwrap_or(0.0) + 0.01 * x(i))),
        ("low rank plus diagonal", make(&|i, j| wave(i) * x(j) + x(i) * x(j) + if i == j { 3.0 + x(i) } else { 0.0 })),
        ("Cauchy", make(&|i, j| 1.0 / (i as f64 - j as f64 + 0.25))),
        ("Toeplitz", make(&|i, j| 1.0 / (1.0 + i.abs_diff(j) as f64) + 0.1 * (i as f64 - j as f64).signum())),
        ("Hilbert", make(&|i, j| 1.0 / (i + j + 1) as f64)),
        ("Gaussian kernel", make(&|i, j| (-(x(i) - x(j)).powi(2) * 8.0).exp() + if i == j { 1.0 } else { 0.0 })),
        (
            "Helmholtz",
            make(&|i, j| {
                let r = (x(i) - x(j)).abs();
                (25.0 * r).cos() - if i == j { (n + 1) as f64 } else { 0.0 }
            }),
        ),
    ]
}

/// Trees of every kind for `n` indices.
fn trees(n: usize) -> Vec<Arc<ClusterTree>> {
    let third = n / 3;
    let leaf = |range: std::ops::Range<usize>| Nested::Leaf(range.collect());
    let general = Nested::Split(vec![
        leaf(0..third),
        Nested::Leaf(vec![]),
        Nested::Split(vec![leaf(third..third + 1), leaf(third + 1..2 * third), leaf(2 * third..n - 1)]),
        Nested::Split(vec![Nested::Split(vec![leaf(n - 1..n)])]),
    ]);
    vec![Arc::new(ClusterTree::bisection(n, 16).unwrap()), Arc::new(ClusterTree::from_nested(&general).unwrap())]
}

#[test]
fn builds_meet_their_tolerance_in_every_case() {
    for n in [48, 129, 300] {
        for (name, a) in cases(n) {
            for tree in trees(n) {
                for tolerance in TOLERANCES {
                    let (h, certificate) = Hodlr::from_dense(&a, tree.clone(), relative(tolerance)).unwrap();
                    let (error, allowed) = (distance(&h.to_dense(), &a), tolerance * a.norm_frobenius());
                    let proven = certificate.frobenius;
                    assert!(
                        error <= proven.value && proven.value <= allowed,
                        "{name} {n}: {error:e} {proven:?} {allowed:e}"
                    );
                    assert_eq!(proven.confidence, Confidence::Proven);
                    assert!(certificate.spectral.value <= proven.value);
                    assert_eq!((certificate.stored, certificate.dense), (h.stored(), n * n));
                    assert!((certificate.norm - h.to_dense().norm_frobenius()).abs() <= 1e-13 * certificate.norm);

                    let (h, certificate) = Hodlr::from_entries(&a, tree.clone(), relative(tolerance), 1).unwrap();
                    let error = distance(&h.to_dense(), &a);
                    assert!(error <= certificate.frobenius.value, "{name} {n} {tolerance}: {error:e} {certificate:?}");
                    assert!(certificate.frobenius.value <= allowed);
                }
            }
        }
    }
}

#[test]
fn a_thousand_blocks_keep_the_tolerance_and_use_it() {
    let n = 1024;
    let a = Matrix::from_fn(n, n, |i, j| 1.0 / (1.0 + i.abs_diff(j) as f64));
    let tree = Arc::new(ClusterTree::bisection(n, 20).unwrap());
    let (h, certificate) = Hodlr::from_dense(&a, tree.clone(), relative(1e-6)).unwrap();
    let error = distance(&h.to_dense(), &a);
    let allowed = 1e-6 * a.norm_frobenius();
    assert!(error <= certificate.frobenius.value && certificate.frobenius.value <= allowed);
    assert!(error > 0.9 * allowed, "singular values are dropped until the tolerance is used: {error:e} of {allowed:e}");
    assert!(certificate.compression() < 0.3, "{}", certificate.compression());
    assert_eq!(h.ranks().len(), tree.depth());
    let (again, _) = h.recompress(relative(1e-2)).unwrap();
    assert!(distance(&again.to_dense(), &h.to_dense()) <= 1e-2 * a.norm_frobenius());
    assert!(again.stored() < h.stored());
}

#[test]
fn products_entries_diagonals_and_norms_are_those_of_the_dense_form() {
    let n = 173;
    let points = Points::new(2, (0..2 * n).map(|i| (i as f64 * 0.754_877_666).fract()).collect()).unwrap();
    let kernel = EntryFn::new(n, n, |i, j| {
        let (p, q) = (points.point(i), points.point(j));
        let s = if i < j { 1.0 } else { 0.5 };
        s / (0.1 + (p[0] - q[0]).hypot(p[1] - q[1]))
    });
    for splitting in [Splitting::Median, Splitting::Boxes] {
        let tree = ClusterTree::geometric(&points, 12, splitting).unwrap();
        let (h, _) = Hodlr::from_entries(&kernel, tree, relative(1e-7), 5).unwrap();
        let dense = h.to_dense();
        assert!(distance(&dense, &Matrix::from_fn(n, n, |i, j| kernel.entry(i, j))) < 1e-7 * dense.norm_frobenius());
        for columns in [0, 1, 7] {
            let x = random(n, columns, 2);
            let bound = 1e-13 * dense.norm_frobenius() * (1.0 + x.norm_frobenius());
            assert!(distance(&h.apply(&x).unwrap(), &times(&dense, &x)) <= bound);
            assert!(distance(&h.apply_transpose(&x).unwrap(), &times(&dense.transpose(), &x)) <= bound);
        }
        assert!(distance(&h.transpose().to_dense(), &dense.transpose()) == 0.0);
        let (rows, cols) = ([3, 172, 0, 50], [9, 9, 100]);
        let block = h.block(&rows, &cols).unwrap();
        for i in 0..n {
            assert!((h.entry(i, (7 * i) % n).unwrap() - dense[(i, (7 * i) % n)]).abs() < 1e-13);
        }
        assert!((block[(1, 2)] - dense[(172, 100)]).abs() < 1e-13 && (block.nrows(), block.ncols()) == (4, 3));
        assert!(h.diagonal().iter().enumerate().all(|(i, &d)| d == dense[(i, i)]));
        let trace: f64 = (0..n).map(|i| dense[(i, i)]).sum();
        assert!((h.trace() - trace).abs() < 1e-12 * trace.abs());
        assert!((h.norm_frobenius() - dense.norm_frobenius()).abs() < 1e-13 * dense.norm_frobenius());
    }
}

#[test]
fn sums_updates_and_products_keep_their_tolerance() {
    let n = 150;
    let tight = relative(1e-13);
    for tree in trees(n) {
        let made: Vec<_> = cases(n)
            .into_iter()
            .map(|(name, a)| (name, Hodlr::from_dense(&a, tree.clone(), tight).unwrap().0))
            .collect();
        for (k, (name, a)) in made.iter().enumerate() {
            let (_, b) = &made[(k + 3) % made.len()];
            let (dense_a, dense_b) = (a.to_dense(), b.to_dense());
            for tolerance in [1e-2, 1e-6, 1e-11] {
                let check = |h: &Hodlr<f64>, bound: f64, exact: &Matrix<f64>, what: &str| {
                    let (error, allowed) = (distance(&h.to_dense(), exact), tolerance * exact.norm_frobenius());
                    let slack = 1e-15 * exact.norm_frobenius();
                    assert!(
                        error <= bound + slack && bound <= allowed,
                        "{what} {name}: {error:e} {bound:e} {allowed:e}"
                    );
                };
                let (sum, c) = a.add(b, relative(tolerance)).unwrap();
                check(&sum, c.frobenius.value, &combine(&dense_a, 1.0, &dense_b), "sum");
                let (u, v) = (random(n, 3, 1), random(n, 3, 2));
                let (updated, c) = a.add_low_rank(&u, &v, relative(tolerance)).unwrap();
                let exact = combine(&dense_a, 1.0, &times(&u, &v.transpose()));
                check(&updated, c.frobenius.value, &exact, "update");
                let (product, c) = a.multiply(b, relative(tolerance)).unwrap();
                check(&product, c.frobenius.value, &times(&dense_a, &dense_b), "product");
                let (small, c) = a.recompress(relative(tolerance)).unwrap();
                check(&small, c.frobenius.value, &dense_a, "recompressed");
            }
            let moved = a.scale(-2.0).unwrap().shift(0.5).unwrap().to_dense();
            let exact = Matrix::from_fn(n, n, |i, j| -2.0 * dense_a[(i, j)] + if i == j { 0.5 } else { 0.0 });
            assert!(distance(&moved, &exact) <= 1e-14 * exact.norm_frobenius());
        }
        let one = Hodlr::<f64>::identity(tree.clone());
        assert!(one.to_dense() == Matrix::identity(n) && one.trace() == n as f64);
    }
}

#[test]
fn a_thousand_unknowns_are_built_factored_and_solved() {
    let n = 1024;
    let tree = Arc::new(ClusterTree::bisection(n, 40).unwrap());
    let kernels: [fn(f64) -> f64; 3] = [|r| (-r * r).exp(), |r| 1.0 / (r + 0.01), |r| (30.0 * r).cos()];
    for kernel in kernels {
        let entry = |i: usize, j: usize| {
            kernel((i as f64 - j as f64).abs() / n as f64) + if i == j { 150.0 + i as f64 } else { 0.0 }
        };
        let a = Matrix::from_fn(n, n, entry);
        for tolerance in [1e-4, 1e-12] {
            let (h, c) = Hodlr::from_entries(&EntryFn::new(n, n, entry), tree.clone(), relative(tolerance), 1).unwrap();
            let error = distance(&h.to_dense(), &a);
            assert!(error <= c.frobenius.value && c.frobenius.value <= tolerance * a.norm_frobenius(), "{error:e}");
            let factor = h.factor().unwrap();
            let b = random(n, 1, 3);
            let x = factor.solve(&b).unwrap();
            let left = distance(&h.apply(&x).unwrap(), &b) / b.norm_frobenius();
            assert!(left <= 1e-13, "{left:e}");
            let (sign, ln) = dense_log_determinant(&h.to_dense());
            let ours = factor.log_determinant();
            assert!(ours.sign == sign && (ours.ln_abs - ln).abs() <= 1e-12 * ln.abs());
        }
    }
}

fn backward_error(a: &Matrix<f64>, x: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    // In the 2-norm of A from below: the strictest form.
    let norm = spectral(a);
    distance(&times(a, x), b) / (norm * x.norm_frobenius() + b.norm_frobenius())
}

fn spectral(a: &Matrix<f64>) -> f64 {
    let mut x = random(a.ncols(), 1, 9);
    let mut norm = 0.0;
    for _ in 0..10 {
        let y = times(a, &x);
        norm = y.norm_frobenius() / x.norm_frobenius();
        x = a.apply_transpose(&y).unwrap();
        let size = x.norm_frobenius();
        x = Matrix::from_fn(x.nrows(), 1, |i, _| x[(i, 0)] / size);
    }
    norm
}

#[test]
fn solves_have_backward_errors_of_rounding() {
    for n in [1, 2, 47, 260] {
        for (name, a) in cases(n) {
            // Hilbert matrices are singular to working precision: shifted.
            let a = if name == "Hilbert" {
                Matrix::from_fn(n, n, |i, j| a[(i, j)] + if i == j { 1e-8 } else { 0.0 })
            } else {
                a
            };
            for tree in if n > 9 { trees(n) } else { vec![Arc::new(ClusterTree::bisection(n, 1).unwrap())] } {
                let (h, _) = Hodlr::from_dense(&a, tree, relative(1e-10)).unwrap();
                let dense = h.to_dense();
                let factor = h.factor().unwrap();
                let b = random(n, 3, 4);
                let error = backward_error(&dense, &factor.solve(&b).unwrap(), &b);
                assert!(error <= 1e-13, "{name} {n}: {error:e}");
                let error = backward_error(&dense.transpose(), &factor.solve_transpose(&b).unwrap(), &b);
                assert!(error <= 1e-13, "{name} {n} transposed: {error:e}");
            }
        }
    }
}

#[test]
fn refinement_repairs_solves_through_ill_scaled_diagonal_blocks() {
    // [ e R1, I; I, e R2 ]: the condition number is near 1, the coefficients on the way are of size 1/e, half solutions of size 1/sqrt(e).
    let n = 64;
    for e in [1e-4f64, 1e-8, 1e-10] {
        let noise = random(n, n, 6);
        let a = Matrix::from_fn(n, n, |i, j| {
            let diagonal = if (i < n / 2) == (j < n / 2) { e * noise[(i, j)] } else { 0.0 };
            diagonal + if i.abs_diff(j) == n / 2 { 1.0 } else { 0.0 }
        });
        let tree = ClusterTree::bisection(n, n / 2).unwrap();
        let (h, _) = Hodlr::from_dense(&a, tree, relative(1e-12)).unwrap();
        let factor = h.factor().unwrap();
        let b = random(n, 2, 3);
        let dense = h.to_dense();
        let raw = backward_error(&dense, &factor.apply(&b).unwrap(), &b);
        let refined = backward_error(&dense, &factor.solve(&b).unwrap(), &b);
        assert!(refined <= 1e-15 && raw > 100.0 * refined, "{e}: {raw:e} {refined:e}");
        assert!(raw <= 1e-14 / e.sqrt(), "{e}: {raw:e}");
        let transposed = backward_error(&dense.transpose(), &factor.solve_transpose(&b).unwrap(), &b);
        assert!(transposed <= 1e-15, "{e}: {transposed:e}");
    }
}

#[test]
fn the_inverse_is_an_operator() {
    let n = 200;
    let (_, a) = cases(n).swap_remove(5);
    let (h, _) = Hodlr::from_dense(&a, ClusterTree::bisection(n, 25).unwrap(), relative(1e-12)).unwrap();
    let inverse = h.factor().unwrap();
    let x = random(n, 2, 1);
    assert!(distance(&inverse.apply(&h.apply(&x).unwrap()).unwrap(), &x) < 1e-11 * x.norm_frobenius());
    let y = h.apply_transpose(&x).unwrap();
    assert!(distance(&inverse.apply_transpose(&y).unwrap(), &x) < 1e-11 * x.norm_frobenius());
    assert!(inverse.memory_bytes() > 0 && inverse.matrix() == &h);
}

/// `log |det A|` and the sign by Gaussian elimination with partial pivoting.
fn dense_log_determinant(a: &Matrix<f64>) -> (i32, f64) {
    let lu = faer::Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)]).partial_piv_lu();
    let mut sign = if permutation_parity(lu.P().arrays().0) { -1 } else { 1 };
    let mut ln = 0.0;
    for i in 0..a.nrows() {
        let pivot = lu.U()[(i, i)];
        sign *= if pivot < 0.0 { -1 } else { 1 };
        ln += pivot.abs().ln();
    }
    (sign, ln)
}

/// Whether the number of inversions is odd.
fn permutation_parity(p: &[usize]) -> bool {
    (0..p.len()).flat_map(|i| (i + 1..p.len()).map(move |j| (i, j))).filter(|&(i, j)| p[i] > p[j]).count() % 2 == 1
}

#[test]
fn log_determinants_agree_with_dense_ones_up_to_condition_1e10() {
    for n in [1, 90, 257] {
        let mut all = cases(n);
        // Condition 1e10 by grading: rows and columns from 1 to 1e-5.
        let graded = |i: usize| 10f64.powf(-5.0 * i as f64 / n as f64);
        let kernel = all[5].1.clone();
        all.push(("graded", Matrix::from_fn(n, n, |i, j| graded(i) * kernel[(i, j)] * graded(j))));
        for (name, a) in all {
            for shift in if name == "Hilbert" { vec![1e-8, 2e-10] } else { vec![0.0] } {
                let a = Matrix::from_fn(n, n, |i, j| a[(i, j)] + if i == j { shift } else { 0.0 });
                let (h, _) = Hodlr::from_dense(&a, ClusterTree::bisection(n, 20).unwrap(), relative(1e-12)).unwrap();
                let ours = h.factor().unwrap().log_determinant();
                let (sign, ln) = dense_log_determinant(&h.to_dense());
                assert_eq!(ours.sign, sign, "{name} {n}");
                // Rounding the entries alone moves the logarithm by up to eps ||A|| sum_i 1/s_i, whatever the method. That is above 1e-9
                // for the last Hilbert matrix, most of whose singular values are the smallest.
                let dense = h.to_dense();
                let s = faer::Mat::from_fn(n, n, |i, j| dense[(i, j)]).singular_values().unwrap();
                let inherent = f64::EPSILON * s[0] * s.iter().map(|s| 1.0 / s).sum::<f64>();
                let allowed = if shift == 2e-10 { 8.0 * inherent } else { 1e-9 * ln.abs().max(1.0) };
                assert!((ours.ln_abs - ln).abs() <= allowed, "{name} {n}: {} {ln} {inherent:e}", ours.ln_abs);
            }
        }
    }
}

#[test]
fn symmetric_factors_solve_sample_and_give_log_determinants() {
    for n in [1, 33, 250] {
        let x = |i: usize| (i as f64 + 0.5) / n as f64;
        let a = Matrix::from_fn(n, n, |i, j| (-(x(i) - x(j)).abs()).exp() + if i == j { 1e-6 } else { 0.0 });
        for tree in if n > 9 { trees(n) } else { vec![Arc::new(ClusterTree::bisection(n, 4).unwrap())] } {
            let (h, _) = Hodlr::from_dense(&a, tree, relative(1e-13)).unwrap();
            let (dense, factor) = (h.to_dense(), h.cholesky().unwrap());
            let b = random(n, 2, 3);
            let error = backward_error(&dense, &factor.solve(&b).unwrap(), &b);
            assert!(error <= 1e-13, "{n}: {error:e}");
            // W W^T = A, W^{-1} W = I.
            let w = factor.apply_factor(&factor.apply_factor_transpose(&b).unwrap()).unwrap();
            assert!(distance(&w, &times(&dense, &b)) <= 1e-12 * a.norm_frobenius() * b.norm_frobenius());
            let back = factor.solve_factor(&factor.apply_factor(&b).unwrap()).unwrap();
            assert!(distance(&back, &b) <= 1e-9 * b.norm_frobenius());
            let (sign, ln) = dense_log_determinant(&dense);
            assert_eq!((factor.log_determinant().sign, sign), (1, 1));
            assert!((factor.log_determinant().ln_abs - ln).abs() <= 1e-9 * ln.abs().max(1.0));
            assert!(distance(&factor.apply(&b).unwrap(), &factor.apply_transpose(&b).unwrap()) == 0.0);
        }
    }
    let tree = ClusterTree::bisection(40, 5).unwrap();
    let indefinite = Hodlr::<f64>::identity(tree.clone()).scale(-1.0).unwrap();
    assert!(matches!(indefinite.cholesky(), Err(MatrixError::NotPositiveDefinite { .. })));
    let skew = Matrix::from_fn(40, 40, |i, j| if i < j { 1.0 } else { 2.0 });
    let skew = Hodlr::from_dense(&skew, tree, relative(1e-10)).unwrap().0;
    assert!(skew.cholesky().unwrap_err().to_string().contains("not symmetric"));
}

#[test]
fn conversions_to_and_from_hss() {
    let layout = HssLayout::new(100, 100, 3, 4).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let data: Vec<f64> = (0..layout.len()).map(|_| rng.sample(StandardNormal)).collect();
    let hss = Hss::from_parts(layout, data).unwrap();
    let hodlr = Hodlr::from_hss(&hss).unwrap();
    assert!(distance(&hodlr.to_dense(), &hss.to_dense()) <= 1e-13 * hss.to_dense().norm_frobenius());
    let (again, certificate) = hodlr.to_hss(relative(1e-12)).unwrap();
    assert!(distance(&again.to_dense(), &hss.to_dense()) <= 2e-12 * hss.to_dense().norm_frobenius());
    assert!(again.rank() <= 4 && certificate.max_rank() <= 4);
    let rectangular = Hss::<f64>::zeros(HssLayout::new(10, 12, 1, 1).unwrap());
    assert!(matches!(Hodlr::from_hss(&rectangular), Err(MatrixError::Tree { .. })));
    for n in [1, 130] {
        for (name, a) in cases(n) {
            for tree in if n > 9 { trees(n) } else { vec![Arc::new(ClusterTree::bisection(n, 4).unwrap())] } {
                for tolerance in [1e-3, 1e-10] {
                    let (h, _) = Hodlr::from_dense(&a, tree.clone(), relative(1e-13)).unwrap();
                    let (hss, certificate) = h.to_hss(relative(tolerance)).unwrap();
                    let (error, bound) = (distance(&hss.to_dense(), &h.to_dense()), certificate.frobenius.value);
                    assert!(error <= bound && bound <= tolerance * a.norm_frobenius(), "{name}: {error:e} {bound:e}");
                    let norm = hss.to_dense().norm_frobenius();
                    assert!((certificate.norm - norm).abs() <= 1e-12 * norm);
                }
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let n = 2100;
    let a =
        EntryFn::new(n, n, |i: usize, j: usize| 1.0 / (1.0 + i.abs_diff(j) as f64) + if i == j { 2.0 } else { 0.0 });
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let tree = ClusterTree::bisection(n, 60).unwrap();
            let (h, certificate) = Hodlr::from_entries(&a, tree, relative(1e-8), 3).unwrap();
            let factor = h.factor().unwrap();
            let b = random(n, 2, 1);
            let x = factor.solve(&b).unwrap();
            let product = h.multiply(&h, relative(1e-4)).unwrap();
            (h.apply(&b).unwrap(), x, factor.log_determinant(), product, certificate, h)
        })
    };
    assert!(run(1) == run(3), "the bits differ");
}

#[test]
fn single_precision() {
    let n = 120;
    let exact = |i: usize, j: usize| 1.0 / (1.0 + i.abs_diff(j) as f64) + if i == j { 4.0 } else { 0.0 };
    let a = Matrix::from_fn(n, n, |i, j| exact(i, j) as f32);
    let (h, certificate) = Hodlr::from_dense(&a, ClusterTree::bisection(n, 15).unwrap(), relative(1e-4)).unwrap();
    let (dense, norm) = (h.to_dense(), a.norm_frobenius());
    let difference = Matrix::from_fn(n, n, |i, j| f64::from(dense[(i, j)]) - f64::from(a[(i, j)]));
    assert!(difference.norm_frobenius() <= certificate.frobenius.value + 1e-6 * norm);
    assert!(certificate.frobenius.value <= 1e-4 * norm);
    let b = Matrix::from_fn(n, 1, |i, _| i as f32 / 10.0);
    let x = h.factor().unwrap().solve(&b).unwrap();
    let back = h.apply(&x).unwrap();
    let residual = Matrix::from_fn(n, 1, |i, _| back[(i, 0)] - b[(i, 0)]);
    assert!(residual.norm_frobenius() <= 1e-5 * b.norm_frobenius());
    assert!(Hodlr::from_dense(&a, ClusterTree::bisection(n, 15).unwrap(), relative(1e-12)).is_err());
}

#[test]
fn what_cannot_be_is_an_error_with_its_numbers() {
    let n = 64;
    let tree = || ClusterTree::bisection(n, 8).unwrap();
    let full = random(n, n, 1);
    let capped = relative(1e-6).max_rank(3);
    for error in [
        Hodlr::from_dense(&full, tree(), capped).unwrap_err(),
        Hodlr::from_entries(&full, tree(), capped, 1).unwrap_err(),
    ] {
        assert!(matches!(&error, MatrixError::Tolerance { limit, .. } if limit == "rank cap 3"), "{error}");
    }
    let (whole, _) = Hodlr::from_dense(&full, tree(), relative(1e-6)).unwrap();
    assert!(matches!(whole.recompress(capped), Err(MatrixError::Tolerance { .. })));
    assert!(matches!(whole.multiply(&whole, capped), Err(MatrixError::Tolerance { .. })));
    assert!(matches!(whole.to_hss(capped), Err(MatrixError::Tolerance { .. })));
    assert!(matches!(Hodlr::from_dense(&full, tree(), relative(1e-17)), Err(MatrixError::Tolerance { .. })));

    let mut holed = full.clone();
    holed[(3, 60)] = f64::NAN;
    let error = Hodlr::from_dense(&holed, tree(), relative(1e-6)).unwrap_err();
    assert!(matches!(error, MatrixError::Entry { row: 3, col: 60, .. }));
    let all = EntryFn::new(n, n, |_, _| f64::INFINITY);
    assert!(matches!(Hodlr::from_entries(&all, tree(), relative(1e-6), 1), Err(MatrixError::Entry { .. })));

    assert!(matches!(Hodlr::from_dense(&random(n, n - 1, 1), tree(), capped), Err(MatrixError::Shapes { .. })));
    assert!(matches!(Hodlr::from_dense(&random(9, 9, 1), tree(), capped), Err(MatrixError::Rows { .. })));
    let short = random(n - 1, 1, 1);
    let factor = whole.factor().unwrap();
    for result in [
        whole.apply(&short),
        whole.apply_transpose(&short),
        factor.solve(&short),
        factor.solve_transpose(&short),
        factor.apply(&short),
        factor.apply_transpose(&short),
    ] {
        assert!(matches!(result, Err(MatrixError::Rows { got: 63, expected: 64, .. })));
    }
    let other = Hodlr::<f64>::identity(ClusterTree::bisection(n, 16).unwrap());
    assert!(matches!(whole.add(&other, capped), Err(MatrixError::Tree { .. })));
    assert!(matches!(whole.multiply(&other, capped), Err(MatrixError::Tree { .. })));
    assert!(whole.add_low_rank(&short, &short, capped).is_err());
    assert!(whole.add_low_rank(&random(n, 1, 1), &random(n, 2, 1), capped).is_err());
    assert!(whole.scale(f64::NAN).is_err() && whole.shift(f64::INFINITY).is_err());
    assert!(matches!(whole.scale(1e300).unwrap().scale(1e300), Err(MatrixError::NonFinite { .. })));
}

#[test]
fn singular_matrices_name_their_cluster() {
    let n = 32;
    let tree = || ClusterTree::bisection(n, 8).unwrap();
    let ones = Hodlr::from_dense(&Matrix::from_fn(n, n, |_, _| 1.0), tree(), relative(1e-10)).unwrap().0;
    let error = ones.factor().err().unwrap().to_string();
    assert!(error.contains("column 1 of cluster 3 on level 2"), "{error}");
    // Invertible leaves, a singular whole: two equal block rows.
    let block = |i: usize, j: usize| if i % 16 == j % 16 { 1.0 } else { 0.0 };
    let twice = Hodlr::from_dense(&Matrix::from_fn(n, n, block), tree(), relative(1e-10)).unwrap().0;
    let error = twice.factor().err().unwrap().to_string();
    assert!(error.contains("of cluster 0 on level 0, 32 indices"), "{error}");
    let zero = Hodlr::<f64>::zeros(tree());
    assert!(matches!(zero.factor(), Err(MatrixError::Singular { .. })));
}

#[test]
fn one_point_empty_clusters_and_leaves_larger_than_the_matrix() {
    for tree in [ClusterTree::bisection(1, 5).unwrap(), ClusterTree::with_levels(1, 2).unwrap()] {
        let a = Matrix::from_fn(1, 1, |_, _| 3.0);
        let (h, certificate) = Hodlr::from_dense(&a, tree.clone(), relative(1e-3)).unwrap();
        assert_eq!((h.to_dense(), certificate.frobenius.value, h.rank()), (a.clone(), 0.0, 0));
        let factor = h.factor().unwrap();
        assert_eq!(factor.solve(&Matrix::from_vector(&[6.0])).unwrap().col(0), [2.0]);
        assert_eq!((factor.log_determinant().sign, factor.log_determinant().ln_abs), (1, 3.0f64.ln()));
        assert_eq!(h.multiply(&h, relative(1e-3)).unwrap().0.trace(), 9.0);
        assert_eq!(Hodlr::from_entries(&a, tree, relative(1e-3), 0).unwrap().0, h);
    }
    let zeros = Matrix::<f64>::zeros(20, 20);
    let (h, certificate) = Hodlr::from_dense(&zeros, ClusterTree::bisection(20, 3).unwrap(), relative(0.1)).unwrap();
    assert_eq!((h.rank(), certificate.frobenius.value, h.norm_frobenius()), (0, 0.0, 0.0));
}

#[test]
fn entries_are_looked_at_sparingly() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let count = |n: usize| {
        let seen = AtomicUsize::new(0);
        let a = EntryFn::new(n, n, |i: usize, j: usize| {
            seen.fetch_add(1, Ordering::Relaxed);
            let r = (i as f64 - j as f64) / n as f64;
            (-r * r).exp() + if i == j { 100.0 } else { 0.0 }
        });
        let (h, _) = Hodlr::from_entries(&a, ClusterTree::bisection(n, 50).unwrap(), relative(1e-10), 2).unwrap();
        (seen.into_inner() as f64 / n as f64, h.stored() as f64 / n as f64)
    };
    let ((few, small), (many, large)) = (count(1 << 10), count(1 << 13));
    // log n has grown by 1.3; ranks of smaller blocks are no larger.
    assert!(many < 1.6 * few && many < 600.0, "{few} {many}");
    assert!(large < 1.6 * small, "{small} {large}");
}
