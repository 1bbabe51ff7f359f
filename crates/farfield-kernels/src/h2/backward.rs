//! Gradients of block-sparse layers.
//!
//! A task is a run of input slots: for each it sums the gradient by the input over the blocks of its column, in the order of their outputs, and makes the
//! gradients of these blocks, over the whole batch. Every number is made by one task, in an order that depends on the shapes alone.

use std::ops::Range;

use super::activation::Activation;
use super::products::{Cuts, GROUP, Stage};
use crate::layout::Block;
use crate::microkernel::outer_scratch_len;
use crate::parallel::{Shared, for_each};
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::view::{Coefficients, Term, View};

/// Panels whose part of a slot stays in the nearest cache while the gradients of a column are made.
const GRADIENT_PANELS: usize = 16;

/// Where gradients by the input go.
#[derive(Clone, Copy)]
pub(super) struct InputGradient<T> {
    pub to: View<T>,
    /// Whether they are added to what is there.
    pub accumulate: bool,
    /// The activation whose values the input holds: the gradient goes back through it.
    pub through: Activation,
}

impl<T: Scalar> Stage<'_, T> {
    /// The gradients by parameters and input, from the gradient `dz` by the sums (that by the output, gone back through the activation outside).
    ///
    /// # Safety
    /// `x`, `dz` and the input gradient are views of `panels` panels of `n_in`, `n_out` and `n_in` rows, the last overlapping nothing; nobody else touches its slots and
    /// the part of this layer in `gradient`, which is as long as the parameters.
    pub unsafe fn backward(&self, x: View<T>, dz: View<T>, dx: Option<InputGradient<T>>, gradient: Shared<T>) {
        let pattern = self.pattern;
        let cuts = Cuts::new(&pattern.input_work, self.panels * T::LANES);
        let work = 2 * pattern.multiply_adds() * self.panels * T::LANES;
        // The biases of the sums are one task more.
        for_each(cuts.count + 1, work, |task| {
            // SAFETY: each task has its own input slots and blocks, or all biases; the rest is the caller's.
            unsafe {
                if task == cuts.count {
                    self.sum_biases(dz, gradient);
                } else if pattern.spec.is_plain() {
                    self.backward_plain(cuts.range(task), x, dz, dx, gradient);
                } else {
                    self.backward_units(cuts.range(task), x, dz, dx, gradient);
                }
            }
        });
    }

    unsafe fn sum_biases(&self, dz: View<T>, gradient: Shared<T>) {
        let ones = [T::ONE; 16];
        let ones = View::new(ones.as_ptr().cast_mut(), 0, 0);
        for (slot, at) in self.pattern.outputs.iter().zip(&self.pattern.sum_bias) {
            if let Some(at) = *at {
                let from = dz.at_row(slot.start);
                // SAFETY: the slot lies inside `dz`, the bias inside the gradient; one column needs no scratch.
                unsafe {
                    (T::kernels().outer)(from, ones, slot.len, 1, self.panels, gradient.at(at), 1, false, &mut []);
                }
            }
        }
    }

    unsafe fn backward_plain(
        &self,
        inputs: Range<usize>,
        x: View<T>,
        dz: View<T>,
        dx: Option<InputGradient<T>>,
        gradient: Shared<T>,
    ) {
        let (pattern, kernels) = (self.pattern, T::kernels());
        let mut scratch = Scratch::take(self.outer_scratch_len());
        // A copy of the input without gaps: panels that are a multiple of the page size apart share cache sets.
        let widest = pattern.inputs[inputs.clone()].iter().map(|slot| slot.len).max().unwrap_or(0);
        let mut own = Scratch::take(GRADIENT_PANELS.min(self.panels) * widest * T::LANES);
        let mut terms = Vec::new();
        for l in inputs {
            let slot = pattern.inputs[l];
            let column = &pattern.pairs_by_input[pattern.by_input[l]..pattern.by_input[l + 1]];
            let output = |p: usize| dz.at_row(pattern.outputs[pattern.pairs[p].output].start);
            // Without samples too the gradient is written: zeros.
            for first in (0..self.panels.max(1)).step_by(GRADIENT_PANELS) {
                let vectors = GRADIENT_PANELS.min(self.panels - first);
                let from = x.at_row(slot.start).at_vector(first);
                // SAFETY: slots and blocks lie inside the arrays, as the pattern was built.
                unsafe {
                    if let Some(dx) = dx
                        && slot.len > 0
                        && !(dx.accumulate && column.is_empty())
                    {
                        terms.clear();
                        for &p in column {
                            let block = pattern.links[p].weights;
                            let a = Coefficients::transposed(self.parameters[block.range()].as_ptr(), block.cols);
                            terms.push(Term { inner: block.rows, a, x: output(p).at_vector(first) });
                        }
                        let to = dx.to.at_row(slot.start).at_vector(first);
                        (kernels.multiply)(&terms, slot.len, vectors, to, dx.accumulate);
                        dx.through.back(from, to, slot.len, vectors);
                    }
                    let own = View::panels(own.as_mut_ptr(), slot.len);
                    for v in 0..vectors {
                        let (from, to) = (from.at_vector(v).p, own.at_vector(v).p);
                        std::ptr::copy_nonoverlapping(from, to, slot.len * T::LANES);
                    }
                    for &p in column {
                        let Block { rows, cols, offset } = pattern.links[p].weights;
                        let (dz, to) = (output(p).at_vector(first), gradient.at(offset));
                        (kernels.outer)(dz, own, rows, cols, vectors, to, cols, first > 0, &mut scratch);
                    }
                }
            }
        }
    }

    unsafe fn backward_units(
        &self,
        inputs: Range<usize>,
        x: View<T>,
        dz: View<T>,
        dx: Option<InputGradient<T>>,
        gradient: Shared<T>,
    ) {
        let (pattern, kernels) = (self.pattern, T::kernels());
        let mut scratch = Scratch::take(self.units_scratch_len(GROUP));
        let mut outer_scratch = Scratch::take(self.outer_scratch_len());
        for l in inputs {
            let slot = pattern.inputs[l];
            let column = &pattern.pairs_by_input[pattern.by_input[l]..pattern.by_input[l + 1]];
            // Without samples too the gradient is written: zeros.
            let run = self.panels.div_ceil(self.panels.div_ceil(GROUP).max(1)).max(1);
            for first in (0..self.panels.max(1)).step_by(run) {
                let vectors = run.min(self.panels - first);
                let from = x.at_row(slot.start).at_vector(first);
                let to = dx.map(|dx| dx.to.at_row(slot.start).at_vector(first));
                // SAFETY: as above; the scratch is long enough for any block.
                unsafe {
                    if let (Some(dx), Some(to)) = (dx, to)
                        && !dx.accumulate
                    {
                        (kernels.multiply)(&[], slot.len, vectors, to, false);
                    }
                    for &p in column {
                        let dz = dz.at_row(pattern.outputs[pattern.pairs[p].output].start).at_vector(first);
                        self.unit_backward(
                            p,
                            from,
                            dz,
                            to,
                            gradient,
                            vectors,
                            first == 0,
                            &mut scratch,
                            &mut outer_scratch,
                        );
                    }
                    if let (Some(dx), Some(to)) = (dx, to) {
                        dx.through.back(from, to, slot.len, vectors);
                    }
                }
            }
        }
    }

    fn outer_scratch_len(&self) -> usize {
        let widest = self.pattern.inputs.iter().map(|slot| slot.len).max().unwrap_or(0);
        outer_scratch_len::<T>(widest.max(self.pattern.widest))
    }
}
