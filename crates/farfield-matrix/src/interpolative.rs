//! Interpolative decompositions: rows of a matrix that carry all others.
//!
//! `M = X M(S, :) + E` with a few rows `S`, the *skeleton*, and `X` the identity in them. Pivoted QR of the
//! transpose, `M^T P = Q [R_1 R_2]`, stopped when the rest is small, gives `S` as the first pivots and the other rows
//! of `X` as `(R_1^{-1} R_2)^T` (Cheng, Gimbutas, Martinsson & Rokhlin 2005, section 3; the bound on the entries of
//! `X` there needs further exchanges of pivots, which pivoted QR hardly ever calls for).
//!
//! Blocks of pivots are chosen by pivoted Gram-Schmidt on a few random combinations of the rows (Martinsson,
//! Quintana-Orti, Heavner & van de Geijn 2017), so that nearly all work is matrix products; what is left is summed
//! afresh after each block, so that its norm can be trusted down to the rounding level. Cost about 6 m n k for rank
//! `k`. The random signs are always the same: the result depends on the matrix alone.

use faer::linalg::triangular_solve::solve_upper_triangular_in_place;
use faer::{Mat, MatRef, Par};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::linalg::{add_product, norm_frobenius, product};
use crate::scalar::Scalar;

/// Rows that carry all others.
pub(crate) struct RowSkeleton<T> {
    /// Places of the skeleton rows, as chosen.
    pub rows: Vec<usize>,
    /// `X`, of `m x k`.
    pub interpolation: Mat<T>,
}

/// The row skeleton of `m` with a residual of at most `tolerance` in the Frobenius norm of the triangular factor.
pub(crate) fn row_skeleton<T: Scalar>(m: MatRef<T>, tolerance: f64) -> RowSkeleton<T> {
    let Pivoted { order, rank, mut r } = Pivoted::new(m.transpose().to_owned(), tolerance);
    let (first, mut rest) = r.as_mut().split_at_col_mut(rank);
    solve_upper_triangular_in_place(first.as_ref(), rest.as_mut(), Par::Seq);
    let mut interpolation = Mat::zeros(m.nrows(), rank);
    for (j, &row) in order.iter().enumerate() {
        for i in 0..rank {
            interpolation[(row, i)] =
                if j >= rank { rest[(i, j - rank)] } else { T::from_f64(f64::from(u8::from(i == j))) };
        }
    }
    RowSkeleton { rows: order[..rank].to_vec(), interpolation }
}

/// A pivoted QR decomposition that was stopped.
struct Pivoted<T> {
    /// The columns, pivots first.
    order: Vec<usize>,
    rank: usize,
    /// The first `rank` rows of the triangular factor, columns in the order of `order`.
    r: Mat<T>,
}

/// Pivots chosen at a time.
const BLOCK: usize = 32;

