//! QR factorisations whose orthogonal factor is kept as Householder reflections.
//!
//! `A = Q R`, `Q = H_1 ... H_k`, `H_j = I - tau_j v_j v_j^T`, in panels `H_j ... H_{j+b-1} = I - V T V^T` (Golub & Van Loan, *Matrix
//! Computations*, sections 5.1 and 5.2; Schreiber & Van Loan 1989). No column is treated as zero unless it is exactly zero, so
//! the residual is a modest multiple of the rounding unit for rank-deficient and graded matrices alike: `faer`'s QR drops columns
//! below `16 m eps`, which is visible in a backward error. Cost: `2 n^2 (m - n/3)` multiply-adds, and `2 m k` a vector to apply.

use faer::{Mat, MatMut, MatRef};

use crate::linalg::{add_product, dot, product, subtract_multiple};
use crate::scalar::Scalar;

/// Columns that are reduced together.
const PANEL: usize = 32;

/// A product of reflections `Q`, orthogonal of order `m`.
#[derive(Clone, Debug)]
pub(crate) struct Reflectors<T> {
    /// `m x k`, unit lower trapezoidal, zeros above the diagonal stored.
    v: Mat<T>,
    /// One triangular factor a panel.
    t: Vec<Mat<T>>,
    /// Whether an odd number of reflections is not the identity: `det Q = -1`.
    odd: bool,
}

/// `A = Q R` with `R` upper trapezoidal, `min(m, n) x n`.
pub(crate) struct HouseholderQr<T> {
    pub q: Reflectors<T>,
    pub r: Mat<T>,
}

impl<T: Scalar> HouseholderQr<T> {
    pub fn new(a: MatRef<T>) -> Self {
        let (m, n) = (a.nrows(), a.ncols());
        let k = m.min(n);
        let mut a = a.to_owned();
        let mut v = Mat::zeros(m, k);
        let (mut t, mut odd) = (Vec::new(), false);
        for start in (0..k).step_by(PANEL) {
            let end = (start + PANEL).min(k);
            let taus = reduce_panel(&mut a, start, end);
            for (j, tau) in (start..end).zip(&taus) {
                odd ^= *tau != T::ZERO;
                v[(j, j)] = T::ONE;
                v.col_as_slice_mut(j)[j + 1..].copy_from_slice(&a.col_as_slice(j)[j + 1..]);
            }
            let panel = v.as_ref().submatrix(start, start, m - start, end - start);
            let factor = triangular_factor(panel, &taus);
            let rest = a.as_mut().submatrix_mut(start, end, m - start, n - end);
            reflect(panel, factor.as_ref().transpose(), rest);
            t.push(factor);
        }
        let r = Mat::from_fn(k, n, |i, j| if i <= j { a[(i, j)] } else { T::ZERO });
        Self { q: Reflectors { v, t, odd }, r }
    }
}

impl<T: Scalar> Reflectors<T> {
    /// The identity of order `m`.
    pub fn identity(m: usize) -> Self {
        Self { v: Mat::zeros(m, 0), t: Vec::new(), odd: false }
    }

    /// `C <- Q C`.
    pub fn apply(&self, mut c: MatMut<T>) {
        for (i, t) in self.t.iter().enumerate().rev() {
            let (v, start) = self.panel(i);
            let rows = c.nrows() - start;
            reflect(v, t.as_ref(), c.as_mut().subrows_mut(start, rows));
        }
    }

    /// `C <- Q^T C`.
    pub fn apply_transpose(&self, mut c: MatMut<T>) {
        for (i, t) in self.t.iter().enumerate() {
            let (v, start) = self.panel(i);
            let rows = c.nrows() - start;
            reflect(v, t.as_ref().transpose(), c.as_mut().subrows_mut(start, rows));
        }
    }

    /// `A <- A Q`.
    pub fn apply_on_right(&self, a: &mut Mat<T>) {
        let mut transposed = a.transpose().to_owned();
        self.apply_transpose(transposed.as_mut());
        *a = transposed.transpose().to_owned();
    }

    /// The first `k` columns of `Q`, one a reflection.
    pub fn thin(&self) -> Mat<T> {
        let mut q = Mat::identity(self.v.nrows(), self.v.ncols());
        self.apply(q.as_mut());
        q
    }

    /// Whether `det Q` is negative.
    pub fn negative_determinant(&self) -> bool {
        self.odd
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        self.v.nrows() * self.v.ncols() + self.t.iter().map(|t| t.nrows() * t.ncols()).sum::<usize>()
    }

    fn panel(&self, i: usize) -> (MatRef<'_, T>, usize) {
        let start = i * PANEL;
        let width = self.t[i].ncols();
        (self.v.as_ref().submatrix(start, start, self.v.nrows() - start, width), start)
    }
}

/// `C <- (I - V T V^T) C`.
pub(crate) fn reflect<T: Scalar>(v: MatRef<T>, t: MatRef<T>, c: MatMut<T>) {
    if c.ncols() == 0 || v.ncols() == 0 {
        return;
    }
    let w = product(v.transpose(), c.as_ref());
    add_product(c, T::ZERO - T::ONE, v, product(t, w.as_ref()).as_ref());
}

