//! Reading and replacing the parameters of a model by name.
//!
//! The name of a parameter is its path in the module: field names and list indices joined by dots. The
//! order is that of the fields. Values are copied between device and host.

use std::collections::HashMap;

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::model::Model;

/// A parameter, or something of its shape such as a moment of the optimiser, on the host.
#[derive(Clone, Debug)]
pub struct NamedTensor {
    /// Path of the parameter.
    pub name: String,
    /// Shape, type and values.
    pub data: TensorData,
}

/// All float parameters of a model, in the order of its fields.
pub fn export<M: Model>(model: &M) -> Vec<NamedTensor> {
    let mut visitor = Export::default();
    model.visit(&mut visitor);
    visitor.tensors
}

/// Paths of all float parameters, in the order of [`export`].
pub fn names<M: Model>(model: &M) -> Vec<String> {
    let mut visitor = Names::default();
    model.visit(&mut visitor);
    visitor.names
}

/// Replaces every parameter of `model` by the one of the same name in `tensors`.
///
/// # Errors
/// A line of text that names a parameter that is missing, left over, or differs in shape or type. The
/// model is lost then.
pub fn import<M: Model>(model: M, tensors: Vec<NamedTensor>) -> Result<M, String> {
    let tensors = tensors.into_iter().map(|t| (t.name, t.data)).collect();
    let mut mapper = Import { path: Vec::new(), tensors, problem: None };
    let model = model.map(&mut mapper);
    match (mapper.problem, mapper.tensors.keys().next()) {
        (Some(problem), _) => Err(problem),
        (None, Some(name)) => Err(format!("\"{name}\" is no parameter of this model")),
        (None, None) => Ok(model),
    }
}

#[derive(Default)]
struct Names {
    path: Vec<String>,
    names: Vec<String>,
}

impl ModuleVisitor for Names {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        self.names.push(self.path.join("."));
    }
}

#[derive(Default)]
struct Export {
    path: Vec<String>,
    tensors: Vec<NamedTensor>,
}

impl ModuleVisitor for Export {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.push(NamedTensor { name: self.path.join("."), data: param.val().into_data() });
    }
}

struct Import {
    path: Vec<String>,
    tensors: HashMap<String, TensorData>,
    problem: Option<String>,
}

impl ModuleMapper for Import {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let (shape, dtype) = (param.shape(), param.dtype());
        match self.tensors.remove(&name) {
            None => {
                self.problem.get_or_insert(format!("parameter \"{name}\" is missing"));
            }
            Some(data) if *data.shape() != shape || data.dtype() != dtype => {
                self.problem.get_or_insert(format!(
                    "parameter \"{name}\" has shape {:?} of {:?}, this model needs {:?} of {:?}",
                    data.shape().as_slice(),
                    data.dtype(),
                    shape.as_slice(),
                    dtype
                ));
            }
            Some(data) => {
                let (id, old, mapper) = param.consume();
                let device = old.device();
                let tensor = Tensor::from_data(data, (&device, dtype)).set_require_grad(old.is_require_grad());
                return Param::from_mapped_value(id, tensor, mapper);
            }
        }
        param
    }
}
