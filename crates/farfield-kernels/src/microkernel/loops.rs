//! Plain loops over long slices: LeakyReLU and its way back, squared errors, a step of AdamW.
//!
//! The compiler vectorises them for the instruction set of the caller. Sums run in 32 interleaved partial sums per block of 4096 and the
//! blocks in f64, so their order is fixed.

use crate::scalar::Scalar;

/// Constants of one AdamW step, bias corrections included.
#[derive(Clone, Copy)]
pub(crate) struct AdamwConstants<T> {
    pub gradient_scale: T,
    pub beta1: T,
    pub beta2: T,
    /// `1 - learning_rate * weight_decay`.
    pub decay: T,
    /// `learning_rate / (1 - beta1^t)`.
    pub rate: T,
    /// `1 / (1 - beta2^t)`.
    pub correction2: T,
    pub epsilon: T,
}

/// Elements summed in their own precision.
const BLOCK: usize = 4096;
/// Partial sums side by side.
const PARTS: usize = 32;

#[inline(always)]
pub(super) fn leaky<T: Scalar>(pre: &[T], out: &mut [T], slope: T) {
    for (out, &x) in out.iter_mut().zip(pre) {
        *out = if x > T::ZERO { x } else { slope * x };
    }
}

#[inline(always)]
pub(super) fn leaky_in_place<T: Scalar>(values: &mut [T], slope: T) {
    for x in values {
        *x = if *x > T::ZERO { *x } else { slope * *x };
    }
}

#[inline(always)]
pub(super) fn leaky_backward<T: Scalar>(pre: &[T], gradient: &mut [T], slope: T) -> f64 {
    let mut total = 0.0;
    for (pre, gradient) in pre.chunks(BLOCK).zip(gradient.chunks_mut(BLOCK)) {
        let mut parts = [T::ZERO; PARTS];
        let (mut pres, mut gradients) = (pre.chunks_exact(PARTS), gradient.chunks_exact_mut(PARTS));
        for (pre, gradient) in (&mut pres).zip(&mut gradients) {
            for i in 0..PARTS {
                let (x, g) = (pre[i], gradient[i]);
                let negative = x <= T::ZERO;
                parts[i] += if negative { x * g } else { T::ZERO };
                gradient[i] = if negative { slope * g } else { g };
            }
        }
        for (&x, g) in pres.remainder().iter().zip(gradients.into_remainder()) {
            if x <= T::ZERO {
                parts[0] += x * *g;
                *g = slope * *g;
            }
        }
        total += parts.iter().map(|p| p.to_f64()).sum::<f64>();
    }
    total
}

#[inline(always)]
pub(super) fn squared_error<T: Scalar>(scale: T, value: &[T], target: &[T], gradient: &mut [T]) -> f64 {
    let twice = scale + scale;
    let mut total = 0.0;
    for ((value, target), gradient) in value.chunks(BLOCK).zip(target.chunks(BLOCK)).zip(gradient.chunks_mut(BLOCK)) {
        let mut parts = [T::ZERO; PARTS];
        let (mut values, mut targets) = (value.chunks_exact(PARTS), target.chunks_exact(PARTS));
        let mut gradients = gradient.chunks_exact_mut(PARTS);
        for ((value, target), gradient) in (&mut values).zip(&mut targets).zip(&mut gradients) {
            for i in 0..PARTS {
                let error = value[i] - target[i];
                parts[i] += error * error;
                gradient[i] = twice * error;
            }
        }
        let rest = values.remainder().iter().zip(targets.remainder());
        for ((&value, &target), gradient) in rest.zip(gradients.into_remainder()) {
            let error = value - target;
            parts[0] += error * error;
            *gradient = twice * error;
        }
        total += parts.iter().map(|p| p.to_f64()).sum::<f64>();
    }
    total
}

#[inline(always)]
pub(super) fn adamw<T: Scalar>(
    k: &AdamwConstants<T>,
    parameters: &mut [T],
    gradient: &[T],
    first: &mut [T],
    second: &mut [T],
) {
    let n = parameters.len();
    let (gradient, first, second) = (&gradient[..n], &mut first[..n], &mut second[..n]);
    for i in 0..n {
        let g = gradient[i] * k.gradient_scale;
        first[i] = k.beta1 * first[i] + (T::ONE - k.beta1) * g;
        second[i] = k.beta2 * second[i] + (T::ONE - k.beta2) * g * g;
        let step = k.rate * first[i] / ((second[i] * k.correction2).sqrt() + k.epsilon);
        parameters[i] = parameters[i] * k.decay - step;
    }
}
