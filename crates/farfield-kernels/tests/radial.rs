//! Kernel functions on blocks of points against scalar code, on every instruction set of the machine.

use farfield_kernels::{InstructionSet, PointCloud, Profile, Radial, Scalar, Stored};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Mutex;

/// The instruction set is one of the process.
static SELECTED: Mutex<()> = Mutex::new(());

const PROFILES: [Profile; 10] = [
    Profile::Inverse,
    Profile::ShiftedInverse { shift: 1e-8 },
    Profile::Logarithm,
    Profile::CosineOverDistance { wave_number: 7.5 },
    Profile::Gaussian { a: 0.7 },
    Profile::Exponential { a: 1.3 },
    Profile::Matern32 { a: 2.0 },
    Profile::Matern52 { a: 2.0 },
    Profile::InverseMultiquadric { a: 1.0 },
    Profile::Multiquadric { a: 3.0 },
];

/// The value and the size that its error is measured against.
fn scalar(profile: Profile, r: f64) -> (f64, f64) {
    let value = match profile {
        Profile::Inverse => 1.0 / r,
        Profile::ShiftedInverse { shift } => 1.0 / (r + shift),
        Profile::Logarithm => r.ln(),
        Profile::CosineOverDistance { wave_number } => (wave_number * r).cos() / r,
        Profile::Gaussian { a } => (-a * r * r).exp(),
        Profile::Exponential { a } => (-a * r).exp(),
        Profile::Matern32 { a } => (1.0 + a * r) * (-a * r).exp(),
        Profile::Matern52 { a } => (1.0 + a * r + (a * r).powi(2) / 3.0) * (-a * r).exp(),
        Profile::InverseMultiquadric { a } => 1.0 / (1.0 + a * r * r).sqrt(),
        Profile::Multiquadric { a } => (1.0 + a * r * r).sqrt(),
    };
    // The argument of the function is rounded before the function is taken.
    let condition = match profile {
        Profile::CosineOverDistance { wave_number } => (1.0 + wave_number * r) / r,
        Profile::Gaussian { a } => value * (1.0 + a * r * r),
        Profile::Exponential { a } | Profile::Matern32 { a } | Profile::Matern52 { a } => value * (1.0 + a * r),
        Profile::Logarithm => value.abs().max(0.5),
        _ => value.abs(),
    };
    (value, condition)
}

fn on_every_instruction_set(test: impl Fn()) {
    let _guard = SELECTED.lock().unwrap();
    for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
        if set.select() {
            test();
        }
    }
    InstructionSet::best().select();
}

fn cloud<T: Scalar>(dim: usize, len: usize, rng: &mut impl Rng) -> PointCloud<T> {
    let x: Vec<f64> = (0..dim * len).map(|_| rng.random_range(-1.0..1.0)).collect();
    PointCloud::new(dim, len, |i, k| T::from_f64(x[dim * i + k]))
}

fn distance<T: Scalar>(x: &PointCloud<T>, i: usize, y: &PointCloud<T>, j: usize) -> f64 {
    let d = |k: usize| x.coordinate(i, k).to_f64() - y.coordinate(j, k).to_f64();
    (0..x.dim()).map(|k| d(k) * d(k)).sum::<f64>().sqrt()
}

