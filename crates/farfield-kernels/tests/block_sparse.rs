//! Block-sparse layers and H2 network layers against plain loops and central differences.

mod common;

use std::sync::{Mutex, MutexGuard};

use common::{difference, random, rng, to_f32};
use farfield_kernels::{
    Activation, BlockLayerSpec, BlockPattern, BlockSparseLayer, H2Cluster, H2Layer, H2Layout, H2Shape, H2Spec,
    InstructionSet, PanelShape, Scalar,
};
use rand::{Rng, RngExt};

/// One test at a time: the choice of an instruction set is one for the whole program, and tests compare bits.
fn alone() -> MutexGuard<'static, ()> {
    static INSTRUCTION_SET: Mutex<()> = Mutex::new(());
    INSTRUCTION_SET.lock().unwrap_or_else(|e| e.into_inner())
}

/// Takes the next numbers of the flat slice.
struct Reader<'a>(&'a [f64]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a [f64] {
        let (head, rest) = self.0.split_at(n);
        self.0 = rest;
        head
    }
}

/// `y += w x + c`, row by row.
fn add_product(w: &[f64], x: &[f64], y: &mut [f64]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y += w[i * x.len()..(i + 1) * x.len()].iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    }
}

fn act(f: Activation, x: &mut [f64]) {
    x.iter_mut().for_each(|x| *x = f.value(*x));
}

/// Eq. 4 and the second variant, as the documentation of the pattern orders the parameters. Slots are vectors of numbers, pairs are sorted, the outputs of
/// `group` belong to it.
fn sparse_group(
    p: &mut Reader,
    spec: &BlockLayerSpec,
    pairs: &[(usize, usize)],
    group: &dyn Fn(usize) -> bool,
    x: &[Vec<f64>],
    y: &mut [Vec<f64>],
) {
    let own: Vec<(usize, usize)> = pairs.iter().copied().filter(|pair| group(pair.0)).collect();
    let mut hidden: Vec<Vec<f64>> = own.iter().map(|&(_, l)| x[l].clone()).collect();
    for j in 0..spec.unit_depth {
        let last = j + 1 == spec.unit_depth;
        let f = if last { spec.inside } else { spec.unit_activation };
        let mut next = Vec::new();
        for (&(k, _), from) in own.iter().zip(&hidden) {
            let rows = if last { y[k].len() } else { spec.unit_width.unwrap_or(y[k].len()) };
            let mut to = vec![0.0; rows];
            add_product(p.take(rows * from.len()), from, &mut to);
            next.push(to);
        }
        if spec.bias && f != Activation::Identity {
            for to in &mut next {
                let c = p.take(to.len());
                to.iter_mut().zip(c).for_each(|(to, c)| *to += c);
            }
        }
        next.iter_mut().for_each(|to| act(f, to));
        hidden = next;
    }
    for (k, y) in y.iter_mut().enumerate().filter(|(k, _)| group(*k)) {
        y.fill(0.0);
        let of: Vec<&Vec<f64>> = own.iter().zip(&hidden).filter(|(pair, _)| pair.0 == k).map(|(_, h)| h).collect();
        for part in &of {
            y.iter_mut().zip(part.iter()).for_each(|(y, h)| *y += h);
        }
        if spec.bias && !of.is_empty() {
            let b = p.take(y.len());
            y.iter_mut().zip(b).for_each(|(y, b)| *y += b);
        }
        act(spec.outside, y);
    }
}

/// Applies a function to each sample.
fn by_sample(n_in: usize, x: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    x.chunks(n_in).flat_map(f).collect()
}

fn split(sizes: &[usize], x: &[f64]) -> Vec<Vec<f64>> {
    let mut p = Reader(x);
    sizes.iter().map(|&n| p.take(n).to_vec()).collect()
}

const ACTIVATIONS: [Activation; 4] =
    [Activation::Identity, Activation::Relu, Activation::LeakyRelu { slope: 0.3 }, Activation::Tanh];

