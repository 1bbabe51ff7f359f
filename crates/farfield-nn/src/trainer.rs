//! The training loop: seeded batches, loss, gradients, clipping, AdamW or SOAP, schedule, validation, checkpoints; then, if asked for, iterations of L-BFGS on
//! the whole set.
//!
//! The same configuration, seed and data give the same bits on a given machine, on any number of threads, and
//! also when the run is interrupted and continued from its checkpoint. Training works on normalised data;
//! validation errors are those of the data as they are.

mod full_batch;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Tensor;
use farfield_data::{Batches, Normalizer, Side, replace_file};
use serde::{Deserialize, Serialize};

use crate::auto_optimizer;
use crate::checkpoint::{Checkpoint, Identity, Position, checkpoint_file};
use crate::config::TrainConfig;
use crate::error::NnError;
use crate::flat_parameters;
use crate::lbfgs::{Lbfgs, StopReason};
use crate::loss::slope_penalty;
use crate::metrics::{self, Normalizers, evaluate};
use crate::model::Model;
use crate::optimizer::{ModelGradients, Optimizer, clip_factor};
use crate::parameters::{self, NamedTensor};
use crate::schedule::Schedule;
use crate::training_data::{Batch, Samples, TrainingData};
use crate::unroll::{UnrolledSamples, Unrolling};

/// One line of `metrics.jsonl`: what is known at the end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Optimiser steps taken so far.
    pub step: u64,
    /// Mean over the epoch's samples of the objective at the time they were used.
    pub train_loss: f64,
    /// Mean relative L2 error (eq. 2) on the validation set, if there is one and this epoch has a validation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_relative_l2: Option<f64>,
    /// Learning rate of the epoch's last step; of an iteration of L-BFGS, its step length.
    pub learning_rate: f64,
    /// Slopes of the activations.
    pub slopes: Vec<f64>,
    /// Seconds of training so far, interruptions not counted.
    pub seconds: f64,
}

/// What the progress callback is told after every step, and once more at the end of every epoch.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// Epoch in progress, from 1.
    pub epoch: usize,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Steps taken so far.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Objective of the last batch.
    pub loss: f64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Seconds still needed at the speed of this session.
    pub seconds_left: f64,
    /// At the end of an epoch, its line of the metrics.
    pub epoch_end: Option<&'a EpochMetrics>,
}

/// Why training returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps were taken.
    Finished,
    /// The validation error stopped falling; the parameters are the best ones.
    EarlyStop,
    /// The stop flag was raised; a checkpoint was written if there is a run directory.
    Interrupted,
}

/// Trains one model.
#[derive(Debug)]
pub struct Trainer<M: Model> {
    /// Always there, except inside an optimiser step.
    model: Option<M>,
    config: TrainConfig,
    /// What `"auto"` stands for and why.
    choice: Option<String>,
    normalizers: Normalizers,
    optimizer: Optimizer,
    /// There once the iterations of L-BFGS have begun.
    lbfgs: Option<Lbfgs>,
    position: Position,
    best: Option<Vec<NamedTensor>>,
    directory: Option<PathBuf>,
    resumed_from: Option<Identity>,
}

/// Scalings for a model, fitted to the training samples.
///
/// # Errors
/// As [`Normalizer::fit`].
pub fn fit_normalizers(config: &TrainConfig, train: Samples<'_>) -> Result<Normalizers, NnError> {
    let fit = |side| Normalizer::fit(train.dataset, train.indices, side, config.normalization);
    Ok(Normalizers { input: fit(Side::Input)?, output: fit(Side::Output)? })
}

impl<M: Model> Trainer<M> {
    /// A trainer at the beginning of a run. `model` must be on an autodiff device in the precision of `config`.
    ///
    /// # Errors
    /// A field of `config` that cannot be, or a model in another precision.
    pub fn new(model: M, normalizers: Normalizers, config: TrainConfig) -> Result<Self, NnError> {
        config.validate()?;
        let dtype = config.precision.dtype();
        if let Some(other) = parameters::export(&model).into_iter().find(|p| p.data.dtype() != dtype) {
            let got = format!("{:?} in \"{}\"", other.data.dtype(), other.name);
            return Err(NnError::shape("float type of the model", got, format!("{dtype:?}")));
        }
        let (config, choice) = auto_optimizer::resolve(config, &model);
        let optimizer = Optimizer::new(&model, &config);
        Ok(Self {
            model: Some(model),
            config,
            choice,
            normalizers,
            optimizer,
            lbfgs: None,
            position: Position::default(),
            best: None,
            directory: None,
            resumed_from: None,
        })
    }

    /// Writes metrics and checkpoints to this directory, which must exist.
    pub fn in_directory(mut self, run: &Path) -> Self {
        self.directory = Some(run.to_owned());
        self
    }

