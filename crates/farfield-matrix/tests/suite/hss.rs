//! HSS matrices against dense ones, in f64, at many shapes, to 1e-12 relative.

use farfield_matrix::{Hss, HssLayout, LinearOperator, Matrix, MatrixError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const TOLERANCE: f64 = 1e-12;

#[derive(Clone, Copy, Debug)]
struct Shape {
    n_out: usize,
    n_in: usize,
    levels: usize,
    rank: usize,
}

/// Dense row-major matrix of the oracle.
#[derive(Clone, Debug)]
struct Dense {
    rows: usize,
    cols: usize,
    data: Vec<f64>,
}

impl Dense {
    fn zeros(rows: usize, cols: usize) -> Self {
        let data = vec![0.0; rows * cols];
        Self { rows, cols, data }
    }

    fn from_fn(rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Self {
        let index = (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j)));
        let data = index.map(|(i, j)| f(i, j)).collect();
        Self { rows, cols, data }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.cols + j]
    }

    fn transpose(&self) -> Self {
        Self::from_fn(self.cols, self.rows, |i, j| self.at(j, i))
    }

    fn times(&self, other: &Self) -> Self {
        assert_eq!(self.cols, other.rows);
        Self::from_fn(self.rows, other.cols, |i, j| (0..self.cols).map(|k| self.at(i, k) * other.at(k, j)).sum())
    }

    fn plus(&self, other: &Self) -> Self {
        assert_eq!((self.rows, self.cols), (other.rows, other.cols));
        Self::from_fn(self.rows, self.cols, |i, j| self.at(i, j) + other.at(i, j))
    }

    fn block_diagonal(blocks: &[Self]) -> Self {
        let rows = blocks.iter().map(|b| b.rows).sum();
        let cols = blocks.iter().map(|b| b.cols).sum();
        let mut out = Self::zeros(rows, cols);
        let (mut row, mut col) = (0, 0);
        for block in blocks {
            for i in 0..block.rows {
                for j in 0..block.cols {
                    out.data[(row + i) * cols + col + j] = block.at(i, j);
                }
            }
            row += block.rows;
            col += block.cols;
        }
        out
    }
}

/// Definition 2.1 of Neural-HSS taken literally: the parameters are read one after the other, leaves
/// first, and every level becomes `D + U A V^T` with dense block-diagonal `D`, `U`, `V`.
fn definition(shape: Shape, parameters: &[f64]) -> Dense {
    fn read(from: &mut &[f64], count: usize, size: impl Fn(usize) -> (usize, usize)) -> Dense {
        let blocks: Vec<Dense> = (0..count)
            .map(|i| {
                let (rows, cols) = size(i);
                let (head, tail) = from.split_at(rows * cols);
                *from = tail;
                Dense { rows, cols, data: head.to_vec() }
            })
            .collect();
        Dense::block_diagonal(&blocks)
    }
    fn level(shape: Shape, l: usize, from: &mut &[f64]) -> Dense {
        let count = 1 << l;
        let size = |n: usize, i: usize| {
            if l == shape.levels { (i + 1) * n / count - i * n / count } else { 2 * shape.rank }
        };
        let d = read(from, count, |i| (size(shape.n_out, i), size(shape.n_in, i)));
        if l == 0 {
            return d;
        }
        let u = read(from, count, |i| (size(shape.n_out, i), shape.rank));
        let v = read(from, count, |i| (size(shape.n_in, i), shape.rank));
        let coarse = level(shape, l - 1, from);
        d.plus(&u.times(&coarse).times(&v.transpose()))
    }
    let mut from = parameters;
    let dense = level(shape, shape.levels, &mut from);
    assert!(from.is_empty(), "{} parameters were not read", from.len());
    dense
}

fn normal(rng: &mut ChaCha8Rng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.sample(StandardNormal)).collect()
}

