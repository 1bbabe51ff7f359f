//! Errors over whole trajectories, as text.

use farfield_data::Task;
use farfield_nn::{Rollout, RolloutErrors, Samples};

use crate::report::format_number;

/// Most rows of the table of steps.
const ROWS: usize = 10;

/// The trajectories that samples belong to, for a one-step task; `None` for another.
pub fn rolled_trajectories(samples: Samples<'_>) -> Option<Vec<usize>> {
    let pairs = samples.dataset.trajectory_pairs().filter(|pairs| pairs.task() == Task::OneStep)?;
    let mut trajectories: Vec<usize> = samples.indices.iter().map(|&i| pairs.locate(i).0).collect();
    trajectories.dedup();
    Some(trajectories)
}

/// Prints the errors of a model and of others over whole trajectories, and of the model after some of the steps.
pub fn print_rollout<'a>(name: &str, rollout: &Rollout, others: impl Iterator<Item = (&'a str, &'a RolloutErrors)>) {
    println!();
    println!(
        "{:52} {:>9} {:>9} {:>11} {:>9} {:>9}",
        format!("rolled out, {} trajectories of {} steps", rollout.trajectories, rollout.steps),
        "eq. 3",
        "RMS",
        "relative L2",
        "VRMSE",
        "nRMSE"
    );
    let row = |name: &str, errors: &RolloutErrors| {
        let [eq3, rms, relative, vrmse, nrmse] =
            [errors.trajectory_l2, errors.rms, errors.relative_l2, errors.vrmse, errors.nrmse].map(format_number);
        println!("{name:52} {eq3:>9} {rms:>9} {relative:>11} {vrmse:>9} {nrmse:>9}");
    };
    row(name, &rollout.model);
    for (other, errors) in others {
        row(other, errors);
    }
    row("no change", &rollout.no_change);
    println!();
    println!(
        "{:>6} {:>10}   {:>9} {:>9} {:>9} {:>9}   {:>9}",
        "step", "time", "mean", "median", "largest", "VRMSE", "no change"
    );
    for step in shown_steps(rollout.steps) {
        let errors = &rollout.model;
        let [time, mean, median, largest, vrmse, none] = [
            rollout.times[step],
            errors.per_step[step],
            errors.per_step_median[step],
            errors.per_step_max[step],
            errors.per_step_vrmse[step],
            rollout.no_change.per_step[step],
        ]
        .map(format_number);
        println!("{:>6} {time:>10}   {mean:>9} {median:>9} {largest:>9} {vrmse:>9}   {none:>9}", step + 1);
    }
}

/// The first and the last step, and some equally far apart between them; counted from 0.
fn shown_steps(steps: usize) -> Vec<usize> {
    let rows = ROWS.min(steps);
    let mut shown: Vec<usize> = (0..rows).map(|i| i * (steps - 1) / (rows - 1).max(1)).collect();
    shown.dedup();
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_steps_are_shown() {
        assert_eq!(shown_steps(1), [0]);
        assert_eq!(shown_steps(3), [0, 1, 2]);
        let many = shown_steps(1000);
        assert_eq!((many.len(), many[0], many[9]), (10, 0, 999));
    }
}
