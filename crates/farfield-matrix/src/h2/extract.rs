//! Rows, columns, blocks, entries, diagonal, trace, norm and transpose of an H2-matrix, with stored or recomputed blocks.

use std::sync::Arc;

use faer::Mat;
use farfield_kernels::Stored;

use super::H2Matrix;
use super::basis::ClusterBasis;
use super::storage::{Block, Blocks, Numbers, Recomputed};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::linalg::{add_product, norm_frobenius, product};
use crate::matrix::Matrix;
use crate::operator::check_indices;
use crate::scalar::Scalar;

impl<T: Scalar> H2Matrix<T> {
    /// All entries. Cost: O(n^2) and the blocks.
    pub fn to_dense(&self) -> Matrix<T> {
        let mut out = Matrix::zeros(self.nrows(), self.ncols());
        let all: Vec<usize> = (0..self.nrows()).collect();
        for rows in all.chunks(256) {
            let part = self.lines_at(rows, false);
            for (j, &i) in rows.iter().enumerate() {
                for (k, &x) in part.col(j).iter().enumerate() {
                    out[(i, k)] = x;
                }
            }
        }
        out
    }

    /// The rows `indices` as the columns of a matrix, in the user's order. Cost for each: the far blocks of its clusters and one pass down the column basis.
    ///
    /// # Errors
    /// [`MatrixError::Option`] for a row that does not exist.
    pub fn extract_rows(&self, indices: &[usize]) -> Result<Matrix<T>, MatrixError> {
        check_indices("row", indices, self.nrows())?;
        Ok(self.lines_at(indices, false))
    }

    /// The columns `indices`, in the user's order. Cost as of [`H2Matrix::extract_rows`].
    ///
    /// # Errors
    /// [`MatrixError::Option`] for a column that does not exist.
    pub fn extract_columns(&self, indices: &[usize]) -> Result<Matrix<T>, MatrixError> {
        check_indices("column", indices, self.ncols())?;
        Ok(self.lines_at(indices, true))
    }

    /// The entries at `rows x cols`, in the user's order; indices may be repeated. Cost: O(n) to find the places, and every far and near block that holds
    /// some of them.
    ///
    /// # Errors
    /// [`MatrixError::Option`] for an index that is not below the number of rows or columns.
    pub fn block(&self, rows: &[usize], cols: &[usize]) -> Result<Matrix<T>, MatrixError> {
        check_indices("row", rows, self.nrows())?;
        check_indices("column", cols, self.ncols())?;
        let (rows, cols) = (Chosen::new(&self.rows, rows), Chosen::new(&self.cols, cols));
        let mut out = Matrix::zeros(rows.places.len(), cols.places.len());
        for i in 0..self.far.len() + self.near.len() {
            let (s, t) = self.pair(i);
            self.add_chosen(i, (s, &rows), (t, &cols), |row, col, x| out[(row, col)] += x);
            if self.mirrored && s != t {
                self.add_chosen(i, (s, &cols), (t, &rows), |col, row, x| out[(row, col)] += x);
            }
        }
        Ok(out)
    }

    /// Adds what block `i` has in some rows of `s` and columns of `t`.
    fn add_chosen(
        &self,
        i: usize,
        (s, rows): (usize, &Chosen<T>),
        (t, cols): (usize, &Chosen<T>),
        mut add: impl FnMut(usize, usize, T),
    ) {
        let (chosen_rows, chosen_cols) = (rows.within(&self.rows, s), cols.within(&self.cols, t));
        if chosen_rows.is_empty() || chosen_cols.is_empty() {
            return;
        }
        let block = self.dense_block(i);
        let far = (i < self.far.len()).then(|| {
            product(product(rows.long[s].as_ref(), block.as_ref()).as_ref(), cols.long[t].as_ref().transpose())
        });
        let start = (self.rows.tree.cluster(s).range.start, self.cols.tree.cluster(t).range.start);
        for (q, &(col, to_col)) in chosen_cols.iter().enumerate() {
            for (p, &(row, to_row)) in chosen_rows.iter().enumerate() {
                let x = far.as_ref().map_or_else(|| block[(row - start.0, col - start.1)], |far| far[(p, q)]);
                add(to_row, to_col, self.factor * x);
            }
        }
    }

