//! The subset of ONNX's messages that an export needs, with the field numbers of
//! `onnx.proto` (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>). Independent
//! of networks.

use prost::{Enumeration, Message, Oneof};

/// `ModelProto`: a file.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Property>,
}

/// `OperatorSetIdProto`: the version of the operators' definitions.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// `StringStringEntryProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Property {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `GraphProto`; nodes in topological order.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<Value>,
}

/// `NodeProto`: one operation.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
}

/// `AttributeProto`: a parameter of an operation. Its fields are optional so that a 0 is
/// written, as `onnx.proto` is proto2.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    #[prost(enumeration = "AttributeType", tag = "20")]
    pub r#type: i32,
}

/// `AttributeProto.AttributeType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum AttributeType {
    Undefined = 0,
    Int = 2,
    Ints = 7,
}

impl Attribute {
    pub fn int(name: &str, i: i64) -> Self {
        let kind = AttributeType::Int.into();
        Self { name: name.into(), i: Some(i), ints: vec![], r#type: kind }
    }

    pub fn ints(name: &str, ints: &[i64]) -> Self {
        let kind = AttributeType::Ints.into();
        Self { name: name.into(), i: None, ints: ints.to_vec(), r#type: kind }
    }
}

/// `TensorProto`: a constant.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    #[prost(enumeration = "DataType", tag = "2")]
    pub data_type: i32,
    #[prost(string, tag = "8")]
    pub name: String,
    /// Row-major, little-endian.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
}

/// `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum DataType {
    Undefined = 0,
    Float = 1,
    Int64 = 7,
}

impl Tensor {
    /// A vector of 64-bit integers.
    pub fn integers(name: &str, values: &[i64]) -> Self {
        Self {
            dims: vec![values.len() as i64],
            data_type: DataType::Int64.into(),
            name: name.into(),
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }

    pub fn new(name: &str, dims: &[usize], values: &[f32]) -> Self {
        debug_assert_eq!(dims.iter().product::<usize>(), values.len());
        Self {
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: DataType::Float.into(),
            name: name.into(),
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }
}

/// `ValueInfoProto`: an input or output.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<Type>,
    #[prost(string, tag = "3")]
    pub doc_string: String,
}

/// `TypeProto`, here always of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Type {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    #[prost(enumeration = "DataType", tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// `TensorShapeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension`.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    #[prost(oneof = "Dim", tags = "1, 2")]
    pub value: Option<Dim>,
}

/// The size of a tensor in one dimension: fixed, or the name of a dynamic size.
#[derive(Clone, PartialEq, Oneof)]
pub enum Dim {
    #[prost(int64, tag = "1")]
    Size(i64),
    #[prost(string, tag = "2")]
    Name(String),
}

impl Dim {
    pub fn size(size: usize) -> Self {
        Self::Size(size as i64)
    }
}

impl Value {
    /// A tensor of f32.
    pub fn floats(name: &str, dims: Vec<Dim>, doc: &str) -> Self {
        let dim = dims.into_iter().map(|d| Dimension { value: Some(d) }).collect();
        let elem_type = DataType::Float.into();
        let tensor = TensorType { elem_type, shape: Some(Shape { dim }) };
        Self {
            name: name.into(),
            r#type: Some(Type { tensor_type: Some(tensor) }),
            doc_string: doc.into(),
        }
    }
}
