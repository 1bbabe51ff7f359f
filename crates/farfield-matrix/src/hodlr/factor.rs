//! Factorisation of a HODLR matrix: solves, inverse, log-determinant.
//!
//! Factors by the Woodbury formula (`woodbury.rs`) where all that appears on the way is moderate, as for most well conditioned matrices; two-sided
//! ones (`two_sided.rs`), at two to four times the cost, where it is not. Rounding errors are those of a dense factorisation either way,
//! and log-determinants as accurate.
//!
//! Every diagonal block of the tree must be invertible, not only `A`: that of `[0 1; 1 0]` with leaves of one index is not, and is reported
//! as singular. Where they are much worse conditioned than `A`, the first solution is poor; [`HodlrFactorization::solve`]
//! therefore looks at its residual and refines.

use faer::{Mat, MatMut};
use rayon::prelude::*;

use super::woodbury::Failure;
use super::{Hodlr, two_sided, woodbury};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::log_determinant::LogDeterminant;
use crate::matrix::Matrix;
use crate::operator::{LinearOperator, check_rows};
use crate::scalar::Scalar;

/// The factors of a [`Hodlr`] matrix. As a [`LinearOperator`] it is the inverse, without refinement: a preconditioner.
#[derive(Clone)]
pub struct HodlrFactorization<T> {
    hodlr: Hodlr<T>,
    factors: Factors<T>,
    norm: f64,
}

/// One a cluster.
#[derive(Clone)]
enum Factors<T> {
    Woodbury(Vec<woodbury::Factor<T>>),
    TwoSided(Vec<two_sided::Factor<T>>),
}

/// Steps of iterative refinement at most.
const REFINEMENTS: usize = 4;

impl<T: Scalar> Hodlr<T> {
    /// The factors of `A`. They share the numbers of `A`; [`HodlrFactorization::memory_bytes`] counts what they take beside it.
    ///
    /// # Errors
    /// [`MatrixError::Singular`] with the cluster of whose diagonal block a pivot is zero to working precision. A block that is nearly singular need not have such a pivot,
    /// as in the simple drivers of LAPACK: [`Factorization::condition_1_estimate`](crate::Factorization::condition_1_estimate) tells.
    pub fn factor(&self) -> Result<HodlrFactorization<T>, MatrixError> {
        let factors = match leaves_first(&self.tree, |c, done| self.factor_woodbury(c, done)) {
            Ok(factors) => Factors::Woodbury(factors),
            Err(Failure::Singular(error)) => return Err(error),
            Err(Failure::Growth) => {
                Factors::TwoSided(leaves_first(&self.tree, |c, done| self.factor_two_sided(c, done))?)
            }
        };
        Ok(HodlrFactorization { hodlr: self.clone(), factors, norm: self.norm_frobenius() })
    }

    /// The error of a diagonal block that is singular.
    pub(super) fn singular(&self, c: usize, what: &str, column: usize) -> MatrixError {
        let place = format!("{what} {column} of {}", self.describe(c));
        MatrixError::Singular { what: "HODLR factorisation", place }
    }

    /// A cluster as an error message names it.
    pub(super) fn describe(&self, c: usize) -> String {
        let cluster = self.tree.cluster(c);
        let (level, size) = (cluster.level, cluster.len());
        format!("cluster {c} on level {level}, {size} indices from place {}", cluster.range.start)
    }
}

impl<T: Scalar> HodlrFactorization<T> {
    /// The matrix.
    pub fn matrix(&self) -> &Hodlr<T> {
        &self.hodlr
    }

    /// `X` with `A X = B`. The residual is computed, and the solution refined while it shrinks and is above rounding: the backward error
    /// `||B - A X|| / (||A|| ||X|| + ||B||)` is at the level of rounding unless the diagonal blocks are far worse conditioned
    /// than `A`. Cost: a solve and a product, for each refinement the same again.
    ///
    /// # Errors
    /// [`MatrixError::Rows`] when the sizes do not fit, [`MatrixError::Singular`] when the solution overflows.
    pub fn solve(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("HODLR solve, B", b, self.hodlr.order())?;
        self.refined(b, false)
    }

