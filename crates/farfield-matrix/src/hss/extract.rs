//! Entries, blocks, diagonal and trace of an HSS matrix, without its dense form.
//!
//! The block of some rows and columns is the same telescope with fewer rows: at each node the chosen rows of the long
//! bases are the products of those of its children with its own `U`, and a node adds `U' D V'^T` of its children's
//! chosen bases to what they have themselves. Nodes without chosen rows and columns are left out.

use faer::Mat;

use super::Hss;
use super::telescope::Telescope;
use crate::error::MatrixError;
use crate::linalg::{add_product, product};
use crate::matrix::Matrix;
use crate::operator::check_indices;
use crate::scalar::Scalar;

/// Chosen rows and columns in tree order, each with its place in the result.
struct Chosen {
    rows: Vec<(usize, usize)>,
    cols: Vec<(usize, usize)>,
}

/// What a node contributes: the entries among its own chosen rows and columns, and the long bases in them.
struct Part<T> {
    entries: Mat<T>,
    u: Mat<T>,
    v: Mat<T>,
}

impl<T: Scalar> Hss<T> {
    /// Entry `(row, col)`, in the user's order. Cost O(n) to find the places and O(r^2 log n): for many entries use
    /// [`Hss::block`].
    ///
    /// # Errors
    /// As [`Hss::block`].
    pub fn entry(&self, row: usize, col: usize) -> Result<T, MatrixError> {
        Ok(self.block(&[row], &[col])?[(0, 0)])
    }

    /// The entries at `rows x cols`, in the user's order; indices may be repeated. Cost O(n) to find the places and
    /// O((|rows| + |cols|) r^2 log n + |rows| |cols| r log n).
    ///
    /// # Errors
    /// [`MatrixError::Option`] for an index that is not below the number of rows or columns.
    pub fn block(&self, rows: &[usize], cols: &[usize]) -> Result<Matrix<T>, MatrixError> {
        check_indices("row", rows, self.nrows())?;
        check_indices("column", cols, self.ncols())?;
        let places = |indices: &[usize], positions: &[usize]| {
            let mut places: Vec<(usize, usize)> = indices.iter().enumerate().map(|(k, &i)| (positions[i], k)).collect();
            places.sort_unstable();
            places
        };
        let chosen = Chosen { rows: places(rows, &self.rows.positions()), cols: places(cols, &self.cols.positions()) };
        Ok(self.chosen_entries(&chosen))
    }

    /// `A(i, i)` for all `i`, in the user's order. Cost O(n (m + r) r) for leaves of `m` on equal trees of rows and
    /// columns; O(n r^2 log n) on others.
    ///
    /// # Errors
    /// [`MatrixError::Layout`] unless the matrix is square.
    pub fn diagonal(&self) -> Result<Vec<T>, MatrixError> {
        let n = self.nrows();
        if n != self.ncols() {
            return Err(MatrixError::Shapes {
                operation: "diagonal",
                left_out: n,
                left_in: self.ncols(),
                right_out: n,
                right_in: n,
                rule: "the matrix must be square",
            });
        }
        let mut out = vec![T::ZERO; n];
        if self.rows == self.cols {
            let mut form = Telescope::of(self);
            form.push_down();
            for leaf in self.rows.leaves() {
                for (k, &i) in self.rows.indices(leaf).iter().enumerate() {
                    out[i] = form.blocks[leaf].d[(k, k)];
                }
            }
            return Ok(out);
        }
        let (of_rows, of_cols) = (self.rows.positions(), self.cols.positions());
        for some in self.rows.order().chunks(64) {
            let places = |positions: &[usize]| {
                let mut places: Vec<_> = some.iter().enumerate().map(|(k, &i)| (positions[i], k)).collect();
                places.sort_unstable();
                places
            };
            let entries = self.chosen_entries(&Chosen { rows: places(&of_rows), cols: places(&of_cols) });
            some.iter().enumerate().for_each(|(k, &i)| out[i] = entries[(k, k)]);
        }
        Ok(out)
    }

    /// Sum of the diagonal.
    ///
    /// # Errors
    /// As [`Hss::diagonal`].
    pub fn trace(&self) -> Result<T, MatrixError> {
        Ok(self.diagonal()?.into_iter().fold(T::ZERO, |sum, x| sum + x))
    }

    fn chosen_entries(&self, chosen: &Chosen) -> Matrix<T> {
        let inside = self.part(0, chosen).entries;
        let mut out = Matrix::zeros(chosen.rows.len(), chosen.cols.len());
        for (j, &(_, col)) in chosen.cols.iter().enumerate() {
            for (i, &(_, row)) in chosen.rows.iter().enumerate() {
                out[(row, col)] = inside[(i, j)];
            }
        }
        out
    }

    fn part(&self, node: usize, chosen: &Chosen) -> Part<T> {
        let place = self.layout.nodes()[node];
        let (rows, cols) = (within(&chosen.rows, place.rows()), within(&chosen.cols, place.cols()));
        let (d, u, v) = (self.d(node), self.u(node), self.v(node));
        if rows.is_empty() && cols.is_empty() {
            return Part { entries: Mat::zeros(0, 0), u: Mat::zeros(0, u.ncols()), v: Mat::zeros(0, v.ncols()) };
        }
        if place.is_leaf() {
            let row = |i: usize| rows[i].0 - place.rows().start;
            let col = |j: usize| cols[j].0 - place.cols().start;
            return Part {
                entries: Mat::from_fn(rows.len(), cols.len(), |i, j| d[(row(i), col(j))]),
                u: Mat::from_fn(rows.len(), u.ncols(), |i, j| u[(row(i), j)]),
                v: Mat::from_fn(cols.len(), v.ncols(), |i, j| v[(col(i), j)]),
            };
        }
        let (mut entries, mut long_u, mut long_v) =
            (Mat::zeros(rows.len(), cols.len()), Mat::zeros(rows.len(), d.nrows()), Mat::zeros(cols.len(), d.ncols()));
        let (mut row, mut col, mut row_rank, mut col_rank) = (0, 0, 0, 0);
        for child in place.children() {
            let part = self.part(child, chosen);
            let (m, n) = (part.u.nrows(), part.v.nrows());
            entries.as_mut().submatrix_mut(row, col, m, n).copy_from(&part.entries);
            long_u.as_mut().submatrix_mut(row, row_rank, m, part.u.ncols()).copy_from(&part.u);
            long_v.as_mut().submatrix_mut(col, col_rank, n, part.v.ncols()).copy_from(&part.v);
            (row, col) = (row + m, col + n);
            (row_rank, col_rank) = (row_rank + part.u.ncols(), col_rank + part.v.ncols());
        }
        let half = product(long_u.as_ref(), d);
        add_product(entries.as_mut(), T::ONE, half.as_ref(), long_v.as_ref().transpose());
        Part { entries, u: product(long_u.as_ref(), u), v: product(long_v.as_ref(), v) }
    }
}

/// Those of sorted `places` that lie in `range`.
fn within(places: &[(usize, usize)], range: std::ops::Range<usize>) -> &[(usize, usize)] {
    let start = places.partition_point(|&(place, _)| place < range.start);
    let end = places.partition_point(|&(place, _)| place < range.end);
    &places[start..end]
}
