//! Training over several steps: the ordinary one for one step, and interrupted runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use farfield_data::{Dataset, OpenOptions, Task, Trajectories};
use farfield_nn::config::{LossKind, MapKind, Precision};
use farfield_nn::parameters::export;
use farfield_nn::{
    Ending, ModelConfig, NeuralHss, Samples, TrainConfig, Trainer, UnrolledSamples, evaluate, fit_normalizers, rollout,
};

const POINTS: usize = 12;
const STATES: usize = 6;

/// Waves that decay and move, at the rate `c` of their trajectory; periodic.
fn trajectories(count: usize) -> Arc<Trajectories> {
    let rates: Vec<f64> = (0..count).map(|i| 0.02 + 0.01 * (i % 5) as f64).collect();
    let mut states = Vec::new();
    for (i, rate) in rates.iter().enumerate() {
        for t in 0..STATES {
            states.extend((0..POINTS).map(|p| {
                let phase = std::f64::consts::TAU * (p as f64 / POINTS as f64 + rate * t as f64);
                (-rate * t as f64).exp() * (phase + i as f64).sin() + 0.3 * (2.0 * phase - 0.7 * i as f64).cos()
            }));
        }
    }
    let times: Vec<f64> = (0..STATES).map(|t| t as f64).collect();
    let shape = [count, STATES, 1, POINTS];
    Arc::new(Trajectories::from_arrays("waves", states, &shape, &times, &[("c", &rates)]).unwrap())
}

fn open(set: &Arc<Trajectories>, residual: bool) -> Dataset {
    let options = OpenOptions { task: Some(Task::OneStep), residual, ..OpenOptions::default() };
    Dataset::from_trajectories(Arc::clone(set), &options).unwrap()
}

fn small(unroll: usize) -> (ModelConfig, TrainConfig) {
    let model = ModelConfig {
        levels: 1,
        rank: 2,
        depth: 2,
        slope_init: 0.9,
        lift: MapKind::Tensor,
        project: MapKind::Tensor,
        lift_rank: 8,
        ..ModelConfig::default()
    };
    let train = TrainConfig {
        epochs: 6,
        batch_size: 7,
        checkpoint_every: 2,
        loss: LossKind::Mean,
        precision: Precision::F64,
        unroll,
        ..TrainConfig::default()
    };
    (model, train)
}

fn trainer(config: &ModelConfig, train: &TrainConfig, data: &Dataset, indices: &[usize]) -> Trainer<NeuralHss> {
    let device = train.device.open().unwrap().autodiff();
    let (input, output) = (data.input_shape(), data.output_shape());
    let model = NeuralHss::new(config, input, output, train.seed, &device, train.precision.dtype()).unwrap();
    let normalizers = fit_normalizers(train, Samples { dataset: data, indices }).unwrap();
    Trainer::new(model, normalizers, train.clone()).unwrap()
}

fn run(trainer: &mut Trainer<NeuralHss>, data: &Dataset, indices: &[usize], stop_at: u64) -> Ending {
    let stop = AtomicBool::new(false);
    let samples = Samples { dataset: data, indices };
    trainer.fit(samples, None, &stop, &mut |p| stop.store(p.step >= stop_at, Ordering::Relaxed)).unwrap()
}

fn bits(trainer: &Trainer<NeuralHss>) -> Vec<Vec<u8>> {
    export(trainer.model()).into_iter().map(|t| t.data.as_bytes().to_vec()).collect()
}

