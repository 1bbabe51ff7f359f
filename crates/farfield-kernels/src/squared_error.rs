//! Sum of squared errors and its gradient in one pass.

use crate::aligned::{AlignedVec, Room};
use crate::error::{LayoutError, check_len};
use crate::parallel::{Shared, for_each};
use crate::scalar::Scalar;

/// Elements of one task.
const CHUNK: usize = 1 << 15;

/// Returns `scale * sum_i (value_i - target_i)^2` and its gradient `2 scale (value - target)`.
///
/// `scale = 1 / batch` is the loss of appendix G of Neural-HSS, `1 / (batch * points)` the mean squared error. Partial
/// sums have a fixed size, so the result does not depend on threads.
///
/// # Errors
/// When the slices differ in length.
pub fn squared_error<T: Scalar>(scale: f64, value: &[T], target: &[T]) -> Result<(f64, AlignedVec<T>), LayoutError> {
    let n = value.len();
    check_len("the target", target.len(), n)?;
    let chunks = n.div_ceil(CHUNK);
    let mut sums = vec![0.0f64; chunks];
    let mut gradient = Room::<T>::new(n);
    let (sums_at, gradient_at) = (Shared(sums.as_mut_ptr()), gradient.shared());
    for_each(chunks, 4 * n, |t| {
        let (start, len) = (t * CHUNK, CHUNK.min(n - t * CHUNK));
        let (value, target) = (&value[start..start + len], &target[start..start + len]);
        // SAFETY: each task has its own chunk and its own sum.
        unsafe {
            *sums_at.at(t) =
                (T::kernels().squared_error)(T::from_f64(scale), value, target, gradient_at.slice(start, len));
        }
    });
    // SAFETY: the tasks wrote every chunk.
    Ok((scale * sums.iter().sum::<f64>(), unsafe { gradient.finish() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_and_gradient_at_every_length() {
        for n in [0usize, 1, 31, 32, 100, 5000, CHUNK + 3] {
            let value: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
            let target: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
            let (loss, gradient) = squared_error(0.25, &value, &target).unwrap();
            let expected: f64 = value.iter().zip(&target).map(|(a, b)| 0.25 * (a - b) * (a - b)).sum();
            assert!((loss - expected).abs() <= 1e-13 * expected.max(1.0));
            for i in 0..n {
                assert!((gradient[i] - 0.5 * (value[i] - target[i])).abs() < 1e-15);
            }
        }
    }
}
