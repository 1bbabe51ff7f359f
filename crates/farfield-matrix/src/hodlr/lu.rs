//! LU with partial pivoting of the small dense matrices inside a HODLR factorisation, in place.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place, solve_unit_upper_triangular_in_place,
    solve_upper_triangular_in_place,
};
use faer::{Mat, MatMut, Par};

use crate::log_determinant::is_odd;
use crate::scalar::Scalar;

/// `P A = L U`, `L` and `U` in one matrix.
#[derive(Clone, Debug)]
pub(super) struct Lu<T> {
    lu: Mat<T>,
    /// Row `i` of `P A` is row `order[i]` of `A`.
    order: Vec<usize>,
}

impl<T: Scalar> Lu<T> {
    /// The factors, or the column whose pivot is zero to working precision: no larger than what rounding leaves of the largest
    /// entry of its column.
    pub fn new(a: Mat<T>) -> Result<Self, usize> {
        let (n, mut lu) = (a.nrows(), a);
        let scale: Vec<f64> = (0..n).map(|j| crate::linalg::max_abs(lu.as_ref().subcols(j, 1))).collect();
        let (mut order, mut inverse) = (vec![0usize; n], vec![0usize; n]);
        let mut memory = MemBuffer::new(lu_in_place_scratch::<usize, T>(n, n, Par::Seq, Default::default()));
        let stack = MemStack::new(&mut memory);
        lu_in_place(lu.as_mut(), &mut order, &mut inverse, Par::Seq, stack, Default::default());
        for (j, scale) in scale.iter().enumerate() {
            let pivot = lu[(j, j)].to_f64().abs();
            // Not above, so that NaN counts as singular.
            if !(pivot > T::EPSILON * scale && pivot.is_finite()) {
                return Err(j);
            }
        }
        Ok(Self { lu, order })
    }

    /// `B` becomes `A^{-1} B`.
    pub fn solve(&self, mut b: MatMut<T>) {
        for j in 0..b.ncols() {
            let permuted: Vec<T> = self.order.iter().map(|&i| b[(i, j)]).collect();
            permuted.into_iter().enumerate().for_each(|(i, x)| b[(i, j)] = x);
        }
        solve_unit_lower_triangular_in_place(self.lu.as_ref(), b.as_mut(), Par::Seq);
        solve_upper_triangular_in_place(self.lu.as_ref(), b, Par::Seq);
    }

    /// `B` becomes `A^{-T} B`.
    pub fn solve_transpose(&self, mut b: MatMut<T>) {
        solve_lower_triangular_in_place(self.lu.transpose(), b.as_mut(), Par::Seq);
        solve_unit_upper_triangular_in_place(self.lu.transpose(), b.as_mut(), Par::Seq);
        for j in 0..b.ncols() {
            let column: Vec<T> = (0..b.nrows()).map(|i| b[(i, j)]).collect();
            self.order.iter().zip(column).for_each(|(&i, x)| b[(i, j)] = x);
        }
    }

    /// The sign of the determinant and the logarithm of its absolute value.
    pub fn log_determinant(&self) -> (i32, f64) {
        let (mut negative, mut ln) = (is_odd(&self.order), 0.0);
        for j in 0..self.order.len() {
            let pivot = self.lu[(j, j)].to_f64();
            negative ^= pivot < 0.0;
            ln += pivot.abs().ln();
        }
        (if negative { -1 } else { 1 }, ln)
    }

    /// Numbers stored.
    pub fn stored(&self) -> usize {
        self.order.len() * self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::{distance, product};

    #[test]
    fn solves_both_ways_and_knows_its_determinant() {
        let a = Mat::from_fn(5, 5, |i, j| ((i * i + 3 * j + i * j) % 7) as f64 - if i == j { 4.0 } else { 1.0 });
        let lu = Lu::new(a.clone()).unwrap();
        let mut x = a.clone();
        lu.solve(x.as_mut());
        assert!(distance(x.as_ref(), Mat::<f64>::identity(5, 5).as_ref()) < 1e-12);
        let mut x = product(a.transpose(), a.as_ref());
        lu.solve_transpose(x.as_mut());
        assert!(distance(x.as_ref(), a.as_ref()) < 1e-12);
        let (sign, ln) = lu.log_determinant();
        assert!((f64::from(sign) * ln.exp() - a.determinant()).abs() < 1e-9 * a.determinant().abs());
    }

    #[test]
    fn singular_columns_are_named() {
        assert_eq!(Lu::new(Mat::from_fn(3, 3, |i, j| ((i + 1) * (j + 1)) as f64)).unwrap_err(), 1);
        assert_eq!(Lu::new(Mat::<f64>::zeros(2, 2)).unwrap_err(), 0);
        let graded = Mat::from_fn(3, 3, |i, j| if i == j { 1e-40f64.powi(i as i32) } else { 0.0 });
        assert!(Lu::new(graded).is_ok() && Lu::new(Mat::<f64>::zeros(0, 0)).is_ok());
    }
}
