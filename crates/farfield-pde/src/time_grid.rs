//! The times at which the states of a trajectory are stored: 0, dt, 2 dt, ..., T.

use crate::options::positive;
use crate::{PdeError, ProblemOptions};

/// Most numbers that a trajectory may have: 2 GiB of f64.
const MOST_NUMBERS: u64 = 1 << 28;
/// How far from a whole number of steps the horizon may be, relatively.
const ROUNDING: f64 = 1e-9;

/// Reads the options `horizon` and `time_step` and checks that a trajectory of states of `numbers`
/// numbers each fits into 2 GiB. The times begin with 0 and end with the horizon.
pub(crate) fn stored_times(
    problem: &'static str,
    options: &ProblemOptions,
    default_horizon: f64,
    default_step: f64,
    numbers: usize,
) -> Result<Vec<f64>, PdeError> {
    let horizon = positive(problem, "horizon", options.horizon, default_horizon)?;
    let step = positive(problem, "time_step", options.time_step, default_step)?;
    let steps = (horizon / step).round();
    if steps < 1.0 || (horizon / step - steps).abs() > ROUNDING * steps {
        let reason = format!("must be a multiple of time_step = {step}");
        return Err(PdeError::Value { problem, field: "horizon", value: horizon, reason });
    }
    if (steps + 1.0) * numbers as f64 > MOST_NUMBERS as f64 {
        let reason = format!("{} states of {numbers} numbers are more than 2 GiB a trajectory", steps + 1.0);
        return Err(PdeError::Value { problem, field: "time_step", value: step, reason });
    }
    Ok((0..=steps as usize).map(|i| i as f64 * horizon / steps).collect())
}
