//! What an evolution equation is, and the list of those there are.

use crate::gray_scott_2d::GrayScott2d;
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

/// Names and titles of the evolution equations.
pub fn evolutions() -> &'static [(&'static str, &'static str)] {
    &[(GrayScott2d::NAME, GrayScott2d::TITLE), (NavierStokes2d::NAME, NavierStokes2d::TITLE)]
}

/// Builds an evolution equation by name.
///
/// # Errors
/// An unknown name; an option that is unknown or out of range.
pub fn evolution(name: &str, options: &ProblemOptions) -> Result<Box<dyn Evolution>, PdeError> {
    Ok(match name {
        GrayScott2d::NAME => Box::new(GrayScott2d::new(options)?),
        NavierStokes2d::NAME => Box::new(NavierStokes2d::new(options)?),
        _ => {
            let known: Vec<&str> = evolutions().iter().map(|&(name, _)| name).collect();
            return Err(PdeError::UnknownProblem { name: name.to_owned(), known: known.join(", ") });
        }
    })
}
