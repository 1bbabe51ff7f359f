//! A model of any kind, and the table `[model]` that describes it.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use farfield_data::FieldShape;
use farfield_kernels::Block;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::config::{ModelConfig, ModelKind};
use crate::error::NnError;
use crate::model::Model;
use crate::neural_hss::NeuralHss;
use crate::rivals::{
    ConvNet, ConvNetConfig, DeepOnet, DeepOnetConfig, FactFormer, FactFormerConfig, Fno, FnoConfig, GreenLearning,
    GreenLearningConfig, MnnConfig, MnnH, MnnH2, ResNet, ResNetConfig,
};

/// Shape of a model of any kind: a table whose key `kind` (default `"neural-hss"`) says which other keys there are.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyModelConfig {
    /// Neural-HSS and its two comparators: kinds `neural-hss`, `block-diagonal`, `dense`.
    NeuralHss(ModelConfig),
    /// Kind `fno`.
    Fno(FnoConfig),
    /// Kind `resnet`.
    ResNet(ResNetConfig),
    /// Kind `deep-onet`.
    DeepOnet(DeepOnetConfig),
    /// Kind `green-learning`.
    GreenLearning(GreenLearningConfig),
    /// Kind `fact-former`.
    FactFormer(FactFormerConfig),
    /// Kind `mnn-h`.
    MnnH(MnnConfig),
    /// Kind `mnn-h2`.
    MnnH2(MnnConfig),
    /// Kind `conv`.
    ConvNet(ConvNetConfig),
}

/// All kinds of models, by their names in configurations.
pub const MODEL_KINDS: [&str; 11] = [
    "neural-hss",
    "block-diagonal",
    "dense",
    "fno",
    "resnet",
    "deep-onet",
    "green-learning",
    "fact-former",
    "mnn-h",
    "mnn-h2",
    "conv",
];

impl Default for AnyModelConfig {
    fn default() -> Self {
        Self::NeuralHss(ModelConfig::default())
    }
}

impl AnyModelConfig {
    /// The kind, as configurations name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NeuralHss(config) => match config.kind {
                ModelKind::NeuralHss => "neural-hss",
                ModelKind::BlockDiagonal => "block-diagonal",
                ModelKind::Dense => "dense",
            },
            Self::Fno(_) => "fno",
            Self::ResNet(_) => "resnet",
            Self::DeepOnet(_) => "deep-onet",
            Self::GreenLearning(_) => "green-learning",
            Self::FactFormer(_) => "fact-former",
            Self::MnnH(_) => "mnn-h",
            Self::MnnH2(_) => "mnn-h2",
            Self::ConvNet(_) => "conv",
        }
    }

    /// The defaults of a kind.
    ///
    /// # Errors
    /// A kind that there is not.
    pub fn of_kind(kind: &str) -> Result<Self, NnError> {
        Ok(match kind {
            "fno" => Self::Fno(FnoConfig::default()),
            "resnet" => Self::ResNet(ResNetConfig::default()),
            "deep-onet" => Self::DeepOnet(DeepOnetConfig::default()),
            "green-learning" => Self::GreenLearning(GreenLearningConfig::default()),
            "fact-former" => Self::FactFormer(FactFormerConfig::default()),
            "mnn-h" => Self::MnnH(MnnConfig::default()),
            "mnn-h2" => Self::MnnH2(MnnConfig::default()),
            "conv" => Self::ConvNet(ConvNetConfig::default()),
            "neural-hss" => Self::NeuralHss(ModelConfig::default()),
            "block-diagonal" => {
                Self::NeuralHss(ModelConfig { kind: ModelKind::BlockDiagonal, ..ModelConfig::default() })
            }
            "dense" => Self::NeuralHss(ModelConfig { kind: ModelKind::Dense, ..ModelConfig::default() }),
            _ => {
                let rule = format!("the kinds are {}", MODEL_KINDS.join(", "));
                return Err(NnError::config("model.kind", format!("{kind:?}"), rule));
            }
        })
    }

    /// Whether tables of these two kinds have the same keys: Neural-HSS and its comparators do.
    pub fn has_keys_of(&self, kind: &str) -> bool {
        self.kind() == kind
            || matches!(self, Self::NeuralHss(_)) && matches!(kind, "neural-hss" | "block-diagonal" | "dense")
    }

    /// The Neural-HSS configuration, if it is one.
    pub fn neural_hss(&self) -> Option<&ModelConfig> {
        if let Self::NeuralHss(config) = self { Some(config) } else { None }
    }

    /// Checks every field by itself.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        match self {
            Self::NeuralHss(config) => config.validate(),
            Self::Fno(config) => config.validate(),
            Self::ResNet(config) => config.validate(),
            Self::DeepOnet(config) => config.validate(),
            Self::GreenLearning(config) => config.validate(),
            Self::FactFormer(config) => config.validate(),
            Self::MnnH(config) | Self::MnnH2(config) => config.validate(),
            Self::ConvNet(config) => config.validate(),
        }
    }

    /// Number of trainable real numbers of a rival; 0 for a Neural-HSS model, whose layouts count them.
    ///
    /// # Errors
    /// As [`AnyModelConfig::build`].
    pub(crate) fn parameters(&self, input: &FieldShape, output: &FieldShape) -> Result<f64, NnError> {
        match self {
            Self::NeuralHss(_) => Ok(0.0),
            Self::Fno(config) => config.parameters(input, output),
            Self::ResNet(config) => config.parameters(input, output),
            Self::DeepOnet(config) => config.parameters(input, output),
            Self::GreenLearning(config) => config.parameters(input, output),
            Self::FactFormer(config) => config.parameters(input, output),
            Self::MnnH(config) => MnnH::parameters_of(config, input, output),
            Self::MnnH2(config) => MnnH2::parameters_of(config, input, output),
            Self::ConvNet(config) => config.parameters(input, output),
        }
    }

    /// A model with random weights, a function of `seed` alone, on `device` (an autodiff device to train).
    ///
    /// # Errors
    /// The field that is wrong or does not fit the shapes.
    pub fn build(
        &self,
        input: &FieldShape,
        output: &FieldShape,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<AnyModel, NnError> {
        Ok(match self {
            Self::NeuralHss(config) => AnyModel::NeuralHss(NeuralHss::new(config, input, output, seed, device, dtype)?),
            Self::Fno(config) => AnyModel::Fno(Fno::new(config, input, output, seed, device, dtype)?),
            Self::ResNet(config) => AnyModel::ResNet(ResNet::new(config, input, output, seed, device, dtype)?),
            Self::DeepOnet(config) => AnyModel::DeepOnet(DeepOnet::new(config, input, output, seed, device, dtype)?),
            Self::GreenLearning(config) => {
                AnyModel::GreenLearning(GreenLearning::new(config, input, output, seed, device, dtype)?)
            }
            Self::FactFormer(config) => {
                AnyModel::FactFormer(FactFormer::new(config, input, output, seed, device, dtype)?)
            }
            Self::MnnH(config) => AnyModel::MnnH(MnnH::new(config, input, output, seed, device, dtype)?),
            Self::MnnH2(config) => AnyModel::MnnH2(MnnH2::new(config, input, output, seed, device, dtype)?),
            Self::ConvNet(config) => AnyModel::ConvNet(ConvNet::new(config, input, output, seed, device, dtype)?),
        })
    }
}

