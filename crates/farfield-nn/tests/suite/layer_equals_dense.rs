//! The HSS layer against dense assembly of eq. 1, and its gradients against central differences.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use farfield_kernels::HssLayout;
use farfield_matrix::{ClusterTree, Hss, LinearOperator, Matrix, Nested, NodeShape};
use farfield_nn::{HssLayer, LayerSpec, tensor_ops};

/// Dense matrix of one HSS matrix, row-major, straight from definition 2.1.
fn dense(layout: &HssLayout, w: &[f64]) -> Vec<f64> {
    let r = layout.rank();
    let mut upper: Option<(Vec<f64>, usize)> = None;
    for level in 0..=layout.levels() {
        let nodes = layout.level(level);
        let rows: usize = nodes.iter().map(|n| n.d.rows).sum();
        let cols: usize = nodes.iter().map(|n| n.d.cols).sum();
        let mut a = vec![0.0; rows * cols];
        let (mut row, mut col) = (0, 0);
        let mut spans = Vec::new();
        for node in nodes {
            for i in 0..node.d.rows {
                for j in 0..node.d.cols {
                    a[(row + i) * cols + col + j] = w[node.d.offset + i * node.d.cols + j];
                }
            }
            spans.push((row, col));
            row += node.d.rows;
            col += node.d.cols;
        }
        if let Some((b, size)) = upper {
            for (p, (np, &(rp, _))) in nodes.iter().zip(&spans).enumerate() {
                for (q, (nq, &(_, cq))) in nodes.iter().zip(&spans).enumerate() {
                    for i in 0..np.d.rows {
                        for j in 0..nq.d.cols {
                            let mut sum = 0.0;
                            for s in 0..r {
                                for t in 0..r {
                                    sum += w[np.u.offset + i * r + s]
                                        * b[(p * r + s) * size + q * r + t]
                                        * w[nq.v.offset + j * r + t];
                                }
                            }
                            a[(rp + i) * cols + cq + j] += sum;
                        }
                    }
                }
            }
        }
        upper = Some((a, cols));
    }
    upper.unwrap().0
}

/// Eq. 1 by explicit sums.
fn layer_dense(spec: &LayerSpec, w: &[f64], x: &[f64], batch: usize) -> Vec<f64> {
    let mut result = vec![0.0; batch * spec.points_out()];
    for k in 0..spec.outer_rank() {
        let mut shape: Vec<usize> = vec![batch];
        shape.extend(spec.grid_in());
        let mut z = x.to_vec();
        for (j, layout) in spec.modes().iter().enumerate() {
            let a = dense(layout, &w[spec.offset(k, j)..][..layout.len()]);
            let before: usize = shape[..=j].iter().product();
            let after: usize = shape[j + 2..].iter().product();
            let (n, o) = (layout.n_in(), layout.n_out());
            let mut y = vec![0.0; before * o * after];
            for b in 0..before {
                for i in 0..o {
                    for t in 0..n {
                        for s in 0..after {
                            y[(b * o + i) * after + s] += a[i * n + t] * z[(b * n + t) * after + s];
                        }
                    }
                }
            }
            shape[j + 1] = o;
            z = y;
        }
        result.iter_mut().zip(&z).for_each(|(r, z)| *r += z);
    }
    result
}

