//! Integrates a semi-discrete equation by backward differentiation formulas of order 1 to 5 with
//! adaptive steps: `diffsol`'s variant of the numerical differentiation formulas of Shampine &
//! Reichelt (SIAM J. Sci. Comput. 18, 1997), which SciPy's `BDF` follows as well.
//!
//! A step is accepted if the root mean square over the points of `error_i / (atol + rtol |u_i|)` is
//! at most 1. That bounds the error of one step; the error of a trajectory is larger by a factor
//! that the problems state. Cost a step: a few tridiagonal solves.

use diffsol::error::OdeSolverError;
use diffsol::matrix::sparsity::MatrixSparsity;
use diffsol::{
    ConstantOp, DiffsolError, FaerContext, FaerSparseMat, FaerVec, Matrix, NonLinearOp, NonLinearOpJacobian,
    OdeBuilder, OdeEquations, OdeEquationsRef, OdeSolverMethod, Op, ParameterisedOp, UnitCallable, Vector,
    VectorCommon,
};

use crate::PdeError;
use crate::advection_diffusion::AdvectionDiffusion;
use crate::tridiagonal_lu::TridiagonalLu;

/// The absolute tolerance for a relative one: 1e-6 for 1e-4, as in the Neural-HSS paper.
pub(crate) fn absolute_tolerance(relative: f64) -> f64 {
    relative / 100.0
}

/// Attempts to solve a step's equations that may fail, over a whole trajectory; steps shrink after
/// each, and an integration that cannot go on ends at the smallest step long before.
const FAILED_ATTEMPTS: usize = 100_000;

type M = FaerSparseMat<f64>;

/// The equation in the form that diffsol asks for, and the initial state.
struct Equations<'u> {
    equation: AdvectionDiffusion,
    initial: &'u [f64],
    context: FaerContext,
}

/// The right-hand side and the initial state of [`Equations`], as operators.
struct Operator<'a>(&'a Equations<'a>);

macro_rules! square_operator {
    ($type:ty, $self:ident, $equations:expr) => {
        impl Op for $type {
            type T = f64;
            type V = FaerVec<f64>;
            type M = M;
            type C = FaerContext;

            fn context(&$self) -> &FaerContext {
                &$equations.context
            }

            fn nstates(&$self) -> usize {
                $equations.equation.points
            }

            fn nout(&$self) -> usize {
                $equations.equation.points
            }

            fn nparams(&$self) -> usize {
                0
            }
        }
    };
}

square_operator!(Equations<'_>, self, self);
square_operator!(Operator<'_>, self, self.0);

impl NonLinearOp for Operator<'_> {
    fn call_inplace(&self, u: &FaerVec<f64>, _t: f64, rate: &mut FaerVec<f64>) {
        rate.for_each_batch_host([u], |rate, [u], _| self.0.equation.rate(u, rate));
    }
}

impl NonLinearOpJacobian for Operator<'_> {
    fn jac_mul_inplace(&self, u: &FaerVec<f64>, _t: f64, v: &FaerVec<f64>, product: &mut FaerVec<f64>) {
        product.for_each_batch_host([u, v], |product, [u, v], _| {
            product.fill(0.0);
            for (j, &v) in v.iter().enumerate() {
                let [above, diagonal, below] = self.0.equation.jacobian_column(u, j);
                if j > 0 {
                    product[j - 1] += above * v;
                }
                product[j] += diagonal * v;
                if let Some(product) = product.get_mut(j + 1) {
                    *product += below * v;
                }
            }
        });
    }

    fn jacobian_inplace(&self, u: &FaerVec<f64>, _t: f64, jacobian: &mut M) {
        let points = self.0.equation.points;
        for entries in jacobian.inner_mut() {
            // Column by column: of the first and the last column, the entries that exist.
            let mut entries = entries.val_mut().iter_mut();
            for j in 0..points {
                let column = self.0.equation.jacobian_column(u.inner().col_as_slice(0), j);
                let rows = usize::from(j == 0)..3 - usize::from(j + 1 == points);
                for (value, entry) in column[rows].iter().zip(entries.by_ref()) {
                    *entry = *value;
                }
            }
        }
    }

    fn jacobian_sparsity(&self) -> Option<<M as Matrix>::Sparsity> {
        let points = self.0.equation.points;
        let near = |j: usize| j.saturating_sub(1)..(j + 2).min(points);
        let indices = (0..points).flat_map(|j| near(j).map(move |i| (i, j))).collect();
        MatrixSparsity::<M>::try_from_indices(points, points, indices).ok()
    }
}

