//! Forward products of block-sparse layers.
//!
//! A task is a run of output slots and of at most [`GROUP`] panels. All blocks of an output are summed in registers, in the order of their inputs, and
//! the activation follows while the result is in cache; an output with activations inside its blocks goes through [`units`](super::units) instead.
//! What an output gets depends neither on the cut into tasks nor on the threads.

use std::ops::Range;

use super::pattern::BlockPattern;
use crate::parallel::{for_each, run_length};
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::view::{Coefficients, Term, View};

/// Panels that go through a block together, at most.
pub(super) const GROUP: usize = 12;

/// Multiply-adds of one task, about.
const TASK_WORK: usize = 1 << 19;

/// A layer with its parameters, at work on `panels` panels.
#[derive(Clone, Copy)]
pub(super) struct Stage<'a, T> {
    pub pattern: &'a BlockPattern,
    /// The whole flat slice, of which the pattern has a part.
    pub parameters: &'a [T],
    pub panels: usize,
}

impl<T: Scalar> Stage<'_, T> {
    /// `y = layer(x)`, or `y += layer(x)` for a layer without activation outside. Only the slots of the pattern are written.
    ///
    /// # Safety
    /// `x` and `y` are views of `panels` panels of `n_in` and `n_out` rows that do not overlap; nobody else touches the slots of `y`.
    pub unsafe fn forward(&self, x: View<T>, y: View<T>, accumulate: bool) {
        debug_assert!(!accumulate || self.pattern.spec.outside.is_identity());
        let groups = self.panels.div_ceil(run_length(self.panels, GROUP));
        let run = self.panels.div_ceil(groups.max(1));
        let cuts = Cuts::new(&self.pattern.output_work, run * T::LANES);
        let work = self.pattern.multiply_adds() * self.panels * T::LANES;
        for_each(groups * cuts.count, work, |task| {
            let first = task / cuts.count * run;
            let vectors = run.min(self.panels - first);
            let outputs = cuts.range(task % cuts.count);
            let (x, y) = (x.at_vector(first), y.at_vector(first));
            // SAFETY: these panels of these outputs belong to this task alone; the rest is the caller's.
            unsafe {
                if self.pattern.spec.is_plain() {
                    self.forward_plain(outputs, vectors, x, y, accumulate);
                } else {
                    self.forward_units(outputs, vectors, x, y, accumulate);
                }
            }
        });
    }

    unsafe fn forward_plain(&self, outputs: Range<usize>, vectors: usize, x: View<T>, y: View<T>, accumulate: bool) {
        let (pattern, kernels) = (self.pattern, T::kernels());
        let ones = [T::ONE; 16];
        let mut terms = Vec::new();
        for k in outputs {
            let slot = pattern.outputs[k];
            if slot.len == 0 || accumulate && pattern.by_output[k] == pattern.by_output[k + 1] {
                continue;
            }
            terms.clear();
            terms.extend(pattern.sum_bias[k].map(|at| self.bias(at, &ones)));
            for p in pattern.by_output[k]..pattern.by_output[k + 1] {
                let (input, block) = (pattern.inputs[pattern.pairs[p].input], pattern.links[p].weights);
                let a = Coefficients::row_major(self.parameters[block.range()].as_ptr(), block.cols);
                terms.push(Term { inner: block.cols, a, x: x.at_row(input.start) });
            }
            let to = y.at_row(slot.start);
            // SAFETY: slots and blocks lie inside the arrays, as the pattern was built.
            unsafe {
                if accumulate {
                    (kernels.multiply)(&terms, slot.len, vectors, to, true);
                } else {
                    pattern.spec.outside.multiply(&terms, slot.len, vectors, to);
                }
            }
        }
    }

    unsafe fn forward_units(&self, outputs: Range<usize>, vectors: usize, x: View<T>, y: View<T>, accumulate: bool) {
        let (pattern, kernels) = (self.pattern, T::kernels());
        let ones = [T::ONE; 16];
        let mut scratch = Scratch::take(self.units_scratch_len(vectors));
        for k in outputs {
            let slot = pattern.outputs[k];
            let to = y.at_row(slot.start);
            let bias = pattern.sum_bias[k].map(|at| self.bias(at, &ones));
            // SAFETY: as above; the scratch is long enough for any block.
            unsafe {
                (kernels.multiply)(bias.as_slice(), slot.len, vectors, to, accumulate);
                for p in pattern.by_output[k]..pattern.by_output[k + 1] {
                    let from = x.at_row(pattern.inputs[pattern.pairs[p].input].start);
                    self.add_unit(p, from, to, vectors, &mut scratch);
                }
                pattern.spec.outside.apply(to, slot.len, vectors);
            }
        }
    }

    /// A bias as a product with ones.
    pub(super) fn bias(&self, at: usize, ones: &[T; 16]) -> Term<T> {
        let a = Coefficients::row_major(self.parameters[at..].as_ptr(), 1);
        Term { inner: 1, a, x: View::new(ones.as_ptr().cast_mut(), 0, 0) }
    }
}

/// Slots cut into runs of similar work.
pub(super) struct Cuts<'a> {
    work: &'a [usize],
    pub count: usize,
}

impl<'a> Cuts<'a> {
    /// For work before each slot (and in total), to be done for `vectors` vectors.
    pub fn new(work: &'a [usize], vectors: usize) -> Self {
        let slots = work.len() - 1;
        let count = (work[slots].saturating_mul(vectors) / TASK_WORK).clamp(1, slots.max(1));
        Self { work, count }
    }

    /// The slots of run `i`.
    pub fn range(&self, i: usize) -> Range<usize> {
        let slots = self.work.len() - 1;
        let total = self.work[slots] as u128;
        let cut = |i: usize| match i {
            0 => 0,
            i if i == self.count => slots,
            i => self.work.partition_point(|&w| w as u128 * (self.count as u128) < total * i as u128).min(slots),
        };
        cut(i)..cut(i + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_cover_all_slots_once() {
        for work in [vec![0], vec![0, 0, 0], vec![0, 1, 1, 1, 900_000, 900_000, 2_000_000, 2_000_000], vec![0, 5]] {
            for vectors in [0, 1, 100, 1_000_000] {
                let cuts = Cuts::new(&work, vectors);
                let mut end = 0;
                for i in 0..cuts.count {
                    assert_eq!(cuts.range(i).start, end, "{work:?}, {vectors}");
                    end = cuts.range(i).end;
                }
                assert_eq!(end, work.len() - 1);
            }
        }
    }
}
