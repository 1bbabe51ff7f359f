//! MNN-H and MNN-H2: published numbers of parameters, the definition by naive loops, gradients, symmetries, files, what is refused.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use farfield_data::{FieldShape, Normalizer};
use farfield_nn::config::Precision;
use farfield_nn::parameters::{self, NamedTensor};
use farfield_nn::rivals::{Activation, Connection, ConvNetConfig, MnnConfig, Padding};
use farfield_nn::{AnyModel, AnyModelConfig, Model, Normalizers, model_file};

const CONNECTIONS: [Connection; 3] = [Connection::Conv, Connection::Lc, Connection::Mix];
const PADDINGS: [Padding; 2] = [Padding::Periodic, Padding::Zero];

fn shape(channels: usize, grid: &[usize]) -> FieldShape {
    FieldShape::new(channels, grid)
}

fn both(config: &MnnConfig) -> [AnyModelConfig; 2] {
    [AnyModelConfig::MnnH(config.clone()), AnyModelConfig::MnnH2(config.clone())]
}

/// A model in double precision whose biases are not zero either.
fn model(config: &AnyModelConfig, input: &FieldShape, output: &FieldShape, device: &Device) -> AnyModel {
    let model = config.build(input, output, 7, device, DType::F64).unwrap();
    let tensors = parameters::export(&model).into_iter().enumerate().map(|(k, p)| {
        let moved: Vec<f64> =
            p.data.iter::<f64>().enumerate().map(|(i, v)| v + 0.2 * (1.9 * i as f64 + k as f64).sin()).collect();
        NamedTensor { name: p.name, data: TensorData::new(moved, p.data.shape().clone()) }
    });
    parameters::import(model, tensors.collect()).unwrap()
}

fn values(batch: usize, shape: &FieldShape) -> Vec<f64> {
    (0..batch * shape.len()).map(|i| (1.3 * i as f64).sin() + 0.2 * (i % 5) as f64).collect()
}

fn tensor(values: &[f64], shape: &FieldShape, device: &Device) -> Tensor<3> {
    let batch = values.len() / shape.len();
    let data = TensorData::new(values.to_vec(), [batch, shape.channels, shape.points()]);
    Tensor::from_data(data, (device, DType::F64))
}