fn random(rng: &mut ChaCha8Rng, shape: Shape) -> Hss<f64> {
    let layout = HssLayout::new(shape.n_out, shape.n_in, shape.levels, shape.rank).unwrap();
    let data = normal(rng, layout.len());
    Hss::from_parts(layout, data).unwrap()
}

fn dense(a: &Hss<f64>) -> Dense {
    Dense { rows: a.nrows(), cols: a.ncols(), data: entries(a) }
}

/// All entries, row by row.
fn entries(a: &Hss<f64>) -> Vec<f64> {
    a.to_dense().to_row_major()
}

fn apply(a: &Hss<f64>, x: &[f64]) -> Vec<f64> {
    a.apply(&Matrix::from_vector(x)).unwrap().col(0).to_vec()
}

fn apply_transpose(a: &Hss<f64>, x: &[f64]) -> Vec<f64> {
    a.apply_transpose(&Matrix::from_vector(x)).unwrap().col(0).to_vec()
}

fn column(x: &[f64]) -> Dense {
    Dense { rows: x.len(), cols: 1, data: x.to_vec() }
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[track_caller]
fn assert_close(got: &[f64], expected: &[f64], context: impl std::fmt::Debug) {
    assert_eq!(got.len(), expected.len(), "{context:?}");
    let difference: Vec<f64> = got.iter().zip(expected).map(|(a, b)| a - b).collect();
    let (error, scale) = (norm(&difference), norm(expected));
    assert!(error <= TOLERANCE * scale, "{context:?}: error {error:e}, norm {scale:e}");
}

/// Corner cases first, then random shapes.
fn shapes() -> Vec<Shape> {
    let mut shapes: Vec<Shape> = [
        (1, 1, 0, 0),
        (1, 1, 1, 1),
        (1, 1, 4, 3),
        (1, 7, 2, 2),
        (7, 1, 3, 2),
        (5, 9, 2, 0),
        (16, 16, 4, 1),
        (15, 17, 4, 2),
        (64, 64, 3, 2),
        (33, 31, 1, 9),
        (40, 3, 4, 9),
        (8, 8, 2, 2),
    ]
    .map(|(n_out, n_in, levels, rank)| Shape { n_out, n_in, levels, rank })
    .to_vec();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    shapes.extend((0..120).map(|_| {
        let levels = rng.random_range(0..=4);
        let (n_out, n_in) = (rng.random_range(1..=48), rng.random_range(1..=48));
        // Without levels there is no coupling, and no rank.
        Shape { n_out, n_in, levels, rank: if levels == 0 { 0 } else { rng.random_range(0..=9) } }
    }));
    shapes
}

#[test]
fn to_dense_is_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for shape in shapes() {
        let a = random(&mut rng, shape);
        assert_close(&entries(&a), &definition(shape, a.data()).data, shape);
    }
}

#[test]
fn apply_is_the_dense_product() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for shape in shapes() {
        let a = random(&mut rng, shape);
        let x = normal(&mut rng, shape.n_in);
        let y = apply(&a, &x);
        assert_close(&y, &dense(&a).times(&column(&x)).data, shape);
    }
}

#[test]
fn apply_transpose_is_the_adjoint() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for shape in shapes() {
        let a = random(&mut rng, shape);
        let (x, w) = (normal(&mut rng, shape.n_in), normal(&mut rng, shape.n_out));
        let (ax, aw) = (apply(&a, &x), apply_transpose(&a, &w));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let difference = (dot(&ax, &w) - dot(&x, &aw)).abs();
        assert!(difference <= TOLERANCE * norm(&ax) * norm(&w), "{shape:?}: {difference:e}");
        let expected = dense(&a).transpose().times(&column(&w));
        assert_close(&aw, &expected.data, shape);
    }
}

