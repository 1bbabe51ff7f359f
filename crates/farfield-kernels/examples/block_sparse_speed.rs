//! Speed of block-sparse layers beside dense products of the same number of multiply-adds and the same batch, in one run.
//!
//! `cargo run --release -p farfield-kernels --example block_sparse_speed [THREADS]`. A row is a pattern of `b x b` blocks, `k` a row of blocks, for a batch; the dense
//! matrix is square and has as many entries as the pattern. Times are the best of several rounds, the two taking turns; a ratio is the dense time over the block-sparse
//! time: at least 0.5 is what is asked for blocks of 10 and more.

use std::time::Instant;

use farfield_kernels::{
    Activation, BlockLayerSpec, BlockPattern, BlockSparseLayer, LayoutError, Scalar, dense_product,
};

const ROUNDS: usize = 15;

fn numbers<T: Scalar>(n: usize) -> Vec<T> {
    (0..n).map(|i| T::from_f64((i as f64 * 0.618_034).fract() - 0.5)).collect()
}

/// Seconds of each task, best of all rounds.
fn best<const N: usize>(mut tasks: [&mut dyn FnMut() -> Result<(), LayoutError>; N]) -> Result<[f64; N], LayoutError> {
    let mut times = [f64::INFINITY; N];
    for _ in 0..ROUNDS {
        for (task, time) in tasks.iter_mut().zip(&mut times) {
            let start = Instant::now();
            task()?;
            *time = time.min(start.elapsed().as_secs_f64());
        }
    }
    Ok(times)
}

fn compare<T: Scalar>(
    block: usize,
    per_row: usize,
    clusters: usize,
    batch: usize,
    inside: Activation,
) -> Result<(), LayoutError> {
    // Neighbours and clusters further off, as an interaction list has them.
    let step = |i: usize| i + i / 3;
    let pairs: Vec<(usize, usize)> =
        (0..clusters).flat_map(|k| (0..per_row).map(move |i| (k, (k + step(i)) % clusters))).collect();
    let sizes = vec![block; clusters];
    let pattern = BlockPattern::new(&sizes, &sizes, &pairs, BlockLayerSpec { inside, ..BlockLayerSpec::default() })?;
    let layer = BlockSparseLayer { pattern: &pattern, batch };
    let n = block * clusters;
    let (x, p) = (layer.input().pack(&numbers::<T>(batch * n))?, numbers::<T>(pattern.len()));
    let y = layer.forward(&x, &p)?;
    let dy = layer.output().pack(&numbers::<T>(batch * n))?;

    let side = (pattern.len() as f64).sqrt().round() as usize;
    let (a, b, c) = (numbers::<T>(side * side), numbers::<T>(side * batch), numbers::<T>(side * batch));
    let (mut out, mut gradient) = (vec![T::ZERO; side * batch], vec![T::ZERO; side * side]);
    let mut other = out.clone();
    let [dense, sparse, dense_back, sparse_back] = best([
        &mut || dense_product((side, batch, side), &a, &b, &mut out),
        &mut || layer.forward(&x, &p).map(|y| farfield_kernels::recycle(y.into_parts().0)),
        &mut || {
            dense_product((side, batch, side), &a, &b, &mut other)?;
            dense_product((side, side, batch), &b, &c, &mut gradient)
        },
        &mut || {
            let back = layer.backward(&x, &p, &y, &dy, true)?;
            farfield_kernels::recycle(back.parameters.into_parts().0);
            back.dx.into_iter().for_each(|dx| farfield_kernels::recycle(dx.into_parts().0));
            Ok(())
        },
    ])?;
    let work = 2e-9 * pattern.len() as f64 * batch as f64;
    println!(
        "{:>4} {:>8} {block:>5} {per_row:>4} {clusters:>8} {batch:>6} | {:>8.1} {:>8.1} {:>6.2} | {:>8.1} {:>8.1} {:>6.2}",
        if size_of::<T>() == 4 { "f32" } else { "f64" },
        if inside.is_identity() { "outside" } else { "both" },
        work / dense,
        work / sparse,
        dense / sparse,
        2.0 * work / dense_back,
        2.0 * work / sparse_back,
        dense_back / sparse_back
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(0), |argument| argument.parse())?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| -> Result<(), LayoutError> {
        println!(
            "{} threads; GFLOP/s and ratios, forward and backward (gradients by input and parameters)",
            rayon::current_num_threads()
        );
        println!("type    ReLUs block   /row clusters  batch |    dense   sparse  ratio |    dense   sparse  ratio");
        for batch in [64, 256, 1024] {
            for (block, per_row, clusters) in
                [(10, 3, 128), (10, 27, 64), (12, 9, 64), (16, 9, 64), (20, 6, 64), (32, 6, 32)]
            {
                compare::<f32>(block, per_row, clusters, batch, Activation::Identity)?;
            }
        }
        for (block, per_row, clusters) in [(10, 3, 128), (10, 27, 64), (20, 6, 64)] {
            compare::<f64>(block, per_row, clusters, 256, Activation::Identity)?;
            compare::<f32>(block, per_row, clusters, 256, Activation::Relu)?;
        }
        Ok(())
    })?;
    Ok(())
}
