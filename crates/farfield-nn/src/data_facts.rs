//! What a model must know of the data it was trained on, besides their shapes and scaling: the domain, and the task in time.

use farfield_data::{DataError, Dataset, FieldShape, Mask, OpenOptions, Task};
use serde::{Deserialize, Serialize};

use crate::error::NnError;

/// The domain of a model and, for a model of an evolution, its task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataFacts {
    /// Which points of the output are inside the domain; `None` for all.
    pub mask: Option<Mask>,
    /// The task, for a model that was trained on trajectories.
    pub evolution: Option<Evolution>,
}

/// How a model acts in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evolution {
    /// What it maps to what.
    pub task: Task,
    /// States of the training trajectories from an input to its output.
    pub time_stride: usize,
    /// Whether an output is the change of the state.
    pub residual: bool,
    /// Names of the scalars that follow the state in the input, one constant channel each.
    pub scalars: Vec<String>,
}

impl DataFacts {
    /// Those of a set.
    pub fn of(set: &Dataset) -> Self {
        let evolution = set.trajectory_pairs().map(|pairs| Evolution {
            task: pairs.task(),
            time_stride: pairs.time_stride(),
            residual: pairs.residual(),
            scalars: pairs.scalar_channels().into_iter().map(str::to_owned).collect(),
        });
        Self { mask: set.mask().cloned(), evolution }
    }

    /// Opens a set as the model takes it: cut as its trajectories were, and on its domain where the file has no mask of its own.
    ///
    /// # Errors
    /// As [`Dataset::open`]; scalars other than the model's; a mask on another grid.
    pub fn open(&self, path: &std::path::Path, options: &OpenOptions) -> Result<Dataset, NnError> {
        let set = match &self.evolution {
            None => Dataset::open(path, options)?,
            Some(evolution) => evolution.open(path, options)?,
        };
        match &self.mask {
            Some(mask) if set.mask().is_none() => Ok(set.with_mask(Some(mask.clone()))?),
            _ => Ok(set),
        }
    }
}

impl Evolution {
    fn open(&self, path: &std::path::Path, options: &OpenOptions) -> Result<Dataset, NnError> {
        let open = |scalars| {
            let task = OpenOptions {
                task: Some(self.task),
                time_stride: self.time_stride,
                residual: self.residual,
                scalars,
                ..options.clone()
            };
            match Dataset::open(path, &task) {
                // Pairs of states are as good as trajectories.
                Err(DataError::WrongFormat { .. }) => Dataset::open(path, options),
                other => other,
            }
        };
        let fits = |set: &Dataset| set.trajectory_pairs().is_none_or(|pairs| pairs.scalar_channels() == self.scalars);
        if self.scalars.is_empty() {
            return Ok(open(Some(false))?);
        }
        // Those that differ between trajectories, or else all: a file of one trajectory has none that differ.
        let set = open(None)?;
        let set = if fits(&set) { set } else { open(Some(true))? };
        if fits(&set) {
            return Ok(set);
        }
        let found = set.trajectory_pairs().map(|pairs| pairs.scalar_channels().join(", ")).unwrap_or_default();
        let found = if found.is_empty() { "none".to_owned() } else { found };
        Err(NnError::shape("scalars of the trajectories", found, self.scalars.join(", ")))
    }
}

/// The mask that a file describes by the lengths of its runs, for outputs of this shape.
pub(crate) fn mask_of_runs(runs: Option<&[usize]>, output: &FieldShape) -> Result<Option<Mask>, NnError> {
    Ok(runs.map(|runs| Mask::from_runs(&output.grid, runs)).transpose()?)
}