    /// Entry `(row, col)`, in the user's order. Cost: O(n) and the number of blocks; for many entries use [`H2Matrix::block`].
    ///
    /// # Errors
    /// As [`H2Matrix::block`].
    pub fn entry(&self, row: usize, col: usize) -> Result<T, MatrixError> {
        Ok(self.block(&[row], &[col])?[(0, 0)])
    }

    /// The diagonal. Cost: O(n k) and the near blocks, for equal trees.
    ///
    /// # Errors
    /// [`MatrixError::Shapes`] unless the matrix is square.
    pub fn diagonal(&self) -> Result<Vec<T>, MatrixError> {
        let n = self.square("diagonal")?;
        let pairs = self.far.iter().chain(&self.near).enumerate();
        let index: std::collections::HashMap<(usize, usize), usize> = pairs.map(|(i, &pair)| (pair, i)).collect();
        let (rows, cols) = (self.rows.tree.positions(), self.cols.tree.positions());
        Ok((0..n).map(|i| self.entry_at(rows[i], cols[i], |s, t| index.get(&(s, t)).copied())).collect())
    }

    /// The sum of the diagonal.
    ///
    /// # Errors
    /// As [`H2Matrix::diagonal`].
    pub fn trace(&self) -> Result<T, MatrixError> {
        Ok(T::from_f64(self.diagonal()?.iter().map(|x| x.to_f64()).sum()))
    }

    /// Frobenius norm, exact up to rounding: through the triangular factors of the bases, no samples. Cost: O(k^3) a far block, and the near blocks.
    pub fn norm_frobenius(&self) -> f64 {
        let left = self.rows.weights();
        let right = if self.mirrored { left.clone() } else { self.cols.weights() };
        let mut sum = 0.0;
        for i in 0..self.far.len() + self.near.len() {
            let (s, t) = self.pair(i);
            let mut block = self.dense_block(i);
            if i < self.far.len() {
                block = product(product(left[s].as_ref(), block.as_ref()).as_ref(), right[t].as_ref().transpose());
            }
            let twice = if self.mirrored && s != t { 2.0 } else { 1.0 };
            sum += twice * norm_frobenius(block.as_ref()).powi(2);
        }
        sum.sqrt() * self.factor.to_f64().abs()
    }

    /// The transpose.
    pub fn transpose(&self) -> Self {
        if self.mirrored {
            return self.clone();
        }
        let swap = |pairs: &[(usize, usize)]| pairs.iter().map(|&(s, t)| (t, s)).collect();
        let blocks = match &self.blocks {
            Blocks::Stored { starts, numbers } => {
                let size = |i| self.size(i);
                let numbers = match &**numbers {
                    Numbers::Full(x) => Numbers::Full(transposed(x, starts, size)),
                    Numbers::Single(x) => Numbers::Single(transposed(x, starts, size)),
                };
                Blocks::Stored { starts: starts.clone(), numbers: Arc::new(numbers) }
            }
            Blocks::Recomputed(r) => Blocks::Recomputed(Arc::new(Recomputed {
                evaluator: r.evaluator.clone(),
                row_points: r.col_points.clone(),
                col_points: r.row_points.clone(),
                row_skeletons: r.col_skeletons.clone(),
                col_skeletons: r.row_skeletons.clone(),
            })),
        };
        Self {
            rows: self.cols.clone(),
            cols: self.rows.clone(),
            mirrored: false,
            far: swap(&self.far),
            near: swap(&self.near),
            blocks,
            factor: self.factor,
        }
    }

