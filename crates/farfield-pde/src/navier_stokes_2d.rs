//! Incompressible Navier-Stokes equations on the unit torus, in vorticity form (Neural-HSS paper,
//! appendix F.7): the evolution `navier-stokes` and the maps `navier-stokes-forward`, w at time 0 to w at
//! the horizon, and `navier-stokes-inverse`, back.
//!
//! Viscosity 1e-3, forcing `q = (sin 2 pi (x + y) + cos 2 pi (x + y)) / 10`, horizon 1, ten states after
//! the first. Equation, scheme and cost of a step: `vorticity_solver.rs`; with the default step of 0.01 a
//! trajectory at 128 x 128 points takes 0.04 seconds of one core.
//!
//! The first state is `w_0 ~ N(0, 7^{3/2} (-Laplace + 49)^{-5/2})`, taken as an operator on the periodic
//! functions of mean 0 (a vorticity has no mean): `w_0 = sum_k c_k exp(2 pi i k.x)`, `E |c_k|^2 = 7^{3/2}
//! (4 pi^2 |k|^2 + 49)^{-5/2}`, with real and imaginary part independent and k up to the highest wave number
//! that the solver keeps. Its standard deviation at a point is 0.042. The generator that the authors of the
//! Fourier neural operator published scales its coefficients by `sqrt(2) 7^{3/2}`: covariance `2 7^3
//! (-Laplace + 49)^{-5/2}`, fields `sqrt(2) 7^{3/4} = 6.09` times larger (0.26), and files made with it have
//! that scale. Option `initial_scale` is a factor on w_0; set it to 6.086 to match them. The forcing adds
//! waves of amplitude 0.14 until time 1: at scale 1 the last state is mostly the forcing's.

use std::f64::consts::PI;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use rustfft::num_complex::Complex;

use crate::end_states::{Direction, EndStates};
use crate::evolution::check_call;
use crate::fixed_steps::FixedSteps;
use crate::fourier_2d::Fourier2d;
use crate::options::positive;
use crate::spectral_grid::SpectralGrid;
use crate::vorticity_solver::VorticitySolver;
use crate::{Evolution, Family, PdeError, ProblemOptions, SampleKey};

/// The evolution `navier-stokes`: field w.
pub struct NavierStokes2d {
    grid: SpectralGrid,
    viscosity: f64,
    initial_scale: f64,
    times: FixedSteps,
    solver: VorticitySolver,
}

impl NavierStokes2d {
    /// The name on the command line.
    pub const NAME: &'static str = "navier-stokes";
    /// One line for people.
    pub const TITLE: &'static str = "Incompressible Navier-Stokes equations on a torus, vorticity";
    /// Name and title of the map from the first state to the last.
    pub const FORWARD: (&'static str, &'static str) =
        ("navier-stokes-forward", "Navier-Stokes equations: initial vorticity to final vorticity");
    /// Name and title of the map from the last state to the first.
    pub const INVERSE: (&'static str, &'static str) =
        ("navier-stokes-inverse", "Navier-Stokes equations: final vorticity to initial vorticity");

    /// Builds the evolution. Options: `n` (128), `solver_n` (`n`), `horizon` (1), `time_step` (0.1), `solver_step` (0.01),
    /// `viscosity` (1e-3), `initial_scale` (1).
    ///
    /// # Errors
    /// Sizes that are odd, out of range or do not fit each other; times that do not divide each other; numbers that are not positive; an
    /// option that there is not.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        let known = ["n", "solver_n", "horizon", "time_step", "solver_step", "viscosity", "initial_scale"];
        options.only(Self::NAME, &known)?;
        Self::named(Self::NAME, options, 0.1)
    }

    /// The problem `navier-stokes-forward`. Options: those of [`new`](Self::new) but `time_step`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn forward_map(options: &ProblemOptions) -> Result<EndStates, PdeError> {
        Self::map(Self::FORWARD, Direction::Forward, options)
    }

    /// The problem `navier-stokes-inverse`. Options: those of [`new`](Self::new) but `time_step`.
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
        options.only(name.0, &["n", "solver_n", "horizon", "solver_step", "viscosity", "initial_scale"])?;
        let evolution = Self::named(name.0, options, f64::INFINITY)?;
        // All wave numbers kept but the mean.
        let dimensions = ((2 * evolution.solver.fourier().cutoff() + 1).pow(2) - 1).min(evolution.grid.n.pow(2));
        Ok(EndStates::new(name, direction, Box::new(evolution), dimensions))
    }

    /// States every `time_step`, or only the ends if that is longer than the horizon.
    fn named(problem: &'static str, options: &ProblemOptions, time_step: f64) -> Result<Self, PdeError> {
        let grid = SpectralGrid::new(problem, options)?;
        let horizon = 1.0;
        let time_step = time_step.min(options.horizon.unwrap_or(horizon));
        let times = FixedSteps::new(problem, options, [horizon, time_step, 0.01], grid.n * grid.n)?;
        let viscosity = positive(problem, "viscosity", options.viscosity, 1e-3)?;
        let initial_scale = positive(problem, "initial_scale", options.initial_scale, 1.0)?;
        let solver = VorticitySolver::new(problem, grid.solver_n(), viscosity, times.step());
        Ok(NavierStokes2d { grid, viscosity, initial_scale, times, solver })
    }
}

