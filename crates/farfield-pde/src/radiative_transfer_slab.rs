//! Steady radiative transfer in a slab with isotropic scattering, as an integral equation (Fan et al., A multiscale neural
//! network based on hierarchical nested bases, 2019; arXiv 1808.02376, and the generator published with it).
//!
//! The mean intensity u on (0, 1) for absorption mu_a, scattering mu_s(x), mu_t = mu_a + mu_s and the source 1 solves
//!
//! `u(x) = int_0^1 E_1(|tau(x) - tau(y)|) / 2 (mu_s(y) u(y) + 1) dy`, `tau(x) = int_0^x mu_t`,
//!
//! E_1 the exponential integral, nothing coming in from outside. Collocation at the centres of n cells, coefficients and u
//! constant on each cell: `(I - K diag(mu_s)) u = K 1` with the exact integrals
//!
//! `K_ij = 1/2 int_{cell j} E_1(|tau_i - tau(y)|) dy = 1/(2 mu_t,j) int_{d-}^{d+} E_1`, `d+- = |tau_i - tau_j| +- h mu_t,j / 2`,
//!
//! and twice the integral from 0 to `h mu_t,i / 2` on the diagonal. The generator takes differences of antiderivatives, which
//! lose the digits of h; here entries have 13 digits (`exponential_integral.rs`). (For distances tau above 5, which its
//! coefficients do not reach, the generator takes the midpoint rule, and 0 above 30.)
//!
//! Order 2 in h: observed, for a scattering coefficient that is smooth, at all centres. Cost: n^2 entries, some 20 ns each, and
//! 10 to 20 products with the matrix (GMRES; the scattering is a contraction, since mu_a > 0 or light leaves the slab).

use crate::PdeError;
use crate::exponential_integral::integral;
use crate::gmres::{dot, gmres};

/// Most steps of the iteration. Thin slabs take a dozen, a slab 100 mean free paths thick without absorption 60.
const STEPS: usize = 500;
/// Residual over right-hand side.
const TOLERANCE: f64 = 1e-14;

/// The discrete integral operator for one scattering coefficient.
pub struct RadiativeTransferSlab {
    scattering: Vec<f64>,
    kernel: Vec<f64>,
    steps: usize,
}

impl RadiativeTransferSlab {
    /// Evaluates the n x n entries for `scattering` (mu_s at the centres (i + 1/2)/n, at least 0) and `absorption` (mu_a, at least
    /// 0), in 8 n^2 bytes.
    ///
    /// # Errors
    /// No cell, a coefficient that is negative or not finite, a cell without absorption and scattering.
    pub fn new(scattering: &[f64], absorption: f64) -> Result<Self, PdeError> {
        const PROBLEM: &str = "radiative-transfer-1d";
        let n = scattering.len();
        if n == 0 {
            let reason = "there is no cell".to_owned();
            return Err(PdeError::Size { problem: PROBLEM, field: "n", value: 0, reason });
        }
        let refused = |field, value, reason: String| PdeError::Value { problem: PROBLEM, field, value, reason };
        if !(absorption >= 0.0 && absorption.is_finite()) {
            return Err(refused("absorption", absorption, "must be finite and at least 0".to_owned()));
        }
        for (i, &value) in scattering.iter().enumerate() {
            if !(value >= 0.0 && value.is_finite() && value + absorption > 0.0) {
                let reason = format!("cell {i}: must be finite, at least 0, and positive where there is no absorption");
                return Err(refused("scattering", value, reason));
            }
        }
        let h = 1.0 / n as f64;
        let total: Vec<f64> = scattering.iter().map(|s| s + absorption).collect();
        let mut sum = 0.0;
        let depths: Vec<f64> = total
            .iter()
            .map(|mu| {
                let centre = h * (sum + 0.5 * mu);
                sum += mu;
                centre
            })
            .collect();
        let mut kernel = vec![0.0; n * n];
        for (i, row) in kernel.chunks_exact_mut(n).enumerate() {
            for (j, entry) in row.iter_mut().enumerate() {
                let half = 0.5 * h * total[j];
                *entry = if i == j {
                    integral(0.5 * half, 0.5 * half) / total[j]
                } else {
                    0.5 * integral((depths[i] - depths[j]).abs().max(half), half) / total[j]
                };
            }
        }
        Ok(RadiativeTransferSlab { scattering: scattering.to_vec(), kernel, steps: STEPS })
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.scattering.len()
    }

    /// `K_ij`, row by row.
    pub fn kernel(&self) -> &[f64] {
        &self.kernel
    }

    /// `out = K v`, both of as many numbers as cells.
    fn product(&self, v: &[f64], out: &mut [f64]) {
        for (out, row) in out.iter_mut().zip(self.kernel.chunks_exact(v.len())) {
            *out = dot(row, v);
        }
    }

    /// The mean intensity at the cell centres for the source 1, to a relative residual of 1e-14.
    ///
    /// # Errors
    /// [`PdeError::Iteration`] if 500 steps do not reach it: a slab thousands of mean free paths thick.
    pub fn solve(&self) -> Result<Vec<f64>, PdeError> {
        let n = self.cells();
        let mut right = vec![0.0; n];
        self.product(&vec![1.0; n], &mut right);
        let mut scattered = vec![0.0; n];
        let apply = |u: &[f64], out: &mut [f64]| {
            for ((s, mu), u) in scattered.iter_mut().zip(&self.scattering).zip(u) {
                *s = mu * u;
            }
            self.product(&scattered, out);
            out.iter_mut().zip(u).for_each(|(out, u)| *out = u - *out);
        };
        match gmres(apply, &right, TOLERANCE, self.steps) {
            Ok((u, _)) => Ok(u),
            Err(e) => Err(PdeError::Iteration {
                problem: "radiative-transfer-1d",
                steps: e.steps,
                residual: e.residual,
                reason: format!("{TOLERANCE:e} of the right-hand side was asked for; the slab is too thick"),
            }),
        }
    }
}
