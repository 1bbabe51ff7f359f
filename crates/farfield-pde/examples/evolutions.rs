//! Draws trajectories of every evolution equation on all threads and prints what they cost:
//! `cargo run --release -p farfield-pde --example evolutions -- 20`.

use std::convert::Infallible;
use std::time::Instant;

use farfield_pde::{ProblemOptions, Stream, evolution, evolutions, generate_trajectories};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(4), |count| count.parse())?;
    for &(name, title) in evolutions() {
        let evolution = evolution(name, &ProblemOptions::default())?;
        println!("{name}: {title}");
        for family in evolution.families() {
            let (start, mut last) = (Instant::now(), 0.0_f64);
            generate_trajectories(&*evolution, family, 1, Stream::Train, 0..count, |_, _, states| {
                let points: usize = evolution.grid().iter().product();
                last = states.iter().rev().take(points).fold(last, |m, u| m.max(u.abs()));
                Ok::<(), Infallible>(())
            })?;
            let each = start.elapsed().as_secs_f64() * 1e3 / count as f64;
            println!("  {family}: {each:.2} ms a trajectory, largest value at the end {last:.4}");
        }
    }
    Ok(())
}