#[test]
fn one_step_is_training_on_pairs_bit_by_bit() {
    for residual in [false, true] {
        let data = open(&trajectories(8), residual);
        let all: Vec<usize> = (0..data.len()).collect();
        let (input, output) = (data.input_shape(), data.output_shape());
        let (mut x, mut y) = (vec![0f64; all.len() * input.len()], vec![0f64; all.len() * output.len()]);
        data.read(&all, &mut x, &mut y).unwrap();
        let options = OpenOptions { dims: Some(1), ..OpenOptions::default() };
        let (from, to) = ([all.len(), 2, POINTS], [all.len(), 1, POINTS]);
        let pairs = Dataset::from_arrays("pairs", x, &from, y, &to, &options).unwrap();
        let (config, train) = small(1);
        let trained = |data: &Dataset| {
            let mut trainer = trainer(&config, &train, data, &all);
            assert_eq!(run(&mut trainer, data, &all, u64::MAX), Ending::Finished);
            bits(&trainer)
        };
        assert_eq!(trained(&data), trained(&pairs));
    }
}

#[test]
fn an_interrupted_run_over_three_steps_continues_to_the_same_bits() {
    let data = open(&trajectories(8), true);
    let all: Vec<usize> = (0..data.len()).collect();
    let (config, train) = small(3);
    // Three samples a trajectory are left: 24, in 4 batches.
    assert_eq!(UnrolledSamples::new(Samples { dataset: &data, indices: &all }, 3).unwrap().samples().indices.len(), 24);
    let mut straight = trainer(&config, &train, &data, &all);
    run(&mut straight, &data, &all, u64::MAX);
    assert_eq!((straight.position().step, straight.position().epoch), (24, 6));
    for stop_at in [1, 8, 14] {
        let folder = tempfile::tempdir().unwrap();
        let mut part = trainer(&config, &train, &data, &all).in_directory(folder.path());
        assert_eq!(run(&mut part, &data, &all, stop_at), Ending::Interrupted);
        let fresh = trainer(&config, &train, &data, &all);
        let normalizers = fresh.normalizers().clone();
        let mut part = Trainer::resume(fresh.into_model(), normalizers, train.clone(), folder.path()).unwrap();
        assert_eq!(run(&mut part, &data, &all, u64::MAX), Ending::Finished);
        assert_eq!(bits(&part), bits(&straight), "stopped after {stop_at}");
        // Another number of steps is another run.
        let fresh = trainer(&config, &train, &data, &all);
        let normalizers = fresh.normalizers().clone();
        let other = TrainConfig { unroll: 2, ..train.clone() };
        let error = Trainer::resume(fresh.into_model(), normalizers, other, folder.path()).err().unwrap().to_string();
        assert!(error.contains("train.unroll was 3, now it is 2"), "{error}");
    }
}

#[test]
fn what_is_minimised_is_the_error_over_the_steps() {
    // With as many optimiser steps, training over five steps lowers the error after five steps.
    let data = open(&trajectories(10), false);
    let all: Vec<usize> = (0..data.len()).collect();
    let errors = |unroll| {
        let (config, mut train) = small(unroll);
        train.steps = Some(400);
        train.learning_rate = 1e-2;
        let mut trainer = trainer(&config, &train, &data, &all);
        run(&mut trainer, &data, &all, u64::MAX);
        let (model, scales) = (trainer.model(), trainer.normalizers());
        let trajectories: Vec<usize> = (0..10).collect();
        let far = rollout(model, scales, &data, &trajectories, 10, Precision::F64).unwrap().model.per_step[4];
        let near = evaluate(model, scales, &data, &all, 50, Precision::F64).unwrap().relative_l2;
        (near, far)
    };
    let (one, five) = (errors(1), errors(5));
    assert!(five.1 < one.1, "after five steps: {} trained on five, {} on one", five.1, one.1);
}

#[test]
fn trajectories_that_are_too_short_are_refused_in_one_line() {
    let data = open(&trajectories(3), true);
    let all: Vec<usize> = (0..data.len()).collect();
    let (config, train) = small(STATES);
    let mut trainer = trainer(&config, &train, &data, &all);
    let samples = Samples { dataset: &data, indices: &all };
    let error = trainer.fit(samples, None, &AtomicBool::new(false), &mut |_| {}).unwrap_err().to_string();
    assert_eq!(error, "train.unroll = 6: must be 1 to 5: a trajectory has 6 states");
}
