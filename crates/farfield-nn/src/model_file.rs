//! `model.safetensors`: a trained model in one file that others can read. Described in `docs/model-format.md`.
//!
//! Every part of every layer is a tensor with a name (`layers.0.mode0.level3.D`); the metadata hold the configuration,
//! the shapes and the scaling of the data as JSON, so the file alone is enough to predict.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use farfield_data::{FieldShape, Mask, Real};
use serde::{Deserialize, Serialize};

use crate::any_model::{AnyModel, AnyModelConfig};
use crate::config::{MapKind, ModelConfig, Precision};
use crate::data_facts::{DataFacts, Evolution, mask_of_runs};
use crate::error::NnError;
use crate::full_rank::FullRank;
use crate::hss_layer::HssLayer;
use crate::hss_stack::HssStack;
use crate::layer_blocks::stacks;
use crate::layer_spec::LayerSpec;
use crate::metrics::Normalizers;
use crate::model::Model;
use crate::neural_hss::{LinearMap, NeuralHss, StackSpecs, one_channel, tensor_shape};
use crate::parameters::{self, NamedTensor};
use crate::safetensors_file::{self, Contents};
use crate::tensor_map::{TensorMap, TensorMapParts};

const FORMAT: &str = "farfield-model";
const VERSION: &str = "1";

/// A model with what is needed to use it.
#[derive(Clone, Debug)]
pub struct SavedModel {
    /// The model.
    pub model: AnyModel,
    /// Scaling of inputs and outputs.
    pub normalizers: Normalizers,
    /// Float type in which the parameters are stored and the model computes.
    pub precision: Precision,
    /// Domain and task of the data it was trained on.
    pub facts: DataFacts,
}

/// The key `config` of the metadata.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    model: AnyModelConfig,
    input: FieldShape,
    output: FieldShape,
    normalizers: Normalizers,
    precision: Precision,
    /// Lengths of the runs of points outside and inside, in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evolution: Option<Evolution>,
}

/// Writes a model, replacing what was at `path`; on failure `path` is as it was.
///
/// # Errors
/// When the model is not in `precision`, or the file cannot be written.
pub fn save(path: &Path, model: &AnyModel, normalizers: &Normalizers, precision: Precision) -> Result<(), NnError> {
    save_with(path, model, normalizers, precision, &DataFacts::default())
}

/// As [`save`], with what the model must know of the data it was trained on.
///
/// # Errors
/// As [`save`]; a mask on another grid than that of the output.
pub fn save_with(
    path: &Path,
    model: &AnyModel,
    normalizers: &Normalizers,
    precision: Precision,
    facts: &DataFacts,
) -> Result<(), NnError> {
    if let Some(mask) = facts.mask.as_ref().filter(|mask| mask.grid() != model.output_shape().grid) {
        let (got, expected) = (format!("{:?}", mask.grid()), format!("{:?}", model.output_shape().grid));
        return Err(NnError::shape("grid of the mask", got, expected));
    }
    let config = description(model, normalizers, precision, facts)?;
    let metadata = BTreeMap::from([("format", FORMAT.to_owned()), ("version", VERSION.to_owned()), ("config", config)]);
    safetensors_file::write(path, &metadata, &tensors(model, precision)?)
}

/// The configuration, the shapes, the scaling, the float type, the domain and the task as one JSON object: the key `config` of the metadata.
///
/// # Errors
/// When a number has no text in JSON (not finite).
pub fn description(
    model: &AnyModel,
    normalizers: &Normalizers,
    precision: Precision,
    facts: &DataFacts,
) -> Result<String, NnError> {
    let description = Description {
        model: model.config(),
        input: model.input_shape().clone(),
        output: model.output_shape().clone(),
        normalizers: normalizers.clone(),
        precision,
        mask: facts.mask.as_ref().map(Mask::runs),
        evolution: facts.evolution.clone(),
    };
    let refused = |e: serde_json::Error| NnError::Unsupported { operation: "model to JSON", reason: e.to_string() };
    serde_json::to_string(&description).map_err(refused)
}

