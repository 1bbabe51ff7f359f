//! Cluster trees of the rows of a weight by their similarity.
//!
//! The rows of a trained weight are in no geometric order; a hierarchical matrix needs one in which rows that are alike are near each other. For the
//! rank of a block neither the length nor the sign of a row matters, so two rows are compared by the angle between the lines that they
//! span: `d^2 = 2 - 2 |cos|`. (The rows of a Green's function `min(x, y) (1 - max(x, y))` make a closed curve by their values, from zero to
//! zero, and an open one by their angles.) The tree is made by recursive spectral bisection of the graph of nearest neighbours:
//!
//! 1. each row is joined to its nearest neighbours with the weight `exp(-d_ij^2 / (s_i s_j))`, `s_i` the distance to the last but two of them (Zelnik-Manor &
//!    Perona, *Self-tuning spectral clustering*, 2004);
//! 2. a cluster is ordered by the Fiedler vector of the graph that is left within it (Fiedler 1973), which for a curve is the order along the curve (Atkins,
//!    Boman & Hendrickson 1998), found by inverse iteration with a dense Cholesky factorisation;
//! 3. it is cut at the median, or where the sum of the weights cut is less than half of that, and so on down to the leaves.
//!
//! Clusters of more rows than [`DENSE`] are first bisected by the angle in the plane of their two leading principal components, on a random sketch.
//!
//! Cost: O(m^2 n + m^3) for `m <= DENSE` rows of length `n`. Not worth it where no row has a neighbour: [`Neighbours::typical`] tells before
//! the trees are made.

use std::f64::consts::PI;

use faer::{Mat, MatRef};
use farfield_matrix::{ClusterTree, Nested};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::dense::{Cholesky, product, to_matrix};

/// Rows of the largest cluster that is ordered by its graph.
pub(crate) const DENSE: usize = 2048;

/// Neighbours of a row.
const NEIGHBOURS: usize = 10;

/// Columns of a sketch.
const SKETCH: usize = 32;

/// The rows of a matrix, made ready for comparison.
pub(crate) struct Rows {
    /// One row of unit length a column; zero rows stay zero.
    unit: Mat<f64>,
}

impl Rows {
    pub fn new(a: MatRef<f64>) -> Self {
        let (m, n) = (a.nrows(), a.ncols());
        let norms: Vec<f64> = (0..m).map(|i| (0..n).map(|j| a[(i, j)] * a[(i, j)]).sum::<f64>().sqrt()).collect();
        Self { unit: Mat::from_fn(n, m, |j, i| if norms[i] > 0.0 { a[(i, j)] / norms[i] } else { 0.0 }) }
    }

    fn len(&self) -> usize {
        self.unit.ncols()
    }

    /// The largest `|cos|` of a row with another one, in the median of a sample of rows: near 1 if rows have neighbours, about
    /// `sqrt(2 log m / n)` if they are random.
    pub fn typical(&self) -> f64 {
        let m = self.len();
        if m < 2 {
            return 0.0;
        }
        let sample: Vec<usize> = (0..m.min(64)).map(|k| k * m / m.min(64)).collect();
        let some = Mat::from_fn(self.unit.nrows(), sample.len(), |j, k| self.unit[(j, sample[k])]);
        let cosines = product(self.unit.as_ref().transpose(), some.as_ref());
        let mut nearest: Vec<f64> = sample
            .iter()
            .enumerate()
            .map(|(k, &i)| (0..m).filter(|&j| j != i).map(|j| cosines[(j, k)].abs()).fold(0.0, f64::max))
            .collect();
        nearest.sort_by(f64::total_cmp);
        nearest[nearest.len() / 2]
    }

    /// The tree; leaves have at most `leaf` rows.
    pub fn tree(&self, leaf: usize) -> Option<ClusterTree> {
        let all: Vec<usize> = (0..self.len()).collect();
        ClusterTree::from_nested(&self.split_by_angle(all, leaf.max(1), 0)).ok()
    }