#[test]
fn many_vectors_agree_with_one_after_the_other() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for shape in shapes() {
        let a = random(&mut rng, shape);
        for columns in [0, 1, 5] {
            let x = Matrix::from_fn(shape.n_in, columns, |_, _| rng.sample(StandardNormal));
            let y = a.apply(&x).unwrap();
            let back = a.apply_transpose(&y).unwrap();
            for k in 0..columns {
                // One or two vectors go another way than many: the sums are those of another order.
                assert_close(&apply(&a, x.col(k)), y.col(k), shape);
                assert_close(&apply_transpose(&a, y.col(k)), back.col(k), shape);
            }
        }
    }
}

#[test]
fn transpose_is_the_dense_transpose_and_an_involution() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for shape in shapes() {
        let a = random(&mut rng, shape);
        let t = a.transpose();
        assert_eq!((t.nrows(), t.ncols()), (shape.n_in, shape.n_out));
        assert_eq!((t.levels(), t.rank()), (shape.levels, shape.rank));
        assert_close(&entries(&t), &dense(&a).transpose().data, shape);
        assert_eq!(t.transpose(), a);
    }
}

#[test]
fn add_is_the_dense_sum() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for shape in shapes() {
        let other = Shape { rank: shape.levels.min(1) * rng.random_range(0..=9), ..shape };
        let (a, b) = (random(&mut rng, shape), random(&mut rng, other));
        let sum = a.add(&b).unwrap();
        assert_eq!(sum.rank(), shape.rank + other.rank);
        assert_close(&entries(&sum), &dense(&a).plus(&dense(&b)).data, shape);
    }
}

#[test]
fn scale_is_the_dense_multiple() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for shape in shapes() {
        let a = random(&mut rng, shape);
        let expected: Vec<f64> = entries(&a).iter().map(|x| -2.5 * x).collect();
        let scaled = a.scale(-2.5).unwrap();
        assert_eq!(scaled.layout(), a.layout());
        assert_close(&entries(&scaled), &expected, shape);
    }
}

#[test]
fn multiply_is_the_dense_product() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for shape in shapes() {
        let other = Shape {
            n_out: shape.n_in,
            n_in: rng.random_range(1..=48),
            rank: shape.levels.min(1) * rng.random_range(0..=9),
            ..shape
        };
        let (a, b) = (random(&mut rng, shape), random(&mut rng, other));
        let product = a.multiply(&b).unwrap();
        assert_eq!((product.nrows(), product.ncols()), (shape.n_out, other.n_in));
        assert_eq!(product.rank(), shape.rank + other.rank);
        let expected = dense(&a).times(&dense(&b));
        assert_close(&entries(&product), &expected.data, (shape, other));
    }
}

#[test]
fn a_chain_of_products_acts_like_its_factors() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    for levels in 0..=4 {
        let sizes = [21, 40, 13, 34];
        let factors: Vec<Hss<f64>> = (0..3)
            .map(|k| {
                let shape = Shape { n_out: sizes[k], n_in: sizes[k + 1], levels, rank: levels.min(1) * (k + 1) };
                random(&mut rng, shape)
            })
            .collect();
        let left = factors[0].multiply(&factors[1]).unwrap();
        let left = left.multiply(&factors[2]).unwrap();
        let right = factors[1].multiply(&factors[2]).unwrap();
        let right = factors[0].multiply(&right).unwrap();
        assert_eq!((left.rank(), right.rank()), if levels == 0 { (0, 0) } else { (6, 6) });

        let mut x = normal(&mut rng, sizes[3]);
        let (by_left, by_right) = (apply(&left, &x), apply(&right, &x));
        for factor in factors.iter().rev() {
            x = apply(factor, &x);
        }
        assert_close(&by_left, &x, levels);
        assert_close(&by_right, &x, levels);
        let transposed = factors[2].transpose();
        let transposed = transposed.multiply(&factors[1].transpose()).unwrap();
        let transposed = transposed.multiply(&factors[0].transpose()).unwrap();
        assert_close(&entries(&transposed.transpose()), &entries(&left), levels);
    }
}