fn read(y: Tensor<3>) -> Vec<f64> {
    y.into_data().try_to_vec::<f64>().unwrap()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn parameters_are_the_published_ones() {
    let device = Device::flex();
    let count = |config: &AnyModelConfig, field: &FieldShape| {
        config.build(field, field, 1, &device, DType::F32).unwrap().num_parameters()
    };
    let line = shape(1, &[320]);
    let [h, h2] = both(&MnnConfig::default());
    assert_eq!((count(&h, &line), count(&h2, &line)), (8_535, 7_209));
    let with = |connection| MnnConfig { connection, padding: Padding::Zero, ..MnnConfig::default() };
    assert_eq!(count(&AnyModelConfig::MnnH2(with(Connection::Lc)), &line), 198_384);
    assert_eq!(count(&AnyModelConfig::MnnH2(with(Connection::Mix)), &line), 25_794);
    // 80 x 80 points, as the authors' programs: four levels, boxes of 5 x 5.
    let (plane, layer) = (shape(1, &[80, 80]), |taps: usize, from: usize, to: usize| (taps * from + 1) * to);
    let near = 5 * layer(9, 25, 25);
    let kernels = 5 * (layer(25, 6, 6) + 2 * layer(49, 6, 6));
    let nested = layer(25, 1, 6) + 2 * layer(4, 6, 6) + 2 * layer(1, 6, 24) + layer(1, 6, 25);
    assert_eq!(count(&AnyModelConfig::MnnH2(MnnConfig::default()), &plane), near + kernels + nested);
    let single: usize = [400, 100, 25].map(|w| layer(w, 1, 6) + layer(1, 6, w)).iter().sum();
    assert_eq!(count(&AnyModelConfig::MnnH(MnnConfig::default()), &plane), near + kernels + single);
    let boxes = [16, 64, 256];
    let own =
        boxes[2] * (layer(25, 1, 6) + layer(1, 6, 25)) + (boxes[0] + boxes[1]) * (layer(4, 6, 6) + layer(1, 6, 24));
    assert_eq!(count(&AnyModelConfig::MnnH2(with(Connection::Mix)), &plane), near + kernels + own);
}

#[test]
fn the_formula_counts_what_is_there() {
    // A file is refused before memory is taken where the formula and the file differ: they must agree everywhere.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let device = Device::flex();
    for (input, output) in [(shape(1, &[16]), shape(1, &[16])), (shape(2, &[8, 24]), shape(3, &[8, 24]))] {
        for connection in CONNECTIONS {
            for n_layers in [1, 2, 3] {
                let config = MnnConfig { connection, n_layers, hidden_channels: 3, ..MnnConfig::default() };
                for config in both(&config) {
                    for (dtype, precision) in [(DType::F32, Precision::F32), (DType::F64, Precision::F64)] {
                        let model = config.build(&input, &output, 5, &device, dtype).unwrap();
                        assert_eq!(model.num_parameters(), model.num_params());
                        assert_eq!(model.num_parameters_complex(), model.num_params());
                        let scale = |n| Normalizer::new(vec![0.1; n], vec![1.7; n]).unwrap();
                        let normalizers = Normalizers { input: scale(input.channels), output: scale(output.channels) };
                        model_file::save(&path, &model, &normalizers, precision).unwrap();
                        let loaded = model_file::load(&path, &device).unwrap().model;
                        assert_eq!(loaded.config(), config);
                        let x = tensor(&values(2, &input), &input, &device).cast(dtype);
                        assert_eq!(loaded.forward(x.clone()).into_data(), model.forward(x).into_data());
                    }
                }
            }
        }
    }
}

/// The networks by their definition, with loops over points, boxes and channels in the coordinates of the grid. A grid of one axis is one of two with a first axis
/// of one point.
struct Oracle<'a> {
    config: &'a MnnConfig,
    levels: usize,
    axes: usize,
    grid: [usize; 2],
    parameters: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    channels: [usize; 2],
}

/// Numbers of boxes, row-major over the boxes of a level.
type Boxes = Vec<Vec<f64>>;

impl<'a> Oracle<'a> {
    fn new(model: &AnyModel, config: &'a MnnConfig, levels: usize) -> Self {
        let tensors = parameters::export(model).into_iter().map(|p| {
            let name = p.name.split_once('.').unwrap().1.to_owned();
            (name, (p.data.shape().to_vec(), p.data.iter::<f64>().collect()))
        });
        let grid = &model.input_shape().grid;
        let channels = [model.input_shape().channels, model.output_shape().channels];
        let axes = grid.len();
        let grid = if axes == 1 { [1, grid[0]] } else { [grid[0], grid[1]] };
        Self { config, levels, axes, grid, parameters: tensors.collect(), channels }
    }

    /// Boxes along both axes.
    fn sides(&self, level: usize) -> [usize; 2] {
        [if self.axes == 1 { 1 } else { 1 << level }, 1 << level]
    }

    /// Depth-first number of a box: the bits of its coordinates in turn, those of the first axis higher.
    fn number(&self, [i, j]: [usize; 2]) -> usize {
        let bits = (0..16).map(|b| {
            if self.axes == 1 { (j >> b & 1) << b } else { (j >> b & 1) << (2 * b) | (i >> b & 1) << (2 * b + 1) }
        });
        bits.sum()
    }

    /// `W x + b` with the map of a box.
    fn map(&self, name: &str, place: [usize; 2], x: &[f64]) -> Vec<f64> {
        let (shape, weight) = &self.parameters[&format!("{name}.weight")];
        let (_, bias) = &self.parameters[&format!("{name}.bias")];
        let own = if shape[0] == 1 { 0 } else { self.number(place) };
        assert_eq!(x.len(), shape[2], "{name}");
        let row = |o: usize| (own * shape[1] + o) * shape[2];
        (0..shape[1])
            .map(|o| bias[own * shape[1] + o] + x.iter().enumerate().map(|(k, x)| weight[row(o) + k] * x).sum::<f64>())
            .collect()
    }

