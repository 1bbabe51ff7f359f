//! LU factorisation of a small dense matrix with complete pivoting, the pivots shared evenly by both factors.
//!
//! ```text
//! P A Q = L S U,   l_jj = u_jj = |d_j|^{1/2},   |l_ij| <= l_jj,   |u_ij| <= u_ii,   S = diag(sign d_j)
//! ```
//!
//! with the pivots `d_j` of Gaussian elimination (Golub & Van Loan, section 3.4.8). Both factors, scaled to unit diagonal, are well conditioned but
//! for contrived matrices, so that each takes about the square root of every singular value: `A_L^{-1} B A_R^{-1}` is moderate
//! whenever `B` is to `A` as an off-diagonal block of a positive definite matrix to the diagonal ones, up to orthogonal factors. Of a positive definite matrix this is the
//! Cholesky factorisation with pivoting. Cost: `2 n^3 / 3` operations and `n^3 / 3` comparisons; where solutions are all that is wanted,
//! [`DenseLu`](crate::dense_factor::DenseLu) costs half the time.
//!
//! The elimination is not left to `faer` (0.24), whose complete pivoting passes over larger entries and divides by zero on some matrices of order 52.

use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Mat, MatMut, Par};

use crate::dense_factor::permute;
use crate::log_determinant::{LogDeterminant, is_odd};
use crate::scalar::Scalar;

/// `A = A_L A_R` with `A_L = P^T L S` and `A_R = U Q^T`.
#[derive(Clone, Debug)]
pub(crate) struct BalancedLu<T> {
    /// `L` below the diagonal, `U` above it, and the diagonal that they have in common.
    factors: Mat<T>,
    /// Row `i` of `P A Q` is row `rows[i]` of `A`.
    rows: Vec<usize>,
    cols: Vec<usize>,
    /// The places of the negative pivots.
    negative: Vec<usize>,
}

impl<T: Scalar> BalancedLu<T> {
    /// The factorisation, or the column and the size of the first pivot that is not finite or not above `floor(column)`.
    pub fn new(mut a: Mat<T>, floor: impl Fn(usize) -> f64) -> Result<Self, (usize, f64)> {
        let n = a.nrows();
        let (rows, cols) = eliminate(&mut a);
        let mut negative = Vec::new();
        let mut roots = Vec::with_capacity(n);
        for (i, &column) in cols.iter().enumerate() {
            let pivot = a[(i, i)].to_f64();
            if !(pivot.is_finite() && pivot.abs() > floor(column)) {
                return Err((column, pivot.abs()));
            }
            if pivot < 0.0 {
                negative.push(i);
            }
            roots.push(T::from_f64(pivot.abs().sqrt()));
        }
        for j in 0..n {
            let (above, below) = a.col_as_slice_mut(j).split_at_mut(j);
            above.iter_mut().zip(&roots).for_each(|(u, &root)| *u /= root);
            below[0] = roots[j];
            below[1..].iter_mut().for_each(|l| *l *= roots[j]);
        }
        // The signs of the pivots are in S.
        for &i in &negative {
            (i + 1..n).for_each(|j| a[(i, j)] = T::ZERO - a[(i, j)]);
        }
        Ok(Self { factors: a, rows, cols, negative })
    }

    /// Order of the matrix.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn stored(&self) -> usize {
        self.len() * self.len()
    }

    /// The determinant of `A`.
    pub fn log_determinant(&self) -> LogDeterminant {
        let odd = is_odd(&self.rows) ^ is_odd(&self.cols) ^ (self.negative.len() % 2 == 1);
        let ln_abs = (0..self.len()).map(|j| 2.0 * self.factors[(j, j)].to_f64().ln()).sum();
        LogDeterminant { ln_abs, ..LogDeterminant::signed(odd) }
    }

    /// `X <- A_L^{-1} X`.
    pub fn solve_left(&self, mut x: MatMut<T>) {
        permute(x.as_mut(), |old, i| old[self.rows[i]]);
        solve_lower_triangular_in_place(self.factors.as_ref(), x.as_mut(), Par::Seq);
        self.negate(x);
    }

    /// `X <- A_L^{-T} X`.
    pub fn solve_left_transpose(&self, mut x: MatMut<T>) {
        self.negate(x.as_mut());
        solve_upper_triangular_in_place(self.factors.transpose(), x.as_mut(), Par::Seq);
        scatter(x, &self.rows);
    }

    /// `X <- A_R^{-1} X`.
    pub fn solve_right(&self, mut x: MatMut<T>) {
        solve_upper_triangular_in_place(self.factors.as_ref(), x.as_mut(), Par::Seq);
        scatter(x, &self.cols);
    }

    /// `X <- A_R^{-T} X`.
    pub fn solve_right_transpose(&self, mut x: MatMut<T>) {
        permute(x.as_mut(), |old, i| old[self.cols[i]]);
        solve_lower_triangular_in_place(self.factors.transpose(), x, Par::Seq);
    }

    /// `X <- S X`.
    fn negate(&self, mut x: MatMut<T>) {
        for &i in &self.negative {
            (0..x.ncols()).for_each(|j| x[(i, j)] = T::ZERO - x[(i, j)]);
        }
    }
}

