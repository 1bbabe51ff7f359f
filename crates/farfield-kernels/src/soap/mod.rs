//! SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, *SOAP: Improving and Stabilizing Shampoo using Adam*,
//! algorithm 3), for many small matrices at once.
//!
//! Every block `W` (`m x n`) of a flat slice of parameters has two orthogonal matrices `Q_L` and `Q_R`, the eigenbases of the moving averages of
//! `G G^T` and `G^T G`. A step with gradient `G` is
//!
//! ```text
//! G' = Q_L^T G Q_R,   M = b1 M + (1 - b1) G',   V = b2 V + (1 - b2) G' o G'
//! W  = (1 - lr wd) W - lr Q_L [ M / (1 - b1^t) / (sqrt(V / (1 - b2^t)) + eps) ] Q_R^T
//! L  = b3 L + G' G'^T,   R = b3 R + G'^T G'
//! ```
//!
//! Both averages are kept in the eigenbases, where `Q_L^T (G G^T) Q_L = G' G'^T`: that costs the same, and the small eigenvalues, from which the
//! largest steps come, keep their digits in single precision. Their scale is arbitrary, as eigenvectors do not depend on it. [`soap_refresh`] makes
//! one step of the power iteration with QR for the new eigenbases, and brings `M`, `L` and `R` into them.
//!
//! Cost of a step of an `m x n` block: `2.5 m n (m + n)` multiply-adds, of a refresh about `6 (m^3 + n^3) + m n (m + n)`. Memory beside the parameters:
//! `2 m n` for the moments and `2 m^2 + 3 n^2` with `m <= n`. A side longer than the largest dimension of the plan keeps the identity as its basis; with neither
//! side this is AdamW. Not worth it for vectors, and for matrices of thousands of rows and columns.

mod refresh;
mod step;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::error::{LayoutError, check_len};
use crate::layout::Block;
use crate::scalar::Scalar;

pub use refresh::soap_refresh;
pub use step::soap_step;

/// Multiply-adds that make a task.
const WORTH_A_TASK: usize = 1 << 14;
/// Entries of a part of a block that has no basis.
const CHUNK: usize = 1 << 14;

/// Hyper-parameters of SOAP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Soap {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Decay of the averages of `G G^T` and `G^T G`.
    pub factor_beta: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay: parameters shrink by `learning_rate * weight_decay` a step.
    pub weight_decay: f64,
}

/// A side of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoapSide {
    /// The block, as an index into those of the plan.
    pub block: usize,
    /// Whether the basis acts on its rows (`Q_L`) or on its columns (`Q_R`).
    pub rows: bool,
    /// Numbers of the basis and of its average.
    pub size: usize,
    /// In the work orientation: the shorter side of the block, or the longer.
    short: bool,
    part: usize,
}

/// Which blocks there are in a slice of parameters and where their state lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoapPlan {
    parts: Vec<Part>,
    blocks: Vec<Block>,
    /// Runs of parts that are worth a task.
    tasks: Vec<Range<usize>>,
    lanes: usize,
    len: usize,
    factors: usize,
    bases: usize,
    multiply_adds: usize,
}

/// One block, looked at so that its rows are not longer than its columns: `p x q`, `p <= q`, or a piece of one without bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    offset: usize,
    p: usize,
    q: usize,
    /// Whether that is the transpose of the block.
    transposed: bool,
    /// Where the averages and bases of the two sides begin.
    left: Option<Place>,
    right: Option<Place>,
}

/// The average takes `size x stride` numbers, the basis as many; that of a right side is followed by its transpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    factor: usize,
    basis: usize,
}

/// Distance between the rows of arrays with `n` columns: whole vectors, and an odd number of them where rows are long, so that the rows of a strip do not fall
/// on the same few sets of the cache.
fn row_stride<T: Scalar>(n: usize) -> usize {
    let vectors = n.div_ceil(T::LANES);
    (if vectors >= 4 { vectors | 1 } else { vectors }) * T::LANES
}

impl Part {
    /// Multiply-adds of a step.
    fn cost(&self) -> usize {
        let sides = [self.left.map(|_| self.p), self.right.map(|_| self.q)];
        self.p * self.q * (8 + 3 * sides.into_iter().flatten().sum::<usize>())
    }

    fn len(&self) -> usize {
        self.p * self.q
    }
}

/// The state of all blocks: slices of [`SoapPlan`]'s lengths, zero at the beginning.
#[derive(Debug)]
pub struct SoapState<'a, T> {
    /// First moments in the eigenbases, block after block; a block with more rows than columns is stored transposed.
    pub first: &'a mut [T],
    /// Second moments, likewise.
    pub second: &'a mut [T],
    /// Averages of `G G^T` and `G^T G` in the eigenbases.
    pub factors: &'a mut [T],
    /// Eigenbases.
    pub bases: &'a mut [T],
}