    /// `X` with `A^T X = B`, as [`HodlrFactorization::solve`].
    ///
    /// # Errors
    /// As [`HodlrFactorization::solve`].
    pub fn solve_transpose(&self, b: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed HODLR solve, B", b, self.hodlr.order())?;
        self.refined(b, true)
    }

    /// `log |det A|` and the sign, as the sum over the pivots of all factors.
    pub fn log_determinant(&self) -> LogDeterminant {
        let one = LogDeterminant::signed(false);
        match &self.factors {
            Factors::Woodbury(nodes) => nodes.iter().fold(one, |all, node| all.times(node.log_determinant())),
            Factors::TwoSided(nodes) => nodes.iter().fold(one, |all, node| all.times(node.log_determinant())),
        }
    }

    /// Bytes of the factors, the matrix itself not counted.
    pub fn memory_bytes(&self) -> usize {
        let numbers: usize = match &self.factors {
            Factors::Woodbury(nodes) => nodes.iter().map(woodbury::Factor::stored).sum(),
            Factors::TwoSided(nodes) => nodes.iter().map(two_sided::Factor::stored).sum(),
        };
        numbers * size_of::<T>()
    }

    fn refined(&self, b: &Matrix<T>, transposed: bool) -> Result<Matrix<T>, MatrixError> {
        let tree = &self.hodlr.tree;
        let b = tree.to_tree_order(b);
        let solved = |b: &Matrix<T>| {
            let mut x = b.clone();
            self.solve_inside(x.as_mut(), transposed);
            x
        };
        let minus = |a: &Matrix<T>, b: &Matrix<T>| Matrix(&a.0 - &b.0);
        let mut x = solved(&b);
        if x.first_non_finite().is_some() {
            let place = "the solution overflows".to_owned();
            return Err(MatrixError::Singular { what: "HODLR solve", place });
        }
        let size = b.norm_frobenius();
        let mut r = minus(&b, &self.hodlr.multiplied(&x, transposed));
        let mut left = r.norm_frobenius();
        for _ in 0..REFINEMENTS {
            if left <= T::EPSILON * (size + 0.01 * self.norm * x.norm_frobenius()) {
                break;
            }
            let next = Matrix(&x.0 + &solved(&r).0);
            let residual = minus(&b, &self.hodlr.multiplied(&next, transposed));
            let now = residual.norm_frobenius();
            if now.is_nan() || now >= left {
                break;
            }
            let stalled = now > 0.5 * left;
            (x, r, left) = (next, residual, now);
            if stalled {
                break;
            }
        }
        Ok(tree.to_user_order(&x))
    }

    fn solve_inside(&self, b: MatMut<T>, transposed: bool) {
        match &self.factors {
            Factors::Woodbury(nodes) => woodbury::solve_cluster(&self.hodlr, &|c| nodes.get(c), 0, b, transposed),
            Factors::TwoSided(nodes) => two_sided::solve(&self.hodlr, &|c| nodes.get(c), 0, b, transposed),
        }
    }
}

impl<T: Scalar> std::fmt::Debug for HodlrFactorization<T> {
    /// The sizes, not the numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HodlrFactorization").field("hodlr", &self.hodlr).field("bytes", &self.memory_bytes()).finish()
    }
}

impl<T: Scalar> LinearOperator<T> for HodlrFactorization<T> {
    fn nrows(&self) -> usize {
        self.hodlr.order()
    }

    fn ncols(&self) -> usize {
        self.hodlr.order()
    }

    fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("inverse of a HODLR matrix, X", x, self.hodlr.order())?;
        let mut y = self.hodlr.tree.to_tree_order(x);
        self.solve_inside(y.as_mut(), false);
        Ok(self.hodlr.tree.to_user_order(&y))
    }

    fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed inverse of a HODLR matrix, X", x, self.hodlr.order())?;
        let mut y = self.hodlr.tree.to_tree_order(x);
        self.solve_inside(y.as_mut(), true);
        Ok(self.hodlr.tree.to_user_order(&y))
    }
}

/// `factor` of every cluster, each with those of the level below at hand.
pub(super) fn leaves_first<F: Send + Sync, E: Send>(
    tree: &ClusterTree,
    factor: impl Fn(usize, &[Option<F>]) -> Result<F, E> + Sync,
) -> Result<Vec<F>, E> {
    let mut nodes: Vec<Option<F>> = (0..tree.clusters().len()).map(|_| None).collect();
    for level in (0..=tree.depth()).rev() {
        let level = tree.level(level);
        let done = &nodes;
        let factors: Vec<_> = level.clone().into_par_iter().map(|c| factor(c, done)).collect();
        for (c, factor) in level.zip(factors) {
            nodes[c] = Some(factor?);
        }
    }
    Ok(nodes.into_iter().flatten().collect())
}

