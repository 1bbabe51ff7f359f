//! Draws samples of a problem and throws them away, to time the generators:
//!
//! ```sh
//! cargo build --release -p farfield-pde --example generate
//! RAYON_NUM_THREADS=1 /usr/bin/time -f "%U s" target/release/examples/generate radiative-transfer-1d 320 20000
//! ```

use std::error::Error;

use farfield_pde::{Family, ProblemOptions, Stream, generate, problem};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, n, samples, family) = match &arguments[..] {
        [name, n, samples] => (name, n.parse()?, samples.parse()?, Family::Paper),
        [name, n, samples, family] => (name, n.parse()?, samples.parse()?, family.parse()?),
        _ => return Err("expected: PROBLEM N SAMPLES [FAMILY]".into()),
    };
    let options = ProblemOptions { n: Some(n), ..ProblemOptions::default() };
    let problem = problem(name, &options)?;
    let (mut inputs, mut outputs) = (0.0, 0.0);
    generate(&*problem, family, 0, Stream::Train, 0..samples, |_, x, y| {
        inputs += x.iter().sum::<f64>() / x.len() as f64;
        outputs += y.iter().sum::<f64>() / y.len() as f64;
        Ok::<(), std::convert::Infallible>(())
    })?;
    let count = samples as f64;
    println!("{name}, n = {n}: {samples} samples, mean input {}, mean output {}", inputs / count, outputs / count);
    Ok(())
}
