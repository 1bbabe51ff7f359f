//! Lanes of vectors: parts of them at the end of an array, and their sum.

use super::Simd;
use crate::scalar::Scalar;

/// The vector that begins with `from`, zero beyond.
#[inline(always)]
pub(crate) unsafe fn partial<S: Simd>(from: &[S::T]) -> S::V {
    let mut lanes = [S::T::ZERO; 16];
    lanes[..from.len()].copy_from_slice(from);
    // SAFETY: one vector has at most 16 lanes.
    unsafe { S::load(lanes.as_ptr()) }
}

#[inline(always)]
pub(crate) unsafe fn lanes<S: Simd>(v: S::V) -> [S::T; 16] {
    let mut lanes = [S::T::ZERO; 16];
    // SAFETY: one vector has at most 16 lanes.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    lanes
}

/// The sum of the lanes, pairwise.
#[inline(always)]
pub(crate) unsafe fn total<S: Simd>(v: S::V) -> S::T {
    // SAFETY: the caller vouches for the instruction set.
    let mut parts = unsafe { lanes::<S>(v) };
    let mut width = S::T::LANES / 2;
    while width > 0 {
        for i in 0..width {
            parts[i] += parts[i + width];
        }
        width /= 2;
    }
    parts[0]
}
