//! Pairs of input and output fields cut from trajectories: what a model in time is trained on.
//!
//! Sample `i` is a place (trajectory, step); reading it reads the states it needs and no more, so a set on the disk
//! stays there. Scalars of the trajectory follow the channels of the input, each as one constant channel.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dataset::{OpenOptions, Side};
use crate::error::DataError;
use crate::real::Real;
use crate::shape::FieldShape;
use crate::trajectories::Trajectories;

/// What is to be learned from trajectories. In configurations: `"one-step"`, `"first-to-last"`, `"last-to-first"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// `u(t) -> u(t + stride)` for every `t` of every trajectory.
    OneStep,
    /// First state to last state: the forward problem.
    FirstToLast,
    /// Last state to first state: the inverse problem.
    LastToFirst,
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OneStep => "one-step",
            Self::FirstToLast => "first-to-last",
            Self::LastToFirst => "last-to-first",
        })
    }
}

/// How samples are cut from trajectories; part of a [`Dataset`](crate::Dataset).
#[derive(Debug, Clone)]
pub struct TrajectoryPairs {
    trajectories: Arc<Trajectories>,
    task: Task,
    stride: usize,
    unroll: usize,
    residual: bool,
    /// Which scalars are channels of the input.
    scalars: Vec<usize>,
    per_trajectory: usize,
    input: FieldShape,
    output: FieldShape,
}

impl TrajectoryPairs {
    pub(crate) fn new(trajectories: Arc<Trajectories>, options: &OpenOptions) -> Result<Self, DataError> {
        let scalars = (0..trajectories.scalars.len())
            .filter(|&at| {
                let values = &trajectories.scalars[at].values;
                // A scalar that is the same everywhere says nothing.
                options.scalars.unwrap_or_else(|| values.iter().any(|v| v != &values[0]))
            })
            .collect::<Vec<_>>();
        let task = options.task.unwrap_or(trajectories.usual_task);
        Self::cut(trajectories, task, options.time_stride, options.unroll, options.residual, scalars)
    }

    /// The same trajectories, cut into outputs of `unroll` states.
    ///
    /// # Errors
    /// [`DataError::Parameter`] for 0, for a task other than one-step, for more steps than a trajectory has.
    pub fn unrolled(&self, unroll: usize) -> Result<Self, DataError> {
        let (set, scalars) = (Arc::clone(&self.trajectories), self.scalars.clone());
        Self::cut(set, self.task, self.stride, unroll, self.residual, scalars)
    }

    fn cut(
        trajectories: Arc<Trajectories>,
        task: Task,
        stride: usize,
        unroll: usize,
        residual: bool,
        scalars: Vec<usize>,
    ) -> Result<Self, DataError> {
        let steps = trajectories.times.len();
        let refused = |name: &'static str, value: usize, reason: &str| {
            Err(DataError::parameter(name, value, format!("{}: {reason}", trajectories.origin)))
        };
        if steps < 2 {
            return refused("states of a trajectory", steps, "a task in time needs at least two");
        }
        for (name, value) in [("time_stride", stride), ("unroll", unroll)] {
            if value == 0 {
                return refused(name, 0, "must be at least 1");
            }
            if task != Task::OneStep && value != 1 {
                return refused(name, value, &format!("has no meaning for the task {task}"));
            }
        }
        let per_trajectory = match task {
            Task::OneStep => steps.saturating_sub(stride.saturating_mul(unroll)),
            _ => 1,
        };
        if per_trajectory == 0 {
            return refused(
                "time_stride",
                stride,
                &format!("{unroll} steps of that length do not fit a trajectory of {steps} states"),
            );
        }
        let state = trajectories.shape.clone();
        let with_channels = |channels: usize| FieldShape::new(channels, &state.grid);
        let input = with_channels(state.channels.saturating_add(scalars.len()));
        let output = with_channels(state.channels.saturating_mul(unroll));
        input.check("input shape")?;
        output.check("output shape")?;
        Ok(Self { task, stride, unroll, residual, scalars, per_trajectory, input, output, trajectories })
    }

    /// The trajectories themselves.
    pub fn trajectories(&self) -> &Arc<Trajectories> {
        &self.trajectories
    }

    /// The task.
    pub fn task(&self) -> Task {
        self.task
    }

    /// Steps of a trajectory from an input to its output.
    pub fn time_stride(&self) -> usize {
        self.stride
    }

    /// States in an output, one after the other as channels.
    pub fn unroll(&self) -> usize {
        self.unroll
    }

    /// Whether an output is the change from the state before, not the state.
    pub fn residual(&self) -> bool {
        self.residual
    }

    /// Names of the scalars that follow the state in the input, one constant channel each.
    pub fn scalar_channels(&self) -> Vec<&str> {
        self.scalars.iter().map(|&at| self.trajectories.scalars[at].name.as_str()).collect()
    }

    /// Samples cut from each trajectory.
    pub fn per_trajectory(&self) -> usize {
        self.per_trajectory
    }

    /// The trajectory of a sample, and the step of its input.
    pub fn locate(&self, sample: usize) -> (usize, usize) {
        match self.task {
            Task::LastToFirst => (sample, self.trajectories.times.len() - 1),
            _ => (sample / self.per_trajectory, sample % self.per_trajectory),
        }
    }

    /// The input that state `step` of a trajectory makes: the state, then the scalars as constant channels.
    ///
    /// # Errors
    /// As [`Trajectories::read_state`]; a target of another length than an input.
    pub fn read_input<R: Real>(&self, trajectory: usize, step: usize, target: &mut [R]) -> Result<(), DataError> {
        let set = &*self.trajectories;
        let (got, expected) = (target.len(), self.input.len());
        if got != expected {
            return Err(DataError::length("an input", got, expected));
        }
        let (field, constants) = target.split_at_mut(set.shape.len());
        set.read_state(trajectory, step, field)?;
        for (&scalar, channel) in self.scalars.iter().zip(constants.chunks_exact_mut(set.shape.points())) {
            channel.fill(R::from_f64(set.scalars[scalar].values[trajectory]));
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.trajectories.count.saturating_mul(self.per_trajectory)
    }

    pub(crate) fn shape(&self, side: Side) -> &FieldShape {
        match side {
            Side::Input => &self.input,
            Side::Output => &self.output,
        }
    }

    /// One side of a sample that exists, to `target` of the length of that side.
    pub(crate) fn read<R: Real>(&self, side: Side, sample: usize, target: &mut [R]) -> Result<(), DataError> {
        let (trajectory, step) = self.locate(sample);
        let set = &*self.trajectories;
        let state = set.shape.len();
        if side == Side::Input {
            return self.read_input(trajectory, step, target);
        }
        let step_of = |number: usize| match self.task {
            Task::OneStep => step + number * self.stride,
            Task::FirstToLast => number * (set.times.len() - 1),
            Task::LastToFirst => (1 - number) * (set.times.len() - 1),
        };
        if !self.residual {
            return target
                .chunks_exact_mut(state)
                .enumerate()
                .try_for_each(|(number, part)| set.read_state(trajectory, step_of(number + 1), part));
        }
        // In double precision, so that a change is rounded once.
        let (mut before, mut after) = (vec![0f64; state], vec![0f64; state]);
        set.read_state(trajectory, step_of(0), &mut before)?;
        for (number, part) in target.chunks_exact_mut(state).enumerate() {
            set.read_state(trajectory, step_of(number + 1), &mut after)?;
            for ((change, &new), &old) in part.iter_mut().zip(&after).zip(&before) {
                *change = R::from_f64(new - old);
            }
            std::mem::swap(&mut before, &mut after);
        }
        Ok(())
    }
}
