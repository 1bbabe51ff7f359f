//! MNN-H, MNN-H2 and the plain convolutional network in training: they learn, go on after an interruption to the same bits, and the bits do not depend on the
//! number of threads.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{DType, Device, Tensor, TensorData};
use farfield_data::{Dataset, OpenOptions};
use farfield_nn::config::LossKind;
use farfield_nn::loss::squared_error;
use farfield_nn::optimizer::{ModelGradients, Optimizer, clip_factor};
use farfield_nn::rivals::{Connection, ConvNetConfig, MnnConfig, Padding};
use farfield_nn::{
    AnyModel, AnyModelConfig, Ending, LinearLeastSquares, MeanPredictor, Model, Samples, TrainConfig, Trainer,
    evaluate, fit_normalizers, parameters,
};

use crate::mnn::shape;

/// `y_i = (sum_j x_j / (1 + d(i, j)))^2`, `d` the distance on a circle of `n` points.
fn circle(samples: usize, n: usize) -> Dataset {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for s in 0..samples {
        // A few waves whose amplitudes and phases do not repeat.
        let wave = |k: usize, i: usize| {
            let phase = (7.3 * (s * 5 + k) as f64).sin() * 3.0;
            (12.9 * (s * 3 + k) as f64).cos() * (std::f64::consts::TAU * (k * i) as f64 / n as f64 + phase).sin()
        };
        let f: Vec<f64> = (0..n).map(|i| 0.5 + (1..6).map(|k| 0.6 * wave(k, i)).sum::<f64>()).collect();
        y.extend((0..n).map(|i| {
            let distance = |j: usize| i.abs_diff(j).min(n - i.abs_diff(j)) as f64;
            f.iter().enumerate().map(|(j, f)| f / (1.0 + distance(j))).sum::<f64>().powi(2)
        }));
        x.extend(f);
    }
    Dataset::from_arrays("circle", x, &[samples, n], y, &[samples, n], &OpenOptions::default()).unwrap()
}

#[test]
fn a_nonlinear_far_field_is_learned() {
    let data = circle(160, 64);
    let (train, test): (Vec<usize>, Vec<usize>) = ((0..120).collect(), (120..160).collect());
    let samples = Samples { dataset: &data, indices: &train };
    let training = TrainConfig {
        steps: Some(400),
        batch_size: 20,
        learning_rate: 5e-3,
        weight_decay: 0.0,
        ..TrainConfig::default()
    };
    let boxes = MnnConfig { n_layers: 2, ..MnnConfig::default() };
    let error = |config: AnyModelConfig| {
        let device = Device::flex().autodiff();
        let (shape, dtype) = (data.input_shape(), training.precision.dtype());
        let model = config.build(shape, data.output_shape(), 1, &device, dtype).unwrap();
        let normalizers = fit_normalizers(&training, samples).unwrap();
        let mut trainer = Trainer::new(model, normalizers, training.clone()).unwrap();
        trainer.fit(samples, None, &AtomicBool::new(false), &mut |_| {}).unwrap();
        evaluate(trainer.model(), trainer.normalizers(), &data, &test, 40, training.precision).unwrap().relative_l2
    };
    let held = Samples { dataset: &data, indices: &test };
    let mean = MeanPredictor::fit(samples).unwrap().evaluate(held).unwrap().relative_l2;
    let linear = LinearLeastSquares::fit(samples).unwrap().evaluate(held).unwrap().relative_l2;
    let errors = [
        error(AnyModelConfig::MnnH(boxes.clone())),
        error(AnyModelConfig::MnnH2(boxes.clone())),
        error(AnyModelConfig::MnnH2(MnnConfig { connection: Connection::Mix, ..boxes.clone() })),
        error(AnyModelConfig::MnnH2(MnnConfig { connection: Connection::Lc, ..boxes })),
        error(AnyModelConfig::ConvNet(ConvNetConfig::default())),
    ];
    // The mean predictor has 0.60, affine least squares 0.20.
    assert!(errors.iter().all(|e| *e < 0.6 * linear && *e < 0.2 * mean), "{errors:?}, {linear}, {mean}");
}

