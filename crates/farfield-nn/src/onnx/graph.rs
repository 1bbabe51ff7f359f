//! A builder of ONNX graphs: values with known shapes, one method an operator, names that follow from the order of the calls.
//!
//! Every method checks the shapes of its operands and knows that of its result, so a model that is put together wrongly is an error here and not in
//! the program that runs the file. All values are of one float type. The number of samples is known at run time only: see [`Dim`].

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::TensorData;

use super::gelu;
use super::proto::{
    AttributeProto, DimensionProto, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use super::shape::{BATCH, Dim, batched, broadcast, check_reshape, fixed, text};
use crate::config::Precision;
use crate::error::NnError;

/// Version of the operator set.
pub(crate) const OPSET: i64 = 17;
/// Version of the file format.
const IR_VERSION: i64 = 8;
/// Name of the axis of samples.
const BATCH_NAME: &str = "batch";

/// A value of the graph.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    name: String,
    shape: Vec<Dim>,
}

impl Value {
    /// Its shape.
    pub(crate) fn shape(&self) -> &[Dim] {
        &self.shape
    }

    /// The length of an axis that does not depend on the batch.
    ///
    /// # Errors
    /// When there is no such axis, or it does.
    pub(crate) fn length(&self, axis: usize) -> Result<usize, NnError> {
        match self.shape.get(axis) {
            Some(Dim { length, batched: false }) => Ok(*length),
            _ => Err(NnError::shape(
                "axis of fixed length",
                format!("axis {axis} of {}", text(&self.shape)),
                "one without batch",
            )),
        }
    }
}

/// A graph under construction.
#[derive(Debug)]
pub(crate) struct Graph {
    precision: Precision,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// Where the initialisers of each name are in the list.
    known: BTreeMap<String, usize>,
    /// How often each name of an operator was given.
    given: BTreeMap<String, usize>,
    scope: Vec<String>,
    functions: Vec<FunctionProto>,
    inputs: Vec<ValueInfoProto>,
}

impl Graph {
    /// An empty graph of the float type.
    pub(crate) fn new(precision: Precision) -> Self {
        Self {
            precision,
            nodes: Vec::new(),
            initializers: Vec::new(),
            known: BTreeMap::new(),
            given: BTreeMap::new(),
            scope: Vec::new(),
            functions: Vec::new(),
            inputs: Vec::new(),
        }
    }

    /// The float type of all values.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// An input: any number of samples of `shape`.
    pub(crate) fn input(&mut self, name: &str, shape: &[usize]) -> Value {
        let value = Value { name: name.to_owned(), shape: batched(shape) };
        self.inputs.push(value_info(&value, self.precision));
        value
    }

    /// What is built inside has `name` in front of its names.
    ///
    /// # Errors
    /// Those of `build`.
    pub(crate) fn within<T>(
        &mut self,
        name: &str,
        build: impl FnOnce(&mut Self) -> Result<T, NnError>,
    ) -> Result<T, NnError> {
        self.scope.push(name.to_owned());
        let built = build(self);
        self.scope.pop();
        built
    }

    /// Numbers of a trained model, under `name`.
    ///
    /// # Errors
    /// When their type is not that of the graph, or the name is taken by others.
    pub(crate) fn parameter(&mut self, name: &str, data: &TensorData) -> Result<Value, NnError> {
        if data.dtype() != self.precision.dtype() {
            let (got, expected) = (format!("{name} of {:?}", data.dtype()), format!("{:?}", self.precision.dtype()));
            return Err(NnError::shape("float type of a parameter", got, expected));
        }
        self.initializer(name, data.shape().as_slice(), data.as_bytes().to_vec())
    }

