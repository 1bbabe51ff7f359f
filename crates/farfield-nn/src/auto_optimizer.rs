//! `train.optimizer = "auto"`: SOAP or AdamW, by the model and its size.
//!
//! SOAP where its preconditioner is made for the model, that is where most parameters are blocks of HSS layers, and where it costs little beside the gradient:
//! a step takes `2.5 m n (m + n)` multiply-adds a block, a gradient at least 3 a parameter and sample. AdamW elsewhere: on other devices, for models whose rates were
//! chosen for AdamW, and for large dense blocks at small batches. A model with one activation is linear but for one slope: there SOAP takes three times its usual
//! learning rate, for the slope too, which then keeps up with the blocks; in deeper models the slopes of such a run wander off. The choice depends on model and configuration alone, so that a run that is continued makes it again.

use burn::module::{ModuleVisitor, Param};
use burn::tensor::Tensor;
use farfield_kernels::{Block, SoapPlan};

use crate::config::{DeviceKind, OptimizerKind, TrainConfig};
use crate::model::Model;
use crate::parameters;

/// Learning rate of models with one activation, which are linear but for one number.
const ONE_LAYER: f64 = 3e-2;
/// Multiply-adds of a step that take a millisecond or less, whatever the gradient costs.
const SMALL: f64 = 3e7;

/// The configuration with `"auto"` replaced by what it stands for, and why; as it is, and no reason, if it says something else.
pub(crate) fn resolve<M: Model>(mut config: TrainConfig, model: &M) -> (TrainConfig, Option<String>) {
    if config.optimizer != OptimizerKind::Auto {
        return (config, None);
    }
    let (kind, mut reason) = choose(&config, model);
    config.optimizer = kind;
    if kind == OptimizerKind::Soap && model.slope_parameters().len() == 1 {
        let (rate, beta) = (ONE_LAYER, config.soap_beta2);
        (config.soap_learning_rate, config.learning_rate) = (rate, rate);
        (config.beta1, config.beta2) = (beta, beta);
        reason += &format!("; with one activation, at the learning rate {rate} for blocks and slope");
    }
    (config, Some(reason))
}

fn choose<M: Model>(config: &TrainConfig, model: &M) -> (OptimizerKind, String) {
    if config.device != DeviceKind::Cpu {
        return (OptimizerKind::Adamw, "adamw, as soap computes on the processor only".to_owned());
    }
    let Survey { all, structured, step } = survey(config, model);
    if 2 * structured <= all {
        let reason = format!("adamw, as {structured} of {all} parameters are blocks of HSS layers");
        return (OptimizerKind::Adamw, reason);
    }
    let gradient = 3.0 * config.batch_size as f64 * all as f64;
    let share = step / gradient;
    if step > SMALL && share > 1.0 {
        let reason = format!("adamw, as a step of soap would take {share:.1} times the multiply-adds of a gradient");
        return (OptimizerKind::Adamw, reason);
    }
    (OptimizerKind::Soap, format!("soap, as {structured} of {all} parameters are blocks of HSS layers"))
}

/// Parameters of a model, those in HSS layers, and multiply-adds of a step of SOAP.
#[derive(Default)]
struct Survey {
    all: usize,
    structured: usize,
    step: f64,
}

fn survey<M: Model>(config: &TrainConfig, model: &M) -> Survey {
    struct Visitor<'a, M> {
        model: &'a M,
        names: std::vec::IntoIter<String>,
        max_dimension: usize,
        found: Survey,
    }
    impl<M: Model> ModuleVisitor for Visitor<'_, M> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.names.next().unwrap_or_default();
            let shape = param.shape();
            self.found.all += shape.num_elements();
            let natural: Option<Vec<Block>> = self.model.matrix_blocks(&name);
            if natural.is_some() {
                self.found.structured += shape.num_elements();
            }
            let blocks = crate::soap::blocks_of(self.model, &name, shape.as_slice()).unwrap_or_default();
            let plan = SoapPlan::new::<f64>(&blocks, self.max_dimension);
            self.found.step += plan.map_or(0.0, |plan| plan.multiply_adds() as f64);
        }
    }
    let names = parameters::names(model).into_iter();
    let mut visitor = Visitor { model, names, max_dimension: config.soap_max_dimension, found: Survey::default() };
    model.visit(&mut visitor);
    visitor.found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_model::AnyModelConfig;
    use crate::config::ModelConfig;
    use burn::tensor::{DType, Device};
    use farfield_data::FieldShape;

    #[test]
    fn structured_models_get_soap_and_the_others_adamw() {
        let shape = FieldShape::new(1, &[256]);
        let auto = |train: TrainConfig, config: &AnyModelConfig| {
            let model = config.build(&shape, &shape, 1, &Device::flex(), DType::F32).unwrap();
            let (config, reason) = resolve(TrainConfig { optimizer: OptimizerKind::Auto, ..train }, &model);
            assert!(reason.is_some_and(|reason| !reason.contains('\n')));
            config.optimizer
        };
        let base = TrainConfig::default;
        let hss = AnyModelConfig::default();
        assert_eq!(auto(base(), &hss), OptimizerKind::Soap);
        assert_eq!(auto(TrainConfig { batch_size: 4, ..base() }, &hss), OptimizerKind::Soap);
        assert_eq!(auto(TrainConfig { device: DeviceKind::Cuda, ..base() }, &hss), OptimizerKind::Adamw);
        for kind in ["fno", "resnet", "deep-onet"] {
            assert_eq!(auto(base(), &AnyModelConfig::of_kind(kind).unwrap()), OptimizerKind::Adamw, "{kind}");
        }
        // One dense matrix of 256 x 256 a layer: six times the work of the gradient of four samples.
        let dense = AnyModelConfig::NeuralHss(ModelConfig { levels: 0, ..ModelConfig::default() });
        assert_eq!(auto(TrainConfig { batch_size: 4, ..base() }, &dense), OptimizerKind::Adamw);

        let one = AnyModelConfig::NeuralHss(ModelConfig { depth: 1, ..ModelConfig::default() });
        let model = one.build(&shape, &shape, 1, &Device::flex(), DType::F32).unwrap();
        let (config, _) = resolve(TrainConfig { optimizer: OptimizerKind::Auto, ..base() }, &model);
        assert_eq!((config.soap_learning_rate, config.learning_rate, config.beta2), (ONE_LAYER, ONE_LAYER, 0.95));
        config.validate().unwrap();

        let model = hss.build(&shape, &shape, 1, &Device::flex(), DType::F32).unwrap();
        let (config, reason) = resolve(TrainConfig::default(), &model);
        assert_eq!((config, reason), (TrainConfig::default(), None));
    }
}
