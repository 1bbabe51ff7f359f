//! Fast direct solver for `-u'' = f` on [0, 1] with u' = 0 at both ends.
//!
//! Points i/N, i = 0..N, both ends included; even reflection, so cosines diagonalise the stencils
//! (DCT-I). The operator is singular: it maps constants to zero and is symmetric in the trapezoidal
//! inner product (weight 1/2 at the ends). f is projected to zero trapezoidal mean before the solve
//! (else there is no solution), and u is the solution of zero trapezoidal mean. Cost O(N log N).
//!
//! Fourth order needs f' = 0 at the ends; otherwise the cross has second order.

use std::sync::Arc;

use rustdct::{Dct1, DctPlanner};

use crate::stencil::{Stencil, second_difference_eigenvalue};

/// A planned solver.
pub struct NeumannSolver {
    intervals: usize,
    stencil: Stencil,
    line: Arc<dyn Dct1<f64>>,
}

impl NeumannSolver {
    /// Plans a solver on `points` >= 2 points.
    pub fn new(points: usize, stencil: Stencil) -> Self {
        NeumannSolver { intervals: points - 1, stencil, line: DctPlanner::new().plan_dct1(points) }
    }

    /// The stencil.
    pub fn stencil(&self) -> Stencil {
        self.stencil
    }

    /// The cosine transform in place, `X_k = x_0/2 + (-1)^k x_N/2 + sum_{i=1}^{N-1} x_i cos(pi i k
    /// / N)`; twice the transform is N/2 times the vector.
    ///
    /// # Panics
    /// If the vector does not have N + 1 numbers.
    pub fn cosine_transform(&self, x: &mut [f64]) {
        assert_eq!(x.len(), self.intervals + 1, "length of the vector");
        self.line.process_dct1(x);
    }

    /// Subtracts the trapezoidal mean.
    pub fn remove_mean(&self, x: &mut [f64]) {
        if let [first, .., last] = x {
            let ends = (*first + *last) / 2.0;
            let mean = (x.iter().sum::<f64>() - ends) / self.intervals as f64;
            x.iter_mut().for_each(|value| *value -= mean);
        }
    }

    /// Solves for u of zero mean; the mean of `f` is ignored.
    ///
    /// # Panics
    /// If a vector does not have N + 1 numbers.
    pub fn solve(&self, f: &[f64], u: &mut [f64]) {
        let h = 1.0 / self.intervals as f64;
        u.copy_from_slice(f);
        self.cosine_transform(u);
        u[0] = 0.0;
        for (k, value) in u.iter_mut().enumerate().skip(1) {
            let mu = second_difference_eigenvalue(k, self.intervals);
            let (operator, right) = self.stencil.eigenvalues(&[mu], h);
            *value *= 2.0 * h * right / operator;
        }
        self.cosine_transform(u);
        self.remove_mean(u);
    }
}
