//! Blocks with activations inside: each is a feed-forward network of its own.
//!
//! The second variant of H2-NN (arXiv 2212.12899, end of section 2.2), and `h` of eq. 4 as its case of one product. Contributions of different blocks cannot be
//! summed in registers, as those of plain layers are. The backward pass computes the inside of a block again rather than keep it: the hidden numbers of
//! all blocks together are many times those of all slots. Cost: as a plain layer forward, half as much again backward.

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
        self.pattern.widest() * vectors.min(GROUP) * T::LANES
    }

    /// The product `j` of block `p` as a term of a sum.
    fn link(&self, p: usize, j: usize, x: View<T>) -> Term<T> {
        let block = self.pattern.links[p * self.pattern.spec.unit_depth + j].weights;
        let a = Coefficients::row_major(self.parameters[block.range()].as_ptr(), block.cols);
        Term { inner: block.cols, a, x }
    }

    /// Runs block `p` on `x`, its first `products` products with their activations; the numbers behind product `j` go to array `j` of the scratch, of which
    /// the last view is returned (`x` for none).
    ///
    /// # Safety
    /// `x` has the columns of the block as rows, `vectors <= GROUP` panels are in bounds.
    unsafe fn inside(&self, p: usize, products: usize, x: View<T>, vectors: usize, scratch: &mut [T]) -> View<T> {
        let (spec, kernels, ones) = (&self.pattern.spec, T::kernels(), [T::ONE; 16]);
        let mut from = x;
        for j in 0..products {
            let link = self.pattern.links[p * spec.unit_depth + j];
            let to = self.behind(p, j, vectors, scratch);
            let mut terms = [self.link(p, j, from); 2];
            let count = match link.bias {
                Some(at) => {
                    terms[1] = self.bias(at, &ones);
                    2
                }
                None => 1,
            };
            // SAFETY: the arrays of the scratch are as wide as any product; the caller vouches for `x`.
            unsafe {
                (kernels.multiply)(&terms[..count], link.weights.rows, vectors, to, false);
                spec.link_activation(j).apply(to, link.weights.rows, vectors);
            }
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
        let (spec, kernels) = (&self.pattern.spec, T::kernels());
        let last = spec.unit_depth - 1;
        let rows = self.pattern.links[p * spec.unit_depth + last].weights.rows;
        // SAFETY: the caller's.
        unsafe {
            if spec.inside.is_identity() {
                let from = self.inside(p, last, x, vectors, scratch);
                (kernels.multiply)(&[self.link(p, last, from)], rows, vectors, y, true);
            } else {
                let from = self.inside(p, spec.unit_depth, x, vectors, scratch);
                for v in 0..vectors {
                    let from = std::slice::from_raw_parts(from.at_vector(v).p, rows * T::LANES);
                    let to = std::slice::from_raw_parts_mut(y.at_vector(v).p, rows * T::LANES);
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += *from);
                }
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
            let kept = if spec.inside.is_identity() { depth - 1 } else { depth };
            self.inside(p, kept, x, vectors, scratch);
            let rows = link(depth - 1).weights.rows;
            let mut own = 0;
            let mut g = View::panels(scratch[depth * len..].as_mut_ptr(), rows);
            for v in 0..vectors {
                let from = std::slice::from_raw_parts(dz.at_vector(v).p, rows * T::LANES);
                std::slice::from_raw_parts_mut(g.at_vector(v).p, rows * T::LANES).copy_from_slice(from);
            }
            for j in (0..depth).rev() {
                let link = link(j);
                let (rows, cols) = (link.weights.rows, link.weights.cols);
                let activation = spec.link_activation(j);
                if !activation.is_identity() {
                    activation.back(self.behind(p, j, vectors, scratch), g, rows, vectors);
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
