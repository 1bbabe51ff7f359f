//! How far the output of a multilayer perceptron can move when its weights are compressed: proven, for given inputs.
//!
//! The dense network computes `h_l = f_l(W_l h_(l-1) + b_l)`, the compressed one the same with `H_l`. With `t_l >= ||W_l - H_l||_2` from the certificates and
//! Lipschitz constants `c_l` of the activations, from
//!
//! ```text
//! H_l g_(l-1) - W_l h_(l-1) = (H_l - W_l) h_(l-1) + H_l (g_(l-1) - h_(l-1))
//! ```
//!
//! it follows that `e_l <= c_l (t_l ||h_(l-1)|| + (||W_l||_2 + t_l) e_(l-1))`, `e_0 = 0`. The activations `h` are those of the dense network on the very input, so the bound is
//! smaller than a product of norms; `||W_l||_2` is bounded by a proven value. Both networks are evaluated in double precision here, and a running bound
//! on the rounding errors of that (Higham 2002, section 3.1) is added, so a measured difference never exceeds the bound.
//!
//! Cost: two evaluations of the network, and a Gram matrix and a Cholesky factorisation or two a layer.

use farfield_matrix::{LinearOperator, Matrix};
use serde::Serialize;

use crate::compressed_matrix::CompressedMatrix;
use crate::dense::from_matrix;
use crate::error::CompressError;
use crate::residual::{upper_norm, upper_spectral};

/// Activation functions with known Lipschitz constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` for positive `x`, else this multiple of it.
    LeakyRelu(f64),
    /// `tanh x`.
    Tanh,
    /// `sin x`.
    Sine,
    /// `x Phi(x)`, by the error function in the form of Abramowitz & Stegun 7.1.26 (within 2e-7).
    Gelu,
}

impl Activation {
    /// The largest slope. That of `x Phi(x)` is 1.12890 at `x = sqrt(2)`; 1.13 also covers its approximations.
    pub fn lipschitz(self) -> f64 {
        match self {
            Self::LeakyRelu(slope) => slope.abs().max(1.0),
            Self::Gelu => 1.13,
            _ => 1.0,
        }
    }

    /// The value at `x`.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Relu => x.max(0.0),
            Self::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            Self::Tanh => x.tanh(),
            Self::Sine => x.sin(),
            Self::Gelu => 0.5 * x * (1.0 + error_function(x * std::f64::consts::FRAC_1_SQRT_2)),
        }
    }

    /// A bound on the rounding error of [`Self::apply`], relative to the argument. All of them have `|f(x)| <= c |x|`.
    fn rounding(self) -> f64 {
        match self {
            Self::Identity | Self::Relu => 0.0,
            _ => 16.0 * f64::EPSILON,
        }
    }
}

/// Abramowitz & Stegun 7.1.26.
fn error_function(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let series =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    (1.0 - series * (-x * x).exp()).copysign(x)
}

/// One layer, dense and compressed.
#[derive(Clone, Debug)]
pub struct MlpLayer {
    /// The weight, `outputs x inputs`.
    pub weight: Matrix<f64>,
    /// Its compressed form with a bound on `||W - H||_2` (that on the Frobenius norm will do); `None` for a weight that is kept.
    pub compressed: Option<(CompressedMatrix, f64)>,
    /// The bias; empty for none.
    pub bias: Vec<f64>,
    /// The activation after it.
    pub activation: Activation,
}

/// The difference of the two networks after one layer, on one input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LayerDifference {
    /// Proven bound on its 2-norm.
    pub bound: f64,
    /// Its 2-norm, measured.
    pub measured: f64,
    /// 2-norm of the output of the dense layer.
    pub output_norm: f64,
}

