//! Layouts of published data sets, recognised by the names and shapes of the arrays in a file.
//!
//! | layout | arrays | read as |
//! | --- | --- | --- |
//! | pairs | `x`, `y` (or the names asked for) | pairs |
//! | FNO, neuraloperator | `a` or `coeff` (N, grid), `u` or `sol` (N, grid) | pairs |
//! | FNO, DiffusionPDE, in time | `a` (N, grid), `u` (N, grid, T), perhaps `t` (T) | trajectories: `a`, then `u` |
//! | PDEBench Darcy | `nu` (N, grid), `tensor` (N, 1, grid) | pairs |
//! | PDEBench | `tensor` (N, T, grid), `x-coordinate`, ..., `t-coordinate` | trajectories |
//! | PDEBench CFD | `density`, `pressure`, `Vx`, ... (N, T, grid) | trajectories of all fields |
//! | The Well | groups `dimensions`, `t0_fields`, ... (HDF5) | trajectories |
//! | arrays in time | `u` (N, T, \[channel,\] grid) or (N, grid, T), `t` (T) | trajectories |
//!
//! MATLAB files hold the same arrays with the axes as MATLAB shows them.

use crate::container::Entry;
use crate::error::DataError;
use crate::shape::shape_text;

/// How the arrays of a file make up a data set.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Layout {
    /// Two arrays of samples.
    Pairs { input: String, output: String, dims: Option<usize>, axes: Vec<String>, about: &'static str },
    /// States along the last axis, perhaps with the initial state in an array of its own.
    TimeLast { initial: Option<String>, states: String, times: Option<String> },
    /// States along the second axis; each array is one field, or several with a channel axis.
    TimeSecond { fields: Vec<String>, times: Option<String>, axes: Vec<String>, channels: bool, about: &'static str },
    /// The groups of The Well.
    Well,
}

impl Layout {
    /// What the layout is, for people.
    pub(crate) fn about(&self) -> &'static str {
        match self {
            Self::Pairs { about, .. } | Self::TimeSecond { about, .. } => about,
            Self::TimeLast { initial: Some(_), .. } => "FNO / DiffusionPDE (initial state and states, time last)",
            Self::TimeLast { initial: None, .. } => "states with time last",
            Self::Well => "The Well (HDF5)",
        }
    }
}

