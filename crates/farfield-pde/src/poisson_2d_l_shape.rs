//! Poisson equation on the L-shape, Dirichlet: `-Laplace u = f` on (0, 1)^2 without [1/2, 1]^2, u = 0
//! on the boundary (Neural-HSS paper, appendix F.2.2 and table 2).
//!
//! Family `paper`: the sine series of the square (`poisson-2d`), restricted to the domain, "the same
//! strategy" in the paper's words. Each of its waves vanishes on the whole boundary of the L-shape, so
//! f and u are the restrictions of the square's and smooth at the re-entrant corner: this set spans
//! 100 dimensions and does not see the domain beyond the mask.
//!
//! Family `random`: Gaussian with the covariance of the L-shape's own five-point Laplacian, drawn and
//! solved on the stored grid. Here u behaves like `r^(2/3)` at the corner.
//!
//! Schemes: `fourth-order` (compact nine-point stencil) and `second-order` (five points), with a
//! sparse Cholesky factorisation made when the problem is built. Cost of a sample: O(n^2 log n).

use std::sync::Arc;

use rand::RngExt;

use crate::dirichlet_box::ordinal;
use crate::l_shape_solver::{LShapeGrid, LShapeSolver};
use crate::options::{choose_scheme, sparse_grid_sizes};
use crate::poisson_2d::{HIGHEST, PaperSeries, WAVES};
use crate::problem::{check_call, families_below};
use crate::series::down_sample;
use crate::sparse_gaussian_field::SparseGaussianField;
use crate::stencil::Stencil;
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

const SCHEMES: [(&str, Stencil); 2] =
    [("fourth-order", Stencil::FourthOrderCompact), ("second-order", Stencil::SecondOrder)];

/// The problem `poisson-2d-l-shape`.
pub struct Poisson2dLShape {
    n: usize,
    ratio: usize,
    paper: Arc<LShapeSolver>,
    random: Arc<LShapeSolver>,
    gaussian: SparseGaussianField,
    series: PaperSeries,
}

impl Poisson2dLShape {
    /// The name on the command line.
    pub const NAME: &'static str = "poisson-2d-l-shape";
    /// One line for people.
    pub const TITLE: &'static str = "Poisson equation on the L-shape, Dirichlet";

    /// Builds the problem: factors the matrices of both grids. Schemes: `fourth-order`,
    /// `second-order`.
    ///
    /// # Errors
    /// Sizes out of range or that do not fit each other, an odd `n`; an unknown scheme; not enough
    /// memory for the factors.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n", "solver_n", "scheme"])?;
        let (n, ratio) = sparse_grid_sizes(Self::NAME, options, 64, 2)?;
        let stencil = choose_scheme(Self::NAME, options, &SCHEMES)?.unwrap_or(Stencil::FourthOrderCompact);
        let grid = LShapeGrid::new(n)?;
        let random = Arc::new(LShapeSolver::new(n, stencil)?);
        let paper = if ratio == 1 { random.clone() } else { Arc::new(LShapeSolver::new(n * ratio, stencil)?) };
        let gaussian = SparseGaussianField::new(Self::NAME, grid.five_point_entries(), vec![1.0; grid.unknowns()])?;
        Ok(Poisson2dLShape { n, ratio, paper, random, gaussian, series: PaperSeries::new(n * ratio) })
    }
}

impl Problem for Poisson2dLShape {
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
        let stencil = self.paper.stencil();
        let scheme = match stencil {
            Stencil::FourthOrderCompact => {
                "fourth-order: compact nine-point Mehrstellen stencil, f corrected by h^2/12 Laplace_h f (f = 0 on the boundary)"
            }
            _ => "second-order: five-point stencil",
        };
        let (n, fine) = (self.n, self.n * self.ratio);
        vec![
            ("equation", "-Laplace u = f on (0, 1)^2 without [1/2, 1]^2".to_owned()),
            ("boundary_condition", "u = 0 on the boundary".to_owned()),
            (
                "mask",
                "true at the interior points; boundary and removed square are false, f and u are 0 there".to_owned(),
            ),
            ("scheme", scheme.to_owned()),
            ("order", format!("{} for smooth u; 4/3 if u ~ r^(2/3) at the corner (1/2, 1/2)", stencil.order())),
            ("solver", "direct, sparse Cholesky".to_owned()),
            ("grid", format!("i/{n}, i = 0..{} on each axis; the boundary x = 1 is not stored", n - 1)),
            (
                "solver_grid_paper",
                format!("i/{fine}, i = 0..{} on each axis; every {} stored", fine - 1, ordinal(self.ratio)),
            ),
            ("solver_grid_random", "the stored grid".to_owned()),
            (
                "family_paper",
                "f = sum_{a,b=1}^{10} c_ab sin(2 pi a x) sin(2 pi b y) inside, c_ab uniform on (0, 1); spans 100 dimensions; \
                 the waves vanish on the boundary, so u is the square's and has no corner singularity"
                    .to_owned(),
            ),
            (
                "family_random",
                "f ~ N(0, (-Laplacian_h + 9)^(-s)) with the five-point Laplacian of the L-shape on the stored grid; s = 0 is \
                 N(0, 1) noise at every interior point; u ~ r^(2/3) at the corner"
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

    fn mask(&self) -> Option<Vec<bool>> {
        Some(self.random.mask())
    }

    fn random_dimensions(&self, family: Family) -> usize {
        match family {
            Family::Paper => WAVES * WAVES,
            Family::Random { .. } => self.random.grid().unknowns(),
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
                self.paper.grid().restrict(&mut f);
                self.paper.solve(&f, &mut u);
                down_sample(&f, fine, self.ratio, 2, input);
                down_sample(&u, fine, self.ratio, 2, output);
            }
            Family::Random { smoothness } => {
                let mut f = vec![0.0; self.random.grid().unknowns()];
                self.gaussian.draw(smoothness, &mut rng, &mut f);
                self.random.grid().scatter(&f, input);
                self.random.solve(input, output);
            }
        }
        Ok(())
    }
}
