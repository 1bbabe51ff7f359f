//! The CPU operations against the same network made of ordinary tensor operations: values and all gradients.

use std::sync::Arc;

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use farfield_kernels::HssLayout;
use farfield_nn::config::LossKind;
use farfield_nn::{HssLayer, HssStack, LayerSpec, loss};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn spec(modes: &[(usize, usize, usize, usize)], outer_rank: usize) -> Arc<LayerSpec> {
    let modes = modes
        .iter()
        .map(|&(n_out, n_in, levels, rank)| Arc::new(HssLayout::new(n_out, n_in, levels, rank).unwrap()))
        .collect();
    Arc::new(LayerSpec::new(modes, outer_rank).unwrap())
}

/// Stacks of two layers, the last one linear in every other case.
fn stacks() -> Vec<(Vec<Arc<LayerSpec>>, usize, bool)> {
    vec![
        (vec![spec(&[(37, 50, 2, 3)], 1), spec(&[(64, 37, 3, 2)], 1)], 21, true),
        (vec![spec(&[(5, 5, 0, 0)], 1), spec(&[(9, 5, 1, 7)], 1)], 1, false),
        (vec![spec(&[(12, 12, 2, 0)], 1), spec(&[(12, 12, 2, 2)], 1)], 40, true),
        (vec![spec(&[(9, 12, 1, 2), (11, 8, 2, 1)], 3), spec(&[(9, 9, 2, 2), (11, 11, 0, 1)], 2)], 19, false),
        (vec![spec(&[(1, 1, 1, 1), (16, 16, 2, 2)], 1), spec(&[(1, 1, 0, 0), (16, 16, 2, 2)], 2)], 3, true),
        (
            vec![
                spec(&[(6, 7, 1, 2), (9, 8, 2, 1), (5, 17, 1, 1)], 2),
                spec(&[(6, 6, 2, 1), (4, 9, 0, 0), (20, 5, 1, 2)], 3),
            ],
            2,
            false,
        ),
    ]
}

fn numbers(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Largest difference over the largest magnitude.
fn difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1e-300f64, |m, x| m.max(x.abs()));
    a.iter().zip(b).fold(0.0f64, |m, (a, b)| m.max((a - b).abs())) / scale
}

type Forward = fn(&HssStack, Tensor<2>) -> Tensor<2>;

/// Loss, output, and the gradients by input, weights and slopes.
fn run(forward: Forward, fused_loss: bool, case: usize, dtype: DType) -> Vec<Vec<f64>> {
    let (specs, batch, linear_end) = &stacks()[case];
    let device = Device::flex().autodiff();
    let layers = specs.iter().enumerate().map(|(i, spec)| {
        let slope = (i + 1 < specs.len() || !linear_end).then_some(0.3);
        HssLayer::new(Arc::clone(spec), slope, 7, i as u64, &device, dtype)
    });
    let stack = HssStack::new(layers.collect());
    let mut rng = ChaCha8Rng::seed_from_u64(case as u64);
    let mut random = |points: usize| {
        let values: Vec<f64> = (0..batch * points).map(|_| rng.random_range(-1.0..1.0)).collect();
        Tensor::<2>::from_data(TensorData::new(values, [*batch, points]), (&device, dtype))
    };
    let x = random(specs[0].points_in()).require_grad();
    let target = random(specs[1].points_out());
    let y = forward(&stack, x.clone());
    let output = numbers(y.clone().flatten(0, 1));
    let points = specs[1].points_out();
    let (y, target) = (y.reshape([*batch, 1, points]), target.reshape([*batch, 1, points]));
    // (The gradient of `div_scalar` is rounded to f32, that of `mul_scalar` is not.)
    let loss = if fused_loss {
        loss::squared_error(LossKind::Sum, y, target)
    } else {
        (y - target).square().sum().mul_scalar(1.0 / *batch as f64)
    };
    let mut results = vec![output, numbers(loss.clone())];
    let gradients = loss.backward();
    results.push(numbers(x.grad(&gradients).unwrap().flatten(0, 1)));
    for layer in stack.layers() {
        results.push(numbers(layer.weights().grad(&gradients).unwrap()));
        if let Some(slope) = layer.slope() {
            results.push(numbers(slope.grad(&gradients).unwrap()));
        }
    }
    results
}

#[test]
fn values_and_gradients_agree_in_both_precisions() {
    let by_tensors: Forward = |stack, x| stack.layers().iter().fold(x, |z, layer| layer.forward(z));
    for case in 0..stacks().len() {
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
            let kernels = run(HssStack::forward, true, case, dtype);
            let tensors = run(by_tensors, false, case, dtype);
            assert_eq!(kernels.len(), tensors.len());
            for (i, (a, b)) in kernels.iter().zip(&tensors).enumerate() {
                let e = difference(a, b);
                assert!(e < tolerance, "case {case}, {dtype:?}, quantity {i}: {e:e}");
            }
        }
    }
}

#[test]
fn without_gradients_the_values_are_the_same_bits() {
    for case in 0..stacks().len() {
        let (specs, batch, _) = &stacks()[case];
        let plain = Device::flex();
        let points = specs[0].points_in();
        let values: Vec<f64> = (0..batch * points).map(|i| (i as f64 * 0.7).sin()).collect();
        let forward = |device: &Device| {
            let layers = specs
                .iter()
                .enumerate()
                .map(|(i, spec)| HssLayer::new(Arc::clone(spec), Some(0.5), 3, i as u64, device, DType::F32));
            let x = Tensor::<2>::from_data(TensorData::new(values.clone(), [*batch, points]), (device, DType::F32));
            // The input is used twice: work arrays must not be recycled under it.
            let stack = HssStack::new(layers.collect());
            let first = numbers(stack.forward(x.clone()).flatten(0, 1));
            let second = numbers(stack.forward(x).flatten(0, 1));
            assert_eq!(first, second);
            first
        };
        assert_eq!(forward(&plain), forward(&plain.clone().autodiff()));
    }
}

#[test]
fn parameters_stay_what_they_are_after_a_backward_pass() {
    let device = Device::flex().autodiff();
    let layer = HssLayer::new(spec(&[(200, 200, 2, 4)], 1), Some(1.0), 1, 0, &device, DType::F32);
    let stack = HssStack::new(vec![layer]);
    let before = numbers(stack.layers()[0].weights());
    let x = Tensor::<2>::ones([64, 200], (&device, DType::F32));
    for _ in 0..3 {
        let _ = stack.forward(x.clone()).sum().backward();
    }
    assert_eq!(numbers(stack.layers()[0].weights()), before);
    assert!(numbers(x.flatten(0, 1)).iter().all(|&v| v == 1.0));
    let _: Param<Tensor<1>> = Param::from_tensor(stack.layers()[0].weights());
}
