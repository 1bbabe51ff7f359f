//! The same bits on one thread and on several, for sizes that are really shared out.

mod common;

use common::{Layer, random, rng, to_f32};
use farfield_kernels::{AdamW, HssLayout, adamw_step, squared_error};

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

#[test]
fn layers_give_the_same_bits_on_1_2_and_3_threads() {
    let layout = |n_out, n_in, levels, rank| HssLayout::new(n_out, n_in, levels, rank).unwrap();
    let layers = [
        Layer { modes: vec![layout(200, 256, 3, 4)], outer_rank: 1, batch: 333 },
        Layer { modes: vec![layout(48, 41, 2, 3), layout(37, 64, 2, 2)], outer_rank: 3, batch: 100 },
        Layer {
            modes: vec![layout(40, 48, 2, 3), layout(35, 33, 1, 2), layout(50, 41, 2, 2)],
            outer_rank: 2,
            batch: 3,
        },
    ];
    for layer in layers {
        let mut rng = rng(1);
        let x = to_f32(&random(&mut rng, layer.inputs()));
        let p = to_f32(&random(&mut rng, layer.parameters()));
        let dy = to_f32(&random(&mut rng, layer.outputs()));
        let run = |threads| {
            pool(threads).install(|| {
                let (y, saved) = layer.forward(&x, &p, Some(0.3), true);
                let gradients = layer.backward(&x, &p, Some(0.3), saved.as_deref().unwrap(), &dy, true);
                (y, gradients)
            })
        };
        let one = run(1);
        for threads in [2, 3] {
            let many = run(threads);
            assert!(one.0 == many.0, "forward, {} axes", layer.modes.len());
            assert!(one.1 == many.1, "backward, {} axes", layer.modes.len());
        }
    }
}

#[test]
fn loss_and_optimiser_give_the_same_bits() {
    let n = 300_000;
    let mut rng = rng(2);
    let (a, b) = (to_f32(&random(&mut rng, n)), to_f32(&random(&mut rng, n)));
    let hyper = AdamW { learning_rate: 1e-3, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 1e-3 };
    let run = |threads| {
        pool(threads).install(|| {
            let (loss, gradient) = squared_error(0.1, &a, &b).unwrap();
            let (mut p, mut m, mut v) = (a.clone(), vec![0.0; n], vec![0.0; n]);
            adamw_step(&hyper, 3, 0.7, &mut p, &gradient, &mut m, &mut v).unwrap();
            (loss.to_bits(), p, m, v)
        })
    };
    assert!(run(1) == run(2));
}
