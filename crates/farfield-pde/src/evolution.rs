//! What an evolution equation is, and the list of those there are.

use crate::burgers_1d::Burgers1d;
use crate::family::names;
use crate::gray_scott_2d::GrayScott2d;
use crate::heat_1d::Heat1d;
use crate::navier_stokes_2d::NavierStokes2d;
use crate::{Family, PdeError, ProblemOptions, SampleKey};

/// An evolution equation with a sampler of initial states and an integrator: a source of
/// trajectories.
///
/// A state is stored as (field, grid axes...), the last axis fastest; a trajectory as (time, field,
/// grid axes...). One value may be shared by many threads.
pub trait Evolution: Send + Sync {
    /// The name on the command line, for instance `heat-1d`.
    fn name(&self) -> &'static str;

    /// One line for people.
    fn title(&self) -> &'static str;

    /// Names of the fields of a state, for instance `u`, or `A` and `B`.
    fn fields(&self) -> Vec<&'static str>;

    /// Names of the numbers that belong to a trajectory as a whole, for instance the feed and kill
    /// rates of the Gray-Scott model. Mostly none.
    fn scalars(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Points of the stored states along each axis.
    fn grid(&self) -> Vec<usize>;

    /// Whether each axis is periodic.
    fn periodic(&self) -> Vec<bool>;

    /// Times of the stored states, from 0.
    fn times(&self) -> Vec<f64>;

    /// What a reader of the data must know; see [`Problem::facts`](crate::Problem::facts).
    fn facts(&self) -> Vec<(&'static str, String)>;

    /// The families of initial states.
    fn families(&self) -> Vec<Family>;

    /// Coordinates of the stored points, one array per axis.
    fn coordinates(&self) -> Vec<Vec<f64>>;

    /// Whether a state depends linearly on the initial state.
    fn is_linear(&self) -> bool;

    /// Integrates the trajectory with this key: `scalars` has one number for each of
    /// [`scalars`](Self::scalars), `states` times x fields x grid numbers. Both are overwritten. The
    /// same key gives the same bits on any thread.
    ///
    /// # Errors
    /// A family that there is not; a buffer of the wrong length; an integration that fails.
    fn trajectory(
        &self,
        family: Family,
        key: SampleKey,
        scalars: &mut [f64],
        states: &mut [f64],
    ) -> Result<(), PdeError>;
}

/// Names and titles of the evolution equations, which [`evolution`] builds.
pub fn evolutions() -> &'static [(&'static str, &'static str)] {
    &[
        (Heat1d::NAME, Heat1d::TITLE),
        (Burgers1d::NAME, Burgers1d::TITLE),
        (GrayScott2d::NAME, GrayScott2d::TITLE),
        (NavierStokes2d::NAME, NavierStokes2d::TITLE),
    ]
}

/// Builds an evolution equation by name.
///
/// # Errors
/// An unknown name; an option that is unknown or out of range.
///
/// ```
/// use farfield_pde::{Family, ProblemOptions, SampleKey, Stream, evolution};
///
/// let options = ProblemOptions { horizon: Some(0.4), ..ProblemOptions::default() };
/// let heat = evolution("heat-1d", &options)?;
/// let mut states = vec![0.0; 3 * 256];
/// let key = SampleKey { seed: 1, stream: Stream::Train, index: 0 };
/// heat.trajectory(Family::Paper, key, &mut [], &mut states)?;
/// assert_eq!(heat.times(), [0.0, 0.2, 0.4]);
/// # Ok::<(), farfield_pde::PdeError>(())
/// ```
pub fn evolution(name: &str, options: &ProblemOptions) -> Result<Box<dyn Evolution>, PdeError> {
    Ok(match name {
        Heat1d::NAME => Box::new(Heat1d::new(options)?),
        Burgers1d::NAME => Box::new(Burgers1d::new(options)?),
        GrayScott2d::NAME => Box::new(GrayScott2d::new(options)?),
        NavierStokes2d::NAME => Box::new(NavierStokes2d::new(options)?),
        _ => {
            let known: Vec<&str> = evolutions().iter().map(|&(name, _)| name).collect();
            return Err(PdeError::UnknownProblem { name: name.to_owned(), known: known.join(", ") });
        }
    })
}

/// Checks the arguments of [`Evolution::trajectory`]; `highest` is the highest wave number of family
/// `paper`, where the families depend on the number of points.
pub(crate) fn check_call(
    evolution: &dyn Evolution,
    highest: Option<usize>,
    family: Family,
    scalars: &[f64],
    states: &[f64],
) -> Result<(), PdeError> {
    let (problem, families, grid) = (evolution.name(), evolution.families(), evolution.grid());
    if !families.contains(&family) {
        let (family, known) = (family.to_string(), names(&families));
        return Err(match highest {
            Some(highest) => PdeError::Family { problem, family, n: grid[0], known, highest },
            None => PdeError::UnknownFamily { name: family, known },
        });
    }
    let numbers = evolution.times().len() * evolution.fields().len() * grid.iter().product::<usize>();
    for (buffer, got, expected) in
        [("scalars", scalars.len(), evolution.scalars().len()), ("states", states.len(), numbers)]
    {
        if got != expected {
            return Err(PdeError::Length { problem, buffer, got, expected });
        }
    }
    Ok(())
}
