//! Nonlinear Schroedinger equation on a ring: the map from the potential V to the ground state u (Fan, Lin, Ying & Zepeda-Nunez, A
//! multiscale neural network based on hierarchical matrices, arXiv 1807.01883, section 4.1; the same map in arXiv 1808.02376).
//!
//! Equation, scheme, order: `ring_ground_state.rs`. beta = 10. The output is the state u, as in those papers; its density is u^2.
//!
//! Family `paper`: by the generator published with the second paper: V is minus two Gaussian bumps `rho / sqrt(2 pi T) exp(-(x -
//! c)^2 / (2 T))`, continued periodically, rho uniform on (10, 40), one T uniform on (2e-3, 4e-3), centres uniform on the
//! ring and at least 0.05 apart, shifted to a minimum of 1 on the grid. n = 320.
//!
//! Wells are 60 to 700 deep. Error of u at n = 320: 1e-4 of the largest value (order 2); option `solver_n` takes a finer grid and
//! stores every so many points. Cost of a sample: O(n), 0.1 ms at n = 320.

use crate::gaussian_bumps::GaussianBumps;
use crate::options::{grid_sizes, positive};
use crate::problem::check_call;
use crate::ring_ground_state::RingGroundState;
use crate::series::down_sample;
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

/// The problem `nonlinear-schrodinger-1d`.
pub struct NonlinearSchrodinger1d {
    n: usize,
    ratio: usize,
    beta: f64,
}

impl NonlinearSchrodinger1d {
    /// The name on the command line.
    pub const NAME: &'static str = "nonlinear-schrodinger-1d";
    /// One line for people.
    pub const TITLE: &'static str = "Nonlinear Schroedinger equation on a ring: potential to ground state";

    /// Builds the problem. Options: `n` (320), `solver_n` (n), `beta` (10).
    ///
    /// # Errors
    /// Sizes out of range or that do not fit each other; beta that is not positive; an option that there is not.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n", "solver_n", "beta"])?;
        let (n, ratio) = grid_sizes(Self::NAME, options, 1, 320, 1, 0)?;
        let beta = positive(Self::NAME, "beta", options.beta, 10.0)?;
        Ok(NonlinearSchrodinger1d { n, ratio, beta })
    }
}

impl Problem for NonlinearSchrodinger1d {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn title(&self) -> &'static str {
        Self::TITLE
    }

    fn channels(&self) -> (usize, usize) {
        (1, 1)
    }

    fn grid(&self) -> Vec<usize> {
        vec![self.n]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("equation", format!("-u'' + V u + {} u^3 = E u on (0, 1), int u^2 = 1, u > 0", self.beta)),
            ("boundary_condition", "periodic".to_owned()),
            ("grid", format!("i/{0}, i = 0..{0}; {0} is not stored", self.n)),
            ("scheme", "three-point differences; gradient flow, then Newton's method".to_owned()),
            ("solver_grid", format!("{} points", self.n * self.ratio)),
            ("order", "2".to_owned()),
            ("input", "V".to_owned()),
            ("output", "u".to_owned()),
            (
                "family_paper",
                "V = minus two bumps rho/sqrt(2 pi T) exp(-(x - c)^2/(2 T)) continued periodically, rho uniform on (10, 40), one T uniform \
                 on (2e-3, 4e-3), centres uniform, at least 0.05 apart; shifted to a minimum of 1"
                    .to_owned(),
            ),
        ]
    }

    fn families(&self) -> Vec<Family> {
        vec![Family::Paper]
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        vec![(0..self.n).map(|i| i as f64 / self.n as f64).collect()]
    }

    fn is_linear(&self) -> bool {
        false
    }

    fn random_dimensions(&self, _family: Family) -> usize {
        self.n
    }

    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError> {
        check_call(self, None, family, input, output)?;
        let bumps = GaussianBumps::draw(&mut key.rng(), [10.0, 40.0], [0.0, 1.0], true);
        let fine = self.n * self.ratio;
        // The next images but one are below 1e-100.
        let wells = |x: f64| -(bumps.at([x - 1.0]) + bumps.at([x]) + bumps.at([x + 1.0]));
        let mut potential: Vec<f64> = (0..fine).map(|i| wells(i as f64 / fine as f64)).collect();
        let lowest = potential.iter().copied().fold(f64::INFINITY, f64::min);
        potential.iter_mut().for_each(|v| *v += 1.0 - lowest);
        let ground = RingGroundState::new(&potential, self.beta)?;
        down_sample(&potential, fine, self.ratio, 1, input);
        down_sample(&ground.state, fine, self.ratio, 1, output);
        Ok(())
    }
}
