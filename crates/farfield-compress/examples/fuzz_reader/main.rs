//! Damages small files at random, for a number of minutes, and gives them to `compress` and `decompress`: every one must be an error or a
//! result. Stops at a panic and leaves the file that caused it.
//!
//! `cargo run --release -p farfield-compress --example fuzz_reader -- MINUTES [SEED]`

mod mutate;

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let minutes: f64 = args.next().ok_or("pass the number of minutes")?.parse()?;
    let seed: u64 = args.next().map_or(Ok(1), |seed| seed.parse())?;
    let corpus = mutate::corpus();
    let folder = tempfile::tempdir()?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (start, limit) = (Instant::now(), Duration::from_secs_f64(60.0 * minutes));
    let (mut tried, mut read) = (0u64, 0u64);
    while start.elapsed() < limit {
        let bytes = &corpus[(tried % corpus.len() as u64) as usize];
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            mutate::try_one(bytes, folder.path(), &mut random)
        }));
        match found {
            Ok(ok) => read += u64::from(ok),
            Err(_) => {
                let kept = folder.keep();
                return Err(format!("file {tried} of seed {seed} failed: {}", kept.join("in").display()).into());
            }
        }
        tried += 1;
    }
    println!(
        "{tried} files from {} originals in {minutes} minutes: {read} read, {} refused",
        corpus.len(),
        tried - read
    );
    Ok(())
}
