//! Training through several steps in time: the model is applied to its own predictions, and all of them count.
//!
//! From the state `s_0` of a sample, in the coordinates of the data, with `N` the model between its scalings and `p` what else is part of the input
//! (the scalars of the trajectory, constant channels),
//!
//! ```text
//! s_k = s_{k-1} + N(s_{k-1}, p)   (the model predicts changes)   or   s_k = N(s_{k-1}, p),      k = 1 .. K
//! loss = sum_k || (s_k - u_k) / scale ||^2
//! ```
//!
//! with the states `u_k` of the data and `scale` that of the model's output, so that `K = 1` is ordinary training on pairs. The gradient goes back
//! through all `K` applications. On a domain with a mask only the points inside count, and those outside keep the values of `s_0`.
//!
//! A sample is a state that has `K` states after it in its trajectory. Cost and memory are `K` times those of a step on pairs. The pushforward trick of Brandstetter, Worrall
//! & Welling 2022 (*Message passing neural PDE solvers*) differs in that its gradient goes through the last application only. Not for problems that
//! are no evolution, nor for chaotic ones over more than a few Lyapunov times: the gradient grows with the distance of trajectories.

use std::borrow::Cow;

use burn::tensor::{DType, Device, Tensor, TensorData};
use farfield_data::{Dataset, Task};

use crate::config::LossKind;
use crate::error::NnError;
use crate::loss::squared_error;
use crate::metrics::Normalizers;
use crate::model::Model;
use crate::training_data::Samples;

/// The samples that training on `K` steps takes: those asked for, as far as `K` states follow them.
pub struct UnrolledSamples<'a> {
    /// For more than one step: the set whose outputs are `K` states.
    set: Option<Dataset>,
    given: &'a Dataset,
    indices: Cow<'a, [usize]>,
}

impl<'a> UnrolledSamples<'a> {
    /// `samples` of one step, unrolled over `steps` (`train.unroll`). One step takes them as they are.
    ///
    /// # Errors
    /// For more than one step: [`NnError::Config`] for a set that is not trajectories opened for the task one-step with
    /// one state an output, or whose trajectories are too short; [`NnError::Empty`] if none of the samples has so many states
    /// after it.
    pub fn new(samples: Samples<'a>, steps: usize) -> Result<Self, NnError> {
        let given = samples.dataset;
        if steps == 1 {
            return Ok(Self { set: None, given, indices: Cow::Borrowed(samples.indices) });
        }
        let refused = |reason: String| Err(NnError::config("train.unroll", steps, reason));
        let pairs = match given.trajectory_pairs() {
            Some(pairs) if pairs.task() == Task::OneStep && pairs.unroll() == 1 => pairs,
            Some(pairs) if pairs.task() == Task::OneStep => {
                return refused(format!("the set was opened with unroll {}, it must be 1", pairs.unroll()));
            }
            Some(pairs) => {
                return refused(format!("more than one step has no meaning for the task {}", pairs.task()));
            }
            None => return refused(format!("{}: holds pairs, more than one step needs trajectories", given.origin())),
        };
        let states = pairs.trajectories().times().len();
        let stride = pairs.time_stride();
        if steps == 0 || steps.saturating_mul(stride) >= states {
            let longest = (states - 1) / stride;
            let stride = if stride == 1 { String::new() } else { format!(" at time_stride {stride}") };
            return refused(format!("must be 1 to {longest}: a trajectory has {states} states{stride}"));
        }
        let set = given.unrolled(steps)?;
        let each = states - steps * stride;
        let indices = samples.indices.iter().map(|&sample| pairs.locate(sample));
        let indices: Vec<usize> =
            indices.filter(|&(_, start)| start < each).map(|(trajectory, start)| trajectory * each + start).collect();
        if indices.is_empty() && !samples.indices.is_empty() {
            return Err(NnError::Empty { what: "training over several steps" });
        }
        Ok(Self { set: Some(set), given, indices: Cow::Owned(indices) })
    }