    fn each(&self, level: usize, of: impl Fn([usize; 2]) -> Vec<f64>) -> Boxes {
        let [rows, columns] = self.sides(level);
        (0..rows).flat_map(|i| (0..columns).map(move |j| [i, j])).map(of).collect()
    }

    /// Points of a box in the order of its leaves, row-major in each: coordinates on the grid.
    fn points(&self, level: usize, [i, j]: [usize; 2]) -> Vec<[usize; 2]> {
        let (inside, leaves) = (self.sides(self.levels - level), self.sides(self.levels));
        let size = [self.grid[0] / leaves[0], self.grid[1] / leaves[1]];
        let mut leaf: Vec<[usize; 2]> = (0..inside[0]).flat_map(|a| (0..inside[1]).map(move |b| [a, b])).collect();
        leaf.sort_by_key(|&place| self.number(place));
        let mut points = Vec::new();
        for [a, b] in leaf {
            for p in 0..size[0] {
                for q in 0..size[1] {
                    points.push([(i * inside[0] + a) * size[0] + p, (j * inside[1] + b) * size[1] + q]);
                }
            }
        }
        points
    }

    /// The numbers of a box in a field `[channels, points]`.
    fn box_of(&self, field: &[f64], channels: usize, level: usize, place: [usize; 2]) -> Vec<f64> {
        let all = self.grid[0] * self.grid[1];
        let points = self.points(level, place);
        points.iter().flat_map(|[p, q]| (0..channels).map(move |c| field[c * all + p * self.grid[1] + q])).collect()
    }

    /// The inverse: adds the numbers of all boxes to a field.
    fn add(&self, boxes: &Boxes, level: usize, field: &mut [f64]) {
        let (all, [_, columns], channels) = (self.grid[0] * self.grid[1], self.sides(level), self.channels[1]);
        for (k, numbers) in boxes.iter().enumerate() {
            let points = self.points(level, [k / columns, k % columns]);
            for (k, [p, q]) in points.into_iter().enumerate() {
                for c in 0..channels {
                    field[c * all + p * self.grid[1] + q] += numbers[k * channels + c];
                }
            }
        }
    }

    /// A stack of band layers.
    fn band(&self, name: &str, level: usize, half_width: usize, all: bool, x: Boxes) -> Boxes {
        let [rows, columns] = self.sides(level);
        let half = half_width as i64;
        let first = if self.axes == 1 { 0 } else { half };
        let mut x = x;
        for layer in 0..self.config.n_layers {
            x = self.each(level, |[i, j]| {
                let mut around = Vec::new();
                for di in -first..=first {
                    for dj in -half..=half {
                        let (mut k, mut l) = (i as i64 + di, j as i64 + dj);
                        if self.config.padding == Padding::Periodic {
                            (k, l) = (k.rem_euclid(rows as i64), l.rem_euclid(columns as i64));
                        }
                        if (0..rows as i64).contains(&k) && (0..columns as i64).contains(&l) {
                            around.extend(&x[k as usize * columns + l as usize]);
                        } else {
                            around.extend(vec![0.0; x[0].len()]);
                        }
                    }
                }
                let mut y = self.map(&format!("{name}.layers.{layer}"), [i, j], &around);
                if self.config.activation == Activation::Relu && (all || layer + 1 < self.config.n_layers) {
                    y.iter_mut().for_each(|y| *y = y.max(0.0));
                }
                y
            });
        }
        x
    }

    fn kernel(&self, level: usize, z: Boxes) -> Boxes {
        let half_width = if level == 2 { self.config.coarsest_band } else { self.config.band };
        self.band(&format!("kernels.{}", level - 2), level, half_width, true, z)
    }

