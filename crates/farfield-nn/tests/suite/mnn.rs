//! MNN-H and MNN-H2: published numbers of parameters, gradients, symmetries, files, what is refused.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use farfield_data::{FieldShape, Normalizer};
use farfield_nn::config::Precision;
use farfield_nn::parameters::{self, NamedTensor};
use farfield_nn::rivals::{Activation, Connection, ConvNetConfig, MnnConfig, Padding};
use farfield_nn::{AnyModel, AnyModelConfig, Model, Normalizers, model_file};

use crate::direction::Direction;

pub(crate) const CONNECTIONS: [Connection; 3] = [Connection::Conv, Connection::Lc, Connection::Mix];
const PADDINGS: [Padding; 2] = [Padding::Periodic, Padding::Zero];

pub(crate) fn shape(channels: usize, grid: &[usize]) -> FieldShape {
    FieldShape::new(channels, grid)
}

pub(crate) fn both(config: &MnnConfig) -> [AnyModelConfig; 2] {
    [AnyModelConfig::MnnH(config.clone()), AnyModelConfig::MnnH2(config.clone())]
}

/// A model in double precision whose biases are not zero either.
pub(crate) fn model(config: &AnyModelConfig, input: &FieldShape, output: &FieldShape, device: &Device) -> AnyModel {
    let model = config.build(input, output, 7, device, DType::F64).unwrap();
    let tensors = parameters::export(&model).into_iter().enumerate().map(|(k, p)| {
        let moved: Vec<f64> =
            p.data.iter::<f64>().enumerate().map(|(i, v)| v + 0.2 * (1.9 * i as f64 + k as f64).sin()).collect();
        NamedTensor { name: p.name, data: TensorData::new(moved, p.data.shape().clone()) }
    });
    parameters::import(model, tensors.collect()).unwrap()
}

pub(crate) fn values(batch: usize, shape: &FieldShape) -> Vec<f64> {
    (0..batch * shape.len()).map(|i| (1.3 * i as f64).sin() + 0.2 * (i % 5) as f64).collect()
}

pub(crate) fn tensor(values: &[f64], shape: &FieldShape, device: &Device) -> Tensor<3> {
    let batch = values.len() / shape.len();
    let data = TensorData::new(values.to_vec(), [batch, shape.channels, shape.points()]);
    Tensor::from_data(data, (device, DType::F64))
}

pub(crate) fn read(y: Tensor<3>) -> Vec<f64> {
    y.into_data().try_to_vec::<f64>().unwrap()
}

pub(crate) fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn parameters_are_the_published_ones() {
    let device = Device::flex();
    let count = |config: &AnyModelConfig, field: &FieldShape| {
        config.build(field, field, 1, &device, DType::F32).unwrap().num_parameters()
    };
    let line = shape(1, &[320]);
    let [h, h2] = both(&MnnConfig::default());
    assert_eq!((count(&h, &line), count(&h2, &line)), (8_535, 7_209));
    let with = |connection| MnnConfig { connection, padding: Padding::Zero, ..MnnConfig::default() };
    assert_eq!(count(&AnyModelConfig::MnnH2(with(Connection::Lc)), &line), 198_384);
    assert_eq!(count(&AnyModelConfig::MnnH2(with(Connection::Mix)), &line), 25_794);
    // 80 x 80 points, as the authors' programs: four levels, boxes of 5 x 5.
    let (plane, layer) = (shape(1, &[80, 80]), |taps: usize, from: usize, to: usize| (taps * from + 1) * to);
    let near = 5 * layer(9, 25, 25);
    let kernels = 5 * (layer(25, 6, 6) + 2 * layer(49, 6, 6));
    let nested = layer(25, 1, 6) + 2 * layer(4, 6, 6) + 2 * layer(1, 6, 24) + layer(1, 6, 25);
    assert_eq!(count(&AnyModelConfig::MnnH2(MnnConfig::default()), &plane), near + kernels + nested);
    let single: usize = [400, 100, 25].map(|w| layer(w, 1, 6) + layer(1, 6, w)).iter().sum();
    assert_eq!(count(&AnyModelConfig::MnnH(MnnConfig::default()), &plane), near + kernels + single);
    let boxes = [16, 64, 256];
    let own =
        boxes[2] * (layer(25, 1, 6) + layer(1, 6, 25)) + (boxes[0] + boxes[1]) * (layer(4, 6, 6) + layer(1, 6, 24));
    assert_eq!(count(&AnyModelConfig::MnnH2(with(Connection::Mix)), &plane), near + kernels + own);
}

