//! Nested skeletons: the basis of a cluster interpolates its rows from a few of them.
//!
//! From the leaves up, the candidates of a cluster are its indices or the skeletons of its children; the interpolative decomposition of their
//! entries at samples of the far field chooses the skeleton. What an interpolation misses is largest next to the cluster: the expected number of samples in a part of
//! the far field falls with the eighth power of its distance to the centre of the cluster, beside an equal share for every part. Samples are weighted so that
//! their squares estimate those of the whole far field; then random signs fold them into few rows. Cai, Huang, Chow & Xi 2022 (arXiv 2209.02819) sample the
//! far field in the same spirit.
//!
//! A skeleton of `k` columns fits `l` folded rows better than rows that were not sampled, by about `1 - k / l` in the Frobenius norm (as for residuals of least
//! squares; Golub, Heath & Wahba 1979): its residual must be below the tolerance times that number.
//!
//! How many rows a cluster needs follows from the rank of the largest cluster of its level, which is treated first.

use std::ops::Range;
use std::sync::Arc;

use faer::Mat;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::basis::ClusterBasis;
use crate::cluster_tree::ClusterTree;
use crate::interpolative::{Interpolative, interpolative};
use crate::points::BoundingBox;
use crate::scalar::Scalar;

/// How accurate the skeletons of one side must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct SkeletonOptions {
    /// Frobenius error of all clusters together.
    pub tolerance: f64,
    /// Samples for each folded row.
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
    let mut found: Vec<(Vec<usize>, Mat<T>)> = vec![(Vec::new(), Mat::zeros(0, 0)); clusters.len()];
    let mut capped = false;
    for level in (0..=tree.depth()).rev() {
        let candidates = |s: usize| -> Vec<usize> {
            let c = &clusters[s];
            if c.is_leaf() {
                tree.indices(s).to_vec()
            } else {
                c.children.clone().flat_map(|child| found[child].0.iter().copied()).collect()
            }
        };
        let make = |s: usize, rank: Option<usize>| {
            let candidates = candidates(s);
            if !has_far[s] || candidates.is_empty() {
                return (s, Vec::new(), Mat::zeros(candidates.len(), 0), false);
            }
            let share = candidates.len() as f64 / (tree.len() * levels) as f64;
            let tolerance = options.tolerance * share.sqrt();
            let seed = options.seed.wrapping_add(1 + s as u64);
            let field = FarField::new(tree, other, partners, s);
            let id = decompose(&candidates, &field, evaluate, rank, SkeletonOptions { tolerance, seed, ..options });
            let chosen = id.skeleton.iter().map(|&i| candidates[i]).collect();
            (s, chosen, id.coefficients, id.capped)
        };
        let size = |s: usize| match clusters[s].is_leaf() {
            _ if !has_far[s] => 0,
            true => clusters[s].len(),
            false => clusters[s].children.clone().map(|child| found[child].0.len()).sum(),
        };
        let larger = |best: usize, s: usize| if size(s) > size(best) { s } else { best };
        let Some(largest) = tree.level(level).reduce(larger) else { continue };
        let first = make(largest, None);
        let rank = first.1.len();
        let others = tree.level(level).into_par_iter().filter(|&s| s != largest).map(|s| make(s, Some(rank)));
        let others: Vec<_> = others.collect();
        for (s, skeleton, matrix, at_cap) in others.into_iter().chain([first]) {
            capped |= at_cap;
            found[s] = (skeleton, matrix);
        }
    }
    let indices = found.iter().flat_map(|(skeleton, _)| skeleton.iter().copied()).collect();
    let matrices = found.into_iter().map(|(_, matrix)| matrix).collect();
    Skeletons { basis: ClusterBasis::new(tree.clone(), matrices), indices, capped }
}

/// The far field of a cluster, in parts.
struct FarField<'a> {
    other: &'a ClusterTree,
    parts: Vec<Part>,
    /// Sum of all scores.
    total: f64,
}

/// A cluster of the far field.
struct Part {
    range: Range<usize>,
    /// Its expected number of samples is in proportion to this, beside an equal share for every part.
    score: f64,
}

/// How fast the density of samples falls with the distance: as the power of this.
const DECAY: i32 = 8;

/// Share of the samples that are spread evenly over the parts.
const EVEN: f64 = 0.2;

