//! One m = 2 layer of eq. 1 of Neural-HSS: `y = leaky(sum_k x times_1 A_k times_2 B_k)`, forward and backward, on panels.
//!
//! Each panel of samples goes through the whole layer in cache: rows of a field are the rows of the mode-1 product and the
//! vectors of the mode-2 product, so nothing is transposed. The intermediate `x times_1 A_k` is computed again in the
//! backward pass instead of being stored. Parameter gradients are summed over panels in a fixed number of parts that
//! does not depend on the threads. Cost: `sum_k (|A_k| columns + |B_k| rows)` multiply-adds a sample forward (`|A|` the
//! number of parameters), a little over three times that backward.

use crate::aligned::Room;
use crate::error::{LayoutError, check_len};
use crate::layer::{Backward, Forward};
use crate::layout::HssLayout;
use crate::microkernel::outer_scratch_len;
use crate::panels::PanelShape;
use crate::parallel::{Shared, add_parts, for_each};
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::tree::{Direction, GradientInputs, Tree};
use crate::view::View;

/// Parts in which the parameter gradient is summed, at most.
const GRADIENT_PARTS: usize = 16;

/// A 2D layer: a sum over `outer_rank` of Kronecker products of two HSS matrices.
#[derive(Clone, Copy, Debug)]
pub struct Layer2d<'a> {
    /// The matrices of the first axis.
    pub first: &'a HssLayout,
    /// The matrices of the second axis.
    pub second: &'a HssLayout,
    /// Number of terms `r_out`.
    pub outer_rank: usize,
    /// Number of samples.
    pub batch: usize,
}

/// Work arrays of one task.
struct Work<T: Scalar> {
    /// `x times_1 A_k`, one panel.
    middle: Scratch<T>,
    /// Its gradient.
    middle_gradient: Scratch<T>,
    /// Coefficients: up and received, forward and adjoint, of both matrices.
    coefficients: Scratch<T>,
    outer: Scratch<T>,
}

