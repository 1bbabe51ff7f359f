//! Domains with holes, and one-step models rolled out through time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use farfield_data::{Dataset, FieldShape, Mask, Normalization, Normalizer, OpenOptions, Task, Trajectories};
use farfield_nn::baselines::LinearLeastSquares;
use farfield_nn::config::Precision;
use farfield_nn::parameters::export;
use farfield_nn::{
    Model, ModelConfig, NeuralHss, Normalizers, Samples, TrainConfig, Trainer, evaluate, fit_normalizers,
    predicted_trajectory, rollout,
};

/// Pairs on 8 points, whose outputs are `outside` where the mask is false.
fn masked(outside: f64) -> Dataset {
    let inside = [true, true, false, true, true, false, false, true];
    let x: Vec<f64> = (0..12 * 8).map(|i| (1.1 * i as f64).sin()).collect();
    let y: Vec<f64> = x.iter().enumerate().map(|(i, x)| if inside[i % 8] { 2.0 * x } else { outside }).collect();
    let data = Dataset::from_arrays("masked", x, &[12, 8], y, &[12, 8], &OpenOptions::default()).unwrap();
    data.with_mask(Some(Mask::new(&[8], &inside).unwrap())).unwrap()
}

#[test]
fn what_lies_outside_of_the_mask_does_not_count() {
    let config = ModelConfig { levels: 1, rank: 1, depth: 1, ..ModelConfig::default() };
    let training = TrainConfig {
        epochs: 3,
        batch_size: 5,
        normalization: Normalization::None,
        precision: Precision::F64,
        ..TrainConfig::default()
    };
    let all: Vec<usize> = (0..12).collect();
    let trained = |data: &Dataset| {
        let samples = Samples { dataset: data, indices: &all };
        let device = training.device.open().unwrap().autodiff();
        let (shape, dtype) = (data.input_shape(), training.precision.dtype());
        let model = NeuralHss::new(&config, shape, data.output_shape(), 1, &device, dtype).unwrap();
        let normalizers = fit_normalizers(&training, samples).unwrap();
        let mut trainer = Trainer::new(model, normalizers.clone(), training.clone()).unwrap();
        trainer.fit(samples, None, &AtomicBool::new(false), &mut |_| {}).unwrap();
        let model = trainer.into_model();
        let errors = evaluate(&model, &normalizers, data, &all, 4, Precision::F64).unwrap();
        let parameters: Vec<f64> =
            export(&model).iter().flat_map(|p| p.data.iter::<f64>().collect::<Vec<_>>()).collect();
        (parameters, errors)
    };
    let (zeros, garbage) = (trained(&masked(0.0)), trained(&masked(1e3)));
    assert_eq!(zeros, garbage);
    assert!(zeros.1.relative_l2.is_finite() && zeros.1.relative_l2 > 0.0);
}

/// `y = factor x`.
#[derive(Module, Debug)]
struct Scaling {
    factor: Param<Tensor<1>>,
    #[module(skip)]
    shape: FieldShape,
}

impl Model for Scaling {
    fn input_shape(&self) -> &FieldShape {
        &self.shape
    }

    fn output_shape(&self) -> &FieldShape {
        &self.shape
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x * self.factor.val().reshape([1, 1, 1])
    }
}

