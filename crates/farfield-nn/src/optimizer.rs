//! AdamW with decoupled weight decay (Loshchilov & Hutter 2019) and clipping by the global norm.
//!
//! On the CPU every parameter is updated in place, in one pass over its memory, and the norm of the
//! gradient is accumulated in double precision. On other devices both are ordinary tensor operations. Two
//! moments are kept a parameter, in the parameter's own type. Weight decay does not act on slopes.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Gradients, Tensor, TensorData};
use farfield_kernels::adamw_step;
use rayon::prelude::*;

use crate::config::TrainConfig;
use crate::cpu_tensor::{Float, contiguous, values, values_mut};
use crate::model::Model;
use crate::parameters::{self, NamedTensor};

/// Elements summed as one piece, so that a norm does not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// Hyper-parameters and moments.
#[derive(Debug)]
pub struct AdamW {
    hyper: farfield_kernels::AdamW,
    weight_decay: f64,
    step: u64,
    slots: Vec<Slot>,
}

/// State of one parameter.
#[derive(Debug)]
struct Slot {
    name: String,
    shape: Vec<usize>,
    decayed: bool,
    moments: Moments,
}

// One a parameter: the size of the larger variant does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
enum Moments {
    Single { first: Vec<f32>, second: Vec<f32> },
    Double { first: Vec<f64>, second: Vec<f64> },
    Device { first: Tensor<1>, second: Tensor<1> },
}

/// The gradients of all parameters of a model, taken out of Burn's container.
#[derive(Debug)]
pub struct ModelGradients(Vec<Option<Gradient>>);

#[derive(Debug)]
enum Gradient {
    Cpu(FlexTensor),
    Device(Tensor<1>),
}

impl ModelGradients {
    /// Takes the gradients of `model`'s parameters. A parameter that the loss does not depend on has none.
    pub fn take<M: Model>(model: &M, mut gradients: Gradients) -> Self {
        struct Take<'a> {
            gradients: &'a mut Gradients,
            taken: Vec<Option<Gradient>>,
        }
        impl ModuleVisitor for Take<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let gradient = param.val().grad_remove(self.gradients);
                self.taken.push(gradient.map(Gradient::new));
            }
        }
        let mut visitor = Take { gradients: &mut gradients, taken: Vec::new() };
        model.visit(&mut visitor);
        Self(visitor.taken)
    }

    /// Adds `scale` times the gradients, one after the other, to `flat`, in double precision; `sizes` are the numbers of
    /// elements of the parameters. A parameter without gradient is passed over.
    ///
    /// # Panics
    /// When `sizes` are those of another model or `flat` is shorter than their sum.
    pub fn add_to(&self, flat: &mut [f64], sizes: &[usize], scale: f64) {
        assert_eq!(self.0.len(), sizes.len(), "gradients of another model");
        let mut rest = flat;
        for (gradient, &size) in self.0.iter().zip(sizes) {
            let (part, after) = rest.split_at_mut(size);
            rest = after;
            match gradient {
                None => {}
                Some(Gradient::Cpu(tensor)) if tensor.dtype() == DType::F64 => {
                    part.iter_mut().zip(values::<f64>(tensor)).for_each(|(sum, g)| *sum += scale * g);
                }
                Some(Gradient::Cpu(tensor)) => {
                    part.iter_mut().zip(values::<f32>(tensor)).for_each(|(sum, &g)| *sum += scale * f64::from(g));
                }
                Some(Gradient::Device(tensor)) => {
                    let data = tensor.to_data();
                    part.iter_mut().zip(data.iter::<f64>()).for_each(|(sum, g)| *sum += scale * g);
                }
            }
        }
    }

    /// L2 norm over all parameters, together with the value of `loss` (shape `[1]`). On a device both are
    /// fetched at once. On the CPU the sum is in double precision, in pieces of fixed size.
    pub fn norm_and_loss(&self, loss: Tensor<1>) -> (f64, f64) {
        let mut on_device = vec![loss.without_autodiff()];
        let mut squares = 0.0;
        for gradient in self.0.iter().flatten() {
            match gradient {
                Gradient::Cpu(tensor) => squares += sum_of_squares(tensor),
                Gradient::Device(tensor) => on_device.push(tensor.clone().square().sum()),
            }
        }
        let fetched: Vec<f64> = Tensor::cat(on_device, 0).into_data().iter().collect();
        squares += fetched[1..].iter().sum::<f64>();
        (squares.sqrt(), fetched[0])
    }
}