impl Layer2d<'_> {
    /// Panels of the input.
    pub fn input(&self) -> PanelShape {
        PanelShape::new_2d(self.batch, self.first.n_in(), self.second.n_in())
    }

    /// Panels of the output.
    pub fn output(&self) -> PanelShape {
        PanelShape::new_2d(self.batch, self.first.n_out(), self.second.n_out())
    }

    /// Number of parameters: for each `k`, those of `A_k`, then those of `B_k`.
    pub fn parameters_len(&self) -> usize {
        self.outer_rank * (self.first.len() + self.second.len())
    }

    fn saved_len<T: Scalar>(&self, slope: Option<T>) -> usize {
        if slope.is_some() { self.output().elements::<T>() } else { 0 }
    }

    fn middle(&self) -> PanelShape {
        PanelShape::new_2d(self.batch, self.first.n_out(), self.second.n_in())
    }

    fn multiply_adds<T: Scalar>(&self) -> usize {
        let sample = self.first.multiply_adds() * self.second.n_in() + self.second.multiply_adds() * self.first.n_out();
        self.outer_rank * sample * self.input().panels::<T>() * T::LANES
    }

    fn work<T: Scalar>(&self, backward: bool) -> Work<T> {
        let coefficients = (self.first.coefficient_rows() * self.second.n_in())
            .max(self.second.coefficient_rows() * self.first.n_out())
            * T::LANES;
        let middle = self.middle().panel_len::<T>();
        let columns = [self.first, self.second].map(|l| l.n_in().max(l.n_out()));
        let once = usize::from(backward);
        Work {
            middle: Scratch::take(middle),
            middle_gradient: Scratch::take(middle * once),
            coefficients: Scratch::take(coefficients * if backward { 8 } else { 2 }),
            outer: Scratch::take(outer_scratch_len::<T>(columns[0].max(columns[1])) * once),
        }
    }

    /// `A_k` and `B_k`.
    fn trees<'b, T: Scalar>(&'b self, parameters: &[T], k: usize) -> (Tree<'b, T>, Tree<'b, T>) {
        let kernels = T::kernels();
        let offset = k * (self.first.len() + self.second.len());
        let tree = |layout, offset: usize| Tree { layout, parameters: parameters[offset..].as_ptr(), kernels };
        (tree(self.first, offset), tree(self.second, offset + self.first.len()))
    }

    fn check<T: Scalar>(&self, x: &[T], parameters: &[T]) -> Result<(), LayoutError> {
        check_len("the input", x.len(), self.input().elements::<T>())?;
        check_len("the parameters", parameters.len(), self.parameters_len())
    }

    /// `y = leaky(sum_k x times_1 A_k times_2 B_k)` on panels, without the activation if there is no slope; with `keep`, also
    /// what the backward pass needs: the pre-activation (nothing without a slope).
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
        let (input, middle, output) = (self.input(), self.middle(), self.output());
        let mut y = Room::<T>::new(output.elements::<T>());
        let mut saved = keep.then(|| Room::<T>::new(self.saved_len::<T>(slope)));
        let y_at = y.shared();
        let pre = saved.as_mut().filter(|_| slope.is_some()).map(|saved| saved.shared());
        let padding = (output.row_vectors() - output.columns) * T::LANES;
        for_each(input.panels::<T>(), self.multiply_adds::<T>(), |p| {
            let mut work = self.work::<T>(false);
            let (up, received) = halves(&mut work.coefficients);
            let x = x[p * input.panel_len::<T>()..].as_ptr().cast_mut();
            let t = work.middle.as_mut_ptr();
            let target = pre.unwrap_or(y_at).at(p * output.panel_len::<T>());
            for k in 0..self.outer_rank {
                let (first, second) = self.trees(parameters, k);
                // SAFETY: the views cover this panel of slices whose lengths were checked, and this task's work arrays.
                unsafe {
                    let rows = first.layout.coefficient_rows();
                    let (up1, received1) = (View::panels(up, rows), View::panels(received, rows));
                    let (x, t1) = (mode_1(x, &input), mode_1(t, &middle));
                    first.apply(Direction::Forward, x, t1, middle.columns, up1, received1, false);
                    let rows = second.layout.coefficient_rows();
                    let (up2, received2) = (View::panels(up, rows), View::panels(received, rows));
                    let (t2, y2) = (mode_2(t, &middle), mode_2(target, &output));
                    second.apply(Direction::Forward, t2, y2, middle.rows, up2, received2, k > 0);
                }
            }
            for (start, len) in rows_of::<T>(&output, p) {
                // SAFETY: one row of this panel; it has been written up to its padding, which is written here.
                unsafe {
                    match (slope, pre) {
                        (Some(slope), Some(pre)) => {
                            (T::kernels().leaky)(pre.slice(start, len), y_at.slice(start, len), slope);
                            pre.slice(start + len, padding).fill(T::ZERO);
                        }
                        (Some(slope), None) => (T::kernels().leaky_in_place)(y_at.slice(start, len), slope),
                        (None, _) => {}
                    }
                    y_at.slice(start + len, padding).fill(T::ZERO);
                }
            }
        });
        // SAFETY: the tasks together wrote every row of every panel, padding included.
        unsafe { Ok(Forward { y: y.finish(), saved: saved.map(|saved| saved.finish()) }) }
    }

    /// The gradients, from the gradient `dy` by the output, which is overwritten by the gradient by the pre-activation.
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
        check_len("the saved values", saved.len(), self.saved_len(slope))?;
        let mut dx = need_dx.then(|| Room::<T>::new(self.input().elements::<T>()));
        let (input, middle, output) = (self.input(), self.middle(), self.output());
        let panels = input.panels::<T>();
        let parts = panels.min(GRADIENT_PARTS);
        let mut gradients = Scratch::<T>::zeroed(parts * self.parameters_len());
        let mut slopes = vec![0.0f64; parts];
        let tasks = [self.first.gradient_tasks(), self.second.gradient_tasks()];
        let (dy, dx_at) = (Shared(dy.as_mut_ptr()), dx.as_mut().map(|dx| dx.shared()));
        let (gradients_at, slopes_at) = (Shared(gradients.as_mut_ptr()), Shared(slopes.as_mut_ptr()));
        for_each(parts, self.multiply_adds::<T>(), |part| {
            let mut work = self.work::<T>(true);
            let eighth = work.coefficients.len() / 8;
            let coefficients = work.coefficients.as_mut_ptr();
            let (t, dt) = (work.middle.as_mut_ptr(), work.middle_gradient.as_mut_ptr());
            for p in panels * part / parts..panels * (part + 1) / parts {
                let x = x[p * input.panel_len::<T>()..].as_ptr().cast_mut();
                let dy_panel = dy.at(p * output.panel_len::<T>());
                if let Some(slope) = slope {
                    for (start, len) in rows_of::<T>(&output, p) {
                        // SAFETY: one row of this panel; only this task has this part.
                        unsafe {
                            *slopes_at.at(part) +=
                                (T::kernels().leaky_backward)(&saved[start..start + len], dy.slice(start, len), slope);
                        }
                    }
                }
                for k in 0..self.outer_rank {
                    let (first, second) = self.trees(parameters, k);
                    let offset = part * self.parameters_len() + k * (self.first.len() + self.second.len());
                    let views = |from: usize, layout: &HssLayout| {
                        std::array::from_fn(|i| {
                            View::panels(coefficients.wrapping_add((from + i) * eighth), layout.coefficient_rows())
                        })
                    };
                    let (x1, t1, dt1) = (mode_1(x, &input), mode_1(t, &middle), mode_1(dt, &middle));
                    let (t2, dt2, dy2) = (mode_2(t, &middle), mode_2(dt, &middle), mode_2(dy_panel, &output));
                    // SAFETY: the views cover this panel, this task's work arrays and this part of the gradient.
                    unsafe {
                        // x times_1 A_k again, then what B_k makes of it.
                        let [up, received, up_adjoint, received_adjoint] = views(0, self.first);
                        first.apply(Direction::Forward, x1, t1, middle.columns, up, received, false);
                        let v: [View<T>; 4] = views(4, self.second);
                        second.up(Direction::Forward, t2, middle.rows, v[0]);
                        second.down(Direction::Forward, t2, None, middle.rows, v[0], v[1], false);
                        second.apply(Direction::Adjoint, dy2, dt2, middle.rows, v[2], v[3], false);
                        let inputs = GradientInputs {
                            x: t2,
                            dy: dy2,
                            up: v[0],
                            received: v[1],
                            up_adjoint: v[2],
                            received_adjoint: v[3],
                            vectors: middle.rows,
                        };
                        let to = gradients_at.at(offset + self.first.len());
                        self.second.gradient(second.kernels, &tasks[1], &inputs, to, true, &mut work.outer);

                        first.up(Direction::Adjoint, dt1, middle.columns, up_adjoint);
                        let dx = dx_at.map(|dx| mode_1(dx.at(p * input.panel_len::<T>()), &input));
                        let (up_a, received_a) = (up_adjoint, received_adjoint);
                        first.down(Direction::Adjoint, dt1, dx, middle.columns, up_a, received_a, k > 0);
                        let inputs = GradientInputs {
                            x: x1,
                            dy: dt1,
                            up,
                            received,
                            up_adjoint,
                            received_adjoint,
                            vectors: middle.columns,
                        };
                        let to = gradients_at.at(offset);
                        self.first.gradient(first.kernels, &tasks[0], &inputs, to, true, &mut work.outer);
                    }
                }
                if let Some(dx) = dx_at {
                    let padding = (input.row_vectors() - input.columns) * T::LANES;
                    for (start, len) in rows_of::<T>(&input, p) {
                        // SAFETY: the padding of one row of this panel.
                        unsafe { dx.slice(start + len, padding) }.fill(T::ZERO);
                    }
                }
            }
        });
        let slope = slopes.iter().sum();
        let parameters = add_parts(&gradients, self.parameters_len());
        // SAFETY: the tasks together wrote every row of every panel, padding included.
        unsafe { Ok(Backward { dx: dx.map(|dx| dx.finish()), parameters, slope }) }
    }
}

/// The two halves of a work array.
fn halves<T>(work: &mut [T]) -> (*mut T, *mut T) {
    let half = work.len() / 2;
    let p = work.as_mut_ptr();
    (p, p.wrapping_add(half))
}

/// Axis 1 as rows, axis 2 as vectors.
fn mode_1<T: Scalar>(p: *mut T, shape: &PanelShape) -> View<T> {
    View::new(p, shape.row_vectors() * T::LANES, T::LANES)
}

/// Axis 2 as rows, axis 1 as vectors.
fn mode_2<T: Scalar>(p: *mut T, shape: &PanelShape) -> View<T> {
    View::new(p, T::LANES, shape.row_vectors() * T::LANES)
}

/// Start and length of the rows of panel `p`, padding left out.
fn rows_of<T: Scalar>(shape: &PanelShape, p: usize) -> impl Iterator<Item = (usize, usize)> {
    let (start, len) = (p * shape.panel_len::<T>(), shape.columns * T::LANES);
    let stride = shape.row_vectors() * T::LANES;
    (0..shape.rows).map(move |i| (start + i * stride, len))
}
