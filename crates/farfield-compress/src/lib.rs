//! Trained weights as low-rank and hierarchical factors with certified errors.
mod dense;
pub mod error;
mod number;
mod residual;
mod safetensors_file;
mod similarity;

pub use error::CompressError;
pub use number::NumberType;
pub use safetensors_file::{SafetensorsFile, TensorInfo};