fn random_spec(rng: &mut impl Rng) -> BlockLayerSpec {
    let mut activation = || ACTIVATIONS[rng.random_range(0..4)];
    let (outside, inside, unit_activation) = (activation(), activation(), activation());
    BlockLayerSpec {
        outside,
        inside: if rng.random_bool(0.5) { inside } else { Activation::Identity },
        unit_depth: rng.random_range(1..=3),
        unit_width: rng.random_bool(0.5).then(|| rng.random_range(1..=4)),
        unit_activation,
        bias: rng.random_bool(0.5),
    }
}

fn random_pairs(rng: &mut impl Rng, outputs: usize, inputs: usize, share: f64) -> Vec<(usize, usize)> {
    let all = (0..outputs).flat_map(|k| (0..inputs).map(move |l| (k, l)));
    all.filter(|_| rng.random_bool(share)).collect()
}

/// Anything that can be run forward and backward, batch-major.
trait Network {
    fn sizes(&self) -> (usize, usize, usize);
    fn forward<T: Scalar>(&self, batch: usize, x: &[T], p: &[T]) -> Vec<T>;
    fn backward<T: Scalar>(&self, batch: usize, x: &[T], p: &[T], dy: &[T], need_dx: bool) -> (Option<Vec<T>>, Vec<T>);
    fn oracle(&self, x: &[f64], p: &[f64]) -> Vec<f64>;
}

struct Sparse {
    outputs: Vec<usize>,
    inputs: Vec<usize>,
    pairs: Vec<(usize, usize)>,
    spec: BlockLayerSpec,
}

impl Sparse {
    fn pattern(&self) -> BlockPattern {
        BlockPattern::new(&self.outputs, &self.inputs, &self.pairs, self.spec).unwrap()
    }

    fn random(rng: &mut impl Rng) -> Self {
        let sizes = |rng: &mut dyn Rng| {
            let count = rng.random_range(1..=5);
            (0..count).map(|_| rng.random_range(0..=7)).chain([2]).collect::<Vec<usize>>()
        };
        let (outputs, inputs) = (sizes(rng), sizes(rng));
        let share = rng.random_range(0.0..1.0);
        let pairs = random_pairs(rng, outputs.len(), inputs.len(), share);
        Self { outputs, inputs, pairs, spec: random_spec(rng) }
    }
}

impl Network for Sparse {
    fn sizes(&self) -> (usize, usize, usize) {
        let pattern = self.pattern();
        (pattern.n_out(), pattern.n_in(), pattern.len())
    }

    fn forward<T: Scalar>(&self, batch: usize, x: &[T], p: &[T]) -> Vec<T> {
        let pattern = self.pattern();
        let layer = BlockSparseLayer { pattern: &pattern, batch };
        layer.output().unpack(&layer.forward(&layer.input().pack(x).unwrap(), p).unwrap()).unwrap().to_vec()
    }

    fn backward<T: Scalar>(&self, batch: usize, x: &[T], p: &[T], dy: &[T], need_dx: bool) -> (Option<Vec<T>>, Vec<T>) {
        let pattern = self.pattern();
        let layer = BlockSparseLayer { pattern: &pattern, batch };
        let x = layer.input().pack(x).unwrap();
        let y = layer.forward(&x, p).unwrap();
        let back = layer.backward(&x, p, &y, &layer.output().pack(dy).unwrap(), need_dx).unwrap();
        (back.dx.map(|dx| layer.input().unpack(&dx).unwrap().to_vec()), back.parameters.to_vec())
    }

    fn oracle(&self, x: &[f64], p: &[f64]) -> Vec<f64> {
        by_sample(self.inputs.iter().sum(), x, |x| {
            let mut y: Vec<Vec<f64>> = self.outputs.iter().map(|&n| vec![0.0; n]).collect();
            let mut p = Reader(p);
            sparse_group(&mut p, &self.spec, &self.pairs, &|_| true, &split(&self.inputs, x), &mut y);
            assert!(p.0.is_empty());
            y.concat()
        })
    }
}

