//! One generic body, compiled for every instruction set, chosen at run time.
//!
//! A function with `target_feature` is compiled for that set, and so is all that is inlined into it. A task is therefore a struct with its
//! arguments and one method generic over [`VectorMath`], which must be `#[inline(always)]`, as must be what it calls. Cost of a
//! choice: one relaxed load and a branch.

use super::{InstructionSet, VectorMath};
use crate::scalar::Scalar;

/// Work on vectors, written once for all instruction sets.
pub(crate) trait VectorTask<T: Scalar> {
    /// What it returns.
    type Output;

    /// Does it. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The instruction set of `S` must be there, and whatever the task asks of its arguments must hold.
    unsafe fn run<S: VectorMath<T = T>>(self) -> Self::Output;
}

/// Runs a task with the vectors of [`InstructionSet::current`].
///
/// # Safety
/// What the task asks of its arguments must hold.
#[inline(always)]
pub(crate) unsafe fn dispatch<T: Scalar, W: VectorTask<T>>(task: W) -> W::Output {
    // SAFETY: the current instruction set is one that the machine has; the arguments are the caller's.
    unsafe {
        match InstructionSet::current() {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => avx512(task),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => avx2(task),
            _ => task.run::<T::Portable>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn avx512<T: Scalar, W: VectorTask<T>>(task: W) -> W::Output {
    // SAFETY: this function is compiled for the instruction set; the rest is the caller's.
    unsafe { task.run::<T::Avx512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Scalar, W: VectorTask<T>>(task: W) -> W::Output {
    // SAFETY: as above.
    unsafe { task.run::<T::Avx2>() }
}