    fn square(&self, operation: &'static str) -> Result<usize, MatrixError> {
        let (m, n) = (self.nrows(), self.ncols());
        if m == n {
            return Ok(n);
        }
        let rule = "the matrix must be square";
        Err(MatrixError::Shapes { operation, left_out: m, left_in: n, right_out: m, right_in: n, rule })
    }

    /// Rows of existing indices, or columns if `transposed`, as columns, in the user's order.
    pub(super) fn lines_at(&self, indices: &[usize], transposed: bool) -> Matrix<T> {
        let (along, across) = if transposed { (&self.cols, &self.rows) } else { (&self.rows, &self.cols) };
        let pairs = self.far.len() + self.near.len();
        // Blocks of each cluster, and whether their columns are wanted.
        let mut of: Vec<Vec<(usize, bool)>> = vec![Vec::new(); along.tree.clusters().len()];
        for i in 0..pairs {
            let (s, t) = self.pair(i);
            of[if transposed { t } else { s }].push((i, transposed));
            if self.mirrored && s != t {
                of[if transposed { s } else { t }].push((i, !transposed));
            }
        }
        let places = along.tree.positions();
        let mut far = Matrix::zeros(across.total(), indices.len());
        let mut near = Matrix::zeros(across.tree.len(), indices.len());
        let mut numbers = Vec::new();
        for (j, &i) in indices.iter().enumerate() {
            let leaf = leaf_of(&along.tree, places[i]);
            for (s, line) in along.row(leaf, places[i]) {
                for &(b, flipped) in &of[s] {
                    let m = self.size(b).0;
                    let t = if flipped { self.pair(b).0 } else { self.pair(b).1 };
                    if b < self.far.len() {
                        let to = &mut far.col_mut(j)[across.coefficients(t)];
                        self.add_coupling(b, flipped, &line, to, &mut numbers);
                    } else {
                        self.numbers(b, &mut numbers);
                        let at = places[i] - along.tree.cluster(s).range.start;
                        let to = &mut near.col_mut(j)[across.tree.cluster(t).range.clone()];
                        for (k, to) in to.iter_mut().enumerate() {
                            *to = if flipped { numbers[k + at * m] } else { numbers[at + k * m] };
                        }
                    }
                }
            }
        }
        across.backward(far, &mut near);
        let mut out = across.tree.to_user_order(&near);
        for j in 0..indices.len() {
            out.col_mut(j).iter_mut().for_each(|x| *x *= self.factor);
        }
        out
    }

    /// `to += B^T from`, or `to += B from` if flipped, for far block `i`.
    fn add_coupling(&self, i: usize, flipped: bool, from: &[T], to: &mut [T], scratch: &mut Vec<T>) {
        let forward = |block: Stored<T>, to: &mut [T]| {
            let products = if flipped { (Some((from, to)), None) } else { (None, Some((from, to))) };
            block.add_products(self.size(i), products.0, products.1)
        };
        let done = match self.view(i) {
            Block::Stored(block) => forward(block, to),
            Block::Points(evaluator, distinct, x, y) => match evaluator.radial(distinct) {
                Some(radial) if flipped => radial.add_product(x, y, from, to),
                Some(radial) => radial.add_product(y, x, from, to),
                None => {
                    self.numbers(i, scratch);
                    forward(Stored::Full(&scratch[..]), to)
                }
            },
        };
        debug_assert!(done.is_ok());
    }

