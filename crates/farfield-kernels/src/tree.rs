//! One HSS matrix times many vectors: up the tree, down the tree, and their gradients.
//!
//! With `x` split into leaves, the product `y = A x` (Neural-HSS, algorithm 1) is
//!
//! ```text
//! up:    z_L,i = V_L,i^T x_i,              z_l,i = V_l,i^T [z_{l+1,2i}; z_{l+1,2i+1}]
//! root:  [t_1,0; t_1,1] = D_0 [z_1,0; z_1,1]
//! down:  [t_{l+1,2i}; t_{l+1,2i+1}] = D_l,i [z_{l+1,2i}; z_{l+1,2i+1}] + U_l,i t_l,i,     y_i = D_L,i x_i + U_L,i t_L,i
//! ```
//!
//! The adjoint is the same with `U` and `V` exchanged and `D` transposed; the gradient by a block is the outer
//! product of what multiplies it from both sides, summed over vectors. Cost: one multiply-add a parameter and
//! vector for each of the three.

use crate::layout::{HssLayout, Node};
use crate::microkernel::Kernels;
use crate::scalar::Scalar;
use crate::view::{Coefficients, Term, View};

/// An HSS matrix: its layout and the address of its parameters.
#[derive(Clone, Copy)]
pub(crate) struct Tree<'a, T: 'static> {
    pub layout: &'a HssLayout,
    /// `layout.len()` parameters.
    pub parameters: *const T,
    pub kernels: &'static Kernels<T>,
}

// SAFETY: the parameters are only read, and whoever made the `Tree` keeps them alive.
unsafe impl<T: Scalar> Send for Tree<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Scalar> Sync for Tree<'_, T> {}

/// Which way through the matrix.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// `y = A x`.
    Forward,
    /// `y = A^T x`.
    Adjoint,
}

impl HssLayout {
    /// Rows of the coefficient arrays: `r` for every node but the root.
    pub(crate) fn coefficient_rows(&self) -> usize {
        (2 * (1 << self.levels()) - 2) * self.rank()
    }

    /// First coefficient row of a level (1 to `levels`).
    fn coefficient_row(&self, level: usize) -> usize {
        ((1 << level) - 2) * self.rank()
    }

    fn leaf_rows(&self, direction: Direction, i: usize) -> (usize, usize) {
        match direction {
            Direction::Forward => (self.leaf_in(i).start, self.leaf_out(i).start),
            Direction::Adjoint => (self.leaf_out(i).start, self.leaf_in(i).start),
        }
    }
}

impl<T: Scalar> Tree<'_, T> {
    fn basis(&self, node: &Node, direction: Direction) -> (Coefficients<T>, usize) {
        let block = match direction {
            Direction::Forward => node.v,
            Direction::Adjoint => node.u,
        };
        let p = self.parameters.wrapping_add(block.offset);
        (Coefficients::transposed(p, block.cols), block.rows)
    }

    /// `coefficients = V^T ... V^T x` (adjoint: `U^T ... U^T x`) on all levels.
    ///
    /// # Safety
    /// `x` has `n_in` rows (adjoint: `n_out`), `coefficients` has `coefficient_rows()`, both `vectors` vectors; they do not
    /// overlap.
    pub unsafe fn up(&self, direction: Direction, x: View<T>, vectors: usize, coefficients: View<T>) {
        let (layout, rank) = (self.layout, self.layout.rank());
        if rank == 0 {
            return;
        }
        for level in (1..=layout.levels()).rev() {
            let to = coefficients.at_row(layout.coefficient_row(level));
            for (i, node) in layout.level(level).iter().enumerate() {
                let from = if level == layout.levels() {
                    x.at_row(layout.leaf_rows(direction, i).0)
                } else {
                    coefficients.at_row(layout.coefficient_row(level + 1) + 2 * i * rank)
                };
                let (a, inner) = self.basis(node, direction);
                let term = [Term { inner, a, x: from }];
                // SAFETY: the caller vouches for the views; blocks come from the layout.
                unsafe { (self.kernels.multiply)(&term, rank, vectors, to.at_row(i * rank), false) };
            }
        }
    }

    /// From the coefficients of [`Tree::up`] to those that the leaves receive, in `received`; with `leaves`,
    /// also `y (+)= D x + U received` for all leaves.
    ///
    /// # Safety
    /// As [`Tree::up`]; `y` has `n_out` rows (adjoint: `n_in`); no overlaps.
    pub unsafe fn down(
        &self,
        direction: Direction,
        x: View<T>,
        y: Option<View<T>>,
        vectors: usize,
        coefficients: View<T>,
        received: View<T>,
        accumulate: bool,
    ) {
        let (layout, rank) = (self.layout, self.layout.rank());
        let block = |b: crate::layout::Block, transposed: bool| {
            let p = self.parameters.wrapping_add(b.offset);
            if transposed {
                (Coefficients::transposed(p, b.cols), b.cols, b.rows)
            } else {
                (Coefficients::row_major(p, b.cols), b.rows, b.cols)
            }
        };
        let back = direction == Direction::Adjoint;
        for level in 0..=layout.levels() {
            let leaves = level == layout.levels();
            if !leaves && rank == 0 {
                continue;
            }
            for (i, node) in layout.level(level).iter().enumerate() {
                let (from, to, accumulate) = if leaves {
                    let Some(y) = y else { return };
                    let (from, to) = layout.leaf_rows(direction, i);
                    (x.at_row(from), y.at_row(to), accumulate)
                } else {
                    let row = layout.coefficient_row(level + 1) + 2 * i * rank;
                    (coefficients.at_row(row), received.at_row(row), false)
                };
                let (a, rows, inner) = block(node.d, back);
                let mut terms = [Term { inner, a, x: from }; 2];
                let mut count = 1;
                if level > 0 && rank > 0 {
                    // Forward: U; adjoint: V. Neither is transposed.
                    let outer = if back { node.v } else { node.u };
                    let row = layout.coefficient_row(level) + i * rank;
                    terms[1] = Term { inner: rank, a: block(outer, false).0, x: received.at_row(row) };
                    count = 2;
                }
                // SAFETY: the caller vouches for the views; blocks come from the layout.
                unsafe { (self.kernels.multiply)(&terms[..count], rows, vectors, to, accumulate) };
            }
        }
    }

    /// `y (+)= A x`, or with `A^T`.
    ///
    /// # Safety
    /// As [`Tree::up`] and [`Tree::down`].
    pub unsafe fn apply(
        &self,
        direction: Direction,
        x: View<T>,
        y: View<T>,
        vectors: usize,
        coefficients: View<T>,
        received: View<T>,
        accumulate: bool,
    ) {
        // SAFETY: the same promises.
        unsafe {
            self.up(direction, x, vectors, coefficients);
            self.down(direction, x, Some(y), vectors, coefficients, received, accumulate);
        }
    }
}

