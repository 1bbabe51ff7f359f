//! The steps of first-order methods: AdamW with decoupled weight decay (Loshchilov & Hutter 2019), and SOAP (Vyas et al. 2024), which is AdamW in the
//! eigenbases of a preconditioner of every block; clipping by the global norm.
//!
//! On the CPU every parameter is updated in place, in one pass over its memory, and the norm of the
//! gradient is accumulated in double precision. On other devices both are ordinary tensor operations. Two
//! moments are kept a parameter, in the parameter's own type. Weight decay does not act on slopes. With SOAP, vectors (slopes, biases) take the steps of
//! AdamW, with its own decays and its own peak learning rate at the same point of the schedule: at SOAP's rates slopes wander off.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Gradients, Tensor, TensorData};
use farfield_kernels::{Soap, adamw_step};
use rayon::prelude::*;

use crate::config::{OptimizerKind, TrainConfig};
use crate::cpu_tensor::{Float, contiguous, values, values_mut};
use crate::model::Model;
use crate::parameters::{self, NamedTensor};
use crate::soap::{self, SoapBlocks};

/// Elements summed as one piece, so that a norm does not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// Hyper-parameters and state of AdamW or SOAP.
#[derive(Debug)]
pub struct Optimizer {
    hyper: farfield_kernels::AdamW,
    /// With SOAP, the steps of blocks; those of vectors are AdamW's.
    soap: Option<SoapSchedule>,
    weight_decay: f64,
    step: u64,
    slots: Vec<Slot>,
}

/// How blocks are stepped.
#[derive(Clone, Copy, Debug)]
struct SoapSchedule {
    hyper: Soap,
    /// Steps between refreshes of the eigenbases.
    frequency: u64,
    /// AdamW's learning rate over SOAP's.
    share: f64,
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
    Single(OnCpu<f32>),
    Double(OnCpu<f64>),
    Device { first: Tensor<1>, second: Tensor<1> },
}

/// State of a parameter on the CPU.
#[derive(Debug)]
struct OnCpu<T> {
    first: Vec<T>,
    second: Vec<T>,
    /// There if SOAP preconditions it.
    blocks: Option<SoapBlocks<T>>,
}

impl<T: Float> OnCpu<T> {
    fn new(len: usize, blocks: Option<SoapBlocks<T>>) -> Self {
        Self { first: vec![T::default(); len], second: vec![T::default(); len], blocks }
    }

    /// Sets moments, averages and bases to those of a checkpoint.
    fn fill(&mut self, [first, second]: [TensorData; 2], blocks: Option<[TensorData; 2]>) -> Result<(), &'static str> {
        const WRONG_TYPE: &str = "has another float type than the model";
        self.first.copy_from_slice(first.as_slice().map_err(|_| WRONG_TYPE)?);
        self.second.copy_from_slice(second.as_slice().map_err(|_| WRONG_TYPE)?);
        match (&mut self.blocks, blocks) {
            (Some(own), Some(given)) => own.import(given).ok_or("is that of other blocks or of another float type"),
            _ => Ok(()),
        }
    }
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

