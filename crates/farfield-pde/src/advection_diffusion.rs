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
//! The advection term is that of Zabusky & Kruskal (Phys. Rev. Lett. 15, 1965): the average of the
//! conservative and the advective central difference with weights 2/3 and 1/3, and the only one of
//! these averages under which `sum u_i^2` cannot grow, for any grid and any data. Like all central
//! differences it oscillates at a shock that the grid does not resolve, where the cell Peclet number
//! `|beta u| h / nu` is above 2.

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

#[cfg(test)]
mod tests {
    use super::AdvectionDiffusion;

    fn wave(points: usize) -> Vec<f64> {
        (1..=points).map(|i| (1.7 * i as f64).sin() + 0.3 * (0.4 * i as f64).cos()).collect()
    }

    #[test]
    fn the_jacobian_is_the_derivative() {
        // The rate is quadratic, so that central differences are exact up to rounding.
        let equation = AdvectionDiffusion::new(9, 0.3, 2.0);
        let u = wave(8);
        for j in 0..8 {
            let rate = |step: f64| {
                let (mut u, mut rate) = (u.clone(), vec![0.0; 8]);
                u[j] += step;
                equation.rate(&u, &mut rate);
                rate
            };
            let (plus, minus) = (rate(0.5), rate(-0.5));
            let column = equation.jacobian_column(&u, j);
            for i in 0..8 {
                let expected = if i + 1 >= j && i <= j + 1 { column[i + 1 - j] } else { 0.0 };
                assert!((plus[i] - minus[i] - expected).abs() < 1e-12, "row {i}, column {j}");
            }
        }
    }

    #[test]
    fn advection_conserves_sum_and_energy() {
        // Of a state that is zero near the ends, through which the sum could flow.
        let equation = AdvectionDiffusion::new(33, 0.0, 3.0);
        let mut u = wave(32);
        u[..2].fill(0.0);
        u[30..].fill(0.0);
        let mut rate = vec![0.0; 32];
        equation.rate(&u, &mut rate);
        let (sum, energy): (f64, f64) = (rate.iter().sum(), rate.iter().zip(&u).map(|(r, u)| r * u).sum());
        let size: f64 = rate.iter().map(|r| r.abs()).sum();
        assert!(size > 1.0 && sum.abs() < 1e-14 * size && energy.abs() < 1e-14 * size, "{sum} {energy} {size}");
    }

    #[test]
    fn beta_scales_the_state() {
        // v = beta u solves the equation with beta = 1.
        let (u, beta) = (wave(20), -0.125);
        let v: Vec<f64> = u.iter().map(|u| beta * u).collect();
        let (mut of_u, mut of_v) = (vec![0.0; 20], vec![0.0; 20]);
        AdvectionDiffusion::new(21, 1e-2, beta).rate(&u, &mut of_u);
        AdvectionDiffusion::new(21, 1e-2, 1.0).rate(&v, &mut of_v);
        let scaled: Vec<f64> = of_u.iter().map(|rate| beta * rate).collect();
        for (a, b) in scaled.iter().zip(&of_v) {
            assert!((a - b).abs() < 1e-13);
        }
    }
}
