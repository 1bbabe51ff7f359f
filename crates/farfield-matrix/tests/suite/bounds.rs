//! Theorems 1 and 3 of the compression paper as inequalities on ill-conditioned matrices, and the examples that refute the
//! printed forms.

use faer::Mat;
use farfield_matrix::bounds::{
    Layer, condition_number, equal_blocks_error, global_error, inverse_error, inverse_norm, network_error,
    output_error, perturbed_error, solution_error,
};
use farfield_matrix::{Accuracy, ClusterTree, Hodlr, LinearOperator, Matrix};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn matrix(a: &Mat<f64>) -> Matrix<f64> {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)])
}

fn faer_matrix(a: &Matrix<f64>) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)])
}

/// Largest and smallest singular value.
fn extremes(a: &Mat<f64>) -> (f64, f64) {
    let s = a.singular_values().unwrap();
    (s[0], s[s.len() - 1])
}

fn gaussian(m: usize, n: usize, rng: &mut ChaCha8Rng) -> Mat<f64> {
    Mat::from_fn(m, n, |_, _| rng.sample(StandardNormal))
}

/// Hilbert, Cauchy and Helmholtz matrices with condition numbers from 1e3 to 1e12.
fn ill_conditioned() -> Vec<(&'static str, Mat<f64>)> {
    let helmholtz = |n: usize, k: f64| {
        Mat::from_fn(n, n, |i, j| {
            let h = 1.0 / (n + 1) as f64;
            match i.abs_diff(j) {
                0 => 2.0 - k * k * h * h,
                1 => -1.0,
                _ => 0.0,
            }
        })
    };
    vec![
        ("Hilbert 5", Mat::from_fn(5, 5, |i, j| 1.0 / (i + j + 1) as f64)),
        ("Hilbert 9", Mat::from_fn(9, 9, |i, j| 1.0 / (i + j + 1) as f64)),
        ("Cauchy 8", Mat::from_fn(8, 8, |i, j| 1.0 / (i as f64 + 0.5 * j as f64 + 0.7))),
        ("Cauchy 40", Mat::from_fn(40, 40, |i, j| 1.0 / (i as f64 - j as f64 + 0.49))),
        ("Helmholtz 64", helmholtz(64, 20.0)),
        ("Helmholtz 128, near an eigenvalue", helmholtz(128, 9.424)),
    ]
}

#[test]
fn bounds_hold_on_ill_conditioned_matrices() {
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    for (name, a) in ill_conditioned() {
        let n = a.nrows();
        let (largest, smallest) = extremes(&a);
        let inverse = a.partial_piv_lu().inverse_of(n);
        for fraction in [1e-3, 0.1, 0.5, 0.9] {
            // The error of an approximation with a tolerance that is a fraction of the smallest singular value.
            let tolerance = fraction * smallest;
            let tree = ClusterTree::bisection(n, 2.max(n / 8)).unwrap();
            let (h, certificate) =
                Hodlr::from_dense(&matrix(&a), tree, Accuracy::absolute(tolerance).unwrap()).unwrap();
            let h = faer_matrix(&h.to_dense());
            // And one in the worst direction: the smallest singular value goes down, the largest up.
            let svd = a.svd().unwrap();
            let (u, v) = (svd.U(), svd.V());
            let worst = Mat::from_fn(n, n, |i, j| {
                a[(i, j)] + tolerance * (u[(i, 0)] * v[(j, 0)] - u[(i, n - 1)] * v[(j, n - 1)])
            });
            for (h, t) in [(h, certificate.spectral.value), (worst, tolerance * (1.0 + 1e-10))] {
                let (h_largest, h_smallest) = extremes(&h);
                // Singular values are computed to rounding errors of the largest.
                let rounding = 1.0 + 1e-14 * largest / h_smallest;
                let kappa = condition_number(largest, smallest, t).unwrap();
                assert!(h_largest / h_smallest <= kappa * rounding, "{name} {fraction}");
                assert!(1.0 / h_smallest <= inverse_norm(smallest, t).unwrap() * rounding, "{name}");
                let h_inverse = h.partial_piv_lu().inverse_of(n);
                let difference = extremes(&(&h_inverse - &inverse)).0;
                let slack = 1e-13 * n as f64 * largest / (h_smallest * h_smallest);
                assert!(difference <= inverse_error(smallest, t).unwrap() + slack, "{name} {fraction} {difference:e}");
                let x = gaussian(n, 1, &mut rng);
                let b = &a * &x;
                let moved = &b + 1e-3 * gaussian(n, 1, &mut rng) * faer::Scale(b.norm_l2() / (n as f64));
                let y = &h_inverse * &moved;
                let bound = solution_error(smallest, t, x.norm_l2(), (&moved - &b).norm_l2()).unwrap();
                assert!((&y - &x).norm_l2() <= bound + slack * b.norm_l2(), "{name} {fraction}");
                assert!(
                    (&a * &x - &h * &x).norm_l2()
                        <= output_error(largest, t, x.norm_l2(), 0.0) * (1.0 + 1e-12) + 1e-14 * largest * x.norm_l2()
                );
            }
        }
        assert_eq!(condition_number(largest, smallest, smallest), None);
        assert_eq!(inverse_error(smallest, 2.0 * smallest), None);
        assert_eq!(solution_error(smallest, f64::NAN, 1.0, 0.0), None);
    }
}

