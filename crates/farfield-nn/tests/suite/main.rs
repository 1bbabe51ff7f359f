//! The tests of the crate in one program: linking it takes longer than running most of them.

mod cpu_against_tensor_ops;
mod direction;
mod layer_equals_dense;
mod lbfgs;
mod masks_and_rollouts;
mod mnn;
mod mnn_definition;
mod mnn_linear;
mod mnn_training;
mod model;
mod model_file;
mod rivals;
mod soap;
mod training;
mod unroll;