    /// Bisects by principal components until the graph of the cluster fits into memory.
    fn split_by_angle(&self, rows: Vec<usize>, leaf: usize, seed: u64) -> Nested {
        if rows.len() <= DENSE {
            return Graph::new(self, &rows).split(&rows, leaf);
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let sketch = SKETCH.min(self.unit.nrows());
        let basis = Mat::from_fn(self.unit.nrows(), sketch, |_, _| random.sample::<f64, _>(StandardNormal));
        let cluster = Mat::from_fn(self.unit.nrows(), rows.len(), |j, k| self.unit[(j, rows[k])]);
        let sketched = product(cluster.as_ref().transpose(), basis.as_ref());
        let mut angles: Vec<(f64, usize)> = match to_matrix(sketched.as_ref()).svd() {
            Ok(svd) if svd.s.len() > 1 => {
                let coordinate = |k: usize, j: usize| svd.u[(k, j)] * svd.s[j];
                rows.iter()
                    .enumerate()
                    .map(|(k, &i)| (coordinate(k, 1).atan2(coordinate(k, 0)).rem_euclid(PI), i))
                    .collect()
            }
            _ => rows.iter().map(|&i| (0.0, i)).collect(),
        };
        angles.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        // Lines have angles on a circle: it is opened at its widest gap.
        let gap = |k: usize| match k {
            0 => angles[0].0 + PI - angles[angles.len() - 1].0,
            k => angles[k].0 - angles[k - 1].0,
        };
        let start = (0..angles.len()).max_by(|&a, &b| gap(a).total_cmp(&gap(b)).then(b.cmp(&a))).unwrap_or(0);
        let order: Vec<usize> = (0..angles.len()).map(|k| angles[(start + k) % angles.len()].1).collect();
        let (left, right) = order.split_at(order.len() / 2);
        let part = |rows: &[usize], k| self.split_by_angle(rows.to_vec(), leaf, 2 * seed + k);
        Nested::Split(vec![part(left, 1), part(right, 2)])
    }
}

/// The graph of nearest neighbours of a set of rows; edges to both sides.
struct Graph {
    edges: Vec<Vec<(usize, f64)>>,
    /// Place of each row in the graph.
    place: Vec<usize>,
}

impl Graph {
    fn new(all: &Rows, rows: &[usize]) -> Self {
        let m = rows.len();
        let mut place = vec![usize::MAX; all.len()];
        rows.iter().enumerate().for_each(|(k, &i)| place[i] = k);
        let own = Mat::from_fn(all.unit.nrows(), m, |j, k| all.unit[(j, rows[k])]);
        let cosines = product(own.as_ref().transpose(), own.as_ref());
        let distance = |i: usize, j: usize| (2.0 - 2.0 * cosines[(i, j)].abs()).max(0.0).sqrt();
        let count = NEIGHBOURS.min(m.saturating_sub(1));
        let (mut nearest, mut scale) = (Vec::with_capacity(m), Vec::with_capacity(m));
        for i in 0..m {
            let mut others: Vec<(f64, usize)> = (0..m).filter(|&j| j != i).map(|j| (distance(j, i), j)).collect();
            let by_distance = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if count < others.len() {
                others.select_nth_unstable_by(count, by_distance);
                others.truncate(count);
            }
            others.sort_by(by_distance);
            scale.push(others.get(count.saturating_sub(3)).map_or(0.0, |o| o.0));
            nearest.push(others);
        }
        let mut edges = vec![Vec::new(); m];
        for (i, others) in nearest.iter().enumerate() {
            for &(d, j) in others {
                let width = scale[i] * scale[j];
                let weight = if d == 0.0 { 1.0 } else { (-d * d / width.max(1e-30)).exp().max(1e-12) };
                edges[i].push((j, weight));
                edges[j].push((i, weight));
            }
        }
        for list in &mut edges {
            list.sort_by_key(|&(j, _)| j);
            list.dedup_by_key(|&mut (j, _)| j);
        }
        Self { edges, place }
    }

