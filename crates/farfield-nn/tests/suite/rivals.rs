//! The rivals: parameters as published, gradients, symmetries, files.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use farfield_data::{FieldShape, Normalizer};
use farfield_nn::config::Precision;
use farfield_nn::rivals::{
    Activation, ConvNetConfig, DeepOnetConfig, FactFormerConfig, Fno, FnoConfig, GreenLearningConfig, Head,
    ModeConvention, Padding, ResNetConfig,
};
use farfield_nn::{AnyModel, AnyModelConfig, MODEL_KINDS, Model, ModelConfig, Normalizers, model_file};

use crate::direction::Direction;

fn shape(channels: usize, grid: &[usize]) -> FieldShape {
    FieldShape::new(channels, grid)
}

fn build(config: &AnyModelConfig, input: &FieldShape, output: &FieldShape, device: &Device) -> AnyModel {
    config.build(input, output, 7, device, DType::F64).unwrap()
}

/// A small model of every kind.
fn small() -> Vec<AnyModelConfig> {
    let fno = FnoConfig {
        n_modes: serde_json::from_str("3").unwrap(),
        hidden_channels: 4,
        n_layers: 2,
        projection_channels: 6,
        ..FnoConfig::default()
    };
    vec![
        AnyModelConfig::Fno(FnoConfig { padding: 2, ..fno.clone() }),
        AnyModelConfig::Fno(FnoConfig {
            head: Head::Linear,
            mode_convention: ModeConvention::Total,
            grid: false,
            ..fno
        }),
        AnyModelConfig::ResNet(ResNetConfig { hidden_channels: 4, n_layers: 2 }),
        AnyModelConfig::DeepOnet(DeepOnetConfig { hidden_channels: 5, n_layers: 3 }),
        AnyModelConfig::GreenLearning(GreenLearningConfig {
            hidden_channels: 5,
            n_layers: 2,
            green_points: Some(4),
            ..GreenLearningConfig::default()
        }),
        AnyModelConfig::FactFormer(FactFormerConfig {
            hidden_channels: 6,
            n_layers: 2,
            heads: 2,
            head_channels: 4,
            kernel_multiplier: 2,
        }),
        AnyModelConfig::ConvNet(ConvNetConfig {
            hidden_channels: 4,
            kernel_size: 5,
            padding: Padding::Zero,
            ..ConvNetConfig::default()
        }),
        AnyModelConfig::ConvNet(ConvNetConfig {
            hidden_channels: 4,
            n_layers: 2,
            kernel_size: 3,
            padding: Padding::Periodic,
            activation: Activation::None,
        }),
    ]
}

fn field(batch: usize, shape: &FieldShape, device: &Device) -> Tensor<3> {
    let count = batch * shape.channels * shape.points();
    let values: Vec<f64> = (0..count).map(|i| (1.3 * i as f64).sin() + 0.2 * (i % 5) as f64).collect();
    Tensor::from_data(TensorData::new(values, [batch, shape.channels, shape.points()]), (device, DType::F64))
}

