//! What a model and its training are made of: structures read from TOML or JSON, every field with a default.
//!
//! Unknown keys are errors. A wrong value is reported as `model.rank = -1: ...` by deserialisation or by
//! `validate`. [`presets`](crate::presets) carry the numbers of the tables of the Neural-HSS paper.

use burn::tensor::{DType, Device};
use farfield_data::{FieldShape, Normalization};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::NnError;

/// Largest number of inner layers.
const MAX_DEPTH: usize = 1000;
/// Largest history of L-BFGS.
const MAX_HISTORY: usize = 1000;

/// Which model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Layers of HSS matrices.
    #[default]
    NeuralHss,
    /// The same model with rank 0: every leaf acts on its own, no far field. A comparator.
    BlockDiagonal,
    /// The same model with 0 levels: one dense matrix a mode and term. A comparator.
    Dense,
}

/// What stands before or after the inner layers. Always linear, without bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapKind {
    /// Nothing: the grids on both sides must agree, with one channel.
    #[default]
    None,
    /// An HSS layer (levels, rank and outer rank of the model) between the two grids; one channel.
    Hss,
    /// One full matrix a mode between the two grids; one channel.
    Full,
    /// The low-rank tensor map of appendix E with [`ModelConfig::lift_rank`] terms; any channels.
    Tensor,
}

/// Shape of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// `"neural-hss"` (default), `"block-diagonal"` or `"dense"`.
    pub kind: ModelKind,
    /// Levels `L` of the cluster tree of every axis: `2^L` leaves. Default 3. 0 gives dense matrices.
    #[serde(deserialize_with = "field::levels")]
    pub levels: usize,
    /// Rank `r` of the coupling between leaves. Default 2. At or above the leaf size is legal.
    #[serde(deserialize_with = "field::rank")]
    pub rank: usize,
    /// Terms `r_out` of the sum in eq. 1. Default 1; the paper has 8 in 2D and 2 in 3D.
    #[serde(deserialize_with = "field::outer_rank")]
    pub outer_rank: usize,
    /// Number of inner HSS layers, each followed by the activation. Default 3.
    #[serde(deserialize_with = "field::depth")]
    pub depth: usize,
    /// Grid of the inner layers, points along every axis. Default: the grid of the input.
    #[serde(deserialize_with = "field::embedding", skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Vec<usize>>,
    /// Map from the input to the inner grid: `"none"` (default), `"hss"`, `"full"`, `"tensor"`.
    pub lift: MapKind,
    /// Map from the inner grid to the output: `"none"` (default), `"hss"`, `"full"`, `"tensor"`.
    pub project: MapKind,
    /// Terms of a tensor map. Default 64.
    #[serde(deserialize_with = "field::lift_rank")]
    pub lift_rank: usize,
    /// Slope at which every LeakyReLU starts. Default 1 (the identity): measured on 1D Poisson, a start
    /// at 0.1 ends with six times the error.
    pub slope_init: f64,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            kind: ModelKind::NeuralHss,
            levels: 3,
            rank: 2,
            outer_rank: 1,
            depth: 3,
            embedding: None,
            lift: MapKind::None,
            project: MapKind::None,
            lift_rank: 64,
            slope_init: 1.0,
        }
    }
}

impl ModelConfig {
    /// Levels that the layers really have: 0 for the dense comparator.
    pub fn effective_levels(&self) -> usize {
        match self.kind {
            ModelKind::Dense => 0,
            _ => self.levels,
        }
    }

    /// Rank that the layers really have: 0 for the block-diagonal comparator.
    pub fn effective_rank(&self) -> usize {
        match self.kind {
            ModelKind::BlockDiagonal => 0,
            _ => self.rank,
        }
    }

    /// The inner grid for a given input.
    pub fn inner_grid(&self, input: &FieldShape) -> Vec<usize> {
        self.embedding.clone().unwrap_or_else(|| input.grid.clone())
    }