impl Optimizer {
    /// The optimiser of `config` for `model`, all moments 0: SOAP if it says so, else AdamW.
    ///
    /// # Panics
    /// When [`Model::matrix_blocks`] names blocks that do not fill a parameter.
    pub fn new<M: Model>(model: &M, config: &TrainConfig) -> Self {
        struct Slots<'a, M> {
            names: std::vec::IntoIter<String>,
            model: &'a M,
            /// The largest dimension of a basis, with SOAP.
            soap: Option<usize>,
            slots: Vec<Slot>,
        }
        impl<M: Model> Slots<'_, M> {
            fn on_cpu<T: Float>(&self, name: &str, shape: &[usize]) -> OnCpu<T> {
                let blocks = self.soap.and_then(|max| Some((max, soap::blocks_of(self.model, name, shape)?)));
                let blocks = blocks.map(|(max, blocks)| {
                    SoapBlocks::new(&blocks, max).expect("blocks of a parameter follow one another")
                });
                OnCpu::new(shape.iter().product(), blocks)
            }
        }
        impl<M: Model> ModuleVisitor for Slots<'_, M> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let name = self.names.next().unwrap_or_default();
                let tensor = param.val().without_autodiff();
                let shape = tensor.dims().to_vec();
                let on_cpu = tensor.clone().try_into_primitive::<Flex>().is_ok();
                let moments = match (on_cpu, tensor.dtype()) {
                    (true, DType::F64) => Moments::Double(self.on_cpu(&name, &shape)),
                    (true, _) => Moments::Single(self.on_cpu(&name, &shape)),
                    (false, dtype) => {
                        let zero = Tensor::zeros([shape.iter().product::<usize>()], (&tensor.device(), dtype));
                        Moments::Device { first: zero.clone(), second: zero }
                    }
                };
                let decayed = self.model.is_decayed(&name);
                self.slots.push(Slot { name, shape, decayed, moments });
            }
        }
        let soap = (config.optimizer == OptimizerKind::Soap).then(|| SoapSchedule {
            hyper: Soap {
                learning_rate: config.soap_learning_rate,
                beta1: config.soap_beta1,
                beta2: config.soap_beta2,
                factor_beta: config.soap_beta2,
                epsilon: config.epsilon,
                weight_decay: 0.0,
            },
            frequency: config.soap_frequency as u64,
            share: config.learning_rate / config.soap_learning_rate,
        });
        let names = parameters::names(model).into_iter();
        let max_dimension = soap.map(|_| config.soap_max_dimension);
        let mut visitor = Slots { names, model, soap: max_dimension, slots: Vec::new() };
        model.visit(&mut visitor);
        let hyper = farfield_kernels::AdamW {
            learning_rate: config.learning_rate,
            beta1: config.beta1,
            beta2: config.beta2,
            epsilon: config.epsilon,
            weight_decay: 0.0,
        };
        Self { hyper, soap, weight_decay: config.weight_decay, step: 0, slots: visitor.slots }
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
        if let Some(soap) = &mut self.soap {
            soap.hyper.learning_rate = learning_rate;
            self.hyper.learning_rate *= soap.share;
        }
        let slots = self.slots.iter_mut().zip(gradients.0);
        let step = CpuStep { hyper: self.hyper, soap: self.soap, step: self.step, scale };
        let mut mapper = Update { step, weight_decay: self.weight_decay, slots };
        model.map(&mut mapper)
    }

    /// The state as named tensors: `first.NAME` and `second.NAME`, with SOAP `factors.NAME` and `bases.NAME`.
    pub(crate) fn export(&self) -> Vec<NamedTensor> {
        fn moments<T: Float>(state: &OnCpu<T>, shape: Vec<usize>) -> (TensorData, TensorData) {
            (TensorData::new(state.first.clone(), shape.clone()), TensorData::new(state.second.clone(), shape))
        }
        let mut tensors = Vec::with_capacity(2 * self.slots.len());
        for slot in &self.slots {
            let shape = slot.shape.clone();
            let (first, second) = match &slot.moments {
                Moments::Single(state) => moments(state, shape),
                Moments::Double(state) => moments(state, shape),
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
            let blocks = match &slot.moments {
                Moments::Single(state) => state.blocks.as_ref().map(SoapBlocks::export),
                Moments::Double(state) => state.blocks.as_ref().map(SoapBlocks::export),
                Moments::Device { .. } => None,
            };
            for (kind, data) in ["factors", "bases"].into_iter().zip(blocks.into_iter().flatten()) {
                tensors.push(NamedTensor { name: format!("{kind}.{}", slot.name), data });
            }
        }
        tensors
    }

    /// Sets the state from what [`Optimizer::export`] gave, and the number of steps.
    ///
    /// # Errors
    /// A line of text that names the first tensor that is missing or differs in shape or type.
    pub(crate) fn import(&mut self, tensors: Vec<NamedTensor>, step: u64) -> Result<(), String> {
        let mut tensors: std::collections::HashMap<_, _> = tensors.into_iter().map(|t| (t.name, t.data)).collect();
        for slot in &mut self.slots {
            let mut find = |kind: &str| {
                let name = format!("{kind}.{}", slot.name);
                let data = tensors.remove(&name).ok_or_else(|| format!("moment \"{name}\" is missing"))?;
                Ok::<_, String>((name, data))
            };
            let mut take = |kind: &str| -> Result<TensorData, String> {
                let (name, data) = find(kind)?;
                if data.shape().as_slice() != slot.shape {
                    let (got, needed) = (data.shape().as_slice().to_vec(), &slot.shape);
                    return Err(format!("moment \"{name}\" has shape {got:?}, this model needs {needed:?}"));
                }
                Ok(data)
            };
            let (a, b) = (take("first")?, take("second")?);
            let with_blocks = match &slot.moments {
                Moments::Single(state) => state.blocks.is_some(),
                Moments::Double(state) => state.blocks.is_some(),
                Moments::Device { .. } => false,
            };
            let blocks = if with_blocks { Some([find("factors")?.1, find("bases")?.1]) } else { None };
            match &mut slot.moments {
                Moments::Single(state) => state.fill([a, b], blocks),
                Moments::Double(state) => state.fill([a, b], blocks),
                Moments::Device { first, second } => {
                    let load = |data: TensorData, like: &Tensor<1>| {
                        let (bytes, shape, dtype) = data.into_parts();
                        let flat = TensorData::from_bytes(bytes, [shape.num_elements()], dtype);
                        Tensor::from_data(flat, (&like.device(), like.dtype()))
                    };
                    *first = load(a, first);
                    *second = load(b, second);
                    Ok(())
                }
            }
            .map_err(|problem| format!("the state of \"{}\" {problem}", slot.name))?;
        }
        self.step = step;
        Ok(())
    }
}

