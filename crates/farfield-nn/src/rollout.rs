//! Rolling a one-step model through time: each prediction is the next input (Neural-HSS paper, sections 3.2 and F.1).
//!
//! For a trajectory `y(t)` of `T` steps on `P` numbers a state, with `e(t)` the error after `t` steps (`e(0) = 0`):
//!
//! | measure | definition |
//! | --- | --- |
//! | trajectory L2 (eq. 3) | mean over trajectories of `sqrt(sum_t ||e(t)||^2)` |
//! | RMS | mean over trajectories of `sqrt(sum_t ||e(t)||^2 / (T P))` |
//! | relative L2 | mean over trajectories of `sqrt(sum_t ||e(t)||^2 / sum_t ||y(t)||^2)` |
//! | relative L2 after `t` steps | mean over trajectories of `||e(t)|| / ||y(t)||` |
//!
//! The same of the predictor "no change", which repeats the initial state, stand beside them. The paper does not say how eq. 3 is weighted: all three are
//! given. Cost: `T` predictions a trajectory.

use farfield_data::{Dataset, Real, Task, TrajectoryPairs};
use serde::{Deserialize, Serialize};

use crate::config::Precision;
use crate::error::NnError;
use crate::metrics::{Normalizers, predict};
use crate::model::Model;

/// Errors over whole trajectories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutErrors {
    /// Eq. 3, without any weight.
    pub trajectory_l2: f64,
    /// Root of the mean square over time and space.
    pub rms: f64,
    /// Relative to the trajectory.
    pub relative_l2: f64,
    /// Relative error after each step.
    pub per_step: Vec<f64>,
}

/// A model rolled out, beside the predictor that repeats the initial state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Trajectories.
    pub trajectories: usize,
    /// Steps of the model in each.
    pub steps: usize,
    /// The model.
    pub model: RolloutErrors,
    /// No change.
    pub no_change: RolloutErrors,
}

/// Running sums over trajectories.
#[derive(Default)]
struct Sums {
    trajectories: usize,
    absolute: f64,
    relative: f64,
    per_step: Vec<f64>,
}

impl Sums {
    /// Takes one trajectory in: squared errors and squared norms after each step.
    fn add(&mut self, squares: &[(f64, f64)]) {
        let (error, norm) = squares.iter().fold((0.0, 0.0), |sum, s| (sum.0 + s.0, sum.1 + s.1));
        self.trajectories += 1;
        self.absolute += error.sqrt();
        self.relative += ratio(error, norm);
        self.per_step.resize(squares.len(), 0.0);
        for (sum, &(error, norm)) in self.per_step.iter_mut().zip(squares) {
            *sum += ratio(error, norm);
        }
    }

    /// The means; `numbers` are those of a trajectory.
    fn finish(self, numbers: usize) -> RolloutErrors {
        let mean = |sum: f64| sum / self.trajectories as f64;
        RolloutErrors {
            trajectory_l2: mean(self.absolute),
            rms: mean(self.absolute) / (numbers as f64).sqrt(),
            relative_l2: mean(self.relative),
            per_step: self.per_step.into_iter().map(mean).collect(),
        }
    }
}

/// `sqrt(error / norm)`, 0 where both are.
fn ratio(error: f64, norm: f64) -> f64 {
    if error == 0.0 { 0.0 } else { (error / norm).sqrt() }
}

/// Rolls `model` out over the trajectories `indices` of a set that was opened for one step (state to next state, or to the change).
/// A non-finite prediction gives an infinite or NaN error, not an error value.
///
/// # Errors
/// [`NnError::Unsupported`] for a set of another kind or of several steps an output; shapes that differ; states that cannot be read; no trajectory.
pub fn rollout<M: Model>(
    model: &M,
    normalizers: &Normalizers,
    dataset: &Dataset,
    indices: &[usize],
    batch_size: usize,
    precision: Precision,
) -> Result<Rollout, NnError> {
    let pairs = match dataset.trajectory_pairs() {
        Some(pairs) if pairs.task() == Task::OneStep && pairs.unroll() == 1 => pairs,
        _ => {
            let reason = "the set must be trajectories opened for the task one-step with unroll 1".to_owned();
            return Err(NnError::Unsupported { operation: "rollout", reason });
        }
    };
    crate::metrics::check_shapes(model, dataset)?;
    if indices.is_empty() {
        return Err(NnError::Empty { what: "rollout" });
    }
    match precision {
        Precision::F32 => rollout_as::<M, f32>(model, normalizers, pairs, indices, batch_size),
        Precision::F64 => rollout_as::<M, f64>(model, normalizers, pairs, indices, batch_size),
    }
}

fn rollout_as<M: Model, T: Real + burn::tensor::Element>(
    model: &M,
    normalizers: &Normalizers,
    pairs: &TrajectoryPairs,
    indices: &[usize],
    batch_size: usize,
) -> Result<Rollout, NnError> {
    let set = pairs.trajectories();
    let state = set.state_shape().len();
    let input = model.input_shape().len();
    let stride = pairs.time_stride();
    let steps = (set.times().len() - 1) / stride;
    let (mut of_model, mut of_none) = (Sums::default(), Sums::default());
    for batch in indices.chunks(batch_size.max(1)) {
        // Inputs: the state, and channels that do not change.
        let mut x = vec![T::default(); batch.len() * input];
        for (&trajectory, x) in batch.iter().zip(x.chunks_exact_mut(input)) {
            pairs.read_input(trajectory, 0, x)?;
        }
        let first: Vec<T> = x.chunks_exact(input).flat_map(|x| &x[..state]).copied().collect();
        let mut squares = vec![(Vec::new(), Vec::new()); batch.len()];
        let mut exact = vec![T::default(); state];
        for step in 1..=steps {
            let y = predict(model, normalizers, x.clone())?;
            for (k, (y, x)) in y.chunks_exact(state).zip(x.chunks_exact_mut(input)).enumerate() {
                for (x, &y) in x[..state].iter_mut().zip(y) {
                    *x = if pairs.residual() { T::from_f64(x.to_f64() + y.to_f64()) } else { y };
                }
                set.read_state(batch[k], step * stride, &mut exact)?;
                let norm = sum(exact.iter().map(|y| y.to_f64()));
                let error = |values: &[T]| sum(values.iter().zip(&exact).map(|(a, b)| a.to_f64() - b.to_f64()));
                squares[k].0.push((error(&x[..state]), norm));
                squares[k].1.push((error(&first[k * state..(k + 1) * state]), norm));
            }
        }
        for (model, none) in squares {
            of_model.add(&model);
            of_none.add(&none);
        }
    }
    let numbers = steps * state;
    Ok(Rollout {
        trajectories: indices.len(),
        steps,
        model: of_model.finish(numbers),
        no_change: of_none.finish(numbers),
    })
}

/// The sum of squares.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_example() {
        // Two steps of two numbers: errors (3, 4) and (0, 1), states (0, 5) and (2, 0).
        let mut sums = Sums::default();
        sums.add(&[(25.0, 25.0), (1.0, 4.0)]);
        let errors = sums.finish(4);
        assert_eq!(errors.trajectory_l2, 26f64.sqrt());
        assert_eq!(errors.rms, (26.0f64 / 4.0).sqrt());
        assert_eq!(errors.relative_l2, (26.0f64 / 29.0).sqrt());
        assert_eq!(errors.per_step, [1.0, 0.5]);
    }
}