    /// Checks every field by itself.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        let max = farfield_kernels::layout::MAX_LEVELS;
        if self.levels > max {
            return Err(NnError::config("model.levels", self.levels, format!("must be at most {max}")));
        }
        for (field, value) in
            [("model.outer_rank", self.outer_rank), ("model.depth", self.depth), ("model.lift_rank", self.lift_rank)]
        {
            if value == 0 {
                return Err(NnError::config(field, value, "must be at least 1"));
            }
        }
        if self.depth > MAX_DEPTH {
            return Err(NnError::config("model.depth", self.depth, format!("must be at most {MAX_DEPTH}")));
        }
        if let Some(grid) = &self.embedding
            && (!(1..=3).contains(&grid.len()) || grid.contains(&0))
        {
            return Err(NnError::config(
                "model.embedding",
                format!("{grid:?}"),
                "one, two or three positive numbers, one an axis of the grid",
            ));
        }
        finite("model.slope_init", self.slope_init)
    }

    /// Checks that the model can map `input` to `output`.
    ///
    /// # Errors
    /// The field that does not fit the shapes, after [`ModelConfig::validate`].
    pub fn check_shapes(&self, input: &FieldShape, output: &FieldShape) -> Result<(), NnError> {
        self.validate()?;
        let inner = self.inner_grid(input);
        let tensor_only = "set model.lift and model.project to \"tensor\"";
        if inner.len() != input.dims() {
            return Err(NnError::config(
                "model.embedding",
                format!("{inner:?}"),
                format!("the data have {} axes", input.dims()),
            ));
        }
        for (field, kind, shape, what) in
            [("model.lift", self.lift, input, "input"), ("model.project", self.project, output, "output")]
        {
            if kind == MapKind::Tensor {
                continue;
            }
            let name = serde_json::to_string(&kind).unwrap_or_default();
            if shape.channels != 1 {
                return Err(NnError::config(
                    field,
                    name,
                    format!(
                        "the {what} has {} channels and only a tensor map takes several: {tensor_only}",
                        shape.channels
                    ),
                ));
            }
            if shape.dims() != inner.len() {
                return Err(NnError::config(
                    field,
                    name,
                    format!("the {what} has {} axes and the inner grid {}: {tensor_only}", shape.dims(), inner.len()),
                ));
            }
            if kind == MapKind::None && shape.grid != inner {
                return Err(NnError::config(
                    field,
                    name,
                    format!(
                        "the {what} grid {:?} differs from the inner grid {inner:?}: use \"hss\", \"full\" or \"tensor\"",
                        shape.grid
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Course of the learning rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Half a cosine from the peak to the minimum.
    #[default]
    Cosine,
    /// The peak throughout.
    Constant,
}

/// Method of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// AdamW on mini-batches, followed by [`TrainConfig::polish`] iterations of L-BFGS.
    #[default]
    Adamw,
    /// [SOAP](farfield_kernels::Soap): AdamW in the eigenbases of a preconditioner of every block, on mini-batches, followed by a polish likewise. CPU only.
    Soap,
    /// SOAP for models of HSS layers on the processor, AdamW elsewhere: the trainer chooses, and says so ([`Trainer::choice`](crate::Trainer::choice)).
    Auto,
    /// [L-BFGS](crate::lbfgs) on the whole training set: an iteration is a step and an epoch.
    Lbfgs,
}

/// Objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Squared errors summed over grid and channels, averaged over the batch (appendix G).
    #[default]
    Sum,
    /// Squared errors averaged over everything.
    Mean,
}

/// Float type of parameters, data and arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single.
    #[default]
    F32,
    /// Double.
    F64,
}

impl Precision {
    /// The tensor type.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }

    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// Where tensors live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The processor.
    #[default]
    Cpu,
    /// The first NVIDIA GPU; needs the feature `cuda`.
    Cuda,
    /// The first GPU that wgpu finds; needs the feature `wgpu`.
    Wgpu,
}

impl DeviceKind {
    /// Opens the device (autodiff off).
    ///
    /// # Errors
    /// When this build has no support for it.
    pub fn open(self) -> Result<Device, NnError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(0)),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => Err(NnError::config(
                "train.device",
                "\"cuda\"",
                "this build has no CUDA: build with --features cuda, or use \"cpu\"",
            )),
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu => Err(NnError::config(
                "train.device",
                "\"wgpu\"",
                "this build has no wgpu: build with --features wgpu, or use \"cpu\"",
            )),
        }
    }
}

