//! One H2 network layer on panels: forward and backward.
//!
//! Restriction from the leaves up, the layers of all `G_l` at once, interpolation from the root down onto the near field ([`H2Layout`]). Vectors are in the order
//! of the trees ([`PointOrder`](super::PointOrder) gets them there). Cost: one multiply-add a parameter and sample forward, two more backward. The backward pass
//! needs the coefficients of both trees and the output of every layer but the last linear ones.

use super::activation::Activation;
use super::backward::InputGradient;
use super::layout::H2Layout;
use super::pattern::BlockPattern;
use super::products::Stage;
use super::sparse_layer::input_view;
use crate::aligned::Room;
use crate::error::{LayoutError, check_len};
use crate::layer::{Backward, Forward};
use crate::panels::PanelShape;
use crate::parallel::{Shared, for_each};
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::view::View;

/// An H2 network layer for a number of samples.
#[derive(Clone, Copy, Debug)]
pub struct H2Layer<'a> {
    /// Its trees, templates and layers.
    pub layout: &'a H2Layout,
    /// Number of samples.
    pub batch: usize,
}

/// The arrays that the backward pass needs: rows before each.
struct Saved {
    up: usize,
    far: Vec<usize>,
    received: usize,
    near: Vec<usize>,
    rows: usize,
}

/// A view of `rows` rows inside an array of panels, of which `before` come first.
fn at<T: Scalar>(base: Shared<T>, before: usize, panels: usize, rows: usize) -> View<T> {
    View::panels(base.at(before * panels * T::LANES), rows)
}

fn outside(layers: &[BlockPattern]) -> Activation {
    layers.last().map_or(Activation::Identity, |last| last.spec().outside)
}

