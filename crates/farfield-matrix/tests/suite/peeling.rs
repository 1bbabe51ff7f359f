//! HODLR matrices from products alone.

use crate::cases::*;
use farfield_matrix::{ClusterTree, Confidence, Hodlr, LinearOperator, Matrix, MatrixError, Nested};

fn structured(n: usize) -> Vec<(&'static str, Matrix<f64>)> {
    let x = |i: usize| (i as f64 + 0.5) / n as f64;
    let make = |f: &dyn Fn(usize, usize) -> f64| Matrix::from_fn(n, n, f);
    vec![
        ("banded", make(&|i, j| [6.0, -4.0, 1.0].get(i.abs_diff(j)).copied().unwrap_or(0.0))),
        ("low rank plus diagonal", make(&|i, j| x(i).sin() * x(j) + if i == j { 3.0 } else { 0.0 })),
        ("Cauchy", make(&|i, j| 1.0 / (i as f64 - j as f64 + 0.25))),
        ("Toeplitz", make(&|i, j| 1.0 / (1.0 + i.abs_diff(j) as f64) + 0.1 * (i as f64 - j as f64).signum())),
        ("Hilbert", make(&|i, j| 1.0 / (i + j + 1) as f64)),
        ("Gaussian kernel", make(&|i, j| (-(x(i) - x(j)).powi(2) * 8.0).exp() + if i == j { 1.0 } else { 0.0 })),
    ]
}

#[test]
fn the_tolerance_is_met_and_the_certificate_holds() {
    for n in [1, 30, 200] {
        for (name, a) in structured(n) {
            for tolerance in [1e-2, 1e-6, 1e-11] {
                let tree = ClusterTree::bisection(n, 16).unwrap();
                let (h, certificate) = Hodlr::from_products(&a, tree, relative(tolerance), 7).unwrap();
                let (error, bound) = (distance(&h.to_dense(), &a), certificate.frobenius.value);
                assert!(error <= bound && bound <= tolerance * a.norm_frobenius(), "{name} {n}: {error:e} {bound:e}");
                assert_eq!(certificate.frobenius.confidence, Confidence::Probabilistic { failure: 1e-6 });
            }
        }
    }
}

#[test]
fn trees_with_more_children_and_leaves_on_all_levels() {
    let n = 120;
    let leaf = |range: std::ops::Range<usize>| Nested::Leaf(range.rev().collect());
    let tree = ClusterTree::from_nested(&Nested::Split(vec![
        leaf(90..120),
        Nested::Split(vec![leaf(0..20), leaf(20..45), Nested::Leaf(vec![]), leaf(45..60)]),
        Nested::Split(vec![Nested::Split(vec![leaf(60..75), leaf(75..90)])]),
    ]))
    .unwrap();
    for (name, a) in structured(n) {
        let (h, _) = Hodlr::from_products(&a, tree.clone(), relative(1e-8), 3).unwrap();
        let error = distance(&h.to_dense(), &a);
        assert!(error <= 1e-8 * a.norm_frobenius(), "{name}: {error:e}");
    }
}

#[test]
fn a_solver_of_a_differential_equation_is_peeled_in_few_products() {
    let products = |n: usize| {
        let operator = Poisson(n);
        let counted = Counted::new(&operator);
        let tree = ClusterTree::bisection(n, 16).unwrap();
        let (h, certificate) = Hodlr::from_products(&counted, tree, relative(1e-9), 1).unwrap();
        assert!(h.rank() <= 3, "the inverse of a tridiagonal matrix has rank 1 off the diagonal: {}", h.rank());
        assert!(certificate.frobenius.value <= 1e-9 * certificate.norm);
        let dense = operator.apply(&Matrix::identity(n)).unwrap();
        assert!(distance(&h.to_dense(), &dense) <= 1e-9 * dense.norm_frobenius());
        counted.counts()
    };
    let ((few, few_transposed), (many, many_transposed)) = (products(128), products(1024));
    // Three more levels, each with the same number of products.
    assert!(many <= few + 3 * 32 && many < 250, "{few} {many}");
    assert!(many_transposed <= few_transposed + 3 * 16 && many_transposed < 120, "{few_transposed} {many_transposed}");
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_the_same_matrix() {
    let (_, a) = structured(100).swap_remove(3);
    let build =
        |seed| Hodlr::from_products(&a, ClusterTree::bisection(100, 10).unwrap(), relative(1e-6), seed).unwrap();
    assert!(build(1) == build(1));
    assert!(build(1).0 != build(2).0 && distance(&build(1).0.to_dense(), &build(2).0.to_dense()) < 1e-5);
}

struct Broken(MatrixError);

impl LinearOperator<f64> for Broken {
    fn nrows(&self) -> usize {
        20
    }

    fn ncols(&self) -> usize {
        20
    }

    fn apply(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        Ok(x.clone())
    }

    fn apply_transpose(&self, _: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
        Err(self.0.clone())
    }
}

#[test]
fn bad_operators_are_errors() {
    let noise = {
        let mut rng = rng(5);
        gaussian(&mut rng, 64, 64)
    };
    let tree = |n| ClusterTree::bisection(n, 8).unwrap();
    let error = Hodlr::from_products(&noise, tree(64), relative(1e-6).max_rank(4), 1).unwrap_err();
    assert!(matches!(&error, MatrixError::Tolerance { limit, .. } if limit == "rank cap 4"), "{error}");
    let nan = Matrix::from_fn(20, 20, |_, _| f64::NAN);
    assert!(matches!(Hodlr::from_products(&nan, tree(20), relative(1e-3), 1), Err(MatrixError::Entry { .. })));
    assert!(matches!(Hodlr::from_products(&noise, tree(20), relative(1e-3), 1), Err(MatrixError::Rows { .. })));
    // The identity has nothing off its diagonal: its transpose is never asked for.
    let broken = Broken(MatrixError::NoTranspose { what: "a solver" });
    assert_eq!(Hodlr::from_products(&broken, tree(20), relative(1e-3), 1).unwrap().0.rank(), 0);
    struct OneSided(Broken, Matrix<f64>);
    impl LinearOperator<f64> for OneSided {
        fn nrows(&self) -> usize {
            20
        }
        fn ncols(&self) -> usize {
            20
        }
        fn apply(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
            self.1.apply(x)
        }
        fn apply_transpose(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, MatrixError> {
            self.0.apply_transpose(x)
        }
    }
    let one_sided = OneSided(broken, Matrix::from_fn(20, 20, |i, j| 1.0 / (1 + i + j) as f64));
    let error = Hodlr::from_products(&one_sided, tree(20), relative(1e-3), 1).unwrap_err();
    assert!(matches!(error, MatrixError::NoTranspose { what: "a solver" }));
}
