//! LU and Cholesky factorisations of the dense diagonal leaves, in place.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place, solve_unit_upper_triangular_in_place,
    solve_upper_triangular_in_place,
};
use faer::{Mat, MatMut, MatRef, Par};

use crate::linalg::product;
use crate::log_determinant::is_odd;
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

    /// Sign and logarithm of the absolute value of the determinant.
    pub fn log_determinant(&self) -> (f64, f64) {
        let mut sign = if is_odd(&self.order) { -1.0 } else { 1.0 };
        let mut log = 0.0;
        for i in 0..self.len() {
            let pivot = self.factors[(i, i)].to_f64();
            sign *= pivot.signum();
            log += pivot.abs().ln();
        }
        (sign, log)
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
    /// The factorisation of the lower triangle, or the number of the pivot that is not above `floor`.
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
            if !(pivot.is_finite() && pivot * pivot > floor(j)) {
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

    /// Logarithm of the determinant of `A`.
    pub fn log_determinant(&self) -> f64 {
        (0..self.len()).map(|i| 2.0 * self.factor[(i, i)].to_f64().ln()).sum()
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
}

/// Replaces entry `i` of each column by `pick(column, i)`.
fn permute<T: Scalar>(mut x: MatMut<T>, pick: impl Fn(&[T], usize) -> T) {
    let mut old = vec![T::ZERO; x.nrows()];
    for j in 0..x.ncols() {
        (0..x.nrows()).for_each(|i| old[i] = x[(i, j)]);
        (0..x.nrows()).for_each(|i| x[(i, j)] = pick(&old, i));
    }
}
