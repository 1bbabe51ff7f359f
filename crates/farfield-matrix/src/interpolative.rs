//! Interpolative decompositions: rows of a matrix that carry all others.
//!
//! `M = X M(S, :) + E` with a few rows `S`, the *skeleton*, and `X` the identity in them. Pivoted QR of the transpose, `M^T P = Q [R_1 R_2]`, stopped when the
//! rest is small, gives `S` as the first pivots and the other rows of `X` as `(R_1^{-1} R_2)^T` (Cheng, Gimbutas, Martinsson & Rokhlin 2005, section 3; the
//! bound on the entries of `X` there needs further exchanges of pivots, which pivoted QR hardly ever calls for).
//!
//! Gram-Schmidt by columns, with norms computed afresh at every step, so that they can be trusted down to the rounding level.
//! Cost 4 m n k for rank `k`.

use faer::{Mat, MatRef};

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
    // Columns rank.. of r hold R_2, columns 0..rank hold R_1: back substitution.
    let mut interpolation = Mat::zeros(m.nrows(), rank);
    for j in rank..order.len() {
        for i in (0..rank).rev() {
            let x = r[(i, j)] / r[(i, i)];
            r[(i, j)] = x;
            for k in 0..i {
                let factor = r[(k, i)];
                r[(k, j)] -= factor * x;
            }
        }
    }
    for (j, &row) in order.iter().enumerate() {
        for i in 0..rank {
            interpolation[(row, i)] =
                if j < rank { if i == j { T::ONE } else { T::ZERO } } else { r[(i, j)] };
        }
    }
    RowSkeleton { rows: order[..rank].to_vec(), interpolation }
}

/// Columns of `m` that carry all others to `tolerance`.
pub(crate) fn column_pivots<T: Scalar>(m: Mat<T>, tolerance: f64) -> Vec<usize> {
    let Pivoted { mut order, rank, .. } = Pivoted::new(m, tolerance);
    order.truncate(rank);
    order
}

/// A pivoted QR decomposition that was stopped.
struct Pivoted<T> {
    /// The columns, pivots first.
    order: Vec<usize>,
    rank: usize,
    /// The first `rank` rows of the triangular factor, columns in the order of `order`.
    r: Mat<T>,
}

impl<T: Scalar> Pivoted<T> {
    fn new(mut m: Mat<T>, tolerance: f64) -> Self {
        let n = m.ncols();
        let mut order: Vec<usize> = (0..n).collect();
        let mut squares: Vec<f64> = (0..n).map(|j| dot(m.col_as_slice(j), m.col_as_slice(j)).to_f64()).collect();
        let total: f64 = squares.iter().sum();
        // Below this nothing but rounding is left.
        let floor = (T::EPSILON * T::EPSILON * total * m.nrows() as f64).max(f64::MIN_POSITIVE);
        let stop = (tolerance * tolerance).max(floor);
        let most = m.nrows().min(n);
        let mut r: Vec<Vec<T>> = Vec::new();
        let mut q = vec![T::ZERO; m.nrows()];
        while r.len() < most && order[r.len()..].iter().map(|&j| squares[j]).sum::<f64>() > stop {
            let k = r.len();
            let pivot = (k..n).fold(k, |best, j| if squares[order[j]] > squares[order[best]] { j } else { best });
            order.swap(k, pivot);
            let norm = T::from_f64(squares[order[k]].sqrt());
            for (q, &x) in q.iter_mut().zip(m.col_as_slice(order[k])) {
                *q = x / norm;
            }
            // Row k of R, by original column.
            let mut row = vec![T::ZERO; n];
            row[order[k]] = norm;
            for &j in &order[k + 1..] {
                let column = m.col_as_slice_mut(j);
                let coefficient = dot(&q, column);
                row[j] = coefficient;
                squares[j] = subtract(column, coefficient, &q).to_f64();
            }
            r.push(row);
        }
        let rank = r.len();
        Self { r: Mat::from_fn(rank, n, |i, j| r[i][order[j]]), order, rank }
    }
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
    use crate::linalg::{distance, norm_frobenius, product};

    #[test]
    fn the_skeleton_carries_all_rows() {
        let smooth = Mat::from_fn(40, 55, |i, j| 1.0 / (1.0 + i as f64 + 0.7 * j as f64));
        let twice = Mat::from_fn(30, 9, |i, j| ((i / 2) as f64 * 0.3 + j as f64).sin());
        for m in [smooth, twice, Mat::zeros(4, 3), Mat::identity(7, 7), Mat::zeros(0, 4), Mat::zeros(4, 0)] {
            for tolerance in [1e-1, 1e-5, 1e-10, 0.0] {
                let RowSkeleton { rows, interpolation } = row_skeleton(m.as_ref(), tolerance);
                let skeleton = Mat::from_fn(rows.len(), m.ncols(), |i, j| m[(rows[i], j)]);
                let error = distance(product(interpolation.as_ref(), skeleton.as_ref()).as_ref(), m.as_ref());
                assert!(error <= tolerance + 1e-13 * norm_frobenius(m.as_ref()), "{error}, tolerance {tolerance}");
                let largest = crate::linalg::max_abs(interpolation.as_ref());
                assert!(largest <= 20.0, "{largest}");
                assert_eq!(column_pivots(m.transpose().to_owned(), tolerance), rows);
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