/// Deterministic numbers in [-1, 1).
fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut s = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    (0..n)
        .map(|_| {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            (s >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

fn spec(grid_in: &[usize], grid_out: &[usize], l: usize, r: usize, k: usize) -> LayerSpec {
    LayerSpec::uniform(grid_in, grid_out, l, r, k).unwrap()
}

fn shapes() -> Vec<LayerSpec> {
    let mut all = Vec::new();
    for n in [1, 2, 3, 7, 8, 16, 21] {
        for levels in 0..4 {
            for rank in [0, 1, 2, 5] {
                all.push(spec(&[n], &[n], levels, rank, 1));
            }
        }
    }
    all.push(spec(&[5], &[12], 2, 2, 1));
    all.push(spec(&[12], &[5], 3, 1, 3));
    all.push(spec(&[8, 8], &[8, 8], 2, 2, 3));
    all.push(spec(&[5, 9], &[7, 4], 2, 1, 2));
    all.push(spec(&[6, 1], &[6, 3], 1, 2, 2));
    all.push(spec(&[4, 4, 4], &[4, 4, 4], 1, 1, 2));
    all.push(spec(&[3, 5, 2], &[4, 2, 3], 2, 1, 2));
    all.push(spec(&[4, 3, 5], &[4, 3, 5], 0, 0, 2));
    let mixed = vec![Arc::new(HssLayout::new(6, 5, 2, 1).unwrap()), Arc::new(HssLayout::new(4, 4, 0, 0).unwrap())];
    all.push(LayerSpec::new(mixed, 2).unwrap());
    all
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device, dtype: DType) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, dtype))
}

