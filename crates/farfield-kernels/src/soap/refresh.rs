//! New eigenbases: one step of the power iteration with QR, as [`SOAP`](super) has it, and everything else brought into them.
//!
//! With the average `B` of a side in its basis `Q`, so that it stands for `P = Q B Q^T`, the step `Q_new R = P Q` is `Q_new R = Q B`. The columns are sorted by
//! the diagonal of `B` first, largest first, and the second moments with them; `T = Q_new^T Q` brings `B` to `T B T^T`, and the first moments likewise.

use super::step::{Left, product};
use super::{Part, Place, SoapPlan, SoapState, row_stride};
use crate::error::LayoutError;
use crate::householder::orthogonal_factor;
use crate::parallel::{Shared, for_each};
use crate::scalar::Scalar;
use crate::scratch::Scratch;

/// Refreshes the eigenbases of all blocks. Blocks are shared among the threads, and the bits do not depend on how many there are.
///
/// # Errors
/// When a slice has the wrong length.
pub fn soap_refresh<T: Scalar>(plan: &SoapPlan, state: &mut SoapState<'_, T>) -> Result<(), LayoutError> {
    plan.check(state)?;
    let all = Arrays {
        first: Shared(state.first.as_mut_ptr()),
        second: Shared(state.second.as_mut_ptr()),
        factors: Shared(state.factors.as_mut_ptr()),
        bases: Shared(state.bases.as_mut_ptr()),
    };
    for_each(plan.tasks.len(), 4 * plan.multiply_adds, |t| {
        let parts = &plan.parts[plan.tasks[t].clone()];
        let room = parts.iter().map(scratch_len::<T>).max().unwrap_or(0);
        let mut scratch = Scratch::take(room);
        for part in parts {
            // SAFETY: the lengths are those of the plan, and every part has its own places in all arrays.
            unsafe { all.refresh(part, &mut scratch) };
        }
    });
    Ok(())
}

fn scratch_len<T: Scalar>(part: &Part) -> usize {
    let square = |side: Option<Place>, n: usize| side.map_or(0, |_| n * row_stride::<T>(n));
    3 * square(part.left, part.p).max(square(part.right, part.q)) + 2 * part.p * row_stride::<T>(part.q)
}

struct Arrays<T> {
    first: Shared<T>,
    second: Shared<T>,
    factors: Shared<T>,
    bases: Shared<T>,
}

impl<T: Scalar> Arrays<T> {
    /// Refreshes one block.
    ///
    /// # Safety
    /// The part is inside all arrays and nobody else touches its places.
    unsafe fn refresh(&self, part: &Part, scratch: &mut [T]) {
        let &Part { offset, p, q, left, right, .. } = part;
        if left.is_none() && right.is_none() {
            return;
        }
        let (wide, tall) = (row_stride::<T>(q), row_stride::<T>(p));
        // SAFETY: the part's own entries.
        let (first, second) = unsafe { (self.first.slice(offset, p * q), self.second.slice(offset, p * q)) };
        let (moment, rest) = scratch.split_at_mut(p * wide);
        let (turned, rest) = rest.split_at_mut(p * wide);
        if let Some(Place { factor, basis }) = left {
            // SAFETY: as above.
            let (average, basis) = unsafe { (self.factors.slice(factor, p * tall), self.bases.slice(basis, p * tall)) };
            let side = Side { n: p, stride: tall, average, basis };
            let (order, change) = side.refresh(rest);
            // M = T M, and the rows of V in the new order.
            for (row, m) in moment.chunks_exact_mut(wide).zip(first.chunks_exact(q)) {
                row[..q].copy_from_slice(m);
                row[q..].fill(T::ZERO);
            }
            product((p, p, q), Left::rows(change, tall), moment, turned);
            for (m, row) in first.chunks_exact_mut(q).zip(turned.chunks_exact(wide)) {
                m.copy_from_slice(&row[..q]);
            }
            if let Some(order) = order {
                turned[..p * q].copy_from_slice(second);
                for (row, &from) in second.chunks_exact_mut(q).zip(&order) {
                    row.copy_from_slice(&turned[from * q..(from + 1) * q]);
                }
            }
        }
        if let Some(Place { factor, basis }) = right {
            // SAFETY: as above.
            let (average, bases) =
                unsafe { (self.factors.slice(factor, q * wide), self.bases.slice(basis, 2 * q * wide)) };
            let (basis, transposed) = bases.split_at_mut(q * wide);
            let side = Side { n: q, stride: wide, average, basis };
            let (order, change) = side.refresh(rest);
            // M = M T^T: the transpose of the change goes where the average was worked on.
            let (change, rest) = change.split_at_mut(q * wide);
            let flipped = &mut rest[..q * wide];
            turn(change, flipped, q, wide);
            product((p, q, q), Left::rows(first, q), flipped, moment);
            for (m, row) in first.chunks_exact_mut(q).zip(moment.chunks_exact(wide)) {
                m.copy_from_slice(&row[..q]);
            }
            if let Some(order) = order {
                for row in second.chunks_exact_mut(q) {
                    turned[..q].copy_from_slice(row);
                    row.iter_mut().zip(&order).for_each(|(v, &from)| *v = turned[from]);
                }
            }
            turn(basis, transposed, q, wide);
        }
    }
}

