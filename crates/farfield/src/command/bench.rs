//! `farfield bench`: how close training comes to the arithmetic that it needs.
//!
//! For each workload the time of a training step (forward, loss, backward, global gradient norm, AdamW) and of a forward
//! pass, beside the *floor*: the multiply-adds that the mathematics needs, at the rate of a 4096^3 matrix product measured in
//! the same process right after. With `M` the multiply-adds of all layers for the batch, forward needs `2 M` operations,
//! the parameter gradients `2 M`, and the gradients by inputs `2 M` less those of the first product of the first layer, which
//! nobody asks for. `soap/adamw` is the time of a step with SOAP, the refreshes of its eigenbases spread over the steps between them, over that with AdamW. Activations, the loss and the optimiser count as nothing. Every workload runs in a process of its own, so
//! that its peak memory is its own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::tensor::Device;
use clap::Args;
use farfield_data::FieldShape;
use farfield_kernels::{HssLayout, InstructionSet, Scalar, dense_product};
use farfield_nn::config::{LossKind, Precision};
use farfield_nn::{ModelConfig, NeuralHss, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::failure::bad_input;
use crate::memory::peak_mib;
use crate::speed::{self, ModelSpeed, Patience};

/// Speed of training steps against the floor of their arithmetic.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  farfield bench W2 --json")]
pub struct BenchArgs {
    /// Workloads: W1, W2, W3, W4, W4b4. Default: all, in every precision and instruction set.
    names: Vec<String>,
    /// Only this precision: f32 or f64.
    #[arg(long)]
    precision: Option<String>,
    /// Only this instruction set: avx512, avx2 or portable. Default: the best, then AVX2 (f32).
    #[arg(long)]
    simd: Option<String>,
    /// Print a list of JSON objects.
    #[arg(long)]
    pub json: bool,
    /// Measure in this process (one workload).
    #[arg(long, hide = true)]
    here: bool,
}

/// One line of the benchmark. Names are stable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Workload.
    pub workload: String,
    /// `f32` or `f64`.
    pub precision: String,
    /// Instruction set of the kernels.
    pub simd: String,
    /// Threads.
    pub threads: usize,
    /// Median milliseconds of a training step.
    pub train_ms: f64,
    /// Median milliseconds of a training step with SOAP in the place of AdamW, refreshes of the eigenbases included.
    pub soap_ms: f64,
    /// `soap_ms` over `train_ms`.
    pub soap_over_adamw: f64,
    /// Median milliseconds of a forward pass.
    pub forward_ms: f64,
    /// Rate of a single-precision 4096^3 product on all threads, best of five.
    pub sgemm_gflops: f64,
    /// Rate of such a product in the precision of the row: what the floor is made from.
    pub gemm_gflops: f64,
    /// Milliseconds that the arithmetic of a training step takes at that rate.
    pub train_floor_ms: f64,
    /// `train_ms` over the floor.
    pub train_over_floor: f64,
    /// `forward_ms` over its floor.
    pub forward_over_floor: f64,
    /// Peak resident memory in MiB.
    pub peak_mib: f64,
}

/// Shape of a workload.
#[derive(Clone, Copy, Debug)]
struct Workload {
    name: &'static str,
    what: &'static str,
    dims: usize,
    batch: usize,
    n: usize,
    levels: usize,
    rank: usize,
    outer_rank: usize,
    depth: usize,
}