/// An H2 layer on random trees and templates.
struct H2 {
    rows: Vec<H2Cluster>,
    cols: Vec<H2Cluster>,
    far: Vec<(usize, usize)>,
    far_hidden: Vec<(usize, usize)>,
    near: Vec<(usize, usize)>,
    near_hidden: Vec<(usize, usize)>,
    spec: H2Spec,
}

fn random_tree(rng: &mut impl Rng) -> Vec<H2Cluster> {
    let depth = rng.random_range(0..=3);
    let mut clusters = vec![H2Cluster { children: 0..0, len: 0, rank: 0 }];
    let (mut level, mut first) = (0, 0);
    while level < depth {
        let end = clusters.len();
        for c in first..end {
            let children = if rng.random_bool(0.7) { rng.random_range(1..=3) } else { 0 };
            clusters[c].children = if children > 0 { clusters.len()..clusters.len() + children } else { 0..0 };
            clusters.extend((0..children).map(|_| H2Cluster { children: 0..0, len: 0, rank: 0 }));
        }
        (level, first) = (level + 1, end);
    }
    for cluster in &mut clusters {
        cluster.len = if cluster.children.is_empty() { rng.random_range(0..=6) } else { 99 };
        cluster.rank = rng.random_range(0..=3);
    }
    // Something to map.
    clusters.last_mut().unwrap().len = 3;
    clusters
}

fn leaves(tree: &[H2Cluster]) -> Vec<usize> {
    fn collect(tree: &[H2Cluster], c: usize, out: &mut Vec<usize>) {
        if tree[c].children.is_empty() {
            out.push(c);
        }
        tree[c].children.clone().for_each(|child| collect(tree, child, out));
    }
    let mut out = Vec::new();
    collect(tree, 0, &mut out);
    out
}

fn level(tree: &[H2Cluster], c: usize) -> usize {
    tree.iter().position(|parent| parent.children.contains(&c)).map_or(0, |parent| level(tree, parent) + 1)
}

impl H2 {
    fn random(rng: &mut impl Rng) -> Self {
        let (rows, cols) = (random_tree(rng), random_tree(rng));
        let share = rng.random_range(0.0..0.7);
        let of_leaves = |pairs: Vec<(usize, usize)>, tree: &[H2Cluster]| {
            pairs.into_iter().map(|(s, t)| (leaves(&rows)[s], leaves(tree)[t])).collect()
        };
        let near = random_pairs(rng, leaves(&rows).len(), leaves(&cols).len(), share);
        let near_hidden = random_pairs(rng, leaves(&rows).len(), leaves(&rows).len(), share);
        let mut layers = |n: usize| (0..n).map(|_| random_spec(rng)).collect::<Vec<_>>();
        let spec = H2Spec { far: layers(3), near: layers(2) };
        let cut = rng.random_range(1..=3);
        let spec = H2Spec { far: spec.far[..cut].to_vec(), near: spec.near[..rng.random_range(1..=2)].to_vec() };
        Self {
            far: random_pairs(rng, rows.len(), cols.len(), share),
            far_hidden: random_pairs(rng, rows.len(), rows.len(), share),
            near: of_leaves(near, &cols),
            near_hidden: of_leaves(near_hidden, &rows),
            rows,
            cols,
            spec,
        }
    }

    fn layout(&self) -> H2Layout {
        let shape = H2Shape {
            rows: &self.rows,
            cols: &self.cols,
            far: &self.far,
            far_hidden: &self.far_hidden,
            near: &self.near,
            near_hidden: &self.near_hidden,
        };
        H2Layout::new(&shape, &self.spec).unwrap()
    }
}

