//! The number types of weights that can be compressed, as `f64` and back.

use half::{bf16, f16};
use safetensors::Dtype;

/// A type of floating-point numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum NumberType {
    /// IEEE half precision.
    F16,
    /// The upper half of `f32`.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

impl NumberType {
    /// The type of a tensor, if it is one of these.
    pub fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F16 => Some(Self::F16),
            Dtype::BF16 => Some(Self::BF16),
            Dtype::F32 => Some(Self::F32),
            Dtype::F64 => Some(Self::F64),
            _ => None,
        }
    }

    /// The type in a file.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::F16 => Dtype::F16,
            Self::BF16 => Dtype::BF16,
            Self::F32 => Dtype::F32,
            Self::F64 => Dtype::F64,
        }
    }

    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Largest relative error of rounding a normal number to this type.
    pub fn unit_roundoff(self) -> f64 {
        match self {
            Self::F16 => 2f64.powi(-11),
            Self::BF16 => 2f64.powi(-8),
            Self::F32 => 2f64.powi(-24),
            Self::F64 => 2f64.powi(-53),
        }
    }

    /// Largest error of rounding a number below the normal ones.
    pub(crate) fn underflow(self) -> f64 {
        match self {
            Self::F16 => 2f64.powi(-25),
            Self::BF16 => 2f64.powi(-134),
            Self::F32 => 2f64.powi(-150),
            Self::F64 => f64::from_bits(1),
        }
    }

    /// The numbers of a tensor.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f64> {
        fn numbers<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            bytes.as_chunks::<N>().0.iter().map(|&chunk| read(chunk)).collect()
        }
        match self {
            Self::F16 => numbers(bytes, |x| f16::from_le_bytes(x).to_f64()),
            Self::BF16 => numbers(bytes, |x| bf16::from_le_bytes(x).to_f64()),
            Self::F32 => numbers(bytes, |x| f64::from(f32::from_le_bytes(x))),
            Self::F64 => numbers(bytes, f64::from_le_bytes),
        }
    }

    /// The nearest number of this type, as `f64`.
    pub(crate) fn round(self, x: f64) -> f64 {
        match self {
            Self::F16 => f16::from_f64(x).to_f64(),
            Self::BF16 => bf16::from_f64(x).to_f64(),
            Self::F32 => f64::from(x as f32),
            Self::F64 => x,
        }
    }

    /// Appends the bytes of the nearest numbers of this type.
    pub(crate) fn encode(self, numbers: impl IntoIterator<Item = f64>, out: &mut Vec<u8>) {
        for x in numbers {
            match self {
                Self::F16 => out.extend(f16::from_f64(x).to_le_bytes()),
                Self::BF16 => out.extend(bf16::from_f64(x).to_le_bytes()),
                Self::F32 => out.extend((x as f32).to_le_bytes()),
                Self::F64 => out.extend(x.to_le_bytes()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_errors_are_within_the_unit_roundoff_and_bytes_come_back() {
        for number in [NumberType::F16, NumberType::BF16, NumberType::F32, NumberType::F64] {
            let values: Vec<f64> = (0..500).map(|i| (i as f64 - 250.3) * 1.37f64.powi(i % 20 - 10)).collect();
            let mut bytes = Vec::new();
            number.encode(values.iter().copied(), &mut bytes);
            let back = number.decode(&bytes);
            assert_eq!(bytes.len(), 500 * number.size());
            for (x, y) in values.iter().zip(&back) {
                assert!((x - y).abs() <= number.unit_roundoff() * x.abs(), "{number:?} {x} {y}");
                assert_eq!(number.round(*x), *y);
                assert!((number.round(1e-3 * number.underflow())).abs() <= number.underflow());
            }
            let mut again = Vec::new();
            number.encode(back, &mut again);
            assert_eq!(again, bytes);
        }
    }
}
