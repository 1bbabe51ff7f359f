//! Integrates the Gray-Scott model of two reacting and diffusing species on the torus [-1, 1]^2:
//!
//! ```text
//! A_t = 2e-5 Laplace A - A B^2 + F (1 - A)
//! B_t = 1e-5 Laplace B + A B^2 - (F + k) B
//! ```
//!
//! Pearson, Science 261 (1993); the diffusivities are The Well's (Neural-HSS paper, eqs. 15-16 and
//! appendix F.6).
//!
//! In space: Fourier coefficients with the 2/3 rule, A B^2 evaluated at the points. (The rule makes
//! products of two fields exact; of the cubic term, wave numbers above 2 K fold back.) In time:
//! ETDRK4 with a fixed step, order 4. Diffusion, `-F A` and `-(F + k) B` are linear and integrated
//! exactly, so A B^2 is the only field that is transformed back: three quarters of a step's Fourier
//! transforms are saved against two complex ones for each field. The Well's runs put only diffusion
//! into the linear part; both are of order 4.
//!
//! A step of 1 is stable for The Well's parameters; the reaction limits it to about 4. Cost of a step
//! at 128 x 128 points: 0.3 milliseconds.

use rustfft::num_complex::Complex;

use crate::PdeError;
use crate::etdrk4::Etdrk4;
use crate::fourier_2d::Fourier2d;

/// Diffusivity of A.
pub(crate) const DIFFUSIVITY_A: f64 = 2e-5;
/// Diffusivity of B.
pub(crate) const DIFFUSIVITY_B: f64 = 1e-5;
/// A reaction rate that physical states (0 <= A, B <= 1) cannot reach.
const RUNAWAY: f64 = 100.0;

/// An integrator for fixed feed and kill rates. Threads may share it.
pub struct GrayScottSolver {
    problem: &'static str,
    fourier: Fourier2d,
    etdrk4: Etdrk4,
    feed: f64,
}

impl GrayScottSolver {
    /// Plans the transforms and computes the coefficients. `problem` is the name in error messages.
    ///
    /// # Panics
    /// If `n` is odd or less than 4.
    pub fn new(problem: &'static str, n: usize, step: f64, feed: f64, kill: f64) -> Self {
        let fourier = Fourier2d::new(n);
        // The period is 2, so the wave length of wave number 1 is 2.
        let square = |(k0, k1): (i32, i32)| std::f64::consts::PI.powi(2) * f64::from(k0 * k0 + k1 * k1);
        let rates =
            |diffusivity: f64, decay: f64| fourier.wave_numbers().map(move |k| -diffusivity * square(k) - decay);
        let linear: Vec<f64> = rates(DIFFUSIVITY_A, feed).chain(rates(DIFFUSIVITY_B, feed + kill)).collect();
        GrayScottSolver { problem, etdrk4: Etdrk4::new(step, &linear), fourier, feed }
    }

    /// The Fourier transforms of the grid.
    pub fn fourier(&self) -> &Fourier2d {
        &self.fourier
    }

    /// Integrates from the state `first` over a number of equal intervals and calls `store(i, state)` at the end
    /// of each, i = 0, 1, ... A state is A, then B, on n x n points. Wave numbers of the first state above
    /// [`Fourier2d::cutoff`] take no part.
    ///
    /// # Errors
    /// [`PdeError::Integration`] if the first state is not finite or the fields blow up, with the time.
    ///
    /// # Panics
    /// If `first` has not the length of two fields.
    pub fn integrate(
        &self,
        first: &[f64],
        intervals: usize,
        steps_per_interval: usize,
        mut store: impl FnMut(usize, &[f64]),
    ) -> Result<(), PdeError> {
        let points = self.fourier.field_len();
        assert_eq!(first.len(), 2 * points, "length of the state");
        let mut scratch = self.fourier.scratch();
        let mut stages = self.etdrk4.stages();
        let len = self.fourier.spectrum_len();
        let mut state = vec![Complex::default(); 2 * len];
        let mut fields = vec![0.0; 2 * points];

        if !first.iter().all(|value| value.is_finite()) {
            return Err(self.failed(0.0, "the initial state is not finite".to_owned()));
        }
        for (field, spectrum) in first.chunks_exact(points).zip(state.chunks_exact_mut(len)) {
            self.fourier.forward(field, spectrum, &mut scratch);
        }
        let mut steps = 0_u64;
        for interval in 0..intervals {
            for _ in 0..steps_per_interval {
                let mut fastest = 0.0_f64;
                self.etdrk4.advance(0.0, &mut state, &mut stages, |_, state, out| {
                    let (a, b) = state.split_at(len);
                    let (out_a, out_b) = out.split_at_mut(len);
                    self.fourier.product([a, b], out_b, &mut scratch, |a, b| {
                        let rate = a * b * b;
                        fastest = fastest.max(rate.abs());
                        rate
                    });
                    for (out_a, out_b) in out_a.iter_mut().zip(out_b) {
                        *out_a = -*out_b;
                    }
                    out_a[0].re += self.feed;
                });
                if fastest > RUNAWAY {
                    let step = self.etdrk4.step();
                    let reason = format!(
                        "a step of {step} is unstable: A B^2 reached {fastest:.0e}; set solver_step to at most 1"
                    );
                    return Err(self.failed(steps as f64 * step, reason));
                }
                steps += 1;
            }
            let (a, b) = fields.split_at_mut(points);
            self.fourier.inverse([&state[..len], &state[len..]], [a, b], &mut scratch);
            store(interval, &fields);
        }
        Ok(())
    }

    fn failed(&self, time: f64, reason: String) -> PdeError {
        PdeError::Integration { problem: self.problem, time, reason }
    }
}
