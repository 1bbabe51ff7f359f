//! Draws trajectories of an evolution equation on all threads and prints what they cost:
//! `cargo run --release -p farfield-pde --example evolutions -- burgers-1d paper 20`.

use std::convert::Infallible;
use std::time::Instant;

use farfield_pde::{Family, ProblemOptions, Stream, evolution, evolutions, generate_trajectories};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, family, count] = arguments.as_slice() else {
        let names: Vec<&str> = evolutions().iter().map(|&(name, _)| name).collect();
        return Err(format!("usage: evolutions NAME FAMILY COUNT; names: {}", names.join(", ")).into());
    };
    let (family, count): (Family, u64) = (family.parse()?, count.parse()?);
    let evolution = evolution(name, &ProblemOptions::default())?;
    let points: usize = evolution.fields().len() * evolution.grid().iter().product::<usize>();
    let (start, mut largest) = (Instant::now(), 0.0_f64);
    generate_trajectories(&*evolution, family, 1, Stream::Train, 0..count, |_, _, states| {
        largest = states[states.len() - points..].iter().fold(largest, |m, u| m.max(u.abs()));
        Ok::<(), Infallible>(())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{}, {family}: {count} trajectories of {} states", evolution.title(), evolution.times().len());
    println!("{seconds:.2} s, {:.2} ms each; largest value at the end {largest:.4}", 1e3 * seconds / count as f64);
    Ok(())
}
