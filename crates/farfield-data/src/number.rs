//! Number formats found in files, and their conversion to `f32` or `f64`.
//!
//! Floats of 2, 4 and 8 bytes, signed and unsigned integers of 1 to 8 bytes and booleans, in either
//! byte order. Up to 2 bytes everything fits `f32` exactly; integers of 4 and 8 bytes are read as
//! `f64` (above 2^53 they are rounded to the nearest).

use std::fmt;
use std::path::Path;

use crate::array::ArrayData;
use crate::error::DataError;
use crate::real::{DType, Real};
use crate::shape::shape_text;

/// What the bytes of one element mean, byte order aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
}

/// A number format with its byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NumberFormat {
    pub(crate) number: Number,
    pub(crate) big_endian: bool,
}

impl NumberFormat {
    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        match self.number {
            Number::I8 | Number::U8 | Number::Bool => 1,
            Number::F16 | Number::I16 | Number::U16 => 2,
            Number::F32 | Number::I32 | Number::U32 => 4,
            Number::F64 | Number::I64 | Number::U64 => 8,
        }
    }

    /// The type the numbers are kept as in memory.
    pub(crate) fn dtype(self) -> DType {
        match self.number {
            Number::F64 | Number::I32 | Number::I64 | Number::U32 | Number::U64 => DType::F64,
            _ => DType::F32,
        }
    }

    /// Converts `bytes` to `target`, which has one place for each whole element.
    pub(crate) fn decode<T: Real>(self, bytes: &[u8], target: &mut [T]) {
        macro_rules! each {
            ($type:ty, $width:literal, $convert:expr) => {
                if self.big_endian {
                    for (t, b) in target.iter_mut().zip(bytes.as_chunks::<$width>().0) {
                        *t = $convert(<$type>::from_be_bytes(*b));
                    }
                } else {
                    for (t, b) in target.iter_mut().zip(bytes.as_chunks::<$width>().0) {
                        *t = $convert(<$type>::from_le_bytes(*b));
                    }
                }
            };
        }
        match self.number {
            Number::F16 => each!(u16, 2, |v| T::from_f64(half_to_f64(v))),
            Number::F32 => each!(f32, 4, T::from_f32),
            Number::F64 => each!(f64, 8, T::from_f64),
            Number::I8 => each!(i8, 1, |v| T::from_f64(f64::from(v))),
            Number::I16 => each!(i16, 2, |v| T::from_f64(f64::from(v))),
            Number::I32 => each!(i32, 4, |v| T::from_f64(f64::from(v))),
            Number::I64 => each!(i64, 8, |v| T::from_f64(v as f64)),
            Number::U8 => each!(u8, 1, |v| T::from_f64(f64::from(v))),
            Number::U16 => each!(u16, 2, |v| T::from_f64(f64::from(v))),
            Number::U32 => each!(u32, 4, |v| T::from_f64(f64::from(v))),
            Number::U64 => each!(u64, 8, |v| T::from_f64(v as f64)),
            Number::Bool => each!(u8, 1, |v| T::from_f64(if v == 0 { 0.0 } else { 1.0 })),
        }
    }

    /// Appends the numbers in `bytes` to `data`, which has the type [`Self::dtype`].
    pub(crate) fn append(self, bytes: &[u8], data: &mut ArrayData) {
        let count = bytes.len() / self.size();
        match data {
            ArrayData::F32(values) => {
                let start = values.len();
                values.resize(start + count, 0.0);
                self.decode(bytes, &mut values[start..]);
            }
            ArrayData::F64(values) => {
                let start = values.len();
                values.resize(start + count, 0.0);
                self.decode(bytes, &mut values[start..]);
            }
        }
    }
}

impl fmt::Display for NumberFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.number {
            Number::F16 => "f16",
            Number::F32 => "f32",
            Number::F64 => "f64",
            Number::I8 => "i8",
            Number::I16 => "i16",
            Number::I32 => "i32",
            Number::I64 => "i64",
            Number::U8 => "u8",
            Number::U16 => "u16",
            Number::U32 => "u32",
            Number::U64 => "u64",
            Number::Bool => "bool",
        })?;
        if self.big_endian && self.size() > 1 {
            f.write_str(" big-endian")?;
        }
        Ok(())
    }
}

/// Whether the elements of an array can be read as numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Elements {
    /// They can.
    Numbers(NumberFormat),
    /// They cannot: the type's name.
    Other(String),
}

impl Elements {
    /// Bytes of one number; 0 where there are none.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Numbers(format) => format.size(),
            Self::Other(_) => 0,
        }
    }

    /// The format of the numbers, or the error that there are none.
    pub(crate) fn format(&self, path: &Path, array: &str, shape: &[usize]) -> Result<NumberFormat, DataError> {
        match self {
            Self::Numbers(format) => Ok(*format),
            Self::Other(dtype) => Err(DataError::UnsupportedType {
                path: path.to_path_buf(),
                array: array.to_owned(),
                shape: shape_text(shape),
                dtype: dtype.clone(),
            }),
        }
    }
}

impl fmt::Display for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(format) => format.fmt(f),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// IEEE half precision: sign, 5 bits of exponent (bias 15), 10 bits of fraction. Exact.
fn half_to_f64(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    let magnitude = match i32::from((bits >> 10) & 0x1f) {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction) * 2f64.powi(exponent - 15),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(number: Number, big_endian: bool, bytes: &[u8]) -> f64 {
        let format = NumberFormat { number, big_endian };
        assert_eq!(format.size(), bytes.len());
        let mut value = [0.0f64];
        format.decode(bytes, &mut value);
        value[0]
    }

    #[test]
    fn every_format_in_both_byte_orders() {
        for big in [false, true] {
            macro_rules! check {
                ($number:ident, $type:ty, $values:expr) => {
                    for v in $values {
                        let bytes = if big { v.to_be_bytes() } else { v.to_le_bytes() };
                        assert_eq!(one(Number::$number, big, &bytes), v as f64);
                    }
                };
            }
            check!(F32, f32, [1.5f32, -0.0, f32::MAX]);
            check!(F64, f64, [1.5f64, -1e300]);
            check!(I8, i8, [-128i8, 127]);
            check!(I16, i16, [i16::MIN, 258]);
            check!(I32, i32, [i32::MIN, 0x01020304]);
            check!(I64, i64, [-(1i64 << 53), 1 << 40]);
            check!(U8, u8, [0u8, 255]);
            check!(U16, u16, [u16::MAX, 258]);
            check!(U32, u32, [u32::MAX]);
            check!(U64, u64, [1u64 << 53]);
        }
        assert_eq!(one(Number::Bool, false, &[0]), 0.0);
        assert_eq!(one(Number::Bool, false, &[7]), 1.0);
    }

    #[test]
    fn half_precision() {
        for (bits, value) in [
            (0x3c00u16, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2f64.powi(-24)),
            (0x0400, 2f64.powi(-14)),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
            (0x3555, 0.333251953125),
        ] {
            assert_eq!(one(Number::F16, false, &bits.to_le_bytes()), value);
        }
        assert!(one(Number::F16, true, &0x7e00u16.to_be_bytes()).is_nan());
    }

    #[test]
    fn append_keeps_what_is_there() {
        let format = NumberFormat { number: Number::I16, big_endian: true };
        let mut data = ArrayData::F32(vec![9.0]);
        format.append(&[0, 1, 0xff, 0xff], &mut data);
        assert_eq!(data, ArrayData::F32(vec![9.0, 1.0, -1.0]));
        assert_eq!(format.to_string(), "i16 big-endian");
    }
}
