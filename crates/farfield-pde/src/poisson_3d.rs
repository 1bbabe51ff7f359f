//! Poisson equation on the unit cube, Dirichlet: `-Laplace u = f`, u = 0 on the boundary
//! (Neural-HSS paper, appendix F.2.3).
//!
//! Family `paper`: `f = sum_{a,b,c=1}^{20} c_abc sin(k_a pi x) sin(k_b pi y) sin(k_c pi z)`, c_abc
//! uniform on (0, 1), at 128^3 points i/128. For each sample and each axis, the 20 wave numbers are
//! drawn uniformly from {3, ..., 23} with replacement (the paper says "drawn uniformly at random
//! for each sample"), so one wave number may occur several times. All samples together span 21^3 =
//! 9261 dimensions.
//!
//! Family `random`: Gaussian, drawn and solved on the stored grid.
//!
//! Schemes: `fourth-order` (compact 19-point stencil) and `second-order` (seven points). Cost of a
//! sample: O(n^3 log n); at n = 128 about 0.2 s on one core, and no memory to speak of beside the
//! two fields of 16 MiB.

use rand::RngExt;

use crate::dirichlet_box::DirichletBox;
use crate::problem::{check_call, families_below};
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

/// Waves an axis of family `paper`.
const WAVES: usize = 20;
const LOWEST: usize = 3;
const HIGHEST: usize = 23;

/// The problem `poisson-3d`.
pub struct Poisson3d {
    cube: DirichletBox,
}

impl Poisson3d {
    /// The name on the command line.
    pub const NAME: &'static str = "poisson-3d";
    /// One line for people.
    pub const TITLE: &'static str = "Poisson equation on the unit cube, Dirichlet";

    /// Builds the problem. Schemes: `fourth-order`, `second-order`.
    ///
    /// # Errors
    /// Sizes out of range or that do not fit each other; an unknown scheme.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        let cube = DirichletBox::new(Self::NAME, options, 3, 128, 1)?;
        Ok(Poisson3d { cube })
    }
}

impl Problem for Poisson3d {
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
        vec![self.cube.n; 3]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("equation", "-Laplace u = f on (0, 1)^3".to_owned()),
            ("boundary_condition", "u = 0 on the boundary".to_owned()),
            (
                "family_paper",
                "f = sum_{a,b,c=1}^{20} c_abc sin(k_a pi x) sin(k_b pi y) sin(k_c pi z), c_abc uniform on (0, 1); 20 wave numbers an axis and \
                 sample, uniform on {3, ..., 23} with replacement; spans 9261 dimensions"
                    .to_owned(),
            ),
        ];
        facts.extend(self.cube.facts());
        facts
    }

    fn families(&self) -> Vec<Family> {
        families_below(self.cube.n, HIGHEST)
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        self.cube.coordinates()
    }

    fn random_dimensions(&self, family: Family) -> usize {
        match family {
            Family::Paper => (HIGHEST - LOWEST + 1).pow(3),
            Family::Random { .. } => self.cube.interior(),
        }
    }

    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError> {
        check_call(self, HIGHEST, family, input, output)?;
        match family {
            Family::Paper => {
                let mut rng = key.rng();
                let wave_numbers: Vec<Vec<usize>> =
                    (0..3).map(|_| (0..WAVES).map(|_| rng.random_range(LOWEST..=HIGHEST)).collect()).collect();
                let coefficients: Vec<f64> = (0..WAVES.pow(3)).map(|_| rng.random()).collect();
                self.cube.paper_pair(&coefficients, &wave_numbers, input, output);
            }
            Family::Random { smoothness } => {
                self.cube.random_pair(smoothness, key, input, output);
            }
        }
        Ok(())
    }
}
