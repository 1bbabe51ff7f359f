//! Steady radiative transfer in a slab with isotropic scattering: the map from the scattering coefficient mu_s(x) to the
//! mean intensity u(x), which is not linear (H2-NN paper, arXiv 2212.12899, section 3.2; data of Fan et al., arXiv 1808.02376).
//!
//! Equation, scheme, order: `radiative_transfer_slab.rs`. mu_a = 0.2, source 1.
//!
//! Family `paper`: two Gaussian bumps `rho / sqrt(2 pi T) exp(-(x - c)^2 / (2 T))`, rho uniform on (0.1, 0.3), one T uniform on
//! (2e-3, 4e-3), centres uniform on (0.2, 0.8) and at least 0.05 apart. mu_s reaches 2 to 6 where bumps meet, the slab is 0.4 to
//! 0.8 mean free paths thick. n = 320, 640 or 1280 in the paper, 20 000 samples. The map is easy: affine least squares has an error of
//! 0.015 from 900 samples.
//!
//! Cost of a sample: O(n^2); 3 ms of one core at n = 320.

use crate::gaussian_bumps::GaussianBumps;
use crate::options::{cell_centres, grid_sizes};
use crate::problem::check_call;
use crate::radiative_transfer_slab::RadiativeTransferSlab;
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

/// mu_a.
const ABSORPTION: f64 = 0.2;
/// Most cells: the matrix has 512 MiB.
const MOST_CELLS: usize = 8192;

/// The problem `radiative-transfer-1d`.
pub struct RadiativeTransfer1d {
    n: usize,
}

impl RadiativeTransfer1d {
    /// The name on the command line.
    pub const NAME: &'static str = "radiative-transfer-1d";
    /// One line for people.
    pub const TITLE: &'static str = "Radiative transfer in a slab: scattering coefficient to mean intensity";

    /// Builds the problem. Option: `n` (320).
    ///
    /// # Errors
    /// A size out of range (4 to 8192); an option that there is not.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        options.only(Self::NAME, &["n"])?;
        let (n, _) = grid_sizes(Self::NAME, options, 1, 320, 1, 0)?;
        if n > MOST_CELLS {
            let reason = format!("more than {MOST_CELLS} cells: the matrix is dense");
            return Err(PdeError::Size { problem: Self::NAME, field: "n", value: n, reason });
        }
        Ok(RadiativeTransfer1d { n })
    }
}

impl Problem for RadiativeTransfer1d {
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
            (
                "equation",
                "u(x) = int_0^1 E_1(|tau(x) - tau(y)|)/2 (mu_s(y) u(y) + 1) dy, tau(x) = int_0^x (0.2 + mu_s)".to_owned(),
            ),
            ("boundary_condition", "nothing comes in".to_owned()),
            ("grid", format!("cell centres (i + 1/2)/{0}, i = 0..{0}", self.n)),
            (
                "scheme",
                "collocation at cell centres, coefficients and u constant on cells, kernel integrated exactly".to_owned(),
            ),
            ("order", "2".to_owned()),
            ("input", "mu_s".to_owned()),
            ("output", "u, the mean over all directions of the intensity".to_owned()),
            (
                "family_paper",
                "mu_s = two bumps rho/sqrt(2 pi T) exp(-(x - c)^2/(2 T)), rho uniform on (0.1, 0.3), one T uniform on (2e-3, 4e-3), \
                 centres uniform on (0.2, 0.8), at least 0.05 apart"
                    .to_owned(),
            ),
        ]
    }

    fn families(&self) -> Vec<Family> {
        vec![Family::Paper]
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        vec![cell_centres(self.n)]
    }

    fn is_linear(&self) -> bool {
        false
    }

    fn random_dimensions(&self, _family: Family) -> usize {
        self.n
    }

    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError> {
        check_call(self, None, family, input, output)?;
        let bumps = GaussianBumps::draw(&mut key.rng(), [0.1, 0.3], [0.2, 0.8], false);
        for (value, x) in input.iter_mut().zip(cell_centres(self.n)) {
            *value = bumps.at([x]);
        }
        output.copy_from_slice(&RadiativeTransferSlab::new(input, ABSORPTION)?.solve()?);
        Ok(())
    }
}