#[test]
fn tensor_operations_equal_dense_assembly() {
    let device = Device::flex();
    for (i, spec) in shapes().iter().enumerate() {
        for batch in [1, 3] {
            let w = noise(spec.len(), i as u64);
            let x = noise(batch * spec.points_in(), 1000 + i as u64);
            let expected = layer_dense(spec, &w, &x, batch);
            let scale = expected.iter().fold(1e-300f64, |m, v| m.max(v.abs()));
            for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-5)] {
                let y = tensor_ops::layer_forward(
                    spec,
                    tensor(&w, [w.len()], &device, dtype),
                    tensor(&x, [batch, spec.points_in()], &device, dtype),
                );
                assert_eq!(y.dtype(), dtype);
                assert_eq!(y.dims(), [batch, spec.points_out()]);
                for (a, b) in y.to_data().iter::<f64>().zip(&expected) {
                    assert!((a - b).abs() <= tolerance * scale, "{spec:?}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn gradients_equal_central_differences() {
    let device = Device::flex().autodiff();
    for (i, spec) in shapes().iter().enumerate().step_by(3) {
        let batch = 2;
        let w = noise(spec.len(), 7 + i as u64);
        let x = noise(batch * spec.points_in(), 2000 + i as u64);
        let g = noise(batch * spec.points_out(), 3000 + i as u64);
        let f = |w: &[f64], x: &[f64]| -> f64 {
            let y = layer_dense(spec, w, x, batch);
            y.iter().zip(&g).map(|(a, b)| a * b).sum()
        };
        let wt = tensor(&w, [w.len()], &device, DType::F64).require_grad();
        let xt = tensor(&x, [batch, spec.points_in()], &device, DType::F64).require_grad();
        let y = tensor_ops::layer_forward(spec, wt.clone(), xt.clone());
        let gt = tensor(&g, [batch, spec.points_out()], &device, DType::F64);
        let grads = (y * gt).sum().backward();
        let dw: Vec<f64> = wt.grad(&grads).unwrap().to_data().iter().collect();
        let dx: Vec<f64> = xt.grad(&grads).unwrap().to_data().iter().collect();
        // The map is a polynomial of low degree, so a large step is accurate.
        let h = 1e-4;
        for index in (0..w.len()).step_by(1 + w.len() / 40) {
            let (mut up, mut down) = (w.clone(), w.clone());
            up[index] += h;
            down[index] -= h;
            let difference = (f(&up, &x) - f(&down, &x)) / (2.0 * h);
            assert!((dw[index] - difference).abs() < 1e-8 * (1.0 + difference.abs()));
        }
        for index in (0..x.len()).step_by(1 + x.len() / 20) {
            let (mut up, mut down) = (x.clone(), x.clone());
            up[index] += h;
            down[index] -= h;
            let difference = (f(&w, &up) - f(&w, &down)) / (2.0 * h);
            assert!((dx[index] - difference).abs() < 1e-8 * (1.0 + difference.abs()));
        }
    }
}

#[test]
fn a_layer_is_a_matrix_and_back() {
    let device = Device::flex();
    for (n_in, n_out, levels, rank) in [(16, 16, 2, 2), (13, 7, 2, 1), (9, 9, 0, 0)] {
        let spec = Arc::new(spec(&[n_in], &[n_out], levels, rank, 1));
        let layer = HssLayer::new(Arc::clone(&spec), None, 5, 0, &device, DType::F64);
        let matrix = layer.to_matrix().unwrap();
        let back = HssLayer::from_matrix(&matrix, None, &device, DType::F64).unwrap();
        assert_eq!(back.to_matrix().unwrap().data(), matrix.data());
        let x = noise(n_in, 4);
        let y = back.forward(tensor(&x, [1, n_in], &device, DType::F64));
        let expected = matrix.apply(&Matrix::from_vector(&x)).unwrap();
        for (a, b) in y.to_data().iter::<f64>().zip(expected.col(0)) {
            assert!((a - b).abs() < 1e-13);
        }
    }
    // Ranks of their own, or another order of the indices: no layer.
    let leaf = |rank| NodeShape { children: 0..0, rows: 2, cols: 2, row_rank: rank, col_rank: rank };
    let root = NodeShape { children: 1..3, ..leaf(0) };
    let uneven = Hss::zeros(HssLayout::from_tree(&[root.clone(), leaf(1), leaf(2)]).unwrap());
    let error = HssLayer::from_matrix(&uneven, None, &device, DType::F64).unwrap_err().to_string();
    assert!(error.contains("one rank"), "{error}");
    let layout = HssLayout::from_tree(&[root, leaf(1), leaf(1)]).unwrap();
    let nested = Nested::Split(vec![Nested::Leaf(vec![3, 1]), Nested::Leaf(vec![0, 2])]);
    let tree = Arc::new(ClusterTree::from_nested(&nested).unwrap());
    let parameters = vec![1.0; layout.len()];
    let shuffled = Hss::on_trees(tree.clone(), tree, layout, parameters).unwrap();
    assert!(HssLayer::from_matrix(&shuffled, None, &device, DType::F64).is_err());
    let two = Arc::new(spec(&[8], &[8], 1, 1, 2));
    let layer = HssLayer::new(two, None, 5, 0, &device, DType::F64);
    assert!(layer.to_matrix().unwrap_err().to_string().contains("outer rank 1"));
}

#[test]
fn random_weights_shrink_white_noise_alike_in_any_dimension_and_depend_on_the_seed_only() {
    let device = Device::flex();
    for spec in [
        spec(&[256], &[256], 3, 2, 1),
        spec(&[256], &[256], 3, 0, 1),
        spec(&[64], &[64], 0, 0, 1),
        spec(&[32, 32], &[32, 32], 2, 2, 8),
        spec(&[16, 16, 16], &[16, 16, 16], 1, 2, 2),
    ] {
        let spec = Arc::new(spec);
        let mut ratio = 0.0;
        for stream in 0..4 {
            let layer = HssLayer::new(Arc::clone(&spec), None, 3, stream, &device, DType::F64);
            let points = spec.points_in();
            let x = noise(4 * points, 11);
            let y = layer.forward(tensor(&x, [4, points], &device, DType::F64));
            let (vx, vy) =
                (x.iter().map(|v| v * v).sum::<f64>(), y.to_data().iter::<f64>().map(|v| v * v).sum::<f64>());
            ratio += vy / vx / 4.0;
        }
        assert!((0.2..1.0).contains(&ratio), "{spec:?}: {ratio}");
    }
    let spec = spec(&[16], &[16], 1, 1, 1);
    let draw = |seed, stream| farfield_nn::hss_layer::initial_weights(&spec, seed, stream);
    assert_eq!(draw(1, 2), draw(1, 2));
    assert_ne!(draw(1, 2), draw(1, 3));
    assert_ne!(draw(1, 2), draw(2, 2));
}
