//! One HSS layer on 1D fields: `y = leaky(A x)`, forward and backward, on panels.
//!
//! All panels go through the tree at once, split over threads by panels; the gradient by the parameters is split over
//! nodes of the tree, each summed over the whole batch by one thread. Cost: one multiply-add a parameter and sample
//! forward, two more backward.

use std::ops::Range;

use crate::aligned::Room;
use crate::error::{LayoutError, check_len};
use crate::layer::{Backward, Forward};
use crate::layout::HssLayout;
use crate::panels::PanelShape;
use crate::parallel::{Shared, for_each, run_length};
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::tree::{Direction, GradientInputs, Tree};
use crate::view::View;

/// Panels that one task takes through the tree: enough to reuse each block from registers, few enough for the cache.
const PANELS_PER_TASK: usize = 12;

/// A 1D layer: one HSS matrix, with or without LeakyReLU behind it.
#[derive(Clone, Copy, Debug)]
pub struct Layer1d<'a> {
    /// The matrix.
    pub layout: &'a HssLayout,
    /// Number of samples.
    pub batch: usize,
}

impl Layer1d<'_> {
    /// Panels of the input.
    pub fn input(&self) -> PanelShape {
        PanelShape::new_1d(self.batch, self.layout.n_in())
    }

    /// Panels of the output.
    pub fn output(&self) -> PanelShape {
        PanelShape::new_1d(self.batch, self.layout.n_out())
    }

    fn coefficients_len<T: Scalar>(&self) -> usize {
        self.input().panels::<T>() * self.layout.coefficient_rows() * T::LANES
    }

    /// Elements that [`Layer1d::forward`] keeps for [`Layer1d::backward`]: the pre-activation and the coefficients.
    fn saved_len<T: Scalar>(&self) -> usize {
        self.output().elements::<T>() + 2 * self.coefficients_len::<T>()
    }

    fn multiply_adds<T: Scalar>(&self) -> usize {
        self.layout.multiply_adds() * self.input().panels::<T>() * T::LANES
    }

    /// `y = leaky(A x)` on panels, or `y = A x` without a slope; with `keep`, also what the backward pass needs.
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn forward<T: Scalar>(
        &self,
        x: &[T],
        parameters: &[T],
        slope: Option<T>,
        keep: bool,
    ) -> Result<Forward<T>, LayoutError> {
        self.check(x, parameters)?;
        let (n_in, n_out) = (self.layout.n_in(), self.layout.n_out());
        let rows = self.layout.coefficient_rows();
        let pre_len = self.output().elements::<T>();
        let coefficients_len = self.coefficients_len::<T>();
        let mut y = Room::<T>::new(pre_len);
        let mut saved = keep.then(|| Room::<T>::new(self.saved_len::<T>()));
        let mut scratch = Scratch::<T>::take(if keep { 0 } else { 2 * coefficients_len });
        let y_at = y.shared();
        // Without a slope there is no pre-activation to keep; its room stays in the layout and holds zeros.
        let pre = saved.as_mut().map(|saved| saved.shared());
        let up = pre.map_or(Shared(scratch.as_mut_ptr()), |pre| Shared(pre.at(pre_len)));
        let received = Shared(up.at(coefficients_len));
        let tree = self.tree(parameters);
        self.for_each_run::<T>(|panels| {
            let (first, count) = (panels.start, panels.len());
            let (start, len) = (first * n_out * T::LANES, count * n_out * T::LANES);
            let target = if slope.is_some() { pre.unwrap_or(y_at) } else { y_at };
            let input = x[first * n_in * T::LANES..].as_ptr().cast_mut();
            // SAFETY: the views cover the panels of this task only, inside arrays of the right lengths; `x` is only read,
            // and every element of this task's part of `y` and of the saved values is written.
            unsafe {
                tree.apply(
                    Direction::Forward,
                    View::panels(input, n_in),
                    View::panels(target.at(start), n_out),
                    count,
                    View::panels(up.at(first * rows * T::LANES), rows),
                    View::panels(received.at(first * rows * T::LANES), rows),
                    false,
                );
                match (slope, pre) {
                    (Some(slope), Some(pre)) => {
                        (tree.kernels.leaky)(pre.slice(start, len), y_at.slice(start, len), slope);
                    }
                    (Some(slope), None) => (tree.kernels.leaky_in_place)(y_at.slice(start, len), slope),
                    (None, Some(pre)) => pre.slice(start, len).fill(T::ZERO),
                    (None, None) => {}
                }
            }
        });
        // SAFETY: the tasks together wrote every panel.
        unsafe { Ok(Forward { y: y.finish(), saved: saved.map(|saved| saved.finish()) }) }
    }

    /// The gradients, from the gradient `dy` by the output. `dy` is overwritten by the gradient by the pre-activation.
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn backward<T: Scalar>(
        &self,
        x: &[T],
        parameters: &[T],
        slope: Option<T>,
        saved: &[T],
        dy: &mut [T],
        need_dx: bool,
    ) -> Result<Backward<T>, LayoutError> {
        self.check(x, parameters)?;
        check_len("the output gradient", dy.len(), self.output().elements::<T>())?;
        check_len("the saved values", saved.len(), self.saved_len::<T>())?;
        let mut dx = need_dx.then(|| Room::<T>::new(self.input().elements::<T>()));
        let mut gradient = Room::<T>::new(self.layout.len());
        let (n_in, n_out) = (self.layout.n_in(), self.layout.n_out());
        let rows = self.layout.coefficient_rows();
        let (pre, coefficients) = saved.split_at(self.output().elements::<T>());
        let (up, received) = coefficients.split_at(self.coefficients_len::<T>());
        let mut adjoint = Scratch::<T>::take(2 * self.coefficients_len::<T>());
        let (up_adjoint, received_adjoint) = adjoint.split_at_mut(self.coefficients_len::<T>());
        let (up_adjoint, received_adjoint) = (Shared(up_adjoint.as_mut_ptr()), Shared(received_adjoint.as_mut_ptr()));
        let tree = self.tree(parameters);
        let panels = self.input().panels::<T>();
        let mut slope_parts = vec![0.0f64; panels];
        let (dy, dx_at) = (Shared(dy.as_mut_ptr()), dx.as_mut().map(|dx| dx.shared()));
        let parts = Shared(slope_parts.as_mut_ptr());
        self.for_each_run::<T>(|panels| {
            let (first, count) = (panels.start, panels.len());
            // SAFETY: as in `forward`: this task's panels only, lengths checked.
            unsafe {
                if let Some(slope) = slope {
                    for p in panels {
                        let (start, len) = (p * n_out * T::LANES, n_out * T::LANES);
                        *parts.at(p) =
                            (tree.kernels.leaky_backward)(&pre[start..start + len], dy.slice(start, len), slope);
                    }
                }
                let dy = View::panels(dy.at(first * n_out * T::LANES), n_out);
                let up = View::panels(up_adjoint.at(first * rows * T::LANES), rows);
                let received = View::panels(received_adjoint.at(first * rows * T::LANES), rows);
                let dx = dx_at.map(|dx| View::panels(dx.at(first * n_in * T::LANES), n_in));
                tree.up(Direction::Adjoint, dy, count, up);
                tree.down(Direction::Adjoint, dy, dx, count, up, received, false);
            }
        });

        let view = |s: &[T], rows: usize| View::panels(s.as_ptr().cast_mut(), rows);
        let inputs = GradientInputs {
            x: view(x, n_in),
            dy: View::panels(dy.0, n_out),
            up: view(up, rows),
            received: view(received, rows),
            up_adjoint: View::panels(up_adjoint.0, rows),
            received_adjoint: View::panels(received_adjoint.0, rows),
            vectors: panels,
        };
        let tasks = self.layout.gradient_tasks();
        let to = gradient.shared();
        for_each(tasks.len(), self.multiply_adds::<T>(), |t| {
            let mut scratch = Scratch::<T>::take(crate::microkernel::outer_scratch_len::<T>(n_in.max(n_out)));
            // SAFETY: every task writes its own blocks of the gradient; the views hold all panels.
            unsafe {
                self.layout.gradient_task(tree.kernels, tasks[t], &inputs, to.at(0), false, &mut scratch);
            }
        });
        let slope = slope_parts.iter().sum();
        // SAFETY: the tasks together wrote every panel and every block.
        unsafe { Ok(Backward { dx: dx.map(|dx| dx.finish()), parameters: gradient.finish(), slope }) }
    }

    fn tree<'b, T: Scalar>(&'b self, parameters: &[T]) -> Tree<'b, T> {
        Tree { layout: self.layout, parameters: parameters.as_ptr(), kernels: T::kernels() }
    }

    fn check<T: Scalar>(&self, x: &[T], parameters: &[T]) -> Result<(), LayoutError> {
        check_len("the input", x.len(), self.input().elements::<T>())?;
        check_len("the parameters", parameters.len(), self.layout.len())
    }

    fn for_each_run<T: Scalar>(&self, task: impl Fn(Range<usize>) + Sync + Send) {
        let panels = self.input().panels::<T>();
        let run = run_length(panels, PANELS_PER_TASK);
        for_each(panels.div_ceil(run), self.multiply_adds::<T>(), |t| {
            task(t * run..panels.min((t + 1) * run));
        });
    }
}
