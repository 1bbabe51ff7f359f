//! Blocks with activations inside: each is a feed-forward network of its own.
//!
//! The second variant of H2-NN (arXiv 2212.12899, end of section 2.2), and `h` of eq. 4 as its case of one product. Contributions of different blocks cannot be
//! summed in registers, as those of plain layers are. The backward pass computes the inside of a block again rather than keep it: the hidden numbers of
//! all blocks together are many times those of all slots. Cost: as a plain layer forward, half as much again backward.

use super::activation::Activation;
use super::products::{GROUP, Stage};
use crate::parallel::Shared;
use crate::scalar::Scalar;
use crate::view::{Coefficients, Term, View};

impl<T: Scalar> Stage<'_, T> {
    /// Elements of scratch that a block needs for `vectors` panels: the numbers behind each of its products, and two gradients.
    pub(super) fn units_scratch_len(&self, vectors: usize) -> usize {
        (self.pattern.spec.unit_depth + 2) * self.array_len(vectors)
    }

    fn array_len(&self, vectors: usize) -> usize {
        self.pattern.widest * vectors.min(GROUP) * T::LANES
    }

    /// Product `j` of block `p` with its bias, behind an activation.
    ///
    /// # Safety
    /// `x` and `y` have the columns and rows of the product, `vectors` panels are in bounds, and do not overlap.
    unsafe fn run_link(&self, p: usize, j: usize, x: View<T>, y: View<T>, vectors: usize, activation: Activation) {
        let (link, ones) = (self.pattern.links[p * self.pattern.spec.unit_depth + j], [T::ONE; 16]);
        let a = Coefficients::row_major(self.parameters[link.weights.range()].as_ptr(), link.weights.cols);
        let product = Term { inner: link.weights.cols, a, x };
        // SAFETY: the caller's.
        unsafe {
            match link.bias {
                Some(at) => activation.multiply(&[product, self.bias(at, &ones)], link.weights.rows, vectors, y),
                None => activation.multiply(&[product], link.weights.rows, vectors, y),
            }
        }
    }

    /// Runs block `p` on `x`, its first `products` products with their activations; the numbers behind product `j` go to array `j` of the scratch, of which
    /// the last view is returned (`x` for none).
    ///
    /// # Safety
    /// `x` has the columns of the block as rows, `vectors <= GROUP` panels are in bounds.
    unsafe fn inside(&self, p: usize, products: usize, x: View<T>, vectors: usize, scratch: &mut [T]) -> View<T> {
        let mut from = x;
        for j in 0..products {
            let to = self.behind(p, j, vectors, scratch);
            // SAFETY: the arrays of the scratch are as wide as any product; the caller vouches for `x`.
            unsafe { self.run_link(p, j, from, to, vectors, self.pattern.spec.link_activation(j)) };
            from = to;
        }
        from
    }

    /// The numbers behind product `j` in the scratch.
    fn behind(&self, p: usize, j: usize, vectors: usize, scratch: &mut [T]) -> View<T> {
        let rows = self.pattern.links[p * self.pattern.spec.unit_depth + j].weights.rows;
        let len = self.array_len(vectors);
        View::panels(scratch[j * len..(j + 1) * len].as_mut_ptr(), rows)
    }

    /// `y += block p (x)`.
    ///
    /// # Safety
    /// As [`Stage::inside`], and `y` has the rows of the block.
    pub(super) unsafe fn add_unit(&self, p: usize, x: View<T>, y: View<T>, vectors: usize, scratch: &mut [T]) {
        let (spec, last) = (&self.pattern.spec, self.pattern.spec.unit_depth - 1);
        let block = self.pattern.links[p * spec.unit_depth + last].weights;
        // SAFETY: the caller's.
        unsafe {
            let from = self.inside(p, last, x, vectors, scratch);
            if spec.inside.is_identity() {
                let a = Coefficients::row_major(self.parameters[block.range()].as_ptr(), block.cols);
                (T::kernels().multiply)(&[Term { inner: block.cols, a, x: from }], block.rows, vectors, y, true);
            } else {
                let sums = self.behind(p, last, vectors, scratch);
                self.run_link(p, last, from, sums, vectors, Activation::Identity);
                spec.inside.add(sums, y, block.rows, vectors);
            }
        }
    }

    /// The gradients of block `p` by its parameters, and `dx += ` the gradient by its input, from the gradient `dz` by its contribution.
    /// `first` says whether these are the first panels: then the gradient is written, else added to.
    ///
    /// # Safety
    /// As [`Stage::add_unit`]; nobody else touches `dx` and the gradient of this block.
    pub(super) unsafe fn unit_backward(
        &self,
        p: usize,
        x: View<T>,
        dz: View<T>,
        dx: Option<View<T>>,
        gradient: Shared<T>,
        vectors: usize,
        first: bool,
        scratch: &mut [T],
        outer_scratch: &mut [T],
    ) {
        let (spec, kernels, ones) = (&self.pattern.spec, T::kernels(), [T::ONE; 16]);
        let ones = View::new(ones.as_ptr().cast_mut(), 0, 0);
        let (depth, len) = (spec.unit_depth, self.array_len(vectors));
        let link = |j: usize| self.pattern.links[p * depth + j];
        // SAFETY: the arrays of the scratch are as wide as any product; the rest is the caller's.
        unsafe {
            let last = self.inside(p, depth - 1, x, vectors, scratch);
            let mut own = 0;
            let mut g = dz;
            if !spec.inside.is_identity() {
                g = View::panels(scratch[depth * len..].as_mut_ptr(), link(depth - 1).weights.rows);
                self.run_link(p, depth - 1, last, g, vectors, Activation::Identity);
                spec.inside.slope_times(g, dz, link(depth - 1).weights.rows, vectors);
            }
            for j in (0..depth).rev() {
                let link = link(j);
                let (rows, cols) = (link.weights.rows, link.weights.cols);
                if j + 1 < depth {
                    spec.unit_activation.back(self.behind(p, j, vectors, scratch), g, rows, vectors);
                }
                let from = if j == 0 { x } else { self.behind(p, j - 1, vectors, scratch) };
                let to = gradient.at(link.weights.offset);
                (kernels.outer)(g, from, rows, cols, vectors, to, cols, !first, outer_scratch);
                if let Some(at) = link.bias {
                    (kernels.outer)(g, ones, rows, 1, vectors, gradient.at(at), 1, !first, outer_scratch);
                }
                let a = Coefficients::transposed(self.parameters[link.weights.range()].as_ptr(), cols);
                let term = Term { inner: rows, a, x: g };
                if j > 0 {
                    own = 1 - own;
                    let next = View::panels(scratch[(depth + own) * len..].as_mut_ptr(), cols);
                    (kernels.multiply)(&[term], cols, vectors, next, false);
                    g = next;
                } else if let Some(dx) = dx {
                    (kernels.multiply)(&[term], cols, vectors, dx, true);
                }
            }
        }
    }
}
