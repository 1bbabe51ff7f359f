//! Gray-Scott model on the torus [-1, 1]^2 (Neural-HSS paper, appendix F.6; the data set of The Well):
//! the evolution `gray-scott` and the maps `gray-scott-forward`, (A, B, F, k) at time 0 to (A, B) at the
//! horizon, and `gray-scott-inverse`, back.
//!
//! Six pairs of feed rate F and kill rate k make six patterns; option `pattern` picks one, `all` takes
//! them in turn: sample i has pattern i mod 6. Half of the samples start from Gaussians, half from
//! Fourier series (`gray_scott_states.rs`), in turn as well: by i with one pattern, by i / 6 with all.
//!
//! Equation, scheme and cost of a step: `gray_scott_solver.rs`. By default 10 000 steps of 1 s, every
//! tenth stored. A trajectory at 128 x 128 points takes three seconds of one core; a map costs the same and stores
//! no state between.
//!
//! The grid is The Well's, and coarse: fronts are about sqrt(1e-5/0.07) = 0.012 wide, the points 0.016 apart. From
//! the same smooth state, B at 128 points differs from B at 256 by 3 to 20 % after 100 s and by 17 to 92 % after
//! 500 s, where patterns that move have moved elsewhere; B at 256 differs from 512 by 0.1 to 0.3 % and 0.2 to 1.3 %.
//! So a default data set samples the dynamics of the truncated series, as The Well's does. Option `solver_n` = 256
//! solves the equation itself, at four times the cost. (Half the step changes B by less than 6e-5 after 100 s.)
//!
//! The inverse problem is as ill-posed as it looks: diffusion forgets, and where the reaction dies out
//! (A = 1, B = 0 everywhere) nothing is left of the first state.

use crate::end_states::{Direction, EndStates};
use crate::evolution::check_call;
use crate::fixed_steps::FixedSteps;
use crate::gray_scott_solver::GrayScottSolver;
use crate::gray_scott_states::InitialState;
use crate::spectral_grid::SpectralGrid;
use crate::{Evolution, Family, PdeError, ProblemOptions, SampleKey};

/// A pattern of the Gray-Scott model: its name, feed rate and kill rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GrayScottPattern {
    /// The name, as in option `pattern`.
    pub name: &'static str,
    /// Feed rate F.
    pub feed: f64,
    /// Kill rate k.
    pub kill: f64,
}

const fn pattern(name: &'static str, feed: f64, kill: f64) -> GrayScottPattern {
    GrayScottPattern { name, feed, kill }
}

/// The evolution `gray-scott`: fields A and B, scalars F and k.
pub struct GrayScott2d {
    grid: SpectralGrid,
    times: FixedSteps,
    patterns: Vec<(GrayScottPattern, GrayScottSolver)>,
}

impl GrayScott2d {
    /// The name on the command line.
    pub const NAME: &'static str = "gray-scott";
    /// One line for people.
    pub const TITLE: &'static str = "Gray-Scott model of reaction and diffusion on a torus";
    /// Name and title of the map from the first state to the last.
    pub const FORWARD: (&'static str, &'static str) =
        ("gray-scott-forward", "Gray-Scott model: initial state and parameters to final state");
    /// Name and title of the map from the last state to the first.
    pub const INVERSE: (&'static str, &'static str) =
        ("gray-scott-inverse", "Gray-Scott model: final state and parameters to initial state");

    /// The six patterns of The Well.
    pub const PATTERNS: [GrayScottPattern; 6] = [
        pattern("gliders", 0.014, 0.054),
        pattern("bubbles", 0.098, 0.057),
        pattern("maze", 0.029, 0.057),
        pattern("worms", 0.058, 0.065),
        pattern("spirals", 0.018, 0.051),
        pattern("spots", 0.030, 0.062),
    ];

