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

impl Node {
    /// First row and number of its own coefficients in an array of [`Tree::up`].
    fn collected(&self, direction: Direction) -> (usize, usize) {
        match direction {
            Direction::Forward => (self.col_coefficient, self.v.cols),
            Direction::Adjoint => (self.row_coefficient, self.u.cols),
        }
    }

    /// First row and number of its own coefficients in the array `received` of [`Tree::down`].
    fn received(&self, direction: Direction) -> (usize, usize) {
        self.collected(direction.other())
    }
}

impl Direction {
    fn other(self) -> Self {
        match self {
            Direction::Forward => Direction::Adjoint,
            Direction::Adjoint => Direction::Forward,
        }
    }
}

impl HssLayout {
    /// Where the input of a node is: rows of the vector for a leaf, the coefficients of its children above.
    fn input<T: Scalar>(&self, node: &Node, direction: Direction, x: View<T>, collected: View<T>) -> View<T> {
        match self.nodes()[node.children()].first() {
            Some(child) => collected.at_row(child.collected(direction).0),
            None if direction == Direction::Forward => x.at_row(node.cols().start),
            None => x.at_row(node.rows().start),
        }
    }

    /// Where the output of a node goes; `None` for a leaf without `y`.
    fn output<T: Scalar>(
        &self,
        node: &Node,
        direction: Direction,
        y: Option<View<T>>,
        received: View<T>,
    ) -> Option<View<T>> {
        match self.nodes()[node.children()].first() {
            Some(child) => Some(received.at_row(child.received(direction).0)),
            None if direction == Direction::Forward => y.map(|y| y.at_row(node.rows().start)),
            None => y.map(|y| y.at_row(node.cols().start)),
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

    /// `coefficients = V^T ... V^T x` (adjoint: `U^T ... U^T x`) at all nodes but the root.
    ///
    /// # Safety
    /// `x` has `n_in` rows (adjoint: `n_out`), `coefficients` has `coefficient_rows()`, both `vectors` vectors; they do not
    /// overlap.
    pub unsafe fn up(&self, direction: Direction, x: View<T>, vectors: usize, coefficients: View<T>) {
        for node in self.layout.nodes()[1..].iter().rev() {
            let (row, rank) = node.collected(direction);
            if rank == 0 {
                continue;
            }
            let (a, inner) = self.basis(node, direction);
            let term = [Term { inner, a, x: self.layout.input(node, direction, x, coefficients) }];
            // SAFETY: the caller vouches for the views; blocks come from the layout.
            unsafe { (self.kernels.multiply)(&term, rank, vectors, coefficients.at_row(row), false) };
        }
    }

    /// From the coefficients of [`Tree::up`] to those that the leaves receive, in `received`; with `y`,
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
        let block = |b: crate::layout::Block, transposed: bool| {
            let p = self.parameters.wrapping_add(b.offset);
            if transposed {
                (Coefficients::transposed(p, b.cols), b.cols, b.rows)
            } else {
                (Coefficients::row_major(p, b.cols), b.rows, b.cols)
            }
        };
        let back = direction == Direction::Adjoint;
        for (i, node) in self.layout.nodes().iter().enumerate() {
            let Some(to) = self.layout.output(node, direction, y, received) else { continue };
            let (a, rows, inner) = block(node.d, back);
            if rows == 0 {
                continue;
            }
            let mut terms = [Term { inner, a, x: self.layout.input(node, direction, x, coefficients) }; 2];
            let mut count = 1;
            let (row, rank) = node.received(direction);
            if i > 0 && rank > 0 {
                // Forward: U; adjoint: V. Neither is transposed.
                let outer = if back { node.v } else { node.u };
                terms[1] = Term { inner: rank, a: block(outer, false).0, x: received.at_row(row) };
                count = 2;
            }
            let accumulate = accumulate && node.is_leaf();
            // SAFETY: the caller vouches for the views; blocks come from the layout.
            unsafe { (self.kernels.multiply)(&terms[..count], rows, vectors, to, accumulate) };
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
    node: usize,
    first_row: usize,
}

impl HssLayout {
    /// All tasks of the parameter gradient; together they write every entry once. Leaves first: their tasks are the long ones.
    pub(crate) fn gradient_tasks(&self) -> Vec<GradientTask> {
        let mut tasks = Vec::new();
        for level in (0..=self.levels()).rev() {
            for node in self.level_range(level) {
                for first_row in (0..self.nodes()[node].d.rows.max(1)).step_by(ROWS_PER_TASK) {
                    tasks.push(GradientTask { node, first_row });
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
        let GradientTask { node, first_row } = task;
        let root = node == 0;
        let node = &self.nodes()[node];
        let x = self.input(node, Direction::Forward, inputs.x, inputs.up);
        let dy = self.input(node, Direction::Adjoint, inputs.dy, inputs.up_adjoint);
        let mut outer = |left: View<T>, right: View<T>, rows: usize, columns: usize, offset: usize| {
            let to = gradient.wrapping_add(offset);
            // SAFETY: the caller vouches for the views and for `gradient`; blocks come from the layout.
            unsafe { (kernels.outer)(left, right, rows, columns, inputs.vectors, to, columns, accumulate, scratch) };
        };
        let d = node.d;
        let rows = ROWS_PER_TASK.min(d.rows - first_row.min(d.rows));
        outer(dy.at_row(first_row), x, rows, d.cols, d.offset + first_row * d.cols);
        if first_row == 0 && !root {
            let received = inputs.received.at_row(node.row_coefficient);
            outer(dy, received, node.u.rows, node.u.cols, node.u.offset);
            let received = inputs.received_adjoint.at_row(node.col_coefficient);
            outer(x, received, node.v.rows, node.v.cols, node.v.offset);
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
