//! Builds to a tolerance, their certificates and memory.

use farfield_matrix::*;

use super::systems::*;
use crate::cases::*;

#[test]
fn builds_meet_every_tolerance() {
    let mut cases = square_cases(250);
    cases.extend(rectangular_cases());
    for case in &cases {
        for tolerance in [1e-2, 1e-4, 1e-7, 1e-10, 1e-12] {
            for compression in [
                Compression::Svd,
                Compression::CrossApproximation { check: Check::Exact },
                Compression::CrossApproximation { check: Check::Sampled },
            ] {
                let (h, certificate) = case.build(&HMatrixOptions { compression, ..options(tolerance) }).unwrap();
                let what = format!("{}, {tolerance:.0e}, {compression:?}", case.name);
                let (full, norm) = (h.to_dense(), case.a.norm_frobenius());
                let error = minus(&full, &case.a).norm_frobenius();
                assert!(error <= tolerance * norm, "{what}: {:.2e}", error / norm);
                assert!(error <= certificate.frobenius.value + 1e-15 * norm, "{what}: {error:.2e}, {certificate:?}");
                assert!(certificate.frobenius.value <= tolerance * norm);
                assert!((certificate.norm - full.norm_frobenius()).abs() <= 1e-12 * norm, "{what}");
                let proven = certificate.frobenius.confidence == Confidence::Proven;
                let sampled = compression == Compression::CrossApproximation { check: Check::Sampled };
                assert!(proven || sampled, "{what}");
                assert_eq!(certificate.stored, h.stored());
            }
        }
    }
}

#[test]
fn larger_matrices() {
    let n = 1000;
    for k in [2, 4, 6] {
        let case = square_cases(n).swap_remove(k);
        for tolerance in [1e-2, 1e-5, 1e-8, 1e-12] {
            let (h, certificate) = case.build(&options(tolerance)).unwrap();
            assert_close(&h.to_dense(), &case.a, tolerance, case.name);
            assert!(certificate.frobenius.value <= tolerance * case.a.norm_frobenius());
            // Blocks of 500 x 500 are looked at in places, smaller ones in full.
            let sampled = matches!(certificate.frobenius.confidence, Confidence::Probabilistic { .. });
            assert!(sampled || case.name != "Cauchy", "{tolerance}");
            assert!(certificate.compression() < 0.8, "{}, {tolerance}: {}", case.name, certificate.compression());
        }
    }
}

#[test]
fn absolute_tolerances_and_global_division() {
    for case in square_cases(220) {
        for tolerance in [1e-2, 1e-6, 1e-10] {
            for compression in [Compression::Svd, Compression::CrossApproximation { check: Check::Sampled }] {
                let accuracy = Accuracy::absolute(tolerance).unwrap();
                let (h, _) = case.build(&HMatrixOptions { compression, ..HMatrixOptions::new(accuracy) }).unwrap();
                let error = minus(&h.to_dense(), &case.a).norm_frobenius();
                assert!(error <= tolerance, "{} {tolerance}: {error}", case.name);
                let global = HMatrixOptions { compression, division: Division::Global, ..options(tolerance) };
                let (h, certificate) = case.build(&global).unwrap();
                assert_close(&h.to_dense(), &case.a, tolerance, case.name);
                assert!(certificate.frobenius.value <= tolerance * case.a.norm_frobenius());
            }
        }
    }
}

#[test]
fn global_division_takes_less_memory_than_blockwise() {
    let case = &square_cases(400)[7];
    let global = HMatrixOptions { division: Division::Global, ..options(1e-4) };
    assert!(case.build(&global).unwrap().0.stored() < case.built(1e-4).stored());
}

#[test]
fn memory_grows_like_n_log_n() {
    let per_unknown = [1000, 4000, 16_000].map(|n| {
        let points = Points::new(1, (0..n).map(|i| i as f64 / n as f64).collect()).unwrap();
        let tree = geometric(&points, 25, Splitting::Median);
        let kernel = EntryFn::new(n, n, move |i: usize, j: usize| n as f64 / (1.0 + i.abs_diff(j) as f64));
        let (h, _) = HMatrix::build(&kernel, &tree, &tree, Admissibility::Strong { eta: 1.0 }, &options(1e-5)).unwrap();
        h.stored() as f64 / n as f64 / (n as f64).ln()
    });
    assert!(per_unknown[2] <= 1.2 * per_unknown[0] && per_unknown[2] <= 1.1 * per_unknown[1], "{per_unknown:?}");
}

