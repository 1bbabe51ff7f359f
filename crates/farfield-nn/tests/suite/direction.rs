//! A direction in the space of the parameters of a model, for derivatives against central differences.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};
use farfield_nn::AnyModel;
use farfield_nn::parameters::{self, NamedTensor};

pub struct Direction {
    base: Vec<NamedTensor>,
    direction: Vec<Vec<f64>>,
}

impl Direction {
    /// From the parameters of a model in double precision.
    pub fn from(model: &AnyModel) -> Self {
        let base = parameters::export(model);
        let of = |p: &NamedTensor| {
            (0..p.data.num_elements()).map(|i| (0.9 * i as f64 + p.name.len() as f64).cos()).collect()
        };
        let direction = base.iter().map(of).collect();
        Self { base, direction }
    }

    /// `fresh` with the parameters of the model this started from, moved by `step` along the direction.
    pub fn moved(&self, fresh: AnyModel, step: f64) -> AnyModel {
        let tensors = self.base.iter().zip(&self.direction).map(|(p, d)| {
            let moved: Vec<f64> = p.data.iter::<f64>().zip(d).map(|(x, d)| x + step * d).collect();
            NamedTensor { name: p.name.clone(), data: TensorData::new(moved, p.data.shape().clone()) }
        });
        parameters::import(fresh, tensors.collect()).unwrap()
    }

    /// The derivative along the direction that gradients give.
    pub fn derivative(&self, model: &AnyModel, gradients: &Gradients) -> f64 {
        let mut along = Along { gradients, direction: self.direction.iter(), sum: 0.0 };
        model.visit(&mut along);
        along.sum
    }
}

struct Along<'a> {
    gradients: &'a Gradients,
    direction: std::slice::Iter<'a, Vec<f64>>,
    sum: f64,
}

impl ModuleVisitor for Along<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let direction = self.direction.next().unwrap();
        let gradient = param.val().grad(self.gradients).expect("the loss depends on every parameter");
        self.sum += gradient.into_data().iter::<f64>().zip(direction).map(|(g, d)| g * d).sum::<f64>();
    }
}
