//! Poisson equation on the unit interval, Neumann: `-u'' = f`, u'(0) = u'(1) = 0 (row "Poisson
//! Neumann BC" of table 1 of the Neural-HSS paper).
//!
//! The operator is singular (constants), so f has zero mean, and u is the solution of zero mean;
//! the mean is the trapezoidal one, in which the discrete operator is symmetric. Both ends are
//! stored.
//!
//! The paper does not give its data for this problem. Our choice for family `paper`: `f =
//! sum_{k=1}^{10} c_k cos(2 k pi x)`, c_k uniform on (0, 1), solved at 1021 points i/1020 and
//! stored at every fourth, which makes 256 points i/255 that reach both ends. It spans ten
//! dimensions.
//!
//! Family `random`: Gaussian in the cosine basis without the constant, drawn and solved on the
//! stored grid.
//!
//! Schemes, both with even reflection at the ends: `fourth-order` (five points; needs f' = 0 at the
//! ends, which cosines have) and `second-order` (three points). Cost of a sample: O(n log n).

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::dirichlet_box::ordinal;
use crate::gaussian_field::deviation;
use crate::neumann_solver::NeumannSolver;
use crate::options::{choose_scheme, grid_sizes};
use crate::problem::{check_call, families_below};
use crate::series::{cosine_basis, down_sample, evaluate};
use crate::stencil::Stencil;
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

/// Waves of family `paper`: wave numbers 2, 4, ..., 20 in units of pi.
const WAVES: usize = 10;
const HIGHEST: usize = 2 * WAVES;

const SCHEMES: [(&str, Stencil); 2] =
    [("fourth-order", Stencil::FourthOrderCross), ("second-order", Stencil::SecondOrder)];

fn description(stencil: Stencil) -> String {
    match stencil {
        Stencil::SecondOrder => "second-order: three-point stencil, even reflection at the ends",
        _ => "fourth-order: five-point stencil, even reflection at the ends",
    }
    .to_owned()
}

/// The problem `poisson-1d-neumann`.
pub struct Poisson1dNeumann {
    n: usize,
    ratio: usize,
    paper: NeumannSolver,
    random: NeumannSolver,
    waves: Vec<f64>,
}

impl Poisson1dNeumann {
    /// The name on the command line.
    pub const NAME: &'static str = "poisson-1d-neumann";
    /// One line for people.
    pub const TITLE: &'static str = "Poisson equation on the unit interval, Neumann";

    /// Builds the problem. Schemes: `fourth-order`, `second-order`.
    ///
    /// # Errors
    /// Sizes out of range or that do not fit each other; an unknown scheme.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n", "solver_n", "scheme"])?;
        let (n, ratio) = grid_sizes(Self::NAME, options, 1, 256, 4, 1)?;
        let scheme = choose_scheme(Self::NAME, options, &SCHEMES)?;
        let wave_numbers: Vec<usize> = (1..=WAVES).map(|k| 2 * k).collect();
        let intervals = ratio * (n - 1);
        Ok(Poisson1dNeumann {
            n,
            ratio,
            paper: NeumannSolver::new(intervals + 1, scheme.unwrap_or(Stencil::FourthOrderCross)),
            random: NeumannSolver::new(n, scheme.unwrap_or(Stencil::SecondOrder)),
            waves: cosine_basis(intervals, &wave_numbers),
        })
    }
}

impl Problem for Poisson1dNeumann {
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
        let last = self.n - 1;
        let fine = self.ratio * last;
        let (paper, random) = (self.paper.stencil(), self.random.stencil());
        vec![
            ("equation", "-u'' = f on (0, 1)".to_owned()),
            ("boundary_condition", "u'(0) = u'(1) = 0".to_owned()),
            (
                "projection",
                "singular (constants): f and u have zero mean in the trapezoidal inner product of the solver grid".to_owned(),
            ),
            ("grid", format!("i/{last}, i = 0..{last}; both ends are stored")),
            ("scheme_paper", description(paper)),
            ("order_paper", paper.order().to_string()),
            (
                "solver_grid_paper",
                format!("i/{fine}, i = 0..{fine}; every {} stored", ordinal(self.ratio)),
            ),
            (
                "family_paper",
                "f = sum_{k=1}^{10} c_k cos(2 k pi x), c_k uniform on (0, 1); spans ten dimensions; our choice, the paper gives none"
                    .to_owned(),
            ),
            ("scheme_random", description(random)),
            ("order_random", random.order().to_string()),
            ("solver_grid_random", "the stored grid".to_owned()),
            (
                "family_random",
                "f ~ N(0, (-Laplacian + 9)^(-s)): cosine waves without the constant, orthonormal in the trapezoidal inner product, \
                 eigenvalues pi^2 k^2 of the continuous Laplacian; s = 0 is noise of variance 1 - 1/(n-1) inside and 2 - 1/(n-1) at the ends"
                    .to_owned(),
            ),
        ]
    }

    fn families(&self) -> Vec<Family> {
        families_below(self.n - 1, HIGHEST)
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        let last = self.n - 1;
        vec![(0..self.n).map(|i| i as f64 / last as f64).collect()]
    }

    fn random_dimensions(&self, family: Family) -> usize {
        match family {
            Family::Paper => WAVES,
            Family::Random { .. } => self.n - 1,
        }
    }

    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError> {
        check_call(self, HIGHEST, family, input, output)?;
        let mut rng = key.rng();
        match family {
            Family::Paper => {
                let coefficients: [f64; WAVES] = rng.random();
                let fine = self.ratio * (self.n - 1) + 1;
                let (mut f, mut u) = (vec![0.0; fine], vec![0.0; fine]);
                evaluate(&coefficients, &[&self.waves], WAVES, &mut f);
                self.paper.remove_mean(&mut f);
                self.paper.solve(&f, &mut u);
                down_sample(&f, fine, self.ratio, 1, input);
                down_sample(&u, fine, self.ratio, 1, output);
            }
            Family::Random { smoothness } => {
                let last = self.n - 1;
                let orthonormal = (2.0 / last as f64).sqrt();
                input[0] = 0.0;
                for (k, value) in input.iter_mut().enumerate().skip(1) {
                    let normal: f64 = StandardNormal.sample(&mut rng);
                    *value = orthonormal * deviation(k * k, smoothness) * normal;
                }
                // The highest wave has twice the norm of the others; the transform halves its
                // coefficient, and 1/sqrt(2) is wanted.
                input[last] *= std::f64::consts::SQRT_2;
                self.random.cosine_transform(input);
                self.random.remove_mean(input);
                self.random.solve(input, output);
            }
        }
        Ok(())
    }
}
