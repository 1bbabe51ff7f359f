//! Trained weights as low-rank and hierarchical factors with certified errors.
//!
//! [`compress_file`] takes a safetensors file of any framework and replaces every weight by the cheapest of {dense, truncated singular value
//! decomposition, hierarchical matrix with rows and columns reordered by similarity} that meets a tolerance or a budget; [`decompress_file`] goes back;
//! [`CompressedFile`] reads the factors. Every error is proven from the numbers in the file, rounding included. It does not pay for weights without
//! structure, which is most trained ones at small tolerances; the report says so.

mod adaptive_refinement;
mod block_spectra;
mod choice;
mod compress_file;
mod compressed_matrix;
mod decompress_file;
mod dense;
pub mod error;
mod factors;
mod layout;
mod number;
mod output_bound;
mod pattern;
mod residual;
pub mod rivals;
mod safetensors_file;
mod similarity;
mod theorem_table;
mod water_filling;

pub use adaptive_refinement::{Refinement, RefinementOptions, RefinementPass, Sharing, adaptive_refinement};
pub use choice::{Alternative, Form, MatrixChoice, MatrixOptions, compress_matrix};
pub use compress_file::{CompressOptions, CompressReport, Goal, WeightReport, compress_file};
pub use compressed_matrix::{CompressedBlock, CompressedMatrix};
pub use decompress_file::{CompressedFile, DecompressReport, decompress_file, default_limit};
pub use error::CompressError;
pub use layout::{ErrorNorm, Record, StoredKind};
pub use number::NumberType;
pub use output_bound::{Activation, LayerDifference, MlpLayer, output_bounds};
pub use pattern::matches;
pub use safetensors_file::{SafetensorsFile, TensorInfo};
pub use theorem_table::{TheoremRow, theorem_table};