    /// Numbers that are not trained, under `name`. The same name again is the same tensor.
    ///
    /// # Errors
    /// When there are not as many as `shape` says, or the name is taken by others.
    pub(crate) fn constant(&mut self, name: &str, shape: &[usize], values: &[f64]) -> Result<Value, NnError> {
        if values.len() != shape.iter().product::<usize>() {
            return Err(NnError::shape("values of a constant", values.len(), text(&fixed(shape))));
        }
        let bytes = bytes(values, self.precision);
        self.initializer(name, shape, bytes)
    }

    /// One number, to be repeated.
    ///
    /// # Errors
    /// As [`Graph::constant`].
    pub(crate) fn scalar(&mut self, value: f64) -> Result<Value, NnError> {
        self.constant(&format!("number/{value:?}"), &[], &[value])
    }

    fn initializer(&mut self, name: &str, shape: &[usize], raw_data: Vec<u8>) -> Result<Value, NnError> {
        let data_type = float_type(self.precision);
        let dims = shape.iter().map(|&n| n as i64).collect();
        self.store(TensorProto { dims, data_type, name: name.to_owned(), raw_data })?;
        Ok(Value { name: name.to_owned(), shape: fixed(shape) })
    }

    fn store(&mut self, tensor: TensorProto) -> Result<(), NnError> {
        match self.known.get(&tensor.name) {
            Some(&at) if self.initializers[at] == tensor => Ok(()),
            Some(_) => Err(NnError::shape("name of a tensor", format!("{} again", tensor.name), "a name for each")),
            None => {
                self.known.insert(tensor.name.clone(), self.initializers.len());
                self.initializers.push(tensor);
                Ok(())
            }
        }
    }

    /// A list of integers, for operators that take their arguments as tensors.
    fn integers(&mut self, name: Option<&str>, values: &[i64]) -> Result<String, NnError> {
        let name = name.map_or_else(|| format!("integers/{values:?}").replace(' ', ""), str::to_owned);
        let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.store(TensorProto {
            dims: vec![values.len() as i64],
            data_type: TensorProto::INT64,
            name: name.clone(),
            raw_data,
        })?;
        Ok(name)
    }

    fn node(&mut self, operator: &str, input: Vec<String>, attribute: Vec<AttributeProto>, shape: Vec<Dim>) -> Value {
        let mut name = self.scope.join("/");
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(operator);
        let count = self.given.entry(name.clone()).or_insert(0);
        *count += 1;
        let name = format!("{name}_{count}");
        let (op_type, domain) = (operator.to_owned(), String::new());
        self.nodes.push(NodeProto {
            input,
            output: vec![name.clone()],
            name: name.clone(),
            op_type,
            attribute,
            domain,
        });
        Value { name, shape }
    }

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

