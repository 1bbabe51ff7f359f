//! Neural networks of hierarchical-matrix layers, and their training.
//!
//! * [`NeuralHss`] is the model of Sittoni et al. 2026 (*Neural-HSS*, arXiv 2602.18248): [`HssLayer`]s between a lifting and a
//!   projection. [`ModelConfig`] says which; [`presets`] carry the tables of the paper. The block-diagonal
//!   and the dense network that it is compared with are the same model at rank 0 and at 0 levels.
//! * [`Trainer`] trains any [`Model`]: AdamW or SOAP, L-BFGS, global-norm clipping, schedules, validation, early stopping, checkpoints from which a
//!   run continues to the same bits; models of evolutions also over several steps in time ([`unroll`]).
//! * [`metrics`] measures, [`baselines`] are the trivial predictors that stand beside every result.
//! * [`model_file`] saves a trained model in a file that others can read.
//!
//! Tensors and automatic differentiation are Burn's. On the CPU the layers, the loss and the optimiser are fused kernels of
//! `farfield-kernels`; the same layers by ordinary tensor operations ([`tensor_ops`]) run on GPUs and check the kernels.
//!
//! # Example
//!
//! A small operator learned from twenty pairs.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use farfield_data::{Dataset, OpenOptions};
//! use farfield_nn::{ModelConfig, NeuralHss, Samples, TrainConfig, Trainer, evaluate, fit_normalizers};
//!
//! let x: Vec<f64> = (0..20 * 16).map(|i| (i as f64 * 1.7).sin()).collect();
//! let y: Vec<f64> = x.iter().map(|v| 3.0 * v).collect();
//! let data = Dataset::from_arrays("three", x, &[20, 16], y, &[20, 16], &OpenOptions::default())?;
//!
//! let config = ModelConfig { levels: 2, rank: 1, depth: 1, ..ModelConfig::default() };
//! let training = TrainConfig { epochs: 5, batch_size: 4, ..TrainConfig::default() };
//! let (train, test): (Vec<usize>, Vec<usize>) = ((0..16).collect(), (16..20).collect());
//! let samples = Samples { dataset: &data, indices: &train };
//!
//! let device = training.device.open()?.autodiff();
//! let precision = training.precision;
//! let model = NeuralHss::new(&config, data.input_shape(), data.output_shape(), training.seed, &device, precision.dtype())?;
//! let normalizers = fit_normalizers(&training, samples)?;
//! let mut trainer = Trainer::new(model, normalizers, training)?;
//! let stop = AtomicBool::new(false);
//! trainer.fit(samples, None, &stop, &mut |progress| {
//!     if let Some(line) = progress.epoch_end {
//!         println!("epoch {} loss {}", line.epoch, line.train_loss);
//!     }
//! })?;
//! let error = evaluate(trainer.model(), trainer.normalizers(), &data, &test, 4, precision)?.relative_l2;
//! assert!(error < 10.0);
//! # Ok::<(), farfield_nn::NnError>(())
//! ```

pub mod activation;
pub mod any_model;
mod auto_optimizer;
pub mod baselines;
pub mod block_least_squares;
pub mod checkpoint;
pub mod config;
mod cpu_loss;
mod cpu_stack;
mod cpu_tensor;
pub mod data_facts;
pub mod error;
pub mod evaluation;
pub mod export;
mod flat_parameters;
pub mod full_rank;
pub mod hss_layer;
pub mod hss_stack;
mod layer_blocks;
pub mod layer_spec;
pub mod lbfgs;
pub mod loss;
pub mod metrics;
pub mod model;
pub mod model_file;
pub mod neural_hss;
pub mod not_finite;
pub mod onnx;
pub mod optimizer;
pub mod parameters;
pub mod presets;
mod pseudo_inverse;
pub mod rivals;
pub mod rollout;
mod safetensors_file;
pub mod schedule;
mod soap;
pub mod tensor_map;
pub mod tensor_ops;
pub mod trainer;
pub mod training_data;
pub mod unroll;

pub use any_model::{AnyModel, AnyModelConfig, MODEL_KINDS};
pub use baselines::{LinearLeastSquares, MeanPredictor};
pub use config::{ModelConfig, TrainConfig};
pub use data_facts::{DataFacts, Evolution};
pub use error::NnError;
pub use evaluation::Evaluation;
pub use full_rank::FullRank;
pub use hss_layer::HssLayer;
pub use hss_stack::HssStack;
pub use layer_spec::LayerSpec;
pub use metrics::{Normalizers, evaluate, predict};
pub use model::Model;
pub use model_file::SavedModel;
pub use neural_hss::NeuralHss;
pub use rollout::{PredictedTrajectory, Rollout, RolloutErrors, predicted_trajectory, rollout, rollout_of};
pub use tensor_map::TensorMap;
pub use trainer::{Ending, EpochMetrics, Progress, Trainer, fit_normalizers};
pub use training_data::Samples;
pub use unroll::UnrolledSamples;
