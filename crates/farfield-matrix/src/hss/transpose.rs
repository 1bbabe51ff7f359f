//! The transpose of an HSS matrix: `U` and `V` change places and every `D` is transposed. No arithmetic.

use farfield_kernels::HssLayout;

use super::Hss;
use crate::scalar::Scalar;

impl<T: Scalar> Hss<T> {
    /// `A^T`, an `n_in x n_out` matrix of the same depth and rank. Cost: one copy a parameter.
    pub fn transpose(&self) -> Hss<T> {
        let layout = HssLayout::new(self.n_in(), self.n_out(), self.levels(), self.rank())
            .expect("the limits on layouts are symmetric in rows and columns");
        let mut out = Hss::zeros(layout);
        let layout = out.layout.clone();
        for level in 0..=self.levels() {
            for (from, to) in self.layout.level(level).iter().zip(layout.level(level)) {
                out.data[to.d.range()].copy_from_slice(&self.view(from.d).transpose().data);
                out.data[to.u.range()].copy_from_slice(&self.data[from.v.range()]);
                out.data[to.v.range()].copy_from_slice(&self.data[from.u.range()]);
            }
        }
        out
    }
}
