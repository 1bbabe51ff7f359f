//! Steady radiative transfer in the unit square with isotropic scattering: the map from the scattering coefficient mu_s to the
//! mean intensity u, which is not linear (data of Fan et al., arXiv 1808.02376).
//!
//! Equation, scheme, order: `radiative_transfer_square.rs`. mu_a = 0.2, source 1.
//!
//! Family `paper`: two Gaussian bumps `rho / (2 pi T) exp(-|x - c|^2 / (2 T))`, rho uniform on (0.01, 0.03), one T uniform on (2e-3,
//! 4e-3), coordinates of the centres uniform on (0.2, 0.8), at least 0.05 apart on each axis. (The published generator sorts the
//! centres along both axes, so that one bump is always left of and below the other; here along the first only.) mu_s reaches 0.4 to 5.
//!
//! Sensible sizes, with the cost of a sample on one core: n = 32 (40 ms), 40 (0.1 s, the default), 64 (0.6 s), 80 (1.5 s, 164 MB: the size of the
//! published generator; 20 000 samples take eight hours of one core). The bumps are 0.045 to 0.063 wide: less than 18 cells do
//! not resolve them.

use crate::gaussian_bumps::GaussianBumps;
use crate::options::{cell_centres, grid_sizes};
use crate::problem::check_call;
use crate::radiative_transfer_square::{RadiativeTransferSquare, inverse_distance_cells};
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

/// mu_a.
const ABSORPTION: f64 = 0.2;
/// Most cells an axis: the matrix has 324 MiB, one a thread.
const MOST_CELLS: usize = 96;

/// The problem `radiative-transfer-2d`.
pub struct RadiativeTransfer2d {
    n: usize,
    cells: Vec<f64>,
}

impl RadiativeTransfer2d {
    /// The name on the command line.
    pub const NAME: &'static str = "radiative-transfer-2d";
    /// One line for people.
    pub const TITLE: &'static str = "Radiative transfer in a square: scattering coefficient to mean intensity";

    /// Builds the problem. Option: `n` (40).
    ///
    /// # Errors
    /// A size out of range (4 to 96); an option that there is not.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n"])?;
        let (n, _) = grid_sizes(Self::NAME, options, 2, 40, 1, 0)?;
        if n > MOST_CELLS {
            let reason = format!("more than {MOST_CELLS} cells an axis: the matrix is dense");
            return Err(PdeError::Size { problem: Self::NAME, field: "n", value: n, reason });
        }
        Ok(RadiativeTransfer2d { n, cells: inverse_distance_cells(n) })
    }
}

impl Problem for RadiativeTransfer2d {
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
        vec![
            (
                "equation",
                "u(x) = int exp(-tau(x, y))/(2 pi |x - y|) (mu_s(y) u(y) + 1) dy on [0, 1]^2, tau(x, y) = int of 0.2 + mu_s along the line"
                    .to_owned(),
            ),
            ("boundary_condition", "nothing comes in".to_owned()),
            ("grid", format!("cell centres (i + 1/2)/{0}, i = 0..{0} on each axis", self.n)),
            (
                "scheme",
                "collocation at cell centres, u constant on cells; 1/r integrated exactly, the rest by the midpoint rule; tau exact"
                    .to_owned(),
            ),
            ("order", "2".to_owned()),
            ("input", "mu_s".to_owned()),
            ("output", "u, the mean over all directions of the intensity".to_owned()),
            (
                "family_paper",
                "mu_s = two bumps rho/(2 pi T) exp(-|x - c|^2/(2 T)), rho uniform on (0.01, 0.03), one T uniform on (2e-3, 4e-3), \
                 coordinates of the centres uniform on (0.2, 0.8), at least 0.05 apart"
                    .to_owned(),
            ),
        ]
    }

    fn families(&self) -> Vec<Family> {
        vec![Family::Paper]
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        vec![cell_centres(self.n); 2]
    }

    fn is_linear(&self) -> bool {
        false
    }

    fn random_dimensions(&self, _family: Family) -> usize {
        self.n * self.n
    }

    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError> {
        check_call(self, None, family, input, output)?;
        let bumps = GaussianBumps::draw(&mut key.rng(), [0.01, 0.03], [0.2, 0.8], false);
        let operator = RadiativeTransferSquare::new(self.n, &self.cells, ABSORPTION, &bumps);
        input.copy_from_slice(operator.scattering());
        output.copy_from_slice(&operator.solve(Self::NAME)?);
        Ok(())
    }
}
