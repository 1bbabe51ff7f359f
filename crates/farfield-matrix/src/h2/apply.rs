//! Products of an H2-matrix with vectors: coefficients up the column tree, blocks, coefficients down the row tree.
//!
//! The blocks are cut into pieces of similar work, as the matrix alone determines; each piece sums into vectors of its own, which are added
//! in order: the same bits on any number of threads. Cost: one multiply-add (or kernel value) a stored (or recomputed) number, two when a
//! block serves for its mirror image too.

use std::ops::Range;

use faer::MatRef;
use rayon::prelude::*;

use super::H2Matrix;
use super::storage::Block;
use crate::error::MatrixError;
use crate::linalg::add_product;
use crate::matrix::Matrix;
use crate::operator::{LinearOperator, check_rows};
use crate::scalar::Scalar;

/// Pieces that the blocks are cut into, at most: as many threads can work on a product.
const PIECES: usize = 16;

/// Work below which cutting does not pay.
const PIECE_WORK: usize = 1 << 18;

/// Vectors that are multiplied together.
const PANEL: usize = 16;

/// Sums of one piece: rows of the result, and coefficients.
struct Sums<T> {
    near: Matrix<T>,
    far: Matrix<T>,
}

impl<T: Scalar> LinearOperator<T> for H2Matrix<T> {
    fn nrows(&self) -> usize {
        H2Matrix::nrows(self)
    }

    fn ncols(&self) -> usize {
        H2Matrix::ncols(self)
    }

    fn apply(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("H2 product, X", x, self.ncols())?;
        Ok(self.in_panels(x, false))
    }

    fn apply_transpose(&self, x: &Matrix<T>) -> Result<Matrix<T>, MatrixError> {
        check_rows("transposed H2 product, X", x, self.nrows())?;
        Ok(self.in_panels(x, true))
    }
}

impl<T: Scalar> H2Matrix<T> {
    fn in_panels(&self, x: &Matrix<T>, transposed: bool) -> Matrix<T> {
        let (from, to) = if transposed { (&self.rows, &self.cols) } else { (&self.cols, &self.rows) };
        let mut out = Matrix::zeros(to.tree.len(), x.ncols());
        let mut first = 0;
        while first < x.ncols() {
            let count = PANEL.min(x.ncols() - first);
            let order = from.tree.order();
            let panel = Matrix::from_fn(x.nrows(), count, |i, j| x[(order[i], first + j)]);
            let mut y = self.multiply_vectors(&panel, transposed);
            for j in 0..count {
                y.col_mut(j).iter_mut().for_each(|y| *y *= self.factor);
                for (&value, &i) in y.col(j).iter().zip(to.tree.order()) {
                    out[(i, first + j)] = value;
                }
            }
            first += count;
        }
        out
    }

    /// The product in tree order, without the factor.
    fn multiply_vectors(&self, x: &Matrix<T>, transposed: bool) -> Matrix<T> {
        let (from, to) = if transposed { (&self.rows, &self.cols) } else { (&self.cols, &self.rows) };
        let coefficients = from.forward(x);
        let sums: Vec<Sums<T>> = (self.pieces().into_par_iter())
            .map(|piece| {
                let near = Matrix::zeros(to.tree.len(), x.ncols());
                let mut sums = Sums { near, far: Matrix::zeros(to.total(), x.ncols()) };
                let mut scratch = Vec::new();
                for i in piece {
                    self.multiply_block(i, transposed, x, &coefficients, &mut sums, &mut scratch);
                }
                sums
            })
            .collect();
        let mut sums = sums.into_iter();
        let Some(mut total) = sums.next() else { return Matrix::zeros(to.tree.len(), x.ncols()) };
        for part in sums {
            for (total, part) in [(&mut total.near, part.near), (&mut total.far, part.far)] {
                for j in 0..x.ncols() {
                    for (total, part) in total.col_mut(j).iter_mut().zip(part.col(j)) {
                        *total += *part;
                    }
                }
            }
        }
        to.backward(total.far, &mut total.near);
        total.near
    }