#[test]
fn single_precision() {
    let points = cloud(300, 2, 9);
    let tree = geometric(&points, 20, Splitting::Median);
    let entries =
        EntryFn::new(300, 300, |i, j| if i == j { 60.0f32 } else { 1.0 / (0.05 + gap(&points, i, &points, j) as f32) });
    for compression in [Compression::Svd, Compression::CrossApproximation { check: Check::Sampled }] {
        let accuracy = options(1e-4);
        let (h, certificate) = HMatrix::<f32>::build(
            &entries,
            &tree,
            &tree,
            Admissibility::Strong { eta: 2.0 },
            &HMatrixOptions { compression, ..accuracy },
        )
        .unwrap();
        let full = h.to_dense();
        let error: f64 =
            (0..300 * 300).map(|k| f64::from(full[(k / 300, k % 300)] - entries.entry(k / 300, k % 300)).powi(2)).sum();
        assert!(
            error.sqrt() <= certificate.frobenius.value + 1e-6 * certificate.norm
                && certificate.frobenius.value <= 1e-4 * certificate.norm
        );
        let b = Matrix::from_fn(300, 1, |i, _| (i as f32).sin());
        let x = h.lu(relative(1e-5), 1).unwrap().0.solve(&b).unwrap();
        let residual = h.apply(&x).unwrap();
        assert!((0..300).all(|i| (residual[(i, 0)] - b[(i, 0)]).abs() < 1e-4));
    }
}

#[test]
fn coinciding_points_are_fine() {
    let points = Points::new(2, vec![0.25; 2 * 90]).unwrap();
    let tree = geometric(&points, 8, Splitting::Median);
    let ones = EntryFn::new(90, 90, |i, j| 1.0 + f64::from(u8::from(i == j)));
    let (h, _) = HMatrix::build(&ones, &tree, &tree, Admissibility::Strong { eta: 1.0 }, &options(1e-10)).unwrap();
    assert_eq!(h.to_dense(), Matrix::from_fn(90, 90, |i, j| ones.entry(i, j)));
    let log = h.lu(relative(1e-12), 0).unwrap().0.log_determinant().ln_abs;
    assert!((log - 91f64.ln()).abs() < 1e-12);
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let case = &square_cases(350)[7];
    let b = random(350, 2, 3);
    let run = || {
        let (h, certificate) = case.build(&options(1e-6)).unwrap();
        let (lu, of_lu) = h.lu(relative(1e-6), 4).unwrap();
        let (cholesky, _) = h.cholesky(relative(1e-4), 4).unwrap();
        let (square, of_square) = h.multiply(&h, case.admissibility(), relative(1e-6), 4).unwrap();
        let vectors = [h.apply(&b), h.apply_transpose(&b), lu.solve(&b), lu.solve_transpose(&b), cholesky.solve(&b)];
        (h.to_dense(), square.to_dense(), vectors.map(Result::unwrap), certificate, of_lu, of_square)
    };
    let pools = [1, 2, 5].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    let results = pools.map(|pool| pool.install(run));
    assert!(results[0] == results[1] && results[1] == results[2]);
}

#[test]
fn progress_counts_every_block() {
    let case = &square_cases(150)[7];
    let calls = std::sync::Mutex::new(Vec::new());
    let progress = |done: usize, total: usize| calls.lock().unwrap().push((done, total));
    let (h, _) =
        HMatrix::build_with_progress(&case.a, &case.rows, &case.cols, case.admissibility(), &options(1e-3), &progress)
            .unwrap();
    let mut calls = calls.into_inner().unwrap();
    calls.sort_unstable();
    let total = h.leaves().len();
    assert_eq!(calls, (1..=total).map(|done| (done, total)).collect::<Vec<_>>());
}