#[test]
fn parameters_are_those_of_the_formulas() {
    let device = Device::flex();
    let one = shape(1, &[64, 64]);
    // The paper's 132 K: complex numbers counted once.
    let config = FnoConfig {
        n_modes: serde_json::from_str("8").unwrap(),
        hidden_channels: 16,
        n_layers: 4,
        head: Head::Linear,
        ..FnoConfig::default()
    };
    let fno = Fno::new(&config, &one, &one, 1, &device, DType::F32).unwrap();
    assert_eq!(fno.num_parameters_complex(), 132_241);
    assert_eq!(fno.num_parameters(), 132_241 + 131_072);
    // The heat equation's 154 K: counted twice, with a linear head.
    let config = FnoConfig { n_layers: 6, head: Head::Linear, ..FnoConfig::default() };
    let line = shape(1, &[256]);
    assert_eq!(Fno::new(&config, &line, &line, 1, &device, DType::F32).unwrap().num_parameters(), 153_921);
    // The 102 K of the Neumann row: the same at depth 4.
    let config = FnoConfig { n_layers: 4, head: Head::Linear, ..FnoConfig::default() };
    let neumann = Fno::new(&config, &line, &line, 1, &device, DType::F32).unwrap();
    assert_eq!(neumann.num_parameters(), 102_657);
    // The 2.1 M of Navier-Stokes: 16 modes a corner, complex numbers counted once.
    let config = FnoConfig {
        n_modes: serde_json::from_str("16").unwrap(),
        n_layers: 4,
        head: Head::Linear,
        ..FnoConfig::default()
    };
    let vorticity = Fno::new(&config, &one, &one, 1, &device, DType::F32).unwrap();
    assert_eq!(vorticity.num_parameters_complex(), 4 * 2 * 32 * 32 * 256 + 4 * (32 * 32 + 32) + 4 * 32 + 33);
    assert_eq!(vorticity.num_parameters_complex() / 100_000, 21);
    let count = |config: AnyModelConfig, from: &FieldShape, to: &FieldShape| {
        let model = config.build(from, to, 1, &device, DType::F32).unwrap();
        assert_eq!(model.num_parameters(), model.num_params());
        model.num_parameters()
    };
    // Four blocks of 64 channels, table 5, have 295 K whatever the paper prints; twelve of 48 in 1D, table 3, its 165 K.
    let blocks = |hidden_channels, n_layers| AnyModelConfig::ResNet(ResNetConfig { hidden_channels, n_layers });
    assert_eq!(count(AnyModelConfig::ResNet(ResNetConfig::default()), &one, &one), 295_617);
    assert_eq!(count(blocks(48, 12), &line, &line), 2 * 12 * 6960 + 2 * 48 + 49);
    assert_eq!(count(blocks(150, 12), &line, &line), 1_624_051);
    // Green Learning: 83 073 are those of G without its activations, which have 42.
    let config =
        GreenLearningConfig { hidden_channels: 128, n_layers: 6, homogeneous: false, ..GreenLearningConfig::default() };
    assert_eq!(count(AnyModelConfig::GreenLearning(config), &line, &line), 83_073 + 42);
    // FactFormer at table 5's sizes: 1.35 M. The 3.9 M printed are those of the authors' program for Darcy flow (3 934 657 by our count of it), two millions of which
    // are 3 x 3 convolutions on a coarser grid between the attention and the head, which are no part of the model here.
    assert_eq!(count(AnyModelConfig::FactFormer(FactFormerConfig::default()), &one, &one), 1_351_337);
    // The plain network has three layers; 16 channels and kernels of 7 points are our choice.
    let plain = AnyModelConfig::ConvNet(ConvNetConfig::default());
    assert_eq!(count(plain.clone(), &line, &line), (7 + 1) * 16 + (7 * 16 + 1) * 16 + 7 * 16 + 1);
    assert_eq!(count(plain, &one, &one), (49 + 1) * 16 + (49 * 16 + 1) * 16 + 49 * 16 + 1);
    let config = DeepOnetConfig { hidden_channels: 192, n_layers: 4 };
    assert_eq!(
        count(AnyModelConfig::DeepOnet(config), &line, &line),
        257 * 192 + 3 * 193 * 192 + 2 * 192 + 3 * 193 * 192 + 1
    );
}

