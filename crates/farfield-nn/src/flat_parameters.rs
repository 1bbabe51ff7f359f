//! All parameters of a model as one vector in double precision, for methods that see nothing but a function of a vector.
//!
//! The order is that of [`parameters`](crate::parameters): field by field, row-major. Writing rounds to the type of the model.

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::model::Model;

/// Numbers of elements of the parameters.
pub(crate) fn sizes<M: Model>(model: &M) -> Vec<usize> {
    struct Sizes(Vec<usize>);
    impl ModuleVisitor for Sizes {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.shape().num_elements());
        }
    }
    let mut visitor = Sizes(Vec::new());
    model.visit(&mut visitor);
    visitor.0
}

/// The values, one parameter after the other.
pub(crate) fn values<M: Model>(model: &M) -> Vec<f64> {
    struct Values(Vec<f64>);
    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f64>());
        }
    }
    let mut visitor = Values(Vec::new());
    model.visit(&mut visitor);
    visitor.0
}

/// The model with these values.
///
/// # Panics
/// When there are fewer values than parameters.
pub(crate) fn with_values<M: Model>(model: M, values: &[f64]) -> M {
    struct Place<'a>(&'a [f64]);
    impl ModuleMapper for Place<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (shape, dtype) = (param.shape(), param.dtype());
            let (values, rest) = self.0.split_at(shape.num_elements());
            self.0 = rest;
            let (id, old, mapper) = param.consume();
            let data = TensorData::new(values.to_vec(), shape);
            let tensor = Tensor::from_data(data, (&old.device(), dtype)).set_require_grad(old.is_require_grad());
            Param::from_mapped_value(id, tensor, mapper)
        }
    }
    model.map(&mut Place(values))
}
