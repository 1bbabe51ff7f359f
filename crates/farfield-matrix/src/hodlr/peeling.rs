//! HODLR form of a matrix that is known by its products alone (Lin, Lu & Ying, J. Comput. Phys. 230 (2011)).
//!
//! From the coarsest level down. On a level, random vectors that live on every second cluster make, after what the coarser levels are
//! known to do is subtracted, random samples of the off-diagonal blocks of all their siblings at once: orthonormal bases `Q` of the
//! samples. Products of the transpose with vectors that hold `Q` on the siblings then give `Q^T A_ij`. Last, products with the identity on every
//! leaf give what is left on the diagonal. Samples are drawn until a fresh batch lies in the basis to within the tolerance.
//!
//! The blocks of a level see the errors of all coarser ones, so the squares of the errors allowed double from level to level.
//! Products: `O(r)` a level with each of `A` and `A^T`, and `m` for the leaves. The error is measured by products with fresh Gaussian
//! vectors.

use std::sync::Arc;

use faer::Mat;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::from_dense::check_square;
use super::truncation::cut;
use super::{Hodlr, Node, leaf_bytes, pair, to_accuracy};
use crate::accuracy::Accuracy;
use crate::certificate::{Bound, Certificate, Confidence};
use crate::chi_squared::lower_share;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::linalg::{add_product, norm_frobenius, product, svd};
use crate::low_rank::LowRank;
use crate::matrix::Matrix;
use crate::operator::{LinearOperator, check_rows};
use crate::random::gaussian;
use crate::scalar::Scalar;

/// Probability that the certificate of a build does not hold.
const FAILURE: f64 = 1e-6;
/// Gaussian vectors that measure the error.
const PROBES: usize = 24;
/// Vectors drawn at a time.
const BATCH: usize = 8;

/// A block under construction.
struct Sampled<T> {
    /// Its parent, and its children `(i, j)` of that.
    parent: usize,
    i: usize,
    j: usize,
    basis: Mat<T>,
    tolerance: f64,
    done: bool,
}

impl<T: Scalar> Hodlr<T> {
    /// The HODLR matrix with `||A - H||_F` within the accuracy, from products with `A` and `A^T`. The certificate is probabilistic, it fails with
    /// probability 1e-6 at most: products with fresh Gaussian vectors, inflated so that this holds for any error matrix.
    ///
    /// Errors of the products count as errors of the matrix. When they are above the tolerance (an iterative solver that stops early), ranks
    /// grow to the cap: give one.
    ///
    /// # Errors
    /// Those of the operator; [`MatrixError::Rows`] or [`MatrixError::Shapes`] when it is not square of the order of the tree,
    /// [`MatrixError::Entry`] for a product that is not finite, [`MatrixError::Tolerance`] when the tolerance was not met,
    /// [`MatrixError::Memory`] beyond the budget of the accuracy, which is checked level by level.
    pub fn from_products(
        a: &(impl LinearOperator<T> + ?Sized),
        tree: impl Into<Arc<ClusterTree>>,
        accuracy: Accuracy,
        seed: u64,
    ) -> Result<(Self, Certificate), MatrixError> {
        let (tree, what) = (tree.into(), "HODLR matrix of products");
        check_square(what, a.nrows(), a.ncols(), &tree)?;
        accuracy.check_memory(what, leaf_bytes::<T>(&tree))?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let few: Matrix<T> = gaussian(tree.len(), 4, &mut random);
        let guess = 0.5 * products(a, &tree, &few, false)?.norm_frobenius();
        // At most four rounds of `to_accuracy`, each with vectors of its own.
        let factor = 1.0 / lower_share(PROBES, FAILURE / 4.0).sqrt();
        to_accuracy(what, accuracy, 0.9 * guess, |tolerance| {
            let hodlr = Self::peeled(a, tree.clone(), 0.7 * tolerance / factor, accuracy, &mut random)?;
            let probes = gaussian(tree.len(), PROBES, &mut random);
            let left = Matrix(&products(a, &tree, &probes, false)?.0 - &hodlr.multiplied(&probes, false).0);
            let measured = left.norm_frobenius() / (PROBES as f64).sqrt();
            let mut certificate = hodlr.certificate(&vec![0.0; hodlr.blocks().count()], 0.0, Confidence::Proven);
            let value = factor * measured + 4.0 * T::EPSILON * certificate.norm;
            certificate.frobenius = Bound::probabilistic(value, FAILURE);
            certificate.spectral = Bound::probabilistic(value, FAILURE);
            Ok((hodlr, certificate))
        })
    }

