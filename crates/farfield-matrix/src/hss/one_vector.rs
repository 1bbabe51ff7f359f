//! Products of an HSS matrix, or its transpose, with one vector.
//!
//! Neural-HSS, algorithm 1, node by node: up the tree `z = V^T x`, down again `y = D x + U w`. The kernels behind
//! [`apply`](crate::LinearOperator::apply) work on panels of eight vectors and more, and are bound by arithmetic when
//! only one is there; here every parameter is read once, in order, and blocks that are known to be zero (the part of `D`
//! above the leaves that a build from entries or from a dense matrix leaves empty) are not read at all. Cost: one
//! multiply-add a parameter, as fast as memory is read.

use std::ops::Range;

use faer::MatRef;
use farfield_kernels::{Block, HssLayout, Node};

use super::Hss;
use super::passes::{downward, upward};
use crate::error::MatrixError;
use crate::matvec::{add_matvec, add_matvec_transpose};
use crate::scalar::Scalar;

/// For each node, whether `D` couples none of its children with itself.
pub(super) fn hollow_nodes<T: Scalar>(layout: &HssLayout, data: &[T]) -> Vec<bool> {
    let is_hollow = |node: &Node| {
        !node.is_leaf()
            && own_blocks(layout, node).all(|(rows, cols)| {
                data[node.d.range()]
                    .chunks_exact(node.d.cols.max(1))
                    .skip(rows.start)
                    .take(rows.len())
                    .all(|row| row[cols.clone()].iter().all(|&x| x == T::ZERO))
            })
    };
    layout.nodes().iter().map(is_hollow).collect()
}

/// Rows and columns of `D` that belong to each child.
fn own_blocks<'a>(layout: &'a HssLayout, node: &Node) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + 'a {
    let (mut row, mut col) = (0, 0);
    layout.nodes()[node.children()].iter().map(move |child| {
        let block = (row..row + child.u.cols, col..col + child.v.cols);
        (row, col) = (block.0.end, block.1.end);
        block
    })
}

impl<T: Scalar> Hss<T> {
    /// `A x`, or `A^T x`, with `x` and the result in tree order.
    pub(super) fn multiply_one(&self, x: &[T], transposed: bool) -> Result<Vec<T>, MatrixError> {
        let nodes = self.layout.nodes();
        let up = |i: usize, children: Vec<Vec<T>>| {
            let node = &nodes[i];
            let range = if transposed { node.rows() } else { node.cols() };
            let input: Vec<T> = if node.is_leaf() { x[range].to_vec() } else { children.concat() };
            let basis = if transposed { node.u } else { node.v };
            let mut z = vec![T::ZERO; basis.cols];
            // The root has no bases.
            if i > 0 {
                add_matvec(self.by_columns(basis), &input, &mut z);
            }
            Ok((input, z))
        };
        let (inputs, _) = upward(&self.rows, up)?;
        let down = |i: usize, received: Vec<T>| {
            let node = &nodes[i];
            let mut out = vec![T::ZERO; if transposed { node.d.cols } else { node.d.rows }];
            self.add_d(i, &inputs[i], transposed, &mut out);
            if i > 0 {
                let basis = if transposed { node.v } else { node.u };
                add_matvec_transpose(self.by_columns(basis), &received, &mut out);
            }
            if node.is_leaf() {
                return (out, Vec::new());
            }
            let mut rest = out.as_slice();
            let parts = nodes[node.children()].iter().map(|child| {
                let (part, tail) = rest.split_at(if transposed { child.v.cols } else { child.u.cols });
                rest = tail;
                part.to_vec()
            });
            (Vec::new(), parts.collect())
        };
        let kept = downward(&self.rows, Vec::new(), down);
        // Leaves may lie on different levels: they are put in place by their ranges.
        let mut y = vec![T::ZERO; if transposed { self.ncols() } else { self.nrows() }];
        for (node, part) in nodes.iter().zip(kept).filter(|(node, _)| node.is_leaf()) {
            y[if transposed { node.cols() } else { node.rows() }].copy_from_slice(&part);
        }
        Ok(y)
    }

    /// `out += D input` or `out += D^T input`.
    fn add_d(&self, i: usize, input: &[T], transposed: bool, out: &mut [T]) {
        let node = &self.layout.nodes()[i];
        let d = self.by_columns(node.d);
        let mut add = |rows: Range<usize>, cols: Range<usize>| {
            let part = d.submatrix(cols.start, rows.start, cols.len(), rows.len());
            if transposed {
                add_matvec(part, &input[rows], &mut out[cols]);
            } else {
                add_matvec_transpose(part, &input[cols], &mut out[rows]);
            }
        };
        if !self.hollow[i] {
            return add(0..node.d.rows, 0..node.d.cols);
        }
        for (rows, cols) in own_blocks(&self.layout, node) {
            add(rows.clone(), 0..cols.start);
            add(rows, cols.end..node.d.cols);
        }
    }

    /// The transpose of a block, whose columns lie one after the other.
    fn by_columns(&self, block: Block) -> MatRef<'_, T> {
        MatRef::from_column_major_slice(&self.data[block.range()], block.cols, block.rows)
    }
}
