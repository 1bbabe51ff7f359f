//! Ground states of the nonlinear Schroedinger equation on a ring: `-u'' + V u + beta u^3 = E u` on [0, 1), periodic, `int u^2 = 1`, u
//! > 0, beta >= 0 (Fan, Lin, Ying & Zepeda-Nunez, arXiv 1807.01883, section 4.1).
//!
//! Three-point differences at the points i/n: order 2. For beta >= 0 the energy is strictly convex in u^2, so the discrete equation has
//! exactly one positive solution, and that is the ground state: it is enough to solve the equation and to check the sign.
//!
//! Solver: steps of the normalised gradient flow, backward Euler (Bao & Du, SIAM J. Sci. Comput. 25, 2004), whose matrices keep
//! every iterate positive, then Newton's method for u and E together; if Newton leaves the positive states or stalls, more of the flow
//! and again. (The generator published with the paper stops the flow at a change of 1e-5 or after 100 steps: between two wells that
//! nearly balance the flow alone takes thousands.) Cost: O(n) a step, some 15 steps.

use crate::PdeError;

/// Step of the flow.
const STEP: f64 = 1.0;
/// Steps of the flow before the first attempt of Newton's method; twice as many before the next, and so on.
const FIRST_STEPS: usize = 4;
/// Attempts of Newton's method.
const ATTEMPTS: usize = 14;
/// Steps of an attempt.
const NEWTON_STEPS: usize = 30;
/// Largest change of u, beside its largest value, in the last step of Newton's method.
const TOLERANCE: f64 = 1e-10;

/// The ground state in a potential.
#[derive(Debug, Clone, PartialEq)]
pub struct RingGroundState {
    /// u at the points i/n, positive, `sum u^2 / n = 1`.
    pub state: Vec<f64>,
    /// The eigenvalue E, `int u'^2 + V u^2 + beta u^4`.
    pub eigenvalue: f64,
    /// The largest absolute value of `-u'' + V u + beta u^3 - E u` on the grid.
    pub residual: f64,
}

impl RingGroundState {
    const PROBLEM: &str = "nonlinear-schrodinger-1d";

    /// Solves for a potential V at the points i/n, n >= 3, and a coefficient beta >= 0 of the cubic term.
    ///
    /// # Errors
    /// Less than three points, a potential that is not finite, beta that is negative or not finite;
    /// [`PdeError::Iteration`] if the iteration does not converge.
    pub fn new(potential: &[f64], beta: f64) -> Result<Self, PdeError> {
        let n = potential.len();
        let problem = Self::PROBLEM;
        if n < 3 {
            let reason = "a ring has at least 3 points".to_owned();
            return Err(PdeError::Size { problem, field: "n", value: n, reason });
        }
        if !(beta >= 0.0 && beta.is_finite()) {
            let reason = "must be finite and at least 0".to_owned();
            return Err(PdeError::Value { problem, field: "beta", value: beta, reason });
        }
        if let Some(i) = potential.iter().position(|v| !v.is_finite()) {
            let reason = format!("must be finite (point {i})");
            return Err(PdeError::Value { problem, field: "potential", value: potential[i], reason });
        }
        let lowest = potential.iter().copied().fold(f64::INFINITY, f64::min);
        let equation = Equation { shifted: potential.iter().map(|v| v - lowest).collect(), beta };
        let mut u = vec![1.0; n];
        let mut steps = 0;
        let mut last = f64::NAN;
        for attempt in 0..ATTEMPTS {
            let flow = FIRST_STEPS << attempt;
            for _ in 0..flow {
                equation.flow(&mut u);
            }
            steps += flow;
            match equation.newton(&u) {
                Ok((state, shifted)) => {
                    let residual = equation.residual(&state, shifted).iter().fold(0.0, |m: f64, r| m.max(r.abs()));
                    return Ok(RingGroundState { state, eigenvalue: shifted + lowest, residual });
                }
                Err(change) => last = change,
            }
        }
        let reason = format!("Newton's method did not reach a positive state with a change below {TOLERANCE:e}");
        Err(PdeError::Iteration { problem, steps, residual: last, reason })
    }
}

/// The equation with a potential of minimum 0.
struct Equation {
    shifted: Vec<f64>,
    beta: f64,
}

impl Equation {
    /// `1/h^2`.
    fn stiffness(&self) -> f64 {
        (self.shifted.len() as f64).powi(2)
    }

    /// `-u'' + V u + beta u^3 - E u`.
    fn residual(&self, u: &[f64], eigenvalue: f64) -> Vec<f64> {
        let (n, stiffness) = (u.len(), self.stiffness());
        (0..n)
            .map(|i| {
                let (before, after) = (u[(i + n - 1) % n], u[(i + 1) % n]);
                let curvature = stiffness * ((u[i] - before) + (u[i] - after));
                curvature + (self.shifted[i] + self.beta * u[i] * u[i] - eigenvalue) * u[i]
            })
            .collect()
    }

