//! Training: a small linear problem is learned, and an interrupted run continues to the same bits.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use farfield_data::{Dataset, OpenOptions};
use farfield_nn::config::{LossKind, OptimizerKind, Precision, ScheduleKind};
use farfield_nn::lbfgs::StopReason;
use farfield_nn::parameters::export;
use farfield_nn::trainer::{metrics_file, read_metrics};
use farfield_nn::{Ending, Model, ModelConfig, NeuralHss, NnError, Samples, TrainConfig, Trainer, fit_normalizers};

/// `y = A x` with `A` the inverse of the second difference on `n` points, an HSS matrix of rank 1.
pub fn dataset(samples: usize, n: usize, channels: usize) -> Dataset {
    let mut state = 12345u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..samples * channels {
        let f: Vec<f64> = (0..n).map(|_| uniform()).collect();
        let m = (n + 1) as f64;
        y.extend((0..n).map(|i| {
            let green = |j: usize| {
                let (lo, hi) = (i.min(j) as f64 + 1.0, i.max(j) as f64 + 1.0);
                lo * (m - hi) / (m * m)
            };
            f.iter().enumerate().map(|(j, f)| green(j) * f).sum::<f64>()
        }));
        x.extend(f);
    }
    let shape = [samples, channels, n];
    let options = OpenOptions { dims: Some(1), ..OpenOptions::default() };
    Dataset::from_arrays("green", x, &shape, y, &shape, &options).unwrap()
}

pub fn small() -> (ModelConfig, TrainConfig) {
    let model = ModelConfig { levels: 2, rank: 1, depth: 2, slope_init: 0.9, ..ModelConfig::default() };
    let train = TrainConfig { epochs: 10, batch_size: 8, checkpoint_every: 3, ..TrainConfig::default() };
    (model, train)
}

fn model(config: &ModelConfig, train: &TrainConfig, data: &Dataset) -> NeuralHss {
    let device = Device::flex().autodiff();
    let (input, output) = (data.input_shape(), data.output_shape());
    NeuralHss::new(config, input, output, train.seed, &device, train.precision.dtype()).unwrap()
}

pub fn trainer(config: &ModelConfig, train: &TrainConfig, data: &Dataset, indices: &[usize]) -> Trainer<NeuralHss> {
    let samples = Samples { dataset: data, indices };
    let normalizers = fit_normalizers(train, samples).unwrap();
    Trainer::new(model(config, train, data), normalizers, train.clone()).unwrap()
}

/// Every bit of the parameters.
pub fn bits(model: &NeuralHss) -> Vec<(String, Vec<u8>)> {
    export(model).into_iter().map(|t| (t.name, t.data.as_bytes().to_vec())).collect()
}

/// Runs until the end or until `stop_at` steps were taken.
pub fn run(trainer: &mut Trainer<NeuralHss>, data: &Dataset, train: &[usize], valid: &[usize], stop_at: u64) -> Ending {
    let stop = AtomicBool::new(false);
    let validation = (!valid.is_empty()).then_some(Samples { dataset: data, indices: valid });
    let mut last = 0;
    trainer
        .fit(Samples { dataset: data, indices: train }, validation, &stop, &mut |p| {
            assert!(p.step >= last && p.step <= p.total_steps && p.loss.is_finite());
            last = p.step;
            stop.store(p.step >= stop_at, Ordering::Relaxed);
        })
        .unwrap()
}

/// Epoch, step, loss, validation error, slopes.
type Line = (usize, u64, f64, Option<f64>, Vec<f64>);

/// The metrics of a run, but for its seconds.
fn lines(run: &Path) -> Vec<Line> {
    let lines = read_metrics(run).unwrap().into_iter();
    lines.map(|m| (m.epoch, m.step, m.train_loss, m.validation_relative_l2, m.slopes)).collect()
}

/// What a run is made from.
struct Case<'a> {
    config: &'a ModelConfig,
    train: &'a TrainConfig,
    data: &'a Dataset,
    train_set: &'a [usize],
    valid_set: &'a [usize],
}

