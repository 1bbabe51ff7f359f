//! Time and memory of H2 networks on uniform points, against the number of points.
//!
//! `cargo run --release -p farfield-matrix --example h2_network_speed [THREADS]`. Three ReLU layers near and far, leaves of 10 points, rank 10, single precision, batch 64. The
//! last column is the speed of forward and backward together, over that of dense products of 1024 numbers for the same batch and precision.

use std::time::Instant;

use farfield_kernels::{Activation, H2Layer, dense_product};
use farfield_matrix::{H2Skeleton, H2SkeletonOptions, H2Spec};

const BATCH: usize = 64;

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.618_034).fract() - 0.5).collect()
}

fn best(
    rounds: usize,
    mut task: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        task()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let side = 1024;
    let (a, b, mut c) = (numbers(side * side), numbers(side * BATCH), vec![0.0; side * BATCH]);
    println!("{} threads, batch {BATCH}", rayon::current_num_threads());
    println!("     grid  parameters  per point  MiB saved  forward ms  backward ms  GFLOP/s  of dense");
    let grids: [&[usize]; 9] =
        [&[320], &[640], &[1280], &[2560], &[5120], &[10240], &[32, 32], &[64, 64], &[16, 16, 16]];
    for shape in grids {
        let skeleton = H2Skeleton::from_grid(shape, &H2SkeletonOptions::default())?;
        let layout = skeleton.layout(&H2Spec::network(3, Activation::Relu), 1, 1)?;
        let layer = H2Layer { layout: &layout, batch: BATCH };
        let n = skeleton.nrows();
        let p: Vec<f32> = numbers(layout.len()).into_iter().map(|x| 0.2 * x).collect();
        let x = layer.input().pack(&numbers(BATCH * n))?;
        let dy = layer.output().pack(&numbers(BATCH * n))?;
        let rounds = (4_000_000 / layout.len()).clamp(2, 9);
        let mut saved = layer.forward(&x, &p, true)?.saved.ok_or("nothing saved")?;
        let forward = best(rounds, || {
            let forward = layer.forward(&x, &p, true)?;
            let kept = forward.saved.ok_or("nothing saved")?;
            farfield_kernels::recycle(std::mem::replace(&mut saved, kept).into_parts().0);
            farfield_kernels::recycle(forward.y.into_parts().0);
            Ok(())
        })?;
        let backward = best(rounds, || {
            let back = layer.backward(&x, &p, &saved, &dy, true)?;
            farfield_kernels::recycle(back.parameters.into_parts().0);
            back.dx.into_iter().for_each(|dx| farfield_kernels::recycle(dx.into_parts().0));
            Ok(())
        })?;
        let dense = best(rounds, || Ok(dense_product((side, BATCH, side), &a, &b, &mut c)?))?;
        let rate = 6e-9 * (layout.multiply_adds() * BATCH) as f64 / (forward + backward);
        let dense_rate = 2e-9 * (side * side * BATCH) as f64 / dense;
        println!(
            "{:>9} {:>11} {:>10.1} {:>10.1} {:>11.3} {:>12.3} {:>8.1} {:>9.2}",
            shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x"),
            layout.len(),
            layout.len() as f64 / n as f64,
            size_of_val(&saved[..]) as f64 / f64::from(1 << 20),
            1e3 * forward,
            1e3 * backward,
            rate,
            rate / dense_rate
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(0), |argument| argument.parse())?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| run().map_err(|error| error.to_string()))?;
    Ok(())
}
