//! Against the formulas, written out with dense matrices in double precision.

use super::*;
use crate::{AdamW, adamw_step};

/// Row-major.
#[derive(Clone, Debug)]
struct Dense {
    rows: usize,
    cols: usize,
    v: Vec<f64>,
}

impl Dense {
    fn from(rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Self {
        Self { rows, cols, v: (0..rows * cols).map(|k| f(k / cols, k % cols)).collect() }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.v[i * self.cols + j]
    }

    fn t(&self) -> Self {
        Self::from(self.cols, self.rows, |i, j| self.at(j, i))
    }

    fn times(&self, b: &Self) -> Self {
        assert_eq!(self.cols, b.rows);
        Self::from(self.rows, b.cols, |i, j| (0..self.cols).map(|k| self.at(i, k) * b.at(k, j)).sum())
    }

    /// Orthonormal columns by Gram-Schmidt, twice.
    fn orthonormal(&self) -> Self {
        let mut q = self.t();
        for i in 0..q.rows {
            for _ in 0..2 {
                for k in 0..i {
                    let dot: f64 = (0..q.cols).map(|c| q.at(i, c) * q.at(k, c)).sum();
                    for c in 0..q.cols {
                        q.v[i * q.cols + c] -= dot * q.at(k, c);
                    }
                }
            }
            let norm = (0..q.cols).map(|c| q.at(i, c).powi(2)).sum::<f64>().sqrt();
            (0..q.cols).for_each(|c| q.v[i * q.cols + c] /= norm);
        }
        q.t()
    }
}

fn wave(i: usize, s: f64) -> f64 {
    ((i + 1) as f64 * s + ((i * i) as f64 * 0.37).cos()).sin()
}

const HYPER: Soap =
    Soap { learning_rate: 1e-2, beta1: 0.9, beta2: 0.95, factor_beta: 0.8, epsilon: 1e-8, weight_decay: 0.1 };

struct Owned<T> {
    first: Vec<T>,
    second: Vec<T>,
    factors: Vec<T>,
    bases: Vec<T>,
}

impl<T: Scalar> Owned<T> {
    fn new(plan: &SoapPlan) -> Self {
        let zeros = |n| vec![T::ZERO; n];
        Self {
            first: zeros(plan.len()),
            second: zeros(plan.len()),
            factors: zeros(plan.factors_len()),
            bases: zeros(plan.bases_len()),
        }
    }

    fn state(&mut self) -> SoapState<'_, T> {
        let Self { first, second, factors, bases } = self;
        SoapState { first, second, factors, bases }
    }
}

/// Blocks of these shapes, one after the other.
fn blocks(shapes: &[(usize, usize)]) -> Vec<Block> {
    let mut offset = 0;
    let mut place = |(rows, cols)| {
        offset += rows * cols;
        Block { offset: offset - rows * cols, rows, cols }
    };
    shapes.iter().map(|&shape| place(shape)).collect()
}

const SHAPES: [(usize, usize); 11] =
    [(1, 1), (4, 4), (5, 3), (2, 8), (1, 6), (6, 1), (32, 2), (17, 33), (0, 4), (20, 20), (3, 40)];

/// Blocks whose averages have full rank after five steps: only then is the factor of QR unique but for signs.
const REGULAR: [(usize, usize); 6] = [(4, 4), (5, 3), (2, 8), (17, 33), (8, 2), (20, 20)];

/// The same step with dense matrices: bases, averages (in full) and moments of a block.
struct Oracle {
    left: Dense,
    right: Dense,
    l: Dense,
    r: Dense,
    m: Dense,
    v: Dense,
    w: Dense,
}

impl Oracle {
    fn step(&mut self, g: &Dense, step: i32, scale: f64) {
        let h = &HYPER;
        let g = Dense::from(g.rows, g.cols, |i, j| scale * g.at(i, j));
        let turned = self.left.t().times(&g).times(&self.right);
        let average = |old: &Dense, new: &Dense| {
            Dense::from(old.rows, old.cols, |i, j| h.factor_beta * old.at(i, j) + new.at(i, j))
        };
        self.l = average(&self.l, &g.times(&g.t()));
        self.r = average(&self.r, &g.t().times(&g));
        let (c1, c2) = (1.0 - h.beta1.powi(step), 1.0 - h.beta2.powi(step));
        for (k, &g) in turned.v.iter().enumerate() {
            self.m.v[k] = h.beta1 * self.m.v[k] + (1.0 - h.beta1) * g;
            self.v.v[k] = h.beta2 * self.v.v[k] + (1.0 - h.beta2) * g * g;
        }
        let n = Dense::from(g.rows, g.cols, |i, j| self.m.at(i, j) / c1 / ((self.v.at(i, j) / c2).sqrt() + h.epsilon));
        let change = self.left.times(&n).times(&self.right.t());
        for (w, change) in self.w.v.iter_mut().zip(&change.v) {
            *w = *w * (1.0 - h.learning_rate * h.weight_decay) - h.learning_rate * change;
        }
    }
}

fn identity(n: usize) -> Dense {
    Dense::from(n, n, |i, j| f64::from(u8::from(i == j)))
}