impl Network for H2 {
    fn sizes(&self) -> (usize, usize, usize) {
        let layout = self.layout();
        (layout.n_out(), layout.n_in(), layout.len())
    }

    fn forward<T: Scalar>(&self, batch: usize, x: &[T], p: &[T]) -> Vec<T> {
        let layout = self.layout();
        let layer = H2Layer { layout: &layout, batch };
        let x = layer.input().pack(x).unwrap();
        let forward = layer.forward(&x, p, false).unwrap();
        assert!(forward.saved.is_none());
        let kept = layer.forward(&x, p, true).unwrap();
        assert!(kept.y[..] == forward.y[..]);
        layer.output().unpack(&kept.y).unwrap().to_vec()
    }

    fn backward<T: Scalar>(&self, batch: usize, x: &[T], p: &[T], dy: &[T], need_dx: bool) -> (Option<Vec<T>>, Vec<T>) {
        let layout = self.layout();
        let layer = H2Layer { layout: &layout, batch };
        let x = layer.input().pack(x).unwrap();
        let saved = layer.forward(&x, p, true).unwrap().saved.unwrap();
        let dy = layer.output().pack(dy).unwrap();
        let back = layer.backward(&x, p, &saved, &dy, need_dx).unwrap();
        (back.dx.map(|dx| layer.input().unpack(&dx).unwrap().to_vec()), back.parameters.to_vec())
    }

    fn oracle(&self, x: &[f64], p: &[f64]) -> Vec<f64> {
        let (source_leaves, receiver_leaves) = (leaves(&self.cols), leaves(&self.rows));
        let sizes: Vec<usize> = source_leaves.iter().map(|&c| self.cols[c].len).collect();
        let levels = |tree: &[H2Cluster]| (0..tree.len()).map(|c| level(tree, c)).collect::<Vec<_>>();
        let (col_levels, row_levels) = (levels(&self.cols), levels(&self.rows));
        by_sample(sizes.iter().sum(), x, |x| {
            let mut p = Reader(p);
            let q = split(&sizes, x);
            let mut up: Vec<Vec<f64>> = self.cols.iter().map(|c| vec![0.0; c.rank]).collect();
            for (&c, q) in source_leaves.iter().zip(&q) {
                add_product(p.take(self.cols[c].rank * q.len()), q, &mut up[c]);
            }
            for l in (0..=3).rev() {
                for c in (0..self.cols.len()).filter(|&c| col_levels[c] == l && !self.cols[c].children.is_empty()) {
                    let below = up[self.cols[c].children.clone()].concat();
                    add_product(p.take(self.cols[c].rank * below.len()), &below, &mut up[c]);
                }
            }
            let mut received = up;
            for (i, spec) in self.spec.far.iter().enumerate() {
                let pairs = if i == 0 { &self.far } else { &self.far_hidden };
                let mut next: Vec<Vec<f64>> = self.rows.iter().map(|c| vec![0.0; c.rank]).collect();
                for l in 0..=3 {
                    sparse_group(&mut p, spec, pairs, &|k| row_levels[k] == l, &received, &mut next);
                }
                received = next;
            }
            let mut w = q;
            for (i, spec) in self.spec.near.iter().enumerate() {
                let pairs = if i == 0 { &self.near } else { &self.near_hidden };
                let from = if i == 0 { &source_leaves } else { &receiver_leaves };
                let place = |leaves: &[usize], c| leaves.iter().position(|&leaf| leaf == c).unwrap();
                let mut pairs: Vec<_> =
                    pairs.iter().map(|&(s, t)| (place(&receiver_leaves, s), place(from, t))).collect();
                pairs.sort_unstable();
                let mut next: Vec<Vec<f64>> = receiver_leaves.iter().map(|&c| vec![0.0; self.rows[c].len]).collect();
                sparse_group(&mut p, spec, &pairs, &|_| true, &w, &mut next);
                w = next;
            }
            for l in 0..=3 {
                for c in (0..self.rows.len()).filter(|&c| row_levels[c] == l && !self.rows[c].children.is_empty()) {
                    let children = self.rows[c].children.clone();
                    let sizes: Vec<usize> = children.clone().map(|c| self.rows[c].rank).collect();
                    let rows = sizes.iter().sum::<usize>();
                    let mut below = vec![0.0; rows];
                    add_product(p.take(rows * self.rows[c].rank), &received[c].clone(), &mut below);
                    for (child, part) in children.zip(split(&sizes, &below)) {
                        received[child].iter_mut().zip(part).for_each(|(to, x)| *to += x);
                    }
                }
            }
            for (&c, w) in receiver_leaves.iter().zip(&mut w) {
                add_product(p.take(self.rows[c].rank * w.len()), &received[c], w);
            }
            assert!(p.0.is_empty());
            w.concat()
        })
    }
}

