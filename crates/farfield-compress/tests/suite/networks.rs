//! The proven bound on the output of a network, against the measured difference.

use farfield_compress::{Activation, MatrixOptions, MlpLayer, compress_matrix, output_bounds};
use farfield_matrix::Matrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::weights::gaussian;

const ACTIVATIONS: [Activation; 6] = [
    Activation::Relu,
    Activation::Tanh,
    Activation::LeakyRelu(1.7),
    Activation::Sine,
    Activation::Gelu,
    Activation::Identity,
];

/// A network with weights whose singular values fall, compressed to `tolerance`.
fn network(sizes: &[usize], activation: Activation, tolerance: f64, random: &mut ChaCha8Rng) -> Vec<MlpLayer> {
    let layer = |(l, pair): (usize, &[usize])| {
        let (n, m) = (pair[0], pair[1]);
        let (u, v) = (gaussian(m, 8, random), gaussian(n, 8, random));
        let entry =
            |i, j| (0..8).map(|k| u[(i, k)] * v[(j, k)] * 0.4f64.powi(k as i32)).sum::<f64>() / (n as f64).sqrt();
        let weight = Matrix::from_fn(m, n, entry);
        let choice = compress_matrix(&weight, MatrixOptions { leaf_size: 8, ..MatrixOptions::new(tolerance) }).unwrap();
        let compressed = choice.stored.map(|(factors, certificate)| (factors, certificate.spectral.value));
        let bias = if l % 2 == 0 { (0..m).map(|i| 0.1 * (i as f64).sin()).collect() } else { Vec::new() };
        MlpLayer { weight, compressed, bias, activation }
    };
    sizes.windows(2).enumerate().map(layer).collect()
}

#[test]
fn the_bound_is_never_exceeded() {
    let mut compressed = 0;
    for seed in 0..60u64 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let activation = ACTIVATIONS[(seed % 6) as usize];
        let tolerance = [0.3, 1e-2, 1e-4, 1e-13][(seed / 6 % 4) as usize];
        let mut layers = network(&[24, 48, 40, 48, 5], activation, tolerance, &mut random);
        layers[3].activation = Activation::Identity;
        compressed += layers.iter().filter(|layer| layer.compressed.is_some()).count();
        let scale = 10f64.powi(random.random_range(-3..3));
        let inputs = gaussian(24, 20, &mut random);
        let inputs = Matrix::from_fn(24, 20, |i, j| scale * inputs[(i, j)]);
        for (j, input) in output_bounds(&layers, &inputs).unwrap().iter().enumerate() {
            for (l, found) in input.iter().enumerate() {
                assert!(found.measured <= found.bound, "{seed} {activation:?} input {j} layer {l}: {found:?}");
            }
        }
    }
    assert!(compressed > 120, "{compressed}");
}

#[test]
fn the_bound_of_a_linear_layer_is_sharp_and_smaller_than_a_product_of_norms() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    // One layer of rank one with the error along its input: the bound is reached.
    let (kept, _) =
        compress_matrix(&Matrix::from_fn(40, 40, |_, _| 1.0), MatrixOptions::new(0.1)).unwrap().stored.unwrap();
    let ones = Matrix::from_fn(40, 40, |_, _| 1.0 + 1e-3);
    let layer = |weight, compressed| MlpLayer { weight, compressed, bias: vec![], activation: Activation::Identity };
    let layers = [layer(ones, Some((kept, 0.04 * (1.0 + 1e-9))))];
    let found = output_bounds(&layers, &Matrix::from_fn(40, 1, |_, _| 1.0)).unwrap()[0][0];
    assert!(found.measured > 0.999 * found.bound && found.measured <= found.bound, "{found:?}");

    // With ReLU the true activations are smaller than the norms allow.
    let layers = network(&[24, 48, 48, 48, 5], Activation::Relu, 1e-3, &mut random);
    let inputs = gaussian(24, 1, &mut random);
    let found = *output_bounds(&layers, &inputs).unwrap()[0].last().unwrap();
    let (mut size, mut error) = (inputs.norm_frobenius(), 0.0);
    for layer in &layers {
        let (norm, t) = (layer.weight.svd().unwrap().s[0], layer.compressed.as_ref().map_or(0.0, |c| c.1));
        error = t * size + (norm + t) * error;
        size = norm * size + layer.bias.iter().map(|b| b * b).sum::<f64>().sqrt();
    }
    assert!(found.bound < 0.7 * error, "{} {error}", found.bound);
}

#[test]
fn slopes_are_at_most_the_lipschitz_constants() {
    for activation in ACTIVATIONS {
        let steepest = (-4000..4000).map(|k| {
            let (x, y) = (k as f64 * 2e-3, (k + 1) as f64 * 2e-3);
            (activation.apply(x) - activation.apply(y)).abs() / (y - x)
        });
        let steepest = steepest.fold(0.0, f64::max);
        assert!(
            steepest <= activation.lipschitz() * (1.0 + 1e-9) && steepest > 0.99 * activation.lipschitz().min(1.125),
            "{activation:?} {steepest}"
        );
    }
}

#[test]
fn layers_that_do_not_fit_are_errors() {
    let layers = network(&[4, 5, 6], Activation::Tanh, 0.1, &mut ChaCha8Rng::seed_from_u64(1));
    assert!(output_bounds(&layers, &Matrix::zeros(5, 1)).is_err());
    let mut bad = layers.clone();
    bad[0].bias = vec![0.0; 4];
    assert!(output_bounds(&bad, &Matrix::zeros(4, 1)).unwrap_err().to_string().contains("bias of a layer"));
    assert!(output_bounds(&layers[1..], &Matrix::zeros(4, 1)).is_err());
}
