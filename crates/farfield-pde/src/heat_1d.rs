//! Heat equation on the unit interval, Dirichlet: `u_t = D u_xx`, u(0, t) = u(1, t) = 0 (Neural-HSS
//! paper, appendix F.3).
//!
//! Family `paper`: `u_0 = sum_{k=1}^{10} 2 c_k sin(k pi x)`, c_k uniform on (0, 1), scaled to a
//! largest absolute value of 1. It spans ten dimensions, as do all later states. Families
//! `random-s1` and `random-s2`: Gaussian, scaled likewise.
//!
//! D = 2e-4, T = 8, dt = 0.2 (option `time_step`: section F.1 of the paper has 0.8, F.3 has 0.2).
//! Solved at 1024 points i/1023 that reach both ends, three-point stencil, BDF with relative
//! tolerance 1e-4 and absolute tolerance 1e-6. 1023 intervals do not divide into 255: every fourth
//! point is stored from x = 0 on, as the slice `[::4]` of the paper's arrays would keep, so the 256
//! stored points are 4 i/1023 and the last one, 1020/1023, lies beside the boundary.
//!
//! Errors of a trajectory at the defaults, of a largest value of 1: in space, of order 2, 1.5e-5 for
//! family `paper`; in time 1e-6 for family `paper` and 2e-5 for the others. So states depend linearly
//! on the initial state only up to that: the steps do not.
//!
//! Cost of a trajectory: 1 to 2 ms.

use rand::RngExt;

use crate::dirichlet_line::{Description, DirichletLine};
use crate::evolution::check_call;
use crate::options::positive;
use crate::{Evolution, Family, PdeError, ProblemOptions, SampleKey};

/// Highest wave number of family `paper`, in units of pi.
const HIGHEST: usize = 10;

const DESCRIPTION: Description = Description {
    name: Heat1d::NAME,
    end: 1,
    wave_numbers: [1, 2, 3, 4, 5, 6, 7, 8, 9, HIGHEST],
    horizon: 8.0,
    time_step: 0.2,
};

/// The evolution `heat-1d`.
pub struct Heat1d {
    line: DirichletLine,
    diffusivity: f64,
}

impl Heat1d {
    /// The name on the command line.
    pub const NAME: &'static str = "heat-1d";
    /// One line for people.
    pub const TITLE: &'static str = "Heat equation on the unit interval, Dirichlet";

    /// Builds the problem. Options: `n` (256), `solver_n` (4 n, both ends counted), `horizon` (8),
    /// `time_step` (0.2), `viscosity` (the diffusivity D, 2e-4), `tolerance` (relative, 1e-4; the
    /// absolute one is a hundredth).
    ///
    /// # Errors
    /// Sizes out of range or that do not fit each other; a diffusivity that is not positive; a
    /// tolerance outside 1e-10 to 1e-2; a horizon that is no multiple of the time step; a trajectory
    /// or an integration of more than 2 GiB.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n", "solver_n", "horizon", "time_step", "viscosity", "tolerance"])?;
        let diffusivity = positive(Self::NAME, "viscosity", options.viscosity, 2e-4)?;
        Ok(Heat1d { line: DirichletLine::new(options, &DESCRIPTION, diffusivity, 0.0)?, diffusivity })
    }
}

impl Evolution for Heat1d {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn title(&self) -> &'static str {
        Self::TITLE
    }

    fn fields(&self) -> Vec<&'static str> {
        vec!["u"]
    }

    fn grid(&self) -> Vec<usize> {
        vec![self.line.n]
    }

    fn periodic(&self) -> Vec<bool> {
        vec![false]
    }

    fn times(&self) -> Vec<f64> {
        self.line.times.clone()
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("equation", format!("u_t = {:e} u_xx on (0, 1)", self.diffusivity)),
            ("scheme", "three-point stencil".to_owned()),
            (
                "family_paper",
                "u_0 = sum_{k=1}^{10} 2 c_k sin(k pi x), c_k uniform on (0, 1), scaled to a largest absolute value of 1 on the solver \
                 grid; spans ten dimensions"
                    .to_owned(),
            ),
        ];
        facts.extend(self.line.facts());
        facts
    }

    fn families(&self) -> Vec<Family> {
        self.line.families(HIGHEST)
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        vec![self.line.coordinates()]
    }

    fn is_linear(&self) -> bool {
        true
    }

    fn trajectory(
        &self,
        family: Family,
        key: SampleKey,
        scalars: &mut [f64],
        states: &mut [f64],
    ) -> Result<(), PdeError> {
        check_call(self, Some(HIGHEST), family, scalars, states)?;
        let initial = self.line.initial_state(family, &mut key.rng(), |rng| 2.0 * rng.random::<f64>());
        self.line.trajectory(&initial, states)
    }
}