/// Reduces columns `start..end` to triangular form, one reflection each, applied within the panel. The tails of the vectors replace the
/// entries below the diagonal. Returns the `tau`.
pub(crate) fn reduce_panel<T: Scalar>(a: &mut Mat<T>, start: usize, end: usize) -> Vec<T> {
    let mut taus = Vec::with_capacity(end - start);
    for j in start..end {
        let column = &mut a.col_as_slice_mut(j)[j..];
        let tau = reflection(column);
        taus.push(tau);
        if tau == T::ZERO {
            continue;
        }
        let (head, tail) = (a.col_as_slice(j)[j], a.col_as_slice(j)[j + 1..].to_vec());
        for l in j + 1..end {
            let target = &mut a.col_as_slice_mut(l)[j..];
            let factor = tau * (target[0] + dot(&tail, &target[1..]));
            target[0] -= factor;
            subtract_multiple(&mut target[1..], factor, &tail);
        }
        a.col_as_slice_mut(j)[j] = head;
    }
    taus
}

/// The reflection that maps `x` to a multiple of the first unit vector. `x[0]` becomes that multiple, the rest the tail of `v`.
fn reflection<T: Scalar>(x: &mut [T]) -> T {
    let largest = x[1..].iter().fold(0.0f64, |m, x| m.max(x.to_f64().abs()));
    if largest == 0.0 {
        return T::ZERO;
    }
    let largest = largest.max(x[0].to_f64().abs());
    let norm = largest * x.iter().map(|x| (x.to_f64() / largest).powi(2)).sum::<f64>().sqrt();
    let alpha = x[0].to_f64();
    let beta = if alpha > 0.0 { -norm } else { norm };
    let scale = alpha - beta;
    for v in &mut x[1..] {
        *v = T::from_f64(v.to_f64() / scale);
    }
    x[0] = T::from_f64(beta);
    T::from_f64((beta - alpha) / beta)
}

/// `T` of `I - V T V^T`, upper triangular.
pub(crate) fn triangular_factor<T: Scalar>(v: MatRef<T>, taus: &[T]) -> Mat<T> {
    let gram = product(v.transpose(), v);
    let mut t = Mat::zeros(taus.len(), taus.len());
    for (i, &tau) in taus.iter().enumerate() {
        for row in 0..i {
            let sum = (row..i).fold(T::ZERO, |sum, l| sum + t[(row, l)] * gram[(l, i)]);
            t[(row, i)] = T::ZERO - tau * sum;
        }
        t[(i, i)] = tau;
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::distance;

    fn check(a: Mat<f64>) {
        let HouseholderQr { q, r } = HouseholderQr::new(a.as_ref());
        let scale = crate::linalg::norm_frobenius(a.as_ref());
        let mut back = Mat::zeros(a.nrows(), a.ncols());
        back.as_mut().subrows_mut(0, r.nrows()).copy_from(&r);
        q.apply(back.as_mut());
        assert!(distance(back.as_ref(), a.as_ref()) <= 1e-14 * scale);
        q.apply_transpose(back.as_mut());
        for j in 0..a.ncols() {
            for i in 0..a.nrows() {
                let expected = if i < r.nrows() { r[(i, j)] } else { 0.0 };
                assert!((back[(i, j)] - expected).abs() <= 1e-14 * scale);
            }
        }
        let full = {
            let mut full = Mat::identity(a.nrows(), a.nrows());
            q.apply(full.as_mut());
            full
        };
        let gram = product(full.as_ref().transpose(), full.as_ref());
        assert!(distance(gram.as_ref(), Mat::identity(a.nrows(), a.nrows()).as_ref()) <= 1e-13);
        assert!(distance(q.thin().as_ref(), full.as_ref().subcols(0, r.nrows())) <= 1e-14);
        if a.nrows() > 0 && a.nrows() < 60 {
            assert_eq!(full.determinant() < 0.0, q.negative_determinant());
        }
        let mut right = a.transpose().to_owned();
        q.apply_on_right(&mut right);
        assert!(distance(right.as_ref().subcols(0, r.nrows()), r.as_ref().transpose()) <= 1e-13 * scale);
    }

    #[test]
    fn tall_wide_deficient_graded_and_empty_matrices() {
        let wave = |i: usize, j: usize| ((i * 7 + j * 13 + i * j) as f64 * 0.37).sin();
        for (m, n) in [(1, 1), (5, 3), (3, 5), (100, 70), (70, 100), (64, 64), (33, 32), (0, 4), (4, 0)] {
            check(Mat::from_fn(m, n, wave));
            check(Mat::from_fn(m, n, |i, j| 1.0 / (i + j + 1) as f64));
            check(Mat::from_fn(m, n, |i, j| wave(i, j) * 10f64.powi(-2 * (j as i32))));
            check(Mat::from_fn(m, n, |i, _| (i + 1) as f64));
            check(Mat::from_fn(m, n, |i, j| if i > j { 0.0 } else { wave(i, j) }));
        }
        check(Mat::zeros(9, 4));
    }
}
