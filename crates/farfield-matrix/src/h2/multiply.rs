//! The product of two H2-matrices, `C = A B` to a tolerance.
//!
//! Both factors are written out as [H-matrices](HMatrix::from_h2), exactly; [their product](HMatrix::multiply) is an H-matrix; and
//! [nested bases](HMatrix::to_h2) are found for that. Each of the two truncations gets half of the tolerance. That the product of H2-matrices has nested bases of
//! moderate rank at all is a property of what they stand for, as with integral operators; the ranks say it.
//!
//! Cost: O(k^2 n log^2 n), and the O(k n log n) numbers of three H-matrices while it runs. (Products that stay in nested bases throughout, Borm & Reimer,
//! *Computing and Visualization in Science* 16 (2013), cost O(k^2 n log n).)

use super::H2Matrix;
use crate::accuracy::Accuracy;
use crate::block_tree::Admissibility;
use crate::certificate::{Bound, Certificate};
use crate::error::MatrixError;
use crate::hmatrix::HMatrix;
use crate::scalar::Scalar;

/// Of the tolerance for each of the two truncations: a little less than a half, since the tolerance may be relative to a norm that shrinks.
const SHARE: f64 = 0.48;

impl<T: Scalar> H2Matrix<T> {
    /// `A B` with far blocks by `admissibility` of the row clusters of `A` and the column clusters of `B`, orthonormal bases and stored blocks.
    /// `||A B - C||_F` is within `accuracy`, relative to `||C||_F`, as far as products with Gaussian vectors show: the certificate is probabilistic.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] unless the columns of `A` and the rows of `B` have the same tree; those of [`BlockTree::new`](crate::BlockTree::new);
    /// [`MatrixError::Tolerance`] when the rank cap is hit or the tolerance cannot be reached, [`MatrixError::Memory`] beyond the budget.
    pub fn multiply(
        &self,
        other: &Self,
        admissibility: Admissibility,
        accuracy: Accuracy,
        seed: u64,
    ) -> Result<(Self, Certificate), MatrixError> {
        let part = accuracy.scaled(SHARE);
        let (product, first) = HMatrix::from_h2(self).multiply(&HMatrix::from_h2(other), admissibility, part, seed)?;
        let (nested, second) = product.to_h2(part)?;
        let reached = first.frobenius.value + second.frobenius.value;
        let tolerance = accuracy.absolute_for(second.norm);
        if reached > tolerance {
            let limit = "the norm of the product, of which too much was truncated".to_owned();
            return Err(MatrixError::Tolerance { what: "product of H2-matrices", tolerance, reached, limit });
        }
        let bound = Bound { value: reached, confidence: first.frobenius.confidence };
        let certificate = nested.certify(bound, second.norm);
        Ok((nested, certificate))
    }
}
