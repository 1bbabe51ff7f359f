//! Kernel functions and kernel matrices against the standard library.

use std::sync::Arc;

use farfield_matrix::{AtZero, Entries, Kernel, KernelMatrix, MatrixError, Points};

const NAMES: [&str; 13] = [
    "laplace3d",
    "laplace2d",
    "inverse",
    "log",
    "helmholtz3d:12.5",
    "gaussian:0.5",
    "exponential:2",
    "matern12",
    "matern32:0.7",
    "matern52:0.7",
    "inverse-multiquadric:1.5",
    "multiquadric:0.25",
    "shifted-laplace3d:0.001",
];

fn cloud(dim: usize, n: usize, seed: usize) -> Arc<Points> {
    let x = (0..dim * n).map(|i| ((i + 1 + 1000 * seed) as f64 * 0.754_877_666_246_693).fract()).collect();
    Arc::new(Points::new(dim, x).unwrap())
}

fn distance(x: &Points, i: usize, y: &Points, j: usize) -> f64 {
    x.point(i).iter().zip(y.point(j)).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

#[test]
fn blocks_of_every_kernel_are_its_function_of_the_distance() {
    for name in NAMES {
        let kernel: Kernel = name.parse().unwrap();
        for dim in 1..=4 {
            let (x, y) = (cloud(dim, 23, 0), cloud(dim, 31, 1));
            let a = KernelMatrix::<f64>::new(kernel.clone(), x.clone(), y.clone(), AtZero::Formula).unwrap();
            let single = KernelMatrix::<f32>::new(kernel.clone(), x.clone(), y.clone(), AtZero::Formula).unwrap();
            let (rows, cols) = ([3, 0, 22, 7, 7], [30, 2, 5]);
            let (mut block, mut coarse) = ([0.0; 15], [0.0f32; 15]);
            a.block(&rows, &cols, &mut block);
            single.block(&rows, &cols, &mut coarse);
            for (k, (&fine, &coarse)) in block.iter().zip(&coarse).enumerate() {
                let (i, j) = (rows[k % 5], cols[k / 5]);
                let want = kernel.at(distance(&x, i, &y, j));
                // The cosine and the logarithm pass through zero.
                let size = want.abs().max(
                    if matches!(kernel, Kernel::Helmholtz3d { .. } | Kernel::Logarithm | Kernel::Laplace2d) {
                        1.0
                    } else {
                        0.0
                    },
                );
                assert!((fine - want).abs() <= 2e-14 * size, "{name} in {dim}: {fine}, not {want}");
                assert!((f64::from(coarse) - want).abs() <= 2e-4 * size, "{name} in {dim}, f32: {coarse}, not {want}");
                assert_eq!(a.entry(i, j), want);
            }
        }
    }
}

#[test]
fn names_are_read_and_written() {
    for name in NAMES {
        let kernel: Kernel = name.parse().unwrap();
        let again: Kernel = kernel.to_string().parse().unwrap();
        assert_eq!(again.to_string(), kernel.to_string());
        assert_eq!(again.at(0.3), kernel.at(0.3));
    }
    for bad in [
        "",
        "laplace",
        "gaussian:0",
        "gaussian:-1",
        "gaussian:x",
        "helmholtz3d",
        "matern32:inf",
        "inverse:2",
        "helmholtz3d:-1",
        "shifted-laplace3d",
    ] {
        assert!(matches!(bad.parse::<Kernel>(), Err(MatrixError::Option { .. })), "{bad}");
    }
}

#[test]
fn distance_zero_is_an_error_a_value_or_softened() {
    let mut x = cloud(3, 10, 0).coordinates().to_vec();
    let again = x[6..9].to_vec();
    x.extend(again); // point 10 is point 2
    let points = Arc::new(Points::new(3, x).unwrap());
    let singular = ["laplace3d", "laplace2d", "inverse", "log", "helmholtz3d:2"];
    for name in NAMES {
        let kernel: Kernel = name.parse().unwrap();
        assert_eq!(
            kernel.is_singular(),
            singular.iter().any(|s| s.split(':').next() == name.split(':').next()),
            "{name}"
        );
        let build = |at_zero| KernelMatrix::<f64>::new(kernel.clone(), points.clone(), points.clone(), at_zero);
        match build(AtZero::Formula) {
            Ok(a) => {
                assert!(!kernel.is_singular() && (a.entry(2, 10) - kernel.at(0.0)).abs() <= 1e-15 * kernel.at(0.0))
            }
            Err(error) => {
                assert!(kernel.is_singular());
                assert!(error.to_string().contains("row point 0 coincides with a column point"), "{error}");
            }
        }
        let a = build(AtZero::Value(7.5)).unwrap();
        assert_eq!((a.entry(2, 10), a.entry(3, 3), a.entry(10, 2)), (7.5, 7.5, 7.5));
        assert!((a.entry(0, 1) - kernel.at(distance(&points, 0, &points, 1))).abs() < 1e-13);
        let soft = build(AtZero::Softened(0.5)).unwrap();
        assert!((soft.entry(2, 10) - kernel.at(0.5)).abs() < 1e-14 * (1.0 + kernel.at(0.5).abs()));
        let r = distance(&points, 0, &points, 1);
        assert!((soft.entry(0, 1) - kernel.at(r.hypot(0.5))).abs() < 1e-13);
        assert!(build(AtZero::Value(f64::NAN)).is_err() && build(AtZero::Softened(0.0)).is_err());
    }
    // Zeros of both signs are one place.
    let (a, b) = (Points::new(1, vec![0.0]).unwrap(), Points::new(1, vec![-0.0]).unwrap());
    assert!(KernelMatrix::<f64>::new(Kernel::Logarithm, Arc::new(a), Arc::new(b), AtZero::Formula).is_err());
}

#[test]
fn custom_functions_and_points_that_do_not_fit() {
    let (x, y) = (cloud(2, 9, 0), cloud(2, 4, 1));
    let kernel = Kernel::Custom(Arc::new(|r| (3.0 * r).sin()));
    let a = KernelMatrix::<f64>::new(kernel, x.clone(), y.clone(), AtZero::Formula).unwrap();
    assert!((a.entry(8, 3) - (3.0 * distance(&x, 8, &y, 3)).sin()).abs() < 1e-15);
    assert!(!a.is_symmetric());
    let error = KernelMatrix::<f64>::new(Kernel::Logarithm, x.clone(), cloud(3, 2, 1), AtZero::Formula).unwrap_err();
    assert_eq!(error.to_string(), "points: rows in 2 dimensions, columns in 3");
    let bad = Kernel::Gaussian { length: -1.0 };
    assert!(matches!(KernelMatrix::<f64>::new(bad, x.clone(), y, AtZero::Formula), Err(MatrixError::Option { .. })));
    let again = Points::new(2, x.coordinates().to_vec()).unwrap();
    let kernel = KernelMatrix::<f64>::new("gaussian".parse().unwrap(), x, Arc::new(again), AtZero::Formula).unwrap();
    assert!(kernel.is_symmetric());
}
