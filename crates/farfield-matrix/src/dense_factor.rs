//! LU with partial pivoting and Cholesky factorisations of the small dense matrices inside hierarchical factorisations, in place: leaves on the
//! diagonal and coupling matrices.
//!
//! `P A = L U` and `A = L L^T` (Golub & Van Loan, sections 3.4 and 4.2). The caller says below which size a pivot counts as zero. Cost: 2 n^3 / 3
//! and n^3 / 3.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place, solve_unit_upper_triangular_in_place,
    solve_upper_triangular_in_place,
};
use faer::{Mat, MatMut, MatRef, Par};

use crate::linalg::{max_abs, product};
use crate::log_determinant::{LogDeterminant, is_odd};
use crate::scalar::Scalar;

/// `P A = L U`: pivots are chosen within the leaf.
#[derive(Clone, Debug)]
pub(crate) struct DenseLu<T> {
    /// `L` below the diagonal, with a unit diagonal that is not stored, and `U`.
    factors: Mat<T>,
    /// Row `i` of `P A` is row `order[i]` of `A`.
    order: Vec<usize>,
}

impl<T: Scalar> DenseLu<T> {
    /// The factorisation, or the number and size of the first pivot that is not finite or not above `floor(column)`.
    pub fn new(mut a: Mat<T>, floor: impl Fn(usize) -> f64) -> Result<Self, (usize, f64)> {
        let n = a.nrows();
        let (mut order, mut inverse) = (vec![0usize; n], vec![0usize; n]);
        let mut memory = MemBuffer::new(lu_in_place_scratch::<usize, T>(n, n, Par::Seq, Default::default()));
        let stack = MemStack::new(&mut memory);
        lu_in_place(a.as_mut(), &mut order, &mut inverse, Par::Seq, stack, Default::default());
        for i in 0..n {
            let pivot = a[(i, i)].to_f64().abs();
            if !(pivot.is_finite() && pivot > floor(i)) {
                return Err((i, pivot));
            }
        }
        Ok(Self { factors: a, order })
    }

    pub fn stored(&self) -> usize {
        self.factors.nrows() * self.factors.ncols()
    }

    /// Order of the leaf.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The determinant.
    pub fn log_determinant(&self) -> LogDeterminant {
        let pivots = (0..self.len()).map(|i| LogDeterminant::of(self.factors[(i, i)].to_f64()));
        pivots.fold(LogDeterminant::signed(is_odd(&self.order)), LogDeterminant::times)
    }

    /// `X <- A^-1 X`.
    pub fn solve(&self, mut x: MatMut<T>) {
        self.solve_lower(x.as_mut());
        self.solve_upper(x);
    }

    /// `X <- A^-T X`.
    pub fn solve_transpose(&self, mut x: MatMut<T>) {
        self.solve_upper_transpose(x.as_mut());
        self.solve_lower_transpose(x);
    }

    /// `X <- (P^T L)^-1 X`.
    pub fn solve_lower(&self, mut x: MatMut<T>) {
        permute(x.as_mut(), |old, i| old[self.order[i]]);
        solve_unit_lower_triangular_in_place(self.factors.as_ref(), x, Par::Seq);
    }

    /// `X <- (P^T L)^-T X`.
    pub fn solve_lower_transpose(&self, mut x: MatMut<T>) {
        solve_unit_upper_triangular_in_place(self.factors.as_ref().transpose(), x.as_mut(), Par::Seq);
        let mut places = vec![0; self.len()];
        self.order.iter().enumerate().for_each(|(i, &from)| places[from] = i);
        permute(x, |old, i| old[places[i]]);
    }

    /// `X <- U^-1 X`.
    pub fn solve_upper(&self, x: MatMut<T>) {
        solve_upper_triangular_in_place(self.factors.as_ref(), x, Par::Seq);
    }

    /// `X <- U^-T X`.
    pub fn solve_upper_transpose(&self, x: MatMut<T>) {
        solve_lower_triangular_in_place(self.factors.as_ref().transpose(), x, Par::Seq);
    }

    /// `P^T L X`.
    pub fn apply_lower(&self, x: MatRef<T>) -> Mat<T> {
        let unit_lower = Mat::from_fn(self.len(), self.len(), |i, j| match i.cmp(&j) {
            std::cmp::Ordering::Less => T::ZERO,
            std::cmp::Ordering::Equal => T::ONE,
            std::cmp::Ordering::Greater => self.factors[(i, j)],
        });
        let y = product(unit_lower.as_ref(), x);
        let mut out = Mat::zeros(y.nrows(), y.ncols());
        for j in 0..y.ncols() {
            (0..y.nrows()).for_each(|i| out[(self.order[i], j)] = y[(i, j)]);
        }
        out
    }

    /// `U X`.
    pub fn apply_upper(&self, x: MatRef<T>) -> Mat<T> {
        let n = self.len();
        let upper = Mat::from_fn(n, n, |i, j| if i <= j { self.factors[(i, j)] } else { T::ZERO });
        product(upper.as_ref(), x)
    }
}

