//! Nested skeletons: the basis of a cluster interpolates its rows from a few of them.
//!
//! From the leaves up, the candidates of a cluster are its indices or the skeletons of its children; the interpolative decomposition of their
//! entries at samples of the far field chooses the skeleton. Samples are spread evenly over every cluster of the far field, own and inherited, and weighted
//! so that their squares estimate those of the whole far field; then random signs fold them into few rows. Cai, Huang, Chow & Xi 2022 (arXiv
//! 2209.02819) sample the far field in the same spirit.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::basis::ClusterBasis;
use crate::cluster_tree::ClusterTree;
use crate::interpolative::{Interpolative, interpolative};
use crate::scalar::Scalar;

/// How accurate the skeletons of one side must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct SkeletonOptions {
    /// Frobenius error of all clusters together.
    pub tolerance: f64,
    /// Samples for each candidate.
    pub samples: f64,
    pub cap: usize,
    pub seed: u64,
}

/// Skeletons of one side.
pub(super) struct Skeletons<T> {
    pub basis: ClusterBasis<T>,
    /// The user's indices of all skeletons, in the order of their coefficients.
    pub indices: Vec<usize>,
    pub capped: bool,
}

/// `(candidates, samples, out)`: `out` is the block of rows `samples` and columns `candidates`.
pub(super) type Evaluate<'a, T> = dyn Fn(&[usize], &[usize], &mut [T]) + Sync + 'a;

/// The skeletons of the clusters of `tree`, whose far field at cluster `s` are the clusters `partners[s]` of `other` and those of its ancestors.
pub(super) fn skeletons<T: Scalar>(
    tree: &Arc<ClusterTree>,
    other: &ClusterTree,
    partners: &[Vec<usize>],
    evaluate: &Evaluate<T>,
    options: SkeletonOptions,
) -> Skeletons<T> {
    let clusters = tree.clusters();
    let mut has_far = vec![false; clusters.len()];
    for (s, c) in clusters.iter().enumerate() {
        has_far[s] = !partners[s].is_empty() || c.parent.is_some_and(|p| has_far[p]);
    }
    let levels = (0..=tree.depth()).filter(|&l| tree.level(l).any(|s| has_far[s])).count();
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let offsets: Vec<f64> = (0..other.clusters().len()).map(|_| rng.random()).collect();
    let mut found: Vec<(Vec<usize>, faer::Mat<T>)> = vec![(Vec::new(), faer::Mat::zeros(0, 0)); clusters.len()];
    let mut capped = false;
    for level in (0..=tree.depth()).rev() {
        let parts: Vec<(usize, Vec<usize>, faer::Mat<T>, bool)> = (tree.level(level).into_par_iter())
            .map(|s| {
                let c = &clusters[s];
                let candidates: Vec<usize> = if c.is_leaf() {
                    tree.indices(s).to_vec()
                } else {
                    c.children.clone().flat_map(|child| found[child].0.iter().copied()).collect()
                };
                if !has_far[s] || candidates.is_empty() {
                    return (s, Vec::new(), faer::Mat::zeros(candidates.len(), 0), false);
                }
                let samples =
                    far_samples(tree, other, partners, &offsets, s, options.samples * candidates.len() as f64);
                let share = candidates.len() as f64 / (tree.len() * levels) as f64;
                let tolerance = options.tolerance * share.sqrt();
                let seed = options.seed.wrapping_add(1 + s as u64);
                let id = decompose(&candidates, &samples, evaluate, tolerance, options.cap, seed);
                let chosen = id.skeleton.iter().map(|&i| candidates[i]).collect();
                (s, chosen, id.coefficients, id.capped)
            })
            .collect();
        for (s, skeleton, matrix, at_cap) in parts {
            capped |= at_cap;
            found[s] = (skeleton, matrix);
        }
    }
    let indices = found.iter().flat_map(|(skeleton, _)| skeleton.iter().copied()).collect();
    let matrices = found.into_iter().map(|(_, matrix)| matrix).collect();
    Skeletons { basis: ClusterBasis::new(tree.clone(), matrices), indices, capped }
}

/// Samples of the far field of cluster `s` and their weights: about `wanted` of its own part, and half as many of each ancestor's as of the one below.
fn far_samples(
    tree: &ClusterTree,
    other: &ClusterTree,
    partners: &[Vec<usize>],
    offsets: &[f64],
    s: usize,
    wanted: f64,
) -> Vec<(usize, f64)> {
    let mut samples = Vec::new();
    let (mut at, mut wanted) = (Some(s), wanted.max(32.0));
    while let Some(cluster) = at {
        let list = &partners[cluster];
        for &t in list {
            let range = other.cluster(t).range.clone();
            let count = ((wanted / list.len() as f64).ceil() as usize).clamp(1, range.len());
            let weight = (range.len() as f64 / count as f64).sqrt();
            for q in 0..count {
                let place = ((q as f64 + offsets[t]) * range.len() as f64 / count as f64) as usize;
                samples.push((other.order()[range.start + place.min(range.len() - 1)], weight));
            }
        }
        if !list.is_empty() {
            wanted = (0.5 * wanted).max(32.0);
        }
        at = tree.cluster(cluster).parent;
    }
    samples
}

/// The interpolative decomposition of the folded samples; folded into more rows when the rank comes near their number.
fn decompose<T: Scalar>(
    candidates: &[usize],
    samples: &[(usize, f64)],
    evaluate: &Evaluate<T>,
    tolerance: f64,
    cap: usize,
    seed: u64,
) -> Interpolative<T> {
    let (m, n) = (samples.len(), candidates.len());
    let rows: Vec<usize> = samples.iter().map(|&(i, _)| i).collect();
    let mut block = vec![T::ZERO; m * n];
    evaluate(candidates, &rows, &mut block);
    let mut folded_to = if n <= 160 { n + 16 } else { (n / 2).max(176) };
    loop {
        let folded = m.min(folded_to);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let factors: Vec<T> = (samples.iter())
            .map(|&(_, weight)| T::from_f64(if m > folded && rng.random::<bool>() { -weight } else { weight }))
            .collect();
        let mut sketch = vec![T::ZERO; folded * n];
        for (to, from) in sketch.chunks_exact_mut(folded.max(1)).zip(block.chunks_exact(m.max(1))) {
            for (from, factors) in from.chunks(folded).zip(factors.chunks(folded)) {
                for ((to, &x), &factor) in to.iter_mut().zip(from).zip(factors) {
                    *to += factor * x;
                }
            }
        }
        let id = interpolative(sketch, folded, n, tolerance, cap);
        if folded == m || folded >= n + 16 || id.capped || 5 * id.skeleton.len() <= 4 * folded {
            return id;
        }
        folded_to *= 2;
    }
}
