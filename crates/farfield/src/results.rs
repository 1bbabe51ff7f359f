//! The results of a run: what `results.json` and `--json` hold. Names are stable.

use std::collections::BTreeMap;

use farfield_nn::config::OptimizerKind;
use farfield_nn::not_finite;
use farfield_nn::{AnyModel, Evaluation, Model, Rollout, RolloutErrors};
use serde::{Deserialize, Serialize};

/// The parameters of a model with complex numbers counted once, where that differs from counting them as two real ones.
pub fn parameters_complex(model: &AnyModel) -> Option<usize> {
    let once = model.num_parameters_complex();
    (once != model.num_parameters()).then_some(once)
}

/// A number of parameters in both ways of counting complex numbers, for people.
pub fn parameters_text(parameters: usize, complex: Option<usize>) -> String {
    match complex {
        Some(once) => format!("{parameters} ({once})"),
        None => parameters.to_string(),
    }
}

/// What the number in brackets of [`parameters_text`] is.
pub const COMPLEX_NOTE: &str = "parameters: a complex number counts as two real ones; in brackets it counts once";

/// Errors on one set of samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetErrors {
    /// The set, for people.
    pub set: String,
    /// Number of samples.
    pub samples: usize,
    /// Mean over samples of `||e|| / ||y||` (eq. 2).
    #[serde(deserialize_with = "not_finite::number")]
    pub relative_l2: f64,
    /// Median, 90 % quantile and maximum of it over samples.
    #[serde(deserialize_with = "not_finite::number")]
    pub median: f64,
    /// 90 % quantile.
    #[serde(deserialize_with = "not_finite::number")]
    pub q90: f64,
    /// Largest.
    #[serde(deserialize_with = "not_finite::number")]
    pub max: f64,
    /// Mean over samples of `||e||`, unweighted (eq. 3).
    #[serde(deserialize_with = "not_finite::number")]
    pub trajectory_l2: f64,
    /// One ratio over the whole set.
    #[serde(deserialize_with = "not_finite::number")]
    pub global_l2: f64,
    /// Mean over samples and channels of the root mean square error over the deviation of the field (The Well).
    #[serde(deserialize_with = "not_finite::number")]
    pub vrmse: f64,
    /// Mean over samples and channels of `||e|| / ||y||` (PDEBench).
    #[serde(deserialize_with = "not_finite::number")]
    pub nrmse: f64,
}

impl SetErrors {
    /// From an evaluation.
    pub fn new(set: &str, evaluation: &Evaluation) -> Self {
        Self {
            set: set.to_owned(),
            samples: evaluation.per_sample.len(),
            relative_l2: evaluation.relative_l2,
            median: evaluation.quantile(0.5),
            q90: evaluation.quantile(0.9),
            max: evaluation.quantile(1.0),
            trajectory_l2: evaluation.trajectory_l2,
            global_l2: evaluation.global_l2,
            vrmse: evaluation.vrmse,
            nrmse: evaluation.nrmse,
        }
    }
}

/// A predictor that the model is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparator {
    /// What it is, for people.
    pub name: String,
    /// Numbers that were fitted, where that means something.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters: Option<usize>,
    /// The same with complex numbers counted once, where that differs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters_complex: Option<usize>,
    /// Mean relative error on the test set.
    #[serde(deserialize_with = "not_finite::number")]
    pub relative_l2: f64,
    /// Mean relative error out of distribution.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ood_relative_l2: Option<f64>,
    /// Errors over whole test trajectories.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollout: Option<RolloutErrors>,
    /// Seconds to fit it.
    pub seconds: f64,
}

/// Results of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Run directory.
    pub run: String,
    /// Kind of model.
    pub model: String,
    /// Trainable numbers, a complex number counted as two real ones.
    pub parameters: usize,
    /// The same with complex numbers counted once, where that differs (FNO).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters_complex: Option<usize>,
    /// Training samples.
    pub samples: usize,
    /// Seconds of training.
    pub seconds: f64,
    /// Method of training, chosen by the trainer if the configuration says `"auto"`.
    #[serde(default)]
    pub optimizer: OptimizerKind,
    /// Optimiser steps.
    pub steps: u64,
    /// Seed.
    pub seed: u64,
    /// `f32` or `f64`.
    pub precision: String,
    /// Slopes of the activations at the end.
    pub slopes: Vec<f64>,
    /// Peak resident memory of the process so far, MiB.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peak_mib: Option<f64>,
    /// Errors on the test set.
    pub test: SetErrors,
    /// Errors out of distribution, for built-in problems.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ood: Option<SetErrors>,
    /// Errors of the model over whole test trajectories, beside those of "no change", for one-step models.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollout: Option<Rollout>,
    /// Trivial predictors and comparators: `mean`, `linear` (minimum-norm least squares), `block_diagonal` (least squares
    /// leaf by leaf), and trained networks `network_dense`, `network_block_diagonal`.
    pub baselines: BTreeMap<String, Comparator>,
    /// What a reader must know.
    pub notes: Vec<String>,
}
