//! H2 networks on skeletons: the linear one is the H2-matrix; the others have the gradients of central differences.

use std::sync::Arc;

use farfield_kernels::{Activation, BlockLayerSpec, H2Layer};
use farfield_matrix::{
    Accuracy, AtZero, ClusterTree, Depth, EntryFn, H2Matrix, H2Options, H2Skeleton, H2SkeletonOptions, H2Spec,
    H2Storage, Kernel, KernelMatrix, LinearOperator, Matrix, MatrixError, Points, Ranks, Splitting,
};

fn random(n: usize, seed: usize) -> Vec<f64> {
    (1..=n).map(|i| ((i * i % 7919 + i) as f64 * 0.618_033_988_749_895 + seed as f64 * 0.37).fract()).collect()
}

fn signed(n: usize, seed: usize) -> Vec<f64> {
    random(n, seed).into_iter().map(|x| 2.0 * x - 1.0).collect()
}

fn cloud(dim: usize, n: usize, seed: usize) -> Arc<Points> {
    Arc::new(Points::new(dim, random(dim * n, seed)).unwrap())
}

/// The network in the user's order: one column a sample, both ways.
fn run(skeleton: &H2Skeleton, parameters: &[f64], x: &Matrix<f64>) -> Matrix<f64> {
    let layout = skeleton.layout(&H2Spec::linear(), 1, 1).unwrap();
    let layer = H2Layer { layout: &layout, batch: x.ncols() };
    let (rows, cols) = (skeleton.row_order(1).unwrap(), skeleton.col_order(1).unwrap());
    let columns: Vec<f64> = (0..x.ncols()).flat_map(|j| x.col(j).to_vec()).collect();
    let packed = cols.pack(x.ncols(), &columns).unwrap();
    let y = layer.forward(&packed, parameters, false).unwrap().y;
    Matrix::from_column_major(skeleton.nrows(), x.ncols(), &rows.unpack(x.ncols(), &y).unwrap()).unwrap()
}

/// The network of `h` has its products, and back again are all its numbers.
fn check(h: &H2Matrix<f64>, context: &str) {
    let (skeleton, parameters) = h.to_network().unwrap();
    let x = Matrix::from_column_major(h.ncols(), 11, &signed(11 * h.ncols(), 4)).unwrap();
    let norm = h.norm_frobenius() * x.norm_frobenius();
    let distance = |a: &Matrix<f64>, b: &Matrix<f64>| {
        Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)]).norm_frobenius()
    };
    let (y, expected) = (run(&skeleton, &parameters, &x), h.apply(&x).unwrap());
    assert!(distance(&y, &expected) <= 1e-12 * expected.norm_frobenius(), "{context}");
    // The dense matrix is assembled in a way of its own.
    let unit = Matrix::from_fn(h.ncols(), h.ncols(), |i, j| f64::from(u8::from(i == j)));
    let full = run(&skeleton, &parameters, &unit);
    assert!(distance(&full, &h.to_dense()) <= 1e-12 * h.norm_frobenius(), "{context}: dense");

    let back = H2Matrix::from_network(&skeleton, &parameters).unwrap();
    assert!(distance(&back.apply(&x).unwrap(), &expected) <= 1e-14 * norm, "{context}: back");
    let (same_skeleton, same) = back.to_network().unwrap();
    assert!(same == parameters && same_skeleton == skeleton, "{context}: there and back");
    let sorted = |mut leaves: Vec<farfield_matrix::Leaf>| {
        leaves.sort_by_key(|leaf| (leaf.rows.start, leaf.cols.start, leaf.level));
        leaves
    };
    assert_eq!(sorted(skeleton.leaves()), sorted(h.leaves()), "{context}: leaves");
}

fn kernel(name: &str, rows: &Arc<Points>, cols: &Arc<Points>) -> KernelMatrix<f64> {
    let kernel: Kernel = name.parse().unwrap();
    KernelMatrix::new(kernel, rows.clone(), cols.clone(), AtZero::Value(2.0)).unwrap()
}

#[test]
fn the_linear_network_is_the_matrix_in_one_two_and_three_dimensions() {
    for (dim, name) in [(1, "log"), (2, "laplace2d"), (3, "inverse")] {
        let (a, b) = (cloud(dim, 500, 0), cloud(dim, 370, 1));
        for (rows, cols) in [(&a, &a), (&a, &b), (&b, &a)] {
            for storage in [H2Storage::Stored, H2Storage::StoredSingle, H2Storage::Recomputed] {
                let options = H2Options { leaf_size: 20, storage, ..H2Options::new(Accuracy::relative(1e-4).unwrap()) };
                let (h, _) = H2Matrix::from_kernel(&kernel(name, rows, cols), &options).unwrap();
                let context = format!("{name}, {} x {}, {storage:?}", rows.len(), cols.len());
                check(&h, &context);
                check(&h.scale(-0.3).unwrap(), &context);
            }
        }
    }
}