impl SoapPlan {
    /// The plan for numbers of type `T` and these blocks, which follow one another without gaps. Sides of more than `max_dimension`, and of one, get no basis.
    ///
    /// # Errors
    /// [`LayoutError::Length`] when the blocks do not follow one another.
    pub fn new<T: Scalar>(blocks: &[Block], max_dimension: usize) -> Result<Self, LayoutError> {
        let (mut parts, mut end, mut factors, mut bases) = (Vec::new(), 0, 0, 0);
        for block in blocks {
            check_len("the blocks before a block", end, block.offset)?;
            end += block.len();
            if block.is_empty() {
                continue;
            }
            let transposed = block.rows > block.cols;
            let (p, q) = (block.rows.min(block.cols), block.rows.max(block.cols));
            let mut place = |size: usize, copies: usize| {
                (2..=max_dimension).contains(&size).then(|| {
                    let place = Place { factor: factors, basis: bases };
                    let square = size * row_stride::<T>(size);
                    factors += square;
                    bases += copies * square;
                    place
                })
            };
            let (left, right) = (place(p, 1), place(q, 2));
            if left.is_none() && right.is_none() {
                for start in (0..block.len()).step_by(CHUNK) {
                    let len = CHUNK.min(block.len() - start);
                    let offset = block.offset + start;
                    parts.push(Part { offset, p: 1, q: len, transposed: false, left, right });
                }
            } else {
                parts.push(Part { offset: block.offset, p, q, transposed, left, right });
            }
        }
        let mut tasks: Vec<Range<usize>> = Vec::new();
        let mut cost = WORTH_A_TASK;
        for (i, part) in parts.iter().enumerate() {
            if cost >= WORTH_A_TASK {
                tasks.push(i..i);
                cost = 0;
            }
            if let Some(task) = tasks.last_mut() {
                task.end = i + 1;
            }
            cost += part.cost();
        }
        let multiply_adds = parts.iter().map(Part::cost).sum();
        let blocks = blocks.to_vec();
        Ok(Self { parts, blocks, tasks, lanes: T::LANES, len: end, factors, bases, multiply_adds })
    }

    /// Number of parameters, and of each moment.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers that the averages take.
    pub fn factors_len(&self) -> usize {
        self.factors
    }

    /// Numbers that the bases take.
    pub fn bases_len(&self) -> usize {
        self.bases
    }

    /// Multiply-adds of a step, about.
    pub fn multiply_adds(&self) -> usize {
        self.multiply_adds
    }

    /// The sides that have a basis.
    pub fn sides(&self) -> Vec<SoapSide> {
        let mut sides = Vec::new();
        for (part, p) in self.parts.iter().enumerate() {
            let block = self.blocks.partition_point(|block| block.offset + block.len() <= p.offset);
            if p.left.is_some() {
                sides.push(SoapSide { block, rows: !p.transposed, size: p.p, short: true, part });
            }
            if p.right.is_some() {
                sides.push(SoapSide { block, rows: p.transposed, size: p.q, short: false, part });
            }
        }
        sides
    }

    /// `G G^T` or `G^T G` of a side, row-major, in double precision. Cost: `size` times the entries of the block.
    ///
    /// # Errors
    /// A gradient of another length.
    pub fn gram<T: Scalar>(&self, side: SoapSide, gradient: &[T]) -> Result<Vec<f64>, LayoutError> {
        check_len("the gradient", gradient.len(), self.len)?;
        let part = &self.parts[side.part];
        let (n, other) = if side.short { (part.p, part.q) } else { (part.q, part.p) };
        // The index `i` along the side, `k` along the other.
        let (step_i, step_k) = if side.short == part.transposed { (1, n) } else { (other, 1) };
        let g = &gradient[part.offset..part.offset + part.len()];
        let mut gram = vec![0.0; n * n];
        let mut column = vec![0.0; n];
        for k in 0..other {
            for (i, c) in column.iter_mut().enumerate() {
                *c = g[i * step_i + k * step_k].to_f64();
            }
            for (row, &left) in gram.chunks_exact_mut(n).zip(&column) {
                row.iter_mut().zip(&column).for_each(|(sum, right)| *sum += left * right);
            }
        }
        Ok(gram)
    }

    /// Sets the basis of a side to these orthonormal vectors, one after the other, and its average to these eigenvalues.
    ///
    /// # Errors
    /// Slices of other lengths.
    pub fn set_basis<T: Scalar>(
        &self,
        side: SoapSide,
        state: &mut SoapState<'_, T>,
        values: &[f64],
        vectors: &[f64],
    ) -> Result<(), LayoutError> {
        self.check(state)?;
        let part = &self.parts[side.part];
        let (n, place) = if side.short { (part.p, part.left) } else { (part.q, part.right) };
        check_len("the eigenvalues", values.len(), n)?;
        check_len("the eigenvectors", vectors.len(), n * n)?;
        let Some(Place { factor, basis }) = place else { return Ok(()) };
        let stride = row_stride::<T>(n);
        for (j, (value, vector)) in values.iter().zip(vectors.chunks_exact(n)).enumerate() {
            state.factors[factor + j * (stride + 1)] = T::from_f64(*value);
            for (i, &v) in vector.iter().enumerate() {
                state.bases[basis + i * stride + j] = T::from_f64(v);
                if !side.short {
                    state.bases[basis + (n + j) * stride + i] = T::from_f64(v);
                }
            }
        }
        Ok(())
    }

    /// Checks the lengths of a state.
    fn check<T: Scalar>(&self, state: &SoapState<'_, T>) -> Result<(), LayoutError> {
        check_len("vectors of the plan", self.lanes, T::LANES)?;
        check_len("the first moment", state.first.len(), self.len)?;
        check_len("the second moment", state.second.len(), self.len)?;
        check_len("the averages", state.factors.len(), self.factors)?;
        check_len("the bases", state.bases.len(), self.bases)
    }
}