impl<T: Scalar> Pivoted<T> {
    fn new(mut m: Mat<T>, tolerance: f64) -> Self {
        let n = m.ncols();
        let mut order: Vec<usize> = (0..n).collect();
        let total = norm_frobenius(m.as_ref());
        // Below this nothing but rounding is left.
        let stop = tolerance.max(8.0 * T::EPSILON * total);
        // A largest column of what is left is never below this.
        let smallest = stop / (n as f64).sqrt();
        let most = m.nrows().min(n);
        let mut r = Mat::zeros(most, n);
        let (mut rank, mut left) = (0, total);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        while rank < most && left > stop {
            let rest = m.as_ref().subcols(rank, n - rank);
            let sketch = if m.nrows() > 2 * BLOCK {
                product(signs(BLOCK + 8, m.nrows(), &mut rng).as_ref(), rest)
            } else {
                rest.to_owned()
            };
            let mut pivots = gram_schmidt(sketch, BLOCK.min(most - rank));
            let norm_of = |j: usize| norm_frobenius(rest.subcols(j, 1));
            if pivots.first().is_none_or(|&j| norm_of(j) < 0.5 * smallest) {
                let norms: Vec<f64> = (0..rest.ncols()).map(norm_of).collect();
                pivots = vec![(0..norms.len()).fold(0, |best, j| if norms[j] > norms[best] { j } else { best })];
            }
            // The pivots to the front, in their order.
            for (k, &j) in displaced(&pivots).iter().enumerate() {
                swap_columns(&mut m, rank + k, rank + j);
                swap_columns(&mut r, rank + k, rank + j);
                order.swap(rank + k, rank + j);
            }
            // Orthonormal columns of the block, one after the other; those that depend on the ones before end it.
            let mut count = 0;
            while count < pivots.len() {
                let k = rank + count;
                let norm = dot(m.col_as_slice(k), m.col_as_slice(k)).to_f64().sqrt();
                if norm < 0.5 * smallest {
                    break;
                }
                let inverse = T::from_f64(1.0 / norm);
                m.col_as_slice_mut(k).iter_mut().for_each(|x| *x *= inverse);
                r[(k, k)] = T::from_f64(norm);
                let (done, mut rest) = m.as_mut().split_at_col_mut(k + 1);
                let q = done.as_ref().col(k).try_as_col_major().map(|q| q.as_slice()).unwrap_or(&[]);
                for j in k + 1..rank + pivots.len() {
                    let Some(column) = rest.as_mut().col_mut(j - k - 1).try_as_col_major_mut() else { continue };
                    let column = column.as_slice_mut();
                    let coefficient = dot(q, column);
                    r[(k, j)] = coefficient;
                    subtract(column, coefficient, q);
                }
                count += 1;
            }
            if count == 0 {
                break; // not a number
            }
            let (done, mut rest) = m.as_mut().split_at_col_mut(rank + count);
            let q = done.as_ref().subcols(rank, count);
            // Columns of the block that were left over have their coefficients in R already.
            let coefficients = product(q.transpose(), rest.as_ref());
            add_product(rest.as_mut(), T::ZERO - T::ONE, q, coefficients.as_ref());
            let mut target = r.as_mut().submatrix_mut(rank, rank + count, count, n - rank - count);
            target += &coefficients;
            rank += count;
            left = norm_frobenius(rest.as_ref());
        }
        // Pivots of the last block that were not needed: a row of R is what its pivot took away.
        while rank > 0 {
            let row = norm_frobenius(r.as_ref().submatrix(rank - 1, rank - 1, 1, n + 1 - rank));
            if left.hypot(row) > stop {
                break;
            }
            left = left.hypot(row);
            rank -= 1;
        }
        Self { r: r.as_ref().subrows(0, rank).to_owned(), order, rank }
    }
}

/// The first pivots of pivoted Gram-Schmidt, at most `most`, until nothing is left.
fn gram_schmidt<T: Scalar>(mut m: Mat<T>, most: usize) -> Vec<usize> {
    let n = m.ncols();
    let mut squares: Vec<f64> = (0..n).map(|j| dot(m.col_as_slice(j), m.col_as_slice(j)).to_f64()).collect();
    let floor = T::EPSILON * T::EPSILON * squares.iter().sum::<f64>();
    let mut pivots = Vec::new();
    while pivots.len() < most.min(m.nrows()) {
        let pivot = (0..n).fold(0, |best, j| if squares[j] > squares[best] { j } else { best });
        if squares[pivot] <= floor.max(f64::MIN_POSITIVE) {
            break;
        }
        pivots.push(pivot);
        let inverse = T::from_f64(1.0 / squares[pivot].sqrt());
        let q: Vec<T> = m.col_as_slice(pivot).iter().map(|&x| x * inverse).collect();
        squares[pivot] = -1.0;
        for j in (0..n).filter(|&j| j != pivot) {
            if squares[j] >= 0.0 {
                let column = m.col_as_slice_mut(j);
                let coefficient = dot(&q, column);
                squares[j] = subtract(column, coefficient, &q).to_f64();
            }
        }
    }
    pivots
}

/// The swaps `k <-> places[k]` that bring columns `pivots` to the front in their order.
fn displaced(pivots: &[usize]) -> Vec<usize> {
    let mut swaps: Vec<usize> = Vec::with_capacity(pivots.len());
    for (k, &pivot) in pivots.iter().enumerate() {
        // Where the swaps so far have put it.
        let mut place = pivot;
        for (i, &j) in swaps.iter().enumerate() {
            place = if place == i {
                j
            } else if place == j {
                i
            } else {
                place
            };
        }
        debug_assert!(place >= k);
        swaps.push(place);
    }
    swaps
}

