//! Activations of block-sparse layers, in place on panels.
//!
//! All of them vanish at zero, and their derivatives follow from their values, so that a layer keeps its outputs and nothing else:
//!
//! | | `f(x)` | `f'` from `y = f(x)` |
//! | --- | --- | --- |
//! | identity | `x` | 1 |
//! | ReLU | `max(x, 0)` | 1 where `y > 0`, else 0 |
//! | LeakyReLU | `x` where `x > 0`, else `slope x` | 1 where `y > 0`, else `slope` |
//! | tanh | `(1 - exp(-2x)) / (1 + exp(-2x))` | `1 - y^2` |
//!
//! NaN stays NaN. Cost: one pass over numbers that were just computed; tanh takes about 25 vector instructions for 16 numbers in `f32`, its error is a few
//! units of 1.

use crate::error::LayoutError;
use crate::microkernel::tanh;
use crate::scalar::Scalar;
use crate::simd::{VectorMath, VectorTask, dispatch, splat};
use crate::view::{Term, View};

/// A nonlinearity, applied number by number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// None.
    Identity,
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `x` where positive, else `slope x`; the slope is positive.
    LeakyRelu {
        /// Factor of negative numbers.
        slope: f64,
    },
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Whether nothing is done.
    pub fn is_identity(self) -> bool {
        self == Self::Identity
    }

    /// `f(x)`.
    pub fn value(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Relu => negative_times(x, 0.0),
            Self::LeakyRelu { slope } => negative_times(x, slope),
            Self::Tanh => x.tanh(),
        }
    }

    /// `Ok` unless the slope is not positive and finite: the derivative could not be told from the value.
    pub(super) fn check(self) -> Result<(), LayoutError> {
        match self {
            Self::LeakyRelu { slope } if !(slope > 0.0 && slope.is_finite()) => {
                Err(LayoutError::Slope { slope: slope.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// `y = f(sum A X)`.
    ///
    /// # Safety
    /// As the products of [`Kernels`](crate::microkernel::Kernels); `y` is a view of panels.
    pub(super) unsafe fn multiply<T: Scalar>(self, terms: &[Term<T>], rows: usize, vectors: usize, y: View<T>) {
        let kernels = T::kernels();
        // SAFETY: the caller's.
        unsafe {
            match self {
                Self::Identity => (kernels.multiply)(terms, rows, vectors, y, false),
                Self::Relu => (kernels.multiply_leaky)(terms, rows, vectors, y, T::ZERO),
                Self::LeakyRelu { slope } => {
                    (kernels.multiply_leaky)(terms, rows, vectors, y, T::from_f64(slope));
                }
                Self::Tanh => {
                    (kernels.multiply)(terms, rows, vectors, y, false);
                    self.apply(y, rows, vectors);
                }
            }
        }
    }

    /// `y = f(y)` for `rows` rows of `vectors` vectors.
    ///
    /// # Safety
    /// `y` is a view of panels; its rows and vectors are in bounds and nobody else touches them.
    pub(super) unsafe fn apply<T: Scalar>(self, y: View<T>, rows: usize, vectors: usize) {
        if !self.is_identity() {
            // SAFETY: the caller's.
            unsafe { dispatch(Pass { activation: self, work: Work::Apply, from: y, to: y, rows, vectors }) }
        }
    }

    /// `to += f(x)`.
    ///
    /// # Safety
    /// Both are views of panels that do not overlap; their rows and vectors are in bounds and nobody else touches `to`.
    pub(super) unsafe fn add<T: Scalar>(self, x: View<T>, to: View<T>, rows: usize, vectors: usize) {
        // SAFETY: the caller's.
        unsafe { dispatch(Pass { activation: self, work: Work::Add, from: x, to, rows, vectors }) }
    }

    /// `x = f'(x) gradient`.
    ///
    /// # Safety
    /// As [`Activation::add`], with nobody else touching `x`.
    pub(super) unsafe fn slope_times<T: Scalar>(self, x: View<T>, gradient: View<T>, rows: usize, vectors: usize) {
        // SAFETY: the caller's.
        unsafe { dispatch(Pass { activation: self, work: Work::SlopeTimes, from: gradient, to: x, rows, vectors }) }
    }

    /// `gradient *= f'`, with `f'` where `f` has the value `y`.
    ///
    /// # Safety
    /// Both are views of panels; their rows and vectors are in bounds and nobody else touches the gradient.
    pub(super) unsafe fn back<T: Scalar>(self, y: View<T>, gradient: View<T>, rows: usize, vectors: usize) {
        if !self.is_identity() {
            // SAFETY: the caller's.
            unsafe { dispatch(Pass { activation: self, work: Work::Back, from: y, to: gradient, rows, vectors }) }
        }
    }
}

fn negative_times(x: f64, slope: f64) -> f64 {
    if x <= 0.0 { slope * x } else { x }
}

/// `f(x)`.
///
/// # Safety
/// The instruction set of `S` must be there.
#[inline(always)]
unsafe fn value<S: VectorMath>(activation: Activation, x: S::V) -> S::V {
    // SAFETY: the caller's.
    unsafe {
        let above = S::max(S::zero(), x);
        match activation {
            Activation::Identity => x,
            Activation::Relu => above,
            Activation::LeakyRelu { slope } => S::mul_add(splat::<S>(slope), S::sub(x, above), above),
            Activation::Tanh => tanh::<S>(x),
        }
    }
}

/// `f' g`, from the value `y` of `f`.
///
/// # Safety
/// As [`value`].
#[inline(always)]
unsafe fn gradient<S: VectorMath>(activation: Activation, y: S::V, g: S::V) -> S::V {
    // SAFETY: the caller's.
    unsafe {
        let above = S::max(S::zero(), y);
        match activation {
            Activation::Identity => g,
            Activation::Relu => S::select_zero(above, S::zero(), g),
            Activation::LeakyRelu { slope } => S::select_zero(above, S::mul(splat::<S>(slope), g), g),
            Activation::Tanh => S::mul(S::sub(splat::<S>(1.0), S::mul(y, y)), g),
        }
    }
}

/// What a pass over rows of vectors makes of two arrays.
#[derive(Clone, Copy)]
enum Work {
    /// `to = f(to)`.
    Apply,
    /// `to += f(from)`.
    Add,
    /// `to = f'(to) from`.
    SlopeTimes,
    /// `to *= f'` with the value `from` of `f`.
    Back,
}

struct Pass<T> {
    activation: Activation,
    work: Work,
    from: View<T>,
    to: View<T>,
    rows: usize,
    vectors: usize,
}

impl<T: Scalar> VectorTask<T> for Pass<T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) {
        let f = self.activation;
        for v in 0..self.vectors {
            for i in 0..self.rows {
                let (from, to) = (self.from.at_vector(v).at_row(i).p, self.to.at_vector(v).at_row(i).p);
                // SAFETY: the caller vouches for all rows and vectors.
                unsafe {
                    let x = S::load(to);
                    let result = match self.work {
                        Work::Apply => value::<S>(f, x),
                        Work::Add => S::add(x, value::<S>(f, S::load(from))),
                        Work::SlopeTimes => gradient::<S>(f, value::<S>(f, x), S::load(from)),
                        Work::Back => gradient::<S>(f, S::load(from), x),
                    };
                    S::store(to, result);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Coefficients;

    fn values<T: Scalar>() -> Vec<T> {
        let special = [0.0, 1e-8, -1e-8, 0.3, -0.3, 30.0, -30.0, 500.0, -500.0];
        let spread = (0..87).map(|i| (f64::from(i) - 43.0) * 0.17);
        special.into_iter().chain(spread).map(T::from_f64).collect()
    }

    fn check<T: Scalar>(tolerance: f64) {
        let all = [Activation::Identity, Activation::Relu, Activation::LeakyRelu { slope: 0.2 }, Activation::Tanh];
        for activation in all {
            let x = values::<T>();
            let rows = x.len() / T::LANES;
            let (mut y, mut twice) = (vec![T::ZERO; x.len()], vec![T::ONE; x.len()]);
            let (mut g, mut slopes) = (vec![T::ONE; x.len()], x.clone());
            let mut unit = vec![T::ZERO; rows * rows];
            (0..rows).for_each(|i| unit[i * (rows + 1)] = T::ONE);
            let view = |x: &[T]| View::panels(x.as_ptr().cast_mut(), rows);
            let term = Term { inner: rows, a: Coefficients::row_major(unit.as_ptr(), rows), x: view(&x) };
            // SAFETY: the views hold `rows` rows of one vector.
            unsafe {
                activation.multiply(&[term], rows, 1, View::panels(y.as_mut_ptr(), rows));
                activation.add(view(&x), View::panels(twice.as_mut_ptr(), rows), rows, 1);
                activation.slope_times(View::panels(slopes.as_mut_ptr(), rows), view(&g), rows, 1);
                activation.back(view(&y), View::panels(g.as_mut_ptr(), rows), rows, 1);
            }
            for (y, twice) in y.iter().zip(&twice) {
                assert_eq!((*y + T::ONE).to_f64(), twice.to_f64());
            }
            for (g, slope) in g.iter().zip(&slopes) {
                assert!((g.to_f64() - slope.to_f64()).abs() <= tolerance, "{activation:?}");
            }
            let mut applied = x.clone();
            // SAFETY: as above.
            unsafe { activation.apply(View::panels(applied.as_mut_ptr(), rows), rows, 1) };
            assert_eq!(applied, y, "{activation:?}");
            for ((x, y), g) in x.iter().zip(&y).zip(&g) {
                let x = x.to_f64();
                assert!((y.to_f64() - activation.value(x)).abs() <= tolerance, "{activation:?}({x}) = {y:?}");
                let h = 1e-6;
                let slope = (activation.value(x + h) - activation.value(x - h)) / (2.0 * h);
                if x.abs() > 1e-5 {
                    assert!((g.to_f64() - slope).abs() < 1e-8 + 4.0 * tolerance, "{activation:?}'({x}) = {g:?}");
                }
            }
        }
    }

    #[test]
    fn values_and_derivatives() {
        check::<f64>(4e-16);
        check::<f32>(2e-7);
    }

    #[test]
    fn nan_stays_nan() {
        for activation in [Activation::Relu, Activation::LeakyRelu { slope: 0.1 }, Activation::Tanh] {
            let (x, mut y, one) = ([f32::NAN; 16], [0.0f32; 16], [1.0]);
            let x = View::panels(x.as_ptr().cast_mut(), 1);
            let term = Term { inner: 1, a: Coefficients::row_major(one.as_ptr(), 1), x };
            let mut applied = [f32::NAN; 16];
            // SAFETY: one row of one vector.
            unsafe {
                activation.multiply(&[term], 1, 1, View::panels(y.as_mut_ptr(), 1));
                activation.apply(View::panels(applied.as_mut_ptr(), 1), 1, 1);
            }
            assert!(applied.iter().all(|y| y.is_nan()), "{activation:?}");
            assert!(y.iter().all(|y| y.is_nan()), "{activation:?}");
        }
        assert!(Activation::LeakyRelu { slope: 0.0 }.check().is_err());
        assert!(Activation::LeakyRelu { slope: f64::NAN }.check().is_err());
    }
}