    /// The entry at places of the tree orders; `find` gives the block of two clusters.
    fn entry_at(&self, row: usize, col: usize, find: impl Fn(usize, usize) -> Option<usize>) -> T {
        let (leaf_row, leaf_col) = (leaf_of(&self.rows.tree, row), leaf_of(&self.cols.tree, col));
        let find = |s: usize, t: usize| match find(s, t) {
            Some(i) => Some((i, false)),
            None if self.mirrored => find(t, s).map(|i| (i, true)),
            None => None,
        };
        let near = self.rows.tree.cluster(leaf_row).range.start;
        if let Some((i, flipped)) = find(leaf_row, leaf_col).filter(|&(i, _)| i >= self.far.len()) {
            let block = self.dense_block(i);
            let at = (row - near, col - self.cols.tree.cluster(leaf_col).range.start);
            return self.factor * if flipped { block[(at.1, at.0)] } else { block[at] };
        }
        let right = self.cols.row(leaf_col, col);
        for (s, u) in self.rows.row(leaf_row, row) {
            for (t, v) in &right {
                let Some((i, flipped)) = find(s, *t).filter(|&(i, _)| i < self.far.len()) else { continue };
                let block = self.dense_block(i);
                let mut sum = T::ZERO;
                for (a, &x) in u.iter().enumerate() {
                    for (b, &y) in v.iter().enumerate() {
                        sum += x * y * if flipped { block[(b, a)] } else { block[(a, b)] };
                    }
                }
                return self.factor * sum;
            }
        }
        T::ZERO
    }
}

/// Chosen rows or columns.
struct Chosen<T> {
    /// Places in tree order, ascending, each with its place in the result.
    places: Vec<(usize, usize)>,
    /// Their rows of the basis of every cluster.
    long: Vec<Mat<T>>,
}

impl<T: Scalar> Chosen<T> {
    fn new(basis: &ClusterBasis<T>, indices: &[usize]) -> Self {
        let positions = basis.tree.positions();
        let mut places: Vec<(usize, usize)> = indices.iter().enumerate().map(|(to, &i)| (positions[i], to)).collect();
        places.sort_unstable();
        let mut chosen = Self { places, long: vec![Mat::zeros(0, 0); basis.tree.clusters().len()] };
        for s in (0..chosen.long.len()).rev() {
            let (cluster, here) = (basis.tree.cluster(s), chosen.within(basis, s));
            if here.is_empty() {
                continue;
            }
            let matrix = basis.matrix(s);
            if cluster.is_leaf() {
                let row = |p: usize| here[p].0 - cluster.range.start;
                chosen.long[s] = Mat::from_fn(here.len(), matrix.ncols(), |p, k| matrix[(row(p), k)]);
                continue;
            }
            let mut long = Mat::zeros(here.len(), matrix.ncols());
            let (mut row, mut from) = (0, 0);
            for child in cluster.children.clone() {
                let (part, rank) = (&chosen.long[child], basis.rank(child));
                if part.nrows() > 0 {
                    let to = long.as_mut().subrows_mut(row, part.nrows());
                    add_product(to, T::ONE, part.as_ref(), matrix.subrows(from, rank));
                }
                (row, from) = (row + part.nrows(), from + rank);
            }
            chosen.long[s] = long;
        }
        chosen
    }

    /// Those of a cluster.
    fn within(&self, basis: &ClusterBasis<T>, cluster: usize) -> &[(usize, usize)] {
        let range = &basis.tree.cluster(cluster).range;
        let start = self.places.partition_point(|&(place, _)| place < range.start);
        let end = self.places.partition_point(|&(place, _)| place < range.end);
        &self.places[start..end]
    }
}

/// The leaf that holds a place of the tree order.
fn leaf_of(tree: &ClusterTree, place: usize) -> usize {
    let mut cluster = 0;
    while let Some(child) = tree.cluster(cluster).children.clone().find(|&c| tree.cluster(c).range.contains(&place)) {
        cluster = child;
    }
    cluster
}

/// Every block of a list transposed in its place.
fn transposed<P: Copy>(from: &[P], starts: &[usize], size: impl Fn(usize) -> (usize, usize)) -> Vec<P> {
    let mut out = Vec::with_capacity(from.len());
    for i in 0..starts.len() - 1 {
        let (m, n) = size(i);
        let block = &from[starts[i]..starts[i + 1]];
        out.extend((0..m).flat_map(|r| (0..n).map(move |c| block[r + c * m])));
    }
    out
}
