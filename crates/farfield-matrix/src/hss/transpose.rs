//! The transpose of an HSS matrix: `U` and `V` change places and every `D` is transposed. No arithmetic.

use super::{Hss, NodeBlocks};
use crate::scalar::Scalar;

impl<T: Scalar> Hss<T> {
    /// `A^T`, of the same depth and ranks. Cost: one copy a parameter.
    pub fn transpose(&self) -> Self {
        let blocks: Vec<_> = (0..self.layout.nodes().len())
            .map(|i| NodeBlocks {
                d: self.d(i).transpose().to_owned(),
                u: self.v(i).to_owned(),
                v: self.u(i).to_owned(),
            })
            .collect();
        Self::assemble(self.cols.clone(), self.rows.clone(), &blocks).expect("the blocks of a valid matrix, transposed")
    }
}