    /// A trainer that continues the run in the directory `run` from its checkpoint. `model` is a fresh one of the
    /// same configuration; `config` and `normalizers` must be those of the interrupted run. Lines of the metrics that
    /// are later than the checkpoint are dropped.
    ///
    /// # Errors
    /// When there is no checkpoint, it is damaged, or it belongs to another run; the message names what differs.
    pub fn resume(model: M, normalizers: Normalizers, config: TrainConfig, run: &Path) -> Result<Self, NnError> {
        let mut trainer = Self::new(model, normalizers, config)?.in_directory(run);
        let path = checkpoint_file(run);
        let checkpoint = Checkpoint::load(run)?;
        let damaged = |what: String| NnError::file(&path, what);
        let identity = Identity {
            train: trainer.config.clone(),
            normalizers: trainer.normalizers.clone(),
            training_samples: checkpoint.identity.training_samples,
        };
        identity.check(&checkpoint.identity, &path)?;
        trainer.replace_parameters(checkpoint.parameters).map_err(damaged)?;
        let numbers = flat_parameters::sizes(trainer.model()).iter().sum();
        trainer.lbfgs = full_batch::import(&checkpoint.moments, numbers, &trainer.config).map_err(damaged)?;
        if trainer.lbfgs.is_none() {
            trainer.optimizer.import(checkpoint.moments, checkpoint.position.step).map_err(damaged)?;
        }
        trainer.best = checkpoint.best;
        trainer.position = checkpoint.position;
        trainer.resumed_from = Some(checkpoint.identity);
        let kept: Vec<EpochMetrics> =
            read_metrics(run)?.into_iter().filter(|line| line.epoch <= trainer.position.epoch).collect();
        let mut text = Vec::new();
        for line in &kept {
            text.extend(metrics_line(line, &metrics_file(run))?);
        }
        let path = metrics_file(run);
        replace_file(&path, &[&text]).map_err(NnError::io(&path, "write"))?;
        Ok(trainer)
    }

    /// The model in its present state.
    pub fn model(&self) -> &M {
        self.model.as_ref().expect("only taken out inside a step")
    }

    /// The model in its present state, consuming the trainer.
    pub fn into_model(self) -> M {
        self.model.expect("only taken out inside a step")
    }

    /// The scalings.
    pub fn normalizers(&self) -> &Normalizers {
        &self.normalizers
    }

    /// The configuration, with `train.optimizer = "auto"` replaced by what was chosen.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// What `train.optimizer = "auto"` chose and why, as a part of a sentence; `None` if the configuration names a method.
    pub fn choice(&self) -> Option<&str> {
        self.choice.as_deref()
    }

