//! Burgers equation on the unit interval, Dirichlet: `u_t + beta u u_x = nu u_xx`, u(0, t) = u(1, t)
//! = 0 (Neural-HSS paper, appendix F.5; with beta = 1e-2 and 1e-4 the modified equation of appendix
//! J).
//!
//! Family `paper`: `u_0 = sum_{k=1}^{10} c_k sin(2 pi (k + 1) x)`, c_k uniform on (-1, 1), scaled to
//! a largest absolute value of 1; all states have period 1 as functions that are odd about both ends.
//! Families `random-s1` and `random-s2`: Gaussian, scaled likewise.
//!
//! beta = 1, nu = 1e-3, T = 15, dt = 0.2. Solved at the points i/1024, i = 0..1023 (x = 1 is the
//! boundary and is not counted), second-order differences that conserve `sum u` inside and, without
//! viscosity, `sum u^2`; BDF with relative tolerance 1e-4 and absolute tolerance 1e-6; every fourth
//! point is stored.
//!
//! A shock from 1 to -1 is `4 nu / beta` wide, four intervals. Against the exact solution of Cole
//! (Quart. Appl. Math. 9, 1951) and Hopf (Comm. Pure Appl. Math. 3, 1950) the error at t = 0.2 is
//! 1e-3 in relative L2 and up to 4e-3 at a point, whatever the tolerance, and of order 2 in the
//! spacing; at t = 1 it is below 2e-4. The error in time is largest at the first stored state, where
//! it is 4 times the tolerance for family `paper`, 15 for `random-s1` and 50 for `random-s2`. A grid
//! on which shocks would oscillate, `|beta| h / nu` above 2, is refused.
//!
//! Cost of a trajectory: 8 to 13 ms.

use rand::RngExt;

use crate::dirichlet_line::{Description, DirichletLine};
use crate::evolution::check_call;
use crate::options::positive;
use crate::{Evolution, Family, PdeError, ProblemOptions, SampleKey};

/// Highest wave number of family `paper`, in units of pi.
const HIGHEST: usize = 22;

const DESCRIPTION: Description = Description {
    name: Burgers1d::NAME,
    end: 0,
    wave_numbers: [4, 6, 8, 10, 12, 14, 16, 18, 20, HIGHEST],
    horizon: 15.0,
    time_step: 0.2,
};

/// Largest `|beta u| h / nu`, for |u| = 1.
const CELL_PECLET: f64 = 2.0;

/// The evolution `burgers-1d`.
pub struct Burgers1d {
    line: DirichletLine,
    viscosity: f64,
    beta: f64,
}

impl Burgers1d {
    /// The name on the command line.
    pub const NAME: &'static str = "burgers-1d";
    /// One line for people.
    pub const TITLE: &'static str = "Burgers equation on the unit interval, Dirichlet";

    /// Builds the problem. Options: `n` (256), `solver_n` (4 n, x = 1 not counted), `horizon` (15),
    /// `time_step` (0.2), `viscosity` (1e-3), `beta` (1), `tolerance` (relative, 1e-4; the absolute
    /// one is a hundredth).
    ///
    /// # Errors
    /// Sizes out of range or that do not fit each other; a viscosity that is not positive, or too
    /// small for the grid; a beta that is not finite; a tolerance outside 1e-10 to 1e-2; a horizon
    /// that is no multiple of the time step; a trajectory or an integration of more than 2 GiB.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n", "solver_n", "horizon", "time_step", "viscosity", "beta", "tolerance"])?;
        let viscosity = positive(Self::NAME, "viscosity", options.viscosity, 1e-3)?;
        let beta = options.beta.unwrap_or(1.0);
        let refuse = |field, value, reason| Err(PdeError::Value { problem: Self::NAME, field, value, reason });
        if !beta.is_finite() {
            return refuse("beta", beta, "must be a finite number".to_owned());
        }
        let line = DirichletLine::new(options, &DESCRIPTION, viscosity, beta)?;
        let peclet = beta.abs() / viscosity / line.intervals as f64;
        if peclet > CELL_PECLET {
            let least = (beta.abs() / viscosity / CELL_PECLET / line.n as f64).ceil() * line.n as f64;
            let reason = format!(
                "shocks would oscillate on the spacing 1/{}: |beta| h / viscosity = {peclet:.3} is above {CELL_PECLET}; \
                 solver_n must be at least {least}",
                line.intervals
            );
            return refuse("viscosity", viscosity, reason);
        }
        Ok(Burgers1d { line, viscosity, beta })
    }
}

impl Evolution for Burgers1d {
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
            ("equation", format!("u_t + {} u u_x = {:e} u_xx on (0, 1)", self.beta, self.viscosity)),
            (
                "scheme",
                "three-point stencil; u u_x as (u_{i-1} + u_i + u_{i+1}) (u_{i+1} - u_{i-1}) / (6 h)".to_owned(),
            ),
            (
                "family_paper",
                "u_0 = sum_{k=1}^{10} c_k sin(2 pi (k + 1) x), c_k uniform on (-1, 1), scaled to a largest absolute value of 1 on the \
                 solver grid"
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

    /// Only for beta = 0, which is the heat equation.
    fn is_linear(&self) -> bool {
        self.beta == 0.0
    }

    fn trajectory(
        &self,
        family: Family,
        key: SampleKey,
        scalars: &mut [f64],
        states: &mut [f64],
    ) -> Result<(), PdeError> {
        check_call(self, Some(HIGHEST), family, scalars, states)?;
        let initial = self.line.initial_state(family, &mut key.rng(), |rng| 2.0 * rng.random::<f64>() - 1.0);
        self.line.trajectory(&initial, states)
    }
}
