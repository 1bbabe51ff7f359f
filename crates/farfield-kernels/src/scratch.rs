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
            let fits = |i: &usize| pool[*i].len() >= need && pool[*i].len() <= 4 * need.max(64);
            // The tightest; among equals the one given back last, which is most likely still in cache.
            let best = (0..pool.len()).rev().filter(fits).min_by_key(|&i| pool[i].len());
            best.map(|i| pool.remove(i))
        };
        Self { lines: kept.unwrap_or_else(|| new_lines(need)), len, element: std::marker::PhantomData }
    }

    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut scratch = Self::take(len);
        scratch.fill(T::ZERO);
        scratch
    }
}

/// `count` lines of zeros, on huge pages if large.
fn new_lines(count: usize) -> Vec<Line> {
    let mut lines = Vec::with_capacity(count);
    prefer_huge_pages(lines.as_ptr(), count);
    lines.resize(count, Line([0; 64]));
    lines
}

/// Asks for huge pages behind a large array: mode-1 products walk through planes, each on pages of its own, and small
/// pages would make the address translation the bottleneck.
pub(crate) fn prefer_huge_pages<U>(p: *const U, count: usize) {
    const PAGE: usize = 4096;
    const HUGE: usize = 2 << 20;
    let bytes = count * size_of::<U>();
    if cfg!(target_os = "linux") && bytes >= 2 * HUGE {
        let start = (p as usize).next_multiple_of(PAGE);
        let end = (p as usize + bytes) / PAGE * PAGE;
        #[cfg(target_os = "linux")]
        // SAFETY: whole pages inside an allocation of ours; the call changes how they are backed, not what they hold.
        // A refusal costs speed alone.
        unsafe {
            libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE);
        }
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
