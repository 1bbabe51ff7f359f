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
use crate::microkernel::{Function, Target, Then, tanh};
use crate::scalar::Scalar;
use crate::simd::{VectorMath, VectorTask, dispatch};
use crate::view::View;

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

    /// The function and what is made of it, as products take them.
    pub(super) fn then<T: Scalar>(self, target: Target<T>) -> Then<T> {
        let function = match self {
            Self::Identity => Function::Identity,
            Self::Relu => Function::Relu,
            Self::LeakyRelu { slope } => Function::Leaky(T::from_f64(slope)),
            Self::Tanh => Function::Tanh,
        };
        Then { function, target }
    }

    /// `y = f(y)` for `rows` rows of `vectors` vectors.
    ///
    /// # Safety
    /// `y` is a view of panels; its rows and vectors are in bounds and nobody else touches them.
    pub(super) unsafe fn apply<T: Scalar>(self, y: View<T>, rows: usize, vectors: usize) {
        if !self.is_identity() {
            // SAFETY: the caller's.
            unsafe { dispatch(Apply { activation: self, y, rows, vectors }) }
        }
    }

    /// `gradient *= f'`, with `f'` where `f` has the value `y`.
    ///
    /// # Safety
    /// Both are views of panels; their rows and vectors are in bounds and nobody else touches the gradient.
    pub(super) unsafe fn back<T: Scalar>(self, y: View<T>, gradient: View<T>, rows: usize, vectors: usize) {
        if !self.is_identity() {
            // SAFETY: the caller's.
            unsafe { dispatch(Back { activation: self, y, gradient, rows, vectors }) }
        }
    }
}

fn negative_times(x: f64, slope: f64) -> f64 {
    if x <= 0.0 { slope * x } else { x }
}

/// The numbers of all rows of one vector: they are neighbours in a panel.
///
/// # Safety
/// `rows` rows of the view are in bounds and nobody else touches them.
#[inline(always)]
unsafe fn numbers<'a, T: Scalar>(view: View<T>, vector: usize, rows: usize) -> &'a mut [T] {
    debug_assert_eq!(view.row, T::LANES);
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts_mut(view.at_vector(vector).p, rows * T::LANES) }
}

struct Apply<T> {
    activation: Activation,
    y: View<T>,
    rows: usize,
    vectors: usize,
}

impl<T: Scalar> VectorTask<T> for Apply<T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) {
        for v in 0..self.vectors {
            // SAFETY: the caller vouches for all rows and vectors.
            let y = unsafe { numbers(self.y, v, self.rows) };
            match self.activation {
                Activation::Identity => {}
                Activation::Relu => y.iter_mut().for_each(|y| *y = if *y <= T::ZERO { T::ZERO } else { *y }),
                Activation::LeakyRelu { slope } => {
                    let slope = T::from_f64(slope);
                    y.iter_mut().for_each(|y| *y = if *y <= T::ZERO { slope * *y } else { *y });
                }
                Activation::Tanh => {
                    for chunk in y.chunks_exact_mut(T::LANES) {
                        // SAFETY: one vector.
                        unsafe { S::store(chunk.as_mut_ptr(), tanh::<S>(S::load(chunk.as_ptr()))) };
                    }
                }
            }
        }
    }
}

struct Back<T> {
    activation: Activation,
    y: View<T>,
    gradient: View<T>,
    rows: usize,
    vectors: usize,
}

impl<T: Scalar> VectorTask<T> for Back<T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) {
        for v in 0..self.vectors {
            // SAFETY: the caller vouches for all rows and vectors of both.
            let (y, gradient) = unsafe { (numbers(self.y, v, self.rows), numbers(self.gradient, v, self.rows)) };
            let both = gradient.iter_mut().zip(y.iter());
            match self.activation {
                Activation::Identity => {}
                Activation::Relu => both.for_each(|(g, y)| *g = if *y <= T::ZERO { T::ZERO } else { *g }),
                Activation::LeakyRelu { slope } => {
                    let slope = T::from_f64(slope);
                    both.for_each(|(g, y)| *g = if *y <= T::ZERO { slope * *g } else { *g });
                }
                Activation::Tanh => both.for_each(|(g, y)| *g *= T::ONE - *y * *y),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Coefficients, Term};

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
            let (mut g, mut fused) = (vec![T::ONE; x.len()], vec![T::ZERO; x.len()]);
            let mut unit = vec![T::ZERO; rows * rows];
            (0..rows).for_each(|i| unit[i * (rows + 1)] = T::ONE);
            let view = |x: &[T]| View::panels(x.as_ptr().cast_mut(), rows);
            let term = Term { inner: rows, a: Coefficients::row_major(unit.as_ptr(), rows), x: view(&x) };
            // SAFETY: the views hold `rows` rows of one vector.
            unsafe {
                let to = View::panels(y.as_mut_ptr(), rows);
                (T::kernels().multiply_then)(&[term], rows, 1, to, activation.then(Target::Set));
                let to = View::panels(twice.as_mut_ptr(), rows);
                (T::kernels().multiply_then)(&[term], rows, 1, to, activation.then(Target::Add));
                let to = View::panels(fused.as_mut_ptr(), rows);
                (T::kernels().multiply_then)(&[term], rows, 1, to, activation.then(Target::Back(view(&g))));
                activation.back(view(&y), View::panels(g.as_mut_ptr(), rows), rows, 1);
            }
            for (y, twice) in y.iter().zip(&twice) {
                assert_eq!((*y + T::ONE).to_f64(), twice.to_f64());
            }
            assert_eq!(g, fused, "{activation:?}");
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
            let then = activation.then(Target::Set);
            let mut applied = [f32::NAN; 16];
            // SAFETY: one row of one vector.
            unsafe {
                (f32::kernels().multiply_then)(&[term], 1, 1, View::panels(y.as_mut_ptr(), 1), then);
                activation.apply(View::panels(applied.as_mut_ptr(), 1), 1, 1);
            }
            assert!(applied.iter().all(|y| y.is_nan()), "{activation:?}");
            assert!(y.iter().all(|y| y.is_nan()), "{activation:?}");
        }
        assert!(Activation::LeakyRelu { slope: 0.0 }.check().is_err());
        assert!(Activation::LeakyRelu { slope: f64::NAN }.check().is_err());
    }
}
