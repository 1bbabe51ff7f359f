//! What the square and the cube share: grids, solvers, and the two families as fields.

use crate::dirichlet_solver::DirichletSolver;
use crate::gaussian_field::gaussian_field;
use crate::options::{choose_scheme, grid_sizes};
use crate::series::{SineTable, down_sample, evaluate};
use crate::stencil::Stencil;
use crate::{PdeError, ProblemOptions, SampleKey};

/// The schemes on the square and on the cube.
const SCHEMES: [(&str, Stencil); 2] =
    [("fourth-order", Stencil::FourthOrderCompact), ("second-order", Stencil::SecondOrder)];

/// `-Laplace u = f`, u = 0 on the boundary of (0, 1)^d.
pub(crate) struct DirichletBox {
    pub(crate) axes: usize,
    /// Points an axis of the stored grid.
    pub(crate) n: usize,
    /// Points of the solver grid for each stored one, family `paper`.
    ratio: usize,
    paper: DirichletSolver,
    random: DirichletSolver,
    sines: SineTable,
}

impl DirichletBox {
    pub(crate) fn new(
        name: &'static str,
        options: &ProblemOptions,
        axes: usize,
        default_n: usize,
        default_ratio: usize,
    ) -> Result<Self, PdeError> {
        options.only(name, &["n", "solver_n", "scheme"])?;
        let (n, ratio) = grid_sizes(name, options, axes as u32, default_n, default_ratio, 0)?;
        let stencil = choose_scheme(name, options, &SCHEMES)?.unwrap_or(Stencil::FourthOrderCompact);
        Ok(DirichletBox {
            axes,
            n,
            ratio,
            paper: DirichletSolver::new(axes, n * ratio, stencil),
            random: DirichletSolver::new(axes, n, stencil),
            sines: SineTable::new(n * ratio),
        })
    }

    /// A pair whose f is the sine series with these coefficients (waves, ..., waves) and, for each
    /// axis, these wave numbers.
    pub(crate) fn paper_pair(
        &self,
        coefficients: &[f64],
        wave_numbers: &[Vec<usize>],
        input: &mut [f64],
        output: &mut [f64],
    ) {
        let bases: Vec<Vec<f64>> = wave_numbers.iter().map(|k| self.sines.basis(k)).collect();
        let bases: Vec<&[f64]> = bases.iter().map(Vec::as_slice).collect();
        let waves = wave_numbers[0].len();
        if self.ratio == 1 {
            evaluate(coefficients, &bases, waves, input);
            self.paper.solve(input, output);
            return;
        }
        let fine = self.n * self.ratio;
        let mut f = vec![0.0; fine.pow(self.axes as u32)];
        let mut u = f.clone();
        evaluate(coefficients, &bases, waves, &mut f);
        self.paper.solve(&f, &mut u);
        down_sample(&f, fine, self.ratio, self.axes, input);
        down_sample(&u, fine, self.ratio, self.axes, output);
    }

    /// A pair of the family `random`.
    pub(crate) fn random_pair(&self, smoothness: u32, key: SampleKey, input: &mut [f64], output: &mut [f64]) {
        gaussian_field(self.random.transform(), smoothness, &mut key.rng(), input);
        self.random.solve(input, output);
    }

    pub(crate) fn coordinates(&self) -> Vec<Vec<f64>> {
        let axis: Vec<f64> = (0..self.n).map(|i| i as f64 / self.n as f64).collect();
        vec![axis; self.axes]
    }

    /// Interior points of the stored grid.
    pub(crate) fn interior(&self) -> usize {
        (self.n - 1).pow(self.axes as u32)
    }

    /// Scheme, order and grids in words.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let stencil = self.paper.stencil();
        let scheme = match (stencil, self.axes) {
            (Stencil::FourthOrderCompact, 2) => {
                "fourth-order: compact nine-point Mehrstellen stencil, f corrected by h^2/12 Laplace_h f (f = 0 on the boundary)"
            }
            (Stencil::FourthOrderCompact, _) => {
                "fourth-order: compact 19-point Mehrstellen stencil, f corrected by h^2/12 Laplace_h f (f = 0 on the boundary)"
            }
            (_, 2) => "second-order: five-point stencil",
            _ => "second-order: seven-point stencil",
        };
        let (n, fine) = (self.n, self.n * self.ratio);
        vec![
            ("scheme", scheme.to_owned()),
            ("order", stencil.order().to_string()),
            ("solver", "direct, diagonal in the sine basis (DST-I)".to_owned()),
            (
                "grid",
                format!("i/{n}, i = 0..{} on each axis; the boundary x = 1 is not stored", n - 1),
            ),
            (
                "solver_grid_paper",
                format!(
                    "i/{fine}, i = 0..{} on each axis; every {} stored",
                    fine - 1,
                    ordinal(self.ratio)
                ),
            ),
            ("solver_grid_random", "the stored grid".to_owned()),
            (
                "family_random",
                "f ~ N(0, (-Laplacian + 9)^(-s)): sine waves, orthonormal on the interior points, eigenvalues pi^2 |k|^2 of the \
                 continuous Laplacian; s = 0 is N(0, 1) noise at every interior point"
                    .to_owned(),
            ),
        ]
    }
}

/// `point`, `second point`, `3rd point`, ... for the phrase "every ... stored".
pub(crate) fn ordinal(ratio: usize) -> String {
    match ratio {
        1 => "point".to_owned(),
        2 => "second point".to_owned(),
        3 => "third point".to_owned(),
        4 => "fourth point".to_owned(),
        _ => format!("{ratio}th point"),
    }
}
