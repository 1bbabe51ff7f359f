//! A dense matrix product: the yardstick of the benchmarks.

use gemm::Parallelism;

use crate::error::{LayoutError, check_len};
use crate::scalar::Scalar;

/// `C = A B` for row-major `A` (`m x k`), `B` (`k x n`), `C` (`m x n`), on all threads of rayon's current pool, by the crate
/// `gemm`. Cost: `m n k` multiply-adds.
///
/// # Errors
/// When a slice has the wrong length.
pub fn dense_product<T: Scalar>(
    (m, n, k): (usize, usize, usize),
    a: &[T],
    b: &[T],
    c: &mut [T],
) -> Result<(), LayoutError> {
    check_len("A", a.len(), m * k)?;
    check_len("B", b.len(), k * n)?;
    check_len("C", c.len(), m * n)?;
    // SAFETY: the three arrays have the sizes that the strides reach (checked above) and do not overlap.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.as_ptr(),
            1,
            k as isize,
            b.as_ptr(),
            1,
            n as isize,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            Parallelism::Rayon(0),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worked_example() {
        let mut c = [0.0f64; 4];
        dense_product((2, 2, 3), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], &mut c).unwrap();
        assert_eq!(c, [4.0, 5.0, 10.0, 11.0]);
        assert!(dense_product((2, 2, 2), &[0.0f32; 4], &[0.0; 3], &mut [0.0; 4]).is_err());
    }
}
