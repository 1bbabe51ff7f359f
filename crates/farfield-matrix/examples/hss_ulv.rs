//! Times a ULV factorisation and its solutions on a random HSS matrix: `hss_ulv [n] [leaf] [rank]`, 20 000, 200 and 100 unless told.
//!
//! Run with `RAYON_NUM_THREADS=1` for the figures of one thread.

use std::sync::Arc;
use std::time::Instant;

use farfield_matrix::{ClusterTree, Hss, HssLayout, LinearOperator, Matrix, NodeShape, condition_1_estimate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: usize| arguments.next().map_or(Ok(default), |a| a.parse());
    let (n, leaf, rank) = (next(20_000)?, next(200)?, next(100)?);
    let tree = Arc::new(ClusterTree::bisection(n, leaf)?);
    let shapes: Vec<NodeShape> = (tree.clusters().iter().enumerate())
        .map(|(i, c)| {
            let rank = if i == 0 { 0 } else { rank };
            NodeShape { children: c.children.clone(), rows: c.len(), cols: c.len(), row_rank: rank, col_rank: rank }
        })
        .collect();
    let layout = HssLayout::from_tree(&shapes)?;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    // Bases and couplings of norm about one, a dominating diagonal.
    let scale = 0.5 / (leaf as f64).sqrt();
    let mut data: Vec<f64> = (0..layout.len()).map(|_| scale * random.sample::<f64, _>(StandardNormal)).collect();
    for node in layout.nodes().iter().filter(|node| node.is_leaf()) {
        for k in 0..node.d.rows {
            data[node.d.offset + k * node.d.cols + k] += 4.0;
        }
    }
    let a = Hss::on_trees(tree.clone(), tree, layout, data)?;
    println!("n = {n}, leaf {leaf}, rank {rank}: {} MB", a.memory_bytes() >> 20);

    let start = Instant::now();
    let ulv = a.ulv()?;
    println!(
        "ULV: {:.3} s, {} MB, {:?}",
        start.elapsed().as_secs_f64(),
        ulv.memory_bytes() >> 20,
        ulv.log_determinant()
    );
    for columns in [1, 16] {
        let b = Matrix::from_fn(n, columns, |_, _| random.sample(StandardNormal));
        let start = Instant::now();
        let x = ulv.solve(&b)?;
        let seconds = start.elapsed().as_secs_f64();
        let y = a.apply(&x)?;
        let residual = Matrix::from_fn(n, columns, |i, j| b[(i, j)] - y[(i, j)]).norm_frobenius();
        println!("solve, {columns} columns: {seconds:.4} s, relative residual {:.1e}", residual / b.norm_frobenius());
        let start = Instant::now();
        ulv.solve_transpose(&b)?;
        println!("transposed: {:.4} s", start.elapsed().as_secs_f64());
    }
    let start = Instant::now();
    let least_squares = a.least_squares()?;
    let seconds = start.elapsed().as_secs_f64();
    let b = Matrix::from_fn(n, 1, |_, _| random.sample(StandardNormal));
    let start = Instant::now();
    let residual = least_squares.solve(&b)?.residuals[0];
    println!("URV: {seconds:.3} s, solve {:.4} s, residual {residual:.1e}", start.elapsed().as_secs_f64());
    println!("condition estimate: {:.3e}", condition_1_estimate(&a, &ulv)?);
    Ok(())
}
