//! Aligned work arrays that are kept for the next call.
//!
//! The layers need the same work arrays at every training step; asking the system for them each time costs page
//! faults. [`Scratch::take`] hands out a buffer kept from before if one is large enough (and not over four times
//! too large), and dropping it gives it back.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use crate::scalar::Scalar;

/// 64 bytes, so that a `Vec` of them is aligned to cache lines.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Buffers kept at most; beyond that the smallest go back to the system.
const KEPT: usize = 64;

static POOL: Mutex<Vec<Vec<Line>>> = Mutex::new(Vec::new());

/// A work array of `T`, aligned to 64 bytes, with arbitrary finite or non-finite contents from earlier use.
pub(crate) struct Scratch<T: Scalar> {
    lines: Vec<Line>,
    len: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: Scalar> Scratch<T> {
    /// At least `len` elements of unspecified value.
    pub fn take(len: usize) -> Self {
        let need = (len * size_of::<T>()).div_ceil(size_of::<Line>()).max(1);
        let kept = {
            let mut pool = POOL.lock().unwrap_or_else(|e| e.into_inner());
            let best = (0..pool.len())
                .filter(|&i| pool[i].len() >= need && pool[i].len() <= 4 * need.max(64))
                .min_by_key(|&i| pool[i].len());
            best.map(|i| pool.swap_remove(i))
        };
        Self { lines: kept.unwrap_or_else(|| vec![Line([0; 64]); need]), len, element: std::marker::PhantomData }
    }

    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut scratch = Self::take(len);
        scratch.fill(T::ZERO);
        scratch
    }
}

impl<T: Scalar> Drop for Scratch<T> {
    fn drop(&mut self) {
        let mut pool = POOL.lock().unwrap_or_else(|e| e.into_inner());
        pool.push(std::mem::take(&mut self.lines));
        if pool.len() > KEPT
            && let Some(smallest) = (0..pool.len()).min_by_key(|&i| pool[i].len())
        {
            pool.swap_remove(smallest);
        }
    }
}

impl<T: Scalar> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines are initialised, aligned to 64 bytes, hold `len` elements, and every bit pattern is a
        // valid `f32` or `f64`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Scalar> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the buffer is exclusively ours.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