/// Forward against the oracle, in both precisions.
fn check_forward(network: &impl Network, rng: &mut impl Rng) {
    let (n_out, n_in, len) = network.sizes();
    let batch = [1, 5, 17, 130][rng.random_range(0..4)];
    let (x, p) = (random(rng, batch * n_in), random(rng, len));
    let expected = network.oracle(&x, &p);
    assert_eq!(expected.len(), batch * n_out);
    assert!(difference(&network.forward(batch, &x, &p), &expected) < 1e-13);
    assert!(difference(&network.forward(batch, &to_f32(&x), &to_f32(&p)), &expected) < 1e-5);
}

/// Every derivative of `sum(dy y)` against central differences of the oracle.
fn check_gradient(network: &impl Network, rng: &mut impl Rng) {
    let (n_out, n_in, len) = network.sizes();
    let batch = 3;
    let (x, p, dy) = (random(rng, batch * n_in), random(rng, len), random(rng, batch * n_out));
    let loss = |x: &[f64], p: &[f64]| network.oracle(x, p).iter().zip(&dy).map(|(y, d)| y * d).sum::<f64>();
    let (dx, dp) = network.backward(batch, &x, &p, &dy, true);
    let h = 1e-6;
    let check = |got: f64, at: &dyn Fn(f64) -> f64, what: &str| {
        let expected = (at(h) - at(-h)) / (2.0 * h);
        assert!((got - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{what}: {got} instead of {expected}");
    };
    let moved = |v: &[f64], i: usize, by: f64| {
        let mut v = v.to_vec();
        v[i] += by;
        v
    };
    for (i, &got) in dx.unwrap().iter().enumerate() {
        check(got, &|h| loss(&moved(&x, i, h), &p), &format!("input {i}"));
    }
    for (i, &got) in dp.iter().enumerate() {
        check(got, &|h| loss(&x, &moved(&p, i, h)), &format!("parameter {i}"));
    }
    let (none, same) = network.backward(batch, &x, &p, &dy, false);
    assert!(none.is_none() && same == dp);
}

#[test]
fn sparse_layers_equal_plain_loops() {
    let _alone = alone();
    let mut rng = rng(1);
    for _ in 0..150 {
        let network = Sparse::random(&mut rng);
        check_forward(&network, &mut rng);
    }
}

#[test]
fn gradients_of_sparse_layers_equal_central_differences() {
    let _alone = alone();
    let mut rng = rng(2);
    for _ in 0..40 {
        let network = Sparse::random(&mut rng);
        check_gradient(&network, &mut rng);
    }
}

#[test]
fn h2_layers_equal_plain_loops() {
    let _alone = alone();
    let mut rng = rng(3);
    for _ in 0..80 {
        let network = H2::random(&mut rng);
        check_forward(&network, &mut rng);
    }
}

#[test]
fn gradients_of_h2_layers_equal_central_differences() {
    let _alone = alone();
    let mut rng = rng(4);
    for _ in 0..25 {
        let network = H2::random(&mut rng);
        check_gradient(&network, &mut rng);
    }
}

#[test]
fn every_instruction_set() {
    let _alone = alone();
    for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
        if set.select() {
            let mut rng = rng(8);
            for _ in 0..25 {
                check_forward(&Sparse::random(&mut rng), &mut rng);
                check_forward(&H2::random(&mut rng), &mut rng);
            }
            for _ in 0..6 {
                check_gradient(&Sparse::random(&mut rng), &mut rng);
            }
            // Tiles of ten rows, and blocks whose rows fill several tiles.
            for size in [8, 10, 17] {
                let spec =
                    BlockLayerSpec { outside: Activation::LeakyRelu { slope: 0.2 }, ..BlockLayerSpec::default() };
                check_forward(&band(7, size, 1, spec), &mut rng);
            }
        }
    }
    InstructionSet::best().select();
}

/// A line of `clusters` slots that see `reach` neighbours on either side.
fn band(clusters: usize, size: usize, reach: usize, spec: BlockLayerSpec) -> Sparse {
    let near = |k: usize| (k.saturating_sub(reach)..(k + reach + 1).min(clusters)).map(move |l| (k, l));
    let sizes: Vec<usize> = (0..clusters).map(|k| size + k % 3).collect();
    Sparse { outputs: sizes.clone(), inputs: sizes, pairs: (0..clusters).flat_map(near).collect(), spec }
}

#[test]
fn the_bits_do_not_depend_on_threads() {
    let _alone = alone();
    let inside = BlockLayerSpec { inside: Activation::Relu, bias: true, unit_depth: 2, ..BlockLayerSpec::default() };
    for spec in [BlockLayerSpec { bias: true, ..BlockLayerSpec::default() }, inside] {
        let network = band(60, 33, 2, spec);
        let (n_out, n_in, len) = network.sizes();
        let mut rng = rng(5);
        let batch = 300;
        let (x, p) = (to_f32(&random(&mut rng, batch * n_in)), to_f32(&random(&mut rng, len)));
        let dy = to_f32(&random(&mut rng, batch * n_out));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| (network.forward(batch, &x, &p), network.backward(batch, &x, &p, &dy, true)))
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3));
    }
}