impl Serialize for AnyModelConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// A configuration beside the name of its kind.
        #[derive(Serialize)]
        struct Tagged<'a, C> {
            kind: &'static str,
            #[serde(flatten)]
            config: &'a C,
        }
        let kind = self.kind();
        match self {
            Self::NeuralHss(config) => config.serialize(serializer),
            Self::Fno(config) => Tagged { kind, config }.serialize(serializer),
            Self::ResNet(config) => Tagged { kind, config }.serialize(serializer),
            Self::DeepOnet(config) => Tagged { kind, config }.serialize(serializer),
            Self::GreenLearning(config) => Tagged { kind, config }.serialize(serializer),
            Self::FactFormer(config) => Tagged { kind, config }.serialize(serializer),
            Self::MnnH(config) | Self::MnnH2(config) => Tagged { kind, config }.serialize(serializer),
            Self::ConvNet(config) => Tagged { kind, config }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for AnyModelConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn read<T: serde::de::DeserializeOwned, E: serde::de::Error>(value: Value) -> Result<T, E> {
            serde_json::from_value(value).map_err(|e| E::custom(format!("[model]: {e}")))
        }
        let mut value = Value::deserialize(deserializer)?;
        let kind = match value.get("kind") {
            None => "neural-hss".to_owned(),
            Some(Value::String(kind)) => kind.clone(),
            Some(other) => return Err(D::Error::custom(format!("model.kind = {other}: must be a string"))),
        };
        let default = Self::of_kind(&kind).map_err(D::Error::custom)?;
        if let (false, Some(table)) = (default.neural_hss().is_some(), value.as_object_mut()) {
            table.remove("kind");
        }
        Ok(match default {
            Self::NeuralHss(_) => Self::NeuralHss(read(value)?),
            Self::Fno(_) => Self::Fno(read(value)?),
            Self::ResNet(_) => Self::ResNet(read(value)?),
            Self::DeepOnet(_) => Self::DeepOnet(read(value)?),
            Self::GreenLearning(_) => Self::GreenLearning(read(value)?),
            Self::FactFormer(_) => Self::FactFormer(read(value)?),
            Self::MnnH(_) => Self::MnnH(read(value)?),
            Self::MnnH2(_) => Self::MnnH2(read(value)?),
            Self::ConvNet(_) => Self::ConvNet(read(value)?),
        })
    }
}

