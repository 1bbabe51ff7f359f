//! The operators of ONNX that models need, one method each.
//!
//! A method checks the shapes of its operands and knows that of its result. Axes are counted from 0.

use std::ops::Range;

use super::graph::{Graph, Value};
use super::proto::AttributeProto;
use super::shape::{Dim, broadcast, check_reshape, fixed, text};
use crate::error::NnError;

impl Graph {
    fn elementwise(&mut self, operator: &str, a: &Value, b: &Value) -> Result<Value, NnError> {
        let shape = broadcast(&a.shape, &b.shape)?;
        Ok(self.node(operator, vec![a.name.clone(), b.name.clone()], Vec::new(), shape))
    }

    /// `a + b`.
    pub(crate) fn add(&mut self, a: &Value, b: &Value) -> Result<Value, NnError> {
        self.elementwise("Add", a, b)
    }

    /// `a - b`.
    pub(crate) fn sub(&mut self, a: &Value, b: &Value) -> Result<Value, NnError> {
        self.elementwise("Sub", a, b)
    }

    /// `a b`, entry by entry.
    pub(crate) fn mul(&mut self, a: &Value, b: &Value) -> Result<Value, NnError> {
        self.elementwise("Mul", a, b)
    }

    /// `a / b`, entry by entry.
    pub(crate) fn div(&mut self, a: &Value, b: &Value) -> Result<Value, NnError> {
        self.elementwise("Div", a, b)
    }

    /// `-a`.
    pub(crate) fn neg(&mut self, a: &Value) -> Value {
        self.node("Neg", vec![a.name.clone()], Vec::new(), a.shape.clone())
    }

    /// The square root of every entry.
    pub(crate) fn sqrt(&mut self, a: &Value) -> Value {
        self.node("Sqrt", vec![a.name.clone()], Vec::new(), a.shape.clone())
    }

    /// The error function of every entry; `f32` only, see [`gelu`].
    pub(crate) fn erf(&mut self, a: &Value) -> Value {
        self.node("Erf", vec![a.name.clone()], Vec::new(), a.shape.clone())
    }

    /// `x` where it is positive, `slope x` elsewhere, with one slope.
    ///
    /// # Errors
    /// When there are several slopes.
    pub(crate) fn leaky_relu(&mut self, x: &Value, slope: &Value) -> Result<Value, NnError> {
        if slope.shape != fixed(&[1]) {
            return Err(NnError::shape("slope of an activation", text(&slope.shape), "[1]"));
        }
        Ok(self.node("PRelu", vec![x.name.clone(), slope.name.clone()], Vec::new(), x.shape.clone()))
    }

