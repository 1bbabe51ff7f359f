//! One m = 3 layer of eq. 1 of Neural-HSS: `y = leaky(sum_k x times_1 A_k times_2 B_k times_3 C_k)`, forward and backward, on
//! batch-major fields.
//!
//! One sample fills the machine, so samples go one after the other and points lie side by side in the vectors: the last
//! axis for modes 1 and 2, the second axis for mode 3, which transposes one slab in cache. The mode-1 product runs over
//! blocks of columns packed in cache (planes a power of two apart would share cache sets), the others over
//! slabs of the first axis. `x times_1 A_k` is kept for the last sample and computed again for the others. Parameter
//! gradients are summed in a fixed number of parts that does not depend on the threads.
//! Cost: `sum_k (|A_k| n2 n3 + |B_k| n1 n3 + |C_k| n1 n2)` multiply-adds a sample forward, a little over three
//! times that backward; memory beside inputs and outputs: `4 r_out` samples.

mod backward;
mod columns;

use crate::aligned::Room;
use crate::error::{LayoutError, check_len};
use crate::layer::{Backward, Forward};
use crate::layout::HssLayout;
use crate::microkernel::outer_scratch_len;
use crate::parallel::{Shared, add_parts, for_each, run_length};
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::tree::{Direction, Tree};
use crate::view::View;
use columns::{Sizes, pack_columns, plane_view};

/// Parts in which the parameter gradient is summed, at most.
const GRADIENT_PARTS: usize = 16;
/// Vectors of columns that go through the mode-1 product at once, forward and backward.
const COLUMNS_FORWARD: usize = 24;
const COLUMNS_BACKWARD: usize = 60;

/// A 3D layer: a sum over `outer_rank` of Kronecker products of three HSS matrices.
#[derive(Clone, Copy, Debug)]
pub struct Layer3d<'a> {
    /// The matrices of each axis.
    pub modes: [&'a HssLayout; 3],
    /// Number of terms `r_out`.
    pub outer_rank: usize,
    /// Number of samples.
    pub batch: usize,
}

/// Work arrays for one slab.
struct SlabWork<T: Scalar> {
    /// `x times_1 A_k times_2 B_k` as `[n2][n3]`, and transposed; their gradients.
    t: Scratch<T>,
    t_transposed: Scratch<T>,
    dt: Scratch<T>,
    dt_transposed: Scratch<T>,
    /// Output slab (forward) or its gradient (backward), transposed.
    y_transposed: Scratch<T>,
    coefficients: Scratch<T>,
    outer: Scratch<T>,
}

