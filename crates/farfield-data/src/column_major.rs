//! Arrays that arrive with the first axis fastest (MATLAB, Fortran), placed row-major as they arrive.
//!
//! Element `(i_0, .., i_{d-1})` arrives as number `i_0 + n_0 (i_1 + n_1 (i_2 + ..))` and is put at
//! `(..(i_0 n_1 + i_1) n_2 + ..) + i_{d-1}`. One buffer, of the result's size; one pass.

use crate::array::{Array, ArrayData};
use crate::number::NumberFormat;
use crate::real::DType;

/// A row-major array being filled in column-major order.
pub(crate) struct ColumnMajor {
    array: Array,
    /// Distance in the result of neighbours along each axis.
    steps: Vec<usize>,
    index: Vec<usize>,
    at: usize,
    taken: usize,
}

impl ColumnMajor {
    /// Room for an array of `shape`, whose length the caller has held against the bytes that exist.
    pub(crate) fn new(shape: &[usize], dtype: DType) -> Self {
        let mut steps = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            steps[axis - 1] = steps[axis] * shape[axis];
        }
        let len = shape.iter().product();
        let array = Array { shape: shape.to_vec(), data: ArrayData::zeros(dtype, len) };
        Self { array, index: vec![0; shape.len()], steps, at: 0, taken: 0 }
    }

    /// Places the numbers in `bytes`, the next ones in column-major order.
    pub(crate) fn take(&mut self, format: NumberFormat, bytes: &[u8]) {
        let count = bytes.len() / format.size();
        match &mut self.array.data {
            ArrayData::F32(target) => {
                let mut values = vec![0f32; count];
                format.decode(bytes, &mut values);
                place(&values, target, &self.array.shape, &self.steps, &mut self.index, &mut self.at);
            }
            ArrayData::F64(target) => {
                let mut values = vec![0f64; count];
                format.decode(bytes, &mut values);
                place(&values, target, &self.array.shape, &self.steps, &mut self.index, &mut self.at);
            }
        }
        self.taken += count;
    }

    /// The array, or `None` if fewer or more numbers came than it has.
    pub(crate) fn finish(self) -> Option<Array> {
        (self.taken == self.array.len()).then_some(self.array)
    }
}

fn place<T: Copy>(
    values: &[T],
    target: &mut [T],
    shape: &[usize],
    steps: &[usize],
    index: &mut [usize],
    at: &mut usize,
) {
    for &value in values {
        if let Some(place) = target.get_mut(*at) {
            *place = value;
        }
        for axis in 0..shape.len() {
            index[axis] += 1;
            *at += steps[axis];
            if index[axis] < shape[axis] {
                break;
            }
            *at -= steps[axis] * shape[axis];
            index[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Number;

    #[test]
    fn every_element_finds_its_place() {
        let format = NumberFormat { number: Number::U8, big_endian: false };
        for shape in [vec![2, 3, 4], vec![5], vec![1, 6], vec![3, 1, 2, 2], vec![]] {
            let len: usize = shape.iter().product();
            let mut array = ColumnMajor::new(&shape, DType::F32);
            let bytes: Vec<u8> = (0..len as u8).collect();
            let (first, rest) = bytes.split_at(len / 3);
            array.take(format, first);
            array.take(format, rest);
            let array = array.finish().unwrap();
            let values = array.data.to_vec::<f64>();
            for (at, value) in values.into_iter().enumerate() {
                // The number in arrival order of the row-major place `at`.
                let (mut rest, mut number) = (at, 0);
                let mut digits = Vec::new();
                for &n in shape.iter().rev() {
                    digits.push((rest % n, n));
                    rest /= n;
                }
                for (digit, n) in digits {
                    number = number * n + digit;
                }
                assert_eq!(value, number as f64, "{shape:?}");
            }
        }
        let mut short = ColumnMajor::new(&[2, 2], DType::F64);
        short.take(format, &[1, 2, 3]);
        assert!(short.finish().is_none());
    }
}
