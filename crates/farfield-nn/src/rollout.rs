//! Rolling a one-step model through time: each prediction is the next input (Neural-HSS paper, sections 3.2 and F.1).
//!
//! For a trajectory `y(t)` of `T` steps on `P` numbers a state, with `e(t)` the error after `t` steps (`e(0) = 0`):
//!
//! | measure | definition |
//! | --- | --- |
//! | trajectory L2 (eq. 3) | mean over trajectories of `sqrt(sum_t ||e(t)||^2)`, weight 1 for every number |
//! | RMS | mean over trajectories of `sqrt(sum_t ||e(t)||^2 / (T P))` |
//! | relative L2 | mean over trajectories of `sqrt(sum_t ||e(t)||^2 / sum_t ||y(t)||^2)` |
//! | relative L2 after `t` steps | mean, median and maximum over trajectories of `||e(t)|| / ||y(t)||` |
//! | VRMSE, nRMSE after `t` steps | as in [`metrics`](crate::metrics), over trajectories and channels; and their means over the steps |
//!
//! The same of the predictor "no change", which repeats the initial state, stand beside them. The paper does not say how eq. 3 is weighted: all three are
//! given. On a domain with a mask only the points inside count, and those outside keep the values of the initial state. Cost: `T` predictions a trajectory.

use farfield_data::{Dataset, Mask, Real, Task, TrajectoryPairs};
use serde::{Deserialize, Serialize};

use crate::config::Precision;
use crate::error::NnError;
use crate::evaluation::quantile;
use crate::metrics::{Normalizers, mean, predict, relative_l2_per_sample, squares, vrmse_per_field};
use crate::model::Model;
use crate::not_finite;

/// Errors over whole trajectories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutErrors {
    /// Eq. 3, without any weight.
    #[serde(deserialize_with = "not_finite::number")]
    pub trajectory_l2: f64,
    /// Root of the mean square over time and space.
    #[serde(deserialize_with = "not_finite::number")]
    pub rms: f64,
    /// Relative to the trajectory.
    #[serde(deserialize_with = "not_finite::number")]
    pub relative_l2: f64,
    /// Mean over the steps of `per_step_vrmse`.
    #[serde(deserialize_with = "not_finite::number")]
    pub vrmse: f64,
    /// Mean over the steps of `per_step_nrmse`.
    #[serde(deserialize_with = "not_finite::number")]
    pub nrmse: f64,
    /// Relative error after each step, mean over trajectories.
    #[serde(deserialize_with = "not_finite::numbers")]
    pub per_step: Vec<f64>,
    /// Its median over trajectories.
    #[serde(deserialize_with = "not_finite::numbers")]
    pub per_step_median: Vec<f64>,
    /// Its maximum over trajectories.
    #[serde(deserialize_with = "not_finite::numbers")]
    pub per_step_max: Vec<f64>,
    /// VRMSE after each step.
    #[serde(deserialize_with = "not_finite::numbers")]
    pub per_step_vrmse: Vec<f64>,
    /// nRMSE after each step.
    #[serde(deserialize_with = "not_finite::numbers")]
    pub per_step_nrmse: Vec<f64>,
    /// Relative error of each trajectory as a whole.
    #[serde(skip)]
    pub per_trajectory: Vec<f64>,
}

/// A model rolled out, beside the predictor that repeats the initial state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Trajectories.
    pub trajectories: usize,
    /// Steps of the model in each.
    pub steps: usize,
    /// Times after each step.
    pub times: Vec<f64>,
    /// The model.
    pub model: RolloutErrors,
    /// No change.
    pub no_change: RolloutErrors,
}

/// What is kept of one trajectory after one step.
#[derive(Clone, Copy, Default)]
struct StepError {
    /// Squared norms of the error and of the state.
    error: f64,
    norm: f64,
    /// Means over the channels.
    vrmse: f64,
    nrmse: f64,
}

impl StepError {
    /// Of a predicted state, fields of `points` numbers that count.
    fn new<T: Real>(prediction: &[T], exact: &[T], points: usize) -> Self {
        let (error, norm) = squares(prediction, exact, exact.len()).next().unwrap_or_default();
        let vrmse = mean(&vrmse_per_field(prediction, exact, points));
        let nrmse = mean(&relative_l2_per_sample(prediction, exact, points));
        Self { error, norm, vrmse, nrmse }
    }