/// For each input (a column of `inputs`) the differences after each layer; the last one is that of the output.
///
/// # Errors
/// [`CompressError::Shape`] for layers, biases or inputs that do not fit each other.
pub fn output_bounds(layers: &[MlpLayer], inputs: &Matrix<f64>) -> Result<Vec<Vec<LayerDifference>>, CompressError> {
    let unit = f64::EPSILON / 2.0;
    let count = inputs.ncols();
    let (mut dense, mut compressed) = (inputs.clone(), inputs.clone());
    let mut out = vec![Vec::with_capacity(layers.len()); count];
    // Difference of the exact networks, and rounding errors of either evaluation.
    let (mut error, mut rounding) = (vec![0.0; count], vec![0.0; count]);
    for (l, layer) in layers.iter().enumerate() {
        let (m, n) = (layer.weight.nrows(), layer.weight.ncols());
        let fits = |what, got: String, expected: String| match got == expected {
            true => Ok(()),
            false => Err(CompressError::shape(what, format!("{got} (layer {l})"), expected)),
        };
        fits("inputs of a layer", n.to_string(), dense.nrows().to_string())?;
        if !layer.bias.is_empty() {
            fits("bias of a layer", layer.bias.len().to_string(), m.to_string())?;
        }
        let weight = from_matrix(&layer.weight);
        let (norm, frobenius) = (upper_spectral(weight.as_ref()), upper_norm(weight.as_ref()));
        let (t, mut factor_norm, mut rank) = (layer.compressed.as_ref().map_or(0.0, |c| c.1), frobenius, n);
        let next = match &layer.compressed {
            None => layer.weight.apply(&compressed)?,
            Some((factors, _)) => {
                fits("compressed weight", format!("{} x {}", factors.nrows(), factors.ncols()), format!("{m} x {n}"))?;
                factor_norm = factor_norm.max(sizes(factors));
                rank += factors.max_rank() + factors.blocks().len();
                factors.apply(&compressed)?
            }
        };
        let own = layer.weight.apply(&dense)?;
        let lipschitz = layer.activation.lipschitz();
        let bias = |i: usize| layer.bias.get(i).copied().unwrap_or(0.0);
        let bias_norm = layer.bias.iter().map(|b| b * b).sum::<f64>().sqrt();
        let activated = |z: &Matrix<f64>| Matrix::from_fn(m, count, |i, j| layer.activation.apply(z[(i, j)] + bias(i)));
        let size = |x: &Matrix<f64>, j: usize| {
            x.col(j).iter().map(|x| x * x).sum::<f64>().sqrt() * (1.0 + 2.0 * n as f64 * unit)
        };
        let (h, g) = (activated(&own), activated(&next));
        for j in 0..count {
            let input = size(&dense, j).max(size(&compressed, j));
            // Of the products, the bias and the activation, on inputs that carry rounding errors.
            let product = 2.0 * (rank + 3) as f64 * unit * factor_norm * input;
            let argument = (norm + t) * (input + rounding[j]) + bias_norm;
            let fresh = lipschitz * (product + 2.0 * unit * argument) + layer.activation.rounding() * argument;
            error[j] = lipschitz * (t * (size(&dense, j) + rounding[j]) + (norm + t) * error[j]) * (1.0 + 8.0 * unit);
            rounding[j] = lipschitz * (norm + t) * rounding[j] + fresh;
            let measured = (0..m).map(|i| (h[(i, j)] - g[(i, j)]).powi(2)).sum::<f64>().sqrt();
            let bound = error[j] + 2.0 * rounding[j];
            out[j].push(LayerDifference { bound, measured, output_norm: size(&h, j) });
        }
        (dense, compressed) = (h, g);
    }
    Ok(out)
}

/// A bound on the products of the norms of all factors, for rounding errors.
fn sizes(factors: &CompressedMatrix) -> f64 {
    use crate::compressed_matrix::BlockContent;
    let square = |content: &BlockContent| match content {
        BlockContent::Dense(d) => upper_norm(d.as_ref()).powi(2),
        BlockContent::LowRank { u, v } => (upper_norm(u.as_ref()) * upper_norm(v.as_ref())).powi(2),
    };
    factors.blocks().iter().map(|block| square(&block.content)).sum::<f64>().sqrt() * 1.001
}
