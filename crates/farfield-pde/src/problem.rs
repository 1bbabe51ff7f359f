//! What a problem is, and the list of those there are.

use crate::custom_operator::CustomOperator;
use crate::end_states::Direction;
use crate::family::names;
use crate::gray_scott_2d::GrayScott2d;
use crate::helmholtz_2d::Helmholtz2d;
use crate::n_body::NBody;
use crate::navier_stokes_2d::NavierStokes2d;
use crate::nonlinear_schrodinger_1d::NonlinearSchrodinger1d;
use crate::poisson_1d::Poisson1d;
use crate::poisson_1d_neumann::Poisson1dNeumann;
use crate::poisson_2d::Poisson2d;
use crate::poisson_2d_disk::Poisson2dDisk;
use crate::poisson_2d_l_shape::Poisson2dLShape;
use crate::poisson_3d::Poisson3d;
use crate::radiative_transfer_1d::RadiativeTransfer1d;
use crate::radiative_transfer_2d::RadiativeTransfer2d;
use crate::{Evolution, Family, PdeError, ProblemOptions, SampleKey};

/// Where the values of fields without a grid lie: point after point, `dims` coordinates each.
#[derive(Debug, Clone, PartialEq)]
pub struct ScatteredPoints {
    /// Dimension of the space, 1 to 3.
    pub dims: usize,
    /// The points of the inputs.
    pub sources: Vec<f64>,
    /// The points of the outputs.
    pub receivers: Vec<f64>,
}

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

    /// Points of the stored fields along each axis; one axis for fields on [scattered points](Self::points).
    fn grid(&self) -> Vec<usize>;

    /// Points of the outputs along each axis: those of [`grid`](Self::grid), but where sources and receivers are different sets of
    /// scattered points.
    fn output_grid(&self) -> Vec<usize> {
        self.grid()
    }

    /// The points of the fields, where they are no grid.
    fn points(&self) -> Option<ScatteredPoints> {
        None
    }

    /// What a reader of the data must know: equation, boundary condition, scheme and its order,
    /// grid conventions, solver grid, families. Written into data files and reports as attributes;
    /// the names are stable.
    fn facts(&self) -> Vec<(&'static str, String)>;

    /// The families that can be drawn on this grid.
    fn families(&self) -> Vec<Family>;

    /// Coordinates of the stored points, one array per axis. For fields on [scattered points](Self::points): the numbers of the
    /// points of the output.
    fn coordinates(&self) -> Vec<Vec<f64>>;

    /// Which stored points lie in the domain, in the order of a field of one channel; `None` if all
    /// do. Fields are zero outside.
    fn mask(&self) -> Option<Vec<bool>> {
        None
    }

    /// Whether the output depends linearly on the input.
    fn is_linear(&self) -> bool {
        true
    }

    /// Dimension of the linear span of the family's inputs. A linear problem is solved exactly by
    /// least squares from this many samples: ten for the paper's 1D set.
    fn random_dimensions(&self, family: Family) -> usize;

    /// Of a map between the two ends of an evolution: the evolution, which stores only these, and which end is given. Both
    /// maps of an evolution are drawn from the same trajectories, with the scalars as the last input channels.
    fn end_states(&self) -> Option<(&dyn Evolution, Direction)> {
        None
    }

    /// Draws the sample with this key: `input` has `channels().0` x grid numbers, `output`
    /// `channels().1` x output grid. Both are overwritten. The same key gives the same bits on any thread.
    ///
    /// # Errors
    /// A family that this grid does not support; a buffer of the wrong length.
    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError>;
}