#[test]
fn an_interrupted_run_continues_to_the_same_bits() {
    let data = circle(24, 32);
    let all: Vec<usize> = (0..24).collect();
    let samples = Samples { dataset: &data, indices: &all };
    let training = TrainConfig { epochs: 3, batch_size: 6, checkpoint_every: 1, ..TrainConfig::default() };
    let boxes = MnnConfig { connection: Connection::Mix, n_layers: 2, ..MnnConfig::default() };
    for config in [
        AnyModelConfig::MnnH(boxes.clone()),
        AnyModelConfig::MnnH2(boxes),
        AnyModelConfig::ConvNet(ConvNetConfig::default()),
    ] {
        let model = || {
            let device = Device::flex().autodiff();
            let (shape, dtype) = (data.input_shape(), training.precision.dtype());
            config.build(shape, data.output_shape(), 1, &device, dtype).unwrap()
        };
        let bits = |model: &AnyModel| -> Vec<(String, Vec<u8>)> {
            parameters::export(model).into_iter().map(|p| (p.name, p.data.as_bytes().to_vec())).collect()
        };
        let normalizers = fit_normalizers(&training, samples).unwrap();
        let never = AtomicBool::new(false);
        let mut straight = Trainer::new(model(), normalizers.clone(), training.clone()).unwrap();
        straight.fit(samples, None, &never, &mut |_| {}).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let mut part =
            Trainer::new(model(), normalizers.clone(), training.clone()).unwrap().in_directory(folder.path());
        let stop = AtomicBool::new(false);
        let ending = part.fit(samples, None, &stop, &mut |p| stop.store(p.step >= 7, Ordering::Relaxed)).unwrap();
        assert_eq!((ending, part.position().step), (Ending::Interrupted, 7));
        let mut part = Trainer::resume(model(), normalizers, training.clone(), folder.path()).unwrap();
        assert_eq!(part.fit(samples, None, &never, &mut |_| {}).unwrap(), Ending::Finished);
        assert!(bits(part.model()) == bits(straight.model()), "{config:?}");
    }
}

#[test]
fn the_bits_do_not_depend_on_threads() {
    let boxes = |connection, padding| MnnConfig { connection, padding, n_layers: 2, ..MnnConfig::default() };
    let (line, plane) = (shape(1, &[320]), shape(1, &[32, 32]));
    for (config, field) in [
        (AnyModelConfig::MnnH(boxes(Connection::Conv, Padding::Periodic)), &line),
        (AnyModelConfig::MnnH2(boxes(Connection::Lc, Padding::Zero)), &line),
        (AnyModelConfig::MnnH2(boxes(Connection::Mix, Padding::Zero)), &plane),
        (AnyModelConfig::ConvNet(ConvNetConfig::default()), &line),
    ] {
        let steps = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let device = Device::flex().autodiff();
                let mut model = config.build(field, field, 1, &device, DType::F32).unwrap();
                let mut optimizer = Optimizer::new(&model, &TrainConfig::default());
                let values = |phase: f64| {
                    let values: Vec<f64> = (0..32 * field.len()).map(|i| (0.37 * i as f64 + phase).sin()).collect();
                    Tensor::<3>::from_data(
                        TensorData::new(values, [32, 1, field.points()]),
                        (&Device::flex(), DType::F32),
                    )
                };
                for _ in 0..2 {
                    let loss = squared_error(LossKind::Mean, model.forward(values(0.0).autodiff()), values(1.0));
                    let gradients = ModelGradients::take(&model, loss.backward());
                    let (norm, _) = gradients.norm_and_loss(loss);
                    model = optimizer.step(model, gradients, 1e-3, clip_factor(norm, 1.0));
                }
                parameters::export(&model).into_iter().map(|p| p.data.as_bytes().to_vec()).collect::<Vec<_>>()
            })
        };
        let one = steps(1);
        assert!(one == steps(2) && one == steps(5), "{config:?}");
    }
}