    fn relative(&self) -> f64 {
        if self.error == 0.0 { 0.0 } else { (self.error / self.norm).sqrt() }
    }
}

impl RolloutErrors {
    /// From the errors of every trajectory after every step; `numbers` are those of a state that count.
    fn new(trajectories: &[Vec<StepError>], numbers: usize) -> Self {
        let steps = trajectories.first().map_or(0, Vec::len);
        let whole = |steps: &[StepError]| {
            let (error, norm) = steps.iter().fold((0.0, 0.0), |sum, s| (sum.0 + s.error, sum.1 + s.norm));
            StepError { error, norm, ..StepError::default() }
        };
        let wholes: Vec<StepError> = trajectories.iter().map(|t| whole(t)).collect();
        let per_trajectory: Vec<f64> = wholes.iter().map(StepError::relative).collect();
        let trajectory_l2 = mean(&wholes.iter().map(|t| t.error.sqrt()).collect::<Vec<_>>());
        let after = |step: usize, of: fn(&StepError) -> f64| -> Vec<f64> {
            trajectories.iter().map(|trajectory| of(&trajectory[step])).collect()
        };
        let each = |of: fn(&StepError) -> f64, summary: fn(&[f64]) -> f64| -> Vec<f64> {
            (0..steps).map(|step| summary(&after(step, of))).collect()
        };
        let per_step_vrmse = each(|s| s.vrmse, mean);
        let per_step_nrmse = each(|s| s.nrmse, mean);
        Self {
            trajectory_l2,
            rms: trajectory_l2 / ((steps * numbers) as f64).sqrt(),
            relative_l2: mean(&per_trajectory),
            vrmse: mean(&per_step_vrmse),
            nrmse: mean(&per_step_nrmse),
            per_step: each(StepError::relative, mean),
            per_step_median: each(StepError::relative, |v| quantile(v, 0.5)),
            per_step_max: each(StepError::relative, |v| quantile(v, 1.0)),
            per_step_vrmse,
            per_step_nrmse,
            per_trajectory,
        }
    }
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
    crate::metrics::check_shapes(model, dataset)?;
    match precision {
        Precision::F32 => Roll::<f32>::of_model(model, normalizers, dataset)?.errors(indices, batch_size),
        Precision::F64 => Roll::<f64>::of_model(model, normalizers, dataset)?.errors(indices, batch_size),
    }
}

/// As [`rollout`] for any other predictor: `predict` takes whole inputs of the set, flat, sample by sample, and gives their outputs.
///
/// # Errors
/// As [`rollout`], and those of `predict`.
pub fn rollout_of<'a>(
    predict: impl Fn(Vec<f64>) -> Result<Vec<f64>, NnError> + 'a,
    dataset: &'a Dataset,
    indices: &[usize],
    batch_size: usize,
) -> Result<Rollout, NnError> {
    Roll::new(Box::new(predict), dataset)?.errors(indices, batch_size)
}

/// The states that a model predicts for one trajectory, and those of the data, both (time, channel, point) with the initial state first.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedTrajectory {
    /// The times.
    pub times: Vec<f64>,
    /// The states of the data.
    pub exact: Vec<f64>,
    /// The model's.
    pub predicted: Vec<f64>,
}

/// Rolls `model` out over one trajectory and keeps all states.
///
/// # Errors
/// As [`rollout`].
pub fn predicted_trajectory<M: Model>(
    model: &M,
    normalizers: &Normalizers,
    dataset: &Dataset,
    trajectory: usize,
    precision: Precision,
) -> Result<PredictedTrajectory, NnError> {
    crate::metrics::check_shapes(model, dataset)?;
    match precision {
        Precision::F32 => Roll::<f32>::of_model(model, normalizers, dataset)?.states(trajectory),
        Precision::F64 => Roll::<f64>::of_model(model, normalizers, dataset)?.states(trajectory),
    }
}

