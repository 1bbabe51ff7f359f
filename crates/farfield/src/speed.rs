//! Milliseconds of training steps and of forward passes, measured.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use farfield_nn::config::{LossKind, OptimizerKind};
use farfield_nn::loss::squared_error;
use farfield_nn::model::Model;
use farfield_nn::optimizer::{ModelGradients, Optimizer, clip_factor};
use farfield_nn::{NnError, TrainConfig};

/// How long is measured.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// At least this long.
    pub time: Duration,
    /// At least so many runs.
    pub runs: usize,
    /// Runs before them that do not count.
    pub warm_up: usize,
}

/// Median milliseconds of `f`.
pub fn median_ms(patience: Patience, mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    for _ in 0..patience.warm_up {
        f()?;
    }
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < patience.time || times.len() < patience.runs {
        let before = Instant::now();
        f()?;
        times.push(before.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// What a model costs at a batch size.
#[derive(Clone, Copy, Debug)]
pub struct ModelSpeed {
    /// Trainable numbers.
    pub parameters: usize,
    /// Median milliseconds of a training step: forward, loss, backward, norm of the gradient, AdamW.
    pub train_ms: f64,
    /// Median milliseconds of a forward pass without gradients.
    pub forward_ms: f64,
}

/// Measures a model that `build` makes on an autodiff device, on smooth fields; `forward` and `train` say how long.
///
/// # Errors
/// A model that cannot be built.
pub fn measure<M: Model>(
    build: impl FnOnce(&Device) -> std::result::Result<M, NnError>,
    train: &TrainConfig,
    batch: usize,
    [step, forward]: [Patience; 2],
) -> Result<ModelSpeed> {
    let mut training = Training::new(build, train, batch)?;
    let parameters = training.model()?.num_parameters();
    let train_ms = median_ms(step, || training.step())?;
    let valid = training.model()?.valid();
    let x = training.x.clone();
    let forward_ms = median_ms(forward, || {
        std::hint::black_box(valid.forward(x.clone()));
        Ok(())
    })?;
    Ok(ModelSpeed { parameters, train_ms, forward_ms })
}

/// Milliseconds of a training step with SOAP, the refreshes of its eigenbases included: medians of the mean over the steps from one refresh to the next.
///
/// # Errors
/// A model that cannot be built.
pub fn soap_step_ms<M: Model>(
    build: impl FnOnce(&Device) -> std::result::Result<M, NnError>,
    train: &TrainConfig,
    batch: usize,
    patience: Patience,
) -> Result<f64> {
    let train = TrainConfig { optimizer: OptimizerKind::Soap, ..train.clone() };
    let mut training = Training::new(build, &train, batch)?;
    // The eigendecompositions of the first step are made once a run.
    training.step()?;
    let between = train.soap_frequency;
    let group = median_ms(patience, || (0..between).try_for_each(|_| training.step()))?;
    Ok(group / between as f64)
}

/// A training whose steps are measured.
struct Training<M> {
    model: Option<M>,
    optimizer: Optimizer,
    loss: LossKind,
    x: Tensor<3>,
    target: Tensor<3>,
}

impl<M: Model> Training<M> {
    fn new(
        build: impl FnOnce(&Device) -> std::result::Result<M, NnError>,
        train: &TrainConfig,
        batch: usize,
    ) -> Result<Self> {
        let plain = Device::flex();
        let model = build(&plain.clone().autodiff())?;
        let optimizer = Optimizer::new(&model, train);
        let dtype = train.precision.dtype();
        let wave = |shape: &farfield_data::FieldShape, phase: f64| {
            let values: Vec<f64> = (0..batch * shape.len()).map(|i| (i as f64 * 0.37 + phase).sin()).collect();
            Tensor::<3>::from_data(TensorData::new(values, [batch, shape.channels, shape.points()]), (&plain, dtype))
        };
        let x = wave(model.input_shape(), 0.0);
        let target = wave(model.output_shape(), 1.0);
        Ok(Self { model: Some(model), optimizer, loss: train.loss, x, target })
    }

    fn model(&self) -> Result<&M> {
        self.model.as_ref().context("the model is there between steps")
    }

    /// Forward, loss, backward, norm of the gradient, optimiser.
    fn step(&mut self) -> Result<()> {
        let current = self.model.take().context("the model is there between steps")?;
        let loss = squared_error(self.loss, current.forward(self.x.clone().autodiff()), self.target.clone());
        let gradients = ModelGradients::take(&current, loss.backward());
        let (norm, _) = gradients.norm_and_loss(loss);
        self.model = Some(self.optimizer.step(current, gradients, 1e-4, clip_factor(norm, 1.0)));
        Ok(())
    }
}
