//! Training by L-BFGS: the objective and gradient of the whole training set as a function of one vector.
//!
//! Both are summed over batches in the order of the set, so that memory does not grow with it, in double precision whatever the type of the model: the
//! vector stays in double precision and is rounded for every evaluation. An iteration counts as a step and as an epoch. Between the batches of an
//! evaluation the stop flag is looked at; what an interrupted iteration has done is dropped, so that a continued run makes the same iterations.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::TensorData;

use super::{Clock, Progress, Trainer};
use crate::config::TrainConfig;
use crate::error::NnError;
use crate::flat_parameters;
use crate::lbfgs::{Iteration, Lbfgs, LbfgsOptions, LbfgsState};
use crate::model::Model;
use crate::optimizer::ModelGradients;
use crate::parameters::NamedTensor;
use crate::training_data::{Samples, TrainingData};
use crate::unroll::Unrolling;

/// What the iterations work on.
pub(super) struct WholeSet<'a> {
    pub data: &'a TrainingData<'a>,
    /// Samples of an epoch.
    pub samples: usize,
    /// Samples of the training set: more, if several steps in time are trained.
    pub given: usize,
    pub unrolling: &'a Unrolling,
    pub validation: Option<Samples<'a>>,
    pub stop: &'a AtomicBool,
}

/// Why an evaluation has no value.
enum Halt {
    Interrupted,
    Failed(NnError),
}

impl<M: Model> Trainer<M> {
    /// Iterates until the run is at its end; `true` when it was interrupted before.
    pub(super) fn iterate_lbfgs(
        &mut self,
        set: &WholeSet<'_>,
        metrics: &mut Option<File>,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<bool, NnError> {
        let clock = Clock::start(self.position.seconds, self.position.step);
        let total_steps = self.config.total_steps(set.samples);
        let epochs = self.config.total_epochs(set.samples);
        let all: Vec<usize> = (0..set.samples).collect();
        let batches: Vec<Vec<usize>> = all.chunks(self.config.batch_size).map(<[usize]>::to_vec).collect();
        let sizes = flat_parameters::sizes(self.model());
        let objective = |trainer: &mut Self, x: &[f64], gradient: &mut [f64]| {
            trainer.whole_objective(set, &batches, &sizes, x, gradient)
        };

        let mut state = match self.lbfgs.take() {
            Some(state) => state,
            None => {
                let start = flat_parameters::values(self.model());
                match Lbfgs::new(start, options(&self.config), &mut |x, gradient| objective(self, x, gradient)) {
                    Ok(state) => state,
                    Err(Halt::Failed(error)) => return Err(error),
                    Err(Halt::Interrupted) => {
                        self.position.seconds = clock.seconds();
                        self.save_checkpoint(set.given)?;
                        return Ok(true);
                    }
                }
            }
        };
        if !state.is_finite() {
            let (epoch, step) = (self.position.epoch + 1, self.position.step + 1);
            let value = state.value();
            let what = if value.is_finite() { "the gradient at a training loss" } else { "the training loss" };
            return Err(NnError::NonFinite { what, value, epoch, step });
        }
        while !self.position.finished {
            let outcome = state.iterate(&mut |x, gradient| objective(self, x, gradient));
            // The last evaluation may have been elsewhere.
            self.set_parameters(state.x());
            self.position.seconds = clock.seconds();
            let mut interrupted = false;
            match outcome {
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::Interrupted) => interrupted = true,
                Ok(Iteration::Stopped(reason)) => {
                    self.position.stopped = Some(reason);
                    self.position.finished = true;
                    let validated = self.position.epoch.is_multiple_of(self.config.validate_every);
                    if let Some(set) = set.validation.filter(|_| !validated) {
                        self.validate(set)?;
                    }
                }
                Ok(Iteration::Lower { step, .. }) => {
                    self.position.step += 1;
                    (self.position.samples, self.position.loss_sum) = (1, state.value());
                    let line = self.end_epoch(set.validation, step, total_steps, &clock)?;
                    self.write_metrics(metrics, &line)?;
                    progress(&self.progress(line.train_loss, epochs, total_steps, &clock, None));
                    progress(&self.progress(line.train_loss, epochs, total_steps, &clock, Some(&line)));
                    interrupted = set.stop.load(Ordering::Relaxed);
                }
            }
            let every = self.config.checkpoint_every;
            let due = every > 0 && self.position.epoch.is_multiple_of(every);
            if due || interrupted || self.position.finished {
                self.lbfgs = Some(state);
                self.save_checkpoint(set.given)?;
                state = self.lbfgs.take().expect("put there above");
            }
            if interrupted && !self.position.finished {
                self.lbfgs = Some(state);
                return Ok(true);
            }
        }
        self.lbfgs = Some(state);
        Ok(false)
    }

