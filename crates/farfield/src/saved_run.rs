//! A trained model and how to apply it to arrays: from a run directory, or from a model file alone.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::Device;
use farfield_data::Real;
use farfield_nn::config::Precision;
use farfield_nn::model_file::{SavedModel, load};
use farfield_nn::predict;

use crate::failure::bad_input;

/// Loads a model, on the CPU. `path` is a run directory or a model file.
pub fn open(path: &Path) -> Result<SavedModel> {
    let file = model_file(path);
    if !file.exists() {
        let why = if path.is_dir() { "the run has no model.safetensors: it was not finished" } else { "no such file" };
        return Err(bad_input(format!("{}: {why}", path.display())));
    }
    Ok(load(&file, &Device::flex())?)
}

/// The file of the model that `path` means.
pub fn model_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() }
}

/// Outputs for flat inputs, sample by sample, computed in the precision of the model, `batch` samples at a time.
pub fn apply<T: Real>(saved: &SavedModel, x: &[T], batch: usize) -> Result<Vec<f64>> {
    let len = farfield_nn::Model::input_shape(&saved.model).len();
    let mut y = Vec::new();
    for piece in x.chunks(len * batch.max(1)) {
        match saved.precision {
            Precision::F32 => {
                let x: Vec<f32> = piece.iter().map(|v| v.to_f64() as f32).collect();
                y.extend(predict(&saved.model, &saved.normalizers, x)?.into_iter().map(f64::from));
            }
            Precision::F64 => {
                let x: Vec<f64> = piece.iter().map(|v| v.to_f64()).collect();
                y.extend(predict(&saved.model, &saved.normalizers, x)?);
            }
        }
    }
    Ok(y)
}
