//! Sum and multiple of HSS matrices, both exact up to rounding.
//!
//! `A + B` keeps both telescopes side by side: at the leaves `D = D_A + D_B`, `U = [U_A, U_B]`,
//! `V = [V_A, V_B]`; above, `D = blkdiag(D_A, D_B)`, `U = blkdiag(U_A, U_B)`, `V = blkdiag(V_A, V_B)`, with
//! rows and columns in the order of [`Stacked`]. Rank `r_a + r_b`; cost: one addition a parameter of the
//! operands. The ranks grow with every sum even when the matrices share their bases.

use farfield_kernels::HssLayout;

use super::Hss;
use crate::error::MatrixError;
use crate::scalar::Scalar;

/// Places of one operand's numbers where two children, each with `total` numbers of which `own` from
/// `start` on belong to the operand, are stacked. Two operands of ranks `r_a`, `r_b` give
/// `(a, b)` of the first child, then `(a, b)` of the second.
#[derive(Clone, Copy)]
pub(super) struct Stacked {
    own: usize,
    start: usize,
    total: usize,
}

impl Stacked {
    /// The places of the left and of the right operand.
    pub fn pair(left: usize, right: usize) -> (Self, Self) {
        let total = left + right;
        (Self { own: left, start: 0, total }, Self { own: right, start: left, total })
    }

    /// Place among the numbers of one node.
    pub fn single(self, i: usize) -> usize {
        self.start + i
    }

    /// Place among the numbers of two stacked children.
    pub fn double(self, i: usize) -> usize {
        (i / self.own) * self.total + self.single(i % self.own)
    }
}

impl<T: Scalar> Hss<T> {
    /// `A + B`, of rank `r_a + r_b`, exact. Cost: one addition a parameter.
    ///
    /// # Errors
    /// [`MatrixError::Shapes`] or [`MatrixError::Depths`] when the sizes or the depths differ,
    /// [`MatrixError::Layout`] when the sum is too large to store, [`MatrixError::NonFinite`] on overflow.
    pub fn add(&self, other: &Hss<T>) -> Result<Hss<T>, MatrixError> {
        self.check_depths("add", other)?;
        if (self.n_out(), self.n_in()) != (other.n_out(), other.n_in()) {
            return Err(self.shapes("add", other, "both sizes must be equal"));
        }
        let rank = self.rank().saturating_add(other.rank());
        let layout = HssLayout::new(self.n_out(), self.n_in(), self.levels(), rank)?;
        let mut sum = Hss::zeros(layout);
        let layout = sum.layout.clone();
        let (a, b) = Stacked::pair(self.rank(), other.rank());
        for (operand, places) in [(self, a), (other, b)] {
            for level in 0..=self.levels() {
                let leaf = level == self.levels();
                // Rows and columns are indices of the matrix at the leaves, stacked children above.
                let place = |i| if leaf { i } else { places.double(i) };
                let single = |i| places.single(i);
                let nodes = operand.layout.level(level).iter().zip(layout.level(level));
                for (from, to) in nodes {
                    let data = &mut sum.data;
                    let d = operand.view(from.d);
                    d.scatter(&mut data[to.d.range()], to.d.cols, place, place);
                    let u = operand.view(from.u);
                    u.scatter(&mut data[to.u.range()], to.u.cols, place, single);
                    let v = operand.view(from.v);
                    v.scatter(&mut data[to.v.range()], to.v.cols, place, single);
                }
            }
        }
        sum.checked("sum of two HSS matrices")
    }

    /// `factor A`, of the same rank. Cost: one product for each entry of a `D`.
    ///
    /// # Errors
    /// [`MatrixError::Factor`] for an infinite or NaN factor, [`MatrixError::NonFinite`] on overflow.
    pub fn scale(&self, factor: T) -> Result<Hss<T>, MatrixError> {
        if !factor.is_finite() {
            return Err(MatrixError::Factor { value: factor.to_f64() });
        }
        let mut out = self.clone();
        for level in 0..=self.levels() {
            for node in self.layout.level(level) {
                for x in &mut out.data[node.d.range()] {
                    *x = factor * *x;
                }
            }
        }
        out.checked("multiple of an HSS matrix")
    }

    pub(super) fn check_depths(&self, operation: &'static str, other: &Hss<T>) -> Result<(), MatrixError> {
        if self.levels() == other.levels() {
            Ok(())
        } else {
            Err(MatrixError::Depths { operation, left: self.levels(), right: other.levels() })
        }
    }

    pub(super) fn shapes(&self, operation: &'static str, other: &Hss<T>, rule: &'static str) -> MatrixError {
        MatrixError::Shapes {
            operation,
            left_out: self.n_out(),
            left_in: self.n_in(),
            right_out: other.n_out(),
            right_in: other.n_in(),
            rule,
        }
    }
}