/// Stops a run at these steps, continues it each time, and compares its end with a run that was never stopped; returns its metrics.
fn interrupted(case: &Case<'_>, stops: &[u64], straight: &NeuralHss, straight_dir: &Path) -> Vec<Line> {
    let Case { config, train, data, train_set, valid_set } = *case;
    let folder = tempfile::tempdir().unwrap();
    let mut part = trainer(config, train, data, train_set).in_directory(folder.path());
    for &stop_at in stops {
        assert_eq!(run(&mut part, data, train_set, valid_set, stop_at), Ending::Interrupted);
        assert_eq!(part.position().step, stop_at);
        let normalizers = part.normalizers().clone();
        part = Trainer::resume(model(config, train, data), normalizers, train.clone(), folder.path()).unwrap();
    }
    assert_eq!(run(&mut part, data, train_set, valid_set, u64::MAX), Ending::Finished);
    assert_eq!(bits(part.model()), bits(straight));
    assert_eq!(lines(folder.path()), lines(straight_dir));
    lines(folder.path())
}

#[test]
fn a_linear_operator_is_learned() {
    let data = dataset(200, 16, 1);
    let (train_set, test_set): (Vec<usize>, Vec<usize>) = ((0..160).collect(), (160..200).collect());
    let (config, mut train) = small();
    train.epochs = 500;
    train.batch_size = 32;
    train.learning_rate = 1e-2;
    train.weight_decay = 0.0;
    train.precision = Precision::F64;
    let mut trainer = trainer(&config, &train, &data, &train_set);
    assert_eq!(run(&mut trainer, &data, &train_set, &test_set, u64::MAX), Ending::Finished);
    let error = trainer.position().best_validation.unwrap();
    assert!(error < 0.02, "relative error {error}");
    for slope in trainer.model().slopes() {
        assert!((slope - 1.0).abs() < 0.05, "slope {slope}");
    }
    assert_eq!(trainer.model().num_parameters(), 2 * (4 * (16 + 8) + 2 * 8 + 4 + 1));
}

#[test]
fn an_interrupted_run_continues_to_the_same_bits() {
    let data = dataset(45, 18, 1);
    let (train_set, valid_set): (Vec<usize>, Vec<usize>) = ((0..36).collect(), (36..45).collect());
    for (precision, optimizer) in [
        (Precision::F32, OptimizerKind::Adamw),
        (Precision::F64, OptimizerKind::Adamw),
        (Precision::F32, OptimizerKind::Soap),
        (Precision::F64, OptimizerKind::Soap),
    ] {
        for early_stopping in [None, Some(100)] {
            let (config, mut train) = small();
            train.precision = precision;
            train.optimizer = optimizer;
            train.soap_frequency = 4;
            train.early_stopping = early_stopping;
            train.slope_penalty = 0.1;
            let straight_dir = tempfile::tempdir().unwrap();
            let mut straight = trainer(&config, &train, &data, &train_set).in_directory(straight_dir.path());
            assert_eq!(run(&mut straight, &data, &train_set, &valid_set, u64::MAX), Ending::Finished);

            let case =
                Case { config: &config, train: &train, data: &data, train_set: &train_set, valid_set: &valid_set };
            // 5 batches an epoch: stopped after epoch 4, in the middle of epoch 7, and after the first step.
            for stops in [vec![20], vec![33], vec![1, 20, 34]] {
                let continued = interrupted(&case, &stops, straight.model(), straight_dir.path());
                assert_eq!(continued.len(), 10);
            }
        }
    }
}

