//! How accurate an approximation must be, and how large it may become.

use crate::error::MatrixError;

/// A bound on the error of an approximation, in the Frobenius norm of the whole matrix, a cap on ranks and one on memory.
///
/// Neither cap lowers the accuracy in silence: a build that would need a larger rank is an error
/// ([`MatrixError::Tolerance`]), and so is one whose result would need more memory ([`MatrixError::Memory`]).
///
/// ```
/// use farfield_matrix::Accuracy;
/// let accuracy = Accuracy::relative(0.25)?.max_rank(50);
/// assert_eq!(accuracy.absolute_for(8.0), 2.0);
/// # Ok::<(), farfield_matrix::MatrixError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    tolerance: f64,
    relative: bool,
    max_rank: Option<usize>,
    memory_budget: Option<usize>,
}

impl Accuracy {
    /// `||A - H||_F <= tolerance ||A||_F`.
    ///
    /// # Errors
    /// [`MatrixError::Option`] unless the tolerance is a positive finite number.
    pub fn relative(tolerance: f64) -> Result<Self, MatrixError> {
        Self::new(tolerance, true)
    }

    /// `||A - H||_F <= tolerance`.
    ///
    /// # Errors
    /// As [`Accuracy::relative`].
    pub fn absolute(tolerance: f64) -> Result<Self, MatrixError> {
        Self::new(tolerance, false)
    }

    fn new(tolerance: f64, relative: bool) -> Result<Self, MatrixError> {
        if tolerance > 0.0 && tolerance.is_finite() {
            Ok(Self { tolerance, relative, max_rank: None, memory_budget: None })
        } else {
            let rule = "a tolerance must be a positive finite number";
            Err(MatrixError::Option { name: "tolerance", value: tolerance.to_string(), rule })
        }
    }

    /// The same, with no rank above `rank`.
    pub fn max_rank(self, rank: usize) -> Self {
        Self { max_rank: Some(rank), ..self }
    }

    /// The same, with no more than this many bytes of numbers in the result. What is certain to be needed, the dense blocks, is checked before any of
    /// it is computed; working memory does not count. Builds, sums, updates and recompressions of every format keep to it.
    pub fn memory_budget(self, bytes: usize) -> Self {
        Self { memory_budget: Some(bytes), ..self }
    }

    /// The cap on memory, in bytes.
    pub fn memory_limit(&self) -> Option<usize> {
        self.memory_budget
    }

    /// `Ok` when this many bytes are within the budget.
    pub(crate) fn check_memory(&self, what: &'static str, needed: usize) -> Result<(), MatrixError> {
        match self.memory_budget {
            Some(budget) if needed > budget => Err(MatrixError::Memory { what, needed, budget }),
            _ => Ok(()),
        }
    }

    /// The tolerance times a positive factor.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self { tolerance: factor * self.tolerance, ..self }
    }

    /// The tolerance as given.
    pub fn tolerance(&self) -> f64 {
        self.tolerance
    }

    /// Whether it is relative to the norm of the matrix.
    pub fn is_relative(&self) -> bool {
        self.relative
    }

    /// The cap on ranks.
    pub fn rank_cap(&self) -> Option<usize> {
        self.max_rank
    }

    /// The error allowed for a matrix of this Frobenius norm.
    pub fn absolute_for(&self, norm: f64) -> f64 {
        if self.relative { self.tolerance * norm } else { self.tolerance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_that_mean_nothing_are_errors() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Accuracy::relative(bad).is_err() && Accuracy::absolute(bad).is_err());
        }
        let error = Accuracy::relative(-1.0).unwrap_err().to_string();
        assert_eq!(error, "tolerance = -1: a tolerance must be a positive finite number");
        let absolute = Accuracy::absolute(0.5).unwrap();
        assert_eq!((absolute.absolute_for(7.0), absolute.rank_cap()), (0.5, None));
    }
}