impl H2Layer<'_> {
    /// Panels of the input.
    pub fn input(&self) -> PanelShape {
        PanelShape::new_1d(self.batch, self.layout.n_in())
    }

    /// Panels of the output.
    pub fn output(&self) -> PanelShape {
        PanelShape::new_1d(self.batch, self.layout.n_out())
    }

    fn saved(&self) -> Saved {
        let layout = self.layout;
        let mut rows = layout.col_coefficients();
        let mut place = |n: usize| {
            rows += n;
            rows - n
        };
        let far: Vec<usize> = layout.far.iter().map(|_| place(layout.row_coefficients())).collect();
        let received = match far.last() {
            Some(&last) if outside(&layout.far).is_identity() => last,
            _ => place(layout.row_coefficients()),
        };
        let kept = layout.near.len() - usize::from(outside(&layout.near).is_identity());
        let near = (0..kept).map(|_| place(layout.n_out())).collect();
        Saved { up: 0, far, received, near, rows }
    }

    /// Elements that [`H2Layer::forward`] keeps for [`H2Layer::backward`].
    pub fn saved_len<T: Scalar>(&self) -> usize {
        self.saved().rows * self.input().panels::<T>() * T::LANES
    }

    /// The output; with `keep`, also what the backward pass needs.
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn forward<T: Scalar>(&self, x: &[T], parameters: &[T], keep: bool) -> Result<Forward<T>, LayoutError> {
        self.check(x, parameters)?;
        let (layout, places) = (self.layout, self.saved());
        let (n_in, n_out) = (layout.n_in(), layout.n_out());
        let (below, above) = (layout.col_coefficients(), layout.row_coefficients());
        let panels = self.input().panels::<T>();
        let stage = |pattern| Stage { pattern, parameters, panels };
        let mut y = Room::<T>::new(self.output().elements::<T>());
        let mut saved = keep.then(|| Room::<T>::new(self.saved_len::<T>()));
        let mut scratch = Scratch::<T>::take(if keep { 0 } else { self.saved_len::<T>() });
        let base = saved.as_mut().map_or(Shared(scratch.as_mut_ptr()), |saved| saved.shared());
        let x = input_view(x, n_in);
        let y_at = View::panels(y.shared().0, n_out);
        let up = at(base, places.up, panels, below);
        let received = at(base, places.received, panels, above);
        // SAFETY: each view has its own rows of the saved array, whose length counts them; slots that a stage reads were written by stages before it:
        // leaves and then parents in `up`, all slots of the layers of `G`. `x` is only read.
        unsafe {
            stage(&layout.restrict_leaves).forward(x, up, false);
            for pattern in &layout.restrict_levels {
                stage(pattern).forward(up, up, false);
            }
            let mut from = up;
            for (pattern, &place) in layout.far.iter().zip(&places.far) {
                let to = at(base, place, panels, above);
                stage(pattern).forward(from, to, false);
                from = to;
            }
            if from.p != received.p {
                copy(from, received, above, panels);
            }
            for pattern in &layout.interpolate_levels {
                stage(pattern).forward(received, received, true);
            }
            let mut from = x;
            for (i, pattern) in layout.near.iter().enumerate() {
                let to = places.near.get(i).map_or(y_at, |&place| at(base, place, panels, n_out));
                stage(pattern).forward(from, to, false);
                from = to;
            }
            if from.p != y_at.p {
                copy(from, y_at, n_out, panels);
            }
            stage(&layout.interpolate_leaves).forward(received, y_at, true);
            Ok(Forward { y: y.finish(), saved: saved.map(|saved| saved.finish()) })
        }
    }

    /// The gradients, from the gradient `dy` by the output and what [`H2Layer::forward`] kept.
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn backward<T: Scalar>(
        &self,
        x: &[T],
        parameters: &[T],
        saved: &[T],
        dy: &[T],
        need_dx: bool,
    ) -> Result<Backward<T>, LayoutError> {
        self.check(x, parameters)?;
        check_len("the output gradient", dy.len(), self.output().elements::<T>())?;
        check_len("the saved values", saved.len(), self.saved_len::<T>())?;
        let (layout, places) = (self.layout, self.saved());
        let (n_in, n_out) = (layout.n_in(), layout.n_out());
        let (below, above) = (layout.col_coefficients(), layout.row_coefficients());
        let panels = self.input().panels::<T>();
        let stage = |pattern| Stage { pattern, parameters, panels };
        let mut dx = need_dx.then(|| Room::<T>::new(self.input().elements::<T>()));
        let mut gradient = Room::<T>::new(layout.len());
        let to_parameters = gradient.shared();
        let base = Shared(saved.as_ptr().cast_mut());
        let x = input_view(x, n_in);
        let dy = input_view(dy, n_out);
        let up = at(base, places.up, panels, below);
        let received = at(base, places.received, panels, above);

        // Gradients by the coefficients of both trees, and two arrays between layers.
        let widest = above.max(n_out);
        let mut scratch = Scratch::<T>::take((below + above + 2 * widest) * panels * T::LANES);
        let own = Shared(scratch.as_mut_ptr());
        let up_gradient = at(own, 0, panels, below);
        let received_gradient = at(own, below, panels, above);
        let between = |i: usize, rows: usize| at(own, below + above + i % 2 * widest, panels, rows);
        let plain =
            |to: View<T>, accumulate: bool| Some(InputGradient { to, accumulate, through: Activation::Identity });
        // SAFETY: every array of the scratch has its own rows, and what is read was written before; `x`, `dy` and the saved values are only read. All
        // patterns together write the whole gradient, the near field every slot of `dx`.
        unsafe {
            stage(&layout.interpolate_leaves).backward(received, dy, plain(received_gradient, false), to_parameters);
            for pattern in layout.interpolate_levels.iter().rev() {
                let to = plain(received_gradient, false);
                stage(pattern).backward(received, received_gradient, to, to_parameters);
            }
            // The layers of `G`, last first: `dz` is the gradient by the sums of a layer.
            let layers = |layers: &[BlockPattern],
                          outputs: &[usize],
                          rows: usize,
                          top: View<T>,
                          first: View<T>,
                          dx: Option<InputGradient<T>>| {
                let mut dz = top;
                if !outside(layers).is_identity() {
                    dz = between(layers.len(), rows);
                    let values = at(base, outputs[layers.len() - 1], panels, rows);
                    copy_back(top, dz, outside(layers), values, rows, panels);
                }
                for i in (1..layers.len()).rev() {
                    let values = at(base, outputs[i - 1], panels, rows);
                    let to = between(i, rows);
                    let through = layers[i - 1].spec().outside;
                    let input = InputGradient { to, accumulate: false, through };
                    Stage { pattern: &layers[i], parameters, panels }.backward(values, dz, Some(input), to_parameters);
                    dz = to;
                }
                Stage { pattern: &layers[0], parameters, panels }.backward(first, dz, dx, to_parameters);
            };
            layers(&layout.far, &places.far, above, received_gradient, up, plain(up_gradient, false));
            let to_input = dx.as_mut().map(|dx| View::panels(dx.shared().0, n_in));
            layers(&layout.near, &places.near, n_out, dy, x, to_input.and_then(|to| plain(to, false)));
            for pattern in layout.restrict_levels.iter().rev() {
                stage(pattern).backward(up, up_gradient, plain(up_gradient, true), to_parameters);
            }
            let to_input = to_input.and_then(|to| plain(to, true));
            stage(&layout.restrict_leaves).backward(x, up_gradient, to_input, to_parameters);
            Ok(Backward { dx: dx.map(|dx| dx.finish()), parameters: gradient.finish(), slope: 0.0 })
        }
    }

    fn check<T: Scalar>(&self, x: &[T], parameters: &[T]) -> Result<(), LayoutError> {
        check_len("the input", x.len(), self.input().elements::<T>())?;
        check_len("the parameters", parameters.len(), self.layout.len())
    }
}

/// `to = from`.
///
/// # Safety
/// Both views have `panels` panels of `rows` rows and do not overlap; nobody else touches `to`.
unsafe fn copy<T: Scalar>(from: View<T>, to: View<T>, rows: usize, panels: usize) {
    let len = rows * T::LANES;
    for_each(panels, panels * len, |p| {
        // SAFETY: each task has its own panel; the rest is the caller's.
        unsafe { std::ptr::copy_nonoverlapping(from.at_vector(p).p, to.at_vector(p).p, len) };
    });
}

/// `to = f' from`, with `f'` where `f` has the given values.
///
/// # Safety
/// As [`copy`], and the values have as many rows.
unsafe fn copy_back<T: Scalar>(
    from: View<T>,
    to: View<T>,
    through: Activation,
    values: View<T>,
    rows: usize,
    panels: usize,
) {
    let len = rows * T::LANES;
    for_each(panels, 4 * panels * len, |p| {
        // SAFETY: each task has its own panel; the rest is the caller's.
        unsafe {
            std::ptr::copy_nonoverlapping(from.at_vector(p).p, to.at_vector(p).p, len);
            through.back(values.at_vector(p), to.at_vector(p), rows, 1);
        }
    });
}