impl Gradient {
    fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        match tensor.clone().try_into_primitive::<Flex>() {
            Ok(flex) => Self::Cpu(contiguous(flex)),
            Err(_) => Self::Device(tensor.reshape([-1])),
        }
    }
}

fn sum_of_squares(tensor: &FlexTensor) -> f64 {
    fn pieces<T: Copy + Sync>(all: &[T], square: impl Fn(T) -> f64 + Sync) -> f64 {
        let one = |piece: &[T]| piece.iter().map(|&v| square(v)).sum::<f64>();
        if all.len() <= 4 * CHUNK {
            return all.chunks(CHUNK).map(one).sum();
        }
        let sums: Vec<f64> = all.par_chunks(CHUNK).map(one).collect();
        sums.iter().sum()
    }
    match tensor.dtype() {
        DType::F64 => pieces(values::<f64>(tensor), |v| v * v),
        _ => pieces(values::<f32>(tensor), |v| f64::from(v) * f64::from(v)),
    }
}

impl AdamW {
    /// An optimiser for `model` with all moments 0.
    pub fn new<M: Model>(model: &M, config: &TrainConfig) -> Self {
        struct Slots<'a, M> {
            names: std::vec::IntoIter<String>,
            model: &'a M,
            slots: Vec<Slot>,
        }
        impl<M: Model> ModuleVisitor for Slots<'_, M> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let name = self.names.next().unwrap_or_default();
                let tensor = param.val().without_autodiff();
                let n = tensor.shape().num_elements();
                let on_cpu = tensor.clone().try_into_primitive::<Flex>().is_ok();
                let moments = match (on_cpu, tensor.dtype()) {
                    (true, DType::F64) => Moments::Double { first: vec![0.0; n], second: vec![0.0; n] },
                    (true, _) => Moments::Single { first: vec![0.0; n], second: vec![0.0; n] },
                    (false, dtype) => {
                        let zero = Tensor::zeros([n], (&tensor.device(), dtype));
                        Moments::Device { first: zero.clone(), second: zero }
                    }
                };
                let decayed = self.model.is_decayed(&name);
                self.slots.push(Slot { name, shape: tensor.dims().to_vec(), decayed, moments });
            }
        }
        let names = parameters::names(model).into_iter();
        let mut visitor = Slots { names, model, slots: Vec::new() };
        model.visit(&mut visitor);
        let hyper = farfield_kernels::AdamW {
            learning_rate: config.learning_rate,
            beta1: config.beta1,
            beta2: config.beta2,
            epsilon: config.epsilon,
            weight_decay: 0.0,
        };
        Self { hyper, weight_decay: config.weight_decay, step: 0, slots: visitor.slots }
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// One step with learning rate `learning_rate`; gradients are multiplied by `scale` first (clipping).
    ///
    /// CPU parameters are updated in place as long as nothing else holds their tensors; otherwise they are
    /// copied first.
    ///
    /// # Panics
    /// When `model` is not the one that the optimiser and the gradients were made for.
    pub fn step<M: Model>(&mut self, model: M, gradients: ModelGradients, learning_rate: f64, scale: f64) -> M {
        assert_eq!(gradients.0.len(), self.slots.len(), "gradients of another model");
        self.step += 1;
        self.hyper.learning_rate = learning_rate;
        let slots = self.slots.iter_mut().zip(gradients.0);
        let mut mapper = Update { hyper: self.hyper, weight_decay: self.weight_decay, step: self.step, scale, slots };
        model.map(&mut mapper)
    }

    /// The moments as named tensors, `first.NAME` and `second.NAME`.
    pub(crate) fn export(&self) -> Vec<NamedTensor> {
        let mut tensors = Vec::with_capacity(2 * self.slots.len());
        for slot in &self.slots {
            let shape = slot.shape.clone();
            let (first, second) = match &slot.moments {
                Moments::Single { first, second } => {
                    (TensorData::new(first.clone(), shape.clone()), TensorData::new(second.clone(), shape))
                }
                Moments::Double { first, second } => {
                    (TensorData::new(first.clone(), shape.clone()), TensorData::new(second.clone(), shape))
                }
                Moments::Device { first, second } => {
                    let reshaped = |t: &Tensor<1>| {
                        let (bytes, _, dtype) = t.to_data().into_parts();
                        TensorData::from_bytes(bytes, shape.clone(), dtype)
                    };
                    (reshaped(first), reshaped(second))
                }
            };
            tensors.push(NamedTensor { name: format!("first.{}", slot.name), data: first });
            tensors.push(NamedTensor { name: format!("second.{}", slot.name), data: second });
        }
        tensors
    }

    /// Sets the moments from what [`AdamW::export`] gave, and the number of steps.
    ///
    /// # Errors
    /// A line of text that names the first tensor that is missing or differs in shape or type.
    pub(crate) fn import(&mut self, tensors: Vec<NamedTensor>, step: u64) -> Result<(), String> {
        let mut tensors: std::collections::HashMap<_, _> = tensors.into_iter().map(|t| (t.name, t.data)).collect();
        for slot in &mut self.slots {
            let mut take = |kind: &str| -> Result<TensorData, String> {
                let name = format!("{kind}.{}", slot.name);
                let data = tensors.remove(&name).ok_or_else(|| format!("moment \"{name}\" is missing"))?;
                if data.shape().as_slice() != slot.shape {
                    let (got, needed) = (data.shape().as_slice().to_vec(), &slot.shape);
                    return Err(format!("moment \"{name}\" has shape {got:?}, this model needs {needed:?}"));
                }
                Ok(data)
            };
            let (a, b) = (take("first")?, take("second")?);
            let wrong_type = |_| format!("a moment of \"{}\" has another float type than the model", slot.name);
            match &mut slot.moments {
                Moments::Single { first, second } => {
                    first.copy_from_slice(a.as_slice().map_err(wrong_type)?);
                    second.copy_from_slice(b.as_slice().map_err(wrong_type)?);
                }
                Moments::Double { first, second } => {
                    first.copy_from_slice(a.as_slice().map_err(wrong_type)?);
                    second.copy_from_slice(b.as_slice().map_err(wrong_type)?);
                }
                Moments::Device { first, second } => {
                    let load = |data: TensorData, like: &Tensor<1>| {
                        let (bytes, shape, dtype) = data.into_parts();
                        let flat = TensorData::from_bytes(bytes, [shape.num_elements()], dtype);
                        Tensor::from_data(flat, (&like.device(), like.dtype()))
                    };
                    *first = load(a, first);
                    *second = load(b, second);
                }
            }
        }
        self.step = step;
        Ok(())
    }
}