/// Blocks and products of any shape, in units of the precision.
fn check<T: Scalar>(epsilon: f64) {
    on_every_instruction_set(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (dim, m, n) in
            [(1, 37, 5), (2, 64, 131), (3, 83, 40), (3, 1, 1), (4, 9, 17), (3, 7, 300), (3, 0, 4), (9, 20, 3)]
        {
            let (x, y) = (cloud::<T>(dim, m + 3, &mut rng), cloud::<T>(dim, n, &mut rng));
            let q: Vec<T> = (0..m + n).map(|_| T::from_f64(rng.random_range(-1.0..1.0))).collect();
            for profile in PROFILES {
                let radial = Radial { profile, scale: 1.75, softening: 0.0, at_zero: Some(0.0) };
                let rows = x.range(2..m + 2);
                let mut block = vec![T::ZERO; m * n];
                radial.block(rows, y.all(), &mut block).unwrap();
                let (mut forward, mut back) = (vec![T::ONE; m], vec![T::ONE; n]);
                let (mut sizes, mut back_sizes) = (vec![1.0; m], vec![1.0; n]);
                let (mut expected, mut back_expected) = (vec![1.0; m], vec![1.0; n]);
                for i in 0..m {
                    for j in 0..n {
                        let (value, size) = scalar(profile, distance(&x, i + 2, &y, j));
                        let error = (block[i + j * m].to_f64() - 1.75 * value).abs();
                        assert!(error <= 12.0 * epsilon * size, "{profile:?} in {dim}: {value} off by {error:e}");
                        expected[i] += 1.75 * value * q[m + j].to_f64();
                        back_expected[j] += 1.75 * value * q[i].to_f64();
                        sizes[i] += 2.0 * size;
                        back_sizes[j] += 2.0 * size;
                    }
                }
                radial.add_both_products((rows, &q[..m], &mut forward), (y.all(), &q[m..], &mut back)).unwrap();
                let mut single = vec![T::ONE; m];
                radial.add_product(rows, y.all(), &q[m..], &mut single).unwrap();
                for ((got, want), size) in forward
                    .iter()
                    .chain(&back)
                    .zip(expected.iter().chain(&back_expected))
                    .zip(sizes.iter().chain(&back_sizes))
                {
                    assert!((got.to_f64() - want).abs() <= 20.0 * epsilon * size, "{profile:?}: {got:?}, {want}");
                }
                for ((got, want), size) in single.iter().zip(&expected).zip(&sizes) {
                    assert!((got.to_f64() - want).abs() <= 20.0 * epsilon * size, "{profile:?}: {got:?}, {want}");
                }
            }
        }
    });
}

#[test]
fn blocks_and_products_agree_with_scalar_functions_in_double_precision() {
    check::<f64>(f64::EPSILON);
}

#[test]
fn blocks_and_products_agree_with_scalar_functions_in_single_precision() {
    check::<f32>(f64::from(f32::EPSILON));
}

/// From 1e-100 to the far end of the exponential, in one dimension, where the distance is exact.
#[test]
fn elementary_functions_over_their_whole_range() {
    on_every_instruction_set(|| {
        let r: Vec<f64> =
            (0..4000).map(|i| 10f64.powf(-100.0 + 0.0255 * f64::from(i))).chain([1.0, 0.5, 2.0]).collect();
        let x = PointCloud::new(1, r.len(), |i, _| r[i]);
        let origin = PointCloud::new(1, 1, |_, _| 0.0);
        for profile in PROFILES {
            let radial = Radial { profile, scale: 1.0, softening: 0.0, at_zero: None };
            let mut values = vec![0.0; r.len()];
            radial.block(x.all(), origin.all(), &mut values).unwrap();
            for (&r, &got) in r.iter().zip(&values) {
                let (want, size) = scalar(profile, r);
                let tiny = if want.abs() < 1e-300 { 1e-300 } else { 0.0 };
                assert!(
                    (got - want).abs() <= 4.0 * f64::EPSILON * size + tiny,
                    "{profile:?} at {r:e}: {got:e}, not {want:e}"
                );
            }
        }
    });
}

