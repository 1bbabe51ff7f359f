//! How ranks grow with the accuracy (theorem 2.2 of Neural-HSS, arXiv 2602.18248).
//!
//! The theorem: for an asymptotically smooth kernel and clusters in `D` dimensions that are well separated, rank `O(log(1/eps)^D)` gives an error
//! of `eps`. [`rank_growth`] measures it on points of two boxes, `[0, 1]^D` and the same moved by `1 + gap`, by the singular values of the
//! kernel matrix. (The distance that the paper prints in definition A.3 is that of Hausdorff, which is positive for
//! boxes that touch; the theorem needs the usual one, the smallest distance of two points, which is `gap` here.)
//! [`convolution_ranks`] does the HSS fit of a convolution: there the blocks touch, and the rank of an HSS matrix is that of whole block rows.
//!
//! Cost: an SVD of the order of the number of points in a box.

use crate::accuracy::Accuracy;
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::hodlr::Hodlr;
use crate::linalg::{svd, truncation_rank};
use crate::matrix::Matrix;

/// The rank that a tolerance needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankAt {
    /// Error allowed, in the Frobenius norm relative to that of the matrix.
    pub tolerance: f64,
    /// Smallest rank with at most this error.
    pub rank: usize,
}

/// Ranks of one kernel in one dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct RankGrowth {
    /// Dimension `D` of the boxes.
    pub dimension: usize,
    /// Points in each box.
    pub points: usize,
    /// One row a tolerance.
    pub ranks: Vec<RankAt>,
}

impl RankGrowth {
    /// The exponent `p` of `rank ~ log(1/eps)^p`, by least squares of the logarithms; the theorem says at most `D` in the limit. Kernels that
    /// solve an elliptic equation (the logarithm in two dimensions, `1/r` in three) need only `D - 1`. `None` with
    /// fewer than two ranks to fit.
    pub fn exponent(&self) -> Option<f64> {
        let used = self.ranks.iter().filter(|r| r.rank > 0 && r.tolerance < 0.5);
        let at: Vec<(f64, f64)> = used.map(|r| ((1.0 / r.tolerance).ln().ln(), (r.rank as f64).ln())).collect();
        let n = at.len() as f64;
        let mean = at.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
        let (xx, xy) = at
            .iter()
            .fold((0.0, 0.0), |s, p| (s.0 + (p.0 - mean.0) * (p.0 - mean.0), s.1 + (p.0 - mean.0) * (p.1 - mean.1)));
        (at.len() > 1 && xx > 0.0).then(|| xy / xx)
    }
}

/// Ranks of the matrix `kernel(|x - y|)` for `x` and `y` on grids of `points_per_side^dimension` cell centres in two unit boxes whose
/// smallest distance is `gap`.
///
/// # Errors
/// [`MatrixError::Option`] for a dimension or number of points of zero, more than 4096 points in a box, a gap or tolerance that is not a positive
/// number; [`MatrixError::Entry`] when the kernel is not finite somewhere.
pub fn rank_growth(
    dimension: usize,
    points_per_side: usize,
    gap: f64,
    tolerances: &[f64],
    kernel: impl Fn(f64) -> f64,
) -> Result<RankGrowth, MatrixError> {
    let option = |name, value: String, rule| Err(MatrixError::Option { name, value, rule });
    let exponent = u32::try_from(dimension).unwrap_or(u32::MAX);
    let n = points_per_side.checked_pow(exponent).unwrap_or(usize::MAX);
    if dimension == 0 || !(1..=4096).contains(&n) {
        return option("points", n.to_string(), "between 1 and 4096 points a box, in at least one dimension");
    }
    if !(gap > 0.0 && gap.is_finite()) {
        return option("gap", gap.to_string(), "a gap must be a positive finite number");
    }
    tolerances.iter().try_for_each(|&t| Accuracy::relative(t).map(|_| ()))?;
    let coordinate = |i: usize, k: usize| {
        let digit = (i / points_per_side.pow(u32::try_from(k).unwrap_or(0))) % points_per_side;
        (digit as f64 + 0.5) / points_per_side as f64
    };
    let entry = |i: usize, j: usize| {
        let distance = |k: usize| coordinate(i, k) - coordinate(j, k) - if k == 0 { 1.0 + gap } else { 0.0 };
        kernel((0..dimension).map(|k| distance(k) * distance(k)).sum::<f64>().sqrt())
    };
    let a = Matrix::from_fn(n, n, entry);
    if let Some((row, col)) = a.first_non_finite() {
        return Err(MatrixError::Entry { row, col, value: a[(row, col)] });
    }
    let (s, norm) = (svd(a.as_ref()).s, a.norm_frobenius());
    let rank = |tolerance: f64| RankAt { tolerance, rank: truncation_rank(&s, tolerance * norm).0 };
    Ok(RankGrowth { dimension, points: n, ranks: tolerances.iter().map(|&t| rank(t)).collect() })
}

