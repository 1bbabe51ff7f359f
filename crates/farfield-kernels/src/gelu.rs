//! The activation GELU (Hendrycks & Gimpel 2016) and its derivative in one pass.
//!
//! `y = x Phi(x)` with the distribution function `Phi` of the normal law; `y' = Phi(x) + x phi(x)`. With `z = |x| / sqrt(2)`, `h = erfc(z) / 2`:
//! `y = max(x, 0) - |x| h`. As `erfc(z) = exp(-z^2) F(t) / (1 + 2 z)` with `t = (z - k) / (z + k)`, `k = 3.75` (Shepherd & Laframboise, *Math. Comp.* 36, 1981),
//! one exponential serves both results; `F` is a polynomial from Chebyshev interpolation, of relative error 1.2e-8 (`f32`) and 2.5e-16 (`f64`).
//! Cost: about 40 vector instructions for 16 numbers in `f32`, one read and two writes.

use crate::aligned::{AlignedVec, Room};
use crate::parallel::for_each;
use crate::scalar::Scalar;
use crate::simd::{VectorMath, VectorTask, dispatch, exp_negative, splat};

/// Elements of one task: a multiple of any number of lanes.
const CHUNK: usize = 1 << 13;

/// Coefficients of `F`, constant first.
const SINGLE: [f64; 12] = [
    1.2375126192677,
    -0.1402406583213864,
    0.003586270394024618,
    0.08227841998347046,
    -0.10881427014905069,
    0.09229076959130378,
    -0.05864685873554614,
    0.02840925236412726,
    -0.009844494859674952,
    0.001675912217981131,
    0.0003963076129893627,
    -0.00022411674674416022,
];
const DOUBLE: [f64; 24] = [
    1.2375126308378275,
    -0.14024059858554697,
    0.0035854154854790257,
    0.0822767384901452,
    -0.10880393014244462,
    0.09230432116037748,
    -0.05869339857664934,
    0.028362277418956406,
    -0.009746579683265262,
    0.0017556258528952954,
    0.000293714378044958,
    -0.0002901540805408417,
    5.164652974177416e-05,
    2.238423915508223e-05,
    -1.1438048033346894e-05,
    -9.73559896736775e-07,
    1.7419821586224816e-06,
    -5.7218230603224086e-08,
    -2.4857126248016745e-07,
    2.3263508708859124e-08,
    3.197926671666804e-08,
    -3.744210080962018e-09,
    -2.623107347133476e-09,
    3.1114333809799254e-10,
];

/// `GELU(x)` of every number and, if `derivative`, the derivative there.
pub fn gelu<T: Scalar>(x: &[T], derivative: bool) -> (AlignedVec<T>, Option<AlignedVec<T>>) {
    let n = x.len();
    let mut y = Room::<T>::new(n);
    let mut slope = derivative.then(|| Room::<T>::new(n));
    let (y_at, slope_at) = (y.shared(), slope.as_mut().map(|slope| slope.shared()));
    for_each(n.div_ceil(CHUNK), 40 * n, |t| {
        let (start, len) = (t * CHUNK, CHUNK.min(n - t * CHUNK));
        let slope = slope_at.map(|slope| slope.at(start));
        // SAFETY: each task has its own chunk of arrays of `n` elements.
        unsafe { dispatch(Gelu { x: x[start..].as_ptr(), y: y_at.at(start), slope, len }) };
    });
    // SAFETY: the tasks wrote every chunk.
    unsafe { (y.finish(), slope.map(|slope| slope.finish())) }
}

struct Gelu<T> {
    x: *const T,
    y: *mut T,
    slope: Option<*mut T>,
    len: usize,
}

impl<T: Scalar> VectorTask<T> for Gelu<T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) {
        let whole = self.len / T::LANES * T::LANES;
        // SAFETY: the caller vouches for `len` elements; the rest goes through arrays of one vector.
        unsafe {
            for i in (0..whole).step_by(T::LANES) {
                let (y, slope) = value_and_slope::<S>(S::load(self.x.wrapping_add(i)));
                S::store(self.y.wrapping_add(i), y);
                if let Some(p) = self.slope {
                    S::store(p.wrapping_add(i), slope);
                }
            }
            let rest = self.len - whole;
            if rest > 0 {
                let (mut x, mut y, mut slope) = ([T::ZERO; 16], [T::ZERO; 16], [T::ZERO; 16]);
                std::ptr::copy_nonoverlapping(self.x.wrapping_add(whole), x.as_mut_ptr(), rest);
                let (value, derivative) = value_and_slope::<S>(S::load(x.as_ptr()));
                S::store(y.as_mut_ptr(), value);
                S::store(slope.as_mut_ptr(), derivative);
                std::ptr::copy_nonoverlapping(y.as_ptr(), self.y.wrapping_add(whole), rest);
                if let Some(p) = self.slope {
                    std::ptr::copy_nonoverlapping(slope.as_ptr(), p.wrapping_add(whole), rest);
                }
            }
        }
    }
}

