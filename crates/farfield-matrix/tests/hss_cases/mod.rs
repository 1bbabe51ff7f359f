//! HSS matrices and dense oracles that the tests of solvers share.
#![allow(dead_code)]

use std::sync::Arc;

use farfield_matrix::{ClusterTree, Hss, HssLayout, LinearOperator, Matrix, Nested, NodeShape};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub fn gaussian(random: &mut ChaCha8Rng, nrows: usize, ncols: usize) -> Matrix<f64> {
    Matrix::from_fn(nrows, ncols, |_, _| random.sample(StandardNormal))
}

/// A tree of `n` indices in random order with 1 to 4 children a node, leaves on any level, some of them empty.
pub fn wild_tree(random: &mut ChaCha8Rng, n: usize) -> ClusterTree {
    fn grow(random: &mut ChaCha8Rng, indices: &[usize], depth: usize) -> Nested {
        if depth == 0 || indices.len() < 3 || random.random_range(0..5) == 0 {
            return Nested::Leaf(indices.to_vec());
        }
        let parts = random.random_range(1..=4);
        let mut cuts: Vec<usize> = (1..parts).map(|_| random.random_range(0..=indices.len())).collect();
        cuts.extend([0, indices.len()]);
        cuts.sort_unstable();
        Nested::Split(cuts.windows(2).map(|c| grow(random, &indices[c[0]..c[1]], depth - 1)).collect())
    }
    let mut indices: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        indices.swap(i, random.random_range(0..=i));
    }
    ClusterTree::from_nested(&grow(random, &indices, 4)).unwrap()
}

/// Standard normal parameters on two trees of the same shape, ranks as `ranks` says for every node, `shift` on the diagonals of the leaves.
pub fn random_hss(
    random: &mut ChaCha8Rng,
    rows: &Arc<ClusterTree>,
    cols: &Arc<ClusterTree>,
    mut ranks: impl FnMut(&mut ChaCha8Rng) -> (usize, usize),
    shift: f64,
) -> Hss<f64> {
    let shapes: Vec<NodeShape> = (rows.clusters().iter().zip(cols.clusters()).enumerate())
        .map(|(i, (row, col))| {
            let (row_rank, col_rank) = if i == 0 { (0, 0) } else { ranks(random) };
            NodeShape { children: row.children.clone(), rows: row.len(), cols: col.len(), row_rank, col_rank }
        })
        .collect();
    let layout = HssLayout::from_tree(&shapes).unwrap();
    let mut data: Vec<f64> = (0..layout.len()).map(|_| random.sample(StandardNormal)).collect();
    for node in layout.nodes().iter().filter(|node| node.is_leaf()) {
        for k in 0..node.d.rows.min(node.d.cols) {
            data[node.d.offset + k * node.d.cols + k] += shift;
        }
    }
    Hss::on_trees(rows.clone(), cols.clone(), layout, data).unwrap()
}

/// A random matrix times its transpose, plus `shift` times the identity: symmetric positive definite.
pub fn random_spd(random: &mut ChaCha8Rng, tree: &Arc<ClusterTree>, rank: usize, shift: f64) -> Hss<f64> {
    let root = random_hss(random, tree, tree, |_| (rank, rank), 0.0);
    root.multiply(&root.transpose()).unwrap().add(&diagonal(tree, |_| shift)).unwrap()
}

/// A diagonal matrix, of rank 0.
pub fn diagonal(tree: &Arc<ClusterTree>, value: impl Fn(usize) -> f64) -> Hss<f64> {
    let shapes: Vec<NodeShape> = (tree.clusters().iter())
        .map(|c| NodeShape { children: c.children.clone(), rows: c.len(), cols: c.len(), row_rank: 0, col_rank: 0 })
        .collect();
    let layout = HssLayout::from_tree(&shapes).unwrap();
    let mut data = vec![0.0; layout.len()];
    for node in layout.nodes().iter().filter(|node| node.is_leaf()) {
        for k in 0..node.d.rows {
            data[node.d.offset + k * node.d.cols + k] = value(tree.order()[node.rows().start + k]);
        }
    }
    Hss::on_trees(tree.clone(), tree.clone(), layout, data).unwrap()
}

/// `||A||_2` from below, by power iteration on `A^T A`.
pub fn norm_2(a: &dyn LinearOperator<f64>) -> f64 {
    let mut x = gaussian(&mut rng(99), a.ncols(), 1);
    let mut norm = 0.0;
    for _ in 0..20 {
        let scale = x.norm_frobenius().max(f64::MIN_POSITIVE);
        let unit = Matrix::from_fn(x.nrows(), 1, |i, _| x[(i, 0)] / scale);
        let y = a.apply(&unit).unwrap();
        norm = y.norm_frobenius();
        x = a.apply_transpose(&y).unwrap();
    }
    norm
}

pub fn difference(a: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    assert_eq!((a.nrows(), a.ncols()), (b.nrows(), b.ncols()));
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)]).norm_frobenius()
}

/// `||B - A X|| / (||A|| ||X|| + ||B||)`, 2-norm of `A`.
pub fn backward_error(a: &dyn LinearOperator<f64>, x: &Matrix<f64>, b: &Matrix<f64>) -> f64 {
    let residual = difference(b, &a.apply(x).unwrap());
    residual / (norm_2(a) * x.norm_frobenius() + b.norm_frobenius())
}

/// Sign and logarithm of the determinant of a dense matrix, by Gaussian elimination with partial pivoting.
pub fn dense_log_determinant(a: &Matrix<f64>) -> (i32, f64) {
    let n = a.nrows();
    let mut rows: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| a[(i, j)]).collect()).collect();
    let (mut sign, mut log_abs) = (1, 0.0);
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| rows[i][k].abs().total_cmp(&rows[j][k].abs())).unwrap();
        if pivot != k {
            rows.swap(pivot, k);
            sign = -sign;
        }
        let (above, below) = rows.split_at_mut(k + 1);
        let row = &above[k];
        sign *= row[k].signum() as i32;
        log_abs += row[k].abs().ln();
        for target in below {
            let factor = target[k] / row[k];
            for (x, y) in target[k..].iter_mut().zip(&row[k..]) {
                *x -= factor * y;
            }
        }
    }
    (sign, log_abs)
}

/// Runs `f` on a pool of so many threads.
pub fn on_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

/// The single-precision form of a matrix.
pub fn narrow(a: &Hss<f64>) -> Hss<f32> {
    let data = a.data().iter().map(|&x| x as f32).collect();
    Hss::on_trees(a.rows().clone(), a.cols().clone(), a.layout().clone(), data).unwrap()
}
