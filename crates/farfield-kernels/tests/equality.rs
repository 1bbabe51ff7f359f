//! Kernels against dense assembly, at shapes of every kind, on every instruction set of the machine.
//!
//! One test, because the instruction set is a setting of the process.

mod common;

use common::{Layer, difference, random, rng, to_f32};
use farfield_kernels::InstructionSet;
use rand::RngExt;

const SHAPES: u64 = 200;

#[test]
fn two_hundred_random_shapes_on_every_instruction_set() {
    for set in [InstructionSet::Avx512, InstructionSet::Avx2, InstructionSet::Portable] {
        if !set.select() {
            eprintln!("{} is not available here", set.name());
            continue;
        }
        for seed in 0..SHAPES {
            check(seed, set.name());
        }
    }
}

fn check(seed: u64, set: &str) {
    let mut rng = rng(seed);
    let layer = Layer::random(&mut rng);
    let what = format!("{set}, shape {seed}: {} axes, batch {}, {:?}", layer.modes.len(), layer.batch, layer.modes);
    let x = random(&mut rng, layer.inputs());
    let p = random(&mut rng, layer.parameters());
    let dy = random(&mut rng, layer.outputs());
    let slope = rng.random_bool(0.7).then(|| rng.random_range(-0.5..1.5));

    let pre = layer.oracle(&x, &p);
    let leaky = |x: f64| if x > 0.0 { x } else { slope.unwrap_or(1.0) * x };
    let expected: Vec<f64> = pre.iter().map(|&x| leaky(x)).collect();
    let (y, saved) = layer.forward(&x, &p, slope, true);
    assert!(difference(&y, &expected) < 1e-12, "forward, {what}");
    let (y, _) = layer.forward(&x, &p, slope, false);
    assert!(difference(&y, &expected) < 1e-12, "forward without keeping, {what}");

    // The product is affine in each parameter and each input alone, so differences over a wide step are exact.
    let dpre: Vec<f64> =
        pre.iter().zip(&dy).map(|(&x, &g)| if x > 0.0 { g } else { slope.unwrap_or(1.0) * g }).collect();
    let pairing = |x: &[f64], p: &[f64]| -> f64 { layer.oracle(x, p).iter().zip(&dpre).map(|(y, d)| y * d).sum() };
    let (dx, dp, dslope) = layer.backward(&x, &p, slope, saved.as_deref().unwrap(), &dy, true);
    let dx = dx.unwrap();
    let scale = 1.0 + dpre.iter().map(|d| d * d).sum::<f64>().sqrt() * pre.iter().map(|d| d * d).sum::<f64>().sqrt();
    for _ in 0..4 {
        if !dp.is_empty() {
            let i = rng.random_range(0..dp.len());
            let (mut a, mut b) = (p.clone(), p.clone());
            a[i] += 1.0;
            b[i] -= 1.0;
            let expected = (pairing(&x, &a) - pairing(&x, &b)) / 2.0;
            assert!((dp[i] - expected).abs() < 1e-11 * scale, "parameter {i}: {} {expected}, {what}", dp[i]);
        }
        if !dx.is_empty() {
            let i = rng.random_range(0..dx.len());
            let (mut a, mut b) = (x.clone(), x.clone());
            a[i] += 1.0;
            b[i] -= 1.0;
            let expected = (pairing(&a, &p) - pairing(&b, &p)) / 2.0;
            assert!((dx[i] - expected).abs() < 1e-11 * scale, "input {i}: {} {expected}, {what}", dx[i]);
        }
    }
    // All entries at once: <dp, q> and <dx, q> for a random direction.
    if layer.outer_rank == 1 && layer.modes.len() == 1 && layer.modes[0].levels() == 0 {
        let q = random(&mut rng, p.len());
        let expected = pairing(&x, &q);
        let got: f64 = dp.iter().zip(&q).map(|(a, b)| a * b).sum();
        assert!((got - expected).abs() < 1e-11 * scale, "directional, {what}");
    }
    let q = random(&mut rng, x.len());
    let got: f64 = dx.iter().zip(&q).map(|(a, b)| a * b).sum();
    assert!((got - pairing(&q, &p)).abs() < 1e-11 * scale, "input gradient, {what}");
    // Euler: each term is homogeneous of degree one in D alone and so on; the slope's gradient is plain.
    let expected: f64 = match slope {
        Some(_) => pre.iter().zip(&dy).filter(|(x, _)| **x <= 0.0).map(|(x, g)| x * g).sum(),
        None => 0.0,
    };
    assert!((dslope - expected).abs() < 1e-11 * scale, "slope: {dslope} {expected}, {what}");
    let (none, dp2, _) = layer.backward(&x, &p, slope, saved.as_deref().unwrap(), &dy, false);
    assert!(none.is_none() && dp2 == dp, "without the input gradient, {what}");

    // The same in f32.
    let (x32, p32, s32) = (to_f32(&x), to_f32(&p), slope.map(|s| s as f32));
    let (y, saved) = layer.forward(&x32, &p32, s32, true);
    let size = 1.0 + pre.iter().fold(0.0f64, |m, y| m.max(y.abs()));
    let expected: Vec<f64> = pre.iter().map(|&x| leaky(x)).collect();
    assert!(difference(&y, &expected) < 1e-4, "f32 forward, {what}");
    let (dx32, dp32, _) = layer.backward(&x32, &p32, s32, saved.as_deref().unwrap(), &to_f32(&dy), true);
    // A pre-activation within rounding of zero may fall on the other side of the kink.
    if pre.iter().all(|x| x.abs() > 1e-5 * size) || slope.is_none() {
        assert!(difference(&dx32.unwrap(), &dx) < 1e-4, "f32 input gradient, {what}");
        assert!(difference(&dp32, &dp) < 1e-4, "f32 parameter gradient, {what}");
    }
}