/// Draws the spectrum of the first state; two normal numbers for each pair k, -k.
fn random_vorticity(fourier: &Fourier2d, scale: f64, rng: &mut impl Rng, spectrum: &mut [Complex<f64>]) {
    let cutoff = fourier.cutoff() as i32;
    for ((k0, k1), value) in fourier.wave_numbers().zip(spectrum.iter_mut()) {
        // Of the line k_1 = 0 the other half follows from this one.
        if k1 == 0 && k0 <= 0 {
            continue;
        }
        let square = 4.0 * PI * PI * f64::from(k0 * k0 + k1 * k1);
        let deviation = (0.5 * 7_f64.powf(1.5) * (square + 49.0).powf(-2.5)).sqrt();
        let (re, im): (f64, f64) = (StandardNormal.sample(rng), StandardNormal.sample(rng));
        *value = Complex::new(re, im) * (scale * deviation);
    }
    spectrum[0] = Complex::default();
    for k0 in 1..=cutoff {
        if let (Some(there), Some(here)) = (fourier.place(k0, 0), fourier.place(-k0, 0)) {
            spectrum[here] = spectrum[there].conj();
        }
    }
}

impl Evolution for NavierStokes2d {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn title(&self) -> &'static str {
        Self::TITLE
    }

    fn fields(&self) -> Vec<&'static str> {
        vec!["w"]
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
        let cutoff = self.solver.fourier().cutoff();
        vec![
            (
                "equation",
                format!(
                    "w_t + u w_x + v w_y = {} Laplace w + q on [0, 1]^2, q = (sin 2 pi (x + y) + cos 2 pi (x + y))/10, \
                     -Laplace psi = w, (u, v) = (psi_y, -psi_x)",
                    self.viscosity
                ),
            ),
            ("boundary_condition", "periodic".to_owned()),
            ("grid", format!("i/{0}, i = 0..{0} on each axis; {0} is not stored", self.grid.n)),
            ("scheme", format!("Fourier, wave numbers up to {cutoff} (2/3 rule); ETDRK4 in time")),
            ("solver_grid", format!("{0} x {0} points", self.grid.solver_n())),
            ("order", "4 in time, spectral in space".to_owned()),
            ("solver_step", self.times.step().to_string()),
            (
                "family_paper",
                "w(0) ~ N(0, 7^{3/2} (-Laplace + 49)^{-5/2}) as an operator on periodic functions of mean 0, coefficients of exp(2 pi i k.x); \
                 files of the Fourier neural operator's generator are sqrt(2) 7^{3/4} = 6.09 times larger"
                    .to_owned(),
            ),
            ("initial_scale", self.initial_scale.to_string()),
        ]
    }

    fn families(&self) -> Vec<Family> {
        vec![Family::Paper]
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        vec![(0..self.grid.n).map(|i| i as f64 / self.grid.n as f64).collect(); 2]
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
        let fourier = self.solver.fourier();
        let mut spectrum = vec![Complex::default(); fourier.spectrum_len()];
        random_vorticity(fourier, self.initial_scale, &mut key.rng(), &mut spectrum);
        let mut first = vec![0.0; fourier.field_len()];
        fourier.inverse_one(&spectrum, &mut first, &mut fourier.scratch());
        let size = self.grid.n * self.grid.n;
        let (stored_first, later) = states.split_at_mut(size);
        self.grid.store(&first, stored_first);
        let forced = fourier.place(1, 1);
        let forcing = |_, out: &mut [Complex<f64>]| {
            if let Some(place) = forced {
                out[place] += Complex::new(0.05, -0.05);
            }
        };
        self.solver.integrate(&first, self.times.intervals, self.times.per_interval, forcing, |i, w| {
            self.grid.store(w, &mut later[i * size..(i + 1) * size]);
        })
    }
}