/// Names and titles of the problems: the maps from one field to another, which [`problem`] builds.
pub fn problems() -> &'static [(&'static str, &'static str)] {
    &[
        (Poisson1d::NAME, Poisson1d::TITLE),
        (Poisson1dNeumann::NAME, Poisson1dNeumann::TITLE),
        (Poisson2d::NAME, Poisson2d::TITLE),
        (Poisson2dLShape::NAME, Poisson2dLShape::TITLE),
        (Poisson2dDisk::NAME, Poisson2dDisk::TITLE),
        (Poisson3d::NAME, Poisson3d::TITLE),
        (Helmholtz2d::NAME, Helmholtz2d::TITLE),
        GrayScott2d::FORWARD,
        GrayScott2d::INVERSE,
        NavierStokes2d::FORWARD,
        NavierStokes2d::INVERSE,
        (RadiativeTransfer1d::NAME, RadiativeTransfer1d::TITLE),
        (RadiativeTransfer2d::NAME, RadiativeTransfer2d::TITLE),
        CustomOperator::NAMES[0],
        CustomOperator::NAMES[1],
        CustomOperator::NAMES[2],
        NBody::PLANE,
        NBody::SPACE,
        (NonlinearSchrodinger1d::NAME, NonlinearSchrodinger1d::TITLE),
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
        Poisson2dLShape::NAME => Box::new(Poisson2dLShape::new(options)?),
        Poisson2dDisk::NAME => Box::new(Poisson2dDisk::new(options)?),
        Poisson3d::NAME => Box::new(Poisson3d::new(options)?),
        Helmholtz2d::NAME => Box::new(Helmholtz2d::new(options)?),
        name if name == GrayScott2d::FORWARD.0 => Box::new(GrayScott2d::forward_map(options)?),
        name if name == GrayScott2d::INVERSE.0 => Box::new(GrayScott2d::inverse_map(options)?),
        name if name == NavierStokes2d::FORWARD.0 => Box::new(NavierStokes2d::forward_map(options)?),
        name if name == NavierStokes2d::INVERSE.0 => Box::new(NavierStokes2d::inverse_map(options)?),
        RadiativeTransfer1d::NAME => Box::new(RadiativeTransfer1d::new(options)?),
        RadiativeTransfer2d::NAME => Box::new(RadiativeTransfer2d::new(options)?),
        NonlinearSchrodinger1d::NAME => Box::new(NonlinearSchrodinger1d::new(options)?),
        name if name == CustomOperator::NAMES[0].0 => Box::new(CustomOperator::new(1, options)?),
        name if name == CustomOperator::NAMES[1].0 => Box::new(CustomOperator::new(2, options)?),
        name if name == CustomOperator::NAMES[2].0 => Box::new(CustomOperator::new(3, options)?),
        name if name == NBody::PLANE.0 => Box::new(NBody::new(2, options)?),
        name if name == NBody::SPACE.0 => Box::new(NBody::new(3, options)?),
        _ => {
            let known: Vec<&str> = problems().iter().map(|&(name, _)| name).collect();
            return Err(PdeError::UnknownProblem { name: name.to_owned(), known: known.join(", ") });
        }
    })
}

/// The families of a grid with `n` points an axis: `paper` only if its highest wave number is below
/// `n`.
pub(crate) fn families_below(n: usize, highest: usize) -> Vec<Family> {
    let skip = usize::from(n <= highest);
    Family::ALL[skip..].to_vec()
}

/// Checks the arguments of [`Problem::sample`]; `highest` is the highest wave number of family
/// `paper`, if the grid limits it.
pub(crate) fn check_call(
    problem: &dyn Problem,
    highest: impl Into<Option<usize>>,
    family: Family,
    input: &[f64],
    output: &[f64],
) -> Result<(), PdeError> {
    let families = problem.families();
    if !families.contains(&family) {
        let (problem_name, known) = (problem.name(), names(&families));
        return Err(match highest.into() {
            Some(highest) => {
                let (family, n) = (family.to_string(), problem.grid()[0]);
                PdeError::Family { problem: problem_name, family, n, known, highest }
            }
            None => PdeError::UnknownFamily { name: family.to_string(), known },
        });
    }
    let (points_in, points_out): (usize, usize) =
        (problem.grid().iter().product(), problem.output_grid().iter().product());
    let (channels_in, channels_out) = problem.channels();
    for (buffer, got, expected) in
        [("input", input.len(), channels_in * points_in), ("output", output.len(), channels_out * points_out)]
    {
        if got != expected {
            return Err(PdeError::Length { problem: problem.name(), buffer, got, expected });
        }
    }
    Ok(())
}
