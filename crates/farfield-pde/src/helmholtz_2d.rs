//! Helmholtz equation on the unit square, periodic: `-Laplace u - kappa^2 u = f` (Neural-HSS paper,
//! appendix F.4: kappa = 70).
//!
//! Family `paper`: the sine series of `poisson-2d` ("the same distribution", "the same grid
//! resolution"), solved at 128 x 128 points and stored at every second (64 x 64). Its waves have zero
//! mean, so the constant, whose eigenvalue is -kappa^2, is not excited. It spans 100 dimensions, and
//! the 100 waves are eigenfunctions: the map is diagonal on them.
//!
//! Family `random`: Gaussian in the Fourier basis with the constant, drawn and solved on the stored
//! grid.
//!
//! Schemes: `fourth-order` (compact nine-point stencil, default for family `paper` as in
//! `poisson-2d`) and `spectral` (exact eigenvalues, default for the random families). At kappa = 70
//! the nearest eigenvalue is `4 pi^2 125`, 34.8 above kappa^2, for the waves (2, 11), (5, 10) and their
//! like; the fourth-order scheme moves it towards the resonance, by 5 % of the gap at 128 points an
//! axis and by three quarters at 64. Relative error of u, family `paper`:
//!
//! | solver_n | 64 | 128 | 256 |
//! | --- | --- | --- | --- |
//! | `fourth-order` | 0.28 | 1.3e-2 | 8e-4 |
//! | `spectral` | rounding | rounding | rounding |
//!
//! Take `spectral` where the solution of the equation is wanted rather than the paper's kind of data.
//! Cost of a sample: O(n^2 log n).

use std::f64::consts::PI;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::dirichlet_box::ordinal;
use crate::fourier_multiplier::{FourierMultiplier, wave_number};
use crate::gaussian_field::deviation;
use crate::helmholtz_solver::{HelmholtzScheme, HelmholtzSolver};
use crate::options::{choose_scheme, grid_sizes};
use crate::poisson_2d::{HIGHEST, PaperSeries, WAVES};
use crate::problem::{check_call, families_below};
use crate::series::down_sample;
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

const SCHEMES: [(&str, HelmholtzScheme); 2] =
    [("fourth-order", HelmholtzScheme::FourthOrder), ("spectral", HelmholtzScheme::Spectral)];

fn description(scheme: HelmholtzScheme) -> String {
    match scheme {
        HelmholtzScheme::FourthOrder => {
            "fourth-order: compact nine-point Mehrstellen stencil, f and kappa^2 u corrected by h^2/12 Laplace_h"
        }
        HelmholtzScheme::Spectral => "spectral: exact eigenvalues",
    }
    .to_owned()
}

fn order(scheme: HelmholtzScheme) -> String {
    match scheme {
        HelmholtzScheme::FourthOrder => "4",
        HelmholtzScheme::Spectral => "exact for the waves of the grid",
    }
    .to_owned()
}

/// The problem `helmholtz-2d`.
pub struct Helmholtz2d {
    n: usize,
    ratio: usize,
    kappa: f64,
    schemes: [HelmholtzScheme; 2],
    paper: HelmholtzSolver,
    random: HelmholtzSolver,
    fourier: FourierMultiplier,
    series: PaperSeries,
}

impl Helmholtz2d {
    /// The name on the command line.
    pub const NAME: &'static str = "helmholtz-2d";
    /// One line for people.
    pub const TITLE: &'static str = "Helmholtz equation on the unit square, periodic";