    /// One sample.
    fn apply(&self, nested: bool, x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; self.channels[1] * self.grid[0] * self.grid[1]];
        let v = |level| self.each(level, |place| self.box_of(x, self.channels[0], level, place));
        self.add(
            &self.band("adjacent", self.levels, self.config.adjacent_band, false, v(self.levels)),
            self.levels,
            &mut y,
        );
        let far = |name: &str, level: usize, x: &Boxes| -> Boxes {
            let columns = self.sides(level)[1];
            self.each(level, |[i, j]| self.map(&format!("{name}.{}", level - 2), [i, j], &x[i * columns + j]))
        };
        if !nested {
            for level in 2..=self.levels {
                let w = self.kernel(level, far("restrictions", level, &v(level)));
                self.add(&far("interpolations", level, &w), level, &mut y);
            }
            return y;
        }
        let mut z = BTreeMap::from([(self.levels, far("restrictions", self.levels, &v(self.levels)))]);
        let twice = |[i, j]: [usize; 2], [a, b]: [usize; 2]| {
            if self.axes == 1 { [i, 2 * j + b] } else { [2 * i + a, 2 * j + b] }
        };
        let children = |place: [usize; 2]| -> Vec<[usize; 2]> {
            let first = if self.axes == 1 { 1 } else { 2 };
            (0..first).flat_map(|a| (0..2).map(move |b| [a, b])).map(|child| twice(place, child)).collect()
        };
        for level in (2..self.levels).rev() {
            let (finer, columns) = (&z[&(level + 1)], self.sides(level + 1)[1]);
            let stacked = self.each(level, |place| {
                children(place).into_iter().flat_map(|[i, j]| finer[i * columns + j].clone()).collect()
            });
            z.insert(level, far("restrictions", level, &stacked));
        }
        let mut above: Option<Boxes> = None;
        for level in 2..=self.levels {
            let mut w = self.kernel(level, z[&level].clone());
            if let Some(above) = above {
                // What box `[i, j]` of the level above gives to its children, one after the other.
                let (columns, alpha) = (self.sides(level - 1)[1], self.config.hidden_channels);
                let here = self.sides(level)[1];
                for (k, numbers) in above.iter().enumerate() {
                    for (child, [i, j]) in children([k / columns, k % columns]).into_iter().enumerate() {
                        for c in 0..alpha {
                            w[i * here + j][c] += numbers[child * alpha + c];
                        }
                    }
                }
            }
            above = Some(far("interpolations", level, &w));
        }
        self.add(&above.unwrap(), self.levels, &mut y);
        y
    }
}

/// Small configurations: every connection, padding and activation in turn.
fn small() -> Vec<MnnConfig> {
    let mut list = Vec::new();
    for connection in CONNECTIONS {
        for padding in PADDINGS {
            let activation = if padding == Padding::Zero && connection == Connection::Mix {
                Activation::None
            } else {
                Activation::Relu
            };
            let (hidden_channels, n_layers) = (3, 2);
            list.push(MnnConfig { connection, padding, activation, hidden_channels, n_layers, ..MnnConfig::default() });
        }
    }
    list.push(MnnConfig { adjacent_band: 0, coarsest_band: 3, band: 1, n_layers: 1, ..list[1].clone() });
    list
}

#[test]
fn the_networks_are_their_definitions() {
    let device = Device::flex();
    for (channels, grid, levels) in [
        ((1, 1), vec![24], 3),
        ((2, 1), vec![16], 2),
        ((1, 3), vec![32], 4),
        ((1, 1), vec![8, 12], 2),
        ((2, 3), vec![16, 8], 3),
    ] {
        let (input, output) = (shape(channels.0, &grid), shape(channels.1, &grid));
        for config in small() {
            let config = MnnConfig { levels: Some(levels), ..config };
            for (nested, any) in both(&config).into_iter().enumerate() {
                let model = model(&any, &input, &output, &device);
                let oracle = Oracle::new(&model, &config, levels);
                let x = values(2, &input);
                let y = read(model.forward(tensor(&x, &input, &device)));
                let expected: Vec<f64> =
                    x.chunks_exact(input.len()).flat_map(|x| oracle.apply(nested == 1, x)).collect();
                let scale = expected.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
                let error = largest_difference(&y, &expected);
                assert!(error < 1e-13 * scale, "{any:?} on {grid:?}: {error} of {scale}");
            }
        }
    }
}

/// The derivative along a direction, from the gradient.
struct Along<'a> {
    gradients: Gradients,
    direction: std::slice::Iter<'a, Vec<f64>>,
    sum: f64,
}

