//! Plain slices in and out of CPU tensors, without copies.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Element, Shape, Tensor};
use farfield_kernels::{AlignedVec, Scalar, recycle};

/// A number that both the kernels and the tensors know.
pub(crate) trait Float: Scalar + Element + bytemuck::Pod {}

impl Float for f32 {}
impl Float for f64 {}

/// Runs `$body` with `$t` as the number type of `$dtype`; `None` for types other than `f32` and `f64`.
macro_rules! with_float {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            burn::tensor::DType::F32 => {
                type $t = f32;
                Some($body)
            }
            burn::tensor::DType::F64 => {
                type $t = f64;
                Some($body)
            }
            _ => None,
        }
    };
}
pub(crate) use with_float;

/// The values as a tensor of this shape.
pub(crate) fn tensor<T: Float>(values: AlignedVec<T>, shape: &[usize]) -> FlexTensor {
    let (values, start) = values.into_parts();
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i] as isize;
    }
    FlexTensor::new(Bytes::from_elems(values), Layout::new(Shape::from(shape.to_vec()), strides, start), T::dtype())
}

/// One number as a tensor of shape `[1]`.
pub(crate) fn scalar<T: Float>(value: f64) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(vec![T::from_f64(value)]), Layout::contiguous(Shape::from(vec![1])), T::dtype())
}

/// The same tensor, row-major without gaps.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The values of a contiguous tensor of type `T`.
pub(crate) fn values<T: Float>(tensor: &FlexTensor) -> &[T] {
    tensor.as_slice().expect("a contiguous tensor of the type that was matched on")
}

/// The values of a contiguous tensor of type `T`, for writing; copies them first if another tensor shares them.
pub(crate) fn values_mut<T: Float>(tensor: &mut FlexTensor) -> &mut [T] {
    let (start, len) = (tensor.layout().start_offset(), tensor.layout().num_elements());
    &mut tensor.storage_mut::<T>()[start..start + len]
}

/// Gives the memory of a tensor back to the kernels, if nobody else holds it.
pub(crate) fn give_back<T: Float>(tensor: FlexTensor) {
    let data = tensor.data_arc();
    drop(tensor);
    if let Ok(bytes) = Arc::try_unwrap(data)
        && let Ok(values) = bytes.try_into_vec::<T>()
    {
        recycle(values);
    }
}

/// The CPU primitive of a tensor without gradients; `None` on another device or in another precision.
pub(crate) fn primitive<const D: usize>(tensor: Tensor<D>) -> Option<FlexTensor> {
    let primitive = tensor.try_into_primitive::<Flex>().ok()?;
    matches!(primitive.dtype(), DType::F32 | DType::F64).then(|| contiguous(primitive))
}