    /// Builds the problem. Schemes: `fourth-order`, `spectral`.
    ///
    /// # Errors
    /// Sizes out of range or that do not fit each other; an unknown scheme; a wave number that is not
    /// positive or hits an eigenvalue of the discrete operator on either grid.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n", "solver_n", "scheme", "wave_number"])?;
        let (n, ratio) = grid_sizes(Self::NAME, options, 2, 64, 2, 0)?;
        let scheme = choose_scheme(Self::NAME, options, &SCHEMES)?;
        let kappa = options.wave_number.unwrap_or(70.0);
        let schemes =
            [HelmholtzScheme::FourthOrder, HelmholtzScheme::Spectral].map(|default| scheme.unwrap_or(default));
        Ok(Helmholtz2d {
            n,
            ratio,
            kappa,
            schemes,
            paper: HelmholtzSolver::new(n * ratio, kappa, schemes[0])?,
            random: HelmholtzSolver::new(n, kappa, schemes[1])?,
            fourier: FourierMultiplier::new(n),
            series: PaperSeries::new(n * ratio),
        })
    }

    /// Standard deviations of the waves of family `random`.
    fn deviations(&self, smoothness: u32) -> Vec<f64> {
        let n = self.n;
        let squares = |i: usize| 4 * wave_number(i, n) * wave_number(i, n);
        (0..n * n).map(|place| deviation(squares(place / n) + squares(place % n), smoothness)).collect()
    }
}

impl Problem for Helmholtz2d {
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
        vec![self.n; 2]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let (n, fine) = (self.n, self.n * self.ratio);
        let nearest = |solver: &HelmholtzSolver| {
            let ((a, b), gap) = solver.nearest_eigenvalue();
            format!("wave vector ({a}, {b}): eigenvalue of -Laplace minus kappa^2 = {gap:.4}")
        };
        vec![
            ("equation", format!("-Laplace u - kappa^2 u = f on (0, 1)^2, kappa = {}", self.kappa)),
            ("boundary_condition", "periodic".to_owned()),
            ("points_per_wavelength", format!("{:.2}", 2.0 * PI * n as f64 / self.kappa)),
            ("solver", "direct, diagonal in the Fourier basis".to_owned()),
            ("grid", format!("i/{n}, i = 0..{} on each axis; periodic, x = 1 is x = 0 and not stored", n - 1)),
            ("scheme_paper", description(self.schemes[0])),
            ("order_paper", order(self.schemes[0])),
            ("nearest_eigenvalue_paper", nearest(&self.paper)),
            (
                "solver_grid_paper",
                format!("i/{fine}, i = 0..{} on each axis; every {} stored", fine - 1, ordinal(self.ratio)),
            ),
            (
                "family_paper",
                "f = sum_{a,b=1}^{10} c_ab sin(2 pi a x) sin(2 pi b y), c_ab uniform on (0, 1); spans 100 dimensions; zero mean"
                    .to_owned(),
            ),
            ("scheme_random", description(self.schemes[1])),
            ("order_random", order(self.schemes[1])),
            ("nearest_eigenvalue_random", nearest(&self.random)),
            ("solver_grid_random", "the stored grid".to_owned()),
            (
                "family_random",
                "f ~ N(0, (-Laplacian + 9)^(-s)): Fourier waves with the constant, orthonormal on the grid, eigenvalues 4 pi^2 \
                 |k|^2 of the continuous Laplacian; s = 0 is N(0, 1) noise at every point"
                    .to_owned(),
            ),
        ]
    }

    fn families(&self) -> Vec<Family> {
        families_below(self.n, HIGHEST)
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        vec![(0..self.n).map(|i| i as f64 / self.n as f64).collect(); 2]
    }

    fn random_dimensions(&self, family: Family) -> usize {
        match family {
            Family::Paper => WAVES * WAVES,
            Family::Random { .. } => self.n * self.n,
        }
    }

    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError> {
        check_call(self, HIGHEST, family, input, output)?;
        let mut rng = key.rng();
        match family {
            Family::Paper => {
                let fine = self.n * self.ratio;
                let (mut f, mut u) = (vec![0.0; fine * fine], vec![0.0; fine * fine]);
                self.series.evaluate(&rng.random(), &mut f);
                self.paper.solve(&f, &mut u);
                down_sample(&f, fine, self.ratio, 2, input);
                down_sample(&u, fine, self.ratio, 2, output);
            }
            Family::Random { smoothness } => {
                // Noise is noise in every orthonormal basis: drawn at the points, coloured in Fourier's.
                input.fill_with(|| StandardNormal.sample(&mut rng));
                if smoothness > 0 {
                    self.fourier.apply(&self.deviations(smoothness), input);
                }
                self.random.solve(input, output);
            }
        }
        Ok(())
    }
}