impl ModuleVisitor for Along<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let direction = self.direction.next().unwrap();
        let gradient = param.val().grad(&self.gradients).expect("the loss depends on every parameter");
        self.sum += gradient.into_data().iter::<f64>().zip(direction).map(|(g, d)| g * d).sum::<f64>();
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    for (grid, levels) in [(vec![24], 3), (vec![8, 8], 2)] {
        let (input, output) = (shape(2, &grid), shape(1, &grid));
        for config in small() {
            for any in both(&MnnConfig { levels: Some(levels), ..config }) {
                let model = model(&any, &input, &output, &device);
                let x = values(2, &input);
                let weights = tensor(&values(2, &output), &output, &device).mul_scalar(0.7).sin();
                let base = parameters::export(&model);
                // One direction in the parameters and one in the input.
                let direction: Vec<Vec<f64>> = base
                    .iter()
                    .map(|p| (0..p.data.num_elements()).map(|i| (0.9 * i as f64 + p.name.len() as f64).cos()).collect())
                    .collect();
                let turn: Vec<f64> = (0..x.len()).map(|i| (0.4 * i as f64).cos()).collect();
                let loss = |model: &AnyModel, x: Tensor<3>| (model.forward(x) * weights.clone()).sum();
                let moved = |step: f64| {
                    let tensors = base.iter().zip(&direction).map(|(p, d)| {
                        let moved: Vec<f64> = p.data.iter::<f64>().zip(d).map(|(x, d)| x + step * d).collect();
                        NamedTensor { name: p.name.clone(), data: TensorData::new(moved, p.data.shape().clone()) }
                    });
                    let there = parameters::import(
                        any.build(&input, &output, 7, &device, DType::F64).unwrap(),
                        tensors.collect(),
                    );
                    let x: Vec<f64> = x.iter().zip(&turn).map(|(x, d)| x + step * d).collect();
                    loss(&there.unwrap(), tensor(&x, &input, &device)).into_scalar::<f64>()
                };
                let step = 1e-6;
                let difference = (moved(step) - moved(-step)) / (2.0 * step);
                let x = tensor(&x, &input, &device).require_grad();
                let gradients = loss(&model, x.clone()).backward();
                let by_input = x.grad(&gradients).unwrap().into_data();
                let by_input: f64 = by_input.iter::<f64>().zip(&turn).map(|(g, d)| g * d).sum();
                let mut along = Along { gradients, direction: direction.iter(), sum: by_input };
                model.visit(&mut along);
                let exact = along.sum;
                assert!((difference - exact).abs() < 1e-7 * (1.0 + exact.abs()), "{any:?}: {difference} {exact}");
            }
        }
    }
}

/// A field moved by so many points along its last axis, periodically.
fn shifted(x: &[f64], n: usize, by: usize) -> Vec<f64> {
    x.chunks_exact(n).flat_map(|line| (0..n).map(|i| line[(i + n - by) % n]).collect::<Vec<_>>()).collect()
}

#[test]
fn convolutions_commute_with_translations_by_boxes() {
    let device = Device::flex();
    for (grid, by) in [(vec![32], 8), (vec![16, 32], 8)] {
        let field = shape(1, &grid);
        let n = grid[grid.len() - 1];
        let error = |config: &AnyModelConfig, by: usize| {
            let model = model(config, &field, &field, &device);
            let x = values(1, &field);
            let moved = read(model.forward(tensor(&shifted(&x, n, by), &field, &device)));
            let expected = shifted(&read(model.forward(tensor(&x, &field, &device))), n, by);
            largest_difference(&moved, &expected)
        };
        for config in both(&MnnConfig { n_layers: 2, ..MnnConfig::default() }) {
            // A box of level 2 is a quarter of the axis.
            assert!(error(&config, by) < 1e-12, "{config:?}");
            // By half a box the tree is another.
            assert!(error(&config, by / 2) > 1e-3);
        }
        for other in [
            MnnConfig { connection: Connection::Lc, n_layers: 2, ..MnnConfig::default() },
            MnnConfig { connection: Connection::Mix, n_layers: 2, ..MnnConfig::default() },
            MnnConfig { padding: Padding::Zero, n_layers: 2, ..MnnConfig::default() },
        ] {
            assert!(both(&other).iter().all(|config| error(config, by) > 1e-3), "{other:?}");
        }
        // The plain network by any number of points.
        let plain = ConvNetConfig { hidden_channels: 4, ..ConvNetConfig::default() };
        let zero = ConvNetConfig { padding: Padding::Zero, ..plain.clone() };
        assert!(error(&AnyModelConfig::ConvNet(plain), 3) < 1e-12);
        assert!(error(&AnyModelConfig::ConvNet(zero), 3) > 1e-3);
    }
}

