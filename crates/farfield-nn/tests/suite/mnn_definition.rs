//! MNN-H and MNN-H2 against their definition by naive loops, layer by layer, in double precision.

use std::collections::BTreeMap;

use burn::tensor::Device;
use farfield_nn::rivals::{Activation, MnnConfig, Padding};
use farfield_nn::{AnyModel, Model, parameters};

use crate::mnn::{both, largest_difference, model, read, shape, small, tensor, values};

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