#[test]
fn distance_zero_has_the_stated_value() {
    on_every_instruction_set(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let x = cloud::<f64>(3, 21, &mut rng);
        for profile in PROFILES {
            let radial = Radial { profile, scale: 2.0, softening: 0.0, at_zero: Some(-4.0) };
            let mut block = vec![0.0; 21 * 21];
            radial.block(x.all(), x.all(), &mut block).unwrap();
            assert!((0..21).all(|i| block[22 * i] == -4.0));
            // One row at a time reads beyond it: the next points coincide with columns.
            let (mut to, mut back) = (vec![0.0; 3], vec![0.0; 21]);
            let far = Radial { at_zero: None, ..radial };
            let (a, b) = (x.range(0..3), x.range(3..21));
            far.add_both_products((a, &[1.0; 3], &mut to), (b, &[1.0; 18], &mut back[3..])).unwrap();
            assert!(to.iter().chain(&back).all(|x| x.is_finite()));
            let soft = Radial { softening: 0.25, at_zero: None, ..radial };
            soft.block(x.all(), x.all(), &mut block).unwrap();
            assert!((block[0] - 2.0 * scalar(profile, 0.5).0).abs() <= 1e-14);
        }
        for (profile, value) in [
            (Profile::Gaussian { a: 1.0 }, 1.0),
            (Profile::Exponential { a: 1.0 }, 1.0),
            (Profile::Matern52 { a: 1.0 }, 1.0),
        ] {
            let radial = Radial { profile, scale: 1.0, softening: 0.0, at_zero: None };
            let mut entry = [0.0];
            radial.block(x.range(4..5), x.range(4..5), &mut entry).unwrap();
            assert_eq!(entry, [value]);
        }
        // Products keep the value of regular functions at zero, in whole vectors and in what is left of them.
        for profile in [
            Profile::Gaussian { a: 1.0 },
            Profile::InverseMultiquadric { a: 1.0 },
            Profile::ShiftedInverse { shift: 0.5 },
        ] {
            let radial = Radial { profile, scale: 3.0, softening: 0.0, at_zero: None };
            let mut block = vec![0.0; 21 * 21];
            radial.block(x.all(), x.all(), &mut block).unwrap();
            let mut sums = vec![0.0; 21];
            radial.add_product(x.all(), x.all(), &[1.0; 21], &mut sums).unwrap();
            for (j, sum) in sums.iter().enumerate() {
                assert!((sum - block[21 * j..21 * (j + 1)].iter().sum::<f64>()).abs() < 1e-12);
            }
            assert!((block[0] - 3.0 * scalar(profile, 0.0).0).abs() < 1e-14);
        }
    });
}

#[test]
fn stored_blocks_in_both_precisions() {
    on_every_instruction_set(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for (m, n) in [(1, 1), (7, 9), (8, 4), (83, 61), (16, 0), (0, 3)] {
            let b: Vec<f64> = (0..m * n).map(|_| f64::from(rng.random_range(-1.0f32..1.0))).collect();
            let single: Vec<f32> = b.iter().map(|&x| x as f32).collect();
            let q: Vec<f64> = (0..m + n).map(|_| rng.random_range(-1.0..1.0)).collect();
            for stored in [Stored::Full(&b), Stored::Single(&single)] {
                let (mut y, mut z) = (vec![0.5; m], vec![0.5; n]);
                stored.add_products((m, n), Some((&q[m..], &mut y)), Some((&q[..m], &mut z))).unwrap();
                let (mut alone, mut back) = (vec![0.5; m], vec![0.5; n]);
                stored.add_products((m, n), Some((&q[m..], &mut alone)), None).unwrap();
                stored.add_products((m, n), None, Some((&q[..m], &mut back))).unwrap();
                for i in 0..m {
                    let want = 0.5 + (0..n).map(|j| b[i + j * m] * q[m + j]).sum::<f64>();
                    assert!((y[i] - want).abs() < 1e-13 && (alone[i] - want).abs() < 1e-13);
                }
                for j in 0..n {
                    let want = 0.5 + (0..m).map(|i| b[i + j * m] * q[i]).sum::<f64>();
                    assert!((z[j] - want).abs() < 1e-13 && (back[j] - want).abs() < 1e-13);
                }
            }
        }
        assert!(Stored::Full(&[1.0]).add_products((1, 2), None, None).is_err());
    });
}