/// The matrix of an affine network, row-major.
fn matrix(model: &AnyModel, field: &FieldShape, device: &Device) -> Vec<f64> {
    let n = field.points();
    let zero = read(model.forward(tensor(&vec![0.0; n], field, device)));
    let mut units = vec![0.0; n * n];
    (0..n).for_each(|i| units[i * (n + 1)] = 1.0);
    let columns = read(model.forward(tensor(&units, field, device)));
    (0..n * n).map(|k| columns[k % n * n + k / n] - zero[k / n]).collect()
}

/// Rank of some rows and columns of a matrix, by elimination with complete pivoting.
fn rank(matrix: &[f64], n: usize, rows: &[usize], columns: &[usize]) -> usize {
    let mut a: Vec<Vec<f64>> = rows.iter().map(|i| columns.iter().map(|j| matrix[i * n + j]).collect()).collect();
    let largest = a.iter().flatten().fold(0.0, |m: f64, v| m.max(v.abs()));
    for step in 0..rows.len().min(columns.len()) {
        let places = (step..rows.len()).flat_map(|i| (step..columns.len()).map(move |j| (i, j)));
        let Some((i, j)) = places.max_by(|p, q| a[p.0][p.1].abs().total_cmp(&a[q.0][q.1].abs())) else { break };
        if a[i][j].abs() <= 1e-12 * largest {
            return step;
        }
        a.swap(step, i);
        a.iter_mut().for_each(|row| row.swap(step, j));
        let pivot = a[step].clone();
        for row in &mut a[step + 1..] {
            let factor = row[step] / pivot[step];
            row.iter_mut().zip(&pivot).for_each(|(r, p)| *r -= factor * p);
        }
    }
    rows.len().min(columns.len())
}