const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "W1",
        what: "1D, batch 256, n = 256, L = 3, r = 2, depth 3",
        dims: 1,
        batch: 256,
        n: 256,
        levels: 3,
        rank: 2,
        outer_rank: 1,
        depth: 3,
    },
    Workload {
        name: "W2",
        what: "1D, batch 256, n = 1024, L = 3, r = 32, depth 4",
        dims: 1,
        batch: 256,
        n: 1024,
        levels: 3,
        rank: 32,
        outer_rank: 1,
        depth: 4,
    },
    Workload {
        name: "W3",
        what: "2D, batch 128, 64 x 64, L = 2, r = 2, r_out = 8, depth 3",
        dims: 2,
        batch: 128,
        n: 64,
        levels: 2,
        rank: 2,
        outer_rank: 8,
        depth: 3,
    },
    Workload {
        name: "W4",
        what: "3D, batch 1, 128^3, L = 2, r = 4, r_out = 2, depth 1",
        dims: 3,
        batch: 1,
        n: 128,
        levels: 2,
        rank: 4,
        outer_rank: 2,
        depth: 1,
    },
    Workload {
        name: "W4b4",
        what: "3D, batch 4, 128^3, L = 2, r = 4, r_out = 2, depth 1",
        dims: 3,
        batch: 4,
        n: 128,
        levels: 2,
        rank: 4,
        outer_rank: 2,
        depth: 1,
    },
];

impl Workload {
    /// Operations of a forward pass and of a training step.
    fn operations(&self) -> Result<(f64, f64)> {
        let layout = HssLayout::new(self.n, self.n, self.levels, self.rank)?;
        let other_points = self.n.pow(self.dims as u32 - 1);
        let one_product = (self.outer_rank * layout.multiply_adds() * other_points * self.batch) as f64;
        let forward = 2.0 * one_product * (self.dims * self.depth) as f64;
        Ok((forward, 3.0 * forward - 2.0 * one_product))
    }
}