/// Gaussian elimination with complete pivoting: unit lower and upper factor in place, and the orders of rows and columns. Where nothing is left, the pivots are zero.
fn eliminate<T: Scalar>(a: &mut Mat<T>) -> (Vec<usize>, Vec<usize>) {
    let n = a.nrows();
    let (mut rows, mut cols): (Vec<usize>, Vec<usize>) = ((0..n).collect(), (0..n).collect());
    // The largest entry of each column that is left.
    let mut largest: Vec<T> =
        (0..n).map(|j| a.col_as_slice(j).iter().fold(T::ZERO, |most, &x| larger(size(x), most))).collect();
    let mut multipliers = Vec::with_capacity(n);
    for k in 0..n {
        let col = (k + 1..n).fold(k, |best, j| if largest[j] > largest[best] { j } else { best });
        let column = a.col_as_slice(col);
        let row = (k + 1..n).fold(k, |best, i| if size(column[i]) > size(column[best]) { i } else { best });
        if col != k {
            (0..n).for_each(|i| (a[(i, k)], a[(i, col)]) = (a[(i, col)], a[(i, k)]));
            cols.swap(k, col);
            largest.swap(k, col);
        }
        if row != k {
            (0..n).for_each(|j| (a[(k, j)], a[(row, j)]) = (a[(row, j)], a[(k, j)]));
            rows.swap(k, row);
        }
        let (head, tail) = a.col_as_slice_mut(k).split_at_mut(k + 1);
        let pivot = head[k];
        if pivot == T::ZERO {
            break;
        }
        tail.iter_mut().for_each(|l| *l /= pivot);
        multipliers.clear();
        multipliers.extend_from_slice(tail);
        for (j, largest) in largest.iter_mut().enumerate().skip(k + 1) {
            let (head, tail) = a.col_as_slice_mut(j).split_at_mut(k + 1);
            *largest = eliminate_in_column(tail, &multipliers, head[k]);
        }
    }
    (rows, cols)
}

/// The absolute value.
fn size<T: Scalar>(x: T) -> T {
    if x < T::ZERO { T::ZERO - x } else { x }
}

fn larger<T: Scalar>(a: T, b: T) -> T {
    if a > b { a } else { b }
}

/// `x -= factor y`, and the largest absolute value of the result.
fn eliminate_in_column<T: Scalar>(x: &mut [T], y: &[T], factor: T) -> T {
    const LANES: usize = 8;
    let mut largest = [T::ZERO; LANES];
    let (mut blocks, y_blocks) = (x.chunks_exact_mut(LANES), y.chunks_exact(LANES));
    let y_rest = y_blocks.remainder();
    for (x, y) in blocks.by_ref().zip(y_blocks) {
        for lane in 0..LANES {
            x[lane] -= factor * y[lane];
            largest[lane] = larger(size(x[lane]), largest[lane]);
        }
    }
    let mut most = largest.into_iter().fold(T::ZERO, larger);
    for (x, &y) in blocks.into_remainder().iter_mut().zip(y_rest) {
        *x -= factor * y;
        most = larger(size(*x), most);
    }
    most
}

