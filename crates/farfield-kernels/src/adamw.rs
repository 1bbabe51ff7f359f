//! Adam with decoupled weight decay (Loshchilov & Hutter 2019), one pass over memory.

use crate::error::{LayoutError, check_len};
use crate::microkernel::AdamwConstants;
use crate::parallel::{Shared, for_each};
use crate::scalar::Scalar;

/// Hyper-parameters of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay: parameters shrink by `learning_rate * weight_decay` a step.
    pub weight_decay: f64,
}

/// Elements of one task.
const CHUNK: usize = 1 << 15;

/// One step: with `g = gradient_scale * gradient`, `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
/// `p = (1 - lr wd) p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)`. `step` counts from 1.
///
/// # Errors
/// When the slices differ in length.
pub fn adamw_step<T: Scalar>(
    hyper: &AdamW,
    step: u64,
    gradient_scale: f64,
    parameters: &mut [T],
    gradient: &[T],
    first_moment: &mut [T],
    second_moment: &mut [T],
) -> Result<(), LayoutError> {
    let n = parameters.len();
    check_len("the gradient", gradient.len(), n)?;
    check_len("the first moment", first_moment.len(), n)?;
    check_len("the second moment", second_moment.len(), n)?;
    let power = |beta: f64| beta.powf(step.max(1) as f64);
    let constants = AdamwConstants {
        gradient_scale: T::from_f64(gradient_scale),
        beta1: T::from_f64(hyper.beta1),
        beta2: T::from_f64(hyper.beta2),
        decay: T::from_f64(1.0 - hyper.learning_rate * hyper.weight_decay),
        rate: T::from_f64(hyper.learning_rate / (1.0 - power(hyper.beta1))),
        correction2: T::from_f64(1.0 / (1.0 - power(hyper.beta2))),
        epsilon: T::from_f64(hyper.epsilon),
    };
    let p = Shared(parameters.as_mut_ptr());
    let m = Shared(first_moment.as_mut_ptr());
    let v = Shared(second_moment.as_mut_ptr());
    for_each(n.div_ceil(CHUNK), 16 * n, |t| {
        let (start, len) = (t * CHUNK, CHUNK.min(n - t * CHUNK));
        let g = &gradient[start..start + len];
        // SAFETY: each task has its own chunk of slices of equal length.
        unsafe {
            (T::kernels().adamw)(&constants, p.slice(start, len), g, m.slice(start, len), v.slice(start, len));
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula, written out once more.
    #[test]
    fn three_steps_follow_the_formula_at_every_length() {
        let h = AdamW { learning_rate: 1e-2, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1 };
        for n in [0, 1, 7, 33, CHUNK + 5] {
            let mut p: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sin()).collect();
            let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);
            let mut expected: Vec<[f64; 3]> = p.iter().map(|&p| [p, 0.0, 0.0]).collect();
            for step in 1..=3u64 {
                let g: Vec<f64> = (0..n).map(|i| (i as f64 * 0.11 + step as f64).cos()).collect();
                adamw_step(&h, step, 0.5, &mut p, &g, &mut m, &mut v).unwrap();
                for (e, g) in expected.iter_mut().zip(&g) {
                    let g = 0.5 * g;
                    e[1] = 0.9 * e[1] + 0.1 * g;
                    e[2] = 0.99 * e[2] + 0.01 * g * g;
                    let t = step as i32;
                    let (m, v) = (e[1] / (1.0 - 0.9f64.powi(t)), e[2] / (1.0 - 0.99f64.powi(t)));
                    e[0] = e[0] * (1.0 - 1e-3) - 1e-2 * m / (v.sqrt() + 1e-8);
                }
            }
            for (p, e) in p.iter().zip(&expected) {
                assert!((p - e[0]).abs() < 1e-14, "{p} {e:?}");
            }
        }
        assert!(adamw_step(&h, 1, 1.0, &mut [0.0f32], &[], &mut [0.0], &mut [0.0]).is_err());
    }
}