    fn peeled(
        a: &(impl LinearOperator<T> + ?Sized),
        tree: Arc<ClusterTree>,
        tolerance: f64,
        accuracy: Accuracy,
        random: &mut ChaCha8Rng,
    ) -> Result<Self, MatrixError> {
        let cap = accuracy.rank_cap();
        let shares = Self::shares(&tree, |level| 2.0f64.powi(level as i32));
        let mut known = Self::zeros(tree.clone());
        let mut next = 0;
        for level in 0..tree.depth() {
            let mut blocks = Vec::new();
            for parent in tree.level(level) {
                let children = tree.cluster(parent).children.clone();
                for (i, j) in super::pairs(children.len()) {
                    let rows = tree.cluster(children.start + i).len();
                    let tolerance = tolerance * shares[next].sqrt();
                    next += 1;
                    blocks.push(Sampled { parent, i, j, basis: Mat::zeros(rows, 0), tolerance, done: rows == 0 });
                }
            }
            known.sample_bases(a, &mut blocks, cap, random)?;
            known.project(a, blocks, cap)?;
            // Its leaves are zero, but have their size.
            accuracy.check_memory("HODLR matrix of products", known.memory_bytes())?;
        }
        known.fill_leaves(a)?;
        Ok(known)
    }

    /// Bases of the columns of the blocks of one level.
    fn sample_bases(
        &self,
        a: &(impl LinearOperator<T> + ?Sized),
        blocks: &mut [Sampled<T>],
        cap: Option<usize>,
        random: &mut ChaCha8Rng,
    ) -> Result<(), MatrixError> {
        let tree = &self.tree;
        let child = |parent: usize, i: usize| tree.cluster(tree.cluster(parent).children.start + i).range.clone();
        while blocks.iter().any(|b| !b.done) {
            let colours = blocks.iter().filter(|b| !b.done).map(|b| b.j + 1).max().unwrap_or(0);
            for colour in 0..colours {
                let open = |b: &&mut Sampled<T>| b.j == colour && !b.done;
                let noise: Matrix<T> = gaussian(tree.len(), BATCH, random);
                let mut x = Matrix::zeros(tree.len(), BATCH);
                for b in blocks.iter_mut().filter(open) {
                    let rows = child(b.parent, b.j);
                    let from = noise.as_ref().subrows(rows.start, rows.len());
                    x.as_mut().subrows_mut(rows.start, rows.len()).copy_from(from);
                }
                if blocks.iter_mut().filter(open).count() == 0 {
                    continue;
                }
                let whole = products(a, tree, &x, false)?;
                let y = Matrix(&whole.0 - &self.multiplied(&x, false).0);
                blocks.par_iter_mut().filter(open).for_each(|b| {
                    let rows = child(b.parent, b.i);
                    let part = |y: &Matrix<T>| y.as_ref().subrows(rows.start, rows.len()).to_owned();
                    let noise = 8.0 * T::EPSILON * norm_frobenius(part(&whole).as_ref());
                    b.extend(part(&y), noise, cap, child(b.parent, b.j).len());
                });
            }
        }
        Ok(())
    }

