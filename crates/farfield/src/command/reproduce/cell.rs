//! One training run of a table: resumable, and read from disk once it is done.
//!
//! A cell is a run directory as `farfield train` makes it, without pictures. What is finished is not trained again; what was interrupted goes on from its
//! checkpoint; what was made from another configuration is refused.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use farfield_nn::config::OptimizerKind;
use farfield_nn::{TrainConfig, Trainer, fit_normalizers};

use crate::command::train::{assess, build_model, fit};
use crate::failure::bad_input;
use crate::results::Results;
use crate::run_config::RunConfig;
use crate::run_dir::RunDir;
use crate::sets::Sets;

/// Steps of a trial, the first of them not counted.
const TRIAL_STEPS: u64 = 4;
/// A trial of fast steps goes on to this many seconds.
const TRIAL_SECONDS: f64 = 0.5;

/// What is left of a cell to do.
pub enum State {
    /// Nothing: its results.
    Done(Box<Results>),
    /// It was begun with this configuration.
    Begun(Box<RunConfig>),
    /// Everything.
    Missing,
}

/// Looks at a cell that is to be of `config`; `any_steps` if the number of steps is the cell's own.
///
/// # Errors
/// A cell of another configuration, or one that cannot be read.
pub fn look(dir: &Path, config: &RunConfig, any_steps: bool) -> Result<State> {
    if !dir.join("config.toml").is_file() {
        return Ok(State::Missing);
    }
    let found = RunDir::open(dir)?.config()?;
    let mut wanted = config.clone();
    if any_steps {
        (wanted.train.steps, wanted.train.polish) = (found.train.steps, found.train.polish);
    }
    if found != wanted {
        return Err(bad_input(format!(
            "{}: was made from another configuration: remove it, or give another --out",
            dir.display()
        )));
    }
    let file = dir.join("results.json");
    if !file.is_file() {
        return Ok(State::Begun(Box::new(found)));
    }
    let text = std::fs::read(&file).with_context(|| format!("{}: cannot read", file.display()))?;
    let results = serde_json::from_slice(&text).map_err(|e| bad_input(format!("{}: {e}", file.display())))?;
    Ok(State::Done(Box::new(results)))
}

/// Trains a cell to its end and writes its results.
///
/// # Errors
/// As training; an interruption, after which the cell can be continued.
pub fn train(dir: &Path, config: &RunConfig, sets: &Sets, stop: &AtomicBool, quiet: bool) -> Result<Results> {
    build_model(config, &config.model, sets)?;
    let (run, resume) = match dir.join("config.toml").is_file() {
        true => (RunDir::open(dir)?, dir.join("checkpoint").exists()),
        false => {
            let run = RunDir::create(Some(dir), "", false)?;
            run.write("config.toml", config.to_toml()?.as_bytes())?;
            (run, false)
        }
    };
    let trained = fit(config, &config.model, sets, Some((&run, resume)), stop, quiet)?;
    let results = assess(config, &run, sets, &trained)?.results;
    run.write("results.json", &serde_json::to_vec_pretty(&results)?)?;
    Ok(results)
}

/// Batches whose gradient a training takes: one a step of AdamW, all of the set an iteration of L-BFGS (whose line search seldom needs more than one
/// evaluation).
pub fn batches(train: &TrainConfig, samples: usize) -> u64 {
    train.first_order_steps(samples) + train.lbfgs_iterations() * train.steps_per_epoch(samples)
}

/// Seconds that a batch takes here and at this moment.
pub fn seconds_per_batch(config: &RunConfig, sets: &Sets) -> Result<f64> {
    let network = build_model(config, &config.model, sets)?;
    let normalizers = fit_normalizers(&config.train, sets.train.samples())?;
    let mut train = config.train.clone();
    (train.steps, train.polish) = (Some(u64::MAX / 2), 0);
    if train.optimizer == OptimizerKind::Lbfgs {
        train.optimizer = OptimizerKind::Adamw;
    }
    train.early_stopping = None;
    let mut trainer = Trainer::new(network, normalizers, train)?;
    let stop = AtomicBool::new(false);
    let (mut first, mut last) = (None, (0, 0.0));
    trainer.fit(sets.train.samples(), None, &stop, &mut |now| {
        let (step, start) = *first.get_or_insert((now.step, now.seconds));
        last = (now.step - step, now.seconds - start);
        if last.0 >= TRIAL_STEPS - 1 && last.1 >= TRIAL_SECONDS || now.seconds > 20.0 * TRIAL_SECONDS && last.0 > 0 {
            stop.store(true, Ordering::Relaxed);
        }
    })?;
    Ok(last.1 / last.0.max(1) as f64)
}
