//! Poisson equation on the unit square without a disk at its centre: `-Laplace u = f`, periodic on the
//! outer boundary, `du/dn = 0` on the circle (row "mixed BC" of table 2 of the Neural-HSS paper,
//! section 3.2: radius 0.2).
//!
//! The operator is singular (constants), so f has zero mean over the domain, and u is the solution of
//! zero mean; the mean is that of the cut-cell quadrature, in which the discrete operator is
//! self-adjoint ([`DiskSolver`]).
//!
//! The paper does not give its data or its scheme for this problem. Our choice for family `paper`: the
//! sine series of `poisson-2d`, solved at 256 x 256 points and stored at every fourth (64 x 64). Each
//! wave is odd about the centre of the disk in both directions, so its mean is zero, and u is odd too.
//! It spans 100 dimensions, fewer where the disk hides some from a coarse grid (94 at n = 24).
//!
//! Family `random`: Gaussian with the covariance of the domain's own Laplacian, drawn and solved on the
//! stored grid.
//!
//! Scheme: `second-order` (finite volumes on cut cells) with a sparse Cholesky factorisation made when
//! the problem is built. Relative L2 error of u, family `paper`, and the largest error within 0.05 of the
//! circle, relative to the largest value; the five-point stencil's dispersion of the shortest waves is
//! the larger part, the circle is not worse than the rest:
//!
//! | solver_n | error | at the circle | a sample |
//! | --- | --- | --- | --- |
//! | 64 | 9e-3 | | 0.1 ms |
//! | 128 | 2e-3 | 2e-3 | 1 ms |
//! | 256 | 5e-4 | 4e-4 | 6 ms |
//! | 512 | 1.3e-4 | | 30 ms |
//!
//! Cost of a sample: O(n^2 log n).

use std::sync::Arc;

use rand::RngExt;

use crate::dirichlet_box::ordinal;
use crate::disk_solver::DiskSolver;
use crate::options::{choose_scheme, sparse_grid_sizes};
use crate::poisson_2d::{HIGHEST, PaperSeries, WAVES};
use crate::problem::{check_call, families_below};
use crate::series::down_sample;
use crate::sparse_gaussian_field::SparseGaussianField;
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

const SCHEMES: [(&str, ()); 1] = [("second-order", ())];

/// The problem `poisson-2d-disk`.
pub struct Poisson2dDisk {
    n: usize,
    ratio: usize,
    radius: f64,
    paper: Arc<DiskSolver>,
    random: Arc<DiskSolver>,
    gaussian: SparseGaussianField,
    series: PaperSeries,
}

impl Poisson2dDisk {
    /// The name on the command line.
    pub const NAME: &'static str = "poisson-2d-disk";
    /// One line for people.
    pub const TITLE: &'static str =
        "Poisson equation on the square without a disk, periodic outside, Neumann on the circle";

    /// Builds the problem: factors the matrices of both grids. Scheme: `second-order`.
    ///
    /// # Errors
    /// Sizes out of range or that do not fit each other; a radius that is not between 1/n and 1/2 -
    /// 1/n; an unknown scheme; not enough memory for the factors.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n", "solver_n", "scheme", "radius"])?;
        let (n, ratio) = sparse_grid_sizes(Self::NAME, options, 64, 4)?;
        choose_scheme(Self::NAME, options, &SCHEMES)?;
        let radius = options.radius.unwrap_or(0.2);
        let random = Arc::new(DiskSolver::new(n, radius)?);
        let paper = if ratio == 1 { random.clone() } else { Arc::new(DiskSolver::new(n * ratio, radius)?) };
        let (weights, stiffness) = random.stiffness();
        let gaussian = SparseGaussianField::new(Self::NAME, stiffness, weights)?;
        Ok(Poisson2dDisk { n, ratio, radius, paper, random, gaussian, series: PaperSeries::new(n * ratio) })
    }
}

impl Problem for Poisson2dDisk {
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
        vec![
            (
                "equation",
                format!("-Laplace u = f on the unit square without the disk of radius {} at (1/2, 1/2)", self.radius),
            ),
            ("boundary_condition", "periodic on the outer boundary, du/dn = 0 on the circle".to_owned()),
            ("mask", "true outside the disk and on its circle; f and u are 0 inside".to_owned()),
            (
                "projection",
                "singular (constants): f and u have zero mean over the domain in the cut-cell quadrature of the solver grid"
                    .to_owned(),
            ),
            ("scheme", "second-order: finite volumes on cut cells, symmetric and conservative".to_owned()),
            ("order", "2, in the mean, in the maximum and at the circle; family paper at 256 points: relative L2 error 5e-4".to_owned()),
            ("solver", "direct, sparse Cholesky".to_owned()),
            ("grid", format!("i/{n}, i = 0..{} on each axis; periodic, x = 1 is x = 0 and not stored", n - 1)),
            (
                "solver_grid_paper",
                format!("i/{fine}, i = 0..{} on each axis; every {} stored", fine - 1, ordinal(self.ratio)),
            ),
            ("solver_grid_random", "the stored grid".to_owned()),
            (
                "family_paper",
                format!(
                    "f = sum_{{a,b=1}}^{{10}} c_ab sin(2 pi a x) sin(2 pi b y) outside the disk, c_ab uniform on (0, 1); spans \
                     {} dimensions; our choice, the paper gives none",
                    self.random_dimensions(Family::Paper)
                ),
            ),
            (
                "family_random",
                "f ~ N(0, (-Laplacian_h + 9)^(-s)) without the constant, with the cut-cell Laplacian of the stored grid, \
                 self-adjoint in its quadrature; s = 0 is N(0, 1) noise away from the circle"
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
        Some(self.random.mask().to_vec())
    }

    fn random_dimensions(&self, family: Family) -> usize {
        match family {
            Family::Paper => {
                // The waves are odd about the centre: one quarter counts, p, q = 1, 2, ... steps from the
                // centre. A sum of waves that vanishes outside the disk lives on the quarter's hidden
                // points and is orthogonal there, along each row and column, to the m waves of the grid
                // that are not in the family. The last m are a Chebyshev system, so products of
                // generalised divided differences over m + 1 points, one for each hidden point with p, q
                // > m, are a basis of such sums.
                let half = self.n.div_ceil(2);
                let m = (half - 1).saturating_sub(WAVES);
                let hidden = |p: usize, q: usize| !self.random.mask()[(half - p) * self.n + half - q];
                let lost = (m + 1..half).map(|p| (m + 1..half).filter(|&q| hidden(p, q)).count()).sum::<usize>();
                (half - 1).min(WAVES).pow(2) - lost
            }
            Family::Random { .. } => self.random.points() - 1,
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
                self.paper.remove_mean(&mut f);
                self.paper.solve(&f, &mut u);
                down_sample(&f, fine, self.ratio, 2, input);
                down_sample(&u, fine, self.ratio, 2, output);
            }
            Family::Random { smoothness } => {
                let mut f = vec![0.0; self.random.unknowns()];
                self.gaussian.draw(smoothness, &mut rng, &mut f);
                self.random.scatter(&f, input);
                self.random.remove_mean(input);
                self.random.solve(input, output);
            }
        }
        Ok(())
    }
}
