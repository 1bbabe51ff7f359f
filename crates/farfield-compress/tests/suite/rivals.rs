//! Bytes and errors of the rivals.

use farfield_compress::NumberType;
use farfield_compress::rivals::{
    Channels, IndexStorage, prune, prune_together, pruned_bytes, quantise, rank_for_bytes, truncate,
};
use farfield_matrix::Matrix;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::weights::gaussian;

fn random(m: usize, n: usize) -> Matrix<f64> {
    gaussian(m, n, &mut ChaCha8Rng::seed_from_u64(4))
}

#[test]
fn truncation_has_the_error_of_the_singular_values_and_pays_for_both_factors() {
    let a = random(30, 20);
    let s = a.svd().unwrap().s;
    for rank in [0, 3, 20, 50] {
        let found = truncate(&a, rank, NumberType::F64).unwrap();
        let tail = s[rank.min(20)..].iter().map(|s| s * s).sum::<f64>().sqrt();
        assert!((found.error - tail).abs() < 1e-12 && found.bytes == rank.min(20) * 50 * 8);
    }
    assert_eq!(
        (rank_for_bytes(30, 20, NumberType::F32, 999), rank_for_bytes(30, 20, NumberType::F16, 1 << 20)),
        (4, 20)
    );
}

#[test]
fn pruning_keeps_the_largest_entries_and_pays_for_their_places() {
    let a = random(40, 50);
    let found = prune(&a, 200, NumberType::F64).unwrap();
    let mut sizes: Vec<f64> = a.to_row_major().iter().map(|x| x.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let lost = sizes[..1800].iter().map(|x| x * x).sum::<f64>().sqrt();
    assert!((found.error - lost).abs() < 1e-12);
    assert_eq!(found.dense.to_row_major().iter().filter(|x| **x != 0.0).count(), 200);
    // A bitmap takes 250 bytes, sparse rows 82 and two a number.
    assert_eq!(pruned_bytes(40, 50, 200, NumberType::F64), (200 * 8 + 250, IndexStorage::Bitmap));
    assert_eq!(pruned_bytes(40, 50, 20, NumberType::F64), (20 * 8 + 122, IndexStorage::SparseRows));
    assert_eq!(pruned_bytes(40, 50, 2000, NumberType::F32), (8000, IndexStorage::None));
    assert!(prune(&a, 2001, NumberType::F64).is_err());
}

#[test]
fn pruning_together_never_has_a_larger_error_than_layer_by_layer() {
    let weights = [random(30, 30), Matrix::from_fn(20, 20, |i, j| 0.1 * ((i * j) as f64).sin())];
    let together = prune_together(&weights, 650, NumberType::F32).unwrap();
    let kept = |m: &Matrix<f64>| m.to_row_major().iter().filter(|x| **x != 0.0).count();
    assert_eq!(kept(&together[0].dense) + kept(&together[1].dense), 650);
    let square = |errors: [f64; 2]| errors.iter().map(|e| e * e).sum::<f64>();
    let apart = [450, 200].iter().zip(&weights).map(|(&k, a)| prune(a, k, NumberType::F32).unwrap().error);
    let apart: Vec<f64> = apart.collect();
    assert!(square([together[0].error, together[1].error]) < square([apart[0], apart[1]]));
    assert!(kept(&together[0].dense) > 600);
}

#[test]
fn quantisation_errs_by_half_a_step_at_most_and_pays_for_its_scales() {
    let a = random(24, 33);
    for (bits, bytes) in [(8, 24 * 33), (4, 24 * 33 / 2)] {
        let found = quantise(&a, bits, Channels::Rows).unwrap();
        assert_eq!(found.bytes, bytes + 4 * 24);
        for i in 0..24 {
            let largest = (0..33).map(|j| a[(i, j)].abs()).fold(0.0, f64::max);
            let step = largest / f64::from((1 << (bits - 1)) - 1);
            assert!((0..33).all(|j| (a[(i, j)] - found.dense[(i, j)]).abs() <= 0.5 * step * (1.0 + 1e-5)));
        }
        let whole = quantise(&a, bits, Channels::Whole).unwrap();
        assert!(whole.error > found.error && whole.bytes == bytes + 4);
    }
    assert_eq!(quantise(&Matrix::zeros(3, 3), 4, Channels::Rows).unwrap().error, 0.0);
    assert!(quantise(&a, 1, Channels::Rows).is_err() && quantise(&a, 17, Channels::Rows).is_err());
}
