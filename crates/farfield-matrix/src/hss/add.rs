//! Sum and multiple of HSS matrices, both exact up to rounding.
//!
//! `A + B` keeps both telescopes side by side: at the leaves `D = D_A + D_B`, `U = [U_A, U_B]`,
//! `V = [V_A, V_B]`; above, `D = blkdiag(D_A, D_B)`, `U = blkdiag(U_A, U_B)`, `V = blkdiag(V_A, V_B)`, with
//! rows and columns in the order of [`Interleaved`]. Ranks add up; cost: one addition a parameter of the
//! operands. The ranks grow with every sum even when the matrices share their bases.

use faer::{Mat, MatRef};

use super::{Hss, NodeBlocks};
use crate::error::MatrixError;
use crate::scalar::Scalar;

/// Places of the numbers of two operands where the children of a node are stacked: for each child, those of `A`, then those of `B`.
pub(super) struct Interleaved {
    pub a: Vec<usize>,
    pub b: Vec<usize>,
    len: usize,
}

impl Interleaved {
    /// For children with these ranks in `A` and in `B`.
    pub fn new(ranks: impl Iterator<Item = (usize, usize)>) -> Self {
        let (mut a, mut b, mut next) = (Vec::new(), Vec::new(), 0);
        for (of_a, of_b) in ranks {
            a.extend(next..next + of_a);
            b.extend(next + of_a..next + of_a + of_b);
            next += of_a + of_b;
        }
        Self { a, b, len: next }
    }

    /// Both operands in the same `n` places.
    fn together(n: usize) -> Self {
        Self { a: (0..n).collect(), b: (0..n).collect(), len: n }
    }

    /// Number of places.
    pub fn len(&self) -> usize {
        self.len
    }
}

/// Adds a block to the entries `(rows[i], cols[j])` of `out`.
pub(super) fn scatter<T: Scalar>(out: &mut Mat<T>, rows: &[usize], cols: &[usize], block: MatRef<T>) {
    for (j, &col) in cols.iter().enumerate() {
        for (i, &row) in rows.iter().enumerate() {
            out[(row, col)] += block[(i, j)];
        }
    }
}

impl<T: Scalar> Hss<T> {
    /// `A + B`, of the sums of the ranks, exact. Cost: one addition a parameter.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] when the trees differ, [`MatrixError::NonFinite`] on overflow.
    pub fn add(&self, other: &Self) -> Result<Self, MatrixError> {
        if self.rows != other.rows || self.cols != other.cols {
            return Err(MatrixError::Tree { reason: "sum of HSS matrices on different trees".to_owned() });
        }
        let blocks: Vec<_> = (0..self.layout.nodes().len())
            .map(|i| {
                let (rows, cols) = self.places(other, i);
                let ranks = |a: usize, b: usize| Interleaved::new(std::iter::once((a, b)));
                let of_u = ranks(self.u(i).ncols(), other.u(i).ncols());
                let of_v = ranks(self.v(i).ncols(), other.v(i).ncols());
                let mut sum = NodeBlocks {
                    d: Mat::zeros(rows.len(), cols.len()),
                    u: Mat::zeros(rows.len(), of_u.len()),
                    v: Mat::zeros(cols.len(), of_v.len()),
                };
                scatter(&mut sum.d, &rows.a, &cols.a, self.d(i));
                scatter(&mut sum.d, &rows.b, &cols.b, other.d(i));
                scatter(&mut sum.u, &rows.a, &of_u.a, self.u(i));
                scatter(&mut sum.u, &rows.b, &of_u.b, other.u(i));
                scatter(&mut sum.v, &cols.a, &of_v.a, self.v(i));
                scatter(&mut sum.v, &cols.b, &of_v.b, other.v(i));
                sum
            })
            .collect();
        Self::assemble(self.rows.clone(), self.cols.clone(), &blocks)
    }

    /// Places of the rows and columns of `self` and `other` at a node of their sum: the same at a leaf, apart above.
    fn places(&self, other: &Self, i: usize) -> (Interleaved, Interleaved) {
        let node = self.layout.nodes()[i];
        if node.is_leaf() {
            return (Interleaved::together(node.d.rows), Interleaved::together(node.d.cols));
        }
        (
            Interleaved::new(node.children().map(|c| (self.u(c).ncols(), other.u(c).ncols()))),
            Interleaved::new(node.children().map(|c| (self.v(c).ncols(), other.v(c).ncols()))),
        )
    }

    /// `factor A`, of the same ranks. Cost: one product for each entry of a `D`.
    ///
    /// # Errors
    /// [`MatrixError::Factor`] for an infinite or NaN factor, [`MatrixError::NonFinite`] on overflow.
    pub fn scale(&self, factor: T) -> Result<Self, MatrixError> {
        if !Scalar::is_finite(factor) {
            return Err(MatrixError::Factor { value: factor.to_f64() });
        }
        let mut data = self.data.clone();
        for node in self.layout.nodes() {
            for x in &mut data[node.d.range()] {
                *x *= factor;
            }
        }
        self.with_data(data, "multiple of an HSS matrix")
    }
}
