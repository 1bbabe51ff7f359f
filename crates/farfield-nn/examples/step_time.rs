//! Processor time of a training step of every kind of model, at the sizes and batch of a table of the Neural-HSS paper.
//!
//! `cargo run --release -p farfield-nn --example step_time -- [KIND...] [--grid N] [--dims D] [--batch B] [--seconds S]`; by default all rivals at table 5's
//! sizes, 64 x 64 points, 128 samples. A kind can also be a table `[model]` as JSON: `'{"kind": "mnn-h2", "connection": "lc"}'`. Times are user seconds of the process (Linux) and wall-clock seconds.

use std::error::Error;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use farfield_data::FieldShape;
use farfield_nn::Model;
use farfield_nn::config::LossKind;
use farfield_nn::loss::squared_error;
use farfield_nn::optimizer::{ModelGradients, Optimizer, clip_factor};
use farfield_nn::presets::{PaperTable, preset};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut kinds, mut grid, mut dims, mut batch, mut seconds) = (Vec::new(), 64usize, 2usize, 128usize, 3.0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--grid" => grid = value()?.parse()?,
            "--dims" => dims = value()?.parse()?,
            "--batch" => batch = value()?.parse()?,
            "--seconds" => seconds = value()?.parse()?,
            _ => kinds.push(argument),
        }
    }
    if kinds.is_empty() {
        kinds =
            ["neural-hss", "fno", "resnet", "deep-onet", "fact-former", "green-learning", "mnn-h", "mnn-h2", "conv"]
                .map(str::to_owned)
                .into();
    }
    let rate = || -> Result<f64, Box<dyn Error>> {
        const N: usize = 1536;
        let (a, b, mut c) = (vec![1.0f32; N * N], vec![1.0f32; N * N], vec![0.0f32; N * N]);
        let before = user_seconds();
        for _ in 0..20 {
            farfield_kernels::dense_product((N, N, N), &a, &b, &mut c)?;
        }
        Ok(40.0 * (N as f64).powi(3) / (user_seconds() - before) / 1e9)
    };
    println!("single-precision products of {0} x {0}: {1:.0} GFLOP a user second", 1536, rate()?);
    let table = [PaperTable::Table9, PaperTable::Table5, PaperTable::Table8][dims.clamp(1, 3) - 1];
    let shape = FieldShape::new(1, &vec![grid; dims]);
    println!("{:16} {:>10} {:>8} {:>10} {:>10}", "", "parameters", "steps", "user s", "wall s");
    for kind in kinds {
        let (config, train) = match kind.starts_with('{') {
            true => (serde_json::from_str(&kind)?, preset(table, "neural-hss")?.1),
            false => preset(table, &kind)?,
        };
        let device = Device::flex().autodiff();
        let model = match config.build(&shape, &shape, 1, &device, train.precision.dtype()) {
            Ok(model) => model,
            Err(error) => {
                println!("{kind:16} {error}");
                continue;
            }
        };
        let mut optimizer = Optimizer::new(&model, &train);
        let tensor = |phase: f64| {
            let values: Vec<f64> = (0..batch * shape.points()).map(|i| (i as f64 * 0.37 + phase).sin()).collect();
            let data = TensorData::new(values, [batch, 1, shape.points()]);
            Tensor::<3>::from_data(data, (&Device::flex(), train.precision.dtype()))
        };
        let (x, y) = (tensor(0.0), tensor(1.0));
        let parameters = model.num_parameters();
        let mut model = Some(model);
        let mut step = || {
            let current = model.take().expect("there between steps");
            let loss = squared_error(LossKind::Mean, current.forward(x.clone().autodiff()), y.clone());
            let gradients = ModelGradients::take(&current, loss.backward());
            let (norm, value) = gradients.norm_and_loss(loss);
            model = Some(optimizer.step(current, gradients, 1e-4, clip_factor(norm, 1.0)));
            value
        };
        step();
        let (start, before) = (Instant::now(), user_seconds());
        let mut steps = 0;
        while steps == 0 || start.elapsed().as_secs_f64() < seconds {
            step();
            steps += 1;
        }
        let (user, wall) = (user_seconds() - before, start.elapsed().as_secs_f64());
        let each = |total: f64| total / f64::from(steps);
        println!("{kind:16} {parameters:>10} {steps:>8} {:>10.4} {:>10.4}", each(user), each(wall));
    }
    Ok(())
}

/// User seconds of this process so far, in hundredths; not a number where there is no `/proc`.
fn user_seconds() -> f64 {
    let read = || {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        let after = text.rsplit_once(')')?.1;
        after.split_whitespace().nth(11)?.parse::<f64>().ok()
    };
    read().map_or(f64::NAN, |ticks| ticks / 100.0)
}
