//! Arrays aligned to cache lines, made without filling them first.

use std::ops::{Deref, DerefMut};

use crate::parallel::Shared;
use crate::scalar::Scalar;
use crate::scratch::prefer_huge_pages;

/// Alignment in bytes: one vector, one cache line.
const ALIGNMENT: usize = 64;

/// A `Vec` whose elements from `start` on are aligned to 64 bytes: every kernel returns its results in one.
///
/// [`AlignedVec::into_parts`] hands out the plain `Vec` and where the elements start in it.
#[derive(Clone, Debug)]
pub struct AlignedVec<T> {
    vec: Vec<T>,
    start: usize,
}

impl<T: Scalar> AlignedVec<T> {
    /// The `Vec` and the index of the first element; the elements run to its end, what lies before is zero.
    pub fn into_parts(self) -> (Vec<T>, usize) {
        (self.vec, self.start)
    }
}

impl<T: Scalar> Deref for AlignedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.vec[self.start..]
    }
}

impl<T: Scalar> DerefMut for AlignedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.vec[self.start..]
    }
}

/// Gives the memory of a result back, for the next results to be written into.
///
/// Results of a training step have the same sizes at every step; writing them into the same memory saves the page faults of
/// fresh allocations, which otherwise cost as much as the arithmetic of a small layer. Give back only what a kernel returned: it
/// is what the next step will ask for again. At most 64 arrays and 1 GiB are kept; beyond that, those that were given back
/// first go to the system.
pub fn recycle<T: Scalar>(values: Vec<T>) {
    if values.capacity() >= WORTH_KEEPING {
        let mut pool = T::pool().lock().unwrap_or_else(|e| e.into_inner());
        pool.push(values);
        let bytes = |pool: &[Vec<T>]| pool.iter().map(|v| v.capacity() * size_of::<T>()).sum::<usize>();
        while pool.len() > KEPT || pool.len() > 1 && bytes(&pool) > KEPT_BYTES {
            pool.remove(0);
        }
    }
}

/// Arrays kept at most, each of at least [`WORTH_KEEPING`] elements.
const KEPT: usize = 64;
const KEPT_BYTES: usize = 1 << 30;
const WORTH_KEEPING: usize = 1 << 12;

/// A kept array of suitable capacity, empty.
fn recycled<T: Scalar>(capacity: usize) -> Option<Vec<T>> {
    if capacity < WORTH_KEEPING {
        return None;
    }
    let mut pool = T::pool().lock().unwrap_or_else(|e| e.into_inner());
    let fits = |v: &Vec<T>| v.capacity() >= capacity && v.capacity() / 2 <= capacity;
    // The tightest; among equals the one given back last, which is most likely still in cache.
    let best = (0..pool.len()).rev().filter(|&i| fits(&pool[i])).min_by_key(|&i| pool[i].capacity())?;
    let mut values = pool.remove(best);
    values.clear();
    Some(values)
}

/// Room for an [`AlignedVec`] that tasks write through [`Room::shared`].
pub(crate) struct Room<T> {
    vec: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Scalar> Room<T> {
    pub fn new(len: usize) -> Self {
        let spare = ALIGNMENT / size_of::<T>();
        let mut vec = recycled(len + spare).unwrap_or_else(|| {
            let vec = Vec::with_capacity(len + spare);
            prefer_huge_pages(vec.as_ptr(), len + spare);
            vec
        });
        // Bytes to the next multiple of the alignment; allocations of `T` are multiples of its size.
        let start = (vec.as_ptr() as usize).wrapping_neg() % ALIGNMENT / size_of::<T>();
        vec.resize(start, T::ZERO);
        Self { vec, start, len }
    }

    /// The address of the first element. Nothing behind it is initialised yet: write only.
    pub fn shared(&mut self) -> Shared<T> {
        Shared(self.vec.as_mut_ptr().wrapping_add(self.start))
    }

    /// The array.
    ///
    /// # Safety
    /// All `len` elements have been written.
    pub unsafe fn finish(mut self) -> AlignedVec<T> {
        // SAFETY: the capacity is at least `start + len`; the caller vouches for the elements.
        unsafe { self.vec.set_len(self.start + self.len) };
        AlignedVec { vec: self.vec, start: self.start }
    }
}