/// `[a, b, ...]`.
pub(super) fn side_by_side<T: Scalar>(rows: usize, parts: &[&Mat<T>]) -> Mat<T> {
    let mut out = Mat::zeros(rows, parts.iter().map(|a| a.ncols()).sum());
    let mut col = 0;
    for part in parts {
        out.as_mut().subcols_mut(col, part.ncols()).copy_from(part);
        col += part.ncols();
    }
    out
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::accuracy::Accuracy;
    use crate::cluster_tree::Nested;
    use crate::random::gaussian;

    /// A tree of three, one, two and no children, with an empty leaf.
    fn uneven() -> ClusterTree {
        let leaf = |range: std::ops::Range<usize>| Nested::Leaf(range.collect());
        let right = vec![Nested::Split(vec![leaf(20..33)]), leaf(33..36), Nested::Leaf(vec![]), leaf(36..60)];
        let nested = Nested::Split(vec![Nested::Split(vec![leaf(0..12), leaf(12..20)]), Nested::Split(right)]);
        ClusterTree::from_nested(&nested).unwrap()
    }

    /// Both kinds of factors of one matrix.
    fn both<T: Scalar>(hodlr: &Hodlr<T>) -> [HodlrFactorization<T>; 2] {
        let woodbury = leaves_first(&hodlr.tree, |c, done| hodlr.factor_woodbury(c, done)).ok().unwrap();
        let two_sided = leaves_first(&hodlr.tree, |c, done| hodlr.factor_two_sided(c, done)).unwrap();
        [Factors::Woodbury(woodbury), Factors::TwoSided(two_sided)].map(|factors| HodlrFactorization {
            hodlr: hodlr.clone(),
            factors,
            norm: hodlr.norm_frobenius(),
        })
    }

    fn agree<T: Scalar>(accuracy: f64) {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let (noise, b) = (gaussian::<T>(60, 60, &mut random), gaussian::<T>(60, 2, &mut random));
        // Blocks of full rank and of small rank, not symmetric, a determinant of either sign.
        for (rough, sign) in [(0.0, 1.0), (0.01, 1.0), (0.01, -1.0)] {
            let a = Matrix::from_fn(60, 60, |i, j| {
                let smooth = 1.0 / (1.0 + (i as f64 - 1.3 * j as f64).powi(2));
                let diagonal = if i == j { if i == 7 { 3.0 * sign } else { 3.0 } } else { 0.0 };
                T::from_f64(smooth + diagonal) + T::from_f64(rough) * noise[(i, j)]
            });
            let hodlr = Hodlr::from_dense(&a, uneven(), Accuracy::relative(10.0 * T::EPSILON).unwrap()).unwrap().0;
            let [one, two] = both(&hodlr);
            let (x, y) = (one.log_determinant(), two.log_determinant());
            assert!(x.sign == y.sign && (x.ln_abs - y.ln_abs).abs() <= accuracy * x.ln_abs.abs(), "{x:?} {y:?}");
            let pairs = [
                (one.apply(&b).unwrap(), two.apply(&b).unwrap(), false),
                (one.apply_transpose(&b).unwrap(), two.apply_transpose(&b).unwrap(), true),
                (one.solve(&b).unwrap(), two.solve(&b).unwrap(), false),
                (one.solve_transpose(&b).unwrap(), two.solve_transpose(&b).unwrap(), true),
            ];
            for (x, y, transposed) in pairs {
                for x in [x, y] {
                    let product = if transposed { hodlr.apply_transpose(&x) } else { hodlr.apply(&x) }.unwrap();
                    let residual = Matrix(&product.0 - &b.0).norm_frobenius();
                    assert!(residual <= accuracy * b.norm_frobenius(), "{residual:e}");
                }
            }
        }
    }

    #[test]
    fn both_kinds_of_factors_agree_in_both_precisions() {
        agree::<f64>(1e-13);
        agree::<f32>(1e-5);
    }
}
