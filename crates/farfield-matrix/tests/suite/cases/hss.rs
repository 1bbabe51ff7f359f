//! HSS matrices with random parameters.

use std::sync::Arc;

use farfield_matrix::{ClusterTree, Hss, HssLayout, NodeShape};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

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

/// The single-precision form of a matrix.
pub fn narrow(a: &Hss<f64>) -> Hss<f32> {
    let data = a.data().iter().map(|&x| x as f32).collect();
    Hss::on_trees(a.rows().clone(), a.cols().clone(), a.layout().clone(), data).unwrap()
}
