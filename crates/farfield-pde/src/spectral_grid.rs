//! The grids of a problem that is solved with Fourier transforms: the stored one, and the solver's, which is
//! the same or finer.

use crate::options::grid_sizes;
use crate::series::down_sample;
use crate::{PdeError, ProblemOptions};

/// Fewest points an axis: two wave numbers are kept.
const FEWEST_POINTS: usize = 8;

/// Points an axis of the stored grid, and how many times finer the solver's is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpectralGrid {
    pub n: usize,
    pub ratio: usize,
}

impl SpectralGrid {
    /// From the options `n`, 128 by default, and `solver_n`, n by default; both even.
    pub fn new(problem: &'static str, options: &ProblemOptions) -> Result<Self, PdeError> {
        let (n, ratio) = grid_sizes(problem, options, 2, 128, 1, 0)?;
        let refuse = |field, value, reason| Err(PdeError::Size { problem, field, value, reason });
        if n < FEWEST_POINTS {
            return refuse("n", n, format!("at least {FEWEST_POINTS} points an axis are needed"));
        }
        if !n.is_multiple_of(2) {
            return refuse("n", n, "must be even".to_owned());
        }
        Ok(SpectralGrid { n, ratio })
    }

    /// Points an axis of the solver's grid.
    pub fn solver_n(self) -> usize {
        self.n * self.ratio
    }

    /// Copies the stored points of a state of the solver's grid, field by field.
    pub fn store(self, fine: &[f64], stored: &mut [f64]) {
        let fields = fine.chunks_exact(self.solver_n().pow(2)).zip(stored.chunks_exact_mut(self.n.pow(2)));
        for (fine, stored) in fields {
            down_sample(fine, self.solver_n(), self.ratio, 2, stored);
        }
    }
}