    /// Where the run stands.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Why L-BFGS ended before its last iteration, if it did.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.position.stopped
    }

    /// Trains to the end, or until `stop` is raised, which is looked at after every step.
    ///
    /// # Errors
    /// An empty training set, shapes that differ from the model's, more steps (`unroll`) than the set has ([`UnrolledSamples::new`]), early stopping without validation set, a loss or
    /// gradient that is not finite ([`NnError::NonFinite`], naming epoch and step), data that cannot be read, files that
    /// cannot be written, a resumed run on another number of samples.
    pub fn fit(
        &mut self,
        train: Samples<'_>,
        validation: Option<Samples<'_>>,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Ending, NnError> {
        self.check_data(train, validation)?;
        if self.position.finished {
            return Ok(self.ending());
        }
        let given = train.indices.len();
        let unrolled = UnrolledSamples::new(train, self.config.unroll)?;
        let train = unrolled.samples();
        let samples = train.indices.len();
        let (total_steps, epochs) = (self.config.total_steps(samples), self.config.total_epochs(samples));
        let first_order_steps = self.config.first_order_steps(samples);
        let schedule = Schedule::new(&self.config, first_order_steps);
        let order = Batches::new(samples, self.config.batch_size, self.config.seed)?;
        let device = self.model().devices().into_iter().next().unwrap_or_default();
        let normalizers = self.normalizers.clone();
        let data = TrainingData::new(train, &normalizers, self.config.precision, &device)?;
        let dtype = self.config.precision.dtype();
        let unrolling = Unrolling::new(train.dataset, self.config.unroll, &normalizers, &device, dtype)?;
        let mut metrics = self.open_metrics()?;
        let clock = Clock::start(self.position.seconds, self.position.step);

        while !self.position.finished && self.position.step < first_order_steps {
            let batches = order.epoch(self.position.epoch as u64);
            let remaining = &batches[self.position.batch.min(batches.len())..];
            let mut interrupted = false;
            data.for_each_batch(remaining, |size, batch| {
                let loss = self.step(batch, &unrolling, &schedule)?;
                self.position.batch += 1;
                self.position.samples += size;
                self.position.loss_sum += loss * size as f64;
                self.position.seconds = clock.seconds();
                progress(&self.progress(loss, epochs, total_steps, &clock, None));
                interrupted = stop.load(Ordering::Relaxed);
                Ok(!interrupted && self.position.step < first_order_steps)
            })?;
            let epoch_done = self.position.batch == batches.len() || self.position.step >= first_order_steps;
            if epoch_done {
                let rate = schedule.at(self.position.step - 1);
                let line = self.end_epoch(validation, rate, total_steps, &clock)?;
                self.write_metrics(&mut metrics, &line)?;
                progress(&self.progress(line.train_loss, epochs, total_steps, &clock, Some(&line)));
            }
            let every = self.config.checkpoint_every;
            let due = epoch_done && every > 0 && self.position.epoch.is_multiple_of(every);
            if due || interrupted || self.position.finished {
                self.save_checkpoint(given)?;
            }
            if interrupted && !self.position.finished {
                return Ok(Ending::Interrupted);
            }
        }
        if !self.position.finished {
            let set = full_batch::WholeSet { data: &data, samples, given, unrolling: &unrolling, validation, stop };
            if self.iterate_lbfgs(&set, &mut metrics, progress)? {
                return Ok(Ending::Interrupted);
            }
        }
        if let Some(best) = self.best.clone().filter(|_| self.config.early_stopping.is_some()) {
            self.replace_parameters(best).expect("parameters that were taken from this model");
        }
        Ok(self.ending())
    }

    /// How a finished run ended.
    fn ending(&self) -> Ending {
        let patience = self.config.early_stopping.unwrap_or(usize::MAX);
        if self.position.validations_since_best >= patience { Ending::EarlyStop } else { Ending::Finished }
    }

    fn check_data(&self, train: Samples<'_>, validation: Option<Samples<'_>>) -> Result<(), NnError> {
        if train.indices.is_empty() {
            return Err(NnError::Empty { what: "training" });
        }
        for set in [Some(train), validation].into_iter().flatten() {
            metrics::check_shapes(self.model(), set.dataset)?;
        }
        if let (Some(patience), None) = (self.config.early_stopping, validation) {
            let reason = "needs a validation set";
            return Err(NnError::config("train.early_stopping", patience, reason));
        }
        if let (Some(saved), Some(run)) = (&self.resumed_from, &self.directory) {
            let now = Identity { training_samples: train.indices.len(), ..saved.clone() };
            now.check(saved, &checkpoint_file(run))?;
        }
        Ok(())
    }

    /// The objective of a batch. Only points inside the mask count.
    fn objective(&self, model: &M, (x, y): Batch, unrolling: &Unrolling) -> Tensor<1> {
        let loss = unrolling.loss(self.config.loss, model, x, y);
        match slope_penalty(self.config.slope_penalty, model) {
            Some(penalty) => loss + penalty,
            None => loss,
        }
    }

    /// One step of AdamW or SOAP; returns the objective.
    fn step(&mut self, batch: Batch, unrolling: &Unrolling, schedule: &Schedule) -> Result<f64, NnError> {
        let model = self.model.take().expect("only taken out inside a step");
        let loss = self.objective(&model, batch, unrolling);
        let gradients = ModelGradients::take(&model, loss.backward());
        let (norm, value) = gradients.norm_and_loss(loss);
        for (what, value) in [("the training loss", value), ("the norm of the gradient", norm)] {
            if !value.is_finite() {
                self.model = Some(model);
                let (epoch, step) = (self.position.epoch + 1, self.position.step + 1);
                return Err(NnError::NonFinite { what, value, epoch, step });
            }
        }
        let rate = schedule.at(self.position.step);
        let scale = clip_factor(norm, self.config.clip_norm);
        self.model = Some(self.optimizer.step(model, gradients, rate, scale));
        self.position.step += 1;
        Ok(value)
    }

    /// Closes the epoch: validation, early stopping, position.
    fn end_epoch(
        &mut self,
        validation: Option<Samples<'_>>,
        learning_rate: f64,
        total_steps: u64,
        clock: &Clock,
    ) -> Result<EpochMetrics, NnError> {
        let train_loss = self.position.loss_sum / self.position.samples as f64;
        self.position.epoch += 1;
        self.position.batch = 0;
        self.position.samples = 0;
        self.position.loss_sum = 0.0;
        self.position.finished = self.position.step >= total_steps;
        let due = self.position.finished || self.position.epoch.is_multiple_of(self.config.validate_every);
        let validated = validation.filter(|_| due).map(|set| self.validate(set)).transpose()?;
        self.position.seconds = clock.seconds();
        Ok(EpochMetrics {
            epoch: self.position.epoch,
            step: self.position.step,
            train_loss,
            validation_relative_l2: validated,
            learning_rate,
            slopes: self.model().slopes(),
            seconds: self.position.seconds,
        })
    }

    /// Error on the validation set; keeps the best parameters and decides on stopping early.
    fn validate(&mut self, set: Samples<'_>) -> Result<f64, NnError> {
        let (batch, precision) = (self.config.batch_size, self.config.precision);
        let error = evaluate(self.model(), &self.normalizers, set.dataset, set.indices, batch, precision)?.relative_l2;
        if self.position.best_validation.is_none_or(|best| error < best) {
            self.position.best_validation = Some(error);
            self.position.validations_since_best = 0;
            if self.config.early_stopping.is_some() {
                self.best = Some(parameters::export(self.model()));
            }
        } else {
            self.position.validations_since_best += 1;
        }
        if self.config.early_stopping.is_some_and(|patience| self.position.validations_since_best >= patience) {
            self.position.finished = true;
        }
        Ok(error)
    }

    fn replace_parameters(&mut self, tensors: Vec<NamedTensor>) -> Result<(), String> {
        let model = self.model.take().expect("only taken out inside a step");
        let backup = model.clone();
        let result = parameters::import(model, tensors);
        let (model, result) = match result {
            Ok(model) => (model, Ok(())),
            Err(problem) => (backup, Err(problem)),
        };
        self.model = Some(model);
        result
    }

    fn progress<'a>(
        &self,
        loss: f64,
        epochs: usize,
        total_steps: u64,
        clock: &Clock,
        epoch_end: Option<&'a EpochMetrics>,
    ) -> Progress<'a> {
        Progress {
            epoch: if epoch_end.is_some() { self.position.epoch } else { self.position.epoch + 1 },
            epochs,
            step: self.position.step,
            total_steps,
            loss,
            seconds: self.position.seconds,
            seconds_left: clock.seconds_left(self.position.step, total_steps),
            epoch_end,
        }
    }

    fn open_metrics(&self) -> Result<Option<File>, NnError> {
        let Some(run) = &self.directory else { return Ok(None) };
        let path = metrics_file(run);
        let mut options = OpenOptions::new();
        if self.position.step == 0 {
            options.write(true).create(true).truncate(true);
        } else {
            options.append(true).create(true);
        }
        options.open(&path).map(Some).map_err(NnError::io(&path, "create"))
    }

    fn write_metrics(&self, metrics: &mut Option<File>, line: &EpochMetrics) -> Result<(), NnError> {
        if let (Some(file), Some(run)) = (metrics, &self.directory) {
            let path = metrics_file(run);
            file.write_all(&metrics_line(line, &path)?).map_err(NnError::io(&path, "write"))?;
        }
        Ok(())
    }

    fn save_checkpoint(&self, training_samples: usize) -> Result<(), NnError> {
        let Some(run) = &self.directory else { return Ok(()) };
        let identity = Identity { train: self.config.clone(), normalizers: self.normalizers.clone(), training_samples };
        let checkpoint = Checkpoint {
            position: self.position.clone(),
            identity,
            parameters: parameters::export(self.model()),
            moments: self.lbfgs.as_ref().map_or_else(|| self.optimizer.export(), full_batch::export),
            best: self.best.clone(),
        };
        checkpoint.save(run)
    }
}