/// `A = L L^T`.
#[derive(Clone, Debug)]
pub(crate) struct DenseCholesky<T> {
    factor: Mat<T>,
}

impl<T: Scalar> DenseCholesky<T> {
    /// The factorisation of the lower triangle, or the number of the first pivot whose square is not above `floor(column)`.
    pub fn new(mut a: Mat<T>, floor: impl Fn(usize) -> f64) -> Result<Self, usize> {
        let n = a.nrows();
        let mut memory = MemBuffer::new(cholesky_in_place_scratch::<T>(n, Par::Seq, Default::default()));
        let stack = MemStack::new(&mut memory);
        if let Err(faer::linalg::cholesky::llt::factor::LltError::NonPositivePivot { index }) =
            cholesky_in_place(a.as_mut(), Default::default(), Par::Seq, stack, Default::default())
        {
            return Err(index);
        }
        for j in 0..n {
            let pivot = a[(j, j)].to_f64();
            if !(pivot.is_finite() && pivot > floor(j).sqrt()) {
                return Err(j);
            }
            (0..j).for_each(|i| a[(i, j)] = T::ZERO);
        }
        Ok(Self { factor: a })
    }

    pub fn stored(&self) -> usize {
        self.len() * (self.len() + 1) / 2
    }

    /// Order of the leaf.
    pub fn len(&self) -> usize {
        self.factor.nrows()
    }

    /// The determinant of `A`.
    pub fn log_determinant(&self) -> LogDeterminant {
        let ln_abs = (0..self.len()).map(|i| 2.0 * self.factor[(i, i)].to_f64().ln()).sum();
        LogDeterminant { sign: 1, ln_abs }
    }

    /// `X <- L^-1 X`.
    pub fn solve(&self, x: MatMut<T>) {
        solve_lower_triangular_in_place(self.factor.as_ref(), x, Par::Seq);
    }

    /// `X <- L^-T X`.
    pub fn solve_transpose(&self, x: MatMut<T>) {
        solve_upper_triangular_in_place(self.factor.as_ref().transpose(), x, Par::Seq);
    }

    /// `L`.
    pub fn lower(&self) -> MatRef<'_, T> {
        self.factor.as_ref()
    }

    /// `L`, zero above the diagonal.
    pub fn into_lower(self) -> Mat<T> {
        self.factor
    }
}

/// The size below which a pivot of each column is zero to working precision: what rounding leaves of its largest entry.
pub(crate) fn rounding_floors<T: Scalar>(a: MatRef<T>) -> Vec<f64> {
    (0..a.ncols()).map(|j| T::EPSILON * max_abs(a.subcols(j, 1))).collect()
}

/// Replaces entry `i` of each column by `pick(column, i)`.
pub(crate) fn permute<T: Scalar>(mut x: MatMut<T>, pick: impl Fn(&[T], usize) -> T) {
    let mut old = vec![T::ZERO; x.nrows()];
    for j in 0..x.ncols() {
        (0..x.nrows()).for_each(|i| old[i] = x[(i, j)]);
        (0..x.nrows()).for_each(|i| x[(i, j)] = pick(&old, i));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::distance;

    #[test]
    fn solves_both_ways_and_knows_its_determinant() {
        let a = Mat::from_fn(5, 5, |i, j| ((i * i + 3 * j + i * j) % 7) as f64 - if i == j { 4.0 } else { 1.0 });
        let lu = DenseLu::new(a.clone(), |_| 0.0).unwrap();
        let mut x = a.clone();
        lu.solve(x.as_mut());
        assert!(distance(x.as_ref(), Mat::<f64>::identity(5, 5).as_ref()) < 1e-12);
        let mut x = product(a.transpose(), a.as_ref());
        lu.solve_transpose(x.as_mut());
        assert!(distance(x.as_ref(), a.as_ref()) < 1e-12);
        let LogDeterminant { sign, ln_abs: ln } = lu.log_determinant();
        assert!((f64::from(sign) * ln.exp() - a.determinant()).abs() < 1e-9 * a.determinant().abs());
    }

    #[test]
    fn singular_columns_are_named() {
        // What rounding leaves of the largest entry of the column.
        let factor = |a: Mat<f64>| {
            let floors = rounding_floors(a.as_ref());
            DenseLu::new(a, |j| floors[j])
        };
        assert_eq!(factor(Mat::from_fn(3, 3, |i, j| ((i + 1) * (j + 1)) as f64)).unwrap_err().0, 1);
        assert_eq!(factor(Mat::<f64>::zeros(2, 2)).unwrap_err(), (0, 0.0));
        let graded = Mat::from_fn(3, 3, |i, j| if i == j { 1e-40f64.powi(i as i32) } else { 0.0 });
        assert!(factor(graded).is_ok() && factor(Mat::<f64>::zeros(0, 0)).is_ok());
    }
}