    fn set_parameters(&mut self, x: &[f64]) {
        let model = self.model.take().expect("only taken out inside a step");
        self.model = Some(flat_parameters::with_values(model, x));
    }

    /// Objective and gradient of the whole set at `x`.
    fn whole_objective(
        &mut self,
        set: &WholeSet<'_>,
        batches: &[Vec<usize>],
        sizes: &[usize],
        x: &[f64],
        gradient: &mut [f64],
    ) -> Result<f64, Halt> {
        self.set_parameters(x);
        gradient.fill(0.0);
        let (mut value, mut interrupted) = (0.0, false);
        let outcome = set.data.for_each_batch(batches, |size, batch| {
            interrupted = set.stop.load(Ordering::Relaxed);
            if interrupted {
                return Ok(false);
            }
            let loss = self.objective(self.model(), batch, set.unrolling);
            let gradients = ModelGradients::take(self.model(), loss.backward());
            let share = size as f64 / set.samples as f64;
            gradients.add_to(gradient, sizes, share);
            value += share * loss.into_data().iter::<f64>().sum::<f64>();
            Ok(true)
        });
        match (outcome, interrupted) {
            (Err(error), _) => Err(Halt::Failed(error)),
            (Ok(()), true) => Err(Halt::Interrupted),
            (Ok(()), false) => Ok(value),
        }
    }
}

fn options(config: &TrainConfig) -> LbfgsOptions {
    LbfgsOptions { history: config.lbfgs_history, ..LbfgsOptions::default() }
}

/// The state as tensors of a checkpoint, `lbfgs.NAME`.
pub(super) fn export(state: &Lbfgs) -> Vec<NamedTensor> {
    let LbfgsState { x, value, gradient, s, y } = state.export();
    let n = x.len();
    let named = |name: &str, values: Vec<f64>, shape: Vec<usize>| NamedTensor {
        name: format!("lbfgs.{name}"),
        data: TensorData::new(values, shape),
    };
    let mut tensors =
        vec![named("x", x, vec![n]), named("value", vec![value], vec![1]), named("gradient", gradient, vec![n])];
    if !s.is_empty() {
        let pairs = s.len() / n;
        tensors.extend([named("s", s, vec![pairs, n]), named("y", y, vec![pairs, n])]);
    }
    tensors
}

/// The state of [`export`] for a model of `n` numbers; `None` when the tensors hold none.
///
/// # Errors
/// A line of text: tensors that do not make a state of this length.
pub(super) fn import(tensors: &[NamedTensor], n: usize, config: &TrainConfig) -> Result<Option<Lbfgs>, String> {
    if !tensors.iter().any(|tensor| tensor.name.starts_with("lbfgs.")) {
        return Ok(None);
    }
    let find = |name: &str| -> Option<Vec<f64>> {
        let name = format!("lbfgs.{name}");
        let tensor = tensors.iter().find(|tensor| tensor.name == name)?;
        tensor.data.as_slice::<f64>().ok().map(<[f64]>::to_vec)
    };
    let wrong = || format!("the state of L-BFGS is not that of a model of {n} numbers");
    let state = (|| {
        let (x, value, gradient) = (find("x")?, find("value")?, find("gradient")?);
        let (s, y) = (find("s").unwrap_or_default(), find("y").unwrap_or_default());
        let fits = x.len() == n && value.len() == 1;
        let state = LbfgsState { x, value: value[..].first().copied()?, gradient, s, y };
        if fits { Lbfgs::import(state, options(config)) } else { None }
    })();
    state.map(Some).ok_or_else(wrong)
}
