//! `||A - full(H)||_F <= tol ||A||_F` for every format and constructor.

use std::sync::Arc;

use farfield_matrix::hss::ProductOptions;
use farfield_matrix::*;

use crate::cases::*;

const TOLERANCES: [f64; 4] = [1e-2, 1e-4, 1e-8, 1e-12];

type Built = Result<(Matrix<f64>, Certificate), MatrixError>;

/// A matrix with a tree that has boxes.
struct Case {
    name: &'static str,
    a: Matrix<f64>,
    tree: Arc<ClusterTree>,
}

/// Structured matrices of order `n` on a line, kernels of points in two and three dimensions, and a random matrix.
const COUNT: usize = 13;

fn case(k: usize, n: usize) -> Case {
    let leaf = 48;
    let line = || {
        let p = Points::new(1, (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect()).unwrap();
        geometric(&p, leaf, Splitting::Median)
    };
    let kernel = |name, dim: usize, f: &dyn Fn(f64) -> f64| {
        let p = cloud(n, dim, 3);
        let a = Matrix::from_fn(n, n, |i, j| f(gap(&p, i, &p, j)));
        Case { name, a, tree: geometric(&p, leaf, Splitting::Median) }
    };
    match k {
        10 => Case { name: "random", a: gaussian(&mut rng(5), n, n), tree: line() },
        11 => kernel("1 / r in 2D", 2, &|r| 1.0 / (r + 0.01)),
        12 => kernel("Matern in 3D", 3, &|r| (1.0 + 5.0 * r) * (-5.0 * r).exp()),
        k => {
            let (name, a) = structured(k, n);
            Case { name, a, tree: line() }
        }
    }
}

/// A name, and a build of a case to a relative tolerance.
type Constructor = (&'static str, fn(&Case, f64) -> Built);

const CONSTRUCTORS: [Constructor; 10] = [
    ("HODLR, dense", |c, tol| Hodlr::from_dense(&c.a, c.tree.clone(), relative(tol)).map(|(h, c)| (h.to_dense(), c))),
    ("HODLR, entries", |c, tol| {
        let entries = EntryFn::new(c.a.nrows(), c.a.ncols(), |i, j| c.a[(i, j)]);
        Hodlr::from_entries(&entries, c.tree.clone(), relative(tol), 1).map(|(h, c)| (h.to_dense(), c))
    }),
    ("HODLR, products", |c, tol| {
        Hodlr::from_products(&c.a, c.tree.clone(), relative(tol), 1).map(|(h, c)| (h.to_dense(), c))
    }),
    ("HSS, dense", |c, tol| Hss::from_dense_on(&c.a, &c.tree, &c.tree, relative(tol)).map(|(h, c)| (h.to_dense(), c))),
    ("HSS, entries", |c, tol| {
        let entries = EntryFn::new(c.a.nrows(), c.a.ncols(), |i, j| c.a[(i, j)]);
        let options = SkeletonOptions { check_rows: 64, ..SkeletonOptions::default() };
        Hss::from_entries(&entries, &c.tree, &c.tree, relative(tol), &options).map(|(h, c)| (h.to_dense(), c))
    }),
    ("HSS, products", |c, tol| {
        let built = Hss::from_products(&c.a, &c.tree, &c.tree, relative(tol), &ProductOptions::default());
        built.map(|built| (built.matrix.to_dense(), built.certificate))
    }),
    ("H, dense", |c, tol| {
        let options = HMatrixOptions { compression: Compression::Svd, ..HMatrixOptions::new(relative(tol)) };
        let built = HMatrix::build(&c.a, &c.tree, &c.tree, Admissibility::Strong { eta: 1.0 }, &options);
        built.map(|(h, c)| (h.to_dense(), c))
    }),
    ("H, entries", |c, tol| {
        let entries = EntryFn::new(c.a.nrows(), c.a.ncols(), |i, j| c.a[(i, j)]);
        let options = HMatrixOptions::new(relative(tol));
        let built = HMatrix::build(&entries, &c.tree, &c.tree, Admissibility::Strong { eta: 2.0 }, &options);
        built.map(|(h, c)| (h.to_dense(), c))
    }),
    ("H, entries, weak, all checked", |c, tol| {
        let compression = Compression::CrossApproximation { check: Check::Exact };
        let options = HMatrixOptions { compression, ..HMatrixOptions::new(relative(tol)) };
        let built = HMatrix::build(&c.a, &c.tree, &c.tree, Admissibility::Weak, &options);
        built.map(|(h, c)| (h.to_dense(), c))
    }),
    ("H2, entries", |c, tol| {
        let entries = EntryFn::new(c.a.nrows(), c.a.ncols(), |i, j| c.a[(i, j)]);
        let options = H2Options::new(relative(tol));
        H2Matrix::from_entries(&entries, c.tree.clone(), c.tree.clone(), &options).map(|(h, c)| (h.to_dense(), c))
    }),
];

/// The identity, and the certificate between the error and the tolerance.
#[track_caller]
fn check(what: &str, a: &Matrix<f64>, built: Built, tolerance: f64) {
    let (full, certificate) = built.unwrap_or_else(|error| panic!("{what}, {tolerance:.0e}: {error}"));
    let (error, norm, bound) = (distance(&full, a), a.norm_frobenius(), certificate.frobenius.value);
    assert!(error <= tolerance * norm, "{what}: {:.2e} for {tolerance:.0e}", error / norm);
    // Dense forms are rounded themselves.
    assert!(error <= bound + 4.0 * f64::EPSILON * norm, "{what}: {error:.3e} above {bound:.3e}");
    assert!(bound <= 1.01 * tolerance * norm, "{what}: bound {bound:.3e} for {:.3e}", tolerance * norm);
}

#[test]
fn every_constructor_case_and_tolerance_at_512() {
    for k in 0..COUNT {
        let case = case(k, 512);
        for tolerance in TOLERANCES {
            for (constructor, build) in CONSTRUCTORS {
                check(&format!("{constructor}: {}, 512", case.name), &case.a, build(&case, tolerance), tolerance);
            }
        }
    }
}

/// One case and tolerance a constructor, in turn.
fn in_turn(n: usize, step: usize, constructors: impl Fn(usize) -> bool) {
    for (i, (constructor, build)) in CONSTRUCTORS.into_iter().enumerate().filter(|(i, _)| constructors(*i)) {
        let case = case([0, 1, 2, 3, 4, 5, 6, 7, 8][(i * step + n) % 9], n);
        let tolerance = TOLERANCES[(i + n / 1000) % 4];
        check(&format!("{constructor}: {}, {n}", case.name), &case.a, build(&case, tolerance), tolerance);
    }
}

#[test]
fn every_constructor_at_1000_and_2048() {
    in_turn(1000, 2, |_| true);
    in_turn(1000, 4, |_| true);
    in_turn(2048, 5, |_| true);
}

/// Singular value decompositions of blocks of 2048 take longer: [`hodlr_of_a_dense_matrix_at_4096`].
#[test]
fn every_constructor_but_one_at_4096() {
    in_turn(4096, 7, |i| i > 0);
}

#[test]
fn hodlr_of_a_dense_matrix_at_4096() {
    in_turn(4096, 7, |i| i == 0);
}

/// Kernels on points, by every format.
fn kernels(n: usize, name: &str, dim: usize, tolerance: f64) {
    let p = Arc::new(cloud(n, dim, 9));
    let kernel: Kernel = name.parse().unwrap();
    let at_zero = if kernel.is_singular() { AtZero::Value(1.0) } else { AtZero::Formula };
    let kernel = KernelMatrix::<f64>::new(kernel, p.clone(), p.clone(), at_zero).unwrap();
    let a = Matrix::from_fn(n, n, |i, j| kernel.entry(i, j));
    let tree = geometric(&p, 64, Splitting::Median);
    let accuracy = relative(tolerance);
    let what = |format| format!("{format}: {name} in {dim}D, {n}");
    for basis in [H2Basis::Skeleton, H2Basis::Chebyshev] {
        for storage in [H2Storage::Stored, H2Storage::Recomputed] {
            // Interpolation to high accuracy has ranks beyond these sizes.
            if basis == H2Basis::Skeleton || tolerance >= 1e-4 {
                let options = H2Options { basis, storage, leaf_size: 64, ..H2Options::new(accuracy) };
                let built = H2Matrix::from_kernel(&kernel, &options).map(|(h, c)| (h.to_dense(), c));
                check(
                    &what(if basis == H2Basis::Skeleton { "H2, skeletons" } else { "H2, interpolation" }),
                    &a,
                    built,
                    tolerance,
                );
            }
        }
    }
    let options = HMatrixOptions::new(accuracy);
    let built = HMatrix::build(&kernel, &tree, &tree, Admissibility::Strong { eta: 2.0 }, &options);
    check(&what("H, kernel"), &a, built.map(|(h, c)| (h.to_dense(), c)), tolerance);
    let built = Hodlr::from_entries(&kernel, tree.clone(), accuracy, 1);
    check(&what("HODLR, kernel"), &a, built.map(|(h, c)| (h.to_dense(), c)), tolerance);
    let options = SkeletonOptions { check_rows: 64, ..SkeletonOptions::default() };
    let built = Hss::from_entries(&kernel, &tree, &tree, accuracy, &options);
    check(&what("HSS, kernel"), &a, built.map(|(h, c)| (h.to_dense(), c)), tolerance);
}

#[test]
fn kernels_on_points() {
    for tolerance in TOLERANCES {
        kernels(512, "log", 1, tolerance);
    }
    kernels(1000, "matern52:0.5", 2, 1e-4);
    kernels(2048, "inverse-multiquadric:0.3", 1, 1e-8);
    kernels(4096, "exponential:2", 1, 1e-4);
}
