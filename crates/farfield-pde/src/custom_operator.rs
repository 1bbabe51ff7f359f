//! The custom operator of the H2-NN paper (arXiv 2212.12899, eq. 9): `w_i = sum_j a_ij q_j`, `a_ij = f(i, j) / |x_i - y_j|`, `f = (x_i
//! + y_j)^2 / N^5`, which no convolution equals: the weights vary over the domain.
//!
//! The points are the cell centres (i + 1/2)/n of the unit interval, sources and receivers alike. The paper leaves open what stands on
//! the diagonal, where the distance is zero: here 0, a point does not act on itself. It has one dimension only; in two and
//! three, `(x + y)^2` is the square of the length of the vector x + y, and N is n, the points an axis. The map is linear. Outputs are
//! about 1e-10 at n = 320: scale them before training (the normaliser does).
//!
//! Family `paper`: the paper says "inputs similar to section 3.2", taken to be the bumps of the scattering coefficient. Families
//! `random-s0`, `random-s1`, `random-s2`: `point_fields.rs`. n = 320, 640 and 1280 in the paper.
//!
//! The sum is exact, there is no discretisation error: it approximates no integral (with the factor 1/N^5 the limit is 0).
//! Cost of a sample: n^(2d) multiply-adds; 0.02 ms at n = 320 in 1D, 6 ms at 16^3 points.

use crate::kernel_sum::{Kernel, KernelSum, Point, square_distance};
use crate::options::{cell_centres, grid_sizes};
use crate::point_fields::PointFields;
use crate::problem::check_call;
use crate::{Family, PdeError, Problem, ProblemOptions, SampleKey};

/// Most points: a sum over all pairs takes 20 seconds.
const MOST_POINTS: usize = 1 << 16;

/// The problems `custom-operator-1d`, `custom-operator-2d` and `custom-operator-3d`.
pub struct CustomOperator {
    name: (&'static str, &'static str),
    n: usize,
    dims: usize,
    sum: KernelSum,
    fields: PointFields,
}

impl CustomOperator {
    /// Names and titles, by dimension.
    pub const NAMES: [(&'static str, &'static str); 3] = [
        ("custom-operator-1d", "Sum over (x + y)^2 / |x - y| on an interval"),
        ("custom-operator-2d", "Sum over |x + y|^2 / |x - y| on a square"),
        ("custom-operator-3d", "Sum over |x + y|^2 / |x - y| on a cube"),
    ];

    /// Builds the problem in 1, 2 or 3 dimensions. Option: `n`, points an axis (320, 32 or 16).
    ///
    /// # Errors
    /// Another dimension; a size out of range: less than 4 points an axis, more than 65 536 in all; an option that there is not.
    pub fn new(dims: usize, options: &ProblemOptions) -> Result<Self, PdeError> {
        let Some(&name) = dims.checked_sub(1).and_then(|index| Self::NAMES.get(index)) else {
            let reason = "must be 1, 2 or 3".to_owned();
            return Err(PdeError::Size { problem: "custom-operator", field: "dims", value: dims, reason });
        };
        options.only(name.0, &["n"])?;
        let (n, _) = grid_sizes(name.0, options, dims as u32, [320, 32, 16][dims - 1], 1, 0)?;
        let points = n.pow(dims as u32);
        if points > MOST_POINTS {
            let reason = format!("more than {MOST_POINTS} points: the sum runs over all pairs");
            return Err(PdeError::Size { problem: name.0, field: "n", value: n, reason });
        }
        let centres = cell_centres(n);
        let places: Vec<Point> =
            (0..points)
                .map(|flat| {
                    // The last axis is the fastest.
                    std::array::from_fn(|axis| {
                        if axis < dims { centres[flat / n.pow((dims - 1 - axis) as u32) % n] } else { 0.0 }
                    })
                })
                .collect();
        let scale = (n as f64).powi(-5);
        let kernel: Kernel = Box::new(move |y, x| {
            let square = square_distance(y, x);
            let sum: f64 = y.iter().zip(x).map(|(y, x)| (y + x) * (y + x)).sum();
            if square > 0.0 { scale * sum / square.sqrt() } else { 0.0 }
        });
        let sum = KernelSum::new(places.clone(), places, kernel);
        Ok(CustomOperator { name, n, dims, sum, fields: PointFields::new(dims, points) })
    }
}

impl Problem for CustomOperator {
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
        vec![self.n; self.dims]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("equation", "w_i = sum_{j != i} |x_i + x_j|^2 / (N^5 |x_i - x_j|) q_j".to_owned()),
            ("boundary_condition", "none".to_owned()),
            ("grid", format!("cell centres (i + 1/2)/{0}, i = 0..{0} on each axis; N = {0}", self.n)),
            ("diagonal", "0: not defined by the paper".to_owned()),
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
        vec![cell_centres(self.n); self.dims]
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
