//! One array in memory, as read from or written to a file.

use crate::error::DataError;
use crate::real::{DType, Real};
use crate::shape::shape_text;

/// The values of an [`Array`], kept in the type they were stored in.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayData {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

impl ArrayData {
    pub(crate) fn with_capacity(dtype: DType, capacity: usize) -> Self {
        match dtype {
            DType::F32 => Self::F32(Vec::with_capacity(capacity)),
            DType::F64 => Self::F64(Vec::with_capacity(capacity)),
        }
    }

    pub(crate) fn zeros(dtype: DType, len: usize) -> Self {
        match dtype {
            DType::F32 => Self::F32(vec![0.0; len]),
            DType::F64 => Self::F64(vec![0.0; len]),
        }
    }

    /// The same values in the type `dtype`, rounded if that is narrower.
    pub(crate) fn from_slice<T: Real>(values: &[T], dtype: DType) -> Self {
        let mut data = Self::zeros(dtype, values.len());
        match &mut data {
            Self::F32(target) => T::copy_to_f32(values, target),
            Self::F64(target) => T::copy_to_f64(values, target),
        }
        data
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    pub fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }

    /// Copies the values from `start` on into `target`, converting; `None` if there are too few.
    pub(crate) fn copy_range<T: Real>(&self, start: usize, target: &mut [T]) -> Option<()> {
        let end = start.checked_add(target.len())?;
        match self {
            Self::F32(values) => T::copy_from_f32(target, values.get(start..end)?),
            Self::F64(values) => T::copy_from_f64(target, values.get(start..end)?),
        }
        Some(())
    }

    /// All values, converted to `T`.
    pub fn to_vec<T: Real>(&self) -> Vec<T> {
        let mut target = vec![T::default(); self.len()];
        match self {
            Self::F32(values) => T::copy_from_f32(&mut target, values),
            Self::F64(values) => T::copy_from_f64(&mut target, values),
        }
        target
    }
}

/// A row-major array of any number of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Length of each axis; empty for a single number.
    pub shape: Vec<usize>,
    /// The values, last axis fastest; as many as the product of `shape`.
    pub data: ArrayData,
}

impl Array {
    /// An array of `shape` holding `data`.
    ///
    /// # Errors
    /// [`DataError::Length`] if the product of `shape` is not the number of values.
    pub fn new<T: Real>(shape: &[usize], data: &[T]) -> Result<Self, DataError> {
        let array = Self { shape: shape.to_vec(), data: ArrayData::from_slice(data, T::DTYPE) };
        array.check()?;
        Ok(array)
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The fields are public, so whoever uses an array checks that they agree.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        match checked_len(&self.shape) {
            Some(expected) if expected == self.data.len() => Ok(()),
            expected => Err(DataError::length(
                format!("array of shape {}", shape_text(&self.shape)),
                self.data.len(),
                expected.map_or("a product that fits the machine".to_owned(), |n| n.to_string()),
            )),
        }
    }
}

/// Product of the axes, `None` on overflow (also where another axis is 0).
pub(crate) fn checked_len(shape: &[usize]) -> Option<usize> {
    let nonzero = shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis.max(1)))?;
    Some(if shape.contains(&0) { 0 } else { nonzero })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_must_match_the_shape() {
        assert!(Array::new(&[2, 3], &[0.0f32; 6]).is_ok());
        assert!(Array::new(&[], &[1.0f64]).is_ok());
        let error = Array::new(&[2, 3], &[0.0f32; 5]).unwrap_err().to_string();
        assert_eq!(error, "array of shape (2, 3): got 5 values, expected 6");
        assert!(Array::new(&[usize::MAX, 2], &[0.0f32; 5]).is_err());
        assert_eq!(checked_len(&[0, usize::MAX, 2]), None);
        assert_eq!(checked_len(&[0, 5]), Some(0));
    }

    #[test]
    fn ranges_convert_and_never_run_over() {
        let data = ArrayData::F64(vec![1.0, 2.0, 3.0]);
        let mut two = [0.0f32; 2];
        assert!(data.copy_range(1, &mut two).is_some());
        assert_eq!(two, [2.0, 3.0]);
        assert!(data.copy_range(2, &mut two).is_none());
        assert!(data.copy_range(usize::MAX, &mut two).is_none());
        assert_eq!(data.to_vec::<f32>(), [1.0, 2.0, 3.0]);
    }
}