/// Runs the benchmark and prints its table or JSON.
pub fn run(args: &BenchArgs) -> Result<()> {
    let chosen: Vec<Workload> = if args.names.is_empty() {
        WORKLOADS.to_vec()
    } else {
        let find = |name: &String| {
            let known = || WORKLOADS.map(|w| w.name).join(", ");
            let found = WORKLOADS.into_iter().find(|w| w.name.eq_ignore_ascii_case(name));
            found.ok_or_else(|| bad_input(format!("unknown workload \"{name}\": the workloads are {}", known())))
        };
        args.names.iter().map(find).collect::<Result<_>>()?
    };
    let precisions = match args.precision.as_deref() {
        None => vec!["f32", "f64"],
        Some("f32") => vec!["f32"],
        Some("f64") => vec!["f64"],
        Some(other) => return Err(bad_input(format!("--precision {other}: f32 or f64"))),
    };
    let sets = match args.simd.as_deref() {
        None => {
            let best = InstructionSet::best();
            let avx2 =
                (best != InstructionSet::Avx2 && InstructionSet::Avx2.is_available()).then_some(InstructionSet::Avx2);
            std::iter::once(best).chain(avx2).collect()
        }
        Some(name) => {
            let all = [InstructionSet::Avx512, InstructionSet::Avx2, InstructionSet::Portable];
            let found = all.into_iter().find(|set| set.name() == name);
            let set = found.ok_or_else(|| bad_input(format!("--simd {name}: avx512, avx2 or portable")))?;
            if !set.is_available() {
                return Err(bad_input(format!("--simd {name}: this machine does not have it")));
            }
            vec![set]
        }
    };
    if args.here {
        let [workload] = chosen[..] else { return Err(bad_input("--here measures one workload")) };
        sets[0].select();
        println!("{}", serde_json::to_string(&measure(&workload, precisions[0], sets[0])?)?);
        return Ok(());
    }

    let mut rows = Vec::new();
    if !args.json {
        print_header();
    }
    for &precision in &precisions {
        for (i, &set) in sets.iter().enumerate() {
            if i > 0 && precision == "f64" {
                continue;
            }
            for workload in &chosen {
                let row = in_a_process_of_its_own(workload, precision, set)?;
                if !args.json {
                    print_row(&row);
                }
                rows.push(row);
            }
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        println!();
        for workload in &chosen {
            let (forward, train) = workload.operations()?;
            println!(
                "{:5} {}: {:.3} GFLOP forward, {:.3} GFLOP a training step",
                workload.name,
                workload.what,
                forward / 1e9,
                train / 1e9
            );
        }
    }
    Ok(())
}

fn in_a_process_of_its_own(workload: &Workload, precision: &str, set: InstructionSet) -> Result<Row> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = std::process::Command::new(program);
    command.args(["bench", workload.name, "--here", "--precision", precision, "--simd", set.name()]);
    command.args(["--threads", &rayon::current_num_threads().to_string()]);
    let output = command.output().with_context(|| format!("cannot run workload {}", workload.name))?;
    if !output.status.success() {
        anyhow::bail!("workload {}: {}", workload.name, String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("workload {} printed no result", workload.name))
}

fn print_header() {
    println!(
        "{:5} {:4} {:8} {:>7} {:>10} {:>10} {:>10} {:>8} {:>11} {:>11} {:>9}",
        "",
        "",
        "simd",
        "threads",
        "train ms",
        "soap/adamw",
        "forward",
        "GFLOP/s",
        "train/floor",
        "fwd/floor",
        "peak MiB"
    );
}

fn print_row(row: &Row) {
    println!(
        "{:5} {:4} {:8} {:>7} {:>10.3} {:>10.2} {:>10.3} {:>8.0} {:>11.2} {:>11.2} {:>9.0}",
        row.workload,
        row.precision,
        row.simd,
        row.threads,
        row.train_ms,
        row.soap_over_adamw,
        row.forward_ms,
        row.gemm_gflops,
        row.train_over_floor,
        row.forward_over_floor,
        row.peak_mib
    );
}

fn measure(workload: &Workload, precision: &str, set: InstructionSet) -> Result<Row> {
    let precision = if precision == "f64" { Precision::F64 } else { Precision::F32 };
    let shape = FieldShape::new(1, &vec![workload.n; workload.dims]);
    let config = ModelConfig {
        levels: workload.levels,
        rank: workload.rank,
        outer_rank: workload.outer_rank,
        depth: workload.depth,
        ..ModelConfig::default()
    };
    let train = TrainConfig { loss: LossKind::Mean, precision, ..TrainConfig::default() };
    let build = |device: &Device| NeuralHss::new(&config, &shape, &shape, 1, device, precision.dtype());
    let patience = |time| Patience { time, runs: 7, warm_up: 3 };
    let patience = [patience(Duration::from_secs(3)), patience(Duration::from_millis(1500))];
    let ModelSpeed { train_ms, forward_ms, .. } = speed::measure(build, &train, workload.batch, patience)?;
    let peak_mib = peak_mib().unwrap_or(f64::NAN);
    let groups = Patience { time: Duration::from_secs(3), runs: 3, warm_up: 1 };
    let soap_ms = speed::soap_step_ms(build, &train, workload.batch, groups)?;

    let sgemm = gemm_gflops::<f32>()?;
    let gemm = if precision == Precision::F64 { gemm_gflops::<f64>()? } else { sgemm };
    let (forward, step) = workload.operations()?;
    let floor = |operations: f64| operations / gemm / 1e6;
    Ok(Row {
        workload: workload.name.to_owned(),
        precision: if precision == Precision::F64 { "f64" } else { "f32" }.to_owned(),
        simd: set.name().to_owned(),
        threads: rayon::current_num_threads(),
        train_ms,
        soap_ms,
        soap_over_adamw: soap_ms / train_ms,
        forward_ms,
        sgemm_gflops: sgemm,
        gemm_gflops: gemm,
        train_floor_ms: floor(step),
        train_over_floor: train_ms / floor(step),
        forward_over_floor: forward_ms / floor(forward),
        peak_mib,
    })
}

/// GFLOP/s of a 4096^3 product on all threads, best of five.
fn gemm_gflops<T: Scalar>() -> Result<f64> {
    const N: usize = 4096;
    let (a, b) = (vec![T::ONE; N * N], vec![T::ONE; N * N]);
    let mut c = vec![T::ZERO; N * N];
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        dense_product((N, N, N), &a, &b, &mut c)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(2.0 * (N as f64).powi(3) / best / 1e9)
}
