//! Tasks on as many threads as rayon's current pool has.
//!
//! What a task computes never depends on the number of threads; sums over tasks are formed afterwards, in order. The threads are
//! those of [`crate::team`], not rayon's own: waking a sleeping pool costs more than a small layer.

use crate::aligned::{AlignedVec, Room};
use crate::scalar::Scalar;
use crate::team;

/// Multiply-adds below which handing work to another thread costs more than it saves.
const WORTH_SHARING: usize = 1 << 17;

/// Runs `task(0..count)`, in parallel when `multiply_adds` (of all tasks together) make it worth while.
pub(crate) fn for_each(count: usize, multiply_adds: usize, task: impl Fn(usize) + Sync + Send) {
    let threads = rayon::current_num_threads();
    if count > 1 && multiply_adds >= WORTH_SHARING && threads > 1 {
        team::run(threads, count, &task);
    } else {
        (0..count).for_each(task);
    }
}

/// Splits `count` items into runs of at most `largest`, at least one run a thread if there are enough items. Only for
/// work whose result does not depend on the split.
pub(crate) fn run_length(count: usize, largest: usize) -> usize {
    count.div_ceil(rayon::current_num_threads()).clamp(1, largest)
}

/// An address that tasks may share; each task touches its own part.
pub(crate) struct Shared<T>(pub *mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<T> {}

// SAFETY: whoever dereferences vouches that tasks touch disjoint parts.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The address `offset` elements on.
    pub fn at(self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }

    /// The elements `offset..offset + len` as a slice.
    ///
    /// # Safety
    /// In bounds, and no other task touches them.
    pub unsafe fn slice<'a>(self, offset: usize, len: usize) -> &'a mut [T] {
        // SAFETY: the caller vouches for it.
        unsafe { std::slice::from_raw_parts_mut(self.at(offset), len) }
    }
}

/// The sum of arrays of `len` elements that lie one after the other, in their order.
pub(crate) fn add_parts<T: Scalar>(parts: &[T], len: usize) -> AlignedVec<T> {
    let mut room = Room::new(len);
    // SAFETY: the room has `len` elements, and all are written before they are read.
    let mut total = unsafe {
        room.shared().slice(0, len).fill(T::ZERO);
        room.finish()
    };
    for part in parts.chunks_exact(len.max(1)) {
        for (total, part) in total.iter_mut().zip(part) {
            *total += *part;
        }
    }
    total
}
