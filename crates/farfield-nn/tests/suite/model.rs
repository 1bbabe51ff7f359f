//! The model: parameter counts of the paper, composition, gradients, fused kernels against tensor operations, matrices.

use burn::tensor::{DType, Device, Tensor, TensorData};
use farfield_data::FieldShape;
use farfield_matrix::{LinearOperator, Matrix};
use farfield_nn::config::{LossKind, MapKind, ModelConfig, ModelKind};
use farfield_nn::loss::{slope_penalty, squared_error};
use farfield_nn::optimizer::{ModelGradients, clip_factor};
use farfield_nn::parameters::{NamedTensor, export, import};
use farfield_nn::presets::{PaperTable, preset};
use farfield_nn::{Model, NeuralHss};

fn build(config: &ModelConfig, input: &FieldShape, output: &FieldShape, device: &Device, dtype: DType) -> NeuralHss {
    NeuralHss::new(config, input, output, 7, device, dtype).unwrap()
}

fn field<const D: usize>(shape: [usize; D], seed: f64, device: &Device, dtype: DType) -> Tensor<D> {
    let n: usize = shape.iter().product();
    let values: Vec<f64> = (0..n).map(|i| (i as f64 * 0.737 + seed).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), (device, dtype))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

fn close(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1e-300f64, |m, v| m.max(v.abs()));
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= tolerance * scale, "{a} {b}");
    }
}

#[test]
fn parameters_are_counted_as_in_the_paper() {
    let line = FieldShape::new(1, &[256]);
    let device = Device::flex();
    let count =
        |config: &ModelConfig, field: &FieldShape| build(config, field, field, &device, DType::F32).num_parameters();
    // Heat: 9 424 a layer and one slope; with an HSS projection the 37.7 K of four layers.
    let hss = |table| preset(table, "neural-hss").unwrap().0.neural_hss().unwrap().clone();
    let heat = hss(PaperTable::Table3);
    assert_eq!(count(&heat, &line), 3 * 9424 + 3);
    let projected = ModelConfig { project: MapKind::Hss, ..heat.clone() };
    assert_eq!(count(&projected, &line), 4 * 9424 + 3);
    let both = ModelConfig { lift: MapKind::Hss, ..projected };
    assert_eq!(count(&both, &line), 5 * 9424 + 3);
    assert_eq!(hss(PaperTable::Table9), heat);
    // Burgers: the paper says 1.5 M.
    let burgers = hss(PaperTable::Table4);
    let layer = 8 * (128 * 128 + 2 * 128 * 32) + (2 + 4) * 8 * 32 * 32 + 4 * 32 * 32;
    assert_eq!(count(&burgers, &line), 4 * (layer + 1) + 2 * 256 * 1024);
    assert_eq!(count(&burgers, &line) / 10_000, 152);
    let poisson_2d = hss(PaperTable::Table5);
    assert_eq!(count(&poisson_2d, &FieldShape::new(1, &[64, 64])), 3 * (21_760 + 1));
    let poisson_3d = hss(PaperTable::Table8);
    let axis = 4 * (32 * 32 + 2 * 32 * 4) + 2 * 8 * 16 + 4 * 16;
    assert_eq!(count(&poisson_3d, &FieldShape::new(1, &[128; 3])), 2 * 3 * axis + 1);
}

