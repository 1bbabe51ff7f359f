//! Exponential time differencing, Runge-Kutta of order 4 (ETDRK4), for `u' = L u + N(t, u)` with a
//! diagonal, real L.
//!
//! Cox and Matthews, J. Comput. Phys. 176 (2002), eqs. 26-29; Kassam and Trefethen, SIAM J. Sci.
//! Comput. 26 (2005). With `z = h L` and the functions `phi_k(z) = sum_j z^j / (j + k)!`:
//!
//! ```text
//! a  = exp(z/2) u + h/2 phi_1(z/2) N(t, u)
//! b  = exp(z/2) u + h/2 phi_1(z/2) N(t + h/2, a)
//! c  = exp(z/2) a + h/2 phi_1(z/2) (2 N(t + h/2, b) - N(t, u))
//! u' = exp(z) u + h (phi_1 - 3 phi_2 + 4 phi_3) N(t, u)
//!      + h (2 phi_2 - 4 phi_3) (N(t + h/2, a) + N(t + h/2, b)) + h (4 phi_3 - phi_2) N(t + h, c)
//! ```
//!
//! It is exact when N is constant, and the classical Runge-Kutta method where L = 0. The order is 4
//! for smooth solutions; with N stiff (boundary layers, large h ||L|| at play in N) it can fall.
//!
//! The quotients that define phi_k for large |z| cancel for small |z|. Kassam and Trefethen integrate
//! over a circle around z; here phi_3 is summed as its series for |z| <= 1, and `phi_2 = 1/2 + z
//! phi_3`, `phi_1 = 1 + z phi_2` do not cancel. Both ways agree to 1e-14.
//!
//! Cost of a step: four evaluations of N and about 20 operations a component; no allocation.

use std::ops::{Add, Mul, Sub};

/// `phi_1, phi_2, phi_3` of a real number, to a few units of the last place.
pub fn phi_functions(z: f64) -> [f64; 3] {
    if z.abs() > 1.0 {
        let phi_1 = z.exp_m1() / z;
        let phi_2 = (phi_1 - 1.0) / z;
        return [phi_1, phi_2, (phi_2 - 0.5) / z];
    }
    // Horner's scheme for sum_j z^j / (j + 3)!; the first term left out is below 1e-18.
    let phi_3 = (4..=19).rev().fold(1.0, |sum, j| 1.0 + sum * z / f64::from(j)) / 6.0;
    let phi_2 = 0.5 + z * phi_3;
    [1.0 + z * phi_2, phi_2, phi_3]
}

/// The coefficients of the method for one L and one step. Shared by threads; each has its own
/// [`Etdrk4Stages`].
#[derive(Debug, Clone)]
pub struct Etdrk4 {
    step: f64,
    /// exp(z)
    whole: Vec<f64>,
    /// exp(z/2)
    half: Vec<f64>,
    /// h/2 phi_1(z/2)
    stage: Vec<f64>,
    /// Weights of N(u), of N(a) + N(b), and of N(c).
    weights: [Vec<f64>; 3],
}

/// The stages of a step.
#[derive(Debug, Clone, Default)]
pub struct Etdrk4Stages<T> {
    a: Vec<T>,
    /// b, then c.
    next: Vec<T>,
    n_u: Vec<T>,
    n_a: Vec<T>,
    /// N(b), then N(c).
    n_next: Vec<T>,
}

impl Etdrk4 {
    /// Computes the coefficients for the step h and the diagonal of L.
    pub fn new(step: f64, linear: &[f64]) -> Self {
        let z = linear.iter().map(|l| step * l);
        let column = |f: fn([f64; 3]) -> f64| z.clone().map(|z| step * f(phi_functions(z))).collect();
        Etdrk4 {
            step,
            whole: z.clone().map(f64::exp).collect(),
            half: z.clone().map(|z| (0.5 * z).exp()).collect(),
            stage: z.clone().map(|z| 0.5 * step * phi_functions(0.5 * z)[0]).collect(),
            weights: [
                column(|[p1, p2, p3]| p1 - 3.0 * p2 + 4.0 * p3),
                column(|[_, p2, p3]| 2.0 * p2 - 4.0 * p3),
                column(|[_, p2, p3]| 4.0 * p3 - p2),
            ],
        }
    }

    /// The step h.
    pub fn step(&self) -> f64 {
        self.step
    }

    /// Buffers for [`advance`](Self::advance).
    pub fn stages<T: Clone + Default>(&self) -> Etdrk4Stages<T> {
        let zeros = || vec![T::default(); self.whole.len()];
        Etdrk4Stages { a: zeros(), next: zeros(), n_u: zeros(), n_a: zeros(), n_next: zeros() }
    }

    /// One step from time `t`, in place. `nonlinear(time, u, out)` sets `out` to N(time, u).
    ///
    /// # Panics
    /// If the state has not as many components as L, or the stages belong to another L.
    pub fn advance<T>(
        &self,
        t: f64,
        state: &mut [T],
        stages: &mut Etdrk4Stages<T>,
        mut nonlinear: impl FnMut(f64, &[T], &mut [T]),
    ) where
        T: Copy + Add<Output = T> + Sub<Output = T> + Mul<f64, Output = T>,
    {
        let len = self.whole.len();
        let [first, middle, last] = &self.weights;
        let (whole, half, stage) = (&self.whole[..len], &self.half[..len], &self.stage[..len]);
        let (first, middle, last) = (&first[..len], &middle[..len], &last[..len]);
        assert_eq!([state.len(), stages.a.len()], [len; 2], "components of the state and of the stages");
        let state = &mut state[..len];
        let Etdrk4Stages { a, next, n_u, n_a, n_next } = stages;
        let (a, next) = (&mut a[..len], &mut next[..len]);
        let (n_u, n_a, n_next) = (&mut n_u[..len], &mut n_a[..len], &mut n_next[..len]);

        nonlinear(t, state, n_u);
        for i in 0..len {
            a[i] = state[i] * half[i] + n_u[i] * stage[i];
        }
        nonlinear(t + 0.5 * self.step, a, n_a);
        for i in 0..len {
            next[i] = state[i] * half[i] + n_a[i] * stage[i];
        }
        nonlinear(t + 0.5 * self.step, next, n_next);
        for i in 0..len {
            next[i] = a[i] * half[i] + (n_next[i] + n_next[i] - n_u[i]) * stage[i];
            n_a[i] = n_a[i] + n_next[i];
        }
        nonlinear(t + self.step, next, n_next);
        for i in 0..len {
            state[i] = state[i] * whole[i] + n_u[i] * first[i] + n_a[i] * middle[i] + n_next[i] * last[i];
        }
    }
}