impl<'a> FarField<'a> {
    /// That of cluster `s`: its own far clusters, each in the parts that its children are, and those of its ancestors.
    fn new(tree: &ClusterTree, other: &'a ClusterTree, partners: &[Vec<usize>], s: usize) -> Self {
        let center = tree.cluster(s).bounding_box.as_ref().map(|b| b.center());
        let center = center.map(|x| BoundingBox { low: x.clone(), high: x });
        let mut found: Vec<(Range<usize>, f64)> = Vec::new();
        let mut push = |t: usize| {
            let c = other.cluster(t);
            if let (Some(center), Some(there), false) = (&center, &c.bounding_box, c.is_empty()) {
                found.push((c.range.clone(), center.distance(there)));
            }
        };
        for &t in &partners[s] {
            if other.cluster(t).is_leaf() { push(t) } else { other.cluster(t).children.clone().for_each(&mut push) }
        }
        let mut at = tree.cluster(s).parent;
        while let Some(ancestor) = at {
            partners[ancestor].iter().copied().for_each(&mut push);
            at = tree.cluster(ancestor).parent;
        }
        let nearest = found.iter().map(|(_, distance)| *distance).fold(f64::INFINITY, f64::min);
        let score = |size: usize, distance: f64| {
            let near = if distance > 0.0 { nearest / distance } else { 1.0 };
            size as f64 * near.powi(DECAY)
        };
        let parts = found.into_iter().map(|(range, distance)| Part { score: score(range.len(), distance), range });
        let parts: Vec<Part> = parts.collect();
        let total = parts.iter().map(|p| p.score).sum();
        Self { other, parts, total }
    }

    /// About `wanted` samples and their weights: one wherever the sum of the expected numbers passes the next integer, from a random start on; all of a part that is
    /// expected to have as many as it holds.
    fn samples(&self, wanted: usize, rng: &mut ChaCha8Rng) -> Vec<(usize, f64)> {
        let even = EVEN / self.parts.len() as f64;
        let expected =
            |p: &Part, wanted: f64| (wanted * ((1.0 - EVEN) * p.score / self.total + even)).min(p.range.len() as f64);
        // What full parts do not take goes to the others.
        let mut scaled = wanted as f64;
        for _ in 0..3 {
            let sum: f64 = self.parts.iter().map(|p| expected(p, scaled)).sum();
            scaled *= (wanted as f64 / sum).min(4.0);
        }
        let mut samples = Vec::with_capacity(wanted + wanted / 8);
        let mut next = rng.random::<f64>();
        for part in &self.parts {
            let (range, expected) = (&part.range, expected(part, scaled));
            if expected >= range.len() as f64 {
                samples.extend(range.clone().map(|place| (self.other.order()[place], 1.0)));
                continue;
            }
            let weight = (range.len() as f64 / expected).sqrt();
            while next < expected {
                let place = (next / expected * range.len() as f64) as usize;
                samples.push((self.other.order()[range.start + place.min(range.len() - 1)], weight));
                next += 1.0;
            }
            next -= expected;
        }
        samples
    }
}

/// Candidates whose entries are evaluated and folded together, so that they stay in the cache.
const PANEL: usize = 64;

/// The interpolative decomposition of the folded samples; of more samples, in more rows, when the rank comes near their number. `rank` is what another
/// cluster of the level needed.
fn decompose<T: Scalar>(
    candidates: &[usize],
    field: &FarField,
    evaluate: &Evaluate<T>,
    rank: Option<usize>,
    options: SkeletonOptions,
) -> Interpolative<T> {
    let n = candidates.len();
    let most = n + n.max(16);
    let guess = match rank {
        Some(k) => k + k / 2 + 16,
        None if n <= 160 => n + n / 2 + 16,
        None => (n / 2).max(176),
    };
    let mut rows = guess.min(most);
    loop {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let samples = field.samples(((options.samples * rows as f64) as usize).max(64), &mut rng);
        let (m, folded) = (samples.len(), rows.min(samples.len()));
        let sketch = folded_entries(candidates, &samples, folded, evaluate, &mut rng);
        let unseen = |k: usize| if folded == m { 1.0 } else { 1.0 - k as f64 / folded as f64 };
        let id = interpolative(sketch, folded, n, |k| options.tolerance * unseen(k), options.cap);
        let k = id.skeleton.len();
        if folded == m || rows == most || id.capped || 8 * k <= 7 * folded {
            return id;
        }
        rows = (2 * rows).min(most);
    }
}

/// The weighted entries at the samples, added up in `folded` rows with random signs, column by column.
fn folded_entries<T: Scalar>(
    candidates: &[usize],
    samples: &[(usize, f64)],
    folded: usize,
    evaluate: &Evaluate<T>,
    rng: &mut ChaCha8Rng,
) -> Vec<T> {
    let mixed = samples.len() > folded;
    let factors = samples.iter().map(|&(_, w)| T::from_f64(if mixed && rng.random::<bool>() { -w } else { w }));
    let factors: Vec<T> = factors.collect();
    let rows: Vec<usize> = samples.iter().map(|&(i, _)| i).collect();
    let mut sketch = vec![T::ZERO; folded * candidates.len()];
    if folded == 0 {
        return sketch;
    }
    let mut block = vec![T::ZERO; folded * PANEL.min(candidates.len())];
    for (candidates, sketch) in candidates.chunks(PANEL).zip(sketch.chunks_mut(PANEL * folded)) {
        for (rows, factors) in rows.chunks(folded).zip(factors.chunks(folded)) {
            let block = &mut block[..rows.len() * candidates.len()];
            evaluate(candidates, rows, block);
            for (to, from) in sketch.chunks_exact_mut(folded).zip(block.chunks_exact(rows.len())) {
                for ((to, &x), &factor) in to.iter_mut().zip(from).zip(factors) {
                    *to += factor * x;
                }
            }
        }
    }
    sketch
}
