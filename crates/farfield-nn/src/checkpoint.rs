//! The state of a training run in one file, from which it continues to the same bits.
//!
//! `checkpoint/training.safetensors` in the run directory holds the parameters (`parameters.NAME`), both moments
//! of AdamW or SOAP (`first.NAME`, `second.NAME`; with SOAP also `factors.NAME` and `bases.NAME`) or, once its iterations have begun, the state of L-BFGS (`lbfgs.x`, `lbfgs.value`, `lbfgs.gradient`, and the
//! pairs of its history, `lbfgs.s` and `lbfgs.y`, in double precision), the best parameters so far if early stopping is on
//! (`best.NAME`), and in the metadata, as JSON, the position in the run, the configuration and the scaling of the
//! data. The order of samples and the learning rate are functions of seed, epoch and step, so nothing else is
//! needed. The file is replaced as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;
use crate::error::NnError;
use crate::lbfgs::StopReason;
use crate::metrics::Normalizers;
use crate::parameters::NamedTensor;
use crate::safetensors_file::{self, Contents};

const FORMAT: &str = "farfield-checkpoint";
const VERSION: &str = "1";

/// Position in a training run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Optimiser steps taken.
    pub step: u64,
    /// Epochs completed.
    pub epoch: usize,
    /// Batches taken of the epoch in progress.
    pub batch: usize,
    /// Samples in those batches.
    pub samples: usize,
    /// Sum over those samples of the loss of their batch.
    pub loss_sum: f64,
    /// Seconds spent in training.
    pub seconds: f64,
    /// Smallest validation error so far.
    pub best_validation: Option<f64>,
    /// Validations since then.
    pub validations_since_best: usize,
    /// Whether the run has come to its end.
    pub finished: bool,
    /// Why L-BFGS ended before its last iteration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StopReason>,
}

/// What must agree between a checkpoint and the run that continues it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) train: TrainConfig,
    pub(crate) normalizers: Normalizers,
    pub(crate) training_samples: usize,
}

/// Everything that a checkpoint holds.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) position: Position,
    pub(crate) identity: Identity,
    pub(crate) parameters: Vec<NamedTensor>,
    pub(crate) moments: Vec<NamedTensor>,
    pub(crate) best: Option<Vec<NamedTensor>>,
}

/// The checkpoint file of a run directory.
pub fn checkpoint_file(run: &Path) -> PathBuf {
    run.join("checkpoint").join("training.safetensors")
}

impl Checkpoint {
    /// Writes the checkpoint of the run directory `run`, replacing an older one.
    pub(crate) fn save(&self, run: &Path) -> Result<(), NnError> {
        let path = checkpoint_file(run);
        let folder = run.join("checkpoint");
        std::fs::create_dir_all(&folder).map_err(NnError::io(&folder, "create"))?;
        let json = |value: serde_json::Result<String>| {
            value.map_err(|e| NnError::file(&path, format!("cannot be described as JSON: {e}")))
        };
        let metadata = BTreeMap::from([
            ("format", FORMAT.to_owned()),
            ("version", VERSION.to_owned()),
            ("position", json(serde_json::to_string(&self.position))?),
            ("identity", json(serde_json::to_string(&self.identity))?),
        ]);
        let mut tensors = Vec::new();
        let mut add = |prefix: &str, list: &[NamedTensor]| {
            for tensor in list {
                let name = format!("{prefix}{}", tensor.name);
                tensors.push(NamedTensor { name, data: tensor.data.clone() });
            }
        };
        add("parameters.", &self.parameters);
        add("", &self.moments);
        add("best.", self.best.as_deref().unwrap_or_default());
        safetensors_file::write(&path, &metadata, &tensors)
    }

    /// Reads the checkpoint of the run directory `run`.
    pub(crate) fn load(run: &Path) -> Result<Self, NnError> {
        let path = checkpoint_file(run);
        let contents = safetensors_file::read(&path)?;
        contents.check_kind(&path, FORMAT, VERSION)?;
        let position: Position = parse(&contents, &path, "position")?;
        let identity = parse(&contents, &path, "identity")?;
        let (mut parameters, mut moments, mut best) = (Vec::new(), Vec::new(), Vec::new());
        for (name, data) in contents.tensors {
            if let Some(name) = name.strip_prefix("parameters.") {
                parameters.push(NamedTensor { name: name.to_owned(), data });
            } else if let Some(name) = name.strip_prefix("best.") {
                best.push(NamedTensor { name: name.to_owned(), data });
            } else {
                moments.push(NamedTensor { name, data });
            }
        }
        let best = (!best.is_empty()).then_some(best);
        Ok(Self { position, identity, parameters, moments, best })
    }
}

fn parse<T: serde::de::DeserializeOwned>(contents: &Contents, path: &Path, key: &str) -> Result<T, NnError> {
    serde_json::from_str(contents.text(path, key)?)
        .map_err(|e| NnError::file(path, format!("metadata key \"{key}\": {e}")))
}

impl Identity {
    /// Checks that this run, which is to continue from `path`, is the one that was interrupted.
    pub(crate) fn check(&self, saved: &Self, path: &Path) -> Result<(), NnError> {
        if self.training_samples != saved.training_samples {
            return Err(NnError::file(
                path,
                format!(
                    "was written when training on {} samples, now there are {}: continue with the same data",
                    saved.training_samples, self.training_samples
                ),
            ));
        }
        if self.normalizers != saved.normalizers {
            return Err(NnError::file(
                path,
                "the data are scaled differently than before: continue with the same data",
            ));
        }
        let (now, before) = (serde_json::json!(self.train), serde_json::json!(saved.train));
        let keys = now.as_object().into_iter().chain(before.as_object()).flat_map(|o| o.keys());
        if let Some(key) = keys.into_iter().find(|key| now.get(key) != before.get(key)) {
            let text = |v: &serde_json::Value| v.get(key).map_or("not set".to_owned(), ToString::to_string);
            return Err(NnError::file(
                path,
                format!(
                    "train.{key} was {}, now it is {}: continue with the same configuration",
                    text(&before),
                    text(&now)
                ),
            ));
        }
        Ok(())
    }
}