/// What a step on the CPU needs to know.
#[derive(Clone, Copy)]
struct CpuStep {
    hyper: farfield_kernels::AdamW,
    soap: Option<SoapSchedule>,
    step: u64,
    scale: f64,
}

/// Visits the parameters in the order of the slots and updates each.
struct Update<I> {
    step: CpuStep,
    weight_decay: f64,
    slots: I,
}

impl<'a, I: Iterator<Item = (&'a mut Slot, Option<Gradient>)>> ModuleMapper for Update<I> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((slot, Some(gradient))) = self.slots.next() else {
            return param;
        };
        let mut step = self.step;
        let weight_decay = if slot.decayed { self.weight_decay } else { 0.0 };
        step.hyper.weight_decay = weight_decay;
        step.soap.iter_mut().for_each(|soap| soap.hyper.weight_decay = weight_decay);
        // Nothing but `value` holds the tensor from here on, so its storage is not shared.
        let (id, value, mapper) = param.consume();
        let value = value.without_autodiff();
        let updated = match (&mut slot.moments, gradient) {
            (Moments::Single(state), Gradient::Cpu(gradient)) => step.take(value, &gradient, state),
            (Moments::Double(state), Gradient::Cpu(gradient)) => step.take(value, &gradient, state),
            (Moments::Device { first, second }, Gradient::Device(gradient)) => {
                on_device(value, gradient.mul_scalar(step.scale), first, second, &step.hyper, step.step)
            }
            _ => unreachable!("gradient and moments of a parameter are on the same device"),
        };
        Param::from_mapped_value(id, updated.autodiff().require_grad(), mapper)
    }
}

impl CpuStep {
    /// The parameter after the step.
    fn take<const D: usize, T: Float>(
        &self,
        value: Tensor<D>,
        gradient: &FlexTensor,
        state: &mut OnCpu<T>,
    ) -> Tensor<D> {
        let value = value.try_into_primitive::<Flex>().expect("a parameter with CPU moments is on the CPU");
        let mut value = contiguous(value);
        let (parameters, gradient) = (values_mut(&mut value), values(gradient));
        let OnCpu { first, second, blocks } = state;
        let Self { hyper, soap, step, scale } = *self;
        match (blocks, soap) {
            (Some(blocks), Some(SoapSchedule { hyper, frequency, .. })) => {
                blocks.step((&hyper, frequency), step, scale, parameters, gradient, soap::Moments { first, second })
            }
            _ => adamw_step(&hyper, step, scale, parameters, gradient, first, second),
        }
        .expect("a gradient and its moments have the size of the parameter");
        Tensor::from_primitive::<Flex>(value)
    }
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
        let mut state = OnCpu::<f64>::new(4, None);
        let zero = || Tensor::<1>::zeros([4], (&Device::flex(), DType::F64));
        let (mut mt, mut vt) = (zero(), zero());
        for step in 1..5 {
            let g: Vec<f64> = (0..4).map(|i| ((i + 3 * step) as f64).sin()).collect();
            let flex = tensor(&g, DType::F64).try_into_primitive::<Flex>().unwrap();
            fused = CpuStep { hyper, soap: None, step: step as u64, scale: 0.5 }.take(fused, &flex, &mut state);
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
        let step = CpuStep { hyper, soap: None, step: 1, scale: 1.0 };
        let after = step.take(before, &gradient, &mut OnCpu::<f32>::new(2, None));
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