#[test]
fn single_precision_follows_double_precision() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let shape = Shape { n_out: 45, n_in: 37, levels: 3, rank: 2 };
    let a = random(&mut rng, shape);
    let narrow = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<f32>>();
    let a32 = Hss::from_parts(a.layout().clone(), narrow(a.data())).unwrap();
    let x = normal(&mut rng, shape.n_in);
    let y = apply(&a, &x);
    let y32 = a32.apply(&Matrix::from_vector(&narrow(&x))).unwrap();
    let difference: Vec<f64> = y.iter().zip(y32.col(0)).map(|(a, &b)| a - f64::from(b)).collect();
    assert!(norm(&difference) <= 1e-5 * norm(&y));
    assert_eq!(a32.memory_bytes() * 2, a.memory_bytes());
    assert_eq!(a.memory_bytes(), 8 * a.layout().len());
}

#[test]
fn parts_go_in_and_come_out() {
    let layout = HssLayout::new(6, 5, 1, 2).unwrap();
    let data: Vec<f64> = (0..layout.len()).map(|i| i as f64).collect();
    let a = Hss::from_parts(layout.clone(), data.clone()).unwrap();
    assert_eq!(
        format!("{a:?}"),
        format!("Hss {{ nrows: 6, ncols: 5, levels: 1, rank: 2, parameters: {} }}", data.len())
    );
    let (back, parameters) = a.into_parts();
    assert_eq!((&*back, &parameters), (&layout, &data));
    let zero = Hss::<f64>::zeros(back);
    assert!(entries(&zero).iter().all(|&x| x == 0.0));
}

#[test]
fn a_wrong_number_of_parameters_is_an_error() {
    let layout = HssLayout::new(8, 8, 1, 1).unwrap();
    let expected = layout.len();
    for got in [0, expected - 1, expected + 1] {
        let error = Hss::from_parts(layout.clone(), vec![0.0f64; got]).unwrap_err();
        assert!(matches!(error, MatrixError::Length { got: g, expected: e, .. } if (g, e) == (got, expected)));
    }
}

#[test]
fn a_parameter_that_is_not_finite_is_located() {
    let layout = HssLayout::new(8, 8, 2, 1).unwrap();
    let node = layout.level(2)[3];
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut data = vec![0.0; layout.len()];
        data[node.v.offset + 1] = value;
        let error = Hss::from_parts(layout.clone(), data).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "parameters of an HSS matrix: entry (1, 0) of V of node 3 on level 2 is {value} \
                 (parameter {}), every parameter must be finite",
                node.v.offset + 1
            )
        );
    }
    let mut data = vec![0.0f32; layout.len()];
    *data.last_mut().unwrap() = f32::NAN;
    assert!(matches!(
        Hss::from_parts(layout, data),
        Err(MatrixError::NonFinite { level: 0, node: 0, kind: 'D', row: 1, col: 1, .. })
    ));
}

#[test]
fn vectors_of_the_wrong_length_are_errors() {
    let a = Hss::<f64>::zeros(HssLayout::new(6, 4, 1, 1).unwrap());
    let error = a.apply(&Matrix::zeros(6, 2)).unwrap_err();
    assert_eq!(error.to_string(), "HSS product, X: the matrix has 6 rows, pass 4");
    assert!(matches!(a.apply_transpose(&Matrix::zeros(4, 1)), Err(MatrixError::Rows { got: 4, expected: 6, .. })));
}

