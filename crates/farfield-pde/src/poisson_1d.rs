//! Poisson equation on the unit interval, Dirichlet: `-u'' = f`, u(0) = u(1) = 0 (Neural-HSS paper,
//! appendix F.2.1).
//!
//! Family `paper`: `f = sum_{k=1}^{10} c_k sin(2 k pi x)`, c_k uniform on (0, 1), solved at 1024
//! points i/1024 and stored at every fourth. It spans ten dimensions only. (The text says 20 modes,
//! the formula has ten; the formula is taken.)
//!
//! Family `random`: Gaussian, drawn and solved on the stored grid.
//!
//! Schemes. The paper says: fourth-order central differences, five diagonals, a banded solver, and
//! f "set to zero at the first two and last two grid points to enforce the boundary conditions". It
//! does not say how the five-point stencil ends. Relative error of u at 1024 points, family
//! `paper`, and order:
//!
//! | name | ends | error | order |
//! | --- | --- | --- | --- |
//! | `fourth-order` | odd reflection | 4e-9 | 4 |
//! | `paper` | odd reflection, f set to zero at x = 0, h, 1 - h, 1 | 1.5e-5 | 3 |
//! | `paper-truncated` | entries outside the matrix dropped, f set to zero likewise | 2e-3 | 1 |
//! | `second-order` | three-point stencil | 2e-5 | 2 |
//!
//! Cost of a sample: O(n log n).

use rand::RngExt;

use crate::dirichlet_box::ordinal;
use crate::dirichlet_solver::DirichletSolver;
use crate::five_diagonal::FiveDiagonal;
use crate::gaussian_field::gaussian_field;
use crate::options::{choose_scheme, grid_sizes};
use crate::problem::{check_call, families_below};
use crate::series::{SineTable, down_sample, evaluate};
use crate::sine_transform::SineTransform;
use crate::stencil::Stencil;
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

/// Waves of family `paper`: wave numbers 2, 4, ..., 20 in units of pi.
const WAVES: usize = 10;
const HIGHEST: usize = 2 * WAVES;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    SecondOrder,
    FourthOrder,
    Paper,
    PaperTruncated,
}

const SCHEMES: [(&str, Scheme); 4] = [
    ("fourth-order", Scheme::FourthOrder),
    ("paper", Scheme::Paper),
    ("paper-truncated", Scheme::PaperTruncated),
    ("second-order", Scheme::SecondOrder),
];

impl Scheme {
    fn description(self) -> &'static str {
        match self {
            Scheme::SecondOrder => "second-order: three-point stencil",
            Scheme::FourthOrder => "fourth-order: five-point stencil, odd reflection at the ends",
            Scheme::Paper => {
                "paper: five-point stencil, odd reflection at the ends, f set to zero at the first two and last two grid points"
            }
            Scheme::PaperTruncated => {
                "paper-truncated: five diagonals cut off at the ends, f set to zero at the first two and last two grid points"
            }
        }
    }

    /// Order of convergence for smooth f that vanishes at the ends.
    fn order(self) -> u32 {
        match self {
            Scheme::SecondOrder => 2,
            Scheme::FourthOrder => 4,
            Scheme::Paper => 3,
            Scheme::PaperTruncated => 1,
        }
    }
}

enum Solver {
    Sine(DirichletSolver),
    Banded(FiveDiagonal),
}

/// One scheme on one grid: points i/n, i = 0..n-1.
struct Line {
    scheme: Scheme,
    solver: Solver,
}

impl Line {
    fn new(n: usize, scheme: Scheme) -> Self {
        let solver = match scheme {
            Scheme::SecondOrder => Solver::Sine(DirichletSolver::new(1, n, Stencil::SecondOrder)),
            Scheme::FourthOrder | Scheme::Paper => Solver::Sine(DirichletSolver::new(1, n, Stencil::FourthOrderCross)),
            Scheme::PaperTruncated => Solver::Banded(FiveDiagonal::new(n - 1, 1.0 / n as f64)),
        };
        Line { scheme, solver }
    }

