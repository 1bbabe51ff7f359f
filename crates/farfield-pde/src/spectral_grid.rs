//! The grid of a problem that is solved with Fourier transforms on its stored points.

use crate::options::grid_sizes;
use crate::{PdeError, ProblemOptions};

/// Fewest points an axis: two wave numbers are kept.
const FEWEST_POINTS: usize = 8;

/// Option `n`, 128 by default: points an axis of a square grid, even.
pub(crate) fn spectral_grid(problem: &'static str, options: &ProblemOptions) -> Result<usize, PdeError> {
    let (n, _) = grid_sizes(problem, options, 2, 128, 1, 0)?;
    let refuse = |reason| Err(PdeError::Size { problem, field: "n", value: n, reason });
    if n < FEWEST_POINTS {
        return refuse(format!("at least {FEWEST_POINTS} points an axis are needed"));
    }
    if !n.is_multiple_of(2) {
        return refuse("must be even".to_owned());
    }
    Ok(n)
}
