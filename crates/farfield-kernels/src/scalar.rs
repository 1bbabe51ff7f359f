//! The numbers that the kernels work on.

use std::sync::Mutex;

use crate::microkernel::Kernels;
use crate::simd::VectorMath;
use crate::simd::portable::Portable;
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`.
pub trait Scalar:
    sealed::Sealed
    + Copy
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::AddAssign
    + std::ops::MulAssign
    + 'static
{
    /// Numbers in one 64-byte vector: samples (or points) that are computed side by side.
    const LANES: usize;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Rounded from `f64`.
    fn from_f64(x: f64) -> Self;
    /// Exact for both.
    fn to_f64(self) -> f64;
    /// Square root.
    fn sqrt(self) -> Self;
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn kernels() -> &'static Kernels<Self>;
    #[doc(hidden)]
    type Portable: VectorMath<T = Self>;
    #[doc(hidden)]
    #[cfg(target_arch = "x86_64")]
    type Avx2: VectorMath<T = Self>;
    #[doc(hidden)]
    #[cfg(target_arch = "x86_64")]
    type Avx512: VectorMath<T = Self>;
    #[doc(hidden)]
    fn pool() -> &'static Mutex<Vec<Vec<Self>>>;
}

macro_rules! scalar {
    ($t:ty, $lanes:literal) => {
        impl Scalar for $t {
            const LANES: usize = $lanes;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[allow(private_interfaces)]
            fn kernels() -> &'static Kernels<Self> {
                Kernels::<$t>::current()
            }
            type Portable = Portable<$t>;
            #[cfg(target_arch = "x86_64")]
            type Avx2 = Avx2<$t>;
            #[cfg(target_arch = "x86_64")]
            type Avx512 = Avx512<$t>;
            fn pool() -> &'static Mutex<Vec<Vec<Self>>> {
                static POOL: Mutex<Vec<Vec<$t>>> = Mutex::new(Vec::new());
                &POOL
            }
        }
    };
}

scalar!(f32, 16);
scalar!(f64, 8);