    /// As the trainer takes them.
    pub fn samples(&self) -> Samples<'_> {
        Samples { dataset: self.set.as_ref().unwrap_or(self.given), indices: &self.indices }
    }
}

/// The objective over several steps, on normalised data.
pub(crate) struct Unrolling {
    steps: usize,
    /// Channels of a state.
    channels: usize,
    /// Whether the model predicts changes.
    residual: bool,
    /// What a prediction becomes as a part of the next input, `factor y + shift` for each channel, `[1, channels, 1]`.
    factor: Tensor<3>,
    shift: Option<Tensor<3>>,
    /// 1 inside the domain and 0 outside, `[1, 1, points]`.
    mask: Option<Tensor<3>>,
}

impl Unrolling {
    /// For the trajectories of `set`, which are one-step pairs where `steps` is above 1; tensors on `device`, without autodiff.
    pub(crate) fn new(
        set: &Dataset,
        steps: usize,
        normalizers: &Normalizers,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, NnError> {
        let device = device.clone().without_autodiff();
        let residual = set.trajectory_pairs().is_some_and(|pairs| pairs.residual());
        let (input, output) = (&normalizers.input, &normalizers.output);
        let channels = output.channels();
        if steps > 1 && input.channels() < channels {
            let (got, expected) = (input.channels(), channels);
            return Err(NnError::shape("channels of an input that holds a state", got, format!("at least {expected}")));
        }
        // y scale_out + shift_out is the state or its change, which the next input has as (state - shift_in) / scale_in.
        let number = |c: usize| {
            let scale = input.scale().get(c).copied().unwrap_or(1.0);
            let from = if residual { 0.0 } else { input.shift().get(c).copied().unwrap_or(0.0) };
            (output.scale()[c] / scale, (output.shift()[c] - from) / scale)
        };
        let (factor, shift): (Vec<f64>, Vec<f64>) = (0..channels).map(number).unzip();
        let shifted = shift.iter().any(|&v| v != 0.0);
        let of_channels =
            |values: Vec<f64>| Tensor::<3>::from_data(TensorData::new(values, [1, channels, 1]), (&device, dtype));
        let mask = set.mask().map(|mask| {
            let points = TensorData::new(mask.weights::<f64>(), [1, 1, mask.inside().len()]);
            Tensor::<3>::from_data(points, (&device, dtype))
        });
        Ok(Self {
            steps,
            channels,
            residual,
            factor: of_channels(factor),
            shift: shifted.then(|| of_channels(shift)),
            mask,
        })
    }

    /// The loss of a batch: inputs `[batch, channels_in, points]`, outputs `[batch, steps x channels, points]`, normalised.
    pub(crate) fn loss<M: Model>(&self, kind: LossKind, model: &M, x: Tensor<3>, y: Tensor<3>) -> Tensor<1> {
        let inside = |t: Tensor<3>| match &self.mask {
            Some(mask) if t.device().is_autodiff() => t * mask.clone().autodiff(),
            Some(mask) => t * mask.clone(),
            None => t,
        };
        if self.steps == 1 {
            return squared_error(kind, inside(model.forward(x.autodiff())), inside(y));
        }
        let parameters = x.dims()[1] - self.channels;
        let first = x.clone().narrow(1, 0, self.channels);
        let constants = (parameters > 0).then(|| x.clone().narrow(1, self.channels, parameters).autodiff());
        let outside = self.mask.as_ref().map(|mask| {
            let rest = mask.clone().neg().add_scalar(1.0);
            (first.clone() * rest).autodiff()
        });
        let mut state = first.autodiff();
        let mut input = x.autodiff();
        // In units of the output: the state, or the sum of its changes so far.
        let mut sums: Option<(Tensor<3>, Tensor<3>)> = None;
        let mut loss: Option<Tensor<1>> = None;
        for step in 0..self.steps {
            let prediction = model.forward(input.clone());
            let target = y.clone().narrow(1, step * self.channels, self.channels);
            let (prediction_sum, target_sum) = match sums.take() {
                Some((p, t)) if self.residual => (p + prediction.clone(), t + target),
                _ => (prediction.clone(), target),
            };
            let term = squared_error(kind, inside(prediction_sum.clone()), inside(target_sum.clone()));
            loss = Some(match loss {
                Some(loss) => loss + term,
                None => term,
            });
            if step + 1 == self.steps {
                break;
            }
            sums = Some((prediction_sum, target_sum));
            let mut next = prediction * self.factor.clone().autodiff();
            if let Some(shift) = &self.shift {
                next = next + shift.clone().autodiff();
            }
            next = inside(next);
            state = match (self.residual, &outside) {
                (true, _) => state + next,
                (false, Some(outside)) => next + outside.clone(),
                (false, None) => next,
            };
            input = match &constants {
                Some(constants) => Tensor::cat(vec![state.clone(), constants.clone()], 1),
                None => state.clone(),
            };
        }
        loss.expect("at least one step")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::Gradients;
    use farfield_data::{Mask, Normalizer, OpenOptions, Trajectories};

    use super::*;
    use crate::any_model::{AnyModel, AnyModelConfig};
    use crate::config::{MapKind, ModelConfig, Precision};
    use crate::metrics::predict;
    use crate::parameters::{self, NamedTensor};
    use crate::rivals::{ConvNetConfig, DeepOnetConfig, FnoConfig, MnnConfig, ResNetConfig};
    use crate::training_data::TrainingData;

    /// The derivative along a direction, from the gradient.
    struct Along<'a> {
        gradients: Gradients,
        direction: std::slice::Iter<'a, Vec<f64>>,
        sum: f64,
    }

    impl ModuleVisitor for Along<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let direction = self.direction.next().unwrap();
            let gradient = param.val().grad(&self.gradients).expect("the loss depends on every parameter");
            self.sum += gradient.into_data().iter::<f64>().zip(direction).map(|(g, d)| g * d).sum::<f64>();
        }
    }

    /// Four trajectories of six states; the scalar `c` differs between them if asked for.
    fn set(grid: &[usize], scalar: bool, residual: bool, mask: bool) -> Dataset {
        let points: usize = grid.iter().product();
        let values = (0..4 * 6 * points).map(|i| (0.37 * i as f64).sin() + 0.3 * (0.11 * (i * i) as f64).cos());
        let shape: Vec<usize> = [4, 6, 1].iter().chain(grid).copied().collect();
        let times: Vec<f64> = (0..6).map(f64::from).collect();
        let scalars: &[(&str, &[f64])] = if scalar { &[("c", &[0.5, -1.0, 2.0, 0.1])] } else { &[] };
        let set = Trajectories::from_arrays("waves", values.collect::<Vec<f64>>(), &shape, &times, scalars).unwrap();
        let options = OpenOptions { task: Some(Task::OneStep), residual, ..OpenOptions::default() };
        let set = Dataset::from_trajectories(Arc::new(set), &options).unwrap();
        let inside: Vec<bool> = (0..points).map(|p| p % 4 != 1).collect();
        let mask = mask.then(|| Mask::new(grid, &inside).unwrap());
        set.with_mask(mask).unwrap()
    }

    fn models(grid: &[usize], scalar: bool) -> Vec<AnyModelConfig> {
        let outer_rank = if grid.len() == 1 { 1 } else { 2 };
        let hss = ModelConfig { levels: 1, rank: 1, depth: 2, outer_rank, slope_init: 0.8, ..ModelConfig::default() };
        let tensor = ModelConfig { lift: MapKind::Tensor, project: MapKind::Tensor, lift_rank: 4, ..hss.clone() };
        let fno = FnoConfig {
            n_modes: crate::rivals::Modes::Same(2),
            hidden_channels: 3,
            n_layers: 2,
            projection_channels: 4,
            ..FnoConfig::default()
        };
        let hss = if scalar { tensor } else { hss };
        let resnet = ResNetConfig { hidden_channels: 3, n_layers: 1 };
        let deep_onet = DeepOnetConfig { hidden_channels: 4, n_layers: 2 };
        let plain = ConvNetConfig { hidden_channels: 3, n_layers: 2, kernel_size: 3, ..ConvNetConfig::default() };
        let mut list = vec![
            AnyModelConfig::NeuralHss(hss),
            AnyModelConfig::Fno(fno),
            AnyModelConfig::ResNet(resnet),
            AnyModelConfig::DeepOnet(deep_onet),
            AnyModelConfig::ConvNet(plain),
        ];
        if grid.len() < 3 && grid.iter().all(|n| n % 4 == 0) {
            let boxes = MnnConfig { hidden_channels: 3, n_layers: 1, ..MnnConfig::default() };
            list.extend([AnyModelConfig::MnnH(boxes.clone()), AnyModelConfig::MnnH2(boxes)]);
        }
        list
    }

    fn normalizers(channels: usize) -> Normalizers {
        let input = match channels {
            1 => Normalizer::new(vec![0.2], vec![1.7]),
            _ => Normalizer::new(vec![0.2, -0.4], vec![1.7, 3.0]),
        };
        Normalizers { input: input.unwrap(), output: Normalizer::new(vec![-0.1], vec![0.6]).unwrap() }
    }

    /// The loss by its definition: states in the coordinates of the data, one application of the model after the other.
    fn by_definition(model: &AnyModel, scales: &Normalizers, set: &Dataset, samples: &[usize], steps: usize) -> f64 {
        let pairs = set.trajectory_pairs().unwrap();
        let (state, points) = (pairs.trajectories().state_shape().len(), set.output_shape().points());
        let inside: Vec<bool> = set.mask().map_or(vec![true; points], |mask| mask.inside().to_vec());
        let (mut x, mut exact) = (vec![0.0; set.input_shape().len()], vec![0.0; state]);
        let mut sum = 0.0;
        for &sample in samples {
            let (trajectory, start) = pairs.locate(sample);
            pairs.read_input(trajectory, start, &mut x).unwrap();
            for step in 1..=steps {
                let y = predict(model, scales, x.clone()).unwrap();
                for (i, y) in y.into_iter().enumerate().filter(|(i, _)| inside[i % points]) {
                    x[i] = if pairs.residual() { x[i] + y } else { y };
                }
                pairs.trajectories().read_state(trajectory, start + step, &mut exact).unwrap();
                for i in (0..state).filter(|i| inside[i % points]) {
                    sum += ((x[i] - exact[i]) / scales.output.scale()[i / points]).powi(2);
                }
            }
        }
        sum / samples.len() as f64
    }

    #[test]
    fn loss_is_its_definition_and_gradient_that_of_central_differences() {
        let device = Device::flex().autodiff();
        for (grid, scalar, residual, mask) in [
            (vec![10], false, true, false),
            (vec![10], true, false, true),
            (vec![10], true, true, true),
            (vec![8], true, true, true),
            (vec![6, 5], false, false, false),
            (vec![6, 5], false, true, true),
            (vec![4, 4, 3], false, true, true),
        ] {
            let one = set(&grid, scalar, residual, mask);
            let chosen = [0, 4, 7, 12];
            let scales = normalizers(one.input_shape().channels);
            let (input, output) = (one.input_shape().clone(), one.output_shape().clone());
            for (config, steps) in models(&grid, scalar).into_iter().flat_map(|c| [(c.clone(), 1), (c, 3)]) {
                let unrolled = UnrolledSamples::new(Samples { dataset: &one, indices: &chosen }, steps).unwrap();
                let samples = unrolled.samples();
                // Sample 4 is the last pair of its trajectory: no three steps start there.
                let used: &[usize] = if steps == 1 { &chosen } else { &[0, 7, 12] };
                assert_eq!(samples.indices.len(), used.len());
                let data = TrainingData::new(samples, &scales, Precision::F64, &device).unwrap();
                let mut batch = None;
                data.for_each_batch(&[(0..used.len()).collect()], |_, pair| {
                    batch = Some(pair);
                    Ok(true)
                })
                .unwrap();
                let (x, y) = batch.unwrap();
                let objective = Unrolling::new(samples.dataset, steps, &scales, &device, DType::F64).unwrap();
                let model = config.build(&input, &output, 3, &device, DType::F64).unwrap();
                let loss = |model: &AnyModel| objective.loss(LossKind::Sum, model, x.clone(), y.clone());
                let exact = by_definition(&model, &scales, &one, used, steps);
                let value = loss(&model).into_scalar::<f64>();
                assert!((value - exact).abs() < 1e-12 * exact, "{config:?}, {steps} steps: {value} {exact}");

                let values = parameters::export(&model);
                let direction: Vec<Vec<f64>> = values
                    .iter()
                    .map(|p| (0..p.data.num_elements()).map(|i| (0.9 * i as f64 + p.name.len() as f64).cos()).collect())
                    .collect();
                let moved = |step: f64| {
                    let tensors = values.iter().zip(&direction).map(|(p, d)| {
                        let moved: Vec<f64> = p.data.iter::<f64>().zip(d).map(|(x, d)| x + step * d).collect();
                        NamedTensor { name: p.name.clone(), data: TensorData::new(moved, p.data.shape().clone()) }
                    });
                    let fresh = config.build(&input, &output, 3, &device, DType::F64).unwrap();
                    loss(&parameters::import(fresh, tensors.collect()).unwrap()).into_scalar::<f64>()
                };
                let step = 1e-6;
                let difference = (moved(step) - moved(-step)) / (2.0 * step);
                let mut along = Along { gradients: loss(&model).backward(), direction: direction.iter(), sum: 0.0 };
                model.visit(&mut along);
                let error = (difference - along.sum).abs() / (1.0 + along.sum.abs());
                assert!(error < 2e-8, "{config:?}, {steps} steps: {difference} {}", along.sum);
            }
        }
    }

    #[test]
    fn what_has_no_further_steps_is_refused() {
        let refused = |set: &Dataset, steps| {
            let all: Vec<usize> = (0..set.len()).collect();
            let error = UnrolledSamples::new(Samples { dataset: set, indices: &all }, steps).err().unwrap().to_string();
            assert!(error.starts_with(&format!("train.unroll = {steps}: ")) && !error.contains('\n'), "{error}");
            error
        };
        let good = set(&[8], false, true, false);
        assert!(refused(&good, 6).contains("must be 1 to 5: a trajectory has 6 states"));
        assert!(refused(&good, usize::MAX).contains("must be 1 to 5"));
        assert!(refused(&good, 0).contains("must be 1 to 5"));
        assert!(refused(&good.unrolled(2).unwrap(), 2).contains("opened with unroll 2"));
        let set = Arc::clone(good.trajectory_pairs().unwrap().trajectories());
        let with = |options: OpenOptions| Dataset::from_trajectories(Arc::clone(&set), &options).unwrap();
        assert!(refused(&with(OpenOptions { time_stride: 2, ..OpenOptions::default() }), 3).contains("must be 1 to 2"));
        let last = with(OpenOptions { task: Some(Task::FirstToLast), ..OpenOptions::default() });
        assert!(refused(&last, 2).contains("first-to-last"));
        let pairs =
            Dataset::from_arrays("pairs", vec![1.0; 8], &[2, 4], vec![1.0; 8], &[2, 4], &OpenOptions::default());
        let pairs = pairs.unwrap();
        assert!(refused(&pairs, 3).contains("pairs: holds pairs"));
        assert_eq!(UnrolledSamples::new(Samples { dataset: &pairs, indices: &[1] }, 1).unwrap().samples().indices, [1]);
        // The last pair of the first trajectory alone.
        let none = UnrolledSamples::new(Samples { dataset: &good, indices: &[4] }, 3).err().unwrap();
        assert!(matches!(none, NnError::Empty { .. }), "{none}");
    }
}