/// A model of any kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum AnyModel {
    /// Neural-HSS, block-diagonal or dense.
    NeuralHss(NeuralHss),
    /// Fourier neural operator.
    Fno(Fno),
    /// Residual network.
    ResNet(ResNet),
    /// DeepONet.
    DeepOnet(DeepOnet),
    /// Green Learning.
    GreenLearning(GreenLearning),
    /// FactFormer.
    FactFormer(FactFormer),
    /// MNN-H.
    MnnH(MnnH),
    /// MNN-H2.
    MnnH2(MnnH2),
    /// Plain convolutional network.
    ConvNet(ConvNet),
}

/// `$body` with `$model` the model inside.
macro_rules! each {
    ($any:expr, $model:ident => $body:expr) => {
        match $any {
            AnyModel::NeuralHss($model) => $body,
            AnyModel::Fno($model) => $body,
            AnyModel::ResNet($model) => $body,
            AnyModel::DeepOnet($model) => $body,
            AnyModel::GreenLearning($model) => $body,
            AnyModel::FactFormer($model) => $body,
            AnyModel::MnnH($model) => $body,
            AnyModel::MnnH2($model) => $body,
            AnyModel::ConvNet($model) => $body,
        }
    };
}

impl AnyModel {
    /// The configuration that the model was made from.
    pub fn config(&self) -> AnyModelConfig {
        match self {
            Self::NeuralHss(model) => AnyModelConfig::NeuralHss(model.config().clone()),
            Self::Fno(model) => AnyModelConfig::Fno(model.config().clone()),
            Self::ResNet(model) => AnyModelConfig::ResNet(model.config().clone()),
            Self::DeepOnet(model) => AnyModelConfig::DeepOnet(model.config().clone()),
            Self::GreenLearning(model) => AnyModelConfig::GreenLearning(model.config().clone()),
            Self::FactFormer(model) => AnyModelConfig::FactFormer(model.config().clone()),
            Self::MnnH(model) => AnyModelConfig::MnnH(model.config().clone()),
            Self::MnnH2(model) => AnyModelConfig::MnnH2(model.config().clone()),
            Self::ConvNet(model) => AnyModelConfig::ConvNet(model.config().clone()),
        }
    }

    /// The Neural-HSS model, if it is one.
    pub fn neural_hss(&self) -> Option<&NeuralHss> {
        if let Self::NeuralHss(model) = self { Some(model) } else { None }
    }

    /// Parameters when a complex number counts as one; [`Model::num_parameters`] counts it as two real ones.
    pub fn num_parameters_complex(&self) -> usize {
        if let Self::Fno(model) = self { model.num_parameters_complex() } else { self.num_parameters() }
    }
}

impl Model for AnyModel {
    fn input_shape(&self) -> &FieldShape {
        each!(self, model => model.input_shape())
    }

    fn output_shape(&self) -> &FieldShape {
        each!(self, model => model.output_shape())
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        each!(self, model => model.forward(x))
    }

    fn slope_parameters(&self) -> Vec<Tensor<1>> {
        each!(self, model => model.slope_parameters())
    }

    fn is_decayed(&self, path: &str) -> bool {
        each!(self, model => model.is_decayed(path))
    }

    fn matrix_blocks(&self, path: &str) -> Option<Vec<Block>> {
        each!(self, model => model.matrix_blocks(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_a_file() {
        for kind in MODEL_KINDS {
            let config = AnyModelConfig::of_kind(kind).unwrap();
            let text = serde_json::to_string(&config).unwrap();
            assert!(text.contains(&format!("\"kind\":\"{kind}\"")), "{text}");
            assert_eq!(serde_json::from_str::<AnyModelConfig>(&text).unwrap(), config);
        }
    }

    #[test]
    fn the_keys_are_those_of_the_kind() {
        let read = |text: &str| serde_json::from_str::<AnyModelConfig>(text).map_err(|e| e.to_string());
        assert_eq!(read("{}").unwrap(), AnyModelConfig::default());
        let fno = read(r#"{"kind": "fno", "n_modes": [3, 4]}"#).unwrap();
        assert!(matches!(fno, AnyModelConfig::Fno(_)));
        let message = read(r#"{"kind": "fno", "rank": 3}"#).unwrap_err();
        assert!(message.contains("unknown field `rank`"), "{message}");
        let message = read(r#"{"kind": "transformer"}"#).unwrap_err();
        assert!(message.contains("model.kind") && message.contains("fact-former"), "{message}");
    }
}
