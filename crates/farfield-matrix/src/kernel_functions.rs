//! Kernel functions of the distance of two points.
//!
//! | name | `f(r)` | singular at 0 |
//! | --- | --- | --- |
//! | `laplace3d` | `1 / (4 pi r)` | yes |
//! | `laplace2d` | `-log(r) / (2 pi)` | yes |
//! | `inverse` | `1 / r` | yes |
//! | `log` | `log r` | yes |
//! | `helmholtz3d:k` | `cos(k r) / (4 pi r)` | yes |
//! | `gaussian:l` | `exp(-(r / l)^2)` | |
//! | `exponential:l`, `matern12:l` | `exp(-r / l)` | |
//! | `matern32:l` | `(1 + sqrt(3) r / l) exp(-sqrt(3) r / l)` | |
//! | `matern52:l` | `(1 + sqrt(5) r / l + 5 r^2 / (3 l^2)) exp(-sqrt(5) r / l)` | |
//! | `inverse-multiquadric:l` | `(1 + (r / l)^2)^(-1/2)` | |
//! | `multiquadric:l` | `(1 + (r / l)^2)^(1/2)` | |
//! | `shifted-laplace3d:s` | `1 / (4 pi (r + s))` | |
//!
//! Rasmussen & Williams, *Gaussian Processes for Machine Learning* (2006), section 4.2, has the Matern family. A length is 1 when it is left out.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use farfield_kernels::Profile;

use crate::error::MatrixError;

/// A kernel function of the distance `r`.
///
/// ```
/// use farfield_matrix::Kernel;
/// let kernel: Kernel = "gaussian:0.5".parse()?;
/// assert_eq!(kernel.at(0.5), (-1.0f64).exp());
/// assert!("gaussian:-1".parse::<Kernel>().is_err());
/// # Ok::<(), farfield_matrix::MatrixError>(())
/// ```
#[derive(Clone)]
pub enum Kernel {
    /// `1 / (4 pi r)`: the Green's function of the Laplacian in three dimensions.
    Laplace3d,
    /// `-log(r) / (2 pi)`: the Green's function of the Laplacian in two dimensions.
    Laplace2d,
    /// `1 / r`.
    InverseDistance,
    /// `log r`.
    Logarithm,
    /// `cos(k r) / (4 pi r)`: the real part of the Green's function of the Helmholtz equation in three dimensions, for `k r < 1e5`.
    Helmholtz3d {
        /// `k`, not negative.
        wave_number: f64,
    },
    /// `exp(-(r / length)^2)`.
    Gaussian {
        /// Positive.
        length: f64,
    },
    /// `exp(-r / length)`: Matern 1/2.
    Exponential {
        /// Positive.
        length: f64,
    },
    /// Matern 3/2.
    Matern32 {
        /// Positive.
        length: f64,
    },
    /// Matern 5/2.
    Matern52 {
        /// Positive.
        length: f64,
    },
    /// `(1 + (r / length)^2)^(-1/2)`.
    InverseMultiquadric {
        /// Positive.
        length: f64,
    },
    /// `(1 + (r / length)^2)^(1/2)`.
    Multiquadric {
        /// Positive.
        length: f64,
    },
    /// `1 / (4 pi (r + shift))`.
    ShiftedLaplace3d {
        /// Positive.
        shift: f64,
    },
    /// Any function of the distance, evaluated one distance at a time. It is taken as singular when its value at 0 is not finite.
    Custom(Arc<dyn Fn(f64) -> f64 + Send + Sync>),
}

impl Kernel {
    /// The value at distance `r`, by the functions of the standard library.
    pub fn at(&self, r: f64) -> f64 {
        match self {
            Self::Laplace3d => 1.0 / (4.0 * PI * r),
            Self::Laplace2d => -r.ln() / (2.0 * PI),
            Self::InverseDistance => 1.0 / r,
            Self::Logarithm => r.ln(),
            Self::Helmholtz3d { wave_number } => (wave_number * r).cos() / (4.0 * PI * r),
            Self::Gaussian { length } => (-(r / length).powi(2)).exp(),
            Self::Exponential { length } => (-r / length).exp(),
            Self::Matern32 { length } => {
                let x = 3f64.sqrt() * r / length;
                (1.0 + x) * (-x).exp()
            }
            Self::Matern52 { length } => {
                let x = 5f64.sqrt() * r / length;
                (1.0 + x + x * x / 3.0) * (-x).exp()
            }
            Self::InverseMultiquadric { length } => 1.0 / (1.0 + (r / length).powi(2)).sqrt(),
            Self::Multiquadric { length } => (1.0 + (r / length).powi(2)).sqrt(),
            Self::ShiftedLaplace3d { shift } => 1.0 / (4.0 * PI * (r + shift)),
            Self::Custom(f) => f(r),
        }
    }

    /// Whether the value at distance 0 is not finite.
    pub fn is_singular(&self) -> bool {
        !self.at(0.0).is_finite()
    }