    /// One step of the flow, in place: u stays positive, with mean square 1.
    fn flow(&self, u: &mut [f64]) {
        let n = u.len();
        let diagonal = (0..n).map(|i| self.shifted[i] + self.beta * u[i] * u[i] + 1.0 / STEP).collect();
        CyclicTridiagonal::new(diagonal, self.stiffness()).solve(u);
        let scale = (u.iter().map(|u| u * u).sum::<f64>() / n as f64).sqrt();
        u.iter_mut().for_each(|u| *u /= scale);
    }

    /// A positive state near `u` and its eigenvalue, or the last change.
    fn newton(&self, u: &[f64]) -> Result<(Vec<f64>, f64), f64> {
        let n = u.len();
        let mean = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / n as f64;
        let mut u = u.to_vec();
        let mut eigenvalue = mean(&u, &self.residual(&u, 0.0)) / mean(&u, &u);
        let mut change = f64::INFINITY;
        for _ in 0..NEWTON_STEPS {
            // J du - u dE = -r, u.du = (1 - u.u)/2.
            let diagonal = (0..n).map(|i| self.shifted[i] + 3.0 * self.beta * u[i] * u[i] - eigenvalue).collect();
            let matrix = CyclicTridiagonal::new(diagonal, self.stiffness());
            let mut p = self.residual(&u, eigenvalue);
            matrix.solve(&mut p);
            let mut q = u.clone();
            matrix.solve(&mut q);
            let d_eigenvalue = (0.5 * (1.0 - mean(&u, &u)) + mean(&u, &p)) / mean(&u, &q);
            let highest = u.iter().fold(0.0, |m: f64, u| m.max(u.abs()));
            change = 0.0;
            for ((u, p), q) in u.iter_mut().zip(&p).zip(&q) {
                let step = d_eigenvalue * q - p;
                *u += step;
                change = f64::max(change, step.abs());
            }
            eigenvalue += d_eigenvalue;
            change /= highest;
            if !(change.is_finite() && eigenvalue.is_finite()) {
                return Err(change);
            }
            if change < TOLERANCE {
                return if u.iter().all(|&u| u > 0.0) { Ok((u, eigenvalue)) } else { Err(change) };
            }
        }
        Err(change)
    }
}

/// The matrix `diag(d) + s (2, -1 beside it, around the ring)`, factored without exchanges: for positive definite ones.
struct CyclicTridiagonal {
    /// Off-diagonal entry, -s.
    beside: f64,
    /// Pivots.
    pivots: Vec<f64>,
    /// Ratio of the last entry to the first in the rank-one part.
    ratio: f64,
    /// The solution for the rank-one part, divided by 1 + v.z.
    correction: Vec<f64>,
}

impl CyclicTridiagonal {
    /// Sherman-Morrison: the corners are part of `g (1, 0, ..., c/g) (1, 0, ..., c/g)^T` with g < 0, without which the matrix is
    /// tridiagonal and as definite as before.
    fn new(mut diagonal: Vec<f64>, stiffness: f64) -> Self {
        let n = diagonal.len();
        diagonal.iter_mut().for_each(|d| *d += 2.0 * stiffness);
        let beside = -stiffness;
        let g = -diagonal[0];
        let ratio = beside / g;
        diagonal[0] -= g;
        diagonal[n - 1] -= beside * ratio;
        let mut pivots = diagonal;
        for i in 1..n {
            pivots[i] -= beside * beside / pivots[i - 1];
        }
        let mut matrix = CyclicTridiagonal { beside, pivots, ratio, correction: Vec::new() };
        let mut z = vec![0.0; n];
        (z[0], z[n - 1]) = (g, beside);
        matrix.solve_tridiagonal(&mut z);
        let denominator = 1.0 + z[0] + ratio * z[n - 1];
        z.iter_mut().for_each(|z| *z /= denominator);
        matrix.correction = z;
        matrix
    }

    fn solve_tridiagonal(&self, x: &mut [f64]) {
        for i in 1..x.len() {
            x[i] -= self.beside / self.pivots[i - 1] * x[i - 1];
        }
        let mut next = 0.0;
        for (x, pivot) in x.iter_mut().zip(&self.pivots).rev() {
            *x = (*x - self.beside * next) / pivot;
            next = *x;
        }
    }

    /// Solves in place.
    fn solve(&self, x: &mut [f64]) {
        self.solve_tridiagonal(x);
        let factor = x[0] + self.ratio * x[x.len() - 1];
        x.iter_mut().zip(&self.correction).for_each(|(x, z)| *x -= factor * z);
    }
}
