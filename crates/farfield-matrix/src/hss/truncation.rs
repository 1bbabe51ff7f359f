//! Truncated orthonormal bases under one error budget.
//!
//! Every basis of an HSS matrix is chosen by a step "replace the off-diagonal block row of node `i` by its orthogonal
//! projection", and the same for block columns, from the leaves to the root, each step on the result of the steps
//! before. Let `E_s` be what step `s` removes. Then
//!
//! ```text
//! A - H = sum_s E_s,    <E_s, E_t> = 0 for s != t,    ||A - H||_F^2 = sum_s ||E_s||_F^2,
//! ```
//!
//! for after a step with projector `P` on block row `i` all later matrices, hence all later `E_t`, have their block
//! row `i` in the range of `P`, while that of `E_s` lies in the range of `I - P`; and nothing is changed in the
//! diagonal block of `i` afterwards. So the error is known, not bounded by a worst case (compare Xi, Xia, Cauley &
//! Balakrishnan 2014, theorem 3.1 and corollary 4.3, where norms of the steps are added), and a budget `tolerance^2`
//! can be shared out among the steps: each gets an equal part of what is left.
//!
//! `||E_s||` is the norm of a residual that is computed, not a sum of singular values, whose rounding errors would go
//! unseen.

use faer::{Mat, MatRef};

use crate::accuracy::Accuracy;
use crate::certificate::Bound;
use crate::error::MatrixError;
use crate::linalg::{distance, left_singular, norm_frobenius, product, r_factor, truncation_rank};
use crate::scalar::Scalar;

/// An orthonormal basis, and the Frobenius norm of what it does not span.
pub(crate) struct Basis<T> {
    pub basis: Mat<T>,
    pub error: f64,
}

/// A basis of as few columns as possible, at most `cap`, that spans the columns of `m` but for `tolerance` in the
/// Frobenius norm. Singular values at the rounding level count as zero. Cost O(m n min(m, n)).
pub(crate) fn dominant_basis<T: Scalar>(m: MatRef<T>, tolerance: f64, cap: Option<usize>) -> Basis<T> {
    // A wide matrix has the left singular vectors of its triangular factor.
    if m.ncols() > m.nrows() + m.nrows() / 4 {
        let r = r_factor(m.transpose());
        return dominant_basis(r.as_ref().transpose(), tolerance, cap);
    }
    let norm = norm_frobenius(m);
    if norm <= tolerance {
        return Basis { basis: Mat::zeros(m.nrows(), 0), error: norm };
    }
    let (u, s) = left_singular(m);
    let (rank, _) = truncation_rank(&s, tolerance.max(T::EPSILON * norm));
    let basis = u.as_ref().subcols(0, rank.min(cap.unwrap_or(rank))).to_owned();
    let coefficients = product(basis.as_ref().transpose(), m);
    let error = distance(m, product(basis.as_ref(), coefficients.as_ref()).as_ref());
    Basis { basis, error }
}

/// How much error is allowed, and how much has been made.
pub(crate) struct Budget {
    /// Largest error allowed in all.
    tolerance: f64,
    /// Largest rounding error of the whole algorithm.
    rounding: f64,
    /// Frobenius norm of what has been removed.
    spent: f64,
    /// Steps to come.
    steps: usize,
    cap: Option<usize>,
}

impl Budget {
    /// For a matrix of this Frobenius norm on trees of `nodes` nodes, in `T` arithmetic.
    pub fn new<T: Scalar>(accuracy: &Accuracy, norm: f64, nodes: usize, levels: usize) -> Self {
        let rounding = 16.0 * (levels + 1) as f64 * T::EPSILON * norm;
        let tolerance = accuracy.absolute_for(norm);
        Self { tolerance, rounding, spent: 0.0, steps: 2 * nodes, cap: accuracy.rank_cap() }
    }

    /// The same where rounding errors are relative to this norm, if that is larger: for sums that cancel.
    pub fn with_rounding_of<T: Scalar>(self, size: f64, levels: usize) -> Self {
        Self { rounding: self.rounding.max(16.0 * (levels + 1) as f64 * T::EPSILON * size), ..self }
    }

    /// The error that one step may make. Rounding has its part set aside when there is enough.
    pub fn share(&self) -> f64 {
        let most = if self.rounding < 0.5 * self.tolerance { self.tolerance - self.rounding } else { self.tolerance };
        if self.spent >= most || self.steps == 0 {
            return 0.0;
        }
        // sqrt((most^2 - spent^2) / steps), without squares that could underflow.
        (most - self.spent).sqrt() * ((most + self.spent) / self.steps as f64).sqrt()
    }

    /// The cap on ranks.
    pub fn cap(&self) -> Option<usize> {
        self.cap
    }

    /// Counts a step and its error.
    pub fn charge(&mut self, error: f64) {
        self.spent = self.spent.hypot(error);
        self.steps = self.steps.saturating_sub(1);
    }

    /// The proven bound on the error, when it is within the tolerance. When the bound on rounding errors is what
    /// exceeds it, `measure` decides: the true error as computed entry by entry.
    pub fn bound(
        &self,
        what: &'static str,
        measure: impl FnOnce() -> Result<f64, MatrixError>,
    ) -> Result<Bound, MatrixError> {
        let mut reached = self.spent + self.rounding;
        let mut limit = "singular values at the rounding level".to_owned();
        if let (Some(cap), true) = (self.cap, self.spent > self.tolerance) {
            limit = format!("rank cap {cap}");
        } else if reached > self.tolerance {
            reached = measure()?;
        }
        if reached <= self.tolerance {
            Ok(Bound::proven(reached))
        } else {
            Err(MatrixError::Tolerance { what, tolerance: self.tolerance, reached, limit })
        }
    }
}