    /// The profile and its factor for [`farfield_kernels::Radial`]; `None` for a custom function.
    pub(crate) fn profile(&self) -> Option<(Profile, f64)> {
        let square = |length: f64| 1.0 / (length * length);
        Some(match *self {
            Self::Laplace3d => (Profile::Inverse, 0.25 / PI),
            Self::Laplace2d => (Profile::Logarithm, -0.5 / PI),
            Self::InverseDistance => (Profile::Inverse, 1.0),
            Self::Logarithm => (Profile::Logarithm, 1.0),
            Self::Helmholtz3d { wave_number } => (Profile::CosineOverDistance { wave_number }, 0.25 / PI),
            Self::Gaussian { length } => (Profile::Gaussian { a: square(length) }, 1.0),
            Self::Exponential { length } => (Profile::Exponential { a: 1.0 / length }, 1.0),
            Self::Matern32 { length } => (Profile::Matern32 { a: 3f64.sqrt() / length }, 1.0),
            Self::Matern52 { length } => (Profile::Matern52 { a: 5f64.sqrt() / length }, 1.0),
            Self::InverseMultiquadric { length } => (Profile::InverseMultiquadric { a: square(length) }, 1.0),
            Self::Multiquadric { length } => (Profile::Multiquadric { a: square(length) }, 1.0),
            Self::ShiftedLaplace3d { shift } => (Profile::ShiftedInverse { shift }, 0.25 / PI),
            Self::Custom(_) => return None,
        })
    }

    /// The kernel when its parameter is in range.
    ///
    /// # Errors
    /// [`MatrixError::Option`] for a length or shift that is not positive and finite, a wave number that is negative or not finite.
    pub fn checked(self) -> Result<Self, MatrixError> {
        let (name, value, positive) = match self {
            Self::Helmholtz3d { wave_number } => ("wave number", wave_number, false),
            Self::Gaussian { length }
            | Self::Exponential { length }
            | Self::Matern32 { length }
            | Self::Matern52 { length }
            | Self::InverseMultiquadric { length }
            | Self::Multiquadric { length } => ("length", length, true),
            Self::ShiftedLaplace3d { shift } => ("shift", shift, true),
            _ => return Ok(self),
        };
        let ok = value.is_finite() && if positive { value > 0.0 } else { value >= 0.0 };
        let rule = if positive { "must be positive and finite" } else { "must not be negative, and finite" };
        if ok { Ok(self) } else { Err(MatrixError::Option { name, value: value.to_string(), rule }) }
    }
}

impl FromStr for Kernel {
    type Err = MatrixError;

    /// A name as in the module's table.
    fn from_str(text: &str) -> Result<Self, MatrixError> {
        const RULE: &str = "must be laplace3d, laplace2d, inverse, log, helmholtz3d:k, gaussian:l, exponential:l, matern12:l, \
             matern32:l, matern52:l, inverse-multiquadric:l, multiquadric:l or shifted-laplace3d:s";
        let bad = || MatrixError::Option { name: "kernel", value: text.to_owned(), rule: RULE };
        let (name, parameter) = match text.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter.trim().parse::<f64>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let length = parameter.unwrap_or(1.0);
        let kernel = match (name.trim(), parameter) {
            ("laplace3d", None) => Self::Laplace3d,
            ("laplace2d", None) => Self::Laplace2d,
            ("inverse", None) => Self::InverseDistance,
            ("log", None) => Self::Logarithm,
            ("helmholtz3d", Some(wave_number)) => Self::Helmholtz3d { wave_number },
            ("gaussian", _) => Self::Gaussian { length },
            ("exponential" | "matern12", _) => Self::Exponential { length },
            ("matern32", _) => Self::Matern32 { length },
            ("matern52", _) => Self::Matern52 { length },
            ("inverse-multiquadric", _) => Self::InverseMultiquadric { length },
            ("multiquadric", _) => Self::Multiquadric { length },
            ("shifted-laplace3d", Some(shift)) => Self::ShiftedLaplace3d { shift },
            _ => return Err(bad()),
        };
        kernel.checked()
    }
}

impl fmt::Display for Kernel {
    /// The name that [`Kernel::from_str`] reads; `custom` for a custom function.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Laplace3d => write!(f, "laplace3d"),
            Self::Laplace2d => write!(f, "laplace2d"),
            Self::InverseDistance => write!(f, "inverse"),
            Self::Logarithm => write!(f, "log"),
            Self::Helmholtz3d { wave_number } => write!(f, "helmholtz3d:{wave_number}"),
            Self::Gaussian { length } => write!(f, "gaussian:{length}"),
            Self::Exponential { length } => write!(f, "exponential:{length}"),
            Self::Matern32 { length } => write!(f, "matern32:{length}"),
            Self::Matern52 { length } => write!(f, "matern52:{length}"),
            Self::InverseMultiquadric { length } => write!(f, "inverse-multiquadric:{length}"),
            Self::Multiquadric { length } => write!(f, "multiquadric:{length}"),
            Self::ShiftedLaplace3d { shift } => write!(f, "shifted-laplace3d:{shift}"),
            Self::Custom(_) => write!(f, "custom"),
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({self})")
    }
}