#[test]
fn the_formula_counts_what_is_there() {
    // A file is refused before memory is taken where the formula and the file differ: they must agree everywhere.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let device = Device::flex();
    for (input, output) in [(shape(1, &[16]), shape(1, &[16])), (shape(2, &[8, 24]), shape(3, &[8, 24]))] {
        for connection in CONNECTIONS {
            for n_layers in [1, 2, 3] {
                let config = MnnConfig { connection, n_layers, hidden_channels: 3, ..MnnConfig::default() };
                for config in both(&config) {
                    for (dtype, precision) in [(DType::F32, Precision::F32), (DType::F64, Precision::F64)] {
                        let model = config.build(&input, &output, 5, &device, dtype).unwrap();
                        assert_eq!(model.num_parameters(), model.num_params());
                        assert_eq!(model.num_parameters_complex(), model.num_params());
                        let scale = |n| Normalizer::new(vec![0.1; n], vec![1.7; n]).unwrap();
                        let normalizers = Normalizers { input: scale(input.channels), output: scale(output.channels) };
                        model_file::save(&path, &model, &normalizers, precision).unwrap();
                        let loaded = model_file::load(&path, &device).unwrap().model;
                        assert_eq!(loaded.config(), config);
                        let x = tensor(&values(2, &input), &input, &device).cast(dtype);
                        assert_eq!(loaded.forward(x.clone()).into_data(), model.forward(x).into_data());
                    }
                }
            }
        }
    }
}

/// Small configurations: every connection, padding and activation in turn.
pub(crate) fn small() -> Vec<MnnConfig> {
    let mut list = Vec::new();
    for connection in CONNECTIONS {
        for padding in PADDINGS {
            let activation = if padding == Padding::Zero && connection == Connection::Mix {
                Activation::None
            } else {
                Activation::Relu
            };
            let (hidden_channels, n_layers) = (3, 2);
            list.push(MnnConfig { connection, padding, activation, hidden_channels, n_layers, ..MnnConfig::default() });
        }
    }
    list.push(MnnConfig { adjacent_band: 0, coarsest_band: 3, band: 1, n_layers: 1, ..list[1].clone() });
    list
}