/// Entry `i` of each column goes to `places[i]`.
fn scatter<T: Scalar>(x: MatMut<T>, places: &[usize]) {
    let mut from = vec![0; places.len()];
    places.iter().enumerate().for_each(|(i, &place)| from[place] = i);
    permute(x, |old, i| old[from[i]]);
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::dense_factor::rounding_floors;
    use crate::linalg::{distance, max_abs, norm_frobenius};
    use crate::random::gaussian;

    fn noise(n: usize) -> Mat<f64> {
        gaussian(n, n, &mut ChaCha8Rng::seed_from_u64(n as u64)).0
    }

    #[test]
    fn half_solves_both_ways_and_the_determinant() {
        for n in [0, 1, 2, 7, 40] {
            let a = noise(n);
            let lu = BalancedLu::new(a.clone(), |_| 0.0).unwrap();
            let one = Mat::<f64>::identity(n, n);
            let (mut x, mut y) = (a.clone(), a.transpose().to_owned());
            lu.solve_left(x.as_mut());
            lu.solve_right(x.as_mut());
            lu.solve_right_transpose(y.as_mut());
            lu.solve_left_transpose(y.as_mut());
            let bound = 1e-11 * (1 + n) as f64;
            assert!(distance(x.as_ref(), one.as_ref()) <= bound && distance(y.as_ref(), one.as_ref()) <= bound, "{n}");
            // A_L^{-1} A A_R^{-1} = I, the right factor by its transpose.
            let mut z = a.clone();
            lu.solve_left(z.as_mut());
            let mut z = z.transpose().to_owned();
            lu.solve_right_transpose(z.as_mut());
            assert!(distance(z.as_ref(), one.as_ref()) <= bound, "{n}");
            let LogDeterminant { sign, ln_abs } = lu.log_determinant();
            let exact = if n == 0 { 1.0 } else { a.determinant() };
            assert!((f64::from(sign) * ln_abs.exp() - exact).abs() <= 1e-11 * exact.abs(), "{n}");
        }
    }

    #[test]
    fn no_entry_is_above_its_pivot() {
        for n in [3, 17, 52, 100] {
            let lu = BalancedLu::new(noise(n), |_| 0.0).unwrap();
            for j in 0..n {
                for i in 0..n {
                    let pivot = lu.factors[(i.min(j), i.min(j))];
                    assert!(lu.factors[(i, j)].abs() <= pivot * (1.0 + 1e-14), "{n}: {i} {j}");
                }
            }
        }
    }

    #[test]
    fn a_positive_definite_matrix_with_turned_and_shuffled_rows_stays_balanced() {
        // B of [A B; B^T A], positive definite with a condition number of 1e12: |A_L^{-1} B A_R^{-1}| < 1 in the 2-norm.
        let n = 30;
        let k = |i: usize, j: usize| (-((i as f64 - j as f64) / 15.0).powi(2)).exp() + if i == j { 1e-11 } else { 0.0 };
        let turn = |i: usize| if i.is_multiple_of(3) { -1.0 } else { 1.0 };
        let a = Mat::from_fn(n, n, |i, j| turn(i) * k((11 * i) % n, j));
        let mut b = Mat::from_fn(n, n, |i, j| turn(i) * k((11 * i) % n, n + j));
        let lu = BalancedLu::new(a, |_| 0.0).unwrap();
        lu.solve_left(b.as_mut());
        let mut b = b.transpose().to_owned();
        lu.solve_right_transpose(b.as_mut());
        assert!(norm_frobenius(b.as_ref()) <= 10.0, "{}", norm_frobenius(b.as_ref()));
        let mut identity = Mat::<f64>::identity(n, n);
        lu.solve_left(identity.as_mut());
        assert!(max_abs(identity.as_ref()) <= 1e7);
    }

    #[test]
    fn singular_columns_are_named() {
        let factor = |a: Mat<f64>| {
            let floors = rounding_floors(a.as_ref());
            BalancedLu::new(a, |j| floors[j])
        };
        let rank_one = Mat::from_fn(3, 3, |i, j| ((i + 1) * (j + 1)) as f64);
        assert!(factor(rank_one).is_err());
        assert_eq!(factor(Mat::from_fn(3, 3, |i, j| if i == j && j != 1 { 2.0 } else { 0.0 })).unwrap_err(), (1, 0.0));
        let graded = Mat::from_fn(3, 3, |i, j| if i == j { 1e-40f64.powi(i as i32) } else { 0.0 });
        assert!(factor(graded).is_ok() && factor(Mat::<f64>::zeros(0, 0)).is_ok());
    }
}
