//! Trained models in files that other programs read: npz (NumPy), safetensors (PyTorch and others), ONNX (onnxruntime and others). Described in `docs/export.md`.
//!
//! npz and safetensors hold the named parameters of [`model_file`](crate::model_file), the scaling of the data and the configuration as JSON text; the formulas of the
//! model are for the reader to write. [`onnx`] holds the whole computation.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use burn::tensor::{DType, TensorData};
use farfield_data::{Array, create_file, save_npz_with_texts};

use crate::any_model::AnyModel;
use crate::error::NnError;
use crate::model_file::{SavedModel, description, tensors};
use crate::onnx;
use crate::parameters::NamedTensor;
use crate::safetensors_file::with_pieces;

/// Formats of exported files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// NumPy's archive of arrays.
    Npz,
    /// Tensors with names.
    Safetensors,
    /// A graph of operators.
    Onnx,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Npz, Self::Safetensors, Self::Onnx];

    /// Its name, which is also the extension of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npz => "npz",
            Self::Safetensors => "safetensors",
            Self::Onnx => "onnx",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ExportFormat {
    type Err = NnError;

    fn from_str(name: &str) -> Result<Self, NnError> {
        let known = || format!("the formats are {}", Self::ALL.map(Self::name).join(", "));
        Self::ALL
            .into_iter()
            .find(|f| f.name() == name)
            .ok_or_else(|| NnError::config("format", format!("{name:?}"), known()))
    }
}

/// What the outputs of a model are, for people.
pub fn meaning(saved: &SavedModel) -> &'static str {
    match &saved.facts.evolution {
        Some(evolution) if evolution.residual => "the change of the state: the next state is that in x plus y",
        _ => "the output field",
    }
}

/// Parameters by the names of the model file, without the kind in front of those of rivals: `lift.weight` for `Fno.lift.weight`.
///
/// # Errors
/// When the model is not in its precision.
pub(crate) fn plain_tensors(saved: &SavedModel) -> Result<Vec<NamedTensor>, NnError> {
    let mut list = tensors(&saved.model, saved.precision)?;
    if !matches!(saved.model, AnyModel::NeuralHss(_)) {
        for tensor in &mut list {
            if let Some((_, name)) = tensor.name.split_once('.') {
                tensor.name = name.to_owned();
            }
        }
    }
    Ok(list)
}

/// The parameters, and the scaling as `normalizers.input.shift`, `.scale`, `normalizers.output.shift`, `.scale` in `f64`.
fn all_tensors(saved: &SavedModel) -> Result<Vec<NamedTensor>, NnError> {
    let mut list = plain_tensors(saved)?;
    for (side, normalizer) in [("input", &saved.normalizers.input), ("output", &saved.normalizers.output)] {
        for (part, values) in [("shift", normalizer.shift()), ("scale", normalizer.scale())] {
            let data = TensorData::new(values.to_vec(), [values.len()]);
            list.push(NamedTensor { name: format!("normalizers.{side}.{part}"), data });
        }
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(list)
}

/// Writes the model to `path`, whole or not at all. The same model gives the same bytes.
///
/// # Errors
/// Without `overwrite`, when `path` exists; when it cannot be written; when the format cannot hold the model (ONNX: more than 2 GiB).
pub fn export(saved: &SavedModel, format: ExportFormat, path: &Path, overwrite: bool) -> Result<(), NnError> {
    match format {
        ExportFormat::Onnx => create_file(path, &[&onnx::encode(saved)?], overwrite)?,
        ExportFormat::Safetensors => {
            let mut metadata: BTreeMap<&str, String> = texts(saved)?.into_iter().collect();
            // The mark by which libraries know tensors of PyTorch's layout.
            metadata.insert("format", "pt".to_owned());
            with_pieces(&metadata, &all_tensors(saved)?, |pieces| create_file(path, pieces, overwrite))?;
        }
        ExportFormat::Npz => {
            let arrays = all_tensors(saved)?.iter().map(array).collect::<Result<Vec<(String, Array)>, NnError>>()?;
            let arrays: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (name.as_str(), array)).collect();
            let texts = texts(saved)?;
            let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
            save_npz_with_texts(path, &arrays, &texts, overwrite)?;
        }
    }
    Ok(())
}

/// What stands beside the numbers.
fn texts(saved: &SavedModel) -> Result<Vec<(&'static str, String)>, NnError> {
    Ok(vec![
        ("config", description(&saved.model, &saved.normalizers, saved.precision, &saved.facts)?),
        ("farfield_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("output", meaning(saved).to_owned()),
    ])
}

fn array(tensor: &NamedTensor) -> Result<(String, Array), NnError> {
    let shape = tensor.data.shape().as_slice().to_vec();
    let wrong = |_| NnError::shape("float type of a tensor", format!("{:?}", tensor.data.dtype()), "f32 or f64");
    let array = match tensor.data.dtype() {
        DType::F32 => Array::new(&shape, &tensor.data.try_to_vec::<f32>().map_err(wrong)?)?,
        _ => Array::new(&shape, &tensor.data.try_to_vec::<f64>().map_err(wrong)?)?,
    };
    Ok((tensor.name.clone(), array))
}
