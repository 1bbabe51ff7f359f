//! farfield learns, compresses and applies operators whose far field is low-rank.
//!
//! This crate is the facade: it re-exports the libraries and holds the `farfield` command, with what only it needs: the
//! configuration of runs, their directories, the cache of generated data, and the reports.
//!
//! | library | what it is |
//! | --- | --- |
//! | [`kernels`] | batched products with HSS matrices on slices, with gradients |
//! | [`matrix`] | hierarchical matrices |
//! | [`data`] | data sets on disk and in memory |
//! | [`pde`] | the problems: generators of data |
//! | [`nn`] | layers, models, training, model files |
//! | [`compress`] | trained weights as certified low-rank and hierarchical factors |

pub use farfield_compress as compress;
pub use farfield_data as data;
pub use farfield_kernels as kernels;
pub use farfield_matrix as matrix;
pub use farfield_nn as nn;
pub use farfield_pde as pde;

pub mod baselines;
pub mod cli;
pub mod command;
pub mod data_cache;
pub mod failure;
pub mod memory;
pub mod progress;
pub mod report;
pub mod results;
pub mod rollout_table;
pub mod run_config;
pub mod run_dir;
pub mod run_report;
pub mod saved_run;
pub mod sets;
pub mod speed;
