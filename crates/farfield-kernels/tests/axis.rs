//! Products along any axis of strided arrays, against the dense oracle; wrong shapes are errors.

mod common;

use common::{dense, difference, modal, random, rng};
use farfield_kernels::{HssLayout, LayoutError, Strided, adjoint_along_axis, apply_along_axis, gradient_along_axis};
use rand::RngExt;

#[test]
fn every_axis_of_contiguous_and_permuted_arrays() {
    let mut rng = rng(7);
    for _ in 0..60 {
        let axes = rng.random_range(1..=4usize);
        let axis = rng.random_range(0..axes);
        let mut shape: Vec<usize> = (0..axes).map(|_| rng.random_range(1..=6)).collect();
        let (n_out, n_in) = (rng.random_range(1..=20), rng.random_range(1..=20));
        shape[axis] = n_in;
        let layout = HssLayout::new(n_out, n_in, rng.random_range(0..=3), rng.random_range(0..=4)).unwrap();
        let p = random(&mut rng, layout.len());
        let x = random(&mut rng, shape.iter().product());
        let (expected, out_shape) = modal(&x, &shape, axis, &dense(&layout, &p));
        let (input, output) = (Strided::contiguous(&shape), Strided::contiguous(&out_shape));
        let mut y = vec![0.0; expected.len()];
        apply_along_axis(&layout, &p, &x, &input, &mut y, &output, axis).unwrap();
        assert!(difference(&y, &expected) < 1e-12);

        // A result stored with its axes reversed, gaps of one, and an offset.
        let mut strides = vec![0; axes];
        let mut stride = 2;
        for a in 0..axes {
            strides[a] = stride;
            stride *= out_shape[a];
        }
        let odd = Strided::new(&out_shape, &strides, 3).unwrap();
        let mut far = vec![9.0; stride + 3];
        apply_along_axis(&layout, &p, &x, &input, &mut far, &odd, axis).unwrap();
        let mut index = vec![0; axes];
        for e in &expected {
            let at = 3 + index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>();
            assert!((far[at] - e).abs() < 1e-12);
            for a in (0..axes).rev() {
                index[a] += 1;
                if index[a] < out_shape[a] {
                    break;
                }
                index[a] = 0;
            }
        }
        assert!(far.iter().step_by(2).all(|&v| v == 9.0), "the gaps are untouched");

        // <dy, A x> = <A^T dy, x> and = <gradient, p> summed over the blocks it is linear in: check single parameters.
        let dy = random(&mut rng, y.len());
        let mut dx = vec![0.0; x.len()];
        adjoint_along_axis(&layout, &p, &dy, &output, &mut dx, &input, axis).unwrap();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!((dot(&dy, &y) - dot(&dx, &x)).abs() < 1e-10 * (1.0 + dot(&dy, &y).abs()));
        let mut gradient = vec![0.0; p.len()];
        gradient_along_axis(&layout, &p, &x, &input, &dy, &output, axis, &mut gradient).unwrap();
        let i = rng.random_range(0..p.len());
        let at = |delta: f64| {
            let mut p = p.clone();
            p[i] += delta;
            dot(&modal(&x, &shape, axis, &dense(&layout, &p)).0, &dy)
        };
        let expected = (at(1.0) - at(-1.0)) / 2.0;
        assert!((gradient[i] - expected).abs() < 1e-10 * (1.0 + expected.abs() + dot(&dy, &y).abs()));
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let layout = HssLayout::new(4, 4, 1, 1).unwrap();
    let p = vec![0.0; layout.len()];
    let x = vec![0.0; 8];
    let mut y = vec![0.0; 8];
    let good = Strided::contiguous(&[2, 4]);
    let apply = |p: &[f64], x: &[f64], a: &Strided, y: &mut [f64], b: &Strided, axis| {
        apply_along_axis(&layout, p, x, a, y, b, axis).unwrap_err()
    };
    assert!(matches!(apply(&p[1..], &x, &good, &mut y, &good, 1), LayoutError::Length { .. }));
    assert!(matches!(apply(&p, &x[1..], &good, &mut y, &good, 1), LayoutError::Length { .. }));
    assert!(matches!(apply(&p, &x, &good, &mut y[1..], &good, 1), LayoutError::Length { .. }));
    assert!(matches!(apply(&p, &x, &good, &mut y, &good, 2), LayoutError::Axis { .. }));
    assert!(matches!(apply(&p, &x, &good, &mut y, &good, 0), LayoutError::Length { .. }));
    let folded = Strided::new(&[2, 4], &[0, 1], 0).unwrap();
    assert_eq!(apply(&p, &x, &good, &mut y, &folded, 1), LayoutError::Overlap);
    let endless = Strided::new(&[2, 4], &[usize::MAX, 1], 0).unwrap();
    assert!(matches!(apply(&p, &x, &endless, &mut y, &good, 1), LayoutError::Length { .. }));
    assert!(Strided::new(&[2, 4], &[1], 0).is_err());
}