/// All tensors of the file.
///
/// # Errors
/// When the model is not in `precision`.
pub fn tensors(model: &AnyModel, precision: Precision) -> Result<Vec<NamedTensor>, NnError> {
    let tensors = match (model, precision) {
        (AnyModel::NeuralHss(model), Precision::F32) => named_tensors::<f32>(model)?,
        (AnyModel::NeuralHss(model), Precision::F64) => named_tensors::<f64>(model)?,
        _ => parameters::export(model),
    };
    if let Some(other) = tensors.iter().find(|tensor| tensor.data.dtype() != precision.dtype()) {
        let dtype = format!("{:?}", precision.dtype());
        return Err(NnError::shape("float type of the model", format!("{:?}", other.data.dtype()), dtype));
    }
    Ok(tensors)
}

/// Reads a model onto `device`.
///
/// # Errors
/// A file that cannot be read, is damaged, is of another kind or version, lacks a tensor, has one too many or of
/// another shape, or holds a number that is not finite. The message names the file and the tensor.
pub fn load(path: &Path, device: &Device) -> Result<SavedModel, NnError> {
    let contents = safetensors_file::read(path)?;
    contents.check_kind(path, FORMAT, VERSION)?;
    let description: Description = serde_json::from_str(contents.text(path, "config")?)
        .map_err(|e| NnError::file(path, format!("metadata key \"config\": {e}")))?;
    let in_file = |e: NnError| NnError::file(path, format!("metadata key \"config\": {e}"));
    let Description { model: config, input, output, normalizers, precision, mask, evolution } = description;
    for (what, normalizer, shape) in [("input", &normalizers.input, &input), ("output", &normalizers.output, &output)] {
        if normalizer.channels() != shape.channels {
            let (got, expected) = (normalizer.channels(), shape.channels);
            return Err(in_file(NnError::shape(
                "channels of the normalizers",
                format!("{got} of the {what}"),
                expected,
            )));
        }
    }
    let reader = Reader { path, contents, precision, device };
    let model = match &config {
        AnyModelConfig::NeuralHss(config) => AnyModel::NeuralHss(reader.neural_hss(config, &input, &output)?),
        _ => reader.rival(&config, &input, &output)?,
    };
    // The grid is that of a model which fits the file: only then is memory taken for the mask.
    let mask = mask_of_runs(mask.as_deref(), &output).map_err(in_file)?;
    Ok(SavedModel { model, normalizers, precision, facts: DataFacts { mask, evolution } })
}

/// The stacked blocks and the factors of a model of HSS layers.
fn named_tensors<T: Real + burn::tensor::Element>(model: &NeuralHss) -> Result<Vec<NamedTensor>, NnError> {
    let mut tensors = Vec::new();
    let config = model.config();
    let layers = model.stack().layers();
    let lifts = usize::from(config.lift == MapKind::Hss);
    for (position, layer) in layers.iter().enumerate() {
        let prefix = match position.checked_sub(lifts) {
            None => "lift".to_owned(),
            Some(i) if i < config.depth => format!("layers.{i}"),
            Some(_) => "project".to_owned(),
        };
        let flat = host::<T, _>(layer.weights())?;
        for stack in stacks(layer.spec()) {
            let data = TensorData::new(stack.gather(layer.spec(), &flat), stack.shape);
            tensors.push(NamedTensor { name: format!("{prefix}.{}", stack.name), data });
        }
        if let Some(slope) = layer.slope() {
            let data = TensorData::new(host::<T, _>(slope)?, [1]);
            tensors.push(NamedTensor { name: format!("{prefix}.alpha"), data });
        }
    }
    for (prefix, map) in [("lift", model.lift()), ("project", model.project())] {
        match map {
            None => {}
            Some(LinearMap::Full(map)) => {
                for (j, matrix) in map.matrices().into_iter().enumerate() {
                    let shape = matrix.dims();
                    let data = TensorData::new(host::<T, _>(matrix)?, shape);
                    tensors.push(NamedTensor { name: format!("{prefix}.mode{j}.W"), data });
                }
            }
            Some(LinearMap::Tensor(map)) => {
                let (c, u, v) = map.factors();
                let shape = c.dims();
                tensors
                    .push(NamedTensor { name: format!("{prefix}.c"), data: TensorData::new(host::<T, _>(c)?, shape) });
                for (kind, list) in [("u", u), ("v", v)] {
                    for (j, factor) in list.into_iter().enumerate() {
                        let shape = factor.dims();
                        let data = TensorData::new(host::<T, _>(factor)?, shape);
                        tensors.push(NamedTensor { name: format!("{prefix}.{kind}{j}"), data });
                    }
                }
            }
        }
    }
    Ok(tensors)
}

