//! The semi-discrete equation `u_t + beta u u_x = nu u_xx` on a line with u = 0 at both ends: heat
//! (beta = 0) and Burgers.
//!
//! On the interior points, with spacing h and `u_0 = u_N = 0`, second order:
//!
//! ```text
//! du_i/dt = nu (u_{i-1} - 2 u_i + u_{i+1}) / h^2
//!         - beta (u_{i-1} + u_i + u_{i+1}) (u_{i+1} - u_{i-1}) / (6 h)
//! ```
//!
//! The advection term is that of Zabusky & Kruskal (Phys. Rev. Lett. 15, 1965): it is the average of
//! the conservative and the advective central difference with weights 2/3 and 1/3, and the only one
//! of these averages under which `sum u_i^2` cannot grow, for any grid and any data. Central
//! differences oscillate at a shock that the grid does not resolve, where `|beta u| h / nu` is above
//! 2 (Morton & Mayers, Numerical Solution of Partial Differential Equations, section 5.1, for the
//! linear equation).

/// The right-hand side and its tridiagonal Jacobian.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdvectionDiffusion {
    /// Interior points, N - 1.
    pub points: usize,
    /// `nu / h^2`.
    diffusion: f64,
    /// `beta / (6 h)`.
    advection: f64,
}

impl AdvectionDiffusion {
    /// The equation on the unit interval, cut into N = `intervals` >= 2.
    pub(crate) fn new(intervals: usize, viscosity: f64, beta: f64) -> Self {
        let inverse = intervals as f64;
        AdvectionDiffusion {
            points: intervals - 1,
            diffusion: viscosity * inverse * inverse,
            advection: beta * inverse / 6.0,
        }
    }

    /// `du/dt`.
    pub(crate) fn rate(&self, u: &[f64], rate: &mut [f64]) {
        let mut left = 0.0;
        let right = u.iter().copied().skip(1).chain([0.0]);
        for ((rate, &middle), right) in rate.iter_mut().zip(u).zip(right) {
            let diffusion = self.diffusion * (left - 2.0 * middle + right);
            *rate = diffusion - self.advection * (left + middle + right) * (right - left);
            left = middle;
        }
    }

    /// Column j of the Jacobian: the derivatives of the rates of points j - 1, j and j + 1 by `u_j`.
    /// The first and the last mean nothing where there is no such point.
    pub(crate) fn jacobian_column(&self, u: &[f64], j: usize) -> [f64; 3] {
        let left = if j == 0 { 0.0 } else { u[j - 1] };
        let middle = u[j];
        let right = u.get(j + 1).copied().unwrap_or(0.0);
        // d/dc (a + b + c)(c - a) = b + 2 c, and d/da = -(b + 2 a).
        let above = self.diffusion - self.advection * (left + 2.0 * middle);
        let below = self.diffusion + self.advection * (right + 2.0 * middle);
        [above, -2.0 * self.diffusion - self.advection * (right - left), below]
    }
}