/// Everything that the gradient by the parameters of one HSS matrix needs.
#[derive(Clone, Copy)]
pub(crate) struct GradientInputs<T> {
    /// Input of the product, `n_in` rows.
    pub x: View<T>,
    /// Gradient by its output, `n_out` rows.
    pub dy: View<T>,
    /// Coefficients of the forward pass: up and received.
    pub up: View<T>,
    pub received: View<T>,
    /// Coefficients of the adjoint pass: up and received.
    pub up_adjoint: View<T>,
    pub received_adjoint: View<T>,
    pub vectors: usize,
}

/// Rows of a `D` block that one task computes.
const ROWS_PER_TASK: usize = 64;

/// A part of the parameter gradient that can be computed on its own: some rows of `D`, and with the first rows `U` and `V`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GradientTask {
    level: usize,
    node: usize,
    first_row: usize,
}

impl HssLayout {
    /// All tasks of the parameter gradient; together they write every entry once.
    pub(crate) fn gradient_tasks(&self) -> Vec<GradientTask> {
        let mut tasks = Vec::new();
        for level in (0..=self.levels()).rev() {
            for (node, blocks) in self.level(level).iter().enumerate() {
                for first_row in (0..blocks.d.rows.max(1)).step_by(ROWS_PER_TASK) {
                    tasks.push(GradientTask { level, node, first_row });
                }
            }
        }
        tasks
    }

    /// One task of the parameter gradient: `dD (+)= dy x^T`, `dU (+)= dy received^T`, `dV (+)= x received_adjoint^T`.
    ///
    /// # Safety
    /// `gradient` points to `len()` entries; the views hold all rows and vectors; no overlaps; no two threads run the
    /// same task.
    pub(crate) unsafe fn gradient_task<T: Scalar>(
        &self,
        kernels: &Kernels<T>,
        task: GradientTask,
        inputs: &GradientInputs<T>,
        gradient: *mut T,
        accumulate: bool,
        scratch: &mut [T],
    ) {
        let GradientTask { level, node, first_row } = task;
        let blocks = &self.level(level)[node];
        let rank = self.rank();
        let (x, dy) = if level == self.levels() {
            (inputs.x.at_row(self.leaf_in(node).start), inputs.dy.at_row(self.leaf_out(node).start))
        } else {
            let row = self.coefficient_row(level + 1) + 2 * node * rank;
            (inputs.up.at_row(row), inputs.up_adjoint.at_row(row))
        };
        let mut outer = |left: View<T>, right: View<T>, rows: usize, columns: usize, offset: usize| {
            let to = gradient.wrapping_add(offset);
            // SAFETY: the caller vouches for the views and for `gradient`; blocks come from the layout.
            unsafe { (kernels.outer)(left, right, rows, columns, inputs.vectors, to, columns, accumulate, scratch) };
        };
        let d = blocks.d;
        let rows = ROWS_PER_TASK.min(d.rows - first_row.min(d.rows));
        outer(dy.at_row(first_row), x, rows, d.cols, d.offset + first_row * d.cols);
        if first_row == 0 && level > 0 {
            let row = self.coefficient_row(level) + node * rank;
            outer(dy, inputs.received.at_row(row), blocks.u.rows, rank, blocks.u.offset);
            outer(x, inputs.received_adjoint.at_row(row), blocks.v.rows, rank, blocks.v.offset);
        }
    }

    /// All tasks one after the other.
    ///
    /// # Safety
    /// As [`HssLayout::gradient_task`].
    pub(crate) unsafe fn gradient<T: Scalar>(
        &self,
        kernels: &Kernels<T>,
        tasks: &[GradientTask],
        inputs: &GradientInputs<T>,
        gradient: *mut T,
        accumulate: bool,
        scratch: &mut [T],
    ) {
        for &task in tasks {
            // SAFETY: the same promises.
            unsafe { self.gradient_task(kernels, task, inputs, gradient, accumulate, scratch) };
        }
    }
}