#[test]
fn a_killed_run_continues_from_its_last_checkpoint() {
    let data = dataset(24, 16, 1);
    let all: Vec<usize> = (0..24).collect();
    let (config, train) = small();
    let folder = tempfile::tempdir().unwrap();
    let mut straight = trainer(&config, &train, &data, &all);
    run(&mut straight, &data, &all, &[], u64::MAX);

    // A panic stands for a killed process: the checkpoint of epoch 6 is there, lines up to epoch 8 too.
    let mut killed = trainer(&config, &train, &data, &all).in_directory(folder.path());
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let stop = AtomicBool::new(false);
        killed.fit(Samples { dataset: &data, indices: &all }, None, &stop, &mut |p| {
            if p.epoch == 9 {
                std::panic::resume_unwind(Box::new("killed"));
            }
        })
    }));
    assert!(outcome.is_err());
    assert_eq!(read_metrics(folder.path()).unwrap().len(), 8);
    let normalizers = straight.normalizers().clone();
    let mut resumed =
        Trainer::resume(model(&config, &train, &data), normalizers.clone(), train.clone(), folder.path()).unwrap();
    assert_eq!((resumed.position().epoch, resumed.position().step), (6, 18));
    assert_eq!(read_metrics(folder.path()).unwrap().len(), 6);
    assert_eq!(run(&mut resumed, &data, &all, &[], u64::MAX), Ending::Finished);
    assert_eq!(bits(resumed.model()), bits(straight.model()));
    // Continuing a finished run does nothing.
    let mut again = Trainer::resume(model(&config, &train, &data), normalizers, train, folder.path()).unwrap();
    assert_eq!(run(&mut again, &data, &all, &[], 0), Ending::Finished);
    assert_eq!(bits(again.model()), bits(straight.model()));
}

