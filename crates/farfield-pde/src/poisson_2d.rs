//! Poisson equation on the unit square, Dirichlet: `-Laplace u = f`, u = 0 on the boundary
//! (Neural-HSS paper, appendix F.2.2).
//!
//! Family `paper`: `f = sum_{a,b=1}^{10} c_ab sin(2 pi a x) sin(2 pi b y)`, c_ab uniform on (0, 1),
//! solved at 128 x 128 points i/128 and stored at every second (64 x 64). It spans 100 dimensions.
//! (The paper also says that the wave numbers are drawn at random for each sample, which
//! contradicts the formula, and prints both 64 and 128 points; the formula and the finer grid are
//! taken.)
//!
//! Family `random`: Gaussian, drawn and solved on the stored grid.
//!
//! Schemes: `fourth-order` (compact nine-point stencil; the paper's "nine-point fourth-order" could
//! also be the wide cross) and `second-order` (five points). Cost of a sample: O(n^2 log n).

use rand::RngExt;

use crate::dirichlet_box::DirichletBox;
use crate::problem::{check_call, families_below};
use crate::series::{SineTable, evaluate};
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

/// Waves an axis of family `paper`: wave numbers 2, 4, ..., 20 in units of pi.
pub(crate) const WAVES: usize = 10;
pub(crate) const HIGHEST: usize = 2 * WAVES;

/// The sine series of family `paper` on the points i/n, for the other problems that use it.
pub(crate) struct PaperSeries {
    basis: Vec<f64>,
}

impl PaperSeries {
    pub(crate) fn new(n: usize) -> Self {
        let wave_numbers: Vec<usize> = (1..=WAVES).map(|k| 2 * k).collect();
        PaperSeries { basis: SineTable::new(n).basis(&wave_numbers) }
    }

    /// `field[i, j] = sum_{a,b} c_ab sin(2 pi a i/n) sin(2 pi b j/n)`.
    pub(crate) fn evaluate(&self, coefficients: &[f64; WAVES * WAVES], field: &mut [f64]) {
        evaluate(coefficients, &[&self.basis, &self.basis], WAVES, field);
    }
}

/// The problem `poisson-2d`.
pub struct Poisson2d {
    square: DirichletBox,
}

impl Poisson2d {
    /// The name on the command line.
    pub const NAME: &'static str = "poisson-2d";
    /// One line for people.
    pub const TITLE: &'static str = "Poisson equation on the unit square, Dirichlet";

    /// Builds the problem. Schemes: `fourth-order`, `second-order`.
    ///
    /// # Errors
    /// Sizes out of range or that do not fit each other; an unknown scheme.
    pub fn new(options: &ProblemOptions) -> Result<Self, PdeError> {
        let square = DirichletBox::new(Self::NAME, options, 2, 64, 2)?;
        Ok(Poisson2d { square })
    }
}

impl Problem for Poisson2d {
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
        vec![self.square.n; 2]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("equation", "-Laplace u = f on (0, 1)^2".to_owned()),
            ("boundary_condition", "u = 0 on the boundary".to_owned()),
            (
                "family_paper",
                "f = sum_{a,b=1}^{10} c_ab sin(2 pi a x) sin(2 pi b y), c_ab uniform on (0, 1); spans 100 dimensions"
                    .to_owned(),
            ),
        ];
        facts.extend(self.square.facts());
        facts
    }

    fn families(&self) -> Vec<Family> {
        families_below(self.square.n, HIGHEST)
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        self.square.coordinates()
    }

    fn random_dimensions(&self, family: Family) -> usize {
        match family {
            Family::Paper => WAVES * WAVES,
            Family::Random { .. } => self.square.interior(),
        }
    }

    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError> {
        check_call(self, HIGHEST, family, input, output)?;
        match family {
            Family::Paper => {
                let coefficients: [f64; WAVES * WAVES] = key.rng().random();
                let wave_numbers: Vec<usize> = (1..=WAVES).map(|k| 2 * k).collect();
                self.square.paper_pair(&coefficients, &[wave_numbers.clone(), wave_numbers], input, output);
            }
            Family::Random { smoothness } => {
                self.square.random_pair(smoothness, key, input, output);
            }
        }
        Ok(())
    }
}