fn many() -> Vec<(ModelConfig, FieldShape, FieldShape)> {
    let base = ModelConfig { levels: 2, rank: 2, depth: 2, slope_init: 0.4, ..ModelConfig::default() };
    let line = |n| FieldShape::new(1, &[n]);
    let plane = FieldShape::new(1, &[6, 9]);
    let space = FieldShape::new(1, &[4, 5, 3]);
    vec![
        (base.clone(), line(16), line(16)),
        (base.clone(), line(21), line(21)),
        (base.clone(), line(1), line(1)),
        (ModelConfig { rank: 9, ..base.clone() }, line(16), line(16)),
        (ModelConfig { levels: 0, ..base.clone() }, line(7), line(7)),
        (ModelConfig { kind: ModelKind::BlockDiagonal, ..base.clone() }, line(16), line(16)),
        (ModelConfig { kind: ModelKind::Dense, ..base.clone() }, line(16), line(16)),
        (ModelConfig { outer_rank: 2, ..base.clone() }, line(16), line(16)),
        (ModelConfig { outer_rank: 2, ..base.clone() }, plane.clone(), plane.clone()),
        (ModelConfig { outer_rank: 2, levels: 1, ..base.clone() }, space.clone(), space),
        (
            ModelConfig { embedding: Some(vec![12]), lift: MapKind::Hss, project: MapKind::Hss, ..base.clone() },
            line(8),
            line(10),
        ),
        (
            ModelConfig { embedding: Some(vec![8, 5]), lift: MapKind::Full, project: MapKind::Hss, ..base.clone() },
            plane.clone(),
            FieldShape::new(1, &[4, 4]),
        ),
        (
            ModelConfig {
                embedding: Some(vec![8]),
                lift: MapKind::Tensor,
                project: MapKind::Tensor,
                lift_rank: 3,
                ..base
            },
            FieldShape::new(2, &[6]),
            FieldShape::new(3, &[5]),
        ),
    ]
}

#[test]
fn the_fused_stack_equals_tensor_operations_with_gradients() {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
        for (config, input, output) in many() {
            for batch in [1, 3, 17] {
                let plain = Device::flex();
                let device = plain.clone().autodiff();
                let model = build(&config, &input, &output, &device, dtype);
                let points = model.stack().layers()[0].spec().points_in();
                let x = field([batch, points], 0.3, &plain, dtype);
                let stack = model.stack();
                let gradients = |fused: bool| {
                    let x = x.clone().autodiff().require_grad();
                    let y = if fused { stack.forward(x.clone()) } else { stack.forward_by_tensor_ops(x.clone()) };
                    let weight = field(y.dims(), 1.1, &plain, dtype);
                    let mut grads = (y.clone() * weight.autodiff()).sum().backward();
                    let mut all = vec![values(y), values(x.grad_remove(&mut grads).unwrap())];
                    for layer in stack.layers() {
                        all.push(values(layer.weights().grad_remove(&mut grads).unwrap()));
                        all.extend(layer.slope().map(|s| values(s.grad_remove(&mut grads).unwrap())));
                    }
                    all
                };
                for (a, b) in gradients(true).iter().zip(&gradients(false)) {
                    close(a, b, tolerance);
                }
                // Without autodiff.
                let valid = burn::module::Module::valid(&model);
                let y = valid.stack().forward(x.clone());
                close(&values(y), &values(valid.stack().forward_by_tensor_ops(x)), tolerance);
            }
        }
    }
}

/// Sets one number of one parameter.
fn with(model: &NeuralHss, name: &str, index: usize, value: f64) -> NeuralHss {
    let mut tensors = export(model);
    for NamedTensor { name: n, data } in &mut tensors {
        if n == name {
            let mut all: Vec<f64> = data.iter().collect();
            all[index] = value;
            *data = TensorData::new(all, data.shape().clone());
        }
    }
    import(model.clone(), tensors).unwrap()
}

#[test]
fn gradients_of_the_objective_equal_central_differences() {
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    for (config, input, output) in many() {
        let model = build(&config, &input, &output, &device, DType::F64);
        let x = field([2, input.channels, input.points()], 0.2, &plain, DType::F64).autodiff();
        let y = field([2, output.channels, output.points()], 2.2, &plain, DType::F64).autodiff();
        let objective = |m: &NeuralHss| {
            let loss = squared_error(LossKind::Mean, m.forward(x.clone()), y.clone());
            loss + slope_penalty(0.7, m).unwrap()
        };
        let mut gradients = objective(&model).backward();
        struct Collect<'a>(&'a mut burn::tensor::Gradients, Vec<Vec<f64>>);
        impl burn::module::ModuleVisitor for Collect<'_> {
            fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
                self.1.push(values(param.val().grad_remove(self.0).unwrap()));
            }
        }
        let mut collect = Collect(&mut gradients, Vec::new());
        burn::module::Module::visit(&model, &mut collect);
        let parameters = export(&model);
        assert_eq!(collect.1.len(), parameters.len());
        for (gradient, parameter) in collect.1.iter().zip(&parameters) {
            let now: Vec<f64> = parameter.data.iter().collect();
            for index in (0..now.len()).step_by(1 + now.len() / 4) {
                let h = 1e-6;
                let value = |v: f64| objective(&with(&model, &parameter.name, index, v)).into_scalar::<f64>();
                let difference = (value(now[index] + h) - value(now[index] - h)) / (2.0 * h);
                let error = (gradient[index] - difference).abs();
                assert!(error < 1e-8 * (1.0 + difference.abs()), "{} {index}: {error}", parameter.name);
            }
        }
    }
}