#[test]
fn a_checkpoint_of_another_run_is_refused_in_one_line() {
    let data = dataset(24, 16, 1);
    let all: Vec<usize> = (0..24).collect();
    let (config, train) = small();
    let folder = tempfile::tempdir().unwrap();
    let resume = |config: &ModelConfig, train: &TrainConfig| {
        let samples = Samples { dataset: &data, indices: &all };
        let normalizers = fit_normalizers(train, samples).unwrap();
        let result = Trainer::resume(model(config, train, &data), normalizers, train.clone(), folder.path());
        result.err().map(|e| e.to_string())
    };
    let missing = resume(&config, &train).unwrap();
    assert!(missing.contains("training.safetensors") && !missing.contains('\n'), "{missing}");

    let mut first = trainer(&config, &train, &data, &all).in_directory(folder.path());
    run(&mut first, &data, &all, &[], 5);
    assert_eq!(resume(&config, &train), None);
    let other = [
        (resume(&config, &TrainConfig { learning_rate: 0.5, ..train.clone() }), "train.learning_rate"),
        (resume(&config, &TrainConfig { steps: Some(3), ..train.clone() }), "train.steps"),
        (resume(&ModelConfig { rank: 2, ..config.clone() }, &train), "stack.layers.0.weights"),
        (resume(&ModelConfig { depth: 3, ..config.clone() }, &train), "stack.layers.2"),
        (resume(&ModelConfig { depth: 1, ..config.clone() }, &train), "stack.layers.1"),
        (resume(&config, &TrainConfig { precision: Precision::F64, ..train.clone() }), "precision"),
        (resume(&config, &TrainConfig { optimizer: OptimizerKind::Soap, ..train.clone() }), "train.optimizer"),
    ];
    for (error, part) in other {
        let error = error.unwrap();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }

    let samples = Samples { dataset: &data, indices: &all[..20] };
    let normalizers = first.normalizers().clone();
    let mut fewer = Trainer::resume(model(&config, &train, &data), normalizers, train.clone(), folder.path()).unwrap();
    let stop = AtomicBool::new(false);
    let error = fewer.fit(samples, None, &stop, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("24 samples"), "{error}");

    let path = farfield_nn::checkpoint::checkpoint_file(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let error = resume(&config, &train).unwrap();
        assert!(error.contains("training.safetensors") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_with_epoch_and_step() {
    let data = dataset(24, 16, 1);
    let all: Vec<usize> = (0..24).collect();
    let (config, mut train) = small();
    train.learning_rate = 1e30;
    train.soap_learning_rate = 1e30;
    train.clip_norm = 0.0;
    train.schedule = ScheduleKind::Constant;
    // The slope moves in the first step of SOAP too, the blocks from the second on.
    for optimizer in [OptimizerKind::Adamw, OptimizerKind::Soap] {
        train.optimizer = optimizer;
        let mut trainer = trainer(&config, &train, &data, &all);
        let stop = AtomicBool::new(false);
        let samples = Samples { dataset: &data, indices: &all };
        let error = trainer.fit(samples, None, &stop, &mut |_| {}).unwrap_err();
        assert!(matches!(error, NnError::NonFinite { epoch: 1, step: 2, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("epoch 1, step 2") && text.contains("train.soap_learning_rate"), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[test]
fn early_stopping_returns_the_best_parameters() {
    let data = dataset(40, 16, 1);
    let (train_set, valid_set): (Vec<usize>, Vec<usize>) = ((0..8).collect(), (8..40).collect());
    let (config, mut train) = small();
    train.epochs = 400;
    train.learning_rate = 0.05;
    train.schedule = ScheduleKind::Constant;
    train.loss = LossKind::Mean;
    train.early_stopping = Some(5);
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(&config, &train, &data, &train_set).in_directory(folder.path());
    assert_eq!(run(&mut trainer, &data, &train_set, &valid_set, u64::MAX), Ending::EarlyStop);
    let lines = read_metrics(folder.path()).unwrap();
    assert!(lines.len() < 400);
    let best = lines.iter().filter_map(|m| m.validation_relative_l2).fold(f64::INFINITY, f64::min);
    let after =
        farfield_nn::evaluate(trainer.model(), trainer.normalizers(), &data, &valid_set, 8, Precision::F32).unwrap();
    assert_eq!(after.relative_l2, best);
    assert!(metrics_file(folder.path()).exists());

    let samples = Samples { dataset: &data, indices: &train_set };
    let stop = AtomicBool::new(false);
    let mut without = Trainer::new(model(&config, &train, &data), trainer.normalizers().clone(), train).unwrap();
    let error = without.fit(samples, None, &stop, &mut |_| {}).unwrap_err().to_string();
    assert!(error.starts_with("train.early_stopping"), "{error}");
}

#[test]
fn steps_override_epochs_and_everything_stays_in_double_precision() {
    let data = dataset(20, 16, 1);
    let all: Vec<usize> = (0..20).collect();
    let (config, mut train) = small();
    train.steps = Some(7);
    train.precision = Precision::F64;
    let mut trainer = trainer(&config, &train, &data, &all);
    run(&mut trainer, &data, &all, &[], u64::MAX);
    // 3 batches an epoch: two epochs and one step of the third.
    assert_eq!((trainer.position().step, trainer.position().epoch), (7, 3));
    for tensor in export(trainer.model()) {
        assert_eq!(tensor.data.dtype(), burn::tensor::DType::F64, "{}", tensor.name);
        // Rounding to single precision changes a double that was computed as such.
        let values: Vec<f64> = tensor.data.iter().collect();
        assert!(values.iter().any(|&v| f64::from(v as f32) != v), "{}", tensor.name);
    }
    let single = TrainConfig { precision: Precision::F32, ..train };
    let error = Trainer::new(
        trainer.into_model(),
        fit_normalizers(&single, Samples { dataset: &data, indices: &all }).unwrap(),
        single,
    );
    assert!(error.unwrap_err().to_string().contains("F64"));
}

#[test]
fn channels_need_a_tensor_map_and_train_with_it() {
    let data = dataset(20, 12, 2);
    let all: Vec<usize> = (0..20).collect();
    let (mut config, train) = small();
    let plain =
        NeuralHss::new(&config, data.input_shape(), data.output_shape(), 1, &Device::flex(), train.precision.dtype());
    assert!(plain.unwrap_err().to_string().starts_with("model.lift"));
    config.lift = farfield_nn::config::MapKind::Tensor;
    config.project = farfield_nn::config::MapKind::Tensor;
    config.embedding = Some(vec![20]);
    config.lift_rank = 6;
    let mut trainer = trainer(&config, &train, &data, &all);
    assert_eq!(run(&mut trainer, &data, &all, &[], u64::MAX), Ending::Finished);
}

/// `small`, by L-BFGS alone.
fn by_lbfgs(iterations: usize, precision: Precision) -> (ModelConfig, TrainConfig) {
    let (model, train) = small();
    let optimizer = OptimizerKind::Lbfgs;
    (model, TrainConfig { optimizer, epochs: iterations, weight_decay: 0.0, precision, ..train })
}

#[test]
fn an_interrupted_polish_continues_to_the_same_bits() {
    let data = dataset(45, 18, 1);
    let (train_set, valid_set): (Vec<usize>, Vec<usize>) = ((0..36).collect(), (36..45).collect());
    for precision in [Precision::F32, Precision::F64] {
        let (config, mut train) = small();
        train = TrainConfig { epochs: 3, polish: 12, lbfgs_history: 5, slope_penalty: 0.1, precision, ..train };
        train.early_stopping = Some(100);
        let straight_dir = tempfile::tempdir().unwrap();
        let mut straight = trainer(&config, &train, &data, &train_set).in_directory(straight_dir.path());
        assert_eq!(run(&mut straight, &data, &train_set, &valid_set, u64::MAX), Ending::Finished);
        assert_eq!((straight.position().step, straight.position().epoch), (15 + 12, 3 + 12));
        let losses: Vec<f64> = read_metrics(straight_dir.path()).unwrap().iter().map(|m| m.train_loss).collect();
        assert!(losses[3..].windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");

        let case = Case { config: &config, train: &train, data: &data, train_set: &train_set, valid_set: &valid_set };
        // 15 steps of AdamW: stopped among them, at their end, and between iterations.
        for stops in [vec![7], vec![15], vec![16, 24]] {
            interrupted(&case, &stops, straight.model(), straight_dir.path());
        }
    }
}

#[test]
fn an_iteration_that_is_interrupted_is_made_again() {
    let data = dataset(36, 16, 1);
    let all: Vec<usize> = (0..36).collect();
    let (config, train) = by_lbfgs(6, Precision::F64);
    let mut straight = trainer(&config, &train, &data, &all);
    run(&mut straight, &data, &all, &[], u64::MAX);
    let folder = tempfile::tempdir().unwrap();
    let mut part = trainer(&config, &train, &data, &all).in_directory(folder.path());
    assert_eq!(run(&mut part, &data, &all, &[], 3), Ending::Interrupted);
    // The flag is up before the first batch of the next iteration: nothing happens, and the model is where it was.
    let before = bits(part.model());
    let up = AtomicBool::new(true);
    let samples = Samples { dataset: &data, indices: &all };
    assert_eq!(part.fit(samples, None, &up, &mut |_| panic!("no step")).unwrap(), Ending::Interrupted);
    assert_eq!((bits(part.model()), part.position().step), (before, 3));
    assert_eq!(run(&mut part, &data, &all, &[], u64::MAX), Ending::Finished);
    assert_eq!(bits(part.model()), bits(straight.model()));
}

#[test]
fn the_whole_set_is_one_objective_however_it_is_cut_into_batches() {
    let data = dataset(37, 16, 1);
    let all: Vec<usize> = (0..37).collect();
    for loss in [LossKind::Sum, LossKind::Mean] {
        let losses = [5, 37, 1000].map(|batch_size| {
            let (config, train) = by_lbfgs(20, Precision::F64);
            let train = TrainConfig { batch_size, loss, slope_penalty: 0.3, ..train };
            let folder = tempfile::tempdir().unwrap();
            let mut trainer = trainer(&config, &train, &data, &all).in_directory(folder.path());
            assert_eq!(run(&mut trainer, &data, &all, &[], u64::MAX), Ending::Finished);
            read_metrics(folder.path()).unwrap().iter().map(|m| m.train_loss).collect::<Vec<f64>>()
        });
        assert_eq!(losses[1], losses[2]);
        for (a, b) in losses[0].iter().zip(&losses[1]) {
            assert!((a - b).abs() < 1e-7 * b, "{a} {b}");
        }
    }
}

#[test]
fn lbfgs_goes_far_below_adamw_and_stops_at_the_rounding_of_single_precision() {
    let data = dataset(120, 16, 1);
    let (train_set, test_set): (Vec<usize>, Vec<usize>) = ((0..100).collect(), (100..120).collect());
    let (config, train) = by_lbfgs(3000, Precision::F64);
    let train = TrainConfig { batch_size: 100, validate_every: 100, ..train };
    let mut double = trainer(&config, &train, &data, &train_set);
    assert_eq!(run(&mut double, &data, &train_set, &test_set, u64::MAX), Ending::Finished);
    let error = double.position().best_validation.unwrap();
    assert!(error < 1e-4, "relative error {error}");

    let (config, train) = by_lbfgs(5000, Precision::F32);
    let mut single = trainer(&config, &train, &data, &train_set);
    assert_eq!(run(&mut single, &data, &train_set, &test_set, u64::MAX), Ending::Finished);
    assert_eq!(single.stop_reason(), Some(StopReason::NoProgress));
    assert!(single.position().step < 5000);
    assert!(single.position().best_validation.unwrap() < 1e-2);
}

#[test]
fn an_objective_that_is_not_finite_at_the_start_stops_lbfgs_with_the_message() {
    let data = dataset(24, 16, 1);
    let all: Vec<usize> = (0..24).collect();
    let (mut config, train) = by_lbfgs(5, Precision::F64);
    config.slope_init = 1e200;
    let mut trainer = trainer(&config, &train, &data, &all);
    let samples = Samples { dataset: &data, indices: &all };
    let error = trainer.fit(samples, None, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(matches!(error, NnError::NonFinite { epoch: 1, step: 1, .. }), "{error}");
    // The model is still there.
    assert_eq!(trainer.model().slopes(), [1e200, 1e200]);
}

/// Issue 7's table: L-BFGS on 100 samples of table 9's data, 2000 iterations: 2.6e-4 at depth 1, 2.2e-4 at depth 3.
#[test]
#[ignore = "a minute"]
fn lbfgs_on_1d_poisson_in_double_precision() {
    let n = 256;
    let mut state = 99u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let c: Vec<f64> = (0..10).map(|_| uniform()).collect();
        let series = |i: usize, power: i32| -> f64 {
            let term = |(k, c): (usize, &f64)| {
                let w = std::f64::consts::TAU * (k + 1) as f64;
                c * (w * i as f64 / n as f64).sin() / w.powi(power)
            };
            c.iter().enumerate().map(term).sum()
        };
        x.extend((0..n).map(|i| series(i, 0)));
        y.extend((0..n).map(|i| series(i, 2)));
    }
    let data = Dataset::from_arrays("poisson", x, &[300, n], y, &[300, n], &OpenOptions::default()).unwrap();
    let (train_set, test_set): (Vec<usize>, Vec<usize>) = ((0..100).collect(), (100..300).collect());
    for depth in [1, 3] {
        let config = ModelConfig { depth, ..ModelConfig::default() };
        let (_, train) = by_lbfgs(2000, Precision::F64);
        let train = TrainConfig { validate_every: 500, batch_size: 100, ..train };
        let mut trainer = trainer(&config, &train, &data, &train_set);
        run(&mut trainer, &data, &train_set, &test_set, u64::MAX);
        let error = trainer.position().best_validation.unwrap();
        println!("depth {depth}: {error:.2e} after {:.1} s", trainer.position().seconds);
        assert!(error < 5e-4, "depth {depth}: {error}");
    }
}