/// How a model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// `"adamw"` (default), `"soap"`, `"lbfgs"` or `"auto"`.
    pub optimizer: OptimizerKind,
    /// L-BFGS iterations on the whole training set after the steps of AdamW or SOAP. Default 0.
    #[serde(deserialize_with = "field::polish")]
    pub polish: usize,
    /// Pairs that L-BFGS keeps; each takes 16 bytes a parameter. Default 50.
    #[serde(deserialize_with = "field::lbfgs_history")]
    pub lbfgs_history: usize,
    /// Peak learning rate of SOAP. Default 1e-2. `learning_rate` stays that of vectors, such as slopes and biases, which take the steps of AdamW.
    pub soap_learning_rate: f64,
    /// SOAP's learning rate at the end of the cosine. Default 1e-6.
    pub soap_minimum_learning_rate: f64,
    /// SOAP's decay of the first moment. Default 0.95.
    pub soap_beta1: f64,
    /// SOAP's decay of the second moment and of the averages whose eigenbases it works in. Default 0.95.
    pub soap_beta2: f64,
    /// Steps between two refreshes of SOAP's eigenbases. Default 10.
    #[serde(deserialize_with = "field::soap_frequency")]
    pub soap_frequency: usize,
    /// Longest side of a block that SOAP has an eigenbasis for. Default 512: a longer side is left as it is, and a block of two longer sides takes the steps
    /// of AdamW.
    #[serde(deserialize_with = "field::soap_max_dimension")]
    pub soap_max_dimension: usize,
    /// Passes over the training set; iterations of L-BFGS. Default 500.
    #[serde(deserialize_with = "field::epochs")]
    pub epochs: usize,
    /// Optimiser steps; overrides `epochs` when given (table 8).
    #[serde(deserialize_with = "field::steps", skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Samples a step. Default 256; the last batch of an epoch may be smaller. L-BFGS sums the gradient of the whole set over such batches.
    #[serde(deserialize_with = "field::batch_size")]
    pub batch_size: usize,
    /// Peak learning rate. Default 1e-3.
    pub learning_rate: f64,
    /// Learning rate at the end of the cosine. Default 1e-5.
    pub minimum_learning_rate: f64,
    /// `"cosine"` (default) or `"constant"`.
    pub schedule: ScheduleKind,
    /// Decoupled weight decay of AdamW, not applied to slopes. Default 1e-3. It belongs to the steps of AdamW: a polish has none, and the optimiser
    /// `"lbfgs"` takes only 0.
    pub weight_decay: f64,
    /// Decay of the first moment. Default 0.9.
    pub beta1: f64,
    /// Decay of the second moment. Default 0.99.
    pub beta2: f64,
    /// Added to the root of the second moment. Default 1e-8.
    pub epsilon: f64,
    /// Largest L2 norm of the gradient over ALL parameters; a longer one is scaled down to it. Default 1;
    /// 0 switches clipping off.
    pub clip_norm: f64,
    /// `"sum"` (default, appendix G) or `"mean"`.
    pub loss: LossKind,
    /// `lambda` of the term `lambda/2 sum_i (slope_i - 1)^2` of theorem 2.3. Default 0.
    pub slope_penalty: f64,
    /// Steps in time that the model takes on its own predictions, all of which count: see [`unroll`](crate::unroll). Default 1.
    #[serde(deserialize_with = "field::unroll")]
    pub unroll: usize,
    /// `"max"` (default), `"zscore"` or `"none"`.
    pub normalization: Normalization,
    /// Epochs between validations. Default 1.
    #[serde(deserialize_with = "field::validate_every")]
    pub validate_every: usize,
    /// Epochs between checkpoints. Default 50; 0 writes one only when training is interrupted.
    #[serde(deserialize_with = "field::checkpoint_every")]
    pub checkpoint_every: usize,
    /// Stop when the validation error has not fallen for so many validations, and return to the best
    /// parameters. Default: off.
    #[serde(deserialize_with = "field::early_stopping", skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<usize>,
    /// Seed of weights and of the order of samples. Default 1.
    #[serde(deserialize_with = "field::seed")]
    pub seed: u64,
    /// `"f32"` (default) or `"f64"`.
    pub precision: Precision,
    /// `"cpu"` (default), `"cuda"` or `"wgpu"`.
    pub device: DeviceKind,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            optimizer: OptimizerKind::Adamw,
            polish: 0,
            lbfgs_history: 50,
            soap_learning_rate: 1e-2,
            soap_minimum_learning_rate: 1e-6,
            soap_beta1: 0.95,
            soap_beta2: 0.95,
            soap_frequency: 10,
            soap_max_dimension: 512,
            epochs: 500,
            steps: None,
            batch_size: 256,
            learning_rate: 1e-3,
            minimum_learning_rate: 1e-5,
            schedule: ScheduleKind::Cosine,
            weight_decay: 1e-3,
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-8,
            clip_norm: 1.0,
            loss: LossKind::Sum,
            slope_penalty: 0.0,
            unroll: 1,
            normalization: Normalization::Max,
            validate_every: 1,
            checkpoint_every: 50,
            early_stopping: None,
            seed: 1,
            precision: Precision::F32,
            device: DeviceKind::Cpu,
        }
    }
}

