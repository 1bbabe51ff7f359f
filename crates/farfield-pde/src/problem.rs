//! What a problem is, and the list of those there are.

use serde::{Deserialize, Serialize};

use crate::family::names;
use crate::poisson_1d::Poisson1d;
use crate::poisson_1d_neumann::Poisson1dNeumann;
use crate::poisson_2d::Poisson2d;
use crate::poisson_3d::Poisson3d;
use crate::{Family, PdeError, SampleKey};

/// A partial differential equation with a sampler of inputs and a solver: a source of pairs (input,
/// output).
///
/// Fields are stored as (channel, grid axes...), the last axis fastest. One value may be shared by
/// many threads.
pub trait Problem: Send + Sync {
    /// The name on the command line, for instance `poisson-1d`.
    fn name(&self) -> &'static str;

    /// One line for people.
    fn title(&self) -> &'static str;

    /// Number of input and of output channels.
    fn channels(&self) -> (usize, usize);

    /// Points of the stored fields along each axis.
    fn grid(&self) -> Vec<usize>;

    /// What a reader of the data must know: equation, boundary condition, scheme and its order,
    /// grid conventions, solver grid, families. Written into data files and reports as attributes;
    /// the names are stable.
    fn facts(&self) -> Vec<(&'static str, String)>;

    /// The families that can be drawn on this grid.
    fn families(&self) -> Vec<Family>;

    /// Coordinates of the stored points, one array per axis.
    fn coordinates(&self) -> Vec<Vec<f64>>;

    /// Dimension of the linear span of the family's inputs. A linear problem is solved exactly by
    /// least squares from this many samples: ten for the paper's 1D set.
    fn random_dimensions(&self, family: Family) -> usize;

    /// Draws the sample with this key: `input` has `channels().0` x grid numbers, `output`
    /// `channels().1` x grid. Both are overwritten. The same key gives the same bits on any thread.
    ///
    /// # Errors
    /// A family that this grid does not support; a buffer of the wrong length.
    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError>;
}

/// Options of a problem; all have defaults. In TOML or JSON, an unknown key is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProblemOptions {
    /// Points an axis of the stored grid. Default: 256 in 1D, 64 in 2D, 128 in 3D. At least 4;
    /// family `paper` needs more than its highest wave number (20 in 1D and 2D, 23 in 3D).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<usize>,
    /// Points an axis of the grid that family `paper` is solved on, before down-sampling. Default:
    /// 4 n in 1D (with Neumann conditions 4 (n - 1) + 1), 2 n in 2D, n in 3D. Its intervals must be
    /// a multiple of the stored grid's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver_n: Option<usize>,
    /// Discretisation, for both families. Default: `fourth-order` for family `paper` everywhere and
    /// for all families in 2D and 3D, `second-order` for the random families in 1D. Each problem
    /// lists the ones it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

/// Names and titles of the problems.
pub fn problems() -> &'static [(&'static str, &'static str)] {
    &[
        (Poisson1d::NAME, Poisson1d::TITLE),
        (Poisson1dNeumann::NAME, Poisson1dNeumann::TITLE),
        (Poisson2d::NAME, Poisson2d::TITLE),
        (Poisson3d::NAME, Poisson3d::TITLE),
    ]
}

/// Builds a problem by name.
///
/// # Errors
/// An unknown name, an unknown scheme, or sizes that are out of range or do not fit each other.
///
/// ```
/// use farfield_pde::{Family, ProblemOptions, SampleKey, Stream, problem};
///
/// let poisson = problem("poisson-1d", &ProblemOptions::default())?;
/// let (mut f, mut u) = (vec![0.0; 256], vec![0.0; 256]);
/// let key = SampleKey { seed: 1, stream: Stream::Train, index: 0 };
/// poisson.sample(Family::Paper, key, &mut f, &mut u)?;
/// assert_eq!((f[0], u[0]), (0.0, 0.0));
/// # Ok::<(), farfield_pde::PdeError>(())
/// ```
pub fn problem(name: &str, options: &ProblemOptions) -> Result<Box<dyn Problem>, PdeError> {
    Ok(match name {
        Poisson1d::NAME => Box::new(Poisson1d::new(options)?),
        Poisson1dNeumann::NAME => Box::new(Poisson1dNeumann::new(options)?),
        Poisson2d::NAME => Box::new(Poisson2d::new(options)?),
        Poisson3d::NAME => Box::new(Poisson3d::new(options)?),
        _ => {
            let known: Vec<&str> = problems().iter().map(|&(name, _)| name).collect();
            return Err(PdeError::UnknownProblem { name: name.to_owned(), known: known.join(", ") });
        }
    })
}

/// Most points that a grid may have: 2 GiB of f64.
const MOST_POINTS: u64 = 1 << 28;
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

/// The families of a grid with `n` points an axis: `paper` only if its highest wave number is below
/// `n`.
pub(crate) fn families_below(n: usize, highest: usize) -> Vec<Family> {
    let skip = usize::from(n <= highest);
    Family::ALL[skip..].to_vec()
}

/// Checks the arguments of [`Problem::sample`]; `highest` is the highest wave number of family
/// `paper`.
pub(crate) fn check_call(
    problem: &dyn Problem,
    highest: usize,
    family: Family,
    input: &[f64],
    output: &[f64],
) -> Result<(), PdeError> {
    let families = problem.families();
    let grid = problem.grid();
    if !families.contains(&family) {
        return Err(PdeError::Family {
            problem: problem.name(),
            family: family.to_string(),
            n: grid[0],
            known: names(&families),
            highest,
        });
    }
    let points: usize = grid.iter().product();
    let (channels_in, channels_out) = problem.channels();
    for (buffer, got, expected) in
        [("input", input.len(), channels_in * points), ("output", output.len(), channels_out * points)]
    {
        if got != expected {
            return Err(PdeError::Length { problem: problem.name(), buffer, got, expected });
        }
    }
    Ok(())
}