#[test]
fn every_model_maps_every_dimension() {
    let device = Device::flex();
    for grid in [vec![9], vec![8, 7], vec![6, 8, 6]] {
        let (input, output) = (shape(2, &grid), shape(3, &grid));
        for config in small() {
            let model = build(&config, &input, &output, &device);
            let y = model.forward(field(2, &input, &device));
            assert_eq!(y.dims(), [2, 3, output.points()], "{config:?}");
            assert!(y.into_data().iter::<f64>().all(f64::is_finite));
            // Samples of a batch do not know of each other.
            let x = field(2, &input, &device);
            let alone = model.forward(x.clone().narrow(0, 1, 1));
            let error = (model.forward(x).narrow(0, 1, 1) - alone).abs().max().into_scalar::<f64>();
            assert!(error < 1e-12, "{config:?}: {error}");
        }
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    for grid in [vec![7], vec![6, 6]] {
        let shape = shape(1, &grid);
        for config in small() {
            let model = build(&config, &shape, &shape, &device);
            let x = field(2, &shape, &device);
            let weights = field(2, &shape, &device).mul_scalar(0.7).sin();
            let loss = |model: &AnyModel| (model.forward(x.clone()) * weights.clone()).sum();
            let direction = Direction::from(&model);
            let moved =
                |step: f64| loss(&direction.moved(build(&config, &shape, &shape, &device), step)).into_scalar::<f64>();
            let step = 1e-5;
            let difference = (moved(step) - moved(-step)) / (2.0 * step);
            let exact = direction.derivative(&model, &loss(&model).backward());
            assert!((difference - exact).abs() < 1e-7 * (1.0 + exact.abs()), "{config:?}: {difference} {exact}");
        }
    }
}

#[test]
fn an_operator_without_grid_commutes_with_translations() {
    let device = Device::flex();
    let shape = shape(1, &[8, 6]);
    let config = FnoConfig {
        n_modes: serde_json::from_str("3").unwrap(),
        hidden_channels: 4,
        n_layers: 2,
        grid: false,
        ..FnoConfig::default()
    };
    let model = build(&AnyModelConfig::Fno(config), &shape, &shape, &device);
    let shifted = |x: Tensor<3>| {
        let x = x.reshape([8, 6]);
        let rows = Tensor::cat(vec![x.clone().narrow(0, 5, 3), x.narrow(0, 0, 5)], 0);
        Tensor::cat(vec![rows.clone().narrow(1, 4, 2), rows.narrow(1, 0, 4)], 1).reshape([1, 1, 48])
    };
    let x = field(1, &shape, &device);
    let error = (model.forward(shifted(x.clone())) - shifted(model.forward(x))).abs().max().into_scalar::<f64>();
    assert!(error < 1e-12, "{error}");
}

#[test]
fn the_green_function_is_applied_as_an_integral() {
    // Without the homogeneous part the model is linear in f.
    let device = Device::flex();
    let shape = shape(1, &[12]);
    let config =
        GreenLearningConfig { hidden_channels: 6, n_layers: 2, homogeneous: false, ..GreenLearningConfig::default() };
    let model = build(&AnyModelConfig::GreenLearning(config), &shape, &shape, &device);
    let (f, g) = (field(1, &shape, &device), field(1, &shape, &device).cos());
    let sum = model.forward(f.clone().mul_scalar(2.0) - g.clone());
    let error = (sum - (model.forward(f).mul_scalar(2.0) - model.forward(g))).abs().max().into_scalar::<f64>();
    assert!(error < 1e-13, "{error}");
}

#[test]
fn a_file_gives_the_same_model_and_refuses_what_does_not_fit() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let shape = shape(1, &[6, 6]);
    for config in small() {
        let model = build(&config, &shape, &shape, &device);
        let path = folder.path().join("model.safetensors");
        let scale = || Normalizer::new(vec![0.1], vec![1.7]).unwrap();
        let normalizers = Normalizers { input: scale(), output: scale() };
        model_file::save(&path, &model, &normalizers, Precision::F64).unwrap();
        let loaded = model_file::load(&path, &device).unwrap().model;
        assert_eq!(loaded.config(), config);
        let x = field(1, &shape, &device);
        assert_eq!(loaded.forward(x.clone()).into_data(), model.forward(x).into_data());
        // A header that promises more than the file holds.
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes[8..]).into_owned();
        let key = "\\\"hidden_channels\\\":";
        let at = 8 + text.find(key).unwrap() + key.len();
        let mut hostile = bytes.clone();
        hostile[at] = b'9';
        std::fs::write(&path, hostile).unwrap();
        let message = model_file::load(&path, &device).unwrap_err().to_string();
        assert!(message.contains("numbers, the configuration needs"), "{message}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_name_of_the_field() {
    let device = Device::flex();
    let (line, other, large) = (shape(1, &[16]), shape(1, &[17]), shape(1, &[64, 64]));
    let refused = |config: AnyModelConfig, from: &FieldShape, to: &FieldShape| {
        let message = config.build(from, to, 1, &device, DType::F32).expect_err("a refusal").to_string();
        assert!(!message.contains('\n'));
        message
    };
    let modes = |modes: &str| {
        AnyModelConfig::Fno(FnoConfig { n_modes: serde_json::from_str(modes).unwrap(), ..FnoConfig::default() })
    };
    assert!(refused(modes("10"), &line, &line).contains("model.n_modes"));
    assert!(refused(modes("0"), &line, &line).contains("model.n_modes"));
    assert!(refused(modes("[4, 4]"), &line, &line).contains("the data have 1 axes"));
    for kind in ["fno", "resnet", "fact-former", "mnn-h", "mnn-h2", "conv"] {
        assert!(refused(AnyModelConfig::of_kind(kind).unwrap(), &line, &other).contains("must be the same"));
    }
    let none = ResNetConfig { hidden_channels: 4, n_layers: 0 };
    assert!(refused(AnyModelConfig::ResNet(none), &line, &line).contains("model.n_layers = 0"));
    let wide =
        AnyModelConfig::GreenLearning(GreenLearningConfig { hidden_channels: 128, ..GreenLearningConfig::default() });
    assert!(refused(wide, &large, &large).contains("all pairs of points"));
    for kind in MODEL_KINDS {
        let config = AnyModelConfig::of_kind(kind).unwrap();
        assert!(config.validate().is_ok());
    }
    let none = AnyModelConfig::NeuralHss(ModelConfig { depth: 0, ..ModelConfig::default() });
    assert!(refused(none, &line, &line).contains("model.depth"));
}
