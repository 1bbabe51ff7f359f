//! Sparse direct solver for `-Laplace u = f` on the periodic unit square without a disk at its centre,
//! with `du/dn = 0` on the circle: finite volumes on cut cells.
//!
//! Cell (i, j) is the square of side h around the point (i/n, j/n). Integrating the equation over its
//! part outside the disk, with no flux through the circle and with the difference of the two values
//! for the flux through the open part `a` of a face ([`DiskCells`]; Ng, Min and Gibou, J. Comput. Phys.
//! 228, 2009, section 2):
//!
//! `sum over the four faces of a_face (u_here - u_there) = h^2 w f`
//!
//! for every cell with an open face. Where the point of such a cell lies inside the disk, u is a value
//! of the smooth continuation, an unknown like the others, but no point of the domain: f is not asked
//! for there. The open area of such a cell is given to its neighbours outside, in proportion to the
//! faces between. So `w` (0.5 to about 1.7, 1 away from the circle) lives on the points of the domain,
//! sums to the domain's area, and is the quadrature of all means.
//!
//! The scheme is conservative and the matrix symmetric: on the points of the domain (with the values
//! inside the disk eliminated) it is `W^-1 S` with S symmetric and S 1 = 0, self-adjoint in the inner
//! product of W. Therefore the discrete equation has a solution if and only if `sum w f = 0`; the mean
//! is subtracted first, and u has zero mean too. One value is fixed, the rest is positive definite.
//!
//! Second order in the mean and in the maximum. At the circle a flux is taken at the middle of a face
//! instead of the middle of its open part, an error of size h on the faces of a band of width h; it
//! depends on how the circle cuts the cells, and the observed order there is 1.8 to 2.3 for a halving of
//! h and 1.94 to 2.04 for three (u largest on the circle, 64 to 512 points). Not for inhomogeneous Neumann data.
//!
//! Cost: memory and a solve grow like n^2 log n, the factorisation like n^3; at n = 256 a solve takes
//! 6 ms and the factors 20 MB.

use crate::disk_cells::DiskCells;
use crate::sparse_cholesky::{Entry, SparseCholesky};
use crate::{PdeError, Poisson2dDisk};

/// A factored solver on the points i/n, i = 0..n-1 of each axis.
pub struct DiskSolver {
    cells: DiskCells,
    /// Quadrature weight of each point in units of h^2, zero inside the disk.
    weights: Vec<f64>,
    /// Place of each unknown; cells inside the disk with an open face are among them.
    places: Vec<usize>,
    /// The matrix without the row and column of the first unknown.
    factor: SparseCholesky,
    n: usize,
}

impl DiskSolver {
    /// Factors the matrix for fields of n x n numbers.
    ///
    /// # Errors
    /// A radius that is not between 1/n and 1/2 - 1/n; not enough memory.
    pub fn new(n: usize, radius: f64) -> Result<Self, PdeError> {
        check_radius(n, radius)?;
        let cells = DiskCells::new(n, radius);
        let weights = weights(&cells);
        let is_unknown = |&place: &usize| cells.outside[place] || cells.neighbours(place).iter().any(|n| n.1 > 0.0);
        let places: Vec<usize> = (0..n * n).filter(is_unknown).collect();
        let entries: Vec<Entry> = entries(&cells, &places)
            .into_iter()
            .filter(|&(_, column, _)| column > 0)
            .map(|(row, column, value)| (row - 1, column - 1, value))
            .collect();
        let factor = SparseCholesky::new(Poisson2dDisk::NAME, places.len() - 1, &entries)?;
        Ok(DiskSolver { cells, weights, places, factor, n })
    }

    /// Which of the n x n points lie outside the disk or on its circle.
    pub fn mask(&self) -> &[bool] {
        &self.cells.outside
    }

    /// The cut cells.
    pub fn cells(&self) -> &DiskCells {
        &self.cells
    }

    /// Quadrature weights of the points, in units of h^2: (n, n), zero inside the disk.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Weights of the unknowns, and S / h^2 on and below the diagonal.
    pub(crate) fn stiffness(&self) -> (Vec<f64>, Vec<Entry>) {
        let scale = (self.n * self.n) as f64;
        let mut entries = entries(&self.cells, &self.places);
        entries.iter_mut().for_each(|entry| entry.2 *= scale);
        (self.places.iter().map(|&place| self.weights[place]).collect(), entries)
    }

