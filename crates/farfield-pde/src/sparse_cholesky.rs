//! Sparse Cholesky factorisation of a symmetric positive definite matrix, computed once and used for
//! many right-hand sides.
//!
//! With a fill-reducing permutation P (approximate minimum degree), `P A P^T = L L^T`. For a five-point
//! matrix L has about 20, 33 and 43 entries a row at 1 600, 8 000 and 58 000 rows; a solve reads them
//! twice. Not where a fast transform diagonalises the matrix: that needs no memory and is faster.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::LltRegularization;
use faer::sparse::linalg::SupernodalThreshold;
use faer::sparse::linalg::cholesky::supernodal::SupernodalLltRef;
use faer::sparse::linalg::cholesky::{
    CholeskySymbolicParams, LltRef, SymbolicCholesky, SymbolicCholeskyRaw, SymmetricOrdering,
    factorize_symbolic_cholesky,
};
use faer::sparse::linalg::triangular_solve::solve_lower_triangular_transpose_in_place;
use faer::sparse::{SparseColMat, SparseColMatRef, Triplet};
use faer::{Conj, MatMut, Par, Side};

use crate::PdeError;

/// An entry (row, column, value).
pub(crate) type Entry = (usize, usize, f64);

/// The factored matrix.
pub(crate) struct SparseCholesky {
    symbolic: SymbolicCholesky<usize>,
    values: Vec<f64>,
}

impl SparseCholesky {
    /// Factors the matrix with these entries: row at least column, each position once, the diagonal
    /// among them.
    pub(crate) fn new(problem: &'static str, unknowns: usize, entries: &[Entry]) -> Result<Self, PdeError> {
        SparseCholesky::with_threshold(problem, unknowns, entries, SupernodalThreshold::AUTO)
    }

    /// The threshold decides between a factor by columns and one by blocks of columns.
    fn with_threshold(
        problem: &'static str,
        unknowns: usize,
        entries: &[Entry],
        threshold: SupernodalThreshold,
    ) -> Result<Self, PdeError> {
        let failed = |reason: String| PdeError::Factorisation { problem, unknowns, reason };
        let triplets: Vec<_> = entries.iter().map(|&(row, column, value)| Triplet::new(row, column, value)).collect();
        let matrix = SparseColMat::<usize, f64>::try_new_from_triplets(unknowns, unknowns, &triplets)
            .map_err(|e| failed(format!("{e:?}")))?;
        let symbolic = factorize_symbolic_cholesky(
            matrix.symbolic(),
            Side::Lower,
            SymmetricOrdering::Amd,
            CholeskySymbolicParams { supernodal_flop_ratio_threshold: threshold, ..Default::default() },
        )
        .map_err(|e| failed(format!("{e:?}")))?;
        let mut values = Vec::new();
        values.try_reserve_exact(symbolic.len_val()).map_err(|e| failed(e.to_string()))?;
        values.resize(symbolic.len_val(), 0.0);
        let scratch = symbolic.factorize_numeric_llt_scratch::<f64>(Par::Seq, Default::default());
        let mut memory = MemBuffer::try_new(scratch).map_err(|_| failed("out of memory".to_owned()))?;
        symbolic
            .factorize_numeric_llt(
                &mut values,
                matrix.as_ref(),
                Side::Lower,
                LltRegularization::default(),
                Par::Seq,
                MemStack::new(&mut memory),
                Default::default(),
            )
            .map_err(|e| failed(e.to_string()))?;
        Ok(SparseCholesky { symbolic, values })
    }

    /// Rows of the matrix.
    pub(crate) fn unknowns(&self) -> usize {
        self.symbolic.nrows()
    }

    /// `x <- A^-1 x`.
    pub(crate) fn solve(&self, x: &mut [f64]) {
        let n = self.unknowns();
        let mut memory = MemBuffer::new(self.symbolic.solve_in_place_scratch::<f64>(1, Par::Seq));
        LltRef::new(&self.symbolic, &self.values).solve_in_place_with_conj(
            Conj::No,
            MatMut::from_column_major_slice_mut(x, n, 1),
            Par::Seq,
            MemStack::new(&mut memory),
        );
    }