/// Outputs of whole inputs.
type Predictor<'a, T> = Box<dyn Fn(Vec<T>) -> Result<Vec<T>, NnError> + 'a>;

/// A predictor and the trajectories it is rolled out over.
struct Roll<'a, T> {
    predict: Predictor<'a, T>,
    dataset: &'a Dataset,
    pairs: &'a TrajectoryPairs,
    mask: Option<&'a Mask>,
}

impl<'a, T: Real + burn::tensor::Element> Roll<'a, T> {
    fn of_model<M: Model>(model: &'a M, normalizers: &'a Normalizers, dataset: &'a Dataset) -> Result<Self, NnError> {
        Self::new(Box::new(|x| predict(model, normalizers, x)), dataset)
    }

    fn new(predict: Predictor<'a, T>, dataset: &'a Dataset) -> Result<Self, NnError> {
        let pairs = match dataset.trajectory_pairs() {
            Some(pairs) if pairs.task() == Task::OneStep && pairs.unroll() == 1 => pairs,
            _ => {
                let reason = "the set must be trajectories opened for the task one-step with unroll 1".to_owned();
                return Err(NnError::Unsupported { operation: "rollout", reason });
            }
        };
        Ok(Self { predict, dataset, pairs, mask: dataset.mask() })
    }

    /// Steps of the model over a trajectory.
    fn steps(&self) -> usize {
        (self.pairs.trajectories().times().len() - 1) / self.pairs.time_stride()
    }

    /// Times after 0, 1, ... steps.
    fn times(&self) -> Vec<f64> {
        self.pairs.trajectories().times().iter().step_by(self.pairs.time_stride()).copied().collect()
    }

    /// Rolls a batch of trajectories out; `take` sees the states after 0, 1, ... steps, one after the other.
    fn run(&self, batch: &[usize], mut take: impl FnMut(usize, &[T]) -> Result<(), NnError>) -> Result<(), NnError> {
        let state = self.pairs.trajectories().state_shape().len();
        let input = self.dataset.input_shape().len();
        // Inputs: the state, and channels that do not change.
        let mut x = vec![T::default(); batch.len() * input];
        for (&trajectory, x) in batch.iter().zip(x.chunks_exact_mut(input)) {
            self.pairs.read_input(trajectory, 0, x)?;
        }
        let states_of =
            |x: &[T]| -> Vec<T> { x.chunks_exact(input).flat_map(|x| &x[..state]).copied().collect::<Vec<_>>() };
        take(0, &states_of(&x))?;
        let everywhere = vec![true; self.dataset.output_shape().points()];
        let inside = self.mask.map_or(&everywhere[..], Mask::inside);
        for step in 1..=self.steps() {
            let y = (self.predict)(x.clone())?;
            for (y, x) in y.chunks_exact(state).zip(x.chunks_exact_mut(input)) {
                for ((x, &y), _) in
                    x[..state].iter_mut().zip(y).zip(inside.iter().cycle()).filter(|(_, inside)| **inside)
                {
                    *x = if self.pairs.residual() { T::from_f64(x.to_f64() + y.to_f64()) } else { y };
                }
            }
            take(step, &states_of(&x))?;
        }
        Ok(())
    }

    fn errors(&self, indices: &[usize], batch_size: usize) -> Result<Rollout, NnError> {
        if indices.is_empty() {
            return Err(NnError::Empty { what: "rollout" });
        }
        let set = self.pairs.trajectories();
        let (state, stride) = (set.state_shape().len(), self.pairs.time_stride());
        let points = self.mask.map_or(set.state_shape().points(), Mask::count);
        let counted = |values: &[T]| self.mask.map_or_else(|| values.to_vec(), |mask| mask.select_inside(values));
        let (mut of_model, mut of_none) = (Vec::new(), Vec::new());
        for batch in indices.chunks(batch_size.max(1)) {
            let mut errors = vec![(Vec::new(), Vec::new()); batch.len()];
            let mut first: Vec<Vec<T>> = Vec::new();
            let mut exact = vec![T::default(); state];
            self.run(batch, |step, states| {
                if step == 0 {
                    first = states.chunks_exact(state).map(counted).collect();
                    return Ok(());
                }
                for (k, predicted) in states.chunks_exact(state).enumerate() {
                    set.read_state(batch[k], step * stride, &mut exact)?;
                    let exact = counted(&exact);
                    errors[k].0.push(StepError::new(&counted(predicted), &exact, points));
                    errors[k].1.push(StepError::new(&first[k], &exact, points));
                }
                Ok(())
            })?;
            for (model, none) in errors {
                of_model.push(model);
                of_none.push(none);
            }
        }
        let numbers = set.state_shape().channels * points;
        Ok(Rollout {
            trajectories: indices.len(),
            steps: self.steps(),
            times: self.times()[1..].to_vec(),
            model: RolloutErrors::new(&of_model, numbers),
            no_change: RolloutErrors::new(&of_none, numbers),
        })
    }