/// Visits the parameters in the order of the slots and updates each.
struct Update<I> {
    hyper: farfield_kernels::AdamW,
    weight_decay: f64,
    step: u64,
    scale: f64,
    slots: I,
}

impl<'a, I: Iterator<Item = (&'a mut Slot, Option<Gradient>)>> ModuleMapper for Update<I> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((slot, Some(gradient))) = self.slots.next() else {
            return param;
        };
        let mut hyper = self.hyper;
        hyper.weight_decay = if slot.decayed { self.weight_decay } else { 0.0 };
        // Nothing but `value` holds the tensor from here on, so its storage is not shared.
        let (id, value, mapper) = param.consume();
        let value = value.without_autodiff();
        let updated = match (&mut slot.moments, gradient) {
            (Moments::Single { first, second }, Gradient::Cpu(gradient)) => {
                on_cpu(value, &gradient, first, second, &hyper, self.step, self.scale)
            }
            (Moments::Double { first, second }, Gradient::Cpu(gradient)) => {
                on_cpu(value, &gradient, first, second, &hyper, self.step, self.scale)
            }
            (Moments::Device { first, second }, Gradient::Device(gradient)) => {
                on_device(value, gradient.mul_scalar(self.scale), first, second, &hyper, self.step)
            }
            _ => unreachable!("gradient and moments of a parameter are on the same device"),
        };
        Param::from_mapped_value(id, updated.autodiff().require_grad(), mapper)
    }
}

