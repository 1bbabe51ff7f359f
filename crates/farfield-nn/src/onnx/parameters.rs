//! The parameters of a model by the names that exported files give them.

use std::collections::BTreeMap;

use burn::tensor::TensorData;

use super::graph::{Graph, Value};
use crate::error::NnError;
use crate::parameters::NamedTensor;

/// Parameters by name.
pub(super) struct Parameters(BTreeMap<String, TensorData>);

impl Parameters {
    pub(super) fn new(tensors: Vec<NamedTensor>) -> Self {
        Self(tensors.into_iter().map(|tensor| (tensor.name, tensor.data)).collect())
    }

    /// The numbers of a parameter.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(super) fn get(&self, name: &str) -> Result<&TensorData, NnError> {
        self.0.get(name).ok_or_else(|| NnError::shape("parameters of the model", format!("no {name}"), "one"))
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The parameter as a value of the graph, under its name.
    ///
    /// # Errors
    /// As [`Parameters::get`].
    pub(super) fn take(&self, g: &mut Graph, name: &str) -> Result<Value, NnError> {
        g.parameter(name, self.get(name)?)
    }

    /// The same with the last two axes exchanged, stored that way under `name` followed by `.T`.
    ///
    /// # Errors
    /// As [`Parameters::get`]; when it has fewer than two axes.
    pub(super) fn take_transposed(&self, g: &mut Graph, name: &str) -> Result<Value, NnError> {
        let data = self.get(name)?;
        let mut shape = data.shape().as_slice().to_vec();
        let [.., rows, cols] = shape[..] else {
            return Err(NnError::shape("parameter to transpose", format!("{shape:?}"), "two axes at least"));
        };
        let values: Vec<f64> = data.iter().collect();
        let transposed = |matrix: &[f64]| -> Vec<f64> {
            (0..cols).flat_map(|j| (0..rows).map(move |i| (i, j))).map(|(i, j)| matrix[i * cols + j]).collect()
        };
        let values: Vec<f64> = values.chunks_exact(rows * cols).flat_map(transposed).collect();
        let axes = shape.len();
        shape.swap(axes - 2, axes - 1);
        g.constant(&format!("{name}.T"), &shape, &values)
    }
}
