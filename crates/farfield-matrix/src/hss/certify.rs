//! Norms, ranks and certificates of HSS matrices.

use super::Hss;
use super::telescope::Telescope;
use crate::certificate::{Bound, Certificate, LevelRanks};
use crate::scalar::Scalar;

impl<T: Scalar> Hss<T> {
    /// Frobenius norm, exact but for rounding: in normal form (orthonormal bases) it is the root of the sum of
    /// squares of all `D`. Cost O(n (m + r) r) for leaves of `m`.
    pub fn norm_frobenius(&self) -> f64 {
        Telescope::of(self).normal_form().norm_frobenius()
    }

    /// Ranks on each level but the root's: for each node the larger of its row and column rank.
    pub fn ranks(&self) -> Vec<LevelRanks> {
        let nodes = self.layout.nodes().iter().zip(self.rows.clusters()).skip(1);
        LevelRanks::of(nodes.map(|(node, cluster)| (cluster.level, node.u.cols.max(node.v.cols))))
    }

    /// The certificate of this matrix with a bound on its error in the Frobenius norm.
    pub(crate) fn certify(&self, frobenius: Bound) -> Certificate {
        self.certify_with_norm(frobenius, self.norm_frobenius())
    }

    /// The same when the norm is known.
    pub(super) fn certify_with_norm(&self, frobenius: Bound, norm: f64) -> Certificate {
        Certificate {
            frobenius,
            spectral: frobenius,
            norm,
            ranks: self.ranks(),
            stored: self.data.len(),
            dense: self.nrows() * self.ncols(),
        }
    }

    /// The same numbers in f64.
    pub(crate) fn to_f64(&self) -> Hss<f64> {
        Hss {
            rows: self.rows.clone(),
            cols: self.cols.clone(),
            layout: self.layout.clone(),
            data: self.data.iter().map(|x| x.to_f64()).collect(),
            hollow: self.hollow.clone(),
        }
    }
}
