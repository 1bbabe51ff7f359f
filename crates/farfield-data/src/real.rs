//! The two floating-point types a data set is stored in or read as.

use serde::{Deserialize, Serialize};

use crate::array::ArrayData;

/// Element type of a stored array. In files and configurations: `"f32"`, `"f64"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE single precision, 4 bytes.
    F32,
    /// IEEE double precision, 8 bytes.
    F64,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

/// `f32` or `f64`. Sealed: the file formats know no other.
pub trait Real: Copy + Default + Send + Sync + PartialOrd + std::fmt::Debug + sealed::Elements + 'static {
    /// The element type this is stored as.
    const DTYPE: DType;
    /// Rounds to the nearest representable value; too large becomes infinite.
    fn from_f64(value: f64) -> Self;
    /// Exact.
    fn to_f64(self) -> f64;
    /// Neither NaN nor infinite.
    fn is_finite(self) -> bool;
}

pub(crate) mod sealed {
    use crate::array::ArrayData;

    /// Bulk conversions between slices of equal length, plain copies where the types agree.
    pub trait Elements: Sized {
        fn copy_from_f32(target: &mut [Self], source: &[f32]);
        fn copy_from_f64(target: &mut [Self], source: &[f64]);
        fn copy_to_f32(source: &[Self], target: &mut [f32]);
        fn copy_to_f64(source: &[Self], target: &mut [f64]);
        fn into_data(values: Vec<Self>) -> ArrayData;
        fn from_f32(value: f32) -> Self;
    }
}

impl Real for f32 {
    const DTYPE: DType = DType::F32;
    #[inline]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl Real for f64 {
    const DTYPE: DType = DType::F64;
    #[inline]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
}

fn narrow(target: &mut [f32], source: &[f64]) {
    for (t, &s) in target.iter_mut().zip(source) {
        *t = s as f32;
    }
}

fn widen(target: &mut [f64], source: &[f32]) {
    for (t, &s) in target.iter_mut().zip(source) {
        *t = f64::from(s);
    }
}

impl sealed::Elements for f32 {
    #[inline]
    fn copy_from_f32(target: &mut [Self], source: &[f32]) {
        target.copy_from_slice(source);
    }
    #[inline]
    fn copy_from_f64(target: &mut [Self], source: &[f64]) {
        narrow(target, source);
    }
    #[inline]
    fn copy_to_f32(source: &[Self], target: &mut [f32]) {
        target.copy_from_slice(source);
    }
    #[inline]
    fn copy_to_f64(source: &[Self], target: &mut [f64]) {
        widen(target, source);
    }
    #[inline]
    fn into_data(values: Vec<Self>) -> ArrayData {
        ArrayData::F32(values)
    }
    #[inline]
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl sealed::Elements for f64 {
    #[inline]
    fn copy_from_f32(target: &mut [Self], source: &[f32]) {
        widen(target, source);
    }
    #[inline]
    fn copy_from_f64(target: &mut [Self], source: &[f64]) {
        target.copy_from_slice(source);
    }
    #[inline]
    fn copy_to_f32(source: &[Self], target: &mut [f32]) {
        narrow(target, source);
    }
    #[inline]
    fn copy_to_f64(source: &[Self], target: &mut [f64]) {
        target.copy_from_slice(source);
    }
    #[inline]
    fn into_data(values: Vec<Self>) -> ArrayData {
        ArrayData::F64(values)
    }
    #[inline]
    fn from_f32(value: f32) -> Self {
        f64::from(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtype_names_are_stable() {
        assert_eq!(serde_json::to_string(&DType::F32).unwrap(), "\"f32\"");
        assert_eq!(serde_json::from_str::<DType>("\"f64\"").unwrap(), DType::F64);
        assert!(serde_json::from_str::<DType>("\"F64\"").is_err());
        assert_eq!((DType::F32.to_string(), DType::F64.size()), ("f32".into(), 8));
    }

    #[test]
    fn conversions_are_exact_upward_and_rounded_downward() {
        let values = [1.0f32, -0.0, f32::MIN_POSITIVE, f32::MAX, 1e-42];
        let mut wide = [0.0f64; 5];
        let mut back = [0.0f32; 5];
        f32::copy_to_f64(&values, &mut wide);
        f64::copy_to_f32(&wide, &mut back);
        assert_eq!(values, back);
        assert!(!f32::from_f64(1e300).is_finite());
        use sealed::Elements;
    }
}