impl ConstantOp for Operator<'_> {
    fn call_inplace(&self, _t: f64, u: &mut FaerVec<f64>) {
        u.for_each_batch_host([], |u, [], _| u.copy_from_slice(self.0.initial));
    }
}

impl<'a> OdeEquationsRef<'a> for Equations<'_> {
    type Rhs = Operator<'a>;
    type Init = Operator<'a>;
    type Mass = ParameterisedOp<'a, UnitCallable<M>>;
    type Root = ParameterisedOp<'a, UnitCallable<M>>;
    type Out = ParameterisedOp<'a, UnitCallable<M>>;
    type Reset = ParameterisedOp<'a, UnitCallable<M>>;
}

impl OdeEquations for Equations<'_> {
    fn rhs(&self) -> Operator<'_> {
        Operator(self)
    }

    fn init(&self) -> Operator<'_> {
        Operator(self)
    }

    fn mass(&self) -> Option<ParameterisedOp<'_, UnitCallable<M>>> {
        None
    }

    fn set_params(&mut self, _p: &FaerVec<f64>) {}

    fn get_params(&self, _p: &mut FaerVec<f64>) {}
}

/// Integrates from `initial` at time 0 and hands the state at each of `times`, which increase from
/// above 0, to `store`. `tolerance` is the relative one; the absolute one is
/// [`absolute_tolerance`] of it.
///
/// # Errors
/// An integration that comes to a stop, with the time that it had reached.
pub(crate) fn integrate(
    problem: &'static str,
    equation: AdvectionDiffusion,
    initial: &[f64],
    tolerance: f64,
    times: &[f64],
    mut store: impl FnMut(&[f64]),
) -> Result<(), PdeError> {
    let failed = |time: f64, error: DiffsolError| PdeError::Integration { problem, time, reason: reason(&error) };
    let equations = Equations { equation, initial, context: FaerContext::default() };
    let mut ode = OdeBuilder::<M>::new()
        .rtol(tolerance)
        .atol([absolute_tolerance(tolerance)])
        .build_from_eqn(equations)
        .map_err(|error| failed(0.0, error))?;
    ode.ode_options.max_nonlinear_solver_failures = FAILED_ATTEMPTS;
    let mut solver = ode.bdf::<TridiagonalLu>().map_err(|error| failed(0.0, error))?;
    let mut state = FaerVec::zeros(equation.points, FaerContext::default());
    for &time in times {
        while solver.state().t < time {
            let reached = solver.state().t;
            solver.step().map_err(|error| failed(reached, error))?;
        }
        let reached = solver.state().t;
        solver.interpolate_inplace(time, &mut state).map_err(|error| failed(reached, error))?;
        store(state.inner().col_as_slice(0));
    }
    Ok(())
}

/// What stopped the integrator, in one line without the time.
fn reason(error: &DiffsolError) -> String {
    match error {
        DiffsolError::OdeSolverError(OdeSolverError::StepSizeTooSmall { .. }) => {
            "the time step went to zero; the tolerance may be too small for the grid".to_owned()
        }
        DiffsolError::OdeSolverError(OdeSolverError::TooManyErrorTestFailures { .. }) => {
            "no time step met the tolerance".to_owned()
        }
        DiffsolError::OdeSolverError(OdeSolverError::TooManyNonlinearSolverFailures { num_failures, .. }) => {
            format!("Newton's iteration failed {num_failures} times")
        }
        other => other.to_string().replace('\n', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::integrate;
    use crate::PdeError;
    use crate::advection_diffusion::AdvectionDiffusion;

    #[test]
    fn an_integration_that_cannot_go_on_is_an_error() {
        let equation = AdvectionDiffusion::new(9, 1e-3, 1.0);
        for (bad, factor) in [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (1.0, 1e200)] {
            let mut initial = [factor; 8];
            initial[3] = bad;
            let error = integrate("test", equation, &initial, 1e-4, &[1.0], |_| ()).unwrap_err();
            assert!(matches!(error, PdeError::Integration { problem: "test", time: 0.0, .. }), "{error}");
        }
    }
}
