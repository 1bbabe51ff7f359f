//! A builder of ONNX graphs: values with known shapes, and names that follow from the order of the calls.
//!
//! The methods of [`operators`](super::operators) append nodes. Every method checks the shapes of its operands and knows that of its result, so a model that is put together wrongly is an error here and not in
//! the program that runs the file. All values are of one float type. The number of samples is known at run time only: see [`Dim`].

use std::collections::BTreeMap;

use burn::tensor::TensorData;

use super::gelu;
use super::proto::{
    AttributeProto, DimensionProto, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use super::shape::{BATCH, Dim, batched, fixed, text};
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
    pub(super) name: String,
    pub(super) shape: Vec<Dim>,
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
    pub(super) fn integers(&mut self, name: Option<&str>, values: &[i64]) -> Result<String, NnError> {
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

    /// Appends an operator.
    pub(super) fn node(
        &mut self,
        operator: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
        shape: Vec<Dim>,
    ) -> Value {
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
pub(super) mod tests {
    use super::*;
    use prost::Message;

    /// A graph in double precision with an input of 3 x 4.
    pub(in crate::onnx) fn graph() -> (Graph, Value) {
        let mut graph = Graph::new(Precision::F64);
        let x = graph.input("x", &[3, 4]);
        (graph, x)
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