/// One side of a block.
struct Side<'a, T> {
    n: usize,
    stride: usize,
    average: &'a mut [T],
    basis: &'a mut [T],
}

impl<T: Scalar> Side<'_, T> {
    /// The new basis in place of the old, and the average in it. Returns the order of the old columns, if it changed, and room that begins with
    /// `T = Q_new^T Q`.
    fn refresh(self, scratch: &mut [T]) -> (Option<Vec<usize>>, &mut [T]) {
        let Self { n, stride, average, basis } = self;
        let square = n * stride;
        for i in 1..n {
            for j in 0..i {
                average[i * stride + j] = average[j * stride + i];
            }
        }
        let size = |j: usize| average[j * (stride + 1)].to_f64();
        let sorted = (1..n).all(|j| size(j) <= size(j - 1));
        let order = (!sorted).then(|| {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&i, &j| size(j).total_cmp(&size(i)));
            order
        });
        {
            let (image, rest) = scratch.split_at_mut(square);
            let (work, rest) = rest.split_at_mut(square);
            // Q B, its columns sorted.
            product((n, n, n), Left::rows(basis, stride), average, image);
            if let Some(order) = &order {
                for row in image.chunks_exact_mut(stride) {
                    work[..n].copy_from_slice(&row[..n]);
                    row.iter_mut().zip(order).for_each(|(v, &from)| *v = work[from]);
                }
            }
            orthogonal_factor(image, n, stride, work);
            // T = Q_new^T Q, then B = T B T^T.
            let change = &mut rest[..square];
            product((n, n, n), Left::columns(image, stride), basis, change);
            basis.copy_from_slice(image);
            product((n, n, n), Left::rows(change, stride), average, image);
            turn(change, work, n, stride);
            product((n, n, n), Left::rows(image, stride), work, average);
            image.copy_from_slice(change);
        }
        (order, scratch)
    }
}

/// `to = from^T` of an `n x n` matrix with rows of `stride` numbers.
fn turn<T: Scalar>(from: &[T], to: &mut [T], n: usize, stride: usize) {
    assert!(from.len() >= n * stride && to.len() >= n * stride);
    if stride > n {
        to.chunks_exact_mut(stride).for_each(|row| row[n..].fill(T::ZERO));
    }
    // SAFETY: both squares are in bounds and disjoint.
    unsafe { (T::kernels().transpose)(from.as_ptr(), stride, to.as_mut_ptr(), stride, n, n) }
}
