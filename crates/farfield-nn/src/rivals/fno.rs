//! The Fourier neural operator (Li et al. 2021): lifting, layers of spectral convolution plus a dense layer over channels, head.
//!
//! ```text
//! v = L [x, grid];   v <- gelu( S_l v + W_l v + b_l ) (no activation in the last);   y = H v
//! ```
//!
//! Parameters (`kappa` = 1 when a complex number counts as one, 2 when as two reals; `m` modes an axis and sign, `w` hidden channels, `L` layers, `d` axes,
//! `c` input channels): `kappa L 2^(d-1) w^2 m^d + L (w^2 + w) + (c + d + 1) w + head`, the head `(w + 1) c_out` for one layer and `(w + 1) p + (p + 1) c_out`
//! for two. Cost: that of [`spectral`](super::spectral) and of the dense layers.

use burn::module::Module;
use burn::tensor::activation::gelu;
use burn::tensor::{DType, Device, Tensor};
use farfield_data::FieldShape;
use serde::{Deserialize, Serialize};

use super::dense::{Dense, exchanged};
use super::initial::{Initial, beside, constant, grid_coordinates};
use super::spectral::{SpectralConvolution, Transforms};
use crate::error::NnError;
use crate::model::Model;

/// What `n_modes` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModeConvention {
    /// As the authors: `m` is the number of modes of each sign. The last axis keeps `0 .. m - 1`, the others also `-m .. -1`: `2^(d-1)` corners of `m^d`.
    #[default]
    Corner,
    /// As the library neuraloperator: `m` modes of both signs together, `-m/2 .. (m - 1)/2`; of the last axis those that are not negative, `0 .. m/2`.
    Total,
}

/// The last layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// Two dense layers with GELU between them.
    #[default]
    Mlp,
    /// One dense layer.
    Linear,
}

/// Shape of a Fourier neural operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FnoConfig {
    /// Modes along each axis: one number for all, or one each. Default 12.
    pub n_modes: Modes,
    /// Channels `w` of the hidden fields. Default 32.
    pub hidden_channels: usize,
    /// Layers. Default 4.
    pub n_layers: usize,
    /// What `n_modes` counts: `"corner"` (default) or `"total"`.
    pub mode_convention: ModeConvention,
    /// `"mlp"` (default) or `"linear"`.
    pub head: Head,
    /// Channels between the two layers of the head. Default 128.
    pub projection_channels: usize,
    /// Whether the coordinates of the grid, from 0 to 1, are further input channels. Default true.
    pub grid: bool,
    /// Zero points added at the end of each axis before the first and cut off after the last layer, for fields that are not periodic. Default 0.
    pub padding: usize,
}

/// Modes along each axis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Modes {
    /// The same along every axis.
    Same(usize),
    /// One number an axis.
    Each(Vec<usize>),
}

impl Default for FnoConfig {
    fn default() -> Self {
        Self {
            n_modes: Modes::Same(12),
            hidden_channels: 32,
            n_layers: 4,
            mode_convention: ModeConvention::Corner,
            head: Head::Mlp,
            projection_channels: 128,
            grid: true,
            padding: 0,
        }
    }
}

impl FnoConfig {
    /// Frequencies kept along each axis of a grid (padding included).
    pub(crate) fn frequencies(&self, grid: &[usize]) -> Result<Vec<Vec<i64>>, NnError> {
        let counts = match &self.n_modes {
            Modes::Same(m) => vec![*m; grid.len()],
            Modes::Each(counts) => counts.clone(),
        };
        let shown = || format!("{counts:?}");
        if counts.len() != grid.len() {
            let rule = format!("the data have {} axes", grid.len());
            return Err(NnError::config("model.n_modes", shown(), rule));
        }
        let mut out = Vec::new();
        for (axis, (&m, &n)) in counts.iter().zip(grid).enumerate() {
            let last = axis + 1 == grid.len();
            let (m, n) = (m as i64, n as i64);
            let (lowest, highest) = match (self.mode_convention, last) {
                (ModeConvention::Corner, true) => (0, m - 1),
                (ModeConvention::Corner, false) => (-m, m - 1),
                (ModeConvention::Total, true) => (0, m / 2),
                (ModeConvention::Total, false) => (-(m / 2), (m + 1) / 2 - 1),
            };
            if m < 1 || highest > n / 2 || (!last && highest - lowest + 1 > n) {
                let rule = format!("axis {axis} has {n} points, so frequencies up to {}", n / 2);
                return Err(NnError::config("model.n_modes", shown(), rule));
            }
            // Positive ones first, then negative ones from the lowest.
            out.push((0..=highest).chain(lowest.min(0)..0).collect());
        }
        Ok(out)
    }

    /// Checks every field by itself.
    ///
    /// # Errors
    /// The first field that cannot be.
    pub fn validate(&self) -> Result<(), NnError> {
        super::check_counts(&[
            ("model.hidden_channels", self.hidden_channels),
            ("model.n_layers", self.n_layers),
            ("model.projection_channels", self.projection_channels),
        ])?;
        if self.padding > 1 << 16 {
            return Err(NnError::config("model.padding", self.padding, "must be at most 65536"));
        }
        Ok(())
    }

    /// The grid with the padding.
    pub(crate) fn padded(&self, grid: &[usize]) -> Vec<usize> {
        grid.iter().map(|n| n + self.padding).collect()
    }

