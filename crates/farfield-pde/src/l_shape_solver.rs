//! Sparse direct solver for `-Laplace u = f` on the L-shape, the unit square without its upper right
//! quarter [1/2, 1]^2, with u = 0 on the boundary.
//!
//! Points i/n with n even, so that the re-entrant corner (1/2, 1/2) is a grid point and the boundary
//! runs along grid lines. The stencils of [`Stencil`] with nearest neighbours only, over the
//! `(n - 1)^2 - n^2/4` interior points; u = 0 and f = 0 are taken outside. The matrix is symmetric
//! positive definite; it is factored once.
//!
//! Order 4 (`FourthOrderCompact`) and 2 (`SecondOrder`) for smooth u with f = 0 on the boundary. A
//! general solution on this domain behaves like `r^(2/3) sin(2 theta / 3)` at the corner (Grisvard,
//! Elliptic Problems in Nonsmooth Domains, 1985), which leaves order 4/3 in L2, for any stencil on a
//! uniform grid.
//!
//! Cost: memory and a solve grow like n^2 log n, the factorisation like n^3; at n = 128 a solve takes
//! 0.5 ms, at n = 1024 0.14 s with 0.5 GB of factors.

use crate::sparse_cholesky::{Entry, SparseCholesky};
use crate::stencil::Stencil;
use crate::{PdeError, Poisson2dLShape};

/// The interior points of the L-shape on the points i/n of the square.
pub(crate) struct LShapeGrid {
    n: usize,
    /// Place of each unknown in a field (n, n).
    places: Vec<usize>,
    /// Number of the unknown at a place; `usize::MAX` elsewhere.
    numbers: Vec<usize>,
}

impl LShapeGrid {
    /// For even n >= 4.
    pub(crate) fn new(n: usize) -> Result<Self, PdeError> {
        if n < 4 || !n.is_multiple_of(2) {
            return Err(PdeError::Size {
                problem: Poisson2dLShape::NAME,
                field: "n",
                value: n,
                reason: "must be even and at least 4: the corner (1/2, 1/2) must be a grid point".to_owned(),
            });
        }
        let inside = |place: &usize| {
            let (i, j) = (place / n, place % n);
            i > 0 && j > 0 && (2 * i < n || 2 * j < n)
        };
        let places: Vec<usize> = (0..n * n).filter(inside).collect();
        let mut numbers = vec![usize::MAX; n * n];
        for (number, &place) in places.iter().enumerate() {
            numbers[place] = number;
        }
        Ok(LShapeGrid { n, places, numbers })
    }

    pub(crate) fn unknowns(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn mask(&self) -> Vec<bool> {
        self.numbers.iter().map(|&number| number != usize::MAX).collect()
    }

    /// Values of the unknowns as a field, zero elsewhere.
    pub(crate) fn scatter(&self, values: &[f64], field: &mut [f64]) {
        field.fill(0.0);
        for (&place, &value) in self.places.iter().zip(values) {
            field[place] = value;
        }
    }

    /// Sets a field to zero outside.
    pub(crate) fn restrict(&self, field: &mut [f64]) {
        for (value, &number) in field.iter_mut().zip(&self.numbers) {
            if number == usize::MAX {
                *value = 0.0;
            }
        }
    }

    /// The neighbours of an unknown that are unknowns themselves, and whether they lie across a corner.
    fn neighbours(&self, place: usize) -> impl Iterator<Item = (usize, bool)> {
        let n = self.n;
        let (i, j) = (place / n, place % n);
        let offsets = (0..9).filter(|&o| o != 4).map(|o| (o / 3, o % 3));
        offsets.filter_map(move |(di, dj)| {
            // Interior points have 1 <= i, j <= n - 1.
            let (i, j) = (i + di - 1, j + dj - 1);
            if i == n || j == n {
                return None;
            }
            let number = self.numbers[i * n + j];
            (number != usize::MAX).then_some((number, di != 1 && dj != 1))
        })
    }

    /// The stencil's matrix for `-Laplace`, on and below the diagonal, times h^2.
    fn entries(&self, stencil: Stencil) -> Vec<Entry> {
        let (centre, edge, corner) = match stencil {
            Stencil::FourthOrderCompact => (20.0 / 6.0, -4.0 / 6.0, -1.0 / 6.0),
            _ => (4.0, -1.0, 0.0),
        };
        let mut entries = Vec::with_capacity(5 * self.unknowns());
        for (row, &place) in self.places.iter().enumerate() {
            entries.push((row, row, centre));
            for (column, across) in self.neighbours(place) {
                let value = if across { corner } else { edge };
                if column < row && value != 0.0 {
                    entries.push((row, column, value));
                }
            }
        }
        entries
    }

    /// The five-point matrix for `-Laplace`, on and below the diagonal.
    pub(crate) fn five_point_entries(&self) -> Vec<Entry> {
        let scale = (self.n * self.n) as f64;
        let mut entries = self.entries(Stencil::SecondOrder);
        entries.iter_mut().for_each(|entry| entry.2 *= scale);
        entries
    }
}

/// A factored solver on the points i/n, i = 0..n-1 of each axis.
pub struct LShapeSolver {
    grid: LShapeGrid,
    stencil: Stencil,
    factor: SparseCholesky,
}

impl LShapeSolver {
    /// Factors the matrix for fields of n x n numbers, n even and at least 4.
    ///
    /// # Errors
    /// An odd or small n; the wide cross, which reaches over the re-entrant edges; not enough memory.
    pub fn new(n: usize, stencil: Stencil) -> Result<Self, PdeError> {
        if stencil == Stencil::FourthOrderCross {
            return Err(PdeError::UnknownScheme {
                problem: Poisson2dLShape::NAME,
                scheme: "wide cross".to_owned(),
                known: "fourth-order, second-order".to_owned(),
            });
        }
        let grid = LShapeGrid::new(n)?;
        let factor = SparseCholesky::new(Poisson2dLShape::NAME, grid.unknowns(), &grid.entries(stencil))?;
        Ok(LShapeSolver { grid, stencil, factor })
    }

    /// The stencil.
    pub fn stencil(&self) -> Stencil {
        self.stencil
    }

    /// Which of the n x n points are interior points of the L-shape.
    pub fn mask(&self) -> Vec<bool> {
        self.grid.mask()
    }

    pub(crate) fn grid(&self) -> &LShapeGrid {
        &self.grid
    }

    /// Solves for u. Values of `f` outside and on the boundary are taken as zero; `u` is zero there.
    ///
    /// # Panics
    /// If a field does not have n x n numbers.
    pub fn solve(&self, f: &[f64], u: &mut [f64]) {
        let grid = &self.grid;
        assert_eq!((f.len(), u.len()), (grid.numbers.len(), grid.numbers.len()), "lengths of the fields");
        let square = 1.0 / (grid.n * grid.n) as f64;
        let mut x: Vec<f64> = grid.places.iter().map(|&place| f[place]).collect();
        if self.stencil == Stencil::FourthOrderCompact {
            let corrected = grid.places.iter().map(|&place| {
                let sum: f64 = grid.neighbours(place).filter(|n| !n.1).map(|(number, _)| x[number]).sum();
                (8.0 * f[place] + sum) / 12.0
            });
            x = corrected.collect();
        }
        x.iter_mut().for_each(|x| *x *= square);
        self.factor.solve(&mut x);
        grid.scatter(&x, u);
    }
}
