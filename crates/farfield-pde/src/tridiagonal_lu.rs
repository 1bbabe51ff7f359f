//! LU factorisation of tridiagonal matrices with partial pivoting (Golub & Van Loan, Matrix
//! Computations, section 4.3), as the linear solver under diffsol's Newton iteration.
//!
//! O(n) for factoring and for solving. It needs no symbolic analysis, unlike the sparse LU that
//! comes with diffsol, and a singular or non-finite matrix is an error, on which the integrator takes
//! a smaller step, and no panic.

use diffsol_la::{FaerContext, FaerSparseMat, FaerVec, LaError, LinearOp, LinearSolver, Matrix, MatrixCommon, Vector};

/// Factors of `A = L U` with row exchanges between neighbours.
#[derive(Default)]
pub(crate) struct TridiagonalLu {
    /// A, whose entries lie column by column, three each but for the first and the last column.
    matrix: Option<FaerSparseMat<f64>>,
    /// For each row but the last: what is subtracted from the next row, and whether the two were
    /// exchanged before.
    steps: Vec<(f64, bool)>,
    /// Rows of U: the diagonal entry and the two beside it.
    rows: Vec<[f64; 3]>,
    regular: bool,
}

impl TridiagonalLu {
    /// Factors the matrix with these entries, column by column.
    fn factor(&mut self, n: usize, entries: &[f64]) {
        // Entry (row, column) for |row - column| <= 1: column j begins at 3 j - 1.
        let entry = |row: usize, column: usize| if column < n { entries[2 * column + row] } else { 0.0 };
        self.steps.clear();
        self.rows.clear();
        self.regular = true;
        let mut row = [entry(0, 0), entry(0, 1), 0.0];
        for i in 0..n {
            let last = i + 1 == n;
            let next = if last { [0.0; 3] } else { [entry(i + 1, i), entry(i + 1, i + 1), entry(i + 1, i + 2)] };
            let exchange = next[0].abs() > row[0].abs();
            let (pivot, other) = if exchange { (next, row) } else { (row, next) };
            // Not so where it is NaN.
            self.regular &= pivot[0].abs() > 0.0;
            self.rows.push(pivot);
            if !last {
                let factor = other[0] / pivot[0];
                self.steps.push((factor, exchange));
                row = [other[1] - factor * pivot[1], other[2] - factor * pivot[2], 0.0];
            }
        }
    }

    /// Solves `A x = b` in place.
    fn solve(&self, x: &mut [f64]) {
        for (i, &(factor, exchange)) in self.steps.iter().enumerate() {
            if exchange {
                x.swap(i, i + 1);
            }
            x[i + 1] -= factor * x[i];
        }
        let (mut next, mut after) = (0.0, 0.0);
        for (x, row) in x.iter_mut().zip(&self.rows).rev() {
            *x = (*x - row[1] * next - row[2] * after) / row[0];
            (after, next) = (next, *x);
        }
    }
}

impl LinearSolver<FaerSparseMat<f64>> for TridiagonalLu {
    fn set_linearisation<C>(&mut self, operator: &C)
    where
        C: LinearOp<V = FaerVec<f64>, T = f64, M = FaerSparseMat<f64>, C = FaerContext>,
    {
        if let Some(mut matrix) = self.matrix.take() {
            operator.matrix_inplace(&mut matrix);
            self.factor(matrix.nrows(), matrix.inner()[0].val());
            self.matrix = Some(matrix);
        }
    }

    fn set_sparsity<C>(&mut self, operator: &C)
    where
        C: LinearOp<V = FaerVec<f64>, T = f64, M = FaerSparseMat<f64>, C = FaerContext>,
    {
        let (rows, columns) = (operator.nrows(), operator.ncols());
        let matrix = FaerSparseMat::new_from_sparsity(rows, columns, operator.sparsity(), *operator.context());
        self.matrix = Some(matrix);
        self.regular = false;
    }

    fn solve_in_place(&self, b: &mut FaerVec<f64>) -> Result<(), LaError> {
        if !self.regular || b.len() != self.rows.len() {
            return Err(LaError::Other("the matrix of the Newton iteration is singular".to_owned()));
        }
        b.for_each_batch_host([], |b, [], _| self.solve(b));
        Ok(())
    }

    fn solve_transpose_in_place(&self, _b: &mut FaerVec<f64>) -> Result<(), LaError> {
        Err(LaError::Other("transposed systems are not solved".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::TridiagonalLu;

    /// Entries column by column, three each but for the first and the last column.
    fn multiply(n: usize, entries: &[f64], x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; n];
        let mut entries = entries.iter();
        for (j, &x) in x.iter().enumerate() {
            let rows = j.saturating_sub(1)..(j + 2).min(n);
            y[rows].iter_mut().for_each(|y| *y += entries.next().unwrap() * x);
        }
        y
    }

    #[test]
    fn solves_to_rounding_with_and_without_exchanges() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for n in [1, 2, 3, 4, 50] {
            for dominance in [0.0, 4.0] {
                let mut entries: Vec<f64> = (0..3 * n - 2).map(|_| rng.random::<f64>() - 0.5).collect();
                entries.iter_mut().step_by(3).for_each(|diagonal| *diagonal += dominance);
                let exact: Vec<f64> = (0..n).map(|_| rng.random()).collect();
                let right = multiply(n, &entries, &exact);
                let mut lu = TridiagonalLu::default();
                lu.factor(n, &entries);
                assert!(lu.regular);
                assert_eq!(lu.steps.iter().any(|step| step.1), dominance == 0.0 && n > 1, "n = {n}");
                let mut x = right.clone();
                lu.solve(&mut x);
                let residual = multiply(n, &entries, &x);
                let norm = x.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
                for (a, b) in residual.iter().zip(&right) {
                    assert!((a - b).abs() < 1e-14 * norm, "n = {n}: {a} against {b}");
                }
            }
        }
    }

    #[test]
    fn singular_and_non_finite_matrices_are_noticed() {
        let mut lu = TridiagonalLu::default();
        for entries in [[1.0, 1.0, 1.0, 1.0], [0.0; 4], [f64::NAN, 1.0, 1.0, 2.0], [1.0, f64::NAN, 1.0, 2.0]] {
            lu.factor(2, &entries);
            assert!(!lu.regular, "{entries:?}");
        }
        lu.factor(2, &[0.0, 1.0, 1.0, 0.0]);
        assert!(lu.regular);
    }
}