#[test]
fn a_linear_network_is_one_matrix() {
    let device = Device::flex();
    let line = FieldShape::new(1, &[18]);
    let base = ModelConfig { levels: 2, rank: 2, depth: 3, ..ModelConfig::default() };
    for (config, output) in [
        (base.clone(), line.clone()),
        (
            ModelConfig { embedding: Some(vec![12]), lift: MapKind::Hss, project: MapKind::Hss, ..base.clone() },
            FieldShape::new(1, &[9]),
        ),
    ] {
        let model = build(&config, &line, &output, &device, DType::F64);
        let matrix = model.to_matrix().unwrap();
        assert_eq!((matrix.ncols(), matrix.nrows()), (18, output.points()));
        assert_eq!(matrix.rank(), 2 * model.stack().layers().len());
        let x = field([3, 1, 18], 0.1, &device, DType::F64);
        let expected = values(model.forward(x.clone()));
        for (x, y) in values(x).chunks(18).zip(expected.chunks(output.points())) {
            let product = matrix.apply(&Matrix::from_vector(x)).unwrap();
            close(product.col(0), y, 1e-12);
        }
    }
    let bent = ModelConfig { slope_init: 0.5, ..base.clone() };
    let error = build(&bent, &line, &line, &device, DType::F64).to_matrix().unwrap_err().to_string();
    assert!(error.contains("slope of layer 0 is 0.5"), "{error}");
    let full = ModelConfig { project: MapKind::Full, ..base.clone() };
    assert!(build(&full, &line, &line, &device, DType::F64).to_matrix().is_err());
    let plane = FieldShape::new(1, &[6, 6]);
    assert!(build(&base, &plane, &plane, &device, DType::F64).to_matrix().is_err());
}

#[test]
fn clipping_is_by_the_norm_of_all_parameters_together() {
    let device = Device::flex().autodiff();
    let line = FieldShape::new(1, &[16]);
    for dtype in [DType::F64, DType::F32] {
        let config = ModelConfig { levels: 1, slope_init: 0.5, ..ModelConfig::default() };
        let model = build(&config, &line, &line, &device, dtype);
        let x = field([4, 1, 16], 0.2, &device, dtype);
        let loss = squared_error(LossKind::Sum, model.forward(x.clone()), x);
        let gradients = loss.backward();
        let mut squares = 0.0;
        for layer in model.stack().layers() {
            for tensor in [layer.weights(), layer.slope().unwrap()] {
                squares += values(tensor.grad(&gradients).unwrap()).iter().map(|g| g * g).sum::<f64>();
            }
        }
        let taken = ModelGradients::take(&model, gradients);
        let (norm, value) = taken.norm_and_loss(loss.clone());
        assert!((norm / squares.sqrt() - 1.0).abs() < 1e-12);
        assert_eq!(value, loss.into_scalar::<f64>());
        assert!((norm * clip_factor(norm, 0.25) - 0.25).abs() < 1e-12);
        assert_eq!((clip_factor(norm, 2.0 * norm), clip_factor(norm, 0.0)), (1.0, 1.0));
    }
}

#[test]
fn weights_depend_on_the_seed_only() {
    let line = FieldShape::new(1, &[16]);
    let draw = |seed, dtype| {
        let model = NeuralHss::new(&ModelConfig::default(), &line, &line, seed, &Device::flex(), dtype).unwrap();
        export(&model).into_iter().flat_map(|t| t.data.iter::<f64>().collect::<Vec<_>>()).collect::<Vec<f64>>()
    };
    let double = draw(1, DType::F64);
    assert_eq!(double, draw(1, DType::F64));
    assert_ne!(double, draw(2, DType::F64));
    let rounded: Vec<f64> = double.iter().map(|&v| f64::from(v as f32)).collect();
    assert_eq!(rounded, draw(1, DType::F32));
}
