//! Options of the problems, and the checks that several problems share.

use serde::{Deserialize, Serialize};

use crate::PdeError;

/// Options of a problem; all have defaults. In TOML or JSON, an unknown key is an error, and so is an
/// option that the problem does not have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProblemOptions {
    /// Points an axis of the stored grid, or the number of sources of an N-body sum. Default: 256 in 1D, 64 in 2D, 128 in 3D; others for
    /// radiative transfer and for sums over points. At least 4;
    /// family `paper` needs more than its highest wave number (20 in 1D and 2D, 23 in 3D).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<usize>,
    /// Points an axis of the grid that family `paper` is solved on (evolutions in 1D: all families),
    /// before down-sampling. Default: 4 n in 1D (with Neumann conditions 4 (n - 1) + 1), 2 n in 2D (4 n
    /// around a disk), n in 3D. Its intervals must be a multiple of the stored grid's (`heat-1d`: its
    /// points).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver_n: Option<usize>,
    /// Discretisation, for both families. Default: `fourth-order` for family `paper` everywhere and
    /// for all families in 2D and 3D, `second-order` for the random families in 1D and around a
    /// disk, `spectral` for the random families of the Helmholtz equation. Each problem lists the ones
    /// it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Last time of an evolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizon: Option<f64>,
    /// Time between two stored states of an evolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_step: Option<f64>,
    /// Diffusivity or viscosity of an evolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viscosity: Option<f64>,
    /// Factor of the advection term of the modified Burgers equation, or of the cubic term of the Schroedinger equation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// Wave number kappa of the Helmholtz equation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave_number: Option<f64>,
    /// Radius of the disk that is cut out of the square.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius: Option<f64>,
    /// Relative tolerance of an adaptive time integrator; the absolute one is a hundredth of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Time step of a time integrator with a fixed step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver_step: Option<f64>,
    /// Pattern of the Gray-Scott model: a name, or `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Factor on the random first state of the Navier-Stokes equations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_scale: Option<f64>,
    /// Number of receivers of an N-body sum, a set of points of their own. Default: the receivers are the sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receivers: Option<usize>,
    /// Seed of the points of an N-body sum. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points_seed: Option<u64>,
}

impl ProblemOptions {
    /// Checks that no option is set but those that the problem has.
    pub(crate) fn only(&self, problem: &'static str, known: &[&'static str]) -> Result<(), PdeError> {
        let set = [
            ("n", self.n.is_some()),
            ("solver_n", self.solver_n.is_some()),
            ("scheme", self.scheme.is_some()),
            ("horizon", self.horizon.is_some()),
            ("time_step", self.time_step.is_some()),
            ("viscosity", self.viscosity.is_some()),
            ("beta", self.beta.is_some()),
            ("wave_number", self.wave_number.is_some()),
            ("radius", self.radius.is_some()),
            ("tolerance", self.tolerance.is_some()),
            ("solver_step", self.solver_step.is_some()),
            ("pattern", self.pattern.is_some()),
            ("initial_scale", self.initial_scale.is_some()),
            ("receivers", self.receivers.is_some()),
            ("points_seed", self.points_seed.is_some()),
        ];
        match set.iter().find(|&(name, set)| *set && !known.contains(name)) {
            None => Ok(()),
            Some(&(option, _)) => Err(PdeError::NoOption { problem, option, known: known.join(", ") }),
        }
    }
}

/// A positive, finite number: an option or its default.
pub(crate) fn positive(
    problem: &'static str,
    field: &'static str,
    option: Option<f64>,
    default: f64,
) -> Result<f64, PdeError> {
    let value = option.unwrap_or(default);
    if value > 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(PdeError::Value { problem, field, value, reason: "must be a positive number".to_owned() })
}

/// Most points that a grid may have: 2 GiB of f64.
pub(crate) const MOST_POINTS: u64 = 1 << 28;
/// Fewest points an axis.
const FEWEST_POINTS: usize = 4;

/// Checks the sizes and fills in the defaults. `end` is 1 if the last point of an axis lies on the
/// boundary and is stored, else 0: an axis of n points has n - `end` intervals. Returns the points
/// an axis of the stored grid and the ratio of the two grids.
pub(crate) fn grid_sizes(
    problem: &'static str,
    options: &ProblemOptions,
    axes: u32,
    default_n: usize,
    default_ratio: usize,
    end: usize,
) -> Result<(usize, usize), PdeError> {
    let size = |field, value, reason| PdeError::Size { problem, field, value, reason };
    let check = |field, value: usize| {
        if value < FEWEST_POINTS {
            return Err(size(field, value, format!("at least {FEWEST_POINTS} points an axis are needed")));
        }
        match (value as u64).checked_pow(axes) {
            Some(points) if points <= MOST_POINTS => Ok(()),
            _ => Err(size(field, value, format!("more than {MOST_POINTS} points in {axes} dimensions"))),
        }
    };
    let n = options.n.unwrap_or(default_n);
    check("n", n)?;
    let Some(solver_n) = options.solver_n else {
        return match check("solver_n", default_ratio * (n - end) + end) {
            Ok(()) => Ok((n, default_ratio)),
            Err(_) => {
                Err(size("n", n, format!("the solver grid, {default_ratio} times finer, is too large; set solver_n")))
            }
        };
    };
    check("solver_n", solver_n)?;
    if solver_n < n || !(solver_n - end).is_multiple_of(n - end) {
        let intervals = if end == 0 { "solver_n" } else { "solver_n - 1" };
        let reason = format!("does not fit down-sampling to n = {n}: {intervals} must be a multiple of {}", n - end);
        return Err(size("solver_n", solver_n, reason));
    }
    Ok((n, (solver_n - end) / (n - end)))
}

/// Most points an axis in 2D where a sparse factorisation is needed: about 4 million unknowns, 4 GiB.
const MOST_SPARSE: usize = 2048;

/// As [`grid_sizes`] for the plane, where the matrix of the finer grid is factored.
pub(crate) fn sparse_grid_sizes(
    problem: &'static str,
    options: &ProblemOptions,
    default_n: usize,
    default_ratio: usize,
) -> Result<(usize, usize), PdeError> {
    let (n, ratio) = grid_sizes(problem, options, 2, default_n, default_ratio, 0)?;
    if n * ratio <= MOST_SPARSE {
        return Ok((n, ratio));
    }
    Err(match options.solver_n {
        Some(value) => {
            let reason = format!("more than {MOST_SPARSE} points an axis are too many for the sparse factorisation");
            PdeError::Size { problem, field: "solver_n", value, reason }
        }
        None => {
            let reason = format!(
                "the solver grid, {ratio} times finer, has more than the {MOST_SPARSE} points an axis that the sparse \
                 factorisation allows; set solver_n"
            );
            PdeError::Size { problem, field: "n", value: n, reason }
        }
    })
}

/// The scheme of this name, or `None` if none was asked for.
pub(crate) fn choose_scheme<T: Copy>(
    problem: &'static str,
    options: &ProblemOptions,
    known: &[(&'static str, T)],
) -> Result<Option<T>, PdeError> {
    let Some(scheme) = &options.scheme else {
        return Ok(None);
    };
    match known.iter().find(|(name, _)| name == scheme) {
        Some(&(_, value)) => Ok(Some(value)),
        None => {
            let names: Vec<&str> = known.iter().map(|&(name, _)| name).collect();
            Err(PdeError::UnknownScheme { problem, scheme: scheme.clone(), known: names.join(", ") })
        }
    }
}

/// The centres (i + 1/2)/n of n cells of the unit interval.
pub(crate) fn cell_centres(n: usize) -> Vec<f64> {
    (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect()
}