    /// The blocks in pieces of similar work.
    fn pieces(&self) -> Vec<Range<usize>> {
        let count = self.far.len() + self.near.len();
        let work = |i: usize| {
            let (m, n) = self.size(i);
            m * n
        };
        let all: usize = (0..count).map(work).sum();
        let pieces = (all / PIECE_WORK).clamp(1, PIECES);
        let (mut out, mut first, mut done) = (Vec::new(), 0, 0);
        for i in 0..count {
            done += work(i);
            if done * pieces >= all * (out.len() + 1) {
                out.push(first..i + 1);
                first = i + 1;
            }
        }
        if first < count {
            out.push(first..count);
        }
        out
    }

    /// Adds block `i`, and its mirror image if there is one.
    fn multiply_block(
        &self,
        i: usize,
        transposed: bool,
        x: &Matrix<T>,
        coefficients: &Matrix<T>,
        sums: &mut Sums<T>,
        scratch: &mut Vec<T>,
    ) {
        let (s, t) = self.pair(i);
        let far = i < self.far.len();
        let (rows, cols) = if far {
            (self.rows.coefficients(s), self.cols.coefficients(t))
        } else {
            (self.rows.tree.cluster(s).range.clone(), self.cols.tree.cluster(t).range.clone())
        };
        if rows.is_empty() || cols.is_empty() {
            return;
        }
        let (from, to) = if far { (coefficients, &mut sums.far) } else { (x, &mut sums.near) };
        let both = self.mirrored && s != t;
        let view = self.view(i);
        if x.ncols() > 1 {
            self.numbers(i, scratch);
            let block = MatRef::from_column_major_slice(&scratch[..], rows.len(), cols.len());
            let source = |r: &Range<usize>| from.as_ref().subrows(r.start, r.len());
            if !transposed || both {
                add_product(to.as_mut().subrows_mut(rows.start, rows.len()), T::ONE, block, source(&cols));
            }
            if transposed || both {
                let block = block.transpose();
                add_product(to.as_mut().subrows_mut(cols.start, cols.len()), T::ONE, block, source(&rows));
            }
            return;
        }
        let (from, to) = (from.col(0), to.col_mut(0));
        let done = match view {
            Block::Points(evaluator, distinct, px, py) if evaluator.radial(distinct).is_some() => {
                // Checked above.
                let Some(radial) = evaluator.radial(distinct) else { return };
                if both {
                    let (to_rows, to_cols) = two_parts(to, &rows, &cols);
                    radial.add_both_products((px, &from[rows], to_rows), (py, &from[cols], to_cols))
                } else if transposed {
                    radial.add_product(py, px, &from[rows], &mut to[cols])
                } else {
                    radial.add_product(px, py, &from[cols], &mut to[rows])
                }
            }
            view => {
                let size = (rows.len(), cols.len());
                let stored = match view {
                    Block::Stored(stored) => stored,
                    Block::Points(..) => {
                        self.numbers(i, scratch);
                        farfield_kernels::Stored::Full(&scratch[..])
                    }
                };
                if both {
                    let (from_rows, from_cols) = (&from[rows.clone()], &from[cols.clone()]);
                    let (to_rows, to_cols) = two_parts(to, &rows, &cols);
                    stored.add_products(size, Some((from_cols, to_rows)), Some((from_rows, to_cols)))
                } else if transposed {
                    stored.add_products(size, None, Some((&from[rows], &mut to[cols])))
                } else {
                    stored.add_products(size, Some((&from[cols], &mut to[rows])), None)
                }
            }
        };
        debug_assert!(done.is_ok());
    }
}

/// Two disjoint parts of a slice.
fn two_parts<'a, T>(x: &'a mut [T], a: &Range<usize>, b: &Range<usize>) -> (&'a mut [T], &'a mut [T]) {
    if a.start < b.start {
        let (low, high) = x.split_at_mut(b.start);
        (&mut low[a.clone()], &mut high[..b.len()])
    } else {
        let (low, high) = x.split_at_mut(a.start);
        (&mut high[..a.len()], &mut low[b.clone()])
    }
}
