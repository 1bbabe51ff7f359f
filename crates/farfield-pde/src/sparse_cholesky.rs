//! Sparse Cholesky factorisation of a symmetric positive definite matrix, computed once and used for
//! many right-hand sides.
//!
//! With a fill-reducing permutation P (approximate minimum degree), `P A P^T = L L^T`. For a five-point
//! matrix L has about 20, 33 and 43 entries a row at 1 600, 8 000 and 58 000 rows; a solve reads them
//! twice. Not where a fast transform diagonalises the matrix: that needs no memory and is faster.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::LltRegularization;
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
        let failed = |reason: String| PdeError::Factorisation { problem, unknowns, reason };
        let triplets: Vec<_> = entries.iter().map(|&(row, column, value)| Triplet::new(row, column, value)).collect();
        let matrix = SparseColMat::<usize, f64>::try_new_from_triplets(unknowns, unknowns, &triplets)
            .map_err(|e| failed(format!("{e:?}")))?;
        let symbolic = factorize_symbolic_cholesky(
            matrix.symbolic(),
            Side::Lower,
            SymmetricOrdering::Amd,
            CholeskySymbolicParams::default(),
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