fn on_cpu<const D: usize, T: Float>(
    value: Tensor<D>,
    gradient: &FlexTensor,
    first: &mut [T],
    second: &mut [T],
    hyper: &farfield_kernels::AdamW,
    step: u64,
    scale: f64,
) -> Tensor<D> {
    let value = value.try_into_primitive::<Flex>().expect("a parameter with CPU moments is on the CPU");
    let mut value = contiguous(value);
    adamw_step(hyper, step, scale, values_mut(&mut value), values(gradient), first, second)
        .expect("a gradient and its moments have the size of the parameter");
    Tensor::from_primitive::<Flex>(value)
}

fn on_device<const D: usize>(
    value: Tensor<D>,
    gradient: Tensor<1>,
    first: &mut Tensor<1>,
    second: &mut Tensor<1>,
    hyper: &farfield_kernels::AdamW,
    step: u64,
) -> Tensor<D> {
    let shape = value.dims();
    let power = |beta: f64| 1.0 - beta.powf(step as f64);
    *first = first.clone().mul_scalar(hyper.beta1) + gradient.clone().mul_scalar(1.0 - hyper.beta1);
    *second = second.clone().mul_scalar(hyper.beta2) + gradient.square().mul_scalar(1.0 - hyper.beta2);
    let root = second.clone().div_scalar(power(hyper.beta2)).sqrt().add_scalar(hyper.epsilon);
    let change = first.clone().mul_scalar(hyper.learning_rate / power(hyper.beta1)) / root;
    let kept = value.mul_scalar(1.0 - hyper.learning_rate * hyper.weight_decay);
    kept - change.reshape(shape)
}

/// The factor that brings a gradient of norm `norm` down to `limit`; 1 if it is not longer, or `limit` is 0.
pub fn clip_factor(norm: f64, limit: f64) -> f64 {
    if limit > 0.0 && norm > limit { limit / norm } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn tensor(values: &[f64], dtype: DType) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [2, values.len() / 2]), (&Device::flex(), dtype))
    }

    #[test]
    fn tensor_operations_and_the_fused_step_agree() {
        let hyper =
            farfield_kernels::AdamW { learning_rate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.3 };
        let start = [0.5, -1.0, 2.0, 0.0];
        let (mut fused, mut plain) = (tensor(&start, DType::F64), tensor(&start, DType::F64));
        let (mut m, mut v) = (vec![0.0f64; 4], vec![0.0f64; 4]);
        let zero = || Tensor::<1>::zeros([4], (&Device::flex(), DType::F64));
        let (mut mt, mut vt) = (zero(), zero());
        for step in 1..5 {
            let g: Vec<f64> = (0..4).map(|i| ((i + 3 * step) as f64).sin()).collect();
            let flex = tensor(&g, DType::F64).try_into_primitive::<Flex>().unwrap();
            fused = on_cpu(fused, &flex, &mut m, &mut v, &hyper, step as u64, 0.5);
            let g = tensor(&g, DType::F64).reshape([4]).mul_scalar(0.5);
            plain = on_device(plain, g, &mut mt, &mut vt, &hyper, step as u64);
            let difference = (fused.clone() - plain.clone()).abs().max().into_scalar::<f64>();
            assert!(difference < 1e-14, "{difference}");
        }
    }

    #[test]
    fn a_parameter_that_nobody_else_holds_is_updated_in_place() {
        let hyper =
            farfield_kernels::AdamW { learning_rate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.0 };
        let address = |t: &Tensor<2>| values::<f32>(&t.clone().try_into_primitive::<Flex>().unwrap()).as_ptr() as usize;
        let gradient = tensor(&[1.0, 1.0], DType::F32).try_into_primitive::<Flex>().unwrap();
        let before = tensor(&[1.0, 2.0], DType::F32);
        let at = address(&before);
        let after = on_cpu(before, &gradient, &mut [0.0f32; 2], &mut [0.0f32; 2], &hyper, 1, 1.0);
        assert_eq!(address(&after), at);
        for (value, expected) in after.into_data().iter::<f32>().zip([0.9, 1.9]) {
            assert!((value - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn the_norm_does_not_depend_on_how_it_is_cut() {
        let n = 5 * CHUNK + 17;
        let values: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
        let expected: f64 = values.iter().map(|v| v * v).sum();
        let flat = Tensor::<1>::from_data(TensorData::new(values, [n]), (&Device::flex(), DType::F64));
        let sum = sum_of_squares(&flat.try_into_primitive::<Flex>().unwrap());
        assert!((sum / expected - 1.0).abs() < 1e-13);
    }
}
