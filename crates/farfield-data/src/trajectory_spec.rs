//! What a file of trajectories says of them, before any is there.

use std::collections::BTreeMap;

use crate::array::checked_len;
use crate::error::DataError;
use crate::mask::Mask;
use crate::real::DType;
use crate::trajectories::check_times;

/// Everything but the states of a set of trajectories to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct TrajectorySpec {
    /// Name of the set; the same for all files of a problem.
    pub dataset_name: String,
    /// How many trajectories there will be.
    pub trajectories: usize,
    /// The times of the states, increasing.
    pub times: Vec<f64>,
    /// Names of the fields, one channel each.
    pub fields: Vec<String>,
    /// The axes of the grid, one to three.
    pub axes: Vec<Axis>,
    /// Parameters of the problem.
    pub scalars: Vec<ScalarSpec>,
    /// Points inside the domain, if not all; stored as the constant field `mask`.
    pub mask: Option<Mask>,
    /// Type of all stored numbers. The Well's files are `f32`.
    pub dtype: DType,
    /// Further attributes of the file. An unfinished file is taken up again only where they are the same, so
    /// everything that decides the values (seed, solver, its version) belongs here.
    pub attributes: BTreeMap<String, String>,
}

/// One axis of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Its name, `x`, `y` or `z` as a rule.
    pub name: String,
    /// The points.
    pub coordinates: Vec<f64>,
    /// What holds at its two ends.
    pub boundary: Boundary,
}

/// The kinds of boundary that The Well knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// The last point is followed by the first.
    Periodic,
    /// Values or fluxes are given.
    Wall,
    /// Matter may leave.
    Open,
}

impl Boundary {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Periodic => "PERIODIC",
            Self::Wall => "WALL",
            Self::Open => "OPEN",
        }
    }
}

/// A parameter of the problem.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalarSpec {
    /// Its name.
    pub name: String,
    /// Whether it is the same for all trajectories.
    pub values: ScalarValues,
}

/// Values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScalarValues {
    /// One for all trajectories.
    Shared(f64),
    /// One for each, handed over with it.
    PerTrajectory,
}

impl TrajectorySpec {
    /// Points along each axis.
    pub fn grid(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.coordinates.len()).collect()
    }

    /// Values of one trajectory: times, fields, points. Saturates.
    pub fn trajectory_len(&self) -> usize {
        [self.times.len(), self.fields.len()].iter().chain(&self.grid()).fold(1, |n, &k| n.saturating_mul(k))
    }

    /// Scalars that each trajectory brings.
    pub(crate) fn own_scalars(&self) -> impl Iterator<Item = &str> {
        self.scalars.iter().filter(|s| s.values == ScalarValues::PerTrajectory).map(|s| s.name.as_str())
    }

    pub(crate) fn check(&self, origin: &str) -> Result<(), DataError> {
        let refused = |name: &'static str, value: String, reason: &str| Err(DataError::parameter(name, value, reason));
        if self.trajectories == 0 || self.fields.is_empty() || self.times.is_empty() {
            return refused(
                "trajectories",
                self.trajectories.to_string(),
                "trajectories, fields and times must not be empty",
            );
        }
        check_times(origin, &self.times, self.times.len())?;
        if !(1..=3).contains(&self.axes.len()) {
            return refused("axes", self.axes.len().to_string(), "a grid has one, two or three axes");
        }
        for axis in &self.axes {
            if axis.coordinates.is_empty() || axis.coordinates.iter().any(|v| !v.is_finite()) {
                return refused("axis", axis.name.clone(), "its coordinates must be finite, at least one");
            }
        }
        let dimensions: Vec<&str> = self.axes.iter().map(|axis| axis.name.as_str()).chain(["time"]).collect();
        let fields: Vec<&str> = self.fields.iter().map(String::as_str).chain(["mask"]).collect();
        let reserved = ["dataset_name", "grid_type", "n_spatial_dims", "n_trajectories", "simulation_parameters"];
        let scalars = self.scalars.iter().map(|scalar| scalar.name.as_str());
        let root: Vec<&str> = scalars.chain(self.attributes.keys().map(String::as_str)).chain(reserved).collect();
        for (what, names) in [("axis", dimensions), ("field", fields), ("scalar or attribute", root)] {
            for (at, name) in names.iter().enumerate() {
                if name.is_empty() || name.contains(['/', '\0']) || *name == "." {
                    return refused(what, format!("{name:?}"), "must be one plain name, without a slash");
                }
                if names[..at].contains(name) {
                    return refused(what, format!("{name:?}"), "the name is taken");
                }
            }
        }
        for scalar in &self.scalars {
            if matches!(scalar.values, ScalarValues::Shared(value) if !value.is_finite()) {
                return refused("scalar", scalar.name.clone(), "its value must be finite");
            }
        }
        if self.dataset_name.contains('\0') || self.attributes.values().any(|value| value.contains('\0')) {
            return refused("attribute", "text".to_owned(), "must not hold a zero byte");
        }
        if self.mask.as_ref().is_some_and(|mask| mask.grid() != self.grid()) {
            return refused(
                "mask",
                format!("{:?}", self.mask.as_ref().map(Mask::grid)),
                "must have the shape of the grid",
            );
        }
        let all: Vec<usize> =
            [self.trajectories, self.times.len(), self.fields.len(), 8].into_iter().chain(self.grid()).collect();
        if checked_len(&all).is_none_or(|bytes| bytes > isize::MAX as usize) {
            return refused("trajectories", self.trajectories.to_string(), "too large for this machine");
        }
        Ok(())
    }
}