    fn states(&self, trajectory: usize) -> Result<PredictedTrajectory, NnError> {
        let set = self.pairs.trajectories();
        let (mut exact, mut predicted) = (Vec::new(), Vec::new());
        let mut state = vec![0.0f64; set.state_shape().len()];
        self.run(&[trajectory], |step, states| {
            set.read_state(trajectory, step * self.pairs.time_stride(), &mut state)?;
            exact.extend_from_slice(&state);
            predicted.extend(states.iter().map(|v| v.to_f64()));
            Ok(())
        })?;
        Ok(PredictedTrajectory { times: self.times(), exact, predicted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_beyond_all_bounds_survives_a_file() {
        let grown =
            [StepError::new(&[f64::INFINITY, 0.0], &[1.0, 1.0], 2), StepError::new(&[1.0, 2.0], &[1.0, 2.0], 2)];
        let errors = RolloutErrors::new(&[grown.to_vec()], 2);
        assert_eq!((errors.per_step[0], errors.per_step[1]), (f64::INFINITY, 0.0));
        let back: RolloutErrors = serde_json::from_str(&serde_json::to_string(&errors).unwrap()).unwrap();
        assert!(back.trajectory_l2.is_nan() && back.per_step[0].is_nan() && back.per_step_max[0].is_nan());
        assert_eq!(back.per_step[1], 0.0);
        assert!(serde_json::from_str::<RolloutErrors>("{}").is_err());
    }

    #[test]
    fn worked_example() {
        // Two steps of two numbers: errors (3, 4) and (0, 1), states (0, 5) and (2, 0); a second trajectory without errors.
        let steps =
            |p: [[f64; 2]; 2], t: [[f64; 2]; 2]| vec![StepError::new(&p[0], &t[0], 2), StepError::new(&p[1], &t[1], 2)];
        let exact = [[0.0, 5.0], [2.0, 0.0]];
        let one = steps([[3.0, 9.0], [2.0, 1.0]], exact);
        let errors = RolloutErrors::new(std::slice::from_ref(&one), 2);
        assert_eq!(errors.trajectory_l2, 26f64.sqrt());
        assert_eq!(errors.rms, (26.0f64 / 4.0).sqrt());
        assert_eq!(errors.relative_l2, (26.0f64 / 29.0).sqrt());
        assert_eq!(errors.per_step, [1.0, 0.5]);
        assert_eq!(errors.per_step_nrmse, [1.0, 0.5]);
        // Mean square errors 25/2 and 1/2, unbiased variances 25/2 and 2.
        let vrmse = [(12.5 / (12.5 + 1e-7f64)).sqrt(), (0.5 / (2.0 + 1e-7f64)).sqrt()];
        assert_eq!(errors.per_step_vrmse, vrmse);
        assert_eq!((errors.vrmse, errors.nrmse), ((vrmse[0] + vrmse[1]) / 2.0, 0.75));
        let errors = RolloutErrors::new(&[one, steps(exact, exact)], 2);
        assert_eq!((errors.per_step, errors.per_step_median), (vec![0.5, 0.25], vec![0.5, 0.25]));
        assert_eq!(errors.per_step_max, [1.0, 0.5]);
        assert_eq!(errors.per_trajectory, [(26.0f64 / 29.0).sqrt(), 0.0]);
        assert_eq!(errors.trajectory_l2, 26f64.sqrt() / 2.0);
    }
}