/// Blocks large enough for the transposing path of the gradient, and more panels than one group.
#[test]
fn large_blocks_and_batches() {
    let _alone = alone();
    let mut rng = rng(6);
    for spec in [BlockLayerSpec::linear(), BlockLayerSpec { inside: Activation::Tanh, ..BlockLayerSpec::linear() }] {
        let network = Sparse { outputs: vec![40, 65], inputs: vec![50, 33], pairs: vec![(0, 0), (1, 0), (1, 1)], spec };
        let (n_out, n_in, len) = network.sizes();
        let batch = 333;
        let (x, p, dy) = (random(&mut rng, batch * n_in), random(&mut rng, len), random(&mut rng, batch * n_out));
        assert!(difference(&network.forward(batch, &x, &p), &network.oracle(&x, &p)) < 1e-13);
        // Along random directions.
        let (dx, dp) = network.backward(batch, &x, &p, &dy, true);
        let (vx, vp) = (random(&mut rng, x.len()), random(&mut rng, len));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let plus = |a: &[f64], b: &[f64], h: f64| a.iter().zip(b).map(|(a, b)| a + h * b).collect::<Vec<_>>();
        let at = |h: f64| dot(&network.forward(batch, &plus(&x, &vx, h), &plus(&p, &vp, h)), &dy);
        let (got, h) = (dot(&dx.unwrap(), &vx) + dot(&dp, &vp), 1e-5);
        let expected = (at(h) - at(-h)) / (2.0 * h);
        assert!((got - expected).abs() < 1e-6 * expected.abs().max(100.0), "{got} instead of {expected}");
    }
}