    /// Number of unknowns.
    pub(crate) fn unknowns(&self) -> usize {
        self.places.len()
    }

    /// Number of points of the domain.
    pub(crate) fn points(&self) -> usize {
        self.cells.outside.iter().filter(|&&outside| outside).count()
    }

    /// Values of the unknowns as a field, zero inside the disk.
    pub(crate) fn scatter(&self, values: &[f64], field: &mut [f64]) {
        field.fill(0.0);
        for (&place, &value) in self.places.iter().zip(values) {
            if self.cells.outside[place] {
                field[place] = value;
            }
        }
    }

    /// Subtracts the mean over the domain and sets the field to zero inside the disk.
    ///
    /// # Panics
    /// If the field does not have n x n numbers.
    pub fn remove_mean(&self, field: &mut [f64]) {
        assert_eq!(field.len(), self.weights.len(), "length of the field");
        let sum: f64 = self.weights.iter().zip(field.iter()).map(|(w, value)| w * value).sum();
        let mean = sum / self.weights.iter().sum::<f64>();
        for (value, &outside) in field.iter_mut().zip(&self.cells.outside) {
            *value = if outside { *value - mean } else { 0.0 };
        }
    }

    /// Solves for u of zero mean; the mean of `f` and its values inside the disk are ignored, `u` is
    /// zero there.
    ///
    /// # Panics
    /// If a field does not have n x n numbers.
    pub fn solve(&self, f: &[f64], u: &mut [f64]) {
        u.copy_from_slice(f);
        self.remove_mean(u);
        let square = 1.0 / (self.n * self.n) as f64;
        let mut x: Vec<f64> = self.places.iter().map(|&place| square * self.weights[place] * u[place]).collect();
        self.factor.solve(&mut x[1..]);
        x[0] = 0.0;
        self.scatter(&x, u);
        self.remove_mean(u);
    }
}

/// Refuses a disk that the grid does not resolve or that nearly touches its periodic image.
fn check_radius(n: usize, radius: f64) -> Result<(), PdeError> {
    let problem = Poisson2dDisk::NAME;
    let value = |reason: String| PdeError::Value { problem, field: "radius", value: radius, reason };
    if !(radius > 0.0 && radius < 0.5) {
        return Err(value("the disk must lie inside the unit square: above 0, below 0.5".to_owned()));
    }
    let h = 1.0 / n as f64;
    if radius < h {
        return Err(value(format!("must be at least the grid spacing 1/{n}; take a finer grid or a larger disk")));
    }
    if radius > 0.5 - h {
        return Err(value(format!("must be at most 1/2 - 1/{n} on this grid; take a finer grid or a smaller disk")));
    }
    Ok(())
}

/// The open area of each cell at its point, that of a cell whose point lies inside the disk at its
/// neighbours outside.
fn weights(cells: &DiskCells) -> Vec<f64> {
    let mut weights = vec![0.0; cells.area.len()];
    for (place, &area) in cells.area.iter().enumerate() {
        if cells.outside[place] {
            weights[place] += area;
            continue;
        }
        let neighbours = cells.neighbours(place);
        let faces = || neighbours.iter().filter(|n| cells.outside[n.0]);
        let sum: f64 = faces().map(|n| n.1).sum();
        // A cell with an open face has such a neighbour: the larger step outwards ends outside.
        if sum > 0.0 {
            for &(neighbour, part) in faces() {
                weights[neighbour] += area * part / sum;
            }
        }
    }
    weights
}

/// S on and below the diagonal.
fn entries(cells: &DiskCells, places: &[usize]) -> Vec<Entry> {
    let mut numbers = vec![usize::MAX; cells.area.len()];
    for (number, &place) in places.iter().enumerate() {
        numbers[place] = number;
    }
    let mut entries = Vec::with_capacity(3 * places.len());
    for (row, &place) in places.iter().enumerate() {
        let neighbours = cells.neighbours(place);
        entries.push((row, row, neighbours.iter().map(|n| n.1).sum()));
        for (neighbour, part) in neighbours {
            let column = numbers[neighbour];
            if part > 0.0 && column < row {
                entries.push((row, column, -part));
            }
        }
    }
    entries
}