impl TrainConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        let positive = [
            ("train.epochs", self.epochs as u64),
            ("train.steps", self.steps.unwrap_or(1)),
            ("train.batch_size", self.batch_size as u64),
            ("train.unroll", self.unroll as u64),
            ("train.validate_every", self.validate_every as u64),
            ("train.early_stopping", self.early_stopping.unwrap_or(1) as u64),
            ("train.lbfgs_history", self.lbfgs_history as u64),
            ("train.soap_frequency", self.soap_frequency as u64),
            ("train.soap_max_dimension", self.soap_max_dimension as u64),
        ];
        for (field, value) in positive {
            if value == 0 {
                return Err(NnError::config(field, value, "must be at least 1"));
            }
        }
        for (field, value) in [
            ("train.learning_rate", self.learning_rate),
            ("train.soap_learning_rate", self.soap_learning_rate),
            ("train.epsilon", self.epsilon),
        ] {
            finite(field, value)?;
            if value <= 0.0 {
                return Err(NnError::config(field, value, "must be positive"));
            }
        }
        for (field, value) in [
            ("train.minimum_learning_rate", self.minimum_learning_rate),
            ("train.soap_minimum_learning_rate", self.soap_minimum_learning_rate),
            ("train.weight_decay", self.weight_decay),
            ("train.clip_norm", self.clip_norm),
            ("train.slope_penalty", self.slope_penalty),
        ] {
            finite(field, value)?;
            if value < 0.0 {
                return Err(NnError::config(field, value, "must not be negative"));
            }
        }
        if self.minimum_learning_rate > self.learning_rate {
            return Err(NnError::config(
                "train.minimum_learning_rate",
                self.minimum_learning_rate,
                format!("must be at most train.learning_rate = {}", self.learning_rate),
            ));
        }
        if self.soap_minimum_learning_rate > self.soap_learning_rate {
            let rule = format!("must be at most train.soap_learning_rate = {}", self.soap_learning_rate);
            return Err(NnError::config("train.soap_minimum_learning_rate", self.soap_minimum_learning_rate, rule));
        }
        for (field, value) in [
            ("train.beta1", self.beta1),
            ("train.beta2", self.beta2),
            ("train.soap_beta1", self.soap_beta1),
            ("train.soap_beta2", self.soap_beta2),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(NnError::config(field, value, "must be in [0, 1)"));
            }
        }
        if self.lbfgs_history > MAX_HISTORY {
            let rule = format!("must be at most {MAX_HISTORY}");
            return Err(NnError::config("train.lbfgs_history", self.lbfgs_history, rule));
        }
        if self.optimizer == OptimizerKind::Soap && self.device != DeviceKind::Cpu {
            let rule =
                "\"soap\" computes on the processor only: set train.device = \"cpu\", or train.optimizer = \"adamw\"";
            return Err(NnError::config("train.optimizer", "\"soap\"", rule));
        }
        if self.optimizer == OptimizerKind::Lbfgs {
            if self.polish > 0 {
                let rule =
                    "train.optimizer = \"lbfgs\" needs no polish: set it to 0, and train.epochs to the iterations";
                return Err(NnError::config("train.polish", self.polish, rule));
            }
            if self.weight_decay != 0.0 {
                let rule = "decoupled weight decay belongs to AdamW: set it to 0 with train.optimizer = \"lbfgs\"";
                return Err(NnError::config("train.weight_decay", self.weight_decay, rule));
            }
        }
        if self.device == DeviceKind::Wgpu && self.precision == Precision::F64 {
            return Err(NnError::config(
                "train.precision",
                "\"f64\"",
                "wgpu computes in f32 only: use \"cpu\" or \"cuda\"",
            ));
        }
        Ok(())
    }

    /// The learning rate at which the schedule of the optimiser begins.
    pub fn peak_learning_rate(&self) -> f64 {
        if self.optimizer == OptimizerKind::Soap { self.soap_learning_rate } else { self.learning_rate }
    }

    /// The learning rate at which a cosine ends.
    pub fn final_learning_rate(&self) -> f64 {
        if self.optimizer == OptimizerKind::Soap { self.soap_minimum_learning_rate } else { self.minimum_learning_rate }
    }

    /// Number of optimiser steps for a training set of `samples`: those of AdamW or SOAP and the iterations of L-BFGS.
    pub fn total_steps(&self, samples: usize) -> u64 {
        self.first_order_steps(samples) + self.lbfgs_iterations()
    }

    /// Number of steps of AdamW or SOAP for a training set of `samples`.
    pub fn first_order_steps(&self, samples: usize) -> u64 {
        match self.optimizer {
            OptimizerKind::Adamw | OptimizerKind::Soap | OptimizerKind::Auto => {
                self.steps.unwrap_or(self.epochs as u64 * self.steps_per_epoch(samples))
            }
            OptimizerKind::Lbfgs => 0,
        }
    }

    /// Number of iterations of L-BFGS.
    pub fn lbfgs_iterations(&self) -> u64 {
        match self.optimizer {
            OptimizerKind::Adamw | OptimizerKind::Soap | OptimizerKind::Auto => self.polish as u64,
            OptimizerKind::Lbfgs => self.steps.unwrap_or(self.epochs as u64),
        }
    }

    /// Number of lines of the metrics: epochs of AdamW or SOAP and iterations of L-BFGS.
    pub fn total_epochs(&self, samples: usize) -> usize {
        (self.first_order_steps(samples).div_ceil(self.steps_per_epoch(samples).max(1)) + self.lbfgs_iterations())
            as usize
    }

    /// Number of batches of one pass over `samples`.
    pub fn steps_per_epoch(&self, samples: usize) -> u64 {
        samples.div_ceil(self.batch_size.max(1)) as u64
    }
}