/// The metrics file of a run directory.
pub fn metrics_file(run: &Path) -> PathBuf {
    run.join("metrics.jsonl")
}

/// The metrics of a run directory, epoch by epoch; empty if there is no such file.
///
/// # Errors
/// A file that cannot be read, or a line that is no such object. A last line that was cut off is left out.
pub fn read_metrics(run: &Path) -> Result<Vec<EpochMetrics>, NnError> {
    let path = metrics_file(run);
    let text = match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(NnError::io(&path, "read"))?,
    };
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = complete.lines().enumerate();
    lines
        .map(|(i, line)| serde_json::from_str(line).map_err(|e| NnError::file(&path, format!("line {}: {e}", i + 1))))
        .collect()
}

fn metrics_line(line: &EpochMetrics, path: &Path) -> Result<Vec<u8>, NnError> {
    let mut text = serde_json::to_vec(line).map_err(|e| NnError::file(path, e))?;
    text.push(b'\n');
    Ok(text)
}

/// Time of training, over interruptions.
struct Clock {
    started: Instant,
    seconds_before: f64,
    steps_before: u64,
}

impl Clock {
    fn start(seconds_before: f64, steps_before: u64) -> Self {
        Self { started: Instant::now(), seconds_before, steps_before }
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    fn seconds_left(&self, step: u64, total: u64) -> f64 {
        let taken = step.saturating_sub(self.steps_before).max(1) as f64;
        self.started.elapsed().as_secs_f64() / taken * total.saturating_sub(step) as f64
    }
}
