//! The dense form of an HSS matrix.
//!
//! From the root to the leaves, block by block:
//! `A(l)[i, j] = U_i A(l-1)[i, j] V_j^T`, plus `D_i` where `i = j`. Cost `O(n_out n_in r)` for leaves of
//! at least `2 r` rows. For tests and small matrices: it needs `n_out n_in` numbers.

use super::Hss;
use crate::block::{Matrix, View};
use crate::scalar::Scalar;

impl<T: Scalar> Hss<T> {
    /// All entries, row-major `n_out x n_in`.
    ///
    /// # Panics
    /// When `n_out n_in` numbers do not fit into memory.
    pub fn to_dense(&self) -> Vec<T> {
        let mut coupling = Matrix::zeros(0, 0);
        for level in 0..=self.levels() {
            coupling = self.refine(level, coupling.view());
        }
        coupling.data
    }

    /// `A(level)` from `A(level - 1)`.
    fn refine(&self, level: usize, coarse: View<'_, T>) -> Matrix<T> {
        let rank = self.rank();
        let nodes = self.layout.level(level);
        let n_out = nodes.iter().map(|node| node.d.rows).sum();
        let n_in: usize = nodes.iter().map(|node| node.d.cols).sum();
        let mut fine = Matrix::zeros(n_out, n_in);
        let mut row = 0;
        for (i, out) in nodes.iter().enumerate() {
            // The rows of this node: U_i times the r coarse rows.
            let strip = (level > 0).then(|| {
                let rows = View {
                    rows: rank,
                    cols: coarse.cols,
                    data: &coarse.data[i * rank * coarse.cols..(i + 1) * rank * coarse.cols],
                };
                self.view(out.u).times(rows)
            });
            let mut col = 0;
            for (j, inp) in nodes.iter().enumerate() {
                if let Some(strip) = &strip {
                    let v = self.view(inp.v);
                    for k in 0..out.d.rows {
                        let start = (row + k) * n_in + col;
                        let target = &mut fine.data[start..start + inp.d.cols];
                        v.add_apply(&strip.view().row(k)[j * rank..(j + 1) * rank], target);
                    }
                }
                if i == j {
                    let d = self.view(out.d);
                    d.scatter(&mut fine.data, n_in, |k| row + k, |k| col + k);
                }
                col += inp.d.cols;
            }
            row += out.d.rows;
        }
        fine
    }
}