/// What a convolution matrix costs in two formats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvolutionRanks {
    /// Error allowed, in the Frobenius norm relative to that of the matrix.
    pub tolerance: f64,
    /// Largest rank of the HODLR form.
    pub hodlr_rank: usize,
    /// Largest rank of the HSS form.
    pub hss_rank: usize,
    /// Numbers that the HODLR form stores.
    pub hodlr_stored: usize,
    /// Numbers that the HSS form stores.
    pub hss_stored: usize,
    /// Proven relative error of the HSS form.
    pub hss_error: f64,
}

/// HODLR and HSS ranks of the convolution `(T f)(x) = int_0^1 kernel(|x - y|) f(y) dy` at the centres of `n` cells of width `h`:
/// `a_ij = h kernel(h |i - j|)`, with `kernel(h / 4)` on the diagonal, where the kernel may be infinite (`h / 4` is the mean distance of a
/// point of a cell to its centre). Leaves of at most `leaf_size`.
///
/// # Errors
/// [`MatrixError::Tree`] for `n` or `leaf_size` of zero, [`MatrixError::Option`] for a bad tolerance, [`MatrixError::Entry`] when the kernel is not finite
/// somewhere, [`MatrixError::Tolerance`] below the rounding level.
pub fn convolution_ranks(
    n: usize,
    leaf_size: usize,
    tolerances: &[f64],
    kernel: impl Fn(f64) -> f64,
) -> Result<Vec<ConvolutionRanks>, MatrixError> {
    let tree = std::sync::Arc::new(ClusterTree::bisection(n, leaf_size)?);
    let h = 1.0 / n as f64;
    let column: Vec<f64> = (0..n).map(|d| h * kernel(if d == 0 { 0.25 * h } else { d as f64 * h })).collect();
    let a = Matrix::from_fn(n, n, |i, j| column[i.abs_diff(j)]);
    let norm = a.norm_frobenius();
    let mut rows = Vec::with_capacity(tolerances.len());
    for &tolerance in tolerances {
        let half = Accuracy::relative(0.5 * tolerance)?;
        let (hodlr, of_hodlr) = Hodlr::from_dense(&a, tree.clone(), half)?;
        let (hss, of_hss) = hodlr.to_hss(Accuracy::absolute(0.5 * tolerance * norm)?)?;
        rows.push(ConvolutionRanks {
            tolerance,
            hodlr_rank: hodlr.rank(),
            hss_rank: hss.rank(),
            hodlr_stored: of_hodlr.stored,
            hss_stored: of_hss.stored,
            hss_error: (of_hodlr.frobenius.value + of_hss.frobenius.value) / norm,
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCES: [f64; 6] = [1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12];

    #[test]
    fn ranks_grow_as_a_power_of_the_logarithm_in_each_dimension() {
        let kernels: [fn(f64) -> f64; 3] = [|r| r.ln(), |r| 1.0 / r, |r| (-r).exp() / r];
        for kernel in kernels {
            for (dimension, side, most) in [(1, 64, 12), (2, 14, 70), (3, 7, 200)] {
                let growth = rank_growth(dimension, side, 1.0, &TOLERANCES, kernel).unwrap();
                let exponent = growth.exponent().unwrap();
                let d = dimension as f64;
                assert!(exponent > 0.8 * (d - 1.0).max(0.8) && exponent < 1.15 * d, "{growth:?} {exponent}");
                assert!(growth.ranks.windows(2).all(|w| w[0].rank <= w[1].rank));
                assert!(growth.ranks[5].rank <= most, "{growth:?}");
            }
        }
    }

    #[test]
    fn finer_grids_have_the_same_ranks() {
        let rank = |side| rank_growth(2, side, 1.0, &[1e-6], |r| 1.0 / r).unwrap().ranks[0].rank;
        assert!(rank(20).abs_diff(rank(10)) <= 2);
    }

    #[test]
    fn convolutions_have_small_hss_ranks_that_grow_slowly() {
        let rows = convolution_ranks(256, 16, &[1e-2, 1e-4, 1e-6, 1e-8], |r| r.ln()).unwrap();
        for (row, next) in rows.iter().zip(&rows[1..]) {
            assert!(row.hodlr_rank <= next.hodlr_rank && next.hss_rank <= row.hss_rank + 6, "{rows:?}");
        }
        for row in &rows {
            assert!(row.hss_error <= row.tolerance && row.hss_stored < 256 * 256, "{row:?}");
        }
    }

    #[test]
    fn bad_options_are_errors() {
        let one = |_| 1.0;
        assert!(rank_growth(0, 4, 1.0, &[0.1], one).is_err() && rank_growth(3, 100, 1.0, &[0.1], one).is_err());
        assert!(rank_growth(1, 4, 0.0, &[0.1], one).is_err() && rank_growth(1, 4, 1.0, &[0.0], one).is_err());
        assert!(rank_growth(1, 4, 1.0, &[0.1], |_| f64::NAN).is_err() && convolution_ranks(0, 4, &[0.1], one).is_err());
    }
}
