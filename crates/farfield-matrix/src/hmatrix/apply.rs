//! Products of an H-matrix, or its transpose, with vectors.
//!
//! First `t_b = V_b^T x_b` for all leaves of low rank, then, stripe by stripe of the rows, `y += U_b t_b` and `y += D_b x_b` in the fixed
//! order of the leaves. Leaves of the first step and stripes of the second are independent of each other and of the number of threads.
//! Each number of the matrix is read once for all vectors. Cost: one multiply-add a number and vector; for one vector as fast as memory is read.

use faer::{Mat, MatMut, MatRef};
use rayon::prelude::*;

use super::HMatrix;
use super::block::Block;
use crate::error::MatrixError;
use crate::linalg::add_product;
use crate::matrix::Matrix;
use crate::matvec::{add_matvec, add_matvec_transpose};
use crate::operator::{LinearOperator, check_rows};
use crate::scalar::Scalar;

/// Stripes of the result.
const STRIPES: usize = 32;

/// A leaf, as a product meets it: where its rows in the result and in what is multiplied start.
struct Leaf<'a, T> {
    out: usize,
    from: usize,
    height: usize,
    factors: Factors<'a, T>,
}

enum Factors<'a, T> {
    /// The block, or its transpose when that is multiplied.
    Dense(MatRef<'a, T>),
    /// `left right^T`, and `right^T x`.
    LowRank { left: MatRef<'a, T>, right: MatRef<'a, T>, small: &'a mut [T] },
}

impl<T: Scalar> HMatrix<T> {
    /// `A X` or `A^T X` with rows in tree order.
    pub(super) fn multiply_tree_order(&self, x: MatRef<T>, transposed: bool) -> Mat<T> {
        let n = if transposed { self.ncols() } else { self.nrows() };
        let mut y = Mat::zeros(n, x.ncols());
        let mut ranks = 0;
        self.root.for_leaves(0, 0, 0, &mut |_, _, _, leaf| {
            if let Block::LowRank(a) = leaf {
                ranks += a.rank();
            }
        });
        let mut small_products = vec![T::ZERO; ranks * x.ncols()];
        let mut unused = small_products.as_mut_slice();
        let mut leaves = Vec::new();
        self.root.for_leaves(0, 0, 0, &mut |row, col, _, leaf| {
            let (out, from) = if transposed { (col, row) } else { (row, col) };
            let (height, factors) = match leaf {
                Block::Dense(a) => (if transposed { a.ncols() } else { a.nrows() }, Factors::Dense(a.as_ref())),
                Block::LowRank(a) if a.rank() > 0 => {
                    let (left, right) = if transposed { (&a.v, &a.u) } else { (&a.u, &a.v) };
                    let (left, right) = (left.as_ref(), right.as_ref());
                    let (small, rest) = std::mem::take(&mut unused).split_at_mut(a.rank() * x.ncols());
                    unused = rest;
                    (left.nrows(), Factors::LowRank { left, right, small })
                }
                _ => return,
            };
            leaves.push(Leaf { out, from, height, factors });
        });
        leaves.par_iter_mut().for_each(|leaf| {
            if let Factors::LowRank { right, small, .. } = &mut leaf.factors {
                let small = MatMut::from_column_major_slice_mut(small, right.ncols(), x.ncols());
                add_transposed(*right, x.subrows(leaf.from, right.nrows()), small);
            }
        });
        // The leaves of each stripe, in their order.
        let height = n.div_ceil(STRIPES).max(1);
        let mut in_stripe: Vec<Vec<&Leaf<T>>> = Vec::new();
        in_stripe.resize_with(n.div_ceil(height), Vec::new);
        for leaf in leaves.iter().filter(|leaf| leaf.height > 0) {
            for stripe in &mut in_stripe[leaf.out / height..=(leaf.out + leaf.height - 1) / height] {
                stripe.push(leaf);
            }
        }
        let mut stripes = Vec::new();
        let mut rest = y.as_mut();
        for leaves in in_stripe {
            let first = n - rest.nrows();
            let (stripe, tail) = rest.split_at_row_mut(height.min(n - first));
            stripes.push((first, stripe, leaves));
            rest = tail;
        }
        stripes.into_par_iter().for_each(|(first, stripe, leaves)| fill_stripe(&leaves, x, transposed, first, stripe));
        y
    }
}

/// The rows of the result from `first` on.
fn fill_stripe<T: Scalar>(leaves: &[&Leaf<T>], x: MatRef<T>, transposed: bool, first: usize, mut stripe: MatMut<T>) {
    let last = first + stripe.nrows();
    for leaf in leaves {
        let (start, end) = (leaf.out.max(first), (leaf.out + leaf.height).min(last));
        let (inside, count) = (start - leaf.out, end - start);
        let y = stripe.as_mut().subrows_mut(start - first, count);
        match &leaf.factors {
            Factors::Dense(a) if transposed => {
                add_transposed(a.subcols(inside, count), x.subrows(leaf.from, a.nrows()), y);
            }
            Factors::Dense(a) => add(a.subrows(inside, count), x.subrows(leaf.from, a.ncols()), y),
            Factors::LowRank { left, small, .. } => {
                let small = MatRef::from_column_major_slice(small, left.ncols(), x.ncols());
                add(left.subrows(inside, count), small, y);
            }
        }
    }
}

/// `Y += A X`.
fn add<T: Scalar>(a: MatRef<T>, x: MatRef<T>, y: MatMut<T>) {
    if x.ncols() != 1 {
        return add_product(y, T::ONE, a, x);
    }
    if let (Some(x), Some(y)) = (x.col(0).try_as_col_major(), y.col_mut(0).try_as_col_major_mut()) {
        add_matvec(a, x.as_slice(), y.as_slice_mut());
    }
}

/// `Y += A^T X`.
fn add_transposed<T: Scalar>(a: MatRef<T>, x: MatRef<T>, y: MatMut<T>) {
    if x.ncols() != 1 {
        return add_product(y, T::ONE, a.transpose(), x);
    }
    if let (Some(x), Some(y)) = (x.col(0).try_as_col_major(), y.col_mut(0).try_as_col_major_mut()) {
        add_matvec_transpose(a, x.as_slice(), y.as_slice_mut());
    }
}

impl<T: Scalar> LinearOperator<T> for HMatrix<T> {
    fn nrows(&self) -> usize {
        HMatrix::nrows(self)
    }

    fn ncols(&self) -> usize {
        HMatrix::ncols(self)
    }

    fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("H-matrix product, X", x, self.ncols())?;
        let x = self.cols.to_tree_order(x);
        Ok(self.rows.to_user_order(&Matrix(self.multiply_tree_order(x.as_ref(), false))))
    }

    fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed H-matrix product, X", x, self.nrows())?;
        let x = self.rows.to_tree_order(x);
        Ok(self.cols.to_user_order(&Matrix(self.multiply_tree_order(x.as_ref(), true))))
    }
}