/// Five steps, a refresh if asked for, and two more steps of every block, in type `T`: the largest error of the parameters.
fn against_the_formula<T: Scalar>(shapes: &[(usize, usize)], max_dimension: usize, refresh: bool) -> f64 {
    let blocks = blocks(shapes);
    let plan = SoapPlan::new::<T>(&blocks, max_dimension).unwrap();
    let mut owned = Owned::<T>::new(&plan);
    let start: Vec<f64> = (0..plan.len()).map(|i| wave(i, 0.3)).collect();
    let mut w: Vec<T> = start.iter().map(|&v| T::from_f64(v)).collect();
    let basis = |n: usize| {
        let whole = (2..=max_dimension).contains(&n);
        if whole { Dense::from(n, n, |i, j| wave(i * n + j, 0.7)).orthonormal() } else { identity(n) }
    };
    for side in plan.sides() {
        let q = basis(side.size);
        plan.set_basis(side, &mut owned.state(), &vec![0.0; side.size], &q.t().v).unwrap();
    }
    let mut oracles: Vec<Oracle> = blocks
        .iter()
        .map(|b| {
            let zero = |r, c| Dense::from(r, c, |_, _| 0.0);
            let w = Dense { rows: b.rows, cols: b.cols, v: start[b.range()].to_vec() };
            let (left, right) = (basis(b.rows), basis(b.cols));
            let (l, r) = (zero(b.rows, b.rows), zero(b.cols, b.cols));
            Oracle { left, right, l, r, m: zero(b.rows, b.cols), v: zero(b.rows, b.cols), w }
        })
        .collect();
    for step in 1..=7 {
        let g: Vec<f64> = (0..plan.len()).map(|i| wave(i, 0.11 + step as f64)).collect();
        let single: Vec<T> = g.iter().map(|&v| T::from_f64(v)).collect();
        soap_step(&HYPER, &plan, step, 0.5, &mut w, &single, &mut owned.state()).unwrap();
        for (oracle, b) in oracles.iter_mut().zip(&blocks) {
            oracle.step(&Dense { rows: b.rows, cols: b.cols, v: g[b.range()].to_vec() }, step as i32, 0.5);
        }
        if refresh && step == 5 {
            soap_refresh(&plan, &mut owned.state()).unwrap();
            for oracle in &mut oracles {
                oracle.refresh(max_dimension);
            }
        }
    }
    let expected = oracles.iter().flat_map(|o| o.w.v.iter());
    w.iter().zip(expected).map(|(w, e)| (w.to_f64() - e).abs()).fold(0.0, f64::max)
}

impl Oracle {
    /// Algorithm 4 of the paper: sorted by the estimated eigenvalues, a step of the power iteration, QR.
    fn refresh(&mut self, max_dimension: usize) {
        for rows in [true, false] {
            let (basis, average) = if rows { (&self.left, &self.l) } else { (&self.right, &self.r) };
            let n = basis.rows;
            if !(2..=max_dimension).contains(&n) {
                continue;
            }
            let inner = basis.t().times(average).times(basis);
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&i, &j| inner.at(j, j).total_cmp(&inner.at(i, i)));
            let sorted = Dense::from(n, n, |i, j| basis.at(i, order[j]));
            let new = average.times(&sorted).orthonormal();
            let change = new.t().times(basis);
            if rows {
                self.m = change.times(&self.m);
                self.v = Dense::from(n, self.v.cols, |i, j| self.v.at(order[i], j));
                self.left = new;
            } else {
                self.m = self.m.times(&change.t());
                self.v = Dense::from(self.v.rows, n, |i, j| self.v.at(i, order[j]));
                self.right = new;
            }
        }
    }
}

#[test]
fn steps_and_a_refresh_follow_the_formula() {
    for max_dimension in [64, 20, 4] {
        for (shapes, refresh) in [(&SHAPES[..], false), (&REGULAR[..], true)] {
            let error = against_the_formula::<f64>(shapes, max_dimension, refresh);
            assert!(error < 1e-11, "{max_dimension}: {error:e}");
            let error = against_the_formula::<f32>(shapes, max_dimension, refresh);
            assert!(error < 1e-3, "{max_dimension}: {error:e}");
        }
    }
}

