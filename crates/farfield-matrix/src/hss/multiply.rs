//! The product of two HSS matrices, exact up to rounding, of the sums of the ranks.
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
//! The two halves of the rows and columns are interleaved as [`Interleaved`] says. The rank is not reduced
//! afterwards, so a chain of products needs a recompression.
//!
//! Cost: `O(m^2 (m + r))` a leaf of `m` rows and `O(r^3)` a node above.

use faer::Mat;

use super::add::{Interleaved, scatter};
use super::{Hss, NodeBlocks};
use crate::error::MatrixError;
use crate::linalg::product;
use crate::scalar::Scalar;

impl<T: Scalar> Hss<T> {
    /// `A B` for `self = A` and `other = B`, exact; ranks are the sums of theirs.
    ///
    /// # Errors
    /// [`MatrixError::Shapes`] when the sizes do not fit, [`MatrixError::Tree`] when the columns of `A` and the rows of `B` have different
    /// trees, [`MatrixError::NonFinite`] on overflow.
    pub fn multiply(&self, other: &Self) -> Result<Self, MatrixError> {
        if self.ncols() != other.nrows() {
            return Err(MatrixError::Shapes {
                operation: "multiply",
                left_out: self.nrows(),
                left_in: self.ncols(),
                right_out: other.nrows(),
                right_in: other.ncols(),
                rule: "the columns of the left must be the rows of the right",
            });
        }
        if self.cols != other.rows {
            let reason = "product of HSS matrices whose inner trees differ".to_owned();
            return Err(MatrixError::Tree { reason });
        }
        let count = self.layout.nodes().len();
        let mut blocks: Vec<NodeBlocks<T>> = Vec::with_capacity(count);
        // `G'` of every node, from the last to the first.
        let mut grams: Vec<Mat<T>> = vec![Mat::zeros(0, 0); count];
        for i in (0..count).rev() {
            let node = self.layout.nodes()[i];
            let (block, gram) = if node.is_leaf() {
                self.leaf_product(other, i)
            } else {
                let grams = &grams[node.children()];
                let mut g = Mat::zeros(grams.iter().map(|g| g.nrows()).sum(), grams.iter().map(|g| g.ncols()).sum());
                let mut at = (0, 0);
                for gram in grams {
                    g.as_mut().submatrix_mut(at.0, at.1, gram.nrows(), gram.ncols()).copy_from(gram);
                    at = (at.0 + gram.nrows(), at.1 + gram.ncols());
                }
                self.inner_product(other, i, &g)
            };
            blocks.push(block);
            grams[i] = gram;
        }
        blocks.reverse();
        Self::assemble(self.rows.clone(), other.cols.clone(), &blocks)
    }

    /// A leaf of the product and its `G'`.
    fn leaf_product(&self, other: &Self, i: usize) -> (NodeBlocks<T>, Mat<T>) {
        let (d_a, u_a, v_a) = (self.d(i), self.u(i), self.v(i));
        let (d_b, u_b, v_b) = (other.d(i), other.u(i), other.v(i));
        let blocks = NodeBlocks {
            d: product(d_a, d_b),
            u: crate::linalg::beside(u_a, product(d_a, u_b).as_ref()),
            v: crate::linalg::beside(product(d_b.transpose(), v_a).as_ref(), v_b),
        };
        (blocks, product(v_a.transpose(), u_b))
    }

    /// A node of the product above the leaves, and its `G'`.
    fn inner_product(&self, other: &Self, i: usize, g: &Mat<T>) -> (NodeBlocks<T>, Mat<T>) {
        let (d_a, u_a, v_a) = (self.d(i), self.u(i), self.v(i));
        let (d_b, u_b, v_b) = (other.d(i), other.u(i), other.v(i));
        let children = self.layout.nodes()[i].children();
        let rows = Interleaved::new(children.clone().map(|c| (self.u(c).ncols(), other.u(c).ncols())));
        let cols = Interleaved::new(children.map(|c| (self.v(c).ncols(), other.v(c).ncols())));
        let of_u = Interleaved::new(std::iter::once((u_a.ncols(), u_b.ncols())));
        let of_v = Interleaved::new(std::iter::once((v_a.ncols(), v_b.ncols())));
        let (g_d, g_u) = (product(g.as_ref(), d_b), product(g.as_ref(), u_b));
        let mut out = NodeBlocks {
            d: Mat::zeros(rows.len(), cols.len()),
            u: Mat::zeros(rows.len(), of_u.len()),
            v: Mat::zeros(cols.len(), of_v.len()),
        };
        scatter(&mut out.d, &rows.a, &cols.a, d_a);
        scatter(&mut out.d, &rows.a, &cols.b, product(d_a, g_d.as_ref()).as_ref());
        scatter(&mut out.d, &rows.b, &cols.b, d_b);
        scatter(&mut out.u, &rows.a, &of_u.a, u_a);
        scatter(&mut out.u, &rows.a, &of_u.b, product(d_a, g_u.as_ref()).as_ref());
        scatter(&mut out.u, &rows.b, &of_u.b, u_b);
        scatter(&mut out.v, &cols.a, &of_v.a, v_a);
        scatter(&mut out.v, &cols.b, &of_v.a, product(g_d.as_ref().transpose(), v_a).as_ref());
        scatter(&mut out.v, &cols.b, &of_v.b, v_b);
        let gram = product(v_a.transpose(), g_u.as_ref());
        (out, gram)
    }
}