#[test]
fn trees_of_unequal_depth_and_matrices_that_are_all_near_or_all_far() {
    let options = |leaf_size| H2Options { leaf_size, ..H2Options::new(Accuracy::relative(1e-6).unwrap()) };
    // Dense in one corner: leaves on many levels, far pairs across levels.
    let uneven =
        |n: usize, seed| Arc::new(Points::new(2, random(2 * n, seed).iter().map(|x| x.powi(4)).collect()).unwrap());
    let (a, b) = (uneven(400, 0), cloud(2, 300, 1));
    let tree =
        |points: &Points, leaf_size| Arc::new(ClusterTree::geometric(points, leaf_size, Splitting::Median).unwrap());
    let (rows, cols) = (tree(&a, 40), tree(&b, 9));
    let entries = kernel("inverse-multiquadric", &a, &b);
    let (h, _) = H2Matrix::from_entries(&entries, rows, cols, &options(20)).unwrap();
    assert!(h.block_counts().0 > 0);
    check(&h, "trees of unequal depth");

    let (h, _) = H2Matrix::from_kernel(&kernel("log", &a, &a), &options(1000)).unwrap();
    assert_eq!(h.block_counts(), (0, 1));
    check(&h, "one block");

    let shifted = Arc::new(Points::new(2, b.coordinates().iter().map(|x| x + 50.0).collect()).unwrap());
    let (h, _) = H2Matrix::from_kernel(&kernel("log", &b, &shifted), &options(20)).unwrap();
    assert_eq!(h.block_counts().1, 0);
    check(&h, "all far");
}

#[test]
fn a_matrix_without_symmetry() {
    let points = cloud(1, 300, 0);
    let tree = Arc::new(ClusterTree::geometric(&points, 16, Splitting::Boxes).unwrap());
    let f = |i: usize, j: usize| {
        let (x, y) = (points.point(i)[0], points.point(j)[0]);
        (x + 2.0 * y) * (-(x - y).abs()).exp()
    };
    let options = H2Options::new(Accuracy::relative(1e-8).unwrap());
    let (h, _) = H2Matrix::from_entries(&EntryFn::new(300, 300, f), tree.clone(), tree, &options).unwrap();
    check(&h, "one tree, not symmetric");
    check(&h.transpose(), "its transpose");
}

#[test]
fn parameters_that_are_no_matrix() {
    let skeleton = H2Skeleton::from_grid(&[100], &H2SkeletonOptions::default()).unwrap();
    let layout = skeleton.layout(&H2Spec::linear(), 1, 1).unwrap();
    let mut parameters = vec![0.5; layout.len()];
    assert!(H2Matrix::from_network(&skeleton, &parameters).is_ok());
    let error = H2Matrix::from_network(&skeleton, &parameters[1..]).unwrap_err();
    assert!(matches!(error, MatrixError::Length { got, expected, .. } if got + 1 == expected));
    parameters[7] = f64::NAN;
    let error = H2Matrix::from_network(&skeleton, &parameters).unwrap_err().to_string();
    assert_eq!(error, "parameter = NaN (number 7): must be finite");
}

/// Nonlinear networks on scattered points, different sources and receivers, in every dimension: derivatives along random directions.
#[test]
fn gradients_of_nonlinear_networks_on_scattered_points() {
    let inside = BlockLayerSpec { inside: Activation::Relu, bias: true, ..BlockLayerSpec::default() };
    let both = |last: BlockLayerSpec| H2Spec { far: vec![inside, inside], near: vec![inside, last] };
    let specs = [
        H2Spec::network(3, Activation::Relu),
        H2Spec::network(2, Activation::Tanh).with_bias(true),
        H2Spec::units(3, Activation::LeakyRelu { slope: 0.1 }).with_bias(true),
        both(inside),
        both(BlockLayerSpec { outside: Activation::Identity, ..inside }),
    ];
    for dim in 1..=3 {
        let (receivers, sources) = (cloud(dim, 90, 0), cloud(dim, 70, 5));
        let options =
            H2SkeletonOptions { depth: Depth::LeafSize(4), ranks: Ranks::Constant(3), ..H2SkeletonOptions::default() };
        let skeleton = H2Skeleton::from_points(&receivers, &sources, &options).unwrap();
        assert!(!skeleton.far().is_empty() && !skeleton.far_hidden().is_empty());
        for (channels_in, channels_out, spec) in specs.iter().enumerate().map(|(i, s)| (1 + i % 2, 1 + i / 3, s)) {
            let layout = skeleton.layout(spec, channels_in, channels_out).unwrap();
            assert_eq!((layout.n_in(), layout.n_out()), (70 * channels_in, 90 * channels_out));
            let batch = 3;
            let layer = H2Layer { layout: &layout, batch };
            let order = skeleton.col_order(channels_in).unwrap();
            let (x, p) = (signed(batch * layout.n_in(), 1), signed(layout.len(), 2));
            let (dx, dp) = (signed(x.len(), 3), signed(p.len(), 4));
            let weights = layer.output().pack(&signed(batch * layout.n_out(), 5)).unwrap();
            let packed = order.pack(batch, &x).unwrap();
            let saved = layer.forward(&packed, &p, true).unwrap().saved.unwrap();
            let back = layer.backward(&packed, &p, &saved, &weights, true).unwrap();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let by_x = dot(&order.unpack(batch, &back.dx.unwrap()).unwrap(), &dx);
            let by_p = dot(&back.parameters, &dp);
            let at = |hx: f64, hp: f64| {
                let moved = |v: &[f64], d: &[f64], h: f64| v.iter().zip(d).map(|(v, d)| v + h * d).collect::<Vec<_>>();
                let x = order.pack(batch, &moved(&x, &dx, hx)).unwrap();
                dot(&layer.forward(&x, &moved(&p, &dp, hp), false).unwrap().y, &weights)
            };
            let h = 1e-8;
            for (got, hx, hp) in [(by_x, h, 0.0), (by_p, 0.0, h)] {
                let expected = (at(hx, hp) - at(-hx, -hp)) / (2.0 * h);
                let scale = back.parameters.iter().map(|g| g.abs()).sum::<f64>();
                assert!((got - expected).abs() < 1e-6 * scale, "{dim}D, {spec:?}: {got} instead of {expected}");
            }
        }
    }
}