    /// The blocks of one level from their bases: `Q (A_ij^T Q)^T`, truncated.
    fn project(
        &mut self,
        a: &(impl LinearOperator<T> + ?Sized),
        mut blocks: Vec<Sampled<T>>,
        cap: Option<usize>,
    ) -> Result<(), MatrixError> {
        let tree = self.tree.clone();
        let child = |parent: usize, i: usize| tree.cluster(tree.cluster(parent).children.start + i).range.clone();
        let k = blocks.iter().map(|b| b.i.max(b.j) + 1).max().unwrap_or(0);
        let mut found: Vec<(usize, usize, LowRank<T>)> = Vec::new();
        for (i, j) in super::pairs(k) {
            let (these, others): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|b| (b.i, b.j) == (i, j));
            blocks = others;
            let width = these.iter().map(|b| b.basis.ncols()).max().unwrap_or(0);
            let mut x = Matrix::zeros(tree.len(), width);
            for b in &these {
                let rows = child(b.parent, i);
                x.as_mut().submatrix_mut(rows.start, 0, rows.len(), b.basis.ncols()).copy_from(&b.basis);
            }
            let y =
                if width == 0 { x } else { Matrix(&products(a, &tree, &x, true)?.0 - &self.multiplied(&x, true).0) };
            let made: Vec<_> = (these.into_par_iter())
                .map(|b| {
                    let rows = child(b.parent, j);
                    let v = y.as_ref().submatrix(rows.start, 0, rows.len(), b.basis.ncols()).to_owned();
                    let (block, _) = cut(LowRank { u: b.basis, v }, 0.4 * b.tolerance, cap);
                    let k = tree.cluster(b.parent).children.len();
                    (b.parent, pair(k, i, j), block)
                })
                .collect();
            found.extend(made);
        }
        let nodes = Arc::make_mut(&mut self.nodes);
        for (parent, at, block) in found {
            if let Node::Split(blocks) = &mut nodes[parent] {
                blocks[at] = block;
            }
        }
        Ok(())
    }

    /// The diagonal blocks of the leaves.
    fn fill_leaves(&mut self, a: &(impl LinearOperator<T> + ?Sized)) -> Result<(), MatrixError> {
        let tree = self.tree.clone();
        let leaves: Vec<usize> = tree.leaves().collect();
        let width = leaves.iter().map(|&c| tree.cluster(c).len()).max().unwrap_or(0);
        let mut x = Matrix::zeros(tree.len(), width);
        for &leaf in &leaves {
            for (j, row) in tree.cluster(leaf).range.clone().enumerate() {
                x[(row, j)] = T::ONE;
            }
        }
        let y = Matrix(&products(a, &tree, &x, false)?.0 - &self.multiplied(&x, false).0);
        let nodes = Arc::make_mut(&mut self.nodes);
        for &leaf in &leaves {
            let range = tree.cluster(leaf).range.clone();
            let block = y.as_ref().submatrix(range.start, 0, range.len(), range.len());
            nodes[leaf] = Node::Leaf(block.to_owned());
        }
        Ok(())
    }
}

impl<T: Scalar> Sampled<T> {
    /// Takes a batch of samples: what of them lies outside the basis estimates how much of the block does.
    fn extend(&mut self, samples: Mat<T>, noise: f64, cap: Option<usize>, cols: usize) {
        let scale = (samples.ncols() as f64).sqrt();
        let mut rest = samples;
        for _ in 0..2 {
            let inside = product(self.basis.transpose(), rest.as_ref());
            add_product(rest.as_mut(), T::ZERO - T::ONE, self.basis.as_ref(), inside.as_ref());
        }
        let outside = norm_frobenius(rest.as_ref());
        if outside <= (0.9 * self.tolerance * scale).max(noise) {
            self.done = true;
            return;
        }
        let svd = svd(rest.as_ref());
        let floor = (0.1 * self.tolerance * scale).max(0.1 * noise);
        let most = self.basis.nrows().min(cols);
        let fresh = svd.s.iter().filter(|&&s| s > floor).count().min(most - self.basis.ncols());
        let more = svd.u.as_ref().subcols(0, fresh);
        let both = crate::linalg::beside(self.basis.as_ref(), more);
        self.basis = crate::linalg::qr(both.as_ref()).0;
        // A basis as large as the block spans it; one well beyond the cap will miss the tolerance anyway.
        let full = cap.map_or(most, |cap| most.min(cap.saturating_add(BATCH)));
        self.done = self.basis.ncols() >= full || fresh == 0;
    }
}

/// `A X`, or `A^T X`, for `X` in tree order, checked.
fn products<T: Scalar>(
    a: &(impl LinearOperator<T> + ?Sized),
    tree: &ClusterTree,
    x: &Matrix<T>,
    transposed: bool,
) -> Result<Matrix<T>, MatrixError> {
    let x = tree.to_user_order(x);
    let y = if transposed { a.apply_transpose(&x)? } else { a.apply(&x)? };
    check_rows("products of an operator", &y, tree.len())?;
    if y.ncols() != x.ncols() {
        let what = "columns of the products of an operator";
        return Err(MatrixError::Length { what, got: y.ncols(), expected: x.ncols() });
    }
    match y.first_non_finite() {
        Some((row, col)) => Err(MatrixError::Entry { row, col, value: y[(row, col)].to_f64() }),
        None => Ok(tree.to_tree_order(&y)),
    }
}