    /// Number of trainable real numbers: a complex one counts twice.
    ///
    /// # Errors
    /// As [`Fno::new`].
    pub fn parameters(&self, input: &FieldShape, output: &FieldShape) -> Result<f64, NnError> {
        self.validate()?;
        super::check_same_grid("fno", input, output)?;
        let modes: f64 = self.frequencies(&self.padded(&input.grid))?.iter().map(|k| k.len() as f64).product();
        let (w, p) = (self.hidden_channels, self.projection_channels);
        let layer = 2.0 * modes * (w as f64).powi(2) + super::dense_parameters(w, w);
        let head = match self.head {
            Head::Linear => super::dense_parameters(w, output.channels),
            Head::Mlp => super::dense_parameters(w, p) + super::dense_parameters(p, output.channels),
        };
        Ok(super::dense_parameters(self.channels_in(input), w) + self.n_layers as f64 * layer + head)
    }

    fn channels_in(&self, input: &FieldShape) -> usize {
        input.channels + if self.grid { input.grid.len() } else { 0 }
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct Fno {
    lift: Dense,
    spectral: Vec<SpectralConvolution>,
    dense: Vec<Dense>,
    head: Vec<Dense>,
    /// Coordinates, `[axes, 1, points]`; without any when the grid is no input.
    #[module(skip)]
    coordinates: Option<Tensor<3>>,
    #[module(skip)]
    config: FnoConfig,
    #[module(skip)]
    input: FieldShape,
    #[module(skip)]
    output: FieldShape,
}

impl Fno {
    /// A network with random weights on `device` (an autodiff device to train).
    ///
    /// # Errors
    /// The field of the configuration that is wrong or does not fit the shapes; grids that differ.
    pub fn new(
        config: &FnoConfig,
        input: &FieldShape,
        output: &FieldShape,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, NnError> {
        config.validate()?;
        super::check_same_grid("fno", input, output)?;
        let padded = config.padded(&input.grid);
        let transforms = Transforms::new(&padded, &config.frequencies(&padded)?, device, dtype);
        let (w, axes) = (config.hidden_channels, input.grid.len());
        let mut initial = Initial::new(seed, device, dtype);
        let lift = Dense::new(config.channels_in(input), w, &mut initial);
        let (mut spectral, mut dense) = (Vec::new(), Vec::new());
        for _ in 0..config.n_layers {
            spectral.push(SpectralConvolution::new(transforms.clone(), w, w, &mut initial));
            dense.push(Dense::new(w, w, &mut initial));
        }
        let head = match config.head {
            Head::Linear => vec![Dense::new(w, output.channels, &mut initial)],
            Head::Mlp => {
                let p = config.projection_channels;
                vec![Dense::new(w, p, &mut initial), Dense::new(p, output.channels, &mut initial)]
            }
        };
        let coordinates =
            config.grid.then(|| constant([axes, 1, input.points()], grid_coordinates(&input.grid), device, dtype));
        let (config, input, output) = (config.clone(), input.clone(), output.clone());
        Ok(Self { lift, spectral, dense, head, coordinates, config, input, output })
    }

    /// The configuration that the network was made from.
    pub fn config(&self) -> &FnoConfig {
        &self.config
    }

    /// Parameters when a complex number counts as one. [`Model::num_parameters`] counts it as two.
    pub fn num_parameters_complex(&self) -> usize {
        self.num_parameters() - self.spectral.iter().map(|s| s.num_params() / 2).sum::<usize>()
    }
}

impl Model for Fno {
    fn input_shape(&self) -> &FieldShape {
        &self.input
    }

    fn output_shape(&self) -> &FieldShape {
        &self.output
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, points] = x.dims();
        let x = exchanged(x);
        let x = match &self.coordinates {
            None => x,
            Some(grid) => {
                let [axes, _, _] = grid.dims();
                let grid = beside(grid, &x).expand([axes, batch, points]);
                Tensor::cat(vec![x, grid], 0)
            }
        };
        let grid = &self.input.grid;
        let mut v = padded(self.lift.forward(x), grid, self.config.padding);
        for (l, (spectral, dense)) in self.spectral.iter().zip(&self.dense).enumerate() {
            let sum = spectral.forward(v.clone()) + dense.forward(v);
            v = if l + 1 < self.spectral.len() { gelu(sum) } else { sum };
        }
        let v = cropped(v, grid, self.config.padding);
        let mut layers = self.head.iter();
        let v = layers.next().map_or(v.clone(), |first| first.forward(v));
        exchanged(layers.fold(v, |v, layer| layer.forward(gelu(v))))
    }
}

/// Zeros at the end of every axis.
fn padded(x: Tensor<3>, grid: &[usize], padding: usize) -> Tensor<3> {
    let [channels, batch, _] = x.dims();
    if padding == 0 {
        return x;
    }
    let mut x = x;
    let mut after = grid.iter().product::<usize>();
    let mut before = batch * channels;
    for &n in grid {
        after /= n;
        // Axes before this one are padded, those after it are not.
        let z = x.reshape([before, n, after]);
        let zeros = Tensor::zeros([before, padding, after], (&z.device(), z.dtype()));
        x = Tensor::cat(vec![z, zeros], 1);
        before *= n + padding;
    }
    let points = before / (batch * channels);
    x.reshape([channels, batch, points])
}

/// The inverse of [`padded`].
fn cropped(x: Tensor<3>, grid: &[usize], padding: usize) -> Tensor<3> {
    let [channels, batch, points] = x.dims();
    if padding == 0 {
        return x;
    }
    let mut x = x;
    let mut after = points;
    let mut before = batch * channels;
    for &n in grid {
        after /= n + padding;
        x = x.reshape([before, n + padding, after]).narrow(1, 0, n);
        before *= n;
    }
    x.reshape([channels, batch, grid.iter().product()])
}