    /// `x <- R x` with `R = P^T L^-T`, so that `R R^T = A^-1`: independent N(0, 1) numbers become a
    /// sample of N(0, A^-1).
    pub(crate) fn apply_inverse_root(&self, x: &mut [f64]) {
        let n = self.unknowns();
        let mut permuted = x.to_vec();
        let column = MatMut::from_column_major_slice_mut(&mut permuted, n, 1);
        match self.symbolic.raw() {
            SymbolicCholeskyRaw::Simplicial(symbolic) => {
                let l = SparseColMatRef::new(symbolic.factor(), &self.values[..]);
                solve_lower_triangular_transpose_in_place(l, Conj::No, column, Par::Seq);
            }
            SymbolicCholeskyRaw::Supernodal(symbolic) => {
                let mut memory = MemBuffer::new(symbolic.solve_in_place_scratch::<f64>(1, Par::Seq));
                let l = SupernodalLltRef::new(symbolic, &self.values);
                l.l_transpose_solve_with_conj(Conj::No, column, Par::Seq, MemStack::new(&mut memory));
            }
        }
        match self.symbolic.perm() {
            Some(permutation) => {
                for (x, &i) in x.iter_mut().zip(permutation.arrays().1) {
                    *x = permuted[i];
                }
            }
            None => x.copy_from_slice(&permuted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The five-point matrix on m x m points plus the identity, on and below the diagonal.
    fn five_point(m: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        for i in 0..m * m {
            entries.push((i, i, 5.0));
            if i >= m {
                entries.push((i, i - m, -1.0));
            }
            if !i.is_multiple_of(m) {
                entries.push((i, i - 1, -1.0));
            }
        }
        entries
    }

    fn multiply(entries: &[Entry], x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        for &(row, column, value) in entries {
            y[row] += value * x[column];
            if row != column {
                y[column] += value * x[row];
            }
        }
        y
    }

    #[test]
    fn solves_and_inverse_roots_fit_the_matrix() {
        let m = 40;
        for supernodal in [false, true] {
            let threshold =
                if supernodal { SupernodalThreshold::FORCE_SUPERNODAL } else { SupernodalThreshold::FORCE_SIMPLICIAL };
            let entries = five_point(m);
            let factor = SparseCholesky::with_threshold("test", m * m, &entries, threshold).unwrap();
            assert_eq!(matches!(factor.symbolic.raw(), SymbolicCholeskyRaw::Supernodal(_)), supernodal);
            let [x, y] = [0.7, 1.3].map(|k| (0..m * m).map(|i| (k * (i * i) as f64).sin()).collect::<Vec<f64>>());
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();

            let mut solved = x.clone();
            factor.solve(&mut solved);
            let residual = multiply(&entries, &solved).iter().zip(&x).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(residual < 1e-14, "supernodal {supernodal}: {residual:e}");

            // R^T A R = 1.
            let (mut root_x, mut root_y) = (x.clone(), y.clone());
            factor.apply_inverse_root(&mut root_x);
            factor.apply_inverse_root(&mut root_y);
            let image = multiply(&entries, &root_y);
            for (left, right) in [(dot(&root_x, &image), dot(&x, &y)), (dot(&root_y, &image), dot(&y, &y))] {
                assert!((left - right).abs() < 1e-13 * dot(&y, &y), "supernodal {supernodal}: {left} {right}");
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_is_refused() {
        let message = SparseCholesky::new("test", 2, &[(0, 0, 1.0), (1, 0, 2.0), (1, 1, 1.0)]).err().unwrap();
        assert!(message.to_string().starts_with("test: the sparse factorisation of 2 unknowns failed: "));
    }
}