fn finite(field: &'static str, value: f64) -> Result<(), NnError> {
    if value.is_finite() { Ok(()) } else { Err(NnError::config(field, value, "must be a finite number")) }
}

/// Whole numbers that must not be negative, read so that the error names the field.
mod field {
    use super::*;
    use serde::de::{Error, SeqAccess, Unexpected, Visitor};
    use std::fmt;

    struct Count(&'static str);

    impl Visitor<'_> for Count {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} to be a whole number, 0 or more", self.0)
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
            u64::try_from(value).map_err(|_| E::custom(format!("{} = {value}: must not be negative", self.0)))
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
            Err(E::invalid_type(Unexpected::Float(value), &self))
        }
    }

    struct Counts(&'static str);

    impl<'de> Visitor<'de> for Counts {
        type Value = Vec<usize>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} to be a list of whole numbers, one an axis", self.0)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<usize>, A::Error> {
            let mut counts = Vec::new();
            while let Some(value) = list.next_element::<i64>()? {
                counts.push(
                    usize::try_from(value)
                        .map_err(|_| A::Error::custom(format!("{} contains {value}: must not be negative", self.0)))?,
                );
            }
            Ok(counts)
        }
    }

    fn count<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D, name: &'static str) -> Result<T, D::Error> {
        let value = deserializer.deserialize_any(Count(name))?;
        T::try_from(value).map_err(|_| D::Error::custom(format!("{name} = {value}: too large for this machine")))
    }

    macro_rules! counts {
        ($($key:ident $name:literal,)*) => {$(
            pub(super) fn $key<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
                count(d, $name)
            }
        )*};
    }

    counts! {
        levels "model.levels",
        rank "model.rank",
        outer_rank "model.outer_rank",
        depth "model.depth",
        lift_rank "model.lift_rank",
        epochs "train.epochs",
        polish "train.polish",
        lbfgs_history "train.lbfgs_history",
        soap_frequency "train.soap_frequency",
        soap_max_dimension "train.soap_max_dimension",
        batch_size "train.batch_size",
        unroll "train.unroll",
        validate_every "train.validate_every",
        checkpoint_every "train.checkpoint_every",
    }

    pub(super) fn seed<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        count(d, "train.seed")
    }

    pub(super) fn steps<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
        count(d, "train.steps").map(Some)
    }

    pub(super) fn early_stopping<'de, D: Deserializer<'de>>(d: D) -> Result<Option<usize>, D::Error> {
        count(d, "train.early_stopping").map(Some)
    }

    pub(super) fn embedding<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<usize>>, D::Error> {
        d.deserialize_seq(Counts("model.embedding")).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(json: &str) -> Result<ModelConfig, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    fn train(json: &str) -> Result<TrainConfig, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn empty_tables_are_the_defaults() {
        assert_eq!(model("{}").unwrap(), ModelConfig::default());
        assert_eq!(train("{}").unwrap(), TrainConfig::default());
    }

    #[test]
    fn a_bad_value_is_one_line_that_names_the_field() {
        for (error, part) in [
            (model(r#"{"rank": -1}"#).unwrap_err(), "model.rank = -1"),
            (model(r#"{"rank": "two"}"#).unwrap_err(), "model.rank"),
            (model(r#"{"levels": 2.5}"#).unwrap_err(), "model.levels"),
            (model(r#"{"embedding": [64, -3]}"#).unwrap_err(), "model.embedding"),
            (model(r#"{"ranks": 1}"#).unwrap_err(), "ranks"),
            (train(r#"{"epochs": -5}"#).unwrap_err(), "train.epochs = -5"),
            (train(r#"{"steps": -5}"#).unwrap_err(), "train.steps = -5"),
            (train(r#"{"unroll": -2}"#).unwrap_err(), "train.unroll = -2"),
            (train(r#"{"polish": -5}"#).unwrap_err(), "train.polish = -5"),
            (train(r#"{"polish": 1.5}"#).unwrap_err(), "train.polish"),
            (train(r#"{"lbfgs_history": -1}"#).unwrap_err(), "train.lbfgs_history = -1"),
            (train(r#"{"soap_frequency": -1}"#).unwrap_err(), "train.soap_frequency = -1"),
            (train(r#"{"soap_max_dimension": 0.5}"#).unwrap_err(), "train.soap_max_dimension"),
            (train(r#"{"optimizer": "sgd"}"#).unwrap_err(), "sgd"),
            (train(r#"{"lr": 1}"#).unwrap_err(), "lr"),
            (train(r#"{"loss": "l1"}"#).unwrap_err(), "l1"),
        ] {
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn validation_names_the_field() {
        let bad_models = [
            ("model.levels", ModelConfig { levels: 99, ..Default::default() }),
            ("model.outer_rank", ModelConfig { outer_rank: 0, ..Default::default() }),
            ("model.depth", ModelConfig { depth: 0, ..Default::default() }),
            ("model.lift_rank", ModelConfig { lift_rank: 0, ..Default::default() }),
            ("model.embedding", ModelConfig { embedding: Some(vec![]), ..Default::default() }),
            ("model.slope_init", ModelConfig { slope_init: f64::NAN, ..Default::default() }),
        ];
        for (field, config) in bad_models {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(field) && !error.contains('\n'), "{error}");
        }
        let base = TrainConfig::default;
        let lbfgs = || TrainConfig { optimizer: OptimizerKind::Lbfgs, weight_decay: 0.0, ..base() };
        assert!(lbfgs().validate().is_ok());
        assert_eq!(
            (lbfgs().total_steps(1000), lbfgs().total_epochs(1000), lbfgs().first_order_steps(1000)),
            (500, 500, 0)
        );
        let polished = TrainConfig { polish: 30, ..base() };
        assert_eq!((polished.total_steps(1000), polished.total_epochs(1000)), (2030, 530));
        let bad_trainings = [
            ("train.polish", TrainConfig { polish: 3, ..lbfgs() }),
            ("train.weight_decay", TrainConfig { weight_decay: 1e-3, ..lbfgs() }),
            ("train.lbfgs_history", TrainConfig { lbfgs_history: 0, ..lbfgs() }),
            ("train.lbfgs_history", TrainConfig { lbfgs_history: 1 << 20, ..lbfgs() }),
            ("train.soap_frequency", TrainConfig { soap_frequency: 0, ..base() }),
            ("train.soap_max_dimension", TrainConfig { soap_max_dimension: 0, ..base() }),
            ("train.soap_learning_rate", TrainConfig { soap_learning_rate: 0.0, ..base() }),
            ("train.soap_minimum_learning_rate", TrainConfig { soap_minimum_learning_rate: 1.0, ..base() }),
            ("train.soap_beta1", TrainConfig { soap_beta1: -0.1, ..base() }),
            ("train.soap_beta2", TrainConfig { soap_beta2: 1.0, ..base() }),
            ("train.optimizer", TrainConfig { optimizer: OptimizerKind::Soap, device: DeviceKind::Cuda, ..base() }),
            ("train.epochs", TrainConfig { epochs: 0, ..base() }),
            ("train.steps", TrainConfig { steps: Some(0), ..base() }),
            ("train.batch_size", TrainConfig { batch_size: 0, ..base() }),
            ("train.unroll", TrainConfig { unroll: 0, ..base() }),
            ("train.learning_rate", TrainConfig { learning_rate: -1.0, ..base() }),
            ("train.learning_rate", TrainConfig { learning_rate: f64::INFINITY, ..base() }),
            ("train.minimum_learning_rate", TrainConfig { minimum_learning_rate: 1.0, ..base() }),
            ("train.weight_decay", TrainConfig { weight_decay: -1.0, ..base() }),
            ("train.beta1", TrainConfig { beta1: 1.0, ..base() }),
            ("train.beta2", TrainConfig { beta2: f64::NAN, ..base() }),
            ("train.epsilon", TrainConfig { epsilon: 0.0, ..base() }),
            ("train.clip_norm", TrainConfig { clip_norm: -1.0, ..base() }),
            ("train.slope_penalty", TrainConfig { slope_penalty: f64::NAN, ..base() }),
            ("train.early_stopping", TrainConfig { early_stopping: Some(0), ..base() }),
            ("train.precision", TrainConfig { device: DeviceKind::Wgpu, precision: Precision::F64, ..base() }),
        ];
        for (field, config) in bad_trainings {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(field) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn shapes_that_do_not_fit_name_lift_or_project() {
        let one = FieldShape::new(1, &[64]);
        let check = |m: &ModelConfig, i: &FieldShape, o: &FieldShape| m.check_shapes(i, o).map_err(|e| e.to_string());
        let plain = ModelConfig::default();
        assert!(check(&plain, &one, &one).is_ok());
        let wide = ModelConfig { embedding: Some(vec![128]), ..Default::default() };
        assert!(check(&wide, &one, &one).unwrap_err().starts_with("model.lift"));
        let lifted = ModelConfig { lift: MapKind::Hss, ..wide };
        assert!(check(&lifted, &one, &one).unwrap_err().starts_with("model.project"));
        let both = ModelConfig { project: MapKind::Full, ..lifted };
        assert!(check(&both, &one, &one).is_ok());
        let two = FieldShape::new(2, &[64]);
        assert!(check(&both, &two, &one).unwrap_err().starts_with("model.lift"));
        let square = FieldShape::new(1, &[64, 64]);
        assert!(check(&both, &square, &square).unwrap_err().starts_with("model.embedding"));
        assert!(check(&plain, &one, &square).unwrap_err().starts_with("model.project"));
    }
}