/// Recognises a layout from the arrays of a file; `well`: the file has the group `t0_fields`. `None` if the file is
/// none of the known ones.
///
/// # Errors
/// The names are those of a known layout, but a shape does not fit it.
pub(crate) fn recognise(origin: &str, entries: &[Entry], well: bool) -> Result<Option<Layout>, DataError> {
    let find = |name: &str| entries.iter().find(|entry| entry.name == name);
    let own = |name: &str| find(name).map(|entry| entry.name.clone());
    let axes = |dims: usize| -> Vec<String> {
        ["x-coordinate", "y-coordinate", "z-coordinate"].iter().take(dims).filter_map(|name| own(name)).collect()
    };
    if well {
        return Ok(Some(Layout::Well));
    }
    if let (Some(nu), Some(tensor)) = (find("nu"), find("tensor")) {
        let dims = nu.shape.len().saturating_sub(1);
        return Ok(Some(Layout::Pairs {
            input: nu.name.clone(),
            output: tensor.name.clone(),
            dims: Some(dims),
            axes: axes(dims),
            about: "PDEBench Darcy flow (nu -> tensor)",
        }));
    }
    let pdebench = |fields: Vec<String>, rank: usize, about| Layout::TimeSecond {
        fields,
        times: own("t-coordinate"),
        axes: axes(rank.saturating_sub(2)),
        channels: false,
        about,
    };
    if let Some(tensor) = find("tensor") {
        let rank = tensor.shape.len();
        return Ok(Some(pdebench(vec![tensor.name.clone()], rank, "PDEBench (tensor over time)")));
    }
    if let (Some(density), Some(_), Some(_)) = (find("density"), find("pressure"), find("Vx")) {
        let fields = ["density", "pressure", "Vx", "Vy", "Vz"].iter().filter_map(|name| own(name)).collect();
        return Ok(Some(pdebench(fields, density.shape.len(), "PDEBench compressible flow")));
    }
    let times = find("t");
    let count = times.map(|t| t.shape.iter().product::<usize>());
    let input = ["a", "coeff"].iter().find_map(|name| find(name));
    let output = ["u", "sol"].iter().find_map(|name| find(name));
    match (input, output) {
        (Some(a), Some(u)) => {
            let refused = |reason: &str| DataError::Pair {
                origin: origin.to_owned(),
                input: format!("\"{}\" of shape {}", a.name, shape_text(&a.shape)),
                output: format!("\"{}\" of shape {}", u.name, shape_text(&u.shape)),
                reason: reason.to_owned(),
            };
            if u.shape.len() == a.shape.len() + 1 && u.shape.starts_with(&a.shape) {
                return Ok(Some(Layout::TimeLast {
                    initial: Some(a.name.clone()),
                    states: u.name.clone(),
                    times: times.map(|t| t.name.clone()),
                }));
            }
            if u.shape.len() > a.shape.len() && u.shape.first() == a.shape.first() {
                return Err(refused("neither the same shape nor the same with time as last axis"));
            }
            Ok(Some(Layout::Pairs {
                input: a.name.clone(),
                output: u.name.clone(),
                dims: None,
                axes: Vec::new(),
                about: "FNO / neuraloperator pairs",
            }))
        }
        (None, Some(u)) if times.is_some() => {
            let times = times.map(|t| t.name.clone());
            if u.shape.len() >= 3 && u.shape.get(1).copied() == count {
                return Ok(Some(Layout::TimeSecond {
                    fields: vec![u.name.clone()],
                    times,
                    axes: Vec::new(),
                    channels: true,
                    about: "states over time (samples, time, [channel,] grid)",
                }));
            }
            if u.shape.len() >= 3 && u.shape.last().copied() == count {
                return Ok(Some(Layout::TimeLast { initial: None, states: u.name.clone(), times }));
            }
            Err(DataError::Shape {
                origin: origin.to_owned(),
                array: u.name.clone(),
                shape: shape_text(&u.shape),
                reason: format!(
                    "\"t\" has {} times, but neither the second nor the last axis has that length",
                    count.unwrap_or(0)
                ),
            })
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arrays: &[(&str, &[usize])]) -> Result<Option<Layout>, DataError> {
        let entries: Vec<Entry> =
            arrays.iter().map(|(name, shape)| Entry { name: (*name).to_owned(), shape: shape.to_vec() }).collect();
        recognise("f", &entries, false)
    }

    #[test]
    fn shapes_decide_between_pairs_and_time() {
        let time_last = of(&[("a", &[20, 64, 64]), ("u", &[20, 64, 64, 10]), ("t", &[1, 10])]).unwrap().unwrap();
        assert!(matches!(time_last, Layout::TimeLast { initial: Some(a), times: Some(_), .. } if a == "a"));
        let pairs = of(&[("coeff", &[20, 64, 64]), ("sol", &[20, 64, 64]), ("Kcoeff", &[20, 64, 64])]).unwrap();
        assert!(matches!(pairs, Some(Layout::Pairs { input, .. }) if input == "coeff"));
        let second = of(&[("u", &[5, 11, 32]), ("t", &[11])]).unwrap().unwrap();
        assert!(matches!(second, Layout::TimeSecond { channels: true, .. }));
        assert!(matches!(of(&[("u", &[5, 32, 11]), ("t", &[11])]), Ok(Some(Layout::TimeLast { initial: None, .. }))));
        assert_eq!(of(&[("u", &[5, 11, 32])]).unwrap(), None);
        assert_eq!(of(&[]).unwrap(), None);
        for (arrays, part) in [
            (&[("u", &[5, 11, 32][..]), ("t", &[12])][..], "12 times"),
            (&[("a", &[5, 8]), ("u", &[5, 9, 4])], "time as last axis"),
        ] {
            let error = of(arrays).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
