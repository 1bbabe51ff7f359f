//! Matrices drawn at random: kernels with random parameters on random points, structured and random ones.

use std::sync::Arc;

use farfield_matrix::{ClusterTree, Matrix, Points, Splitting};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::cases::{cases, gap, gaussian, geometric};

/// A matrix, and a tree that suits it.
pub struct Draw {
    pub name: String,
    pub a: Matrix<f64>,
    pub tree: Arc<ClusterTree>,
}

pub fn log_uniform(random: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    (random.random_range(low.ln()..high.ln())).exp()
}

/// `n` points: uniform, graded towards a corner, in clumps, on a lattice, or partly coinciding.
pub fn points(random: &mut ChaCha8Rng, n: usize, dim: usize) -> Points {
    let kind = random.random_range(0..5);
    let clumps: Vec<f64> = (0..4 * dim).map(|_| random.random::<f64>()).collect();
    let side = (n as f64).powf(1.0 / dim as f64).ceil() as usize;
    let mut x = Vec::with_capacity(n * dim);
    for i in 0..n {
        for k in 0..dim {
            let u: f64 = random.random();
            x.push(match kind {
                0 => u,
                1 => u.powi(4),
                2 => clumps[(i % 4) * dim + k] + 0.05 * u,
                3 => ((i / side.pow(k as u32)) % side) as f64 / side as f64,
                _ => u,
            });
        }
        if kind == 4 && i % 7 == 6 {
            for k in 0..dim {
                x[i * dim + k] = x[(i - 1) * dim + k];
            }
        }
    }
    Points::new(dim, x).unwrap()
}

/// A kernel of two points with random parameters: by distance, some with a factor that is not symmetric, and something on the diagonal.
pub fn kernel_matrix(random: &mut ChaCha8Rng, p: &Points) -> (String, Matrix<f64>) {
    let n = p.len();
    let kind = random.random_range(0..8);
    let c = log_uniform(random, 0.3, 30.0);
    let soft = log_uniform(random, 1e-3, 1.0);
    let skew = if random.random_range(0..3) == 0 { random.random_range(-0.9..0.9) } else { 0.0 };
    let diagonal = if random.random::<bool>() { log_uniform(random, 0.1, 100.0) } else { 0.0 };
    let f = move |r: f64| match kind {
        0 => (-c * r).exp(),
        1 => 1.0 / (r + soft),
        2 => (c * r).cos() / (r + soft),
        3 => (-c * r * r).exp(),
        4 => (r + soft).ln(),
        5 => (1.0 + c * r * r).sqrt(),
        6 => 1.0 / (r * r + soft * soft),
        _ => r.powi(3) - c * r,
    };
    let entry =
        |i: usize, j: usize| f(gap(p, i, p, j)) * (1.0 + skew * p.point(j)[0]) + if i == j { diagonal } else { 0.0 };
    (
        format!("kernel {kind}, c = {c:.3}, softening {soft:.2e}, skew {skew:.2}, diagonal {diagonal:.2}"),
        Matrix::from_fn(n, n, entry),
    )
}

/// Kernel matrices mostly; structured, decaying and random matrices for the rest.
pub fn any(random: &mut ChaCha8Rng, n: usize) -> Draw {
    let leaf = random.random_range(4..n / 2 + 1);
    match random.random_range(0..8) {
        0 => {
            let all = cases(n);
            let (name, a) = all.into_iter().nth(random.random_range(0..9)).unwrap();
            Draw { name: name.to_owned(), a, tree: Arc::new(ClusterTree::bisection(n, leaf).unwrap()) }
        }
        1 => {
            let (noise, decay) = (gaussian(random, n, n), random.random_range(0.3..1.0f64));
            let a = Matrix::from_fn(n, n, |i, j| noise[(i, j)] * decay.powi(i32::try_from(i + j).unwrap()));
            Draw { name: "decaying noise".to_owned(), a, tree: Arc::new(ClusterTree::bisection(n, leaf).unwrap()) }
        }
        2 => Draw {
            name: "noise".to_owned(),
            a: gaussian(random, n, n),
            tree: Arc::new(ClusterTree::bisection(n, leaf).unwrap()),
        },
        _ => kernel(random, n, leaf),
    }
}

/// A kernel matrix on a geometric tree with leaves of at most `leaf`.
pub fn kernel(random: &mut ChaCha8Rng, n: usize, leaf: usize) -> Draw {
    let dim = random.random_range(1..4);
    let p = points(random, n, dim);
    let (name, a) = kernel_matrix(random, &p);
    let splitting = [Splitting::Median, Splitting::Midpoint, Splitting::Boxes][random.random_range(0..3)];
    Draw { name: format!("{name}, {dim}D"), a, tree: geometric(&p, leaf, splitting) }
}

/// A tolerance between `1e-11` and `0.1`.
pub fn tolerance(random: &mut ChaCha8Rng) -> f64 {
    log_uniform(random, 1e-11, 0.1)
}