fn swap_columns<T: Scalar>(m: &mut Mat<T>, i: usize, j: usize) {
    if i != j {
        let kept = m.col_as_slice(i).to_vec();
        let moved = m.col_as_slice(j).to_vec();
        m.col_as_slice_mut(i).copy_from_slice(&moved);
        m.col_as_slice_mut(j).copy_from_slice(&kept);
    }
}

/// Random signs over `sqrt(nrows)`: a product with them from the left keeps Frobenius norms in the mean.
pub(crate) fn signs<T: Scalar>(nrows: usize, ncols: usize, rng: &mut ChaCha8Rng) -> Mat<T> {
    let size = T::from_f64(1.0 / (nrows as f64).sqrt());
    let mut out = Mat::zeros(nrows, ncols);
    for j in 0..ncols {
        for chunk in out.col_as_slice_mut(j).chunks_mut(64) {
            let bits: u64 = rng.random();
            for (k, x) in chunk.iter_mut().enumerate() {
                *x = if bits >> k & 1 == 1 { size } else { T::ZERO - size };
            }
        }
    }
    out
}

const LANES: usize = 8;

/// `x . y`, summed in eight lanes.
fn dot<T: Scalar>(x: &[T], y: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let mut rest = T::ZERO;
    for (&a, &b) in xs.remainder().iter().zip(ys.remainder()) {
        rest += a * b;
    }
    for (a, b) in xs.zip(ys) {
        for l in 0..LANES {
            lanes[l] += a[l] * b[l];
        }
    }
    lanes.into_iter().fold(rest, |sum, x| sum + x)
}

/// `x -= c q`; returns the new `x . x`.
fn subtract<T: Scalar>(x: &mut [T], c: T, q: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let whole = x.len() - x.len() % LANES;
    let (head, tail) = x.split_at_mut(whole);
    let mut rest = T::ZERO;
    for (x, &q) in tail.iter_mut().zip(&q[whole..]) {
        *x -= c * q;
        rest += *x * *x;
    }
    for (x, q) in head.chunks_exact_mut(LANES).zip(q.chunks_exact(LANES)) {
        for l in 0..LANES {
            x[l] -= c * q[l];
            lanes[l] += x[l] * x[l];
        }
    }
    lanes.into_iter().fold(rest, |sum, x| sum + x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::distance;

    #[test]
    fn the_skeleton_carries_all_rows() {
        let smooth = Mat::from_fn(140, 155, |i, j| 1.0 / (1.0 + i as f64 + 0.7 * j as f64));
        let twice = Mat::from_fn(30, 9, |i, j| ((i / 2) as f64 * 0.3 + j as f64).sin());
        for m in [smooth, twice, Mat::zeros(4, 3), Mat::identity(7, 7), Mat::zeros(0, 4), Mat::zeros(4, 0)] {
            for tolerance in [1e-1, 1e-5, 1e-10, 0.0] {
                let RowSkeleton { rows, interpolation } = row_skeleton(m.as_ref(), tolerance);
                let skeleton = Mat::from_fn(rows.len(), m.ncols(), |i, j| m[(rows[i], j)]);
                let error = distance(product(interpolation.as_ref(), skeleton.as_ref()).as_ref(), m.as_ref());
                assert!(error <= tolerance + 1e-13 * norm_frobenius(m.as_ref()), "{error}, tolerance {tolerance}");
                let largest = crate::linalg::max_abs(interpolation.as_ref());
                assert!(largest <= 20.0, "{largest}");
            }
        }
    }

    #[test]
    fn the_rank_is_that_of_the_matrix() {
        let m = Mat::from_fn(30, 20, |i, j| (i as f64 + j as f64).sin());
        assert_eq!(row_skeleton(m.as_ref(), 0.0).rows.len(), 2);
        assert_eq!(row_skeleton(m.as_ref(), 1e3).rows.len(), 0);
    }
}