    fn split(&self, rows: &[usize], leaf: usize) -> Nested {
        if rows.len() <= leaf {
            return Nested::Leaf(rows.to_vec());
        }
        let order = self.fiedler_order(rows);
        let (left, right) = order.split_at(self.cut(&order));
        Nested::Split(vec![self.split(left, leaf), self.split(right, leaf)])
    }

    /// The rows by their entries in the eigenvector of the second smallest eigenvalue of the Laplacian.
    fn fiedler_order(&self, rows: &[usize]) -> Vec<usize> {
        let n = rows.len();
        let mut inside = vec![usize::MAX; self.edges.len()];
        rows.iter().enumerate().for_each(|(k, &i)| inside[self.place[i]] = k);
        let mut laplacian = Mat::<f64>::zeros(n, n);
        for (k, &i) in rows.iter().enumerate() {
            for &(j, weight) in &self.edges[self.place[i]] {
                if inside[j] != usize::MAX {
                    laplacian[(inside[j], k)] -= weight;
                    laplacian[(k, k)] += weight;
                }
            }
        }
        let largest = (0..n).map(|i| laplacian[(i, i)]).fold(0.0, f64::max);
        (0..n).for_each(|i| laplacian[(i, i)] += 1e-11 * largest.max(f64::MIN_POSITIVE));
        let Some(factor) = Cholesky::new(laplacian) else { return rows.to_vec() };
        // Two vectors, so that a pair of close eigenvalues does not hold up the iteration.
        let mut x = Mat::from_fn(n, 2, |i, j| {
            let t = i as f64 / n as f64 - 0.5;
            if j == 0 { t + 0.1 * ((7 * i + 3) as f64).sin() } else { ((13 * i + 5) as f64).cos() }
        });
        for _ in 0..40 {
            orthonormalise(&mut x);
            factor.solve(x.as_mut());
        }
        orthonormalise(&mut x);
        // The smaller eigenvalue in the span: the larger one of the inverse.
        let mut solved = x.clone();
        factor.solve(solved.as_mut());
        let core = product(x.as_ref().transpose(), solved.as_ref());
        let half = 0.5 * (core[(0, 0)] - core[(1, 1)]);
        let off = 0.5 * (core[(0, 1)] + core[(1, 0)]);
        let (sin, cos) = (0.5 * off.atan2(half)).sin_cos();
        let value = |k: usize| cos * x[(k, 0)] + sin * x[(k, 1)];
        let mut order: Vec<(f64, usize)> = rows.iter().enumerate().map(|(k, &i)| (value(k), i)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        order.into_iter().map(|(_, i)| i).collect()
    }

    /// Where to cut an ordered cluster: in the middle, or where less than half as much is cut.
    fn cut(&self, order: &[usize]) -> usize {
        let n = order.len();
        let mut position = vec![usize::MAX; self.edges.len()];
        order.iter().enumerate().for_each(|(k, &i)| position[self.place[i]] = k);
        // Weight between the first `k` rows and the others.
        let (mut crossing, mut weights) = (0.0, vec![0.0; n + 1]);
        for (k, &i) in order.iter().enumerate() {
            for &(j, weight) in &self.edges[self.place[i]] {
                match position[j] {
                    usize::MAX => {}
                    p if p > k => crossing += weight,
                    _ => crossing -= weight,
                }
            }
            weights[k + 1] = crossing;
        }
        let middle = n / 2;
        let best = (n / 4..=n - n / 4)
            .filter(|&k| k > 0 && k < n)
            .min_by(|&a, &b| weights[a].total_cmp(&weights[b]).then(a.abs_diff(middle).cmp(&b.abs_diff(middle))));
        match best {
            Some(k) if weights[k] < 0.5 * weights[middle] => k,
            _ => middle,
        }
    }
}

/// Both columns orthogonal to the constants and to each other, of unit length.
fn orthonormalise(x: &mut Mat<f64>) {
    let n = x.nrows();
    for _ in 0..2 {
        for j in 0..2 {
            let mean = (0..n).map(|i| x[(i, j)]).sum::<f64>() / n as f64;
            (0..n).for_each(|i| x[(i, j)] -= mean);
            if j == 1 {
                let c: f64 = (0..n).map(|i| x[(i, 0)] * x[(i, 1)]).sum();
                (0..n).for_each(|i| x[(i, 1)] -= c * x[(i, 0)]);
            }
            let norm = (0..n).map(|i| x[(i, j)] * x[(i, j)]).sum::<f64>().sqrt();
            if norm > 0.0 {
                (0..n).for_each(|i| x[(i, j)] /= norm);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shuffled(n: usize, step: usize) -> Vec<usize> {
        (0..n).map(|i| (i * step + 11) % n).collect()
    }

    #[test]
    fn the_rows_of_a_green_function_are_put_back_in_order() {
        let n = 300;
        let order = shuffled(n, 77);
        let x = |i: usize| (i + 1) as f64 / (n + 1) as f64;
        let green = |i: usize, j: usize| x(i).min(x(j)) * (1.0 - x(i).max(x(j)));
        let a = Mat::from_fn(n, n, |i, j| green(order[i], order[j]));
        let rows = Rows::new(a.as_ref());
        assert!(rows.typical() > 0.99);
        let tree = rows.tree(16).unwrap();
        // Every cluster is an interval.
        for c in 0..tree.clusters().len() {
            let mut places: Vec<usize> = tree.indices(c).iter().map(|&i| order[i]).collect();
            places.sort_unstable();
            assert_eq!(places[places.len() - 1] - places[0] + 1, places.len(), "cluster {c}: {places:?}");
        }
    }

    #[test]
    fn groups_of_rows_are_found_whatever_their_signs_and_lengths() {
        // Three groups of uneven size, each in its own plane of a space of 40 dimensions.
        let group = |i: usize| usize::from(i >= 20) + usize::from(i >= 52);
        let order = shuffled(100, 37);
        let a = Mat::from_fn(100, 40, |i, j| {
            let i = order[i];
            let (p, q) = (((i * 29) % 17) as f64 - 8.0, ((i * 31) % 13) as f64 - 6.5);
            let direction = |k: usize| (((group(i) * 83 + k * 47 + j * (j + 3)) % 101) as f64).sin();
            p * direction(1) + q * direction(2)
        });
        let tree = Rows::new(a.as_ref()).tree(10).unwrap();
        let mixed = tree.leaves().filter(|&leaf| {
            let of: Vec<usize> = tree.indices(leaf).iter().map(|&i| group(order[i])).collect();
            of.iter().any(|g| *g != of[0])
        });
        assert!(mixed.count() <= 2);
    }

    #[test]
    fn random_rows_have_no_neighbours_and_degenerate_ones_make_a_tree() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let a = Mat::from_fn(200, 300, |_, _| random.sample::<f64, _>(StandardNormal));
        assert!(Rows::new(a.as_ref()).typical() < 0.3);
        for a in [Mat::<f64>::zeros(40, 5), Mat::from_fn(40, 5, |_, _| 1.0), Mat::from_fn(1, 5, |_, j| j as f64)] {
            let tree = Rows::new(a.as_ref()).tree(8).unwrap();
            assert_eq!(tree.len(), a.nrows());
        }
    }

    #[test]
    fn more_rows_than_a_graph_holds() {
        let n = DENSE + 500;
        let a = Mat::from_fn(n, 6, |i, j| ((j + 1) as f64 * (i as f64 / n as f64)).cos());
        let tree = Rows::new(a.as_ref()).tree(64).unwrap();
        assert_eq!(tree.order().len(), n);
        let widest = tree.leaves().map(|leaf| {
            let places = tree.indices(leaf);
            places.iter().max().unwrap() - places.iter().min().unwrap()
        });
        assert!(widest.max().unwrap() < 200);
    }
}
