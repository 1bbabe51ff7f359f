//! The N-body sum: the potential `w_i = sum_j q_j / |y_i - x_j|` at receivers y of charges q at sources x, points at random in the unit
//! square or cube (H2-NN paper, arXiv 2212.12899, section 2.1; Greengard & Rokhlin, J. Comput. Phys. 73, 1987). A linear map between
//! fields that live on scattered points and not on a grid.
//!
//! Sources are uniform, drawn once from option `points_seed`, whatever the seed of the samples: all sets of a problem share
//! them. Without option `receivers`, receivers are the sources, and a point does not act on itself. With it, they are a set of that many
//! points of their own, drawn after the sources, and the sum runs over all pairs.
//!
//! The kernel is 1/r in two dimensions as well (charges on a plane in space), not the logarithm. Fields have one axis, in the order of
//! the points, which is the order in which they were drawn: neighbours in a field are not neighbours in space. Coordinates go
//! with the data ([`Problem::points`]).
//!
//! Families: `point_fields.rs`. The sum is exact. Cost of a sample: sources x receivers multiply-adds, 7 ms for 4096 x 4096.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::kernel_sum::{Kernel, KernelSum, Point, square_distance};
use crate::options::grid_sizes;
use crate::point_fields::PointFields;
use crate::problem::check_call;
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey, ScatteredPoints};

/// Most sources and most receivers: a sum over all pairs takes 20 seconds.
const MOST_POINTS: usize = 1 << 16;
/// Keeps the points apart from other numbers that are drawn from the same seed.
const DOMAIN: &[u8; 8] = b"nbody xy";

/// The problems `n-body-2d` and `n-body-3d`.
pub struct NBody {
    name: (&'static str, &'static str),
    dims: usize,
    points_seed: u64,
    separate: bool,
    sum: KernelSum,
    fields: PointFields,
}

impl NBody {
    /// Name and title in two dimensions.
    pub const PLANE: (&'static str, &'static str) = ("n-body-2d", "N-body sum 1/r on random points of a square");
    /// Name and title in three dimensions.
    pub const SPACE: (&'static str, &'static str) = ("n-body-3d", "N-body sum 1/r on random points of a cube");

    /// Builds the problem in 2 or 3 dimensions. Options: `n`, the number of sources (1024 or 4096); `receivers` (none: the
    /// receivers are the sources); `points_seed` (0).
    ///
    /// # Errors
    /// Another dimension; less than 4 or more than 65 536 points; an option that there is not.
    pub fn new(dims: usize, options: &ProblemOptions) -> Result<Self, PdeError> {
        let name = match dims {
            2 => Self::PLANE,
            3 => Self::SPACE,
            _ => {
                let reason = "must be 2 or 3".to_owned();
                return Err(PdeError::Size { problem: "n-body", field: "dims", value: dims, reason });
            }
        };
        options.only(name.0, &["n", "receivers", "points_seed"])?;
        let (n, _) = grid_sizes(name.0, options, 1, if dims == 2 { 1024 } else { 4096 }, 1, 0)?;
        for (field, value) in [("n", Some(n)), ("receivers", options.receivers)] {
            if let Some(value) = value
                && !(4..=MOST_POINTS).contains(&value)
            {
                let reason = format!("between 4 and {MOST_POINTS} points are possible");
                return Err(PdeError::Size { problem: name.0, field, value, reason });
            }
        }
        let points_seed = options.points_seed.unwrap_or(0);
        let mut key = [0; 32];
        key[..8].copy_from_slice(&points_seed.to_le_bytes());
        key[8..16].copy_from_slice(&(dims as u64).to_le_bytes());
        key[24..].copy_from_slice(DOMAIN);
        let mut rng = ChaCha8Rng::from_seed(key);
        let mut draw = |count: usize| -> Vec<Point> {
            (0..count)
                .map(|_| std::array::from_fn(|axis| if axis < dims { rng.random::<f64>() } else { 0.0 }))
                .collect()
        };
        let sources = draw(n);
        let receivers = options.receivers.map_or_else(|| sources.clone(), &mut draw);
        let kernel: Kernel = Box::new(|y, x| {
            let square = square_distance(y, x);
            if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 }
        });
        Ok(NBody {
            name,
            dims,
            points_seed,
            separate: options.receivers.is_some(),
            sum: KernelSum::new(sources, receivers, kernel),
            fields: PointFields::new(dims, n),
        })
    }
}

impl Problem for NBody {
    fn name(&self) -> &'static str {
        self.name.0
    }

    fn title(&self) -> &'static str {
        self.name.1
    }

    fn channels(&self) -> (usize, usize) {
        (1, 1)
    }

    fn grid(&self) -> Vec<usize> {
        vec![self.sum.sources().len()]
    }

    fn output_grid(&self) -> Vec<usize> {
        vec![self.sum.receivers().len()]
    }

    fn points(&self) -> Option<ScatteredPoints> {
        let flat = |points: &[Point]| points.iter().flat_map(|x| x[..self.dims].to_vec()).collect();
        Some(ScatteredPoints {
            dims: self.dims,
            sources: flat(self.sum.sources()),
            receivers: flat(self.sum.receivers()),
        })
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let (sources, receivers) = (self.sum.sources().len(), self.sum.receivers().len());
        let grid = match self.separate {
            true => format!("{sources} sources and {receivers} receivers"),
            false => format!("{sources} points, sources and receivers alike"),
        };
        let mut facts = vec![
            ("equation", "w_i = sum_j q_j / |y_i - x_j|, without pairs of distance 0".to_owned()),
            ("boundary_condition", "none".to_owned()),
            ("grid", format!("{grid}, uniform in the unit box of {} dimensions", self.dims)),
            ("points_seed", self.points_seed.to_string()),
            ("scheme", "the sum itself, exact".to_owned()),
            ("input", "q".to_owned()),
            ("output", "w".to_owned()),
        ];
        facts.extend(self.fields.facts());
        facts
    }

    fn families(&self) -> Vec<Family> {
        Family::ALL.to_vec()
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        vec![(0..self.sum.receivers().len()).map(|i| i as f64).collect()]
    }

    fn random_dimensions(&self, family: Family) -> usize {
        self.fields.span(family, self.sum.sources().len())
    }

    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError> {
        check_call(self, None, family, input, output)?;
        self.fields.draw(family, &mut key.rng(), self.sum.sources(), input);
        self.sum.apply(input, output);
        Ok(())
    }
}
