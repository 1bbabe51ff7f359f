//! The dense oracle: definition 2.1 of Neural-HSS and eq. 1, written with dense matrices and plain loops.

// Each test binary uses a part of it.
#![allow(dead_code)]

use farfield_kernels::{Forward, HssLayout, Layer1d, Layer2d, Layer3d, PanelShape, Scalar};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub fn random(rng: &mut impl Rng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Row-major dense matrix.
#[derive(Clone)]
pub struct Dense {
    pub rows: usize,
    pub cols: usize,
    pub a: Vec<f64>,
}

impl Dense {
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self { rows, cols, a: vec![0.0; rows * cols] }
    }
    pub fn times(&self, b: &Dense) -> Dense {
        assert_eq!(self.cols, b.rows);
        let mut c = Dense::zeros(self.rows, b.cols);
        for i in 0..self.rows {
            for k in 0..self.cols {
                for j in 0..b.cols {
                    c.a[i * b.cols + j] += self.a[i * self.cols + k] * b.a[k * b.cols + j];
                }
            }
        }
        c
    }
    pub fn transpose(&self) -> Dense {
        let mut t = Dense::zeros(self.cols, self.rows);
        for i in 0..self.rows {
            for j in 0..self.cols {
                t.a[j * self.rows + i] = self.a[i * self.cols + j];
            }
        }
        t
    }
    pub fn plus(mut self, b: &Dense) -> Dense {
        self.a.iter_mut().zip(&b.a).for_each(|(a, b)| *a += b);
        self
    }
}

/// Reads blocks off the flat slice in the documented order, without the offsets of the layout.
fn block_diagonal(p: &mut &[f64], sizes: &[(usize, usize)]) -> Dense {
    let mut m = Dense::zeros(sizes.iter().map(|s| s.0).sum(), sizes.iter().map(|s| s.1).sum());
    let (mut row, mut col) = (0, 0);
    for &(rows, cols) in sizes {
        let (block, rest) = p.split_at(rows * cols);
        *p = rest;
        for i in 0..rows {
            for j in 0..cols {
                m.a[(row + i) * m.cols + col + j] = block[i * cols + j];
            }
        }
        row += rows;
        col += cols;
    }
    m
}

fn assemble(mut p: &[f64], n_out: usize, n_in: usize, level: usize, rank: usize, inner: bool) -> Dense {
    let count = 1usize << level;
    let size = |n: usize, i: usize| if inner { n / count } else { (i + 1) * n / count - i * n / count };
    let sizes = |f: &dyn Fn(usize) -> (usize, usize)| (0..count).map(f).collect::<Vec<_>>();
    let d = block_diagonal(&mut p, &sizes(&|i| (size(n_out, i), size(n_in, i))));
    if level == 0 {
        assert!(p.is_empty());
        return d;
    }
    let u = block_diagonal(&mut p, &sizes(&|i| (size(n_out, i), rank)));
    let v = block_diagonal(&mut p, &sizes(&|i| (size(n_in, i), rank)));
    let core = assemble(p, count * rank, count * rank, level - 1, rank, true);
    d.plus(&u.times(&core).times(&v.transpose()))
}

/// The matrix, by the telescopic recursion.
pub fn dense(layout: &HssLayout, p: &[f64]) -> Dense {
    assemble(p, layout.n_out(), layout.n_in(), layout.levels(), layout.rank(), false)
}

/// `x times_axis A` for one array of the given shape.
pub fn modal(x: &[f64], shape: &[usize], axis: usize, a: &Dense) -> (Vec<f64>, Vec<usize>) {
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let mut out_shape = shape.to_vec();
    out_shape[axis] = a.rows;
    let mut y = vec![0.0; outer * a.rows * inner];
    for o in 0..outer {
        for i in 0..a.rows {
            for j in 0..a.cols {
                for q in 0..inner {
                    y[(o * a.rows + i) * inner + q] += a.a[i * a.cols + j] * x[(o * a.cols + j) * inner + q];
                }
            }
        }
    }
    (y, out_shape)
}

/// A layer of any dimension: one interface over the three.
pub struct Layer {
    pub modes: Vec<HssLayout>,
    pub outer_rank: usize,
    pub batch: usize,
}

impl Layer {
    /// A random small shape; leaves unequal, empty, smaller than the rank, rectangular, no samples: everything legal.
    pub fn random(rng: &mut impl Rng) -> Self {
        let dims = rng.random_range(1..=3usize);
        let largest = [70, 24, 19][dims - 1];
        let mode = |rng: &mut dyn Rng| {
            let n_in = rng.random_range(1..=largest);
            let n_out = if rng.random_bool(0.5) { n_in } else { rng.random_range(1..=largest) };
            HssLayout::new(n_out, n_in, rng.random_range(0..=3), rng.random_range(0..=5)).unwrap()
        };
        let modes: Vec<_> = (0..dims).map(|_| mode(rng)).collect();
        let batch = if rng.random_bool(0.05) { 0 } else { rng.random_range(1..=[40, 20, 3][dims - 1]) };
        Self { modes, outer_rank: if dims == 1 { 1 } else { rng.random_range(1..=3) }, batch }
    }