    /// An operator of one argument that the file defines itself.
    pub(crate) fn call(&mut self, function: FunctionProto, x: &Value) -> Value {
        let value = self.node(&function.name, vec![x.name.clone()], Vec::new(), x.shape.clone());
        if let Some(node) = self.nodes.last_mut() {
            node.domain.clone_from(&function.domain);
        }
        if !self.functions.contains(&function) {
            self.functions.push(function);
        }
        value
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

    /// A convolution with stride 1 that keeps the grid: `x` `[batch, c, grid]`, `weight` `[c_out, c, 3, ..]`, zeros beyond the ends.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub(crate) fn convolution(&mut self, x: &Value, weight: &Value, bias: &Value) -> Result<Value, NnError> {
        let fits = x.shape.len() == weight.shape.len()
            && x.shape.len() > 2
            && x.shape[1] == weight.shape[1]
            && weight.shape[2..].iter().all(|&n| n == 3.into())
            && bias.shape == weight.shape[..1];
        if !fits {
            let got = format!("{}, {} and {}", text(&x.shape), text(&weight.shape), text(&bias.shape));
            return Err(NnError::shape(
                "arguments of a convolution",
                got,
                "[batch, c, grid], [c_out, c, 3, ..] and [c_out]",
            ));
        }
        let mut shape = x.shape.clone();
        shape[1] = weight.shape[0];
        let ends = vec![1; 2 * (shape.len() - 2)];
        let input = vec![x.name.clone(), weight.name.clone(), bias.name.clone()];
        Ok(self.node("Conv", input, vec![AttributeProto::ints("pads", ends)], shape))
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
        let list = |pick: &dyn Fn(&(usize, Range<usize>)) -> usize| -> Vec<i64> {
            parts.iter().map(|part| pick(part) as i64).collect()
        };
        let starts = self.integers(None, &list(&|part| part.1.start))?;
        let ends = self.integers(None, &list(&|part| part.1.end))?;
        let axes = self.integers(None, &list(&|part| part.0))?;
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

    /// The file: `output` is given out under `name`.
    pub(crate) fn finish(mut self, output: &Value, name: &str, doc: String, metadata: &[(&str, String)]) -> ModelProto {
        let input = vec![output.name.clone()];
        let (op_type, name) = ("Identity".to_owned(), name.to_owned());
        self.nodes.push(NodeProto {
            input,
            output: vec![name.clone()],
            name: op_type.clone(),
            op_type,
            ..NodeProto::default()
        });
        let output = Value { name, shape: output.shape.clone() };
        let mut opset_import = vec![OperatorSetIdProto { domain: String::new(), version: OPSET }];
        if !self.functions.is_empty() {
            opset_import.push(OperatorSetIdProto { domain: gelu::DOMAIN.to_owned(), version: 1 });
        }
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: "farfield".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(GraphProto {
                node: self.nodes,
                name: "farfield".to_owned(),
                initializer: self.initializers,
                doc_string: doc,
                input: self.inputs,
                output: vec![value_info(&output, self.precision)],
            }),
            opset_import,
            metadata_props: (metadata.iter())
                .map(|(key, value)| StringStringEntryProto { key: (*key).to_owned(), value: value.clone() })
                .collect(),
            functions: self.functions,
        }
    }
}

/// Numbers as a tensor of the float type, little-endian.
pub(crate) fn bytes(values: &[f64], precision: Precision) -> Vec<u8> {
    match precision {
        Precision::F32 => values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect(),
        Precision::F64 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

/// `TensorProto.DataType`.
pub(crate) fn float_type(precision: Precision) -> i32 {
    match precision {
        Precision::F32 => TensorProto::FLOAT,
        Precision::F64 => TensorProto::DOUBLE,
    }
}

fn value_info(value: &Value, precision: Precision) -> ValueInfoProto {
    let dim = value.shape.iter().map(|&dim| DimensionProto {
        value: Some(match dim {
            BATCH => DimensionValue::DimParam(BATCH_NAME.to_owned()),
            Dim { length, .. } => DimensionValue::DimValue(length as i64),
        }),
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: float_type(precision), shape });
    ValueInfoProto { name: value.name.clone(), kind: Some(TypeProto { tensor_type }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    fn graph() -> (Graph, Value) {
        let mut graph = Graph::new(Precision::F64);
        let x = graph.input("x", &[3, 4]);
        (graph, x)
    }

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
        assert!(g.convolution(&x, &w, &w).is_err());
        assert!(g.leaky_relu(&x, &w).is_err());
    }

    #[test]
    fn names_are_unique_and_bytes_repeatable() {
        let build = || {
            let (mut g, x) = graph();
            let y = g.within("a", |g| g.add(&x, &x)).unwrap();
            let z = g.within("a", |g| g.add(&y, &x)).unwrap();
            g.finish(&z, "y", "sum".to_owned(), &[("key", "value".to_owned())])
        };
        let model = build();
        let nodes = &model.graph.as_ref().unwrap().node;
        let names: Vec<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["a/Add_1", "a/Add_2", "Identity"]);
        let bytes = model.encode_to_vec();
        assert_eq!(bytes, build().encode_to_vec());
        assert_eq!(ModelProto::decode(bytes.as_slice()).unwrap(), model);
    }
}
