//! Builds and operations that sum their errors exactly.

use farfield_matrix::*;
use rand::RngExt;

use super::draws::{any, tolerance};
use crate::cases::*;

/// A thousand trials: a certificate and the true error, or nothing where the build says that the tolerance is not met.
fn thousand(name: &str, mut trial: impl FnMut(u64) -> Option<(Certificate, f64)>) {
    let mut trials = Trials::default();
    for seed in 0..1000 {
        if let Some((certificate, error)) = trial(seed) {
            assert_eq!(certificate.frobenius.confidence, Confidence::Proven, "{name}, trial {seed}");
            assert!(certificate.spectral.value <= certificate.frobenius.value);
            trials.push(&certificate, error);
        }
    }
    trials.check(name, 990);
}

/// Nothing for a tolerance that was not met, which must not happen above rounding.
#[track_caller]
fn built<H>(result: Result<(H, Certificate), MatrixError>, tolerance: f64, what: &str) -> Option<(H, Certificate)> {
    match result {
        Ok(built) => Some(built),
        Err(MatrixError::Tolerance { .. }) if tolerance < 1e-10 => None,
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn hodlr_of_dense_matrices() {
    thousand("HODLR, dense", |seed| {
        let mut random = rng(seed);
        let n = random.random_range(2..80);
        let draw = any(&mut random, n.max(8));
        let tol = tolerance(&mut random);
        let (h, c) = built(Hodlr::from_dense(&draw.a, draw.tree.clone(), relative(tol)), tol, &draw.name)?;
        assert!(c.frobenius.value <= tol * draw.a.norm_frobenius());
        Some((c, distance(&h.to_dense(), &draw.a)))
    });
}

#[test]
fn hss_of_dense_matrices() {
    thousand("HSS, dense", |seed| {
        let mut random = rng(seed);
        let n = random.random_range(8..80);
        let draw = any(&mut random, n);
        let tol = tolerance(&mut random);
        let (h, c) = built(Hss::from_dense_on(&draw.a, &draw.tree, &draw.tree, relative(tol)), tol, &draw.name)?;
        assert!(c.frobenius.value <= tol * draw.a.norm_frobenius());
        Some((c, distance(&h.to_dense(), &draw.a)))
    });
}

#[test]
fn hss_with_smaller_ranks() {
    thousand("HSS, recompressed", |seed| {
        let mut random = rng(seed);
        let n = random.random_range(8..80);
        let tree = std::sync::Arc::new(wild_tree(&mut random, n));
        let a = random_hss(&mut random, &tree, &tree, |r| (r.random_range(0..5), r.random_range(0..5)), 1.0);
        let tol = tolerance(&mut random);
        let (h, c) = built(a.recompress(relative(tol)), tol, "HSS")?;
        Some((c, distance(&h.to_dense(), &a.to_dense())))
    });
}

#[test]
fn hmatrices_of_all_entries() {
    thousand("H, all entries", |seed| {
        let mut random = rng(seed);
        let n = random.random_range(8..80);
        let draw = any(&mut random, n);
        let tol = tolerance(&mut random);
        let compression =
            [Compression::Svd, Compression::CrossApproximation { check: Check::Exact }][random.random_range(0..2)];
        let division = [Division::Blockwise, Division::Global][random.random_range(0..2)];
        let options = HMatrixOptions { compression, division, seed, ..HMatrixOptions::new(relative(tol)) };
        let admissibility = if draw.tree.cluster(0).bounding_box.is_some() && random.random::<bool>() {
            Admissibility::Strong { eta: random.random_range(0.5..3.0) }
        } else {
            Admissibility::Weak
        };
        let (h, c) = built(HMatrix::build(&draw.a, &draw.tree, &draw.tree, admissibility, &options), tol, &draw.name)?;
        assert!(c.frobenius.value <= tol * draw.a.norm_frobenius());
        Some((c, distance(&h.to_dense(), &draw.a)))
    });
}

#[test]
fn adaptive_partitions() {
    thousand("adaptive blocks", |seed| {
        let mut random = rng(seed);
        let n = random.random_range(8..70);
        let draw = any(&mut random, n);
        let tol = tolerance(&mut random);
        let (h, c) =
            built(AdaptiveBlocks::from_dense(&draw.a, &draw.tree, &draw.tree, relative(tol)), tol, &draw.name)?;
        assert!(c.frobenius.value <= tol * draw.a.norm_frobenius());
        Some((c, distance(&h.to_dense(), &draw.a)))
    });
}

#[test]
fn hodlr_arithmetic() {
    thousand("HODLR, arithmetic", |seed| {
        let mut random = rng(seed);
        let n = random.random_range(8..60);
        let (first, second) = (any(&mut random, n), any(&mut random, n));
        let tree = first.tree.clone();
        let tight = |a: &Matrix<f64>| Hodlr::from_dense(a, tree.clone(), relative(1e-13)).map(|h| h.0);
        let (a, b) = (tight(&first.a).ok()?, tight(&second.a).ok()?);
        let tol = tolerance(&mut random);
        let (da, db) = (a.to_dense(), b.to_dense());
        let (u, v) = (gaussian(&mut random, n, 2), gaussian(&mut random, n, 2));
        let (result, exact) = match seed % 4 {
            0 => (a.add(&b, relative(tol)), combine(&da, 1.0, &db)),
            1 => (a.multiply(&b, relative(tol)), times(&da, &db)),
            2 => (a.add_low_rank(&u, &v, relative(tol)), combine(&da, 1.0, &times(&u, &v.transpose()))),
            _ => {
                let (h, c) = built(a.to_hss(relative(tol)), tol, &first.name)?;
                return Some((c, distance(&h.to_dense(), &da)));
            }
        };
        let (h, c) = built(result, tol, &first.name)?;
        // The dense result has rounding errors of its own.
        let slack = 4.0 * f64::EPSILON * (da.norm_frobenius() * (1.0 + db.norm_frobenius()) + db.norm_frobenius());
        Some((c, (distance(&h.to_dense(), &exact) - slack).max(0.0)))
    });
}