#[test]
fn products_add_up_and_an_empty_batch_has_zero_gradients() {
    let _alone = alone();
    let network = band(5, 4, 1, BlockLayerSpec::linear());
    let pattern = network.pattern();
    let layer = BlockSparseLayer { pattern: &pattern, batch: 9 };
    let mut rng = rng(7);
    let (x, p) = (random(&mut rng, 9 * pattern.n_in()), random(&mut rng, pattern.len()));
    let x = layer.input().pack(&x).unwrap();
    let mut y = layer.forward(&x, &p).unwrap().to_vec();
    let once = y.clone();
    layer.add_product(&x, &p, &mut y).unwrap();
    assert!(y.iter().zip(&once).all(|(twice, once)| *twice == once + once));

    for inside in [Activation::Identity, Activation::Relu] {
        let spec = BlockLayerSpec { inside, bias: true, ..BlockLayerSpec::default() };
        let network = band(5, 4, 1, spec);
        let len = network.sizes().2;
        let (dx, dp) = network.backward::<f64>(0, &[], &random(&mut rng, len), &[], true);
        assert!(dx.unwrap().is_empty() && dp == vec![0.0; len]);
    }
}

#[test]
fn wrong_lengths_and_trees_are_errors() {
    let _alone = alone();
    let network = band(3, 4, 1, BlockLayerSpec::default());
    let pattern = network.pattern();
    let layer = BlockSparseLayer { pattern: &pattern, batch: 2 };
    let x = vec![0.0f64; PanelShape::new_1d(2, pattern.n_in()).elements::<f64>()];
    let p = vec![0.0; pattern.len()];
    let error = layer.forward(&x, &p[1..]).unwrap_err().to_string();
    assert_eq!(error, format!("the parameters has {} entries, {} are needed", p.len() - 1, p.len()));
    assert!(layer.forward(&x[1..], &p).is_err());
    assert!(layer.backward(&x, &p, &x, &x[1..], true).is_err());
    assert!(layer.add_product(&x, &p, &mut x.clone()).unwrap_err().to_string().contains("no activation outside"));

    let cluster = |children: std::ops::Range<usize>, len, rank| H2Cluster { children, len, rank };
    let tree = vec![cluster(1..3, 0, 0), cluster(0..0, 2, 1), cluster(0..0, 3, 1)];
    let shape = H2Shape {
        rows: &tree,
        cols: &tree,
        far: &[(1, 2), (2, 1)],
        far_hidden: &[],
        near: &[(1, 1), (2, 2)],
        near_hidden: &[],
    };
    let linear = H2Spec::linear();
    let error = |shape: &H2Shape, spec: &H2Spec| H2Layout::new(shape, spec).unwrap_err().to_string();
    assert_eq!(
        error(&H2Shape { near: &[(0, 1)], ..shape }, &linear),
        "near field: the pair (0, 1) is not one of leaves"
    );
    assert!(
        error(&H2Shape { far: &[(0, 7)], ..shape }, &linear).contains("(0, 7) is not among 3 outputs and 3 inputs")
    );
    assert!(error(&shape, &H2Spec { far: vec![], ..linear.clone() }).contains("at least one layer"));
    let empty = vec![cluster(0..0, 0, 0)];
    assert!(error(&H2Shape { rows: &empty, far: &[], near: &[], ..shape }, &linear).contains("has no numbers"));
    let crossed = vec![cluster(2..3, 0, 0), cluster(0..0, 2, 1), cluster(0..0, 3, 1)];
    assert!(error(&H2Shape { cols: &crossed, ..shape }, &linear).contains("level by level"));

    let layout = H2Layout::new(&shape, &linear).unwrap();
    let names: Vec<&str> = layout.parts().iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["restriction.leaves", "far.0.level1.W", "near.0.W", "interpolation.leaves"]);
    assert_eq!(layout.parts()[1].stacked(), Some([2, 1, 1]));
    assert_eq!(layout.parts()[2].stacked(), None);
    assert_eq!(layout.parts().last().unwrap().range.end, layout.len());
}
