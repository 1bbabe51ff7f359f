//! Times of an evolution that is integrated with a fixed step and stored at equal intervals.

use crate::options::{MOST_POINTS, positive};
use crate::{PdeError, ProblemOptions};

/// Most steps of a trajectory.
const MOST_STEPS: f64 = 1e9;

/// Equal steps, equal intervals between the stored states, both from 0 to the horizon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FixedSteps {
    pub horizon: f64,
    /// Stored states after the first.
    pub intervals: usize,
    /// Steps between two stored states.
    pub per_interval: usize,
}

impl FixedSteps {
    /// From the options `horizon`, `time_step` and `solver_step`, or their defaults in this order. A
    /// stored state has `numbers` numbers.
    ///
    /// # Errors
    /// Numbers that are not positive, do not divide each other, or ask for too much.
    pub fn new(
        problem: &'static str,
        options: &ProblemOptions,
        defaults: [f64; 3],
        numbers: usize,
    ) -> Result<Self, PdeError> {
        let horizon = positive(problem, "horizon", options.horizon, defaults[0])?;
        let time_step = positive(problem, "time_step", options.time_step, defaults[1])?;
        let solver_step = positive(problem, "solver_step", options.solver_step, defaults[2])?;
        let intervals = divide(problem, ("horizon", horizon), ("time_step", time_step))?;
        let per_interval = divide(problem, ("time_step", time_step), ("solver_step", solver_step))?;
        let too_much = |field, value, reason| Err(PdeError::Value { problem, field, value, reason });
        if intervals * per_interval > MOST_STEPS {
            return too_much("solver_step", solver_step, format!("more than {MOST_STEPS:e} steps to time {horizon}"));
        }
        if (intervals + 1.0) * numbers as f64 > MOST_POINTS as f64 {
            let reason = format!("more than {MOST_POINTS} numbers in a trajectory to time {horizon}");
            return too_much("time_step", time_step, reason);
        }
        Ok(FixedSteps { horizon, intervals: intervals as usize, per_interval: per_interval as usize })
    }

    /// The step of the integrator.
    pub fn step(&self) -> f64 {
        self.horizon / (self.intervals as f64 * self.per_interval as f64)
    }

    /// Times of the stored states.
    pub fn times(&self) -> Vec<f64> {
        (0..=self.intervals).map(|i| self.horizon * i as f64 / self.intervals as f64).collect()
    }
}

/// How many times the part goes into the whole, if it does to 1e-9.
fn divide(
    problem: &'static str,
    (whole, length): (&'static str, f64),
    (part, value): (&'static str, f64),
) -> Result<f64, PdeError> {
    let ratio = length / value;
    let count = ratio.round().max(1.0);
    if (ratio - count).abs() <= 1e-9 * count {
        return Ok(count);
    }
    let reason = format!("does not divide {whole} = {length}; the nearest that does is {}", length / count);
    Err(PdeError::Value { problem, field: part, value, reason })
}
