//! Fast direct solver for `-Laplace u = f` on the unit interval, square or cube with u = 0 on the
//! boundary.
//!
//! The stencils of [`Stencil`] with odd reflection at the boundary are diagonal in the sine basis:
//! transform, divide, transform back. The result is that of a sparse direct solver to rounding.
//! Cost O(n^d log n), no memory beside the two fields.
//!
//! Not for f that is different from zero on the boundary: the fourth-order stencils need its values
//! there, and odd reflection takes them as zero, which leaves second order.

use crate::sine_transform::SineTransform;
use crate::stencil::{Stencil, second_difference_eigenvalue};

/// A planned solver on the points i/n, i = 0..n-1 of each axis (index 0 is the boundary; x = 1 is
/// not stored).
pub struct DirichletSolver {
    transform: SineTransform,
    stencil: Stencil,
    mu: Vec<f64>,
}

impl DirichletSolver {
    /// Plans a solver for fields with `axes` axes (1 to 3) of `n` >= 2 points.
    pub fn new(axes: usize, n: usize, stencil: Stencil) -> Self {
        DirichletSolver {
            transform: SineTransform::new(axes, n),
            stencil,
            mu: (0..n).map(|k| second_difference_eigenvalue(k, n)).collect(),
        }
    }

    /// The sine transform of this grid.
    pub fn transform(&self) -> &SineTransform {
        &self.transform
    }

    /// The stencil.
    pub fn stencil(&self) -> Stencil {
        self.stencil
    }

    /// Solves for u. Values of `f` on the boundary are taken as zero; `u` is zero there.
    ///
    /// # Panics
    /// If a field does not have n^d numbers.
    pub fn solve(&self, f: &[f64], u: &mut [f64]) {
        let h = 1.0 / self.transform.n() as f64;
        let factor = self.transform.inverse_factor();
        let mut mu = vec![0.0; self.transform.axes()];
        u.copy_from_slice(f);
        self.transform.apply(u);
        self.transform.for_each_mode(u, |k, value| {
            for (mu, &k) in mu.iter_mut().zip(k) {
                *mu = self.mu[k];
            }
            let (operator, right) = self.stencil.eigenvalues(&mu, h);
            *value *= factor * right / operator;
        });
        self.transform.apply(u);
    }
}