#[test]
fn a_rollout_feeds_predictions_back() {
    // u(t) = 0.5^t u(0), three trajectories of four states on five points.
    let (count, steps, points) = (3, 4, 5);
    let start = |i: usize, p: usize| 1.0 + i as f64 + 0.1 * p as f64;
    let mut states = Vec::new();
    for i in 0..count {
        for t in 0..steps {
            states.extend((0..points).map(|p| 0.5f64.powi(t) * start(i, p)));
        }
    }
    let times: Vec<f64> = (0..steps).map(f64::from).collect();
    let shape = [count, steps as usize, 1, points];
    let set = Arc::new(Trajectories::from_arrays("decay", states, &shape, &times, &[]).unwrap());
    let identity = || Normalizer::new(vec![0.0], vec![1.0]).unwrap();
    let normalizers = Normalizers { input: identity(), output: identity() };
    let model = |factor: f64| Scaling {
        factor: Param::from_tensor(Tensor::from_data([factor], (&Device::flex(), Precision::F64.dtype()))),
        shape: FieldShape::new(1, &[points]),
    };
    for (residual, exact) in [(false, 0.5), (true, -0.5)] {
        let options = OpenOptions { task: Some(Task::OneStep), residual, ..OpenOptions::default() };
        let data = Dataset::from_trajectories(set.clone(), &options).unwrap();
        let roll = |factor| rollout(&model(factor), &normalizers, &data, &[0, 1, 2], 2, Precision::F64).unwrap();
        let right = roll(exact);
        assert_eq!((right.trajectories, right.steps), (3, 3));
        assert!(right.model.relative_l2 < 1e-15 && right.model.trajectory_l2 < 1e-14);
        // No change: relative errors 2^t - 1 after t steps.
        for (t, error) in right.no_change.per_step.iter().enumerate() {
            assert!((error - (2f64.powi(t as i32 + 1) - 1.0)).abs() < 1e-12, "{error}");
        }
        // A model that keeps three quarters: (3/2)^t - 1.
        let wrong = roll(if residual { -0.25 } else { 0.75 });
        for (t, error) in wrong.model.per_step.iter().enumerate() {
            assert!((error - (1.5f64.powi(t as i32 + 1) - 1.0)).abs() < 1e-12, "{error}");
        }
    }
    // A domain with a hole, where the data are no decay: what is outside neither counts nor changes.
    let inside = [true, true, false, true, false];
    let mut states = vec![0.0; 4 * points];
    for (i, state) in states.iter_mut().enumerate() {
        let (t, p) = (i / points, i % points);
        *state = if inside[p] { 0.5f64.powi(t as i32) * (1.0 + p as f64) } else { 50.0 + i as f64 };
    }
    let holes = Trajectories::from_arrays("holes", states, &[1, 4, 1, points], &times, &[]).unwrap();
    let options = OpenOptions { task: Some(Task::OneStep), residual: true, ..OpenOptions::default() };
    let data = Dataset::from_trajectories(Arc::new(holes), &options).unwrap();
    let data = data.with_mask(Some(Mask::new(&[points], &inside).unwrap())).unwrap();
    let roll = rollout(&model(-0.5), &normalizers, &data, &[0], 1, Precision::F64).unwrap();
    assert_eq!((roll.model.relative_l2, roll.model.vrmse, &roll.times[..]), (0.0, 0.0, &[1.0, 2.0, 3.0][..]));
    assert_eq!(roll.no_change.per_step, [1.0, 3.0, 7.0]);
    let shown = predicted_trajectory(&model(-0.5), &normalizers, &data, 0, Precision::F64).unwrap();
    assert_eq!((shown.times.len(), shown.predicted.len()), (4, 4 * points));
    for (i, (predicted, exact)) in shown.predicted.iter().zip(&shown.exact).enumerate() {
        assert_eq!(*predicted, if inside[i % points] { *exact } else { shown.exact[i % points] });
    }
    let pairs = Dataset::from_arrays("pairs", vec![1.0; 10], &[2, 5], vec![1.0; 10], &[2, 5], &OpenOptions::default());
    let refused = rollout(&model(1.0), &normalizers, &pairs.unwrap(), &[0], 1, Precision::F64).unwrap_err();
    assert!(refused.to_string().contains("one-step"), "{refused}");
}

#[test]
fn least_squares_rolls_a_linear_evolution_out() {
    // u <- A u: a rotation of two numbers and the decay of a third.
    let (c, s) = (0.8, 0.6);
    let step = |u: [f64; 3]| [c * u[0] - s * u[1], s * u[0] + c * u[1], 0.7 * u[2]];
    let (count, steps) = (4, 6);
    let mut states = Vec::new();
    for i in 0..count {
        let mut u = [1.0 + i as f64, (2.1 * i as f64).cos(), 0.5 - i as f64];
        for _ in 0..steps {
            states.extend(u);
            u = step(u);
        }
    }
    let times: Vec<f64> = (0..steps).map(|t| t as f64).collect();
    let set = Arc::new(Trajectories::from_arrays("linear", states, &[count, steps, 1, 3], &times, &[]).unwrap());
    for residual in [false, true] {
        let options = OpenOptions { task: Some(Task::OneStep), residual, ..OpenOptions::default() };
        let data = Dataset::from_trajectories(set.clone(), &options).unwrap();
        // All pairs, by the matrix; three pairs that span everything, by their combinations; two, which do not span.
        let roll = |pairs: &[usize]| {
            let fit = LinearLeastSquares::fit(Samples { dataset: &data, indices: pairs }).unwrap();
            fit.rollout(&data, &[0, 1, 2, 3], 3).unwrap().model.relative_l2
        };
        let all: Vec<usize> = (0..data.len()).collect();
        assert!(roll(&all) < 1e-13, "{}", roll(&all));
        assert!(roll(&[0, 5, 10]) < 1e-13, "{}", roll(&[0, 5, 10]));
        assert!(roll(&[0, 1]) > 1e-2, "{}", roll(&[0, 1]));
    }
}