/// A refresh changes the coordinates alone: `Q_L M Q_R^T` stays, even where the averages have low rank.
#[test]
fn a_refresh_keeps_the_moments() {
    let blocks = blocks(&SHAPES);
    let plan = SoapPlan::new::<f64>(&blocks, 64).unwrap();
    let mut owned = Owned::<f64>::new(&plan);
    for side in plan.sides() {
        let q = Dense::from(side.size, side.size, |i, j| wave(i * side.size + j, 0.7)).orthonormal();
        plan.set_basis(side, &mut owned.state(), &vec![0.0; side.size], &q.t().v).unwrap();
    }
    let mut w = vec![0.0; plan.len()];
    // The change of a step without gradient is -lr Q_L [M / sqrt(V)] Q_R^T: with a large epsilon, the first moment in the coordinates of the parameters.
    let hyper = Soap { epsilon: 1e12, learning_rate: 1e12, weight_decay: 0.0, ..HYPER };
    let mut changes = Vec::new();
    for step in 1..=6 {
        let g: Vec<f64> = (0..plan.len()).map(|i| if step < 4 { wave(i, step as f64) } else { 0.0 }).collect();
        let before = w.clone();
        soap_step(&hyper, &plan, step, 1.0, &mut w, &g, &mut owned.state()).unwrap();
        let bias = 1.0 - hyper.beta1.powi(step as i32);
        changes.push(w.iter().zip(&before).map(|(w, b)| (w - b) * bias).collect::<Vec<f64>>());
        if step >= 3 {
            soap_refresh(&plan, &mut owned.state()).unwrap();
        }
    }
    for later in 3..6 {
        for (b, a) in changes[later].iter().zip(&changes[2]) {
            assert!((b - a * 0.9f64.powi(later as i32 - 2)).abs() < 1e-10, "{b} {a}");
        }
    }
}

#[test]
fn without_bases_it_is_adamw() {
    let blocks = blocks(&[(200, 300), (7, 9)]);
    let plan = SoapPlan::new::<f64>(&blocks, 1).unwrap();
    assert_eq!((plan.factors_len(), plan.sides().len()), (0, 0));
    let mut owned = Owned::<f64>::new(&plan);
    let mut w: Vec<f64> = (0..plan.len()).map(|i| wave(i, 0.3)).collect();
    let mut expected = w.clone();
    let (mut m, mut v) = (vec![0.0; plan.len()], vec![0.0; plan.len()]);
    let adamw = AdamW { learning_rate: 1e-2, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1 };
    for step in 1..=3 {
        let g: Vec<f64> = (0..plan.len()).map(|i| wave(i, step as f64)).collect();
        soap_step(&HYPER, &plan, step, 0.5, &mut w, &g, &mut owned.state()).unwrap();
        soap_refresh(&plan, &mut owned.state()).unwrap();
        adamw_step(&adamw, step, 0.5, &mut expected, &g, &mut m, &mut v).unwrap();
    }
    assert!(w.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-14));
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let blocks = blocks(&[[(64, 64); 4].as_slice(), &SHAPES].concat());
            let plan = SoapPlan::new::<f32>(&blocks, 64).unwrap();
            let mut owned = Owned::<f32>::new(&plan);
            for side in plan.sides() {
                let vectors = identity(side.size).v;
                plan.set_basis(side, &mut owned.state(), &vec![0.0; side.size], &vectors).unwrap();
            }
            let mut w = vec![0.0f32; plan.len()];
            for step in 1..=6 {
                let g: Vec<f32> = (0..plan.len()).map(|i| wave(i, step as f64) as f32).collect();
                soap_step(&HYPER, &plan, step, 1.0, &mut w, &g, &mut owned.state()).unwrap();
                if step % 2 == 0 {
                    soap_refresh(&plan, &mut owned.state()).unwrap();
                }
            }
            w.iter().map(|w| w.to_bits()).collect::<Vec<u32>>()
        })
    };
    let one = run(1);
    for threads in [2, 3, 5] {
        assert_eq!(run(threads), one);
    }
}

#[test]
fn grams_are_those_of_the_sides() {
    let blocks = blocks(&SHAPES);
    let plan = SoapPlan::new::<f64>(&blocks, 64).unwrap();
    let g: Vec<f64> = (0..plan.len()).map(|i| wave(i, 0.2)).collect();
    for side in plan.sides() {
        let b = &blocks[side.block];
        let dense = Dense { rows: b.rows, cols: b.cols, v: g[b.range()].to_vec() };
        let expected = if side.rows { dense.times(&dense.t()) } else { dense.t().times(&dense) };
        assert_eq!(side.size, expected.rows);
        let gram = plan.gram(side, &g).unwrap();
        assert!(gram.iter().zip(&expected.v).all(|(a, b)| (a - b).abs() < 1e-12), "{side:?}");
    }
}

#[test]
fn blocks_with_gaps_and_slices_of_other_lengths_are_errors() {
    assert!(SoapPlan::new::<f64>(&[Block { offset: 1, rows: 2, cols: 2 }], 64).is_err());
    let plan = SoapPlan::new::<f64>(&blocks(&[(4, 4)]), 64).unwrap();
    let mut owned = Owned::<f64>::new(&plan);
    assert!(soap_step(&HYPER, &plan, 1, 1.0, &mut [0.0; 15], &[0.0; 16], &mut owned.state()).is_err());
    assert!(soap_step(&HYPER, &plan, 1, 1.0, &mut [0.0; 16], &[0.0; 15], &mut owned.state()).is_err());
    owned.factors.pop();
    assert!(soap_refresh(&plan, &mut owned.state()).is_err());
    // A plan of single precision has other strides.
    let single = SoapPlan::new::<f32>(&blocks(&[(4, 4)]), 64).unwrap();
    assert!(soap_refresh(&single, &mut Owned::<f64>::new(&single).state()).is_err());
}
