//! A trained model as an ONNX graph, for onnxruntime and whatever else reads ONNX.
//!
//! One input `x` and one output `y`, `[batch, channels, grid]`, with any number of samples. The graph maps physical inputs to physical outputs: it scales `x`,
//! applies the model and undoes the scaling of `y`, as [`predict`](crate::predict) does. It has the float type of the model and no random part.
//!
//! * operator set 17, IR version 8, operators of the standard; in `f64` models with GELU bring it as a function of the file;
//! * parameters have the names that [`export`](crate::export) gives them, but where an operator wants another order of the axes;
//! * what does not depend on the input (the trunk of a DeepONet, a learned Green's function) is stored by its values;
//! * the metadata hold the version of farfield, the kind of the model and its configuration.
//!
//! `graph` and `operators` build and check the graph, and each kind of model has a file that says how it is lowered to operators. The same model gives the same bytes. Cost of a
//! run: the multiply-adds of the model's own forward pass, and a transposition of the field an axis and HSS layer. A file can have at most 2 GiB, the limit of protocol
//! buffers.

mod conv_net;
mod convolution;
mod deep_onet;
mod dense;
mod fact_former;
mod fno;
mod gelu;
mod graph;
mod green_learning;
mod hss_layer;
mod mnn;
mod neural_hss;
mod operators;
mod parameters;
mod proto;
mod resnet;
mod scaling;
mod shape;

use burn::module::Module;
use farfield_data::FieldShape;
use prost::Message;

use self::graph::{Graph, Value};
use self::parameters::Parameters;
use crate::any_model::AnyModel;
use crate::error::NnError;
use crate::export::{meaning, plain_tensors};
use crate::model::Model;
use crate::model_file::{SavedModel, description};

/// Version of the operator set of the files.
pub const OPSET: i64 = graph::OPSET;

/// Most bytes of a file: protocol buffers end there.
const MOST: usize = (1 << 31) - 1;

/// The file of a model.
///
/// # Errors
/// When it would have more than 2 GiB, or the parameters are not in the model's float type.
pub fn encode(saved: &SavedModel) -> Result<Vec<u8>, NnError> {
    encode_within(saved, MOST)
}

/// The file, of at most `most` bytes.
fn encode_within(saved: &SavedModel, most: usize) -> Result<Vec<u8>, NnError> {
    let SavedModel { model, normalizers, precision, facts } = saved;
    let model = &model.valid();
    let (input, output) = (model.input_shape(), model.output_shape());
    let parameters = Parameters::new(plain_tensors(saved)?);

    let mut g = Graph::new(*precision);
    let x = g.input("x", &with_channels(input));
    let scaled = g.within("scale", |g| scaling::scaled(g, &normalizers.input, input, &x))?;
    let field = g.reshape(&scaled, &shape::batched(&[input.channels, input.points()]))?;
    let field = lower(&mut g, &parameters, model, &field)?;
    let field = g.reshape(&field, &shape::batched(&with_channels(output)))?;
    let y = g.within("unscale", |g| scaling::unscaled(g, &normalizers.output, output, &field))?;

    let kind = model.config().kind();
    let doc = format!(
        "{kind}: x [batch, {input}] to y [batch, {output}] (channels x grid), both in physical units; y is {}",
        meaning(saved)
    );
    let metadata = [
        ("farfield_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("model_kind", kind.to_owned()),
        ("output", meaning(saved).to_owned()),
        ("config", description(model, normalizers, *precision, facts)?),
    ];
    let proto = g.finish(&y, "y", doc, &metadata);
    let size = proto.encoded_len();
    if size > most {
        let reason = format!(
            "the file would have {size} bytes and ONNX files have at most {most}: export as npz or safetensors"
        );
        return Err(NnError::Unsupported { operation: "model to ONNX", reason });
    }
    Ok(proto.encode_to_vec())
}

/// Channels and axes of the grid.
fn with_channels(shape: &FieldShape) -> Vec<usize> {
    crate::neural_hss::tensor_shape(shape)
}

/// The model itself, `[batch, channels, points]` to the same.
fn lower(g: &mut Graph, p: &Parameters, model: &AnyModel, x: &Value) -> Result<Value, NnError> {
    let (input, output) = (model.input_shape(), model.output_shape());
    match model {
        AnyModel::NeuralHss(model) => neural_hss::neural_hss(g, p, model.config(), (input, output), x),
        AnyModel::Fno(model) => fno::fno(g, p, model.config(), input, x),
        AnyModel::ResNet(model) => resnet::resnet(g, p, model.config(), input, x),
        AnyModel::DeepOnet(model) => deep_onet::deep_onet(g, p, model, x),
        AnyModel::GreenLearning(model) => green_learning::green_learning(g, model, x),
        AnyModel::FactFormer(model) => fact_former::fact_former(g, p, model.config(), input, x),
        AnyModel::MnnH(model) => mnn::mnn_h(g, p, model.config(), (input, output), x),
        AnyModel::MnnH2(model) => mnn::mnn_h2(g, p, model.config(), (input, output), x),
        AnyModel::ConvNet(model) => conv_net::conv_net(g, p, model.config(), input, x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_model::AnyModelConfig;
    use crate::config::{ModelConfig, Precision};
    use crate::metrics::Normalizers;
    use burn::tensor::Device;
    use farfield_data::Normalizer;

    #[test]
    fn files_beyond_the_limit_are_refused() {
        let (field, precision) = (FieldShape::new(1, &[16]), Precision::F64);
        let config = AnyModelConfig::NeuralHss(ModelConfig { levels: 2, rank: 1, depth: 1, ..ModelConfig::default() });
        let model = config.build(&field, &field, 1, &Device::flex().autodiff(), precision.dtype()).unwrap();
        let normalizers = Normalizers { input: Normalizer::identity(1), output: Normalizer::identity(1) };
        let saved = SavedModel { model, normalizers, precision, facts: crate::data_facts::DataFacts::default() };
        let bytes = encode(&saved).unwrap();
        assert_eq!(encode_within(&saved, bytes.len()).unwrap(), bytes);
        let error = encode_within(&saved, bytes.len() - 1).unwrap_err().to_string();
        assert!(error.contains(&bytes.len().to_string()) && error.contains("npz or safetensors"), "{error}");
    }
}