#[test]
fn samples_do_not_know_of_each_other_and_may_be_none() {
    let device = Device::flex();
    for grid in [vec![16], vec![8, 12]] {
        let (input, output) = (shape(2, &grid), shape(3, &grid));
        let plain = AnyModelConfig::ConvNet(ConvNetConfig { kernel_size: 5, ..ConvNetConfig::default() });
        let boxes = small().into_iter().flat_map(|config| both(&config));
        for config in boxes.chain([plain]) {
            let model = model(&config, &input, &output, &device);
            let x = tensor(&values(3, &input), &input, &device);
            let alone = read(model.forward(x.clone().narrow(0, 1, 1)));
            let together = read(model.forward(x.clone()));
            assert!(largest_difference(&together[output.len()..2 * output.len()], &alone) < 1e-12, "{config:?}");
            assert_eq!(model.forward(tensor(&[], &input, &device)).dims(), [0, 3, output.points()], "{config:?}");
        }
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    for (grid, levels) in [(vec![24], 3), (vec![8, 8], 2)] {
        let (input, output) = (shape(2, &grid), shape(1, &grid));
        for config in small() {
            for any in both(&MnnConfig { levels: Some(levels), ..config }) {
                let model = model(&any, &input, &output, &device);
                let x = values(2, &input);
                let weights = tensor(&values(2, &output), &output, &device).mul_scalar(0.7).sin();
                // One direction in the parameters and one in the input.
                let direction = Direction::from(&model);
                let turn: Vec<f64> = (0..x.len()).map(|i| (0.4 * i as f64).cos()).collect();
                let loss = |model: &AnyModel, x: Tensor<3>| (model.forward(x) * weights.clone()).sum();
                let moved = |step: f64| {
                    let there = direction.moved(any.build(&input, &output, 7, &device, DType::F64).unwrap(), step);
                    let x: Vec<f64> = x.iter().zip(&turn).map(|(x, d)| x + step * d).collect();
                    loss(&there, tensor(&x, &input, &device)).into_scalar::<f64>()
                };
                let step = 1e-6;
                let difference = (moved(step) - moved(-step)) / (2.0 * step);
                let x = tensor(&x, &input, &device).require_grad();
                let gradients = loss(&model, x.clone()).backward();
                let by_input = x.grad(&gradients).unwrap().into_data();
                let by_input: f64 = by_input.iter::<f64>().zip(&turn).map(|(g, d)| g * d).sum();
                let exact = by_input + direction.derivative(&model, &gradients);
                assert!((difference - exact).abs() < 1e-7 * (1.0 + exact.abs()), "{any:?}: {difference} {exact}");
            }
        }
    }
}

/// A field moved by so many points along its last axis, periodically.
fn shifted(x: &[f64], n: usize, by: usize) -> Vec<f64> {
    x.chunks_exact(n).flat_map(|line| (0..n).map(|i| line[(i + n - by) % n]).collect::<Vec<_>>()).collect()
}

#[test]
fn convolutions_commute_with_translations_by_boxes() {
    let device = Device::flex();
    for (grid, by) in [(vec![32], 8), (vec![16, 32], 8)] {
        let field = shape(1, &grid);
        let n = grid[grid.len() - 1];
        let error = |config: &AnyModelConfig, by: usize| {
            let model = model(config, &field, &field, &device);
            let x = values(1, &field);
            let moved = read(model.forward(tensor(&shifted(&x, n, by), &field, &device)));
            let expected = shifted(&read(model.forward(tensor(&x, &field, &device))), n, by);
            largest_difference(&moved, &expected)
        };
        for config in both(&MnnConfig { n_layers: 2, ..MnnConfig::default() }) {
            // A box of level 2 is a quarter of the axis.
            assert!(error(&config, by) < 1e-12, "{config:?}");
            // By half a box the tree is another.
            assert!(error(&config, by / 2) > 1e-3);
        }
        for other in [
            MnnConfig { connection: Connection::Lc, n_layers: 2, ..MnnConfig::default() },
            MnnConfig { connection: Connection::Mix, n_layers: 2, ..MnnConfig::default() },
            MnnConfig { padding: Padding::Zero, n_layers: 2, ..MnnConfig::default() },
        ] {
            assert!(both(&other).iter().all(|config| error(config, by) > 1e-3), "{other:?}");
        }
        // The plain network by any number of points.
        let plain = ConvNetConfig { hidden_channels: 4, ..ConvNetConfig::default() };
        let zero = ConvNetConfig { padding: Padding::Zero, ..plain.clone() };
        assert!(error(&AnyModelConfig::ConvNet(plain), 3) < 1e-12);
        assert!(error(&AnyModelConfig::ConvNet(zero), 3) > 1e-3);
    }
}

#[test]
fn hostile_sizes_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let device = Device::flex();
    let field = shape(1, &[16]);
    let scale = || Normalizer::new(vec![0.1], vec![1.7]).unwrap();
    let normalizers = Normalizers { input: scale(), output: scale() };
    for config in both(&MnnConfig { levels: Some(2), ..MnnConfig::default() }) {
        let model = config.build(&field, &field, 1, &device, DType::F64).unwrap();
        model_file::save(&path, &model, &normalizers, Precision::F64).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap().trim_end().to_owned();
        for (from, to) in [
            ("\\\"levels\\\":2", "\\\"levels\\\":64"),
            ("\\\"levels\\\":2", "\\\"levels\\\":4"),
            ("\\\"levels\\\":2", "\\\"levels\\\":18446744073709551615"),
            ("\\\"hidden_channels\\\":6", "\\\"hidden_channels\\\":60000"),
            ("\\\"n_layers\\\":5", "\\\"n_layers\\\":65536"),
            ("\\\"n_layers\\\":5", "\\\"n_layers\\\":1"),
            ("\\\"adjacent_band\\\":1", "\\\"adjacent_band\\\":9000000000"),
            ("\\\"coarsest_band\\\":2", "\\\"coarsest_band\\\":1"),
            ("\\\"connection\\\":\\\"conv\\\"", "\\\"connection\\\":\\\"lc\\\""),
            ("[16]", "[17179869184]"),
            ("[16]", "[65536]"),
            ("[16]", "[0]"),
        ] {
            assert!(header.contains(from), "{from} in {header}");
            let changed = header.replace(from, to);
            let mut file = (changed.len() as u64).to_le_bytes().to_vec();
            file.extend(changed.as_bytes());
            file.extend(&bytes[8 + length..]);
            std::fs::write(&path, file).unwrap();
            let error = model_file::load(&path, &device).unwrap_err().to_string();
            assert!(error.contains("model.safetensors") && !error.contains('\n'), "{to}: {error}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_name_of_the_field() {
    let device = Device::flex();
    let line = shape(1, &[320]);
    let base = MnnConfig::default();
    let cases: Vec<(MnnConfig, FieldShape, FieldShape, &[&str])> = vec![
        (base.clone(), shape(1, &[250]), shape(1, &[250]), &["model.kind", "axis 0 has 250 points", "4 boxes"]),
        (base.clone(), shape(1, &[16, 6]), shape(1, &[16, 6]), &["model.kind", "axis 1 has 6 points"]),
        (base.clone(), shape(1, &[8, 8, 8]), shape(1, &[8, 8, 8]), &["model.kind", "3 axes", "one and two"]),
        (base.clone(), line.clone(), shape(1, &[160]), &["must be the same"]),
        (MnnConfig { levels: Some(7), ..base.clone() }, line.clone(), line.clone(), &["model.levels = 7", "128 boxes"]),
        (MnnConfig { levels: Some(1), ..base.clone() }, line.clone(), line.clone(), &["model.levels = 1", "between"]),
        (MnnConfig { hidden_channels: 0, ..base.clone() }, line.clone(), line.clone(), &["model.hidden_channels = 0"]),
        (MnnConfig { n_layers: 0, ..base.clone() }, line.clone(), line.clone(), &["model.n_layers = 0"]),
        (MnnConfig { coarsest_band: 4, ..base.clone() }, line.clone(), line.clone(), &["model.coarsest_band = 4"]),
        (
            MnnConfig { band: 8, ..base.clone() },
            line.clone(),
            line.clone(),
            &["model.band = 8", "level 3", "at most 7"],
        ),
        (
            MnnConfig { adjacent_band: 64, ..base.clone() },
            line.clone(),
            line.clone(),
            &["model.adjacent_band = 64", "level 6", "at most 63"],
        ),
    ];
    for (config, input, output, parts) in cases {
        for config in both(&config) {
            let error = config.build(&input, &output, 1, &device, DType::F32).expect_err("a refusal").to_string();
            assert!(parts.iter().all(|part| error.contains(part)) && !error.contains('\n'), "{error}");
        }
    }
    // Two levels: the bands of finer ones play no part.
    let coarse = MnnConfig { levels: Some(2), band: 8, ..base };
    assert!(AnyModelConfig::MnnH2(coarse).build(&line, &line, 1, &device, DType::F32).is_ok());
    let read = |text: &str| serde_json::from_str::<AnyModelConfig>(text).map_err(|e| e.to_string());
    let config = read(r#"{"kind": "mnn-h2", "connection": "mix", "padding": "zero", "levels": 6}"#).unwrap();
    assert!(matches!(&config, AnyModelConfig::MnnH2(c) if c.connection == Connection::Mix && c.levels == Some(6)));
    for (text, part) in [
        (r#"{"kind": "mnn-h", "connection": "dense"}"#, "dense"),
        (r#"{"kind": "mnn-h2", "padding": "reflect"}"#, "reflect"),
        (r#"{"kind": "mnn-h2", "alpha": 6}"#, "alpha"),
        (r#"{"kind": "mnn-h2", "levels": -2}"#, "[model]"),
        (r#"{"kind": "conv", "connection": "lc"}"#, "connection"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
    for (kernel_size, part) in [(4, "must be odd"), (0, "must be odd"), (21, "axis 0 has 10 points")] {
        let config = AnyModelConfig::ConvNet(ConvNetConfig { kernel_size, ..ConvNetConfig::default() });
        let short = shape(1, &[10]);
        let error = config.build(&short, &short, 1, &device, DType::F32).expect_err("a refusal").to_string();
        assert!(error.contains("model.kernel_size") && error.contains(part), "{error}");
    }
}