/// The values of a tensor of type `T`.
fn host<T: Real + burn::tensor::Element, const D: usize>(tensor: Tensor<D>) -> Result<Vec<T>, NnError> {
    let dtype = tensor.dtype();
    tensor
        .into_data()
        .try_into_vec::<T>()
        .map_err(|_| NnError::shape("float type of the model", format!("{dtype:?}"), T::DTYPE))
}

/// Takes tensors out of the contents of a file, one by one, and checks each.
struct Reader<'a> {
    path: &'a Path,
    contents: Contents,
    precision: Precision,
    device: &'a Device,
}

impl Reader<'_> {
    /// A model of HSS layers.
    fn neural_hss(
        mut self,
        config: &ModelConfig,
        input: &FieldShape,
        output: &FieldShape,
    ) -> Result<NeuralHss, NnError> {
        let path = self.path;
        let in_file = |e: NnError| NnError::file(path, format!("metadata key \"config\": {e}"));
        config.check_shapes(input, output).map_err(in_file)?;
        self.check_trees(config)?;
        let specs = StackSpecs::new(config, input, output).map_err(in_file)?;
        let inner = config.inner_grid(input);

        let mut layers = Vec::new();
        if let Some(spec) = &specs.lift {
            layers.push(self.layer("lift", spec, false)?);
        }
        for i in 0..config.depth {
            layers.push(self.layer(&format!("layers.{i}"), &specs.inner, true)?);
        }
        if let Some(spec) = &specs.project {
            layers.push(self.layer("project", spec, false)?);
        }
        let lift = match config.lift {
            MapKind::Tensor => self.map("lift", config, &tensor_shape(input), &one_channel(&inner))?,
            _ => self.map("lift", config, &input.grid, &inner)?,
        };
        let project = match config.project {
            MapKind::Tensor => self.map("project", config, &one_channel(&inner), &tensor_shape(output))?,
            _ => self.map("project", config, &inner, &output.grid)?,
        };
        if let Some(name) = self.contents.tensors.keys().next() {
            return Err(NnError::file(path, format!("tensor \"{name}\" does not belong to this model")));
        }
        Ok(NeuralHss::from_modules(config, input, output, lift, HssStack::new(layers), project))
    }

    /// A model of another kind: its parameters by their paths.
    fn rival(self, config: &AnyModelConfig, input: &FieldShape, output: &FieldShape) -> Result<AnyModel, NnError> {
        let in_file = |e: NnError| NnError::file(self.path, format!("metadata key \"config\": {e}"));
        // Before memory is taken for what the configuration describes: the file must hold as much.
        let expected = config.parameters(input, output).map_err(in_file)?;
        let tensors = &self.contents.tensors;
        let held: usize = tensors.values().map(|data| data.shape().as_slice().iter().product::<usize>()).sum();
        if held as f64 != expected {
            let what = format!("holds {held} numbers, the configuration needs {expected}");
            return Err(NnError::file(self.path, what));
        }
        for (name, data) in tensors {
            if let Some(value) = data.iter::<f64>().find(|v| !v.is_finite()) {
                return Err(NnError::file(self.path, format!("tensor \"{name}\" holds {value}")));
            }
        }
        let model = config.build(input, output, 0, self.device, self.precision.dtype()).map_err(in_file)?;
        let tensors = self.contents.tensors.into_iter().map(|(name, data)| NamedTensor { name, data }).collect();
        parameters::import(model, tensors).map_err(|what| NnError::file(self.path, what))
    }

    /// Checks that the trees which the configuration describes are in the file, before memory is taken for them: the
    /// leaves of layer 0 must be there.
    fn check_trees(&self, config: &ModelConfig) -> Result<(), NnError> {
        let levels = config.effective_levels();
        let name = format!("layers.0.mode0.level{levels}.D");
        let Some(data) = self.contents.tensors.get(&name) else {
            return Err(NnError::file(self.path, format!("tensor \"{name}\" is missing")));
        };
        let shape = data.shape().as_slice();
        let fits = matches!(shape, [terms, nodes, rows, cols]
            if *terms == config.outer_rank && *nodes == 1 << levels && *rows > 0 && *cols > 0);
        // Every other array of the layer then has at most about 4 r^2 entries for each entry of this one.
        let rank_fits = config.effective_rank() == 0
            || levels == 0
            || self
                .contents
                .tensors
                .get(&format!("layers.0.mode0.level{levels}.U"))
                .is_some_and(|u| u.shape().as_slice().last() == Some(&config.effective_rank()));
        if fits && rank_fits {
            return Ok(());
        }
        let (terms, nodes) = (config.outer_rank, 1usize << levels);
        Err(NnError::file(
            self.path,
            format!(
                "tensor \"{name}\" has shape {shape:?}, the configuration needs [{terms}, {nodes}, rows, cols] and rank {}",
                config.effective_rank()
            ),
        ))
    }

    /// The values of a tensor of the given shape, which must be finite.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>, NnError> {
        let problem = |what: String| NnError::file(self.path, format!("tensor \"{name}\" {what}"));
        let data = self.contents.tensors.remove(name).ok_or_else(|| problem("is missing".into()))?;
        if data.shape().as_slice() != shape {
            return Err(problem(format!("has shape {:?}, expected {shape:?}", data.shape().as_slice())));
        }
        if data.dtype() != self.precision.dtype() {
            return Err(problem(format!("has type {:?}, expected {:?}", data.dtype(), self.precision.dtype())));
        }
        let values: Vec<f64> = data.iter().collect();
        match values.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(problem(format!("holds {} at index {at}, every number must be finite", values[at]))),
            None => Ok(values),
        }
    }

    fn layer(&mut self, prefix: &str, spec: &Arc<LayerSpec>, activated: bool) -> Result<HssLayer, NnError> {
        let mut flat = vec![0.0; spec.len()];
        for stack in stacks(spec) {
            let name = format!("{prefix}.{}", stack.name);
            let array = self.take(&name, &stack.shape)?;
            stack
                .scatter(spec, &array, &mut flat)
                .map_err(|what| NnError::file(self.path, format!("tensor \"{name}\" has {what}")))?;
        }
        let slope = if activated { Some(self.take(&format!("{prefix}.alpha"), &[1])?[0]) } else { None };
        Ok(HssLayer::from_weights(Arc::clone(spec), flat, slope, self.device, self.precision.dtype()))
    }

    /// The lifting or projection `prefix`, unless it is absent or an HSS layer.
    fn map(
        &mut self,
        prefix: &str,
        config: &ModelConfig,
        from: &[usize],
        to: &[usize],
    ) -> Result<Option<LinearMap>, NnError> {
        let dtype = self.precision.dtype();
        let kind = if prefix == "lift" { config.lift } else { config.project };
        Ok(match kind {
            MapKind::None | MapKind::Hss => None,
            MapKind::Full => {
                let mut matrices = Vec::new();
                for (j, (&n_in, &n_out)) in from.iter().zip(to).enumerate() {
                    let shape = [n_out, n_in];
                    matrices.push((shape, self.take(&format!("{prefix}.mode{j}.W"), &shape)?));
                }
                Some(LinearMap::Full(FullRank::from_matrices(matrices, self.device, dtype)))
            }
            MapKind::Tensor => {
                let terms = config.lift_rank;
                let c = self.take(&format!("{prefix}.c"), &[terms])?;
                let mut factors = |kind: &str, shape: &[usize]| -> Result<Vec<(usize, Vec<f64>)>, NnError> {
                    let one =
                        |(j, &d): (usize, &usize)| Ok((d, self.take(&format!("{prefix}.{kind}{j}"), &[terms, d])?));
                    shape.iter().enumerate().map(one).collect()
                };
                let (u, v) = (factors("u", to)?, factors("v", from)?);
                Some(LinearMap::Tensor(TensorMap::from_parts(TensorMapParts { c, u, v }, self.device, dtype)))
            }
        })
    }
}