/// # Safety
/// As for [`VectorMath`].
#[inline(always)]
unsafe fn value_and_slope<S: VectorMath>(x: S::V) -> (S::V, S::V) {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let (zero, one) = (S::zero(), splat::<S>(1.0));
        let positive = S::max(x, zero);
        let size = S::max(x, S::sub(zero, x));
        let z = S::mul(size, splat::<S>(std::f64::consts::FRAC_1_SQRT_2));
        let e = exp_negative::<S>(S::mul(S::mul(x, x), splat::<S>(-0.5)));
        let k = splat::<S>(3.75);
        let t = S::div(S::sub(z, k), S::add(z, k));
        let coefficients: &[f64] = if S::T::LANES == 8 { &DOUBLE } else { &SINGLE };
        let mut f = splat::<S>(coefficients[coefficients.len() - 1]);
        for c in coefficients[..coefficients.len() - 1].iter().rev() {
            f = S::mul_add(f, t, splat::<S>(*c));
        }
        // Half of erfc(z): the 1/2 is in the denominator.
        let h = S::div(S::mul(e, f), S::mul_add(splat::<S>(4.0), z, splat::<S>(2.0)));
        let y = S::mul_add(S::sub(zero, size), h, positive);
        // Phi is h left of zero and 1 - h right of it.
        let right = S::select_zero(positive, zero, one);
        let phi = S::mul_add(right, S::mul_add(splat::<S>(-2.0), h, one), h);
        let density = S::mul(e, splat::<S>(0.398_942_280_401_432_7));
        (y, S::mul_add(x, density, phi))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;

    /// `(x, Phi(x))` to 17 digits.
    const NORMAL: [(f64, f64); 8] = [
        (-6.0, 9.865_876_450_376_98e-10),
        (-3.0, 0.0013498980316300946),
        (-1.0, 0.15865525393145705),
        (-0.5, 0.3085375387259869),
        (0.0, 0.5),
        (0.25, 0.5987063256829237),
        (2.0, 0.9772498680518208),
        (5.0, 0.9999997133484281),
    ];

    #[test]
    fn values_and_slopes_on_every_instruction_set() {
        for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
            if !set.select() {
                continue;
            }
            for (x, normal) in NORMAL {
                let expected = (x * normal, normal + x * (-0.5 * x * x).exp() * 0.398_942_280_401_432_7);
                let (y, slope) = gelu(&[x; 19], true);
                let slope = slope.unwrap();
                for i in 0..19 {
                    assert!((y[i] - expected.0).abs() <= 4e-16 * (1.0 + x.abs()), "{set:?} {x}: {}", y[i]);
                    assert!((slope[i] - expected.1).abs() <= 1e-15, "{set:?} {x}: {}", slope[i]);
                }
                // Far left the relative error counts: what is left is tiny.
                assert!((y[0] - expected.0).abs() <= 1e-13 * expected.0.abs(), "{set:?} {x}: {}", y[0]);
                let (single, none) = gelu(&[x as f32; 3], false);
                assert!(none.is_none());
                assert!((f64::from(single[2]) - expected.0).abs() <= 2e-7 * (1.0 + x.abs()), "{set:?} {x}");
            }
        }
        InstructionSet::best().select();
    }

    #[test]
    fn it_is_zero_on_the_left_and_the_identity_on_the_right() {
        for x in [30.0f64, 1e4, 1e200] {
            let (y, slope) = gelu(&[x, -x], true);
            let slope = slope.unwrap();
            assert_eq!((y[0], slope[0]), (x, 1.0));
            assert!(y[1].abs() < 1e-190 && slope[1].abs() < 1e-190);
        }
        let (y, _) = gelu(&[f64::NAN, 1.0], true);
        assert!(y[0].is_nan() && y[1] > 0.8);
        assert!(gelu::<f32>(&[], true).0.is_empty());
    }

    #[test]
    fn the_slope_is_that_of_the_value_at_any_length() {
        for n in [1, 15, 33, CHUNK + 5] {
            let x: Vec<f64> = (0..n).map(|i| 4.0 * (i as f64 * 0.7).sin()).collect();
            let moved = |h: f64| gelu(&x.iter().map(|x| x + h).collect::<Vec<_>>(), false).0;
            let (above, below) = (moved(1e-5), moved(-1e-5));
            let slope = gelu(&x, true).1.unwrap();
            for i in 0..n {
                assert!(((above[i] - below[i]) / 2e-5 - slope[i]).abs() < 1e-9);
            }
        }
    }
}