impl Layer3d<'_> {
    /// Points of one input sample.
    pub fn input_points(&self) -> usize {
        self.modes.iter().map(|m| m.n_in()).product()
    }

    /// Points of one output sample.
    pub fn output_points(&self) -> usize {
        self.modes.iter().map(|m| m.n_out()).product()
    }

    /// Number of parameters: for each `k`, those of `A_k`, `B_k`, `C_k`.
    pub fn parameters_len(&self) -> usize {
        self.outer_rank * self.term_len()
    }

    /// What [`Layer3d::forward`] keeps for [`Layer3d::backward`]: the pre-activation if there is a slope, then
    /// `x times_1 A_k` of the last sample.
    fn saved_len<T: Scalar>(&self, slope: Option<T>) -> (usize, usize) {
        let pre = if slope.is_some() { self.batch * self.output_points() } else { 0 };
        (pre, self.outer_rank * self.sizes::<T>().middle)
    }

    fn term_len(&self) -> usize {
        self.modes.iter().map(|m| m.len()).sum()
    }

    fn sizes<T: Scalar>(&self) -> Sizes {
        let input = self.modes.map(|m| m.n_in());
        let output = self.modes.map(|m| m.n_out());
        let vectors3 = input[2].div_ceil(T::LANES);
        let vectors2 = output[1].div_ceil(T::LANES);
        let plane = (input[1] * vectors3 + 1) * T::LANES;
        Sizes {
            input,
            output,
            vectors3,
            padded3: vectors3 * T::LANES,
            vectors2,
            padded2: vectors2 * T::LANES,
            plane,
            middle: output[0] * plane,
        }
    }

    fn multiply_adds(&self) -> usize {
        let [a, b, c] = self.modes;
        self.outer_rank
            * (a.multiply_adds() * b.n_in() * c.n_in()
                + b.multiply_adds() * a.n_out() * c.n_in()
                + c.multiply_adds() * a.n_out() * b.n_out())
    }

    /// The matrix of mode `j` in term `k`.
    fn tree<'b, T: Scalar>(&'b self, parameters: &[T], k: usize, j: usize) -> Tree<'b, T> {
        Tree { layout: self.modes[j], parameters: parameters[self.offset(k, j)..].as_ptr(), kernels: T::kernels() }
    }

    fn offset(&self, k: usize, j: usize) -> usize {
        k * self.term_len() + self.modes[..j].iter().map(|m| m.len()).sum::<usize>()
    }

    fn check<T: Scalar>(&self, x: &[T], parameters: &[T]) -> Result<(), LayoutError> {
        check_len("the input", x.len(), self.batch * self.input_points())?;
        check_len("the parameters", parameters.len(), self.parameters_len())
    }

    /// `y = leaky(sum_k x times_1 A_k times_2 B_k times_3 C_k)`, without the activation if there is no slope; with `keep`,
    /// also what the backward pass needs.
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
        let s = self.sizes::<T>();
        let (pre_len, middle_len) = self.saved_len(slope);
        let mut y = Room::<T>::new(self.batch * self.output_points());
        let mut saved = keep.then(|| Room::<T>::new(pre_len + middle_len));
        let mut scratch = Scratch::<T>::take(if keep { 0 } else { middle_len });
        let y_at = y.shared();
        let pre = saved.as_mut().filter(|_| slope.is_some()).map(|saved| saved.shared());
        let middle = saved.as_mut().map_or(Shared(scratch.as_mut_ptr()), |saved| Shared(saved.shared().at(pre_len)));
        let slab_len = s.output[1] * s.output[2];
        for sample in 0..self.batch {
            let x = &x[sample * self.input_points()..][..self.input_points()];
            self.mode_1(&s, x, parameters, middle);
            let slabs = s.output[0];
            let run = run_length(slabs, 8);
            for_each(slabs.div_ceil(run), self.multiply_adds(), |t| {
                let mut work = self.slab_work(&s, false);
                for slab in t * run..slabs.min((t + 1) * run) {
                    let start = sample * self.output_points() + slab * slab_len;
                    let target = pre.unwrap_or(y_at).at(start);
                    // SAFETY: the views cover one plane of `middle` (only read), this task's work arrays, and one slab of
                    // the output, which is written whole.
                    unsafe {
                        for k in 0..self.outer_rank {
                            let t1 = plane_view(&s, middle, k, slab);
                            self.modes_2_and_3(&s, parameters, k, t1, &mut work, false);
                        }
                        let from = work.y_transposed.as_ptr();
                        (T::kernels().transpose)(from, s.padded2, target, s.output[2], s.output[2], s.output[1]);
                        match (slope, pre) {
                            (Some(slope), Some(pre)) => {
                                (T::kernels().leaky)(pre.slice(start, slab_len), y_at.slice(start, slab_len), slope);
                            }
                            (Some(slope), None) => (T::kernels().leaky_in_place)(y_at.slice(start, slab_len), slope),
                            (None, _) => {}
                        }
                    }
                }
            });
        }
        // SAFETY: the tasks wrote every slab of every sample, and `mode_1` every plane of the middle with its padding.
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
        check_len("the output gradient", dy.len(), self.batch * self.output_points())?;
        let s = self.sizes::<T>();
        let (pre_len, middle_len) = self.saved_len(slope);
        check_len("the saved values", saved.len(), pre_len + middle_len)?;
        let (pre, kept) = saved.split_at(pre_len);
        let mut dx = need_dx.then(|| Room::<T>::new(self.batch * self.input_points()));
        let tasks = self.modes.map(|m| m.gradient_tasks());
        let mut gradients = Scratch::<T>::zeroed(GRADIENT_PARTS * self.parameters_len());
        let mut again = Scratch::<T>::take(if self.batch > 1 { self.outer_rank * s.middle } else { 0 });
        let mut middle_gradient = Scratch::<T>::take(self.outer_rank * s.middle);
        let mut slopes = vec![0.0f64; GRADIENT_PARTS];
        // The last sample first: its middle is still there.
        for sample in (0..self.batch).rev() {
            let first = sample * self.input_points();
            let x = &x[first..first + self.input_points()];
            let middle = if sample + 1 == self.batch {
                Shared(kept.as_ptr().cast_mut())
            } else {
                let again = Shared(again.as_mut_ptr());
                self.mode_1(&s, x, parameters, again);
                again
            };
            let start = sample * self.output_points();
            let end = start + self.output_points();
            let pre = if slope.is_some() { &pre[start..end] } else { &[] };
            self.backward_slabs(
                &s,
                parameters,
                slope,
                middle,
                (pre, &mut dy[start..end]),
                &mut middle_gradient,
                (&tasks, &mut gradients, &mut slopes),
            );
            let dx = dx.as_mut().map(|dx| Shared(dx.shared().at(first)));
            self.backward_columns(&s, x, parameters, &middle_gradient, dx, (&tasks, &mut gradients));
        }
        let slope = slopes.iter().sum();
        let parameters = add_parts(&gradients, self.parameters_len());
        // SAFETY: the tasks wrote every column of every sample.
        unsafe { Ok(Backward { dx: dx.map(|dx| dx.finish()), parameters, slope }) }
    }

    /// `middle[k] = x times_1 A_k` for all `k`: planes `[n2][n3 padded]`, zero in the padding.
    fn mode_1<T: Scalar>(&self, s: &Sizes, x: &[T], parameters: &[T], middle: Shared<T>) {
        let vectors = s.input[1] * s.vectors3;
        let run = run_length(vectors, COLUMNS_FORWARD);
        let rows = self.modes[0].coefficient_rows();
        let gap = s.plane - s.input[1] * s.padded3;
        for plane in 0..self.outer_rank * s.output[0] {
            // SAFETY: the gap behind one plane.
            unsafe { middle.slice((plane + 1) * s.plane - gap, gap) }.fill(T::ZERO);
        }
        for_each(vectors.div_ceil(run), self.multiply_adds(), |t| {
            let columns = t * run..vectors.min((t + 1) * run);
            let mut packed = Scratch::<T>::take(s.input[0] * columns.len() * T::LANES);
            let mut coefficients = Scratch::<T>::take(2 * columns.len() * rows * T::LANES);
            pack_columns(s, x, columns.clone(), &mut packed);
            let x = View::new(packed.as_mut_ptr(), columns.len() * T::LANES, T::LANES);
            let (up, received) = coefficients.split_at_mut(columns.len() * rows * T::LANES);
            let (up, received) = (View::panels(up.as_mut_ptr(), rows), View::panels(received.as_mut_ptr(), rows));
            for k in 0..self.outer_rank {
                let y = View::new(middle.at(k * s.middle), s.plane, T::LANES).at_vector(columns.start);
                // SAFETY: the views cover this task's work arrays and its columns of `middle`.
                unsafe {
                    self.tree(parameters, k, 0).apply(Direction::Forward, x, y, columns.len(), up, received, false);
                }
            }
        });
    }

    /// One slab through `B_k` and `C_k`: `work.t`, its transpose, and (forward) the product added to `work.y_transposed`; in
    /// the backward pass (`gradients`) the coefficients of `C_k` instead.
    ///
    /// # Safety
    /// `t1` is one plane of the middle, readable by this thread.
    unsafe fn modes_2_and_3<T: Scalar>(
        &self,
        s: &Sizes,
        parameters: &[T],
        k: usize,
        t1: View<T>,
        work: &mut SlabWork<T>,
        gradients: bool,
    ) {
        let coefficients = self.coefficient_views(s, work);
        let second = self.tree(parameters, k, 1);
        let third = self.tree(parameters, k, 2);
        let t = View::new(work.t.as_mut_ptr(), s.padded3, T::LANES);
        let transposed = View::new(work.t_transposed.as_mut_ptr(), s.padded2, T::LANES);
        let y = View::new(work.y_transposed.as_mut_ptr(), s.padded2, T::LANES);
        let [up, received, ..] = coefficients[0];
        let [up3, received3, ..] = coefficients[1];
        // SAFETY: all views but `t1` cover this task's work arrays, which have these sizes.
        unsafe {
            second.apply(Direction::Forward, t1, t, s.vectors3, up, received, false);
            (second.kernels.transpose)(t.p, s.padded3, transposed.p, s.padded2, s.output[1], s.input[2]);
            third.up(Direction::Forward, transposed, s.vectors2, up3);
            let y = (!gradients).then_some(y);
            third.down(Direction::Forward, transposed, y, s.vectors2, up3, received3, k > 0);
        }
    }

    fn slab_work<T: Scalar>(&self, s: &Sizes, backward: bool) -> SlabWork<T> {
        let once = usize::from(backward);
        // Padding must be zero where sums over lanes are formed; transposes leave it alone.
        let padded = s.padded3 != s.input[2] || s.padded2 != s.output[1];
        let room = |len| if padded { Scratch::zeroed(len) } else { Scratch::take(len) };
        let t = s.output[1] * s.padded3;
        let transposed = s.input[2] * s.padded2;
        let coefficients = self.coefficients_len::<T>(s) * if backward { 8 } else { 4 };
        let columns = self.modes[1..].iter().map(|l| l.n_in().max(l.n_out())).max().unwrap_or(0);
        SlabWork {
            t: room(t),
            t_transposed: room(transposed),
            dt: room(t * once),
            dt_transposed: room(transposed * once),
            y_transposed: room(s.output[2] * s.padded2),
            coefficients: Scratch::take(coefficients),
            outer: Scratch::take(outer_scratch_len::<T>(columns) * once),
        }
    }

    fn coefficients_len<T: Scalar>(&self, s: &Sizes) -> usize {
        T::LANES * (self.modes[1].coefficient_rows() * s.vectors3).max(self.modes[2].coefficient_rows() * s.vectors2)
    }

    /// For `B_k` and for `C_k`: up and received coefficients, forward and (backward pass only) adjoint.
    fn coefficient_views<T: Scalar>(&self, s: &Sizes, work: &mut SlabWork<T>) -> [[View<T>; 4]; 2] {
        let len = self.coefficients_len::<T>(s);
        let p = work.coefficients.as_mut_ptr();
        // Forward coefficients first, so that the forward pass needs only half the array.
        [0, 1].map(|j| {
            [0, 2, 4, 6].map(|i| View::panels(p.wrapping_add((i + j) * len), self.modes[1 + j].coefficient_rows()))
        })
    }
}
