//! Bases by tensor Chebyshev interpolation: `f(x, y) ~ sum_ij l_i(x) f(xi_i, eta_j) l_j(y)` with the `p^d` nodes of each box.
//!
//! Borm & Grasedyck 2004 (Computing 72); Hackbusch, *Hierarchical Matrices* (2015), section 4.4. The error falls like `rho^-p` for asymptotically smooth kernels; the ranks
//! are larger than those of skeletons.

use std::sync::Arc;

use faer::Mat;
use farfield_kernels::PointCloud;
use rayon::prelude::*;

use super::basis::ClusterBasis;
use crate::cluster_tree::ClusterTree;
use crate::points::{BoundingBox, Points};
use crate::scalar::Scalar;

/// Nodes of a box: `p` a dimension, one where the box has no extent.
struct Nodes {
    axes: Vec<Vec<f64>>,
}

impl Nodes {
    fn new(bounds: &BoundingBox, order: usize) -> Self {
        let axis = |(&low, &high): (&f64, &f64)| {
            if high <= low {
                return vec![low];
            }
            let angle = |i: usize| std::f64::consts::PI * (2 * i + 1) as f64 / (2 * order) as f64;
            (0..order).map(|i| 0.5 * (low + high) + 0.5 * (high - low) * angle(i).cos()).collect()
        };
        Self { axes: bounds.low.iter().zip(&bounds.high).map(axis).collect() }
    }

    fn len(&self) -> usize {
        self.axes.iter().map(Vec::len).product()
    }

    /// Coordinate `k` of node `i`.
    fn coordinate(&self, i: usize, k: usize) -> f64 {
        let below: usize = self.axes[..k].iter().map(Vec::len).product();
        self.axes[k][i / below % self.axes[k].len()]
    }

    /// All Lagrange polynomials at a point.
    fn lagrange(&self, x: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut values = vec![1.0];
        for (k, axis) in self.axes.iter().enumerate() {
            let one = |i: usize| {
                let factor = |j: usize| (x(k) - axis[j]) / (axis[i] - axis[j]);
                (0..axis.len()).filter(|&j| j != i).map(factor).product::<f64>()
            };
            let here: Vec<f64> = (0..axis.len()).map(one).collect();
            values = here.iter().flat_map(|h| values.iter().map(move |v| h * v)).collect();
        }
        values
    }
}

/// The basis of order `order` of every cluster with a far field, and the nodes of all in the order of their coefficients.
pub(super) fn chebyshev<T: Scalar>(
    tree: &Arc<ClusterTree>,
    points: &Points,
    partners: &[Vec<usize>],
    order: usize,
) -> (ClusterBasis<T>, PointCloud<T>) {
    let clusters = tree.clusters();
    let mut nodes: Vec<Option<Nodes>> = Vec::with_capacity(clusters.len());
    for (s, c) in clusters.iter().enumerate() {
        let far = !partners[s].is_empty() || c.parent.is_some_and(|p| nodes[p].is_some());
        let bounds = c.bounding_box.as_ref().filter(|_| far && !c.is_empty());
        nodes.push(bounds.map(|bounds| Nodes::new(bounds, order)));
    }
    let matrices: Vec<Mat<T>> = (0..clusters.len())
        .into_par_iter()
        .map(|s| {
            let c = &clusters[s];
            let below: Vec<Vec<f64>> = if c.is_leaf() {
                c.range.clone().map(|i| points.point(tree.order()[i]).to_vec()).collect()
            } else {
                let children = c.children.clone().filter_map(|child| nodes[child].as_ref());
                let dim = points.dim();
                children.flat_map(|n| (0..n.len()).map(|i| (0..dim).map(|k| n.coordinate(i, k)).collect())).collect()
            };
            let Some(own) = &nodes[s] else { return Mat::zeros(below.len(), 0) };
            let values: Vec<Vec<f64>> = below.iter().map(|x| own.lagrange(|k| x[k])).collect();
            Mat::from_fn(below.len(), own.len(), |i, j| T::from_f64(values[i][j]))
        })
        .collect();
    let all: Vec<Vec<f64>> = (nodes.iter().flatten())
        .flat_map(|n| (0..n.len()).map(|i| (0..points.dim()).map(|k| n.coordinate(i, k)).collect()))
        .collect();
    let cloud = PointCloud::new(points.dim(), all.len(), |i, k| T::from_f64(all[i][k]));
    (ClusterBasis::new(tree.clone(), matrices), cloud)
}