#[test]
fn without_activation_and_with_one_layer_they_are_hierarchical_matrices() {
    let device = Device::flex();
    let (n, levels, alpha) = (128usize, 4usize, 3usize);
    let (field, leaf) = (shape(1, &[n]), n >> levels);
    for connection in CONNECTIONS {
        let config = MnnConfig {
            levels: Some(levels),
            hidden_channels: alpha,
            n_layers: 1,
            connection,
            padding: Padding::Zero,
            // All pairs of the four boxes: with the default 2 the first and the last do not see each other in one layer.
            coarsest_band: 3,
            activation: Activation::None,
            ..MnnConfig::default()
        };
        for (nested, any) in both(&config).into_iter().enumerate() {
            let model = model(&any, &field, &field, &device);
            // Affine: twice the difference to the value at zero.
            let (x, zero) = (values(1, &field), vec![0.0; n]);
            let twice: Vec<f64> = x.iter().map(|x| 2.0 * x).collect();
            let [x, zero, twice] = [x, zero, twice].map(|x| read(model.forward(tensor(&x, &field, &device))));
            let line: Vec<f64> = x.iter().zip(&zero).map(|(x, z)| 2.0 * x - z).collect();
            assert!(largest_difference(&twice, &line) < 1e-12);

            let a = matrix(&model, &field, &device);
            for level in 2..=levels {
                let (boxes, size) = (1usize << level, n >> level);
                for i in 0..boxes {
                    let own: Vec<usize> = (i * size..(i + 1) * size).collect();
                    // Finer levels, with bands of three boxes, reach less than two boxes of this one.
                    let far: Vec<usize> = (0..n).filter(|p| (p / size).abs_diff(i) > 2).collect();
                    if far.is_empty() {
                        continue;
                    }
                    // Each of the levels from 2 to this one gives rank alpha. In MNN-H they add up; nested bases share theirs.
                    let most = if nested == 1 { alpha } else { size.min((level - 1) * alpha) };
                    let ranks = [rank(&a, n, &own, &far), rank(&a, n, &far, &own)];
                    assert!(ranks.iter().all(|r| (alpha..=most).contains(r)), "{any:?}, {level}, {i}: {ranks:?}");
                }
            }
            // Neighbours are coupled by full matrices.
            let near: Vec<usize> = (leaf..2 * leaf).collect();
            assert_eq!(rank(&a, n, &(0..leaf).collect::<Vec<_>>(), &near), leaf);
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_name_of_the_field() {
    let device = Device::flex();
    let line = shape(1, &[320]);
    let base = MnnConfig::default();
    let cases: Vec<(MnnConfig, FieldShape, FieldShape, &[&str])> = vec![
        (base.clone(), shape(1, &[250]), shape(1, &[250]), &["model.kind", "axis 0 has 250 points", "4 boxes"]),
        (base.clone(), shape(1, &[16, 6]), shape(1, &[16, 6]), &["model.kind", "axis 1 has 6 points"]),
        (base.clone(), shape(1, &[8, 8, 8]), shape(1, &[8, 8, 8]), &["model.kind", "3 axes", "one and two"]),
        (base.clone(), line.clone(), shape(1, &[160]), &["must be the same"]),
        (MnnConfig { levels: Some(7), ..base.clone() }, line.clone(), line.clone(), &["model.levels = 7", "128 boxes"]),
        (MnnConfig { levels: Some(1), ..base.clone() }, line.clone(), line.clone(), &["model.levels = 1", "between"]),
        (MnnConfig { hidden_channels: 0, ..base.clone() }, line.clone(), line.clone(), &["model.hidden_channels = 0"]),
        (MnnConfig { n_layers: 0, ..base.clone() }, line.clone(), line.clone(), &["model.n_layers = 0"]),
        (MnnConfig { coarsest_band: 4, ..base.clone() }, line.clone(), line.clone(), &["model.coarsest_band = 4"]),
        (
            MnnConfig { band: 8, ..base.clone() },
            line.clone(),
            line.clone(),
            &["model.band = 8", "level 3", "at most 7"],
        ),
        (
            MnnConfig { adjacent_band: 64, ..base.clone() },
            line.clone(),
            line.clone(),
            &["model.adjacent_band = 64", "level 6", "at most 63"],
        ),
    ];
    for (config, input, output, parts) in cases {
        for config in both(&config) {
            let error = config.build(&input, &output, 1, &device, DType::F32).expect_err("a refusal").to_string();
            assert!(parts.iter().all(|part| error.contains(part)) && !error.contains('\n'), "{error}");
        }
    }
    // Two levels: the bands of finer ones play no part.
    let coarse = MnnConfig { levels: Some(2), band: 8, ..base };
    assert!(AnyModelConfig::MnnH2(coarse).build(&line, &line, 1, &device, DType::F32).is_ok());
    let read = |text: &str| serde_json::from_str::<AnyModelConfig>(text).map_err(|e| e.to_string());
    let config = read(r#"{"kind": "mnn-h2", "connection": "mix", "padding": "zero", "levels": 6}"#).unwrap();
    assert!(matches!(&config, AnyModelConfig::MnnH2(c) if c.connection == Connection::Mix && c.levels == Some(6)));
    for (text, part) in [
        (r#"{"kind": "mnn-h", "connection": "dense"}"#, "dense"),
        (r#"{"kind": "mnn-h2", "padding": "reflect"}"#, "reflect"),
        (r#"{"kind": "mnn-h2", "alpha": 6}"#, "alpha"),
        (r#"{"kind": "mnn-h2", "levels": -2}"#, "[model]"),
        (r#"{"kind": "conv", "connection": "lc"}"#, "connection"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
    for (kernel_size, part) in [(4, "must be odd"), (0, "must be odd"), (21, "axis 0 has 10 points")] {
        let config = AnyModelConfig::ConvNet(ConvNetConfig { kernel_size, ..ConvNetConfig::default() });
        let short = shape(1, &[10]);
        let error = config.build(&short, &short, 1, &device, DType::F32).expect_err("a refusal").to_string();
        assert!(error.contains("model.kernel_size") && error.contains(part), "{error}");
    }
}