    /// Builds the evolution. Options: `n` (128), `solver_n` (`n`), `horizon` (10 000), `time_step` (10), `solver_step` (1),
    /// `pattern` (`all`).
    ///
    /// # Errors
    /// Sizes that are odd, out of range or do not fit each other; times that do not divide each other; an unknown pattern; an option that
    /// there is not.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n", "solver_n", "horizon", "time_step", "solver_step", "pattern"])?;
        Self::named(Self::NAME, options, 10.0)
    }

    /// The problem `gray-scott-forward`. Options: those of [`new`](Self::new) but `time_step`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn forward_map(options: &ProblemOptions) -> Result<EndStates, PdeError> {
        Self::map(Self::FORWARD, Direction::Forward, options)
    }

    /// The problem `gray-scott-inverse`. Options: those of [`new`](Self::new) but `time_step`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn inverse_map(options: &ProblemOptions) -> Result<EndStates, PdeError> {
        Self::map(Self::INVERSE, Direction::Inverse, options)
    }

    fn map(
        name: (&'static str, &'static str),
        direction: Direction,
        options: &ProblemOptions,
    ) -> Result<EndStates, PdeError> {
        options.only(name.0, &["n", "solver_n", "horizon", "solver_step", "pattern"])?;
        let evolution = Self::named(name.0, options, f64::INFINITY)?;
        // Both fields fill the wave numbers kept; (F, k) adds a line, or a plane with several patterns.
        let fourier = evolution.patterns[0].1.fourier();
        let waves = (2 * fourier.cutoff() + 1).pow(2).min(evolution.grid.n.pow(2));
        let dimensions = 2 * waves + evolution.patterns.len().min(2);
        Ok(EndStates::new(name, direction, Box::new(evolution), dimensions))
    }

    /// States every `time_step`, or only the ends if that is longer than the horizon.
    fn named(problem: &'static str, options: &ProblemOptions, time_step: f64) -> Result<Self, PdeError> {
        let grid = SpectralGrid::new(problem, options)?;
        let horizon = 1e4;
        let time_step = time_step.min(options.horizon.unwrap_or(horizon));
        let times = FixedSteps::new(problem, options, [horizon, time_step, 1.0], 2 * grid.n * grid.n)?;
        let chosen = options.pattern.as_deref().unwrap_or("all");
        let patterns: Vec<_> = Self::PATTERNS
            .into_iter()
            .filter(|pattern| chosen == "all" || chosen == pattern.name)
            .map(|pattern| {
                let solver = GrayScottSolver::new(problem, grid.solver_n(), times.step(), pattern.feed, pattern.kill);
                (pattern, solver)
            })
            .collect();
        if patterns.is_empty() {
            let known = Self::PATTERNS.map(|pattern| pattern.name).join(", ");
            return Err(PdeError::UnknownPattern { problem, pattern: chosen.to_owned(), known: known + ", all" });
        }
        Ok(GrayScott2d { grid, times, patterns })
    }
}

impl Evolution for GrayScott2d {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn title(&self) -> &'static str {
        Self::TITLE
    }

    fn fields(&self) -> Vec<&'static str> {
        vec!["A", "B"]
    }

    fn scalars(&self) -> Vec<&'static str> {
        vec!["F", "k"]
    }

    fn grid(&self) -> Vec<usize> {
        vec![self.grid.n; 2]
    }

    fn periodic(&self) -> Vec<bool> {
        vec![true; 2]
    }

    fn times(&self) -> Vec<f64> {
        self.times.times()
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let patterns: Vec<String> =
            self.patterns.iter().map(|(p, _)| format!("{} (F {}, k {})", p.name, p.feed, p.kill)).collect();
        let cutoff = self.patterns[0].1.fourier().cutoff();
        vec![
            (
                "equation",
                "A_t = 2e-5 Laplace A - A B^2 + F (1 - A), B_t = 1e-5 Laplace B + A B^2 - (F + k) B on [-1, 1]^2"
                    .to_owned(),
            ),
            ("boundary_condition", "periodic".to_owned()),
            ("grid", format!("-1 + 2 i/{0}, i = 0..{0} on each axis; {0} is not stored", self.grid.n)),
            ("scheme", format!("Fourier, wave numbers up to {cutoff} (2/3 rule); ETDRK4 in time")),
            ("solver_grid", format!("{0} x {0} points", self.grid.solver_n())),
            ("order", "4 in time, spectral in space".to_owned()),
            ("solver_step", self.times.step().to_string()),
            ("patterns", patterns.join(", ")),
            (
                "family_paper",
                "half of the samples from 10 to 100 Gaussians exp(-w r^2) of amplitude 1 to 3, w 150 to 300, half from exponentials of \
                 normal Fourier series up to wave number 8; A and B independent, each mapped onto [0, 1]; our choice, the paper gives no numbers"
                    .to_owned(),
            ),
        ]
    }

    fn families(&self) -> Vec<Family> {
        vec![Family::Paper]
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        vec![(0..self.grid.n).map(|i| -1.0 + 2.0 * i as f64 / self.grid.n as f64).collect(); 2]
    }

    fn is_linear(&self) -> bool {
        false
    }

    fn trajectory(
        &self,
        family: Family,
        key: SampleKey,
        scalars: &mut [f64],
        states: &mut [f64],
    ) -> Result<(), PdeError> {
        check_call(self, None, family, scalars, states)?;
        let count = self.patterns.len() as u64;
        let (pattern, solver) = &self.patterns[(key.index % count) as usize];
        let kind = [InitialState::Gaussians, InitialState::FourierSeries][(key.index / count % 2) as usize];
        let points = solver.fourier().field_len();
        let mut first = vec![0.0; 2 * points];
        let (a, b) = first.split_at_mut(points);
        kind.draw(solver.fourier(), &mut key.rng(), a, b);
        (scalars[0], scalars[1]) = (pattern.feed, pattern.kill);
        let size = 2 * self.grid.n * self.grid.n;
        let (stored_first, later) = states.split_at_mut(size);
        self.grid.store(&first, stored_first);
        solver.integrate(&first, self.times.intervals, self.times.per_interval, |i, state| {
            self.grid.store(state, &mut later[i * size..(i + 1) * size]);
        })
    }
}
