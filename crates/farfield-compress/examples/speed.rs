//! Time and memory of `compress` on a file of 100 MB: twelve weights of 1448 x 1448 `f32`.
//!
//! ```text
//! cargo run --release -p farfield-compress --example speed -- write big.safetensors
//! /usr/bin/time -v target/release/examples/speed compress big.safetensors small.safetensors 1e-2
//! ```
//!
//! Four of the weights are random, four have singular values that fall like `1 / k`, two have rank 40 and noise, two hold a Green's function
//! in shuffled rows and columns. A tolerance above 1 is a ratio.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use farfield_compress::{CompressOptions, Goal, compress_file};
use farfield_matrix::{LinearOperator, Matrix};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const N: usize = 1448;
const LAYERS: usize = 12;

fn gaussian(n: usize, random: &mut ChaCha8Rng) -> Matrix<f64> {
    Matrix::from_fn(N, n, |_, _| random.sample::<f64, _>(StandardNormal))
}

fn layer(k: usize, random: &mut ChaCha8Rng) -> Result<Matrix<f64>, Box<dyn std::error::Error>> {
    let noise = gaussian(N, random);
    let product = |rank: usize, size: &dyn Fn(usize) -> f64, random: &mut ChaCha8Rng| {
        let (u, v) = (gaussian(rank, random), gaussian(rank, random));
        Matrix::from_fn(N, rank, |i, j| u[(i, j)] * size(j)).apply(&v.transpose())
    };
    Ok(match k % 6 {
        0 | 1 => noise,
        2 | 3 => product(N, &|j| 1.0 / (1.0 + j as f64), random)?,
        4 => {
            let low = product(40, &|_| 1.0, random)?;
            Matrix::from_fn(N, N, |i, j| low[(i, j)] + 1e-3 * noise[(i, j)])
        }
        _ => {
            let x = |i: usize, step: usize| ((i * step) % N + 1) as f64 / (N + 1) as f64;
            Matrix::from_fn(N, N, |i, j| x(i, 629).min(x(j, 845)) * (1.0 - x(i, 629).max(x(j, 845))))
        }
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", path] => {
            let bytes = 4 * N * N;
            let entry = |k: usize| {
                let (from, to) = (k * bytes, (k + 1) * bytes);
                format!("\"layer.{k}.weight\":{{\"dtype\":\"F32\",\"shape\":[{N},{N}],\"data_offsets\":[{from},{to}]}}")
            };
            let header = format!("{{{}}}", (0..LAYERS).map(entry).collect::<Vec<_>>().join(","));
            let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(header.as_bytes())?;
            let mut random = ChaCha8Rng::seed_from_u64(1);
            for k in 0..LAYERS {
                for x in layer(k, &mut random)?.to_row_major() {
                    out.write_all(&(x as f32).to_le_bytes())?;
                }
            }
            out.flush()?;
        }
        ["compress", input, output, goal] => {
            let goal: f64 = goal.parse()?;
            let goal = if goal > 1.0 { Goal::Ratio(goal) } else { Goal::Tolerance(goal) };
            let start = Instant::now();
            let report = compress_file(Path::new(input), Path::new(output), &CompressOptions::new(goal), &|_, _| ())?;
            for w in &report.weights {
                println!(
                    "{} {:?} {} -> {} bytes, error {:.2e}: {}",
                    w.name, w.form, w.bytes_before, w.bytes, w.error, w.reason
                );
            }
            let seconds = start.elapsed().as_secs_f64();
            println!("{} -> {} bytes in {seconds:.1} s", report.input_bytes, report.output_bytes);
        }
        _ => return Err("write PATH, or compress IN OUT TOLERANCE".into()),
    }
    Ok(())
}
