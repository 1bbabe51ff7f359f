//! What the evolution equations on the unit interval with u = 0 at both ends share: the two grids,
//! the initial states and their integration.
//!
//! The solver grid has the points i/N, i = 0..N. The stored grid keeps every `ratio`-th of them from
//! x = 0 on. All families are drawn as sine waves and solved on the solver grid, and scaled to a
//! largest absolute value of 1 there, so that the tolerances of the integrator mean the same for
//! each.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::advection_diffusion::AdvectionDiffusion;
use crate::bdf::{absolute_tolerance, integrate};
use crate::gaussian_field::deviation;
use crate::options::grid_sizes;
use crate::series::{SineTable, evaluate};
use crate::sine_transform::SineTransform;
use crate::time_grid::stored_times;
use crate::{Family, PdeError, ProblemOptions};

/// Waves of family `paper`.
pub(crate) const WAVES: usize = 10;

/// Vectors of the solver grid that an integration holds at most, its matrices included.
const WORK_VECTORS: usize = 64;
/// Most numbers that an integration may hold: 2 GiB of f64.
const MOST_NUMBERS: usize = 1 << 28;
/// Relative tolerances that the integrator is tested for.
const TOLERANCES: (f64, f64) = (1e-10, 1e-2);

/// Constants of one problem.
pub(crate) struct Description {
    pub name: &'static str,
    /// Whether x = 1 is a point of the solver grid: 1 if so, else 0.
    pub end: usize,
    pub wave_numbers: [usize; WAVES],
    pub horizon: f64,
    pub time_step: f64,
}

/// One problem's grids, waves and integrator.
pub(crate) struct DirichletLine {
    name: &'static str,
    pub n: usize,
    pub ratio: usize,
    /// N, the intervals of the solver grid.
    pub intervals: usize,
    pub times: Vec<f64>,
    pub tolerance: f64,
    equation: AdvectionDiffusion,
    transform: SineTransform,
    waves: Vec<f64>,
}

impl DirichletLine {
    /// Reads the options that do not belong to the equation.
    pub(crate) fn new(
        options: &ProblemOptions,
        description: &Description,
        viscosity: f64,
        beta: f64,
    ) -> Result<Self, PdeError> {
        let &Description { name, end, ref wave_numbers, horizon, time_step } = description;
        let (n, ratio) = grid_sizes(name, options, 1, 256, 4, 0)?;
        let solver_n = n * ratio;
        if solver_n > MOST_NUMBERS / WORK_VECTORS {
            let reason = "the integration needs more than 2 GiB".to_owned();
            return Err(PdeError::Size { problem: name, field: "solver_n", value: solver_n, reason });
        }
        let times = stored_times(name, options, horizon, time_step, n)?;
        let tolerance = options.tolerance.unwrap_or(1e-4);
        if !(TOLERANCES.0..=TOLERANCES.1).contains(&tolerance) {
            let reason = format!("must lie between {:e} and {}", TOLERANCES.0, TOLERANCES.1);
            return Err(PdeError::Value { problem: name, field: "tolerance", value: tolerance, reason });
        }
        let intervals = solver_n - end;
        Ok(DirichletLine {
            name,
            n,
            ratio,
            intervals,
            times,
            tolerance,
            equation: AdvectionDiffusion::new(intervals, viscosity, beta),
            transform: SineTransform::new(1, intervals),
            waves: SineTable::new(intervals).basis(wave_numbers),
        })
    }

    /// The families: not white noise, whose trajectories have no limit as the grid is refined, and
    /// `paper` only if its highest wave number is below `n`.
    pub(crate) fn families(&self, highest: usize) -> Vec<Family> {
        let smooth = [1, 2].map(|smoothness| Family::Random { smoothness });
        let paper = (self.n > highest).then_some(Family::Paper);
        paper.into_iter().chain(smooth).collect()
    }

    /// Coordinates of the stored points.
    pub(crate) fn coordinates(&self) -> Vec<f64> {
        (0..self.n).map(|i| (i * self.ratio) as f64 / self.intervals as f64).collect()
    }

    /// Draws an initial state of the family; `paper` draws one coefficient of a wave.
    pub(crate) fn initial_state<R: Rng>(&self, family: Family, rng: &mut R, paper: impl Fn(&mut R) -> f64) -> Vec<f64> {
        let mut u = vec![0.0; self.intervals];
        match family {
            Family::Paper => {
                let coefficients: [f64; WAVES] = std::array::from_fn(|_| paper(rng));
                evaluate(&coefficients, &[&self.waves], WAVES, &mut u);
            }
            Family::Random { smoothness } => {
                // The waves that the stored grid tells apart, whatever the solver grid.
                for (k, value) in u.iter_mut().enumerate().take(self.n).skip(1) {
                    let normal: f64 = StandardNormal.sample(rng);
                    *value = deviation(k * k, smoothness) * normal;
                }
                self.transform.apply(&mut u);
            }
        }
        let largest = u.iter().fold(0.0, |largest: f64, u| largest.max(u.abs()));
        if largest > 0.0 {
            u.iter_mut().for_each(|u| *u /= largest);
        }
        u
    }

    /// Integrates from `initial` (points 0..N of the solver grid) and stores all states.
    pub(crate) fn trajectory(&self, initial: &[f64], states: &mut [f64]) -> Result<(), PdeError> {
        let (first, later) = states.split_at_mut(self.n);
        self.store(&initial[1..], first);
        let mut later = later.chunks_exact_mut(self.n);
        integrate(self.name, self.equation, &initial[1..], self.tolerance, &self.times[1..], |u| {
            if let Some(state) = later.next() {
                self.store(u, state);
            }
        })
    }

    /// Keeps every `ratio`-th point of the solver grid, of which `interior` has the points 1..N.
    fn store(&self, interior: &[f64], stored: &mut [f64]) {
        for (i, value) in stored.iter_mut().enumerate() {
            let at = (i * self.ratio).checked_sub(1);
            *value = at.and_then(|at| interior.get(at)).copied().unwrap_or(0.0);
        }
    }

    /// What readers of the data must know about grids and integration.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let (n, ratio, intervals) = (self.n, self.ratio, self.intervals);
        let right = if (n - 1) * ratio == intervals { "both ends are stored" } else { "x = 1 is not stored" };
        let (last, step) = (self.times.len() - 1, self.times[1]);
        let (relative, absolute) = (self.tolerance, absolute_tolerance(self.tolerance));
        vec![
            ("boundary_condition", "u(0, t) = u(1, t) = 0".to_owned()),
            ("grid", format!("{ratio} i/{intervals}, i = 0..{}; {right}", n - 1)),
            ("solver_grid", format!("i/{intervals}, i = 0..{intervals}, for all families; spacing 1/{intervals}")),
            ("order", "2".to_owned()),
            ("times", format!("i {step}, i = 0..{last}")),
            (
                "time_integrator",
                format!("BDF of order 1 to 5, adaptive; relative tolerance {relative:e}, absolute {absolute:e}"),
            ),
            (
                "family_random",
                format!(
                    "u_0 ~ N(0, (-Laplacian + 9)^(-s)): the sine waves 1..{}, eigenvalues pi^2 k^2 of the continuous Laplacian; scaled to \
                     a largest absolute value of 1 on the solver grid; no s = 0, white noise has no limit as the grid is refined",
                    n.min(intervals) - 1
                ),
            ),
        ]
    }
}