#[test]
fn errors_of_blocks_add_in_squares() {
    let n = 64;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (a, h) = (gaussian(n, n, &mut rng), gaussian(n, n, &mut rng));
    let errors: Vec<f64> = (0..16)
        .map(|b| {
            let block = |m: &Mat<f64>| m.as_ref().submatrix(16 * (b / 4), 16 * (b % 4), 16, 16).to_owned();
            (block(&a) - block(&h)).norm_l2()
        })
        .collect();
    let whole = (&a - &h).norm_l2();
    assert!((global_error(&errors) - whole).abs() < 1e-12 * whole);
    // The printed sum is a bound, four times too large for sixteen blocks of about the same error.
    let sum: f64 = errors.iter().sum();
    assert!(sum > 3.9 * whole && sum < 4.0 * whole);
    let tau = errors.iter().fold(0.0f64, |a, &b| a.max(b));
    assert!(whole <= equal_blocks_error(tau, 16));
    assert_eq!((global_error(&[]), global_error(&[0.0, 0.0]), equal_blocks_error(0.5, 16)), (0.0, 0.0, 2.0));
    assert!((global_error(&[3e200, 4e200]) / 5e200 - 1.0).abs() < 1e-15);
}

#[test]
fn theorem_1b_as_printed_is_false_for_four_blocks() {
    // Every block is off by tau; the perturbation is next to nothing.
    let (tau, delta) = (1.0, 0.5);
    let whole = global_error(&[tau; 4]);
    assert!(whole > tau + delta, "printed");
    assert!(whole <= perturbed_error(equal_blocks_error(tau, 4), delta));
}

#[test]
fn theorems_1c_1e_and_3_as_printed_are_false_for_the_identity() {
    let t = 0.1;
    let h = Mat::from_fn(2, 2, |i, j| {
        if i != j {
            0.0
        } else if i == 0 {
            1.0 + t
        } else {
            1.0 - t
        }
    });
    let (largest, smallest) = extremes(&h);
    let kappa = largest / smallest;
    assert!((kappa - 1.222).abs() < 1e-3);
    let printed_1c = 1.0 + t / (1.0 - t);
    let printed_1e = 1.0 + t;
    let printed_3 = 1.0 + t; // sigma_eff = 1
    assert!(kappa > printed_1c && kappa > printed_1e && kappa > printed_3);
    let bound = condition_number(1.0, 1.0, t).unwrap();
    assert!(kappa <= bound * (1.0 + 1e-15) && kappa >= bound * (1.0 - 1e-15), "sharp");
}

#[test]
fn theorem_3_fails_on_hilbert_matrices_too() {
    let a = Mat::from_fn(6, 6, |i, j| 1.0 / (i + j + 1) as f64);
    let (largest, smallest) = extremes(&a);
    let t = 0.5 * smallest;
    let svd = a.svd().unwrap();
    let h = Mat::from_fn(6, 6, |i, j| a[(i, j)] - t * svd.U()[(i, 5)] * svd.V()[(j, 5)]);
    let (h_largest, h_smallest) = extremes(&h);
    let printed = largest / smallest * (1.0 + t / smallest);
    assert!(h_largest / h_smallest > 1.3 * printed);
    assert!(h_largest / h_smallest <= condition_number(largest, smallest, t).unwrap() * (1.0 + 1e-6));
}

#[test]
fn errors_pass_through_a_network_no_larger_than_bounded() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let n = 48;
    for tolerance in [1e-1, 1e-3] {
        let (mut x, mut z) = (gaussian(n, 1, &mut rng), Mat::zeros(n, 1));
        z.copy_from(&x);
        let mut layers = Vec::new();
        for _ in 0..4 {
            let a = Mat::from_fn(n, n, |i, j| 1.0 / (1.0 + i.abs_diff(j) as f64));
            let tree = ClusterTree::bisection(n, 6).unwrap();
            let (h, certificate) =
                Hodlr::from_dense(&matrix(&a), tree, Accuracy::relative(tolerance).unwrap()).unwrap();
            layers.push(Layer { norm: extremes(&a).0, error: certificate.spectral.value, input_norm: x.norm_l2() });
            let next = &a * &x;
            x = Mat::from_fn(n, 1, |i, _| next[(i, 0)].tanh());
            let next = h.apply(&matrix(&z)).unwrap();
            z = Mat::from_fn(n, 1, |i, _| next[(i, 0)].tanh());
        }
        let error = (&x - &z).norm_l2();
        assert!(error > 0.0 && error <= network_error(&layers), "{error:e} {:e}", network_error(&layers));
    }
    assert_eq!(network_error(&[]), 0.0);
}

/// Inverse by solving with the identity.
trait Inverse {
    fn inverse_of(&self, n: usize) -> Mat<f64>;
}

impl Inverse for faer::linalg::solvers::PartialPivLu<f64> {
    fn inverse_of(&self, n: usize) -> Mat<f64> {
        use faer::linalg::solvers::Solve;
        self.solve(Mat::<f64>::identity(n, n))
    }
}