    /// Sets f to zero where the scheme wants it, and solves.
    fn solve(&self, f: &mut [f64], u: &mut [f64]) {
        if matches!(self.scheme, Scheme::Paper | Scheme::PaperTruncated)
            && let [first, second, .., last] = f
        {
            (*first, *second, *last) = (0.0, 0.0, 0.0);
        }
        match &self.solver {
            Solver::Sine(solver) => solver.solve(f, u),
            Solver::Banded(solver) => {
                u.copy_from_slice(f);
                solver.solve(&mut u[1..]);
            }
        }
    }
}

/// The problem `poisson-1d`.
pub struct Poisson1d {
    n: usize,
    ratio: usize,
    paper: Line,
    random: Line,
    transform: SineTransform,
    waves: Vec<f64>,
}

impl Poisson1d {
    /// The name on the command line.
    pub const NAME: &'static str = "poisson-1d";
    /// One line for people.
    pub const TITLE: &'static str = "Poisson equation on the unit interval, Dirichlet";

    /// Builds the problem. Schemes: `fourth-order`, `paper`, `paper-truncated`, `second-order`.
    ///
    /// # Errors
    /// Sizes out of range or that do not fit each other; an unknown scheme.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n", "solver_n", "scheme"])?;
        let (n, ratio) = grid_sizes(Self::NAME, options, 1, 256, 4, 0)?;
        let scheme = choose_scheme(Self::NAME, options, &SCHEMES)?;
        let wave_numbers: Vec<usize> = (1..=WAVES).map(|k| 2 * k).collect();
        Ok(Poisson1d {
            n,
            ratio,
            paper: Line::new(n * ratio, scheme.unwrap_or(Scheme::FourthOrder)),
            random: Line::new(n, scheme.unwrap_or(Scheme::SecondOrder)),
            transform: SineTransform::new(1, n),
            waves: SineTable::new(n * ratio).basis(&wave_numbers),
        })
    }
}

impl Problem for Poisson1d {
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
        let (n, fine) = (self.n, self.n * self.ratio);
        let (paper, random) = (self.paper.scheme, self.random.scheme);
        vec![
            ("equation", "-u'' = f on (0, 1)".to_owned()),
            ("boundary_condition", "u(0) = u(1) = 0".to_owned()),
            (
                "grid",
                format!("i/{n}, i = 0..{}; x = 1 is not stored", n - 1),
            ),
            ("scheme_paper", paper.description().to_owned()),
            ("order_paper", paper.order().to_string()),
            (
                "solver_grid_paper",
                format!("i/{fine}, i = 0..{}; every {} stored", fine - 1, ordinal(self.ratio)),
            ),
            (
                "family_paper",
                "f = sum_{k=1}^{10} c_k sin(2 k pi x), c_k uniform on (0, 1); spans ten dimensions"
                    .to_owned(),
            ),
            ("scheme_random", random.description().to_owned()),
            ("order_random", random.order().to_string()),
            ("solver_grid_random", "the stored grid".to_owned()),
            (
                "family_random",
                "f ~ N(0, (-Laplacian + 9)^(-s)): sine waves, orthonormal on the interior points, eigenvalues pi^2 k^2 of the \
                 continuous Laplacian; s = 0 is N(0, 1) noise at every interior point"
                    .to_owned(),
            ),
        ]
    }

    fn families(&self) -> Vec<Family> {
        families_below(self.n, HIGHEST)
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        vec![(0..self.n).map(|i| i as f64 / self.n as f64).collect()]
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
                let fine = self.n * self.ratio;
                let (mut f, mut u) = (vec![0.0; fine], vec![0.0; fine]);
                evaluate(&coefficients, &[&self.waves], WAVES, &mut f);
                self.paper.solve(&mut f, &mut u);
                down_sample(&f, fine, self.ratio, 1, input);
                down_sample(&u, fine, self.ratio, 1, output);
            }
            Family::Random { smoothness } => {
                gaussian_field(&self.transform, smoothness, &mut rng, input);
                self.random.solve(input, output);
            }
        }
        Ok(())
    }
}
