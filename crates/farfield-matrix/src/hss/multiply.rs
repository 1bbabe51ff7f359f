//! The product of two HSS matrices, exact up to rounding, of rank `r_a + r_b`.
//!
//! Write `A = D_A + U_A A' V_A^T` and `B = D_B + U_B B' V_B^T` for one level of the telescopes (`A'`, `B'`:
//! the level above). At the leaves
//!
//! ```text
//! A B = D_A D_B + [U_A, D_A U_B] [ A'  A' G' B' ] [ V_A^T D_B ],     G' = V_A^T U_B.
//!                                [ 0   B'       ] [ V_B^T     ]
//! ```
//!
//! The middle factor has the same form on every level: with a block-diagonal `G`,
//!
//! ```text
//! [ A  A G B ]   [ D_A  D_A G D_B ]   [ U_A  D_A G U_B ] [ A'  A' G' B' ] [ V_A^T  V_A^T G D_B ]
//! [ 0  B     ] = [ 0    D_B       ] + [ 0    U_B       ] [ 0   B'       ] [ 0      V_B^T       ]
//! ```
//!
//! with `G' = V_A^T G U_B`, again block-diagonal: an `r_a x r_b` block a node. So the first term gives the
//! `D`, and the outer factors the `U` and `V`, of the product's node; at the root only `D` remains.
//! The two halves of the rows and columns are interleaved as [`Stacked`] says. The rank is not reduced
//! afterwards, so a chain of products needs a recompression.
//!
//! Cost: `O(m^2 (m + r))` a leaf of `m` rows and `O(r^3)` a node above.

use farfield_kernels::{HssLayout, Node};

use super::Hss;
use super::add::Stacked;
use crate::block::Matrix;
use crate::error::MatrixError;
use crate::scalar::Scalar;

impl<T: Scalar> Hss<T> {
    /// `A B` for `self = A` and `other = B`: an `n_out(A) x n_in(B)` matrix of rank `r_a + r_b`, exact.
    ///
    /// The trees must have the same depth and `n_in(A) = n_out(B)`; the inner leaves then agree.
    ///
    /// # Errors
    /// [`MatrixError::Shapes`] or [`MatrixError::Depths`] when the matrices do not fit,
    /// [`MatrixError::Layout`] when the product is too large to store, [`MatrixError::NonFinite`] on overflow.
    pub fn multiply(&self, other: &Hss<T>) -> Result<Hss<T>, MatrixError> {
        self.check_depths("multiply", other)?;
        if self.n_in() != other.n_out() {
            let rule = "the columns of the left must be the rows of the right";
            return Err(self.shapes("multiply", other, rule));
        }
        let levels = self.levels();
        let rank = self.rank().saturating_add(other.rank());
        let layout = HssLayout::new(self.n_out(), other.n_in(), levels, rank)?;
        let mut out = Hss::zeros(layout);
        let layout = out.layout.clone();
        // G' of each node of the level below.
        let mut finer: Vec<Matrix<T>> = Vec::new();
        for level in (0..=levels).rev() {
            let left = self.layout.level(level);
            let right = other.layout.level(level);
            let mut gram = Vec::with_capacity(left.len());
            for (i, &to) in layout.level(level).iter().enumerate() {
                let factors = Factors { left: (self, left[i]), right: (other, right[i]) };
                gram.push(if level == levels {
                    factors.leaf(&mut out, to)
                } else {
                    let g = Matrix::block_diagonal(&finer[2 * i], &finer[2 * i + 1]);
                    factors.inner(&g, &mut out, to)
                });
            }
            finer = gram;
        }
        out.checked("product of two HSS matrices")
    }
}

/// The same node of both factors.
struct Factors<'a, T> {
    left: (&'a Hss<T>, Node),
    right: (&'a Hss<T>, Node),
}

impl<T: Scalar> Factors<'_, T> {
    /// Writes the leaf `to` of the product and returns its `G'`.
    fn leaf(&self, out: &mut Hss<T>, to: Node) -> Matrix<T> {
        let ((a, a_node), (b, b_node)) = (self.left, self.right);
        let (d_a, u_a, v_a) = (a.view(a_node.d), a.view(a_node.u), a.view(a_node.v));
        let (d_b, u_b, v_b) = (b.view(b_node.d), b.view(b_node.u), b.view(b_node.v));
        let (at_a, at_b) = Stacked::pair(a.rank(), b.rank());

        let d = &mut out.data[to.d.range()];
        d.copy_from_slice(&d_a.times(d_b).data);
        if to.u.cols == 0 {
            return Matrix::zeros(a_node.v.cols, b_node.u.cols);
        }
        let u = &mut out.data[to.u.range()];
        let d_u = d_a.times(u_b);
        u_a.scatter(u, to.u.cols, |i| i, |j| at_a.single(j));
        d_u.view().scatter(u, to.u.cols, |i| i, |j| at_b.single(j));
        let v = &mut out.data[to.v.range()];
        let d_v = d_b.transpose_times(v_a);
        d_v.view().scatter(v, to.v.cols, |i| i, |j| at_a.single(j));
        v_b.scatter(v, to.v.cols, |i| i, |j| at_b.single(j));
        v_a.transpose_times(u_b)
    }

    /// Writes the node `to` of the product, above the leaves, and returns its `G'`.
    fn inner(&self, g: &Matrix<T>, out: &mut Hss<T>, to: Node) -> Matrix<T> {
        let ((a, a_node), (b, b_node)) = (self.left, self.right);
        let (d_a, u_a, v_a) = (a.view(a_node.d), a.view(a_node.u), a.view(a_node.v));
        let (d_b, u_b, v_b) = (b.view(b_node.d), b.view(b_node.u), b.view(b_node.v));
        let (at_a, at_b) = Stacked::pair(a.rank(), b.rank());

        let g_d = g.view().times(d_b);
        let d_g_d = d_a.times(g_d.view());
        let (rows_a, rows_b) = (|i| at_a.double(i), |i| at_b.double(i));
        let d = &mut out.data[to.d.range()];
        d_a.scatter(d, to.d.cols, rows_a, rows_a);
        d_g_d.view().scatter(d, to.d.cols, rows_a, rows_b);
        d_b.scatter(d, to.d.cols, rows_b, rows_b);
        if to.u.cols == 0 {
            // The root, or no coupling at all.
            return Matrix::zeros(a_node.v.cols, b_node.u.cols);
        }
        let g_u = g.view().times(u_b);
        let d_g_u = d_a.times(g_u.view());
        let (cols_a, cols_b) = (|j| at_a.single(j), |j| at_b.single(j));
        let u = &mut out.data[to.u.range()];
        u_a.scatter(u, to.u.cols, rows_a, cols_a);
        d_g_u.view().scatter(u, to.u.cols, rows_a, cols_b);
        u_b.scatter(u, to.u.cols, rows_b, cols_b);
        let d_g_v = g_d.view().transpose_times(v_a);
        let v = &mut out.data[to.v.range()];
        v_a.scatter(v, to.v.cols, rows_a, cols_a);
        d_g_v.view().scatter(v, to.v.cols, rows_b, cols_a);
        v_b.scatter(v, to.v.cols, rows_b, cols_b);
        v_a.transpose_times(g_u.view())
    }
}
