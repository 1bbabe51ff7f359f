//! SOAP as an optimiser of the trainer: every kind of model, the same bits on any number of threads, and how far it goes.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use farfield_nn::config::{MapKind, OptimizerKind, Precision};
use farfield_nn::parameters::export;
use farfield_nn::rivals::{DeepOnetConfig, FactFormerConfig, FnoConfig, GreenLearningConfig, ResNetConfig};
use farfield_nn::{AnyModelConfig, Ending, Model, ModelConfig, Samples, TrainConfig, Trainer, fit_normalizers};

use crate::training::{bits, dataset, run, small, trainer};

fn soap(train: TrainConfig) -> TrainConfig {
    TrainConfig { optimizer: OptimizerKind::Soap, ..train }
}

#[test]
fn every_kind_of_model_learns() {
    let data = dataset(64, 16, 1);
    let all: Vec<usize> = (0..64).collect();
    let tensor = ModelConfig {
        lift: MapKind::Tensor,
        project: MapKind::Full,
        embedding: Some(vec![24]),
        levels: 2,
        rank: 1,
        depth: 1,
        ..ModelConfig::default()
    };
    let fno = FnoConfig {
        n_modes: serde_json::from_str("3").unwrap(),
        hidden_channels: 8,
        n_layers: 2,
        projection_channels: 8,
        ..FnoConfig::default()
    };
    let kinds = [
        AnyModelConfig::NeuralHss(small().0),
        AnyModelConfig::NeuralHss(tensor),
        AnyModelConfig::NeuralHss(ModelConfig { levels: 0, ..small().0 }),
        AnyModelConfig::Fno(fno),
        AnyModelConfig::ResNet(ResNetConfig { hidden_channels: 6, n_layers: 2 }),
        AnyModelConfig::DeepOnet(DeepOnetConfig { hidden_channels: 12, n_layers: 3 }),
        AnyModelConfig::GreenLearning(GreenLearningConfig {
            hidden_channels: 8,
            n_layers: 2,
            ..GreenLearningConfig::default()
        }),
        AnyModelConfig::FactFormer(FactFormerConfig {
            hidden_channels: 8,
            n_layers: 1,
            heads: 2,
            head_channels: 4,
            kernel_multiplier: 2,
        }),
    ];
    let samples = Samples { dataset: &data, indices: &all };
    for config in kinds {
        for precision in [Precision::F32, Precision::F64] {
            let train = soap(TrainConfig { precision, epochs: 20, batch_size: 16, ..TrainConfig::default() });
            let device = Device::flex().autodiff();
            let model = config.build(data.input_shape(), data.output_shape(), 1, &device, precision.dtype()).unwrap();
            let before = export(&model);
            let mut trainer = Trainer::new(model, fit_normalizers(&train, samples).unwrap(), train).unwrap();
            let mut losses = Vec::new();
            let stop = AtomicBool::new(false);
            let ending = trainer.fit(samples, None, &stop, &mut |p| losses.extend(p.epoch_end.map(|e| e.train_loss)));
            assert_eq!(ending.unwrap(), Ending::Finished);
            assert!(losses[19] < 0.5 * losses[0], "{}: {} to {}", config.kind(), losses[0], losses[19]);
            for (before, after) in before.iter().zip(export(trainer.model())) {
                assert_ne!(before.data.as_bytes(), after.data.as_bytes(), "{}: {}", config.kind(), after.name);
            }
        }
    }
}

#[test]
fn the_blocks_of_a_layer_are_its_nodes_matrices() {
    let (config, train) = small();
    let data = dataset(4, 16, 1);
    let trainer = trainer(&config, &train, &data, &[0, 1, 2, 3]);
    let shapes = |path: &str| {
        let blocks = trainer.model().matrix_blocks(path);
        blocks.map(|blocks| blocks.iter().map(|b| (b.rows, b.cols)).collect::<Vec<_>>())
    };
    let leaves = [[(4, 4); 4], [(4, 1); 4], [(4, 1); 4]].concat();
    let inner = [[(2, 2); 2], [(2, 1); 2], [(2, 1); 2]].concat();
    let expected = [leaves, inner, vec![(2, 2)]].concat();
    assert_eq!(shapes("stack.layers.1.weights"), Some(expected));
    assert_eq!(shapes("stack.layers.2.weights"), None);
    assert_eq!(shapes("stack.layers.1.slope"), None);
    assert_eq!(shapes("lift.weights.0"), None);
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let data = dataset(40, 32, 1);
    let all: Vec<usize> = (0..40).collect();
    let config = ModelConfig { levels: 2, rank: 2, depth: 2, ..ModelConfig::default() };
    let train = soap(TrainConfig { epochs: 6, batch_size: 8, ..TrainConfig::default() });
    let trained = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut trainer = trainer(&config, &train, &data, &all);
            run(&mut trainer, &data, &all, &[], u64::MAX);
            bits(trainer.model())
        })
    };
    let one = trained(1);
    assert_eq!(trained(2), one);
    assert_eq!(trained(5), one);
}

/// The operator is an HSS matrix of rank 2, so that the layer can represent it: what is left is the optimiser's.
#[test]
fn a_linear_operator_is_learned_ten_times_better_than_by_adamw() {
    let data = dataset(400, 64, 1);
    let (train_set, test_set): (Vec<usize>, Vec<usize>) = ((0..360).collect(), (360..400).collect());
    let config = ModelConfig { levels: 3, rank: 2, depth: 1, ..ModelConfig::default() };
    let train = TrainConfig { epochs: 80, batch_size: 32, precision: Precision::F64, ..TrainConfig::default() };
    let train = TrainConfig { validate_every: 40, ..train };
    let error = |optimizer: OptimizerKind| {
        let train = TrainConfig { optimizer, ..train.clone() };
        let mut trainer = trainer(&config, &train, &data, &train_set);
        run(&mut trainer, &data, &train_set, &test_set, u64::MAX);
        trainer.position().best_validation.unwrap()
    };
    let (adamw, auto) = (error(OptimizerKind::Adamw), error(OptimizerKind::Auto));
    assert!(auto < 0.1 * adamw && auto < 1e-2, "AdamW {adamw:e}, SOAP {auto:e}");
}

/// A run says what it chose, and gives what the method gives that was chosen.
#[test]
fn auto_is_soap_for_hss_layers() {
    let data = dataset(24, 16, 1);
    let all: Vec<usize> = (0..24).collect();
    let (config, train) = small();
    let auto = TrainConfig { optimizer: OptimizerKind::Auto, ..train.clone() };
    let (mut chosen, mut named) = (trainer(&config, &auto, &data, &all), trainer(&config, &soap(train), &data, &all));
    assert!(chosen.choice().is_some_and(|choice| choice.starts_with("soap")));
    assert_eq!((chosen.config().optimizer, named.choice()), (OptimizerKind::Soap, None));
    for trainer in [&mut chosen, &mut named] {
        run(trainer, &data, &all, &[], u64::MAX);
    }
    assert_eq!(bits(chosen.model()), bits(named.model()));
}