#[test]
fn matrices_that_do_not_fit_are_errors() {
    let zeros = |n_out, n_in, levels, rank| Hss::<f64>::zeros(HssLayout::new(n_out, n_in, levels, rank).unwrap());
    let a = zeros(6, 4, 1, 1);
    assert!(matches!(a.multiply(&zeros(5, 4, 1, 1)), Err(MatrixError::Shapes { .. })));
    assert!(matches!(a.multiply(&zeros(4, 4, 2, 1)), Err(MatrixError::Tree { .. })));
    assert!(matches!(a.add(&zeros(4, 6, 1, 1)), Err(MatrixError::Tree { .. })));
    assert!(matches!(a.add(&zeros(6, 4, 0, 1)), Err(MatrixError::Tree { .. })));
    assert_eq!(
        a.multiply(&a).unwrap_err().to_string(),
        "multiply: a 6 x 4 and a 6 x 4 matrix do not fit, the columns of the left must be the rows \
         of the right"
    );
}

#[test]
fn overflow_is_an_error() {
    let layout = HssLayout::new(4, 4, 1, 1).unwrap();
    let huge = Hss::from_parts(layout.clone(), vec![1e200; layout.len()]).unwrap();
    assert!(matches!(huge.multiply(&huge), Err(MatrixError::NonFinite { .. })));
    assert!(matches!(huge.scale(1e200), Err(MatrixError::NonFinite { .. })));
    let largest = Hss::from_parts(layout.clone(), vec![f64::MAX; layout.len()]).unwrap();
    assert!(matches!(largest.add(&largest), Err(MatrixError::NonFinite { .. })));
    for factor in [f64::NAN, f64::INFINITY] {
        assert!(matches!(huge.scale(factor), Err(MatrixError::Factor { .. })));
    }
}

#[test]
fn any_tree_and_any_ranks() {
    // Three children, leaves on two levels, a rank of its own for every basis; rows and columns in an order of their own.
    use farfield_matrix::{ClusterTree, Nested, NodeShape};
    let leaf = |rows, cols, row_rank, col_rank| NodeShape { children: 0..0, rows, cols, row_rank, col_rank };
    let inner = |children, row_rank, col_rank| NodeShape { children, rows: 0, cols: 0, row_rank, col_rank };
    let shapes =
        [inner(1..4, 0, 0), leaf(5, 4, 2, 1), inner(4..6, 1, 2), leaf(3, 3, 0, 3), leaf(2, 6, 2, 1), leaf(4, 1, 1, 1)];
    let layout = HssLayout::from_tree(&shapes).unwrap();
    let tree = |sizes: [usize; 4], shift: usize| {
        let n: usize = sizes.iter().sum();
        let mut next = 0;
        let mut leaf = |size: usize| {
            next += size;
            Nested::Leaf((next - size..next).map(|i| (5 * i + shift) % n).collect())
        };
        let [a, b, c, d] = sizes.map(&mut leaf);
        std::sync::Arc::new(ClusterTree::from_nested(&Nested::Split(vec![a, Nested::Split(vec![b, c]), d])).unwrap())
    };
    let (rows, cols) = (tree([5, 2, 4, 3], 1), tree([4, 6, 1, 3], 3));
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let make = |rng: &mut ChaCha8Rng, rows: &std::sync::Arc<ClusterTree>, cols: &std::sync::Arc<ClusterTree>| {
        Hss::on_trees(rows.clone(), cols.clone(), layout.clone(), normal(rng, layout.len())).unwrap()
    };
    let (a, b) = (make(&mut rng, &rows, &cols), make(&mut rng, &rows, &cols));
    let x = normal(&mut rng, 14);
    assert_close(&apply(&a, &x), &dense(&a).times(&column(&x)).data, "apply");
    assert_close(&apply_transpose(&a, &x), &dense(&a).transpose().times(&column(&x)).data, "transposed");
    assert_close(&entries(&a.add(&b).unwrap()), &dense(&a).plus(&dense(&b)).data, "sum");
    let product = a.multiply(&b.transpose()).unwrap();
    assert_close(&entries(&product), &dense(&a).times(&dense(&b).transpose()).data, "product");
    let other = std::sync::Arc::new(ClusterTree::with_levels(14, 2).unwrap());
    assert!(Hss::on_trees(rows, other, layout.clone(), vec![0.0; layout.len()]).is_err());
}