    pub fn parameters(&self) -> usize {
        self.outer_rank * self.modes.iter().map(|m| m.len()).sum::<usize>()
    }
    pub fn inputs(&self) -> usize {
        self.batch * self.modes.iter().map(|m| m.n_in()).product::<usize>()
    }
    pub fn outputs(&self) -> usize {
        self.batch * self.modes.iter().map(|m| m.n_out()).product::<usize>()
    }

    /// Eq. 1 without activation, from dense matrices.
    pub fn oracle(&self, x: &[f64], p: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; self.outputs()];
        let mut p = p;
        for _ in 0..self.outer_rank {
            let mut term = x.to_vec();
            let mut shape: Vec<usize> =
                std::iter::once(self.batch).chain(self.modes.iter().map(|m| m.n_in())).collect();
            for (axis, layout) in self.modes.iter().enumerate() {
                let (own, rest) = p.split_at(layout.len());
                p = rest;
                (term, shape) = modal(&term, &shape, axis + 1, &dense(layout, own));
            }
            y.iter_mut().zip(&term).for_each(|(y, t)| *y += t);
        }
        y
    }

    fn panels(&self) -> Option<(PanelShape, PanelShape)> {
        match &self.modes[..] {
            [a] => {
                let layer = Layer1d { layout: a, batch: self.batch };
                Some((layer.input(), layer.output()))
            }
            [a, b] => {
                let layer = Layer2d { first: a, second: b, outer_rank: self.outer_rank, batch: self.batch };
                Some((layer.input(), layer.output()))
            }
            _ => None,
        }
    }

    /// Through the kernels: batch-major in, batch-major out, and what was kept.
    pub fn forward<T: Scalar>(&self, x: &[T], p: &[T], slope: Option<T>, keep: bool) -> (Vec<T>, Option<Vec<T>>) {
        let panels = self.panels();
        let packed = panels.map(|(input, _)| input.pack(x).unwrap().to_vec());
        let x = packed.as_deref().unwrap_or(x);
        let Forward { y, saved } = match &self.modes[..] {
            [a] => Layer1d { layout: a, batch: self.batch }.forward(x, p, slope, keep),
            [a, b] => Layer2d { first: a, second: b, outer_rank: self.outer_rank, batch: self.batch }
                .forward(x, p, slope, keep),
            [a, b, c] => {
                Layer3d { modes: [a, b, c], outer_rank: self.outer_rank, batch: self.batch }.forward(x, p, slope, keep)
            }
            _ => unreachable!(),
        }
        .unwrap();
        let y = match panels {
            Some((_, output)) => output.unpack(&y[..]).unwrap().to_vec(),
            None => y.to_vec(),
        };
        (y, saved.map(|s| s.to_vec()))
    }

    /// `(dx, parameter gradient, slope gradient)`, batch-major.
    pub fn backward<T: Scalar>(
        &self,
        x: &[T],
        p: &[T],
        slope: Option<T>,
        saved: &[T],
        dy: &[T],
        need_dx: bool,
    ) -> (Option<Vec<T>>, Vec<T>, f64) {
        let panels = self.panels();
        let (x, mut dy) = match panels {
            Some((input, output)) => (input.pack(x).unwrap().to_vec(), output.pack(dy).unwrap().to_vec()),
            None => (x.to_vec(), dy.to_vec()),
        };
        let back = match &self.modes[..] {
            [a] => Layer1d { layout: a, batch: self.batch }.backward(&x, p, slope, saved, &mut dy, need_dx),
            [a, b] => Layer2d { first: a, second: b, outer_rank: self.outer_rank, batch: self.batch }
                .backward(&x, p, slope, saved, &mut dy, need_dx),
            [a, b, c] => Layer3d { modes: [a, b, c], outer_rank: self.outer_rank, batch: self.batch }
                .backward(&x, p, slope, saved, &mut dy, need_dx),
            _ => unreachable!(),
        }
        .unwrap();
        let dx = back.dx.map(|dx| match panels {
            Some((input, _)) => input.unpack(&dx[..]).unwrap().to_vec(),
            None => dx.to_vec(),
        });
        (dx, back.parameters.to_vec(), back.slope)
    }
}

pub fn to_f32(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

/// Largest difference over the largest expected magnitude.
pub fn difference<T: Scalar>(got: &[T], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let scale = expected.iter().fold(1.0f64, |m, e| m.max(e.abs()));
    got.iter().zip(expected).fold(0.0f64, |m, (g, e)| m.max((g.to_f64() - e).abs())) / scale
}