    /// Products of the matrices on the last two axes; those before are matched, or repeated where they are 1.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub(crate) fn matmul(&mut self, a: &Value, b: &Value) -> Result<Value, NnError> {
        let ([.., m, k], [.., l, n]) = (&a.shape[..], &b.shape[..]) else {
            return Err(NnError::shape("factors of a product", text(&a.shape), "two axes at least"));
        };
        if k != l || k.batched {
            return Err(NnError::shape(
                "right factor of a product",
                text(&b.shape),
                format!("one that fits {}", text(&a.shape)),
            ));
        }
        let mut shape = broadcast(&a.shape[..a.shape.len() - 2], &b.shape[..b.shape.len() - 2])?;
        shape.extend([*m, *n]);
        Ok(self.node("MatMul", vec![a.name.clone(), b.name.clone()], Vec::new(), shape))
    }

    /// `x W^T + b` with `x` `[batch, k]`, `W` `[n, k]` and `b` `[n]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub(crate) fn affine(&mut self, x: &Value, weight: &Value, bias: &Value) -> Result<Value, NnError> {
        let fits = match (&x.shape[..], &weight.shape[..], &bias.shape[..]) {
            ([_, k], [n, l], [m]) => k == l && n == m,
            _ => false,
        };
        if !fits {
            let got = format!("{}, {} and {}", text(&x.shape), text(&weight.shape), text(&bias.shape));
            return Err(NnError::shape("arguments of an affine map", got, "[batch, k], [n, k] and [n]"));
        }
        let shape = vec![x.shape[0], weight.shape[0]];
        let input = vec![x.name.clone(), weight.name.clone(), bias.name.clone()];
        Ok(self.node("Gemm", input, vec![AttributeProto::int("transB", 1)], shape))
    }

    /// A convolution with stride 1: `x` `[batch, c, grid]`, `weight` `[c_out, c, k, ..]`, `zeros` zeros beyond every end of the grid.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub(crate) fn convolution(
        &mut self,
        x: &Value,
        weight: &Value,
        bias: &Value,
        zeros: usize,
    ) -> Result<Value, NnError> {
        let fits = x.shape.len() == weight.shape.len()
            && x.shape.len() > 2
            && x.shape[1] == weight.shape[1]
            && bias.shape == weight.shape[..1];
        let mut shape = x.shape.clone();
        let mut long_enough = fits;
        for axis in 2..if fits { shape.len() } else { 0 } {
            let (n, k) = (x.length(axis)? + 2 * zeros, weight.length(axis)?);
            long_enough &= k > 0 && n >= k;
            shape[axis] = (n + 1).saturating_sub(k).into();
        }
        if !long_enough {
            let got = format!("{}, {} and {}", text(&x.shape), text(&weight.shape), text(&bias.shape));
            return Err(NnError::shape(
                "arguments of a convolution",
                got,
                "[batch, c, grid], [c_out, c, k, ..] and [c_out]",
            ));
        }
        shape[1] = weight.shape[0];
        let ends = vec![zeros as i64; 2 * (shape.len() - 2)];
        let input = vec![x.name.clone(), weight.name.clone(), bias.name.clone()];
        Ok(self.node("Conv", input, vec![AttributeProto::ints("pads", ends)], shape))
    }

    /// `max(x, 0)` of every entry.
    pub(crate) fn relu(&mut self, x: &Value) -> Value {
        self.node("Relu", vec![x.name.clone()], Vec::new(), x.shape.clone())
    }

    /// The same values in their order with other axes. At most one of them may grow with the batch.
    ///
    /// # Errors
    /// When the number of values differs.
    pub(crate) fn reshape(&mut self, x: &Value, shape: &[Dim]) -> Result<Value, NnError> {
        check_reshape(&x.shape, shape)?;
        if x.shape == shape {
            return Ok(x.clone());
        }
        let lengths: Vec<i64> = shape.iter().map(|d| if d.batched { -1 } else { d.length as i64 }).collect();
        let lengths = self.integers(None, &lengths)?;
        Ok(self.node("Reshape", vec![x.name.clone(), lengths], Vec::new(), shape.to_vec()))
    }

    /// Axis `i` of the result is axis `order[i]` of `x`.
    ///
    /// # Errors
    /// When `order` is no permutation of the axes.
    pub(crate) fn transpose(&mut self, x: &Value, order: &[usize]) -> Result<Value, NnError> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.shape.len()) {
            return Err(NnError::shape(
                "order of axes",
                format!("{order:?}"),
                format!("the axes of {}", text(&x.shape)),
            ));
        }
        if order.iter().copied().eq(0..order.len()) {
            return Ok(x.clone());
        }
        let shape = order.iter().map(|&axis| x.shape[axis]).collect();
        let order = order.iter().map(|&axis| axis as i64).collect();
        Ok(self.node("Transpose", vec![x.name.clone()], vec![AttributeProto::ints("perm", order)], shape))
    }

    /// Values one after the other along an axis.
    ///
    /// # Errors
    /// When there are none, or other axes differ.
    pub(crate) fn concat(&mut self, values: &[&Value], axis: usize) -> Result<Value, NnError> {
        let mut shape = values.first().map(|v| v.shape.clone()).unwrap_or_default();
        let mut length = 0;
        for value in values {
            let mut other = value.shape.clone();
            length += value.length(axis)?;
            if other.len() == shape.len() {
                other[axis] = shape[axis];
            }
            if other != shape {
                return Err(NnError::shape(
                    "values to join",
                    text(&value.shape),
                    format!("all axes but {axis} of {}", text(&shape)),
                ));
            }
        }
        let Some(joined) = shape.get_mut(axis) else {
            return Err(NnError::shape("values to join", values.len(), "one at least, with the axis"));
        };
        *joined = length.into();
        let input = values.iter().map(|v| v.name.clone()).collect();
        Ok(self.node("Concat", input, vec![AttributeProto::int("axis", axis as i64)], shape))
    }

    /// Parts of some axes, each `(axis, range)`.
    ///
    /// # Errors
    /// When a range runs over its axis.
    pub(crate) fn slice(&mut self, x: &Value, parts: &[(usize, Range<usize>)]) -> Result<Value, NnError> {
        let mut shape = x.shape.clone();
        for (axis, part) in parts {
            if part.is_empty() || part.end > x.length(*axis)? {
                return Err(NnError::shape(
                    "part of an axis",
                    format!("{part:?} of axis {axis}"),
                    format!("within {}", text(&x.shape)),
                ));
            }
            shape[*axis] = part.len().into();
        }
        let starts: Vec<i64> = parts.iter().map(|(_, part)| part.start as i64).collect();
        let ends: Vec<i64> = parts.iter().map(|(_, part)| part.end as i64).collect();
        let axes: Vec<i64> = parts.iter().map(|(axis, _)| *axis as i64).collect();
        let [starts, ends, axes] = [starts, ends, axes].map(|list| self.integers(None, &list));
        let (starts, ends, axes) = (starts?, ends?, axes?);
        Ok(self.node("Slice", vec![x.name.clone(), starts, ends, axes], Vec::new(), shape))
    }

    /// Zeros before and after some axes, each `(axis, before, after)`.
    ///
    /// # Errors
    /// When there is no such axis of fixed length.
    pub(crate) fn pad(&mut self, x: &Value, ends: &[(usize, usize, usize)]) -> Result<Value, NnError> {
        let (mut shape, rank) = (x.shape.clone(), x.shape.len());
        let mut lengths = vec![0; 2 * rank];
        for &(axis, before, after) in ends {
            shape[axis] = (x.length(axis)? + before + after).into();
            (lengths[axis], lengths[rank + axis]) = (before as i64, after as i64);
        }
        let lengths = self.integers(None, &lengths)?;
        Ok(self.node("Pad", vec![x.name.clone(), lengths], Vec::new(), shape))
    }

    /// Entries of an axis by their indices, which are stored under `name`.
    ///
    /// # Errors
    /// When an index runs over the axis.
    pub(crate) fn gather(&mut self, x: &Value, axis: usize, name: &str, indices: &[usize]) -> Result<Value, NnError> {
        let length = x.length(axis)?;
        if let Some(index) = indices.iter().find(|&&i| i >= length) {
            return Err(NnError::shape("index", index, format!("below {length}")));
        }
        let mut shape = x.shape.clone();
        shape[axis] = indices.len().into();
        let indices: Vec<i64> = indices.iter().map(|&i| i as i64).collect();
        let indices = self.integers(Some(name), &indices)?;
        Ok(self.node("Gather", vec![x.name.clone(), indices], vec![AttributeProto::int("axis", axis as i64)], shape))
    }

    /// The sum over an axis, which goes.
    ///
    /// # Errors
    /// When there is no such axis of fixed length.
    pub(crate) fn sum(&mut self, x: &Value, axis: usize) -> Result<Value, NnError> {
        x.length(axis)?;
        let mut shape = x.shape.clone();
        shape.remove(axis);
        let axes = self.integers(None, &[axis as i64])?;
        Ok(self.node("ReduceSum", vec![x.name.clone(), axes], vec![AttributeProto::int("keepdims", 0)], shape))
    }

    /// The mean over some axes, which become 1.
    ///
    /// # Errors
    /// When there is no such axis of fixed length.
    pub(crate) fn mean(&mut self, x: &Value, axes: &[usize]) -> Result<Value, NnError> {
        let mut shape = x.shape.clone();
        for &axis in axes {
            x.length(axis)?;
            shape[axis] = 1.into();
        }
        let axes = axes.iter().map(|&axis| axis as i64).collect();
        Ok(self.node("ReduceMean", vec![x.name.clone()], vec![AttributeProto::ints("axes", axes)], shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::graph::tests::graph;
    use crate::onnx::shape::{BATCH, batched};

    #[test]
    fn shapes_follow_from_the_operators() {
        let (mut g, x) = graph();
        let w = g.constant("w", &[5, 3], &[1.0; 15]).unwrap();
        let y = g.matmul(&w, &x).unwrap();
        assert_eq!(y.shape(), batched(&[5, 4]));
        let z = g.transpose(&y, &[2, 0, 1]).unwrap();
        assert_eq!(z.shape(), [4.into(), BATCH, 5.into()]);
        let r = g.reshape(&z, &[2.into(), Dim::batch(10)]).unwrap();
        assert_eq!(g.concat(&[&r, &r], 0).unwrap().shape(), [4.into(), Dim::batch(10)]);
        assert_eq!(g.slice(&y, &[(1, 1..3), (2, 0..1)]).unwrap().shape(), batched(&[2, 1]));
        assert_eq!(g.pad(&y, &[(2, 0, 3)]).unwrap().shape(), batched(&[5, 7]));
        assert_eq!(g.gather(&y, 1, "i", &[4, 4, 0]).unwrap().shape(), batched(&[3, 4]));
        assert_eq!(g.sum(&y, 1).unwrap().shape(), batched(&[4]));
        assert_eq!(g.mean(&y, &[1, 2]).unwrap().shape(), batched(&[1, 1]));
        let kernel = g.constant("kernel", &[2, 3, 3], &[1.0; 18]).unwrap();
        let bias = g.constant("bias", &[2], &[1.0; 2]).unwrap();
        assert_eq!(g.convolution(&x, &kernel, &bias, 1).unwrap().shape(), batched(&[2, 4]));
        assert_eq!(g.convolution(&x, &kernel, &bias, 0).unwrap().shape(), batched(&[2, 2]));
        let long = g.constant("long", &[2, 3, 5], &[1.0; 30]).unwrap();
        assert!(g.convolution(&x, &long, &bias, 0).is_err());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (mut g, x) = graph();
        let w = g.constant("w", &[5, 2], &[1.0; 10]).unwrap();
        assert!(g.matmul(&w, &x).unwrap_err().to_string().contains("[batch, 3, 4]"));
        assert!(g.constant("w", &[5, 2], &[2.0; 10]).is_err(), "another tensor of the same name");
        assert!(g.constant("w", &[5, 2], &[1.0; 10]).is_ok());
        assert!(g.constant("v", &[5, 2], &[1.0; 9]).is_err());
        assert!(g.reshape(&x, &[BATCH, 13.into()]).is_err());
        assert!(g.transpose(&x, &[0, 1, 1]).is_err());
        assert!(g.concat(&[&x, &w], 1).is_err());
        assert!(g.concat(&[], 0).is_err());
        assert!(g.slice(&x, &[(2, 1..5)]).is_err());
        assert!(g.slice(&x, &[(0, 0..1)]).is_err(), "samples cannot be cut off");
        assert!(g.gather(&x, 1, "i", &[3]).is_err());
        assert!(g.sum(&x, 0).is_err());
        assert!(g.affine(&x, &w, &w).is_err());
        assert!(g.convolution(&x, &w, &w, 1).is_err());
        assert!(g.leaky_relu(&x, &w).is_err());
    }
}
